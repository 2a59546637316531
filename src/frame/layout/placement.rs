//! What is known of where rows are: which partition has which keys, and in which order rows stand.

use std::ops::{Bound, Range};
use std::sync::Arc;

use polars_core::prelude::{DataType, PlSmallStr, Scalar};

use crate::frame::io::{Comparison, Condition, Source};
use crate::frame::kernels::sort::SortSpec;
use crate::frame::partitions::{Divisions, Key, quantiles};
use crate::graph::LayerId;

/// How rows were given to partitions, and in which order they stand; by default nothing is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placement {
    /// The columns by whose hash rows were given to partitions, so that rows of equal keys are in one.
    hashed_by: Option<Arc<[PlSmallStr]>>,
    divided: Option<Divided>,
    ranged: Option<Ranged>,
    /// The order of all rows.
    order: Option<Arc<SortSpec>>,
    scanned: Option<Scanned>,
}

/// A column by whose ranges rows go to partitions, which are found when it runs.
#[derive(Clone, Debug)]
pub(crate) struct Ranged {
    /// The order of the partitions; its first column is the one.
    pub(crate) spec: Arc<SortSpec>,
    /// The layer that finds the ranges.
    pub(crate) ways: LayerId,
}

impl Ranged {
    pub(crate) fn by(&self) -> &PlSmallStr {
        &self.spec.by[0]
    }

    /// Whether keys ascend from partition to partition, nulls last.
    pub(crate) fn is_ascending(&self) -> bool {
        !self.spec.descending[0] && self.spec.nulls_last[0]
    }

    /// The same ranges of values of another column.
    pub(crate) fn of_column(&self, by: PlSmallStr) -> Self {
        let [descending, nulls_last] = [self.spec.descending[0], self.spec.nulls_last[0]];
        let spec = Arc::new(SortSpec::new([by], descending, nulls_last));
        Ranged { spec, ways: self.ways }
    }
}

/// A column by whose values rows were given to partitions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Divided {
    pub(crate) by: PlSmallStr,
    pub(crate) divisions: Divisions,
    /// Whether there may be nulls, which are in the last partition.
    pub(crate) may_be_null: bool,
}

impl Divided {
    /// The partitions, one at least, that can have rows which fulfil these conditions.
    pub(crate) fn partitions_for(&self, conditions: &[Condition]) -> Range<usize> {
        let n = self.divisions.n_partitions();
        let mut parts = 0..n;
        for condition in conditions.iter().filter(|condition| condition.column == self.by) {
            let found = self.partitions_of(condition);
            parts = parts.start.max(found.start)..parts.end.min(found.end);
        }
        let first = parts.start.min(n - 1);
        first..parts.end.max(first + 1)
    }

    fn partitions_of(&self, condition: &Condition) -> Range<usize> {
        use Bound::{Excluded, Included, Unbounded};
        let n = self.divisions.n_partitions();
        // NaN is behind all keys, in the last partition.
        let is_nan = |value: &Scalar| value.value().is_nan();
        let Some(value) = condition.values.first().filter(|value| !is_nan(value)) else {
            return 0..n;
        };
        let (low, high) = match condition.comparison {
            Comparison::Lt => (Unbounded, Excluded(value)),
            Comparison::LtEq => (Unbounded, Included(value)),
            Comparison::Gt | Comparison::GtEq => (Included(value), Unbounded),
            Comparison::Eq => (Included(value), Included(value)),
            _ => return 0..n,
        };
        let found = self.divisions.partitions_in(low, high);
        match self.divisions.dtype().is_float() && high == Unbounded {
            true => found.start.min(n - 1)..n,
            false => found,
        }
    }
}

/// Parts of a source, which are asked for their statistics when somebody wants to know.
#[derive(Clone, Debug)]
struct Scanned {
    source: Arc<dyn Source>,
    parts: Arc<[usize]>,
    /// Columns by the names that they have here and in the source.
    names: Vec<(PlSmallStr, PlSmallStr)>,
    /// Whether the rows of each part are in the order in which the source has them.
    keeps_order: bool,
}

impl Placement {
    /// What the statistics of these parts will say.
    pub(super) fn of_source(
        source: &Arc<dyn Source>,
        parts: &[usize],
        columns: &[PlSmallStr],
    ) -> Self {
        let names = columns.iter().map(|name| (name.clone(), name.clone())).collect();
        let scanned =
            Scanned { source: Arc::clone(source), parts: parts.into(), names, keeps_order: true };
        Placement { scanned: Some(scanned), ..Placement::default() }
    }

    /// Rows that were spread by a hash of these columns.
    pub(crate) fn hashed(keys: &[PlSmallStr]) -> Self {
        Placement { hashed_by: Some(keys.into()), ..Placement::default() }
    }

