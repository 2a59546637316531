//! Concatenation: several layers as one.

use super::Block;
use super::kernel::{Inputs, Kernel, KernelSpec, TaskContext};
use crate::error::Result;

/// Passes on the one block that any of its slots holds: the kernel of concatenation.
#[derive(Debug)]
pub(crate) struct ForwardKernel;

impl Kernel for ForwardKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        Ok(inputs.take_all().next().expect("windows of a concatenation cover every block"))
    }

    fn spec(&self) -> Option<KernelSpec> {
        Some(KernelSpec { name: "forward", parameters: String::new() })
    }
}
