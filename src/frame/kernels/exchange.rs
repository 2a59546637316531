//! Where the pieces of a shuffle wait until all inputs have been split.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, DataType};

use super::concat::concat;
use super::spill::{Segment, SpillDir, SpillFile};
use crate::error::{Error, Result};

/// Takes pieces of every input for every output, from any thread, and gives each output its pieces in the
/// order of their inputs.
///
/// Pieces stay in memory while there is room. When half of it is filled, everything is written to a file by the
/// thread that filled it, and the other half takes what comes in the meantime. It has to be everything:
/// pieces of one input are slices of the same buffers, which only the last of them frees. No lock is held while
/// a file is written or read. Files are as many as threads that wrote at the same time; there are none
/// before the first is needed, and none after this is dropped.
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
    /// Of pieces in memory that nobody writes at the moment.
    waiting_bytes: u64,
    /// Of pieces in memory that somebody writes at the moment.
    writing_bytes: u64,
    spilled_bytes: u64,
    dir: Option<Arc<SpillDir>>,
    n_files: usize,
    idle_files: Vec<SpillFile>,
}

#[derive(Debug, Default)]
struct Output {
    pieces: Vec<Piece>,
    spilled: Vec<Run>,
}

#[derive(Clone, Debug)]
struct Piece {
    input: usize,
    bytes: u64,
    frame: DataFrame,
}

/// Pieces that were written as one frame: the input and the rows of each.
#[derive(Debug)]
struct Run {
    segment: Segment,
    inputs: Vec<(usize, usize)>,
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

    /// Takes the pieces of an input, one for each output. Every input comes once, with the same columns.
    ///
    /// An error says that a file could not be written; the pieces are still there.
    pub(crate) fn put(&self, input: usize, pieces: Vec<DataFrame>) -> Result<()> {
        let n_outputs = self.lock().outputs.len();
        if pieces.len() != n_outputs {
            let problem = format!("got {} pieces for {n_outputs} outputs", pieces.len());
            return Err(Error::Internal { place: "exchange".into(), problem });
        }
        self.keep(input, pieces.into_iter().enumerate())
    }

    /// Keeps pieces of an input for these outputs.
    fn keep(
        &self,
        input: usize,
        pieces: impl IntoIterator<Item = (usize, DataFrame)>,
    ) -> Result<()> {
        let piece = |frame: DataFrame| Piece { input, bytes: frame_bytes(&frame), frame };
        let pieces = pieces.into_iter().map(|(output, frame)| (output, piece(frame)));
        let pieces: Vec<(usize, Piece)> = pieces.collect();
        let mut state = self.lock();
        if let (None, Some((_, piece))) = (&state.schema, pieces.first()) {
            state.schema = Some(piece.frame.clear());
        }
        for (output, piece) in pieces {
            state.waiting_bytes += piece.bytes;
            // Without columns there is nothing to keep but the number of rows.
            if piece.frame.height() > 0 {
                state.outputs[output].pieces.push(piece);
            }
        }
        let full = state.waiting_bytes > self.memory_bytes_max.load(Ordering::Relaxed) / 2;
        drop(state);
        if full { self.spill() } else { Ok(()) }
    }

