//! Expressions that look at other rows, taken apart into operations that plans know.
//!
//! `(col("x") - col("x").mean()).cum_sum()` is three steps: the mean becomes a column that is the same on all rows, the
//! running sum of the difference becomes another, and what is left is an expression of single rows. Each step adds
//! columns to the frame under names of its own, from the innermost outwards.

use std::sync::Arc;

use polars_core::prelude::PlSmallStr;

use crate::error::{Call, Result};
use crate::frame::expr::{
    Context, Expr, ExprKind, Shape, col, context, infer_schema, with_small_context,
};
use crate::frame::op::{Added, Aggregation, FrameOp, Node, PerGroup};

/// A frame with the columns that `exprs` need of other rows, and `exprs` as expressions of its single rows.
pub(super) fn flatten(
    call: Call,
    node: &Arc<Node>,
    exprs: &[Expr],
) -> Result<(Arc<Node>, Vec<Expr>)> {
    // Mistakes are found here, where expressions are still those of the user.
    infer_schema(exprs, &node.meta.schema, call)?;
    let mut steps = Steps { call, node: Arc::clone(node), n: 0 };
    let flat = steps.add_all(exprs, innermost)?;
    Ok((steps.node, flat))
}

/// As [`flatten`], for expressions made of aggregates, which stay: what they are of becomes expressions of single rows.
pub(super) fn flatten_aggregates(
    call: Call,
    node: &Arc<Node>,
    aggs: &[Expr],
) -> Result<(Arc<Node>, Vec<Expr>)> {
    let mut found = Vec::new();
    aggs.iter().for_each(|agg| inside_aggregates(agg, &mut found));
    if found.is_empty() {
        return Ok((Arc::clone(node), aggs.to_vec()));
    }
    infer_schema(aggs, &node.meta.schema, call)?;
    let mut steps = Steps { call, node: Arc::clone(node), n: 0 };
    let flat = steps.add_all(aggs, inside_aggregates)?;
    Ok((steps.node, flat))
}

/// A frame that grows columns.
struct Steps {
    call: Call,
    node: Arc<Node>,
    n: usize,
}

/// By which operation an expression is computed.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Aggregate,
    Ordered,
    PerGroup(Vec<Expr>),
}

impl Steps {
    /// Computes what `find` finds, until it finds nothing; returns expressions of the results, under the same names.
    fn add_all(&mut self, exprs: &[Expr], find: fn(&Expr, &mut Vec<Expr>)) -> Result<Vec<Expr>> {
        let mut flat: Vec<Expr> = exprs.iter().map(simplify).collect();
        loop {
            let mut found = Vec::new();
            flat.iter().for_each(|expr| find(expr, &mut found));
            if found.is_empty() {
                break;
            }
            flat = self.add_found(&flat, found)?;
        }
        let named = flat.into_iter().zip(exprs).map(|(flat, expr)| {
            let name = expr.output_name();
            if flat.output_name() == name { flat } else { flat.alias(name) }
        });
        Ok(named.collect())
    }

