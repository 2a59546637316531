//! Random matrices on which large ones are tried.

use crate::array::chunk::Chunk;
use crate::array::chunks::Chunks;
use crate::array::kernels::copy::{filled, to_usize};
use crate::error::{Error, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};

/// Independent normal numbers, each a function of the seed and of its place in the matrix.
#[derive(Debug)]
pub(crate) struct SketchKernel {
    pub(crate) seed: u64,
    pub(crate) chunks: Chunks,
}

/// A well-mixed number for each of some consecutive ones.
///
/// # Source
/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014): SplitMix64.
fn mixed(counter: u64) -> u64 {
    let x = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A uniform number above 0 and up to 1.
fn uniform(bits: u64) -> f64 {
    ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// A normal number, by the transform of Box and Muller.
fn normal(seed: u64, row: u64, column: u64) -> f64 {
    let place = mixed(mixed(mixed(seed).wrapping_add(row)).wrapping_add(column));
    let (radius, angle) = (uniform(mixed(place)), uniform(mixed(place ^ u64::MAX)));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

impl Kernel for SketchKernel {
    fn run(&self, task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        let place = self.chunks.block_shape(task.block).zip(self.chunks.block_start(task.block));
        let (shape, start) = place.ok_or_else(|| Error::Internal {
            place: "sketch".into(),
            problem: format!("a block {:?} of {}", task.block, self.chunks),
        })?;
        let out = filled::<f64>(&to_usize(&shape), task.pool, |mut out| {
            for ((i, j), out) in out
                .view_mut()
                .into_dimensionality::<ndarray::Ix2>()
                .expect("a matrix")
                .indexed_iter_mut()
            {
                *out = normal(self.seed, start[0] + i as u64, start[1] + j as u64);
            }
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("sketch", "float64", (self.seed, &self.chunks)))
    }
}
