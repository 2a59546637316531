"""The data of the comparison: db-benchmark's tables of 10^7 rows, and 2*10^7 rows to sort.

TPC-H's tables are not made here: the example `tpch` makes them below DIR/tpch, and all engines read those.
"""
import argparse
import os

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet


def texts(codes, width):
    names = pa.array([f"id{i:0{width}d}" for i in range(int(codes.max()) + 1)])
    return names.take(pa.array(codes))


def write(folder, columns, files=8):
    """A directory of Parquet files; it is complete when it has its name."""
    table = pa.table(columns)
    half = folder + ".half"
    os.makedirs(half, exist_ok=True)
    for i in range(files):
        start, end = table.num_rows * i // files, table.num_rows * (i + 1) // files
        path = f"{half}/part.{i}.parquet"
        pa.parquet.write_table(table.slice(start, end - start), path, row_group_size=1 << 18)
    os.rename(half, folder)
    return table


def group_by(n, random):
    few, many = 100, n // 100
    keys = {f"id{i}": random.integers(1, (few, few, many)[i % 3] + 1, n) for i in range(6)}
    columns = {f"id{i + 1}": texts(keys[f"id{i}"], (3, 3, 10)[i]) for i in range(3)}
    columns |= {f"id{i + 1}": keys[f"id{i}"] for i in range(3, 6)}
    values = {"v1": random.integers(1, 6, n), "v2": random.integers(1, 16, n), "v3": np.round(random.random(n) * 100, 6)}
    return columns | values


def joins(n, random):
    """A left table and three right ones; a tenth of the keys of each side is missing on the other."""
    lengths = [n // 1_000_000, n // 1_000, n]
    pools = [random.permutation(11 * length // 10) + 1 for length in lengths]
    left = [random.choice(pool[:length], n) for pool, length in zip(pools, lengths)]
    right = [pool[-length:] for pool, length in zip(pools, lengths)]

    def columns(keys, n):
        numbers = {f"id{i + 1}": key for i, key in enumerate(keys)}
        named = {f"id{i + 4}": texts(key, 10) for i, key in enumerate(keys)}
        return numbers | named

    yield "j1_x", columns(left, n) | {"v1": random.random(n)}
    for i, name in enumerate(["small", "medium", "big"]):
        keys = [random.choice(right[k], lengths[i]) for k in range(i)] + [right[i]]
        yield "j1_" + name, columns(keys, lengths[i]) | {"v2": random.random(lengths[i])}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dir")
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    n, random = options.rows, np.random.default_rng(108)
    os.makedirs(options.dir, exist_ok=True)
    folder = lambda name: os.path.join(options.dir, name)
    if not os.path.exists(folder("g1")):
        table = write(folder("g1"), group_by(n, random))
        pa.csv.write_csv(table, folder("g1.csv"), pa.csv.WriteOptions(quoting_style="none"))
    if not os.path.exists(folder("j1_big")):
        for name, columns in joins(n, random):
            write(folder(name), columns)
    if not os.path.exists(folder("sort")):
        columns = {"key": random.integers(0, 1 << 31, 2 * n)} | {c: random.random(2 * n) for c in "abc"}
        write(folder("sort"), columns)


if __name__ == "__main__":
    main()
