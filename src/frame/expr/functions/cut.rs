//! Numbers as categories of intervals: `col("fare").cut([10.0, 50.0], None, false, false)`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use polars_core::error::{polars_bail, polars_ensure};
use polars_core::prelude::{
    Categories, Column, DataType, Float64Chunked, FrozenCategories, IdxCa, IdxSize, IntoColumn,
    IntoSeries, NewChunkedArray, PlSmallStr, PolarsResult, Series, StringChunked, StructChunked,
};

use super::height;
use super::replace::listed;
use super::window::boolean;
use crate::frame::expr::function::functions;
use crate::frame::expr::{Expr, Interpolation, IntoValues, lit, null};

functions! {
    CUT = "cut" => cut;
    QCUT = "qcut" => quantile_cut;
}

/// Which intervals there are.
struct Intervals {
    /// Their ends but the last, which is infinite, ascending.
    ends: Vec<f64>,
    labels: Vec<String>,
}

/// How intervals are called, and what is said of them.
struct Style {
    labels: Option<Vec<String>>,
    left_closed: bool,
    include_breaks: bool,
}

impl Style {
    /// Inputs are a list of labels or null, which end of an interval belongs to it, and whether the other is told.
    fn new(inputs: &[Column]) -> PolarsResult<Self> {
        let labels = match inputs[0].dtype().is_null() {
            true => None,
            false => {
                let labels = listed(&inputs[0])?;
                Some(labels.str()?.iter().map(|text| text.unwrap_or("").to_owned()).collect())
            }
        };
        let (left_closed, include_breaks) = (boolean(&inputs[1])?, boolean(&inputs[2])?);
        Ok(Style { labels, left_closed, include_breaks })
    }

    fn intervals(&self, mut ends: Vec<f64>) -> PolarsResult<Intervals> {
        polars_ensure!(
            ends.iter().all(|end| end.is_finite()),
            InvalidOperation: "intervals between {ends:?}; the first and the last one have no ends anyway"
        );
        ends.sort_unstable_by(f64::total_cmp);
        let n = ends.len() + 1;
        if let Some(labels) = &self.labels {
            polars_ensure!(
                labels.len() == n,
                InvalidOperation: "got {} labels for {n} intervals", labels.len()
            );
            return Ok(Intervals { ends, labels: labels.clone() });
        }
        let end = |i: usize| ends.get(i).copied().unwrap_or(f64::INFINITY);
        let label = |i: usize| {
            let (low, high) = (if i == 0 { f64::NEG_INFINITY } else { end(i - 1) }, end(i));
            if self.left_closed { format!("[{low}, {high})") } else { format!("({low}, {high}]") }
        };
        let labels = (0..n).map(label).collect();
        Ok(Intervals { ends, labels })
    }

    /// In which of the intervals a value is, by number.
    fn interval_of(&self, value: f64, intervals: &Intervals) -> usize {
        let is_below = |end: &f64| if self.left_closed { value >= *end } else { value > *end };
        intervals.ends.partition_point(is_below)
    }

    /// The labels of values, and the ends of their intervals if they are wanted; null and NaN are in none, nor is anything
    /// where there are no ends. `is_same` if those of the first row are those of all.
    fn categories(
        &self,
        values: &Column,
        height: usize,
        dtype: &DataType,
        ends_of: impl Fn(usize) -> Option<Vec<f64>>,
        is_same: bool,
    ) -> PolarsResult<Column> {
        let floats = values.cast(&DataType::Float64)?;
        let floats = floats.f64()?;
        // All intervals that there were, each with the place of its first label.
        let mut known: Vec<(Intervals, usize)> = Vec::new();
        let mut numbers: HashMap<Vec<u64>, usize> = HashMap::new();
        let mut labels = Vec::<String>::new();
        // Those of the row, by number.
        let (mut given, mut number) = (None, None);
        let (mut places, mut ends) = (Vec::with_capacity(height), Vec::new());
        for row in 0..height {
            if row == 0 || !is_same {
                let next = ends_of(row);
                if next != given {
                    // Groups take turns, and come back to the same ends.
                    number = match &next {
                        Some(ends) => match numbers.entry(bits(ends)) {
                            Entry::Occupied(number) => Some(*number.get()),
                            Entry::Vacant(new) => {
                                let intervals = self.intervals(ends.clone())?;
                                let first = labels.len();
                                labels.extend(intervals.labels.iter().cloned());
                                known.push((intervals, first));
                                Some(*new.insert(known.len() - 1))
                            }
                        },
                        None => None,
                    };
                    given = next;
                }
            }
            let value = floats.get(if floats.len() == 1 { 0 } else { row });
            let found = value.filter(|value| !value.is_nan()).zip(number);
            let found = found.map(|(value, number)| {
                let (all, first) = &known[number];
                (all, *first, self.interval_of(value, all))
            });
            places.push(found.map(|(_, first, i)| (first + i) as IdxSize));
            if self.include_breaks {
                let end = |(all, _, i): (&Intervals, usize, usize)| all.ends.get(i).copied();
                ends.push(found.map(|found| end(found).unwrap_or(f64::INFINITY)));
            }
        }
        let labels = StringChunked::from_iter_values(values.name().clone(), labels.iter());
        let places = IdxCa::from_iter_options(PlSmallStr::EMPTY, places.into_iter());
        let categories = labels.into_series().strict_cast(dtype)?.take(&places)?;
        if !self.include_breaks {
            return Ok(categories.into_column());
        }
        let ends = Float64Chunked::from_iter_options("breakpoint".into(), ends.into_iter());
        let fields: [Series; 2] = [ends.into_series(), categories.with_name("category".into())];
        let both = StructChunked::from_series(values.name().clone(), height, fields.iter())?;
        Ok(both.into_series().into_column())
    }
}

