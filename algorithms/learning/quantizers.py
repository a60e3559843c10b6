"""Quantizers of features: sorted boundaries per feature, found for a classifier's decisions or without it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from netsim.errors import ConfigError, Fault, SimulationError
from netsim.interfaces import Floats

Labels: TypeAlias = npt.NDArray[np.int64]
Boundaries: TypeAlias = list[Floats]

MAX_BITS = 24
LLOYD_ROUNDS = 200
MOST_LOOKED_AT = 200_000_000  # samples times features times bits of a greedy design, some minutes
MOST_POINTS = 800  # of an exact design, whose tables grow with their square


def cells(x: Floats, boundaries: Floats) -> Labels:
    """Return the number of boundaries strictly below each value."""
    return np.searchsorted(boundaries, x, side="left").astype(np.int64)


def bits_of(counts: Sequence[int]) -> int:
    """Bits of a node whose features have so many boundaries."""
    return (math.prod(count + 1 for count in counts) - 1).bit_length()


def greedy(x: Floats, labels: Labels, owners: Sequence[int], bits: Sequence[int]) -> Boundaries:
    """Insert, one at a time, the boundary after which the majority class of every cell errs least.

    Ties go to the smaller Gini impurity (rounded to 1e-9), then to the more even split of the slab, the lower feature
    and the lower threshold; insertions that do not help are made, too. It ends when no feature's node has bits left.

    Parameters
    ----------
    x, labels
        Training points, shape (N, p), and the classifier's decisions 0 .. C-1.
    owners, bits
        The node of each feature, and each node's bits a sample.

    Returns
    -------
    The sorted boundaries of each feature; midpoints between distinct training values.

    Raises
    ------
    SimulationError
        If samples times features times bits are more than 2e8: the search would take many minutes.

    References
    ----------
    Hanna, Ezzeldin, Sadjadpour, Fragouli, Diggavi, "On distributed quantization for classification", IEEE JSAIT 2020,
    greedy boundary insertion.
    """
    if x.size * sum(bits) > MOST_LOOKED_AT:
        size = f"{x.shape[0]} samples of {x.shape[1]} features with {sum(bits)} bits"
        raise SimulationError(f"greedy: at most {MOST_LOOKED_AT:.0e} samples times features times bits. Got {size}; "
                              "a smaller subsample or another design is needed")  # fmt: skip
    found: Boundaries = [np.zeros(0) for _ in range(x.shape[1])]
    index, classes = np.zeros(x.shape, np.int64), int(labels.max(initial=0)) + 1
    orders = [np.argsort(x[:, j], kind="stable") for j in range(x.shape[1])]
    while True:
        best: tuple[int, float, int, int, float] | None = None
        # Features without a boundary have one cell: they tell no points apart.
        cut = [k for k in range(len(found)) if len(found[k])]
        joint = _joint(index[:, cut])
        for j, owner in enumerate(owners):
            counts = [len(found[k]) + (k == j) for k in range(len(found)) if owners[k] == owner]
            if bits_of(counts) <= bits[owner]:
                others = _joint(index[:, [k for k in cut if k != j]]) if j in cut else joint
                choice = _best_split(x[:, j], labels, classes, index[:, j], others, orders[j])
                key = None if choice is None else (*choice[:3], j, choice[3])
                best = key if best is None or (key is not None and key < best) else best
        if best is None:
            return found
        *_, j, threshold = best
        found[j] = np.sort(np.append(found[j], threshold))
        index[:, j] = cells(x[:, j], found[j])


def _joint(index: Labels) -> Labels:
    """One number for each distinct row."""
    if index.shape[1] == 0:
        return np.zeros(len(index), np.int64)
    return np.unique(index, axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def _best_split(
    x: Floats, labels: Labels, classes: int, slab: Labels, others: Labels, order: Labels
) -> tuple[int, float, int, float] | None:
    """Return the best (errors, impurity, imbalance, threshold) of one more boundary on a feature.

    Points are taken in sorted order from right to left of a sweeping boundary, one slab of the feature's cells after
    another; of each point only its own box changes, so the sums over boxes are sums of changes.
    """
    n = len(x)
    box = _joint(np.stack([slab, others], axis=1))
    by_box = order[np.argsort(box[order], kind="stable")]
    left = np.zeros((n, classes), np.int64)
    left[np.arange(n), labels[by_box]] = 1
    left = np.cumsum(left, axis=0)
    starts = np.flatnonzero(np.r_[True, np.diff(box[by_box]) != 0])
    which = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, n]))
    base = np.r_[np.zeros((1, classes), np.int64), left][starts]
    left -= base[which]
    whole = left[np.r_[starts[1:], n] - 1]
    right = whole[which] - left
    before_left = np.r_[np.zeros((1, classes), np.int64), left[:-1]]
    before_left[starts] = 0
    before_right = whole[which] - before_left

    def errors(counts: Labels) -> Labels:
        wrong: Labels = counts.sum(axis=1) - counts.max(axis=1)
        return wrong

    def impurity(counts: Labels) -> Floats:
        size = counts.sum(axis=1)
        spread: Floats = size - (counts.astype(np.float64) ** 2).sum(axis=1) / np.maximum(size, 1)
        return spread

    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    place = rank[by_box]
    wrong, spread = np.zeros(n, np.int64), np.zeros(n)
    wrong[place] = errors(left) + errors(right) - errors(before_left) - errors(before_right)
    spread[place] = impurity(left) + impurity(right) - impurity(before_left) - impurity(before_right)
    total_wrong, total_spread = int(errors(whole).sum()), float(impurity(whole).sum())
    xs, slabs = x[order], slab[order]
    best = None
    for first, last in _runs(slabs):
        inside = np.flatnonzero(xs[first : last - 1] < xs[first + 1 : last]) + 1
        if not inside.size:
            continue
        err = total_wrong + np.cumsum(wrong[first:last])[inside - 1]
        gini = np.round((total_spread + np.cumsum(spread[first:last])[inside - 1]) / n, 9)
        odd = np.abs(2 * inside - (last - first))
        at = np.lexsort((inside, odd, gini, err))[0]
        i = first + int(inside[at])
        choice = (int(err[at]), float(gini[at]), int(odd[at]), float((xs[i - 1] + xs[i]) / 2))
        if best is None or choice < best:
            best = choice
    return best


def _runs(values: Labels) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.r_[True, np.diff(values) != 0, True])
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def on_the_line(u: Floats, v: Floats, labels: Labels, intervals: int) -> Floats:
    """Find the boundaries that u and v share which leave the fewest errors where the class is [u > v].

    Cells off the diagonal are decided without error; one on it, [a, b) x [a, b), costs the smaller of its two classes'
    counts. Dynamic programming over the sorted values, exact within shared boundaries.

    Parameters
    ----------
    u, v, labels
        Of each point; labels 0 and 1.
    intervals
        How many cells each of the two has at most.
    """
    values = np.unique(np.concatenate([u, v]))
    edges = np.r_[-np.inf, (values[:-1] + values[1:]) / 2, np.inf]
    m = len(values)
    iu, iv = np.searchsorted(values, u), np.searchsorted(values, v)
    grid = np.zeros((2, m + 1, m + 1), np.int64)
    np.add.at(grid, (labels, iu + 1, iv + 1), 1)
    grid = grid.cumsum(axis=1).cumsum(axis=2)
    a, b = np.meshgrid(np.arange(m + 1), np.arange(m + 1), indexing="ij")
    inside = grid[:, b, b] - grid[:, a, b] - grid[:, b, a] + grid[:, a, a]
    cost = np.where(a < b, inside.min(axis=0), np.iinfo(np.int64).max // 4)
    least, choice = cost[0].copy(), [np.zeros(m + 1, np.int64)]
    for _ in range(intervals - 1):
        table = least[:, None] + cost
        table[np.arange(m + 1), np.arange(m + 1)] = least
        choice.append(table.argmin(axis=0))
        least = table.min(axis=0)
    cuts, end = list[int](), m
    for step in reversed(choice[1:]):
        start = int(step[end])
        if 0 < start < end:
            cuts.append(start)
        end = start
    chosen: Floats = edges[sorted(cuts)]
    return chosen


def shared_line(x: Floats, labels: Labels, weights: Floats, offset: float, bits: Sequence[int]) -> Boundaries:
    """Return the boundaries of two features of a linear classifier [w1 x1 + w2 x2 + b > 0], shared on the line.

    u = w1 x1 and v = -b - w2 x2 have the same boundaries, 2^min(R1, R2) cells, found by `on_the_line` on at most
    `MOST_POINTS` of the points, evenly spaced in their order.
    """
    rows = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).astype(np.int64)) if len(x) > MOST_POINTS else slice(None)
    u, v = weights[0] * x[rows, 0], -offset - weights[1] * x[rows, 1]
    cuts = on_the_line(u, v, labels[rows], 1 << min(bits))
    return [np.sort(cuts / weights[0]), np.sort((-offset - cuts) / weights[1])]


def uniform(x: Floats, counts: Sequence[int]) -> Boundaries:
    """So many cells of equal width between each feature's least and largest value."""
    return [np.linspace(column.min(), column.max(), n + 1)[1:-1] for column, n in zip(x.T, counts, strict=True)]


