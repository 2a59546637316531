//! Frames in local files, one after the other, from where they are read back by place.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use polars_core::frame::DataFrame;
use polars_core::prelude::{
    BinaryChunked, Column, DataType, Field, IdxSize, IntoColumn, IntoSeries, PolarsError,
    PolarsResult, Schema, Series, StringChunked,
};

use super::concat::concat;
use super::refused;
use crate::error::{Call, Error, Result};
use crate::frame::interop::{from_record_batch, to_record_batches};
use crate::scratch::ScratchDir;

/// How much is handed to the operating system at once.
const BUFFER_BYTES: usize = 1 << 16;

/// Of smaller frames the buffers of the codec, which each column makes and clears anew, cost more than the bytes that it saves.
const COMPRESSED_BYTES_MIN: usize = 1 << 14;

/// What writing or reading small frames takes besides them: the buffer of the file, and those of the codec with its table.
pub(crate) const CODEC_BYTES: u64 = BUFFER_BYTES as u64 + (160 << 10);

/// A folder of files that goes when this does.
#[derive(Debug)]
pub(super) struct SpillDir(ScratchDir);

impl SpillDir {
    /// A new folder inside of this one.
    pub(super) fn create(parent: &Path) -> Result<Self> {
        let dir = ScratchDir::create(parent);
        dir.map(Self).map_err(|error| io_error(parent, error))
    }

    /// A new file, which nobody else has.
    pub(super) fn file(&self, number: u32) -> Result<SpillFile> {
        let path = self.path_of(number);
        let file = OpenOptions::new().create_new(true).write(true).open(&path);
        let file = file.map_err(|error| io_error(&path, error))?;
        Ok(SpillFile { number, path, file, end: 0 })
    }

    /// The file of this number, to read what was written to it.
    pub(super) fn open(&self, number: u32) -> Result<RunReader> {
        let path = self.path_of(number);
        let file = File::open(&path).map_err(|error| io_error(&path, error))?;
        Ok(RunReader { path, file })
    }

    fn path_of(&self, number: u32) -> PathBuf {
        self.0.path().join(format!("{number}.arrow"))
    }
}

/// A file to which one thread at a time appends.
#[derive(Debug)]
pub(super) struct SpillFile {
    number: u32,
    path: PathBuf,
    file: File,
    end: u64,
}

/// What was written at once: a segment for each output from the first to the last that have rows, then a list of where these
/// begin, and where the last one ends. As the list is in the file too, a run takes no more memory for more outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) file: u32,
    list: u64,
    first: u32,
    n_outputs: u32,
}

/// How many rows of a frame come from which input, in their order.
pub(super) type Inputs = Vec<(u32, IdxSize)>;

impl Run {
    /// The place of an output in the list, if it can have rows.
    fn place_of(self, output: usize) -> Option<u64> {
        let place = (output as u64).checked_sub(self.first.into())?;
        (place < self.n_outputs.into()).then_some(place)
    }

    pub(super) fn may_have(self, output: usize) -> bool {
        self.place_of(output).is_some()
    }
}

impl SpillFile {
    /// Appends a run of the frames of all outputs, of which some may have none; also says how many bytes that were.
    ///
    /// After an error the file has to be given up; what was appended before is not harmed.
    pub(super) fn append(
        &mut self,
        outputs: impl Iterator<Item = Result<Option<(Inputs, DataFrame)>>>,
    ) -> Result<(Run, u64)> {
        let start = self.end;
        let mut writer =
            Counting { inner: BufWriter::with_capacity(BUFFER_BYTES, &self.file), written: 0 };
        let (mut first, mut places) = (0, Vec::new());
        for output in outputs {
            let output = output?;
            if output.is_none() && places.is_empty() {
                first += 1;
                continue;
            }
            places.push(start + writer.written);
            if let Some((inputs, frame)) = output {
                write_inputs(&inputs, &mut writer).map_err(|error| io_error(&self.path, error))?;
                write(frame, &mut writer).map_err(|problem| problem.at(&self.path))?;
            }
        }
        let list = start + writer.written;
        while places.pop_if(|place| *place == list).is_some() {}
        let n_outputs = places.len() as u32;
        places.push(list);
        let mut finish = || {
            places.iter().try_for_each(|place| writer.write_all(&place.to_le_bytes()))?;
            writer.flush()
        };
        finish().map_err(|error| io_error(&self.path, error))?;
        self.end = start + writer.written;
        Ok((Run { file: self.number, list, first, n_outputs }, self.end - start))
    }
}

/// A file of runs.
#[derive(Debug)]
pub(super) struct RunReader {
    path: PathBuf,
    file: File,
}

