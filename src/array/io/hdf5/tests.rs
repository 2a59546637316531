use ndarray::{ArrayD, IxDyn};
use num_complex::Complex;

use super::super::testing::{call, cut, names_a_file, read, read_as, rewrite};
use super::*;
use crate::array::dtype::{DType, Element};
use crate::array::io::Source;

/// Made by `tests/data/make_hdf5.py`.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn source(file: &str, name: &str) -> Result<Hdf5Source> {
    let file = Hdf5File::open(call(), &data(file), "HDF5")?;
    let dataset = file.dataset(call(), name)?;
    file.source(call(), name, dataset)
}

/// Elements that count, in C order.
fn count<T: Element>(shape: &[usize], of: impl Fn(usize) -> T) -> ArrayD<T> {
    let n = shape.iter().product();
    ArrayD::from_shape_vec(IxDyn(shape), (0..n).map(of).collect()).unwrap()
}

fn whole<T: Element>(source: &Hdf5Source) -> ArrayD<T> {
    let lens: Vec<usize> = source.shape().iter().map(|&len| len as usize).collect();
    read_as::<T>(source, &vec![0; lens.len()], &lens)
}

#[test]
fn chunks_are_found_by_every_kind_of_index() {
    for name in ["single", "fixed", "extensible", "tree", "implicit"] {
        let source = source("latest.h5", name).unwrap();
        let shape: Vec<usize> = source.shape().iter().map(|&len| len as usize).collect();
        let all = count(&shape, |i| i as i32);
        assert_eq!(whole::<i32>(&source), all, "{name}");
        for (start, lens) in
            [([1, 0], [2, 3]), ([3, 1], [1, 2]), ([0, 2], [4, 1]), ([2, 1], [0, 2])]
        {
            assert_eq!(read_as::<i32>(&source, &start, &lens), cut(&all, &start, &lens), "{name}");
        }
        assert!(source.storage_chunks().is_some());
    }
}

#[test]
fn a_tree_of_version_1_and_filters() {
    let x = source("plain.h5", "/deep/group/x").unwrap();
    assert_eq!((x.dtype(), x.storage_chunks()), (DType::U16, Some(vec![4, 4])));
    let all = count(&[9, 11], |i| i as u16);
    assert_eq!(whole::<u16>(&x), all);
    assert_eq!(read_as::<u16>(&x, &[3, 5], &[4, 6]), cut(&all, &[3, 5], &[4, 6]));
    assert_eq!(whole::<i32>(&source("plain.h5", "scaled").unwrap()), count(&[50], |i| i as i32));
    // A link back to the root.
    assert_eq!(source("plain.h5", "deep/loop/deep/group/x").unwrap().shape(), [9, 11]);
}

#[test]
fn both_byte_orders_without_chunks() {
    for name in ["contiguous", "big"] {
        let source = source("plain.h5", name).unwrap();
        assert_eq!((source.dtype(), source.storage_chunks()), (DType::I32, None));
        let all = count(&[4, 5], |i| i as i32);
        assert_eq!(whole::<i32>(&source), all, "{name}");
        assert_eq!(read_as::<i32>(&source, &[1, 3], &[3, 2]), cut(&all, &[1, 3], &[3, 2]));
    }
    assert_eq!(whole::<f64>(&source("plain.h5", "scalar").unwrap())[[]], 2.5);
    assert_eq!(whole::<f32>(&source("plain.h5", "none").unwrap()).shape(), [0, 3]);
}

#[test]
fn what_h5py_writes_for_elements_that_hdf5_has_not() {
    let bools = whole::<bool>(&source("plain.h5", "bool").unwrap());
    assert_eq!(bools.as_slice().unwrap(), [true, false, true]);
    let complex = whole::<Complex<f32>>(&source("plain.h5", "complex").unwrap());
    assert_eq!(complex.as_slice().unwrap(), [Complex::new(1.0, 2.0), Complex::new(3.0, -4.0)]);
    let numbers = whole::<i16>(&source("plain.h5", "enum").unwrap());
    assert_eq!(numbers.as_slice().unwrap(), [2, 1]);
}

#[test]
fn what_was_never_written_is_the_fill_value() {
    let unwritten = source("plain.h5", "unwritten").unwrap();
    assert_eq!(whole::<i64>(&unwritten), ArrayD::from_elem(IxDyn(&[3, 4]), -5));
    let all = ArrayD::from_shape_fn(IxDyn(&[6, 6]), |i| {
        if (2..5).contains(&i[0]) && i[1] < 4 { 8.0 } else { -1.0 }
    });
    let partly = source("plain.h5", "partly").unwrap();
    assert_eq!(whole::<f32>(&partly), all);
    assert_eq!(read_as::<f32>(&partly, &[1, 2], &[4, 4]), cut(&all, &[1, 2], &[4, 4]));
}

