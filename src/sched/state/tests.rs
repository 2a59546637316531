//! The state machine by hand, with every counter derived again after each event.

use std::collections::{BTreeSet, VecDeque};

use super::*;
use crate::graph::test_graphs::{self, Builder, Chunk, Random, at};
use crate::graph::{BlockMap, LayerId, Value, order};

const B: u64 = 100;

/// A run by hand: starts and reports tasks one at a time, checking after every event.
struct TestEnv<'a> {
    state: State<'a>,
    graph: &'a TaskGraph,
    running: Vec<TaskId>,
    dropped: Vec<Block>,
    /// Whether blocks can lie on disk.
    spills: bool,
    /// What the disk was asked for and has not reported.
    moves: VecDeque<Next>,
    on_disk: BTreeSet<TaskId>,
}

/// A block that can't lie on disk.
#[derive(Debug)]
struct Fixed(u64);

impl Value for Fixed {
    fn nbytes(&self) -> u64 {
        self.0
    }
}

impl<'a> TestEnv<'a> {
    fn new(graph: &'a TaskGraph, ranks: &'a [u32], limit: u64) -> Self {
        let state = State::new(graph, ranks, limit);
        state.sanity_check();
        TestEnv {
            state,
            graph,
            running: Vec::new(),
            dropped: Vec::new(),
            spills: false,
            moves: VecDeque::new(),
            on_disk: BTreeSet::new(),
        }
    }

    fn with_disk(graph: &'a TaskGraph, ranks: &'a [u32], limit: u64) -> Self {
        TestEnv { spills: true, ..TestEnv::new(graph, ranks, limit) }
    }

    /// Starts the next task; its name, or `None` if it has to wait.
    fn start(&mut self) -> Option<String> {
        let mut next = self.state.next_task(&|| 0);
        while !matches!(next, Next::Run(_) | Next::Trim(_) | Next::Wait | Next::Finished) {
            match next {
                Next::Forget(task) => self.state.forget(task, &mut self.dropped),
                Next::Discard(task) => assert!(self.on_disk.remove(&task)),
                Next::Save(task) => {
                    let nbytes = self.state.block_to_save(task).nbytes();
                    assert_eq!(nbytes, self.graph.out_bytes(task));
                    self.moves.push_back(next);
                }
                // It may be written by now.
                Next::Recall(task) => {
                    let is_moving = self.moves.contains(&Next::Save(task));
                    assert!(is_moving || self.on_disk.contains(&task));
                }
                next => self.moves.push_back(next),
            }
            next = self.state.next_task(&|| 0);
        }
        let name = match next {
            Next::Run(task) => {
                let mut inputs = Vec::new();
                self.state.gather(task, &mut inputs);
                assert_eq!(inputs.len(), self.graph.dependencies(task).len());
                self.running.push(task);
                Some(self.graph.op_name(task).to_string())
            }
            Next::Trim(_) => panic!("there is nothing to trim"),
            _ => None,
        };
        self.state.sanity_check();
        name
    }

    /// Does what the disk was asked for first; what it was.
    fn move_one(&mut self) -> String {
        let next = self.moves.pop_front().unwrap();
        let text = match next {
            Next::Save(task) => {
                self.on_disk.insert(task);
                self.state.on_saved(task, &mut self.dropped);
                format!("save {}", self.graph.op_name(task))
            }
            Next::Load(task) => {
                assert!(self.on_disk.contains(&task));
                self.state.on_loaded(task, self.block(task));
                format!("load {}", self.graph.op_name(task))
            }
            Next::Reread(task) => {
                self.state.on_loaded(task, self.block(task));
                format!("read {}", self.graph.op_name(task))
            }
            other => panic!("{other:?}"),
        };
        self.state.sanity_check();
        text
    }

    fn block(&self, task: TaskId) -> Block {
        let bytes = self.graph.out_bytes(task);
        if self.spills { Block::new(Chunk { bytes, digest: 0 }) } else { Block::new(Fixed(bytes)) }
    }

