//! Writing HDF5 files: all headers first, then boxes of contiguous datasets in any order, and behind these the chunks of others.
//!
//! Superblock 2 and object headers 2, which HDF5 1.8 and everything since reads, with links inside of the headers of their groups.
//! The format: <https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::ArrayViewD;

use super::super::bytes::ByteOrder;
use super::super::layout::Layout;
use super::super::region::{PositionedFile, SCRATCH_BYTES};
use super::SIGNATURE;
use super::chunked::{Deflated, Places};
use crate::array::dtype::{DType, Element};
use crate::atomic::AtomicFile;
use crate::error::{Call, Error, Result};

/// No address.
pub(super) const UNDEFINED: u64 = u64::MAX;
const SUPERBLOCK_BYTES: u64 = 48;
/// Where datasets begin is a multiple of this.
const ALIGNMENT: u64 = 64;
/// The format has 32 bits for the length of a chunk, which compressing may make a little longer.
const CHUNK_BYTES_MAX: u64 = 2 << 30;

/// The datasets that a file is going to hold, whose names may have groups before them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hdf5Schema {
    datasets: Vec<Dataset>,
    /// Groups before what is in them, the first one the root.
    objects: Vec<Object>,
}

#[derive(Clone, Debug)]
struct Dataset {
    dtype: DType,
    shape: Vec<u64>,
    deflated: Option<Deflated>,
}

/// Where a dataset lies, or the index of its chunks, and how many bytes it has.
#[derive(Clone, Copy, Debug)]
struct Extent {
    address: u64,
    nbytes: u64,
}

#[derive(Clone, Debug)]
enum Object {
    /// Names, and which objects they are.
    Group(Vec<(String, usize)>),
    /// One of the datasets.
    Dataset(usize),
}

impl Hdf5Schema {
    /// A file without anything in it.
    pub(crate) fn new() -> Self {
        Hdf5Schema { datasets: Vec::new(), objects: vec![Object::Group(Vec::new())] }
    }

    /// Adds a dataset, and the groups in its name that are not there yet. One that is deflated has elements.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name that is not possible, or that stands there already, and for chunks that are too large.
    pub(crate) fn dataset(
        mut self,
        call: Call,
        name: &str,
        dtype: DType,
        shape: &[u64],
        deflated: Option<Deflated>,
    ) -> Result<Self> {
        let wrong = |expected| Error::InvalidArgument {
            call,
            argument: "name",
            got: format!("{name:?}"),
            expected,
        };
        let parts: Vec<&str> = name.split('/').collect();
        let is_name = |part: &&str| {
            !part.is_empty() && *part != "." && part.len() <= 1000 && !part.contains('\0')
        };
        if !parts.iter().all(is_name) || shape.len() > 32 {
            return Err(wrong("names between slashes, and at most 32 dimensions"));
        }
        if let Some(Deflated { chunk, .. }) = &deflated {
            let nbytes = chunk.iter().try_fold(dtype.nbytes() as u64, |n, len| n.checked_mul(*len));
            if nbytes.is_none_or(|nbytes| nbytes > CHUNK_BYTES_MAX) {
                return Err(Error::InvalidChunks {
                    call,
                    got: format!("{chunk:?}"),
                    shape: shape.to_vec(),
                    problem: "chunks in a file need less than 2 GiB; rechunk the array",
                });
            }
        }
        let mut group = 0;
        for (depth, part) in parts.iter().enumerate() {
            let is_last = depth + 1 == parts.len();
            let new = self.objects.len();
            let Object::Group(links) = &mut self.objects[group] else {
                return Err(wrong("a name that begins with no dataset's name"));
            };
            match links.iter().find(|(other, _)| other == part) {
                Some(_) if is_last => return Err(wrong("a name that is not there yet")),
                Some((_, found)) => group = *found,
                None => {
                    links.push(((*part).to_owned(), new));
                    self.objects.push(match is_last {
                        true => Object::Dataset(self.datasets.len()),
                        false => Object::Group(Vec::new()),
                    });
                    group = new;
                }
            }
        }
        self.datasets.push(Dataset { dtype, shape: shape.to_vec(), deflated });
        Ok(self)
    }

