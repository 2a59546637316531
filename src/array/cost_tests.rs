//! How many tasks expressions become, and that tasks keep to the bytes that they declare.

use std::sync::{Arc, Mutex};

use ndarray::ArrayD;

use super::{
    Array, Boundary, DynArray, Index, QuantileMethod, Side, concatenate, eye, fft, from_fn, linalg,
    ones, over,
};
use crate::compute::{Collector, NoWatch, Session};
use crate::config::{CancelToken, Config};
use crate::error::{Call, Error, Result};
use crate::graph::{Block, TaskGraph, TaskId, order, peak_bytes};
use crate::sched::{EventSink, RunSummary, Runtime, Sink};

/// Takes blocks and forgets them.
struct Forget;

impl Collector for Forget {
    fn accept(&self, _block: usize, _value: Block) -> Result<()> {
        Ok(())
    }
}

impl Sink for Forget {
    fn accept(&self, _output: usize, _block: Block) -> Result<()> {
        Ok(())
    }
}

fn graph(arrays: &[&DynArray]) -> TaskGraph {
    let config = Config::current().expect("the environment is in order");
    let mut session = Session::default();
    for array in arrays {
        let node = array.handle.node().expect("no error");
        session.add_array(Arc::clone(node), Arc::new(Forget));
    }
    let prepared =
        session.prepare(Call::new("test"), &config, &mut NoWatch).expect("the plan lowers");
    TaskGraph::expand(prepared.layers, &prepared.outputs).expect("the graph is small")
}

fn n_tasks(arrays: &[&DynArray]) -> usize {
    graph(arrays).n_tasks()
}

/// Blocks that are really computed, in tasks of their own.
fn opaque(shape: &[u64], chunks: &[u64]) -> Array<f64> {
    ones::<f64>(shape, chunks.to_vec()).map_blocks(|block, _| block.to_owned())
}

#[test]
fn the_first_blocks_with_what_is_around_them_need_no_others() {
    let x = opaque(&[200, 200], &[2, 2]);
    let y = x.map_overlap(1, Boundary::Nearest, |block, _| block.to_owned());
    let corner = y.slice([Index::from(0..2), Index::from(0..2)]);
    // Four blocks, the margins of each axis, and what joins them; not those of 100 blocks beside and below.
    let n = n_tasks(&[&corner.to_dyn()]);
    assert_eq!(n, 25);
    assert_eq!(corner.sum(..).compute().unwrap()[[]], 4.0);
}

#[test]
fn a_slice_of_a_million_chunks_is_a_handful_of_tasks() {
    let x: Array<f64> = ones(1_000_000, 1);
    let y = (x + 1.0) * 2.0 - 3.0;
    assert!(n_tasks(&[&y.slice([Index::from(0..1)]).to_dyn()]) <= 3);
    assert!(n_tasks(&[&y.slice([Index::At(-1)]).to_dyn()]) <= 3);
    let z = opaque(&[1_000_000], &[1]);
    assert!(n_tasks(&[&(&z + 1.0).slice([Index::from(5..6)]).to_dyn()]) <= 3);
}

#[test]
fn elementwise_steps_take_no_tasks_of_their_own() {
    let x: Array<f64> = ones(100, 1);
    let y = ((&x + 1.0) * 2.0 - &x).sqrt();
    assert_eq!(n_tasks(&[&y.to_dyn()]), 100);
    assert_eq!(n_tasks(&[&y.transpose().cast::<f32>().to_dyn()]), 100);
}

#[test]
fn a_reduction_is_a_tree() {
    // 1000 chunks, combined four at a time.
    let sum = (ones::<f64>(1000, 1) * 2.0).sum(0);
    assert_eq!(n_tasks(&[&sum.to_dyn()]), 1000 + 250 + 63 + 16 + 4 + 1);
    let wide = ones::<f64>(1000, 1).sum(over(0).split_every(1000));
    assert_eq!(n_tasks(&[&wide.to_dyn()]), 1000 + 1);
    // Two trees over one array read it once.
    let x = opaque(&[64], &[1]);
    let (mean, std) = (x.mean(0).to_dyn(), x.std(0).to_dyn());
    let one = n_tasks(&[&mean]);
    assert_eq!(one, 64 + 16 + 4 + 1);
    assert_eq!(n_tasks(&[&mean, &std]), 64 + 2 * one);
    assert_eq!(n_tasks(&[&mean, &mean]), one);
}

