//! Calls of polars that it would divide among threads of its own.
//!
//! A run has as many threads as its configuration says, and polars knows nothing of them. Most of its functions
//! take a flag for that. The others are called here: on a thread on which polars starts no work for others, while the
//! task waits, so that no more threads are busy than before. Such a thread can't be one of a pool of rayon's.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

use crossbeam::channel::{Sender, bounded, unbounded};
use polars_async::executor::ALLOW_RAYON_THREADS;

type Job = Box<dyn FnOnce() + Send>;

/// The threads that wait for a call. There are never more of them than there were calls at a time.
static IDLE: Mutex<Vec<Sender<Job>>> = Mutex::new(Vec::new());

/// Calls `call` on one thread, whatever polars does in it.
pub(crate) fn on_one_thread<R: Send + 'static>(call: impl FnOnce() -> R + Send + 'static) -> R {
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let Some(thread) = idle.or_else(start) else { return call() };
    let (tell, told) = bounded(1);
    let job = move || {
        let result: Result<R, Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(call));
        // Nobody waits only if the one who did is gone.
        let _ = tell.send(result);
    };
    thread.send(Box::new(job)).expect("a thread that is idle receives until its sender is dropped");
    let result = told.recv().expect("a job always tells its result");
    IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// A new thread; `None` if the system has none.
fn start() -> Option<Sender<Job>> {
    let (jobs, received) = unbounded::<Job>();
    let work = move || {
        ALLOW_RAYON_THREADS.set(false);
        for job in received {
            job();
        }
    };
    #[expect(clippy::disallowed_methods, reason = "it computes only while a task waits for it")]
    let thread = Builder::new().name("dask-rs-polars".into()).spawn(work);
    thread.ok().map(|_| jobs)
}

#[cfg(test)]
mod tests {
    use polars_core::runtime::RAYON;

    use super::*;

    #[test]
    fn polars_has_one_thread_and_panics_come_back() {
        let name = || std::thread::current().name().map(str::to_owned);
        for _ in 0..2 {
            assert_eq!(on_one_thread(|| RAYON.current_num_threads()), 1);
            let inside = on_one_thread(move || RAYON.install(name));
            assert_eq!(inside.as_deref(), Some("dask-rs-polars"));
            let panic = catch_unwind(|| on_one_thread(|| panic!("no {}", 7))).unwrap_err();
            assert_eq!(panic.downcast_ref::<String>().unwrap(), "no 7");
        }
    }
}
