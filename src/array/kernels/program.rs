//! Scalar programs: what an elementwise kernel does to one element, as plain data.
//!
//! A program is a list of instructions in static single assignment form. Equal instructions
//! appear once, constants are folded, and nothing is ever reassociated: a program computes the
//! same bits as the operations that it was fused from, one after another.

use super::builder::Builder;
use super::ops::{BinaryOp, UnaryOp};
use super::scalar::Scalar;
use crate::array::dtype::DType;
use crate::graph::Wiring;

/// Creations of at most this many instructions are computed again rather than kept.
const FREE_INSTRS_MAX: usize = 4;

/// The result of an instruction, by its position in the program.
pub(crate) type Reg = u32;

/// One step of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Instr {
    /// The element of input `slot`, broadcast to the output.
    Input { slot: usize, dtype: DType },
    /// The same value for all elements.
    Const(Scalar),
    /// `start + step * i` as `i64`, where `i` is the element's global index along an output axis.
    Index { axis: usize, start: i64, step: i64 },
    /// A function of one value.
    Unary { op: UnaryOp, arg: Reg },
    /// A function of two values of the same dtype.
    Binary { op: BinaryOp, left: Reg, right: Reg },
    /// `then` where the boolean `cond` holds, `other` elsewhere.
    Select { cond: Reg, then: Reg, other: Reg },
    /// The value as another dtype, as NumPy's `astype` converts.
    Cast { arg: Reg, to: DType },
}

/// An operation that does not exist for a dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsupported {
    /// The operation as it is printed.
    pub(crate) op: &'static str,
    /// The dtype that it can't take.
    pub(crate) got: DType,
}

/// A scalar program; see the module documentation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Program {
    pub(super) instrs: Vec<Instr>,
    pub(super) dtypes: Vec<DType>,
    /// The dtype of every slot; `None` for a slot that no instruction reads.
    pub(super) inputs: Vec<Option<DType>>,
    pub(super) output: Reg,
}

impl Program {
    /// The input itself.
    pub(crate) fn input(dtype: DType) -> Program {
        let mut b = Builder::new(1);
        let x = b.input(0, dtype);
        b.finish(x)
    }

    /// The same value everywhere.
    pub(crate) fn constant(value: impl Into<Scalar>) -> Program {
        let mut b = Builder::new(0);
        let value = b.constant(value.into());
        b.finish(value)
    }

    /// `start + step * i` as `i64`, where `i` is the global index along an output axis.
    #[cfg(test)]
    pub(crate) fn index(axis: usize, start: i64, step: i64) -> Program {
        let mut b = Builder::new(0);
        let index = b.index(axis, start, step);
        b.finish(index)
    }

    /// `op` of slot 0.
    pub(crate) fn unary(op: UnaryOp, dtype: DType) -> Result<Program, Unsupported> {
        let mut b = Builder::new(1);
        let x = b.input(0, dtype);
        let result = b.unary(op, x)?;
        Ok(b.finish(result))
    }

    /// `op` of slots 0 and 1, both of `dtype`.
    pub(crate) fn binary(op: BinaryOp, dtype: DType) -> Result<Program, Unsupported> {
        let mut b = Builder::new(2);
        let left = b.input(0, dtype);
        let right = b.input(1, dtype);
        let result = b.binary(op, left, right)?;
        Ok(b.finish(result))
    }

    /// Slot 0 as another dtype.
    pub(crate) fn cast(from: DType, to: DType) -> Program {
        let mut b = Builder::new(1);
        let x = b.input(0, from);
        let result = b.cast(x, to);
        b.finish(result)
    }

    /// The dtype of the result.
    pub(crate) fn dtype(&self) -> DType {
        self.dtypes[self.output as usize]
    }

    /// How many slots there are, read or not.
    pub(crate) fn n_inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Whether computing the elements again costs no more than reading them from memory.
    pub(crate) fn is_free(&self) -> bool {
        self.is_creation() && self.n_instrs() <= FREE_INSTRS_MAX
    }

    /// How many instructions do work; inputs, constants and indices do not count.
    pub(crate) fn n_instrs(&self) -> usize {
        let is_leaf = |instr: &&Instr| {
            !matches!(instr, Instr::Input { .. } | Instr::Const(_) | Instr::Index { .. })
        };
        self.instrs.iter().filter(is_leaf).count()
    }

