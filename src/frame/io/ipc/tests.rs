//! Tests of Arrow IPC files and streams, those of this crate and those that arrow and others wrote.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array as aa;
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Int8Type};
use arrow::ipc::MetadataVersion;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::{
    DictionaryHandling, FileWriter, IpcWriteOptions as ArrowOptions, StreamWriter,
};
use polars_core::df;
use polars_core::prelude::{
    Categories, DataFrame, DataType, FrozenCategories, IntoColumn, IntoSeries, NamedFrom,
    PlSmallStr, Series, StructChunked, TimeUnit, TimeZone,
};

use super::super::{IfExists, Request, Source};
use super::*;
use crate::error::{Blame, Call, Error, Result};

mod damage;
mod filter;
mod foreign;

fn call() -> Call {
    Call::new("read_ipc")
}

fn open(path: &Path, part_bytes: u64) -> Result<IpcFiles> {
    IpcFiles::open(call(), &[path], &IpcOptions { part_bytes })
}

fn request(columns: &[&str]) -> Request {
    let columns: Vec<PlSmallStr> = columns.iter().map(|&name| name.into()).collect();
    Request { columns: columns.into(), ..Request::default() }
}

/// All parts under each other, each with the rows and within the bytes that were announced.
#[track_caller]
fn read_all(source: &IpcFiles) -> Result<DataFrame> {
    let columns: Vec<PlSmallStr> = source.schema().iter_names().cloned().collect();
    let request = Request { columns: columns.into(), ..Request::default() };
    let mut all = DataFrame::empty_with_schema(source.schema());
    for part in 0..source.n_parts() {
        let frame = source.read(part, &request)?;
        assert_eq!(source.n_rows(part), Some(frame.height() as u64));
        assert!(frame.max_n_chunks() <= 1);
        let (got, bytes) = (frame.estimated_size() as u64, source.nbytes(part, &request.columns));
        assert!(got <= bytes + 64, "part {part}: {got} > {bytes}");
        all.vstack_mut_owned(frame).unwrap();
    }
    Ok(all)
}

fn write(target: &Path, parts: &[DataFrame], options: &IpcWriteOptions) -> Result<()> {
    let schema = Arc::clone(parts[0].schema());
    let writer = IpcWriter::create(call(), target, &schema, options.clone())?;
    for (i, part) in parts.iter().enumerate().rev() {
        writer.write(i, part)?;
    }
    writer.finish()
}

#[track_caller]
fn assert_same(got: &DataFrame, expected: &DataFrame) {
    assert_eq!(got.schema(), expected.schema());
    assert!(got.equals_missing(expected), "{got:?}\n{expected:?}");
}

/// Every dtype that a frame can have, each with a null.
fn all_dtypes() -> DataFrame {
    let whole = |name: &str| Series::new(name.into(), [Some(5_i64), None, Some(70), Some(0)]);
    let text = Series::new("s".into(), [Some("a"), None, Some("größe, longer than twelve"), None]);
    let mut columns = vec![
        Series::new("f64".into(), [Some(0.1 + 0.2), None, Some(-5e-324), Some(f64::NAN)]),
        Series::new("b".into(), [Some(true), None, Some(false), Some(true)]),
        text.clone(),
        Series::new(
            "bin".into(),
            [Some(&b"\xFF"[..]), None, Some(b""), Some(b"longer than twelve")],
        ),
        Series::new_null("null".into(), 4),
    ];
    let enumeration = FrozenCategories::new(["x", "a", "größe, longer than twelve"]).unwrap();
    for dtype in [
        DataType::from_categories(Categories::global()),
        DataType::from_frozen_categories(enumeration),
    ] {
        let name = format!("c{}", columns.len()).into();
        columns.push(text.strict_cast(&dtype).unwrap().with_name(name));
    }
    let time_units = [TimeUnit::Milliseconds, TimeUnit::Microseconds, TimeUnit::Nanoseconds];
    let times = time_units
        .into_iter()
        .flat_map(|unit| [DataType::Datetime(unit, None), DataType::Duration(unit)]);
    use DataType as T;
    let numbers = [
        T::Int8,
        T::Int16,
        T::Int32,
        T::Int64,
        T::UInt8,
        T::UInt16,
        T::UInt32,
        T::UInt64,
        T::Float32,
        T::Time,
        T::Decimal(10, 2),
        T::Decimal(38, 0),
        T::Datetime(TimeUnit::Milliseconds, TimeZone::opt_try_new(Some("Europe/Berlin")).unwrap()),
    ];
    for dtype in numbers.into_iter().chain(times) {
        columns.push(whole(&dtype.to_string()).strict_cast(&dtype).unwrap());
    }
    let days = whole("d").cast(&T::Int32).unwrap().cast(&T::Date).unwrap();
    let lists = [Some(text.clone()), None, Some(text.slice(0, 0)), Some(text.slice(1, 2))];
    let lists = Series::new("l".into(), lists);
    let fields = [text.clone(), days.clone(), lists.clone()];
    let structs = StructChunked::from_series("st".into(), 4, fields.iter()).unwrap();
    columns.extend([days, lists, structs.into_series()]);
    DataFrame::new(4, columns.into_iter().map(Series::into_column).collect()).unwrap()
}

