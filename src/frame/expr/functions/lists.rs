//! Functions of lists: `col("l").list()`.

use polars_core::error::polars_ensure;
use polars_core::prelude::{
    Column, IntoColumn, ListChunked, PolarsResult, SortOptions, StringChunked,
};
use polars_ops::prelude::ListNameSpaceImpl;

use super::window::{boolean, offset};
use super::{broadcast, column, compare, height};
use crate::frame::expr::function::functions;
use crate::frame::expr::{Expr, Function, Literal, lit};

functions! {
    LEN = "list.len" => |c| list(c, |l| Ok(l.lst_lengths()));
    SUM = "list.sum" => |c| list(c, |l| l.lst_sum());
    MEAN = "list.mean" => |c| list(c, |l| Ok(l.lst_mean()));
    MEDIAN = "list.median" => |c| list(c, |l| Ok(l.lst_median()));
    MIN = "list.min" => |c| list(c, |l| l.lst_min());
    MAX = "list.max" => |c| list(c, |l| l.lst_max());
    GET = "list.get" => |c| list(c, |l| l.lst_get(offset(&c[1])?, true));
    SLICE = "list.slice" => slice;
    SORT = "list.sort" => sort;
    JOIN = "list.join" => join;
    CONTAINS = "list.contains" => contains;
}

fn list<C: IntoColumn>(
    inputs: &[Column],
    function: impl Fn(&ListChunked) -> PolarsResult<C>,
) -> PolarsResult<Column> {
    let lists = &inputs[0];
    polars_ensure!(lists.dtype().is_list(), InvalidOperation: "{} is no list", lists.dtype());
    Ok(column(function(lists.list()?))?.with_name(lists.name().clone()))
}

/// Inputs are the lists, where the part begins, and how long it is; null is up to the end.
fn slice(inputs: &[Column]) -> PolarsResult<Column> {
    let length = match inputs[2].dtype().is_null() {
        true => usize::MAX,
        false => usize::try_from(offset(&inputs[2])?).unwrap_or(0),
    };
    list(inputs, |l| Ok(l.lst_slice(offset(&inputs[1])?, length)))
}

/// Inputs are the lists, and whether the largest come first.
fn sort(inputs: &[Column]) -> PolarsResult<Column> {
    let options = SortOptions::default()
        .with_order_descending(boolean(&inputs[1])?)
        .with_multithreaded(false);
    list(inputs, |l| l.lst_sort(options.with_multithreaded(false)))
}

/// Inputs are lists of texts, and what comes between them.
fn join(inputs: &[Column]) -> PolarsResult<Column> {
    let separator: &StringChunked = inputs[1].str()?;
    list(inputs, |l| l.lst_join(separator, true))
}

/// Inputs are the lists, and the value that is looked for.
fn contains(inputs: &[Column]) -> PolarsResult<Column> {
    let value = broadcast(&inputs[1], height(inputs));
    let found = compare::is_in(&[value, inputs[0].clone()])?;
    Ok(found.with_name(inputs[0].name().clone()))
}

/// The functions of lists, see [`Expr::list`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens until one of the methods is called"]
pub struct ListNameSpace(Expr);

impl Expr {
    /// Functions of lists, such as those that [`split`](crate::frame::StringNameSpace::split) and
    /// [`implode`](Self::implode) make. A missing list gives null.
    ///
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["s" => ["a-b-c", "d"]]?, 2);
    /// let parts = col("s").str().split("-").list();
    /// let out = frame.select([parts.get(1).alias("second"), parts.len().alias("n")]).compute()?;
    /// assert!(out.equals_missing(&df!["second" => [Some("b"), None], "n" => [3_u32, 1]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn list(&self) -> ListNameSpace {
        ListNameSpace(self.clone())
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident $function:path;)*) => {
        impl ListNameSpace { $(
            $(#[$doc])*
            pub fn $method(&self) -> Expr {
                self.with(&$function, [])
            }
        )* }
    };
}

methods! {
    /// The number of elements, nulls among them.
    len LEN;
    /// The sum of the elements that are not null.
    sum SUM;
    /// The mean of the elements that are not null.
    mean MEAN;
    /// The median of the elements that are not null.
    median MEDIAN;
    /// The smallest element.
    min MIN;
    /// The largest element.
    max MAX;
}

impl ListNameSpace {
    fn with(&self, function: &'static Function, more: impl IntoIterator<Item = Expr>) -> Expr {
        Expr::call(function, std::iter::once(self.0.clone()).chain(more).collect())
    }

    /// The element number `index`, from the end if it is negative; null where there is none.
    pub fn get(&self, index: i64) -> Expr {
        self.with(&GET, [lit(index)])
    }

