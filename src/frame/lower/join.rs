//! Joins of two frames by equal keys.

use std::sync::Arc;

use polars_core::prelude::{DataType, PlSmallStr};

use super::{Lowered, Lowering};
use crate::frame::kernels::join::{JoinHow, JoinSpec, has_table};
use crate::frame::kernels::key_filter::KeyFilter;
use crate::frame::kernels::shuffle::{Partners, TellKernel};
use crate::frame::kernels::sort::SortSpec;
use crate::frame::kernels::tasks::{JoinKernel, TableKernel};
use crate::frame::layout::{Divided, Placement};
use crate::frame::op::{Join, KeptIndex};
use crate::frame::partitions::divisions::is_orderable;
use crate::graph::{AxisMap, BlockMap, LayerId, LayerInput, NodeId};

/// What a join takes for a row of either side: its key as a number, its place in the table, and its number in the result.
const JOIN_ROW_BYTES: u64 = 36;

/// What the table of a side keeps for a row.
const TABLE_ROW_BYTES: u64 = 36;

/// Bits of a filter for each key: then it has one in about thirty of the keys that nobody told it.
const FILTER_BITS: f64 = 10.0;

/// There is room for so many times the keys that there probably are.
const FILTER_ROOM: f64 = 8.0;

/// A filter takes no more than this, and this part of the memory for shuffles.
const FILTER_BYTES_MAX: u64 = 8 << 20;
const FILTER_PART: u64 = 64;

/// A join copies a side to all partitions of the other one if that is no more than so many times all bytes of both.
const COPIES_MAX: f64 = 1.0;

/// Both sides of a join where rows of equal keys meet.
struct Met {
    sides: [Lowered; 2],
    /// The side that all partitions of the other one get, if one is.
    copied: Option<usize>,
    /// Between which keys the partitions of both sides are, if by keys they were cut.
    divided: Option<Divided>,
}

