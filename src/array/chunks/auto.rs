//! Chooses the chunks of the axes that a user left to us.

use super::axis::AxisChunks;
use super::grid::Chunks;
use super::limit::MAX_LISTED;

/// How much larger than wanted a block may be before it is cut.
const TOLERANCE: f64 = 1.25;
/// Passes after which growing or shrinking has long settled.
const MAX_PASSES: usize = 1000;

/// An axis whose chunks are given, or one to choose.
pub(crate) enum AutoAxis<'a> {
    /// Chunks that stay.
    Fixed(AxisChunks),
    /// Chunks to choose.
    Auto {
        /// Length of the axis.
        len: u64,
        /// The chunks that the axis has now, of the same length.
        previous: Option<&'a AxisChunks>,
    },
}

/// Chunks with blocks of about `limit` elements.
///
/// Without previous chunks the blocks are cubes, cut short where the array is short. If all axes
/// to choose have previous chunks, their blocks are joined or cut by about the same factor on
/// each axis, so that new boundaries fall on old ones where possible. An empty axis is one block
/// and does not count.
///
/// # Source
/// Dask, `auto_chunks`. Dask divides by zero if an axis is empty.
pub(crate) fn auto_chunks(axes: Vec<AutoAxis<'_>>, limit: f64) -> Chunks {
    let big = axes.iter().filter_map(fixed_len).map(|len| len.max(1) as f64).product();
    let autos: Vec<(usize, u64, Option<&AxisChunks>)> = axes
        .iter()
        .enumerate()
        .filter_map(|(axis, spec)| match spec {
            AutoAxis::Auto { len, previous } if *len > 0 => Some((axis, *len, *previous)),
            _ => None,
        })
        .collect();
    let from_previous: Option<Vec<Growing<'_>>> = autos
        .iter()
        .map(|&(axis, len, previous)| Some(Growing::new(axis, len, previous?)))
        .collect();
    let chosen = match from_previous {
        Some(growing) if !growing.is_empty() => Growth::new(growing, limit, big).run(),
        _ => cubes(autos.iter().map(|&(axis, len, _)| (axis, len)).collect(), limit, big),
    };
    let mut result: Vec<AxisChunks> = axes
        .into_iter()
        .map(|spec| match spec {
            AutoAxis::Fixed(chunks) => chunks,
            AutoAxis::Auto { len, .. } => AxisChunks::whole(len),
        })
        .collect();
    for (axis, chunks) in chosen {
        result[axis] = chunks;
    }
    Chunks::new(result)
}

fn fixed_len(axis: &AutoAxis<'_>) -> Option<u64> {
    match axis {
        AutoAxis::Fixed(chunks) => chunks.max_len(),
        AutoAxis::Auto { .. } => None,
    }
}

/// Equal lengths for all axes, as far as these are long enough.
fn cubes(mut autos: Vec<(usize, u64)>, limit: f64, mut big: f64) -> Vec<(usize, AxisChunks)> {
    let mut chosen = Vec::new();
    while !autos.is_empty() {
        let size = (limit / big).powf(1.0 / autos.len() as f64);
        let (short, long): (Vec<_>, Vec<_>) =
            autos.iter().copied().partition(|&(_, len)| (len as f64) < size);
        if short.is_empty() {
            chosen
                .extend(long.iter().map(|&(axis, len)| {
                    (axis, AxisChunks::uniform(len, near_multiple(size, len)))
                }));
            break;
        }
        big *= short.iter().map(|&(_, len)| len as f64).product::<f64>();
        chosen.extend(short.iter().map(|&(axis, len)| (axis, AxisChunks::whole(len))));
        autos = long;
    }
    chosen
}

/// `wanted` cut down to a whole number, and to a multiple of `unit` if it is larger than that.
fn near_multiple(wanted: f64, unit: u64) -> u64 {
    let whole = wanted as u64;
    if wanted <= unit as f64 { whole.max(1) } else { whole / unit.max(1) * unit }
}

