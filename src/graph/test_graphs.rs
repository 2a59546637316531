//! Small task graphs for tests, written as one layer a task or one layer an array.

use std::io::{self, Write};
use std::sync::Arc;

use super::{
    AxisMap, Block, BlockMap, Inputs, Kernel, Layer, LayerGraph, LayerId, LayerInput, Load, Spill,
    TaskContext, TaskGraph, Value,
};
use crate::error::Result;

/// A value that says how large it is and what it was made from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chunk {
    pub(crate) bytes: u64,
    pub(crate) digest: u64,
}

impl Value for Chunk {
    fn nbytes(&self) -> u64 {
        self.bytes
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        Some(self)
    }
}

impl Spill for Chunk {
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        to.write_all(&self.digest.to_le_bytes())?;
        let bytes = self.bytes;
        Ok(Box::new(move |from, _| {
            let mut digest = [0; 8];
            from.read_exact(&mut digest)?;
            Ok(Block::new(Chunk { bytes, digest: u64::from_le_bytes(digest) }))
        }))
    }
}

/// Hashes its inputs and its block index, so that a wrong input or order of inputs shows.
#[derive(Debug)]
pub(crate) struct Digest {
    pub(crate) bytes: u64,
    pub(crate) seed: u64,
    /// Whether the block counts as one that was read.
    pub(crate) is_read: bool,
}

impl Kernel for Digest {
    fn is_read(&self) -> bool {
        self.is_read
    }

    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let mut digest = self.seed;
        let mut mix =
            |x: u64| digest = (digest ^ x).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        task.block.iter().for_each(|&i| mix(i));
        for block in inputs.take_all() {
            mix(block.downcast_ref::<Chunk>().expect("tests pass Chunk").digest);
        }
        Ok(Block::new(Chunk { bytes: self.bytes, digest }))
    }
}

/// Builds layers of [`Digest`] kernels.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    pub(crate) layers: LayerGraph,
}

impl Builder {
    /// An array of `grid` blocks with `bytes` each that reads `inputs`.
    pub(crate) fn array(
        &mut self,
        name: &str,
        grid: &[u64],
        bytes: u64,
        inputs: &[(LayerId, BlockMap)],
    ) -> LayerId {
        let seed = name.bytes().fold(7, |h: u64, b| h.wrapping_mul(31) + u64::from(b));
        self.kernel(name, grid, bytes, Arc::new(Digest { bytes, seed, is_read: false }), inputs)
    }

    /// An array of `grid` blocks with `bytes` each that are read, and can be read again.
    pub(crate) fn source(&mut self, name: &str, grid: &[u64], bytes: u64) -> LayerId {
        let digest = Digest { bytes, seed: name.len() as u64, is_read: true };
        self.kernel(name, grid, bytes, Arc::new(digest), &[])
    }

    /// As [`array`](Self::array), with any kernel.
    pub(crate) fn kernel(
        &mut self,
        name: &str,
        grid: &[u64],
        out_bytes: u64,
        kernel: Arc<dyn Kernel>,
        inputs: &[(LayerId, BlockMap)],
    ) -> LayerId {
        let inputs =
            inputs.iter().map(|(layer, map)| LayerInput { layer: *layer, map: map.clone() });
        self.layers.push(Layer {
            name: name.into(),
            grid: grid.into(),
            kernel,
            inputs: inputs.collect(),
            block_text: "".into(),
            out_bytes,
            scratch_bytes: 0,
            is_estimate: false,
        })
    }

    /// A single task that reads other single tasks.
    pub(crate) fn task(&mut self, name: &str, bytes: u64, inputs: &[LayerId]) -> LayerId {
        let inputs: Vec<_> = inputs.iter().map(|id| (*id, BlockMap::Linear)).collect();
        self.array(name, &[1], bytes, &inputs)
    }

    /// Block by block the same grid.
    pub(crate) fn elemwise(&mut self, name: &str, bytes: u64, inputs: &[LayerId]) -> LayerId {
        let grid = Arc::clone(&self.layers.get(inputs[0]).grid);
        let inputs: Vec<_> = inputs.iter().map(|id| (*id, BlockMap::Linear)).collect();
        self.array(name, &grid, bytes, &inputs)
    }

    /// A tree over the single axis of `input`, `every` blocks at a time, down to one block.
    pub(crate) fn tree(&mut self, name: &str, bytes: u64, every: u64, input: LayerId) -> LayerId {
        let mut last = self.elemwise(name, bytes, &[input]);
        loop {
            let n = self.layers.get(last).grid[0];
            if n <= 1 {
                return last;
            }
            let map = BlockMap::axes([AxisMap::Group { axis: 0, size: every }]);
            last = self.array(name, &[n.div_ceil(every)], bytes, &[(last, map)]);
        }
    }

    pub(crate) fn layers(&self) -> &LayerGraph {
        &self.layers
    }

    /// The tasks that `outputs` need.
    pub(crate) fn expand(self, outputs: &[LayerId]) -> TaskGraph {
        TaskGraph::expand(self.layers, outputs).expect("small graphs fit")
    }
}

/// The map of a one-dimensional array's whole: every block.
pub(crate) fn all() -> BlockMap {
    BlockMap::axes([AxisMap::All])
}

/// The map of a broadcast block.
pub(crate) fn at(block: u64) -> BlockMap {
    BlockMap::axes([AxisMap::At(block)])
}

/// A random graph of `n` single tasks, with duplicate edges, whose sinks are the outputs.
pub(crate) fn random(seed: u64, n: usize) -> TaskGraph {
    let mut random = Random(seed);
    let mut builder = Builder::default();
    let mut ids: Vec<LayerId> = Vec::new();
    let mut is_read = vec![false; n];
    for i in 0..n {
        let n_inputs = if i == 0 { 0 } else { random.below(4).min(i as u64) };
        let inputs: Vec<LayerId> = (0..n_inputs)
            .map(|_| {
                let from = i - 1 - random.below((i as u64).min(12)) as usize;
                is_read[from] = true;
                ids[from]
            })
            .collect();
        let bytes = random.below(100);
        let name = format!("t{i}");
        ids.push(match n_inputs {
            0 if seed.is_multiple_of(2) => builder.source(&name, &[1], bytes),
            _ => builder.task(&name, bytes, &inputs),
        });
    }
    let outputs: Vec<LayerId> =
        ids.iter().zip(&is_read).filter(|(_, read)| !**read).map(|(id, _)| *id).collect();
    builder.expand(&outputs)
}

/// A small generator (splitmix64), so that tests need no crate and no clock.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}
