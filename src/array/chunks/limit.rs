//! How many blocks may be written out one by one.

use crate::error::{Call, Error, Result};

/// Blocks of an axis that a plan may list.
///
/// Regular chunks are never listed, so this bounds irregular ones only. A list of this many takes
/// 128 MiB, and the tasks for its blocks would take far more.
pub(crate) const MAX_LISTED: u64 = 1 << 24;

/// Refuses to list more than [`MAX_LISTED`] blocks.
///
/// # Errors
/// [`Error::TooManyTasks`].
pub(crate) fn check_listed(call: Call, n_blocks: u64) -> Result<()> {
    if n_blocks <= MAX_LISTED {
        return Ok(());
    }
    Err(Error::TooManyTasks { op: call.op.to_string(), limit: MAX_LISTED })
}
