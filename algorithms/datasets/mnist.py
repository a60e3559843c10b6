"""Handwritten digits of 28 x 28 pixels: 60000 to learn from and 10000 to test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.reading.idx import Images, image_files
from netsim.interfaces.problems import DataFile
from netsim.registry import Examples, component

_URL = "https://ossci-datasets.s3.amazonaws.com/mnist"
_NOTE = "MNIST, 60000 + 10000 images, 11 MB, usually given as CC BY-SA 3.0; four files"


@component("dataset")
@dataclass(frozen=True)
class Mnist(Images):
    """MNIST: rows of 784 grey levels from 0 to 1, labels 0 to 9 (the digits).

    References
    ----------
    LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proceedings of the IEEE,
    1998.
    """

    images: ClassVar[tuple[tuple[DataFile, ...], ...]] = image_files("mnist", _NOTE, _URL)
    examples: ClassVar[Examples] = ({}, {"classes": [1, 7], "subsample": 4})
