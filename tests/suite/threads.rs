//! Whatever products, factorizations, transforms and codecs would do on threads of their own is done by those of the
//! configuration.

use std::path::Path;

use dask_rs::array::{ZarrCompressor, ZarrWrite, fft, linalg};
use dask_rs::prelude::*;

use crate::busy::{check_child, others_in};
use crate::child::Case;

#[test]
fn nothing_runs_beside_the_threads_of_the_configuration() {
    check_child(module_path!());
}

/// Runs everything, if this process is a child.
#[test]
fn child() {
    let Some(case) = Case::of_this_process() else { return };
    let mut others = Vec::new();
    Config::new().with_threads(1).scope(|| {
        let x = matrix().persist().unwrap();
        for (name, run) in work() {
            others.extend(others_in(name, || run(&x, &case.dir)));
        }
        // A function of the user may do so, which shows that it would be seen.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).thread_name(|_| "users".into());
        let pool = pool.build().unwrap();
        let beside = x.map_blocks(move |block, _| {
            pool.install(|| (0..20).fold(block.to_owned(), |sum, _| sum + &block))
        });
        assert!(!others_in("a function", || done(&beside)).is_empty());
    });
    assert!(others.is_empty(), "{others:#?}");
    eprintln!("all was run");
}

/// Rows that are far from each other, 512 KiB in each of four chunks.
fn matrix() -> Array<f64> {
    array::from_fn([512, 512], [256, 256], |i| {
        let far = ((i[0] * 7919 + i[1] * 104_729) % 1009) as f64 / 1009.0;
        if i[0] == i[1] { 600.0 } else { far }
    })
}

type Work = fn(&Array<f64>, &Path) -> Result<()>;

fn done<T: array::Element>(x: &Array<T>) -> Result<()> {
    x.compute().map(drop)
}

/// Writes and reads with a codec.
fn through_zarr(x: &Array<f64>, path: &Path, how: ZarrWrite) -> Result<()> {
    compute(x.store_zarr(path, how))?;
    done(&array::open_zarr::<f64>(path).sum(0))
}

fn work() -> Vec<(&'static str, Work)> {
    use fft::FftNorm::Backward;
    vec![
        ("product", |x, _| done(&x.matmul(&x.transpose()))),
        ("products", |x, _| done(&linalg::einsum("ij,jk,kl->il", &[x, x, x]))),
        ("qr", |x, _| done(&linalg::qr(&x.slice(s![.., ..64]).rechunk([128, 64])).0)),
        ("svd", |x, _| done(&linalg::svd(&x.slice(s![.., ..64]).rechunk([128, 64])).0)),
        ("solve", |x, _| done(&linalg::solve(x, x))),
        ("lu", |x, _| done(&linalg::lu(x).2)),
        ("cholesky", |x, _| done(&linalg::cholesky(&(x + x.transpose())))),
        ("fft", |x, _| done(&fft::fft(&x.rechunk([512, 64]), None, 0, Backward).abs())),
        ("rfft", |x, _| done(&fft::rfft(&x.rechunk([64, 512]), None, 1, Backward).abs())),
        ("random", |_, _| {
            let x: Array<f64> =
                array::random::Generator::new(1).normal(0.0, 1.0, [512, 512], [256, 256]);
            done(&x)
        }),
        ("median", |x, _| done(&x.median(0))),
        ("sort", |x, _| done(&x.topk(100, 1))),
        ("unique", |x, _| done(&x.unique())),
        ("npy", |x, dir| {
            x.to_npy(dir.join("x.npy"))?;
            done(&array::open_npy::<f64>(dir.join("x.npy")).std(..))
        }),
        ("zstd", |x, dir| {
            through_zarr(x, &dir.join("zstd"), ZarrWrite::new().compressor(ZarrCompressor::Zstd(5)))
        }),
        ("gzip", |x, dir| {
            through_zarr(x, &dir.join("gzip"), ZarrWrite::new().compressor(ZarrCompressor::Gzip(3)))
        }),
        ("blosc", |x, dir| {
            through_zarr(
                x,
                &dir.join("blosc"),
                ZarrWrite::new().compressor(ZarrCompressor::BloscZstd(5)),
            )
        }),
        // Inner chunks, which zarrs would code side by side.
        ("shards", |x, dir| {
            let how = ZarrWrite::new().chunks(&[16, 16]).shards(&[256, 256]);
            through_zarr(x, &dir.join("shards"), how.compressor(ZarrCompressor::Zstd(5)))
        }),
    ]
}
