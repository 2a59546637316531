//! What is known of all runs that were watched, of bounded size.

use std::collections::HashMap;
use std::sync::Arc;

use super::memory_log::MemoryLog;
use super::stream::{Bar, Stream};
use crate::observe::{
    Feed, LayerInfo, RunEnded, RunId, RunStarted, Running, Span, SpanKind, Thread,
};

/// Operations after these are counted together.
const OPS_MAX: usize = 500;
/// Of so many runs at most the single one is remembered.
pub(super) const RUNS_MAX: usize = 1000;
/// Of so many runs the graph is kept.
const PICTURES_MAX: usize = 20;

const OTHERS: &str = "other operations";
const SPILL: &str = "write to disk";
const LOAD: &str = "read from disk";

/// All tasks of one operation, in all runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationTotals {
    /// Its name.
    pub op: Arc<str>,
    /// How many tasks there were to run; 0 if it is no operation but what the disk did.
    pub n_tasks: u64,
    /// How many have run.
    pub n_finished: u64,
    /// How many of those that began did not end well.
    pub n_failed: u64,
    /// The time of all of them together.
    pub busy_ns: u64,
    /// The time of the longest one.
    pub longest_ns: u64,
    /// The bytes of their blocks.
    pub bytes: u64,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunTotals {
    /// Its number.
    pub run: RunId,
    /// What asked for it: the function, and where it was called.
    pub call: String,
    /// When it began, in nanoseconds.
    pub start_ns: u64,
    /// When it ended, if it has.
    pub end_ns: Option<u64>,
    /// How many tasks there were to run.
    pub n_tasks: u64,
    /// How many have run.
    pub n_finished: u64,
    /// Bytes that blocks and running tasks might use.
    pub memory_limit: u64,
    /// The most that they used at once.
    pub peak_bytes: u64,
    /// Bytes of blocks that were written to disk.
    pub spilled_bytes: u64,
    /// Bytes of blocks that were dropped and read again.
    pub reread_bytes: u64,
    /// What went wrong.
    pub error: Option<String>,
}

/// Who did one thing after another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lane {
    /// The name of the thread.
    pub thread: Arc<str>,
    /// How many tasks of the same thread were interrupted by what stands here.
    pub depth: u16,
}

#[derive(Debug)]
pub(super) struct Book {
    pub(super) ops: Vec<OperationTotals>,
    ops_by_name: HashMap<Arc<str>, u32>,
    pub(super) lanes: Vec<Lane>,
    /// By the number of the thread, which is small, and by depth.
    lanes_by_thread: Vec<Vec<Option<u32>>>,
    pub(super) stream: Stream,
    pub(super) memory: MemoryLog,
    pub(super) runs: Vec<RunTotals>,
    /// The positions of those that have ended, in the order in which they did.
    pub(super) ended: Vec<usize>,
    pub(super) pictures: Vec<(RunId, String)>,
    pub(super) n_runs: u64,
    /// The most that a run used.
    pub(super) peak_bytes: u64,
    pub(super) memory_limit: u64,
    pub(super) spilled_bytes: u64,
    pub(super) reread_bytes: u64,
    live: HashMap<RunId, Live>,
}

/// A run that has not ended.
#[derive(Debug)]
struct Live {
    feed: Feed,
    /// The operation of each layer.
    ops: Vec<u32>,
    /// How many tasks each has, as far as that is known.
    n_tasks: Vec<u64>,
    used_bytes: u64,
    /// Its position among the runs, if it is one of those that are remembered.
    position: Option<usize>,
}

impl Book {
    pub(super) fn new() -> Self {
        Book {
            ops: Vec::new(),
            ops_by_name: HashMap::new(),
            lanes: Vec::new(),
            lanes_by_thread: Vec::new(),
            stream: Stream::new(),
            memory: MemoryLog::new(),
            runs: Vec::new(),
            ended: Vec::new(),
            pictures: Vec::new(),
            n_runs: 0,
            peak_bytes: 0,
            memory_limit: 0,
            spilled_bytes: 0,
            reread_bytes: 0,
            live: HashMap::new(),
        }
    }

