//! Moves chunk boundaries: what each new block is made of, and in which steps to go.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "for a `rechunk` that balances, which is not here yet")
)]
mod balance;
mod crosswalk;
mod plan;

#[cfg(test)]
pub(crate) use balance::balance;
pub(crate) use crosswalk::{Overlap, overlap, overlap_around};
pub(crate) use plan::{THRESHOLD, plan_rechunk};
