//! Files that are read through an object store: `file://` is one of the local files.

use std::path::{Path, PathBuf};

use dask_rs::prelude::*;

fn url(path: &Path) -> PathBuf {
    PathBuf::from(format!("file://{}", path.display()))
}

#[test]
fn npy_files_are_read_in_ranges() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let x = array::arange(0_i64, 600 * 500, 1, [-1]).reshape([600, 500]);
    x.to_npy(&path).unwrap();
    let far: Array<i64> = array::open_npy(url(&path));
    let part = s![7..500;3, 20..400];
    let far = far.rechunk([100, 130]).slice(part).compute().unwrap();
    assert_eq!(far, x.slice(part).compute().unwrap());
    let missing = array::open_npy::<i64>(url(&dir.path().join("y.npy"))).check().unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
}

#[cfg(feature = "hdf5")]
#[test]
fn netcdf_4_files_are_read_in_ranges() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/climate.nc");
    let (near, far) = (DynArray::open_netcdf(&path, "t"), DynArray::open_netcdf(url(&path), "t"));
    let sum = |x: &DynArray| x.cast_to::<f32>().nansum(..).compute().unwrap()[[]];
    assert_eq!(sum(&near), sum(&far));
    assert_eq!(far.dim_names().unwrap(), near.dim_names().unwrap());
}
