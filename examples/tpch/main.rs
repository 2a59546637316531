//! The 22 queries of TPC-H, with their times, and whether their answers are right.
//!
//! ```text
//! cargo run --release --features frame --example tpch -- [--scale 1] [--query 5] [--data DIR] [--explain]
//!                                                        [--memory-limit "4 GiB"] [--chunk-bytes "128 MiB"]
//! ```
//!
//! Tables are made by the crate `tpchgen` at the first run, and kept as Parquet files in DIR. Answers are known for
//! the scales 1 and 0.01. `--explain` prints what would run instead.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod data;
mod queries;

use std::path::PathBuf;
use std::time::Instant;

use answers::Answer;
use common::{Failure, Options, PeakMemory, mib};
use dask_rs::Config;
use data::Tables;
use queries::QUERIES;

/// Columns are allocated and freed all the time; with glibc's own allocator each of them is new pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: tpch [--scale NUMBER] [--query NUMBER] [--data DIR] [--explain] \
                     [--memory-limit BYTES] [--chunk-bytes BYTES]";

struct Settings {
    scale: f64,
    query: Option<usize>,
    data: PathBuf,
    explain: bool,
    config: Config,
}

impl Settings {
    fn from_args() -> Result<Self, Failure> {
        let mut options = Options::from_args();
        let scale = options.take_factor("--scale", 1.0)?;
        let query = options.take("--query")?.map(|text| query_number(&text)).transpose()?;
        let data = options.take("--data")?.map(PathBuf::from);
        let data =
            data.unwrap_or_else(|| std::env::temp_dir().join(format!("dask-rs-tpch-{scale}")));
        let explain = options.take_flag("--explain");
        let mut config = Config::new();
        match options.take_bytes("--memory-limit", 0)? {
            0 => {}
            bytes => config = config.with_memory_limit(bytes),
        }
        match options.take_bytes("--chunk-bytes", 0)? {
            0 => {}
            bytes => config = config.with_chunk_bytes(bytes),
        }
        match options.finish(USAGE)? {
            Some(word) => Err(format!("{word}?\n{USAGE}").into()),
            None => Ok(Settings { scale, query, data, explain, config }),
        }
    }
}

fn query_number(text: &str) -> Result<usize, Failure> {
    match text.trim_start_matches('q').parse() {
        Ok(number) if (1..=QUERIES.len()).contains(&number) => Ok(number),
        _ => Err(format!("--query {text}: expected a number from 1 to {}", QUERIES.len()).into()),
    }
}

fn main() -> Result<(), Failure> {
    let settings = Settings::from_args()?;
    settings.config.scope(|| run(&settings))
}

fn run(settings: &Settings) -> Result<(), Failure> {
    let start = Instant::now();
    let tables = Tables::open(&settings.data, settings.scale)?;
    println!(
        "TPC-H at scale {} in {}, opened in {:.2} s",
        settings.scale,
        settings.data.display(),
        start.elapsed().as_secs_f64()
    );
    let memory = PeakMemory::start();
    let mut seconds = 0.0;
    let mut n_wrong = 0;
    for number in 1..=QUERIES.len() {
        if settings.query.is_some_and(|query| query != number) {
            continue;
        }
        let query = &QUERIES[number - 1];
        println!("\nquery {number}, {}", query.name);
        let frame = (query.build)(&tables);
        if settings.explain {
            println!("{}", frame.explain()?);
            continue;
        }
        memory.forget();
        let start = Instant::now();
        let out = frame.compute()?;
        let elapsed = start.elapsed().as_secs_f64();
        seconds += elapsed;
        let verdict = match Answer::known(number, settings.scale).map(|known| known.check(&out)) {
            None => "not known at this scale".into(),
            Some(Ok(())) => "right".into(),
            Some(Err(problem)) => {
                n_wrong += 1;
                format!("WRONG: {problem}")
            }
        };
        let peak = memory.bytes().map_or_else(String::new, |bytes| format!(", {}", mib(bytes)));
        println!("{elapsed:.3} s{peak}, {} rows, answer: {verdict}", out.height());
        println!("{}", out.head(Some(5)));
    }
    if !settings.explain && settings.query.is_none() {
        println!("\nall queries: {seconds:.2} s, {n_wrong} wrong");
    }
    match n_wrong {
        0 => Ok(()),
        n => Err(format!("{n} wrong answers").into()),
    }
}
