//! Checks the planning functions against what Dask answers.
//!
//! The cases lie beside the repository, not in it. Without them these tests say so and pass.
#![expect(clippy::print_stderr, reason = "tests talk on the terminal")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::asof::pair_partitions;
use super::hyperloglog::HyperLogLog;
use super::quantiles::{self, Sketch};
use super::repartition::{self, Differs, Piece};

/// Runs `check` on every case of these kinds; it says what was got and what was expected, if it can check the case.
fn each_case(
    file: &str,
    kind: &str,
    least: usize,
    check: impl Fn(&Value) -> Option<(Value, Value)>,
) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden").join(file);
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return;
    };
    let (mut checked, mut wrong) = (0, Vec::new());
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).expect("golden cases are JSON");
        if case["kind"].as_str().unwrap_or("case") != kind {
            continue;
        }
        let Some((got, expected)) = check(&case) else { continue };
        checked += 1;
        if !close(&got, &expected) {
            wrong.push(format!("{line}\n    got {got}, expected {expected}"));
        }
    }
    eprintln!("{file} {kind}: {checked} checked, {} wrong", wrong.len());
    let shown: Vec<_> = wrong.iter().take(4).map(|w| &w[..w.len().min(3000)]).collect();
    assert!(wrong.is_empty(), "{} wrong of {kind}, such as\n{}", wrong.len(), shown.join("\n"));
    assert!(checked >= least, "only {checked} cases of {kind} were checked");
}

/// Equal, floats up to rounding.
fn close(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b))
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().expect("a number"), b.as_f64().expect("a number"));
            (a - b).abs() <= 1e-9 * b.abs().max(1.0)
        }
        _ => a == b,
    }
}

fn size(value: &Value) -> usize {
    value.as_u64().expect("a size") as usize
}

fn sizes(value: &Value) -> Vec<usize> {
    value.as_array().expect("a list").iter().map(size).collect()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
}

fn integers(value: &Value) -> Vec<i64> {
    value.as_array().expect("a list").iter().map(|v| v.as_i64().expect("an integer")).collect()
}

fn exact<'a>(case: &'a Value, field: &str) -> &'a Value {
    if case["exact"].is_null() { &case[field] } else { &case["exact"] }
}

#[test]
fn counts_of_partitions_change_as_in_dask() {
    each_case("repartition.jsonl", "fewer", 100, |case| {
        let got = repartition::fewer(size(&case["n_old"]), size(&case["n_new"]));
        Some((json!(got), exact(case, "boundaries").clone()))
    });
    each_case("repartition.jsonl", "more", 40, |case| {
        let got = repartition::more(size(&case["n_old"]), size(&case["n_new"]));
        Some((json!(got), case["nsplits"].clone()))
    });
    each_case("repartition.jsonl", "split_evenly", 60, |case| {
        let got = repartition::even(size(&case["rows"]), size(&case["k"]));
        Some((json!(got), exact(case, "boundaries").clone()))
    });
    each_case("repartition.jsonl", "size", 100, |case| {
        let bytes: Vec<u64> = sizes(&case["bytes"]).iter().map(|&b| b as u64).collect();
        let got = repartition::by_size(&bytes, size(&case["limit"]) as u64, usize::MAX);
        Some((json!([got.0, got.1]), json!([case["nsplits"], case["boundaries"]])))
    });
}

#[test]
fn divisions_are_interpolated_as_in_dask() {
    each_case("repartition.jsonl", "interpolate", 100, |case| {
        let n = size(&case["n_new"]);
        let got = if case["dtype"] == "int" {
            json!(repartition::interpolate(&integers(&case["old"]), n))
        } else {
            json!(repartition::interpolate(&floats(&case["old"]), n))
        };
        Some((got, exact(case, "new").clone()))
    });
}

#[test]
fn sorted_values_are_cut_as_in_dask() {
    each_case("repartition.jsonl", "from_sorted", 30, |case| {
        let values = case["values"].as_array().expect("a list");
        let keys: Vec<String> = values
            .iter()
            .map(|v| v.as_str().map_or_else(|| format!("{:05}", size(v)), str::to_owned))
            .collect();
        // Chunks of so many rows are not asked for here.
        let n = case["npartitions"].as_u64()? as usize;
        let mut got: Vec<usize> =
            repartition::sorted_ranges(&keys, n).iter().map(|r| r.start).collect();
        got.push(keys.len());
        Some((json!(got), case["locations"].clone()))
    });
}

