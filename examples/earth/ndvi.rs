//! How green and how wet the ground is each month: satellite images without their clouds.
//!
//! Counts of two baselines of Sentinel-2 are brought to one; what its classes call a cloud or a shadow is left out; of
//! the scenes of a month, the median of what is left is kept. Both indices share a band and the classes, which are read once.

use dask_rs::array::ZarrWrite;
use dask_rs::prelude::*;
use ndarray::arr1;

use crate::common::Failure;
use crate::picture::{self, LEAVES, Scale, WATER};
use crate::workload::Workload;

/// One each five days of a year that begins in August 2021.
const N_SCENES: u64 = 73;
const DAYS_OF_MONTHS: [u64; 12] = [31, 30, 31, 30, 31, 31, 28, 31, 30, 31, 30, 31];
/// The first scene after 25 January 2022, when 1000 began to be added to all counts.
const NEW_BASELINE: u64 = 36;
/// Shadows, clouds that are probable, certain and thin.
const CLOUDY: [u8; 4] = [3, 8, 9, 10];

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    let n = (w.data_bytes() / 7 / N_SCENES).isqrt();
    let names = ["time", "y", "x"];
    let shape = [N_SCENES, n, n];
    let tile = n.div_ceil(2);
    let band = |count: Band| {
        let counts = move |at: &[u64]| count(Pixel::of(at, n));
        array::from_fn(shape, [1, tile, tile], counts).with_dim_names(names)
    };
    band(red).to_zarr(w.path("B04"))?;
    band(near_infrared).to_zarr(w.path("B08"))?;
    band(short_wave).to_zarr(w.path("B11"))?;
    let class = move |at: &[u64]| class(Pixel::of(at, n));
    array::from_fn(shape, [1, tile, tile], class).with_dim_names(names).to_zarr(w.path("SCL"))?;

    let reflectance = |name: &str| {
        let counts: Array<u16> = array::open_zarr(w.path(name));
        let old = counts.slice(s![..NEW_BASELINE as isize, .., ..]);
        let new = counts.slice(s![NEW_BASELINE as isize.., .., ..]).clip(1000, None) - 1000;
        array::concatenate(&[old, new], "time").cast::<f32>()
    };
    let near_infrared = reflectance("B08");
    let classes: Array<u8> = array::open_zarr(w.path("SCL"));
    let is_cloudy = classes.isin(&array::from_ndarray(arr1(&CLOUDY), -1));
    // Plants are dark in red light, and water in the infrared of short waves.
    let clear = |dark: &str| {
        let dark = reflectance(dark);
        let index = (&near_infrared - &dark) / (&near_infrared + &dark);
        array::where_(&is_cloudy, f32::NAN, index)
    };
    let by_month = |index: &Array<f32>| index.group_by_axis("time", (0..N_SCENES).map(month_of));
    let (ndvi, moisture) = (clear("B04"), clear("B11"));
    let [green, wet] = [("NDVI", &ndvi), ("NDMI", &moisture)].map(|(name, index)| {
        by_month(index).nanmedian().store_zarr(w.path(name), ZarrWrite::new())
    });
    let (n_clear, (), ()) = w.compute((by_month(&ndvi).count().sum(["y", "x"]), green, wet))?;

    // Every seventh pixel of some rows again, in plain loops.
    let [green, wet]: [Array<f32>; 2] = ["NDVI", "NDMI"].map(|name| array::open_zarr(w.path(name)));
    for (what, median, dark) in [
        ("median NDVI of a month", &green, red as Band),
        ("median NDMI of a month", &wet, short_wave),
    ] {
        let mut pairs = Vec::new();
        for y in [0, n / 3, n - 1] {
            let found_in_row = median.slice(s![.., y as isize, ..]).compute()?;
            for x in (0..n).step_by(7) {
                let of_pixel = (0..12).map(|month| median_of_month(dark, month, y, x, n));
                let found = (0..12).map(|month| f64::from(found_in_row[[month, x as usize]]));
                pairs.extend(found.zip(of_pixel));
            }
        }
        w.check_all(what, pairs, 1e-6);
    }
    let clouds = |month: usize| {
        let scenes = (0..N_SCENES).filter(|scene| month_of(*scene) == month);
        let of_scene = |t: u64| {
            let pixels = (0..n).flat_map(|y| (0..n).map(move |x| [t, y, x]));
            pixels.filter(|at| !CLOUDY.contains(&self::class(Pixel::of(at, n)))).count()
        };
        scenes.map(of_scene).sum::<usize>() as f64
    };
    w.check("clear pixels of the first month", n_clear[[0]] as f64, clouds(0), 0.0);

    if let Some(path) = w.picture() {
        let scene: ndarray::ArrayD<f32> = ndvi.slice(s![70, .., ..]).compute()?;
        let july = |index: &Array<f32>| index.slice(s![11, .., ..]).compute();
        let (green, wet) = (july(&green)?, july(&wet)?);
        let (plants, water) = (
            Scale { range: 0.0..0.9, colours: LEAVES },
            Scale { range: -0.3..0.5, colours: WATER },
        );
        picture::save(path, (720, 228), |area| {
            let areas = area.split_evenly((1, 3));
            let maps = [
                ("NDVI, one scene", scene.view(), &plants),
                ("median of July", green.view(), &plants),
                ("moisture, July", wet.view(), &water),
            ];
            for (area, (title, map, scale)) in areas.iter().zip(maps) {
                picture::map(area, title, &map.into_dimensionality::<ndarray::Ix2>()?, scale)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The month of a scene, counted from the first one.
fn month_of(scene: u64) -> usize {
    let mut day = 5 * scene;
    DAYS_OF_MONTHS
        .iter()
        .position(|n| {
            let is_here = day < *n;
            day = day.saturating_sub(*n);
            is_here
        })
        .unwrap_or(11)
}

/// The counts of a band.
type Band = fn(Pixel) -> u16;

/// What a satellite saw from above: how green, how wet, how cloudy, and with which baseline.
#[derive(Clone, Copy)]
struct Pixel {
    green: f64,
    wet: f64,
    cloud: f64,
    offset: u16,
}

impl Pixel {
    /// Fields and woods with seasons, and clouds that are elsewhere in each scene.
    fn of(at: &[u64], n: u64) -> Pixel {
        let [t, y, x] = [at[0], at[1], at[2]];
        let (v, u) = (y as f64 / n as f64, x as f64 / n as f64);
        let woods = ((7.0 * u).sin() + (9.0 * v + 3.0 * u).cos()) * 0.2 + 0.5;
        let field = ((u * 12.0) as u64 * 5 + (v * 12.0) as u64 * 3) % 4;
        let season =
            (t as f64 / N_SCENES as f64 * std::f64::consts::TAU).cos() * 0.05 * field as f64;
        let t = t as f64;
        let cloud = (5.0 * u + 1.7 * t).sin() * (4.0 * v - 2.3 * t).sin()
            + 0.3 * (23.0 * (u + v) + t).sin();
        let river = (1.0 - 20.0 * (v - 0.5 - 0.2 * (6.0 * u).sin()).abs()).max(0.0);
        let wet = 0.35 * woods + 0.1 * (0.3 * t).sin() + 0.5 * river;
        let offset = if at[0] < NEW_BASELINE { 0 } else { 1000 };
        Pixel { green: woods + season, wet, cloud, offset }
    }
}

fn red(pixel: Pixel) -> u16 {
    let count = if pixel.cloud > 0.35 { 7000.0 } else { 2400.0 - 1800.0 * pixel.green };
    count as u16 + pixel.offset
}

fn near_infrared(pixel: Pixel) -> u16 {
    let count = if pixel.cloud > 0.35 { 7200.0 } else { 2000.0 + 2600.0 * pixel.green };
    count as u16 + pixel.offset
}

fn short_wave(pixel: Pixel) -> u16 {
    let count = if pixel.cloud > 0.35 { 5200.0 } else { 3800.0 - 2900.0 * pixel.wet };
    count as u16 + pixel.offset
}

/// A cloud, one that is thin, or plants.
fn class(pixel: Pixel) -> u8 {
    match pixel.cloud {
        cloud if cloud > 0.5 => 9,
        cloud if cloud > 0.35 => 10,
        _ => 4,
    }
}

/// The same as above for one pixel, by hand.
fn median_of_month(dark: Band, month: usize, y: u64, x: u64, n: u64) -> f64 {
    let mut seen: Vec<f64> = (0..N_SCENES)
        .filter(|scene| month_of(*scene) == month)
        .map(|scene| Pixel::of(&[scene, y, x], n))
        .filter(|pixel| !CLOUDY.contains(&class(*pixel)))
        .map(|pixel| {
            let [dark, infrared] =
                [dark, near_infrared].map(|band| f64::from(band(pixel) - pixel.offset));
            (infrared - dark) / (infrared + dark)
        })
        .collect();
    seen.sort_by(f64::total_cmp);
    match seen.len() {
        0 => f64::NAN,
        len => (seen[(len - 1) / 2] + seen[len / 2]) / 2.0,
    }
}
