//! What users see of representative expressions.

use std::sync::Arc;

use super::*;
use crate::array::{AnyViewMut, DType, Source};
use crate::prelude::*;

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
    insta::assert_snapshot!(explained((&x + &y).slice(s![..5])), @"");
}

#[test]
fn a_mean_and_a_deviation_share_a_read() {
    let t = temperature();
    insta::assert_snapshot!(explained((t.mean(0), t.std(0))), @"");
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
    insta::assert_snapshot!(explained(x.reshape([6, 2, 2, 30, 1])), @"");
}

#[test]
fn a_product_of_matrices() {
    let x = array::from_ndarray(ndarray::Array2::<f64>::zeros((8, 8)), [4, 4]);
    insta::assert_snapshot!(explained(x.matmul(&x.transpose())), @"");
}

#[test]
fn a_persisted_input_is_a_source() {
    let x: Array<f64> = array::ones([100, 100], [25, 50]);
    let x = (&x * 2.0).persist().unwrap();
    insta::assert_snapshot!(explained((&x * 2.0 + 1.0).pow(2.0) - &x), @"");
}

/// With a task for each chunk these would not come to an end.
#[test]
fn a_million_million_chunks_take_no_longer() {
    let x: Array<f64> = array::ones([1_000_000_000_000_u64], [1]);
    let y = (&x + 1.0) * 2.0 - 3.0;
    let whole = explained(y.sum(..));
    assert_eq!((whole.n_tasks(), whole.peak_bytes()), (Some(1_333_333_333_342), None));
    assert!(whole.to_string().contains("not computed for more than 2000000 tasks"));
    let first = explained(y.slice(s![0..1]));
    assert_eq!((first.n_layers(), first.n_tasks(), first.peak_bytes()), (1, Some(1), Some(8)));
    let opaque = explained(y.map_blocks(|block, _| block.to_owned()).slice(s![0..2]));
    assert!(opaque.n_tasks().unwrap() <= 4, "{opaque}");
    assert!(
        explained(y.map_blocks(|block, _| block.to_owned()).slice(s![1..])).n_tasks().is_none()
    );
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
