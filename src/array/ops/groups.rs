//! Functions of the groups that labels make of the positions along some axes.

mod computed;
mod picks;

use std::marker::PhantomData;
use std::sync::Arc;

pub(crate) use computed::group_computed;

use super::elementwise::{elemwise_of, unary};
use super::manipulation::{permute, reshape};
use super::quantiles::Quantiles;
use super::take::take_positions;
use crate::array::args::{Axes, Shape};
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{
    AxisChunks, Chunks, NO_GROUP, cut_within, group_cuts, group_steps, groups_of_blocks,
};
use crate::array::dtype::{DType, Element, dispatch};
use crate::array::expr::{Handle, Node, dim_names_of};
use crate::array::kernels::grouped::{
    GroupChunkKernel, GroupCombineKernel, GroupWholeKernel, ROW_LEN_MIN, group_finish_bytes,
    group_partial_bytes, group_scratch_bytes, group_whole_bytes,
};
use crate::array::kernels::quantile::QuantileKernel;
use crate::array::kernels::segments::SegmentsKernel;
use crate::array::kernels::{Program, ReduceKind, ReduceSpec, UnaryOp};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise, Take};
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// An array, the axes along which it is grouped, and the group of each position.
#[derive(Clone, Debug)]
pub(crate) struct Grouping {
    node: Arc<Node>,
    /// In the order in which they were given, which is that of `codes`.
    axes: Vec<usize>,
    codes: Codes,
    n_groups: u32,
}

/// The group of each position along the grouped axes.
#[derive(Clone, Debug)]
enum Codes {
    /// In C order.
    Known(Arc<[u32]>),
    /// In the chunks of the array.
    Computed(Arc<Node>),
}

/// Positions that can have labels, which are listed.
pub(crate) const LABELLED_MAX: u64 = u32::MAX as u64;

/// Groups positions along `axes` by codes below `n_groups`, in C order.
pub(crate) fn group(
    call: Call,
    x: &Handle,
    axes: &Axes,
    codes: Vec<u32>,
    n_groups: usize,
) -> Result<Grouping> {
    let node = Arc::clone(x.node()?);
    let axes = axes.resolve(call, node.ndim(), node.dim_names())?;
    let lens = axes.iter().map(|&axis| node.axis_len(call, axis));
    let n = lens.collect::<Result<Vec<_>>>()?.into_iter().fold(1, u64::saturating_mul);
    if axes.is_empty() || n != codes.len() as u64 {
        return Err(Error::InvalidArgument {
            call,
            argument: "labels",
            got: format!("{} labels for {n} positions along {} axes", codes.len(), axes.len()),
            expected: "a label for each position",
        });
    }
    let n_labels = codes.len() as u64;
    let n_groups =
        u32::try_from(n_groups).ok().filter(|n| *n < NO_GROUP && n_labels <= LABELLED_MAX);
    let n_groups = n_groups.ok_or_else(|| too_many_labels(call))?;
    Ok(Grouping { node, axes, codes: Codes::Known(codes.into()), n_groups })
}

/// The error for more labels than can be listed.
pub(crate) fn too_many_labels(call: Call) -> Error {
    Error::TooManyTasks { op: call.op.into(), call: Some(call), limit: LABELLED_MAX }
}

impl Grouping {
    fn known_codes(&self, call: Call) -> Result<&Arc<[u32]>> {
        match &self.codes {
            Codes::Known(codes) => Ok(codes),
            Codes::Computed(_) => Err(computed::computed_labels(call)),
        }
    }

    fn handle(&self) -> Handle {
        Handle::from_result(Ok(Arc::clone(&self.node)))
    }

    /// The axes that are not grouped.
    fn kept(&self) -> Vec<usize> {
        (0..self.node.ndim()).filter(|axis| !self.axes.contains(axis)).collect()
    }

    /// Where the axis of the groups stands in results: in the place of the first grouped axis.
    fn place(&self) -> usize {
        let first = self.axes.iter().copied().min().unwrap_or(0);
        self.kept().iter().filter(|axis| **axis < first).count()
    }

    /// The same array of other elements, with the grouped axes last.
    fn last(&self, x: &Handle) -> Result<Arc<Node>> {
        let axes = self.kept().into_iter().chain(self.axes.iter().copied());
        permute(x.node()?, axes.map(Some).collect())
    }

