//! Checks the planning functions against what Dask and NumPy answer.
//!
//! The cases lie beside the repository, not in it. Without them these tests say so and pass. Two files have what is not here:
//! `percentile_merge.jsonl` (Dask's sketch, in place of which there are exact quantiles and ones with a bound on their error) and
//! `shuffle_stages.jsonl` (rows are exchanged in one stage).
#![expect(
    clippy::print_stderr,
    clippy::needless_pass_by_value,
    reason = "tests talk on the terminal, and compare what they have just made"
)]

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::overlap::min_overlap_chunks;
use super::rechunk::{balance, overlap};
use super::reshape::{plan_reshape, plan_reshape_steps};
use super::take::take_chunks;
use super::unify::{broadcast_chunks, unify_indices};
use super::*;
use crate::bytes::parse_bytes;
use crate::error::{Call, Result};

/// Runs `check` on every case of a file; it says whether the case was one that it can check.
///
/// At least `least` must be, so that a file that is read wrongly is noticed.
fn each_case(file: &str, least: usize, check: impl Fn(&Value) -> Checked) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden").join(file);
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return;
    };
    let (mut right, mut skipped, mut wrong) = (0, 0, Vec::new());
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).expect("golden cases are JSON");
        match check(&case) {
            Checked::Right => right += 1,
            Checked::Skipped => skipped += 1,
            Checked::Wrong(got) => wrong.push(format!("{line}\n    got {got}")),
        }
    }
    eprintln!("{file}: {right} right, {skipped} skipped, {} wrong", wrong.len());
    let shown: Vec<_> = wrong.iter().take(5).map(|w| &w[..w.len().min(3000)]).collect();
    assert!(wrong.is_empty(), "{} wrong in {file}, such as\n{}", wrong.len(), shown.join("\n"));
    assert!(right >= least, "only {right} cases of {file} were checked");
}

enum Checked {
    Right,
    Skipped,
    Wrong(String),
}

/// Right if both are equal.
fn same<T: PartialEq + std::fmt::Debug>(got: T, expected: T) -> Checked {
    if got == expected {
        Checked::Right
    } else {
        Checked::Wrong(format!("{got:?}, expected {expected:?}"))
    }
}

fn holds(condition: bool, got: impl std::fmt::Debug) -> Checked {
    if condition { Checked::Right } else { Checked::Wrong(format!("{got:?}")) }
}

fn flag(case: &Value, name: &str) -> bool {
    case[name].as_bool().unwrap_or(false)
}

fn list(value: &Value) -> Vec<u64> {
    value.as_array().expect("a list").iter().map(|n| n.as_u64().expect("a length")).collect()
}

fn axis(value: &Value) -> AxisChunks {
    AxisChunks::from_sizes(&list(value)).expect("golden chunks are valid")
}

fn chunks(value: &Value) -> Chunks {
    value.as_array().expect("a list").iter().map(axis).collect()
}

fn call() -> Call {
    Call::new("golden")
}

#[test]
fn bytes_are_parsed() {
    each_case("parse_bytes.jsonl", 100, |case| {
        same(parse_bytes(case["text"].as_str().expect("a text")), case["bytes"].as_u64())
    });
}

/// A spec for one axis as the golden files write it.
fn axis_spec(value: &Value) -> AxisSpec {
    match value {
        Value::Null => AxisSpec::Keep,
        Value::Number(size) => size.as_i64().expect("a length").into(),
        Value::String(text) => text.as_str().into(),
        Value::Array(sizes) => {
            let sizes: Vec<i64> = sizes.iter().map(|n| n.as_i64().expect("a length")).collect();
            sizes.into()
        }
        _ => unreachable!("no other form of a spec is in the files"),
    }
}

fn spec(value: &Value) -> ChunkSpec {
    match value {
        Value::Array(axes) => axes.iter().map(axis_spec).collect::<Vec<_>>().into(),
        Value::Object(object) => {
            let axes = object["dict"].as_object().expect("a map");
            let axes = axes.iter().map(|(axis, spec)| {
                // A missing axis and null mean the whole axis in these cases.
                let spec = if spec.is_null() { AxisSpec::Whole } else { axis_spec(spec) };
                (axis.parse().expect("an axis"), spec)
            });
            ChunkSpec::axes(axes)
        }
        scalar => axis_spec(scalar).into(),
    }
}

