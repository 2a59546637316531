//! One frame into one for each output of a shuffle.
//!
//! All rows are gathered once, in the order of their outputs; the pieces are ranges of that.

use polars_core::chunked_array::ops::search_sorted::SearchSortedSide;
use polars_core::frame::DataFrame;
use polars_core::prelude::{DataType, IdxSize, IntoColumn, PlSmallStr, PolarsResult, Series};
use polars_ops::prelude::search_sorted;

use super::codes::codes;
use super::hash::hashes;
use super::rows::{gather, key_columns};
use super::{failed, refused};
use crate::error::Result;
use crate::frame::partitions::Divisions;

/// More chunks than this are joined before rows are gathered from them, as each row has to find its chunk.
const GATHER_CHUNKS_MAX: usize = 8;

/// The hash of each row's key, the same in every run.
///
/// Equal keys of equal dtypes have equal hashes: nulls, all NaN, 0 and -0, and categories of the same name.
pub(crate) fn row_hashes(frame: &DataFrame, keys: &[PlSmallStr]) -> Result<Vec<u64>> {
    let mut columns = key_columns("hash", frame, keys)?;
    for column in &mut columns {
        if column.dtype().is_categorical() || column.dtype().is_enum() {
            *column = column.cast(&DataType::String).map_err(failed("hash"))?;
        }
    }
    hashes(&columns, frame.height(), 0x0da5_c0de).map_err(failed("hash"))
}

/// The rows of a frame in the order of their outputs.
#[derive(Debug)]
pub(crate) struct Pieces {
    pub(super) rows: DataFrame,
    /// Where the rows of each output begin, and where the last ones end.
    pub(super) starts: Vec<usize>,
}

#[cfg(test)]
impl Pieces {
    /// The rows of each output; they share their memory.
    pub(super) fn frames(&self) -> impl Iterator<Item = DataFrame> {
        let ranges = self.starts.windows(2);
        ranges.map(|ends| self.rows.slice(ends[0] as i64, ends[1] - ends[0]))
    }
}

/// `n` pieces, each with the rows of some keys in their order here, if the hashes of the keys are wanted.
pub(crate) fn hash_split(
    frame: &DataFrame,
    keys: &[PlSmallStr],
    n: usize,
    is_wanted: impl Fn(u64) -> bool,
) -> Result<Pieces> {
    let hashes = row_hashes(frame, keys)?;
    // The high bits, because hash tables inside of the partitions use the low ones.
    let output = |hash: u64| match is_wanted(hash) {
        true => ((u128::from(hash) * n as u128) >> 64) as IdxSize,
        false => n as IdxSize,
    };
    split(frame, &hashes.into_iter().map(output).collect::<Vec<_>>(), n)
}

/// `n` pieces, one for each partition of `divisions`, with the rows of its keys in their order here.
///
/// With `descending` the first piece has the largest keys. Nulls are in the last piece or the first.
pub(crate) fn range_split(
    frame: &DataFrame,
    key: &str,
    divisions: &Divisions,
    descending: bool,
    nulls_last: bool,
) -> Result<Pieces> {
    let outputs = range_outputs(frame, key, divisions, descending, nulls_last)?;
    split(frame, &outputs, divisions.n_partitions())
}

/// For each row the number of the frame into which [`range_split`] puts it.
pub(super) fn range_outputs(
    frame: &DataFrame,
    key: &str,
    divisions: &Divisions,
    descending: bool,
    nulls_last: bool,
) -> Result<Vec<IdxSize>> {
    let n = divisions.n_partitions();
    let column = frame.column(key).map_err(failed("split"))?.as_materialized_series();
    let inner = divisions.series(key.into()).slice(1, n - 1);
    let inner = inner.strict_cast(column.dtype()).map_err(failed("split"))?;
    let mut outputs = ranges_of(column, &inner).map_err(failed("split"))?;
    if descending {
        outputs.iter_mut().for_each(|output| *output = n as IdxSize - 1 - *output);
    }
    if column.has_nulls() {
        let null_output = if nulls_last { n - 1 } else { 0 } as IdxSize;
        for (output, null) in outputs.iter_mut().zip(column.is_null().iter()) {
            if null == Some(true) {
                *output = null_output;
            }
        }
    }
    Ok(outputs)
}