/// One row for each half: every one must be in the pieces of one new partition, the one of its key.
#[test]
fn new_divisions_get_the_rows_of_their_keys() {
    each_case("repartition.jsonl", "divisions", 200, |case| {
        let (old, new) = (floats(&case["old"]), floats(&case["new"]));
        let got = repartition::by_divisions(&old, &new, case["force"] == true);
        let pieces = match got {
            Ok(pieces) => pieces,
            Err(Differs::Left) => return Some((json!("left_side_differs"), case["error"].clone())),
            Err(Differs::Right) => {
                return Some((json!("right_side_differs"), case["error"].clone()));
            }
        };
        if !case["error"].is_null() {
            return Some((json!(null), case["error"].clone()));
        }
        let holds =
            |p: &Piece<f64>, v: f64| p.low <= v && (v < p.high || (p.closed && v == p.high));
        for (i, bounds) in old.windows(2).enumerate() {
            let mut v = bounds[0];
            while v < bounds[1] || (i + 2 == old.len() && v == bounds[1]) {
                let at: Vec<usize> = (0..pieces.len())
                    .filter(|&j| pieces[j].iter().any(|p| p.partition == i && holds(p, v)))
                    .collect();
                let right = quantiles::partition_of(&new, &v);
                if at != [right] {
                    return Some((json!([v, i, at]), json!([v, i, [right]])));
                }
                v += 0.5;
            }
        }
        Some((json!(pieces.len()), json!(new.len() - 1)))
    });
}

#[test]
fn samples_are_taken_and_merged_as_in_dask() {
    each_case("quantile_divisions.jsonl", "percentiles", 50, |case| {
        let draws = floats(&case["random"]);
        let mut draws = draws.iter().copied();
        let upsample = case["upsample"].as_f64().expect("a factor");
        let (old, new, length) =
            (size(&case["num_old"]), size(&case["num_new"]), size(&case["length"]));
        let got = quantiles::percentiles(old, new, length, upsample, || {
            draws.next().expect("enough draws")
        });
        Some((json!(got), case["percentiles"].clone()))
    });
    each_case("quantile_divisions.jsonl", "weights", 50, |case| {
        let got = quantiles::weights(&floats(&case["percentiles"]), size(&case["length"]));
        Some((json!(got), case["weights"].clone()))
    });
    each_case("quantile_divisions.jsonl", "merge", 90, |case| {
        let parts = case["parts"].as_array().expect("parts").iter().filter(|p| !p.is_null());
        let got = quantiles::merge(
            parts.map(|p| Sketch { values: integers(&p[0]), weights: floats(&p[1]) }),
        );
        Some((json!([got.values, got.weights]), json!([case["values"], case["weights"]])))
    });
}

fn cut(values: &[f64], weights: &[f64], n: usize, integer: bool) -> Vec<f64> {
    match quantiles::positions(weights, n) {
        Some(positions) => {
            let value = |p: &quantiles::Position| {
                let next = values.get(p.below + 1).copied().unwrap_or(values[p.below]);
                let value = values[p.below] + (next - values[p.below]) / p.whole * p.part;
                if integer { value.floor() } else { value }
            };
            positions.iter().map(value).collect()
        }
        None => quantiles::cuts(weights, n).iter().map(|&i| values[i]).collect(),
    }
}

#[test]
fn samples_are_cut_as_in_dask() {
    each_case("quantile_divisions.jsonl", "divisions", 200, |case| {
        if case["fp_sensitive"] == true {
            return None;
        }
        let (weights, n) = (floats(&case["weights"]), size(&case["npartitions"]));
        let got = if case["dtype"] == "string" {
            json!(
                quantiles::cuts(&weights, n)
                    .iter()
                    .map(|&i| &case["values"][i])
                    .collect::<Vec<_>>()
            )
        } else {
            json!(cut(&floats(&case["values"]), &weights, n, case["dtype"] == "int64"))
        };
        Some((got, case["divisions"].clone()))
    });
}

/// The percentiles of a few values: between neighbours, or the nearest one, ties to the even place.
fn take(sorted: &[f64], percentile: f64, integer: bool) -> f64 {
    let at = percentile / 100.0 * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    if integer {
        sorted[at.round_ties_even() as usize]
    } else {
        sorted[below] + (sorted[above] - sorted[below]) * at.fract()
    }
}

