//! Which frames of a plan are in the cache, and which results go there.
//!
//! A frame is kept as a whole, because the same rows may be cut otherwise where others read them too.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash};
use std::sync::{Arc, Mutex, PoisonError};

use polars_core::frame::DataFrame;
use polars_core::prelude::{PlSmallStr, SchemaRef};

use super::expr::{Expr, ExprKind};
use super::io::Condition;
use super::layout::Layout;
use super::lower::LowerOptions;
use super::op::{FrameOp, Given, Repartition, Scan};
use super::partition::{borrowed, frame, rows};
use crate::cache::{Caching, Key, KeyId, Ownership, READ_COST, Same, Slot, plan_keys};
use crate::compute::Collector;
use crate::error::Result;
use crate::graph::{Block, Inputs, Kernel, NodeId, Operation, Plan, TaskContext, Value};
use crate::keep::{Hold, Room};

/// An operation as plans compare it, without what it reads. What users' functions of columns hold is held with them.
#[derive(PartialEq)]
enum FrameKey {
    /// One that is plain data.
    Op(FrameOp),
    Scan {
        from: From,
        schema: SchemaRef,
        columns: Arc<[PlSmallStr]>,
        conditions: Arc<[Condition]>,
        n_rows_max: Option<u64>,
        /// What partitions depend on besides.
        cut: Cut,
    },
    /// A user's function of partitions, and how many rows of their neighbours it sees.
    Map { function: Same, around: Option<(u64, u64)> },
}

/// Where rows come from.
#[derive(PartialEq)]
enum From {
    /// A source that tells its version.
    Stored(String),
    /// One that is equal to nothing but itself.
    Same(Same),
}

/// Bytes of a partition, and whether the plan is optimized.
type Cut = (u64, bool);

impl Key for FrameKey {
    fn is_dead(&self) -> bool {
        match self {
            FrameKey::Scan { from: From::Same(same), .. }
            | FrameKey::Map { function: same, .. } => !same.is_alive(),
            FrameKey::Op(_) | FrameKey::Scan { .. } => false,
        }
    }
}

impl FrameKey {
    fn of(op: &FrameOp, cut: Cut, hasher: &mut DefaultHasher) -> Option<Self> {
        Some(match op {
            FrameOp::Scan(scan) => {
                // The same files are another source whenever they are opened.
                scan.columns.hash(hasher);
                FrameKey::scan(scan, cut)
            }
            FrameOp::MapPartitions(map) => {
                op.fingerprint(hasher);
                FrameKey::Map { function: Same::new(Arc::downgrade(map)), around: None }
            }
            FrameOp::MapOverlap(overlap) => {
                op.fingerprint(hasher);
                let function = Same::new(Arc::downgrade(&overlap.map));
                FrameKey::Map { function, around: Some((overlap.before, overlap.after)) }
            }
            // What an expression of another kind reads may have changed.
            FrameOp::Bridge(_) | FrameOp::Given(_) => return None,
            op => {
                op.fingerprint(hasher);
                FrameKey::Op(op.clone())
            }
        })
    }

    fn scan(scan: &Scan, cut: Cut) -> Self {
        let Scan { source, columns, conditions, n_rows_max } = scan;
        FrameKey::Scan {
            from: match source.version() {
                Some(version) => From::Stored(version),
                None => From::Same(Same::new(Arc::downgrade(source))),
            },
            schema: Arc::clone(source.schema()),
            columns: Arc::clone(columns),
            conditions: Arc::clone(conditions),
            n_rows_max: *n_rows_max,
            cut,
        }
    }
}

/// Puts the frames that are there in the place of operations, and has the results kept that users get. How many are there.
pub(super) fn use_cache(
    plan: &mut Plan<FrameOp>,
    caching: &Caching,
    options: &LowerOptions,
    collectors: &mut [Arc<dyn Collector>],
) -> Result<usize> {
    let order = plan.topological();
    let cut = (options.part_bytes, options.prune);
    let keys = plan_keys(plan, &order, caching, |op, hasher| FrameKey::of(op, cut, hasher));
    let of_roots: Vec<_> = plan.roots().iter().map(|root| keys.get(root).copied()).collect();
    let n_taken = take_cached(plan, &order, &keys, caching)?;
    let costs = costs(plan, &plan.topological());
    for (i, (collector, key)) in collectors.iter_mut().zip(of_roots).enumerate() {
        let cost = costs[&plan.roots()[i]].0;
        if let Some(key) = key.filter(|_| collector.is_for_user() && cost > 0.0) {
            let (inner, caching) = (Arc::clone(collector), caching.clone());
            *collector = Arc::new(Keeping { inner, caching, key, cost, parts: Mutex::default() });
        }
    }
    Ok(n_taken)
}

