//! Pictures as SVG, without any other program.

use std::fmt::Write;

use super::layout::{Layout, Size, layout};
use super::picture::{Picture, PictureBox};

const FONT: &str = "'DejaVu Sans Mono', Menlo, Consolas, monospace";
/// Characters of these fonts are this wide, in font sizes.
const CHAR_WIDTH: f64 = 0.605;
const TITLE_PX: f64 = 13.0;
const TEXT_PX: f64 = 11.0;
const LINE_HEIGHT: f64 = 16.0;
const PADDING: (f64, f64) = (12.0, 8.0);
const MARGIN: f64 = 20.0;
const CAPTION_HEIGHT: f64 = 28.0;

impl Picture {
    /// The picture as an SVG document.
    pub(crate) fn to_svg(&self) -> String {
        let sizes: Vec<Size> = self.boxes.iter().map(box_size).collect();
        let arrows: Vec<_> = self.arrows.iter().map(|arrow| (arrow.from, arrow.to)).collect();
        let places = layout(&sizes, &arrows);
        let mut svg = String::new();
        self.write_head(&places, &mut svg);
        for (arrow, bends) in self.arrows.iter().zip(&places.bends) {
            let half = |i: usize| sizes[i].height / 2.0;
            let (from, to) = (places.centers[arrow.from], places.centers[arrow.to]);
            let start = (from.0, from.1 + half(arrow.from));
            let end = (to.0, to.1 - half(arrow.to) - 2.0);
            write_arrow(start, bends, end, &arrow.text, &mut svg);
        }
        for ((node, size), center) in self.boxes.iter().zip(&sizes).zip(&places.centers) {
            write_box(node, *size, *center, &mut svg);
        }
        svg.push_str("</g>\n</svg>\n");
        svg
    }

    fn write_head(&self, places: &Layout, svg: &mut String) {
        let caption_width = text_width(&self.caption, TITLE_PX);
        let width = places.size.width.max(caption_width) + 2.0 * MARGIN;
        let height = places.size.height + 2.0 * MARGIN + CAPTION_HEIGHT;
        let shift = (width - places.size.width) / 2.0;
        // Writing into a string can't fail.
        let _ = writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"{FONT}\">\n\
             <defs><marker id=\"head\" markerWidth=\"9\" markerHeight=\"8\" refX=\"7\" refY=\"4\" \
             orient=\"auto\"><path d=\"M0,0.5 L8,4 L0,7.5 z\" fill=\"#66728a\"/></marker></defs>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{TITLE_PX}\" text-anchor=\"middle\" \
             fill=\"#2b3245\">{}</text>\n<g transform=\"translate({shift:.1} {:.1})\">",
            width / 2.0,
            MARGIN + TITLE_PX / 2.0,
            escaped(&self.caption),
            MARGIN + CAPTION_HEIGHT,
        );
    }
}

fn text_width(text: &str, px: f64) -> f64 {
    text.chars().count() as f64 * px * CHAR_WIDTH
}

fn line_px(line: usize) -> f64 {
    if line == 0 { TITLE_PX } else { TEXT_PX }
}

fn box_size(node: &PictureBox) -> Size {
    let widths = node.lines.iter().enumerate().map(|(i, line)| text_width(line, line_px(i)));
    Size {
        width: widths.fold(40.0, f64::max) + 2.0 * PADDING.0,
        height: node.lines.len() as f64 * LINE_HEIGHT + 2.0 * PADDING.1,
    }
}

fn write_box(node: &PictureBox, size: Size, (x, y): (f64, f64), svg: &mut String) {
    let (left, top) = (x - size.width / 2.0, y - size.height / 2.0);
    let stroke = if node.is_result { ("#b3701a", 2.0) } else { ("#66728a", 1.0) };
    let _ = writeln!(
        svg,
        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"6\" \
         fill=\"{}\" stroke=\"{}\" stroke-width=\"{}\"><title>{}</title></rect>",
        size.width,
        size.height,
        node.fill.hex(),
        stroke.0,
        stroke.1,
        escaped(&node.tooltip),
    );
    for (i, line) in node.lines.iter().enumerate() {
        let baseline = top + PADDING.1 + LINE_HEIGHT * (i as f64 + 0.5) + line_px(i) * 0.36;
        let (weight, color) = if i == 0 { ("bold", "#1c2233") } else { ("normal", "#4a5468") };
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{baseline:.1}\" font-size=\"{}\" font-weight=\"{weight}\" \
             text-anchor=\"middle\" fill=\"{color}\">{}</text>",
            line_px(i),
            escaped(line),
        );
    }
}

/// A curve through the bends that leaves and enters boxes straight down.
fn write_arrow(
    start: (f64, f64),
    bends: &[(f64, f64)],
    end: (f64, f64),
    text: &str,
    svg: &mut String,
) {
    let _ = write!(svg, "<path d=\"M{:.1},{:.1}", start.0, start.1);
    let mut last = start;
    for &next in bends.iter().chain([&end]) {
        let middle = f64::midpoint(last.1, next.1);
        let _ = write!(
            svg,
            " C{:.1},{middle:.1} {:.1},{middle:.1} {:.1},{:.1}",
            last.0, next.0, next.0, next.1
        );
        last = next;
    }
    let _ = writeln!(
        svg,
        "\" fill=\"none\" stroke=\"#66728a\" marker-end=\"url(#head)\"><title>{}</title></path>",
        escaped(text)
    );
}

/// Text that means itself in XML; control characters, which XML can't hold, become spaces.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
