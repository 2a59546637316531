//! Rewrite rules and the driver that applies them to a fixed point.
//!
//! A rule is a name and a local rewrite. The driver owns everything else: it visits nodes from the
//! results towards the sources, revisits what a rewrite touched, and checks that no rule changes the
//! meta of the node that it replaces. After DataFusion's optimizer driver and its invariants.

use super::plan::{NodeId, Operation, Plan};
use crate::error::{Error, Result};

/// A local rewrite of a plan.
pub(crate) trait Rule<O: Operation>: Sync {
    /// What traces and errors call it.
    fn name(&self) -> &'static str;

    /// Adds what is to stand in the place of `id` and returns it, or `None` to leave it.
    ///
    /// The replacement must have the meta of `id`. A rule that would make shared work run twice
    /// declines.
    fn apply(&self, plan: &mut Plan<O>, id: NodeId) -> Result<Option<NodeId>>;
}

/// How often each rule fired, in the order of the rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Trace(pub(crate) Vec<(&'static str, usize)>);

impl Trace {
    pub(crate) fn count(&mut self, rule: &'static str) {
        match self.0.iter_mut().find(|(name, _)| *name == rule) {
            Some((_, n)) => *n += 1,
            None => self.0.push((rule, 1)),
        }
    }
}

/// Applies `rules` until none of them changes anything.
pub(crate) fn rewrite<O: Operation>(
    plan: &mut Plan<O>,
    rules: &[&dyn Rule<O>],
    trace: &mut Trace,
) -> Result<()> {
    let mut worklist = plan.topological();
    // Rules shrink or sink; this many steps mean that two of them undo each other.
    let mut steps_left = 64 * worklist.len() + 1024;
    while let Some(id) = worklist.pop() {
        if !plan.is_live(id) {
            continue;
        }
        let Some((rule, new)) = first_match(plan, rules, id)? else { continue };
        trace.count(rule);
        steps_left -= 1;
        if steps_left == 0 {
            return Err(Error::Internal {
                place: format!("rule {rule}"),
                problem: "rewriting does not come to an end".into(),
            });
        }
        let touched = plan.replace(id, new);
        worklist.extend(touched);
        push_with_inputs(plan, new, &mut worklist);
    }
    Ok(())
}

/// The first rule that rewrites `id`, and what it puts there.
fn first_match<O: Operation>(
    plan: &mut Plan<O>,
    rules: &[&dyn Rule<O>],
    id: NodeId,
) -> Result<Option<(&'static str, NodeId)>> {
    for rule in rules {
        let n_before = plan.n_nodes();
        plan.make_at(None);
        let Some(new) = rule.apply(plan, id)? else { continue };
        plan.inherit_lines(n_before, id);
        if new == id {
            continue;
        }
        if plan.meta(new) != plan.meta(id) {
            return Err(Error::Internal {
                place: format!("rule {}", rule.name()),
                problem: format!("meta {:?} became {:?}", plan.meta(id), plan.meta(new)),
            });
        }
        return Ok(Some((rule.name(), new)));
    }
    Ok(None)
}

/// A new node and its inputs may match now; two levels are what a rule adds at most at once,
/// and what lies deeper is reached when those in turn are replaced.
fn push_with_inputs<O: Operation>(plan: &Plan<O>, id: NodeId, worklist: &mut Vec<NodeId>) {
    for &input in plan.inputs(id) {
        worklist.extend(plan.inputs(input));
        worklist.push(input);
    }
    worklist.push(id);
}
