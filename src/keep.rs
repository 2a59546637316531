//! Blocks that outlive the run that made them: in memory as far as they may, and else in files.
//!
//! All that is kept under one memory limit shares a part of it, and what runs under this limit gets the rest.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::graph::Block;
use crate::memory::BufferPool;

mod files;

pub(crate) use files::{BlockFiles, Saved, SpillOptions};
#[cfg(test)]
pub(crate) use files::{Files, LocalFiles};

/// Kept blocks may use this part of the memory limit.
const KEPT_PART: u64 = 2;

/// Bytes of memory that are kept under each limit.
static KEPT: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());

/// Bytes of a memory limit that nothing is kept in: at least half, also if blocks that can't lie on disk take more.
pub(crate) fn free_of(limit: u64) -> u64 {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    limit - kept.get(&limit).copied().unwrap_or(0).min(limit / KEPT_PART)
}

/// How much of the memory of a run is kept beyond its end, and how much may be.
#[derive(Debug)]
pub(crate) struct Room {
    held: AtomicU64,
    most: AtomicU64,
}

impl Default for Room {
    fn default() -> Self {
        Room { held: AtomicU64::new(0), most: AtomicU64::new(u64::MAX) }
    }
}

impl Room {
    /// Bytes that are kept of what the run has made.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Says how many bytes the largest task of the run leaves.
    pub(crate) fn set_most(&self, bytes: u64) {
        self.most.store(bytes, Ordering::Relaxed);
    }
}

/// Memory that is kept counts in its limit for as long as anybody has this, which goes wherever the memory goes.
pub(crate) type Hold = Arc<dyn Any + Send + Sync>;

/// Memory of a limit that is kept until this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    limit: u64,
    bytes: u64,
    room: Arc<Room>,
}

impl Share {
    /// Takes memory for what a run has made, if the limit and the run leave as much; in any case for what `must` stay.
    pub(crate) fn take(limit: u64, bytes: u64, room: &Arc<Room>, must: bool) -> Option<Share> {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let all = kept.entry(limit).or_default();
        let (all_then, held) = (all.saturating_add(bytes), room.held_bytes().saturating_add(bytes));
        let fits = all_then <= limit / KEPT_PART && held <= room.most.load(Ordering::Relaxed);
        if !(must || fits) {
            return None;
        }
        *all = all_then;
        room.held.store(held, Ordering::Relaxed);
        Some(Share { limit, bytes, room: Arc::clone(room) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.room.held_bytes().saturating_sub(self.bytes);
        self.room.held.store(held, Ordering::Relaxed);
        if let Some(all) = kept.get_mut(&self.limit) {
            *all = all.saturating_sub(self.bytes);
            if *all == 0 {
                kept.remove(&self.limit);
            }
        }
    }
}

/// Decides where blocks are kept, and has the files of those that lie on disk.
#[derive(Debug)]
pub(crate) struct Keeper {
    limit: u64,
    room: Arc<Room>,
    files: BlockFiles,
}

/// A block that is kept.
#[derive(Debug)]
pub(crate) enum Kept {
    InMemory { block: Block, _hold: Hold },
    OnDisk(Saved),
}

impl Kept {
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        match self {
            Kept::InMemory { .. } => 0,
            Kept::OnDisk(saved) => saved.nbytes(),
        }
    }
}

impl Keeper {
    /// Keeps blocks under a memory limit of so many bytes.
    pub(crate) fn new(limit: u64, options: SpillOptions) -> Self {
        Keeper { limit, room: Arc::default(), files: BlockFiles::new(options) }
    }

    /// Keeps a block. One that stays in memory becomes what `lend` makes of it, which is no longer any run's and has the hold, as
    /// its memory may be kept elsewhere too.
    ///
    /// # Errors
    /// [`Error::Spill`](crate::Error::Spill) and [`Error::SpillLimit`](crate::Error::SpillLimit) if a file can't be written.
    pub(crate) fn keep(
        &self,
        block: Block,
        lend: impl FnOnce(Block, Hold) -> Block,
    ) -> Result<Kept> {
        let must = block.as_spill().is_none();
        match Share::take(self.limit, block.nbytes(), &self.room, must) {
            Some(share) => {
                let hold: Hold = Arc::new(share);
                Ok(Kept::InMemory { block: lend(block, Arc::clone(&hold)), _hold: hold })
            }
            None => self.files.save(&block).map(Kept::OnDisk),
        }
    }

