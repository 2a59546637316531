//! Reading boxes of HDF5 datasets.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use hdf5_reader::error::Result as Read;
use hdf5_reader::{Dataset, SliceInfo, SliceInfoElem};
use ndarray::ArrayViewMutD;

use super::storage::Bounded;
use super::types::{Raw, dtype_of, is_plain, order_of};
use super::{Hdf5File, guarded};
use crate::array::any::{AnyElement, AnyViewMut};
use crate::array::dtype::{DType, dispatch};
use crate::array::io::bytes::{ByteOrder, Stored};
use crate::array::io::errors::check_box;
use crate::array::io::grid::{parts, within};
use crate::array::io::origin::{Origin, shared_path};
use crate::array::io::source::Source;
use crate::error::{Blame, Call, Result};

/// How much is asked for at once, unless a stored chunk is more: enough to make up for the way through the index, and little
/// enough to still be in the cache when it is copied on.
const PIECE_BYTES: u64 = 1 << 20;

/// A dataset of which any box can be read.
pub(crate) struct Hdf5Source {
    call: Call,
    path: PathBuf,
    format: &'static str,
    name: String,
    dataset: Dataset,
    dtype: DType,
    shape: Vec<u64>,
    /// A stored chunk, if the dataset has chunks.
    chunk: Option<Vec<u64>>,
    /// What is asked for at once: whole stored chunks.
    piece: Vec<u64>,
    dim_names: Option<Vec<String>>,
    origin: Option<Origin>,
    storage: Arc<Bounded>,
    /// When the file was opened.
    version: Option<String>,
}

impl Hdf5Source {
    pub(super) fn new(call: Call, file: &Hdf5File, name: &str, dataset: Dataset) -> Result<Self> {
        let blame = file.blame(call);
        let refused = |what: &str| {
            let remedy = "arrays hold bool, integers, floats and complex numbers";
            blame.unsupported(format!("dataset {name:?} of {what}"), remedy)
        };
        let dtype = dtype_of(dataset.dtype()).map_err(|what| refused(&what))?;
        let message = guarded(&blame, name, || dataset.raw_datatype())?;
        if !is_plain(&message, dataset.dtype()) {
            return Err(refused("numbers that do not fill their bytes"));
        }
        let shape = dataset.shape().to_vec();
        if guarded(&blame, name, || dataset.num_elements())? == 0 && !shape.contains(&0) {
            return Err(refused("no elements"));
        }
        let too_large = |what: &str, lens: &[u64]| {
            blame.corrupt(format!("dataset {name:?}: {what} {lens:?} is too large"))
        };
        bytes_of(&shape, dtype).ok_or_else(|| too_large("shape", &shape))?;
        let chunk: Option<Vec<u64>> =
            dataset.chunks().map(|chunk| chunk.into_iter().map(u64::from).collect());
        if let Some(chunk) = &chunk {
            if chunk.len() != shape.len() || chunk.contains(&0) {
                let problem = format!("dataset {name:?}: chunks {chunk:?} of shape {shape:?}");
                return Err(blame.corrupt(problem));
            }
            let bytes = bytes_of(chunk, dtype).ok_or_else(|| too_large("chunk", chunk))?;
            file.storage.allow_chunk(bytes);
        }
        let unit = chunk.clone().unwrap_or_else(|| vec![1; shape.len()]);
        let piece = piece_of(&unit, &shape, dtype);
        let origin = shared_path(call, &file.path).map(|path| Origin::Hdf5(path, name.to_string()));
        let (path, format, name) = (file.path.clone(), file.format, name.to_string());
        let dim_names = None;
        Ok(Hdf5Source {
            call,
            path,
            format,
            name,
            dataset,
            dtype,
            shape,
            chunk,
            piece,
            dim_names,
            origin,
            storage: Arc::clone(&file.storage),
            version: file.version.clone(),
        })
    }

    /// As a variable of NetCDF: with names of dimensions, and signed integers that are meant as unsigned ones.
    #[must_use]
    pub(crate) fn of_variable(mut self, dtype: DType, dim_names: Option<Vec<String>>) -> Self {
        debug_assert_eq!(self.dtype.nbytes(), dtype.nbytes());
        self.dtype = dtype;
        self.dim_names = dim_names;
        let path = shared_path(self.call, &self.path);
        self.origin = path.map(|path| Origin::Netcdf(path, self.name.clone()));
        self
    }

