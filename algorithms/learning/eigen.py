"""The largest eigenvalue of a weighted Gram matrix, as an upper bound that is the same everywhere."""

from __future__ import annotations

import math

import numpy as np

from algorithms.learning.rows import Rows, Span
from netsim.errors import DataError
from netsim.interfaces import Floats
from netsim.rng import stream

_GRAM_FLOP_MAX = 1e8
_SAFETY = 2.0**-34
_GRID = 2.0**32


def largest_eigenvalue(rows: Rows, span: Span, weights: Floats) -> float:
    """Return lmax(sum_i weights_i x_i x_i'), rounded up by at most 6e-10 of itself.

    Small problems take all eigenvalues of the smaller Gram matrix, large ones Lanczos' method from a fixed
    start to machine precision. Both err by less than 2^-34 of the value, which is added; the sum is rounded up to 32
    significant bits, so that neither the method nor the BLAS in use shows in the result.

    Parameters
    ----------
    rows, span
        The matrix and which of its rows; the span has no batch.
    weights
        Non-negative, one for each row of the span.
    """
    side = min(span.size, rows.dim)
    if side == 1 or (rows.entries(span) + side**2) * side <= _GRAM_FLOP_MAX:
        exact = float(np.linalg.eigvalsh(rows.gram(span, weights))[-1])
    else:
        exact = _lanczos(rows, span, weights)
    return round_up(exact)


def round_up(value: float) -> float:
    """Return `value` with 2^-34 of itself added, rounded up to 32 significant bits; 0 where it is not positive.

    Raises
    ------
    DataError
        If it is not finite.

    Examples
    --------
    >>> 1 < round_up(1.0) <= 1 + 6e-10
    True
    """
    if not math.isfinite(value):
        allowed = "features whose Gram matrix has a largest eigenvalue, which bounds the curvature, are needed"
        raise DataError(f"{allowed}. Got {value}.")
    if value <= 0:
        return 0.0
    mantissa, exponent = math.frexp(value * (1 + _SAFETY))
    return math.ldexp(math.ceil(mantissa * _GRID) / _GRID, exponent)


def _lanczos(rows: Rows, span: Span, weights: Floats) -> float:
    from scipy.sparse.linalg import LinearOperator, eigsh

    block, margins, zero = rows.take(span), np.empty(span.size), np.zeros(rows.dim)
    roots = np.sqrt(weights)

    def by_columns(v: Floats) -> Floats:
        rows.dots(block, np.ascontiguousarray(v.reshape(-1)), margins)
        return rows.combine(block, weights * margins, zero, 0.0)

    def by_rows(v: Floats) -> Floats:
        rows.dots(block, rows.combine(block, roots * v.reshape(-1), zero, 0.0), margins)
        return roots * margins

    side, apply = (span.size, by_rows) if span.size < rows.dim else (rows.dim, by_columns)
    start = stream(0, 0, -1, "lanczos").standard_normal(side)
    operator = LinearOperator((side, side), matvec=apply, dtype=np.float64)
    return float(eigsh(operator, 1, which="LA", v0=start, return_eigenvectors=False)[0])
