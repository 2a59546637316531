"""The workloads of `arrays.rs` in NumPy, numexpr, Dask (threads) and JAX (CPU), each as its users would write it.

A workload is a function of the directory of the data that gives what is timed, or that and what makes numbers of its
result after the clock has stopped.
"""
import functools
import os

FLAT, FLAT_CHUNK = (125_000_000,), (5_000_000,)
CLIMATE, CLIMATE_CHUNK = (5 * 365, 180, 360), (73, 180, 360)
WIDE = (1_000_000, 100_000)
TALL, TALL_CHUNK = (1_000_000, 64), (50_000, 64)
HUNDRED = (100_000_000,)
# Shapes and chunks of what is in memory.
INPUTS = {name: (FLAT, FLAT_CHUNK) for name in ["a_fused_ram", "a_exp_ram", "a_pow_ram", "i_cumsum", "l_boolean", "o_std_ram", "o_sum_ram"]}
INPUTS |= {name: (CLIMATE, CLIMATE_CHUNK) for name in ["j_mean_axis0", "j_climatology", "j_anomaly"]}
INPUTS |= {name: ((4_000, 16_000), (2_000, 2_000)) for name in ["h_stencil", "h_windows"]}
INPUTS |= {
    "c_rechunk": ((12_288, 12_288), (512, 12_288)),
    "d_transpose": ((12_000, 12_000), (2_000, 2_000)),
    "e_matmul": ((4_000, 4_000), (1_000, 1_000)),
    "f_reshape": ((100, 500, 2_500), (20, 100, 2_500)),
    "h_rolling": ((4_000, 16_000), (1_000, 4_000)),
    "l_take_rows": ((500_000, 200), (20_000, 200)),
    "l_vindex": ((10_000, 12_500), (2_000, 2_500)),
    "m_histogram": (HUNDRED, FLAT_CHUNK),
    "m_percentile": (HUNDRED, FLAT_CHUNK),
    "m_median_axis": ((1_000, 50_000), (1_000, 2_500)),
    "n_qr": (TALL, TALL_CHUNK),
    "n_svd": (TALL, TALL_CHUNK),
    "o_axpy_ram": ((62_500_000,), FLAT_CHUNK),
}
# One BLAS thread for NumPy and for Dask's workers, as the peers' own programs have it.
# NumPy asks the kernel for huge pages for each array, by itself; of Rust's allocator, which is glibc's, they have to be asked.
ENVIRONMENT = {
    "dask-rs": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "numpy": {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    "dask": {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
}


def element(i):
    """The element of number `i`: evenly spread from 0 to 1, in no order."""
    import numpy as np
    i = np.asarray(i).astype(np.uint64, copy=False) * np.uint64(2654435761)
    i &= np.uint64(0xFFFFFFFF)
    x = i.astype(np.float64)
    x *= 2.0**-32
    return x


def elements(shape):
    """A whole array, filled in pieces."""
    import numpy as np
    n = int(np.prod(shape))
    out = np.empty(n)
    for low in range(0, n, 1 << 22):
        high = min(n, low + (1 << 22))
        out[low:high] = element(np.arange(low, high, dtype=np.uint64))
    return out.reshape(shape)


def block(shape, location):
    import numpy as np
    number = np.zeros((1,) * len(shape), np.uint64)
    stride = 1
    for axis in range(len(shape) - 1, -1, -1):
        low, high = location[axis]
        along = np.arange(low, high, dtype=np.uint64) * np.uint64(stride)
        number = number + along.reshape((-1,) + (1,) * (len(shape) - 1 - axis))
        stride *= shape[axis]
    return element(number)


@functools.cache
def positions(k, n, salt):
    """Made once, as other inputs are: in the first of the runs, which is not the best one, or when JAX compiles."""
    import numpy as np
    with np.errstate(over="ignore"):
        z = (np.arange(k, dtype=np.uint64) + np.uint64(salt << 32)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        return (z % np.uint64(n)).astype(np.int64)


def days():
    import numpy as np
    return np.arange(CLIMATE[0]) % 365


def number(x):
    return [float(x)]


def total(x):
    return [float(x.sum())]


def weighted(r):
    import numpy as np
    r = np.asarray(r)
    return [float(r.sum()), float((r * np.arange(r.shape[0]).reshape((-1,) + (1,) * (r.ndim - 1))).sum())]


def rounded(digits):
    return lambda r: [round(float(x), digits) for x in r]


def two_means(r):
    return [round(float(x.mean()), 2) for x in r]


def box(b):
    return (b[:-2, :-2] + b[:-2, 1:-1] + b[:-2, 2:] + b[1:-1, :-2] + b[1:-1, 1:-1] + b[1:-1, 2:]
            + b[2:, :-2] + b[2:, 1:-1] + b[2:, 2:]) / 9.0


def reshaped(x):
    return x.reshape(50_000, 2_500).reshape(50_000, 50, 50).sum(axis=0)


def corner(r):
    return [float(r.sum()), float(r[7, 11])]


def counts(h):
    return [float(h.sum()), float(h[3])]


def diagonal(r):
    import numpy as np
    return [float(np.abs(r[1]).sum())]


PERCENTS = [1, 25, 50, 75, 99]

# What NumPy and JAX both compute of an array in memory: m is the module.
WHOLE = {
    "a_fused_ram": (lambda m, x: ((x * 2 + 1) ** 2 - x).sum(), number),
    "a_exp_ram": (lambda m, x: (m.exp(x) + m.sin(x)).sum(), number),
    "a_pow_ram": (lambda m, x: ((x + 0.5) ** x).sum(), number),
    "d_transpose": (lambda m, x: (x + x.T).sum(), number),
    "e_matmul": (lambda m, x: x @ x, total),
    "f_reshape": (lambda m, x: reshaped(x), corner),
    "h_stencil": (lambda m, x: box(m.pad(x, 1, mode="edge")).sum(), number),
    "h_windows": (lambda m, x: box(m.pad(x, 1, mode="edge")).sum(), number),
    "i_cumsum": (lambda m, x: m.cumsum(x), lambda y: number(y[::1_000_003].sum())),
    "j_mean_axis0": (lambda m, x: x.mean(axis=0), weighted),
    "l_take_rows": (lambda m, x: x[positions(100_000, 500_000, 1)], lambda y: number(y[::101].sum())),
    "l_vindex": (lambda m, x: x[positions(1_000_000, 10_000, 1), positions(1_000_000, 12_500, 2)].sum(), number),
    "m_histogram": (lambda m, x: m.histogram(x, bins=100, range=(0, 1))[0], counts),
    "n_qr": (lambda m, x: m.linalg.qr(x), diagonal),
    "n_svd": (lambda m, x: m.linalg.svd(x, full_matrices=False)[1], total),
    "o_std_ram": (lambda m, x: x.std(), number),
    "o_sum_ram": (lambda m, x: x.sum(), number),
}


def numpy_workloads(workload):
    add = functools.partial(workload, "numpy")

    def held(name, build, check):
        @add(name)
        def _(data):
            import numpy as np
            x = elements(INPUTS[name][0])
            return (lambda: build(np, x)), check

    for name, (build, check) in WHOLE.items():
        held(name, build, check)
    held("h_rolling", lambda np, x: np.lib.stride_tricks.sliding_window_view(x, 7, axis=0).mean(axis=-1).sum(), number)
    held("j_climatology", lambda np, x: np.stack([x[days() == day].mean(axis=0) for day in range(365)]), weighted)

    def anomaly(np, x):
        mean = np.stack([x[days() == day].mean(axis=0) for day in range(365)])
        return np.abs(x - mean[days()]).sum()
    held("j_anomaly", anomaly, number)
    held("l_boolean", lambda np, x: x[x > 0.5].sum(), number)
    held("m_percentile", lambda np, x: np.percentile(x, PERCENTS), rounded(3))
    held("m_median_axis", lambda np, x: np.median(x, axis=0), total)

    @add("a_fused")
    def _(data):
        import numpy as np

        def run():
            x = np.ones(FLAT) + 1
            return ((x * 2 + 1) ** 2 - x).sum()
        return run, number

    @add("b_normal")
    def _(data):
        import numpy as np

        def run():
            x = np.random.default_rng(0).normal(size=(10_000, 12_500))
            return x.mean(axis=0), x.std(axis=0)
        return run, two_means

    @add("c_rechunk")
    def _(data):
        import numpy as np
        blocks = [row.copy() for row in np.split(elements(INPUTS["c_rechunk"][0]), 24)]

        def run():
            return [np.concatenate([b[:, j:j + 512] for b in blocks]) for j in range(0, 12_288, 512)]
        return run, lambda y: number(np.concatenate([b[::997] for b in y], axis=1)[:, ::991].sum())

    def slices(name, make, check):
        @add(name)
        def _(data):
            import numpy as np

            def run():  # By hand, what a user without lazy arrays needs of the chunks.
                generator = np.random.default_rng(0)
                sums = [make(np, generator)[::10, 5:50].sum() for _ in range(1_000)]
                return sum(sums) / (100_000 * 45)
            return run, check
    slices("g_slice_ones", lambda np, generator: np.ones((1_000, 1_000)), number)
    slices("g_slice_random", lambda np, generator: generator.random((1_000, 1_000)), lambda x: [round(float(x), 2)])

    @add("o_axpy_ram")
    def _(data):
        x = elements(INPUTS["o_axpy_ram"][0])
        y = 1 - x
        return (lambda: x * 2 + y), lambda z: number(z[::1009].sum())

    def zarr_workload(name):
        @add(name)
        def _(data):
            import zarr
            to = f"{data}/{name}-out-numpy.zarr"

            def run():
                x = zarr.open_array(f"{data}/{name}.zarr", mode="r")[:]
                out = written_zarr(name, to, x.shape)
                out[:] = x - x.mean(axis=0)
            return run, lambda _: zarr_check(to)
    zarr_workload("k_zarr_raw")
    zarr_workload("k_zarr_zstd")


def numexpr_workloads(workload):
    def held(name, text):
        @workload("numexpr", name)
        def _(data):
            import numexpr
            x = elements(INPUTS[name][0])
            names = {"x": x, "y": x.T} if name == "d_transpose" else {"x": x}
            return (lambda: numexpr.evaluate(text, names)), number

    held("a_fused_ram", "sum((x * 2 + 1) ** 2 - x)")
    held("a_exp_ram", "sum(exp(x) + sin(x))")
    held("a_pow_ram", "sum((x + 0.5) ** x)")
    held("d_transpose", "sum(x + y)")
    held("l_boolean", "sum(where(x > 0.5, x, 0.0))")
    held("o_sum_ram", "sum(x)")

    @workload("numexpr", "a_fused")
    def _(data):
        import numexpr
        import numpy as np

        def run():
            total = 0.0
            for _ in range(0, FLAT[0], FLAT_CHUNK[0]):
                x = np.ones(FLAT_CHUNK)
                x = numexpr.evaluate("x + 1", {"x": x})
                total += float(numexpr.evaluate("sum((x * 2 + 1) ** 2 - x)", {"x": x}))
            return total
        return run, number

    @workload("numexpr", "o_axpy_ram")
    def _(data):
        import numexpr
        x = elements(INPUTS["o_axpy_ram"][0])
        names = {"x": x, "y": 1 - x}
        return (lambda: numexpr.evaluate("x * 2 + y", names)), lambda z: number(z[::1009].sum())

    def stencil(name):
        @workload("numexpr", name)
        def _(data):
            import numexpr
            import numpy as np
            x = elements(INPUTS[name][0])

            def run():
                b = np.pad(x, 1, mode="edge")
                cut = lambda i, j: b[i:b.shape[0] - 2 + i, j:b.shape[1] - 2 + j]
                names = {f"b{i}{j}": cut(i, j) for i in range(3) for j in range(3)}
                return numexpr.evaluate("sum((b00+b01+b02+b10+b11+b12+b20+b21+b22)/9.0)", names)
            return run, number
    stencil("h_stencil")
    stencil("h_windows")


def dask_workloads(workload):
    def start():
        import dask
        import dask.array as da
        dask.config.set({"scheduler": "threads", "num_workers": os.cpu_count(), "array.slicing.split_large_chunks": False})
        return da

    def resident(da, name):
        import numpy as np
        shape, chunks = INPUTS[name]
        chunks = da.core.normalize_chunks(chunks, shape, dtype="f8")
        make = lambda block_info=None: block(shape, block_info[None]["array-location"])
        return da.map_blocks(make, chunks=chunks, dtype="f8", meta=np.empty((0,) * len(shape))).persist()

    def computed(name, build, check):
        @workload("dask", name)
        def _(data):
            da = start()
            x = resident(da, name)
            return (lambda: build(da, x).compute()), check

    def kept(name, build, check):
        @workload("dask", name)
        def _(data):
            da = start()
            x = resident(da, name)
            return (lambda: build(da, x).persist()), lambda y: number(check(y).compute())

    computed("a_fused_ram", lambda da, x: ((x * 2 + 1) ** 2 - x).sum(), number)
    computed("a_exp_ram", lambda da, x: (da.exp(x) + da.sin(x)).sum(), number)
    computed("a_pow_ram", lambda da, x: ((x + 0.5) ** x).sum(), number)
    kept("c_rechunk", lambda da, x: x.rechunk((12_288, 512)), lambda y: y[::997, ::991].sum())
    computed("d_transpose", lambda da, x: (x + x.T).sum(), number)
    kept("e_matmul", lambda da, x: x @ x, lambda y: y.sum())
    computed("f_reshape", lambda da, x: reshaped(x), corner)

    def stencil(da, x):
        import numpy as np
        return x.map_overlap(box, depth=1, boundary="nearest", trim=False, dtype=x.dtype,
                             chunks=x.chunks, meta=np.empty((0, 0))).sum()
    computed("h_stencil", stencil, number)
    computed("h_windows", stencil, number)
    computed("h_rolling", lambda da, x: da.lib.stride_tricks.sliding_window_view(x, 7, axis=0).mean(axis=-1).sum(), number)
    kept("i_cumsum", lambda da, x: x.cumsum(axis=0), lambda y: y[::1_000_003].sum())
    computed("j_mean_axis0", lambda da, x: x.mean(axis=0), weighted)
    computed("l_boolean", lambda da, x: x[x > 0.5].sum(), number)
    kept("l_take_rows", lambda da, x: x[positions(100_000, 500_000, 1)], lambda y: y[::101].sum())
    computed("l_vindex", lambda da, x: x.vindex[positions(1_000_000, 10_000, 1), positions(1_000_000, 12_500, 2)].sum(), number)
    computed("m_histogram", lambda da, x: da.histogram(x, bins=100, range=(0, 1))[0], counts)
    # Dask's percentiles are approximate.
    computed("m_percentile", lambda da, x: da.percentile(x, PERCENTS), rounded(3))
    computed("m_median_axis", lambda da, x: da.median(x, axis=0), total)
    computed("n_svd", lambda da, x: da.linalg.svd(x)[1], total)
    computed("o_std_ram", lambda da, x: x.std(), number)
    computed("o_sum_ram", lambda da, x: x.sum(), number)

    @workload("dask", "n_qr")
    def _(data):
        import dask
        da = start()
        x = resident(da, "n_qr")
        return (lambda: dask.persist(*da.linalg.qr(x))), lambda r: diagonal((None, r[1].compute()))

    def by_day(da, name):
        import numpy as np
        import xarray as xr
        days_of = ("time", np.arange(CLIMATE[0]) % 365)
        return xr.DataArray(resident(da, name), dims=("time", "lat", "lon"), coords={"doy": days_of}, name="x")

    @workload("dask", "j_climatology")
    def _(data):
        x = by_day(start(), "j_climatology")
        return (lambda: x.groupby("doy").mean().compute()), lambda r: weighted(r.transpose("doy", "lat", "lon").values)

    @workload("dask", "j_anomaly")
    def _(data):
        x = by_day(start(), "j_anomaly")

        def run():
            groups = x.groupby("doy")
            return abs(groups - groups.mean()).sum().compute().item()
        return run, number

    @workload("dask", "a_fused")
    def _(data):
        da = start()

        def run():
            x = da.ones(FLAT, chunks=FLAT_CHUNK) + 1
            return ((x * 2 + 1) ** 2 - x).sum().compute()
        return run, number

    @workload("dask", "b_normal")
    def _(data):
        import dask
        da = start()

        def run():
            x = da.random.default_rng(0).normal(size=(10_000, 12_500), chunks=(2_000, 2_500))
            return dask.compute(x.mean(axis=0), x.std(axis=0))
        return run, two_means

    @workload("dask", "g_slice_ones")
    def _(data):
        da = start()
        return (lambda: da.ones(WIDE, chunks=(1_000, 1_000))[::10, 5:50].mean().compute()), number

    @workload("dask", "g_slice_random")
    def _(data):
        da = start()
        make = lambda: da.random.default_rng(0).random(WIDE, chunks=(1_000, 1_000))
        return (lambda: make()[::10, 5:50].mean().compute()), lambda x: [round(float(x), 2)]

    @workload("dask", "o_axpy_ram")
    def _(data):
        da = start()
        x, y = resident(da, "o_axpy_ram"), (1 - resident(da, "o_axpy_ram")).persist()
        return (lambda: (x * 2 + y).persist()), lambda z: number(z[::1009].sum().compute())

    def zarr_workload(name):
        @workload("dask", name)
        def _(data):
            da = start()
            to = f"{data}/{name}-out-dask.zarr"

            def run():
                x = da.from_zarr(f"{data}/{name}.zarr")
                da.store(x - x.mean(axis=0), written_zarr(name, to, x.shape), lock=False)
            return run, lambda _: zarr_check(to)
    zarr_workload("k_zarr_raw")
    zarr_workload("k_zarr_zstd")


def jax_workloads(workload):
    """Whole arrays, compiled in a call that is not timed."""
    def held(name, build, check):
        @workload("jax", name)
        def _(data):
            import jax
            jax.config.update("jax_enable_x64", True)
            x = jax.numpy.asarray(elements(INPUTS[name][0]))
            compiled = jax.jit(lambda x: build(jax.numpy, x))
            run = lambda: jax.block_until_ready(compiled(x))
            run()
            return run, check

    # JAX has windows and rechunks of neither kind.
    for name, (build, check) in WHOLE.items():
        held(name, build, check)
    held("l_boolean", lambda m, x: m.where(x > 0.5, x, 0.0).sum(), number)

    def climatology(m, x):
        import jax
        sums = jax.ops.segment_sum(x, m.asarray(days()), 365)
        return sums / (CLIMATE[0] / 365)
    held("j_climatology", climatology, weighted)

    @workload("jax", "b_normal")
    def _(data):
        import jax
        jax.config.update("jax_enable_x64", True)

        @jax.jit
        def moments(key):
            x = jax.random.normal(key, (10_000, 12_500), dtype=jax.numpy.float64)
            return x.mean(axis=0), x.std(axis=0)
        key = jax.random.key(0)
        run = lambda: jax.block_until_ready(moments(key))
        run()
        return run, two_means

    @workload("jax", "a_fused")
    def _(data):
        import jax
        jax.config.update("jax_enable_x64", True)

        @jax.jit
        def chain(one):  # An argument, so that the program is not folded to a number.
            x = jax.numpy.full(FLAT, one) + 1
            return ((x * 2 + 1) ** 2 - x).sum()
        run = lambda: jax.block_until_ready(chain(1.0))
        run()
        return run, number

    @workload("jax", "o_axpy_ram")
    def _(data):
        import jax
        jax.config.update("jax_enable_x64", True)
        x = jax.numpy.asarray(elements(INPUTS["o_axpy_ram"][0]))
        y = 1 - x
        compiled = jax.jit(lambda x, y: x * 2 + y)
        run = lambda: jax.block_until_ready(compiled(x, y))
        run()
        return run, lambda z: number(z[::1009].sum())


def codec(name):
    import zarr
    return None if name == "k_zarr_raw" else zarr.codecs.ZstdCodec(level=1)


def written_zarr(name, to, shape):
    import shutil
    import zarr
    shutil.rmtree(to, ignore_errors=True)
    return zarr.create_array(to, shape=shape, chunks=(50, 400, 400), dtype="f4", compressors=codec(name), zarr_format=3)


def zarr_check(to):
    import zarr
    z = zarr.open_array(to, mode="r")
    # What is left of each place is near zero on average, so that only sizes add up to something.
    return [round(float(abs(part).mean(dtype="f8")), 2) for part in (z[::37], z[5])]


def make_zarr(data, name):
    """A smooth field with rounded noise, which compresses; made once."""
    import numpy as np
    import zarr
    shape, path = (1_000, 400, 400), f"{data}/{name}.zarr"
    if os.path.exists(f"{path}/zarr.json"):
        return
    z = zarr.create_array(path, shape=shape, chunks=(50, 400, 400), dtype="f4", compressors=codec(name), zarr_format=3)
    latitude = np.linspace(-1, 1, shape[1])[:, None]
    longitude = np.linspace(0, 6.283, shape[2])[None, :]
    base = (288 - 30 * latitude**2 + 3 * np.sin(longitude)).astype("f4")
    per_day = shape[1] * shape[2]
    for low in range(0, shape[0], 50):
        season = 10 * np.sin(np.arange(low, low + 50) * 6.283 / 365)
        noise = element(np.arange(low * per_day, (low + 50) * per_day, dtype=np.uint64)).reshape(50, *shape[1:])
        field = base[None] + (season[:, None, None] * latitude[None]).astype("f4")
        z[low:low + 50] = field + (np.round(noise * 64) / 16).astype("f4")


def register(workload):
    for add in (numpy_workloads, numexpr_workloads, dask_workloads, jax_workloads):
        add(workload)
