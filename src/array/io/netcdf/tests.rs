use std::path::PathBuf;

use ndarray::{ArrayD, Axis};

use super::super::testing::{call, cut, ramp, read, read_as, survives_damage};
use super::write::{NetcdfSchema, NetcdfWriter};
use super::*;
use crate::array::dtype::DType;
use crate::error::Blame;

/// Written by scipy 1.17: CDF-1, unlimited `time` of 2, `x` of 3, and variables
/// `s` (i2, time × x, scale_factor), `b` (i1, time), `c` (char, x), `title` as a global attribute.
const RECORDS: &str = "\
43444601000000020000000a000000020000000474696d65000000000000000178000000000000030000000c00000001\
000000057469746c650000000000000200000001540000000000000b0000000300000001630000000000000100000001\
00000000000000000000000200000004000000dc00000001730000000000000200000000000000010000000c00000001\
0000000c7363616c655f666163746f7200000005000000013f0000000000000300000008000000e00000000162000000\
000000010000000000000000000000000000000100000004000000e8616263000001fffe000380010781818100040005\
fda88001f8818181";

/// Written by scipy 1.17: CDF-2 with a single record variable, which is not padded.
const ONE_RECORD_VARIABLE: &str = "\
43444602000000020000000a000000020000000474696d65000000000000000178000000000000030000000000000000\
0000000b0000000100000001730000000000000200000000000000010000000000000000000000030000000600000000\
000000640001fffe000300040005fda8";

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn temp(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.nc");
    if !bytes.is_empty() {
        std::fs::write(&path, bytes).unwrap();
    }
    (dir, path)
}

fn open(bytes: &[u8]) -> (tempfile::TempDir, Result<NetcdfFile>) {
    let (dir, path) = temp(bytes);
    (dir, NetcdfFile::open(path))
}

#[test]
fn interleaved_records_of_scipy() {
    let (_dir, file) = open(&bytes_of(RECORDS));
    let file = file.unwrap();
    assert_eq!(file.variables().collect::<Vec<_>>(), ["c", "s", "b"]);
    assert_eq!(file.global_attributes(), [("title".into(), Attribute::Text("T".into()))]);
    let time = Dimension { name: "time".into(), len: 2, unlimited: true };
    assert_eq!(file.dimensions()[0], time);
    let packing = file.packed(call(), "s").unwrap().1;
    assert_eq!((packing.scale_factor, packing.dtype), (Some(0.5), DType::F32));

    let s = file.source(call(), "s").unwrap();
    assert_eq!((s.dtype(), s.shape()), (DType::I16, [2, 3].as_slice()));
    assert_eq!(s.storage_chunks(), Some(vec![1, 3]));
    assert_eq!(s.dim_names().unwrap(), ["time", "x"]);
    let got = read_as::<i16>(&*s, &[0, 0], &[2, 3]);
    assert_eq!(got.as_slice().unwrap(), [1, -2, 3, 4, 5, -600]);
    assert_eq!(read_as::<i16>(&*s, &[1, 1], &[1, 2]).as_slice().unwrap(), [5, -600]);
    let b = file.source(call(), "b").unwrap();
    assert_eq!(read_as::<i8>(&*b, &[0], &[2]).as_slice().unwrap(), [7, -8]);
    let c = file.source(call(), "c").unwrap();
    assert_eq!(c.storage_chunks(), None);
    assert_eq!(read_as::<u8>(&*c, &[0], &[3]).as_slice().unwrap(), b"abc");
}

#[test]
fn a_single_record_variable_is_not_padded() {
    let mut bytes = bytes_of(ONE_RECORD_VARIABLE);
    for streaming in [false, true] {
        if streaming {
            bytes[4..8].fill(0xff);
        }
        let (_dir, file) = open(&bytes);
        let s = file.unwrap().source(call(), "s").unwrap();
        let got = read_as::<i16>(&*s, &[0, 0], &[2, 3]);
        assert_eq!(got.as_slice().unwrap(), [1, -2, 3, 4, 5, -600]);
    }
}

