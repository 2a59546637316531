//! Building programs: equal instructions merge, constants fold, casts compose.
//!
//! Invariant: no rewrite changes a bit of the result, except that `x ** 2` is `x * x` by
//! definition, as in NumPy.

use std::collections::HashMap;

use super::ops::{BinaryOp, UnaryOp, fold_binary, fold_unary};
use super::program::{Instr, Program, Reg, Unsupported};
use super::scalar::{Scalar, is_lossless};
use crate::array::dtype::DType;

/// A program under construction.
#[derive(Debug)]
pub(crate) struct Builder {
    instrs: Vec<Instr>,
    dtypes: Vec<DType>,
    inputs: Vec<Option<DType>>,
    known: HashMap<Instr, Reg>,
}

impl Builder {
    /// An empty program with `n_inputs` slots.
    pub(crate) fn new(n_inputs: usize) -> Self {
        let inputs = vec![None; n_inputs];
        Builder { instrs: Vec::new(), dtypes: Vec::new(), inputs, known: HashMap::new() }
    }

    pub(crate) fn dtype(&self, reg: Reg) -> DType {
        self.dtypes[reg as usize]
    }

    /// The element of input `slot`.
    pub(crate) fn input(&mut self, slot: usize, dtype: DType) -> Reg {
        debug_assert!(self.inputs[slot].is_none_or(|known| known == dtype));
        self.inputs[slot] = Some(dtype);
        self.add(Instr::Input { slot, dtype }, dtype)
    }

    pub(crate) fn constant(&mut self, value: Scalar) -> Reg {
        self.add(Instr::Const(value), value.dtype())
    }

    /// `start + step * i` along an output axis.
    pub(crate) fn index(&mut self, axis: usize, start: i64, step: i64) -> Reg {
        if step == 0 {
            return self.constant(Scalar::I64(start));
        }
        self.add(Instr::Index { axis, start, step }, DType::I64)
    }

    pub(crate) fn unary(&mut self, op: UnaryOp, arg: Reg) -> Result<Reg, Unsupported> {
        let got = self.dtype(arg);
        let out = op.result(got).ok_or(Unsupported { op: op.name(), got })?;
        if let Some(folded) = self.value(arg).and_then(|x| fold_unary(op, x)) {
            return Ok(self.constant(folded));
        }
        if let Some(reg) = self.undo(op, arg) {
            return Ok(reg);
        }
        Ok(self.add(Instr::Unary { op, arg }, out))
    }

    /// `op` of two registers of one dtype.
    pub(crate) fn binary(
        &mut self,
        op: BinaryOp,
        left: Reg,
        right: Reg,
    ) -> Result<Reg, Unsupported> {
        let got = self.dtype(left);
        debug_assert_eq!(got, self.dtype(right), "{op:?}");
        let out = op.result(got).ok_or(Unsupported { op: op.name(), got })?;
        let values = (self.value(left), self.value(right));
        if let (Some(x), Some(y)) = values
            && let Some(folded) = fold_binary(op, x, y)
        {
            return Ok(self.constant(folded));
        }
        if let Some(y) = values.1 {
            if op == BinaryOp::Pow && y == Scalar::I8(2).cast(got) {
                return self.unary(UnaryOp::Square, left);
            }
            if is_right_identity(op, y) {
                return Ok(left);
            }
        }
        Ok(self.add(Instr::Binary { op, left, right }, out))
    }

    /// `then` where `cond` holds, else `other`.
    pub(crate) fn select(&mut self, cond: Reg, then: Reg, other: Reg) -> Reg {
        debug_assert_eq!(self.dtype(cond), DType::Bool);
        debug_assert_eq!(self.dtype(then), self.dtype(other));
        match self.value(cond) {
            Some(Scalar::Bool(true)) => then,
            Some(_) => other,
            None if then == other => then,
            None => self.add(Instr::Select { cond, then, other }, self.dtype(then)),
        }
    }

    /// The register as another dtype.
    pub(crate) fn cast(&mut self, arg: Reg, to: DType) -> Reg {
        let from = self.dtype(arg);
        if from == to {
            return arg;
        }
        if let Some(value) = self.value(arg) {
            return self.constant(value.cast(to));
        }
        if let Instr::Cast { arg: source, .. } = self.instrs[arg as usize]
            && casts_compose(self.dtype(source), from, to)
        {
            return self.cast(source, to);
        }
        self.add(Instr::Cast { arg, to }, to)
    }

    /// Any instruction whose dtypes are known to be right, such as one of another program.
    pub(crate) fn push(&mut self, instr: Instr) -> Reg {
        let known = "the instruction was valid in its program, and dtypes did not change";
        match instr {
            Instr::Input { slot, dtype } => self.input(slot, dtype),
            Instr::Const(value) => self.constant(value),
            Instr::Index { axis, start, step } => self.index(axis, start, step),
            Instr::Unary { op, arg } => self.unary(op, arg).expect(known),
            Instr::Binary { op, left, right } => self.binary(op, left, right).expect(known),
            Instr::Select { cond, then, other } => self.select(cond, then, other),
            Instr::Cast { arg, to } => self.cast(arg, to),
        }
    }

