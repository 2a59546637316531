//! Tests of delayed values: sharing, errors, long chains, memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{Config, ExecutorKind};

fn executors() -> [Config; 4] {
    let config = Config::new();
    [
        config.clone().with_executor(ExecutorKind::Serial),
        config.clone().with_executor(ExecutorKind::Seeded(3)),
        config.clone().with_threads(3),
        config.with_threads(2).with_optimize(false),
    ]
}

/// A function that counts its calls.
fn counted(counter: &Arc<AtomicUsize>) -> impl Fn(&i64) -> i64 + Clone + use<> {
    let counter = Arc::clone(counter);
    move |x: &i64| {
        counter.fetch_add(1, Ordering::Relaxed);
        x + 1
    }
}

#[test]
fn what_is_shared_runs_once() {
    for config in executors() {
        let counter = Arc::default();
        let base = delayed(counted(&counter), (1_i64,));
        let double = delayed(|x: &i64| 2 * x, (&base,));
        let product = delayed(|x: &i64, y: &i64| x * y, (&double, base.clone()));
        let results = config.scope(|| crate::compute((&double, &product, &base, &base)));
        assert_eq!(results.unwrap(), (4, 8, 2, 2));
        assert_eq!(counter.load(Ordering::Relaxed), 1);
        let kept = config.scope(|| base.persist()).unwrap();
        assert_eq!(kept.map(|x| x + 1).compute().unwrap(), 3);
        assert_eq!(counter.load(Ordering::Relaxed), 2);
    }
}

#[test]
fn values_need_not_be_clonable_until_they_are_results() {
    struct Solid(i32);
    let solid = delayed(|x: &i32| Solid(*x), (7,));
    assert_eq!(delayed(|solid: &Solid| solid.0, (solid,)).compute().unwrap(), 7);
}

#[test]
fn lists_of_many_values_are_one_argument() {
    let values: Vec<_> = (0..5_000_i64).map(|x| delayed(|x: &i64| x * x, (x,))).collect();
    let sum = |values: &Vec<i64>| values.iter().sum::<i64>();
    let expected = (0..5_000_i64).map(|x| x * x).sum::<i64>();
    for config in executors() {
        let total = delayed(sum, (&values,));
        assert_eq!(config.scope(|| total.compute()).unwrap(), expected);
    }
    assert_eq!(delayed(sum, (Vec::<Delayed<i64>>::new(),)).compute().unwrap(), 0);
}

#[test]
fn chains_may_be_long() {
    let mut value = Delayed::ready(0_u32);
    for _ in 0..200_000 {
        value = delayed(|x: &u32| x + 1, (value,));
    }
    assert_eq!(value.compute().unwrap(), 200_000);
    drop(value);
}

fn half(x: &i64) -> Result<i64, String> {
    if x % 2 == 0 { Ok(x / 2) } else { Err(format!("{x} is odd")) }
}

#[test]
fn an_error_names_the_function_and_the_line() {
    for config in executors() {
        let fine = try_delayed(half, (6_i64,));
        let line = line!() + 1;
        let odd = try_delayed(half, (fine,));
        let result = delayed(|x: &i64| x + 1, (odd,));
        let error = config.scope(|| result.compute()).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("half: the task, made at "), "{message}");
        assert!(message.ends_with(" failed: 3 is odd"), "{message}");
        assert!(message.contains(&format!("tests.rs:{line}:")), "{message}");
        let task = error.failed_task().unwrap();
        assert_eq!((task.op(), task.block(), task.n_inputs()), ("half", &[][..], 1));
        assert_eq!(task.at().unwrap().line(), line);
        assert_eq!(task.input::<i64>(0), Some(&3));
        assert_eq!(task.input::<i32>(0), None);
        let again = task.replay().unwrap_err();
        assert_eq!(again.to_string(), message);
    }
}

#[test]
fn a_panic_is_an_error_and_can_be_replayed() {
    for config in executors() {
        let n_calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&n_calls);
        let fails = delayed(
            move |x: &i64| {
                counter.fetch_add(1, Ordering::Relaxed);
                assert!(*x < 5, "no luck with {x}");
                *x
            },
            (Delayed::ready(8_i64),),
        )
        .with_name("unlucky");
        let error = config.scope(|| fails.map(|x| x + 1).compute()).unwrap_err();
        let Error::TaskPanicked { op, message, .. } = &error else { panic!("{error}") };
        assert_eq!((op.as_str(), message.as_str()), ("unlucky", "no luck with 8"));
        let task = error.failed_task().unwrap().clone();
        drop((error, fails));
        assert!(matches!(task.replay(), Err(Error::TaskPanicked { .. })));
        assert_eq!(n_calls.load(Ordering::Relaxed), 2);
    }
}

