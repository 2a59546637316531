//! Functions of columns, each registered once.

use std::fmt;

use polars_core::prelude::{Column, PolarsResult};

/// A named function from columns to a column.
///
/// Options of a function are inputs too: literals, which arrive as columns of length 1. The dtype of the result is
/// found by running the function on empty columns, so it stands nowhere twice.
pub(crate) struct Function {
    /// What plans call it, such as `str.to_lowercase`; operators have their sign.
    pub(crate) name: &'static str,
    /// Whether each row of the result depends on the same row of the inputs only.
    pub(crate) is_rowwise: bool,
    /// Inputs have the same length or length 1, and so has the result.
    pub(crate) apply: fn(&[Column]) -> PolarsResult<Column>,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
