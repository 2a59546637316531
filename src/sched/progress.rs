//! A progress bar for each operation.

use std::fmt;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{EventSink, OpTasks, RunSummary};
use crate::error::Error;
use crate::graph::{TaskGraph, TaskId};

/// A bar is moved at most so often, in parts of its length.
const STEPS: u64 = 200;
/// Redraws a second.
const REDRAW_HZ: u8 = 5;

/// Shows on stderr how far each operation is; silent if that is no terminal.
pub(crate) struct Progress {
    bars: Mutex<Option<MultiProgress>>,
    ops: std::sync::OnceLock<Vec<OpBar>>,
    is_terminal: bool,
}

/// The bar of one operation. Tasks are counted without a lock, and few of them move the bar.
struct OpBar {
    bar: ProgressBar,
    n_finished: AtomicU64,
    stride: u64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Progress { bars: Mutex::new(None), ops: std::sync::OnceLock::new(), is_terminal }
    }

    fn op_bars(&self, ops: &[OpTasks]) -> Vec<OpBar> {
        let target = ProgressDrawTarget::stderr_with_hz(REDRAW_HZ);
        let bars = MultiProgress::with_draw_target(target);
        let op_bars = ops.iter().map(|op| {
            let bar = bars.add(ProgressBar::new(op.n_tasks).with_style(style()));
            bar.set_message(op.name.to_string());
            OpBar { bar, n_finished: AtomicU64::new(0), stride: op.n_tasks.div_ceil(STEPS).max(1) }
        });
        let op_bars = op_bars.collect();
        *self.bars.lock().unwrap_or_else(PoisonError::into_inner) = Some(bars);
        op_bars
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg:24!} {bar:40} {pos}/{len} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl EventSink for Progress {
    fn on_run_started(&self, _graph: &TaskGraph, ops: &[OpTasks], _budget_bytes: u64) {
        if self.is_terminal {
            self.ops.get_or_init(|| self.op_bars(ops));
        }
    }

    fn on_task_finished(&self, op: usize, _task: TaskId, _bytes: u64) {
        let Some(op) = self.ops.get().and_then(|ops| ops.get(op)) else { return };
        let n = op.n_finished.fetch_add(1, Ordering::Relaxed) + 1;
        if n.is_multiple_of(op.stride) {
            op.bar.set_position(n);
        }
    }

    fn on_run_ended(&self, summary: &RunSummary, _error: Option<&Error>) {
        for op in self.ops.get().into_iter().flatten() {
            op.bar.set_position(op.n_finished.load(Ordering::Relaxed));
            if summary.is_ok { op.bar.finish() } else { op.bar.abandon() }
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("is_terminal", &self.is_terminal).finish_non_exhaustive()
    }
}