    /// Where the header of each object begins, and where the last one ends.
    fn addresses(&self) -> (Vec<u64>, u64) {
        let nowhere = vec![0; self.objects.len()];
        let no_extents = vec![Extent { address: 0, nbytes: 0 }; self.datasets.len()];
        let mut at = SUPERBLOCK_BYTES;
        let mut addresses = Vec::with_capacity(self.objects.len());
        for object in &self.objects {
            addresses.push(at);
            // As long as it will be with the right addresses.
            at += self.header(object, &nowhere, &no_extents).len() as u64;
        }
        (addresses, at)
    }

    /// The contiguous datasets one after the other, and where they end; `None` if that overflows.
    fn layouts(&self) -> Option<(Vec<Option<Layout>>, u64)> {
        let (_, mut end) = self.addresses();
        let mut layouts = Vec::with_capacity(self.datasets.len());
        for Dataset { dtype, shape, deflated } in &self.datasets {
            if deflated.is_some() {
                layouts.push(None);
                continue;
            }
            let begin = end.checked_next_multiple_of(ALIGNMENT)?;
            let layout = Layout::new(begin, shape, dtype.nbytes(), None)?;
            end = layout.end().max(end);
            layouts.push(Some(layout));
        }
        Some((layouts, end))
    }

    /// The beginning of the file up to the end of all headers.
    fn headers(&self, extents: &[Extent], end: u64) -> Vec<u8> {
        let (addresses, _) = self.addresses();
        let headers = self.objects.iter().map(|object| self.header(object, &addresses, extents));
        let headers: Vec<u8> = headers.flatten().collect();
        [superblock(addresses[0], end), headers].concat()
    }

    fn header(&self, object: &Object, addresses: &[u64], extents: &[Extent]) -> Vec<u8> {
        let mut messages = Vec::new();
        match object {
            Object::Group(links) => {
                // Neither a heap nor an index: the links are here.
                let none = [&[0, 0][..], &UNDEFINED.to_le_bytes(), &UNDEFINED.to_le_bytes()];
                message(&mut messages, 0x02, &none.concat());
                message(&mut messages, 0x0a, &[0, 0]);
                for (name, object) in links {
                    let len = (name.len() as u16).to_le_bytes();
                    let address = addresses[*object].to_le_bytes();
                    // Version 1, a length of two bytes, and UTF-8.
                    let link = [&[1, 0x11, 1][..], &len, name.as_bytes(), &address];
                    message(&mut messages, 0x06, &link.concat());
                }
            }
            Object::Dataset(i) => {
                let (Dataset { dtype, shape, deflated }, extent) =
                    (&self.datasets[*i], extents[*i]);
                let mut space = vec![2, shape.len() as u8, 0, u8::from(!shape.is_empty())];
                space.extend(shape.iter().flat_map(|len| len.to_le_bytes()));
                message(&mut messages, 0x01, &space);
                message(&mut messages, 0x03, &datatype(*dtype));
                // No value of its own; places of chunks come one by one.
                message(&mut messages, 0x05, &[3, if deflated.is_some() { 0x0b } else { 0x0a }]);
                match deflated {
                    Some(deflated) => {
                        for (kind, data) in deflated.messages(*dtype, extent.address) {
                            message(&mut messages, kind, &data);
                        }
                    }
                    None => {
                        let address = if extent.nbytes == 0 { UNDEFINED } else { extent.address };
                        let extent = [address, extent.nbytes].map(u64::to_le_bytes).concat();
                        message(&mut messages, 0x08, &[&[3, 1][..], &extent].concat());
                    }
                }
            }
        }
        let mut header =
            [&b"OHDR"[..], &[2, 0x02], &(messages.len() as u32).to_le_bytes()].concat();
        header.extend(messages);
        header.extend(checksum(&header).to_le_bytes());
        header
    }
}

