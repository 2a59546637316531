//! What every stored frame can do.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{BooleanChunked, PlSmallStr, Scalar, SchemaRef};

use super::Condition;
use crate::error::{Error, Result};

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

    /// What counts the memory of a part, if that is resident and kept beyond a run.
    fn hold(&self, _part: usize) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }

    /// Text that is another one once the rows are others, or are read otherwise; `None` if that can't be told.
    fn version(&self) -> Option<String> {
        None
    }

    /// Whether [`read_batches`](Self::read_batches) may hold a column of all rows of a part at once.
    fn may_gather(&self, _request: &Request, _filter: Option<&dyn RowFilter>) -> bool {
        true
    }

    /// Reads a part.
    fn read(&self, part: usize, request: &Request) -> Result<DataFrame>;

    /// Reads the rows of a part that `filter` keeps, in batches that follow each other; one at least, be it without rows.
    ///
    /// The columns are those of the request, whatever columns the filter looks at. The request has no limit if
    /// there is a filter.
    fn read_batches(
        &self,
        part: usize,
        request: &Request,
        filter: Option<&dyn RowFilter>,
        each: Each<'_>,
    ) -> Result<()> {
        let Some(filter) = filter else { return each(self.read(part, request)?) };
        let read = Request { columns: with_columns_of(filter, request), ..request.clone() };
        each(filtered(&self.read(part, &read)?, &request.columns, filter)?)
    }
}

/// What is done with each batch of rows.
pub(crate) type Each<'a> = &'a mut dyn FnMut(DataFrame) -> Result<()>;

/// Says which rows are wanted.
pub(crate) trait RowFilter: Send + Sync + fmt::Debug {
    /// The columns that it looks at.
    fn columns(&self) -> &[PlSmallStr];

    /// A value for each row of a frame that has these columns, none of them null.
    fn mask(&self, frame: &DataFrame) -> Result<BooleanChunked>;
}

/// The columns of a request, and those that the filter needs besides.
pub(crate) fn with_columns_of(filter: &dyn RowFilter, request: &Request) -> Arc<[PlSmallStr]> {
    let more = filter.columns().iter().filter(|name| !request.columns.contains(name));
    request.columns.iter().chain(more).cloned().collect()
}

/// These columns of the rows that `filter` keeps.
pub(crate) fn filtered(
    frame: &DataFrame,
    columns: &[PlSmallStr],
    filter: &dyn RowFilter,
) -> Result<DataFrame> {
    masked(frame, columns, &filter.mask(frame)?)
}

/// These columns of the rows for which `mask` is true.
pub(crate) fn masked(
    frame: &DataFrame,
    columns: &[PlSmallStr],
    mask: &BooleanChunked,
) -> Result<DataFrame> {
    let n_kept = mask.num_trues();
    if columns.is_empty() {
        return Ok(DataFrame::empty_with_height(n_kept));
    }
    let all = frame.select(columns.iter().cloned());
    let kept =
        all.and_then(|all| if n_kept == all.height() { Ok(all) } else { all.filter_seq(mask) });
    kept.map_err(|error| Error::Values { operation: "filter".into(), problem: error.to_string() })
}

/// All batches as one frame, in one piece of memory.
pub(crate) fn gathered(read: impl FnOnce(Each<'_>) -> Result<()>) -> Result<DataFrame> {
    let mut all = DataFrame::empty();
    read(&mut |more| {
        if more.width() == 0 {
            // Stacking frames without columns forgets their heights.
            all = DataFrame::empty_with_height(all.height() + more.height());
        } else if all.height() == 0 {
            all = more;
        } else if more.height() > 0 {
            all.vstack_mut_owned(more).map_err(|error| Error::Internal {
                place: "batches of a scan".into(),
                problem: error.to_string(),
            })?;
        }
        Ok(())
    })?;
    all.rechunk_mut();
    Ok(all)
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