#[test]
fn elements_that_arrays_do_not_have_are_refused_by_name() {
    for (name, what) in [
        ("text", "of strings"),
        ("records", "of records"),
        ("half", "floats of 2 bytes"),
        ("empty", "no elements"),
    ] {
        let error = source("plain.h5", name).unwrap_err();
        assert!(matches!(error, Error::UnsupportedFile { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(what) && text.contains(name) && text.contains("plain.h5"), "{text}");
    }
    let error = source("plain.h5", "deep/y").unwrap_err().to_string();
    assert!(
        error.contains("\"deep/y\"") && error.contains("contiguous") && error.contains("deep/"),
        "{error}"
    );
}

#[test]
fn filters_that_come_as_plugins() {
    let mut of_plugins = vec![("plain.h5", "lzf"), ("filters.h5", "lz4"), ("filters.h5", "zstd")];
    if cfg!(feature = "zarr") {
        of_plugins.push(("filters.h5", "blosc"));
    }
    let all = count(&[50], |i| i as i32);
    for (file, name) in of_plugins {
        let source = source(file, name).unwrap();
        assert_eq!(whole::<i32>(&source), all, "{name}");
        assert_eq!(read_as::<i32>(&source, &[13], &[30]), cut(&all, &[13], &[30]), "{name}");
    }
    for (name, filter) in [("zfp", "the filter ZFP"), ("private", "filter id 32999")] {
        let error = read(&source("filters.h5", name).unwrap(), &[0], &[50]).unwrap_err();
        assert!(matches!(error, Error::UnsupportedFile { .. }), "{error}");
        let text = error.to_string();
        for part in [filter, &format!("{name:?}"), "filters.h5", "h5repack"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

/// Wherever something that is compressed begins: its own checksum finds what has changed.
#[test]
fn chunks_that_do_not_match_their_checksums_name_their_dataset() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.h5");
    let good = std::fs::read(data("plain.h5")).unwrap();
    let begins = good.windows(2).enumerate().filter(|(_, bytes)| *bytes == [0x78, 0x5e]);
    let mut n_found = 0;
    for (begin, _) in begins {
        let mut bytes = good.clone();
        bytes[begin + 8] ^= 0xff;
        std::fs::write(&path, &bytes).unwrap();
        let file = Hdf5File::open(call(), &path, "HDF5").unwrap();
        let dataset = file.dataset(call(), "deep/group/x").unwrap();
        let source = file.source(call(), "deep/group/x", dataset).unwrap();
        match read(&source, &[0, 0], &[9, 11]) {
            Ok(read) => {
                assert_eq!(read.into_typed::<u16>().unwrap(), count(&[9, 11], |i| i as u16))
            }
            Err(error) => {
                assert!(matches!(error, Error::CorruptFile { .. }), "{error}");
                assert!(error.to_string().contains("deep/group/x"), "{error}");
                n_found += 1;
            }
        }
    }
    assert_eq!(n_found, 9, "there are so many chunks");
}

/// Each byte of the part of the file that has the metadata, and cuts at some lengths.
#[test]
fn damaged_files_are_errors_or_other_values() {
    let dir = tempfile::tempdir().unwrap();
    for (name, step) in
        [("plain.h5", 61), ("latest.h5", 17), ("filters.h5", 47), ("climate.nc", 97)]
    {
        let path = dir.path().join(name);
        let good = std::fs::read(data(name)).unwrap();
        std::fs::write(&path, &good).unwrap();
        let cuts = (0..good.len()).step_by(97 * step).map(|n| good[..n].to_vec());
        let flips = (0..good.len()).step_by(step).map(|at| {
            let mut bad = good.clone();
            bad[at] ^= [0x01, 0x80, 0xff][at % 3];
            bad
        });
        for bad in cuts.chain(flips) {
            rewrite(&path, &bad);
            let Err(error) = read_some(&path) else { continue };
            assert!(names_a_file(&error), "{error}");
        }
    }
}

/// Reads the datasets of the root group, as far as they are small.
fn read_some(path: &Path) -> Result<()> {
    let file = Hdf5File::open(call(), path, "HDF5")?;
    let root = file.root(call())?;
    let (_, names) = guarded(&file.blame(call()), "names", || root.member_names())?;
    for name in names {
        let Ok(dataset) = file.dataset(call(), &name) else { continue };
        let Ok(source) = file.source(call(), &name, dataset) else { continue };
        let lens: Vec<usize> = source.shape().iter().map(|&len| len.min(20) as usize).collect();
        if let Err(error) = read(&source, &vec![0; lens.len()], &lens) {
            assert!(names_a_file(&error), "{error}");
        }
    }
    Ok(())
}
