//! Elementwise kernels over inputs of any layout, against ndarray.

use ndarray::{ArcArray, Axis, Slice, Zip};
use proptest::prelude::*;

use super::*;
use crate::array::chunks::AxisChunks;
use crate::array::dtype::DType;
use crate::array::kernels::ElemwiseKernel;
use crate::graph::Wiring;

/// A view of `shape` into a larger array: sliced, reversed, permuted; some axes of length 1.
fn view(shape: &[usize], seed: u64) -> ArcArray<f64, IxDyn> {
    let mut seed = seed;
    let mut next = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let n_dropped = if next(3) == 0 { next(shape.len() as u64 + 1) as usize } else { 0 };
    let shape = &shape[n_dropped..];
    let mut order: Vec<usize> = (0..shape.len()).collect();
    for i in (1..order.len()).rev() {
        if next(2) == 0 {
            order.swap(i, next(i as u64 + 1) as usize);
        }
    }
    let lens: Vec<usize> = shape.iter().map(|&len| if next(4) == 0 { 1 } else { len }).collect();
    let steps: Vec<isize> = lens.iter().map(|_| [1, 1, 1, -1, 2][next(5) as usize]).collect();
    let extra: Vec<usize> = lens.iter().map(|_| (next(3) / 2) as usize).collect();
    let full: Vec<usize> =
        order.iter().map(|&axis| lens[axis] * steps[axis].unsigned_abs() + extra[axis]).collect();
    let mut value = 0.0;
    let base = ArrayD::from_shape_simple_fn(IxDyn(&full), || {
        value += 1.0;
        value
    });
    let mut inverse = vec![0; order.len()];
    order.iter().enumerate().for_each(|(at, &axis)| inverse[axis] = at);
    let mut view = base.into_shared().permuted_axes(IxDyn(&inverse));
    for (axis, (&len, &step)) in lens.iter().zip(&steps).enumerate() {
        let end = (len * step.unsigned_abs()) as isize;
        view.slice_axis_inplace(Axis(axis), Slice::new(0, Some(end), step));
    }
    assert_eq!(view.shape(), lens);
    view
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_layout_broadcasts(
        shape in prop::collection::vec(0_usize..40, 0..4),
        seeds in prop::array::uniform3(any::<u64>()),
    ) {
        // x * y - z
        let mut b = Builder::new(3);
        let [x, y, z] = [0, 1, 2].map(|slot| b.input(slot, DType::F64));
        let product = b.binary(BinaryOp::Mul, x, y).unwrap();
        let result = b.binary(BinaryOp::Sub, product, z).unwrap();
        let kernel = ElemwiseKernel::new(b.finish(result), whole(&shape));
        let inputs = seeds.map(|seed| view(&shape, seed));
        let blocks = inputs.iter().map(|x| Block::new(Chunk::borrowed(x.clone()))).collect();
        let got = array::<f64>(run(&kernel, shape.len(), blocks));
        let [x, y, z] = inputs.each_ref().map(|x| x.broadcast(IxDyn(&shape)).unwrap());
        let want = Zip::from(x).and(y).and(z).map_collect(|x, y, z| x * y - z);
        prop_assert_eq!(got, want);
    }

    #[test]
    fn fused_is_unfused_to_the_last_bit(
        values in prop::collection::vec(-1e3..1e3_f64, 1..3000),
        ops in prop::collection::vec((0_usize..9, -4.0..4.0_f64), 1..12),
    ) {
        let x = vector(values);
        let step = |kind: usize, c: f64| {
            let mut b = Builder::new(2);
            let [x, first] = [0, 1].map(|slot| b.input(slot, DType::F64));
            let c = b.constant(c.into());
            let result = match kind {
                0 => b.binary(BinaryOp::Add, x, c),
                1 => b.binary(BinaryOp::Mul, c, x),
                2 => b.binary(BinaryOp::Sub, c, x),
                3 => b.binary(BinaryOp::Sub, x, c),
                4 => b.unary(UnaryOp::Square, x),
                5 => b.binary(BinaryOp::Sub, x, first),
                6 => b.binary(BinaryOp::Mul, first, x),
                7 => b.binary(BinaryOp::Maximum, x, first),
                _ => b.binary(BinaryOp::Div, x, c),
            };
            b.finish(result.unwrap())
        };
        let chunks = whole(x.shape());
        let mut fused = Program::input(DType::F64).remap_slots(&[0], 2);
        let mut unfused = x.clone();
        for &(kind, c) in &ops {
            let program = step(kind, c);
            let wiring = Wiring { consumer: vec![0, 1], producer: vec![0, 1], n_slots: 2, ..Wiring::default() };
            fused = program.inline(0, &fused, &wiring);
            let kernel = ElemwiseKernel::new(program, chunks.clone());
            // Each result is overwritten by the next.
            unfused = array(run(&kernel, 1, vec![owned(unfused), block(x.clone())]));
        }
        let kernel = ElemwiseKernel::new(fused, chunks);
        let got = array::<f64>(run(&kernel, 1, vec![block(x.clone()), block(x.clone())]));
        let to_bits = |x: ArrayD<f64>| x.mapv(|x| if x.is_nan() { 0 } else { x.to_bits() });
        prop_assert_eq!(to_bits(got), to_bits(unfused));
    }
}

