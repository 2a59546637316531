//! Plans: an arena of operations that rules rewrite.
//!
//! A plan is a DAG, not a tree: what two results share stands there once, because equal operations on
//! equal inputs are merged as they are added. Nodes are only ever appended; a replaced
//! node stays in the arena without users. Every walk is a loop, so a chain of any length is fine.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::{Bridge, Line};
use crate::error::{Error, Result};

/// What the nodes of a plan are made of.
pub(crate) trait Operation: Clone + PartialEq + fmt::Debug {
    /// What is known of a result before it is computed.
    type Meta: Clone + PartialEq + fmt::Debug;

    /// The meta of this operation's result.
    fn infer(&self, inputs: &[&Self::Meta]) -> Result<Self::Meta>;

    /// The way to an expression of another kind, if this reads its blocks.
    fn bridge(&self) -> Option<&Arc<Bridge>> {
        None
    }

    /// Feeds something that equal operations share to `hasher`.
    fn fingerprint(&self, hasher: &mut impl Hasher);
}

/// The position of a node in its [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) u32);

impl NodeId {
    pub(crate) fn idx(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug)]
struct PlanNode<O: Operation> {
    op: O,
    inputs: Vec<NodeId>,
    meta: O::Meta,
    /// Live nodes that read this one, and how often. Removing one of many is cheap.
    users: BTreeMap<NodeId, u32>,
    /// Where this node stands among the roots.
    root_places: Vec<u32>,
    /// Whether a root needs this node; only live nodes stand among the users of their inputs.
    live: bool,
    /// The line of the user that it comes from.
    line: Option<Line>,
}

/// An arena DAG of operations with its results, the roots.
#[derive(Debug)]
pub(crate) struct Plan<O: Operation> {
    nodes: Vec<PlanNode<O>>,
    roots: Vec<NodeId>,
    by_fingerprint: HashMap<u64, Vec<NodeId>, BuildHasherDefault<DefaultHasher>>,
    /// The line that new nodes come from.
    line: Option<Line>,
}

impl<O: Operation> Default for Plan<O> {
    fn default() -> Self {
        Plan {
            nodes: Vec::new(),
            roots: Vec::new(),
            by_fingerprint: HashMap::default(),
            line: None,
        }
    }
}

impl<O: Operation> Plan<O> {
    /// Adds an operation, or finds the node that already does the same.
    ///
    /// A node gets users only when a live node or a root needs it.
    pub(crate) fn push(&mut self, op: O, inputs: &[NodeId]) -> Result<NodeId> {
        let key = self.key(&op, inputs);
        if let Some(id) = self.find(key, &op, inputs) {
            return Ok(id);
        }
        let metas: Vec<_> = inputs.iter().map(|id| &self.nodes[id.idx()].meta).collect();
        let meta = op.infer(&metas)?;
        Ok(self.append(key, op, inputs, meta))
    }

    /// [`push`](Self::push) for an operation whose meta is known, which saves inferring it.
    pub(crate) fn push_with_meta(&mut self, op: O, inputs: &[NodeId], meta: O::Meta) -> NodeId {
        let key = self.key(&op, inputs);
        self.find(key, &op, inputs).unwrap_or_else(|| self.append(key, op, inputs, meta))
    }

    /// Marks a node as a result. Results are returned in the order of these calls.
    pub(crate) fn add_root(&mut self, id: NodeId) {
        self.nodes[id.idx()].root_places.push(self.roots.len() as u32);
        self.roots.push(id);
        self.enliven(id);
    }

    pub(crate) fn roots(&self) -> &[NodeId] {
        &self.roots
    }

    pub(crate) fn op(&self, id: NodeId) -> &O {
        &self.nodes[id.idx()].op
    }

    pub(crate) fn inputs(&self, id: NodeId) -> &[NodeId] {
        &self.nodes[id.idx()].inputs
    }

    pub(crate) fn meta(&self, id: NodeId) -> &O::Meta {
        &self.nodes[id.idx()].meta
    }

    /// The line of the user that `id` comes from.
    pub(crate) fn line(&self, id: NodeId) -> Option<Line> {
        self.nodes[id.idx()].line
    }

    /// Nodes that are new from now on come from `line`.
    pub(crate) fn make_at(&mut self, line: Option<Line>) {
        self.line = line;
    }

    /// Says that `new`, which a rule has made, does what `old` did.
    #[cfg_attr(not(feature = "frame"), expect(dead_code, reason = "only rules of frames are told"))]
    pub(crate) fn inherit_line(&mut self, new: NodeId, old: NodeId) {
        self.nodes[new.idx()].line = self.nodes[old.idx()].line;
    }

