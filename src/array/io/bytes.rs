//! Elements as bytes of either byte order.

use std::io::{self, Read, Write};

use num_complex::Complex;
use pulp::bytemuck::{cast_slice, cast_slice_mut};

/// The order of the bytes of one number in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl ByteOrder {
    /// The order of this machine.
    pub const NATIVE: ByteOrder =
        if cfg!(target_endian = "little") { ByteOrder::Little } else { ByteOrder::Big };
}

/// Elements that have a form of fixed length in files.
pub trait Stored: Copy {
    /// The element in the `size_of::<Self>()` bytes of `bytes`.
    fn decode(bytes: &[u8], order: ByteOrder) -> Self;

    /// Writes the element to the `size_of::<Self>()` bytes of `bytes`.
    fn encode(self, order: ByteOrder, bytes: &mut [u8]);

    /// The bytes of elements in the order of this machine, where they need no encoding.
    fn bytes(_items: &[Self]) -> Option<&[u8]> {
        None
    }

    /// The same to be written to, where all bytes are elements.
    fn bytes_mut(_items: &mut [Self]) -> Option<&mut [u8]> {
        None
    }
}

/// Elements that lie in memory as they do in files.
macro_rules! as_they_lie {
    () => {
        #[inline]
        fn bytes(items: &[Self]) -> Option<&[u8]> {
            Some(cast_slice(items))
        }

        #[inline]
        fn bytes_mut(items: &mut [Self]) -> Option<&mut [u8]> {
            Some(cast_slice_mut(items))
        }
    };
}

macro_rules! stored_numbers {
    ($($t:ty),*) => {$(
        impl Stored for $t {
            #[inline]
            fn decode(bytes: &[u8], order: ByteOrder) -> Self {
                let bytes = bytes.try_into().expect("the slice has the element's length");
                match order {
                    ByteOrder::Little => <$t>::from_le_bytes(bytes),
                    ByteOrder::Big => <$t>::from_be_bytes(bytes),
                }
            }

            #[inline]
            fn encode(self, order: ByteOrder, bytes: &mut [u8]) {
                bytes.copy_from_slice(&match order {
                    ByteOrder::Little => self.to_le_bytes(),
                    ByteOrder::Big => self.to_be_bytes(),
                });
            }

            as_they_lie!();
        }
    )*};
}
stored_numbers!(i8, i16, i32, i64, u8, u16, u32, u64, f32, f64);

impl Stored for bool {
    #[inline]
    fn decode(bytes: &[u8], _order: ByteOrder) -> Self {
        bytes[0] != 0
    }

    #[inline]
    fn encode(self, _order: ByteOrder, bytes: &mut [u8]) {
        bytes[0] = u8::from(self);
    }
}

macro_rules! stored_pairs {
    ($($t:ty),*) => {$(
        impl Stored for Complex<$t> {
            #[inline]
            fn decode(bytes: &[u8], order: ByteOrder) -> Self {
                let (re, im) = bytes.split_at(size_of::<$t>());
                Complex { re: <$t>::decode(re, order), im: <$t>::decode(im, order) }
            }

            #[inline]
            fn encode(self, order: ByteOrder, bytes: &mut [u8]) {
                let (re, im) = bytes.split_at_mut(size_of::<$t>());
                self.re.encode(order, re);
                self.im.encode(order, im);
            }

            as_they_lie!();
        }
    )*};
}
stored_pairs!(f32, f64);

/// One after the other; what is left of the bytes stays as it is.
impl<A: Stored, B: Stored> Stored for (A, B) {
    #[inline]
    fn decode(bytes: &[u8], order: ByteOrder) -> Self {
        let (first, rest) = bytes.split_at(size_of::<A>());
        (A::decode(first, order), B::decode(&rest[..size_of::<B>()], order))
    }

    #[inline]
    fn encode(self, order: ByteOrder, bytes: &mut [u8]) {
        let (first, rest) = bytes.split_at_mut(size_of::<A>());
        self.0.encode(order, first);
        self.1.encode(order, &mut rest[..size_of::<B>()]);
    }
}

/// As pairs are.
impl<A: Stored, B: Stored, C: Stored> Stored for (A, B, C) {
    #[inline]
    fn decode(bytes: &[u8], order: ByteOrder) -> Self {
        let (first, rest) = bytes.split_at(size_of::<A>());
        let (second, rest) = rest.split_at(size_of::<B>());
        (
            A::decode(first, order),
            B::decode(second, order),
            C::decode(&rest[..size_of::<C>()], order),
        )
    }

    #[inline]
    fn encode(self, order: ByteOrder, bytes: &mut [u8]) {
        let (first, rest) = bytes.split_at_mut(size_of::<A>());
        let (second, rest) = rest.split_at_mut(size_of::<B>());
        self.0.encode(order, first);
        self.1.encode(order, second);
        self.2.encode(order, &mut rest[..size_of::<C>()]);
    }
}