    /// The first element.
    pub fn first(&self) -> Expr {
        self.get(0)
    }

    /// The last element.
    pub fn last(&self) -> Expr {
        self.get(-1)
    }

    /// The elements from number `offset` on, from the end if it is negative; `length` of them, or all.
    pub fn slice(&self, offset: i64, length: Option<u64>) -> Expr {
        let length = length.map_or_else(crate::frame::expr::null, lit);
        self.with(&SLICE, [lit(offset), length])
    }

    /// The first `n` elements.
    pub fn head(&self, n: u64) -> Expr {
        self.slice(0, Some(n))
    }

    /// The elements in order, nulls first.
    pub fn sort(&self, descending: bool) -> Expr {
        self.with(&SORT, [lit(descending)])
    }

    /// Texts as one text with `separator` between them; nulls are left out.
    pub fn join(&self, separator: &str) -> Expr {
        self.with(&JOIN, [lit(separator)])
    }

    /// Whether `value` is among the elements.
    pub fn contains(&self, value: impl Literal) -> Expr {
        self.with(&CONTAINS, [value.lit()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::expr::col;
    use crate::frame::kernels::eval::evaluate;
    use polars_core::df;
    use polars_core::prelude::{DataFrame, DataType, NamedFrom, Series};

    fn frame() -> DataFrame {
        let lists = [Some(vec![3_i64, 1, 2]), Some(vec![]), None, Some(vec![7])];
        let lists: Vec<Option<Series>> =
            lists.into_iter().map(|l| l.map(|l| Series::new("".into(), l))).collect();
        DataFrame::new(4, vec![Series::new("l".into(), lists).into()]).unwrap()
    }

    #[test]
    fn results_are_those_of_loops() {
        let value = |expr: Expr| {
            let column = evaluate(&expr.cast(DataType::Float64), &frame()).unwrap();
            column.f64().unwrap().iter().collect::<Vec<_>>()
        };
        let l = col("l").list();
        assert_eq!(value(l.len()), [Some(3.0), Some(0.0), None, Some(1.0)]);
        assert_eq!(value(l.sum()), [Some(6.0), Some(0.0), None, Some(7.0)]);
        assert_eq!(value(l.mean()), [Some(2.0), None, None, Some(7.0)]);
        assert_eq!(value(l.median()), [Some(2.0), None, None, Some(7.0)]);
        assert_eq!(value(l.min()), [Some(1.0), None, None, Some(7.0)]);
        assert_eq!(value(l.max()), [Some(3.0), None, None, Some(7.0)]);
        assert_eq!(value(l.first()), [Some(3.0), None, None, Some(7.0)]);
        assert_eq!(value(l.get(-2)), [Some(1.0), None, None, None]);
        assert_eq!(value(l.sort(true).list().last()), [Some(1.0), None, None, Some(7.0)]);
        assert_eq!(value(l.slice(1, None).list().len()), [Some(2.0), Some(0.0), None, Some(0.0)]);
        assert_eq!(value(l.head(2).list().sum()), [Some(4.0), Some(0.0), None, Some(7.0)]);
        let found = evaluate(&l.contains(1), &frame()).unwrap();
        let found: Vec<_> = found.bool().unwrap().iter().collect();
        assert_eq!((found[0], found[1], found[3]), (Some(true), Some(false), Some(false)));
    }

    #[test]
    fn a_value_that_the_elements_can_not_be_is_not_among_them() {
        let bytes = Expr::cast(&col("l"), DataType::List(Box::new(DataType::UInt8)));
        let is_found = |expr: Expr| {
            let found = evaluate(&expr, &frame()).unwrap();
            found.bool().unwrap().get(0)
        };
        assert_eq!(is_found(col("l").list().contains(1.0)), Some(true));
        assert_eq!(is_found(col("l").list().contains(1.5)), Some(false));
        assert_eq!(is_found(bytes.list().contains(3)), Some(true));
        assert_eq!(is_found(bytes.list().contains(300)), Some(false));
        assert_eq!(is_found(bytes.list().contains(259)), Some(false));
    }

    #[test]
    fn texts_are_joined() {
        let frame = df!["s" => [Some("a b c"), Some(""), None]].unwrap();
        let joined = evaluate(&col("s").str().split(" ").list().join("+"), &frame).unwrap();
        assert_eq!(
            joined.str().unwrap().iter().collect::<Vec<_>>(),
            [Some("a+b+c"), Some(""), None]
        );
        assert!(evaluate(&col("s").list().len(), &frame).is_err());
    }
}
