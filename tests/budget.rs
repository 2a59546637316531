//! What kernels declare is what they allocate: the budget is worth as much as that is true.
//!
//! One test in a program of its own, because it counts what all threads allocate.

use dask_rs::ExecutorKind;
use dask_rs::array::{fft, linalg};
use dask_rs::bench_support::{TaskBytes, measure_tasks};
use dask_rs::prelude::*;
use num_complex::Complex;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Blocks are `N` by `N`, 512 KiB of `f64`.
const N: u64 = 256;
/// Shapes, indices and strips of a few registers, which nobody declares.
const SMALL_BYTES: u64 = 48 << 10;

fn meter(f: &mut dyn FnMut()) -> u64 {
    let before = ALLOCATOR.current_usage() as u64;
    ALLOCATOR.reset_peak_usage();
    f();
    (ALLOCATOR.peak_usage() as u64).saturating_sub(before)
}

/// What is wrong with the declaration of a layer. Of rows it is only known how many there may be.
fn problem(layer: &TaskBytes, is_frame: bool) -> Option<&'static str> {
    let around = |bytes: u64| bytes + bytes * 15 / 100 + SMALL_BYTES;
    let declared = layer.declared_output + layer.declared_scratch;
    if layer.allocated > around(declared) {
        Some("allocates more than it declares")
    } else if layer.declared_output > around(layer.output) && !is_frame {
        Some("declares a larger block than comes out")
    } else if layer.output > around(layer.declared_output) {
        Some("puts out a larger block than it declares")
    } else {
        None
    }
}

/// The layers of some plans by name.
type Measured = Vec<(String, TaskBytes)>;

#[test]
fn kernels_allocate_what_they_declare() {
    let mut wrong = check(&arrays(), false);
    #[cfg(feature = "frame")]
    wrong.extend(check(&frames(), true));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn check(all: &Measured, is_frame: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, layer) in all {
        let text = format!(
            "{name}: {}: declared {} + {}, put out {}, allocated {}",
            layer.op, layer.declared_output, layer.declared_scratch, layer.output, layer.allocated
        );
        wrong.extend(problem(layer, is_frame).map(|problem| format!("{text}: {problem}")));
    }
    wrong
}

