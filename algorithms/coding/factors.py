"""What codes share that send a matrix as a sum of outer products, and everything else as it is."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import FloatCodec
from algorithms.coding.layout import LaidOut, shapes_of
from netsim.errors import DecodeError
from netsim.interfaces import Array, Floats, Key


class Tensor(NamedTuple):
    """Entries start .. stop - 1 of the vector as a matrix, or as they are where it has no rows.

    Parameters
    ----------
    first
        Where the coordinates of its draws begin.
    """

    start: int
    stop: int
    rows: int
    columns: int
    first: int


class Factors(NamedTuple):
    """left right^T, shapes (rows, r) and (columns, r); of a tensor that travels as it is, `left` is that."""

    left: Floats
    right: Floats | None = None


@dataclass(frozen=True)
class Factored(LaidOut, FloatCodec):
    """A code of matrices.

    A tensor of two axes or more is a matrix of as many rows as its first axis; one with a single axis is none, or,
    where `fold` is set, one of ceil(sqrt(d_t)) columns, row by row, its end filled with zeros.

    Parameters
    ----------
    fold
        Whether tensors with one axis are folded into matrices of ceil(sqrt(d_t)) columns.
    """

    fold: bool = False

    @abstractmethod
    def read_factors(self, src: BitReader, dim: int) -> list[Factors]:
        """Read the factors off the bit stream, tensor by tensor."""

    @abstractmethod
    def saves(self, rows: int, columns: int) -> bool:
        """Return whether a matrix of that shape travels as factors."""

    def tensors(self, dim: int, error: type[Exception] = ValueError) -> list[Tensor]:
        """Return the tensors of a vector of that dimension."""
        found, start, first = list[Tensor](), 0, 0
        for shape in shapes_of(self.layout, dim, error, self.name):
            size = math.prod(shape)
            rows = columns = 0
            if len(shape) > 1:
                rows, columns = shape[0], size // shape[0]
            elif self.fold:
                columns = math.isqrt(size - 1) + 1
                rows = -(-size // columns)
            if rows and not self.saves(rows, columns):
                rows = columns = 0
            found.append(Tensor(start, start + size, rows, columns, first))
            start += size
            first += rows * columns
        return found

    def write_raw(self, x: Array, tensor: Tensor, out: BitWriter) -> int:
        """Write a tensor as it is; return its bits."""
        places = cast(Any, range(tensor.start, tensor.stop))  # no array: wanted for an error only
        out.floats(self.rounded(x[tensor.start : tensor.stop], self.float_bit, places), self.float_bit)
        return self.float_bit * (tensor.stop - tensor.start)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        return self.expand(self.read_factors(src, dim), dim)

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Array:
        """Return the vector that `data` stands for; it exists only once all of `data` is accepted."""
        src = BitReader(data)
        factors = self.read_factors(src, dim)
        src.finish()
        return self.expand(factors, dim)

    def expand(self, factors: Sequence[Factors], dim: int) -> Array:
        """Return the vector: outer products added in order, so that its bits are the same everywhere.

        Raises
        ------
        DecodeError
            If a sum is beyond float64.
        """
        x = np.zeros(dim)
        for tensor, (left, right) in zip(self.tensors(dim, DecodeError), factors, strict=True):
            part = x[tensor.start : tensor.stop]
            if right is None:
                part[:] = left
                continue
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                matrix = np.zeros((tensor.rows, tensor.columns))
                for u, v in zip(left.T, right.T, strict=True):
                    matrix += np.multiply.outer(u, v)
            part[:] = matrix.reshape(-1)[: part.size]
        if not np.isfinite(x).all():
            raise DecodeError("payload: every number must be finite. Got a product beyond float64.")
        return x


def as_matrix(x: Array, tensor: Tensor) -> tuple[Floats, int]:
    """Return the tensor's matrix in units of 2**exponent, and the exponent: its largest entry is in [1/2, 1)."""
    matrix = np.zeros(tensor.rows * tensor.columns)
    part = x[tensor.start : tensor.stop]
    matrix[: part.size] = part
    exponent = math.frexp(float(np.abs(part).max()))[1]
    np.ldexp(matrix, -exponent, out=matrix)
    return matrix.reshape(tensor.rows, tensor.columns), exponent


def scaled_up(values: Floats, exponent: int) -> Floats:
    """Return values 2**exponent; infinite results are refused when rounded."""
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(values, exponent)