#[test]
fn an_owned_input_is_overwritten() {
    let x = vector((0..100_000).map(f64::from).collect());
    let address = x.as_ptr();
    let kernel = ElemwiseKernel::new(example(), whole(x.shape()));
    let want = x.mapv(|x| (x * 2.0 + 1.0).powi(2) - x);
    let made = run(&kernel, 1, vec![owned(x)]);
    let made = chunk::<f64>(made);
    assert_eq!(made.view().as_ptr(), address);
    assert_eq!(made.view(), want.view());
}

#[test]
fn indices_know_where_the_block_is() {
    let chunks = Chunks::new(vec![AxisChunks::uniform(10, 4), AxisChunks::uniform(7, 3)]);
    for axis in 0..2 {
        let kernel = ElemwiseKernel::new(Program::index(axis, 5, -2), chunks.clone());
        assert!(kernel.is_free());
        let pool = pool();
        let task = TaskContext { block: &[2, 1], pool: &pool };
        let made = kernel.run(&task, Inputs::new(vec![], vec![])).unwrap();
        let want =
            ArrayD::from_shape_fn(IxDyn(&[2, 3]), |i| 5 - 2 * ([8, 3][axis] + i[axis] as i64));
        assert_eq!(array::<i64>(made), want);
    }
}

#[test]
fn creations_are_absorbed_through_broadcasting() {
    let column = ElemwiseKernel::new(Program::index(0, 0, 1), whole(&[1]));
    let row = ElemwiseKernel::new(Program::index(0, 0, 1), whole(&[3]));
    let add = Program::binary(BinaryOp::Add, DType::I64).unwrap();
    let kernel = ElemwiseKernel::new(add, whole(&[2, 3]));
    let wiring = Wiring { consumer: vec![0, 0], producer: vec![], n_slots: 1, ..Wiring::default() };
    let kernel = kernel.absorb(1, &row, &wiring).unwrap();
    let wiring = Wiring { consumer: vec![], producer: vec![], n_slots: 0, ..Wiring::default() };
    let kernel = kernel.absorb(0, &column, &wiring).unwrap();
    let got = array::<i64>(run(&*kernel, 2, vec![]));
    assert_eq!(got, ArrayD::from_shape_fn(IxDyn(&[2, 3]), |i| i[1] as i64));
    // Work that is not free is not repeated for each row.
    let sine = ElemwiseKernel::new(Program::unary(UnaryOp::Sin, DType::F64).unwrap(), whole(&[3]));
    let add = Program::binary(BinaryOp::Add, DType::F64).unwrap();
    let kernel = ElemwiseKernel::new(add, whole(&[2, 3]));
    let wiring =
        Wiring { consumer: vec![0, 0], producer: vec![1], n_slots: 2, ..Wiring::default() };
    assert!(kernel.absorb(1, &sine, &wiring).is_none());
}
