//! From delayed values to layers: each is a layer of one task.

use std::sync::Arc;

use super::op::{Called, DelayedOp, Node};
use crate::compute::Watch;
use crate::error::{Error, Result};
use crate::graph::{
    AxisMap, BlockMap, Bridge, Crossings, ExpressionId, Kernel, Layer, LayerGraph, LayerId,
    LayerInput, Lower, NodeId, Plan, Trace, import,
};

/// Plans some values together. There is nothing to rewrite: what functions do is known to nobody.
pub(crate) fn plan_all(nodes: Vec<Arc<Node>>, watch: &mut dyn Watch) -> impl Lower + use<> {
    let roots = nodes.iter().map(ExpressionId::of).collect();
    let plan = import(&nodes);
    drop(nodes);
    watch.on_imported(&plan);
    watch.on_optimized(&plan, &Trace::default());
    let order = plan.topological();
    let texts = Texts { grid: [].into(), block: "one value".into() };
    let done = vec![None; order.len()];
    Planned { plan, order, roots, texts, done }
}

struct Planned {
    plan: Plan<DelayedOp>,
    /// What is not lowered yet, inputs first.
    order: Vec<NodeId>,
    roots: Vec<ExpressionId>,
    texts: Texts,
    /// The layers of those that are, by the position of their nodes.
    done: Vec<Option<LayerId>>,
}

/// What all layers share.
struct Texts {
    grid: Arc<[u64]>,
    block: Arc<str>,
}

impl Lower for Planned {
    fn lower(&mut self, layers: &mut LayerGraph, crossings: &mut Crossings) -> Result<usize> {
        let mut waiting = Vec::new();
        let n_before = self.order.len();
        for id in std::mem::take(&mut self.order) {
            let is_done = |id: &NodeId| self.done[id.idx()].is_some();
            if crossings.is_ready(&self.plan, id, is_done) {
                let layer = self.layer(id, layers, crossings)?;
                layers.make_at(self.plan.line(id));
                self.done[id.idx()] = Some(layers.push(layer));
            } else {
                waiting.push(id);
            }
        }
        self.order = waiting;
        for (root, expression) in self.plan.roots().iter().zip(&self.roots) {
            if let Some(layer) = self.done[root.idx()] {
                crossings.insert(*expression, layer);
            }
        }
        Ok(n_before - self.order.len())
    }

    fn outputs(&self) -> Option<Vec<LayerId>> {
        self.plan.roots().iter().map(|root| self.done[root.idx()]).collect()
    }
}

impl Planned {
    fn layer(&self, id: NodeId, layers: &LayerGraph, crossings: &Crossings) -> Result<Layer> {
        match self.plan.op(id) {
            DelayedOp::Called(called) => Ok(self.called(id, called, layers)),
            DelayedOp::Ready(ready) => {
                let kernel = Arc::clone(ready) as Arc<dyn Kernel>;
                Ok(self.one("value".into(), kernel, Vec::new(), [0, 0]))
            }
            DelayedOp::Whole(whole) => self.whole(&whole.0, layers, crossings),
        }
    }

    fn called(&self, id: NodeId, called: &Arc<Called>, layers: &LayerGraph) -> Layer {
        let layer_of = |id: &NodeId| self.done[id.idx()].expect("inputs are lowered first");
        let input = |id: &NodeId| LayerInput { layer: layer_of(id), map: BlockMap::Linear };
        let inputs: Vec<LayerInput> = self.plan.inputs(id).iter().map(input).collect();
        // Lists are made of clones.
        let bytes = inputs.iter().map(|input| layers.get(input.layer).out_bytes);
        let scratch = if called.bound.has_lists() { bytes.fold(0, u64::saturating_add) } else { 0 };
        let kernel = Arc::clone(called) as Arc<dyn Kernel>;
        self.one(called.name(), kernel, inputs, [called.bytes, scratch])
    }

    fn whole(&self, bridge: &Bridge, layers: &LayerGraph, crossings: &Crossings) -> Result<Layer> {
        let layer = crossings.layer_behind(bridge).ok_or_else(|| Error::Internal {
            place: "lower".into(),
            problem: "a bridge to nowhere".into(),
        })?;
        let all = layers.get(layer).grid.iter().map(|_| AxisMap::All);
        let inputs = vec![LayerInput { layer, map: BlockMap::axes(all) }];
        // How large a frame is may be known only now.
        let source = layers.get(layer);
        let all_bytes = source.out_bytes.saturating_mul(source.n_blocks());
        let bytes = [bridge.out_bytes, bridge.scratch_bytes].map(|bytes| bytes.min(all_bytes));
        let kernel = Arc::clone(&bridge.kernel);
        let made = self.one(Arc::clone(&bridge.name), kernel, inputs, bytes);
        Ok(Layer { is_estimate: source.is_estimate, ..made })
    }

    /// A layer of one task.
    fn one(
        &self,
        name: Arc<str>,
        kernel: Arc<dyn Kernel>,
        inputs: Vec<LayerInput>,
        [out_bytes, scratch_bytes]: [u64; 2],
    ) -> Layer {
        Layer {
            name,
            grid: Arc::clone(&self.texts.grid),
            kernel,
            inputs,
            block_text: Arc::clone(&self.texts.block),
            out_bytes,
            scratch_bytes,
            is_estimate: false,
        }
    }
}
