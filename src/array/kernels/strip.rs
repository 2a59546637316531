//! Registers and operands of one strip.
//!
//! A program runs over an output block strip by strip; in each strip every instruction is one
//! loop over at most [`STRIP`] elements. A [`Frame`] holds what the loops read and write: inputs,
//! registers, and the output. Each dtype has its own bank, so that no loop asks for types.

use std::mem;
use std::ops::Range;

use num_complex::Complex;
use pulp::Arch;

use super::load::{Loader, copy};
use super::scalar::{Lane, Scalar};
use crate::array::dtype::DType;

/// How many elements one instruction does before the next has its turn.
///
/// Long enough to hide the calls, short enough that a handful of `f64` registers fit into 32 KiB.
/// Sums add up strip by strip, so changing this changes the last bits of sums.
pub(crate) const STRIP: usize = 512;

/// Where an instruction finds a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operand {
    /// A register of the bank of its dtype.
    Reg(usize),
    /// An input slot.
    Input(usize),
    /// The same value for all elements.
    Const(Scalar),
}

/// Where an instruction puts its result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Dest {
    /// A register of the bank of its dtype.
    Reg(usize),
    /// The output block.
    Out,
}

/// An operand in one strip.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Val<'s, T> {
    Slice(&'s [T]),
    Splat(T),
}

/// An input over the whole output block.
#[derive(Debug, Default)]
pub(crate) enum Input<'a, T> {
    /// A slot of another dtype, or one that nothing reads.
    #[default]
    Absent,
    /// One element per output element, in the same order.
    Slice(&'a [T]),
    /// One element for all.
    Splat(T),
    /// Any other layout: each strip is first copied into a register.
    Loaded(Loader<'a, T>, Vec<T>),
    /// The buffer of the output, which starts out as this input; copied like `Loaded`.
    InPlace(Vec<T>),
}

/// What one dtype has in a frame.
#[derive(Debug)]
pub(crate) struct Bank<'a, T> {
    pub(crate) regs: Vec<Vec<T>>,
    pub(crate) inputs: Vec<Input<'a, T>>,
    pub(crate) out: &'a mut [T],
}

impl<T> Default for Bank<'_, T> {
    fn default() -> Self {
        Bank { regs: Vec::new(), inputs: Vec::new(), out: &mut [] }
    }
}

/// An element type that has a bank.
pub(crate) trait Banked: Sized {
    fn bank<'f, 'a>(banks: &'f Banks<'a>) -> &'f Bank<'a, Self>;
    fn bank_mut<'f, 'a>(banks: &'f mut Banks<'a>) -> &'f mut Bank<'a, Self>;
}

macro_rules! banks {
    ($($field:ident $t:ty, $variant:ident;)*) => {
        /// One bank for each dtype.
        #[derive(Debug, Default)]
        pub(crate) struct Banks<'a> {
            $($field: Bank<'a, $t>,)*
        }

        $(impl Banked for $t {
            #[inline(always)]
            fn bank<'f, 'a>(banks: &'f Banks<'a>) -> &'f Bank<'a, $t> {
                &banks.$field
            }

            #[inline(always)]
            fn bank_mut<'f, 'a>(banks: &'f mut Banks<'a>) -> &'f mut Bank<'a, $t> {
                &mut banks.$field
            }
        })*
    };
}

banks! {
    bools bool, Bool;
    i8s i8, I8;
    i16s i16, I16;
    i32s i32, I32;
    i64s i64, I64;
    u8s u8, U8;
    u16s u16, U16;
    u32s u32, U32;
    u64s u64, U64;
    f32s f32, F32;
    f64s f64, F64;
    c64s Complex<f32>, C64;
    c128s Complex<f64>, C128;
}

/// Everything that the steps of a program work on in one output block.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) banks: Banks<'a>,
    /// The strip: flat positions in the output block, in C order.
    pub(crate) range: Range<usize>,
    /// The shape of the output block.
    pub(crate) shape: Vec<usize>,
    /// Where the block starts in the whole output.
    pub(crate) start: Vec<i64>,
    pub(crate) arch: Arch,
}

impl<'a> Frame<'a> {
    pub(crate) fn new(shape: Vec<usize>, start: Vec<i64>, arch: Arch) -> Self {
        Frame { banks: Banks::default(), range: 0..0, shape, start, arch }
    }

