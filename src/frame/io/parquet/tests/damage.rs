//! Files that are damaged, hostile or odd.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Comparison, Result, Source, counting, groups_of, open, request, where_, write};
use crate::frame::io::damaged::flipped;

/// Everything that can be asked of a file, by someone who does not trust it.
pub(super) fn use_all_of(path: &Path) -> Result<()> {
    let source = open(path, 1 << 20)?;
    let mut outcome = Ok(());
    for part in 0..source.n_parts() {
        for name in source.schema().iter_names() {
            source.stats(part, name);
            source.nbytes(part, std::slice::from_ref(name));
            let number = where_(&[name], name, Comparison::Eq, &[1_i64.into()]);
            for request in [request(&[name]), number] {
                outcome = outcome.and(source.read(part, &request).map(drop));
            }
        }
    }
    outcome
}

#[test]
fn damaged_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let properties =
        groups_of(100).set_bloom_filter_enabled(true).set_data_page_row_count_limit(50);
    write(&path, &counting(0, 200), properties);
    let good = fs::read(&path).unwrap();
    for length in [0, 3, 8, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        let error = use_all_of(&path).unwrap_err().to_string();
        assert!(error.contains("x.parquet"), "{error}");
    }
    // Not every bit matters, and a flipped bit in a value is a value; but nothing may panic.
    let mut n_errors = 0;
    for i in 0..400 {
        fs::write(&path, flipped(&good, i)).unwrap();
        if let Err(error) = use_all_of(&path) {
            n_errors += 1;
            assert!(error.to_string().contains("x.parquet"), "{error}");
        }
    }
    assert!(n_errors > 40, "{n_errors}");
}

fn parquet_testing(folder: &str) -> Vec<PathBuf> {
    let dir =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/parquet-testing").join(folder);
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|p| p.extension().is_some_and(|e| e == "parquet")).collect();
    paths.sort();
    paths
}

#[test]
fn bad_files_of_parquet_testing_are_errors() {
    for path in parquet_testing("bad_data") {
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        // An index of no bits is the first entry of the dictionary, and this decoder takes it for that.
        if name == "ARROW-GH-43605.parquet" {
            use_all_of(&path).unwrap();
            continue;
        }
        let error = use_all_of(&path).expect_err(&name).to_string();
        assert!(error.contains(&name), "{error}");
    }
}

#[test]
fn good_files_of_parquet_testing_are_read() {
    // What is refused, and by which word.
    let refused = [
        ("datapage_v1-corrupt-checksum.parquet", "CRC"),
        ("dict-page-offset-zero.parquet", "footer"),
        ("nation.dict-malformed.parquet", "page header"),
        ("nested_maps.snappy.parquet", "Map"),
        ("nonnullable.impala.parquet", "Map"),
        ("nullable.impala.parquet", "Map"),
        ("repeated_no_annotation.parquet", "6 rows in its row groups, 0 in all"),
        ("rle-dict-uncompressed-corrupt-checksum.parquet", "CRC"),
    ];
    let mut wrong = Vec::new();
    for path in parquet_testing("data") {
        let name = path.file_name().unwrap().to_str().unwrap();
        // A few bytes of it are gigabytes, which takes a minute.
        if name == "large_string_map.brotli.parquet" {
            continue;
        }
        let expected = refused.iter().find(|(refused, _)| *refused == name);
        match (use_all_of(&path), expected) {
            (Ok(()), None) => {}
            (Err(error), Some((_, word))) => assert!(error.to_string().contains(word), "{error}"),
            (outcome, expected) => wrong.push((name.to_string(), outcome, expected)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
