//! Of kernels of arrays.

use dask_rs::ExecutorKind;
use dask_rs::array::{fft, linalg};
use dask_rs::bench_support::{TaskBytes, measure_tasks};
use dask_rs::prelude::*;
use num_complex::Complex;

use super::{around, check, meter};

/// Blocks are `N` by `N`, 512 KiB of `f64`.
const N: u64 = 256;

/// What is wrong with the declaration of a layer.
fn problem(layer: &TaskBytes) -> Option<&'static str> {
    let declared = layer.declared_output + layer.declared_scratch;
    if layer.allocated > around(declared) {
        Some("allocates more than it declares")
    } else if layer.declared_output > around(layer.output) {
        Some("declares a larger block than comes out")
    } else if layer.output > around(layer.declared_output) {
        Some("puts out a larger block than it declares")
    } else {
        None
    }
}

#[test]
fn kernels_of_arrays_allocate_what_they_declare() {
    let _turn = super::turn();
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
        "rows and what they add up to": array::apply_gufunc("(i)->(i),()", &[&x()], &[], |blocks| {
            let copy = blocks[0].to_owned();
            vec![&copy * 2.0, copy.sum_axis(ndarray::Axis(copy.ndim() - 1))]
        })[0].with_scratch_bytes(2 * N * N * 8);
        "letters": array::blockwise("ij,j->ji", (&x(), &y()), &[], |(x, y), _| {
            (&x * &y).reversed_axes().as_standard_layout().into_owned()
        }).with_scratch_bytes(N * N * 8);
        "a function that needs more": x().map_blocks(|block, _| (&block * 2.0) + &(&block * 3.0)).with_scratch_bytes(N * N * 8);
        "with what is around": x().map_overlap(8, array::Boundary::Nearest, |block, _| (&block * 2.0) + &(&block * 3.0))
            .with_scratch_bytes((N + 16) * (N + 16) * 8);
        "cumulative": x().cumreduction(0, |x, axis| {
            let mut x = x.to_owned();
            x.accumulate_axis_inplace(ndarray::Axis(axis), |&a, b| *b += a);
            x
        }, |before, x| &x + &before);
        "blocks": x().map_blocks(|block, _| block.to_owned());
        "means of windows": x().sliding_window_view([(0, 7)]).mean(-1);
        "boxes of a transpose": x().transpose().sliding_window_view([(0, 3), (1, 3)]).max([2, 3]);
        "deviations of windows": narrow().sliding_window_view([(1, 5)]).std(-1);
        "random": random();
        "random in place": (random() * 2.0).slice(s![.., ..;-3]);
        "random around numbers": array::random::Generator::new(1).poisson(x(), [2 * N, 2 * N], [N, N]);
        "groups of rows": x().group_by_axis(0, (0..2 * N).map(|i| i % 12)).mean();
        "groups of rows that are in a block once": x().group_by_axis(0, (0..2 * N).map(|i| i % N)).mean();
        "points": x().vindex([(0, (0..4 * N).map(|i| i * 7919 % (2 * N)).collect::<Vec<_>>()), (1, vec![3; 4 * N as usize])]);
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
    check(&all, problem);
}
