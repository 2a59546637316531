//! From plans of frames to layers.
//!
//! A partition is a block of a grid of one axis. Operations on rows are one task a partition and fuse with
//! their input; what needs other rows becomes several layers.

use std::collections::HashMap;
use std::sync::Arc;

use super::expr::{Expr, ExprKind};
use super::io::Request;
use super::kernels::aggregate::{AggregateKernel, AggregateStep};
use super::kernels::tasks::{
    ConcatKernel, FilterKernel, ForwardKernel, MapPartitionsKernel, ScanKernel, SelectKernel,
};
use super::layout::Layout;
use super::op::{Aggregation, FrameOp, Scan, Select};
use super::show::named;
use crate::bytes::format_bytes;
use crate::error::Result;
use crate::graph::{
    AxisMap, BlockMap, BytesRead, Kernel, Layer, LayerGraph, LayerId, LayerInput, NodeId, Plan,
};

/// What lowering needs to know besides the plan.
#[derive(Clone, Debug)]
pub(crate) struct LowerOptions {
    /// Bytes that a partition should have.
    pub(crate) part_bytes: u64,
    /// Whether partitions that can't have wanted rows are left out.
    pub(crate) prune: bool,
}

/// A lowered node: where its partitions are, and what they are like.
#[derive(Clone, Debug)]
pub(crate) struct Lowered {
    pub(crate) layer: LayerId,
    pub(crate) layout: Layout,
}

/// Appends the layers of a plan; returns what became of each root.
pub(crate) fn lower(
    plan: &Plan<FrameOp>,
    layers: &mut LayerGraph,
    options: LowerOptions,
) -> Result<Vec<Lowered>> {
    let mut lowering = Lowering { plan, layers, options, done: HashMap::new() };
    for id in plan.topological() {
        let lowered = lowering.node(id)?;
        lowering.done.insert(id, lowered);
    }
    Ok(plan.roots().iter().map(|root| lowering.done[root].clone()).collect())
}

struct Lowering<'a> {
    plan: &'a Plan<FrameOp>,
    layers: &'a mut LayerGraph,
    options: LowerOptions,
    done: HashMap<NodeId, Lowered>,
}

