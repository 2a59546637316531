//! Where the pieces of a shuffle wait until all inputs have been split.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use polars_arrow::array::{BinaryViewArrayGeneric, View, ViewType};
use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, DataType, IdxSize};

use super::concat::concat;
use super::spill::{Segment, SpillDir, SpillFile};
use super::split::Pieces;
use crate::error::{Error, Result};

/// Takes the rows of every input, from any thread, and gives each output its pieces of them in the
/// order of their inputs.
///
/// Rows stay in memory while there is room. When half of it is filled, everything is written to a file by the
/// thread that filled it, and half of what is left takes what comes in the meantime. It has to be everything:
/// pieces of one input are parts of the same buffers, which only the last of them frees. No lock is held while
/// a file is written or read. Files are as many as threads that wrote at the same time; there are none
/// before the first is needed, and none after this is dropped.
///
/// There are as many pieces as inputs times outputs, so a piece is a range of rows and no frame, which would take
/// more memory than its rows.
#[derive(Debug)]
pub(crate) struct Exchange {
    memory_bytes_max: AtomicU64,
    parent: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    outputs: Vec<Output>,
    /// No rows, all columns.
    schema: Option<DataFrame>,
    waiting: Vec<Waiting>,
    /// Of the rows that wait.
    waiting_bytes: u64,
    /// Of rows in memory that somebody writes at the moment.
    writing_bytes: u64,
    spilled_bytes: u64,
    dir: Option<Arc<SpillDir>>,
    n_files: usize,
    idle_files: Vec<SpillFile>,
}

/// Rows of an input in memory.
#[derive(Debug)]
struct Waiting {
    input: usize,
    rows: DataFrame,
    bytes: u64,
    /// How many pieces of them nobody has taken.
    n_pieces: usize,
}

#[derive(Debug, Default)]
struct Output {
    pieces: Vec<Piece>,
    spilled: Vec<Run>,
}

/// Some of the rows of `State::waiting[waiting]`.
#[derive(Clone, Copy, Debug)]
struct Piece {
    waiting: u32,
    start: IdxSize,
    len: IdxSize,
}

impl Piece {
    fn of(self, waiting: &[Waiting]) -> (usize, DataFrame) {
        let Waiting { input, rows, .. } = &waiting[self.waiting as usize];
        (*input, rows.slice(i64::from(self.start), self.len as usize))
    }
}

/// Pieces that were written as one frame: the input and the rows of each.
#[derive(Debug)]
struct Run {
    segment: Segment,
    inputs: Box<[(u32, IdxSize)]>,
}

/// What was taken out of memory to be written.
struct Taken {
    waiting: Vec<Waiting>,
    /// Of each output.
    pieces: Vec<Vec<Piece>>,
}

fn no_output(output: usize) -> Error {
    let problem = format!("there is no output {output}");
    Error::Internal { place: "exchange".into(), problem }
}

impl Exchange {
    /// A store for `n_out` outputs that keeps about this many bytes in memory and the rest in a folder that
    /// it makes in `parent`.
    pub(crate) fn new(n_out: usize, memory_bytes_max: u64, parent: impl Into<PathBuf>) -> Self {
        let outputs = (0..n_out).map(|_| Output::default()).collect();
        let state = Mutex::new(State { outputs, ..State::default() });
        Self { memory_bytes_max: memory_bytes_max.into(), parent: parent.into(), state }
    }

    /// Says how much memory there is, before the first piece comes.
    pub(crate) fn set_memory(&self, bytes_max: u64) {
        self.memory_bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// Takes the pieces of an input, one for each output; the last ones may be missing. Every input comes once, with
    /// the same columns.
    ///
    /// An error says that a file could not be written; the pieces are still there.
    pub(crate) fn put(&self, input: usize, pieces: Pieces) -> Result<()> {
        let n_outputs = self.lock().outputs.len();
        let Pieces { rows, starts } = pieces;
        if starts.len() > n_outputs + 1 {
            let problem = format!("got {} pieces for {n_outputs} outputs", starts.len() - 1);
            return Err(Error::Internal { place: "exchange".into(), problem });
        }
        let ranges = starts.windows(2).map(|ends| ends[0]..ends[1]);
        self.keep(input, rows, ranges.enumerate())
    }

    /// Takes the only piece of an input.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub(crate) fn put_whole(&self, input: usize, output: usize, rows: DataFrame) -> Result<()> {
        let n_outputs = self.lock().outputs.len();
        if output >= n_outputs {
            return Err(no_output(output));
        }
        let all = 0..rows.height();
        self.keep(input, rows, [(output, all)].into_iter())
    }

