"""A few coordinates at a time, as the first point of a stream on the sphere that points about the same way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from algorithms.coding import kernels
from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import FloatCodec, PaperBits
from algorithms.coding.levels import read_scales
from algorithms.coding.prefix import golomb_bit, read_golomb, write_golomb
from algorithms.coding.sphere import Cap, cap, points
from netsim.compiling import IS_ON
from netsim.errors import ConfigError, Fault
from netsim.fields import Range
from netsim.interfaces import Array, Floats, Indices, Key
from netsim.registry import Examples, component

COMPILED_FROM = 8192  # entries; below, numpy is quick enough and numba is never imported

_PUBLIC = 0x7370686572696361  # the key of the stream that all biased codes share
_KEPT = 128  # windows of it that stay in memory
_WINDOW, _DOUBLINGS = 128, 3  # points that are drawn together, at first; many cost half as much each
_MOST_DRAWS = 2**14
_MOST_PLACE = 2**32 - 1
_STAGE = 2**17  # entries that are searched for together


@component("compressor")
@dataclass(frozen=True)
class Spherical(FloatCodec):
    """Q(x) = s z_J for each block x of B entries, J the first j with <z_j, x> >= sqrt(1 - a) ||x||.

    z_1, z_2, ... are uniform on the unit sphere, P of which lies that near to x and kappa = E <z, x> / ||x|| there.

    Biased: s = <z_J, x>, so ||x - Q||^2 = ||x||^2 - s^2 <= a ||x||^2: a contraction with delta = 1 - a. The stream is
    one for all, with a fixed key.

    Unbiased: s = ||x|| / kappa. Given the draw, Q is symmetric about x, so E Q = x and
    E||x - Q||^2 = (1 / kappa^2 - 1) ||x||^2 exactly: w = 1 / kappa^2 - 1 <= a / (1 - a). That takes a stream that
    is new for each message, so its key travels along, 64 bits of the payload: bytes alone decode, and it is counted.

    Payload, n = ceil(d/B) blocks (the last one filled with zeros): 64 bits for the key of an unbiased code, FPP n for
    the s, then J - 1 for each block with s > 0 in a Golomb code, m = ceil(-log2(2 - P) / log2(1 - P)): about
    log2(1/P) + 1.44 bits, not bounded. `paper_bit` leaves the key out, which papers take as shared.

    All blocks of a message search the same stream: each is coded as if alone, but equal blocks get equal points.

    Deviation: the paper's name; stream, scale and code are our own.

    Parameters
    ----------
    error
        a, above 0 and at most 0.99. An encoder tries 1/P points a block, which grows like a^(-B/2) and may be 16,384
        at most.
    block
        B, entries that share a point: even, 4 to 16.
    unbiased
        Scale and draw so that E Q = x.

    References
    ----------
    Albasyoni, Safaryan, Condat, Richtarik, "Optimal gradient compression for distributed and federated learning",
    arXiv 2010.03246, 2020, spherical compression.

    Examples
    --------
    >>> codec = Spherical(error=0.2, block=4)
    >>> x = np.array([1.0, -2.0, 0.5, 2.0])
    >>> y = codec.decode(codec.encode(x, np.random.default_rng(1)).data, 4)
    >>> float(np.square(x - y).sum()) <= 0.2 * float(np.square(x).sum())
    True
    """

    error: Annotated[float, Range(gt=0, le=0.99)] = 0.5
    block: Literal[4, 6, 8, 10, 12, 14, 16] = 8
    unbiased: bool = False

    examples: ClassVar[Examples] = (
        {},
        {"error": 0.8, "block": 4, "unbiased": True, "float_bit": 16},
        {"error": 0.3, "block": 4, "float_bit": 64},
        {"error": 0.7, "block": 16},
    )
    sweep: ClassVar[Examples] = (
        {"error": 0.5, "block": 16, "float_bit": 16},
        {"error": 0.5, "block": 16, "float_bit": 16, "unbiased": True},
        {"error": 0.8, "block": 16, "float_bit": 16, "unbiased": True},
    )

    def __post_init__(self) -> None:
        draws = 1 / self._cap.share
        if draws > _MOST_DRAWS:
            allowed = f"an error for which a block takes {_MOST_DRAWS} draws or less, or a smaller block"
            raise ConfigError([Fault(("error",), allowed, f"{self.error:g}, {draws:.3g} draws")])

    @property
    def is_unbiased(self) -> bool:  # type: ignore[override]
        """As configured."""
        return self.unbiased

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the stream's key where it is not public, the scales and the places of the points."""
        if self.unbiased:
            out.uint(key.key, 64)
        scales, places = [], []
        step = _STAGE // self.block * self.block
        windows = _Windows(key.key, self.block) if self.unbiased else _public_windows(self.block)
        for start in range(0, x.size, step):
            scale, place = self._search(x[start : start + step], windows, IS_ON and x.size >= COMPILED_FROM)
            scales.append(self.rounded(scale, self.float_bit, what="scale"))
            places.append(place[scales[-1] > 0])
        out.floats(np.concatenate(scales), self.float_bit)
        numbers = np.concatenate(places).astype(np.uint64)
        write_golomb(out, numbers, self._golomb)
        blocks = -(-x.size // self.block)
        return PaperBits(value_bit=self.float_bit * blocks + int(golomb_bit(numbers, self._golomb).sum()))

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        stream = src.uint(64) if self.unbiased else _PUBLIC
        scales = read_scales(src, -(-dim // self.block), self.float_bit)
        live = np.flatnonzero(scales)
        places = read_golomb(src, live.size, self._golomb, _MOST_PLACE)
        x = np.zeros((scales.size, self.block))
        if live.size:
            top = int(places.max())
            if top < 2 * live.size:
                found = points(stream, self.block, np.arange(top + 1, dtype=np.uint64))[places]
            else:
                different, where = np.unique(places, return_inverse=True)
                found = points(stream, self.block, different)[where]
            x[live] = found * scales[live, None]
        return x.ravel()[:dim]

    def max_size_bytes(self, dim: int) -> int | None:
        """Return None: J has no bound."""
        return None

    def variance_bound(self, dim: int) -> float | None:
        """Return w = 1 / kappa^2 - 1 of the unbiased code."""
        return 1 / self._cap.mean**2 - 1 if self.unbiased else None

    def contraction(self, dim: int) -> float | None:
        """Return delta = 1 - a of the biased code."""
        return None if self.unbiased else 1 - self.error

    def encode_flop(self, dim: int) -> float:
        """Return 2 B operations for each of 1/P points tried, and 5 B for range and norm, a block, without points."""
        return -(-dim // self.block) * self.block * (2 / self._cap.share + 5)

    def decode_flop(self, dim: int) -> float:
        """Return one product an entry, and about 10 operations for its point."""
        return 11.0 * dim

    @property
    def _cap(self) -> Cap:
        return cap(self.block, self.error)

    @property
    def _golomb(self) -> int:
        share = self._cap.share
        return max(1, math.ceil(-math.log2(2 - share) / math.log2(1 - share)))

    def _search(self, x: Array, windows: _Windows, compiled: bool) -> tuple[Floats, Indices]:
        """Return s and J - 1 of each block."""
        blocks = np.zeros((-(-x.size // self.block), self.block))
        blocks.ravel()[: x.size] = x
        peaks = np.abs(blocks).max(axis=1)
        # In units of the largest entry no square overflows or vanishes.
        blocks /= np.where(peaks > 0, peaks, 1.0)[:, None]
        norms = np.sqrt(_dot(blocks, blocks))
        reach = math.sqrt(1 - self.error) * norms
        found = np.where(peaks > 0, -1, 0)
        search = kernels.sphere.first_hits if compiled else _first_hits
        index, missing = 0, int(np.count_nonzero(found < 0))
        while missing:
            missing = search(blocks, reach, windows[index], _span(index)[0], found)
            index += 1
        if self.unbiased:
            scales = norms / self._cap.mean
        else:
            chosen = np.concatenate([windows[i] for i in range(max(index, 1))], axis=1)
            scales = _dot(blocks, chosen.T[found])
        with np.errstate(over="ignore"):
            return scales * peaks, found


class _Windows:
    """A stream's points by windows, each of shape (d, size) and drawn when it is needed."""

    def __init__(self, key: int, dim: int) -> None:
        self._key, self._dim = key, dim
        self._windows: list[Floats] = []

    def __getitem__(self, index: int) -> Floats:
        if index < len(self._windows):
            return self._windows[index]
        places = np.arange(*_span(index), dtype=np.uint64)
        window = np.ascontiguousarray(points(self._key, self._dim, places).T)
        if index == len(self._windows) < _KEPT:
            self._windows.append(window)
        return window


def _span(index: int) -> tuple[int, int]:
    """Return where a window begins and ends: each is twice the one before, up to 1024 points."""
    doubled = min(index, _DOUBLINGS)
    start = _WINDOW * ((1 << doubled) - 1) + (index - doubled) * (_WINDOW << _DOUBLINGS)
    return start, start + (_WINDOW << doubled)


@cache
def _public_windows(dim: int) -> _Windows:
    return _Windows(_PUBLIC, dim)


def _dot(a: Floats, b: Floats) -> Floats:
    """Return <a_i, b_i> of rows, summed from the first coordinate to the last."""
    total = np.zeros(a.shape[0])
    for k in range(a.shape[1]):
        total += a[:, k] * b[:, k]
    return total


def _first_hits(blocks: Floats, reach: Floats, table: Floats, first: int, found: Indices) -> int:
    """Return the result of the kernel of the same name, by numpy."""
    left = np.flatnonzero(found < 0)
    products = np.zeros((left.size, table.shape[1]))
    for k in range(table.shape[0]):
        products += blocks[left, k, None] * table[k]
    hits = products >= reach[left, None]
    hit = hits.any(axis=1)
    found[left[hit]] = first + np.argmax(hits[hit], axis=1)
    return int(left.size - np.count_nonzero(hit))
