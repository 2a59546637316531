//! What of a plan is in the cache, and what of it goes there.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::chunk::{Chunk, chunk};
use super::chunks::{AxisSlice, Chunks};
use super::dtype::{DType, dispatch};
use super::io::Source;
use super::meta::Meta;
use super::op::{ArrayOp, Blockwise, Read, ReadFrom};
use crate::cache::{CachedKernel, Caching, Key, KeyId, Ownership, READ_COST, Same, plan_keys};
use crate::error::Result;
use crate::graph::{AxisMap, Block, BlockMap, NodeId, Operation, Plan, unravel};

/// Longer lists of positions are not kept as parts of keys.
const LISTED_MAX: usize = 1 << 12;

/// An operation as plans compare it, without what it reads.
#[derive(PartialEq)]
enum ArrayKey {
    /// One that is plain data.
    Op(ArrayOp),
    /// A source that tells its version.
    Stored { version: Arc<str>, window: Arc<[AxisSlice]>, chunks: Chunks },
    /// An array in memory.
    InMemory { array: Same, window: Arc<[AxisSlice]>, chunks: Chunks },
    /// What is equal to nothing but itself.
    Same(Same),
    /// A kernel that is equal to nothing but itself.
    Blockwise { kernel: Same, maps: Vec<BlockMap>, out: Meta },
}

impl Key for ArrayKey {
    fn is_dead(&self) -> bool {
        match self {
            ArrayKey::Op(_) | ArrayKey::Stored { .. } => false,
            ArrayKey::InMemory { array: same, .. }
            | ArrayKey::Same(same)
            | ArrayKey::Blockwise { kernel: same, .. } => !same.is_alive(),
        }
    }
}

/// The versions of sources, each asked for once.
#[derive(Default)]
struct Versions(HashMap<*const (), Option<Arc<str>>>);

impl Versions {
    fn of(&mut self, source: &Arc<dyn Source>) -> Option<Arc<str>> {
        // What an open file is taken for does not change with the file.
        let seen_as = || format!("{} {:?}", source.dtype(), source.shape());
        let version = || Some(format!("{} {}", seen_as(), source.version()?).into());
        self.0.entry(Arc::as_ptr(source).cast()).or_insert_with(version).clone()
    }
}

impl ArrayKey {
    fn of(op: &ArrayOp, versions: &mut Versions) -> Option<Self> {
        Some(match op {
            ArrayOp::Read(Read { from, window, chunks }) => {
                let (window, chunks) = (Arc::clone(window), chunks.clone());
                match from {
                    ReadFrom::Storage(source) => {
                        ArrayKey::Stored { version: versions.of(source)?, window, chunks }
                    }
                    ReadFrom::Memory(array) => {
                        let array = Same::new(Arc::downgrade(array));
                        ArrayKey::InMemory { array, window, chunks }
                    }
                }
            }
            ArrayOp::Blocks(persisted) => ArrayKey::Same(Same::new(Arc::downgrade(persisted))),
            ArrayOp::Blockwise(blockwise) if blockwise.kernel.identity().is_none() => {
                let kernel = Same::new(Arc::downgrade(&blockwise.kernel));
                let (maps, out) = (blockwise.maps.clone(), blockwise.out.clone());
                ArrayKey::Blockwise { kernel, maps, out }
            }
            // What an expression of another kind reads may have changed.
            ArrayOp::Bridge(_) => return None,
            ArrayOp::Take(take) if take.index.len() > LISTED_MAX => return None,
            op => ArrayKey::Op(op.clone()),
        })
    }
}

/// Puts the blocks that are there in the place of operations, and has those kept that results and reductions make. How many
/// operations have a place in the cache now.
pub(super) fn use_cache(plan: &mut Plan<ArrayOp>, caching: &Caching) -> Result<usize> {
    let order = plan.topological();
    let mut versions = Versions::default();
    let mut nodes = Nodes {
        keys: plan_keys(plan, &order, caching, |op, hasher| {
            op.fingerprint(hasher);
            ArrayKey::of(op, &mut versions)
        }),
        costs: costs(plan, &order),
        is_result: plan.roots().iter().copied().collect(),
        wanted: HashMap::new(),
    };
    for root in plan.roots() {
        nodes.wanted.insert(*root, vec![None; plan.meta(*root).chunks.ndim()]);
    }
    let mut n_placed = 0;
    for &id in order.iter().rev() {
        // What only cached operations read is not needed any more.
        if !plan.is_live(id) {
            continue;
        }
        let place = nodes.place(plan, id, caching);
        let is_complete = place.as_ref().is_some_and(|place| place.is_complete);
        if !is_complete {
            nodes.pass_on(plan, id);
        }
        if let Some(place) = place {
            n_placed += 1;
            plan.make_at(plan.line(id));
            let inputs = if is_complete { &[][..] } else { &[id] };
            let new = plan.push(place.op(plan.meta(id)), inputs)?;
            plan.replace(id, new);
        }
    }
    Ok(n_placed)
}