    fn read_typed<T: Stored + Send>(
        &self,
        start: &[u64],
        mut out: ArrayViewMutD<'_, T>,
    ) -> Result<()> {
        let blame = Blame { call: self.call, path: &self.path, format: self.format };
        let (lens, order) = (out.shape().to_vec(), order_of(self.dataset.dtype()));
        for (_, part) in parts(start, &lens, &self.piece) {
            let selections = part.iter().map(|range| SliceInfoElem::Slice {
                start: range.start,
                end: range.end,
                step: 1,
            });
            let selection = SliceInfo { selections: selections.collect() };
            let what = format!("dataset {:?} at {part:?}", self.name);
            let bytes = guarded(&blame, &what, || self.bytes_of(&selection, size_of::<T>()))?;
            let mut target = out.slice_each_axis_mut(within(start, &part));
            if bytes.len() != target.len() * size_of::<T>() {
                return Err(blame.corrupt(format!("{what}: {} bytes", bytes.len())));
            }
            // Two loops, so that each is a plain copy or a plain byte swap.
            let items = target.iter_mut().zip(bytes.chunks_exact(size_of::<T>()));
            match order {
                ByteOrder::Little => {
                    items.for_each(|(to, b)| *to = T::decode(b, ByteOrder::Little))
                }
                ByteOrder::Big => items.for_each(|(to, b)| *to = T::decode(b, ByteOrder::Big)),
            }
        }
        Ok(())
    }

    /// The bytes of the selected elements, in C order and as the file has them.
    fn bytes_of(&self, selection: &SliceInfo, itemsize: usize) -> Read<Vec<u8>> {
        fn flat<const N: usize>(dataset: &Dataset, selection: &SliceInfo) -> Read<Vec<u8>> {
            let items = dataset.read_slice::<Raw<N>>(selection)?;
            let items = match items.is_standard_layout() {
                true => items.into_raw_vec_and_offset().0,
                false => items.iter().cloned().collect(),
            };
            Ok(items.into_iter().map(|item| item.0).collect::<Vec<_>>().into_flattened())
        }
        match itemsize {
            1 => flat::<1>(&self.dataset, selection),
            2 => flat::<2>(&self.dataset, selection),
            4 => flat::<4>(&self.dataset, selection),
            8 => flat::<8>(&self.dataset, selection),
            _ => flat::<16>(&self.dataset, selection),
        }
    }
}

impl Source for Hdf5Source {
    fn name(&self) -> String {
        format!("{}:{}", self.path.display(), self.name)
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> &[u64] {
        &self.shape
    }

    fn storage_chunks(&self) -> Option<Vec<u64>> {
        self.chunk.clone()
    }

    fn dim_names(&self) -> Option<Vec<String>> {
        self.dim_names.clone()
    }

    fn origin(&self) -> Option<Origin> {
        self.origin.clone()
    }

    /// None once the file has changed: where chunks are was found out before.
    fn version(&self) -> Option<String> {
        let version =
            self.storage.version(&self.path).filter(|now| Some(now) == self.version.as_ref())?;
        Some(format!("hdf5 {} {version}", self.name))
    }

    /// A piece as bytes and as elements; of a chunk what is stored, and what a filter takes and makes.
    fn scratch_bytes(&self) -> u64 {
        let bytes = |lens: &[u64]| bytes_of(lens, self.dtype).unwrap_or(u64::MAX);
        let chunk = self.chunk.as_deref().map_or(0, bytes);
        bytes(&self.piece).saturating_mul(2).saturating_add(chunk.saturating_mul(3))
    }

    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        check_box(self.call, self.dtype, &self.shape, start, &out)?;
        dispatch!(self.dtype, T => {
            self.read_typed(start, T::from_any_view(out).expect("the dtype was just checked"))
        })
    }
}

impl fmt::Debug for Hdf5Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hdf5Source").field(&self.path).field(&self.name).finish()
    }
}

/// Whole units, as many along the last axes as are not too much.
fn piece_of(unit: &[u64], shape: &[u64], dtype: DType) -> Vec<u64> {
    let mut piece = unit.to_vec();
    for axis in (0..piece.len()).rev() {
        let bytes = bytes_of(&piece, dtype).unwrap_or(u64::MAX).max(1);
        let n_units = shape[axis].div_ceil(piece[axis]).max(1);
        let n = (PIECE_BYTES / bytes).clamp(1, n_units);
        piece[axis] *= n;
        if n < n_units {
            break;
        }
    }
    piece
}

fn bytes_of(lens: &[u64], dtype: DType) -> Option<u64> {
    let bytes = lens.iter().try_fold(dtype.nbytes() as u64, |n, &len| n.checked_mul(len))?;
    (bytes <= i64::MAX as u64).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_chunks_and_about_a_mebibyte() {
        let of = |unit: &[u64], shape: &[u64]| piece_of(unit, shape, DType::F64);
        assert_eq!(of(&[1, 1], &[100_000, 1000]), [131, 1000]);
        assert_eq!(of(&[1, 1], &[10, 1 << 20]), [1, 1 << 17]);
        assert_eq!(of(&[2, 100, 100], &[50, 400, 250]), [2, 200, 300]);
        assert_eq!(of(&[1 << 20], &[1 << 30]), [1 << 20]);
        assert_eq!(of(&[10], &[25]), [30]);
        assert_eq!(of(&[], &[]), [0; 0]);
    }
}
