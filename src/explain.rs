//! What would run, as text, without running it.

use std::fmt;

use crate::bytes::format_bytes;
use crate::compute::{Collection, Prepared, Session, Watch};
use crate::config::Config;
use crate::error::{Call, Result};
use crate::graph::{
    LayerGraph, LayerTable, TaskGraph, Trace, columns, count_tasks, order, peak_bytes,
};
use crate::keep::free_of;
use crate::sched::{Projection, project};

/// More tasks than this are not ordered to project the peak of memory, nor counted one by one.
const TASKS_EXPANDED_MAX: u64 = 2_000_000;

/// What would run to compute some collections, and what it would cost; printed with `{}`.
///
/// Made by [`explain`] or by the method of that name of a collection. The text says, in this order:
///
/// - **plan**: the operations as they were written, inputs first, each with its inputs, element type,
///   shape, chunks and bytes. What several operations share stands there once.
/// - **rules**: which rewrites changed the plan, and how often.
/// - **optimized plan**: what is left.
/// - **layers**: the kinds of tasks that run, after fusion: what a task does, how many there are, its
///   output block, and the blocks of other layers that the task of block `[i, j, …]` reads.
/// - **totals**: tasks, bytes read from storage, the projected peak of memory, the memory limit, and if the
///   peak is above that, the peak within it, what has to wait on disk, and what is read again instead.
#[derive(Clone)]
pub struct Explain {
    plan: String,
    rules: Trace,
    optimized: String,
    layers: String,
    n_layers_before_fusion: usize,
    n_layers: usize,
    n_tasks_max: u64,
    n_tasks: Option<u64>,
    bytes_read: u64,
    peak_bytes: Option<u64>,
    /// What a run within the memory limit would use, where the peak is above that.
    limited: Option<Projection>,
    memory_limit: u64,
}

/// Explains what computing several collections together would do.
///
/// Nothing is read or computed; the plan is made by the same code as for
/// [`compute`](crate::compute()), so it is what would run.
///
/// # Cost
/// O(operations + layers), whatever the number of chunks, and O(tasks) for the projected peak. Above two
/// million tasks the peak is not projected.
///
/// # Errors
/// The first error that one of the handles carries.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let x: Array<f64> = array::ones([1000, 1000], [250, 250]);
/// let explained = dask_rs::explain((x.mean(0), x.std(0)))?;
/// println!("{explained}");
/// assert!(explained.n_tasks().unwrap() < 100);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn explain<C: Collection>(collections: C) -> Result<Explain> {
    let call = Call::new("explain");
    let mut session = Session::default();
    collections.enlist(&mut session)?;
    let config = Config::current()?;
    let mut stages = Stages::default();
    let prepared = session.prepare(call, &config, &mut stages)?;
    Explain::new(stages, prepared, &config)
}

/// What planning passes through, as text.
#[derive(Default)]
struct Stages {
    plan: String,
    rules: Trace,
    optimized: String,
    n_layers: usize,
}

impl Watch for Stages {
    fn on_imported(&mut self, plan: &dyn fmt::Display) {
        add_plan(&mut self.plan, plan);
    }

    fn on_optimized(&mut self, plan: &dyn fmt::Display, trace: &Trace) {
        add_plan(&mut self.optimized, plan);
        self.rules.0.extend(trace.0.iter().copied());
    }

    fn on_lowered(&mut self, layers: &LayerGraph) {
        self.n_layers = layers.layers().len();
    }
}

/// Arrays and frames have a plan each.
fn add_plan(text: &mut String, plan: &dyn fmt::Display) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&plan.to_string());
}

impl Explain {
    fn new(stages: Stages, prepared: Prepared, config: &Config) -> Result<Explain> {
        let layers = prepared.layers.layers();
        let n_tasks_max = layers.iter().fold(0, |n, layer| layer.n_blocks().saturating_add(n));
        let counts = count_tasks(&prepared.layers, &prepared.outputs, TASKS_EXPANDED_MAX);
        let n_tasks =
            counts.as_ref().map(|counts| counts.iter().fold(0, |n, m| m.saturating_add(n)));
        let table =
            LayerTable { layers: &prepared.layers, n_tasks: counts.as_deref(), format_bytes };
        let mut explain = Explain {
            plan: stages.plan,
            rules: stages.rules,
            optimized: stages.optimized,
            layers: table.to_string(),
            n_layers_before_fusion: stages.n_layers,
            n_layers: layers.len(),
            n_tasks_max,
            n_tasks,
            bytes_read: bytes_read(&prepared.layers, counts.as_deref()),
            peak_bytes: None,
            limited: None,
            memory_limit: config.memory_limit(),
        };
        if n_tasks.is_some_and(|n| n <= TASKS_EXPANDED_MAX) {
            let graph = TaskGraph::expand(prepared.layers, &prepared.outputs)?;
            let ranks = order(&graph);
            explain.peak_bytes = Some(peak_bytes(&graph, &ranks));
            let reserved = graph.layers().reserved_bytes();
            let budget = free_of(config.memory_limit()).saturating_sub(reserved);
            if explain.peak_bytes.is_some_and(|peak| peak > budget) {
                explain.limited = Some(project(&graph, &ranks, budget));
            }
        }
        Ok(explain)
    }

