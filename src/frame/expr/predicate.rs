use super::Expr;
use crate::frame::io::Condition;
use polars_core::prelude::Schema;
pub(crate) fn conjuncts(e: &Expr) -> Vec<Expr> {
    vec![e.clone()]
}
pub(crate) fn to_condition(_: &Expr, _: &Schema) -> Option<Condition> {
    None
}
