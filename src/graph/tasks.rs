//! Dense task graphs: one number per task, edges in compressed rows, one kernel per layer.
//!
//! Expansion is driven by demand: a task exists only if an output needs it. Tasks of one layer are
//! numbered together, so that what a task does follows from its number; 8 bytes a task and
//! 8 bytes an edge (both directions) are all that is stored, beside 4 bytes of rank.

use std::sync::Arc;

use super::{Block, Inputs, Layer, LayerGraph, LayerId, Line, Slots, TaskContext};
use crate::error::{Error, Result};
use crate::memory::BufferPool;

/// The number of a task in its graph; tasks stand after their inputs' layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskId(pub(crate) u32);

impl TaskId {
    pub(crate) fn idx(self) -> usize {
        self.0 as usize
    }
}

/// Tasks with their edges, ready to be ordered and run.
#[derive(Debug)]
pub(crate) struct TaskGraph {
    layers: LayerGraph,
    spans: Vec<Span>,
    dependencies: Edges,
    dependents: Edges,
    outputs: Vec<TaskId>,
    /// Each output layer, with the position of its first block among the outputs; sorted.
    output_starts: Vec<(LayerId, usize)>,
}

/// Which block a task computes, and how its inputs lie in slots.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Invocation {
    pub(crate) block: Vec<u64>,
    /// The slot of the first input.
    pub(crate) first_slot: usize,
    /// Where the inputs of each slot end, from that slot on.
    pub(crate) slot_ends: Vec<usize>,
}

/// The tasks of one layer: `blocks` in row-major order from task `start` on.
#[derive(Debug)]
struct Span {
    start: u32,
    blocks: Demand,
    slots: Slots,
}

/// Which blocks of a layer are needed.
#[derive(Clone, Debug)]
enum Demand {
    All(u64),
    /// Sorted row-major numbers.
    Some(Vec<u64>),
}

impl Demand {
    fn len(&self) -> u64 {
        match self {
            Demand::All(n) => *n,
            Demand::Some(blocks) => blocks.len() as u64,
        }
    }

    fn block(&self, i: u64) -> u64 {
        match self {
            Demand::All(_) => i,
            Demand::Some(blocks) => blocks[i as usize],
        }
    }

    fn position(&self, block: u64) -> u64 {
        match self {
            Demand::All(_) => block,
            Demand::Some(blocks) => {
                blocks.binary_search(&block).expect("every block that is read was demanded") as u64
            }
        }
    }
}

/// Adjacency in compressed rows.
#[derive(Debug, Default)]
struct Edges {
    offsets: Vec<u32>,
    targets: Vec<TaskId>,
}

impl Edges {
    fn of(&self, task: TaskId) -> &[TaskId] {
        &self.targets[self.offsets[task.idx()] as usize..self.offsets[task.idx() + 1] as usize]
    }

    /// The same edges from the other end; sources come in ascending order.
    fn reversed(&self) -> Edges {
        let n = self.offsets.len() - 1;
        let mut offsets = vec![0_u32; n + 1];
        for target in &self.targets {
            offsets[target.idx() + 1] += 1;
        }
        for i in 0..n {
            offsets[i + 1] += offsets[i];
        }
        let mut next = offsets.clone();
        let mut targets = vec![TaskId(0); self.targets.len()];
        for task in 0..n {
            for target in self.of(TaskId(task as u32)) {
                let slot = &mut next[target.idx()];
                targets[*slot as usize] = TaskId(task as u32);
                *slot += 1;
            }
        }
        Edges { offsets, targets }
    }
}

impl TaskGraph {
    /// The tasks that all blocks of the `outputs` layers need, and no others.
    pub(crate) fn expand(layers: LayerGraph, outputs: &[LayerId]) -> Result<TaskGraph> {
        // Each step is an edge, of which there can't be more.
        let mut n_steps = u64::from(u32::MAX);
        let demand = demand_backwards(&layers, outputs, &mut n_steps);
        let demand = demand.map_err(|id| too_many(layers.get(id)))?;
        let spans = number_tasks(&layers, demand)?;
        let dependencies = connect(&layers, &spans)?;
        let dependents = dependencies.reversed();
        let mut wanted = Vec::new();
        let mut output_starts = Vec::with_capacity(outputs.len());
        for id in outputs {
            let span = &spans[id.idx()];
            output_starts.push((*id, wanted.len()));
            wanted.extend((0..span.blocks.len() as u32).map(|i| TaskId(span.start + i)));
        }
        output_starts.sort_unstable();
        Ok(TaskGraph { layers, spans, dependencies, dependents, outputs: wanted, output_starts })
    }

