//! From plans of frames to layers.
//!
//! A partition is a block of a grid of one axis. Operations on rows are one task a partition and fuse with
//! their input; what needs other rows becomes several layers.

mod aggregate;
mod asof;
mod beside;
mod join;
mod neighbours;
mod ordered;
mod per_group;
mod repartition;
mod sort;

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::PlSmallStr;

use super::expr::{Expr, ExprKind, conjuncts, selectivity, to_condition};
use super::io::{Condition, MemoryFrames, Request};
use super::kernels::divide::SplitAtKernel;
use super::kernels::exchange::Exchange;
use super::kernels::shuffle::{BarrierKernel, HashSplitKernel, Partners, TakeKernel};
use super::kernels::spill::CODEC_BYTES;
use super::kernels::tasks::{
    ConcatKernel, FilterKernel, MapPartitionsKernel, ScanKernel, SelectKernel,
};
use super::layout::{Layout, Placement};
use super::op::{Bridged, FrameOp, Given, Scan, Select};
use super::partitions::Divisions;
use crate::bytes::format_bytes;
use crate::error::{Call, Error, Result};
use crate::graph::{
    AxisMap, BlockMap, BytesRead, Crossings, ExpressionId, ForwardKernel, Kernel, Layer,
    LayerGraph, LayerId, LayerInput, Lower, NodeId, Plan,
};

/// What lowering needs to know besides the plan.
#[derive(Clone, Debug)]
pub(crate) struct LowerOptions {
    /// Bytes that a partition should have.
    pub(crate) part_bytes: u64,
    /// Bytes that the pieces of all shuffles may take in memory.
    pub(crate) exchange_bytes: u64,
    /// Where pieces go for which there is no memory.
    pub(crate) spill_dir: PathBuf,
    /// Whether partitions that can't have wanted rows are left out.
    pub(crate) prune: bool,
}

/// A lowered node: where its partitions are, and what they are like.
#[derive(Clone, Debug)]
pub(crate) struct Lowered {
    pub(crate) layer: LayerId,
    pub(crate) layout: Layout,
}

/// A plan, and which of its operations are layers already.
pub(crate) struct Planned {
    plan: Plan<FrameOp>,
    /// The expressions that the roots of the plan are.
    roots: Vec<ExpressionId>,
    options: LowerOptions,
    done: HashMap<NodeId, Lowered>,
    exchanges: Vec<Arc<Exchange>>,
}

impl Planned {
    pub(crate) fn new(
        plan: Plan<FrameOp>,
        roots: Vec<ExpressionId>,
        options: LowerOptions,
    ) -> Self {
        Planned { plan, roots, options, done: HashMap::new(), exchanges: Vec::new() }
    }

    /// What the first root is like, unless it waits for another plan.
    pub(crate) fn layout(&self) -> Option<&Layout> {
        Some(&self.done.get(self.plan.roots().first()?)?.layout)
    }
}

impl Lower for Planned {
    fn lower(&mut self, layers: &mut LayerGraph, crossings: &mut Crossings) -> Result<usize> {
        let (plan, order) = (&self.plan, self.plan.topological());
        let (done, options) = (std::mem::take(&mut self.done), self.options.clone());
        let exchanges = std::mem::take(&mut self.exchanges);
        let n_before = done.len();
        let mut lowering = Lowering { plan, layers, crossings, options, done, exchanges };
        for &id in &order {
            let done = &lowering.done;
            let is_done = |id: &NodeId| done.contains_key(id);
            if !is_done(&id) && lowering.crossings.is_ready(plan, id, is_done) {
                lowering.layers.make_at(plan.line(id));
                let lowered = lowering.node(id)?;
                lowering.done.insert(id, lowered);
            }
        }
        if n_before < order.len() && lowering.done.len() == order.len() {
            lowering.share_memory();
        }
        (self.done, self.exchanges) = (lowering.done, lowering.exchanges);
        for (root, expression) in self.plan.roots().iter().zip(&self.roots) {
            if let Some(lowered) = self.done.get(root) {
                crossings.insert(*expression, lowered.layer);
            }
        }
        Ok(self.done.len() - n_before)
    }

