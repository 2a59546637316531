//! What `benches/` needs of private modules. Not part of the public interface.
//!
//! Benches time these calls; nothing here looks at a clock.

use std::fmt;
use std::sync::Arc;

use crate::compute::{Collection, Collector, NoWatch, Session};
use crate::config::{Config, ExecutorKind};
use crate::error::Result;
use crate::graph::{
    AxisMap, Block, BlockMap, Inputs, Kernel, Layer, LayerGraph, LayerId, LayerInput, TaskContext,
    TaskGraph, TaskId, Value, by_rank, order, peak_bytes,
};
use crate::memory::BufferPool;
use crate::observe::Observer;
use crate::sched::{Runtime, Sink, state_bytes};

#[cfg(feature = "array")]
pub use crate::array::kernels::bench_support as elemwise;

/// A collection that is planned and lowered to layers, but not to tasks.
pub struct Planned {
    layers: LayerGraph,
    outputs: Vec<LayerId>,
    collectors: Vec<Arc<dyn Collector>>,
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planned").field("layers", &self.layers).finish_non_exhaustive()
    }
}

impl Planned {
    /// Plans a collection as `compute` does.
    ///
    /// # Errors
    /// As `compute`, as far as it goes.
    pub fn new<C: Collection>(collection: &C) -> Result<Self> {
        let mut session = Session::default();
        collection.enlist(&mut session)?;
        let prepared =
            session.prepare(crate::Call::new("bench"), &Config::current()?, &mut NoWatch)?;
        let (layers, outputs, collectors) = prepared.into_parts();
        Ok(Planned { layers, outputs, collectors })
    }

    /// Expands the layers to tasks and orders them; returns how many there are.
    ///
    /// # Errors
    /// [`Error::TooManyTasks`](crate::Error::TooManyTasks).
    pub fn expand(self) -> Result<usize> {
        let graph = TaskGraph::expand(self.layers, &self.outputs)?;
        let ranks = order(&graph);
        Ok(ranks.len())
    }
}

/// What the tasks of one layer say that they take, and what they were seen to take, at most.
#[derive(Clone, Debug)]
pub struct TaskBytes {
    /// The operations of the layer.
    pub op: String,
    /// The declared bytes of an output block.
    pub declared_output: u64,
    /// The declared bytes besides inputs and output.
    pub declared_scratch: u64,
    /// The bytes of the largest block that came out.
    pub output: u64,
    /// The bytes that were allocated at once while a task ran, or while its block was handed over.
    pub allocated: u64,
}

/// Runs the tasks of a collection one after another, each between two looks at the allocator: `meter` calls
/// what it is given and returns the most bytes that were allocated meanwhile, beyond those before.
///
/// A task owns the inputs that no other task reads, and may work in place of these.
///
/// # Errors
/// As `compute`.
pub fn measure_tasks<C: Collection>(
    collection: &C,
    meter: &dyn Fn(&mut dyn FnMut()) -> u64,
) -> Result<Vec<TaskBytes>> {
    measure(Planned { collectors: vec![], ..Planned::new(collection)? }, meter)
}

/// As [`measure_tasks`], of writing a frame as a file of each partition below `path`: as `csv`, `ndjson`, `ipc`, or else as
/// Parquet, in directories by the values of `partition_on`. Nothing is there at the end.
///
/// # Errors
/// As the methods of frames that write.
#[cfg(feature = "frame")]
pub fn measure_write(
    frame: &crate::frame::DataFrame,
    path: &std::path::Path,
    format: &str,
    partition_on: &[&str],
    meter: &dyn Fn(&mut dyn FnMut()) -> u64,
) -> Result<Vec<TaskBytes>> {
    let write = crate::frame::write_of(frame, path, format, partition_on);
    measure(Planned::new(&write)?, meter)
}

