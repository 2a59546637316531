//! Which other rows a function of rows in an order needs to compute the rows of one partition.

use polars_core::prelude::{DataType, IDX_DTYPE, PlSmallStr, Scalar};

use super::functions::rolling_by::window_reach;
use super::{Expr, ExprKind, lit};

/// What has to be known besides the rows themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// This many rows before the first and after the last, or as many as there are.
    Rows { before: u64, after: u64 },
    /// The rows whose value of the column `by`, in whose order rows are, is at most `reach` smaller than that of the first
    /// row, or the same as that of the last. Of times it is in nanoseconds.
    Span { by: PlSmallStr, reach: i64 },
    /// One value: the function's last result before the first row that is not null, or after the last row if `reverse`.
    /// Put in the place of all rows that it stands for, it gives the same results.
    Carry { reverse: bool },
    /// All rows.
    All,
}

/// What the outermost function of `expr` needs, if that is known of it.
pub(crate) fn context(expr: &Expr) -> Context {
    known_context(expr).unwrap_or(Context::All)
}

fn known_context(expr: &Expr) -> Option<Context> {
    let ExprKind::Call { function, inputs } = expr.without_alias().kind() else { return None };
    let number = |i: usize| literal(inputs.get(i)?);
    match function.name {
        "shift" | "diff" | "pct_change" => Some(neighbours(number(1)?)),
        "shift_and_fill" => Some(neighbours(number(2)?)),
        "cum_sum" | "cum_prod" | "cum_min" | "cum_max" => {
            Some(Context::Carry { reverse: number(1)? != 0 })
        }
        "forward_fill" | "backward_fill" => {
            let reverse = function.name == "backward_fill";
            Some(match (limit(&inputs[1])?, reverse) {
                (None, _) => Context::Carry { reverse },
                (Some(n), false) => Context::Rows { before: n, after: 0 },
                (Some(n), true) => Context::Rows { before: 0, after: n },
            })
        }
        name if name.starts_with("rolling_") && name.ends_with("_by") => {
            let (ExprKind::Column(by), ExprKind::Literal(window)) =
                (inputs[1].kind(), inputs[2].kind())
            else {
                return None;
            };
            let reach = window_reach(window.value.value().get_str()?)?;
            Some(Context::Span { by: by.clone(), reach })
        }
        name if name.starts_with("rolling_") => {
            let (size, is_centered) = (u64::try_from(number(1)?).ok()?, number(3)? != 0);
            Some(match is_centered {
                true => Context::Rows { before: size / 2, after: size / 2 },
                false => Context::Rows { before: size.saturating_sub(1), after: 0 },
            })
        }
        _ => None,
    }
}

/// The rows that an offset reaches.
fn neighbours(n: i64) -> Context {
    let rows = n.unsigned_abs();
    if n >= 0 {
        Context::Rows { before: rows, after: 0 }
    } else {
        Context::Rows { before: 0, after: rows }
    }
}

/// A literal number, or a boolean as one.
fn literal(expr: &Expr) -> Option<i64> {
    match expr.kind() {
        ExprKind::Literal(literal) => literal.value.value().extract::<i64>(),
        _ => None,
    }
}

/// A literal limit of rows, `None` for none; outermost `None` if it is no literal.
fn limit(expr: &Expr) -> Option<Option<u64>> {
    match expr.kind() {
        ExprKind::Literal(literal) if literal.value.is_null() => Some(None),
        _ => literal(expr).map(|n| u64::try_from(n).ok()),
    }
}

/// The same values by a function whose context is small.
pub(crate) fn with_small_context(expr: &Expr) -> Expr {
    match expr.kind() {
        // A count of values is the sum of as many ones.
        ExprKind::Call { function, inputs } if function.name == "cum_count" => {
            let is_reverse = literal(&inputs[1]).unwrap_or(0) != 0;
            inputs[0].is_not_null().cast(IDX_DTYPE).cum_sum(is_reverse)
        }
        _ => expr.clone(),
    }
}

/// The value of a literal.
pub(crate) fn literal_value(expr: &Expr) -> Option<Scalar> {
    match expr.kind() {
        ExprKind::Literal(literal) => Some(literal.value.clone()),
        _ => None,
    }
}

/// A one for each row, of a dtype that counts the rows of any frame.
pub(crate) fn ones() -> Expr {
    lit(1_i64).cast(DataType::UInt64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{RollingOptions, col};

    #[test]
    fn context_follows_from_parameters() {
        let x = col("x");
        let rows = |before, after| Context::Rows { before, after };
        let centered = RollingOptions { center: true, ..RollingOptions::new(5) };
        for (expr, expected) in [
            (x.shift(3), rows(3, 0)),
            (x.diff(-2).alias("y"), rows(0, 2)),
            (x.rolling_sum(RollingOptions::new(5)), rows(4, 0)),
            (x.rolling_mean(centered), rows(2, 2)),
            (x.forward_fill(Some(7)), rows(7, 0)),
            (x.backward_fill(None), Context::Carry { reverse: true }),
            (x.cum_max(false), Context::Carry { reverse: false }),
            (x.interpolate(crate::frame::Interpolation::Linear), Context::All),
            (x.reverse(), Context::All),
        ] {
            assert_eq!(context(&expr), expected, "{expr}");
        }
        assert_eq!(
            context(&with_small_context(&x.cum_count(true))),
            Context::Carry { reverse: true }
        );
    }
}
