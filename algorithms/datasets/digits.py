"""Handwritten digits of 8 x 8 pixels: one digit against the rest, or all ten."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from algorithms.reading.files import sklearn_file, table
from algorithms.reading.selection import Selection
from netsim.errors import DataError
from netsim.fields import Range
from netsim.interfaces import Data
from netsim.interfaces.problems import NeedsNoFile
from netsim.registry import Examples, component


@component("dataset")
@dataclass(frozen=True)
class Digits(NeedsNoFile, Selection):
    """Optical digits, from scikit-learn's file: n = 1797, d = 65 or, with `interactions`, 2145, dense.

    A row holds [the products x_i x_j, i <= j, of all pixel pairs,] the 64 pixels x_i in 0 .. 1 (grey level / 16)
    and a 1 for the bias, and is then scaled to unit length, so that L <= 1/4 for the logistic loss.

    Parameters
    ----------
    positive_class
        The digit of label 1, 0 to 9; all others have label -1. Nothing (null): ten classes, the digits as labels.
    interactions
        Also the 2080 products of degree 2, squares included.

    References
    ----------
    Alpaydin, Kaynak, "Optical recognition of handwritten digits", UCI repository, 1998 (test part).

    Examples
    --------
    >>> Digits(interactions=True).load(np.random.default_rng(0)).features.shape
    (1797, 2145)
    """

    examples: ClassVar[Examples] = (
        {},
        {"positive_class": 3, "interactions": True},
        {"positive_class": None},
    )

    positive_class: Annotated[int, Range(ge=0, le=9)] | None = 0
    interactions: bool = False

    def read(self, rng: np.random.Generator) -> Data:
        """Read the file; `rng` is not used."""
        packed = sklearn_file("digits", "digits.csv.gz")
        try:
            numbers = table("digits", gzip.decompress(packed), 65)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"digits: scikit-learn's digits.csv.gz cannot be unpacked. Got {error}.") from None
        pixels = numbers[:, :-1] / 16
        columns = [pixels, np.ones((len(pixels), 1))]
        if self.interactions:
            left, right = np.triu_indices(64)
            columns.insert(0, pixels[:, left] * pixels[:, right])
        features = np.concatenate(columns, axis=1)
        features /= np.sqrt(np.einsum("ij,ij->i", features, features))[:, None]
        return Data(features, numbers[:, -1].copy(), "digits")
