//! The one error type of the crate.
//!
//! Every variant carries data, not prose, and a [`Call`]: which operation the user called and
//! from which line. Handles carry the first error of a chain, so the line that is named is the
//! line of the wrong step and not the line of the `compute` that found it.

mod failed;

use std::fmt;
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use failed::FailedTask;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The operation that a user called, and the line that called it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The name of the public operation, such as `"reshape"`.
    pub op: &'static str,
    /// The caller's file, line and column.
    pub at: &'static Location<'static>,
}

impl Call {
    /// The operation `op`, called from the line that calls the `#[track_caller]` function around.
    #[track_caller]
    pub fn new(op: &'static str) -> Self {
        Call { op, at: Location::caller() }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}:{}:{}", self.at.file(), self.at.line(), self.at.column())
    }
}

/// Everything that can go wrong, as data.
///
/// Each message reads: the operation, what it got, what it expected, the caller's line, a remedy.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two shapes that must agree or broadcast together do not.
    #[error("{}: shapes {left:?} and {right:?} do not fit together, {call}; {remedy}", call.op)]
    ShapeMismatch {
        /// The operation and its caller.
        call: Call,
        /// The shape that was got.
        left: Vec<u64>,
        /// The shape that it had to fit.
        right: Vec<u64>,
        /// What the user can do.
        remedy: &'static str,
    },
    /// Chunks were asked for that do not describe the axis or the array.
    #[error("{}: chunks {got} do not fit shape {shape:?}: {problem}, {call}", call.op)]
    InvalidChunks {
        /// The operation and its caller.
        call: Call,
        /// The chunks as they were asked for.
        got: String,
        /// The shape that they have to cover.
        shape: Vec<u64>,
        /// What is wrong with them, and what would be right.
        problem: &'static str,
    },
    /// An operation needs lengths of chunks that are known only after computing.
    #[error(
        "{}: axis {axis} has chunks of unknown length, {call}; \
         call compute_chunk_sizes() first", call.op
    )]
    UnknownChunks {
        /// The operation and its caller.
        call: Call,
        /// The axis whose lengths are unknown.
        axis: usize,
    },
    /// An axis, by number or name, that the array does not have.
    #[error("{}: axis {got} given to an array of {ndim} dimensions{names}, {call}; {remedy}", call.op)]
    InvalidAxis {
        /// The operation and its caller.
        call: Call,
        /// The axis as it was given.
        got: String,
        /// How many dimensions the array has.
        ndim: usize,
        /// The dimension names, written for people, or nothing.
        names: String,
        /// What the user can do.
        remedy: &'static str,
    },
    /// An index outside of its axis.
    #[error(
        "{}: index {index} is out of bounds for axis {axis} of length {len}, {call}; \
         indices run from -{len} to {len} - 1", call.op
    )]
    IndexOutOfBounds {
        /// The operation and its caller.
        call: Call,
        /// The index as it was given.
        index: i64,
        /// The axis that was indexed.
        axis: usize,
        /// The length of that axis.
        len: u64,
    },
    /// An argument whose value is not allowed.
    #[error("{}: argument {argument} is {got}, expected {expected}, {call}", call.op)]
    InvalidArgument {
        /// The operation and its caller.
        call: Call,
        /// The name of the argument.
        argument: &'static str,
        /// What was given.
        got: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// An element type that the operation can't take.
    #[error("{}: dtype {got}, expected {expected}, {call}; convert with cast()", call.op)]
    DTypeMismatch {
        /// The operation and its caller.
        call: Call,
        /// The dtype that was got.
        got: String,
        /// The dtype or dtypes that are possible.
        expected: String,
    },
    /// A column that the frame does not have.
    #[error("{}: there is no column {got:?}, {call}; the columns are {columns:?}", call.op)]
    UnknownColumn {
        /// The operation and its caller.
        call: Call,
        /// The name that was given.
        got: String,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// A frame would have two columns of one name.
    #[error("{}: two columns are called {name:?}, {call}; give one another name with alias()", call.op)]
    DuplicateColumn {
        /// The operation and its caller.
        call: Call,
        /// The name.
        name: String,
    },
    /// An expression, or a set of keys, that is not possible with the dtypes or names of the columns.
    #[error("{}: {expression}: {problem}, {call}", call.op)]
    InvalidExpression {
        /// The operation and its caller.
        call: Call,
        /// The expression as it was written.
        expression: String,
        /// What is wrong with it, in the words of polars.
        problem: String,
    },
    /// Two frames that have to have the same columns do not.
    #[error("{}: got the columns {got}, expected {expected}, {call}; {remedy}", call.op)]
    SchemaMismatch {
        /// The operation and its caller.
        call: Call,
        /// The columns that were got, with their dtypes.
        got: String,
        /// The columns that were expected.
        expected: String,
        /// What the user can do.
        remedy: &'static str,
    },
    /// Values on which an operation of polars failed.
    #[error("{operation}: {problem}")]
    Values {
        /// What was computed.
        operation: String,
        /// What polars said.
        problem: String,
    },
    /// A file that can't be read or written.
    #[error("{}: {path}: {source}, {call}", call.op, path = path.display())]
    Io {
        /// The operation and its caller.
        call: Call,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// A file whose content is not what its format says.
    #[error("{}: {path}: not a valid {format} file: {problem}, {call}", call.op, path = path.display())]
    CorruptFile {
        /// The operation and its caller.
        call: Call,
        /// The file.
        path: PathBuf,
        /// The name of the format.
        format: &'static str,
        /// What is wrong, got before expected.
        problem: String,
    },
    /// A file that is valid, but uses something that this crate does not read or write.
    #[error("{}: {path}: {feature} is not supported, {call}; {remedy}", call.op, path = path.display())]
    UnsupportedFile {
        /// The operation and its caller.
        call: Call,
        /// The file.
        path: PathBuf,
        /// What is not supported.
        feature: String,
        /// What the user can do.
        remedy: &'static str,
    },
    /// A matrix that can't be factored or solved.
    #[error("{}: the matrix {problem}, at column {column}, {call}; {remedy}", call.op)]
    InvalidMatrix {
        /// The operation and its caller.
        call: Call,
        /// What is wrong with it.
        problem: &'static str,
        /// The column at which that was found, counted in the matrix that was factored in this task.
        column: u64,
        /// What the user can do.
        remedy: &'static str,
    },
    /// A minimum, maximum or index of nothing, or of nothing but NaN.
    #[error(
        "{op}: axes {axes:?} leave no elements to choose from, expected at least one element, or one \
         that is not NaN, for each result"
    )]
    NothingToReduce {
        /// The reduction.
        op: &'static str,
        /// The axes that it was over.
        axes: Vec<usize>,
    },
    /// A single task needs more bytes than the whole budget, so nothing was run.
    #[error(
        "{op}: one task needs {needed} bytes but the memory limit is {limit} bytes; \
         use smaller chunks or raise the limit (DASK_RS_MEMORY_LIMIT)"
    )]
    OverBudget {
        /// The operation whose task is too large.
        op: String,
        /// The bytes of its inputs, output and scratch.
        needed: u64,
        /// The byte budget of the run.
        limit: u64,
    },
    /// A block could not be moved to disk, or back, while memory was full.
    #[error(
        "spilling: the system could not {action} {bytes} bytes at {path}: {source}{}; free some disk \
         space, or choose another place with DASK_RS_SPILL_DIRECTORY, or raise the memory limit \
         (DASK_RS_MEMORY_LIMIT)", line(*call), path = path.display()
    )]
    Spill {
        /// The call that was computed, as far as it is known.
        call: Option<Call>,
        /// What was tried.
        action: &'static str,
        /// The file or the directory.
        path: PathBuf,
        /// The bytes of the block.
        bytes: u64,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// More blocks had to go to disk than are allowed there.
    #[error(
        "spilling: {needed} bytes do not fit into memory and would have to lie in {directory}, where \
         {limit} bytes are allowed{}; raise the limit of either (DASK_RS_MEMORY_LIMIT, \
         DASK_RS_SPILL_LIMIT)", line(*call), directory = directory.display()
    )]
    SpillLimit {
        /// The call that was computed, as far as it is known.
        call: Option<Call>,
        /// The directory in which blocks lie.
        directory: PathBuf,
        /// The bytes that would lie there at once.
        needed: u64,
        /// The bytes that may.
        limit: u64,
    },
    /// A task returned an error.
    #[error("{op}: the task{}{} failed: {source}", for_block(block), made(*at))]
    TaskFailed {
        /// The operation.
        op: String,
        /// The block index of the task's output.
        block: Vec<u64>,
        /// The line that made the operation, as far as it is known.
        at: Option<&'static Location<'static>>,
        /// The error that the task returned.
        source: Arc<Error>,
        /// The task, to be looked at and run again, if its inputs are as they were.
        task: Option<FailedTask>,
    },
    /// A task panicked, usually inside a user's function.
    #[error("{op}: the task{}{} panicked: {message}", for_block(block), made(*at))]
    TaskPanicked {
        /// The operation.
        op: String,
        /// The block index of the task's output.
        block: Vec<u64>,
        /// The line that made the operation, as far as it is known.
        at: Option<&'static Location<'static>>,
        /// The panic message.
        message: String,
        /// The task, to be looked at and run again, if its inputs are as they were.
        task: Option<FailedTask>,
    },
    /// A user's function returned an error.
    #[error("{source}")]
    Function {
        /// What the function was given to, and its caller.
        call: Call,
        /// What the function returned.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A task asks for more of a resource than its client has.
    #[error("{}: {needed} of {resource:?} were asked for, but there are {available}, {call}; give the client more", call.op)]
    NotEnoughResources {
        /// The operation and its caller.
        call: Call,
        /// The name of the resource.
        resource: String,
        /// What the task asks for.
        needed: f64,
        /// What the client has in all.
        available: f64,
    },
    /// What was waited for did not come in time.
    #[error("{}: not finished within {after:?}, {call}", call.op)]
    TimedOut {
        /// The operation and its caller.
        call: Call,
        /// How long was waited.
        after: std::time::Duration,
    },
    /// The run was cancelled.
    #[error("the computation was cancelled")]
    Cancelled,
    /// More tasks than a task graph can number.
    #[error("{op}: the graph needs more than {limit} tasks{}; use larger chunks", line(*call))]
    TooManyTasks {
        /// The operation whose tasks did not fit.
        op: String,
        /// The call that needs them, as far as it is known.
        call: Option<Call>,
        /// How many tasks a graph can hold.
        limit: u64,
    },
    /// An operation that can only run in this process was given to a cluster.
    #[error(
        "{op}: holds {holds}, which cannot be sent to another process{}; persist() its result here \
         first, or use operations of arrays instead", line(*call)
    )]
    CannotSend {
        /// The operation.
        op: String,
        /// The call that made it, as far as it is known.
        call: Option<Call>,
        /// What can't be sent.
        holds: String,
    },
    /// Bytes of another process that do not mean what they should.
    #[error("cannot decode {what}: {problem}")]
    BrokenMessage {
        /// What was expected.
        what: String,
        /// What is wrong.
        problem: String,
    },
    /// A worker that can't be reached, was lost, or failed.
    #[error("worker {address}: {problem}{}", line(*call))]
    Worker {
        /// The operation and its caller, if the worker is to blame for no task of it.
        call: Option<Call>,
        /// The address of the worker.
        address: String,
        /// What happened, and what to do about it.
        problem: String,
    },
    /// A bug in this crate: a rule or a layer broke an invariant.
    #[error("internal error in {place}: {problem}; please report this")]
    Internal {
        /// The rule, pass or kernel.
        place: String,
        /// The invariant that does not hold.
        problem: String,
    },
}

