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
    /// Whether values, and not only dtypes, can make it an error.
    pub(crate) may_fail: bool,
    /// Whether any number of inputs is one list, in which a selector is all of its columns.
    pub(crate) takes_many: bool,
    /// What happens to the dtypes of the inputs before `apply` gets them.
    pub(crate) coercion: Coercion,
    /// Inputs have the same length or length 1, and so has the result.
    pub(crate) apply: fn(&[Column]) -> PolarsResult<Column>,
}

/// How inputs of different dtypes come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coercion {
    /// Inputs stay as they are.
    None,
    /// A dynamic literal and what it meets get the smallest dtype for both; other inputs stay as they are.
    Literals,
    /// As `Literals`; what is made of dynamic literals only is dynamic again.
    Arithmetic,
    /// The first inputs, this many, get the smallest dtype for all of them.
    Supertype(usize),
}

impl Function {
    /// A function in which each row depends on the same row of the inputs only.
    pub(crate) const fn new(
        name: &'static str,
        apply: fn(&[Column]) -> PolarsResult<Column>,
    ) -> Self {
        Function {
            name,
            is_rowwise: true,
            may_fail: false,
            takes_many: false,
            coercion: Coercion::None,
            apply,
        }
    }

    /// The same function, where rows depend on other rows.
    pub(crate) const fn across_rows(mut self) -> Self {
        self.is_rowwise = false;
        self
    }

    /// The same function, where values can be an error.
    pub(crate) const fn fallible(mut self) -> Self {
        self.may_fail = true;
        self
    }

    /// The same function, of any number of inputs.
    pub(crate) const fn of_many(mut self) -> Self {
        self.takes_many = true;
        self
    }

    pub(crate) const fn coerce(mut self, coercion: Coercion) -> Self {
        self.coercion = coercion;
        self
    }
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

/// Registers functions: `NAME = "name", how to compute it;`, with `across_rows`, `fallible`, `of_many` and `coerce` where they apply.
macro_rules! functions {
    ($($name:ident = $text:literal $(, $change:ident($($arg:expr)?))* => $apply:expr;)*) => {
        $(pub(crate) static $name: $crate::frame::expr::Function =
            $crate::frame::expr::Function::new($text, $apply)$(.$change($($arg)?))*;)*

        /// The functions of this file.
        #[cfg(test)]
        pub(crate) static ALL: &[&$crate::frame::expr::Function] = &[$(&$name),*];
    };
}
pub(crate) use functions;
