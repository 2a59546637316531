//! Arrays that have to be held and don't fit wait on disk: results are the same, and nothing is left there.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dask_rs::diagnostics::{Observer, RunEnded};
use dask_rs::prelude::*;
use dask_rs::{CancelToken, ExecutorKind, explain};
use ndarray::{ArrayD, Axis};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngSeed};

use crate::child::{Case, output_of_child};

const N: usize = 96;

/// Elements that can't be had again without computing them, and what they are.
fn made(chunks: [u64; 2]) -> (Array<f64>, ArrayD<f64>) {
    let value = |i: u64, j: u64| ((i * 31 + j * 17) % 101) as f64 / 7.0 - 5.0;
    let lazy = array::from_fn([N as u64; 2], chunks, move |index| value(index[0], index[1]));
    let whole = ndarray::Array2::from_shape_fn((N, N), |(i, j)| value(i as u64, j as u64));
    (lazy.map_blocks(|block, _| block.to_owned()), whole.into_dyn())
}

/// An expression over `x` that has to hold much of it, and its value.
fn held(kind: usize, x: &Array<f64>, whole: &ArrayD<f64>) -> (Array<f64>, ArrayD<f64>) {
    let mean = |axis| whole.mean_axis(Axis(axis)).unwrap().insert_axis(Axis(axis));
    match kind {
        0 => (x - x.mean(0), whole - &mean(0)),
        1 => (x - x.mean(over(1).keepdims()), whole - &mean(1)),
        2 => (x + x.transpose(), whole + &whole.t()),
        3 => {
            let both = x.rechunk([N as u64, 5]) * x.rechunk([7, N as u64]);
            (both, whole * whole)
        }
        _ => (x - x.slice(s![..;-1, ..]), whole - &whole.slice(s![..;-1, ..])),
    }
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

/// The least memory limit under which a computation is not refused, to a factor of about one.
fn least_limit(x: &Array<f64>) -> u64 {
    let (mut low, mut high) = (0_u64, 1 << 24);
    while high - low > high / 50 {
        let limit = low.midpoint(high);
        let config = Config::new().with_memory_limit(limit).with_executor(ExecutorKind::Serial);
        // Refused or not is known before anything runs.
        let cancel = CancelToken::new();
        cancel.cancel();
        let ran = config.scope(|| dask_rs::compute_with(x, &cancel));
        match ran.unwrap_err() {
            Error::OverBudget { .. } => low = limit,
            Error::Cancelled => high = limit,
            error => panic!("{error}"),
        }
    }
    high
}

fn bits(array: &ArrayD<f64>) -> Vec<u64> {
    array.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #![proptest_config(Cases { cases: 24, rng_seed: RngSeed::Fixed(4), failure_persistence: None, ..Cases::default() })]

    #[test]
    fn the_same_bits_at_every_limit(
        kind in 0_usize..5,
        chunks in [8_u64..40, 8_u64..40],
        optimize in any::<bool>(),
        percent in 100_u64..300,
        seed in 0_u64..100,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new()
            .with_optimize(optimize)
            .with_chunk_bytes(20_000)
            .with_spill_directory(dir.path());
        config.scope(|| {
            let (x, whole) = made(chunks);
            let (lazy, value) = held(kind, &x, &whole);
            let expected = lazy.compute().unwrap();
            let error = (&expected - &value).mapv(f64::abs).sum();
            assert!(error < 1e-8, "{kind}: {error}");
            let limit = least_limit(&lazy) * percent / 100;
            let executors = [ExecutorKind::Serial, ExecutorKind::Seeded(seed), ExecutorKind::Threaded];
            for executor in executors {
                let config = Config::new().with_memory_limit(limit).with_executor(executor);
                let got = config.with_threads(3).scope(|| lazy.compute()).unwrap();
                assert_eq!(bits(&got), bits(&expected), "{executor:?}, {limit} bytes");
            }
            assert!(is_empty(dir.path()));
        });
    }
}

/// What the last run took.
#[derive(Default)]
struct Ends(Mutex<Option<RunEnded>>);

impl Observer for Ends {
    fn on_run_ended(&self, run: &RunEnded) {
        *self.0.lock().unwrap() = Some(run.clone());
    }
}

/// An expression of which a run holds partial results that are no arrays, and its value.
fn in_parts(kind: &str) -> (Array<f64>, ArrayD<f64>) {
    match kind {
        "std" => {
            let (x, whole) = made([1, 96]);
            (x.std(0), whole.std_axis(Axis(0), 0.0))
        }
        "groups" => {
            let (x, whole) = made([2, 96]);
            let labels: Vec<u64> = (0..N as u64).map(|i| i * i % 5).collect();
            let of = |group: u64| {
                let members = (0..N).filter(|i| labels[*i] == group);
                whole.select(Axis(0), &members.collect::<Vec<_>>()).std_axis(Axis(0), 0.0)
            };
            let groups: Vec<_> = [0, 1, 4].map(of).into();
            let views: Vec<_> = groups.iter().map(|group| group.view()).collect();
            (x.group_by_axis(0, labels.clone()).std(0.0), ndarray::stack(Axis(0), &views).unwrap())
        }
        "distinct" => {
            let (x, whole) = made([4, 96]);
            let mut values: Vec<f64> = whole.iter().copied().collect();
            values.sort_by(f64::total_cmp);
            values.dedup();
            (x.unique(), ndarray::Array1::from(values).into_dyn())
        }
        _ => {
            let (x, whole) = made([4, 96]);
            let ranks = |j: usize| {
                let mut order: Vec<usize> = (0..N).collect();
                order.sort_by(|a, b| whole[[*b, j]].total_cmp(&whole[[*a, j]]));
                order
            };
            let ranks: Vec<_> = (0..N).map(ranks).collect();
            let expected = ndarray::Array2::from_shape_fn((20, N), |(i, j)| ranks[j][i] as f64);
            (x.argtopk(20, 0).cast(), expected.into_dyn())
        }
    }
}

#[test]
fn partial_results_wait_on_disk_like_chunks() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["std", "groups", "distinct", "ranks"] {
        let (lazy, value) = in_parts(kind);
        let expected = lazy.compute().unwrap();
        assert_eq!(expected.shape(), value.shape(), "{kind}");
        assert!((&expected - &value).mapv(f64::abs).sum() < 1e-8, "{kind}");
        let limit = least_limit(&lazy) * 110 / 100;
        for executor in [ExecutorKind::Serial, ExecutorKind::Seeded(3), ExecutorKind::Threaded] {
            let ends = Arc::new(Ends::default());
            let config = tight(dir.path()).with_memory_limit(limit).with_executor(executor);
            let config = config.with_observer(Arc::clone(&ends) as Arc<dyn Observer>);
            let got = config.scope(|| lazy.compute()).unwrap();
            assert_eq!(bits(&got), bits(&expected), "{kind}, {executor:?}");
            let RunEnded { peak_bytes, spilled_bytes, .. } =
                ends.0.lock().unwrap().clone().unwrap();
            assert!(peak_bytes <= limit, "{kind}, {executor:?}: {peak_bytes} of {limit}");
            // Under the least limit of the others there is room for them.
            let has_room = !["std", "groups"].contains(&kind);
            assert!(spilled_bytes > 0 || has_room, "{kind}, {executor:?}");
            assert!(is_empty(dir.path()));
        }
    }
}

