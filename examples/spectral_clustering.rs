//! Clusters that no straight line divides, among more points than fit into memory: approximate spectral clustering.
//!
//! `cargo run --release --example spectral_clustering -- [--memory-limit "64 MiB"] [--factor 4] [--picture FILE.png]`
//!
//! Points are as near as a Gaussian of their distance says. The eigenvectors of all these similarities are found from those with a
//! few landmarks alone (Nyström's method, as in dask-ml), so that n by n becomes n by m, of which nothing is kept but the
//! leading eigenvectors. In their space clusters are round, and k-means finds them. The points are made of known rings.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

mod common;
#[path = "common/picture.rs"]
mod picture;
#[path = "common/workload.rs"]
mod workload;

use std::path::Path;

use common::{Failure, Options};
use dask_rs::array::AxisSpec;
use dask_rs::array::linalg::{Norm, norm, svd};
use dask_rs::prelude::*;
use ndarray::{ArrayD, ArrayView1, Axis};
use plotters::prelude::*;
use workload::{OPTIONS, Workload};

/// Coordinates of a point: two in the plane of the rings, and others in which there is only noise.
const N_AXES: u64 = 8;
/// Radii of the rings.
const RINGS: [f64; 2] = [1.0, 3.0];
const N_CLUSTERS: isize = RINGS.len() as isize;
const N_LANDMARKS: isize = 24;
/// One divided by twice the squared reach of a point.
const GAMMA: f64 = 1.5;
const N_ITERATIONS_MAX: usize = 20;

fn main() -> Result<(), Failure> {
    let mut options = Options::from_args();
    let workload = Workload::from_options(&mut options, 64 << 20)?;
    options.finish(&format!("usage: spectral_clustering {OPTIONS}"))?;
    workload.run(run)
}

fn run(w: &mut Workload) -> Result<(), Failure> {
    let n = w.data_bytes() / 8 / N_AXES;
    points(n).to_npy(w.path("points.npy"))?;

    let points: Array<f64> = array::open_npy(w.path("points.npy"));
    let embedding = embedding(w, &points)?;
    let cluster = k_means(w, &embedding)?;
    // How many points of each ring are in each cluster.
    let ring = array::arange(0, n as i64, 1, cluster.chunks()?) % RINGS.len() as i64;
    let counts = w.compute((&ring * RINGS.len() as i64 + &cluster).bincount(4))?;

    let (a, b) = (counts[[0]].max(counts[[1]]), counts[[2]].max(counts[[3]]));
    let is_split = (counts[[0]] > counts[[1]]) != (counts[[2]] > counts[[3]]);
    w.check("a cluster is a ring", f64::from(is_split), 1.0, 0.0);
    w.check("part of the points in their ring", (a + b) as f64 / n as f64, 1.0, 1e-3);

    if let Some(path) = w.picture() {
        let step = (n / 4000).max(1) as isize;
        let some = s![..;step, ..2];
        let (places, clusters) = compute((points.slice(some), cluster.slice(s![..;step])))?;
        draw(path, &places, &clusters)?;
    }
    Ok(())
}

/// A row for each point, of length 1: what the two leading eigenvectors of the normalized similarities say about it.
fn embedding(w: &mut Workload, points: &Array<f64>) -> Result<Array<f64>> {
    // Points come in no order, so the first ones are as good as any.
    let landmarks = points.slice(s![..N_LANDMARKS, ..]).persist()?;
    let (u, s, v) = svd(&similarity(&landmarks, &landmarks));
    let root = (u / s.sqrt()).matmul(&v).persist()?;
    // The similarities of all points are about the product of this and its transpose. It is made anew for each pass.
    let factor = similarity(points, &landmarks).matmul(&root);
    let sums = w.compute(factor.sum(0))?;
    let degree = factor.matmul(&array::from_ndarray(sums, -1));
    let normalized = factor / degree.sqrt().expand_dims(1);
    let gram = w.compute(normalized.transpose().matmul(&normalized))?;
    let (eigenvectors, _, _) = svd(&array::from_ndarray(gram, -1));
    let leading = normalized.matmul(&eigenvectors.slice(s![.., ..N_CLUSTERS]));
    w.persist(&(&leading / norm(&leading, Norm::P(2.0), over(1).keepdims())))
}

/// From 0 to 1, by the distance of each two points.
fn similarity(a: &Array<f64>, b: &Array<f64>) -> Array<f64> {
    let squares = |x: &Array<f64>| x.square().sum(1);
    let products = a.matmul(&b.transpose());
    let distances = squares(a).expand_dims(1) + squares(b).expand_dims(0) - products * 2.0;
    (distances * -GAMMA).exp()
}

/// The cluster of each row, by Lloyd's algorithm.
fn k_means(w: &mut Workload, rows: &Array<f64>) -> Result<Array<i64>> {
    // Begins with the first row, and the one that has least to do with it.
    let first = rows.slice(s![0, ..]);
    let other = w.compute(rows.dot(&first).abs().argmin(0))?[[]] as isize;
    let mut centres = w.compute(array::stack(&[first, rows.slice(s![other, ..])], 0))?;
    for _ in 0..N_ITERATIONS_MAX {
        let nearest = nearest(rows, &centres);
        let number = array::arange(0, N_CLUSTERS as i64, 1, -1);
        let is_member = nearest.expand_dims(1).eq(number).cast::<f64>();
        let sums = is_member.transpose().matmul(rows);
        let means = w.compute(sums / is_member.sum(0).expand_dims(1))?;
        if (&means - &centres).iter().all(|step| step.abs() < 1e-9) {
            break;
        }
        centres = means;
    }
    Ok(nearest(rows, &centres))
}

fn nearest(rows: &Array<f64>, centres: &ArrayD<f64>) -> Array<i64> {
    (rows.expand_dims(1) - centres).square().sum(2).argmin(1)
}

/// Points of the rings by turns, with noise along all axes.
fn points(n: u64) -> Array<f64> {
    let zeros: Array<f64> = array::zeros([n, N_AXES], ["auto".into(), AxisSpec::Whole]);
    zeros.map_blocks(|block, info| {
        let first = info.start.as_ref().map_or(0, |start| start[0]);
        let mut points = block.to_owned();
        for (i, mut row) in (first..).zip(points.rows_mut()) {
            row.assign(&ArrayView1::from(&point(i)));
        }
        points
    })
}

fn point(i: u64) -> [f64; N_AXES as usize] {
    // Angles at the golden ratio leave no gaps, however many there are.
    let n_rings = RINGS.len() as u64;
    let angle = (i / n_rings) as f64 * 0.618_033_988_749_894_9 * std::f64::consts::TAU;
    let radius = RINGS[(i % n_rings) as usize];
    let mut bits = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut point = std::array::from_fn(|_| {
        bits = (bits ^ (bits >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        0.3 * ((bits >> 11) as f64 / (1_u64 << 53) as f64 - 0.5)
    });
    point[0] += radius * angle.cos();
    point[1] += radius * angle.sin();
    point
}

/// Points in the plane of the rings, in a colour for each cluster.
fn draw(path: &Path, points: &ArrayD<f64>, clusters: &ArrayD<i64>) -> Result<(), Failure> {
    picture::save(path, (420, 420), |area| {
        for (point, &cluster) in points.axis_iter(Axis(0)).zip(clusters) {
            let place = [point[0], point[1]].map(|x| 210 + (60.0 * x) as i32);
            let colour = picture::CURVES[cluster as usize];
            area.draw(&Circle::new((place[0], place[1]), 2, colour.filled()))?;
        }
        Ok(())
    })
}
