//! Peaks of the graphs that orders are known to get wrong.

use super::*;
use crate::graph::test_graphs::{self, Builder, Random, all, at};
use crate::graph::{AxisMap, BlockMap, LayerId};

const B: u64 = 1000;

/// The peak in whole chunks of [`B`] bytes, after checking that the order is legal.
fn peak(graph: &TaskGraph) -> u64 {
    let ranks = order(graph);
    let tasks = by_rank(&ranks);
    assert_eq!(tasks.len(), graph.n_tasks());
    for task in tasks {
        for dep in graph.dependencies(task) {
            assert!(ranks[dep.idx()] < ranks[task.idx()], "inputs come first");
        }
    }
    peak_bytes(graph, &ranks) / B
}

#[track_caller]
fn assert_peak(graph: &TaskGraph, max: u64) {
    let peak = peak(graph);
    assert!(peak <= max, "peak of {peak} blocks, expected at most {max}");
}

#[test]
fn every_task_of_a_random_graph_has_its_own_rank() {
    for seed in 0..200 {
        let graph = test_graphs::random(seed, 60);
        let mut ranks = order(&graph);
        peak(&graph);
        ranks.sort_unstable();
        assert!(ranks.iter().enumerate().all(|(i, rank)| i == *rank as usize));
    }
}

#[test]
fn a_tree_holds_few_blocks_however_many_there_are() {
    let mut b = Builder::default();
    let x = b.array("x", &[4096], B, &[]);
    let sum = b.tree("sum", 1, 4, x);
    assert_peak(&b.expand(&[sum]), 2);
}

#[test]
fn two_reductions_of_one_array_consume_each_block_together() {
    for outputs in [[0, 1], [1, 0]] {
        let mut b = Builder::default();
        let x = b.array("x", &[1000], B, &[]);
        let trees = [b.tree("sum", 1, 4, x), b.tree("max", 1, 16, x)];
        let graph = b.expand(&outputs.map(|i: usize| trees[i]));
        assert_peak(&graph, 2);
    }
}

#[test]
fn reductions_of_maps_of_one_array_consume_each_block_together() {
    let mut b = Builder::default();
    let x = b.array("x", &[500], B, &[]);
    let trees = [1, 2, 3].map(|i| {
        let y = b.elemwise(&format!("y{i}"), B, &[x]);
        b.tree("sum", 1, 4, y)
    });
    assert_peak(&b.expand(&trees), 3);
}

/// Means of u², v² and u·v.
fn quadratic_means(names: [&str; 2], outputs: [usize; 3], n: u64, mean_bytes: u64) -> TaskGraph {
    let mut b = Builder::default();
    let u = b.array(names[0], &[n], B, &[]);
    let v = b.array(names[1], &[n], B, &[]);
    let uu = b.elemwise("uu", B, &[u, u]);
    let vv = b.elemwise("vv", B, &[v, v]);
    let uv = b.elemwise("uv", B, &[u, v]);
    let means = [uu, vv, uv].map(|y| b.tree("mean", mean_bytes, 4, y));
    b.expand(&outputs.map(|i| means[i]))
}

#[test]
fn quadratic_means_load_both_arrays_side_by_side() {
    for outputs in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        for n in [10, 777] {
            assert_peak(&quadratic_means(["u", "v"], outputs, n, 1), 4);
            // Means that are as large as the blocks: three of each step of each tree wait.
            assert_peak(&quadratic_means(["u", "v"], outputs, n, B), 4 + 3 * 3 * 5);
        }
    }
}

#[test]
fn names_do_not_change_the_order() {
    let one = order(&quadratic_means(["u", "v"], [0, 1, 2], 100, 1));
    assert_eq!(one, order(&quadratic_means(["z", "a"], [0, 1, 2], 100, 1)));
}

#[test]
fn all_products_of_three_arrays_are_made_block_by_block() {
    let mut b = Builder::default();
    let arrays = [0, 1, 2].map(|i| b.array(&format!("x{i}"), &[300], B, &[]));
    let mut outputs = Vec::new();
    for i in 0..3 {
        for j in i..3 {
            let y = b.elemwise("product", B, &[arrays[i], arrays[j]]);
            outputs.push(b.tree("mean", 1, 4, y));
        }
    }
    assert_peak(&b.expand(&outputs), 5);
}

#[test]
fn sibling_groups_are_finished_one_after_another() {
    for bytes in [B, B / 2, 1] {
        let mut b = Builder::default();
        let x = b.array("x", &[50, 10], B, &[]);
        let groups = BlockMap::axes([AxisMap::same(0), AxisMap::All]);
        let joined = b.array("joined", &[50], bytes, &[(x, groups)]);
        let out = b.tree("out", 1, 8, joined);
        assert_peak(&b.expand(&[out]), 11);
    }
}

