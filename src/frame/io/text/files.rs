//! Text files as parts, plain or compressed.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::super::paths::{find_files, source_name};
use super::cuts::Cuts;
use super::scan::Quoting;
use super::slabs::Slabs;
use crate::error::{Blame, Call, Result};
use crate::storage::{Cursor, FoundFile, version_of_found};

/// Bytes that are parsed at once.
const SLAB_BYTES: usize = 1 << 20;

/// A compressed file counts as this many times its bytes; only reading it would say more.
const GZIP_RATIO: u64 = 6;

/// Files of records, in order and cut into parts. Compressed files are one part each.
#[derive(Debug)]
pub(in super::super) struct TextFiles {
    call: Call,
    name: String,
    format: &'static str,
    files: Vec<TextFile>,
    parts: Vec<(usize, usize)>,
    layout: Layout,
}

/// How records lie in files.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Layout {
    /// Bytes of a part, about.
    pub(in super::super) part_bytes: u64,
    /// What hides new lines that end no record, if anything does.
    pub(in super::super) quoting: Option<Quoting>,
    /// Lines at the start of each file that are no records, whatever is in them.
    pub(in super::super) skipped_lines: u64,
}

#[derive(Debug)]
struct TextFile {
    found: FoundFile,
    cuts: Cuts,
    is_gzip: bool,
}

impl TextFiles {
    /// Finds the files and opens none.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if there are none, [`Error::UnsupportedFile`](crate::Error::UnsupportedFile)
    /// for compression other than gzip.
    pub(in super::super) fn find(
        call: Call,
        format: &'static str,
        paths: &[impl AsRef<Path>],
        layout: Layout,
    ) -> Result<Self> {
        let found = find_files(call, paths, false)?.files;
        let name = source_name(format, paths);
        let (mut files, mut parts) = (Vec::with_capacity(found.len()), Vec::new());
        for found in found {
            let is_gzip = is_gzip(&Blame { call, path: &found.path, format })?;
            let part_bytes = if is_gzip { u64::MAX } else { layout.part_bytes };
            let cuts = Cuts::new(found.bytes, part_bytes, layout.skipped_lines, layout.quoting);
            parts.extend((0..cuts.n_parts()).map(|part| (files.len(), part)));
            files.push(TextFile { found, cuts, is_gzip });
        }
        Ok(TextFiles { call, name, format, files, parts, layout })
    }

    pub(in super::super) fn name(&self) -> &str {
        &self.name
    }

    /// Text that is another one once the records are others, or lie otherwise in parts.
    pub(in super::super) fn version(&self) -> Option<String> {
        let files = version_of_found(self.files.iter().map(|file| &file.found))?;
        Some(format!("{:?} {files}", self.layout))
    }

    pub(in super::super) fn n_parts(&self) -> usize {
        self.parts.len()
    }

    /// The file of a part, and whether the part is the first of the file.
    pub(in super::super) fn file_of(&self, part: usize) -> (usize, bool) {
        let (file, part) = self.parts[part];
        (file, part == 0)
    }

    /// Bytes of text in a part, about.
    pub(in super::super) fn text_bytes(&self, part: usize) -> u64 {
        let file = &self.files[self.parts[part].0];
        if file.is_gzip {
            return file.found.bytes.saturating_mul(GZIP_RATIO);
        }
        file.found.bytes / file.cuts.n_parts() as u64
    }

