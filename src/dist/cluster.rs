//! The client's connections to its workers.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam::channel::{self, Receiver, Sender};

use super::driver::ClusterExecutor;
use super::session::connect;
use super::spawn;
use super::wire::{self, Failure, Key, MESSAGE_BYTES_MAX, Report, Role};
use super::worker::hang_up;
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::graph::Block;
use crate::memory::BufferPool;
use crate::registry::REGISTRY;
use crate::sched::Executor;

/// How long a worker may be silent. It says something six times meanwhile.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Workers that compute together, driven by this process.
///
/// [`compute`](Cluster::compute) plans as [`compute`](crate::compute()) does and runs the tasks on the workers: each
/// where most bytes of its inputs are, as far as threads and memory allow. A block stays where it was made until its
/// last reader has run, and workers get blocks from each other; only results come here, and only arrays that are
/// in the memory of this process are sent from here. The results have the same bits as those of a local run, if all
/// machines have the same mathematical library.
///
/// # Limits
/// One run at a time. A lost worker ends the run with an error, and the cluster with it: nothing is computed again.
/// Workers do not spill; a run that has to hold more than all of them together exceeds their limits, one task at a
/// time. A task takes a round trip, some 0.1 ms, so chunks should take 10 ms or more. Dataframes and functions of
/// this process ([`Array::map_blocks`](crate::array::Array::map_blocks), `from_fn`) stay here:
/// [`Error::CannotSend`].
#[derive(Debug)]
pub struct Cluster {
    links: Arc<Mutex<Links>>,
    counters: Arc<Counters>,
    memory_limits: Vec<u64>,
}

/// Bytes that went between processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// From this process to workers: tasks, and blocks of arrays that were in memory here.
    pub to_workers: u64,
    /// From workers to this process: results.
    pub from_workers: u64,
    /// From one worker to another.
    pub between_workers: u64,
}

/// [`Traffic`] and peaks while they are counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) to_workers: AtomicU64,
    from_workers: AtomicU64,
    between_workers: AtomicU64,
    /// The most bytes of each worker.
    pub(super) peaks: Vec<AtomicU64>,
}

/// What a run has for itself.
#[derive(Debug)]
pub(super) struct Links {
    pub(super) links: Vec<Link>,
    pub(super) events: Receiver<(usize, Event)>,
    /// The end of the first worker that was lost.
    pub(super) lost: Option<Error>,
}

/// The connection to one worker.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) address: SocketAddr,
    pub(super) connection: TcpStream,
    pub(super) n_threads: usize,
    pub(super) memory_limit: u64,
}

/// What happened at a worker.
#[derive(Debug)]
pub(super) enum Event {
    Finished {
        key: Key,
        nbytes: u64,
        block: Option<Block>,
    },
    Failed {
        key: Key,
        failure: Failure,
    },
    /// There will be no more events of it.
    Lost(String),
}

impl Cluster {
    /// Connects to workers, which serve nobody else as long as this cluster lives.
    ///
    /// # Errors
    /// [`Error::Worker`] if there are no addresses, or if one is not that of a free worker of the same build.
    ///
    /// # Example
    /// ```no_run
    /// use dask_rs::{dist::Cluster, prelude::*};
    /// let cluster = Cluster::connect(["10.0.0.1:8790", "10.0.0.2:8790"])?;
    /// let x: Array<f32> = array::open_npy("/shared/field.npy");
    /// let mean = cluster.compute(x.mean(0))?;
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn connect(addresses: impl IntoIterator<Item = impl ToString>) -> Result<Cluster> {
        let call = Call::new("Cluster::connect");
        let (events, incoming) = channel::unbounded();
        let addresses: Vec<_> = addresses.into_iter().map(|address| address.to_string()).collect();
        let peaks = addresses.iter().map(|_| AtomicU64::new(0)).collect();
        let counters = Arc::new(Counters { peaks, ..Counters::default() });
        let bytes_max = Config::current()?.memory_limit().max(MESSAGE_BYTES_MAX);
        // What fails drops the connections that there are, which ends their readers.
        let mut links = Links { links: Vec::new(), events: incoming, lost: None };
        for address in addresses {
            let failed = |problem: String| {
                let problem = format!("{problem}; is a Worker of the same build listening there?");
                Error::Worker { call: Some(call), address: address.clone(), problem }
            };
            let resolved = address.to_socket_addrs().map_err(|error| failed(error.to_string()))?;
            let found = resolved.into_iter().next();
            let to = found.ok_or_else(|| failed("the name has no address".into()))?;
            let (connection, (n_threads, memory_limit)) =
                connect(to, Role::Client).map_err(|error| failed(error.to_string()))?;
            let reader = connection.set_read_timeout(Some(SILENCE_MAX));
            let reader = reader.and_then(|()| connection.try_clone());
            let from = reader.map_err(|error| failed(error.to_string()))?;
            let number = links.links.len();
            links.links.push(Link { address: to, connection, n_threads, memory_limit });
            let (events, counters) = (events.clone(), Arc::clone(&counters));
            let reader = Reader { from, number, events, counters, bytes_max };
            spawn("worker-events", move || reader.serve())
                .map_err(|error| failed(error.to_string()))?;
        }
        if links.links.is_empty() {
            let (address, problem) = ("none".into(), "expected at least one address".into());
            return Err(Error::Worker { call: Some(call), address, problem });
        }
        let memory_limits = links.links.iter().map(|link| link.memory_limit).collect();
        Ok(Cluster { links: Arc::new(Mutex::new(links)), counters, memory_limits })
    }

