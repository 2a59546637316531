//! A blurred volume of a microscope made sharp: Richardson and Lucy's deconvolution, block by block.
//!
//! Each block sees as many voxels around it as the light of a point spreads, and is deconvolved by itself, with Fourier transforms
//! of the whole block. So a volume of any size takes the memory of a few blocks.

use dask_rs::array::fft::{FftNorm, irfftn, rfftn};
use dask_rs::array::{Boundary, ZarrWrite};
use dask_rs::prelude::*;
use ndarray::{Array3, ArrayD, ArrayViewD};

use crate::common::Failure;
use crate::picture::{self, GREY, Scale};
use crate::workload::Workload;

const N_ITERATIONS: usize = 5;
/// There is a bead in the middle of each box of so many voxels.
const BOX: [u64; 3] = [15, 25, 25];
/// How far light spreads along each axis, as a standard deviation in voxels.
const SPREAD: [f64; 3] = [1.5, 1.8, 1.8];
/// Voxels around a block that it sees, along each axis.
const DEPTH: [u64; 3] = [6, 7, 7];
const BACKGROUND: f64 = 100.0;
const LIGHT_OF_BEAD: f64 = 200_000.0;
/// What NumPy finds in the middle of a bead, and between beads. As the volume repeats itself, one box with circular Fourier
/// transforms is the whole volume:
///
/// ```python
/// def spread(n, s):
///     i = np.arange(n) - n // 2
///     g = sum(np.exp(-0.5 * ((i + k * n) / s) ** 2) for k in (-1, 0, 1))
///     return g / g.sum()
/// psf = np.einsum("i,j,k", spread(15, 1.5), spread(25, 1.8), spread(25, 1.8))
/// image = np.floor(100 + 200000 * psf + 0.5)
/// otf = np.fft.rfftn(np.fft.ifftshift(psf))
/// blur = lambda x: np.fft.irfftn(np.fft.rfftn(x) * otf, s=x.shape, axes=(0, 1, 2))
/// estimate = image
/// for _ in range(5):
///     estimate = estimate * blur(image / blur(estimate))
/// print(estimate[7, 12, 12], estimate[0, 0, 0])
/// ```
const BEAD: f64 = 7903.231525017271;
const BETWEEN: f64 = 100.10756581559868;

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    // Fourier transforms that are not optimized take a hundred times as long.
    let part = if cfg!(debug_assertions) { 64 } else { 1 };
    let n_boxes = w.data_bytes() / part / (2 * BOX.iter().product::<u64>());
    let deep = (n_boxes as f64 / 4.0).cbrt().max(1.0) as u64;
    // Blocks cut some beads in two.
    let side = (Config::current()?.chunk_bytes() as f64 / 32.0).cbrt().max(8.0) as u64;
    let block = [side, 2 * side, 2 * side];
    volume([deep, 2 * deep, 2 * deep], block).to_zarr(w.path("blurred"))?;

    let blurred: Array<u16> = array::open_zarr(w.path("blurred"));
    let sharp = blurred.rechunk(block).cast::<f32>().map_overlap(
        DEPTH.map(|depth| (depth, depth)),
        Boundary::Reflect,
        |block, _| deconvolved(&block).expect("the transforms of a block"),
    );
    w.compute(sharp.store_zarr(w.path("sharp"), ZarrWrite::new()))?;

    let sharp: Array<f32> = array::open_zarr(w.path("sharp"));
    let [z, y, x] = BOX.map(|len| len as isize);
    let (beads, corners, light) = compute((
        sharp.slice(s![z / 2..;z, y / 2..;y, x / 2..;x]),
        sharp.slice(s![..;z, ..;y, ..;x]),
        sharp.cast::<f64>().sum(..),
    ))?;
    w.check_all("middle of a bead", beads.iter().map(|&v| (f64::from(v), BEAD)), 0.002 * BEAD);
    w.check_all("between beads", corners.iter().map(|&v| (f64::from(v), BETWEEN)), 0.002 * BETWEEN);
    let n_voxels = blurred.shape()?.iter().product::<u64>() as f64;
    let before = blurred.cast::<f64>().sum(..).compute()?[[]];
    // Neither adds light nor takes it.
    w.check("light in a voxel", light[[]] / n_voxels, before / n_voxels, 0.1);

    if let Some(path) = w.picture() {
        draw(path, &blurred.cast(), &sharp)?;
    }
    Ok(())
}

