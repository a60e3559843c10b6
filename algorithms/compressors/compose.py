"""One code after another: Q1(Q2(x))."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, Self

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import Codec, PaperBits
from algorithms.coding.indices import IndexCode, most_index_bit, read_count, read_indices, write_count, write_indices
from algorithms.coding.sizes import lg
from algorithms.coding.sparse import SparseCompressor
from algorithms.coding.subset import derived, derived_or_none
from algorithms.coding.wrappers import Entries, Part, Wrapper, entries, require_memoryless
from netsim.errors import ConfigError, EncodeError, Fault
from netsim.interfaces import Array, Key
from netsim.registry import Examples, component

COUNTED = 2**20  # numbers of kept entries that are tried for a bound


@component("compressor")
@dataclass(frozen=True)
class Compose(Wrapper):
    """Q(x) = Q1(Q2(x)), Q1 `outer` and Q2 `inner`, with independent draws.

    Q1 in U(w1) and Q2 in U(w2) make Q unbiased with w = w1 + w2 + w1 w2. Q1 codes the decoded Q2(x), so one payload
    travels.

    ``form: plain``: Q1 codes the vector Q2(x) of d entries. Payload: Q1's, and so the paper's bits.

    ``form: kept``, for a sparse Q2: Q1 codes the T entries that Q2 sends, as a vector of T entries. Payload: lg(d+1)
    bits for T, the indices (T lg d bits where `index` is ``fixed``), then Q1's payload of the T values, which is absent
    where T = 0. The paper counts the indices and what it counts for Q1. Q1's constants are those of the T that makes
    them largest.

    Parameters
    ----------
    outer
        Q1, such as a quantiser.
    inner
        Q2, such as a choice of entries.
    form
        ``plain`` or ``kept``.
    index
        How ``kept`` codes indices; ``fixed`` is lg d each.

    References
    ----------
    Horvath, Ho, Horvath, Sahu, Canini, Richtarik, "Natural compression for distributed deep learning", MSML 2022,
    theorem 5. Basu, Data, Karakus, Diggavi, "Qsparse-local-SGD", NeurIPS 2019, Q_s Comp_k (``kept``).

    Examples
    --------
    >>> import numpy as np
    >>> from algorithms.compressors.identity import Identity
    >>> from algorithms.compressors.top_k import TopK
    >>> codec = Compose(outer=Identity(float_bit=16), inner=TopK(k=2), form="kept")
    >>> payload = codec.encode(np.array([0.5, -3.0, 0.0, 2.1]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).tolist(), payload.paper_bit
    ([0.0, -3.0, 0.0, 2.099609375], 36.0)
    """

    outer: Part
    inner: Part
    form: Literal["plain", "kept"] = "plain"
    index: IndexCode = "fixed"

    examples: ClassVar[Examples] = (
        {"outer": {"name": "stochastic_sparsification", "budget": 4.0}, "inner": {"name": "bernoulli", "p": 0.5}},
        {"outer": {"name": "rand_k", "fraction": 0.5}, "inner": {"name": "rand_k", "k": 8}, "form": "kept"},
        {
            "outer": {"name": "sign_top_k", "fraction": 1.0},
            "inner": {"name": "top_k", "k": 5},
            "form": "kept",
            "index": "auto",
        },
    )
    sweep: ClassVar[Examples] = (
        {"outer": "natural", "inner": {"name": "top_k", "fraction": 0.1}, "form": "kept", "index": "auto"},
        {"outer": "natural", "inner": {"name": "top_k", "fraction": 0.4}, "form": "kept", "index": "auto"},
        {
            "outer": {"name": "qsgd", "levels": 3},
            "inner": {"name": "rand_k", "fraction": 0.3},
            "form": "kept",
            "index": "auto",
        },
    )

    def __post_init__(self) -> None:
        require_memoryless(outer=self.outer, inner=self.inner)
        if self.form == "kept" and not isinstance(self.inner, SparseCompressor):
            raise ConfigError([Fault(("inner",), "a sparse code, as the form is kept", self.inner.name)])

    @property
    def is_unbiased(self) -> bool:  # type: ignore[override]  # depends on keys
        """Where both are."""
        return self.outer.is_unbiased and self.inner.is_unbiased

    @property
    def shares_randomness(self) -> bool:  # type: ignore[override]
        """Where Q1 does: the reader never sees Q2's code."""
        return self.outer.shares_randomness

    def bind(self, layout: Sequence[tuple[int, ...]]) -> Self:
        """Return Q2 and, in the plain form, Q1 for those tensors."""
        outer = self.outer.bind(layout) if self.form == "plain" else self.outer
        return dataclasses.replace(self, outer=outer, inner=self.inner.bind(layout))

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append Q1 of what a reader of Q2 would get."""
        inner_key, outer_key = derived(key, 2)
        scratch = BitWriter()
        self.write_part(self.inner, x, inner_key, scratch)
        found = entries(self.inner, BitReader(scratch.getvalue()), x.size, inner_key)
        if self.form == "plain" or found.indices is None:
            return self.write_part(self.outer, found.vector(x.size), outer_key, out)
        order = found.indices.argsort()
        indices, values = found.indices[order], found.values[order]
        write_count(out, indices.size, x.size)
        if indices.size == 0:
            return PaperBits()
        bits = PaperBits(write_indices(out, indices, x.size, self.index))
        try:
            return bits + self.outer.write(values, outer_key, out)
        except EncodeError as error:
            raise EncodeError(f"{self.name}: of the {indices.size} entries kept, {error}") from None

    def read_parts(self, src: BitReader, dim: int, key: Key | None = None) -> Entries:
        """Read the parts off the bit stream."""
        outer_key = derived_or_none(key if self.shares_randomness else None, 2)[1]
        if self.form == "plain":
            return entries(self.outer, src, dim, outer_key)
        count = read_count(src, dim)
        if count == 0:
            return Entries(np.zeros(0, np.int64), np.zeros(0))
        indices = read_indices(src, count, dim, self.index)
        return Entries(indices, self.outer.read(src, count, outer_key))

    def max_size_bytes(self, dim: int) -> int | None:
        """Return an upper bound on the payload of a vector of that dimension."""
        if self.form == "plain":
            return self.outer.max_size_bytes(dim)
        most = self._max_kept(dim)
        size = self.outer.max_size_bytes(most)
        return None if size is None else size + (lg(dim + 1) + most_index_bit(most, dim, self.index) + 7) // 8

    def variance_bound(self, dim: int) -> float | None:
        """Return w1 + w2 + w1 w2; None where one is unknown or biased, or too many sizes would have to be tried."""
        w1, w2 = self._outer_variance(dim), self.inner.variance_bound(dim)
        return None if w1 is None or w2 is None or not self.is_unbiased else w1 + w2 + w1 * w2

    def encode_flop(self, dim: int) -> float:
        """Return the operations of both, and of decoding Q2."""
        outer = self.outer.encode_flop(dim if self.form == "plain" else self._max_kept(dim))
        return self.inner.encode_flop(dim) + self.inner.decode_flop(dim) + outer

    def decode_flop(self, dim: int) -> float:
        """Return the operations of Q1."""
        return self.outer.decode_flop(dim if self.form == "plain" else self._max_kept(dim))

    def _max_kept(self, dim: int) -> int:
        assert isinstance(self.inner, SparseCompressor)
        return self.inner.max_entries(dim)

    def _outer_variance(self, dim: int) -> float | None:
        if self.form == "plain":
            return self.outer.variance_bound(dim)
        return _largest_variance(self.outer, self._max_kept(dim))


@lru_cache(maxsize=64)
def _largest_variance(codec: Codec, most: int) -> float | None:
    """Return the largest w among vectors of up to `most` entries, which need not be that of the longest."""
    if most > COUNTED:
        return None
    largest = 0.0
    for dim in range(most, 0, -1):
        w = codec.variance_bound(dim)
        if w is None:
            return None
        largest = max(largest, w)
    return largest
