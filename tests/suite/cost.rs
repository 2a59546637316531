//! What long chains and large arrays cost.

use std::thread;

use dask_rs::prelude::*;
use dask_rs::{Config, ExecutorKind};

/// Calls `f` on a thread whose stack a recursion would soon overflow, without other threads.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    let serial = || Config::new().with_executor(ExecutorKind::Serial).scope(f);
    let small = thread::Builder::new().stack_size(256 << 10);
    small.spawn(serial).expect("a thread starts").join().expect("nothing panicked");
}

#[test]
fn a_chain_of_200_000_steps() {
    on_a_small_stack(|| {
        let mut x: Array<f64> = array::arange(0.0, 4.0, 1.0, 2);
        for _ in 0..200_000 {
            x = &x + 1.0;
        }
        let got = x.compute().unwrap();
        assert_eq!(got, ndarray::arr1(&[200_000.0, 200_001.0, 200_002.0, 200_003.0]).into_dyn());
        assert!(x.to_string().contains("float64"));
    });
}

#[test]
fn a_slice_moves_through_a_long_chain() {
    on_a_small_stack(|| {
        let mut x: Array<f64> = array::arange(0.0, 4.0, 1.0, 2);
        for _ in 0..20_000 {
            x = &x + 1.0;
        }
        assert_eq!(x.slice(s![3..]).compute().unwrap()[[0]], 20_003.0);
    });
}

#[test]
fn a_chain_that_is_not_optimized() {
    on_a_small_stack(|| {
        Config::new().with_optimize(false).scope(|| {
            let mut x: Array<f64> = array::ones(2, 1);
            for _ in 0..20_000 {
                x = (&x + 1.0) - &x;
            }
            assert_eq!(x.compute().unwrap()[[1]], 1.0);
        });
    });
}

#[test]
fn a_chain_of_mixed_steps() {
    on_a_small_stack(|| {
        let mut x: Array<f64> = array::arange(0.0, 12.0, 1.0, 5).reshape([3, 4]);
        for i in 0..3000 {
            x = match i % 4 {
                0 => x.transpose(),
                1 => x.rechunk([2, 3]),
                2 => x.slice(s![..;-1, ..]),
                _ => &x + &x.transpose().transpose() * 0.0,
            };
        }
        assert_eq!(x.sum(..).compute().unwrap()[[]], 66.0);
    });
}

#[test]
fn a_chain_that_doubles_its_paths() {
    on_a_small_stack(|| {
        let mut x: Array<f64> = array::ones(3, 1);
        for _ in 0..1000 {
            x = (&x + &x) * 0.5;
        }
        assert_eq!(x.compute().unwrap()[[2]], 1.0);
    });
}

#[test]
fn a_million_chunks_are_described_and_sliced_at_once() {
    let x: Array<f64> = array::ones(1_000_000, 1);
    let y = (&x + 1.0) * 2.0 - 3.0;
    assert_eq!(y.grid().unwrap(), [1_000_000]);
    assert!(y.to_string().contains("1000000"));
    assert_eq!(y.slice(s![0..1]).compute().unwrap()[[0]], 1.0);
    assert_eq!(y.slice(s![..;-1]).slice(s![10..12]).compute().unwrap().len(), 2);
}

#[test]
fn a_slice_that_starts_inside_a_chunk_lists_no_chunks() {
    let x: Array<f64> = array::ones(1_u64 << 60, 4);
    let part = x.slice(s![1..]);
    assert_eq!(part.grid().unwrap(), [1 << 58]);
    assert_eq!(
        part.chunks().unwrap().to_string(),
        format!("((3, 4, 4, … {} blocks),)", 1_u64 << 58)
    );
    let few = (&part + &part).slice(s![2..;-1]).slice(s![1..6]);
    assert_eq!(few.sum(..).compute().unwrap()[[]], 10.0);
    let singles: Array<f64> = array::ones(1_000_000_000, 1);
    assert_eq!(singles.slice(s![1..]).slice(s![-3..]).compute().unwrap().len(), 3);
    let error = x.slice(s![..;3]).check().unwrap_err();
    assert!(matches!(error, Error::TooManyTasks { .. }), "{error}");
}

#[test]
fn thousands_of_arrays_side_by_side() {
    let parts: Vec<Array<f64>> = (0..5_000).map(|i| array::full([2], f64::from(i), [1])).collect();
    let x = array::concatenate(&parts, 0);
    let (all, part) = compute((&x, x.slice(s![5_001..5_003]))).unwrap();
    assert!((0..10_000).all(|i| all[[i]] == (i / 2) as f64));
    assert_eq!(part, ndarray::arr1(&[2500.0, 2501.0]).into_dyn());
}

#[test]
fn arrays_larger_than_the_memory_limit() {
    // 80 MB of blocks of 80 kB, inside 2 MB.
    let limit = Config::new().with_memory_limit(2 << 20).with_threads(2);
    let (total, mean) = limit.scope(|| {
        let x: Array<f64> = array::arange(0.0, 1e7, 1.0, 10_000);
        let y = x.map_blocks(|block, _| block.to_owned()).reshape([1000, 10_000]);
        compute((y.sum(..), (&y - &y.mean(0)).mean(..))).unwrap()
    });
    assert_eq!(total[[]], (1e7 - 1.0) * 1e7 / 2.0);
    assert!(mean[[]].abs() < 1e-6);
}

#[test]
fn a_task_that_cannot_fit_is_refused_before_anything_runs() {
    let limit = Config::new().with_memory_limit(1 << 20);
    let x: Array<f64> = array::ones(1 << 20, 1 << 20);
    let error = limit.scope(|| {
        let ran = x.map_blocks(|_, _| -> ndarray::ArrayD<f64> { panic!("it ran") });
        ran.persist().unwrap_err()
    });
    assert!(matches!(error, Error::OverBudget { needed, limit, .. } if needed > limit), "{error}");
    assert!(error.to_string().contains("DASK_RS_MEMORY_LIMIT"), "{error}");
}

#[test]
fn the_configured_fan_in_is_used() {
    // Thirds are rounded, so that trees of another form give other last bits.
    let x: Array<f64> = array::arange(0.0, 1000.0, 1.0, 3);
    let x = 1.0 / (x * 3.0 + 1.0);
    let by_two = x.sum(over(0).split_every(2)).compute().unwrap();
    let by_all = x.sum(over(0).split_every(100)).compute().unwrap();
    assert_ne!(by_two, by_all);
    for (n, want) in [(2, by_two), (100, by_all)] {
        let got = Config::new().with_split_every(n).scope(|| x.sum(0).compute().unwrap());
        assert_eq!(got, want);
    }
}