/// One block, as Richardson and Lucy do it.
fn deconvolved(block: &ArrayViewD<'_, f32>) -> Result<ArrayD<f32>> {
    let image = array::from_ndarray(block.to_owned(), -1);
    let otf =
        rfftn(&array::from_ndarray(spread_light(block.shape()), -1), None, .., FftNorm::Backward);
    let shape = block.shape().to_vec();
    let blurred = |x: &Array<f32>| {
        let transform = rfftn(x, None, .., FftNorm::Backward) * &otf;
        irfftn(&transform, Some(shape.clone().into()), .., FftNorm::Backward)
    };
    // The light of a point spreads alike to all sides, so its mirror image is itself.
    let mut estimate = image.clone();
    for _ in 0..N_ITERATIONS {
        estimate = &estimate * blurred(&(&image / blurred(&estimate)));
    }
    estimate.compute()
}

/// The light of a point in the first voxel of a block, which goes on at the other end.
fn spread_light(shape: &[usize]) -> Array3<f32> {
    let along = |axis: usize| -> Vec<f64> {
        let n = shape[axis];
        let light = (0..n).map(|i| gauss(i.min(n - i) as f64, axis));
        let sum: f64 = light.clone().sum();
        light.map(|light| light / sum).collect()
    };
    let [z, y, x] = [0, 1, 2].map(along);
    Array3::from_shape_fn((shape[0], shape[1], shape[2]), |at| (z[at.0] * y[at.1] * x[at.2]) as f32)
}

fn gauss(distance: f64, axis: usize) -> f64 {
    (-0.5 * (distance / SPREAD[axis]).powi(2)).exp()
}

/// Beads as the microscope shows them, in so many boxes along each axis.
fn volume(boxes: [u64; 3], block: [u64; 3]) -> Array<u16> {
    // Light along an axis of a box, with that of its neighbours.
    let along = |axis: usize| {
        let n = BOX[axis];
        let light = (0..n).map(|i| {
            let middle = i as f64 - (n / 2) as f64;
            [-1.0, 0.0, 1.0].map(|k| gauss(middle + k * n as f64, axis)).iter().sum::<f64>()
        });
        let sum: f64 = light.clone().sum();
        let repeated =
            light.map(|light| light / sum).collect::<Vec<_>>().repeat(boxes[axis] as usize);
        let others: Vec<usize> = (0..3).filter(|other| *other != axis).collect();
        array::from_ndarray(ndarray::Array1::from(repeated), block[axis]).expand_dims(others)
    };
    let light = along(0) * along(1) * along(2) * LIGHT_OF_BEAD + BACKGROUND;
    (light + 0.5).floor().cast::<u16>().with_dim_names(["z", "y", "x"])
}

/// Part of a slice through a layer of beads, before and after.
fn draw(path: &std::path::Path, blurred: &Array<f32>, sharp: &Array<f32>) -> Result<(), Failure> {
    let z = (BOX[0] / 2) as isize;
    let part = |x: &Array<f32>| x.slice(s![z, ..100, ..100]).ln();
    let both = array::concatenate(&[part(blurred), part(sharp)], 1).compute()?;
    let both = both.into_dimensionality::<ndarray::Ix2>()?;
    let scale = Scale { colours: GREY, ..Scale::of(both.iter().copied()) };
    let title = "ln of light: beads before and after";
    picture::save(path, (560, 300), |area| picture::map(area, title, &both.view(), &scale))
}
