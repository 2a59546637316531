//! Blocks in files of a directory that a run has for itself, moved by a thread beside the workers.
//!
//! Nothing exists before the first block has to leave: neither the thread nor the directory. Both end with
//! the run, however it ends.
//!
//! Invariant: the thread waits for commands only, so whoever waits for the thread waits for the disk.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{Builder, JoinHandle};

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};

use crate::error::{Error, Result};
use crate::graph::{Block, TaskId};
use crate::keep::{BlockFiles, Saved, SpillOptions};
use crate::memory::BufferPool;
use crate::observe::{self, now_ns};

/// So many commands wait for the disk before those who give more have to.
const COMMANDS_MAX: usize = 8;

/// Moves blocks to disk and back, in the order in which it is told to.
pub(crate) trait Disk: Sync {
    /// Says that the block of a task is going to be saved. This and [`recall`](Self::recall) take no time, and are called in
    /// the order in which that is decided.
    fn leave(&self, task: TaskId);

    /// Writes the block of a task.
    fn save(&self, task: TaskId, block: Block);

    /// Says that the block of a task that leaves stays in memory after all: it need not be written, and its file may go.
    fn recall(&self, task: TaskId);

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
    pool: &'a Arc<BufferPool>,
    recalled: Arc<Recalled>,
    thread: OnceLock<Thread>,
}

/// Blocks that were recalled after they were last told to leave. The thread hears of them before it comes to commands that
/// were given earlier.
#[derive(Debug, Default)]
struct Recalled(Mutex<BTreeSet<TaskId>>);

impl Recalled {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<TaskId>> {
        // Each use is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> SpillDisk<'a> {
    pub(super) fn new(options: &'a SpillOptions, pool: &'a Arc<BufferPool>) -> Self {
        SpillDisk { options, pool, recalled: Arc::default(), thread: OnceLock::new() }
    }

    fn thread(&self) -> &Thread {
        let store = || {
            let (pool, recalled) = (Arc::clone(self.pool), Arc::clone(&self.recalled));
            Store::new(self.options.clone(), pool, recalled)
        };
        self.thread.get_or_init(|| Thread::start(store()))
    }

    fn tell(&self, command: Command) {
        let commands = self.thread().commands.as_ref();
        // The thread is gone only if it has panicked, which whoever waits for it is told.
        let _ = commands.map(|commands| commands.send(command));
    }
}

impl Disk for SpillDisk<'_> {
    fn leave(&self, task: TaskId) {
        self.recalled.lock().remove(&task);
    }

    fn save(&self, task: TaskId, block: Block) {
        self.tell(Command::Save(task, block));
    }

    fn recall(&self, task: TaskId) {
        self.recalled.lock().insert(task);
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
    fn start(mut store: Store) -> Self {
        let (commands, received) = bounded(COMMANDS_MAX);
        let (report, done) = unbounded();
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_over);
        let work = move || {
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
    files: BlockFiles,
    pool: Arc<BufferPool>,
    saved: HashMap<TaskId, Saved>,
    /// Blocks that are back in memory, whose files only save writing them again, as those of what was recalled.
    copies: BTreeSet<TaskId>,
    recalled: Arc<Recalled>,
}

impl Store {
    fn new(options: SpillOptions, pool: Arc<BufferPool>, recalled: Arc<Recalled>) -> Self {
        let files = BlockFiles::new(options);
        Store { files, pool, saved: HashMap::new(), copies: BTreeSet::new(), recalled }
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
        self.copies.remove(&task);
        if self.saved.contains_key(&task) || self.recalled.lock().contains(&task) {
            return Ok(());
        }
        let mut saved = self.files.save(block);
        // Copies go only when their place is needed.
        while matches!(saved, Err(Error::SpillLimit { .. })) {
            let Some(copy) = self.last_copy() else { break };
            self.discard(copy);
            saved = self.files.save(block);
        }
        self.saved.insert(task, saved?);
        Ok(())
    }

    /// A block in memory that has a file: it was loaded, or recalled when it was written already.
    fn last_copy(&self) -> Option<TaskId> {
        let recalled = self.recalled.lock();
        let written = recalled.iter().rfind(|task| self.saved.contains_key(task));
        self.copies.last().max(written).copied()
    }

    fn discard(&mut self, task: TaskId) {
        self.copies.remove(&task);
        if let Some(saved) = self.saved.remove(&task) {
            self.files.discard(&saved);
        }
    }

    fn load(&mut self, task: TaskId) -> Result<Block> {
        let saved = self.saved.get(&task).ok_or_else(|| Error::Internal {
            place: "spilling".into(),
            problem: "a block is read that was not written".into(),
        })?;
        let block = saved.load(&self.pool)?;
        self.copies.insert(task);
        Ok(block)
    }
}

#[cfg(test)]
mod tests;
