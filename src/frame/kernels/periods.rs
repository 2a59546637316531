//! Where times are cut into periods.

use polars_core::frame::DataFrame;
use polars_core::prelude::Column;

use super::eval::evaluate;
use crate::error::{Call, Error, Result};
use crate::frame::expr::{Expr, col};
use crate::frame::partitions::{Divisions, Key};

/// Divisions from the first to the last of these, at each start of a period `every` in between.
///
/// # Errors
/// What has no periods, or more than `n_max` of them.
pub(crate) fn periods(
    divisions: &Divisions,
    every: &str,
    n_max: usize,
    call: Call,
) -> Result<Divisions> {
    let refused = |got: String, expected| Error::InvalidArgument {
        call,
        argument: "every",
        got: format!("{every:?}, {got}"),
        expected,
    };
    if !divisions.dtype().is_temporal() {
        let got = format!("where the index has dtype {}", divisions.dtype());
        return Err(refused(got, "an index of dates or times"));
    }
    const TIME: &str = "time";
    let keys = Column::from(divisions.series(TIME.into()));
    let moved = |times: &Column, expr: Expr| -> Result<Column> {
        let times = DataFrame::new(times.len(), vec![times.clone()]);
        let moved = times
            .map_err(|error| error.to_string())
            .and_then(|times| evaluate(&expr, &times).map_err(|error| error.to_string()));
        moved.map_err(|problem| refused(problem, "a positive duration such as 1d or 15m"))
    };
    let key = |time: &Column| time.get(0).ok().and_then(Key::new);
    let last = divisions.keys()[divisions.n_partitions()].clone();
    let mut cuts = vec![divisions.keys()[0].clone()];
    let mut time = moved(&keys.slice(0, 1), col(TIME).dt().truncate(every))?;
    while cuts.len() < n_max {
        let next = moved(&time, col(TIME).dt().offset_by(every))?;
        // A step that leads nowhere would be repeated for ever.
        let Some(cut) = key(&next).filter(|cut| key(&time).is_some_and(|time| *cut > time)) else {
            return Err(refused("which is not behind".into(), "a positive duration such as 1d"));
        };
        if cut > last {
            cuts.push(last);
            let found = Divisions::from_keys(divisions.dtype().clone(), cuts);
            return found.ok_or_else(|| refused("which has no order".into(), "a duration"));
        }
        cuts.push(cut);
        time = next;
    }
    Err(refused(format!("which makes more than {n_max} partitions"), "a longer duration"))
}
