//! What is usual at an hour of a day of the year: the climatology that forecasts are scored against.
//!
//! Years of 365 and 366 days come to lie upon each other; around each day, the weights of thirty days on both sides fall
//! off linearly, over the end of the year.

use std::f64::consts::TAU;

use dask_rs::array::{PadMode, ZarrWrite};
use dask_rs::prelude::*;
use ndarray::Array1;

use crate::common::Failure;
use crate::grid::Grid;
use crate::picture;
use crate::workload::Workload;

/// Those of the normals of the World Meteorological Organization.
const YEARS: std::ops::Range<u64> = 1991..2021;
/// Observations a day.
const N_HOURS: u64 = 4;
/// Days on each side of a day.
const HALF: u64 = 30;

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    let n_days: u64 = YEARS.map(days_of).sum();
    let grid = Grid::with_cells(w.data_bytes() / 4 / (n_days * N_HOURS));
    temperature(grid).to_zarr(w.path("t2m"))?;

    let t2m: Array<f32> = array::open_zarr(w.path("t2m"));
    let mut begin = 0;
    let years: Vec<Array<f32>> = YEARS
        .map(|year| {
            let n = days_of(year);
            let end = begin + n * N_HOURS;
            let of_year = t2m.slice(s![begin as isize..end as isize, .., ..]);
            begin = end;
            // The last day stands for the one that most years lack.
            of_year
                .reshape([n, N_HOURS, grid.n_lat, grid.n_lon])
                .with_dim_names(["day", "hour", "latitude", "longitude"])
                .pad([("day", (0, 366 - n))], PadMode::Edge)
        })
        .collect();
    let mean =
        array::stack(&years, 0).mean(0).with_dim_names(["day", "hour", "latitude", "longitude"]);
    let around = mean.pad([("day", (HALF, HALF))], PadMode::Wrap);
    let windows = around.sliding_window_view([("day", 2 * HALF + 1)]);
    let climatology = (windows * &weights()).sum(-1);
    // A chunk for each day that a forecast will be for.
    let by_day = ZarrWrite::new().chunks(&[1, N_HOURS, grid.n_lat, grid.n_lon]);
    w.compute(climatology.store_zarr(w.path("climatology"), by_day))?;

    let stored: Array<f32> = array::open_zarr(w.path("climatology"));
    let oracle = of_one_place();
    for row in [0, grid.n_lat / 3, grid.n_lat - 1] {
        let found = stored.slice(s![.., .., row as isize, ..]).compute()?;
        let pairs = found.indexed_iter().map(|(at, &x)| {
            let (mean, swing) = climate(grid.latitude(row as usize), grid.longitude(at[2]));
            (x.into(), mean + swing * oracle[at[0]][at[1]])
        });
        w.check_all(&format!("climatology along row {row}, K"), pairs, 1e-3);
    }

    if let Some(path) = w.picture() {
        let row = grid.n_lat as isize * 3 / 4;
        let found = stored.slice(s![.., .., row, 0]).compute()?;
        let curve = |hour: usize| {
            let points = (0..366).map(|day| (day as f64, found[[day, hour]].into()));
            (["0 h", "6 h", "12 h", "18 h"][hour], points.collect())
        };
        let title = "Usual temperature of a place by day of the year, K";
        let curves = [0, 1, 2, 3].map(curve);
        picture::save(path, (560, 300), |area| picture::curves(area, title, &curves))?;
    }
    Ok(())
}

fn days_of(year: u64) -> u64 {
    if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) {
        366
    } else {
        365
    }
}

/// Of the days of a window: one in the middle, none just beyond its ends.
fn weights() -> Array1<f32> {
    let n = HALF as f32;
    let weights = Array1::from_shape_fn(2 * HALF as usize + 1, |i| 1.0 - (i as f32 - n).abs() / n);
    let sum = weights.sum();
    weights / sum
}

/// What all places have in common at an hour of a day.
fn season(year: u64, day: u64, hour: u64) -> f64 {
    let of_day = (hour as f64 * TAU / N_HOURS as f64 - 0.6).cos() * 0.2;
    let weather = (day as f64 * 0.7 + year as f64).sin() * 0.3;
    (day as f64 * TAU / 366.0).cos() + of_day + weather + 0.01 * (year - YEARS.start) as f64
}

/// The mean of a place and how far its seasons swing, in Kelvin.
fn climate(lat: f64, lon: f64) -> (f64, f64) {
    (294.0 - 48.0 * lat.sin().powi(2), (10.0 + 4.0 * lon.cos()) * -lat.sin())
}

fn temperature(grid: Grid) -> Array<f32> {
    let hours = YEARS.flat_map(|year| {
        (0..days_of(year))
            .flat_map(move |day| (0..N_HOURS).map(move |hour| season(year, day, hour)))
    });
    let season = array::from_ndarray(Array1::from_iter(hours), [N_HOURS * 60]).expand_dims([1, 2]);
    let (lat, lon) = (grid.latitudes(), grid.longitudes());
    let mean = 294.0 - lat.sin().square() * 48.0;
    let swing = (lon.cos() * 4.0 + 10.0) * lat.sin() * -1.0;
    (mean + season * swing).cast::<f32>().with_dim_names(["time", "latitude", "longitude"])
}

/// The same for one place, in plain loops.
fn of_one_place() -> Vec<[f64; N_HOURS as usize]> {
    let n_years = (YEARS.end - YEARS.start) as f64;
    let mean = |day: u64, hour: u64| -> f64 {
        YEARS.map(|year| season(year, day.min(days_of(year) - 1), hour)).sum::<f64>() / n_years
    };
    let smooth = |day: u64, hour: u64| {
        let (mut sum, mut weights) = (0.0, 0.0);
        for i in 0..=2 * HALF {
            let weight = 1.0 - (i as f64 / HALF as f64 - 1.0).abs();
            sum += weight * mean((day + 366 + i - HALF) % 366, hour);
            weights += weight;
        }
        sum / weights
    };
    (0..366).map(|day| [0, 1, 2, 3].map(|hour| smooth(day, hour))).collect()
}