    fn start_all(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.start()).collect()
    }

    /// Reports the `i`-th running task.
    fn finish(&mut self, i: usize) {
        let task = self.running.remove(i);
        let block = self.block(task);
        self.state.on_finished(task, Some(block), &mut self.dropped);
        self.state.sanity_check();
    }

    fn finish_all(&mut self) {
        while !self.running.is_empty() {
            self.finish(0);
        }
    }

    /// Starts all that can start, lets the disk do one thing, and reports all, until nothing is left; what was done.
    fn run_with_disk(&mut self) -> Vec<String> {
        let mut log = Vec::new();
        loop {
            log.extend(self.start_all());
            if !self.moves.is_empty() {
                log.push(self.move_one());
            } else if self.running.is_empty() {
                return log;
            }
            self.finish_all();
        }
    }

    /// Starts and reports in any order until nothing can start.
    fn run_randomly(&mut self, random: &mut Random) {
        loop {
            let starts = random.below(4);
            (0..starts).for_each(|_| drop(self.start()));
            let is_idle = self.running.is_empty() && self.moves.is_empty();
            if is_idle && self.start().is_none() && self.moves.is_empty() {
                return;
            }
            let n_running = self.running.len() as u64;
            if !self.moves.is_empty() && (n_running == 0 || random.below(2) == 0) {
                self.move_one();
            } else if n_running > 0 {
                self.finish(random.below(n_running) as usize);
            }
        }
    }
}

#[test]
fn random_graphs_run_in_any_legal_order_under_any_budget() {
    for seed in 0..150 {
        let graph = test_graphs::random(seed, 40);
        let ranks = order(&graph);
        let mut random = Random(seed);
        let mut env = TestEnv::new(&graph, &ranks, random.below(2000));
        env.run_randomly(&mut random);
        assert!(env.state.is_complete(), "seed {seed}");
        assert_eq!(env.state.resident_bytes(), 0);
        assert_eq!(env.state.next_task(&|| 0), Next::Finished);
    }
}

#[test]
fn readers_wait_for_the_budget_and_what_frees_memory_does_not() {
    let mut b = Builder::default();
    let x = b.array("x", &[8], B, &[]);
    let sum = b.tree("sum", 1, 8, x);
    let graph = b.expand(&[sum]);
    let ranks = order(&graph);
    let mut env = TestEnv::new(&graph, &ranks, 3 * B + 2);
    assert_eq!(env.start_all(), ["x", "x", "x"]);
    env.finish_all();
    assert_eq!(env.start_all(), ["sum", "sum"], "there is room for two sums");
    env.finish(0);
    assert_eq!(env.start_all(), ["sum"], "a byte of the sum is left, so no chunk fits");
    env.finish(0);
    assert_eq!(env.start_all(), ["x"]);
}

#[test]
fn sources_leave_room_for_a_task_that_frees_memory() {
    let mut b = Builder::default();
    let x = b.array("x", &[9], B, &[]);
    let y = b.array("y", &[9], B, &[(x, BlockMap::Linear)]);
    let sum = b.tree("sum", 1, 9, y);
    let graph = b.expand(&[sum]);
    let ranks = order(&graph);
    let mut env = TestEnv::new(&graph, &ranks, 5 * B);
    assert_eq!(env.start_all(), ["x", "x", "x", "x"], "y needs the rest");
    loop {
        env.finish(0);
        if env.start_all().is_empty() && env.running.is_empty() {
            break;
        }
    }
    assert!(env.state.is_complete());
    assert!(env.state.peak_bytes() <= 5 * B, "{}", env.state.peak_bytes());
}

#[test]
fn what_frees_memory_waits_only_for_tasks_that_run() {
    let mut b = Builder::default();
    let pairs: Vec<_> = (0..2)
        .map(|_| {
            let x = b.task("x", B, &[]);
            b.task("y", B, &[x])
        })
        .collect();
    let graph = b.expand(&pairs);
    let ranks: Vec<u32> = vec![0, 2, 1, 3];
    let mut env = TestEnv::new(&graph, &ranks, 2 * B + B / 2);
    env.start();
    env.start();
    // There is no room for an output beside both inputs, so one of them goes over the limit.
    env.finish_all();
    let mut n_started = 0;
    while !env.state.is_complete() {
        let started = env.start_all();
        assert!(started.len() == 1, "{started:?}");
        n_started += started.len();
        env.finish_all();
    }
    assert!(n_started >= 2);
}

#[test]
fn without_a_running_task_the_best_held_back_task_runs_anyway() {
    let mut b = Builder::default();
    let x = b.array("x", &[3], B, &[]);
    let y = b.array("y", &[1], B, &[(x, test_graphs::all())]);
    let graph = b.expand(&[y]);
    let ranks = order(&graph);
    let mut env = TestEnv::new(&graph, &ranks, B + 1);
    for _ in 0..3 {
        assert_eq!(env.start_all(), ["x"]);
        env.finish_all();
    }
    assert_eq!(env.start_all(), ["y"]);
    env.finish_all();
    assert!(env.state.is_complete());
}

