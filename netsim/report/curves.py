"""From rows to lines: medians and bands over replications on a grid that a drawing can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netsim.report.axes import Array
from netsim.report.columns import Columns, groups, numbers

HUGE = 1e300


@dataclass(frozen=True)
class Band:
    """A step curve over replications.

    Parameters
    ----------
    x, median, low, high
        Shape (n,): from `x[i]` until the next one the median is `median[i]`; within the band lie all replications.
        `x[0]` is 0, the start.
    """

    x: Array
    median: Array
    low: Array
    high: Array
    replications: int

    def from_first_cost(self) -> Array:
        """Return `x` with the start moved to the first positive value, for a logarithmic axis."""
        return np.concatenate([self.x[1:2], self.x[1:]]) if self.x.size > 1 else self.x


def band(table: Columns, x_name: str, y_name: str, most: int = 160) -> Band | None:
    """Return the median and the range of `y_name` over the cumulative cost `x_name`.

    Each replication is a step function: after a cost x it has the value of its last report at or before x;
    one that has ended keeps its last value. None where no replication has a positive x with a finite y.

    Parameters
    ----------
    table
        Rows of one label at one point, rounds ascending within a replication.
    x_name, y_name
        Columns.
    most
        Longest grid; more different x are thinned, and the band then covers what lies between.
    """
    tracks = []
    for rows in groups(table, "replication").values():
        x, y = numbers(rows, x_name), np.clip(numbers(rows, y_name), -HUGE, HUGE)
        keep = np.isfinite(x) & np.isfinite(y)
        if keep.any():
            tracks.append((np.maximum.accumulate(x[keep]), y[keep]))
    grid = _grid([x for x, _ in tracks], most)
    if grid.size < 2:
        return None
    at = [np.maximum(np.searchsorted(x, grid, side="right") - 1, 0) for x, _ in tracks]
    values = np.array([y[i] for (_, y), i in zip(tracks, at, strict=True)])
    lows = np.array([_extreme(np.minimum, y, i) for (_, y), i in zip(tracks, at, strict=True)])
    highs = np.array([_extreme(np.maximum, y, i) for (_, y), i in zip(tracks, at, strict=True)])
    return Band(grid, np.median(values, axis=0), lows.min(axis=0), highs.max(axis=0), len(tracks))


def last_rows(table: Columns, names: Sequence[str]) -> dict[str, float]:
    """Return means over replications of the last row of each; NaN where no replication has a number."""
    ends = [{name: numbers(rows, name)[-1] for name in names} for rows in groups(table, "replication").values()]
    found = {name: [float(end[name]) for end in ends if np.isfinite(end[name])] for name in names}
    return {name: sum(values) / len(values) if values else float("nan") for name, values in found.items()}


def _grid(xs: Sequence[Array], most: int) -> Array:
    positive = [np.unique(x[x > 0]) for x in xs]
    joined = np.unique(np.concatenate(positive)) if positive else np.zeros(0)
    if joined.size > most:
        low, high = joined[0], joined[-1]
        thin = np.geomspace(low, high, most) if high > 30 * low else np.linspace(low, high, most)
        thin[0], thin[-1] = low, high
        joined = np.unique(thin)
    return np.concatenate([[0.0], joined])


def _extreme(pick: np.ufunc, y: Array, at: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Array:
    """Return the least or largest y among the reports since the grid's last step."""
    since = np.concatenate([[0], np.minimum(at[:-1] + 1, at[1:])])
    return np.asarray(pick(pick.reduceat(y, since), y[at]), np.float64)


def thin(x: Array, y: Array, most: int) -> tuple[Array, Array]:
    """Return about `most` points of a line, with the least and the largest y of each logarithmic piece of x."""
    if x.size <= most:
        return x, y
    edges = np.unique(np.searchsorted(x, np.geomspace(x[0], x[-1], most // 2 + 1)[:-1]))
    keep = {0, x.size - 1}
    for first, last in zip(edges, [*edges[1:], x.size], strict=True):
        keep |= {int(first + np.argmin(y[first:last])), int(first + np.argmax(y[first:last]))}
    chosen = sorted(keep)
    return x[chosen], y[chosen]
