"""Each tensor of a model by itself, with its own scale and its own k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import Codec, PaperBits
from algorithms.coding.layout import LaidOut, shapes_of
from algorithms.coding.subset import derived, derived_or_none
from algorithms.coding.wrappers import Entries, Part, Wrapper, entries, require_memoryless
from netsim.errors import DecodeError, EncodeError
from netsim.interfaces import Array, Key
from netsim.registry import Examples, component


class Piece(NamedTuple):
    """Entries start .. stop - 1 of the vector, and the codec that they have."""

    start: int
    stop: int
    codec: Codec

    @property
    def dim(self) -> int:
        """Its entries."""
        return self.stop - self.start


@component("compressor")
@dataclass(frozen=True)
class Piecewise(LaidOut, Wrapper):
    """Q(x) = (Q_1(x_1), ..., Q_n(x_n)), x_t the entries of tensor t, Q_t `part` for its shape.

    Unbiased where all Q_t are, with w the largest w_t; a contraction with delta the smallest delta_t. Tensor t draws
    with a key of its own. A codec keeps its `k` in every tensor, so that ``k: 1000`` is k_t = min(1000, d_t).

    Payload: the payloads of all tensors in the order of the layout, one after the other in one bit stream, without
    padding between them. The papers' bits add up, too.

    Indices are shorter than those of the whole vector: of ResNet-50's 161 tensors, ``k: 1000`` keeps 99,400 entries
    with indices of 13.9 bits on average instead of 25. `sign_top_k` then takes 15.0 bits an entry with all overhead,
    3.07 times less than `top_k` in the same tensors and 3.81 times less than `top_k` of as many entries in the whole
    vector; with indices of 25 bits it is 2.19 times.

    Without a layout the vector is one tensor. No memory reaches the parts: for a warm start take `low_rank` itself,
    which knows tensors.

    Parameters
    ----------
    part
        The codec of each tensor.
    vectors
        Instead of it: the codec of tensors with one axis, such as biases.

    References
    ----------
    Basu, Data, Karakus, Diggavi, "Qsparse-local-SGD: distributed SGD with quantization, sparsification, and local
    computations", NeurIPS 2019, piecewise compression, corollary 1.

    Examples
    --------
    >>> from algorithms.compressors.top_k import TopK
    >>> codec = Piecewise(part=TopK(k=1)).bind([(2, 1), (3,)])
    >>> payload = codec.encode(np.array([1.0, 2.0, -5.0, 4.0, 3.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 5).tolist()
    [0.0, 2.0, -5.0, 0.0, 0.0]
    """

    part: Part
    vectors: Part | None = None

    examples: ClassVar[Examples] = (
        {"part": {"name": "sign_top_k", "k": 5}},
        {"part": {"name": "rand_k", "fraction": 0.3, "shared_seed": True}},
        {"part": {"name": "top_k", "k": 5}, "vectors": {"name": "identity"}},
    )

    def __post_init__(self) -> None:
        require_memoryless(part=self.part, vectors=self.vectors)

    @property
    def is_unbiased(self) -> bool:  # type: ignore[override]  # depends on keys
        """Where the parts are."""
        return all(codec.is_unbiased for codec in self._codecs())

    @property
    def shares_randomness(self) -> bool:  # type: ignore[override]
        """Where one of the parts does."""
        return any(codec.shares_randomness for codec in self._codecs())

    def pieces(self, dim: int, error: type[Exception] = ValueError) -> list[Piece]:
        """Return the tensors of a vector of that dimension, each with its codec bound to its shape."""
        found, start = list[Piece](), 0
        for shape in shapes_of(self.layout, dim, error, self.name):
            codec = self.part if self.vectors is None or len(shape) > 1 else self.vectors
            stop = start + int(np.prod(shape, dtype=np.int64))
            found.append(Piece(start, stop, codec.bind((shape,))))
            start = stop
        return found

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the tensors one after the other."""
        pieces = self.pieces(x.size, EncodeError)
        bits = PaperBits()
        for i, (piece, own) in enumerate(zip(pieces, derived(key, len(pieces)), strict=True)):
            where = f"tensor {i}, from entry {piece.start} on: "
            bits += self.write_part(piece.codec, x[piece.start : piece.stop], own, out, where=where)
        return bits

    def read_parts(self, src: BitReader, dim: int, key: Key | None = None) -> Entries:
        """Return all tensors; the entries alone where all their codecs are sparse."""
        pieces = self.pieces(dim, DecodeError)
        keys = derived_or_none(key if self.shares_randomness else None, len(pieces))
        found = [entries(piece.codec, src, piece.dim, own) for piece, own in zip(pieces, keys, strict=True)]
        both = list(zip(pieces, found, strict=True))
        places = [piece.start + part.indices for piece, part in both if part.indices is not None]
        if len(places) == len(pieces):
            return Entries(np.concatenate(places), np.concatenate([part.values for part in found]))
        return Entries(None, np.concatenate([part.vector(piece.dim) for piece, part in both]))

    def max_size_bytes(self, dim: int) -> int | None:
        """Return the sum of the parts' bounds, each in whole bytes."""
        total = 0
        for piece in self.pieces(dim):
            size = piece.codec.max_size_bytes(piece.dim)
            if size is None:
                return None
            total += size
        return total

    def variance_bound(self, dim: int) -> float | None:
        """Return the largest w of a tensor; None where one has none."""
        bounds = [piece.codec.variance_bound(piece.dim) for piece in self.pieces(dim)]
        known = [w for w in bounds if w is not None]
        return max(known) if len(known) == len(bounds) else None

    def contraction(self, dim: int) -> float | None:
        """Return the smallest delta of a tensor; None where one has none."""
        bounds = [piece.codec.contraction(piece.dim) for piece in self.pieces(dim)]
        known = [delta for delta in bounds if delta is not None]
        return min(known) if len(known) == len(bounds) else None

    def encode_flop(self, dim: int) -> float:
        """Return the sum over the tensors."""
        return sum(piece.codec.encode_flop(piece.dim) for piece in self.pieces(dim))

    def decode_flop(self, dim: int) -> float:
        """Return the sum over the tensors."""
        return sum(piece.codec.decode_flop(piece.dim) for piece in self.pieces(dim))

    def _codecs(self) -> tuple[Codec, ...]:
        return (self.part,) if self.vectors is None else (self.part, self.vectors)
