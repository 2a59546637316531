//! NetCDF-4 and HDF5 files as lazy arrays. The files are made by `tests/data/make_hdf5.py`, with netcdf-c and h5py.

use std::path::{Path, PathBuf};

use dask_rs::ExecutorKind;
use dask_rs::array::{Attribute, DType, NetcdfFile};
use dask_rs::prelude::*;
use ndarray::{ArrayD, IxDyn};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The values of `t`: packed numbers that count, one of them missing.
fn temperatures() -> ArrayD<f32> {
    let mut all = ArrayD::from_shape_fn(IxDyn(&[5, 6, 7]), |i| {
        ((i[0] * 6 + i[1]) * 7 + i[2]) as f32 * 0.5 + 10.0
    });
    all[[3, 2, 1]] = f32::NAN;
    all
}

fn same(got: &ArrayD<f32>, expected: &ArrayD<f32>) -> bool {
    let is_same = |a: f32, b: f32| a == b || (a.is_nan() && b.is_nan());
    got.shape() == expected.shape() && got.iter().zip(expected).all(|(a, b)| is_same(*a, *b))
}

#[test]
fn variables_are_unpacked_and_keep_the_names_of_their_dimensions() {
    let t: Array<f32> = array::open_netcdf(data("climate.nc"), "t");
    assert_eq!(t.shape().unwrap(), [5, 6, 7]);
    let names = t.dim_names().unwrap().unwrap();
    assert_eq!(names.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["time", "y", "x"]);
    assert!(same(&t.compute().unwrap(), &temperatures()));
    let mean = t.nanmean(["y", "x"]).compute().unwrap();
    let first: f32 = (0..42).map(|i| i as f32 * 0.5 + 10.0).sum::<f32>() / 42.0;
    assert!((mean[[0]] - first).abs() < 1e-4, "{mean}");
}

#[test]
fn any_chunks_and_executors_read_the_same() {
    let expected = temperatures();
    for executor in [ExecutorKind::Serial, ExecutorKind::Seeded(3), ExecutorKind::Threaded] {
        for optimize in [true, false] {
            let config = Config::new().with_executor(executor).with_optimize(optimize);
            config.with_threads(4).scope(|| {
                let t: Array<f32> = array::open_netcdf(data("climate.nc"), "t");
                let part = t.rechunk([1, 5, 2]).slice(s![1..;2, 2.., 1..6]).compute().unwrap();
                let own = expected.slice(s![1..;2, 2.., 1..6]).to_owned().into_dyn();
                assert!(same(&part, &own), "{part}");
            });
        }
    }
}

#[test]
fn chunks_are_multiples_of_the_stored_ones() {
    let t = Config::new().with_chunk_bytes(2 * 3 * 4 * 4 * 2).scope(|| {
        let t = DynArray::open_netcdf(data("climate.nc"), "t");
        t.chunks().unwrap()
    });
    for (axis, stored) in [2, 3, 4].into_iter().enumerate() {
        let lens = t.sizes(axis).unwrap();
        let (_, whole) = lens.split_last().unwrap();
        assert!(whole.iter().all(|len| len % stored == 0), "{lens:?}");
    }
}

#[test]
fn the_file_tells_of_itself() {
    let file = NetcdfFile::open(data("climate.nc")).unwrap();
    let names: Vec<&str> = file.variables().collect();
    let expected = ["time", "y", "t", "late", "crs", "letters", "names", "bytes", "inner/v"];
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.join(" ")
    };
    assert_eq!(sorted(names), sorted(expected.to_vec()));
    let mut dims: Vec<_> =
        file.dimensions().iter().map(|dim| (dim.name.as_str(), dim.len, dim.unlimited)).collect();
    dims.sort_unstable();
    let expected = [("inner/z", 3, false), ("time", 5, true), ("x", 7, false), ("y", 6, false)];
    assert_eq!(dims, expected);
    assert_eq!(file.dim_names("inner/v").unwrap(), ["y", "z"]);
    assert!(file.dim_names("crs").unwrap().is_empty());
    let texts = |list: [&str; 2]| Attribute::Texts(list.map(str::to_string).to_vec());
    let global: Vec<(String, Attribute)> = vec![
        ("title".into(), Attribute::Text("a title".into())),
        ("numbers".into(), Attribute::I32(vec![1, 2])),
        ("words".into(), texts(["one", "two"])),
    ];
    assert_eq!(file.global_attributes(), global);
    let own = file.attributes("t").unwrap();
    let names: Vec<&str> = own.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["_FillValue", "scale_factor", "add_offset", "units"]);
}

#[test]
fn a_variable_is_as_long_as_its_unlimited_dimension() {
    let late: Array<f32> = array::open_netcdf(data("climate.nc"), "late");
    let expected = ArrayD::from_shape_vec(vec![5], vec![1.0, 2.0, 3.0, f32::NAN, f32::NAN]);
    assert!(same(&late.compute().unwrap(), &expected.unwrap()));
    let time: Array<f64> = array::open_netcdf(data("climate.nc"), "time");
    assert_eq!(time.sum(..).compute().unwrap()[[]], 5.0);
}

#[test]
fn scalars_text_bytes_and_groups() {
    let of = |name: &str| DynArray::open_netcdf(data("climate.nc"), name);
    assert_eq!(of("crs").cast_to::<i32>().compute().unwrap()[[]], 7);
    let letters = of("letters").cast_to::<u8>().compute().unwrap();
    assert_eq!(letters.as_slice().unwrap(), b"abcdefg");
    let bytes = of("bytes").cast_to::<u8>().compute().unwrap();
    assert_eq!(bytes.as_slice().unwrap(), [255, 0, 1, 2, 3, 4, 254]);
    let y = of("y").cast_to::<f32>().compute().unwrap();
    assert_eq!(y.as_slice().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let inner = of("inner/v").cast_to::<u64>().sum(..).compute().unwrap();
    assert_eq!(inner[[]], 17 * 18 / 2);
    let error = of("names").check().unwrap_err();
    assert!(matches!(error, Error::UnsupportedFile { .. }), "{error}");
    assert!(error.to_string().contains("names"), "{error}");
}

#[test]
fn hdf5_without_netcdf() {
    let x: Array<u16> = array::open_hdf5(data("plain.h5"), "deep/group/x");
    let total = x.slice(s![2.., ..5]).cast::<u64>().sum(..).compute().unwrap();
    let expected: u64 = (2..9).flat_map(|i| (0..5).map(move |j| i * 11 + j)).sum();
    assert_eq!(total[[]], expected);
    // As NetCDF, axes without a scale have no names.
    let x = DynArray::open_netcdf(data("plain.h5"), "deep/group/x");
    assert_eq!((x.dim_names().unwrap(), x.dtype().unwrap()), (None, DType::U16));
    let error = array::open_hdf5::<f32>(data("plain.h5"), "nothing").check().unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    let error = array::open_hdf5::<f32>(data("make_hdf5.py"), "x").check().unwrap_err();
    assert!(matches!(error, Error::CorruptFile { .. }), "{error}");
    assert!(array::open_hdf5::<f32>(data("missing.h5"), "x").check().is_err());
}
