//! A process, or a part of one, that runs tasks for a client.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam::channel::{self, Sender};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::session::{self, Session};
use super::spawn;
use super::wire::{self, Get, Got, Hello, Role, Welcome};
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::memory::BufferPool;
use crate::registry::REGISTRY;

/// Idle buffers may use this part of the memory limit.
const IDLE_PART: u64 = 4;

/// The part of the limit that is left to messages on their way and to what nobody counts.
const UNCOUNTED_PART: u64 = 8;

/// How long a connection may take to say who it is.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client waits for the one before it.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);

/// Messages before any work are never longer.
pub(super) const HELLO_BYTES_MAX: u64 = 1 << 20;

/// Runs tasks for one client at a time, and keeps their blocks.
///
/// A worker has its own thread pool, and a memory limit that the client keeps to; both come from the
/// [`Config`] in which it is made. Blocks stay where they were made, and other workers get them from there.
/// When the client hangs up, all its blocks are dropped and the next one may come.
///
/// The client and all workers are programs of the same version of this crate with the same features, and files are
/// read by the workers, from the same paths.
///
/// # Security
/// Whoever can connect can make a worker read any file that its user can, and use its memory and processors.
/// Nothing is encrypted. [`bind`](Self::bind) therefore refuses addresses that other machines can reach.
///
/// # Example
/// A program that is a worker until it is killed:
/// ```no_run
/// let worker = dask_rs::dist::Worker::bind("127.0.0.1:8790")?;
/// worker.serve();
/// # Ok::<(), dask_rs::Error>(())
/// ```
#[derive(Debug)]
pub struct Worker {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// What the connections of a worker share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) address: SocketAddr,
    pub(super) pool: Arc<BufferPool>,
    pub(super) n_threads: usize,
    /// Bytes that blocks and running tasks may use.
    pub(super) memory_limit: u64,
    /// Work for the threads of the pool.
    pub(super) jobs: Sender<Job>,
    /// The client that is served.
    client: Mutex<Client>,
    is_free: Condvar,
    is_stopped: AtomicBool,
    /// Every open connection, to be closed at the end.
    connections: Mutex<HashMap<SocketAddr, TcpStream>>,
    /// Held as long as the loops in it.
    _threads: ThreadPool,
}

/// Whether a worker has a client.
#[derive(Debug)]
enum Client {
    None,
    /// It was told that it may come.
    Welcome,
    Served(Arc<Session>),
}

/// A piece of work of one thread.
pub(super) type Job = Box<dyn FnOnce() + Send>;

impl Worker {
    /// A worker at an address of this machine that other machines can't reach, such as `127.0.0.1:8790`;
    /// port 0 takes any free one.
    ///
    /// # Errors
    /// [`Error::Worker`] if the address is not a loopback address, or can't be had.
    #[track_caller]
    pub fn bind(address: impl ToSocketAddrs) -> Result<Worker> {
        let call = Call::new("Worker::bind");
        let worker = Worker::listen(call, address)?;
        match worker.address().ip() {
            ip if ip.is_loopback() => Ok(worker),
            ip => Err(Error::Worker {
                call: Some(call),
                address: ip.to_string(),
                problem: "other machines may reach this address, and nothing is encrypted; use a loopback \
                          address, or bind_trusted() in a network in which all are trusted"
                    .into(),
            }),
        }
    }

    /// A worker at any address, in a network in which everybody may use this machine; see the security note above.
    ///
    /// The address has to be one by which the client and the other workers reach it.
    ///
    /// # Errors
    /// [`Error::Worker`] if the address can't be had.
    #[track_caller]
    pub fn bind_trusted(address: impl ToSocketAddrs) -> Result<Worker> {
        Worker::listen(Call::new("Worker::bind_trusted"), address)
    }

    fn listen(call: Call, address: impl ToSocketAddrs) -> Result<Worker> {
        let failed = |problem: String| Error::Worker {
            call: Some(call),
            address: "this".into(),
            problem: format!("cannot listen: {problem}"),
        };
        let listener = TcpListener::bind(address).map_err(|error| failed(error.to_string()))?;
        let address = listener.local_addr().map_err(|error| failed(error.to_string()))?;
        let config = Config::current()?;
        let (n_threads, limit) = (config.threads(), config.memory_limit());
        let threads = ThreadPoolBuilder::new().num_threads(n_threads);
        let threads = threads.thread_name(|i| format!("dask-rs-worker-{i}")).build();
        let threads = threads.map_err(|error| failed(error.to_string()))?;
        let (jobs, work) = channel::unbounded::<Job>();
        // One loop a thread for as long as the worker lives: no job waits inside of another.
        threads.spawn_broadcast(move |_| work.iter().for_each(|job| job()));
        let shared = Shared {
            address,
            pool: Arc::new(BufferPool::new(limit / IDLE_PART)),
            n_threads,
            memory_limit: limit - limit / IDLE_PART - limit / UNCOUNTED_PART,
            jobs,
            client: Mutex::new(Client::None),
            is_free: Condvar::new(),
            is_stopped: AtomicBool::new(false),
            connections: Mutex::default(),
            _threads: threads,
        };
        Ok(Worker { listener, shared: Arc::new(shared) })
    }

