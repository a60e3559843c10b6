"""Labels spread unevenly over the nodes, as much as alpha says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from algorithms.learning.shares import check_nodes
from netsim.fields import PositiveFloat
from netsim.interfaces import Indices
from netsim.registry import component


@component("partition")
@dataclass(frozen=True)
class Dirichlet:
    """Each label's samples are dealt in proportions drawn from a symmetric Dirichlet distribution over the nodes.

    A node that would stay empty takes one sample from the node that has most (the first of these); the source
    redraws instead, which need not end.

    Parameters
    ----------
    alpha
        Concentration: near 0 a label lies with one node, large values are nearly iid.

    References
    ----------
    Hsu, Qi, Brown, "Measuring the effects of non-identical data distribution for federated visual classification",
    2019, section 3.

    Examples
    --------
    >>> sum(rows.size for rows in Dirichlet(0.5).split(np.ones(50), 4, np.random.default_rng(0)))
    50
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({"alpha": 0.5}, {"alpha": 100.0})

    alpha: PositiveFloat

    def split(self, labels: npt.NDArray[np.float64], nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Sorted rows of each node.

        Raises
        ------
        ConfigError
            With more nodes than samples.
        """
        check_nodes(nodes, labels.size)
        parts: list[list[Indices]] = [[] for _ in range(nodes)]
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero(labels == label))
            edges = np.cumsum(rng.dirichlet(np.full(nodes, self.alpha)))[:-1]
            for part, piece in zip(parts, np.split(rows, np.rint(edges * rows.size).astype(np.int64)), strict=True):
                part.append(piece)
        dealt = [np.sort(np.concatenate(part)) for part in parts]
        for node in range(nodes):
            if dealt[node].size == 0:
                richest = max(range(nodes), key=lambda other: dealt[other].size)
                dealt[node], dealt[richest] = dealt[richest][-1:], dealt[richest][:-1]
        return dealt
