//! Arrays: the programs of NumPy, numexpr, Dask and JAX that `arrays.py` has, on the same elements.
//!
//! What is to be in memory is there before the clock starts; results that stay chunked are persisted, and looked
//! at after it has stopped.

use std::path::Path;

use dask_rs::array::random::Generator;
use dask_rs::array::{
    self, Array, BlockInfo, Boundary, QuantileMethod, ZarrCompressor, ZarrWrite, linalg,
};
use dask_rs::prelude::*;
use ndarray::{ArrayD, ArrayView2, ArrayViewD, Ix2};

use super::common::Failure;
use super::{Check, Workload};

/// About 1 GB, so that NumPy's temporaries fit beside other work.
const FLAT: [u64; 1] = [125_000_000];
const FLAT_CHUNK: [u64; 1] = [5_000_000];
/// Five years of days on a grid.
const CLIMATE: [u64; 3] = [5 * 365, 180, 360];
const CLIMATE_CHUNK: [u64; 3] = [73, 180, 360];

type Build = fn(&Array<f64>) -> Array<f64>;

pub(crate) fn workloads() -> Vec<Workload> {
    let flat = |name, build: Build| number(name, FLAT, FLAT_CHUNK, build);
    let climate = |name, build: Build| computed(name, CLIMATE, CLIMATE_CHUNK, build, weighted);
    let tall: [[u64; 2]; 2] = [[1_000_000, 64], [50_000, 64]];
    vec![
        Workload::new("a_fused", |_| {
            Ok(Box::new(|| {
                let x = array::ones::<f64>(FLAT, FLAT_CHUNK) + 1.0;
                Ok(vec![((&x * 2.0 + 1.0).square() - &x).sum(..).compute()?[[]]])
            }))
        }),
        flat("a_fused_ram", |x| ((x * 2.0 + 1.0).square() - x).sum(..)),
        flat("a_exp_ram", |x| (x.exp() + x.sin()).sum(..)),
        flat("a_pow_ram", |x| (x + 0.5).pow(x).sum(..)),
        Workload::new("b_normal", |_| Ok(Box::new(normal))),
        kept(
            "c_rechunk",
            [12_288, 12_288],
            [512, 12_288],
            |x| x.rechunk([12_288, 512]),
            |y| y.slice(s![..;997, ..;991]).sum(..),
        ),
        number("d_transpose", [12_000, 12_000], [2_000, 2_000], |x| (x + x.transpose()).sum(..)),
        kept("e_matmul", [4_000, 4_000], [1_000, 1_000], |x| x.matmul(x), |y| y.sum(..)),
        computed("f_reshape", [100, 500, 2_500], [20, 100, 2_500], reshaped, |r| {
            vec![r.sum(), r[[7, 11]]]
        }),
        Workload::new("g_slice_ones", |_| {
            Ok(Box::new(|| {
                let x = array::ones::<f64>(WIDE, [1_000, 1_000]);
                Ok(vec![x.slice(s![..;10, 5..50]).mean(..).compute()?[[]]])
            }))
        }),
        Workload::new("g_slice_random", |_| {
            Ok(Box::new(|| {
                let x: Array<f64> = Generator::new(0).random(WIDE, [1_000, 1_000]);
                Ok(vec![rounded(x.slice(s![..;10, 5..50]).mean(..).compute()?[[]], 2)])
            }))
        }),
        number("h_stencil", [4_000, 16_000], [2_000, 2_000], |x| {
            x.map_overlap(1, Boundary::Nearest, box_mean).sum(..)
        }),
        number("h_windows", [4_000, 16_000], [2_000, 2_000], |x| {
            let around = x.pad(1, array::PadMode::Edge);
            around.sliding_window_view([(0, 3), (1, 3)]).mean([-2, -1]).sum(..)
        }),
        number("h_rolling", [4_000, 16_000], [1_000, 4_000], |x| {
            x.sliding_window_view([(0, 7)]).mean(-1).sum(..)
        }),
        kept("i_cumsum", FLAT, FLAT_CHUNK, |x| x.cumsum(0), |y| y.slice(s![..;1_000_003]).sum(..)),
        climate("j_mean_axis0", |x| x.mean(0)),
        climate("j_climatology", |x| x.group_by_axis(0, days()).mean()),
        number("j_anomaly", CLIMATE, CLIMATE_CHUNK, |x| {
            let by_day = x.group_by_axis(0, days());
            (x - by_day.expand(&by_day.mean())).abs().sum(..)
        }),
        zarr("k_zarr_raw", ZarrCompressor::None),
        zarr("k_zarr_zstd", ZarrCompressor::Zstd(1)),
        flat("l_boolean", |x| x.mask(&x.gt(0.5)).sum(..)),
        Workload::later("l_take_rows", |_| {
            let x = elements([500_000, 200], [20_000, 200]).persist()?;
            let rows = positions(100_000, 500_000, 1);
            Ok(Box::new(move || {
                let y = x.take(&rows, 0).persist()?;
                Ok(Box::new(move || Ok(vec![y.slice(s![..;101]).sum(..).compute()?[[]]])))
            }))
        }),
        Workload::later("l_vindex", |_| {
            let x = elements([10_000, 12_500], [2_000, 2_500]).persist()?;
            let lists = [positions(1_000_000, 10_000, 1), positions(1_000_000, 12_500, 2)];
            Ok(Box::new(move || {
                let sum = x.vindex([(0, &lists[0]), (1, &lists[1])]).sum(..).compute()?;
                Ok(Box::new(move || Ok(vec![sum[[]]])))
            }))
        }),
        computed("m_histogram", [100_000_000], FLAT_CHUNK, histogram, |counts| {
            vec![counts.sum(), counts[[3]]]
        }),
        computed("m_percentile", [100_000_000], FLAT_CHUNK, percentiles, |found| {
            found.iter().map(|x| rounded(*x, 3)).collect()
        }),
        computed(
            "m_median_axis",
            [1_000, 50_000],
            [1_000, 2_500],
            |x| x.median(0),
            |r| vec![r.sum()],
        ),
        Workload::later("n_qr", move |_| {
            let x = elements(tall[0], tall[1]).persist()?;
            Ok(Box::new(move || {
                let (_q, r) = compute(linalg::qr(&x))?;
                Ok(Box::new(move || Ok(vec![r.iter().map(|x| x.abs()).sum()])))
            }))
        }),
        computed("n_svd", tall[0], tall[1], |x| linalg::svd(x).1, |s| vec![s.sum()]),
        flat("o_std_ram", |x| x.std(..)),
        flat("o_sum_ram", |x| x.sum(..)),
        axpy(),
    ]
}