#[test]
fn a_take_reads_the_blocks_that_it_needs() {
    let x = opaque(&[1000], &[10]);
    // A block of x each, and one block of ten that are taken.
    assert_eq!(n_tasks(&[&x.take([999, 0, 5, 0], 0).to_dyn()]), 2 + 1);
    let taken = x.take((0..1000).rev().step_by(3).collect::<Vec<_>>(), 0);
    assert!(n_tasks(&[&taken.slice([Index::from(0..1)]).to_dyn()]) <= 4 + 1);
    let y = opaque(&[1000, 1000], &[10, 10]);
    let points = y.vindex([(0, [5, 995, 7]), (1, [5, 5, 3])]);
    assert_eq!(n_tasks(&[&points.to_dyn()]), 2 + 2 + 1);
    // Of a diagonal only the blocks that it goes through.
    assert_eq!(n_tasks(&[&y.diagonal(0).to_dyn()]), 100);
}

#[test]
fn values_are_assigned_in_the_chunks_of_the_array() {
    let x = opaque(&[1000, 10], &[100, 10]);
    let row = opaque(&[10], &[10]);
    // The row, and of each block of x what it was, what is assigned and the result.
    assert!(n_tasks(&[&x.assign_at([5], 0, &row).to_dyn()]) <= 1 + 3 * 10);
    let rows = opaque(&[2, 10], &[1, 10]);
    assert!(n_tasks(&[&x.assign_at([5, 999], 0, &rows).to_dyn()]) <= 2 + 3 * 10);
    // A block of x is as long as this value is wide, but nothing that is in between is both.
    Config::new().with_chunk_bytes(800).scope(|| {
        let (x, row) = (opaque(&[100, 100], &[100, 1]), opaque(&[100], &[100]));
        let graph = graph(&[&x.assign_at([5], 0, &row).to_dyn()]);
        let largest = graph.layers().layers().iter().map(|layer| layer.out_bytes).max();
        assert_eq!(largest, Some(800));
    });
}

#[test]
fn lookups_of_small_elements_make_no_larger_blocks() {
    Config::new().with_chunk_bytes(800).scope(|| {
        let x = ones::<u8>([10, 100], [10, 80]);
        let positions = ones::<u8>(3, 3).searchsorted(&x, Side::Right);
        let graph = graph(&[&positions.to_dyn()]);
        let largest = graph.layers().layers().iter().map(|layer| layer.out_bytes).max();
        assert_eq!(largest, Some(800));
        assert_eq!(positions.compute().unwrap(), ArrayD::from_elem(vec![10, 100], 3));
    });
}

#[test]
fn positions_along_axes_too_long_to_list_are_an_error() {
    let x = ones::<f64>(1_u64 << 60, 1_u64 << 20);
    let square = ones::<f64>([1_u64 << 31; 2], [1_u64 << 31; 2]);
    for array in [x.assign_at([0], 0, 1.0), square.diagonal(0)] {
        let error = array.to_dyn().handle.node().err();
        assert!(matches!(error, Some(Error::TooManyTasks { .. })), "{error:?}");
    }
}

#[test]
fn a_scan_needs_few_blocks_at_a_time() {
    let block = 10_000 * 8;
    let x = opaque(&[128 * 10_000], &[10_000]);
    let scan = graph(&[&x.cumsum(0).to_dyn()]);
    // Blocks, totals and scans, and a tree of totals up and down.
    assert!(scan.n_tasks() <= 3 * 128 + 4 * 128, "{}", scan.n_tasks());
    let peak = peak_bytes(&scan, &order(&scan));
    // The results wait for nobody, as sinks take them; inputs and carries are a few blocks.
    assert!(peak < 8 * block, "{} blocks", peak / block);
}

