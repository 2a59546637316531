//! Blocks in files of a directory that a run has for itself, moved by a thread beside the workers.
//!
//! Nothing exists before the first block has to leave: neither the thread nor the directory. Both end with
//! the run, however it ends.
//!
//! Invariant: the thread waits for commands only, so whoever waits for the thread waits for the disk.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};

use crate::error::{Error, Result};
use crate::graph::{Block, Load, TaskId};
use crate::observe::{self, now_ns};
use crate::scratch::ScratchDir;

/// So many commands wait for the disk before those who give more have to.
const COMMANDS_MAX: usize = 8;

/// Where blocks go, and how many bytes of them at most.
#[derive(Clone, Debug)]
pub(crate) struct SpillOptions {
    pub(crate) directory: PathBuf,
    /// Bytes that one run may have on disk at a time.
    pub(crate) limit: u64,
    pub(crate) files: Arc<dyn Files>,
}

impl SpillOptions {
    pub(crate) fn new(directory: PathBuf, limit: u64) -> Self {
        SpillOptions { directory, limit, files: Arc::new(LocalFiles) }
    }
}

/// The operating system's files, as far as blocks need them.
pub(crate) trait Files: Send + Sync + fmt::Debug {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write>>;

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>>;
}

#[derive(Debug)]
struct LocalFiles;

impl Files for LocalFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write>> {
        Ok(Box::new(File::create_new(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(File::open(path)?))
    }
}

/// Moves blocks to disk and back, in the order in which it is told to.
pub(crate) trait Disk: Sync {
    /// Writes the block of a task.
    fn save(&self, task: TaskId, block: Block);

    /// Reads the block of a task.
    fn load(&self, task: TaskId);

    /// Gives up the file of a task.
    fn discard(&self, task: TaskId);

    /// What was done and has not been told yet.
    fn poll(&self) -> Option<Done>;

    /// What is done next. Only if something was asked for.
    fn wait(&self) -> Done;
}

/// What the disk reports.
#[derive(Debug)]
pub(crate) enum Done {
    Saved(TaskId, Took),
    Loaded(TaskId, Block, Took),
    Failed(Error),
}

/// When the disk did something, with how many bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    pub(super) thread: observe::Thread,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) bytes: u64,
}

impl Took {
    /// What the calling thread has done from `start_ns` until now.
    pub(super) fn since(start_ns: u64, bytes: u64) -> Self {
        Took { thread: observe::Thread::current(), start_ns, end_ns: now_ns(), bytes }
    }
}

/// A [`Disk`] of files.
#[derive(Debug)]
pub(super) struct SpillDisk<'a> {
    options: &'a SpillOptions,
    thread: OnceLock<Thread>,
}

impl<'a> SpillDisk<'a> {
    pub(super) fn new(options: &'a SpillOptions) -> Self {
        SpillDisk { options, thread: OnceLock::new() }
    }

    fn thread(&self) -> &Thread {
        self.thread.get_or_init(|| Thread::start(self.options.clone()))
    }

    fn tell(&self, command: Command) {
        let commands = self.thread().commands.as_ref();
        // The thread is gone only if it has panicked, which whoever waits for it is told.
        let _ = commands.map(|commands| commands.send(command));
    }
}

impl Disk for SpillDisk<'_> {
    fn save(&self, task: TaskId, block: Block) {
        self.tell(Command::Save(task, block));
    }

    fn load(&self, task: TaskId) {
        self.tell(Command::Load(task));
    }

    fn discard(&self, task: TaskId) {
        self.tell(Command::Discard(task));
    }

    fn poll(&self) -> Option<Done> {
        self.thread.get()?.done.try_recv().ok()
    }

    fn wait(&self) -> Done {
        self.thread().done.recv().unwrap_or_else(|_| {
            Done::Failed(Error::Internal {
                place: "spilling".into(),
                problem: "its thread has ended before the run".into(),
            })
        })
    }
}

enum Command {
    Save(TaskId, Block),
    Load(TaskId),
    Discard(TaskId),
}

/// The thread, from outside. It ends when this is dropped, after the command that it is at.
#[derive(Debug)]
struct Thread {
    commands: Option<Sender<Command>>,
    done: Receiver<Done>,
    is_over: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    fn start(options: SpillOptions) -> Self {
        let (commands, received) = bounded(COMMANDS_MAX);
        let (report, done) = unbounded();
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_over);
        let work = move || {
            let mut store = Store::new(options);
            for command in received {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                if let Some(done) = store.obey(command)
                    && report.send(done).is_err()
                {
                    return;
                }
            }
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "it waits for the disk, and computes nothing"
        )]
        let handle = Builder::new().name("dask-rs-spill".into()).spawn(work);
        // Without a thread nobody receives, and waiting for it is an error.
        Thread { commands: Some(commands), done, is_over, handle: handle.ok() }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.commands = None;
        if let Some(handle) = self.handle.take() {
            // A panic was told to whoever waited.
            let _ = handle.join();
        }
    }
}

