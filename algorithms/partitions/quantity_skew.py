"""Sizes by a power law, samples at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.learning.dealing import Split, by_sizes, whole_sizes
from netsim.fields import NonNegativeFloat
from netsim.interfaces import Floats, Indices
from netsim.registry import Examples, component


@component("partition")
@dataclass(frozen=True)
class QuantitySkew(Split):
    """Node m has a share of the samples proportional to (m + 1)^-exponent, at random; at least one each.

    Parameters
    ----------
    exponent
        0 gives equal shares; with 1 node 0 has ten times what node 9 has.

    Examples
    --------
    >>> [rows.size for rows in QuantitySkew(exponent=1.0).split(np.ones(55), 4, np.random.default_rng(0))]
    [26, 13, 9, 7]
    """

    examples: ClassVar[Examples] = ({}, {"exponent": 3.0})

    exponent: NonNegativeFloat = 1.0

    def deal(self, labels: Floats, nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted rows of each node."""
        # Powers of numbers of at least 1: what is too small for a float is a share of 0.
        with np.errstate(under="ignore"):
            weights = np.arange(1, nodes + 1, dtype=np.float64) ** -self.exponent
        return by_sizes(whole_sizes(weights / weights.sum(), labels.size), rng)