/// Blocks of 8 KiB in 40 KiB.
fn tight(dir: &Path) -> Config {
    Config::new().with_memory_limit(40 << 10).with_threads(2).with_spill_directory(dir)
}

#[test]
fn explain_says_how_much_waits_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (x, _) = made([32, 32]);
    let y = &x - x.mean(..);
    let roomy = explain(&y).unwrap();
    assert_eq!(roomy.spilled_bytes(), Some(0));
    assert!(!roomy.to_string().contains("waits on disk"));
    let explained = tight(dir.path()).scope(|| explain(&y)).unwrap();
    let spilled = explained.spilled_bytes().unwrap();
    // 72 KiB have to be held, and memory has room for about 30.
    assert!((32 << 10..72 << 10).contains(&spilled), "{explained}");
    assert!(explained.to_string().contains("waits on disk"), "{explained}");
    assert!(is_empty(dir.path()), "nothing ran");
}

#[test]
fn a_persisted_array_may_be_larger_than_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let (x, whole) = made([32, 32]);
    tight(dir.path()).with_memory_limit(60_007).scope(|| {
        let kept = x.persist().unwrap();
        assert!(!is_empty(dir.path()), "72 KiB do not fit half of 60");
        let explained = explain(&kept).unwrap();
        // At least what half of the limit has no room for.
        assert!(explained.bytes_read() >= (72 - 30) << 10, "{explained}");
        for optimize in [true, false] {
            let (sum, y) = Config::new().with_optimize(optimize).scope(|| {
                let sum = (&kept * 2.0).sum(0).compute().unwrap();
                (sum, (&kept - kept.mean(..)).compute().unwrap())
            });
            let expected = (&whole * 2.0).sum_axis(Axis(0));
            assert!((sum - expected).mapv(f64::abs).sum() < 1e-8);
            assert!((y - (&whole - whole.mean().unwrap())).mapv(f64::abs).sum() < 1e-8);
        }
        // An array made of it holds the files.
        let part = kept.slice(s![..5, ..]);
        drop(kept);
        assert_eq!(part.compute().unwrap(), whole.slice(s![..5, ..]).into_dyn());
        drop(part);
        assert!(is_empty(dir.path()));
        let refused = Config::new().with_spill_limit(10_000).scope(|| x.persist().map(|_| ()));
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("DASK_RS_SPILL_LIMIT"), "{error}");
        assert!(is_empty(dir.path()));
    });
}

