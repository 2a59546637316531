//! NetCDF files that are written, read again.

use std::path::Path;

use dask_rs::array::{self, Array, Attribute, DType, DynArray, Element, NetcdfFile, NetcdfWrite};
use dask_rs::{Config, Error, ExecutorKind, compute};
use proptest::prelude::*;

use super::oracle::{Draws, cases, numbers};

/// Of two variables with common dimensions, in chunks of their own.
fn two_variables(draws: &mut Draws<'_>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.nc");
    let shape: Vec<usize> = (0..1 + draws.below(3)).map(|_| 1 + draws.below(6)).collect();
    let names = ["time", "lat", "lon"];
    let (a, b) = (numbers(&shape, |i| i as f32 / 4.0), numbers(&shape[1..], |i| i as i16));
    let x =
        array::from_ndarray(a.clone(), draws.chunks(&shape)).with_dim_names(&names[..shape.len()]);
    let y = array::from_ndarray(b.clone(), draws.chunks(&shape[1..]));
    let y = y.with_dim_names(&names[1..shape.len()]);
    let file = NetcdfWrite::new(&path).variable("a", &x, &[]).variable("b", &y, &[]);
    Config::new().with_executor(ExecutorKind::Seeded(3)).scope(|| compute(&file).unwrap());
    let (got_a, got_b) =
        compute((array::open_netcdf::<f32>(&path, "a"), array::open_netcdf::<i16>(&path, "b")))
            .unwrap();
    assert_eq!((got_a, got_b), (a, b));
    assert_eq!(
        array::open_netcdf::<f32>(&path, "a").dim_names().unwrap().unwrap(),
        names[..shape.len()]
    );
    assert_eq!(NetcdfFile::open(&path).unwrap().dimensions().len(), shape.len());
}

proptest! {
    #![proptest_config(cases(30))]

    #[test]
    fn variables_come_back(numbers in proptest::collection::vec(any::<u32>(), 30)) {
        two_variables(&mut Draws { numbers: &numbers, at: 0, is_sendable: false });
    }
}

#[test]
fn every_type_of_number_comes_back_in_the_version_that_has_it() {
    fn there_and_back<T: Element + PartialEq>(dir: &Path, version: u8, of: impl Fn(i64) -> T) {
        let path = dir.join(format!("{}.nc", T::DTYPE));
        let all = numbers(&[3, 5], of);
        array::from_ndarray(all.clone(), [2, 2]).to_netcdf(&path, "v").unwrap();
        assert_eq!(std::fs::read(&path).unwrap()[..4], [b'C', b'D', b'F', version]);
        let back = DynArray::open_netcdf(&path, "v");
        assert_eq!(back.dtype().unwrap(), T::DTYPE);
        assert_eq!(back.cast_to::<T>().compute().unwrap(), all);
        assert_eq!(back.dim_names().unwrap().unwrap(), ["dim_0", "dim_1"]);
    }
    let dir = tempfile::tempdir().unwrap();
    there_and_back::<i8>(dir.path(), 2, |i| i as i8);
    there_and_back::<i16>(dir.path(), 2, |i| 300 * i as i16);
    there_and_back::<i32>(dir.path(), 2, |i| i as i32 * 1_000_003);
    there_and_back::<f32>(dir.path(), 2, |i| i as f32 / 3.0);
    there_and_back::<f64>(dir.path(), 2, |i| i as f64 / 3.0);
    there_and_back::<i64>(dir.path(), 5, |i| i << 40);
    there_and_back::<u8>(dir.path(), 5, |i| i as u8);
    there_and_back::<u16>(dir.path(), 5, |i| i as u16);
    there_and_back::<u32>(dir.path(), 5, |i| i as u32);
    there_and_back::<u64>(dir.path(), 5, |i| i as u64);
}