    /// How many workers there are.
    pub fn n_workers(&self) -> usize {
        self.memory_limits.len()
    }

    /// The bytes that went between processes since the cluster was connected.
    pub fn traffic(&self) -> Traffic {
        let bytes = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            to_workers: bytes(&self.counters.to_workers),
            from_workers: bytes(&self.counters.from_workers),
            between_workers: bytes(&self.counters.between_workers),
        }
    }

    /// The most bytes that blocks and running tasks were meant to use on each worker at once.
    pub fn peak_bytes(&self) -> Vec<u64> {
        self.counters.peaks.iter().map(|peak| peak.load(Ordering::Relaxed)).collect()
    }

    pub(crate) fn executor(&self) -> Box<dyn Executor> {
        let (links, counters) = (Arc::clone(&self.links), Arc::clone(&self.counters));
        Box::new(ClusterExecutor { links, counters })
    }

    /// What blocks and running tasks may use on all workers together.
    pub(crate) fn memory_limit(&self) -> u64 {
        self.memory_limits.iter().fold(0, |sum, limit| sum.saturating_add(*limit))
    }

    /// What they may use on every worker.
    pub(crate) fn smallest_memory_limit(&self) -> u64 {
        self.memory_limits.iter().copied().min().unwrap_or(0)
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.links.iter().for_each(|link| hang_up(&link.connection));
    }
}

/// Turns what a worker says into events.
struct Reader {
    from: TcpStream,
    number: usize,
    events: Sender<(usize, Event)>,
    counters: Arc<Counters>,
    bytes_max: u64,
}

impl Reader {
    fn serve(mut self) {
        // Results go to the user, so their buffers never come back.
        let pool = Arc::new(BufferPool::new(0));
        loop {
            let event =
                self.next(&pool).unwrap_or_else(|error| Some(Event::Lost(error.to_string())));
            let Some(event) = event else { continue };
            let is_last = matches!(event, Event::Lost(_));
            if self.events.send((self.number, event)).is_err() || is_last {
                return;
            }
        }
    }

    fn next(&mut self, pool: &Arc<BufferPool>) -> Result<Option<Event>> {
        let Some(received) = wire::receive::<Report>(&mut self.from, self.bytes_max)? else {
            return Ok(Some(Event::Lost("it hung up".into())));
        };
        self.counters.from_workers.fetch_add(received.n_bytes(), Ordering::Relaxed);
        Ok(match &received.message {
            Report::Finished { key, nbytes, fetched_bytes, kind } => {
                self.counters.between_workers.fetch_add(*fetched_bytes, Ordering::Relaxed);
                let block = kind.as_ref().map(|kind| REGISTRY.value(kind, received.block(), pool));
                Some(Event::Finished { key: *key, nbytes: *nbytes, block: block.transpose()? })
            }
            Report::Failed { key, failure } => {
                Some(Event::Failed { key: *key, failure: failure.clone() })
            }
            Report::Alive => None,
            Report::Broken(problem) => {
                Some(Event::Lost(format!("it did not understand this process: {problem}")))
            }
        })
    }
}
