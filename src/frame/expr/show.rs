//! Expressions as text, close to how users write them.

use std::fmt;

use super::{Aggregate, Expr, ExprKind};

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            ExprKind::Column(name) => write!(f, "col({name:?})"),
            ExprKind::Literal(literal) => write!(f, "{}", literal.value.value()),
            ExprKind::Alias(input, name) => {
                operand(f, input)?;
                write!(f, ".alias({name:?})")
            }
            ExprKind::Cast { input, dtype, strict } => {
                operand(f, input)?;
                write!(f, ".{}({dtype})", if *strict { "strict_cast" } else { "cast" })
            }
            ExprKind::Call { function, inputs } => call(f, function.name, inputs),
            ExprKind::Map { function, inputs } => call(f, function.name(), inputs),
            ExprKind::Aggregate { aggregate, input } => {
                operand(f, input)?;
                match aggregate {
                    Aggregate::Var { ddof } | Aggregate::Std { ddof } => {
                        write!(f, ".{aggregate}({ddof})")
                    }
                    Aggregate::Quantile { q, .. } => write!(f, ".{aggregate}({q})"),
                    Aggregate::MinBy(by)
                    | Aggregate::MaxBy(by)
                    | Aggregate::LastBy(by)
                    | Aggregate::CoSpread(by) => {
                        write!(f, ".{aggregate}({by})")
                    }
                    _ => write!(f, ".{aggregate}()"),
                }
            }
            ExprKind::Len => f.write_str("len()"),
            ExprKind::Over { input, keys, order } => {
                operand(f, input)?;
                f.write_str(if order.is_empty() { ".over(" } else { ".over_ordered(" })?;
                list(f, keys)?;
                for order in order {
                    let down = if order.descending { " descending" } else { "" };
                    write!(f, ", by {}{down}", order.by)?;
                }
                f.write_str(")")
            }
            ExprKind::Chosen(selector) => write!(f, "{selector}"),
            ExprKind::Renamed(input, rename) => {
                operand(f, input)?;
                write!(f, ".name().{rename:?}")
            }
        }
    }
}

/// Operators stand between their inputs, functions behind the first.
fn call(f: &mut fmt::Formatter<'_>, name: &str, inputs: &[Expr]) -> fmt::Result {
    match inputs {
        [yes, no, condition] if name == "when" => {
            write!(f, "when({condition}).then({yes}).otherwise({no})")
        }
        [left, right] if !name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            operand(f, left)?;
            write!(f, " {name} ")?;
            operand(f, right)
        }
        [first, rest @ ..] => {
            operand(f, first)?;
            write!(f, ".{name}(")?;
            list(f, rest)?;
            f.write_str(")")
        }
        [] => write!(f, "{name}()"),
    }
}

/// An operator inside of another one stands in brackets.
fn operand(f: &mut fmt::Formatter<'_>, expr: &Expr) -> fmt::Result {
    match expr.kind() {
        ExprKind::Call { function, inputs }
            if inputs.len() == 2
                && !function.name.starts_with(|c: char| c.is_ascii_alphabetic()) =>
        {
            write!(f, "({expr})")
        }
        _ => write!(f, "{expr}"),
    }
}

fn list(f: &mut fmt::Formatter<'_>, exprs: &[Expr]) -> fmt::Result {
    for (i, expr) in exprs.iter().enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        write!(f, "{comma}{expr}")?;
    }
    Ok(())
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
