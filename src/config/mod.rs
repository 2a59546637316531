//! Settings: defaults, environment variables, one global setting, and overrides for a scope.

mod cancel;
mod env;
mod memory;
mod scope;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

pub use cancel::CancelToken;
pub(crate) use cancel::CancelTokens;
pub(crate) use scope::Ambient;

use crate::cache::Cache;
use crate::error::Result;
use crate::observe::{Observer, Observers};

/// How computations run. Whatever is not set comes from elsewhere.
///
/// A setting is taken from the first of these that has it:
///
/// 1. the innermost [`scope`](Self::scope) that the code runs in,
/// 2. [`set_global`](Self::set_global),
/// 3. the environment variables `DASK_RS_MEMORY_LIMIT`, `DASK_RS_THREADS`, `DASK_RS_CHUNK_SIZE`,
///    `DASK_RS_SPLIT_EVERY`, `DASK_RS_OPTIMIZE`, `DASK_RS_EXECUTOR`, `DASK_RS_PROGRESS`,
///    `DASK_RS_SPILL_DIRECTORY`, `DASK_RS_SPILL_LIMIT`, `DASK_RS_SPILL_COMPRESSION` and `DASK_RS_CACHE_LIMIT`,
/// 4. the default, which the getter of the setting names.
///
/// # Example
/// ```
/// use dask_rs::Config;
///
/// let (threads, limit) = Config::new().with_threads(2).scope(|| {
///     let config = Config::current()?;
///     Ok::<_, dask_rs::Error>((config.threads(), config.memory_limit()))
/// })?;
/// assert_eq!(threads, 2);
/// assert!(limit > 0);
/// # Ok::<(), dask_rs::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    memory_limit: Option<u64>,
    threads: Option<usize>,
    chunk_bytes: Option<u64>,
    split_every: Option<usize>,
    optimize: Option<bool>,
    executor: Option<ExecutorKind>,
    progress: Option<bool>,
    spill_directory: Option<PathBuf>,
    spill_limit: Option<u64>,
    spill_compression: Option<bool>,
    cache: Option<Cache>,
    observers: Observers,
    cancel: CancelTokens,
}

/// What runs the tasks of a computation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecutorKind {
    /// All threads, in parallel.
    #[default]
    Threaded,
    /// One task after another on the calling thread.
    Serial,
    /// One task after another in a pseudo-random order that the number chooses, for tests.
    Seeded(u64),
}

static GLOBAL: RwLock<Option<Config>> = RwLock::new(None);

impl Config {
    /// No setting at all: everything comes from elsewhere.
    #[must_use]
    pub fn new() -> Self {
        Config::default()
    }

    /// Sets the bytes that chunks and running tasks may use.
    #[must_use]
    pub fn with_memory_limit(self, bytes: u64) -> Self {
        Config { memory_limit: Some(bytes), ..self }
    }

    /// Sets the number of threads; 0 counts as 1.
    ///
    /// No more than these compute at a time, whatever libraries do the work: matrix products, decoders and polars' functions of
    /// frames stay on the thread of their task. Functions of yours may start others.
    #[must_use]
    pub fn with_threads(self, n: usize) -> Self {
        Config { threads: Some(n.max(1)), ..self }
    }

    /// Sets the bytes that automatically chosen chunks aim at; 0 counts as 1.
    #[must_use]
    pub fn with_chunk_bytes(self, bytes: u64) -> Self {
        Config { chunk_bytes: Some(bytes.max(1)), ..self }
    }

    /// Sets how many blocks one step of a tree reduction joins; less than 2 counts as 2.
    #[must_use]
    pub fn with_split_every(self, n: usize) -> Self {
        Config { split_every: Some(n.max(2)), ..self }
    }

    /// Sets whether plans are optimized. Results are the same.
    #[must_use]
    pub fn with_optimize(self, optimize: bool) -> Self {
        Config { optimize: Some(optimize), ..self }
    }