impl RunReader {
    /// The frame of an output, if the run has one, whose columns had this schema.
    pub(super) fn read(
        &mut self,
        run: Run,
        output: usize,
        schema: &Schema,
    ) -> Result<Option<(Inputs, DataFrame)>> {
        let found =
            find(&mut self.file, run, output).map_err(|error| io_error(&self.path, error))?;
        let Some((inputs, segment)) = found else { return Ok(None) };
        let frame = read(segment, schema).map_err(|problem| problem.at(&self.path))?;
        Ok(Some((inputs, frame)))
    }
}

/// What is before the frame of an output, and what to read it from.
fn find(file: &mut File, run: Run, output: usize) -> io::Result<Option<(Inputs, impl Read)>> {
    let Some(place) = run.place_of(output) else { return Ok(None) };
    file.seek(SeekFrom::Start(run.list + 8 * place))?;
    let mut ends = [0; 16];
    file.read_exact(&mut ends)?;
    let [start, end] = [0, 8].map(|i| {
        let bytes = ends[i..i + 8].try_into().expect("eight bytes");
        u64::from_le_bytes(bytes)
    });
    if start == end {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(start))?;
    let len = end.saturating_sub(start);
    let buffer = usize::try_from(len).map_or(BUFFER_BYTES, |len| len.min(BUFFER_BYTES));
    let mut segment = BufReader::with_capacity(buffer, file.take(len));
    let inputs = read_inputs(&mut segment)?;
    Ok(Some((inputs, segment)))
}

fn write_inputs(inputs: &[(u32, IdxSize)], writer: &mut impl Write) -> io::Result<()> {
    writer.write_all(&(inputs.len() as u32).to_le_bytes())?;
    let mut numbers = inputs.iter().flat_map(|&(input, rows)| [input, rows]);
    numbers.try_for_each(|number| writer.write_all(&number.to_le_bytes()))
}

fn read_inputs(reader: &mut impl Read) -> io::Result<Inputs> {
    let mut number = || {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map(|()| u32::from_le_bytes(bytes))
    };
    let n = number()?;
    (0..n).map(|_| Ok((number()?, number()?))).collect()
}

/// Whether [`save`] can write the frame, and [`load`] make the same one of it.
pub(crate) fn can_leave(frame: &DataFrame) -> bool {
    let is_fit = |column: &Column| stored_dtype(column.dtype()).is_some();
    frame.height() > 0 && frame.width() > 0 && frame.columns().iter().all(is_fit)
}

/// Writes a frame of some rows, for [`load`].
pub(crate) fn save(frame: DataFrame, to: &mut dyn Write) -> io::Result<()> {
    let mut to = BufWriter::with_capacity(BUFFER_BYTES.min(frame.estimated_size()), to);
    write(frame, &mut to).map_err(Problem::into_io)?;
    to.flush()
}

/// Reads all of what [`save`] wrote of a frame with this schema.
pub(crate) fn load(from: &mut dyn Read, schema: &Schema) -> io::Result<DataFrame> {
    let mut from = BufReader::with_capacity(BUFFER_BYTES, from);
    let frame = read(&mut from, schema).map_err(Problem::into_io)?;
    // The stream has an end of its own, before that of the file.
    io::copy(&mut from, &mut io::sink())?;
    Ok(frame)
}

fn read(file: impl Read, schema: &Schema) -> Result<DataFrame, Problem> {
    let mut frames = Vec::new();
    for batch in StreamReader::try_new(file, None)? {
        frames.push(from_record_batch(&batch?).map_err(Problem::Other)?);
    }
    let other = |error: PolarsError| Problem::Other(error.to_string());
    let frame = concat(frames).map_err(|error| Problem::Other(error.to_string()))?;
    let columns = frame.columns().iter().zip(schema.iter_values());
    let columns = columns.map(|(column, dtype)| match dtype {
        _ if column.dtype() == dtype => Ok(column.clone()),
        DataType::Null => Ok(Column::full_null(column.name().clone(), column.len(), dtype)),
        _ => column.strict_cast(dtype).map_err(other),
    });
    DataFrame::new(frame.height(), columns.collect::<Result<_, _>>()?).map_err(other)
}

fn write(frame: DataFrame, writer: &mut impl Write) -> Result<(), Problem> {
    let frame = plain(frame)?;
    let batches = to_record_batches(&frame).map_err(Problem::Other)?;
    let Some(first) = batches.first() else {
        return Err(Problem::Other("a frame without rows".into()));
    };
    let is_large = frame.estimated_size() >= COMPRESSED_BYTES_MIN;
    let compression = is_large.then_some(CompressionType::LZ4_FRAME);
    let options = IpcWriteOptions::default().try_with_compression(compression)?;
    let mut stream = StreamWriter::try_new_with_options(writer, &first.schema(), options)?;
    for batch in &batches {
        stream.write(batch)?;
    }
    Ok(stream.finish()?)
}

