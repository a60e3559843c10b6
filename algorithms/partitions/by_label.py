"""One label per node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from algorithms.learning.shares import check_nodes
from netsim.interfaces import Indices
from netsim.registry import component


@component("partition")
@dataclass(frozen=True)
class ByLabel:
    """Every node holds samples of one label only, or whole labels where there are fewer nodes than labels.

    Nodes are given to labels in increasing order, each next one to the label with the most samples per node so
    far; a label's samples are dealt at random to its nodes, in sizes that differ by at most one.

    Examples
    --------
    >>> labels = np.array([1.0, -1.0, 1.0, 1.0])
    >>> [labels[rows].tolist() for rows in ByLabel().split(labels, 3, np.random.default_rng(0))]
    [[-1.0], [1.0, 1.0], [1.0]]
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def split(self, labels: npt.NDArray[np.float64], nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Sorted rows of each node.

        Raises
        ------
        ConfigError
            With more nodes than samples.
        """
        check_nodes(nodes, labels.size)
        classes, class_of = np.unique(labels, return_inverse=True)
        if nodes < classes.size:
            return [np.flatnonzero(class_of * nodes // classes.size == node) for node in range(nodes)]
        counts = np.bincount(class_of)
        shares = np.ones(classes.size, np.int64)
        for _ in range(nodes - classes.size):
            shares[np.argmax(counts / shares)] += 1
        parts: list[Indices] = []
        for label, share in enumerate(shares):
            rows = rng.permutation(np.flatnonzero(class_of == label))
            parts += [np.sort(part) for part in np.array_split(rows, share)]
        return parts
