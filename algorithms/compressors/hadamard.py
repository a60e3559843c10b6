"""A random rotation before any code: no entry stands out, whatever the vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding import rotate
from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.drawn import senders
from algorithms.coding.subset import derived, derived_or_none
from algorithms.coding.wrappers import Entries, Part, Wrapper, entries, require_memoryless
from netsim.errors import DecodeError
from netsim.interfaces import Array, Key
from netsim.registry import Examples, component

SEED_BIT = 32


@component("compressor")
@dataclass(frozen=True)
class Hadamard(Wrapper):
    """R^-1 Q(R x) with R = H diag(s) / sqrt(D), s random signs, H the Walsh-Hadamard matrix of D = 2^lg d rows.

    x is padded with D - d zeros; what Q makes of them is dropped. R is orthogonal, so an unbiased Q stays unbiased, and
    w and delta are Q's for D entries. After it every entry is near ||x||/sqrt(D) in size, at most sqrt(2 ln(2D/q))
    times that with probability 1 - q, which is what a quantiser by the largest entry wants. It costs D lg D additions.

    Payload: 32 bits for the seed of s, then Q's payload for D entries; ``shared_seed``: Q's alone. The paper counts Q's
    bits, as its signs come from shared randomness; so does `paper_bit`.

    The seed travels by default, so that bytes decode by themselves and everywhere: 32 bits are little beside one bit
    for each of D entries. Unbiasedness needs no randomness of s, so 2**32 rotations lose nothing.

    Parameters
    ----------
    part
        Q, of D entries.
    shared_seed
        Whether the reader draws s from the sender's key, which it then needs.

    References
    ----------
    Suresh, Yu, Kumar, McMahan, "Distributed mean estimation with limited communication", ICML 2017, section 3,
    stochastic rotated quantization.

    Examples
    --------
    >>> from algorithms.compressors.identity import Identity
    >>> codec = Hadamard(part=Identity(float_bit=64))
    >>> payload = codec.encode(np.array([3.0, 0.0, 0.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 3).tolist(), len(payload.data)
    ([3.0, 0.0, 0.0], 36)
    """

    part: Part
    shared_seed: bool = False

    examples: ClassVar[Examples] = (
        {"part": {"name": "identity"}},
        {"part": {"name": "rand_k", "fraction": 0.4}, "shared_seed": True},
        {"part": {"name": "sign_top_k", "fraction": 1.0}},
    )
    sweep: ClassVar[Examples] = (
        {"part": {"name": "sign_top_k", "fraction": 0.3}},
        {"part": {"name": "qsgd", "levels": 1, "norm": "max"}},
        {"part": {"name": "k_level", "levels": 4}},
    )

    def __post_init__(self) -> None:
        require_memoryless(part=self.part)

    @property
    def is_unbiased(self) -> bool:  # type: ignore[override]  # depends on a key
        """Where Q is."""
        return self.part.is_unbiased

    @property
    def shares_randomness(self) -> bool:  # type: ignore[override]
        """Where the seed is shared, or Q shares its own."""
        return self.shared_seed or self.part.shares_randomness

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the seed and Q(R x)."""
        signs, own = derived(key, 2)
        if not self.shared_seed:
            seed = signs.key & (2**SEED_BIT - 1)
            signs = Key(seed, 0)
            out.uint(seed, SEED_BIT)
        return self.write_part(self.part, rotate.rotate(x, signs), own, out, where="after rotation, ")

    def read_parts(self, src: BitReader, dim: int, key: Key | None = None) -> Entries:
        """Return what the bit stream holds, rotated back."""
        found, signs = self._read(src, dim, key)
        return Entries(None, self._back(found, dim, signs))

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Array:
        """Return the vector that `data` stands for; it exists only once all of `data` is accepted."""
        src = BitReader(data)
        found, signs = self._read(src, dim, key)
        src.finish()
        return self._back(found, dim, signs)

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Add `scale * decode(data, acc.size)` to `acc`."""
        acc += scale * self.decode(data, acc.size, key)

    def max_size_bytes(self, dim: int) -> int | None:
        """Return Q's for D entries, and the seed."""
        size = self.part.max_size_bytes(rotate.padded(dim))
        return None if size is None else size + (0 if self.shared_seed else SEED_BIT // 8)

    def variance_bound(self, dim: int) -> float | None:
        """Return Q's for D entries."""
        return self.part.variance_bound(rotate.padded(dim))

    def contraction(self, dim: int) -> float | None:
        """Return Q's for D entries."""
        return self.part.contraction(rotate.padded(dim))

    def encode_flop(self, dim: int) -> float:
        """Return Q's for D entries, D lg D additions and a multiplication of each entry."""
        size = rotate.padded(dim)
        return self.part.encode_flop(size) + size * size.bit_length()

    def decode_flop(self, dim: int) -> float:
        """Return Q's for D entries, D lg D additions and a multiplication of each entry."""
        size = rotate.padded(dim)
        return self.part.decode_flop(size) + size * size.bit_length()

    def _read(self, src: BitReader, dim: int, key: Key | None) -> tuple[Entries, Key]:
        signs, own = derived_or_none(key if self.shares_randomness else None, 2)
        signs = senders(signs, self.name) if self.shared_seed else Key(src.uint(SEED_BIT), 0)
        return entries(self.part, src, rotate.padded(dim), own), signs

    def _back(self, found: Entries, dim: int, signs: Key) -> Array:
        y = np.array(found.vector(rotate.padded(dim)), np.float64)
        x = rotate.rotate_back(y, dim, signs)
        if not np.isfinite(x).all():
            raise DecodeError("payload: every number must be finite. Got a rotated vector beyond float64.")
        return x
