//! An array in several `.npy` files, one after another along an axis, as Dask's `to_npy_stack` writes it.
//!
//! A directory has `0.npy`, `1.npy` and so on, and a pickle `info` with the axis and the chunks. Its dtype is that of the files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ndarray::{ArrayViewD, ArrayViewMutD, Axis};

use super::header::descr;
use super::pickle::{Value, load, stack_info};
use super::{NpySource, NpyWriter};
use crate::array::any::{AnyElement, AnyViewMut};
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::dtype::{DType, Element, dispatch};
use crate::array::io::Source;
use crate::array::io::errors::check_box;
use crate::atomic::AtomicDir;
use crate::error::{Blame, Call, Error, Result};
use crate::storage::version_of_directory;

/// The `info` of a million files is shorter.
const INFO_BYTES_MAX: u64 = 64 << 20;

/// Files that are one array. They are opened when they are read.
#[derive(Debug)]
pub(crate) struct NpyStackSource {
    call: Call,
    dir: PathBuf,
    dtype: DType,
    shape: Vec<u64>,
    axis: usize,
    /// Where each file begins along the axis, and where the last one ends.
    starts: Vec<u64>,
}

impl NpyStackSource {
    /// Opens the stack in a directory, and the first of its files.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::CorruptFile`], and as opening a `.npy` file.
    pub(crate) fn open(call: Call, dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref().to_path_buf();
        let path = dir.join("info");
        let blame = Blame { call, path: &path, format: "npy stack" };
        let metadata = fs::metadata(&path).map_err(Error::io(call, &path))?;
        if metadata.len() > INFO_BYTES_MAX {
            return Err(blame.corrupt(format!("{} bytes of chunks", metadata.len())));
        }
        let info = fs::read(&path).map_err(Error::io(call, &path))?;
        let (axis, chunks) = parse(&info).ok_or_else(|| {
            blame
                .corrupt("it is not what to_npy_stack writes: chunks of known lengths, and an axis")
        })?;
        let sum = |lens: &Vec<u64>| lens.iter().try_fold(0_u64, |sum, &len| sum.checked_add(len));
        let shape: Option<Vec<u64>> = chunks.iter().map(sum).collect();
        let shape = shape.ok_or_else(|| blame.corrupt("its chunks are too large"))?;
        let starts = std::iter::once(0).chain(chunks[axis].iter().scan(0, |at, &len| {
            *at += len;
            Some(*at)
        }));
        let starts: Vec<u64> = starts.collect();
        let first = NpySource::open(call, dir.join("0.npy"))?;
        let source = NpyStackSource { call, dir, dtype: first.dtype(), shape, axis, starts };
        source.check(0, &first)?;
        Ok(source)
    }

    /// A chunk for each file.
    pub(crate) fn chunks(&self) -> Chunks {
        let along = |axis: usize, len: u64| {
            let own = self.starts.windows(2).map(|pair| pair[1] - pair[0]);
            let own = (axis == self.axis).then(|| AxisChunks::from_size_iter(own)).flatten();
            own.unwrap_or_else(|| AxisChunks::whole(len))
        };
        self.shape.iter().enumerate().map(|(axis, &len)| along(axis, len)).collect()
    }

    fn file(&self, i: usize) -> Result<NpySource> {
        let file = NpySource::open(self.call, self.dir.join(format!("{i}.npy")))?;
        self.check(i, &file)?;
        Ok(file)
    }

    fn check(&self, i: usize, file: &NpySource) -> Result<()> {
        let mut shape = self.shape.clone();
        shape[self.axis] = self.starts[i + 1] - self.starts[i];
        if file.shape() == shape && file.dtype() == self.dtype {
            return Ok(());
        }
        let path = self.dir.join(format!("{i}.npy"));
        let blame = Blame { call: self.call, path: &path, format: "npy stack" };
        let (got, dtype) = (file.shape(), self.dtype);
        let problem =
            format!("{} of shape {got:?}, expected {dtype} of shape {shape:?}", file.dtype());
        Err(blame.corrupt(problem))
    }

    fn read_typed<T: Element>(&self, start: &[u64], mut out: ArrayViewMutD<'_, T>) -> Result<()> {
        let (axis, mut at) = (self.axis, start[self.axis]);
        let end = at + out.len_of(Axis(axis)) as u64;
        let mut file = self.starts.partition_point(|&start| start <= at).saturating_sub(1);
        while at < end {
            let until = self.starts[file + 1].min(end);
            if until > at {
                let part = at - start[axis]..until - start[axis];
                let part = ndarray::Slice::from(part.start as usize..part.end as usize);
                let mut begin = start.to_vec();
                begin[axis] = at - self.starts[file];
                let out = out.slice_axis_mut(Axis(axis), part);
                self.file(file)?.read(&begin, T::to_any_view(out))?;
            }
            (at, file) = (until, file + 1);
        }
        Ok(())
    }
}

impl Source for NpyStackSource {
    fn name(&self) -> String {
        self.dir.display().to_string()
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> &[u64] {
        &self.shape
    }

    fn version(&self) -> Option<String> {
        Some(format!("npy stack {}", version_of_directory(&self.dir)?))
    }

    fn scratch_bytes(&self) -> u64 {
        NpyWriter::SCRATCH_BYTES
    }

    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        check_box(self.call, self.dtype, &self.shape, start, &out)?;
        dispatch!(self.dtype, T => {
            let out = T::from_any_view(out).expect("the dtype was just checked");
            self.read_typed(start, out)
        })
    }
}

