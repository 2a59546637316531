//! The same with a model checker in their place, where one is at work.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;
use std::sync::{Arc, LockResult, PoisonError};
use std::time::Duration;

use rayon::ThreadPool;
use shuttle::current::{TaskId, try_get_current_task};

use crate::config::Ambient;
use crate::error::Result;
use crate::sched::thread_pool;

/// Few, so that threads come to sleep.
pub(in super::super) const N_LOOKS: usize = 2;

fn is_model() -> bool {
    try_get_current_task().is_some()
}

pub(in super::super) enum Mutex<T> {
    Real(std::sync::Mutex<T>),
    Model(shuttle::sync::Mutex<T>),
}

pub(in super::super) enum MutexGuard<'a, T> {
    Real(std::sync::MutexGuard<'a, T>),
    Model(shuttle::sync::MutexGuard<'a, T>),
}

impl<T> Mutex<T> {
    pub(in super::super) fn new(value: T) -> Self {
        match is_model() {
            true => Mutex::Model(shuttle::sync::Mutex::new(value)),
            false => Mutex::Real(std::sync::Mutex::new(value)),
        }
    }

    pub(in super::super) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(match self {
            Mutex::Real(lock) => {
                MutexGuard::Real(lock.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Mutex::Model(lock) => {
                MutexGuard::Model(lock.lock().unwrap_or_else(PoisonError::into_inner))
            }
        })
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            MutexGuard::Real(guard) => guard,
            MutexGuard::Model(guard) => guard,
        }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match self {
            MutexGuard::Real(guard) => guard,
            MutexGuard::Model(guard) => guard,
        }
    }
}

pub(in super::super) enum Condvar {
    Real(std::sync::Condvar),
    Model(shuttle::sync::Condvar),
}

const OF_ONE_KIND: &str = "what is made in a model stays there";

impl Condvar {
    pub(in super::super) fn wait<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
    ) -> LockResult<MutexGuard<'a, T>> {
        Ok(match (self, guard) {
            (Condvar::Real(changed), MutexGuard::Real(guard)) => {
                MutexGuard::Real(changed.wait(guard).unwrap_or_else(PoisonError::into_inner))
            }
            (Condvar::Model(changed), MutexGuard::Model(guard)) => {
                MutexGuard::Model(changed.wait(guard).unwrap_or_else(PoisonError::into_inner))
            }
            _ => unreachable!("{OF_ONE_KIND}"),
        })
    }

    /// In a model there is no time.
    pub(in super::super) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        match (self, guard) {
            (Condvar::Real(changed), MutexGuard::Real(guard)) => {
                let woken = changed.wait_timeout(guard, time);
                Ok((MutexGuard::Real(woken.unwrap_or_else(PoisonError::into_inner).0), ()))
            }
            _ => unreachable!("{OF_ONE_KIND}"),
        }
    }

    pub(in super::super) fn notify_all(&self) {
        match self {
            Condvar::Real(changed) => changed.notify_all(),
            Condvar::Model(changed) if !LOSES_WAKE_UPS.get() => changed.notify_all(),
            Condvar::Model(_) => {}
        }
    }
}

impl Default for Condvar {
    fn default() -> Self {
        match is_model() {
            true => Condvar::Model(shuttle::sync::Condvar::new()),
            false => Condvar::Real(std::sync::Condvar::new()),
        }
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar")
    }
}

#[derive(Debug)]
pub(in super::super) enum AtomicUsize {
    Real(std::sync::atomic::AtomicUsize),
    Model(shuttle::sync::atomic::AtomicUsize),
}

impl AtomicUsize {
    pub(in super::super) fn load(&self, order: Ordering) -> usize {
        match self {
            AtomicUsize::Real(number) => number.load(order),
            AtomicUsize::Model(number) => number.load(order),
        }
    }

    pub(in super::super) fn fetch_add(&self, n: usize, order: Ordering) -> usize {
        match self {
            AtomicUsize::Real(number) => number.fetch_add(n, order),
            AtomicUsize::Model(number) => number.fetch_add(n, order),
        }
    }

    pub(in super::super) fn fetch_sub(&self, n: usize, order: Ordering) -> usize {
        match self {
            AtomicUsize::Real(number) => number.fetch_sub(n, order),
            AtomicUsize::Model(number) => number.fetch_sub(n, order),
        }
    }
}

