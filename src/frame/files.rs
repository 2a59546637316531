//! Frames from files and into files.

use std::path::Path;
use std::sync::Arc;

use super::handle::DataFrame;
use super::io::{
    CsvFiles, CsvOptions, CsvWriteOptions, IpcFiles, IpcOptions, IpcWriteOptions, NdjsonFiles,
    NdjsonOptions, NdjsonWriteOptions, ParquetFiles, ParquetOptions, ParquetWriteOptions, Source,
};
use super::op::Handle;
use super::ops::rows;
use super::store::{Format, StoreFrame};
use crate::config::Config;
use crate::error::{Call, Result};

impl DataFrame {
    /// Parquet files: one file, a glob (`trips/*.parquet`) or a directory, below which directories named
    /// `key=value` become columns. With the feature `cloud`, also those of a URL (`s3://bucket/trips/*.parquet`).
    ///
    /// Partitions have about [`Config::chunk_bytes`] in memory, however the files are cut: large files are read by row
    /// groups, small ones together. Columns that are not used and row groups that filters exclude are not read.
    ///
    /// # Cost
    /// Reads the footers of up to 64 files, of more only the first.
    ///
    /// # Errors
    /// Carried: [`Error::Io`](crate::Error::Io), [`Error::CorruptFile`](crate::Error::CorruptFile), [`Error::UnsupportedFile`](crate::Error::UnsupportedFile).
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let dir = tempfile::tempdir()?;
    /// let trips = df!["vendor" => ["a", "b", "a"], "fare" => [10.0, 5.0, 20.0]]?;
    /// DataFrame::from_polars(&trips, 2).to_parquet(dir.path().join("trips"))?;
    ///
    /// let read = DataFrame::read_parquet(dir.path().join("trips"));
    /// let fares = read.group_by(["vendor"]).agg([col("fare").sum()]).compute()?;
    /// assert!(fares.equals(&df!["vendor" => ["a", "b"], "fare" => [30.0, 5.0]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn read_parquet(path: impl AsRef<Path>) -> Self {
        let call = Call::new("read_parquet");
        let options = Config::current().map(|config| ParquetOptions {
            part_bytes: config.chunk_bytes(),
            ..ParquetOptions::default()
        });
        opened(options.and_then(|options| ParquetFiles::open(call, &[path], &options)))
    }

    /// [`read_parquet`](Self::read_parquet) of several paths, with options.
    #[track_caller]
    #[must_use]
    pub fn read_parquet_with(paths: &[impl AsRef<Path>], options: &ParquetOptions) -> Self {
        opened(ParquetFiles::open(Call::new("read_parquet_with"), paths, options))
    }

    /// CSV files: one file, a glob or a directory; compressed with gzip if they end with `.gz`.
    ///
    /// Files are cut into ranges of bytes, at the ends of records: a new line inside of quotes cuts nothing. Dtypes are
    /// guessed from a sample of the first file; a later field that does not fit is an error that names its line, never
    /// a silent null. [`read_csv_with`](Self::read_csv_with) takes dtypes, separators and what else may differ.
    ///
    /// # Cost
    /// Files are scanned once for quotes when the frame is made, unless the options say that they have no new lines in
    /// quotes.
    ///
    /// # Errors
    /// Carried: [`Error::Io`](crate::Error::Io), [`Error::CorruptFile`](crate::Error::CorruptFile).
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, col, lit};
    /// let dir = tempfile::tempdir()?;
    /// std::fs::write(dir.path().join("x.csv"), "name,n\n\"a, b\",1\nc,2\n")?;
    /// let x = DataFrame::read_csv(dir.path().join("x.csv"));
    /// assert_eq!(x.filter(col("name").eq(lit("c"))).len()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn read_csv(path: impl AsRef<Path>) -> Self {
        let call = Call::new("read_csv");
        let options = Config::current()
            .map(|config| CsvOptions { part_bytes: config.chunk_bytes(), ..CsvOptions::default() });
        opened(options.and_then(|options| CsvFiles::open(call, &[path], &options)))
    }

    /// [`read_csv`](Self::read_csv) of several paths, with options.
    #[track_caller]
    #[must_use]
    pub fn read_csv_with(paths: &[impl AsRef<Path>], options: &CsvOptions) -> Self {
        opened(CsvFiles::open(Call::new("read_csv_with"), paths, options))
    }

    /// Files of one JSON object a line: one file, a glob or a directory.
    ///
    /// Columns and their dtypes are those of a sample; a later value that does not fit is an error that names its line.
    ///
    /// # Errors
    /// As [`read_csv`](Self::read_csv).
    #[track_caller]
    #[must_use]
    pub fn read_ndjson(path: impl AsRef<Path>) -> Self {
        let call = Call::new("read_ndjson");
        let options = Config::current().map(|config| NdjsonOptions {
            part_bytes: config.chunk_bytes(),
            ..NdjsonOptions::default()
        });
        opened(options.and_then(|options| NdjsonFiles::open(call, &[path], &options)))
    }

    /// [`read_ndjson`](Self::read_ndjson) of several paths, with options.
    #[track_caller]
    #[must_use]
    pub fn read_ndjson_with(paths: &[impl AsRef<Path>], options: &NdjsonOptions) -> Self {
        opened(NdjsonFiles::open(Call::new("read_ndjson_with"), paths, options))
    }

    /// Arrow IPC files, which are Feather files too, or streams: one file, a glob or a directory.
    ///
    /// Partitions have about [`Config::chunk_bytes`] in memory and at least one record batch, which is never cut; the
    /// batches of a file are joined, those of several files are not. Only the buffers of columns that are used are read.
    /// Dictionaries of strings become strings, unless polars wrote them as a categorical. A column that polars can't
    /// hold has the dtype `Unknown`, and is an error only when it is used.
    ///
    /// # Cost
    /// Reads the footer of each file and the header of each record batch, of streams the headers of all messages.
    ///
    /// # Errors
    /// Carried: [`Error::Io`](crate::Error::Io), [`Error::CorruptFile`](crate::Error::CorruptFile),
    /// [`Error::UnsupportedFile`](crate::Error::UnsupportedFile).
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let dir = tempfile::tempdir()?;
    /// let x = df!["a" => [1, 2, 3], "s" => ["p", "q", "r"]]?;
    /// DataFrame::from_polars(&x, 2).to_ipc(dir.path().join("x"))?;
    /// assert!(DataFrame::read_ipc(dir.path().join("x")).compute()?.equals(&x));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn read_ipc(path: impl AsRef<Path>) -> Self {
        let call = Call::new("read_ipc");
        let options =
            Config::current().map(|config| IpcOptions { part_bytes: config.chunk_bytes() });
        opened(options.and_then(|options| IpcFiles::open(call, &[path], &options)))
    }

    /// [`read_ipc`](Self::read_ipc) of several paths, with options.
    #[track_caller]
    #[must_use]
    pub fn read_ipc_with(paths: &[impl AsRef<Path>], options: &IpcOptions) -> Self {
        opened(IpcFiles::open(Call::new("read_ipc_with"), paths, options))
    }

    /// Computes the frame and writes each partition as one Arrow IPC file into a new directory.
    ///
    /// # Errors
    /// As [`to_parquet`](Self::to_parquet).
    #[track_caller]
    pub fn to_ipc(&self, path: impl AsRef<Path>) -> Result<()> {
        self.to_ipc_with(path, &IpcWriteOptions::default())
    }

    /// [`to_ipc`](Self::to_ipc) with options: codec, rows of a record batch, overwriting.
    ///
    /// # Errors
    /// As [`to_parquet`](Self::to_parquet).
    #[track_caller]
    pub fn to_ipc_with(&self, path: impl AsRef<Path>, options: &IpcWriteOptions) -> Result<()> {
        let format = Format::Ipc(options.clone());
        let (call, path) = (Call::new("to_ipc"), path.as_ref());
        crate::compute(StoreFrame { frame: self, call, path, format })
    }

    /// Computes the frame and writes each partition as one file of JSON lines into a new directory.
    ///
    /// # Errors
    /// As [`to_parquet`](Self::to_parquet).
    #[track_caller]
    pub fn to_ndjson(&self, path: impl AsRef<Path>) -> Result<()> {
        self.to_ndjson_with(path, &NdjsonWriteOptions::default(), false)
    }

    /// [`to_ndjson`](Self::to_ndjson) with options, into one file if `is_single_file`.
    ///
    /// # Errors
    /// As [`to_parquet`](Self::to_parquet).
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, NdjsonWriteOptions, polars_core::df};
    /// let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("x.ndjson");
    /// let x = DataFrame::from_polars(&df!["a" => [1, 2], "b" => ["p", "q"]]?, 2);
    /// x.to_ndjson_with(&path, &NdjsonWriteOptions::default(), true)?;
    /// assert_eq!(std::fs::read_to_string(path)?, "{\"a\":1,\"b\":\"p\"}\n{\"a\":2,\"b\":\"q\"}\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn to_ndjson_with(
        &self,
        path: impl AsRef<Path>,
        options: &NdjsonWriteOptions,
        is_single_file: bool,
    ) -> Result<()> {
        let format = Format::Ndjson(options.clone(), is_single_file);
        let (call, path) = (Call::new("to_ndjson"), path.as_ref());
        crate::compute(StoreFrame { frame: self, call, path, format })
    }

    /// Computes the frame and writes each partition as one CSV file into a new directory.
    ///
    /// # Errors
    /// As [`to_parquet`](Self::to_parquet).
    #[track_caller]
    pub fn to_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        self.to_csv_with(path, &CsvWriteOptions::default(), false)
    }

    /// [`to_csv`](Self::to_csv) with options, into one file if `is_single_file`.
    ///
    /// # Errors
    /// As [`to_parquet`](Self::to_parquet).
    #[track_caller]
    pub fn to_csv_with(
        &self,
        path: impl AsRef<Path>,
        options: &CsvWriteOptions,
        is_single_file: bool,
    ) -> Result<()> {
        let format = Format::Csv(options.clone(), is_single_file);
        let (call, path) = (Call::new("to_csv"), path.as_ref());
        crate::compute(StoreFrame { frame: self, call, path, format })
    }

    /// Computes the frame and writes each partition as one file into a new directory.
    ///
    /// Nothing is seen of a write that fails or is cancelled. In an object store (feature `cloud`) the files are uploads that are
    /// completed one after another at the end: what fails before leaves nothing, and only what fails then leaves some of the
    /// files, each whole. What is overwritten there is removed before.
    ///
    /// # Errors
    /// As [`compute`](Self::compute), and [`Error::Io`](crate::Error::Io) if something is there already.
    #[track_caller]
    pub fn to_parquet(&self, path: impl AsRef<Path>) -> Result<()> {
        self.to_parquet_with(path, &ParquetWriteOptions::default())
    }

    /// [`to_parquet`](Self::to_parquet) with options: codec, row groups, directories by the values of columns,
    /// overwriting, appending.
    ///
    /// # Errors
    /// As [`to_parquet`](Self::to_parquet).
    #[track_caller]
    pub fn to_parquet_with(
        &self,
        path: impl AsRef<Path>,
        options: &ParquetWriteOptions,
    ) -> Result<()> {
        let format = Format::Parquet(options.clone());
        let store =
            StoreFrame { frame: self, call: Call::new("to_parquet"), path: path.as_ref(), format };
        crate::compute(store)
    }
}

#[track_caller]
fn opened(source: Result<impl Source + 'static>) -> DataFrame {
    DataFrame::of(Handle::from_result(source.and_then(|source| rows::scan(Arc::new(source)))))
}