    pub(super) fn start_run(&mut self, run: &RunStarted<'_>) {
        self.n_runs += 1;
        self.memory_limit = run.memory_limit;
        let position = (self.runs.len() < RUNS_MAX).then_some(self.runs.len());
        if position.is_some() {
            self.runs.push(RunTotals {
                run: run.run,
                call: run.call.map_or_else(String::new, |call| format!("{} {call}", call.op)),
                start_ns: run.at_ns,
                end_ns: None,
                n_tasks: 0,
                n_finished: 0,
                memory_limit: run.memory_limit,
                peak_bytes: 0,
                spilled_bytes: 0,
                reread_bytes: 0,
                error: None,
            });
        }
        if self.pictures.len() < PICTURES_MAX
            && let Some(picture) = run.picture()
        {
            self.pictures.push((run.run, picture));
        }
        let feed = run.feed.clone();
        let live = Live { feed, ops: Vec::new(), n_tasks: Vec::new(), used_bytes: 0, position };
        self.live.insert(run.run, live);
        self.add_tasks(run.run, run.layers);
        self.memory.add(run.at_ns, self.used_bytes());
    }

    /// Counts the tasks of `layers` that were not known before.
    pub(super) fn add_tasks(&mut self, run: RunId, layers: &[LayerInfo]) {
        let Some(mut live) = self.live.remove(&run) else { return };
        for (i, layer) in layers.iter().enumerate() {
            if i == live.ops.len() {
                live.ops.push(self.op(&layer.op));
                live.n_tasks.push(0);
            }
            let n_new = layer.n_tasks - live.n_tasks[i];
            live.n_tasks[i] = layer.n_tasks;
            self.ops[live.ops[i] as usize].n_tasks += n_new;
            if let Some(position) = live.position {
                self.runs[position].n_tasks += n_new;
            }
        }
        self.live.insert(run, live);
    }

    pub(super) fn add_spans(&mut self, run: RunId, spans: &[Span]) {
        // What is looked up for each span would take longer than all that is done with it.
        let Some(mut live) = self.live.remove(&run) else { return };
        let used_elsewhere = self.used_bytes();
        let ops = &live.ops;
        for span in spans {
            let op = match span.kind {
                SpanKind::Task => ops[span.layer as usize],
                SpanKind::Spill => self.op(&SPILL.into()),
                SpanKind::Load => self.op(&LOAD.into()),
                SpanKind::Reread => {
                    let name = format!("{}, again", self.ops[ops[span.layer as usize] as usize].op);
                    self.op(&name.into())
                }
            };
            self.count(op, span);
            let lane = self.lane(span);
            self.stream.add(Bar {
                lane,
                op,
                n_tasks: 1,
                is_ok: span.is_ok,
                start_ns: span.start_ns,
                end_ns: span.end_ns,
                busy_ns: span.duration_ns(),
            });
            if span.kind == SpanKind::Task {
                live.used_bytes = span.memory_bytes;
                self.memory.add(span.start_ns, used_elsewhere.saturating_add(span.memory_bytes));
                if let Some(run) = live.position.map(|i| &mut self.runs[i]) {
                    run.n_finished += u64::from(span.is_ok);
                    run.peak_bytes = run.peak_bytes.max(span.memory_bytes);
                }
                self.peak_bytes = self.peak_bytes.max(span.memory_bytes);
            }
        }
        self.live.insert(run, live);
    }

    pub(super) fn end_run(&mut self, ended: &RunEnded) {
        let Some(live) = self.live.remove(&ended.run) else { return };
        self.peak_bytes = self.peak_bytes.max(ended.peak_bytes);
        self.spilled_bytes += ended.spilled_bytes;
        self.reread_bytes += ended.reread_bytes;
        self.memory.add(ended.at_ns, self.used_bytes());
        if let Some(run) = live.position.map(|i| &mut self.runs[i]) {
            run.end_ns = Some(ended.at_ns);
            run.n_finished = ended.n_finished;
            run.peak_bytes = ended.peak_bytes;
            run.spilled_bytes = ended.spilled_bytes;
            run.reread_bytes = ended.reread_bytes;
            run.error.clone_from(&ended.error);
        }
        self.ended.extend(live.position);
    }

