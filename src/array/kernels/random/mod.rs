//! Arrays of random numbers, made box by box.
//!
//! An element is a function of a stream of bits and of its number in the array, and of nothing else.

mod by_element;
mod family;
mod hypergeometric;
mod stream;

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewMutD, Axis, IxDyn};
use rand::distr::StandardUniform;
use rand::distr::uniform::{SampleUniform, Uniform};
use rand_distr::Distribution;
use rand_distr::weighted::WeightedAliasIndex;

use crate::array::any::{AnyElement, AnyViewMut};
use crate::array::dtype::{DType, Element};
#[cfg(feature = "dist")]
use crate::array::io::Origin;
use crate::array::io::Source;
use crate::error::{Error, Result};

pub(crate) use by_element::ByElementKernel;
pub(crate) use family::{Checked, Family, Invalid, Number};
pub(crate) use stream::Stream;

use family::Draw;
use stream::{Bits, TILE};

/// What is drawn.
#[derive(Clone, Debug)]
pub(crate) enum Draws {
    /// Numbers from 0 to 1, of which 1 is none.
    Unit,
    /// A family with its parameters.
    Family(Family, Arc<[f64]>),
    /// Integers from the first to the last, all as likely.
    Integers(i128, i128),
    /// Positions that are as likely as their weights say.
    Weighted(Arc<WeightedAliasIndex<f64>>),
}

/// Those of [`Draws`] that have a form in bytes.
#[cfg(feature = "dist")]
#[derive(serde::Serialize, serde::Deserialize)]
enum Sent {
    Unit,
    Family(Family, Arc<[f64]>),
    Integers(i128, i128),
}

/// An array of random numbers as something to be read.
#[derive(Debug)]
pub(crate) struct RandomSource {
    stream: Stream,
    draws: Draws,
    dtype: DType,
    shape: Vec<u64>,
}

impl RandomSource {
    pub(crate) fn new(stream: Stream, draws: Draws, dtype: DType, shape: Vec<u64>) -> Self {
        RandomSource { stream, draws, dtype, shape }
    }

    /// The elements of a vector of positions, all at once.
    pub(crate) fn positions(&self) -> Result<Vec<u64>> {
        let len = self.shape.first().copied().unwrap_or(1);
        let mut drawn = ArrayD::<i64>::zeros(IxDyn(&[len as usize]));
        self.read(&[0], i64::to_any_view(drawn.view_mut()))?;
        Ok(drawn.into_iter().map(|i| i as u64).collect())
    }

