//! Reductions against straightforward loops.

use ndarray::{Axis, Slice};
use proptest::prelude::*;

use super::*;
use crate::array::chunks::AxisChunks;
use crate::array::dtype::DType;
use crate::array::kernels::{ReduceKind, ReduceSpec, chunk_kernel, combine_kernel, finish_kernel};
use crate::graph::Wiring;

const KINDS: [ReduceKind; 12] = [
    ReduceKind::Sum,
    ReduceKind::Prod,
    ReduceKind::Min,
    ReduceKind::Max,
    ReduceKind::Any,
    ReduceKind::All,
    ReduceKind::CountNonzero,
    ReduceKind::Mean,
    ReduceKind::Var,
    ReduceKind::Std,
    ReduceKind::ArgMin,
    ReduceKind::ArgMax,
];

fn spec(kind: ReduceKind, axes: &[usize], skip_nan: bool, in_dtype: DType) -> ReduceSpec {
    ReduceSpec { kind, axes: axes.to_vec(), ddof: 1.0, skip_nan, in_dtype }
}

/// Reduces block by block, with reduced axes in chunks of `size`, then combines and finishes.
fn reduce(spec: &ReduceSpec, x: &ArrayD<f64>, size: usize) -> Result<Block, crate::Error> {
    let axis_chunks = |(axis, &len): (usize, &usize)| {
        let block_len = if spec.axes.contains(&axis) { size } else { len.max(1) };
        AxisChunks::uniform(len as u64, block_len as u64)
    };
    let chunks = Chunks::new(x.shape().iter().enumerate().map(axis_chunks).collect::<Vec<_>>());
    let program = Program::input(spec.in_dtype);
    let chunk = chunk_kernel(spec, program, chunks.clone());
    let pool = pool();
    let mut partials = Vec::new();
    for number in 0..chunks.n_blocks() {
        let idx = chunks.unravel_block(number).unwrap();
        let task = TaskContext { block: &idx, pool: &pool };
        let (start, shape) = (chunks.block_start(&idx).unwrap(), chunks.block_shape(&idx).unwrap());
        let mut part = x.clone().into_shared();
        for (axis, (&start, &len)) in start.iter().zip(&shape).enumerate() {
            let range = start as usize..(start + len) as usize;
            part.slice_axis_inplace(Axis(axis), Slice::from(range));
        }
        let input = Inputs::new(vec![Block::new(Chunk::borrowed(part))], vec![1]);
        partials.push(chunk.run(&task, input)?.through_disk());
    }
    let task = TaskContext { block: &[0], pool: &pool };
    if partials.len() > 3 {
        let rest = partials.split_off(2);
        let n = rest.len();
        let merged = combine_kernel(spec).run(&task, Inputs::new(rest, vec![n]))?;
        partials.push(merged);
    }
    let n = partials.len();
    finish_kernel(spec).run(&task, Inputs::new(partials, vec![n]))
}

/// The reduction of a list, the obvious way; `None` for indices and extremes of nothing.
fn oracle(kind: ReduceKind, skip_nan: bool, xs: &[f64]) -> Option<f64> {
    let kept: Vec<f64> = xs.iter().copied().filter(|x| !skip_nan || !x.is_nan()).collect();
    let n = kept.len() as f64;
    let sum: f64 = kept.iter().sum();
    let mean = sum / n;
    let squares: f64 = kept.iter().map(|x| (x - mean) * (x - mean)).sum();
    let variance = if skip_nan && n <= 1.0 { f64::NAN } else { squares / (n - 1.0).max(0.0) };
    let extreme = |is_better: fn(f64, f64) -> bool| {
        let mut best: Option<usize> = None;
        for (i, &x) in xs.iter().enumerate().filter(|(_, x)| !skip_nan || !x.is_nan()) {
            let beats = |b: f64| (x.is_nan() && !b.is_nan()) || is_better(x, b);
            if best.is_none_or(|best| beats(xs[best])) {
                best = Some(i);
            }
        }
        best
    };
    let all_skipped = || if skip_nan && !xs.is_empty() { Some(f64::NAN) } else { None };
    Some(match kind {
        ReduceKind::Sum => sum,
        ReduceKind::Prod => kept.iter().product(),
        ReduceKind::Min => return extreme(|a, b| a < b).map(|i| xs[i]).or_else(all_skipped),
        ReduceKind::Max => return extreme(|a, b| a > b).map(|i| xs[i]).or_else(all_skipped),
        ReduceKind::Any => f64::from(xs.iter().any(|&x| x != 0.0)),
        ReduceKind::All => f64::from(xs.iter().all(|&x| x != 0.0)),
        ReduceKind::CountNonzero => xs.iter().filter(|&&x| x != 0.0).count() as f64,
        ReduceKind::Mean => mean,
        ReduceKind::Var => variance,
        ReduceKind::Std => variance.sqrt(),
        ReduceKind::ArgMin => return extreme(|a, b| a < b).map(|i| i as f64),
        ReduceKind::ArgMax => return extreme(|a, b| a > b).map(|i| i as f64),
    })
}

