//! Texts taken apart: `col("s").str().split("-")`.

use polars_core::error::{polars_ensure, to_compute_err};
use polars_core::prelude::{
    Column, IntoColumn, IntoSeries, NewChunkedArray, PolarsResult, Series, StringChunked,
    StructChunked,
};
use polars_ops::prelude::StringNameSpaceImpl;
use regex::Regex;

use super::text::{StringNameSpace, check_lengths, texts};
use super::window::offset;
use crate::frame::expr::function::functions;
use crate::frame::expr::{Expr, Literal, lit};

functions! {
    SPLIT = "str.split" => |c| texts(c, |s, by| s.split(by));
    SPLIT_INCLUSIVE = "str.split_inclusive" => |c| texts(c, |s, by| s.split_inclusive(by));
    SPLIT_EXACT = "str.split_exact" => |c| fields(c, |s, by, n| s.split_exact(by, n));
    SPLITN = "str.splitn" => |c| fields(c, |s, by, n| s.splitn(by, n));
    EXTRACT_GROUPS = "str.extract_groups" => extract_groups;
}

/// So many fields are more than anybody meant.
const FIELDS_MAX: i64 = 1 << 12;

/// Inputs are the texts, what is between two parts, and a number of parts.
fn fields(
    inputs: &[Column],
    split: impl Fn(&StringChunked, &StringChunked, usize) -> PolarsResult<StructChunked>,
) -> PolarsResult<Column> {
    check_lengths(inputs)?;
    let n = offset(&inputs[2])?;
    polars_ensure!(
        (1..=FIELDS_MAX).contains(&n),
        InvalidOperation: "a text becomes 1 to {FIELDS_MAX} fields, not {n}"
    );
    Ok(split(inputs[0].str()?, inputs[1].str()?, n as usize)?.into_column())
}

/// Inputs are the texts, and the pattern, of which each group becomes a field.
fn extract_groups(inputs: &[Column]) -> PolarsResult<Column> {
    let texts = inputs[0].str()?;
    let pattern =
        Regex::new(inputs[1].str()?.get(0).unwrap_or_default()).map_err(to_compute_err)?;
    let n = pattern.captures_len() - 1;
    polars_ensure!(n > 0, InvalidOperation: "the pattern {pattern} has no groups");
    let mut columns: Vec<Vec<Option<&str>>> = vec![Vec::with_capacity(texts.len()); n];
    for text in texts.iter() {
        let found = text.and_then(|text| pattern.captures(text));
        for (i, column) in columns.iter_mut().enumerate() {
            let group = found.as_ref().and_then(|found| found.get(i + 1));
            column.push(group.map(|group| group.as_str()));
        }
    }
    let names = pattern.capture_names().enumerate().skip(1);
    let names = names.map(|(i, name)| name.map_or_else(|| i.to_string(), str::to_owned));
    let fields: Vec<Series> = names
        .zip(columns)
        .map(|(name, column)| StringChunked::from_slice_options(name.into(), &column).into_series())
        .collect();
    Ok(StructChunked::from_series(texts.name().clone(), texts.len(), fields.iter())?.into_column())
}

impl StringNameSpace {
    /// The parts between the texts `by`, as a list; the characters if `by` is empty.
    pub fn split(&self, by: impl Literal) -> Expr {
        self.with(&SPLIT, [by.lit()])
    }

    /// As [`split`](Self::split), where each part has the text `by` at its end that was behind it.
    pub fn split_inclusive(&self, by: impl Literal) -> Expr {
        self.with(&SPLIT_INCLUSIVE, [by.lit()])
    }

    /// The parts around the first `n` texts `by`, `n + 1` at most, as a struct of `field_0`, `field_1` and so on: null where
    /// there are fewer, and what is behind them is left out. [`unnest`](crate::frame::DataFrame::unnest) makes columns of them.
    ///
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["s" => ["a-b-c", "d"]]?, 2);
    /// let out = frame.select([col("s").str().split_exact("-", 1)]).unnest("s").compute()?;
    /// assert!(out.equals_missing(&df!["field_0" => ["a", "d"], "field_1" => [Some("b"), None]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split_exact(&self, by: &str, n: u32) -> Expr {
        self.with(&SPLIT_EXACT, [lit(by), lit(n)])
    }

    /// `n` parts at most, as [`split_exact`](Self::split_exact), the last of which is all the rest of the text.
    pub fn splitn(&self, by: &str, n: u32) -> Expr {
        self.with(&SPLITN, [lit(by), lit(n)])
    }

    /// What each group of the pattern matches first, as a struct with a field for each of them, of its name or its number:
    /// null where the pattern is not found.
    ///
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["s" => ["a1", "?"]]?, 2);
    /// let parts = col("s").str().extract_groups(r"(?<letter>[a-z])(\d)");
    /// let out = frame.select([parts]).unnest("s").compute()?;
    /// assert!(out.equals_missing(&df!["letter" => [Some("a"), None], "2" => [Some("1"), None]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn extract_groups(&self, pattern: &str) -> Expr {
        self.with(&EXTRACT_GROUPS, [lit(pattern)])
    }
}
