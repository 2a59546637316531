//! The structural operations that every function of frames is made of.
//!
//! Each is data: compared, hashed and printed, so that plans can be rewritten by looking at them. What a plan
//! knows of a result is its schema; how it is partitioned follows when it is lowered (`layout`), because rules may
//! change that.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{PlSmallStr, PolarsResult, Schema, SchemaExt, SchemaRef};

use super::expr::{AggregatePlan, Expr, at_build, infer_schema};
use super::io::{Condition, Source};
use super::kernels::asof::AsofSpec;
use super::kernels::group_by::output_schema;
use super::kernels::join::JoinSpec;
use super::kernels::sort::{Limit, SortSpec};
use super::layout::Layout;
use super::partitions::Divisions;
use crate::error::{Call, Result};
use crate::graph::{self, Bridge, Kernel, Operation, Step};

/// One step of an expression of frames.
pub(crate) type Node = graph::Node<FrameOp>;

/// An untyped frame: an expression or an error.
pub(crate) type Handle = graph::Handle<FrameOp>;

/// What is known of a frame before it is computed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FrameMeta {
    pub(crate) schema: SchemaRef,
}

/// One structural operation of a plan.
#[derive(Clone, Debug)]
pub(crate) enum FrameOp {
    /// Stored rows, or those in memory.
    Scan(Scan),
    /// These columns, each row from one row of the input.
    Select(Select),
    /// The rows for which this is true.
    Filter(Expr),
    /// The first rows after some.
    Slice { offset: u64, len: u64 },
    /// The rows of several frames of one schema, one after another.
    Concat,
    /// The columns of several frames of as many rows side by side, in the partitions of the first.
    ConcatHorizontal,
    /// A user's function of whole partitions.
    MapPartitions(Arc<MapPartitions>),
    /// One row for each group of equal keys; without keys, one row.
    Aggregate(Aggregation),
    /// Rows of two frames with equal keys.
    Join(Join),
    /// The rows in an order; stable.
    Sort(Sort),
    /// The last rows.
    Tail(u64),
    /// A user's function of partitions with some rows of their neighbours.
    MapOverlap(MapOverlap),
    /// Each row with the nearest one of another frame, both in the order of their keys.
    JoinAsof(JoinAsof),
    /// The columns of a frame of one row on each row of another.
    Attach,
    /// Columns that need some rows before or after each row, or one value for all of them.
    Ordered(Added),
    /// Columns that need all rows with the same keys; without keys, all rows. Rows stay where they are.
    PerGroup(PerGroup),
    /// The same rows in other partitions.
    Repartition(Repartition),
    /// Rows made of the blocks of an expression of another kind.
    #[cfg_attr(not(feature = "array"), expect(dead_code, reason = "there is no other kind"))]
    Bridge(Arc<Bridged>),
    /// Partitions that an earlier run has left in a cache.
    Given(Arc<Given>),
}

/// What is read: from where, which columns, and which rows may be left out.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) columns: Arc<[PlSmallStr]>,
    pub(crate) conditions: Arc<[Condition]>,
    pub(crate) n_rows_max: Option<u64>,
}

/// Columns, each computed row by row. The schema is what inference found once.
#[derive(Clone, Debug)]
pub(crate) struct Select {
    pub(crate) exprs: Arc<[Expr]>,
    pub(crate) schema: SchemaRef,
}

impl Select {
    /// # Errors
    /// An unknown column, two columns of one name, or dtypes that do not fit together.
    pub(crate) fn new(exprs: Vec<Expr>, input: &Schema, call: Call) -> Result<Self> {
        let schema = Arc::new(infer_schema(&exprs, input, call)?);
        Ok(Select { exprs: exprs.into(), schema })
    }

    /// Columns of the input as they are.
    pub(crate) fn columns(names: &[PlSmallStr], input: &Schema) -> Self {
        let fields = names.iter().filter_map(|name| input.get_field(name));
        let schema = Arc::new(fields.collect());
        let exprs = names.iter().map(|name| super::col(name.clone())).collect();
        Select { exprs, schema }
    }
}

/// Columns that stand behind those of the input.
#[derive(Clone, Debug)]
pub(crate) struct Added {
    pub(crate) exprs: Arc<[Expr]>,
    pub(crate) schema: SchemaRef,
}