/// The dtype of a column in a file, from which it comes back: categories are strings, because else each segment would
/// carry all that there are. `None` for values of this process.
fn stored_dtype(dtype: &DataType) -> Option<DataType> {
    Some(match dtype {
        object if object.is_object() => return None,
        DataType::Categorical(..) | DataType::Enum(..) => DataType::String,
        // Arrow's null arrays have no buffers, those of polars have one.
        DataType::Null => DataType::Boolean,
        DataType::List(inner) => DataType::List(Box::new(stored_inside(inner)?)),
        DataType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| Some(Field::new(field.name().clone(), stored_inside(field.dtype())?)));
            DataType::Struct(fields.collect::<Option<_>>()?)
        }
        other => other.clone(),
    })
}

/// The same of a dtype inside of another one, where nulls without a dtype don't come back as such.
fn stored_inside(dtype: &DataType) -> Option<DataType> {
    if dtype.is_null() { None } else { stored_dtype(dtype) }
}

/// The frame as it is best stored: strings without the text of other rows, all of it as Arrow takes it.
fn plain(mut frame: DataFrame) -> Result<DataFrame, Problem> {
    frame.rechunk_mut();
    let other = |error: PolarsError| Problem::Other(error.to_string());
    let columns = frame.columns().iter().map(|column| -> Result<Column, Problem> {
        match column.dtype() {
            DataType::Null => {
                Ok(Column::full_null(column.name().clone(), column.len(), &DataType::Boolean))
            }
            dtype => {
                let stored = match stored_dtype(dtype) {
                    Some(stored) if stored != *dtype => {
                        &column.strict_cast(&stored).map_err(other)?
                    }
                    _ => column,
                };
                let own = with_own_texts(stored.as_materialized_series());
                own.map(IntoColumn::into_column).map_err(other)
            }
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    DataFrame::new(frame.height(), columns).map_err(other)
}

/// The values without texts of other rows, which views hold on to, be they inside of lists and structs.
fn with_own_texts(values: &Series) -> PolarsResult<Series> {
    let name = || values.name().clone();
    Ok(match values.dtype() {
        DataType::String => {
            let chunks = values.str()?.downcast_iter().map(|chunk| chunk.clone().gc());
            StringChunked::from_chunk_iter(name(), chunks).into_series()
        }
        DataType::Binary => {
            let chunks = values.binary()?.downcast_iter().map(|chunk| chunk.clone().gc());
            BinaryChunked::from_chunk_iter(name(), chunks).into_series()
        }
        DataType::List(_) => {
            let trimmed = values.trim_lists_to_normalized_offsets();
            let lists = trimmed.as_ref().unwrap_or(values).list()?;
            lists.apply_to_inner(&|inner| with_own_texts(&inner))?.into_series()
        }
        DataType::Struct(_) => values.struct_()?.try_apply_fields(with_own_texts)?.into_series(),
        _ => values.clone(),
    })
}

/// What went wrong, before it is known in which file.
enum Problem {
    Io(io::Error),
    Other(String),
}

impl From<ArrowError> for Problem {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => Self::Io(error),
            error => Self::Other(error.to_string()),
        }
    }
}

impl Problem {
    fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            Self::Other(problem) => io::Error::other(problem),
        }
    }

    fn at(self, path: &Path) -> Error {
        match self {
            Self::Io(error) => io_error(path, error),
            Self::Other(problem) => refused("shuffle", format!("{}: {problem}", path.display())),
        }
    }
}

fn io_error(path: &Path, error: io::Error) -> Error {
    Error::Io { call: Call::new("shuffle"), path: PathBuf::from(path), source: Arc::new(error) }
}

/// Counts what goes through.
struct Counting<W> {
    inner: W,
    written: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use polars_core::prelude::{CategoricalPhysical, Categories, NamedFrom, StructChunked};

    use super::super::testing::{frame, frames_equal};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_segment_holds_the_text_of_its_own_rows_only() {
        let long: Vec<String> = (0..1000)
            .map(|i| format!("{i:04} {:x}", (i as u128 + 1) * 0x9E37_79B9_7F4A_7C15_F39C))
            .collect();
        let frame = DataFrame::new(1000, vec![Column::new("s".into(), long)]).unwrap();
        let parent = tempfile::tempdir().unwrap();
        let dir = SpillDir::create(parent.path()).unwrap();
        let rows = frame.slice(500, 3);
        let piece = [Ok(Some((vec![(7, 3)], rows.clone())))];
        let (run, bytes) = dir.file(0).unwrap().append(piece.into_iter()).unwrap();
        assert!(bytes < 2000, "{bytes}");
        let back = dir.open(0).unwrap().read(run, 0, frame.schema()).unwrap();
        let (inputs, back) = back.expect("the run has rows of this output");
        assert!(inputs == [(7, 3)] && frames_equal(&back, &rows));
    }