    /// What all runs that go on have not told yet, and can be asked for.
    pub(super) fn feeds(&self) -> Vec<Feed> {
        self.live.values().map(|live| live.feed.clone()).collect()
    }

    /// The positions of the runs that go on.
    pub(super) fn live(&self) -> Vec<usize> {
        let mut live: Vec<_> = self.live.values().filter_map(|live| live.position).collect();
        live.sort_unstable();
        live
    }

    pub(super) fn n_live(&self) -> usize {
        self.live.len()
    }

    /// What runs right now, each with its lane and its operation. The memory that it takes is noted.
    pub(super) fn running(&mut self) -> Vec<(u32, u32, Running)> {
        let mut told = Vec::new();
        for live in self.live.values_mut() {
            let running = live.feed.running();
            if let Some(last) = running.iter().max_by_key(|running| running.since_ns) {
                live.used_bytes = last.memory_bytes;
            }
            let op = |running: &Running| live.ops.get(running.layer as usize).copied();
            told.extend(running.into_iter().filter_map(|task| Some((op(&task)?, task))));
        }
        if let Some(last) = told.iter().map(|(_, running)| running.since_ns).max() {
            self.memory.add(last, self.used_bytes());
        }
        let with_lane = |(op, running): (u32, Running)| {
            (self.lane_of(running.thread, running.depth), op, running)
        };
        let mut all: Vec<_> = told.into_iter().map(with_lane).collect();
        all.sort_by_key(|(lane, ..)| *lane);
        all
    }

    fn used_bytes(&self) -> u64 {
        self.live.values().fold(0, |sum, live| sum.saturating_add(live.used_bytes))
    }

    fn count(&mut self, op: u32, span: &Span) {
        let totals = &mut self.ops[op as usize];
        totals.n_finished += u64::from(span.is_ok);
        totals.n_failed += u64::from(!span.is_ok);
        totals.busy_ns += span.duration_ns();
        totals.longest_ns = totals.longest_ns.max(span.duration_ns());
        totals.bytes = totals.bytes.saturating_add(span.bytes);
    }

    fn op(&mut self, name: &Arc<str>) -> u32 {
        if let Some(op) = self.ops_by_name.get(name) {
            return *op;
        }
        if self.ops.len() == OPS_MAX {
            return (OPS_MAX - 1) as u32;
        }
        let op = self.ops.len() as u32;
        let name = if self.ops.len() == OPS_MAX - 1 { &OTHERS.into() } else { name };
        self.ops_by_name.insert(Arc::clone(name), op);
        self.ops.push(OperationTotals {
            op: Arc::clone(name),
            n_tasks: 0,
            n_finished: 0,
            n_failed: 0,
            busy_ns: 0,
            longest_ns: 0,
            bytes: 0,
        });
        op
    }

    fn lane(&mut self, span: &Span) -> u32 {
        self.lane_of(span.thread, span.depth)
    }

    fn lane_of(&mut self, thread: Thread, depth: u16) -> u32 {
        let (number, level) = (thread.0 as usize, usize::from(depth));
        if let Some(Some(lane)) = self.lanes_by_thread.get(number).and_then(|of| of.get(level)) {
            return *lane;
        }
        if self.lanes_by_thread.len() <= number {
            self.lanes_by_thread.resize_with(number + 1, Vec::new);
        }
        let of_thread = &mut self.lanes_by_thread[number];
        if of_thread.len() <= level {
            of_thread.resize(level + 1, None);
        }
        let lane = self.lanes.len() as u32;
        of_thread[level] = Some(lane);
        self.lanes.push(Lane { thread: thread.name(), depth });
        lane
    }
}
