//! From a program to loops and registers.
//!
//! A register is free again after the last instruction that reads it, so that a long program
//! touches no more cache than its widest point needs.

use super::builder::operands;
use super::loops::{
    Step, StepFn, binary_loop, cast_loop, copy_loop, index_step, select_loop, unary_loop,
};
use super::ops::BinaryOp;
use super::program::{Instr, Program, Reg};
use super::scalar::{Lane, Scalar};
use super::stages::{Stage, join_loop, pair_loop};
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

    /// Whether there is nothing to do, because the result is an input that lies in the order of the output.
    pub(crate) fn is_in_place<T: Lane>(&self, frame: &Frame<'_>) -> bool {
        self.steps.is_empty() && frame.is_in_place::<T>(self.result)
    }
}

fn load_loop(dtype: DType) -> LoadFn {
    dispatch!(dtype, T => |frame, slot| frame.load::<T>(slot))
}

struct Compiler<'p> {
    program: &'p Program,
    /// The last instruction that reads each register.
    last_use: Vec<usize>,
    /// Stages that run inside the one instruction that reads them.
    fused: Vec<Option<Stage>>,
    values: Vec<Operand>,
    free: Vec<(DType, usize)>,
    regs: RegCounts,
    steps: Vec<Step>,
}

impl<'p> Compiler<'p> {
    fn new(program: &'p Program) -> Self {
        let fused = fuse_stages(program);
        let mut last_use = vec![0; program.instrs().len()];
        for (at, instr) in program.instrs().iter().enumerate() {
            for reg in operands(instr) {
                // The instruction that a stage moves into reads what the stage read.
                let read = fused[reg as usize].map_or(reg, |stage| stage.arg);
                last_use[reg as usize] = at;
                last_use[read as usize] = last_use[read as usize].max(at);
            }
        }
        Compiler {
            program,
            last_use,
            fused,
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
        if self.fused[at].is_some() {
            return nothing;
        }
        if let Some((run, args)) = self.fused_step(instr) {
            return self.emit(at, instr, run, args, dest);
        }
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
        self.emit(at, instr, run, args, dest)
    }

    /// Adds the step of instruction `at`, in a register of its own if it has no other place.
    fn emit(
        &mut self,
        at: usize,
        instr: &Instr,
        run: StepFn,
        args: [Operand; 3],
        dest: Option<Dest>,
    ) -> Operand {
        let own = self.program.dtypes[at];
        let dest = dest.unwrap_or_else(|| Dest::Reg(self.take_reg(own)));
        self.push(run, args, dest);
        self.free_operands(at, instr);
        match dest {
            Dest::Reg(reg) => Operand::Reg(reg),
            Dest::Out => Operand::Reg(usize::MAX),
        }
    }

    /// The step of an instruction together with the stage that moved into it.
    fn fused_step(&self, instr: &Instr) -> Option<(StepFn, [Operand; 3])> {
        let (inner, at) = operands(instr).find_map(|reg| Some((self.fused[reg as usize]?, reg)))?;
        let dtype = self.program.reg_dtype(at);
        let x = self.values[inner.arg as usize];
        let first = Operand::Const(inner.constant);
        if let Some(outer) = Stage::of(self.program, instr) {
            let second = Operand::Const(outer.constant);
            return Some((pair_loop(inner.kind, outer.kind, dtype), [x, first, second]));
        }
        let Instr::Binary { op, left, right } = *instr else { return None };
        let other = if left == at { right } else { left };
        let run = join_loop(inner.kind, op, left == at, dtype)?;
        Some((run, [x, first, self.values[other as usize]]))
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
            let reg = self.fused[reg as usize].map_or(reg, |stage| stage.arg) as usize;
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

/// Which stages move into the instruction that reads them.
///
/// A stage moves if nothing else reads it, and if neither it nor its reader has taken another.
fn fuse_stages(program: &Program) -> Vec<Option<Stage>> {
    let instrs = program.instrs();
    let mut n_uses = vec![0; instrs.len()];
    instrs.iter().flat_map(operands).for_each(|reg: Reg| n_uses[reg as usize] += 1);
    let mut fused: Vec<Option<Stage>> = vec![None; instrs.len()];
    let mut has_taken = vec![false; instrs.len()];
    for (at, instr) in instrs.iter().enumerate() {
        let is_pair = Stage::of(program, instr).is_some();
        let is_join = matches!(*instr, Instr::Binary { op, left, right }
            if left != right
                && matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul)
                && !operands(instr).any(|reg| is_constant(program, reg)));
        if !is_pair && !is_join {
            continue;
        }
        for reg in operands(instr) {
            let stage = Stage::of(program, &instrs[reg as usize]);
            if stage.is_some() && n_uses[reg as usize] == 1 && !has_taken[reg as usize] {
                fused[reg as usize] = stage;
                has_taken[at] = true;
                break;
            }
        }
    }
    fused
}

fn is_constant(program: &Program, reg: Reg) -> bool {
    matches!(program.instrs()[reg as usize], Instr::Const(_))
}
