//! A book as a table for people.

use super::book::{Book, OperationTotals};
use crate::bytes::format_bytes;
use crate::graph::columns;

/// Operations that took less than others are counted together.
const ROWS_MAX: usize = 40;

/// Operations, those that took most time first, and totals.
pub(super) fn of(book: &Book) -> String {
    let mut ops: Vec<&OperationTotals> = book.ops.iter().collect();
    ops.sort_by_key(|op| std::cmp::Reverse(op.busy_ns));
    let all_ns = ops.iter().map(|op| op.busy_ns).sum::<u64>().max(1);
    let head = ["operation", "tasks", "time", "share", "mean", "longest", "output"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for op in ops.iter().take(ROWS_MAX) {
        let n = op.n_finished + op.n_failed;
        rows.push(vec![
            op.op.to_string(),
            count(op),
            duration(op.busy_ns),
            format!("{:.1} %", op.busy_ns as f64 / all_ns as f64 * 100.0),
            duration(op.busy_ns / n.max(1)),
            duration(op.longest_ns),
            format_bytes(op.bytes),
        ]);
    }
    if ops.len() > ROWS_MAX {
        let rest: u64 = ops[ROWS_MAX..].iter().map(|op| op.busy_ns).sum();
        let more = format!("{} more operations", ops.len() - ROWS_MAX);
        rows.push(vec![more, String::new(), duration(rest)]);
    }
    let mut text = columns(&rows);
    let (peak, limit) = (format_bytes(book.peak_bytes), format_bytes(book.memory_limit));
    text.push_str(&format!("{} runs; peak memory {peak} of {limit}", book.n_runs));
    if book.spilled_bytes > 0 {
        text.push_str(&format!("; {} written to disk", format_bytes(book.spilled_bytes)));
    }
    if book.reread_bytes > 0 {
        text.push_str(&format!("; {} read again", format_bytes(book.reread_bytes)));
    }
    text
}

/// `12`, `12 of 40` where not all have run, and what failed.
fn count(op: &OperationTotals) -> String {
    let mut text = op.n_finished.to_string();
    if op.n_finished < op.n_tasks {
        text.push_str(&format!(" of {}", op.n_tasks));
    }
    if op.n_failed > 0 {
        text.push_str(&format!(", {} failed", op.n_failed));
    }
    text
}

/// Three digits and a unit.
fn duration(ns: u64) -> String {
    const UNITS: [(&str, f64); 4] = [("ns", 1e3), ("µs", 1e6), ("ms", 1e9), ("s", f64::INFINITY)];
    let mut scale = 1.0;
    for (unit, end) in UNITS {
        if (ns as f64) < end * 0.9995 {
            let amount = ns as f64 / scale;
            return match amount {
                a if unit == "ns" || a >= 99.95 => format!("{a:.0} {unit}"),
                a if a >= 9.995 => format!("{a:.1} {unit}"),
                a => format!("{a:.2} {unit}"),
            };
        }
        scale = end;
    }
    unreachable!("the last unit has no end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        let seen = [0, 999, 1000, 12_345, 999_600, 123_456_789, 61_000_000_000].map(duration);
        assert_eq!(seen, ["0 ns", "999 ns", "1.00 µs", "12.3 µs", "1.00 ms", "123 ms", "61.0 s"]);
    }

    #[test]
    fn rows_are_sorted_by_time_and_say_what_is_missing() {
        let mut book = Book::new();
        let op = |name: &str, n_finished, busy_ns| OperationTotals {
            op: name.into(),
            n_tasks: 10,
            n_finished,
            n_failed: u64::from(n_finished < 10),
            busy_ns,
            longest_ns: 5000,
            bytes: 2048,
        };
        book.ops = vec![op("add", 10, 20_000), op("read", 4, 60_000)];
        book.spilled_bytes = 1024;
        let expected = "\
operation  tasks              time     share   mean     longest  output
read       4 of 10, 1 failed  60.0 µs  75.0 %  12.0 µs  5.00 µs  2.00 KiB
add        10                 20.0 µs  25.0 %  2.00 µs  5.00 µs  2.00 KiB
0 runs; peak memory 0 B of 0 B; 1.00 KiB written to disk";
        assert_eq!(of(&book), expected);
    }
}
