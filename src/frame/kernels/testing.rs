//! Random frames for the tests of kernels.

use polars_core::frame::DataFrame;
use polars_core::prelude::Column;
use proptest::prelude::*;

/// Frames of columns `k` (few integers and nulls), `f` (floats with NaN and both zeros), `s` (strings, short
/// and long) and `row` (numbers of rows), in one chunk or two.
pub(super) fn frame(rows_max: usize) -> impl Strategy<Value = DataFrame> {
    let float = prop_oneof![
        Just(0.0),
        Just(-0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        (-3..3).prop_map(f64::from)
    ];
    let string = prop_oneof![
        Just(String::new()),
        "[ab]{1,2}",
        Just("longer than what a view holds".to_owned())
    ];
    let row = (
        prop::option::weighted(0.8, -3..4_i64),
        prop::option::weighted(0.8, float),
        prop::option::weighted(0.8, string),
    );
    (prop::collection::vec(row, 0..rows_max), any::<prop::sample::Index>()).prop_map(
        |(rows, cut)| {
            let n = rows.len();
            let columns = vec![
                Column::new("k".into(), rows.iter().map(|r| r.0).collect::<Vec<_>>()),
                Column::new("f".into(), rows.iter().map(|r| r.1).collect::<Vec<_>>()),
                Column::new("s".into(), rows.iter().map(|r| r.2.clone()).collect::<Vec<_>>()),
                Column::new("row".into(), (0..n as u32).collect::<Vec<_>>()),
            ];
            let frame = DataFrame::new(n, columns).expect("columns of one length");
            let cut = cut.index(n + 1) as i64;
            let (mut top, bottom) = frame.split_at(cut);
            top.vstack_mut(&bottom).expect("the same columns");
            top
        },
    )
}

/// Cuts a frame at these places.
pub(super) fn cut(frame: &DataFrame, at: &[prop::sample::Index]) -> Vec<DataFrame> {
    let mut bounds: Vec<usize> = at.iter().map(|i| i.index(frame.height() + 1)).collect();
    bounds.extend([0, frame.height()]);
    bounds.sort_unstable();
    bounds.windows(2).map(|w| frame.slice(w[0] as i64, w[1] - w[0])).collect()
}

/// Equal in schema and values, nulls and NaN equal to themselves.
pub(super) fn frames_equal(a: &DataFrame, b: &DataFrame) -> bool {
    a.schema() == b.schema() && a.equals_missing(b)
}