/// The files of one run.
struct Store {
    options: SpillOptions,
    directory: Option<ScratchDir>,
    saved: HashMap<TaskId, Saved>,
    bytes: u64,
}

/// A block in its file.
struct Saved {
    bytes: u64,
    load: Load,
    written: Fingerprint,
}

impl Store {
    fn new(options: SpillOptions) -> Self {
        Store { options, directory: None, saved: HashMap::new(), bytes: 0 }
    }

    fn obey(&mut self, command: Command) -> Option<Done> {
        let start_ns = now_ns();
        let done = match command {
            // The block is dropped before that is told: then its slot is its last owner.
            Command::Save(task, block) => {
                let bytes = block.nbytes();
                self.save(task, &block).map(|()| Done::Saved(task, Took::since(start_ns, bytes)))
            }
            Command::Load(task) => self.load(task).map(|block| {
                let bytes = block.nbytes();
                Done::Loaded(task, block, Took::since(start_ns, bytes))
            }),
            Command::Discard(task) => {
                self.discard(task);
                return None;
            }
        };
        Some(done.unwrap_or_else(Done::Failed))
    }

    fn save(&mut self, task: TaskId, block: &Block) -> Result<()> {
        let (bytes, limit) = (block.nbytes(), self.options.limit);
        if self.saved.contains_key(&task) {
            return Ok(());
        }
        let needed = self.bytes.saturating_add(bytes);
        if needed > limit {
            let directory = self.options.directory.clone();
            return Err(Error::SpillLimit { call: None, directory, needed, limit });
        }
        let path = self.path(task).map_err(|error| {
            failed(&self.options.directory, bytes, "make a directory for")(error)
        })?;
        let write = || -> io::Result<(Load, Fingerprint)> {
            let spill = block.as_spill().ok_or(io::ErrorKind::Unsupported)?;
            let mut file = Checked::new(self.options.files.create(&path)?);
            let load = spill.save(&mut file)?;
            file.inner.flush()?;
            Ok((load, file.fingerprint))
        };
        let (load, written) = write().map_err(failed(&path, bytes, "write"))?;
        self.bytes = needed;
        self.saved.insert(task, Saved { bytes, load, written });
        Ok(())
    }

    fn load(&mut self, task: TaskId) -> Result<Block> {
        let path = self.path(task).map_err(failed(&self.options.directory, 0, "find"))?;
        let saved = self.saved.get(&task).ok_or_else(|| Error::Internal {
            place: "spilling".into(),
            problem: "a block is read that was not written".into(),
        })?;
        let read = |path: &Path| -> io::Result<Block> {
            let mut file = Checked::new(self.options.files.open(path)?);
            let block = (saved.load)(&mut file)?;
            if file.fingerprint != saved.written {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the file does not hold what was written to it",
                ));
            }
            Ok(block)
        };
        read(&path).map_err(failed(&path, saved.bytes, "read back"))
    }

    fn discard(&mut self, task: TaskId) {
        if let (Some(saved), Ok(path)) = (self.saved.remove(&task), self.path(task)) {
            self.bytes -= saved.bytes;
            // What can't be removed now goes with the directory.
            let _ = fs::remove_file(path);
        }
    }

    fn path(&mut self, task: TaskId) -> io::Result<PathBuf> {
        let directory = match self.directory.take() {
            Some(directory) => directory,
            None => ScratchDir::create(&self.options.directory)?,
        };
        let path = directory.path().join(task.0.to_string());
        self.directory = Some(directory);
        Ok(path)
    }
}

/// What the operating system says while `bytes` are moved, as an error.
fn failed(path: &Path, bytes: u64, action: &'static str) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Spill { call: None, action, path, bytes, source: Arc::new(source) }
}

/// Length and checksum of what went through.
#[derive(Debug, Default)]
struct Fingerprint {
    bytes: u64,
    sum: crc32fast::Hasher,
}

impl Fingerprint {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sum.update(bytes);
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.sum.clone().finalize() == other.sum.clone().finalize()
    }
}

/// A file with the fingerprint of what goes through.
struct Checked<F> {
    inner: F,
    fingerprint: Fingerprint,
}

impl<F> Checked<F> {
    fn new(inner: F) -> Self {
        Checked { inner, fingerprint: Fingerprint::default() }
    }
}

impl<F: Write> Write for Checked<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.fingerprint.add(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<F: Read> Read for Checked<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(bytes)?;
        self.fingerprint.add(&bytes[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