    pub(crate) fn n_tasks(&self) -> usize {
        self.dependencies.offsets.len() - 1
    }

    /// The tasks whose outputs `task` reads, slot by slot; one may appear more than once.
    pub(crate) fn dependencies(&self, task: TaskId) -> &[TaskId] {
        self.dependencies.of(task)
    }

    /// The tasks that read the output of `task`, as often as they read it, in ascending order.
    pub(crate) fn dependents(&self, task: TaskId) -> &[TaskId] {
        self.dependents.of(task)
    }

    /// The wanted tasks: the blocks of each output layer in row-major order, layer after layer.
    pub(crate) fn outputs(&self) -> &[TaskId] {
        &self.outputs
    }

    /// The positions in [`outputs`](Self::outputs) where `task` stands; usually none or one.
    pub(crate) fn output_positions(&self, task: TaskId) -> impl Iterator<Item = usize> + '_ {
        let id = self.layer(task);
        let offset = (task.0 - self.spans[id.idx()].start) as usize;
        let first = self.output_starts.partition_point(|(layer, _)| *layer < id);
        let starts = self.output_starts[first..].iter().take_while(move |(layer, _)| *layer == id);
        starts.map(move |(_, start)| start + offset)
    }

    /// The layers whose blocks are wanted.
    pub(crate) fn output_layers(&self) -> impl Iterator<Item = LayerId> + '_ {
        self.output_starts.iter().map(|(layer, _)| *layer)
    }

    /// The tasks of each layer; tasks of one layer are numbered together.
    pub(crate) fn layer_tasks(&self) -> impl Iterator<Item = (LayerId, std::ops::Range<u32>)> + '_ {
        self.spans
            .iter()
            .enumerate()
            .map(|(i, span)| (LayerId(i as u32), span.start..span.start + span.blocks.len() as u32))
    }

    /// The layer that a task belongs to.
    pub(crate) fn layer(&self, task: TaskId) -> LayerId {
        LayerId((self.spans.partition_point(|span| span.start <= task.0) - 1) as u32)
    }

    /// The name of the operation that a task belongs to.
    pub(crate) fn op_name(&self, task: TaskId) -> &Arc<str> {
        &self.layers.get(self.layer(task)).name
    }

    /// The line of the user that a task comes from.
    pub(crate) fn line(&self, task: TaskId) -> Option<Line> {
        self.layers.line(self.layer(task))
    }

    /// The bytes that a task says it will put out, at most.
    pub(crate) fn out_bytes(&self, task: TaskId) -> u64 {
        self.layers.get(self.layer(task)).out_bytes
    }

    /// The bytes that a task says it needs while it runs, besides inputs and output, at most.
    pub(crate) fn scratch_bytes(&self, task: TaskId) -> u64 {
        self.layers.get(self.layer(task)).scratch_bytes
    }

    /// The block index that a task computes.
    pub(crate) fn block_index(&self, task: TaskId) -> Vec<u64> {
        let id = self.layer(task);
        unravel(self.block_number(id, task), &self.layers.get(id).grid)
    }

    /// The layers that the tasks were expanded from.
    pub(crate) fn layers(&self) -> &LayerGraph {
        &self.layers
    }

    /// Runs one task. `blocks` are the outputs of its dependencies, in their order.
    pub(crate) fn run(
        &self,
        task: TaskId,
        pool: &Arc<BufferPool>,
        blocks: Vec<Block>,
    ) -> Result<Block> {
        let Invocation { block, first_slot, slot_ends } = self.invocation(task);
        let inputs = Inputs::from_slot(first_slot, blocks, slot_ends);
        self.layers.get(self.layer(task)).kernel.run(&TaskContext { block: &block, pool }, inputs)
    }

    /// What the kernel of a task is called with, besides the blocks.
    pub(crate) fn invocation(&self, task: TaskId) -> Invocation {
        let id = self.layer(task);
        let layer = self.layers.get(id);
        let block = unravel(self.block_number(id, task), &layer.grid);
        let mut end = 0;
        let slots = self.spans[id.idx()].slots.of_block(&block);
        let ends = layer.inputs[slots.clone()].iter().map(|input| {
            end += input.map.count(&block, &self.layers.get(input.layer).grid);
            end
        });
        let slot_ends = ends.collect();
        Invocation { block, first_slot: slots.start, slot_ends }
    }

    /// The row-major number of the block that a task of layer `id` computes.
    pub(crate) fn block_number(&self, id: LayerId, task: TaskId) -> u64 {
        let span = &self.spans[id.idx()];
        span.blocks.block(u64::from(task.0 - span.start))
    }
}