def lloyd_max(x: Floats, counts: Sequence[int]) -> Boundaries:
    """So many cells of least squared error: k-means of one feature, started at quantiles."""
    found: Boundaries = []
    for column, n in zip(x.T, counts, strict=True):
        levels = np.unique(np.quantile(column, (np.arange(n) + 0.5) / n))
        for _ in range(LLOYD_ROUNDS):
            borders = (levels[:-1] + levels[1:]) / 2
            own = cells(column, borders)
            sizes = np.bincount(own, minlength=len(levels))
            sums = np.bincount(own, weights=column, minlength=len(levels))
            moved = np.where(sizes > 0, sums / np.maximum(sizes, 1), levels)
            if np.array_equal(moved, levels):
                break
            levels = np.unique(moved)
        found.append((levels[:-1] + levels[1:]) / 2)
    return found


def even_counts(owners: Sequence[int], bits: Sequence[int], variances: Floats) -> list[int]:
    """Return the cells of each feature where a node's bits are dealt in turn, to the largest variance first."""
    counts = [1] * len(owners)
    for node, budget in enumerate(bits):
        mine = [j for j in np.argsort(-variances, kind="stable").tolist() if owners[j] == node]
        for turn in range(budget):
            counts[mine[turn % len(mine)]] *= 2
    return counts


