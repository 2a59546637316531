//! Small pictures of results: maps with a scale of colours, curves, and text without a font of the system.
#![allow(dead_code, reason = "each program uses a part")]
#![allow(unreachable_pub, reason = "the module is compiled into several programs")]

use std::fs::File;
use std::io::BufWriter;
use std::ops::Range;
use std::path::Path;

use ndarray::{ArrayView, ArrayView2, Dimension, Ix2};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::common::Failure;

pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

pub const INK: RGBColor = RGBColor(45, 45, 50);
/// Of what is not a number.
pub const NOTHING: RGBColor = RGBColor(214, 214, 214);

/// From cold or low to hot or high, in the colours of an atlas.
pub const ATLAS: &[RGBColor] = &[
    RGBColor(36, 44, 98),
    RGBColor(42, 98, 158),
    RGBColor(98, 170, 192),
    RGBColor(164, 206, 168),
    RGBColor(236, 226, 164),
    RGBColor(222, 168, 94),
    RGBColor(186, 96, 58),
    RGBColor(122, 38, 38),
];
/// For values on both sides of zero.
pub const DIVERGING: &[RGBColor] = &[
    RGBColor(38, 74, 128),
    RGBColor(92, 146, 190),
    RGBColor(180, 210, 226),
    RGBColor(246, 244, 238),
    RGBColor(236, 196, 160),
    RGBColor(206, 122, 80),
    RGBColor(140, 46, 40),
];
/// From bare ground to forest.
pub const LEAVES: &[RGBColor] = &[
    RGBColor(168, 132, 92),
    RGBColor(226, 208, 156),
    RGBColor(176, 200, 112),
    RGBColor(92, 152, 72),
    RGBColor(24, 84, 44),
];
/// From sand to water.
pub const WATER: &[RGBColor] = &[
    RGBColor(222, 196, 140),
    RGBColor(238, 234, 214),
    RGBColor(130, 180, 206),
    RGBColor(30, 84, 146),
];
/// From black to white, as in images.
pub const GREY: &[RGBColor] = &[RGBColor(0, 0, 0), RGBColor(255, 255, 255)];
/// For curves and labels, told apart without red and green.
pub const CURVES: &[RGBColor] = &[
    RGBColor(0, 90, 156),
    RGBColor(214, 112, 0),
    RGBColor(0, 138, 108),
    RGBColor(160, 60, 120),
    RGBColor(110, 110, 110),
];

/// Colours for the values of a range.
pub struct Scale {
    pub range: Range<f64>,
    pub colours: &'static [RGBColor],
}

impl Scale {
    /// From the smallest to the largest value; around zero in [`DIVERGING`] colours if there are values on both sides.
    pub fn of<T: Copy + Into<f64>>(values: impl IntoIterator<Item = T>) -> Scale {
        let range = span(values.into_iter().map(Into::into));
        if range.start < 0.0 && range.end > 0.0 {
            let reach = range.end.max(-range.start);
            return Scale { range: -reach..reach, colours: DIVERGING };
        }
        Scale { range, colours: ATLAS }
    }

    pub fn colour(&self, value: f64) -> RGBColor {
        if !value.is_finite() {
            return NOTHING;
        }
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        // So few steps that pictures stay small files, and so many that they are not seen.
        let part = (part.clamp(0.0, 1.0) * 64.0).round() / 64.0;
        let at = part * (self.colours.len() - 1) as f64;
        let i = (at as usize).min(self.colours.len() - 2);
        let (a, b, t) = (self.colours[i], self.colours[i + 1], at - i as f64);
        let mix = |a: u8, b: u8| (f64::from(a) + t * (f64::from(b) - f64::from(a))).round() as u8;
        RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
    }
}

/// Writes a PNG file of what `draw` puts on white.
pub fn save(
    path: &Path,
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut pixels = vec![255; 3 * (size.0 * size.1) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        draw(&area)?;
        area.present()?;
    }
    write_png(path, size, (png::ColorType::Rgb, png::BitDepth::Eight), &pixels)
}