    /// Adds the columns `found`; returns `exprs` with these columns in their places.
    fn add_found(&mut self, exprs: &[Expr], found: Vec<Expr>) -> Result<Vec<Expr>> {
        let named: Vec<(Expr, PlSmallStr)> =
            found.into_iter().map(|expr| (expr, self.new_name())).collect();
        let mut kinds: Vec<Kind> = Vec::new();
        for (expr, _) in &named {
            let kind = kind(expr);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let input = Arc::clone(&self.node);
        for of_kind in kinds {
            let of_kind_only = named.iter().filter(|(expr, _)| kind(expr) == of_kind);
            let aliased = of_kind_only.map(|(expr, name)| expr.alias(name.clone())).collect();
            self.add(&input, of_kind, aliased)?;
        }
        Ok(exprs.iter().map(|expr| replaced(expr, &named)).collect())
    }

    /// Adds columns of one kind, which look at columns of `input`.
    fn add(&mut self, input: &Arc<Node>, kind: Kind, exprs: Vec<Expr>) -> Result<()> {
        let (call, schema) = (self.call, &input.meta.schema);
        self.node = match kind {
            Kind::Aggregate => {
                let aggregation = Aggregation::new(&[], exprs, schema, call)?;
                let row = Node::of(FrameOp::Aggregate(aggregation), &[input])?;
                Node::of(FrameOp::Attach, &[&self.node, &row])?
            }
            Kind::Ordered => {
                let added = Added::new(exprs, schema, call)?;
                Node::of(FrameOp::Ordered(added), &[&self.node])?
            }
            Kind::PerGroup(keys) => {
                let added = Added::new(exprs, schema, call)?;
                let per_group = PerGroup { keys: keys.into(), added };
                Node::of(FrameOp::PerGroup(per_group), &[&self.node])?
            }
        };
        Ok(())
    }

    fn new_name(&mut self) -> PlSmallStr {
        loop {
            let name = format!("__{}", self.n);
            self.n += 1;
            if !self.node.meta.schema.contains(&name) {
                return name.into();
            }
        }
    }
}

fn simplify(expr: &Expr) -> Expr {
    match expr.kind() {
        // What is computed of groups is computed where all rows of a group are.
        ExprKind::Over { .. } => expr.clone(),
        _ => with_small_context(&expr.map_inputs(simplify)),
    }
}

/// The parts of `expr` that need other rows of columns that do not.
fn innermost(expr: &Expr, found: &mut Vec<Expr>) {
    if !expr.crosses_rows() {
        return;
    }
    let crossing = match expr.kind() {
        ExprKind::Over { keys, order, .. } => {
            let order = order.iter().map(|order| &order.by);
            keys.iter().chain(order).filter(|key| key.crosses_rows()).collect()
        }
        _ if expr.is_rowwise_step() => expr.inputs(),
        _ if is_whole(expr) => vec![],
        _ => expr.inputs().into_iter().filter(|input| input.crosses_rows()).collect(),
    };
    if crossing.is_empty() {
        if !found.contains(expr) {
            found.push(expr.clone());
        }
        return;
    }
    crossing.into_iter().for_each(|input| innermost(input, found));
}

/// The parts that an aggregate is of which need other rows.
fn inside_aggregates(expr: &Expr, found: &mut Vec<Expr>) {
    match expr.kind() {
        ExprKind::Aggregate { input, .. } => innermost(input, found),
        _ => expr.inputs().into_iter().for_each(|input| inside_aggregates(input, found)),
    }
}

/// Whether a function has to be computed with its inputs, because these are not a value for each row.
fn is_whole(expr: &Expr) -> bool {
    match expr.inputs().split_first() {
        Some((first, options)) => {
            first.shape() == Shape::Scalar || options.iter().any(|option| option.crosses_rows())
        }
        None => false,
    }
}

fn kind(expr: &Expr) -> Kind {
    match expr.kind() {
        ExprKind::Over { keys, .. } => Kind::PerGroup(keys.clone()),
        _ if is_whole(expr) => Kind::PerGroup(vec![]),
        ExprKind::Aggregate { .. } | ExprKind::Len => Kind::Aggregate,
        _ if context(expr) == Context::All => Kind::PerGroup(vec![]),
        _ => Kind::Ordered,
    }
}

/// `expr` with the columns that have been computed.
fn replaced(expr: &Expr, named: &[(Expr, PlSmallStr)]) -> Expr {
    if let Some((_, name)) = named.iter().find(|(known, _)| known == expr) {
        return col(name.clone());
    }
    match expr.kind() {
        // Within groups everything is computed anew; only the keys and the order are columns by now.
        ExprKind::Over { input, .. } => {
            expr.map_inputs(|part| if part == input { part.clone() } else { replaced(part, named) })
        }
        _ => expr.map_inputs(|input| replaced(input, named)),
    }
}
