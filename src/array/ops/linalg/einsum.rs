//! Sums of products whose axes have letters.

use std::sync::Arc;

use super::super::elementwise::cast;
use super::super::manipulation::{drop_axes, permute};
use super::super::points::vindex;
use super::super::reductions::{over, reduce};
use super::of_both;
use super::products::{partial_products, sum_partials};
use crate::array::args::{AxisRef, Shape};
use crate::array::chunks::limit::check_listed;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::contract::Contraction;
use crate::array::kernels::{BinaryOp, ReduceKind};
use crate::error::{Call, Error, Result};

/// The letter of an axis; those that an ellipsis stands for have numbers, counted from the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Rest(usize),
    Letter(char),
}

/// An array whose axes have labels.
#[derive(Clone)]
struct Operand {
    node: Arc<Node>,
    labels: Vec<Label>,
}

/// Einstein's convention: labels that are not in the result are summed over.
pub(crate) fn einsum(call: Call, subscripts: &str, arrays: &[&Handle]) -> Handle {
    Handle::join(arrays, |nodes| {
        let (operands, out) = parsed(call, subscripts, nodes)?;
        let mut left: Vec<Operand> = Vec::with_capacity(operands.len());
        for operand in operands {
            left.push(operand.on_diagonals(call)?);
        }
        let left = without_repeated(call, left)?;
        let mut left = left;
        while left.len() > 1 {
            let (i, j) = cheapest(&left, &out);
            let second = left.remove(j);
            let first = left.remove(i);
            let needed = |label: &Label| {
                out.contains(label) || left.iter().any(|other| other.labels.contains(label))
            };
            let needed: Vec<Label> =
                first.labels.iter().chain(&second.labels).copied().filter(needed).collect();
            left.push(product(call, &first, &second, &needed)?);
        }
        let last = left.pop().expect("there is at least one array");
        last.summed(call, &out)?.ordered(&out)
    })
}

fn wrong(call: Call, subscripts: &str, expected: &'static str) -> Error {
    Error::InvalidArgument {
        call,
        argument: "subscripts",
        got: format!("{subscripts:?}"),
        expected,
    }
}

/// The arrays with labels, and the labels of the result.
fn parsed(
    call: Call,
    subscripts: &str,
    nodes: &[&Arc<Node>],
) -> Result<(Vec<Operand>, Vec<Label>)> {
    let wrong = |expected| wrong(call, subscripts, expected);
    let text: String = subscripts.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = match text.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output)),
        None => (text.as_str(), None),
    };
    let terms: Vec<&str> = inputs.split(',').collect();
    if terms.len() != nodes.len() || nodes.is_empty() {
        return Err(wrong("a term for each array, with commas between them"));
    }
    let mut operands = Vec::with_capacity(nodes.len());
    let mut n_rest = 0;
    for (term, node) in terms.iter().zip(nodes) {
        let letters = term.chars().filter(char::is_ascii_alphabetic).count();
        let rest = node.ndim().checked_sub(letters);
        let labels = rest.and_then(|rest| labels(term, rest));
        let labels = labels.ok_or_else(|| wrong("a letter, or an ellipsis, for each axis"))?;
        if labels.len() != node.ndim() {
            return Err(wrong("a letter for each axis, or an ellipsis"));
        }
        let of_rest = labels.iter().filter(|label| matches!(label, Label::Rest(_))).count();
        n_rest = n_rest.max(of_rest);
        operands.push(Operand { node: Arc::clone(node), labels });
    }
    let all: Vec<Label> = operands.iter().flat_map(|operand| operand.labels.clone()).collect();
    let out = match output {
        Some(output) => labels(output, n_rest)
            .ok_or_else(|| wrong("letters and an ellipsis after the arrow"))?,
        // What occurs once, in the order of the alphabet, after what ellipses stand for.
        None => {
            let is_once = |label: &&Label| all.iter().filter(|other| other == label).count() == 1;
            let mut letters: Vec<Label> = all.iter().filter(is_once).copied().collect();
            letters.retain(|label| matches!(label, Label::Letter(_)));
            letters.sort();
            (0..n_rest).rev().map(Label::Rest).chain(letters).collect()
        }
    };
    let is_known = |label: &Label| all.contains(label);
    let is_twice = (1..out.len()).any(|i| out[..i].contains(&out[i]));
    if is_twice || !out.iter().all(is_known) {
        return Err(wrong("letters of the arrays after the arrow, each once"));
    }
    Ok((operands, out))
}

