//! Which blocks a cache has, and which of them goes next.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::kernel::Ownership;
use super::keys::{Key, KeyId, Keys};
use crate::graph::Block;
use crate::keep::{Hold, Room, Share, free_of};

/// Blocks by key and number, in the order of what they are worth.
pub(super) struct Table {
    limit: u64,
    keys: Keys,
    entries: HashMap<KeyId, BTreeMap<u64, Kept>>,
    /// The blocks by rank, the one that goes first in front.
    queue: BTreeSet<Place>,
    /// What the last block was worth that had to go.
    level: f64,
    bytes: u64,
    n_hits: u64,
}

/// Where a block stands in the queue.
type Place = (Rank, KeyId, u64);

/// A block has to find its place among so many, which may all be in use.
const SEARCH_MAX: usize = 256;

/// A walk through the queue for what can go.
struct Search {
    /// Where it was last.
    last: Option<Place>,
    /// What is worth more stays.
    rank: Rank,
    n_left: usize,
}

struct Kept {
    block: Block,
    bytes: u64,
    rank: Rank,
    ownership: Ownership,
    _hold: Hold,
}

/// What comes with a block.
pub(super) struct New<'a> {
    pub(super) limit: u64,
    pub(super) room: &'a Arc<Room>,
    /// What a byte of it cost.
    pub(super) worth: f64,
    pub(super) ownership: Ownership,
}

/// A number that is not negative, by size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u64);

impl Rank {
    fn of(worth: f64) -> Self {
        Rank(worth.max(0.0).to_bits())
    }

