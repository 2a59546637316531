//! Filters that files have and the `hdf5-reader` crate has not: LZF, which h5py brings along, and the plugins LZ4, Zstandard
//! and Blosc.
//!
//! A chunk says itself how long it is when it is decoded. Whatever it says, no more is decoded than a chunk of the file can have.

use std::sync::Arc;

use hdf5_reader::FilterRegistry;
use hdf5_reader::error::Error;

use super::storage::Bounded;

/// Numbers and names as the HDF Group registers them.
const NAMES: [(u16, &str); 13] = [
    (307, "bzip2"),
    (LZF, "LZF"),
    (BLOSC, "Blosc"),
    (LZ4, "LZ4"),
    (32_008, "Bitshuffle"),
    (32_013, "ZFP"),
    (32_014, "FPZIP"),
    (ZSTANDARD, "Zstandard"),
    (32_017, "SZ"),
    (32_018, "FCIDECOMP"),
    (32_024, "SZ3"),
    (32_026, "Blosc2"),
    (32_028, "SPERR"),
];
const LZF: u16 = 32_000;
const BLOSC: u16 = 32_001;
const LZ4: u16 = 32_004;
const ZSTANDARD: u16 = 32_015;

/// Decodes a chunk that has at most so many bytes then. The error is what is wrong with it.
type Decode = fn(&[u8], usize) -> Result<Vec<u8>, String>;

/// All filters that files of `storage` may have.
pub(super) fn registry(storage: &Arc<Bounded>) -> FilterRegistry {
    let mut registry = FilterRegistry::new();
    let mut add = |id: u16, decode: Decode| {
        let storage = Arc::clone(storage);
        let name = name_of(id).unwrap_or_default();
        let decode = move |data: &[u8]| {
            decode(data, storage.chunk_bytes_max())
                .map_err(|problem| Error::DecompressionError(format!("{name}: {problem}")))
        };
        registry.register(id, Box::new(move |_, data, _| decode(data)));
    };
    add(LZF, lzf);
    add(LZ4, lz4);
    add(ZSTANDARD, |data, most| {
        zstd::bulk::decompress(data, most).map_err(|error| error.to_string())
    });
    #[cfg(feature = "zarr")]
    add(BLOSC, blosc);
    registry
}

pub(super) fn name_of(id: u16) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == id).map(|(_, name)| *name)
}

/// Runs of bytes as they are, and copies of what stands some bytes before.
///
/// # Source
/// LibLZF, `lzf_d.c`, for the format.
fn lzf(data: &[u8], most: usize) -> Result<Vec<u8>, String> {
    const CUT: &str = "the chunk is cut";
    let mut out: Vec<u8> = Vec::new();
    let mut rest = data;
    let mut take = |n: usize| {
        let (taken, after) = rest.split_at_checked(n)?;
        rest = after;
        Some(taken)
    };
    while let Some(&[control]) = take(1) {
        let control = usize::from(control);
        if control < 32 {
            out.extend_from_slice(take(control + 1).ok_or(CUT)?);
        } else {
            let mut byte = || take(1).map(|taken| usize::from(taken[0])).ok_or(CUT);
            let len = 2 + match control >> 5 {
                7 => 7 + byte()?,
                len => len,
            };
            let back = ((control & 31) << 8) + byte()? + 1;
            let start = out.len().checked_sub(back).ok_or("a copy of what stands before it")?;
            // One may be of bytes that it makes itself.
            (start..start + len).for_each(|i| out.push(out[i]));
        }
        if out.len() > most {
            return Err(format!("more than {most} bytes"));
        }
    }
    Ok(out)
}

/// The length, the length of blocks, and each block after the length that it is stored in.
///
/// # Source
/// The HDF Group's plugin, `H5Zlz4.c`, for the format.
fn lz4(data: &[u8], most: usize) -> Result<Vec<u8>, String> {
    const CUT: &str = "the chunk is cut";
    let (head, mut rest) = data.split_at_checked(12).ok_or(CUT)?;
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |n, byte| (n << 8) | u64::from(*byte));
    let (len, block_len) = (number(&head[..8]), number(&head[8..]));
    if len > most as u64 || block_len == 0 {
        return Err(format!("{len} bytes in blocks of {block_len}, expected at most {most}"));
    }
    let mut out = vec![0; len as usize];
    for out in out.chunks_mut(block_len as usize) {
        let (head, after) = rest.split_at_checked(4).ok_or(CUT)?;
        let (block, after) = after.split_at_checked(number(head) as usize).ok_or(CUT)?;
        rest = after;
        if block.len() == out.len() {
            out.copy_from_slice(block);
            continue;
        }
        match lz4_flex::block::decompress_into(block, out) {
            Ok(n) if n == out.len() => {}
            Ok(n) => return Err(format!("a block of {n} bytes, expected {}", out.len())),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(out)
}

#[cfg(feature = "zarr")]
fn blosc(data: &[u8], most: usize) -> Result<Vec<u8>, String> {
    use zarrs::array::codec::{blosc_decompress_bytes, blosc_validate};
    let len = blosc_validate(data).ok_or("the chunk is cut")?;
    if len > most {
        return Err(format!("{len} bytes, expected at most {most}"));
    }
    match len {
        0 => Ok(Vec::new()),
        _ => blosc_decompress_bytes(data, len, 1).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_may_be_of_what_they_make() {
        // "ab", seven bytes from two before on, then "c".
        let data = [1, b'a', b'b', 5 << 5, 1, 0, b'c'];
        assert_eq!(lzf(&data, 10).unwrap(), b"ababababac");
        assert!(lzf(&data, 9).unwrap_err().contains("more than 9"));
        for n in [1, 2, 4, 6] {
            assert!(lzf(&data[..n], 10).is_err(), "cut at {n}");
        }
        assert!(lzf(&[0, b'a', 1 << 5, 1], 10).is_err(), "it begins before the first byte");
        // A long one has its length in a byte of its own.
        assert_eq!(lzf(&[0, b'x', 7 << 5, 200, 0], 1000).unwrap(), [b'x'; 210]);
    }

    #[test]
    fn blocks_of_lz4_are_as_long_as_they_say() {
        let block = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
        let packed = lz4_flex::block::compress(&[7; 100]);
        let head = |len: u64, block: u32| [&len.to_be_bytes()[..], &block.to_be_bytes()].concat();
        let data = [head(203, 100), block(&packed), block(&packed), block(b"abc")].concat();
        assert_eq!(lz4(&data, 203).unwrap(), [&[7; 200][..], b"abc"].concat());
        assert!(lz4(&data, 202).is_err());
        for n in [0, 11, 13, 20, data.len() - 1] {
            assert!(lz4(&data[..n], 203).is_err(), "cut at {n}");
        }
        assert!(lz4(&[head(50, 60), block(&packed)].concat(), 100).is_err(), "a block is longer");
        assert!(lz4(&head(1 << 60, 1), 100).is_err());
        assert!(lz4(&head(5, 0), 100).is_err());
    }
}