#[test]
fn unknown_variables_and_other_formats() {
    let (_dir, file) = open(&bytes_of(RECORDS));
    let error = file.unwrap().source(call(), "t").unwrap_err().to_string();
    assert!(error.contains("\"t\", and ") && error.contains("x.nc has c, s, b"), "{error}");
    let error = open(b"\x89HDF\r\n\x1a\n").1.unwrap_err().to_string();
    #[cfg(not(feature = "hdf5"))]
    assert!(error.contains("NetCDF-4 (HDF5) is not supported"), "{error}");
    assert!(error.contains("x.nc"), "{error}");
    let error = open(b"GRIBxxxx").1.unwrap_err().to_string();
    assert!(error.contains("not a valid NetCDF file"), "{error}");
}

#[test]
fn unsigned_bytes() {
    let (_dir, path) = temp(&[]);
    let fill =
        [("_Unsigned", Attribute::Text("true".into())), ("_FillValue", Attribute::I8(vec![-1]))];
    let schema = NetcdfSchema::new().dimension("x", 2).variable("v", DType::I8, &["x"], &fill);
    let writer = NetcdfWriter::create(call(), &path, schema).unwrap();
    let block = ArrayD::from_shape_vec(vec![2], vec![-2i8, 3]).unwrap();
    writer.write_block(0, &[0], &block.view()).unwrap();
    writer.finish().unwrap();
    let file = NetcdfFile::open(&path).unwrap();
    let got = read_as::<u8>(&*file.source(call(), "v").unwrap(), &[0], &[2]);
    assert_eq!(got.as_slice().unwrap(), [254, 3]);
    assert_eq!(file.packed(call(), "v").unwrap().1.missing, [255.0]);
}

fn schema(wide: bool) -> NetcdfSchema {
    let schema = NetcdfSchema::new()
        .unlimited("time", 4)
        .dimension("y", 3)
        .dimension("x", 5)
        .attribute("history", Attribute::Text("täglich".into()))
        .variable("y", DType::F64, &["y"], &[])
        .variable("t", DType::F32, &["time", "y", "x"], &[("n", Attribute::I16(vec![1, 2, 3]))])
        .variable("flag", DType::I8, &["time"], &[])
        .variable("scalar", DType::I32, &[], &[]);
    if wide { schema.variable("id", DType::U64, &["x"], &[]) } else { schema }
}

#[test]
fn written_files_are_read() {
    for wide in [false, true] {
        let (_dir, path) = temp(&[]);
        let all = ramp(&[4, 3, 5]).mapv(|x| x as f32);
        let writer = NetcdfWriter::create(call(), &path, schema(wide)).unwrap();
        std::thread::scope(|scope| {
            for (i, block) in all.axis_chunks_iter(Axis(0), 2).enumerate() {
                let writer = &writer;
                scope.spawn(move || writer.write_block(1, &[i as u64 * 2, 0, 0], &block).unwrap());
            }
        });
        let y = ramp(&[3]);
        writer.write_block(0, &[0], &y.view()).unwrap();
        writer.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap()[3], if wide { 5 } else { 2 });

        let file = NetcdfFile::open(&path).unwrap();
        assert_eq!(file.global_attributes()[0].1.as_text(), Some("täglich"));
        assert_eq!(file.attributes("t").unwrap()[0].1, Attribute::I16(vec![1, 2, 3]));
        let t = file.source(call(), "t").unwrap();
        for (start, lens) in [([0, 0, 0], [4, 3, 5]), ([1, 1, 2], [2, 2, 2]), ([3, 2, 4], [1; 3])] {
            assert_eq!(read_as::<f32>(&*t, &start, &lens), cut(&all, &start, &lens));
        }
        assert_eq!(read_as::<f64>(&*file.source(call(), "y").unwrap(), &[0], &[3]), y);
        assert_eq!(read_as::<i32>(&*file.source(call(), "scalar").unwrap(), &[], &[])[[]], 0);
        assert_eq!(file.source(call(), "id").is_ok(), wide);
    }
}

#[test]
fn schemas_that_are_not_possible() {
    let (_dir, path) = temp(&[]);
    let base = NetcdfSchema::new().unlimited("t", 1).dimension("x", 2);
    for schema in [
        base.clone().dimension("y", 0),
        base.clone().unlimited("u", 1),
        base.clone().variable("v", DType::F32, &["x", "t"], &[]),
        base.clone().variable("v", DType::F32, &["z"], &[]),
        base.clone().variable("v", DType::C64, &["x"], &[]),
        base.clone().dimension("y", 1 << 62).variable("v", DType::F32, &["x", "y"], &[]),
    ] {
        let error = NetcdfWriter::create(call(), &path, schema).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    }
    assert!(!path.exists());
}