    fn outputs(&self) -> Option<Vec<LayerId>> {
        self.plan.roots().iter().map(|root| Some(self.done.get(root)?.layer)).collect()
    }
}

struct Lowering<'a> {
    plan: &'a Plan<FrameOp>,
    layers: &'a mut LayerGraph,
    crossings: &'a Crossings,
    options: LowerOptions,
    done: HashMap<NodeId, Lowered>,
    exchanges: Vec<Arc<Exchange>>,
}

impl Lowering<'_> {
    fn node(&mut self, id: NodeId) -> Result<Lowered> {
        let inputs: Vec<Lowered> =
            self.plan.inputs(id).iter().map(|input| self.done[input].clone()).collect();
        let plan = self.plan;
        match plan.op(id) {
            FrameOp::Scan(scan) => Ok(self.scan(scan)),
            FrameOp::Bridge(bridged) => self.bridge(bridged),
            FrameOp::Given(given) => Ok(self.given(given)),
            FrameOp::Select(select) => Ok(self.select(select, &inputs[0])),
            FrameOp::Filter(predicate) => Ok(self.filter(id, predicate, &inputs[0])),
            FrameOp::MapPartitions(map) => {
                let kernel = MapPartitionsKernel { map: Arc::clone(map) };
                let layout = inputs[0].layout.with_fewer_rows();
                let layout = layout.with_columns(&map.schema, |name| Some(name.into()));
                // Functions are made of several steps, and may look for groups.
                let scratch = layout.part_bytes() + layout.index_bytes(3 * STEP_ROW_BYTES);
                let mapped = self.rowwise(&map.name, kernel, &inputs[0], layout);
                Ok(self.with_scratch(mapped, scratch))
            }
            FrameOp::Slice { offset, len } => Ok(self.slice(*offset, *len, &inputs[0])),
            FrameOp::Concat => Ok(self.concat(&inputs)),
            FrameOp::ConcatHorizontal => Ok(self.concat_horizontal(id, &inputs)),
            FrameOp::Join(join) => Ok(self.join(id, join, &inputs)),
            FrameOp::Sort(sort) => Ok(self.sort(id, sort, &inputs[0])),
            FrameOp::Repartition(to) => self.repartition(id, to, &inputs[0]),
            FrameOp::Aggregate(aggregation) => self.aggregate(id, aggregation, &inputs[0]),
            FrameOp::Tail(n) => Ok(self.tail(*n, &inputs[0])),
            FrameOp::MapOverlap(overlap) => Ok(self.map_overlap(overlap, &inputs[0])),
            FrameOp::JoinAsof(join) => Ok(self.join_asof(id, join, &inputs)),
            FrameOp::Attach => Ok(self.attach(id, &inputs)),
            FrameOp::Ordered(added) => self.ordered(id, added, &inputs[0]),
            FrameOp::PerGroup(per_group) => Ok(self.per_group(id, per_group, &inputs[0])),
        }
    }

    fn scan(&mut self, scan: &Scan) -> Lowered {
        let parts = self.wanted_parts(scan);
        let source = &scan.source;
        if parts.is_empty() {
            let schema = Arc::clone(source.schema());
            let none = DataFrame::empty_with_schema(&schema);
            let source = Arc::new(MemoryFrames::new("nothing", schema, vec![none]));
            return self.scan(&Scan { source, conditions: Arc::default(), ..scan.clone() });
        }
        let is_exact = scan.conditions.is_empty();
        let n_rows_max = scan.n_rows_max.unwrap_or(u64::MAX);
        let layout = Layout::of_source(source, &parts, &scan.columns, n_rows_max, is_exact);
        let bytes = |part: &usize| source.nbytes(*part, &scan.columns);
        let kernel = ScanKernel {
            source: Arc::clone(&scan.source),
            parts: parts.as_slice().into(),
            lent_bytes: if source.is_resident() { layout.part_bytes() } else { 0 },
            request: Request {
                columns: Arc::clone(&scan.columns),
                conditions: Arc::clone(&scan.conditions),
                n_rows_max: scan.n_rows_max,
            },
            bytes_read: match source.is_resident() {
                true => BytesRead::default(),
                false => BytesRead {
                    all: parts.iter().map(bytes).sum(),
                    task_max: parts.iter().map(bytes).max().unwrap_or(0),
                },
            },
        };
        let scratch = parts.iter().map(|part| source.scratch_bytes(*part, &scan.columns)).max();
        let lowered = self.push("scan", kernel, vec![], layout);
        let layer = self.layers.get_mut(lowered.layer);
        layer.scratch_bytes = scratch.unwrap_or(0);
        if source.is_resident() {
            layer.out_bytes = 0;
        }
        lowered
    }

    fn bridge(&mut self, bridged: &Bridged) -> Result<Lowered> {
        let source = self.crossings.layer_behind(&bridged.bridge);
        let source = source.ok_or_else(|| Error::Internal {
            place: "lower".into(),
            problem: "a bridge to nowhere".into(),
        })?;
        let Bridged { bridge, schema, n_parts, rows_of } = bridged;
        let layout = Layout::of_blocks(schema, *n_parts, rows_of.as_ref(), bridge.out_bytes);
        let text = block_text(&layout);
        let layer = bridge.layer(self.layers, source, &[*n_parts as u64], text);
        Ok(Lowered { layer: self.layers.push(layer), layout })
    }

    fn given(&mut self, given: &Given) -> Lowered {
        let layout = given.layout.clone();
        let layer = self.layers.push(Layer {
            name: "cached".into(),
            grid: [layout.n_parts as u64].into(),
            kernel: Arc::clone(&given.kernel),
            inputs: vec![],
            block_text: block_text(&layout),
            // What is only lent is not memory of the run.
            out_bytes: if given.kernel.is_resident() { 0 } else { layout.part_bytes() },
            scratch_bytes: 0,
            is_estimate: layout.rows_of.is_none(),
        });
        Lowered { layer, layout }
    }

    /// The parts that can have rows which fulfil the conditions.
    fn wanted_parts(&self, scan: &Scan) -> Vec<usize> {
        let may_match = |part: &usize| {
            let may_hold = |condition: &Condition| {
                let stats = scan.source.stats(*part, &condition.column);
                stats.is_none_or(|stats| condition.may_hold(&stats))
            };
            !self.options.prune
                || scan.conditions.is_empty()
                || scan.source.n_rows(*part) != Some(0) && scan.conditions.iter().all(may_hold)
        };
        (0..scan.source.n_parts()).filter(may_match).collect()
    }

    /// The rows of the partitions that can have them, as far as their keys are known.
    fn filter(&mut self, id: NodeId, predicate: &Expr, input: &Lowered) -> Lowered {
        let below = self.plan.inputs(id)[0];
        let n_parts = input.layout.n_parts;
        let mut parts = 0..n_parts;
        // A scan has left out its partitions.
        if self.options.prune && n_parts > 1 && !matches!(self.plan.op(below), FrameOp::Scan(_)) {
            let schema = &self.plan.meta(below).schema;
            let conditions = conjuncts(predicate);
            let conditions = conditions.iter().filter_map(|part| to_condition(part, schema));
            for condition in conditions {
                let known = input.layout.placement.divided_by(&condition.column);
                let Some(divided) = known else { continue };
                let found = divided.partitions_for(&[condition]);
                parts = parts.start.max(found.start)..parts.end.min(found.end);
            }
            let first = parts.start.min(n_parts - 1);
            parts = first..parts.end.max(first + 1);
        }
        let (layout, map) = match parts.len() == n_parts {
            true => (input.layout.clone(), BlockMap::Linear),
            false => {
                let first = parts.start as u64;
                let map = BlockMap::axes([AxisMap::Axis { axis: 0, first, step: 1 }]);
                (input.layout.of_parts(&parts), map)
            }
        };
        let mut layout = layout.with_fewer_rows();
        layout.likely *= selectivity(predicate);
        let inputs = vec![LayerInput { layer: input.layer, map }];
        let kernel = FilterKernel { predicate: predicate.clone() };
        let scratch = layout.index_bytes(STEP_ROW_BYTES);
        let filtered = self.push(&format!("filter {predicate}"), kernel, inputs, layout);
        self.with_scratch(filtered, scratch)
    }

    fn select(&mut self, select: &Select, input: &Lowered) -> Lowered {
        let column_of = |name: &str| {
            let expr = select.exprs.iter().find(|expr| expr.output_name() == name)?;
            match expr.without_alias().kind() {
                ExprKind::Column(name) => Some(name.clone()),
                _ => None,
            }
        };
        let new_name = |old: &PlSmallStr| {
            select.schema.iter_names().find(|name| column_of(name).as_ref() == Some(old)).cloned()
        };
        let layout = input.layout.with_columns(&select.schema, column_of);
        let layout = layout.placed(input.layout.placement.renamed(new_name));
        let is_computed = |expr: &Expr| !matches!(expr.without_alias().kind(), ExprKind::Column(_));
        let scratch = match select.exprs.iter().any(is_computed) {
            true => layout.index_bytes(STEP_ROW_BYTES),
            false => 0,
        };
        let kernel = SelectKernel { exprs: Arc::clone(&select.exprs) };
        let selected = self.rowwise(&select_text(&select.exprs), kernel, input, layout);
        self.with_scratch(selected, scratch)
    }

    /// Rows from the partitions that have them, or from all where their rows are not known.
    fn slice(&mut self, offset: u64, len: u64, input: &Lowered) -> Lowered {
        let (parts, n_before) = match &input.layout.rows_of {
            Some(rows_of) => parts_with(rows_of, offset, len),
            None => (0..input.layout.n_parts, 0),
        };
        let kernel = |offset, len| ConcatKernel { offset, len };
        let end_row = offset.saturating_add(len);
        let input = &match input.layout.rows_of {
            Some(_) => input.clone(),
            None if parts.len() == 1 => input.clone(),
            // Of each partition no more than all of them together may give.
            None => {
                let layout = input.layout.with_rows(u64::MAX, end_row);
                self.rowwise(&format!("head {end_row}"), kernel(0, end_row), input, layout)
            }
        };
        let ranges = [(parts.start as u64, parts.end as u64)].into();
        let map = BlockMap::axes([AxisMap::Ranges { axis: 0, ranges }]);
        let layout = input.layout.in_parts(1).placed(input.layout.placement.order_only());
        let layout = layout.with_rows(len, len);
        let inputs = vec![LayerInput { layer: input.layer, map }];
        let kernel = kernel(offset - n_before, len);
        self.push(&format!("slice {offset}, {len}"), kernel, inputs, layout)
    }

    fn concat(&mut self, inputs: &[Lowered]) -> Lowered {
        let mut layout = inputs[0].layout.clone();
        let mut slots = Vec::with_capacity(inputs.len());
        let mut first = 0;
        for (i, input) in inputs.iter().enumerate() {
            let len = input.layout.n_parts as u64;
            let map = BlockMap::axes([AxisMap::Window { axis: 0, first, len }]);
            slots.push(LayerInput { layer: input.layer, map });
            first += len;
            if i > 0 {
                layout = layout.followed_by(&input.layout);
            }
        }
        self.push("concat", ForwardKernel, slots, layout)
    }

    /// The rows in `n_out` partitions by a hash of `keys`, in each in the order in which they stood before.
    fn hash_exchange(&mut self, input: &Lowered, keys: &[PlSmallStr], n_out: usize) -> Lowered {
        let name = format!("split by {}", keys.join(", "));
        let (exchange, split) = self.hash_split(&name, input, keys, n_out, None);
        let barrier = self.barrier(split);
        self.taken(exchange, barrier, input.layout.in_parts(n_out).placed(Placement::hashed(keys)))
    }

    /// Puts the rows into an exchange by a hash of `keys`; with the layer that does.
    fn hash_split(
        &mut self,
        name: &str,
        input: &Lowered,
        keys: &[PlSmallStr],
        n_out: usize,
        partners: Option<Partners>,
    ) -> (Arc<Exchange>, LayerId) {
        let exchange = self.new_exchange(n_out);
        let (put_in, keys) = (Arc::clone(&exchange), keys.into());
        let kernel = HashSplitKernel { exchange: put_in, keys, n_out, partners };
        let each = LayerInput { layer: input.layer, map: BlockMap::Linear };
        let split = self.silent(name, kernel, each, input.layout.n_parts);
        self.layers.get_mut(split).scratch_bytes = split_bytes(&input.layout);
        (exchange, split)
    }

    /// Is done when all tasks of a layer are.
    fn barrier(&mut self, of: LayerId) -> LayerId {
        let all = LayerInput { layer: of, map: BlockMap::axes([AxisMap::All]) };
        self.silent("barrier", BarrierKernel, all, 1)
    }

    /// The outputs of an exchange, once `barrier` says that all pieces are there.
    fn taken(&mut self, exchange: Arc<Exchange>, barrier: LayerId, layout: Layout) -> Lowered {
        let kernel = TakeKernel { exchange };
        let after = LayerInput { layer: barrier, map: BlockMap::axes([AxisMap::At(0)]) };
        // Pieces from memory or files, before they are copied together, or rows and their new order; and what decodes them.
        let bytes = layout.part_bytes();
        let scratch = bytes + layout.index_bytes(4) + bytes.min(CODEC_BYTES);
        let taken = self.push("take", kernel, vec![after], layout);
        self.layers.get_mut(taken.layer).scratch_bytes = scratch;
        taken
    }

    /// A store for pieces; how much memory it has is known when all of them are.
    fn new_exchange(&mut self, n_out: usize) -> Arc<Exchange> {
        let exchange = Arc::new(Exchange::new(n_out, 0, &self.options.spill_dir));
        self.exchanges.push(Arc::clone(&exchange));
        exchange
    }

    /// All shuffles share what is set aside for them, because any of them may go on at the same time.
    fn share_memory(&mut self) {
        let n = self.exchanges.len() as u64;
        let Some(each) = self.options.exchange_bytes.checked_div(n) else { return };
        self.layers.reserve(self.options.exchange_bytes);
        self.exchanges.iter().for_each(|exchange| exchange.set_memory(each));
    }

    /// Tasks that give nothing but the word that they are done.
    fn silent(
        &mut self,
        name: &str,
        kernel: impl Kernel,
        input: LayerInput,
        n_blocks: usize,
    ) -> LayerId {
        self.layers.push(Layer {
            name: name.into(),
            grid: [n_blocks as u64].into(),
            kernel: Arc::new(kernel),
            inputs: vec![input],
            block_text: "done".into(),
            out_bytes: 0,
            scratch_bytes: 0,
            is_estimate: true,
        })
    }

    /// How many partitions the rows should have.
    fn n_parts_for(&self, input: &Lowered) -> usize {
        let n = input.layout.nbytes().div_ceil(self.options.part_bytes.max(1));
        (n as usize).clamp(1, MAX_PARTS)
    }

    /// How many partitions rows should have that are spread by a hash: enough to keep many threads busy, and each with
    /// tables near the size of a cache. It does not depend on how many threads there are, as the order of rows
    /// follows from it.
    fn n_spread_for(&self, input: &Lowered) -> usize {
        let n = input.layout.nbytes().div_ceil(SPREAD_BYTES) as usize;
        self.n_parts_for(input).max(n.min(SPREAD_PARTS))
    }

    /// All rows in one partition.
    fn gathered(&mut self, input: &Lowered) -> Lowered {
        if input.layout.n_parts == 1 {
            return input.clone();
        }
        let kernel = ConcatKernel { offset: 0, len: u64::MAX };
        let map = BlockMap::axes([AxisMap::All]);
        let inputs = vec![LayerInput { layer: input.layer, map }];
        let layout = input.layout.in_parts(1).placed(input.layout.placement.order_only());
        self.push("concat", kernel, inputs, layout)
    }

    /// The rows in partitions between these keys, in each in the order in which they stood before. Keys outside go to
    /// the ends, or are an error if somebody gave the divisions.
    fn spread_at(
        &mut self,
        input: &Lowered,
        key: &PlSmallStr,
        divisions: &Divisions,
        given_by: Option<Call>,
    ) -> Lowered {
        let n_out = divisions.n_partitions();
        let exchange = self.new_exchange(n_out);
        let (put_in, divided) = (Arc::clone(&exchange), divisions.clone());
        let split =
            SplitAtKernel { exchange: put_in, key: key.clone(), divisions: divided, given_by };
        let each = LayerInput { layer: input.layer, map: BlockMap::Linear };
        let split = self.silent(&format!("split by {key}"), split, each, input.layout.n_parts);
        self.layers.get_mut(split).scratch_bytes = split_bytes(&input.layout);
        let order = input.layout.placement.order_along(key);
        let barrier = self.barrier(split);
        self.taken(exchange, barrier, input.layout.in_parts(n_out).placed(order))
    }

    /// One task a partition, which reads the partition of the same number.
    fn rowwise(
        &mut self,
        name: &str,
        kernel: impl Kernel,
        input: &Lowered,
        layout: Layout,
    ) -> Lowered {
        let inputs = vec![LayerInput { layer: input.layer, map: BlockMap::Linear }];
        self.push(name, kernel, inputs, layout)
    }

    /// The same, whose tasks take so many bytes besides their blocks.
    fn with_scratch(&mut self, lowered: Lowered, bytes: u64) -> Lowered {
        self.layers.get_mut(lowered.layer).scratch_bytes = bytes;
        lowered
    }

    fn push(
        &mut self,
        name: &str,
        kernel: impl Kernel,
        inputs: Vec<LayerInput>,
        layout: Layout,
    ) -> Lowered {
        let out_bytes = layout.part_bytes();
        let layer = self.layers.push(Layer {
            name: name.into(),
            grid: [layout.n_parts as u64].into(),
            kernel: Arc::new(kernel),
            inputs,
            block_text: block_text(&layout),
            out_bytes,
            scratch_bytes: 0,
            is_estimate: layout.rows_of.is_none(),
        });
        Lowered { layer, layout }
    }
}

