"""Runs the workloads in all engines, in turn, and prints how many times slower than dask-rs each is.

    pip install polars duckdb datafusion 'dask[array,dataframe]' numpy numexpr pyarrow zarr xarray flox jax
    cargo bench --no-run --features frame --bench peers        # says where the binary is
    python data.py DIR
    cargo run --release --features frame --example tpch -- --scale 1 --data DIR/tpch
    python run.py BINARY DIR [--only g1,tpch] [--rounds 3]

Each process loads what is to be in memory, computes three times and tells the best; a round is a process of every
engine, so that what else the machine does hits all of them. The figure of an engine is the median of its rounds. A ratio above 1 means that dask-rs was faster. An engine whose answer differs is marked with `!`.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

import arrays
import engines

OURS = "dask-rs"
RUNS = "3"


def once(command, engine):
    environment = os.environ | arrays.ENVIRONMENT.get(engine, {})
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        return None, done.stderr.strip().splitlines()[-1:]
    return json.loads(lines[-1]), None


def agree(a, b):
    return len(a) == len(b) and all(abs(x - y) <= 1e-6 * max(abs(x), abs(y), 1) for x, y in zip(a, b))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("data")
    parser.add_argument("--only", default="", help="prefixes of workloads, with commas between")
    parser.add_argument("--engines", default="", help="only these, with commas between")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    names = subprocess.run([options.binary, "--list"], capture_output=True, text=True, check=True).stdout.split()
    names = [name for name in names if name.startswith(tuple(options.only.split(",")))]
    wanted = [engine for engine in options.engines.split(",") if engine]
    print("| workload | dask-rs s | MiB | other engines: times slower than dask-rs (MiB) |\n|---|---|---|---|")
    for name in names:
        if name.startswith("k_zarr"):
            arrays.make_zarr(options.data, name)
        others = [e for e, w in engines.WORKLOADS if w == name and (not wanted or e in wanted)]
        commands = {OURS: [options.binary, "--data", options.data, "--workload", name, "--runs", RUNS]}
        commands |= {e: [sys.executable, engines.__file__, e, name, options.data, RUNS] for e in others}
        seconds, peak, check, failed = {}, {}, {}, {}
        for _ in range(options.rounds):
            for engine, command in commands.items():
                result, error = once(command, engine)
                if error is not None:
                    failed[engine] = error
                    continue
                seconds.setdefault(engine, []).append(min(result["seconds"]))
                peak[engine], check[engine] = result["peak_mib"], result["check"]
        if OURS not in seconds:
            print(f"| {name} | failed: {failed[OURS]} | | |", flush=True)
            continue
        ours = statistics.median(seconds[OURS])
        cells = []
        for engine in others:
            if engine in seconds:
                mark = "" if agree(check[engine], check[OURS]) else "!"
                cells.append(f"{engine} {statistics.median(seconds[engine]) / ours:.2f}{mark} ({peak[engine]:.0f})")
            else:
                cells.append(f"{engine} failed: {failed[engine]}")
        print(f"| {name} | {ours:.3f} | {peak[OURS]:.0f} | {', '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