/// `x - x.mean()` and then the standard deviation of that.
#[test]
fn an_anomaly_holds_the_array_once() {
    let n = 200;
    let mut b = Builder::default();
    let x = b.array("x", &[n], B, &[]);
    let mean = b.tree("mean", 1, 4, x);
    let linear = BlockMap::Linear;
    let y = b.array("y", &[n], B, &[(x, linear.clone()), (mean, at(0))]);
    let std = b.tree("std", 1, 4, y);
    let z = b.array("z", &[n], B, &[(y, linear), (std, at(0))]);
    assert_peak(&b.expand(&[z]), n + 2);
}

#[test]
fn an_anomaly_per_group_holds_one_group() {
    let mut b = Builder::default();
    let x = b.array("x", &[40, 12], B, &[]);
    let row = BlockMap::axes([AxisMap::same(0), AxisMap::All]);
    let mean = b.array("mean", &[40], 1, &[(x, row)]);
    let of_row = BlockMap::axes([AxisMap::same(0)]);
    let y = b.array("y", &[40, 12], B, &[(x, BlockMap::Linear), (mean, of_row)]);
    assert_peak(&b.expand(&[y]), 13);
}

#[test]
fn a_broadcast_is_not_made_for_all_blocks_at_once() {
    let n = 300;
    let mut b = Builder::default();
    let scalar = b.task("scalar", 8, &[]);
    let wide = b.array("wide", &[n], B, &[(scalar, at(0))]);
    let x = b.array("x", &[n], B, &[]);
    let y = b.elemwise("y", B, &[wide, x]);
    let sum = b.tree("sum", 1, 4, y);
    assert_peak(&b.expand(&[sum]), 4);
}

#[test]
fn overlapping_windows_walk_along() {
    for n in [100, 900] {
        let mut b = Builder::default();
        let x = b.array("x", &[n], B, &[]);
        let y = b.array("y", &[n], B, &[(x, windows(n))]);
        let z = b.array("z", &[n], B, &[(y, windows(n))]);
        let sum = b.tree("sum", 1, 4, z);
        assert_peak(&b.expand(&[sum]), 10);
    }
    let n = 400;
    let mut b = Builder::default();
    let x = b.array("x", &[n], B, &[]);
    let y = b.array("y", &[n], B, &[(x, windows(n))]);
    assert_peak(&b.expand(&[y]), 4);
}

/// Each block with its two neighbours.
fn windows(n: u64) -> BlockMap {
    let range = |i: u64| (i.saturating_sub(1), (i + 2).min(n));
    BlockMap::axes([AxisMap::Ranges { axis: 0, ranges: (0..n).map(range).collect() }])
}

/// A rechunk from rows to columns by pieces, in one step and in two.
#[test]
fn a_transposing_rechunk_holds_the_array_once() {
    let n = 30;
    let mut b = Builder::default();
    let x = b.array("x", &[n, 1], B, &[]);
    let row = BlockMap::axes([AxisMap::same(0), AxisMap::At(0)]);
    let pieces = b.array("piece", &[n, n], B / n, &[(x, row)]);
    let column = BlockMap::axes([AxisMap::All, AxisMap::same(1)]);
    let y = b.array("y", &[1, n], B, &[(pieces, column)]);
    assert_peak(&b.expand(&[y]), n + 2);
}

#[test]
fn a_rechunk_by_groups_holds_one_group() {
    // 64 × 1 blocks → 8 × 8 blocks: each group of eight rows is made into eight columns.
    let mut b = Builder::default();
    let x = b.array("x", &[64, 1], B, &[]);
    let group = BlockMap::axes([AxisMap::Group { axis: 0, size: 8 }, AxisMap::At(0)]);
    let mid = b.array("mid", &[8, 8], B, &[(x, group)]);
    let sum = b.array("sum", &[8, 8], 1, &[(mid, BlockMap::Linear)]);
    let all2 = BlockMap::axes([AxisMap::All, AxisMap::All]);
    let out = b.array("out", &[1], 1, &[(sum, all2)]);
    assert_peak(&b.expand(&[out]), 10);
}

#[test]
fn three_chained_stages_are_run_through_for_each_block() {
    let mut b = Builder::default();
    let x = b.array("x", &[2000], B, &[]);
    let y = b.elemwise("y", 2 * B, &[x]);
    let z = b.elemwise("z", B / 2, &[y]);
    let sum = b.tree("sum", 1, 4, z);
    let out = b.array("out", &[2000], B, &[(z, BlockMap::Linear)]);
    assert_peak(&b.expand(&[sum, out]), 4);
}

