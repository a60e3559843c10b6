"""A vector as what changed since one that its receiver has: exact, and short where little changed."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from algorithms.coding.bits import BitReader, BitWriter, FloatBit
from algorithms.coding.codec import Codec, PaperBits
from algorithms.coding.indices import (
    index_bit,
    least_index_bit,
    most_index_bit,
    read_count,
    read_indices,
    write_count,
    write_indices,
)
from algorithms.coding.sizes import lg
from netsim.interfaces import Array, Indices, Key


class Changes(Codec):
    """Positions and new values of the entries that differ from a vector that both ends have, bit for bit.

    Payload: lg(d + 1) bits of the count T, the positions in the shortest index code (3 bits name it), T FPP bits of
    values. No paper has a formula for it: its paper bits are positions and values as they stand in the payload.

    Two codes are equal where they start from the same array object, so that all receivers of one broadcast, who share
    the version before, share the decoded vector, too.

    Parameters
    ----------
    since
        The vector that the receiver has, shape (d,); nobody writes to it any more.
    float_bit
        FPP.

    Examples
    --------
    >>> before, after = np.zeros(100), np.zeros(100)
    >>> after[[3, 50]] = 1.5
    >>> code = Changes(before, 32)
    >>> payload = code.encode_keyed(after, Key(0, 0))
    >>> len(payload.data), np.flatnonzero(code.decode(payload.data, 100)).tolist()
    (11, [3, 50])
    """

    name: ClassVar[str] = "changes"
    draws: ClassVar[bool] = False

    def __init__(self, since: Array, float_bit: FloatBit) -> None:
        self.since, self.float_bit = since, float_bit

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Changes) and self.since is other.since and self.float_bit == other.float_bit

    def __hash__(self) -> int:
        return hash((id(self.since), self.float_bit))

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append count, positions and values."""
        changed = differing(self.since, x)
        write_count(out, changed.size, x.size)
        positions_bit = write_indices(out, changed, x.size, "auto")
        out.floats(self.rounded(x[changed], self.float_bit, changed), self.float_bit)
        return PaperBits(positions_bit, changed.size * self.float_bit)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Take the changes off the bit stream, and return the whole vector."""
        changed = read_indices(src, read_count(src, dim), dim, "auto")
        x = self.since.astype(np.float64)
        x[changed] = src.floats(changed.size, self.float_bit)
        return x

    def decode_as(self, data: bytes, dim: int, dtype: np.dtype[Any]) -> Array:
        """Return the decoded vector in another type of float; see `netsim.interfaces.DecodesAs`."""
        src = BitReader(data)
        changed = read_indices(src, read_count(src, dim), dim, "auto")
        values = src.raw_floats(changed.size, self.float_bit)
        src.finish()
        x = self.since.astype(dtype)
        x[changed] = values
        return x

    def max_size_bytes(self, dim: int) -> int:
        """Return the bytes where every entry changed."""
        return -(-(lg(dim + 1) + most_index_bit(dim, dim, "auto") + dim * self.float_bit) // 8)


def differing(a: Array, b: Array) -> Indices:
    """Return the places at which two vectors of one type differ in a bit; 0.0 and -0.0 do."""
    return np.flatnonzero(_differs(a, b))


def _differs(a: Array, b: Array) -> npt.NDArray[np.bool_]:
    words = f"u{a.dtype.itemsize}"
    found: npt.NDArray[np.bool_] = a.view(words) != b.view(words)
    return found


def changes_bit(since: Array, x: Array, float_bit: FloatBit, limit_bit: int) -> int:
    """Return the bits that `Changes` needs; beyond `limit_bit` a lower bound, as finding the index code takes long."""
    is_changed, dim = _differs(since, x), x.size
    count = int(np.count_nonzero(is_changed))
    others_bit = lg(dim + 1) + count * float_bit
    least_bit = others_bit + least_index_bit(count, dim)
    return least_bit if least_bit >= limit_bit else others_bit + index_bit(np.flatnonzero(is_changed), dim, "auto")
