//! Expressions: what users' handles hold, and how they become a plan.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

use super::line::Line;
use super::plan::{NodeId, Operation, Plan};
use crate::error::{Error, Result};

/// An operation that handles are made of.
pub(crate) trait Step: Operation {
    /// What handles know of a step and plans do not, such as names of dimensions.
    type Note: Clone + fmt::Debug;

    /// The note of this operation's result.
    fn note(&self, inputs: &[&Arc<Node<Self>>], meta: &Self::Meta) -> Self::Note;
}

/// One step of an expression. Immutable and shared: an expression is a DAG of these.
#[derive(Debug)]
pub(crate) struct Node<S: Step> {
    pub(crate) op: S,
    pub(crate) inputs: Vec<Arc<Node<S>>>,
    pub(crate) meta: S::Meta,
    pub(crate) note: S::Note,
    /// Tells this expression from all others that were ever made.
    pub(crate) serial: u64,
    /// The line of the user that made it.
    line: OnceLock<Line>,
}

/// The serial of the next expression.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl<S: Step> Drop for Node<S> {
    /// Drops a chain of any length in a loop; the derived drop would recurse once a node.
    fn drop(&mut self) {
        let mut pending = std::mem::take(&mut self.inputs);
        while let Some(node) = pending.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                pending.append(&mut node.inputs);
            }
        }
    }
}

impl<S: Step> Node<S> {
    /// `op` applied to `inputs`, whose meta follows from theirs.
    pub(crate) fn of(op: S, inputs: &[&Arc<Node<S>>]) -> Result<Arc<Node<S>>> {
        let metas: Vec<_> = inputs.iter().map(|node| &node.meta).collect();
        let meta = op.infer(&metas)?;
        Ok(Node::with_meta(op, inputs, meta))
    }

    /// [`of`](Self::of) for an operation whose meta is known, which saves inferring it.
    pub(crate) fn with_meta(op: S, inputs: &[&Arc<Node<S>>], meta: S::Meta) -> Arc<Node<S>> {
        let note = op.note(inputs, &meta);
        let inputs = inputs.iter().map(|node| Arc::clone(node)).collect();
        let serial = NEXT.fetch_add(1, Relaxed);
        Arc::new(Node { op, inputs, meta, note, serial, line: OnceLock::new() })
    }

    /// The same expression under another note.
    pub(crate) fn with_note(&self, note: S::Note) -> Arc<Node<S>> {
        Arc::new(Node {
            op: self.op.clone(),
            inputs: self.inputs.clone(),
            meta: self.meta.clone(),
            note,
            serial: self.serial,
            line: self.line.clone(),
        })
    }
}

/// An untyped handle: an expression, or the first error of the chain that should have made one.
#[derive(Debug)]
pub(crate) struct Handle<S: Step>(Result<Arc<Node<S>>, Arc<Error>>);

impl<S: Step> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Handle(self.0.clone())
    }
}

impl<S: Step> Handle<S> {
    pub(crate) fn from_result(result: Result<Arc<Node<S>>>) -> Self {
        Handle(result.map_err(Arc::new))
    }

    /// The expression, or the error that the handle carries.
    pub(crate) fn node(&self) -> Result<&Arc<Node<S>>> {
        self.0.as_ref().map_err(|error| Error::clone(error))
    }

    /// This expression, of which all that no earlier line has made comes from `line`.
    pub(crate) fn made_at(self, line: Line) -> Self {
        let mut new: Vec<&Arc<Node<S>>> = self.0.iter().collect();
        while let Some(node) = new.pop() {
            if node.line.set(line).is_ok() {
                new.extend(&node.inputs);
            }
        }
        self
    }

    /// A step from this expression; an error stays what it is.
    pub(crate) fn then(&self, step: impl FnOnce(&Arc<Node<S>>) -> Result<Arc<Node<S>>>) -> Self {
        match &self.0 {
            Ok(node) => Handle::from_result(step(node)),
            Err(error) => Handle(Err(Arc::clone(error))),
        }
    }

    /// A step from several expressions; the first error among them stays what it is.
    pub(crate) fn join(
        handles: &[&Self],
        step: impl FnOnce(&[&Arc<Node<S>>]) -> Result<Arc<Node<S>>>,
    ) -> Self {
        let mut nodes = Vec::with_capacity(handles.len());
        for handle in handles {
            match &handle.0 {
                Ok(node) => nodes.push(node),
                Err(error) => return Handle(Err(Arc::clone(error))),
            }
        }
        Handle::from_result(step(&nodes))
    }
}

/// Puts expressions into one plan, with everything that they share standing there once.
pub(crate) fn import<'a, S: Step + 'a>(
    roots: impl IntoIterator<Item = &'a Arc<Node<S>>>,
) -> Plan<S> {
    let mut plan = Plan::default();
    let mut ids: HashMap<*const Node<S>, NodeId> = HashMap::new();
    for root in roots {
        let id = import_one(&mut plan, root, &mut ids);
        plan.add_root(id);
    }
    plan
}

/// The bridges that expressions read over, each once.
pub(crate) fn bridges_of<S: Step>(roots: &[Arc<Node<S>>]) -> Vec<Arc<super::Bridge>> {
    let mut seen = std::collections::HashSet::new();
    let mut bridges = Vec::new();
    let mut stack: Vec<&Arc<Node<S>>> = roots.iter().collect();
    while let Some(node) = stack.pop() {
        if seen.insert(Arc::as_ptr(node)) {
            bridges.extend(node.op.bridge().cloned());
            stack.extend(&node.inputs);
        }
    }
    bridges
}

/// Imports what `root` needs and is not there yet, with a stack of our own.
fn import_one<'a, S: Step>(
    plan: &mut Plan<S>,
    root: &'a Arc<Node<S>>,
    ids: &mut HashMap<*const Node<S>, NodeId>,
) -> NodeId {
    let mut stack: Vec<&'a Arc<Node<S>>> = vec![root];
    while let Some(&node) = stack.last() {
        if ids.contains_key(&Arc::as_ptr(node)) {
            stack.pop();
            continue;
        }
        let n_waiting = stack.len();
        stack.extend(node.inputs.iter().filter(|input| !ids.contains_key(&Arc::as_ptr(input))));
        if stack.len() == n_waiting {
            let inputs: Vec<_> = node.inputs.iter().map(|input| ids[&Arc::as_ptr(input)]).collect();
            plan.make_at(node.line.get().copied());
            let id = plan.push_with_meta(node.op.clone(), &inputs, node.meta.clone());
            ids.insert(Arc::as_ptr(node), id);
            stack.pop();
        }
    }
    ids[&Arc::as_ptr(root)]
}
