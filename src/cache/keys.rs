//! Structural keys: operations on operations, each known by one number as long as somebody needs it.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Weak;

/// An operation as far as it decides what its blocks are, without what keeps much memory alive.
pub(crate) trait Key: Any + Send + Sync + PartialEq {
    /// Whether nothing that is made from now on can be equal to it.
    fn is_dead(&self) -> bool;
}

/// A [`Key`] of any kind of plan.
trait AnyKey: Any + Send + Sync {
    fn is_dead(&self) -> bool;
}

impl<K: Key> AnyKey for K {
    fn is_dead(&self) -> bool {
        Key::is_dead(self)
    }
}

/// The very same thing, which this does not keep.
pub(crate) struct Same(Box<dyn Alive>);

trait Alive: Send + Sync {
    fn address(&self) -> usize;

    fn is_alive(&self) -> bool;
}

impl<T: ?Sized + Send + Sync> Alive for Weak<T> {
    fn address(&self) -> usize {
        self.as_ptr().cast::<()>().addr()
    }

    fn is_alive(&self) -> bool {
        self.strong_count() > 0
    }
}

impl Same {
    pub(crate) fn new<T: ?Sized + Send + Sync + 'static>(thing: Weak<T>) -> Self {
        Same(Box::new(thing))
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.0.is_alive()
    }
}

impl PartialEq for Same {
    /// As long as there is a weak reference, nothing else gets the address.
    fn eq(&self, other: &Self) -> bool {
        self.0.address() == other.0.address()
    }
}

impl fmt::Debug for Same {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0.address())
    }
}

/// Tells a key from all others that were ever made. Inputs have lower numbers than what reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyId(u64);

struct Known {
    key: Box<dyn AnyKey>,
    inputs: Vec<KeyId>,
    hash: u64,
}

/// All keys that are known.
#[derive(Default)]
pub(super) struct Keys {
    known: BTreeMap<KeyId, Known>,
    by_hash: HashMap<u64, Vec<KeyId>>,
    next: u64,
    n_after_sweep: usize,
}

/// So few keys are looked through at every occasion.
const FEW: usize = 1 << 12;

impl Keys {
    /// The number of a key of these inputs. Equal keys have the same `hash`.
    pub(super) fn intern<K: Key>(&mut self, key: K, hash: u64, inputs: Vec<KeyId>) -> KeyId {
        // Many operations differ in their inputs alone.
        let mut hasher = DefaultHasher::new();
        (hash, &inputs).hash(&mut hasher);
        let hash = hasher.finish();
        let ids = self.by_hash.entry(hash).or_default();
        let is_same = |id: &&KeyId| {
            let known = &self.known[id];
            let other = (&*known.key as &dyn Any).downcast_ref::<K>();
            known.inputs == inputs && other == Some(&key)
        };
        if let Some(id) = ids.iter().find(is_same) {
            return *id;
        }
        let id = KeyId(self.next);
        self.next += 1;
        ids.push(id);
        self.known.insert(id, Known { key: Box::new(key), inputs, hash });
        id
    }

    pub(super) fn is_known(&self, id: KeyId) -> bool {
        self.known.contains_key(&id)
    }

    /// Whether there may be much to be forgotten.
    pub(super) fn wants_sweep(&self) -> bool {
        let n = self.known.len();
        n > 0 && (n <= FEW || n > 2 * self.n_after_sweep)
    }

    /// The keys that nothing can be equal to any more, or that have such inputs.
    pub(super) fn dead(&self) -> BTreeSet<KeyId> {
        let mut dead = BTreeSet::new();
        for (id, known) in &self.known {
            if known.key.is_dead() || known.inputs.iter().any(|input| dead.contains(input)) {
                dead.insert(*id);
            }
        }
        dead
    }

    /// Forgets all but `wanted` and what they are made of.
    pub(super) fn retain(&mut self, wanted: impl IntoIterator<Item = KeyId>) {
        let mut needed: BTreeSet<KeyId> = BTreeSet::new();
        let mut pending: Vec<KeyId> = wanted.into_iter().collect();
        while let Some(id) = pending.pop() {
            if needed.insert(id) {
                pending.extend(self.known.get(&id).into_iter().flat_map(|known| &known.inputs));
            }
        }
        self.known.retain(|id, _| needed.contains(id));
        self.by_hash.clear();
        for (id, known) in &self.known {
            self.by_hash.entry(known.hash).or_default().push(*id);
        }
        self.n_after_sweep = self.known.len();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(PartialEq)]
    enum Op {
        Number(u32),
        Same(Same),
    }

    impl Key for Op {
        fn is_dead(&self) -> bool {
            matches!(self, Op::Same(same) if !same.is_alive())
        }
    }

    #[test]
    fn equal_keys_have_one_number_and_dead_ones_go_with_what_is_made_of_them() {
        let mut keys = Keys::default();
        let memory: Arc<str> = "x".into();
        let same = || Op::Same(Same::new(Arc::downgrade(&memory)));
        let x = keys.intern(same(), 1, vec![]);
        assert_eq!(keys.intern(same(), 1, vec![]), x);
        let y = keys.intern(Op::Number(1), 2, vec![x]);
        let z = keys.intern(Op::Number(1), 2, vec![y]);
        let other = keys.intern(Op::Number(2), 3, vec![]);
        assert_eq!(keys.intern(Op::Number(1), 2, vec![x]), y);
        assert!(y != z && keys.dead().is_empty());
        keys.retain([z]);
        assert!(keys.is_known(x) && keys.is_known(y) && !keys.is_known(other));
        assert!(keys.intern(Op::Number(2), 3, vec![]) > z, "numbers are not used again");
        drop(memory);
        assert_eq!(keys.dead(), BTreeSet::from([x, y, z]));
    }
}