const WIDE: [u64; 2] = [1_000_000, 100_000];

/// `i` · 2654435761 mod 2³² as a part of 2³², where `i` is the number of the element in C order: numbers from 0 to 1 that
/// are spread evenly and in no order.
fn element(i: u64) -> f64 {
    f64::from(i.wrapping_mul(2_654_435_761) as u32) / 4_294_967_296.0
}

fn elements<const N: usize>(shape: [u64; N], chunks: [u64; N]) -> Array<f64> {
    let number = move |index: &[u64]| index.iter().zip(&shape).fold(0, |n, (i, len)| n * len + i);
    array::from_fn(shape, chunks, move |index| element(number(index)))
}

/// Times `build` of an array that is in memory, which computes a number.
fn number<const N: usize>(name: &str, shape: [u64; N], chunks: [u64; N], build: Build) -> Workload {
    computed(name, shape, chunks, build, |number| vec![number[[]]])
}

/// Times `build` of an array that is in memory, whose result is small.
fn computed<const N: usize>(
    name: &str,
    shape: [u64; N],
    chunks: [u64; N],
    build: Build,
    check: fn(&ArrayD<f64>) -> Check,
) -> Workload {
    Workload::later(name, move |_| {
        let x = elements(shape, chunks).persist()?;
        Ok(Box::new(move || {
            let result = build(&x).compute()?;
            Ok(Box::new(move || Ok(check(&result))))
        }))
    })
}

/// Times `build` of an array that is in memory, whose result stays there; `check` is computed from it.
fn kept<const N: usize>(
    name: &str,
    shape: [u64; N],
    chunks: [u64; N],
    build: Build,
    check: Build,
) -> Workload {
    Workload::later(name, move |_| {
        let x = elements(shape, chunks).persist()?;
        Ok(Box::new(move || {
            let result = build(&x).persist()?;
            Ok(Box::new(move || Ok(vec![check(&result).compute()?[[]]])))
        }))
    })
}