    /// A result with the axis of the groups, which is axis `from`, in its place.
    fn placed(&self, result: &Arc<Node>, from: usize, leading: &[usize]) -> Result<Arc<Node>> {
        let kept = (0..result.ndim()).filter(|axis| *axis != from && !leading.contains(axis));
        let mut axes: Vec<usize> = kept.collect();
        axes.insert(self.place(), from);
        let axes: Vec<usize> = leading.iter().copied().chain(axes).collect();
        let unmoved = axes.iter().enumerate().all(|(i, axis)| i == *axis);
        let placed = if unmoved {
            Arc::clone(result)
        } else {
            permute(result, axes.into_iter().map(Some).collect())?
        };
        let names = self.node.dim_names().and_then(|names| {
            let name = |axis: usize| Some(Arc::clone(&names[axis]));
            let mut of_result: Vec<_> = self.kept().into_iter().map(name).collect();
            of_result.insert(self.place(), name(self.axes[0]));
            dim_names_of(vec![None; leading.len()].into_iter().chain(of_result))
        });
        Ok(placed.with_note(names))
    }

    /// Elements that a block of a result may have.
    fn block_len_max(&self, itemsize: u64) -> Result<u64> {
        let largest = self.node.meta.block_bytes_max().unwrap_or(0);
        Ok(largest.max(super::chunk_bytes()?) / itemsize.max(1))
    }

    /// The reduction of each group.
    pub(crate) fn reduce(&self, call: Call, kind: ReduceKind, skip_nan: bool, ddof: f64) -> Handle {
        self.reduced(call, &self.handle(), kind, skip_nan, ddof)
    }

    /// How many elements of each group are not NaN.
    pub(crate) fn count(&self, call: Call) -> Handle {
        let x = self.handle();
        let dtype = self.node.meta.dtype;
        let is_one = match dtype.is_float() || dtype.is_complex() {
            true => unary(call, UnaryOp::LogicalNot, &unary(call, UnaryOp::IsNan, &x)),
            false => super::creation::full_like(call, true.into(), &x),
        };
        self.reduced(call, &is_one, ReduceKind::Sum, false, 0.0)
    }

    fn reduced(
        &self,
        call: Call,
        x: &Handle,
        kind: ReduceKind,
        skip_nan: bool,
        ddof: f64,
    ) -> Handle {
        x.then(|node| {
            let spec = ReduceSpec {
                kind,
                axes: self.axes.clone(),
                ddof,
                skip_nan,
                in_dtype: node.meta.dtype,
            };
            let spec = spec.check();
            let spec =
                spec.map_err(|error| super::unsupported(call, error.got, "a real number"))?;
            let prepared = spec.prepared(&Program::input(node.meta.dtype));
            let lanes = match prepared.is_identity() {
                true => Arc::clone(node),
                false => elemwise_of(call, prepared, &[node])?,
            };
            let lanes = self.last(&Handle::from_result(Ok(lanes)))?;
            let combined = self.map_reduce(call, &lanes, &spec)?;
            self.placed(&combined, combined.ndim() - 1, &[])
        })
    }

