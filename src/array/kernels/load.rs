//! Inputs of any layout, read in the order of the output.
//!
//! An input broadcasts against the output block (fewer axes, or axes of length 1) and may be
//! transposed, reversed or cut out of a larger array. Neighbouring axes are merged where one stride
//! describes them, and a strip is read run by run, or by way of a panel if the input is transposed.
//! Nothing else is copied: panels are the only scratch, and [`panel_bytes_max`] bounds them.

use std::ops::Range;

use ndarray::{ArcArray, ArrayViewD, ArrayViewMutD, Axis, IxDyn};

use super::strip::Input;

/// Rows of a transposed input that are read together, at most: a page is then visited often enough
/// to pay for looking up where it is.
const PANEL_ROWS_MAX: usize = 64;

/// Columns that are read together.
const PANEL_COLUMNS: usize = 512;

/// All panels of an input are in use at once, and should stay in the L2 cache, or nearly.
const PANEL_BYTES_MAX: usize = 2 << 20;

/// Sides of the squares that are transposed in registers, and the fewest rows of a panel.
const SQUARE: usize = 8;

/// Rows at least so long are copied one by one, which moves them faster than a loop over all axes.
const ROW_LEN_MIN: usize = 32;

/// Reads an input as if it had the shape of the output.
#[derive(Debug)]
pub(crate) struct Loader<'a, T> {
    /// The input in the shape of the output, but with merged axes.
    view: ArrayViewD<'a, T>,
    /// All memory of the input and where the first element is in it, if there are no gaps.
    flat: Option<(&'a [T], isize)>,
    /// Length and stride of the merged axes, outermost first.
    axes: Vec<(usize, isize)>,
    /// Rows of each panel; none if the input is not transposed.
    panel_rows: usize,
    /// One for each [`PANEL_COLUMNS`] columns.
    panels: Vec<Panel<T>>,
}

/// A few rows of some columns of a transposed input, copied out of the cache lines that they share.
///
/// Reading such rows one by one would fetch each line once per row, from ever further away.
#[derive(Debug)]
struct Panel<T> {
    /// The flat row numbers that the buffer holds.
    rows: Range<usize>,
    /// The columns of each row, one after another.
    buffer: Vec<T>,
}

/// The most bytes that reading an input of `nbytes` takes beside it.
pub(crate) fn panel_bytes_max(nbytes: u64) -> u64 {
    nbytes.min(PANEL_BYTES_MAX as u64)
}

/// How the elements of `data` become elements of an output of `shape`, against which it broadcasts.
pub(crate) fn input<'a, T: Copy + Default>(
    data: &'a ArcArray<T, IxDyn>,
    shape: &[usize],
    strip_len: usize,
) -> Input<'a, T> {
    if data.len() == 1 {
        return Input::Splat(*data.iter().next().expect("there is one element"));
    }
    if data.shape() == shape
        && let Some(all) = data.as_slice()
    {
        return Input::Slice(all);
    }
    Input::Loaded(Loader::new(data, shape), vec![T::default(); strip_len])
}

impl<'a, T: Copy> Loader<'a, T> {
    /// Reads `data` as an array of `shape`, against which it broadcasts.
    pub(crate) fn new(data: &'a ArcArray<T, IxDyn>, shape: &[usize]) -> Self {
        let view = data.broadcast(IxDyn(shape)).expect("inputs broadcast against the output");
        let view = merged(view);
        let flat = data.as_slice_memory_order().map(|all| {
            let axes = data.shape().iter().zip(data.strides());
            (all, axes.map(|(&len, &stride)| (len as isize - 1) * (-stride).max(0)).sum())
        });
        let axes: Vec<_> =
            view.shape().iter().copied().zip(view.strides().iter().copied()).collect();
        let panel_rows = match axes[..] {
            [.., (n_rows, 1), (len, stride)] if stride > 1 => {
                let fitting = PANEL_BYTES_MAX / size_of::<T>() / len.max(1);
                (fitting - fitting % SQUARE).min(PANEL_ROWS_MAX).min(n_rows)
            }
            _ => 0,
        };
        let n_panels = axes.last().map_or(0, |&(len, _)| len.div_ceil(PANEL_COLUMNS));
        let empty = || Panel { rows: 0..0, buffer: Vec::new() };
        let panels = std::iter::repeat_with(empty).take(n_panels).collect();
        Loader { view, flat, axes, panel_rows, panels }
    }

    /// Copies the elements from flat output position `start` on.
    pub(crate) fn load(&mut self, start: usize, out: &mut [T]) {
        match self.flat {
            _ if self.panel_rows > 0 => self.load_panels(start, out),
            Some((all, origin)) => self.load_runs(all, origin, start, out),
            None => copy_part(self.view.clone(), start, out),
        }
    }

