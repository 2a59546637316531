//! A part as a sequence of slabs, each of whole records and small enough for a cache.

use std::io::{self, Read};

use super::scan::{Quoting, Scanner};
use crate::error::{Blame, Error, Result};

/// A record longer than this is more likely a quote that nobody closed than a record.
const RECORD_BYTES_MAX: usize = 256 << 20;

/// Reads records in slabs.
pub(in super::super) struct Slabs<'a> {
    reader: Box<dyn Read>,
    blame: Blame<'a>,
    quoting: Option<Quoting>,
    slab_bytes: usize,
    /// What was read, of which the first `taken` bytes were handed out.
    buffer: Vec<u8>,
    taken: usize,
    /// Where in the file the buffer begins.
    at: u64,
    is_end: bool,
}

/// Whole records, as UTF-8 and as they are in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slab<'a> {
    pub(in super::super) text: &'a str,
    /// Where in the file it begins.
    pub(in super::super) at: u64,
}

impl<'a> Slabs<'a> {
    /// Slabs of the bytes of `reader`, which begin at a record and at the byte `at` of the file.
    pub(super) fn new(
        reader: Box<dyn Read>,
        at: u64,
        blame: Blame<'a>,
        quoting: Option<Quoting>,
        slab_bytes: usize,
    ) -> Self {
        let buffer = Vec::new();
        Slabs { reader, blame, quoting, slab_bytes, buffer, taken: 0, at, is_end: false }
    }

    /// Passes over this many lines, whatever is in them.
    pub(super) fn skip_lines(&mut self, n: u64) -> Result<()> {
        for _ in 0..n {
            loop {
                self.drop_taken();
                if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                    self.taken = end + 1;
                    break;
                }
                self.taken = self.buffer.len();
                if self.is_end {
                    return Ok(());
                }
                self.fill(self.slab_bytes)?;
            }
        }
        Ok(())
    }

    /// The next slab; None at the end.
    ///
    /// # Errors
    /// [`Error::CorruptFile`] for bytes that are not UTF-8 and for quotes that are not closed.
    pub(in super::super) fn next(&mut self) -> Result<Option<Slab<'_>>> {
        self.drop_taken();
        self.fill(self.slab_bytes)?;
        let mut scanner = Scanner::new(self.quoting, false);
        let mut scanned = 0;
        loop {
            let ends = scanner.run(&self.buffer[scanned..]);
            if let Some(end) = ends.last.filter(|_| !self.is_end) {
                self.taken = scanned + end;
                break;
            }
            if self.is_end {
                if scanner.is_inside() {
                    return Err(self.unclosed("at the end of the file"));
                }
                self.taken = self.buffer.len();
                break;
            }
            if self.buffer.len() >= RECORD_BYTES_MAX {
                return Err(self.unclosed("after 256 MiB"));
            }
            scanned = self.buffer.len();
            self.fill(scanned * 2)?;
        }
        if self.taken == 0 {
            return Ok(None);
        }
        match std::str::from_utf8(&self.buffer[..self.taken]) {
            Ok(text) => Ok(Some(Slab { text, at: self.at })),
            Err(error) => Err(self.not_utf8(error.valid_up_to())),
        }
    }

    fn drop_taken(&mut self) {
        self.buffer.drain(..self.taken);
        self.at += self.taken as u64;
        self.taken = 0;
    }

    /// Reads until the buffer has so many bytes or the end comes.
    fn fill(&mut self, bytes: usize) -> Result<()> {
        let wanted = bytes.saturating_sub(self.buffer.len()) as u64;
        let read = self.reader.by_ref().take(wanted).read_to_end(&mut self.buffer);
        let read = read.map_err(|error| match error.kind() {
            // What decompression says of damaged files.
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof => self.blame.corrupt(error.to_string()),
            _ => self.blame.io(error),
        })?;
        self.is_end = self.is_end || (read as u64) < wanted;
        Ok(())
    }

    fn not_utf8(&self, i: usize) -> Error {
        let (at, byte) = (self.at + i as u64, self.buffer[i]);
        let problem = format!("byte {at} is 0x{byte:02X}, expected UTF-8; convert the file");
        self.blame.corrupt(problem)
    }

    fn unclosed(&self, place: &str) -> Error {
        let before = Scanner::new(self.quoting, false).run(&self.buffer).last.unwrap_or(0);
        let at = self.at + before as u64;
        let problem = format!("a quoted field in the record at byte {at} is still open {place}");
        self.blame.corrupt(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Call;
    use std::path::Path;

    const CSV: Quoting = Quoting { delimiter: b',', quote: b'"', escape: None, comment: None };

    fn slabs(text: &'static [u8], slab_bytes: usize, skipped: u64) -> Result<Vec<(u64, String)>> {
        let blame = Blame { call: Call::new("test"), path: Path::new("x"), format: "CSV" };
        let mut slabs = Slabs::new(Box::new(text), 0, blame, Some(CSV), slab_bytes);
        slabs.skip_lines(skipped)?;
        let mut all = Vec::new();
        while let Some(slab) = slabs.next()? {
            all.push((slab.at, slab.text.to_string()));
        }
        Ok(all)
    }

    #[test]
    fn slabs_are_whole_records() {
        let text = "a,b\n\"x\ny\",1\nlong long long,\"\n\"\nend";
        for slab_bytes in 1..50 {
            for skipped in [0, 1, 9] {
                let slabs = slabs(text.as_bytes(), slab_bytes, skipped).unwrap();
                let joined: String = slabs.iter().map(|(_, text)| text.as_str()).collect();
                assert_eq!(joined, &text[[0, 4, text.len()][skipped.min(2) as usize]..]);
                for (at, slab) in &slabs {
                    assert!([0, 4, 12, 31].contains(at), "{slabs:?}");
                    assert!(text[*at as usize..].starts_with(slab));
                }
            }
        }
    }

    #[test]
    fn open_quotes_and_other_encodings_are_errors() {
        let error = slabs(b"a\n\"b\nc\n", 4, 0).unwrap_err().to_string();
        assert!(error.contains("byte 2 is still open at the end"), "{error}");
        let error = slabs(b"a\nb\n\xE9t\xE9\n", 2, 0).unwrap_err().to_string();
        assert!(error.contains("byte 4 is 0xE9, expected UTF-8"), "{error}");
    }
}
