"""A few labels per node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from algorithms.learning.dealing import Split
from netsim.errors import ConfigError, Fault
from netsim.fields import PositiveInt
from netsim.interfaces import Floats, Indices
from netsim.registry import Examples, component


@component("partition")
@dataclass(frozen=True)
class ByLabel(Split):
    """Every node holds samples of one label only, or of as many labels as asked.

    Each label has places at nodes, the first each, every next one going to the label with the most samples per place so
    far. Places are taken in the order of labels by node 0, 1, ... and again from node 0, so that a node has different
    labels. A label's samples are dealt at random to its places, in sizes that differ by at most one.

    Parameters
    ----------
    labels_per_node
        How many labels each node has. Nothing: one, or whole labels, as equal in number as can be, where there are
        fewer nodes than labels.

    Examples
    --------
    >>> labels = np.array([1.0, -1.0, 1.0, 1.0])
    >>> [labels[rows].tolist() for rows in ByLabel().split(labels, 3, np.random.default_rng(0))]
    [[-1.0], [1.0, 1.0], [1.0]]
    """

    examples: ClassVar[Examples] = ({}, {"labels_per_node": 1})

    labels_per_node: PositiveInt | None = None

    def deal(self, labels: Floats, nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted rows of each node."""
        classes, class_of = np.unique(labels, return_inverse=True)
        if self.labels_per_node is None and nodes < classes.size:
            return [np.flatnonzero(class_of * nodes // classes.size == node) for node in range(nodes)]
        counts = np.bincount(class_of)
        places = self._places(counts, nodes)
        parts = list[Indices]()
        for label, number in enumerate(places):
            parts += np.array_split(rng.permutation(np.flatnonzero(class_of == label)), number)
        return [np.sort(np.concatenate(parts[node::nodes])) for node in range(nodes)]

    def _places(self, counts: npt.NDArray[np.int64], nodes: int) -> npt.NDArray[np.int64]:
        """Return the number of nodes with each label: at most all, and no more than it has samples."""
        each = self.labels_per_node or 1
        most = np.minimum(counts, nodes)
        if not counts.size <= each * nodes <= most.sum():
            path = ("partition", "labels_per_node")
            allowed = f"a number with which {nodes} nodes hold each of {counts.size} labels, and no label twice"
            raise ConfigError([Fault(path, allowed, str(each))])
        places = np.ones(counts.size, np.int64)
        for _ in range(each * nodes - counts.size):
            places[np.argmax(np.where(places < most, counts / places, 0.0))] += 1
        return places