/// Two inputs that are in memory, and a result that stays there.
fn axpy() -> Workload {
    Workload::later("o_axpy_ram", |_| {
        let x = elements([62_500_000], FLAT_CHUNK).persist()?;
        let y = (1.0 - elements([62_500_000], FLAT_CHUNK)).persist()?;
        Ok(Box::new(move || {
            let z = (&x * 2.0 + &y).persist()?;
            Ok(Box::new(move || Ok(vec![z.slice(s![..;1_009]).sum(..).compute()?[[]]])))
        }))
    })
}

/// Random numbers, whose mean and deviation of each column are of one pass.
fn normal() -> Result<Check, Failure> {
    let x: Array<f64> = Generator::new(0).normal(0.0, 1.0, [10_000, 12_500], [2_000, 2_500]);
    let (mean, std) = compute((x.mean(0), x.std(0)))?;
    Ok([mean, std].map(|of| rounded(of.mean().unwrap_or(f64::NAN), 2)).to_vec())
}

/// Reads an array of files, subtracts its mean over time and writes it, compressed in the same way.
fn zarr(name: &'static str, compressor: ZarrCompressor) -> Workload {
    Workload::later(name, move |data: &Path| {
        let from = data.join(format!("{name}.zarr"));
        let to = data.join(format!("{name}-out-dask-rs.zarr"));
        Ok(Box::new(move || {
            if to.exists() {
                std::fs::remove_dir_all(&to)?;
            }
            let x = array::open_zarr::<f32>(&from);
            let how = ZarrWrite::new().compressor(compressor);
            compute((x.clone() - x.mean(0)).store_zarr(&to, how))?;
            let to = to.clone();
            Ok(Box::new(move || {
                let written = array::open_zarr::<f32>(&to).cast::<f64>();
                // What is left of each place is near zero on average, so that only sizes add up to something.
                let size = written.abs();
                let sizes = (size.slice(s![..;37]).mean(..), size.slice(s![5, .., ..]).mean(..));
                let (some, one) = compute(sizes)?;
                Ok([some, one].map(|of| rounded(of[[]], 2)).to_vec())
            }))
        }))
    })
}

/// The day of the year of each day.
fn days() -> impl Iterator<Item = u64> {
    (0..CLIMATE[0]).map(|day| day % 365)
}

fn reshaped(x: &Array<f64>) -> Array<f64> {
    x.reshape([50_000, 2_500]).reshape([50_000, 50, 50]).sum(0)
}

fn histogram(x: &Array<f64>) -> Array<f64> {
    x.histogram(&array::bins(100, 0.0, 1.0)).cast()
}

fn percentiles(x: &Array<f64>) -> Array<f64> {
    x.percentile([1.0, 25.0, 50.0, 75.0, 99.0], QuantileMethod::Linear, ..)
}

/// The mean of nine neighbours, of all but the elements at the edges.
fn box_mean(x: ArrayViewD<'_, f64>, info: &BlockInfo) -> ArrayD<f64> {
    let mut out = info.empty(x.shape());
    let x: ArrayView2<'_, f64> = x.into_dimensionality::<Ix2>().expect("a matrix");
    let inner = out.slice_mut(s![1..-1, 1..-1]);
    let mut inner = inner.into_dimensionality::<Ix2>().expect("a matrix");
    for (i, mut out) in inner.rows_mut().into_iter().enumerate() {
        let rows = [0, 1, 2].map(|k| x.row(i + k));
        let rows = rows.each_ref().map(|row| row.to_slice().expect("rows lie in C order"));
        let out = out.as_slice_mut().expect("rows lie in C order");
        let windows = rows[0].windows(3).zip(rows[1].windows(3)).zip(rows[2].windows(3));
        for (out, ((a, b), c)) in out.iter_mut().zip(windows) {
            *out = (a[0] + a[1] + a[2] + b[0] + b[1] + b[2] + c[0] + c[1] + c[2]) / 9.0;
        }
    }
    out
}

/// `k` positions below `n` in no order, with repeats: outputs of SplitMix64.
fn positions(k: u64, n: u64, salt: u64) -> Vec<u64> {
    let position = |i: u64| {
        let mut z = i.wrapping_add(salt << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    };
    (0..k).map(position).collect()
}

/// The sum, and the sum of what is multiplied by its place along the first axis.
fn weighted(r: &ArrayD<f64>) -> Check {
    let rows = r.outer_iter().map(|row| row.sum());
    vec![r.sum(), rows.enumerate().map(|(i, sum)| i as f64 * sum).sum()]
}

/// What engines agree on that compute it in other ways.
fn rounded(x: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (x * scale).round() / scale
}
