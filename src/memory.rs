//! A pool of chunk buffers.
//!
//! First touch of fresh memory costs several times more than the arithmetic of a chunk, and
//! allocators give large blocks back to the kernel at once. So buffers of dropped chunks wait here
//! for the next chunk of about the same size. Buffers stay initialized, which keeps the whole
//! path free of `unsafe`: whoever takes one overwrites what the last owner left.
//!
//! Invariant: idle bytes count against the byte budget of a run (`sched`), which says how many it has
//! room for and trims the pool before it makes a reader wait; between runs they never exceed the cap.
//! During a run all buffers that fit are kept, because an allocator that gets them back keeps
//! much of that memory for itself, where no budget sees it; but no more than were lent at once in this run or
//! the last one. Blocks that functions of users allocate come here too, and nobody would take that many again.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Below this many bytes the allocator recycles well by itself.
const POOLED_BYTES_MIN: usize = 128 << 10;

/// What glibc's allocator always takes straight from the kernel and gives back when it is freed, however
/// its threshold for that has adapted (`DEFAULT_MMAP_THRESHOLD_MAX`). Smaller blocks come from heaps which
/// keep what is freed, in pieces between others that fit nothing: rechunks, whose stages have blocks of
/// different sizes, were seen to take twice their budget that way. Pages of a buffer that nobody touches
/// cost nothing.
const MAPPED_BYTES_MIN: usize = (32 << 20) + 4096;

/// Whether that is how the allocator of this system works.
const HAS_HEAPS: bool =
    cfg!(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"));

/// Idle buffers by element type and usable length.
#[derive(Debug)]
pub(crate) struct BufferPool {
    shelves: Mutex<Shelves>,
    /// Changed only under the lock of the shelves.
    idle_bytes: AtomicU64,
    /// Bytes of idle buffers that are kept between runs.
    idle_bytes_max: u64,
    /// Bytes that there is room for right now.
    room: AtomicU64,
    /// Whether new buffers are as long as it takes to have them mapped.
    maps: bool,
}

#[derive(Debug, Default)]
struct Shelves {
    by_type: HashMap<TypeId, Shelf>,
    /// Bytes that were taken, less what was given.
    lent: u64,
    /// The most that were lent at once, since the last run ended.
    most_lent: u64,
    /// The same of the time before.
    most_lent_before: u64,
}

/// Buffers of one element type by the elements that they are good for, each a boxed `Vec<T>`, with the
/// bytes of an element.
#[derive(Debug, Default)]
struct Shelf {
    by_len: BTreeMap<usize, Vec<Box<dyn Any + Send>>>,
    item_bytes: usize,
}

impl BufferPool {
    /// A pool that keeps at most `idle_bytes_max` bytes of unused buffers between runs.
    pub(crate) fn new(idle_bytes_max: u64) -> Self {
        BufferPool {
            shelves: Mutex::default(),
            idle_bytes: AtomicU64::new(0),
            idle_bytes_max,
            room: AtomicU64::new(idle_bytes_max),
            maps: HAS_HEAPS,
        }
    }

    /// A pool that keeps nothing and whose buffers are as long as they look, so that they can be measured.
    pub(crate) fn plain() -> Self {
        BufferPool { maps: false, ..BufferPool::new(0) }
    }

    /// A buffer of `len` elements with unspecified (but initialized) contents.
    pub(crate) fn take<T: Clone + Default + Send + 'static>(&self, len: usize) -> Vec<T> {
        let bytes = (len * size_of::<T>()) as u64;
        if bytes < POOLED_BYTES_MIN as u64 {
            return vec![T::default(); len];
        }
        match self.lend::<T>(len) {
            Some(mut buffer) => {
                buffer.resize(len, T::default());
                buffer
            }
            None => {
                let room = self.room.load(Ordering::Relaxed).saturating_sub(bytes);
                if self.idle_bytes() > room {
                    self.trim(room);
                }
                if self.maps { mapped(len) } else { vec![T::default(); len] }
            }
        }
    }

    /// Keeps `buffer` for a later [`take`](Self::take), or frees it.
    pub(crate) fn give<T: Clone + Default + Send + 'static>(&self, buffer: Vec<T>) {
        let len = buffer.capacity().min(shelf_len(buffer.len()));
        let bytes = len * size_of::<T>();
        if bytes < POOLED_BYTES_MIN {
            return;
        }
        let mut shelves = self.lock();
        shelves.lent = shelves.lent.saturating_sub(bytes as u64);
        let wanted = shelves.most_lent.max(shelves.most_lent_before).saturating_sub(shelves.lent);
        if self.idle_bytes() + bytes as u64 > self.room.load(Ordering::Relaxed).min(wanted) {
            drop(shelves);
            return;
        }
        self.idle_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let shelf = shelves.by_type.entry(TypeId::of::<T>()).or_default();
        shelf.item_bytes = size_of::<T>();
        shelf.by_len.entry(len).or_default().push(Box::new(buffer));
    }

    /// Says how many bytes a run leaves for idle buffers; given buffers beyond them are freed.
    ///
    /// Of several runs that share the pool, the last one to say so counts.
    pub(crate) fn set_room(&self, bytes: u64) {
        self.room.store(bytes, Ordering::Relaxed);
    }

    /// Says that a run has ended.
    pub(crate) fn settle(&self) {
        let mut shelves = self.lock();
        shelves.most_lent_before = std::mem::take(&mut shelves.most_lent);
        // What has not come back may never do so: results are their owners'.
        shelves.lent = 0;
        drop(shelves);
        self.set_room(self.idle_bytes_max);
        self.trim(self.idle_bytes_max);
    }

    /// The most bytes of unused buffers that the pool keeps between runs.
    pub(crate) fn idle_bytes_max(&self) -> u64 {
        self.idle_bytes_max
    }

    /// Bytes of buffers that nobody uses.
    pub(crate) fn idle_bytes(&self) -> u64 {
        self.idle_bytes.load(Ordering::Relaxed)
    }

    /// Frees idle buffers until at most `idle_bytes_max` bytes of them remain.
    pub(crate) fn trim(&self, idle_bytes_max: u64) {
        let mut freed = Vec::new();
        let mut shelves = self.lock();
        for shelf in shelves.by_type.values_mut() {
            while self.idle_bytes() > idle_bytes_max {
                let Some(mut largest) = shelf.by_len.last_entry() else { break };
                let bytes = *largest.key() * shelf.item_bytes;
                freed.extend(largest.get_mut().pop());
                self.idle_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
                if largest.get().is_empty() {
                    largest.remove();
                }
            }
        }
        // The kernel takes its time to unmap; nobody has to wait for it.
        drop(shelves);
        drop(freed);
    }

    /// Counts `len` elements as lent: the smallest idle buffer of the same shelf that holds them, if there is one.
    fn lend<T: 'static>(&self, len: usize) -> Option<Vec<T>> {
        let mut shelves = self.lock();
        shelves.lent += (shelf_len(len) * size_of::<T>()) as u64;
        shelves.most_lent = shelves.most_lent.max(shelves.lent);
        let shelf = shelves.by_type.get_mut(&TypeId::of::<T>())?;
        let (&key, stack) = shelf.by_len.range_mut(len..=shelf_len(len)).next()?;
        let buffer = stack.pop()?;
        if stack.is_empty() {
            shelf.by_len.remove(&key);
        }
        self.idle_bytes.fetch_sub((key * size_of::<T>()) as u64, Ordering::Relaxed);
        drop(shelves);
        buffer.downcast().ok().map(|buffer| *buffer)
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        // Every update of the shelves is complete before anything that could panic.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a buffer of a pool holds.
pub(crate) trait Item: Clone + Default + Send + 'static {}

