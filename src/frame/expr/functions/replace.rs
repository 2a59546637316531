//! Values in the place of others: `col("code").replace([1, 2], [10, 20])`.

use std::collections::HashMap;

use polars_core::error::{polars_bail, polars_ensure};
use polars_core::prelude::row_encode::_get_rows_encoded_ca;
use polars_core::prelude::{
    AnyValue, BinaryOffsetChunked, Column, DataType, IdxCa, IdxSize, IntoColumn, NewChunkedArray,
    PlSmallStr, PolarsResult, Series,
};
use polars_core::utils::try_get_supertype;

use super::{broadcast, height};
use crate::frame::expr::function::functions;
use crate::frame::expr::{Expr, IntoValues};

functions! {
    REPLACE = "replace" => replace;
    REPLACE_STRICT = "replace_strict", fallible() => replace_strict;
    REPLACE_OR = "replace_strict_or" => replace_or;
}

/// The values of a list that is the same for all rows.
pub(super) fn listed(column: &Column) -> PolarsResult<Series> {
    match column.get(0)? {
        AnyValue::List(values) => Ok(values),
        other => {
            polars_bail!(InvalidOperation: "expected a list of values for all rows, got {other}")
        }
    }
}

/// Inputs are the values, those that are replaced, and what comes in their places.
fn replace(inputs: &[Column]) -> PolarsResult<Column> {
    let values = &inputs[0];
    let found = Found::new(values, &inputs[1], &inputs[2])?;
    let new = found.new.strict_cast(values.dtype())?.into_column();
    new.take(&found.places)?.zip_with(&found.is_found(), values)
}

fn replace_strict(inputs: &[Column]) -> PolarsResult<Column> {
    let found = Found::new(&inputs[0], &inputs[1], &inputs[2])?;
    let is_missing = !found.is_found() & inputs[0].is_not_null();
    if let Some(row) = is_missing.iter().position(|missing| missing == Some(true)) {
        let value = inputs[0].get(row)?;
        polars_bail!(
            InvalidOperation: "{value} is not among the values that are replaced; add it, or say what else comes in its place"
        );
    }
    let new = found.new.clone().into_column().take(&found.places)?;
    Ok(new.with_name(inputs[0].name().clone()))
}

/// The fourth input is what comes in the place of all other values.
fn replace_or(inputs: &[Column]) -> PolarsResult<Column> {
    let height = height(&[inputs[0].clone(), inputs[3].clone()]);
    let values = broadcast(&inputs[0], height);
    let found = Found::new(&values, &inputs[1], &inputs[2])?;
    let default = broadcast(&inputs[3], height);
    let dtype = try_get_supertype(found.new.dtype(), default.dtype())?;
    let (new, default) = (found.new.cast(&dtype)?.into_column(), default.cast(&dtype)?);
    let out = new.take(&found.places)?.zip_with(&found.is_found(), &default)?;
    Ok(out.with_name(values.name().clone()))
}

/// Where in the list of values to replace each value is.
struct Found {
    /// Null for what is not in the list.
    places: IdxCa,
    new: Series,
}

impl Found {
    fn new(values: &Column, old: &Column, new: &Column) -> PolarsResult<Self> {
        let (old, mut new) = (listed(old)?, listed(new)?);
        if new.len() == 1 {
            new = new.new_from_index(0, old.len());
        }
        polars_ensure!(
            new.len() == old.len(),
            InvalidOperation: "got {} values in the place of {}", new.len(), old.len()
        );
        let dtype = match values.dtype() {
            // Numbers of categories differ between partitions; their texts do not.
            dtype if dtype.is_categorical() || dtype.is_enum() => DataType::String,
            dtype => dtype.clone(),
        };
        let cast = old.strict_cast(&dtype)?;
        // Floats are those that the column can have, as 0.1 is another number there.
        let is_rounded = old.dtype().is_float() && dtype.is_float();
        let is_number = old.dtype().is_primitive_numeric() || old.dtype().is_temporal();
        polars_ensure!(
            is_rounded || !is_number || cast.cast(old.dtype())?.equals_missing(&old),
            InvalidOperation: "{} can't have the values {old:?}", values.dtype()
        );
        let (keys, values) = (encoded(cast.into_column())?, encoded(values.cast(&dtype)?)?);
        let mut place_of: HashMap<&[u8], IdxSize> = HashMap::with_capacity(keys.len());
        for (place, key) in keys.iter().flatten().enumerate() {
            let before = place_of.insert(key, place as IdxSize);
            polars_ensure!(
                before.is_none(),
                InvalidOperation: "the value {} is replaced twice", old.get(place)?
            );
        }
        let places = values.iter().map(|value| place_of.get(value?).copied());
        Ok(Found { places: IdxCa::from_iter_options(PlSmallStr::EMPTY, places), new })
    }

    fn is_found(&self) -> polars_core::prelude::BooleanChunked {
        self.places.is_not_null()
    }
}

/// Bytes that are equal where values are, null among them.
fn encoded(values: Column) -> PolarsResult<BinaryOffsetChunked> {
    _get_rows_encoded_ca(PlSmallStr::EMPTY, &[values], &[false], &[false], false)
}

