//! Fusion: layers whose blocks pair up one to one become one layer.
//!
//! A producer moves into its only consumer when each consumer block reads exactly one of its blocks,
//! by composing the two block maps. If the kernels can be one pass over memory they become that;
//! otherwise they run one after another in the same task. Producers that are free are copied into
//! every consumer.

use std::sync::Arc;

use super::kernel::BytesRead;
use super::layer::{Layer, LayerGraph, LayerId, LayerInput};
use super::line::{self, Line};
use super::{Block, BlockMap, Inputs, Kernel, TaskContext, Wiring};
#[cfg(feature = "dist")]
use super::{Decoder, KernelSpec, Unsendable};
use crate::error::Result;

/// How large a fused layer may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FuseLimits {
    pub(crate) n_steps_max: usize,
    pub(crate) n_inputs_max: usize,
    /// Bytes of input blocks, scratch and output of one task.
    pub(crate) task_bytes_max: u64,
    /// Whether layers that give out memory of this process stay layers of their own, because the others run
    /// elsewhere.
    pub(crate) leaves_residents: bool,
}

impl Default for FuseLimits {
    fn default() -> Self {
        FuseLimits {
            n_steps_max: 64,
            n_inputs_max: 8,
            task_bytes_max: u64::MAX,
            leaves_residents: false,
        }
    }
}

/// Fuses what can be fused; `outputs` stay layers of their own and are renumbered.
pub(crate) fn fuse(
    graph: &LayerGraph,
    outputs: &[LayerId],
    limits: FuseLimits,
) -> (LayerGraph, Vec<LayerId>) {
    let mut fusion = Fusion::new(graph, outputs, limits);
    for idx in (0..graph.layers().len()).rev() {
        fusion.absorb_producers(idx);
    }
    let (mut fused, outputs) = fusion.finish(outputs);
    fused.reserve(graph.reserved_bytes());
    (fused, outputs)
}

struct Fusion {
    /// Layers by their old number; `None` once absorbed by all their users.
    layers: Vec<Option<Layer>>,
    /// How many inputs of other layers, and outputs, still refer to each layer.
    n_uses: Vec<usize>,
    is_output: Vec<bool>,
    /// The lines that layers come from; what is fused has that of the consumer.
    lines: Vec<Option<Line>>,
    limits: FuseLimits,
}

impl Fusion {
    fn new(graph: &LayerGraph, outputs: &[LayerId], limits: FuseLimits) -> Self {
        let layers: Vec<_> = graph.layers().iter().cloned().map(Some).collect();
        let mut n_uses = vec![0; layers.len()];
        let mut is_output = vec![false; layers.len()];
        for layer in graph.layers() {
            for input in &layer.inputs {
                n_uses[input.layer.idx()] += 1;
            }
        }
        for output in outputs {
            is_output[output.idx()] = true;
            n_uses[output.idx()] += 1;
        }
        let lines = (0..layers.len()).map(|idx| graph.line(LayerId(idx as u32))).collect();
        Fusion { layers, n_uses, is_output, lines, limits }
    }

    /// Pulls producers into layer `idx` until none fits any more.
    fn absorb_producers(&mut self, idx: usize) {
        if self.n_uses[idx] == 0 {
            self.drop_layer(idx);
            return;
        }
        // A slot that was refused is tried again only when the inputs have changed.
        let mut slot = 0;
        while let Some(input) = self.layers[idx].as_ref().and_then(|l| l.inputs.get(slot)) {
            let producer = input.layer.idx();
            match self.fused(idx, slot, producer) {
                Some(layer) => {
                    self.replace(idx, layer);
                    slot = 0;
                }
                None => slot += 1,
            }
        }
    }

