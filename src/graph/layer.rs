//! Symbolic layers: n tasks of one kind, said once.

use std::sync::Arc;

use super::{BlockMap, Kernel, Line};

/// The position of a layer in its [`LayerGraph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LayerId(pub(crate) u32);

impl LayerId {
    pub(crate) fn idx(self) -> usize {
        self.0 as usize
    }
}

/// Where one input slot of a layer's kernel gets its blocks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerInput {
    pub(crate) layer: LayerId,
    pub(crate) map: BlockMap,
}

/// One task for each block of `grid`, all with the same kernel.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// The operation, as users know it.
    pub(crate) name: Arc<str>,
    /// Blocks along each axis of the output.
    pub(crate) grid: Arc<[u64]>,
    pub(crate) kernel: Arc<dyn Kernel>,
    pub(crate) inputs: Vec<LayerInput>,
    /// What an output block is, for people, such as `(250, 250) float64`.
    pub(crate) block_text: Arc<str>,
    /// Bytes of the largest output block.
    pub(crate) out_bytes: u64,
    /// Bytes that the kernel uses besides its inputs and its output, at most.
    pub(crate) scratch_bytes: u64,
    /// Whether these bytes may turn out to be far fewer, so that they are no reason to refuse a task, only to let it wait.
    pub(crate) is_estimate: bool,
}

impl Layer {
    pub(crate) fn n_blocks(&self) -> u64 {
        self.grid.iter().fold(1, |n, &len| n.saturating_mul(len))
    }
}

/// Layers in topological order: inputs stand before their users.
#[derive(Clone, Debug, Default)]
pub(crate) struct LayerGraph {
    layers: Vec<Layer>,
    /// The line of the user that each layer comes from, and that of the next ones.
    lines: Vec<Option<Line>>,
    line: Option<Line>,
    /// Bytes that kernels keep for each other from task to task, at most; the budget of blocks is without them.
    reserved_bytes: u64,
}

impl LayerGraph {
    pub(crate) fn push(&mut self, layer: Layer) -> LayerId {
        debug_assert!(layer.inputs.iter().all(|input| input.layer.idx() < self.layers.len()));
        self.layers.push(layer);
        self.lines.push(self.line);
        LayerId((self.layers.len() - 1) as u32)
    }

    /// Layers that are pushed from now on come from `line`.
    pub(crate) fn make_at(&mut self, line: Option<Line>) {
        self.line = line;
    }

    /// The line of the user that a layer comes from.
    pub(crate) fn line(&self, id: LayerId) -> Option<Line> {
        self.lines[id.idx()]
    }

    /// Says that kernels keep up to `bytes` more from task to task.
    pub(crate) fn reserve(&mut self, bytes: u64) {
        self.reserved_bytes = self.reserved_bytes.saturating_add(bytes);
    }

    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.reserved_bytes
    }

    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    pub(crate) fn get_mut(&mut self, id: LayerId) -> &mut Layer {
        &mut self.layers[id.idx()]
    }

    pub(crate) fn get(&self, id: LayerId) -> &Layer {
        &self.layers[id.idx()]
    }
}
