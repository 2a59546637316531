//! Messages that are broken, workers that are lost, kernels that can't be sent, and what a run costs.

mod travels;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use super::session::connect;
use super::wire::{self, Failure, Order, Report, Role, RunTask, Welcome};
use super::worker::{Running, Worker};
use super::{Cluster, LocalCluster};
use crate::array::kernels::window_reduce::WindowReduceKernel;
use crate::array::kernels::{ReduceKind, ReduceSpec};
use crate::array::{DType, QuantileMethod};
use crate::compute::{Collection, NoWatch, Session};
use crate::error::Call;
use crate::graph::{
    Block, BlockMap, Inputs, Invocation, Kernel, KernelSpec, LayerGraph, TaskContext, Wiring,
    encoded,
};
use crate::memory::BufferPool;
use crate::prelude::*;
use crate::registry::REGISTRY;
use crate::{CancelToken, Error};

fn start(n_workers: usize) -> LocalCluster {
    let config = Config::new().with_threads(2 * n_workers).with_memory_limit(1 << 30);
    config.scope(|| LocalCluster::start(n_workers)).unwrap()
}

fn worker() -> Running {
    let config = Config::new().with_threads(1).with_memory_limit(1 << 26);
    config.scope(|| Worker::bind("127.0.0.1:0")).unwrap().start().unwrap()
}

/// An array that is made on the workers.
fn numbers(n: u64, chunk: i64) -> Array<f64> {
    array::arange(0.0, n as f64, 1.0, [chunk]).sin()
}

// Kernels.

fn layers(x: &impl Collection, fuses: bool) -> LayerGraph {
    let mut session = Session::default();
    x.enlist(&mut session).unwrap();
    let config = Config::new().with_optimize(fuses).with_memory_limit(1 << 30);
    config.scope(|| {
        let config = Config::current().unwrap();
        session.prepare(Call::new("test"), &config, &mut NoWatch).unwrap().layers
    })
}

/// Specs of at least one kernel of each kind.
fn all_specs(dir: &Path) -> Vec<KernelSpec> {
    let path = dir.join("x.npy");
    numbers(60, 7).reshape([6, 10]).to_npy(&path).unwrap();
    let x: Array<f64> = array::open_npy(&path);
    let x = array::concatenate(&[x.rechunk([2, 3]), x.rechunk([3, 4])], 0);
    let y = (x.matmul(&x.transpose()) * f64::NAN).slice(s![1..;2, ..]).rechunk([5, 3]);
    let z = y.reshape([-1]).std(over(0).split_every(2));
    let results =
        (z, x.lt(3_f64).any(1), x.argmax(0), x.cast::<num_complex::Complex<f32>>().sum(0));
    let n = numbers(60, 7);
    let edges = [-1.0, 0.0, 1.0];
    let groups = n.group_by_axis(0, (0..60).map(|i| i % 4));
    let wide = array::full::<f64>([6, 70], 2.0, [3, 70]).group_by_axis(0, (0..6).map(|i| i % 3));
    let (median, lower) = (QuantileMethod::Midpoint, QuantileMethod::Lower);
    let picked = (n.take([5, 59, 3, 3], 0), n.mask(&n.gt(0.0)), n.vindex([(0, [40, 1])]));
    let ordered = (n.topk(3, 0), n.argtopk(3, 0), n.quantile(0.5, median, 0), n.cumsum(0));
    let counted = (
        n.histogram(&edges),
        array::histogram2d(&n, &n, &edges, &edges),
        n.unique_counts().0,
        n.searchsorted(&n, array::Side::Left),
    );
    let others = (
        (groups.mean(), wide.mean()),
        groups.quantile(0.5, lower),
        n.sliding_window_view([(0, 3)]),
        array::fft::fft(&n.rechunk([60]), None, 0, array::fft::FftNorm::Backward),
        n.ttest_1samp(0.0, 0).pvalue,
        n.gt(0.0).label(1),
    );
    let results = (results, picked, ordered, counted, others);
    let graphs = [layers(&results, true), layers(&results, false)];
    let layers = graphs.iter().flat_map(LayerGraph::layers);
    let specs = layers.map(|layer| layer.kernel.spec().unwrap());
    // A part of a chain, wherever it is.
    let of_windows = ReduceSpec {
        kind: ReduceKind::Sum,
        axes: vec![1],
        ddof: 0.0,
        skip_nan: false,
        in_dtype: DType::F64,
    };
    let of_windows = WindowReduceKernel::new(of_windows, vec![(0, 4)], false).unwrap();
    specs.chain([of_windows.spec().unwrap()]).collect()
}