impl Lowering<'_> {
    pub(super) fn join(&mut self, id: NodeId, join: &Join, inputs: &[Lowered]) -> Lowered {
        let spec = &join.spec;
        let bytes = [inputs[0].layout.nbytes(), inputs[1].layout.nbytes()];
        let schemas = self.plan.inputs(id).iter().map(|input| &self.plan.meta(*input).schema);
        let has_table = match &schemas.collect::<Vec<_>>()[..] {
            [left, right] => has_table(spec, left, right),
            _ => false,
        };
        let met = match self.copied_side(join, has_table, inputs) {
            Some(side) => {
                let mut sides = [inputs[0].clone(), inputs[1].clone()];
                sides[side] = self.gathered(&inputs[side]);
                Met { sides, copied: Some(side), divided: None }
            }
            None => match self.meet_by_divisions(join, inputs) {
                Some(met) => met,
                None => {
                    let ranges = self.meet_by_ranges(id, join, inputs);
                    let sides = ranges.unwrap_or_else(|| self.meet_by_hash(spec, inputs));
                    Met { sides, copied: None, divided: None }
                }
            },
        };
        let kept = met.copied.map_or(usize::from(bytes[1] > bytes[0]), |side| 1 - side);
        let schema = &self.plan.meta(id).schema;
        let other = &met.sides[1 - kept].layout;
        let layout = met.sides[kept].layout.with_fewer_rows();
        let layout = layout.with_columns(schema, |name| Some(name.into()));
        let layout = layout.widened(other, schema);
        let mut layout = layout.placed(placement(spec, &met));
        if spec.how == JoinHow::Cross {
            layout.rows = layout.rows.saturating_mul(other.rows);
            layout.rows_max = layout.rows_max.saturating_mul(other.rows_max);
        }
        if matches!(spec.how, JoinHow::Inner | JoinHow::Semi) {
            // As if each row had a partner before rows of the other side were left out.
            layout.likely *= other.likely;
        }
        let mut slots = [0, 1].map(|i| {
            let is_copy = met.copied == Some(i);
            let map = if is_copy { BlockMap::axes([AxisMap::At(0)]) } else { BlockMap::Linear };
            LayerInput { layer: met.sides[i].layer, map }
        });
        let name = format!("{:?} join on {}", spec.how, spec.left_on.join(", "));
        let scratch = met.sides.iter().map(|side| side.layout.index_bytes(JOIN_ROW_BYTES)).sum();
        let built = met.copied.filter(|_| has_table);
        if let Some(side) = built {
            slots[side].layer = self.table(spec, side, &met.sides[side]);
        }
        let kernel = JoinKernel { spec: Arc::clone(spec), built };
        let joined = self.push(&name, kernel, slots.into(), layout);
        self.layers.get_mut(joined.layer).scratch_bytes = scratch;
        joined
    }

    /// The table of the one partition of a side.
    fn table(&mut self, spec: &Arc<JoinSpec>, side: usize, input: &Lowered) -> LayerId {
        let kernel = TableKernel { spec: Arc::clone(spec), side };
        let name = format!("table of {}", [&spec.left_on, &spec.right_on][side].join(", "));
        let table = self.rowwise(&name, kernel, input, input.layout.clone());
        let layer = self.layers.get_mut(table.layer);
        layer.out_bytes += input.layout.index_bytes(TABLE_ROW_BYTES);
        // A copy in one piece, and the keys as numbers.
        layer.scratch_bytes = input.layout.part_bytes() + input.layout.index_bytes(8);
        table.layer
    }

    /// The side that goes to every partition of the other one: the smaller one if it is small and no unpaired row of its
    /// own is wanted.
    fn copied_side(&self, join: &Join, has_table: bool, inputs: &[Lowered]) -> Option<usize> {
        use JoinHow as J;
        let how = join.spec.how;
        let bytes = [inputs[0].layout.nbytes(), inputs[1].layout.nbytes()];
        let likely = [inputs[0].layout.likely_bytes(), inputs[1].layout.likely_bytes()];
        let may_copy =
            [matches!(how, J::Inner | J::Right | J::Cross), !matches!(how, J::Right | J::Full)];
        // Copies give their rows the order of the other side.
        let keeps_order = |side: usize| {
            let on = if side == 0 { &join.spec.right_on } else { &join.spec.left_on };
            join.index.is_none_or(|kept| kept.side != side)
                || join.index.is_some_and(|kept| is_ascending(&inputs[1 - side], &on[kept.key]))
        };
        let is_small = |side: usize| {
            let fits = inputs[side].layout.n_parts == 1 || bytes[side] <= self.options.part_bytes;
            // A table is made once, in one task; without one, each partition of the other side works on the copy.
            let n_copies = if has_table { 2.0 } else { inputs[1 - side].layout.n_parts as f64 };
            may_copy[side]
                && keeps_order(side)
                && fits
                && n_copies * likely[side] <= COPIES_MAX * (likely[0] + likely[1])
        };
        match (is_small(0), is_small(1)) {
            (true, true) => Some(usize::from(likely[1] <= likely[0])),
            (true, false) => Some(0),
            (false, true) => Some(1),
            (false, false) if how == J::Cross => Some(usize::from(bytes[1] <= bytes[0])),
            (false, false) => None,
        }
    }

    /// Of two sides whose divisions are known, both are cut at those of both; to one, the other side comes.
    fn meet_by_divisions(&mut self, join: &Join, inputs: &[Lowered]) -> Option<Met> {
        let keys = match join.index {
            Some(kept) => kept.key..kept.key + 1,
            None => 0..join.spec.left_on.len(),
        };
        let (left_on, right_on) = (&join.spec.left_on[keys.clone()], &join.spec.right_on[keys]);
        let pairs = || left_on.iter().zip(right_on);
        let known = |side: usize, name: &PlSmallStr| inputs[side].layout.placement.divided_by(name);
        if let Some((left, right)) = pairs().find_map(|(l, r)| Some((known(0, l)?, known(1, r)?)))
            && let Some(divisions) = left.divisions.merge(&right.divisions)
        {
            let sides = [
                self.cut_at(&inputs[0], &left, &divisions).ok()?,
                self.cut_at(&inputs[1], &right, &divisions).ok()?,
            ];
            let divided = Some(Divided { divisions, ..left });
            return Some(Met { sides, copied: None, divided });
        }
        let enough = self.n_parts_for(&inputs[0]).max(self.n_parts_for(&inputs[1]));
        let (side, other, divided) = pairs().find_map(|(l, r)| {
            let left = known(0, l).map(|divided| (0, r, divided));
            let found = left.or_else(|| known(1, r).map(|divided| (1, l, divided)))?;
            (found.2.divisions.n_partitions() >= enough).then_some(found)
        })?;
        let come = self.spread_at(&inputs[1 - side], other, &divided.divisions, None);
        let sides = match side {
            0 => [inputs[0].clone(), come],
            _ => [come, inputs[1].clone()],
        };
        let by = if side == 0 { divided.by.clone() } else { other.clone() };
        Some(Met { sides, copied: None, divided: Some(Divided { by, ..divided }) })
    }

    /// Of a side that is in partitions of ranges the rows stay, and those of the other side follow. A side that keeps its
    /// index is spread so if it is not yet, because a hash would not keep its order.
    fn meet_by_ranges(
        &mut self,
        id: NodeId,
        join: &Join,
        inputs: &[Lowered],
    ) -> Option<[Lowered; 2]> {
        let on = [&join.spec.left_on, &join.spec.right_on];
        let enough = self.n_parts_for(&inputs[0]).max(self.n_parts_for(&inputs[1]));
        let ranged = |side: usize| {
            let known = inputs[side].layout.placement.range_column()?;
            let key = on[side].iter().position(|key| key == known.by())?;
            let is_fit = match join.index {
                Some(kept) => key == kept.key && known.is_ascending(),
                None => inputs[side].layout.n_parts >= enough,
            };
            is_fit.then(|| (side, key, known.clone()))
        };
        let first = join.index.map_or(0, |kept| kept.side);
        let mut sides = [inputs[0].clone(), inputs[1].clone()];
        let (side, key, ranged) = match ranged(first).or_else(|| ranged(1 - first)) {
            Some(known) => known,
            None => {
                let KeptIndex { side, key } = join.index?;
                sides = self.spread_index(id, join.index?, on[side], inputs);
                let Some(ranged) = sides[side].layout.placement.range_column().cloned() else {
                    return Some(sides);
                };
                (side, key, ranged)
            }
        };
        let other = 1 - side;
        let ranged = ranged.of_column(on[other][key].clone());
        let met = sides[other].layout.placement.range_column();
        if !met.is_some_and(|met| met.ways == ranged.ways && met.by() == ranged.by()) {
            let n_out = sides[side].layout.n_parts;
            sides[other] = self.follow(ranged, &inputs[other], n_out);
        }
        Some(sides)
    }

    /// The side that keeps its index in partitions of ranges of it; both sides in one partition, if that is enough or the
    /// index has no ranges.
    fn spread_index(
        &mut self,
        id: NodeId,
        KeptIndex { side, key }: KeptIndex,
        on: &[PlSmallStr],
        inputs: &[Lowered],
    ) -> [Lowered; 2] {
        let n_out = self.n_spread_for(&inputs[0]).max(self.n_spread_for(&inputs[1]));
        let schema = &self.plan.meta(self.plan.inputs(id)[side]).schema;
        let has_ranges = |dtype: &&DataType| is_orderable(dtype) && !dtype.is_categorical();
        let dtype = schema.get(&on[key]).filter(|dtype| has_ranges(dtype) && n_out > 1);
        let mut sides = [0, 1].map(|side| inputs[side].clone());
        let Some(dtype) = dtype.cloned() else {
            return [0, 1].map(|side| self.gathered(&inputs[side]));
        };
        let spec = Arc::new(SortSpec::new([on[key].clone()], false, true));
        let spread = self.spread_by_range(&spec, dtype, &inputs[side], n_out);
        let placement = spread.layout.placement.clone().in_order(&spec);
        sides[side] = Lowered { layout: spread.layout.placed(placement), ..spread };
        sides
    }

    /// Both sides by a hash of their keys; one that is spread by it already stays, and the other one comes to it. If one
    /// side is probably small, the rows of the other side that have no partner there stay behind.
    fn meet_by_hash(&mut self, spec: &JoinSpec, inputs: &[Lowered]) -> [Lowered; 2] {
        let on = [&spec.left_on, &spec.right_on];
        let enough = self.n_spread_for(&inputs[0]).max(self.n_spread_for(&inputs[1]));
        let spread = [0, 1].map(|i| {
            let layout = &inputs[i].layout;
            Some(layout.n_parts).filter(|n| layout.placement.is_hashed_by(on[i]) && *n >= enough)
        });
        let n = spread.into_iter().flatten().max().unwrap_or(enough);
        if n > 1
            && let Some(told) = told_side(spec.how, inputs)
            && spread[1 - told] != Some(n)
            && let Some(filter) = self.key_filter(&inputs[told])
        {
            let stays = spread[told] == Some(n);
            return self.meet_partners(told, stays, &filter, on, inputs, n);
        }
        [0, 1].map(|i| match n {
            1 => self.gathered(&inputs[i]),
            _ if spread[i] == Some(n) => inputs[i].clone(),
            _ => self.hash_exchange(&inputs[i], on[i], n),
        })
    }

    /// Both sides by a hash of their keys: first the side `told`, which tells its keys to the filter and `stays` where it is if
    /// it is spread by them, and then those rows of the other side whose keys the filter has.
    fn meet_partners(
        &mut self,
        told: usize,
        stays: bool,
        filter: &Arc<KeyFilter>,
        on: [&Vec<PlSmallStr>; 2],
        inputs: &[Lowered],
        n_out: usize,
    ) -> [Lowered; 2] {
        let asked = 1 - told;
        let names = on.map(|on| on.join(", "));
        let layouts =
            [0, 1].map(|i| inputs[i].layout.in_parts(n_out).placed(Placement::hashed(on[i])));
        let (first, all_told) = if stays {
            let kernel =
                TellKernel { filter: Arc::clone(filter), keys: on[told].as_slice().into() };
            let each = LayerInput { layer: inputs[told].layer, map: BlockMap::Linear };
            let tell = self.silent(&format!("tell {}", names[told]), kernel, each, n_out);
            self.layers.get_mut(tell).scratch_bytes = inputs[told].layout.index_bytes(8);
            (inputs[told].clone(), self.barrier(tell))
        } else {
            let name = format!("split by {}", names[told]);
            let partners = Some(Partners::Told(Arc::clone(filter)));
            let (exchange, split) =
                self.hash_split(&name, &inputs[told], on[told], n_out, partners);
            let all_told = self.barrier(split);
            (self.taken(exchange, all_told, layouts[told].clone()), all_told)
        };
        let name = format!("split by {} those with a partner", names[asked]);
        let partners = Some(Partners::Asked(Arc::clone(filter)));
        let (exchange, split) = self.hash_split(&name, &inputs[asked], on[asked], n_out, partners);
        let after = LayerInput { layer: all_told, map: BlockMap::axes([AxisMap::At(0)]) };
        self.layers.get_mut(split).inputs.push(after);
        let barrier = self.barrier(split);
        let second = self.taken(exchange, barrier, layouts[asked].with_fewer_rows());
        if told == 0 { [first, second] } else { [second, first] }
    }

    /// A filter for the keys of a side, if there is memory for one that is worth something.
    fn key_filter(&mut self, told: &Lowered) -> Option<Arc<KeyFilter>> {
        let bytes = |n_rows: f64, bits: f64| (n_rows * bits / 8.0) as u64;
        let most = (self.options.exchange_bytes / FILTER_PART).min(FILTER_BYTES_MAX);
        let (rows, likely) = (told.layout.rows as f64, told.layout.likely_rows());
        let n_bytes = bytes(rows.min(FILTER_ROOM * likely), FILTER_BITS).min(most);
        if n_bytes < bytes(likely, FILTER_BITS / 2.0) {
            return None;
        }
        self.layers.reserve(n_bytes);
        Some(Arc::new(KeyFilter::new(n_bytes)))
    }
}

