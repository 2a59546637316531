//! Plans, block maps and layers as text.
//!
//! Texts are bounded: of long lists the beginning and the end are shown.

use std::collections::HashMap;
use std::fmt;

use super::block_map::{AxisMap, BlockMap};
use super::layer::{Layer, LayerGraph};
use super::plan::{NodeId, Operation, Plan};

/// Longer lists of operations or layers lose their middle.
const ROWS_SHOWN_MAX: usize = 200;
/// What is longer is cut off.
const TITLE_CHARS_MAX: usize = 72;

/// One line for each operation, inputs first; what is shared stands there once.
impl<O> fmt::Display for Plan<O>
where
    O: Operation + fmt::Display,
    O::Meta: fmt::Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = self.topological();
        let numbers: HashMap<NodeId, usize> =
            order.iter().enumerate().map(|(number, id)| (*id, number)).collect();
        let name = |id: &NodeId| format!("%{}", numbers[id]);
        let rows = shown(order.len(), |i| {
            let id = order[i];
            let inputs: Vec<_> = self.inputs(id).iter().map(name).collect();
            let (op, meta) = (self.op(id).to_string(), self.meta(id).to_string());
            vec![name(&id), cut(&op, TITLE_CHARS_MAX), reads(&inputs), meta]
        });
        f.write_str(&columns(&rows))?;
        let roots: Vec<_> = self.roots().iter().map(name).collect();
        let s = if roots.len() == 1 { "" } else { "s" };
        write!(f, "result{s} {}", roots.join(", "))
    }
}

/// Layers, one a line.
pub(crate) struct LayerTable<'a> {
    pub(crate) layers: &'a LayerGraph,
    /// How many tasks of each layer are needed, if that was found out.
    pub(crate) n_tasks: Option<&'a [u64]>,
    pub(crate) format_bytes: fn(u64) -> String,
}

impl fmt::Display for LayerTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.layers.layers();
        let rows = shown(layers.len(), |i| {
            let layer = &layers[i];
            let inputs = layer.inputs.iter();
            let inputs: Vec<_> =
                inputs.map(|input| format!("#{} {}", input.layer.0, input.map)).collect();
            let bytes = (self.format_bytes)(layer.out_bytes);
            let n_tasks = task_count(layer, self.n_tasks.map(|counts| counts[i]));
            let block = format!("{}, {bytes}", layer.block_text);
            vec![format!("#{i}"), title(layer), n_tasks, block, reads(&inputs)]
        });
        f.write_str(columns(&rows).trim_end())
    }
}

/// `16 tasks`, or `3 of 16 tasks` where the others are not needed.
pub(super) fn task_count(layer: &Layer, n_needed: Option<u64>) -> String {
    let all = layer.n_blocks();
    match n_needed {
        Some(n) if n < all => format!("{n} of {all} tasks"),
        Some(1) => "1 task".to_owned(),
        Some(n) => format!("{n} tasks"),
        None => format!("≤ {all} tasks"),
    }
}

/// What a layer computes: its formula if it has one, or the names of its operations.
pub(super) fn title(layer: &Layer) -> String {
    let title = layer.kernel.formula().unwrap_or_else(|| layer.name.to_string());
    cut(&title, TITLE_CHARS_MAX)
}

/// The text, or its beginning and dots.
pub(super) fn cut(text: &str, n_chars_max: usize) -> String {
    if text.chars().count() <= n_chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(n_chars_max - 1).collect();
    format!("{kept}…")
}

fn reads(inputs: &[String]) -> String {
    if inputs.is_empty() { String::new() } else { format!("← {}", inputs.join(", ")) }
}

/// The rows to show of `n`, with a line for those that are left out.
fn shown(n: usize, row: impl Fn(usize) -> Vec<String>) -> Vec<Vec<String>> {
    if n <= ROWS_SHOWN_MAX {
        return (0..n).map(row).collect();
    }
    let half = ROWS_SHOWN_MAX / 2;
    let mut rows: Vec<_> = (0..half).map(&row).collect();
    rows.push(vec!["…".to_owned(), format!("{} more", n - 2 * half)]);
    rows.extend((n - half..n).map(row));
    rows
}

