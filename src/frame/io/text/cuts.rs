//! Where the parts of one file begin, exactly and without reading the file up front.
//!
//! Parts are cut at about equal bytes, and have the records that begin there. Whether the new line next to a cut ends
//! a record depends on all quotes before it. But next to a new line there are only two cases, inside of quotes and
//! outside, so a block can be scanned for both before anybody knows which it is. What it finds
//! is a few bytes that are kept, and the case of any cut follows from those of the blocks before it.
//!
//! The cost is one scan of the quotes (gigabytes a second) of the blocks before and in a part when it is first read:
//! all bytes of the file once if all parts are read, none if it is one part or has no quoted new lines by promise.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::OnceLock;

use memchr::memchr;

use super::scan::{Quoting, Scanner};

const CHUNK: u64 = 64 << 10;

/// The cuts of one file, found when they are asked for.
#[derive(Debug)]
pub(super) struct Cuts {
    bytes: u64,
    part_bytes: u64,
    skipped_lines: u64,
    quoting: Option<Quoting>,
    /// Where the lines end that are skipped.
    head: OnceLock<u64>,
    blocks: Vec<Block>,
}

/// What is known of the bytes of one part. Threads that need it at the same time may find it twice rather than wait.
#[derive(Debug, Default)]
struct Block {
    /// After the first new line in it.
    line: OnceLock<Option<u64>>,
    turn: OnceLock<Turn>,
}

/// What happens from one block's first line to that of the next.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// Whether it ends inside of quotes if it begins outside, and if it begins inside.
    ends_inside: [bool; 2],
    /// Where the first record ends if it begins inside.
    first_end: Option<u64>,
}

impl Cuts {
    /// With `quoting`, new lines in quotes are looked for.
    pub(super) fn new(
        bytes: u64,
        part_bytes: u64,
        skipped_lines: u64,
        quoting: Option<Quoting>,
    ) -> Self {
        let part_bytes = part_bytes.max(1);
        let n = bytes.div_ceil(part_bytes).max(1) as usize;
        let blocks = std::iter::repeat_with(Block::default).take(n).collect();
        Cuts { bytes, part_bytes, skipped_lines, quoting, head: OnceLock::new(), blocks }
    }

    pub(super) fn n_parts(&self) -> usize {
        self.blocks.len()
    }

    /// The bytes of a part.
    pub(super) fn range(
        &self,
        part: usize,
        file: &mut (impl Read + Seek),
    ) -> io::Result<(u64, u64)> {
        Ok((self.record_start(part, file)?, self.record_start(part + 1, file)?))
    }

    /// Where the first record begins in this block or after it.
    fn record_start(&self, block: usize, file: &mut (impl Read + Seek)) -> io::Result<u64> {
        if block == 0 {
            return self.head(file);
        }
        let Some((mut block, mut line)) = self.line_from(block, file)? else {
            return Ok(self.bytes);
        };
        if self.quoting.is_none() {
            return Ok(line);
        }
        let mut is_inside = self.is_inside(block, file)?;
        while is_inside {
            let turn = self.turn(block, file)?;
            if let Some(end) = turn.first_end {
                return Ok(end);
            }
            is_inside = turn.ends_inside[1];
            match self.line_from(block + 1, file)? {
                Some(next) => (block, line) = next,
                None => return Ok(self.bytes),
            }
        }
        Ok(line)
    }

    /// Whether the first line of a block begins inside of quotes.
    fn is_inside(&self, block: usize, file: &mut (impl Read + Seek)) -> io::Result<bool> {
        // Backwards, so that threads that begin next to each other do not begin with the same block.
        for before in (0..block).rev() {
            if self.line(before, file)?.is_some() {
                self.turn(before, file)?;
            }
        }
        let turns = self.blocks[..block].iter().filter_map(|block| block.turn.get());
        Ok(turns.fold(false, |is_inside, turn| turn.ends_inside[usize::from(is_inside)]))
    }

    fn turn(&self, block: usize, file: &mut (impl Read + Seek)) -> io::Result<Turn> {
        if let Some(turn) = self.blocks[block].turn.get() {
            return Ok(*turn);
        }
        let turn = self.scan(block, file)?;
        Ok(*self.blocks[block].turn.get_or_init(|| turn))
    }

    fn scan(&self, block: usize, file: &mut (impl Read + Seek)) -> io::Result<Turn> {
        let start = self.line(block, file)?.unwrap_or(self.bytes);
        let end = self.line_from(block + 1, file)?.map_or(self.bytes, |(_, line)| line);
        let mut scanners = [false, true].map(|inside| Scanner::new(self.quoting, inside));
        let mut first_end = None;
        file.seek(SeekFrom::Start(start))?;
        let mut buffer = vec![0; CHUNK.min(end - start) as usize];
        let mut at = start;
        while at < end {
            let chunk = &mut buffer[..CHUNK.min(end - at) as usize];
            file.read_exact(chunk)?;
            scanners[0].run(chunk);
            let ends = scanners[1].run(chunk);
            first_end = first_end.or(ends.first.map(|end| at + end as u64));
            at += chunk.len() as u64;
        }
        Ok(Turn { ends_inside: scanners.map(|scanner| scanner.is_inside()), first_end })
    }

