//! Files and directories that this crate writes.

use std::fs;
use std::sync::Arc;

use polars_core::df;
use polars_core::prelude::{DataFrame, DataType};

use super::super::*;
use super::{Source, all_columns, assert_same, call, counting, open, read_all, request, write_one};
use crate::error::Error;

#[test]
fn a_directory_of_parts_is_written_and_appears_whole() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let schema = Arc::clone(counting(0, 0).schema());
    let writer = |if_exists| {
        let options = ParquetWriteOptions { if_exists, ..ParquetWriteOptions::default() };
        ParquetWriter::create(call(), &target, &schema, options)
    };
    let names = || {
        let entries = fs::read_dir(&target).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let read = || {
        let source = open(&target, 1 << 30).unwrap();
        read_all(&source, &all_columns(&source))
    };
    let new = writer(IfExists::Error).unwrap();
    std::thread::scope(|scope| {
        for part in (0..4).rev() {
            let new = &new;
            scope.spawn(move || new.write(part, &counting(part as i64 * 10, 10)).unwrap());
        }
    });
    assert!(!target.exists());
    new.finish().unwrap();
    assert_eq!(names()[3], "part.00003.parquet");
    assert_same(&read(), &counting(0, 40));

    assert!(matches!(writer(IfExists::Error).unwrap_err(), Error::Io { .. }));
    // What is dropped unfinished leaves nothing.
    let dropped = writer(IfExists::Overwrite).unwrap();
    dropped.write(0, &counting(0, 3)).unwrap();
    drop(dropped);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(read().height(), 40);

    let more = writer(IfExists::Append).unwrap();
    more.write(1, &counting(45, 5)).unwrap();
    more.write(0, &counting(40, 5)).unwrap();
    assert!(more.write(0, &counting(40, 5)).is_err(), "each part once");
    more.finish().unwrap();
    assert_eq!(names()[5], "part.00005.parquet");
    assert_same(&read(), &counting(0, 50));

    let less = writer(IfExists::Overwrite).unwrap();
    less.write(0, &counting(7, 3)).unwrap();
    less.finish().unwrap();
    assert_same(&read(), &counting(7, 3));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

    let other = df!["i" => [1_i32]].unwrap();
    let options = ParquetWriteOptions { if_exists: IfExists::Append, ..Default::default() };
    let error = ParquetWriter::create(call(), &target, other.schema(), options).unwrap_err();
    assert!(matches!(error, Error::SchemaMismatch { .. }), "{error}");
    let wrong = writer(IfExists::Overwrite).unwrap();
    assert!(matches!(wrong.write(0, &other).unwrap_err(), Error::SchemaMismatch { .. }));
}

#[test]
fn partitions_become_directories_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let frame = df![
        "year" => [2020_i64, 2021, 2020, 2021],
        "city" => [Some("a/b"), None, Some("c d"), None],
        "v" => [1, 2, 3, 4],
    ]
    .unwrap();
    let options = |if_exists| ParquetWriteOptions {
        partition_on: vec!["year".to_string(), "city".to_string()],
        if_exists,
        ..ParquetWriteOptions::default()
    };
    for if_exists in [IfExists::Error, IfExists::Append] {
        let writer =
            ParquetWriter::create(call(), &target, frame.schema(), options(if_exists)).unwrap();
        writer.write(0, &frame).unwrap();
        writer.finish().unwrap();
    }
    assert!(target.join("year=2020/city=a%2Fb/part.00001.parquet").exists());
    let source = open(&target, 1 << 20).unwrap();
    let got = read_all(&source, &request(&["year", "city", "v"]));
    let order = ["year", "v"];
    let sorted = |frame: &DataFrame| frame.sort(order, Default::default()).unwrap();
    let twice = frame.vstack(&frame).unwrap();
    assert_same(&sorted(&got), &sorted(&twice));

    for (columns, word) in
        [(vec!["nope"], "nope"), (vec!["v", "v"], "v"), (vec!["year", "city", "v"], "files")]
    {
        let partition_on = columns.iter().map(ToString::to_string).collect();
        let options = ParquetWriteOptions { partition_on, ..ParquetWriteOptions::default() };
        let path = dir.path().join("never");
        let error = ParquetWriter::create(call(), &path, frame.schema(), options).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert!(!path.exists());
    }
}

