//! What a reduction accumulates: the typed half of `reduce.rs`.
//!
//! Invariant: an accumulator is a function of the elements and of the order in which the driver
//! (`fold.rs`) presents them, never of the instruction set or the thread.

mod arg;
mod moments;
mod monoids;

use std::fmt;

pub(crate) use arg::{Arg, Largest, NanLargest, NanSmallest, Smallest};
pub(crate) use moments::{Moments, NanMoments};
pub(crate) use monoids::{All, Any, Fold, Max, Min, NanMax, NanMean, NanMin, Prod, Sum};

use super::scalar::Lane;
use crate::array::io::Stored;

/// What a reducer adds up in.
pub(crate) trait Accumulator: Stored + Default + fmt::Debug + Send + Sync + 'static {}

impl<A: Stored + Default + fmt::Debug + Send + Sync + 'static> Accumulator for A {}

/// How elements of one type become one result.
///
/// Counts (`n`) are passed around the accumulator, because they are the same for a whole block.
pub(crate) trait Reducer: Copy + fmt::Debug + Send + Sync + 'static {
    type In: Lane;
    type Acc: Accumulator;
    type Out: Lane;
    type Tile;
    /// What a strip of a long run becomes; these are merged strip by strip, and joined at the end.
    type Lanes: AsRef<[Self::Acc]> + AsMut<[Self::Acc]> + Copy;

    /// The accumulator of no elements.
    fn empty(self) -> Self::Acc;

    /// The accumulator of a run; `first` is the position of its first element in the block.
    fn fold(self, xs: &[Self::In], first: u64) -> Self::Acc;

    /// What [`fold`](Self::fold) makes of runs that lie side by side, merged with what is empty, as where the run of a result is
    /// one of several: element `k` of run `i` is `columns[k][i]`. Positions are not known.
    #[inline(always)]
    fn fold_across(self, columns: &[&[Self::In]], out: &mut [Self::Acc]) {
        let mut run = Vec::with_capacity(columns.len());
        for (i, out) in out.iter_mut().enumerate() {
            run.clear();
            run.extend(columns.iter().map(|column| column[i]));
            *out = self.merge(self.empty(), 0, self.fold(&run, 0), run.len() as u64);
        }
    }

    /// A part of a run, not yet joined to one accumulator.
    fn fold_lanes(self, xs: &[Self::In], first: u64) -> Self::Lanes;

    /// The accumulator of a run.
    fn join_lanes(self, lanes: Self::Lanes) -> Self::Acc;

    /// Neighbouring columns that rows are added to.
    fn tile(self, width: usize) -> Self::Tile;

    /// Adds one element to each column of a tile that holds `n` rows already.
    fn add_row(self, tile: &mut Self::Tile, n: u64, xs: &[Self::In], first: u64);

    /// The accumulators of the columns after `n` rows.
    fn close(self, tile: Self::Tile, n: u64) -> Vec<Self::Acc>;

    /// The accumulator of `na` elements followed by `nb` others.
    fn merge(self, a: Self::Acc, na: u64, b: Self::Acc, nb: u64) -> Self::Acc;

    /// The result; `None` if there is none, such as the minimum of nothing.
    fn finish(self, acc: Self::Acc, n: u64) -> Option<Self::Out>;

    /// The accumulator with positions in the block replaced by indices in the whole array.
    fn relocate(self, acc: Self::Acc, _index_of: impl Fn(u64) -> u64) -> Self::Acc {
        acc
    }
}

/// A reducer for what is done after the chunk step: functions that take it are compiled once for each accumulator, not
/// for each reducer.
pub(crate) trait Merging<A> {
    /// The accumulator of no elements.
    fn nothing(&self) -> A;

    /// Merges accumulators of `n` elements each with those of the `n_later` that follow, one by one.
    fn merge_all(&self, earlier: &mut [A], n: u64, later: &[A], n_later: u64);
}

impl<R: Reducer> Merging<R::Acc> for R {
    fn nothing(&self) -> R::Acc {
        self.empty()
    }

    fn merge_all(&self, earlier: &mut [R::Acc], n: u64, later: &[R::Acc], n_later: u64) {
        for (acc, &other) in earlier.iter_mut().zip(later) {
            *acc = self.merge(*acc, n, other, n_later);
        }
    }
}

/// A [`Merging`] for the step that ends with elements.
pub(crate) trait Finishing<A, O>: Merging<A> {
    /// Results of accumulators of `n` elements each. Those that have none become `otherwise`, and without it there are no results.
    fn finish_all(&self, accs: &[A], n: u64, otherwise: Option<O>, out: &mut [O]) -> Option<()>;
}

impl<R: Reducer> Finishing<R::Acc, R::Out> for R {
    fn finish_all(
        &self,
        accs: &[R::Acc],
        n: u64,
        otherwise: Option<R::Out>,
        out: &mut [R::Out],
    ) -> Option<()> {
        for (out, &acc) in out.iter_mut().zip(accs) {
            *out = self.finish(acc, n).or(otherwise)?;
        }
        Some(())
    }
}
