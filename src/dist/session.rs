//! What a worker does for its client: kernels, blocks and tasks, until the client hangs up.
//!
//! One thread reads what the client orders and one writes reports; a third gets blocks from other workers. Only the
//! threads of the worker's pool compute.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};

use super::spawn;
use super::wire::{
    self, Failure, Get, Got, Hello, Key, MESSAGE_BYTES_MAX, Order, Report, Role, RunTask, Welcome,
};
use super::worker::{HELLO_BYTES_MAX, HELLO_TIMEOUT, Shared, lock};
use crate::error::{Error, Result};
use crate::graph::{Block, Inputs, Kernel, TaskContext, undecodable};
use crate::registry::REGISTRY;
use crate::sched::job::panic_message;

/// How often a worker with nothing to report says that it is there.
const ALIVE_EVERY: Duration = Duration::from_secs(5);

/// How long another worker may be silent while a block is awaited.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);

/// A report with the bytes of a block.
type Outgoing = (Report, Vec<u8>);

/// The work of one client.
#[derive(Debug)]
pub(super) struct Session {
    worker: Arc<Shared>,
    blocks: Mutex<HashMap<Key, Block>>,
    /// What the tasks of each layer do, or why they can't.
    kernels: Mutex<HashMap<u32, Result<Arc<dyn Kernel>>>>,
    /// `None` is the last one.
    reports: Sender<Option<Outgoing>>,
}

impl Session {
    pub(super) fn new(worker: &Arc<Shared>) -> (Session, Receiver<Option<Outgoing>>) {
        let (reports, outgoing) = channel::unbounded();
        let (blocks, kernels) = (Mutex::default(), Mutex::default());
        (Session { worker: Arc::clone(worker), blocks, kernels, reports }, outgoing)
    }

    /// A block that is kept here.
    pub(super) fn block(&self, key: Key) -> Option<Block> {
        lock(&self.blocks).get(&key).cloned()
    }

    fn report(&self, report: Report, block: Vec<u8>) {
        // If nobody writes reports any more the client is gone.
        drop(self.reports.send(Some((report, block))));
    }

    fn fail(&self, key: Key, failure: Failure) {
        self.report(Report::Failed { key, failure }, Vec::new());
    }

    /// Lets the pool run a task whose inputs are all here.
    fn submit(self: &Arc<Self>, task: RunTask, fetched_bytes: u64) {
        let session = Arc::clone(self);
        let job = Box::new(move || session.run(&task, fetched_bytes));
        // The loops of the pool live as long as the worker.
        drop(self.worker.jobs.send(job));
    }

    fn run(&self, task: &RunTask, fetched_bytes: u64) {
        let key = task.key;
        let done = catch_unwind(AssertUnwindSafe(|| {
            let block = self.compute(task)?;
            let encoded = if task.is_result { Some(encode(&block)?) } else { None };
            Ok::<_, Error>((block, encoded))
        }));
        let (block, encoded) = match done {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return self.fail(key, Failure::Error(error.to_string())),
            Err(panic) => return self.fail(key, Failure::Panic(panic_message(panic.as_ref()))),
        };
        let nbytes = block.nbytes();
        if task.is_read {
            lock(&self.blocks).insert(key, block);
        }
        let (kind, bytes) = encoded.map_or((None, Vec::new()), |(kind, bytes)| (Some(kind), bytes));
        self.report(Report::Finished { key, nbytes, fetched_bytes, kind }, bytes);
    }

    fn compute(&self, task: &RunTask) -> Result<Block> {
        let limit = self.worker.memory_limit;
        if task.declared_bytes > limit {
            let (op, needed) = ("a task".to_string(), task.declared_bytes);
            return Err(Error::OverBudget { op, needed, limit });
        }
        let kernel = lock(&self.kernels).get(&task.layer).cloned();
        let kernel = kernel.ok_or_else(|| undecodable("a task", "its layer was not sent"))??;
        let blocks: Option<Vec<Block>> =
            task.inputs.iter().map(|(key, _)| self.block(*key)).collect();
        let blocks = blocks.ok_or_else(|| undecodable("a task", "an input was not sent"))?;
        let call = &task.invocation;
        let inputs = Inputs::from_slot(call.first_slot, blocks, call.slot_ends.clone());
        kernel.run(&TaskContext { block: &call.block, pool: &self.worker.pool }, inputs)
    }
}

fn encode(block: &Block) -> Result<(String, Vec<u8>)> {
    let (kind, bytes) = block.encode().ok_or_else(|| Error::CannotSend {
        op: "a result".into(),
        call: None,
        holds: "a block that has no form in bytes".into(),
    })?;
    Ok((kind.to_string(), bytes))
}

/// Does what the client orders until it hangs up, or sends what makes no sense.
pub(super) fn serve(
    session: &Arc<Session>,
    outgoing: Receiver<Option<Outgoing>>,
    connection: &mut TcpStream,
) {
    let Ok(mut to) = connection.try_clone() else { return };
    let writer = spawn("reports", move || write_reports(&outgoing, &mut to));
    let (fetches, tasks) = channel::unbounded();
    let fetcher = Fetcher { session: Arc::clone(session), peers: HashMap::new() };
    if let (Ok(writer), Ok(_)) = (writer, spawn("fetch", move || fetcher.serve(&tasks))) {
        if let Err(error) = obey(session, &fetches, connection) {
            session.report(Report::Broken(error.to_string()), Vec::new());
        }
        drop(session.reports.send(None));
        // A panic in it has no block in its hands that anybody still needs.
        drop(writer.join());
    }
    lock(&session.blocks).clear();
    lock(&session.kernels).clear();
}