#[test]
fn a_window_touches_its_neighbours_only() {
    let x = opaque(&[1000], &[10]);
    let y = x.map_overlap(2, Boundary::Periodic, |block, _| block.to_owned());
    // Three blocks, which pass through what is padded, what they surround, and the slice of it.
    assert_eq!(n_tasks(&[&y.slice([Index::from(50..60)]).to_dyn()]), 3 + 3 + 1 + 1);
    // Each axis with its own boundary: nothing is padded where there is nothing beyond.
    let y = opaque(&[100, 100], &[10, 10]);
    let sides = [Boundary::None, Boundary::Periodic];
    let around = y.map_overlap([(1, 0), (0, 2)], sides, |block, _| block.to_owned());
    let inner = around.slice([Index::from(50..60), Index::from(50..60)]).to_dyn();
    assert!(n_tasks(&[&inner]) <= 4 + 4 + 1 + 1);
    let peak = graph(&[&inner]);
    assert!(peak_bytes(&peak, &order(&peak)) <= 4 * 800 + 3 * 12 * 11 * 8);
    let view = x.sliding_window_view([(0, 5)]).mean(1);
    assert!(n_tasks(&[&view.slice([Index::from(50..60)]).to_dyn()]) <= 2 + 2);
}

#[test]
fn each_block_of_a_factorization_is_one_task() {
    let block = 1000 * 10 * 8;
    let x = opaque(&[64_000, 10], &[1000, 10]);
    Config::new().with_chunk_bytes(block).scope(|| {
        let (q, r) = linalg::qr(&x);
        // Blocks are factored as they are made, and a block has room for all of their triangles.
        let triangle = graph(&[&r.to_dyn()]);
        assert_eq!(triangle.n_tasks(), 64 + 1);
        let peak = peak_bytes(&triangle, &order(&triangle));
        assert!(peak < 4 * block, "{peak} bytes");
        // Factors wait for the last triangle: a task for each, its triangle, and its rows of the other factor.
        let both = graph(&[&q.to_dyn(), &r.to_dyn()]);
        assert!(both.n_tasks() <= 64 * 4 + 64 + 4, "{}", both.n_tasks());
        let values = linalg::svd(&x).1;
        assert!(n_tasks(&[&values.to_dyn()]) <= 64 + 3);
        let line = linalg::lstsq(&x, &x.slice([Index::ALL, Index::At(0)]), None);
        let peak = graph(&[&line.x.to_dyn()]);
        let peak = peak_bytes(&peak, &order(&peak));
        assert!(peak < 8 * block, "{peak} bytes");
    });
}

#[test]
fn panels_and_lanes_do_not_outgrow_chunks() {
    Config::new().with_chunk_bytes(800).scope(|| {
        let largest = |x: DynArray| {
            let graph = graph(&[&x]);
            graph.layers().layers().iter().map(|layer| layer.out_bytes).max().unwrap()
        };
        let square = opaque(&[100, 100], &[10, 10]);
        // A panel, and where its rows came from.
        assert!(largest(linalg::solve(&square, &square).to_dyn()) <= 800 + 800);
        assert!(largest(linalg::cholesky(&square).to_dyn()) <= 800);
        assert!(
            largest(linalg::svd_compressed(&square, 3, Default::default()).0.to_dyn())
                <= 100 * 20 * 8
        );
        let transformed =
            fft::fft(&square.cast::<num_complex::Complex<f64>>(), None, 0, Default::default());
        assert!(largest(transformed.to_dyn()) <= 1600);
        // Of a panel's triangle, only blocks below it are updated.
        let n_panels = 100;
        assert!(n_tasks(&[&linalg::cholesky(&square).to_dyn()]) < n_panels * n_panels + 700);
    });
}

/// Compares what tasks return with what their layers declare.
struct Watch<'a> {
    graph: &'a TaskGraph,
    problems: Mutex<Vec<String>>,
    summary: Mutex<Option<RunSummary>>,
}

impl EventSink for Watch<'_> {
    fn on_task_finished(&self, _op: usize, task: TaskId, bytes: u64) {
        let declared = self.graph.out_bytes(task);
        if bytes > declared {
            let name = self.graph.op_name(task);
            self.problems.lock().unwrap().push(format!("{name}: {bytes} bytes, not {declared}"));
        }
    }

    fn on_run_ended(&self, summary: &RunSummary, _error: Option<&Error>) {
        *self.summary.lock().unwrap() = Some(*summary);
    }
}