/// The labels of a term, in which an ellipsis stands for `n_rest` axes.
fn labels(term: &str, n_rest: usize) -> Option<Vec<Label>> {
    let mut labels = Vec::new();
    let mut rest = term;
    let mut is_there = false;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("...") {
            if is_there {
                return None;
            }
            is_there = true;
            labels.extend((0..n_rest).rev().map(Label::Rest));
            rest = after;
        } else if c.is_ascii_alphabetic() {
            labels.push(Label::Letter(c));
            rest = &rest[1..];
        } else {
            return None;
        }
    }
    Some(labels)
}

/// Axes of length 1 whose label is longer elsewhere are repeated, and need not be there.
fn without_repeated(call: Call, operands: Vec<Operand>) -> Result<Vec<Operand>> {
    let mut lens: Vec<(Label, u64)> = Vec::new();
    for operand in &operands {
        for (axis, label) in operand.labels.iter().enumerate() {
            let len = operand.node.axis_len(call, axis)?;
            match lens.iter_mut().find(|(other, _)| other == label) {
                None => lens.push((*label, len)),
                Some((_, known)) if *known == 1 => *known = len,
                Some((_, known)) if *known == len || len == 1 => {}
                Some((_, known)) => {
                    return Err(Error::ShapeMismatch {
                        call,
                        left: vec![*known],
                        right: vec![len],
                        remedy: "axes with the same letter need the same length",
                    });
                }
            }
        }
    }
    let shortened = |operand: Operand| {
        let is_repeated = |axis: &usize| {
            let len = operand.node.meta.chunks.axes()[*axis].len();
            len == Some(1) && lens.iter().any(|(l, n)| *l == operand.labels[*axis] && *n != 1)
        };
        let gone: Vec<usize> = (0..operand.labels.len()).filter(is_repeated).collect();
        let kept = (0..operand.labels.len()).filter(|axis| !gone.contains(axis));
        let labels = kept.map(|axis| operand.labels[axis]).collect();
        Ok(Operand { node: drop_axes(&operand.node, &gone)?, labels })
    };
    operands.into_iter().map(shortened).collect()
}

impl Operand {
    /// Axes that have the same letter become one, with the elements at which their indices are equal.
    fn on_diagonals(mut self, call: Call) -> Result<Operand> {
        loop {
            let twice = (0..self.labels.len()).find_map(|b| {
                self.labels[..b].iter().position(|label| *label == self.labels[b]).map(|a| (a, b))
            });
            let Some((a, b)) = twice else { return Ok(self) };
            let [n, m] = [self.node.axis_len(call, a)?, self.node.axis_len(call, b)?];
            if n != m {
                return Err(Error::ShapeMismatch {
                    call,
                    left: vec![n],
                    right: vec![m],
                    remedy: "axes with the same letter need the same length",
                });
            }
            check_listed(call.op, Some(call), n)?;
            let all = || Shape::from((0..n).collect::<Vec<_>>());
            let lists = [(AxisRef::from(a), all()), (AxisRef::from(b), all())];
            let picked = vindex(call, &Handle::from_result(Ok(Arc::clone(&self.node))), &lists);
            let label = self.labels[a];
            self.labels.remove(b);
            self.labels.remove(a);
            self.labels.insert(0, label);
            self.node = Arc::clone(picked.node()?);
        }
    }

    /// Without the axes whose labels nobody needs.
    fn summed(self, call: Call, needed: &[Label]) -> Result<Operand> {
        let is_summed = |axis: &usize| !needed.contains(&self.labels[*axis]);
        let axes: Vec<usize> = (0..self.labels.len()).filter(is_summed).collect();
        if axes.is_empty() {
            return Ok(self);
        }
        let dtype = self.node.meta.dtype;
        let handle = Handle::from_result(Ok(Arc::clone(&self.node)));
        let sum = reduce(call, &handle, ReduceKind::Sum, false, &over(axes));
        // A sum of small integers widens, a product of matrices does not.
        let sum = cast(call, &sum, dtype);
        let labels = self.labels.iter().copied().filter(|label| needed.contains(label)).collect();
        Ok(Operand { node: Arc::clone(sum.node()?), labels })
    }