#[test]
fn a_refused_task_runs_once_it_is_the_last_reader() {
    let mut b = Builder::default();
    let x = b.task("x", B, &[]);
    let readers = [b.task("a", B, &[x]), b.task("b", B, &[x, x])];
    let sums = readers.map(|reader| b.task("sum", 1, &[reader]));
    let hog = b.task("hog", 9 * B, &[]);
    let use_hog = b.task("use", 1, &[hog]);
    let graph = b.expand(&[sums[0], sums[1], use_hog]);
    let ranks: Vec<u32> = vec![1, 2, 3, 4, 5, 0, 6];
    let mut env = TestEnv::new(&graph, &ranks, 12 * B + 1);
    assert_eq!(env.start_all(), ["hog", "x"]);
    env.finish(1);
    // 10 B are used and 1 B is headroom; each of the readers needs one, and releases nothing as long as
    // both read.
    assert_eq!(env.start_all(), ["a"]);
    env.finish(1);
    assert_eq!(env.start_all(), ["b", "sum"], "b is the last reader of x now");
    env.finish_all();
}

#[test]
fn the_last_reader_owns_the_block_and_others_share_it() {
    let mut b = Builder::default();
    let x = b.task("x", B, &[]);
    let y = b.task("y", B, &[x]);
    let z = b.task("z", B, &[x, y]);
    let graph = b.expand(&[z]);
    let ranks = order(&graph);
    let mut state = State::new(&graph, &ranks, 10 * B);
    let (mut inputs, mut dropped) = (Vec::new(), Vec::new());
    for expected_owned in [vec![], vec![false], vec![true, true]] {
        let Next::Run(task) = state.next_task(&|| 0) else { panic!("a task is ready") };
        state.gather(task, &mut inputs);
        let owned = inputs.drain(..).map(|block| block.try_unwrap::<Chunk>().is_ok());
        assert_eq!(owned.collect::<Vec<_>>(), expected_owned);
        state.sanity_check();
        state.on_finished(task, Some(Block::new(Chunk { bytes: B, digest: 0 })), &mut dropped);
        state.sanity_check();
    }
    assert_eq!(state.peak_bytes(), 3 * B);
}

#[test]
fn a_block_that_runs_elsewhere_is_counted_until_its_reader_ends() {
    let mut b = Builder::default();
    let x = b.task("x", B, &[]);
    let readers: Vec<LayerId> = (0..2).map(|_| b.task("sum", 1, &[x])).collect();
    let graph = b.expand(&readers);
    let ranks = order(&graph);
    let mut env = TestEnv::new(&graph, &ranks, 10 * B);
    env.start_all();
    env.finish(0);
    assert_eq!(env.start_all(), ["sum", "sum"]);
    env.finish(1);
    assert_eq!(env.state.resident_bytes(), B);
    env.finish(0);
    assert_eq!(env.state.resident_bytes(), 0);
}

#[test]
fn idle_buffers_are_trimmed_before_a_reader_waits() {
    let mut b = Builder::default();
    let x = b.array("x", &[3], B, &[]);
    let graph = b.expand(&[x]);
    let ranks = order(&graph);
    let mut state = State::new(&graph, &ranks, 2 * B);
    assert!(matches!(state.next_task(&|| B), Next::Run(_)));
    assert_eq!(state.next_task(&|| B + B / 2), Next::Trim(B));
    assert!(matches!(state.next_task(&|| 0), Next::Run(_)));
    assert_eq!(state.next_task(&|| 0), Next::Wait);
}

#[test]
fn nothing_starts_after_a_failure() {
    let mut b = Builder::default();
    let x = b.array("x", &[4], B, &[]);
    let y = b.array("y", &[4], B, &[(x, BlockMap::Linear), (x, at(0))]);
    let graph = b.expand(&[y]);
    let ranks = order(&graph);
    let mut env = TestEnv::new(&graph, &ranks, 100 * B);
    env.start();
    env.start();
    let failed = env.running.remove(0);
    env.state.on_failed(failed);
    assert_eq!(env.state.next_task(&|| 0), Next::Wait);
    env.finish_all();
    assert_eq!(env.state.next_task(&|| 0), Next::Finished);
    assert!(!env.state.is_complete());
}

