//! What a page does not know yet of a book, as JSON.
//!
//! A report is a sequence of these, and so is what the live page gets. Applying one twice changes nothing but bars; those
//! that may still grow are told anew each time.
//! Times are in units of 100 ns, which JavaScript's numbers hold for decades.

use std::fmt::Write;

use super::book::Book;
use super::json::{List, Text};
use super::stream::Bar;
use crate::observe::now_ns;

/// What a page knows already.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cursor {
    pub(super) lanes: usize,
    pub(super) bars: usize,
    pub(super) samples: usize,
    pub(super) pictures: usize,
    /// Runs that were told at all. Those that go on are told again each time.
    pub(super) runs: usize,
    /// Runs that were told after they had ended, in that order.
    pub(super) ended: usize,
}

#[cfg(feature = "diagnostics")]
impl Cursor {
    /// What `Display` wrote; an empty text is the beginning.
    pub(super) fn parse(text: &str) -> Option<Cursor> {
        if text.is_empty() {
            return Some(Cursor::default());
        }
        let numbers: Option<Vec<usize>> = text.split('.').map(|n| n.parse().ok()).collect();
        let [lanes, bars, samples, pictures, runs, ended] = numbers?[..] else { return None };
        Some(Cursor { lanes, bars, samples, pictures, runs, ended })
    }
}

#[cfg(feature = "diagnostics")]
impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Cursor { lanes, bars, samples, pictures, runs, ended } = self;
        write!(f, "{lanes}.{bars}.{samples}.{pictures}.{runs}.{ended}")
    }
}

impl Cursor {
    /// Whether there is more to tell than one part could hold.
    pub(super) fn is_behind(&self, book: &Book) -> bool {
        self.runs < book.runs.len()
            || self.ended < book.ended.len()
            || self.bars < book.stream.closed().len()
    }
}

/// So many new runs are told at once, so many that have ended, and so many that go on.
const RUNS_MAX: usize = 200;
/// So many bars are told at once.
const BARS_MAX: usize = 20_000;

fn ticks(ns: u64) -> u64 {
    ns / 100
}

/// The next part for a page that knows what the cursor says, which moves on.
pub(super) fn delta(book: &mut Book, cursor: &mut Cursor, is_last: bool) -> String {
    let running: Vec<_> = book.running();
    let mut json = format!("{{\"now\":{},\"live\":{}", ticks(now_ns()), book.n_live());
    // Writing into a string can't fail.
    let lanes = book.lanes.iter().enumerate().skip(cursor.lanes);
    let lanes = lanes.map(|(i, lane)| format!("[{i},{},{}]", Text(&lane.thread), lane.depth));
    let _ = write!(json, ",\"lanes\":{}", List(lanes));
    let ops = book.ops.iter().map(|op| {
        let numbers = [op.n_tasks, op.n_finished, op.n_failed];
        let [n, finished, failed] = numbers;
        let (busy, longest) = (ticks(op.busy_ns), ticks(op.longest_ns));
        let name = Text(&op.op);
        format!("[{name},{n},{finished},{failed},{busy},{longest},{}]", op.bytes)
    });
    let _ = write!(json, ",\"ops\":{}", List(ops));
    let running = running.iter().map(|(lane, op, running)| {
        format!("[{lane},{op},{},{}]", ticks(running.since_ns), running.memory_bytes)
    });
    let _ = write!(json, ",\"running\":{}", List(running));
    let n_runs = book.n_runs;
    let (peak, limit) = (book.peak_bytes, book.memory_limit);
    let (spilled, reread) = (book.spilled_bytes, book.reread_bytes);
    let _ = write!(json, ",\"totals\":[{n_runs},{peak},{limit},{spilled},{reread}]");
    add_runs(&mut json, book, cursor);
    let samples = book.memory.closed().iter().skip(cursor.samples).copied();
    let samples = samples.chain(book.memory.open());
    let samples = samples.map(|sample| format!("[{},{}]", ticks(sample.at_ns), sample.bytes));
    let _ = write!(json, ",\"memory\":{}", List(samples));
    cursor.lanes = book.lanes.len();
    cursor.samples = book.memory.closed().len();
    let bars = book.stream.closed();
    let bars = &bars[cursor.bars.min(bars.len())..];
    let bars = &bars[..bars.len().min(BARS_MAX)];
    let _ = write!(json, ",\"bars\":{}", List(bars.iter().map(bar_text)));
    let growing = book.stream.open().map(|bar| bar_text(&bar));
    let _ = write!(json, ",\"growing\":{}", List(growing));
    cursor.bars = cursor.bars.saturating_add(bars.len());
    let pictures = book.pictures.iter().skip(cursor.pictures);
    let pictures = pictures.map(|(run, svg)| format!("[{run},{}]", Text(svg)));
    let _ = write!(json, ",\"pictures\":{}", List(pictures));
    cursor.pictures = book.pictures.len();
    let _ = write!(json, ",\"end\":{is_last}}}");
    json
}

fn bar_text(bar: &Bar) -> String {
    let (start, end) = (ticks(bar.start_ns), ticks(bar.end_ns));
    let (length, busy, ok) = (end - start, ticks(bar.busy_ns), u8::from(bar.is_ok));
    format!("[{},{},{start},{length},{busy},{},{ok}]", bar.lane, bar.op, bar.n_tasks)
}

/// New runs, those that have ended since they were told, and those that go on.
fn add_runs(json: &mut String, book: &Book, cursor: &mut Cursor) {
    let n_new = book.runs.len().saturating_sub(cursor.runs).min(RUNS_MAX);
    let n_ended = book.ended.len().saturating_sub(cursor.ended).min(RUNS_MAX);
    let new = cursor.runs..cursor.runs.saturating_add(n_new);
    let ended = book.ended.iter().skip(cursor.ended).take(n_ended).copied();
    let ended = ended.filter(|i| *i < cursor.runs);
    let going_on = book.live().into_iter().filter(|i| *i < cursor.runs).take(RUNS_MAX);
    let told: Vec<usize> = new.chain(ended).chain(going_on).collect();
    let texts = told.iter().map(|&i| {
        let run = &book.runs[i];
        let end = run.end_ns.map_or_else(|| "null".into(), |end| ticks(end).to_string());
        let error = run.error.as_ref().map_or_else(|| "null".into(), |e| Text(e).to_string());
        let numbers = [run.n_tasks, run.n_finished, run.memory_limit, run.peak_bytes];
        let disk = [run.spilled_bytes, run.reread_bytes];
        let numbers = numbers.iter().chain(&disk).map(u64::to_string).collect::<Vec<_>>().join(",");
        let start = ticks(run.start_ns);
        format!("[{i},{},{},{start},{end},{numbers},{error}]", run.run, Text(&run.call))
    });
    let _ = write!(json, ",\"runs\":{}", List(texts));
    cursor.runs = cursor.runs.saturating_add(n_new);
    cursor.ended = cursor.ended.saturating_add(n_ended);
}
