//! The one thread on which requests to object stores make progress.
//!
//! Whoever asks waits on a channel, as it would for a disk. The runtime is not the caller's and needs no worker of a pool, so
//! the wait ends, also inside of another runtime.

use std::future::Future;
use std::io;
use std::sync::{OnceLock, mpsc};
use std::thread::{self, ThreadId};

use tokio::runtime::{Builder, Handle};

use super::fault::Fault;

#[derive(Debug)]
struct IoThread {
    handle: Handle,
    id: ThreadId,
}

/// Runs a request there, and waits for what comes of it.
///
/// # Errors
/// If there can be no thread, if the request panics, or if this is the thread itself, which would wait for itself.
pub(super) fn wait<T: Send + 'static>(
    request: impl Future<Output = T> + Send + 'static,
) -> io::Result<T> {
    let io = io_thread()?;
    let failed = |problem: &str| {
        let remedy = "an object store of yours must not compute, and must not panic";
        io::Error::from(Fault::new(io::ErrorKind::Other, "asking a store", problem, remedy))
    };
    if io.id == thread::current().id() {
        return Err(failed("it is asked from the thread that answers"));
    }
    let (answer, answered) = mpsc::sync_channel(1);
    io.handle.spawn(async move {
        // Nobody has left: there is a thread that waits for just this.
        let _ = answer.send(request.await);
    });
    answered.recv().map_err(|_| failed("it panicked"))
}

fn io_thread() -> io::Result<&'static IoThread> {
    static THREAD: OnceLock<IoThread> = OnceLock::new();
    if let Some(thread) = THREAD.get() {
        return Ok(thread);
    }
    let started = start()?;
    // Another one may have been first; then this one idles.
    Ok(THREAD.get_or_init(|| started))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this thread waits for the network and computes nothing"
)]
fn start() -> io::Result<IoThread> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let thread = thread::Builder::new().name("dask-rs-io".to_string());
    let thread = thread.spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(IoThread { handle, id: thread.thread().id() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_and_what_can_not_come_is_an_error() {
        assert_eq!(wait(async { 42 }).unwrap(), 42);
        let error = wait(async { wait(async {}).unwrap_err().to_string() }).unwrap();
        assert!(error.contains("the thread that answers"), "{error}");
        let error = wait(async { panic!("it breaks") }).map(|(): ()| ()).unwrap_err();
        assert!(error.to_string().contains("it panicked"), "{error}");
        assert_eq!(wait(async { 43 }).unwrap(), 43);
    }
}
