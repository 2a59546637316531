//! Blocks of results that are kept in case that they are asked for again.
//!
//! What a block is a part of is said by a structural key: an operation that is compared as data, and the keys of its inputs. So
//! it does not matter which handle, which run or which thread made a block before.
//!
//! Invariant: a block that is kept has the bits that computing it again would give, so a cache decides how long
//! something takes and never what comes out.

mod kernel;
mod keys;
mod plan;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::graph::Block;
use crate::keep::Room;

pub(crate) use kernel::{CachedKernel, Ownership};
pub(crate) use keys::{Key, KeyId, Same};
pub(crate) use plan::plan_keys;
use table::{New, Table};

/// A byte that is read costs as much as so many that are made.
pub(crate) const READ_COST: f64 = 8.0;

/// Results of earlier computations, as many as fit, for those that come.
///
/// A computation under a [`Config`](crate::Config) with a cache keeps what it computes as long as there is room, chunks of arrays and
/// whole frames, and takes from it what is there. Arrays, and frames, are the same if they are made by the same operations from the same sources:
/// files that did not change, random numbers from the same seed, and what is in memory or persisted, and users' functions, if they are
/// the very same. A slice of an array that was computed is had without computing anything, and so are rows and columns of a frame.
///
/// Of an array these chunks are kept: those of a result, those that a result is a slice of, which are computed whole for that
/// (unless they are more than the cache takes), and those of all reductions on the way. What is read from a source that does not
/// tell its [version](crate::array::Source::version) is not kept; files and directories of up to 10 000 files on this machine do. A file
/// that is changed in place twice, to the same length and within one tick of the clock of its file system, has the same version.
///
/// Of frames what `compute` returns is kept, with all of its partitions or not at all: how a frame is cut depends on what is computed along
/// with it. Later it is there for itself and its slices, and, unless groups or joins are in it, also for filters, columns and sorts of it.
/// Sums and groups of it are computed as without a cache, because their last bits and their order depend on partitions
/// (`persist` is for these), and so is what arrays and delayed functions read.
///
/// When there is no room, the chunk or frame goes that is worth the least. That is how many bytes were read and made for
/// it, along the longest path from the sources, for each byte that it takes, plus what the last chunk was worth that had to go
/// when it was last used. So what has long not been used goes, the sooner the cheaper it was.
///
/// The chunks count against the memory limit as [persisted](crate::array::Array::persist) ones do, with which they share half of it.
/// They are freed with the last clone of the cache.
///
/// # Source
/// The order in which chunks go is GreedyDual-Size (Cao and Irani, 1997); what they cost is measured as by Dask's `cache`.
///
/// # Example
/// ```
/// use dask_rs::{Cache, prelude::*};
/// let cache = Cache::new(100 << 20);
/// Config::new().with_cache(&cache).scope(|| {
///     let x: Array<f64> = array::random::Generator::new(1).random([1000, 1000], [250, 250]);
///     let y = x.sqrt() - x.mean(0);
///     y.compute()?;
///     let part = y.slice(s![..10, 20..30]);
///     assert_eq!(part.explain()?.bytes_read(), 0);
///     assert_eq!(cache.hits(), 0);
///     part.compute()?;
///     assert_eq!(cache.hits(), 1);
///     Ok::<(), Error>(())
/// })?;
/// assert!(cache.bytes() >= 8_000_000);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Cache(Arc<Shared>);

struct Shared {
    /// The most bytes that it keeps.
    limit: u64,
    table: Mutex<Table>,
}

impl Cache {
    /// An empty cache for up to so many bytes. One for 0 bytes is none: in a scope it stands for no cache.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Cache(Arc::new(Shared { limit, table: Mutex::new(Table::new(limit)) }))
    }

    /// The bytes that it keeps at most.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// The bytes that it keeps now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.table().bytes()
    }

    /// How many chunks and partitions were taken from it in place of computing them.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.table().n_hits()
    }

    /// Forgets everything. What a computation still uses is freed at its end.
    pub fn clear(&self) {
        let gone = self.table().clear();
        drop(gone);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cache of {} bytes", self.0.limit)
    }
}

impl PartialEq for Cache {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Cache {}

/// A cache as one run uses it.
#[derive(Clone, Debug)]
pub(crate) struct Caching {
    cache: Cache,
    /// The memory limit of the run, in which the blocks count.
    memory_limit: u64,
    room: Arc<Room>,
}

impl Caching {
    /// `None` if nothing can be kept.
    pub(crate) fn new(cache: &Cache, memory_limit: u64) -> Option<Self> {
        let is_on = cache.limit() > 0;
        is_on.then(|| Caching { cache: cache.clone(), memory_limit, room: Arc::default() })
    }

    /// How much of the run the cache keeps.
    pub(crate) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// The most bytes that are kept.
    pub(crate) fn limit(&self) -> u64 {
        self.cache.limit()
    }

    /// The keys of operations, given inputs first: each with the places of its inputs among them and a hash that equal ones have.
    /// What has no key has no users that have one.
    pub(crate) fn keys_of<K: Key>(
        &self,
        ops: impl IntoIterator<Item = Option<(K, u64, Vec<usize>)>>,
    ) -> Vec<Option<KeyId>> {
        let mut table = self.cache.table();
        let gone = table.sweep();
        let mut ids: Vec<Option<KeyId>> = Vec::new();
        for op in ops {
            let id = op.and_then(|(key, hash, inputs)| {
                let inputs: Option<Vec<KeyId>> = inputs.iter().map(|&at| ids[at]).collect();
                Some(table.intern(key, hash, inputs?))
            });
            ids.push(id);
        }
        drop(table);
        drop(gone);
        ids
    }

    /// The blocks of `key` that are there and wanted, by number.
    pub(crate) fn blocks_of(
        &self,
        key: KeyId,
        is_wanted: impl Fn(u64) -> bool,
    ) -> BTreeMap<u64, Block> {
        self.cache.table().blocks_of(key, is_wanted)
    }

    /// Frees what is worth the least until the limit has `bytes` in which nothing is kept, as far as that goes.
    pub(crate) fn make_room(&self, bytes: u64) {
        let gone = self.cache.table().make_room(self.memory_limit, bytes);
        drop(gone);
    }

    /// The place of an operation's blocks, which cost `worth` for each of their bytes.
    pub(crate) fn slot(&self, key: KeyId, worth: f64, ownership: Ownership) -> Slot {
        Slot { run: self.clone(), key, worth, ownership }
    }
}

/// Where the blocks of one operation are kept.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    run: Caching,
    key: KeyId,
    /// What a byte of them cost.
    worth: f64,
    ownership: Ownership,
}

impl Slot {
    /// Takes note that a block was used.
    pub(crate) fn touch(&self, number: u64) {
        self.run.cache.table().touch(self.key, number, self.worth);
    }

    /// Keeps a block, if there is room or something goes for it; the block as the run has to use it from now on.
    pub(crate) fn keep(&self, number: u64, block: Block) -> Block {
        let (limit, room) = (self.run.memory_limit, &self.run.room);
        let new = New { limit, room, worth: self.worth, ownership: self.ownership };
        let mut gone = Vec::new();
        let block = self.run.cache.table().insert(self.key, number, block, &new, &mut gone);
        // No lock is held while they are freed.
        drop(gone);
        block
    }
}
