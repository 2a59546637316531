//! Logic of true, false and null.

use std::ops::{BitAnd, BitOr, BitXor, Not};

use polars_core::error::polars_bail;
use polars_core::prelude::{Column, PolarsResult};
use polars_core::utils::try_get_supertype;

use super::series;
use crate::frame::expr::Expr;
use crate::frame::expr::function::{Coercion, functions};

functions! {
    AND = "&", coerce(Coercion::Arithmetic) => |c| logic(c, |l, r| l & r);
    OR = "|", coerce(Coercion::Arithmetic) => |c| logic(c, |l, r| l | r);
    XOR = "^", coerce(Coercion::Arithmetic) => |c| logic(c, |l, r| l ^ r);
    NOT = "not" => |c| series(c, polars_ops::prelude::negate_bitwise);
}

fn logic(
    inputs: &[Column],
    operator: fn(&Column, &Column) -> PolarsResult<Column>,
) -> PolarsResult<Column> {
    for input in inputs {
        let dtype = input.dtype();
        if !(dtype.is_bool() || dtype.is_integer() || dtype.is_null()) {
            polars_bail!(InvalidOperation: "logic needs boolean or integer values, got {dtype}");
        }
    }
    let (left, right) = (&inputs[0], &inputs[1]);
    let (l, r) = (left.dtype(), right.dtype());
    if l == r || !l.is_integer() || !r.is_integer() {
        return operator(left, right);
    }
    let dtype = try_get_supertype(l, r)?;
    if !dtype.is_integer() {
        polars_bail!(InvalidOperation: "logic of {l} and {r} is not possible; cast one of them");
    }
    operator(&left.cast(&dtype)?, &right.cast(&dtype)?)
}

macro_rules! operators {
    ($($trait:ident $method:ident $function:ident)*) => { $(
        impl<T: Into<Expr>> $trait<T> for Expr {
            type Output = Expr;

            fn $method(self, other: T) -> Expr {
                self.binary(&$function, other)
            }
        }

        impl<T: Into<Expr>> $trait<T> for &Expr {
            type Output = Expr;

            fn $method(self, other: T) -> Expr {
                self.binary(&$function, other)
            }
        }
    )* };
}
operators!(BitAnd bitand AND BitOr bitor OR BitXor bitxor XOR);

impl Not for Expr {
    type Output = Expr;

    fn not(self) -> Expr {
        self.unary(&NOT)
    }
}

impl Not for &Expr {
    type Output = Expr;

    fn not(self) -> Expr {
        self.unary(&NOT)
    }
}

/// Logic after Kleene: null is *unknown*, so `null & false` is false and `null | true` is true. `& | ^ !` are operators
/// too; on integers they work on bits.
///
/// ```
/// use dask_rs::frame::col;
/// assert_eq!(col("a").and(col("b")), col("a") & col("b"));
/// ```
impl Expr {
    /// `&`.
    pub fn and(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&AND, other)
    }

    /// `|`.
    pub fn or(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&OR, other)
    }

    /// `^`.
    pub fn xor(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&XOR, other)
    }

    /// `!`.
    pub fn not(&self) -> Expr {
        self.unary(&NOT)
    }
}
