"""Stochastic rounding to equidistant levels 0, 1, ..., s of a scale, and sign-and-level codes of fixed width.

A coordinate's level is y = s |x_i| / scale rounded up with probability y - floor(y), down otherwise. Both are done
with whole numbers: y gets f bits behind the point, a random number of f bits is added, and what stands before the
point is the level. So E level = y to within 2^-(f+1), and exactly where y has no more than f bits behind the point;
f = 28 up to s = 7, 24 up to s = 127, 32 above. Long vectors go through compiled kernels, short ones through numpy, to
the same levels.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from algorithms.coding import kernels
from algorithms.coding.bits import FLOATS, BitReader, BitWriter, FloatBit
from algorithms.coding.codec import Codec, FloatCodec
from algorithms.coding.draws import Words32, dense_counter, dense_words, words_at
from algorithms.coding.norms import norms
from algorithms.coding.sizes import lg
from netsim.compiling import pays
from netsim.errors import DecodeError, EncodeError
from netsim.fields import Range
from netsim.interfaces import Array, Floats, Indices, Key

COMPILED_FROM = 8192  # entries
CHUNK = 16384  # entries of a block whose random words, entries and codes stay in cache

SMALL = 127  # levels up to which a sign and a level fit into an octet
Levels: TypeAlias = Annotated[int, Range(ge=1, le=65535)]
Codes: TypeAlias = npt.NDArray[
    np.unsignedinteger[Any]
]  # level | is negative << lg(s+1); uint8 up to s = 127, or uint32
Octets: TypeAlias = npt.NDArray[np.uint8]

ENCODE_FLOP = 8  # per coordinate: 2 for the norm, then |x|, scaling, half, bound, sum and sign
DECODE_FLOP = 2  # per coordinate: the level's check and the scaling


class LevelCodec(FloatCodec):
    """A codec of norms and of levels drawn beside them."""

    def encode_flop(self, dim: int) -> float:
        """Return 8 per coordinate."""
        return ENCODE_FLOP * dim

    def decode_flop(self, dim: int) -> float:
        """Return 2 per coordinate."""
        return DECODE_FLOP * dim


def code_bit(levels: int) -> int:
    """Return the bits of a sign and a level: 1 + lg(s+1).

    Examples
    --------
    >>> [code_bit(s) for s in (1, 3, 4, 7, 127)]
    [2, 3, 4, 4, 8]
    """
    return 1 + lg(levels + 1)


def finite_norms(codec: Codec, x: Array, bucket: int, p: float) -> Floats:
    """Return ||.||_p of each bucket; infinite only where it is beyond float64.

    Raises
    ------
    EncodeError
        If an entry is not finite.
    """
    found = norms(x, bucket, p)
    if not np.isfinite(found).all():
        codec.refuse_infinite(x)
    return found


def rounded_up(codec: Codec, values: Floats, float_bit: FloatBit, what: str = "norm", down: bool = False) -> Floats:
    """Return `values` in the float type that goes on the wire, none below what it stands for; as float64.

    With a scale that is not below the largest magnitude no level exceeds s, and both ends use the same scale.

    Parameters
    ----------
    down
        Instead none above.

    Raises
    ------
    EncodeError
        If one is beyond that type.
    """
    kind = FLOATS[float_bit]
    with np.errstate(over="ignore", under="ignore"):
        floats: npt.NDArray[np.floating[Any]] = values.astype(kind)
        short = floats > values if down else floats < values
        floats = np.where(short, np.nextafter(floats, kind(-math.inf if down else math.inf)), floats)
    if np.isinf(floats).any():
        i = int(np.argmax(np.isinf(floats)))
        raise EncodeError(
            f"{codec.name}: {what} {i} must lie within {np.finfo(kind).max:.4g}, the reach of float{float_bit}. "
            f"Got {values[i]}."
        )
    return floats.astype(np.float64) + 0.0  # no minus zero


def draw_codes(x: Array, scales: Floats, bucket: int, levels: int, key: Key, places: Indices | None = None) -> Codes:
    """Draw sign and level of each entry, shape (n,).

    Parameters
    ----------
    x
        Finite, shape (n,).
    scales
        One for each bucket; entries beyond it in magnitude get the highest level, all of a zero scale level 0.
    bucket
        Entries of a bucket; the last may have fewer.
    levels
        s, 1 to 65,535.
    places
        The coordinates that `x` belongs to, whose draws are taken; None: 0, 1, 2, ...
    """
    codes: Codes = np.empty(x.size, np.uint8) if levels <= SMALL else np.empty(x.size, np.uint32)
    _Rounding(x, scales, bucket, levels).draw(key, codes, places)
    return codes


def write_drawn(
    out: BitWriter,
    x: Array,
    scales: Floats,
    bucket: int,
    levels: int,
    key: Key,
    low: float = 0.0,
    signed: bool = True,
) -> None:
    """Append the codes of `draw_codes` for x - low, 1 + lg(s+1) bits each, level below sign.

    Parameters
    ----------
    signed
        False where x - low is never negative: then only levels, lg(s+1) bits each.
    """
    width = lg(levels + 1) + signed
    rounding = _Rounding(x, scales, bucket, levels, low)
    if levels <= SMALL and rounding.compiled:
        octets = _octets((x.size * width + 7) >> 3)
        rounding.encode(key, width, octets)
        out.packed(octets, x.size * width)
        return
    codes: Codes = np.empty(x.size, np.uint8) if levels <= SMALL else np.empty(x.size, np.uint32)
    rounding.draw(key, codes)
    write_codes(out, codes, width)


def write_codes(out: BitWriter, codes: Codes, width: int) -> None:
    """Append whole numbers below ``2**width``."""
    if codes.dtype != np.uint8 or width > 8:
        for start, stop in chunks(codes.size):
            out.uints(codes[start:stop], width)
        return
    octets = np.empty((codes.size * width + 7) >> 3, np.uint8)
    for start, stop in chunks(codes.size):
        part = octets[start * width >> 3 : (stop * width + 7) >> 3]
        _pack(codes[start:stop], width, part, pays(codes.size, COMPILED_FROM))
    out.packed(octets, codes.size * width)


def read_codes(src: BitReader, count: int, width: int) -> Iterator[tuple[int, Codes]]:
    """Yield blocks of the numbers that were written with `width` bits each, and where each block begins.

    All bits are taken at once, before the first block: a block lives until the next one.

    Raises
    ------
    DecodeError
        If fewer bits are left.
    """
    if width > 8:
        return ((0, words) for words in (src.uints(count, width),))
    octets = src.packed(count * width)
    return _unpacked(octets, count, width)


def read_drawn(src: BitReader, dim: int, scales: Floats, bucket: int, levels: int) -> Floats:
    """Read the vector that `write_drawn` wrote: sign, scale times level / s.

    Raises
    ------
    DecodeError
        If a level exceeds s, or too few bits are left.
    """
    blocks = read_codes(src, dim, code_bit(levels))
    x = np.empty(dim)
    for start, codes in blocks:
        part = x[start : start + codes.size]
        part[:] = fractions(codes, levels)
        part *= _spread(scales, bucket, start, start + codes.size)
    return x


def fractions(codes: Codes, levels: int) -> Floats:
    """Return sign level / s of each code.

    Raises
    ------
    DecodeError
        If a level exceeds s.
    """
    width = lg(levels + 1)
    if codes.dtype == np.uint8:
        if levels + 1 < 1 << width:
            check_levels(split(codes, levels)[0], levels)
        magnitudes = np.arange(1 << width) / levels
        # 0 - 0 is 0, where -0 would be minus zero.
        table: Floats = np.concatenate([magnitudes, 0.0 - magnitudes])
        return table.take(codes)
    whole, negative = split(codes, levels)
    check_levels(whole, levels)
    found = whole / levels
    return np.where(negative, 0.0 - found, found)


def split(codes: Codes, levels: int) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Split codes into levels, and which are negative."""
    kind = codes.dtype.type
    width = lg(levels + 1)
    whole: Codes = codes & kind((1 << width) - 1)
    return whole, codes >> kind(width) != 0