impl Added {
    /// # Errors
    /// As [`Select::new`].
    pub(crate) fn new(exprs: Vec<Expr>, input: &Schema, call: Call) -> Result<Self> {
        let Select { exprs, schema } = Select::new(exprs, input, call)?;
        Ok(Added { exprs, schema })
    }

    /// Those of the columns that are wanted.
    pub(crate) fn keep(&self, is_wanted: impl Fn(&str) -> bool) -> Self {
        let exprs = self.exprs.iter().filter(|expr| is_wanted(&expr.output_name())).cloned();
        let fields = self.schema.iter_fields().filter(|field| is_wanted(field.name()));
        Added { exprs: exprs.collect(), schema: Arc::new(fields.collect()) }
    }
}

/// Columns, and the keys of the groups that they are computed for.
#[derive(Clone, Debug)]
pub(crate) struct PerGroup {
    pub(crate) keys: Arc<[Expr]>,
    pub(crate) added: Added,
}

/// A user's function of partitions, and how many rows of the others it sees.
#[derive(Clone, Debug)]
pub(crate) struct MapOverlap {
    pub(crate) map: Arc<MapPartitions>,
    pub(crate) before: u64,
    pub(crate) after: u64,
}

/// How each row finds its neighbour in another frame.
#[derive(Clone, Debug)]
pub(crate) struct JoinAsof {
    pub(crate) spec: Arc<AsofSpec>,
    pub(crate) schema: SchemaRef,
}

/// The columns of both.
pub(crate) fn side_by_side(left: &Schema, right: &Schema) -> SchemaRef {
    Arc::new(left.iter_fields().chain(right.iter_fields()).collect())
}

/// What is known of the rows that come over a bridge.
#[derive(Debug)]
pub(crate) struct Bridged {
    pub(crate) bridge: Arc<Bridge>,
    pub(crate) schema: SchemaRef,
    pub(crate) n_parts: usize,
    /// Rows of each partition, where they are known.
    pub(crate) rows_of: Option<Arc<[u64]>>,
}

/// Partitions that are there, and what is known of them.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) schema: SchemaRef,
    pub(crate) layout: Layout,
    /// Gives them out.
    pub(crate) kernel: Arc<dyn Kernel>,
}

/// Into which partitions rows go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Repartition {
    /// So many.
    Count(usize),
    /// Of about so many bytes.
    Bytes(u64),
    /// Those between these keys of the index.
    Divisions { by: PlSmallStr, divisions: Divisions, call: Call },
    /// One for each such time of the index that there is between its first and its last key.
    Every { by: PlSmallStr, every: PlSmallStr, call: Call },
    /// Those in which rows of equal keys are together.
    Keys(Vec<PlSmallStr>),
}

impl Repartition {
    /// The columns whose values decide.
    pub(crate) fn by(&self) -> &[PlSmallStr] {
        match self {
            Repartition::Count(_) | Repartition::Bytes(_) => &[],
            Repartition::Divisions { by, .. } | Repartition::Every { by, .. } => {
                std::slice::from_ref(by)
            }
            Repartition::Keys(keys) => keys,
        }
    }
}

/// How two frames are joined.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) spec: Arc<JoinSpec>,
    pub(crate) schema: SchemaRef,
    /// The index of the result, if there is one.
    pub(crate) index: Option<KeptIndex>,
}

/// A key that is the index of its side, 0 or 1, and stays the index: the rows come in the order of that side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeptIndex {
    pub(crate) side: usize,
    /// Its number among the keys.
    pub(crate) key: usize,
}

impl Join {
    fn index(&self) -> Option<PlSmallStr> {
        let KeptIndex { side, key } = self.index?;
        [&self.spec.left_on, &self.spec.right_on][side].get(key).cloned()
    }
}

/// By which columns rows are sorted, and how many of the first or last are kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sort {
    pub(crate) spec: Arc<SortSpec>,
    pub(crate) limit: Option<Limit>,
    /// Whether the first column becomes the index of the frame, which plans do not look at.
    pub(crate) is_index: bool,
    pub(crate) ranges: Ranges,
}

/// Which keys the partitions of a sorted frame have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ranges {
    /// As a sample of the keys says, if there is more than one task can sort.
    Sampled,
    /// Those between these.
    Given { divisions: Divisions, call: Call },
    /// Those that they have, because the rows are sorted; that they are is checked.
    Kept { call: Call },
}

