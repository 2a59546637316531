//! The 22 queries of TPC-H with the parameters of its validation runs.
#![allow(unreachable_pub, reason = "the module is compiled into the example and into a test")]

use chrono::NaiveDate;
use dask_rs::frame::ClosedInterval::{Both, Left as From};
use dask_rs::frame::JoinHow::{Anti, Inner, Left, Semi};
use dask_rs::frame::{DataFrame, Expr, col, len, lit, when};

use super::data::Tables;

/// A query, and what the specification calls it.
pub struct Query {
    pub name: &'static str,
    pub build: fn(&Tables) -> DataFrame,
}

const fn query(name: &'static str, build: fn(&Tables) -> DataFrame) -> Query {
    Query { name, build }
}

/// Query 1 is the first.
pub const QUERIES: [Query; 22] = [
    query("Pricing Summary Report", q1),
    query("Minimum Cost Supplier", q2),
    query("Shipping Priority", q3),
    query("Order Priority Checking", q4),
    query("Local Supplier Volume", q5),
    query("Forecasting Revenue Change", q6),
    query("Volume Shipping", q7),
    query("National Market Share", q8),
    query("Product Type Profit Measure", q9),
    query("Returned Item Reporting", q10),
    query("Important Stock Identification", q11),
    query("Shipping Modes and Order Priority", q12),
    query("Customer Distribution", q13),
    query("Promotion Effect", q14),
    query("Top Supplier", q15),
    query("Parts/Supplier Relationship", q16),
    query("Small-Quantity-Order Revenue", q17),
    query("Large Volume Customer", q18),
    query("Discounted Revenue", q19),
    query("Potential Part Promotion", q20),
    query("Suppliers Who Kept Orders Waiting", q21),
    query("Global Sales Opportunity", q22),
];

fn date(year: i32, month: u32, day: u32) -> Expr {
    lit(NaiveDate::from_ymd_opt(year, month, day).expect("a day of the calendar"))
}

/// What a line of an order brings.
fn revenue() -> Expr {
    col("l_extendedprice") * (lit(1.0) - col("l_discount"))
}

fn q1(t: &Tables) -> DataFrame {
    t.lineitem
        .filter(col("l_shipdate").lt_eq(date(1998, 9, 2)))
        .group_by(["l_returnflag", "l_linestatus"])
        .agg([
            col("l_quantity").sum().alias("sum_qty"),
            col("l_extendedprice").sum().alias("sum_base_price"),
            revenue().sum().alias("sum_disc_price"),
            (revenue() * (lit(1.0) + col("l_tax"))).sum().alias("sum_charge"),
            col("l_quantity").mean().alias("avg_qty"),
            col("l_extendedprice").mean().alias("avg_price"),
            col("l_discount").mean().alias("avg_disc"),
            len().alias("count_order"),
        ])
        .sort(["l_returnflag", "l_linestatus"], false)
}

fn q2(t: &Tables) -> DataFrame {
    let european = t.supplier.join_on(&t.nation, "s_nationkey", "n_nationkey", Inner).join_on(
        &t.region.filter(col("r_name").eq(lit("EUROPE"))),
        "n_regionkey",
        "r_regionkey",
        Inner,
    );
    let brass = t.part.filter(col("p_size").eq(15).and(col("p_type").str().ends_with("BRASS")));
    let offers = brass.join_on(&t.partsupp, "p_partkey", "ps_partkey", Inner).join_on(
        &european,
        "ps_suppkey",
        "s_suppkey",
        Inner,
    );
    let cheapest = offers.group_by(["p_partkey"]).agg([col("ps_supplycost").min()]);
    offers
        .join(&cheapest, ["p_partkey", "ps_supplycost"], Inner)
        .select([
            "s_acctbal",
            "s_name",
            "n_name",
            "p_partkey",
            "p_mfgr",
            "s_address",
            "s_phone",
            "s_comment",
        ])
        .sort(["s_acctbal", "n_name", "s_name", "p_partkey"], [true, false, false, false])
        .head(100)
}

