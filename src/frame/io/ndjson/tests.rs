//! Tests of NDJSON files as a source of frames, and of writing them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use polars_core::df;
use polars_core::prelude::{
    DataFrame, DataType, IntoColumn, NamedFrom, PlSmallStr, Series, TimeUnit,
};

use super::super::{Request, Source};
use super::*;
use crate::error::{Blame, Call, Error, Result};

fn call() -> Call {
    Call::new("read_ndjson")
}

fn open(path: &Path, options: &NdjsonOptions) -> Result<NdjsonFiles> {
    NdjsonFiles::open(call(), &[path], options)
}

fn parts_of(part_bytes: u64) -> NdjsonOptions {
    NdjsonOptions { part_bytes, ..NdjsonOptions::default() }
}

fn read_all(source: &NdjsonFiles) -> Result<DataFrame> {
    let columns: Vec<PlSmallStr> = source.schema().iter_names().cloned().collect();
    let request = Request { columns: columns.into(), ..Request::default() };
    let mut all = source.read(0, &request)?;
    for part in 1..source.n_parts() {
        all.vstack_mut_owned(source.read(part, &request)?).unwrap();
    }
    Ok(all)
}

fn read_text(text: &[u8], options: &NdjsonOptions) -> Result<DataFrame> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ndjson");
    fs::write(&path, text).unwrap();
    read_all(&open(&path, options)?)
}

#[track_caller]
fn assert_same(got: &DataFrame, expected: &DataFrame) {
    assert_eq!(got.schema(), expected.schema());
    assert!(got.equals_missing(expected), "{got:?}\n{expected:?}");
}

fn all_dtypes() -> DataFrame {
    let numbers =
        |name: &str| Series::new(name.into(), [Some(5_i64), None, Some(-700_000), Some(0)]);
    let mut frame = df![
        "z" => [Some(i64::MIN), None, Some(i64::MAX), Some(0)],
        "f" => [Some(0.1 + 0.2), None, Some(-5e-324), Some(1e300)],
        "b" => [Some(true), None, Some(false), Some(true)],
        "s" => [Some("a \"b\"\n\\ größe \u{1F980}"), None, Some(""), Some("{\"z\": 1}\t")],
        "u" => [Some(u64::MAX), None, Some(0), Some(1)],
    ]
    .unwrap();
    for (name, dtype) in [
        ("ms", DataType::Datetime(TimeUnit::Milliseconds, None)),
        ("us", DataType::Datetime(TimeUnit::Microseconds, None)),
        ("ns", DataType::Datetime(TimeUnit::Nanoseconds, None)),
    ] {
        frame.with_column(numbers(name).cast(&dtype).unwrap().into_column()).unwrap();
    }
    let days = Series::new("d".into(), [Some(1_i32), None, Some(-20_000), Some(0)]);
    frame.with_column(days.cast(&DataType::Date).unwrap().into_column()).unwrap();
    let lists =
        [Some(Series::new("".into(), [1_i64, 2])), None, Some(Series::new("".into(), [0_i64; 0]))];
    let lists = [lists[0].clone(), lists[1].clone(), lists[2].clone(), lists[0].clone()];
    frame.with_column(Series::new("l".into(), lists).into_column()).unwrap();
    frame
}

#[test]
fn dtypes_survive_the_way_to_a_file_and_back() {
    let frame = all_dtypes();
    let dtypes = frame.schema().iter().map(|(name, dtype)| (name.clone(), dtype.clone()));
    let options = NdjsonOptions { dtypes: dtypes.collect(), ..parts_of(100) };
    let dir = tempfile::tempdir().unwrap();
    for is_single in [false, true] {
        let target = dir.path().join(format!("{is_single}"));
        let schema = Arc::clone(frame.schema());
        let write_options = NdjsonWriteOptions::default();
        let create = || NdjsonWriter::create(call(), &target, &schema, &write_options, is_single);
        let writer = create().unwrap();
        writer.write(1, &frame.slice(1, 3)).unwrap();
        writer.write(0, &frame.slice(0, 1)).unwrap();
        writer.finish().unwrap();
        assert_same(&read_all(&open(&target, &options).unwrap()).unwrap(), &frame);
        assert!(create().is_err());
    }
}

#[test]
fn columns_come_in_the_order_of_the_text() {
    let text = "{\"z\":1,\"b\":{\"y\":null,\"x\":[{\"q\":1,\"p\":\"\"}]}}\n\n{\"a\":0.5,\"z\":2}\n{\"a\":1}";
    for _ in 0..5 {
        let frame = read_text(text.as_bytes(), &parts_of(10)).unwrap();
        assert_eq!(frame.get_column_names(), ["z", "b", "a"]);
        let b = frame.dtypes()[1].to_string();
        assert_eq!(b, "struct[2]");
        let DataType::Struct(fields) = &frame.dtypes()[1] else { panic!("{b}") };
        assert_eq!(
            fields.iter().map(|field| field.name().as_str()).collect::<Vec<_>>(),
            ["y", "x"]
        );
        let z = frame.column("z").unwrap().i64().unwrap().iter().collect::<Vec<_>>();
        assert_eq!(z, [Some(1), Some(2), None]);
    }
}

