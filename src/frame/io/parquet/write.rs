//! Writing frames part by part into a directory of Parquet files, or into one file.
//!
//! Everything is written in a hidden directory beside the target, which takes the place of the target at the end.
//! Appending moves the new files in among the old ones, whole: there a crash can leave some of them.

use std::collections::HashSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnPath;
use polars_core::prelude::{
    AnyValue, Column, DataFrame, DataType, IdxSize, PlSmallStr, PolarsResult, Schema, SchemaRef,
};

use super::super::hive::directory_name;
use super::memory::encoder_bytes;
use super::options::{IfExists, ParquetCompression, ParquetOptions, ParquetWriteOptions};
use super::source::ParquetFiles;
use crate::atomic::sync_dir;
use crate::error::{Blame, Call, Error, Result};
use crate::frame::interop::{arrow_schema, to_record_batches};
use crate::storage::NewDir;

/// A directory of Parquet files that appears at [`finish`](Self::finish).
///
/// Parts may be written by several threads and in any order.
#[derive(Debug)]
pub(crate) struct ParquetWriter {
    call: Call,
    target: PathBuf,
    dir: NewDir,
    schema: SchemaRef,
    /// The columns of the files: those of `schema` that are no directories.
    own: Vec<PlSmallStr>,
    partition_on: Vec<PlSmallStr>,
    options: ParquetWriteOptions,
    /// The number of part 0 in names of files.
    first_number: u64,
    /// What follows the number in names of files.
    run: String,
    /// Files so far, as paths below the directory, and the parts they belong to.
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    parts: HashSet<usize>,
    files: Vec<PathBuf>,
}

impl ParquetWriter {
    /// Prepares to write frames of this schema into the directory `target`.
    ///
    /// # Errors
    /// [`Error::Io`] if something is there and must not be; [`Error::SchemaMismatch`] if what is there has other
    /// columns; [`Error::UnknownColumn`] for a partition column that is not in the schema.
    pub(crate) fn create(
        call: Call,
        target: &Path,
        schema: &SchemaRef,
        options: ParquetWriteOptions,
    ) -> Result<Self> {
        let blame = Blame { call, path: target, format: "Parquet" };
        let partition_on: Vec<PlSmallStr> =
            options.partition_on.iter().map(|name| name.as_str().into()).collect();
        check_partitions(call, schema, &partition_on)?;
        let own: Vec<PlSmallStr> =
            schema.iter_names().filter(|name| !partition_on.contains(name)).cloned().collect();
        check_writable(&blame, &schema_of(schema, &own))?;
        let exists = NewDir::is_taken(call, target)?;
        let mut first_number = 0;
        if exists {
            match options.if_exists {
                IfExists::Error => return Err(blame.io(io::ErrorKind::AlreadyExists.into())),
                IfExists::Overwrite => {}
                IfExists::Append => {
                    first_number = check_append(call, target, schema, &partition_on)?;
                }
            }
        }
        let dir = NewDir::create(call, target)?;
        // Stores replace what has the same name, and others may append at the same time.
        let is_shared = options.if_exists == IfExists::Append && dir.local().is_none();
        let run = if is_shared { format!("-{:016x}", random()) } else { String::new() };
        let (target, schema) = (dir.target().to_path_buf(), Arc::clone(schema));
        let written = Mutex::default();
        Ok(ParquetWriter {
            call,
            target,
            dir,
            schema,
            own,
            partition_on,
            options,
            first_number,
            run,
            written,
        })
    }

    /// Bytes that writing a part of so many takes besides, at most.
    pub(crate) fn scratch_bytes(schema: &Schema, bytes: u64) -> u64 {
        encoder_bytes(schema, bytes)
    }