/// Rows under each other, each column as wide as its widest cell.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; n_columns];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The input blocks as a formula of the output block's index `i, j, …`, such as `[4i..4i+4, j]`.
impl fmt::Display for BlockMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlockMap::Linear => f.write_str("[block by block]"),
            BlockMap::Except(blocks) => write!(f, "[block by block, without {}]", blocks.len()),
            BlockMap::Axes(maps) => {
                let maps: Vec<_> = maps.iter().map(AxisMap::to_string).collect();
                write!(f, "[{}]", maps.join(", "))
            }
        }
    }
}

impl fmt::Display for AxisMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            AxisMap::All => f.write_str(":"),
            AxisMap::At(block) => write!(f, "{block}"),
            AxisMap::Axis { axis, first, step } => show_line(axis, first, step, f),
            AxisMap::Window { axis, first, len } => {
                show_line(axis, 0, 1, f)?;
                if first > 0 {
                    write!(f, "-{first}")?;
                }
                write!(f, " in 0..{len}")
            }
            AxisMap::Group { axis, size } => {
                let i = letter(axis);
                write!(f, "{size}{i}..{size}{i}+{size}")
            }
            AxisMap::Ranges { axis, ref ranges } => {
                let texts = ranges.iter().take(3).map(|(start, end)| match end - start {
                    1 => start.to_string(),
                    _ => format!("{start}..{end}"),
                });
                let dots = if ranges.len() > 3 { " …" } else { "" };
                write!(f, "({}{dots})[{}]", texts.collect::<Vec<_>>().join(" "), letter(axis))
            }
            AxisMap::Lists { axis, ref lists } => {
                let texts = lists.iter().take(3).map(|list| {
                    let texts = list.iter().take(3).map(u64::to_string);
                    let dots = if list.len() > 3 { ",…" } else { "" };
                    format!("{}{dots}", texts.collect::<Vec<_>>().join(","))
                });
                let dots = if lists.len() > 3 { " …" } else { "" };
                write!(f, "({}{dots})[{}]", texts.collect::<Vec<_>>().join(" "), letter(axis))
            }
        }
    }
}

/// `first + step * i` without what is 0 or 1.
fn show_line(axis: usize, first: u64, step: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let factor = match step.unsigned_abs() {
        1 => String::new(),
        step => step.to_string(),
    };
    let sign = if step < 0 { "-" } else { "+" };
    match first {
        0 if step > 0 => write!(f, "{factor}{}", letter(axis)),
        _ => write!(f, "{first}{sign}{factor}{}", letter(axis)),
    }
}

/// The name of the output block's index along an axis.
fn letter(axis: usize) -> String {
    b"ijklmnpq".get(axis).map_or_else(|| format!("i{axis}"), |&byte| char::from(byte).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_formulas_of_the_block_index() {
        let ranges = [(0, 1), (1, 3), (3, 4), (4, 5)].into_iter().collect();
        let map = BlockMap::axes([
            AxisMap::same(1),
            AxisMap::Axis { axis: 0, first: 3, step: -2 },
            AxisMap::Group { axis: 2, size: 4 },
            AxisMap::Window { axis: 0, first: 2, len: 3 },
            AxisMap::Ranges { axis: 3, ranges },
            AxisMap::All,
            AxisMap::At(7),
            AxisMap::Lists { axis: 0, lists: [[3, 0].into(), [2].into()].into() },
        ]);
        assert_eq!(
            map.to_string(),
            "[j, 3-2i, 4k..4k+4, i-2 in 0..3, (0 1..3 3 …)[l], :, 7, (3,0 2)[i]]"
        );
        assert_eq!(BlockMap::Linear.to_string(), "[block by block]");
    }

    #[test]
    fn long_lists_lose_their_middle() {
        let rows = shown(1000, |i| vec![i.to_string()]);
        assert_eq!((rows.len(), &*rows[100][1], &*rows[101][0]), (201, "800 more", "900"));
    }
}
