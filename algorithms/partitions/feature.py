"""Columns dealt to the nodes, which all have the same samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from netsim.errors import ConfigError, Fault
from netsim.interfaces import Indices
from netsim.registry import Examples, component


@component("partition")
@dataclass(frozen=True)
class Feature:
    """Vertical: every node holds all samples and their labels, but only some columns; the others are 0 there.

    So node m's function is that of the part of the model that meets its columns, and nodes learn their parts from the
    labels apart. Metrics of the training samples are over all nodes' views of them; those of test samples use whole
    rows. Features become sparse.

    Parameters
    ----------
    order
        ``contiguous``: node 0 has the first columns; ``random``: columns are dealt at random. Numbers of columns differ
        by at most one.

    Examples
    --------
    >>> [columns.tolist() for columns in Feature().split_columns(5, 2, np.random.default_rng(0))]
    [[0, 1, 2], [3, 4]]
    """

    examples: ClassVar[Examples] = ({}, {"order": "random"})

    order: Literal["contiguous", "random"] = "contiguous"

    @property
    def draws(self) -> bool:
        """Whether columns are dealt at random."""
        return self.order == "random"

    def split_columns(self, columns: int, nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted columns of each node.

        Raises
        ------
        ConfigError
            With more nodes than columns.
        """
        if nodes > columns:
            allowed = f"at most {columns}, as each node needs one of the {columns} columns"
            raise ConfigError([Fault(("nodes",), allowed, str(nodes))])
        order = np.arange(columns) if self.order == "contiguous" else rng.permutation(columns)
        return [np.sort(part) for part in np.array_split(order, nodes)]
