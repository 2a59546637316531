//! What a graph of tasks tells observers.

use std::sync::Arc;

use super::events::{EventSink, OpTasks, RunSummary};
use super::tape::Tape;
use crate::bytes::format_bytes;
use crate::error::{Call, Error};
use crate::graph::{Picture, TaskGraph};
use crate::observe::{LayerInfo, Observer, RunEnded, RunStarted, Source, Span, SpanKind, now_ns};

/// Pictures of more layers are not drawn.
const LAYERS_DRAWN_MAX: usize = 200;

/// Tells the observers of one run.
pub(crate) struct Recorder {
    tape: Arc<Tape>,
    call: Option<Call>,
}

impl Recorder {
    /// Tells `observers`; `None` if there are none.
    pub(crate) fn new(observers: Vec<Arc<dyn Observer>>, call: Option<Call>) -> Option<Self> {
        Some(Recorder { tape: Tape::new(observers)?, call })
    }
}

impl EventSink for Recorder {
    fn wants_spans(&self) -> bool {
        true
    }

    fn on_run_started(&self, graph: &TaskGraph, _ops: &[OpTasks], budget_bytes: u64) {
        let layers = graph.layer_tasks().map(|(id, tasks)| {
            let layer = graph.layers().get(id);
            LayerInfo {
                n_tasks: tasks.len() as u64,
                out_bytes: layer.out_bytes,
                scratch_bytes: layer.scratch_bytes,
                ..LayerInfo::new(&layer.name, &layer.block_text, &layer.grid)
            }
        });
        let layers: Vec<_> = layers.collect();
        let started = RunStarted {
            run: self.tape.run(),
            at_ns: now_ns(),
            call: self.call,
            layers: &layers,
            memory_limit: budget_bytes,
            feed: self.tape.feed(),
            picture: &|| picture(graph),
        };
        self.tape.tell(|observer| observer.on_run_started(&started));
    }

    fn on_span_started(&self, span: &Span) {
        self.tape.begin(span);
    }

    fn on_span(&self, span: &Span) {
        if span.kind == SpanKind::Task {
            self.tape.leave(span);
        }
        self.tape.record(*span);
    }

    fn on_run_ended(&self, summary: &RunSummary, error: Option<&Error>) {
        self.tape.pull();
        let ended = RunEnded {
            run: self.tape.run(),
            at_ns: now_ns(),
            n_finished: summary.n_finished,
            peak_bytes: summary.peak_bytes,
            spilled_bytes: summary.spilled_bytes,
            reread_bytes: summary.reread_bytes,
            error: error.map(ToString::to_string),
        };
        self.tape.tell(|observer| observer.on_run_ended(&ended));
    }
}

fn picture(graph: &TaskGraph) -> Option<String> {
    let layers = graph.layers();
    if layers.layers().len() > LAYERS_DRAWN_MAX {
        return None;
    }
    let n_tasks: Vec<u64> = graph.layer_tasks().map(|(_, tasks)| tasks.len() as u64).collect();
    let outputs: Vec<_> = graph.output_layers().collect();
    Some(Picture::of_layers(layers, &outputs, Some(&n_tasks), format_bytes).to_svg())
}
