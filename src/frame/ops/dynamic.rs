//! Groups of rows by windows of time.
//!
//! A row is in one window for each start that is not too long before it: in one, if windows follow each other, and in
//! several if they overlap. It is taken once for each of them, and then groups are groups like all others.

use std::sync::Arc;

use polars_core::prelude::{PlSmallStr, Schema};

use super::clean::free_name;
use super::{groups, rows, sorts};
use crate::error::{Call, Error, Result};
use crate::frame::expr::{
    ClosedInterval, Expr, check_column, col, expand, lit, span, when, window_reach,
};
use crate::frame::kernels::sort::SortSpec;
use crate::frame::op::{FrameOp, Handle, Node};

/// Which time of a window stands in its row, see [`GroupByDynamic::label`](crate::frame::GroupByDynamic::label).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowLabel {
    /// Its start.
    #[default]
    Left,
    /// Its end.
    Right,
    /// The time of the first of its rows.
    DataPoint,
}

/// Windows of time: where they start, how long they are, and what is told of them.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    pub(crate) time: PlSmallStr,
    pub(crate) every: PlSmallStr,
    /// As long as from one to the next, unless it is given.
    pub(crate) period: Option<PlSmallStr>,
    pub(crate) offset: Option<PlSmallStr>,
    pub(crate) closed: ClosedInterval,
    pub(crate) label: WindowLabel,
    pub(crate) include_boundaries: bool,
}

/// Rows of windows, each of which starts at `start`, where `condition` holds.
struct Member {
    start: Expr,
    condition: Option<Expr>,
}

/// A row of one of more windows is a mistake.
const OVERLAP_MAX: i64 = 1000;

/// One row for each window that has rows, and each of `keys` in it.
pub(crate) fn aggregate(
    call: Call,
    handle: &Handle,
    windows: &Windows,
    keys: Vec<Expr>,
    aggs: Vec<Expr>,
) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        check_column(&windows.time, schema, call)?;
        let is_time =
            schema.get(&windows.time).is_some_and(|dtype| dtype.is_date() || dtype.is_datetime());
        if !is_time {
            return Err(Error::DTypeMismatch {
                call,
                got: schema.get(&windows.time).map(ToString::to_string).unwrap_or_default(),
                expected: "dates or times".into(),
            });
        }
        let start = free_name("start", node);
        let members = windows.members(call)?;
        let of_windows: Vec<Arc<Node>> = members
            .into_iter()
            .map(|member| windows.rows_of(call, node, &start, member))
            .collect::<Result<_>>()?;
        let of_windows = match of_windows.as_slice() {
            [one] => Arc::clone(one),
            many => Node::of(FrameOp::Concat, &many.iter().collect::<Vec<_>>())?,
        };
        windows.grouped(call, &of_windows, &start, keys, aggs, schema)
    })
}

impl Windows {
    /// For each window that a row can be in, its start and when the row is in it.
    fn members(&self, call: Call) -> Result<Vec<Member>> {
        let time = || col(self.time.clone());
        let backwards = self.offset.as_deref().map(negated);
        let moved = backwards.map_or_else(time, |by| time().dt().offset_by(by));
        // Back from the multiple: what an offset makes of it need not be a length behind the window before.
        let mut multiple = moved.dt().truncate(self.every.as_str());
        let before = |multiple: &Expr| multiple.dt().offset_by(negated(&self.every));
        match (self.closed, &self.period) {
            (ClosedInterval::Left, None) => {
                return Ok(vec![Member { start: self.start(&multiple), condition: None }]);
            }
            (ClosedInterval::Right, None) => {
                let start = self.start(&multiple);
                let earlier = self.start(&before(&multiple));
                let start = when(time().eq(&start)).then(earlier).otherwise(start);
                return Ok(vec![Member { start, condition: None }]);
            }
            _ => {}
        }
        let mut members = Vec::new();
        for i in 0..=self.n_before(call)? {
            let start = self.start(&multiple);
            let condition = self.holds(&time(), &start, i == 0);
            members.push(Member { start, condition: Some(condition) });
            multiple = before(&multiple);
        }
        Ok(members)
    }

