"""Sums over long vectors in 16 fixed lanes: nearly as quick as a copy, and the same bits on every processor.

A compiler may not change the order of floating-point additions, so that a plain loop adds one number at a time. Here
the order is written as 16 sums side by side, which any processor's vectors hold in one way or another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from netsim.compiling import kernel

LANES = 16
PLAIN, MAGNITUDE, SQUARE = 0, 1, 2

_I32 = ir.IntType(32)
_DOUBLES, _WORDS = ir.VectorType(ir.DoubleType(), LANES), ir.VectorType(ir.IntType(64), LANES)
_FIRST = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)


def _adder(kind: int) -> Any:
    """Return an instruction of LLVM's vectors that adds 16 terms y, |y| or y^2 (by `kind`) to 16 sums."""

    @intrinsic
    def add(typing_context: Any, sums: Any, x: Any, start: Any, offset: Any, factor: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            sums_of, x_of, first, *scalars = arguments
            array = signature.args[1]
            bits = array.dtype.bitwidth
            blank = ir.Constant(_DOUBLES, ir.Undefined)
            lane0 = (builder.insert_element(blank, scalar, ir.Constant(_I32, 0)) for scalar in scalars)
            offsets, factors = (builder.shuffle_vector(one, blank, _FIRST) for one in lane0)
            # 16 entries, widened to float64 where they are float32: y = (x - offset) factor.
            place = builder.gep(context.make_array(array)(context, builder, x_of).data, [first])
            source = ir.VectorType(context.get_data_type(array.dtype), LANES)
            loaded = builder.load(builder.bitcast(place, source.as_pointer()))
            loaded.align = bits // 8
            y = builder.fpext(loaded, _DOUBLES) if bits == 32 else loaded
            y = builder.fmul(builder.fsub(y, offsets), factors)
            if kind == SQUARE:
                y = builder.fmul(y, y)
            elif kind == MAGNITUDE:
                # |y| clears the sign bit.
                mask = ir.Constant(_WORDS, [0x7FFFFFFFFFFFFFFF] * LANES)
                y = builder.bitcast(builder.and_(builder.bitcast(y, _WORDS), mask), _DOUBLES)
            # The sums are loaded and stored here; the compiler keeps them in registers through a loop.
            target = context.make_array(signature.args[0])(context, builder, sums_of).data
            target = builder.bitcast(target, _DOUBLES.as_pointer())
            old = builder.load(target)
            old.align = 8
            builder.store(builder.fadd(old, y), target).align = 8
            return context.get_dummy_value()

        return types.void(sums, x, types.intp, types.float64, types.float64), build

    return add


_add, _add_magnitudes, _add_squares = (_adder(kind) for kind in (PLAIN, MAGNITUDE, SQUARE))


@kernel
def lane_sums(x: Any, bucket: int, offset: float, factor: float, kind: int, lanes: Any) -> None:
    """Add up each bucket: its entry i adds y, |y| or y^2 to lane i mod 16, y = (x_i - offset) factor.

    Parameters
    ----------
    x
        float32 or float64, shape (d,).
    bucket
        Entries of a bucket; the last may have fewer.
    kind
        0: y, 1: |y|, 2: y^2.
    lanes
        float64, shape (ceil(d / bucket), 16), filled here.
    """
    sums = np.empty(LANES)
    for b in range(lanes.shape[0]):
        part = x[b * bucket : min((b + 1) * bucket, x.size)]
        sums[:] = 0.0
        # One loop for each kind: a branch inside would cost more than the addition.
        whole = part.size - part.size % LANES
        if kind == SQUARE and offset == 0 and factor == 1:
            for i in range(0, whole, LANES):  # with these constants half of the operations fall away
                _add_squares(sums, part, i, 0.0, 1.0)
        elif kind == SQUARE:
            for i in range(0, whole, LANES):
                _add_squares(sums, part, i, offset, factor)
        elif kind == MAGNITUDE:
            for i in range(0, whole, LANES):
                _add_magnitudes(sums, part, i, offset, factor)
        else:
            for i in range(0, whole, LANES):
                _add(sums, part, i, offset, factor)
        # The last entries, fewer than 16, go to the first lanes.
        for j in range(part.size - whole):
            y = (np.float64(part[whole + j]) - offset) * factor
            sums[j] += y * y if kind == SQUARE else (abs(y) if kind == MAGNITUDE else y)
        for j in range(LANES):  # an assignment of arrays would compile numba's messages about their shapes, too
            lanes[b, j] = sums[j]