#[test]
fn blocks_are_no_larger_than_declared() {
    let x = opaque(&[60, 40], &[20, 7]);
    let y = from_fn([60, 40], [13, 40], |index| index[0] as f64 - index[1] as f64);
    let square = y.slice(vec![Index::from(0..40)]);
    let arrays = [
        (&x + &y).to_dyn(),
        x.transpose().reshape([2400]).to_dyn(),
        x.rechunk([7, 20]).std(0).to_dyn(),
        x.matmul(&y.transpose()).sum(1).to_dyn(),
        concatenate(&[x.clone(), y.clone()], 1).slice(vec![Index::from(5..50)]).to_dyn(),
        (&x - &x.mean(over(0).keepdims())).argmax(1).to_dyn(),
        y.gt(0.0).cast::<i32>().nanvar([0, 1]).to_dyn(),
        x.take([59, 0, 30, 30, 7], 0).cumsum(1).to_dyn(),
        y.mask(&y.gt(3.0)).to_dyn(),
        x.vindex([(0, [3, 50, 4]), (1, [0, 39, 7])]).to_dyn(),
        y.map_overlap((1, 2), Boundary::Reflect, |block, _| block.to_owned()).to_dyn(),
        linalg::qr(&x).0.to_dyn(),
        linalg::svd(&y).2.to_dyn(),
        linalg::solve(&(&square + eye(40, 40, 0, [20, 20]) * 100.0), &square).to_dyn(),
        fft::rfft(&x, None, 0, Default::default()).to_dyn(),
        y.sliding_window_view([(0, 4)]).mean(-1).to_dyn(),
        y.quantile([0.2, 0.7], QuantileMethod::Linear, 0).topk(5, 1).to_dyn(),
        y.unique().to_dyn(),
        y.unique_counts().1.to_dyn(),
        y.histogram(&[0.0, 3.0, 9.0]).to_dyn(),
        x.isin(&y.slice([Index::At(0)])).to_dyn(),
    ];
    for limit in [1 << 30, 250_000] {
        for optimize in [true, false] {
            let config =
                Config::new().with_memory_limit(limit).with_optimize(optimize).with_threads(2);
            config.scope(|| {
                let graph = graph(&arrays.iter().collect::<Vec<_>>());
                let watch =
                    Watch { graph: &graph, problems: Mutex::default(), summary: Mutex::default() };
                let runtime = Runtime::of(&Config::current().unwrap()).unwrap();
                runtime.execute_watched(&graph, &watch, &Forget).unwrap();
                assert_eq!(*watch.problems.lock().unwrap(), [""; 0]);
                let summary = watch.summary.lock().unwrap().expect("the run ended");
                assert!(summary.is_ok && summary.peak_bytes <= limit, "{summary:?} of {limit}");
                assert_eq!(summary.n_finished, graph.n_tasks() as u64);
            });
        }
    }
}

/// The most scratch that a task declares.
fn scratch(array: &DynArray) -> u64 {
    Config::new().with_optimize(false).scope(|| {
        let graph = graph(&[array]);
        graph.layers().layers().iter().map(|layer| layer.scratch_bytes).max().unwrap()
    })
}

#[test]
fn scratch_of_picks_is_declared() {
    let x = opaque(&[1000], &[100]);
    assert_eq!(scratch(&x.take([5, 0, 999], 0).to_dyn()), 3 * 48);
    let shuffled: Vec<i64> = (0..1000).map(|i| (i * 7) % 1000).collect();
    assert_eq!(scratch(&x.take(shuffled, 0).to_dyn()), 100 * 48);
}

#[test]
fn scratch_of_sorts_is_declared() {
    // A copy of the elements, and what sorts it: as much, or half of it where it is large.
    assert_eq!(scratch(&opaque(&[60, 40], &[60, 40]).unique().to_dyn()), 60 * 40 * (8 + 8));
    let large = opaque(&[2_000_000], &[2_000_000]).unique();
    assert_eq!(scratch(&large.to_dyn()), 2_000_000 * (8 + 4));
}

#[test]
fn scratch_is_declared_where_inputs_may_not_be_in_c_order() {
    let block = 8 * 60 * 40;
    let x = opaque(&[60, 40], &[60, 40]);
    let in_order = &x + 1.0;
    assert_eq!(scratch(&(&in_order * &in_order).to_dyn()), block);
    let transposed = in_order.transpose();
    assert_eq!(scratch(&(transposed.clone() * 2.0).to_dyn()), block);
    let square = opaque(&[40, 40], &[40, 40]);
    assert_eq!(scratch(&(square.transpose() + &square).to_dyn()), 2 * 8 * 40 * 40);
    assert_eq!(scratch(&transposed.sum(0).to_dyn()), block);
    // However large the blocks are, panels are not.
    let large = ones::<f64>(&[4096, 4096], [4096, 4096]).transpose() + 1.0;
    assert_eq!(scratch(&large.to_dyn()), 2 << 20);
}

