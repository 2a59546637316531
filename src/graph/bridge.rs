//! Where a plan of one kind reads blocks that a plan of another kind makes.
//!
//! Arrays and frames have plans of their own. A leaf of one that stands for an expression of the other is a
//! [`Bridge`]: both are lowered into the same layers, so that what they share runs once.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
#[cfg(all(feature = "array", feature = "frame"))]
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::{
    AxisMap, BlockMap, Kernel, Layer, LayerGraph, LayerId, LayerInput, Node, NodeId, Operation,
    Plan, Step,
};
use crate::error::{Error, Result};

/// An expression of another kind, and how its blocks become blocks of this kind.
pub(crate) struct Bridge {
    /// What users know it as.
    pub(crate) name: Arc<str>,
    /// The expression, a `Node<_>`.
    pub(crate) from: Arc<dyn Any + Send + Sync>,
    pub(crate) expression: ExpressionId,
    /// Makes a block of all blocks that it is given.
    pub(crate) kernel: Arc<dyn Kernel>,
    /// Bytes of the largest block.
    pub(crate) out_bytes: u64,
    pub(crate) scratch_bytes: u64,
}

thread_local! {
    /// Expressions that wait to be dropped, while a bridge is dropped on this thread.
    static DROPPED: RefCell<Option<Vec<Arc<dyn Any + Send + Sync>>>> = const { RefCell::new(None) };
}