#[test]
fn every_kernel_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let specs = all_specs(dir.path());
    for spec in &specs {
        let again = REGISTRY.kernel(spec).unwrap();
        assert_eq!(again.spec().unwrap(), *spec);
    }
    let seen: BTreeSet<&str> = specs.iter().map(|spec| &*spec.name).collect();
    let known = REGISTRY.0.iter().flat_map(|codecs| codecs.kernels).map(|(name, _)| *name);
    assert_eq!(seen, known.collect(), "each registered kernel needs an example here");
}

/// Kernels that only run in the process that made them. A cluster refuses them by name.
const NOT_YET: [&str; 21] = [
    "ByElementKernel",
    "CholeskyPanelKernel",
    "CholeskyUpdateKernel",
    "ComposeKernel",
    "DelayedBlock",
    "EliminateKernel",
    "FindKernel",
    "GatherKernel",
    "LuPanelKernel",
    "LuTriangleKernel",
    "MeasuredKernel",
    "MergeFoundKernel",
    "PartKernel",
    "QrKernel",
    "RadixKernel",
    "ReflectKernel",
    "SamplesKernel",
    "SvdKernel",
    "TriangleKernel",
    "WeightedQuantileKernel",
    "WholeKernel",
];

/// Someone who writes a new kernel and forgets this finds it here.
#[test]
fn every_kernel_of_arrays_says_how_it_is_sent() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let known: BTreeSet<&str> = REGISTRY.names().collect();
    let (mut n_kernels, mut wrong) = (0, Vec::new());
    let mut folders = vec![root.join("array"), root.join("graph")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            if path.ends_with("test_graphs.rs") {
                continue;
            }
            for body in text.split("Kernel for ").skip(1) {
                let (name, body) = body.split_once('{').unwrap();
                let body = body.split("\n}\n").next().unwrap();
                n_kernels += 1;
                let is_known = ["fn spec(", "fn is_resident("].iter().any(|of| body.contains(of));
                let is_not_yet = NOT_YET.contains(&name.split('<').next().unwrap().trim());
                if is_known == is_not_yet {
                    wrong.push(format!(
                        "{}: {name}has neither spec nor is_resident, or is in NOT_YET with one",
                        path.display()
                    ));
                }
            }
            for name in text.split("KernelSpec::new(\"").skip(1) {
                let name = name.split('"').next().unwrap();
                if !known.contains(name) {
                    wrong.push(format!("{}: {name:?} has no decoder", path.display()));
                }
            }
        }
    }
    assert!(n_kernels >= 14, "only {n_kernels} kernels were found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn bytes_that_are_no_kernel_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    for spec in all_specs(dir.path()) {
        let bytes = encoded(&spec);
        for len in 0..bytes.len() {
            assert!(postcard::from_bytes::<KernelSpec>(&bytes[..len]).is_err());
        }
        // Some of these are kernels as well, but none may panic.
        for bit in (0..bytes.len() * 8).step_by(1 + bytes.len() / 100) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(spec) = postcard::from_bytes::<KernelSpec>(&flipped) {
                drop(REGISTRY.kernel(&spec));
            }
        }
    }
    // Kernels in kernels in kernels end before the stack does.
    let forward = KernelSpec::new("forward", &());
    let mut nested = forward.clone();
    for _ in 0..2000 {
        let wiring = Wiring { consumer: vec![], producer: vec![], n_slots: 0, ..Wiring::default() };
        let grid: &[u64] = &[1];
        let chain = (nested, BlockMap::Linear, grid, grid, &forward, 0_usize, wiring, ["", ""]);
        nested = KernelSpec::new("chain", &chain);
    }
    assert!(REGISTRY.kernel(&nested).unwrap_err().to_string().contains("too deep"));
}

