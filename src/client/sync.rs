//! The locks and threads of clients, and what each thread has for itself.
//!
//! These are those of the standard library, and the pool of computations. In tests a model checker can take their place
//! (`testing.rs`), so that what it finds holds for the very code that runs.

#[cfg(not(test))]
pub(super) use real::*;
#[cfg(test)]
pub(super) use testing::*;

#[cfg(test)]
mod testing;

#[cfg(not(test))]
mod real {
    use std::cell::RefCell;
    use std::sync::Arc;
    use std::thread::Builder;

    pub(in super::super) use std::sync::atomic::AtomicUsize;
    pub(in super::super) use std::sync::{Condvar, Mutex, MutexGuard};

    use rayon::ThreadPool;

    use crate::config::Ambient;
    use crate::error::Result;
    use crate::sched::thread_pool;

    /// How often a thread looks before it sleeps: what is short is not worth two changes of threads.
    pub(in super::super) const N_LOOKS: usize = 200;

    pub(in super::super) type Pool = Arc<ThreadPool>;

    pub(in super::super) fn pool(n_threads: usize) -> Result<Pool> {
        thread_pool(n_threads)
    }

    pub(in super::super) fn is_in_pool() -> bool {
        rayon::current_thread_index().is_some()
    }

    /// Lets a thread of a pool do something else first.
    pub(in super::super) fn yield_now() {
        rayon::yield_now();
    }

    /// Starts a thread beside the pool; whether the system has one more.
    pub(in super::super) fn spawn_beside(work: impl FnOnce() + Send + 'static) -> bool {
        let builder = Builder::new().name("dask-rs-beside".into());
        #[expect(clippy::disallowed_methods, reason = "another thread of the budget waits")]
        builder.spawn(work).is_ok()
    }

    /// Calls a task with its settings.
    pub(in super::super) fn enter<R>(ambient: &Ambient, task: impl FnOnce() -> R) -> R {
        ambient.enter(task)
    }

    /// Whether this thread is in no task, be it of a client or of a computation.
    pub(in super::super) fn is_between_tasks() -> bool {
        Ambient::depth() == 0
    }

    /// What each thread has for itself, in a variable of threads.
    #[derive(Default)]
    pub(in super::super) struct Own<T>(RefCell<T>);

    impl<T> Own<T> {
        pub(in super::super) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            f(&mut self.0.borrow_mut())
        }
    }
}
