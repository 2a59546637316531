//! Tables: db-benchmark's group-by and joins of 10⁷ rows, files, and TPC-H.

use std::path::{Path, PathBuf};

use dask_rs::frame::polars_core::prelude::{DataFrame as PolarsFrame, DataType};
use dask_rs::frame::{DataFrame, Expr, JoinHow, col, len};

use super::common::Failure;
use super::data::Tables;
use super::queries::QUERIES;
use super::{Check, LaterRun, Run, Workload};

pub(crate) fn workloads() -> Vec<Workload> {
    let mut all: Vec<Workload> = GROUP_BY
        .iter()
        .map(|(name, build)| {
            Workload::later(*name, |data| in_memory(data, &["g1"], |t| build(&t[0])))
        })
        .collect();
    all.extend(JOINS.iter().map(|(name, key, right, how)| {
        let tables = ["j1_x", right];
        Workload::later(*name, move |data| {
            in_memory(data, &tables, |t| t[0].join(&t[1], [*key], *how))
        })
    }));
    all.extend([
        Workload::new("set_index_write", set_index_write),
        Workload::later("scan_filter_sum", |data| on_files(data, scan_filter_sum)),
        Workload::later("csv_sum", |data| on_files(data, csv_sum)),
        Workload::later("csv_read", |data| on_files(data, csv)),
        Workload::later("value_counts_str", |data| {
            in_memory(data, &["g1"], |t| t[0].value_counts("id3"))
        }),
    ]);
    all.extend(QUERIES.iter().enumerate().map(|(i, query)| {
        Workload::later(format!("tpch_q{:02}", i + 1), move |data| {
            let tables = Tables::open(&data.join("tpch"), 1.0)?;
            Ok(timed(move || (query.build)(&tables)))
        })
    }));
    all
}

type Question = fn(&DataFrame) -> DataFrame;

const GROUP_BY: [(&str, Question); 9] = [
    ("g1_q01", |t| t.group_by(["id1"]).agg([col("v1").sum()])),
    ("g1_q02", |t| t.group_by(["id1", "id2"]).agg([col("v1").sum()])),
    ("g1_q03", |t| t.group_by(["id3"]).agg([col("v1").sum(), col("v3").mean()])),
    ("g1_q04", |t| t.group_by(["id4"]).agg(["v1", "v2", "v3"].map(|v| col(v).mean()))),
    ("g1_q05", |t| t.group_by(["id6"]).agg(["v1", "v2", "v3"].map(|v| col(v).sum()))),
    ("g1_q06", |t| {
        let aggs = [col("v3").median().alias("median_v3"), col("v3").std(1).alias("sd_v3")];
        t.group_by(["id4", "id5"]).agg(aggs)
    }),
    ("g1_q07", |t| t.group_by(["id3"]).agg([(col("v1").max() - col("v2").min()).alias("range")])),
    ("g1_q09", |t| t.group_by(["id2", "id4"]).agg([squared_correlation("v1", "v2")])),
    ("g1_q10", |t| {
        t.group_by(["id1", "id2", "id3", "id4", "id5", "id6"]).agg([col("v3").sum(), len()])
    }),
];

const JOINS: [(&str, &str, &str, JoinHow); 5] = [
    ("j1_q1_small_inner_int", "id1", "j1_small", JoinHow::Inner),
    ("j1_q2_medium_inner_int", "id2", "j1_medium", JoinHow::Inner),
    ("j1_q3_medium_left_int", "id2", "j1_medium", JoinHow::Left),
    ("j1_q4_medium_inner_str", "id5", "j1_medium", JoinHow::Inner),
    ("j1_q5_big_inner_int", "id3", "j1_big", JoinHow::Inner),
];

/// Pearson's r², from sums.
fn squared_correlation(x: &str, y: &str) -> Expr {
    let n = || len().cast(DataType::Float64);
    let covariance = |x: &str, y: &str| {
        (col(x) * col(y)).sum().cast(DataType::Float64) * n()
            - col(x).sum().cast(DataType::Float64) * col(y).sum().cast(DataType::Float64)
    };
    let r = covariance(x, y) * covariance(x, y) / (covariance(x, x) * covariance(y, y));
    r.alias("r2")
}

/// Times `build` of tables that are in memory.
fn in_memory(
    data: &Path,
    tables: &[&str],
    build: impl Fn(&[DataFrame]) -> DataFrame + 'static,
) -> Result<LaterRun, Failure> {
    let read = |name: &&str| DataFrame::read_parquet(data.join(name)).persist();
    let tables = tables.iter().map(read).collect::<dask_rs::Result<Vec<_>>>()?;
    Ok(timed(move || build(&tables)))
}

/// Times `build`, which reads.
fn on_files(
    data: &Path,
    build: impl Fn(&Path) -> DataFrame + 'static,
) -> Result<LaterRun, Failure> {
    let data = data.to_path_buf();
    Ok(timed(move || build(&data)))
}

/// Times the computation; what it found is looked at after the clock has stopped.
fn timed(build: impl Fn() -> DataFrame + 'static) -> LaterRun {
    Box::new(move || {
        let found = build().compute()?;
        Ok(Box::new(move || check(&found)))
    })
}

/// 2·10⁷ unsorted rows, sorted by a column and written.
fn set_index_write(data: &Path) -> Result<Run, Failure> {
    let (from, to): (PathBuf, PathBuf) = (data.join("sort"), data.join("out-dask-rs"));
    Ok(Box::new(move || {
        if to.exists() {
            std::fs::remove_dir_all(&to)?;
        }
        DataFrame::read_parquet(&from).set_index("key").to_parquet(&to)?;
        let first = DataFrame::read_parquet(&to).head(1000).agg([col("key").sum()]);
        let total = DataFrame::read_parquet(&to).agg([len()]);
        Ok([check(&first.compute()?)?, check(&total.compute()?)?].concat())
    }))
}

fn scan_filter_sum(data: &Path) -> DataFrame {
    let few = col("id4").lt_eq(10).and(col("v2").gt(5));
    let sums = [col("v3").sum(), col("v1").sum(), len()];
    DataFrame::read_parquet(data.join("g1")).filter(few).agg(sums)
}

fn csv(data: &Path) -> DataFrame {
    DataFrame::read_csv(data.join("g1.csv"))
}

fn csv_sum(data: &Path) -> DataFrame {
    csv(data).agg(["v1", "v2", "v3"].map(|v| col(v).sum()))
}

/// The rows, and the sum of all numbers.
fn check(frame: &PolarsFrame) -> Result<Check, Failure> {
    let mut sum = 0.0;
    for column in frame.columns().iter().filter(|column| column.dtype().is_primitive_numeric()) {
        let floats = column.cast(&DataType::Float64)?;
        sum += floats.f64()?.iter().flatten().filter(|x| x.is_finite()).sum::<f64>();
    }
    Ok(vec![frame.height() as f64, sum])
}
