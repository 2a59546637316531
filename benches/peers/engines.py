"""The workloads of `main.rs` in Python's engines: `python engines.py ENGINE WORKLOAD DIR RUNS` runs one.

As `main.rs` does, it prints JSON: seconds of each run, peak of memory in MiB beyond what was there before, and what engines have to agree on.
A workload is prepared by a function that returns what is timed, and what makes numbers of its result after the clock has stopped.
"""
import ctypes
import datetime
import glob
import json
import os
import sys
import time

import arrays

WORKLOADS = {}


def workload(engine, name):
    return lambda prepare: WORKLOADS.setdefault((engine, name), prepare)


def arrow_check(table):
    import pyarrow.compute as pc
    import pyarrow.types as t

    # Sums of integers are decimals in DuckDB.
    is_number = lambda type: t.is_integer(type) or t.is_floating(type) or t.is_decimal(type)
    numbers = [c for c in table.columns if is_number(c.type)]
    sums = [pc.sum(pc.if_else(pc.is_finite(c), c, None)).as_py() or 0 for c in (c.cast("float64") for c in numbers)]
    return [table.num_rows, sum(sums)]


# Group-by and joins, from tables in memory: name -> SQL, or key, right table and kind of a join.

GROUP_BY = {
    "g1_q01": (["id1"], {"v1": "sum"}),
    "g1_q02": (["id1", "id2"], {"v1": "sum"}),
    "g1_q03": (["id3"], {"v1": "sum", "v3": "mean"}),
    "g1_q04": (["id4"], {"v1": "mean", "v2": "mean", "v3": "mean"}),
    "g1_q05": (["id6"], {"v1": "sum", "v2": "sum", "v3": "sum"}),
    "g1_q06": (["id4", "id5"], {"v3": ["median", "std"]}),
    "g1_q10": (["id1", "id2", "id3", "id4", "id5", "id6"], {"v3": ["sum", "count"]}),
}
JOINS = {
    "j1_q1_small_inner_int": ("id1", "j1_small", "inner"),
    "j1_q2_medium_inner_int": ("id2", "j1_medium", "inner"),
    "j1_q3_medium_left_int": ("id2", "j1_medium", "left"),
    "j1_q4_medium_inner_str": ("id5", "j1_medium", "inner"),
    "j1_q5_big_inner_int": ("id3", "j1_big", "inner"),
}


def pairs(aggs):
    return [(column, how) for column, hows in aggs.items() for how in ([hows] if isinstance(hows, str) else hows)]


# Polars, in memory and streaming.

def polars_engine(engine, mode):
    def lazy(name, prepare):
        """`prepare` gives a lazy frame; loading of tables in memory is not timed."""
        @workload(engine, name)
        def _(data):
            frame = prepare(data)
            return lambda: frame.collect(engine=mode), arrow_check_of

    def arrow_check_of(frame):
        return arrow_check(frame.to_arrow())

    def table(data, name):
        import polars as pl
        return pl.read_parquet(f"{data}/{name}/*.parquet").lazy()

    def files(data, name):
        import polars as pl
        return pl.scan_parquet(f"{data}/{name}/*.parquet")

    def expr(column, how):
        import polars as pl
        return getattr(pl.col(column), how)().alias(f"{column}_{how}")

    for name, (keys, aggs) in GROUP_BY.items():
        lazy(name, lambda data, keys=keys, aggs=aggs: table(data, "g1").group_by(keys).agg([expr(*p) for p in pairs(aggs)]))

    def spread(data):
        import polars as pl
        return table(data, "g1").group_by("id3").agg(r=pl.col("v1").max() - pl.col("v2").min())

    def correlation(data):
        import polars as pl
        return table(data, "g1").group_by("id2", "id4").agg(r2=pl.corr("v1", "v2") ** 2)

    lazy("g1_q07", spread)
    lazy("g1_q09", correlation)
    for name, (key, right, how) in JOINS.items():
        lazy(name, lambda data, k=key, r=right, how=how: table(data, "j1_x").join(table(data, r), on=k, how=how))
    lazy("value_counts_str", lambda data: table(data, "g1").group_by("id3").len().sort("len", descending=True))

    @workload(engine, "scan_filter_sum")
    def _(data):
        import polars as pl
        rows = files(data, "g1").filter((pl.col("id4") <= 10) & (pl.col("v2") > 5))
        frame = rows.select(pl.col("v3", "v1").sum(), n=pl.len())
        return lambda: frame.collect(engine=mode), arrow_check_of

    @workload(engine, "csv_read")
    def _(data):
        import polars as pl
        return lambda: pl.scan_csv(f"{data}/g1.csv").collect(engine=mode), arrow_check_of

    @workload(engine, "csv_sum")
    def _(data):
        import polars as pl
        frame = pl.scan_csv(f"{data}/g1.csv").select(pl.col("v1", "v2", "v3").sum())
        return lambda: frame.collect(engine=mode), arrow_check_of

    @workload(engine, "set_index_write")
    def _(data):
        import polars as pl

        def run():
            to = f"{data}/out-{engine}.parquet"
            files(data, "sort").sort("key").sink_parquet(to, engine=mode, compression="snappy")
            first = pl.scan_parquet(to).head(1000).select(pl.col("key").sum())
            count = pl.scan_parquet(to).select(pl.len())
            return arrow_check_of(first.collect()) + arrow_check_of(count.collect())
        return run