def check_levels(found: Codes, levels: int) -> None:
    """Refuse what no encoder writes.

    Raises
    ------
    DecodeError
        If a level exceeds s.
    """
    if found.size and int(found.max()) > levels:
        raise DecodeError(f"payload: levels are at most {levels}. Got {found.max()}.")


def read_scales(src: BitReader, count: int, float_bit: FloatBit) -> Floats:
    """Read numbers that no encoder writes with a minus, shape (count,).

    Raises
    ------
    DecodeError
        If one is negative or not finite, or too few bits are left.
    """
    scales = src.floats(count, float_bit)
    if (scales < 0).any():
        raise DecodeError(f"payload: a scale is 0 or more. Got {scales[scales < 0][0]}.")
    return scales + 0.0  # no minus zero


def dither_variance(dim: int, levels: int, p: float) -> float:
    """Return w of levels of ||x||_p: min(a^2 / (4 s^2), a / s) with a = d^(1/min(p,2)), for s = 1 a - 1, which is met.

    With p = inf it is min((d-1) / (4 s^2), sqrt(d-1) / (2 s)), for s = 1 (sqrt(d) - 1) / 2, which is met. From
    f (1-f) <= 1/4 and <= y, and, with p = inf, from f = 0 of the largest entry.

    Examples
    --------
    >>> [dither_variance(100, 1, p) for p in (1, 2, math.inf)], dither_variance(100, 50, 2)
    ([99.0, 9.0, 4.5], 0.01)
    """
    if p == math.inf:
        if levels == 1:
            return (math.sqrt(dim) - 1) / 2
        return min((dim - 1) / (4 * levels**2), math.sqrt(dim - 1) / (2 * levels))
    a: float = float(dim) ** (1 / min(p, 2.0))
    return a - 1 if levels == 1 else min(a**2 / (4 * levels**2), a / levels)


