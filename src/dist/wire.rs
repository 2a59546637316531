//! Messages as bytes.
//!
//! A frame is a mark, the length of its payload, a checksum, and the payload: a message in the format of postcard
//! and then the bytes of a block, if the message brings one.
//!
//! Invariant: nothing is allocated because a header says so. Memory grows with the bytes that have come, up to
//! what the receiver allows.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::graph::{Invocation, KernelSpec, encoded, undecodable};

/// The first bytes of a frame, with the version of the protocol.
const MARK: [u8; 4] = *b"drs1";

const HEADER_BYTES: usize = 16;

/// Payloads without a block are never longer.
pub(super) const MESSAGE_BYTES_MAX: u64 = 256 << 20;

/// The number of a task in its run, which is also the name of its block.
pub(super) type Key = u32;

/// The first message of a connection, to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// What kernels and blocks the sender knows.
    pub(super) build: String,
    pub(super) role: Role,
}

/// Who connects to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// One that has tasks.
    Client,
    /// Another worker, which gets blocks.
    Peer,
}

/// The answer to a [`Hello`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Welcome {
    Ready { n_threads: usize, memory_limit: u64 },
    Refused(String),
}

/// From the client to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Order {
    /// What the tasks of a layer do.
    Layer {
        layer: u32,
        kernel: KernelSpec,
    },
    /// A block of the client, whose bytes follow.
    Keep {
        key: Key,
        kind: String,
    },
    Run(RunTask),
    /// Nobody needs these blocks any more.
    Free(Vec<Key>),
    /// The run has ended: forget everything.
    End,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RunTask {
    pub(super) key: Key,
    pub(super) layer: u32,
    pub(super) invocation: Invocation,
    /// The blocks that it reads, with the worker that has each, if it is another one.
    pub(super) inputs: Vec<(Key, Option<SocketAddr>)>,
    /// Bytes of output and scratch, at most.
    pub(super) declared_bytes: u64,
    /// Whether other tasks read the block, so that it is kept.
    pub(super) is_read: bool,
    /// Whether the block is a result, which the client gets.
    pub(super) is_result: bool,
}

/// From a worker to its client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Report {
    /// A task has run. Its block follows if it is a result, then with the name of its decoder.
    Finished {
        key: Key,
        nbytes: u64,
        fetched_bytes: u64,
        kind: Option<String>,
    },
    Failed {
        key: Key,
        failure: Failure,
    },
    /// Nothing to report, but the worker is there.
    Alive,
    /// The worker does not understand the client and hangs up.
    Broken(String),
}

/// Why a task has no block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Failure {
    Error(String),
    Panic(String),
    /// The worker that has an input did not give it.
    Unreachable {
        peer: SocketAddr,
        problem: String,
    },
}

/// From a worker to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Get(pub(super) Key);

/// The answer to [`Get`]: the name of the block's decoder, if the block is there. Its bytes follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Got(pub(super) Option<String>);

/// A message that has come, and what followed it.
#[derive(Debug)]
pub(super) struct Received<M> {
    pub(super) message: M,
    payload: Vec<u8>,
    block_start: usize,
}

impl<M> Received<M> {
    /// The bytes of the block that the message brings.
    pub(super) fn block(&self) -> &[u8] {
        &self.payload[self.block_start..]
    }

    /// Bytes that the message took on its way.
    pub(super) fn n_bytes(&self) -> u64 {
        (HEADER_BYTES + self.payload.len()) as u64
    }
}

/// Sends a message and the bytes of a block; how many bytes that were.
pub(super) fn send(to: &mut impl Write, message: &impl Serialize, block: &[u8]) -> io::Result<u64> {
    let message = encoded(message);
    let len = (message.len() + block.len()) as u64;
    let mut start = Vec::with_capacity(HEADER_BYTES + message.len());
    start.extend(MARK);
    start.extend(len.to_le_bytes());
    start.extend(checksum(len, &[&message, block]).to_le_bytes());
    start.extend(message);
    // A small message is one packet.
    to.write_all(&start)?;
    if !block.is_empty() {
        to.write_all(block)?;
    }
    to.flush()?;
    Ok(HEADER_BYTES as u64 + len)
}

/// The next message; `None` if the other side has hung up between two messages.
///
/// # Errors
/// [`Error::BrokenMessage`](crate::Error::BrokenMessage) for everything else that is not a whole message of at most
/// `payload_bytes_max` bytes.
pub(super) fn receive<M: DeserializeOwned>(
    from: &mut impl Read,
    payload_bytes_max: u64,
) -> Result<Option<Received<M>>> {
    let broken = |problem: &str| undecodable("a message", problem);
    let failed = |error: io::Error| broken(&error.to_string());
    let mut header = [0; HEADER_BYTES];
    let mut n_read = 0;
    while n_read < HEADER_BYTES {
        match from.read(&mut header[n_read..]) {
            Ok(0) if n_read == 0 => return Ok(None),
            Ok(0) => return Err(broken("it ends in its header")),
            Ok(n) => n_read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let (mark, rest) = header.split_at(MARK.len());
    let (len, sum) = rest.split_at(8);
    let len = u64::from_le_bytes(len.try_into().expect("eight bytes were split off"));
    let sum = u32::from_le_bytes(sum.try_into().expect("four bytes are left"));
    if mark != MARK {
        return Err(broken("it does not begin like one of this version"));
    }
    if len > payload_bytes_max {
        let problem = format!("it has {len} bytes, expected at most {payload_bytes_max}");
        return Err(broken(&problem));
    }
    let mut payload = Vec::new();
    from.take(len).read_to_end(&mut payload).map_err(failed)?;
    if payload.len() as u64 != len {
        return Err(broken(&format!("it ends after {} of {len} bytes", payload.len())));
    }
    if checksum(len, &[&payload]) != sum {
        return Err(broken("its checksum is wrong"));
    }
    let (message, block) =
        postcard::take_from_bytes(&payload).map_err(|error| broken(&error.to_string()))?;
    let block_start = payload.len() - block.len();
    Ok(Some(Received { message, payload, block_start }))
}

fn checksum(len: u64, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&len.to_le_bytes());
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}
