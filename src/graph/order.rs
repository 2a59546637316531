//! The static order: which task is worth running first.
//!
//! Depth first from the outputs, the costlier input first. Whenever a block was made, its other
//! readers are considered at once: one that can run without loading much and leaves no more bytes
//! behind than it releases is finished before the walk goes on. So two reductions of one array
//! consume each chunk together, and nothing walks off into a reader that needs the whole graph.
//!
//! Invariant: the order depends on edges and bytes, never on names, and inputs come before readers.

use std::cmp::Reverse;

use super::{TaskGraph, TaskId};

/// The most tasks that considering a reader may add; what needs more is left to the walk.
const DETOUR_TASKS_MAX: usize = 16;
/// The most edges that one consideration looks at, so that it costs O(1).
const DETOUR_EDGES_MAX: usize = 96;
/// A task with at most this many ancestors is near: it can be had without going far.
const NEAR_ANCESTORS_MAX: u8 = 8;

/// A reader of several blocks with at most this many ancestors gets all of them soon.
const SIBLING_ANCESTORS_MAX: u8 = 40;

/// The rank of each task; the lowest rank that can run is the task to run.
pub(crate) fn order(graph: &TaskGraph) -> Vec<u32> {
    let mut walk = Walk::new(graph);
    for &output in graph.outputs() {
        walk.finish(output);
    }
    walk.ranks
}

/// The most bytes held at once if tasks run one by one in the order of `ranks`.
///
/// A block that nobody reads is an output: it goes to its sink and is not held.
pub(crate) fn peak_bytes(graph: &TaskGraph, ranks: &[u32]) -> u64 {
    let (mut held, mut peak) = (0_u64, 0);
    let mut readers: Vec<u32> =
        (0..graph.n_tasks()).map(|i| graph.dependents(TaskId(i as u32)).len() as u32).collect();
    for task in by_rank(ranks) {
        let out = graph.out_bytes(task);
        peak = peak.max(held + out + graph.scratch_bytes(task));
        if readers[task.idx()] > 0 {
            held += out;
        }
        for dep in graph.dependencies(task) {
            readers[dep.idx()] -= 1;
            if readers[dep.idx()] == 0 {
                held -= graph.out_bytes(*dep);
            }
        }
    }
    peak
}

/// The tasks in the order of their ranks.
pub(crate) fn by_rank(ranks: &[u32]) -> Vec<TaskId> {
    let mut tasks = vec![TaskId(0); ranks.len()];
    for (task, rank) in ranks.iter().enumerate() {
        tasks[*rank as usize] = TaskId(task as u32);
    }
    tasks
}

/// Not ranked yet.
const UNRANKED: u32 = u32::MAX;
/// Not ranked yet, but the walk is finishing it: its inputs are being made.
const OPEN: u32 = u32::MAX - 1;

/// A step that the walk still has to take.
#[derive(Clone, Copy)]
enum Step {
    /// Finish this task and all that it needs.
    Finish(TaskId),
    /// Finish this task if that is worth it now.
    Consider(TaskId),
}

struct Walk<'a> {
    graph: &'a TaskGraph,
    ranks: Vec<u32>,
    next_rank: u32,
    /// Inputs that are not ranked yet, as often as they are read.
    missing: Vec<u32>,
    /// Readers that are not ranked yet, as often as they read.
    unread: Vec<u32>,
    facts: Vec<Facts>,
    steps: Vec<Step>,
    /// Tasks whose last missing input was just ranked.
    ready: Vec<TaskId>,
    detour: Detour,
}

/// What is known of a task before the walk.
#[derive(Clone, Copy, Default)]
struct Facts {
    out: u64,
    /// Bytes that remain once the task and the chain of its only readers have run.
    tail: u64,
    /// Bytes that making the block needs at most, beyond the block itself, were the graph a tree.
    climb: u64,
    /// The number of ancestors, were the graph a tree, cut off at 255.
    ancestors: u8,
}

impl<'a> Walk<'a> {
    fn new(graph: &'a TaskGraph) -> Self {
        let n = graph.n_tasks();
        let tasks = || (0..n as u32).map(TaskId);
        Walk {
            graph,
            ranks: vec![UNRANKED; n],
            next_rank: 0,
            missing: tasks().map(|t| graph.dependencies(t).len() as u32).collect(),
            unread: tasks().map(|t| graph.dependents(t).len() as u32).collect(),
            facts: all_facts(graph),
            steps: Vec::new(),
            ready: Vec::new(),
            detour: Detour::default(),
        }
    }