/// What a partition is, for people.
fn block_text(layout: &Layout) -> Arc<str> {
    let divided = layout.placement.division_column();
    let divided = divided.map(|by| format!(", divided by {}", by.by)).unwrap_or_default();
    let bytes = format_bytes(layout.part_bytes());
    format!("{} columns, ~{bytes}{divided}", layout.widths.len()).into()
}

/// The partitions that have the rows `offset..offset + len`, one at least, and how many rows stand before them.
fn parts_with(rows_of: &[u64], offset: u64, len: u64) -> (Range<usize>, u64) {
    let end = offset.saturating_add(len);
    let (mut first, mut n_before, mut n) = (0, 0, 0);
    for (part, rows) in rows_of.iter().enumerate() {
        if n >= end && part > first {
            return (first..part, n_before);
        }
        n += rows;
        if n <= offset && part + 1 < rows_of.len() {
            (first, n_before) = (part + 1, n);
        }
    }
    (first..rows_of.len(), n_before)
}

/// What a task of a shuffle takes beside its partition: the pieces are a copy of it, and of each row there are the hash,
/// the output and the place.
fn split_bytes(layout: &Layout) -> u64 {
    layout.part_bytes() + layout.index_bytes(16)
}

/// What an expression takes for a row besides its result: values between two steps, a mask, a column that is copied.
const STEP_ROW_BYTES: u64 = 16;

/// Partitions of a hash of this many bytes are large enough, as long as they are no more than so many.
const SPREAD_BYTES: u64 = 8 << 20;
const SPREAD_PARTS: usize = 64;

/// More partitions are never asked for.
const MAX_PARTS: usize = 1 << 16;

/// How many partial results one task combines.
const FAN_IN: usize = 8;

/// What is computed; columns that are only passed on are counted.
fn select_text(exprs: &[Expr]) -> String {
    let is_column = |expr: &&Expr| matches!(expr.kind(), ExprKind::Column(_));
    let computed: Vec<String> =
        exprs.iter().filter(|e| !is_column(e)).map(Expr::to_string).collect();
    match exprs.len() - computed.len() {
        0 => format!("select {}", computed.join(", ")),
        n if computed.is_empty() => format!("select {n} columns"),
        n => format!("select {}, {n} columns", computed.join(", ")),
    }
}