#[test]
fn set_index_finds_the_divisions_of_dask() {
    each_case("quantile_divisions.jsonl", "set_index", 100, |case| {
        let integer = case["dtype"] == "int64";
        let mut parts: Vec<Vec<f64>> =
            case["partitions"].as_array().expect("parts").iter().map(floats).collect();
        let n = size(&case["npartitions"]);
        let n_old = parts.len();
        let sketches = parts.iter_mut().map(|part| {
            part.sort_by(f64::total_cmp);
            let percentiles =
                quantiles::percentiles(n_old, n, part.len(), 1.0, || unreachable!("small"));
            Sketch {
                values: percentiles.iter().map(|&q| take(part, q, integer)).collect(),
                weights: quantiles::weights(&percentiles, part.len()),
            }
        });
        let all = quantiles::merge(sketches);
        let got = quantiles::distinct(cut(&all.values, &all.weights, n, integer));
        let bounds: Vec<_> = parts.iter().map(|p| Some((p[0], p[p.len() - 1]))).collect();
        let sorted = quantiles::presorted(&bounds, case["ascending"] == false).is_some();
        Some((json!([got, sorted]), json!([case["divisions"], case["presorted"]])))
    });
}

/// Dask sends keys before the first division to the last partition; that is not copied.
#[test]
fn keys_find_their_partition_as_in_dask() {
    each_case("quantile_divisions.jsonl", "partition_ids", 100, |case| {
        let (divisions, descending) = (floats(&case["divisions_in"]), case["ascending"] == false);
        let inside = |v: &f64| divisions[0] <= *v;
        let pairs = floats(&case["values"]).into_iter().zip(sizes(&case["partition"]));
        let (got, expected): (Vec<usize>, Vec<usize>) = pairs
            .filter(|(v, _)| inside(v))
            .map(|(v, p)| {
                let ascending = quantiles::partition_of(&divisions, &v);
                (if descending { divisions.len() - 2 - ascending } else { ascending }, p)
            })
            .unzip();
        Some((json!(got), json!(expected)))
    });
}

/// Dask names the first partition twice where left keys begin before it; once is enough.
fn once(row: &Value) -> Vec<Value> {
    let mut row = row.as_array().expect("pairs").clone();
    if row.len() > 1 && row[0][0] == row[1][0] {
        row.remove(0);
        row[0][1] = Value::Null;
    }
    row
}

#[test]
fn as_of_partitions_are_paired_as_in_dask() {
    each_case("asof_pairs.jsonl", "case", 200, |case| {
        let pairs = pair_partitions(&integers(&case["left"]), &integers(&case["right"]));
        let rows: Vec<Vec<Value>> = pairs
            .iter()
            .map(|row| row.iter().map(|p| json!([p.right, p.lower, p.upper])).collect())
            .collect();
        let expected: Vec<_> = case["pairs"].as_array().expect("rows").iter().map(once).collect();
        Some((json!(rows), json!(expected)))
    });
}

#[test]
fn sketches_of_hashes_count_as_in_dask() {
    each_case("hll.jsonl", "registers", 100, |case| {
        let bits = size(&case["b"]) as u32;
        let mut sketch = HyperLogLog::new(bits);
        let hashes = case["hashes"].as_array().expect("hashes").iter();
        // Dask looks at the low 32 bits only: their first bits go to where we look for the index.
        for hash in hashes.map(|h| h.as_u64().expect("a hash") & 0xFFFF_FFFF) {
            let low = if hash == 0 { 1 << 32 } else { hash };
            sketch.insert((hash >> (32 - bits) << (64 - bits)) | low);
        }
        let filled = sketch.registers().iter().enumerate().filter(|(_, r)| **r > 0);
        let registers: Vec<_> = filled.map(|(i, r)| json!([i, r])).collect();
        Some((json!([registers, sketch.estimate()]), json!([case["registers"], case["estimate"]])))
    });
    each_case("hll.jsonl", "estimate", 30, |case| {
        let mut all = HyperLogLog::new(size(&case["b"]) as u32);
        for registers in case["registers"].as_array().expect("states") {
            let registers = sizes(registers).iter().map(|&r| r as u8).collect();
            assert!(all.merge(&HyperLogLog::from_registers(registers).expect("a power of two")));
        }
        // With 64 bits there is nothing to correct where 32 bits run out.
        (all.estimate() < f64::from(u32::MAX) / 30.0)
            .then(|| (json!(all.estimate()), case["estimate"].clone()))
    });
}
