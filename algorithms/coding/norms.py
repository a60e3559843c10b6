"""Norms of vectors and of their buckets, the same to the last bit on every processor.

Sums run in 16 lanes whose order is fixed: entry i of its bucket belongs to lane i mod 16, and the lanes are added
from the first to the last. Long vectors are summed by a compiled kernel, short ones by numpy.
"""

from __future__ import annotations

import math

import numpy as np

from algorithms.coding import kernels
from netsim.compiling import pays
from netsim.interfaces import Array, Floats

COMPILED_FROM = 8192  # entries
LANES = 16

_BLOCK = 65536
_PLAIN, _MAGNITUDE, _SQUARE = 0, 1, 2
_LEAST_SQUARES = 2.0**-960  # below, squares may have lost bits


def norm1(x: Array, scale: float = 1.0) -> float:
    """Return ||x||_1 / scale; infinite where that is beyond float64.

    Examples
    --------
    >>> norm1(np.array([3.0, -4.0]), 2.0)
    3.5
    """
    factor, rest = _split(scale)
    return float(_sums(x, x.size, _MAGNITUDE, factor=factor)[0]) / rest


def norm2(x: Array, scale: float = 1.0) -> float:
    """Return ||x||_2 / scale, where squares of x_i / scale neither overflow nor vanish; infinite or 0 where all do.

    Parameters
    ----------
    scale
        Above 0, such as the largest magnitude.

    Examples
    --------
    >>> norm2(np.array([3.0, -4.0]), 2.0)
    2.5
    """
    factor, rest = _split(scale)
    return math.sqrt(float(_sums(x, x.size, _SQUARE, factor=factor)[0])) / rest


