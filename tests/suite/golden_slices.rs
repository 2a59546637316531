//! Slices of slices, with new axes and lists of positions among them, are what NumPy has: `../shared/golden/fuse_slice.jsonl`.

use dask_rs::ExecutorKind;
use dask_rs::array::Index;
use dask_rs::prelude::*;
use serde_json::Value;

use crate::golden::golden;

#[test]
fn slices_of_slices_select_what_numpy_selects() {
    let Some(text) = golden("fuse_slice.jsonl") else { return };
    let mut n_lists = 0;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).expect("each line is JSON");
        n_lists += usize::from(line.contains("\"list\""));
        let shape = integers(&case["shape"]);
        let all = array::arange(0, shape.iter().product(), 1, [5]).reshape(&shape[..]);
        let x = all.rechunk(vec![3_i64; shape.len()]);
        let selected = indexed(&indexed(&x, &case["a"]), &case["b"]);
        for optimize in [true, false] {
            let config = Config::new().with_executor(ExecutorKind::Serial).with_optimize(optimize);
            let got = config.scope(|| selected.compute());
            let got = got.unwrap_or_else(|error| panic!("{error}\n{line}"));
            let lens: Vec<i64> = got.shape().iter().map(|&len| len as i64).collect();
            assert_eq!(lens, integers(&case["out_shape"]), "{line}");
            assert_eq!(got.iter().copied().collect::<Vec<_>>(), integers(&case["flat"]), "{line}");
        }
    }
    assert!(n_lists >= 250, "only {n_lists} have lists");
}

fn integers(value: &Value) -> Vec<i64> {
    let numbers = value.as_array().expect("a list");
    numbers.iter().map(|number| number.as_i64().expect("an integer")).collect()
}

/// An index of which at most one entry is a list of positions, which are taken from what the others leave.
fn indexed(x: &Array<i64>, index: &Value) -> Array<i64> {
    let entries = index.as_array().map_or(std::slice::from_ref(index), Vec::as_slice);
    let (mut taken, mut axis) = (None, 0);
    let part = |entry: &Value| {
        if let Some(position) = entry.as_i64() {
            return Index::At(position);
        }
        axis += 1;
        if entry == "newaxis" {
            return Index::NewAxis;
        }
        if let Some(bounds) = entry["slice"].as_array() {
            let [start, stop, step] = [0, 1, 2].map(|i| bounds[i].as_i64());
            return Index::Slice { start, stop, step };
        }
        taken = Some((integers(&entry["list"]), axis - 1));
        Index::ALL
    };
    let parts: Vec<Index> = entries.iter().map(part).collect();
    let sliced = x.slice(&parts[..]);
    taken.map_or(sliced.clone(), |(positions, axis)| sliced.take(positions, axis))
}
