//! Tests of filters that the decoder applies.

use polars_core::prelude::BooleanChunked;

use super::super::super::{RowFilter, gathered};
use super::*;

/// Keeps rows by the value of `i`, which `looks_at` other columns do not change.
#[derive(Debug)]
struct Keeps {
    looks_at: Vec<PlSmallStr>,
    is_kept: fn(i64) -> bool,
}

impl RowFilter for Keeps {
    fn columns(&self) -> &[PlSmallStr] {
        &self.looks_at
    }

    fn mask(&self, frame: &DataFrame) -> Result<BooleanChunked> {
        assert!(self.looks_at.iter().all(|name| frame.column(name).is_ok()));
        let values = frame.column("i").unwrap().i64().unwrap().into_no_null_iter();
        Ok(values.map(self.is_kept).collect())
    }
}

/// Nothing, everything, scattered rows, runs of rows, and rows of some row groups and pages.
const KEPT: [fn(i64) -> bool; 6] = [
    |_| false,
    |_| true,
    |i| i % 13 == 5,
    |i| i % 13 != 5,
    |i| i / 70 % 3 == 1,
    |i| (1990..2010).contains(&i),
];

fn kept(source: &ParquetFiles, request: &Request, filter: &Keeps) -> DataFrame {
    let mut all: Option<DataFrame> = None;
    for part in 0..source.n_parts() {
        let frame = gathered(|each| source.read_batches(part, request, Some(filter), each));
        let frame = frame.unwrap();
        match &mut all {
            None => all = Some(frame),
            Some(_) if frame.width() == 0 => {
                let height = all.map_or(0, |all| all.height()) + frame.height();
                all = Some(DataFrame::empty_with_height(height));
            }
            Some(all) => {
                all.vstack_mut(&frame).unwrap();
            }
        }
    }
    all.unwrap()
}

#[test]
fn rows_are_those_of_a_filter_behind_the_scan() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let properties = groups_of(1000).set_data_page_row_count_limit(100).set_write_batch_size(50);
    let frame = counting(0, 5000);
    write(&path, &frame, properties);
    // Whole row groups, rows of one, and several in one part.
    for part_bytes in [1 << 30, 100_000, 9_000] {
        let source = open(&path, part_bytes).unwrap();
        for is_kept in KEPT {
            let mask = (0..5000).map(is_kept).collect::<BooleanChunked>();
            let expected = frame.filter(&mask).unwrap();
            for columns in [&["s", "i", "f"][..], &["f"], &["i"], &["s", "f"], &[]] {
                for looks_at in [&["i"][..], &["f", "i"], &["i", "s", "f"]] {
                    let looks_at = looks_at.iter().map(|&name| name.into()).collect();
                    let filter = Keeps { looks_at, is_kept };
                    let got = kept(&source, &request(columns), &filter);
                    assert_eq!(got.height(), expected.height());
                    assert!(got.schema().iter_names().eq(columns.iter()));
                    if !columns.is_empty() {
                        assert_same(&got, &expected.select(columns.iter().copied()).unwrap());
                    }
                }
            }
        }
    }
}

#[test]
fn filters_and_conditions_leave_out_rows_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let properties = groups_of(1000).set_data_page_row_count_limit(100).set_write_batch_size(50);
    write(&path, &counting(0, 5000), properties);
    let source = open(&path, 20_000).unwrap();
    let filter = Keeps { looks_at: vec!["i".into()], is_kept: |i| i >= 2345 && i % 2 == 0 };
    let request = where_(&["s"], "i", Comparison::GtEq, &[2345_i64.into()]);
    let expected: BooleanChunked = (0..5000).map(filter.is_kept).collect();
    let expected = counting(0, 5000).select(["s"]).unwrap().filter(&expected).unwrap();
    assert_same(&kept(&source, &request, &filter), &expected);
}

#[test]
fn filters_look_at_keys_of_directories() {
    let dir = tempfile::tempdir().unwrap();
    for year in [2015, 2016] {
        let path = dir.path().join(format!("i={year}/x.parquet"));
        write(&path, &counting(0, 50).drop("i").unwrap(), groups_of(20));
    }
    let source = open(dir.path(), 1 << 30).unwrap();
    let filter = Keeps { looks_at: vec!["i".into()], is_kept: |i| i == 2016 };
    let got = kept(&source, &request(&["i", "f"]), &filter);
    assert_eq!(got.height(), 50);
    assert!(got.column("i").unwrap().i64().unwrap().iter().all(|year| year == Some(2016)));
    let mut expected = counting(0, 50).select(["f"]).unwrap();
    expected.rechunk_mut();
    assert_same(&got.select(["f"]).unwrap(), &expected);
}