def in_reach(x: Array, scales: Floats, bucket: int) -> tuple[Array, Floats]:
    """Return entries and scale times a power of two in buckets whose scale is so small that s / scale overflows."""
    tiny = (scales > 0) & (scales < 2.0**-900)
    if not tiny.any():
        return x, scales
    raised = np.where(tiny, 2.0**1000, 1.0)
    return x.astype(np.float64) * _spread(raised, bucket, 0, x.size), scales * raised


_memory = threading.local()
_UNHELD = 3  # references to an array in `_octets`: the one that is kept, the name, the argument


class _Rounding:
    """Rounds the entries of one vector, less `low`, to levels."""

    def __init__(self, x: Array, scales: Floats, bucket: int, levels: int, low: float = 0.0) -> None:
        self.x, scales = in_reach(x, scales, bucket)
        self.low, self.bucket, self.levels = self.x.dtype.type(low), bucket, levels
        self.fraction = 28 if levels <= 7 else 24 if levels <= SMALL else 32
        self.sign = lg(levels + 1)
        self.compiled = pays(x.size, COMPILED_FROM)
        one = 2.0**self.fraction
        self.top = levels * one + 0.5
        self.factors = np.divide(levels * one, scales, out=np.zeros(scales.size), where=scales > 0)

    def draw(self, key: Key, codes: Codes, places: Indices | None = None) -> None:
        """Fill in the codes of all entries."""
        for start, stop in chunks(self.x.size):
            if places is None:
                words = dense_words(key, start, stop - start)
            else:
                words = words_at(key, places[start:stop])
            self.fill(start, stop, words, codes[start:stop])

    def encode(self, key: Key, width: int, octets: Octets) -> None:
        """Fill in the packed codes of all entries, by a kernel."""
        x, low, bucket, factors, top, fraction, sign = self._settings()
        counters = np.uint64(key.key), np.uint64(key.counter), np.uint64(dense_counter(0))
        kernels.levels.encode_small(x, low, bucket, factors, top, fraction, sign, *counters, width, octets)

    def fill(self, start: int, stop: int, words: Words32, codes: Codes) -> None:
        """Fill in the codes of some entries, with these random words."""
        x, low, bucket, factors, top, fraction, sign = self._settings()
        x = x[start:stop]
        if not self.compiled:
            codes[:] = self._plain(x, start, stop, words)
            return
        if self.levels <= SMALL:
            kernels.levels.round_small(x, low, start, bucket, factors, top, fraction, sign, words, codes)
        else:
            kernels.levels.round_large(x, low, start, bucket, factors, top, sign, words, codes)

    def _settings(self) -> tuple[Array, Any, int, Floats, float, int, int]:
        return self.x, self.low, self.bucket, self.factors, self.top, self.fraction, self.sign

    def _plain(self, x: Array, start: int, stop: int, words: Words32) -> npt.NDArray[np.int64]:
        """Return the result of the kernels, by numpy."""
        with np.errstate(over="ignore", under="ignore"):
            y = np.abs(x.astype(np.float64) - np.float64(self.low))
            y = y * _spread(self.factors, self.bucket, start, stop) + 0.5
        drawn = (words >> np.uint32(32 - self.fraction)).astype(np.int64)
        level = (np.minimum(y, self.top).astype(np.int64) + drawn) >> self.fraction
        found: npt.NDArray[np.int64] = level | (x < self.low).astype(np.int64) << self.sign
        return found


