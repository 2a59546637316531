//! Expressions: what handles hold, and how they become a plan.

use std::collections::HashMap;
use std::sync::Arc;

use super::chunks::Chunks;
use super::meta::Meta;
use super::op::ArrayOp;
use crate::error::{Call, Error, Result};
use crate::graph::{NodeId, Operation, Plan};

/// The names of the dimensions of an array.
pub(crate) type DimNames = Arc<[Arc<str>]>;

/// One step of an expression. Immutable and shared: an expression is a DAG of these.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) op: ArrayOp,
    pub(crate) inputs: Vec<Arc<Node>>,
    pub(crate) meta: Meta,
    pub(crate) dim_names: Option<DimNames>,
}

impl Drop for Node {
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

/// An untyped handle: an expression, or the first error of the chain that should have made one.
#[derive(Clone, Debug)]
pub(crate) struct Handle(Result<Arc<Node>, Arc<Error>>);

impl Handle {
    #[expect(clippy::new_ret_no_self, reason = "a node is what a handle is made of")]
    /// A handle on `op` applied to `inputs`, whose meta follows from theirs.
    pub(crate) fn new(op: ArrayOp, inputs: &[&Arc<Node>]) -> Result<Arc<Node>> {
        let metas: Vec<_> = inputs.iter().map(|node| &node.meta).collect();
        let meta = op.infer(&metas)?;
        Ok(Handle::with_meta(op, inputs, meta))
    }

    /// [`new`](Self::new) for an operation whose meta is known, which saves inferring it.
    pub(crate) fn with_meta(op: ArrayOp, inputs: &[&Arc<Node>], meta: Meta) -> Arc<Node> {
        let dim_names = inherited_names(&op, inputs, &meta);
        let inputs = inputs.iter().map(|node| Arc::clone(node)).collect();
        Arc::new(Node { op, inputs, meta, dim_names })
    }

    pub(crate) fn from_result(result: Result<Arc<Node>>) -> Self {
        Handle(result.map_err(Arc::new))
    }

    /// The expression, or the error that the handle carries.
    pub(crate) fn node(&self) -> Result<&Arc<Node>> {
        self.0.as_ref().map_err(|error| Error::clone(error))
    }

    /// A step from this expression; an error stays what it is.
    pub(crate) fn then(&self, step: impl FnOnce(&Arc<Node>) -> Result<Arc<Node>>) -> Handle {
        match &self.0 {
            Ok(node) => Handle::from_result(step(node)),
            Err(error) => Handle(Err(Arc::clone(error))),
        }
    }

    /// A step from several expressions; the first error among them stays what it is.
    pub(crate) fn join(
        handles: &[&Handle],
        step: impl FnOnce(&[&Arc<Node>]) -> Result<Arc<Node>>,
    ) -> Handle {
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

impl Node {
    pub(crate) fn ndim(&self) -> usize {
        self.meta.chunks.ndim()
    }

    /// The lengths of all axes, which `call` needs.
    pub(crate) fn known_shape(&self, call: Call) -> Result<Vec<u64>> {
        self.meta.chunks.known_shape().ok_or_else(|| Error::UnknownChunks {
            call,
            axis: self.meta.chunks.first_unknown().unwrap_or(0),
        })
    }

    /// The same values in other chunks; the expression itself if it has these already.
    pub(crate) fn in_chunks(self: &Arc<Node>, chunks: Chunks) -> Result<Arc<Node>> {
        if chunks == self.meta.chunks {
            return Ok(Arc::clone(self));
        }
        Handle::new(ArrayOp::Rechunk(chunks), &[self])
    }

    /// The same expression under other dimension names.
    pub(crate) fn with_dim_names(&self, dim_names: Option<DimNames>) -> Arc<Node> {
        Arc::new(Node {
            op: self.op.clone(),
            inputs: self.inputs.clone(),
            meta: self.meta.clone(),
            dim_names,
        })
    }
}

/// The dimension names that a result has from its inputs.
fn inherited_names(op: &ArrayOp, inputs: &[&Arc<Node>], meta: &Meta) -> Option<DimNames> {
    match op {
        ArrayOp::Permute(axes) => {
            let names = inputs[0].dim_names.as_ref()?;
            axes.iter().map(|axis| axis.map(|axis| Arc::clone(&names[axis]))).collect()
        }
        ArrayOp::Reshape(_) | ArrayOp::Contract(_) | ArrayOp::MapBlocks(_) => None,
        _ => inputs
            .iter()
            .filter(|node| node.ndim() == meta.chunks.ndim())
            .find_map(|node| node.dim_names.clone()),
    }
}

/// Puts expressions into one plan, with everything that they share standing there once.
pub(crate) fn import<'a>(roots: impl IntoIterator<Item = &'a Arc<Node>>) -> Plan<ArrayOp> {
    let mut plan = Plan::default();
    let mut ids: HashMap<*const Node, NodeId> = HashMap::new();
    for root in roots {
        let id = import_one(&mut plan, root, &mut ids);
        plan.add_root(id);
    }
    plan
}

/// Imports what `root` needs and is not there yet, with a stack of our own.
fn import_one<'a>(
    plan: &mut Plan<ArrayOp>,
    root: &'a Arc<Node>,
    ids: &mut HashMap<*const Node, NodeId>,
) -> NodeId {
    let mut stack: Vec<&'a Arc<Node>> = vec![root];
    while let Some(&node) = stack.last() {
        if ids.contains_key(&Arc::as_ptr(node)) {
            stack.pop();
            continue;
        }
        let n_waiting = stack.len();
        stack.extend(node.inputs.iter().filter(|input| !ids.contains_key(&Arc::as_ptr(input))));
        if stack.len() == n_waiting {
            let inputs: Vec<_> = node.inputs.iter().map(|input| ids[&Arc::as_ptr(input)]).collect();
            let id = plan.push_with_meta(node.op.clone(), &inputs, node.meta.clone());
            ids.insert(Arc::as_ptr(node), id);
            stack.pop();
        }
    }
    ids[&Arc::as_ptr(root)]
}
