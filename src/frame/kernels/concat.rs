//! Frames one below the other.

use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, DataType, PlHashMap, PlSmallStr, Schema};

use super::{failed, refused};
use crate::error::Result;

/// Frames of the same columns, by name and in the order of the first one, one below the other.
///
/// Chunks are shared, not copied. Categorical columns get the categories of the first frame that has
/// the column; other dtypes have to agree. No frames make one without columns.
pub(crate) fn concat(frames: impl IntoIterator<Item = DataFrame>) -> Result<DataFrame> {
    let mut frames = frames.into_iter();
    let Some(mut all) = frames.next() else { return Ok(DataFrame::empty()) };
    for frame in frames {
        let frame = conform(frame, all.schema())?;
        append(&mut all, frame)?;
    }
    Ok(all)
}

fn append(all: &mut DataFrame, frame: DataFrame) -> Result<()> {
    if all.width() == 0 {
        // Polars would take a frame without columns for nothing at all, whatever its height.
        *all = DataFrame::empty_with_height(all.height() + frame.height());
    } else if frame.height() > 0 {
        if all.height() == 0 {
            *all = frame;
        } else {
            all.vstack_mut_owned(frame).map_err(failed("concat"))?;
        }
    }
    Ok(())
}

/// The columns of a schema, of a frame that has them and no others.
fn conform(frame: DataFrame, schema: &Schema) -> Result<DataFrame> {
    if **frame.schema() == *schema {
        return Ok(frame);
    }
    if frame.width() != schema.len() {
        let problem = format!("got {} columns, expected {}", frame.width(), schema.len());
        return Err(refused("concat", problem));
    }
    let columns = schema.iter().map(|(name, dtype)| {
        let column = frame.column(name).map_err(failed("concat"))?;
        unify(column, dtype)
    });
    DataFrame::new(frame.height(), columns.collect::<Result<_>>()?).map_err(failed("concat"))
}

/// The column as this dtype if both are equal, categorical, or the column is all null.
pub(super) fn unify(column: &Column, dtype: &DataType) -> Result<Column> {
    let named = |d: &DataType| d.is_categorical() || d.is_enum();
    if column.dtype() == dtype {
        Ok(column.clone())
    } else if named(column.dtype()) && dtype.is_categorical() {
        // By way of the strings, as the numbers of categories mean something else.
        let strings = column.cast(&DataType::String);
        strings.and_then(|s| s.strict_cast(dtype)).map_err(failed("concat"))
    } else if column.dtype().is_null() {
        Ok(Column::full_null(column.name().clone(), column.len(), dtype))
    } else {
        let name = column.name();
        let problem = format!("column {name} has dtype {}, expected {dtype}", column.dtype());
        Err(refused("concat", problem))
    }
}

/// The schema of frames one below the other that have nulls where they lack a column.
///
/// Columns stand in the order in which they first come; one that is null in one frame has the dtype of the next.
pub(crate) fn diagonal_schema<'a>(schemas: impl IntoIterator<Item = &'a Schema>) -> Schema {
    let (mut order, mut dtypes) =
        (Vec::<PlSmallStr>::new(), PlHashMap::<PlSmallStr, DataType>::default());
    for (name, dtype) in schemas.into_iter().flat_map(Schema::iter) {
        let known = dtypes.entry(name.clone()).or_insert_with(|| {
            order.push(name.clone());
            dtype.clone()
        });
        if known.is_null() {
            *known = dtype.clone();
        }
    }
    order.into_iter().filter_map(|name| Some((name.clone(), dtypes.remove(&name)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_core::df;
    use polars_core::prelude::{CategoricalPhysical, Categories};

    #[test]
    fn chunks_are_shared() {
        let a = df!["x" => [1_i64, 2], "s" => ["a", "b"]].unwrap();
        let b = df!["s" => ["c"], "x" => [3_i64]].unwrap();
        let all = concat(vec![a.clone(), a.clear(), b]).unwrap();
        assert!(all.equals(&df!["x" => [1_i64, 2, 3], "s" => ["a", "b", "c"]].unwrap()));
        assert_eq!(all.max_n_chunks(), 2);
        assert!(concat(vec![a.clone(), df!["x" => [1_i64]].unwrap()]).is_err());
        assert!(concat(vec![a, df!["x" => [1.5], "s" => ["a"]].unwrap()]).is_err());
        assert_eq!(concat([]).unwrap().shape(), (0, 0));
    }

    #[test]
    fn frames_without_columns_keep_their_rows() {
        let all = concat(vec![DataFrame::empty_with_height(2), DataFrame::empty_with_height(3)]);
        assert_eq!(all.unwrap().shape(), (5, 0));
    }

    #[test]
    fn categories_are_unified() {
        let column = |name: &'static str, values: [&str; 2]| {
            let categories = Categories::new(name.into(), "test".into(), CategoricalPhysical::U32);
            let dtype = DataType::from_categories(categories);
            let column = Column::new("c".into(), values);
            DataFrame::new(2, vec![column.strict_cast(&dtype).unwrap()]).unwrap()
        };
        let (a, b) = (column("first", ["x", "y"]), column("second", ["z", "x"]));
        assert_ne!(a.schema(), b.schema());
        let all = concat(vec![a.clone(), b]).unwrap();
        assert_eq!(all.schema(), a.schema());
        let strings = all.column("c").unwrap().cast(&DataType::String).unwrap();
        assert_eq!(strings, Column::new("c".into(), ["x", "y", "z", "x"]));
    }
}
