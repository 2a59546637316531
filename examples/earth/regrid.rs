//! The temperature of the sea on a coarser grid: each map as a vector, times a sparse matrix of bilinear weights.

use dask_rs::array::{AxisSpec, ZarrWrite, apply_gufunc};
use dask_rs::prelude::*;
use ndarray::{Array2, ArrayD, ArrayViewD};

use crate::common::Failure;
use crate::grid::{Grid, steps};
use crate::picture;
use crate::workload::Workload;

const N_DAYS: u64 = 512;
/// How many degrees of the source are one of the target.
const COARSER: u64 = 4;

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    let source = Grid::with_cells(w.data_bytes() / 4 / N_DAYS);
    let target = Grid { n_lat: source.n_lat / COARSER, n_lon: source.n_lat / COARSER * 2 };
    temperature(source).to_zarr(w.path("fine"))?;

    let fine: Array<f32> = array::open_zarr(w.path("fine"));
    let weights = SparseMatrix::bilinear(source, target);
    let vectors = fine.reshape([N_DAYS, source.n_cells()]);
    let n_cells = [("target", target.n_cells())];
    let times = move |vectors: &[ArrayViewD<'_, f32>]| vec![weights.times(&vectors[0])];
    let [coarse] = &apply_gufunc("(source)->(target)", &[&vectors], &n_cells, times)[..] else {
        unreachable!("a result for each term after the arrow")
    };
    let coarse = coarse
        .reshape([N_DAYS, target.n_lat, target.n_lon])
        .with_dim_names(["time", "latitude", "longitude"])
        .rechunk([("time", AxisSpec::Auto)]);
    w.compute(coarse.store_zarr(w.path("coarse"), ZarrWrite::new()))?;

    // Bilinear interpolation is the truth up to a part that falls with the square of the distances.
    let stored: Array<f32> = array::open_zarr(w.path("coarse"));
    for day in [0, N_DAYS / 2, N_DAYS - 1] {
        let found = stored.slice(s![day as isize, .., ..]).compute()?;
        let pairs = found.indexed_iter().map(|(at, &x)| {
            let (lat, lon) = (target.latitude(at[0]), target.longitude(at[1]));
            (x.into(), kelvin(day as f64, lat, lon))
        });
        let distance = std::f64::consts::PI / source.n_lat as f64;
        w.check_all(&format!("temperature on day {day}, K"), pairs, 12.0 * distance.powi(2));
    }

    if let Some(path) = w.picture() {
        let day = stored.slice(s![0, ..;-1, ..]).compute()?;
        let title = format!("Sea surface on {} by {} places, K", target.n_lat, target.n_lon);
        picture::save_map(path, (560, 280), &title, day.view(), None)?;
    }
    Ok(())
}

/// Rows of a matrix of which few elements are not zero: their columns and values.
struct SparseMatrix {
    rows: Vec<[(usize, f32); 4]>,
}

impl SparseMatrix {
    /// For each place of the target, the four places around it and how near they are.
    fn bilinear(source: Grid, target: Grid) -> SparseMatrix {
        let row = |i: usize| {
            let (i, j) = (i / target.n_lon as usize, i % target.n_lon as usize);
            let [n_lat, n_lon] = [source.n_lat, source.n_lon].map(|n| n as usize);
            let y = (i as f64 + 0.5) * n_lat as f64 / target.n_lat as f64 - 0.5;
            let x = j as f64 * n_lon as f64 / target.n_lon as f64;
            let (y0, x0) = ((y as usize).min(n_lat - 2), x as usize);
            let (north, east) = (y - y0 as f64, x - x0 as f64);
            let at = |y: usize, x: usize| y * n_lon + x % n_lon;
            let near = [
                (at(y0, x0), (1.0 - north) * (1.0 - east)),
                (at(y0, x0 + 1), (1.0 - north) * east),
                (at(y0 + 1, x0), north * (1.0 - east)),
                (at(y0 + 1, x0 + 1), north * east),
            ];
            near.map(|(place, weight)| (place, weight as f32))
        };
        SparseMatrix { rows: (0..target.n_cells() as usize).map(row).collect() }
    }

    /// The product with each of some vectors.
    fn times(&self, vectors: &ArrayViewD<'_, f32>) -> ArrayD<f32> {
        let vectors =
            vectors.view().into_dimensionality::<ndarray::Ix2>().expect("vectors of maps");
        let mut products = Array2::zeros((vectors.nrows(), self.rows.len()));
        for (vector, mut product) in vectors.outer_iter().zip(products.outer_iter_mut()) {
            for (row, out) in self.rows.iter().zip(&mut product) {
                *out = row.iter().map(|&(column, weight)| weight * vector[column]).sum();
            }
        }
        products.into_dyn()
    }
}

/// The temperature of the sea on a day of the year at a place.
fn kelvin(day: f64, lat: f64, lon: f64) -> f64 {
    let season = (day * std::f64::consts::TAU / 365.0).cos();
    300.0 - 28.0 * lat.sin().powi(2) - 6.0 * lat.sin() * season
        + 2.0 * (3.0 * lon).cos() * lat.cos()
}

fn temperature(grid: Grid) -> Array<f32> {
    let (lat, lon) = (grid.latitudes(), grid.longitudes());
    let season = (steps(N_DAYS, 1) * (std::f64::consts::TAU / 365.0)).cos();
    let climate = 300.0 - lat.sin().square() * 28.0;
    let currents = (lon * 3.0).cos() * lat.cos() * 2.0;
    let kelvin = climate + currents - lat.sin() * 6.0 * season;
    kelvin.cast::<f32>().with_dim_names(["time", "latitude", "longitude"])
}