/// The block index of row-major number `linear` in a grid.
pub(crate) fn unravel(linear: u64, grid: &[u64]) -> Vec<u64> {
    let mut index = Vec::new();
    unravel_into(linear, grid, &mut index);
    index
}

/// How many tasks each layer has, without making them.
///
/// Takes O(layers) and a step for each block that is read of a layer that is not needed whole. `None` if
/// these would be more than `n_steps_max`.
pub(crate) fn count_tasks(
    layers: &LayerGraph,
    outputs: &[LayerId],
    mut n_steps_max: u64,
) -> Option<Vec<u64>> {
    let demand = demand_backwards(layers, outputs, &mut n_steps_max).ok()?;
    Some(demand.iter().map(Demand::len).collect())
}

fn too_many(layer: &Layer) -> Error {
    Error::TooManyTasks { op: layer.name.to_string(), call: None, limit: u32::MAX.into() }
}

/// Which blocks of each layer are needed, from the outputs back to the sources.
///
/// `n_steps` goes down with each block that is looked at; the error is the layer where it ran out.
fn demand_backwards(
    layers: &LayerGraph,
    outputs: &[LayerId],
    n_steps: &mut u64,
) -> Result<Vec<Demand>, LayerId> {
    let all = layers.layers();
    let mut out = Vec::new();
    let mut wanted: Vec<Demand> = all.iter().map(|_| Demand::Some(Vec::new())).collect();
    for id in outputs {
        wanted[id.idx()] = Demand::All(layers.get(*id).n_blocks());
    }
    for idx in (0..all.len()).rev() {
        let layer = &all[idx];
        if let Demand::Some(blocks) = &mut wanted[idx] {
            blocks.sort_unstable();
            blocks.dedup();
        }
        let demand = std::mem::replace(&mut wanted[idx], Demand::All(0));
        let mut is_satisfied = true;
        for input in &layer.inputs {
            let in_layer = layers.get(input.layer);
            let in_demand = &mut wanted[input.layer.idx()];
            if matches!(demand, Demand::All(_)) && input.map.is_onto(&layer.grid, &in_layer.grid) {
                *in_demand = Demand::All(in_layer.n_blocks());
            }
            is_satisfied &= matches!(in_demand, Demand::All(_));
        }
        if !is_satisfied {
            let slots = Slots::of(&layer.inputs);
            for i in 0..demand.len() {
                let linear = demand.block(i);
                unravel_into(linear, &layer.grid, &mut out);
                for input in &layer.inputs[slots.of_block(&out)] {
                    let Demand::Some(found) = &mut wanted[input.layer.idx()] else { continue };
                    let in_grid = &layers.get(input.layer).grid;
                    let n_read = input.map.count(&out, in_grid) as u64;
                    *n_steps = n_steps.checked_sub(n_read.max(1)).ok_or(input.layer)?;
                    input.map.for_each(&out, linear, in_grid, |block| found.push(block));
                }
            }
        }
        wanted[idx] = demand;
    }
    Ok(wanted)
}

