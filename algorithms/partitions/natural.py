"""Samples where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from netsim.errors import ConfigError, Fault
from netsim.interfaces import Floats, Indices
from netsim.registry import Examples, component


@component("partition")
@dataclass(frozen=True)
class Natural:
    """A node for everyone whom samples come from, as the dataset says: `node_column` of ``csv``, `groups` of ``npz``.

    In the order of their names; with fewer nodes than names, the first name goes to node 0, the next to node 1, and so
    on from node 0 again.

    Examples
    --------
    >>> groups = np.array([0.0, 2.0, 1.0, 0.0])
    >>> [rows.tolist() for rows in Natural().split(groups, 2, np.random.default_rng(0))]
    [[0, 1, 3], [2]]
    """

    examples: ClassVar[Examples] = ({},)
    draws: ClassVar[bool] = False
    by_group: ClassVar[bool] = True

    def split(self, groups: Floats, nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted rows of each node; `rng` is not used.

        Raises
        ------
        ConfigError
            With more nodes than names.
        """
        known, group_of = np.unique(groups, return_inverse=True)
        if nodes > known.size:
            allowed = f"at most {known.size}, as samples come from {known.size}"
            raise ConfigError([Fault(("nodes",), allowed, str(nodes))])
        return [np.flatnonzero(group_of % nodes == node) for node in range(nodes)]
