//! The state by itself: rules one by one, then random events with every counter derived again after each.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const ONE: Amount = 1_000_000;

impl<P> State<P> {
    /// Derives every counter again. Slow.
    fn sanity_check(&self, capacity: &[Amount]) {
        let tasks = || {
            let alive = |(i, task): (usize, &'_ Option<Task<P>>)| task.is_some().then_some(i);
            self.tasks.iter().enumerate().filter_map(alive).map(|i| TaskId(i as u32))
        };
        let mut free = capacity.to_vec();
        let mut reserved = vec![0; capacity.len()];
        for id in tasks() {
            let task = self.task(id);
            for (resource, n) in &*task.request {
                match task.status {
                    Status::Running => free[*resource as usize] -= n,
                    Status::Resuming => reserved[*resource as usize] += n,
                    _ => {}
                }
            }
            assert_eq!(task.status == Status::Resuming, self.resuming.contains(&id));
            let lacks = |(resource, n): &(u32, Amount)| self.free[*resource as usize] < *n;
            assert!(task.status != Status::Resuming || task.request.iter().any(lacks));
            let readers: usize = tasks()
                .map(|other| self.task(other).inputs.iter().filter(|input| **input == id).count())
                .sum();
            assert_eq!(task.n_wanted, readers + usize::from(task.has_handle));
            assert!(task.n_wanted > 0 || task.status.runs(), "it should be forgotten");
            assert!(task.status != Status::Value || task.inputs.is_empty());
            assert!(task.status.runs() || !(task.is_cancelled || task.runs_again));
            if matches!(task.status, Status::Waiting | Status::Ready) {
                self.check_waiting(id, task);
            }
        }
        assert!(free.iter().all(|n| *n >= 0), "{free:?}");
        assert_eq!((&self.free, &self.reserved), (&free, &reserved));
        let n_ready = tasks().filter(|id| self.task(*id).status == Status::Ready).count();
        assert_eq!(self.n_ready, n_ready);
    }

    fn check_waiting(&self, id: TaskId, task: &Task<P>) {
        let is_missing = |input: &&TaskId| self.task(**input).status != Status::Value;
        assert_eq!(task.inputs.iter().filter(is_missing).count(), task.n_missing);
        assert_eq!(task.status == Status::Ready, task.n_missing == 0);
        for input in &task.inputs {
            assert!(!self.has_failed(*input), "a task waits for what will not come");
            if self.task(*input).status != Status::Value {
                let n_reads = task.inputs.iter().filter(|other| *other == input).count();
                let known = &self.task(*input).readers;
                let n_known = known.iter().filter(|entry| **entry == (id, task.serial)).count();
                assert_eq!(n_known, n_reads);
            }
        }
        let entry = ((task.priority, Reverse(task.serial)), id);
        let queued = self
            .ready
            .get(&task.request)
            .map_or(0, |queue| queue.iter().filter(|queued| **queued == entry).count());
        assert_eq!(queued, usize::from(task.status == Status::Ready));
    }
}

fn one_thread() -> Request {
    [(THREADS, ONE)].into()
}

/// A state and the helpers that tests want.
struct Tasks {
    state: State<u32>,
    capacity: Vec<Amount>,
    effects: Effects<u32>,
}

impl Tasks {
    fn new(capacity: &[Amount]) -> Self {
        let capacity: Vec<Amount> = capacity.iter().map(|n| n * ONE).collect();
        Tasks { state: State::new(capacity.clone()), capacity, effects: Effects::default() }
    }

    fn submit(&mut self, inputs: &[TaskId]) -> TaskId {
        self.submit_with(inputs, 0, one_thread())
    }

    fn submit_with(&mut self, inputs: &[TaskId], priority: i64, request: Request) -> TaskId {
        let id = self.state.submit(0, inputs.to_vec(), priority, request, &mut self.effects);
        self.check();
        id
    }

    fn end(&mut self, id: TaskId, end: End) {
        self.state.on_ended(id, end, &mut self.effects);
        self.check();
    }