fn take_cached(
    plan: &mut Plan<FrameOp>,
    order: &[NodeId],
    keys: &HashMap<NodeId, KeyId>,
    caching: &Caching,
) -> Result<usize> {
    let is_fixed = fixed(plan, order);
    let mut seen: HashMap<NodeId, Seen> = HashMap::new();
    let mut n_taken = 0;
    for &id in order.iter().rev() {
        // What only cached operations read is not needed any more.
        if !plan.is_live(id) {
            continue;
        }
        let by_users = plan.users(id).map(|user| seen[&user].min(Seen::through(plan.op(user))));
        let is_seen = by_users.min().unwrap_or(Seen::AsItIs);
        seen.insert(id, is_seen);
        let can_be_taken =
            is_seen == Seen::AsItIs || is_seen == Seen::Rows && is_fixed.contains(&id);
        let Some(key) = keys.get(&id).filter(|_| can_be_taken) else { continue };
        let mut found = caching.blocks_of(*key, |number| number == WHOLE);
        if let Some(whole) = found.remove(&WHOLE) {
            let given = given(whole, *key, caching, &plan.meta(id).schema);
            plan.make_at(plan.line(id));
            let new = plan.push(FrameOp::Given(Arc::new(given)), &[])?;
            plan.replace(id, new);
            seen.insert(new, is_seen);
            n_taken += 1;
        }
    }
    Ok(n_taken)
}

/// What results have of a frame. Only what does not depend on how it is cut may be taken from one that was cut otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// Sums and groups, whose last bits and whose order depend on partitions.
    Otherwise,
    /// Rows by what is in them. If they are asked for, less is computed and read for the frame, which may bring groups into another order.
    Rows,
    /// All rows, or rows by their numbers.
    AsItIs,
}

impl Seen {
    fn through(op: &FrameOp) -> Self {
        match op {
            FrameOp::Slice { .. } | FrameOp::Tail(_) => Seen::AsItIs,
            FrameOp::Select(_) | FrameOp::Filter(_) | FrameOp::Sort(_) => Seen::Rows,
            _ => Seen::Otherwise,
        }
    }
}

/// The nodes whose rows have an order that no hash decides about.
fn fixed(plan: &Plan<FrameOp>, order: &[NodeId]) -> HashSet<NodeId> {
    let mut fixed = HashSet::new();
    for &id in order {
        let is_spread = match plan.op(id) {
            FrameOp::Join(_) | FrameOp::Repartition(Repartition::Keys(_)) => true,
            FrameOp::Aggregate(aggregation) => !aggregation.keys().is_empty(),
            _ => false,
        };
        if !is_spread && plan.inputs(id).iter().all(|input| fixed.contains(input)) {
            fixed.insert(id);
        }
    }
    fixed
}

/// A frame that was kept, as an operation.
fn given(whole: Block, key: KeyId, caching: &Caching, schema: &SchemaRef) -> Given {
    let kept = kept(&whole);
    let rows_of = kept.parts.iter().map(|part| part.height() as u64).collect();
    let layout = Layout::of_blocks(schema, kept.parts.len(), Some(&rows_of), kept.nbytes);
    let slot = caching.slot(key, kept.worth(), OWNERSHIP);
    let kernel = Arc::new(GiveKernel { slot, whole });
    Given { schema: Arc::clone(schema), layout, kernel }
}

/// How many bytes are made to have a frame, along the longest path, and about how many it has.
fn costs(plan: &Plan<FrameOp>, order: &[NodeId]) -> HashMap<NodeId, (f64, f64)> {
    let mut costs: HashMap<NodeId, (f64, f64)> = HashMap::new();
    for &id in order {
        let inputs = plan.inputs(id).iter().map(|input| costs[input]);
        let (below, bytes) = inputs.fold((0.0, 0.0), |(cost, bytes), (more_cost, more)| {
            (f64::max(cost, more_cost), bytes + more)
        });
        let cost = match plan.op(id) {
            FrameOp::Scan(scan) => {
                let parts = 0..scan.source.n_parts();
                let bytes = parts.map(|part| scan.source.nbytes(part, &scan.columns) as f64).sum();
                let cost = if scan.source.is_resident() { 0.0 } else { READ_COST * bytes };
                (cost, bytes)
            }
            FrameOp::Given(given) => (0.0, given.layout.nbytes() as f64),
            op if is_view(op) => (below, bytes),
            _ => (below + bytes, bytes),
        };
        costs.insert(id, cost);
    }
    costs
}

