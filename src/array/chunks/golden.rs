//! Checks the planning functions against what Dask and NumPy answer.
//!
//! The cases lie beside the repository, not in it. Without them these tests say so and pass.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::*;
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
        same(normalize(case).ok(), case.get("chunks").map(chunks))
    });
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
