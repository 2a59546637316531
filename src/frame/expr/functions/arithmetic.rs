//! Arithmetic operators.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use polars_core::error::polars_bail;
use polars_core::prelude::{Column, DataType, PolarsResult};

use super::series;
use crate::frame::expr::Expr;
use crate::frame::expr::function::{Coercion, functions};

functions! {
    ADD = "+", coerce(Coercion::Arithmetic) => |c| arithmetic(c, |l, r| l + r);
    SUB = "-", coerce(Coercion::Arithmetic) => |c| arithmetic(c, |l, r| l - r);
    MUL = "*", coerce(Coercion::Arithmetic) => |c| arithmetic(c, |l, r| l * r);
    DIV = "/", coerce(Coercion::Arithmetic) => |c| arithmetic(c, |l, r| l / r);
    REM = "%", coerce(Coercion::Arithmetic) => |c| arithmetic(c, |l, r| l % r);
    TRUE_DIV = "true_div", coerce(Coercion::Arithmetic) => |c| arithmetic(c, true_div);
    FLOOR_DIV = "floor_div", coerce(Coercion::Arithmetic) => |c| arithmetic(c, floor_div);
    NEG = "neg" => |c| series(c, polars_ops::prelude::negate);
}

/// Polars would make text of the number.
fn arithmetic(
    inputs: &[Column],
    operator: fn(&Column, &Column) -> PolarsResult<Column>,
) -> PolarsResult<Column> {
    let (left, right) = (&inputs[0], &inputs[1]);
    let is_text = |dtype: &DataType| dtype.is_string() || dtype.is_categorical() || dtype.is_enum();
    let (l, r) = (left.dtype(), right.dtype());
    if is_text(l) != is_text(r) && !l.is_null() && !r.is_null() {
        polars_bail!(InvalidOperation: "arithmetic on {l} and {r} is not possible; cast one of them");
    }
    if l.is_nested() || r.is_nested() {
        polars_bail!(InvalidOperation: "arithmetic on {l} and {r} is not possible");
    }
    operator(left, right)
}

fn true_div(left: &Column, right: &Column) -> PolarsResult<Column> {
    let float = &DataType::Float64;
    match (left.dtype(), right.dtype()) {
        (l, r) if l.is_integer() || l.is_bool() && (r.is_primitive_numeric() || r.is_bool()) => {
            &left.cast(float)? / &right.cast(float)?
        }
        _ => left / right,
    }
}

fn floor_div(left: &Column, right: &Column) -> PolarsResult<Column> {
    let numeric = |column: &Column| column.dtype().is_primitive_numeric();
    if !numeric(left) || !numeric(right) {
        polars_bail!(InvalidOperation: "floor_div of {} and {} is not possible", left.dtype(), right.dtype());
    }
    let dtype = if left.dtype() == right.dtype() {
        left.dtype().clone()
    } else {
        polars_core::utils::try_get_supertype(left.dtype(), right.dtype())?
    };
    let (left, right) = (left.cast(&dtype)?, right.cast(&dtype)?);
    left.try_apply_broadcasting_binary_elementwise(&right, polars_ops::prelude::floor_div_series)
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
operators!(Add add ADD Sub sub SUB Mul mul MUL Div div DIV Rem rem REM);

impl Neg for Expr {
    type Output = Expr;

    fn neg(self) -> Expr {
        self.unary(&NEG)
    }
}

impl Neg for &Expr {
    type Output = Expr;

    fn neg(self) -> Expr {
        self.unary(&NEG)
    }
}

/// Arithmetic. `+ - * / %` are operators; of integers, `/` gives integers, rounded down, as in Polars' Rust
/// interface; integers wrap around, and divided by zero they are null.
///
/// ```
/// use dask_rs::frame::{col, lit};
/// let half = col("n") / 2 + lit(1.5) * -col("x");
/// assert_eq!(half.to_string(), r#"(col("n") / 2) + (1.5 * col("x").neg())"#);
/// ```
impl Expr {
    /// The quotient as a float, also of integers.
    pub fn true_div(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&TRUE_DIV, other)
    }

    /// The quotient rounded down.
    pub fn floor_div(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&FLOOR_DIV, other)
    }
}
