//! Programs as one readable line, such as `(x0 * 2 + 1) ** 2 - x0`.

use std::fmt;

use super::builder::operands;
use super::ops::{BinaryOp, UnaryOp};
use super::program::{Instr, Program, Reg};

/// How tightly an operator binds, as in Python; names and calls bind tightest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Comparison,
    Or,
    Xor,
    And,
    Shift,
    Sum,
    Product,
    Sign,
    Power,
    Atom,
}

impl fmt::Display for Program {
    /// A value that is used twice gets a name: `t1 = x0 + 1; t1 * t1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut n_uses = vec![0; self.instrs().len()];
        for instr in self.instrs() {
            operands(instr).for_each(|reg| n_uses[reg as usize] += 1);
        }
        let mut texts: Vec<(String, Binding)> = Vec::with_capacity(n_uses.len());
        for (reg, instr) in self.instrs().iter().enumerate() {
            let (text, binding) = show(instr, &texts);
            let is_shared = n_uses[reg] > 1 && operands(instr).next().is_some();
            if is_shared {
                write!(f, "t{reg} = {text}; ")?;
                texts.push((format!("t{reg}"), Binding::Atom));
            } else {
                texts.push((text, binding));
            }
        }
        f.write_str(&texts[self.output() as usize].0)
    }
}

fn show(instr: &Instr, texts: &[(String, Binding)]) -> (String, Binding) {
    let raw = |reg: Reg| texts[reg as usize].0.as_str();
    let at_least = |reg: Reg, least: Binding| {
        let (text, binding) = &texts[reg as usize];
        if *binding >= least { text.clone() } else { format!("({text})") }
    };
    let atom = |text| (text, Binding::Atom);
    match *instr {
        Instr::Input { slot, .. } => atom(format!("x{slot}")),
        Instr::Const(value) => atom(value.to_string()),
        Instr::Index { axis, start: 0, step: 1 } => atom(format!("i{axis}")),
        Instr::Index { axis, start, step } => (format!("{start} + {step} * i{axis}"), Binding::Sum),
        Instr::Unary { op: UnaryOp::Square, arg } => {
            (format!("{} ** 2", at_least(arg, Binding::Atom)), Binding::Power)
        }
        Instr::Unary { op: op @ (UnaryOp::Neg | UnaryOp::Not), arg } => {
            (format!("{}{}", op.name(), at_least(arg, Binding::Power)), Binding::Sign)
        }
        Instr::Unary { op, arg } => atom(format!("{}({})", op.name(), raw(arg))),
        Instr::Binary { op, left, right } => match binding(op) {
            Binding::Atom => atom(format!("{}({}, {})", op.name(), raw(left), raw(right))),
            own => {
                // The right operand binds tighter: no operator is taken as associative.
                let (left, right) = match own {
                    Binding::Power => (at_least(left, Binding::Atom), at_least(right, own)),
                    _ => (at_least(left, own), above(right, own, texts)),
                };
                (format!("{left} {} {right}", op.name()), own)
            }
        },
        Instr::Select { cond, then, other } => {
            atom(format!("where({}, {}, {})", raw(cond), raw(then), raw(other)))
        }
        Instr::Cast { arg, to } => atom(format!("{to}({})", raw(arg))),
    }
}

/// The operand, in parentheses unless it binds tighter than `own`.
fn above(reg: Reg, own: Binding, texts: &[(String, Binding)]) -> String {
    let (text, binding) = &texts[reg as usize];
    if *binding > own { text.clone() } else { format!("({text})") }
}

fn binding(op: BinaryOp) -> Binding {
    match op {
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
            Binding::Comparison
        }
        BinaryOp::BitOr => Binding::Or,
        BinaryOp::BitXor => Binding::Xor,
        BinaryOp::BitAnd => Binding::And,
        BinaryOp::Shl | BinaryOp::Shr => Binding::Shift,
        BinaryOp::Add | BinaryOp::Sub => Binding::Sum,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::FloorDiv | BinaryOp::Rem => Binding::Product,
        BinaryOp::Pow => Binding::Power,
        _ => Binding::Atom,
    }
}
