//! Functions of whole axes that users bring along.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use super::dtype::Element;
use super::expr::Handle;
use super::handle::Array;
use super::ops::gufunc::{Signature, apply_gufunc as apply};
use crate::error::{Call, Error};

/// A function of whole axes of some arrays, for each place on the other axes: a generalized ufunc.
///
/// `signature` names the core axes, which are the last ones of each array: `"(i,j),(j)->(i)"` is a function of a matrix
/// and a vector that makes a vector. The other axes are loops, which broadcast. `sizes` has the lengths of core axes that
/// only results have. The function gets blocks that all have the same loop axes, followed by their core axes, and
/// returns an array for each term after the arrow, with the loop axes first.
///
/// # Shape and chunks
/// Core axes are put into one chunk; loops are cut so that no block grows beyond the largest one and the chunk size.
///
/// # Cost
/// One task for each block of the loops, however many results there are. What the function allocates besides its results is
/// counted as far as [`with_scratch_bytes`](Array::with_scratch_bytes) says it.
///
/// # Errors
/// Carried: [`Error::InvalidArgument`], [`Error::ShapeMismatch`], [`Error::UnknownChunks`]. Of `compute`:
/// [`Error::TaskFailed`] if the function returns other shapes, [`Error::TaskPanicked`] if it panics.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let x = array::arange(0.0, 12.0, 1.0, [5]).reshape([3, 4]);
/// let mean_and_range = |blocks: &[ndarray::ArrayViewD<'_, f64>]| {
///     let last = ndarray::Axis(blocks[0].ndim() - 1);
///     let mean = blocks[0].mean_axis(last).unwrap();
///     let range = blocks[0].map_axis(last, |lane| lane[lane.len() - 1] - lane[0]);
///     vec![mean, range]
/// };
/// let results = array::apply_gufunc("(t)->(),()", &[&x], &[], mean_and_range);
/// assert_eq!(results[0].compute()?, ndarray::arr1(&[1.5, 5.5, 9.5]).into_dyn());
/// assert_eq!(results[1].compute()?, ndarray::arr1(&[3.0, 3.0, 3.0]).into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
#[must_use]
pub fn apply_gufunc<T: Element, U: Element>(
    signature: &str,
    arrays: &[&Array<T>],
    sizes: &[(&str, u64)],
    function: impl Fn(&[ArrayViewD<'_, T>]) -> Vec<ArrayD<U>> + Send + Sync + 'static,
) -> Vec<Array<U>> {
    let call = Call::new("apply_gufunc");
    let handles: Vec<&Handle> = arrays.iter().map(|array| &array.handle).collect();
    let parsed = Signature::parse(call, signature);
    // As many as there are opening brackets, if nothing else can be read.
    let n_outputs = match &parsed {
        Ok(parsed) => parsed.outputs.len(),
        Err(_) => signature.rsplit("->").next().unwrap_or("").matches('(').count().max(1),
    };
    let made = parsed.and_then(|parsed| apply(call, &parsed, &handles, sizes, Arc::new(function)));
    match made {
        Ok(nodes) => {
            nodes.into_iter().map(|node| Array::of(Handle::from_result(Ok(node)))).collect()
        }
        Err(error) => {
            let failed = |error: Error| Array::of(Handle::from_result(Err(error)));
            (0..n_outputs).map(|_| failed(error.clone())).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, ArrayViewD, Axis};

    use super::*;
    use crate::Config;
    use crate::prelude::*;

    fn product(blocks: &[ArrayViewD<'_, f64>]) -> Vec<ArrayD<f64>> {
        let (a, b) = (&blocks[0], &blocks[1]);
        let last = b.ndim() - 1;
        vec![(a * &b.view().insert_axis(Axis(last))).sum_axis(Axis(last + 1))]
    }

    #[test]
    fn loops_broadcast_and_core_axes_are_whole() {
        let of = |shape: &[i64], chunks: &[u64]| {
            let len: i64 = shape.iter().product();
            array::arange(0.0, len as f64, 1.0, [7]).reshape(shape).rechunk(chunks.to_vec())
        };
        for optimize in [true, false] {
            for (a, b) in [([5, 1, 3, 4], vec![2, 4]), ([1, 2, 3, 4], vec![5, 1, 4])] {
                let config = Config::new().with_optimize(optimize).with_chunk_bytes(100);
                config.scope(|| {
                    let x = of(&a, &[2, 1, 2, 3]);
                    let y = of(&b, &[1, 1, 3][3 - b.len()..]);
                    let got = apply_gufunc("(i, j),(j)->(i)", &[&x, &y], &[], product);
                    let expected = (&x * y.expand_dims(-2)).sum(-1);
                    assert_eq!(got[0].compute().unwrap(), expected.compute().unwrap());
                    assert_eq!(got[0].chunks().unwrap().sizes(2), Some(vec![3]));
                });
            }
        }
    }

    #[test]
    fn several_results_come_from_one_call() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let x = array::arange(0_i32, 24, 1, [5]).reshape([6, 4]).rechunk([2, 3]);
        let results = apply_gufunc("(n)->(),(m),(n)", &[&x], &[("m", 2)], move |blocks| {
            counted.fetch_add(1, Ordering::Relaxed);
            let x = blocks[0].mapv(f64::from);
            let ends = ndarray::concatenate(Axis(1), &[x.slice(s![.., ..1]), x.slice(s![.., 3..])]);
            vec![x.sum_axis(Axis(1)), ends.unwrap().into_dyn(), x * 2.0]
        });
        let [sum, ends, twice] = &results[..] else { panic!("{} results", results.len()) };
        let (sum, ends, twice) = compute((sum, ends, twice)).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 3);
        assert_eq!((sum[[1]], ends[[5, 1]], twice[[2, 3]]), (22.0, 23.0, 22.0));
    }

    #[test]
    fn loops_are_cut_where_core_axes_grow() {
        Config::new().with_chunk_bytes(8 * 64).scope(|| {
            let x: Array<f64> = array::ones([64, 64], [8, 8]);
            let same = |blocks: &[ArrayViewD<'_, f64>]| vec![blocks[0].to_owned()];
            let y = &apply_gufunc("(i)->(i)", &[&x], &[], same)[0];
            assert_eq!(y.grid().unwrap(), [64, 1]);
            assert_eq!(y.compute().unwrap().sum(), 64.0 * 64.0);
        });
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let x: Array<f64> = array::ones([4, 3], [2, 3]);
        let same = |blocks: &[ArrayViewD<'_, f64>]| vec![blocks[0].to_owned()];
        for signature in [
            "",
            "(i)",
            "i->i",
            "(i->(i)",
            "(i)->(i",
            "(1)->()",
            "(i),(j)->()",
            "(i,j,k)->()",
            "(i)->(z)",
        ] {
            let results = apply_gufunc(signature, &[&x], &[], same);
            assert!(
                matches!(results[0].check(), Err(Error::InvalidArgument { .. })),
                "{signature}"
            );
        }
        assert!(matches!(
            apply_gufunc("(i,i)->()", &[&x], &[], same)[0].check(),
            Err(Error::ShapeMismatch { .. })
        ));
        let wrong = &apply_gufunc("(i)->()", &[&x], &[], same)[0];
        assert!(matches!(wrong.compute(), Err(Error::TaskFailed { .. })));
        // Its block is at hand to run the task again.
        let error = Config::new().with_optimize(false).scope(|| wrong.compute().unwrap_err());
        assert_eq!(error.failed_task().unwrap().n_inputs(), 1);
        let fewer = apply_gufunc("(i)->(i),(i)", &[&x], &[], same);
        assert!(matches!(fewer[1].compute(), Err(Error::TaskFailed { .. })));
    }
}