    fn blame(&self) -> Blame<'_> {
        Blame { call: self.call, path: &self.target, format: "Parquet" }
    }

    /// Writes the rows of a part, each part once.
    pub(crate) fn write(&self, part: usize, frame: &DataFrame) -> Result<()> {
        check_schema(self.call, frame.schema(), &self.schema)?;
        if !self.lock().parts.insert(part) {
            let place = "ParquetWriter::write".to_string();
            return Err(Error::Internal {
                place,
                problem: format!("part {part} is written twice"),
            });
        }
        let name = self.name(part as u64);
        if self.partition_on.is_empty() {
            return self.write_file(&PathBuf::from(name), frame);
        }
        let failed = |error: polars_core::prelude::PolarsError| Error::Values {
            operation: "partition_on".to_string(),
            problem: error.to_string(),
        };
        if frame.height() == 0 {
            return Ok(());
        }
        // Not the public method, which runs in the threads of polars, beside ours.
        let groups = frame._partition_by_impl(&self.partition_on, true, true, false);
        for group in groups.map_err(failed)? {
            let mut path = PathBuf::new();
            for key in &self.partition_on {
                let column = group.column(key).map_err(failed)?;
                path.push(directory_name(key, &column.get(0).map_err(failed)?));
            }
            path.push(&name);
            self.write_file(&path, &group.select(self.own.iter().cloned()).map_err(failed)?)?;
        }
        Ok(())
    }

    fn name(&self, part: u64) -> String {
        format!("part.{:05}{}.parquet", self.first_number + part, self.run)
    }

    fn write_file(&self, below: &Path, frame: &DataFrame) -> Result<()> {
        self.dir.write(below, |file| encode(&self.blame(), file, frame, &self.options))?;
        self.lock().files.push(below.to_path_buf());
        Ok(())
    }

    /// Makes what was written appear, in the place of what was there if that is to be overwritten.
    ///
    /// # Errors
    /// [`Error::Io`]. On this machine what was there is then there still; in a store new files may be beside it.
    pub(crate) fn finish(self) -> Result<()> {
        let mut files = std::mem::take(&mut self.lock().files);
        if files.is_empty() {
            // A frame without rows has columns nevertheless; no value is that of null, which belongs to any dtype.
            let empty = DataFrame::empty_with_schema(&schema_of(&self.schema, &self.own));
            let keys = self.partition_on.iter().map(|key| directory_name(key, &AnyValue::Null));
            let path = keys.collect::<PathBuf>().join(self.name(0));
            self.write_file(&path, &empty)?;
            files.push(path);
        }
        let ParquetWriter { call, target, dir, options, .. } = self;
        match (options.if_exists, dir.local()) {
            (IfExists::Append, Some(local)) if target.is_dir() => {
                move_into(local, &target, &files).map_err(Error::io(call, &target))
            }
            (if_exists, _) => dir.finish(if_exists == IfExists::Overwrite),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Written> {
        // What is inside is whole after each statement.
        self.written.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

pub(super) fn encode(
    blame: &Blame<'_>,
    file: impl Write + Send,
    frame: &DataFrame,
    options: &ParquetWriteOptions,
) -> Result<()> {
    let values = |problem| Error::Values { operation: "Parquet".to_string(), problem };
    let failed = |error| match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => blame.io(*error),
            Err(error) => values(error.to_string()),
        },
        error => values(error.to_string()),
    };
    let schema: ArrowSchemaRef = arrow_schema(frame.schema()).map_err(values)?.into();
    let properties = properties(frame, options).map_err(|error| values(error.to_string()))?;
    let writer = ArrowWriter::try_new(BufWriter::new(file), Arc::clone(&schema), Some(properties));
    let (mut writer, columns) =
        writer.and_then(ArrowWriter::into_serialized_writer).map_err(failed)?;
    let row_group_rows = options.row_group_rows.max(1);
    for (i, start) in (0..frame.height()).step_by(row_group_rows).enumerate() {
        let rows = frame.slice(start as i64, row_group_rows);
        let batches = to_record_batches(&rows).map_err(values)?;
        let mut encode = || {
            let columns = columns.create_column_writers(i)?;
            let mut group = writer.next_row_group()?;
            encode_columns(&schema, &batches, columns, &mut group)?;
            group.close().map(drop)
        };
        encode().map_err(failed)?;
    }
    writer.close().map_err(failed).map(drop)
}

/// Writes the columns of a row group one after the other, so that only one has its dictionary and its pages in memory.
fn encode_columns<W: Write + Send>(
    schema: &ArrowSchemaRef,
    batches: &[RecordBatch],
    writers: Vec<ArrowColumnWriter>,
    group: &mut SerializedRowGroupWriter<'_, W>,
) -> Result<(), ParquetError> {
    let mut writers = writers.into_iter();
    for (i, field) in schema.fields().iter().enumerate() {
        let mut own: Vec<ArrowColumnWriter> = Vec::new();
        for batch in batches {
            for (leaf, values) in compute_leaves(field, batch.column(i))?.iter().enumerate() {
                if leaf == own.len() {
                    own.extend(writers.next());
                }
                own[leaf].write(values)?;
            }
        }
        own.into_iter().try_for_each(|writer| writer.close()?.append_to_row_group(group))?;
    }
    Ok(())
}

fn properties(frame: &DataFrame, options: &ParquetWriteOptions) -> PolarsResult<WriterProperties> {
    let compression = match options.compression {
        ParquetCompression::Uncompressed => Compression::UNCOMPRESSED,
        ParquetCompression::Snappy => Compression::SNAPPY,
        ParquetCompression::Zstd => Compression::ZSTD(ZstdLevel::default()),
    };
    let row_group_rows = options.row_group_rows.max(1);
    let mut properties = WriterProperties::builder()
        .set_compression(compression)
        .set_created_by(concat!("dask-rs version ", env!("CARGO_PKG_VERSION")).to_string())
        .set_max_row_group_row_count(Some(row_group_rows));
    for column in frame.columns() {
        if hardly_repeats(&column.head(Some(row_group_rows)))? {
            let path = ColumnPath::new(vec![column.name().to_string()]);
            properties = properties.set_column_dictionary_enabled(path, false);
        }
    }
    Ok(properties.build())
}

/// Whether a dictionary of these values would hardly be shorter than they, after the cost of it: the search for each value,
/// and several times its memory. By the birthday problem, of so many values a hundredth is there twice if one in eight of all
/// has a partner; or, where there are many, if there are 200 000 different ones, more than the encoder takes.
fn hardly_repeats(column: &Column) -> PolarsResult<bool> {
    const SAMPLE_MAX: usize = 4096;
    const SAMPLE_PART: usize = 8;
    const ROWS_MIN: usize = 4096;
    let dtype = column.dtype();
    let may_have_many = dtype.is_primitive_numeric() || dtype.is_temporal() || dtype.is_string();
    if column.len() < ROWS_MIN || !may_have_many {
        return Ok(false);
    }
    // A Weyl sequence: places without a period that values could have too.
    let place = |i: usize| (i as f64 * 0.618_033_988_749_894_9).fract() * column.len() as f64;
    let n = (column.len() / SAMPLE_PART).min(SAMPLE_MAX);
    let rows = (0..n).map(|i| place(i) as IdxSize).collect::<Vec<_>>();
    let sample = column.take_slice(&rows)?;
    #[expect(
        clippy::mutable_key_type,
        reason = "numbers and strings have nothing that could change"
    )]
    let different: HashSet<AnyValue<'_>> = sample.as_materialized_series().iter().collect();
    Ok(different.len() * 100 >= n * 99)
}