#[test]
fn the_costlier_input_is_made_first() {
    let mut b = Builder::default();
    let parts = [0; 10].map(|_| b.task("part", B, &[]));
    let small = b.task("small", B, &[]);
    let big = b.task("big", 1, &parts);
    let out = b.task("out", 1, &[small, big]);
    assert_peak(&b.expand(&[out]), 11);
}

#[test]
fn a_product_of_matrices_holds_one_factor_and_a_strip() {
    let n = 12;
    let mut b = Builder::default();
    let x = b.array("x", &[n, n], B, &[]);
    let y = b.array("y", &[n, n], B, &[]);
    let row = BlockMap::axes([AxisMap::same(0), AxisMap::All]);
    let column = BlockMap::axes([AxisMap::All, AxisMap::same(1)]);
    let z = b.array("z", &[n, n], B, &[(x, row), (y, column)]);
    assert_peak(&b.expand(&[z]), n * n + 2 * n);
}

#[test]
fn a_shuffled_list_of_outputs_costs_no_more() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let mut b = Builder::default();
        let x: Vec<LayerId> = (0..64).map(|_| b.task("x", B, &[])).collect();
        let mut outputs: Vec<LayerId> = x.windows(3).map(|three| b.task("y", B, three)).collect();
        for i in (1..outputs.len()).rev() {
            outputs.swap(i, random.below(i as u64 + 1) as usize);
        }
        assert_peak(&b.expand(&outputs), 6);
    }
}

#[test]
fn one_reader_of_all_is_left_for_last() {
    let mut b = Builder::default();
    let x = b.array("x", &[50], B, &[]);
    let joined = b.array("joined", &[1], 1, &[(x, all())]);
    assert_peak(&b.expand(&[joined]), 51);
}

#[test]
fn numbers_of_tasks_do_not_matter() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let mut b = Builder::default();
        let x: Vec<LayerId> = (0..64).map(|_| b.task("x", B, &[])).collect();
        let mut readers: Vec<(usize, usize)> = (0..64).flat_map(|i| [(i, 0), (i, 1)]).collect();
        for i in (1..readers.len()).rev() {
            readers.swap(i, random.below(i as u64 + 1) as usize);
        }
        let mut partials = [[LayerId(0); 64]; 2];
        for (i, which) in readers {
            partials[which][i] = b.task("partial", 1, &[x[i]]);
        }
        let sums = partials.map(|partials| b.task("sum", 1, &partials));
        assert_peak(&b.expand(&sums), 2);
    }
}

/// Chunks of one time step: partial means are as large as the chunks, one mean a column.
#[test]
fn quadratic_means_along_time_hold_one_column() {
    let (times, columns) = (64, 20);
    let mut b = Builder::default();
    let u = b.array("u", &[times, columns], B, &[]);
    let v = b.array("v", &[times, columns], B, &[]);
    let products = [(u, u), (v, v), (u, v)].map(|(x, y)| b.elemwise("product", B, &[x, y]));
    let means = products.map(|mut last| {
        for n in [16, 4, 1] {
            let group = BlockMap::axes([AxisMap::Group { axis: 0, size: 4 }, AxisMap::same(1)]);
            last = b.array("mean", &[n, columns], B, &[(last, group)]);
        }
        last
    });
    assert_peak(&b.expand(&means), 4 + 3 * 3 * 3);
}

/// A difference to the mean of each month: groups are far apart on the time axis.
#[test]
fn anomalies_of_interleaved_groups_hold_one_group() {
    let (months, years) = (12, 30);
    let mut b = Builder::default();
    let mut outputs = Vec::new();
    let x = b.array("x", &[months * years], B, &[]);
    for month in 0..months {
        let every = AxisMap::Axis { axis: 0, first: month, step: months as i64 };
        let of_month = b.array("take", &[years], B, &[(x, BlockMap::axes([every]))]);
        let mean = b.tree("mean", 1, 4, of_month);
        let inputs = [(of_month, BlockMap::Linear), (mean, at(0))];
        outputs.push(b.array("anomaly", &[years], B, &inputs));
    }
    assert_peak(&b.expand(&outputs), years + 2);
}

/// A covariance: x - mean(x) times y - mean(y), then its sum.
#[test]
fn a_covariance_holds_both_arrays_once() {
    let n = 100;
    let mut b = Builder::default();
    let centred = ["x", "y"].map(|name| {
        let x = b.array(name, &[n], B, &[]);
        let mean = b.tree("mean", 1, 4, x);
        b.array("centred", &[n], B, &[(x, BlockMap::Linear), (mean, at(0))])
    });
    let product = b.elemwise("product", B, &centred);
    let sum = b.tree("sum", 1, 4, product);
    assert_peak(&b.expand(&[sum]), 2 * n + 2);
}
