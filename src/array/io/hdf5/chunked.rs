//! Datasets that are written in chunks, each compressed by itself, and the index of these.
//!
//! Chunks lie in the file in the order in which they are done. Where is said by a B-tree of version 1, which every version of
//! HDF5 reads and which is written when all chunks are.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use ndarray::{ArrayD, ArrayViewD, IxDyn};

use super::write::UNDEFINED;
use crate::array::dtype::{DType, Element};
use crate::array::io::bytes::{ByteOrder, encode_slice};

/// Children of a node of the index, which files without a word on it have.
const N_CHILDREN: usize = 64;

/// How a dataset is cut into chunks, and how much work compressing them may be, from 1 to 9.
#[derive(Clone, Debug)]
pub(crate) struct Deflated {
    pub(crate) chunk: Vec<u64>,
    pub(crate) level: u32,
}

impl Deflated {
    /// Bytes that compressing a chunk of so many uses beside it: two copies, the result and what the compressor has.
    pub(crate) fn scratch_bytes(chunk_bytes: u64) -> u64 {
        chunk_bytes.saturating_mul(3).saturating_add(512 << 10)
    }

    /// The messages of the header: where the index is, and the filters.
    pub(super) fn messages(&self, dtype: DType, index: u64) -> [(u8, Vec<u8>); 2] {
        let item_bytes = (dtype.nbytes() as u32).to_le_bytes();
        let lens = self.chunk.iter().flat_map(|len| (*len as u32).to_le_bytes());
        let mut layout = vec![3, 2, self.chunk.len() as u8 + 1];
        layout.extend(index.to_le_bytes().into_iter().chain(lens).chain(item_bytes));
        // Each with its number, that it is optional, and one value.
        let filter =
            |id: u16, value: [u8; 4]| [&id.to_le_bytes()[..], &[1, 0, 1, 0], &value].concat();
        let shuffle = filter(2, item_bytes);
        let deflate = filter(1, self.level.to_le_bytes());
        [(0x08, layout), (0x0b, [&[2, 2][..], &shuffle, &deflate].concat())]
    }

    /// A chunk as it lies in the file. Where the array ends before the chunk, that has zeros.
    pub(super) fn encode<T: Element>(&self, block: &ArrayViewD<'_, T>) -> io::Result<Vec<u8>> {
        let shape: Vec<usize> = self.chunk.iter().map(|len| *len as usize).collect();
        let mut whole = ArrayD::<T>::default(IxDyn(&shape));
        whole.slice_each_axis_mut(|axis| (..block.len_of(axis.axis)).into()).assign(block);
        let (items, n_bytes) = (whole.as_slice().unwrap_or_default(), size_of::<T>());
        let mut bytes = vec![0; items.len() * n_bytes];
        encode_slice(items, ByteOrder::Little, &mut bytes);
        drop(whole);
        // The first bytes of all elements, then the second ones: like beside like.
        let shuffled = (0..n_bytes).flat_map(|k| bytes.iter().skip(k).step_by(n_bytes).copied());
        let shuffled: Vec<u8> = shuffled.collect();
        drop(bytes);
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(self.level));
        encoder.write_all(&shuffled)?;
        encoder.finish()
    }
}

/// Where the chunks of a dataset are.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Vec<Place>>);

#[derive(Clone, Debug)]
struct Place {
    /// The index of the chunk's first element.
    start: Vec<u64>,
    nbytes: u32,
    address: u64,
}

impl Places {
    pub(super) fn add(&self, start: &[u64], nbytes: u32, address: u64) {
        let place = Place { start: start.to_vec(), nbytes, address };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(place);
    }

    /// The index, which is going to lie at `begin`, and the address of its root. `end` is where a chunk behind all others would
    /// begin.
    pub(super) fn index(&self, begin: u64, end: Vec<u64>) -> (Vec<u8>, u64) {
        let mut children = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        children.sort_by(|a, b| a.start.cmp(&b.start));
        let key_bytes = 8 * (end.len() + 2);
        let node_bytes = 24 + (N_CHILDREN + 1) * key_bytes + N_CHILDREN * 8;
        let last = Place { start: end, nbytes: 0, address: UNDEFINED };
        let mut tree = Vec::new();
        for level in 0_u8.. {
            let address = |i: usize| begin + (tree.len() + i * node_bytes) as u64;
            let n_nodes = children.len().div_ceil(N_CHILDREN);
            let addresses: Vec<u64> = (0..n_nodes).map(address).collect();
            let beside = |i: Option<usize>| {
                i.and_then(|i| addresses.get(i)).unwrap_or(&UNDEFINED).to_le_bytes()
            };
            for (i, own) in children.chunks(N_CHILDREN).enumerate() {
                let n = (own.len() as u16).to_le_bytes();
                let mut node = [&b"TREE"[..], &[1, level], &n].concat();
                node.extend([beside(i.checked_sub(1)), beside(Some(i + 1))].concat());
                for child in own {
                    node.extend(key(child));
                    node.extend(child.address.to_le_bytes());
                }
                node.extend(key(children.get((i + 1) * N_CHILDREN).unwrap_or(&last)));
                node.resize(node_bytes, 0);
                tree.extend(node);
            }
            if n_nodes <= 1 {
                return (tree, addresses.first().copied().unwrap_or(UNDEFINED));
            }
            let firsts = children.iter().step_by(N_CHILDREN).zip(&addresses);
            children = firsts.map(|(first, &address)| Place { address, ..first.clone() }).collect();
        }
        (tree, UNDEFINED)
    }
}

/// The length of a chunk, no filter left out, and where it begins; elements are an axis too.
fn key(place: &Place) -> Vec<u8> {
    let mut key = [place.nbytes.to_le_bytes(), [0; 4]].concat();
    key.extend(place.start.iter().chain(&[0]).flat_map(|start| start.to_le_bytes()));
    key
}
