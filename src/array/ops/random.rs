//! Random arrays.

use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};
use rand::seq::{SliceRandom, index};
use rand_distr::weighted::WeightedAliasIndex;

use super::creation::{from_shared, from_source};
use super::elementwise::{Term, cast};
use super::take::take_positions;
use crate::array::args::{AxisRef, Shape};
use crate::array::chunks::{AxisChunks, ChunkSpec, Chunks, broadcast_shapes, normalize_chunks};
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::Scalar;
use crate::array::kernels::random::{
    ByElementKernel, Checked, Draws, Family, Invalid, RandomSource, Stream,
};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// An array of `dtype` of what is drawn, and in which shape and chunks.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) call: Call,
    pub(crate) stream: Stream,
    pub(crate) dtype: DType,
    pub(crate) shape: Shape,
    pub(crate) chunks: ChunkSpec,
}

impl Wanted {
    /// Draws by something that needs no other array.
    pub(crate) fn draw(self, draws: Result<Draws>) -> Handle {
        let shape = self.shape.lengths(self.call);
        match draws.and_then(|draws| Ok((draws, shape?))) {
            Ok((draws, shape)) => {
                let source = RandomSource::new(self.stream, draws, self.dtype, shape);
                from_source(self.call, Arc::new(source), self.dtype, &self.chunks)
            }
            Err(error) => Handle::from_result(Err(error)),
        }
    }

    /// Draws from a family, whose parameters are numbers or arrays of them.
    pub(crate) fn family(self, family: Family, parameters: &[Term]) -> Handle {
        let fixed: Vec<Option<f64>> = parameters.iter().map(number).collect();
        let numbers: Option<Vec<f64>> = fixed.iter().copied().collect();
        let Some(numbers) = numbers else { return self.by_element(family, parameters, fixed) };
        let call = self.call;
        let checked = family.draw(&numbers, Checked).map_err(|Invalid| Error::InvalidArgument {
            call,
            argument: family.parameters()[0],
            got: format!("{numbers:?} for {:?}", family.parameters()),
            expected: "parameters for which there is such a distribution",
        });
        self.draw(checked.map(|()| Draws::Family(family, numbers.into())))
    }

    fn by_element(self, family: Family, parameters: &[Term], fixed: Vec<Option<f64>>) -> Handle {
        let call = self.call;
        let arrays = parameters.iter().filter_map(|parameter| match parameter {
            Term::Array(handle) => Some(cast(call, handle, DType::F64)),
            Term::Scalar(_) => None,
        });
        let arrays: Vec<Handle> = arrays.collect();
        Handle::join(&arrays.iter().collect::<Vec<_>>(), |nodes| {
            let shape = self.shape.lengths(call)?;
            let itemsize = Some(self.dtype.nbytes() as u64);
            let bytes = super::chunk_bytes()?;
            let chunks = normalize_chunks(call, &self.chunks, &shape, itemsize, bytes, None)?;
            let fitted = nodes.iter().map(|node| fitted(call, node, &shape, &chunks));
            let (nodes, maps): (Vec<_>, Vec<_>) =
                fitted.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            let kernel: Arc<dyn Kernel> = match self.dtype {
                DType::F32 => self.kernel::<f32>(family, fixed, &chunks),
                DType::F64 => self.kernel::<f64>(family, fixed, &chunks),
                _ => self.kernel::<i64>(family, fixed, &chunks),
            };
            let blockwise = Blockwise {
                name: call.op.into(),
                kernel,
                maps,
                out: Meta { dtype: self.dtype, chunks },
                out_bytes: None,
                scratch_bytes: 0,
            };
            let inputs: Vec<_> = nodes.iter().collect();
            Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &inputs)
        })
    }

    fn kernel<T: crate::array::kernels::random::Number>(
        &self,
        family: Family,
        fixed: Vec<Option<f64>>,
        chunks: &Chunks,
    ) -> Arc<dyn Kernel> {
        let (call, stream) = (self.call, self.stream);
        Arc::new(ByElementKernel::<T>::new(call, family, stream, fixed, chunks.clone()))
    }
}

fn number(parameter: &Term) -> Option<f64> {
    match parameter {
        Term::Scalar(value) => match value.cast(DType::F64) {
            Scalar::F64(value) => Some(value),
            _ => None,
        },
        Term::Array(_) => None,
    }
}

/// An array that broadcasts to `shape` in chunks that fit, and which of its blocks each block reads.
fn fitted(
    call: Call,
    node: &Arc<Node>,
    shape: &[u64],
    chunks: &Chunks,
) -> Result<(Arc<Node>, BlockMap)> {
    let own = node.known_shape(call)?;
    let fits = broadcast_shapes(call, &[&own, shape]).is_ok_and(|both| both == shape);
    if !fits {
        return Err(Error::ShapeMismatch {
            call,
            left: own,
            right: shape.to_vec(),
            remedy: "parameters have to broadcast to the shape that is drawn",
        });
    }
    let skip = shape.len() - own.len();
    let is_same = |axis: usize| own[axis] == shape[skip + axis];
    let axis = |axis| match is_same(axis) {
        true => chunks.axes()[skip + axis].clone(),
        false => AxisChunks::whole(1),
    };
    let map = |axis| if is_same(axis) { AxisMap::same(skip + axis) } else { AxisMap::At(0) };
    let node = node.in_chunks((0..own.len()).map(axis).collect())?;
    Ok((node, BlockMap::axes((0..own.len()).map(map))))
}

