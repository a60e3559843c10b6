"""One message of several vectors, such as a model and a number beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import Codec, PaperBits, sealed
from algorithms.coding.subset import derived
from algorithms.coding.wrappers import entries
from netsim.interfaces import Array, Key, Payload


@dataclass(frozen=True)
class Several:
    """Vectors one behind the other in one bit stream, each by its own codec; bits and work add up.

    Parameters
    ----------
    codecs
        One for each vector.
    dims
        Length of each vector; None: the dimension that `decode` is asked for.

    Examples
    --------
    >>> import numpy as np
    >>> from algorithms.compressors.identity import Identity
    >>> from algorithms.compressors.top_k import TopK
    >>> code = Several((Identity(), TopK(k=1)), (1, None))
    >>> payload = code.encode_keyed((np.array([7.0]), np.array([0.0, -3.0, 1.0])), Key(0, 0))
    >>> [part.tolist() for part in code.decode(payload.data, 3)]
    [[7.0], [0.0, -3.0, 0.0]]
    >>> code.part(0).decode(payload.data, 3).tolist()
    [7.0]
    """

    codecs: tuple[Codec, ...]
    dims: tuple[int | None, ...]

    @property
    def draws(self) -> bool:
        """Whether any codec draws."""
        return any(codec.draws for codec in self.codecs)

    @property
    def shares_randomness(self) -> bool:
        """Whether any codec shares its draws with its receivers."""
        return any(codec.shares_randomness for codec in self.codecs)

    def encode_keyed(self, x: Sequence[Array], key: Key) -> Payload:
        """Encode one vector for each codec; see `Codec.encode_keyed`."""
        out, bits = BitWriter(), PaperBits()
        for codec, part, own in zip(self.codecs, x, self._keys(key, self.draws), strict=True):
            vector = codec.vector(part)
            codec.check(vector)
            bits += codec.write(vector, own, out)
        return sealed(out, bits)

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> tuple[Array, ...]:
        """Decode all vectors; see `Codec.decode`."""
        src, keys = BitReader(data), self._keys(key, self.shares_randomness)
        lengths = self._lengths(dim)
        found = tuple(codec.read(src, n, k) for codec, n, k in zip(self.codecs, lengths, keys, strict=True))
        src.finish()
        return found

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Add the last vector times `scale` to `acc`."""
        self.part(len(self.codecs) - 1).add_to(data, acc, scale, key)

    def part(self, index: int) -> PartOf:
        """Return the codec that decodes one of the vectors and passes over those before it."""
        return PartOf(self, index)

    def encode_flop(self, dim: int) -> float:
        """Add up the codecs' operations of encoding."""
        return sum(codec.encode_flop(n) for codec, n in zip(self.codecs, self._lengths(dim), strict=True))

    def decode_flop_of(self, data: bytes, dim: int) -> float:
        """Add up the operations of decoding the vectors of this payload."""
        return sum(self.part(i).decode_flop_of(data, dim) for i in range(len(self.codecs)))

    def _lengths(self, dim: int) -> list[int]:
        return [dim if own is None else own for own in self.dims]

    def _keys(self, key: Key | None, needed: bool) -> Sequence[Any]:
        return derived(key, len(self.codecs)) if needed and key is not None else [key] * len(self.codecs)


@dataclass(frozen=True)
class PartOf:
    """One vector of a message of several."""

    whole: Several
    index: int

    @property
    def draws(self) -> bool:
        """Whether its codec draws."""
        return self.whole.draws

    @property
    def shares_randomness(self) -> bool:
        """Whether the message's codecs share draws."""
        return self.whole.shares_randomness

    def encode_keyed(self, x: Array, key: Key) -> Payload:
        """Refuse to encode one part alone."""
        raise TypeError("a part of a message is decoded alone and encoded with the others")

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Array:
        """Decode this vector; what comes after it is not looked at."""
        src, own, n = self._before(data, dim, key)
        return self.whole.codecs[self.index].read(src, n, own)

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Add this vector times `scale` to `acc`, in O(T) where the code is sparse."""
        src, own, n = self._before(data, acc.size, key)
        found = entries(self.whole.codecs[self.index], src, n, own)
        if self.index == len(self.whole.codecs) - 1:
            src.finish()
        acc[... if found.indices is None else found.indices] += scale * found.values

    def encode_flop(self, dim: int) -> float:
        """Return the operations of encoding this vector."""
        return self.whole.codecs[self.index].encode_flop(self.whole.dims[self.index] or dim)

    def decode_flop_of(self, data: bytes, dim: int) -> float:
        """Return the operations of decoding this vector of this payload."""
        src, _, n = self._before(data, dim, None)
        return self.whole.codecs[self.index].decode_flop_at(src, n)

    def _before(self, data: bytes, dim: int, key: Key | None) -> tuple[BitReader, Key | None, int]:
        """Return the bit stream behind the vectors before this one, this one's key, and its length."""
        whole, src = self.whole, BitReader(data)
        lengths, keys = whole._lengths(dim), whole._keys(key, whole.shares_randomness)
        for i in range(self.index):
            whole.codecs[i].read(src, lengths[i], keys[i])
        return src, keys[self.index], lengths[self.index]


def pair(codec: Codec) -> Several:
    """Return the code of two vectors of the dimension that `decode` is asked for, both by one codec."""
    return Several((codec, codec), (None, None))
