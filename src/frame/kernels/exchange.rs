//! Where the pieces of a shuffle wait until all inputs have been split.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use polars_arrow::array::{BinaryViewArrayGeneric, View, ViewType};
use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, DataType, IdxSize};

use super::concat::concat;
use super::pieces::Gathered;
use super::spill::{CODEC_BYTES, Inputs, Run, RunReader, SpillDir, SpillFile};
use super::split::Pieces;
use crate::error::{Error, Result};

/// Takes the rows of every input, from any thread, and gives each output its pieces of them in the
/// order of their inputs.
///
/// Rows stay in memory while there is room. When it is filled, everything is written to a file by the thread that filled
/// it, to whose task the last rows count; what comes in the meantime has what room is left. It has to be everything:
/// pieces of one input are parts of the same buffers, which only the last of them frees. No lock is held while
/// a file is written or read. Files are as many as threads that wrote at the same time; there are none
/// before the first is needed, and none after this is dropped.
///
/// There are as many pieces as inputs times outputs, so a piece is a range of rows and no frame, which would take
/// more memory than its rows; and of what was written only one place is kept for all outputs.
#[derive(Debug)]
pub(crate) struct Exchange {
    memory_bytes_max: AtomicU64,
    parent: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The pieces in memory of each output, until it is taken.
    outputs: Vec<Option<Vec<Piece>>>,
    /// No rows, all columns.
    schema: Option<DataFrame>,
    waiting: Vec<Waiting>,
    /// Of the rows that wait, and of their pieces.
    waiting_bytes: u64,
    /// Of rows in memory that somebody writes at the moment, and of what writing takes.
    writing_bytes: u64,
    spilled_bytes: u64,
    runs: Arc<Vec<Run>>,
    dir: Option<Arc<SpillDir>>,
    n_files: u32,
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

/// What was taken out of memory to be written.
struct Taken {
    waiting: Vec<Waiting>,
    /// Of each output.
    pieces: Vec<Vec<Piece>>,
    bytes: u64,
}

impl Taken {
    /// The rows of each output that has some, as one frame, because many small ones would be mostly schema; with how many
    /// come from which input.
    fn frames(&self) -> impl Iterator<Item = Result<Option<(Inputs, DataFrame)>>> {
        let input = |piece: &Piece| self.waiting[piece.waiting as usize].input as u32;
        self.pieces.iter().map(move |pieces| {
            if pieces.is_empty() {
                return Ok(None);
            }
            let inputs = pieces.iter().map(|piece| (input(piece), piece.len)).collect();
            let rows = concat(pieces.iter().map(|piece| piece.of(&self.waiting).1))?;
            Ok(Some((inputs, rows)))
        })
    }
}

fn no_output(output: usize) -> Error {
    let problem = format!("there is no output {output}");
    Error::Internal { place: "exchange".into(), problem }
}

impl Exchange {
    /// A store for `n_out` outputs that keeps about this many bytes in memory and the rest in a folder that
    /// it makes in `parent`.
    pub(crate) fn new(n_out: usize, memory_bytes_max: u64, parent: impl Into<PathBuf>) -> Self {
        let outputs = vec![Some(Vec::new()); n_out];
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
            let pieces = state.outputs[output].get_or_insert_default();
            pieces.push(Piece { waiting, start, len });
            n_pieces += 1;
        }
        if n_pieces == 0 {
            return Ok(());
        }
        let bytes = bytes + (n_pieces * size_of::<Piece>()) as u64;
        state.waiting.push(Waiting { input, rows, bytes, n_pieces });
        state.waiting_bytes += bytes;
        let room = self.memory_bytes_max.load(Ordering::Relaxed);
        let full = state.waiting_bytes + state.writing_bytes > room;
        drop(guard);
        if full { self.spill() } else { Ok(()) }
    }