polars_engine("polars", "in-memory")
polars_engine("polars-streaming", "streaming")


# Engines of SQL.

def sql_group_by(keys, aggs):
    names = {"mean": "avg", "std": "stddev"}
    columns = [f"{names.get(how, how)}({column})" for column, how in pairs(aggs)]
    return f"SELECT {', '.join(keys + columns)} FROM g1 GROUP BY {', '.join(keys)}"


def sql_join(key, right, how):
    return f"SELECT * FROM j1_x {how} JOIN {right} USING ({key})"


SQL = {name: sql_group_by(*question) for name, question in GROUP_BY.items()}
SQL |= {
    "g1_q07": "SELECT id3, max(v1) - min(v2) FROM g1 GROUP BY id3",
    "g1_q09": "SELECT id2, id4, power(corr(v1, v2), 2) FROM g1 GROUP BY id2, id4",
    "value_counts_str": "SELECT id3, count(*) AS n FROM g1 GROUP BY id3 ORDER BY n DESC",
}
TPCH_TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]


def tables_of(sql):
    return [name for name in ["g1", "j1_x", "j1_small", "j1_medium", "j1_big"] if name in sql]


def duckdb_connection(data):
    import duckdb
    connection = duckdb.connect()
    connection.sql(f"SET threads = {os.cpu_count()}")
    return connection


def duckdb_query(name, sql):
    @workload("duckdb", name)
    def _(data):
        connection = duckdb_connection(data)
        for table in tables_of(sql):
            connection.sql(f"CREATE TABLE {table} AS FROM '{data}/{table}/*.parquet'")
        return lambda: connection.sql(sql).to_arrow_table(), arrow_check


def batches_check(batches):
    import pyarrow
    return arrow_check(pyarrow.Table.from_batches(batches))


def datafusion_query(name, sql):
    @workload("datafusion", name)
    def _(data):
        import datafusion
        context = datafusion.SessionContext()
        for table in tables_of(sql):
            context.register_parquet("file_" + table, f"{data}/{table}")
            context.register_record_batches(table, [context.table("file_" + table).collect()])

        return lambda: context.sql(sql).collect(), batches_check


for _name, _sql in SQL.items():
    duckdb_query(_name, _sql)
    datafusion_query(_name, _sql)
for _name, _join in JOINS.items():
    duckdb_query(_name, sql_join(*_join))


def duckdb_files(name, sql):
    @workload("duckdb", name)
    def _(data):
        connection = duckdb_connection(data)
        return lambda: connection.sql(sql.format(data=data)).to_arrow_table(), arrow_check


duckdb_files("scan_filter_sum", "SELECT sum(v3), sum(v1), count(*) FROM '{data}/g1/*.parquet' WHERE id4 <= 10 AND v2 > 5")
duckdb_files("csv_read", "FROM '{data}/g1.csv'")
duckdb_files("csv_sum", "SELECT sum(v1), sum(v2), sum(v3) FROM '{data}/g1.csv'")


@workload("duckdb", "set_index_write")
def _(data):
    connection = duckdb_connection(data)

    def run():
        to = f"{data}/out-duckdb.parquet"
        connection.sql(f"COPY (FROM '{data}/sort/*.parquet' ORDER BY key) TO '{to}'")
        first = connection.sql(f"SELECT sum(key) FROM (FROM '{to}' LIMIT 1000)").to_arrow_table()
        return arrow_check(first) + arrow_check(connection.sql(f"SELECT count(*) FROM '{to}'").to_arrow_table())
    return run


# TPC-H, from files.

def tpch_queries():
    lines = open(os.path.join(os.path.dirname(__file__), "tpch.sql")).read().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    return [query.strip() for query in text.split(";") if query.strip()]


