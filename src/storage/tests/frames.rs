//! Frames in object stores.

use polars_core::df;
use polars_core::prelude::DataFrame as Polars;

use super::*;
use crate::Config;
use crate::frame::{
    CsvOptions, CsvWriteOptions, DataFrame, IfExists, IpcOptions, ParquetWriteOptions, col, lit,
};

fn frame(n: i64) -> Polars {
    df![
        "i" => (0..n).collect::<Vec<_>>(),
        "s" => (0..n).map(|i| format!("text, of \"{i}\"\n")).collect::<Vec<_>>(),
        "k" => (0..n).map(|i| i % 3).collect::<Vec<_>>(),
    ]
    .unwrap()
}

#[track_caller]
fn assert_same(got: &DataFrame, expected: &Polars) {
    let got = got.compute().unwrap();
    assert!(got.equals_missing(expected), "{got:?}\n{expected:?}");
}

#[test]
fn all_formats_go_there_and_back() {
    let (store, url) = TestStore::register("formats");
    let (all, at) = (frame(100), |name: &str| format!("{url}/{name}"));
    let frame = DataFrame::from_polars(&all, 4);
    frame.to_parquet(at("p")).unwrap();
    frame.to_csv(at("c")).unwrap();
    frame.to_csv_with(at("one.csv"), &CsvWriteOptions::default(), true).unwrap();
    frame.to_ndjson(at("n")).unwrap();
    frame.to_ipc(at("a")).unwrap();
    assert_eq!(store.keys().len(), 4 * 4 + 1);
    for path in ["p", "p/*.parquet", "**/*.parquet", "p/part.0000[0-3]*"] {
        assert_same(&DataFrame::read_parquet(at(path)), &all);
    }
    assert_same(&DataFrame::read_csv(at("c")), &all);
    assert_same(&DataFrame::read_csv(at("one.csv")), &all);
    let options = CsvOptions { part_bytes: 300, ..CsvOptions::default() };
    assert_same(&DataFrame::read_csv_with(&[at("one.csv")], &options), &all);
    assert_same(&DataFrame::read_ndjson(at("n/*.ndjson")), &all);
    assert_same(&DataFrame::read_ipc(at("a")), &all);
    assert_same(&DataFrame::read_ipc_with(&[at("a")], &IpcOptions { part_bytes: 1 }), &all);
    let there = frame.to_parquet(at("p")).unwrap_err().to_string();
    assert!(there.contains(&at("p")), "{there}");
    for path in ["q", "p/*.csv", "q/*"] {
        let error = DataFrame::read_parquet(at(path)).compute().unwrap_err().to_string();
        assert!(error.contains(&at(path)) && error.contains("no file fits it"), "{error}");
    }
}

#[test]
fn directories_of_keys_are_appended_to_and_replaced() {
    let (store, url) = TestStore::register("hive");
    let (all, url) = (frame(30), format!("{url}/out"));
    let options = |if_exists| ParquetWriteOptions {
        partition_on: vec!["k".into()],
        if_exists,
        ..ParquetWriteOptions::default()
    };
    let frame = DataFrame::from_polars(&all, 2);
    frame.to_parquet_with(&url, &options(IfExists::Error)).unwrap();
    assert_eq!(store.keys().len(), 6);
    frame.to_parquet_with(&url, &options(IfExists::Append)).unwrap();
    assert_eq!(store.keys().len(), 12);
    // Of two programs that append at a time none replaces files of the other.
    let names: std::collections::HashSet<_> = store
        .keys()
        .iter()
        .filter_map(|key| Some(key.split_once("part.0000")?.1[1..].to_string()))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(store.keys().iter().any(|key| key.contains("part.00003-")));
    let read = DataFrame::read_parquet(&url).filter(col("k").eq(lit(1)));
    assert_eq!(read.len().unwrap(), 20);
    store.take_gets();
    let one = DataFrame::read_parquet(format!("{url}/k=2"));
    assert_eq!(one.len().unwrap(), 20);
    frame.to_parquet_with(&url, &options(IfExists::Overwrite)).unwrap();
    assert_eq!(store.keys().len(), 6);
    assert_eq!(DataFrame::read_parquet(format!("{url}/k=*")).len().unwrap(), 30);
}

#[test]
fn whatever_goes_wrong_while_reading_is_an_error_in_time() {
    let (store, url) = TestStore::register("read-trouble");
    let (all, at) = (frame(50), |name: &str| format!("{url}/{name}"));
    let frame = DataFrame::from_polars(&all, 2);
    frame.to_parquet(at("p")).unwrap();
    frame.to_csv(at("c")).unwrap();
    frame.to_ipc(at("a")).unwrap();
    type Read = fn(String) -> DataFrame;
    let reads: [(&str, Read); 3] = [
        ("p", |url| DataFrame::read_parquet(url)),
        ("c", |url| DataFrame::read_csv(url)),
        ("a", |url| DataFrame::read_ipc(url)),
    ];
    for (name, read) in reads {
        for trouble in [Trouble::Fails, Trouble::IsShort, Trouble::Hangs] {
            for k in 0.. {
                store.set_trouble(Some((k, trouble)));
                let got = read(at(name)).compute();
                let is_over = store.n_requests() <= k;
                store.set_trouble(None);
                match got {
                    // A request that has no bytes can't be short.
                    Ok(got) => assert!(got.equals_missing(&all), "{name} {trouble:?} {k}"),
                    Err(error) => {
                        let text = error.to_string();
                        assert!(text.contains(&at(name)), "{text}");
                        assert!(!text.contains("not a valid"), "{text}");
                    }
                }
                if is_over {
                    break;
                }
            }
        }
    }
}

#[test]
fn whatever_goes_wrong_while_writing_leaves_nothing() {
    let (store, url) = TestStore::register("write-trouble");
    let frame = DataFrame::from_polars(&frame(50), 3);
    let write: [fn(&DataFrame, &str) -> crate::Result<()>; 3] = [
        |frame, url| frame.to_parquet(url),
        |frame, url| frame.to_ndjson(url),
        |frame, url| frame.to_csv_with(url, &CsvWriteOptions::default(), true),
    ];
    for (i, write) in write.into_iter().enumerate() {
        let url = format!("{url}/{i}");
        for k in 0.. {
            store.set_trouble(Some((k, Trouble::Fails)));
            let written = Config::new().with_threads(1).scope(|| write(&frame, &url));
            let n_requests = store.n_requests();
            store.set_trouble(None);
            if n_requests <= k {
                written.unwrap();
                break;
            }
            let error = written.unwrap_err().to_string();
            assert!(error.contains(&url) && error.contains("trouble"), "{error}");
            assert!(!store.keys().iter().any(|key| key.starts_with(&i.to_string())), "{k}");
        }
        assert!(store.keys().iter().any(|key| key.starts_with(&i.to_string())));
    }
}

#[test]
fn frames_are_read_from_web_servers() {
    let all = frame(1000);
    let dir = tempfile::tempdir().unwrap();
    DataFrame::from_polars(&all, 1).to_parquet(dir.path().join("x")).unwrap();
    let bytes = std::fs::read(dir.path().join("x/part.00000.parquet")).unwrap();
    assert_same(&DataFrame::read_parquet(serve(bytes, true)), &all);
}
