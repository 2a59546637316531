//! Trouble in the middle of runs, and what they leave behind.
#![allow(dead_code, reason = "each program uses a part")]
#![allow(unreachable_pub, reason = "the module is compiled into several programs")]

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use dask_rs::{CancelToken, Error};

/// What happens in the middle of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A read is refused, or a task fails.
    Fails,
    /// A read ends too early.
    IsShort,
    /// A task panics.
    Panics,
    /// Somebody cancels.
    Cancels,
    /// The process is killed.
    IsKilled,
}

/// Lets the `k`-th call of each kind have trouble.
#[derive(Debug, Default)]
pub struct Script {
    trouble: Mutex<Option<(Trouble, usize)>>,
    pub n_reads: AtomicUsize,
    pub n_tasks: AtomicUsize,
    cancel: Mutex<CancelToken>,
}

impl Script {
    /// From now on, the `k`-th call, from 0, has this trouble. What a run is to be given, so that it can be cancelled.
    pub fn set(&self, trouble: Option<(Trouble, usize)>) -> CancelToken {
        *self.trouble.lock().unwrap() = trouble;
        self.n_reads.store(0, Ordering::SeqCst);
        self.n_tasks.store(0, Ordering::SeqCst);
        let cancel = CancelToken::new();
        *self.cancel.lock().unwrap() = cancel.clone();
        cancel
    }

    /// The trouble of the call that `calls` counts, if it is its turn.
    pub fn trouble(&self, calls: &AtomicUsize) -> Option<Trouble> {
        let n = calls.fetch_add(1, Ordering::SeqCst);
        let (trouble, k) = (*self.trouble.lock().unwrap())?;
        (n == k).then_some(trouble)
    }

    /// Cancels the run that was given what `set` returned.
    pub fn cancel(&self) {
        self.cancel.lock().unwrap().cancel();
    }
}

/// Checks that `error` is that of `trouble`; one that fails says all of `refused`.
#[track_caller]
pub fn check_error(trouble: Trouble, error: &Error, refused: &[&str]) {
    let text = error.to_string();
    match trouble {
        Trouble::Fails | Trouble::IsShort => {
            assert!(matches!(error, Error::TaskFailed { .. }), "{text}");
            assert!(refused.iter().all(|part| text.contains(part)), "{text}");
        }
        Trouble::Panics => {
            assert!(matches!(error, Error::TaskPanicked { .. }), "{text}");
            assert!(text.contains("on purpose") && text.contains("faults.rs"), "{text}");
        }
        Trouble::Cancels => assert!(matches!(error, Error::Cancelled), "{text}"),
        Trouble::IsKilled => panic!("it lives: {text}"),
    }
}

/// The names in a directory, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// How many threads and open files this process has, where the system tells.
pub fn threads_and_files() -> [usize; 2] {
    ["/proc/self/task", "/proc/self/fd"].map(|dir| fs::read_dir(dir).map_or(0, Iterator::count))
}
