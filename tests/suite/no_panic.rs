//! Whatever a user writes for chunks, shapes, slices and axes is done or refused, and never a panic.

use dask_rs::array::{Array, AxisSpec, Boundary, ChunkSpec, Index, PadMode, QuantileMethod, over};
use dask_rs::prelude::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngSeed};

fn cases(n: u32) -> Cases {
    Cases { cases: n, rng_seed: RngSeed::Fixed(6), failure_persistence: None, ..Cases::default() }
}

/// Integers near 0, and some at the ends.
fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => -7_i64..8,
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(1 << 40), Just(-(1 << 40)), Just(1 << 62)],
    ]
}

fn axis_spec() -> impl Strategy<Value = AxisSpec> {
    prop_oneof![
        4 => integer().prop_map(AxisSpec::from),
        2 => vec(integer(), 0..5).prop_map(AxisSpec::from),
        1 => Just(AxisSpec::Auto),
        1 => Just(AxisSpec::Keep),
        1 => "[0-9a-zA-Z. ]{0,6}".prop_map(AxisSpec::from),
        1 => any::<u64>().prop_map(AxisSpec::Bytes),
        1 => vec(0_u64..4, 0..4).prop_map(AxisSpec::Explicit),
    ]
}

fn chunk_spec() -> impl Strategy<Value = ChunkSpec> {
    prop_oneof![
        axis_spec().prop_map(ChunkSpec::All),
        vec(axis_spec(), 0..5).prop_map(ChunkSpec::PerAxis),
        vec((integer(), axis_spec()), 0..4).prop_map(ChunkSpec::Axes),
    ]
}

fn index() -> impl Strategy<Value = Vec<Index>> {
    let bound = || proptest::option::of(integer());
    let slice = (bound(), bound(), bound()).prop_map(|(start, stop, step)| Index::Slice {
        start,
        stop,
        step,
    });
    let entry = prop_oneof![
        2 => integer().prop_map(Index::At),
        5 => slice,
        1 => Just(Index::NewAxis),
        1 => Just(Index::Ellipsis),
    ];
    vec(entry, 0..6)
}

fn array() -> impl Strategy<Value = Array<f64>> {
    (vec(0_i64..6, 0..4), vec(1_i64..5, 4)).prop_map(|(shape, sizes)| {
        let n: i64 = shape.iter().product();
        let flat: Array<f64> = array::arange(0.0, n as f64, 1.0, 3);
        let sizes = sizes[..shape.len()].to_vec();
        flat.reshape(shape).rechunk(ChunkSpec::from(sizes))
    })
}

/// Either a result whose shape is what was declared, or a message with this file's name.
fn settle<T: array::Element>(array: &Array<T>) -> Result<(), TestCaseError> {
    let names_us = |error: Error| {
        let message = error.to_string();
        prop_assert!(message.contains("no_panic.rs:"), "{}", message);
        Ok(())
    };
    let _ = array.to_string();
    let shape = match array.shape() {
        Ok(shape) => shape,
        Err(error) => return names_us(error),
    };
    // Larger ones are only described.
    let n = shape.iter().try_fold(1_u64, |n, &len| n.checked_mul(len));
    let n_blocks: u64 = array.grid().map_or(0, |grid| grid.iter().product());
    if n.is_some_and(|n| n <= 10_000) && n_blocks <= 2000 {
        let result = array.compute();
        let got = match result {
            Ok(got) => got,
            // A small result of a large array.
            Err(Error::TooManyTasks { .. }) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(format!("computing failed: {error}"))),
        };
        let got: Vec<u64> = got.shape().iter().map(|&len| len as u64).collect();
        prop_assert_eq!(got, shape);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn chunks_and_shapes_of_new_arrays(shape in vec(integer(), 0..5), chunks in chunk_spec()) {
        settle(&array::zeros::<f64>(shape.clone(), chunks.clone()))?;
        settle(&array::from_fn(shape, chunks.clone(), |index| index.iter().sum::<u64>()))?;
        settle(&array::from_ndarray(ndarray::Array2::<u8>::zeros((3, 0)), chunks))?;
    }

    #[test]
    fn ranges(start in integer(), stop in integer(), step in integer(), n in any::<u64>()) {
        settle(&array::arange(start, stop, step, "auto"))?;
        settle(&array::arange(start as f64, stop as f64, step as f64 / 3.0, "auto"))?;
        settle(&array::arange(start as u8, stop as u8, step as u8, 3))?;
        settle(&array::linspace(start as f64, stop as f64, n % 50, 4))?;
        settle(&array::linspace(0.0, 1.0, n, "auto"))?;
        settle(&array::eye::<f64>(n % 7, n % 5, start, 2))?;
        settle(&array::eye::<f64>(n, n, start, "auto"))?;
    }

    #[test]
    fn slices(x in array(), index in index()) {
        settle(&x.slice(index.clone()))?;
        settle(&(&x + 1.0).transpose().slice(index.clone()).slice(index))?;
    }

    #[test]
    fn rechunks(x in array(), chunks in chunk_spec()) {
        settle(&x.rechunk(chunks.clone()))?;
        settle(&x.rechunk(chunks.clone()).sum(0).rechunk(chunks))?;
    }

    #[test]
    fn shapes(x in array(), shape in vec(integer(), 0..5)) {
        settle(&x.reshape(shape.clone()))?;
        settle(&x.broadcast_to(shape.clone()))?;
        settle(&x.broadcast_to(shape).sum(..))?;
    }

    #[test]
    fn reshapes_that_fit(x in array(), cut in vec(1_i64..5, 0..4), at in 0_usize..5) {
        let mut shape = cut;
        shape.insert(at.min(shape.len()), -1);
        settle(&x.reshape(shape))?;
    }

    #[test]
    fn axes(x in array(), a in vec(integer(), 0..4), b in vec(integer(), 0..4), ddof in -2.0..3.0) {
        settle(&x.sum(a.clone()))?;
        settle(&x.var(over(a.clone()).ddof(ddof).keepdims()))?;
        settle(&x.argmin(a.clone()))?;
        settle(&x.nanmax(over(a.clone()).split_every(b.len() as u64)))?;
        settle(&x.permute_axes(a.clone()))?;
        settle(&x.moveaxis(a.clone(), b.clone()))?;
        settle(&x.squeeze(a.clone()))?;
        settle(&x.expand_dims(a.clone()))?;
        settle(&x.flip(a.clone()))?;
        settle(&x.tensordot(&x.transpose(), a, b))?;
        settle(&x.squeeze(..).expand_dims([0, -1]))?;
    }

    #[test]
    fn pairs(x in array(), y in array(), axis in integer()) {
        settle(&(&x + &y))?;
        settle(&x.matmul(&y))?;
        settle(&x.dot(&y))?;
        settle(&array::where_(&x.gt(2.0), &y, &x))?;
        settle(&array::concatenate(&[x.clone(), y.clone()], axis))?;
        settle(&array::stack(&[x.clone(), y.clone(), x.clone()], axis))?;
        settle(&x.swapaxes(axis, 0))?;
    }

    #[test]
    fn strings(x in array(), name in "[a-z]{0,2}", names in vec("[a-z]{0,2}", 0..4)) {
        let named = x.with_dim_names(&names);
        settle(&named)?;
        settle(&named.mean(name.as_str()))?;
        settle(&x.rechunk(name.as_str()))?;
    }

    #[test]
    fn numbers(x in array(), v in any::<i64>(), w in any::<f64>()) {
        settle(&x.cast::<i8>().pow(v as i8))?;
        settle(&(x.cast::<i64>() / v))?;
        settle(&(x.cast::<i16>() % v as i16))?;
        settle(&x.cast::<i32>().floor_div(v as i32))?;
        settle(&(x.cast::<u8>() << v as u8))?;
        settle(&(x.cast::<i64>() >> v))?;
        settle(&(&x * w).cast::<u8>().sum(..))?;
        settle(&(&x * w).cast::<i64>().prod(..))?;
        settle(&x.clip(w, -w))?;
        settle(&(x.cast::<i64>() * v).mean(..))?;
        settle(&(-(x.cast::<i64>() - v)).abs().sign())?;
    }
}