/// Values in the place of others.
///
/// ```
/// use dask_rs::frame::{DataFrame, col, lit, polars_core::df};
/// let frame = DataFrame::from_polars(&df!["code" => [1, 2, 3]]?, 2);
/// let other = col("code").replace([3], [30]).alias("other");
/// let name = col("code").replace_strict_or([1, 2], ["card", "cash"], lit("?")).alias("name");
/// let out = frame.select([other, name]).compute()?;
/// assert!(out.equals(&df!["other" => [1, 2, 30], "name" => ["card", "cash", "?"]]?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Expr {
    /// `new` in the place of `old`, one for each, or one for all; other values stay. The dtype stays too.
    ///
    /// # Errors
    /// Values that the column can't have, lists of other lengths, a value that is replaced twice.
    pub fn replace(&self, old: impl IntoValues, new: impl IntoValues) -> Expr {
        Expr::call(&REPLACE, vec![self.clone(), old.into_values(), new.into_values()])
    }

    /// As [`replace`](Self::replace), where every value is replaced, so that the dtype is that of `new`. Null stays null unless
    /// it is among `old`.
    ///
    /// # Errors
    /// A value that is not among `old`, when it is found.
    pub fn replace_strict(&self, old: impl IntoValues, new: impl IntoValues) -> Expr {
        Expr::call(&REPLACE_STRICT, vec![self.clone(), old.into_values(), new.into_values()])
    }

    /// As [`replace_strict`](Self::replace_strict), with `default` in the place of values that are not among `old`.
    pub fn replace_strict_or(
        &self,
        old: impl IntoValues,
        new: impl IntoValues,
        default: impl Into<Expr>,
    ) -> Expr {
        let inputs = vec![self.clone(), old.into_values(), new.into_values(), default.into()];
        Expr::call(&REPLACE_OR, inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::expr::{col, lit, null};
    use crate::frame::kernels::eval::evaluate;
    use polars_core::df;
    use polars_core::prelude::{Categories, NamedFrom};

    fn got(expr: &Expr) -> Result<Series, String> {
        let frame = df![
            "i" => [Some(1_i64), None, Some(2), Some(3)],
            "f" => [Some(f64::NAN), Some(-0.0), None, Some(1.5)],
            "s" => [Some("a"), None, Some("b"), Some("c")],
        ];
        let column = evaluate(expr, &frame.unwrap()).map_err(|error| error.to_string())?;
        Ok(column.as_materialized_series().clone())
    }

    #[test]
    fn values_are_looked_up() {
        let same = |expr: Expr, expected: Series| {
            let got = got(&expr).unwrap();
            assert_eq!(got.dtype(), expected.dtype(), "{expr}");
            assert!(got.equals_missing(&expected), "{expr}: {got:?}");
        };
        let [i, f, s] = ["i", "f", "s"].map(col);
        let ints = |v: [Option<i64>; 4]| Series::new("i".into(), v);
        same(i.replace([1, 3], [10, 30]), ints([Some(10), None, Some(2), Some(30)]));
        same(i.replace([1, 3], [0]), ints([Some(0), None, Some(2), Some(0)]));
        same(i.replace([None, Some(2)], [Some(9), None]), ints([Some(1), Some(9), None, Some(3)]));
        let floats = Series::new("f".into(), [Some(0.5), Some(7.0), None, Some(1.5)]);
        same(f.replace([f64::NAN, 0.0], [0.5, 7.0]), floats);
        let texts = Series::new("i".into(), [Some("x"), None, Some("y"), Some("z")]);
        same(i.replace_strict([1, 2, 3], ["x", "y", "z"]), texts);
        let half = Series::new("i".into(), [Some(1.5), Some(0.0), Some(0.0), Some(0.0)]);
        same(i.replace_strict_or([1], [1.5], lit(0.0)), half);
        let categories = s.cast(DataType::from_categories(Categories::global()));
        let others = Series::new("s".into(), [Some("A"), None, Some("b"), Some("c")]);
        same(categories.replace(["a"], ["A"]).cast(DataType::String), others);
        let single = f.cast(DataType::Float32).replace([1.1, 1.5], [0.1, 2.5]);
        let singles = Series::new("f".into(), [Some(f32::NAN), Some(0.0), None, Some(2.5)]);
        same(single, singles);
        let nulls = Series::new("s".into(), [None::<&str>, None, Some("b"), Some("c")]);
        same(s.replace(["a"], [None::<&str>]), nulls);
        same(
            i.replace_strict_or([1], [5_i64], null()),
            ints([Some(5), None, None, None]).cast(&DataType::Int32).unwrap(),
        );
    }

    #[test]
    fn mistakes_are_refused() {
        let i = col("i");
        for (expr, part) in [
            (i.replace_strict([1, 2], [0, 0]), "3 is not among"),
            (i.replace([1, 1], [2, 3]), "replaced twice"),
            (i.replace([1, 2, 3], [2, 3]), "got 2 values in the place of 3"),
            (i.replace([1.5], [2]), "can't have the values"),
            (i.replace(["a"], ["b"]), "i64"),
        ] {
            let error = got(&expr).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
