"""Makes the HDF5 and NetCDF-4 files of this folder, with h5py 3.16 (HDF5 2.0), netCDF4 1.7 (netcdf-c 4.10) and numcodecs 0.16.

Elements count: that at (i, j, k) of a shape (a, b, c) is (i * b + j) * c + k, unless a comment says otherwise.
"""

import os
import struct

import h5py
import netCDF4
import numcodecs
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))


def count(shape, dtype):
    return np.arange(np.prod(shape), dtype="i8").reshape(shape).astype(dtype)


def netcdf():
    with netCDF4.Dataset(os.path.join(here, "climate.nc"), "w", format="NETCDF4") as f:
        f.title = "a title"
        f.numbers = np.array([1, 2], "i4")
        f.setncattr_string("words", ["one", "two"])
        f.createDimension("time", None)
        f.createDimension("y", 6)
        f.createDimension("x", 7)
        f.createVariable("time", "f8", ("time",))[:] = np.arange(5) * 0.5
        f.createVariable("y", "f4", ("y",), endian="big")[:] = np.arange(6)
        how = dict(zlib=True, shuffle=True, fletcher32=True, chunksizes=(2, 3, 4), fill_value=-1)
        t = f.createVariable("t", "i2", ("time", "y", "x"), **how)
        t.set_auto_maskandscale(False)
        values = count((5, 6, 7), "i2")
        values[3, 2, 1] = -1
        t[:] = values
        t.scale_factor = np.float32(0.5)
        t.add_offset = np.float32(10)
        t.units = "K"
        # Shorter than its dimension.
        late = f.createVariable("late", "f4", ("time",), fill_value=-9.0)
        late[:3] = [1, 2, 3]
        f.createVariable("crs", "i4", ())[:] = 7
        f.createVariable("letters", "S1", ("x",))[:] = np.array(list("abcdefg"), "S1")
        f.createVariable("names", str, ("y",))[:] = np.array(list("uvwxyz"), object)
        u = f.createVariable("bytes", "i1", ("x",))
        u.setncattr("_Unsigned", "true")
        u[:] = np.array([-1, 0, 1, 2, 3, 4, -2], "i1")
        g = f.createGroup("inner")
        g.createDimension("z", 3)
        g.createVariable("v", "u8", ("y", "z"))[:] = count((6, 3), "u8")


def old():
    with h5py.File(os.path.join(here, "plain.h5"), "w", libver=("earliest", "v108")) as f:
        f["contiguous"] = count((4, 5), "i4")
        f["big"] = count((4, 5), ">i4")
        f["bool"] = np.array([True, False, True])
        f["complex"] = np.array([1 + 2j, 3 - 4j], "c8")
        f["half"] = np.ones(3, "f2")
        f["text"] = np.array(["a", "bc"], object)
        f["records"] = np.zeros(2, [("a", "i4"), ("b", "f8")])
        f.create_dataset("empty", data=h5py.Empty("f4"))
        f.create_dataset("none", (0, 3), "f4")
        f["scalar"] = np.float64(2.5)
        f.create_dataset("enum", data=np.array([2, 1], "i2"), dtype=h5py.enum_dtype({"a": 1, "b": 2}, "i2"))
        f.create_dataset("unwritten", (3, 4), "i8", chunks=(2, 2), fillvalue=-5)
        partly = f.create_dataset("partly", (6, 6), "f4", chunks=(2, 3), fillvalue=-1, compression="gzip", shuffle=True)
        partly[2:5, 0:4] = 8
        f.create_dataset("scaled", data=count((50,), "i4"), chunks=(16,), scaleoffset=0)
        f.create_dataset("lzf", data=count((50,), "i4"), chunks=(16,), compression="lzf")
        f.create_dataset("deep/group/x", data=count((9, 11), "u2"), chunks=(4, 4), compression="gzip", fletcher32=True)
        f["deep/loop"] = f["/"]


def new():
    with h5py.File(os.path.join(here, "latest.h5"), "w", libver="latest") as f:
        # What finds the chunks: one chunk, a fixed array, an extensible array, a B-tree of version 2, nothing at all.
        f.create_dataset("single", data=count((4, 4), "i4"), chunks=(4, 4), compression="gzip")
        f.create_dataset("fixed", data=count((9, 10), "i4"), chunks=(2, 3), compression="gzip", shuffle=True)
        f.create_dataset("extensible", data=count((30, 3), "i4"), chunks=(2, 3), maxshape=(None, 3), compression="gzip")
        f.create_dataset("tree", data=count((9, 10), "i4"), chunks=(2, 3), maxshape=(None, None), compression="gzip")
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_chunk((2, 3))
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        space = h5py.h5s.create_simple((9, 10))
        d = h5py.h5d.create(f.id, b"implicit", h5py.h5t.STD_I32LE, space, early)
        h5py.Dataset(d)[...] = count((9, 10), "i4")


def filters():
    # Chunks are compressed here and written as they are: h5py has these filters only with plugins.
    values = count((50,), "i4")

    def lz4(data):
        blocks = [data[i : i + 40] for i in range(0, len(data), 40)]
        blocks = [numcodecs.LZ4().encode(block)[4:] for block in blocks]
        return struct.pack(">qi", len(data), 40) + b"".join(struct.pack(">i", len(block)) + block for block in blocks)

    with h5py.File(os.path.join(here, "filters.h5"), "w", libver=("earliest", "v108")) as f:
        for name, number, encode in [
            ("lz4", 32004, lz4),
            ("zstd", 32015, numcodecs.Zstd().encode),
            ("blosc", 32001, numcodecs.Blosc("lz4", shuffle=numcodecs.Blosc.SHUFFLE).encode),
            ("zfp", 32013, bytes),
            ("private", 32999, bytes),
        ]:
            how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            how.set_chunk((16,))
            how.set_filter(number, h5py.h5z.FLAG_OPTIONAL, ())
            space = h5py.h5s.create_simple((50,))
            d = h5py.h5d.create(f.id, name.encode(), h5py.h5t.STD_I32LE, space, how)
            for start in range(0, 50, 16):
                chunk = np.zeros(16, "i4")
                part = values[start : start + 16]
                chunk[: len(part)] = part
                d.write_direct_chunk((start,), encode(chunk.tobytes()))


netcdf()
old()
new()
filters()
