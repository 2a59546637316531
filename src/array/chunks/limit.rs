//! How many blocks may be written out one by one.

use crate::error::{Call, Error, Result};

/// Blocks of an axis that a plan may list.
///
/// Regular chunks are never listed, so this bounds irregular ones only. A list of this many takes
/// 128 MiB, and the tasks for its blocks would take far more.
pub(crate) const MAX_LISTED: u64 = 1 << 24;

/// Refuses to list more than [`MAX_LISTED`] blocks for `op`, which was `call`, if that is known.
///
/// # Errors
/// [`Error::TooManyTasks`].
pub(crate) fn check_listed(op: &str, call: Option<Call>, n_blocks: u64) -> Result<()> {
    if n_blocks <= MAX_LISTED {
        return Ok(());
    }
    Err(Error::TooManyTasks { op: op.to_string(), call, limit: MAX_LISTED })
}
