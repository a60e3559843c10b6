"""One bit an entry that chooses between two means of its column."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import FloatCodec, PaperBits
from algorithms.coding.layout import LaidOut, shapes_of
from algorithms.coding.levels import read_scales
from algorithms.coding.signs import column_sums, read_signs, write_signs
from netsim.errors import DecodeError, EncodeError
from netsim.interfaces import Array, Floats, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class OneBit(LaidOut, FloatCodec):
    """Every entry below 0 becomes the mean of those in its column, every other the mean of the others.

    A tensor of shape (r, c) has c columns of r entries; one of more dimensions is taken as (r, product of the rest),
    one of fewer as one column, and so is a vector whose layout is not known.

    Q is the nearest vector that has two values in each column, one for each sign: with S+ and S- the sums of magnitudes
    and n+ and n- the numbers of the two kinds, ||x - Q||^2 = ||x||^2 - sum over columns of (S+^2 / n+ + S-^2 / n-), so
    it is a contraction with delta = 1 / (entries of the longest column).

    Payload, C columns in all: 2 FPP C + d bits, for each column the two magnitudes of the means, of entries that are 0
    or more first (0 where there are none), then all signs. That is also the paper's figure.

    References
    ----------
    Seide, Fu, Droppo, Li, Yu, "1-bit stochastic gradient descent and its application to data-parallel distributed
    training of speech DNNs", Interspeech 2014, section 3.2.

    Examples
    --------
    >>> codec = OneBit().bind([(2, 2)])
    >>> payload = codec.encode(np.array([1.0, -2.0, 3.0, 0.5]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).tolist(), payload.paper_bit
    ([2.0, -2.0, 2.0, 0.5], 132.0)
    """

    examples: ClassVar[Examples] = ({}, {"float_bit": 64}, {"float_bit": 16})

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the means and the signs."""
        means = np.concatenate([_means(x[part], columns) for part, columns in self._tensors(x.size, EncodeError)])
        out.floats(self.rounded(means, self.float_bit, what="mean"), self.float_bit)
        write_signs(out, x)
        return PaperBits(value_bit=self.float_bit * means.size + x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        tensors = self._tensors(dim, DecodeError)
        means = read_scales(src, 2 * sum(columns for _, columns in tensors), self.float_bit)
        if means.size == 2:
            return read_signs(src, dim, means[0], -means[1])
        x = read_signs(src, dim, 1.0)
        first = 0
        for part, columns in tensors:
            pair = means[first : first + 2 * columns].reshape(columns, 2)
            tensor = x[part].reshape(-1, columns)
            np.copyto(tensor, np.where(tensor < 0, -pair[:, 1], pair[:, 0]))
            first += 2 * columns
        return x

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return (2 * self.float_bit * sum(columns for _, columns in self._tensors(dim)) + dim + 7) // 8

    def contraction(self, dim: int) -> float:
        """Return delta = 1 / (entries of the longest column), met by one nonzero entry in each."""
        longest: int = max((part.stop - part.start) // columns for part, columns in self._tensors(dim))
        return 1 / longest

    def encode_flop(self, dim: int) -> float:
        """Return two comparisons, a magnitude, and two sums an entry."""
        return 5.0 * dim

    def _tensors(self, dim: int, error: type[Exception] = ValueError) -> list[tuple[slice, int]]:
        """Return the place of each tensor in the vector, and its columns."""
        found, start = [], 0
        for shape in shapes_of(self.layout, dim, error, self.name):
            size = math.prod(shape)
            if size:
                found.append((slice(start, start + size), 1 if len(shape) < 2 else size // shape[0]))
            start += size
        return found


def _means(x: Array, columns: int) -> Floats:
    """Return for each column the mean of entries that are 0 or more, then of the magnitudes of the others."""
    rows = x.size // columns
    plus, minus, negative = column_sums(x, columns)
    unit = 1.0
    if not (np.isfinite(plus).all() and np.isfinite(minus).all()):
        # In units of the largest entry no sum overflows.
        unit = float(np.abs(x).max())
        plus, minus, negative = column_sums(x / unit, columns)
    pairs = np.stack([plus / np.maximum(rows - negative, 1.0), minus / np.maximum(negative, 1.0)], axis=1)
    means: Floats = unit * pairs.ravel()
    return means
