//! Reports are one file, whole at any time.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use dask_rs::diagnostics::{Profile, profile};
use dask_rs::prelude::*;
use serde_json::Value;

use super::{named, waves};

const PART: &str = "<script type=\"application/json\" class=\"part\">";

/// The parts of a report, as a browser would read them.
pub(super) fn parts(html: &str) -> Vec<Value> {
    assert!(html.starts_with("<!doctype html>"));
    let texts = html.split(PART).skip(1).map(|rest| rest.split("</script>").next().unwrap());
    texts.filter_map(|text| serde_json::from_str(text).ok()).collect()
}

/// How many tasks of the operations whose name contains `name` have run, as the last part says.
fn n_finished(parts: &[Value], name: &str) -> u64 {
    let ops = parts.last().unwrap()["ops"].as_array().unwrap();
    let of_name = ops.iter().filter(|op| op[0].as_str().unwrap().contains(name));
    of_name.map(|op| op[2].as_u64().unwrap()).sum()
}

fn n_in_bars(parts: &[Value]) -> u64 {
    let closed = parts.iter().flat_map(|part| part["bars"].as_array().unwrap());
    let growing = parts.last().unwrap()["growing"].as_array().unwrap();
    closed.chain(growing).map(|bar| bar[5].as_u64().unwrap()).sum()
}

#[test]
fn a_report_has_all_that_ran() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    let x = waves(5000, 10);
    let n_tasks = dask_rs::explain(x.sum(..)).unwrap().n_tasks().unwrap();
    profile(&path, || x.sum(..).compute()).unwrap().unwrap();
    let html = fs::read_to_string(&path).unwrap();
    let parts = parts(&html);
    assert_eq!(n_finished(&parts, ""), n_tasks);
    assert_eq!(n_in_bars(&parts), n_tasks);
    assert_eq!(parts.last().unwrap()["end"], true);
    assert!(
        parts
            .iter()
            .any(|part| part["pictures"][0][1].as_str().is_some_and(|svg| svg.starts_with("<svg")))
    );
    for elsewhere in ["src=\"http", "href=\"http", "@import", "url(http"] {
        assert!(!html.contains(elsewhere), "nothing is loaded: {elsewhere}");
    }
}

#[test]
fn many_tasks_are_a_small_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    let x = waves(10_000, 1);
    profile(&path, || x.compute()).unwrap().unwrap();
    let html = fs::read_to_string(&path).unwrap();
    assert_eq!(n_in_bars(&parts(&html)), dask_rs::explain(&x).unwrap().n_tasks().unwrap());
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
}

/// A run goes on while many others begin and end inside of it.
#[test]
fn a_run_that_goes_on_hides_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    let profile = std::sync::Arc::new(Profile::create(&path).unwrap());
    let written = std::sync::Arc::clone(&profile);
    let x: Array<f64> = array::ones([1], [1]);
    let inner = x.clone();
    let outer = x.map_blocks(move |block, _| {
        (0..300).for_each(|_| drop(inner.compute().unwrap()));
        written.flush().unwrap();
        block.to_owned()
    });
    profile.scope(|| outer.compute()).unwrap();
    let has_ended = || {
        let parts = parts(&fs::read_to_string(&path).unwrap());
        let runs = parts.iter().flat_map(|part| part["runs"].as_array().unwrap());
        let told = runs.map(|run| (run[0].as_u64().unwrap(), !run[4].is_null()));
        // The last word on each counts.
        told.collect::<std::collections::BTreeMap<_, _>>()
    };
    let told = has_ended();
    assert_eq!((told.len(), told.values().filter(|ended| **ended).count()), (301, 300));
    profile.flush().unwrap();
    assert!(has_ended().values().all(|ended| *ended));
}

#[test]
fn names_are_texts() {
    let name = "</script><img src=x onerror=alert(1)><!--";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    let profile = Profile::new();
    profile.scope(|| named(name).sum(..).compute()).unwrap();
    profile.to_html(&path).unwrap();
    let html = fs::read_to_string(&path).unwrap();
    assert!(!html.contains("<img"));
    assert!(n_finished(&parts(&html), name) > 0);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_with_the_users_line() {
    let error = Profile::create("/nowhere/at/all.html").unwrap_err().to_string();
    assert!(error.contains("/nowhere/at/all.html") && error.contains("reports.rs"), "{error}");
}

const CHILD: &str = "DASK_RS_REPORT_OF_CHILD";

/// Computes, writes what has run, says so, and never ends.
#[test]
fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let profile = std::sync::Arc::new(Profile::start(path).unwrap());
    waves(100, 10).sum(..).compute().unwrap();
    let written = std::sync::Arc::clone(&profile);
    let x: Array<f64> = array::ones([3], [3]);
    let stuck = x.map_blocks(move |_, _| -> ndarray::ArrayD<f64> {
        written.flush().unwrap();
        writeln!(std::io::stdout(), "\nready").unwrap();
        loop {
            std::thread::park();
        }
    });
    stuck.compute().unwrap();
}

#[test]
fn a_report_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    kill_when_ready(&path);
    let mut html = fs::read_to_string(&path).unwrap();
    let n_tasks = dask_rs::explain(waves(100, 10).sum(..)).unwrap().n_tasks().unwrap();
    for _ in 0..2 {
        let parts = parts(&html);
        let last = parts.last().unwrap();
        assert_eq!(n_finished(&parts, ""), n_tasks);
        assert_eq!(last["end"], false);
        // What it was at when it ended.
        let running = last["running"][0].as_array().unwrap();
        let op = &last["ops"][running[1].as_u64().unwrap() as usize][0];
        assert!(op.as_str().unwrap().contains("map_blocks"), "{op}");
        // A part that was torn is left out.
        html.push_str(PART);
        html.push_str("{\"now\":12,\"li");
    }
}

fn kill_when_ready(path: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["reports::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_ready = lines.map_while(Result::ok).any(|line| line == "ready");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(is_ready, "the child ended too early");
}
