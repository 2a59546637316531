//! What users may write for names of columns and for settings of several columns.

use polars_core::prelude::PlSmallStr;

/// Names of columns: one, an array, a `Vec` or a slice.
pub trait IntoNames {
    /// The names, in order.
    fn into_names(self) -> Vec<PlSmallStr>;
}

impl IntoNames for &str {
    fn into_names(self) -> Vec<PlSmallStr> {
        vec![self.into()]
    }
}

impl<T: Into<PlSmallStr>, const N: usize> IntoNames for [T; N] {
    fn into_names(self) -> Vec<PlSmallStr> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<PlSmallStr>> IntoNames for Vec<T> {
    fn into_names(self) -> Vec<PlSmallStr> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Clone + Into<PlSmallStr>> IntoNames for &[T] {
    fn into_names(self) -> Vec<PlSmallStr> {
        self.iter().cloned().map(Into::into).collect()
    }
}

/// A setting for all of several columns, or one for each.
pub trait IntoFlags {
    /// The settings of `n` columns.
    fn into_flags(self, n: usize) -> Vec<bool>;
}

impl IntoFlags for bool {
    fn into_flags(self, n: usize) -> Vec<bool> {
        vec![self; n]
    }
}

impl<const N: usize> IntoFlags for [bool; N] {
    fn into_flags(self, _n: usize) -> Vec<bool> {
        self.to_vec()
    }
}

impl IntoFlags for Vec<bool> {
    fn into_flags(self, _n: usize) -> Vec<bool> {
        self
    }
}