    /// Writes all rows that wait in memory.
    fn spill(&self) -> Result<()> {
        let Some((taken, file)) = self.begin_spill() else { return Ok(()) };
        let written = file.and_then(|mut file| {
            let (run, n) = file.append(taken.frames())?;
            Ok((run, n, file))
        });
        let mut state = self.lock();
        state.writing_bytes -= taken.bytes + CODEC_BYTES;
        match written {
            Ok((run, n, file)) => {
                state.spilled_bytes += n;
                state.idle_files.push(file);
                Arc::make_mut(&mut state.runs).push(run);
                // The rows are freed without the lock.
                drop(state);
                Ok(())
            }
            Err(error) => {
                state.put_back(taken);
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
        let pieces = state.outputs.get_mut(output).ok_or_else(|| no_output(output))?.take();
        let Some(pieces) = pieces else { return Ok(schema) };
        let (mut rows, mut freed) = (Vec::with_capacity(pieces.len()), Vec::new());
        for piece in pieces {
            rows.push((piece.len, piece.of(&state.waiting)));
            freed.extend(state.let_go(piece));
        }
        let (runs, dir) = (Arc::clone(&state.runs), state.dir.clone());
        drop(state);
        drop(freed);
        let mut all = Gathered::new(schema.clone());
        for (n, (input, rows)) in rows {
            all.add([(input as u32, n)], rows)?;
        }
        if let Some(dir) = dir {
            let mut files: HashMap<u32, RunReader> = HashMap::new();
            for &run in runs.iter().filter(|run| run.may_have(output)) {
                let file = match files.entry(run.file) {
                    Entry::Occupied(open) => open.into_mut(),
                    Entry::Vacant(entry) => entry.insert(dir.open(run.file)?),
                };
                if let Some((inputs, rows)) = file.read(run, output, schema.schema())? {
                    all.add(inputs, rows)?;
                }
            }
        }
        all.in_order()
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
        let pieces = self.outputs.iter_mut();
        let pieces = pieces.map(|pieces| pieces.as_mut().map(std::mem::take).unwrap_or_default());
        let taken = Taken {
            pieces: pieces.collect(),
            waiting: std::mem::take(&mut self.waiting),
            bytes: std::mem::take(&mut self.waiting_bytes),
        };
        self.writing_bytes += taken.bytes + CODEC_BYTES;
        Some(taken)
    }

    /// Takes back what could not be written.
    fn put_back(&mut self, taken: Taken) {
        let n_before = self.waiting.len() as u32;
        self.waiting_bytes += taken.bytes;
        self.waiting.extend(taken.waiting);
        for (output, pieces) in self.outputs.iter_mut().zip(taken.pieces) {
            let moved = |piece: Piece| Piece { waiting: piece.waiting + n_before, ..piece };
            output.get_or_insert_default().extend(pieces.into_iter().map(moved));
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
        // Ten rows, and where two pieces of them are.
        let each = 80 + 2 * size_of::<Piece>() as u64;
        let exchange = Exchange::new(2, 2 * each, dir.path());
        for input in [1, 0] {
            exchange.put(input, pieces([ints(0..5), ints(5..10)])).unwrap();
        }
        assert_eq!(
            (exchange.memory_bytes(), exchange.lock().spilled_bytes, files(dir.path())),
            (2 * each, 0, 0)
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
        assert_eq!(exchange.memory_bytes(), 80 + 2 * size_of::<Piece>() as u64);
        assert!(exchange.take(0).unwrap().equals(&ints([9, 0, 1, 2, 3, 4, 5, 6, 7, 8])));
    }

    #[test]
    fn what_was_torn_is_an_error_and_no_other_rows() {
        let dir = tempfile::tempdir().unwrap();
        let full = || {
            let exchange = Exchange::new(2, 0, dir.path());
            exchange.put(0, pieces([ints(0..300), ints(300..600)])).unwrap();
            let mut entries = std::fs::read_dir(dir.path()).unwrap();
            let file = entries.next().unwrap().unwrap().path().join("0.arrow");
            (exchange, file)
        };
        let len = std::fs::metadata(full().1).unwrap().len();
        for part in (0..len).step_by(97).chain([len - 1]) {
            let (exchange, file) = full();
            std::fs::File::options().write(true).open(&file).unwrap().set_len(part).unwrap();
            // Where the last output ends stands last in the file.
            let error = exchange.take(1).unwrap_err().to_string();
            assert!(error.contains("0.arrow"), "{part}: {error}");
            match exchange.take(0) {
                Ok(rows) => assert!(part >= len - 8 && rows.equals(&ints(0..300)), "{part}"),
                Err(error) => assert!(error.to_string().contains("0.arrow"), "{part}: {error}"),
            }
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
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
                            exchange.put(i, hash_split(input, &[KEY], n, |_| true).unwrap()).unwrap();
                        }
                    });
                }
            });
            prop_assert!(files(dir.path()) <= 3);
            for (i, expected) in hash_split(&frame, &[KEY], n, |_| true).unwrap().frames().enumerate() {
                prop_assert!(frames_equal(&exchange.take(i).unwrap(), &expected));
            }
            prop_assert_eq!(exchange.memory_bytes(), 0);
        }
    }
}
