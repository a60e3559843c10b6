"""Wisconsin diagnostic breast cancer: 569 tumours, 30 measurements, benign or malignant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.reading.files import sklearn_file, table
from algorithms.reading.selection import Selection
from netsim.interfaces import Data
from netsim.interfaces.problems import NeedsNoFile
from netsim.registry import Examples, component


@component("dataset")
@dataclass(frozen=True)
class BreastCancer(NeedsNoFile, Selection):
    """Breast cancer, from scikit-learn's file: n = 569, d = 31, dense.

    Every measurement is shifted and scaled to mean 0 and variance 1 (over all samples); a last column of
    ones is the bias. Label 1 is benign (357 samples), -1 malignant (212).

    References
    ----------
    Street, Wolberg, Mangasarian, "Nuclear feature extraction for breast tumor diagnosis", 1993.

    Examples
    --------
    >>> BreastCancer().load(np.random.default_rng(0)).features.shape
    (569, 31)
    """

    examples: ClassVar[Examples] = ({},)

    def read(self, rng: np.random.Generator) -> Data:
        """Read the file; `rng` is not used."""
        text = sklearn_file("breast_cancer", "breast_cancer.csv").partition(b"\n")[2]
        numbers = table("breast_cancer", text, 31)
        raw = numbers[:, :-1]
        scaled = (raw - raw.mean(0)) / raw.std(0)
        features = np.column_stack([scaled, np.ones(len(scaled))])
        return Data(features, np.where(numbers[:, -1] == 1, 1.0, -1.0), "breast_cancer")
