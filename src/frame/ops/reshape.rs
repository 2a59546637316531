//! Functions that turn values into rows, and rows into columns.

use std::sync::Arc;

use polars_core::prelude::{
    AnyValue, Column, DataFrame, DataType, FrozenCategories, PlSmallStr, Schema,
};
use polars_core::utils::try_get_supertype;

use super::groups;
use crate::error::{Call, Error, Result};
use crate::frame::expr::{Expr, ExprKind, check_column, col, lit, null, when};
use crate::frame::kernels::sort::SortSpec;
use crate::frame::kernels::{reshape, values_error};
use crate::frame::op::{FrameOp, Handle, MapPartitions, Node};

/// A function of ours of each partition.
pub(super) fn partitions(
    call: Call,
    node: &Arc<Node>,
    name: &str,
    schema: Arc<Schema>,
    function: impl Fn(&DataFrame) -> Result<DataFrame> + Send + Sync + 'static,
) -> Result<Arc<Node>> {
    let function = move |rows: DataFrame, _: usize| {
        function(&rows).map_err(|error| {
            polars_core::error::PolarsError::ComputeError(error.to_string().into())
        })
    };
    let map = MapPartitions { name: name.into(), function: Box::new(function), schema, call };
    Node::of(FrameOp::MapPartitions(Arc::new(map)), &[node])
}

/// A row for each element of the lists in `names`.
pub(crate) fn explode(call: Call, handle: &Handle, names: Vec<PlSmallStr>) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        names.iter().try_for_each(|name| check_column(name, schema, call))?;
        let other = names.iter().filter_map(|name| schema.get(name)).find(|dtype| !dtype.is_list());
        if let Some(other) = other {
            let (got, expected) = (other.to_string(), "lists".to_owned());
            return Err(Error::DTypeMismatch { call, got, expected });
        }
        let out = reshape::explode(&DataFrame::empty_with_schema(schema), &names)?;
        let out = Arc::clone(out.schema());
        partitions(call, node, "explode", out, move |rows| reshape::explode(rows, &names))
    })
}

/// The fields of structs as columns in their places.
pub(crate) fn unnest(call: Call, handle: &Handle, names: &[PlSmallStr]) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        names.iter().try_for_each(|name| check_column(name, schema, call))?;
        let mut exprs = Vec::with_capacity(schema.len());
        for (name, dtype) in schema.iter() {
            match dtype {
                _ if !names.contains(name) => exprs.push(col(name.clone())),
                DataType::Struct(fields) => {
                    let structs = col(name.clone()).struct_();
                    exprs.extend(fields.iter().map(|field| structs.field(field.name())));
                }
                other => {
                    let (got, expected) = (format!("{other} of {name}"), "a struct".to_owned());
                    return Err(Error::DTypeMismatch { call, got, expected });
                }
            }
        }
        super::rows::select_node(call, node, exprs)
    })
}

/// A column of ones and zeros for each value that the columns `names` may have, in their places.
pub(crate) fn to_dummies(call: Call, handle: &Handle, names: &[PlSmallStr]) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        names.iter().try_for_each(|name| check_column(name, schema, call))?;
        let mut exprs = Vec::with_capacity(schema.len());
        for (name, dtype) in schema.iter() {
            let column = col(name.clone());
            let is = |value: Expr, text: &str| {
                let is_this = column.eq(value).fill_null(lit(false)).cast(DataType::UInt8);
                is_this.alias(format!("{name}_{text}"))
            };
            match dtype {
                _ if !names.contains(name) => exprs.push(column),
                DataType::Enum(known, _) => {
                    let texts = known.categories().values_iter();
                    exprs.extend(texts.map(|text| is(lit(text), text)));
                }
                DataType::Boolean => {
                    exprs.extend([is(lit(false), "false"), is(lit(true), "true")]);
                }
                other => {
                    let got = format!("{other} of {name}");
                    let expected =
                        "categories that the plan knows, as as_known() finds them, or booleans";
                    return Err(Error::DTypeMismatch { call, got, expected: expected.into() });
                }
            }
        }
        super::rows::select_node(call, node, exprs)
    })
}

