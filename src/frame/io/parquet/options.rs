//! What users can choose.

/// How Parquet files are read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ParquetOptions {
    /// Bytes of memory that a partition with all columns should take.
    pub part_bytes: u64,
    /// Whether directories named `key=value` are columns.
    pub hive: bool,
}

impl Default for ParquetOptions {
    /// Partitions of 128 MiB, with the columns of Hive.
    fn default() -> Self {
        ParquetOptions { part_bytes: 128 << 20, hive: true }
    }
}

/// How Parquet files are written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ParquetWriteOptions {
    /// The codec of pages.
    pub compression: ParquetCompression,
    /// Rows of a row group, the unit that readers skip and share, at most.
    pub row_group_rows: usize,
    /// Columns that become directories `column=value` and leave the files.
    pub partition_on: Vec<String>,
    /// What is done about files that are there already.
    pub if_exists: IfExists,
}

impl Default for ParquetWriteOptions {
    /// Snappy, row groups of 1 Mi rows, no partitions, and an error if something is there.
    fn default() -> Self {
        ParquetWriteOptions {
            compression: ParquetCompression::Snappy,
            row_group_rows: 1 << 20,
            partition_on: Vec::new(),
            if_exists: IfExists::Error,
        }
    }
}

/// Codecs for pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParquetCompression {
    /// None.
    Uncompressed,
    /// Fast, and read by everyone.
    #[default]
    Snappy,
    /// Smaller, at level 3.
    Zstd,
}

/// What a writer does where there is something already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IfExists {
    /// It is an error, and nothing is written.
    #[default]
    Error,
    /// It is replaced when everything is written.
    Overwrite,
    /// Files are added to those of the directory, whose columns have to be the same.
    Append,
}