/// The most bytes that a run has used.
#[derive(Default)]
struct Peak(AtomicU64);

impl Observer for Peak {
    fn on_run_ended(&self, run: &RunEnded) {
        self.0.fetch_max(run.peak_bytes, Ordering::Relaxed);
    }
}

#[test]
fn what_is_persisted_leaves_room_for_the_largest_task() {
    const LIMIT: u64 = 1_000_003;
    let dir = tempfile::tempdir().unwrap();
    let peak = Arc::new(Peak::default());
    let config = Config::new().with_memory_limit(LIMIT).with_spill_directory(dir.path());
    let config = config
        .with_executor(ExecutorKind::Serial)
        .with_observer(Arc::clone(&peak) as Arc<dyn Observer>);
    // Chunks of 25 KB, which are half of the limit together, and one that takes 700 KB with its input.
    let sizes: Vec<u64> = std::iter::repeat_n(3_125, 20).chain([43_750]).collect();
    let x: Array<f64> = array::arange(0.0, 106_250.0, 1.0, [sizes]);
    let kept = config.scope(|| x.sqrt().persist()).unwrap();
    let peak = peak.0.load(Ordering::Relaxed);
    assert!((700_000..LIMIT).contains(&peak), "{peak}");
    assert!(!is_empty(dir.path()));
    assert_eq!(kept.slice(s![106_249]).compute().unwrap()[[]], 106_249_f64.sqrt());
}

