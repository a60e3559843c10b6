"""Values at coordinates that both ends know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from algorithms.coding.codec import Codec
from netsim.interfaces import Array, Indices, Key, Payload


@dataclass(frozen=True, eq=False)
class MaskedValues:
    """The entries of a vector at a mask, by any codec of a vector of the mask's length.

    Parameters
    ----------
    codec
        Encodes the entries.
    mask
        Ascending coordinates below `dim`.
    dim
        Length of the vectors, which are 0 outside of the mask.

    Examples
    --------
    >>> from algorithms.compressors.identity import Identity
    >>> code = MaskedValues(Identity(), np.array([0, 3]), 5)
    >>> payload = code.encode_keyed(np.arange(1.0, 6.0), Key(0, 0))
    >>> len(payload.data), code.decode(payload.data, 5).tolist()
    (8, [1.0, 0.0, 0.0, 4.0, 0.0])
    """

    codec: Codec
    mask: Indices
    dim: int

    draws: bool = field(init=False)
    shares_randomness: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "draws", self.codec.draws)

    def encode_keyed(self, x: Array, key: Key) -> Payload:
        """Encode the entries of `x` at the mask; all of their bits are values'."""
        payload = self.codec.encode_keyed(x[self.mask], key)
        return Payload(payload.data, payload.paper_bit, 0.0, payload.paper_bit)

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Array:
        """Decode the whole vector."""
        x = np.zeros(self.dim)
        x[self.mask] = self.codec.decode(data, self.mask.size, key)
        return x

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Add the entries times `scale` at the mask, in O(K)."""
        acc[self.mask] += scale * self.codec.decode(data, self.mask.size, key)

    def encode_flop(self, dim: int) -> float:
        """Return the codec's for the mask's length."""
        return self.codec.encode_flop(self.mask.size)

    def decode_flop_of(self, data: bytes, dim: int) -> float:
        """Return the codec's for the mask's length."""
        return self.codec.decode_flop_of(data, self.mask.size)
