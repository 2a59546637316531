//! The 22 queries of TPC-H on a hundredth of a gigabyte, against the answers of another engine.

#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../../examples/tpch/answers.rs"]
mod answers;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../../examples/tpch/data.rs"]
mod data;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../../examples/tpch/queries.rs"]
mod queries;

use std::sync::LazyLock;

use answers::Answer;
use dask_rs::Config;
use data::Tables;
use queries::QUERIES;
use tempfile::TempDir;

const SCALE: f64 = 0.01;

/// The tables, made once for all tests.
static DIR: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    Tables::open(dir.path(), SCALE).unwrap();
    dir
});

/// Computes these queries and compares the answers; tables are opened in the scope, which decides how they are cut.
fn check(config: &Config, numbers: impl IntoIterator<Item = usize>) {
    let dir = DIR.path();
    let problems: Vec<String> = config.scope(|| {
        let tables = Tables::open(dir, SCALE).unwrap();
        let wrong = |number: usize| {
            let answer = Answer::known(number, SCALE).unwrap();
            let query = &QUERIES[number - 1];
            let got = (query.build)(&tables).compute().map_err(|error| error.to_string());
            let problem = got.and_then(|got| answer.check(&got)).err()?;
            Some(format!("query {number}, {}: {problem}", query.name))
        };
        numbers.into_iter().filter_map(wrong).collect()
    });
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn answers_are_right() {
    check(&Config::new(), 1..=22);
}

/// Partitions of an eighth of a megabyte, so that joins and groups are shuffles.
#[test]
fn answers_are_right_in_little_memory() {
    let config = Config::new().with_chunk_bytes(128 << 10).with_memory_limit(8 << 20);
    check(&config, 1..=22);
    let n_shuffled = config.scope(|| {
        let tables = Tables::open(DIR.path(), SCALE).unwrap();
        let is_shuffled = |query: &&queries::Query| {
            (query.build)(&tables).explain().unwrap().to_string().contains("barrier")
        };
        QUERIES.iter().filter(is_shuffled).count()
    });
    assert!(n_shuffled >= 15, "only {n_shuffled} queries are shuffled");
}

#[test]
fn answers_are_right_without_the_optimizer() {
    check(&Config::new().with_optimize(false), 1..=22);
}