impl Lowering<'_> {
    fn node(&mut self, id: NodeId) -> Result<Lowered> {
        let inputs: Vec<Lowered> =
            self.plan.inputs(id).iter().map(|input| self.done[input].clone()).collect();
        let plan = self.plan;
        match plan.op(id) {
            FrameOp::Scan(scan) => Ok(self.scan(scan)),
            FrameOp::Select(select) => Ok(self.select(select, &inputs[0])),
            FrameOp::Filter(predicate) => {
                let kernel = FilterKernel { predicate: predicate.clone() };
                let layout = inputs[0].layout.with_fewer_rows();
                Ok(self.rowwise(&format!("filter {predicate}"), kernel, &inputs[0], layout))
            }
            FrameOp::MapPartitions(map) => {
                let kernel = MapPartitionsKernel { map: Arc::clone(map) };
                let layout = inputs[0].layout.with_fewer_rows();
                let layout = layout.with_columns(&map.schema, |name| Some(name.into()));
                Ok(self.rowwise(&map.name, kernel, &inputs[0], layout))
            }
            FrameOp::Slice { offset, len } => Ok(self.slice(id, *offset, *len, &inputs[0])),
            FrameOp::Concat => Ok(self.concat(&inputs)),
            FrameOp::Aggregate(aggregation) => Ok(self.aggregate(aggregation, &inputs[0])),
        }
    }

    fn scan(&mut self, scan: &Scan) -> Lowered {
        let parts = self.wanted_parts(scan);
        let source = &*scan.source;
        let is_exact = scan.conditions.is_empty() && scan.n_rows_max.is_none();
        let layout = Layout::of_source(source, &parts, &scan.columns, is_exact);
        let bytes = |part: &usize| source.nbytes(*part, &scan.columns);
        let kernel = ScanKernel {
            source: Arc::clone(&scan.source),
            parts: parts.as_slice().into(),
            request: Request {
                columns: Arc::clone(&scan.columns),
                conditions: Arc::clone(&scan.conditions),
                n_rows_max: scan.n_rows_max,
            },
            bytes_read: BytesRead {
                all: parts.iter().map(bytes).sum(),
                task_max: parts.iter().map(bytes).max().unwrap_or(0),
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

    /// The parts that can have rows which fulfil the conditions; one at least, so that the result has a schema.
    fn wanted_parts(&self, scan: &Scan) -> Vec<usize> {
        let n_parts = scan.source.n_parts();
        let may_match = |part: &usize| {
            !self.options.prune
                || scan.conditions.iter().all(|condition| {
                    let stats = scan.source.stats(*part, &condition.column);
                    stats.is_none_or(|stats| condition.may_hold(&stats))
                })
        };
        let mut parts: Vec<usize> = (0..n_parts).filter(may_match).collect();
        if parts.is_empty() && n_parts > 0 {
            parts.push(0);
        }
        parts
    }

    fn select(&mut self, select: &Select, input: &Lowered) -> Lowered {
        let column_of = |name: &str| {
            let expr = select.exprs.iter().find(|expr| expr.output_name() == name)?;
            match expr.without_alias().kind() {
                ExprKind::Column(name) => Some(name.clone()),
                _ => None,
            }
        };
        let layout = input.layout.with_columns(&select.schema, column_of);
        let kernel = SelectKernel { exprs: Arc::clone(&select.exprs) };
        self.rowwise(&select_text(&select.exprs), kernel, input, layout)
    }

    /// Rows from the first partitions that have them, or from all where their rows are not known.
    fn slice(&mut self, id: NodeId, offset: u64, len: u64, input: &Lowered) -> Lowered {
        let mut end = 0;
        let n_needed = match &input.layout.rows_of {
            Some(rows_of) => rows_of
                .iter()
                .take_while(|rows| {
                    let starts_before = end < offset.saturating_add(len);
                    end += *rows;
                    starts_before
                })
                .count()
                .max(1),
            None => input.layout.n_parts,
        };
        let kernel = ConcatKernel { schema: Arc::clone(&self.plan.meta(id).schema), offset, len };
        let ranges = [(0, n_needed as u64)].into();
        let map = BlockMap::axes([AxisMap::Ranges { axis: 0, ranges }]);
        let mut layout = input.layout.in_parts(1);
        layout.rows = layout.rows.min(len);
        layout.rows_max = layout.rows;
        let inputs = vec![LayerInput { layer: input.layer, map }];
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

    fn aggregate(&mut self, aggregation: &Aggregation, input: &Lowered) -> Lowered {
        let layout = input.layout.with_fewer_rows();
        let layout = layout.with_columns(&aggregation.schema, |name| Some(name.into()));
        let kernel = |step| AggregateKernel { plan: Arc::clone(&aggregation.plan), step };
        let name = aggregate_text(aggregation);
        if layout.n_parts == 1 {
            return self.rowwise(&name, kernel(AggregateStep::All), input, layout);
        }
        if aggregation.plan.is_holistic() {
            let rows = self.rowwise("project", kernel(AggregateStep::Project), input, layout);
            let rows = self.gathered(&rows);
            let layout = rows.layout.clone();
            return self.rowwise(&name, kernel(AggregateStep::Whole), &rows, layout);
        }
        let partial = format!("partial {name}");
        let mut states = self.rowwise(&partial, kernel(AggregateStep::Partial), input, layout);
        while states.layout.n_parts > FAN_IN {
            let n_parts = states.layout.n_parts.div_ceil(FAN_IN);
            let layout = Layout { n_parts, ..states.layout.clone() };
            let map = BlockMap::axes([AxisMap::Group { axis: 0, size: FAN_IN as u64 }]);
            let inputs = vec![LayerInput { layer: states.layer, map }];
            let combine = format!("combine {name}");
            states = self.push(&combine, kernel(AggregateStep::Combine), inputs, layout);
        }
        let layout = Layout { n_parts: 1, ..states.layout.clone() };
        let map = BlockMap::axes([AxisMap::All]);
        let inputs = vec![LayerInput { layer: states.layer, map }];
        self.push(&name, kernel(AggregateStep::Finish), inputs, layout)
    }

    /// All rows in one partition.
    fn gathered(&mut self, input: &Lowered) -> Lowered {
        if input.layout.n_parts == 1 {
            return input.clone();
        }
        let schema = Arc::default();
        let kernel = ConcatKernel { schema, offset: 0, len: u64::MAX };
        let map = BlockMap::axes([AxisMap::All]);
        let inputs = vec![LayerInput { layer: input.layer, map }];
        self.push("concat", kernel, inputs, input.layout.in_parts(1))
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

    fn push(
        &mut self,
        name: &str,
        kernel: impl Kernel,
        inputs: Vec<LayerInput>,
        layout: Layout,
    ) -> Lowered {
        let out_bytes = layout.part_bytes();
        let columns = layout.widths.len();
        let layer = self.layers.push(Layer {
            name: name.into(),
            grid: [layout.n_parts as u64].into(),
            kernel: Arc::new(kernel),
            inputs,
            block_text: format!("{columns} columns, ~{}", format_bytes(out_bytes)).into(),
            out_bytes,
            scratch_bytes: 0,
        });
        Lowered { layer, layout }
    }
}

/// How many partial results one task combines.
const FAN_IN: usize = 8;

fn aggregate_text(aggregation: &Aggregation) -> String {
    match aggregation.keys() {
        [] => format!("aggregate {}", named(&aggregation.aggs)),
        keys => format!("group by {}", named(keys)),
    }
}

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
