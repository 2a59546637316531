//! Tests of CSV files as a source of frames, and of writing them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use polars_core::df;
use polars_core::prelude::{
    DataFrame, DataType, IntoColumn, NamedFrom, PlSmallStr, Series, TimeUnit, TimeZone,
};

use super::super::{IfExists, Request, Source};
use super::*;
use crate::error::{Call, Error, Result};

fn call() -> Call {
    Call::new("read_csv")
}

fn open(path: &Path, options: &CsvOptions) -> Result<CsvFiles> {
    CsvFiles::open(call(), &[path], options)
}

fn parts_of(part_bytes: u64) -> CsvOptions {
    CsvOptions { part_bytes, ..CsvOptions::default() }
}

fn request(columns: &[&str]) -> Request {
    let columns: Vec<PlSmallStr> = columns.iter().map(|&name| name.into()).collect();
    Request { columns: columns.into(), ..Request::default() }
}

fn read_all(source: &CsvFiles) -> Result<DataFrame> {
    let columns: Vec<PlSmallStr> = source.schema().iter_names().cloned().collect();
    let request = Request { columns: columns.into(), ..Request::default() };
    let mut all = source.read(0, &request)?;
    for part in 1..source.n_parts() {
        all.vstack_mut_owned(source.read(part, &request)?).unwrap();
    }
    assert_eq!(&**all.schema(), &**source.schema());
    Ok(all)
}

fn read_text(text: &[u8], options: &CsvOptions) -> Result<DataFrame> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.csv");
    fs::write(&path, text).unwrap();
    read_all(&open(&path, options)?)
}

#[track_caller]
fn error_of(text: &str, options: &CsvOptions) -> String {
    read_text(text.as_bytes(), options).unwrap_err().to_string()
}

#[track_caller]
fn assert_same(got: &DataFrame, expected: &DataFrame) {
    assert_eq!(got.schema(), expected.schema());
    assert!(got.equals_missing(expected), "{got:?}\n{expected:?}");
}

/// One column of every dtype that CSV can hold.
fn all_dtypes() -> DataFrame {
    let cast = |series: Series, dtype: DataType| series.cast(&dtype).unwrap().into_column();
    let days =
        || Series::new("".into(), [Some(-719_000_i64), Some(0), None, Some(20_000), Some(1)]);
    let micros = |name: &str| {
        let micros = [Some(1_i64), Some(-1_500_000), None, Some(1_700_000_000_123), Some(0)];
        Series::new(name.into(), micros)
    };
    let rome = TimeZone::opt_try_new(Some("Europe/Rome")).unwrap();
    let mut frame = df![
        "i" => [Some(i64::MIN), Some(i64::MAX), None, Some(0), Some(-1)],
        "f" => [Some(f64::NAN), Some(f64::INFINITY), None, Some(0.1 + 0.2), Some(-5e-324)],
        "g" => [Some(f64::NEG_INFINITY), Some(f64::MAX), None, Some(-0.0), Some(1e300)],
        "f32" => [Some(0.1_f32), Some(f32::MIN_POSITIVE), None, Some(f32::NAN), Some(16_777_216.0)],
        "u" => [Some(u64::MAX), Some(0), None, Some(1), Some(2)],
        "b" => [Some(true), Some(false), None, Some(true), Some(true)],
        "s" => [Some("a,\"b\"\r\nc"), Some(""), None, Some("größer, längér\n, \u{1F980} \"\""), Some("\"")],
        "t" => ["", "plain", "'", "\n", " padded "],
    ]
    .unwrap();
    for (name, dtype) in [("i8", DataType::Int8), ("u16", DataType::UInt16)] {
        let small = Series::new(name.into(), [Some(1_i64), Some(127), None, Some(0), Some(3)]);
        frame.with_column(cast(small, dtype)).unwrap();
    }
    frame.with_column(cast(days().with_name("date".into()), DataType::Int32)).unwrap();
    let date = frame.column("date").unwrap().cast(&DataType::Date).unwrap();
    frame.with_column(date).unwrap();
    for (name, dtype) in [
        ("ms", DataType::Datetime(TimeUnit::Milliseconds, None)),
        ("us", DataType::Datetime(TimeUnit::Microseconds, None)),
        ("ns", DataType::Datetime(TimeUnit::Nanoseconds, None)),
        ("rome", DataType::Datetime(TimeUnit::Microseconds, rome)),
    ] {
        frame.with_column(cast(micros(name), dtype)).unwrap();
    }
    let nanos =
        Series::new("time".into(), [Some(1_i64), Some(86_399_999_999_999), None, Some(0), Some(2)]);
    frame.with_column(cast(nanos, DataType::Time)).unwrap();
    let cents = Series::new("dec".into(), [Some(1.25), Some(-1.0), None, Some(0.01), Some(99.99)]);
    frame.with_column(cast(cents, DataType::Decimal(10, 2))).unwrap();
    frame
}