impl Default for AtomicUsize {
    fn default() -> Self {
        match is_model() {
            true => AtomicUsize::Model(shuttle::sync::atomic::AtomicUsize::new(0)),
            false => AtomicUsize::Real(std::sync::atomic::AtomicUsize::new(0)),
        }
    }
}

/// What each thread has for itself. All threads of a model are one for the operating system.
pub(in super::super) struct Own<T>(RefCell<HashMap<Option<TaskId>, T>>);

impl<T> Default for Own<T> {
    fn default() -> Self {
        Own(RefCell::default())
    }
}

impl<T: Default> Own<T> {
    pub(in super::super) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(self.0.borrow_mut().entry(try_get_current_task()).or_default())
    }
}

thread_local! {
    /// Whether models are broken on purpose.
    pub(in super::super) static LOSES_WAKE_UPS: Cell<bool> = const { Cell::new(false) };
    /// How many tasks a thread of a model is in.
    static DEPTH: Own<usize> = Own::default();
    /// The pool that a thread of a model is of.
    static POOL: Own<Option<Arc<ModelPool>>> = Own::default();
}

pub(in super::super) fn enter<R>(ambient: &Ambient, task: impl FnOnce() -> R) -> R {
    if !is_model() {
        return ambient.enter(task);
    }
    DEPTH.with(|own| own.with(|depth| *depth += 1));
    // Panics of tasks were caught.
    let result = task();
    DEPTH.with(|own| own.with(|depth| *depth -= 1));
    result
}

pub(in super::super) fn is_between_tasks() -> bool {
    match is_model() {
        true => DEPTH.with(|own| own.with(|depth| *depth == 0)),
        false => Ambient::depth() == 0,
    }
}

pub(in super::super) fn spawn_beside(work: impl FnOnce() + Send + 'static) -> bool {
    if is_model() {
        drop(shuttle::thread::spawn(work));
        return true;
    }
    #[expect(clippy::disallowed_methods, reason = "as `sync.rs` does")]
    let spawned = std::thread::Builder::new().spawn(work);
    spawned.is_ok()
}

/// Threads of a model sleep until they are woken, so that a call that is forgotten is seen.
pub(in super::super) fn is_in_pool() -> bool {
    !is_model() && rayon::current_thread_index().is_some()
}

pub(in super::super) fn yield_now() {
    if !is_model() {
        rayon::yield_now();
        return;
    }
    shuttle::thread::yield_now();
    if let Some(pool) = POOL.with(|own| own.with(|pool| pool.clone())) {
        pool.run_one();
    }
}

pub(in super::super) enum Pool {
    Real(Arc<ThreadPool>),
    Model(Arc<ModelPool>),
}

type Job = Box<dyn FnOnce() + Send>;

/// A pool with a thread for each job, which another one may take first when it yields.
pub(in super::super) struct ModelPool {
    n_threads: usize,
    jobs: shuttle::sync::Mutex<VecDeque<Job>>,
}

impl ModelPool {
    fn run_one(&self) {
        let job = self.jobs.lock().unwrap().pop_front();
        if let Some(job) = job {
            job();
        }
    }
}

pub(in super::super) fn pool(n_threads: usize) -> Result<Pool> {
    Ok(match is_model() {
        true => {
            let jobs = shuttle::sync::Mutex::default();
            Pool::Model(Arc::new(ModelPool { n_threads, jobs }))
        }
        false => Pool::Real(thread_pool(n_threads)?),
    })
}

impl Pool {
    pub(in super::super) fn current_num_threads(&self) -> usize {
        match self {
            Pool::Real(pool) => pool.current_num_threads(),
            Pool::Model(pool) => pool.n_threads,
        }
    }

    pub(in super::super) fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        match self {
            Pool::Real(pool) => pool.spawn(job),
            Pool::Model(pool) => {
                pool.jobs.lock().unwrap().push_back(Box::new(job));
                let pool = Arc::clone(pool);
                drop(shuttle::thread::spawn(move || {
                    POOL.with(|own| own.with(|own| *own = Some(Arc::clone(&pool))));
                    pool.run_one();
                    POOL.with(|own| own.with(|own| *own = None));
                }));
            }
        }
    }
}
