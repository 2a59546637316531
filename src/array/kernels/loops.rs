//! The loops over one strip: one function per operation and dtype, chosen once per program.
//!
//! The loops are plain; `pulp` compiles each `fast` one for every SIMD level, and the level is
//! chosen at run time. Constants stay scalars, so that no loop reads a register full of copies.

use std::marker::PhantomData;

use pulp::{Arch, NullaryFnOnce};

use super::load::copy;
use super::ops::{BinaryFn, BinaryOp, BinaryVisitor, UnaryFn, UnaryOp, UnaryVisitor};
use super::scalar::{CastTo, Lane};
use super::strip::{Dest, Frame, Operand, Val};
use crate::array::dtype::{DType, dispatch};

/// One instruction, ready to run on any strip.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) run: StepFn,
    pub(crate) args: [Operand; 3],
    pub(crate) dest: Dest,
}

/// The loop of a step.
pub(crate) type StepFn = fn(&Step, &mut Frame<'_>);

pub(crate) fn unary_loop(op: UnaryOp, dtype: DType) -> Option<StepFn> {
    struct Resolve;
    impl UnaryVisitor for Resolve {
        type Result = StepFn;
        fn visit<T: Lane, F: UnaryFn<T>>(self) -> StepFn {
            unary_step::<T, F>
        }
    }
    op.visit(dtype, Resolve)
}

pub(crate) fn binary_loop(op: BinaryOp, dtype: DType) -> Option<StepFn> {
    struct Resolve;
    impl BinaryVisitor for Resolve {
        type Result = StepFn;
        fn visit<T: Lane, F: BinaryFn<T>>(self) -> StepFn {
            binary_step::<T, F>
        }
    }
    op.visit(dtype, Resolve)
}

pub(crate) fn cast_loop(from: DType, to: DType) -> StepFn {
    dispatch!(from, S => dispatch!(to, T => cast_step::<S, T>))
}

pub(crate) fn select_loop(dtype: DType) -> StepFn {
    dispatch!(dtype, T => select_step::<T>)
}

pub(crate) fn copy_loop(dtype: DType) -> StepFn {
    dispatch!(dtype, T => copy_step::<T>)
}

fn unary_step<T: Lane, F: UnaryFn<T>>(step: &Step, frame: &mut Frame<'_>) {
    one_step::<T, F::Out>(step, frame, |arch, x, out| match x {
        Val::Splat(x) => out.fill(F::at(x)),
        Val::Slice(x) => {
            let map = Map::<T, F> { x, out: &mut *out, f: PhantomData };
            let has_exceptions = match F::IS_FAST && T::HAS_SIMD {
                true => arch.dispatch(map),
                false => map.call(),
            };
            if F::HAS_EXCEPTIONS && has_exceptions {
                set_exceptions::<T, F>(x, out);
            }
        }
    });
}

/// A step of one operand. What is around a loop is compiled once for each pair of dtypes and not for each operation.
#[inline(never)]
fn one_step<T: Lane, O: Lane>(
    step: &Step,
    frame: &mut Frame<'_>,
    run: fn(Arch, Val<'_, T>, &mut [O]),
) {
    frame.write::<O>(step.dest, |frame, out| run(frame.arch, frame.value(step.args[0]), out));
}

/// A step of two operands; see [`one_step`].
#[inline(never)]
fn two_step<T: Lane, O: Lane>(
    step: &Step,
    frame: &mut Frame<'_>,
    run: fn(Arch, Val<'_, T>, Val<'_, T>, &mut [O]),
) {
    frame.write::<O>(step.dest, |frame, out| {
        let [x, y, _] = step.args;
        run(frame.arch, frame.value(x), frame.value(y), out);
    });
}

fn set_exceptions<T: Lane, F: UnaryFn<T>>(x: &[T], out: &mut [F::Out]) {
    for (out, value) in out.iter_mut().zip(x.iter().map(|&x| F::exception(x))) {
        if let Some(value) = value {
            *out = value;
        }
    }
}

fn binary_step<T: Lane, F: BinaryFn<T>>(step: &Step, frame: &mut Frame<'_>) {
    two_step::<T, F::Out>(step, frame, |arch, x, y, out| {
        let f = PhantomData;
        let has_exceptions = match (x, y) {
            (Val::Splat(x), Val::Splat(y)) => return out.fill(F::at(x, y)),
            (Val::Slice(x), Val::Slice(y)) => {
                run::<_, F, T>(arch, Zip::<T, F> { x, y, out: &mut *out, f })
            }
            (Val::Slice(x), Val::Splat(y)) => {
                run::<_, F, T>(arch, ZipRight::<T, F> { x, y, out: &mut *out, f })
            }
            (Val::Splat(x), Val::Slice(y)) => {
                run::<_, F, T>(arch, ZipLeft::<T, F> { x, y, out: &mut *out, f })
            }
        };
        if F::HAS_EXCEPTIONS && has_exceptions {
            set_pair_exceptions::<T, F>(x, y, out);
        }
    });
}

fn set_pair_exceptions<T: Lane, F: BinaryFn<T>>(x: Val<'_, T>, y: Val<'_, T>, out: &mut [F::Out]) {
    let at = |val: Val<'_, T>, i: usize| match val {
        Val::Splat(value) => value,
        Val::Slice(values) => values[i],
    };
    for (i, out) in out.iter_mut().enumerate() {
        if let Some(value) = F::exception(at(x, i), at(y, i)) {
            *out = value;
        }
    }
}

#[inline(always)]
fn run<L: NullaryFnOnce<Output = bool>, F: BinaryFn<T>, T: Lane>(arch: Arch, body: L) -> bool {
    if F::IS_FAST && T::HAS_SIMD { arch.dispatch(body) } else { body.call() }
}

fn cast_step<S: Lane + CastTo<T>, T: Lane>(step: &Step, frame: &mut Frame<'_>) {
    one_step::<S, T>(step, frame, |_, x, out| match x {
        Val::Splat(x) => out.fill(x.cast_to()),
        Val::Slice(x) => {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = x.cast_to();
            }
        }
    });
}

