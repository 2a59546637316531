//! Dataframes through the public interface, compared with polars on one frame.

mod cost;
mod defects;
mod errors;
mod first;
mod oracle;
mod shuffles;
mod tpch;
