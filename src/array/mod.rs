//! Lazy chunked N-d arrays.
//!
//! An [`Array`] is a handle on an expression: nothing is computed until
//! [`compute`](Array::compute), [`persist`](Array::persist) or a writer asks for it.
//!
//! Invariant: the handles are thin; what an operation means stands in `ops/`, and what it
//! is made of in `op.rs`.

mod any;
mod args;
mod block_functions;
mod cached;
mod chunk;
mod chunks;
mod collect;
#[cfg(test)]
mod cost_tests;
mod create;
mod delayed;
mod display;
mod dtype;
mod expr;
pub mod fft;
#[cfg(feature = "netcdf")]
mod file_writes;
mod files;
mod gufunc;
mod handle;
mod io;
pub(crate) mod kernels;
pub mod linalg;
mod lower;
mod meta;
mod op;
mod operators;
mod ops;
pub mod random;
mod rules;
mod show;
mod stacks;
mod writes;
#[cfg(feature = "zarr")]
mod zarr_updates;
#[cfg(feature = "zarr")]
mod zarr_writes;

pub use any::{AnyArray, AnyElement, AnyViewMut};
pub use args::{Axes, AxisRef, Shape};
pub use block_functions::{Arrays, Elements, blockwise, map_blocks};
pub use chunks::{AxisSpec, ChunkSpec, Chunks, SplitEvery};
pub use create::{
    arange, concatenate, empty, eye, from_fn, from_ndarray, from_source, full, full_like, linspace,
    ones, ones_like, stack, where_, zeros, zeros_like,
};
pub use delayed::from_delayed;
pub use dtype::{DType, Element};
pub(crate) use expr::Node;
#[cfg(feature = "zarr")]
pub(crate) use zarr_writes::ZarrWrites;
/// What frames need to become arrays and back.
#[cfg(feature = "frame")]
pub(crate) mod bridge {
    pub(crate) use super::chunk::{Chunk, chunk};
    pub(crate) use super::chunks::AxisChunks;
    pub(crate) use super::expr::Handle;
    pub(crate) use super::kernels::copy::pooled;
    pub(crate) use super::meta::Meta;
    pub(crate) use super::op::{ArrayOp, Bridged};
}
#[cfg(feature = "hdf5")]
pub use file_writes::Hdf5Write;
#[cfg(feature = "netcdf")]
pub use file_writes::NetcdfWrite;
#[cfg(feature = "hdf5")]
pub use files::open_hdf5;
#[cfg(feature = "netcdf")]
pub use files::open_netcdf;
pub use files::{Store, open_npy};
#[cfg(feature = "zarr")]
pub use files::{ZarrWrite, open_zarr};
pub use gufunc::apply_gufunc;
pub use handle::{
    Array, AxisGroups, DynArray, Fractions, Side, TTest, bins, block, broadcast_arrays, diag,
    dstack, histogram2d, histogramdd, hstack, indices, meshgrid, ttest_ind, ttest_rel,
    unify_chunks, vstack,
};
#[cfg(feature = "netcdf")]
pub use io::{Attribute, Dimension, NetcdfFile};
pub use io::{Origin, Source, Stored};
#[cfg(feature = "zarr")]
pub use io::{ZarrCompressor, ZarrFormat};
pub use kernels::map_blocks::BlockInfo;
pub use kernels::quantile::QuantileMethod;
pub use operators::Operand;
pub use ops::grids::Indexing;
pub use ops::indexing::{Index, IndexArg, IndexEntry};
pub use ops::overlap::{Boundaries, Boundary};
pub use ops::pad::{PadMode, Widths};
pub use ops::reductions::{Over, over};
pub use stacks::from_npy_stack;
#[cfg(feature = "image")]
pub use stacks::read_images;

use std::sync::Arc;

use crate::cache::Caching;
use crate::compute::Watch;
use crate::config::Config;
use crate::error::Result;
use crate::graph::{ExpressionId, Lower, import};

/// Plans some arrays together.
pub(crate) fn plan_all(
    nodes: Vec<Arc<Node>>,
    config: &Config,
    caching: Option<&Caching>,
    watch: &mut dyn Watch,
) -> Result<impl Lower + use<>> {
    let roots = nodes.iter().map(ExpressionId::of).collect();
    let mut plan = import(&nodes);
    drop(nodes);
    watch.on_imported(&plan);
    let n_cached = caching.map_or(Ok(0), |caching| cached::use_cache(&mut plan, caching))?;
    let mut trace = rules::optimize(&mut plan, config.optimize())?;
    trace.0.extend((n_cached > 0).then_some(("UseCache", n_cached)));
    if cfg!(debug_assertions) {
        plan.check()?;
    }
    watch.on_optimized(&plan, &trace);
    let (chunk_bytes, memory_limit) = (config.chunk_bytes(), config.memory_limit());
    let options = lower::LowerOptions { chunk_bytes, memory_limit };
    Ok(lower::Planned::new(plan, roots, options))
}
