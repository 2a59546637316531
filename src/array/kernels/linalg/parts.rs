//! Several blocks as one: what a task makes at once, and others take from it.

use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::array::chunk::{Chunk, chunk};
use crate::array::dtype::Element;
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, Load, Spill, TaskContext, Value};

/// The results of a factorization. No chunk of an array: only kernels that know it read it.
#[derive(Clone, Debug)]
pub(crate) struct Parts(pub(crate) Arc<[Block]>);

impl Parts {
    pub(crate) fn new(parts: impl IntoIterator<Item = Block>) -> Self {
        Parts(parts.into_iter().collect())
    }

    /// The parts in a block that is known to hold them.
    pub(crate) fn of(block: &Block) -> &Parts {
        block.downcast_ref::<Parts>().expect("the plan gave this input a factorization")
    }

    pub(crate) fn chunk<T: Element>(&self, part: usize) -> Chunk<T> {
        chunk(self.0[part].clone())
    }
}

impl Value for Parts {
    fn nbytes(&self) -> u64 {
        self.0.iter().map(Block::nbytes).sum()
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        Some(self)
    }
}

impl Spill for Parts {
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        let kept = |part: &Block| match part.as_spill() {
            Some(spill) => spill.save(to),
            // Without elements there is nothing to write.
            None => {
                let part = part.clone();
                Ok(Box::new(move |_: &mut dyn Read, _: &_| Ok(part.clone())) as Load)
            }
        };
        let loads: Vec<Load> = self.0.iter().map(kept).collect::<io::Result<_>>()?;
        Ok(Box::new(move |from, pool| {
            let parts: io::Result<Vec<Block>> = loads.iter().map(|load| load(from, pool)).collect();
            Ok(Block::new(Parts::new(parts?)))
        }))
    }
}

/// Gives out one part.
#[derive(Debug)]
pub(crate) struct PartKernel(pub(crate) usize);

impl Kernel for PartKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        Ok(Parts::of(&inputs.take_one(0)).0[self.0].clone())
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("part", "", self.0))
    }
}
