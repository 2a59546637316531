//! From maps to time series: an archive with a chunk for each hour becomes one with all hours of a few places in a chunk.
//!
//! Each chunk of the result needs every chunk of the archive, of which memory holds a part.

use dask_rs::array::{AxisSpec, ZarrWrite};
use dask_rs::prelude::*;

use crate::common::Failure;
use crate::grid::{Grid, steps};
use crate::workload::Workload;

const N_HOURS: u64 = 1024;

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    let grid = Grid::with_cells(w.data_bytes() / 4 / N_HOURS);
    archive(grid).to_zarr(w.path("by_hour"))?;

    let maps: Array<i32> = array::open_zarr(w.path("by_hour"));
    let chunks =
        [("time", AxisSpec::Whole), ("latitude", AxisSpec::Auto), ("longitude", AxisSpec::Auto)];
    w.compute(maps.rechunk(chunks).store_zarr(w.path("by_place"), ZarrWrite::new()))?;

    let series: Array<i32> = array::open_zarr(w.path("by_place"));
    let (n_cells, n_lon) = (grid.n_cells() as i64, grid.n_lon as i64);
    // Elements are numbered, so that each is somewhere or missed.
    for row in [0, grid.n_lat / 2, grid.n_lat - 1] {
        let found = series.slice(s![.., row as isize, ..]).compute()?;
        let pairs = found.indexed_iter().map(|(at, &x)| {
            let number = at[0] as i64 * n_cells + row as i64 * n_lon + at[1] as i64;
            (x.into(), number as f64)
        });
        w.check_all(&format!("series along row {row}"), pairs, 0.0);
    }
    let n = (N_HOURS * grid.n_cells()) as f64;
    w.check("sum of all elements", series.sum(..).compute()?[[]] as f64, n * (n - 1.0) / 2.0, 0.0);

    let tasks = |x: &Array<i32>| x.slice(s![.., 1, 1]).explain().map(|plan| plan.n_tasks());
    let [before, after] = [tasks(&maps)?, tasks(&series)?].map(Option::unwrap_or_default);
    w.note(&format!("the series of a place takes {after} tasks, of the archive {before}"));
    Ok(())
}

/// Each element is its number, in C order.
fn archive(grid: Grid) -> Array<i32> {
    let row = array::arange(0.0, grid.n_lat as f64, 1.0, -1).expand_dims(1) * grid.n_lon as f64;
    let column = array::arange(0.0, grid.n_lon as f64, 1.0, -1);
    let number = steps(N_HOURS, 1) * grid.n_cells() as f64 + row + column;
    number.cast::<i32>().with_dim_names(["time", "latitude", "longitude"])
}
