//! Operations of frames as plans print them.

use std::fmt;

use polars_core::prelude::Schema;

use super::expr::Expr;
use super::kernels::join::JoinSpec;
use super::kernels::sort::Limit;
use super::op::{FrameMeta, FrameOp, PerGroup, Ranges, Repartition, Scan};
use crate::bytes::format_bytes;

impl fmt::Display for FrameOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameOp::Scan(scan) => show_scan(scan, f),
            FrameOp::Select(select) => write!(f, "select [{}]", named(&select.exprs)),
            FrameOp::Filter(predicate) => write!(f, "filter {predicate}"),
            FrameOp::Slice { offset: 0, len } => write!(f, "head {len}"),
            FrameOp::Slice { offset, len } => write!(f, "slice {offset}, {len}"),
            FrameOp::Concat => f.write_str("concat"),
            FrameOp::ConcatHorizontal => f.write_str("concat side by side"),
            FrameOp::Bridge(bridged) => f.write_str(&bridged.bridge.name),
            FrameOp::Given(given) => write!(f, "cached {} partitions", given.layout.n_parts),
            FrameOp::MapPartitions(map) => f.write_str(&map.name),
            FrameOp::Tail(n) => write!(f, "tail {n}"),
            FrameOp::MapOverlap(overlap) => f.write_str(&overlap.map.name),
            FrameOp::JoinAsof(join) => {
                write!(f, "as-of join on {} = {}", join.spec.left_on, join.spec.right_on)
            }
            FrameOp::Attach => f.write_str("attach one row to all"),
            FrameOp::Ordered(added) => write!(f, "in order [{}]", named(&added.exprs)),
            FrameOp::PerGroup(PerGroup { keys, added }) => {
                write!(f, "over [{}] [{}]", named(keys), named(&added.exprs))
            }
            FrameOp::Repartition(Repartition::Count(n)) => write!(f, "repartition to {n}"),
            FrameOp::Repartition(Repartition::Bytes(bytes)) => {
                write!(f, "repartition by {}", format_bytes(*bytes))
            }
            FrameOp::Repartition(Repartition::Divisions { by, divisions, .. }) => {
                write!(f, "repartition by {by} into {divisions}")
            }
            FrameOp::Repartition(Repartition::Every { by, every, .. }) => {
                write!(f, "repartition by {by} every {every}")
            }
            FrameOp::Repartition(Repartition::Keys(keys)) => {
                write!(f, "repartition by {}", keys.join(", "))
            }
            FrameOp::Join(join) => show_join(&join.spec, f),
            FrameOp::Sort(sort) => {
                write!(f, "sort by {}", sort.spec.by.join(", "))?;
                match &sort.ranges {
                    Ranges::Sampled => {}
                    Ranges::Given { divisions, .. } => write!(f, " into {divisions}")?,
                    Ranges::Kept { .. } => f.write_str(", which they are")?,
                }
                match sort.limit {
                    Some(Limit::First(n)) => write!(f, ", first {n}"),
                    Some(Limit::Last(n)) => write!(f, ", last {n}"),
                    None => Ok(()),
                }
            }
            FrameOp::Aggregate(aggregation) => match aggregation.keys() {
                [] => write!(f, "aggregate [{}]", named(&aggregation.aggs)),
                keys => write!(f, "group by [{}] [{}]", named(keys), named(&aggregation.aggs)),
            },
        }
    }
}

fn show_scan(scan: &Scan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "scan {}", scan.source.name())?;
    if scan.columns.len() < scan.source.schema().len() {
        write!(f, " columns [{}]", scan.columns.join(", "))?;
    }
    for (i, condition) in scan.conditions.iter().enumerate() {
        write!(f, "{} {condition}", if i == 0 { " where" } else { " and" })?;
    }
    match scan.n_rows_max {
        Some(n) => write!(f, " rows {n}"),
        None => Ok(()),
    }
}

fn show_join(spec: &JoinSpec, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let how = format!("{:?}", spec.how).to_lowercase();
    let pairs = spec.left_on.iter().zip(&spec.right_on);
    let keys: Vec<String> =
        pairs.map(|(l, r)| if l == r { l.to_string() } else { format!("{l} = {r}") }).collect();
    write!(f, "{how} join on [{}]", keys.join(", "))
}

/// Expressions with the names of their results where these are not the names of their columns.
pub(crate) fn named(exprs: &[Expr]) -> String {
    let texts: Vec<String> = exprs.iter().map(Expr::to_string).collect();
    texts.join(", ")
}

/// Names and dtypes, for plans and messages.
pub(crate) fn schema_text(schema: &Schema) -> String {
    let columns: Vec<_> = schema.iter().map(|(name, dtype)| format!("{name} {dtype}")).collect();
    columns.join(", ")
}

impl fmt::Display for FrameMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.schema.iter_names().take(8).map(|name| name.as_str()).collect();
        let dots = if self.schema.len() > names.len() { ", …" } else { "" };
        write!(f, "{} columns: {}{dots}", self.schema.len(), names.join(", "))
    }
}
