//! A map as a picture, with a scale.

use std::ops::Range;
use std::path::Path;

use ndarray::{ArrayD, ArrayView2};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::common::Failure;
use crate::field::Field;

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;
type Chart<'a> = ChartContext<'a, BitMapBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

const SIZE: (u32, u32) = (1180, 640);
/// Free pixels above, right of, below and left of the map: places of title, scale and labels.
const MARGINS: [u32; 4] = [64, 150, 44, 72];
const INK: RGBColor = RGBColor(45, 45, 50);

/// From cold or low to hot or high, in the colours of an atlas.
const ATLAS: [RGBColor; 8] = [
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
const DIVERGING: [RGBColor; 7] = [
    RGBColor(38, 74, 128),
    RGBColor(92, 146, 190),
    RGBColor(180, 210, 226),
    RGBColor(246, 244, 238),
    RGBColor(236, 196, 160),
    RGBColor(206, 122, 80),
    RGBColor(140, 46, 40),
];

/// Colours for the values of a range.
struct Scale {
    range: Range<f64>,
    colours: &'static [RGBColor],
}

impl Scale {
    fn new(values: &ArrayView2<'_, f32>) -> Scale {
        let known =
            || values.iter().map(|&value| f64::from(value)).filter(|value| value.is_finite());
        let (low, high) = known().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low < high { (low, high) } else { (low - 1.0, low + 1.0) };
        if low < 0.0 && high > 0.0 {
            let reach = high.max(-low);
            return Scale { range: -reach..reach, colours: &DIVERGING };
        }
        Scale { range: low..high, colours: &ATLAS }
    }

    fn colour(&self, value: f64) -> RGBColor {
        if !value.is_finite() {
            return RGBColor(214, 214, 214);
        }
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        let at = part.clamp(0.0, 1.0) * (self.colours.len() - 1) as f64;
        let i = (at as usize).min(self.colours.len() - 2);
        let (a, b, t) = (self.colours[i], self.colours[i + 1], at - i as f64);
        let mix = |a: u8, b: u8| (f64::from(a) + t * (f64::from(b) - f64::from(a))).round() as u8;
        RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
    }
}

/// Draws the mean into a PNG file.
pub(crate) fn draw(path: &Path, field: &Field, mean: &ArrayD<f32>) -> Result<(), Failure> {
    let values = field.first_map(mean)?;
    let scale = Scale::new(&values);
    let area = BitMapBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (lon, lat) = (edges(&field.longitudes), edges(&field.latitudes));
    let [top, right, bottom, left] = MARGINS;
    let mut chart = ChartBuilder::on(&area)
        .margin_top(top)
        .margin_right(right)
        .margin_bottom(bottom)
        .margin_left(left)
        .build_cartesian_2d(span(&lon), span(&lat))?;
    let cells = values.indexed_iter().map(|((i, j), &value)| {
        let corners = [(lon[j], lat[i]), (lon[j + 1], lat[i + 1])];
        Rectangle::new(corners, scale.colour(f64::from(value)).filled())
    });
    chart.draw_series(cells)?;
    graticule(&area, &mut chart, field)?;
    colour_bar(&area, &scale)?;
    let title = format!("{}, mean over {}", field.name, field.time);
    text(&area, &title, (left as i32, 20), RasterHeight::Size24)?;
    area.present()?;
    Ok(())
}

/// Where cells end whose middles are given.
fn edges(middles: &[f64]) -> Vec<f64> {
    let half = |i: usize| (middles[i] + middles[i + 1]) / 2.0;
    let n = middles.len();
    if n < 2 {
        return middles.iter().flat_map(|middle| [middle - 0.5, middle + 0.5]).collect();
    }
    let first = 2.0 * middles[0] - half(0);
    let last = 2.0 * middles[n - 1] - half(n - 2);
    let inner = (0..n - 1).map(half);
    std::iter::once(first).chain(inner).chain(std::iter::once(last)).collect()
}

/// From the smallest to the largest edge, whichever comes first.
fn span(edges: &[f64]) -> Range<f64> {
    let (a, b) = (edges[0], edges[edges.len() - 1]);
    a.min(b)..a.max(b)
}

/// Thin lines at round degrees, with labels.
fn graticule(area: &Area<'_>, chart: &mut Chart<'_>, field: &Field) -> Result<(), Failure> {
    let (lon, lat) = (span(&edges(&field.longitudes)), span(&edges(&field.latitudes)));
    let line = WHITE.mix(0.45).stroke_width(1);
    for x in ticks(&lon, 7) {
        let ends = [(x, lat.start), (x, lat.end)];
        chart.draw_series(std::iter::once(PathElement::new(ends.to_vec(), line)))?;
        let (px, py) = chart.backend_coord(&(x, lat.start));
        let label = degrees(if x > 180.0 { x - 360.0 } else { x }, 'E', 'W');
        text(area, &label, (px - width(&label) / 2, py + 10), RasterHeight::Size16)?;
    }
    for y in ticks(&lat, 7) {
        let ends = [(lon.start, y), (lon.end, y)];
        chart.draw_series(std::iter::once(PathElement::new(ends.to_vec(), line)))?;
        let (px, py) = chart.backend_coord(&(lon.start, y));
        let label = degrees(y, 'N', 'S');
        text(area, &label, (px - width(&label) - 8, py - 8), RasterHeight::Size16)?;
    }
    let frame = [(lon.start, lat.start), (lon.end, lat.end)];
    chart.draw_series(std::iter::once(Rectangle::new(frame, INK.stroke_width(1))))?;
    Ok(())
}

fn degrees(value: f64, positive: char, negative: char) -> String {
    match value {
        0.0 => "0°".to_owned(),
        value if value < 0.0 => format!("{}°{negative}", -value),
        value => format!("{value}°{positive}"),
    }
}

fn colour_bar(area: &Area<'_>, scale: &Scale) -> Result<(), Failure> {
    let [top, right, bottom, _] = MARGINS.map(|margin| margin as i32);
    let (left, low) = (SIZE.0 as i32 - right + 28, SIZE.1 as i32 - bottom);
    let n = low - top;
    let value = |row: i32| {
        let part = f64::from(row) / f64::from(n - 1);
        scale.range.start + part * (scale.range.end - scale.range.start)
    };
    for row in 0..n {
        let y = low - 1 - row;
        let corners = [(left, y), (left + 22, y + 1)];
        area.draw(&Rectangle::new(corners, scale.colour(value(row)).filled()))?;
    }
    area.draw(&Rectangle::new([(left, top), (left + 22, low)], INK.stroke_width(1)))?;
    let step = step(&scale.range, 8);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    for tick in ticks(&scale.range, 8) {
        let part = (tick - scale.range.start) / (scale.range.end - scale.range.start);
        let y = low - (part * f64::from(n)).round() as i32;
        area.draw(&PathElement::new(vec![(left + 22, y), (left + 27, y)], INK))?;
        text(area, &format!("{tick:.decimals$}"), (left + 32, y - 8), RasterHeight::Size16)?;
    }
    Ok(())
}

/// About `n` round numbers inside a range.
fn ticks(range: &Range<f64>, n: usize) -> Vec<f64> {
    let step = step(range, n);
    let (first, last) = ((range.start / step).ceil() as i64, (range.end / step).floor() as i64);
    (first..=last).map(|i| i as f64 * step).collect()
}

/// The distance of about `n` round numbers in a range; 30 and 60 are round for degrees.
fn step(range: &Range<f64>, n: usize) -> f64 {
    let wanted = (range.end - range.start) / n as f64;
    let power = 10_f64.powf(wanted.log10().floor());
    let steps = [1.0, 2.0, if power == 10.0 { 3.0 } else { 2.5 }, 5.0, 6.0, 10.0];
    steps.map(|step| step * power).into_iter().find(|step| *step >= wanted).unwrap_or(wanted)
}

fn width(label: &str) -> i32 {
    let letter = get_raster_width(FontWeight::Regular, RasterHeight::Size16);
    (label.chars().count() * letter) as i32
}

/// Writes into the picture, letter by letter; letters that the font lacks are left out.
fn text(area: &Area<'_>, text: &str, at: (i32, i32), height: RasterHeight) -> Result<(), Failure> {
    let mut left = at.0;
    for letter in text.chars() {
        let Some(raster) = get_raster(letter, FontWeight::Regular, height) else { continue };
        for (y, row) in raster.rows().enumerate() {
            for (x, &ink) in row.iter().enumerate().filter(|(_, ink)| **ink > 0) {
                let place = (left + x as i32, at.1 + y as i32);
                area.draw_pixel(place, &INK.mix(f64::from(ink) / 255.0))?;
            }
        }
        left += raster.width() as i32;
    }
    Ok(())
}
