//! The tables of TPC-H: made by the crate `tpchgen`, kept as Parquet files.
//!
//! Decimals become floats and dates days; keys are 64 and other whole numbers 32 bits. A table is generated
//! inside a lazy frame, part by part, so that parts are made in parallel and no table is in memory as a whole.
#![allow(unreachable_pub, reason = "the module is compiled into the example and into a test")]

use std::error::Error;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use dask_rs::frame::DataFrame;
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::{
    Column, DataFrame as PolarsFrame, DataType, IntoColumn, NamedFrom, PolarsResult, Series,
};
use tpchgen::dates::TPCHDate;
use tpchgen::decimal::TPCHDecimal;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};

/// The eight tables, as lazy frames.
pub struct Tables {
    /// Thousandths of a terabyte: 1 has six million rows in `lineitem`.
    pub scale: f64,
    pub customer: DataFrame,
    pub lineitem: DataFrame,
    pub nation: DataFrame,
    pub orders: DataFrame,
    pub part: DataFrame,
    pub partsupp: DataFrame,
    pub region: DataFrame,
    pub supplier: DataFrame,
}

impl Tables {
    /// The tables below `dir`; those that are missing are made first. There are as many files as
    /// said here, and more at scales above 1, so that some can be made at a time.
    pub fn open(dir: &Path, scale: f64) -> Result<Self, Box<dyn Error>> {
        std::fs::create_dir_all(dir)?;
        let table = |name: &str, n_files: f64, make: Make| {
            let path = dir.join(name);
            // A table appears when it is complete.
            if !path.exists() {
                let n_files = (n_files * scale.max(1.0)).ceil() as i32;
                generated(make, scale, n_files).to_parquet(&path)?;
            }
            Ok::<_, dask_rs::Error>(DataFrame::read_parquet(path))
        };
        Ok(Tables {
            scale,
            customer: table("customer", 2.0, customer)?,
            lineitem: table("lineitem", 16.0, lineitem)?,
            nation: table("nation", 1.0, nation)?,
            orders: table("orders", 4.0, orders)?,
            part: table("part", 2.0, part)?,
            partsupp: table("partsupp", 4.0, partsupp)?,
            region: table("region", 1.0, region)?,
            supplier: table("supplier", 1.0, supplier)?,
        })
    }
}

/// Makes part number `part`, from 1, of a table in `n_parts` parts.
type Make = fn(scale: f64, part: i32, n_parts: i32) -> PolarsResult<PolarsFrame>;

/// A table whose parts are made when they are computed.
fn generated(make: Make, scale: f64, n_parts: i32) -> DataFrame {
    let schema = Arc::clone(make(0.001, 1, 1000).expect("columns have one length").schema());
    let parts = df!["part" => (1..=n_parts).collect::<Vec<_>>()].expect("one column");
    DataFrame::from_polars(&parts, n_parts as usize)
        .map_partitions(schema, move |_, part| make(scale, part as i32 + 1, n_parts))
}

/// A frame with the fields of `$rows` that are named, each made a column by the function behind it.
macro_rules! frame {
    ($rows:expr, $($field:ident: $column:ident),* $(,)?) => {{
        let rows: Vec<_> = $rows.collect();
        let columns = vec![
            $($column(stringify!($field), rows.iter().map(|row| &row.$field)),)*
        ];
        PolarsFrame::new(rows.len(), columns)
    }};
}

fn customer(scale: f64, part: i32, n_parts: i32) -> PolarsResult<PolarsFrame> {
    frame!(
        CustomerGenerator::new(scale, part, n_parts).iter(),
        c_custkey: keys, c_name: texts, c_address: texts, c_nationkey: keys, c_phone: texts,
        c_acctbal: decimals, c_mktsegment: texts, c_comment: texts,
    )
}

