//! What users can choose.

use polars_core::prelude::{DataType, PlSmallStr};

use super::super::IfExists;

/// How NDJSON files are read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NdjsonOptions {
    /// Dtypes of columns by name, be they in the sample or not. Others are guessed from a sample.
    pub dtypes: Vec<(PlSmallStr, DataType)>,
    /// Bytes of the first file that are the sample.
    pub sample_bytes: usize,
    /// Bytes of text that become a partition.
    pub part_bytes: u64,
}

impl Default for NdjsonOptions {
    /// A sample of 256 kB, partitions of 64 MiB.
    fn default() -> Self {
        NdjsonOptions { dtypes: Vec::new(), sample_bytes: 256 << 10, part_bytes: 64 << 20 }
    }
}

/// How NDJSON files are written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NdjsonWriteOptions {
    /// What is done about files that are there already.
    pub if_exists: IfExists,
}
