//! How far each day is from what is usual on that day of the year.
//!
//! The mean over all years of each day of the year is needed before the first anomaly is, and then every day a second time:
//! where memory is too small for all days, they are read twice.

use std::f64::consts::TAU;

use dask_rs::prelude::*;

use crate::common::Failure;
use crate::grid::{Grid, steps};
use crate::picture::{self, DIVERGING, Scale};
use crate::workload::Workload;

/// Of 365 days, as in the calendars of many models.
const N_YEARS: u64 = 12;
const N_DAYS: u64 = N_YEARS * 365;
/// Kelvin a year.
const WARMING: f64 = 0.03;

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    let grid = Grid::with_cells(w.data_bytes() / 4 / N_DAYS);
    temperature(grid).to_zarr(w.path("t2m"))?;

    let t2m: Array<f32> = array::open_zarr(w.path("t2m"));
    let by_day = t2m.group_by_axis("time", (0..N_DAYS).map(|day| day % 365));
    let usual = by_day.mean();
    let anomaly = &t2m - by_day.expand(&usual);
    let by_year = anomaly.resample("time", 365).mean().mean(["latitude", "longitude"]);
    let work = (anomaly.mean("time"), usual.mean("longitude"), by_year);
    let (mean, usual, by_year) = w.compute(work)?;

    // Waves that go around the world leave no trace in a mean over longitudes, nor anomalies in one over time.
    let middle = WARMING * (N_YEARS - 1) as f64 / 2.0;
    let warming = (0..N_YEARS).map(|year| WARMING * year as f64 - middle);
    w.check_all("anomaly of a year, K", by_year.iter().map(|&x| x.into()).zip(warming), 1e-4);
    w.check_all("mean anomaly of a place, K", mean.iter().map(|&x| (x.into(), 0.0)), 1e-4);
    let usual = usual.indexed_iter().map(|(at, &x)| {
        let lat = grid.latitude(at[1]);
        let season = (at[0] as f64 * TAU / 365.0).cos() * lat.sin() * -15.0;
        (x.into(), 294.0 - lat.sin().powi(2) * 48.0 + season + middle)
    });
    w.check_all("what is usual on a day, K", usual, 1e-3);

    if let Some(path) = w.picture() {
        // A stripe for each year, after Ed Hawkins.
        let stripes = by_year.to_shape((1, N_YEARS as usize))?;
        let scale = Scale { range: -0.18..0.18, colours: DIVERGING };
        let title = "How much warmer each year is than all of them, K";
        picture::save_map(path, (560, 180), title, stripes.view(), Some(scale))?;
    }
    Ok(())
}

/// Kelvin: a climate, seasons, a slow warming, and weather that moves eastwards.
fn temperature(grid: Grid) -> Array<f32> {
    let day = steps(N_DAYS, 30);
    let year = (&day / 365.0).floor();
    let (lat, lon) = (grid.latitudes(), grid.longitudes());
    let season = ((&day - &year * 365.0) * (TAU / 365.0)).cos() * lat.sin() * -15.0;
    let weather = (lon * 3.0 - day * 0.9).sin() * lat.cos() * 4.0;
    let climate = 294.0 - lat.sin().square() * 48.0;
    let kelvin = climate + season + year * WARMING + weather;
    kelvin.cast::<f32>().with_dim_names(["time", "latitude", "longitude"])
}
