//! Traces for Chrome's `about:tracing`, Perfetto and what else reads the trace event format.
//!
//! # Source
//! The JSON array format of <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::json::{List, Text};
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::observe::{
    LayerInfo, Observer, RunEnded, RunId, RunStarted, Span, SpanKind, Thread, Watch, watch_all,
};

/// Writes each task to a file for [Perfetto](https://ui.perfetto.dev) or Chrome's `about:tracing`.
///
/// Each task is an event on its thread, with its operation, block and bytes; tasks of a computation inside of a task lie
/// within that. Memory is a counter. The file is written while things run, and can be read also if the
/// process was killed. All tasks are written, about 200 bytes each: for long runs a [`Profile`](super::Profile) is smaller.
///
/// # Example
/// ```
/// use dask_rs::{diagnostics::Trace, prelude::*};
/// let path = std::env::temp_dir().join(format!("trace-{}.json", std::process::id()));
/// let trace = Trace::create(&path)?;
/// let x: Array<f64> = array::ones([1000, 1000], [250, 250]);
/// trace.scope(|| x.mean(0).compute())?;
/// trace.finish()?;
/// assert!(std::fs::read_to_string(&path).unwrap().ends_with("]\n"));
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Trace {
    writer: Arc<Writer>,
    watch: Option<Watch>,
}

impl Trace {
    /// A trace of what is computed in its [`scope`](Self::scope), replacing the file that is there.
    ///
    /// # Errors
    /// [`Error::Io`] if the file can't be written.
    #[track_caller]
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let (call, path) = (Call::new("Trace::create"), path.as_ref());
        let writer = Writer::create(path).map_err(Error::io(call, path))?;
        Ok(Trace { writer: Arc::new(writer), watch: None })
    }

    /// [`create`](Self::create), of all that this process computes until the trace is dropped or [finished](Self::finish).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    #[track_caller]
    pub fn start(path: impl AsRef<Path>) -> Result<Self> {
        let mut trace = Trace::create(path)?;
        trace.watch = Some(watch_all(trace.observer()));
        Ok(trace)
    }

    /// Calls `f` and writes down what it computes.
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        Config::new().with_observer(self.observer()).scope(f)
    }

    /// What watches, for a [`Config`] or for [`watch_all`].
    #[must_use]
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.writer) as Arc<dyn Observer>
    }

    /// Ends the watch and the file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file couldn't be written at some time.
    #[track_caller]
    pub fn finish(mut self) -> Result<()> {
        self.watch = None;
        self.writer.end();
        let call = Call::new("Trace::finish");
        match &self.writer.lock().error {
            Some(source) => {
                let (path, source) = (self.writer.path.clone(), Arc::clone(source));
                Err(Error::Io { call, path, source })
            }
            None => Ok(()),
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.writer.end();
    }
}

/// The file. It takes no events any more once it has ended.
struct Writer {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: Option<BufWriter<File>>,
    error: Option<Arc<io::Error>>,
    runs: HashMap<RunId, Vec<LayerInfo>>,
    named: HashSet<Thread>,
}

impl Writer {
    fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        let process = std::process::id();
        writeln!(
            file,
            "[{{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":{process},\"args\":{{\"name\":\"dask-rs\"}}}}"
        )?;
        let (runs, named) = (HashMap::new(), HashSet::new());
        let state = Mutex::new(State { file: Some(file), error: None, runs, named });
        Ok(Writer { path: path.to_path_buf(), state })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the array. What comes later is not written.
    fn end(&self) {
        let mut state = self.lock();
        state.write(|_, text| text.push_str("]\n"));
        state.file = None;
    }
}

impl State {
    /// Writes what `events` adds, unless the file has ended or could not be written before.
    fn write(&mut self, events: impl FnOnce(&mut Self, &mut String)) {
        let Some(mut file) = self.file.take() else { return };
        let mut text = String::new();
        events(self, &mut text);
        match file.write_all(text.as_bytes()).and_then(|()| file.flush()) {
            Ok(()) => self.file = Some(file),
            Err(error) => self.error = Some(Arc::new(error)),
        }
    }

    fn add_span(&mut self, run: RunId, span: &Span, text: &mut String) {
        let process = std::process::id();
        let thread = span.thread.0;
        if self.named.insert(span.thread) {
            let name = span.thread.name();
            event(
                text,
                format_args!(
                    "\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":{process},\"tid\":{thread},\"args\":{{\"name\":{}}}",
                    Text(&name)
                ),
            );
        }
        let Some(layer) = self.runs.get(&run).and_then(|layers| layers.get(span.layer as usize))
        else {
            return;
        };
        let (start, length) = (Micros(span.start_ns), Micros(span.duration_ns()));
        let block = layer.block_index(span.block);
        event(
            text,
            format_args!(
                "\"ph\":\"X\",\"name\":{},\"cat\":\"{}\",\"pid\":{process},\"tid\":{thread},\"ts\":{start},\"dur\":{length},\
             \"args\":{{\"run\":{run},\"block\":{},\"bytes\":{},\"ok\":{}}}",
                Text(&layer.op),
                category(span.kind),
                List(block.iter()),
                span.bytes,
                span.is_ok
            ),
        );
        if span.kind == SpanKind::Task {
            self.add_memory(run, span.start_ns, span.memory_bytes, text);
        }
    }

    fn add_memory(&self, run: RunId, at_ns: u64, bytes: u64, text: &mut String) {
        let (process, at) = (std::process::id(), Micros(at_ns));
        event(
            text,
            format_args!(
                "\"ph\":\"C\",\"name\":\"memory of run {run}\",\"pid\":{process},\"ts\":{at},\"args\":{{\"bytes\":{bytes}}}"
            ),
        );
    }
}

/// One event after another one.
fn event(text: &mut String, fields: fmt::Arguments<'_>) {
    // Writing into a string can't fail.
    let _ = writeln!(text, ",{{{fields}}}");
}

fn category(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Task => "task",
        SpanKind::Spill => "write to disk",
        SpanKind::Load => "read from disk",
        SpanKind::Reread => "read again",
    }
}

/// Nanoseconds as microseconds, exactly.
struct Micros(u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

impl Observer for Writer {
    fn on_run_started(&self, run: &RunStarted<'_>) {
        self.lock().runs.insert(run.run, run.layers.to_vec());
    }

    fn on_tasks_added(&self, run: RunId, layers: &[LayerInfo]) {
        self.lock().runs.insert(run, layers.to_vec());
    }

    fn on_spans(&self, run: RunId, spans: &[Span]) {
        self.lock().write(|state, text| {
            spans.iter().for_each(|span| state.add_span(run, span, text));
        });
    }

    fn on_run_ended(&self, run: &RunEnded) {
        let mut state = self.lock();
        state.write(|state, text| state.add_memory(run.run, run.at_ns, 0, text));
        state.runs.remove(&run.run);
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("path", &self.path).finish_non_exhaustive()
    }
}