#[test]
fn sizes_are_checked_before_anything_is_allocated() {
    let good = bytes_of(RECORDS);
    let at = |name: &[u8]| good.windows(name.len()).position(|w| w == name).unwrap() + name.len();
    // The length of `x`, the number of records, and how many attributes the file has.
    for at in [at(b"x\0\0\0"), 4, at(b"x\0\0\0\0\0\0\x03\0\0\0\x0c")] {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
        let (_dir, file) = open(&bad);
        let error = file.and_then(|file| file.source(call(), "s")).unwrap_err();
        assert!(matches!(error, Error::CorruptFile { .. }), "{error}");
        assert!(error.to_string().contains("x.nc"), "{error}");
    }
}

#[test]
fn damaged_files_are_errors_or_other_values() {
    for hex in [RECORDS, ONE_RECORD_VARIABLE] {
        let (_dir, path) = temp(&bytes_of(hex));
        survives_damage(&path, |path| {
            let file = NetcdfFile::open(path)?;
            // A damaged name makes the variable unknown, which is no fault of the file's.
            let name = file.variables().next().unwrap_or_default().to_string();
            for name in file.variables() {
                if let Ok(source) = file.source(call(), name) {
                    let lens: Vec<usize> = source.shape().iter().map(|&n| n as usize).collect();
                    let _ = read(&*source, &vec![0; lens.len()], &lens);
                }
            }
            let blame = Blame { call: call(), path: Path::new("x.nc"), format: "NetCDF" };
            if name.is_empty() { Err(blame.corrupt("no name")) } else { file.source(call(), &name) }
        });
    }
}

/// Against scipy's decoding of the same file.
#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn era_interim() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/eraint_uvz.nc");
    if !data.exists() {
        eprintln!("skipped: {} is not there", data.display());
        return;
    }
    let file = NetcdfFile::open(&data).unwrap();
    let dims: Vec<_> = file.dimensions().iter().map(|d| (d.name.as_str(), d.len)).collect();
    assert_eq!(dims, [("longitude", 480), ("latitude", 241), ("level", 3), ("month", 2)]);
    let names: Vec<&str> = file.variables().collect();
    assert_eq!(names, ["longitude", "latitude", "level", "z", "u", "v", "month"]);
    let dim_names = file.dim_names("u").unwrap();
    assert_eq!(dim_names, ["month", "level", "latitude", "longitude"]);
    let units = ("units".to_string(), Attribute::Text("m s**-1".into()));
    assert!(file.attributes("u").unwrap().contains(&units));
    let packing = file.packed(call(), "u").unwrap().1;
    assert_eq!(packing.scale_factor, Some(-0.001572704938045535));
    assert_eq!(packing.add_offset, Some(26.96875));
    assert_eq!((packing.missing.as_slice(), packing.dtype), ([].as_slice(), DType::F64));

    let sums = [("u", 8_838_801_966i64), ("v", -2_176_930_381), ("z", 2_271_761_917)];
    for (name, sum) in sums {
        let source = file.source(call(), name).unwrap();
        let all = read_as::<i16>(&*source, &[0; 4], &[2, 3, 241, 480]);
        assert_eq!(all.iter().map(|&x| i64::from(x)).sum::<i64>(), sum, "{name}");
    }
    let u = file.source(call(), "u").unwrap();
    let corner = read_as::<i16>(&*u, &[1, 1, 100, 200], &[1, 1, 3, 4]);
    let want =
        [[23129, 23208, 23228, 23288], [23049, 23109, 23129, 23189], [22871, 22930, 22930, 22990]];
    assert_eq!(corner.as_slice().unwrap(), want.as_flattened());
    let column = read_as::<i16>(&*u, &[0, 0, 7, 9], &[2, 3, 1, 1]);
    assert_eq!(column.as_slice().unwrap(), [12936, 14307, 15126, 15370, 15290, 16179]);
    let meridian =
        read_as::<i16>(&*file.source(call(), "z").unwrap(), &[0, 2, 0, 5], &[1, 1, 241, 1]);
    assert_eq!(meridian.iter().map(|&x| i64::from(x)).sum::<i64>(), 7_448_009);
    let latitude = read_as::<f32>(&*file.source(call(), "latitude").unwrap(), &[0], &[3]);
    assert_eq!(latitude.as_slice().unwrap(), [90.0, 89.25, 88.5]);
}