    /// Keeps these rows of an input for these outputs.
    fn keep(
        &self,
        input: usize,
        rows: DataFrame,
        pieces: impl Iterator<Item = (usize, Range<usize>)>,
    ) -> Result<()> {
        let bytes = frame_bytes(&rows);
        let mut guard = self.lock();
        let state = &mut *guard;
        state.schema.get_or_insert_with(|| rows.clear());
        let waiting = state.waiting.len() as u32;
        let mut n_pieces = 0;
        // Without columns there is nothing to keep but the number of rows.
        for (output, range) in pieces.filter(|(_, range)| !range.is_empty()) {
            let (start, len) = (range.start as IdxSize, range.len() as IdxSize);
            state.outputs[output].pieces.push(Piece { waiting, start, len });
            n_pieces += 1;
        }
        if n_pieces == 0 {
            return Ok(());
        }
        state.waiting.push(Waiting { input, rows, bytes, n_pieces });
        state.waiting_bytes += bytes;
        let room = self.memory_bytes_max.load(Ordering::Relaxed);
        let full = state.waiting_bytes > room.saturating_sub(state.writing_bytes) / 2;
        drop(guard);
        if full { self.spill() } else { Ok(()) }
    }

    /// Writes all rows that wait in memory.
    fn spill(&self) -> Result<()> {
        let Some((taken, file)) = self.begin_spill() else { return Ok(()) };
        let bytes: u64 = taken.waiting.iter().map(|waiting| waiting.bytes).sum();
        let written = file.and_then(|mut file| {
            // One frame for each output: many small ones would be mostly schema.
            let pieces = taken.pieces.iter().filter(|pieces| !pieces.is_empty());
            let frames = pieces.map(|pieces| concat(pieces.iter().map(|p| p.of(&taken.waiting).1)));
            let (segments, n) = file.append(frames)?;
            Ok((segments, n, file))
        });
        let mut state = self.lock();
        state.writing_bytes -= bytes;
        match written {
            Ok((segments, n, file)) => {
                state.spilled_bytes += n;
                state.idle_files.push(file);
                let pieces = taken.pieces.iter().enumerate().filter(|(_, p)| !p.is_empty());
                for ((output, pieces), segment) in pieces.zip(segments) {
                    let input = |p: &Piece| taken.waiting[p.waiting as usize].input as u32;
                    let inputs = pieces.iter().map(|piece| (input(piece), piece.len)).collect();
                    state.outputs[output].spilled.push(Run { segment, inputs });
                }
                // The rows are freed without the lock.
                drop(state);
                Ok(())
            }
            Err(error) => {
                state.put_back(taken, bytes);
                Err(error)
            }
        }
    }

    /// Takes out what is to be written, if there is anything, and a file that is nobody else's.
    fn begin_spill(&self) -> Option<(Taken, Result<SpillFile>)> {
        let mut state = self.lock();
        let taken = state.take_out()?;
        if let Some(file) = state.idle_files.pop() {
            return Some((taken, Ok(file)));
        }
        let number = state.n_files;
        state.n_files += 1;
        let dir = state.dir.clone();
        drop(state);
        let dir = match dir {
            Some(dir) => Ok(dir),
            None => self.make_dir(),
        };
        Some((taken, dir.and_then(|dir| dir.file(number))))
    }

    /// The folder for files; of two that are made at the same time, one goes at once.
    fn make_dir(&self) -> Result<Arc<SpillDir>> {
        let made = Arc::new(SpillDir::create(&self.parent)?);
        let mut state = self.lock();
        Ok(Arc::clone(state.dir.get_or_insert(made)))
    }

