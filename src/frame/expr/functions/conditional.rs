//! `when(…).then(…).otherwise(…)`.

use polars_core::error::polars_bail;
use polars_core::prelude::{Column, PolarsResult};

use super::{broadcast, height};
use crate::frame::expr::function::{Coercion, functions};
use crate::frame::expr::{Expr, null};

functions! {
    // The value comes first, because it gives the result its name.
    WHEN = "when", coerce(Coercion::Supertype(2)) => choose;
}

/// Inputs are the value if true, the value if false or null, and the condition.
fn choose(inputs: &[Column]) -> PolarsResult<Column> {
    let [yes, no, condition] = inputs else {
        polars_bail!(InvalidOperation: "when needs a condition and two values");
    };
    if !condition.dtype().is_bool() && !condition.dtype().is_null() {
        polars_bail!(InvalidOperation: "the condition of when is {}, not boolean", condition.dtype());
    }
    let height = height(inputs);
    if condition.len() == 1 {
        let holds = condition.get(0)?.extract_bool().unwrap_or(false);
        return Ok(broadcast(if holds { yes } else { no }, height));
    }
    if condition.dtype().is_null() {
        return Ok(broadcast(no, height));
    }
    let (yes, no) = (broadcast(yes, height), broadcast(no, height));
    yes.zip_with(condition.bool()?, &no)
}

/// Begins a choice between values.
///
/// The first condition that holds decides; one that is null does not hold. Without `otherwise` the rest is null.
///
/// ```
/// use dask_rs::frame::{col, lit, when};
/// let size = when(col("n").lt(10)).then(lit("small"))
///     .when(col("n").lt(100)).then(lit("medium"))
///     .otherwise(lit("large"))
///     .alias("size");
/// ```
pub fn when(condition: impl Into<Expr>) -> When {
    When { decided: Vec::new(), condition: condition.into() }
}

/// A condition that waits for its value.
#[derive(Clone, Debug)]
#[must_use = "a condition without a value is no expression; call then()"]
pub struct When {
    decided: Vec<(Expr, Expr)>,
    condition: Expr,
}

/// Conditions with their values.
#[derive(Clone, Debug)]
#[must_use = "call otherwise(), or use it as an expression"]
pub struct Then(Vec<(Expr, Expr)>);

impl When {
    /// The value where the condition holds.
    pub fn then(self, value: impl Into<Expr>) -> Then {
        let mut decided = self.decided;
        decided.push((self.condition, value.into()));
        Then(decided)
    }
}

impl Then {
    /// Another condition, for the rows on which none before it holds.
    pub fn when(self, condition: impl Into<Expr>) -> When {
        When { decided: self.0, condition: condition.into() }
    }

    /// The value where no condition holds.
    pub fn otherwise(self, value: impl Into<Expr>) -> Expr {
        self.0
            .into_iter()
            .rfold(value.into(), |no, (condition, yes)| Expr::call(&WHEN, vec![yes, no, condition]))
    }

    /// The same as `otherwise(null()).alias(name)`.
    pub fn alias(self, name: impl Into<polars_core::prelude::PlSmallStr>) -> Expr {
        Expr::from(self).alias(name)
    }
}

impl From<Then> for Expr {
    fn from(then: Then) -> Expr {
        then.otherwise(null())
    }
}