fn copy_step<T: Lane>(step: &Step, frame: &mut Frame<'_>) {
    one_step::<T, T>(step, frame, |_, x, out| copy_val(x, out));
}

fn select_step<T: Lane>(step: &Step, frame: &mut Frame<'_>) {
    frame.write::<T>(step.dest, |frame, out| {
        let [cond, then, other] = step.args;
        let (then, other) = (frame.value::<T>(then), frame.value::<T>(other));
        match frame.value::<bool>(cond) {
            Val::Splat(true) => copy_val(then, out),
            Val::Splat(false) => copy_val(other, out),
            Val::Slice(cond) => {
                let choose = Choose { cond, then, other, out };
                if T::HAS_SIMD { frame.arch.dispatch(choose) } else { choose.call() }
            }
        }
    });
}

fn copy_val<T: Copy>(val: Val<'_, T>, out: &mut [T]) {
    match val {
        Val::Splat(x) => out.fill(x),
        Val::Slice(x) => copy(out, x),
    }
}

struct Map<'s, T: Lane, F: UnaryFn<T>> {
    x: &'s [T],
    out: &'s mut [F::Out],
    f: PhantomData<F>,
}

impl<T: Lane, F: UnaryFn<T>> NullaryFnOnce for Map<'_, T, F> {
    /// Whether there are exceptions to set.
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let mut has_exceptions = false;
        for (out, &x) in self.out.iter_mut().zip(self.x) {
            *out = F::call(x);
            has_exceptions |= F::exception(x).is_some();
        }
        has_exceptions
    }
}

struct Zip<'s, T: Lane, F: BinaryFn<T>> {
    x: &'s [T],
    y: &'s [T],
    out: &'s mut [F::Out],
    f: PhantomData<F>,
}