    /// The new nodes from number `first` on, which stand for `old` and some of its inputs, get the lines of those that are
    /// of their kind, or else that of `old`.
    pub(crate) fn inherit_lines(&mut self, first: usize, old: NodeId) {
        let below = self.nodes[old.idx()].inputs.clone();
        for new in first..self.nodes.len() {
            let kind = std::mem::discriminant(&self.nodes[new].op);
            let alike = |id: &NodeId| std::mem::discriminant(&self.nodes[id.idx()].op) == kind;
            let from = std::iter::once(&old).chain(&below).copied().find(alike).unwrap_or(old);
            let line = self.nodes[from.idx()].line;
            let new = &mut self.nodes[new];
            new.line = new.line.or(line);
        }
    }

    /// How many nodes there are, live or not.
    pub(crate) fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The live nodes that read `id`, each once.
    pub(crate) fn users(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes[id.idx()].users.keys().copied()
    }

    /// Whether `id` is wanted by nobody but one reader, so that changing it changes nothing else.
    pub(crate) fn has_one_user(&self, id: NodeId) -> bool {
        let node = &self.nodes[id.idx()];
        let n_reads = node.users.values().take(2).map(|n| *n as usize).sum::<usize>();
        n_reads + node.root_places.len() <= 1
    }

    pub(crate) fn is_root(&self, id: NodeId) -> bool {
        !self.nodes[id.idx()].root_places.is_empty()
    }

    pub(crate) fn is_live(&self, id: NodeId) -> bool {
        self.nodes[id.idx()].live
    }

    /// The live nodes, inputs before users.
    pub(crate) fn topological(&self) -> Vec<NodeId> {
        let mut state = vec![Visit::New; self.nodes.len()];
        let mut order = Vec::new();
        let mut stack: Vec<NodeId> = self.roots.iter().rev().copied().collect();
        while let Some(&id) = stack.last() {
            match state[id.idx()] {
                Visit::New => {
                    state[id.idx()] = Visit::Open;
                    let inputs = &self.nodes[id.idx()].inputs;
                    stack.extend(inputs.iter().rev().filter(|i| state[i.idx()] == Visit::New));
                }
                Visit::Open => {
                    state[id.idx()] = Visit::Done;
                    order.push(id);
                    stack.pop();
                }
                Visit::Done => {
                    stack.pop();
                }
            }
        }
        order
    }

    /// Puts `new` in the place of `old` for all readers of `old`, which are returned.
    ///
    /// A reader that thereby becomes equal to another node is replaced by it in turn.
    pub(crate) fn replace(&mut self, old: NodeId, new: NodeId) -> Vec<NodeId> {
        let mut touched = Vec::new();
        let mut pending = vec![(old, new)];
        while let Some((old, new)) = pending.pop() {
            if old == new {
                continue;
            }
            self.move_roots(old, new);
            let users = std::mem::take(&mut self.nodes[old.idx()].users);
            for (user, n) in &users {
                *self.nodes[new.idx()].users.entry(*user).or_default() += n;
            }
            if self.is_wanted(new) {
                self.enliven(new);
            }
            self.bury_if_unwanted(old);
            for user in users.into_keys() {
                self.forget(user);
                for input in &mut self.nodes[user.idx()].inputs {
                    if *input == old {
                        *input = new;
                    }
                }
                match self.remember(user) {
                    Some(twin) => pending.push((user, twin)),
                    None => touched.push(user),
                }
            }
        }
        touched
    }

    fn move_roots(&mut self, old: NodeId, new: NodeId) {
        let places = std::mem::take(&mut self.nodes[old.idx()].root_places);
        for &place in &places {
            self.roots[place as usize] = new;
        }
        self.nodes[new.idx()].root_places.extend(places);
    }

    fn is_wanted(&self, id: NodeId) -> bool {
        let node = &self.nodes[id.idx()];
        !node.root_places.is_empty() || !node.users.is_empty()
    }

