//! Nuclei in a slide of hundreds of fields of view: found, numbered across the borders of fields, and measured.
//!
//! The slide is smoothed, compared with the mean around each pixel, and closed, each with a few pixels from the neighbouring
//! blocks. Connected pixels are numbered, across blocks; area and light of each number are sums over all blocks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dask_rs::array::{Boundary, ZarrWrite, read_images};
use dask_rs::prelude::*;
use ndarray::{Array2, ArrayD, ArrayView2, Axis, Ix2, Zip};
use noto_sans_mono_bitmap::RasterHeight;
use plotters::prelude::*;

use crate::common::Failure;
use crate::picture::{self, GREY, Scale};
use crate::workload::Workload;

/// Pixels of a field of view, or a fourth of that with little memory.
const FIELD: [u64; 2] = [400, 464];
/// The pattern of nuclei repeats itself; so many fields have whole repeats.
const BOX: [u64; 2] = [120, 145];
const FIELDS: [u64; 2] = [6, 5];
/// Rows, columns and radii of the nuclei in a box, of which fields cut each somewhere.
const NUCLEI: [[f64; 4]; 3] =
    [[40.0, 41.0, 12.0, 10.0], [44.0, 96.0, 9.0, 13.0], [82.0, 62.0, 14.0, 11.0]];
/// Pixels, and the sum of their light, of each nucleus in a box as SciPy finds them:
///
/// ```python
/// y, x = np.mgrid[0:120, 0:145]
/// light = sum(np.where((d := ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2) < 1, 900 * (1 - d * d), 0) for cy, cx, ry, rx in nuclei)
/// image = (np.floor(200 + light) + (y * 7919 + x * 104729 + y * x * 31) % 61).astype(np.uint16)
/// smooth = ndimage.gaussian_filter(image.astype(float), 1.5, mode="wrap")
/// mask = smooth > ndimage.uniform_filter(smooth, 31, mode="wrap") + 60
/// labels, n = ndimage.label(ndimage.binary_closing(mask))
/// print(np.bincount(labels.ravel())[1:], ndimage.sum_labels(image, labels, range(1, n + 1)))
/// ```
const MEASURED: [Nucleus; 3] = [
    Nucleus { area: 318, light: 291_049 },
    Nucleus { area: 313, light: 285_397 },
    Nucleus { area: 384, light: 361_213 },
];
/// The standard deviation of the smoothing, and pixels that it looks at on each side.
const SIGMA: f64 = 1.5;
const REACH: usize = 6;
/// Pixels on each side of one that its neighbourhood has.
const AROUND: usize = 15;
/// How much brighter than its neighbourhood a nucleus is.
const CONTRAST: f32 = 60.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Nucleus {
    area: i64,
    light: i64,
}

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    let is_small = Config::current()?.chunk_bytes() < 1 << 20;
    let field = FIELD.map(|len| if is_small { len / 4 } else { len });
    let bytes_of_fields: u64 = FIELDS.iter().chain(&field).product::<u64>() * 2;
    let n = (w.data_bytes() / bytes_of_fields).max(1);
    let grid = [n * FIELDS[0], FIELDS[1]];
    photograph(w, grid, field)?;

    let slide = slide(&w.path("*.png"), grid);
    let mask = closed(&is_bright(&smoothed(&slide)));
    w.compute(mask.store_zarr(w.path("mask"), ZarrWrite::new()))?;
    let mask: Array<bool> = array::open_zarr(w.path("mask"));
    let (labels, n_labels) = mask.rechunk(field).label(1);
    let (n_labels, ()) =
        w.compute((n_labels, labels.store_zarr(w.path("labels"), ZarrWrite::new())))?;
    let labels: Array<i64> = array::open_zarr(w.path("labels"));
    let nuclei = measured(w, &labels.rechunk("auto"), n_labels[[]] as u64, &slide)?;

    let n_boxes = n * FIELDS[0] * field[0] / BOX[0] * (FIELDS[1] * field[1] / BOX[1]);
    let mut found: BTreeMap<Nucleus, u64> = BTreeMap::new();
    for nucleus in nuclei {
        *found.entry(nucleus).or_default() += 1;
    }
    w.check("kinds of nuclei", found.len() as f64, MEASURED.len() as f64, 0.0);
    let numbers = MEASURED.iter().map(|nucleus| found.get(nucleus).copied().unwrap_or(0) as f64);
    w.check_all("nuclei of a known area and light", numbers.map(|n| (n, n_boxes as f64)), 0.0);

    if let Some(path) = w.picture() {
        draw(path, &slide, &labels, field)?;
    }
    Ok(())
}