/// How many bytes are made to have all of an operation's blocks, along the longest path.
fn costs(plan: &Plan<ArrayOp>, order: &[NodeId]) -> HashMap<NodeId, f64> {
    let mut costs: HashMap<NodeId, f64> = HashMap::new();
    for &id in order {
        let bytes = plan.meta(id).nbytes().unwrap_or(0) as f64;
        let own = match plan.op(id) {
            ArrayOp::Read(Read { from: ReadFrom::Memory(_), .. })
            | ArrayOp::Blocks(_)
            | ArrayOp::Slice(_)
            | ArrayOp::Permute(_) => 0.0,
            ArrayOp::Read(Read { from: ReadFrom::Storage(source), .. })
                if !source.is_computed() =>
            {
                READ_COST * bytes
            }
            ArrayOp::Create { program, .. } if program.is_free() => 0.0,
            _ => bytes,
        };
        let below = plan.inputs(id).iter().map(|input| costs[input]).fold(0.0, f64::max);
        costs.insert(id, own + below);
    }
    costs
}

/// Positions along each axis, or all of them.
type Wanted = Vec<Option<Range<u64>>>;

/// What is known of the operations of a plan.
struct Nodes {
    keys: HashMap<NodeId, KeyId>,
    costs: HashMap<NodeId, f64>,
    /// Those that are asked for, or that such views are of.
    is_result: HashSet<NodeId>,
    wanted: HashMap<NodeId, Wanted>,
}

/// Where an operation's blocks come from.
struct Place {
    kernel: CachedKernel,
    is_complete: bool,
    name: Arc<str>,
}

impl Nodes {
    /// The place of an operation in the cache, if it has one.
    fn place(&self, plan: &Plan<ArrayOp>, id: NodeId, caching: &Caching) -> Option<Place> {
        let key = *self.keys.get(&id)?;
        let cost = self.costs[&id];
        if cost == 0.0 || is_view(plan.op(id)) {
            return None;
        }
        let Meta { dtype, chunks } = plan.meta(id);
        let wanted = WantedBlocks::new(chunks, &self.wanted[&id])?;
        let blocks = caching.blocks_of(key, |number| wanted.contains(number));
        let is_complete = blocks.len() as u64 == wanted.n_blocks();
        let keeps = self.is_result.contains(&id) || matches!(plan.op(id), ArrayOp::Reduce(_));
        let nbytes = wanted.len(chunks).map(|n| n.saturating_mul(dtype.nbytes() as u64));
        let fits = nbytes.is_none_or(|bytes| bytes <= caching.limit());
        if !(is_complete || (keeps && fits)) {
            return None;
        }
        let worth = cost / plan.meta(id).nbytes().map_or(cost, |bytes| bytes.max(1) as f64);
        let slot = caching.slot(key, worth, ownership(*dtype));
        let name = format!("cached {} of {} blocks", blocks.len(), wanted.n_blocks()).into();
        let kernel = CachedKernel { slot, blocks, grid: chunks.grid().into(), is_complete };
        Some(Place { kernel, is_complete, name })
    }

    /// Says what an operation wants of its inputs.
    fn pass_on(&mut self, plan: &Plan<ArrayOp>, id: NodeId) {
        let is_result = self.is_result.contains(&id);
        for &input in plan.inputs(id) {
            let chunks = &plan.meta(input).chunks;
            let wanted = match plan.op(id) {
                ArrayOp::Slice(slices) => {
                    let axes = slices.iter().zip(&self.wanted[&id]);
                    axes.map(|(slice, wanted)| below(slice.as_ref(), wanted.as_ref())).collect()
                }
                ArrayOp::Permute(axes) => {
                    let mut of_input = vec![None; chunks.ndim()];
                    for (axis, wanted) in axes.iter().zip(&self.wanted[&id]) {
                        if let Some(axis) = axis {
                            of_input[*axis] = wanted.clone();
                        }
                    }
                    of_input
                }
                _ => vec![None; chunks.ndim()],
            };
            if is_result && is_view(plan.op(id)) {
                self.is_result.insert(input);
            }
            match self.wanted.get_mut(&input) {
                Some(all) => {
                    all.iter_mut().zip(wanted).for_each(|(all, more)| *all = union(all, more))
                }
                None => {
                    self.wanted.insert(input, wanted);
                }
            }
        }
    }
}

