//! Arrays of 0.8 GB in memory: one pass over them, several, and passes that move data.

use dask_rs::array::{self, Array};

use super::Workload;

pub(crate) fn workloads() -> Vec<Workload> {
    let flat =
        |name, build: fn(&Array<f64>) -> Array<f64>| held(name, [100_000_000], [5_000_000], build);
    let square = |name, build: fn(&Array<f64>) -> Array<f64>| {
        held(name, [10_000, 10_000], [1_000, 10_000], build)
    };
    vec![
        flat("a_sum", |x| x.sum(..)),
        flat("a_std", |x| x.std(..)),
        flat("a_fused", |x| ((x * 2.0 + 1.0).square() - x).sum(..)),
        flat("a_exp", |x| (x.exp() + x.sin()).sum(..)),
        square("a_mean_columns", |x| x.mean(0).max(..)),
        square("a_anomaly", |x| (x - x.mean(0)).std(0).mean(..)),
        square("a_rechunk", |x| x.rechunk([10_000, 1_000]).max(0).sum(..)),
        square("a_transpose", |x| (x + x.transpose()).sum(..)),
        held("a_matmul", [4_000, 4_000], [1_000, 1_000], |x| x.matmul(x).sum(..)),
        held("a_reshape", [200, 500, 1_000], [20, 100, 1_000], |x| {
            x.reshape([100_000, 1_000]).max(0).sum(..)
        }),
    ]
}

/// Times `build` of an array that is in memory; no element of it can be had from its neighbour.
fn held<const N: usize>(
    name: &str,
    shape: [u64; N],
    chunks: [u64; N],
    build: fn(&Array<f64>) -> Array<f64>,
) -> Workload {
    Workload::new(name, move |_| {
        let element = |i: u64| (i * 7919 % 1_000_003) as f64 / 1e6;
        let value = move |index: &[u64]| {
            element(index.iter().zip(&shape).fold(0, |flat, (i, len)| flat * len + i))
        };
        let x = array::from_fn(shape, chunks, value).persist()?;
        Ok(Box::new(move || Ok(vec![build(&x).compute()?[[]]])))
    })
}
