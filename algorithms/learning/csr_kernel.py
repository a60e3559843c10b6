"""Passes over sparse rows for `algorithms.learning.rows`, compiled: the same bits as its numpy paths.

Every sum runs in the order of the stored entries, and no fastmath changes it.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from netsim.compiling import kernel
from netsim.interfaces import Floats

_F8 = types.Array(types.float64, 1, "C", readonly=True)
_ROWS = types.Array(types.int64, 1, "C", readonly=True)
_U4 = types.Array(types.uint32, 1, "C", readonly=True)
_OUT = types.Array(types.float64, 1, "C")

_AHEAD = 3  # rows of a minibatch lie far apart: what this many rows on will need is fetched now
_LINE_BYTES = 64
_I8, _I32 = ir.IntType(8), ir.IntType(32)


@intrinsic
def _fetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask the cache for the line of array[index], without waiting for it."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = [_I8.as_pointer(), _I32, _I32, _I32]
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", kinds[:1], ir.FunctionType(ir.VoidType(), kinds))
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), kinds[0])
        builder.call(prefetch, [place, _I32(0), _I32(3), _I32(1)])  # to read, often, data
        return context.get_dummy_value()

    return types.void(array, types.intp), build


# A call has no typing context: to the type checker, too, it is what the compiler sees.
fetch: Any = _fetch


# One signature is all that callers have; compiled when the module is imported, it needs no look at arguments later.
_SIGNATURE = types.void(_ROWS, _U4, _F8, _ROWS, _F8, _OUT)


@kernel(signature=_SIGNATURE)
def dots(starts: Any, columns: Any, values: Any, rows: Any, w: Floats, out: Floats) -> None:
    """Set out_i to x_r'w for the i-th row r."""
    for i in range(rows.size):
        # The lines of a row that comes soon.
        ahead = rows[min(i + _AHEAD, rows.size - 1)]
        for j in range(starts[ahead], starts[ahead + 1], _LINE_BYTES // 8):
            fetch(values, j)
        for j in range(starts[ahead], starts[ahead + 1], _LINE_BYTES // 4):
            fetch(columns, j)
        # The row itself: columns say which entries of w it meets.
        total = 0.0
        for j in range(starts[rows[i]], starts[rows[i] + 1]):
            total += values[j] * w[columns[j]]
        out[i] = total


@kernel(signature=_SIGNATURE)
def add(starts: Any, columns: Any, values: Any, rows: Any, factors: Floats, out: Floats) -> None:
    """Add sum_i factors_i x_r to `out`, row by row."""
    for i in range(rows.size):
        factor = factors[i]
        for j in range(starts[rows[i]], starts[rows[i] + 1]):
            out[columns[j]] += factor * values[j]
