//! Moves chunk boundaries: what each new block is made of, and in which steps to go.

mod balance;
mod crosswalk;
mod plan;

pub(crate) use balance::balance;
pub(crate) use crosswalk::{Overlap, overlap};
pub(crate) use plan::{THRESHOLD, plan_rechunk};