/// The oracle along `axes`, in C order of the kept positions.
fn expected(spec: &ReduceSpec, x: &ArrayD<f64>) -> Vec<Option<f64>> {
    let kept: Vec<usize> = (0..x.ndim()).filter(|axis| !spec.axes.contains(axis)).collect();
    let order: Vec<usize> = kept.iter().chain(&spec.axes).copied().collect();
    let n_reduced: usize = spec.axes.iter().map(|&axis| x.shape()[axis]).product();
    let n_kept: usize = kept.iter().map(|&axis| x.shape()[axis]).product();
    let moved = x.clone().permuted_axes(IxDyn(&order));
    let flat: Vec<f64> = moved.iter().copied().collect();
    let list =
        |i: usize| oracle(spec.kind, spec.skip_nan, &flat[i * n_reduced..(i + 1) * n_reduced]);
    (0..n_kept).map(list).collect()
}

fn values(block: Block, dtype: DType) -> Vec<f64> {
    match dtype {
        DType::Bool => array::<bool>(block).iter().map(|&x| f64::from(x)).collect(),
        DType::I64 => array::<i64>(block).iter().map(|&x| x as f64).collect(),
        _ => array::<f64>(block).iter().copied().collect(),
    }
}

fn is_close(got: f64, want: f64) -> bool {
    got == want
        || (got.is_nan() && want.is_nan())
        || (got - want).abs() <= 1e-11 + 1e-9 * want.abs()
}

