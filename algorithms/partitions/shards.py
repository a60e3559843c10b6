"""Samples sorted by label, cut into shards, a few shards per node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.learning.dealing import Split
from netsim.errors import ConfigError, Fault
from netsim.fields import PositiveInt
from netsim.interfaces import Floats, Indices
from netsim.registry import Examples, component


@component("partition")
@dataclass(frozen=True)
class Shards(Split):
    """Samples in the order of their labels are cut into shards of equal size, which are dealt to the nodes at random.

    Sizes of shards differ by at most one; samples of a label are in random order.

    Parameters
    ----------
    per_node
        Shards of each node: 2 gives most nodes two labels.

    References
    ----------
    McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-efficient learning of deep networks from
    decentralized data", AISTATS 2017, section 3 (200 shards of 300 samples for 100 nodes).

    Examples
    --------
    >>> labels = np.repeat([0.0, 1.0], 4)
    >>> [labels[rows].tolist() for rows in Shards(per_node=1).split(labels, 4, np.random.default_rng(0))]
    [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    """

    examples: ClassVar[Examples] = ({"per_node": 1},)

    per_node: PositiveInt = 2

    def deal(self, labels: Floats, nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted rows of each node."""
        number = nodes * self.per_node
        if number > labels.size:
            allowed = f"at most {labels.size // nodes}, as {nodes} nodes share {labels.size} samples"
            raise ConfigError([Fault(("partition", "per_node"), allowed, str(self.per_node))])
        mixed = rng.permutation(labels.size)
        rows = mixed[np.argsort(labels[mixed], kind="stable")]
        shards = np.array_split(rows, number)
        order = rng.permutation(number).reshape(nodes, self.per_node)
        return [np.sort(np.concatenate([shards[i] for i in own])) for own in order]