/// How many of these `ends`, which are in ascending order, are not above each value; any number for null.
fn ranges_of(column: &Series, ends: &Series) -> PolarsResult<Vec<IdxSize>> {
    let of = |series: &Series| codes(&series.clone().into_column());
    if let (Some(values), Some(ends)) = (of(column)?, of(ends)?) {
        let below = |value: u64| ends.partition_point(|&end| end <= value) as IdxSize;
        return Ok(values.into_iter().map(below).collect());
    }
    let found = search_sorted(ends, column, SearchSortedSide::Right, false)?;
    Ok(found.iter().map(|output| output.unwrap_or(0)).collect())
}

/// `n` pieces, each with the rows whose output it is, in their order here. Rows whose output is `n` are left out.
pub(super) fn split(frame: &DataFrame, outputs: &[IdxSize], n: usize) -> Result<Pieces> {
    if outputs.len() != frame.height() || outputs.iter().any(|&o| o as usize > n) {
        return Err(refused(
            "split",
            format!("{} rows do not fit into {n} outputs", frame.height()),
        ));
    }
    let mut starts = vec![0; n + 2];
    for &output in outputs {
        starts[output as usize + 1] += 1;
    }
    for i in 0..=n {
        starts[i + 1] += starts[i];
    }
    let (mut next, mut order) = (starts.clone(), vec![0; outputs.len()]);
    for (row, &output) in outputs.iter().enumerate() {
        order[next[output as usize]] = row as IdxSize;
        next[output as usize] += 1;
    }
    starts.truncate(n + 1);
    order.truncate(starts[n]);
    let mut frame = frame.clone();
    if frame.max_n_chunks() > GATHER_CHUNKS_MAX {
        frame.rechunk_mut();
    }
    Ok(Pieces { rows: gather("split", &frame, order)?, starts })
}

#[cfg(test)]
mod tests {
    use super::super::concat::concat;
    use super::super::testing::{frame, frames_equal};
    use super::*;
    use polars_core::df;
    use polars_core::prelude::{Column, NamedFrom, Series};
    use proptest::prelude::*;

    #[test]
    fn hashes_are_the_same_in_every_run_and_for_equal_keys() {
        let keys = df!["f" => [0.0, -0.0, f64::NAN, -f64::NAN, 1.0]].unwrap();
        let h = row_hashes(&keys, &["f".into()]).unwrap();
        assert!(h[0] == h[1] && h[2] == h[3] && h[0] != h[2]);
        let one = row_hashes(&df!["i" => [1_i64]].unwrap(), &["i".into()]).unwrap();
        // What this number is does not matter, but files and tests rely on it.
        assert_eq!(one, [7_444_796_452_670_619_513]);
        let both = df!["a" => [Some(1_i64), None], "b" => [None, Some("x")]].unwrap();
        assert_eq!(row_hashes(&both, &["a".into(), "b".into()]).unwrap().len(), 2);
        assert!(row_hashes(&both, &["c".into()]).is_err());
    }

    #[test]
    fn keys_of_other_dtypes_go_to_the_same_output_once_cast() {
        let ints = df!["k" => [1_i32, 2, 3, 4]].unwrap();
        let floats = df!["k" => [1.0_f64, 2.0, 3.0, 4.0]].unwrap();
        let cast =
            DataFrame::new(4, vec![ints.column("k").unwrap().cast(&DataType::Float64).unwrap()]);
        let a = hash_split(&floats, &["k".into()], 3, |_| true).unwrap();
        let b = hash_split(&cast.unwrap(), &["k".into()], 3, |_| true).unwrap();
        assert!(a.starts == b.starts && a.rows.equals(&b.rows));
    }

