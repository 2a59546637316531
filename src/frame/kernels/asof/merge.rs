//! The walk over two sorted columns of keys.

use polars_core::prelude::IdxSize;

use super::super::refused;
use super::{AsofSpec, AsofStrategy, Groups};
use crate::error::Result;

/// A number of which as-of joins can be made.
pub(super) trait AsofKey: Copy + PartialOrd {
    type Distance: PartialOrd + Copy;
    fn distance(self, other: Self) -> Self::Distance;
}

impl AsofKey for i64 {
    type Distance = u64;
    fn distance(self, other: Self) -> u64 {
        self.abs_diff(other)
    }
}

impl AsofKey for u64 {
    type Distance = u64;
    fn distance(self, other: Self) -> u64 {
        self.abs_diff(other)
    }
}

impl AsofKey for f64 {
    type Distance = f64;
    fn distance(self, other: Self) -> f64 {
        (self - other).abs()
    }
}

/// The right rows of one group in the order of their keys, and how far the left rows have come.
struct Group<K> {
    keys: Vec<K>,
    rows: Vec<IdxSize>,
    /// How many keys are smaller than the left key.
    smaller: usize,
    /// How many keys are not larger than the left key.
    not_larger: usize,
    left: Option<K>,
}

impl<K: AsofKey> Group<K> {
    /// Goes on to a left key; says whether it is not before the last one.
    fn advance(&mut self, key: K) -> bool {
        while self.keys.get(self.smaller).is_some_and(|k| *k < key) {
            self.smaller += 1;
        }
        self.not_larger = self.not_larger.max(self.smaller);
        while self.keys.get(self.not_larger).is_some_and(|k| *k <= key) {
            self.not_larger += 1;
        }
        self.left.replace(key).is_none_or(|last| last <= key)
    }

    fn backward(&self, exact: bool) -> Option<usize> {
        (if exact { self.not_larger } else { self.smaller }).checked_sub(1)
    }

    fn forward(&self, exact: bool) -> Option<usize> {
        let at = if exact { self.smaller } else { self.not_larger };
        (at < self.keys.len()).then_some(at)
    }

    fn nearest(&self, key: K, exact: bool) -> Option<usize> {
        if exact && self.not_larger > self.smaller {
            return Some(self.not_larger - 1);
        }
        // Of equal later keys the last one, as in Polars.
        let later = self.keys.get(self.not_larger).map(|next| {
            self.not_larger + self.keys[self.not_larger..].partition_point(|k| k <= next) - 1
        });
        match (self.smaller.checked_sub(1), later) {
            (Some(low), Some(high))
                if key.distance(self.keys[low]) < key.distance(self.keys[high]) =>
            {
                Some(low)
            }
            (low, high) => high.or(low),
        }
    }
}

/// The right row of each left row.
pub(super) fn matches<K: AsofKey>(
    left: &[Option<K>],
    right: &[Option<K>],
    groups: &Groups,
    spec: &AsofSpec,
    tolerance: Option<K::Distance>,
) -> Result<Vec<Option<IdxSize>>> {
    let unsorted = |side, name: &str| {
        Err(refused("join_asof", format!("the {side} frame is not sorted by {name}")))
    };
    // What can't be compared with itself is NaN.
    let number = |key: &Option<K>| key.filter(|k| k.partial_cmp(k).is_some());
    let group =
        || Group { keys: Vec::new(), rows: Vec::new(), smaller: 0, not_larger: 0, left: None };
    let mut sides: Vec<Group<K>> = (0..groups.n).map(|_| group()).collect();
    for (row, key) in right.iter().enumerate() {
        let number_of_group = groups.right.as_ref().map_or(Some(0), |right| right[row]);
        let (Some(key), Some(group)) = (number(key), number_of_group) else { continue };
        let group = &mut sides[group as usize];
        if group.keys.last().is_some_and(|last| *last > key) {
            return unsorted("right", &spec.right_on);
        }
        group.keys.push(key);
        group.rows.push(row as IdxSize);
    }
    let mut found = Vec::with_capacity(left.len());
    for (row, key) in left.iter().enumerate() {
        let Some(key) = number(key) else {
            found.push(None);
            continue;
        };
        let group = &mut sides[groups.left.as_ref().map_or(0, |left| left[row]) as usize];
        if !group.advance(key) {
            return unsorted("left", &spec.left_on);
        }
        let exact = spec.allow_exact_matches;
        let at = match spec.strategy {
            AsofStrategy::Backward => group.backward(exact),
            AsofStrategy::Forward => group.forward(exact),
            AsofStrategy::Nearest => group.nearest(key, exact),
        };
        let near = |at: &usize| tolerance.is_none_or(|most| key.distance(group.keys[*at]) <= most);
        found.push(at.filter(near).map(|at| group.rows[at]));
    }
    Ok(found)
}