impl Error {
    /// Turns what the operating system says about `path` into an error.
    pub(crate) fn io(call: Call, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { call, path: path.to_path_buf(), source: Arc::new(source) }
    }

    /// The task that failed or panicked, with its inputs, to be looked at and run again; of tasks inside of each other the innermost
    /// that is kept. Tasks of users' functions and those
    /// without inputs are kept; others may have written into theirs.
    #[must_use]
    pub fn failed_task(&self) -> Option<&FailedTask> {
        match self {
            Error::TaskFailed { source, task, .. } => source.failed_task().or(task.as_ref()),
            Error::TaskPanicked { task, .. } => task.as_ref(),
            _ => None,
        }
    }

    /// What a user's function returned, given to `call`. An error of this crate stays what it is.
    pub(crate) fn of_function(call: Call, error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        match error.downcast::<Error>() {
            Ok(own) => *own,
            Err(other) => Error::Function { call, source: other.into() },
        }
    }

    /// This error of a task with the task itself.
    pub(crate) fn with_task(mut self, failed: FailedTask) -> Self {
        if let Error::TaskFailed { task, at, .. } | Error::TaskPanicked { task, at, .. } = &mut self
        {
            if let Some(at) = at {
                failed.made_at(at);
            }
            *task = Some(failed);
        }
        self
    }