def peaks(x: Array, bucket: int) -> Floats:
    """Return max |x_i| of each bucket, float64; NaN where there is one.

    Parameters
    ----------
    bucket
        Entries of a bucket; the last may have fewer.

    Returns
    -------
    Shape (ceil(d / bucket),).
    """
    if bucket >= x.size:
        return np.abs(np.array([np.maximum(x.max(), -x.min())], np.float64))
    group = max(_BLOCK // bucket, 1) * bucket
    parts = [
        np.maximum.reduceat(np.abs(x[start : start + group]), np.arange(0, min(group, x.size - start), bucket))
        for start in range(0, x.size, group)
    ]
    return np.concatenate(parts).astype(np.float64)


def norms(x: Array, bucket: int, p: float = 2.0) -> Floats:
    """Return ||.||_p of each bucket, float64, shape (ceil(d / bucket),).

    Never overflows or vanishes on the way; infinite where the norm itself is beyond float64, and infinite or NaN where
    an entry is.

    Parameters
    ----------
    x
        float32 or float64, shape (d,).
    bucket
        Entries of a bucket; the last may have fewer.
    p
        1 or more; ``math.inf`` for the largest magnitude. Powers other than 1 and 2 are made of products and square
        roots, which are the same everywhere; their exponent is p to 40 binary digits.

    Examples
    --------
    >>> norms(np.array([3.0, -4.0, 2.0]), 2).tolist(), norms(np.array([3.0, -4.0, 2.0]), 3, 1.0).tolist()
    ([5.0, 2.0], [9.0])
    """
    bucket = min(bucket, x.size)
    if p == math.inf:
        return peaks(x, bucket)
    if p == 1:
        return _sums(x, bucket, _MAGNITUDE)
    if p != 2:
        top = peaks(x, bucket)
        parts = (x[i * bucket : (i + 1) * bucket] for i in range(top.size))
        return np.array([_norm_p(part, peak, p) for part, peak in zip(parts, top.tolist(), strict=True)])
    squares = _sums(x, bucket, _SQUARE)
    found: Floats = np.sqrt(squares)
    if x.dtype == np.float64:
        doubtful = np.flatnonzero(~((squares > _LEAST_SQUARES) & (squares < math.inf)))
        if doubtful.size:
            top = peaks(x, bucket)
            found[doubtful] = top[doubtful]
            for i in doubtful[(top[doubtful] > 0) & (top[doubtful] < math.inf)].tolist():
                peak = float(top[i])
                found[i] = norm2(x[i * bucket : (i + 1) * bucket], peak) * peak
    return found


def deviation(x: Array) -> float:
    """Return the standard deviation of the entries, sqrt(mean (x_i - mean)^2); infinite where it is beyond float64."""
    peak = float(peaks(x, x.size)[0])
    if not 0 < peak < math.inf:
        return peak
    factor, rest = _split(peak)
    mean = float(_sums(x, x.size, _PLAIN, factor=factor)[0]) / x.size
    squares = float(_sums(x, x.size, _SQUARE, offset=mean / factor, factor=factor)[0])
    return math.sqrt(squares / x.size) / rest * peak


def _split(scale: float) -> tuple[float, float]:
    """Return a power of two by which numbers up to `scale` come near 1 without rounding, and scale times it."""
    scale = float(scale)
    exponent = max(math.frexp(scale)[1], -1000)
    factor = math.ldexp(1.0, -exponent)
    return factor, scale * factor


def _sums(x: Array, bucket: int, kind: int, offset: float = 0.0, factor: float = 1.0) -> Floats:
    count = -(-x.size // bucket)
    if pays(x.size, COMPILED_FROM):
        lanes = np.empty((count, LANES))
        kernels.norms.lane_sums(x, bucket, offset, factor, kind, lanes)
    else:
        lanes = _lane_sums(x, bucket, kind, offset, factor)
    with np.errstate(over="ignore", invalid="ignore"):
        # `accumulate` adds one after the other by definition; `reduce` may pair them.
        total: Floats = np.add.accumulate(lanes, axis=1)[:, -1]
    return total


def _lane_sums(x: Array, bucket: int, kind: int, offset: float, factor: float) -> Floats:
    """Return the result of the kernel of the same name, by numpy."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        y: Floats = (x.astype(np.float64) - offset) * factor
        y = np.square(y) if kind == _SQUARE else np.abs(y) if kind == _MAGNITUDE else y
        whole, width = x.size // bucket, -(-bucket // LANES) * LANES
        rows = np.zeros((-(-x.size // bucket), width))
        rows[:whole, :bucket] = y[: whole * bucket].reshape(whole, bucket)
        rows[whole:, : x.size - whole * bucket] = y[whole * bucket :]
        sums: Floats = np.add.accumulate(rows.reshape(rows.shape[0], -1, LANES), axis=1)[:, -1]
    return sums


def _norm_p(x: Array, peak: float, p: float) -> float:
    if not 0 < peak < math.inf:
        return peak
    total = 0.0
    with np.errstate(under="ignore"):
        for start in range(0, x.size, _BLOCK):
            shares: Floats = np.abs(x[start : start + _BLOCK]).astype(np.float64) / peak
            total += float(np.add.reduce(_power(shares, p)))
    low, high = 1.0, max(total, 1.0)
    while low < (middle := low + (high - low) / 2) < high:
        reached = float(_power(np.array([middle]), p)[0]) >= total
        low, high = (low, middle) if reached else (middle, high)
    return high * peak


def _power(y: Floats, p: float) -> Floats:
    """Return y^p for y >= 0: whole powers by products, binary digits of the rest by square roots."""
    whole, rest = divmod(p, 1.0)
    result, square, n = np.ones_like(y), y, int(whole)
    with np.errstate(over="ignore", under="ignore"):
        while n:
            if n & 1:
                result = result * square
            n >>= 1
            if n:
                square = square * square
        root = y
        for _ in range(40):
            if rest == 0:
                break
            root, rest = np.sqrt(root), rest * 2
            if rest >= 1:
                result, rest = result * root, rest - 1
    return result