    fn finish(&mut self, target: TaskId) {
        self.steps.push(Step::Finish(target));
        loop {
            while let Some(task) = self.ready.pop() {
                let state = self.ranks[task.idx()];
                if state == OPEN || (state == UNRANKED && self.is_worth_it_ready(task)) {
                    self.rank(task);
                }
            }
            match self.steps.pop() {
                Some(Step::Finish(task)) if self.is_ranked(task) => {}
                Some(Step::Finish(task)) if self.missing[task.idx()] == 0 => self.rank(task),
                Some(Step::Finish(task)) => self.open(task),
                Some(Step::Consider(task)) => {
                    if self.ranks[task.idx()] == UNRANKED && self.is_worth_it(task) {
                        self.steps.push(Step::Finish(task));
                    }
                }
                None => return,
            }
        }
    }

    fn is_ranked(&self, task: TaskId) -> bool {
        self.ranks[task.idx()] < OPEN
    }

    /// Finishes the missing inputs of `task` first, the one with the highest climb before others.
    fn open(&mut self, task: TaskId) {
        self.ranks[task.idx()] = OPEN;
        self.steps.push(Step::Finish(task));
        let start = self.steps.len();
        let (mut last, mut is_sorted) = (0, true);
        for &dep in self.graph.dependencies(task).iter().rev() {
            if !self.is_ranked(dep) {
                let climb = self.facts[dep.idx()].climb;
                is_sorted &= last <= climb;
                last = climb;
                self.steps.push(Step::Finish(dep));
            }
        }
        if !is_sorted {
            let facts = &self.facts;
            self.steps[start..].sort_by_key(|step| match step {
                Step::Finish(dep) | Step::Consider(dep) => facts[dep.idx()].climb,
            });
        }
    }

    /// Gives `task` the next rank, and considers the other readers of its inputs.
    ///
    /// The readers of `task` itself have to wait until the one is done that `task` was made for,
    /// unless they can run already.
    fn rank(&mut self, task: TaskId) {
        self.ranks[task.idx()] = self.next_rank;
        self.next_rank += 1;
        let start = self.steps.len();
        for &dep in self.graph.dependencies(task) {
            let readers = self.graph.dependents(dep);
            let unread = &mut self.unread[dep.idx()];
            let is_first = *unread as usize == readers.len();
            *unread -= 1;
            if *unread > 0 && (is_first || (*unread == 1 && readers.len() <= DETOUR_TASKS_MAX)) {
                self.consider(readers);
            }
        }
        if self.steps.len() - start <= DETOUR_EDGES_MAX {
            let missing = &self.missing;
            self.steps[start..].sort_by_key(|step| match step {
                Step::Finish(task) | Step::Consider(task) => Reverse(missing[task.idx()]),
            });
        }
        for &reader in self.graph.dependents(task).iter().rev() {
            self.missing[reader.idx()] -= 1;
            if self.missing[reader.idx()] == 0 {
                self.ready.push(reader);
            }
        }
    }

    fn consider(&mut self, readers: &[TaskId]) {
        let unranked = readers.iter().rev().filter(|reader| self.ranks[reader.idx()] == UNRANKED);
        self.steps.extend(unranked.map(|reader| Step::Consider(*reader)));
    }

    /// [`is_worth_it`](Self::is_worth_it) for a task that misses nothing, asked once a task.
    fn is_worth_it_ready(&self, task: TaskId) -> bool {
        let released = |dep: &TaskId| self.facts[dep.idx()].out / u64::from(self.unread[dep.idx()]);
        let inputs = self.graph.dependencies(task).iter();
        inputs.map(released).fold(0, u64::saturating_add) >= self.facts[task.idx()].tail
    }

    /// Whether finishing `task` now leaves no more bytes behind than it releases.
    fn is_worth_it(&mut self, task: TaskId) -> bool {
        if self.missing[task.idx()] as usize > DETOUR_TASKS_MAX {
            return false;
        }
        let mut detour = std::mem::take(&mut self.detour);
        let is_worth_it = detour.explore(self, task);
        self.detour = detour;
        is_worth_it
    }
}

/// A task and its missing ancestors, with what running them all would change.
#[derive(Default)]
struct Detour {
    tasks: Vec<TaskId>,
    /// For each task, how often the others read it.
    reads: Vec<u32>,
    edges: usize,
}

impl Detour {
    fn explore(&mut self, walk: &Walk<'_>, target: TaskId) -> bool {
        self.tasks.clear();
        self.reads.clear();
        self.tasks.push(target);
        self.reads.push(0);
        self.edges = 0;
        let mut released = 0;
        let mut i = 0;
        while i < self.tasks.len() {
            match self.add_inputs(walk, self.tasks[i]) {
                Some(bytes) => released += bytes,
                None => return false,
            }
            i += 1;
        }
        let mut left = walk.facts[target.idx()].tail;
        for i in 1..self.tasks.len() {
            if left > released {
                return false;
            }
            left += self.left_behind(walk, i);
        }
        left <= released
    }

