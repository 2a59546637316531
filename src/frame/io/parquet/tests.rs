//! Tests of Parquet files as a source and a sink of frames.
