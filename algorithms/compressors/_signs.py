"""Signs on the wire, one bit each, and the sums of magnitudes that scale them.

Long vectors go through compiled kernels, short ones through numpy, to the same bytes: sums add in fixed lanes.
"""

from __future__ import annotations

import math
from functools import cache
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from algorithms.compressors._base import BaseCompressor
from algorithms.compressors._bits import BitReader, BitWriter, FloatBit
from algorithms.compressors._norms import norm1, norms
from netsim.errors import DecodeError
from netsim.interfaces import Array

COMPILED_FROM = 8192  # entries; below, numpy is quick enough and numba is never imported

_LANES = 16
_KEYS: dict[int, Any] = {4: np.uint32, 8: np.uint64}  # by bytes of a float

Floats = npt.NDArray[np.float64]
F = TypeVar("F", np.float32, np.float64)


@cache
def _kernels() -> ModuleType:
    from algorithms.compressors import _signs_nb

    return _signs_nb


def write_signs(out: BitWriter, x: Array) -> None:
    """One bit an entry: 1 where it is below 0, 0 elsewhere, both zeros included.

    Parameters
    ----------
    x
        float32 or float64, shape (d,), C-contiguous.

    Examples
    --------
    >>> out = BitWriter()
    >>> write_signs(out, np.array([-1.0, 0.0, -0.0, 2.0, -5e-324]))
    >>> bin(out.getvalue()[0])
    '0b10001'
    """
    if x.size < COMPILED_FROM:
        out.signs(x < 0)
        return
    key = _KEYS[x.itemsize]
    negative = (-np.nextafter(x.dtype.type(0), x.dtype.type(1))).view(key)
    words, whole = np.zeros(-(-x.size // 64), np.uint64), x.size // 64
    _kernels().pack(x.view(key), ~key(0), negative, words[:whole])
    octets = words.astype("<u8", copy=False).view(np.uint8)
    tail = np.packbits(x[64 * whole :] < 0, bitorder="little")
    octets[8 * whole : 8 * whole + tail.size] = tail
    out.packed(octets[: (x.size + 7) >> 3], x.size)


def read_signs(
    src: BitReader, count: int, plus: float, minus: float | None = None, dtype: type[F] | None = None
) -> npt.NDArray[F]:
    """A number for each of `count` bits: `minus` where it is 1, `plus` where it is 0.

    Parameters
    ----------
    plus, minus
        The two numbers; without `minus` it is -plus.
    dtype
        float64 (None) or float32.

    Raises
    ------
    DecodeError
        If fewer bits are left.

    Examples
    --------
    >>> read_signs(BitReader(b"\\x05"), 4, 0.5).tolist()
    [-0.5, 0.5, -0.5, 0.5]
    """
    kind: Any = dtype or np.float64
    pair = np.array([plus, -plus if minus is None else minus], kind)
    octets = src.packed(count)
    if count < COMPILED_FROM:
        return pair[np.unpackbits(octets, count=count, bitorder="little")]
    whole = count // 64
    words = octets[: 8 * whole].view("<u8").astype(np.uint64, copy=False)
    values: npt.NDArray[F] = np.empty(count, kind)
    key = _KEYS[values.itemsize]
    _kernels().unpack(words, pair.view(key)[0], pair.view(key)[1], values.view(key))
    values[64 * whole :] = pair[np.unpackbits(octets[8 * whole :], count=count % 64, bitorder="little")]
    return values


def read_scales(src: BitReader, count: int, float_bit: FloatBit) -> Floats:
    """`count` numbers that no encoder writes with a minus.

    Raises
    ------
    DecodeError
        If one is negative or not finite, or too few bits are left.
    """
    scales = src.floats(count, float_bit)
    if (scales < 0).any():
        raise DecodeError(f"payload: a scale is 0 or more. Got {scales[scales < 0][0]}.")
    return scales


def magnitude_means(x: Array, block: int) -> Floats:
    """mean |x_i| of each `block` entries, the last of those that are left; shape (ceil(d / block),).

    Also right where a sum is beyond float64. Not finite only where an entry of the block is not.

    Parameters
    ----------
    x
        float32 or float64, shape (d,), C-contiguous.
    block
        1 or more.

    Examples
    --------
    >>> magnitude_means(np.array([1.0, -3.0, 0.5]), 2).tolist()
    [2.0, 0.5]
    """
    block = min(block, x.size)
    sums = norms(x, block, 1.0)
    sizes = np.full(sums.size, float(block))
    sizes[-1] = x.size - block * (sums.size - 1)
    means: Floats = sums / sizes
    for b in np.flatnonzero(~np.isfinite(sums)):
        part = x[b * block : (b + 1) * block]
        peak = float(np.abs(part).max())
        if math.isfinite(peak):
            means[b] = peak * (norm1(part, peak) / part.size)
    return means


def column_sums(x: Array, columns: int) -> tuple[Floats, Floats, Floats]:
    """Of a matrix of so many columns, row by row: sums of entries >= 0, of the others' magnitudes, and their number.

    Parameters
    ----------
    x
        Finite, float32 or float64, shape (rows * columns,), C-contiguous.
    columns
        1 or more.

    Examples
    --------
    >>> [a.tolist() for a in column_sums(np.array([1.0, -3.0, 0.5, -1.0]), 2)]
    [[1.5, 0.0], [0.0, 4.0], [0.0, 2.0]]
    """
    lanes = -(-_LANES // columns)
    sums = np.zeros((3, lanes * columns))
    with np.errstate(over="ignore"):
        if x.size >= COMPILED_FROM:
            _kernels().part_sums(x, sums[0], sums[1], sums[2])
        else:
            _part_sums(x, sums)
        folded = sums.reshape(3, lanes, columns)
        total = folded[:, 0].copy()
        for lane in range(1, lanes):
            total += folded[:, lane]
    return total[0], total[1], total[2]


def rounded_up(codec: BaseCompressor, value: float, float_bit: FloatBit, what: str = "scale") -> Array:
    """A number in the wire's float, the next one above where rounding made it smaller; shape (1,).

    Raises
    ------
    EncodeError
        If it is beyond that type.
    """
    floats = codec.rounded(np.array([value]), float_bit, what=what)
    if float(floats[0]) < value:
        with np.errstate(over="ignore", under="ignore"):
            floats = np.nextafter(floats, floats.dtype.type(np.inf))
        codec.rounded(floats.astype(np.float64), float_bit, what=what)
    return floats


def _part_sums(x: Array, sums: Floats) -> None:
    """What the kernel of the same name computes."""
    below = x < 0
    magnitudes = np.abs(x).astype(np.float64, copy=False)
    period = sums.shape[1]
    whole = x.size - x.size % period
    parts = np.where(below, 0.0, magnitudes), np.where(below, magnitudes, 0.0), below.astype(np.float64)
    for row, part in zip(sums, parts, strict=True):
        if whole:
            # `accumulate` adds one row after the other by definition; `reduce` may pair them.
            row[:] = np.add.accumulate(part[:whole].reshape(-1, period), axis=0)[-1]
        row[: x.size - whole] += part[whole:]
