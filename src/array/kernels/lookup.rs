//! Looks elements up in a block of others.

use std::marker::PhantomData;

use ndarray::Axis;

use super::ordered::Ordered;
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::NO_GROUP;
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// What to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Lookup {
    /// How many of the others, which are sorted, are less.
    Less,
    /// How many of the others, which are sorted, are less or equal.
    LessOrEqual,
    /// Whether it is one of the others.
    IsIn,
    /// Which of the others, which are sorted, it is; [`NO_GROUP`] if it is none. The result has no new axis.
    Place,
}

/// Looks the elements of slot 0 up in the vector of slot 1. The result has a new last axis of length 1,
/// along which the results for all vectors stand.
#[derive(Debug)]
pub(crate) struct LookupKernel<T> {
    lookup: Lookup,
    element: PhantomData<fn() -> T>,
}

impl<T: Ordered> LookupKernel<T> {
    pub(crate) fn new(lookup: Lookup) -> Self {
        LookupKernel { lookup, element: PhantomData }
    }
}

impl<T: Ordered> Kernel for LookupKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = chunk::<T>(inputs.take_one(0));
        let mut others: Vec<T> = chunk::<T>(inputs.take_one(1)).view().iter().copied().collect();
        let last = Axis(block.view().ndim());
        if self.lookup == Lookup::IsIn {
            // Nothing equals NaN.
            others.retain(|x| !x.is_nan());
            others.sort_unstable_by(Ordered::order);
            let found = block.view().mapv(|x| others.binary_search_by(|y| y.order(&x)).is_ok());
            return Ok(Block::new(Chunk::new(found.insert_axis(last), task.pool)));
        }
        if self.lookup == Lookup::Place {
            let place =
                |x: T| others.binary_search_by(|y| y.order(&x)).map_or(NO_GROUP, |i| i as u32);
            return Ok(Block::new(Chunk::new(block.view().mapv(place), task.pool)));
        }
        let is_before = |y: &T, x: &T| match self.lookup {
            Lookup::Less => y.order(x).is_lt(),
            _ => y.order(x).is_le(),
        };
        let found = block.view().mapv(|x| others.partition_point(|y| is_before(y, &x)) as i64);
        Ok(Block::new(Chunk::new(found.insert_axis(last), task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("lookup", T::DTYPE.name(), self.lookup))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("lookup", &(T::DTYPE, self.lookup)))
    }
}
