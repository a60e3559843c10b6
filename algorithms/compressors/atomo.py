"""Spectral ATOMO: a random few singular vectors of each matrix, drawn so that the mean is the matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.draws import uniforms
from algorithms.coding.factors import Factored, Factors, Tensor, as_matrix, scaled_up
from algorithms.coding.indices import read_count, write_count
from algorithms.coding.sizes import lg
from algorithms.compressors.stochastic_sparsification import optimal_level, probabilities
from netsim.errors import DecodeError, EncodeError
from netsim.fields import PositiveFloat
from netsim.interfaces import Array, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class Atomo(Factored):
    """Q(M) = sum of (s_i / p_i) u_i v_i^T over the i drawn, each with probability p_i = min(1, lambda s_i), for each M.

    M = sum s_i u_i v_i^T is the singular value decomposition, sum p_i = budget. Unbiased, with the least variance
    sum s_i^2 (1/p_i - 1) for that sum; it is at most (R/budget - 1) ||M||^2, R = min(n, m), as in
    `stochastic_sparsification`, so w is the largest R/budget - 1. Singular values below eps max(n, m) s_1, which are
    rounding only, are left out. Tensors with one axis travel as they are.

    Payload: tensor by tensor in the order of the layout, lg(R+1) bits for the number T drawn of the matrix' R singular
    values, then for each FPP n bits of (s_i / p_i) u_i and FPP m of v_i; a tensor with one axis as its FPP d_t bits.
    The paper counts T (n + m) FPP and d_t FPP.

    Deviations: s_i / p_i is multiplied into u_i instead of sent as one more float.

    Bits: LAPACK decides the last digits of u_i and v_i and their common sign, so payloads agree between machines with
    the same LAPACK and processor only; what a payload decodes to is the same everywhere.

    Parameters
    ----------
    budget
        Above 0, the expected number of singular vectors of each matrix; from R on, all are sent.

    References
    ----------
    Wang, Sievert, Charles, Liu, Wright, Papailiopoulos, "ATOMO: communication-efficient learning via atomic
    sparsification", NeurIPS 2018, algorithm 1 and section 4, spectral-ATOMO.

    Examples
    --------
    >>> codec = Atomo(budget=1.0).bind([(2, 2)])
    >>> payload = codec.encode(np.array([3.0, 0.0, 0.0, 1.0]), np.random.default_rng(4))
    >>> codec.decode(payload.data, 4).round(4).tolist()
    [4.0, 0.0, 0.0, 0.0]
    """

    budget: PositiveFloat = 1.0

    is_unbiased: ClassVar[bool] = True
    examples: ClassVar[Examples] = (
        {"budget": 2.0},
        {"budget": 1.5, "fold": True},
        {"budget": 3.0, "fold": True, "float_bit": 64},
    )
    sweep: ClassVar[Examples] = (
        {"budget": 1.0, "float_bit": 16},
        {"budget": 6.0, "float_bit": 16},
    )

    def saves(self, rows: int, columns: int) -> bool:
        """Return whether a matrix has more than one singular value."""
        return min(rows, columns) > 1

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Draw for each matrix, and append what was drawn, and all else as it is."""
        bit = 0
        for tensor in self.tensors(x.size, EncodeError):
            bit += self._write_matrix(x, tensor, key, out) if tensor.rows else self.write_raw(x, tensor, out)
        return PaperBits(value_bit=bit)

    def read_factors(self, src: BitReader, dim: int) -> list[Factors]:
        """Return what was drawn of each matrix, and all else as it is."""
        factors = []
        for tensor in self.tensors(dim, DecodeError):
            if tensor.rows == 0:
                factors.append(Factors(src.floats(tensor.stop - tensor.start, self.float_bit)))
                continue
            count = read_count(src, min(tensor.rows, tensor.columns))
            both = src.floats(count * (tensor.rows + tensor.columns), self.float_bit)
            both = both.reshape(count, tensor.rows + tensor.columns)
            factors.append(Factors(both[:, : tensor.rows].T, both[:, tensor.rows :].T))
        return factors

    def max_size_bytes(self, dim: int) -> int:
        """Return the bytes of all singular vectors."""
        bit = 0
        for tensor in self.tensors(dim):
            most = min(tensor.rows, tensor.columns)
            floats = most * (tensor.rows + tensor.columns) if most else tensor.stop - tensor.start
            bit += self.float_bit * floats + (lg(most + 1) if most else 0)
        return math.ceil(bit / 8)

    def variance_bound(self, dim: int) -> float:
        """Return the largest R/budget - 1 of a matrix, 0 where there is none or the budget reaches R."""
        return max([min(t.rows, t.columns) / self.budget - 1 for t in self.tensors(dim)] + [0.0])

    def encode_flop(self, dim: int) -> float:
        """Return 14 n m R for a decomposition, R and n the smaller and m the larger side; one per entry elsewhere."""
        return sum(
            14 * t.rows * t.columns * min(t.rows, t.columns) if t.rows else t.stop - t.start for t in self.tensors(dim)
        )

    def decode_flop(self, dim: int) -> float:
        """Return 2 n m for each singular vector of the budget."""
        return sum(2 * t.rows * t.columns * min(self.budget, t.rows, t.columns) for t in self.tensors(dim))

    def _write_matrix(self, x: Array, tensor: Tensor, key: Key, out: BitWriter) -> int:
        matrix, exponent = as_matrix(x, tensor)
        u, s, vt = np.linalg.svd(matrix, full_matrices=False)
        s = np.where(s > np.finfo(np.float64).eps * max(matrix.shape) * s[0], s, 0.0)
        places = np.flatnonzero(s)
        if places.size:
            p = probabilities(s[places], optimal_level(s, self.budget))
            hit = uniforms(key, tensor.first + places) < p
            places, p = places[hit], p[hit]
            u = scaled_up(u[:, places] * (s[places] / p), exponent)
        write_count(out, places.size, s.size)
        for j, place in enumerate(places):
            both = np.concatenate([u[:, j], vt[place]])
            out.floats(self.rounded(both, self.float_bit, what="factor entry"), self.float_bit)
        return self.float_bit * places.size * (tensor.rows + tensor.columns)
