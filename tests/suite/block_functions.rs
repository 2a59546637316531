//! Functions of blocks that users bring along, against loops.

use std::sync::{Arc, Mutex};

use dask_rs::array::{self, Array, Element, over};
use dask_rs::{Config, Error, ExecutorKind, compute};
use ndarray::{ArrayD, ArrayViewD, Axis, Ix2, IxDyn, Slice, Zip, arr1};
use proptest::prelude::*;

use super::oracle::{Draws, cases};

/// Computes with and without the optimizer, in any order.
#[track_caller]
fn check<T: Element>(lazy: &Array<T>, expected: &ArrayD<T>) {
    for (executor, optimize) in [(ExecutorKind::Serial, false), (ExecutorKind::Seeded(5), true)] {
        let config = Config::new().with_executor(executor).with_optimize(optimize);
        let got = config.scope(|| lazy.compute()).unwrap();
        assert_eq!(&got, expected);
    }
}

fn numbers(shape: &[usize]) -> ArrayD<f64> {
    let mut i = 0.0;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        i += 1.0;
        (i * 7.0) % 23.0 - 9.0
    })
}

fn several(draws: &mut Draws<'_>) {
    let ndim = 1 + draws.below(3);
    let shape: Vec<usize> = (0..ndim).map(|_| [4, 1, 6, 0, 3][draws.below(5)]).collect();
    // Fewer axes, and some of length 1.
    let part = |draws: &mut Draws<'_>| -> Vec<usize> {
        let skip = draws.below(ndim + 1);
        shape[skip..].iter().map(|&len| if draws.coin() { len } else { 1 }).collect()
    };
    let (b_shape, c_shape) = (part(draws), part(draws));
    let (a, b, c) = (numbers(&shape), numbers(&b_shape), numbers(&c_shape));
    let (b, c) = (b.mapv(|x| x as i32), c.mapv(|x| x > 0.0));
    let x = array::from_ndarray(a.clone(), draws.chunks(&shape));
    let y = array::from_ndarray(b.clone(), draws.chunks(&b_shape));
    let z = array::from_ndarray(c.clone(), draws.chunks(&c_shape));
    let picked = |a: ArrayViewD<'_, f64>, b: ArrayViewD<'_, i32>, c: ArrayViewD<'_, bool>| {
        Zip::from(&a).and(&b).and(&c).map_collect(|a, b, c| if *c { *a } else { f64::from(*b) })
    };
    let (b, c) = (b.broadcast(shape.clone()).unwrap(), c.broadcast(shape.clone()).unwrap());
    let expected = picked(a.view(), b, c);
    check(&array::map_blocks((&x, &y, &z), move |(a, b, c), _| picked(a, b, c)), &expected);
    // The same array twice, and where a block lies.
    let twice = array::map_blocks((&x, &x), |(a, b), info| {
        let start = info.start.as_ref().unwrap()[0] as f64;
        &a + &b + start - start
    });
    check(&twice, &(&a * 2.0));
}

/// The sum, the largest value and the number of elements along some axes.
fn reduced(draws: &mut Draws<'_>) {
    let ndim = 1 + draws.below(3);
    let shape: Vec<usize> = (0..ndim).map(|_| 1 + draws.below(6)).collect();
    let axes: Vec<usize> = (0..ndim).filter(|_| draws.coin()).collect();
    let keepdims = draws.coin();
    let all = numbers(&shape);
    let x = array::from_ndarray(all.clone(), draws.chunks(&shape));
    let along = |x: ArrayD<f64>, axes: &[usize], f: fn(f64, f64) -> f64, first: f64| {
        axes.iter().fold(x, |x, &axis| {
            x.fold_axis(Axis(axis), first, |a, b| f(*a, *b)).insert_axis(Axis(axis))
        })
    };
    let how = over(axes.clone()).split_every(2 + draws.below(3) as u64);
    let how = if keepdims { how.keepdims() } else { how };
    let y = x.reduction(
        how,
        move |x, axes| {
            let ones = x.mapv(|_| 1.0);
            [
                along(x.to_owned(), axes, |a, b| a + b, 0.0),
                along(x.to_owned(), axes, f64::max, f64::MIN),
                along(ones, axes, |a, b| a + b, 0.0),
            ]
        },
        |[sum_a, max_a, n_a], [sum_b, max_b, n_b]| {
            let max = Zip::from(&max_a).and(&max_b).map_collect(|a, b| a.max(*b));
            [&sum_a + &sum_b, max, &n_a + &n_b]
        },
        |[sum, max, n]| sum.mapv(|x| x * 1000.0) + max + n.mapv(|x| x / 1024.0),
    );
    let mut expected = along(all.clone(), &axes, |a, b| a + b, 0.0) * 1000.0
        + along(all.clone(), &axes, f64::max, f64::MIN);
    let n: usize = axes.iter().map(|&axis| shape[axis]).product();
    expected += n as f64 / 1024.0;
    if !keepdims {
        for &axis in axes.iter().rev() {
            expected = expected.remove_axis(Axis(axis));
        }
    }
    check(&y, &expected);
}

