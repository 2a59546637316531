//! Picks elements by positions that are themselves computed.

use std::io::{self, Write};
use std::marker::PhantomData;

use ndarray::{ArrayD, Axis, concatenate};

use super::copy::{filled, save_array};
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::AxisChunks;
use crate::array::dtype::Element;
use crate::array::io::Strips;
use crate::error::{Call, Error, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, Load, Spill, TaskContext, Value};

/// What the positions of one block of an index found in one block of an array.
#[derive(Debug)]
struct Found<T> {
    /// Places in the index.
    places: Vec<usize>,
    /// The elements, one after another along the axis of the array.
    elements: ArrayD<T>,
    /// A position that is on no block, if there is one.
    outside: Option<i64>,
}

impl<T: Element> Value for Found<T> {
    fn nbytes(&self) -> u64 {
        (self.elements.len() * size_of::<T>() + self.places.len() * 8) as u64
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        Some(self)
    }
}

impl<T: Element> Spill for Found<T> {
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        let mut strips = Strips::new();
        let places: Vec<u64> = self.places.iter().map(|&place| place as u64).collect();
        strips.write(&places, to)?;
        let elements = save_array(&self.elements, &mut strips, to)?;
        let (n_places, outside) = (self.places.len(), self.outside);
        Ok(Box::new(move |from, _| {
            let mut strips = Strips::new();
            let places: Vec<u64> = strips.read(from, n_places)?;
            let places = places.into_iter().map(|place| place as usize).collect();
            Ok(Block::new(Found { places, elements: elements(&mut strips, from)?, outside }))
        }))
    }
}

/// The positions that are in a block of the array: slot 0 is the block, slot 1 that of the index. The grid has the
/// axis of the index in the place of the axis that is picked from, and the latter at its end.
#[derive(Debug)]
pub(crate) struct FindKernel<T> {
    pub(crate) axis: usize,
    pub(crate) from: AxisChunks,
    pub(crate) element: PhantomData<fn() -> T>,
}

impl<T: Element> Kernel for FindKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let place = task.block.last().copied().unwrap_or(0);
        let len = self.from.len().unwrap_or(0) as i64;
        let own = self.from.block_range(place).unwrap_or(0..0);
        let block = chunk::<T>(inputs.take_one(0));
        let index = chunk::<i64>(inputs.take_one(1));
        let (mut places, mut positions, mut outside) = (Vec::new(), Vec::new(), None);
        for (i, &given) in index.view().iter().enumerate() {
            let position = if given < 0 { given + len } else { given };
            match u64::try_from(position) {
                Ok(position) if own.contains(&position) => {
                    places.push(i);
                    positions.push((position - own.start) as usize);
                }
                Ok(_) if position < len => {}
                _ => outside = outside.or(Some(given)),
            }
        }
        let elements = block.view().select(Axis(self.axis), &positions);
        Ok(Block::new(Found { places, elements, outside }))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("find", T::DTYPE.name(), (self.axis, &self.from)))
    }
}

/// What some blocks of the array have for a block of the index, as if they were one.
#[derive(Debug)]
pub(crate) struct MergeFoundKernel<T> {
    pub(crate) call: Call,
    pub(crate) axis: usize,
    pub(crate) element: PhantomData<fn() -> T>,
}

impl<T: Element> Kernel for MergeFoundKernel<T> {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let blocks: Vec<Block> = inputs.take_slot(0).collect();
        let found: Option<Vec<&Found<T>>> = blocks.iter().map(Block::downcast_ref).collect();
        let broken =
            |problem: &str| Error::Internal { place: self.call.op.into(), problem: problem.into() };
        let found = found.ok_or_else(|| broken("another block"))?;
        let views: Vec<_> = found.iter().map(|found| found.elements.view()).collect();
        let elements = concatenate(Axis(self.axis), &views);
        Ok(Block::new(Found {
            places: found.iter().map(|found| &found.places[..]).collect::<Vec<_>>().concat(),
            elements: elements.map_err(|error| broken(&error.to_string()))?,
            outside: found.iter().find_map(|found| found.outside),
        }))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("merge_found", T::DTYPE.name(), self.axis))
    }
}

/// What all blocks of the array have for a block of the index.
#[derive(Debug)]
pub(crate) struct GatherKernel<T> {
    pub(crate) call: Call,
    pub(crate) axis: usize,
    /// Of the axis that is picked from.
    pub(crate) len: u64,
    /// Of the index.
    pub(crate) index: AxisChunks,
    pub(crate) element: PhantomData<fn() -> T>,
}

impl<T: Element> Kernel for GatherKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let blocks: Vec<Block> = inputs.take_slot(0).collect();
        let found: Option<Vec<&Found<T>>> = blocks.iter().map(Block::downcast_ref).collect();
        let broken =
            || Error::Internal { place: self.call.op.into(), problem: "another block".into() };
        let found = found.ok_or_else(broken)?;
        let mut shape = found.first().ok_or_else(broken)?.elements.shape().to_vec();
        if let Some(index) = found.iter().find_map(|found| found.outside) {
            let (call, axis, len) = (self.call, self.axis, self.len);
            return Err(Error::IndexOutOfBounds { call, index, axis, len });
        }
        let n = found.iter().map(|found| found.places.len()).sum();
        shape[self.axis] = self.index.block_len(task.block[self.axis]).map_or(n, |n| n as usize);
        let axis = Axis(self.axis);
        let out = filled::<T>(&shape, task.pool, |mut out| {
            for found in &found {
                for (element, &place) in found.elements.axis_iter(axis).zip(&found.places) {
                    out.index_axis_mut(axis, place).assign(&element);
                }
            }
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("gather", T::DTYPE.name(), (self.axis, self.len, &self.index)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::IxDyn;

    #[test]
    fn what_was_found_comes_back_from_disk() {
        let elements = ArrayD::from_shape_fn(IxDyn(&[2, 2]), |at| (at[0] * 2 + at[1]) as u16);
        for (elements, outside) in [(elements.clone(), None), (elements.reversed_axes(), Some(-9))]
        {
            let found = Found { places: vec![5, 0], elements: elements.clone(), outside };
            let back = Block::new(found).through_disk();
            let back: &Found<u16> = back.downcast_ref().expect("the same type");
            assert_eq!((&back.places[..], &back.elements), (&[5, 0][..], &elements));
            assert_eq!(back.outside, outside);
        }
    }
}
