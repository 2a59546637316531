//! A report as one HTML file, written while things run.
//!
//! The page comes first, and then what is to be shown, part by part, each in a `<script>` element that only holds
//! data. So the file is a page at any time, also after the program was killed; a part that was torn is left out.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{RecvTimeoutError, Sender, bounded};

use super::delta::{Cursor, delta};
use super::page;
use super::profile::Shared;
use crate::error::{Call, Error, Result};

/// How long it takes for something to appear in the file, at first and at last. Parts get rarer, so that the file
/// stays small.
const EVERY_MIN: Duration = Duration::from_millis(250);
const EVERY_MAX: Duration = Duration::from_secs(60);
/// So that a hundredth of the time so far passes between two parts.
const GROWTH: f64 = 1.01;

/// A file that is written until this is dropped.
#[derive(Debug)]
pub(super) struct Report {
    file: Arc<Mutex<ReportFile>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Report {
    pub(super) fn create(call: Call, path: &Path, shared: Arc<Shared>) -> Result<Self> {
        let file = ReportFile::create(path, shared).map_err(Error::io(call, path))?;
        let file = Arc::new(Mutex::new(file));
        let (stop, stopped) = bounded::<()>(0);
        let written = Arc::clone(&file);
        let work = move || {
            let mut every = EVERY_MIN;
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                lock(&written).add(false);
                every = every.mul_f64(GROWTH).min(EVERY_MAX);
            }
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "it waits for time to pass and writes a file"
        )]
        let thread = Builder::new().name("dask-rs-report".into()).spawn(work);
        let thread = thread.map_err(Error::io(call, path))?;
        Ok(Report { file, stop: Some(stop), thread: Some(thread) })
    }

    /// Writes what is known now.
    pub(super) fn flush(&self, call: Call) -> Result<()> {
        lock(&self.file).add(false);
        self.check(call)
    }

    /// Writes the last part.
    pub(super) fn finish(mut self, call: Call) -> Result<()> {
        self.end();
        self.check(call)
    }

    fn check(&self, call: Call) -> Result<()> {
        let file = lock(&self.file);
        match &file.error {
            Some(source) => {
                Err(Error::Io { call, path: file.path.clone(), source: Arc::clone(source) })
            }
            None => Ok(()),
        }
    }

    fn end(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It does nothing that could panic besides writing, after which nothing is left to do.
            let _ = thread.join();
            lock(&self.file).add(true);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(file: &Mutex<ReportFile>) -> std::sync::MutexGuard<'_, ReportFile> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct ReportFile {
    file: File,
    path: PathBuf,
    shared: Arc<Shared>,
    cursor: Cursor,
    /// Ends the writing.
    error: Option<Arc<io::Error>>,
}

impl ReportFile {
    fn create(path: &Path, shared: Arc<Shared>) -> io::Result<Self> {
        let mut file = File::create(path)?;
        file.write_all(page::of_report().as_bytes())?;
        let path = path.to_path_buf();
        Ok(ReportFile { file, path, shared, cursor: Cursor::default(), error: None })
    }

    fn add(&mut self, is_last: bool) {
        if self.error.is_some() {
            return;
        }
        self.shared.pull();
        loop {
            let json = delta(&mut self.shared.book(), &mut self.cursor, is_last);
            let part = page::part(&json);
            if let Err(error) = self.file.write_all(part.as_bytes()) {
                self.error = Some(Arc::new(error));
                return;
            }
            // A part holds only so much.
            if !self.cursor.is_behind(&self.shared.book()) {
                return;
            }
        }
    }
}
