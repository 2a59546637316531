//! Functions in which rows depend on the rows before and after them.

use polars_arrow::array::BinaryArray;
use polars_core::error::{polars_bail, polars_ensure};
use polars_core::prelude::row_encode::_get_rows_encoded_ca;
use polars_core::prelude::{
    ChunkCompareEq, Column, DataType, IDX_DTYPE, IdxSize, IntoColumn, NamedFrom, PlSmallStr,
    PolarsResult, Series, SortOptions,
};
use polars_core::series::ops::NullBehavior;
use polars_ops::prelude::InterpolationMethod;

use super::{broadcast, height};
use crate::frame::args::IntoFlags;
use crate::frame::expr::function::{Coercion, functions};
use crate::frame::expr::{Expr, Interpolation, IntoExprs, lit, null};

functions! {
    SHIFT = "shift", across_rows() => |c| Ok(c[0].shift(offset(&c[1])?));
    SHIFT_AND_FILL = "shift_and_fill", across_rows(), coerce(Coercion::Supertype(2)) => shift_and_fill;
    DIFF = "diff", across_rows() => |c| difference(c, |s, n| {
        polars_ops::prelude::diff(s, n, NullBehavior::Ignore)
    });
    PCT_CHANGE = "pct_change", across_rows() => |c| difference(c, |s, n| {
        let n = Series::new("".into(), [n]);
        polars_ops::prelude::pct_change(s, &n)
    });
    CUM_SUM = "cum_sum", across_rows() => |c| cumulate(c, polars_ops::prelude::cum_sum);
    CUM_PROD = "cum_prod", across_rows() => |c| cumulate(c, polars_ops::prelude::cum_prod);
    CUM_MIN = "cum_min", across_rows() => |c| cumulate(c, polars_ops::prelude::cum_min);
    CUM_MAX = "cum_max", across_rows() => |c| cumulate(c, polars_ops::prelude::cum_max);
    CUM_COUNT = "cum_count", across_rows() => |c| cumulate(c, polars_ops::prelude::cum_count);
    RANK = "rank", across_rows() => rank;
    INTERPOLATE = "interpolate", across_rows() => interpolate;
    REVERSE = "reverse", across_rows() => |c| Ok(c[0].reverse());
    SORT = "sort", across_rows() => sort;
    SORT_BY = "sort_by", across_rows() => sort_by;
    IS_UNIQUE = "is_unique", across_rows() => |c| flag(c, polars_ops::prelude::is_unique);
    IS_DUPLICATED = "is_duplicated", across_rows() => |c| flag(c, polars_ops::prelude::is_duplicated);
    IS_FIRST_DISTINCT = "is_first_distinct", across_rows() =>
        |c| flag(c, polars_ops::prelude::is_first_distinct);
}

pub(super) fn offset(column: &Column) -> PolarsResult<i64> {
    let n = column.strict_cast(&DataType::Int64)?;
    match n.i64()?.get(0) {
        Some(n) => Ok(n),
        None => polars_bail!(InvalidOperation: "the number of rows is null"),
    }
}

pub(super) fn boolean(column: &Column) -> PolarsResult<bool> {
    Ok(column.bool()?.get(0).unwrap_or(false))
}

/// Inputs are the values, the fill value and the number of rows.
fn shift_and_fill(inputs: &[Column]) -> PolarsResult<Column> {
    let (values, fill, n) = (&inputs[0], &inputs[1], offset(&inputs[2])?);
    let len = values.len();
    polars_ensure!(fill.len() == 1, InvalidOperation: "the fill value of shift must be one value");
    let n_filled = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX).min(len);
    let filled = broadcast(fill, n_filled).slice(0, n_filled);
    if n >= 0 {
        let mut out = filled.with_name(values.name().clone());
        out.append(&values.slice(0, len - n_filled))?;
        Ok(out)
    } else {
        let mut out = values.slice(n_filled as i64, len - n_filled);
        out.append(&filled)?;
        Ok(out)
    }
}