    /// All rows of an output, those of the first input first, once; later there are none.
    ///
    /// To be called when every `put` has returned. The rows are copied together, so that small pieces cost what comes
    /// after nothing, and do not hold the memory of others.
    pub(crate) fn take(&self, output: usize) -> Result<DataFrame> {
        let mut state = self.lock();
        let Some(schema) = state.schema.clone() else { return Ok(DataFrame::empty()) };
        let taken = state.outputs.get_mut(output).map(std::mem::take);
        let Some(Output { pieces, spilled }) = taken else {
            return Err(no_output(output));
        };
        let mut frames: Vec<(usize, DataFrame)> = Vec::with_capacity(pieces.len());
        let mut freed = Vec::new();
        for piece in pieces {
            frames.push(piece.of(&state.waiting));
            freed.extend(state.let_go(piece));
        }
        drop(state);
        drop(freed);
        for run in spilled {
            let frame = run.segment.read(schema.schema())?;
            let mut start = 0;
            for (input, rows) in run.inputs {
                frames.push((input as usize, frame.slice(start, rows as usize)));
                start += i64::from(rows);
            }
        }
        frames.sort_by_key(|(input, _)| *input);
        let mut all =
            concat([schema].into_iter().chain(frames.into_iter().map(|(_, frame)| frame)))?;
        all.rechunk_mut();
        Ok(all)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs with the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes out all rows that wait, if they have columns that could be written.
    fn take_out(&mut self) -> Option<Taken> {
        if self.schema.as_ref().is_none_or(|schema| schema.width() == 0) || self.waiting.is_empty()
        {
            return None;
        }
        let pieces = self.outputs.iter_mut().map(|output| std::mem::take(&mut output.pieces));
        let taken = Taken { pieces: pieces.collect(), waiting: std::mem::take(&mut self.waiting) };
        self.writing_bytes += self.waiting_bytes;
        self.waiting_bytes = 0;
        Some(taken)
    }

    /// Takes back what could not be written.
    fn put_back(&mut self, taken: Taken, bytes: u64) {
        let n_before = self.waiting.len() as u32;
        self.waiting_bytes += bytes;
        self.waiting.extend(taken.waiting);
        for (output, pieces) in self.outputs.iter_mut().zip(taken.pieces) {
            let moved = |piece: Piece| Piece { waiting: piece.waiting + n_before, ..piece };
            output.pieces.extend(pieces.into_iter().map(moved));
        }
    }

    /// Takes note that a piece was taken; the rows that it was part of, if it was the last piece of them.
    fn let_go(&mut self, piece: Piece) -> Option<DataFrame> {
        let waiting = &mut self.waiting[piece.waiting as usize];
        waiting.n_pieces -= 1;
        if waiting.n_pieces > 0 {
            return None;
        }
        self.waiting_bytes -= waiting.bytes;
        Some(std::mem::take(&mut waiting.rows))
    }
}

/// Bytes that the rows of a frame stand for; views count the text of their own rows only, if it is not in the views.
pub(crate) fn frame_bytes(frame: &DataFrame) -> u64 {
    fn views<T: ViewType + ?Sized>(array: &BinaryViewArrayGeneric<T>) -> usize {
        let text = |view: &View| if view.is_inline() { 0 } else { view.length as usize };
        let texts: usize = array.views().iter().map(text).sum();
        array.len() * size_of::<View>() + texts
    }
    let bytes = |column: &Column| -> usize {
        let series = column.as_materialized_series();
        match column.dtype() {
            DataType::String => series.str().map_or(0, |c| c.downcast_iter().map(views).sum()),
            DataType::Binary => series.binary().map_or(0, |c| c.downcast_iter().map(views).sum()),
            _ => series.estimated_size(),
        }
    };
    frame.columns().iter().map(bytes).sum::<usize>() as u64
}

#[cfg(test)]
mod tests {
    use super::super::split::hash_split;
    use super::super::testing::{cut, frame, frames_equal};
    use super::*;
    use polars_core::df;
    use polars_core::prelude::{Categories, IntoColumn, NamedFrom, PlSmallStr};
    use proptest::prelude::*;
    use std::path::Path;

    impl Exchange {
        /// Bytes of the pieces in memory.
        fn memory_bytes(&self) -> u64 {
            let state = self.lock();
            state.waiting_bytes + state.writing_bytes
        }
    }

    const KEY: PlSmallStr = PlSmallStr::from_static("k");

    fn files(dir: &Path) -> usize {
        let entries =
            |dir: &Path| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let of_frames = |path: &PathBuf| path.extension().is_some();
        entries(dir).map(|dir| entries(&dir).filter(of_frames).count()).sum()
    }

    fn pieces<const N: usize>(frames: [DataFrame; N]) -> Pieces {
        let ends = frames.iter().scan(0, |end, frame| {
            *end += frame.height();
            Some(*end)
        });
        let starts = [0].into_iter().chain(ends).collect();
        Pieces { starts, rows: concat(frames).unwrap() }
    }

    fn ints(values: impl IntoIterator<Item = i64>) -> DataFrame {
        df!["k" => values.into_iter().collect::<Vec<_>>()].unwrap()
    }

