use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis, IxDyn};
use num_complex::Complex;
use serde_json::json;

use super::super::bytes::{ByteOrder, Stored};
use super::super::source::Source;
use super::super::testing::{call, cut, names_a_file, ramp, read, read_as, rewrite};
use super::fixtures::{FIXTURES, Fixture};
use super::*;
use crate::array::dtype::{DType, Element, dispatch};
use crate::error::{Error, Result};

fn temp() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zarr");
    (dir, path)
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn unpack(path: &Path, (_, files): &Fixture) {
    for (name, hex) in *files {
        let file = path.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes_of(hex)).unwrap();
    }
}

fn fixture(name: &str) -> (tempfile::TempDir, PathBuf) {
    let (dir, path) = temp();
    unpack(&path, FIXTURES.iter().find(|(n, _)| *n == name).unwrap());
    (dir, path)
}

fn check_fixture<T: Element>(name: &str, convert: impl Fn(f64) -> T) -> ZarrSource {
    let (_dir, path) = fixture(name);
    let source = ZarrSource::open(call(), &path).unwrap();
    let want = ramp(&[5, 7]).mapv(convert);
    for (start, lens) in [([0, 0], [5, 7]), ([1, 1], [3, 5]), ([3, 4], [2, 3]), ([4, 6], [1, 1])] {
        assert_eq!(read_as::<T>(&source, &start, &lens), cut(&want, &start, &lens), "{name}");
        // The same into an array of another layout.
        let mut got = ArrayD::<T>::default(IxDyn(&[lens[1], lens[0]]));
        source.read(&start, got.view_mut().reversed_axes().into_any()).unwrap();
        assert_eq!(got.t(), cut(&want, &start, &lens), "{name}");
    }
    source
}

trait IntoAny<'a> {
    fn into_any(self) -> crate::array::any::AnyViewMut<'a>;
}

impl<'a, T: Element> IntoAny<'a> for ndarray::ArrayViewMutD<'a, T> {
    fn into_any(self) -> crate::array::any::AnyViewMut<'a> {
        T::to_any_view(self)
    }
}

#[test]
fn arrays_of_zarr_python() {
    let zlib = check_fixture::<f32>("v2_zlib_be", |x| x as f32);
    assert_eq!(zlib.dim_names().unwrap(), ["y", "x"]);
    assert_eq!(zlib.storage_chunks(), Some(vec![3, 4]));
    check_fixture::<i16>("v2_blosc_fill", |x| x as i16);
    check_fixture::<u64>("v2_raw_f", |x| x as u64);
    check_fixture::<u8>("v2_bz2_slash", |x| x as u8);
    let zstd = check_fixture::<f64>("v3_zstd", |x| x);
    assert_eq!(zstd.dim_names().unwrap(), ["y", "x"]);
    let sharded = check_fixture::<i32>("v3_sharded", |x| x as i32);
    assert_eq!(sharded.storage_chunks(), Some(vec![3, 4]));
    let in_shard = sharded.decoded_chunks().unwrap();
    assert!(in_shard < vec![3, 4] && 12 % in_shard.iter().product::<u64>() == 0, "{in_shard:?}");
    assert_eq!(sharded.dim_names(), None);
    check_fixture::<Complex<f32>>("v3_blosc_t", |x| Complex::new(x as f32, 0.0));
    check_fixture::<bool>("v3_bool", |x| x != 0.0);
}

#[test]
fn missing_chunks_have_the_fill_value() {
    let (_dir, path) = fixture("v2_blosc_fill");
    fs::remove_file(path.join("0.1")).unwrap();
    let source = ZarrSource::open(call(), &path).unwrap();
    let got = read_as::<i16>(&source, &[0, 3], &[1, 4]);
    assert_eq!(got.as_slice().unwrap(), [3, -1, -1, -1]);
}