def chunks(size: int) -> Iterator[tuple[int, int]]:
    """Yield blocks of CHUNK entries, the last of half to one and a half of that; one where there are fewer."""
    start = 0
    while size - start >= CHUNK + CHUNK // 2:
        yield start, start + CHUNK
        start += CHUNK
    if start < size:
        yield start, size


def _spread(values: Floats, bucket: int, start: int, stop: int) -> Any:
    """Return the value of the bucket of each of these coordinates; one number where there is one bucket."""
    if values.size == 1:
        return values[0]
    first = start // bucket
    part = np.repeat(values[first : (stop - 1) // bucket + 1], bucket)
    return part[start - first * bucket : stop - first * bucket]


def _octets(size: int) -> Octets:
    """Return memory for a packed vector; it is reused once no writer holds it, because new pages cost time."""
    kept: Octets | None = getattr(_memory, "octets", None)
    if kept is None or kept.size < size or sys.getrefcount(kept) > _UNHELD:
        kept = _memory.octets = np.empty(size, np.uint8)
    return kept[:size]


def _pack(codes: Codes, width: int, octets: Octets, compiled: bool) -> None:
    if compiled:
        kernels.levels.pack(codes, width, octets)
    else:
        bits = np.unpackbits(codes.astype(np.uint8).reshape(-1, 1), axis=1, count=width, bitorder="little")
        octets[:] = np.packbits(bits.ravel(), bitorder="little")


def _unpacked(octets: Octets, count: int, width: int) -> Iterator[tuple[int, Codes]]:
    buffer = np.empty(min(count, 2 * CHUNK), np.uint8)
    for start, stop in chunks(count):
        part, codes = octets[start * width >> 3 : (stop * width + 7) >> 3], buffer[: stop - start]
        if pays(count, COMPILED_FROM):
            kernels.levels.unpack(part, width, codes)
        else:
            bits = np.unpackbits(part, count=codes.size * width, bitorder="little").reshape(-1, width)
            codes[:] = np.packbits(bits, axis=1, bitorder="little")[:, 0]
        yield start, codes
