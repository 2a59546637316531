//! A map as a picture, with a scale.

use std::ops::Range;
use std::path::Path;

use ndarray::ArrayD;
use noto_sans_mono_bitmap::RasterHeight;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::common::Failure;
use crate::field::Field;
use crate::picture::{self, Area, INK, Scale, colour_bar, text, text_width, ticks};

type Chart<'a> = ChartContext<'a, BitMapBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

const SIZE: (u32, u32) = (1180, 640);
/// Free pixels above, right of, below and left of the map: places of title, scale and labels.
const MARGINS: [u32; 4] = [64, 150, 44, 72];

/// Draws the mean into a PNG file.
pub(crate) fn draw(path: &Path, field: &Field, mean: &ArrayD<f32>) -> Result<(), Failure> {
    let values = field.first_map(mean)?;
    let scale = Scale::of(values.iter().copied());
    picture::save(path, SIZE, |area| {
        let (lon, lat) = (edges(&field.longitudes), edges(&field.latitudes));
        let [top, right, bottom, left] = MARGINS;
        let mut chart = ChartBuilder::on(area)
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
        graticule(area, &mut chart, field)?;
        let end = (SIZE.0 - right) as i32;
        colour_bar(area, &scale, (end + 28, top as i32), (end + 50, (SIZE.1 - bottom) as i32))?;
        let title = format!("{}, mean over {}", field.name, field.time);
        text(area, &title, (left as i32, 20), RasterHeight::Size24)?;
        Ok(())
    })
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
    for (x, _) in ticks(&lon, 7) {
        let ends = [(x, lat.start), (x, lat.end)];
        chart.draw_series(std::iter::once(PathElement::new(ends.to_vec(), line)))?;
        let (px, py) = chart.backend_coord(&(x, lat.start));
        let label = degrees(if x > 180.0 { x - 360.0 } else { x }, 'E', 'W');
        text(area, &label, (px - text_width(&label) / 2, py + 10), RasterHeight::Size16)?;
    }
    for (y, _) in ticks(&lat, 7) {
        let ends = [(lon.start, y), (lon.end, y)];
        chart.draw_series(std::iter::once(PathElement::new(ends.to_vec(), line)))?;
        let (px, py) = chart.backend_coord(&(lon.start, y));
        let label = degrees(y, 'N', 'S');
        text(area, &label, (px - text_width(&label) - 8, py - 8), RasterHeight::Size16)?;
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
