"""Signs on the wire, one bit each, and the sums of magnitudes that scale them.

Long vectors go through compiled kernels, short ones through numpy, to the same bytes: sums add in fixed lanes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algorithms.coding import kernels
from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.norms import norm1, norms
from netsim.compiling import IS_ON
from netsim.interfaces import Array, Floats

COMPILED_FROM = 32_768  # entries; below, numpy is quicker and numba is never imported
STREAMED_FROM_BYTES = 1 << 24  # of a vector; the caches of most processors hold less

_LANES = 16
# By bytes of a float: the type of its bits, all ones, and the bits of the negative number nearest to 0.
_KEYS: dict[int, tuple[Any, Any, Any]] = {
    4: (np.uint32, np.uint32(0xFFFFFFFF), np.uint32(0x80000001)),
    8: (np.uint64, np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0x8000000000000001)),
}


def write_signs(out: BitWriter, x: Array) -> None:
    """Write one bit an entry: 1 where it is below 0, 0 elsewhere, both zeros included.

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
    if not IS_ON or x.size < COMPILED_FROM:
        out.signs(x < 0)
        return
    key, every, negative = _KEYS[x.itemsize]
    words = np.empty(-(-x.size // 64), np.uint64)
    kernels.signs.pack(x.view(key), every, negative, words)
    out.packed(words.astype("<u8", copy=False).view(np.uint8)[: (x.size + 7) >> 3], x.size)


def read_signs(src: BitReader, count: int, plus: float, minus: float | None = None, into: Array | None = None) -> Array:
    r"""Read a number for each of `count` bits: `minus` where it is 1, `plus` where it is 0.

    Parameters
    ----------
    plus, minus
        The two numbers; without `minus` it is -plus.
    into
        float32 or float64, shape (count,), C-contiguous: filled and returned; None: a new float64 vector. Memory that
        is used again costs half as much as memory that is new.

    Raises
    ------
    DecodeError
        If fewer bits are left.

    Examples
    --------
    >>> read_signs(BitReader(b"\x05"), 4, 0.5).tolist()
    [-0.5, 0.5, -0.5, 0.5]
    """
    octets = src.packed(count)
    x: Array = np.empty(count) if into is None else into
    pair = np.array([plus, -plus if minus is None else minus], x.dtype)
    if not IS_ON or count < COMPILED_FROM:
        bits = np.unpackbits(octets, count=count, bitorder="little")
        if minus is None:
            np.multiply(1 - 2 * bits.view(np.int8), pair[0], out=x)
        else:
            x[:] = pair[bits]
        return x
    whole, key = count // 64, _KEYS[x.itemsize][0]
    words = octets[: 8 * whole].view("<u8").astype(np.uint64, copy=False)
    _unpack(words, pair.view(key)[0], pair.view(key)[1], x.view(key)[: 64 * whole])
    x[64 * whole :] = pair[np.unpackbits(octets[8 * whole :], count=count % 64, bitorder="little")]
    return x


def _unpack(words: Any, plus: Any, minus: Any, keys: Any) -> None:
    if keys.nbytes < STREAMED_FROM_BYTES or not keys.flags.aligned:
        kernels.signs.unpack(words, plus, minus, keys)
    else:
        skip = -keys.ctypes.data % kernels.signs.CACHE_LINE_BYTES // keys.itemsize
        kernels.signs.unpack_streamed(words, plus, minus, keys, skip)


def magnitude_means(x: Array, block: int) -> Floats:
    """Return mean |x_i| of each `block` entries, the last of those that are left; shape (ceil(d / block),).

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
    """Return for each column of a matrix the sum of entries >= 0, of the other magnitudes, and their number.

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
        if IS_ON and x.size >= COMPILED_FROM:
            kernels.signs.part_sums(x, sums[0], sums[1], sums[2])
        else:
            _part_sums(x, sums)
        folded = sums.reshape(3, lanes, columns)
        total = folded[:, 0].copy()
        for lane in range(1, lanes):
            total += folded[:, lane]
    return total[0], total[1], total[2]


def _part_sums(x: Array, sums: Floats) -> None:
    """Add the result of the kernel of the same name, by numpy."""
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
