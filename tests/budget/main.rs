//! What kernels declare is what they allocate: the budget is worth as much as that is true.
//!
//! A program of its own whose tests take turns, because it counts what all threads allocate.

mod arrays;
#[cfg(feature = "frame")]
mod frames;

use std::sync::{Mutex, MutexGuard, PoisonError};

use dask_rs::bench_support::TaskBytes;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Shapes, indices and strips of a few registers, which nobody declares.
const SMALL_BYTES: u64 = 48 << 10;

/// Waits until no other test of this program allocates.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most bytes that were there at once in a call, beside those before.
fn meter(f: &mut dyn FnMut()) -> u64 {
    let before = ALLOCATOR.current_usage() as u64;
    ALLOCATOR.reset_peak_usage();
    f();
    (ALLOCATOR.peak_usage() as u64).saturating_sub(before)
}

/// A bit more than these, for what is counted roughly.
fn around(bytes: u64) -> u64 {
    bytes + bytes * 15 / 100 + SMALL_BYTES
}

/// Fails with all layers that `problem` has something to say of.
fn check(all: &[(String, TaskBytes)], problem: fn(&TaskBytes) -> Option<&'static str>) {
    let mut wrong = Vec::new();
    for (name, layer) in all {
        let text = format!(
            "{name}: {}: declared {} + {}, put out {}, allocated {}",
            layer.op, layer.declared_output, layer.declared_scratch, layer.output, layer.allocated
        );
        wrong.extend(problem(layer).map(|problem| format!("{text}: {problem}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