    fn load_panels(&mut self, start: usize, mut out: &mut [T]) {
        let Some(&(len, _)) = self.axes.last() else { return };
        let (mut row, mut column) = (start / len, start % len);
        while !out.is_empty() {
            let number = column / PANEL_COLUMNS;
            let columns = number * PANEL_COLUMNS..len.min((number + 1) * PANEL_COLUMNS);
            if !self.panels[number].rows.contains(&row) {
                self.fill_panel(number, row, columns.clone());
            }
            let panel = &self.panels[number];
            let n = (columns.end - column).min(out.len());
            let (run, later) = out.split_at_mut(n);
            let at = (row - panel.rows.start) * columns.len() + column - columns.start;
            copy(run, &panel.buffer[at..at + n]);
            out = later;
            column += n;
            if column == len {
                (row, column) = (row + 1, 0);
            }
        }
    }

    /// Copies columns of `row` and its neighbours, which are one element apart in memory.
    fn fill_panel(&mut self, number: usize, row: usize, columns: Range<usize>) {
        let (&(_, stride), outer) = self.axes.split_last().expect("transposed inputs have axes");
        let n_rows = outer.last().expect("transposed inputs have two axes").0;
        let skip = row % n_rows - row % n_rows % self.panel_rows;
        let n = self.panel_rows.min(n_rows - skip);
        let first_row = row - row % n_rows + skip;
        let panel = &mut self.panels[number];
        panel.rows = first_row..first_row + n;
        let mut rest = first_row;
        let mut idx = vec![0; outer.len()];
        for (i, &(len, _)) in idx.iter_mut().zip(outer).rev() {
            *i = rest % len;
            rest /= len;
        }
        panel.buffer.clear();
        if let Some((all, origin)) = self.flat {
            let offsets = idx.iter().zip(outer).map(|(&i, &(_, stride))| i as isize * stride);
            let base = origin + columns.start as isize * stride + offsets.sum::<isize>();
            let lines = &all[base as usize..];
            panel.buffer.resize(self.panel_rows * columns.len(), lines[0]);
            let line = |i: usize| &lines[i * stride as usize..][..n];
            transpose(line, columns.len(), n, &mut panel.buffer);
            return;
        }
        let mut table = self.view.clone();
        for &i in &idx[..idx.len() - 1] {
            table = table.index_axis_move(Axis(0), i);
        }
        panel.buffer.resize(self.panel_rows * columns.len(), table[[0, 0]]);
        let line = |i: usize| {
            let line = table.clone().index_axis_move(Axis(1), columns.start + i);
            &line.to_slice().expect("rows are one element apart")[skip..skip + n]
        };
        transpose(line, columns.len(), n, &mut panel.buffer);
    }

