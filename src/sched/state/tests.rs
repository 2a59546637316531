//! The state machine by hand, with every counter derived again after each event.

use super::*;
use crate::graph::order;
use crate::graph::test_graphs::{self, Builder, Chunk, Random, at};
use crate::graph::{BlockMap, LayerId};

const B: u64 = 100;

/// A run by hand: starts and reports tasks one at a time, checking after every event.
struct TestEnv<'a> {
    state: State<'a>,
    graph: &'a TaskGraph,
    running: Vec<TaskId>,
    dropped: Vec<Block>,
}

impl<'a> TestEnv<'a> {
    fn new(graph: &'a TaskGraph, ranks: &'a [u32], limit: u64) -> Self {
        let state = State::new(graph, ranks, limit);
        state.sanity_check();
        TestEnv { state, graph, running: Vec::new(), dropped: Vec::new() }
    }

    /// Starts the next task; its name, or `None` if it has to wait.
    fn start(&mut self) -> Option<String> {
        let next = self.state.next_task(&|| 0);
        let name = match next {
            Next::Run(task) => {
                let mut inputs = Vec::new();
                self.state.gather(task, &mut inputs);
                assert_eq!(inputs.len(), self.graph.dependencies(task).len());
                self.running.push(task);
                Some(self.graph.op_name(task).to_string())
            }
            Next::Trim(_) => panic!("there is nothing to trim"),
            Next::Wait | Next::Finished => None,
        };
        self.state.sanity_check();
        name
    }

    fn start_all(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.start()).collect()
    }

    /// Reports the `i`-th running task.
    fn finish(&mut self, i: usize) {
        let task = self.running.remove(i);
        let bytes = self.graph.out_bytes(task);
        let block = Block::new(Chunk { bytes, digest: 0 });
        self.state.on_finished(task, Some(block), &mut self.dropped);
        self.state.sanity_check();
    }

    fn finish_all(&mut self) {
        while !self.running.is_empty() {
            self.finish(0);
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
        loop {
            let starts = random.below(4);
            (0..starts).for_each(|_| drop(env.start()));
            if env.running.is_empty() && env.start().is_none() {
                break;
            }
            env.finish(random.below(env.running.len() as u64) as usize);
        }
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
