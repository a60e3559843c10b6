"""A stream of points on the unit sphere that any of them can be computed from alone, and how many lie in a cap.

Only products, quotients, sums and square roots: the points are the same to the last bit on every machine.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from netsim.interfaces import Floats
from netsim.rng import philox

Words = npt.NDArray[np.uint64]


class Cap(NamedTuple):
    """The unit vectors z with <z, u> >= sqrt(1 - a) for one unit vector u.

    Parameters
    ----------
    share
        P, the part of the sphere's surface that it covers.
    mean
        kappa, the mean of <z, u> over it.
    """

    share: float
    mean: float


@cache
def cap(dim: int, error: float) -> Cap:
    """Return P = I_a((d-1)/2, 1/2) / 2 and kappa = a^((d-1)/2) / ((d-1) Beta((d-1)/2, 1/2) P) (I: incomplete beta).

    Parameters
    ----------
    dim
        d, even.
    error
        a, above 0 and below 1.

    Examples
    --------
    >>> round(1 / cap(8, 0.5).share, 1), round(1 / cap(16, 0.7).share, 1)
    (60.3, 87.5)
    """
    p, beta = 0.5, math.pi
    power = math.sqrt(error)
    while p < (dim - 1) / 2:
        beta *= p / (p + 0.5)
        power *= error
        p += 1
    # I_a(p, 1/2) as a series of positive terms, so that a small cap loses no digits.
    total, term, n = 1.0, 1.0, 0
    while term > 1e-18 * total:
        term *= (p + 0.5 + n) / (p + 1 + n) * error
        total += term
        n += 1
    share = power * math.sqrt(1 - error) / (p * beta) * total / 2
    return Cap(share, power / ((dim - 1) * beta * share))


def points(key: int, dim: int, places: Words) -> Floats:
    """Return the points of the stream at these places, each uniform on the unit sphere.

    The squared lengths of d/2 pairs of coordinates are the spacings of d/2 - 1 sorted uniforms, and each pair points as
    a point uniform in the disk does, of which the first of a sequence that falls into the disk is taken. That point's
    squared length is uniform and independent of its direction, so it serves as one of those uniforms.

    Parameters
    ----------
    key
        Philox key of the stream, 64 bits.
    dim
        d, even, 4 to 16.
    places
        uint64 below 2**61, shape (n,). Pair i of place j takes counter 8 j + i, the trial is in the upper half.

    Returns
    -------
    Shape (n, d).

    Examples
    --------
    >>> z = points(7, 4, np.array([0, 5], np.uint64))
    >>> np.square(z).sum(axis=1).round(12).tolist()
    [1.0, 1.0]
    """
    pairs = dim // 2
    counters = ((places << np.uint64(3))[:, None] | np.arange(pairs, dtype=np.uint64)).ravel()
    disk, squares = np.empty((counters.size, 2)), np.empty(counters.size)
    left = np.arange(counters.size)
    trial = 0
    while left.size:
        # Whole numbers and a half, so that no coordinate is 0 and both signs are alike.
        drawn = (philox(key, trial, counters[left]) + 0.5) * 2.0**-31 - 1.0
        square = drawn[:, 0::2] * drawn[:, 0::2] + drawn[:, 1::2] * drawn[:, 1::2]
        half = (square[:, 0] >= 1).astype(np.int64)
        rows = np.arange(left.size)
        disk[left, 0], disk[left, 1] = drawn[rows, 2 * half], drawn[rows, 2 * half + 1]
        squares[left] = square[rows, half]
        left = left[squares[left] >= 1]
        trial += 1
    lengths = squares.reshape(-1, pairs)
    ends = np.zeros((places.size, pairs + 1))
    ends[:, 1:pairs] = np.sort(lengths[:, : pairs - 1], axis=1)
    ends[:, pairs] = 1.0
    scales = np.sqrt((ends[:, 1:] - ends[:, :-1]) / lengths)
    return (disk * scales.reshape(-1, 1)).reshape(places.size, dim)