    /// This error with the user's line, if it was found where that was not known.
    pub(crate) fn called_from(self, user: Call) -> Self {
        if let Error::TaskFailed { task: Some(task), .. }
        | Error::TaskPanicked { task: Some(task), .. } = &self
        {
            task.made_at(user.at);
        }
        match self {
            Error::TooManyTasks { op, call: None, limit } => {
                Error::TooManyTasks { op, call: Some(user), limit }
            }
            Error::Spill { call: None, action, path, bytes, source } => {
                Error::Spill { call: Some(user), action, path, bytes, source }
            }
            Error::SpillLimit { call: None, directory, needed, limit } => {
                Error::SpillLimit { call: Some(user), directory, needed, limit }
            }
            other => other,
        }
    }
}

/// The format and the file that a reader or writer complains about.
#[cfg(any(feature = "array", feature = "frame"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blame<'a> {
    pub(crate) call: Call,
    pub(crate) path: &'a Path,
    pub(crate) format: &'static str,
}

#[cfg(any(feature = "array", feature = "frame"))]
impl Blame<'_> {
    /// The operating system refused something.
    #[cfg(feature = "frame")]
    pub(crate) fn io(&self, source: io::Error) -> Error {
        Error::io(self.call, self.path)(source)
    }

    /// The file is not what its format says.
    pub(crate) fn corrupt(&self, problem: impl Into<String>) -> Error {
        let (path, problem) = (self.path.to_path_buf(), problem.into());
        Error::CorruptFile { call: self.call, path, format: self.format, problem }
    }

    /// The file is valid but uses something else than what is read here.
    pub(crate) fn unsupported(&self, feature: impl Into<String>, remedy: &'static str) -> Error {
        let (path, feature) = (self.path.to_path_buf(), feature.into());
        Error::UnsupportedFile { call: self.call, path, feature, remedy }
    }
}

fn made(at: Option<&'static Location<'static>>) -> String {
    at.map(|at| format!(", made at {}:{}:{},", at.file(), at.line(), at.column()))
        .unwrap_or_default()
}

fn line(call: Option<Call>) -> String {
    call.map(|call| format!(", {call}")).unwrap_or_default()
}

/// Which block a task was for; functions of one value have none.
fn for_block(block: &[u64]) -> String {
    if block.is_empty() { String::new() } else { format!(" for block {block:?}") }
}