/// An axis whose previous blocks are joined or cut.
struct Growing<'a> {
    axis: usize,
    len: u64,
    previous: &'a AxisChunks,
    /// The length that blocks have now: the median, until blocks are cut.
    typical: f64,
    /// Multiples of this length are preferred.
    unit: u64,
    /// No longer changed.
    done: bool,
    /// Counts in the size of a block.
    counted: bool,
    chosen: Option<AxisChunks>,
}

impl<'a> Growing<'a> {
    fn new(axis: usize, len: u64, previous: &'a AxisChunks) -> Self {
        let (typical, unit) = median_and_mode(previous);
        let unit = unit.unwrap_or(len);
        Growing { axis, len, previous, typical, unit, done: false, counted: true, chosen: None }
    }
}

/// The median length of the blocks, and the most frequent one if it is larger than 1 and at least
/// half of the blocks have it.
///
/// Empty blocks are left out, because a median of 0 could not be scaled to anything.
fn median_and_mode(chunks: &AxisChunks) -> (f64, Option<u64>) {
    let n = chunks.n_blocks();
    // The first and the last block may be shorter, and three are more.
    if let (Some((_, size)), true) = (chunks.regular(), n > 4) {
        return (size as f64, (size > 1).then_some(size));
    }
    let sizes: Vec<u64> = chunks.sizes().filter(|&size| size > 0).collect();
    let mut sorted = sizes.clone();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        0 => (sorted[middle - 1] as f64 + sorted[middle] as f64) / 2.0,
        _ => sorted[middle] as f64,
    };
    let count = |size: &u64| {
        sorted.partition_point(|other| other <= size) - sorted.partition_point(|other| other < size)
    };
    let mut mode = (0, 0);
    for size in &sizes {
        // The first of equally frequent lengths wins.
        if count(size) > mode.1 {
            mode = (*size, count(size));
        }
    }
    (median, (mode.0 > 1 && 2 * mode.1 >= sizes.len()).then_some(mode.0))
}

/// All axes that are changed together.
struct Growth<'a> {
    axes: Vec<Growing<'a>>,
    /// Wanted elements of a block.
    limit: f64,
    /// Elements of a block along the axes that do not change any more.
    big: f64,
    /// How much larger blocks shall become.
    factor: f64,
    shrink: bool,
}

impl<'a> Growth<'a> {
    fn new(axes: Vec<Growing<'a>>, limit: f64, big: f64) -> Self {
        let mut growth = Growth { axes, limit, big, factor: 1.0, shrink: false };
        growth.factor = growth.missing_factor();
        growth.shrink = growth.factor < 1.0;
        growth
    }

    /// How much larger the blocks would have to be than they are.
    fn missing_factor(&self) -> f64 {
        let counted = self.axes.iter().filter(|axis| axis.counted && axis.typical > 0.0);
        self.limit / self.big / counted.map(|axis| axis.typical).product::<f64>()
    }

    fn run(mut self) -> Vec<(usize, AxisChunks)> {
        for _ in 0..MAX_PASSES {
            if !self.pass() {
                break;
            }
        }
        let whole = |axis: &Growing<'_>| AxisChunks::whole(axis.len);
        self.axes.iter().map(|a| (a.axis, a.chosen.clone().unwrap_or_else(|| whole(a)))).collect()
    }

    /// Changes every axis by its share of the factor; whether another pass is worth it.
    fn pass(&mut self) -> bool {
        let left = self.axes.iter().filter(|axis| !axis.done).count();
        if left == 0 {
            return false;
        }
        let share = 1.0 / left as f64;
        let mut again = false;
        for i in 0..self.axes.len() {
            if !self.axes[i].done {
                again |= self.change(i, share);
            }
        }
        if !again && !self.shrink {
            return false;
        }
        let before = self.factor;
        self.factor = self.missing_factor();
        again || self.factor != before
    }

