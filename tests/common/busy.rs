//! Which threads of this process were busy.
#![allow(dead_code, reason = "each program uses a part")]
#![allow(unreachable_pub, reason = "the module is compiled into several programs")]

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use dask_rs::Result;

use crate::child::output_of_child;

/// More than it takes to start a thread that then does nothing.
const IDLE: Duration = Duration::from_millis(3);

/// Runs the test `child` of a module in a process of its own, which ends with "all was run" if nothing was busy beside the
/// threads of the configuration.
pub fn check_child(module: &str) {
    if busy().is_none() {
        eprintln!("skipped: this system does not tell how long threads ran");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = output_of_child(module, "threads", 1 << 30, dir.path());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("all was run"), "{text}");
}

/// The threads that were busy while `run` ran, and are neither those of the configuration nor the one that asks.
pub fn others_in(name: &str, run: impl FnOnce() -> Result<()>) -> Vec<String> {
    let before = busy().expect("this system tells how long threads ran");
    run().unwrap_or_else(|error| panic!("{name}: {error}"));
    let times = busy().expect("as before").into_iter().map(|(thread, time)| {
        let before = before.get(&thread).copied().unwrap_or_default();
        (thread.1, time.saturating_sub(before))
    });
    let others = times.filter(|(thread, time)| !is_ours(thread) && *time > IDLE);
    others.map(|(thread, time)| format!("{name}: {time:?} on {thread}")).collect()
}

/// Pools of ours, and the thread that asks.
fn is_ours(thread: &str) -> bool {
    thread.starts_with("dask-rs") || thread == name_of_this_thread()
}

fn name_of_this_thread() -> String {
    fs::read_to_string("/proc/thread-self/comm").unwrap_or_default().trim().to_owned()
}

/// How long each thread of this process ran until now, by number and name; `None` where the system does not tell.
pub fn busy() -> Option<BTreeMap<(u64, String), Duration>> {
    let mut all = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").ok()? {
        let task = task.ok()?;
        let number = task.file_name().to_str()?.parse().ok()?;
        // A thread may have ended meanwhile.
        let read = |file| fs::read_to_string(task.path().join(file));
        let (Ok(name), Ok(times)) = (read("comm"), read("schedstat")) else { continue };
        let ns = times.split(' ').next()?.parse().ok()?;
        all.insert((number, name.trim().to_owned()), Duration::from_nanos(ns));
    }
    Some(all)
}
