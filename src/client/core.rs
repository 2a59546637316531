//! The shell around the state of a client: worker loops, and threads that wait.
//!
//! A loop takes the best ready task until there is none, and ends. Loops run on the pool of computations, so both share its
//! threads. Whoever changes the state asks for one more loop if a task could start and no loop is looking for one:
//! that is why no task is forgotten, and why loops start in a cascade.
//!
//! A thread that waits for a task runs it itself if it has not started. Otherwise the task that it is in is suspended: its
//! resources and its place among the threads go to others, which a thread outside of the pool runs meanwhile.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::future::Held;
use super::promise::{Bell, Promise, contained};
use super::state::{Effects, End, State, TaskId};
use super::sync::{self, Mutex, MutexGuard, Own, Pool};
use super::watched::Watched;
use crate::config::Ambient;
use crate::error::{Call, Error, FailedTask, Result};
use crate::function::{Bound, Shared};
use crate::sched::job::{Names, named};

/// What the handles and loops of one client share.
pub(super) struct Core {
    shared: Mutex<Inside>,
    pool: Pool,
    /// The settings that hold inside of tasks.
    ambient: Ambient,
    /// If somebody watches.
    pub(super) watched: Option<Watched>,
}

/// What is behind the lock.
pub(super) struct Inside {
    pub(super) state: State<Entry>,
    /// Loops that look for a task, or were asked for.
    n_looking: usize,
    /// Loops that are on the pool or on their way there, also those whose tasks wait.
    n_on_pool: usize,
    bells: Vec<Bell>,
    /// What must not be dropped under the lock, because users' values may do anything.
    garbage: Vec<Garbage>,
}

enum Garbage {
    #[expect(dead_code, reason = "it is only dropped")]
    Work(Arc<Work>),
    #[expect(dead_code, reason = "it is only dropped")]
    Handle(Arc<Held>),
    #[expect(dead_code, reason = "it is only dropped")]
    Outcome(Option<Result<Shared>>),
}

/// What the state keeps for each task.
pub(super) struct Entry {
    /// Until there is a value.
    pub(super) work: Option<Arc<Work>>,
    pub(super) promise: Arc<Promise>,
    pub(super) n_retries: u32,
    /// Kept when the task has its resources again.
    pub(super) resumed: Option<Arc<Promise>>,
    /// The task's own handle, if its user let go of it; until it has ended.
    pub(super) detached: Option<Arc<Held>>,
}

/// A call that can be made any number of times.
pub(super) struct Work {
    pub(super) call: Call,
    pub(super) name: fn() -> String,
    pub(super) named: Option<Arc<str>>,
    pub(super) bound: Arc<Bound>,
    pub(super) inputs: Vec<Arc<Promise>>,
    /// The position of its name among those that observers were told.
    pub(super) layer: u32,
}

/// A task that runs on this thread.
#[derive(Clone)]
struct Frame {
    core: Arc<Core>,
    task: TaskId,
}

/// What a thread is inside of.
#[derive(Default)]
struct Here {
    /// Tasks, the innermost last; `None` where it waits and does something else meanwhile.
    frames: Vec<Option<Frame>>,
    /// The client whose loop it is in, if it is one of a pool.
    in_loop: Option<*const Core>,
}

thread_local! {
    static HERE: Own<Here> = Own::default();
}

fn here<R>(f: impl FnOnce(&mut Here) -> R) -> R {
    HERE.with(|own| own.with(f))
}

/// How deep tasks may lie in each other on one stack, each waiting for the next.
const FRAMES_MAX: usize = 24;

impl Core {
    pub(super) fn new(
        capacity: Vec<i128>,
        pool: Pool,
        ambient: Ambient,
        watched: Option<Watched>,
    ) -> Self {
        let state = State::new(capacity);
        let shared =
            Inside { state, n_looking: 0, n_on_pool: 0, bells: Vec::new(), garbage: Vec::new() };
        Core { shared: Mutex::new(shared), pool, ambient, watched }
    }

