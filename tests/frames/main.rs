//! Dataframes through the public interface, compared with polars on one frame.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "../../examples/common/mod.rs"]
mod common;

#[path = "../common/busy.rs"]
mod busy;
#[path = "../common/child.rs"]
mod child;
#[path = "../common/trouble.rs"]
mod trouble;

mod aggregations;
mod arrays;
mod beside;
mod cache;
mod categories;
mod cost;
mod defects;
mod dialect;
mod divisions;
mod errors;
mod faults;
mod first;
mod index_joins;
mod lines;
mod more;
mod oracle;
mod ordered;
mod peak_memory;
mod persisted;
mod rules;
mod series;
mod shuffles;
mod sources;
mod tables;
mod threads;
mod tpch;
