//! Whatever polars and others would do on threads of their own is done by those of the configuration.

use std::path::Path;

use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::{DataFrame, SortMultipleOptions};
use dask_rs::frame::{DataFrame as Frame, Interpolation, JoinHow, RankTies, col, len};
use dask_rs::{Config, Result};

use crate::busy::{check_child, others_in};
use crate::child::Case;

const N_ROWS: usize = 60_000;

#[test]
fn nothing_runs_beside_the_threads_of_the_configuration() {
    check_child(module_path!());
}

/// Runs everything, if this process is a child.
#[test]
fn child() {
    let Some(case) = Case::of_this_process() else { return };
    let mut others = Vec::new();
    Config::new().with_threads(1).scope(|| {
        let x = Frame::from_polars(&rows(), 2).persist().unwrap();
        // Sorting starts the threads of polars, whatever they do then.
        x.sort("k", false).compute().unwrap();
        for (name, run) in work() {
            others.extend(others_in(name, || run(&x, &case.dir)));
        }
        // A function of the user may do so, which shows that it would be seen.
        let sorted = x.map_partitions(x.schema().unwrap(), |part, _| {
            let mut sorted = part.clone();
            for _ in 0..20 {
                sorted = part.sort(["s"], SortMultipleOptions::default())?;
            }
            Ok(sorted)
        });
        assert!(!others_in("a function", || done(&sorted)).is_empty());
    });
    assert!(others.is_empty(), "{others:#?}");
    eprintln!("all was run");
}

fn rows() -> DataFrame {
    let k: Vec<i64> = (0..N_ROWS as i64).map(|i| i * 7919 % 50_021).collect();
    let g: Vec<i32> = k.iter().map(|k| (k % 5000) as i32).collect();
    let v: Vec<Option<f64>> = k.iter().map(|k| (k % 11 > 0).then_some(*k as f64 * 0.5)).collect();
    let s: Vec<String> = k.iter().map(|k| format!("text {}", k % 7000)).collect();
    df!["k" => k, "g" => g, "v" => v, "s" => s].unwrap()
}

type Work = fn(&Frame, &Path) -> Result<()>;

fn done(frame: &Frame) -> Result<()> {
    frame.compute().map(drop)
}

fn work() -> Vec<(&'static str, Work)> {
    vec![
        ("sort", |x, _| done(&x.sort("k", true))),
        ("sort by two", |x, _| done(&x.sort(["s", "k"], [true, false]))),
        ("set_index", |x, _| done(&x.set_index("k"))),
        ("set_index of texts", |x, _| done(&x.set_index("s"))),
        ("filter", |x, _| done(&x.filter(col("k").gt(100)))),
        ("top_k", |x, _| done(&x.top_k(20_000, "v"))),
        ("unique", |x, _| done(&x.select([col("g"), col("s")]).unique())),
        ("group by number", |x, _| {
            let aggs = [
                col("v").sum(),
                col("v").mean().alias("mean"),
                col("v").median().alias("median"),
                col("v").quantile(0.3, Interpolation::Linear).alias("quantile"),
                col("v").std(1).alias("std"),
                col("k").n_unique().alias("n"),
                col("s").min().alias("min"),
                col("s").first().alias("first"),
                len(),
            ];
            done(&x.group_by(["g"]).agg(aggs))
        }),
        ("group by text", |x, _| done(&x.group_by(["s", "g"]).agg([col("v").max(), len()]))),
        ("whole column", |x, _| {
            let aggs = [
                col("v").median(),
                col("v").quantile(0.3, Interpolation::Linear).alias("quantile"),
                col("k").n_unique(),
                col("s").n_unique(),
            ];
            done(&x.agg(aggs))
        }),
        ("inner join", |x, _| done(&x.join(x, "k", JoinHow::Inner))),
        ("left join", |x, _| done(&x.join(&x.head(30_000), "k", JoinHow::Left))),
        ("right join", |x, _| done(&x.head(30_000).join(x, "k", JoinHow::Right))),
        ("full join", |x, _| done(&x.join(&x.head(30_000), "k", JoinHow::Full))),
        ("full join by text", |x, _| done(&x.join(&x.unique_by([col("s")]), "s", JoinHow::Full))),
        ("semi join", |x, _| done(&x.join(&x.head(30_000), "s", JoinHow::Semi))),
        ("anti join", |x, _| done(&x.join(&x.head(30_000), "k", JoinHow::Anti))),
        ("cross join", |x, _| done(&x.head(400).cross_join(&x.head(400)))),
        ("rank", |x, _| done(&x.select([col("v").rank(RankTies::Average, false).over(["g"])]))),
        ("rank of all", |x, _| {
            done(&x.repartition(1).with_columns([col("v").rank(RankTies::Dense, true).alias("r")]))
        }),
        ("windows", |x, _| {
            done(&x.with_columns([
                col("v").sum().over(["g"]).alias("sum"),
                col("k").is_unique().alias("unique"),
                col("v").cum_sum(false).alias("cum"),
            ]))
        }),
        ("value counts", |x, _| done(&x.value_counts("s"))),
        ("mode", |x, _| done(&x.mode("g"))),
        ("describe", |x, _| done(&x.describe())),
        ("quantile", |x, _| done(&x.quantile("v", 0.9, Interpolation::Linear))),
        ("unpivot", |x, _| done(&x.unpivot(["k", "v"], ["g"]))),
        ("lists", |x, _| {
            let lists = x.group_by(["g"]).agg([col("k").implode()]);
            done(&lists.with_columns([col("k").list().sort(true)]).explode("k"))
        }),
        ("parquet", |x, dir| {
            x.to_parquet(dir.join("parquet"))?;
            done(&Frame::read_parquet(dir.join("parquet")).filter(col("k").gt(100)))
        }),
        ("csv", |x, dir| {
            x.to_csv(dir.join("csv"))?;
            done(&Frame::read_csv(dir.join("csv")))
        }),
        ("concat", |x, _| done(&Frame::concat([x, x]).repartition(3))),
    ]
}
