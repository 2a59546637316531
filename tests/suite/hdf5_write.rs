//! HDF5 files that are written, read again by the crate that reads all others.

use dask_rs::array::{self, DynArray, Element, Hdf5Write};
use dask_rs::{Config, Error, ExecutorKind, compute};
use ndarray::ArrayD;
use num_complex::Complex;
use proptest::prelude::*;

use super::oracle::{Draws, cases, numbers};

fn three_datasets(draws: &mut Draws<'_>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.h5");
    let shape: Vec<usize> = (0..draws.below(4)).map(|_| draws.below(7)).collect();
    let (a, b) = (numbers(&shape, |i| i as f32 / 4.0), numbers(&[11], |i| i as u16));
    let x = array::from_ndarray(a.clone(), draws.chunks(&shape));
    let y = array::from_ndarray(b.clone(), draws.chunks(&[11]));
    let file = Hdf5Write::new(&path)
        .compression(draws.below(4) as u32)
        .dataset("group/of/a", &x)
        .compression(draws.below(10) as u32)
        .dataset("b", &y)
        .dataset("group/is_large", &x.gt(3.0));
    Config::new().with_executor(ExecutorKind::Seeded(3)).scope(|| compute(&file).unwrap());
    let (got_a, got_b, is_large) = compute((
        array::open_hdf5::<f32>(&path, "group/of/a"),
        array::open_hdf5::<u16>(&path, "b"),
        array::open_hdf5::<bool>(&path, "group/is_large"),
    ))
    .unwrap();
    assert_eq!(is_large, a.mapv(|x| x > 3.0));
    assert_eq!((got_a, got_b), (a, b));
}

proptest! {
    #![proptest_config(cases(30))]

    #[test]
    fn datasets_come_back(numbers in proptest::collection::vec(any::<u32>(), 30)) {
        three_datasets(&mut Draws { numbers: &numbers, at: 0, is_sendable: false });
    }
}

#[test]
fn every_type_comes_back() {
    fn there_and_back<T: Element + PartialEq>(of: impl Fn(i64) -> T) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.h5");
        let all = numbers(&[3, 5], of);
        let x = array::from_ndarray(all.clone(), [2, 2]);
        let file = Hdf5Write::new(&path).dataset("täglich", &x).compression(1).dataset("small", &x);
        compute(file).unwrap();
        for name in ["täglich", "small"] {
            let back = DynArray::open_hdf5(&path, name);
            assert_eq!(back.dtype().unwrap(), T::DTYPE);
            assert_eq!(back.cast_to::<T>().compute().unwrap(), all);
        }
    }
    there_and_back(|i| i > 0);
    there_and_back(|i| i as i8);
    there_and_back(|i| 300 * i as i16);
    there_and_back(|i| i as i32 * 1_000_003);
    there_and_back(|i| i << 40);
    there_and_back(|i| i as u8);
    there_and_back(|i| i as u16);
    there_and_back(|i| i as u32);
    there_and_back(|i| i as u64);
    there_and_back(|i| i as f32 / 3.0);
    there_and_back(|i| i as f64 / 3.0);
    there_and_back(|i| Complex::new(i as f32, 0.5));
    there_and_back(|i| Complex::new(0.25, i as f64));
}

/// More links than a group keeps in its header by default, and a longer header than 256 bytes.
#[test]
fn groups_may_be_large() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.h5");
    let name = |i: i64| format!("station {i} with a long name/temperature");
    let arrays: Vec<_> = (0..40_i64).map(|i| array::arange(i, i + 5, 1, [2])).collect();
    let file = arrays
        .iter()
        .zip(0..)
        .fold(Hdf5Write::new(&path), |file, (array, i)| file.dataset(&name(i), array));
    compute(file).unwrap();
    for i in [0, 7, 8, 39] {
        let x = array::open_hdf5::<i64>(&path, &name(i)).sum(..).compute().unwrap();
        assert_eq!(x[[]], 5 * i + 10);
    }
}

/// So many chunks that their index has three levels, beside an array without elements and one without axes.
#[test]
fn datasets_may_have_many_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.h5");
    let x = array::arange(0_i32, 3 * 4100, 1, [3]).reshape([4100, 3]);
    let none = array::zeros::<f64>([0, 4], [1, 2]);
    let file = Hdf5Write::new(&path)
        .compression(1)
        .dataset("many", &x.rechunk([1, 3]))
        .dataset("none", &none)
        .dataset("one", &x.sum(..));
    compute(file).unwrap();
    let (all, none, one) = compute((
        array::open_hdf5::<i32>(&path, "many"),
        array::open_hdf5::<f64>(&path, "none"),
        array::open_hdf5::<i64>(&path, "one"),
    ))
    .unwrap();
    assert!(all.iter().copied().eq(0..3 * 4100));
    assert_eq!((none.shape(), one[[]]), (&[0, 4][..], 12_300 * 12_299 / 2));
    let chunks = array::open_hdf5::<i32>(&path, "many").slice(ndarray::s![4099, ..]);
    assert_eq!(chunks.compute().unwrap().sum(), 3 * 12_298);
}

#[test]
fn what_a_file_cannot_hold_is_an_error_before_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.h5");
    let x = array::ones::<f64>([4, 2], [2, 2]);
    let file = || Hdf5Write::new(&path);
    for wrong in [
        file(),
        file().dataset("", &x),
        file().dataset("/x", &x),
        file().dataset("a//b", &x),
        file().dataset("x", &x).dataset("x", &x),
        file().dataset("a/x", &x).dataset("a", &x),
        file().dataset("a", &x).dataset("a/x", &x),
    ] {
        let error = compute(&wrong).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
        assert!(error.to_string().contains("hdf5_write.rs"), "{error}");
    }
    let unknown = x.compress(&x.gt(0.0).any(1), 0);
    assert!(matches!(unknown.to_hdf5(&path, "x").unwrap_err(), Error::UnknownChunks { .. }));
    let large = array::zeros::<u8>([3_u64 << 30], -1);
    let error = compute(file().compression(1).dataset("x", &large)).unwrap_err();
    assert!(matches!(error, Error::InvalidChunks { .. }), "{error}");
    assert!(!path.exists());
    let failing = x.map_blocks(|_, _| -> ArrayD<f64> { panic!("not this one") });
    failing.to_hdf5(&path, "x").unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
