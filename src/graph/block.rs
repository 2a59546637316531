//! What flows along the edges of a task graph.

use std::any::Any;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::memory::BufferPool;

/// A result of one task: a chunk of an array, a partition of a frame, a partial reduction.
pub(crate) trait Value: Any + Send + Sync + fmt::Debug {
    /// Bytes of memory that dropping this value gives back.
    fn nbytes(&self) -> u64;

    /// Bytes of memory that the value takes once it has gone to another process.
    #[cfg(feature = "dist")]
    fn nbytes_elsewhere(&self) -> u64 {
        self.nbytes()
    }

    /// Appends the value as bytes and names its decoder; `None` if it can't leave the process.
    #[cfg(feature = "dist")]
    fn encode(&self, _bytes: &mut Vec<u8>) -> Option<&'static str> {
        None
    }

    /// The value of a user's own type inside, if that is what this is.
    fn of_user(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }

    /// This value as one that can lie on disk for a while, if it can.
    fn as_spill(&self) -> Option<&dyn Spill> {
        None
    }
}

/// A [`Value`] that can be written to disk, to be read back before its next use.
pub(crate) trait Spill {
    /// Writes the value to `to`; what is returned makes an equal one of the same bytes.
    fn save(&self, to: &mut dyn Write) -> io::Result<Load>;

    /// Whether what is written is compressed already where that is worth it.
    fn is_compressed(&self) -> bool {
        false
    }
}

/// Reads back what [`Spill::save`] wrote, into buffers of the pool of the run that needs it.
pub(crate) type Load =
    Box<dyn Fn(&mut dyn Read, &Arc<BufferPool>) -> io::Result<Block> + Send + Sync>;

/// A shared, erased [`Value`]. Cloning shares; the last owner may take the value out.
#[derive(Clone, Debug)]
pub(crate) struct Block(Arc<dyn Value>);

impl Block {
    pub(crate) fn new(value: impl Value) -> Self {
        Block(Arc::new(value))
    }

    pub(crate) fn nbytes(&self) -> u64 {
        self.0.nbytes()
    }

    /// Bytes of memory that the value takes once it has gone to another process.
    #[cfg(feature = "dist")]
    pub(crate) fn nbytes_elsewhere(&self) -> u64 {
        self.0.nbytes_elsewhere()
    }

    /// The name of the value's decoder and the bytes for it, if the value can leave the process.
    #[cfg(feature = "dist")]
    pub(crate) fn encode(&self) -> Option<(&'static str, Vec<u8>)> {
        let mut bytes = Vec::new();
        let name = self.0.encode(&mut bytes)?;
        Some((name, bytes))
    }

    /// What users get to see: their own value, or else this block.
    pub(crate) fn for_user(&self) -> Arc<dyn Any + Send + Sync> {
        self.0.of_user().unwrap_or_else(|| Arc::new(self.clone()))
    }

    /// The value as one that can lie on disk, if it can and if memory is gained by that.
    pub(crate) fn as_spill(&self) -> Option<&dyn Spill> {
        if self.nbytes() > 0 { self.0.as_spill() } else { None }
    }

    /// The value, if it is a `V`.
    pub(crate) fn downcast_ref<V: Value>(&self) -> Option<&V> {
        (&*self.0 as &dyn Any).downcast_ref()
    }

    /// The value itself if this is its only owner, so that its memory can be reused.
    pub(crate) fn try_unwrap<V: Value>(self) -> Result<V, Block> {
        if self.downcast_ref::<V>().is_none() {
            return Err(self);
        }
        let any: Arc<dyn Any + Send + Sync> = self.0;
        let value = any.downcast::<V>().expect("the type was just compared");
        Arc::try_unwrap(value).map_err(|shared| Block(shared))
    }
}

#[cfg(test)]
impl Block {
    /// The block as it comes back, if it can leave.
    pub(crate) fn through_disk(self) -> Block {
        let Some(spill) = self.as_spill() else { return self };
        let mut bytes = Vec::new();
        let load = spill.save(&mut bytes).expect("a vector takes everything");
        let mut rest = bytes.as_slice();
        let pool = Arc::new(BufferPool::new(0));
        let back = load(&mut rest, &pool).expect("all of it was written");
        assert!(rest.is_empty(), "all of it is read");
        assert_eq!(back.nbytes(), self.nbytes());
        back
    }
}