/// The bytes that the most demanding task needs: its inputs, its output.
fn largest_task(graph: &TaskGraph) -> u64 {
    let needs = (0..graph.n_tasks() as u32).map(TaskId).map(|task| {
        let mut inputs = graph.dependencies(task).to_vec();
        inputs.sort_unstable();
        inputs.dedup();
        graph.out_bytes(task) + inputs.iter().map(|dep| graph.out_bytes(*dep)).sum::<u64>()
    });
    needs.max().unwrap_or(0)
}

#[test]
fn with_a_disk_random_graphs_stay_inside_any_budget_in_which_their_tasks_fit() {
    let (mut n_spilled, mut n_reread) = (0, 0);
    for seed in 0..300 {
        let graph = test_graphs::random(seed, 40);
        let ranks = order(&graph);
        let mut random = Random(seed);
        let limit = largest_task(&graph) + random.below(300);
        let mut env = TestEnv::with_disk(&graph, &ranks, limit);
        env.run_randomly(&mut random);
        assert!(env.state.is_complete(), "seed {seed}");
        assert_eq!(env.state.resident_bytes(), 0);
        assert!(env.on_disk.is_empty(), "files go with the last reader");
        assert!(
            env.state.peak_bytes() <= limit,
            "seed {seed}: {} of {limit}",
            env.state.peak_bytes()
        );
        n_spilled += u32::from(env.state.spilled_bytes() > 0);
        n_reread += u32::from(env.state.reread_bytes() > 0);
    }
    assert!(n_spilled > 100, "only {n_spilled} graphs had to spill");
    assert!(n_reread > 50, "only {n_reread} graphs had to read again");
}

/// Three blocks, of which memory holds two and a half, each read once, in this order.
fn three_in_two(readers: [usize; 3]) -> (TaskGraph, Vec<u32>) {
    let mut b = Builder::default();
    let blocks = ["x", "y", "z"].map(|name| b.task(name, B, &[]));
    let hog = b.task("hog", B, &[]);
    let names = ["of x", "of y", "of z"];
    let outputs = [0, 1, 2].map(|i| b.task(names[i], 1, &[blocks[i], hog]));
    let graph = b.expand(&outputs);
    let mut ranks = vec![0, 1, 2, 3, 0, 0, 0];
    readers.iter().enumerate().for_each(|(rank, i)| ranks[4 + i] = 4 + rank as u32);
    (graph, ranks)
}

#[test]
fn the_block_that_is_needed_last_leaves_first_and_comes_back() {
    let (graph, ranks) = three_in_two([1, 2, 0]);
    let mut env = TestEnv::with_disk(&graph, &ranks, 3 * B + 2);
    assert_eq!(env.start_all(), ["x", "y", "z"]);
    env.finish_all();
    assert_eq!(env.start_all(), [""; 0], "x has to be written before the next block is made");
    assert_eq!((env.move_one().as_str(), env.moves.len()), ("save x", 0));
    assert_eq!(env.start_all(), ["hog"]);
    env.finish_all();
    assert_eq!(env.start_all(), ["of y", "of z"]);
    assert_eq!(env.moves.len(), 0, "x comes back when there is room for it");
    env.finish_all();
    assert_eq!(env.start_all(), [""; 0]);
    assert_eq!(env.move_one(), "load x");
    assert_eq!(env.start_all(), ["of x"]);
    env.finish_all();
    assert_eq!(env.start(), None);
    assert!(env.state.is_complete() && env.on_disk.is_empty());
    assert_eq!(env.state.spilled_bytes(), B);
    assert!(env.state.peak_bytes() <= 3 * B + 2);
}

#[test]
fn the_disk_reads_for_the_next_task_while_others_run() {
    // Six tasks read x, and then one reads y; both have to leave for the hog.
    let mut b = Builder::default();
    let (x, y) = (b.task("x", B, &[]), b.task("y", B, &[]));
    let hog = b.task("hog", 4 * B, &[]);
    let small = b.task("small", 1, &[hog]);
    let mut outputs: Vec<_> = (0..6).map(|_| b.task("of x", 1, &[x, small])).collect();
    outputs.push(b.task("of y", 1, &[y, small]));
    let graph = b.expand(&outputs);
    let ranks: Vec<u32> = (0..11).collect();
    let mut env = TestEnv::with_disk(&graph, &ranks, 4 * B + 20);
    assert_eq!(env.start_all(), ["x", "y"]);
    env.finish_all();
    assert_eq!(env.start_all(), [""; 0]);
    assert_eq!((env.move_one().as_str(), env.move_one().as_str()), ("save y", "save x"));
    for name in ["hog", "small"] {
        assert_eq!(env.start_all(), [name]);
        env.finish_all();
    }
    assert_eq!(env.start_all(), [""; 0], "no more than four wait for x");
    assert_eq!((env.move_one().as_str(), env.moves.len()), ("load x", 0));
    assert_eq!(env.start_all(), ["of x"; 6]);
    assert_eq!(env.moves, [Next::Load(TaskId(1))]);
    env.finish_all();
    assert_eq!(env.move_one(), "load y");
    assert_eq!(env.start_all(), ["of y"]);
    env.finish_all();
    assert_eq!(env.start(), None);
    assert!(env.state.is_complete() && env.on_disk.is_empty());
}