/// A value that tells when it is dropped.
struct Witness(#[expect(dead_code, reason = "it is held")] Arc<()>);

#[test]
fn only_the_inputs_of_the_failed_task_are_kept() {
    let (held, freed) = (Arc::new(()), Arc::new(()));
    let (of_held, of_freed) = (Arc::downgrade(&held), Arc::downgrade(&freed));
    let witness = |of: &Arc<()>| Witness(Arc::clone(of));
    let input = delayed(witness, (held,));
    let other = delayed(witness, (freed,));
    let read = delayed(|_: &Witness| 1, (&other,));
    let fails = try_delayed(|_: &Witness, _: &i32| Err::<i32, _>("no"), (&input, read));
    let error = fails.compute().unwrap_err();
    drop((fails, input, other));
    assert_eq!(of_freed.strong_count(), 0);
    assert_eq!(of_held.strong_count(), 1);
    drop(error);
    assert_eq!(of_held.strong_count(), 0);
}

#[test]
fn values_wait_for_memory_as_they_are_declared() {
    static HELD: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    struct Large;
    impl Drop for Large {
        fn drop(&mut self) {
            HELD.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let make = |_: &i32| {
        MOST.fetch_max(HELD.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Large
    };
    let sizes: Vec<_> = (0..40)
        .map(|i| delayed(|_: &Large| 1_i64, (delayed(make, (i,)).with_bytes(100),)))
        .collect();
    let total = delayed(|ones: &Vec<i64>| ones.iter().sum::<i64>(), (sizes,));
    let config = Config::new().with_threads(4).with_memory_limit(1000);
    assert_eq!(config.scope(|| total.compute()).unwrap(), 40);
    assert!(MOST.load(Ordering::SeqCst) <= 9, "{MOST:?}");

    let over = delayed(make, (0,)).with_bytes(2000).with_name("giant");
    let error = config.scope(|| over.map(|_| 1).compute()).unwrap_err();
    assert!(matches!(&error, Error::OverBudget { op, .. } if op == "giant"), "{error}");
}

#[test]
fn explain_and_visualize_name_the_functions() {
    let value = try_delayed(half, (4_i64,)).map(|x| x + 1).with_name("next");
    let explained = crate::explain(&value).unwrap();
    let text = explained.to_string();
    assert!(text.contains("half") && text.contains("next"), "{text}");
    assert_eq!(explained.n_tasks(), Some(2));
}

#[cfg(feature = "array")]
mod arrays {
    use super::*;
    use crate::array::{self, Array};
    use ndarray::ArrayD;

    #[test]
    fn arrays_are_arguments_and_values_become_arrays() {
        for config in executors() {
            let x = array::arange(0., 12., 1., [5]).reshape([3, 4]);
            let sum = delayed(|x: &ArrayD<f64>, shift: &f64| x.sum() + shift, (&x + 1.0, 0.5));
            let row = delayed(|x: &ArrayD<f64>| x.sum_axis(ndarray::Axis(0)), (&x,));
            let row = array::from_delayed(&row, [4]);
            let (sum, centred, cell) = config
                .scope(|| {
                    crate::compute((
                        &sum,
                        (&x - &row / 3.0).sum(..),
                        array::from_delayed(&sum.map(|s| ndarray::arr0(*s).into_dyn()), [0_u64; 0]),
                    ))
                })
                .unwrap();
            assert_eq!((sum, cell[[]]), (78.5, 78.5));
            assert!(centred[[]].abs() < 1e-12);
        }
    }

    #[test]
    fn lengths_that_are_unknown_are_known_to_the_function() {
        let x = array::arange(0., 10., 1., [3]);
        let large = x.mask(&x.gt(6.5));
        let list = delayed(|x: &ArrayD<f64>| x.iter().copied().collect::<Vec<_>>(), (large,));
        assert_eq!(list.compute().unwrap(), [7., 8., 9.]);
    }

    #[test]
    fn a_wrong_shape_and_a_broken_array_are_errors() {
        let value = Delayed::ready(ndarray::arr1(&[1.0]).into_dyn());
        let error = array::from_delayed(&value, [2]).compute().unwrap_err();
        assert!(error.to_string().contains("[1] and [2]"), "{error}");
        assert!(array::from_delayed(&value, [-3]).check().is_err());
        let broken = array::arange(0., 4., 1., [2]).reshape([3]);
        let of_broken = delayed(|x: &ArrayD<f64>| x.len(), (broken,));
        let error = of_broken.check().unwrap_err();
        assert!(error.to_string().starts_with("reshape"), "{error}");
        let carried =
            array::from_delayed(&of_broken.map(|_| ndarray::arr1(&[1.0]).into_dyn()), [1]);
        assert_eq!(carried.compute().unwrap_err().to_string(), error.to_string());
    }

    #[test]
    fn a_failed_block_can_be_looked_at() {
        let x: Array<f64> = array::arange(0., 8., 1., [2]) * 2.0;
        let line = line!() + 1;
        let y: Array<f64> = x.map_blocks(|block, info| {
            assert!(info.block != [2]);
            block.to_owned()
        });
        for config in executors() {
            let error = config.scope(|| y.sum(..).compute()).unwrap_err();
            let task = error.failed_task().unwrap();
            assert_eq!((task.block(), task.at().unwrap().line()), (&[2][..], line));
            // Unfused, it reads the products; fused with these, what they are made of.
            if task.n_inputs() > 0 {
                assert_eq!(task.input_array::<f64>(0).unwrap().as_slice(), Some(&[8., 10.][..]));
            }
            assert!(matches!(task.replay(), Err(Error::TaskPanicked { .. })));
        }
        // Reads have no inputs, and can be tried again.
        let error = array::from_fn([4], [2], |_| -> f64 { panic!("no") }).compute().unwrap_err();
        assert!(error.failed_task().is_some());
    }
}