/// Whether blocks are those of the input, seen otherwise.
fn is_view(op: &ArrayOp) -> bool {
    matches!(op, ArrayOp::Slice(_) | ArrayOp::Permute(_))
}

/// The positions of what is sliced that are wanted, where these are wanted of the slice.
fn below(slice: Option<&AxisSlice>, wanted: Option<&Range<u64>>) -> Option<Range<u64>> {
    let Some(slice) = slice else { return wanted.cloned() };
    let slice = match wanted {
        Some(range) => slice.compose(&AxisSlice::new(range.start, range.end - range.start, 1)),
        None => *slice,
    };
    Some(match slice.last() {
        Some(last) => slice.start.min(last)..slice.start.max(last) + 1,
        None => 0..0,
    })
}

fn union(a: &Option<Range<u64>>, b: Option<Range<u64>>) -> Option<Range<u64>> {
    match (a, b) {
        (Some(a), Some(b)) if a.is_empty() => Some(b),
        (Some(a), Some(b)) if b.is_empty() => Some(a.clone()),
        (Some(a), Some(b)) => Some(a.start.min(b.start)..a.end.max(b.end)),
        _ => None,
    }
}

/// The box of blocks that positions touch.
struct WantedBlocks {
    grid: Vec<u64>,
    axes: Vec<Range<u64>>,
}

impl WantedBlocks {
    /// `None` if nothing is wanted.
    fn new(chunks: &Chunks, wanted: &Wanted) -> Option<Self> {
        let blocks = chunks.axes().iter().zip(wanted).map(|(axis, range)| match range {
            Some(range) if range.is_empty() => None,
            Some(range) => Some(axis.block_at(range.start)..axis.block_at(range.end - 1) + 1),
            None => Some(0..axis.n_blocks()),
        });
        Some(WantedBlocks { grid: chunks.grid(), axes: blocks.collect::<Option<_>>()? })
    }

    fn contains(&self, number: u64) -> bool {
        let block = unravel(number, &self.grid);
        block.iter().zip(&self.axes).all(|(i, range)| range.contains(i))
    }

    fn n_blocks(&self) -> u64 {
        self.axes.iter().fold(1, |n, range| n.saturating_mul(range.end - range.start))
    }

    /// How many elements they have, if that is known.
    fn len(&self, chunks: &Chunks) -> Option<u64> {
        chunks.axes().iter().zip(&self.axes).try_fold(1_u64, |n, (axis, range)| {
            let start = axis.block_range(range.start)?.start;
            let end = axis.block_range(range.end - 1)?.end;
            Some(n.saturating_mul(end - start))
        })
    }
}

impl Place {
    fn op(self, meta: &Meta) -> ArrayOp {
        let maps = match (self.is_complete, self.kernel.blocks.is_empty()) {
            (true, _) => vec![],
            (false, true) => vec![BlockMap::axes((0..meta.chunks.ndim()).map(AxisMap::same))],
            (false, false) => {
                let there = self.kernel.blocks.keys().copied().collect();
                vec![BlockMap::Except(there)]
            }
        };
        ArrayOp::Blockwise(Arc::new(Blockwise {
            name: self.name,
            kernel: Arc::new(self.kernel),
            maps,
            out: meta.clone(),
            // What is there is not memory of the run.
            out_bytes: self.is_complete.then_some(0),
            scratch_bytes: 0,
        }))
    }
}

/// How chunks of these elements change hands.
fn ownership(dtype: DType) -> Ownership {
    dispatch!(dtype, T => Ownership {
        lend: |block, hold| Block::new(chunk::<T>(block).kept(hold)),
        recall: |block: Block| {
            let chunk = block.try_unwrap::<Chunk<T>>()?;
            chunk.recalled().map(Block::new).map_err(Block::new)
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::array;
    use crate::cache::Cache;
    use crate::config::Config;
    use crate::keep::free_of;

    #[test]
    fn memory_counts_as_long_as_anybody_has_it() {
        const LIMIT: u64 = 1_000_000_207;
        let cache = Cache::new(1 << 20);
        let x = array::arange(0.0, 10_000.0, 1.0, [1000]);
        Config::new().with_cache(&cache).with_memory_limit(LIMIT).scope(|| {
            let kept_bytes = || LIMIT - free_of(LIMIT);
            let y = x.sqrt();
            let kept = y.persist().unwrap();
            assert_eq!((cache.bytes(), kept_bytes()), (80_000, 80_000), "both have the same");
            // The one who counted it first lets go of it, twice.
            cache.clear();
            assert_eq!(kept_bytes(), 80_000);
            let again = kept.persist().unwrap();
            drop(kept);
            assert_eq!(kept_bytes(), 80_000);
            drop(again);
            assert_eq!(kept_bytes(), 0);
        });
    }
}