fn normalize(case: &Value) -> Result<Chunks> {
    let previous = &case["previous_chunks"];
    let previous = (!previous.is_null()).then(|| chunks(previous));
    normalize_chunks(
        call(),
        &spec(&case["spec"]),
        &list(&case["shape"]),
        case["itemsize"].as_u64(),
        case["limit_bytes"].as_u64().unwrap_or(128 << 20),
        previous.as_ref(),
    )
}

#[test]
fn specs_are_normalized() {
    each_case("normalize_chunks.jsonl", 850, |case| {
        // We have no way to give no spec, and a spec in bytes overrules the configured limit.
        let overruled = case["error"] == "inconsistent_bytes" && !case["limit_bytes"].is_null();
        if case["error"] == "chunks_none" || overruled {
            return Checked::Skipped;
        }
        let got = normalize(case).ok();
        if longer_than_axis_beside_auto(case) {
            let shape = got.as_ref().and_then(Chunks::known_shape);
            return holds(shape == Some(list(&case["shape"])), got);
        }
        same(got, case.get("chunks").map(chunks))
    });
}

/// Whether Dask takes a block to be longer than its axis when it chooses the other axes.
fn longer_than_axis_beside_auto(case: &Value) -> bool {
    let specs = case["spec"].as_array().map_or(&[][..], Vec::as_slice);
    let shape = list(&case["shape"]);
    let longer = specs.iter().zip(&shape).any(|(spec, &len)| spec.as_u64() > Some(len));
    longer && specs.contains(&"auto".into())
}

#[test]
fn automatic_chunks_are_chosen() {
    each_case("auto_chunks.jsonl", 2000, |case| match normalize(case) {
        Ok(got) if case["chunks"].is_null() || flag(case, "fp_sensitive") => {
            holds(got.known_shape() == Some(list(&case["shape"])), got)
        }
        got => same(got.ok(), Some(chunks(&case["chunks"]))),
    });
}

#[test]
fn axes_are_unified() {
    each_case("unify_chunks.jsonl", 500, |case| {
        let axes: Vec<AxisChunks> =
            case["blockdims"].as_array().expect("a list").iter().map(axis).collect();
        let got = unify(call(), &axes.iter().collect::<Vec<_>>()).ok();
        same(got, case.get("unified").map(axis))
    });
}

#[test]
fn arguments_are_aligned_by_letters() {
    each_case("blockwise_align.jsonl", 420, |case| {
        let args: Vec<(Vec<char>, Chunks)> = case["args"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|arg| {
                (arg["ind"].as_str().expect("letters").chars().collect(), chunks(&arg["chunks"]))
            })
            .collect();
        let args: Vec<(&[char], &Chunks)> = args.iter().map(|(i, c)| (i.as_slice(), c)).collect();
        let expected = case.get("unified").and_then(Value::as_object).map(|unified| {
            let letter = |name: &str| name.chars().next().expect("one letter");
            unified.iter().map(|(name, sizes)| (letter(name), axis(sizes))).collect::<Vec<_>>()
        });
        same(unify_indices(call(), &args).ok(), expected)
    });
}

#[test]
fn shapes_broadcast() {
    each_case("broadcast_shapes.jsonl", 220, |case| {
        let shapes: Vec<_> = case["shapes"].as_array().expect("a list").iter().map(list).collect();
        let shapes: Vec<&[u64]> = shapes.iter().map(Vec::as_slice).collect();
        same(broadcast_shapes(call(), &shapes).ok(), case.get("out").map(list))
    });
}

#[test]
fn chunks_broadcast() {
    each_case("broadcast_chunks.jsonl", 160, |case| {
        let args: Vec<_> = case["chunks"].as_array().expect("a list").iter().map(chunks).collect();
        let args: Vec<&Chunks> = args.iter().collect();
        same(broadcast_chunks(call(), &args).ok(), case.get("out").map(chunks))
    });
}

