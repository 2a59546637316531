//! Results have the same bits whatever the optimizer, the executor and the threads do.

use dask_rs::array::{Array, over};
use dask_rs::prelude::*;
use ndarray::{ArrayD, IxDyn};

/// Numbers of very different size, so that almost every other order of additions shows.
fn rough(shape: &[usize]) -> ArrayD<f64> {
    let n: usize = shape.iter().product();
    let value = |i: usize| {
        let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let unit = (mixed >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
        unit * 10_f64.powi((mixed % 7) as i32)
    };
    let data = (0..n).map(value).collect();
    ArrayD::from_shape_vec(IxDyn(shape), data).expect("as many as the shape says")
}

type Reduction = fn(&Array<f64>, Vec<i64>) -> Array<f64>;

const REDUCTIONS: [(&str, Reduction); 7] = [
    ("sum", |x, axes| x.sum(over(axes).keepdims())),
    ("prod", |x, axes| (x / 1e3).prod(over(axes).keepdims())),
    ("mean", |x, axes| x.mean(over(axes).keepdims())),
    ("var", |x, axes| x.var(over(axes).ddof(1.0).keepdims())),
    ("nansum", |x, axes| x.nansum(over(axes).keepdims())),
    ("nanmean", |x, axes| x.nanmean(over(axes).keepdims())),
    ("nanstd", |x, axes| x.nanstd(over(axes).keepdims())),
];

/// Each part of a reduction's result has the bits that it has in the whole result.
#[track_caller]
fn check_parts(shape: &[usize], chunks: &[i64], axes: &[i64]) {
    let x = array::from_ndarray(rough(shape), chunks.to_vec());
    for (name, reduce) in REDUCTIONS {
        let whole = reduce(&x, axes.to_vec()).compute().expect("the reduction works");
        let n_kept = whole.len();
        // One element at a time, and some ranges.
        for kept in [0, n_kept / 2, n_kept - 1] {
            let index = unravel(kept, whole.shape());
            let pick = |len: fn(usize) -> usize| -> Vec<array::Index> {
                let axes = index.iter().zip(whole.shape());
                axes.map(|(&at, &n)| {
                    let stop = (at + len(n)).min(n) as i64;
                    array::Index::from(at as i64..stop)
                })
                .collect()
            };
            for part in [pick(|_| 1), pick(|n| n / 2 + 1), pick(|_| 3)] {
                let got = reduce(&x, axes.to_vec()).slice(&part[..]).compute().expect("a slice");
                let n = got.shape().to_vec();
                for local in 0..got.len() {
                    let local = unravel(local, &n);
                    let at: Vec<usize> = local.iter().zip(&index).map(|(a, b)| a + b).collect();
                    let (got, want) = (got[IxDyn(&local)], whole[IxDyn(&at)]);
                    assert_eq!(
                        got.to_bits(),
                        want.to_bits(),
                        "{name} over {axes:?} of {shape:?} in {chunks:?} at {at:?}: {got} in the part \
                         {part:?}, {want} in the whole"
                    );
                }
            }
        }
    }
}

fn unravel(mut position: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (axis, &len) in shape.iter().enumerate().rev() {
        index[axis] = position % len;
        position /= len;
    }
    index
}

#[test]
fn a_slice_of_a_reduction_of_rows() {
    check_parts(&[30, 700], &[-1, -1], &[1]);
    check_parts(&[7, 3000], &[4, 1700], &[1]);
}

#[test]
fn a_slice_of_a_reduction_of_columns() {
    check_parts(&[700, 30], &[-1, -1], &[0]);
    check_parts(&[300, 1500], &[170, 1100], &[0]);
}

#[test]
fn a_slice_of_a_reduction_around_a_kept_axis() {
    check_parts(&[37, 11, 29], &[-1, -1, -1], &[0, 2]);
    check_parts(&[37, 5, 11, 29], &[20, 3, 7, 29], &[0, 2]);
    check_parts(&[5, 37, 11, 29], &[2, 20, -1, 10], &[1, 3]);
    check_parts(&[9, 2, 2000], &[-1, -1, -1], &[0, 2]);
}

#[test]
fn scans_do_not_see_how_a_block_lies_in_memory() {
    let all = rough(&[3000, 2]);
    let expected = {
        let lanes = all.t().as_standard_layout().into_owned();
        array::from_ndarray(lanes, [2, 700]).cumsum(1).compute().unwrap()
    };
    let turned = array::from_ndarray(all.clone(), [700, 2]).transpose().cumsum(1);
    let reversed = all.slice(ndarray::s![..;-1, ..]).to_owned().into_dyn();
    let flipped = array::from_ndarray(reversed, [700, 2]).rechunk([3000, 2]);
    let flipped = flipped.flip([0]).rechunk([700, 2]).transpose().cumsum(1);
    let bits = |x: &ArrayD<f64>| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for optimize in [true, false] {
        let got =
            Config::new().with_optimize(optimize).scope(|| [turned.compute(), flipped.compute()]);
        for got in got {
            assert_eq!(bits(&got.unwrap()), bits(&expected), "optimizer: {optimize}");
        }
    }
}
