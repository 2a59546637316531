//! Who is told what, and that nobody can spoil a run.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dask_rs::Client;
use dask_rs::diagnostics::{
    Feed, LayerInfo, Observer, Profile, RunEnded, RunId, RunStarted, Running, Span, SpanKind,
    watch_all,
};
use dask_rs::prelude::*;

use super::{executors, waves};

fn watched<O: Observer + 'static>(config: &Config, observer: &Arc<O>) -> Config {
    let observer: Arc<O> = Arc::clone(observer);
    config.clone().with_observer(observer)
}

/// Keeps everything.
#[derive(Default)]
struct Everything(Mutex<Vec<Told>>);

enum Told {
    Started(RunId, Vec<(Arc<str>, u64)>),
    Spans(RunId, Vec<(Span, Vec<u64>)>),
    Ended(RunEnded),
}

#[derive(Default)]
struct Kept {
    told: Everything,
    layers: Mutex<Vec<LayerInfo>>,
}

impl Observer for Kept {
    fn on_run_started(&self, run: &RunStarted<'_>) {
        assert!(run.picture().unwrap().starts_with("<svg"));
        *self.layers.lock().unwrap() = run.layers.to_vec();
        let layers =
            run.layers.iter().map(|layer| (Arc::clone(&layer.op), layer.n_tasks)).collect();
        self.told.0.lock().unwrap().push(Told::Started(run.run, layers));
    }

    fn on_spans(&self, run: RunId, spans: &[Span]) {
        let layers = self.layers.lock().unwrap();
        let block = |span: &Span| layers[span.layer as usize].block_index(span.block);
        let spans = spans.iter().map(|span| (*span, block(span))).collect();
        self.told.0.lock().unwrap().push(Told::Spans(run, spans));
    }

    fn on_run_ended(&self, run: &RunEnded) {
        self.told.0.lock().unwrap().push(Told::Ended(run.clone()));
    }
}

#[test]
fn a_run_is_told_from_its_beginning_to_its_end() {
    let x: Array<f64> = array::ones([4, 600], [2, 1]);
    let only = x.map_blocks(|block, _| block.to_owned()).slice(s![.., 3..500]);
    for config in executors() {
        let kept = Arc::new(Kept::default());
        watched(&config, &kept).scope(|| only.compute()).unwrap();
        let told = std::mem::take(&mut *kept.told.0.lock().unwrap());
        let Some(Told::Started(run, layers)) = told.first() else { panic!("a beginning") };
        let Some(Told::Ended(end)) = told.last() else { panic!("an end") };
        assert_eq!((end.run, end.error.as_deref()), (*run, None));
        let mut seen = Vec::new();
        for told in &told[1..told.len() - 1] {
            let Told::Spans(of, spans) = told else { panic!("one beginning and one end") };
            assert_eq!(of, run);
            seen.extend(spans.iter().cloned());
        }
        let n_tasks: u64 = layers.iter().map(|(_, n)| n).sum();
        assert_eq!((seen.len() as u64, end.n_finished), (n_tasks, n_tasks));
        assert!(seen.iter().all(|(span, _)| span.kind == SpanKind::Task && span.is_ok));
        assert!(
            seen.iter().all(|(span, _)| span.start_ns <= span.end_ns && span.end_ns <= end.at_ns)
        );
        assert!(
            seen.iter()
                .all(|(span, _)| 0 < span.memory_bytes && span.memory_bytes <= end.peak_bytes)
        );
        // Each block that is needed, under the index that it has in its layer: in the whole array, or in the slice.
        let grid = |columns: Range<u64>| -> Vec<_> {
            (0..2).flat_map(|i| columns.clone().map(move |j| vec![i, j])).collect()
        };
        let (in_array, in_slice) = (grid(3..500), grid(0..497));
        let of_array = (0..layers.len()).filter(|i| layers[*i].1 == 994);
        let of_array: Vec<_> = of_array.map(|i| i as u32).collect();
        let mut n_in_array = 0;
        for layer in of_array {
            let of_layer = seen.iter().filter(|(span, _)| span.layer == layer);
            let mut blocks: Vec<_> = of_layer.map(|(_, block)| block.clone()).collect();
            blocks.sort();
            n_in_array += u32::from(blocks == in_array);
            assert!(blocks == in_array || blocks == in_slice, "{blocks:?}");
        }
        assert!(n_in_array > 0, "{layers:?}");
    }
}

/// Counts tasks, and fails at a certain call.
struct Fails {
    at: &'static str,
    n_spans: AtomicU64,
}

impl Observer for Fails {
    fn on_run_started(&self, _run: &RunStarted<'_>) {
        assert_ne!(self.at, "start");
    }