    fn load_runs(&self, all: &[T], origin: isize, start: usize, mut out: &mut [T]) {
        let Some((&(inner_len, inner_stride), outer)) = self.axes.split_last() else {
            return out.fill(all[origin as usize]);
        };
        let mut idx = vec![0; outer.len()];
        let mut rest = start / inner_len;
        let mut base = origin;
        for (i, &(len, stride)) in idx.iter_mut().zip(outer).rev() {
            *i = rest % len;
            rest /= len;
            base += *i as isize * stride;
        }
        let mut skip = start % inner_len;
        loop {
            let n = (inner_len - skip).min(out.len());
            let (run, later) = out.split_at_mut(n);
            copy_run(all, base + skip as isize * inner_stride, inner_stride, run);
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

/// Copies every `stride`-th element from `start` on.
fn copy_run<T: Copy>(all: &[T], start: isize, stride: isize, out: &mut [T]) {
    match stride {
        0 => out.fill(all[start as usize]),
        1 => copy(out, &all[start as usize..][..out.len()]),
        _ => gather(all, start, stride, out),
    }
}

/// Copies the elements of a view in C order, from flat position `start` on.
fn copy_part<T: Copy>(view: ArrayViewD<'_, T>, start: usize, mut out: &mut [T]) {
    if view.ndim() <= 1 {
        let part = match view.ndim() {
            0 => view.insert_axis(Axis(0)),
            _ => view.slice_axis_move(Axis(0), (start..start + out.len()).into()),
        };
        return match part.to_slice() {
            Some(run) => copy(out, run),
            None => assign(out, &part),
        };
    }
    let row_len: usize = view.shape()[1..].iter().product();
    let (mut row, mut skip) = (start / row_len, start % row_len);
    while !out.is_empty() {
        let n_whole = out.len() / row_len;
        if skip == 0 && n_whole > 0 && row_len < ROW_LEN_MIN {
            let (run, later) = out.split_at_mut(n_whole * row_len);
            assign(run, &view.slice_axis(Axis(0), (row..row + n_whole).into()));
            (out, row) = (later, row + n_whole);
            continue;
        }
        let (run, later) = out.split_at_mut((row_len - skip).min(out.len()));
        copy_part(view.index_axis(Axis(0), row), skip, run);
        (out, row, skip) = (later, row + 1, 0);
    }
}

/// Copies all elements of a view.
fn assign<T: Copy>(out: &mut [T], view: &ArrayViewD<'_, T>) {
    let out = ArrayViewMutD::from_shape(view.raw_dim(), out);
    out.expect("the output has the elements of the view").assign(view);
}

/// Copies the `n` elements of each line to the columns of `n` rows.
fn transpose<'a, T: Copy + 'a>(
    line: impl Fn(usize) -> &'a [T],
    n_lines: usize,
    n: usize,
    rows: &mut [T],
) {
    let n_whole = n - n % SQUARE;
    let mut column = 0;
    while column + SQUARE <= n_lines {
        let lines: [&[T]; SQUARE] = std::array::from_fn(|i| line(column + i));
        for row in (0..n_whole).step_by(SQUARE) {
            let square: [[T; SQUARE]; SQUARE] = std::array::from_fn(|i| {
                *lines[i][row..].first_chunk().expect("the lines have whole squares")
            });
            for i in 0..SQUARE {
                let at = (row + i) * n_lines + column;
                rows[at..at + SQUARE].copy_from_slice(&square.map(|line| line[i]));
            }
        }
        for row in n_whole..n {
            for (i, line) in lines.iter().enumerate() {
                rows[row * n_lines + column + i] = line[row];
            }
        }
        column += SQUARE;
    }
    for column in column..n_lines {
        for (row, &item) in line(column).iter().enumerate() {
            rows[row * n_lines + column] = item;
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

/// The view without axes of length 1, and with neighbours merged that one stride describes.
fn merged<T>(mut view: ArrayViewD<'_, T>) -> ArrayViewD<'_, T> {
    let mut into = view.ndim().saturating_sub(1);
    for axis in (0..into).rev() {
        if !view.merge_axes(Axis(axis), Axis(into)) {
            into = axis;
        }
    }
    for axis in (0..view.ndim()).rev() {
        if view.shape()[axis] == 1 {
            view = view.index_axis_move(Axis(axis), 0);
        }
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Ix2, Slice};
    use proptest::prelude::*;

    /// Loads in strips; the bytes of all panels, too.
    fn loaded(data: &ArcArray<i32, IxDyn>, shape: &[usize], strip_len: usize) -> (Vec<i32>, u64) {
        let mut out = vec![0; shape.iter().product()];
        let mut loader = Loader::new(data, shape);
        for (i, strip) in out.chunks_mut(strip_len).enumerate() {
            loader.load(i * strip_len, strip);
        }
        let bytes = loader.panels.iter().map(|panel| 4 * panel.buffer.capacity() as u64).sum();
        (out, bytes)
    }

    fn table(rows: usize, columns: usize) -> ArcArray<i32, Ix2> {
        let all = (0..(rows * columns) as i32).collect();
        Array::from_shape_vec((rows, columns), all).unwrap().into_shared()
    }

    #[test]
    fn panels_are_the_only_scratch_and_bounded() {
        let tall = table(900, 1100);
        let mut cut = tall.clone();
        cut.slice_axis_inplace(Axis(0), (3..703).into());
        cut.slice_axis_inplace(Axis(1), (5..1003).into());
        let mut wide = table(100, 9000);
        wide.slice_axis_inplace(Axis(1), Slice::new(0, None, 2));
        for data in [tall.clone().reversed_axes(), cut.clone().reversed_axes(), cut, wide] {
            let want: Vec<i32> = data.iter().copied().collect();
            let nbytes = 4 * want.len() as u64;
            let data = data.into_dyn();
            let (got, bytes) = loaded(&data, data.shape(), 512);
            assert_eq!(got, want);
            assert!(bytes <= panel_bytes_max(nbytes), "{bytes} of {nbytes}");
            assert_eq!(bytes > 0, data.strides()[0] == 1);
        }
        let thin = table(1 << 17, 9).reversed_axes().into_dyn();
        let (got, bytes) = loaded(&thin, thin.shape(), 512);
        assert!(got.iter().eq(thin.iter()));
        assert!(bytes <= panel_bytes_max(u64::MAX), "{bytes}");
    }

    proptest! {
        #[test]
        fn any_layout_is_read_in_the_order_of_the_output(
            lens in [0usize..5, 0..40, 0..40],
            order in Just([0, 1, 2]).prop_shuffle(),
            steps in prop::array::uniform3(prop::sample::select(&[-2isize, -1, 1, 2][..])),
            repeats in prop::array::uniform3(0usize..4),
            strip_len in 1usize..600,
        ) {
            let n: usize = lens.iter().product();
            let data = Array::from_shape_vec(IxDyn(&lens), (0..n as i32).collect()).unwrap();
            let mut data = data.into_shared().permuted_axes(IxDyn(&order));
            for (axis, step) in steps.into_iter().enumerate() {
                data.slice_axis_inplace(Axis(axis), Slice::new(0, None, step));
            }
            let shape: Vec<usize> = data.shape().iter().zip(repeats).map(|(&len, n)| {
                if len == 1 { 1 + n } else { len }
            }).collect();
            let want: Vec<i32> = data.broadcast(IxDyn(&shape)).unwrap().iter().copied().collect();
            prop_assert_eq!(loaded(&data, &shape, strip_len).0, want);
        }
    }
}