impl Drop for Bridge {
    /// Drops an expression that crosses bridges any number of times in a loop, as a chain of nodes.
    fn drop(&mut self) {
        let from = std::mem::replace(&mut self.from, Arc::new(()));
        // A thread that ends has no list any more; what is left is dropped at once.
        let is_outermost = DROPPED.try_with(move |waiting| {
            let mut waiting = waiting.borrow_mut();
            let is_first = waiting.is_none();
            waiting.get_or_insert_default().push(from);
            is_first
        });
        if is_outermost != Ok(true) {
            return;
        }
        while let Some(next) = DROPPED.with_borrow_mut(|waiting| waiting.as_mut()?.pop()) {
            drop(next);
        }
        DROPPED.set(None);
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Bridge {
    /// The layer of `grid` over `source`. Blocks along the first axis are given in their order to those of the
    /// result, one each if there are as many; of other axes each takes all.
    pub(crate) fn layer(
        &self,
        layers: &LayerGraph,
        source: LayerId,
        grid: &[u64],
        block_text: Arc<str>,
    ) -> Layer {
        let n_in = &layers.get(source).grid;
        // What has no axes, such as a delayed value, is one block.
        let along_first = |grid: &[u64]| grid.first().copied().unwrap_or(1);
        let (n, n_out) = (along_first(n_in), along_first(grid));
        let bound = |i: u64| (u128::from(i) * u128::from(n) / u128::from(n_out)) as u64;
        let first = match n == n_out {
            true => AxisMap::same(0),
            // How many blocks there are may only be known when the source is lowered.
            false => {
                let ranges = (0..n_out).map(|i| (bound(i), bound(i + 1))).collect();
                AxisMap::Ranges { axis: 0, ranges }
            }
        };
        let others = n_in.iter().skip(1).map(|_| AxisMap::All);
        let map = BlockMap::axes(std::iter::once(first).chain(others).take(n_in.len()));
        Layer {
            name: Arc::clone(&self.name),
            grid: grid.into(),
            kernel: Arc::clone(&self.kernel),
            inputs: vec![LayerInput { layer: source, map }],
            block_text,
            out_bytes: self.out_bytes.saturating_mul(n.div_ceil(n_out.max(1)).max(1)),
            scratch_bytes: self.scratch_bytes,
            is_estimate: layers.get(source).is_estimate,
        }
    }
}

/// Tells one expression from all others that were ever made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExpressionId(u64);

impl ExpressionId {
    pub(crate) fn of<S: Step>(expression: &Arc<Node<S>>) -> Self {
        ExpressionId(expression.serial)
    }

    /// The same as a number, which is no other one's that is made of a serial.
    #[cfg(all(feature = "array", feature = "frame"))]
    pub(crate) fn token(self) -> u64 {
        let mut hasher = DefaultHasher::new();
        ("bridge", self.0).hash(&mut hasher);
        hasher.finish()
    }
}

/// The layers of the expressions that bridges lead to, as far as these are lowered.
#[derive(Debug, Default)]
pub(crate) struct Crossings(HashMap<ExpressionId, LayerId>);

impl Crossings {
    /// Says where the blocks of an expression are.
    pub(crate) fn insert(&mut self, expression: ExpressionId, layer: LayerId) {
        self.0.insert(expression, layer);
    }

    /// Where the blocks are from which a bridge makes its own.
    pub(crate) fn layer_behind(&self, bridge: &Bridge) -> Option<LayerId> {
        self.0.get(&bridge.expression).copied()
    }

    /// Whether an operation can be lowered, given which others are.
    pub(crate) fn is_ready<O: Operation>(
        &self,
        plan: &Plan<O>,
        id: NodeId,
        is_lowered: impl Fn(&NodeId) -> bool,
    ) -> bool {
        plan.inputs(id).iter().all(is_lowered)
            && plan.op(id).bridge().is_none_or(|bridge| self.layer_behind(bridge).is_some())
    }
}

/// A plan on its way to layers.
pub(crate) trait Lower {
    /// Lowers all operations of which everything is there that they read; says how many these were.
    fn lower(&mut self, layers: &mut LayerGraph, crossings: &mut Crossings) -> Result<usize>;

    /// The layers of the results, once all are there.
    fn outputs(&self) -> Option<Vec<LayerId>>;
}

/// Lowers plans that read each other's blocks, in turns.
pub(crate) fn lower_together(plans: &mut [Box<dyn Lower>], layers: &mut LayerGraph) -> Result<()> {
    let mut crossings = Crossings::default();
    while plans.iter().any(|plan| plan.outputs().is_none()) {
        let mut n_lowered = 0;
        for plan in &mut *plans {
            n_lowered += plan.lower(layers, &mut crossings)?;
        }
        if n_lowered == 0 {
            return Err(Error::Internal {
                place: "lower".into(),
                problem: "plans wait for each other".into(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ForwardKernel;

    fn layer_over(n_in: &[u64], grid: &[u64]) -> Layer {
        let mut layers = LayerGraph::default();
        let kernel: Arc<dyn Kernel> = Arc::new(ForwardKernel);
        let bridge = Bridge {
            name: "test".into(),
            from: Arc::new(()),
            expression: ExpressionId(0),
            kernel: Arc::clone(&kernel),
            out_bytes: 10,
            scratch_bytes: 0,
        };
        let source = layers.push(Layer {
            name: "source".into(),
            grid: n_in.into(),
            kernel,
            inputs: vec![],
            block_text: "".into(),
            out_bytes: 0,
            scratch_bytes: 0,
            is_estimate: false,
        });
        bridge.layer(&layers, source, grid, "".into())
    }

    #[test]
    fn blocks_of_any_number_are_given_out_in_order() {
        let same = layer_over(&[3, 2], &[3]);
        assert_eq!(same.inputs[0].map, BlockMap::axes([AxisMap::same(0), AxisMap::All]));
        for (n_in, n_out) in [(7, 3), (2, 5), (1, 4), (6, 2)] {
            let layer = layer_over(&[n_in], &[n_out, 1]);
            let BlockMap::Axes(axes) = &layer.inputs[0].map else { panic!() };
            let AxisMap::Ranges { axis: 0, ranges } = &axes[0] else { panic!("{axes:?}") };
            assert_eq!((ranges[0].0, ranges[ranges.len() - 1].1), (0, n_in));
            assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0));
            assert_eq!(layer.out_bytes, 10 * n_in.div_ceil(n_out));
        }
    }
}
