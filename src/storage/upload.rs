//! An object that is written piece by piece and appears when it is complete.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use object_store::{MultipartUpload, PutMultipartOptions, PutPayload};

use super::fault::Fault;
use super::io_thread::wait;
use super::object::Object;

/// Bytes of a piece. Stores take no less than 5 MiB, and no more than 10 000 pieces.
const PIECE_BYTES: usize = 8 << 20;

/// Bytes that one upload holds: a piece on its way, which is the buffer with the room that it grew.
pub(crate) const UPLOAD_BYTES: u64 = 2 * PIECE_BYTES as u64;

/// A multipart upload. Dropped before [`complete`](Self::complete), it leaves nothing.
#[derive(Debug)]
pub(crate) struct Upload {
    object: Object,
    /// None after an error, and when it is complete.
    parts: Option<Box<dyn MultipartUpload>>,
    buffer: Vec<u8>,
    n_pieces: usize,
}

impl Upload {
    pub(crate) fn start(object: &Object) -> io::Result<Self> {
        let object = object.clone();
        wait(async move {
            let options = PutMultipartOptions::default();
            let store = Arc::clone(&object.store.inner);
            let started = store.put_multipart_opts(&object.key, options);
            let parts = object.store.asked(|| "starting an upload".into(), started).await?;
            Ok(Upload { object, parts: Some(parts), buffer: Vec::new(), n_pieces: 0 })
        })?
    }

    /// What is going to appear.
    #[cfg(feature = "frame")]
    pub(super) fn object(&self) -> &Object {
        &self.object
    }

    /// Sends what is left. The object can then appear.
    pub(crate) fn send(&mut self) -> io::Result<()> {
        // The smallest object is a piece too.
        if self.buffer.is_empty() && self.n_pieces > 0 { Ok(()) } else { self.send_piece() }
    }

    fn send_piece(&mut self) -> io::Result<()> {
        let payload = PutPayload::from(mem::take(&mut self.buffer));
        let (parts, store) = (self.parts.as_mut().ok_or_else(ended)?, self.object.store.clone());
        let piece = parts.put_part(payload);
        let number = self.n_pieces;
        self.n_pieces += 1;
        wait(async move { store.asked(|| format!("sending piece {number}"), piece).await })?
    }

    /// Makes the object appear, in the place of one that has the name.
    pub(crate) fn complete(mut self) -> io::Result<()> {
        let mut parts = self.parts.take().ok_or_else(ended)?;
        let store = self.object.store.clone();
        let (parts, done) = wait(async move {
            let done = store.asked(|| "completing an upload".into(), parts.complete()).await;
            (parts, done)
        })?;
        if done.is_err() {
            self.parts = Some(parts);
        }
        done.map(drop)
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(PIECE_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..n]);
        if self.buffer.len() == PIECE_BYTES {
            self.send_piece()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(mut parts) = self.parts.take() else { return };
        let store = self.object.store.clone();
        // Nobody can be told: the drop is the answer to an error or a cancellation already.
        let _ = wait(async move { store.asked(String::new, parts.abort()).await });
    }
}

fn ended() -> io::Error {
    let remedy = "please report this";
    Fault::new(io::ErrorKind::Other, "writing", "the upload has ended", remedy).into()
}