    /// Chooses chunks of one axis; whether it can't take its share, so that others have to.
    fn change(&mut self, i: usize, share: f64) -> bool {
        let axis = &mut self.axes[i];
        let wanted = axis.typical * self.factor.powf(share);
        if wanted > axis.len as f64 {
            axis.done = true;
            axis.chosen = Some(AxisChunks::whole(axis.len));
            // When blocks are cut, Dask counts such an axis twice. Golden data has it so.
            axis.counted = self.shrink;
            axis.typical = axis.len as f64;
            self.big *= axis.len as f64;
            return true;
        }
        let longest = axis.previous.max_len().unwrap_or(axis.len) as f64;
        if !self.shrink && longest <= wanted * TOLERANCE.powf(share) {
            axis.chosen = join(axis.previous, wanted);
            return false;
        }
        let size = near_multiple(wanted, axis.unit);
        axis.chosen = Some(AxisChunks::uniform(axis.len, size));
        if self.shrink {
            axis.typical = size as f64;
        }
        axis.done = wanted < 1.0;
        axis.done
    }
}

/// Joins neighbours while their sum is at most `wanted`, and never cuts a block.
///
/// Where there are too many blocks to list, a last short one is not joined even if it would fit.
fn join(previous: &AxisChunks, wanted: f64) -> Option<AxisChunks> {
    if let (Some((first, size)), true) = (previous.regular(), previous.n_blocks() > MAX_LISTED) {
        let joined = near_multiple(wanted.max(size as f64), size);
        return Some(match first == size {
            true => AxisChunks::uniform(previous.len()?, joined),
            false => AxisChunks::shifted(previous.len()?, first, joined),
        });
    }
    let mut joined = Vec::new();
    let mut open = 0u64;
    for size in previous.sizes() {
        if (open + size) as f64 <= wanted {
            open += size;
            continue;
        }
        if open > 0 {
            joined.push(open);
        }
        open = size;
    }
    if open > 0 {
        joined.push(open);
    }
    AxisChunks::from_sizes(&joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn auto(axes: Vec<AutoAxis<'_>>, limit: f64) -> String {
        auto_chunks(axes, limit).to_string()
    }

    #[test]
    fn short_axes_stay_whole() {
        let axes = || {
            vec![
                AutoAxis::Auto { len: 3, previous: None },
                AutoAxis::Auto { len: 100, previous: None },
            ]
        };
        assert_eq!(auto(axes(), 150.0), "((3,), (50, 50))");
        assert_eq!(auto(axes(), 1.0), "((1, 1, 1), (1, 1, 1, … 100 blocks))");
    }

    #[test]
    fn growing_keeps_old_boundaries() {
        let previous = AxisChunks::uniform(100, 7);
        let axes = vec![AutoAxis::Auto { len: 100, previous: Some(&previous) }];
        assert_eq!(auto(axes, 30.0), "((28, 28, 28, 16),)");
    }

    #[test]
    fn an_empty_axis_does_not_divide_by_zero() {
        let axes = vec![
            AutoAxis::Fixed(AxisChunks::whole(0)),
            AutoAxis::Auto { len: 0, previous: None },
            AutoAxis::Auto { len: 10, previous: None },
        ];
        assert_eq!(auto(axes, 5.0), "((0,), (0,), (5, 5))");
    }

    proptest! {
        #[test]
        fn chunks_cover_the_shape(
            lens in prop::collection::vec(0u64..200, 1..4), size in 1u64..50, limit in 0.1f64..5000.0,
        ) {
            let previous: Vec<_> = lens.iter().map(|&len| AxisChunks::uniform(len, size)).collect();
            let axes = || lens.iter().zip(&previous);
            let fresh = axes().map(|(&len, _)| AutoAxis::Auto { len, previous: None }).collect();
            let grown = axes().map(|(&len, p)| AutoAxis::Auto { len, previous: Some(p) }).collect();
            for chunks in [auto_chunks(fresh, limit), auto_chunks(grown, limit)] {
                prop_assert_eq!(chunks.known_shape(), Some(lens.clone()));
            }
        }
    }
}
