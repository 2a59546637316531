//! What happens inside tasks: panics, errors, computing from within, stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dask_rs::prelude::*;
use dask_rs::{Config, ExecutorKind};
use ndarray::{ArrayD, IxDyn};

fn executors() -> [Config; 4] {
    let config = Config::new();
    [
        config.clone().with_executor(ExecutorKind::Serial),
        config.clone().with_executor(ExecutorKind::Seeded(5)),
        config.clone().with_threads(1),
        config.with_threads(4),
    ]
}

#[test]
fn a_panic_names_the_operation_and_the_block() {
    let x: Array<f64> = array::ones([4, 6], [2, 2]);
    let y = x.map_blocks(|block, info| -> ArrayD<f64> {
        assert!(info.block != [1, 2], "no luck with {:?}", info.start);
        block.to_owned()
    });
    for config in executors() {
        for result in [(&y + 1.0).sum(0), y.clone()] {
            match config.scope(|| result.compute()) {
                Err(Error::TaskPanicked { op, block, message, .. }) => {
                    assert!(op.contains("map_blocks"), "{op}");
                    assert_eq!(block.last(), Some(&2), "{block:?}");
                    assert_eq!(message, "no luck with Some([2, 4])");
                }
                other => panic!("{other:?}"),
            }
        }
    }
    // Nothing is left behind that would spoil the next run.
    assert_eq!(x.sum(..).compute().unwrap()[[]], 24.0);
}

#[test]
fn a_wrong_shape_names_the_line_of_the_call() {
    let x: Array<f64> = array::ones([4, 6], [2, 2]);
    let line = line!() + 1;
    let y = x.map_blocks(|_, _| ArrayD::<f64>::zeros(IxDyn(&[2, 3])));
    for config in executors() {
        match config.scope(|| y.sum(..).compute()) {
            Err(Error::TaskFailed { op, source, .. }) => {
                assert!(op.contains("map_blocks"), "{op}");
                assert!(matches!(*source, Error::ShapeMismatch { .. }), "{source}");
                let message = source.to_string();
                assert!(message.contains("[2, 3]") && message.contains("[2, 2]"), "{message}");
                assert!(message.contains(&format!("tasks.rs:{line}:")), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn declared_chunks_are_checked_and_used() {
    let x: Array<f64> = array::arange(0.0, 10.0, 1.0, 4);
    let halves = x.map_blocks_with_chunks::<i64>(&[vec![2, 2, 1]], |block, info| {
        let step = ndarray::Slice::new(0, None, 2);
        let halved = block.slice_axis(ndarray::Axis(0), step);
        halved.mapv(|v| v as i64 + info.block[0] as i64 * 100).into_dyn()
    });
    assert_eq!(halves.shape().unwrap(), [5]);
    assert_eq!(halves.compute().unwrap(), ndarray::arr1(&[0, 2, 104, 106, 208]).into_dyn());
}

#[test]
fn computing_from_inside_a_task() {
    for config in executors() {
        let total = config.scope(|| {
            let x: Array<f64> = array::ones([8, 8], [2, 2]);
            let y = x.map_blocks(|block, info| {
                let inner: Array<f64> = array::arange(0.0, 100.0, 1.0, 7);
                let sum = inner.map_blocks(|b, _| b.to_owned()).sum(0).compute().unwrap()[[]];
                block.mapv(|v| v * sum + info.block[0] as f64)
            });
            y.sum(..).compute().unwrap()[[]]
        });
        assert_eq!(total, 64.0 * 4950.0 + 16.0 * (0.0 + 1.0 + 2.0 + 3.0));
    }
}

#[test]
fn an_error_inside_a_nested_computation_comes_out() {
    let x: Array<f64> = array::ones(4, 2);
    let y = x.map_blocks(|block, _| {
        let inner: Array<f64> = array::ones(4, 2);
        inner.map_blocks(|_, _| -> ArrayD<f64> { panic!("deep inside") }).compute().unwrap();
        block.to_owned()
    });
    let error = y.compute().unwrap_err();
    assert!(matches!(error, Error::TaskPanicked { .. }), "{error}");
    assert!(error.to_string().contains("deep inside"), "{error}");
}

#[test]
fn the_first_error_stops_the_run() {
    let n = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&n);
    let x: Array<f64> = array::ones(10_000, 1);
    let y = x.map_blocks(move |block, info| {
        counter.fetch_add(1, Ordering::Relaxed);
        assert!(info.block[0] != 3, "stop");
        block.to_owned()
    });
    Config::new().with_threads(2).scope(|| y.compute().unwrap_err());
    assert!(n.load(Ordering::Relaxed) < 5000, "{n:?} blocks ran after the error");
}

#[test]
fn settings_hold_inside_of_tasks() {
    let x: Array<f64> = array::ones(4, 1);
    let seen = x.map_blocks(|block, _| {
        let n = Config::current().unwrap().split_every() as f64;
        block.mapv(|_| n)
    });
    let got = Config::new().with_split_every(13).with_threads(2).scope(|| seen.compute().unwrap());
    assert_eq!(got, ndarray::arr1(&[13.0; 4]).into_dyn());
}

#[test]
fn many_threads_compute_at_once() {
    let x: Array<f64> = array::arange(0.0, 1000.0, 1.0, 10);
    let y = x.map_blocks(|block, _| block.to_owned()).persist().unwrap();
    std::thread::scope(|scope| {
        for i in 0..8 {
            let y = &y;
            scope.spawn(move || {
                let got = (y + f64::from(i)).sum(0).compute().unwrap()[[]];
                assert_eq!(got, 499_500.0 + 1000.0 * f64::from(i));
            });
        }
    });
}

#[test]
fn a_block_that_is_used_again_is_not_overwritten() {
    // Operands whose last use it is are overwritten in place; these have another use.
    let data = ndarray::Array1::from_iter((0..100).map(f64::from));
    let x = array::from_ndarray(data.clone(), 10);
    let p = (&x + 0.0).persist().unwrap();
    for _ in 0..2 {
        let (a, b, c) = compute((&p * 2.0, &p + 1.0, (-&p).exp())).unwrap();
        assert_eq!((a[[7]], b[[7]], c[[7]]), (14.0, 8.0, (-7.0_f64).exp()));
        let (t, u) = compute((p.transpose() + 1.0, p.slice(s![..;-1]) * 3.0)).unwrap();
        assert_eq!((t[[7]], u[[0]]), (8.0, 297.0));
    }
    assert_eq!(p.compute().unwrap(), data.clone().into_dyn());
    assert_eq!((&x + 1.0).compute().unwrap()[[99]], 100.0);
    assert_eq!(x.compute().unwrap(), data.into_dyn());
}