/// Moves files in among those of a directory; what was moved is taken back if one can't be.
fn move_into(from: &Path, to: &Path, files: &[PathBuf]) -> io::Result<()> {
    let mut moved: Vec<PathBuf> = Vec::new();
    let mut move_all = || {
        for file in files {
            let target = to.join(file);
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            if fs::symlink_metadata(&target).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from.join(file), &target)?;
            moved.push(target);
        }
        Ok(())
    };
    let outcome = move_all();
    if outcome.is_err() {
        for file in &moved {
            // The error that brought us here says more than one of these would.
            let _ = fs::remove_file(file);
        }
    }
    sync_dir(to);
    outcome
}

/// Compares with the files that are there, and says which number is free.
fn check_append(
    call: Call,
    target: &Path,
    schema: &Schema,
    partition_on: &[PlSmallStr],
) -> Result<u64> {
    let there = ParquetFiles::open(call, &[target], &ParquetOptions::default())?;
    let keys: Vec<&PlSmallStr> = there.files.hive.columns().iter().map(|c| c.name()).collect();
    // Types of keys are not stored, so that only their names can be compared.
    let is_key = |name: &PlSmallStr| partition_on.contains(name);
    let own = |schema: &Schema| -> Vec<(PlSmallStr, DataType)> {
        let own = schema.iter().filter(|(name, _)| !is_key(name));
        own.map(|(name, dtype)| (name.clone(), dtype.clone())).collect()
    };
    if own(&there.schema) != own(schema) || !keys.into_iter().eq(partition_on) {
        return Err(mismatch(call, schema, &there.schema));
    }
    let numbers = there.files.files.iter().filter_map(|file| {
        let name = file.path.file_name()?.to_str()?;
        let name = name.strip_prefix("part.")?.strip_suffix(".parquet")?;
        name.split('-').next()?.parse::<u64>().ok()
    });
    Ok(numbers.max().map_or(0, |last| last.saturating_add(1)))
}

