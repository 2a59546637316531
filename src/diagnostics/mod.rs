//! What runs do, while they do it: profiles, reports, traces, and observers of your own.
//!
//! | To get | use |
//! |---|---|
//! | a table of operations, with times and bytes | [`Profile`], printed |
//! | a report in one HTML file that survives a crash | [`profile`], [`Profile::start`] |
//! | each task, for Perfetto or Chrome | [`Trace`] |
//! | a page in the browser while things run | `Dashboard` (feature `diagnostics`) |
//! | spans for the `tracing` crate | feature `tracing`: `run` and `task`, at trace level, with `op` and `block` |
//! | bars on a terminal | [`Config::with_progress`](crate::Config::with_progress) |
//! | the events themselves | an [`Observer`], for a scope by [`Config::with_observer`](crate::Config::with_observer), or for all by [`watch_all`] |
//!
//! Everything here is one stream of events with several readers. Where nobody reads, no clock is looked at. Otherwise a task costs
//! two looks at the clock and a place in a queue without a lock; tasks are told in batches.
//!
//! All times are nanoseconds on one clock of the process, so that runs lie side by side.

mod book;
#[cfg(feature = "diagnostics")]
mod dashboard;
mod delta;
mod json;
mod memory_log;
mod page;
mod profile;
mod report;
mod stream;
mod table;
mod trace;

pub use book::{Lane, OperationTotals, RunTotals};
#[cfg(feature = "diagnostics")]
pub use dashboard::Dashboard;
pub use memory_log::MemorySample;
pub use profile::{Profile, profile};
pub use stream::Bar;
pub use trace::Trace;

pub use crate::observe::{
    Feed, LayerInfo, Observer, RunEnded, RunId, RunStarted, Running, Span, SpanKind, Thread, Watch,
    watch_all,
};
