//! What flows along the edges of a task graph.

use std::any::Any;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// A result of one task: a chunk of an array, a partition of a frame, a partial reduction.
pub(crate) trait Value: Any + Send + Sync + fmt::Debug {
    /// Bytes of memory that dropping this value gives back.
    fn nbytes(&self) -> u64;

    /// This value as one that can lie on disk for a while, if it can.
    fn as_spill(&self) -> Option<&dyn Spill> {
        None
    }
}

/// A [`Value`] that can be written to disk, to be read back before its next use.
pub(crate) trait Spill {
    /// Writes the value to `to`; what is returned makes an equal one of the same bytes.
    fn save(&self, to: &mut dyn Write) -> io::Result<Load>;
}

/// Reads back what [`Spill::save`] wrote.
pub(crate) type Load = Box<dyn Fn(&mut dyn Read) -> io::Result<Block> + Send>;

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