/// Whether rows and columns are those of the inputs, or some of them.
fn is_view(op: &FrameOp) -> bool {
    let is_column = |expr: &Expr| matches!(expr.kind(), ExprKind::Column(_));
    match op {
        FrameOp::Slice { .. } | FrameOp::Tail(_) | FrameOp::Concat => true,
        FrameOp::Select(select) => select.exprs.iter().all(is_column),
        _ => false,
    }
}

/// All partitions of a frame are one block, of this number.
const WHOLE: u64 = 0;

/// The partitions of a result.
#[derive(Debug)]
struct KeptFrame {
    parts: Vec<DataFrame>,
    nbytes: u64,
    /// What counts them, once they are kept.
    hold: Option<Hold>,
    /// Bytes that were made to have them.
    cost: f64,
}

fn kept(whole: &Block) -> &KeptFrame {
    whole.downcast_ref().expect("what frames keep are frames")
}

impl KeptFrame {
    fn worth(&self) -> f64 {
        self.cost / self.nbytes() as f64
    }
}

impl Value for KeptFrame {
    /// A result without rows takes some memory too.
    fn nbytes(&self) -> u64 {
        self.nbytes.max(1)
    }
}

/// Frames may be shared as they are: nobody writes into columns that others have.
const OWNERSHIP: Ownership = Ownership {
    lend: |whole, hold| match whole.try_unwrap::<KeptFrame>() {
        Ok(kept) => Block::new(KeptFrame { hold: Some(hold), ..kept }),
        Err(shared) => shared,
    },
    recall: |whole| {
        let kept = whole.try_unwrap::<KeptFrame>()?;
        Ok(Block::new(KeptFrame { hold: None, ..kept }))
    },
};

/// Gives out the partitions of a frame that is there.
#[derive(Debug)]
struct GiveKernel {
    slot: Slot,
    /// A [`KeptFrame`], which stays where it is as long as this holds it.
    whole: Block,
}

impl Kernel for GiveKernel {
    fn run(&self, task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        self.slot.touch(WHOLE);
        let whole = kept(&self.whole);
        let part = whole.parts[task.block[0] as usize].clone();
        Ok(borrowed(part, whole.hold.clone()))
    }

    fn has_numbered_blocks(&self) -> bool {
        true
    }

    fn is_free(&self) -> bool {
        true
    }

    fn is_resident(&self) -> bool {
        true
    }
}

/// Passes the partitions of a result on, and keeps them once all are there.
struct Keeping {
    inner: Arc<dyn Collector>,
    caching: Caching,
    key: KeyId,
    cost: f64,
    parts: Mutex<Parts>,
}

/// Those that came; none once it is given up.
#[derive(Default)]
struct Parts {
    blocks: Vec<Option<Block>>,
    n_missing: usize,
    nbytes: u64,
}

impl Parts {
    /// Takes one; all of them, if it was the last.
    fn take(&mut self, part: usize, block: Block, limit: u64) -> Option<Parts> {
        let place = self.blocks.get_mut(part)?;
        self.nbytes += block.nbytes();
        // Rows that take no memory are somebody else's, who may free them.
        let is_lent = block.nbytes() == 0 && rows(&block).is_some_and(|rows| rows.height() > 0);
        if is_lent || self.nbytes > limit {
            *self = Parts::default();
            return None;
        }
        *place = Some(block);
        self.n_missing -= 1;
        (self.n_missing == 0).then(|| std::mem::take(self))
    }
}

impl Keeping {
    fn keep(&self, all: Parts) {
        let parts: Vec<DataFrame> = all.blocks.into_iter().flatten().map(frame).collect();
        let kept = KeptFrame { parts, nbytes: all.nbytes, hold: None, cost: self.cost };
        let slot = self.caching.slot(self.key, kept.worth(), OWNERSHIP);
        slot.keep(WHOLE, Block::new(kept));
    }
}

impl Collector for Keeping {
    fn start(&self, n_blocks: u64) -> Result<()> {
        let n_missing = n_blocks as usize;
        let parts = Parts { blocks: vec![None; n_missing], n_missing, nbytes: 0 };
        *self.parts.lock().unwrap_or_else(PoisonError::into_inner) = parts;
        self.inner.start(n_blocks)
    }

    fn scratch_bytes(&self, block_bytes: u64) -> u64 {
        self.inner.scratch_bytes(block_bytes)
    }

    fn accept(&self, part: usize, value: Block) -> Result<()> {
        self.inner.accept(part, value.clone())?;
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let all = parts.take(part, value, self.caching.limit());
        drop(parts);
        if let Some(all) = all {
            self.keep(all);
        }
        Ok(())
    }

    fn is_for_user(&self) -> bool {
        true
    }

    fn room(&self) -> Option<&Arc<Room>> {
        self.inner.room()
    }
}
