//! What every stored frame can do.

use std::fmt;
use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{PlSmallStr, Scalar, SchemaRef};

use super::Condition;
use crate::error::Result;

/// Stored rows, cut into parts that can be read alone, in an order.
pub(crate) trait Source: Send + Sync + fmt::Debug {
    /// What plans call it, such as `parquet lineitem/*.parquet`.
    fn name(&self) -> String;

    /// Names and dtypes of all columns.
    fn schema(&self) -> &SchemaRef;

    /// How many parts there are.
    fn n_parts(&self) -> usize;

    /// The rows of a part, if that is known without reading it.
    fn n_rows(&self, part: usize) -> Option<u64>;

    /// Bytes of memory that these columns of a part take once read, at most; an estimate where rows are
    /// not known.
    fn nbytes(&self, part: usize, columns: &[PlSmallStr]) -> u64;

    /// Bytes that [`read`](Self::read) needs besides what it returns, at most.
    fn scratch_bytes(&self, part: usize, columns: &[PlSmallStr]) -> u64;

    /// What is known of the values of a column in a part, without reading it.
    fn stats(&self, _part: usize, _column: &str) -> Option<PartStats> {
        None
    }

    /// Whether the rows of a part are known to stand in the order of a column, ascending and nulls last.
    fn is_sorted(&self, _part: usize, _column: &str) -> bool {
        false
    }

    /// Whether the rows are in memory already, so that reading them takes none.
    fn is_resident(&self) -> bool {
        false
    }

    /// Reads a part.
    fn read(&self, part: usize, request: &Request) -> Result<DataFrame>;
}

/// What to read of a part.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Request {
    /// The columns wanted, in this order.
    pub(crate) columns: Arc<[PlSmallStr]>,
    /// Rows that do not fulfil all of these may be left out.
    pub(crate) conditions: Arc<[Condition]>,
    /// No more rows than this are needed, counted after `conditions` only if there are none.
    pub(crate) n_rows_max: Option<u64>,
}

/// The smallest and the largest value of a column that are not null, and how many are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PartStats {
    pub(crate) min: Scalar,
    pub(crate) max: Scalar,
    pub(crate) n_nulls: Option<u64>,
}