fn dtypes_of(frame: &DataFrame) -> Vec<(PlSmallStr, DataType)> {
    frame.schema().iter().map(|(name, dtype)| (name.clone(), dtype.clone())).collect()
}

fn write(target: &Path, parts: &[DataFrame], options: CsvWriteOptions, is_single: bool) {
    let schema = Arc::clone(parts[0].schema());
    let writer = CsvWriter::create(call(), target, &schema, options, is_single).unwrap();
    for (part, frame) in parts.iter().enumerate().rev() {
        writer.write(part, frame).unwrap();
    }
    assert!(!target.exists());
    writer.finish().unwrap();
}

#[test]
fn every_dtype_survives_the_way_to_a_file_and_back() {
    let frame = all_dtypes();
    let dir = tempfile::tempdir().unwrap();
    for (name, delimiter, quote_all) in [("a", b',', false), ("b", b'-', false), ("c", b';', true)]
    {
        for is_single in [false, true] {
            let target = dir.path().join(format!("{name}{is_single}"));
            let options = CsvWriteOptions { delimiter, quote_all, ..CsvWriteOptions::default() };
            write(&target, &[frame.slice(0, 2), frame.slice(2, 3)], options, is_single);
            assert_eq!(target.is_file(), is_single);
            let options = CsvOptions { delimiter, dtypes: dtypes_of(&frame), ..parts_of(100) };
            assert_same(&read_all(&open(&target, &options).unwrap()).unwrap(), &frame);
        }
    }
}

#[test]
fn dtypes_are_guessed() {
    let text = "i,f,b,d,t,n,s,e,big\n1,1,true,2020-02-29,2020-01-01 10:00:00,2020-01-01T00:00:00.123456789,a,,1\n\
        -2,0.5,FALSE,1969-12-31,2020-01-01T10:00:00.25,,1a,,99999999999999999999\n";
    let frame = read_text(text.as_bytes(), &CsvOptions::default()).unwrap();
    let datetime = |unit| DataType::Datetime(unit, None);
    let expected = [
        DataType::Int64,
        DataType::Float64,
        DataType::Boolean,
        DataType::Date,
        datetime(TimeUnit::Microseconds),
        datetime(TimeUnit::Nanoseconds),
        DataType::String,
        DataType::String,
        DataType::String,
    ];
    assert_eq!(frame.dtypes(), expected);
    assert_eq!(frame.column("t").unwrap().get(1).unwrap().to_string(), "2020-01-01 10:00:00.250");
    assert_eq!(frame.column("d").unwrap().get(1).unwrap().to_string(), "1969-12-31");
}

/// Records of all kinds, of which some are longer than a part.
fn wild(n: usize) -> (String, DataFrame) {
    let ids: Vec<i64> = (0..n as i64).collect();
    let texts: Vec<Option<String>> = (0..n)
        .map(|i| match i % 7 {
            0 => None,
            1 => Some(String::new()),
            2 => Some("line\nline,\"quoted\"\n\"".to_string()),
            3 => Some("\n".repeat(i % 50)),
            4 => Some(format!("\",\n{i},x,1\n\"")),
            5 => Some("x".repeat(i % 90)),
            _ => Some("5\" pipe".to_string()),
        })
        .collect();
    let mut text = "id,text,n\n".to_string();
    for (id, value) in ids.iter().zip(&texts) {
        let value = match value.as_deref() {
            None => String::new(),
            Some(value @ "5\" pipe") => value.to_string(),
            Some(value) => format!("\"{}\"", value.replace('"', "\"\"")),
        };
        text += &format!("{id},{value},{}{}", id * 2, if id % 3 == 0 { "\r\n" } else { "\n" });
    }
    let doubled: Vec<i64> = ids.iter().map(|id| id * 2).collect();
    (text, df!["id" => ids, "text" => texts, "n" => doubled].unwrap())
}

