//! What delayed values are made of: calls of functions, values that are there, and whole arrays and frames.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::error::{Call, Result};
use crate::function::{Bound, Shared};
use crate::graph::{self, Block, Bridge, Inputs, Kernel, Operation, TaskContext, Value};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// One step of a graph of delayed values. Users' functions can't be compared: each is equal to itself.
#[derive(Clone, Debug)]
pub(crate) enum DelayedOp {
    Called(Arc<Called>),
    Ready(Arc<Ready>),
    /// All blocks of an array or of a frame as one value.
    Whole(Arc<Whole>),
}

/// An expression of delayed values.
pub(crate) type Node = graph::Node<DelayedOp>;

/// A function bound to its arguments, which is its own kernel.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    pub(crate) call: Call,
    /// The function's own name, made when it is asked for.
    pub(crate) name: fn() -> String,
    /// The name that the user gave it.
    pub(crate) named: Option<Arc<str>>,
    pub(crate) bound: Arc<Bound>,
    /// What the value takes.
    pub(crate) bytes: u64,
}

impl Called {
    pub(crate) fn name(&self) -> Arc<str> {
        self.named.clone().unwrap_or_else(|| (self.name)().into())
    }
}

/// A value that is there.
pub(crate) struct Ready(pub(crate) Shared);

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ready")
    }
}

/// A bridge whose kernel makes one value of all blocks.
#[derive(Debug)]
pub(crate) struct Whole(pub(crate) Arc<Bridge>);

/// The value of a step, with the bytes that were declared for it.
pub(crate) struct Item {
    pub(crate) value: Shared,
    pub(crate) bytes: u64,
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Value for Item {
    fn nbytes(&self) -> u64 {
        self.bytes
    }

    fn of_user(&self) -> Option<Shared> {
        Some(Arc::clone(&self.value))
    }
}

/// Functions stay tasks of their own: they are long, and one that fails is to be known by its name.
const N_STEPS: usize = usize::MAX / 4;

impl Kernel for Called {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let values: Vec<Shared> = inputs.take_all().map(|block| block.for_user()).collect();
        Ok(Block::new(Item { value: self.bound.run(&values)?, bytes: self.bytes }))
    }

    fn n_steps(&self) -> usize {
        N_STEPS
    }

    fn runs_user_code(&self) -> bool {
        true
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Err(Unsendable { call: Some(self.call), holds: "a function of this process".into() })
    }
}

impl Kernel for Ready {
    fn run(&self, _task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        // The memory is the user's.
        Ok(Block::new(Item { value: Arc::clone(&self.0), bytes: 0 }))
    }

    fn n_steps(&self) -> usize {
        N_STEPS
    }

    fn is_resident(&self) -> bool {
        true
    }
}

impl PartialEq for DelayedOp {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (DelayedOp::Called(a), DelayedOp::Called(b)) => Arc::ptr_eq(a, b),
            (DelayedOp::Ready(a), DelayedOp::Ready(b)) => Arc::ptr_eq(a, b),
            (DelayedOp::Whole(a), DelayedOp::Whole(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl fmt::Display for DelayedOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DelayedOp::Called(called) => f.write_str(&called.name()),
            DelayedOp::Ready(_) => f.write_str("value"),
            DelayedOp::Whole(whole) => f.write_str(&whole.0.name),
        }
    }
}

/// Nothing is known of a value but that there is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OneValue;

impl fmt::Display for OneValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value")
    }
}

impl Operation for DelayedOp {
    type Meta = OneValue;

    fn infer(&self, _inputs: &[&OneValue]) -> Result<OneValue> {
        Ok(OneValue)
    }

    fn bridge(&self) -> Option<&Arc<Bridge>> {
        match self {
            DelayedOp::Whole(whole) => Some(&whole.0),
            _ => None,
        }
    }

    fn fingerprint(&self, hasher: &mut impl Hasher) {
        let address = match self {
            DelayedOp::Called(called) => Arc::as_ptr(called).addr(),
            DelayedOp::Ready(ready) => Arc::as_ptr(ready).addr(),
            DelayedOp::Whole(whole) => Arc::as_ptr(whole).addr(),
        };
        address.hash(hasher);
    }
}

impl graph::Step for DelayedOp {
    type Note = ();

    fn note(&self, _inputs: &[&Arc<Node>], _meta: &OneValue) {}
}