    /// Takes the only piece of an input.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub(crate) fn put_whole(&self, input: usize, output: usize, frame: DataFrame) -> Result<()> {
        let n_outputs = self.lock().outputs.len();
        if output >= n_outputs {
            return Err(no_output(output));
        }
        self.keep(input, [(output, frame)])
    }

    /// Writes all pieces that wait in memory.
    fn spill(&self) -> Result<()> {
        let (taken, file) = self.begin_spill();
        let bytes: u64 = taken.iter().flat_map(|(_, pieces)| pieces).map(|piece| piece.bytes).sum();
        let written = file.and_then(|mut file| {
            // One frame for each output: many small ones would be mostly schema.
            let frames =
                taken.iter().map(|(_, pieces)| concat(pieces.iter().map(|p| p.frame.clone())));
            let (segments, n) = file.append(frames)?;
            Ok((segments, n, file))
        });
        let mut state = self.lock();
        state.writing_bytes -= bytes;
        match written {
            Ok((segments, n, file)) => {
                state.spilled_bytes += n;
                state.idle_files.push(file);
                for ((output, pieces), segment) in taken.iter().zip(segments) {
                    let inputs =
                        pieces.iter().map(|piece| (piece.input, piece.frame.height())).collect();
                    state.outputs[*output].spilled.push(Run { segment, inputs });
                }
                // The pieces are freed without the lock.
                drop(state);
                Ok(())
            }
            Err(error) => {
                state.waiting_bytes += bytes;
                for (output, pieces) in taken {
                    state.outputs[output].pieces.extend(pieces);
                }
                Err(error)
            }
        }
    }

    /// Takes out what is to be written, and a file that is nobody else's.
    fn begin_spill(&self) -> (Vec<(usize, Vec<Piece>)>, Result<SpillFile>) {
        let mut state = self.lock();
        let mut taken = Vec::new();
        for (i, output) in state.outputs.iter_mut().enumerate() {
            let columns = output.pieces.first().map_or(0, |piece| piece.frame.width());
            if columns > 0 {
                taken.push((i, std::mem::take(&mut output.pieces)));
            }
        }
        let bytes = taken
            .iter()
            .flat_map(|(_, pieces)| pieces)
            .map(|piece: &Piece| piece.bytes)
            .sum::<u64>();
        state.waiting_bytes -= bytes;
        state.writing_bytes += bytes;
        if let Some(file) = state.idle_files.pop() {
            return (taken, Ok(file));
        }
        let number = state.n_files;
        state.n_files += 1;
        let dir = state.dir.clone();
        drop(state);
        let dir = match dir {
            Some(dir) => Ok(dir),
            None => self.make_dir(),
        };
        (taken, dir.and_then(|dir| dir.file(number)))
    }

    /// The folder for files; of two that are made at the same time, one goes at once.
    fn make_dir(&self) -> Result<Arc<SpillDir>> {
        let made = Arc::new(SpillDir::create(&self.parent)?);
        let mut state = self.lock();
        Ok(Arc::clone(state.dir.get_or_insert(made)))
    }

    /// All rows of an output, those of the first input first, once; later there are none.
    ///
    /// To be called when every `put` has returned.
    pub(crate) fn take(&self, output: usize) -> Result<DataFrame> {
        let mut state = self.lock();
        let Some(schema) = state.schema.clone() else { return Ok(DataFrame::empty()) };
        let taken = state.outputs.get_mut(output).map(std::mem::take);
        let Some(Output { pieces, spilled }) = taken else {
            return Err(no_output(output));
        };
        state.waiting_bytes -= pieces.iter().map(|piece| piece.bytes).sum::<u64>();
        drop(state);
        let mut frames: Vec<(usize, DataFrame)> =
            pieces.into_iter().map(|p| (p.input, p.frame)).collect();
        for run in spilled {
            let frame = run.segment.read(schema.schema())?;
            let mut start = 0;
            for (input, rows) in run.inputs {
                frames.push((input, frame.slice(start as i64, rows)));
                start += rows;
            }
        }
        frames.sort_by_key(|(input, _)| *input);
        concat([schema].into_iter().chain(frames.into_iter().map(|(_, frame)| frame)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs with the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that the rows of a frame stand for; views count the text of their own rows only.
pub(crate) fn frame_bytes(frame: &DataFrame) -> u64 {
    let views = |rows: usize, text: usize| rows * size_of::<u128>() + text;
    let bytes = |column: &Column| -> usize {
        let series = column.as_materialized_series();
        match column.dtype() {
            DataType::String => series.str().map_or(0, |c| {
                c.downcast_iter().map(|chunk| views(chunk.len(), chunk.total_bytes_len())).sum()
            }),
            DataType::Binary => series.binary().map_or(0, |c| {
                c.downcast_iter().map(|chunk| views(chunk.len(), chunk.total_bytes_len())).sum()
            }),
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
        std::fs::read_dir(dir)
            .unwrap()
            .map(|d| std::fs::read_dir(d.unwrap().path()).unwrap().count())
            .sum()
    }

    fn ints(values: impl IntoIterator<Item = i64>) -> DataFrame {
        df!["k" => values.into_iter().collect::<Vec<_>>()].unwrap()
    }

    #[test]
    fn nothing_is_written_before_memory_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let exchange = Exchange::new(2, 4 * 80, dir.path());
        for input in [1, 0] {
            exchange.put(input, vec![ints(0..5), ints(5..10)]).unwrap();
        }
        assert_eq!(
            (exchange.memory_bytes(), exchange.lock().spilled_bytes, files(dir.path())),
            (160, 0, 0)
        );
        exchange.put(2, vec![ints(10..11), ints([])]).unwrap();
        assert_eq!((exchange.memory_bytes(), files(dir.path())), (0, 1));
        assert!(exchange.lock().spilled_bytes > 0);
        exchange.put(3, vec![ints([7]), ints([])]).unwrap();
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
        exchange.put(0, vec![ints([]), ints([])]).unwrap();
        assert_eq!(exchange.take(1).unwrap().schema(), ints([]).schema());
        assert!(exchange.take(2).is_err());
        assert!(exchange.put(1, vec![]).is_err());
        assert_eq!(Exchange::new(1, 0, "").take(0).unwrap().shape(), (0, 0));
        let rows = Exchange::new(1, 0, "/nowhere");
        rows.put(0, vec![DataFrame::empty_with_height(3)]).unwrap();
        rows.put(1, vec![DataFrame::empty_with_height(2)]).unwrap();
        assert_eq!(rows.take(0).unwrap().shape(), (5, 0));
    }

    #[test]
    fn what_can_not_be_written_is_an_error_and_not_lost() {
        let exchange = Exchange::new(1, 10, "/nowhere at all");
        let error = exchange.put(1, vec![ints(0..9)]).unwrap_err();
        assert!(
            matches!(&error, Error::Io { path, .. } if path == Path::new("/nowhere at all")),
            "{error}"
        );
        assert!(exchange.put(0, vec![ints([9])]).is_err());
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
        exchange.put(0, vec![frame.clone()]).unwrap();
        exchange.put(1, vec![frame.clear()]).unwrap();
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
            for (i, expected) in hash_split(&frame, &[KEY], n).unwrap().iter().enumerate() {
                prop_assert!(frames_equal(&exchange.take(i).unwrap(), expected));
            }
            prop_assert_eq!(exchange.memory_bytes(), 0);
        }
    }
}
