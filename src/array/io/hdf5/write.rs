//! Writing HDF5 files: all headers first, then boxes of contiguous datasets in any order.
//!
//! Superblock 2 and object headers 2, which HDF5 1.8 and everything since reads, with links inside of the headers of their groups.
//! The format: <https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>.

use std::path::Path;

use ndarray::ArrayViewD;

use super::super::bytes::ByteOrder;
use super::super::layout::Layout;
use super::super::region::{PositionedFile, SCRATCH_BYTES};
use super::SIGNATURE;
use crate::array::dtype::{DType, Element};
use crate::atomic::AtomicFile;
use crate::error::{Call, Error, Result};

/// No address.
const UNDEFINED: u64 = u64::MAX;
const SUPERBLOCK_BYTES: u64 = 48;
/// Where datasets begin is a multiple of this.
const ALIGNMENT: u64 = 64;

/// The datasets that a file is going to hold, whose names may have groups before them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hdf5Schema {
    datasets: Vec<(DType, Vec<u64>)>,
    /// Groups before what is in them, the first one the root.
    objects: Vec<Object>,
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

    /// Adds a dataset, and the groups in its name that are not there yet.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name that is not possible, or that stands there already.
    pub(crate) fn dataset(
        mut self,
        call: Call,
        name: &str,
        dtype: DType,
        shape: &[u64],
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
        self.datasets.push((dtype, shape.to_vec()));
        Ok(self)
    }

    /// The headers of all objects, and where each dataset lies; `None` if that overflows.
    fn placed(&self) -> Option<(Vec<u8>, Vec<Layout>)> {
        let nowhere = vec![0; self.objects.len()];
        let unplaced: Option<Vec<Layout>> = self.datasets.iter().map(|of| layout(0, of)).collect();
        let unplaced = unplaced?;
        let mut at = SUPERBLOCK_BYTES;
        let mut addresses = Vec::with_capacity(self.objects.len());
        for object in &self.objects {
            addresses.push(at);
            // As long as it will be with the right addresses.
            at += self.header(object, &nowhere, &unplaced).len() as u64;
        }
        let mut layouts = Vec::with_capacity(self.datasets.len());
        let mut end = at;
        for of in &self.datasets {
            let placed = layout(end.checked_next_multiple_of(ALIGNMENT)?, of)?;
            end = placed.end().max(end);
            layouts.push(placed);
        }
        let headers = self.objects.iter().map(|object| self.header(object, &addresses, &layouts));
        let headers: Vec<u8> = headers.flatten().collect();
        Some(([superblock(addresses[0], end), headers].concat(), layouts))
    }

    fn header(&self, object: &Object, addresses: &[u64], layouts: &[Layout]) -> Vec<u8> {
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
                let (dtype, shape) = &self.datasets[*i];
                let mut space = vec![2, shape.len() as u8, 0, u8::from(!shape.is_empty())];
                space.extend(shape.iter().flat_map(|len| len.to_le_bytes()));
                message(&mut messages, 0x01, &space);
                message(&mut messages, 0x03, &datatype(*dtype));
                // No value of its own.
                message(&mut messages, 0x05, &[3, 0x0a]);
                let nbytes = layouts[*i].end() - layouts[*i].begin();
                let address = if nbytes == 0 { UNDEFINED } else { layouts[*i].begin() };
                let place = [&[3, 1][..], &address.to_le_bytes(), &nbytes.to_le_bytes()];
                message(&mut messages, 0x08, &place.concat());
            }
        }
        let mut header =
            [&b"OHDR"[..], &[2, 0x02], &(messages.len() as u32).to_le_bytes()].concat();
        header.extend(messages);
        header.extend(checksum(&header).to_le_bytes());
        header
    }
}

fn layout(begin: u64, (dtype, shape): &(DType, Vec<u64>)) -> Option<Layout> {
    Layout::new(begin, shape, dtype.nbytes(), None)
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
    datasets: Vec<(DType, Layout)>,
}

impl Hdf5Writer {
    /// Bytes that writing a box uses beside it.
    pub(crate) const SCRATCH_BYTES: u64 = SCRATCH_BYTES;

    /// Starts a file of zeros.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::InvalidArgument`] if a file can't be that large.
    pub(crate) fn create(call: Call, path: &Path, schema: &Hdf5Schema) -> Result<Self> {
        let (headers, layouts) = schema.placed().ok_or_else(|| Error::InvalidArgument {
            call,
            argument: "shape",
            got: format!("{:?}", schema.datasets),
            expected: "less than 2^63 bytes",
        })?;
        let end = layouts.iter().map(Layout::end).fold(headers.len() as u64, u64::max);
        let (name, file) = AtomicFile::create(call, path)?;
        let file = PositionedFile::new(file, path);
        file.write_at(call, 0, &headers)?;
        file.set_len(call, end)?;
        let dtypes = schema.datasets.iter().map(|(dtype, _)| *dtype);
        Ok(Hdf5Writer { call, name, file, datasets: dtypes.zip(layouts).collect() })
    }

    /// Writes the box of a dataset, by its place in the schema, that begins at `start`. Threads may write boxes that do not
    /// overlap at once.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DTypeMismatch`], or [`Error::InvalidArgument`] if there is no such box.
    pub(crate) fn write_block<T: Element>(
        &self,
        dataset: usize,
        start: &[u64],
        block: &ArrayViewD<'_, T>,
    ) -> Result<()> {
        let (dtype, layout) = &self.datasets[dataset];
        if T::DTYPE != *dtype {
            let (got, expected) = (T::DTYPE.to_string(), dtype.to_string());
            return Err(Error::DTypeMismatch { call: self.call, got, expected });
        }
        self.file.write_box(self.call, layout, ByteOrder::Little, start, block)
    }

    /// Writes everything to disk and gives the file its name, replacing what was there.
    ///
    /// # Errors
    /// [`Error::Io`]; what was there before is then still there.
    pub(crate) fn finish(self) -> Result<()> {
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