/// Decodes `bytes` to the elements of `out`, which takes exactly as many.
pub(crate) fn decode_slice<T: Stored>(bytes: &[u8], order: ByteOrder, out: &mut [T]) {
    debug_assert_eq!(bytes.len(), size_of_val(out));
    match order {
        // Two loops, so that each is a plain copy or a plain byte swap.
        ByteOrder::Little => {
            for (item, bytes) in out.iter_mut().zip(bytes.chunks_exact(size_of::<T>())) {
                *item = T::decode(bytes, ByteOrder::Little);
            }
        }
        ByteOrder::Big => {
            for (item, bytes) in out.iter_mut().zip(bytes.chunks_exact(size_of::<T>())) {
                *item = T::decode(bytes, ByteOrder::Big);
            }
        }
    }
}

/// Encodes the elements of `items` to `bytes`, which has exactly their length.
pub(crate) fn encode_slice<T: Stored>(items: &[T], order: ByteOrder, bytes: &mut [u8]) {
    debug_assert_eq!(bytes.len(), size_of_val(items));
    for (item, bytes) in items.iter().zip(bytes.chunks_exact_mut(size_of::<T>())) {
        item.encode(order, bytes);
    }
}

/// So many bytes are written or read at a time, so that they are in the cache when their checksum is taken.
const STRIP_BYTES: usize = 1 << 18;

/// Elements in the form of files, strip by strip: those that have to be encoded go through the same memory.
#[derive(Debug)]
pub(crate) struct Strips(Vec<u8>);

impl Strips {
    pub(crate) fn new() -> Self {
        Strips(Vec::new())
    }

    fn strip(&mut self, n_bytes: usize) -> &mut [u8] {
        self.0.resize(self.0.len().max(STRIP_BYTES), 0);
        &mut self.0[..n_bytes]
    }

    /// Elements of one strip.
    pub(crate) const fn len_of<T>() -> usize {
        STRIP_BYTES / size_of::<T>()
    }

    /// Writes elements in the byte order of this machine.
    pub(crate) fn write<T: Stored>(&mut self, items: &[T], to: &mut dyn Write) -> io::Result<()> {
        if let Some(bytes) = T::bytes(items) {
            return bytes.chunks(STRIP_BYTES).try_for_each(|strip| to.write_all(strip));
        }
        items.chunks(Self::len_of::<T>()).try_for_each(|strip| {
            let bytes = self.strip(size_of_val(strip));
            encode_slice(strip, ByteOrder::NATIVE, bytes);
            to.write_all(bytes)
        })
    }

    /// Fills `items` with what [`write`](Self::write) wrote.
    pub(crate) fn fill<T: Stored>(
        &mut self,
        from: &mut dyn Read,
        items: &mut [T],
    ) -> io::Result<()> {
        if let Some(bytes) = T::bytes_mut(items) {
            return bytes.chunks_mut(STRIP_BYTES).try_for_each(|strip| from.read_exact(strip));
        }
        items.chunks_mut(Self::len_of::<T>()).try_for_each(|strip| {
            let bytes = self.strip(size_of_val(strip));
            from.read_exact(bytes)?;
            decode_slice(bytes, ByteOrder::NATIVE, strip);
            Ok(())
        })
    }

    /// The next `n` elements of what [`write`](Self::write) wrote.
    pub(crate) fn read<T: Stored>(&mut self, from: &mut dyn Read, n: usize) -> io::Result<Vec<T>> {
        let mut items = Vec::with_capacity(n);
        while items.len() < n {
            let n_bytes = Self::len_of::<T>().min(n - items.len()) * size_of::<T>();
            let bytes = self.strip(n_bytes);
            from.read_exact(bytes)?;
            let decoded = bytes.chunks_exact(size_of::<T>());
            items.extend(decoded.map(|bytes| T::decode(bytes, ByteOrder::NATIVE)));
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_round_trip() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let items = [Complex::new(1.5f32, -2.0), Complex::new(f32::NAN, 0.0)];
            let mut bytes = [0; 16];
            encode_slice(&items, order, &mut bytes);
            let mut back = [Complex::default(); 2];
            decode_slice(&bytes, order, &mut back);
            assert_eq!(back[0], items[0]);
            assert!(back[1].re.is_nan());
        }
    }

    #[test]
    fn strips_come_back_in_their_order() {
        let triples: Vec<(u8, i64, f32)> =
            (0..40_000).map(|i| (i as u8, -i, i as f32 / 3.0)).collect();
        let flags: Vec<bool> = (0..7).map(|i| i % 3 == 0).collect();
        let mut strips = Strips::new();
        let mut file = Vec::new();
        strips.write(&triples, &mut file).unwrap();
        strips.write(&flags, &mut file).unwrap();
        let mut rest = file.as_slice();
        assert_eq!(strips.read::<(u8, i64, f32)>(&mut rest, triples.len()).unwrap(), triples);
        let mut back = [false; 7];
        strips.fill(&mut rest, &mut back).unwrap();
        assert_eq!((&back[..], rest), (&flags[..], &[][..]));
        assert!(strips.read::<u8>(&mut rest, 1).is_err(), "there is no more");
    }

    #[test]
    fn big_endian_is_big_endian() {
        assert_eq!(i32::decode(&[0, 0, 1, 2], ByteOrder::Big), 258);
        assert_eq!(u16::decode(&[1, 2], ByteOrder::Little), 513);
        assert!(bool::decode(&[7], ByteOrder::Big));
    }
}