fn difference(
    inputs: &[Column],
    function: impl Fn(&Series, i64) -> PolarsResult<Series>,
) -> PolarsResult<Column> {
    let dtype = inputs[0].dtype();
    polars_ensure!(
        dtype.is_primitive_numeric() || dtype.is_decimal() || dtype.is_temporal() || dtype.is_bool(),
        InvalidOperation: "differences of {dtype} are not possible"
    );
    // Polars' boolean difference is not defined.
    let values = if dtype.is_bool() { inputs[0].cast(&DataType::Int8)? } else { inputs[0].clone() };
    Ok(function(values.as_materialized_series(), offset(&inputs[1])?)?.into_column())
}

/// The second input says whether rows are taken from the last to the first.
fn cumulate(
    inputs: &[Column],
    function: fn(&Series, bool) -> PolarsResult<Series>,
) -> PolarsResult<Column> {
    Ok(function(inputs[0].as_materialized_series(), boolean(&inputs[1])?)?.into_column())
}

fn flag(
    inputs: &[Column],
    function: fn(&Series) -> PolarsResult<polars_core::prelude::BooleanChunked>,
) -> PolarsResult<Column> {
    // Decimals as they are need a feature of polars that costs minutes to build; their texts are as different.
    let values = if inputs[0].dtype().is_decimal() {
        inputs[0].cast(&DataType::String)?
    } else {
        inputs[0].clone()
    };
    Ok(function(values.as_materialized_series())?.into_column())
}

/// Inputs are the values, how equal ones are ranked, and whether the largest comes first.
///
/// Polars would sort on threads of its own, and equal values in any order.
fn rank(inputs: &[Column]) -> PolarsResult<Column> {
    let values = inputs[0].as_materialized_series();
    let dtype = values.dtype();
    polars_ensure!(!dtype.is_nested(), InvalidOperation: "rank of {dtype} is not possible");
    let ties = inputs[1].str()?.get(0);
    // From the number of the place, the first and the last place of values equal to this, and the number of different ones.
    let rank: fn([usize; 4]) -> f64 = match ties {
        Some("average") => |[_, first, last, _]| (first + last) as f64 / 2.0,
        Some("min") => |[_, first, ..]| first as f64,
        Some("max") => |[_, _, last, _]| last as f64,
        Some("dense") => |[.., n]| n as f64,
        Some("ordinal") => |[place, ..]| place as f64,
        other => polars_bail!(InvalidOperation: "rank has no method {other:?}"),
    };
    let options = SortOptions { nulls_last: true, ..sort_options(boolean(&inputs[2])?) };
    let n_values = values.len() - values.null_count();
    let order = values.arg_sort(options).slice(0, n_values);
    let sorted = values.take(&order)?;
    let behind = sorted.slice(1, n_values);
    let is_new = behind.not_equal(&sorted.slice(0, behind.len()))?;
    let mut ends: Vec<usize> =
        (1..n_values).filter(|place| is_new.get(place - 1) == Some(true)).collect();
    ends.push(n_values);
    let order: Vec<IdxSize> = order.into_no_null_iter().collect();
    let mut ranks = vec![None; values.len()];
    let mut first = 0;
    for (n, end) in ends.into_iter().enumerate() {
        for place in first..end {
            ranks[order[place] as usize] = Some(rank([place + 1, first + 1, end, n + 1]));
        }
        first = end;
    }
    let ranks = Column::new(values.name().clone(), ranks);
    if ties == Some("average") { Ok(ranks) } else { ranks.strict_cast(&IDX_DTYPE) }
}

fn interpolate(inputs: &[Column]) -> PolarsResult<Column> {
    let dtype = inputs[0].dtype();
    polars_ensure!(
        dtype.is_primitive_numeric() || dtype.is_temporal(),
        InvalidOperation: "interpolate of {dtype} is not possible"
    );
    let method = if boolean(&inputs[1])? {
        InterpolationMethod::Nearest
    } else {
        InterpolationMethod::Linear
    };
    Ok(polars_ops::prelude::interpolate(inputs[0].as_materialized_series(), method).into_column())
}

