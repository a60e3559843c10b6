"""Labels spread unevenly over the nodes, as much as alpha says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from algorithms.learning.dealing import Split, by_sizes, fill_empty, whole_sizes
from netsim.fields import PositiveFloat
from netsim.interfaces import Floats, Indices
from netsim.registry import Examples, component

_EQUAL, _ONE = 1e12, 1e-9  # alpha beyond which shares are equal to 1e-6, or one node's but for a chance of 1e-7


@component("partition")
@dataclass(frozen=True)
class Dirichlet(Split):
    """Each label's samples are dealt in proportions drawn from a symmetric Dirichlet distribution over the nodes.

    Over quantities it is the nodes' sizes that are drawn so, once, and samples go to nodes at random. A node that would
    stay empty takes one sample from the node that has most (the first of these); the source redraws instead, which need
    not end.

    Parameters
    ----------
    alpha
        Concentration: near 0 a label lies with one node, large values are nearly iid. Where numbers end, it is the
        limit: one node for all of a label, or equal shares.
    over
        ``labels`` or ``quantities``.

    References
    ----------
    Hsu, Qi, Brown, "Measuring the effects of non-identical data distribution for federated visual classification",
    2019, section 3.

    Examples
    --------
    >>> sum(rows.size for rows in Dirichlet(0.5).split(np.ones(50), 4, np.random.default_rng(0)))
    50
    """

    examples: ClassVar[Examples] = (
        {"alpha": 0.5},
        {"alpha": 100.0},
        {"alpha": 0.3, "over": "quantities"},
    )

    alpha: PositiveFloat
    over: Literal["labels", "quantities"] = "labels"

    def deal(self, labels: Floats, nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted rows of each node."""
        if self.over == "quantities":
            return by_sizes(whole_sizes(self._shares(nodes, rng), labels.size), rng)
        parts: list[list[Indices]] = [[] for _ in range(nodes)]
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero(labels == label))
            edges = np.cumsum(self._shares(nodes, rng))[:-1]
            for part, piece in zip(parts, np.split(rows, np.rint(edges * rows.size).astype(np.int64)), strict=True):
                part.append(piece)
        return fill_empty([np.sort(np.concatenate(part)) for part in parts])

    def _shares(self, nodes: int, rng: np.random.Generator) -> Floats:
        """Draw shares; the limit where alpha is so small or large that its draw would be no number."""
        if self.alpha >= _EQUAL:
            return np.full(nodes, 1.0 / nodes)
        if self.alpha <= _ONE:
            only = np.zeros(nodes)
            only[rng.integers(nodes)] = 1.0
            return only
        return rng.dirichlet(np.full(nodes, self.alpha))