/// The dtypes of columns in the names of directories are not written down, and null says nothing of them.
#[test]
fn a_frame_without_rows_leaves_directories_that_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let frame = df!["year" => [2020_i64], "v" => [1.5]].unwrap();
    let options = |if_exists| ParquetWriteOptions {
        partition_on: vec!["year".to_string()],
        if_exists,
        ..ParquetWriteOptions::default()
    };
    let write = |frame: &DataFrame, if_exists| {
        let writer =
            ParquetWriter::create(call(), &target, frame.schema(), options(if_exists)).unwrap();
        writer.write(0, frame).unwrap();
        writer.finish().unwrap();
        read_all(&open(&target, 1 << 20).unwrap(), &request(&["v", "year"]))
    };
    let none = write(&frame.clear(), IfExists::Error);
    assert_eq!(none.shape(), (0, 2));
    assert_eq!(none.column("v").unwrap().dtype(), &DataType::Float64);
    let one = write(&frame, IfExists::Append);
    assert_same(&one, &frame.select(["v", "year"]).unwrap());
}

#[test]
fn options_of_the_writer_reach_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    for compression in
        [ParquetCompression::Uncompressed, ParquetCompression::Snappy, ParquetCompression::Zstd]
    {
        let options = ParquetWriteOptions {
            compression,
            row_group_rows: 30,
            if_exists: IfExists::Overwrite,
            ..ParquetWriteOptions::default()
        };
        write_one(&path, &counting(0, 100), options).unwrap();
        let source = open(&path, 1 << 20).unwrap();
        assert_same(&source.read(0, &all_columns(&source)).unwrap(), &counting(0, 100));
        let groups = source.known_footer(0).unwrap().groups().len();
        assert_eq!(groups, 4);
    }
    let error = write_one(&path, &counting(0, 1), ParquetWriteOptions::default());
    assert!(matches!(error.unwrap_err(), Error::Io { .. }));
    let none = DataFrame::empty_with_height(3);
    let path = dir.path().join("none");
    assert!(write_one(&path, &none, ParquetWriteOptions::default()).is_err());
    // No parts are a frame without rows.
    let target = dir.path().join("empty");
    let schema = Arc::clone(counting(0, 0).schema());
    let writer = ParquetWriter::create(call(), &target, &schema, ParquetWriteOptions::default());
    writer.unwrap().finish().unwrap();
    let source = open(&target, 1 << 20).unwrap();
    assert_same(&read_all(&source, &all_columns(&source)), &counting(0, 0));
}

#[test]
fn values_that_hardly_repeat_have_no_dictionary() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let n = 1_i64 << 18;
    let frame = df![
        "all" => (0..n).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)).collect::<Vec<_>>(),
        "few" => (0..n).map(|i| (i % 1000) as f64).collect::<Vec<_>>(),
        "runs" => (0..n).map(|i| i / 50).collect::<Vec<_>>(),
        "text" => (0..n).map(|i| i.to_string()).collect::<Vec<_>>(),
        "flag" => (0..n).map(|i| i % 2 == 0).collect::<Vec<_>>(),
    ]
    .unwrap();
    write_one(&path, &frame, ParquetWriteOptions::default()).unwrap();
    let source = open(&path, u64::MAX).unwrap();
    let group = &source.known_footer(0).unwrap().groups()[0];
    let dictionaries: Vec<bool> =
        group.columns().iter().map(|column| column.dictionary_page_offset().is_some()).collect();
    assert_eq!(dictionaries, [false, true, true, false, false]);
    assert_same(&source.read(0, &all_columns(&source)).unwrap(), &frame);
    // Short columns have one, whatever is in them.
    let options =
        ParquetWriteOptions { if_exists: IfExists::Overwrite, ..ParquetWriteOptions::default() };
    write_one(&path, &frame.head(Some(100)), options).unwrap();
    let source = open(&path, u64::MAX).unwrap();
    let group = &source.known_footer(0).unwrap().groups()[0];
    assert!(group.column(0).dictionary_page_offset().is_some());
}
