//! The tasks of a client as a state machine: events in, decisions out, no threads, no clock, no values.
//!
//! Unlike the graph of a run, tasks come and go one by one. Each has a payload, which this module only keeps. A task is
//! wanted by its handle and by the tasks that read it; one that nobody wants is forgotten unless it runs. Each counter can be
//! derived again, which [`State::sanity_check`] does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

/// A task, for as long as somebody wants it or it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId(u32);

impl TaskId {
    fn idx(self) -> usize {
        self.0 as usize
    }
}

/// An amount of a resource, in millionths.
pub(crate) type Amount = i128;

/// How much a task needs of which resource. Each needs one of [`THREADS`].
pub(crate) type Request = Arc<[(u32, Amount)]>;

/// The resource of which each task that runs takes one unit.
pub(crate) const THREADS: u32 = 0;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Value,
    Error,
    /// It failed and is to be called again.
    Again,
}

/// What an event led to, for the shell to carry out.
#[derive(Debug)]
pub(crate) struct Effects<P> {
    /// Tasks that end with an error without running, and the task whose error it is; itself if it was cancelled.
    pub(crate) failed: Vec<(TaskId, TaskId)>,
    /// Tasks that ended and will run again: what they ended with holds no longer.
    pub(crate) reset: Vec<TaskId>,
    /// Tasks that waited for their resources to go on, and have them.
    pub(crate) resumed: Vec<TaskId>,
    /// What is left of tasks that are forgotten.
    pub(crate) gone: Vec<P>,
}

