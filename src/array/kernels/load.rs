//! Inputs of any layout, read in the order of the output.
//!
//! An input broadcasts against the output block (fewer axes, or axes of length 1) and may be
//! transposed, reversed or cut out of a larger array. Its layout becomes a list of lengths and
//! strides with neighbours merged where they are contiguous, and a strip is read run by run.

use std::ops::Range;

use ndarray::ArrayViewD;

use super::strip::Input;

/// Rows of a transposed input that are read together: two cache lines of `f64`.
const PANEL_ROWS: usize = 16;

/// Columns that are read together.
const PANEL_COLUMNS: usize = 512;

/// The panels of longer rows do not stay in the cache together.
const PANEL_LEN_MAX: usize = 1 << 13;

/// Sides of the squares that are transposed in registers.
const SQUARE: usize = 8;

/// Rows shorter than this are copied instead of being listed.
const ROW_LEN_MIN: usize = 32;

/// Reads an input as if it had the shape of the output.
#[derive(Debug)]
pub(crate) struct Loader<'a, T> {
    memory: Memory<'a, T>,
    /// Where the first element is.
    origin: isize,
    /// Length and stride of the merged axes, outermost first.
    axes: Vec<(usize, isize)>,
    /// One for each [`PANEL_COLUMNS`] columns, if the input is transposed.
    panels: Option<Vec<Panel<T>>>,
}

/// A few rows of some columns of a transposed input, copied out of the cache lines that they share.
///
/// Reading such rows one by one would fetch each line once per row, from ever further away.
#[derive(Debug)]
struct Panel<T> {
    /// The flat row numbers that the buffer holds.
    rows: Range<usize>,
    /// [`PANEL_COLUMNS`] elements of each row.
    buffer: Vec<T>,
}

#[derive(Debug)]
enum Memory<'a, T> {
    Flat(&'a [T]),
    /// A copy of an input that was too scattered.
    Copied(Vec<T>),
    /// Rows of equal length, which count as if they followed each other.
    Rows {
        rows: Vec<&'a [T]>,
        row_len: usize,
    },
}

/// How the elements of `view` become elements of an output of `shape`.
pub(crate) fn input<'a, T: Copy + Default>(
    view: &ArrayViewD<'a, T>,
    shape: &[usize],
    strip_len: usize,
) -> Input<'a, T> {
    if view.len() == 1 {
        return Input::Splat(*view.iter().next().expect("there is one element"));
    }
    let is_same = view.shape() == shape;
    let is_standard = view.is_standard_layout();
    if is_same && is_standard {
        return Input::Slice(view.to_slice().expect("the layout is standard"));
    }
    let loader = Loader::new(view, shape);
    Input::Loaded(loader, vec![T::default(); strip_len])
}

impl<'a, T: Copy> Loader<'a, T> {
    fn new(view: &ArrayViewD<'a, T>, shape: &[usize]) -> Self {
        let (memory, origin, strides) = memory(view);
        let n_new = shape.len() - view.ndim();
        let own = view.shape().iter().zip(strides);
        let broadcast = own.map(|(&len, stride)| if len == 1 { 0 } else { stride });
        let strides = std::iter::repeat_n(0, n_new).chain(broadcast);
        let axes = merge_axes(shape.iter().copied().zip(strides));
        let is_transposed = matches!(memory, Memory::Flat(_))
            && matches!(axes[..], [.., (_, 1), (len, inner)] if inner > 1 && len <= PANEL_LEN_MAX);
        let empty = || Panel { rows: 0..0, buffer: Vec::new() };
        let n_panels = axes.last().map_or(0, |&(len, _)| len.div_ceil(PANEL_COLUMNS));
        let panels = is_transposed.then(|| std::iter::repeat_with(empty).take(n_panels).collect());
        Loader { memory, origin, axes, panels }
    }

    /// Copies the elements from flat output position `start` on.
    pub(crate) fn load(&mut self, start: usize, out: &mut [T]) {
        match self.panels.take() {
            Some(mut panels) => {
                self.load_panels(&mut panels, start, out);
                self.panels = Some(panels);
            }
            None => self.load_runs(start, out),
        }
    }