#[test]
fn parts_of_any_size_have_the_rows_of_the_whole() {
    let (text, expected) = wild(60);
    for part_bytes in [1, 7, 50, 64, 333, 1000, text.len() as u64, u64::MAX] {
        for sample_bytes in [1, 1 << 18] {
            // A sample of one record says nothing of the dtype of text.
            let dtypes = vec![("text".into(), DataType::String)];
            let options = CsvOptions { sample_bytes, dtypes, ..parts_of(part_bytes) };
            assert_same(&read_text(text.as_bytes(), &options).unwrap(), &expected);
        }
    }
    // The last new line may be missing, and there may be a mark of the byte order.
    let text = format!("\u{feff}{}", text.trim_end());
    assert_same(&read_text(text.as_bytes(), &parts_of(100)).unwrap(), &expected);
}

#[test]
fn a_part_reads_alone_and_reads_only_its_columns_and_rows() {
    let (text, expected) = wild(300);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.csv");
    fs::write(&path, &text).unwrap();
    let source = open(&path, &parts_of(500)).unwrap();
    assert_eq!(source.n_parts(), text.len().div_ceil(500));
    let last = source.read(source.n_parts() - 1, &request(&["n", "id"])).unwrap();
    assert_eq!(last.get_column_names(), ["n", "id"]);
    let tail = expected.select(["n", "id"]).unwrap().tail(Some(last.height()));
    assert!(last.height() > 0 && last.equals_missing(&tail), "{last:?}");

    let first = Request { n_rows_max: Some(2), ..request(&["id"]) };
    assert_eq!(source.read(0, &first).unwrap().height(), 2);
    let height = |part| source.read(part, &request(&[])).unwrap().height();
    assert_eq!((0..source.n_parts()).map(height).sum::<usize>(), 300);
    let error = source.read(0, &request(&["no"])).unwrap_err().to_string();
    assert!(error.contains("\"no\"") && error.contains("\"text\""), "{error}");

    let whole = open(&path, &CsvOptions::default()).unwrap();
    let got = read_all(&whole).unwrap().estimated_size() as u64;
    let columns: Vec<PlSmallStr> = whole.schema().iter_names().cloned().collect();
    let bytes = whole.nbytes(0, &columns);
    assert!(bytes >= got && bytes < got * 2, "{bytes} {got}");
}

#[test]
fn many_files_are_one_frame() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("2.csv"), "a,b\n1,x\n").unwrap();
    fs::write(dir.path().join("10.csv"), "a,b\n2,y\n").unwrap();
    let mut gzip = flate2::write::GzEncoder::new(
        fs::File::create(dir.path().join("11.csv.gz")).unwrap(),
        flate2::Compression::default(),
    );
    gzip.write_all(b"a,b\n3,\"z\n\"\n").unwrap();
    gzip.finish().unwrap();
    let source = open(dir.path(), &parts_of(1)).unwrap();
    let expected = df!["a" => [1_i64, 2, 3], "b" => ["x", "y", "z\n"]].unwrap();
    assert_same(&read_all(&source).unwrap(), &expected);

    fs::write(dir.path().join("12.csv"), "b,a\nx,1\n").unwrap();
    let error = read_all(&open(dir.path(), &parts_of(1 << 20)).unwrap()).unwrap_err().to_string();
    assert!(
        error.contains("12.csv") && error.contains("line 1: the header is [\"b\", \"a\"]"),
        "{error}"
    );
    fs::write(dir.path().join("13.csv.zst"), "").unwrap();
    let error = open(dir.path(), &parts_of(1)).unwrap_err().to_string();
    assert!(error.contains("13.csv.zst") && error.contains("compression"), "{error}");
}