    /// How much of the run stays in memory.
    pub(crate) fn room(&self) -> &Arc<Room> {
        &self.room
    }
}

/// The blocks of a result, in their order.
#[derive(Debug)]
pub(crate) struct KeptBlocks {
    blocks: Vec<Kept>,
    bytes_on_disk: u64,
    /// Holds the files.
    _keeper: Arc<Keeper>,
}

impl KeptBlocks {
    pub(crate) fn new(blocks: Vec<Kept>, keeper: Arc<Keeper>) -> Self {
        let bytes_on_disk = blocks.iter().map(Kept::bytes_on_disk).sum();
        KeptBlocks { blocks, bytes_on_disk, _keeper: keeper }
    }

    /// Block `i`, read into buffers of `pool` if it is in a file.
    ///
    /// # Errors
    /// [`Error::Spill`](crate::Error::Spill) if the file can't be read, or holds something else.
    pub(crate) fn get(&self, i: usize, pool: &Arc<BufferPool>) -> Result<Block> {
        match &self.blocks[i] {
            Kept::InMemory { block, .. } => Ok(block.clone()),
            Kept::OnDisk(saved) => saved.load(pool),
        }
    }

    /// Block `i`, if it is in memory.
    #[cfg(feature = "frame")]
    pub(crate) fn in_memory(&self, i: usize) -> Option<&Block> {
        match &self.blocks[i] {
            Kept::InMemory { block, .. } => Some(block),
            Kept::OnDisk(_) => None,
        }
    }

    /// Bytes of the blocks in files.
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        self.bytes_on_disk
    }

    /// Bytes of the largest block in a file.
    pub(crate) fn largest_on_disk(&self) -> u64 {
        self.blocks.iter().map(Kept::bytes_on_disk).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::graph::test_graphs::Chunk;

    fn keep(keeper: &Keeper, bytes: u64, digest: u64) -> Result<Kept> {
        keeper.keep(Block::new(Chunk { bytes, digest }), |block, _| block)
    }

    #[test]
    fn what_does_not_fit_half_of_the_limit_goes_to_disk_and_comes_back() {
        const LIMIT: u64 = 1_000_003;
        let dir = tempfile::tempdir().unwrap();
        let options = SpillOptions::new(dir.path().into(), u64::MAX);
        let keeper = Arc::new(Keeper::new(LIMIT, options.clone()));
        let blocks: Vec<Kept> = [300_000, 100_000, 200_000, 50_000]
            .map(|bytes| keep(&keeper, bytes, bytes).unwrap())
            .into();
        let on_disk: Vec<u64> = blocks.iter().map(Kept::bytes_on_disk).collect();
        assert_eq!(on_disk, [0, 0, 200_000, 0]);
        assert_eq!(free_of(LIMIT), LIMIT - 450_000);
        let other = Keeper::new(LIMIT, options);
        assert_eq!(keep(&other, 60_000, 1).unwrap().bytes_on_disk(), 60_000, "all share the half");
        assert_eq!(keep(&other, 50_000, 1).unwrap().bytes_on_disk(), 0);
        drop(other);
        let kept = KeptBlocks::new(blocks, keeper);
        let pool = Arc::new(BufferPool::plain());
        assert_eq!((kept.bytes_on_disk(), kept.largest_on_disk()), (200_000, 200_000));
        for (i, bytes) in [300_000, 100_000, 200_000, 50_000].into_iter().enumerate() {
            // As often as it is read.
            for _ in 0..2 {
                let block = kept.get(i, &pool).unwrap();
                assert_eq!(block.downcast_ref(), Some(&Chunk { bytes, digest: bytes }));
            }
        }
        drop(kept);
        assert_eq!(free_of(LIMIT), LIMIT);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn a_full_disk_loses_nothing() {
        const LIMIT: u64 = 1_000_007;
        let dir = tempfile::tempdir().unwrap();
        let keeper = Keeper::new(LIMIT, SpillOptions::new(dir.path().into(), 700_000));
        let first = keep(&keeper, 600_000, 1).unwrap();
        let error = keep(&keeper, 600_000, 2).unwrap_err();
        assert!(matches!(error, Error::SpillLimit { needed: 1_200_000, .. }), "{error}");
        let Kept::OnDisk(first) = first else { panic!("it is more than half") };
        let pool = Arc::new(BufferPool::plain());
        assert_eq!(first.load(&pool).unwrap().nbytes(), 600_000);
        assert_eq!(free_of(LIMIT), LIMIT);
    }
}