/// Keys, and what is computed of each group.
#[derive(Clone, Debug)]
pub(crate) struct Aggregation {
    pub(crate) plan: Arc<AggregatePlan>,
    pub(crate) aggs: Arc<[Expr]>,
    pub(crate) schema: SchemaRef,
}

impl Aggregation {
    /// # Errors
    /// As [`AggregatePlan::new`].
    pub(crate) fn new(keys: &[Expr], aggs: Vec<Expr>, input: &Schema, call: Call) -> Result<Self> {
        let plan = AggregatePlan::new(keys, &aggs, input, call)?;
        let schema = output_schema(input, &plan).map_err(|error| at_build(error, call))?;
        let schema = Arc::new(schema);
        Ok(Aggregation { plan: Arc::new(plan), aggs: aggs.into(), schema })
    }

    pub(crate) fn keys(&self) -> &[Expr] {
        &self.plan.keys
    }
}

/// A user's function of whole partitions.
pub(crate) struct MapPartitions {
    pub(crate) name: Arc<str>,
    pub(crate) function: Box<PartitionFunction>,
    pub(crate) schema: SchemaRef,
    pub(crate) call: Call,
}

/// From the rows of a partition and its number to other rows.
pub(crate) type PartitionFunction =
    dyn Fn(DataFrame, usize) -> PolarsResult<DataFrame> + Send + Sync;

impl std::fmt::Debug for MapPartitions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for FrameOp {
    fn eq(&self, other: &Self) -> bool {
        use FrameOp as O;
        match (self, other) {
            (O::Scan(a), O::Scan(b)) => {
                std::ptr::addr_eq(Arc::as_ptr(&a.source), Arc::as_ptr(&b.source))
                    && a.columns == b.columns
                    && a.conditions == b.conditions
                    && a.n_rows_max == b.n_rows_max
            }
            (O::Select(a), O::Select(b)) => a.exprs == b.exprs,
            (O::Filter(a), O::Filter(b)) => a == b,
            (O::Slice { offset: a, len: n }, O::Slice { offset: b, len: m }) => a == b && n == m,
            (O::Concat, O::Concat) | (O::ConcatHorizontal, O::ConcatHorizontal) => true,
            (O::MapPartitions(a), O::MapPartitions(b)) => Arc::ptr_eq(a, b),
            (O::Join(a), O::Join(b)) => a.spec == b.spec && a.index == b.index,
            (O::Sort(a), O::Sort(b)) => {
                a.spec == b.spec && a.limit == b.limit && a.ranges == b.ranges
            }
            (O::Repartition(a), O::Repartition(b)) => a == b,
            (O::Aggregate(a), O::Aggregate(b)) => a.keys() == b.keys() && a.aggs == b.aggs,
            (O::Attach, O::Attach) => true,
            (O::Tail(a), O::Tail(b)) => a == b,
            (O::MapOverlap(a), O::MapOverlap(b)) => {
                Arc::ptr_eq(&a.map, &b.map) && (a.before, a.after) == (b.before, b.after)
            }
            (O::JoinAsof(a), O::JoinAsof(b)) => a.spec == b.spec,
            (O::Ordered(a), O::Ordered(b)) => a.exprs == b.exprs,
            (O::Bridge(a), O::Bridge(b)) => Arc::ptr_eq(a, b),
            (O::Given(a), O::Given(b)) => Arc::ptr_eq(a, b),
            (O::PerGroup(a), O::PerGroup(b)) => a.keys == b.keys && a.added.exprs == b.added.exprs,
            _ => false,
        }
    }
}

impl Operation for FrameOp {
    type Meta = FrameMeta;