    pub(super) fn n_threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Tells the state about an event, and carries out what follows.
    pub(super) fn with<R>(
        self: &Arc<Self>,
        event: impl FnOnce(&mut Inside, &mut Effects<Entry>) -> R,
    ) -> R {
        let mut effects = Effects::default();
        let mut guard = self.lock();
        let inside = &mut *guard;
        let result = event(inside, &mut effects);
        inside.carry_out(&mut effects);
        let needs_loop = inside.n_looking == 0 && inside.state.can_start();
        inside.n_looking += usize::from(needs_loop);
        // Threads of the pool that wait are missing there.
        let is_on_pool = needs_loop && inside.n_on_pool < self.n_threads();
        inside.n_on_pool += usize::from(is_on_pool);
        let bells = std::mem::take(&mut inside.bells);
        let garbage = std::mem::take(&mut inside.garbage);
        drop(guard);
        if is_on_pool {
            self.spawn_on_pool();
        } else if needs_loop && !self.spawn_beside() {
            self.lock().n_on_pool += 1;
            self.spawn_on_pool();
        }
        bells.into_iter().for_each(Bell::ring);
        garbage.into_iter().for_each(|value| contained(|| drop(value)));
        effects.gone.into_iter().for_each(|entry| contained(|| drop(entry)));
        result
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn_on_pool(self: &Arc<Self>) {
        let core = Arc::clone(self);
        self.pool.spawn(move || core.enter_loop());
    }

    /// Starts a loop on a thread beside the pool, for one of the pool that waits; whether the system has one more.
    fn spawn_beside(self: &Arc<Self>) -> bool {
        let core = Arc::clone(self);
        sync::spawn_beside(move || core.work(false))
    }

    /// A loop on a thread of the pool, wherever that stands.
    fn enter_loop(self: &Arc<Self>) {
        let is_between_tasks = sync::is_between_tasks();
        let (around, depth) = here(|here| (here.in_loop, here.frames.len()));
        if is_between_tasks && around == Some(Arc::as_ptr(self)) {
            // The loop that came upon this one looks next.
            let mut inside = self.lock();
            inside.n_on_pool -= 1;
            inside.n_looking -= 1;
            return;
        }
        let is_free = is_between_tasks && around.is_none();
        if !is_free && self.spawn_beside() {
            // What waits here might be waited for by a task that this loop runs, and should not wait for all of them.
            self.lock().n_on_pool -= 1;
            return;
        }
        if depth >= FRAMES_MAX {
            // The system has no more threads, and this stack is deep enough; the next one that looks tries again.
            self.spawn_on_pool();
            return;
        }
        here(|here| here.in_loop = Some(Arc::as_ptr(self)));
        self.work(true);
        here(|here| here.in_loop = around);
    }

    /// Runs tasks until none can start.
    fn work(self: &Arc<Self>, is_on_pool: bool) {
        let mut ended = None;
        loop {
            let next = self.with(|inside, effects| {
                if let Some((task, outcome)) = ended.take() {
                    inside.end(task, outcome, effects);
                    inside.n_looking += 1;
                }
                inside.n_looking -= 1;
                let next = inside.state.next();
                inside.n_on_pool -= usize::from(is_on_pool && next.is_none());
                next.map(|task| (task, inside.work_of(task)))
            });
            let Some((task, work)) = next else { return };
            ended = Some((task, self.run(task, &work)));
            drop(work);
            // Computations that were started elsewhere wait for a thread of the pool too.
            sync::yield_now();
        }
    }

    /// Calls a task that was started.
    fn run(self: &Arc<Self>, task: TaskId, work: &Arc<Work>) -> Result<Shared> {
        let frame = Frame { core: Arc::clone(self), task };
        here(|here| here.frames.push(Some(frame)));
        let run = || sync::enter(&self.ambient, || work.run());
        let outcome = match &self.watched {
            Some(watched) => watched.task(work.layer, run),
            None => run(),
        };
        here(|here| here.frames.pop());
        outcome
    }

    /// Waits until `promise` of `task` is kept, and helps with that. A thread can't wait without end for a task that it is inside of.
    #[track_caller]
    pub(super) fn wait(
        self: &Arc<Self>,
        task: Option<TaskId>,
        promise: &Promise,
        deadline: Option<Instant>,
    ) -> Option<Result<Shared>> {
        if let (Some(task), None) = (task, deadline) {
            if !promise.is_done() && self.is_inside_of(task) {
                return Some(Err(Error::InvalidArgument {
                    call: Call::new("Future::wait"),
                    argument: "self",
                    got: "the future of a task that this thread is inside of".into(),
                    expected: "a task that can end while this one waits; functions of computations must not wait for futures",
                }));
            }
            self.help(task, promise);
        }
        promise.outcome().or_else(|| suspended(|| promise.wait(deadline)))
    }

    fn is_inside_of(self: &Arc<Self>, task: TaskId) -> bool {
        let is_it = |frame: &Frame| frame.task == task && Arc::ptr_eq(&frame.core, self);
        here(|here| here.frames.iter().flatten().any(is_it))
    }

    /// Runs `task`, or what it waits for, on this thread, as long as there is something that has not started.
    fn help(self: &Arc<Self>, task: TaskId, promise: &Promise) {
        let (depth, frame) =
            here(|here| (here.frames.len(), here.frames.last().cloned().flatten()));
        // A task of another client keeps its place there while this thread helps here, and what is helped may wait for that place.
        let is_elsewhere = frame.as_ref().is_some_and(|frame| !Arc::ptr_eq(&frame.core, self));
        if depth >= FRAMES_MAX || is_elsewhere {
            return;
        }
        let own = frame.map(|frame| frame.task);
        while !promise.is_done() {
            let claimed = self.with(|inside, effects| {
                let claimed = inside.state.claim(task, own, effects)?;
                Some((claimed, inside.work_of(claimed)))
            });
            let Some((claimed, work)) = claimed else { return };
            let outcome = self.run(claimed, &work);
            drop(work);
            let going_on = self.with(|inside, effects| {
                inside.end(claimed, outcome, effects);
                own.and_then(|own| inside.resume(own, effects))
            });
            if let Some(resumed) = going_on {
                aside(|| resumed.wait(None));
            }
        }
    }
}

/// Calls `wait`, during which this thread may do what does not belong to the task that it is in.
fn aside<R>(wait: impl FnOnce() -> R) -> R {
    here(|here| here.frames.push(None));
    let result = wait();
    here(|here| here.frames.pop());
    result
}

/// Calls `wait`, which may block this thread. The task that it is in, if it is, gives its place to others meanwhile.
pub(super) fn suspended<R>(wait: impl FnOnce() -> R) -> R {
    let frame = here(|here| here.frames.last().cloned().flatten());
    let Some(Frame { core, task }) = frame else { return aside(wait) };
    core.with(|inside, effects| inside.state.suspend(task, effects));
    let result = aside(wait);
    if let Some(resumed) = core.with(|inside, effects| inside.resume(task, effects)) {
        aside(|| resumed.wait(None));
    }
    result
}

impl Inside {
    fn work_of(&mut self, task: TaskId) -> Arc<Work> {
        let work = &self.state.payload(task).work;
        Arc::clone(work.as_ref().expect("what has no value has its work"))
    }

