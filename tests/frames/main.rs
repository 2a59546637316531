//! Dataframes through the public interface, compared with polars on one frame.

mod first;
mod ordered;
mod shuffles;
mod tables;
mod tpch;