#[test]
fn blocks_come_back_with_their_bits() {
    let pool = Arc::new(BufferPool::new(0));
    let odd = f64::from_bits(0x7ff8_dead_beef_0001);
    let data = ndarray::arr1(&[odd, -0.0, 1.5, f64::INFINITY, 5e-324, 2.0]);
    let (kind, bytes) = block_of(&data).encode().unwrap();
    for shift in 0..8 {
        // The bytes lie anywhere.
        let moved = [vec![0; shift], bytes.clone()].concat();
        let block = REGISTRY.value(kind, &moved[shift..], &pool).unwrap();
        assert_eq!(block.encode().unwrap().1, bytes);
    }
    for len in 0..bytes.len() {
        assert!(REGISTRY.value(kind, &bytes[..len], &pool).is_err(), "{len}");
    }
    assert!(REGISTRY.value("nothing", &bytes, &pool).is_err());
}

/// What a product rounds to depends on where in memory its factors have which axis.
#[test]
fn a_block_that_was_sent_gives_the_same_product() {
    let pool = Arc::new(BufferPool::new(0));
    let data = ndarray::Array2::from_shape_fn((37, 41), |(i, j)| (i as f64 * 1.7 + j as f64).sin());
    let x = array::from_ndarray(data, "auto");
    let views = [
        x.slice(s![.., ..]),
        x.slice(s![.., 3..40]),
        x.slice(s![..;-1, ..]),
        x.slice(s![..;2, 5..;3]),
        x.slice(s![7..8, ..]),
        x.slice(s![.., 7..8]),
    ];
    for view in views {
        for factors in [[&view, &view.transpose()], [&view.transpose(), &view]] {
            let layers = layers(&factors[0].matmul(factors[1]), false);
            let mut blocks: Vec<[Block; 2]> = Vec::new();
            for layer in layers.layers() {
                let task = TaskContext { block: &vec![0; layer.grid.len()], pool: &pool };
                let run = |i: usize| {
                    let inputs =
                        layer.inputs.iter().map(|input| blocks[input.layer.idx()][i].clone());
                    let slots = inputs.map(|block| vec![block]).collect();
                    layer.kernel.run(&task, Inputs::from_slots(slots)).unwrap()
                };
                let (here, there) = (run(0), run(1));
                let (kind, bytes) = there.encode().unwrap();
                let elements =
                    |bytes: &[u8]| bytes[bytes.len() - here.nbytes_elsewhere() as usize..].to_vec();
                let own = here.encode().unwrap().1;
                assert_eq!(elements(&own), elements(&bytes), "{}", layer.name);
                blocks.push([here, REGISTRY.value(kind, &bytes, &pool).unwrap()]);
            }
        }
    }
}

// Messages.

fn messages() -> Vec<Order> {
    let invocation = Invocation { block: vec![3, 1 << 40], first_slot: 1, slot_ends: vec![1, 2] };
    let inputs = vec![(7, None), (8, Some("127.0.0.1:99".parse().unwrap()))];
    vec![
        Order::Layer { layer: 3, kernel: KernelSpec::new("forward", &()) },
        Order::Run(RunTask {
            key: 1,
            layer: 3,
            invocation,
            inputs,
            declared_bytes: 1 << 50,
            is_read: true,
            is_result: false,
        }),
        Order::Free(vec![1, 2, u32::MAX]),
        Order::End,
    ]
}