def tpch(number, query):
    name = f"tpch_q{number:02}"

    @workload("duckdb", name)
    def _(data):
        connection = duckdb_connection(data)
        for table in TPCH_TABLES:
            connection.sql(f"CREATE VIEW {table} AS FROM '{data}/tpch/{table}/*.parquet'")
        return lambda: connection.sql(query).to_arrow_table(), arrow_check

    @workload("datafusion", name)
    def _(data):
        import datafusion
        context = datafusion.SessionContext()
        for table in TPCH_TABLES:
            context.register_parquet(table, f"{data}/tpch/{table}")
        return lambda: context.sql(query).collect(), batches_check


for _number, _query in enumerate(tpch_queries(), 1):
    tpch(_number, _query)


# Dask, on threads.

def dask_frame(name):
    """`prepare` gives a lazy frame, or what computes one."""
    def register(prepare):
        @workload("dask", name)
        def _(data):
            import dask
            import dask.dataframe as dd
            dask.config.set(scheduler="threads")
            question = prepare(lambda table, **options: dd.read_parquet(f"{data}/{table}", **options), data)
            return question if callable(question) else question.compute, pandas_check
    return register


def pandas_check(frame):
    if isinstance(frame, list):
        return frame
    import pyarrow
    return arrow_check(pyarrow.Table.from_pandas(frame, preserve_index=False))


for _name, (_keys, _aggs) in GROUP_BY.items():
    if _name != "g1_q06":  # Dask has no median of groups on threads without a shuffle of all.
        dask_frame(_name)(lambda read, _, keys=_keys, aggs=_aggs: read("g1").persist().groupby(keys).agg(aggs).reset_index())
for _name, (_key, _right, _how) in JOINS.items():
    if _right != "j1_big":
        dask_frame(_name)(lambda read, _, key=_key, right=_right, how=_how:
                          read("j1_x").persist().merge(read(right).persist(), on=key, how=how))


@dask_frame("g1_q07")
def _(read, _):
    groups = read("g1").persist().groupby("id3").agg({"v1": "max", "v2": "min"})
    return (groups.v1 - groups.v2).to_frame("range").reset_index()


@dask_frame("g1_q09")
def _(read, _):
    # Sums, as of groups Dask computes correlations in Python.
    rows = read("g1").persist()
    rows = rows.assign(xx=rows.v1 * rows.v1, xy=rows.v1 * rows.v2, yy=rows.v2 * rows.v2)
    sums = {column: "sum" for column in ["v2", "xx", "xy", "yy"]} | {"v1": ["sum", "count"]}
    sums = rows.groupby(["id2", "id4"]).agg(sums)

    def finish(sums):
        x, y, n = sums["v1", "sum"], sums["v2", "sum"], sums["v1", "count"]
        xx, xy, yy = (sums[product, "sum"] * n for product in ["xx", "xy", "yy"])
        r2 = (xy - x * y) ** 2 / ((xx - x * x) * (yy - y * y))
        return r2.to_frame("r2").reset_index()
    return lambda: finish(sums.compute())


@dask_frame("value_counts_str")
def _(read, _):
    return read("g1").persist().id3.value_counts().to_frame("count").reset_index()


@dask_frame("scan_filter_sum")
def _(read, _):
    rows = read("g1", columns=["id4", "v1", "v2", "v3"])
    rows = rows[(rows.id4 <= 10) & (rows.v2 > 5)]
    return lambda: dask_row(v3=rows.v3.sum(), v1=rows.v1.sum(), n=rows.v1.count())


@dask_frame("csv_sum")
def _(_, data):
    import dask.dataframe as dd
    rows = dd.read_csv(f"{data}/g1.csv", usecols=["v1", "v2", "v3"])
    return lambda: dask_row(**{v: rows[v].sum() for v in ["v1", "v2", "v3"]})


@dask_frame("csv_read")
def _(_, data):
    import dask.dataframe as dd
    return dd.read_csv(f"{data}/g1.csv")


@dask_frame("set_index_write")
def _(read, data):
    def run():
        read("sort").set_index("key").to_parquet(f"{data}/out-dask", overwrite=True)
        written = read("out-dask").reset_index()
        first = written.head(1000, npartitions=-1).key.sum()
        return [1, int(first), 1, len(written)]
    return run


def dask_row(**columns):
    import dask
    import pandas
    return pandas.DataFrame(dict(zip(columns, ([value] for value in dask.compute(*columns.values())))))


def dask_tpch(number):
    """Queries that pandas can say as SQL does."""
    def register(build):
        @dask_frame(f"tpch_q{number:02}")
        def _(read, _):
            def table(name, *columns):
                return read(f"tpch/{name}", columns=list(columns))
            return build(table, datetime.date.fromisoformat)
    return register


def revenue(rows):
    return rows.l_extendedprice * (1 - rows.l_discount)


