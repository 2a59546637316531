//! A made-up data set: temperatures near the ground, as a Zarr group with coordinates.

use std::path::Path;

use dask_rs::array::ZarrWrite;
use dask_rs::prelude::*;

/// The name of the array in the group.
pub(crate) const NAME: &str = "t2m";

const N_LAT: u64 = 180;
const N_LON: u64 = 360;
/// How many days a stored chunk has.
const STORED_DAYS: u64 = 256;

/// Writes `factor` times `limit` bytes, or a little more; returns how many.
pub(crate) fn write(dir: &Path, limit: u64, factor: f64) -> Result<u64> {
    let bytes_per_day = N_LAT * N_LON * size_of::<f32>() as u64;
    let n_days = ((limit as f64 * factor / bytes_per_day as f64).ceil() as u64).max(2);
    // Tiles so small that a block of some tiles and all days is still a small part of the limit.
    let positions = Config::current()?.chunk_bytes() / (n_days * size_of::<f32>() as u64);
    let tile = positions.isqrt().clamp(1, N_LAT);
    let chunks = [STORED_DAYS.min(n_days), tile, tile];
    let temperature = temperature(n_days, chunks);
    let how = || ZarrWrite::new().overwrite();
    let bytes = temperature.nbytes()?;
    compute((
        temperature.store_zarr(dir.join(NAME), how()),
        latitudes(N_LAT).store_zarr(dir.join("latitude"), how()),
        longitudes(N_LON).store_zarr(dir.join("longitude"), how()),
    ))?;
    Ok(bytes)
}

fn latitudes(chunk: u64) -> Array<f32> {
    array::arange(-89.5, 90.0, 1.0, chunk)
}

fn longitudes(chunk: u64) -> Array<f32> {
    array::arange(0.5, 360.0, 1.0, chunk)
}

/// Kelvin: warm at the equator, seasons that grow with latitude and land, and moving weather.
fn temperature(n_days: u64, chunks: [u64; 3]) -> Array<f32> {
    // The chunks of the axes become those of their products.
    let day = array::arange(0.0, n_days as f32, 1.0, chunks[0]).expand_dims([1, 2]);
    let lat = latitudes(chunks[1]).deg2rad().expand_dims([0, 2]);
    let lon = longitudes(chunks[2]).deg2rad().expand_dims([0, 1]);
    let land = land(&lat, &lon);
    let season = (&day * (std::f32::consts::TAU / 365.25)).cos() * lat.sin();
    let weather = (&lon * 5.0 - &day * 0.9 + &lat * 2.0).sin() * (&lat * 2.0).sin() * 4.0;
    let climate = lat.sin().square() * -48.0 + &land * 9.0 + 294.0;
    let swing = season * (land * 9.0 + 12.0) * -1.0;
    (climate + swing + weather).with_dim_names(["time", "latitude", "longitude"])
}

/// About 1 on made-up continents and about 0 between them.
fn land(lat: &Array<f32>, lon: &Array<f32>) -> Array<f32> {
    let height = (lon * 2.0 + 0.6).sin() * (lat * 1.5 + 0.9).cos()
        + (lon * 3.0 - lat * 2.0).cos() * 0.5
        + (lon * 5.0 + lat * 4.0 + 1.0).sin() * 0.3;
    (height * 3.0).tanh() * 0.5 + 0.5
}