#[test]
fn options_change_what_is_text() {
    let options = CsvOptions {
        delimiter: b';',
        has_header: false,
        quote: b'\'',
        escape: Some(b'\\'),
        comment: Some(b'#'),
        null_values: vec!["NA".to_string(), "-".to_string()],
        n_rows_skipped: 2,
        part_bytes: 4,
        ..CsvOptions::default()
    };
    let text = "made by 'someone\n;;;;\n# a; 'comment\nNA;'it\\'s\n; x'\n#\n\n5;''\n-;NA-\n";
    let frame = read_text(text.as_bytes(), &options).unwrap();
    let expected =
        df!["column_1" => [None, Some(5_i64), None], "column_2" => ["it's\n; x", "", "NA-"]];
    assert_same(&frame, &expected.unwrap());

    let options = CsvOptions { quoted_newlines: false, ..parts_of(3) };
    let frame = read_text(b"a,b\n\"1\",2\n3,\"4\"\n", &options).unwrap();
    assert_same(&frame, &df!["a" => [1_i64, 3], "b" => [2_i64, 4]].unwrap());

    let same = CsvOptions { quote: b',', ..CsvOptions::default() };
    assert!(error_of("a\n1\n", &same).contains(", ,"));
    let foreign = CsvOptions { delimiter: 0xE9, ..CsvOptions::default() };
    assert!(error_of("a\n1\n", &foreign).contains("ASCII"));
    let unknown =
        CsvOptions { dtypes: vec![("z".into(), DataType::Date)], ..CsvOptions::default() };
    assert!(error_of("a\n1\n", &unknown).contains("\"z\""));
    let list = DataType::List(Box::new(DataType::Int64));
    let list = CsvOptions { dtypes: vec![("a".into(), list)], ..CsvOptions::default() };
    assert!(error_of("a\n1\n", &list).contains("list[i64]"));
}

