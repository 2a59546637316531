//! The same rows in other partitions.

use std::ops::Range;
use std::sync::Arc;

use polars_core::prelude::PlSmallStr;

use super::{Lowered, Lowering, MAX_PARTS};
use crate::error::{Call, Error, Result};
use crate::frame::kernels::divide::{CutAtKernel, KeyRange};
use crate::frame::kernels::periods::periods;
use crate::frame::kernels::tasks::{ConcatKernel, PieceKernel};
use crate::frame::layout::{Divided, Layout};
use crate::frame::op::Repartition;
use crate::frame::partitions::repartition::{
    Differs, Piece, by_divisions, by_size, even_piece, fewer, more,
};
use crate::frame::partitions::{Divisions, Key};
use crate::graph::{AxisMap, BlockMap, LayerInput, NodeId};

impl Lowering<'_> {
    /// # Errors
    /// The divisions do not hold all keys, or are not known where times are to be cut.
    pub(super) fn repartition(
        &mut self,
        id: NodeId,
        to: &Repartition,
        input: &Lowered,
    ) -> Result<Lowered> {
        let placement = &input.layout.placement;
        let known = to.by().first().and_then(|by| placement.divided_by(by));
        match (to, known) {
            (Repartition::Count(n), _) => Ok(self.in_parts(*n, input)),
            (Repartition::Bytes(bytes), _) => Ok(match input.layout.rows_of.clone() {
                Some(rows_of) => self.by_size(*bytes, &rows_of, input),
                None => {
                    let n = input.layout.nbytes().div_ceil((*bytes).max(1));
                    let n_max = MAX_PARTS.max(input.layout.n_parts);
                    self.in_parts(usize::try_from(n).unwrap_or(n_max).min(n_max), input)
                }
            }),
            (Repartition::Keys(keys), _) => Ok(self.together(keys, input)),
            (Repartition::Divisions { divisions, call, .. }, Some(divided)) => {
                let cut = self.cut_at(input, &divided, divisions);
                cut.map_err(|differs| not_around(differs, &divided.divisions, divisions, *call))
            }
            (Repartition::Divisions { by, divisions, call }, None) => {
                let rows = self.spread_at(input, by, divisions, Some(*call));
                let (by, divisions) = (by.clone(), divisions.clone());
                let divided = Divided { by, divisions, may_be_null: true };
                let placement = rows.layout.placement.clone().divided(divided);
                Ok(Lowered { layout: rows.layout.placed(placement), ..rows })
            }
            (Repartition::Every { every, call, .. }, Some(divided)) => {
                let divisions = periods(&divided.divisions, every, MAX_PARTS, *call)?;
                let cut = self.cut_at(input, &divided, &divisions);
                cut.map_err(|differs| not_around(differs, &divided.divisions, &divisions, *call))
            }
            (Repartition::Every { by, call, .. }, None) => {
                debug_assert!(self.plan.meta(id).schema.contains(by));
                Err(Error::InvalidArgument {
                    call: *call,
                    argument: "the frame",
                    got: format!("a frame whose divisions by {by} are not known"),
                    expected: "one that was persisted, read from sorted Parquet files, or has the divisions of \
                               set_index_with() or repartition_divisions()",
                })
            }
        }
    }

    /// Rows of equal keys in one partition.
    fn together(&mut self, keys: &[PlSmallStr], input: &Lowered) -> Lowered {
        if input.layout.n_parts == 1 || input.layout.placement.holds_groups_of(keys) {
            return input.clone();
        }
        match self.n_parts_for(input) {
            1 => self.gathered(input),
            n_out => self.hash_exchange(input, keys, n_out),
        }
    }

    /// Cuts each partition that is too large, and joins neighbours that are too small; what is cut into pieces of rows has
    /// no divisions any more.
    fn by_size(&mut self, bytes_max: u64, rows_of: &[u64], input: &Lowered) -> Lowered {
        let row_bytes = input.layout.row_bytes();
        let bytes: Vec<u64> =
            rows_of.iter().map(|rows| (*rows as f64 * row_bytes) as u64).collect();
        let (splits, bounds) = by_size(&bytes, bytes_max, MAX_PARTS);
        let pieces = self.pieces(&splits, rows_of, input);
        if bounds.len() - 1 == pieces.layout.n_parts {
            return pieces;
        }
        let rows_of = pieces.layout.rows_of.clone().unwrap_or_default();
        let rows_of: Arc<[u64]> =
            bounds.windows(2).map(|ends| rows_of[ends[0]..ends[1]].iter().sum()).collect();
        let layout = joined(&pieces.layout, &bounds);
        let rows_max = rows_of.iter().copied().max().unwrap_or(0);
        let layout = Layout { rows_max, rows_of: Some(rows_of), ..layout };
        let ranges = bounds.windows(2).map(|ends| (ends[0] as u64, ends[1] as u64)).collect();
        let map = BlockMap::axes([AxisMap::Ranges { axis: 0, ranges }]);
        let kernel = ConcatKernel { offset: 0, len: u64::MAX };
        self.push("repartition", kernel, vec![LayerInput { layer: pieces.layer, map }], layout)
    }

    /// Each partition in so many pieces of about as many rows.
    fn pieces(&mut self, splits: &[usize], rows_of: &[u64], input: &Lowered) -> Lowered {
        if splits.iter().all(|n| *n == 1) {
            return input.clone();
        }
        let pieces =
            splits.iter().enumerate().flat_map(|(part, &n)| (0..n).map(move |i| (part, i, n)));
        let pieces: Vec<(usize, usize, usize)> = pieces.collect();
        let rows = |&(part, i, n): &(usize, usize, usize)| {
            even_piece(rows_of[part] as usize, n, i).len() as u64
        };
        let rows_of: Arc<[u64]> = pieces.iter().map(rows).collect();
        let layout = input.layout.in_parts(pieces.len());
        let layout = layout.placed(input.layout.placement.order_only());
        let rows_max = rows_of.iter().copied().max().unwrap_or(0);
        let layout = Layout { rows_max, rows_of: Some(rows_of), ..layout };
        let ranges = pieces.iter().map(|(part, ..)| (*part as u64, *part as u64 + 1)).collect();
        let map = BlockMap::axes([AxisMap::Ranges { axis: 0, ranges }]);
        let kernel = PieceKernel { pieces: pieces.iter().map(|(_, i, n)| (*i, *n)).collect() };
        self.push("repartition", kernel, vec![LayerInput { layer: input.layer, map }], layout)
    }

    /// Joins neighbours, or cuts each partition: where numbers or times are its divisions, between them, and otherwise
    /// into pieces of about as many rows.
    fn in_parts(&mut self, n: usize, input: &Lowered) -> Lowered {
        let (n_old, n_new) = (input.layout.n_parts, n.max(1));
        let placement = &input.layout.placement;
        let known = placement.known_divisions();
        let layout = input.layout.in_parts(n_new).placed(placement.order_only());
        let slot = |ranges: Vec<(u64, u64)>| {
            let map = BlockMap::axes([AxisMap::Ranges { axis: 0, ranges: ranges.into() }]);
            vec![LayerInput { layer: input.layer, map }]
        };
        if n_new == n_old {
            return input.clone();
        }
        if n_new < n_old {
            let bounds = fewer(n_old, n_new);
            let layout = joined(&input.layout, &bounds);
            let n_joined = bounds.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(1);
            let rows_max = input.layout.rows_max.saturating_mul(n_joined as u64).min(layout.rows);
            let layout = Layout { rows_max, ..layout };
            let ranges = bounds.windows(2).map(|pair| (pair[0] as u64, pair[1] as u64)).collect();
            let kernel = ConcatKernel { offset: 0, len: u64::MAX };
            return self.push("repartition", kernel, slot(ranges), layout);
        }
        if let Some(divided) = known
            && let Some(divisions) = divided.divisions.interpolate(n_new)
            // Then no new partition has rows of two old ones, and none is larger.
            && n_new % n_old == 0
            && divisions.n_partitions() == n_new
            && let Ok(cut) = self.cut_at(input, &divided, &divisions)
        {
            return cut;
        }
        let n_pieces = more(n_old, n_new);
        let n_least = n_pieces.iter().copied().min().unwrap_or(1).max(1);
        let layout = Layout { rows_max: input.layout.rows_max.div_ceil(n_least as u64), ..layout };
        let pieces = n_pieces.into_iter().enumerate();
        let pieces: Vec<(u64, usize, usize)> =
            pieces.flat_map(|(part, n)| (0..n).map(move |i| (part as u64, i, n))).collect();
        let ranges = pieces.iter().map(|(part, ..)| (*part, part + 1)).collect();
        let kernel = PieceKernel { pieces: pieces.iter().map(|(_, i, n)| (*i, *n)).collect() };
        self.push("repartition", kernel, slot(ranges), layout)
    }

    /// The rows in the partitions of new divisions around all of the old ones, each made of the old partitions that it
    /// overlaps.
    pub(super) fn cut_at(
        &mut self,
        input: &Lowered,
        divided: &Divided,
        new: &Divisions,
    ) -> Result<Lowered, Differs> {
        let old = &divided.divisions;
        if old == new {
            return Ok(input.clone());
        }
        let mut keys = old.keys().to_vec();
        // What is behind all keys has to get from the last partition into the last new one.
        if (divided.may_be_null || old.dtype().is_float())
            && let (Some(last), Some(new_last)) = (keys.last_mut(), new.keys().last())
            && *new_last > *last
        {
            *last = new_last.clone();
        }
        let pieces = by_divisions(&keys, new.keys(), true)?;
        let parts = |row: &Vec<Piece<_>>| match (row.first(), row.last()) {
            (Some(first), Some(last)) => first.partition..last.partition + 1,
            // One has to say what the columns are.
            _ => 0..1,
        };
        let range = |piece: &Piece<Key>| {
            let (first, end) = (&keys[piece.partition], &keys[piece.partition + 1]);
            // The last partition has its end, and nulls behind it.
            let takes_end = piece.closed == (piece.partition + 1 == old.n_partitions());
            KeyRange {
                low: (piece.low > *first).then(|| piece.low.clone()),
                high: (piece.high < *end || !takes_end).then(|| piece.high.clone()),
            }
        };
        let n_read = pieces.iter().map(Vec::len).max().unwrap_or(1) as u64;
        let blocks: Vec<Range<usize>> = pieces.iter().map(parts).collect();
        let ranges = blocks.iter().zip(&pieces).map(|(parts, row)| {
            let of_part = |part| row.iter().find(|piece| piece.partition == part).map(range);
            parts.clone().map(of_part).collect()
        });
        let ranges = ranges.collect();
        let blocks = blocks.iter().map(|parts| (parts.start as u64, parts.end as u64)).collect();
        let map = BlockMap::axes([AxisMap::Ranges { axis: 0, ranges: blocks }]);
        let layout = input.layout.in_parts(new.n_partitions());
        let rows_max = input.layout.rows_max.saturating_mul(n_read).min(layout.rows);
        let layout = Layout { rows_max, ..layout };
        let order = input.layout.placement.order_along(&divided.by);
        let divided = Divided { divisions: new.clone(), ..divided.clone() };
        let kernel = CutAtKernel { key: divided.by.clone(), ranges };
        let inputs = vec![LayerInput { layer: input.layer, map }];
        let name = format!("cut by {}", divided.by);
        Ok(self.push(&name, kernel, inputs, layout.placed(order.divided(divided))))
    }
}

/// Runs of these partitions as one each, run `i` from `bounds[i]` to `bounds[i + 1]`.
fn joined(layout: &Layout, bounds: &[usize]) -> Layout {
    let placement = &layout.placement;
    let order = placement.order_only();
    let divided = placement.known_divisions().and_then(|divided| {
        let divisions = divided.divisions.joined(bounds)?;
        Some(Divided { divisions, ..divided })
    });
    let layout = layout.in_parts(bounds.len() - 1);
    match divided {
        Some(divided) => layout.placed(order.divided(divided)),
        None => layout.placed(order),
    }
}

fn not_around(differs: Differs, old: &Divisions, new: &Divisions, call: Call) -> Error {
    Error::InvalidArgument {
        call,
        argument: "divisions",
        got: match differs {
            Differs::Left => format!("{new}, which begin after the first key of {old}"),
            Differs::Right => format!("{new}, which end before the last key of {old}"),
        },
        expected: "divisions from the smallest to the largest value of the index, or beyond",
    }
}
