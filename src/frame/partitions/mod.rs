//! How frames are cut into partitions, and how cuts change: integers, floats and sorted values only.
//!
//! Invariant: nothing here knows of frames, plans or threads.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "checked by golden files before operations use it")
)]
pub(crate) mod asof;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "checked by golden files before operations use it")
)]
pub(crate) mod divisions;
#[cfg(test)]
mod golden;
pub(crate) mod hyperloglog;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "checked by golden files before operations use it")
)]
pub(crate) mod quantiles;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "checked by golden files before operations use it")
)]
pub(crate) mod repartition;

pub(crate) use divisions::{Divisions, Key};