impl<T: Lane, F: BinaryFn<T>> NullaryFnOnce for Zip<'_, T, F> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let mut has_exceptions = false;
        for ((out, &x), &y) in self.out.iter_mut().zip(self.x).zip(self.y) {
            *out = F::call(x, y);
            has_exceptions |= F::exception(x, y).is_some();
        }
        has_exceptions
    }
}

struct ZipRight<'s, T: Lane, F: BinaryFn<T>> {
    x: &'s [T],
    y: T,
    out: &'s mut [F::Out],
    f: PhantomData<F>,
}

impl<T: Lane, F: BinaryFn<T>> NullaryFnOnce for ZipRight<'_, T, F> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let mut has_exceptions = false;
        let y = self.y;
        for (out, &x) in self.out.iter_mut().zip(self.x) {
            *out = F::call(x, y);
            has_exceptions |= F::exception(x, y).is_some();
        }
        has_exceptions
    }
}

struct ZipLeft<'s, T: Lane, F: BinaryFn<T>> {
    x: T,
    y: &'s [T],
    out: &'s mut [F::Out],
    f: PhantomData<F>,
}

impl<T: Lane, F: BinaryFn<T>> NullaryFnOnce for ZipLeft<'_, T, F> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let mut has_exceptions = false;
        let x = self.x;
        for (out, &y) in self.out.iter_mut().zip(self.y) {
            *out = F::call(x, y);
            has_exceptions |= F::exception(x, y).is_some();
        }
        has_exceptions
    }
}

struct Choose<'s, T> {
    cond: &'s [bool],
    then: Val<'s, T>,
    other: Val<'s, T>,
    out: &'s mut [T],
}

impl<T: Copy> NullaryFnOnce for Choose<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let out = self.out.iter_mut().zip(self.cond);
        match (self.then, self.other) {
            (Val::Slice(then), Val::Slice(other)) => {
                for (((out, &cond), &x), &y) in out.zip(then).zip(other) {
                    *out = if cond { x } else { y };
                }
            }
            (Val::Slice(then), Val::Splat(y)) => {
                for ((out, &cond), &x) in out.zip(then) {
                    *out = if cond { x } else { y };
                }
            }
            (Val::Splat(x), Val::Slice(other)) => {
                for ((out, &cond), &y) in out.zip(other) {
                    *out = if cond { x } else { y };
                }
            }
            (Val::Splat(x), Val::Splat(y)) => {
                for (out, &cond) in out {
                    *out = if cond { x } else { y };
                }
            }
        }
    }
}

/// The index along one axis of the output: `args` are its axis, start and step, as constants.
pub(crate) fn index_step(step: &Step, frame: &mut Frame<'_>) {
    let [axis, start, factor] = step.args.map(|arg| match arg {
        Operand::Const(value) => i64::from_scalar(value),
        other => unreachable!("an index has constants, not {other:?}"),
    });
    let axis = axis as usize;
    let len = frame.shape[axis];
    let n_inner: usize = frame.shape[axis + 1..].iter().product();
    let first = start.wrapping_add(factor.wrapping_mul(frame.start[axis]));
    let at = |i: usize| first.wrapping_add(factor.wrapping_mul(i as i64));
    frame.write::<i64>(step.dest, |frame, mut out| {
        let mut i = frame.range.start / n_inner % len;
        if n_inner == 1 {
            while !out.is_empty() {
                let (run, later) = out.split_at_mut((len - i).min(out.len()));
                let mut value = at(i);
                for out in run {
                    *out = value;
                    value = value.wrapping_add(factor);
                }
                (out, i) = (later, 0);
            }
            return;
        }
        let mut skip = frame.range.start % n_inner;
        while !out.is_empty() {
            let (run, later) = out.split_at_mut((n_inner - skip).min(out.len()));
            run.fill(at(i));
            (out, skip, i) = (later, 0, (i + 1) % len);
        }
    });
}