/// Letters that are shared, contracted, moved and repeated.
fn lettered(draws: &mut Draws<'_>) {
    let [i, j, k] = [0; 3].map(|_| [4, 1, 6, 0, 3][draws.below(5)]);
    let (a, b, v) = (numbers(&[i, j]), numbers(&[j, k]), numbers(&[j]).mapv(|x| x as i32));
    let x = array::from_ndarray(a.clone(), draws.chunks(&[i, j]));
    let y = array::from_ndarray(b.clone(), draws.chunks(&[j, k]));
    let w = array::from_ndarray(v.clone(), draws.chunks(&[j]));
    let matrix = |x: ArrayViewD<'_, f64>| x.into_dimensionality::<Ix2>().unwrap().to_owned();
    let product =
        move |a: ArrayViewD<'_, f64>, b: ArrayViewD<'_, f64>| matrix(a).dot(&matrix(b)).into_dyn();
    let got = array::blockwise("ij,jk->ik", (&x, &y), &[], move |(a, b), _| product(a, b));
    check(&got, &product(a.view(), b.view()));

    let scaled = |a: ArrayViewD<'_, f64>, v: ArrayViewD<'_, i32>| {
        (&a * &v.mapv(f64::from)).reversed_axes().as_standard_layout().into_owned()
    };
    let got = array::blockwise("ij, j -> ji", (&x, &w), &[], move |(a, v), _| scaled(a, v));
    check(&got, &scaled(a.view(), v.view()));

    // An axis that no array has, in two blocks, of which each says which one it is.
    let got = array::blockwise("ij->inj", (&x,), &[('n', vec![2, 1])], |(a,), info| {
        let n = if info.block[1] == 0 { 2 } else { 1 };
        let shape = [a.shape()[0], n, a.shape()[1]];
        let a = (&a + info.block[1] as f64).insert_axis(Axis(1));
        a.broadcast(IxDyn(&shape)).unwrap().to_owned()
    });
    let parts = [a.view(), a.view(), (&a + 1.0).view()].map(|x| x.to_owned());
    check(&got, &ndarray::stack(Axis(1), &parts.each_ref().map(|part| part.view())).unwrap());
}

