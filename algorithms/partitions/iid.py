"""Samples dealt at random, in equal shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.learning.dealing import Split
from netsim.interfaces import Floats, Indices
from netsim.registry import Examples, component


@component("partition")
@dataclass(frozen=True)
class Iid(Split):
    """A uniformly random split; sizes differ by at most one.

    Examples
    --------
    >>> sorted(rows.size for rows in Iid().split(np.ones(5), 2, np.random.default_rng(0)))
    [2, 3]
    """

    examples: ClassVar[Examples] = ({},)

    def deal(self, labels: Floats, nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted rows of each node."""
        return [np.sort(rows) for rows in np.array_split(rng.permutation(labels.size), nodes)]