    fn infer(&self, inputs: &[&FrameMeta]) -> Result<FrameMeta> {
        let schema = match self {
            FrameOp::Scan(scan) => {
                let schema = scan.source.schema();
                let fields = scan.columns.iter().filter_map(|name| schema.get_field(name));
                Arc::new(fields.collect())
            }
            FrameOp::Select(select) => Arc::clone(&select.schema),
            FrameOp::Filter(_)
            | FrameOp::Slice { .. }
            | FrameOp::Tail(_)
            | FrameOp::Concat
            | FrameOp::Sort(_)
            | FrameOp::Repartition(_) => Arc::clone(&inputs[0].schema),
            FrameOp::Join(join) => Arc::clone(&join.schema),
            FrameOp::MapPartitions(map) => Arc::clone(&map.schema),
            FrameOp::MapOverlap(overlap) => Arc::clone(&overlap.map.schema),
            FrameOp::JoinAsof(join) => Arc::clone(&join.schema),
            FrameOp::Bridge(bridged) => Arc::clone(&bridged.schema),
            FrameOp::Given(given) => Arc::clone(&given.schema),
            FrameOp::Aggregate(aggregation) => Arc::clone(&aggregation.schema),
            FrameOp::Attach | FrameOp::ConcatHorizontal => {
                let schemas = inputs.iter().map(|input| &input.schema);
                Arc::new(schemas.flat_map(|schema| schema.iter_fields()).collect())
            }
            FrameOp::Ordered(added) | FrameOp::PerGroup(PerGroup { added, .. }) => {
                side_by_side(&inputs[0].schema, &added.schema)
            }
        };
        Ok(FrameMeta { schema })
    }

    fn bridge(&self) -> Option<&Arc<Bridge>> {
        match self {
            FrameOp::Bridge(bridged) => Some(&bridged.bridge),
            _ => None,
        }
    }

    fn fingerprint(&self, hasher: &mut impl Hasher) {
        std::mem::discriminant(self).hash(hasher);
        match self {
            FrameOp::Scan(scan) => {
                Arc::as_ptr(&scan.source).cast::<()>().hash(hasher);
                scan.columns.hash(hasher);
            }
            FrameOp::Select(select) => select.schema.iter_names().for_each(|n| n.hash(hasher)),
            FrameOp::Slice { offset, len } => (offset, len).hash(hasher),
            FrameOp::MapPartitions(map) => Arc::as_ptr(map).hash(hasher),
            FrameOp::MapOverlap(overlap) => Arc::as_ptr(&overlap.map).hash(hasher),
            FrameOp::Tail(n) => n.hash(hasher),
            FrameOp::JoinAsof(join) => (&join.spec.left_on, &join.spec.right_on).hash(hasher),
            FrameOp::Aggregate(a) => a.schema.iter_names().for_each(|n| n.hash(hasher)),
            FrameOp::Join(join) => join.spec.hash(hasher),
            FrameOp::Sort(sort) => (&sort.spec.by, sort.limit).hash(hasher),
            FrameOp::Ordered(added) | FrameOp::PerGroup(PerGroup { added, .. }) => {
                added.schema.iter_names().for_each(|n| n.hash(hasher));
            }
            FrameOp::Repartition(to) => to.by().hash(hasher),
            FrameOp::Bridge(bridged) => Arc::as_ptr(bridged).hash(hasher),
            FrameOp::Given(given) => Arc::as_ptr(given).hash(hasher),
            FrameOp::Filter(_) | FrameOp::Concat | FrameOp::ConcatHorizontal | FrameOp::Attach => {}
        }
    }
}

impl Step for FrameOp {
    /// The index: the column by which rows are sorted and partitions divided.
    type Note = Option<PlSmallStr>;

    fn note(&self, inputs: &[&Arc<Node>], meta: &FrameMeta) -> Option<PlSmallStr> {
        let inherited = || inputs.first()?.note.clone();
        let index = match self {
            FrameOp::Sort(sort) => sort.is_index.then(|| sort.spec.by[0].clone()),
            FrameOp::Repartition(Repartition::Keys(_)) => None,
            FrameOp::Filter(_)
            | FrameOp::Slice { .. }
            | FrameOp::Tail(_)
            | FrameOp::Repartition(_)
            | FrameOp::Attach
            | FrameOp::ConcatHorizontal
            | FrameOp::JoinAsof(_)
            | FrameOp::Ordered(_)
            | FrameOp::PerGroup(_) => inherited(),
            FrameOp::Join(join) => join.index(),
            FrameOp::Select(select) => inherited()
                .filter(|index| select.exprs.iter().any(|expr| *expr == super::col(index.clone()))),
            _ => None,
        };
        index.filter(|index| meta.schema.contains(index))
    }
}
