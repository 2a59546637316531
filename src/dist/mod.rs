//! Arrays computed in other processes: workers that run tasks, and the cluster that drives them.
//!
//! `wire` is messages as bytes, `worker` and `session` run tasks and keep their blocks, `cluster` is the
//! connections, and `driver` an executor that asks the state machine of `sched` what is next, `placement` where, and
//! that worker to do it. There is no second scheduler, and nothing here knows arrays: kernels and blocks are decoded by the
//! registry of the build.
//!
//! Invariant: the task graph is that of a local run, up to what was fused, so the results have the same bits.
//!
//! Deliberately not here: computing again what a lost worker held, encryption, and starting workers on other
//! machines. Messages are trusted: who can connect can make a worker read files and use its memory.

mod cluster;
mod driver;
mod local;
mod placement;
mod session;
mod wire;
mod worker;

#[cfg(test)]
mod tests;

pub use cluster::{Cluster, Traffic};
pub use local::LocalCluster;
pub use worker::Worker;

use std::io;
use std::thread::{Builder, JoinHandle};

/// A thread beside the pools.
#[expect(
    clippy::disallowed_methods,
    reason = "it waits for a socket or a channel and computes nothing"
)]
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(format!("dask-rs-{name}")).spawn(work)
}
