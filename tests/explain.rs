//! What users see of representative expressions before they run.

#![cfg(feature = "array")]

use std::sync::Arc;

use dask_rs::array::{AnyViewMut, DType, Source};
use dask_rs::prelude::*;
use dask_rs::{Collection, Explain, explain};

/// A file that nobody may read.
#[derive(Debug)]
struct Unread([u64; 3]);

impl Source for Unread {
    fn name(&self) -> String {
        "era.nc:t2m".to_owned()
    }

    fn dtype(&self) -> DType {
        DType::F32
    }

    fn shape(&self) -> &[u64] {
        &self.0
    }

    fn read(&self, _start: &[u64], _out: AnyViewMut<'_>) -> Result<()> {
        unreachable!("explaining reads nothing")
    }
}

fn temperature() -> Array<f32> {
    array::from_source(Arc::new(Unread([365, 181, 360])), [100, 181, 360]).cast_to()
}

fn explained(collections: impl Collection) -> Explain {
    Config::new().with_memory_limit(1 << 30).scope(|| explain(collections)).unwrap()
}

#[test]
fn a_slice_moves_to_the_sources() {
    let x: Array<f64> = array::ones([10], [5]);
    let y = array::arange(0., 10., 1., [5]);
    insta::assert_snapshot!(explained((&x + &y).slice(s![..5])), @"
    plan
      %0  create 1                              float64 (10,) in 2 chunks of (5,), 80 B
      %1  create 0 + 1 * float64(i0)            float64 (10,) in 2 chunks of (5,), 80 B
      %2  elemwise x0 + x1            ← %0, %1  float64 (10,) in 2 chunks of (5,), 80 B
      %3  slice [0:5]                 ← %2      float64 (5,), 40 B
      result %3

    rules: PushDownSlice ×3

    optimized plan
      %0  create 1                              float64 (5,), 40 B
      %1  create 0 + 1 * float64(i0)            float64 (5,), 40 B
      %2  elemwise x0 + x1            ← %0, %1  float64 (5,), 40 B
      result %2

    layers: 1, before fusion 3
      #0  create 1 + (0 + 1 * float64(i0))  1 task  (5,) float64, 40 B

    totals
      tasks           1
      read            0 B
      projected peak  40 B, one task at a time
      memory limit    1.00 GiB
    ");
}

#[test]
fn a_mean_and_a_deviation_share_a_read() {
    let t = temperature();
    insta::assert_snapshot!(explained((t.mean(0), t.std(0))), @"
    plan
      %0  read era.nc:t2m                                    float32 (365, 181, 360) in 4 chunks of (100, 181, 360), 90.73 MiB
      %1  mean(axes: [0]) by [4, 1, 1] blocks          ← %0  float32 (1, 181, 360), 254.53 KiB
      %2  permute [1, 2]                               ← %1  float32 (181, 360), 254.53 KiB
      %3  std(axes: [0], ddof: 0) by [4, 1, 1] blocks  ← %0  float32 (1, 181, 360), 254.53 KiB
      %4  permute [1, 2]                               ← %3  float32 (181, 360), 254.53 KiB
      results %2, %4

    rules: none

    optimized plan: the same

    layers: 5, before fusion 7
      #0  read era.nc:t2m                              4 tasks  (100, 181, 360) float32, 24.86 MiB
      #1  mean(axes: [0])                              4 tasks  partial mean, 509.06 KiB            ← #0 [i, j, k]
      #2  permute ← mean(axes: [0]) (combine)          1 task   (181, 360) float32, 254.53 KiB      ← #1 [:, i, j]
      #3  std(axes: [0], ddof: 0)                      4 tasks  partial std, 1.49 MiB               ← #0 [i, j, k]
      #4  permute ← std(axes: [0], ddof: 0) (combine)  1 task   (181, 360) float32, 254.53 KiB      ← #3 [:, i, j]

    totals
      tasks           14
      read            90.73 MiB
      projected peak  31.82 MiB, one task at a time
      memory limit    1.00 GiB
    ");
}

#[test]
fn a_slice_reads_less() {
    let explain = explained((temperature() + 1.0).slice(s![..;2, 0, ..]));
    assert_eq!(explain.bytes_read(), 365 / 2 * 2 * 360 * 4 + 2 * 360 * 4);
    assert_eq!(explained(temperature().slice(s![0..1, .., ..])).bytes_read(), 181 * 360 * 4);
}

#[test]
fn the_reshape_of_the_readme() {
    let x: Array<f64> = array::ones([2, 3, 4, 5, 6], [2, 2, 2, 2, 2]);
    insta::assert_snapshot!(explained(x.reshape([6, 2, 2, 30, 1])), @"
    plan
      %0  create 1        float64 (2, 3, 4, 5, 6) in 36 chunks of (2, 2, 2, 2, 2), 5.62 KiB
      %1  reshape   ← %0  float64 (6, 2, 2, 30, 1) in 40 chunks of (3, 1, 2, 3, 1), 5.62 KiB
      result %1

    rules: PlanReshape ×1, PushDownRechunk ×1

    optimized plan
      %0  create 1              float64 (2, 3, 4, 5, 6) in 40 chunks of (1, 3, 2, 1, 3), 5.62 KiB
      %1  reshape blocks  ← %0  float64 (6, 2, 2, 30, 1) in 40 chunks of (3, 1, 2, 3, 1), 5.62 KiB
      result %1

    layers: 1, before fusion 2
      #0  reshape ← create 1  40 tasks  (3, 1, 2, 3, 1) float64, 144 B

    totals
      tasks           40
      read            0 B
      projected peak  288 B, one task at a time
      memory limit    1.00 GiB
    ");
}

#[test]
fn a_product_of_matrices() {
    let x = array::from_ndarray(ndarray::Array2::<f64>::zeros((8, 8)), [4, 4]);
    insta::assert_snapshot!(explained(x.matmul(&x.transpose())), @"
    plan
      %0  memory                                        float64 (8, 8) in 4 chunks of (4, 4), 512 B
      %1  permute [1, 0]                      ← %0      float64 (8, 8) in 4 chunks of (4, 4), 512 B
      %2  contract axes [(1, 0)]              ← %0, %1  float64 (8, 8, 2) in 8 chunks of (4, 4, 1), 1.00 KiB
      %3  sum(axes: [2]) by [1, 1, 4] blocks  ← %2      float64 (8, 8, 1) in 4 chunks of (4, 4, 1), 512 B
      %4  permute [0, 1]                      ← %3      float64 (8, 8) in 4 chunks of (4, 4), 512 B
      result %4

    rules: none

    optimized plan: the same

    layers: 4, before fusion 6
      #0  memory                              4 tasks  (4, 4) float64, 0 B
      #1  permute                             4 tasks  (4, 4) float64, 128 B  ← #0 [j, i]
      #2  sum(axes: [2]) ← contract           8 tasks  partial sum, 128 B     ← #0 [i, k], #1 [k, j]
      #3  permute ← sum(axes: [2]) (combine)  4 tasks  (4, 4) float64, 128 B  ← #2 [i, j, :]

    totals
      tasks           20
      read            0 B
      projected peak  896 B, one task at a time
      memory limit    1.00 GiB
    ");
}

#[test]
fn a_persisted_input_is_a_source() {
    let x: Array<f64> = array::ones([100, 100], [25, 50]);
    let x = (&x * 2.0).persist().unwrap();
    insta::assert_snapshot!(explained((&x * 2.0 + 1.0).pow(2.0) - &x), @"
    plan
      %0  persisted                   float64 (100, 100) in 8 chunks of (25, 50), 78.12 KiB
      %1  elemwise x0 * 2   ← %0      float64 (100, 100) in 8 chunks of (25, 50), 78.12 KiB
      %2  elemwise x0 + 1   ← %1      float64 (100, 100) in 8 chunks of (25, 50), 78.12 KiB
      %3  elemwise x0 ** 2  ← %2      float64 (100, 100) in 8 chunks of (25, 50), 78.12 KiB
      %4  elemwise x0 - x1  ← %3, %0  float64 (100, 100) in 8 chunks of (25, 50), 78.12 KiB
      result %4

    rules: none

    optimized plan: the same

    layers: 1, before fusion 5
      #0  (x0 * 2 + 1) ** 2 - x0 ← persisted  8 tasks  (25, 50) float64, 9.77 KiB

    totals
      tasks           8
      read            0 B
      projected peak  19.53 KiB, one task at a time
      memory limit    1.00 GiB
    ");
}

/// With a task for each chunk these would not come to an end.
#[test]
fn a_million_million_chunks_take_no_longer() {
    let x: Array<f64> = array::ones([1_000_000_000_000_u64], [1]);
    let y = (&x + 1.0) * 2.0 - 3.0;
    let whole = explained(y.sum(..));
    assert_eq!((whole.n_tasks(), whole.peak_bytes()), (Some(1_333_333_333_341), None));
    assert!(whole.to_string().contains("not computed for more than 2000000 tasks"));
    let first = explained(y.slice(s![0..1]));
    assert_eq!((first.n_layers(), first.n_tasks(), first.peak_bytes()), (1, Some(1), Some(8)));
    let opaque = explained(y.map_blocks(|block, _| block.to_owned()).slice(s![0..2]));
    assert!(opaque.n_tasks().unwrap() <= 4, "{opaque}");
    // Which blocks two readers need is not found out one by one.
    let opaque = y.map_blocks(|block, _| block.to_owned());
    let shifted = explained((opaque.slice(s![1..]), opaque.slice(s![2..])));
    assert_eq!(shifted.n_tasks(), None);
}

#[test]
fn long_plans_lose_their_middle() {
    let mut x: Array<f64> = array::ones([4], [2]);
    for i in 0..5000 {
        x = &x + f64::from(i);
    }
    let text = explained(&x).to_string();
    assert!(text.contains("…      4801 more\n"), "{text}");
    assert!(text.lines().count() < 700);
}

#[test]
fn a_block_that_many_read_is_made_once() {
    let row: Array<f64> = array::ones([4], [4]).map_blocks(|block, _| block.to_owned());
    let x: Array<f64> = array::ones([8, 4], [1, 4]);
    assert_eq!(explained(&x + &row).n_tasks(), Some(9));
    assert_eq!(explained(row.rechunk([1])).n_tasks(), Some(5));
}

#[test]
fn what_is_explained_is_what_runs() {
    let x: Array<f64> = array::ones([40, 40], [10, 10]);
    let y = (&x + &x.transpose().sum(0)).slice(s![5..25, ..]).mean(1);
    let without = Config::new().with_optimize(false);
    let plain = without.scope(|| explain(&y)).unwrap();
    assert!(explained(&y).n_tasks() < plain.n_tasks());
    assert!(plain.to_string().contains("rules: none"), "{plain}");
}

#[test]
fn a_table_compares_array_and_chunk() {
    let x: Array<f64> = array::ones([365, 721, 1440], [31, 721, 1440]);
    let y = (&x - &x.mean(0)).with_dim_names(["time", "latitude", "longitude"]);
    insta::assert_snapshot!(y, @"
           Array             Chunk
    Bytes  2.82 GiB          245.56 MiB
    Shape  (365, 721, 1440)  (31, 721, 1440)
    Dims   time, latitude, longitude
    12 chunks from 4 operations, float64
    ");
    insta::assert_snapshot!(array::ones::<i8>([3], [3]), @"
           Array  Chunk
    Bytes  3 B    3 B
    Shape  (3,)   (3,)
    1 chunk from 1 operation, int8
    ");
}

#[test]
fn a_picture_in_dot() {
    let x = array::from_fn([8, 6], [4, 3], |index| index[0] as f64);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.dot");
    dask_rs::visualize((x.mean(0), (&x * 2.0).sum(1)), &path).unwrap();
    insta::assert_snapshot!(std::fs::read_to_string(path).unwrap(), @r##"
    digraph plan {
      labelloc=t; label="16 tasks in 5 layers";
      node [shape=box, style="rounded,filled", fontname="monospace"];
      edge [color="#7a8699", fontname="monospace", fontsize=10];
      n0 [label="from_fn ← create false\n4 tasks · 96 B each\n(4, 3) float64", tooltip="from_fn ← create false", fillcolor="#ddf0dc", penwidth=1];
      n1 [label="mean(axes: [0])\n4 tasks · 24 B each\npartial mean", tooltip="mean(axes: [0])", fillcolor="#dfeaf8", penwidth=1];
      n2 [label="permute ← mean(axes: [0]) (combine)\n2 tasks · 24 B each\n(3,) float64", tooltip="permute ← mean(axes: [0]) (combine)", fillcolor="#fdedcf", penwidth=2];
      n3 [label="sum(axes: [1]) of x0 * 2\n4 tasks · 32 B each\npartial sum", tooltip="sum(axes: [1]) of x0 * 2", fillcolor="#dfeaf8", penwidth=1];
      n4 [label="permute ← sum(axes: [1]) (combine)\n2 tasks · 32 B each\n(4,) float64", tooltip="permute ← sum(axes: [1]) (combine)", fillcolor="#fdedcf", penwidth=2];
      n0 -> n1 [label="[i, j]"];
      n1 -> n2 [label="[:, i]"];
      n0 -> n3 [label="[i, j]"];
      n3 -> n4 [label="[i, :]"];
    }
    "##);
}
