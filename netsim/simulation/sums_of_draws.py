"""Sums over events at instants that differ between draws: what came before each row, and how long things lasted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]


@dataclass(eq=False)
class Sums:
    """What is counted when it happens: instants, weights, and the server's rows that are known to come before.

    Parameters
    ----------
    at_ns
        A row for each event, int64 of shape (draws,).
    after
        How many rows come before the event in all draws; a list of one number, as another row may be found to do so.
    weights
        A tuple for each event.
    """

    at_ns: list[Int64s] = field(default_factory=list)
    after: list[list[int]] = field(default_factory=list)
    weights: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, at_ns: Int64s, after: list[int], *weights: float) -> None:
        """Add an event."""
        self.at_ns.append(at_ns)
        self.after.append(after)
        self.weights.append(weights)

    def until(self, rows_ns: Int64s, count: int) -> npt.NDArray[np.float64]:
        """Return the sums up to each row, float64 of shape (weights, rows, draws), exact as all weights are whole."""
        rows, draws = rows_ns.shape
        sums = np.zeros((count, rows + 1, draws))
        if self.at_ns:
            place = np.maximum(count_before(rows_ns, np.array(self.at_ns)), np.array(self.after))
            place = np.minimum(place, rows) * draws + np.arange(draws)
            for i, weight in enumerate(np.array(self.weights, np.float64).T):
                spread = np.broadcast_to(weight[:, None], place.shape)
                flat = np.bincount(place.ravel(), spread.ravel(), (rows + 1) * draws)
                sums[i] = flat.reshape(rows + 1, draws)
        return sums.cumsum(axis=1)[:, :rows]


def covered_ns(begin_ns: Int64s, end_ns: Int64s, rows_ns: Int64s) -> Int64s:
    """Return how long at least one of some intervals was under way up to each row.

    Parameters
    ----------
    begin_ns, end_ns
        int64, shape (intervals, draws).
    rows_ns
        int64, shape (rows, draws), rising.

    Returns
    -------
    int64, shape (rows, draws).

    Examples
    --------
    >>> begin, end, rows = (np.array(x)[:, None] for x in ([5, 0, 20], [15, 10, 30], [7, 18, 25]))
    >>> covered_ns(begin, end, rows).ravel().tolist()
    [7, 15, 20]
    """
    order = np.argsort(begin_ns, axis=0, kind="stable")
    begin, end = np.take_along_axis(begin_ns, order, 0), np.take_along_axis(end_ns, order, 0)
    reached = np.maximum.accumulate(end, axis=0)
    before = np.vstack([np.zeros_like(begin[:1]), reached[:-1]])
    total = np.vstack([np.zeros_like(begin[:1]), np.cumsum(np.maximum(end - np.maximum(begin, before), 0), axis=0)])
    last = np.vstack([np.zeros_like(begin[:1]), reached])
    begun = count_before(begin, rows_ns)
    total, last = np.take_along_axis(total, begun, 0), np.take_along_axis(last, begun, 0)
    return np.asarray(total - np.maximum(last - rows_ns, 0))


def count_before(rising_ns: Int64s, asked_ns: Int64s) -> Int64s:
    """Return how many of some rising instants come before each of others, draw by draw; draws are the last axis."""
    # All draws in one search: each has a stretch of numbers of its own.
    draws = np.arange(asked_ns.shape[-1])
    stretch = draws * (max(int(rising_ns.max(initial=0)), int(asked_ns.max(initial=0))) + 1)
    place = np.searchsorted((rising_ns + stretch).T.ravel(), (asked_ns + stretch).ravel()).reshape(asked_ns.shape)
    return np.asarray(place - len(rising_ns) * draws)
