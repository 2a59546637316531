//! Moves chunk boundaries: what each new block is made of, and in which steps to go.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "for a `rechunk` that balances, which is not here yet")
)]
mod balance;
mod crosswalk;
mod plan;
mod staged;

#[cfg(test)]
pub(crate) use balance::balance;
pub(crate) use crosswalk::{Overlap, overlap, overlap_around};
pub(crate) use plan::THRESHOLD;
#[cfg(test)]
pub(crate) use plan::plan_rechunk;
pub(crate) use staged::{RechunkLimits, rechunk_steps};
