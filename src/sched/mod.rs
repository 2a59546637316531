//! Scheduling: runs a task graph on threads, inside a byte budget.
//!
//! The decisions are a state machine without threads, clock or I/O ([`state`]); executors are thin
//! shells around it. The README of this folder has the protocol.
//!
//! Invariant: this folder knows neither arrays nor frames.

mod budget;
mod events;
mod executor;
pub(crate) mod job;
mod progress;
mod project;
mod recorder;
mod runtime;
mod serial;
mod shell;
mod spill;
pub(crate) mod state;
mod sync;
pub(crate) mod tape;
mod threaded;
mod traced;

#[cfg(test)]
mod tests;

pub(crate) use budget::{check_budget, largest_task};
pub(crate) use events::{EventSink, NoEvents, OpTasks, RunSummary};
pub(crate) use executor::{Executor, Run, Sink};
pub(crate) use progress::Progress;
pub(crate) use project::{Projection, project};
pub(crate) use runtime::{Runtime, spill_options, thread_pool};
pub(crate) use serial::{Seeded, Serial, state_bytes};
pub(crate) use threaded::Threaded;