    pub(in super::super) fn blame(&self, file: usize) -> Blame<'_> {
        Blame { call: self.call, path: &self.files[file].found.path, format: self.format }
    }

    /// The records of a part.
    pub(in super::super) fn slabs(&self, part: usize) -> Result<Slabs<'_>> {
        let (file, part) = self.parts[part];
        let TextFile { cuts, is_gzip, .. } = &self.files[file];
        if *is_gzip || cuts.n_parts() == 1 {
            return self.records(file, SLAB_BYTES);
        }
        let blame = self.blame(file);
        let mut opened = self.open(file)?;
        let range = cuts.range(part, &mut opened).and_then(|(start, end)| {
            opened.seek(SeekFrom::Start(start))?;
            Ok((start, opened.until(end)?))
        });
        let (start, reader) = range.map_err(|error| blame.io(error))?;
        Ok(Slabs::new(reader, start, blame, self.layout.quoting, SLAB_BYTES))
    }

    /// All records of a file, in slabs of about so many bytes.
    pub(in super::super) fn records(&self, file: usize, slab_bytes: usize) -> Result<Slabs<'_>> {
        let slab_bytes = slab_bytes.max(1);
        let mut slabs =
            Slabs::new(self.stream(file)?, 0, self.blame(file), self.layout.quoting, slab_bytes);
        slabs.skip_lines(self.layout.skipped_lines)?;
        Ok(slabs)
    }

    /// The first records of a file, and lines from its middle and its end, which may begin within a record. Of compressed
    /// and of short files there is only the start.
    pub(in super::super) fn sample(
        &self,
        file: usize,
        bytes: usize,
    ) -> Result<(String, Vec<String>)> {
        let mut head = self.records(file, bytes)?;
        let head = head.next()?.map_or("", |slab| slab.text).to_string();
        Ok((head, self.lines_around(file, bytes as u64 / 4)?))
    }

    fn lines_around(&self, file: usize, bytes: u64) -> Result<Vec<String>> {
        let TextFile { found, is_gzip, .. } = &self.files[file];
        if *is_gzip || found.bytes / 8 < bytes {
            return Ok(Vec::new());
        }
        let blame = self.blame(file);
        let mut opened = self.open(file)?;
        let lines = [found.bytes / 2, found.bytes - bytes].map(|at| {
            let mut read = Vec::new();
            opened.seek(SeekFrom::Start(at))?;
            opened.by_ref().take(bytes).read_to_end(&mut read)?;
            let start = memchr::memchr(b'\n', &read).map_or(read.len(), |i| i + 1);
            let end = memchr::memrchr(b'\n', &read).map_or(start, |i| i + 1);
            Ok(std::str::from_utf8(&read[start..end]).unwrap_or_default().to_string())
        });
        let lines: io::Result<Vec<String>> = lines.into_iter().collect();
        lines.map_err(|error| blame.io(error))
    }

    /// The number of the line at a byte of a file, counted from 1. It reads all that is before.
    pub(in super::super) fn line_at(&self, file: usize, at: u64) -> Result<u64> {
        let mut before = self.stream(file)?.take(at);
        let (mut line, mut buffer) = (1, vec![0; 64 << 10]);
        loop {
            match before.read(&mut buffer) {
                Ok(0) => return Ok(line),
                Ok(n) => line += memchr::memchr_iter(b'\n', &buffer[..n]).count() as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.blame(file).io(error)),
            }
        }
    }

    fn open(&self, file: usize) -> Result<Cursor> {
        let opened = self.files[file].found.open(&self.blame(file))?;
        Ok(Cursor::new(Arc::new(opened), 0))
    }

    fn stream(&self, file: usize) -> Result<Box<dyn Read>> {
        let opened =
            self.open(file)?.until(u64::MAX).map_err(|error| self.blame(file).io(error))?;
        Ok(if self.files[file].is_gzip {
            Box::new(MultiGzDecoder::new(BufReader::new(opened)))
        } else {
            opened
        })
    }

    /// Bytes that reading needs besides what is parsed.
    pub(in super::super) fn scratch_bytes(&self, part: usize) -> u64 {
        let is_remote = self.files[self.parts[part].0].found.is_remote();
        if is_remote { Cursor::SCRATCH_BYTES } else { 0 }
    }
}

fn is_gzip(blame: &Blame<'_>) -> Result<bool> {
    let extension = blame.path.extension().map(|extension| extension.to_ascii_lowercase());
    match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("gz") => Ok(true),
        Some(other @ ("bz2" | "lz4" | "snappy" | "xz" | "zip" | "zst")) => {
            Err(blame.unsupported(format!("compression by .{other}"), "decompress it, or use .gz"))
        }
        _ => Ok(false),
    }
}
