"""Compiled twins of the products in `low_rank`: each sum in the order of its terms, as there."""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(cache=True)
def right(matrix: Any, q: Any, out: Any) -> None:
    """out += matrix @ q; float64, shapes (n, m), (m, r), (n, r)."""
    for i in range(matrix.shape[0]):
        for c in range(matrix.shape[1]):
            a = matrix[i, c]
            for j in range(q.shape[1]):
                out[i, j] += a * q[c, j]


@njit(cache=True)
def left(matrix: Any, p: Any, out: Any) -> None:
    """out += p.T @ matrix; float64, shapes (n, m), (n, r), (r, m)."""
    for i in range(matrix.shape[0]):
        for j in range(p.shape[1]):
            a = p[i, j]
            for c in range(matrix.shape[1]):
                out[j, c] += a * matrix[i, c]