    /// Where the worker listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Serves one client after another, for as long as the process lives.
    pub fn serve(self) {
        while let Ok((connection, from)) = self.listener.accept() {
            if self.shared.is_stopped.load(Ordering::Acquire) {
                return;
            }
            let shared = Arc::clone(&self.shared);
            // Without a thread for it the connection is closed.
            drop(spawn("connection", move || shared.serve(connection, from)));
        }
    }

    /// Serves on a thread of its own, until the result is dropped.
    pub(super) fn start(self) -> io::Result<Running> {
        let shared = Arc::clone(&self.shared);
        spawn("worker", move || self.serve())?;
        Ok(Running { shared })
    }
}

/// A worker on a thread of this process, which ends with this value.
#[derive(Debug)]
pub(super) struct Running {
    shared: Arc<Shared>,
}

impl Running {
    pub(super) fn address(&self) -> SocketAddr {
        self.shared.address
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::Release);
        lock(&self.shared.connections).values().for_each(hang_up);
        // The loop that accepts connections looks up when there is one.
        drop(TcpStream::connect(self.shared.address));
    }
}

impl Shared {
    /// One connection, from its first message to its end.
    fn serve(self: &Arc<Self>, mut connection: TcpStream, from: SocketAddr) {
        let Ok(other) = connection.try_clone() else { return };
        lock(&self.connections).insert(from, other);
        match self.greet(&mut connection) {
            Ok(Role::Client) => {
                let (session, reports) = Session::new(self);
                let session = Arc::new(session);
                *lock(&self.client) = Client::Served(Arc::clone(&session));
                session::serve(&session, reports, &mut connection);
                *lock(&self.client) = Client::None;
                self.is_free.notify_one();
            }
            Ok(Role::Peer) => self.give_blocks(&mut connection),
            // It was told, if it still listens.
            Err(_) => {}
        }
        hang_up(&connection);
        lock(&self.connections).remove(&from);
    }

    /// Who connects. A client that is welcome has the worker for itself from now on.
    fn greet(&self, connection: &mut TcpStream) -> io::Result<Role> {
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(HELLO_TIMEOUT))?;
        let role = match wire::receive::<Hello>(connection, HELLO_BYTES_MAX) {
            Ok(Some(hello)) => self.admit(hello.message),
            Ok(None) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) => Err(error.to_string()),
        };
        connection.set_read_timeout(None)?;
        let (n_threads, memory_limit) = (self.n_threads, self.memory_limit);
        let welcome = match &role {
            Ok(_) => Welcome::Ready { n_threads, memory_limit },
            Err(problem) => Welcome::Refused(problem.clone()),
        };
        let sent = wire::send(connection, &welcome, &[]);
        if sent.is_err() && role == Ok(Role::Client) {
            *lock(&self.client) = Client::None;
        }
        sent.and(role.map_err(io::Error::other))
    }

    fn admit(&self, hello: Hello) -> Result<Role, String> {
        if hello.build != REGISTRY.fingerprint() {
            let (got, own) = (hello.build, REGISTRY.fingerprint());
            return Err(format!("got a connection of build {got}, expected {own}"));
        }
        if hello.role == Role::Client {
            // The last client may have just hung up.
            let wait =
                self.is_free.wait_timeout_while(lock(&self.client), CLIENT_TIMEOUT, |client| {
                    !matches!(client, Client::None)
                });
            let (mut client, timeout) = wait.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                return Err("it works for another client".into());
            }
            *client = Client::Welcome;
        }
        Ok(hello.role)
    }

    /// Answers another worker, until it hangs up.
    fn give_blocks(&self, connection: &mut TcpStream) {
        while let Ok(Some(get)) = wire::receive::<Get>(connection, HELLO_BYTES_MAX) {
            let session = match &*lock(&self.client) {
                Client::Served(session) => Some(Arc::clone(session)),
                _ => None,
            };
            let block = session.and_then(|session| session.block(get.message.0));
            let encoded = block.and_then(|block| block.encode());
            let sent = match &encoded {
                Some((kind, bytes)) => {
                    wire::send(connection, &Got(Some((*kind).to_string())), bytes)
                }
                None => wire::send(connection, &Got(None), &[]),
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

/// Closes a connection for all who hold it.
pub(super) fn hang_up(connection: &TcpStream) {
    // The other side may have been quicker.
    drop(connection.shutdown(Shutdown::Both));
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is complete after each statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
