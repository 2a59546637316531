//! Spans of the `tracing` crate.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use dask_rs::ExecutorKind;
use dask_rs::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::named;

/// A span: its name, its parent, its fields, and how often it was entered.
#[derive(Debug)]
struct Seen {
    name: &'static str,
    parent: Option<u64>,
    fields: String,
    n_entered: u32,
}

/// Keeps all spans of the crate.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Seen>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?};").unwrap();
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("dask_rs")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(String::new());
        span.record(&mut fields);
        let parent = span.parent().map(Id::into_u64);
        let name = span.metadata().name();
        let mut all = self.0.lock().unwrap();
        all.push(Seen { name, parent, fields: fields.0, n_entered: 0 });
        Id::from_u64(all.len() as u64)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, _event: &Event<'_>) {}

    fn enter(&self, span: &Id) {
        self.0.lock().unwrap()[span.into_u64() as usize - 1].n_entered += 1;
    }

    fn exit(&self, _span: &Id) {}
}

#[test]
fn each_task_is_a_span_below_its_run() {
    let spans = Spans::default();
    // A subscriber is that of one thread.
    let config = Config::new().with_executor(ExecutorKind::Serial);
    let x = named("the moon");
    // The kinds of spans are known before the subscriber is: a test that met one first in the same moment would silence it.
    config.scope(|| x.compute()).unwrap();
    tracing::subscriber::with_default(spans.clone(), || config.scope(|| x.compute())).unwrap();
    let seen = spans.0.lock().unwrap();
    let (run, tasks) = seen.split_first().unwrap();
    assert_eq!((run.name, run.fields.as_str()), ("run", "tasks=2;"));
    let mut fields: Vec<_> = tasks.iter().map(|task| task.fields.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["op=\"read the moon\";block=[0];", "op=\"read the moon\";block=[1];"]);
    assert!(
        tasks.iter().all(|task| (task.name, task.parent, task.n_entered) == ("task", Some(1), 1))
    );
}