    /// The program whose result is `output`, without instructions that nothing reads.
    pub(crate) fn finish(self, output: Reg) -> Program {
        let mut is_live = vec![false; self.instrs.len()];
        is_live[output as usize] = true;
        for (reg, instr) in self.instrs.iter().enumerate().rev() {
            if is_live[reg] {
                operands(instr).for_each(|arg| is_live[arg as usize] = true);
            }
        }
        let mut program = Program {
            instrs: Vec::new(),
            dtypes: Vec::new(),
            inputs: vec![None; self.inputs.len()],
            output: 0,
        };
        let mut new: Vec<Reg> = vec![0; self.instrs.len()];
        for (reg, &instr) in self.instrs.iter().enumerate() {
            if !is_live[reg] {
                continue;
            }
            if let Instr::Input { slot, dtype } = instr {
                program.inputs[slot] = Some(dtype);
            }
            new[reg] = to_reg(program.instrs.len());
            program.instrs.push(with_operands(instr, |arg| new[arg as usize]));
            program.dtypes.push(self.dtypes[reg]);
        }
        program.output = new[output as usize];
        program
    }

    fn add(&mut self, instr: Instr, dtype: DType) -> Reg {
        let next = to_reg(self.instrs.len());
        *self.known.entry(instr).or_insert_with(|| {
            self.instrs.push(instr);
            self.dtypes.push(dtype);
            next
        })
    }

    fn value(&self, reg: Reg) -> Option<Scalar> {
        match self.instrs[reg as usize] {
            Instr::Const(value) => Some(value),
            _ => None,
        }
    }

    /// The operand of `arg` if `op` takes `arg` back exactly.
    fn undo(&self, op: UnaryOp, arg: Reg) -> Option<Reg> {
        match self.instrs[arg as usize] {
            Instr::Unary { op: inner, arg }
                if op == inner && matches!(op, UnaryOp::Neg | UnaryOp::Not) =>
            {
                Some(arg)
            }
            _ => None,
        }
    }
}

fn to_reg(position: usize) -> Reg {
    Reg::try_from(position).expect("fusion bounds programs far below 2**32 instructions")
}

/// The registers that an instruction reads.
pub(crate) fn operands(instr: &Instr) -> impl Iterator<Item = Reg> + use<> {
    let list = match *instr {
        Instr::Input { .. } | Instr::Const(_) | Instr::Index { .. } => [None; 3],
        Instr::Unary { arg, .. } | Instr::Cast { arg, .. } => [Some(arg), None, None],
        Instr::Binary { left, right, .. } => [Some(left), Some(right), None],
        Instr::Select { cond, then, other } => [Some(cond), Some(then), Some(other)],
    };
    list.into_iter().flatten()
}

/// The instruction with other registers.
pub(crate) fn with_operands(instr: Instr, at: impl Fn(Reg) -> Reg) -> Instr {
    match instr {
        Instr::Unary { op, arg } => Instr::Unary { op, arg: at(arg) },
        Instr::Binary { op, left, right } => Instr::Binary { op, left: at(left), right: at(right) },
        Instr::Select { cond, then, other } => {
            Instr::Select { cond: at(cond), then: at(then), other: at(other) }
        }
        Instr::Cast { arg, to } => Instr::Cast { arg: at(arg), to },
        leaf => leaf,
    }
}

/// Whether `x op y` is `x` for every `x`, down to the sign of zero.
///
/// `x + 0.0` is not: it turns `-0.0` into `0.0`. Complex numbers mix their parts, so no rule.
fn is_right_identity(op: BinaryOp, y: Scalar) -> bool {
    let dtype = y.dtype();
    let is = |value: f64| y == Scalar::F64(value).cast(dtype);
    if dtype.is_float() {
        match op {
            BinaryOp::Add => is(-0.0),
            BinaryOp::Sub => is(0.0),
            BinaryOp::Mul | BinaryOp::Div => is(1.0),
            _ => false,
        }
    } else if dtype.is_integer() {
        match op {
            BinaryOp::Add | BinaryOp::Sub => is(0.0),
            BinaryOp::Mul | BinaryOp::Pow | BinaryOp::FloorDiv => is(1.0),
            _ => false,
        }
    } else {
        false
    }
}

/// Whether casting through `middle` gives the same as casting directly, for every value.
fn casts_compose(from: DType, middle: DType, to: DType) -> bool {
    // An integer that went through a float saturates, one that is cast directly wraps.
    let saturates = from.is_integer() && !middle.is_integer() && to.is_integer();
    is_lossless(from, middle) && (!saturates || is_lossless(from, to))
}