#[test]
fn parts_of_any_size_have_the_rows_of_the_whole() {
    let ids: Vec<i64> = (0..60).collect();
    let texts: Vec<String> = ids.iter().map(|&id| "\n\"".repeat(id as usize % 13)).collect();
    let mut text = String::new();
    for (id, value) in ids.iter().zip(&texts) {
        let value = value.replace('"', "\\\"").replace('\n', "\\n");
        text += &format!(
            "{{\"id\":{id}, \"t\":\"{value}\"}}{}",
            if id % 3 == 0 { "\r\n" } else { "\n" }
        );
    }
    let expected = df!["id" => ids, "t" => texts].unwrap();
    for part_bytes in [1, 10, 64, 333, u64::MAX] {
        for text in [text.as_str(), text.trim_end()] {
            assert_same(&read_text(text.as_bytes(), &parts_of(part_bytes)).unwrap(), &expected);
        }
    }
}

#[test]
fn a_part_reads_only_its_columns_and_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ndjson");
    fs::write(&path, "{\"a\":1,\"b\":\"x\"}\n".repeat(100)).unwrap();
    let source = open(&path, &parts_of(400)).unwrap();
    let request = |columns: &[&str], n_rows_max| {
        let columns: Vec<PlSmallStr> = columns.iter().map(|&name| name.into()).collect();
        Request { columns: columns.into(), n_rows_max, ..Request::default() }
    };
    assert_eq!(source.read(1, &request(&["b"], Some(2))).unwrap(), df!["b" => ["x", "x"]].unwrap());
    let frame = source.read(1, &request(&["b", "a"], None)).unwrap();
    assert_eq!(frame.get_column_names(), ["b", "a"]);
    let height = |part| source.read(part, &request(&[], None)).unwrap().height();
    assert_eq!((0..source.n_parts()).map(height).sum::<usize>(), 100);
}

#[test]
fn what_does_not_fit_is_an_error_that_says_where() {
    let good = "{\"a\":1,\"b\":\"x\",\"c\":0.5}\n";
    let options = |part_bytes| NdjsonOptions { sample_bytes: 30, ..parts_of(part_bytes) };
    for (bad, expected) in [
        ("{\"a\":1.5}", "column \"a\""),
        ("{\"a\":\"x\"}", "column \"a\""),
        ("{\"a\":true}", "column \"a\""),
        ("{\"a\":99999999999999999999}", "column \"a\""),
        ("{\"b\":1}", "column \"b\""),
        ("{\"c\":{}}", "column \"c\""),
        ("{\"a\":1", "line 42"),
        ("{\"a\":1}{\"a\":2}", "expected one object"),
        ("[1]", "expected one object"),
        ("null", "expected one object"),
        ("{\"b\":\"\\ud800\"}", "line 42"),
    ] {
        let text = format!("{}\n{bad}\n{}", good.repeat(40), good.repeat(40));
        for part_bytes in [100, 1 << 20] {
            let error = read_text(text.as_bytes(), &options(part_bytes)).unwrap_err().to_string();
            assert!(error.contains("x.ndjson") && error.contains("line 42"), "{bad}: {error}");
            assert!(error.contains(expected), "{bad}: {error}");
        }
    }
    let error = read_text(b"{\"a\":1}\n{\"a\":\n1}\n", &parts_of(100)).unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
    let error = read_text(b"{\"a\":\"\xE9\"}\n", &parts_of(100)).unwrap_err().to_string();
    assert!(error.contains("byte 6 is 0xE9"), "{error}");
    assert!(read_text(b"", &parts_of(1)).unwrap_err().to_string().contains("without columns"));
    let options = NdjsonOptions { dtypes: vec![("later".into(), DataType::Int8)], ..parts_of(1) };
    assert_eq!(read_text(b"", &options).unwrap().shape(), (0, 1));
}

#[test]
fn damaged_files_never_panic() {
    let text = "{\"a\":1,\"b\":[\"x\\u00e9\",{\"c\":null}],\"d\":-1.5e3}\n".repeat(6);
    for i in 0..text.len() {
        let _ = read_text(&text.as_bytes()[..i], &parts_of(64));
        let mut flipped = text.clone().into_bytes();
        flipped[i] ^= 1 << (i % 8);
        let _ = read_text(&flipped, &NdjsonOptions { sample_bytes: 40, ..parts_of(64) });
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_of_the_disk() {
    let mut full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let blame = Blame { call: call(), path: Path::new("x"), format: "NDJSON" };
    let error = write::encode(&blame, &mut full, &all_dtypes()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}