    /// How many layers of tasks would run.
    #[must_use]
    pub fn n_layers(&self) -> usize {
        self.n_layers
    }

    /// How many tasks would run; `None` if that takes too long to find out.
    #[must_use]
    pub fn n_tasks(&self) -> Option<u64> {
        self.n_tasks
    }

    /// The bytes that would be read from storage, at most.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The most bytes of blocks that would be held at once if tasks ran one by one in their order; more
    /// threads hold more, up to the memory limit. `None` above two million tasks.
    #[must_use]
    pub fn peak_bytes(&self) -> Option<u64> {
        self.peak_bytes
    }

    /// The bytes of blocks that would be written to disk and read back, because memory is full, if tasks ran
    /// one by one in their order; more threads may write more. `None` above two million tasks.
    #[must_use]
    pub fn spilled_bytes(&self) -> Option<u64> {
        self.peak_bytes?;
        Some(self.limited.map_or(0, |limited| limited.spilled_bytes))
    }

    /// The bytes of blocks that would be dropped and read again from storage, because memory is full, if tasks
    /// ran one by one in their order. They come on top of [`bytes_read`](Self::bytes_read).
    #[must_use]
    pub fn reread_bytes(&self) -> Option<u64> {
        self.peak_bytes?;
        Some(self.limited.map_or(0, |limited| limited.reread_bytes))
    }

    /// The memory limit of the configuration.
    #[must_use]
    pub fn memory_limit(&self) -> u64 {
        self.memory_limit
    }

    fn rules_text(&self) -> String {
        let fired: Vec<_> = self.rules.0.iter().map(|(rule, n)| format!("{rule} ×{n}")).collect();
        if fired.is_empty() { "none".to_owned() } else { fired.join(", ") }
    }

    fn totals_text(&self) -> String {
        let tasks = match self.n_tasks {
            Some(n) => n.to_string(),
            None => format!("at most {}", self.n_tasks_max),
        };
        let peak = match self.peak_bytes {
            Some(bytes) => format!("{}, one task at a time", format_bytes(bytes)),
            None => format!("not computed for more than {TASKS_EXPANDED_MAX} tasks"),
        };
        let mut rows = vec![
            ("tasks", tasks),
            ("read", format_bytes(self.bytes_read)),
            ("projected peak", peak),
            ("memory limit", format_bytes(self.memory_limit)),
        ];
        if let Some(Projection { peak_bytes, spilled_bytes, reread_bytes }) = self.limited {
            rows.push(("peak within it", format_bytes(peak_bytes)));
            rows.push(("waits on disk", format_bytes(spilled_bytes)));
            rows.push(("read again", format_bytes(reread_bytes)));
        }
        let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
        columns(&rows.collect::<Vec<_>>())
    }
}

/// What the layers get from storage: all of it, or what the tasks that are needed take at most.
fn bytes_read(layers: &LayerGraph, n_tasks: Option<&[u64]>) -> u64 {
    let of_layer = |(i, layer): (usize, &crate::graph::Layer)| {
        let read = layer.kernel.bytes_read();
        let n = n_tasks.map_or(u64::MAX, |counts| counts[i]);
        read.all.min(read.task_max.saturating_mul(n))
    };
    layers.layers().iter().enumerate().map(of_layer).fold(0, u64::saturating_add)
}

impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        section(f, "plan", &self.plan)?;
        writeln!(f, "rules: {}\n", self.rules_text())?;
        if self.optimized == self.plan {
            writeln!(f, "optimized plan: the same\n")?;
        } else {
            section(f, "optimized plan", &self.optimized)?;
        }
        let (n, before) = (self.n_layers, self.n_layers_before_fusion);
        section(f, &format!("layers: {n}, before fusion {before}"), &self.layers)?;
        let totals = self.totals_text();
        f.write_str("totals\n")?;
        indented(f, totals.trim_end())
    }
}

impl fmt::Debug for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, text: &str) -> fmt::Result {
    writeln!(f, "{title}")?;
    indented(f, text)?;
    f.write_str("\n\n")
}

fn indented(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for (i, line) in text.lines().enumerate() {
        write!(f, "{}  {line}", if i == 0 { "" } else { "\n" })?;
    }
    Ok(())
}