fn q3(t: &Tables) -> DataFrame {
    let day = date(1995, 3, 15);
    let builders = t.customer.filter(col("c_mktsegment").eq(lit("BUILDING")));
    let orders = t.orders.filter(col("o_orderdate").lt(&day)).join_on(
        &builders,
        "o_custkey",
        "c_custkey",
        Semi,
    );
    t.lineitem
        .filter(col("l_shipdate").gt(&day))
        .join_on(&orders, "l_orderkey", "o_orderkey", Inner)
        .group_by(["l_orderkey", "o_orderdate", "o_shippriority"])
        .agg([revenue().sum().alias("revenue")])
        .select(["l_orderkey", "revenue", "o_orderdate", "o_shippriority"])
        .sort(["revenue", "o_orderdate"], [true, false])
        .head(10)
}

fn q4(t: &Tables) -> DataFrame {
    let late = t.lineitem.filter(col("l_commitdate").lt("l_receiptdate"));
    t.orders
        .filter(col("o_orderdate").is_between(date(1993, 7, 1), date(1993, 10, 1), From))
        .join_on(&late, "o_orderkey", "l_orderkey", Semi)
        .group_by(["o_orderpriority"])
        .agg([len().alias("order_count")])
        .sort("o_orderpriority", false)
}

fn q5(t: &Tables) -> DataFrame {
    let asian = t.nation.join_on(
        &t.region.filter(col("r_name").eq(lit("ASIA"))),
        "n_regionkey",
        "r_regionkey",
        Semi,
    );
    let orders = t
        .orders
        .filter(col("o_orderdate").is_between(date(1994, 1, 1), date(1995, 1, 1), From))
        .join_on(&t.customer, "o_custkey", "c_custkey", Inner)
        .join_on(&asian, "c_nationkey", "n_nationkey", Inner);
    t.lineitem
        .join_on(&orders, "l_orderkey", "o_orderkey", Inner)
        .join_on(&t.supplier, ["l_suppkey", "c_nationkey"], ["s_suppkey", "s_nationkey"], Semi)
        .group_by(["n_name"])
        .agg([revenue().sum().alias("revenue")])
        .sort("revenue", true)
}

fn q6(t: &Tables) -> DataFrame {
    t.lineitem
        .filter(col("l_shipdate").is_between(date(1994, 1, 1), date(1995, 1, 1), From))
        .filter(col("l_discount").is_between(0.05, 0.07, Both))
        .filter(col("l_quantity").lt(24))
        .agg([(col("l_extendedprice") * col("l_discount")).sum().alias("revenue")])
}

fn q7(t: &Tables) -> DataFrame {
    let nation = |name: &str| {
        let both = t.nation.filter(col("n_name").is_in(["FRANCE", "GERMANY"]));
        both.select([col("n_nationkey"), col("n_name").alias(name)])
    };
    let suppliers = t.supplier.join_on(&nation("supp_nation"), "s_nationkey", "n_nationkey", Inner);
    let orders = t.orders.join_on(&t.customer, "o_custkey", "c_custkey", Inner).join_on(
        &nation("cust_nation"),
        "c_nationkey",
        "n_nationkey",
        Inner,
    );
    t.lineitem
        .filter(col("l_shipdate").is_between(date(1995, 1, 1), date(1996, 12, 31), Both))
        .join_on(&suppliers, "l_suppkey", "s_suppkey", Inner)
        .join_on(&orders, "l_orderkey", "o_orderkey", Inner)
        .filter(col("supp_nation").neq("cust_nation"))
        .group_by([
            col("supp_nation"),
            col("cust_nation"),
            col("l_shipdate").dt().year().alias("l_year"),
        ])
        .agg([revenue().sum().alias("revenue")])
        .sort(["supp_nation", "cust_nation", "l_year"], false)
}