fn message(messages: &mut Vec<u8>, kind: u8, data: &[u8]) {
    messages.push(kind);
    messages.extend((data.len() as u16).to_le_bytes());
    messages.push(0);
    messages.extend(data);
}

fn superblock(root: u64, end: u64) -> Vec<u8> {
    let mut block = SIGNATURE.to_vec();
    block.extend([2, 8, 8, 0]);
    for address in [0, UNDEFINED, end, root] {
        block.extend(address.to_le_bytes());
    }
    block.extend(checksum(&block).to_le_bytes());
    block
}

/// Little-endian; booleans and complex numbers as h5py writes them.
fn datatype(dtype: DType) -> Vec<u8> {
    let head = |class: u8, bits: [u8; 3], nbytes: usize| {
        [&[class][..], &bits, &(nbytes as u32).to_le_bytes()].concat()
    };
    let nbytes = dtype.nbytes();
    let fixed = |is_signed: bool| {
        let bits = (8 * nbytes as u16).to_le_bytes();
        [&head(0x10, [u8::from(is_signed) << 3, 0, 0], nbytes)[..], &[0, 0], &bits].concat()
    };
    let float = |sign: u8, exponent: [u8; 2], bias: u32| {
        let bits = (8 * nbytes as u16).to_le_bytes();
        let parts = [exponent[0], exponent[1], 0, exponent[0]];
        let bias = bias.to_le_bytes();
        [&head(0x11, [0x20, sign, 0], nbytes)[..], &[0, 0], &bits, &parts, &bias].concat()
    };
    let complex = |part: DType| {
        let (of_part, second) = (datatype(part), part.nbytes() as u8);
        let members = [&b"r\0\0"[..], &of_part, b"i\0", &[second], &of_part];
        [&head(0x36, [2, 0, 0], nbytes)[..], &members.concat()].concat()
    };
    match dtype {
        DType::Bool => {
            let names = [&datatype(DType::I8)[..], b"FALSE\0TRUE\0", &[0, 1]];
            [&head(0x38, [2, 0, 0], 1)[..], &names.concat()].concat()
        }
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => fixed(true),
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => fixed(false),
        DType::F32 => float(31, [23, 8], 127),
        DType::F64 => float(63, [52, 11], 1023),
        DType::C64 => complex(DType::F32),
        DType::C128 => complex(DType::F64),
    }
}

/// Jenkins' `lookup3`, with which the format checks its own metadata.
fn checksum(bytes: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let [mut a, mut b, mut c] = [start; 3];
    let mut rest = bytes.chunks(12).peekable();
    while let Some(part) = rest.next() {
        let mut padded = [0; 12];
        padded[..part.len()].copy_from_slice(part);
        let word = |i: usize| u32::from_le_bytes([0, 1, 2, 3].map(|k| padded[4 * i + k]));
        (a, b, c) = (a.wrapping_add(word(0)), b.wrapping_add(word(1)), c.wrapping_add(word(2)));
        if rest.peek().is_some() {
            for turn in [4, 6, 8, 16, 19, 4] {
                a = a.wrapping_sub(c) ^ c.rotate_left(turn);
                c = c.wrapping_add(b);
                (a, b, c) = (b, c, a);
            }
        } else {
            for turn in [14, 11, 25, 16, 4, 14, 24] {
                c = (c ^ b).wrapping_sub(b.rotate_left(turn));
                (a, b, c) = (b, c, a);
            }
            // What the last step has made.
            return b;
        }
    }
    c
}

/// An HDF5 file that is being written, under a temporary name until [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct Hdf5Writer {
    call: Call,
    name: AtomicFile,
    file: PositionedFile,
    schema: Hdf5Schema,
    /// Of those that are contiguous.
    layouts: Vec<Option<Layout>>,
    /// Of those that are not.
    places: Vec<Places>,
    /// Where the next chunk begins.
    end: AtomicU64,
}

