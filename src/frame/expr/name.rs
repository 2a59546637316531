//! Names made of names.

use polars_core::prelude::PlSmallStr;

use super::{Expr, ExprKind};

/// What [`Expr::name`] gives: other names for the result, made of the one that it has.
#[derive(Clone, Debug)]
#[must_use = "nothing is renamed until one of the methods is called"]
pub struct ExprName(Expr);

impl Expr {
    /// Other names for the result.
    ///
    /// ```
    /// use dask_rs::frame::col;
    /// assert_eq!(col("fare").sum().name().suffix("_sum"), col("fare").sum().alias("fare_sum"));
    /// ```
    pub fn name(&self) -> ExprName {
        ExprName(self.clone())
    }

    /// The name of the leftmost column, whatever it is called later.
    fn root_name(&self) -> PlSmallStr {
        match self.kind() {
            ExprKind::Alias(input, _) => input.root_name(),
            _ => match self.inputs().first() {
                Some(input) => input.root_name(),
                None => self.output_name(),
            },
        }
    }
}

impl ExprName {
    /// `prefix` before the name.
    pub fn prefix(&self, prefix: &str) -> Expr {
        self.0.alias(format!("{prefix}{}", self.0.output_name()))
    }

    /// `suffix` behind the name.
    pub fn suffix(&self, suffix: &str) -> Expr {
        self.0.alias(format!("{}{suffix}", self.0.output_name()))
    }

    /// The name of the leftmost column, without what `alias` made of it.
    pub fn keep(&self) -> Expr {
        self.0.alias(self.0.root_name())
    }

    /// The name in lower case.
    pub fn to_lowercase(&self) -> Expr {
        self.0.alias(self.0.output_name().to_lowercase())
    }

    /// The name in upper case.
    pub fn to_uppercase(&self) -> Expr {
        self.0.alias(self.0.output_name().to_uppercase())
    }

    /// What `rename` makes of the name.
    pub fn map(&self, rename: impl FnOnce(&str) -> String) -> Expr {
        self.0.alias(rename(&self.0.output_name()))
    }
}
