//! Two instructions in one loop, for the arithmetic of floats with constants.
//!
//! A loop over a strip in the L1 cache spends most of its time on loads and stores, so taking two
//! instructions per loop saves nearly half. Each instruction still rounds by itself: nothing is
//! contracted to a fused multiply-add, and results have the same bits.

use std::marker::PhantomData;

use pulp::NullaryFnOnce;

use super::functions::Float;
use super::loops::{Step, StepFn};
use super::ops::{BinaryOp, UnaryOp};
use super::program::{Instr, Program, Reg};
use super::scalar::{Lane, Scalar};
use super::strip::{Frame, Operand, Val};
use crate::array::dtype::DType;

/// A cheap function of one element and a constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum StageKind {
    /// `x + c`
    Add,
    /// `x * c`
    Mul,
    /// `c - x`
    SubFrom,
    /// `x * x`
    Square,
}

/// An instruction that is a [`StageKind`] of `arg`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    pub(crate) kind: StageKind,
    pub(crate) arg: Reg,
    pub(crate) constant: Scalar,
}

impl Stage {
    /// The instruction as a stage, if it is one and works on floats.
    pub(crate) fn of(program: &Program, instr: &Instr) -> Option<Stage> {
        let value = |reg: Reg| match program.instrs()[reg as usize] {
            Instr::Const(value) => Some(value),
            _ => None,
        };
        let stage = |kind, arg, constant| Some(Stage { kind, arg, constant });
        let stage = match *instr {
            Instr::Unary { op: UnaryOp::Square, arg } => {
                stage(StageKind::Square, arg, Scalar::Bool(false))
            }
            Instr::Binary { op, left, right } => match (op, value(left), value(right)) {
                (BinaryOp::Add, None, Some(c)) => stage(StageKind::Add, left, c),
                (BinaryOp::Add, Some(c), None) => stage(StageKind::Add, right, c),
                (BinaryOp::Mul, None, Some(c)) => stage(StageKind::Mul, left, c),
                (BinaryOp::Mul, Some(c), None) => stage(StageKind::Mul, right, c),
                (BinaryOp::Sub, Some(c), None) => stage(StageKind::SubFrom, right, c),
                (BinaryOp::Sub, None, Some(c)) => stage(StageKind::Add, left, negated(c)?),
                _ => None,
            },
            _ => None,
        }?;
        program.reg_dtype(stage.arg).is_float().then_some(stage)
    }
}

/// `-c`, which added is the same as `c` subtracted, unless it is NaN and has a sign to keep.
fn negated(c: Scalar) -> Option<Scalar> {
    match c {
        Scalar::F32(c) if !c.is_nan() => Some(Scalar::F32(-c)),
        Scalar::F64(c) if !c.is_nan() => Some(Scalar::F64(-c)),
        _ => None,
    }
}

trait StageFn<T>: 'static {
    fn call(x: T, c: T) -> T;
}

trait JoinFn<T>: 'static {
    /// `x` is what the stage gave.
    fn call(x: T, y: T) -> T;
}

macro_rules! stage_fns {
    ($($kind:ident: $name:ident |$x:ident, $c:ident| $body:expr;)*) => {$(
        struct $name;
        impl<T: Float> $kind<T> for $name {
            #[inline(always)]
            fn call($x: T, $c: T) -> T {
                $body
            }
        }
    )*};
}

stage_fns! {
    StageFn: AddStage |x, c| x + c;
    StageFn: MulStage |x, c| x * c;
    StageFn: SubFromStage |x, c| c - x;
    StageFn: SquareStage |x, _c| x * x;
    JoinFn: AddJoin |x, y| x + y;
    JoinFn: SubJoin |x, y| x - y;
    JoinFn: SubFromJoin |x, y| y - x;
    JoinFn: MulJoin |x, y| x * y;
}