fn lineitem(scale: f64, part: i32, n_parts: i32) -> PolarsResult<PolarsFrame> {
    frame!(
        LineItemGenerator::new(scale, part, n_parts).iter(),
        l_orderkey: keys, l_partkey: keys, l_suppkey: keys, l_linenumber: ints,
        l_quantity: quantities, l_extendedprice: decimals, l_discount: decimals, l_tax: decimals,
        l_returnflag: texts, l_linestatus: texts, l_shipdate: dates, l_commitdate: dates,
        l_receiptdate: dates, l_shipinstruct: texts, l_shipmode: texts, l_comment: texts,
    )
}

fn nation(scale: f64, part: i32, n_parts: i32) -> PolarsResult<PolarsFrame> {
    frame!(
        NationGenerator::new(scale, part, n_parts).iter(),
        n_nationkey: keys, n_name: texts, n_regionkey: keys, n_comment: texts,
    )
}

fn orders(scale: f64, part: i32, n_parts: i32) -> PolarsResult<PolarsFrame> {
    frame!(
        OrderGenerator::new(scale, part, n_parts).iter(),
        o_orderkey: keys, o_custkey: keys, o_orderstatus: texts, o_totalprice: decimals,
        o_orderdate: dates, o_orderpriority: texts, o_clerk: texts, o_shippriority: ints,
        o_comment: texts,
    )
}

fn part(scale: f64, part: i32, n_parts: i32) -> PolarsResult<PolarsFrame> {
    frame!(
        PartGenerator::new(scale, part, n_parts).iter(),
        p_partkey: keys, p_name: texts, p_mfgr: texts, p_brand: texts, p_type: texts, p_size: ints,
        p_container: texts, p_retailprice: decimals, p_comment: texts,
    )
}

fn partsupp(scale: f64, part: i32, n_parts: i32) -> PolarsResult<PolarsFrame> {
    frame!(
        PartSuppGenerator::new(scale, part, n_parts).iter(),
        ps_partkey: keys, ps_suppkey: keys, ps_availqty: ints, ps_supplycost: decimals,
        ps_comment: texts,
    )
}

fn region(scale: f64, part: i32, n_parts: i32) -> PolarsResult<PolarsFrame> {
    frame!(
        RegionGenerator::new(scale, part, n_parts).iter(),
        r_regionkey: keys, r_name: texts, r_comment: texts,
    )
}

fn supplier(scale: f64, part: i32, n_parts: i32) -> PolarsResult<PolarsFrame> {
    frame!(
        SupplierGenerator::new(scale, part, n_parts).iter(),
        s_suppkey: keys, s_name: texts, s_address: texts, s_nationkey: keys, s_phone: texts,
        s_acctbal: decimals, s_comment: texts,
    )
}

fn keys<'a>(name: &str, values: impl Iterator<Item = &'a i64>) -> Column {
    Series::new(name.into(), values.copied().collect::<Vec<_>>()).into_column()
}

fn ints<'a>(name: &str, values: impl Iterator<Item = &'a i32>) -> Column {
    Series::new(name.into(), values.copied().collect::<Vec<_>>()).into_column()
}

/// Whole numbers that the specification calls decimals.
fn quantities<'a>(name: &str, values: impl Iterator<Item = &'a i64>) -> Column {
    Series::new(name.into(), values.map(|value| *value as f64).collect::<Vec<_>>()).into_column()
}

fn decimals<'a>(name: &str, values: impl Iterator<Item = &'a TPCHDecimal>) -> Column {
    Series::new(name.into(), values.map(TPCHDecimal::as_f64).collect::<Vec<_>>()).into_column()
}

fn dates<'a>(name: &str, values: impl Iterator<Item = &'a TPCHDate>) -> Column {
    let days: Vec<i32> = values.map(TPCHDate::to_unix_epoch).collect();
    let days = Series::new(name.into(), days).cast(&DataType::Date);
    days.expect("days are dates").into_column()
}

fn texts<T: Display>(name: &str, values: impl Iterator<Item = T>) -> Column {
    let texts: Vec<String> = values.map(|value| value.to_string()).collect();
    Series::new(name.into(), texts).into_column()
}
