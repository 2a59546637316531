//! Missing values and values that are no number.

use polars_core::error::polars_bail;
use polars_core::prelude::{Column, DataType, FillNullStrategy, IntoColumn, PolarsResult};

use super::{broadcast, column, height};
use crate::frame::expr::function::{Coercion, functions};
use crate::frame::expr::{Expr, IntoExprs, lit, null, when};

functions! {
    IS_NULL = "is_null" => |c| Ok(c[0].is_null().into_column());
    IS_NOT_NULL = "is_not_null" => |c| Ok(c[0].is_not_null().into_column());
    IS_NAN = "is_nan" => |c| column(c[0].is_nan());
    IS_NOT_NAN = "is_not_nan" => |c| column(c[0].is_not_nan());
    IS_FINITE = "is_finite" => |c| column(c[0].is_finite());
    IS_INFINITE = "is_infinite" => |c| column(c[0].is_infinite());
    COALESCE = "coalesce", coerce(Coercion::Supertype(usize::MAX)) => first_not_null;
    FORWARD_FILL = "forward_fill", across_rows() => |c| fill(c, FillNullStrategy::Forward);
    BACKWARD_FILL = "backward_fill", across_rows() => |c| fill(c, FillNullStrategy::Backward);
}

fn first_not_null(inputs: &[Column]) -> PolarsResult<Column> {
    let height = height(inputs);
    let Some((first, rest)) = inputs.split_first() else {
        polars_bail!(InvalidOperation: "coalesce needs at least one column");
    };
    let mut out = broadcast(first, height);
    for next in rest {
        if !out.has_nulls() {
            break;
        }
        out = out.zip_with(&out.is_not_null(), &broadcast(next, height))?;
    }
    Ok(out)
}

/// The second input is the most rows that are filled from one value, or null.
fn fill(
    inputs: &[Column],
    strategy: impl Fn(Option<polars_core::prelude::IdxSize>) -> FillNullStrategy,
) -> PolarsResult<Column> {
    let limit = inputs[1].cast(&DataType::UInt32)?;
    inputs[0].fill_null(strategy(limit.u32()?.get(0)))
}

/// Missing values. Null is a value that is not there; NaN is a float.
///
/// ```
/// use dask_rs::frame::{coalesce, col, lit};
/// let fare = col("fare").fill_nan(lit(0.0)).fill_null(lit(0.0));
/// let place = coalesce([col("pickup"), col("dropoff"), lit("unknown")]);
/// ```
impl Expr {
    /// Whether there is no value.
    pub fn is_null(&self) -> Expr {
        self.unary(&IS_NULL)
    }

    /// Whether there is a value.
    pub fn is_not_null(&self) -> Expr {
        self.unary(&IS_NOT_NULL)
    }

    /// Whether a number is NaN.
    pub fn is_nan(&self) -> Expr {
        self.unary(&IS_NAN)
    }

    /// Whether a number is not NaN.
    pub fn is_not_nan(&self) -> Expr {
        self.unary(&IS_NOT_NAN)
    }

    /// Whether a number is neither NaN nor infinite.
    pub fn is_finite(&self) -> Expr {
        self.unary(&IS_FINITE)
    }

    /// Whether a number is infinite.
    pub fn is_infinite(&self) -> Expr {
        self.unary(&IS_INFINITE)
    }

    /// `value` where there is none.
    pub fn fill_null(&self, value: impl Into<Expr>) -> Expr {
        Expr::call(&COALESCE, vec![self.clone(), value.into()])
    }

    /// `value` where there is NaN. Nulls stay.
    pub fn fill_nan(&self, value: impl Into<Expr>) -> Expr {
        when(self.is_not_nan().or(self.is_null())).then(self).otherwise(value)
    }

    /// Where there is no value, the last one before it, over at most `limit` rows.
    pub fn forward_fill(&self, limit: Option<u32>) -> Expr {
        self.fill(&FORWARD_FILL, limit)
    }

    /// Where there is no value, the next one after it, over at most `limit` rows.
    pub fn backward_fill(&self, limit: Option<u32>) -> Expr {
        self.fill(&BACKWARD_FILL, limit)
    }

    fn fill(&self, function: &'static crate::frame::expr::Function, limit: Option<u32>) -> Expr {
        self.binary(function, limit.map_or_else(null, lit))
    }

    /// What `strategy` says where there is no value.
    pub fn fill_null_with_strategy(&self, strategy: FillNullStrategy) -> Expr {
        match strategy {
            FillNullStrategy::Forward(limit) => self.forward_fill(limit),
            FillNullStrategy::Backward(limit) => self.backward_fill(limit),
            FillNullStrategy::Mean => self.fill_null(self.mean()),
            FillNullStrategy::Min => self.fill_null(self.min()),
            FillNullStrategy::Max => self.fill_null(self.max()),
            FillNullStrategy::Zero => self.fill_null(lit(0)),
            FillNullStrategy::One => self.fill_null(lit(1)),
        }
    }
}

/// The first value of each row that is not null.
pub fn coalesce(exprs: impl IntoExprs) -> Expr {
    Expr::call(&COALESCE, exprs.into_exprs())
}