    #[test]
    fn ranges_take_their_ends_nulls_and_nan() {
        let frame =
            df!["k" => [Some(5.0), None, Some(-1.0), Some(10.0), Some(99.0), Some(f64::NAN)]]
                .unwrap();
        let divisions = Divisions::new(&Series::new("k".into(), [0.0, 5.0, 10.0])).unwrap();
        let heights = |descending, nulls_last| -> Vec<usize> {
            let pieces = range_split(&frame, "k", &divisions, descending, nulls_last).unwrap();
            pieces.frames().map(|piece| piece.height()).collect()
        };
        assert_eq!(heights(false, true), [1, 5]);
        assert_eq!(heights(false, false), [2, 4]);
        assert_eq!(heights(true, false), [5, 1]);
        let empty = range_split(&frame.clear(), "k", &divisions, false, true).unwrap();
        assert_eq!(empty.frames().map(|piece| piece.shape()).collect::<Vec<_>>(), [(0, 1), (0, 1)]);
    }

    #[test]
    fn one_partition_takes_everything() {
        let frame = df!["s" => [Some("x"), None, Some("a")]].unwrap();
        let divisions = Divisions::new(&Series::new("s".into(), ["b", "c"])).unwrap();
        let pieces = range_split(&frame, "s", &divisions, false, true).unwrap();
        assert!(pieces.starts == [0, 3] && pieces.rows.equals_missing(&frame));
        let nothing = DataFrame::empty_with_height(3);
        let pieces = hash_split(&nothing, &[], 2, |_| true).unwrap();
        assert_eq!(pieces.frames().map(|piece| piece.height()).sum::<usize>(), 3);
    }

    #[test]
    fn strings_dates_and_booleans_have_ranges() {
        for column in [
            Column::new("k".into(), ["b", "a", "c", "d"]),
            Column::new("k".into(), [2_i32, 1, 3, 4]).cast(&DataType::Date).unwrap(),
        ] {
            let frame = DataFrame::new(4, vec![column.clone()]).unwrap();
            let divisions = column.sort_with(Default::default()).unwrap();
            let divisions = Divisions::new(divisions.as_materialized_series()).unwrap();
            let pieces = range_split(&frame, "k", &divisions, false, true).unwrap();
            let heights: Vec<_> = pieces.frames().map(|piece| piece.height()).collect();
            assert_eq!(heights, [1, 1, 2], "{column:?}");
        }
    }

    #[test]
    fn rows_that_nobody_wants_are_in_no_piece() {
        let frame = df!["k" => (0..100_i64).collect::<Vec<_>>()].unwrap();
        let hashes = row_hashes(&frame, &["k".into()]).unwrap();
        let is_wanted = |hash: u64| hash & 3 == 0;
        let pieces = hash_split(&frame, &["k".into()], 4, is_wanted).unwrap();
        let all = hash_split(&frame, &["k".into()], 4, |_| true).unwrap();
        for (some, all) in pieces.frames().zip(all.frames()) {
            let keys = |frame: &DataFrame| -> Vec<i64> {
                frame.column("k").unwrap().i64().unwrap().into_no_null_iter().collect()
            };
            let mut expected = keys(&all);
            expected.retain(|key| is_wanted(hashes[*key as usize]));
            assert_eq!(keys(&some), expected);
        }
        assert_eq!(pieces.starts.len(), 5);
    }

    proptest! {
        #[test]
        fn pieces_are_the_frame_and_keep_its_order(frame in frame(60), n in 1..7_usize) {
            let key: PlSmallStr = "k".into();
            let pieces = hash_split(&frame, std::slice::from_ref(&key), n, |_| true).unwrap();
            let hashes = row_hashes(&frame, &[key]).unwrap();
            let mut expected: Vec<usize> = (0..frame.height()).collect();
            expected.sort_by_key(|&i| (u128::from(hashes[i]) * n as u128) >> 64);
            let expected = gather("", &frame, expected.iter().map(|&i| i as IdxSize).collect()).unwrap();
            prop_assert_eq!(pieces.frames().count(), n);
            prop_assert!(frames_equal(&concat(pieces.frames()).unwrap(), &expected));
        }
    }
}