fn arrays() -> Measured {
    let dir = tempfile::tempdir().unwrap();
    let x = || array::from_fn([2 * N, 2 * N], [N, N], |i| (i[0] * 3 + i[1]) as f64);
    let y = || array::from_fn([2 * N], [N], |i| i[0] as f64);
    let narrow = || array::from_fn([2 * N, 2 * N], [N, N], |i| (i[0] + i[1]) as f32);
    let distinct = || array::from_fn([2 * N, 2 * N], [N, N], |i| (i[0] * 2 * N + i[1]) as f64);
    let random = || -> Array<f64> {
        array::random::Generator::new(1).normal(0.0, 1.0, [2 * N, 2 * N], [N, N])
    };
    let months = || x().group_by_axis(0, (0..2 * N).map(|i| i % 12));
    // Rows enough for several blocks, and a matrix that has a root.
    let tall = || array::from_fn([8 * N, N / 4], [2 * N, N / 4], |i| ((i[0] * i[1]) as f64).sin());
    let near_one = |i: &[u64]| if i[0] == i[1] { 9.0 } else { 1.0 / (1 + i[0] + i[1]) as f64 };
    let square = || array::from_fn([2 * N, 2 * N], [N, N], near_one);
    let (npy, zarr) = (dir.path().join("x.npy"), dir.path().join("x.zarr"));
    x().to_npy(&npy).unwrap();
    x().to_zarr(&zarr).unwrap();
    let open_npy = || array::open_npy::<f64>(&npy).rechunk([N, N]);
    let open_zarr = || array::open_zarr::<f64>(&zarr).rechunk([N, N]);

    // Each thread keeps what the first product packs its operands into, and the plans of its transforms.
    let serial = Config::new().with_executor(ExecutorKind::Serial);
    serial.scope(|| compute((x().matmul(&x()), narrow().matmul(&narrow())))).unwrap();
    serial.scope(|| compute(linalg::solve(&square(), &x()))).unwrap();
    let real = || fft::irfft(&x(), None, 1, fft::FftNorm::Backward);
    let transforms = || (fft::fft(&x(), None, 0, fft::FftNorm::Backward), real());
    serial
        .scope(|| compute((transforms(), fft::rfft(&narrow(), None, 1, fft::FftNorm::Backward))))
        .unwrap();
    let mut all = Vec::new();
    let mut add = |name: &str, x: &dyn Fn() -> Result<Vec<TaskBytes>>| {
        for optimize in [true, false] {
            let layers = Config::new().with_optimize(optimize).scope(x).unwrap();
            all.extend(layers.into_iter().map(|layer| (name.to_owned(), layer)));
        }
    };
    macro_rules! cases {
        ($($name:literal: $x:expr;)*) => { $(add($name, &|| measure_tasks(&$x, &meter));)* };
    }
    cases! {
        "quantile_weighted": x().quantile_weighted([0.1, 0.5], &(x().square() + 1.0), 0);
        "quantile_approximate": x().quantile_approximate(0.5, 0.005, 1);
        "quantile_approximate of all": narrow().quantile_approximate(0.5, 0.005, ..);
        "shuffle": x().shuffle((0..64).map(|i| (0..8).map(move |j| (i + 64 * j) as i64)), 0);
        "nanlast": months().nanlast();
        "groups of computed labels": x().group_by_array(1, &(y() % 12.0), (0..12).map(f64::from)).mean();
        "unique counts": distinct().unique_counts();
        "unique counts of floats": distinct().cast::<f32>().unique_counts();
        "unique counts of bytes": (distinct() % 256.0).cast::<u8>().unique_counts();
        "unique places": distinct().unique_index();
        "arithmetic": (x() * 2.0 + x()).sqrt() - 1.0;
        "a cast up": narrow().cast::<f64>() + 1.0;
        "complex": x().cast::<Complex<f64>>() * Complex::new(0.0, 1.0);
        "broadcast": x() + y() * x().slice(s![..1, ..]);
        "a choice": array::where_(&x().gt(5.0), x(), y());
        "a transposed operand": x() + x().transpose();
        "a reversed operand": x() + x().slice(s![..;-1, ..;-1]);
        "columns": x().slice(s![.., ..;3]) * 2.0;
        "rows": x().slice(s![7..500, ..]);
        "sum": x().sum(..);
        "sums of columns": x().sum(0);
        "sums of rows of a transpose": x().transpose().sum(1);
        "moments": x().std(0);
        "positions": x().argmax(1);
        "extremes": narrow().nanmin(0);
        "anomaly": x() - x().mean(0);
        "rows to columns": x().rechunk([2 * N, N / 2]);
        "finer": x().rechunk([N / 2, N / 3]);
        "reshape": x().reshape([N as i64, -1]) + 0.0;
        "ravel of a transpose": x().transpose().ravel();
        "side by side": array::concatenate(&[x(), x()], 1).rechunk([N, 3 * N / 2]);
        "stack": array::stack(&[x(), x()], 0) * 2.0;
        "product": x().matmul(&x());
        "product of a transpose": x().transpose().matmul(&x());
        "product of computed matrices": (x() * 2.0).matmul(&(x() + 1.0).transpose());
        "product of f32": narrow().matmul(&narrow());
        "a long matrix's triangle": linalg::qr(&tall()).1;
        "a long matrix's vectors": linalg::svd(&tall()).0;
        "a wide matrix's vectors": linalg::svd(&tall().transpose()).2;
        "least squares": linalg::lstsq(&tall(), &tall().slice(s![.., 0]), None).x;
        "compressed": linalg::svd_compressed(&x(), 5, Default::default()).0;
        "a solution": linalg::solve(&square(), &x());
        "an upper triangle": linalg::lu(&square()).2;
        "a lower triangle": linalg::lu(&square()).1;
        "a root": linalg::cholesky(&square());
        "a sum of products": linalg::einsum("ij,kj->ik", &[&x(), &x()]);
        "a transform of columns": fft::fft(&x(), None, 0, fft::FftNorm::Backward);
        "a transform of real numbers": fft::rfft(&narrow(), None, 1, fft::FftNorm::Backward);
        "and back": fft::irfft(&x(), None, 1, fft::FftNorm::Backward);
        "a function of rows": array::apply_gufunc("(i)->(i)", &[&x()], &[], |blocks| vec![&blocks[0] * 2.0])[0];
        "blocks": x().map_blocks(|block, _| block.to_owned());
        "means of windows": x().sliding_window_view([(0, 7)]).mean(-1);
        "boxes of a transpose": x().transpose().sliding_window_view([(0, 3), (1, 3)]).max([2, 3]);
        "deviations of windows": narrow().sliding_window_view([(1, 5)]).std(-1);
        "random": random();
        "random in place": (random() * 2.0).slice(s![.., ..;-3]);
        "random around numbers": array::random::Generator::new(1).poisson(x(), [2 * N, 2 * N], [N, N]);
        "groups of rows": x().group_by_axis(0, (0..2 * N).map(|i| i % 12)).mean();
        "groups of columns": x().group_by_axis(1, (0..2 * N).map(|i| i % 50)).var(1.0);
        "zones": x().group_by_axis([0, 1], (0..4 * N * N).map(|i| i % 1000)).sum();
        "resampled": x().resample(0, 10).max();
        "medians of groups": x().group_by_axis(0, (0..2 * N).map(|i| i % 12)).median();
        "expanded": months().expand(&months().mean());
        "positions of the largest": x().argtopk(9, 1);
        "computed positions": x().take_array(&x().argtopk(2, 0).slice(s![0, ..]), 0);
        "points in boxes": array::histogram2d(&x(), &x(), &array::bins(40, 0.0, 2000.0), &array::bins(30, 0.0, 900.0));
        "t-test": x().ttest_1samp(3.0, 0).pvalue;
        "npy": open_npy() + 1.0;
        "npy backwards": open_npy().slice(s![..;-1, ..]);
        "npy steps": open_npy().slice(s![.., ..;4]);
        "zarr": open_zarr() + 1.0;
        "zarr across chunks": array::open_zarr::<f64>(&zarr).rechunk([N / 2, 2 * N]) + 1.0;
    }
    all
}