impl<T: Clone + Default + Send + 'static> Item for T {}

/// A buffer that returns to its pool when it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Lent<T: Item> {
    buffer: Vec<T>,
    pool: Arc<BufferPool>,
}

impl<T: Item> Lent<T> {
    /// `len` times `value`.
    pub(crate) fn new(pool: &Arc<BufferPool>, len: usize, value: T) -> Self {
        let mut buffer = pool.take::<T>(len);
        buffer.fill(value);
        Lent { buffer, pool: Arc::clone(pool) }
    }

    /// What stands in `buffer`, which is the pool's afterwards.
    #[cfg(feature = "dist")]
    pub(crate) fn of(pool: &Arc<BufferPool>, buffer: Vec<T>) -> Self {
        Lent { buffer, pool: Arc::clone(pool) }
    }
}

impl<T: Item> Drop for Lent<T> {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.buffer));
    }
}

impl<T: Item> Deref for Lent<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.buffer
    }
}

impl<T: Item> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer
    }
}

/// The longest length whose buffers are exchanged with those of `len`: at most an eighth more, since what
/// the last owner touched stays in memory and is not counted for the next one.
fn shelf_len(len: usize) -> usize {
    let step = (len.next_power_of_two() / 16).max(1);
    len.next_multiple_of(step)
}

