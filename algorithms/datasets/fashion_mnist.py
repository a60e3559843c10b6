"""Clothes of 28 x 28 pixels: 60000 to learn from and 10000 to test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.reading.idx import Images, image_files
from netsim.interfaces.problems import DataFile
from netsim.registry import Examples, component

_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"
_NOTE = "Fashion-MNIST, 60000 + 10000 images, 30 MB, MIT licence; four files"


@component("dataset")
@dataclass(frozen=True)
class FashionMnist(Images):
    """Fashion-MNIST: rows of 784 grey levels from 0 to 1, labels 0 to 9.

    The classes are T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and ankle boot, in this order.

    References
    ----------
    Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017.
    """

    images: ClassVar[tuple[tuple[DataFile, ...], ...]] = image_files("fashion-mnist", _NOTE, _URL)
    examples: ClassVar[Examples] = ({}, {"classes": [1, 7], "subsample": 4})
