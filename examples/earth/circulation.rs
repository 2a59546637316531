//! The transformed Eulerian mean: what of the circulation is the mean over longitudes, and what eddies carry besides.
//!
//! Four variables, each of which is needed for its mean, and again for its distance from it.

use std::f64::consts::TAU;

use dask_rs::array::ZarrWrite;
use dask_rs::prelude::*;

use crate::common::Failure;
use crate::grid::Grid;
use crate::picture;
use crate::workload::Workload;

const N_DAYS: u64 = 5;
const N_LEVELS: u64 = 8;
/// Winds to the east, to the north, upwards, and temperature: the mean, how large the eddies are, and how far they are shifted
/// from one latitude to the next.
const VARIABLES: [(&str, f64, f64, f64); 4] =
    [("u", 20.0, 10.0, 0.0), ("v", 1.0, 8.0, 2.0), ("w", 0.01, 0.02, 1.0), ("t", 260.0, 5.0, -1.0)];

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    let grid = Grid::with_cells(w.data_bytes() / 4 / 4 / (24 * N_DAYS * N_LEVELS));
    for variable in VARIABLES {
        made(grid, variable).to_zarr(w.path(variable.0))?;
    }

    let [u, v, up, t] = VARIABLES.map(|(name, ..)| array::open_zarr::<f32>(w.path(name)));
    let zonal = |x: &Array<f32>| x.mean("longitude");
    let eddies = |x: &Array<f32>| x - x.mean(over("longitude").keepdims());
    let results = [
        ("u", zonal(&u)),
        ("v", zonal(&v)),
        ("w", zonal(&up)),
        ("t", zonal(&t)),
        ("uv", zonal(&(eddies(&u) * eddies(&v)))),
        ("vt", zonal(&(eddies(&v) * eddies(&t)))),
        ("uw", zonal(&(eddies(&u) * eddies(&up)))),
    ];
    let stores = results.map(|(name, hourly)| {
        let daily = hourly.resample("time", 24).mean();
        daily.store_zarr(w.path(&format!("daily_{name}")), ZarrWrite::new())
    });
    w.compute(Vec::from(stores))?;

    let daily = |name: &str| array::open_zarr::<f32>(w.path(&format!("daily_{name}"))).compute();
    let (uv, vt, uw) = (daily("uv")?, daily("vt")?, daily("uw")?);
    let zonal: Vec<_> = VARIABLES.iter().map(|(name, ..)| daily(name)).collect::<Result<_>>()?;
    let means = [
        ("mean wind to the east, m/s", 1e-3),
        ("mean wind to the north, m/s", 1e-3),
        ("mean wind upwards, m/s", 1e-6),
        ("mean temperature, K", 1e-2),
    ];
    for (((what, tolerance), (_, mean, ..)), found) in means.into_iter().zip(VARIABLES).zip(&zonal)
    {
        let pairs = found.indexed_iter();
        let pairs = pairs.map(|(at, &x)| (x.into(), mean * jet(grid.latitude(at[2]), at[1])));
        w.check_all(what, pairs, tolerance);
    }
    // Over a parallel, a product of two waves is half of the cosine of their distance.
    let flux = |at: ndarray::IxDyn, a: usize, b: usize| {
        let (a, b) = (VARIABLES[a], VARIABLES[b]);
        let distance = (a.3 - b.3) * grid.latitude(at[2]);
        a.2 * b.2 / 2.0 * distance.cos() * DAILY_MEAN_OF_SQUARES
    };
    let pairs = uv.indexed_iter().map(|(at, &x)| (x.into(), flux(at, 0, 1)));
    w.check_all("momentum carried northwards, m²/s²", pairs, 1e-3);
    let pairs = vt.indexed_iter().map(|(at, &x)| (x.into(), flux(at, 1, 3)));
    w.check_all("heat carried northwards, K m/s", pairs, 1e-2);
    let pairs = uw.indexed_iter().map(|(at, &x)| (x.into(), flux(at, 0, 2)));
    w.check_all("momentum carried upwards, m²/s²", pairs, 1e-4);

    if let Some(path) = w.picture() {
        let title = "Mean wind to the east from the ground up, south to north, m/s";
        picture::save_map(path, (560, 240), title, zonal[0].slice(s![0, ..;-1, ..]), None)?;
    }
    Ok(())
}

/// Eddies grow and shrink by a half once a day.
const DAILY_MEAN_OF_SQUARES: f64 = 1.0 + 0.5 * 0.5 / 2.0;

/// How the mean depends on latitude and level.
fn jet(latitude: f64, level: usize) -> f64 {
    latitude.cos().powi(2) * (1.0 + level as f64 / N_LEVELS as f64)
}

/// A variable: hours, levels, latitudes and longitudes, in chunks of an hour.
fn made(grid: Grid, (_, mean, eddies, shift): (&str, f64, f64, f64)) -> Array<f32> {
    let hour = array::arange(0.0, 24.0 * N_DAYS as f64, 1.0, [1]).expand_dims([1, 2, 3]);
    let level = array::arange(0.0, N_LEVELS as f64, 1.0, -1).expand_dims([1, 2]);
    let lat = grid.latitudes();
    let jet = lat.cos().square() * (level / N_LEVELS as f64 + 1.0) * mean;
    let growth = (&hour * (TAU / 24.0)).cos() * 0.5 + 1.0;
    let wave = (grid.longitudes() * 5.0 - hour * 0.3 + lat * shift).cos() * growth * eddies;
    let names = ["time", "level", "latitude", "longitude"];
    (jet + wave).cast::<f32>().with_dim_names(names)
}
