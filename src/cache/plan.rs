//! The keys of the operations of a plan, of whatever kind.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use super::Caching;
use super::keys::{Key, KeyId};
use crate::graph::{NodeId, Operation, Plan};

/// The keys of the operations of a plan, given inputs first. `key_of` makes what an operation is compared as, if it can be,
/// and feeds what equal ones share to the hasher.
pub(crate) fn plan_keys<O: Operation, K: Key>(
    plan: &Plan<O>,
    order: &[NodeId],
    caching: &Caching,
    mut key_of: impl FnMut(&O, &mut DefaultHasher) -> Option<K>,
) -> HashMap<NodeId, KeyId> {
    let places: HashMap<NodeId, usize> = order.iter().copied().zip(0..).collect();
    let mut op = |id: &NodeId| {
        let mut hasher = DefaultHasher::new();
        let key = key_of(plan.op(*id), &mut hasher)?;
        let inputs: Vec<usize> = plan.inputs(*id).iter().map(|input| places[input]).collect();
        Some((key, hasher.finish(), inputs))
    };
    // Files are looked at here, where no lock is held.
    let ops: Vec<_> = order.iter().map(&mut op).collect();
    let keys = order.iter().copied().zip(caching.keys_of(ops));
    keys.filter_map(|(id, key)| Some((id, key?))).collect()
}
