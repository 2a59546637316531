//! Joins by a table of one side, whose rows come in the order of the left frame all the same.

use std::io::{self, Write};
use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, IdxCa, IdxSize, PlSmallStr, PolarsResult, Schema};
use polars_ops::prelude::_finish_join;

use super::table::{Codes, NONE, Table, can_be_coded};
use super::{JoinHow, JoinSpec, polars_join};
use crate::error::Result;
use crate::frame::kernels::rows::{gather, gather_known};
use crate::frame::kernels::{failed, refused, spill};
use crate::graph::{Block, Load, Spill, Value};

/// Whether a table does this join: of these kinds, by keys that are numbers or have hashes.
pub(crate) fn has_table(spec: &JoinSpec, left: &Schema, right: &Schema) -> bool {
    use JoinHow as J;
    let mut pairs = spec.left_on.iter().zip(&spec.right_on);
    matches!(spec.how, J::Inner | J::Left | J::Semi | J::Anti)
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
}

/// Rows of a frame; none are all of them, as they are.
type Rows = Option<Vec<IdxSize>>;

impl Built {
    /// The table of a side, the right one unless it is an inner join, which [`has_table`].
    pub(crate) fn new(mut rows: DataFrame, spec: &JoinSpec, side: usize) -> Result<Self> {
        rows.rechunk_mut();
        let table = Table::new(&codes(&rows, spec, side)?);
        Ok(Built { rows, table, spec: spec.clone(), side })
    }

    /// Joins the other side.
    pub(crate) fn join(&self, other: &DataFrame) -> Result<DataFrame> {
        let codes = codes(other, &self.spec, 1 - self.side)?;
        let firsts = self.table.find(&codes);
        let [left, right] = self.sides(other);
        match self.spec.how {
            JoinHow::Semi | JoinHow::Anti => {
                if !codes.are_exact && !self.are_equal(other, &self.matched(&firsts))? {
                    return polars_join(left, right, &self.spec);
                }
                let is_wanted = self.spec.how == JoinHow::Semi;
                kept(other, rows_where(&firsts, |first| (first != NONE) == is_wanted))
            }
            how => {
                let pairs = self.pairs(firsts, how == JoinHow::Left);
                if !codes.are_exact && !self.are_equal(other, &pairs)? {
                    return polars_join(left, right, &self.spec);
                }
                let (of_other, of_built) = pairs;
                let rows = match self.side {
                    0 => in_order(of_built, of_other, self.rows.height(), other.height()),
                    _ => (of_other, of_built),
                };
                self.joined(left, right, rows)
            }
        }
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

    /// The frame of these pairs.
    fn joined(
        &self,
        left: &DataFrame,
        right: &DataFrame,
        (of_left, of_right): (Rows, Vec<IdxSize>),
    ) -> Result<DataFrame> {
        let args = self.spec.args();
        let right = match args.should_coalesce() {
            true => right.drop_many(self.spec.right_on.iter().cloned()),
            false => right.clone(),
        };
        let left = kept(left, of_left)?;
        let right = gather_known("join", &right, of_right, NONE)?;
        _finish_join(left, right, args.suffix).map_err(failed("join"))
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
        let (schema, spec, side) = (Arc::clone(self.rows.schema()), self.spec.clone(), self.side);
        Ok(Box::new(move |from, _| {
            let built = Built::new(spill::load(from, &schema)?, &spec, side);
            built.map(Block::new).map_err(io::Error::other)
        }))
    }
}

fn on(spec: &JoinSpec, side: usize) -> &[PlSmallStr] {
    if side == 0 { &spec.left_on } else { &spec.right_on }
}

fn codes(rows: &DataFrame, spec: &JoinSpec, side: usize) -> Result<Codes> {
    let keys = rows.select_to_vec(on(spec, side)).map_err(failed("join"))?;
    let codes = Codes::new(&keys, spec.nulls_equal)?;
    codes.ok_or_else(|| refused("join", "a key has no hash"))
}

/// The places of values that are wanted; none if all are.
fn rows_where(values: &[IdxSize], is_wanted: impl Fn(IdxSize) -> bool) -> Rows {
    if values.iter().all(|&value| is_wanted(value)) {
        return None;
    }
    let rows = values.iter().enumerate().filter(|(_, value)| is_wanted(**value));
    Some(rows.map(|(row, _)| row as IdxSize).collect())
}

fn kept(frame: &DataFrame, rows: Rows) -> Result<DataFrame> {
    rows.map_or_else(|| Ok(frame.clone()), |rows| gather("join", frame, rows))
}

/// Pairs in the order of the left side, from pairs in that of the right one: each is put to its place.
fn in_order(
    of_left: Vec<IdxSize>,
    of_right: Rows,
    n_left: usize,
    n_right: usize,
) -> (Rows, Vec<IdxSize>) {
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
    (Some(pairs.0), pairs.1)
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