/// The axis, and the lengths of the chunks of each.
fn parse(info: &[u8]) -> Option<(usize, Vec<Vec<u64>>)> {
    let info = load(info)?;
    let axis = info.get("axis")?.as_u64()?;
    let Value::Sequence(chunks) = info.get("chunks")? else { return None };
    let chunks: Vec<Vec<u64>> = chunks.iter().map(Value::as_u64s).collect::<Option<_>>()?;
    let axis = usize::try_from(axis).ok().filter(|&axis| axis < chunks.len())?;
    (!chunks[axis].is_empty()).then_some((axis, chunks))
}

/// A stack that is being written; it appears when it is finished.
#[derive(Debug)]
pub(crate) struct NpyStackWriter {
    call: Call,
    dir: AtomicDir,
    dtype: DType,
    axis: usize,
    chunks: Vec<Vec<u64>>,
    starts: Vec<u64>,
}

impl NpyStackWriter {
    /// Starts a stack of arrays of these lengths along `axis`; along the others there is one chunk.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn create(
        call: Call,
        path: &Path,
        dtype: DType,
        chunks: &[Vec<u64>],
        axis: usize,
    ) -> Result<Self> {
        if fs::symlink_metadata(path).is_ok() {
            return Err(Error::io(call, path)(io::ErrorKind::AlreadyExists.into()));
        }
        let dir = AtomicDir::create(call, path)?;
        let starts = chunks[axis].iter().scan(0, |at, &len| {
            *at += len;
            Some(*at - len)
        });
        let starts = starts.collect();
        Ok(NpyStackWriter { call, dir, dtype, axis, chunks: chunks.to_vec(), starts })
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Writes the file of the chunk that begins at `start`.
    pub(crate) fn write_block<T: Element>(
        &self,
        start: &[u64],
        block: &ArrayViewD<'_, T>,
    ) -> Result<()> {
        // Empty chunks begin where the next one does.
        let len = block.len_of(Axis(self.axis)) as u64;
        let start = start[self.axis];
        let first = self.starts.partition_point(|&other| other < start);
        let there = (first..self.starts.len()).take_while(|&i| self.starts[i] == start);
        for i in there.filter(|&i| self.chunks[self.axis][i] == len) {
            let shape: Vec<u64> = block.shape().iter().map(|&len| len as u64).collect();
            let path = self.dir.path().join(format!("{i}.npy"));
            let writer = NpyWriter::create(self.call, path, self.dtype, &shape)?;
            writer.write_block(&vec![0; shape.len()], block)?;
            writer.finish()?;
        }
        Ok(())
    }

    /// Makes the stack appear.
    pub(crate) fn finish(self) -> Result<()> {
        let info = stack_info(&self.chunks, &descr(self.dtype), self.axis as u64);
        let path = self.dir.path().join("info");
        fs::write(&path, info).map_err(Error::io(self.call, &path))?;
        self.dir.finish(self.call, false)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayD;

    use super::super::super::testing::{call, cut, ramp, read_as};
    use super::*;

    fn write(path: &Path, all: &ArrayD<f64>, axis: usize, lens: &[u64]) -> Result<()> {
        let mut chunks: Vec<Vec<u64>> = all.shape().iter().map(|&len| vec![len as u64]).collect();
        chunks[axis] = lens.to_vec();
        let writer = NpyStackWriter::create(call(), path, DType::F64, &chunks, axis)?;
        let (mut at, mut start) = (0, vec![0; all.ndim()]);
        for &len in lens {
            start[axis] = at;
            let part = ndarray::Slice::from(at as usize..(at + len) as usize);
            writer.write_block(&start, &all.slice_axis(Axis(axis), part))?;
            at += len;
        }
        writer.finish()
    }

    #[test]
    fn stacks_are_read_across_their_files() {
        let (dir, all) = (tempfile::tempdir().unwrap(), ramp(&[4, 11, 3]));
        for (axis, lens) in [(0, vec![4]), (1, vec![5, 0, 5, 1]), (2, vec![1, 1, 1])] {
            let path = dir.path().join(axis.to_string());
            write(&path, &all, axis, &lens).unwrap();
            let source = NpyStackSource::open(call(), &path).unwrap();
            assert_eq!((source.shape(), source.dtype()), (&[4, 11, 3][..], DType::F64));
            for (start, lens) in
                [([0, 0, 0], [4, 11, 3]), ([1, 4, 1], [2, 7, 2]), ([0, 10, 0], [1, 1, 1])]
            {
                assert_eq!(read_as::<f64>(&source, &start, &lens), cut(&all, &start, &lens));
            }
            assert!(write(&path, &all, axis, &lens).is_err());
        }
    }

    #[test]
    fn files_that_do_not_fit_are_named() {
        let (dir, all) = (tempfile::tempdir().unwrap(), ramp(&[6, 2]));
        let path = dir.path().join("x");
        write(&path, &all, 0, &[3, 3]).unwrap();
        fs::remove_file(path.join("1.npy")).unwrap();
        let source = NpyStackSource::open(call(), &path).unwrap();
        let mut out = ArrayD::<f64>::zeros(vec![6, 2]);
        let error = source.read(&[0, 0], f64::to_any_view(out.view_mut())).unwrap_err();
        assert!(error.to_string().contains("1.npy"), "{error}");
        write(&dir.path().join("y"), &all, 0, &[2, 4]).unwrap();
        fs::copy(dir.path().join("y/0.npy"), path.join("0.npy")).unwrap();
        let error = NpyStackSource::open(call(), &path).unwrap_err().to_string();
        assert!(error.contains("0.npy") && error.contains("[3, 2]"), "{error}");
        fs::write(path.join("info"), b"\x80\x04]").unwrap();
        let error = NpyStackSource::open(call(), &path).unwrap_err().to_string();
        assert!(error.contains("info") && error.contains("to_npy_stack"), "{error}");
    }
}
