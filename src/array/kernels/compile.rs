//! From a program to loops and registers.
//!
//! A register is free again after the last instruction that reads it, so that a long program
//! touches no more cache than its widest point needs.

use super::builder::operands;
use super::loops::{
    Step, StepFn, binary_loop, cast_loop, copy_loop, index_step, select_loop, unary_loop,
};
use super::program::{Instr, Program};
use super::scalar::Scalar;
use super::strip::{Dest, Frame, Operand, RegCounts};
use crate::array::dtype::{DType, dispatch};

/// A program as a list of loops.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Run once: a constant result needs no loop per strip.
    prologue: Vec<Step>,
    steps: Vec<Step>,
    /// The slots that are read, and how their strips come in.
    loads: Vec<(usize, LoadFn)>,
    regs: RegCounts,
    /// Where the result of a strip is; unused if it goes to the output.
    result: Operand,
}

type LoadFn = fn(&mut Frame<'_>, usize);

/// What becomes of the result of each strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// It is written to the output block.
    Out,
    /// It stays where it is, for a reduction to read.
    Strip,
}

impl Compiled {
    pub(crate) fn new(program: &Program, target: Target) -> Self {
        let mut c = Compiler::new(program);
        let (last, instrs) = program.instrs().split_last().expect("a program has a result");
        for (reg, instr) in instrs.iter().enumerate() {
            let value = c.operand(reg, instr, None);
            c.values.push(value);
        }
        let reg = instrs.len();
        let dest = (target == Target::Out).then_some(Dest::Out);
        let mut result = c.operand(reg, last, dest);
        let mut prologue = Vec::new();
        let dtype = program.dtype();
        match (target, result) {
            (Target::Out, Operand::Const(_) | Operand::Input(_)) => {
                c.push(copy_loop(dtype), [result; 3], Dest::Out);
            }
            (Target::Strip, Operand::Const(_)) => {
                let reg = c.take_reg(dtype);
                c.push(copy_loop(dtype), [result; 3], Dest::Reg(reg));
                prologue = std::mem::take(&mut c.steps);
                result = Operand::Reg(reg);
            }
            _ => {}
        }
        let loads = (0..program.n_inputs())
            .filter_map(|slot| program.input_dtype(slot).map(|dtype| (slot, load_loop(dtype))));
        Compiled { prologue, loads: loads.collect(), steps: c.steps, regs: c.regs, result }
    }

    /// Gives `frame` the registers that the program needs for strips of `strip_len` elements.
    pub(crate) fn prepare(&self, frame: &mut Frame<'_>, strip_len: usize) {
        for (dtype, n) in self.regs.iter() {
            dispatch!(dtype, T => frame.allot::<T>(n, strip_len));
        }
        frame.range = 0..strip_len;
        for step in &self.prologue {
            (step.run)(step, frame);
        }
    }

    /// Computes the strip `frame.range`.
    #[inline]
    pub(crate) fn run(&self, frame: &mut Frame<'_>) {
        for &(slot, load) in &self.loads {
            load(frame, slot);
        }
        for step in &self.steps {
            (step.run)(step, frame);
        }
    }

    pub(crate) fn result(&self) -> Operand {
        self.result
    }
}

fn load_loop(dtype: DType) -> LoadFn {
    dispatch!(dtype, T => |frame, slot| frame.load::<T>(slot))
}

struct Compiler<'p> {
    program: &'p Program,
    /// The last instruction that reads each register.
    last_use: Vec<usize>,
    values: Vec<Operand>,
    free: Vec<(DType, usize)>,
    regs: RegCounts,
    steps: Vec<Step>,
}

impl<'p> Compiler<'p> {
    fn new(program: &'p Program) -> Self {
        let mut last_use = vec![0; program.instrs().len()];
        for (at, instr) in program.instrs().iter().enumerate() {
            operands(instr).for_each(|reg| last_use[reg as usize] = at);
        }
        Compiler {
            program,
            last_use,
            values: Vec::new(),
            free: Vec::new(),
            regs: RegCounts::default(),
            steps: Vec::new(),
        }
    }

    /// Where the value of instruction `at` will be; adds the step that puts it there.
    fn operand(&mut self, at: usize, instr: &Instr, dest: Option<Dest>) -> Operand {
        let known = "the builder refused operations without a function";
        let nothing = Operand::Const(Scalar::Bool(false));
        let int = |value: i64| Operand::Const(Scalar::I64(value));
        let dtype = |reg| self.program.reg_dtype(reg);
        let value = |reg| self.values[reg as usize];
        let (run, args): (StepFn, _) = match *instr {
            Instr::Input { slot, .. } => return Operand::Input(slot),
            Instr::Const(value) => return Operand::Const(value),
            Instr::Index { axis, start, step } => {
                (index_step, [int(axis as i64), int(start), int(step)])
            }
            Instr::Unary { op, arg } => {
                (unary_loop(op, dtype(arg)).expect(known), [value(arg), nothing, nothing])
            }
            Instr::Binary { op, left, right } => {
                let run = binary_loop(op, dtype(left)).expect(known);
                (run, [value(left), value(right), nothing])
            }
            Instr::Select { cond, then, other } => {
                (select_loop(dtype(then)), [value(cond), value(then), value(other)])
            }
            Instr::Cast { arg, to } => (cast_loop(dtype(arg), to), [value(arg), nothing, nothing]),
        };
        let own = self.program.dtypes[at];
        let dest = dest.unwrap_or_else(|| Dest::Reg(self.take_reg(own)));
        self.push(run, args, dest);
        self.free_operands(at, instr);
        match dest {
            Dest::Reg(reg) => Operand::Reg(reg),
            Dest::Out => Operand::Reg(usize::MAX),
        }
    }

    fn push(&mut self, run: StepFn, args: [Operand; 3], dest: Dest) {
        self.steps.push(Step { run, args, dest });
    }

    fn take_reg(&mut self, dtype: DType) -> usize {
        if let Some(at) = self.free.iter().rposition(|&(free, _)| free == dtype) {
            return self.free.swap_remove(at).1;
        }
        let n = self.regs.of(dtype);
        *n += 1;
        *n - 1
    }

    /// Frees the registers that instruction `at` was the last to read.
    fn free_operands(&mut self, at: usize, instr: &Instr) {
        for reg in operands(instr) {
            let reg = reg as usize;
            if self.last_use[reg] == at
                && let Operand::Reg(place) = self.values[reg]
            {
                let freed = (self.program.dtypes[reg], place);
                // `x + x` reads one register twice.
                if !self.free.contains(&freed) {
                    self.free.push(freed);
                }
            }
        }
    }
}