fn measure(planned: Planned, meter: &dyn Fn(&mut dyn FnMut()) -> u64) -> Result<Vec<TaskBytes>> {
    let Planned { layers, outputs, collectors } = planned;
    for (output, collector) in outputs.iter().zip(&collectors) {
        collector.start(layers.get(*output).n_blocks())?;
    }
    let measured = layers.layers().iter().map(|layer| TaskBytes {
        op: layer.name.to_string(),
        declared_output: layer.out_bytes,
        declared_scratch: layer.scratch_bytes,
        output: 0,
        allocated: 0,
    });
    let mut measured: Vec<_> = measured.collect();
    let graph = TaskGraph::expand(layers, &outputs)?;
    let pool = Arc::new(BufferPool::plain());
    let mut blocks: Vec<Option<Block>> = vec![None; graph.n_tasks()];
    for task in by_rank(&order(&graph)) {
        let input = |dep: &TaskId| match graph.dependents(*dep).len() {
            1 => blocks[dep.idx()].take(),
            _ => blocks[dep.idx()].clone(),
        };
        let inputs: Option<Vec<_>> = graph.dependencies(task).iter().map(input).collect();
        let mut inputs = Some(inputs.expect("inputs have lower ranks"));
        let mut result = None;
        let allocated =
            meter(&mut || result = inputs.take().map(|inputs| graph.run(task, &pool, inputs)));
        let block = result.expect("the meter calls what it is given")?;
        let id = graph.layer(task);
        let layer = &mut measured[id.idx()];
        layer.output = layer.output.max(block.nbytes());
        layer.allocated = layer.allocated.max(allocated);
        for (_, collector) in outputs.iter().zip(&collectors).filter(|(output, _)| **output == id) {
            let (number, mut result) = (graph.block_number(id, task) as usize, Ok(()));
            let handed_over = meter(&mut || result = collector.accept(number, block.clone()));
            result?;
            // The block is there already.
            layer.allocated = layer.allocated.max(handed_over.saturating_add(block.nbytes()));
        }
        blocks[task.idx()] = Some(block);
    }
    Ok(measured)
}

/// The shapes of graph that the scheduler is measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As many independent tasks as asked for, all of them outputs.
    FanOut,
    /// One task after another, a thousand to a layer's chain.
    Chain,
    /// Chunks and their partial sums, joined four at a time.
    Tree,
    /// Two arrays, three products of them, three trees.
    QuadraticMeans,
    /// An array minus its mean.
    Anomaly,
    /// An array plus a scalar that all tasks read.
    Broadcast,
    /// Groups of twenty blocks, each cut and joined into twenty others.
    Rechunk,
    /// Windows of three blocks, twice, and a tree.
    Overlap,
}

/// A graph of trivial tasks.
#[derive(Debug)]
pub struct Graph(TaskGraph);

/// The order of a graph's tasks.
#[derive(Debug)]
pub struct Ranks(Vec<u32>);

impl Graph {
    /// A graph of about `n` tasks.
    ///
    /// # Errors
    /// If `n` is more than a graph can hold.
    pub fn expand(shape: Shape, n: u64) -> Result<Graph> {
        let mut layers = LayerGraph::default();
        let outputs = match shape {
            Shape::FanOut => vec![push(&mut layers, n, &[])],
            Shape::Chain => vec![chain(&mut layers, n)],
            Shape::Tree => {
                let x = push(&mut layers, n * 3 / 7, &[]);
                vec![tree(&mut layers, x)]
            }
            Shape::QuadraticMeans => quadratic_means(&mut layers, n / 9),
            Shape::Anomaly => {
                let x = push(&mut layers, n * 3 / 10, &[]);
                let mean = tree(&mut layers, x);
                let mean = (mean, BlockMap::axes([AxisMap::At(0)]));
                vec![push(&mut layers, n * 3 / 10, &[(x, BlockMap::Linear), mean])]
            }
            Shape::Broadcast => {
                let (scalar, x) = (push(&mut layers, 1, &[]), push(&mut layers, n * 3 / 10, &[]));
                let scalar = (scalar, BlockMap::axes([AxisMap::At(0)]));
                let y = push(&mut layers, n * 3 / 10, &[scalar, (x, BlockMap::Linear)]);
                vec![tree(&mut layers, y)]
            }
            Shape::Rechunk => {
                let n = n / 40 * 20;
                let x = push(&mut layers, n, &[]);
                let range = |i: u64| (i / 20 * 20, i / 20 * 20 + 20);
                let ranges = (0..n).map(range).collect();
                let group = BlockMap::axes([AxisMap::Ranges { axis: 0, ranges }]);
                vec![push(&mut layers, n, &[(x, group)])]
            }
            Shape::Overlap => {
                let n = n / 5;
                let x = push(&mut layers, n, &[]);
                let y = push(&mut layers, n, &[(x, windows(n))]);
                let z = push(&mut layers, n, &[(y, windows(n))]);
                vec![tree(&mut layers, z)]
            }
        };
        TaskGraph::expand(layers, &outputs).map(Graph)
    }

