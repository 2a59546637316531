//! Joins by a table of one side, whose rows come in the order of the left frame all the same.

use std::io::{self, Write};
use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, IdxCa, IdxSize, PlSmallStr, PolarsResult, Schema};
use polars_ops::prelude::{_coalesce_full_join, _finish_join};

use super::table::{Codes, NONE, Table, can_be_coded};
use super::{JoinHow, JoinSpec};
use crate::error::Result;
use crate::frame::kernels::rows::gather_known;
use crate::frame::kernels::{failed, refused, spill};
use crate::graph::{Block, Load, Spill, Value};

/// So many ways to hash are tried until keys that differ have hashes that differ. More than one is rare.
const SEEDS_MAX: u64 = 8;

/// Whether one table of a side does for all partitions of the other one: no row of that side is wanted without a partner,
/// and equal keys have equal codes in any frame.
pub(crate) fn has_table(spec: &JoinSpec, left: &Schema, right: &Schema) -> bool {
    use JoinHow as J;
    let mut pairs = spec.left_on.iter().zip(&spec.right_on);
    matches!(spec.how, J::Inner | J::Left | J::Right | J::Semi | J::Anti)
        && pairs.all(|(l, r)| match (left.get(l), right.get(r)) {
            (Some(left), Some(right)) => left == right && can_be_coded(left),
            _ => false,
        })
}

/// One side of a join with a table of its keys.
#[derive(Debug)]
pub(crate) struct Built {
    rows: DataFrame,
    table: Table,
    spec: JoinSpec,
    /// Which side this is.
    side: usize,
    /// Of the hashes.
    seed: u64,
}

/// Rows of a frame; none are all of them, as they are.
type Rows = Option<Vec<IdxSize>>;

impl Built {
    /// The table of a side: the left one of a right join, either one of an inner join, otherwise the right one.
    pub(crate) fn new(rows: DataFrame, spec: &JoinSpec, side: usize) -> Result<Self> {
        Built::seeded(rows, spec, side, 0)
    }

    fn seeded(mut rows: DataFrame, spec: &JoinSpec, side: usize, seed: u64) -> Result<Self> {
        rows.rechunk_mut();
        let table = Table::new(&codes(&rows, spec, side, seed)?);
        Ok(Built { rows, table, spec: spec.clone(), side, seed })
    }

    /// Joins the other side.
    pub(crate) fn join(&self, other: &DataFrame) -> Result<DataFrame> {
        if let Some(joined) = self.try_join(other)? {
            return Ok(joined);
        }
        for seed in self.seed + 1..SEEDS_MAX {
            let built = Built::seeded(self.rows.clone(), &self.spec, self.side, seed)?;
            if let Some(joined) = built.try_join(other)? {
                return Ok(joined);
            }
        }
        Err(refused("join", "two keys that differ have the same hashes"))
    }

    /// None if two keys of one hash differ.
    fn try_join(&self, other: &DataFrame) -> Result<Option<DataFrame>> {
        let codes = codes(other, &self.spec, 1 - self.side, self.seed)?;
        let firsts = self.table.find(&codes);
        let how = self.spec.how;
        if matches!(how, JoinHow::Semi | JoinHow::Anti) {
            if !codes.are_exact && !self.are_equal(other, &self.matched(&firsts))? {
                return Ok(None);
            }
            let is_wanted = how == JoinHow::Semi;
            let rows = rows_where(&firsts, |first| (first != NONE) == is_wanted);
            return kept(other, rows).map(Some);
        }
        let pairs = self.pairs(firsts, how != JoinHow::Inner);
        if !codes.are_exact && !self.are_equal(other, &pairs)? {
            return Ok(None);
        }
        let (of_other, of_built) = pairs;
        let rows = match (how, self.side) {
            (JoinHow::Full, _) => self.with_unpaired(of_other, of_built, other.height()),
            (JoinHow::Right, _) => [Some(of_built), of_other],
            (_, 0) => in_order(of_built, of_other, self.rows.height(), other.height()),
            _ => [of_other, Some(of_built)],
        };
        let [left, right] = self.sides(other);
        self.joined(left, right, rows).map(Some)
    }

