use std::path::PathBuf;
use std::sync::Arc;

use ndarray::{Array0, ArrayD, Axis, IxDyn};
use num_complex::Complex;

use super::super::testing::{call, cut, ramp, read, read_as, survives_damage};
use super::*;

fn temp() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    (dir, path)
}

/// A file with a header of any version and the given bytes after it.
fn file_of(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let len = header.len() as u32;
    let len =
        if version == 1 { len.to_le_bytes()[..2].to_vec() } else { len.to_le_bytes().to_vec() };
    [b"\x93NUMPY", [version, 0].as_slice(), &len, header.as_bytes(), data].concat()
}

fn header(descr: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}}}\n")
}

#[test]
fn every_dtype_round_trips() {
    let (_dir, path) = temp();
    for dtype in DType::ALL {
        dispatch!(dtype, T => {
            let mut bytes = vec![0u8; 6 * size_of::<T>()];
            bytes.iter_mut().enumerate().for_each(|(i, byte)| *byte = (i % 2) as u8);
            let items = bytes.chunks_exact(size_of::<T>()).map(|b| T::decode(b, ByteOrder::NATIVE));
            let all = ArrayD::<T>::from_shape_vec(IxDyn(&[2, 3]), items.collect()).unwrap();
            let writer = NpyWriter::create(call(), &path, dtype, &[2, 3]).unwrap();
            writer.write_block(&[0, 0], &all.view()).unwrap();
            writer.finish().unwrap();
            let source = NpySource::open(call(), &path).unwrap();
            assert_eq!((source.dtype(), source.shape()), (dtype, [2, 3].as_slice()));
            assert_eq!(read_as::<T>(&source, &[0, 0], &[2, 3]), all);
        });
    }
}

#[test]
fn threads_write_blocks_and_any_box_is_read() {
    let (_dir, path) = temp();
    let all = ramp(&[7, 10, 6]);
    let writer = NpyWriter::create(call(), &path, DType::F64, &[7, 10, 6]).unwrap();
    std::thread::scope(|scope| {
        for (i, block) in all.axis_chunks_iter(Axis(1), 3).enumerate() {
            let writer = &writer;
            scope.spawn(move || writer.write_block(&[0, i as u64 * 3, 0], &block).unwrap());
        }
    });
    assert!(!path.exists());
    writer.finish().unwrap();
    let source = NpySource::open(call(), &path).unwrap();
    for (start, lens) in [([0, 0, 0], [7, 10, 6]), ([2, 3, 1], [4, 5, 3]), ([6, 9, 5], [1, 1, 1])] {
        assert_eq!(read_as::<f64>(&source, &start, &lens), cut(&all, &start, &lens));
    }
    let error = read(&source, &[5, 0, 0], &[3, 1, 1]).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
}

#[test]
fn fortran_order_big_endian_and_all_versions() {
    let (_dir, path) = temp();
    let all = ramp(&[3, 4]);
    let mut data = Vec::new();
    for item in all.t() {
        data.extend((*item as i16).to_be_bytes());
    }
    for version in 1..=3 {
        std::fs::write(&path, file_of(version, &header(">i2", "True", "(3, 4)"), &data)).unwrap();
        let source = NpySource::open(call(), &path).unwrap();
        let got = read_as::<i16>(&source, &[1, 1], &[2, 3]);
        assert_eq!(got.mapv(f64::from), cut(&all, &[1, 1], &[2, 3]));
    }
    std::fs::write(&path, file_of(4, &header(">i2", "True", "(3, 4)"), &data)).unwrap();
    let error = NpySource::open(call(), &path).unwrap_err().to_string();
    assert!(error.contains("version 4.0 of the npy format is not supported"), "{error}");
}

/// The bytes that NumPy 2.4 writes for `np.array([1+2j, 3-4j], dtype='<c8')`.
#[test]
fn a_file_of_numpy() {
    let (_dir, path) = temp();
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<c8', 'fortran_order': False, \
                      'shape': (2,), }"
        .to_vec();
    bytes.resize(127, b' ');
    bytes.push(b'\n');
    for part in [1f32, 2., 3., -4.] {
        bytes.extend(part.to_le_bytes());
    }
    std::fs::write(&path, &bytes).unwrap();
    let source = NpySource::open(call(), &path).unwrap();
    let got = read_as::<Complex<f32>>(&source, &[0], &[2]);
    assert_eq!(got.as_slice().unwrap(), [Complex::new(1., 2.), Complex::new(3., -4.)]);
}

#[test]
fn scalars_and_empty_arrays() {
    let (_dir, path) = temp();
    let writer = NpyWriter::create(call(), &path, DType::I32, &[]).unwrap();
    writer.write_block(&[], &Array0::from_elem((), 7i32).into_dyn().view()).unwrap();
    writer.finish().unwrap();
    let source = NpySource::open(call(), &path).unwrap();
    assert_eq!(read_as::<i32>(&source, &[], &[]).into_raw_vec_and_offset().0, [7]);

    NpyWriter::create(call(), &path, DType::I32, &[3, 0]).unwrap().finish().unwrap();
    let source = NpySource::open(call(), &path).unwrap();
    assert!(read_as::<i32>(&source, &[0, 0], &[3, 0]).is_empty());
}

#[test]
fn sizes_are_checked_before_anything_is_allocated() {
    let (_dir, path) = temp();
    let huge = 1u64 << 60;
    for shape in [format!("({huge},)"), format!("({huge}, {huge})"), format!("(0, {huge}, {huge})")]
    {
        std::fs::write(&path, file_of(1, &header("<f8", "False", &shape), &[0; 64])).unwrap();
        let error = NpySource::open(call(), &path).unwrap_err();
        assert!(matches!(error, Error::CorruptFile { .. }), "{error}");
        assert!(error.to_string().contains("x.npy"), "{error}");
    }
    let mut bytes = file_of(2, "", &[0; 64]);
    bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = NpySource::open(call(), &path).unwrap_err().to_string();
    assert!(error.contains("a header of 4294967295 bytes in a file of 76"), "{error}");
}

#[test]
fn other_dtypes_are_named() {
    let (_dir, path) = temp();
    for descr in ["<U5", "|O", "<M8[ns]", "<f2"] {
        std::fs::write(&path, file_of(1, &header(descr, "False", "(1,)"), &[0; 64])).unwrap();
        let error = NpySource::open(call(), &path).unwrap_err();
        assert!(matches!(error, Error::UnsupportedFile { .. }), "{error}");
        assert!(error.to_string().contains(descr), "{error}");
    }
}

#[test]
fn damaged_files_are_errors_or_other_values() {
    let (_dir, path) = temp();
    let all = ramp(&[2, 3]);
    let writer = NpyWriter::create(call(), &path, DType::F64, &[2, 3]).unwrap();
    writer.write_block(&[0, 0], &all.view()).unwrap();
    writer.finish().unwrap();
    survives_damage(&path, |path| Ok(Arc::new(NpySource::open(call(), path)?)));
}

#[test]
fn dropping_a_writer_keeps_the_old_file() {
    let (dir, path) = temp();
    std::fs::write(&path, "old").unwrap();
    let writer = NpyWriter::create(call(), &path, DType::F64, &[2, 3]).unwrap();
    writer.write_block(&[0, 0], &ramp(&[2, 3]).view()).unwrap();
    drop(writer);
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_missing_file_is_named() {
    let error = NpySource::open(call(), "/no/such.npy").unwrap_err().to_string();
    assert!(error.starts_with("test: /no/such.npy: ") && error.contains("tests.rs"), "{error}");
}