    /// The number of tasks.
    #[must_use]
    pub fn n_tasks(&self) -> usize {
        self.0.n_tasks()
    }

    /// Orders the tasks.
    #[must_use]
    pub fn order(&self) -> Ranks {
        Ranks(order(&self.0))
    }

    /// The most blocks held at once in that order.
    #[must_use]
    pub fn peak_blocks(&self, ranks: &Ranks) -> u64 {
        peak_bytes(&self.0, &ranks.0) / BLOCK_BYTES
    }

    /// Bytes that the scheduler's state takes after a run, at its largest.
    #[must_use]
    pub fn state_bytes(&self, ranks: &Ranks) -> usize {
        state_bytes(&self.0, &ranks.0)
    }

    /// Orders and runs all tasks, on so many threads or, with 0, without any.
    ///
    /// # Errors
    /// If a task fails, which none does.
    pub fn run(&self, threads: usize) -> Result<()> {
        self.run_with(Config::new(), threads)
    }

    /// [`run`](Self::run), while somebody watches.
    ///
    /// # Errors
    /// As `run`.
    pub fn run_watched(&self, threads: usize, observer: Arc<dyn Observer>) -> Result<()> {
        self.run_with(Config::new().with_observer(observer), threads)
    }

    fn run_with(&self, config: Config, threads: usize) -> Result<()> {
        let config = config.with_memory_limit(1 << 40);
        let config = match threads {
            0 => config.with_executor(ExecutorKind::Serial),
            n => config.with_threads(n),
        };
        Runtime::of(&config)?.execute(&self.0, &Forget)
    }
}

/// What a block says that it takes.
const BLOCK_BYTES: u64 = 1000;

fn push(layers: &mut LayerGraph, n: u64, inputs: &[(LayerId, BlockMap)]) -> LayerId {
    let inputs = inputs.iter().map(|(layer, map)| LayerInput { layer: *layer, map: map.clone() });
    layers.push(Layer {
        name: "count".into(),
        grid: Arc::new([n]),
        kernel: Arc::new(Count),
        inputs: inputs.collect(),
        block_text: "".into(),
        out_bytes: BLOCK_BYTES,
        scratch_bytes: 0,
        is_estimate: false,
    })
}

fn chain(layers: &mut LayerGraph, n: u64) -> LayerId {
    let width = n.div_ceil(1000).max(1);
    let mut last = push(layers, width, &[]);
    for _ in 1..n / width {
        last = push(layers, width, &[(last, BlockMap::Linear)]);
    }
    last
}

fn tree(layers: &mut LayerGraph, input: LayerId) -> LayerId {
    let mut n = layers.get(input).n_blocks();
    let mut last = push(layers, n, &[(input, BlockMap::Linear)]);
    while n > 1 {
        n = n.div_ceil(4);
        last = push(layers, n, &[(last, BlockMap::axes([AxisMap::Group { axis: 0, size: 4 }]))]);
    }
    last
}

fn quadratic_means(layers: &mut LayerGraph, n: u64) -> Vec<LayerId> {
    let (u, v) = (push(layers, n, &[]), push(layers, n, &[]));
    [(u, u), (v, v), (u, v)]
        .map(|(a, b)| {
            let y = push(layers, n, &[(a, BlockMap::Linear), (b, BlockMap::Linear)]);
            tree(layers, y)
        })
        .into()
}

fn windows(n: u64) -> BlockMap {
    let range = |i: u64| (i.saturating_sub(1), (i + 2).min(n));
    BlockMap::axes([AxisMap::Ranges { axis: 0, ranges: (0..n).map(range).collect() }])
}

/// Counts the tasks below, and one.
#[derive(Debug)]
struct Count;

#[derive(Debug)]
struct Number(u64);

impl Value for Number {
    fn nbytes(&self) -> u64 {
        size_of::<Number>() as u64
    }
}

impl Kernel for Count {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let mut sum = 1_u64;
        for block in inputs.take_all() {
            sum = sum.wrapping_add(block.downcast_ref().map_or(0, |number: &Number| number.0));
        }
        Ok(Block::new(Number(sum)))
    }
}

/// Drops outputs.
struct Forget;

impl Sink for Forget {
    fn accept(&self, _output: usize, _block: Block) -> Result<()> {
        Ok(())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