/// The side that has probably so few rows that those of the other side are worth asking for partners before they move, if
/// the join leaves out those that have none. Without a filter, keys mostly have partners.
fn told_side(how: JoinHow, inputs: &[Lowered]) -> Option<usize> {
    use JoinHow as J;
    let may_ask =
        [matches!(how, J::Inner | J::Right | J::Semi), !matches!(how, J::Right | J::Full)];
    let rows = [0, 1].map(|i| inputs[i].layout.likely_rows());
    [0, 1].into_iter().find(|&told| {
        let few = inputs[told].layout.likely <= 0.5 && 2.0 * rows[told] <= rows[1 - told];
        few && may_ask[1 - told]
    })
}

/// Whether the rows are known to be in the ascending order of a column.
fn is_ascending(input: &Lowered, by: &PlSmallStr) -> bool {
    input.layout.placement.is_in_order(&SortSpec::new([by.clone()], false, true))
}

/// Where the rows of a join are, by the names that its columns have.
fn placement(spec: &JoinSpec, met: &Met) -> Placement {
    use JoinHow as J;
    let [left, right] = &met.sides;
    let left = &left.layout.placement;
    match (met.copied, spec.how) {
        (Some(1), _) => left.clone(),
        // The keys of both sides are those of the one that has divisions.
        (None, J::Inner | J::Semi) => match &met.divided {
            Some(divided) => {
                let may_be_null = divided.may_be_null && spec.nulls_equal;
                let divided = Divided { may_be_null, ..divided.clone() };
                left.clone().divided(divided)
            }
            None => left.clone(),
        },
        (None, J::Left | J::Anti) => left.clone(),
        // Of keys of other names one may have to give its name away.
        (None, J::Right) if spec.left_on == spec.right_on && spec.coalesce.is_none() => {
            let right = &right.layout.placement;
            right.renamed(|name| spec.right_on.contains(name).then(|| name.clone()))
        }
        _ => Placement::default(),
    }
}