#[test]
fn what_is_not_supported_is_named() {
    for (name, what) in [("v2_lz4", "lz4"), ("v3_f16", "float16")] {
        let (_dir, path) = fixture(name);
        let error = ZarrSource::open(call(), &path).unwrap_err();
        assert!(matches!(error, Error::UnsupportedFile { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    let (_dir, path) = temp();
    fs::create_dir(&path).unwrap();
    let message = || ZarrSource::open(call(), &path).unwrap_err().to_string();
    assert!(message().contains("there is neither zarr.json nor .zarray in it"));
    fs::write(path.join("zarr.json"), r#"{"zarr_format": 3, "node_type": "group"}"#).unwrap();
    assert!(message().contains("a Zarr group in place of an array is not supported"));
    fs::write(path.join("zarr.json"), "{").unwrap();
    assert!(message().contains("not a valid Zarr file: its metadata: "));
    fs::remove_dir_all(&path).unwrap();
    assert!(message().contains("x.zarr: No such file"));
}

fn write(path: &Path, options: ZarrOptions, all: &ArrayD<f64>) -> Result<()> {
    let rows = options.unit()[0] as usize;
    let writer = ZarrWriter::create(call(), path, options)?;
    std::thread::scope(|scope| {
        let blocks = all.axis_chunks_iter(Axis(0), rows).enumerate();
        let threads: Vec<_> = blocks
            .map(|(i, block)| {
                let (writer, start) = (&writer, [(i * rows) as u64, 0]);
                scope.spawn(move || writer.write_block(&start, &block))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    writer.finish()
}

#[test]
fn written_arrays_are_read() {
    use ZarrCompressor::*;
    let all = ramp(&[10, 7]);
    for format in [ZarrFormat::V2, ZarrFormat::V3] {
        for compressor in [None, Zstd(3), Gzip(5), Zlib(5), BloscLz4(5), BloscZstd(3)] {
            for shards in [Option::None, Some(vec![6, 4])] {
                if format == ZarrFormat::V2 && shards.is_some()
                    || format == ZarrFormat::V3 && compressor == Zlib(5)
                {
                    continue;
                }
                let (_dir, path) = temp();
                let mut options = ZarrOptions::new(&[10, 7], &[3, 2], DType::F64);
                options.shards = shards;
                options.format = format;
                options.compressor = compressor;
                options.dim_names = Some(vec!["y".into(), "x".into()]);
                options.attributes.insert("units".into(), json!("K"));
                write(&path, options.clone(), &all).unwrap();
                let source = ZarrSource::open(call(), &path).unwrap();
                assert_eq!(read_as::<f64>(&source, &[0, 0], &[10, 7]), all, "{options:?}");
                let part = read_as::<f64>(&source, &[2, 1], &[6, 5]);
                assert_eq!(part, cut(&all, &[2, 1], &[6, 5]), "{options:?}");
                assert_eq!(source.storage_chunks().unwrap(), options.unit());
                assert_eq!(source.dim_names().unwrap(), ["y", "x"]);
                assert_eq!(source.attributes()["units"], "K");
            }
        }
    }
}

#[test]
fn every_dtype_round_trips() {
    for (dtype, format) in
        DType::ALL.into_iter().flat_map(|d| [(d, ZarrFormat::V2), (d, ZarrFormat::V3)])
    {
        dispatch!(dtype, T => {
            let (_dir, path) = temp();
            let mut bytes = vec![0u8; 6 * size_of::<T>()];
            bytes.iter_mut().enumerate().for_each(|(i, byte)| *byte = (i % 2) as u8);
            let items = bytes.chunks_exact(size_of::<T>()).map(|b| T::decode(b, ByteOrder::NATIVE));
            let all = ArrayD::<T>::from_shape_vec(IxDyn(&[2, 3]), items.collect()).unwrap();
            let mut options = ZarrOptions::new(&[2, 3], &[2, 2], dtype);
            options.format = format;
            let writer = ZarrWriter::create(call(), &path, options).unwrap();
            writer.write_block(&[0, 0], &all.view()).unwrap();
            writer.finish().unwrap();
            let source = ZarrSource::open(call(), &path).unwrap();
            assert_eq!((source.dtype(), source.shape()), (dtype, [2, 3].as_slice()));
            assert_eq!(read_as::<T>(&source, &[0, 0], &[2, 3]), all);
        });
    }
}

#[test]
fn scalars_and_empty_arrays() {
    let (_dir, path) = temp();
    let writer = ZarrWriter::create(call(), &path, ZarrOptions::new(&[], &[], DType::F64)).unwrap();
    writer.write_block(&[], &ndarray::arr0(7.0).into_dyn().view()).unwrap();
    writer.finish().unwrap();
    let source = ZarrSource::open(call(), &path).unwrap();
    assert_eq!(read_as::<f64>(&source, &[], &[])[[]], 7.0);

    let (_dir, path) = temp();
    let options = ZarrOptions::new(&[0, 3], &[1, 3], DType::F64);
    let writer = ZarrWriter::create(call(), &path, options).unwrap();
    writer.write_block(&[0, 0], &ArrayD::<f64>::zeros(IxDyn(&[0, 3])).view()).unwrap();
    writer.finish().unwrap();
    let source = ZarrSource::open(call(), &path).unwrap();
    assert!(read_as::<f64>(&source, &[0, 0], &[0, 3]).is_empty());
}

#[test]
fn chunks_covered_in_part_are_refused() {
    let (_dir, path) = temp();
    let mut options = ZarrOptions::new(&[10, 7], &[1, 2], DType::F64);
    options.shards = Some(vec![3, 4]);
    let writer = ZarrWriter::create(call(), &path, options).unwrap();
    let all = ramp(&[10, 7]);
    for (start, lens) in [([0, 0], [2, 7]), ([1, 0], [2, 7]), ([0, 2], [3, 5]), ([9, 4], [1, 2])] {
        let error = writer.write_block(&start, &cut(&all, &start, &lens)).unwrap_err();
        assert!(matches!(error, Error::InvalidChunks { .. }), "{error}");
        assert!(error.to_string().contains("whole storage chunks"), "{error}");
    }
    for (start, lens) in [([0, 0], [3, 4]), ([9, 4], [1, 3]), ([3, 0], [6, 7])] {
        writer.write_block(&start, &cut(&all, &start, &lens)).unwrap();
    }
    let error = writer.write_block(&[9, 0], &cut(&all, &[0, 0], &[3, 4])).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    let error = writer.write_block(&[0, 0], &ArrayD::<f32>::zeros(IxDyn(&[3, 4])).view());
    assert!(matches!(error, Err(Error::DTypeMismatch { .. })));
}

#[test]
fn options_that_are_not_possible() {
    let (dir, path) = temp();
    let base = ZarrOptions::new(&[10, 7], &[3, 2], DType::F64);
    let with = |change: &dyn Fn(&mut ZarrOptions)| {
        let mut options = base.clone();
        change(&mut options);
        ZarrWriter::create(call(), &path, options).unwrap_err().to_string()
    };
    assert!(with(&|o| o.chunks = vec![3]).contains("per axis"));
    assert!(with(&|o| o.chunks = vec![3, 0]).contains("per axis"));
    assert!(with(&|o| o.chunks = vec![1 << 40, 1 << 40]).contains("too many"));
    assert!(with(&|o| o.shards = Some(vec![3, 3])).contains("multiples"));
    assert!(with(&|o| o.dim_names = Some(vec![])).contains("one name per axis"));
    assert!(with(&|o| o.compressor = ZarrCompressor::Zlib(1)).contains("Gzip"));
    with(&|o| o.compressor = ZarrCompressor::Gzip(77));
    with(&|o| (o.format, o.shards) = (ZarrFormat::V2, Some(vec![3, 2])));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn dropping_a_writer_keeps_the_old_array() {
    let (dir, path) = temp();
    let mut options = ZarrOptions::new(&[4, 2], &[2, 2], DType::F64);
    let old = ramp(&[4, 2]);
    write(&path, options.clone(), &old).unwrap();

    let error = ZarrWriter::create(call(), &path, options.clone()).unwrap_err().to_string();
    assert!(error.contains("which exists"), "{error}");
    options.overwrite = true;
    let writer = ZarrWriter::create(call(), &path, options.clone()).unwrap();
    writer.write_block(&[0, 0], &cut(&old, &[2, 0], &[2, 2])).unwrap();
    drop(writer);
    let source = ZarrSource::open(call(), &path).unwrap();
    assert_eq!(read_as::<f64>(&source, &[0, 0], &[4, 2]), old);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

    write(&path, options, &old.mapv(|x| -x)).unwrap();
    let source = ZarrSource::open(call(), &path).unwrap();
    assert_eq!(read_as::<f64>(&source, &[0, 0], &[4, 2]), old.mapv(|x| -x));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn nothing_but_arrays_is_overwritten() {
    let (_dir, path) = temp();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("thesis.tex"), "years of work").unwrap();
    let mut options = ZarrOptions::new(&[4, 2], &[2, 2], DType::F64);
    options.overwrite = true;
    for group in [None, Some((".zgroup", "{}")), Some(("zarr.json", r#"{"node_type": "group"}"#))] {
        if let Some((name, text)) = group {
            fs::write(path.join(name), text).unwrap();
        }
        let error = ZarrWriter::create(call(), &path, options.clone()).unwrap_err().to_string();
        assert!(error.contains("which is not a Zarr array"), "{error}");
        assert!(path.join("thesis.tex").exists());
    }
}

fn read_whole(path: &Path) -> Result<()> {
    let source = ZarrSource::open(call(), path)?;
    // A damaged shape may be huge: missing chunks have the fill value.
    let lens: Vec<usize> = source.shape().iter().map(|&len| len.min(8) as usize).collect();
    read(&source, &vec![0; lens.len()], &lens).map(drop)
}

/// Every file of every fixture, cut at many lengths and with many bytes changed.
#[test]
fn damaged_arrays_are_errors_or_other_values() {
    for fixture in FIXTURES {
        let (_dir, path) = temp();
        unpack(&path, fixture);
        for (name, hex) in fixture.1 {
            let good = bytes_of(hex);
            let check = |bytes: &[u8], what: String| {
                rewrite(&path.join(name), bytes);
                if let Err(error) = read_whole(&path) {
                    assert!(names_a_file(&error), "{}/{name} {what}: {error}", fixture.0);
                    assert!(error.to_string().contains("x.zarr"), "{error}");
                }
            };
            // The documents are long, and one character in three is enough of them.
            let step = if name.contains("zarr") { 3 } else { 1 };
            for at in (0..good.len()).step_by(step) {
                check(&good[..at], format!("cut at {at}"));
                let mut bad = good.clone();
                bad[at] ^= [0x01, 0x10, 0x80, 0xff][at / step % 4];
                check(&bad, format!("byte {at} changed to {:#x}", bad[at]));
            }
            fs::write(path.join(name), good).unwrap();
        }
    }
}

#[test]
fn promises_are_checked_before_anything_is_allocated() {
    // zstd: a frame that says that it holds 2^62 bytes.
    let (_dir, path) = fixture("v3_zstd");
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &(1u64 << 62).to_le_bytes(), &[1, 0, 0]];
    fs::write(path.join("c/0/0"), frame.concat()).unwrap();
    let error = read_whole(&path).unwrap_err();
    assert!(matches!(error, Error::CorruptFile { .. }), "{error}");
    assert!(error.to_string().contains("c/0/0: not a valid Zarr file: chunk [0, 0]"), "{error}");
    assert!(error.to_string().contains("bytes when decoded, expected at most"), "{error}");

    // blosc: 2 GiB.
    let (_dir, path) = fixture("v3_blosc_t");
    let mut chunk = fs::read(path.join("c/0/0")).unwrap();
    chunk[4..8].copy_from_slice(&0x7fff_0000u32.to_le_bytes());
    fs::write(path.join("c/0/0"), chunk).unwrap();
    let error = read_whole(&path).unwrap_err().to_string();
    assert!(error.contains("2147418112 bytes when decoded, expected at most"), "{error}");

    // A shape and chunks of the metadata.
    let (_dir, path) = fixture("v3_zstd");
    let good = fs::read_to_string(path.join("zarr.json")).unwrap();
    let huge = good.replace("[5,7]", "[1152921504606846976,1152921504606846976]");
    assert_ne!(good, huge);
    fs::write(path.join("zarr.json"), huge).unwrap();
    assert!(matches!(read_whole(&path), Err(Error::CorruptFile { .. })));
    let huge = good.replace("[3,4]", "[1152921504606846976,1152921504606846976]");
    assert_ne!(good, huge);
    fs::write(path.join("zarr.json"), huge).unwrap();
    assert!(matches!(read_whole(&path), Err(Error::CorruptFile { .. })));
    // Chunks that are possible, and a promise that only its few bytes give away.
    let large = good.replace("[3,4]", "[1048576,1048576]");
    fs::write(path.join("zarr.json"), large).unwrap();
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &(1u64 << 43).to_le_bytes(), &[1, 0, 0]];
    fs::write(path.join("c/0/0"), frame.concat()).unwrap();
    let error = read_whole(&path).unwrap_err().to_string();
    assert!(error.contains("8796093022208 bytes when decoded, expected at most 524288"), "{error}");
}

#[test]
fn a_large_sparse_array_is_read_by_box() {
    let (_dir, path) = temp();
    let options = ZarrOptions::new(&[1 << 30, 1 << 28], &[1 << 10, 1 << 10], DType::F64);
    let writer = ZarrWriter::create(call(), &path, options).unwrap();
    writer.finish().unwrap();
    let source = ZarrSource::open(call(), &path).unwrap();
    let got = read_as::<f64>(&source, &[(1 << 30) - 2, 1023], &[2, 2]);
    assert_eq!(got.as_slice().unwrap(), [0.0; 4]);
}

/// Rows 4 to 6 behind an array of 4 rows, of which `seen` were there.
fn appending(path: &Path, seen: u64) -> Result<ZarrWriter> {
    let (seen, origin, shape) = (vec![seen, 2], vec![4, 0], vec![6, 2]);
    ZarrWriter::update(call(), path, &ZarrUpdate { seen, origin, shape, unit_bytes: 32 })
}

#[test]
fn updates_find_that_the_array_has_changed() {
    for format in [ZarrFormat::V3, ZarrFormat::V2] {
        let (dir, path) = temp();
        let mut options = ZarrOptions::new(&[4, 2], &[2, 2], DType::F64);
        options.format = format;
        write(&path, options, &ramp(&[4, 2])).unwrap();
        let error = appending(&path, 2).unwrap_err().to_string();
        assert!(error.contains("of shape [4, 2] now and [2, 2]"), "{error}");
        // Both begin with four rows.
        let (first, second) = (appending(&path, 4).unwrap(), appending(&path, 4).unwrap());
        let more = ramp(&[2, 2]);
        second.write_block(&[0, 0], &more.mapv(|x| -x).view()).unwrap();
        first.write_block(&[0, 0], &more.view()).unwrap();
        first.finish().unwrap();
        let error = second.finish().unwrap_err().to_string();
        assert!(error.contains("of shape [6, 2] now and [4, 2]"), "{error}");
        let source = ZarrSource::open(call(), &path).unwrap();
        assert_eq!(read_as::<f64>(&source, &[4, 0], &[2, 2]), more);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

/// Chunks are moved in from beside the array, as files move within one file system only.
#[cfg(unix)]
#[test]
fn arrays_behind_links_are_written_where_they_are() {
    let ((_dir, path), (other, link)) = (temp(), temp());
    write(&path, ZarrOptions::new(&[4, 2], &[2, 2], DType::F64), &ramp(&[4, 2])).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let writer = appending(&link, 4).unwrap();
    writer.write_block(&[0, 0], &ramp(&[2, 2]).view()).unwrap();
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
    writer.finish().unwrap();
    assert_eq!(ZarrSource::open(call(), &path).unwrap().shape(), [6, 2]);
}

/// A writer that fails, or comes too late, leaves the array that another one has made meanwhile.
#[cfg(feature = "cloud")]
#[test]
fn arrays_of_other_writers_stay() {
    let (store, url) = crate::storage::testing::TestStore::register("zarr-others");
    for (name, format) in [("v3", ZarrFormat::V3), ("v2", ZarrFormat::V2)] {
        let path = PathBuf::from(format!("{url}/{name}"));
        let mut options = ZarrOptions::new(&[4, 2], &[2, 2], DType::F64);
        options.format = format;
        let start = || ZarrWriter::create(call(), &path, options.clone()).unwrap();
        let (first, failing, late) = (start(), start(), start());
        for at in [0, 2] {
            first.write_block(&[at, 0], &cut(&ramp(&[4, 2]), &[at, 0], &[2, 2])).unwrap();
        }
        first.finish().unwrap();
        drop(failing);
        let error = late.finish().unwrap_err().to_string();
        assert!(error.contains("another write has made meanwhile"), "{error}");
        let source = ZarrSource::open(call(), &path).unwrap();
        assert_eq!(read_as::<f64>(&source, &[0, 0], &[4, 2]), ramp(&[4, 2]));
        // Nothing that is not finished is left.
        let n_keys = store.keys().len();
        let path = PathBuf::from(format!("{url}/none"));
        let writer = ZarrWriter::create(call(), &path, options.clone()).unwrap();
        writer.write_block(&[0, 0], &cut(&ramp(&[4, 2]), &[0, 0], &[2, 2])).unwrap();
        assert_eq!(store.keys().len(), n_keys + 1);
        drop(writer);
        assert_eq!(store.keys().len(), n_keys);
    }
}