fn q8(t: &Tables) -> DataFrame {
    let american = t.customer.join_on(&t.nation, "c_nationkey", "n_nationkey", Inner).join_on(
        &t.region.filter(col("r_name").eq(lit("AMERICA"))),
        "n_regionkey",
        "r_regionkey",
        Semi,
    );
    let orders = t
        .orders
        .filter(col("o_orderdate").is_between(date(1995, 1, 1), date(1996, 12, 31), Both))
        .join_on(&american, "o_custkey", "c_custkey", Semi);
    let steel = t.part.filter(col("p_type").eq(lit("ECONOMY ANODIZED STEEL")));
    let suppliers = t.supplier.join_on(&t.nation, "s_nationkey", "n_nationkey", Inner);
    let of_brazil = when(col("n_name").eq(lit("BRAZIL"))).then(revenue()).otherwise(0.0);
    t.lineitem
        .join_on(&steel, "l_partkey", "p_partkey", Semi)
        .join_on(&orders, "l_orderkey", "o_orderkey", Inner)
        .join_on(&suppliers, "l_suppkey", "s_suppkey", Inner)
        .group_by([col("o_orderdate").dt().year().alias("o_year")])
        .agg([(of_brazil.sum() / revenue().sum()).alias("mkt_share")])
        .sort("o_year", false)
}

fn q9(t: &Tables) -> DataFrame {
    let green = t.part.filter(col("p_name").str().contains_literal("green"));
    let offers = t.partsupp.join_on(&green, "ps_partkey", "p_partkey", Semi);
    let suppliers = t.supplier.join_on(&t.nation, "s_nationkey", "n_nationkey", Inner);
    let profit = revenue() - col("ps_supplycost") * col("l_quantity");
    t.lineitem
        .join_on(&offers, ["l_partkey", "l_suppkey"], ["ps_partkey", "ps_suppkey"], Inner)
        .join_on(&t.orders, "l_orderkey", "o_orderkey", Inner)
        .join_on(&suppliers, "l_suppkey", "s_suppkey", Inner)
        .group_by([col("n_name").alias("nation"), col("o_orderdate").dt().year().alias("o_year")])
        .agg([profit.sum().alias("sum_profit")])
        .sort(["nation", "o_year"], [false, true])
}

fn q10(t: &Tables) -> DataFrame {
    let orders =
        t.orders.filter(col("o_orderdate").is_between(date(1993, 10, 1), date(1994, 1, 1), From));
    let lost = t
        .lineitem
        .filter(col("l_returnflag").eq(lit("R")))
        .join_on(&orders, "l_orderkey", "o_orderkey", Inner)
        .group_by([col("o_custkey").alias("c_custkey")])
        .agg([revenue().sum().alias("revenue")]);
    lost.join(&t.customer, "c_custkey", Inner)
        .join_on(&t.nation, "c_nationkey", "n_nationkey", Inner)
        .select([
            "c_custkey",
            "c_name",
            "revenue",
            "c_acctbal",
            "n_name",
            "c_address",
            "c_phone",
            "c_comment",
        ])
        .sort("revenue", true)
        .head(20)
}

fn q11(t: &Tables) -> DataFrame {
    let german = t.supplier.join_on(
        &t.nation.filter(col("n_name").eq(lit("GERMANY"))),
        "s_nationkey",
        "n_nationkey",
        Semi,
    );
    let stock = t.partsupp.join_on(&german, "ps_suppkey", "s_suppkey", Semi);
    let value = col("ps_supplycost") * col("ps_availqty");
    let threshold = stock.agg([(value.sum() * lit(0.0001 / t.scale)).alias("threshold")]);
    stock
        .group_by(["ps_partkey"])
        .agg([value.sum().alias("value")])
        .cross_join(&threshold)
        .filter(col("value").gt("threshold"))
        .select(["ps_partkey", "value"])
        .sort("value", true)
}

fn q12(t: &Tables) -> DataFrame {
    let urgent = || col("o_orderpriority").is_in(["1-URGENT", "2-HIGH"]);
    t.lineitem
        .filter(col("l_shipmode").is_in(["MAIL", "SHIP"]))
        .filter(col("l_commitdate").lt("l_receiptdate"))
        .filter(col("l_shipdate").lt("l_commitdate"))
        .filter(col("l_receiptdate").is_between(date(1994, 1, 1), date(1995, 1, 1), From))
        .join_on(&t.orders, "l_orderkey", "o_orderkey", Inner)
        .group_by(["l_shipmode"])
        .agg([
            urgent().sum().alias("high_line_count"),
            urgent().not().sum().alias("low_line_count"),
        ])
        .sort("l_shipmode", false)
}

