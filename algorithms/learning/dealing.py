"""Arithmetic of partitions: whole sizes near given shares, and a sample for every node."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from netsim.errors import ConfigError, Fault
from netsim.interfaces import Floats, Indices


class Split(ABC):
    """A partition that deals samples by their labels, one or more to every node."""

    def split(self, labels: Floats, nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted rows of each node.

        Raises
        ------
        ConfigError
            With more nodes than samples, or where a key does not go with nodes and labels.
        """
        check_nodes(nodes, labels.size)
        return self.deal(labels, nodes, rng)

    @abstractmethod
    def deal(self, labels: Floats, nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted rows of each node, of which there are no more than samples."""


def check_nodes(nodes: int, samples: int) -> None:
    """Raise `ConfigError` unless every node can have a sample."""
    if nodes > samples:
        allowed = f"at most {samples}, as each node needs one of the {samples} samples"
        raise ConfigError([Fault(("nodes",), allowed, str(nodes))])


def whole_sizes(shares: Floats, total: int) -> npt.NDArray[np.int64]:
    """Return whole numbers that add up to `total`, at least 1 each, near `total` times the shares.

    Shares are rounded down, what is missing goes to those that lost most (the first of these), and a 0 takes 1 from the
    largest.

    Parameters
    ----------
    shares
        Non-negative, of sum 1; no more than `total`.

    Examples
    --------
    >>> whole_sizes(np.array([0.9, 0.1, 0.0]), 7).tolist()
    [5, 1, 1]
    """
    exact = shares * total
    sizes = np.floor(exact).astype(np.int64)
    lost = np.argsort(sizes - exact, kind="stable")
    sizes[lost[: total - int(sizes.sum())]] += 1
    for node in np.flatnonzero(sizes == 0):
        sizes[node] += 1
        sizes[np.argmax(sizes)] -= 1
    return sizes


def by_sizes(sizes: npt.NDArray[np.int64], rng: np.random.Generator) -> list[Indices]:
    """Draw sorted rows for each node, as many as `sizes` says."""
    rows = rng.permutation(int(sizes.sum()))
    return [np.sort(part) for part in np.split(rows, np.cumsum(sizes)[:-1])]


def fill_empty(parts: Sequence[Indices]) -> list[Indices]:
    """Return the parts, where every empty one has taken the last row of the largest (the first of these)."""
    filled = list(parts)
    largest = [(-part.size, node) for node, part in enumerate(filled)]
    heapq.heapify(largest)
    for node, part in enumerate(filled):
        if part.size == 0:
            _, giver = heapq.heappop(largest)
            filled[node], filled[giver] = filled[giver][-1:], filled[giver][:-1]
            heapq.heappush(largest, (-filled[giver].size, giver))
    return filled