/// The columns `on` as rows, with the columns `index`.
pub(crate) fn unpivot(
    call: Call,
    handle: &Handle,
    on: Vec<PlSmallStr>,
    index: Vec<PlSmallStr>,
) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        on.iter().chain(&index).try_for_each(|name| check_column(name, schema, call))?;
        let mut dtypes = on.iter().filter_map(|name| schema.get(name).cloned());
        let first = dtypes.next().unwrap_or(DataType::Null);
        let dtype = dtypes.try_fold(first, |a, b| try_get_supertype(&a, &b));
        let dtype = dtype.map_err(values_error("unpivot"))?;
        let none = DataFrame::empty_with_schema(schema);
        let out = Arc::clone(reshape::unpivot(&none, &on, &index, &dtype)?.schema());
        let unpivot = move |rows: &DataFrame| reshape::unpivot(rows, &on, &index, &dtype);
        partitions(call, node, "unpivot", out, unpivot)
    })
}

/// A row for each group of equal `index`, and a column for each of `values` that the column `on` may have.
pub(crate) fn pivot(
    call: Call,
    handle: &Handle,
    on: &PlSmallStr,
    values: &Expr,
    index: &[PlSmallStr],
    agg: &Expr,
) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        index.iter().chain([on]).try_for_each(|name| check_column(name, schema, call))?;
        let keys: Vec<Expr> = index.iter().chain([on]).map(|name| col(name.clone())).collect();
        // A group of each pair first, of which there are few; then these become columns.
        let value = super::clean::free_name("value", node);
        let pairs = groups::aggregate(call, handle, &keys, vec![agg.alias(value.clone())]);
        let columns = literals(call, values)?.into_iter().map(|(name, literal)| {
            let is_this = col(on.clone()).eq(literal);
            when(is_this).then(col(value.clone())).otherwise(null()).max().alias(name)
        });
        let index: Vec<Expr> = index.iter().map(|name| col(name.clone())).collect();
        groups::aggregate(call, &pairs, &index, columns.collect()).node().cloned()
    })
}

/// The values of a list literal, with their texts.
fn literals(call: Call, values: &Expr) -> Result<Vec<(PlSmallStr, Expr)>> {
    if let ExprKind::Literal(literal) = values.kind()
        && let AnyValue::List(list) = literal.value.value()
    {
        let named = list.iter().map(|value| {
            let value = value.into_static();
            let name: PlSmallStr = match value.get_str() {
                Some(text) => text.into(),
                None => value.to_string().into(),
            };
            (name, lit(polars_core::prelude::Scalar::new(list.dtype().clone(), value)))
        });
        return Ok(named.collect());
    }
    Err(Error::InvalidArgument {
        call,
        argument: "values",
        got: values.to_string(),
        expected: "the values that become columns, such as [\"a\", \"b\"]",
    })
}

/// The different values of a column that are not null, sorted.
pub(crate) fn unique_values(call: Call, handle: &Handle, column: &PlSmallStr) -> Handle {
    let of_groups = groups::aggregate(call, handle, &[col(column.clone())], vec![]);
    let values = super::rows::filter(call, &of_groups, col(column.clone()).is_not_null());
    super::sorts::sort(call, &values, SortSpec::new([column.clone()], false, false), None)
}

/// The different texts of a column of texts or categories, sorted.
pub(crate) fn category_names(call: Call, handle: &Handle, column: &PlSmallStr) -> Handle {
    let texts = handle.then(|node| {
        check_column(column, &node.meta.schema, call)?;
        let dtype = node.meta.schema.get(column);
        if !dtype.is_some_and(|d| d.is_string() || d.is_categorical() || d.is_enum()) {
            return Err(Error::DTypeMismatch {
                call,
                got: dtype.map(DataType::to_string).unwrap_or_default(),
                expected: "texts or categories".into(),
            });
        }
        super::rows::select_node(call, node, vec![col(column.clone()).cast(DataType::String)])
    });
    unique_values(call, &texts, column)
}

/// The column of the name of `categories` as an `Enum` of these texts.
pub(crate) fn with_categories(call: Call, handle: &Handle, categories: &Column) -> Handle {
    let known = categories.str().and_then(|texts| FrozenCategories::new(texts.iter().flatten()));
    let known = match known.map_err(|error| values_error("as_known")(error)) {
        Ok(known) => DataType::from_frozen_categories(known),
        Err(error) => return Handle::from_result(Err(error)),
    };
    let texts = col(categories.name().clone()).cast(DataType::String);
    super::rows::with_columns(call, handle, vec![texts.strict_cast(known)])
}