    pub(crate) fn bank_mut<T: Lane>(&mut self) -> &mut Bank<'a, T> {
        T::bank_mut(&mut self.banks)
    }

    /// Makes `n` registers for strips of `len` elements.
    pub(crate) fn allot<T: Lane>(&mut self, n: usize, len: usize) {
        self.bank_mut::<T>().regs = vec![vec![T::default(); len]; n];
    }

    /// Sets the input of a slot.
    pub(crate) fn set_input<T: Lane>(&mut self, slot: usize, input: Input<'a, T>) {
        let inputs = &mut self.bank_mut::<T>().inputs;
        if inputs.len() <= slot {
            inputs.resize_with(slot + 1, Input::default);
        }
        inputs[slot] = input;
    }

    /// The value of an operand in the current strip; not inlined, as there are hundreds of callers.
    #[inline(never)]
    pub(crate) fn value<T: Lane>(&self, operand: Operand) -> Val<'_, T> {
        let bank = T::bank(&self.banks);
        match operand {
            Operand::Reg(reg) => Val::Slice(&bank.regs[reg][..self.range.len()]),
            Operand::Const(value) => Val::Splat(T::from_scalar(value)),
            Operand::Input(slot) => match &bank.inputs[slot] {
                Input::Slice(all) => Val::Slice(&all[self.range.clone()]),
                Input::Splat(value) => Val::Splat(*value),
                Input::Loaded(_, strip) | Input::InPlace(strip) => {
                    Val::Slice(&strip[..self.range.len()])
                }
                Input::Absent => unreachable!("every slot that a program reads is set"),
            },
        }
    }

    /// Whether an operand is an input whose strips of any length lie in memory.
    pub(crate) fn is_in_place<T: Lane>(&self, operand: Operand) -> bool {
        let slice = |slot: usize| matches!(T::bank(&self.banks).inputs[slot], Input::Slice(_));
        matches!(operand, Operand::Input(slot) if slice(slot))
    }

    /// Lets `f` write the current strip of `dest`.
    ///
    /// The destination leaves its bank meanwhile, so that `f` can read all others.
    #[inline(always)]
    pub(crate) fn write<T: Lane>(&mut self, dest: Dest, f: impl FnOnce(&Frame<'_>, &mut [T])) {
        let mut taken = self.take(dest);
        f(self, taken.strip(&self.range));
        self.put_back(taken);
    }

    /// Takes the destination out of its bank; not inlined, like `value`.
    #[inline(never)]
    fn take<T: Lane>(&mut self, dest: Dest) -> Taken<'a, T> {
        let bank = self.bank_mut::<T>();
        match dest {
            Dest::Reg(r) => Taken::Reg(r, mem::take(&mut bank.regs[r])),
            Dest::Out => Taken::Out(mem::take(&mut bank.out)),
        }
    }

    #[inline(never)]
    fn put_back<T: Lane>(&mut self, taken: Taken<'a, T>) {
        let bank = self.bank_mut::<T>();
        match taken {
            Taken::Reg(r, reg) => bank.regs[r] = reg,
            Taken::Out(out) => bank.out = out,
        }
    }

    /// Copies the strip of an input into its register, if the input can't be read in place.
    pub(crate) fn load<T: Lane>(&mut self, slot: usize) {
        let range = self.range.clone();
        let bank = self.bank_mut::<T>();
        match &mut bank.inputs[slot] {
            Input::Loaded(loader, strip) => loader.load(range.start, &mut strip[..range.len()]),
            Input::InPlace(strip) => copy(&mut strip[..range.len()], &bank.out[range]),
            Input::Absent | Input::Slice(_) | Input::Splat(_) => {}
        }
    }
}

/// A destination outside of its bank.
enum Taken<'a, T> {
    Reg(usize, Vec<T>),
    Out(&'a mut [T]),
}

impl<T> Taken<'_, T> {
    /// The current strip.
    fn strip(&mut self, range: &Range<usize>) -> &mut [T] {
        match self {
            Taken::Reg(_, reg) => &mut reg[..range.len()],
            Taken::Out(out) => &mut out[range.clone()],
        }
    }
}

/// How many registers of each dtype a program needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegCounts([usize; DType::ALL.len()]);

impl RegCounts {
    pub(crate) fn of(&mut self, dtype: DType) -> &mut usize {
        &mut self.0[dtype as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (DType, usize)> + '_ {
        DType::ALL.into_iter().zip(self.0.iter().copied()).filter(|&(_, n)| n > 0)
    }
}
