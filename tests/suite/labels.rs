//! Connected components against a search that starts at each element.

use dask_rs::array::{self, Array, ChunkSpec, Element};
use dask_rs::{Config, Error, ExecutorKind};
use ndarray::{ArrayD, Dimension, IxDyn};
use proptest::prelude::*;

use super::oracle::{Draws, cases};

/// Labels in the order of first elements, and how many there are.
fn labelled(mask: &ArrayD<bool>, connectivity: usize) -> (ArrayD<i64>, i64) {
    let around: Vec<Vec<isize>> = ndarray::indices(vec![3; mask.ndim()])
        .into_iter()
        .map(|step| step.slice().iter().map(|&sign| sign as isize - 1).collect())
        .filter(|step: &Vec<isize>| step.iter().filter(|sign| **sign != 0).count() <= connectivity)
        .collect();
    let mut labels = ArrayD::zeros(mask.raw_dim());
    let mut n = 0;
    for (start, is_set) in mask.indexed_iter() {
        if !is_set || labels[&start] != 0 {
            continue;
        }
        n += 1;
        labels[&start] = n;
        let mut places = vec![start];
        while let Some(place) = places.pop() {
            for step in &around {
                let axes = place.slice().iter().zip(step);
                let beside: Vec<usize> =
                    axes.map(|(at, sign)| at.wrapping_add_signed(*sign)).collect();
                let beside = IxDyn(&beside);
                if mask.get(&beside) == Some(&true) && labels[&beside] == 0 {
                    labels[&beside] = n;
                    places.push(beside);
                }
            }
        }
    }
    (labels, n)
}

#[track_caller]
fn check<T: Element>(x: &Array<T>, mask: &ArrayD<bool>, connectivity: usize) {
    let (expected, n) = labelled(mask, connectivity);
    for (executor, optimize, split_every) in [
        (ExecutorKind::Serial, true, 2),
        (ExecutorKind::Serial, false, 16),
        (ExecutorKind::Seeded(3), true, 4),
    ] {
        let config = Config::new().with_executor(executor).with_optimize(optimize);
        config.with_split_every(split_every).scope(|| {
            let (labels, count) = dask_rs::compute(x.label(connectivity)).unwrap();
            assert_eq!(labels, expected, "connectivity {connectivity} of {mask:?}");
            assert_eq!(count, ndarray::arr0(n).into_dyn());
        });
    }
}

fn random(draws: &mut Draws<'_>) {
    let ndim = 1 + draws.below(4);
    let longest = [60, 14, 7, 4][ndim - 1];
    let shape: Vec<usize> = (0..ndim).map(|_| draws.below(longest + 1)).collect();
    // From few islands to few holes.
    let part = 1 + draws.below(8) as u64;
    let mut bits = 1 + draws.below(1 << 30) as u64;
    let mask = ArrayD::from_shape_simple_fn(IxDyn(&shape), || {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (bits >> 40) % 9 < part
    });
    let x = array::from_ndarray(mask.mapv(f64::from), draws.chunks(&shape));
    check(&(x * -0.5), &mask, 1 + draws.below(ndim));
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn labels_are_those_of_a_search(numbers in proptest::collection::vec(any::<u32>(), 50)) {
        random(&mut Draws { numbers: &numbers, at: 0, is_sendable: false });
    }
}

