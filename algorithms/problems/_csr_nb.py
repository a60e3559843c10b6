"""Compiled twins of the numpy paths of `_rows.SparseRows`: every sum runs in the order of the stored entries.

No fastmath: both paths make the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, types

Floats = npt.NDArray[np.float64]

_F8 = types.Array(types.float64, 1, "C", readonly=True)
_I8 = types.Array(types.int64, 1, "C", readonly=True)
_U4 = types.Array(types.uint32, 1, "C", readonly=True)
_OUT = types.Array(types.float64, 1, "C")


def _dots(starts: Any, columns: Any, values: Any, rows: Any, w: Floats, out: Floats) -> None:
    """out_i = x_r'w for the i-th row r."""
    for i in range(rows.size):
        total = 0.0
        for j in range(starts[rows[i]], starts[rows[i] + 1]):
            total += values[j] * w[columns[j]]
        out[i] = total


def _add(starts: Any, columns: Any, values: Any, rows: Any, factors: Floats, out: Floats) -> None:
    """out += sum_i factors_i x_r."""
    for i in range(rows.size):
        factor = factors[i]
        for j in range(starts[rows[i]], starts[rows[i] + 1]):
            out[columns[j]] += factor * values[j]


_compile = njit(types.void(_I8, _U4, _F8, _I8, _F8, _OUT), cache=True)

dots, add = _compile(_dots), _compile(_add)
