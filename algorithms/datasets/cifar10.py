"""CIFAR-10: colour images of 32 x 32 pixels in ten classes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from algorithms.learning.cache import remembered_bytes
from algorithms.reading.cifar import CLASSES, Images, read_cifar
from algorithms.reading.files import find, require
from algorithms.reading.selection import Selection
from netsim.interfaces import Data
from netsim.interfaces.problems import DataFile
from netsim.registry import Examples, component

_IMAGES = "CIFAR-10 as JPEG images in train/CLASS and test/CLASS, which is not CIFAR-10 as published"
_PUBLISHED = "CIFAR-10 for Python, 163 MB"
_FILES = (
    DataFile("cifar10-jpg/cifar10-jpg.tar.xz", _IMAGES),
    DataFile(
        "cifar10/cifar-10-python.tar.gz", _PUBLISHED,
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    ),
    DataFile("cifar10/cifar-10-batches-py", _PUBLISHED),
)  # fmt: skip


@component("dataset")
@dataclass(frozen=True)
class Cifar10(Selection):
    """CIFAR-10: 50000 images to learn from and 10000 to test, rows of 3072 values from 0 to 1, labels 0 to 9.

    A row is red, then green, then blue, each 32 rows of 32 pixels, in float32. The classes are airplane, automobile,
    bird, cat, deer, dog, frog, horse, ship and truck, and may be named. Batches are read without making any object but
    arrays; images need Pillow (the extra ``images``) and are decoded once, then kept in netsim's cache.

    Parameters
    ----------
    data_dir
        The data folder; by default the working folder or the one that NETSIM_DATA names. In it lies
        ``cifar10-jpg/cifar10-jpg.tar.xz``, ``cifar10/cifar-10-python.tar.gz`` or the folder
        ``cifar10/cifar-10-batches-py``; the first of these is read.

    Notes
    -----
    The JPEG version is compressed with losses: name it as such, and do not compare its accuracy with published ones.

    References
    ----------
    Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """

    examples: ClassVar[Examples] = ({}, {"classes": ["cat", "dog"], "subsample": 4})

    data_dir: str | None = None

    def read(self, rng: np.random.Generator) -> Data:
        """Read the images; `rng` is not used."""
        path = require("cifar10", _FILES, self.data_dir)
        train, test = _kept(path) if path.suffix == ".xz" else read_cifar(path)
        name = "CIFAR-10 (JPEG)" if path.suffix == ".xz" else "CIFAR-10"
        features, test_features = (part.pixels * np.float32(1 / 255) for part in (train, test))
        labels, test_labels = (part.labels.astype(np.float64) for part in (train, test))
        return Data(features, labels, name, test_features, test_labels, shape=(3, 32, 32), class_names=CLASSES)

    def wants(self) -> tuple[DataFile, ...]:
        """Return the three files, of which one is enough."""
        return _FILES

    def found(self) -> Path | None:
        """Return the file or folder that `read` reads."""
        return find(_FILES, self.data_dir)

    def files(self) -> Sequence[Path]:
        """Return that archive, or the batches of that folder."""
        path = self.found()
        return [] if path is None else sorted(path.glob("*_batch*")) if path.is_dir() else [path]


def _kept(path: Path) -> tuple[Images, Images]:
    """Return the images of a tar, decoded at the first call."""
    with path.open("rb") as stream:
        key = f"cifar10-1-{hashlib.file_digest(stream, 'sha256').hexdigest()}.bin"

    def decode() -> bytes:
        parts = read_cifar(path)
        sizes = np.array([part.labels.size for part in parts], "<i8").tobytes()
        return sizes + b"".join(part.labels.astype("u1").tobytes() + part.pixels.tobytes() for part in parts)

    content = remembered_bytes(key, decode)
    first, second = np.frombuffer(content, "<i8", 2).tolist()
    found, at = list[Images](), 16
    for size in (first, second):
        labels = np.frombuffer(content, np.uint8, size, at).astype(np.int64)
        found.append(Images(np.frombuffer(content, np.uint8, 3072 * size, at + size).reshape(size, 3072), labels))
        at += 3073 * size
    return found[0], found[1]
