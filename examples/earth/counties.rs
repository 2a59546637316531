//! The mean depth of the water table in every county, each day, on the grid of a national water model.
//!
//! A map of labels says which of some thousand counties a place belongs to. Each block becomes a partial mean of the counties
//! that it touches, as in flox, so neither the number of counties nor their shapes cost memory.

use std::collections::BTreeMap;

use dask_rs::prelude::*;
use ndarray::Array2;

use crate::common::Failure;
use crate::picture::{self, Scale};
use crate::workload::Workload;

const N_DAYS: u64 = 365;
/// Places along an edge of a county, about.
const COUNTY: u64 = 13;
/// The label of places that are in no county.
const SEA: u32 = 0;

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    let n = (w.data_bytes() / 4 / N_DAYS).isqrt().max(4 * COUNTY);
    depths(n)?.to_zarr(w.path("depth"))?;
    let county =
        Array2::from_shape_fn((n as usize, n as usize), |(y, x)| county(y as u64, x as u64, n));

    let depth: Array<f32> = array::open_zarr(w.path("depth"));
    let by_county = depth.group_by_axis(["y", "x"], county.iter().copied());
    // The sea comes first, and has no water table.
    let mean = w.compute(by_county.nanmean().slice(s![.., 1..]))?;

    let labels = &by_county.labels()?[1..];
    let terrain = mean_terrain(&county);
    let pairs = mean.indexed_iter().map(|(at, &mean)| {
        let label = labels[at[1]];
        (f64::from(mean), level(label) + swing(label) * season(at[0] as f64) + terrain[&label])
    });
    w.check_all("depth in a county on a day, m", pairs, 1e-4);
    w.check("counties", labels.len() as f64, (terrain.len() - 1) as f64, 0.0);

    if let Some(path) = w.picture() {
        let by_place = county.map(|label| match labels.binary_search(label) {
            Ok(i) => mean[[0, i]],
            Err(_) => f32::NAN,
        });
        let scale = Scale::of(mean.iter().copied());
        picture::save(path, (460, 400), |area| {
            picture::map(area, "depth of the water table, m", &by_place.view(), &scale)
        })?;
    }
    Ok(())
}

/// Metres by day and place, NaN in the sea: a curve of time for each county, and a terrain that stays.
fn depths(n: u64) -> Result<Array<f32>> {
    let tile = n.div_ceil(3);
    let days = (Config::current()?.chunk_bytes() / 4 / tile / tile).clamp(1, N_DAYS);
    let map = |value: fn(u32, u64, u64) -> f64| {
        array::from_fn([n, n], [tile, tile], move |i| match county(i[0], i[1], n) {
            SEA => f32::NAN,
            label => value(label, i[0], i[1]) as f32,
        })
    };
    let day = array::arange(0.0, N_DAYS as f32, 1.0, [days]).expand_dims([1, 2]);
    let season = (day * (std::f32::consts::TAU / N_DAYS as f32)).cos();
    let depth =
        season * map(|label, _, _| swing(label)) + map(|label, y, x| level(label) + terrain(y, x));
    Ok(depth.with_dim_names(["day", "y", "x"]))
}

/// The county of a place on a round island with a rough coast, inside of crooked borders.
fn county(y: u64, x: u64, n: u64) -> u32 {
    let (fy, fx, middle) = (y as f64, x as f64, n as f64 / 2.0);
    let coast = 0.49 * n as f64 + 4.0 * (fy / 17.0 + fx / 23.0).sin() - 4.0;
    if (fy - middle).hypot(fx - middle) > coast {
        return SEA;
    }
    let row = (fy + 3.0 * (fx / 9.0).sin()).max(0.0) as u64 / COUNTY;
    let column = (fx + 3.0 * (fy / 7.0).cos()).max(0.0) as u64 / COUNTY;
    (1 + row * (n / COUNTY + 2) + column) as u32
}

fn level(county: u32) -> f64 {
    2.0 + f64::from(county * 37 % 101) / 10.0
}

fn swing(county: u32) -> f64 {
    1.0 - f64::from(county % 7) / 10.0
}

fn season(day: f64) -> f64 {
    (day * std::f64::consts::TAU / N_DAYS as f64).cos()
}

fn terrain(y: u64, x: u64) -> f64 {
    0.5 * (0.13 * y as f64).sin() * (0.11 * x as f64).cos()
}

/// What the terrain adds to the mean of each county.
fn mean_terrain(county: &Array2<u32>) -> BTreeMap<u32, f64> {
    let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for ((y, x), label) in county.indexed_iter() {
        let (sum, n) = sums.entry(*label).or_default();
        *sum += terrain(y as u64, x as u64);
        *n += 1.0;
    }
    sums.into_iter().map(|(label, (sum, n))| (label, sum / n)).collect()
}