    /// The same rows, each in the partition of its range.
    pub(crate) fn ranged(self, ranged: Ranged) -> Self {
        Placement { ranged: Some(ranged), ..self }
    }

    /// The column by whose ranges these partitions are, and which layer finds them, if one does.
    pub(crate) fn range_column(&self) -> Option<&Ranged> {
        self.ranged.as_ref()
    }

    /// The same rows, each in the partition of its key.
    pub(crate) fn divided(self, divided: Divided) -> Self {
        Placement { divided: Some(divided), ..self }
    }

    /// The same partitions, whose rows are in this order, all of them.
    pub(crate) fn in_order(self, spec: &Arc<SortSpec>) -> Self {
        Placement { order: Some(Arc::clone(spec)), ..self }
    }

    /// As [`in_order`](Self::in_order), where more may be known of the order already.
    pub(crate) fn said_in_order(self, spec: &Arc<SortSpec>) -> Self {
        if self.order.is_some() { self } else { self.in_order(spec) }
    }

    /// The same partitions, each of which was brought into this order, so that all rows are.
    pub(crate) fn sorted(mut self, spec: &Arc<SortSpec>) -> Self {
        if let Some(scanned) = &mut self.scanned {
            scanned.keeps_order = false;
        }
        self.in_order(spec)
    }

    /// Rows that went to other partitions by the keys of a column, nulls to the last one, which keeps their order if it
    /// was that of the column.
    pub(crate) fn order_along(&self, key: &PlSmallStr) -> Self {
        let has_nulls = || self.divided_by(key).is_none_or(|divided| divided.may_be_null);
        let order = self.order.clone().filter(|spec| {
            let is_along = spec.by[0] == *key && !spec.descending[0];
            is_along && (spec.nulls_last[0] || !has_nulls())
        });
        Placement { order, ..Placement::default() }
    }

    /// Rows in the order of these, in other partitions.
    pub(crate) fn order_only(&self) -> Self {
        Placement { order: self.order.clone(), ..Placement::default() }
    }

    /// The same rows with columns under their new names; what says something of columns that are gone is forgotten.
    pub(crate) fn renamed(&self, new_name: impl Fn(&PlSmallStr) -> Option<PlSmallStr>) -> Self {
        let hashed_by = self.hashed_by.as_ref();
        let divided = self
            .divided
            .as_ref()
            .and_then(|divided| Some(Divided { by: new_name(&divided.by)?, ..divided.clone() }));
        let order = self.order.as_ref().and_then(|spec| {
            let by: Vec<PlSmallStr> = spec.by.iter().map_while(&new_name).collect();
            let n = by.len();
            let spec = SortSpec {
                by,
                descending: spec.descending[..n].to_vec(),
                nulls_last: spec.nulls_last[..n].to_vec(),
            };
            (n > 0).then(|| Arc::new(spec))
        });
        let ranged = self.ranged.as_ref();
        let ranged = ranged.and_then(|ranged| Some(ranged.of_column(new_name(ranged.by())?)));
        let scanned = self.scanned.as_ref().map(|scanned| {
            let names = scanned.names.iter();
            let names = names.filter_map(|(here, there)| Some((new_name(here)?, there.clone())));
            Scanned { names: names.collect(), ..scanned.clone() }
        });
        Placement {
            hashed_by: hashed_by.and_then(|keys| keys.iter().map(&new_name).collect()),
            divided,
            ranged,
            order,
            scanned,
        }
    }

    /// What is known of the partitions of a range of these.
    pub(crate) fn of_parts(&self, parts: &Range<usize>) -> Self {
        let divided = self.divided.as_ref().and_then(|divided| {
            let divisions = divided.divisions.of_partitions(parts)?;
            Some(Divided { divisions, ..divided.clone() })
        });
        let scanned = self.scanned.as_ref().map(|scanned| Scanned {
            parts: scanned.parts[parts.clone()].into(),
            ..scanned.clone()
        });
        // Some of the outputs of a hash, or some ranges, are not those of another frame.
        Placement { divided, scanned, order: self.order.clone(), ..Placement::default() }
    }

    /// Whether these partitions are those of a hash of just these columns.
    pub(crate) fn is_hashed_by(&self, keys: &[PlSmallStr]) -> bool {
        self.hashed_by.as_deref() == Some(keys)
    }

    /// Whether rows that are equal in all of these columns are in one partition.
    pub(crate) fn holds_groups_of(&self, keys: &[PlSmallStr]) -> bool {
        let hashed_by = self.hashed_by.as_ref();
        hashed_by.is_some_and(|by| by.iter().all(|key| keys.contains(key)))
            || self.ranged.as_ref().is_some_and(|ranged| keys.contains(ranged.by()))
            || keys.iter().any(|key| self.divided_by(key).is_some())
    }