fn obey(
    session: &Arc<Session>,
    fetches: &Sender<RunTask>,
    connection: &mut TcpStream,
) -> Result<()> {
    let bytes_max = session.worker.memory_limit.max(MESSAGE_BYTES_MAX);
    while let Some(received) = wire::receive::<Order>(connection, bytes_max)? {
        match &received.message {
            Order::Layer { layer, kernel } => {
                let kernel = REGISTRY.kernel(kernel);
                lock(&session.kernels).insert(*layer, kernel);
            }
            Order::Keep { key, kind } => {
                let block = REGISTRY.value(kind, received.block(), &session.worker.pool)?;
                lock(&session.blocks).insert(*key, block);
            }
            Order::Run(task) => {
                let is_here = |key: Key| lock(&session.blocks).contains_key(&key);
                if task.inputs.iter().all(|(key, from)| from.is_none() || is_here(*key)) {
                    session.submit(task.clone(), 0);
                } else {
                    // The fetcher ends with this thread, which holds its sender.
                    drop(fetches.send(task.clone()));
                }
            }
            Order::Free(keys) => {
                let mut blocks = lock(&session.blocks);
                let freed: Vec<_> = keys.iter().map(|key| blocks.remove(key)).collect();
                drop(blocks);
                drop(freed);
            }
            Order::End => {
                lock(&session.blocks).clear();
                lock(&session.kernels).clear();
            }
        }
    }
    Ok(())
}

fn write_reports(outgoing: &Receiver<Option<Outgoing>>, to: &mut TcpStream) {
    loop {
        let (report, block) = match outgoing.recv_timeout(ALIVE_EVERY) {
            Ok(Some(report)) => report,
            Err(RecvTimeoutError::Timeout) => (Report::Alive, Vec::new()),
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return,
        };
        if wire::send(to, &report, &block).is_err() {
            return;
        }
    }
}

/// Gets blocks that other workers have, before tasks need them.
struct Fetcher {
    session: Arc<Session>,
    peers: HashMap<SocketAddr, TcpStream>,
}

impl Fetcher {
    fn serve(mut self, tasks: &Receiver<RunTask>) {
        for task in tasks {
            match self.fetch_inputs(&task) {
                Ok(fetched_bytes) => self.session.submit(task, fetched_bytes),
                Err(failure) => self.session.fail(task.key, failure),
            }
        }
    }

    fn fetch_inputs(&mut self, task: &RunTask) -> Result<u64, Failure> {
        let mut n_bytes = 0;
        for &(key, from) in &task.inputs {
            let Some(peer) = from else { continue };
            // A task before this one may have got it.
            if self.session.block(key).is_none() {
                let fetched = self.fetch(key, peer);
                n_bytes += fetched
                    .map_err(|error| Failure::Unreachable { peer, problem: error.to_string() })?;
            }
        }
        Ok(n_bytes)
    }

    fn fetch(&mut self, key: Key, peer: SocketAddr) -> Result<u64> {
        let failed = |error: std::io::Error| undecodable("a block", &error.to_string());
        let connection = match self.peers.entry(peer) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let (connection, _) = connect(peer, Role::Peer)?;
                connection.set_read_timeout(Some(PEER_TIMEOUT)).map_err(failed)?;
                new.insert(connection)
            }
        };
        wire::send(connection, &Get(key), &[]).map_err(failed)?;
        let bytes_max = self.session.worker.memory_limit.max(MESSAGE_BYTES_MAX);
        let got = wire::receive::<Got>(connection, bytes_max)?;
        let got = got.ok_or_else(|| undecodable("a block", "the worker hung up"))?;
        let kind = got.message.0.as_deref();
        let kind = kind.ok_or_else(|| undecodable("a block", "the worker does not have it"))?;
        let block = REGISTRY.value(kind, got.block(), &self.session.worker.pool)?;
        lock(&self.session.blocks).insert(key, block);
        Ok(got.n_bytes())
    }
}

/// A connection to a worker that welcomes it, with what it said of itself.
pub(super) fn connect(to: SocketAddr, role: Role) -> Result<(TcpStream, (usize, u64))> {
    let failed = |error: std::io::Error| undecodable("a welcome", &error.to_string());
    let mut connection = TcpStream::connect_timeout(&to, HELLO_TIMEOUT).map_err(failed)?;
    connection.set_nodelay(true).map_err(failed)?;
    connection.set_read_timeout(Some(HELLO_TIMEOUT)).map_err(failed)?;
    let hello = Hello { build: REGISTRY.fingerprint(), role };
    wire::send(&mut connection, &hello, &[]).map_err(failed)?;
    let welcome = wire::receive::<Welcome>(&mut connection, HELLO_BYTES_MAX)?;
    match welcome.map(|welcome| welcome.message) {
        Some(Welcome::Ready { n_threads, memory_limit }) => {
            Ok((connection, (n_threads, memory_limit)))
        }
        Some(Welcome::Refused(problem)) => Err(undecodable("a welcome", &problem)),
        None => Err(undecodable("a welcome", "the worker hung up")),
    }
}