    /// With its axes in the order of `labels`, and new ones of length 1 for those that it does not have.
    fn ordered(&self, labels: &[Label]) -> Result<Arc<Node>> {
        let place = |label: &Label| self.labels.iter().position(|own| own == label);
        permute(&self.node, labels.iter().map(place).collect())
    }

    fn len_of(&self, label: Label) -> Option<f64> {
        let axis = self.labels.iter().position(|own| *own == label)?;
        Some(self.node.meta.chunks.axes()[axis].len().unwrap_or(1) as f64)
    }
}

/// The two arrays whose product is the smallest beside them.
fn cheapest(operands: &[Operand], out: &[Label]) -> (usize, usize) {
    let size = |labels: &[Label], of: &[&Operand]| -> f64 {
        let len = |label: &Label| of.iter().find_map(|operand| operand.len_of(*label));
        labels.iter().filter_map(len).product()
    };
    let mut best = (0, 1, f64::INFINITY);
    for i in 0..operands.len() {
        for j in i + 1..operands.len() {
            let (a, b) = (&operands[i], &operands[j]);
            let is_needed = |label: &Label| {
                let mut others = (0..operands.len()).filter(|other| *other != i && *other != j);
                out.contains(label) || others.any(|other| operands[other].labels.contains(label))
            };
            let mut kept: Vec<Label> =
                a.labels.iter().chain(&b.labels).copied().filter(is_needed).collect();
            kept.sort();
            kept.dedup();
            let grown = size(&kept, &[a, b]) - size(&a.labels, &[a]) - size(&b.labels, &[b]);
            if grown < best.2 {
                best = (i, j, grown);
            }
        }
    }
    (best.0, best.1)
}

/// The product of two arrays, summed over what only they have and nobody needs.
fn product(call: Call, a: &Operand, b: &Operand, needed: &[Label]) -> Result<Operand> {
    // What only one of them has is summed before.
    let own = |a: &Operand, b: &Operand| {
        let labels = a.labels.iter().copied();
        labels.filter(|label| needed.contains(label) || b.labels.contains(label)).collect()
    };
    let (of_a, of_b): (Vec<Label>, Vec<Label>) = (own(a, b), own(b, a));
    let (a, b) = (a.clone().summed(call, &of_a)?, b.clone().summed(call, &of_b)?);
    let place = |labels: &[Label], label: &Label| labels.iter().position(|own| own == label);
    let mut contraction = Contraction { batch: Vec::new(), summed: Vec::new() };
    let (mut batch, mut free) = (Vec::new(), [Vec::new(), Vec::new()]);
    for (axis, label) in a.labels.iter().enumerate() {
        match place(&b.labels, label) {
            Some(other) if needed.contains(label) => {
                contraction.batch.push((axis, other));
                batch.push(*label);
            }
            Some(other) => contraction.summed.push((axis, other)),
            None => free[0].push(*label),
        }
    }
    free[1].extend(b.labels.iter().filter(|label| !a.labels.contains(label)));
    let is_matrix = free.iter().any(|labels| !labels.is_empty());
    let out: Vec<Label> = [batch, free.concat()].concat();
    if !contraction.summed.is_empty() && is_matrix {
        let n_pairs = contraction.summed.len();
        let products = partial_products(call, &a.node, &b.node, contraction);
        let sum = sum_partials(call, &Handle::from_result(products), n_pairs);
        return Ok(Operand { node: Arc::clone(sum.node()?), labels: out });
    }
    // Elementwise, and summed in the same pass.
    let summed = contraction.summed.iter().map(|&(axis, _)| a.labels[axis]);
    let all: Vec<Label> = out.iter().copied().chain(summed).collect();
    let handle = |operand: &Operand| Handle::from_result(operand.ordered(&all));
    let products = of_both(call, BinaryOp::Mul, &handle(&a), &handle(&b));
    Operand { node: Arc::clone(products.node()?), labels: all }.summed(call, &out)
}