#[test]
fn dtypes_survive_the_way_to_files_and_back() {
    let frame = all_dtypes();
    let dir = tempfile::tempdir().unwrap();
    let codecs = [IpcCompression::Uncompressed, IpcCompression::Lz4, IpcCompression::Zstd];
    for (i, compression) in codecs.into_iter().enumerate() {
        for batch_rows in [1, 3, 1 << 20] {
            let target = dir.path().join(format!("{i} {batch_rows}"));
            let options = IpcWriteOptions { compression, batch_rows, if_exists: IfExists::Error };
            write(&target, &[frame.slice(0, 1), frame.slice(1, 3)], &options).unwrap();
            for part_bytes in [1, 1 << 30] {
                let source = open(&target, part_bytes).unwrap();
                assert_same(&read_all(&source).unwrap(), &frame);
            }
            let error = write(&target, std::slice::from_ref(&frame), &options).unwrap_err();
            assert!(matches!(error, Error::Io { .. }), "{error}");
        }
    }
    let target = dir.path().join("empty");
    let none = IpcWriter::create(call(), &target, frame.schema(), IpcWriteOptions::default());
    none.unwrap().finish().unwrap();
    assert_same(&read_all(&open(&target, 1).unwrap()).unwrap(), &frame.clear());
}

/// `i` counts, `s` is text, `f` a tenth of `i`.
fn counting(n: i64) -> DataFrame {
    df![
        "i" => (0..n).collect::<Vec<_>>(),
        "s" => (0..n).map(|i| (i % 7 != 0).then(|| format!("text of {i:06}"))).collect::<Vec<_>>(),
        "f" => (0..n).map(|i| i as f64 / 10.0).collect::<Vec<_>>(),
    ]
    .unwrap()
}

#[test]
fn batches_become_parts_of_about_as_many_bytes_as_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("x");
    let frame = counting(1000);
    let options = IpcWriteOptions { batch_rows: 10, ..IpcWriteOptions::default() };
    write(&target, std::slice::from_ref(&frame), &options).unwrap();
    let whole = open(&target, 1 << 30).unwrap();
    assert_eq!((whole.n_parts(), whole.n_rows(0)), (1, Some(1000)));
    let columns: Vec<PlSmallStr> = frame.get_column_names_owned();
    let bytes = whole.nbytes(0, &columns);
    for (part_bytes, n_parts) in [(1, 100), (bytes / 10 + 800, 10), (bytes / 4 + 800, 4)] {
        let source = open(&target, part_bytes).unwrap();
        assert_eq!(source.n_parts(), n_parts);
        assert_same(&read_all(&source).unwrap(), &frame);
    }
    // Twelve bytes of text and a view, a number of eight bytes, and its bits.
    assert_eq!(whole.nbytes(0, &columns[..1]), 1000 * 8 + 100 * 2);
    assert!(whole.nbytes(0, &columns[1..2]) < 1000 * (16 + 16));
    assert_eq!(whole.nbytes(0, &[]), 0);
}

#[test]
fn a_part_reads_only_its_columns_and_rows() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("x");
    let frame = counting(100);
    for compression in [IpcCompression::Uncompressed, IpcCompression::Zstd] {
        let options =
            IpcWriteOptions { compression, batch_rows: 25, if_exists: IfExists::Overwrite };
        write(&target, std::slice::from_ref(&frame), &options).unwrap();
        let file = target.join("part.00000.arrow");
        let source = open(&file, 1 << 30).unwrap();
        let limited = Request { n_rows_max: Some(30), ..request(&["f", "i"]) };
        let expected = frame.select(["f", "i"]).unwrap();
        assert_same(&source.read(0, &limited).unwrap(), &expected.slice(0, 30));
        assert_eq!(source.read(0, &request(&[])).unwrap().height(), 100);

        // All text of the file becomes something else, which nobody sees who does not ask for it.
        let mut bytes = fs::read(&file).unwrap();
        let reader = FileReader::try_new(fs::File::open(&file).unwrap(), None).unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(batches.len(), 4);
        if compression == IpcCompression::Uncompressed {
            let views = batches[0].column(1).as_string_view().views().inner().clone();
            let place = bytes.windows(views.len()).position(|window| window == &views[..]).unwrap();
            bytes[place..place + views.len()].fill(0xAB);
        } else {
            // Frames of Zstandard begin with this number; those of text are the longest.
            let magic = [0x28, 0xB5, 0x2F, 0xFD];
            let places = (0..bytes.len()).filter(|&i| bytes[i..].starts_with(&magic));
            for place in places.collect::<Vec<_>>() {
                let prefix = bytes[place - 8..place].first_chunk::<8>().unwrap();
                if ![200, 13].contains(&i64::from_le_bytes(*prefix)) {
                    bytes[place] = 0;
                }
            }
        }
        fs::write(&file, &bytes).unwrap();
        let source = open(&file, 1 << 30).unwrap();
        assert_same(&source.read(0, &request(&["f", "i"])).unwrap(), &expected);
        let error = source.read(0, &request(&["s"])).unwrap_err();
        assert!(matches!(error, Error::CorruptFile { .. }), "{error}");
    }
}
