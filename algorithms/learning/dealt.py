"""The keys of every problem whose samples are dealt to nodes."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from algorithms.learning.shares import FIRST, FLOAT64, Shares, deal
from netsim.fields import NonNegativeFloat, PositiveInt, Range, Ref
from netsim.interfaces import Dataset, Draws, Partition
from netsim.registry import build

_iid = functools.partial(build, "partition", "iid")


@dataclass(frozen=True)
class Dealt:
    """A dataset dealt to nodes, which draw minibatches from their shares.

    Parameters
    ----------
    dataset
        Any number of classes.
    l2
        Weight of the ridge, over all entries. Where the loss is convex there is an optimum, unless this is 0.
    nodes
        M.
    partition
        Which samples each node has.
    batch
        ``full``, a whole number of samples, or a fraction in (0, 1) of each node's samples (rounded, at least one);
        drawn without replacement. A node with no more samples than that uses all.
    """

    draws_start: ClassVar[bool] = False

    dataset: Annotated[Dataset, Ref("dataset")]
    l2: NonNegativeFloat = 1e-3
    nodes: PositiveInt = 4
    partition: Annotated[Partition, Ref("partition")] = field(default_factory=_iid)
    batch: Literal["full"] | PositiveInt | Annotated[float, Range(gt=0, lt=1)] = "full"

    @property
    def redraws(self) -> frozenset[str]:
        """Data, partition and start, where they are drawn."""
        parts = {
            "data": getattr(self.dataset, "draws", True),
            "partition": self.nodes > 1 and getattr(self.partition, "draws", True),
            "start": self.draws_start,
        }
        return frozenset(part for part, is_drawn in parts.items() if is_drawn)

    def deal(self, seed: int, draws: Draws = FIRST, dtype: np.dtype[np.floating[Any]] = FLOAT64) -> Shares:
        """Load and split the data.

        Raises
        ------
        DataError
            If the data are missing, damaged or not finite.
        ConfigError
            With more nodes than samples.
        """
        return deal(self.dataset, self.partition, self.nodes, seed, draws, dtype)
