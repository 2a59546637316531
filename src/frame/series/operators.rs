//! What stands beside a series: operators, comparisons, and other functions of two.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Sub};
use std::sync::Arc;

use super::{Series, is_same_frame};
use crate::error::{Call, Error, Result};
use crate::frame::expr::Expr;
use crate::frame::op::Node;

/// What a series can be combined with: a series of the same frame, an expression of columns of the frame, or a value.
pub trait IntoOperand {
    /// The operand.
    fn into_operand(self) -> Operand;
}

/// See [`IntoOperand`].
#[doc(hidden)]
#[derive(Clone, Debug)]
pub enum Operand {
    Series(Series),
    Expr(Expr),
}

impl Operand {
    /// The expression, for the rows of `node`.
    pub(super) fn expr_of(self, node: &Arc<Node>, call: Call) -> Result<Expr> {
        let series = match self {
            Operand::Expr(expr) => return Ok(expr),
            Operand::Series(series) => series,
        };
        if is_same_frame(series.frame.handle().node()?, node) {
            return Ok(series.expr);
        }
        Err(Error::InvalidArgument {
            call,
            argument: "the other series",
            got: format!("{series} of another frame"),
            expected: "a series of the same rows; join the frames, or take both columns after what changes rows",
        })
    }
}

impl<T: Into<Expr>> IntoOperand for T {
    fn into_operand(self) -> Operand {
        Operand::Expr(self.into())
    }
}

impl IntoOperand for Series {
    fn into_operand(self) -> Operand {
        Operand::Series(self)
    }
}

impl IntoOperand for &Series {
    fn into_operand(self) -> Operand {
        Operand::Series(self.clone())
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident $symbol:tt;)*) => { $(
        impl<R: IntoOperand> $trait<R> for &Series {
            type Output = Series;

            #[track_caller]
            fn $method(self, other: R) -> Series {
                let call = Call::new(stringify!($symbol));
                self.with(call, vec![other.into_operand()], |a, b| a $symbol &b[0])
            }
        }

        impl<R: IntoOperand> $trait<R> for Series {
            type Output = Series;

            #[track_caller]
            fn $method(self, other: R) -> Series {
                &self $symbol other
            }
        }
    )* };
}

operators! {
    Add add +;
    Sub sub -;
    Mul mul *;
    Div div /;
    Rem rem %;
    BitAnd bitand &;
    BitOr bitor |;
    BitXor bitxor ^;
}

/// A number on the left.
macro_rules! number_operators {
    ($($number:ty)*) => { $(
        number_operators!(@$number, Add add +);
        number_operators!(@$number, Sub sub -);
        number_operators!(@$number, Mul mul *);
        number_operators!(@$number, Div div /);
        number_operators!(@$number, Rem rem %);
    )* };
    (@$number:ty, $trait:ident $method:ident $symbol:tt) => {
        impl $trait<&Series> for $number {
            type Output = Series;

            #[track_caller]
            fn $method(self, other: &Series) -> Series {
                let call = Call::new(stringify!($symbol));
                let name = other.expr.output_name();
                // The result has the name of the column, which a literal on the left would replace.
                other.with(call, vec![], |values, _| (Expr::from(self) $symbol values).alias(name))
            }
        }

        impl $trait<Series> for $number {
            type Output = Series;

            #[track_caller]
            fn $method(self, other: Series) -> Series {
                self $symbol &other
            }
        }
    };
}

number_operators!(f32 f64 i32 i64);

macro_rules! unary_operators {
    ($($trait:ident $method:ident $symbol:tt;)*) => { $(
        impl $trait for &Series {
            type Output = Series;

            #[track_caller]
            fn $method(self) -> Series {
                self.with(Call::new(stringify!($symbol)), vec![], |values, _| $symbol values)
            }
        }

        impl $trait for Series {
            type Output = Series;

            #[track_caller]
            fn $method(self) -> Series {
                $symbol &self
            }
        }
    )* };
}

unary_operators! {
    Neg neg -;
    Not not !;
}