    /// The first line that begins in this block or after it, and the block.
    fn line_from(
        &self,
        block: usize,
        file: &mut (impl Read + Seek),
    ) -> io::Result<Option<(usize, u64)>> {
        for block in block..self.blocks.len() {
            if let Some(line) = self.line(block, file)? {
                return Ok(Some((block, line)));
            }
        }
        Ok(None)
    }

    /// Where the first line begins in a block.
    fn line(&self, block: usize, file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
        if let Some(line) = self.blocks[block].line.get() {
            return Ok(*line);
        }
        let head = self.head(file)?;
        let line = if block == 0 {
            Some(head)
        } else {
            // A line begins in a block if the new line before it is no more than one byte before the block.
            let start = self.start(head, block) - 1;
            let end = self.start(head, block + 1) - 1;
            after_newline(file, start, end.min(self.bytes))?.filter(|&line| line < self.bytes)
        };
        Ok(*self.blocks[block].line.get_or_init(|| line))
    }

    fn start(&self, head: u64, block: usize) -> u64 {
        (block as u64).saturating_mul(self.part_bytes).saturating_add(head)
    }

    fn head(&self, file: &mut (impl Read + Seek)) -> io::Result<u64> {
        if let Some(head) = self.head.get() {
            return Ok(*head);
        }
        let mut head = 0;
        for _ in 0..self.skipped_lines {
            head = after_newline(file, head, self.bytes)?.unwrap_or(self.bytes);
        }
        Ok(*self.head.get_or_init(|| head))
    }
}

/// Where the first new line in these bytes of a file ends.
fn after_newline(file: &mut (impl Read + Seek), start: u64, end: u64) -> io::Result<Option<u64>> {
    let mut buffer = [0; 4 << 10];
    let mut at = start;
    while at < end {
        file.seek(SeekFrom::Start(at))?;
        let chunk = &mut buffer[..(end - at).min(4 << 10) as usize];
        file.read_exact(chunk)?;
        if let Some(n) = memchr(b'\n', chunk) {
            return Ok(Some(at + n as u64 + 1));
        }
        at += chunk.len() as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const CSV: Quoting = Quoting { delimiter: b',', quote: b'"', escape: None, comment: None };

    fn starts(text: &str, skipped: u64) -> Vec<u64> {
        let mut scanner = Scanner::new(Some(CSV), false);
        let mut starts = vec![skipped];
        for (i, byte) in text.bytes().enumerate().skip(skipped as usize) {
            starts.extend(scanner.run(&[byte]).last.map(|_| i as u64 + 1));
        }
        starts
    }

    #[test]
    fn every_cut_is_at_a_record_and_none_is_lost() {
        let text = "a,b\n\"x\n\ny\",\"\"\"\n\"\n1,2\n5\" x,\"\n\n\n\n\n\"\n\"\n\"long,\nlong\"\" line\",3\n,\n";
        for skipped_lines in [0, 1] {
            let head = if skipped_lines == 0 { 0 } else { 4 };
            let starts = starts(text, head);
            for part_bytes in 1..=text.len() as u64 + 1 {
                for is_reversed in [false, true] {
                    let mut file = Cursor::new(text);
                    let bytes = text.len() as u64;
                    let cuts = Cuts::new(bytes, part_bytes, skipped_lines, Some(CSV));
                    let mut parts: Vec<usize> = (0..cuts.n_parts()).collect();
                    if is_reversed {
                        parts.reverse();
                    }
                    let mut ranges: Vec<_> =
                        parts.iter().map(|&part| cuts.range(part, &mut file).unwrap()).collect();
                    ranges.sort();
                    assert_eq!((ranges[0].0, ranges[ranges.len() - 1].1), (head, bytes));
                    assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0), "{ranges:?}");
                    assert!(ranges.iter().all(|(start, _)| starts.contains(start)), "{ranges:?}");
                    // A part has no record that begins after the bytes it was given.
                    let last = |end: u64| starts.iter().rev().find(|&&start| start < end);
                    for (part, &(start, end)) in ranges.iter().enumerate() {
                        let own = head + (part as u64 + 1) * part_bytes;
                        assert!(start == end || last(end).is_none_or(|&start| start < own + 30));
                    }
                }
            }
        }
    }

    #[test]
    fn without_quoting_every_line_counts() {
        let mut file = Cursor::new("\"\n\"\n\"\n\"\n");
        let cuts = Cuts::new(8, 4, 0, None);
        assert_eq!(cuts.range(0, &mut file).unwrap(), (0, 4));
        assert_eq!(cuts.range(1, &mut file).unwrap(), (4, 8));
    }
}