macro_rules! with_stage {
    ($kind:expr, $s:ident => $body:expr) => {
        match $kind {
            StageKind::Add => {
                type $s = AddStage;
                $body
            }
            StageKind::Mul => {
                type $s = MulStage;
                $body
            }
            StageKind::SubFrom => {
                type $s = SubFromStage;
                $body
            }
            StageKind::Square => {
                type $s = SquareStage;
                $body
            }
        }
    };
}

/// The loop of two stages; `args` are the element and both constants.
pub(crate) fn pair_loop(first: StageKind, second: StageKind, dtype: DType) -> StepFn {
    with_stage!(first, A => with_stage!(second, B => match dtype {
        DType::F32 => pair_step::<f32, A, B>,
        _ => pair_step::<f64, A, B>,
    }))
}

/// The loop of a stage whose result meets another value; `args` are element, constant, and value.
pub(crate) fn join_loop(
    stage: StageKind,
    op: BinaryOp,
    is_stage_left: bool,
    dtype: DType,
) -> Option<StepFn> {
    macro_rules! join {
        ($j:ident) => {
            with_stage!(stage, A => match dtype {
                DType::F32 => join_step::<f32, A, $j>,
                _ => join_step::<f64, A, $j>,
            })
        };
    }
    let run: StepFn = match op {
        BinaryOp::Add => join!(AddJoin),
        BinaryOp::Mul => join!(MulJoin),
        BinaryOp::Sub if is_stage_left => join!(SubJoin),
        BinaryOp::Sub => join!(SubFromJoin),
        _ => return None,
    };
    Some(run)
}

fn constant<T: Lane>(operand: Operand) -> T {
    match operand {
        Operand::Const(value) => T::from_scalar(value),
        other => unreachable!("a stage has a constant, not {other:?}"),
    }
}

fn pair_step<T: Float, A: StageFn<T>, B: StageFn<T>>(step: &Step, frame: &mut Frame<'_>) {
    let [x, a, b] = step.args;
    let (a, b) = (constant(a), constant(b));
    frame.write::<T>(step.dest, |frame, out| match frame.value::<T>(x) {
        Val::Splat(x) => out.fill(B::call(A::call(x, a), b)),
        Val::Slice(x) => {
            frame.arch.dispatch(Pair { x, a, b, out, f: PhantomData::<(A, B)> });
        }
    });
}

fn join_step<T: Float, A: StageFn<T>, J: JoinFn<T>>(step: &Step, frame: &mut Frame<'_>) {
    let [x, c, y] = step.args;
    let c = constant(c);
    frame.write::<T>(step.dest, |frame, out| match (frame.value::<T>(x), frame.value::<T>(y)) {
        (Val::Slice(x), Val::Slice(y)) => {
            frame.arch.dispatch(Join { x, c, y, out, f: PhantomData::<(A, J)> });
        }
        (Val::Splat(x), Val::Splat(y)) => out.fill(J::call(A::call(x, c), y)),
        (Val::Slice(x), Val::Splat(y)) => {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = J::call(A::call(x, c), y);
            }
        }
        (Val::Splat(x), Val::Slice(y)) => {
            let x = A::call(x, c);
            for (out, &y) in out.iter_mut().zip(y) {
                *out = J::call(x, y);
            }
        }
    });
}

struct Pair<'s, T, F> {
    x: &'s [T],
    a: T,
    b: T,
    out: &'s mut [T],
    f: PhantomData<F>,
}

impl<T: Float, A: StageFn<T>, B: StageFn<T>> NullaryFnOnce for Pair<'_, T, (A, B)> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (a, b) = (self.a, self.b);
        for (out, &x) in self.out.iter_mut().zip(self.x) {
            *out = B::call(A::call(x, a), b);
        }
    }
}

struct Join<'s, T, F> {
    x: &'s [T],
    c: T,
    y: &'s [T],
    out: &'s mut [T],
    f: PhantomData<F>,
}

impl<T: Float, A: StageFn<T>, J: JoinFn<T>> NullaryFnOnce for Join<'_, T, (A, J)> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let c = self.c;
        for ((out, &x), &y) in self.out.iter_mut().zip(self.x).zip(self.y) {
            *out = J::call(A::call(x, c), y);
        }
    }
}