    /// Layer `idx` with `producer` inside, if the two may be one.
    fn fused(&self, idx: usize, slot: usize, producer: usize) -> Option<Layer> {
        let consumer = self.layers[idx].as_ref()?;
        let made = self.layers[producer].as_ref()?;
        let is_free = made.kernel.is_free();
        let map = &consumer.inputs[slot].map;
        let is_private = self.n_uses[producer] == 1
            && !self.is_output[producer]
            && map.is_injective(&consumer.grid);
        let n_steps = consumer.kernel.n_steps() + made.kernel.n_steps();
        if !(is_private || is_free)
            || n_steps > self.limits.n_steps_max
            || !map.is_single(&made.grid)
            || (self.limits.leaves_residents && made.kernel.is_resident())
        {
            return None;
        }
        let n_inputs_max = self.limits.n_inputs_max.max(consumer.inputs.len());
        let (inputs, wiring) = self.wire(consumer, slot, made, n_inputs_max)?;
        let wiring = Wiring { lines: [self.lines[producer], self.lines[idx]], ..wiring };
        let keeps_place = !made.kernel.has_numbered_blocks()
            || (consumer.grid == made.grid && map.is_identity(&consumer.grid, &made.grid));
        let absorb = || consumer.kernel.absorb(slot, &*made.kernel, &wiring);
        let absorbed = keeps_place.then(absorb).flatten();
        let one_pass = absorbed.is_some();
        if !one_pass && is_free && !is_private {
            return None;
        }
        let kernel = absorbed.unwrap_or_else(|| {
            Arc::new(Chain {
                producer: Arc::clone(&made.kernel),
                producer_map: map.clone(),
                producer_grid: Arc::clone(&made.grid),
                consumer_grid: Arc::clone(&consumer.grid),
                consumer: Arc::clone(&consumer.kernel),
                slot,
                wiring,
                names: [Arc::clone(&made.name), Arc::clone(&consumer.name)],
            })
        });
        // In one pass the producer's block is never whole in memory, unless the kernel says so.
        let between = if one_pass && !kernel.may_gather() { 0 } else { made.out_bytes };
        let scratch_bytes = consumer.scratch_bytes.max(made.scratch_bytes).saturating_add(between);
        let inputs_bytes = inputs.iter().fold(0_u64, |bytes, input| {
            bytes.saturating_add(self.layers[input.layer.idx()].as_ref().map_or(0, |l| l.out_bytes))
        });
        let task_bytes =
            inputs_bytes.saturating_add(scratch_bytes).saturating_add(consumer.out_bytes);
        if task_bytes > self.limits.task_bytes_max {
            return None;
        }
        Some(Layer {
            name: fused_name(&made.name, &consumer.name),
            grid: Arc::clone(&consumer.grid),
            kernel,
            inputs,
            block_text: Arc::clone(&consumer.block_text),
            out_bytes: consumer.out_bytes,
            scratch_bytes,
            is_estimate: consumer.is_estimate || made.is_estimate,
        })
    }

    /// The inputs of the fused layer, each once, and where the old slots are among them; `None` as soon
    /// as there are more than `n_inputs_max`.
    fn wire(
        &self,
        consumer: &Layer,
        slot: usize,
        made: &Layer,
        n_inputs_max: usize,
    ) -> Option<(Vec<LayerInput>, Wiring)> {
        let mut inputs: Vec<LayerInput> = Vec::new();
        let mut place = |input: LayerInput| {
            let known = inputs.iter().position(|other| *other == input);
            if known.is_none() {
                inputs.push(input);
            }
            let place = known.unwrap_or(inputs.len() - 1);
            (place < n_inputs_max).then_some(place)
        };
        let mut of_consumer = Vec::with_capacity(consumer.inputs.len());
        for (i, input) in consumer.inputs.iter().enumerate() {
            of_consumer.push(if i == slot { usize::MAX } else { place(input.clone())? });
        }
        let outer = &consumer.inputs[slot].map;
        let mut of_producer = Vec::with_capacity(made.inputs.len());
        for input in &made.inputs {
            let in_grid = &self.layers[input.layer.idx()].as_ref()?.grid;
            let map = input.map.compose(outer, &consumer.grid, &made.grid, in_grid)?;
            of_producer.push(place(LayerInput { layer: input.layer, map })?);
        }
        let n_slots = inputs.len();
        let lines = [None; 2];
        Some((inputs, Wiring { consumer: of_consumer, producer: of_producer, n_slots, lines }))
    }

    /// Puts the fused layer in the place of the consumer and updates who is used how often.
    fn replace(&mut self, idx: usize, layer: Layer) {
        for input in &layer.inputs {
            self.n_uses[input.layer.idx()] += 1;
        }
        let old = self.layers[idx].replace(layer).expect("a layer that is being fused exists");
        self.release(&old.inputs);
    }

    fn drop_layer(&mut self, idx: usize) {
        if let Some(layer) = self.layers[idx].take() {
            self.release(&layer.inputs);
        }
    }

    /// Layers without users go away, and with them their uses of others.
    fn release(&mut self, inputs: &[LayerInput]) {
        let mut pending: Vec<usize> = inputs.iter().map(|input| input.layer.idx()).collect();
        while let Some(idx) = pending.pop() {
            self.n_uses[idx] -= 1;
            if self.n_uses[idx] == 0 {
                let gone = self.layers[idx].take();
                pending.extend(gone.iter().flat_map(|l| &l.inputs).map(|input| input.layer.idx()));
            }
        }
    }

