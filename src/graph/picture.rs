//! Pictures of graphs: boxes with a few lines of text, and arrows.
//!
//! What is drawn is decided here; [`dot`](super::dot) and [`svg`](super::svg) only write it down.

use super::layer::{LayerGraph, LayerId};
use super::order::order;
use super::show::{cut, task_count, title};
use super::tasks::{TaskGraph, TaskId};

/// The titles of layers and tasks are cut off here, so that boxes stay narrow.
const LAYER_CHARS_MAX: usize = 44;
const TASK_CHARS_MAX: usize = 12;

/// A graph to be drawn, inputs before readers.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(super) caption: String,
    pub(super) boxes: Vec<PictureBox>,
    pub(super) arrows: Vec<Arrow>,
}

/// One box. The first line is its title.
#[derive(Debug)]
pub(super) struct PictureBox {
    pub(super) lines: Vec<String>,
    /// What does not fit into the box.
    pub(super) tooltip: String,
    pub(super) fill: Color,
    /// Results have a thick frame.
    pub(super) is_result: bool,
}

/// From a producer to a reader.
#[derive(Debug)]
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Which blocks are read.
    pub(super) text: String,
}

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Color(pub(super) [u8; 3]);

const SOURCE: Color = Color([0xdd, 0xf0, 0xdc]);
const STEP: Color = Color([0xdf, 0xea, 0xf8]);
const RESULT: Color = Color([0xfd, 0xed, 0xcf]);

impl Picture {
    /// One box a layer, with how many tasks it has and how large their blocks are.
    pub(crate) fn of_layers(
        layers: &LayerGraph,
        outputs: &[LayerId],
        n_tasks: Option<&[u64]>,
        format_bytes: fn(u64) -> String,
    ) -> Picture {
        let mut picture = Picture { caption: String::new(), boxes: Vec::new(), arrows: Vec::new() };
        for (i, layer) in layers.layers().iter().enumerate() {
            let is_result = outputs.iter().any(|output| output.idx() == i);
            let fill = match layer.inputs.is_empty() {
                _ if is_result => RESULT,
                true => SOURCE,
                false => STEP,
            };
            let title = title(layer);
            let tasks = task_count(layer, n_tasks.map(|counts| counts[i]));
            let bytes = format_bytes(layer.out_bytes);
            let lines = vec![
                cut(&title, LAYER_CHARS_MAX),
                format!("{tasks} · {bytes} each"),
                layer.block_text.to_string(),
            ];
            picture.boxes.push(PictureBox { lines, tooltip: title, fill, is_result });
            for input in &layer.inputs {
                let text = input.map.to_string();
                picture.arrows.push(Arrow { from: input.layer.idx(), to: i, text });
            }
        }
        picture
    }

    /// One box a task, with its place in the order, which is its colour too.
    pub(crate) fn of_tasks(graph: &TaskGraph) -> Picture {
        let ranks = order(graph);
        let mut picture = Picture { caption: String::new(), boxes: Vec::new(), arrows: Vec::new() };
        for (i, &rank) in ranks.iter().enumerate() {
            let task = TaskId(i as u32);
            let layer = graph.layers().get(graph.layer(task));
            let (title, block) = (title(layer), format!("{:?}", graph.block_index(task)));
            let lines = vec![rank.to_string(), cut(&title, TASK_CHARS_MAX), block];
            let fill = Color::of_rank(rank as usize, ranks.len());
            let is_result = graph.output_positions(task).next().is_some();
            picture.boxes.push(PictureBox { lines, tooltip: title, fill, is_result });
            let mut inputs = graph.dependencies(task).to_vec();
            inputs.sort_unstable();
            inputs.dedup();
            let arrows =
                inputs.iter().map(|from| Arrow { from: from.idx(), to: i, text: String::new() });
            picture.arrows.extend(arrows);
        }
        picture
    }

    /// The same picture with a line of text above it.
    pub(crate) fn with_caption(mut self, caption: String) -> Picture {
        self.caption = caption;
        self
    }

    pub(crate) fn n_boxes(&self) -> usize {
        self.boxes.len()
    }
}

impl Color {
    /// From blue over white to red, as the run goes on.
    fn of_rank(rank: usize, n: usize) -> Color {
        let (early, middle, late) = ([0x8f, 0xb8, 0xe8], [0xfa, 0xf7, 0xf0], [0xf0, 0x9a, 0x82]);
        let place = rank as f64 / (n.max(2) - 1) as f64 * 2.0;
        let (from, to, part) =
            if place <= 1.0 { (early, middle, place) } else { (middle, late, place - 1.0) };
        let mix = |i: usize| {
            let (from, to): (f64, f64) = (f64::from(from[i]), f64::from(to[i]));
            (from + (to - from) * part).round() as u8
        };
        Color([mix(0), mix(1), mix(2)])
    }

    pub(super) fn hex(self) -> String {
        let Color([red, green, blue]) = self;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }
}