fn split_every(value: &Value) -> SplitEvery {
    match value {
        Value::Null => SplitEvery::Default,
        Value::Object(axes) => {
            let entry = |(axis, k): (&String, &Value)| {
                (axis.parse().expect("an axis"), k.as_u64().expect("a number"))
            };
            SplitEvery::PerAxis(axes.iter().map(entry).collect())
        }
        k => SplitEvery::Blocks(k.as_u64().expect("a number")),
    }
}

#[test]
fn reductions_are_trees() {
    each_case("tree_depth.jsonl", 319, |case| {
        let grid = list(&case["numblocks"]);
        let axes: Vec<usize> = list(&case["axes"]).into_iter().map(|axis| axis as usize).collect();
        let fan_in = tree::fan_in(&split_every(&case["split_every"]), &axes);
        let expected = |&(axis, k): &(usize, u64)| case["fan_in"][axis.to_string()] == k;
        if !fan_in.iter().all(expected) {
            // Dask takes the third root of 64 to be 3, as floats do.
            if flag(case, "fp_sensitive") {
                return Checked::Skipped;
            }
            return Checked::Wrong(format!("{fan_in:?}"));
        }
        let rounds = tree::rounds(&grid, &fan_in);
        let groups = |(round, grid): (&Value, &Vec<u64>)| {
            fan_in.iter().all(|&(axis, k)| {
                let n = tree::n_groups(grid[axis], k);
                let sizes: Vec<u64> =
                    (0..n).map(|i| tree::group(grid[axis], k, i).count() as u64).collect();
                sizes == list(&round[axis.to_string()])
            })
        };
        if !case["groups"].as_array().expect("a list").iter().zip(&rounds).all(groups) {
            return Checked::Wrong("other groups".to_string());
        }
        let expected: Vec<_> =
            case["rounds"].as_array().expect("a list").iter().map(list).collect();
        same(rounds, expected)
    });
}

/// A slice as `[start, stop, step]`.
fn python_slice(bounds: &Value, len: u64) -> AxisSlice {
    let bound = |i: usize| bounds[i].as_i64();
    AxisSlice::from_python(bound(0), bound(1), bound(2), len).expect("steps are not 0")
}

/// A piece as the files write it: block, first, one step of ±1 past the last, and step.
fn piece_as_written(piece: Piece, step: i64) -> [i64; 4] {
    let local = piece.local;
    let last = local.last().unwrap_or(0) as i64;
    [piece.block as i64, local.start as i64, last + step.signum(), step]
}

#[test]
fn slices_touch_the_right_blocks() {
    each_case("slice_1d.jsonl", 2200, |case| {
        let axis = axis(&case["chunks"]);
        let slice = python_slice(&case["slice"], axis.len().expect("known"));
        let (out, pieces) = slice_axis(&axis, slice).expect("the slice fits");
        let step = case["slice"][2].as_i64().unwrap_or(1);
        let got = pieces.iter().filter(|piece| piece.local.len > 0);
        let got: Vec<_> = got.map(|piece| piece_as_written(piece, step)).collect();
        let expected: Vec<[i64; 4]> =
            serde_json::from_value(case["pieces"].clone()).expect("four numbers each");
        let sizes: Vec<u64> = out.sizes().collect();
        same((got, sizes), (expected, list(&case["out_chunks"])))
    });
}

/// One axis of an indexed array.
#[derive(Clone)]
enum Indexed {
    /// Positions of an axis of the original array, which is gone from the result if `dropped`.
    Axis { slice: AxisSlice, dropped: bool },
    /// A new axis of length 1 that is taken or not.
    New { slice: AxisSlice, dropped: bool },
}

impl Indexed {
    fn parts(&mut self) -> (&mut AxisSlice, &mut bool) {
        match self {
            Indexed::Axis { slice, dropped } | Indexed::New { slice, dropped } => (slice, dropped),
        }
    }
}