    fn sides<'a>(&'a self, other: &'a DataFrame) -> [&'a DataFrame; 2] {
        if self.side == 0 { [&self.rows, other] } else { [other, &self.rows] }
    }

    /// The rows of the other side that have partners, each with the first one.
    fn matched(&self, firsts: &[IdxSize]) -> (Rows, Vec<IdxSize>) {
        let rows = rows_where(firsts, |first| first != NONE);
        (rows, firsts.iter().copied().filter(|&first| first != NONE).collect())
    }

    /// Rows of the other side and of this one, in the order of the other side; those without partners too if asked for.
    fn pairs(&self, firsts: Vec<IdxSize>, with_unpaired: bool) -> (Rows, Vec<IdxSize>) {
        if self.table.is_unique() {
            return if with_unpaired { (None, firsts) } else { self.matched(&firsts) };
        }
        let mut pairs = (Vec::with_capacity(firsts.len()), Vec::with_capacity(firsts.len()));
        for (row, first) in firsts.into_iter().enumerate() {
            if first == NONE && with_unpaired {
                pairs.0.push(row as IdxSize);
                pairs.1.push(NONE);
            }
            for partner in self.table.rows_from(first) {
                pairs.0.push(row as IdxSize);
                pairs.1.push(partner);
            }
        }
        (Some(pairs.0), pairs.1)
    }

    /// Whether all pairs have equal keys, as they have unless two keys have one hash.
    fn are_equal(
        &self,
        other: &DataFrame,
        (of_other, of_built): &(Rows, Vec<IdxSize>),
    ) -> Result<bool> {
        let has_partner = |i: &usize| of_built[*i] != NONE;
        let paired = || (0..of_built.len()).filter(has_partner);
        let of_other: Vec<IdxSize> = match of_other {
            Some(rows) => paired().map(|i| rows[i]).collect(),
            None => paired().map(|i| i as IdxSize).collect(),
        };
        let of_built = paired().map(|i| of_built[i]).collect();
        let [of_other, of_built] =
            [of_other, of_built].map(|rows| IdxCa::from_vec(PlSmallStr::EMPTY, rows));
        let equal = |a: &Column, b: &Column| -> PolarsResult<bool> {
            Ok(a.take(&of_other)?.equals_missing(&b.take(&of_built)?))
        };
        for (a, b) in on(&self.spec, 1 - self.side).iter().zip(on(&self.spec, self.side)) {
            let columns = other.column(a).and_then(|a| Ok((a, self.rows.column(b)?)));
            if !columns.and_then(|(a, b)| equal(a, b)).map_err(failed("join"))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// These pairs and the rows of this side that are in none.
    fn with_unpaired(
        &self,
        of_other: Rows,
        mut of_built: Vec<IdxSize>,
        n_other: usize,
    ) -> [Rows; 2] {
        let mut is_paired = vec![false; self.rows.height()];
        of_built.iter().filter(|row| **row != NONE).for_each(|row| is_paired[*row as usize] = true);
        let unpaired = (0..).zip(&is_paired).filter(|(_, is_paired)| !**is_paired);
        of_built.extend(unpaired.map(|(row, _)| row));
        let mut of_other = of_other.unwrap_or_else(|| (0..n_other as IdxSize).collect());
        of_other.resize(of_built.len(), NONE);
        [Some(of_other), Some(of_built)]
    }

    /// The frame of these pairs, with the columns of Polars.
    fn joined(&self, left: &DataFrame, right: &DataFrame, rows: [Rows; 2]) -> Result<DataFrame> {
        let (how, coalesces) = (self.spec.how, self.spec.coalesces());
        let suffix = Some(self.spec.suffix.clone());
        let without_keys = |frame: &DataFrame, side: usize, is_dropped: bool| match is_dropped {
            true => frame.drop_many(on(&self.spec, side).iter().cloned()),
            false => frame.clone(),
        };
        let [of_left, of_right] = rows;
        let is_right = how == JoinHow::Right;
        let lefts = kept(&without_keys(left, 0, coalesces && is_right), of_left)?;
        let is_dropped = coalesces && !is_right && how != JoinHow::Full;
        let rights = kept(&without_keys(right, 1, is_dropped), of_right)?;
        let joined = _finish_join(lefts, rights, suffix.clone()).map_err(failed("join"))?;
        if how != JoinHow::Full || !coalesces {
            return Ok(joined);
        }
        let JoinSpec { left_on, right_on, .. } = &self.spec;
        Ok(_coalesce_full_join(joined, left_on, right_on, suffix, left))
    }
}

impl Value for Built {
    fn nbytes(&self) -> u64 {
        self.rows.estimated_size() as u64 + self.table.nbytes()
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        spill::can_leave(&self.rows).then_some(self)
    }
}

impl Spill for Built {
    /// Writes the rows; their table is made again.
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        spill::save(self.rows.clone(), to)?;
        let (schema, spec) = (Arc::clone(self.rows.schema()), self.spec.clone());
        let (side, seed) = (self.side, self.seed);
        Ok(Box::new(move |from, _| {
            let built = Built::seeded(spill::load(from, &schema)?, &spec, side, seed);
            built.map(Block::new).map_err(io::Error::other)
        }))
    }
}