#[test]
fn messages_come_back_and_broken_ones_do_not() {
    for message in messages() {
        let mut bytes = Vec::new();
        wire::send(&mut bytes, &message, b"a block").unwrap();
        let read = |bytes: &[u8]| wire::receive::<Order>(&mut Cursor::new(bytes), 1 << 20);
        let received = read(&bytes).unwrap().unwrap();
        assert_eq!((&received.message, received.block()), (&message, &b"a block"[..]));
        assert_eq!(received.n_bytes(), bytes.len() as u64);
        assert!(read(&[]).unwrap().is_none());
        for len in 1..bytes.len() {
            assert!(read(&bytes[..len]).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn a_header_that_promises_much_costs_nothing() {
    let mut bytes = Vec::new();
    wire::send(&mut bytes, &Order::End, &[]).unwrap();
    bytes[4..12].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    let read = |max| wire::receive::<Order>(&mut Cursor::new(&bytes), max).unwrap_err().to_string();
    assert!(read(1 << 20).contains("expected at most 1048576"));
    assert!(read(u64::MAX).contains("ends after"));
}

// Workers.

/// A client that sends what it likes.
struct RawClient(TcpStream);

impl RawClient {
    fn connect(worker: &Running) -> Self {
        RawClient(connect(worker.address(), Role::Client).unwrap().0)
    }

    fn send(&mut self, order: &Order, block: &[u8]) {
        wire::send(&mut self.0, order, block).unwrap();
    }

    /// The next report with the bytes of its block.
    fn report(&mut self) -> (Report, Vec<u8>) {
        loop {
            let received = wire::receive::<Report>(&mut self.0, 1 << 20).unwrap().unwrap();
            if received.message != Report::Alive {
                return (received.message.clone(), received.block().to_vec());
            }
        }
    }

    /// Why a task that forwards block 9 fails.
    fn failure(&mut self, layer: u32, slot_ends: &[usize], declared_bytes: u64) -> String {
        self.send(&forward(layer, slot_ends, declared_bytes), &[]);
        match self.report().0 {
            Report::Failed { key: 1, failure: Failure::Error(text) } => text,
            Report::Failed { key: 1, failure: Failure::Panic(text) } => format!("panic: {text}"),
            other => panic!("{other:?}"),
        }
    }
}

fn forward(layer: u32, slot_ends: &[usize], declared_bytes: u64) -> Order {
    Order::Run(RunTask {
        key: 1,
        layer,
        invocation: Invocation { block: vec![], first_slot: 0, slot_ends: slot_ends.to_vec() },
        inputs: vec![(9, None)],
        declared_bytes,
        is_read: false,
        is_result: true,
    })
}

#[test]
fn a_worker_reports_tasks_that_make_no_sense_and_lives() {
    let worker = worker();
    let mut client = RawClient::connect(&worker);
    let kernel = |name| KernelSpec::new(name, &());
    client.send(&Order::Layer { layer: 0, kernel: kernel("forward") }, &[]);
    client.send(&Order::Layer { layer: 1, kernel: kernel("nothing") }, &[]);
    assert!(client.failure(0, &[1], 8).contains("an input was not sent"));
    let (kind, bytes) = block_of(&ndarray::arr1(&[1.0, 2.0])).encode().unwrap();
    client.send(&Order::Keep { key: 9, kind: kind.into() }, &bytes);
    assert!(client.failure(7, &[1], 8).contains("its layer was not sent"));
    assert!(client.failure(1, &[1], 8).contains("no such kernel"));
    assert!(client.failure(0, &[1], 1 << 40).contains("memory limit"));
    assert!(client.failure(0, &[0, 5], 8).starts_with("panic: "));
    client.send(&forward(0, &[1], 8), &[]);
    let (report, block) = client.report();
    assert!(matches!(report, Report::Finished { key: 1, nbytes: 16, .. }));
    assert_eq!(block, bytes);
    client.0.write_all(b"something else entirely").unwrap();
    assert!(matches!(client.report().0, Report::Broken(_)));
    // The next one is served as if nothing had been.
    drop(client);
    assert_eq!(Cluster::connect([worker.address()]).unwrap().n_workers(), 1);
}

#[test]
fn strangers_are_sent_away() {
    let worker = worker();
    let mut stranger = TcpStream::connect(worker.address()).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let welcome = wire::receive::<Welcome>(&mut stranger, 1 << 20).unwrap().unwrap().message;
    assert!(matches!(welcome, Welcome::Refused(_)));
    let mut other_build = TcpStream::connect(worker.address()).unwrap();
    let hello = wire::Hello { build: "0.0.1".into(), role: Role::Client };
    wire::send(&mut other_build, &hello, &[]).unwrap();
    let welcome = wire::receive::<Welcome>(&mut other_build, 1 << 20).unwrap().unwrap().message;
    assert!(
        matches!(welcome, Welcome::Refused(text) if text.contains("got a connection of build 0.0.1"))
    );
    assert_eq!(other_build.read(&mut [0]).unwrap(), 0);
}

#[test]
fn addresses_are_checked() {
    let error = Worker::bind("0.0.0.0:0").unwrap_err().to_string();
    assert!(error.contains("bind_trusted") && error.contains("tests.rs"), "{error}");
    let error = Cluster::connect([] as [&str; 0]).unwrap_err().to_string();
    assert!(error.contains("at least one address"), "{error}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Cluster::connect([address]).unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("tests.rs"), "{error}");
}

/// A worker that is gone as soon as it gets a task.
fn dying_worker() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    super::spawn("dying", move || {
        let (mut client, _) = listener.accept().unwrap();
        wire::receive::<wire::Hello>(&mut client, 1 << 20).unwrap();
        let welcome = Welcome::Ready { n_threads: 1, memory_limit: 1 << 30 };
        wire::send(&mut client, &welcome, &[]).unwrap();
        while let Ok(Some(order)) = wire::receive::<Order>(&mut client, 1 << 20) {
            if matches!(order.message, Order::Run(_)) {
                return;
            }
        }
    })
    .unwrap();
    address
}

#[test]
fn a_worker_that_dies_in_a_run_ends_it() {
    let (alive, dying) = (worker(), dying_worker());
    let cluster = Cluster::connect([alive.address(), dying]).unwrap();
    for _ in 0..2 {
        // The second run does not even begin.
        let error = cluster.compute(numbers(1000, 10).sum(..)).unwrap_err();
        assert!(matches!(&error, Error::Worker { address, .. } if *address == dying.to_string()));
        assert!(error.to_string().contains("was lost"), "{error}");
    }
    drop(cluster);
    let cluster = Cluster::connect([alive.address()]).unwrap();
    let x = numbers(1000, 10).sum(..);
    assert_eq!(cluster.compute(&x).unwrap(), x.compute().unwrap());
}

#[test]
fn a_worker_that_dies_between_runs_is_noticed() {
    let mut cluster = start(2);
    cluster.compute(numbers(100, 10).sum(..)).unwrap();
    cluster.kill_one();
    let error = cluster.compute(numbers(100, 10).sum(..)).unwrap_err();
    assert!(matches!(error, Error::Worker { .. }), "{error}");
}

// Runs.

/// The only block of an array.
fn block_of(data: &ndarray::Array1<f64>) -> Block {
    let layers = layers(&array::from_ndarray(data.clone(), "auto"), false);
    let task = TaskContext { block: &[0], pool: &Arc::new(BufferPool::new(0)) };
    layers.layers()[0].kernel.run(&task, Inputs::new(vec![], vec![])).unwrap()
}

#[test]
fn several_results_share_their_work_and_their_bits() {
    let cluster = start(2);
    let x = numbers(3000, 170).reshape([30, 100]).rechunk([7, 40]);
    let y =
        array::from_ndarray(ndarray::Array2::from_elem((30, 1), 0.3), [4, 1]).persist().unwrap();
    let z = (&x * &y).matmul(&x.transpose());
    let results = vec![&z - z.mean(0), z.std(1), z.argmax(0).cast(), x.slice(s![..;-3, 5]), x];
    let bits = |results: Vec<ndarray::ArrayD<f64>>| -> Vec<Vec<u64>> {
        results.iter().map(|result| result.iter().map(|x| x.to_bits()).collect()).collect()
    };
    assert_eq!(bits(cluster.compute(&results).unwrap()), bits(compute(&results).unwrap()));
}

#[test]
fn files_are_read_where_the_tasks_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    numbers(20_000, 1000).to_npy(&path).unwrap();
    let x = array::open_npy::<f64>(&path).rechunk([1000]);
    let cluster = start(2);
    let mean = cluster.compute(x.mean(..)).unwrap();
    assert_eq!(mean, x.mean(..).compute().unwrap());
    assert!(cluster.traffic().to_workers < 20_000, "{:?}", cluster.traffic());
    fs::remove_file(&path).unwrap();
    let error = cluster.compute(x.mean(..)).unwrap_err();
    assert!(matches!(error, Error::TaskFailed { .. }), "{error}");
    assert!(error.to_string().contains("x.npy"), "{error}");
    // A task that fails is no reason to lose the workers.
    assert_eq!(
        cluster.compute(numbers(10, 3).max(..)).unwrap(),
        numbers(10, 3).max(..).compute().unwrap()
    );
}

#[test]
fn functions_of_this_process_are_refused_before_anything_is_sent() {
    let cluster = start(1);
    let before = cluster.traffic();
    let line = line!() + 1;
    let mapped = numbers(100, 10).map_blocks(|block, _| block.to_owned());
    let error = cluster.compute((&mapped + 1.0).sum(..)).unwrap_err();
    let Error::CannotSend { op, call: Some(call), .. } = &error else { panic!("{error}") };
    assert_eq!((op.as_str(), call.at.line()), ("map_blocks", line));
    assert!(error.to_string().contains("persist()"), "{error}");
    assert_eq!(cluster.traffic(), before);
    let kept = mapped.persist().unwrap().sum(..);
    assert_eq!(cluster.compute(&kept).unwrap(), kept.compute().unwrap());
}

#[test]
fn a_tree_sends_partial_results_only() {
    let cluster = start(2);
    let x = numbers(1 << 18, 1 << 11);
    let (mean, std) = cluster.compute((x.mean(..), x.std(..))).unwrap();
    assert_eq!((mean, std), compute((x.mean(..), x.std(..))).unwrap());
    let traffic = cluster.traffic();
    let all = traffic.to_workers + traffic.from_workers + traffic.between_workers;
    // 128 chunks of 16 KiB, with some 200 tasks and as many reports.
    assert!(all < 60_000, "{traffic:?}");
}

#[test]
fn memory_of_this_process_is_sent_once_to_who_needs_it() {
    let cluster = start(2);
    let data = ndarray::Array1::linspace(0.0, 1.0, 20_000);
    let x = array::from_ndarray(data, [1000]);
    let anomaly = &x - x.mean(0);
    assert_eq!(cluster.compute(&anomaly).unwrap(), anomaly.compute().unwrap());
    let traffic = cluster.traffic();
    assert!((160_000..360_000).contains(&traffic.to_workers), "{traffic:?}");
    assert!((160_000..200_000).contains(&traffic.from_workers), "{traffic:?}");
}

#[test]
fn workers_keep_to_their_memory() {
    let config = Config::new().with_threads(4).with_memory_limit(2 << 20);
    let cluster = config.scope(|| LocalCluster::start(2)).unwrap();
    // 8 MiB, of which two workers may hold 1.25.
    let x = numbers(1 << 20, 1 << 13);
    let y = (&x + x.rechunk([5000]).slice(s![..;-1])).rechunk([6000]).std(..);
    assert_eq!(cluster.compute(&y).unwrap(), y.compute().unwrap());
    // Where no task fits, one exceeds the limit.
    let limit = cluster.smallest_memory_limit() + 3 * (1 << 16);
    let peaks = cluster.peak_bytes();
    assert!(peaks.iter().all(|peak| (1..=limit).contains(peak)), "{peaks:?} of {limit}");
    let before = cluster.traffic();
    let error = cluster.compute(x.rechunk([1 << 20]).exp()).unwrap_err();
    assert!(matches!(error, Error::OverBudget { .. }), "{error}");
    assert_eq!(cluster.traffic(), before);
}

#[test]
fn a_cancelled_run_leaves_the_cluster_as_it_was() {
    let cluster = start(2);
    let cancel = CancelToken::new();
    cancel.cancel();
    let stopped = cluster.compute_with(numbers(1000, 10).sum(..), &cancel);
    assert!(matches!(stopped, Err(Error::Cancelled)));
    assert_eq!(
        cluster.compute(numbers(9, 2).sum(..)).unwrap(),
        numbers(9, 2).sum(..).compute().unwrap()
    );
}