#[test]
fn a_value_of_another_dtype_is_an_error_that_says_where() {
    let mut text = "id,day,\"a\nb\"\n".to_string();
    for i in 0..20_000 {
        text += &format!("{i},2020-01-01,\"\n{i}\"\n");
        text += if i == 17_000 { "\n\nx17,2020-01-02,\n" } else { "" };
    }
    let options = CsvOptions { sample_bytes: 1000, ..parts_of(1 << 30) };
    for part_bytes in [1000, 100_000, 1 << 30] {
        // In this order, because samples are also from the middle and from the end.
        let error = error_of(&text, &CsvOptions { part_bytes, ..options.clone() });
        let line = 2 + 17_001 * 2 + 2 + 1;
        assert!(error.contains("x.csv"), "{error}");
        let expected =
            format!("line {line}: column \"id\" is \"x17\", expected i64; give its dtype");
        assert!(error.contains(&expected), "{error}");
    }
    let given = |dtype| CsvOptions { dtypes: vec![("a".into(), dtype)], ..CsvOptions::default() };
    for (dtype, value) in [
        (DataType::Int8, "128"),
        (DataType::UInt32, "-1"),
        (DataType::Int64, "1.0"),
        (DataType::Boolean, "yes"),
        (DataType::Date, "2021-02-29"),
        (DataType::Datetime(TimeUnit::Microseconds, None), "12.1.2020"),
        (DataType::Datetime(TimeUnit::Nanoseconds, None), "2500-01-01T00:00:00"),
        (DataType::Decimal(4, 2), "123.00"),
        (DataType::Float32, "1,5"),
        (DataType::Time, "25:00:00"),
    ] {
        let error = error_of(&format!("a\n\n\"{value}\"\n"), &given(dtype.clone()));
        let expected = format!("line 3: column \"a\" is {value:?}, expected {dtype};");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn ragged_rows_and_bad_bytes_are_errors_that_say_where() {
    let error = error_of("a,b\n1,2\n\n1,2,3\n", &parts_of(2));
    assert!(error.contains("line 4: 3 fields, expected 2"), "{error}");
    let error = error_of("a,b\n1,2\n1\n", &CsvOptions::default());
    assert!(error.contains("line 3: 1 fields, expected 2"), "{error}");
    let error = error_of("a,b\n1,\"2\n1,2\n", &CsvOptions::default());
    assert!(error.contains("byte 4 is still open"), "{error}");
    let error = error_of("a,a\n1,2\n", &CsvOptions::default());
    assert!(error.contains("a second column \"a\""), "{error}");
    assert!(error_of("", &CsvOptions::default()).contains("without columns"));
    // The bytes of a character on two sides of a delimiter.
    let error = read_text(b"a,b\n\xC3,\xA9\n", &CsvOptions::default()).unwrap_err().to_string();
    assert!(error.contains("byte 4 is 0xC3, expected UTF-8"), "{error}");
}

#[test]
fn files_without_rows_have_columns() {
    for text in ["a,b\n", "a,b"] {
        let frame = read_text(text.as_bytes(), &CsvOptions::default()).unwrap();
        assert_eq!((frame.shape(), frame.dtypes()), ((0, 2), vec![DataType::String; 2]));
    }
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("d");
    let empty = df!["a" => Vec::<i64>::new(), "" => Vec::<i64>::new()].unwrap();
    let writer =
        CsvWriter::create(call(), &target, empty.schema(), CsvWriteOptions::default(), false);
    writer.unwrap().finish().unwrap();
    assert_eq!(fs::read_to_string(target.join("part.00000.csv")).unwrap(), "a,\"\"\n");
}

#[test]
fn writers_keep_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("x.csv");
    fs::write(&target, "old").unwrap();
    let frame = df!["a" => [Some("NA"), None]].unwrap();
    let create = |if_exists| {
        let options =
            CsvWriteOptions { if_exists, null_value: "NA".into(), ..CsvWriteOptions::default() };
        CsvWriter::create(call(), &target, frame.schema(), options, true)
    };
    assert!(create(IfExists::Error).unwrap_err().to_string().contains("x.csv"));
    assert!(create(IfExists::Append).is_err());
    let writer = create(IfExists::Overwrite).unwrap();
    writer.write(0, &frame).unwrap();
    writer.write(0, &frame).unwrap_err();
    writer.write(1, &df!["b" => [1]].unwrap()).unwrap_err();
    drop(writer);
    assert_eq!(fs::read_to_string(&target).unwrap(), "old");
    let writer = create(IfExists::Overwrite).unwrap();
    writer.write(0, &frame).unwrap();
    writer.finish().unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "a\n\"NA\"\nNA\n");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn real_files() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !data.exists() {
        return;
    }
    let read = |name: &str, part_bytes| {
        read_all(&open(&data.join(name), &parts_of(part_bytes)).unwrap()).unwrap()
    };
    let sum = |frame: &DataFrame, name: &str| {
        let column = frame.column(name).unwrap().cast(&DataType::Float64).unwrap();
        column.f64().unwrap().iter().flatten().sum::<f64>()
    };
    let prices = read("sp500-2000.csv", 10_000);
    assert_eq!(prices.shape(), (5105, 7));
    assert_eq!(
        (prices.dtypes()[0].clone(), prices.dtypes()[6].clone()),
        (DataType::Date, DataType::Int64)
    );
    assert!((sum(&prices, "open") - 8_144_824.078_048_005).abs() < 1e-3);
    assert_eq!(sum(&prices, "volume"), 15_950_099_260_000.0);
    let weather = read("seattle-weather-hourly-normals.csv", 9_999);
    assert_eq!(weather.height(), 8759);
    assert_eq!(weather.dtypes()[0], DataType::Datetime(TimeUnit::Microseconds, None));
    assert!((sum(&weather, "wind") - 31_511.7).abs() < 1e-3);
    let birds = read("birdstrikes.csv", 100_000);
    assert_eq!(birds.shape(), (10_000, 14));
    assert_eq!(birds.column("Flight Date").unwrap().dtype(), &DataType::Date);
    assert_eq!(birds.column("Speed IAS in knots").unwrap().null_count(), 2836);
    assert_eq!(sum(&birds, "Speed IAS in knots"), 1_099_926.0);
    let names = birds.column("Airport Name").unwrap().str().unwrap();
    assert_eq!(names.iter().flatten().map(str::len).sum::<usize>(), 206_836);
    assert_same(&read("birdstrikes.csv", 1 << 30), &birds);
}

#[test]
fn damaged_files_never_panic() {
    let (text, _) = wild(40);
    for end in (0..text.len()).step_by(13) {
        let _ = read_text(&text.as_bytes()[..end], &parts_of(256));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.csv.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    for i in (0..gzip.len()).step_by(3) {
        fs::write(&path, &gzip[..i]).unwrap();
        let cut = open(&path, &CsvOptions::default()).and_then(|source| read_all(&source));
        assert!(cut.is_err(), "{i}");
        let mut flipped = gzip.clone();
        flipped[i] ^= 0x10;
        fs::write(&path, &flipped).unwrap();
        let _ = open(&path, &CsvOptions::default()).and_then(|source| read_all(&source));
    }
    for i in (0..text.len()).step_by(17) {
        let mut flipped = text.clone().into_bytes();
        flipped[i] ^= 1 << (i % 8);
        let _ = read_text(&flipped, &parts_of(256));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_of_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (frame, options) = (df!["a" => [1]].unwrap(), CsvWriteOptions::default());
    let writer = CsvWriter::create(call(), &dir.path().join("x"), frame.schema(), options, false);
    let mut full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = writer.unwrap().encode(&mut full, &frame).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}
