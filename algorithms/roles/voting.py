"""Sets of the largest coordinates, over the whole model or layer by layer, and masks that a server makes of votes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from algorithms.coding import select
from algorithms.coding.index_changes import SetChanges
from algorithms.roles.parts import share
from netsim.interfaces import Array, Indices

TieBreak = Literal["random", "low_index"]


@dataclass(frozen=True)
class Layers:
    """Consecutive layers of a model, with a number of coordinates to keep of each.

    Parameters
    ----------
    edges
        Where each layer begins, and d.
    keep
        For each layer.
    """

    edges: tuple[int, ...]
    keep: tuple[int, ...]

    @property
    def total(self) -> int:
        """How many coordinates are kept in all."""
        return sum(self.keep)

    def largest(self, x: Array) -> Indices:
        """Return the coordinates of largest |x_i| of each layer, ties to the lowest index, ascending."""
        return self.each(lambda start, stop, k: _largest(x[start:stop], k))

    def most_voted(self, votes: Array, rng: np.random.Generator, tie_break: TieBreak) -> Indices:
        """Return the coordinates with the most votes of each layer, and none without a vote, ascending."""
        return self.each(lambda start, stop, k: most_voted(votes[start:stop], k, rng, tie_break))

    def sampled(self, votes: Array, rng: np.random.Generator) -> Indices:
        """Draw coordinates of each layer, one after the other in proportion to votes, ascending."""
        return self.each(lambda start, stop, k: sampled(votes[start:stop], k, rng))

    def changes(self, own: Indices, wanted: Indices, x: Array) -> SetChanges:
        """Return the wanted coordinates of largest |x_i| that are not in a set, and the unwanted of smallest in it.

        Parameters
        ----------
        own, wanted
            Ascending; at most as many of each layer as its `keep` here change in each direction.
        x
            Shape (d,).
        """
        size = np.abs(x)
        new, old = np.setdiff1d(wanted, own, assume_unique=True), np.setdiff1d(own, wanted, assume_unique=True)
        adds = self._first(new[np.argsort(-size[new], kind="stable")])
        return SetChanges(adds, self._first(old[np.argsort(size[old], kind="stable")]))

    def sizes(self, mask: Indices) -> tuple[tuple[int, ...], ...]:
        """Return how many coordinates of an ascending mask lie in each layer, as shapes; none of empty ones."""
        counts = np.diff(np.searchsorted(mask, self.edges))
        return tuple((int(count),) for count in counts if count)

    def each(self, choose: Callable[[int, int, int], Indices]) -> Indices:
        """Choose of every layer and put the choices side by side."""
        spans = zip(self.edges, self.edges[1:], self.keep, strict=False)
        return np.concatenate([start + choose(start, stop, k) for start, stop, k in spans])

    def _first(self, ordered: Indices) -> Indices:
        """Return the first `keep` of each layer of coordinates in some order, ascending."""
        chosen = [
            ordered[(ordered >= start) & (ordered < stop)][:k] if len(self.keep) > 1 else ordered[:k]
            for start, stop, k in zip(self.edges, self.edges[1:], self.keep, strict=False)
        ]
        return np.sort(np.concatenate(chosen))


def layers(dim: int, layout: Sequence[tuple[int, ...]] | None, fraction: float) -> Layers:
    """Return max(floor(fraction d), 1) coordinates of the whole model, or of each tensor of a layout."""
    sizes = [dim] if layout is None else [int(np.prod(shape, dtype=np.int64)) for shape in layout]
    return Layers((0, *np.cumsum(sizes).tolist()), tuple(share(fraction, size) for size in sizes))


def most_voted(votes: Array, k: int, rng: np.random.Generator, tie_break: TieBreak) -> Indices:
    """Return min(k, voted for) coordinates with the most votes, ascending.

    Parameters
    ----------
    votes
        Counts, shape (d,).
    rng, tie_break
        ``random`` draws uniformly among those with as many votes as the last one chosen; ``low_index`` draws nothing.
    """
    voted = np.flatnonzero(votes > 0)
    if voted.size <= k:
        return voted
    counts = votes[voted]
    least = np.partition(counts, voted.size - k)[voted.size - k]
    sure, tied = voted[counts > least], voted[counts == least]
    need = k - sure.size
    chosen = tied[:need] if tie_break == "low_index" else rng.choice(tied, need, replace=False, shuffle=False)
    return np.sort(np.concatenate([sure, chosen]))


def sampled(votes: Array, k: int, rng: np.random.Generator) -> Indices:
    """Draw min(k, voted for) coordinates, one after the other in proportion to votes, without repetition; ascending.

    The k largest of log(votes) plus Gumbel noise have the same distribution (Efraimidis, Spirakis, "Weighted random
    sampling with a reservoir", 2006).
    """
    voted = np.flatnonzero(votes > 0)
    if voted.size <= k:
        return voted
    keys = np.log(votes[voted]) + rng.gumbel(size=voted.size)
    return np.sort(voted[np.argpartition(-keys, k - 1)[:k]])


def _largest(x: Array, k: int) -> Indices:
    """Return exactly min(k, d) coordinates; zeros of the lowest index where there are fewer others."""
    found = select.top_k(np.ascontiguousarray(x), k)
    if found.size == min(k, x.size):
        return found
    others = np.setdiff1d(np.arange(x.size), found, assume_unique=True)
    return np.sort(np.concatenate([found, others[: min(k, x.size) - found.size]]))
