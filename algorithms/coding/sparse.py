"""Codes that send some coordinates only: what they share, and the two ways to code what is kept."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from algorithms.coding import select
from algorithms.coding.bits import BitReader, BitWriter, FloatBit
from algorithms.coding.codec import FloatCodec, PaperBits, sealed
from algorithms.coding.indices import IndexCode, most_index_bit, read_count, read_indices, write_count, write_indices
from algorithms.coding.levels import read_scales
from algorithms.coding.sizes import CodeSize, lg
from netsim.errors import ConfigError, Fault
from netsim.fields import Fraction, PositiveInt
from netsim.interfaces import Array, Floats, Indices, Key, Payload


class SparseCompressor(FloatCodec):
    """A code that decodes to (indices, values), so that adding it to a vector costs O(T)."""

    @abstractmethod
    def read_entries(self, src: BitReader, dim: int, key: Key | None = None) -> tuple[Indices, Floats]:
        """Read the entries off the bit stream: indices, each once, and their values.

        Raises
        ------
        DecodeError
            If the bits are not of this codec; before anything larger than `dim` allows is allocated.
        """

    @abstractmethod
    def size(self, dim: int) -> CodeSize:
        """Return the bits as a function of the number of entries, lg d for each index."""

    @abstractmethod
    def max_entries(self, dim: int) -> int:
        """Return the most entries that a payload holds."""

    def decode_flop(self, dim: int) -> float:
        """Return one multiplication per entry."""
        return self.max_entries(dim)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        indices, values = self.read_entries(src, dim, key)
        x = np.zeros(dim)
        x[indices] = values
        return x

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Array:
        """Return the vector that `data` stands for; it exists only once all of `data` is accepted."""
        indices, values = self.entries(data, dim, key)
        x = np.zeros(dim)
        x[indices] = values
        return x

    def entries(self, data: bytes, dim: int, key: Key | None = None) -> tuple[Indices, Floats]:
        """Return the entries that `data` stands for; see `netsim.interfaces.SparseCode`."""
        src = BitReader(data)
        found = self.read_entries(src, dim, key)
        src.finish()
        return found

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Add `scale * decode(data, acc.size)` to `acc`, touching only the entries that were sent."""
        indices, values = self.entries(data, acc.size, key)
        acc[indices] += scale * values


@dataclass(frozen=True)
class IndexedCode(SparseCompressor):
    """A sparse code with an index section.

    Parameters
    ----------
    index
        How indices are coded; ``fixed`` is lg d each, ``auto`` the shortest code for each message.
    """

    index: IndexCode = field(default="fixed", kw_only=True)

    def max_size_bytes(self, dim: int) -> int:
        """Return an upper bound on the payload of a vector of that dimension."""
        size, most = self.size(dim), self.max_entries(dim)
        index_bit = most_index_bit(most, dim, self.index) - most * lg(dim)
        return math.ceil((size.count_bit + float(size.paper_bit(most)) + index_bit) / 8)


class EntryCode(IndexedCode):
    """An indexed code of any entries."""

    @abstractmethod
    def write_entries(self, indices: Indices, values: Array, dim: int, out: BitWriter) -> PaperBits:
        """Append values at ascending indices of a vector of that dimension."""


class SupportCode(EntryCode):
    """A code that first chooses coordinates and then writes what stands there."""

    draws: ClassVar[bool] = False
    write_checks: ClassVar[bool] = True  # the support holds every kind of entry that is refused

    @abstractmethod
    def support(self, x: Array) -> Indices:
        """Return the coordinates to keep, ascending; at least one where `x` holds NaN or infinity, and that one."""

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the entries of the support."""
        support = self.support(x)
        return self.write_entries(support, x[support], x.size, out)

    def decode_flop_at(self, src: BitReader, dim: int) -> float:
        """Return one multiplication for each entry that the payload holds."""
        return read_count(src, dim)

    def on(self, support: Indices) -> OnSupport:
        """Return this code for a vector whose coordinates to keep are known already."""
        return OnSupport(self, support)


class OnSupport:
    """A support code that is told which coordinates to keep, so that nobody looks for them twice.

    Parameters
    ----------
    code
        What writes and reads the entries.
    support
        Ascending coordinates; what `code.support` would find.
    """

    draws = shares_randomness = False

    def __init__(self, code: SupportCode, support: Indices) -> None:
        self._code, self._support = code, support
        self.decode, self.add_to, self.read = code.decode, code.add_to, code.read
        self.vector, self.check = code.vector, code.check
        self.encode_flop, self.decode_flop_of = code.encode_flop, code.decode_flop_of

    def encode_keyed(self, x: Array, key: Key) -> Payload:
        """Encode the entries of `x` at the support."""
        out = BitWriter()
        return sealed(out, self.write(self.vector(x), key, out))

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the entries of the support."""
        return self._code.write_entries(self._support, x[self._support], x.size, out)


