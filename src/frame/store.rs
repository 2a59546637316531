//! Computing frames into files: a collection whose blocks go to a writer.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use polars_core::prelude::SchemaRef;

use super::handle::DataFrame;
use super::io::{
    CsvWriteOptions, CsvWriter, IpcWriteOptions, IpcWriter, NdjsonWriteOptions, NdjsonWriter,
    ParquetWriteOptions, ParquetWriter, Writer,
};
use super::partition::frame;
use crate::compute::{Collection, Collector, Session};
use crate::error::{Call, Error, Result};
use crate::graph::Block;
use crate::storage::{Location, UPLOAD_BYTES};

/// Into what a frame is written.
#[derive(Clone, Debug)]
pub(super) enum Format {
    Parquet(ParquetWriteOptions),
    /// As one file or as one for each partition.
    Csv(CsvWriteOptions, bool),
    Ndjson(NdjsonWriteOptions, bool),
    Ipc(IpcWriteOptions),
}

/// A frame to be computed into files.
pub(super) struct StoreFrame<'a> {
    pub(super) frame: &'a DataFrame,
    pub(super) call: Call,
    pub(super) path: &'a Path,
    pub(super) format: Format,
}

/// A write with the defaults of a format, for those who measure it.
#[track_caller]
pub(crate) fn write_of<'a>(
    frame: &'a DataFrame,
    path: &'a Path,
    format: &str,
    partition_on: &[&str],
) -> impl Collection + use<'a> {
    let format = match format {
        "csv" => Format::Csv(CsvWriteOptions::default(), false),
        "ndjson" => Format::Ndjson(NdjsonWriteOptions::default(), false),
        "ipc" => Format::Ipc(IpcWriteOptions::default()),
        _ => {
            let partition_on = partition_on.iter().map(|name| (*name).to_owned()).collect();
            Format::Parquet(ParquetWriteOptions { partition_on, ..Default::default() })
        }
    };
    StoreFrame { frame, call: Call::new("write"), path, format }
}

/// Hands partitions to a writer, which is made when the run starts.
struct Write {
    call: Call,
    path: PathBuf,
    schema: SchemaRef,
    format: Format,
    writer: RwLock<Option<Box<dyn Writer>>>,
}

impl Write {
    fn open(&self) -> Result<Box<dyn Writer>> {
        let Write { call, path, schema, .. } = self;
        Ok(match &self.format {
            Format::Parquet(options) => {
                Box::new(ParquetWriter::create(*call, path, schema, options.clone())?)
            }
            Format::Ndjson(options, is_single_file) => {
                Box::new(NdjsonWriter::create(*call, path, schema, options, *is_single_file)?)
            }
            Format::Ipc(options) => {
                Box::new(IpcWriter::create(*call, path, schema, options.clone())?)
            }
            Format::Csv(options, is_single_file) => {
                Box::new(CsvWriter::create(*call, path, schema, options.clone(), *is_single_file)?)
            }
        })
    }
}

impl Collector for Write {
    fn start(&self, _n_blocks: u64) -> Result<()> {
        let writer = self.open()?;
        *self.writer.write().unwrap_or_else(PoisonError::into_inner) = Some(writer);
        Ok(())
    }

    fn scratch_bytes(&self, block_bytes: u64) -> u64 {
        let encoder = match &self.format {
            Format::Parquet(options) => {
                // What goes into one directory is a copy of its rows.
                let copied = if options.partition_on.is_empty() { 0 } else { block_bytes };
                let encoder = ParquetWriter::scratch_bytes(&self.schema, block_bytes);
                encoder.saturating_add(copied)
            }
            // Rows become text in small batches.
            Format::Csv(..) | Format::Ndjson(..) => 0,
            // Pieces become one, and texts that no row has are left behind.
            Format::Ipc(_) => block_bytes.saturating_mul(2),
        };
        // What goes to a store waits here until there is enough for a request.
        match Location::of(self.call, &self.path) {
            Ok(place) if place.local().is_none() => encoder.saturating_add(UPLOAD_BYTES),
            _ => encoder,
        }
    }

    fn accept(&self, part: usize, value: Block) -> Result<()> {
        let writer = self.writer.read().unwrap_or_else(PoisonError::into_inner);
        let writer = writer.as_ref().ok_or_else(not_started)?;
        writer.write(part, &frame(value))
    }
}

fn not_started() -> Error {
    Error::Internal { place: "writing a frame".into(), problem: "the run has not started".into() }
}

/// A frame that is being written.
pub(super) struct PendingWrite(Arc<Write>);

impl fmt::Debug for PendingWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PendingWrite").field(&self.0.path).finish()
    }
}

impl Collection for StoreFrame<'_> {
    type Output = ();
    type Pending = PendingWrite;

    fn enlist(&self, session: &mut Session) -> Result<PendingWrite> {
        let node = self.frame.handle().node()?;
        let write = Arc::new(Write {
            call: self.call,
            path: self.path.to_owned(),
            schema: Arc::clone(&node.meta.schema),
            format: self.format.clone(),
            writer: RwLock::new(None),
        });
        session.add_frame(Arc::clone(node), Arc::clone(&write) as Arc<dyn Collector>);
        Ok(PendingWrite(write))
    }

    fn collect(pending: PendingWrite) -> Result<()> {
        let writer = pending.0.writer.write().unwrap_or_else(PoisonError::into_inner).take();
        writer.ok_or_else(not_started)?.finish()
    }
}
