//! Where the fields of simple records end.
//!
//! Which bytes are within quotes is the parity of the quotes before them. That is wrong after a quote in the midst of a
//! field, which is text; so each field that has a quote has to have one at its start, one at its end, and two for each one
//! that is text, or all is declined.

/// Bytes that have a meaning besides new lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) delimiter: u8,
    /// None if the text has none.
    pub(super) quote: Option<u8>,
}

/// Records that all have the same number of fields.
pub(super) struct Records<'a> {
    text: &'a str,
    n_columns: usize,
    pub(super) quote: Option<u8>,
    /// Where each field ends, after one that ends before the text.
    ends: Vec<u32>,
    /// The bytes at the end of each record that are not of its last field.
    n_returns: u32,
}

impl<'a> Records<'a> {
    /// None if a record has more or fewer fields than there are columns, if there are empty lines, or quotes that do not
    /// stand around fields.
    pub(super) fn find(text: &'a str, marks: Marks, n_columns: usize) -> Option<Self> {
        let bytes = text.as_bytes();
        let counts = Counts::of(bytes, marks)?;
        let has_open_end = counts.has_open_end;
        let n_rows = counts.n_lines + usize::from(has_open_end);
        // Every field has an end, so that fewer bytes can't be as many fields: nothing is allocated for them.
        let n_fields = n_rows.checked_mul(n_columns).filter(|&n| n <= bytes.len() + 1)?;
        let mut ends = find_ends(bytes, marks, n_fields)?;
        if has_open_end {
            ends.push(bytes.len() as u32);
        }
        // There are as many lines as records, so that if each record ends with a line, none ends within one.
        let is_line_end = |end: u32| bytes.get(end as usize).is_none_or(|&byte| byte == b'\n');
        let mut records = ends[1..].chunks_exact(n_columns);
        let is_regular = records.all(|ends| is_line_end(ends[n_columns - 1]));
        // An empty line is no record, and looks like an empty one only if there is one column.
        if ends.len() != n_fields + 1 || !is_regular || n_columns == 1 {
            return None;
        }
        let n_returns = match counts.n_returns {
            0 => 0,
            // A carriage return that is not before a new line would end a record too.
            n => {
                let mut lines = ends[1..].chunks_exact(n_columns).map(|ends| ends[n_columns - 1]);
                let has_return = |end: u32| end > 0 && bytes[end as usize - 1] == b'\r';
                (n == n_rows && lines.all(has_return)).then_some(1)?
            }
        };
        let records = Records { text, n_columns, quote: marks.quote, ends, n_returns };
        records.are_quoted_whole().then_some(records)
    }

    /// Whether quotes stand around fields, and each one that is text is doubled.
    fn are_quoted_whole(&self) -> bool {
        let Some(quote) = self.quote else { return true };
        (0..self.n_columns).all(|column| {
            self.fields(column).all(|field| {
                let mut quotes = memchr::memchr_iter(quote, field.as_bytes());
                match quotes.next() {
                    None => true,
                    Some(0) => {
                        // Between the first and the last of them they come in pairs.
                        let mut before = 0;
                        let last = loop {
                            let Some(at) = quotes.next() else { break before };
                            let Some(next) = quotes.next() else { break at };
                            if next != at + 1 {
                                return false;
                            }
                            before = next;
                        };
                        last > 0 && last + 1 == field.len() && before < last
                    }
                    Some(_) => false,
                }
            })
        })
    }

    pub(super) fn n_rows(&self) -> usize {
        (self.ends.len() - 1) / self.n_columns
    }

    /// The fields of a column, with their quotes.
    pub(super) fn fields(&self, column: usize) -> impl ExactSizeIterator<Item = &'a str> {
        let is_last = column + 1 == self.n_columns;
        let n_returns = if is_last { self.n_returns } else { 0 };
        let text = self.text;
        let ends = self.ends.get(column..).unwrap_or_default().windows(2).step_by(self.n_columns);
        ends.map(move |ends| {
            &text[ends[0].wrapping_add(1) as usize..(ends[1] - n_returns) as usize]
        })
    }
}

/// What there is of a text outside of quotes.
struct Counts {
    n_lines: usize,
    n_returns: usize,
    /// Whether the last record ends with the text instead of a new line.
    has_open_end: bool,
}

