"""Products of `algorithms.compressors.low_rank`, compiled.

BLAS adds in an order that depends on the processor. Here each sum adds its terms in the order of their index, as the
numpy path does, so that the bytes are the same everywhere; the innermost loops run along rows and become vector code.
"""

from __future__ import annotations

from typing import Any

from netsim.compiling import kernel


@kernel
def right(matrix: Any, q: Any, out: Any) -> None:
    """Add matrix @ q to `out`; float64, shapes (n, m), (m, r), (n, r)."""
    for i in range(matrix.shape[0]):
        for c in range(matrix.shape[1]):
            # Entry (i, c) times row c of q: r sums grow side by side.
            a = matrix[i, c]
            for j in range(q.shape[1]):
                out[i, j] += a * q[c, j]


@kernel
def left(matrix: Any, p: Any, out: Any) -> None:
    """Add p.T @ matrix to `out`; float64, shapes (n, m), (n, r), (r, m)."""
    for i in range(matrix.shape[0]):
        for j in range(p.shape[1]):
            # Entry (i, j) of p times row i of the matrix: m sums grow side by side.
            a = p[i, j]
            for c in range(matrix.shape[1]):
                out[j, c] += a * matrix[i, c]
