//! Blocks in files, which are checked when they are read.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lz4_flex::frame::{BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use crate::error::{Error, Result};
use crate::graph::{Block, Load};
use crate::memory::BufferPool;
use crate::scratch::ScratchDir;

/// Where blocks go, and how many bytes of them at most.
#[derive(Clone, Debug)]
pub(crate) struct SpillOptions {
    pub(crate) directory: PathBuf,
    /// Bytes that one run, or one persisted result, may have on disk at a time.
    pub(crate) limit: u64,
    /// Whether they are compressed.
    pub(crate) compresses: bool,
    pub(crate) files: Arc<dyn Files>,
}

impl SpillOptions {
    pub(crate) fn new(directory: PathBuf, limit: u64) -> Self {
        SpillOptions { directory, limit, compresses: false, files: Arc::new(LocalFiles) }
    }
}

/// The operating system's files, as far as blocks need them.
pub(crate) trait Files: Send + Sync + fmt::Debug {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write>>;

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>>;
}

#[derive(Debug)]
pub(crate) struct LocalFiles;

impl Files for LocalFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write>> {
        Ok(Box::new(File::create_new(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(File::open(path)?))
    }
}

/// Files in a directory of their own, which goes with this. The directory does not exist before the first block.
#[derive(Debug)]
pub(crate) struct BlockFiles {
    options: SpillOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    directory: Option<ScratchDir>,
    n_files: u64,
    bytes: u64,
}

impl BlockFiles {
    pub(crate) fn new(options: SpillOptions) -> Self {
        BlockFiles { options, state: Mutex::default() }
    }

    /// Writes a block into a file of its own.
    pub(crate) fn save(&self, block: &Block) -> Result<Saved> {
        let bytes = block.nbytes();
        let path = self.claim(bytes)?;
        let write = || -> io::Result<(Load, bool, Fingerprint)> {
            let spill = block.as_spill().ok_or(io::ErrorKind::Unsupported)?;
            let mut file = Checked::new(self.options.files.create(&path)?);
            let is_compressed = self.options.compresses && !spill.is_compressed();
            let load = match is_compressed {
                true => compressed(&mut file, |to| spill.save(to))?,
                false => spill.save(&mut file)?,
            };
            file.inner.flush()?;
            Ok((load, is_compressed, file.fingerprint))
        };
        let (load, is_compressed, written) = write().map_err(failed(&path, bytes, "write"))?;
        let files = Arc::clone(&self.options.files);
        Ok(Saved { path, files, bytes, load, is_compressed, written })
    }

    /// Gives up a file.
    pub(crate) fn discard(&self, saved: &Saved) {
        self.state().bytes -= saved.bytes;
        // What can't be removed now goes with the directory.
        let _ = fs::remove_file(&saved.path);
    }

    /// The path of a new file for so many bytes.
    fn claim(&self, bytes: u64) -> Result<PathBuf> {
        let (directory, limit) = (&self.options.directory, self.options.limit);
        let mut state = self.state();
        let needed = state.bytes.saturating_add(bytes);
        if needed > limit {
            return Err(Error::SpillLimit {
                call: None,
                directory: directory.clone(),
                needed,
                limit,
            });
        }
        let scratch = match state.directory.take() {
            Some(scratch) => scratch,
            None => ScratchDir::create(directory).map_err(failed(
                directory,
                bytes,
                "make a directory for",
            ))?,
        };
        let path = scratch.path().join(state.n_files.to_string());
        *state = State { directory: Some(scratch), n_files: state.n_files + 1, bytes: needed };
        Ok(path)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A block in its file.
pub(crate) struct Saved {
    path: PathBuf,
    files: Arc<dyn Files>,
    bytes: u64,
    load: Load,
    is_compressed: bool,
    written: Fingerprint,
}

impl fmt::Debug for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes in {}", self.bytes, self.path.display())
    }
}

impl Saved {
    /// Bytes of memory of the block.
    pub(crate) fn nbytes(&self) -> u64 {
        self.bytes
    }

    /// The block again, in buffers of `pool`.
    pub(crate) fn load(&self, pool: &Arc<BufferPool>) -> Result<Block> {
        let read = || -> io::Result<Block> {
            let mut file = Checked::new(self.files.open(&self.path)?);
            let block = match self.is_compressed {
                true => decompressed(&mut file, |from| (self.load)(from, pool))?,
                false => (self.load)(&mut file, pool)?,
            };
            if file.fingerprint != self.written {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the file does not hold what was written to it",
                ));
            }
            Ok(block)
        };
        read().map_err(failed(&self.path, self.bytes, "read back"))
    }
}

/// Has `save` write through a compressor, with blocks so small that its buffers are of no account.
fn compressed<R>(
    to: impl Write,
    save: impl FnOnce(&mut dyn Write) -> io::Result<R>,
) -> io::Result<R> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB);
    let mut frame = FrameEncoder::with_frame_info(info, to);
    let saved = save(&mut frame)?;
    frame.finish()?;
    Ok(saved)
}

/// Has `load` read what was written so, to its end.
fn decompressed<R>(
    from: impl Read,
    load: impl FnOnce(&mut dyn Read) -> io::Result<R>,
) -> io::Result<R> {
    let mut frame = FrameDecoder::new(from);
    let loaded = load(&mut frame)?;
    io::copy(&mut frame, &mut io::sink())?;
    Ok(loaded)
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