    /// Adds the missing inputs of `task`; the bytes that it releases of blocks which are there.
    ///
    /// `None` if the detour gets too long, or waits for what the walk is busy with.
    fn add_inputs(&mut self, walk: &Walk<'_>, task: TaskId) -> Option<u64> {
        let mut released = 0;
        let inputs = walk.graph.dependencies(task);
        self.edges += inputs.len();
        if self.edges > DETOUR_EDGES_MAX {
            return None;
        }
        for &dep in inputs {
            if walk.is_ranked(dep) {
                released += walk.facts[dep.idx()].out / u64::from(walk.unread[dep.idx()]);
            } else if let Some(i) = self.tasks.iter().position(|task| *task == dep) {
                self.reads[i] += 1;
            } else if walk.ranks[dep.idx()] == OPEN || self.tasks.len() == DETOUR_TASKS_MAX {
                return None;
            } else {
                self.tasks.push(dep);
                self.reads.push(1);
            }
        }
        Some(released)
    }

    /// The bytes that stay because of task `i`, which others read too.
    ///
    /// If all of its other readers are near as well, only what they leave stays.
    fn left_behind(&mut self, walk: &Walk<'_>, i: usize) -> u64 {
        let task = self.tasks[i];
        let (out, unread) = (walk.facts[task.idx()].out, walk.unread[task.idx()]);
        let share = out / u64::from(unread) * u64::from(unread - self.reads[i]);
        if share == 0 {
            return 0;
        }
        let readers = walk.graph.dependents(task);
        self.edges += readers.len();
        if self.edges > DETOUR_EDGES_MAX {
            return share;
        }
        let mut drained = 0;
        for &reader in readers {
            if self.tasks.contains(&reader) || walk.ranks[reader.idx()] == OPEN {
                continue;
            }
            if !self.is_near(walk, reader) {
                return share;
            }
            drained += walk.facts[reader.idx()].tail;
        }
        share.min(drained)
    }

    /// Whether all that `reader` misses is in this detour or takes few tasks to make.
    fn is_near(&mut self, walk: &Walk<'_>, reader: TaskId) -> bool {
        let inputs = walk.graph.dependencies(reader);
        self.edges += inputs.len();
        self.edges <= DETOUR_EDGES_MAX
            && inputs.iter().all(|dep| {
                walk.is_ranked(*dep)
                    || self.tasks.contains(dep)
                    || (walk.ranks[dep.idx()] != OPEN
                        && walk.facts[dep.idx()].ancestors <= NEAR_ANCESTORS_MAX)
            })
    }
}

fn all_facts(graph: &TaskGraph) -> Vec<Facts> {
    let mut facts = vec![Facts::default(); graph.n_tasks()];
    let mut climbs = Vec::new();
    for (id, tasks) in graph.layer_tasks() {
        let layer = graph.layers().get(id);
        for task in tasks.map(TaskId) {
            let inputs = graph.dependencies(task);
            let height = height(&facts, inputs, &mut climbs);
            let ancestors = inputs.iter().fold(0_u8, |n, dep| {
                n.saturating_add(facts[dep.idx()].ancestors).saturating_add(1)
            });
            let out = layer.out_bytes;
            let climb = height.max(layer.scratch_bytes).saturating_sub(out);
            facts[task.idx()] = Facts { out, tail: out, climb, ancestors };
        }
    }
    for task in (0..graph.n_tasks() as u32).rev().map(TaskId) {
        facts[task.idx()].tail = tail(graph, &facts, task);
    }
    facts
}

/// The bytes that remain of `task` once what can run soon after it has run.
///
/// The task's only reader may need siblings that are as near: then each of them has its part in
/// what the reader leaves, as in a tree of reductions whose steps don't shrink their inputs.
fn tail(graph: &TaskGraph, facts: &[Facts], task: TaskId) -> u64 {
    let out = facts[task.idx()].out;
    match graph.dependents(task) {
        [] => 0,
        [reader] => {
            let (reader, n_inputs) = (facts[reader.idx()], graph.dependencies(*reader).len());
            match n_inputs {
                1 => out.min(reader.tail),
                _ if reader.ancestors <= SIBLING_ANCESTORS_MAX => {
                    out.min(reader.tail.max(reader.out) / n_inputs as u64)
                }
                _ => out,
            }
        }
        _ => out,
    }
}

/// The peak of making `inputs` one after another, the highest climb first, each from nothing.
fn height(facts: &[Facts], inputs: &[TaskId], climbs: &mut Vec<(u64, u64)>) -> u64 {
    climbs.clear();
    climbs.extend(inputs.iter().map(|dep| (facts[dep.idx()].climb, facts[dep.idx()].out)));
    if !climbs.is_sorted_by(|a, b| a.0 >= b.0) {
        climbs.sort_unstable_by_key(|(climb, _)| Reverse(*climb));
    }
    let (mut held, mut peak) = (0_u64, 0);
    for (climb, out) in climbs.iter() {
        held = held.saturating_add(*out);
        peak = held.saturating_add(*climb).max(peak);
    }
    peak
}

#[cfg(test)]
mod tests;
