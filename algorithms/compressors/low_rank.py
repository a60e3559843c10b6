"""PowerSGD: each matrix as a product of two thin ones, by one step of subspace iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from algorithms.coding import kernels
from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits, sealed
from algorithms.coding.draws import uniforms
from algorithms.coding.factors import Factored, Factors, Tensor, as_matrix, scaled_up
from algorithms.coding.memory import Step
from netsim.compiling import IS_ON
from netsim.errors import DecodeError, EncodeError
from netsim.fields import PositiveInt
from netsim.interfaces import Array, Floats, Key
from netsim.registry import Examples, component

COMPILED_FROM = 8192  # entries of a matrix
_LOST = 1e-12  # a column of which orthogonalisation leaves a smaller share is rounding only


@component("compressor")
@dataclass(frozen=True)
class LowRank(Factored):
    """Q(M) = P (M^T P)^T with P = orthogonalise(M Q0), for each matrix M; tensors with one axis travel as they are.

    P has r = min(rank, n, m) orthonormal columns for M of n rows and m columns, so Q projects M's columns
    orthogonally on P's and ||M - Q||^2 = ||M||^2 - ||Q||^2 on every draw, rounding aside. Biased; there is no w, and no
    delta: a bad Q0 keeps nothing. Q0 is M^T P of the message before, as it was decoded (warm start, `memory`), or drawn
    where there is none; over similar M this becomes power iteration, and Q the best approximation of rank r.

    Payload: tensor by tensor in the order of the layout, FPP r (n + m) bits, the columns of P one after the other, then
    those of M^T P; a tensor with one axis, or a matrix with n m <= r (n + m), as its FPP d_t bits. The paper counts the
    same. The length depends on the layout only.

    Deviations: both factors are one sender's, where the paper averages each over all workers on its way; with one
    worker they are the same. M^T P is taken with P as it was decoded. Q0 is drawn uniformly from [-1, 1), not normal.

    Bits: products add their terms in order, norms and projections in fixed blocks; no BLAS or LAPACK takes part, so the
    payload is the same on every machine.

    Parameters
    ----------
    rank
        r.

    References
    ----------
    Vogels, Karimireddy, Jaggi, "PowerSGD: practical low-rank gradient compression for distributed optimization",
    NeurIPS 2019, algorithm 1; with `error_feedback` algorithm 2.

    Examples
    --------
    >>> codec = LowRank(rank=1, float_bit=64).bind([(3, 4)])
    >>> x = np.outer([1.0, 2.0, 3.0], [1.0, 0.0, 1.0, 0.0]).ravel()
    >>> payload = codec.encode(x, np.random.default_rng(1))
    >>> codec.decode(payload.data, 12).round(12).tolist(), payload.paper_bit
    ([1.0, 0.0, 1.0, 0.0, 2.0, 0.0, 2.0, 0.0, 3.0, 0.0, 3.0, 0.0], 448.0)
    """

    rank: PositiveInt = 2

    examples: ClassVar[Examples] = (
        {"rank": 2},
        {"rank": 1, "fold": True},
        {"rank": 3, "fold": True, "float_bit": 64},
    )
    sweep: ClassVar[Examples] = (
        {"rank": 1, "float_bit": 16},
        {"rank": 4, "float_bit": 16},
    )

    def saves(self, rows: int, columns: int) -> bool:
        """Return whether both factors together are shorter."""
        return self._rank(rows, columns) * (rows + columns) < rows * columns

    def step(self, memory: Array | None, x: Array, key: Key) -> Step:
        """Encode with a warm start.

        Parameters
        ----------
        memory
            What the step before returned: all M^T P, column by column; None before the first one.
        """
        vector = self.vector(x)
        self.check(vector)
        out = BitWriter()
        payload = sealed(out, self.write(vector, key, out, memory))
        factors = self.read_factors(BitReader(payload.data), vector.size)
        rights = [right.T.ravel() for _, right in factors if right is not None]
        return Step(payload, self.expand(factors, vector.size), np.concatenate([np.zeros(0), *rights]))

    def write(self, x: Array, key: Key, out: BitWriter, memory: Array | None = None) -> PaperBits:
        """Append both factors of each matrix, and all else as it is."""
        tensors = self.tensors(x.size, EncodeError)
        wanted = sum(t.columns * self._rank(t.rows, t.columns) for t in tensors)
        if memory is not None and memory.shape != (wanted,):
            raise EncodeError(f"{self.name}: a memory of {wanted} entries is needed. Got shape {memory.shape}.")
        bit = used = 0
        for tensor in tensors:
            if tensor.rows == 0:
                bit += self.write_raw(x, tensor, out)
                continue
            shape = self._rank(tensor.rows, tensor.columns), tensor.columns
            start, used = used, used + math.prod(shape)
            warm = np.zeros(shape) if memory is None else memory[start:used].reshape(shape)
            bit += self._write_matrix(x, tensor, warm, key, out)
        return PaperBits(value_bit=bit)

    def read_factors(self, src: BitReader, dim: int) -> list[Factors]:
        """Return both factors of each matrix, and all else as it is."""
        factors = []
        for tensor in self.tensors(dim, DecodeError):
            if tensor.rows == 0:
                factors.append(Factors(src.floats(tensor.stop - tensor.start, self.float_bit)))
                continue
            r = self._rank(tensor.rows, tensor.columns)
            p = src.floats(r * tensor.rows, self.float_bit).reshape(r, tensor.rows)
            q = src.floats(r * tensor.columns, self.float_bit).reshape(r, tensor.columns)
            factors.append(Factors(p.T, q.T))
        return factors

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return math.ceil(self.float_bit * sum(map(self._floats, self.tensors(dim))) / 8)

    def encode_flop(self, dim: int) -> float:
        """Return two products of 2 n m r, and 4 n r^2 for the orthogonalisation, twice; one per entry elsewhere."""
        total = 0
        for t in self.tensors(dim):
            r = self._rank(t.rows, t.columns)
            total += 4 * t.rows * t.columns * r + 4 * t.rows * r * r if t.rows else t.stop - t.start
        return total

    def decode_flop(self, dim: int) -> float:
        """Return 2 n m r for each matrix."""
        return sum(2 * t.rows * t.columns * self._rank(t.rows, t.columns) for t in self.tensors(dim))

    def _rank(self, rows: int, columns: int) -> int:
        return min(self.rank, rows, columns)

    def _floats(self, tensor: Tensor) -> int:
        rows, columns = tensor.rows, tensor.columns
        return self._rank(rows, columns) * (rows + columns) if rows else tensor.stop - tensor.start

    def _write_matrix(self, x: Array, tensor: Tensor, warm: npt.NDArray[Any], key: Key, out: BitWriter) -> int:
        matrix, exponent = as_matrix(x, tensor)
        q: Floats = warm.astype(np.float64)
        cold = ~q.any(axis=1)
        if cold.any():
            places = tensor.first + np.arange(q.size).reshape(q.shape)[cold]
            q[cold] = 2 * uniforms(key, places.ravel()).reshape(-1, tensor.columns) - 1
        p = self.rounded(orthogonal(_right(matrix, _unit(q))).ravel(), self.float_bit, what="factor entry")
        out.floats(p, self.float_bit)
        projected = scaled_up(_left(matrix, p.astype(np.float64).reshape(-1, tensor.rows)), exponent)
        out.floats(self.rounded(projected.ravel(), self.float_bit, what="factor entry"), self.float_bit)
        return self.float_bit * (p.size + projected.size)


def orthogonal(p: Floats) -> Floats:
    """Return the rows of `p` made orthonormal in their order, each projected twice; zero where nothing is left of one.

    Modified Gram-Schmidt, from each row in units of its largest entry.
    """
    q = np.zeros_like(p)
    for j, row in enumerate(_unit(p)):
        norm = _norm(row)
        if norm == 0:
            continue
        left = row / norm
        for _ in range(2):
            for done in q[:j]:
                left = left - _dot(done, left) * done
        rest = _norm(left)
        if rest > _LOST:
            q[j] = left / rest
    return q


def _unit(q: Floats) -> Floats:
    """Return the rows in units of their largest entry, so that no product overflows."""
    peaks = np.abs(q).max(axis=1, keepdims=True)
    unit: Floats = np.ldexp(q, -np.frexp(peaks)[1])
    return unit


def _norm(x: Floats) -> float:
    return math.sqrt(_dot(x, x))


def _dot(x: Floats, y: Floats) -> float:
    return float(np.add.reduce(x * y))


def _right(matrix: Floats, q: Floats) -> Floats:
    """Return (matrix @ q.T).T: for each of its entries the terms added from the first column to the last."""
    out = np.zeros((matrix.shape[0], q.shape[0]))
    columns = np.ascontiguousarray(q.T)
    if IS_ON and matrix.size >= COMPILED_FROM:
        kernels.products.right(matrix, columns, out)
    else:
        for column, row in zip(matrix.T, columns, strict=True):
            out += np.multiply.outer(column, row)
    return np.ascontiguousarray(out.T)


def _left(matrix: Floats, p: Floats) -> Floats:
    """Return p @ matrix: for each of its entries the terms added from the first row to the last."""
    out = np.zeros((p.shape[0], matrix.shape[1]))
    rows = np.ascontiguousarray(p.T)
    if IS_ON and matrix.size >= COMPILED_FROM:
        kernels.products.left(matrix, rows, out)
    else:
        for row, factors in zip(matrix, rows, strict=True):
            out += np.multiply.outer(factors, row)
    return out
