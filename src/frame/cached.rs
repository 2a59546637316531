//! Which frames of a plan are in the cache, and which results go there.
//!
//! A frame is kept as a whole, because the same rows may be cut otherwise where others read them too.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use polars_core::frame::DataFrame;
use polars_core::prelude::{PlSmallStr, SchemaRef};

use super::expr::{Expr, ExprKind};
use super::io::Condition;
use super::layout::Layout;
use super::lower::LowerOptions;
use super::op::{FrameOp, Given, Scan};
use super::partition::{block, borrowed, frame, rows};
use crate::cache::{Caching, Key, KeyId, Ownership, READ_COST, Same, Slot, plan_keys};
use crate::compute::Collector;
use crate::error::Result;
use crate::graph::{Block, Inputs, Kernel, NodeId, Operation, Plan, TaskContext, Value};
use crate::keep::Room;

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

/// Who wants to know what a root is like, by its number.
type Listeners = Vec<(usize, Arc<OnceLock<Layout>>)>;

/// Puts the frames that are there in the place of operations, and has the results kept that users get. How many are there, and who
/// wants to know the layouts of results.
pub(super) fn use_cache(
    plan: &mut Plan<FrameOp>,
    caching: &Caching,
    options: &LowerOptions,
    collectors: &mut [Arc<dyn Collector>],
) -> Result<(usize, Listeners)> {
    let order = plan.topological();
    let cut = (options.part_bytes, options.prune);
    let keys = plan_keys(plan, &order, caching, |op, hasher| FrameKey::of(op, cut, hasher));
    let of_roots = plan.roots().iter().map(|root| keys.get(root).copied()).collect();
    let n_taken = take_cached(plan, &order, &keys, caching, collectors)?;
    Ok((n_taken, keep_results(plan, of_roots, caching, collectors)))
}

fn take_cached(
    plan: &mut Plan<FrameOp>,
    order: &[NodeId],
    keys: &HashMap<NodeId, KeyId>,
    caching: &Caching,
    collectors: &[Arc<dyn Collector>],
) -> Result<usize> {
    // What is persisted is counted, because it may stay longer than the cache has it.
    let is_lent = collectors.iter().all(|collector| collector.room().is_none());
    // Those of which the results have nothing but rows, as they are.
    let mut seen: HashSet<NodeId> = HashSet::new();
    let mut n_taken = 0;
    for &id in order.iter().rev() {
        // What only cached operations read is not needed any more.
        if !plan.is_live(id) {
            continue;
        }
        let keeps_rows = |user| is_rowwise(plan.op(user)) && seen.contains(&user);
        let is_seen = plan.users(id).all(keeps_rows);
        if is_seen {
            seen.insert(id);
        }
        let Some(key) = keys.get(&id) else { continue };
        let Some(whole) = caching.blocks_of(*key, |number| number == WHOLE).remove(&WHOLE) else {
            continue;
        };
        let schema = &plan.meta(id).schema;
        if let Some(given) = given(whole, *key, caching, schema, is_seen, is_lent) {
            plan.make_at(plan.line(id));
            let new = plan.push(FrameOp::Given(Arc::new(given)), &[])?;
            plan.replace(id, new);
            n_taken += 1;
        }
    }
    Ok(n_taken)
}

/// Whether each row depends on one row of the input, in the same order.
fn is_rowwise(op: &FrameOp) -> bool {
    let is_rows = matches!(op, FrameOp::Filter(_) | FrameOp::Slice { .. } | FrameOp::Tail(_));
    is_rows || matches!(op, FrameOp::Select(_))
}

/// A frame that was kept, as an operation. `None` where its readers would know less of it than of the frame
/// that is computed, and so might give rows in another order.
fn given(
    whole: Block,
    key: KeyId,
    caching: &Caching,
    schema: &SchemaRef,
    is_seen: bool,
    is_lent: bool,
) -> Option<Given> {
    let kept: &KeptFrame = whole.downcast_ref()?;
    let layout = match &kept.layout {
        Some(layout) => layout.clone(),
        None if is_seen => {
            let rows_of = kept.parts.iter().map(|part| part.height() as u64).collect();
            Layout::of_blocks(schema, kept.parts.len(), Some(&rows_of), kept.nbytes)
        }
        None => return None,
    };
    let slot = caching.slot(key, kept.worth(), OWNERSHIP);
    let kernel = Arc::new(GiveKernel { slot, whole, is_lent });
    Some(Given { schema: Arc::clone(schema), layout, kernel })
}

fn keep_results(
    plan: &Plan<FrameOp>,
    keys: Vec<Option<KeyId>>,
    caching: &Caching,
    collectors: &mut [Arc<dyn Collector>],
) -> Listeners {
    let costs = costs(plan, &plan.topological());
    let mut listeners = Vec::new();
    for (i, (collector, key)) in collectors.iter_mut().zip(keys).enumerate() {
        let Some(key) = key.filter(|_| collector.is_for_user()) else { continue };
        let cost = costs[&plan.roots()[i]].0;
        if cost == 0.0 {
            continue;
        }
        let layout = Arc::default();
        listeners.push((i, Arc::clone(&layout)));
        *collector = Arc::new(Keeping {
            inner: Arc::clone(collector),
            caching: caching.clone(),
            key,
            cost,
            layout,
            parts: Mutex::default(),
        });
    }
    listeners
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
    /// Bytes that were made to have them.
    cost: f64,
    /// What they are like, where that means something in other plans.
    layout: Option<Layout>,
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
    lend: |whole| whole,
    recall: |whole| whole.try_unwrap::<KeptFrame>().map(Block::new),
};

/// Gives out the partitions of a frame that is there.
#[derive(Debug)]
struct GiveKernel {
    slot: Slot,
    /// A [`KeptFrame`], which stays where it is as long as this holds it.
    whole: Block,
    is_lent: bool,
}

impl Kernel for GiveKernel {
    fn run(&self, task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        self.slot.touch(WHOLE);
        let kept: &KeptFrame = self.whole.downcast_ref().expect("it was one when this was made");
        let part = kept.parts[task.block[0] as usize].clone();
        Ok(if self.is_lent { borrowed(part) } else { block(part) })
    }

    fn has_numbered_blocks(&self) -> bool {
        true
    }

    fn is_free(&self) -> bool {
        self.is_lent
    }

    fn is_resident(&self) -> bool {
        self.is_lent
    }
}

/// Passes the partitions of a result on, and keeps them once all are there.
struct Keeping {
    inner: Arc<dyn Collector>,
    caching: Caching,
    key: KeyId,
    cost: f64,
    /// What the result is like, which is known once it is lowered.
    layout: Arc<OnceLock<Layout>>,
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
        let layout = self.layout.get().and_then(Layout::lasting);
        let kept = KeptFrame { parts, nbytes: all.nbytes, cost: self.cost, layout };
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

    fn scratch_bytes(&self) -> u64 {
        self.inner.scratch_bytes()
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
