//! The check that no task is too large for the budget, before anything runs.

use crate::error::{Error, Result};
use crate::graph::{LayerId, TaskGraph, TaskId};

/// Refuses a graph in which one task's inputs, output and scratch exceed `limit` bytes. What is only estimated is no
/// reason to: such a task may run alone, over the limit if need be.
pub(crate) fn check_budget(graph: &TaskGraph, limit: u64) -> Result<()> {
    let mut inputs = Vec::new();
    for (id, tasks) in graph.layer_tasks() {
        let layer = graph.layers().get(id);
        let (own, largest) = (own_bytes(graph, id), largest_input(graph, id));
        for task in tasks.map(TaskId) {
            let reads = graph.dependencies(task);
            let bound = largest.saturating_mul(reads.len() as u64);
            if own.saturating_add(bound) <= limit {
                continue;
            }
            let needed = own.saturating_add(input_bytes(graph, reads, &mut inputs));
            if needed > limit {
                return Err(Error::OverBudget { op: layer.name.to_string(), needed, limit });
            }
        }
    }
    Ok(())
}

/// The most bytes that one task's inputs, output and scratch take, as far as these are certain.
pub(crate) fn largest_task(graph: &TaskGraph) -> u64 {
    let mut most = 0;
    let mut inputs = Vec::new();
    for (id, tasks) in graph.layer_tasks() {
        let (own, largest) = (own_bytes(graph, id), largest_input(graph, id));
        for task in tasks.map(TaskId) {
            let reads = graph.dependencies(task);
            if own.saturating_add(largest.saturating_mul(reads.len() as u64)) > most {
                most = most.max(own.saturating_add(input_bytes(graph, reads, &mut inputs)));
            }
        }
    }
    most
}

/// What tasks of `layer` take besides their inputs.
fn own_bytes(graph: &TaskGraph, layer: LayerId) -> u64 {
    let layer = graph.layers().get(layer);
    if layer.is_estimate { 0 } else { layer.out_bytes.saturating_add(layer.scratch_bytes) }
}

/// The bytes of the largest block that a task of `layer` can read.
fn largest_input(graph: &TaskGraph, layer: LayerId) -> u64 {
    let inputs = &graph.layers().get(layer).inputs;
    inputs.iter().map(|input| graph.layers().get(input.layer).out_bytes).max().unwrap_or(0)
}

/// The bytes of all different blocks in `reads`.
fn input_bytes(graph: &TaskGraph, reads: &[TaskId], inputs: &mut Vec<TaskId>) -> u64 {
    inputs.clear();
    inputs.extend_from_slice(reads);
    inputs.sort_unstable();
    inputs.dedup();
    let is_certain = |dep: &&TaskId| !graph.layers().get(graph.layer(**dep)).is_estimate;
    let certain = inputs.iter().filter(is_certain);
    certain.fold(0, |sum, dep| sum.saturating_add(graph.out_bytes(*dep)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::test_graphs::Builder;

    #[test]
    fn a_task_that_can_never_fit_is_refused_by_name() {
        let mut b = Builder::default();
        let x = b.task("x", 60, &[]);
        let y = b.task("y", 30, &[x, x]);
        let graph = b.expand(&[y]);
        assert!(check_budget(&graph, 90).is_ok());
        let error = check_budget(&graph, 89).unwrap_err();
        let Error::OverBudget { op, needed, limit } = error else { panic!("{error}") };
        assert_eq!((op.as_str(), needed, limit), ("y", 90, 89));
    }

    #[test]
    fn estimates_refuse_nothing() {
        let mut b = Builder::default();
        let x = b.task("x", 60, &[]);
        let y = b.task("y", 30, &[x]);
        b.layers.get_mut(LayerId(0)).is_estimate = true;
        let graph = b.expand(&[y]);
        assert!(check_budget(&graph, 30).is_ok());
        assert!(check_budget(&graph, 29).is_err());
    }
}