/// Writes a PNG file of samples as PNG holds them.
pub fn write_png(
    path: &Path,
    (width, height): (u32, u32),
    (color, depth): (png::ColorType, png::BitDepth),
    samples: &[u8],
) -> Result<(), Failure> {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(samples)?;
    Ok(writer.finish()?)
}

/// A file with nothing but one map, in the colours of its values unless there is a scale.
pub fn save_map<T: Copy + Into<f64>, D: Dimension>(
    path: &Path,
    size: (u32, u32),
    title: &str,
    values: ArrayView<'_, T, D>,
    scale: Option<Scale>,
) -> Result<(), Failure> {
    let values = values.into_dimensionality::<Ix2>()?;
    let scale = scale.unwrap_or_else(|| Scale::of(values.iter().copied()));
    save(path, size, |area| map(area, title, &values, &scale))
}

/// A map under a title, the first row of `values` on top, with a bar of its colours.
pub fn map<T: Copy + Into<f64>>(
    area: &Area<'_>,
    title: &str,
    values: &ArrayView2<'_, T>,
    scale: &Scale,
) -> Result<(), Failure> {
    let (width, height) = area.dim_in_pixel();
    let (left, top, right, bottom) = (12, 36, width as i32 - 92, height as i32 - 12);
    text(area, title, (left, 10), RasterHeight::Size16)?;
    let (rows, columns) = values.dim();
    for y in top..bottom {
        for x in left..right {
            let row = (y - top) as usize * rows / (bottom - top) as usize;
            let column = (x - left) as usize * columns / (right - left) as usize;
            area.draw_pixel((x, y), &scale.colour(values[[row, column]].into()))?;
        }
    }
    frame(area, (left, top), (right, bottom))?;
    colour_bar(area, scale, (right + 14, top), (right + 28, bottom))
}

/// A bar of the colours of a scale from one corner to another, with round numbers beside it.
pub fn colour_bar(
    area: &Area<'_>,
    scale: &Scale,
    (left, top): (i32, i32),
    (right, bottom): (i32, i32),
) -> Result<(), Failure> {
    let n = bottom - top;
    for row in 0..n {
        let part = f64::from(row) / f64::from(n - 1);
        let value = scale.range.start + part * (scale.range.end - scale.range.start);
        let y = bottom - 1 - row;
        area.draw(&Rectangle::new([(left, y), (right, y + 1)], scale.colour(value).filled()))?;
    }
    frame(area, (left, top), (right, bottom))?;
    for (tick, label) in ticks(&scale.range, (n as usize / 60).clamp(4, 8)) {
        let part = (tick - scale.range.start) / (scale.range.end - scale.range.start);
        let y = bottom - (part * f64::from(n)).round() as i32;
        area.draw(&PathElement::new(vec![(right, y), (right + 5, y)], INK))?;
        text(area, &label, (right + 9, y - 8), RasterHeight::Size16)?;
    }
    Ok(())
}