#[test]
fn what_the_disk_refuses_names_the_line_that_computes() {
    let dir = tempfile::tempdir().unwrap();
    let (x, whole) = made([32, 32]);
    let y = &x - x.mean(..);
    let refused = |config: Config| config.scope(|| y.compute().unwrap_err());
    let error = refused(tight(dir.path()).with_spill_limit(10_000));
    assert!(matches!(error, Error::SpillLimit { limit: 10_000, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("spill.rs") && text.contains("DASK_RS_SPILL_LIMIT"), "{text}");
    let error = refused(tight(&dir.path().join("nowhere")));
    let text = error.to_string();
    assert!(matches!(error, Error::Spill { .. }), "{error}");
    assert!(text.contains("spill.rs") && text.contains("nowhere"), "{text}");
    assert!(is_empty(dir.path()));
    // Nothing is lost: the same expression computes once there is room.
    let got = tight(dir.path()).scope(|| y.compute()).unwrap();
    let expected = &whole - whole.mean().unwrap();
    assert!((got - expected).mapv(f64::abs).sum() < 1e-8);
}

#[test]
fn a_failure_or_a_cancellation_while_blocks_lie_on_disk_leaves_nothing_there() {
    let dir = tempfile::tempdir().unwrap();
    let (x, _) = made([32, 32]);
    for executor in [ExecutorKind::Serial, ExecutorKind::Threaded] {
        let config = tight(dir.path()).with_executor(executor);
        let cancel = CancelToken::new();
        let token = cancel.clone();
        let cancels = (&x - x.mean(..)).map_blocks(move |block, _| {
            token.cancel();
            block.to_owned()
        });
        let error = config.scope(|| dask_rs::compute_with(cancels, &cancel)).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        let panics = (&x - x.mean(..)).map_blocks(|_, _| -> ArrayD<f64> { panic!("on purpose") });
        let error = config.scope(|| panics.compute()).unwrap_err();
        assert!(matches!(error, Error::TaskPanicked { .. }), "{error}");
        assert!(is_empty(dir.path()));
    }
}

#[test]
fn what_was_read_from_a_file_is_read_again_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let npy = dir.path().join("x.npy");
    let whole = ndarray::Array2::from_shape_fn((640, 640), |(i, j)| (i * 7 + j) as f64).into_dyn();
    array::from_ndarray(whole.clone(), [64, 64]).to_npy(&npy).unwrap();
    let spilled = tempfile::tempdir().unwrap();
    // 3 MiB in 1 MiB, and no room where blocks would go.
    let config = tight(spilled.path())
        .with_memory_limit(1 << 20)
        .with_chunk_bytes(32 << 10)
        .with_spill_limit(0);
    let x = config.scope(|| array::open_npy::<f64>(&npy));
    let y = &x - x.mean(..);
    let explained = config.scope(|| explain(&y)).unwrap();
    assert_eq!(explained.spilled_bytes(), Some(0), "{explained}");
    assert!(explained.reread_bytes() > Some(2 << 20), "{explained}");
    assert!(explained.to_string().contains("read again"), "{explained}");
    let expected = &whole - whole.mean().unwrap();
    for executor in [ExecutorKind::Serial, ExecutorKind::Seeded(3), ExecutorKind::Threaded] {
        let got = config.clone().with_executor(executor).scope(|| y.compute()).unwrap();
        assert!((got - &expected).mapv(f64::abs).sum() < 1e-3);
    }
}

#[test]
fn what_a_killed_process_leaves_on_disk_is_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let output = output_of_child(module_path!(), "abort", 0, dir.path());
    assert!(!output.status.success());
    assert!(!is_empty(dir.path()), "it had no time to clean up");
    let (x, _) = made([32, 32]);
    tight(dir.path()).scope(|| (&x - x.mean(..)).compute()).unwrap();
    assert!(is_empty(dir.path()));
}

/// Ends this process while blocks lie on disk, if it is a child.
#[test]
fn child() {
    let Some(case) = Case::of_this_process() else { return };
    let (x, _) = made([32, 32]);
    let aborts = (&x - x.mean(..)).map_blocks(|_, _| -> ArrayD<f64> { std::process::abort() });
    tight(&case.dir).scope(|| aborts.compute()).unwrap();
}
