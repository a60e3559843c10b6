"""Sparse rows with power-law features, like bags of words, from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from algorithms.reading.selection import Selection
from netsim import memory
from netsim.fields import NonNegativeFloat, PositiveInt, Range
from netsim.interfaces import Data, Floats
from netsim.interfaces.problems import NeedsNoFile
from netsim.registry import Examples, component

_BLOCK = 1 << 20  # entries drawn at a time; part of what a seed means


@component("dataset")
@dataclass(frozen=True)
class SyntheticSparse(NeedsNoFile, Selection):
    """Synthetic text-like classification data in CSR, of any size.

    Each row draws `nonzeros_per_row` features with replacement, feature j = 1 .. d with probability proportional
    to j^-`popularity_exponent`, each with a standard normal value; values of one feature are added, and the row is
    scaled to unit length. Labels are the signs of a linear model with standard normal weights, each turned
    around with probability `noise`.

    Parameters
    ----------
    num_rows, num_features
        n and d.
    nonzeros_per_row
        Draws per row; since features repeat, a row keeps a few less (55 of 60 at the defaults).
    popularity_exponent
        0 makes all features equally frequent.
    noise
        Probability of a wrong label, 0 to 0.5.

    Notes
    -----
    The defaults are a stand-in for RCV1 and URL in studies of CAT. With l2 = 1/n and one worker they need, to a gap
    of 1e-2 (mean of seeds 0 to 4, packets of 576 B for 512 B and 64 B a message), 3.07 Mbit with gradient descent,
    1.82 with CAT S, 0.57 with CAT S+Q and 3.97 with Alistarh's S+Q.

    Examples
    --------
    >>> data = SyntheticSparse(num_rows=10, num_features=100).load(np.random.default_rng(0))
    >>> data.features.shape, sorted(set(data.labels.tolist()))
    ((10, 100), [-1.0, 1.0])
    """

    draws: ClassVar[bool] = True
    examples: ClassVar[Examples] = (
        {"num_rows": 60, "num_features": 200, "nonzeros_per_row": 8},
        {"num_rows": 40, "num_features": 50, "nonzeros_per_row": 5, "popularity_exponent": 0.0, "noise": 0.0},
    )

    is_drawn: ClassVar[bool] = True

    num_rows: PositiveInt = 2000
    num_features: Annotated[int, Range(ge=1, le=2**31 - 1)] = 5000
    nonzeros_per_row: Annotated[int, Range(ge=1, le=100_000)] = 60
    popularity_exponent: NonNegativeFloat = 0.8
    noise: Annotated[float, Range(ge=0, le=0.5)] = 0.1

    def read(self, rng: np.random.Generator) -> Data:
        """Draw the data; the same `rng` state gives the same bytes."""
        import scipy.sparse as sp

        entries = self.num_rows * min(self.nonzeros_per_row, self.num_features)
        what = f"synthetic_sparse: {entries} entries in {self.num_features} columns"
        memory.require(24.0 * max(entries, min(self.nonzeros_per_row, _BLOCK)) + 24.0 * self.num_features, what)
        shares = np.arange(1, self.num_features + 1, dtype=np.float64) ** -self.popularity_exponent
        cumulative = np.cumsum(shares)
        cumulative /= cumulative[-1]
        step = max(1, _BLOCK // self.nonzeros_per_row)
        blocks = [self._rows(rng, cumulative, min(step, self.num_rows - at)) for at in range(0, self.num_rows, step)]
        features = blocks[0] if len(blocks) == 1 else sp.vstack(blocks, format="csr")
        weights = rng.standard_normal(self.num_features)
        labels = np.where(features @ weights >= 0, 1.0, -1.0)
        labels[rng.random(self.num_rows) < self.noise] *= -1
        return Data(features, labels, "synthetic_sparse")

    def _rows(self, rng: np.random.Generator, cumulative: Floats, rows: int) -> Any:
        import scipy.sparse as sp

        size = rows * self.nonzeros_per_row
        columns = np.searchsorted(cumulative, rng.random(size), side="right").astype(np.int32)
        values = rng.standard_normal(size)
        row_of = np.repeat(np.arange(rows, dtype=np.int32), self.nonzeros_per_row)
        block = sp.csr_array((values, (row_of, columns)), shape=(rows, self.num_features))
        row_of = np.repeat(np.arange(rows, dtype=np.int32), np.diff(block.indptr))
        lengths = np.sqrt(np.bincount(row_of, block.data**2, rows))
        block.data /= lengths[row_of]
        return block
