//! Lazy, partitioned dataframes.
//!
//! A frame is cut into partitions, each a [`polars_core::frame::DataFrame`] of a size that a task can hold.
//! Names and semantics of expressions are those of Polars.
//!
//! ```
//! use dask_rs::frame::{DataFrame, col, lit};
//! use dask_rs::frame::polars_core::df;
//!
//! let trips = df!["vendor" => ["a", "b", "a"], "fare" => [10.0, 5.0, 20.0]]?;
//! let frame = DataFrame::from_polars(&trips, 2);
//! let costly = frame.filter(col("fare").gt(lit(8.0))).compute()?;
//! assert_eq!(costly.height(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod args;
#[cfg(feature = "array")]
mod arrays;
mod cached;
mod collect;
mod create;
#[cfg(test)]
mod declared;
mod delayed;
mod expr;
mod files;
mod handle;
mod interop;
mod io;
mod kept;
mod kernels;
mod layout;
mod lower;
mod op;
mod ops;
mod partition;
mod partitions;
mod rules;
mod series;
mod show;
mod store;

pub use args::{IntoFlags, IntoNames};
#[cfg(feature = "array")]
pub use arrays::ColumnElement;
pub use arrow;
pub use expr::{
    Aggregation, ClosedInterval, DateLikeNameSpace, Expr, ExprName, Interpolation, IntoExprs,
    IntoValues, ListNameSpace, Literal, RankTies, RollingByOptions, RollingOptions,
    StringNameSpace, StructNameSpace, Then, When, all_horizontal, any_horizontal, as_struct,
    coalesce, col, concat_str, corr, cov, len, lit, map_many, max_horizontal, mean_horizontal,
    min_horizontal, null, selectors, sum_horizontal, when,
};
pub use handle::{AsofOptions, DataFrame, GroupBy, GroupByDynamic, IndexOptions, JoinOptions};
pub use io::{
    CsvOptions, CsvWriteOptions, IfExists, IpcCompression, IpcOptions, IpcWriteOptions,
    NdjsonOptions, NdjsonWriteOptions, ParquetCompression, ParquetOptions, ParquetWriteOptions,
};
pub use kernels::asof::AsofStrategy;
pub use kernels::join::JoinHow;
pub use ops::dynamic::WindowLabel;
pub use ops::groups::UniqueKeep;
pub use polars_core;
pub use series::{DateLikeSeries, IntoOperand, ListSeries, Series, StringSeries, StructSeries};

pub(crate) use op::Node;
pub(crate) use store::write_of;

use std::sync::Arc;

use crate::cache::Caching;
use crate::compute::{Collector, Watch};
use crate::config::Config;
use crate::error::Result;
use crate::graph::{Crossings, ExpressionId, LayerGraph, Lower, import};

/// Plans some frames together, of which `collectors` take the first ones.
pub(crate) fn plan_all(
    nodes: Vec<Arc<Node>>,
    collectors: &mut [Arc<dyn Collector>],
    config: &Config,
    caching: Option<&Caching>,
    watch: &mut dyn Watch,
) -> Result<impl Lower + use<>> {
    let roots = nodes.iter().map(ExpressionId::of).collect();
    let mut plan = import(&nodes);
    drop(nodes);
    watch.on_imported(&plan);
    let options = options(config);
    let n_cached = caching
        .map_or(Ok(0), |caching| cached::use_cache(&mut plan, caching, &options, collectors))?;
    let (plan, mut trace) = rules::optimize(plan, config.optimize())?;
    trace.0.extend((n_cached > 0).then_some(("UseCache", n_cached)));
    if cfg!(debug_assertions) {
        plan.check()?;
    }
    watch.on_optimized(&plan, &trace);
    Ok(lower::Planned::new(plan, roots, options))
}

/// Between which keys of a column the partitions of a frame are, as far as its plan knows.
pub(crate) fn known_divisions(
    node: &Arc<Node>,
    column: &str,
    config: &Config,
) -> Result<Option<partitions::Divisions>> {
    let (plan, _) = rules::optimize(import(&[Arc::clone(node)]), config.optimize())?;
    let roots = vec![ExpressionId::of(node)];
    let mut planned = lower::Planned::new(plan, roots, options(config));
    planned.lower(&mut LayerGraph::default(), &mut Crossings::default())?;
    let divided = planned.layout().and_then(|layout| layout.placement.divided_by(column));
    Ok(divided.map(|divided| divided.divisions))
}

/// The part of the memory limit that the pieces of shuffles may fill.
const EXCHANGE_PART: u64 = 4;

/// What lowering takes from the configuration.
fn options(config: &Config) -> lower::LowerOptions {
    lower::LowerOptions {
        part_bytes: config.chunk_bytes(),
        exchange_bytes: config.memory_limit() / EXCHANGE_PART,
        spill_dir: config.spill_directory(),
        prune: config.optimize(),
    }
}