    /// The remaining layers, numbered anew.
    fn finish(self, outputs: &[LayerId]) -> (LayerGraph, Vec<LayerId>) {
        let mut graph = LayerGraph::default();
        let mut new_ids = Vec::with_capacity(self.layers.len());
        for (layer, line) in self.layers.into_iter().zip(self.lines) {
            new_ids.push(layer.map(|mut layer| {
                for input in &mut layer.inputs {
                    input.layer = new_ids_get(&new_ids, input.layer);
                }
                graph.make_at(line);
                graph.push(layer)
            }));
        }
        let outputs = outputs.iter().map(|id| new_ids_get(&new_ids, *id)).collect();
        (graph, outputs)
    }
}

fn new_ids_get(new_ids: &[Option<LayerId>], old: LayerId) -> LayerId {
    new_ids[old.idx()].expect("a layer that is used was kept")
}

/// How much of a fused name is kept.
const NAME_CHARS_MAX: usize = 80;

fn fused_name(producer: &Arc<str>, consumer: &Arc<str>) -> Arc<str> {
    if producer.len() + consumer.len() > NAME_CHARS_MAX {
        return if consumer.ends_with('…') {
            Arc::clone(consumer)
        } else {
            format!("{consumer} ← …").into()
        };
    }
    format!("{consumer} ← {producer}").into()
}

/// Two kernels one after another in one task.
#[derive(Debug)]
struct Chain {
    producer: Arc<dyn Kernel>,
    /// From the consumer's block to the producer's.
    producer_map: BlockMap,
    producer_grid: Arc<[u64]>,
    consumer_grid: Arc<[u64]>,
    consumer: Arc<dyn Kernel>,
    slot: usize,
    wiring: Wiring,
    /// What the producer and the consumer are called.
    names: [Arc<str>; 2],
}

impl Chain {
    /// The block of the producer that a block of the consumer reads.
    fn producer_block(&self, block: &[u64]) -> Vec<u64> {
        let linear =
            block.iter().zip(&*self.consumer_grid).fold(0, |linear, (i, n)| linear * n + i);
        let mut found = 0;
        self.producer_map.for_each(block, linear, &self.producer_grid, |block| found = block);
        super::tasks::unravel(found, &self.producer_grid)
    }
}