    /// A partial result for each block, and the steps that combine them, or one step for all. The axis of the groups comes last.
    fn map_reduce(&self, call: Call, lanes: &Arc<Node>, spec: &ReduceSpec) -> Result<Arc<Node>> {
        // Finished blocks are shaped, and partial results sized, by the lengths of the kept axes.
        lanes.known_shape(call)?;
        let n_kept = self.node.ndim() - self.axes.len();
        let (kept, grouped) = lanes.meta.chunks.axes().split_at(n_kept);
        let kept = Chunks::new(kept);
        let n_blocks = grouped.iter().map(AxisChunks::n_blocks).fold(1, u64::saturating_mul);
        check_listed(call.op, Some(call), n_blocks)?;
        let n_kept_max = kept.max_block_len().unwrap_or(1).max(1);
        let bytes = |n_groups: u64| group_partial_bytes(spec, n_groups, n_kept_max);
        let n_positions =
            grouped.iter().filter_map(AxisChunks::max_len).fold(1, u64::saturating_mul);
        let n_groups = u64::from(self.n_groups);
        // An accumulator may be longer than an element.
        let itemsize = spec.partial_bytes(1).max(spec.out_dtype().nbytes() as u64);
        let most = self.block_len_max(itemsize)? / n_kept_max;
        // As large as the blocks of the array, but not much smaller than ordinary ones.
        let usual = lanes.meta.block_bytes_max().unwrap_or(0).max(super::chunk_bytes()? / 8);
        let usual = usual / itemsize.max(1) / n_kept_max;
        let cuts_of = |of_blocks: &[Vec<u32>]| -> Result<AxisChunks> {
            let cuts = group_cuts(of_blocks, n_groups, usual, most);
            check_listed(call.op, Some(call), cuts.n_blocks())?;
            Ok(cuts)
        };
        let mut maps = vec![BlockMap::Linear];
        let in_chunks;
        let mut inputs = vec![lanes];
        let (codes, of_blocks, cuts, n_groups_max) = match &self.codes {
            Codes::Known(codes) => {
                let of_blocks = groups_of_blocks(grouped, codes);
                let cuts = cuts_of(&of_blocks)?;
                let most = of_blocks.iter().map(|groups| groups.len() as u64).max();
                (Some(Arc::clone(codes)), of_blocks, cuts, most.unwrap_or(0))
            }
            Codes::Computed(labels) => {
                maps.push(computed::labels_map(grouped, n_kept));
                // What is reduced may have come in other chunks than the array.
                in_chunks = labels.in_chunks(Chunks::new(grouped))?;
                inputs.push(&in_chunks);
                let cuts = cuts_of(&[])?;
                (None, computed::any_of(&cuts, n_blocks), cuts, n_groups.min(n_positions))
            }
        };
        let chunks = |last: AxisChunks| Chunks::new([kept.axes(), &[last]].concat());
        let dtype = spec.out_dtype();
        let fan_in = Config::current()?.split_every() as u64;
        let steps = group_steps(&of_blocks, &cuts, 2 * fan_in);
        let of_block = lanes.meta.block_bytes_max().unwrap_or(u64::MAX);
        if let ([axis], [step], Some(codes), [along]) =
            (&self.axes[..], &steps[..], &codes, grouped)
            && axis + 1 < self.node.ndim()
            && n_kept_max >= ROW_LEN_MIN as u64
            && bytes(n_groups_max) >= of_block
        {
            // Partial results would be as large as the blocks, of which a tree would hold two rounds.
            let n_inner = kept.axes()[1..].iter().filter_map(AxisChunks::max_len);
            let n_read = step.reads.iter().map(|reads| reads.len() as u64).max().unwrap_or(0);
            let n_read = n_read.saturating_mul(n_positions);
            let out = Meta { dtype, chunks: chunks(cuts) };
            let lists = AxisMap::Lists { axis: n_kept, lists: Arc::clone(&step.reads) };
            let whole = Blockwise {
                name: format!("{} by group", spec.kind.name()).into(),
                kernel: Arc::new(GroupWholeKernel {
                    spec: spec.clone(),
                    codes: Arc::clone(codes),
                    n_groups: self.n_groups,
                    axis: along.clone(),
                    reads: Arc::clone(&step.reads),
                    groups: Arc::clone(&step.groups),
                    out: out.chunks.clone(),
                }),
                maps: vec![BlockMap::axes((0..n_kept).map(AxisMap::same).chain([lists]))],
                out,
                out_bytes: None,
                scratch_bytes: group_whole_bytes(spec, n_inner.product(), n_read),
            };
            return Node::of(ArrayOp::Blockwise(Arc::new(whole)), &[lanes]);
        }
        let steps = group_steps(&of_blocks, &cuts, fan_in);
        let partials = Blockwise {
            name: format!("{} by group", spec.kind.name()).into(),
            kernel: Arc::new(GroupChunkKernel {
                spec: spec.clone(),
                codes,
                n_groups: self.n_groups,
                chunks: lanes.meta.chunks.clone(),
                n_kept,
            }),
            maps,
            out: Meta { dtype, chunks: chunks(AxisChunks::uniform(n_blocks, 1)) },
            out_bytes: Some(bytes(n_groups_max)),
            scratch_bytes: group_scratch_bytes(spec, n_positions, n_groups),
        };
        let mut node = Node::of(ArrayOp::Blockwise(Arc::new(partials)), &inputs)?;
        let n_steps = steps.len();
        for (i, step) in steps.into_iter().enumerate() {
            let is_last = i + 1 == n_steps;
            let last = if is_last {
                cuts.clone()
            } else {
                AxisChunks::uniform(step.reads.len() as u64, 1)
            };
            let out = Meta { dtype, chunks: chunks(last) };
            let lists = AxisMap::Lists { axis: n_kept, lists: step.reads };
            let maps = (0..n_kept).map(AxisMap::same).chain([lists]);
            let of_partials = bytes(step.n_groups_max);
            let combine = Blockwise {
                name: format!("{} by group (combine)", spec.kind.name()).into(),
                kernel: Arc::new(GroupCombineKernel {
                    spec: spec.clone(),
                    groups: step.groups,
                    out: is_last.then(|| out.chunks.clone()),
                }),
                maps: vec![BlockMap::axes(maps)],
                out,
                out_bytes: (!is_last).then_some(of_partials),
                scratch_bytes: if is_last { group_finish_bytes(spec) } else { 0 },
            };
            node = Node::of(ArrayOp::Blockwise(Arc::new(combine)), &[&node])?;
        }
        Ok(node)
    }