fn on(spec: &JoinSpec, side: usize) -> &[PlSmallStr] {
    if side == 0 { &spec.left_on } else { &spec.right_on }
}

fn codes(rows: &DataFrame, spec: &JoinSpec, side: usize, seed: u64) -> Result<Codes> {
    let keys = rows.select_to_vec(on(spec, side)).map_err(failed("join"))?;
    Codes::new(&keys, spec.nulls_equal, seed)
}

/// The places of values that are wanted; none if all are.
fn rows_where(values: &[IdxSize], is_wanted: impl Fn(IdxSize) -> bool) -> Rows {
    if values.iter().all(|&value| is_wanted(value)) {
        return None;
    }
    let rows = values.iter().enumerate().filter(|(_, value)| is_wanted(**value));
    Some(rows.map(|(row, _)| row as IdxSize).collect())
}

/// These rows of a frame, nulls for each [`NONE`].
fn kept(frame: &DataFrame, rows: Rows) -> Result<DataFrame> {
    rows.map_or_else(|| Ok(frame.clone()), |rows| gather_known("join", frame, rows, NONE))
}

/// Pairs in the order of the left side, from pairs in that of the right one: each is put to its place.
fn in_order(of_left: Vec<IdxSize>, of_right: Rows, n_left: usize, n_right: usize) -> [Rows; 2] {
    let mut next = vec![0; n_left + 1];
    for &row in &of_left {
        next[row as usize + 1] += 1;
    }
    for row in 0..n_left {
        next[row + 1] += next[row];
    }
    let of_right = of_right.unwrap_or_else(|| (0..n_right as IdxSize).collect());
    let mut pairs = (vec![0; of_left.len()], vec![0; of_left.len()]);
    for (left, right) in of_left.into_iter().zip(of_right) {
        let place = &mut next[left as usize];
        (pairs.0[*place], pairs.1[*place]) = (left, right);
        *place += 1;
    }
    [Some(pairs.0), Some(pairs.1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_core::df;

    #[test]
    fn rows_of_one_hash_and_other_keys_are_noticed() {
        let spec = JoinSpec::new(JoinHow::Inner, ["k".into()], ["k".into()]);
        let right = df!["k" => ["a", "b"]].unwrap();
        let built = Built::new(right.clone(), &spec, 1).unwrap();
        let pairs = |of_built: [IdxSize; 2]| (None, of_built.to_vec());
        assert!(built.are_equal(&right, &pairs([0, 1])).unwrap());
        assert!(built.are_equal(&right, &pairs([NONE, 1])).unwrap());
        assert!(!built.are_equal(&right, &pairs([0, 0])).unwrap());
    }

    #[test]
    fn keys_of_one_hash_are_hashed_again() {
        let spec = JoinSpec::new(JoinHow::Full, ["k".into()], ["k".into()]);
        let right = df!["k" => ["a", "b"], "v" => [1, 2]].unwrap();
        // As if each of two keys had the hash of the other one.
        let swapped = right.reverse();
        let table = Table::new(&codes(&swapped, &spec, 1, 0).unwrap());
        let built = Built { rows: right, table, spec, side: 1, seed: 0 };
        let left = df!["k" => ["b", "c"]].unwrap();
        assert!(built.try_join(&left).unwrap().is_none());
        let expected = df!["k" => [Some("b"), Some("c"), None],
            "k_right" => [Some("b"), None, Some("a")], "v" => [Some(2), None, Some(1)]];
        assert!(built.join(&left).unwrap().equals_missing(&expected.unwrap()));
    }

    #[test]
    fn a_table_comes_back_from_disk() {
        let spec = JoinSpec::new(JoinHow::Left, ["k".into()], ["k".into()]);
        let right = df!["k" => [3_i64, 1, 3], "v" => ["x", "y", "z"]].unwrap();
        let built = Built::new(right, &spec, 1).unwrap();
        let mut bytes = Vec::new();
        let load = built.as_spill().unwrap().save(&mut bytes).unwrap();
        let pool = Arc::new(crate::memory::BufferPool::plain());
        let loaded = load(&mut &bytes[..], &pool).unwrap();
        let left = df!["k" => [1_i64, 3, 2]].unwrap();
        let joined = loaded.downcast_ref::<Built>().unwrap().join(&left).unwrap();
        let expected = df!["k" => [1_i64, 3, 3, 2], "v" => [Some("y"), Some("x"), Some("z"), None]];
        assert!(joined.equals_missing(&expected.unwrap()));
    }
}