/// The fields of view as one array.
fn slide(files: &Path, [rows, columns]: [u64; 2]) -> Array<u16> {
    let fields: Array<u16> = read_images(files);
    let field = |row: u64, column: u64| fields.slice(s![(row * columns + column) as isize, .., ..]);
    let row = |row: u64| (0..columns).map(|column| field(row, column)).collect();
    array::block(&(0..rows).map(row).collect::<Vec<Vec<_>>>()).with_dim_names(["y", "x"])
}

fn smoothed(slide: &Array<u16>) -> Array<f32> {
    let weight = |i: usize| (-0.5 * ((i as f64 - REACH as f64) / SIGMA).powi(2)).exp();
    let weights: Vec<f64> = (0..=2 * REACH).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    let weights: Arc<[f32]> = weights.iter().map(|weight| (weight / sum) as f32).collect();
    slide.cast::<f32>().map_overlap(REACH as u64, Boundary::Reflect, move |block, _| {
        let once = |image: ArrayD<f32>, axis| {
            along(&image, axis, REACH, |near| {
                near.iter().zip(&*weights).map(|(light, weight)| light * weight).sum()
            })
        };
        once(once(block.to_owned(), 0), 1)
    })
}

/// What is brighter than the mean around it.
fn is_bright(image: &Array<f32>) -> Array<bool> {
    let mean = image.map_overlap(AROUND as u64, Boundary::Reflect, |block, _| {
        let once = |image: ArrayD<f32>, axis| {
            along(&image, axis, AROUND, |near| near.iter().sum::<f32>() / near.len() as f32)
        };
        once(once(block.to_owned(), 0), 1)
    });
    (image - mean).gt(CONTRAST)
}

/// Without holes and gaps of a pixel: grown by a pixel, and shrunk again.
fn closed(mask: &Array<bool>) -> Array<bool> {
    mask.map_overlap(2, Boundary::Constant(false), |block, _| {
        let block = block.into_dimensionality::<Ix2>().expect("a slide has two axes");
        let grown = with_beside(&block, |pixel, beside| pixel | beside.contains(&true));
        with_beside(&grown.view(), |pixel, beside| pixel & !beside.contains(&false)).into_dyn()
    })
}

/// `function` of each pixel and the four beside it; those at the rim of a block stay.
fn with_beside(mask: &ArrayView2<'_, bool>, function: fn(bool, [bool; 4]) -> bool) -> Array2<bool> {
    let mut out = mask.to_owned();
    Zip::from(out.slice_mut(s![1..-1, 1..-1])).and(mask.windows((3, 3))).for_each(|out, near| {
        let beside = [near[[0, 1]], near[[2, 1]], near[[1, 0]], near[[1, 2]]];
        *out = function(near[[1, 1]], beside);
    });
    out
}

/// `function` of the pixels up to `reach` away along an axis, for each pixel that has so many.
fn along(
    image: &ArrayD<f32>,
    axis: usize,
    reach: usize,
    function: impl Fn(&[f32]) -> f32,
) -> ArrayD<f32> {
    let mut out = image.clone();
    for (lane, mut out) in image.lanes(Axis(axis)).into_iter().zip(out.lanes_mut(Axis(axis))) {
        let lane = lane.to_vec();
        for (out, near) in out.iter_mut().skip(reach).zip(lane.windows(2 * reach + 1)) {
            *out = function(near);
        }
    }
    out
}