fn q13(t: &Tables) -> DataFrame {
    let orders = t.orders.filter(col("o_comment").str().contains("special.*requests").not());
    t.customer
        .join_on(&orders, "c_custkey", "o_custkey", Left)
        .group_by(["c_custkey"])
        .agg([col("o_orderkey").count().alias("c_count")])
        .group_by(["c_count"])
        .agg([len().alias("custdist")])
        .sort(["custdist", "c_count"], true)
}

fn q14(t: &Tables) -> DataFrame {
    let is_promo = col("p_type").str().starts_with("PROMO");
    let of_promo = when(is_promo).then(revenue()).otherwise(0.0);
    t.lineitem
        .filter(col("l_shipdate").is_between(date(1995, 9, 1), date(1995, 10, 1), From))
        .join_on(&t.part, "l_partkey", "p_partkey", Inner)
        .agg([(lit(100.0) * of_promo.sum() / revenue().sum()).alias("promo_revenue")])
}

fn q15(t: &Tables) -> DataFrame {
    let by_supplier = t
        .lineitem
        .filter(col("l_shipdate").is_between(date(1996, 1, 1), date(1996, 4, 1), From))
        .group_by(["l_suppkey"])
        .agg([revenue().sum().alias("total_revenue")]);
    let best = by_supplier.agg([col("total_revenue").max().alias("best")]);
    let top = by_supplier.cross_join(&best).filter(col("total_revenue").eq("best"));
    t.supplier
        .join_on(&top, "s_suppkey", "l_suppkey", Inner)
        .select(["s_suppkey", "s_name", "s_address", "s_phone", "total_revenue"])
        .sort("s_suppkey", false)
}

fn q16(t: &Tables) -> DataFrame {
    let parts = t
        .part
        .filter(col("p_brand").neq(lit("Brand#45")))
        .filter(col("p_type").str().starts_with("MEDIUM POLISHED").not())
        .filter(col("p_size").is_in([49, 14, 23, 45, 19, 3, 36, 9]));
    let blamed = t.supplier.filter(col("s_comment").str().contains("Customer.*Complaints"));
    t.partsupp
        .join_on(&parts, "ps_partkey", "p_partkey", Inner)
        .join_on(&blamed, "ps_suppkey", "s_suppkey", Anti)
        .group_by(["p_brand", "p_type", "p_size"])
        .agg([col("ps_suppkey").n_unique().alias("supplier_cnt")])
        .sort(["supplier_cnt", "p_brand", "p_type", "p_size"], [true, false, false, false])
}

fn q17(t: &Tables) -> DataFrame {
    let boxes = t
        .part
        .filter(col("p_brand").eq(lit("Brand#23")).and(col("p_container").eq(lit("MED BOX"))));
    let lines = t.lineitem.join_on(&boxes, "l_partkey", "p_partkey", Semi);
    let few =
        lines.group_by(["l_partkey"]).agg([(lit(0.2) * col("l_quantity").mean()).alias("few")]);
    lines.join(&few, "l_partkey", Inner).filter(col("l_quantity").lt("few")).agg([(col(
        "l_extendedprice",
    )
    .sum()
        / 7.0)
        .alias("avg_yearly")])
}

fn q18(t: &Tables) -> DataFrame {
    let large = t
        .lineitem
        .group_by(["l_orderkey"])
        .agg([col("l_quantity").sum().alias("sum_quantity")])
        .filter(col("sum_quantity").gt(300));
    t.orders
        .join_on(&large, "o_orderkey", "l_orderkey", Inner)
        .join_on(&t.customer, "o_custkey", "c_custkey", Inner)
        .rename([("o_custkey", "c_custkey")])
        .select([
            "c_name",
            "c_custkey",
            "o_orderkey",
            "o_orderdate",
            "o_totalprice",
            "sum_quantity",
        ])
        .sort(["o_totalprice", "o_orderdate"], [true, false])
        .head(100)
}

