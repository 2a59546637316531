use polars_core::df;

use super::*;
use crate::frame::io::damaged::cut_or_flipped;
use crate::storage::testing::TestStore;

/// Parts and columns that are asked for, and not much more, in memory that is declared.
#[test]
fn objects_are_asked_for_what_is_needed() {
    let (store, url) = TestStore::register("needs");
    let n = 200_000_i64;
    let numbers = |step: i64| (0..n).map(|i| i.wrapping_mul(step) ^ (i << 20)).collect::<Vec<_>>();
    let all = df!["a" => numbers(7919), "b" => numbers(104_729), "c" => numbers(15_485_863)];
    let all = all.unwrap();
    let options = ParquetWriteOptions { row_group_rows: 50_000, ..ParquetWriteOptions::default() };
    let writer = ParquetWriter::create(call(), url.as_ref(), all.schema(), options).unwrap();
    writer.write(0, &all).unwrap();
    writer.finish().unwrap();
    for part_bytes in [1 << 20, 1 << 30] {
        store.take_gets();
        let options = ParquetOptions { part_bytes, ..ParquetOptions::default() };
        let files = ParquetFiles::open(call(), &[&url], &options).unwrap();
        let bytes = files.files.files[0].bytes;
        assert!(bytes > 3 << 20, "{bytes}");
        assert_eq!(store.take_gets().len(), 1, "a footer is one request");
        let columns: Vec<PlSmallStr> = vec!["b".into()];
        let mut read: u64 = 0;
        for part in 0..files.n_parts() {
            let request = Request { columns: columns.clone().into(), ..Request::default() };
            assert_eq!(files.read(part, &request).unwrap().width(), 1);
            let own: u64 = store.take_gets().iter().map(|range| range.end - range.start).sum();
            assert!(own <= files.scratch_bytes(part, &columns), "{own} bytes");
            read += own;
        }
        assert!(read < bytes / 2, "{read} of {bytes} bytes for one of three columns");
        let few = Request { columns: columns.into(), n_rows_max: Some(5), ..Request::default() };
        assert!(files.read(0, &few).unwrap().equals(&all.select(["b"]).unwrap().head(Some(5))));
    }
}

/// As files, objects that are damaged are errors that name them: in footers, page indexes, bloom filters and pages.
#[test]
fn damaged_objects_are_errors() {
    let (store, url) = TestStore::register("damage");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let properties =
        groups_of(100).set_bloom_filter_enabled(true).set_data_page_row_count_limit(50);
    write(&path, &counting(0, 200), properties);
    let good = fs::read(&path).unwrap();
    let mut n_errors = 0;
    for i in 0..120 {
        store.replace("x.parquet", cut_or_flipped(&good, i));
        let object = format!("{url}/x.parquet");
        if let Err(error) = damage::use_all_of(object.as_ref()) {
            n_errors += 1;
            assert!(error.to_string().contains("x.parquet"), "{error}");
        }
    }
    assert!(n_errors >= 25, "{n_errors}");
}