/// The last number that is not negative, which is no commutative combination.
fn filled(draws: &mut Draws<'_>) {
    let ndim = 1 + draws.below(3);
    let shape: Vec<usize> = (0..ndim).map(|_| [5, 1, 7, 0, 12][draws.below(5)]).collect();
    let axis = draws.below(ndim);
    let all = numbers(&shape).mapv(|x| x as i32);
    let x = array::from_ndarray(all.clone(), draws.chunks(&shape));
    let later = |a: f64, b: f64| if b < 0.0 { a } else { b };
    let scan = move |x: ArrayViewD<'_, i32>, axis: usize| {
        let mut out = x.mapv(f64::from);
        out.accumulate_axis_inplace(Axis(axis), |&a, b| *b = later(a, *b));
        out
    };
    let combine = move |a: ArrayViewD<'_, f64>, b: ArrayViewD<'_, f64>| {
        Zip::from(&b).and_broadcast(&a).map_collect(|&b, &a| later(a, b))
    };
    let got = x.cumreduction(axis as i64, scan, combine);
    check(&got, &scan(all.view(), axis));
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn blocks_of_one_letter_come_together(numbers in proptest::collection::vec(any::<u32>(), 40)) {
        lettered(&mut Draws { numbers: &numbers, at: 0, is_sendable: false });
    }

    #[test]
    fn cumulative_functions_of_users_are_those_of_loops(
        numbers in proptest::collection::vec(any::<u32>(), 40),
    ) {
        filled(&mut Draws { numbers: &numbers, at: 0, is_sendable: false });
    }

    #[test]
    fn blocks_of_several_arrays_come_together(numbers in proptest::collection::vec(any::<u32>(), 40)) {
        several(&mut Draws { numbers: &numbers, at: 0, is_sendable: false });
    }

    #[test]
    fn reductions_of_users_are_those_of_loops(numbers in proptest::collection::vec(any::<u32>(), 40)) {
        reduced(&mut Draws { numbers: &numbers, at: 0, is_sendable: false });
    }
}

/// What is not commutative shows the order in which partial results are combined.
#[test]
fn partial_results_are_combined_in_the_order_of_blocks() {
    for split_every in 2..6 {
        let x = array::arange(0, 23, 1, [2]).expand_dims(0);
        let ends = x.reduction(
            over(1).split_every(split_every),
            |x, _| {
                let end = |range: Slice| x.slice_axis(Axis(1), range).to_owned();
                [end(Slice::from(..1)), end(Slice::from(-1..))]
            },
            |[first, last], [next, end]| {
                assert_eq!(last[[0, 0]] + 1, next[[0, 0]]);
                [first.to_owned(), end.to_owned()]
            },
            |[first, last]| &first * 100 + &last,
        );
        check(&ends, &arr1(&[22]).into_dyn());
    }
}

#[test]
fn functions_of_several_arrays_take_unknown_lengths() {
    let x = array::arange(0, 10, 1, [4]);
    let mask = (&x % 3).eq(0);
    let (a, b) = (x.mask(&mask), x.cast::<f64>().mask(&mask));
    let sum = array::map_blocks((&a, &b), |(a, b), info| {
        assert!(info.start.is_none());
        a.mapv(f64::from) + &b
    });
    check(&sum, &arr1(&[0.0, 6.0, 12.0, 18.0]).into_dyn());
    let other = x.mask(&x.gt(2));
    let wrong = array::map_blocks((&a, &other), |(a, _), _| a.to_owned());
    assert!(matches!(wrong.check(), Err(Error::UnknownChunks { .. })));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let x: Array<f64> = array::ones([4, 3], [2, 3]);
    let y: Array<i32> = array::ones([2], [1]);
    let wrong = array::map_blocks((&x, &y), |(x, _), _| x.to_owned());
    assert!(matches!(wrong.check(), Err(Error::ShapeMismatch { .. })), "{wrong}");
    let shorter = array::map_blocks((&x, &x), |(x, _), _| x.index_axis(Axis(0), 0).to_owned());
    let error = shorter.compute().unwrap_err();
    assert!(error.to_string().contains("block_functions.rs"), "{error}");
    let not_kept = |x: ArrayViewD<'_, f64>, _: &[usize]| [x.sum_axis(Axis(0))];
    let wrong = x.reduction(0, not_kept, |[a], [b]| [&a + &b], |[a]| a.to_owned());
    let error = wrong.compute().unwrap_err();
    assert!(matches!(error, Error::TaskFailed { .. }), "{error}");
    let named = x.reduction("t", not_kept, |[a], [b]| [&a + &b], |[a]| a.to_owned());
    assert!(matches!(named.check(), Err(Error::InvalidAxis { .. })));
}

