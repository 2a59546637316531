//! Sizes at the edge: what can't be counted or listed is refused, and what can is right.

use dask_rs::array::Index;
use dask_rs::prelude::*;

fn slice(start: i64, stop: i64, step: i64) -> [Index; 1] {
    [Index::Slice { start: Some(start), stop: Some(stop), step: Some(step) }]
}

#[test]
fn blocks_beyond_32_bits_keep_their_numbers() {
    let x = array::from_fn([1_u64 << 40], [1], |index| index[0] as i64);
    let part = x.slice(slice(1 << 33, (1 << 33) + 6, 3)).compute().unwrap();
    assert_eq!(part, ndarray::arr1(&[1_i64 << 33, (1 << 33) + 3]).into_dyn());
}

#[test]
fn a_broadcast_to_more_elements_than_can_be_counted_is_refused() {
    let (a, b): (Array<f64>, Array<f64>) =
        (array::ones([1_u64 << 40, 1], 1), array::ones([1, 1_u64 << 40], 1));
    let text = (&a + &b).check().unwrap_err().to_string();
    assert!(text.contains("2^63") && text.contains("limits.rs"), "{text}");
    let vector: Array<bool> = array::zeros([1_u64 << 62], [1_u64 << 62]);
    assert!(array::stack(&vec![vector; 8], 0).check().is_err());
}

#[test]
fn a_range_of_large_unsigned_numbers_has_all_its_steps() {
    let x = array::arange(0_u64, 1 << 63, 1 << 60, [4]);
    let expected: Vec<u64> = (0..8).map(|i| i << 60).collect();
    assert_eq!(x.compute().unwrap(), ndarray::Array1::from(expected).into_dyn());
    assert!(array::arange(0.0, 1e30, 1.0, "auto").check().is_err());
}

#[test]
fn more_blocks_than_can_be_listed_are_an_error_and_not_an_abort() {
    let x = array::from_fn([1_u64 << 34], [1], |index| index[0] as i64);
    assert!(array::concatenate(&[x.clone(), x.clone()], 0).check().is_err());
    assert!(x.rechunk([2]).explain().is_err());
    let many: Array<bool> = array::zeros([1_u64 << 61], [1]);
    assert!(many.persist().is_err());
    let wide: Array<f64> = array::zeros([1_u64 << 60, 2], [1_u64 << 60, 1]);
    assert!(wide.var(1).compute().is_err());
}

#[test]
fn an_index_that_wraps_is_no_panic() {
    let x: Array<f64> = array::eye(4, 4, i64::MAX, [2, 2]);
    assert_eq!(x.slice([Index::from(1..)]).sum(..).compute().unwrap()[[]], 0.0);
}

#[test]
fn a_result_that_is_too_large_names_the_line_that_asks_for_it() {
    let x: Array<f64> = array::zeros([1_u64 << 45], [1_u64 << 44]);
    let text = x.compute().unwrap_err().to_string();
    assert!(text.contains("limits.rs") || text.contains("memory limit"), "{text}");
    let text = compute((&x, &x)).unwrap_err().to_string();
    assert!(text.contains("limits.rs") || text.contains("memory limit"), "{text}");
}
