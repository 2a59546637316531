//! What observers are told of the tasks of a client.

use std::sync::{Arc, Mutex};

use dask_rs::Client;
use dask_rs::diagnostics::{LayerInfo, Observer, Profile, RunEnded, RunId, RunStarted, Span};
use dask_rs::prelude::*;

/// What a client told, of which only names matter.
#[derive(Default)]
struct OfClient {
    runs: Mutex<Vec<(RunId, &'static str)>>,
    layers: Mutex<Vec<(String, u64)>>,
    spans: Mutex<Vec<Span>>,
}

impl OfClient {
    /// Waits until so many runs have begun or ended, and a client last: its last loop may still be about to let go of it.
    fn wait_for_end(&self, n: usize) {
        let has_ended = || {
            let runs = self.runs.lock().unwrap();
            runs.len() >= n && runs.last().is_some_and(|(_, what)| *what == "end")
        };
        while !has_ended() {
            std::thread::yield_now();
        }
    }
}

impl Observer for OfClient {
    fn on_run_started(&self, run: &RunStarted<'_>) {
        self.runs.lock().unwrap().push((run.run, run.call.map_or("?", |call| call.op)));
    }

    fn on_tasks_added(&self, _run: RunId, layers: &[LayerInfo]) {
        let names = layers.iter().map(|layer| (layer.op.to_string(), layer.n_tasks));
        *self.layers.lock().unwrap() = names.collect();
    }

    fn on_spans(&self, run: RunId, spans: &[Span]) {
        if self.runs.lock().unwrap()[0].0 == run {
            self.spans.lock().unwrap().extend(spans);
        }
    }

    fn on_run_ended(&self, run: &RunEnded) {
        self.runs.lock().unwrap().push((run.run, "end"));
    }
}

#[test]
fn a_client_is_one_run_whose_tasks_come_while_it_lives() {
    let told = Arc::new(OfClient::default());
    let client = Config::new()
        .with_observer(Arc::clone(&told) as Arc<dyn Observer>)
        .scope(|| Client::builder().threads(2).build());
    let client = client.unwrap();
    let squares = client.task().name("square").map(|n: &u64| n * n, 0..300_u64);
    let fails = client.task().name("fail").try_submit(|| Err::<(), _>("no"), ());
    assert_eq!(client.gather(&squares).unwrap().iter().sum::<u64>(), 299 * 300 * 599 / 6);
    fails.result().unwrap_err();
    let inside = client.compute(array::arange(0.0, 3000.0, 1.0, 1).sum(..)).result().unwrap();
    assert_eq!(inside, array::arange(0.0, 3000.0, 1.0, 1).sum(..).compute().unwrap());
    drop((client, squares, fails));
    told.wait_for_end(4);
    let runs = told.runs.lock().unwrap();
    assert_eq!((runs[0].1, runs.len()), ("Client", 4), "a computation inside is a run of its own");
    assert_eq!(runs[3].0, runs[0].0);
    let layers = told.layers.lock().unwrap();
    let expected = [("square", 300), ("fail", 1), ("compute", 1)];
    assert_eq!(*layers, expected.map(|(name, n)| (name.to_string(), n)));
    let spans = told.spans.lock().unwrap();
    let of = |layer| spans.iter().filter(move |span| span.layer == layer);
    assert_eq!([of(0).count(), of(1).count(), of(2).count()], [300, 1, 1]);
    assert!(of(0).chain(of(2)).all(|span| span.is_ok && span.start_ns <= span.end_ns));
    assert!(of(1).all(|span| !span.is_ok));
}

#[test]
fn names_beyond_the_first_ones_are_counted_together() {
    let told = Arc::new(OfClient::default());
    let config = Config::new().with_observer(Arc::clone(&told) as Arc<dyn Observer>);
    config.scope(|| {
        let client = Client::new().unwrap();
        let named = |n: u32| client.task().name(&format!("task {n}")).submit(|n: &u32| *n, (n,));
        // The first and the last again, which have a name and none.
        let all: Vec<_> = (0..600).chain([0, 599]).map(named).collect();
        client.gather(&all).unwrap();
    });
    told.wait_for_end(2);
    let layers = told.layers.lock().unwrap();
    assert_eq!(layers.len(), 500);
    let expected = [("task 0", 2), ("task 498", 1), ("other tasks", 102)];
    let seen = [0, 498, 499].map(|i: usize| (layers[i].0.as_str(), layers[i].1));
    assert_eq!(seen, expected);
    assert_eq!(told.spans.lock().unwrap().iter().filter(|span| span.layer == 499).count(), 102);
}

#[test]
fn a_profile_counts_the_tasks_of_a_client() {
    let profile = Profile::new();
    profile.scope(|| {
        let client = Client::new().unwrap();
        client.gather(&client.task().name("double").map(|n: &i32| 2 * n, 0..50)).unwrap();
    });
    let operations = profile.operations();
    let double = operations.iter().find(|totals| &*totals.op == "double").unwrap();
    assert_eq!((double.n_tasks, double.n_finished, double.n_failed), (50, 50, 0));
}