    /// The array with its grouped axes merged into one, which comes last.
    fn merged(&self, call: Call) -> Result<Arc<Node>> {
        let last = self.last(&self.handle())?;
        if self.axes.len() == 1 {
            return Ok(last);
        }
        let mut shape = last.known_shape(call)?;
        let n_kept = shape.len() - self.axes.len();
        let len = shape.split_off(n_kept).into_iter().product();
        shape.push(len);
        let merged = reshape(call, &Handle::from_result(Ok(last)), &Shape::from(shape));
        Ok(Arc::clone(merged.node()?))
    }

    /// Quantiles of each group; those of a list stand along a new first axis.
    pub(crate) fn quantile(&self, call: Call, wanted: &Quantiles) -> Handle {
        Handle::from_result((|| {
            wanted.check(call)?;
            let merged = self.merged(call)?;
            let last = merged.ndim() - 1;
            let of_groups = self.side_by_side(call, &merged)?;
            let quantiles = self.of_segments(call, &of_groups, wanted)?;
            let quantiles = match wanted.is_list {
                true => quantiles,
                false => super::manipulation::drop_axes(&quantiles, &[last + 1])?,
            };
            let leading: &[usize] = if wanted.is_list { &[last + 1] } else { &[] };
            self.placed(&quantiles, last, leading)
        })())
    }

    /// The array in the order of the groups, of which none is in two blocks.
    fn side_by_side(&self, call: Call, merged: &Arc<Node>) -> Result<SideBySide> {
        let last = merged.ndim() - 1;
        let codes = self.known_codes(call)?;
        let mut order: Vec<u64> =
            (0..codes.len()).filter(|&i| codes[i] != NO_GROUP).map(|i| i as u64).collect();
        order.sort_by_key(|&position| codes[position as usize]);
        let mut lens = vec![0_u64; self.n_groups as usize];
        order.iter().for_each(|&position| lens[codes[position as usize] as usize] += 1);
        // As many groups together as an ordinary block has elements.
        let usual = merged.meta.chunks.axes()[last].max_len().unwrap_or(1).max(1);
        let (mut sizes, mut groups) = (Vec::new(), Vec::new());
        for &len in &lens {
            match (sizes.last_mut(), groups.last_mut()) {
                (Some(size), Some(n)) if *size + len <= usual => {
                    *size += len;
                    *n += 1;
                }
                _ => {
                    sizes.push(len);
                    groups.push(1);
                }
            }
        }
        check_listed(call.op, Some(call), sizes.len() as u64)?;
        let chunks = AxisChunks::from_sizes(&sizes).unwrap_or_else(|| AxisChunks::whole(0));
        let groups = AxisChunks::from_sizes(&groups).unwrap_or_else(|| AxisChunks::whole(0));
        // The other axes are cut where the longest group makes blocks too large.
        let itemsize = merged.meta.dtype.nbytes() as u64;
        let by_group = merged.meta.chunks.with_axis(last, chunks.clone());
        let cut = cut_within(by_group, 0..last, self.block_len_max(itemsize)?);
        let merged =
            merged.in_chunks(cut.with_axis(last, merged.meta.chunks.axes()[last].clone()))?;
        let take = Take { axis: last, index: order.into(), chunks };
        let node = Node::of(ArrayOp::Take(Arc::new(take)), &[&merged])?;
        Ok(SideBySide { node, lens: lens.into(), groups })
    }