/// Which partial results the last task has is seen by what it makes of them, and names stay.
#[test]
fn axes_of_one_block_come_and_go() {
    let all = numbers(&[6, 4]);
    let x = array::from_ndarray(all.clone(), [2, 4]).with_dim_names(["y", "x"]);
    let sums = x.map_blocks_with_chunks(&[vec![2, 2, 2]], |block, _| block.sum_axis(Axis(1)));
    check(&sums, &all.sum_axis(Axis(1)));
    let deeper = x.map_blocks_with_chunks(&[vec![2], vec![2, 2, 2], vec![4]], |block, info| {
        assert_eq!(info.block.len(), 3);
        ndarray::stack(Axis(0), &[block.view(), (&block * 2.0).view()]).unwrap()
    });
    check(&deeper, &ndarray::stack(Axis(0), &[all.view(), (&all * 2.0).view()]).unwrap());
    let turned = x.map_blocks_with_chunks(&[vec![4], vec![2, 2, 2]], |block, _| {
        block.reversed_axes().to_owned()
    });
    check(&turned, &all.t().to_owned());
    let wrong = x.map_blocks_with_chunks(&[vec![3, 3]], |block, _| block.sum_axis(Axis(1)));
    assert!(matches!(wrong.check(), Err(Error::InvalidChunks { .. })));
    let reduced = x.reduction(
        "y",
        |x, _| [x.sum_axis(Axis(0)).insert_axis(Axis(0))],
        |[a], [b]| [&a + &b],
        |[a]| a.to_owned(),
    );
    assert_eq!(reduced.dim_names().unwrap().unwrap(), ["x"]);
    let both = array::map_blocks((&x, &x.slice(ndarray::s![0, ..])), |(a, b), _| &a + &b);
    assert_eq!(both.dim_names().unwrap().unwrap(), ["y", "x"]);
}

#[test]
fn blocks_by_their_index() {
    let all = numbers(&[5, 7]);
    let x = array::from_ndarray(all.clone(), [2, 3]);
    let sizes = |axis| x.chunks().unwrap().sizes(axis).unwrap();
    let (mut y, mut n) = (0, 0);
    for (i, &height) in sizes(0).iter().enumerate() {
        let mut x_start = 0;
        for (j, &width) in sizes(1).iter().enumerate() {
            let part =
                all.slice(ndarray::s![y..y + height as isize, x_start..x_start + width as isize]);
            check(&x.block([i, j]), &part.to_owned().into_dyn());
            assert_eq!(x.block([i, j]).explain().unwrap().n_tasks(), Some(1));
            x_start += width as isize;
            n += part.len() as u64;
        }
        y += height as isize;
    }
    assert_eq!(n, x.size().unwrap());
    check(&x.block([-1, -1]), &all.slice(ndarray::s![4.., 6..]).to_owned().into_dyn());
    assert!(matches!(x.block([3, 0]).check(), Err(Error::IndexOutOfBounds { .. })));
    assert!(matches!(x.block(0).check(), Err(Error::InvalidArgument { .. })));
}

#[test]
fn blocks_go_where_a_function_puts_them() {
    let all = numbers(&[9, 8]);
    let x = array::from_ndarray(all.clone(), [4, 3]);
    let out = Arc::new(Mutex::new(ArrayD::from_elem(IxDyn(&[9, 8]), f64::NAN)));
    let target = Arc::clone(&out);
    let store = (&x * 2.0).store_with(move |start, block| {
        let mut target = target.lock().map_err(|_| "poisoned")?;
        let mut part = target.slice_each_axis_mut(|axis| {
            let (i, n) = (axis.axis.index(), start[axis.axis.index()] as isize);
            Slice::from(n..n + block.shape()[i] as isize)
        });
        part.assign(&block);
        Ok::<(), &str>(())
    });
    let (sum, ()) = compute((x.sum(..), store)).unwrap();
    assert_eq!(sum[[]], all.sum());
    assert_eq!(*out.lock().unwrap(), &all * 2.0);

    let failing =
        x.store_with(|start, _| if start[0] == 4 { Err("the disk is full") } else { Ok(()) });
    let error = compute(failing).unwrap_err().to_string();
    assert!(error.contains("the disk is full") && error.contains("block_functions.rs"), "{error}");
    let own = x.store_with(|_, _| Err(Error::Cancelled));
    assert!(matches!(compute(own), Err(Error::Cancelled)));
    let unknown = x.compress(&x.gt(0.0).any(1), 0).store_with(|_, _| Ok::<(), Error>(()));
    assert!(matches!(compute(unknown), Err(Error::UnknownChunks { .. })));
}

