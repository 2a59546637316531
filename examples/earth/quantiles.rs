//! The 10th, 50th and 90th percentile of a year at every place, of maps that are stored day by day.
//!
//! An exact quantile needs all days of a place at once, and a stored chunk has all places of a day: chunks are exchanged on
//! the way. Every fifth value is missing and skipped.

use dask_rs::array::QuantileMethod;
use dask_rs::prelude::*;

use crate::common::Failure;
use crate::workload::Workload;

const N_DAYS: u64 = 365;
const FRACTIONS: [f64; 3] = [0.1, 0.5, 0.9];
/// Between a value of a place and the next one.
const STEP: f32 = 0.25;

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    // A selection that is not optimized takes twenty times as long.
    let part = if cfg!(debug_assertions) { 4 } else { 1 };
    let n = (w.data_bytes() / part / 4 / N_DAYS).isqrt().max(4);
    values(n).to_zarr(w.path("values"))?;

    let values: Array<f32> = array::open_zarr(w.path("values"));
    let quantiles = values.nanquantile(FRACTIONS, QuantileMethod::Linear, "day");
    let quantiles = w.compute(quantiles)?;

    for (i, q) in FRACTIONS.into_iter().enumerate() {
        let found = quantiles.index_axis(ndarray::Axis(0), i);
        let pairs = found.indexed_iter().map(|(at, &value)| {
            let expected =
                f64::from(lowest(at[0] as u64, at[1] as u64)) + f64::from(STEP) * rank(q);
            (f64::from(value), expected)
        });
        w.check_all(&format!("quantile {q}"), pairs, 1e-4);
    }
    Ok(())
}

/// At each place, the numbers from 0 to 364 times a quarter in an order of its own, above the lowest value there.
fn values(n: u64) -> Array<f32> {
    let map = |value: fn(u64, u64) -> f32| {
        array::from_fn([1, n, n], [1, n, n], move |i| value(i[1], i[2]))
    };
    // 12 and 365 have no divisor in common, so each rank comes once a year.
    let day = array::arange(0.0, N_DAYS as f32, 1.0, [1]).expand_dims([1, 2]);
    let rank = (day * 12.0 + map(|y, x| ((31 * y + 7 * x) % N_DAYS) as f32)) % N_DAYS as f32;
    let is_missing = (&rank % 5.0).eq(4.0);
    let values = array::where_(&is_missing, f32::NAN, rank * STEP + map(lowest));
    values.with_dim_names(["day", "y", "x"])
}

fn lowest(y: u64, x: u64) -> f32 {
    ((y / 8 * 31 + x / 8 * 17) % 97) as f32
}

/// A quantile of `0 1 2 3 5 6 7 8 10 …`, the ranks that are not missing.
fn rank(q: f64) -> f64 {
    let present = |i: u64| (i + i / 4) as f64;
    let place = q * (N_DAYS / 5 * 4 - 1) as f64;
    let below = place.floor() as u64;
    present(below) + place.fract() * (present(below + 1) - present(below))
}