    fn of_segments(&self, call: Call, of: &SideBySide, wanted: &Quantiles) -> Result<Arc<Node>> {
        let dtype = of.node.meta.dtype;
        let (method, skip_nan) = (wanted.method, wanted.skip_nan);
        let quantiles: Arc<[f64]> = wanted.at.as_slice().into();
        let (lens, groups) = (Arc::clone(&of.lens), of.groups.clone());
        let (kernel, out): (Arc<dyn Kernel>, DType) = dispatch!(dtype, real T => {
            type U = <T as Element>::Mean;
            let types = PhantomData::<fn(T) -> U>;
            let quantile = QuantileKernel { quantiles, method, skip_nan, types };
            (Arc::new(SegmentsKernel { quantile, lens, groups }), U::DTYPE)
        }, else return Err(super::unsupported(call, dtype, "a real number")));
        let last = of.node.ndim() - 1;
        let mut axes = of.node.meta.chunks.axes().to_vec();
        axes[last] = of.groups.clone();
        axes.push(AxisChunks::whole(wanted.at.len() as u64));
        let longest = of.lens.iter().copied().max().unwrap_or(0);
        let blockwise = Blockwise {
            name: call.op.into(),
            kernel,
            maps: vec![BlockMap::axes((0..=last).map(AxisMap::same))],
            out: Meta { dtype: out, chunks: Chunks::new(axes) },
            out_bytes: None,
            scratch_bytes: longest.saturating_mul(dtype.nbytes() as u64),
        };
        Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[&of.node])
    }

    /// What stands for each group at each of its positions, so that it fits the array.
    pub(crate) fn expand(&self, call: Call, result: &Handle) -> Handle {
        result.then(|result| {
            let place = self.place();
            let n_axes = self.kept().len() + 1;
            let fits = result.ndim() == n_axes
                && result.meta.chunks.axes()[place].len() == Some(self.n_groups.into());
            let is_in_none = |codes: &[u32]| codes.contains(&NO_GROUP);
            if !fits || matches!(&self.codes, Codes::Known(codes) if is_in_none(codes)) {
                return Err(Error::InvalidArgument {
                    call,
                    argument: "result",
                    got: format!(
                        "{} for {} groups",
                        result.meta.chunks.shape_text(),
                        self.n_groups
                    ),
                    expected: "a result of these groups, of which each position is in one",
                });
            }
            match &self.codes {
                Codes::Known(_) => self.spread(call, result),
                Codes::Computed(codes) => {
                    let codes = Handle::from_result(Ok(Arc::clone(codes)));
                    self.unfolded(call, &computed::taken(call, result, &codes, place)?)
                }
            }
        })
    }

    /// What stands for the group of each position; for one in no group, what stands for some group.
    fn spread(&self, call: Call, result: &Arc<Node>) -> Result<Arc<Node>> {
        let place = self.place();
        let codes = match &self.codes {
            Codes::Known(codes) => codes,
            Codes::Computed(codes) => {
                let codes = computed::some_group(call, codes, self.n_groups);
                return self.unfolded(call, &computed::taken(call, result, &codes, place)?);
            }
        };
        let group = |&code: &u32| if code == NO_GROUP { 0 } else { u64::from(code) };
        let index: Arc<[u64]> = codes.iter().map(group).collect();
        if let [axis] = self.axes[..] {
            // The chunks of the array, so that both meet block by block.
            let chunks = self.node.meta.chunks.axes()[axis].clone();
            let take = Take { axis: place, index, chunks };
            return Node::of(ArrayOp::Take(Arc::new(take)), &[result]);
        }
        self.unfolded(call, &take_positions(call, result, place, index.to_vec())?)
    }

    /// What stands for each position of the grouped axes in C order, along one axis, as an array that fits the grouped one.
    fn unfolded(&self, call: Call, taken: &Arc<Node>) -> Result<Arc<Node>> {
        let place = self.place();
        let lens = self.node.known_shape(call)?;
        let mut shape = taken.known_shape(call)?;
        shape.splice(place..=place, self.axes.iter().map(|&axis| lens[axis]));
        let split = reshape(call, &Handle::from_result(Ok(Arc::clone(taken))), &Shape::from(shape));
        // Each axis back to where it was.
        let mut from: Vec<usize> = self.kept();
        from.splice(place..place, self.axes.iter().copied());
        let back = (0..self.node.ndim()).map(|axis| from.iter().position(|other| *other == axis));
        permute(split.node()?, back.collect())
    }
}

/// An array in the order of its groups.
struct SideBySide {
    node: Arc<Node>,
    /// How many elements each group has.
    lens: Arc<[u64]>,
    /// How many groups each block has.
    groups: AxisChunks,
}