/// A number that no other run has: the keys of hash maps are random.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

fn check_partitions(call: Call, schema: &Schema, partition_on: &[PlSmallStr]) -> Result<()> {
    let names = || schema.iter_names().map(ToString::to_string).collect();
    for (i, name) in partition_on.iter().enumerate() {
        let Some(dtype) = schema.get(name) else {
            return Err(Error::UnknownColumn { call, got: name.to_string(), columns: names() });
        };
        if partition_on[..i].contains(name) {
            return Err(Error::DuplicateColumn { call, name: name.to_string() });
        }
        let has_name = dtype.is_integer()
            || dtype.is_bool()
            || matches!(dtype, DataType::String | DataType::Date)
            || dtype.is_categorical()
            || dtype.is_enum();
        if !has_name {
            let expected =
                "integers, bool, date, strings or categoricals to partition on".to_string();
            return Err(Error::DTypeMismatch { call, got: dtype.to_string(), expected });
        }
    }
    if !partition_on.is_empty() && partition_on.len() == schema.len() {
        let got = format!("{partition_on:?}");
        let expected = "at least one column that stays in the files";
        return Err(Error::InvalidArgument { call, argument: "partition_on", got, expected });
    }
    Ok(())
}

/// Asks the encoder before anything is written.
fn check_writable(blame: &Blame<'_>, schema: &Schema) -> Result<()> {
    let refused = |problem: String| blame.unsupported(problem, "cast or leave out the column");
    if schema.is_empty() {
        return Err(refused("a frame without columns".to_string()));
    }
    let arrow = arrow_schema(schema).map_err(refused)?;
    ArrowWriter::try_new(io::sink(), arrow.into(), None)
        .map(|_| ())
        .map_err(|error| refused(error.to_string()))
}

fn schema_of(schema: &Schema, names: &[PlSmallStr]) -> Schema {
    let fields = schema.iter().filter(|(name, _)| names.contains(name));
    fields.map(|(name, dtype)| (name.clone(), dtype.clone())).collect()
}

fn check_schema(call: Call, got: &Schema, expected: &Schema) -> Result<()> {
    if got == expected { Ok(()) } else { Err(mismatch(call, got, expected)) }
}

fn mismatch(call: Call, got: &Schema, expected: &Schema) -> Error {
    let text = |schema: &Schema| {
        let fields = schema.iter().map(|(name, dtype)| format!("{name}: {dtype}"));
        fields.collect::<Vec<_>>().join(", ")
    };
    let remedy = "select and cast the columns first";
    Error::SchemaMismatch { call, got: text(got), expected: text(expected), remedy }
}