    fn load_panels(&self, panels: &mut [Panel<T>], start: usize, mut out: &mut [T]) {
        let Some(&(len, _)) = self.axes.last() else { return };
        let (mut row, mut column) = (start / len, start % len);
        while !out.is_empty() {
            let number = column / PANEL_COLUMNS;
            let first = number * PANEL_COLUMNS;
            let panel = &mut panels[number];
            if !panel.rows.contains(&row) {
                self.fill_panel(panel, row, first);
            }
            let n = (len.min(first + PANEL_COLUMNS) - column).min(out.len());
            let (run, later) = out.split_at_mut(n);
            let at = (row - panel.rows.start) * PANEL_COLUMNS + column - first;
            copy(run, &panel.buffer[at..at + n]);
            out = later;
            column += n;
            if column == len {
                (row, column) = (row + 1, 0);
            }
        }
    }

    /// Copies columns of `row` and its neighbours, which are one element apart in memory.
    fn fill_panel(&self, panel: &mut Panel<T>, row: usize, first_column: usize) {
        let (Memory::Flat(all), Some((&(len, stride), outer))) =
            (&self.memory, self.axes.split_last())
        else {
            unreachable!("only contiguous transposed memory has panels")
        };
        let (n_rows, _) = outer[outer.len() - 1];
        let first_row = row - row % n_rows % PANEL_ROWS;
        let n = PANEL_ROWS.min(n_rows - first_row % n_rows);
        panel.rows = first_row..first_row + n;
        let mut rest = first_row;
        let mut base = self.origin + first_column as isize * stride;
        for &(len, stride) in outer.iter().rev() {
            base += (rest % len) as isize * stride;
            rest /= len;
        }
        let lines = &all[base as usize..];
        panel.buffer.resize(PANEL_ROWS * PANEL_COLUMNS, lines[0]);
        let n_columns = PANEL_COLUMNS.min(len - first_column);
        transpose(lines, stride as usize, n_columns, n, &mut panel.buffer);
    }

    fn load_runs(&self, start: usize, mut out: &mut [T]) {
        let Some((&(inner_len, inner_stride), outer)) = self.axes.split_last() else {
            return out.fill(self.memory.get(self.origin));
        };
        let mut idx = vec![0; outer.len()];
        let mut rest = start / inner_len;
        let mut base = self.origin;
        for (i, &(len, stride)) in idx.iter_mut().zip(outer).rev() {
            *i = rest % len;
            rest /= len;
            base += *i as isize * stride;
        }
        let mut skip = start % inner_len;
        loop {
            let n = (inner_len - skip).min(out.len());
            let (run, later) = out.split_at_mut(n);
            self.memory.run(base + skip as isize * inner_stride, inner_stride, run);
            out = later;
            if out.is_empty() {
                return;
            }
            skip = 0;
            for (i, &(len, stride)) in idx.iter_mut().zip(outer).rev() {
                *i += 1;
                base += stride;
                if *i < len {
                    break;
                }
                *i = 0;
                base -= len as isize * stride;
            }
        }
    }
}

impl<T: Copy> Memory<'_, T> {
    fn get(&self, at: isize) -> T {
        let at = at as usize;
        match self {
            Memory::Flat(all) => all[at],
            Memory::Copied(all) => all[at],
            Memory::Rows { rows, row_len } => rows[at / row_len][at % row_len],
        }
    }

    /// Copies every `stride`-th element from `start` on.
    #[inline]
    fn run(&self, start: isize, stride: isize, out: &mut [T]) {
        match (self, stride) {
            (_, 0) => out.fill(self.get(start)),
            (Memory::Flat(all), _) => copy_run(all, start, stride, out),
            (Memory::Copied(all), _) => copy_run(all, start, stride, out),
            (Memory::Rows { rows, row_len }, 1) => copy_rows(rows, *row_len, start as usize, out),
            (Memory::Rows { .. }, _) => {
                for (i, out) in out.iter_mut().enumerate() {
                    *out = self.get(start + i as isize * stride);
                }
            }
        }
    }
}

fn copy_run<T: Copy>(all: &[T], start: isize, stride: isize, out: &mut [T]) {
    if stride == 1 {
        let n = out.len();
        copy(out, &all[start as usize..][..n]);
    } else {
        gather(all, start, stride, out);
    }
}