impl<P> Default for Effects<P> {
    fn default() -> Self {
        Effects { failed: Vec::new(), reset: Vec::new(), resumed: Vec::new(), gone: Vec::new() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Some inputs have no value yet.
    Waiting,
    Ready,
    Running,
    /// It runs, but waits for something, and gave its resources back.
    Suspended,
    /// It could go on, and waits for its resources.
    Resuming,
    Value,
    Error,
}

#[derive(Debug)]
struct Task<P> {
    payload: P,
    /// Tells this life of the task from others in the same place, and from its earlier tries.
    serial: u64,
    priority: i64,
    request: Request,
    status: Status,
    n_missing: usize,
    /// What it reads, as often as it reads it; none once it has a value.
    inputs: Vec<TaskId>,
    /// Who waits for it, with their serials; some may have gone.
    readers: Vec<(TaskId, u64)>,
    has_handle: bool,
    /// Its handle, and tasks that read it.
    n_wanted: usize,
    /// It runs, but what it will end with interests nobody.
    is_cancelled: bool,
    /// It was cancelled and then asked for again.
    runs_again: bool,
}

/// The order in which tasks start: the highest priority first, then the oldest.
type Rank = (i64, Reverse<u64>);

/// How many tasks may overtake one that lacks a resource, before what it lacks is kept for it.
const PATIENCE: u32 = 64;

/// The tasks of one client.
#[derive(Debug)]
pub(crate) struct State<P> {
    tasks: Vec<Option<Task<P>>>,
    vacant: Vec<u32>,
    next_serial: u64,
    /// Tasks that can start, by what they need. May hold stale ones.
    ready: BTreeMap<Request, BinaryHeap<(Rank, TaskId)>>,
    n_ready: usize,
    free: Vec<Amount>,
    /// What tasks that go on will take before any other.
    reserved: Vec<Amount>,
    resuming: VecDeque<TaskId>,
    /// The best task when it could not start, and how many started since.
    overtaken: Option<(u64, u32)>,
}

impl<P> State<P> {
    /// `capacity[THREADS]` is the number of threads, in millionths as the others.
    pub(crate) fn new(capacity: Vec<Amount>) -> Self {
        State {
            tasks: Vec::new(),
            vacant: Vec::new(),
            next_serial: 0,
            ready: BTreeMap::new(),
            n_ready: 0,
            reserved: vec![0; capacity.len()],
            free: capacity,
            resuming: VecDeque::new(),
            overtaken: None,
        }
    }

    pub(crate) fn payload(&mut self, id: TaskId) -> &mut P {
        &mut self.task_mut(id).payload
    }

    /// Adds a task with a handle. If one of its inputs failed, it fails at once.
    pub(crate) fn submit(
        &mut self,
        payload: P,
        inputs: Vec<TaskId>,
        priority: i64,
        request: Request,
        effects: &mut Effects<P>,
    ) -> TaskId {
        let place = self.vacant.pop().unwrap_or(self.tasks.len() as u32);
        let id = TaskId(place);
        let serial = self.serial();
        for input in &inputs {
            self.task_mut(*input).n_wanted += 1;
        }
        let task = Task {
            payload,
            serial,
            priority,
            request,
            status: Status::Waiting,
            n_missing: 0,
            inputs,
            readers: Vec::new(),
            has_handle: true,
            n_wanted: 1,
            is_cancelled: false,
            runs_again: false,
        };
        match self.tasks.get_mut(id.idx()) {
            Some(vacant) => *vacant = Some(task),
            None => self.tasks.push(Some(task)),
        }
        let failed = self.task(id).inputs.iter().copied().find(|input| self.has_failed(*input));
        match failed {
            Some(input) => {
                self.task_mut(id).status = Status::Error;
                effects.failed.push((id, input));
            }
            None => self.wait_for_inputs(id),
        }
        id
    }

    /// The best task that can start; it counts as running from now on.
    pub(crate) fn next(&mut self) -> Option<TaskId> {
        let (rank, request, first) = self.best()?;
        let id = self.ready.get_mut(&request)?.pop()?.1;
        self.overtaken = match first {
            first if first == rank => None,
            (_, Reverse(serial)) => {
                let n = self.overtaken.filter(|(known, _)| *known == serial).map_or(0, |(_, n)| n);
                Some((serial, n + 1))
            }
        };
        self.start(id);
        Some(id)
    }

    /// Whether [`next`](Self::next) would find a task.
    pub(crate) fn can_start(&mut self) -> bool {
        self.n_ready > 0 && self.best().is_some()
    }

    /// Starts a task that is ready, or one that it waits for, whatever their ranks. `within` is a task that runs and will wait for it: its resources
    /// are given back.
    pub(crate) fn claim(
        &mut self,
        id: TaskId,
        within: Option<TaskId>,
        effects: &mut Effects<P>,
    ) -> Option<TaskId> {
        let found = self.find_ready(id)?;
        let request = Arc::clone(&self.task(found).request);
        let lent = within.map(|id| Arc::clone(&self.task(id).request));
        if let Some(lent) = &lent {
            self.give_back(lent);
        }
        if self.fits(&request) {
            if let Some(id) = within {
                self.task_mut(id).status = Status::Suspended;
            }
            self.start(found);
            // It may need less than was given back.
            self.resume_waiting(effects);
            return Some(found);
        }
        if let Some(lent) = &lent {
            self.take(lent);
        }
        None
    }

    /// A call of a running task ended.
    pub(crate) fn on_ended(&mut self, id: TaskId, end: End, effects: &mut Effects<P>) {
        let request = Arc::clone(&self.task(id).request);
        self.give_back(&request);
        let task = self.task_mut(id);
        let (was_cancelled, runs_again) = (task.is_cancelled, task.runs_again);
        (task.is_cancelled, task.runs_again) = (false, false);
        task.status = Status::Error;
        match end {
            _ if runs_again => self.retry(id, effects),
            _ if was_cancelled => {}
            End::Again => {
                // A stale entry of the queue must not become true again.
                let serial = self.serial();
                self.task_mut(id).serial = serial;
                self.wait_for_inputs(id);
            }
            End::Error => self.fail_readers(id, id, effects),
            End::Value => self.on_value(id, effects),
        }
        if self.task(id).n_wanted == 0 {
            self.forget(id, effects);
        }
        self.resume_waiting(effects);
    }

    /// A running task waits for something: others may have its resources meanwhile.
    pub(crate) fn suspend(&mut self, id: TaskId, effects: &mut Effects<P>) {
        let task = self.task_mut(id);
        debug_assert_eq!(task.status, Status::Running);
        task.status = Status::Suspended;
        let request = Arc::clone(&task.request);
        self.give_back(&request);
        self.resume_waiting(effects);
    }

    /// A suspended task could go on; whether it has its resources again. Otherwise it gets them before any task
    /// that did not start yet, and is among `effects.resumed` then, which may be at once.
    pub(crate) fn resume(&mut self, id: TaskId, effects: &mut Effects<P>) -> bool {
        let request = Arc::clone(&self.task(id).request);
        let fits = self.fits(&request);
        let task = self.task_mut(id);
        debug_assert_eq!(task.status, Status::Suspended);
        if fits {
            task.status = Status::Running;
            self.take(&request);
        } else {
            task.status = Status::Resuming;
            self.resuming.push_back(id);
            request.iter().for_each(|(resource, n)| self.reserved[*resource as usize] += n);
            // What is kept for those before it may be of no use to them yet.
            self.resume_waiting(effects);
        }
        fits
    }

    /// Ends a task that has not ended, with all that wait for it. One that runs goes on for nothing.
    pub(crate) fn cancel(&mut self, id: TaskId, effects: &mut Effects<P>) {
        let task = self.task_mut(id);
        match task.status {
            Status::Waiting => task.status = Status::Error,
            Status::Ready => {
                task.status = Status::Error;
                self.n_ready -= 1;
            }
            Status::Value | Status::Error => return,
            Status::Running | Status::Suspended | Status::Resuming => {
                if task.is_cancelled && !task.runs_again {
                    return;
                }
                (task.is_cancelled, task.runs_again) = (true, false);
            }
        }
        effects.failed.push((id, id));
        self.fail_readers(id, id, effects);
    }

    /// The handle of a task is gone. A task that nobody wants any more does not start.
    pub(crate) fn release(&mut self, id: TaskId, effects: &mut Effects<P>) {
        let task = self.task_mut(id);
        task.has_handle = false;
        task.n_wanted -= 1;
        if task.n_wanted == 0 && !task.status.runs() {
            self.forget(id, effects);
        }
    }

    /// Whether what a running task will end with interests nobody.
    pub(crate) fn is_cancelled(&self, id: TaskId) -> bool {
        self.task(id).is_cancelled
    }

    fn task(&self, id: TaskId) -> &Task<P> {
        self.tasks[id.idx()].as_ref().expect("a task is kept as long as somebody knows it")
    }

    fn task_mut(&mut self, id: TaskId) -> &mut Task<P> {
        self.tasks[id.idx()].as_mut().expect("a task is kept as long as somebody knows it")
    }

    fn serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }

    fn is_alive(&self, id: TaskId, serial: u64) -> bool {
        self.tasks[id.idx()].as_ref().is_some_and(|task| task.serial == serial)
    }

    /// Whether a task has no value and will get none by itself.
    fn has_failed(&self, id: TaskId) -> bool {
        let task = self.task(id);
        task.status == Status::Error || (task.is_cancelled && !task.runs_again)
    }

    /// Makes a task ready, or lets it wait for the inputs that have no value.
    fn wait_for_inputs(&mut self, id: TaskId) {
        let serial = self.task(id).serial;
        let inputs = std::mem::take(&mut self.task_mut(id).inputs);
        let mut n_missing = 0;
        for input in &inputs {
            let input = self.task_mut(*input);
            if input.status != Status::Value {
                input.readers.push((id, serial));
                n_missing += 1;
            }
        }
        let task = self.task_mut(id);
        (task.inputs, task.n_missing, task.status) = (inputs, n_missing, Status::Waiting);
        if n_missing == 0 {
            self.make_ready(id);
        }
    }

    fn make_ready(&mut self, id: TaskId) {
        let task = self.task_mut(id);
        task.status = Status::Ready;
        let rank = (task.priority, Reverse(task.serial));
        let request = Arc::clone(&task.request);
        self.n_ready += 1;
        let (tasks, n_ready) = (&self.tasks, self.n_ready);
        let queue = self.ready.entry(request).or_default();
        queue.push((rank, id));
        if queue.len() > 2 * n_ready + 64 {
            queue.retain(|(rank, id)| is_ready(tasks, *rank, *id));
        }
    }

    /// The best task that fits, with its request, and the rank of the best one of all.
    fn best(&mut self) -> Option<(Rank, Request, Rank)> {
        let tasks = &self.tasks;
        let mut first: Option<(Rank, &Request)> = None;
        self.ready.retain(|request, queue| {
            while queue.peek().is_some_and(|(rank, id)| !is_ready(tasks, *rank, *id)) {
                queue.pop();
            }
            // What most tasks ask for stays, so that its queue is not made for each anew.
            !queue.is_empty() || request.len() == 1
        });
        let heads = || self.ready.iter().filter_map(|(r, queue)| Some((queue.peek()?.0, r)));
        for (rank, request) in heads() {
            if first.is_none_or(|(best, _)| rank > best) {
                first = Some((rank, request));
            }
        }
        let (first, lacking) = first?;
        let Reverse(serial) = first.1;
        let is_patient = self.overtaken.is_none_or(|(known, n)| known != serial || n < PATIENCE);
        let is_kept = |resource: u32| {
            !is_patient
                && lacking.iter().any(|(other, n)| *other == resource && !self.has(*other, *n))
        };
        let may_start = |request: &Request| {
            self.fits(request) && !request.iter().any(|(resource, _)| is_kept(*resource))
        };
        let best = heads().filter(|(_, request)| may_start(request)).max_by_key(|(rank, _)| *rank);
        best.map(|(rank, request)| (rank, Arc::clone(request), first))
    }

    /// `id` if it is ready, or one of the tasks that it waits for; few are looked at.
    fn find_ready(&self, id: TaskId) -> Option<TaskId> {
        const LOOKED_AT_MAX: usize = 32;
        let mut stack = vec![id];
        for _ in 0..LOOKED_AT_MAX {
            let id = stack.pop()?;
            let task = self.task(id);
            match task.status {
                Status::Ready => return Some(id),
                Status::Waiting => stack.extend(task.inputs.iter().rev().take(LOOKED_AT_MAX)),
                _ => {}
            }
        }
        None
    }

    fn start(&mut self, id: TaskId) {
        let task = self.task_mut(id);
        debug_assert_eq!(task.status, Status::Ready);
        task.status = Status::Running;
        let request = Arc::clone(&task.request);
        self.n_ready -= 1;
        self.take(&request);
    }

    fn has(&self, resource: u32, n: Amount) -> bool {
        self.free[resource as usize] - self.reserved[resource as usize] >= n
    }

    fn fits(&self, request: &Request) -> bool {
        request.iter().all(|(resource, n)| self.has(*resource, *n))
    }

    fn take(&mut self, request: &Request) {
        request.iter().for_each(|(resource, n)| self.free[*resource as usize] -= n);
    }

    fn give_back(&mut self, request: &Request) {
        request.iter().for_each(|(resource, n)| self.free[*resource as usize] += n);
    }

    /// Lets tasks go on for which there are resources now, those that waited longest first.
    fn resume_waiting(&mut self, effects: &mut Effects<P>) {
        for _ in 0..self.resuming.len() {
            let Some(id) = self.resuming.pop_front() else { return };
            let request = Arc::clone(&self.task(id).request);
            if request.iter().all(|(resource, n)| self.free[*resource as usize] >= *n) {
                self.take(&request);
                request.iter().for_each(|(resource, n)| self.reserved[*resource as usize] -= n);
                self.task_mut(id).status = Status::Running;
                effects.resumed.push(id);
            } else {
                self.resuming.push_back(id);
            }
        }
    }

    /// Takes note that a task has a value: its readers come closer to running, its inputs are not needed any more.
    fn on_value(&mut self, id: TaskId, effects: &mut Effects<P>) {
        let task = self.task_mut(id);
        task.status = Status::Value;
        let readers = std::mem::take(&mut task.readers);
        let inputs = std::mem::take(&mut task.inputs);
        for (reader, serial) in readers {
            if !self.is_alive(reader, serial) || self.task(reader).status != Status::Waiting {
                continue;
            }
            let task = self.task_mut(reader);
            task.n_missing -= 1;
            if task.n_missing == 0 {
                self.make_ready(reader);
            }
        }
        self.unwant(inputs, effects);
    }

    /// Fails all tasks that wait for `id`, and those that wait for these.
    fn fail_readers(&mut self, id: TaskId, cause: TaskId, effects: &mut Effects<P>) {
        let mut pending = std::mem::take(&mut self.task_mut(id).readers);
        while let Some((reader, serial)) = pending.pop() {
            if self.is_alive(reader, serial) && self.task(reader).status == Status::Waiting {
                let task = self.task_mut(reader);
                task.status = Status::Error;
                pending.append(&mut task.readers);
                effects.failed.push((reader, cause));
            }
        }
    }

    /// Runs a task that failed or was cancelled once more, and those of its inputs that did.
    pub(crate) fn retry(&mut self, id: TaskId, effects: &mut Effects<P>) {
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            if !self.has_failed(id) {
                // It was met on another way.
                continue;
            }
            effects.reset.push(id);
            if self.task(id).status.runs() {
                self.task_mut(id).runs_again = true;
                continue;
            }
            // What is still known of earlier tries is stale from here on.
            let serial = self.serial();
            self.task_mut(id).serial = serial;
            for input in self.task(id).inputs.clone() {
                if self.has_failed(input) {
                    pending.push(input);
                }
            }
            self.wait_for_inputs(id);
        }
    }