#[test]
fn arrays_broadcast_to_one_shape() {
    let (a, b) = (numbers(&[3, 1]), numbers(&[4]));
    let both = array::broadcast_arrays(&[
        array::from_ndarray(a.clone(), [2, 1]),
        array::from_ndarray(b.clone(), [3]),
    ]);
    check(&both[0], &a.broadcast(vec![3, 4]).unwrap().to_owned());
    check(&both[1], &b.broadcast(vec![3, 4]).unwrap().to_owned());
    let wrong = array::broadcast_arrays(&[array::ones::<f64>([3], -1), array::ones([4], -1)]);
    assert!(wrong.iter().all(|x| matches!(x.check(), Err(Error::ShapeMismatch { .. }))));
    assert!(array::broadcast_arrays::<f64>(&[]).is_empty());
}

#[test]
fn what_numbers_are() {
    use num_complex::Complex;
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let x = array::from_ndarray(arr1(&[1.0, inf, -inf, nan]), [3]);
    check(&x.isposinf(), &arr1(&[false, true, false, false]).into_dyn());
    check(&x.isneginf(), &arr1(&[false, false, true, false]).into_dyn());
    check(&x.isreal(), &arr1(&[true; 4]).into_dyn());
    check(&x.iscomplex(), &arr1(&[false; 4]).into_dyn());
    check(&array::arange(0, 2, 1, [1]).isposinf(), &arr1(&[false; 2]).into_dyn());
    let z = [Complex::new(1.0, 0.0), Complex::new(0.0, -2.0), Complex::new(nan, 0.0)];
    let z = array::from_ndarray(arr1(&z), [2]);
    check(&z.isreal(), &arr1(&[true, false, true]).into_dyn());
    check(&z.iscomplex(), &arr1(&[false, true, false]).into_dyn());
    assert!(matches!(z.isposinf().check(), Err(Error::DTypeMismatch { .. })));
    let points: Vec<f64> = (-8..9).map(|i| f64::from(i) / 4.0).collect();
    let got = array::from_ndarray(arr1(&points), [5]).sinc().compute().unwrap();
    for (x, got) in points.iter().zip(&got) {
        let angle = std::f64::consts::PI * x;
        let expected = if *x == 0.0 { 1.0 } else { angle.sin() / angle };
        assert!((got - expected).abs() < 1e-15, "sinc({x}) = {got}");
    }
}