proptest! {
    #![proptest_config(cases(80))]

    #[test]
    fn moves(x in array(), a in integer(), b in integer(), list in vec(integer(), 0..4)) {
        settle(&x.roll(a, b))?;
        settle(&x.roll(list.clone(), ..))?;
        settle(&x.repeat(a, b))?;
        settle(&x.repeat(list.clone(), b))?;
        settle(&x.tile(list.clone()))?;
        for mode in [PadMode::Constant(1.0), PadMode::Reflect, PadMode::Wrap, PadMode::Mean] {
            settle(&x.pad((a, b), mode))?;
        }
        settle(&x.rot90(a, list.clone()))?;
        settle(&x.at_least_nd(a as usize))?;
        settle(&x.insert(a, &x, b))?;
        settle(&x.delete(list.clone(), b))?;
        settle(&x.take(list.clone(), b))?;
        settle(&x.tril(a))?;
        settle(&array::diag(&x, a))?;
        settle(&x.diff(a as u64, b))?;
        settle(&x.coarsen([(a, b as u64)], |x, axes| x.sum(axes)))?;
        settle(&x.gradient(a as f64, b))?;
        settle(&x.ptp(list.clone()))?;
        settle(&x.average(&x, a))?;
        settle(&x.corrcoef())?;
        settle(&x.moment(a as u32, list))?;
    }

    #[test]
    fn picks(x in array(), a in integer(), b in integer(), list in vec(integer(), 0..4), index in index()) {
        settle(&x.vindex([(a, list.clone()), (b, list.clone())]))?;
        settle(&x.vindex([(a, list.clone())]))?;
        settle(&x.diagonal(a))?;
        settle(&x.assign(index.clone(), 1.0))?;
        settle(&x.assign(index.clone(), x.slice(index)))?;
        settle(&x.assign_at(list.clone(), a, 2.0))?;
        settle(&x.assign_where(&x.gt(1.0), &x))?;
        settle(&x.cumsum(list.clone()))?;
        settle(&x.map_overlap((a, b), Boundary::Nearest, |block, _| block.to_owned()))?;
        settle(&x.sliding_window_view([(a, b as u64)]))?;
        settle(&x.quantile([a as f64, 0.5], QuantileMethod::Nearest, list.clone()))?;
        settle(&x.median(list.clone()))?;
        settle(&x.topk(a, b))?;
        settle(&x.histogram(&[a as f64, b as f64]))?;
        settle(&x.bincount(a as u64 % 50))?;
        settle(&x.isin(&x))?;
        for unknown in [x.mask(&x.gt(1.0)), x.unique(), x.compress(&x.gt(1.0), a)] {
            let settled = unknown.compute_chunk_sizes();
            prop_assert!(settled.as_ref().map_or(true, |x| settle(x).is_ok()), "{:?}", settled);
        }
    }
}
