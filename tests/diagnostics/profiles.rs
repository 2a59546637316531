//! What a profile counts.

use dask_rs::diagnostics::{Bar, Profile};
use dask_rs::prelude::*;

use super::{executors, more_than_fits, named, waves};

#[test]
fn every_task_is_counted_once_with_its_bytes() {
    let x = waves(4000, 100);
    let y = compute((x.mean(..), x.std(..)));
    let n_tasks = dask_rs::explain((x.mean(..), x.std(..))).unwrap().n_tasks().unwrap();
    for config in executors() {
        let profile = Profile::new();
        let seen = profile.scope(|| config.scope(|| compute((x.mean(..), x.std(..)))));
        assert_eq!(seen.unwrap(), y.clone().unwrap());
        let operations = profile.operations();
        assert_eq!(operations.iter().map(|op| op.n_tasks).sum::<u64>(), n_tasks);
        assert!(operations.iter().all(|op| op.n_finished == op.n_tasks && op.n_failed == 0));
        assert!(operations.iter().all(|op| op.longest_ns <= op.busy_ns));
        let runs = profile.runs();
        assert_eq!(runs.len(), 1);
        let run = &runs[0];
        assert_eq!((run.n_tasks, run.n_finished, run.error.clone()), (n_tasks, n_tasks, None));
        assert!(run.call.starts_with("compute at tests/diagnostics/profiles.rs:"), "{}", run.call);
        assert!(run.end_ns.unwrap() >= run.start_ns && run.peak_bytes <= run.memory_limit);
        check_stream(&profile, n_tasks);
        let memory = profile.memory();
        assert!(memory.is_sorted_by(|a, b| a.at_ns < b.at_ns));
        let most = memory.iter().map(|sample| sample.bytes).max().unwrap();
        assert!(0 < most && most <= run.peak_bytes);
    }
}

/// Bars of a lane don't overlap, and stand for all tasks.
fn check_stream(profile: &Profile, n_tasks: u64) {
    let mut bars = profile.task_stream();
    assert_eq!(bars.iter().map(|bar| u64::from(bar.n_tasks)).sum::<u64>(), n_tasks);
    bars.sort_by_key(|bar| (bar.lane, bar.start_ns));
    assert!(bars.iter().all(|bar: &Bar| bar.busy_ns <= bar.end_ns - bar.start_ns));
    for pair in bars.windows(2).filter(|pair| pair[0].lane == pair[1].lane) {
        assert!(pair[0].end_ns <= pair[1].start_ns, "{pair:?}");
    }
    assert!(bars.iter().all(|bar| (bar.lane as usize) < profile.lanes().len()));
}

#[test]
fn the_table_names_operations_and_memory() {
    let profile = Profile::new();
    profile.scope(|| named("the lake").sum(..).compute()).unwrap();
    let table = profile.to_string();
    assert!(table.contains("read the lake") && table.contains("1 runs; peak memory"), "{table}");
}

#[test]
fn what_goes_to_disk_is_told() {
    let (result, config) = more_than_fits();
    let expected = result.compute().unwrap();
    for config in
        [config.clone().with_threads(2), config.with_executor(dask_rs::ExecutorKind::Serial)]
    {
        let profile = Profile::new();
        assert_eq!(profile.scope(|| config.scope(|| result.compute())).unwrap(), expected);
        let spilled = profile.runs()[0].spilled_bytes;
        assert!(spilled > 0);
        let operations = profile.operations();
        let disk = |name: &str| operations.iter().find(|op| &*op.op == name).unwrap().clone();
        let (written, read) = (disk("write to disk"), disk("read from disk"));
        assert_eq!(written.bytes, spilled);
        assert!(read.n_finished > 0 && written.n_tasks == 0);
        assert!(profile.lanes().iter().any(|lane| &*lane.thread == "dask-rs-spill"));
        assert!(profile.to_string().contains("written to disk"), "{profile}");
    }
}

#[test]
fn failures_are_counted_and_explained() {
    let x: Array<f64> = array::ones([10], [5]);
    let y = x.map_blocks(|block, info| {
        assert!(info.block != [1], "no luck");
        block.to_owned()
    });
    for config in executors() {
        let profile = Profile::new();
        profile.scope(|| config.scope(|| y.compute())).unwrap_err();
        let failed: u64 = profile.operations().iter().map(|op| op.n_failed).sum();
        assert_eq!(failed, 1);
        assert!(profile.task_stream().iter().any(|bar| !bar.is_ok));
        let error = profile.runs()[0].error.clone().unwrap();
        assert!(error.contains("no luck"), "{error}");
    }
}

#[test]
fn runs_inside_of_tasks_lie_on_lanes_of_their_own() {
    let x: Array<f64> = array::ones([40], [10]);
    let y = x.map_blocks(|block, _| {
        let inner = waves(100, 10).sum(..).compute().expect("it is computed");
        block.mapv(|v| v + inner[[]])
    });
    for config in executors() {
        let profile = Profile::new();
        profile.scope(|| config.scope(|| y.compute())).unwrap();
        assert_eq!(profile.runs().len(), 5);
        assert!(profile.lanes().iter().any(|lane| lane.depth == 1));
        let n_tasks = profile.runs().iter().map(|run| run.n_tasks).sum();
        check_stream(&profile, n_tasks);
    }
}

#[test]
fn a_thousand_runs_are_remembered_and_all_are_counted() {
    let profile = Profile::new();
    let x: Array<f64> = array::ones([2], [1]);
    let config = Config::new().with_executor(dask_rs::ExecutorKind::Serial);
    profile.scope(|| {
        config.scope(|| (0..1010).for_each(|_| drop(x.compute().unwrap())));
    });
    assert_eq!(profile.runs().len(), 1000);
    let n_tasks: u64 = profile.operations().iter().map(|op| op.n_finished).sum();
    assert_eq!(n_tasks, 2020);
}