    /// Removes a task, and those that only it wanted.
    fn forget(&mut self, id: TaskId, effects: &mut Effects<P>) {
        self.unwant_all(vec![], Some(id), effects);
    }

    fn unwant(&mut self, inputs: Vec<TaskId>, effects: &mut Effects<P>) {
        self.unwant_all(inputs, None, effects);
    }

    fn unwant_all(
        &mut self,
        mut pending: Vec<TaskId>,
        mut forgotten: Option<TaskId>,
        effects: &mut Effects<P>,
    ) {
        loop {
            if let Some(id) = forgotten.take() {
                let task = self.tasks[id.idx()].take().expect("a task is forgotten once");
                self.n_ready -= usize::from(task.status == Status::Ready);
                self.vacant.push(id.0);
                pending.extend(task.inputs);
                effects.gone.push(task.payload);
            }
            let Some(id) = pending.pop() else { return };
            let task = self.task_mut(id);
            task.n_wanted -= 1;
            if task.n_wanted == 0 && !task.status.runs() {
                forgotten = Some(id);
            }
        }
    }
}

impl Status {
    fn runs(self) -> bool {
        matches!(self, Status::Running | Status::Suspended | Status::Resuming)
    }
}

/// Whether an entry of a queue is not stale.
fn is_ready<P>(tasks: &[Option<Task<P>>], (_, Reverse(serial)): Rank, id: TaskId) -> bool {
    let task = tasks[id.idx()].as_ref();
    task.is_some_and(|task| task.serial == serial && task.status == Status::Ready)
}

#[cfg(test)]
mod tests;