/// Curves over a common range of x under a title, each with its name beside its last point.
pub fn curves(
    area: &Area<'_>,
    title: &str,
    curves: &[(&str, Vec<(f64, f64)>)],
) -> Result<(), Failure> {
    let (width, height) = area.dim_in_pixel();
    let longest = curves.iter().map(|(name, _)| text_width(name)).max().unwrap_or(0);
    let (left, top) = (64, 36);
    let (right, bottom) = (width as i32 - longest - 24, height as i32 - 36);
    text(area, title, (12, 10), RasterHeight::Size16)?;
    let points = || curves.iter().flat_map(|(_, points)| points);
    let (xs, ys) = (span(points().map(|point| point.0)), span(points().map(|point| point.1)));
    let place = |value: f64, range: &Range<f64>, from: i32, to: i32| {
        let part = (value - range.start) / (range.end - range.start);
        from + (part * f64::from(to - from)).round() as i32
    };
    let pale = INK.mix(0.15);
    for (y, label) in ticks(&ys, 5) {
        let at = place(y, &ys, bottom, top);
        area.draw(&PathElement::new(vec![(left, at), (right, at)], pale))?;
        text(area, &label, (left - text_width(&label) - 6, at - 8), RasterHeight::Size16)?;
    }
    for (x, label) in ticks(&xs, 6) {
        let at = place(x, &xs, left, right);
        area.draw(&PathElement::new(vec![(at, top), (at, bottom)], pale))?;
        text(area, &label, (at - text_width(&label) / 2, bottom + 8), RasterHeight::Size16)?;
    }
    for (i, (name, points)) in curves.iter().enumerate() {
        let colour = CURVES[i % CURVES.len()];
        let line: Vec<(i32, i32)> = points
            .iter()
            .map(|&(x, y)| (place(x, &xs, left, right), place(y, &ys, bottom, top)))
            .collect();
        let Some(&(_, last)) = line.last() else { continue };
        area.draw(&PathElement::new(line, colour.stroke_width(2)))?;
        coloured_text(area, name, (right + 8, last - 8), RasterHeight::Size16, colour)?;
    }
    frame(area, (left, top), (right, bottom))
}

fn frame(area: &Area<'_>, from: (i32, i32), to: (i32, i32)) -> Result<(), Failure> {
    Ok(area.draw(&Rectangle::new([from, to], INK.stroke_width(1)))?)
}

/// From the smallest to the largest value that is a number.
fn span(values: impl Iterator<Item = f64>) -> Range<f64> {
    let known = values.filter(|value| value.is_finite());
    let (low, high) = known.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    if low < high { low..high } else { -1.0..1.0 }
}

/// About `n` round numbers inside a range, and how they are written.
pub fn ticks(range: &Range<f64>, n: usize) -> Vec<(f64, String)> {
    let step = step(range, n);
    let is_enough = |decimals: &usize| {
        let scaled = step * 10_f64.powi(*decimals as i32);
        (scaled - scaled.round()).abs() < 1e-6 * scaled
    };
    let decimals = (0..9).find(is_enough).unwrap_or(9);
    let (first, last) = ((range.start / step).ceil() as i64, (range.end / step).floor() as i64);
    let tick = |i: i64| (i as f64 * step, format!("{:.decimals$}", i as f64 * step));
    (first..=last).map(tick).collect()
}

/// The distance of about `n` round numbers in a range; 30 and 60 are round for degrees.
fn step(range: &Range<f64>, n: usize) -> f64 {
    let wanted = (range.end - range.start) / n as f64;
    let power = 10_f64.powf(wanted.log10().floor());
    let steps = [1.0, 2.0, if power == 10.0 { 3.0 } else { 2.5 }, 5.0, 6.0, 10.0];
    steps.map(|step| step * power).into_iter().find(|step| *step >= wanted).unwrap_or(wanted)
}

/// How wide a small text is.
pub fn text_width(label: &str) -> i32 {
    let letter = get_raster_width(FontWeight::Regular, RasterHeight::Size16);
    (label.chars().count() * letter) as i32
}

/// Writes into the picture, letter by letter; letters that the font lacks are left out.
pub fn text(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    height: RasterHeight,
) -> Result<(), Failure> {
    coloured_text(area, text, at, height, INK)
}

fn coloured_text(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    height: RasterHeight,
    colour: RGBColor,
) -> Result<(), Failure> {
    let mut left = at.0;
    for letter in text.chars() {
        let Some(raster) = get_raster(letter, FontWeight::Regular, height) else { continue };
        for (y, row) in raster.rows().enumerate() {
            for (x, &ink) in row.iter().enumerate().filter(|(_, ink)| **ink > 0) {
                let place = (left + x as i32, at.1 + y as i32);
                area.draw_pixel(place, &colour.mix(f64::from(ink) / 255.0))?;
            }
        }
        left += raster.width() as i32;
    }
    Ok(())
}