    #[test]
    fn nothing_is_written_before_memory_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let exchange = Exchange::new(2, 4 * 80, dir.path());
        for input in [1, 0] {
            exchange.put(input, pieces([ints(0..5), ints(5..10)])).unwrap();
        }
        assert_eq!(
            (exchange.memory_bytes(), exchange.lock().spilled_bytes, files(dir.path())),
            (160, 0, 0)
        );
        exchange.put(2, pieces([ints(10..11), ints([])])).unwrap();
        assert_eq!((exchange.memory_bytes(), files(dir.path())), (0, 1));
        assert!(exchange.lock().spilled_bytes > 0);
        exchange.put(3, pieces([ints([7]), ints([])])).unwrap();
        let all = exchange.take(0).unwrap();
        assert!(all.equals(&ints((0..5).chain(0..5).chain([10, 7]))));
        assert_eq!(exchange.take(1).unwrap().height(), 10);
        assert_eq!(exchange.take(1).unwrap().shape(), (0, 1));
        assert_eq!(exchange.memory_bytes(), 0);
        drop(exchange);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn outputs_without_rows_have_their_columns() {
        let exchange = Exchange::new(2, 0, std::env::temp_dir());
        exchange.put(0, pieces([ints([]), ints([])])).unwrap();
        assert_eq!(exchange.take(1).unwrap().schema(), ints([]).schema());
        assert!(exchange.take(2).is_err());
        assert!(exchange.put(1, pieces([ints([]), ints([]), ints([])])).is_err());
        assert_eq!(Exchange::new(1, 0, "").take(0).unwrap().shape(), (0, 0));
        let rows = Exchange::new(1, 0, "/nowhere");
        rows.put(0, pieces([DataFrame::empty_with_height(3)])).unwrap();
        rows.put(1, pieces([DataFrame::empty_with_height(2)])).unwrap();
        assert_eq!(rows.take(0).unwrap().shape(), (5, 0));
    }

    #[test]
    fn what_can_not_be_written_is_an_error_and_not_lost() {
        let exchange = Exchange::new(1, 10, "/nowhere at all");
        let error = exchange.put(1, pieces([ints(0..9)])).unwrap_err();
        assert!(
            matches!(&error, Error::Io { path, .. } if path == Path::new("/nowhere at all")),
            "{error}"
        );
        assert!(exchange.put(0, pieces([ints([9])])).is_err());
        assert_eq!(exchange.memory_bytes(), 80);
        assert!(exchange.take(0).unwrap().equals(&ints([9, 0, 1, 2, 3, 4, 5, 6, 7, 8])));
    }

    #[test]
    fn categories_come_back_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let exchange = Exchange::new(1, 0, dir.path());
        let dtype = DataType::from_categories(Categories::global());
        let column = Column::new("c".into(), [Some("x"), None, Some("a longer category")])
            .strict_cast(&dtype)
            .unwrap();
        let list = polars_core::prelude::Series::new("l".into(), [1_i64, 2, 3]).into_column();
        let frame = DataFrame::new(3, vec![column, list]).unwrap();
        exchange.put(0, pieces([frame.clone()])).unwrap();
        exchange.put(1, pieces([frame.clear()])).unwrap();
        assert!(frames_equal(&exchange.take(0).unwrap(), &frame));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn outputs_keep_the_order_of_inputs_whoever_puts_them(
            frame in frame(80), at in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
            n in 1..5_usize, budget in prop::sample::select(vec![0_u64, 500, 3000, u64::MAX]),
        ) {
            let inputs = cut(&frame, &at);
            let dir = tempfile::tempdir().unwrap();
            let exchange = Exchange::new(n, budget, dir.path());
            std::thread::scope(|scope| {
                for part in 0..3 {
                    let (exchange, inputs) = (&exchange, &inputs);
                    scope.spawn(move || {
                        for (i, input) in inputs.iter().enumerate().rev().filter(|(i, _)| i % 3 == part) {
                            exchange.put(i, hash_split(input, &[KEY], n).unwrap()).unwrap();
                        }
                    });
                }
            });
            prop_assert!(files(dir.path()) <= 3);
            for (i, expected) in hash_split(&frame, &[KEY], n).unwrap().frames().enumerate() {
                prop_assert!(frames_equal(&exchange.take(i).unwrap(), &expected));
            }
            prop_assert_eq!(exchange.memory_bytes(), 0);
        }
    }
}