    fn worth(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl Table {
    pub(super) fn new(limit: u64) -> Self {
        Table {
            limit,
            keys: Keys::default(),
            entries: HashMap::new(),
            queue: BTreeSet::new(),
            level: 0.0,
            bytes: 0,
            n_hits: 0,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn n_hits(&self) -> u64 {
        self.n_hits
    }

    pub(super) fn intern<K: Key>(&mut self, key: K, hash: u64, inputs: Vec<KeyId>) -> KeyId {
        self.keys.intern(key, hash, inputs)
    }

    /// Gives up what can't be asked for any more, and keys that nothing is kept of. What is given up is returned, to be freed where
    /// no lock is held.
    pub(super) fn sweep(&mut self) -> Vec<Block> {
        let mut gone = Vec::new();
        if self.keys.wants_sweep() {
            for id in self.keys.dead() {
                self.remove_entry(id, &mut gone);
            }
            self.keys.retain(self.entries.keys().copied());
        }
        gone
    }

    pub(super) fn clear(&mut self) -> Vec<Block> {
        let mut gone = Vec::new();
        for id in self.entries.keys().copied().collect::<Vec<_>>() {
            self.remove_entry(id, &mut gone);
        }
        self.keys.retain([]);
        gone
    }

    pub(super) fn blocks_of(
        &self,
        key: KeyId,
        is_wanted: impl Fn(u64) -> bool,
    ) -> BTreeMap<u64, Block> {
        let kept = self.entries.get(&key).into_iter().flatten();
        let wanted = kept.filter(|(number, _)| is_wanted(**number));
        wanted.map(|(number, kept)| (*number, kept.block.clone())).collect()
    }

    /// Takes note that a block was used.
    pub(super) fn touch(&mut self, key: KeyId, number: u64, worth: f64) {
        self.n_hits += 1;
        let kept = self.entries.get_mut(&key).and_then(|entry| entry.get_mut(&number));
        if let Some(kept) = kept {
            self.queue.remove(&(kept.rank, key, number));
            kept.rank = Rank::of(self.level + worth);
            self.queue.insert((kept.rank, key, number));
        }
    }

    /// Keeps a block if it fits once blocks are `gone` that are worth no more. The block to go on with.
    pub(super) fn insert(
        &mut self,
        key: KeyId,
        number: u64,
        block: Block,
        new: &New<'_>,
        gone: &mut Vec<Block>,
    ) -> Block {
        let bytes = block.nbytes();
        // A block that takes no memory is somebody else's, who may free it.
        if bytes == 0 || bytes > self.limit || !self.keys.is_known(key) {
            return block;
        }
        if let Some(kept) = self.entries.get(&key).and_then(|entry| entry.get(&number)) {
            // Another run was faster.
            return kept.block.clone();
        }
        let rank = Rank::of(self.level + new.worth);
        let mut search = Search { last: None, rank, n_left: SEARCH_MAX };
        let share = loop {
            let has_room = self.bytes + bytes <= self.limit;
            let share = || Share::take(new.limit, bytes, new.room, false);
            if let Some(share) = has_room.then(share).flatten() {
                break share;
            }
            let Some(first) = self.give_up(&mut search) else { return block };
            gone.push(first);
        };
        let hold: Hold = Arc::new(share);
        let block = (new.ownership.lend)(block, Arc::clone(&hold));
        let kept =
            Kept { block: block.clone(), bytes, rank, ownership: new.ownership, _hold: hold };
        self.put(key, number, kept);
        block
    }

    /// Gives up blocks until a memory limit has `bytes` in which nothing is kept, as far as that goes.
    pub(super) fn make_room(&mut self, limit: u64, bytes: u64) -> Vec<Block> {
        let mut gone = Vec::new();
        let mut search = Search { last: None, rank: Rank(u64::MAX), n_left: usize::MAX };
        while free_of(limit) < bytes
            && let Some(first) = self.give_up(&mut search)
        {
            gone.push(first);
        }
        gone
    }

    /// Takes out the next block of a search that nobody uses.
    fn give_up(&mut self, search: &mut Search) -> Option<Block> {
        loop {
            let start = search.last.map_or(Bound::Unbounded, Bound::Excluded);
            let place = *self.queue.range((start, Bound::Unbounded)).next()?;
            if place.0 > search.rank || search.n_left == 0 {
                return None;
            }
            search.n_left -= 1;
            search.last = Some(place);
            let kept = self.take(place)?;
            match (kept.ownership.recall)(kept.block) {
                Ok(block) => {
                    self.level = place.0.worth();
                    return Some(block);
                }
                Err(block) => self.put(place.1, place.2, Kept { block, ..kept }),
            }
        }
    }

    fn put(&mut self, key: KeyId, number: u64, kept: Kept) {
        self.bytes += kept.bytes;
        self.queue.insert((kept.rank, key, number));
        self.entries.entry(key).or_default().insert(number, kept);
    }

    fn take(&mut self, (rank, key, number): Place) -> Option<Kept> {
        self.queue.remove(&(rank, key, number));
        let entry = self.entries.get_mut(&key)?;
        let kept = entry.remove(&number)?;
        if entry.is_empty() {
            self.entries.remove(&key);
        }
        self.bytes -= kept.bytes;
        Some(kept)
    }

    fn remove_entry(&mut self, key: KeyId, gone: &mut Vec<Block>) {
        let entry = self.entries.get(&key).into_iter().flatten();
        let places: Vec<Place> = entry.map(|(number, kept)| (kept.rank, key, *number)).collect();
        gone.extend(places.into_iter().filter_map(|place| Some(self.take(place)?.block)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::graph::test_graphs::Chunk;

    #[derive(PartialEq)]
    struct Op(u32);

    impl Key for Op {
        fn is_dead(&self) -> bool {
            false
        }
    }

    struct Bench {
        table: Table,
        room: Arc<Room>,
        memory_limit: u64,
    }

    impl Bench {
        /// Memory limits are of their own, because all that is kept under one counts together.
        fn new(limit: u64, memory_limit: u64) -> Self {
            Bench { table: Table::new(limit), room: Arc::default(), memory_limit }
        }

        fn key(&mut self, op: u32) -> KeyId {
            self.table.intern(Op(op), op.into(), vec![])
        }

        fn insert(&mut self, op: u32, bytes: u64, worth: f64) -> Block {
            let lend: fn(Block, Hold) -> Block = |block, _| block;
            let recall = |block: Block| block.try_unwrap::<Chunk>().map(Block::new);
            let ownership = Ownership { lend, recall };
            let key = self.key(op);
            let new = New { limit: self.memory_limit, room: &self.room, worth, ownership };
            let block = Block::new(Chunk { bytes, digest: op.into() });
            self.table.insert(key, 0, block, &new, &mut Vec::new())
        }

        fn kept(&mut self) -> Vec<u32> {
            (0..20)
                .filter(|op| {
                    let key = self.key(*op);
                    !self.table.blocks_of(key, |_| true).is_empty()
                })
                .collect()
        }
    }

    #[test]
    fn what_is_worth_the_least_goes_first_and_what_was_used_later() {
        let mut bench = Bench::new(300, 1_000_033);
        for (op, worth) in [(1, 5.0), (2, 2.0), (3, 3.0)] {
            bench.insert(op, 100, worth);
        }
        bench.insert(4, 100, 1.0);
        assert_eq!(bench.kept(), [1, 2, 3], "it is worth less than all that is there");
        bench.insert(5, 100, 4.0);
        assert_eq!(bench.kept(), [1, 3, 5]);
        // The level is now 2: what was used is worth 3 more than that, what was not is still 4.
        let key = bench.key(3);
        bench.table.touch(key, 0, 3.0);
        bench.insert(6, 150, 6.0);
        assert_eq!((bench.kept(), bench.table.bytes()), (vec![3, 6], 250));
        assert_eq!(bench.table.n_hits(), 1);
        bench.insert(7, 301, 100.0);
        assert_eq!(bench.kept(), [3, 6], "it is too large for all of it");
    }

    #[test]
    fn blocks_in_use_stay() {
        let mut bench = Bench::new(200, 1_000_037);
        let used = bench.insert(1, 100, 1.0);
        bench.insert(2, 100, 2.0);
        bench.insert(3, 100, 3.0);
        assert_eq!(bench.kept(), [1, 3]);
        bench.insert(4, 200, 9.0);
        assert_eq!(bench.kept(), [1], "what had to go for it does not come back");
        drop(used);
        bench.insert(4, 200, 9.0);
        assert_eq!(bench.kept(), [4]);
    }

    #[test]
    fn what_is_in_use_is_not_looked_at_again_for_each_new_block() {
        static N_LOOKS: AtomicUsize = AtomicUsize::new(0);
        let recall = |block: Block| {
            N_LOOKS.fetch_add(1, Ordering::Relaxed);
            block.try_unwrap::<Chunk>().map(Block::new)
        };
        let (mut bench, n) = (Bench::new(2_000, 1_000_081), 2_000);
        let ownership = Ownership { lend: |block, _| block, recall };
        let mut insert = |op: u32, worth: f64| {
            let key = bench.key(op);
            let new = New { limit: bench.memory_limit, room: &bench.room, worth, ownership };
            let block = Block::new(Chunk { bytes: 1, digest: op.into() });
            bench.table.insert(key, 0, block, &new, &mut Vec::new())
        };
        let used: Vec<Block> = (0..n).map(|op| insert(op, 1.0)).collect();
        (n..2 * n).for_each(|op| drop(insert(op, 2.0)));
        assert!(N_LOOKS.load(Ordering::Relaxed) <= SEARCH_MAX * n as usize);
        drop(used);
        insert(2 * n, 2.0);
        let key = bench.key(2 * n);
        assert_eq!(bench.table.blocks_of(key, |_| true).len(), 1, "now there is a place");
    }

    #[test]
    fn all_counts_in_the_memory_limit_and_goes_with_the_table() {
        const LIMIT: u64 = 1_000_039;
        let mut bench = Bench::new(u64::MAX, LIMIT);
        bench.insert(1, 300_000, 1.0);
        bench.insert(2, 200_000, 1.0);
        assert_eq!((free_of(LIMIT), bench.room.held_bytes()), (LIMIT - 500_000, 500_000));
        bench.insert(3, 400_000, 0.5);
        assert_eq!(bench.kept(), [1, 2], "more than half is never kept");
        bench.insert(4, 200_000, 2.0);
        assert_eq!(bench.kept(), [2, 4]);
        drop(bench.table.make_room(LIMIT, LIMIT - 200_000));
        assert_eq!(bench.kept(), [4]);
        bench.room.set_most(250_000);
        bench.insert(5, 100_000, 0.5);
        assert_eq!(bench.kept(), [4], "the run needs the rest");
        drop(bench.table);
        assert_eq!((free_of(LIMIT), bench.room.held_bytes()), (LIMIT, 0));
    }
}