    /// The dtype of `slot`, if the program reads it.
    pub(crate) fn input_dtype(&self, slot: usize) -> Option<DType> {
        self.inputs[slot]
    }

    /// This program with `producer` computed in place of input `slot`.
    pub(crate) fn inline(&self, slot: usize, producer: &Program, wiring: &Wiring) -> Program {
        let mut b = Builder::new(wiring.n_slots);
        let produced = producer.copy_into(&mut b, |b, instr| match instr {
            Instr::Input { slot, dtype } => b.input(wiring.producer[slot], dtype),
            other => b.push(other),
        });
        let output = self.copy_into(&mut b, |b, instr| match instr {
            Instr::Input { slot: s, .. } if s == slot => produced,
            Instr::Input { slot, dtype } => b.input(wiring.consumer[slot], dtype),
            other => b.push(other),
        });
        b.finish(output)
    }

    /// The same program with input `i` read from slot `new[i]` of `n`.
    pub(crate) fn remap_slots(&self, new: &[usize], n: usize) -> Program {
        let mut b = Builder::new(n);
        let output = self.copy_into(&mut b, |b, instr| match instr {
            Instr::Input { slot, dtype } => b.input(new[slot], dtype),
            other => b.push(other),
        });
        b.finish(output)
    }

    /// The same program with other indices: how slices and transposes move into a creation.
    ///
    /// `f` gets the axis, start and step of an index and says what stands there instead, an
    /// [`Instr::Index`] or an [`Instr::Const`] of `i64`.
    pub(crate) fn map_index(&self, f: impl Fn(usize, i64, i64) -> Instr) -> Program {
        let mut b = Builder::new(self.n_inputs());
        let output = self.copy_into(&mut b, |b, instr| match instr {
            Instr::Index { axis, start, step } => b.push(f(axis, start, step)),
            other => b.push(other),
        });
        b.finish(output)
    }

    /// Whether the program reads no input at all.
    pub(crate) fn is_creation(&self) -> bool {
        self.inputs.iter().all(Option::is_none)
    }

    /// Whether the program is its only input.
    pub(crate) fn is_identity(&self) -> bool {
        self.n_inputs() == 1 && matches!(self.instrs[..], [Instr::Input { .. }])
    }

    /// The value of a program that is the same constant everywhere.
    #[cfg(test)]
    pub(crate) fn as_constant(&self) -> Option<Scalar> {
        match self.instrs[..] {
            [Instr::Const(value)] => Some(value),
            _ => None,
        }
    }

    /// Whether some instruction depends on where the element stands along `axis`.
    pub(crate) fn has_index(&self, axis: usize) -> bool {
        let reads = |instr: &Instr| matches!(instr, Instr::Index { axis: of, .. } if *of == axis);
        self.instrs.iter().any(reads)
    }

    pub(crate) fn instrs(&self) -> &[Instr] {
        &self.instrs
    }

    pub(crate) fn reg_dtype(&self, reg: Reg) -> DType {
        self.dtypes[reg as usize]
    }

    pub(crate) fn output(&self) -> Reg {
        self.output
    }

    /// Repeats the instructions in `b`, each through `push`, and returns the result's register.
    fn copy_into(&self, b: &mut Builder, push: impl Fn(&mut Builder, Instr) -> Reg) -> Reg {
        let mut new: Vec<Reg> = Vec::with_capacity(self.instrs.len());
        for &instr in &self.instrs {
            let at = |reg: Reg| new[reg as usize];
            let moved = match instr {
                Instr::Unary { op, arg } => Instr::Unary { op, arg: at(arg) },
                Instr::Binary { op, left, right } => {
                    Instr::Binary { op, left: at(left), right: at(right) }
                }
                Instr::Select { cond, then, other } => {
                    Instr::Select { cond: at(cond), then: at(then), other: at(other) }
                }
                Instr::Cast { arg, to } => Instr::Cast { arg: at(arg), to },
                leaf => leaf,
            };
            new.push(push(b, moved));
        }
        new[self.output as usize]
    }
}