/// Applies an index to what earlier ones left; `None` if it has lists.
fn index(axes: &[Indexed], index: &Value) -> Option<Vec<Indexed>> {
    let elements = index.as_array().map_or_else(|| vec![index.clone()], Clone::clone);
    let mut result = Vec::new();
    let mut rest = axes.iter().cloned();
    for element in &elements {
        if element == "newaxis" {
            result.push(Indexed::New { slice: AxisSlice::full(1), dropped: false });
            continue;
        }
        // Axes that an earlier integer removed are passed over, but not forgotten.
        let mut axis = rest.by_ref().find(|axis| {
            let dropped = *axis.clone().parts().1;
            if dropped {
                result.push(axis.clone());
            }
            !dropped
        })?;
        let (slice, dropped) = axis.parts();
        let then = match (element.as_i64(), element.get("slice")) {
            (Some(at), _) => AxisSlice::at(at, slice.len)?,
            (_, Some(bounds)) => python_slice(bounds, slice.len),
            _ => return None,
        };
        *dropped = element.is_i64();
        *slice = slice.compose(&then);
        result.push(axis);
    }
    result.extend(rest);
    Some(result)
}

/// The numbers of the elements that are selected from an array of `shape`, in order.
fn selected(axes: &[Indexed], shape: &[u64]) -> Vec<u64> {
    let mut lens = shape.iter();
    let mut flat = vec![0];
    for axis in axes {
        let (slice, len) = match axis {
            Indexed::Axis { slice, .. } => (slice, *lens.next().expect("axes stay in order")),
            Indexed::New { slice, .. } => {
                flat = flat.iter().flat_map(|&at| vec![at; slice.len as usize]).collect();
                continue;
            }
        };
        let positions = || (0..slice.len).map(|i| slice.position(i));
        flat = flat.iter().flat_map(|at| positions().map(move |pos| at * len + pos)).collect();
    }
    flat
}

#[test]
fn slices_of_slices_are_one() {
    each_case("fuse_slice.jsonl", 500, |case| {
        let shape = list(&case["shape"]);
        let axes =
            shape.iter().map(|&len| Indexed::Axis { slice: AxisSlice::full(len), dropped: false });
        let axes: Vec<_> = axes.collect();
        let both = index(&axes, &case["a"]).and_then(|a| index(&a, &case["b"]));
        // Lists select positions that no slice does; `tests/suite/golden_slices.rs` has all cases.
        let Some(mut both) = both else { return Checked::Skipped };
        let flat = selected(&both, &shape);
        let kept = both.iter_mut().filter_map(|axis| match axis.parts() {
            (slice, false) => Some(slice.len),
            _ => None,
        });
        same((kept.collect(), flat), (list(&case["out_shape"]), list(&case["flat"])))
    });
}

#[test]
fn rechunk_goes_in_the_right_steps() {
    each_case("rechunk_plan.jsonl", 1990, |case| {
        let number = |name: &str| case[name].as_u64().expect("a number");
        let (old, new) = (chunks(&case["old_chunks"]), chunks(&case["new_chunks"]));
        let limit = number("block_size_limit");
        let got = plan_rechunk(&old, &new, number("itemsize"), number("threshold"), limit);
        let expected: Vec<_> =
            case["steps"].as_array().expect("a list").iter().map(chunks).collect();
        // Dask takes several steps to move nothing.
        let empty = new.shape().contains(&Some(0));
        if (empty || flag(case, "fp_sensitive")) && got != expected {
            return holds(got.last() == Some(&new), got);
        }
        same(got, expected)
    });
}

#[test]
fn new_blocks_are_made_of_old_ones() {
    each_case("rechunk_crosswalk.jsonl", 300, |case| {
        let (old, new) = (chunks(&case["old_chunks"]), chunks(&case["new_chunks"]));
        let along = |(old, new): (&AxisChunks, &AxisChunks)| {
            let both = overlap(old, new).expect("lengths are equal");
            let written = |p: Piece| [p.block, p.local.start, p.local.start + p.local.len];
            (0..new.n_blocks()).map(|i| both.pieces(i).map(written).collect()).collect()
        };
        let got: Vec<Vec<Vec<[u64; 3]>>> = old.axes().iter().zip(new.axes()).map(along).collect();
        same(got, serde_json::from_value(case["pieces"].clone()).expect("three numbers each"))
    });
}

