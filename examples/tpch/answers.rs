//! What the queries give, found by another engine.
//!
//! DuckDB 2.0 computed the answers from data of `tpchgen-cli` 4.0, with exact decimals, by the SQL text of the
//! specification. Those of scale 1 were compared with the official ones of `dbgen`, which have two decimals; query 17,
//! where `dbgen` rounds before it divides, differs by 0.03 in 348 406.
#![allow(unreachable_pub, reason = "the module is compiled into the example and into a test")]

use dask_rs::frame::polars_core::prelude::{AnyValue, DataFrame};

/// The answer to one query.
pub struct Answer {
    n_rows: usize,
    columns: Vec<&'static str>,
    /// All rows, or the first ones if there is a hash.
    rows: Vec<&'static str>,
    /// FNV-1a of all rows as lines, where they are too many to be kept.
    hash: Option<u64>,
}

impl Answer {
    /// The answer to query `number`, if it is known at this scale.
    pub fn known(number: usize, scale: f64) -> Option<Self> {
        let all =
            [(0.01, include_str!("answers/sf0.01.txt")), (1.0, include_str!("answers/sf1.txt"))];
        let (_, text) = all.into_iter().find(|(of, _)| *of == scale)?;
        text.split("== ").filter_map(parse).find(|(of, _)| *of == number).map(|(_, answer)| answer)
    }

    /// What is wrong with `got`.
    pub fn check(&self, got: &DataFrame) -> Result<(), String> {
        let names: Vec<&str> = got.get_column_names().iter().map(|name| name.as_str()).collect();
        if names != self.columns {
            return Err(format!("columns {names:?} instead of {:?}", self.columns));
        }
        if got.height() != self.n_rows {
            return Err(format!("{} rows instead of {}", got.height(), self.n_rows));
        }
        for (n, expected) in self.rows.iter().enumerate() {
            for (column, expected) in got.columns().iter().zip(expected.split('|')) {
                let value = column.get(n).map_err(|error| error.to_string())?;
                if !is_same(&value, expected) {
                    let name = column.name();
                    return Err(format!("{value} in row {n} of {name} instead of {expected}"));
                }
            }
        }
        match self.hash {
            Some(hash) if hash != hash_of(got)? => Err("wrong values behind the first rows".into()),
            _ => Ok(()),
        }
    }
}

/// One section of a file of answers: number, rows and maybe a hash; names; rows.
fn parse(section: &'static str) -> Option<(usize, Answer)> {
    let mut lines = section.lines();
    let mut head = lines.next()?.split(' ');
    let number = head.next()?.parse().ok()?;
    let n_rows = head.next()?.parse().ok()?;
    let hash = head.next().and_then(|hash| u64::from_str_radix(hash, 16).ok());
    let columns = lines.next()?.split('|').collect();
    Some((number, Answer { n_rows, columns, rows: lines.collect(), hash }))
}

/// Floats are compared to nine digits. A sum of no rows is null in SQL, and 0 here.
fn is_same(value: &AnyValue, expected: &str) -> bool {
    match value {
        AnyValue::Float64(value) if expected == "null" => *value == 0.0,
        AnyValue::Float64(value) => expected
            .parse::<f64>()
            .is_ok_and(|expected| (value - expected).abs() <= 1e-9 * expected.abs()),
        _ => text(value) == expected,
    }
}

fn text(value: &AnyValue) -> String {
    match value.get_str() {
        Some(text) => text.trim().into(),
        None => value.to_string(),
    }
}

fn hash_of(frame: &DataFrame) -> Result<u64, String> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for n in 0..frame.height() {
        let row = frame.columns().iter().map(|column| column.get(n).map(|value| text(&value)));
        let row = row.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        for byte in row.join("|").bytes().chain([b'\n']) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Ok(hash)
}