impl Kernel for Chain {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let mut slots: Vec<Vec<Block>> =
            (0..self.wiring.n_slots).map(|slot| inputs.take_slot(slot).collect()).collect();
        // Who comes last takes the blocks, so that the kernel may reuse their memory.
        let mut n_uses = vec![0_usize; slots.len()];
        let read = self.wiring.producer.iter().chain(&self.wiring.consumer);
        read.filter(|slot| **slot < slots.len()).for_each(|slot| n_uses[*slot] += 1);
        let of_producer = self.wiring.producer.iter().map(|&slot| {
            n_uses[slot] -= 1;
            if n_uses[slot] > 0 { slots[slot].clone() } else { std::mem::take(&mut slots[slot]) }
        });
        let of_producer: Vec<_> = of_producer.collect();
        let block = self.producer_block(task.block);
        let producer_task = TaskContext { block: &block, pool: task.pool };
        let of_producer = Inputs::from_slots(of_producer);
        let made =
            line::at(self.wiring.lines[0], || self.producer.run(&producer_task, of_producer))?;
        let mut made = Some(made);
        let of_consumer = self.wiring.consumer.iter().enumerate().map(|(slot, place)| {
            if slot == self.slot {
                made.take().into_iter().collect()
            } else {
                std::mem::take(&mut slots[*place])
            }
        });
        let of_consumer: Vec<_> = of_consumer.collect();
        let of_consumer = Inputs::from_slots(of_consumer);
        line::at(self.wiring.lines[1], || self.consumer.run(task, of_consumer))
    }

    /// What only the producer reads, and it absorbs; maybe the consumer absorbs both.
    fn absorb(
        &self,
        slot: usize,
        producer: &dyn Kernel,
        wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        let mut its_own = self.wiring.producer.iter().enumerate().filter(|(_, of)| **of == slot);
        let (Some((its_slot, _)), None) = (its_own.next(), its_own.next()) else { return None };
        if self.wiring.consumer.contains(&slot) {
            return None;
        }
        let [of_producer, of_consumer] = self.wiring.lines;
        // Where the inputs of the two in one are among all; the other way round, they are its slots.
        let mut places = Vec::new();
        let mut slot_at = |place: usize| {
            let known = places.iter().position(|other| *other == place);
            known.unwrap_or_else(|| {
                places.push(place);
                places.len() - 1
            })
        };
        let others = self.wiring.producer.iter().enumerate().map(|(i, &old)| match i == its_slot {
            true => usize::MAX,
            false => slot_at(wiring.consumer[old]),
        });
        let others = others.collect();
        let made = wiring.producer.iter().map(|&place| slot_at(place)).collect();
        let lines = [wiring.lines[0], of_producer];
        let within = Wiring { consumer: others, producer: made, n_slots: places.len(), lines };
        let made = self.producer.absorb(its_slot, producer, &within)?;
        let place = |(i, &place): (usize, &usize)| match i == self.slot {
            true => usize::MAX,
            false => wiring.consumer[place],
        };
        let consumer = self.wiring.consumer.iter().enumerate().map(place).collect();
        let lines = [of_producer, of_consumer];
        let wiring = Wiring { consumer, producer: places, n_slots: wiring.n_slots, lines };
        let is_in_place = self.consumer_grid == self.producer_grid
            && self.producer_map.is_identity(&self.consumer_grid, &self.producer_grid);
        let all = || self.consumer.absorb(self.slot, &*made, &wiring);
        if let Some(all) = is_in_place.then(all).flatten() {
            return Some(all);
        }
        Some(Arc::new(Chain {
            producer: made,
            producer_map: self.producer_map.clone(),
            producer_grid: Arc::clone(&self.producer_grid),
            consumer_grid: Arc::clone(&self.consumer_grid),
            consumer: Arc::clone(&self.consumer),
            slot: self.slot,
            wiring,
            names: self.names.clone(),
        }))
    }

    fn may_gather(&self) -> bool {
        self.producer.may_gather() || self.consumer.may_gather()
    }

    fn n_steps(&self) -> usize {
        self.producer.n_steps() + self.consumer.n_steps()
    }

    fn runs_user_code(&self) -> bool {
        self.producer.runs_user_code() || self.consumer.runs_user_code()
    }

    fn formula(&self) -> Option<String> {
        let formulas = [self.producer.formula(), self.consumer.formula()];
        if formulas.iter().all(Option::is_none) {
            return None;
        }
        let [producer, consumer] =
            [0, 1].map(|i| formulas[i].clone().unwrap_or_else(|| self.names[i].to_string()));
        Some(format!("{consumer} ← {producer}"))
    }

    fn bytes_read(&self) -> BytesRead {
        let (producer, consumer) = (self.producer.bytes_read(), self.consumer.bytes_read());
        BytesRead {
            all: producer.all.saturating_add(consumer.all),
            task_max: producer.task_max.saturating_add(consumer.task_max),
        }
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        let parts = ChainParts {
            producer: self.producer.spec()?,
            producer_map: self.producer_map.clone(),
            producer_grid: Arc::clone(&self.producer_grid),
            consumer_grid: Arc::clone(&self.consumer_grid),
            consumer: self.consumer.spec()?,
            slot: self.slot,
            wiring: self.wiring.clone(),
            names: self.names.clone(),
        };
        Ok(KernelSpec::new("chain", &parts))
    }
}

/// A [`Chain`] as data.
#[cfg(feature = "dist")]
#[derive(serde::Serialize, serde::Deserialize)]
struct ChainParts {
    producer: KernelSpec,
    producer_map: BlockMap,
    producer_grid: Arc<[u64]>,
    consumer_grid: Arc<[u64]>,
    consumer: KernelSpec,
    slot: usize,
    wiring: Wiring,
    names: [Arc<str>; 2],
}

/// Decodes a [`Chain`].
#[cfg(feature = "dist")]
pub(super) fn chain(spec: &KernelSpec, decoder: &Decoder<'_>) -> Result<Arc<dyn Kernel>> {
    let parts: ChainParts = spec.parameters()?;
    Ok(Arc::new(Chain {
        producer: decoder.kernel(&parts.producer)?,
        producer_map: parts.producer_map,
        producer_grid: parts.producer_grid,
        consumer_grid: parts.consumer_grid,
        consumer: decoder.kernel(&parts.consumer)?,
        slot: parts.slot,
        wiring: parts.wiring,
        names: parts.names,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::test_graphs::Builder;

    /// Layers that are left of a producer of so many inputs under a consumer.
    fn n_fused(n_inputs: usize) -> usize {
        let mut builder = Builder::default();
        let inputs: Vec<_> = (0..n_inputs).map(|_| builder.task("input", 1, &[])).collect();
        let made = builder.task("made", 1, &inputs);
        let used = builder.task("used", 1, &[made]);
        // Inputs that are results stay layers of their own.
        let outputs = [inputs, vec![used]].concat();
        fuse(builder.layers(), &outputs, FuseLimits::default()).0.layers().len() - n_inputs
    }

    /// Minutes, were the inputs compared with each other before they are counted.
    #[test]
    fn a_producer_of_too_many_inputs_stays() {
        assert_eq!((n_fused(8), n_fused(9), n_fused(20_000)), (1, 2, 2));
    }
}