#[cfg(feature = "frame")]
fn frames() -> Measured {
    use dask_rs::frame::polars_core::df;
    use dask_rs::frame::{DataFrame as Frame, JoinHow, RankTies, col, len, lit};

    let dir = tempfile::tempdir().unwrap();
    const ROWS: i64 = 80_000;
    let key: Vec<i64> = (0..ROWS).map(|i| i * 7919 % ROWS).collect();
    let group: Vec<i64> = key.iter().map(|key| key % 50).collect();
    let v: Vec<f64> = key.iter().map(|key| *key as f64 * 0.5).collect();
    let text: Vec<String> = key.iter().map(|key| format!("the text of row {key}")).collect();
    let rows = df!["k" => key, "g" => group, "v" => v, "s" => text].unwrap();
    let (parquet, csv, ipc) = (dir.path().join("p"), dir.path().join("c"), dir.path().join("i"));
    // Four partitions of nearly a MiB each.
    let config = Config::new().with_chunk_bytes(1 << 20).with_memory_limit(256 << 20);
    let config = config.with_executor(ExecutorKind::Serial).with_spill_directory(dir.path());
    let mut all = Vec::new();
    config.scope(|| {
        let whole = Frame::from_polars(&rows, 4);
        whole.to_parquet(&parquet).unwrap();
        whole.to_csv(&csv).unwrap();
        whole.to_ipc(&ipc).unwrap();
        let x = || Frame::read_parquet(&parquet);
        let numbers = || x().select([col("k"), col("g"), col("v")]);
        let mut add = |name: &str, frame: &Frame| {
            // What threads keep, and tables that are made once.
            frame.compute().unwrap();
            let layers = measure_tasks(frame, &meter).unwrap();
            all.extend(layers.into_iter().map(|layer| (name.to_owned(), layer)));
        };
        macro_rules! cases {
            ($($name:literal: $frame:expr;)*) => { $(add($name, &$frame);)* };
        }
        cases! {
            "parquet": x();
            "columns of parquet": numbers();
            "csv": Frame::read_csv(&csv);
            "ipc": Frame::read_ipc(&ipc);
            "filtered": x().filter(col("v").gt(lit(10_000.0)));
            "filtered in memory": x().persist().unwrap().filter(col("v").gt(lit(10_000.0)));
            "arithmetic": numbers().with_columns([(col("v") * 2.0 + col("k")).alias("w")]);
            "sums": x().agg([col("v").sum(), col("k").max(), len()]);
            "few groups": x().group_by(["g"]).agg([col("v").mean(), len()]);
            "many groups": numbers().group_by(["k"]).agg([col("v").sum(), len()]);
            "groups of texts": x().group_by(["s"]).agg([col("v").sum()]);
            "medians of groups": numbers().group_by(["g"]).agg([col("v").median()]);
            "distinct": x().select([col("g")]).unique();
            "number of distinct": x().agg([col("k").n_unique()]);
            "sorted": numbers().sort("k", true);
            "sorted texts": x().sort("s", false);
            "index": numbers().set_index("k");
            "largest": x().top_k(1000, "v");
            "joined": numbers().join(&numbers().select([col("k"), col("v").alias("w")]), "k", JoinHow::Inner);
            "joined texts": x().join(&x().select([col("s"), col("v").alias("w")]), "s", JoinHow::Left);
            "joined with a small one": x().join(&x().head(100).select([col("k"), col("v").alias("w")]), "k", JoinHow::Inner);
            "windows": numbers().with_columns([col("v").sum().over(["g"]).alias("sum")]);
            "ranks": numbers().with_columns([col("v").rank(RankTies::Average, false).over(["g"]).alias("rank")]);
            "running sums": numbers().with_columns([col("v").cum_sum(false).alias("sum")]);
            "shifted": numbers().with_columns([col("v").shift(1).alias("before")]);
            "in other partitions": x().repartition(3);
            "one after the other": Frame::concat([&x(), &x()]);
        }
    });
    all
}