fn bits(ends: &[f64]) -> Vec<u64> {
    ends.iter().map(|end| end.to_bits()).collect()
}

/// Inputs are the values, a list of the ends, and the style.
fn cut(inputs: &[Column]) -> PolarsResult<Column> {
    check(&inputs[0])?;
    let style = Style::new(&inputs[2..])?;
    let ends = listed(&inputs[1])?.cast(&DataType::Float64)?;
    let Some(ends) = ends.f64()?.iter().collect::<Option<Vec<f64>>>() else {
        polars_bail!(InvalidOperation: "null is no end of an interval");
    };
    let known = style.intervals(ends.clone())?;
    polars_ensure!(
        known.ends.windows(2).all(|pair| pair[0] < pair[1]),
        InvalidOperation: "intervals between {:?}, some of which are the same", known.ends
    );
    let labels = known.labels.iter().map(String::as_str);
    let dtype = DataType::from_frozen_categories(FrozenCategories::new(labels)?);
    style.categories(&inputs[0], inputs[0].len(), &dtype, |_| Some(ends.clone()), true)
}

/// Inputs are the values, the style, and each end.
fn quantile_cut(inputs: &[Column]) -> PolarsResult<Column> {
    check(&inputs[0])?;
    let style = Style::new(&inputs[1..4])?;
    let ends = inputs[4..].iter().map(|end| end.cast(&DataType::Float64));
    let ends = ends.collect::<PolarsResult<Vec<Column>>>()?;
    let ends = ends.iter().map(|end| end.f64()).collect::<PolarsResult<Vec<_>>>()?;
    let dtype = DataType::from_categories(Categories::global());
    let of_row = |row: usize| {
        let end = |end: &&Float64Chunked| end.get(if end.len() == 1 { 0 } else { row });
        ends.iter().map(end).collect::<Option<Vec<f64>>>()
    };
    let is_same = inputs[4..].iter().all(|end| end.len() == 1 || end.as_scalar_column().is_some());
    let mut heights = vec![inputs[0].clone()];
    heights.extend_from_slice(&inputs[4..]);
    style.categories(&inputs[0], height(&heights), &dtype, of_row, is_same)
}

fn check(values: &Column) -> PolarsResult<()> {
    let dtype = values.dtype();
    polars_ensure!(
        dtype.is_primitive_numeric() || dtype.is_decimal(),
        InvalidOperation: "{dtype} has no intervals, only numbers have"
    );
    Ok(())
}

impl Expr {
    /// The interval between `breaks` in which a number is, as an `Enum` of labels such as `(10, 50]`; null for null and NaN.
    ///
    /// `labels` are other names, one more than there are breaks. With `left_closed` the lower end belongs to an interval,
    /// otherwise the upper one. With `include_breaks` the result is a struct of the upper end, `breakpoint`, and the
    /// `category`.
    ///
    /// # Errors
    /// Breaks that are not finite or not different, another number of labels, and what is no number.
    ///
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df, polars_core::prelude::DataType};
    /// let frame = DataFrame::from_polars(&df!["x" => [1, 10, 11]]?, 2);
    /// let plain = col("x").cut([10], None, false, false).cast(DataType::String);
    /// let named = col("x").cut([10], Some(&["low", "high"]), true, false).cast(DataType::String).alias("y");
    /// let out = frame.select([plain, named]).compute()?;
    /// assert!(out.equals(&df!["x" => ["(-inf, 10]", "(-inf, 10]", "(10, inf]"], "y" => ["low", "high", "high"]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cut(
        &self,
        breaks: impl IntoValues,
        labels: Option<&[&str]>,
        left_closed: bool,
        include_breaks: bool,
    ) -> Expr {
        let style = [label_list(labels), lit(left_closed), lit(include_breaks)];
        let inputs = [self.clone(), breaks.into_values()];
        Expr::call(&CUT, inputs.into_iter().chain(style).collect())
    }

    /// As [`cut`](Self::cut), between quantiles of the values: those of all rows or, with [`over`](Self::over), of a
    /// group. The result is a `Categorical`, because which intervals there are depends on the values; where several
    /// quantiles are equal, no value is between them.
    ///
    /// # Cost
    /// Quantiles are exact: the column is gathered in one task before it is cut.
    ///
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df, polars_core::prelude::DataType};
    /// let frame = DataFrame::from_polars(&df!["x" => [4, 1, 3, 2]]?, 2);
    /// let half = col("x").qcut(&[0.5], Some(&["low", "high"]), false, false).cast(DataType::String);
    /// assert!(frame.select([half]).compute()?.equals(&df!["x" => ["high", "low", "high", "low"]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn qcut(
        &self,
        quantiles: &[f64],
        labels: Option<&[&str]>,
        left_closed: bool,
        include_breaks: bool,
    ) -> Expr {
        let numbers = self.cast(DataType::Float64).fill_nan(null());
        let ends = quantiles.iter().map(|q| numbers.quantile(*q, Interpolation::Linear));
        let style = [label_list(labels), lit(left_closed), lit(include_breaks)];
        Expr::call(&QCUT, std::iter::once(self.clone()).chain(style).chain(ends).collect())
    }
}

fn label_list(labels: Option<&[&str]>) -> Expr {
    labels.map_or_else(null, IntoValues::into_values)
}
