//! What is known of an array before it is computed.

use std::sync::Arc;

use crate::array::chunks::Chunks;
use crate::array::dtype::DType;

/// Element type and chunks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Meta {
    pub(crate) dtype: DType,
    pub(crate) chunks: Chunks,
}

impl Meta {
    /// Bytes of the largest block, or `None` if lengths are unknown.
    pub(crate) fn block_bytes_max(&self) -> Option<u64> {
        Some(self.chunks.max_block_len()?.saturating_mul(self.dtype.nbytes() as u64))
    }

    /// What a block is: its largest shape and its element type.
    pub(crate) fn block_text(&self) -> Arc<str> {
        format!("{} {}", self.chunks.chunk_text(), self.dtype).into()
    }

    /// Bytes of the whole array, or `None` if lengths are unknown.
    pub(crate) fn nbytes(&self) -> Option<u64> {
        let shape = self.chunks.known_shape()?;
        Some(shape.iter().fold(self.dtype.nbytes() as u64, |n, &len| n.saturating_mul(len)))
    }
}
