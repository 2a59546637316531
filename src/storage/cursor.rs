//! Reading on from a place in a file or an object.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::readable::Readable;
#[cfg(feature = "cloud")]
use ::bytes::Bytes;

/// What is asked of an object at first, and at most: who reads on and on gets more each time.
#[cfg(feature = "cloud")]
const AHEAD_BYTES: (u64, u64) = (64 << 10, 4 << 20);

/// Reads on from a place. Objects are read ahead.
#[derive(Debug)]
pub(crate) struct Cursor {
    readable: Arc<Readable>,
    at: u64,
    #[cfg(feature = "cloud")]
    ahead: (u64, Bytes),
    #[cfg(feature = "cloud")]
    ahead_bytes: u64,
}

impl Cursor {
    /// The most bytes that one holds besides what it hands out.
    #[cfg(feature = "cloud")]
    pub(crate) const SCRATCH_BYTES: u64 = AHEAD_BYTES.1;
    /// The most bytes that one holds besides what it hands out.
    #[cfg(not(feature = "cloud"))]
    pub(crate) const SCRATCH_BYTES: u64 = 0;

    pub(crate) fn new(readable: Arc<Readable>, at: u64) -> Self {
        Cursor {
            readable,
            at,
            #[cfg(feature = "cloud")]
            ahead: (0, Bytes::new()),
            #[cfg(feature = "cloud")]
            ahead_bytes: AHEAD_BYTES.0,
        }
    }

    /// The bytes from here to `end`.
    pub(crate) fn until(self, end: u64) -> io::Result<Box<dyn Read>> {
        let (at, n) = (self.at, end.saturating_sub(self.at));
        if self.readable.is_remote() {
            return Ok(Box::new(self.take(n)));
        }
        match Arc::try_unwrap(self.readable).map(Readable::into_file) {
            // The system reads files into buffers that nobody has to fill with zeros first.
            Ok(Some(mut file)) => {
                file.seek(SeekFrom::Start(at))?;
                Ok(Box::new(file.take(n)))
            }
            Ok(None) => Err(io::ErrorKind::Unsupported.into()),
            Err(shared) => Ok(Box::new(Cursor::new(shared, at).take(n))),
        }
    }

    /// The bytes from here on that need no request, or those of one.
    #[cfg(feature = "cloud")]
    fn window(&mut self) -> io::Result<Bytes> {
        if let Some((at, piece)) = self.readable.fetched_at(self.at) {
            return Ok(piece.slice((self.at - at) as usize..));
        }
        let (start, bytes) = &self.ahead;
        let end = start + bytes.len() as u64;
        if (*start..end).contains(&self.at) {
            return Ok(bytes.slice((self.at - start) as usize..));
        }
        let goes_on = self.at == end && !bytes.is_empty();
        self.ahead_bytes =
            if goes_on { (self.ahead_bytes * 4).min(AHEAD_BYTES.1) } else { AHEAD_BYTES.0 };
        let n = self.ahead_bytes.min(self.readable.len().saturating_sub(self.at));
        // Not both at once.
        self.ahead = (self.at, Bytes::new());
        self.ahead.1 = self.readable.bytes_at(self.at, n as usize)?;
        Ok(self.ahead.1.clone())
    }
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.readable.len().saturating_sub(self.at);
        let n = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if n == 0 {
            return Ok(0);
        }
        #[cfg(feature = "cloud")]
        if self.readable.is_remote() {
            let window = self.window()?;
            let n = n.min(window.len());
            buffer[..n].copy_from_slice(&window[..n]);
            self.at += n as u64;
            return Ok(n);
        }
        self.readable.read_exact_at(&mut buffer[..n], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.readable.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
