//! Joins with options.

use polars_core::prelude::PlSmallStr;

use super::DataFrame;
use crate::error::Call;
use crate::frame::args::IntoNames;
use crate::frame::kernels::join::{JoinHow, JoinSpec};
use crate::frame::ops::joins;

impl DataFrame {
    /// [`join`](Self::join) with more options: names of the keys on both sides, a suffix, null keys, and whether keys become
    /// one column.
    ///
    /// # Errors
    /// Carried, as for [`join`](Self::join).
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, JoinHow, JoinOptions, polars_core::df};
    /// let left = DataFrame::from_polars(&df!["k" => [Some(1), None], "x" => ["a", "b"]]?, 2);
    /// let right = DataFrame::from_polars(&df!["k" => [None, Some(3)], "x" => ["p", "q"]]?, 1);
    /// let options = JoinOptions::on("k").how(JoinHow::Inner).nulls_equal(true).suffix("_other");
    /// let out = left.join_with(&right, options).compute()?;
    /// assert!(out.equals_missing(&df!["k" => [None::<i32>], "x" => ["b"], "x_other" => ["p"]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn join_with(&self, other: &DataFrame, options: JoinOptions) -> Self {
        let call = Call::new("join_with");
        DataFrame::of(joins::join(call, self.handle(), other.handle(), options.spec))
    }
}

/// How [`DataFrame::join_with`] joins.
#[derive(Clone, Debug)]
#[must_use]
pub struct JoinOptions {
    spec: JoinSpec,
}

impl JoinOptions {
    /// An inner join on columns that have these names in both frames.
    pub fn on(on: impl IntoNames) -> Self {
        let on = on.into_names();
        JoinOptions { spec: JoinSpec::new(JoinHow::Inner, on.clone(), on) }
    }

    /// An inner join on columns that are called `left_on` in one frame and `right_on` in the other.
    pub fn on_both(left_on: impl IntoNames, right_on: impl IntoNames) -> Self {
        let spec = JoinSpec::new(JoinHow::Inner, left_on.into_names(), right_on.into_names());
        JoinOptions { spec }
    }

    /// Which rows are in the result.
    pub fn how(mut self, how: JoinHow) -> Self {
        self.spec.how = how;
        self
    }

    /// What is added to names of columns of the other frame that this one has too, instead of `_right`.
    pub fn suffix(mut self, suffix: impl Into<PlSmallStr>) -> Self {
        self.spec.suffix = suffix.into();
        self
    }

    /// Whether null keys are equal to each other.
    pub fn nulls_equal(mut self, nulls_equal: bool) -> Self {
        self.spec.nulls_equal = nulls_equal;
        self
    }

    /// Whether the keys of both sides become one column, as they do unless the join is full.
    pub fn coalesce(mut self, coalesce: bool) -> Self {
        self.spec.coalesce = Some(coalesce);
        self
    }
}