/// Area and light of all nuclei.
fn measured(
    w: &mut Workload,
    labels: &Array<i64>,
    n_labels: u64,
    slide: &Array<u16>,
) -> Result<Vec<Nucleus>> {
    // The first bin is the background.
    let bins = n_labels + 1;
    let (areas, light) =
        w.compute((labels.bincount(bins), labels.bincount_weighted(bins, slide)))?;
    let both = areas.iter().zip(&light).skip(1);
    Ok(both.map(|(&area, &light)| Nucleus { area, light: light as i64 }).collect())
}

/// Writes a file for each field of view.
fn photograph(w: &Workload, [rows, columns]: [u64; 2], field: [u64; 2]) -> Result<(), Failure> {
    let file = |row: u64, column: u64| w.path(&format!("{}.png", row * columns + column));
    for row in 0..rows {
        for column in 0..columns {
            if row >= FIELDS[0] {
                std::fs::copy(file(row % FIELDS[0], column), file(row, column))?;
                continue;
            }
            let (top, left) = (row * field[0], column * field[1]);
            let lines = (top..top + field[0]).map(|y| (y, left..left + field[1]));
            let samples = lines.flat_map(|(y, xs)| xs.map(move |x| light(y, x).to_be_bytes()));
            let samples: Vec<u8> = samples.flatten().collect();
            let size = (field[1] as u32, field[0] as u32);
            let format = (png::ColorType::Grayscale, png::BitDepth::Sixteen);
            picture::write_png(&file(row, column), size, format, &samples)?;
        }
    }
    Ok(())
}

/// Nuclei that are bright in the middle, and the grain of the camera.
fn light(y: u64, x: u64) -> u16 {
    let [y, x] = [y % BOX[0], x % BOX[1]];
    let distance = |nucleus: &[f64; 4]| {
        let [cy, cx, ry, rx] = nucleus;
        ((y as f64 - cy) / ry).powi(2) + ((x as f64 - cx) / rx).powi(2)
    };
    let inside = NUCLEI.iter().map(distance).filter(|d| *d < 1.0);
    let light: f64 = inside.map(|d| 900.0 * (1.0 - d * d)).sum();
    let grain = (y * 7919 + x * 104_729 + y * x * 31) % 61;
    (200.0 + light) as u16 + grain as u16
}

/// A part of the slide and its labels, with the borders of fields.
fn draw(
    path: &Path,
    slide: &Array<u16>,
    labels: &Array<i64>,
    field: [u64; 2],
) -> Result<(), Failure> {
    let (top, left) = (300, 350);
    let part = s![top..top + 200, left..left + 230];
    let (slide, labels) = compute((slide.slice(part), labels.slice(part)))?;
    picture::save(path, (480, 244), |area| {
        let grey = Scale { range: 200.0..1200.0, colours: GREY };
        let title = "nuclei across borders of fields, and their labels";
        picture::text(area, title, (8, 10), RasterHeight::Size16)?;
        for ((y, x), &light) in slide.into_dimensionality::<Ix2>()?.indexed_iter() {
            let label = match labels[[y, x]] {
                0 => RGBColor(20, 20, 24),
                label => picture::CURVES[label as usize % picture::CURVES.len()],
            };
            let is_border = (y as u64 + top as u64).is_multiple_of(field[0])
                || (x as u64 + left as u64).is_multiple_of(field[1]);
            // Few shades make a small file.
            let light = grey.colour(f64::from(light / 100 * 100));
            let (x, y) = (x as i32 + 8, y as i32 + 36);
            area.draw_pixel((x, y), if is_border { &WHITE } else { &light })?;
            area.draw_pixel((x + 236, y), if is_border { &WHITE } else { &label })?;
        }
        Ok(())
    })
}