/// Whose two ends are one component only by way of all blocks.
#[test]
fn what_meets_far_away_is_one() {
    let (rows, columns) = (9, 40);
    let comb =
        ArrayD::from_shape_fn(IxDyn(&[rows, columns]), |i| i[0] == rows - 1 || i[1] % 2 == 0);
    let snake = ArrayD::from_shape_fn(IxDyn(&[rows, columns]), |i| {
        i[0] % 2 == 0 || i[1] == if i[0] % 4 == 1 { columns - 1 } else { 0 }
    });
    let diagonal = ArrayD::from_shape_fn(IxDyn(&[20, 20]), |i| i[0] + i[1] == 19 || i[0] == i[1]);
    for (mask, connectivity) in [(comb, 1), (snake, 1), (diagonal, 2)] {
        assert_eq!(labelled(&mask, connectivity).1, 1);
        for chunks in [[1, 1], [2, 3], [4, 100]] {
            let x = array::from_ndarray(mask.clone(), chunks);
            check(&x, &mask, connectivity);
        }
    }
    let board = ArrayD::from_shape_fn(IxDyn(&[6, 7]), |i| (i[0] + i[1]) % 2 == 0);
    let x = array::from_ndarray(board.clone(), [2, 2]);
    check(&x, &board, 1);
    check(&x, &board, 2);
}

#[test]
fn arrays_without_elements_and_numbers_have_labels() {
    let one: Array<i32> = array::full([(); 0], 3, -1);
    check(&one, &ndarray::arr0(true).into_dyn(), 1);
    check(&(one - 3), &ndarray::arr0(false).into_dyn(), 1);
    let none: Array<f32> = array::zeros([3, 0], [2, 1]);
    check(&none, &ArrayD::from_elem(IxDyn(&[3, 0]), false), 2);
    let x = array::from_ndarray(ndarray::arr1(&[f64::NAN, -0.0, f64::INFINITY]), [2]);
    check(&x, &ndarray::arr1(&[true, false, true]).into_dyn(), 1);
}

#[test]
fn labels_keep_names_and_do_not_outgrow_chunks() {
    let x: Array<u8> = array::ones([64, 64], [64, 64]).with_dim_names(["y", "x"]);
    Config::new().with_chunk_bytes(8 * 256).scope(|| {
        let (labels, _) = x.label(1);
        assert_eq!(labels.dim_names().unwrap().unwrap(), ["y", "x"]);
        // The array had blocks of 4096 bytes.
        let chunks = labels.chunks().unwrap();
        let longest = |axis| chunks.sizes(axis).unwrap().into_iter().max().unwrap();
        assert!(longest(0) * longest(1) * 8 <= 4096, "{chunks}");
        assert_eq!(labels.sum(..).compute().unwrap()[[]], 64 * 64);
    });
}

#[test]
fn what_has_no_labels_is_an_error() {
    let x: Array<i32> = array::ones([4, 4], [2, 2]);
    for connectivity in [0, 3] {
        let (labels, n) = x.label(connectivity);
        assert!(matches!(labels.check(), Err(Error::InvalidArgument { .. })));
        assert!(matches!(n.check(), Err(Error::InvalidArgument { .. })));
    }
    let picked = x.compress(&x.gt(0).any(1), 0);
    assert!(matches!(picked.label(1).0.check(), Err(Error::UnknownChunks { .. })));
    let wrong: Array<i32> = array::ones([4], ChunkSpec::from(vec![vec![3]]));
    assert!(wrong.label(1).1.check().is_err());
}

/// A measure of components by their labels, as users take it.
#[test]
fn components_are_measured_by_their_labels() {
    let image = ArrayD::from_shape_fn(IxDyn(&[30, 31]), |i| ((i[0] * 7 + i[1] * i[1]) % 11) as f64);
    let x = array::from_ndarray(image.clone(), [7, 8]);
    let (labels, n) = x.gt(3.0).label(1);
    let n = n.compute().unwrap()[[]];
    let bins = n as u64 + 1;
    let (areas, light) =
        dask_rs::compute((labels.bincount(bins), labels.bincount_weighted(bins, &x))).unwrap();
    let (expected, _) = labelled(&image.mapv(|x| x > 3.0), 1);
    for label in 0..=n {
        let of_label = || expected.iter().zip(&image).filter(|(other, _)| **other == label);
        assert_eq!(areas[[label as usize]], of_label().count() as i64);
        assert_eq!(light[[label as usize]], of_label().map(|(_, x)| x).sum::<f64>());
    }
}