    /// Takes what a call of `task` ended with.
    fn end(&mut self, task: TaskId, outcome: Result<Shared>, effects: &mut Effects<Entry>) {
        let is_cancelled = self.state.is_cancelled(task);
        let entry = self.state.payload(task);
        let end = match &outcome {
            Ok(_) => End::Value,
            Err(_) if entry.n_retries > 0 => End::Again,
            Err(_) => End::Error,
        };
        if is_cancelled || end == End::Again {
            entry.n_retries = entry.n_retries.saturating_sub(u32::from(!is_cancelled));
            self.garbage.push(Garbage::Outcome(Some(outcome)));
        } else {
            if end == End::Value {
                self.garbage.extend(entry.work.take().map(Garbage::Work));
            }
            self.garbage.extend(entry.detached.take().map(Garbage::Handle));
            self.bells.push(entry.promise.keep(outcome));
        }
        self.state.on_ended(task, end, effects);
    }

    /// Lets a suspended task go on, at once or when the promise is kept.
    fn resume(&mut self, task: TaskId, effects: &mut Effects<Entry>) -> Option<Arc<Promise>> {
        if self.state.resume(task, effects) {
            return None;
        }
        let resumed = Arc::new(Promise::default());
        self.state.payload(task).resumed = Some(Arc::clone(&resumed));
        Some(resumed)
    }

    fn carry_out(&mut self, effects: &mut Effects<Entry>) {
        for task in effects.reset.drain(..) {
            let old = self.state.payload(task).promise.reset();
            self.garbage.push(Garbage::Outcome(old));
        }
        for (task, cause) in effects.failed.drain(..) {
            let known = self.state.payload(cause).promise.outcome();
            let error = match known {
                Some(Err(error)) if task != cause => error,
                _ => Error::Cancelled,
            };
            let entry = self.state.payload(task);
            self.garbage.extend(entry.detached.take().map(Garbage::Handle));
            self.bells.push(entry.promise.keep(Err(error)));
        }
        for task in effects.resumed.drain(..) {
            let resumed = self.state.payload(task).resumed.take();
            self.bells.extend(resumed.map(|promise| promise.keep(Ok(Arc::new(())))));
        }
    }
}

impl Work {
    pub(super) fn name(&self) -> String {
        self.named.as_ref().map_or_else(self.name, |name| name.to_string())
    }

    /// Calls the function with the values of its inputs, which are all there.
    fn run(self: &Arc<Self>) -> Result<Shared> {
        let inputs: Option<Result<Vec<Shared>>> = self.inputs.iter().map(|p| p.outcome()).collect();
        let inputs = inputs.ok_or_else(|| Error::Internal {
            place: "client".into(),
            problem: "a task started before its inputs".into(),
        })??;
        self.run_on(&inputs).map_err(|error| error.with_task(self.failed(inputs)))
    }

    fn run_on(&self, inputs: &[Shared]) -> Result<Shared> {
        let names = || Names { op: self.name(), block: Vec::new(), at: Some(self.call.at) };
        named(names, || self.bound.run(inputs))
    }

    fn failed(self: &Arc<Self>, inputs: Vec<Shared>) -> FailedTask {
        let (work, values) = (Arc::clone(self), inputs.clone());
        FailedTask::new(self.name(), Vec::new(), values, move || work.run_on(&inputs).map(drop))
    }
}