#[test]
fn letters_go_with_lengths_of_one_names_and_other_lengths() {
    let all = numbers(&[6, 5]);
    let x = array::from_ndarray(all.clone(), [4, 2]).with_dim_names(["y", "x"]);
    let row = array::from_ndarray(all.slice(ndarray::s![..1, ..]).to_owned().into_dyn(), [1, 3]);
    let sum = array::blockwise("ij,ij->ij", (&x, &row), &[], |(a, b), _| &a + &b);
    check(&sum, &(&all + &all.slice(ndarray::s![..1, ..])));
    assert_eq!(sum.dim_names().unwrap().unwrap(), ["y", "x"]);
    // Blocks of 4 and 2 rows become 8 and 4.
    let twice = array::blockwise("ij->ij", (&x,), &[('i', vec![8, 4])], |(a,), _| {
        ndarray::concatenate(Axis(0), &[a.view(), a.view()]).unwrap()
    });
    let parts = [(0, 4), (0, 4), (4, 6), (4, 6)];
    let parts = parts.map(|(from, to)| all.slice_axis(Axis(0), Slice::from(from..to)));
    check(&twice, &ndarray::concatenate(Axis(0), &parts).unwrap());
    // Of an unknown length, which is cut alike.
    let kept = x.compress(&x.slice(ndarray::s![.., 0]).gt(0.0), 0);
    let n_kept = all.index_axis(Axis(1), 0).iter().filter(|x| **x > 0.0).count();
    let one = array::blockwise("ij->i", (&kept,), &[], |(a,), _| a.sum_axis(Axis(1)) * 0.0 + 1.0);
    assert_eq!(one.sum(..).compute().unwrap()[[]], n_kept as f64);

    let wrong = |subscripts: &str, chunks: &[(char, Vec<u64>)]| {
        let y = array::blockwise(subscripts, (&x,), chunks, |(a,), _| a.to_owned());
        assert!(matches!(y.check(), Err(Error::InvalidArgument { .. })), "{subscripts}: {y}");
    };
    for subscripts in ["ij", "i->i", "ij,j->i", "ij->ii", "ij->ik", "i1->i", "ij->i->j"] {
        wrong(subscripts, &[]);
    }
    wrong("ij->ij", &[('i', vec![12])]);
    wrong("ij->ij", &[('k', vec![1])]);
    wrong("ij->ijk", &[('k', vec![])]);
    let other = array::ones::<f64>([4], [4]);
    let wrong = array::blockwise("ij,i->ij", (&x, &other), &[], |(a, _), _| a.to_owned());
    assert!(matches!(wrong.check(), Err(Error::ShapeMismatch { .. })));
    let wrong = array::blockwise("ij->i", (&x,), &[], |(a,), _| a.to_owned());
    assert!(matches!(wrong.compute(), Err(Error::TaskFailed { .. })));
}

#[test]
fn what_functions_need_besides_their_blocks_counts() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let x: Array<f64> = array::ones([64, 64], [16, 16]).with_dim_names(["y", "x"]);
    let config = Config::new().with_memory_limit(256 << 10).with_threads(4);
    let both = |x: &Array<f64>, bytes: u64| {
        let blocks = x.map_blocks(|block, _| &block * 2.0).with_scratch_bytes(bytes);
        let around = x.map_overlap(1, array::Boundary::Nearest, |block, _| block.to_owned());
        (blocks, around.with_scratch_bytes(bytes))
    };
    config.scope(|| {
        let (blocks, around) = both(&x, 200 << 10);
        assert_eq!(blocks.dim_names().unwrap().unwrap(), ["y", "x"]);
        let (sum, same) = compute((blocks.sum(..), around.sum(..))).unwrap();
        assert_eq!((sum[[]], same[[]]), (2.0 * 64.0 * 64.0, 64.0 * 64.0));
        let (blocks, around) = both(&x, 300 << 10);
        assert!(matches!(blocks.compute(), Err(Error::OverBudget { .. })));
        assert!(matches!(around.compute(), Err(Error::OverBudget { .. })));

        // As two do not fit, no two run.
        let (running, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (seen, counted) = (Arc::clone(&running), Arc::clone(&calls));
        let results = array::apply_gufunc("(x)->(x),()", &[&x], &[], move |blocks| {
            assert_eq!(seen.fetch_add(1, Ordering::SeqCst), 0);
            counted.fetch_add(1, Ordering::SeqCst);
            let results = vec![blocks[0].to_owned(), blocks[0].sum_axis(Axis(1))];
            (0..100).for_each(|_| std::thread::yield_now());
            seen.fetch_sub(1, Ordering::SeqCst);
            results
        });
        let results: Vec<_> =
            results.iter().map(|result| result.with_scratch_bytes(140 << 10)).collect();
        let (same, sums) = compute((results[0].sum(..), results[1].sum(..))).unwrap();
        assert_eq!((same[[]], sums[[]]), (64.0 * 64.0, 64.0 * 64.0));
        assert_eq!(calls.load(Ordering::SeqCst) as u64, results[1].grid().unwrap()[0]);
    });
    let wrong = (&x + 1.0).with_scratch_bytes(1);
    assert!(matches!(wrong.check(), Err(Error::InvalidArgument { .. })), "{wrong}");
}
