//! Files that are written while arrays are computed: what hands blocks to their writers.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::chunks::Chunks;
use super::expr::Node;
use crate::compute::{Collector, Session};
use crate::error::{Error, Result};
use crate::graph::Block;

/// Takes the blocks of some arrays in any order; what it writes appears when it is finished.
pub(super) trait Writer: Send + Sync {
    /// The block of the `i`-th array that begins at `start`.
    fn write(&self, i: usize, start: &[u64], block: Block) -> Result<()>;

    fn finish(self: Box<Self>) -> Result<()>;
}

/// Starts a writer.
pub(super) type Start = Box<dyn Fn() -> Result<Box<dyn Writer>> + Send + Sync>;

/// The writer of a run, which exists from the start of the run on: what is only explained must not touch the disk.
struct Written {
    start: Start,
    writer: OnceLock<Box<dyn Writer>>,
}

/// Hands the blocks of one array to the writer.
struct Writing {
    written: Arc<Written>,
    i: usize,
    chunks: Chunks,
    scratch_bytes: u64,
}

impl Collector for Writing {
    /// One of the arrays starts the writer: all of them are started before anything runs.
    fn start(&self, _n_blocks: u64) -> Result<()> {
        if self.i > 0 {
            return Ok(());
        }
        let writer = (self.written.start)()?;
        self.written.writer.set(writer).map_err(|_| broken("it was started twice"))
    }

    fn scratch_bytes(&self, _block_bytes: u64) -> u64 {
        self.scratch_bytes
    }

    fn accept(&self, block: usize, value: Block) -> Result<()> {
        let place = self.chunks.unravel_block(block as u64);
        let start = place.and_then(|index| self.chunks.block_start(&index));
        let start = start.expect("only arrays of known lengths are written");
        let writer = self.written.writer.get().ok_or_else(|| broken("it was not started"))?;
        writer.write(self.i, &start, value)
    }
}

fn broken(problem: &str) -> Error {
    Error::Internal { place: "writing a file".into(), problem: problem.into() }
}

/// A write that is being computed.
#[doc(hidden)]
pub struct PendingWrite(Arc<Written>);

impl fmt::Debug for PendingWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingWrite")
    }
}

impl PendingWrite {
    /// Enlists some arrays, of which there is at least one, each with the bytes that writing a block of it uses beside that.
    pub(super) fn enlist(
        session: &mut Session,
        arrays: impl IntoIterator<Item = (Arc<Node>, u64)>,
        start: Start,
    ) -> Self {
        let written = Arc::new(Written { start, writer: OnceLock::new() });
        for (i, (node, scratch_bytes)) in arrays.into_iter().enumerate() {
            let (written, chunks) = (Arc::clone(&written), node.meta.chunks.clone());
            session.add_array(node, Arc::new(Writing { written, i, chunks, scratch_bytes }));
        }
        PendingWrite(written)
    }

    /// Ends the write, when the run has ended.
    pub(super) fn finish(self) -> Result<()> {
        let written = Arc::into_inner(self.0).ok_or_else(|| broken("the run has not ended"))?;
        written.writer.into_inner().ok_or_else(|| broken("it was not started"))?.finish()
    }
}