@dask_tpch(1)
def _(table, day):
    rows = table("lineitem", "l_returnflag", "l_linestatus", "l_quantity", "l_extendedprice", "l_discount", "l_tax", "l_shipdate")
    rows = rows[rows.l_shipdate <= day("1998-09-02")]
    rows = rows.assign(price=revenue(rows), charge=revenue(rows) * (1 + rows.l_tax))
    aggs = {"l_quantity": ["sum", "mean"], "l_extendedprice": ["sum", "mean"], "price": "sum", "charge": "sum", "l_discount": ["mean", "count"]}
    groups = rows.groupby(["l_returnflag", "l_linestatus"]).agg(aggs)
    return lambda: groups.compute().sort_index().reset_index(drop=True).set_axis(list("abcdefgh"), axis=1)


@dask_tpch(3)
def _(table, day):
    customer, orders = table("customer", "c_custkey", "c_mktsegment"), table("orders", "o_orderkey", "o_custkey", "o_orderdate", "o_shippriority")
    rows = table("lineitem", "l_orderkey", "l_extendedprice", "l_discount", "l_shipdate")
    rows = rows[rows.l_shipdate > day("1995-03-15")]
    orders = orders[orders.o_orderdate < day("1995-03-15")].merge(customer[customer.c_mktsegment == "BUILDING"], left_on="o_custkey", right_on="c_custkey")
    rows = rows.merge(orders, left_on="l_orderkey", right_on="o_orderkey")
    groups = rows.assign(revenue=revenue(rows)).groupby(["l_orderkey", "o_orderdate", "o_shippriority"]).revenue.sum()
    return lambda: groups.compute().reset_index().sort_values(["revenue", "o_orderdate"], ascending=[False, True]).head(10)


@dask_tpch(6)
def _(table, day):
    rows = table("lineitem", "l_extendedprice", "l_discount", "l_quantity", "l_shipdate")
    rows = rows[(rows.l_shipdate >= day("1994-01-01")) & (rows.l_shipdate < day("1995-01-01"))]
    rows = rows[rows.l_discount.between(0.045, 0.075) & (rows.l_quantity < 24)]
    return lambda: dask_row(revenue=(rows.l_extendedprice * rows.l_discount).sum())


@dask_tpch(12)
def _(table, day):
    orders = table("orders", "o_orderkey", "o_orderpriority")
    rows = table("lineitem", "l_orderkey", "l_shipmode", "l_shipdate", "l_commitdate", "l_receiptdate")
    rows = rows[rows.l_shipmode.isin(["MAIL", "SHIP"]) & (rows.l_commitdate < rows.l_receiptdate) & (rows.l_shipdate < rows.l_commitdate)]
    rows = rows[(rows.l_receiptdate >= day("1994-01-01")) & (rows.l_receiptdate < day("1995-01-01"))]
    rows = rows.merge(orders, left_on="l_orderkey", right_on="o_orderkey")
    is_urgent = rows.o_orderpriority.isin(["1-URGENT", "2-HIGH"])
    return rows.assign(high=is_urgent.astype("int64"), low=(~is_urgent).astype("int64")).groupby("l_shipmode")[["high", "low"]].sum()


@dask_tpch(14)
def _(table, day):
    rows, part = table("lineitem", "l_partkey", "l_extendedprice", "l_discount", "l_shipdate"), table("part", "p_partkey", "p_type")
    rows = rows[(rows.l_shipdate >= day("1995-09-01")) & (rows.l_shipdate < day("1995-10-01"))]
    rows = rows.merge(part, left_on="l_partkey", right_on="p_partkey")
    all_of_it, promo = revenue(rows), rows.p_type.str.startswith("PROMO")

    def share():
        sums = dask_row(promo=all_of_it.where(promo, 0.0).sum(), all=all_of_it.sum())
        return (100 * sums.promo / sums["all"]).to_frame("promo_revenue")
    return share


arrays.register(workload)


def status_mib(field):
    for line in open("/proc/self/status"):
        if line.startswith(field):
            return int(line.split()[1]) / 1024


def forget_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def main():
    engine, name, data, runs = sys.argv[1:]
    run = WORKLOADS[engine, name](data)
    run, check_of = run if isinstance(run, tuple) else (run, lambda check: check)
    if sys.platform == "linux":  # What preparing has freed would hide what the timed part allocates.
        ctypes.CDLL(None).malloc_trim(0)
    seconds, peak, start_mib = [], 0, status_mib("VmRSS")
    for _ in range(int(runs)):
        forget_peak()
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
        peak = max(peak, status_mib("VmHWM") - start_mib)
        check = check_of(result)
        del result
    print(json.dumps({"seconds": seconds, "peak_mib": peak, "check": check}))


if __name__ == "__main__":
    main()
