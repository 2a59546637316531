//! Places on the Earth, at equal distances in degrees.

use dask_rs::prelude::*;

#[derive(Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) n_lat: u64,
    pub(crate) n_lon: u64,
}

impl Grid {
    /// With about `n` cells, twice as many along a parallel as along a meridian.
    pub(crate) fn with_cells(n: u64) -> Grid {
        let n_lat = (n / 2).isqrt().max(4);
        Grid { n_lat, n_lon: 2 * n_lat }
    }

    pub(crate) fn n_cells(self) -> u64 {
        self.n_lat * self.n_lon
    }

    /// Of row `i`, in radians from south to north.
    pub(crate) fn latitude(self, i: usize) -> f64 {
        (-90.0 + 180.0 * (i as f64 + 0.5) / self.n_lat as f64).to_radians()
    }

    /// Of column `j`, in radians from 0.
    pub(crate) fn longitude(self, j: usize) -> f64 {
        (360.0 * j as f64 / self.n_lon as f64).to_radians()
    }

    /// All latitudes, as a column beside which longitudes are a row.
    pub(crate) fn latitudes(self) -> Array<f64> {
        array::from_fn([self.n_lat, 1], -1, move |at| self.latitude(at[0] as usize))
    }

    /// All longitudes.
    pub(crate) fn longitudes(self) -> Array<f64> {
        array::from_fn([self.n_lon], -1, move |at| self.longitude(at[0] as usize))
    }
}

/// The steps of a time axis in chunks of `chunk`, beside which a map is one of them.
pub(crate) fn steps(n: u64, chunk: u64) -> Array<f64> {
    array::arange(0.0, n as f64, 1.0, [chunk]).expand_dims([1, 2])
}
