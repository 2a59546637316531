//! A cluster inside of one process, to try things out.

use std::ops::Deref;

use super::Cluster;
use super::worker::{Running, Worker};
use crate::config::Config;
use crate::error::{Call, Error, Result};

/// Workers on threads of this process, and a [`Cluster`] of them.
///
/// They talk through the loopback device as if they were elsewhere, and end when this is dropped.
///
/// # Example
/// ```
/// use dask_rs::{dist::LocalCluster, prelude::*};
/// let cluster = LocalCluster::start(2)?;
/// let x: Array<f64> = array::arange(0., 1000., 1., [100]);
/// assert_eq!(cluster.compute(x.sum(..))?, x.sum(..).compute()?);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct LocalCluster {
    // Before its workers, so that it hangs up first.
    cluster: Cluster,
    #[cfg_attr(not(test), expect(dead_code, reason = "held as long as the cluster"))]
    workers: Vec<Running>,
}

impl LocalCluster {
    /// Starts `n_workers` (at least one), among which the threads and the memory limit of the current [`Config`] are
    /// divided.
    ///
    /// # Errors
    /// [`Error::Worker`] if a worker can't be started.
    #[track_caller]
    pub fn start(n_workers: usize) -> Result<LocalCluster> {
        let call = Call::new("LocalCluster::start");
        let config = Config::current()?;
        let n = n_workers.max(1);
        let part = Config::new()
            .with_threads(config.threads() / n)
            .with_memory_limit(config.memory_limit() / n as u64);
        let start = |_| {
            let worker = part.scope(|| Worker::bind("127.0.0.1:0"))?;
            let address = worker.address().to_string();
            worker.start().map_err(|error| {
                let problem = format!("no thread could be started: {error}");
                Error::Worker { call: Some(call), address, problem }
            })
        };
        let workers = (0..n).map(start).collect::<Result<Vec<_>>>()?;
        let cluster = Cluster::connect(workers.iter().map(Running::address))?;
        Ok(LocalCluster { cluster, workers })
    }

    /// Ends the last worker at once, as if its machine had lost power.
    #[cfg(test)]
    pub(super) fn kill_one(&mut self) {
        self.workers.pop();
    }
}

impl Deref for LocalCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}