    /// Whether a row at `time` is in the window of this start, which is the last one up to then if `is_last`.
    fn holds(&self, time: &Expr, start: &Expr, is_last: bool) -> Expr {
        use ClosedInterval as C;
        let end = self.end(start);
        let is_before_end = match self.closed {
            C::Left | C::None => time.clone().lt(end),
            C::Right | C::Both => time.clone().lt_eq(end),
        };
        match self.closed {
            C::Right | C::None if is_last => time.clone().gt(start).and(is_before_end),
            _ => is_before_end,
        }
    }

    /// Where the window of a multiple of its length starts.
    fn start(&self, multiple: &Expr) -> Expr {
        match &self.offset {
            Some(offset) => multiple.dt().offset_by(offset.as_str()),
            None => multiple.clone(),
        }
    }

    fn end(&self, start: &Expr) -> Expr {
        start.dt().offset_by(self.period.as_ref().unwrap_or(&self.every).as_str())
    }

    /// How many windows that start before the last one can have a row.
    fn n_before(&self, call: Call) -> Result<i64> {
        let refused = |got: &str| Error::InvalidArgument {
            call,
            argument: "period",
            got: got.into(),
            expected: "a positive duration such as 1d or 15m, no more than 1000 times as long as `every`",
        };
        let Some(period) = &self.period else {
            return Ok(i64::from(self.closed == ClosedInterval::Both));
        };
        let (Some(every), Some(length)) = (span(&self.every), window_reach(period)) else {
            return Err(refused(period));
        };
        if every <= 0 || length <= 0 || length / every > OVERLAP_MAX {
            return Err(refused(period));
        }
        Ok(length / every + 1)
    }

    /// The rows of a window with its start in a column behind the others.
    fn rows_of(
        &self,
        call: Call,
        node: &Arc<Node>,
        start: &PlSmallStr,
        member: Member,
    ) -> Result<Arc<Node>> {
        let names = node.meta.schema.iter_names().map(|name| col(name.clone()));
        let node = match member.condition {
            Some(condition) => rows::filter_node(call, node, condition)?,
            None => Arc::clone(node),
        };
        let exprs = names.chain([member.start.alias(start.clone())]).collect();
        rows::select_node(call, &node, exprs)
    }

    /// The groups, in the order of their windows, with the times that are wanted of these.
    fn grouped(
        &self,
        call: Call,
        node: &Arc<Node>,
        start: &PlSmallStr,
        keys: Vec<Expr>,
        aggs: Vec<Expr>,
        schema: &Schema,
    ) -> Result<Arc<Node>> {
        let mut keys = expand(keys, schema, call)?;
        let is_key = |name: &PlSmallStr| keys.iter().any(|key| key.output_name() == *name);
        let others = schema.iter().filter(|(name, _)| !is_key(name) && **name != self.time);
        let others = others.map(|(name, dtype)| (name.clone(), dtype.clone())).collect();
        let mut aggs = expand(aggs, &others, call)?;
        let told: Vec<PlSmallStr> = keys.iter().chain(&aggs).map(Expr::output_name).collect();
        keys.insert(0, col(start.clone()));
        let first = free_name("first", node);
        if self.label == WindowLabel::DataPoint {
            aggs.push(col(self.time.clone()).first().alias(first.clone()));
        }
        let handle = Handle::from_result(Ok(Arc::clone(node)));
        let grouped = groups::aggregate(call, &handle, &keys, aggs);
        let sorted =
            sorts::sort(call, &grouped, SortSpec::new([start.clone()], false, false), None);
        let start = col(start.clone());
        let label = match self.label {
            WindowLabel::Left => start.clone(),
            WindowLabel::Right => self.end(&start),
            WindowLabel::DataPoint => col(first),
        };
        let mut columns = vec![];
        if self.include_boundaries {
            columns.push(start.alias("_lower_boundary"));
            columns.push(self.end(&start).alias("_upper_boundary"));
        }
        columns.push(label.alias(self.time.clone()));
        columns.extend(told.into_iter().map(col));
        rows::select_node(call, sorted.node()?, columns)
    }
}

/// A duration as one into the past, and the other way round.
fn negated(duration: &str) -> Expr {
    match duration.strip_prefix('-') {
        Some(positive) => lit(positive),
        None => lit(format!("-{duration}")),
    }
}