    /// Between which keys of a column each partition is, if that is known.
    pub(crate) fn divided_by(&self, column: &str) -> Option<Divided> {
        let stored = || self.scanned.as_ref()?.divided_by(column);
        self.divided.clone().filter(|divided| divided.by == column).or_else(stored)
    }

    /// The column by which these partitions are divided, if they were divided by one.
    pub(crate) fn division_column(&self) -> Option<&Divided> {
        self.divided.as_ref()
    }

    /// The divisions by the column that rows were divided by, or else by the one by which they are sorted: what a source
    /// says of its other columns is not asked for.
    pub(crate) fn known_divisions(&self) -> Option<Divided> {
        let of_order = || {
            let spec = self.order.as_ref().filter(|spec| !spec.descending[0])?;
            self.divided_by(&spec.by[0])
        };
        self.divided.clone().or_else(of_order)
    }

    /// Whether all rows are in this order already.
    pub(crate) fn is_in_order(&self, spec: &SortSpec) -> bool {
        let is_known = self.order.as_ref().is_some_and(|order| self.says(order, spec));
        let is_stored = || match spec.by.as_slice() {
            [by] if !spec.descending[0] => {
                let nulls_last = spec.nulls_last[0];
                self.scanned.as_ref().is_some_and(|scanned| scanned.is_sorted_by(by, nulls_last))
            }
            _ => false,
        };
        is_known || is_stored()
    }

    /// Whether rows in `order` are in the order of `spec`.
    fn says(&self, order: &SortSpec, spec: &SortSpec) -> bool {
        let n = spec.by.len();
        let starts_alike = n <= order.by.len()
            && spec.by[..] == order.by[..n]
            && spec.descending[..] == order.descending[..n];
        let may_be_null =
            |by: &PlSmallStr| self.divided_by(by).is_none_or(|divided| divided.may_be_null);
        starts_alike
            && (0..n)
                .all(|i| spec.nulls_last[i] == order.nulls_last[i] || !may_be_null(&spec.by[i]))
    }
}

impl Scanned {
    /// The divisions that the bounds of all parts are, if each is behind the one before.
    fn divided_by(&self, column: &str) -> Option<Divided> {
        let (by, stored) = self.names.iter().find(|(name, _)| name == column)?;
        let dtype = self.source.schema().get(stored)?;
        if !has_plain_order(dtype) {
            return None;
        }
        let mut bounds = Vec::with_capacity(self.parts.len());
        let mut may_be_null = false;
        for part in self.parts.iter() {
            // Nulls are in the last partition only.
            if may_be_null {
                return None;
            }
            if self.source.n_rows(*part) == Some(0) {
                bounds.push(None);
                continue;
            }
            let stats = self.source.stats(*part, stored)?;
            may_be_null = stats.n_nulls != Some(0);
            let (min, max) = (Key::new(stats.min.into_value()), Key::new(stats.max.into_value()));
            bounds.push(Some((min?, max?)));
        }
        let divisions = self.around(&bounds, dtype)?;
        Some(Divided { by: by.clone(), divisions, may_be_null })
    }

    /// Divisions around these partitions, those without rows next to the following one.
    fn around(&self, bounds: &[Option<(Key, Key)>], dtype: &DataType) -> Option<Divisions> {
        let sorted = quantiles::presorted(bounds, false)?;
        let (mut next, last) = (sorted.partitions.len(), sorted.divisions.last()?);
        let mut keys = vec![last.clone()];
        // Behind the last key there is no place for a partition.
        bounds.last()?.as_ref()?;
        for bounds in bounds.iter().rev() {
            next -= usize::from(bounds.is_some());
            keys.push(sorted.divisions[next].clone());
        }
        keys.reverse();
        Divisions::from_keys(dtype.clone(), keys)
    }

    /// Whether the rows of all parts are in the order of a column, nulls last or none.
    fn is_sorted_by(&self, column: &str, nulls_last: bool) -> bool {
        let Some((_, stored)) = self.names.iter().find(|(name, _)| name == column) else {
            return false;
        };
        self.keeps_order
            && self.parts.iter().all(|part| self.source.is_sorted(*part, stored))
            && self.divided_by(column).is_some_and(|divided| nulls_last || !divided.may_be_null)
    }
}

/// Whether bounds of such values are in the order of a sort.
fn has_plain_order(dtype: &DataType) -> bool {
    dtype.is_integer()
        || dtype.is_float()
        || dtype.is_temporal()
        || dtype.is_bool()
        || matches!(dtype, DataType::String | DataType::Binary)
}
