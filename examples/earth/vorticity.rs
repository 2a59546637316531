//! How fast water turns: differences of currents between the faces of cells, on an ocean without coasts.
//!
//! The last face is the first one again, so that what would be work on single chunks reaches over the ends of the axes.

use std::f64::consts::TAU;

use dask_rs::array::{PadMode, ZarrWrite};
use dask_rs::prelude::*;

use crate::common::Failure;
use crate::grid::steps;
use crate::picture;
use crate::workload::Workload;

const N_STEPS: u64 = 256;
/// How many pairs of whirls stand side by side.
const N_PAIRS: f64 = 3.0;

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    let n = (w.data_bytes() / 2 / 4 / N_STEPS).isqrt();
    let (u, v) = currents(n);
    u.to_zarr(w.path("u"))?;
    v.to_zarr(w.path("v"))?;

    let (u, v): (Array<f32>, Array<f32>) =
        (array::open_zarr(w.path("u")), array::open_zarr(w.path("v")));
    // The lengths of the edges of cells, which stretched grids have for each of them.
    let (dx, dy): (Array<f32>, Array<f32>) = (array::ones([n, n], -1), array::ones([n, n], -1));
    let along = |x: &Array<f32>, axis: &str| {
        x.pad([(axis, (0, 1))], PadMode::Wrap).rechunk([(axis, -1)]).diff(1, axis)
    };
    let circulation = along(&(&v * &dy), "x") - along(&(&u * &dx), "y");
    let vorticity = circulation / (&dx * &dy);
    let enstrophy = vorticity.square().mean(["y", "x"]);
    let store = vorticity.store_zarr(w.path("vorticity"), ZarrWrite::new());
    let (enstrophy, ()) = w.compute((enstrophy, store))?;

    // Differences of sines are cosines half a cell further on.
    let h = TAU * N_PAIRS / n as f64;
    let difference = 2.0 * (h / 2.0).sin();
    let exact = |step: usize, y: f64, x: f64| {
        let turns = (h * (x + 0.5)).cos() * (h * y).cos() + (h * x).cos() * (h * (y + 0.5)).cos();
        -difference * strength(step) * turns
    };
    let pairs = enstrophy.iter().enumerate().map(|(step, &x)| {
        let mean = (1.0 + (h / 2.0).cos().powi(2)) / 2.0;
        (f64::from(x) / difference.powi(2), strength(step).powi(2) * mean)
    });
    w.check_all("enstrophy of a step, of the largest", pairs, 1e-4);
    let stored: Array<f32> = array::open_zarr(w.path("vorticity"));
    let last = stored.slice(s![-1, .., ..]).compute()?;
    let pairs = last.indexed_iter().map(|(at, &x)| {
        let exact = exact(N_STEPS as usize - 1, at[0] as f64, at[1] as f64);
        (f64::from(x) / difference, exact / difference)
    });
    w.check_all("vorticity of a cell, of the largest", pairs, 1e-4);

    if let Some(path) = w.picture() {
        let of_largest = last.mapv(|x| f64::from(x) / difference);
        let title = "Vorticity in the last step";
        picture::save_map(path, (320, 272), title, of_largest.view(), None)?;
    }
    Ok(())
}

/// Currents to the east and to the north that turn in squares, in chunks of a step.
fn currents(n: u64) -> (Array<f32>, Array<f32>) {
    let x = array::arange(0.0, n as f64, 1.0, -1) * (TAU * N_PAIRS / n as f64);
    let y = x.expand_dims(1);
    let strength = (steps(N_STEPS, 1) * (TAU / N_STEPS as f64)).cos() * 0.5 + 1.0;
    let u = &strength * x.cos() * y.sin();
    let v = strength * x.sin() * y.cos() * -1.0;
    let named = |x: Array<f64>| x.cast::<f32>().with_dim_names(["time", "y", "x"]);
    (named(u), named(v))
}

fn strength(step: usize) -> f64 {
    (step as f64 * TAU / N_STEPS as f64).cos() * 0.5 + 1.0
}