fn check(spec: &ReduceSpec, x: &ArrayD<f64>, size: usize) {
    let want = expected(spec, x);
    match reduce(spec, x, size) {
        Ok(block) => {
            let got = values(block, spec.out_dtype());
            assert_eq!(got.len(), want.len(), "{spec} of {:?}", x.shape());
            for (&got, want) in got.iter().zip(want) {
                let want = want.unwrap_or_else(|| panic!("{spec} of {x:?} is {got}"));
                assert!(
                    is_close(got, want),
                    "{spec} of {:?} by {size}: {got}, not {want}",
                    x.shape()
                );
            }
        }
        Err(error) => assert!(want.contains(&None), "{spec} of {:?}: {error}", x.shape()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_axes_of_any_blocks(
        shape in prop::collection::vec(0_usize..14, 1..4),
        mask in 1_usize..8,
        size in 1_usize..9,
        nan_every in 2_usize..9,
        has_nan: bool,
        skip_nan: bool,
    ) {
        let axes: Vec<usize> = (0..shape.len()).filter(|axis| mask >> axis & 1 == 1).collect();
        let mut i = 0;
        let x = ArrayD::from_shape_simple_fn(IxDyn(&shape), || {
            i += 1;
            if has_nan && i % nan_every == 0 { f64::NAN } else { ((i * 37) % 11) as f64 - 5.0 }
        });
        for kind in KINDS {
            let is_arg = matches!(kind, ReduceKind::ArgMin | ReduceKind::ArgMax);
            if !is_arg || axes.len() == 1 || axes.len() == shape.len() {
                check(&spec(kind, &axes, skip_nan, DType::F64), &x, size);
            }
        }
    }
}

/// Long axes take the paths with whole strips, tiles and trees.
#[test]
fn long_axes() {
    for shape in [[3, 5000], [5000, 3], [300, 1100], [1100, 300], [2500, 1], [2, 2050]] {
        let x =
            ArrayD::from_shape_fn(IxDyn(&shape), |i| ((i[0] * 31 + i[1] * 17) % 101) as f64 * 0.5);
        for axes in [&[0][..], &[1], &[0, 1]] {
            for kind in KINDS {
                if kind != ReduceKind::Prod {
                    check(&spec(kind, axes, false, DType::F64), &x, 5000);
                    check(&spec(kind, axes, true, DType::F64), &x, 700);
                }
            }
        }
    }
}

#[test]
fn variances_do_not_cancel() {
    let x = ArrayD::from_shape_fn(IxDyn(&[40, 2000]), |i| 1e9 + ((i[0] + i[1]) % 2) as f64);
    for axes in [&[0][..], &[1], &[0, 1]] {
        let spec = ReduceSpec { ddof: 0.0, ..spec(ReduceKind::Var, axes, false, DType::F64) };
        for got in values(reduce(&spec, &x, 600).unwrap(), DType::F64) {
            assert!((got - 0.25).abs() < 1e-12, "{axes:?}: {got}");
        }
    }
}

#[test]
fn sums_of_many_floats_keep_their_digits() {
    let x = vector(vec![0.1; 1 << 20]);
    let spec = spec(ReduceKind::Sum, &[0], false, DType::F64);
    let got = values(reduce(&spec, &x, 1 << 20).unwrap(), DType::F64)[0];
    assert!((got - 0.1 * (1 << 20) as f64).abs() < 1e-9, "{got}");
}

#[test]
fn fused_reductions_have_the_same_bits() {
    let x = ArrayD::from_shape_fn(IxDyn(&[70, 90]), |i| ((i[0] * 7 + i[1]) as f64).sin());
    for axes in [&[0][..], &[1], &[0, 1]] {
        for kind in [ReduceKind::Sum, ReduceKind::Var, ReduceKind::Mean] {
            let spec = spec(kind, axes, false, DType::F64);
            let plain = chunk_kernel(&spec, Program::input(DType::F64), whole(x.shape()));
            let elemwise = crate::array::kernels::ElemwiseKernel::new(example(), whole(x.shape()));
            let wiring =
                Wiring { consumer: vec![0], producer: vec![0], n_slots: 1, ..Wiring::default() };
            let fused = plain.absorb(0, &elemwise, &wiring).unwrap();
            let finish = |partial| array::<f64>(run(&*finish_kernel(&spec), 2, vec![partial]));
            let made = run(&elemwise, 2, vec![block(x.clone())]);
            let unfused = finish(run(&*plain, 2, vec![made]));
            assert_eq!(finish(run(&*fused, 2, vec![block(x.clone())])), unfused);
            let fortran = ArrayD::from_shape_fn(IxDyn(&[90, 70]), |i| x[[i[1], i[0]]]);
            let strided = fortran.reversed_axes();
            assert_eq!(finish(run(&*fused, 2, vec![block(strided)])), unfused);
        }
    }
}

#[test]
fn result_dtypes_follow_numpy() {
    let out = |kind, dtype| spec(kind, &[0], false, dtype).out_dtype();
    assert_eq!(out(ReduceKind::Sum, DType::Bool), DType::I64);
    assert_eq!(out(ReduceKind::Sum, DType::I16), DType::I64);
    assert_eq!(out(ReduceKind::Prod, DType::U8), DType::U64);
    assert_eq!(out(ReduceKind::Sum, DType::F32), DType::F32);
    assert_eq!(out(ReduceKind::Mean, DType::I32), DType::F64);
    assert_eq!(out(ReduceKind::Mean, DType::F32), DType::F32);
    assert_eq!(out(ReduceKind::Var, DType::C64), DType::F32);
    assert_eq!(out(ReduceKind::Std, DType::C128), DType::F64);
    assert_eq!(out(ReduceKind::Mean, DType::C64), DType::C64);
    assert_eq!(out(ReduceKind::ArgMax, DType::F32), DType::I64);
    assert_eq!(out(ReduceKind::Min, DType::U16), DType::U16);
    assert_eq!(out(ReduceKind::CountNonzero, DType::C64), DType::I64);
    assert_eq!(out(ReduceKind::All, DType::F32), DType::Bool);
    assert!(spec(ReduceKind::Min, &[0], false, DType::C64).check().is_err());
}

/// Complex variances are real, integers wrap in 64 bits, small integers do not wrap.
#[test]
fn other_dtypes() {
    use num_complex::Complex;
    let total = |spec: &ReduceSpec, input: Block, n: usize| {
        let kernel = chunk_kernel(spec, Program::input(spec.in_dtype), whole(&[n]));
        run(&*finish_kernel(spec), 1, vec![run(&*kernel, 1, vec![input])])
    };
    let sum = spec(ReduceKind::Sum, &[0], false, DType::I8);
    assert_eq!(array::<i64>(total(&sum, block(vector(vec![100_i8; 50])), 50))[[0]], 5000);
    let sum = spec(ReduceKind::Sum, &[0], false, DType::I64);
    assert_eq!(array::<i64>(total(&sum, block(vector(vec![i64::MAX, 1])), 2))[[0]], i64::MIN);
    let var = ReduceSpec { ddof: 0.0, ..spec(ReduceKind::Var, &[0], false, DType::C128) };
    let x = vector(vec![Complex::new(1.0, 0.0), Complex::new(0.0, 1.0)]);
    assert_eq!(array::<f64>(total(&var, block(x), 2))[[0]], 0.5);
    let mean = spec(ReduceKind::Mean, &[0], false, DType::Bool);
    let x = vector(vec![true, false, true, true]);
    assert_eq!(array::<f64>(total(&mean, block(x), 4))[[0]], 0.75);
}