    #[test]
    fn nested_columns_come_back() {
        let categories = Categories::random("spill".into(), CategoricalPhysical::U32);
        let categorical = DataType::from_categories(categories);
        let list = |dtype: &DataType| DataType::List(Box::new(dtype.clone()));
        let texts = Series::new("".into(), ["a", "b", "a", "what no view holds", ""]);
        let lists =
            [Some(texts.slice(0, 2)), None, Some(texts.slice(2, 0)), Some(texts.slice(2, 3))];
        let lists = Series::new("s".into(), lists);
        let n = Series::new("n".into(), [Some(1_i64), None, Some(3), Some(4)]);
        let named = Series::new("c".into(), ["x", "y", "x", "z"]).cast(&categorical).unwrap();
        let fields = [n.clone(), named.clone(), lists.clone()];
        let both = StructChunked::from_series("both".into(), 4, fields.iter()).unwrap();
        let columns = vec![
            lists.clone().into_column(),
            lists.cast(&list(&categorical)).unwrap().with_name("listed".into()).into_column(),
            both.into_series().into_column(),
            Series::new_empty("".into(), &DataType::Float64)
                .implode()
                .unwrap()
                .into_series()
                .new_from_index(0, 4)
                .with_name("digest".into())
                .into_column(),
        ];
        let frame = DataFrame::new(4, columns).unwrap();
        let nothing = Series::full_null("nothing".into(), 4, &list(&DataType::Null));
        assert!(!can_leave(&DataFrame::new(4, vec![nothing.into_column()]).unwrap()));
        // Rows that stand in the middle of their buffers, too.
        for frame in [frame.clone(), frame.slice(1, 3), frame.slice(3, 1)] {
            assert!(can_leave(&frame));
            let mut bytes = Vec::new();
            save(frame.clone(), &mut bytes).unwrap();
            let back = load(&mut bytes.as_slice(), frame.schema()).unwrap();
            // By what they show: `equals_missing` is false for some of these columns, whatever they hold.
            assert_eq!((back.schema(), back.to_string()), (frame.schema(), frame.to_string()));
        }
    }

    /// Else each of many pieces would be as long as all of them.
    #[test]
    fn nested_texts_of_other_rows_are_not_written() {
        let texts: Vec<String> = (0..2000).map(|i| format!("{:x}", i * 0x9e37_79b9_u64)).collect();
        let texts = texts.iter().map(|text| text.repeat(9)).collect::<Vec<_>>();
        let rows = texts.chunks(2).map(|pair| Series::new("".into(), pair.to_vec()));
        let lists = Series::new("l".into(), rows.collect::<Vec<_>>());
        let both = StructChunked::from_series("s".into(), 1000, [lists.clone()].iter()).unwrap();
        let columns = vec![lists.into_column(), both.into_series().into_column()];
        let frame = DataFrame::new(1000, columns).unwrap();
        let written = |frame: &DataFrame| {
            let mut bytes = Vec::new();
            save(frame.clone(), &mut bytes).unwrap();
            let back = load(&mut bytes.as_slice(), frame.schema()).unwrap();
            assert_eq!(back.to_string(), frame.to_string());
            bytes.len()
        };
        let whole = written(&frame);
        let pieces: usize = (0..10).map(|i| written(&frame.slice(i * 100, 100))).sum();
        assert!(pieces < 2 * whole, "{pieces} {whole}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn frames_come_back(frames in prop::collection::vec(frame(20), 1..4)) {
            let parent = tempfile::tempdir().unwrap();
            let dir = SpillDir::create(parent.path()).unwrap();
            let mut file = dir.file(3).unwrap();
            let piece = |frame: &DataFrame| {
                let n = frame.height() as IdxSize;
                Ok((n > 0).then(|| (vec![(n, 1), (5, n - 1)], frame.clone())))
            };
            for _ in 0..2 {
                let (run, _) = file.append(frames.iter().map(piece)).unwrap();
                let mut reader = dir.open(3).unwrap();
                for (output, frame) in frames.iter().enumerate().rev() {
                    let back = reader.read(run, output, frame.schema()).unwrap();
                    let n = frame.height() as IdxSize;
                    prop_assert_eq!(back.is_some(), n > 0);
                    let Some((inputs, back)) = back else { continue };
                    prop_assert!(inputs == [(n, 1), (5, n - 1)] && frames_equal(&back, frame));
                    let mut bytes = Vec::new();
                    save(frame.clone(), &mut bytes).unwrap();
                    let mut rest = bytes.as_slice();
                    prop_assert!(frames_equal(&load(&mut rest, frame.schema()).unwrap(), frame));
                    prop_assert!(rest.is_empty());
                }
            }
            drop(dir);
            prop_assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        }
    }
}
