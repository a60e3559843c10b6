"""Small files in the place of datasets that netsim does not bring along."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np

TRAIN, TEST = 40, 20
SPECIES = ("adder", "badger", "cat")
SITES = ("north", "south")


def idx(array: np.ndarray) -> bytes:
    """The bytes of an IDX file of unsigned bytes."""
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def images(folder: Path, side: int = 28) -> None:
    """40 + 20 images; image i has the label i mod 10 and pixels of random grey."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, size in (("train", TRAIN), ("t10k", TEST)):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (size, side, side))))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(size) % 10))


def batches(folder: Path) -> None:
    """Six batches of 10 images, one of each class."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        pixels = rng.integers(0, 256, (10, 3072)).astype(np.uint8)
        content = {b"data": pixels, b"labels": list(range(10))}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))


def rows(size: int = 30) -> list[dict[str, object]]:
    """Rows of a table: two numbers, a text, where it was found, and a class."""
    rng = np.random.default_rng(0)
    return [
        {
            "weight": round(float(rng.normal()), 3),
            "legs": int(rng.integers(0, 5)),
            "colour": ("red", "green")[i % 2],
            "site": SITES[i % 2],
            "species": SPECIES[i % 3],
        }
        for i in range(size)
    ]


def tables(folder: Path) -> None:
    """``own.csv``, ``own.parquet`` and ``openml/61.parquet``."""
    import pandas as pd

    frame = pd.DataFrame(rows())
    frame.to_csv(folder / "own.csv", index=False)
    frame.to_parquet(folder / "own.parquet")
    (folder / "openml").mkdir(exist_ok=True)
    frame.to_parquet(folder / "openml" / "61.parquet")


def arrays(folder: Path) -> None:
    """``own.npz``, and arrays handed over in Python in the cache that lies in the same folder."""
    rng = np.random.default_rng(0)
    parts = {"features": rng.standard_normal((12, 3)), "labels": np.arange(12.0) % 3}
    np.savez(folder / "own.npz", **parts)
    (folder / "arrays").mkdir(exist_ok=True)
    np.savez(folder / "arrays" / f"{'0' * 64}.npz", **parts, shape=np.zeros(0, np.int64))
