//! Names made of names.

use std::fmt;
use std::sync::Arc;

use polars_core::prelude::PlSmallStr;

use super::{Expr, ExprKind};

/// What [`Expr::name`] gives: other names for the result, made of the one that it has.
#[derive(Clone, Debug)]
#[must_use = "nothing is renamed until one of the methods is called"]
pub struct ExprName(Expr);

/// How a name is made of a name.
#[derive(Clone)]
pub(crate) enum Rename {
    Prefix(Arc<str>),
    Suffix(Arc<str>),
    Keep,
    Lowercase,
    Uppercase,
    Map(Arc<dyn Fn(&str) -> String + Send + Sync>),
}

impl Rename {
    /// The new name of `expr`.
    pub(super) fn of(&self, expr: &Expr) -> PlSmallStr {
        let name = expr.output_name();
        match self {
            Rename::Prefix(prefix) => format!("{prefix}{name}").into(),
            Rename::Suffix(suffix) => format!("{name}{suffix}").into(),
            Rename::Keep => expr.root_name(),
            Rename::Lowercase => name.to_lowercase().into(),
            Rename::Uppercase => name.to_uppercase().into(),
            Rename::Map(rename) => rename(&name).into(),
        }
    }
}

/// A function of the user is equal to itself only.
impl PartialEq for Rename {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Rename::Prefix(a), Rename::Prefix(b)) | (Rename::Suffix(a), Rename::Suffix(b)) => {
                a == b
            }
            (Rename::Map(a), Rename::Map(b)) => Arc::ptr_eq(a, b),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// As it is written.
impl fmt::Debug for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rename::Prefix(prefix) => write!(f, "prefix({prefix:?})"),
            Rename::Suffix(suffix) => write!(f, "suffix({suffix:?})"),
            Rename::Keep => f.write_str("keep()"),
            Rename::Lowercase => f.write_str("to_lowercase()"),
            Rename::Uppercase => f.write_str("to_uppercase()"),
            Rename::Map(_) => f.write_str("map(…)"),
        }
    }
}

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

    /// The same under the name that it has now, whatever its columns are replaced by.
    pub(super) fn keep_name(&self) -> Expr {
        match self.kind() {
            ExprKind::Alias(..) | ExprKind::Literal(_) => self.clone(),
            _ if self.has_choice() => self.clone(),
            _ => self.alias(self.output_name()),
        }
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
    /// What is chosen has its names when a frame gets it.
    fn with(&self, rename: Rename) -> Expr {
        match self.0.has_choice() {
            true => Expr::new(ExprKind::Renamed(self.0.clone(), rename)),
            false => self.0.alias(rename.of(&self.0)),
        }
    }

    /// `prefix` before the name.
    pub fn prefix(&self, prefix: &str) -> Expr {
        self.with(Rename::Prefix(prefix.into()))
    }

    /// `suffix` behind the name.
    pub fn suffix(&self, suffix: &str) -> Expr {
        self.with(Rename::Suffix(suffix.into()))
    }

    /// The name of the leftmost column, without what `alias` made of it.
    pub fn keep(&self) -> Expr {
        self.with(Rename::Keep)
    }

    /// The name in lower case.
    pub fn to_lowercase(&self) -> Expr {
        self.with(Rename::Lowercase)
    }

    /// The name in upper case.
    pub fn to_uppercase(&self) -> Expr {
        self.with(Rename::Uppercase)
    }

    /// What `rename` makes of the name.
    pub fn map(&self, rename: impl Fn(&str) -> String + Send + Sync + 'static) -> Expr {
        self.with(Rename::Map(Arc::new(rename)))
    }
}
