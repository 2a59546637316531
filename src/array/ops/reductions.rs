//! Tree reductions.

use std::sync::Arc;

use super::manipulation::drop_axes;
use super::selections::blockwise;
use crate::array::args::Axes;
use crate::array::chunks::{AxisChunks, SplitEvery, tree};
use crate::array::dtype::Element;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::own_reduction::{Functions, OwnReductionKernel, ReductionStep};
use crate::array::kernels::{ReduceKind, ReduceSpec};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Reduction};
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap};

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

    /// How many blocks are combined along each of some axes.
    fn fan_in(&self, axes: &[usize]) -> Result<Vec<(usize, u64)>> {
        let split_every = match &self.split_every {
            SplitEvery::Default => SplitEvery::Blocks(Config::current()?.split_every() as u64),
            given => given.clone(),
        };
        Ok(tree::fan_in(&split_every, axes))
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
        for (axis, k) in over.fan_in(&axes)? {
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

/// The reduction of `x` by functions of a user.
pub(crate) fn own_reduction<T: Element, P: Element, U: Element, const N: usize>(
    call: Call,
    x: &Handle,
    over: &Over,
    functions: &Arc<Functions<T, P, U, N>>,
) -> Handle {
    x.then(|node| {
        let (mut axes, keepdims) = over.resolve(call, node)?;
        axes.sort_unstable();
        let fan_in = over.fan_in(&axes)?;
        let group = |axis: usize| match fan_in.iter().find(|(reduced, _)| *reduced == axis) {
            Some(&(axis, size)) => AxisMap::Group { axis, size },
            None => AxisMap::same(axis),
        };
        let groups = BlockMap::axes((0..node.ndim()).map(group));
        let same = BlockMap::axes((0..node.ndim()).map(AxisMap::same));
        let rounds = tree::rounds(&node.meta.chunks.grid(), &fan_in);
        let mut reduced = Arc::clone(node);
        for (round, grid) in rounds.iter().enumerate() {
            let along = axes.iter().map(|&axis| (axis, AxisChunks::uniform(grid[axis], 1)));
            let chunks = along.fold(node.meta.chunks.clone(), |chunks, (axis, blocks)| {
                chunks.with_axis(axis, blocks)
            });
            let is_last = round + 1 == rounds.len();
            let step = match round {
                0 => ReductionStep::Chunk,
                _ if is_last => ReductionStep::Finish,
                _ => ReductionStep::Combine,
            };
            let len = chunks.max_block_len();
            let len =
                len.map_or_else(|| Ok(super::chunk_bytes()? / P::DTYPE.nbytes() as u64), Ok)?;
            let partial_bytes = len.saturating_mul((N * P::DTYPE.nbytes()) as u64);
            let kernel = OwnReductionKernel {
                call,
                step,
                functions: Arc::clone(functions),
                axes: axes.clone().into(),
                out: chunks.clone(),
            };
            let dtype = if is_last { U::DTYPE } else { P::DTYPE };
            // What is combined and what that makes are there at once.
            let (out_bytes, scratch) = match step {
                ReductionStep::Chunk => (Some(partial_bytes), 0),
                ReductionStep::Combine => (Some(partial_bytes), partial_bytes),
                ReductionStep::Finish => (None, partial_bytes.saturating_mul(2)),
            };
            let map = if round == 0 { same.clone() } else { groups.clone() };
            let out = Meta { dtype, chunks };
            let inputs = [(&reduced, map)];
            reduced = blockwise(call, Arc::new(kernel), &inputs, out, out_bytes, scratch)?;
        }
        let reduced = reduced.with_note(node.note.clone());
        if keepdims { Ok(reduced) } else { drop_axes(&reduced, &axes) }
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
