//! Small numbers for threads, and how many tasks of theirs lie on each other.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A thread that runs tasks, or whatever else does one thing after another: a slot of a worker process, a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thread(pub(crate) u32);

impl Thread {
    /// The calling thread.
    pub(crate) fn current() -> Self {
        // While a thread ends it has no number any more, and runs nothing.
        OWN.try_with(|own| own.0).unwrap_or(Thread(0))
    }

    /// What is no thread of this process, but does one thing after another.
    #[cfg(feature = "dist")]
    pub(crate) fn named(name: &str) -> Self {
        let mut names = names();
        match names.all.iter().position(|other| **other == *name) {
            Some(number) => Thread(number as u32),
            None => names.push(name.into()),
        }
    }

    /// Its name. Threads of a pool have different ones.
    #[must_use]
    pub fn name(self) -> Arc<str> {
        let names = names();
        names.all.get(self.0 as usize).map_or_else(|| "?".into(), Arc::clone)
    }
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

thread_local! {
    static OWN: Own = Own::take();
    /// How many tasks this thread is in.
    static DEPTH: Cell<u16> = const { Cell::new(0) };
}

/// Takes note that the calling thread begins a task; how many it was in.
pub(crate) fn enter_task() -> u16 {
    DEPTH.with(|depth| depth.replace(depth.get().saturating_add(1)))
}

/// Takes note that the task that began last has ended.
pub(crate) fn leave_task() {
    DEPTH.with(|depth| depth.set(depth.get().saturating_sub(1)));
}

/// The number of a living thread. Threads of the same name share it one after another, so that there are
/// only as many as live at once.
struct Own(Thread);

impl Own {
    fn take() -> Self {
        let current = std::thread::current();
        let mut names = names();
        let name: Arc<str> = match current.name() {
            Some(name) => name.into(),
            None => "unnamed thread".into(),
        };
        let idle = names.idle.get_mut(&name).and_then(Vec::pop);
        Own(idle.unwrap_or_else(|| names.push(name)))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut names = names();
        let name = Arc::clone(&names.all[self.0.0 as usize]);
        names.idle.entry(name).or_default().push(self.0);
    }
}

#[derive(Default)]
struct Names {
    all: Vec<Arc<str>>,
    /// The numbers of threads that have ended.
    idle: HashMap<Arc<str>, Vec<Thread>>,
}

impl Names {
    fn push(&mut self, name: Arc<str>) -> Thread {
        self.all.push(name);
        Thread((self.all.len() - 1) as u32)
    }
}

fn names() -> MutexGuard<'static, Names> {
    static NAMES: OnceLock<Mutex<Names>> = OnceLock::new();
    NAMES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number_of(name: &str) -> (Thread, Arc<str>) {
        let builder = std::thread::Builder::new().name(name.into());
        #[expect(clippy::disallowed_methods, reason = "threads are what is tested")]
        let thread = builder.spawn(|| (Thread::current(), Thread::current().name())).unwrap();
        thread.join().unwrap()
    }

    #[test]
    fn numbers_of_ended_threads_go_to_threads_of_the_same_name() {
        let first = number_of("observe-test-a");
        assert_eq!(&*first.1, "observe-test-a");
        assert_eq!(number_of("observe-test-a"), first);
        assert_ne!(number_of("observe-test-b").0, first.0);
    }

    #[test]
    fn tasks_in_tasks_are_deeper() {
        assert_eq!((enter_task(), enter_task()), (0, 1));
        leave_task();
        assert_eq!(enter_task(), 1);
        leave_task();
        leave_task();
        assert_eq!(enter_task(), 0);
        leave_task();
    }
}