fn q19(t: &Tables) -> DataFrame {
    let offer = |brand: &str, containers: [&str; 4], quantity: i32, size: i32| {
        (col("p_brand").eq(lit(brand)))
            .and(col("p_container").is_in(containers))
            .and(col("l_quantity").is_between(quantity, quantity + 10, Both))
            .and(col("p_size").is_between(1, size, Both))
    };
    let small = offer("Brand#12", ["SM CASE", "SM BOX", "SM PACK", "SM PKG"], 1, 5);
    let medium = offer("Brand#23", ["MED BAG", "MED BOX", "MED PKG", "MED PACK"], 10, 10);
    let large = offer("Brand#34", ["LG CASE", "LG BOX", "LG PACK", "LG PKG"], 20, 15);
    t.lineitem
        .filter(col("l_shipmode").is_in(["AIR", "AIR REG"]))
        .filter(col("l_shipinstruct").eq(lit("DELIVER IN PERSON")))
        .join_on(&t.part, "l_partkey", "p_partkey", Inner)
        .filter(small.or(medium).or(large))
        .agg([revenue().sum().alias("revenue")])
}

fn q20(t: &Tables) -> DataFrame {
    let forest = t.part.filter(col("p_name").str().starts_with("forest"));
    let shipped = t
        .lineitem
        .filter(col("l_shipdate").is_between(date(1994, 1, 1), date(1995, 1, 1), From))
        .group_by(["l_partkey", "l_suppkey"])
        .agg([(lit(0.5) * col("l_quantity").sum()).alias("half")]);
    let plenty = t
        .partsupp
        .join_on(&forest, "ps_partkey", "p_partkey", Semi)
        .join_on(&shipped, ["ps_partkey", "ps_suppkey"], ["l_partkey", "l_suppkey"], Inner)
        .filter(col("ps_availqty").gt("half"));
    let canadian = t.nation.filter(col("n_name").eq(lit("CANADA")));
    t.supplier
        .join_on(&canadian, "s_nationkey", "n_nationkey", Semi)
        .join_on(&plenty, "s_suppkey", "ps_suppkey", Semi)
        .select(["s_name", "s_address"])
        .sort("s_name", false)
}

fn q21(t: &Tables) -> DataFrame {
    let n_suppliers = |lines: &DataFrame| {
        lines.group_by(["l_orderkey"]).agg([col("l_suppkey").n_unique().alias("n_suppliers")])
    };
    let late = |lines: &DataFrame| lines.filter(col("l_receiptdate").gt("l_commitdate"));
    let saudi = t.supplier.join_on(
        &t.nation.filter(col("n_name").eq(lit("SAUDI ARABIA"))),
        "s_nationkey",
        "n_nationkey",
        Semi,
    );
    let failed = t.orders.filter(col("o_orderstatus").eq(lit("F")));
    let waiting = late(&t.lineitem).join_on(&saudi, "l_suppkey", "s_suppkey", Inner).join_on(
        &failed,
        "l_orderkey",
        "o_orderkey",
        Semi,
    );
    // Suppliers are counted of no other orders.
    let lines = t.lineitem.join(&waiting, "l_orderkey", Semi);
    let of_several = n_suppliers(&lines).filter(col("n_suppliers").gt(1));
    let late_of_one = n_suppliers(&late(&lines)).filter(col("n_suppliers").eq(1));
    waiting
        .join(&of_several, "l_orderkey", Semi)
        .join(&late_of_one, "l_orderkey", Semi)
        .group_by(["s_name"])
        .agg([len().alias("numwait")])
        .sort(["numwait", "s_name"], [true, false])
        .head(100)
}

fn q22(t: &Tables) -> DataFrame {
    let customers = t
        .customer
        .with_columns([col("c_phone").str().slice(0, Some(2)).alias("cntrycode")])
        .filter(col("cntrycode").is_in(["13", "31", "23", "29", "30", "18", "17"]));
    let average =
        customers.filter(col("c_acctbal").gt(0.0)).agg([col("c_acctbal").mean().alias("average")]);
    customers
        .cross_join(&average)
        .filter(col("c_acctbal").gt("average"))
        .join_on(&t.orders, "c_custkey", "o_custkey", Anti)
        .group_by(["cntrycode"])
        .agg([len().alias("numcust"), col("c_acctbal").sum().alias("totacctbal")])
        .sort("cntrycode", false)
}