#[test]
fn a_block_that_a_task_needs_while_it_is_written_stays() {
    let mut b = Builder::default();
    let x = b.array("x", &[16], B, &[]);
    let s = b.task("s", B, &[]);
    let y = b.array("y", &[16], 1, &[(x, BlockMap::Linear), (s, at(0))]);
    let graph = b.expand(&[y]);
    let ranks: Vec<u32> = (0..33).collect();
    let mut env = TestEnv::with_disk(&graph, &ranks, 16 * B + B / 2);
    assert_eq!(env.start_all().len(), 16);
    env.finish_all();
    assert_eq!(env.start_all(), [""; 0]);
    assert_eq!(env.moves, [Next::Save(TaskId(15)), Next::Save(TaskId(14))], "one and a batch");
    env.move_one();
    assert_eq!(env.start_all(), ["s"]);
    env.finish_all();
    assert_eq!(env.start_all(), ["y"; 15], "all but the one whose block is on disk");
    assert_eq!(env.state.resident_bytes(), 16 * B);
    env.finish(14);
    assert_eq!(env.state.resident_bytes(), 16 * B, "the disk holds the block");
    env.finish(0);
    assert_eq!(env.start_all(), [""; 0]);
    assert_eq!(env.moves, [Next::Save(TaskId(14)), Next::Load(TaskId(15))]);
    let resident = env.state.resident_bytes();
    env.move_one();
    assert_eq!(env.state.resident_bytes(), resident - B, "all of it is written");
    env.move_one();
    assert_eq!(env.start_all(), ["y"]);
    env.finish_all();
    assert_eq!(env.start(), None);
    assert!(env.state.is_complete() && env.on_disk.is_empty());
}

#[test]
fn what_came_back_leaves_again_without_being_written() {
    // x is read at the beginning, in the middle and at the end, and does not fit in between.
    let mut b = Builder::default();
    let x = b.task("x", B, &[]);
    let mut last = b.task("a", 1, &[x]);
    for name in ["b", "c"] {
        let hog = b.task("hog", 2 * B, &[last]);
        let small = b.task("small", 1, &[hog]);
        last = b.task(name, 1, &[x, small]);
    }
    let graph = b.expand(&[last]);
    let ranks = order(&graph);
    let mut env = TestEnv::with_disk(&graph, &ranks, 2 * B + B / 2);
    let log = env.run_with_disk();
    assert_eq!(
        log,
        [
            "x", "a", "save x", "hog", "small", "load x", "b", "save x", "hog", "small", "load x",
            "c"
        ]
    );
    assert_eq!(env.state.spilled_bytes(), B, "the second time there was a copy");
    assert!(env.state.is_complete() && env.on_disk.is_empty());
}

#[test]
fn what_was_read_is_dropped_and_read_again() {
    let mut b = Builder::default();
    let x = b.source("x", &[4], B);
    let sum = b.tree("sum", 1, 4, x);
    let y = b.array("y", &[4], 1, &[(x, BlockMap::Linear), (sum, at(0))]);
    let graph = b.expand(&[y]);
    let ranks = order(&graph);
    let mut env = TestEnv::with_disk(&graph, &ranks, 2 * B + B / 2);
    let log = env.run_with_disk();
    assert!(env.state.is_complete());
    assert_eq!(log.iter().filter(|step| *step == "x").count(), 4);
    let n_reread = log.iter().filter(|step| *step == "read x").count() as u64;
    assert!((2..=3).contains(&n_reread), "{log:?}");
    assert_eq!((env.state.spilled_bytes(), env.state.reread_bytes()), (0, n_reread * B));
}
