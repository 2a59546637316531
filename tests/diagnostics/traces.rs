//! Traces are JSON, and events of a thread lie beside or within each other.

use std::collections::BTreeMap;
use std::fs;

use dask_rs::diagnostics::Trace;
use dask_rs::prelude::*;
use serde_json::Value;

use super::{executors, more_than_fits, named, waves};

fn traced(config: &Config, work: impl FnOnce()) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace.json");
    let trace = Trace::create(&path).unwrap();
    trace.scope(|| config.scope(work));
    trace.finish().unwrap();
    let events: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    events.as_array().unwrap().clone()
}

fn tasks(events: &[Value]) -> Vec<&Value> {
    events.iter().filter(|event| event["ph"] == "X").collect()
}

/// Start and end in whole nanoseconds.
fn times(event: &Value) -> (i64, i64) {
    let ns = |name: &str| (event[name].as_f64().unwrap() * 1000.0).round() as i64;
    (ns("ts"), ns("ts") + ns("dur"))
}

/// Of two events of a thread, one ends before the other begins, or lies within it. The deepest nesting.
fn check_nesting(events: &[Value]) -> usize {
    let mut by_thread: BTreeMap<u64, Vec<(i64, i64)>> = BTreeMap::new();
    for event in tasks(events) {
        by_thread.entry(event["tid"].as_u64().unwrap()).or_default().push(times(event));
    }
    let mut deepest = 0;
    for spans in by_thread.values_mut() {
        spans.sort_by_key(|(start, end)| (*start, -end));
        let mut open: Vec<i64> = Vec::new();
        for (start, end) in spans {
            open.retain(|other| other > start);
            assert!(open.iter().all(|other| other >= end), "{start} to {end} in {open:?}");
            open.push(*end);
            deepest = deepest.max(open.len());
        }
    }
    deepest
}

#[test]
fn all_tasks_are_events_with_their_blocks() {
    let x = waves(3000, 10);
    for config in executors() {
        let events = traced(&config, || drop(compute((x.sum(..), x.std(..))).unwrap()));
        let n_tasks = dask_rs::explain((x.sum(..), x.std(..))).unwrap().n_tasks().unwrap();
        let tasks = tasks(&events);
        assert_eq!(tasks.len() as u64, n_tasks);
        let mut blocks: Vec<String> = tasks
            .iter()
            .map(|task| format!("{} {}", task["name"], task["args"]["block"]))
            .collect();
        blocks.sort();
        blocks.dedup();
        assert!(blocks.len() > 300, "{} different blocks", blocks.len());
        assert!(tasks.iter().all(|task| task["cat"] == "task" && task["args"]["ok"] == true));
        assert!(check_nesting(&events) <= 1);
        let named: Vec<_> = events.iter().filter(|event| event["name"] == "thread_name").collect();
        for task in &tasks {
            assert!(named.iter().any(|name| name["tid"] == task["tid"]));
        }
        let mut memory = events.iter().filter(|event| event["ph"] == "C");
        assert_eq!(memory.next_back().unwrap()["args"]["bytes"], 0);
    }
}

#[test]
fn tasks_in_tasks_lie_within_them() {
    let x: Array<f64> = array::ones([40], [10]);
    let y = x.map_blocks(|block, _| {
        let inner = waves(100, 10).sum(..).compute().expect("it is computed");
        block.mapv(|v| v + inner[[]])
    });
    for config in executors() {
        let events = traced(&config, || drop(y.compute().unwrap()));
        assert!(check_nesting(&events) >= 2);
    }
}

#[test]
fn the_disk_has_a_lane() {
    let (result, config) = more_than_fits();
    let events = traced(&config.with_threads(2), || drop(result.compute().unwrap()));
    let kinds = |kind: &str| tasks(&events).iter().filter(|task| task["cat"] == kind).count();
    assert!(kinds("write to disk") > 0 && kinds("read from disk") > 0);
    check_nesting(&events);
}

#[test]
fn names_may_be_anything() {
    let name = "a \"quoted\" \\ name\nof two lines 🦀 </script>";
    let events = traced(&Config::new(), || drop(named(name).compute().unwrap()));
    let read = format!("read {name}");
    assert!(tasks(&events).iter().any(|task| task["name"].as_str().unwrap().contains(&read)));
}
