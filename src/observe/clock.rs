//! The clock of all spans.

use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds since somebody looked first. Only what is told to observers depends on it.
#[expect(
    clippy::disallowed_methods,
    reason = "it is only told to observers; nothing depends on it"
)]
pub(crate) fn now_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}