impl Counts {
    /// None if the last quote is not closed.
    fn of(text: &[u8], marks: Marks) -> Option<Self> {
        let has_open_end = text.last().is_some_and(|&byte| byte != b'\n');
        let Some(quote) = marks.quote else {
            let count = |byte| memchr::memchr_iter(byte, text).count();
            return Some(Counts { n_lines: count(b'\n'), n_returns: count(b'\r'), has_open_end });
        };
        let mut inside = Inside::default();
        let (mut n_lines, mut n_returns) = (0, 0);
        let mut count = |block: &[u8; 64]| {
            let outside = !inside.next(bytes_in(block, [quote]));
            n_lines += (bytes_in(block, [b'\n']) & outside).count_ones() as usize;
            n_returns += (bytes_in(block, [b'\r']) & outside).count_ones() as usize;
        };
        let (blocks, rest) = text.as_chunks::<64>();
        blocks.iter().for_each(&mut count);
        count(&padded(rest));
        (!inside.is_open()).then_some(Counts { n_lines, n_returns, has_open_end })
    }
}

/// Which bytes are within quotes, block after block.
#[derive(Default)]
struct Inside(u64);

impl Inside {
    /// A bit for each byte of the next block that is behind an odd number of quotes, where `quotes` has a bit for each.
    fn next(&mut self, quotes: u64) -> u64 {
        // The parity of all bits up to each one.
        let parity = (0..6).fold(quotes, |parity, i| parity ^ (parity << (1 << i)));
        let inside = parity ^ self.0;
        // All ones if the last byte is inside.
        self.0 = ((inside as i64) >> 63) as u64;
        inside
    }

    fn is_open(&self) -> bool {
        self.0 != 0
    }
}

/// The last bytes as a block; none of those behind them has a meaning.
fn padded(rest: &[u8]) -> [u8; 64] {
    let mut block = [0; 64];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Where delimiters and new lines are outside of quotes, after one before the text; None if they are more than expected.
fn find_ends(text: &[u8], marks: Marks, n_expected: usize) -> Option<Vec<u32>> {
    /// So many are written at once, whether they are there or not, because that is no branch.
    const STEP: usize = 8;
    let mut ends = vec![0; n_expected + 1 + 64];
    ends[0] = u32::MAX;
    let mut n = 1;
    let mut at = 0_u32;
    let mut inside = Inside::default();
    let mut add = |block: &[u8; 64]| -> Option<()> {
        let mut found = bytes_in(block, [marks.delimiter, b'\n']);
        if let Some(quote) = marks.quote {
            found &= !inside.next(bytes_in(block, [quote]));
        }
        let n_found = found.count_ones() as usize;
        let room = ends.get_mut(n..n + 64)?;
        for room in room.chunks_exact_mut(STEP).take(n_found.div_ceil(STEP)) {
            for end in room {
                *end = at + found.trailing_zeros();
                found &= found.wrapping_sub(1);
            }
        }
        n += n_found;
        at += 64;
        Some(())
    };
    let (blocks, rest) = text.as_chunks::<64>();
    blocks.iter().try_for_each(&mut add)?;
    // A delimiter of zero bytes would be found behind the text.
    if marks.delimiter == 0 {
        return None;
    }
    add(&padded(rest))?;
    ends.truncate(n);
    Some(ends)
}

/// A bit for each byte of a block that is one of these.
fn bytes_in<const N: usize>(block: &[u8; 64], bytes: [u8; N]) -> u64 {
    let (words, _) = block.as_chunks::<8>();
    let mut bits = 0;
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = bytes.iter().fold(0, |found, &byte| found | equal_bytes(word, byte));
        // Moves the highest bits of all bytes together.
        bits |= ((found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    bits
}

/// The highest bit of each byte of a word that is this one.
///
/// # Source
/// H. S. Warren, *Hacker's Delight*, 2nd edition, 6-1.
fn equal_bytes(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let difference = word ^ (u64::from(byte) * 0x0101_0101_0101_0101);
    !(((difference & LOW) + LOW) | difference | LOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_allocated_for_fields_that_text_can_not_have() {
        // A terabyte of ends of fields, if there were as many.
        for quote in [None, Some(b'"')] {
            let marks = Marks { delimiter: b',', quote };
            assert!(Records::find(&"\n".repeat(1 << 18), marks, 1 << 20).is_none());
            assert!(Records::find("\n\n\n\n", marks, usize::MAX / 2).is_none());
        }
    }

    #[test]
    fn ends_are_found_by_words_as_by_bytes() {
        let mut block = [0; 64];
        for (i, byte) in block.iter_mut().enumerate() {
            *byte = [b',', b'\n', 0x00, 0xff, b'-', 0x8a, 0x0b, 0xac][((i * i) ^ (i / 9)) % 8];
        }
        for (i, byte) in block.into_iter().enumerate() {
            let is_end = byte == b',' || byte == b'\n';
            let found = bytes_in(&block, [b',', b'\n']);
            assert_eq!((found >> i) & 1 == 1, is_end, "{byte:#x} at {i}");
        }
    }
}