#[test]
fn a_file_says_what_its_variables_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.nc");
    let time = array::arange(0.0, 4.0, 1.0, [3]).with_dim_names(["time"]);
    let t2m: Array<i16> = array::full([4, 2], 120, [1, 2]).with_dim_names(["time", "x"]);
    let fill: &[(&str, Attribute)] = &[("scale_factor", 0.5.into()), ("_FillValue", 7_i16.into())];
    let file = NetcdfWrite::new(&path)
        .attribute("title", "a test")
        .variable("time", &time, &[("units", "days since 2000-01-01".into())])
        .unlimited("time")
        .variable("t2m", &t2m, fill)
        .variable("n", &t2m.sum(..).cast::<i32>(), &[]);
    compute(file).unwrap();
    let file = NetcdfFile::open(&path).unwrap();
    assert_eq!(file.variables().collect::<Vec<_>>(), ["time", "t2m", "n"]);
    assert_eq!(file.global_attributes(), [("title".to_owned(), "a test".into())]);
    assert_eq!(file.attributes("t2m").unwrap()[1], ("_FillValue".to_owned(), 7_i16.into()));
    let dimensions: Vec<_> = file.dimensions().iter().map(|dim| (dim.len, dim.unlimited)).collect();
    assert_eq!(dimensions, [(4, true), (2, false)]);
    // Read as what the attributes say.
    assert_eq!(array::open_netcdf::<f64>(&path, "t2m").sum(..).compute().unwrap()[[]], 480.0);
    assert_eq!(array::open_netcdf::<i32>(&path, "n").compute().unwrap()[[]], 960);
}

#[test]
fn what_a_file_cannot_hold_is_an_error_before_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.nc");
    let x: Array<f64> = array::ones([4, 2], [2, 2]);
    let file = || NetcdfWrite::new(&path);
    let none: &[(&str, Attribute)] = &[];
    let error = compute(file().variable("b", &x.gt(0.0), none)).unwrap_err();
    assert!(matches!(error, Error::DTypeMismatch { .. }), "{error}");
    let other = x.transpose();
    let error = compute(file().variable("x", &x, none).variable("y", &other, none)).unwrap_err();
    assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
    for wrong in [
        file(),
        file().variable("", &x, none),
        file().variable("a/b", &x, none),
        file().variable("x", &x, none).variable("x", &x, none),
        file().variable("x", &x.slice(ndarray::s![..0, ..]), none),
        file().variable("x", &x.with_dim_names(["a", "a/b"]), none),
        file().variable("x", &x.with_dim_names(["a", "t"]), none).unlimited("t"),
    ] {
        let error = compute(&wrong).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
        assert!(error.to_string().contains("netcdf_write.rs"), "{error}");
    }
    let unknown = x.compress(&x.gt(0.0).any(1), 0);
    let error = unknown.to_netcdf(&path, "x").unwrap_err();
    assert!(matches!(error, Error::UnknownChunks { .. }), "{error}");
    assert!(!path.exists());
    let empty = x.slice(ndarray::s![..0, ..]).with_dim_names(["t", "x"]);
    compute(file().unlimited("t").variable("x", &empty, none)).unwrap();
    assert_eq!(array::open_netcdf::<f64>(&path, "x").shape().unwrap(), [0, 2]);
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.nc");
    let x: Array<f64> = array::ones([6], [2]);
    x.to_netcdf(&path, "x").unwrap();
    let failing = x.map_blocks(|block, info| {
        assert!(info.block[0] < 2, "not this one");
        block.to_owned()
    });
    let error = failing.to_netcdf(&path, "x").unwrap_err();
    assert!(matches!(error, Error::TaskPanicked { .. }), "{error}");
    assert_eq!(array::open_netcdf::<f64>(&path, "x").sum(..).compute().unwrap()[[]], 6.0);
    // Nothing is left beside it; and what is only explained touches nothing.
    let again = NetcdfWrite::new(dir.path().join("y.nc")).variable("x", &x, &[]);
    assert!(dask_rs::explain(&again).unwrap().n_tasks() > Some(0));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    // A file may be written over while it is read.
    (array::open_netcdf::<f64>(&path, "x") * 2.0).to_netcdf(&path, "x").unwrap();
    assert_eq!(array::open_netcdf::<f64>(&path, "x").sum(..).compute().unwrap()[[]], 12.0);
    assert_eq!(DynArray::open_netcdf(&path, "x").dtype().unwrap(), DType::F64);
}
