//! Boxes of arrays read from and written to files by position, from any number of threads.
//!
//! Nothing is mapped and no more than a box, and the gaps in it that are cheaper to read than to
//! skip, is ever read. Files may also be objects in a store, of which each read is a request: there are fewer and longer ones.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ndarray::{ArrayViewD, ArrayViewMutD, Axis};

use super::bytes::{ByteOrder, Stored, decode_slice, encode_slice};
use super::errors::box_outside;
use super::layout::{Layout, Run};
use crate::error::{Blame, Call, Error, Result};
use crate::storage::{FoundFile, read_exact_at, version_of};

/// The most that is read or written at once: it fits into L2.
pub(crate) const SCRATCH_BYTES: u64 = 256 << 10;

/// How much is read at once.
#[derive(Clone, Copy, Debug)]
struct Reach {
    bytes: u64,
    /// A gap of at most so many bytes between two runs is read along: copying it costs less than
    /// another system call, or another request.
    gap_bytes: u64,
}

const LOCAL: Reach = Reach { bytes: SCRATCH_BYTES, gap_bytes: 4 << 10 };
#[cfg(feature = "cloud")]
const REMOTE: Reach = Reach { bytes: 8 << 20, gap_bytes: 256 << 10 };

/// A file that is read or written at positions, with the name that errors give it.
#[derive(Debug)]
pub(crate) struct PositionedFile {
    place: Place,
    path: PathBuf,
}

#[derive(Debug)]
enum Place {
    File(File),
    /// Objects are only read.
    #[cfg(feature = "cloud")]
    Object(crate::storage::Readable),
}

impl PositionedFile {
    /// Opens the file for reading.
    pub(crate) fn open(call: Call, path: &Path) -> Result<Self> {
        let found = FoundFile::named(call, path)?;
        #[cfg(feature = "cloud")]
        if found.is_remote() {
            let object = found.open(&Blame { call, path, format: "object" })?;
            return Ok(PositionedFile { place: Place::Object(object), path: path.to_path_buf() });
        }
        let file = File::open(&found.path).map_err(Error::io(call, path))?;
        Ok(PositionedFile::new(file, path))
    }

