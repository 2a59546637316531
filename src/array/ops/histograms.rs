//! Histograms of several dimensions, and densities.

use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};

use super::creation::from_shared;
use super::elementwise::{Term, binary, cast};
use super::reductions::{over, reduce};
use super::selections::check_edges;
use crate::array::chunks::{AxisChunks, ChunkSpec, Chunks};
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::count::Bins;
use crate::array::kernels::histogramdd::HistogramKernel;
use crate::array::kernels::{BinaryOp, ReduceKind};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Error, Result};
use crate::graph::BlockMap;

/// The sums of the weights of points, or their number, in boxes between edges along each axis; `points` has an
/// array of one shape for each dimension.
pub(crate) fn histogramdd(
    call: Call,
    points: &[&Handle],
    edges: &[&[f64]],
    weights: Option<&Handle>,
    is_density: bool,
) -> Handle {
    let all: Vec<Handle> =
        points.iter().copied().chain(weights).map(|x| cast(call, x, DType::F64)).collect();
    let rows =
        Handle::join(&all.iter().collect::<Vec<_>>(), |nodes| rows(call, nodes, points, edges));
    let counts = reduce(call, &rows, ReduceKind::Sum, false, &over(0));
    if is_density { density(call, &counts, edges) } else { counts }
}

/// The counts of each block along a first axis.
fn rows(
    call: Call,
    nodes: &[&Arc<Node>],
    points: &[&Handle],
    edges: &[&[f64]],
) -> Result<Arc<Node>> {
    if points.is_empty() || points.len() != edges.len() {
        return Err(Error::InvalidArgument {
            call,
            argument: "edges",
            got: format!("edges of {} axes for {} dimensions", edges.len(), points.len()),
            expected: "edges for each dimension of the points",
        });
    }
    edges.iter().try_for_each(|edges| check_edges(call, edges))?;
    let chunks = &nodes[0].meta.chunks;
    let fit = |node: &&Arc<Node>| {
        if node.meta.chunks.shape() == chunks.shape() {
            return node.in_chunks(chunks.clone());
        }
        let shape = |node: &Node| node.meta.chunks.shape().into_iter().flatten().collect();
        Err(Error::ShapeMismatch {
            call,
            left: shape(node),
            right: shape(nodes[0]),
            remedy: "all dimensions of the points, and weights, need one shape",
        })
    };
    let nodes: Vec<Arc<Node>> = nodes.iter().map(fit).collect::<Result<_>>()?;
    let bins: Arc<[Bins]> = edges.iter().map(|edges| Bins::Edges((*edges).into())).collect();
    let mut axes = vec![AxisChunks::uniform(chunks.n_blocks(), 1)];
    axes.extend(bins.iter().map(|bins| AxisChunks::whole(bins.n_bins())));
    let chunks = super::countable(call, Chunks::new(axes))?;
    let blockwise = Blockwise {
        name: call.op.into(),
        kernel: Arc::new(HistogramKernel { bins }),
        maps: vec![BlockMap::Linear; nodes.len()],
        out: Meta { dtype: DType::F64, chunks },
        out_bytes: None,
        scratch_bytes: 0,
    };
    Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &nodes.iter().collect::<Vec<_>>())
}

/// Counts as what integrates to 1 over all boxes.
pub(crate) fn density(call: Call, counts: &Handle, edges: &[&[f64]]) -> Handle {
    let counts = cast(call, counts, DType::F64);
    let widths = |edges: &[f64]| edges.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let widths: Vec<Vec<f64>> = edges.iter().map(|edges| widths(edges)).collect();
    let shape: Vec<usize> = widths.iter().map(Vec::len).collect();
    let volume = |index: ndarray::Dim<ndarray::IxDynImpl>| {
        widths.iter().enumerate().map(|(axis, widths)| widths[index[axis]]).product::<f64>()
    };
    let volumes = ArrayD::from_shape_fn(IxDyn(&shape), volume).into_shared();
    let volumes = from_shared(call, volumes, &ChunkSpec::from(-1));
    let total = reduce(call, &counts, ReduceKind::Sum, false, &over(..).keepdims());
    let both = |op, a: &Handle, b: &Handle| {
        binary(call, op, &Term::Array(a.clone()), &Term::Array(b.clone()))
    };
    both(BinaryOp::Div, &both(BinaryOp::Div, &counts, &volumes), &total)
}