/// Inputs are the values, whether the largest comes first, and whether nulls come last.
fn sort(inputs: &[Column]) -> PolarsResult<Column> {
    let nulls_last = boolean(&inputs[2])?;
    inputs[0].sort_with(SortOptions { nulls_last, ..sort_options(boolean(&inputs[1])?) })
}

/// Inputs are the values, and then three for each key: the key, whether its largest comes first, and whether its nulls come last.
fn sort_by(inputs: &[Column]) -> PolarsResult<Column> {
    polars_ensure!(inputs.len() > 3, InvalidOperation: "sort_by needs one key at least");
    let height = height(inputs);
    let flags =
        |i: usize| inputs[i..].iter().step_by(3).map(boolean).collect::<PolarsResult<Vec<_>>>();
    let keys: Vec<Column> =
        inputs[1..].iter().step_by(3).map(|key| broadcast(key, height)).collect();
    let values = broadcast(&inputs[0], height);
    polars_ensure!(
        keys.iter().all(|key| key.len() == values.len()),
        ShapeMismatch: "sort_by has {} values and other numbers of keys", values.len()
    );
    if let Some(key) = keys.iter().find(|key| key.dtype().is_nested() || key.dtype().is_object()) {
        polars_bail!(InvalidOperation: "sort_by {} is not possible", key.dtype());
    }
    let keys = row_keys(&keys, &flags(2)?, &flags(3)?)?;
    let mut order: Vec<IdxSize> = (0..values.len() as IdxSize).collect();
    order.sort_by(|&a, &b| keys.value(a as usize).cmp(keys.value(b as usize)));
    values.take_slice(&order)
}

/// The rows of columns as bytes that compare as the rows do.
pub(crate) fn row_keys(
    columns: &[Column],
    descending: &[bool],
    nulls_last: &[bool],
) -> PolarsResult<BinaryArray<i64>> {
    let keys = _get_rows_encoded_ca(PlSmallStr::EMPTY, columns, descending, nulls_last, false)?;
    Ok(keys.rechunk().downcast_as_array().clone())
}

/// A stable sort on this thread.
fn sort_options(descending: bool) -> SortOptions {
    SortOptions {
        descending,
        nulls_last: false,
        multithreaded: false,
        maintain_order: true,
        limit: None,
    }
}

/// How [`Expr::rank`] ranks equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankTies {
    /// All get the mean of their ranks.
    Average,
    /// All get the smallest of their ranks.
    Min,
    /// All get the largest of their ranks.
    Max,
    /// As `Min`, and the next value gets the next rank.
    Dense,
    /// Each gets its own rank, in the order of the rows.
    Ordinal,
}

/// Rows that depend on other rows. In a frame the order is that of its rows over all partitions; with
/// [`over`](Expr::over), that of the rows of each group.
///
/// ```
/// use dask_rs::frame::col;
/// let running = col("fare").cum_sum(false).over(["vendor"]);
/// let growth = col("fare").pct_change(1);
/// let before = col("fare").shift(1).fill_null(0);
/// ```
impl Expr {
    /// The value `n` rows before, or after if `n` is negative; null where there is no such row.
    pub fn shift(&self, n: i64) -> Expr {
        self.binary(&SHIFT, n)
    }

    /// As [`shift`](Self::shift), with `fill` where there is no such row.
    pub fn shift_and_fill(&self, n: i64, fill: impl Into<Expr>) -> Expr {
        Expr::call(&SHIFT_AND_FILL, vec![self.clone(), fill.into(), lit(n)])
    }

    /// The value less the one `n` rows before. Unsigned integers become signed.
    pub fn diff(&self, n: i64) -> Expr {
        self.binary(&DIFF, n)
    }

