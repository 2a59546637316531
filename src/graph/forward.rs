//! Concatenation: several layers as one.

#[cfg(feature = "dist")]
use std::sync::Arc;

use super::Block;
use super::kernel::{Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use super::{Decoder, KernelSpec, Unsendable};
use crate::error::Result;

/// Passes on the one block that any of its slots holds: the kernel of concatenation.
#[derive(Debug)]
pub(crate) struct ForwardKernel;

impl Kernel for ForwardKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        Ok(inputs.take_all().next().expect("windows of a concatenation cover every block"))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("forward", &()))
    }
}

/// Decodes a [`ForwardKernel`].
#[cfg(feature = "dist")]
pub(super) fn forward(spec: &KernelSpec, _: &Decoder<'_>) -> Result<Arc<dyn Kernel>> {
    spec.parameters::<()>()?;
    Ok(Arc::new(ForwardKernel))
}
