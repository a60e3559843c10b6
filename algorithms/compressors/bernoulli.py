"""Each entry, or the whole vector, with a fixed probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.drawn import DrawnValues
from algorithms.coding.draws import uniforms
from algorithms.coding.sizes import CodeSize
from netsim.fields import Fraction
from netsim.interfaces import Array, Floats, Indices, Key
from netsim.registry import Examples, component

BLOCK = 65536  # draws at a time


@component("compressor")
@dataclass(frozen=True)
class Bernoulli(DrawnValues):
    """Q_i = x_i/p with probability p, else 0, independently; `lazy`: Q = x/p with probability p, else 0.

    Unbiased with E||Q - x||^2 = (1/p - 1) ||x||^2 exactly, both ways.

    Payload: lg(d+1) bits for T, lg d for each index, FPP for each value, in that order, T the nonzero entries that were
    drawn. The paper counts T (lg d + FPP), p nnz(x) (lg d + FPP) on average.

    Payload, ``lazy``: one bit that says whether values follow, then FPP for each of the d values, or nothing; a zero
    vector has none. The paper counts d FPP or 0, p d FPP on average.

    Parameters
    ----------
    p
        Above 0, at most 1; draws have 53 bits.
    lazy
        Whether one draw decides for the whole vector.
    index
        How indices are coded; ``fixed`` is lg d each. Without effect where lazy.

    References
    ----------
    Khaled, Richtarik, "Gradient descent with compressed iterates", arXiv 1909.04716, 2019, Bernoulli and lazy
    compressors. Horvath, Ho, Horvath, Sahu, Canini, Richtarik, "Natural compression for distributed deep learning",
    MSML 2022, table of compressors.

    Examples
    --------
    >>> codec = Bernoulli(p=0.5)
    >>> payload = codec.encode(np.array([0.5, -3.0, 1.0, 2.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).tolist()
    [0.0, -6.0, 2.0, 4.0]
    """

    p: Fraction
    lazy: bool = False

    is_unbiased: ClassVar[bool] = True
    examples: ClassVar[Examples] = (
        {"p": 0.3},
        {"p": 0.25, "float_bit": 64, "index": "auto"},
        {"p": 0.4, "lazy": True},
    )
    sweep: ClassVar[Examples] = ({"p": 0.01}, {"p": 0.1})

    def draw(self, x: Array, key: Key) -> tuple[Indices, Floats]:
        """Draw the nonzero entries to send, times 1/p."""
        if self.lazy:
            sent = bool(uniforms(key, np.zeros(1, np.int64))[0] < self.p) and bool(x.any())
            indices = np.arange(x.size if sent else 0)
        else:
            blocks = (start + np.flatnonzero(x[start : start + BLOCK]) for start in range(0, x.size, BLOCK))
            indices = np.concatenate([places[uniforms(key, places) < self.p] for places in blocks])
        with np.errstate(over="ignore"):  # refused when rounded
            return indices, x[indices].astype(np.float64) / self.p

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Draw, and append what was drawn."""
        if not self.lazy:
            return super().write(x, key, out)
        _, values = self.draw(x, key)
        floats = self.rounded(values, self.float_bit)
        out.uint(int(values.size > 0), 1)
        out.floats(floats, self.float_bit)
        return PaperBits(value_bit=self.float_bit * values.size)

    def read_entries(self, src: BitReader, dim: int, key: Key | None = None) -> tuple[Indices, Floats]:
        """Read the entries off the bit stream."""
        if not self.lazy:
            return super().read_entries(src, dim)
        values = src.floats(dim if src.uint(1) else 0, self.float_bit)
        return np.arange(values.size), values

    def size(self, dim: int) -> CodeSize:
        """Return p0 = 0, p1 = lg d + FPP; where lazy FPP, of which d are sent or none."""
        return CodeSize(0, self.float_bit, 1) if self.lazy else super().size(dim)

    def max_entries(self, dim: int) -> int:
        """Return `dim`: all entries may be sent."""
        return dim

    def max_size_bytes(self, dim: int) -> int:
        """Return an upper bound on the payload of a vector of that dimension."""
        return math.ceil((1 + self.float_bit * dim) / 8) if self.lazy else super().max_size_bytes(dim)

    def variance_bound(self, dim: int) -> float:
        """Return w = 1/p - 1, met by every vector."""
        return 1 / self.p - 1

    def encode_flop(self, dim: int) -> float:
        """Return a check, a draw, a comparison and a division of each entry; no draw where lazy."""
        return (2 if self.lazy else 4) * dim