def cell_means(x: Floats, boundaries: Floats) -> Floats:
    """Return the mean of a feature's points in each cell; the middle of a cell without points."""
    own, n = cells(x, boundaries), len(boundaries) + 1
    size = np.bincount(own, minlength=n)
    total = np.bincount(own, weights=x, minlength=n)
    edges = np.r_[x.min(), boundaries, x.max()]
    return np.where(size > 0, total / np.maximum(size, 1), (edges[:-1] + edges[1:]) / 2)


def line_of(known: Any) -> tuple[Floats, float]:
    """Return weights and offset of a linear classifier of two classes, of two sensors with a feature each.

    Raises
    ------
    ConfigError
        If it is another one, or one of its weights is 0.
    """
    weights = np.asarray(getattr(known.h, "coef_", np.zeros((0, 0))), np.float64)
    got = f"{len(known.owners)} features of {len(set(known.owners))} nodes, coefficients of shape {weights.shape}"
    if weights.shape != (1, 2) or tuple(known.owners) != (0, 1) or not weights.all():
        allowed = "on_the_line is for two nodes of one feature each and a linear classifier of two classes (coef_)"
        raise ConfigError([Fault(("design",), allowed, got)])
    return weights[0], float(np.ravel(known.h.intercept_)[0])


def bit_faults(bits: Sequence[int], nodes: int, most: int = MAX_BITS) -> list[Fault]:
    """Return what is wrong with bits of so many nodes: another number of them, or bits that no cell's number has."""
    if len(bits) != nodes:
        return [Fault(("bits",), f"bits for each of {nodes} nodes", f"{len(bits)}")]
    return [Fault(("bits", i), f"at most {most}, for 2^{most} cells", str(n)) for i, n in enumerate(bits) if n > most]