    fn check(&self) {
        self.state.sanity_check(&self.capacity);
    }
}

#[test]
fn priority_comes_before_age_and_inputs_before_both() {
    let mut tasks = Tasks::new(&[1]);
    let [a, b] = [tasks.submit(&[]), tasks.submit(&[])];
    let c = tasks.submit_with(&[a], 9, one_thread());
    let d = tasks.submit_with(&[], 1, one_thread());
    let mut order = Vec::new();
    while let Some(id) = tasks.state.next() {
        assert!(!tasks.state.can_start(), "there is one thread");
        order.push(id);
        tasks.end(id, End::Value);
    }
    assert_eq!(order, [d, a, c, b]);
}

#[test]
fn requests_are_respected_and_kept_for_those_overtaken_too_often() {
    let mut tasks = Tasks::new(&[4, 2]);
    let gpus = |n: Amount| -> Request { [(THREADS, ONE), (1, n * ONE)].into() };
    let small = tasks.submit_with(&[], 0, gpus(1));
    assert_eq!(tasks.state.next(), Some(small));
    let large = tasks.submit_with(&[], 0, gpus(2));
    let mut held = small;
    for i in 0.. {
        let next = tasks.submit_with(&[], 0, gpus(1));
        let unrelated = tasks.submit(&[]);
        match tasks.state.next() {
            Some(id) if id == next => {}
            found => {
                // It was overtaken by two kinds of tasks in turns; those that need no gpu still start.
                assert_eq!(found, Some(unrelated));
                assert!(i >= PATIENCE / 2 - 1, "{i}");
                tasks.end(unrelated, End::Value);
                tasks.end(held, End::Value);
                break;
            }
        }
        tasks.end(held, End::Value);
        held = next;
        assert_eq!(tasks.state.next(), Some(unrelated));
        tasks.end(unrelated, End::Value);
    }
    assert_eq!(tasks.state.next(), Some(large));
}

#[test]
fn a_failure_fails_all_that_wait_and_a_retry_tries_what_is_needed() {
    let mut tasks = Tasks::new(&[2]);
    let a = tasks.submit(&[]);
    let b = tasks.submit(&[a, a]);
    let c = tasks.submit(&[b]);
    assert_eq!(tasks.state.next(), Some(a));
    tasks.end(a, End::Error);
    tasks.effects.failed.sort();
    assert_eq!(tasks.effects.failed, [(b, a), (c, a)]);
    let late = tasks.submit(&[c]);
    assert_eq!(tasks.effects.failed.pop(), Some((late, c)));
    tasks.state.retry(c, &mut tasks.effects);
    tasks.check();
    assert_eq!(tasks.effects.reset, [c, b, a]);
    for id in [a, b, c] {
        assert_eq!(tasks.state.next(), Some(id));
        tasks.end(id, End::Value);
    }
    assert_eq!(tasks.state.next(), None, "the late one was not asked for again");
}

#[test]
fn who_waits_lends_its_place_to_what_it_waits_for() {
    let mut tasks = Tasks::new(&[1]);
    let outer = tasks.submit(&[]);
    assert_eq!(tasks.state.next(), Some(outer));
    let input = tasks.submit(&[]);
    let inner = tasks.submit(&[input]);
    assert_eq!(tasks.state.claim(inner, None, &mut tasks.effects), None);
    tasks.check();
    assert_eq!(tasks.state.claim(inner, Some(outer), &mut tasks.effects), Some(input));
    tasks.end(input, End::Value);
    assert!(tasks.state.resume(outer, &mut tasks.effects));
    tasks.state.suspend(outer, &mut tasks.effects);
    assert_eq!(tasks.state.next(), Some(inner));
    assert!(!tasks.state.resume(outer, &mut tasks.effects));
    let other = tasks.submit(&[]);
    assert!(!tasks.state.can_start());
    tasks.end(inner, End::Value);
    assert_eq!(tasks.effects.resumed, [outer]);
    assert!(!tasks.state.can_start(), "who goes on comes first");
    tasks.end(outer, End::Value);
    assert_eq!(tasks.state.next(), Some(other));
}

#[test]
fn what_is_kept_for_one_that_can_not_go_on_does_not_stop_another() {
    let mut tasks = Tasks::new(&[3, 2]);
    let gpus = |n: Amount| -> Request { [(THREADS, ONE), (1, n * ONE)].into() };
    let two = tasks.submit_with(&[], 0, gpus(2));
    let none = tasks.submit(&[]);
    assert_eq!([tasks.state.next(), tasks.state.next()], [Some(two), Some(none)]);
    tasks.state.suspend(two, &mut tasks.effects);
    let one = tasks.submit_with(&[], 0, gpus(1));
    assert_eq!(tasks.state.next(), Some(one));
    assert!(!tasks.state.resume(two, &mut tasks.effects));
    let filler = tasks.submit(&[]);
    tasks.state.suspend(none, &mut tasks.effects);
    assert_eq!(tasks.state.next(), Some(filler));
    assert!(!tasks.state.resume(none, &mut tasks.effects));
    assert_eq!(tasks.effects.resumed, [none]);
    tasks.check();
}

#[test]
fn what_nobody_wants_does_not_run() {
    let mut tasks = Tasks::new(&[1]);
    let running = tasks.submit(&[]);
    let input = tasks.submit(&[]);
    let output = tasks.submit(&[input]);
    assert_eq!(tasks.state.next(), Some(running));
    for id in [running, input, output] {
        tasks.state.release(id, &mut tasks.effects);
        tasks.check();
    }
    assert_eq!(tasks.effects.gone.len(), 2);
    tasks.end(running, End::Value);
    assert_eq!(tasks.effects.gone.len(), 3);
    assert_eq!(tasks.state.next(), None);
}

/// A task that runs may be cancelled and asked for again before it has noticed.
#[test]
fn a_cancelled_task_that_is_retried_runs_again() {
    let mut tasks = Tasks::new(&[1]);
    let a = tasks.submit(&[]);
    let b = tasks.submit(&[a]);
    assert_eq!(tasks.state.next(), Some(a));
    tasks.state.cancel(a, &mut tasks.effects);
    tasks.check();
    assert!(tasks.state.is_cancelled(a));
    assert_eq!(tasks.effects.failed, [(a, a), (b, a)]);
    tasks.state.retry(b, &mut tasks.effects);
    tasks.check();
    tasks.end(a, End::Value);
    assert_eq!(tasks.state.next(), Some(a));
    tasks.end(a, End::Value);
    assert_eq!(tasks.state.next(), Some(b));
    tasks.state.cancel(b, &mut tasks.effects);
    tasks.end(b, End::Value);
    assert!(tasks.state.has_failed(b));
}

#[test]
fn long_chains_are_forgotten_without_recursion() {
    let mut state = State::new(vec![ONE]);
    let mut effects = Effects::default();
    let mut last = state.submit((), vec![], 0, one_thread(), &mut effects);
    let first = last;
    for _ in 0..200_000 {
        let next = state.submit((), vec![last], 0, one_thread(), &mut effects);
        state.release(last, &mut effects);
        last = next;
    }
    assert_eq!(state.next(), Some(first));
    state.on_ended(first, End::Error, &mut effects);
    assert_eq!(effects.failed.len(), 200_000);
    state.retry(last, &mut effects);
    assert_eq!(effects.reset.len(), 200_001);
    state.release(last, &mut effects);
    assert_eq!(effects.gone.len(), 200_001);
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Submit([usize; 2], i64, u8),
    Next,
    End(usize, u8),
    Suspend(usize),
    Resume(usize),
    Claim(usize, usize),
    Cancel(usize),
    Retry(usize),
    Release(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let any = || 0..64_usize;
    prop_oneof![
        5 => ([any(), any()], -1..2_i64, 0..4_u8).prop_map(|(i, p, r)| Event::Submit(i, p, r)),
        6 => Just(Event::Next),
        6 => (any(), 0..5_u8).prop_map(|(i, end)| Event::End(i, end)),
        2 => any().prop_map(Event::Suspend),
        2 => any().prop_map(Event::Resume),
        2 => (any(), any()).prop_map(|(i, j)| Event::Claim(i, j)),
        1 => any().prop_map(Event::Cancel),
        2 => any().prop_map(Event::Retry),
        2 => any().prop_map(Event::Release),
    ]
}

/// What the shell and the users would know.
#[derive(Default)]
struct Model {
    handles: Vec<TaskId>,
    running: Vec<TaskId>,
    suspended: Vec<TaskId>,
    resuming: Vec<TaskId>,
}

fn pick(list: &[TaskId], i: usize) -> Option<TaskId> {
    (!list.is_empty()).then(|| list[i % list.len()])
}

impl Model {
    fn apply(&mut self, event: Event, tasks: &mut Tasks) {
        match event {
            Event::Submit(inputs, priority, kind) => {
                let n = usize::from(kind % 3);
                let inputs: Vec<_> =
                    inputs[..n].iter().filter_map(|i| pick(&self.handles, *i)).collect();
                let request: Request = match kind {
                    0 => [(THREADS, ONE), (1, 2 * ONE)].into(),
                    1 => [(THREADS, ONE), (1, ONE / 2)].into(),
                    _ => one_thread(),
                };
                self.handles.push(tasks.submit_with(&inputs, priority, request));
            }
            Event::Next => self.running.extend(tasks.state.next()),
            Event::End(i, end) => {
                let Some(id) = pick(&self.running, i) else { return };
                self.running.retain(|other| *other != id);
                let end =
                    [End::Value, End::Value, End::Value, End::Error, End::Again][end as usize];
                tasks.end(id, end);
            }
            Event::Suspend(i) => {
                let Some(id) = pick(&self.running, i) else { return };
                self.running.retain(|other| *other != id);
                self.suspended.push(id);
                tasks.state.suspend(id, &mut tasks.effects);
            }
            Event::Resume(i) => {
                let Some(id) = pick(&self.suspended, i) else { return };
                self.suspended.retain(|other| *other != id);
                let goes_on = tasks.state.resume(id, &mut tasks.effects);
                let list = if goes_on { &mut self.running } else { &mut self.resuming };
                list.push(id);
            }
            Event::Claim(i, j) => {
                let (Some(id), within) = (pick(&self.handles, i), pick(&self.running, j)) else {
                    return;
                };
                let found = tasks.state.claim(id, within, &mut tasks.effects);
                let Some(found) = found else { return };
                if let Some(within) = within {
                    self.running.retain(|other| *other != within);
                    self.suspended.push(within);
                }
                self.running.push(found);
            }
            Event::Cancel(i) => {
                let Some(id) = pick(&self.handles, i) else { return };
                tasks.state.cancel(id, &mut tasks.effects);
            }
            Event::Retry(i) => {
                let Some(id) = pick(&self.handles, i) else { return };
                tasks.state.retry(id, &mut tasks.effects);
            }
            Event::Release(i) => {
                let Some(id) = pick(&self.handles, i) else { return };
                self.handles.retain(|other| *other != id);
                tasks.state.release(id, &mut tasks.effects);
            }
        }
        for id in tasks.effects.resumed.drain(..) {
            self.resuming.retain(|other| *other != id);
            self.running.push(id);
        }
        tasks.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn counters_hold_after_any_events_and_everything_ends(
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut tasks = Tasks::new(&[3, 2]);
        let mut model = Model::default();
        for event in events {
            model.apply(event, &mut tasks);
        }
        // Whatever happened: when all that runs ends, all that waits for nothing else runs.
        for _ in 0..10_000 {
            model.apply(Event::Next, &mut tasks);
            model.apply(Event::Resume(0), &mut tasks);
            model.apply(Event::End(0, 0), &mut tasks);
            let n_idle = model.running.len() + model.suspended.len() + model.resuming.len();
            if n_idle == 0 && !tasks.state.can_start() {
                break;
            }
        }
        let count = |status: Status| {
            let statuses = tasks.state.tasks.iter().flatten().map(|task| task.status);
            statuses.filter(|other| *other == status).count()
        };
        let counts: BTreeMap<_, _> = [Status::Waiting, Status::Ready, Status::Running]
            .map(|status| (format!("{status:?}"), count(status)))
            .into();
        prop_assert!(counts.values().all(|n| *n == 0), "{counts:?}");
        for id in model.handles.clone() {
            tasks.state.release(id, &mut tasks.effects);
        }
        prop_assert!(tasks.state.tasks.iter().all(Option::is_none));
    }
}