/// A new buffer that the allocator maps.
fn mapped<T: Clone + Default>(len: usize) -> Vec<T> {
    if len * size_of::<T>() < MAPPED_BYTES_MIN {
        let mut buffer = Vec::with_capacity(MAPPED_BYTES_MIN.div_ceil(size_of::<T>()));
        buffer.resize(len, T::default());
        return buffer;
    }
    vec![T::default(); len]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_buffer_is_taken_again() {
        let pool = BufferPool::new(1 << 30);
        let buffer = pool.take::<f64>(100_000);
        let address = buffer.as_ptr();
        pool.give(buffer);
        let again = pool.take::<f64>(99_000);
        assert_eq!((again.as_ptr(), again.len()), (address, 99_000));
        assert_eq!(pool.idle_bytes(), 0);
    }

    #[test]
    fn a_lent_buffer_returns() {
        let pool = Arc::new(BufferPool::new(1 << 30));
        let mut lent = Lent::new(&pool, 100_000, 1.5);
        lent[7] = 2.0;
        assert_eq!((lent.len(), lent[6..8].to_vec()), (100_000, vec![1.5, 2.0]));
        drop(lent);
        assert!(pool.idle_bytes() >= 800_000);
    }

    /// A pool with as many idle buffers of so many elements, none of which is mapped.
    fn pool_of<const N: usize>(idle_bytes_max: u64, len: usize) -> BufferPool {
        let pool = BufferPool { maps: false, ..BufferPool::new(idle_bytes_max) };
        let buffers = [(); N].map(|()| pool.take::<f64>(len));
        buffers.into_iter().for_each(|buffer| pool.give(buffer));
        pool
    }

    #[test]
    fn a_buffer_stays_on_its_shelf() {
        let pool = pool_of::<1>(1 << 30, 100_000);
        for len in [99_000, 100_000, 98_400] {
            let buffer = pool.lend::<f64>(len).unwrap();
            assert_eq!(buffer.capacity(), 100_000);
            pool.give(buffer);
            assert_eq!(pool.idle_bytes(), 800_000);
        }
        assert!(pool.lend::<f64>(98_000).is_none());
        assert!(pool.lend::<f64>(100_001).is_none());
        for len in (1..3000).chain([1 << 20, (1 << 20) + 1]) {
            let longest = shelf_len(len);
            assert!(longest >= len && longest <= len + len / 8 + 1, "{len} {longest}");
            assert_eq!(shelf_len(longest), longest);
        }
    }

    #[test]
    fn buffers_are_mapped_where_the_allocator_would_keep_them() {
        let pool = BufferPool::new(1 << 30);
        let buffer = pool.take::<f64>(100_000);
        assert_eq!(HAS_HEAPS, buffer.capacity() * 8 > 32 << 20);
        // What a buffer counts for is what was touched.
        pool.give(buffer);
        assert_eq!(pool.idle_bytes(), 8 * shelf_len(100_000) as u64);
    }

    #[test]
    fn the_cap_and_trim_bound_idle_bytes() {
        let pool = pool_of::<3>(1_000_000, 50_000);
        assert_eq!(pool.idle_bytes(), 800_000);
        pool.trim(400_000);
        assert_eq!(pool.idle_bytes(), 400_000);
        pool.trim(0);
        assert_eq!(pool.idle_bytes(), 0);
        assert!(pool.lend::<f64>(50_000).is_none());
    }

    #[test]
    fn buffers_beyond_the_room_of_a_run_are_freed() {
        let pool = pool_of::<2>(500_000, 50_000);
        assert_eq!(pool.idle_bytes(), 400_000);
        pool.set_room(800_000);
        pool.give(vec![0_f64; 50_000]);
        assert_eq!(pool.idle_bytes(), 800_000);
    }

    #[test]
    fn a_new_buffer_takes_the_room_of_idle_ones() {
        let pool = pool_of::<2>(1 << 30, 50_000);
        pool.set_room(1_000_000);
        let _buffer = pool.take::<f32>(150_000);
        assert_eq!(pool.idle_bytes(), 400_000);
    }

    #[test]
    fn a_run_may_keep_more_than_the_cap_until_it_ends() {
        let pool = pool_of::<0>(400_000, 0);
        pool.set_room(u64::MAX);
        let buffers = [(); 2].map(|()| pool.take::<f64>(50_000));
        buffers.into_iter().for_each(|buffer| pool.give(buffer));
        assert_eq!(pool.idle_bytes(), 800_000);
        pool.settle();
        assert_eq!(pool.idle_bytes(), 400_000);
        pool.give(vec![0_f64; 50_000]);
        assert_eq!(pool.idle_bytes(), 400_000);
    }

    #[test]
    fn no_more_lies_idle_than_was_lent_at_once() {
        let pool = pool_of::<0>(u64::MAX, 0);
        // Functions of users allocate blocks themselves, and all of them are given.
        for _ in 0..100 {
            let own = pool.take::<f64>(50_000);
            pool.give(vec![0_f64; 50_000]);
            pool.give(own);
            assert!(pool.idle_bytes() <= 500_000, "{}", pool.idle_bytes());
        }
        // What the next run may want again stays, and goes if it does not.
        pool.settle();
        let two = [(); 2].map(|()| pool.take::<f64>(50_000));
        two.into_iter().for_each(|buffer| pool.give(buffer));
        let idle = pool.idle_bytes();
        pool.settle();
        pool.give(vec![0_f64; 50_000]);
        assert!(idle >= 800_000 && pool.idle_bytes() == idle, "{idle} {}", pool.idle_bytes());
    }

    #[test]
    fn a_buffer_that_is_too_large_is_left_alone() {
        let pool = pool_of::<1>(1 << 30, 1_000_000);
        assert!(pool.lend::<f64>(100_000).is_none());
        assert!(pool.lend::<f32>(1_000_000).is_none());
        assert_eq!(pool.idle_bytes(), 8_000_000);
    }
}