    /// Tells the inputs of a node that came to life about it, and so on upwards.
    fn enliven(&mut self, id: NodeId) {
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            if std::mem::replace(&mut self.nodes[id.idx()].live, true) {
                continue;
            }
            for i in 0..self.nodes[id.idx()].inputs.len() {
                let input = self.nodes[id.idx()].inputs[i];
                *self.nodes[input.idx()].users.entry(id).or_default() += 1;
                pending.push(input);
            }
        }
    }

    /// Takes a node that nobody wants any more out of the users of its inputs, and so on upwards.
    fn bury_if_unwanted(&mut self, id: NodeId) {
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            if self.is_wanted(id) || !std::mem::replace(&mut self.nodes[id.idx()].live, false) {
                continue;
            }
            for i in 0..self.nodes[id.idx()].inputs.len() {
                let input = self.nodes[id.idx()].inputs[i];
                self.nodes[input.idx()].users.remove(&id);
                pending.push(input);
            }
        }
    }

    fn key(&self, op: &O, inputs: &[NodeId]) -> u64 {
        let mut hasher = self.by_fingerprint.hasher().build_hasher();
        op.fingerprint(&mut hasher);
        inputs.hash(&mut hasher);
        hasher.finish()
    }

    fn find(&self, key: u64, op: &O, inputs: &[NodeId]) -> Option<NodeId> {
        let same = |id: &&NodeId| {
            let node = &self.nodes[id.idx()];
            node.inputs == inputs && node.op == *op
        };
        self.by_fingerprint.get(&key)?.iter().find(same).copied()
    }

    fn append(&mut self, key: u64, op: O, inputs: &[NodeId], meta: O::Meta) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(PlanNode {
            op,
            inputs: inputs.to_vec(),
            meta,
            users: BTreeMap::new(),
            root_places: Vec::new(),
            live: false,
            line: self.line,
        });
        self.by_fingerprint.entry(key).or_default().push(id);
        id
    }

    /// Takes a node whose inputs are about to change out of the table of known operations.
    fn forget(&mut self, id: NodeId) {
        let node = &self.nodes[id.idx()];
        let key = self.key(&node.op, &node.inputs);
        if let Some(ids) = self.by_fingerprint.get_mut(&key) {
            ids.retain(|other| *other != id);
        }
    }

    /// Puts a node back into the table, or returns the other node that already does the same.
    fn remember(&mut self, id: NodeId) -> Option<NodeId> {
        let node = &self.nodes[id.idx()];
        let key = self.key(&node.op, &node.inputs);
        let twin = self.find(key, &node.op, &node.inputs);
        if twin.is_none() {
            self.by_fingerprint.entry(key).or_default().push(id);
        }
        twin
    }

    /// Checks the invariants that every rule must keep.
    pub(crate) fn check(&self) -> Result<()> {
        let broken = |problem: String| Error::Internal { place: "plan".into(), problem };
        for id in self.topological() {
            let node = &self.nodes[id.idx()];
            let metas: Vec<_> = node.inputs.iter().map(|id| &self.nodes[id.idx()].meta).collect();
            if node.op.infer(&metas)? != node.meta {
                return Err(broken(format!("meta of {id:?} is not what {:?} infers", node.op)));
            }
            let mut inputs = node.inputs.clone();
            inputs.sort_unstable();
            for reads in inputs.chunk_by(|a, b| a == b) {
                let known = self.nodes[reads[0].idx()].users.get(&id).copied().unwrap_or(0);
                if reads.len() != known as usize {
                    return Err(broken(format!("{:?} does not know its user {id:?}", reads[0])));
                }
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    New,
    Open,
    Done,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number, which is its own meaning.
    #[derive(Clone, Debug, PartialEq)]
    struct Op(u32);

    impl Operation for Op {
        type Meta = ();

        fn infer(&self, _inputs: &[&()]) -> Result<()> {
            Ok(())
        }

        fn fingerprint(&self, hasher: &mut impl Hasher) {
            self.0.hash(hasher);
        }
    }

    /// Minutes, were a step of replacing to look at all users or at all roots.
    #[test]
    fn many_users_of_one_node_are_replaced_one_by_one() {
        const N: u32 = 40_000;
        let mut plan = Plan::default();
        let source = plan.push(Op(0), &[]).unwrap();
        for i in 1..=N {
            let user = plan.push(Op(i), &[source]).unwrap();
            plan.add_root(user);
        }
        assert_eq!(plan.users(source).count(), N as usize);
        for i in 1..=N {
            let new = plan.push(Op(N + i), &[]).unwrap();
            plan.replace(plan.roots()[i as usize - 1], new);
        }
        assert!(!plan.is_live(source) && plan.users(source).next().is_none());
        assert!(plan.roots().iter().zip(N + 1..).all(|(root, i)| plan.op(*root).0 == i));
    }

    #[test]
    fn a_node_that_is_read_twice_has_two_users() {
        let mut plan = Plan::default();
        let source = plan.push(Op(0), &[]).unwrap();
        let twice = plan.push(Op(1), &[source, source]).unwrap();
        plan.add_root(twice);
        plan.add_root(twice);
        assert!(!plan.has_one_user(source) && !plan.has_one_user(twice));
        let other = plan.push(Op(2), &[]).unwrap();
        plan.replace(source, other);
        plan.check().unwrap();
        assert_eq!((plan.inputs(twice), plan.roots()), (&[other, other][..], &[twice, twice][..]));
    }
}
