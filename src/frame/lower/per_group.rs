//! The layers of columns that need all rows of their group.

use std::sync::Arc;

use polars_core::prelude::PlSmallStr;

use super::{Lowered, Lowering, STEP_ROW_BYTES};
use crate::frame::kernels::per_group::{
    AddKernel, NumberKernel, RestoreKernel, ReturnKernel, Ticket,
};
use crate::frame::op::PerGroup;
use crate::frame::show::named;
use crate::graph::{BlockMap, LayerInput, NodeId};

impl Lowering<'_> {
    /// In one task what is small, or has no keys; otherwise rows are spread by a hash of their keys, and come back to
    /// their partitions and their places there.
    pub(super) fn per_group(
        &mut self,
        id: NodeId,
        per_group: &PerGroup,
        input: &Lowered,
    ) -> Lowered {
        let PerGroup { keys, added } = per_group;
        let name = format!("over {} {}", named(keys), named(&added.exprs));
        let exprs = Arc::clone(&added.exprs);
        let n_groups = self.n_parts_for(input);
        if input.layout.n_parts == 1 || n_groups == 1 || keys.is_empty() {
            let whole = self.gathered(input);
            let layout = self.widened(id, &whole);
            let scratch = layout.index_bytes(STEP_ROW_BYTES);
            let added = self.rowwise(&name, AddKernel { exprs }, &whole, layout);
            return self.with_scratch(added, scratch);
        }
        let taken = &self.plan.meta(id).schema;
        let free = |stem: &str| -> PlSmallStr {
            let mut name = format!("__{stem}");
            while taken.contains(&name) {
                name.push('_');
            }
            name.into()
        };
        let ticket = Ticket {
            part: free("part"),
            row: free("row"),
            keys: (0..keys.len()).map(|i| free(&format!("key{i}"))).collect(),
        };
        let n_out = input.layout.n_parts;
        let mut layout = input.layout.clone();
        let extra = [&ticket.part, &ticket.row].into_iter().chain(ticket.keys.iter());
        layout.widths.extend(extra.map(|name| (name.clone(), 8.0)));
        let number = NumberKernel { ticket: ticket.clone(), keys: Arc::clone(keys) };
        let numbered = self.rowwise("number rows", number, input, layout);
        let groups = self.hash_exchange(&numbered, &ticket.keys, n_groups);
        let exchange = self.new_exchange(n_out);
        let back =
            ReturnKernel { exprs, ticket: ticket.clone(), exchange: Arc::clone(&exchange), n_out };
        let from = LayerInput { layer: groups.layer, map: BlockMap::Linear };
        let back = self.silent(&name, back, from, n_groups);
        let layout = self.widened(id, input);
        self.layers.get_mut(back).scratch_bytes = 2 * groups.layout.part_bytes();
        let barrier = self.barrier(back);
        let home = self.taken(exchange, barrier, layout.clone());
        let scratch = layout.index_bytes(STEP_ROW_BYTES);
        let restored = self.rowwise("restore order", RestoreKernel { ticket }, &home, layout);
        self.with_scratch(restored, scratch)
    }
}
