"""Numbers 0, 1 and 2 on the wire: five to the octet, 1.6 bits each where log2 3 = 1.585 would do."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from algorithms.coding.bits import BitReader, BitWriter
from netsim.errors import DecodeError

Trits = npt.NDArray[np.uint8]

_OCTETS = 65536  # decoded together


def trits_bit(count: int) -> int:
    """Return 8 ceil(count / 5) bits."""
    return 8 * -(-count // 5)


def write_trits(out: BitWriter, trits: npt.ArrayLike) -> None:
    """Write octets sum t_i 3**i of five trits in a row; zeros fill the last one.

    Examples
    --------
    >>> out = BitWriter()
    >>> write_trits(out, [1, 2, 0, 0, 0, 2])
    >>> list(out.getvalue())
    [7, 2]
    """
    numbers = np.ascontiguousarray(trits, np.uint8)
    octets = np.zeros(-(-numbers.size // 5), np.uint8)
    for i in range(5):
        part = numbers[i::5]
        octets[: part.size] += part * np.uint8(3**i)
    out.packed(octets, 8 * octets.size)


def read_trits(src: BitReader, count: int) -> Trits:
    """Read the numbers of `write_trits`, uint8, shape (count,).

    Raises
    ------
    DecodeError
        If an octet exceeds 242, those that fill the last one are not zero, or too few bits are left.
    """
    octets = src.packed(trits_bit(count))
    if octets.size and int(octets.max()) > 242:
        raise DecodeError(f"payload: an octet of five trits is at most 242. Got {octets.max()}.")
    table = _table()
    trits = np.empty(5 * octets.size, np.uint8)
    for start in range(0, octets.size, _OCTETS):
        part = octets[start : start + _OCTETS]
        trits[5 * start : 5 * (start + part.size)] = table[part].ravel()
    if trits[count:].any():
        raise DecodeError("payload: the trits that fill its last octet must be zero. Got others.")
    return trits[:count]


@cache
def _table() -> npt.NDArray[np.uint8]:
    return np.stack([np.arange(243) // 3**i % 3 for i in range(5)], axis=1).astype(np.uint8)