class ValueCode(EntryCode):
    """Kept coordinates as floats: count, indices, values.

    Payload: lg(d+1) + T (lg d + FPP) bits, of which the papers count T (lg d + FPP); T lg d stands for the bits of the
    index section where `index` is another code.
    """

    def write_entries(self, indices: Indices, values: Array, dim: int, out: BitWriter) -> PaperBits:
        """Append count, indices and values."""
        floats = self.rounded(values, self.float_bit, indices)
        write_count(out, indices.size, dim)
        index_bit = write_indices(out, indices, dim, self.index)
        out.floats(floats, self.float_bit)
        return PaperBits(index_bit, indices.size * self.float_bit)

    def read_entries(self, src: BitReader, dim: int, key: Key | None = None) -> tuple[Indices, Floats]:
        """Read the entries off the bit stream."""
        count = read_count(src, dim)
        return read_indices(src, count, dim, self.index), src.floats(count, self.float_bit)

    def size(self, dim: int) -> CodeSize:
        """Return p0 = 0, p1 = lg d + FPP."""
        return CodeSize(paper0_bit=0, entry_bit=lg(dim) + self.float_bit, count_bit=lg(dim + 1))


class SignCode(EntryCode):
    """Kept coordinates as signs of one scale: count, scale, indices, signs; the count alone where nothing is kept.

    The scale is S(T)/T, the mean magnitude of what is kept: the multiple of the signs that is nearest to x.

    Payload: lg(d+1) + FPP + T (lg d + 1) bits, lg(d+1) where T = 0; the papers count FPP + T (lg d + 1). T lg d stands
    for the bits of the index section where `index` is another code.
    """

    def write_entries(self, indices: Indices, values: Array, dim: int, out: BitWriter) -> PaperBits:
        """Append count, scale, indices and signs."""
        write_count(out, indices.size, dim)
        if indices.size == 0:
            return PaperBits()
        self.require_finite(values, indices)
        self.write_scale(values, out)
        index_bit = write_indices(out, indices, dim, self.index)
        out.signs(values < 0)
        return PaperBits(index_bit, self.float_bit + indices.size)

    def write_scale(self, values: Array, out: BitWriter) -> None:
        """Append the mean magnitude of some values."""
        mean = np.array([mean_magnitude(values.astype(np.float64))])
        out.floats(self.rounded(mean, self.float_bit, what="scale"), self.float_bit)

    def read_entries(self, src: BitReader, dim: int, key: Key | None = None) -> tuple[Indices, Floats]:
        """Read the entries off the bit stream."""
        count = read_count(src, dim)
        if count == 0:
            return np.zeros(0, np.int64), np.zeros(0)
        scale = read_scale(src, self.float_bit)
        indices = read_indices(src, count, dim, self.index)
        return indices, np.where(src.signs(count), -scale, scale)

    def size(self, dim: int) -> CodeSize:
        """Return p0 = FPP, p1 = lg d + 1."""
        return CodeSize(paper0_bit=self.float_bit, entry_bit=lg(dim) + 1, count_bit=lg(dim + 1))


@dataclass(frozen=True)
class Kept:
    """How many entries a code keeps.

    Parameters
    ----------
    k
        Entries to keep; more than d means all of them.
    fraction
        Instead of `k`: this share of d, rounded down, but at least one.
    """

    counts_entries: ClassVar[tuple[str, ...]] = ("k",)  # keys that the scenario holds to d

    k: PositiveInt | None = None
    fraction: Fraction | None = None

    def __post_init__(self) -> None:
        if (self.k is None) == (self.fraction is None):
            got = "neither" if self.k is None else "both"
            raise ConfigError([Fault(("k",), "either k or fraction is needed", got)])

    def max_entries(self, dim: int) -> int:
        """Return k for a vector of that dimension."""
        if self.k is not None:
            return min(self.k, dim)
        # 0.29 * 100 is a little less than 29 in floats and 29 in decimals.
        return max(1, math.floor(round((self.fraction or 0.0) * dim, 6)))


class Largest(Kept, SupportCode):
    """A code of the T = min(k, nonzeros) entries of largest |x_i|, ties to the lowest index."""

    def support(self, x: Array) -> Indices:
        """Return the T largest entries, ascending."""
        return select.top_k(x, self.max_entries(x.size))


def mean_magnitude(values: Floats) -> float:
    """Return mean |v_i| of finite numbers, also where their sum is beyond float64."""
    magnitudes = np.abs(values)
    with np.errstate(over="ignore"):
        total = float(np.add.reduce(magnitudes))
    if math.isfinite(total):
        return total / values.size
    peak = float(magnitudes.max())
    return peak * (float(np.add.reduce(magnitudes / peak)) / values.size)


def read_scale(src: BitReader, float_bit: FloatBit) -> float:
    """Read one number that no encoder writes with a minus.

    Raises
    ------
    DecodeError
        If it is negative or not finite.
    """
    return float(read_scales(src, 1, float_bit)[0])
