//! Means of products of winds: kinetic energy, and the momentum that eddies carry northwards.
//!
//! Three results share two inputs. Each chunk of these is to be read once, and to be gone before the next ones come.

use std::f64::consts::TAU;

use dask_rs::prelude::*;
use ndarray::{ArrayD, IxDyn};

use crate::common::Failure;
use crate::grid::{Grid, steps};
use crate::picture;
use crate::workload::Workload;

const N_STEPS: u64 = 960;
/// A wave goes by in so many steps.
const PERIOD: f64 = 16.0;
/// Metres a second, where storms are neither rare nor frequent.
const WAVE: [f64; 2] = [10.0, 8.0];

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    let grid = Grid::with_cells(w.data_bytes() / 2 / 4 / N_STEPS);
    let (u, v) = winds(grid);
    u.to_zarr(w.path("u"))?;
    v.to_zarr(w.path("v"))?;

    let (u, v): (Array<f32>, Array<f32>) =
        (array::open_zarr(w.path("u")), array::open_zarr(w.path("v")));
    let squares = (u.square().mean("time"), v.square().mean("time"));
    let (uu, vv, uv) = w.compute((squares.0, squares.1, (&u * &v).mean("time")))?;

    // Over whole periods, a squared cosine is a half, and a product of two the half of the cosine of their distance.
    let [a, b] = WAVE;
    let jet = |lat: f64| 30.0 * lat.cos().powi(2);
    let storms = |lat: f64, lon: f64| (lat.cos() * (1.0 + 0.5 * (2.0 * lon).cos())).powi(2);
    let pairs = |values: &ArrayD<f32>, oracle: &dyn Fn(f64, f64) -> f64| -> Vec<(f64, f64)> {
        let oracle = |at: IxDyn| oracle(grid.latitude(at[0]), grid.longitude(at[1]));
        values.indexed_iter().map(|(at, &x)| (x.into(), oracle(at))).collect()
    };
    let energy = pairs(&uu, &|lat, lon| jet(lat).powi(2) + a * a / 2.0 * storms(lat, lon));
    w.check_all("mean of u², m²/s²", energy, 1e-2);
    let energy = pairs(&vv, &|lat, lon| b * b / 2.0 * storms(lat, lon));
    w.check_all("mean of v², m²/s²", energy, 1e-3);
    let flux = pairs(&uv, &|lat, lon| a * b / 2.0 * (2.0 * lat).cos() * storms(lat, lon));
    w.check_all("mean of u v, m²/s²", flux, 1e-3);

    if let Some(path) = w.picture() {
        let title = "Momentum that eddies carry northwards, m²/s²";
        picture::save_map(path, (560, 280), title, uv.slice(s![..;-1, ..]), None)?;
    }
    Ok(())
}

/// The winds to the east and to the north: a jet, and waves that lean with latitude and grow where storms are frequent.
fn winds(grid: Grid) -> (Array<f32>, Array<f32>) {
    let phase = grid.longitudes() * 6.0 - (steps(N_STEPS, 10) % PERIOD) * (TAU / PERIOD);
    let lat = grid.latitudes();
    let storms = lat.cos() * ((grid.longitudes() * 2.0).cos() * 0.5 + 1.0);
    let u = lat.cos().square() * 30.0 + phase.cos() * &storms * WAVE[0];
    let v = (phase + lat * 2.0).cos() * storms * WAVE[1];
    let named = |x: Array<f64>| x.cast::<f32>().with_dim_names(["time", "latitude", "longitude"]);
    (named(u), named(v))
}
