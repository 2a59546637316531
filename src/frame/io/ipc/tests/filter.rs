//! Filters that are asked before other columns are read, and damage in stores.

use polars_core::prelude::BooleanChunked;

use super::super::super::{RowFilter, gathered};
use super::*;

/// Keeps the rows whose `i` is among these.
#[derive(Debug)]
struct Keeps {
    columns: Vec<PlSmallStr>,
    kept: fn(i64) -> bool,
}

impl RowFilter for Keeps {
    fn columns(&self) -> &[PlSmallStr] {
        &self.columns
    }

    fn mask(&self, frame: &DataFrame) -> Result<BooleanChunked> {
        assert_eq!(frame.get_column_names_owned(), self.columns);
        let values = frame.column("i").unwrap().i64().unwrap().into_no_null_iter();
        Ok(values.map(self.kept).collect())
    }
}

fn keeps(kept: fn(i64) -> bool) -> Keeps {
    Keeps { columns: vec!["i".into()], kept }
}

fn rows(n: i64) -> DataFrame {
    let texts = (0..n).map(|i| (i % 5 > 0).then(|| format!("a text of number {i}")));
    df!["i" => (0..n).collect::<Vec<_>>(), "s" => texts.collect::<Vec<_>>(), "f" => (0..n).map(|i| i as f64).collect::<Vec<_>>()]
        .unwrap()
}

#[test]
fn rows_are_those_of_a_filter_behind_the_scan() {
    let dir = tempfile::tempdir().unwrap();
    let all = rows(1000);
    let options = IpcWriteOptions { batch_rows: 100, ..IpcWriteOptions::default() };
    write(&dir.path().join("x"), std::slice::from_ref(&all), &options).unwrap();
    for part_bytes in [1, 10_000, 1 << 20] {
        let source = open(&dir.path().join("x"), part_bytes).unwrap();
        let kept: [fn(i64) -> bool; 4] = [|_| false, |_| true, |i| i % 7 == 0, |i| i / 150 == 2];
        for of in kept {
            let mask: BooleanChunked = (0..1000).map(of).collect();
            for columns in [&["s", "f"][..], &["i"], &["f", "i"], &[]] {
                let (request, filter) = (request(columns), keeps(of));
                let mut n = 0;
                let mut got: Option<DataFrame> = None;
                for part in 0..source.n_parts() {
                    let read = |each: super::super::super::Each<'_>| {
                        source.read_batches(part, &request, Some(&filter), each)
                    };
                    let frame = gathered(read).unwrap();
                    n += frame.height();
                    got = Some(match got {
                        Some(got) if got.width() > 0 => got.vstack(&frame).unwrap(),
                        _ => frame,
                    });
                }
                let expected = all.filter_seq(&mask).unwrap();
                assert_eq!(n, expected.height());
                if !columns.is_empty() {
                    assert_same(&got.unwrap(), &expected.select(columns.iter().copied()).unwrap());
                }
            }
        }
    }
}

#[cfg(feature = "cloud")]
mod stores {
    use super::*;
    use crate::frame::io::damaged::cut_or_flipped;
    use crate::storage::testing::TestStore;

    #[test]
    fn batches_without_wanted_rows_are_not_asked_for() {
        let (store, url) = TestStore::register("ipc-filter");
        let options = IpcWriteOptions { batch_rows: 5000, ..IpcWriteOptions::default() };
        write(url.as_ref(), &[rows(50_000)], &options).unwrap();
        let source = open(url.as_ref(), 1 << 30).unwrap();
        assert_eq!(source.n_parts(), 1);
        let bytes = |kept| {
            store.take_gets();
            let request = request(&["s"]);
            let filter = keeps(kept);
            gathered(|each| source.read_batches(0, &request, Some(&filter), each)).unwrap();
            store.take_gets().iter().map(|range| range.end - range.start).sum::<u64>()
        };
        let (all, few, none) = (bytes(|_| true), bytes(|i| i == 7), bytes(|_| false));
        assert!(none < few && few < all / 2, "{none} {few} {all}");
    }

    /// As files, objects that are damaged are errors that name them.
    #[test]
    fn damaged_objects_are_errors() {
        let (store, url) = TestStore::register("ipc-damage");
        let options = IpcWriteOptions { batch_rows: 100, ..IpcWriteOptions::default() };
        write(url.as_ref(), &[rows(500)], &options).unwrap();
        let key = store.keys().into_iter().find(|key| key.ends_with(".arrow")).unwrap();
        let good = store.object(&key);
        let mut n_errors = 0;
        for i in 0..60 {
            store.replace(&key, cut_or_flipped(&good, i));
            let outcome = open(url.as_ref(), 1 << 20).and_then(|source| {
                (0..source.n_parts())
                    .try_for_each(|part| source.read(part, &request(&["i", "s", "f"])).map(drop))
            });
            if let Err(error) = outcome {
                n_errors += 1;
                assert!(error.to_string().contains(&key), "{error}");
            }
        }
        assert!(n_errors >= 20, "{n_errors}");
    }
}