    /// Sets what runs the tasks.
    #[must_use]
    pub fn with_executor(self, executor: ExecutorKind) -> Self {
        Config { executor: Some(executor), ..self }
    }

    /// Sets whether computations show progress on a terminal.
    #[must_use]
    pub fn with_progress(self, progress: bool) -> Self {
        Config { progress: Some(progress), ..self }
    }

    /// Sets the directory in which chunks wait on disk while memory is full. It has to exist; each
    /// computation that needs it makes one of its own in it, and removes that at its end.
    #[must_use]
    pub fn with_spill_directory(self, directory: impl Into<PathBuf>) -> Self {
        Config { spill_directory: Some(directory.into()), ..self }
    }

    /// Sets how many bytes of chunks one computation may have on disk while memory is full, before they are compressed; with 0, what does not fit
    /// into memory is an error.
    #[must_use]
    pub fn with_spill_limit(self, bytes: u64) -> Self {
        Config { spill_limit: Some(bytes), ..self }
    }

    /// Sets whether chunks of arrays are compressed while they wait on disk: worth it where the disk is slow and the data
    /// repeat themselves. It is done with LZ4, because one thread compresses all that a run writes, and a disk would wait for
    /// Zstandard. Rows of frames are compressed in any case, unless they are few.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let small = Config::new().with_memory_limit(1 << 20).with_spill_compression(true);
    /// let far = small.scope(|| {
    ///     let x: Array<f64> = array::arange(0.0, 300_000.0, 1.0, 10_000) % 10.0;
    ///     (&x - x.mean(..)).abs().max(..).compute()
    /// })?;
    /// assert_eq!(far[[]], 4.5);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn with_spill_compression(self, compress: bool) -> Self {
        Config { spill_compression: Some(compress), ..self }
    }

    /// Sets where results are kept in case that they are asked for again; a cache of 0 bytes stands for none.
    #[must_use]
    pub fn with_cache(self, cache: &Cache) -> Self {
        Config { cache: Some(cache.clone()), ..self }
    }

    /// Adds an [`Observer`](crate::diagnostics::Observer) of runs. Those of outer scopes go on watching.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.extend(&Observers::of(observer));
        self
    }

    /// Adds a token; those of outer scopes still count.
    fn with_cancel(mut self, token: &CancelToken) -> Self {
        self.cancel.extend(&token.into());
        self
    }

    /// Bytes that chunks and running tasks may use. By default 60 % of the machine's memory or of
    /// what the control groups of the process allow, whichever is smaller.
    #[must_use]
    pub fn memory_limit(&self) -> u64 {
        self.memory_limit.unwrap_or_else(default_memory_limit)
    }

    /// The number of threads. By default what the system says that the process can use.
    #[must_use]
    pub fn threads(&self) -> usize {
        let available = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(available)
    }

    /// Bytes that automatically chosen chunks aim at. By default 128 MiB, but no more than a
    /// 64th part of the memory limit: tasks have several chunks each, and allocators keep some more.
    #[must_use]
    pub fn chunk_bytes(&self) -> u64 {
        let default = || (self.memory_limit() / LIMIT_PER_CHUNK).clamp(1, 128 << 20);
        self.chunk_bytes.unwrap_or_else(default)
    }

    /// How many blocks one step of a tree reduction joins. By default 4.
    #[must_use]
    pub fn split_every(&self) -> usize {
        self.split_every.unwrap_or(4)
    }

    /// Whether plans are optimized. By default they are.
    #[must_use]
    pub fn optimize(&self) -> bool {
        self.optimize.unwrap_or(true)
    }

    /// What runs the tasks. By default [`ExecutorKind::Threaded`].
    #[must_use]
    pub fn executor(&self) -> ExecutorKind {
        self.executor.unwrap_or_default()
    }

    /// Whether computations show progress on a terminal. By default they don't.
    #[must_use]
    pub fn progress(&self) -> bool {
        self.progress.unwrap_or(false)
    }

    /// The directory in which chunks wait on disk while memory is full. By default that of the system for
    /// temporary files ([`std::env::temp_dir`]); where that lies in memory, choose another one.
    #[must_use]
    pub fn spill_directory(&self) -> PathBuf {
        self.spill_directory.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// How many bytes one computation may have on disk while memory is full. By default what the disk has.
    #[must_use]
    pub fn spill_limit(&self) -> u64 {
        self.spill_limit.unwrap_or(u64::MAX)
    }

    /// Whether chunks of arrays are compressed while they wait on disk. By default they are not.
    #[must_use]
    pub fn spill_compression(&self) -> bool {
        self.spill_compression.unwrap_or(false)
    }

    /// Where results are kept in case that they are asked for again. By default nowhere; if the environment has
    /// `DASK_RS_CACHE_LIMIT`, in a cache of so many bytes that the whole process shares.
    #[must_use]
    pub fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref().filter(|cache| cache.limit() > 0)
    }

    pub(crate) fn observers(&self) -> &Observers {
        &self.observers
    }

    /// What stops a run that starts right here.
    pub(crate) fn cancel(&self) -> &CancelTokens {
        &self.cancel
    }

    /// The settings that hold right here.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if an environment variable is
    /// malformed; it names the variable.
    #[track_caller]
    pub fn current() -> Result<Config> {
        let mut config = env::from_env()?;
        let global = GLOBAL.read().unwrap_or_else(PoisonError::into_inner);
        config.override_with(global.as_ref());
        drop(global);
        config.override_with(Ambient::capture().config());
        Ok(config)
    }

    /// Makes these the settings of all threads, instead of those from an earlier call.
    pub fn set_global(config: Config) {
        *GLOBAL.write().unwrap_or_else(PoisonError::into_inner) = Some(config);
    }

    /// Calls `f` with these settings, on top of those that hold already.
    ///
    /// They hold on the calling thread until `f` returns or panics, and inside the tasks of every
    /// computation that is started in `f`, whichever thread runs them. They do not hold on threads
    /// that `f` starts by other means.
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        scope::with(self, f)
    }

    /// Takes every setting that `other` has.
    fn override_with(&mut self, other: Option<&Config>) {
        let Some(other) = other else { return };
        self.memory_limit = other.memory_limit.or(self.memory_limit);
        self.threads = other.threads.or(self.threads);
        self.chunk_bytes = other.chunk_bytes.or(self.chunk_bytes);
        self.split_every = other.split_every.or(self.split_every);
        self.optimize = other.optimize.or(self.optimize);
        self.executor = other.executor.or(self.executor);
        self.progress = other.progress.or(self.progress);
        self.spill_directory = other.spill_directory.clone().or(self.spill_directory.take());
        self.spill_limit = other.spill_limit.or(self.spill_limit);
        self.spill_compression = other.spill_compression.or(self.spill_compression);
        self.cache = other.cache.clone().or(self.cache.take());
        self.observers.extend(&other.observers);
        self.cancel.extend(&other.cancel);
    }
}

/// How many chunks of the default size the memory limit should hold at least.
const LIMIT_PER_CHUNK: u64 = 64;

fn default_memory_limit() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    *LIMIT.get_or_init(|| memory::memory_bytes(Path::new("/")) / 10 * 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_chunks_are_small_where_the_limit_is() {
        let config = Config::new().with_memory_limit(64 << 20);
        assert_eq!(config.chunk_bytes(), 1 << 20);
        assert_eq!(config.with_memory_limit(64 << 30).chunk_bytes(), 128 << 20);
        assert_eq!(Config::new().with_memory_limit(0).chunk_bytes(), 1);
        let chosen = Config::new().with_memory_limit(64 << 20).with_chunk_bytes(32 << 20);
        assert_eq!(chosen.chunk_bytes(), 32 << 20);
    }
}