/// Positions that are chosen at once, at most: 32 GiB of them.
const CHOSEN_MAX: u64 = 1 << 32;

/// How elements are chosen. [`Choice::default`] chooses with replacement, all as likely.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    is_once: bool,
    weights: Option<Vec<f64>>,
}

impl Choice {
    /// Chooses each position at most once.
    #[must_use]
    pub fn without_replacement(mut self) -> Self {
        self.is_once = true;
        self
    }

    /// Chooses positions as often as these weights say, one for each; they need not add up to 1.
    #[must_use]
    pub fn weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
        self.weights = Some(weights.into());
        self
    }

    /// What draws positions of `n` one by one.
    fn draws(&self, call: Call, n: u64) -> Result<Draws> {
        check_positions(call, n)?;
        let Some(weights) = &self.weights else {
            let last = i128::from(n) - 1;
            return match last < 0 {
                true => Err(unfit(call, "n", n.to_string())),
                false => Ok(Draws::Integers(0, last)),
            };
        };
        if weights.len() as u64 != n {
            return Err(unfit(call, "weights", format!("{} weights for {n}", weights.len())));
        }
        let table = WeightedAliasIndex::new(weights.clone());
        let table = table.map_err(|error| unfit(call, "weights", error.to_string()))?;
        Ok(Draws::Weighted(Arc::new(table)))
    }

    /// `size` positions of `n`.
    fn positions(&self, call: Call, stream: Stream, n: u64, size: u64) -> Result<Vec<u64>> {
        if size > CHOSEN_MAX {
            return Err(unfit(call, "size", format!("{size}, which is too many to list")));
        }
        let (n_all, n_wanted) = (n as usize, size as usize);
        if !self.is_once {
            let source = RandomSource::new(stream, self.draws(call, n)?, DType::I64, vec![size]);
            return source.positions();
        }
        check_positions(call, n)?;
        if size > n {
            return Err(unfit(call, "size", format!("{size} of {n} without replacement")));
        }
        let mut bits = stream.bits();
        let mut chosen: Vec<u64> = match &self.weights {
            None => {
                index::sample(&mut bits, n_all, n_wanted).into_iter().map(|i| i as u64).collect()
            }
            Some(weights) if weights.len() == n_all => {
                let weight = |i: usize| weights[i];
                let chosen = index::sample_weighted(&mut bits, n_all, weight, n_wanted);
                let chosen = chosen.map_err(|error| unfit(call, "weights", error.to_string()))?;
                chosen.into_iter().map(|i| i as u64).collect()
            }
            Some(weights) => {
                return Err(unfit(call, "weights", format!("{} weights for {n}", weights.len())));
            }
        };
        if chosen.len() < n_wanted {
            return Err(unfit(call, "weights", format!("fewer than {size} that are not 0")));
        }
        chosen.shuffle(&mut bits);
        Ok(chosen)
    }
}

/// Positions are `i64`.
fn check_positions(call: Call, n: u64) -> Result<()> {
    match i64::try_from(n) {
        Ok(_) => Ok(()),
        Err(_) => Err(unfit(call, "n", format!("{n}, of which not all are int64"))),
    }
}

fn unfit(call: Call, argument: &'static str, got: String) -> Error {
    let expected = "something to choose from, with a weight of 0 or more for each";
    Error::InvalidArgument { call, argument, got, expected }
}

/// Positions of `n`, chosen.
pub(crate) fn choose(wanted: Wanted, n: u64, how: &Choice) -> Handle {
    let call = wanted.call;
    if !how.is_once {
        return wanted.draw(how.draws(call, n));
    }
    let chosen = || {
        let shape = wanted.shape.lengths(call)?;
        let size = shape.iter().try_fold(1_u64, |n, &len| n.checked_mul(len));
        let size = size.filter(|&size| size <= n);
        let size = size.ok_or_else(|| unfit(call, "shape", format!("{shape:?} of {n}")))?;
        let chosen = how.positions(call, wanted.stream, n, size)?;
        let shape: Vec<usize> = shape.iter().map(|&len| len as usize).collect();
        let chosen = chosen.into_iter().map(|i| i as i64).collect();
        ArrayD::from_shape_vec(IxDyn(&shape), chosen)
            .map_err(|error| unfit(call, "shape", error.to_string()))
    };
    match chosen() {
        Ok(chosen) => from_shared(call, chosen.into_shared(), &wanted.chunks),
        Err(error) => Handle::from_result(Err(error)),
    }
}

/// `size` of what stands along an axis, or all of it in another order.
pub(crate) fn chosen(
    call: Call,
    stream: Stream,
    x: &Handle,
    size: Option<u64>,
    axis: &AxisRef,
    how: &Choice,
) -> Handle {
    x.then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        let len = node.axis_len(call, axis)?;
        let positions = how.positions(call, stream, len, size.unwrap_or(len))?;
        take_positions(call, node, axis, positions)
    })
}