    /// The change since `n` rows before, as a share of the value there.
    pub fn pct_change(&self, n: i64) -> Expr {
        self.binary(&PCT_CHANGE, n)
    }

    /// The sum of all rows up to this one, or from this one on if `reverse`. Nulls stay null and are left out.
    pub fn cum_sum(&self, reverse: bool) -> Expr {
        self.binary(&CUM_SUM, reverse)
    }

    /// The product of all rows up to this one, see [`cum_sum`](Self::cum_sum).
    pub fn cum_prod(&self, reverse: bool) -> Expr {
        self.binary(&CUM_PROD, reverse)
    }

    /// The smallest value up to this row, see [`cum_sum`](Self::cum_sum).
    pub fn cum_min(&self, reverse: bool) -> Expr {
        self.binary(&CUM_MIN, reverse)
    }

    /// The largest value up to this row, see [`cum_sum`](Self::cum_sum).
    pub fn cum_max(&self, reverse: bool) -> Expr {
        self.binary(&CUM_MAX, reverse)
    }

    /// How many values that are not null there are up to this row.
    pub fn cum_count(&self, reverse: bool) -> Expr {
        self.binary(&CUM_COUNT, reverse)
    }

    /// The place of the value among all of them, from 1.
    pub fn rank(&self, ties: RankTies, descending: bool) -> Expr {
        let ties = format!("{ties:?}").to_lowercase();
        Expr::call(&RANK, vec![self.clone(), lit(ties), lit(descending)])
    }

    /// Nulls between two values filled from them: by distance, as a float, or with the nearer one.
    pub fn interpolate(&self, interpolation: Interpolation) -> Expr {
        self.binary(&INTERPOLATE, interpolation == Interpolation::Nearest)
    }

    /// The values from the last to the first.
    pub fn reverse(&self) -> Expr {
        self.unary(&REVERSE)
    }

    /// The values in their order; equal ones stay in the order of the rows.
    pub fn sort(&self, descending: bool, nulls_last: bool) -> Expr {
        Expr::call(&SORT, vec![self.clone(), lit(descending), lit(nulls_last)])
    }

    /// The values in the order of the columns `by`; equal ones stay in the order of the rows, and nulls come first unless
    /// `nulls_last`. `descending` and `nulls_last` are for all of them, or one for each.
    ///
    /// In a group of [`group_by`](crate::frame::DataFrame::group_by), [`min_by`](Self::min_by) and [`max_by`](Self::max_by)
    /// are the first and the last value of such an order.
    ///
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let rows = df!["day" => [2, 3, 1], "x" => ["b", "c", "a"]]?;
    /// let out = DataFrame::from_polars(&rows, 2).select([col("x").sort_by(["day"], false, false)]);
    /// assert!(out.compute()?.equals(&df!["x" => ["a", "b", "c"]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sort_by(
        &self,
        by: impl IntoExprs,
        descending: impl IntoFlags,
        nulls_last: impl IntoFlags,
    ) -> Expr {
        let by = by.into_exprs();
        let (descending, nulls_last) =
            (descending.into_flags(by.len()), nulls_last.into_flags(by.len()));
        let mut inputs = vec![self.clone()];
        for (i, by) in by.into_iter().enumerate() {
            // A flag that is missing is null, which the kernel refuses.
            let flag = |flags: &[bool]| flags.get(i).map_or_else(null, |flag| lit(*flag));
            inputs.extend([by, flag(&descending), flag(&nulls_last)]);
        }
        Expr::call(&SORT_BY, inputs)
    }

    /// Whether no other row has the same value.
    pub fn is_unique(&self) -> Expr {
        self.unary(&IS_UNIQUE)
    }

    /// Whether another row has the same value.
    pub fn is_duplicated(&self) -> Expr {
        self.unary(&IS_DUPLICATED)
    }

    /// Whether no row before has the same value.
    pub fn is_first_distinct(&self) -> Expr {
        self.unary(&IS_FIRST_DISTINCT)
    }
}
