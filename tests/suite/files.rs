//! Lazy arrays from and into files.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use dask_rs::prelude::*;

#[test]
fn round_trips() {
    let dir = tempfile::tempdir().unwrap();
    let x = array::arange(0., 60., 1., [7]).reshape([6, 10]);
    let npy = dir.path().join("x.npy");
    x.to_npy(&npy).unwrap();
    let back: Array<f64> = array::open_npy(&npy);
    assert_eq!(back.compute().unwrap(), x.compute().unwrap());
    assert_eq!(
        back.slice(s![..;-2, 1..9;3]).compute().unwrap(),
        x.slice(s![..;-2, 1..9;3]).compute().unwrap()
    );
    let zarr = dir.path().join("x.zarr");
    // The chunks of `x` are irregular, so they are aligned before they are written.
    compute(x.store_zarr(&zarr, array::ZarrWrite::new().chunks(&[4, 3]))).unwrap();
    let back: Array<f64> = array::open_zarr(&zarr);
    assert_eq!(back.compute().unwrap(), x.compute().unwrap());
}

#[test]
fn a_write_that_is_explained_does_not_touch_the_disk() {
    let (dir, pictures) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let x: Array<f64> = array::ones([6, 10], [3, 10]);
    let here = |name: &str| dir.path().join(name);
    let writes =
        (x.store_npy(here("x.npy")), x.store_zarr(here("x.zarr"), array::ZarrWrite::new()));
    // Both write the same two blocks.
    assert_eq!(dask_rs::explain(&writes).unwrap().n_tasks(), Some(2));
    dask_rs::visualize(&writes, pictures.path().join("x.svg")).unwrap();
    let wrong = x.store_zarr(here("y.zarr"), array::ZarrWrite::new().chunks(&[0, 1]));
    assert!(matches!(dask_rs::explain(wrong), Err(Error::InvalidChunks { .. })));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    compute(writes).unwrap();
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2);
}

#[test]
fn era_interim() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/eraint_uvz.nc");
    if !std::path::Path::new(path).exists() {
        eprintln!("skipped: {path} is not there");
        return;
    }
    let u = DynArray::open_netcdf(path, "u").cast::<f64>();
    let zonal = u.mean(["month", "longitude"]).compute().unwrap();
    assert!(zonal.iter().all(|u| u.is_finite() && u.abs() < 100.0), "{zonal}");
}
