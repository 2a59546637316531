//! The task stream: what each thread did when, of bounded size.
//!
//! Tasks shorter than the resolution that follow each other on one lane become one bar, whatever they are. After
//! each [`BARS_PER_LEVEL`] bars the resolution doubles, so the number of bars grows with the logarithm of time.

/// So many bars are made at each resolution.
const BARS_PER_LEVEL: usize = 8192;
const RESOLUTION_NS: u64 = 20_000;

/// Something that a lane did, or several short things one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bar {
    /// The position of its lane in [`Profile::lanes`](super::Profile::lanes).
    pub lane: u32,
    /// The position of its operation in [`Profile::operations`](super::Profile::operations); of several, the one that took the most time.
    pub op: u32,
    /// How many tasks it stands for.
    pub n_tasks: u32,
    /// Whether none of them failed.
    pub is_ok: bool,
    /// When the first one began, in nanoseconds.
    pub start_ns: u64,
    /// When the last one ended.
    pub end_ns: u64,
    /// How much of the time between was spent in tasks.
    pub busy_ns: u64,
}

#[derive(Debug)]
pub(super) struct Stream {
    bars: Vec<Bar>,
    /// Of each lane, the bar that may grow.
    open: Vec<Option<Open>>,
    resolution_ns: u64,
    n_level: usize,
}

/// A bar, and the time of each operation in it.
type Open = (Bar, Vec<(u32, u64)>);

impl Stream {
    pub(super) fn new() -> Self {
        Stream { bars: Vec::new(), open: Vec::new(), resolution_ns: RESOLUTION_NS, n_level: 0 }
    }

    /// Adds one task, after those of the same lane that began before it.
    pub(super) fn add(&mut self, bar: Bar) {
        let lane = bar.lane as usize;
        if self.open.len() <= lane {
            self.open.resize_with(lane + 1, || None);
        }
        let is_short = bar.end_ns - bar.start_ns < self.resolution_ns && bar.is_ok;
        if let Some((open, ops)) = &mut self.open[lane] {
            let fits = bar.end_ns.saturating_sub(open.start_ns) <= self.resolution_ns;
            if is_short && fits && bar.start_ns >= open.end_ns {
                open.end_ns = bar.end_ns;
                open.n_tasks += 1;
                open.busy_ns += bar.busy_ns;
                match ops.iter_mut().find(|(op, _)| *op == bar.op) {
                    Some((_, busy_ns)) => *busy_ns += bar.busy_ns,
                    None => ops.push((bar.op, bar.busy_ns)),
                }
                return;
            }
            self.close(lane);
        }
        if is_short {
            self.open[lane] = Some((bar, vec![(bar.op, bar.busy_ns)]));
        } else {
            self.push(bar);
        }
    }

    /// Bars that stay as they are, in the order in which they were closed.
    pub(super) fn closed(&self) -> &[Bar] {
        &self.bars
    }

    /// Bars that may still grow, at most one a lane. Who looks does not close them: the number of bars must not depend on that.
    pub(super) fn open(&self) -> impl Iterator<Item = Bar> + Clone + '_ {
        self.open.iter().flatten().map(finished)
    }

    /// All bars, those that may still grow last.
    pub(super) fn all(&self) -> Vec<Bar> {
        self.bars.iter().copied().chain(self.open()).collect()
    }

    fn close(&mut self, lane: usize) {
        if let Some(open) = self.open[lane].take() {
            self.push(finished(&open));
        }
    }

    fn push(&mut self, bar: Bar) {
        self.bars.push(bar);
        self.n_level += 1;
        if self.n_level == BARS_PER_LEVEL {
            self.n_level = 0;
            self.resolution_ns = self.resolution_ns.saturating_mul(2);
        }
    }
}

/// An open bar as it would be closed now.
fn finished((bar, ops): &Open) -> Bar {
    // Of equals the first, so that a lane does not flicker.
    let most = ops.iter().rev().max_by_key(|(_, busy_ns)| *busy_ns);
    Bar { op: most.map_or(bar.op, |(op, _)| *op), ..*bar }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(lane: u32, op: u32, start_ns: u64, busy_ns: u64) -> Bar {
        let end_ns = start_ns + busy_ns;
        Bar { lane, op, n_tasks: 1, is_ok: true, start_ns, end_ns, busy_ns }
    }

    #[test]
    fn short_neighbours_become_one_bar_of_what_took_most() {
        let mut stream = Stream::new();
        stream.add(task(0, 1, 0, 1000));
        stream.add(task(1, 5, 500, 1000));
        stream.add(task(0, 2, 1000, 3000));
        stream.add(task(0, 1, 5000, 1000));
        stream.add(task(0, 3, 7000, 1_000_000));
        stream.add(task(0, 1, 2_000_000, 10));
        stream.add(task(0, 1, 3_000_000, 10));
        let mut bars = stream.all();
        bars.sort_by_key(|bar| (bar.lane, bar.start_ns));
        let seen: Vec<_> = bars.iter().map(|b| (b.lane, b.op, b.n_tasks, b.busy_ns)).collect();
        let long = (0, 3, 1, 1_000_000);
        assert_eq!(seen, [(0, 2, 3, 5000), long, (0, 1, 1, 10), (0, 1, 1, 10), (1, 5, 1, 1000)]);
        assert_eq!((bars[0].start_ns, bars[0].end_ns), (0, 6000));
    }

    #[test]
    fn what_failed_stands_alone() {
        let mut stream = Stream::new();
        stream.add(task(0, 1, 0, 10));
        stream.add(Bar { is_ok: false, ..task(0, 1, 10, 10) });
        stream.add(task(0, 1, 20, 10));
        let seen: Vec<_> = stream.all().iter().map(|bar| bar.is_ok).collect();
        assert_eq!(seen, [true, false, true]);
    }

    #[test]
    fn a_million_tasks_are_few_bars_and_none_is_lost() {
        let mut stream = Stream::new();
        let n = 1_000_000;
        for i in 0..n {
            stream.add(task((i % 3) as u32, (i % 7) as u32, i / 3 * 5000, 4000));
            // A page looks again and again.
            assert!(stream.open().count() <= 3);
        }
        let bars = stream.all();
        assert!(bars.len() < 60_000, "{} bars", bars.len());
        assert_eq!(bars.iter().map(|bar| u64::from(bar.n_tasks)).sum::<u64>(), n);
        assert_eq!(bars.iter().map(|bar| bar.busy_ns).sum::<u64>(), n * 4000);
        for lane in 0..3 {
            let ends = bars
                .iter()
                .filter(|bar| bar.lane == lane)
                .scan(0, |end, bar| Some((std::mem::replace(end, bar.end_ns), bar.start_ns)));
            for (end, start) in ends {
                assert!(start >= end, "bars of a lane do not overlap");
            }
        }
    }

    #[test]
    fn the_resolution_does_not_overflow() {
        let mut stream = Stream::new();
        for i in 0..60 * BARS_PER_LEVEL as u64 {
            stream.add(Bar { is_ok: false, ..task(0, 0, i, 1) });
        }
        assert_eq!(stream.resolution_ns, u64::MAX);
    }
}
