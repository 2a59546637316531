//! Who is told what, and that nobody can spoil a run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dask_rs::diagnostics::{
    Feed, LayerInfo, Observer, RunEnded, RunId, RunStarted, Running, Span, SpanKind, watch_all,
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
        // Each block of the slice, under the index that it has there.
        let in_slice: Vec<_> = (0..2).flat_map(|i| (0..497).map(move |j| vec![i, j])).collect();
        let of_array = (0..layers.len()).filter(|i| layers[*i].1 == 994);
        let of_array: Vec<_> = of_array.map(|i| i as u32).collect();
        assert!(!of_array.is_empty(), "{layers:?}");
        for layer in of_array {
            let of_layer = seen.iter().filter(|(span, _)| span.layer == layer);
            let mut blocks: Vec<_> = of_layer.map(|(_, block)| block.clone()).collect();
            blocks.sort();
            assert_eq!(blocks, in_slice);
        }
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