/// Copies the first `n` elements of each line to `n` rows of [`PANEL_COLUMNS`] columns.
fn transpose<T: Copy>(lines: &[T], stride: usize, n_lines: usize, n: usize, rows: &mut [T]) {
    let n_whole = (n / SQUARE) * SQUARE;
    let mut column = 0;
    while column + SQUARE <= n_lines {
        for row in (0..n_whole).step_by(SQUARE) {
            let corner = &lines[column * stride + row..];
            let square: [[T; SQUARE]; SQUARE] = std::array::from_fn(|i| {
                *corner[i * stride..].first_chunk().expect("the lines have whole squares")
            });
            for i in 0..SQUARE {
                let at = (row + i) * PANEL_COLUMNS + column;
                rows[at..at + SQUARE].copy_from_slice(&square.map(|line| line[i]));
            }
        }
        for row in n_whole..n {
            for i in column..column + SQUARE {
                rows[row * PANEL_COLUMNS + i] = lines[i * stride + row];
            }
        }
        column += SQUARE;
    }
    for column in column..n_lines {
        for row in 0..n {
            rows[row * PANEL_COLUMNS + column] = lines[column * stride + row];
        }
    }
}

/// Copies in pieces that `memcpy` moves through registers.
///
/// For 8 KiB and more glibc takes `rep movsb`, which is slow to start inside the L1 cache.
pub(crate) fn copy<T: Copy>(out: &mut [T], from: &[T]) {
    let piece_len = 4096 / size_of::<T>();
    for (out, from) in out.chunks_mut(piece_len).zip(from.chunks(piece_len)) {
        out.copy_from_slice(from);
    }
}

fn gather<T: Copy>(all: &[T], start: isize, stride: isize, out: &mut [T]) {
    let mut at = start;
    for out in out {
        *out = all[at as usize];
        at += stride;
    }
}

fn copy_rows<T: Copy>(rows: &[&[T]], row_len: usize, start: usize, mut out: &mut [T]) {
    let (mut row, mut skip) = (start / row_len, start % row_len);
    while !out.is_empty() {
        let n = (row_len - skip).min(out.len());
        let (run, later) = out.split_at_mut(n);
        copy(run, &rows[row][skip..skip + n]);
        out = later;
        (row, skip) = (row + 1, 0);
    }
}

/// Memory that holds the elements of a view, the first one's place, and the strides in it.
fn memory<'a, T: Copy>(view: &ArrayViewD<'a, T>) -> (Memory<'a, T>, isize, Vec<isize>) {
    // A reborrow would not live as long as the view itself does.
    if let Some(all) = view.clone().to_slice_memory_order() {
        let origin = view.shape().iter().zip(view.strides());
        let origin = origin.map(|(&len, &stride)| (len as isize - 1) * (-stride).max(0)).sum();
        return (Memory::Flat(all), origin, view.strides().to_vec());
    }
    let row_len = view.shape().last().copied().unwrap_or(1);
    let rows = if row_len >= ROW_LEN_MIN { slice_rows(view) } else { None };
    let memory = match rows {
        Some(rows) => Memory::Rows { rows, row_len },
        None => Memory::Copied(view.iter().copied().collect()),
    };
    (memory, 0, standard_strides(view.shape()))
}

/// The rows of a view, if each of them is contiguous.
fn slice_rows<'a, T>(view: &ArrayViewD<'a, T>) -> Option<Vec<&'a [T]>> {
    let last = view.ndim().checked_sub(1)?;
    if view.strides()[last] != 1 {
        return None;
    }
    let mut pieces = vec![view.clone()];
    for _ in 0..last {
        let outer = pieces.into_iter();
        pieces = outer.flat_map(|piece| split_first_axis(&piece)).collect();
    }
    pieces.into_iter().map(|row| row.to_slice()).collect()
}

fn split_first_axis<'a, T>(view: &ArrayViewD<'a, T>) -> Vec<ArrayViewD<'a, T>> {
    let axis = ndarray::Axis(0);
    (0..view.shape()[0]).map(|i| view.clone().index_axis_move(axis, i)).collect()
}

/// The strides of a C-contiguous array.
fn standard_strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

/// Drops axes of length 1 and merges neighbours that one stride describes.
fn merge_axes(axes: impl Iterator<Item = (usize, isize)>) -> Vec<(usize, isize)> {
    let mut merged: Vec<(usize, isize)> = Vec::new();
    for (len, stride) in axes.filter(|&(len, _)| len != 1) {
        match merged.last_mut() {
            Some((outer_len, outer_stride)) if *outer_stride == stride * len as isize => {
                *outer_len *= len;
                *outer_stride = stride;
            }
            _ => merged.push((len, stride)),
        }
    }
    merged
}