#[test]
fn blocks_are_balanced() {
    each_case("balance.jsonl", 200, |case| {
        same(balance(&axis(&case["chunks"])), axis(&case["balanced"]))
    });
}

#[test]
fn reshapes_are_planned() {
    each_case("reshape_plan.jsonl", 3325, |case| {
        let (shape, chunks) = (list(&case["in_shape"]), chunks(&case["in_chunks"]));
        let out = list(&case["out_shape"]);
        let steps = plan_reshape_steps(call(), &chunks, &out, 0);
        if !case["error"].is_null() {
            return holds(steps.is_err() && plan_reshape(&shape, &out, &chunks).is_err(), steps);
        }
        let most = chunks.max_block_len();
        let small = |plan: &ReshapePlan| plan.input.max_block_len() <= most;
        let steps = steps.expect("a legal reshape");
        if !steps.iter().all(small) || !steps.iter().all(reshape::moves_right) {
            return Checked::Wrong(format!("{steps:?}"));
        }
        if flag(case, "unsupported_by_dask") {
            return same(steps.last().and_then(|plan| plan.output.known_shape()), Some(out));
        }
        let got = plan_reshape(&shape, &out, &chunks).map(|plan| (plan.input, plan.output));
        let plan = |name: &str| self::chunks(&case[name]);
        same(got, Ok((plan("plan_in_chunks"), plan("plan_out_chunks"))))
    });
}

#[test]
fn blocks_are_deep_enough_for_overlap() {
    each_case("min_overlap_chunks.jsonl", 500, |case| {
        let depth = case["size"].as_u64().expect("a number");
        let got = min_overlap_chunks(call(), &axis(&case["chunks"]), depth).ok();
        same(got, case.get("out_chunks").map(axis))
    });
}

#[test]
fn taken_elements_are_chunked() {
    each_case("take_plan.jsonl", 250, |case| {
        let got = take_chunks(&axis(&case["chunks"]), &list(&case["index"]));
        same(got, case.get("out_chunks").map(axis))
    });
}

#[test]
fn groups_of_positions_are_not_cut() {
    each_case("shuffle_groups.jsonl", 200, |case| {
        let groups = case["groups"].as_array().expect("a list");
        let lens: Vec<u64> = groups.iter().map(|group| list(group).len() as u64).collect();
        let along = case["axis"].as_u64().expect("an axis") as usize;
        let got = shuffle_chunks(&chunks(&case["chunks"]), along, &lens);
        same(got, Some(chunks(&case["out_chunks"])))
    });
}

#[test]
fn neighbours_that_are_reduced_together_are_not_cut() {
    each_case("coarsen_align.jsonl", 300, |case| {
        let size = case["multiple"].as_u64().expect("a number");
        let got = coarsen_chunks(&axis(&case["chunks"]), size).expect("lengths are known");
        let trimmed: Vec<u64> = got.sizes().map(|n| n / size).filter(|&n| n > 0).collect();
        same((got, trimmed), (axis(&case["aligned"]), list(&case["coarsened_trimmed"])))
    });
}

#[test]
fn windows_are_chunked() {
    each_case("sliding_window.jsonl", 90, |case| {
        if !flag(case, "automatic_rechunk") {
            return Checked::Skipped;
        }
        let old = chunks(&case["chunks"]);
        let windows = list(&case["window"]);
        let mut depths = vec![0; old.ndim()];
        for (axis, window) in list(&case["axis"]).into_iter().zip(&windows) {
            depths[axis as usize] += window - 1;
        }
        let wide = window_chunks(call(), &old, &depths, &windows).expect("windows fit");
        // Each window begins at an element after which there are enough.
        let cut = wide.axes().iter().zip(&depths).map(|(axis, depth)| {
            let mut sizes: Vec<u64> = axis.sizes().collect();
            *sizes.last_mut().expect("an axis has a block") -= depth;
            sizes
        });
        let got: Vec<Vec<u64>> = cut.chain(windows.iter().map(|&window| vec![window])).collect();
        let expected: Vec<Vec<u64>> =
            serde_json::from_value(case["out_chunks"].clone()).expect("lists of lengths");
        same(got, expected)
    });
}