#[test]
fn a_cancelled_run_says_so() {
    let graph = graph(&[&opaque(&[100], &[1]).to_dyn()]);
    let cancel = CancelToken::new();
    cancel.cancel();
    let runtime = cancel.scope(|| Runtime::of(&Config::current().unwrap())).unwrap();
    let error = runtime.execute(&graph, &Forget).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
}

#[test]
fn cancelling_from_inside_stops_the_run() {
    let cancel = CancelToken::new();
    let (inside, n) = (cancel.clone(), Arc::new(Mutex::new(0)));
    let counter = Arc::clone(&n);
    let x = ones::<f64>(10_000, 1).map_blocks(move |block, _| {
        *counter.lock().unwrap() += 1;
        inside.cancel();
        block.to_owned()
    });
    let graph = graph(&[&x.to_dyn()]);
    let config = Config::new().with_threads(2);
    let runtime = cancel.scope(|| config.scope(|| Runtime::of(&Config::current()?))).unwrap();
    let error = runtime.execute(&graph, &Forget).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert!(*n.lock().unwrap() < 100);
}

#[test]
fn sources_and_writers_say_what_they_use_besides_blocks() {
    use crate::compute::Collection;
    const FILE_SCRATCH: u64 = 256 << 10;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let x = opaque(&[600, 40], &[200, 40]);
    let scratch_of = |enlist: &dyn Fn(&mut Session)| {
        let mut session = Session::default();
        enlist(&mut session);
        let config = Config::current().unwrap();
        let prepared = session.prepare(Call::new("test"), &config, &mut NoWatch).unwrap();
        prepared.layers.layers().iter().map(|layer| layer.scratch_bytes).max().unwrap()
    };
    let bare = scratch_of(&|session| drop(x.enlist(session).unwrap()));
    assert!(bare < FILE_SCRATCH);
    let store = x.store_npy(&path);
    assert_eq!(scratch_of(&|session| drop(store.enlist(session).unwrap())), FILE_SCRATCH);
    x.to_npy(&path).unwrap();
    let back = DynArray::open_npy(&path);
    assert_eq!(scratch_of(&|session| drop(back.enlist(session).unwrap())), FILE_SCRATCH);
    #[cfg(feature = "zarr")]
    {
        let (path, block) = (dir.path().join("x.zarr"), 8 * 200 * 40);
        let store = x.store_zarr(&path, super::ZarrWrite::new());
        // A chunk in C order, as bytes, and compressed, with what the compressor needs.
        let scratch = scratch_of(&|session| drop(store.enlist(session).unwrap()));
        assert!((3 * block..3 * block + (64 << 20)).contains(&scratch), "{scratch}");
        x.to_zarr(&path).unwrap();
        let back = DynArray::open_zarr(&path);
        assert_eq!(scratch_of(&|session| drop(back.enlist(session).unwrap())), 3 * block);
    }
}

#[cfg(feature = "netcdf")]
#[test]
fn chunks_of_packed_variables_are_chosen_for_what_they_become() {
    use super::io::{Attribute, NetcdfSchema, NetcdfWriter};
    let call = Call::new("test");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.nc");
    let scale = [("scale_factor", Attribute::F64(vec![0.5]))];
    let schema = NetcdfSchema::new()
        .dimension("x", 10_000)
        .variable("packed", super::DType::I16, &["x"], &scale)
        .variable("plain", super::DType::I16, &["x"], &[]);
    NetcdfWriter::create(call, &path, schema).unwrap().finish().unwrap();
    Config::new().with_chunk_bytes(8000).scope(|| {
        let block_bytes = |name| {
            let array = DynArray::open_netcdf(&path, name);
            array.handle.node().unwrap().meta.block_bytes_max().unwrap()
        };
        let (packed, plain) = (block_bytes("packed"), block_bytes("plain"));
        assert!((4000..=8000).contains(&packed) && (4000..=8000).contains(&plain));
        assert_eq!(DynArray::open_netcdf(&path, "packed").dtype().unwrap(), super::DType::F64);
    });
}
