//! Tree reductions.

use std::sync::Arc;

use super::manipulation::drop_axes;
use crate::array::args::Axes;
use crate::array::chunks::{SplitEvery, tree};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::{ReduceKind, ReduceSpec};
use crate::array::op::{ArrayOp, Reduction};
use crate::config::Config;
use crate::error::{Call, Error, Result};

/// Over which axes to reduce, and how. Made from axes: `x.sum(0)`, `x.sum([0, 2])`,
/// `x.sum("time")`, `x.sum(..)` for all of them, or `x.var(over(0).ddof(1).keepdims())`.
#[derive(Clone, Debug)]
pub struct Over {
    axes: Axes,
    keepdims: bool,
    ddof: f64,
    split_every: SplitEvery,
}

/// Options of a reduction, starting from its axes.
pub fn over(axes: impl Into<Axes>) -> Over {
    Over { axes: axes.into(), keepdims: false, ddof: 0.0, split_every: SplitEvery::Default }
}

impl Over {
    /// Reduced axes stay, with length 1.
    #[must_use]
    pub fn keepdims(mut self) -> Self {
        self.keepdims = true;
        self
    }

    /// What is subtracted from the number of elements in a variance: 0 if not said, 1 for samples.
    #[must_use]
    pub fn ddof(mut self, ddof: f64) -> Self {
        self.ddof = ddof;
        self
    }

    /// How many partial results one task combines, shared between the axes; what
    /// [`Config::split_every`] says if not said.
    #[must_use]
    pub fn split_every(mut self, n_blocks: u64) -> Self {
        self.split_every = SplitEvery::Blocks(n_blocks);
        self
    }
}

impl Over {
    /// The axes of `node` that are meant, in the order given, and whether they stay.
    pub(crate) fn resolve(&self, call: Call, node: &Node) -> Result<(Vec<usize>, bool)> {
        Ok((self.axes.resolve(call, node.ndim(), node.dim_names())?, self.keepdims))
    }
}

impl<A: Into<Axes>> From<A> for Over {
    fn from(axes: A) -> Self {
        over(axes)
    }
}

/// The reduction of `x` over some axes.
pub(crate) fn reduce(
    call: Call,
    x: &Handle,
    kind: ReduceKind,
    skip_nan: bool,
    over: &Over,
) -> Handle {
    x.then(|node| {
        let mut axes = over.axes.resolve(call, node.ndim(), node.dim_names())?;
        axes.sort_unstable();
        if kind.is_position() && axes.len() != 1 && axes.len() != node.ndim() {
            return Err(Error::InvalidArgument {
                call,
                argument: "axis",
                got: over.axes.to_string(),
                expected: "one axis or all of them",
            });
        }
        if kind.needs_elements() {
            refuse_empty(call, node, &axes)?;
        }
        let mut fan_in = vec![1; node.ndim()];
        let split_every = match &over.split_every {
            SplitEvery::Default => SplitEvery::Blocks(Config::current()?.split_every() as u64),
            given => given.clone(),
        };
        for (axis, k) in tree::fan_in(&split_every, &axes) {
            fan_in[axis] = k;
        }
        let spec = ReduceSpec {
            kind,
            axes: axes.clone(),
            ddof: over.ddof,
            skip_nan,
            in_dtype: node.meta.dtype,
        };
        let spec =
            spec.check().map_err(|error| super::unsupported(call, error.got, "a real number"))?;
        let reduced = Node::of(ArrayOp::Reduce(Arc::new(Reduction { spec, fan_in })), &[node])?;
        if over.keepdims { Ok(reduced) } else { drop_axes(&reduced, &axes) }
    })
}

/// The extreme of no elements does not exist; where no result is wanted, that does not matter.
fn refuse_empty(call: Call, node: &Node, axes: &[usize]) -> Result<()> {
    let lengths = node.meta.chunks.shape();
    let is_empty = |axis: usize| lengths[axis] == Some(0);
    let no_result = (0..node.ndim()).any(|axis| !axes.contains(&axis) && is_empty(axis));
    match axes.iter().find(|&&axis| is_empty(axis)) {
        Some(axis) if !no_result => Err(Error::InvalidArgument {
            call,
            argument: "axis",
            got: format!("axis {axis} of length 0"),
            expected: "axes with at least one element",
        }),
        _ => Ok(()),
    }
}