    /// What [`origin`](Source::origin) has written.
    #[cfg(feature = "dist")]
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let wrong = |problem: &str| crate::graph::undecodable("random numbers", problem);
        let decoded = postcard::from_bytes::<(Stream, Sent, DType, Vec<u64>)>(bytes);
        let (stream, sent, dtype, shape) = decoded.map_err(|error| wrong(&error.to_string()))?;
        let draws = match sent {
            Sent::Unit => Draws::Unit,
            Sent::Integers(first, last) => Draws::Integers(first, last),
            Sent::Family(family, parameters) => {
                let fits = parameters.len() == family.parameters().len();
                if !fits || family.draw(&parameters, Checked).is_err() {
                    return Err(wrong("a family does not have these parameters"));
                }
                Draws::Family(family, parameters)
            }
        };
        Ok(RandomSource { stream, draws, dtype, shape })
    }

    fn wrong(&self, problem: &str) -> Error {
        Error::Internal { place: self.name(), problem: problem.into() }
    }

    fn fill<T: Element>(
        &self,
        start: &[u64],
        out: ArrayViewMutD<'_, T>,
        draw: impl Fn(&mut Bits) -> T,
    ) -> Result<()> {
        let strides = strides(&self.shape);
        let mut fill = |first, run: &mut [T]| self.stream.fill(first, run, &draw);
        fill_box(&strides, number(&strides, start), out, &mut fill);
        Ok(())
    }

    /// Draws floats, or whole numbers of a family.
    fn numbers<T: Number>(&self, start: &[u64], out: ArrayViewMutD<'_, T>) -> Result<()>
    where
        StandardUniform: Distribution<T>,
    {
        struct Fill<'s, 'o, T>(&'s RandomSource, &'s [u64], ArrayViewMutD<'o, T>);
        impl<T: Number> Draw for Fill<'_, '_, T> {
            type Out = Result<()>;
            fn with(self, draw: impl Fn(&mut Bits) -> f64) -> Result<()> {
                self.0.fill(self.1, self.2, |bits| T::of(draw(bits)))
            }
        }
        match &self.draws {
            // Not through `f64`, of which the last before 1 rounds to 1.
            Draws::Unit => self.fill(start, out, |bits| StandardUniform.sample(bits)),
            Draws::Family(family, parameters) => {
                let drawn = family.draw(parameters, Fill(self, start, out));
                drawn.map_err(|Invalid| self.wrong("parameters that were checked"))?
            }
            _ => Err(self.wrong("no distribution of floats")),
        }
    }

    fn integers<T>(&self, start: &[u64], out: ArrayViewMutD<'_, T>) -> Result<()>
    where
        T: Element + SampleUniform + TryFrom<i128>,
    {
        let bound = |x: i128| T::try_from(x).ok();
        let Draws::Integers(first, last) = self.draws else {
            return Err(self.wrong("no distribution of integers"));
        };
        let ends = bound(first).zip(bound(last));
        let range = ends.and_then(|(first, last)| Uniform::new_inclusive(first, last).ok());
        let range = range.ok_or_else(|| self.wrong("a range that was checked"))?;
        self.fill(start, out, |bits| range.sample(bits))
    }
}

impl Source for RandomSource {
    fn name(&self) -> String {
        match &self.draws {
            Draws::Unit => "random".into(),
            Draws::Family(family, parameters) => {
                let texts: Vec<_> = parameters.iter().map(f64::to_string).collect();
                format!("{}({})", family.name(), texts.join(", "))
            }
            Draws::Integers(first, last) => format!("integers({first}..={last})"),
            Draws::Weighted(_) => "choice".into(),
        }
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The stream and what is drawn from it say all, but for tables of weights, which are too long.
    fn version(&self) -> Option<String> {
        let is_table = matches!(self.draws, Draws::Weighted(_));
        (!is_table).then(|| format!("random {self:?}"))
    }

    fn is_computed(&self) -> bool {
        true
    }

    /// Everywhere: elements are a function of what is sent. Only tables of weights are not.
    #[cfg(feature = "dist")]
    fn origin(&self) -> Option<Origin> {
        let draws = match &self.draws {
            Draws::Unit => Sent::Unit,
            Draws::Family(family, parameters) => Sent::Family(*family, Arc::clone(parameters)),
            Draws::Integers(first, last) => Sent::Integers(*first, *last),
            Draws::Weighted(_) => return None,
        };
        let what = (self.stream, draws, self.dtype, &self.shape);
        Some(Origin::Random(crate::graph::encoded(&what)))
    }

    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        match out {
            AnyViewMut::F32(out) => self.numbers(start, out),
            AnyViewMut::F64(out) => self.numbers(start, out),
            AnyViewMut::I64(out) => match &self.draws {
                Draws::Weighted(table) => self.fill(start, out, |bits| table.sample(bits) as i64),
                Draws::Family(..) => self.numbers(start, out),
                _ => self.integers(start, out),
            },
            AnyViewMut::I8(out) => self.integers(start, out),
            AnyViewMut::I16(out) => self.integers(start, out),
            AnyViewMut::I32(out) => self.integers(start, out),
            AnyViewMut::U8(out) => self.integers(start, out),
            AnyViewMut::U16(out) => self.integers(start, out),
            AnyViewMut::U32(out) => self.integers(start, out),
            AnyViewMut::U64(out) => self.integers(start, out),
            _ => Err(self.wrong("no distribution of such elements")),
        }
    }
}

/// How far apart in C order the elements are that are neighbours along each axis.
fn strides(shape: &[u64]) -> Vec<u64> {
    let mut strides = vec![1_u64; shape.len()];
    for axis in (1..shape.len()).rev() {
        // Only an array without elements has strides that wrap.
        strides[axis - 1] = strides[axis].wrapping_mul(shape[axis]);
    }
    strides
}

/// Fills a box that begins with number `first`, in runs as long as the box and memory allow.
fn fill_box<T: Element>(
    strides: &[u64],
    first: u64,
    mut out: ArrayViewMutD<'_, T>,
    fill: &mut dyn FnMut(u64, &mut [T]),
) {
    // Whether what is beside each other in the box is so in the array.
    let mut lens = out.shape().iter().rev().zip(strides.iter().rev());
    let mut n = 1;
    let is_run = lens.all(|(&len, &stride)| {
        let fits = stride == n || len <= 1;
        n *= len as u64;
        fits
    });
    if is_run && let Some(run) = out.as_slice_mut() {
        return fill(first, run);
    }
    if out.ndim() > 1 {
        for (i, part) in out.axis_iter_mut(Axis(0)).enumerate() {
            fill_box(&strides[1..], first + i as u64 * strides[0], part, fill);
        }
        return;
    }
    // Elements with gaps between them.
    let mut tile = [T::default(); TILE as usize];
    for (i, mut part) in out.axis_chunks_iter_mut(Axis(0), tile.len()).enumerate() {
        let drawn = &mut tile[..part.len()];
        fill(first + i as u64 * TILE, drawn);
        part.iter_mut().zip(drawn).for_each(|(out, &mut x)| *out = x);
    }
}

/// The number of an element in C order.
fn number(strides: &[u64], index: &[u64]) -> u64 {
    strides.iter().zip(index).fold(0, |n, (stride, i)| n + stride.wrapping_mul(*i))
}
