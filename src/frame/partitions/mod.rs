//! How frames are cut into partitions, and how cuts change: integers, floats and sorted values only.
//!
//! Invariant: nothing here knows of frames, plans or threads.

pub(crate) mod asof;
pub(crate) mod divisions;
#[cfg(test)]
mod golden;
pub(crate) mod hyperloglog;
pub(crate) mod quantiles;
pub(crate) mod repartition;
pub(crate) mod tdigest;

pub(crate) use divisions::{Divisions, Key};
