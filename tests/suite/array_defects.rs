//! The faults of Dask's arrays that `dask.md`, section 7, lists are not here. Those of 10, 12 and 13 are in `breadth`, that of 8 in
//! `src/dist/placement.rs`.

use dask_rs::array::{Index, QuantileMethod};
use dask_rs::prelude::*;
use ndarray::{Array1, ArrayD, IxDyn, arr1};
use serde_json::Value;

use crate::golden::golden;

fn backwards(start: i64, stop: i64) -> [Index; 1] {
    [Index::Slice { start: Some(start), stop: Some(stop), step: Some(-1) }]
}

#[test]
fn dask_defect_1_a_slice_that_starts_before_the_axis_is_empty() {
    let x = array::arange(0, 11, 1, [3]);
    assert_eq!(x.slice(backwards(-29, 2)).shape().unwrap(), [0]);
    assert_eq!(x.slice(backwards(-29, 2)).compute().unwrap().len(), 0);
    let assigned = x.assign(backwards(-20, 2), 99).compute().unwrap();
    assert_eq!(assigned, Array1::from_iter(0..11).into_dyn());
    let last = x.slice(backwards(29, 8)).compute().unwrap();
    assert_eq!(last, arr1(&[10, 9]).into_dyn());
}

#[test]
fn dask_defect_9_the_first_of_equal_elements_is_found_whatever_the_chunks() {
    for chunks in [[2, 1], [1, 2], [1, 1], [2, 2]] {
        let x = array::from_ndarray(ndarray::arr2(&[[3, 0], [0, 5]]), chunks);
        assert_eq!(x.argmin(..).compute().unwrap()[[]], 1, "{chunks:?}");
        let x = array::from_ndarray(ndarray::arr2(&[[3, 5], [5, 0]]), chunks);
        assert_eq!(x.argmax(..).compute().unwrap()[[]], 1, "{chunks:?}");
    }
}

/// 125 = 5³, whose logarithm to the base 5 is a little more than 3 in floats.
#[test]
fn dask_defect_11_trees_have_no_round_too_many() {
    let n_tasks = |n: u64| {
        let x = array::arange(0.0, n as f64, 1.0, [1]).sin();
        x.sum(over(0).split_every(5)).explain().unwrap().n_tasks().unwrap()
    };
    // One block more, and no other task: both take three rounds.
    assert_eq!(n_tasks(125), n_tasks(124) + 1);
}

/// The biased ones are those of SciPy's defaults, the others of pandas.
#[test]
fn dask_defect_14_skewness_says_whether_it_is_of_a_sample() {
    let values = [2.0, 3.0, 5.0, 7.0, 19.0, 4.0];
    let x = array::from_ndarray(Array1::from(values.to_vec()), [4]);
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let moment = |order| values.iter().map(|x| (x - mean).powi(order)).sum::<f64>() / n;
    let biased = moment(3) / moment(2).powf(1.5);
    let of_sample = biased * (n * (n - 1.0)).sqrt() / (n - 2.0);
    let excess = moment(4) / moment(2).powi(2) - 3.0;
    let of_sample_excess = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * excess + 6.0);
    let skews = compute((x.skew(0, true), x.skew(0, false))).unwrap();
    let tails = compute((x.kurtosis(0, true), x.kurtosis(0, false))).unwrap();
    for (got, expected) in
        [(skews.0, biased), (skews.1, of_sample), (tails.0, excess), (tails.1, of_sample_excess)]
    {
        assert!((got[[]] - expected).abs() < 1e-12, "{got}, expected {expected}");
    }
}

#[test]
fn dask_defect_15_every_reshape_several_index_arrays_and_quantiles_of_all_axes() {
    let all = ArrayD::from_shape_fn(IxDyn(&[4, 6, 5]), |i| (i[0] * 30 + i[1] * 5 + i[2]) as i64);
    let x = array::from_ndarray(all.clone(), [3, 4, 2]);
    for shape in [[8, 15, 1], [5, 24, 1], [12, 2, 5], [1, 1, 120], [10, 3, 4]] {
        let got = x.reshape(shape).compute().unwrap();
        assert_eq!(got, all.to_shape(shape.map(|n| n as usize)).unwrap().into_dyn());
    }
    let points = x.vindex([(0, vec![3, 0, 3]), (2, vec![1, 4, 1])]).compute().unwrap();
    for (i, (a, c)) in [(3, 1), (0, 4), (3, 1)].into_iter().enumerate() {
        for b in 0..6 {
            assert_eq!(points[[i, b]], all[[a, b, c]]);
        }
    }
    let median = x.quantile(0.5, QuantileMethod::Linear, ..).compute().unwrap();
    assert_eq!(median[[]], 59.5);
    // A slice goes through what is computed of each element, to what is read.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    array::arange(0.0, 1000.0, 1.0, [-1]).to_npy(&path).unwrap();
    let x: Array<f64> = array::open_npy(&path);
    let x = x.rechunk([10]);
    let one = ((&x * 2.0).sin() + &x).slice(s![500..501]).explain().unwrap().n_tasks();
    assert_eq!(one, Some(1));
}

#[test]
fn dask_defect_16_a_slice_of_a_million_chunks_is_a_task() {
    let x = array::arange(0.0, 1e6, 1.0, [1]);
    let first = (x.sin() * 2.0).slice(s![..1]);
    assert_eq!(first.explain().unwrap().n_tasks(), Some(1));
    assert_eq!(first.compute().unwrap()[[0]], 0.0);
}

/// Sums are combined as the schedule of the golden file says: their bits tell.
#[test]
fn prefixes_are_combined_in_the_order_of_brent_and_kung() {
    let Some(text) = golden("prefix_scan.jsonl") else { return };
    let (mut n_cases, mut differ) = (0, 0);
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let n = case["blocks"].as_u64().unwrap() as usize;
        // Numbers whose sums are rounded differently in another order.
        let values: Vec<f64> = (0..n).map(|i| ((i * 7919 + 13) % 1009) as f64 * 0.1).collect();
        let mut prefixes = values[..n - 1].to_vec();
        for level in case["levels"].as_array().unwrap() {
            let before = prefixes.clone();
            for step in level.as_array().unwrap() {
                let [to, left, right] = [0, 1, 2].map(|i| step[i].as_u64().unwrap() as usize);
                prefixes[to] = before[left] + before[right];
            }
        }
        let carried = (0..n).map(|i| if i == 0 { values[0] } else { prefixes[i - 1] + values[i] });
        let expected: Vec<u64> = carried.map(f64::to_bits).collect();
        let x = array::from_ndarray(Array1::from(values.clone()), [1]);
        let got = x.cumsum(0).compute().unwrap();
        let got: Vec<u64> = got.iter().map(|sum| sum.to_bits()).collect();
        assert_eq!(got, expected, "{n} blocks");
        let one_by_one = values.iter().scan(0.0, |sum, x| {
            *sum += x;
            Some(f64::to_bits(*sum))
        });
        differ += usize::from(!one_by_one.eq(expected));
        n_cases += 1;
    }
    assert_eq!(n_cases, 48);
    assert!(differ > 20, "the order has to matter");
}
