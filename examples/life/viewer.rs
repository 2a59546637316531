//! What a viewer asks of an image of 40 000 chunks: a small window of the smoothed image, at once.
//!
//! The image is smoothed with the pixels around each, chunk by chunk. The plan has three steps however many chunks there are,
//! and tasks are made only for what the window needs: a chunk or, across a corner, four, and those beside them. So panning
//! takes milliseconds.

use std::time::Instant;

use dask_rs::array::Boundary;
use dask_rs::prelude::*;
use ndarray::{ArrayD, ArrayViewD, Ix2, Zip};

use crate::common::Failure;
use crate::workload::Workload;

/// Chunks along each axis.
const N_CHUNKS: u64 = 200;
/// Pixels along each axis of a window.
const WINDOW: u64 = 10;
const N_WINDOWS: u64 = 50;

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    let chunk = ((w.data_bytes() / 8).isqrt() / N_CHUNKS).max(WINDOW);
    let n = chunk * N_CHUNKS;
    let smoothed = image(n, chunk).map_overlap(1, Boundary::Nearest, |block, _| smooth(&block));

    let (mut milliseconds, mut pairs) = (Vec::new(), Vec::new());
    for i in 0..N_WINDOWS {
        // Along a diagonal, through the middle of chunks and across their corners.
        let corner = i * (n - WINDOW) / (N_WINDOWS - 1);
        let range = corner as isize..(corner + WINDOW) as isize;
        let window = smoothed.slice(s![range.clone(), range]);
        let start = Instant::now();
        window.compute()?;
        milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
        // Once more, for the tasks and the memory.
        let seen = w.compute(window)?;
        pairs.extend(seen.indexed_iter().map(|(at, &value)| {
            (value, expected(n, corner + at[0] as u64, corner + at[1] as u64))
        }));
    }
    w.check_all("pixel of a window", pairs, 1e-9);
    milliseconds.sort_by(f64::total_cmp);
    let (middle, longest) = (milliseconds[25], milliseconds[49]);
    w.note(&format!("a window takes {middle:.1} ms, at most {longest:.1}"));
    Ok(())
}

fn image(n: u64, chunk: u64) -> Array<f64> {
    array::from_fn([n, n], [chunk, chunk], |i| pixel(i[0], i[1])).with_dim_names(["y", "x"])
}

fn pixel(y: u64, x: u64) -> f64 {
    let (y, x) = (y as f64, x as f64);
    100.0 + 40.0 * (0.031 * y + 0.002 * x).sin() * (0.027 * x).cos() + (7.0 * y + 13.0 * x) % 5.0
}

/// Half of each pixel and an eighth of each of its four neighbours.
fn smooth(block: &ArrayViewD<'_, f64>) -> ArrayD<f64> {
    let block = block.view().into_dimensionality::<Ix2>().expect("an image has two axes");
    let mut out = block.to_owned();
    Zip::from(out.slice_mut(s![1..-1, 1..-1])).and(block.windows((3, 3))).for_each(|out, near| {
        let beside = near[[0, 1]] + near[[2, 1]] + near[[1, 0]] + near[[1, 2]];
        *out = 0.5 * near[[1, 1]] + 0.125 * beside;
    });
    out.into_dyn()
}

/// The same of one pixel, which sees itself beyond the edges.
fn expected(n: u64, y: u64, x: u64) -> f64 {
    let (above, below) = (y.saturating_sub(1), (y + 1).min(n - 1));
    let (left, right) = (x.saturating_sub(1), (x + 1).min(n - 1));
    let beside = pixel(above, x) + pixel(below, x) + pixel(y, left) + pixel(y, right);
    0.5 * pixel(y, x) + 0.125 * beside
}