/// Gives each demanded block a task number, layer after layer.
fn number_tasks(layers: &LayerGraph, demand: Vec<Demand>) -> Result<Vec<Span>> {
    let mut start = 0_u64;
    let mut spans = Vec::with_capacity(demand.len());
    for (layer, blocks) in layers.layers().iter().zip(demand) {
        let end = start.saturating_add(blocks.len());
        if end > u64::from(u32::MAX) {
            return Err(too_many(layer));
        }
        spans.push(Span { start: start as u32, blocks, slots: Slots::of(&layer.inputs) });
        start = end;
    }
    Ok(spans)
}

/// The dependency edges of every task.
fn connect(layers: &LayerGraph, spans: &[Span]) -> Result<Edges> {
    let n_tasks = spans.last().map_or(0, |s| u64::from(s.start) + s.blocks.len());
    let mut edges =
        Edges { offsets: Vec::with_capacity(n_tasks as usize + 1), targets: Vec::new() };
    edges.offsets.push(0);
    let mut out = Vec::new();
    for (layer, span) in layers.layers().iter().zip(spans) {
        for i in 0..span.blocks.len() {
            let linear = span.blocks.block(i);
            unravel_into(linear, &layer.grid, &mut out);
            for input in &layer.inputs[span.slots.of_block(&out)] {
                let from = &spans[input.layer.idx()];
                input.map.for_each(&out, linear, &layers.get(input.layer).grid, |block| {
                    edges.targets.push(TaskId(from.start + from.blocks.position(block) as u32));
                });
            }
            let end = u32::try_from(edges.targets.len()).map_err(|_| too_many(layer))?;
            edges.offsets.push(end);
        }
    }
    edges.targets.shrink_to_fit();
    Ok(edges)
}

/// [`unravel`] into a buffer that is used again.
fn unravel_into(mut linear: u64, grid: &[u64], index: &mut Vec<u64>) {
    index.clear();
    index.resize(grid.len(), 0);
    for (i, &n) in index.iter_mut().zip(grid).rev() {
        *i = linear % n;
        linear /= n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::test_graphs::{Builder, Chunk, at};
    use crate::graph::{AxisMap, BlockMap};

    fn side_by_side(n: u64, len: u64) -> (Builder, LayerId, Vec<LayerId>) {
        let mut builder = Builder::default();
        let inputs: Vec<_> =
            (0..n).map(|i| builder.array(&format!("x{i}"), &[len], 1, &[])).collect();
        let windows = inputs.iter().zip(0..).map(|(id, i)| {
            (*id, BlockMap::axes([AxisMap::Window { axis: 0, first: i * len, len }]))
        });
        let all = builder.array("all", &[n * len], 1, &windows.collect::<Vec<_>>());
        (builder, all, inputs)
    }

    #[test]
    fn a_task_of_many_windows_reads_its_own() {
        let (builder, all, _) = side_by_side(10_000, 2);
        let graph = builder.expand(&[all]);
        assert_eq!(graph.n_tasks(), 40_000);
        for i in [0, 1, 9_999, 19_999] {
            assert_eq!(graph.dependencies(TaskId(20_000 + i)), [TaskId(i)]);
        }
        let task = TaskId(20_003);
        let block = Block::new(Chunk { bytes: 1, digest: 5 });
        graph.run(task, &Arc::new(BufferPool::new(0)), vec![block]).unwrap();
    }

    #[test]
    fn one_block_of_many_windows_is_few_steps() {
        let (mut builder, all, _) = side_by_side(10_000, 2);
        let one = builder.array("one", &[1], 1, &[(all, at(12_345))]);
        assert_eq!(count_tasks(builder.layers(), &[one], 2).unwrap().iter().sum::<u64>(), 3);
        assert_eq!(count_tasks(builder.layers(), &[one], 1), None);
    }

    #[test]
    fn a_task_of_several_outputs_knows_their_positions() {
        let mut builder = Builder::default();
        let ids = [builder.array("a", &[2], 1, &[]), builder.array("b", &[3], 1, &[])];
        let graph = builder.expand(&[ids[1], ids[0], ids[1]]);
        let positions = |task| graph.output_positions(TaskId(task)).collect::<Vec<_>>();
        assert_eq!((positions(1), positions(2), positions(4)), (vec![4], vec![0, 5], vec![2, 7]));
    }
}
