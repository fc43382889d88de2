#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the files of this folder: the same twelve samples as numpy, pandas and gzip write them.

Run it here with numpy, pandas and gzip installed; the files that lie here are by numpy 2.4.6, pandas 3.1.1 and gzip 1.12.
IDX has no writer of its own: idx() follows the description of the format. x_native.npy is a file of numpy's in which
'<f8' became '=f8', as other programs write it.
"""
import csv
import struct
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
X = np.random.default_rng(7).integers(0, 256, size=(12, 4)).astype(float)
Y = np.array([0, 1, 2, 1, 0, 2, 2, 1, 0, 0, 2, 1])
NAMES = np.array(["ash", "oak, red", "yew"])  # in sorted order, one with the separator in it
COLUMNS = ["width", "height", "depth", "mass"]


def idx(path, array, code, letter):
    array = np.asarray(array)
    header = struct.pack(">BBBB", 0, 0, code, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + struct.pack(f">{array.size}{letter}", *array.ravel().tolist()))


def gzip(path):
    subprocess.run(["gzip", "-nf9", path], check=True)


def tables():
    table = pd.DataFrame(X, columns=COLUMNS)
    table["species"] = Y
    table.to_csv(HERE / "pandas.csv", index=False)
    table.to_csv(HERE / "packed.csv", index=False)
    gzip(HERE / "packed.csv")
    table.to_csv(HERE / "bare.csv", index=False, header=False)
    table.to_csv(HERE / "semicolon.csv", index=False, sep=";")
    table.to_csv(HERE / "tab.tsv", index=False, sep="\t")
    table.to_csv(HERE / "bar.data", index=False, sep="|")
    table.to_csv(HERE / "quoted.csv", index=False, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    table.to_csv(HERE / "quoted_names.csv", index=False, quoting=csv.QUOTE_NONNUMERIC)
    table.to_csv(HERE / "byte_order_mark.csv", index=False, encoding="utf-8-sig")
    np.savetxt(HERE / "blanks.txt", np.column_stack([X, Y]), header="written by numpy.savetxt")
    np.savetxt(HERE / "savetxt.csv", np.column_stack([X, Y]), delimiter=",", fmt="%g", footer="the end")
    table.rename(columns={"species": "Class"})[["Class", *COLUMNS]].to_csv(HERE / "class_first.csv", index=False)
    table["species"] = NAMES[Y]
    table.to_csv(HERE / "names.csv", index=False)
    table[["width", "species", "height", "depth", "mass"]].to_csv(HERE / "names_inside.csv", index=False)
    pd.DataFrame(np.column_stack([X, Y])).to_csv(HERE / "numbered.csv", index=False)


def arrays():
    np.save(HERE / "x.npy", X)
    np.save(HERE / "x_float32.npy", X.astype(np.float32))
    np.save(HERE / "x_uint8.npy", X.astype(np.uint8))
    np.save(HERE / "x_fortran.npy", np.asfortranarray(X.astype(">f4")))
    with open(HERE / "x_version3.npy", "wb") as file:
        np.lib.format.write_array(file, X, version=(3, 0))
    (HERE / "x_native.npy").write_bytes((HERE / "x.npy").read_bytes().replace(b"'<f8'", b"'=f8'"))
    np.save(HERE / "y.npy", Y)
    np.save(HERE / "y_int8.npy", Y.astype(np.int8))
    np.save(HERE / "y_floats.npy", Y.astype(float))
    np.save(HERE / "y_column.npy", Y[:, None])
    np.save(HERE / "y_one_hot.npy", np.eye(3)[Y])
    np.savez(HERE / "stored.npz", x=X, y=Y)
    np.savez_compressed(HERE / "deflated.npz", x=X, y=Y)
    np.savez_compressed(HERE / "named.npz", other=Y, images=X.reshape(12, 2, 2), targets=np.eye(3, dtype=bool)[Y])


def images():
    kinds = [("idx", "-", 8, "B"), ("idx_dot", ".", 8, "B"), ("idx_int32", "-", 12, "i"), ("idx_int16", ".", 11, "h")]
    for folder, dot, code, letter in kinds:
        (HERE / folder).mkdir(exist_ok=True)
        for part, rows in [("train", slice(None)), ("t10k", slice(0, 3))]:
            idx(HERE / folder / f"{part}-images{dot}idx3-ubyte", X[rows].astype(int).reshape(-1, 2, 2), 8, "B")
            idx(HERE / folder / f"{part}-labels{dot}idx1-ubyte", Y[rows], code, letter)
    gzip(HERE / "idx" / "train-images-idx3-ubyte")


if __name__ == "__main__":
    tables()
    arrays()
    images()
