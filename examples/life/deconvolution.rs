//! A blurred volume of a microscope made sharp: Richardson and Lucy's deconvolution, block by block.
//!
//! Each block is deconvolved by itself, with Fourier transforms of the block and of some voxels around it. So a volume of any size
//! takes the memory of a few blocks. That is an approximation, as an iteration blurs twice and so looks twice as far as the light
//! of a point spreads: with too few voxels around them, blocks are wrong at their rims. With those that are seen here voxels
//! differ from the deconvolution of the whole volume by no more than 0.02 %, and by 1 % with six or seven around.

use dask_rs::ExecutorKind;
use dask_rs::array::fft::{FftNorm, fft, irfftn, rfft, rfftn};
use dask_rs::array::{Boundary, ZarrWrite};
use dask_rs::prelude::*;
use ndarray::{Array1, ArrayD, ArrayViewD};

use crate::common::Failure;
use crate::picture::{self, GREY, Scale};
use crate::workload::Workload;

const N_ITERATIONS: usize = 5;
/// There is a bead in the middle of each box of so many voxels.
const BOX: [u64; 3] = [15, 25, 25];
/// How far light spreads along each axis, as a standard deviation in voxels.
const SPREAD: [f64; 3] = [1.0, 1.2, 1.2];
/// Voxels around a block that it sees, along each axis. Five iterations blur ten times, by √10 spreads together; these are three
/// times as many.
const DEPTH: [u64; 3] = [10, 12, 12];
/// How many times the bytes of a block its transforms need.
const N_TRANSFORMS: u64 = 7;
const BACKGROUND: f64 = 100.0;
const LIGHT_OF_BEAD: f64 = 200_000.0;
/// What NumPy finds in the middle of a bead, beside it, and between beads. As the volume repeats itself, one box with circular
/// Fourier transforms is the whole volume:
///
/// ```python
/// def spread(n, s):
///     i = np.arange(n) - n // 2
///     g = sum(np.exp(-0.5 * ((i + k * n) / s) ** 2) for k in (-1, 0, 1))
///     return g / g.sum()
/// psf = np.einsum("i,j,k", spread(15, 1.0), spread(25, 1.2), spread(25, 1.2))
/// image = np.floor(100 + 200000 * psf + 0.5)
/// otf = np.fft.rfftn(np.fft.ifftshift(psf))
/// blur = lambda x: np.fft.irfftn(np.fft.rfftn(x) * otf, s=x.shape, axes=(0, 1, 2))
/// estimate = image
/// for _ in range(5):
///     estimate = estimate * blur(image / blur(estimate))
/// print(estimate[7, 12, 12], estimate[7, 12, 13], estimate[0, 0, 0])
/// ```
const BEAD: f64 = 29118.194825362127;
const BESIDE: f64 = 13692.08242235799;
const BETWEEN: f64 = 99.99841175861785;
/// How far from these a voxel may be, as a part of it.
const TOLERANCE: f64 = 1e-3;

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
    // What a block of floats with its surroundings takes, and how many of these the transforms need.
    let seen = block.iter().zip(DEPTH).map(|(len, depth)| len + 2 * depth).product::<u64>() * 4;
    let transform_bytes = N_TRANSFORMS * seen;
    let sharp = blurred.rechunk(block).cast::<f32>().map_overlap(
        DEPTH.map(|depth| (depth, depth)),
        Boundary::Reflect,
        move |block, _| deconvolved(&block, transform_bytes).expect("the transforms of a block"),
    );
    // They have a copy of the block, and the allocator keeps about two more in pieces.
    let sharp = sharp.with_scratch_bytes(transform_bytes + 3 * seen);
    w.compute(sharp.store_zarr(w.path("sharp"), ZarrWrite::new()))?;

    let sharp: Array<f32> = array::open_zarr(w.path("sharp"));
    let [z, y, x] = BOX.map(|len| len as isize);
    let (beads, beside, corners, light) = compute((
        sharp.slice(s![z / 2..;z, y / 2..;y, x / 2..;x]),
        sharp.slice(s![z / 2..;z, y / 2..;y, x / 2 + 1..;x]),
        sharp.slice(s![..;z, ..;y, ..;x]),
        sharp.cast::<f64>().sum(..),
    ))?;
    for (what, voxels, oracle) in [
        ("middle of a bead", beads, BEAD),
        ("beside it", beside, BESIDE),
        ("between beads", corners, BETWEEN),
    ] {
        let voxels = voxels.iter().map(|&voxel| (f64::from(voxel), oracle));
        w.check_all(what, voxels, TOLERANCE * oracle);
    }
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
fn deconvolved(block: &ArrayViewD<'_, f32>, transform_bytes: u64) -> Result<ArrayD<f32>> {
    let shape: Vec<u64> = block.shape().iter().map(|&len| len as u64).collect();
    let image = array::from_ndarray(block.to_owned(), -1);
    // How light spreads along an axis does not depend on the others, so its transform is a product of three.
    let along = |axis: usize| {
        let light = array::from_ndarray(spread_light(block.shape()[axis], axis), -1);
        let transform = match axis {
            2 => rfft(&light, None, 0, FftNorm::Backward),
            _ => fft(&light, None, 0, FftNorm::Backward),
        };
        transform.expand_dims((0..3).filter(|other| *other != axis).collect::<Vec<_>>())
    };
    let otf = along(0) * along(1) * along(2);
    let blurred = |x: &Array<f32>| {
        let transform = rfftn(x, None, .., FftNorm::Backward) * &otf;
        irfftn(&transform, Some(shape.clone().into()), .., FftNorm::Backward)
    };
    // The light of a point spreads alike to all sides, so its mirror image is itself.
    let mut estimate = image.clone();
    for _ in 0..N_ITERATIONS {
        estimate = &estimate * blurred(&(&image / blurred(&estimate)));
    }
    // This computation has a limit of its own, which is a part of what the function declares.
    let alone = Config::new().with_executor(ExecutorKind::Serial);
    alone.with_memory_limit(transform_bytes).scope(|| estimate.compute())
}

/// The light of a point at the first voxel along an axis, which goes on at the other end.
fn spread_light(n: usize, axis: usize) -> Array1<f32> {
    let light: Array1<f64> = (0..n).map(|i| gauss(i.min(n - i) as f64, axis)).collect();
    let sum = light.sum();
    light.mapv(|light| (light / sum) as f32)
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
        array::from_ndarray(Array1::from(repeated), block[axis]).expand_dims(others)
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