    fn on_spans(&self, _run: RunId, spans: &[Span]) {
        self.n_spans.fetch_add(spans.len() as u64, Ordering::Relaxed);
        assert_ne!(self.at, "spans");
    }

    fn on_run_ended(&self, _run: &RunEnded) {
        assert_ne!(self.at, "end");
    }
}

fn fails(at: &'static str) -> Arc<Fails> {
    Arc::new(Fails { at, n_spans: AtomicU64::new(0) })
}

#[test]
fn an_observer_that_panics_is_left_out_and_the_run_goes_on() {
    let x = waves(3000, 1);
    let expected = x.sum(..).compute().unwrap();
    for config in executors() {
        for at in ["start", "spans", "end"] {
            let (broken, well) = (fails(at), fails("never"));
            let config = watched(&watched(&config, &broken), &well);
            assert_eq!(config.scope(|| x.sum(..).compute()).unwrap(), expected);
            let n_tasks = dask_rs::explain(x.sum(..)).unwrap().n_tasks().unwrap();
            assert_eq!(well.n_spans.load(Ordering::Relaxed), n_tasks);
            assert!(at == "end" || broken.n_spans.load(Ordering::Relaxed) < n_tasks);
        }
    }
}

#[test]
fn scopes_add_observers_and_a_watch_ends() {
    let x = waves(10, 1);
    let n_tasks = dask_rs::explain(&x).unwrap().n_tasks().unwrap();
    let [outer, inner, all] = [fails(""), fails(""), fails("")];
    let seen = |observer: &Fails| observer.n_spans.load(Ordering::Relaxed);
    let watch = watch_all(Arc::<Fails>::clone(&all));
    watched(&Config::new(), &outer).scope(|| {
        x.compute().unwrap();
        // Twice the same is told once.
        let config = watched(&watched(&Config::new(), &inner), &inner);
        watched(&config, &outer).scope(|| x.compute()).unwrap();
    });
    assert_eq!((seen(&outer), seen(&inner)), (2 * n_tasks, n_tasks));
    // Other tests run things as well.
    assert!(seen(&all) >= 2 * n_tasks);
    drop(watch);
    let before = Arc::strong_count(&all);
    assert_eq!(before, 1, "nobody holds it any more");
}

/// Remembers how to ask.
#[derive(Default)]
struct Asks {
    feed: Mutex<Option<Feed>>,
    n_spans: AtomicU64,
}

impl Observer for Asks {
    fn on_run_started(&self, run: &RunStarted<'_>) {
        *self.feed.lock().unwrap() = Some(run.feed.clone());
    }

    fn on_spans(&self, _run: RunId, spans: &[Span]) {
        self.n_spans.fetch_add(spans.len() as u64, Ordering::Relaxed);
    }
}

#[test]
fn who_asks_is_told_at_once_and_sees_what_runs() {
    for config in executors() {
        let asks = Arc::new(Asks::default());
        let asked = Arc::clone(&asks);
        let seen = Arc::new(Mutex::new(Vec::<(u64, Vec<Running>)>::new()));
        let noted = Arc::clone(&seen);
        let x: Array<f64> = array::ones([4], [4]);
        let y =
            x.map_blocks(|block, _| block.to_owned()).rechunk([2]).map_blocks(move |block, _| {
                let feed = asked.feed.lock().unwrap().clone().expect("the run has begun");
                feed.pull();
                let n_spans = asked.n_spans.load(Ordering::Relaxed);
                noted.lock().unwrap().push((n_spans, feed.running()));
                block.to_owned()
            });
        watched(&config, &asks).scope(|| y.compute()).unwrap();
        for (n_spans, running) in seen.lock().unwrap().iter() {
            assert!(*n_spans >= 1, "the first task has ended");
            assert!(!running.is_empty() && running.iter().all(|task| task.depth == 0));
        }
        let feed = asks.feed.lock().unwrap().clone().unwrap();
        assert!(feed.running().is_empty(), "the run is over");
        feed.pull();
    }
}

/// What a client told, of which only names matter.
#[derive(Default)]
struct OfClient {
    runs: Mutex<Vec<(RunId, &'static str)>>,
    layers: Mutex<Vec<(String, u64)>>,
    spans: Mutex<Vec<Span>>,
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
    fails.error().unwrap();
    let inside = client.compute(waves(3000, 1).sum(..)).result().unwrap();
    assert_eq!(inside, waves(3000, 1).sum(..).compute().unwrap());
    drop((client, squares, fails));
    // The last loop of the client may still be about to let go of it.
    let ended = || told.runs.lock().unwrap().last().is_some_and(|(_, what)| *what == "end");
    while !ended() || told.runs.lock().unwrap().len() < 4 {
        std::thread::yield_now();
    }
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
