"""Samples in their order, in equal blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.learning.dealing import Split
from netsim.interfaces import Floats, Indices
from netsim.registry import Examples, component


@component("partition")
@dataclass(frozen=True)
class Contiguous(Split):
    """Node 0 gets the first block of rows, node 1 the next; sizes differ by at most one, the larger first.

    Examples
    --------
    >>> [rows.tolist() for rows in Contiguous().split(np.ones(5), 2, np.random.default_rng(0))]
    [[0, 1, 2], [3, 4]]
    """

    examples: ClassVar[Examples] = ({},)
    draws: ClassVar[bool] = False

    def deal(self, labels: Floats, nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted rows of each node; `rng` is not used."""
        return np.array_split(np.arange(labels.size), nodes)
