//! A profile: what was done by the runs that it has watched.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::book::{Book, Lane, OperationTotals, RunTotals};
use super::delta::{Cursor, delta};
use super::memory_log::MemorySample;
use super::report::Report;
use super::stream::Bar;
use super::{page, table};
use crate::atomic::write_file;
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::observe::{LayerInfo, Observer, RunEnded, RunId, RunStarted, Span, Watch, watch_all};

/// Calls `f` and writes a report of all that it computes to an HTML file.
///
/// See [`Profile`] for what is in it. It is written while `f` runs; if the process is killed, what is there shows what
/// was done until then.
///
/// # Errors
/// [`Error::Io`] if the file can't be written, after `f` has returned if it begins well.
///
/// # Example
/// ```
/// use dask_rs::{diagnostics, prelude::*};
/// let path = std::env::temp_dir().join(format!("report-{}.html", std::process::id()));
/// let x: Array<f64> = array::ones([1000, 1000], [250, 250]);
/// let mean = diagnostics::profile(&path, || x.mean(..).compute())??;
/// assert_eq!(mean[[]], 1.0);
/// assert!(std::fs::read_to_string(&path).unwrap().starts_with("<!doctype html>"));
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn profile<R>(path: impl AsRef<Path>, f: impl FnOnce() -> R) -> Result<R> {
    let profile = Profile::with_report(Call::new("profile"), path.as_ref())?;
    let result = profile.scope(f);
    profile.finish()?;
    Ok(result)
}

/// What runs do: how far each operation is, what each thread did when, and how much memory was in use.
///
/// `{}` prints a table of the operations. [`create`](Self::create) writes a report while things run: one HTML file
/// that shows the same and the graph, without a network. A profile watches what is computed in its [`scope`](Self::scope), or, after
/// [`start`](Self::start), in the whole process.
///
/// # Cost
/// 0.1 to 0.3 µs of a processor a task, so 2 % of tasks of 5 to 15 µs (`cargo bench --bench sched`). A profile stays small however many tasks run: short tasks
/// that follow each other are shown as one, and the longer it watches, the longer those may be.
///
/// # Example
/// ```
/// use dask_rs::{diagnostics::Profile, prelude::*};
/// let profile = Profile::new();
/// let x: Array<f64> = array::ones([1000, 1000], [250, 250]);
/// profile.scope(|| x.mean(0).compute())?;
/// println!("{profile}");
/// let all: u64 = profile.operations().iter().map(|op| op.n_finished).sum();
/// assert_eq!(profile.runs()[0].n_finished, all);
/// # Ok::<(), Error>(())
/// ```
#[derive(Default)]
pub struct Profile {
    shared: Arc<Shared>,
    watch: Option<Watch>,
    report: Option<Report>,
}

impl Profile {
    /// A profile in memory, which watches what is computed in its [`scope`](Self::scope).
    #[must_use]
    pub fn new() -> Self {
        Profile::default()
    }

    /// A profile that is written to an HTML file as well, replacing what is there.
    ///
    /// # Errors
    /// [`Error::Io`] if the file can't be written.
    #[track_caller]
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Profile::with_report(Call::new("Profile::create"), path.as_ref())
    }

    /// [`create`](Self::create), and watches all that this process computes until it is dropped or [finished](Self::finish).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    #[track_caller]
    pub fn start(path: impl AsRef<Path>) -> Result<Self> {
        let mut profile = Profile::with_report(Call::new("Profile::start"), path.as_ref())?;
        profile.watch = Some(watch_all(profile.observer()));
        Ok(profile)
    }

    fn with_report(call: Call, path: &Path) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let report = Some(Report::create(call, path, Arc::clone(&shared))?);
        Ok(Profile { shared, watch: None, report })
    }

    #[cfg(feature = "diagnostics")]
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Calls `f` and watches what it computes, on this thread and in the tasks that it starts.
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        Config::new().with_observer(self.observer()).scope(f)
    }

    /// What watches, for a [`Config`] or for [`watch_all`].
    #[must_use]
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.shared) as Arc<dyn Observer>
    }

    /// Takes what the runs that go on have not told yet, and writes it to the report if there is one.
    ///
    /// # Errors
    /// [`Error::Io`] if the report can't be written.
    #[track_caller]
    pub fn flush(&self) -> Result<()> {
        match &self.report {
            Some(report) => report.flush(Call::new("Profile::flush")),
            None => {
                self.shared.pull();
                Ok(())
            }
        }
    }

    /// Ends the watch and the report; what runs still is not told any more.
    ///
    /// # Errors
    /// [`Error::Io`] if the report couldn't be written at some time.
    #[track_caller]
    pub fn finish(mut self) -> Result<()> {
        self.watch = None;
        self.report.take().map_or(Ok(()), |report| report.finish(Call::new("Profile::finish")))
    }

    /// Writes a report of what is known now. The file appears whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`].
    #[track_caller]
    pub fn to_html(&self, path: impl AsRef<Path>) -> Result<()> {
        let (call, path) = (Call::new("Profile::to_html"), path.as_ref());
        self.shared.pull();
        let mut html = page::of_report();
        let mut cursor = Cursor::default();
        loop {
            let mut book = self.shared.book();
            html.push_str(&page::part(&delta(&mut book, &mut cursor, true)));
            if !cursor.is_behind(&book) {
                break;
            }
        }
        write_file(path, html.as_bytes()).map_err(Error::io(call, path))
    }

    /// All operations so far, with how many tasks there are and how many have run, in the order in which they appeared.
    #[must_use]
    pub fn operations(&self) -> Vec<OperationTotals> {
        self.shared.told().ops.clone()
    }

    /// The runs so far; of more than a thousand the first ones.
    #[must_use]
    pub fn runs(&self) -> Vec<RunTotals> {
        self.shared.told().runs.clone()
    }

    /// Who has done something.
    #[must_use]
    pub fn lanes(&self) -> Vec<Lane> {
        self.shared.told().lanes.clone()
    }

    /// What the lanes have done. The bars of one lane don't overlap.
    #[must_use]
    pub fn task_stream(&self) -> Vec<Bar> {
        self.shared.told().stream.all()
    }

    /// How much memory blocks and running tasks used when, in all runs together.
    #[must_use]
    pub fn memory(&self) -> Vec<MemorySample> {
        self.shared.told().memory.sorted()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&table::of(&self.shared.told()))
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("n_runs", &self.shared.book().n_runs)
            .finish_non_exhaustive()
    }
}

/// A book that is written while it is read.
pub(super) struct Shared(Mutex<Book>);

impl Shared {
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        // It holds totals only; a half-counted task is no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The book, with what runs that go on have not told by themselves.
    fn told(&self) -> MutexGuard<'_, Book> {
        self.pull();
        self.book()
    }

    /// Has all runs tell what they have not told.
    pub(super) fn pull(&self) {
        let feeds = self.book().feeds();
        feeds.iter().for_each(crate::observe::Feed::pull);
    }
}

impl Default for Shared {
    fn default() -> Self {
        Shared(Mutex::new(Book::new()))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Observer for Shared {
    fn on_run_started(&self, run: &RunStarted<'_>) {
        self.book().start_run(run);
    }

    fn on_tasks_added(&self, run: RunId, layers: &[LayerInfo]) {
        self.book().add_tasks(run, layers);
    }

    fn on_spans(&self, run: RunId, spans: &[Span]) {
        self.book().add_spans(run, spans);
    }

    fn on_run_ended(&self, run: &RunEnded) {
        self.book().end_run(run);
    }
}
