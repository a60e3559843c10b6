"""Clothes of 28 x 28 pixels: 60000 to learn from and 10000 to test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from algorithms.reading.idx import found_images, image_files, read_images
from algorithms.reading.selection import Selection
from netsim.interfaces import Data
from netsim.interfaces.problems import DataFile
from netsim.registry import Examples, component

_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"
_STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_NOTE = "Fashion-MNIST, 60000 + 10000 images, 30 MB, MIT licence; four files"
_FILES = image_files("fashion-mnist", _NOTE, {stem: f"{_URL}/{stem}.gz" for stem in _STEMS})


@component("dataset")
@dataclass(frozen=True)
class FashionMnist(Selection):
    """Fashion-MNIST: rows of 784 grey levels from 0 to 1, labels 0 to 9.

    The classes are T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and ankle boot, in this order.

    Parameters
    ----------
    data_dir
        The data folder; by default the working folder or the one that NETSIM_DATA names. In it lie four IDX files in
        ``fashion-mnist/``: ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same with ``t10k``,
        each as it is or as ``.gz``.
    classes, positive_class, test_fraction, subsample, normalise, bias
        Shared by all datasets: see below.

    References
    ----------
    Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    examples: ClassVar[Examples] = ({}, {"classes": [1, 7], "subsample": 4})

    data_dir: str | None = None

    def read(self, rng: np.random.Generator) -> Data:
        """Read the four files; `rng` is not used."""
        return read_images("fashion_mnist", _FILES, self.data_dir)

    def wants(self) -> tuple[DataFile, ...]:
        """Return the first of the four files."""
        return _FILES[0]

    def needs(self) -> Sequence[tuple[DataFile, ...]]:
        """Return all four, each packed or not."""
        return _FILES

    def found(self) -> Path | None:
        """Return the first of the four files, where all are there."""
        return next(iter(self.files()), None)

    def files(self) -> Sequence[Path]:
        """Return the files that `read` reads."""
        return found_images(_FILES, self.data_dir)