    /// A file that is open already.
    pub(crate) fn new(file: File, path: &Path) -> Self {
        PositionedFile { place: Place::File(file), path: path.to_path_buf() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, of those that are written.
    pub(crate) fn file(&self) -> &File {
        match &self.place {
            Place::File(file) => file,
            #[cfg(feature = "cloud")]
            Place::Object(_) => unreachable!("objects are opened for reading"),
        }
    }

    /// What changes when the file does; objects say nothing of the kind.
    pub(crate) fn version(&self) -> Option<String> {
        match &self.place {
            Place::File(file) => version_of(&self.path, &file.metadata().ok()?),
            #[cfg(feature = "cloud")]
            Place::Object(_) => None,
        }
    }

    /// The length of the file.
    pub(crate) fn nbytes(&self, call: Call) -> Result<u64> {
        match &self.place {
            Place::File(file) => Ok(file.metadata().map_err(Error::io(call, &self.path))?.len()),
            #[cfg(feature = "cloud")]
            Place::Object(object) => Ok(object.len()),
        }
    }

    fn reach(&self) -> Reach {
        match self.place {
            Place::File(_) => LOCAL,
            #[cfg(feature = "cloud")]
            Place::Object(_) => REMOTE,
        }
    }

    /// Bytes that a call of [`read_box`](Self::read_box) uses beside the box, at most. An answer is a buffer of its own.
    pub(crate) fn scratch_bytes(&self) -> u64 {
        match self.place {
            Place::File(_) => LOCAL.bytes,
            #[cfg(feature = "cloud")]
            Place::Object(_) => 2 * REMOTE.bytes,
        }
    }

    /// The layout of what a header promises, `None` for more than can be counted; an error unless the
    /// file is long enough for it.
    pub(crate) fn promised(
        &self,
        blame: &Blame<'_>,
        layout: Option<Layout>,
        what: &str,
    ) -> Result<Layout> {
        let layout = layout.ok_or_else(|| blame.corrupt(format!("{what} is too large")))?;
        let (nbytes, needed) = (self.nbytes(blame.call)?, layout.end());
        if nbytes < needed {
            let problem = format!("{nbytes} bytes, expected {needed} for {what}");
            return Err(blame.corrupt(problem));
        }
        Ok(layout)
    }

    /// Makes the file so long, with zeros where nothing is written yet.
    pub(crate) fn set_len(&self, call: Call, nbytes: u64) -> Result<()> {
        self.file().set_len(nbytes).map_err(Error::io(call, &self.path))
    }

    /// Fills `bytes` from the position `offset`.
    pub(crate) fn read_at(&self, call: Call, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let read = match &self.place {
            Place::File(file) => read_exact_at(file, bytes, offset),
            #[cfg(feature = "cloud")]
            Place::Object(object) => object.read_exact_at(bytes, offset),
        };
        read.map_err(Error::io(call, &self.path))
    }

    /// Writes `bytes` at the position `offset`.
    pub(crate) fn write_at(&self, call: Call, offset: u64, bytes: &[u8]) -> Result<()> {
        write_all_at(self.file(), bytes, offset).map_err(Error::io(call, &self.path))
    }

    /// Reads the box at `start` into `out`.
    pub(crate) fn read_box<T: Stored>(
        &self,
        call: Call,
        layout: &Layout,
        order: ByteOrder,
        start: &[u64],
        mut out: ArrayViewMutD<'_, T>,
    ) -> Result<()> {
        if !layout.contains(start, out.shape()) {
            return Err(box_outside(call, start, out.shape(), layout.shape()));
        }
        let runs = layout.runs(start, out.shape());
        if let Some(mut rest) = out.as_slice_mut() {
            return self.read_runs(call, runs, size_of::<T>(), |bytes| {
                let (items, after) =
                    std::mem::take(&mut rest).split_at_mut(bytes.len() / size_of::<T>());
                decode_slice(bytes, order, items);
                rest = after;
            });
        }
        let last = Axis(out.ndim() - 1);
        let mut items = out.lanes_mut(last).into_iter().flat_map(ndarray::ArrayViewMut1::into_iter);
        self.read_runs(call, runs, size_of::<T>(), |bytes| {
            // `bytes` first: zip takes an item before it sees that the other side has ended.
            for (bytes, item) in bytes.chunks_exact(size_of::<T>()).zip(items.by_ref()) {
                *item = T::decode(bytes, order);
            }
        })
    }

    /// Reads runs in ascending order, several at once where their gaps are small, and hands over
    /// their bytes in pieces of whole items.
    fn read_runs(
        &self,
        call: Call,
        runs: impl Iterator<Item = Run>,
        item_bytes: usize,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<()> {
        let reach = self.reach();
        let mut scratch = Vec::new();
        let mut group: Vec<Run> = Vec::new();
        for run in runs.flat_map(|run| pieces(run, item_bytes, reach.bytes)) {
            if let (Some(first), Some(last)) = (group.first(), group.last()) {
                let span = run.offset + run.nbytes - first.offset;
                let gap = run.offset - (last.offset + last.nbytes);
                if span > reach.bytes || gap > reach.gap_bytes {
                    self.read_group(call, &group, &mut scratch, &mut sink)?;
                    group.clear();
                }
            }
            group.push(run);
        }
        self.read_group(call, &group, &mut scratch, &mut sink)
    }

    fn read_group(
        &self,
        call: Call,
        group: &[Run],
        scratch: &mut Vec<u8>,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<()> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        let span = (last.offset + last.nbytes - first.offset) as usize;
        if scratch.len() < span {
            scratch.resize(span, 0);
        }
        self.read_at(call, first.offset, &mut scratch[..span])?;
        for run in group {
            let begin = (run.offset - first.offset) as usize;
            sink(&scratch[begin..begin + run.nbytes as usize]);
        }
        Ok(())
    }

    /// Writes `block` to the box at `start`.
    pub(crate) fn write_box<T: Stored>(
        &self,
        call: Call,
        layout: &Layout,
        order: ByteOrder,
        start: &[u64],
        block: &ArrayViewD<'_, T>,
    ) -> Result<()> {
        if !layout.contains(start, block.shape()) {
            return Err(box_outside(call, start, block.shape(), layout.shape()));
        }
        let runs = layout.runs(start, block.shape());
        let mut scratch = Vec::new();
        if let Some(mut rest) = block.as_slice() {
            return self.write_runs(call, runs, size_of::<T>(), &mut scratch, |bytes| {
                let (items, after) = rest.split_at(bytes.len() / size_of::<T>());
                encode_slice(items, order, bytes);
                rest = after;
            });
        }
        let last = Axis(block.ndim() - 1);
        let mut items = block.lanes(last).into_iter().flat_map(ndarray::ArrayView1::into_iter);
        self.write_runs(call, runs, size_of::<T>(), &mut scratch, |bytes| {
            for (bytes, item) in bytes.chunks_exact_mut(size_of::<T>()).zip(items.by_ref()) {
                item.encode(order, bytes);
            }
        })
    }

    fn write_runs(
        &self,
        call: Call,
        runs: impl Iterator<Item = Run>,
        item_bytes: usize,
        scratch: &mut Vec<u8>,
        mut fill: impl FnMut(&mut [u8]),
    ) -> Result<()> {
        for run in runs.flat_map(|run| pieces(run, item_bytes, SCRATCH_BYTES)) {
            scratch.resize(run.nbytes as usize, 0);
            fill(scratch);
            self.write_at(call, run.offset, scratch)?;
        }
        Ok(())
    }
}

/// The run in pieces of at most so many bytes that hold whole items.
fn pieces(run: Run, item_bytes: usize, bytes_max: u64) -> impl Iterator<Item = Run> {
    let step = bytes_max - bytes_max % item_bytes as u64;
    (0..run.nbytes.div_ceil(step)).map(move |i| Run {
        offset: run.offset + i * step,
        nbytes: step.min(run.nbytes - i * step),
    })
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[n..];
        offset += n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, IxDyn};

    fn file() -> PositionedFile {
        let file = tempfile::tempfile().unwrap();
        PositionedFile::new(file, Path::new("temp"))
    }

    fn call() -> Call {
        Call::new("test")
    }

    #[test]
    fn boxes_round_trip_in_every_layout() {
        let shape = [5u64, 7, 300];
        let layout = Layout::new(3, &shape, 8, None).unwrap();
        let all = ArrayD::from_shape_fn(IxDyn(&[5, 7, 300]), |i| {
            (i[0] * 10_000 + i[1] * 1000 + i[2]) as f64
        });
        let file = file();
        // Written as two blocks, the second through a transposed view.
        let (a, b) = all.view().split_at(Axis(1), 3);
        file.write_box(call(), &layout, ByteOrder::Big, &[0, 0, 0], &a).unwrap();
        let b = b.to_owned().reversed_axes().as_standard_layout().into_owned();
        file.write_box(call(), &layout, ByteOrder::Big, &[0, 3, 0], &b.view().reversed_axes())
            .unwrap();

        let ranges = [1..4, 2..6, 10..280];
        let want = all.slice_each_axis(|axis| ranges[axis.axis.index()].clone().into());
        let mut got = ArrayD::<f64>::zeros(want.shape());
        file.read_box(call(), &layout, ByteOrder::Big, &[1, 2, 10], got.view_mut()).unwrap();
        assert_eq!(got, want);

        let mut got = ArrayD::<f64>::zeros(want.t().shape());
        let view = got.view_mut().reversed_axes();
        file.read_box(call(), &layout, ByteOrder::Big, &[1, 2, 10], view).unwrap();
        assert_eq!(got, want.t());
    }

    #[test]
    fn runs_longer_than_scratch_are_cut_at_items() {
        let n = SCRATCH_BYTES / 8 + 5;
        let layout = Layout::new(1, &[n], 16, None).unwrap();
        let all = ArrayD::from_shape_fn(IxDyn(&[n as usize]), |i| {
            num_complex::Complex::new(i[0] as f64, -(i[0] as f64))
        });
        let file = file();
        file.write_box(call(), &layout, ByteOrder::Little, &[0], &all.view()).unwrap();
        let mut got = ArrayD::<num_complex::Complex<f64>>::default(all.shape());
        file.read_box(call(), &layout, ByteOrder::Little, &[0], got.view_mut()).unwrap();
        assert_eq!(got, all);
    }

    #[test]
    fn boxes_outside_and_short_files_are_errors() {
        let layout = Layout::new(0, &[4], 4, None).unwrap();
        let file = file();
        let mut out = ArrayD::<i32>::zeros(IxDyn(&[2]));
        let read = |start: u64, out: ArrayViewMutD<'_, i32>| {
            file.read_box(call(), &layout, ByteOrder::Little, &[start], out)
        };
        let message = read(3, out.view_mut()).unwrap_err().to_string();
        assert!(message.contains("[3]+[2]"), "{message}");
        let message = read(0, out.view_mut()).unwrap_err().to_string();
        assert!(message.contains("temp: "), "{message}");
    }
}