impl Hdf5Writer {
    /// Bytes that writing a box uses beside it.
    pub(crate) const SCRATCH_BYTES: u64 = SCRATCH_BYTES;

    /// Starts a file of zeros.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::InvalidArgument`] if a file can't be that large.
    pub(crate) fn create(call: Call, path: &Path, schema: Hdf5Schema) -> Result<Self> {
        let (layouts, end) = schema.layouts().ok_or_else(|| Error::InvalidArgument {
            call,
            argument: "shape",
            got: format!("{:?}", schema.datasets),
            expected: "less than 2^63 bytes",
        })?;
        let (name, file) = AtomicFile::create(call, path)?;
        let file = PositionedFile::new(file, path);
        file.set_len(call, end)?;
        let places = schema.datasets.iter().map(|_| Places::default()).collect();
        let end = AtomicU64::new(end);
        Ok(Hdf5Writer { call, name, file, schema, layouts, places, end })
    }

    /// The type of a dataset, by its place in the schema.
    pub(crate) fn dtype(&self, dataset: usize) -> DType {
        self.schema.datasets[dataset].dtype
    }

    /// Writes the box of a dataset, by its place in the schema, that begins at `start`; of one that is deflated, a whole chunk.
    /// Threads may write boxes that do not overlap at once.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DTypeMismatch`], or [`Error::InvalidArgument`] if there is no such box.
    pub(crate) fn write_block<T: Element>(
        &self,
        dataset: usize,
        start: &[u64],
        block: &ArrayViewD<'_, T>,
    ) -> Result<()> {
        let (call, of) = (self.call, &self.schema.datasets[dataset]);
        if T::DTYPE != of.dtype {
            let (got, expected) = (T::DTYPE.to_string(), of.dtype.to_string());
            return Err(Error::DTypeMismatch { call, got, expected });
        }
        match (&self.layouts[dataset], &of.deflated) {
            (Some(layout), _) => self.file.write_box(call, layout, ByteOrder::Little, start, block),
            (None, Some(deflated)) => {
                let bytes = deflated.encode(block).map_err(Error::io(call, self.file.path()))?;
                let address = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                self.file.write_at(call, address, &bytes)?;
                self.places[dataset].add(start, bytes.len() as u32, address);
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// Writes everything to disk and gives the file its name, replacing what was there.
    ///
    /// # Errors
    /// [`Error::Io`]; what was there before is then still there.
    pub(crate) fn finish(self) -> Result<()> {
        let mut end = self.end.into_inner();
        let mut extents = Vec::with_capacity(self.layouts.len());
        let datasets = self.schema.datasets.iter().zip(&self.places);
        for (layout, (Dataset { shape, deflated, .. }, places)) in self.layouts.iter().zip(datasets)
        {
            extents.push(match (layout, deflated) {
                (Some(layout), _) => {
                    Extent { address: layout.begin(), nbytes: layout.end() - layout.begin() }
                }
                (None, deflated) => {
                    let mut behind = vec![0; shape.len()];
                    if let Some(Deflated { chunk, .. }) = deflated {
                        behind[0] = shape[0].next_multiple_of(chunk[0]);
                    }
                    let begin = end.next_multiple_of(ALIGNMENT);
                    let (index, address) = places.index(begin, behind);
                    self.file.write_at(self.call, begin, &index)?;
                    end = begin + index.len() as u64;
                    Extent { address, nbytes: 0 }
                }
            });
        }
        self.file.write_at(self.call, 0, &self.schema.headers(&extents, end))?;
        self.name.finish(self.call, self.file.file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the source of `lookup3`.
    #[test]
    fn checksums_are_those_of_lookup3() {
        assert_eq!(checksum(b""), 0xdead_beef);
        assert_eq!(checksum(b"Four score and seven years ago"), 0x1777_0551);
    }
}
