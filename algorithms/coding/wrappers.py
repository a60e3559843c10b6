"""What codecs share that hold other codecs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple, Self, TypeAlias

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import Codec, PaperBits
from algorithms.coding.sparse import SparseCompressor
from netsim.errors import ConfigError, EncodeError, Fault
from netsim.fields import Ref
from netsim.interfaces import Array, Indices, Key

Part: TypeAlias = Annotated[Codec, Ref("compressor")]


class Entries(NamedTuple):
    """What a bit stream holds: values at some indices, each once, or at all where `indices` is None."""

    indices: Indices | None
    values: Array

    def vector(self, dim: int) -> Array:
        """Return the whole vector, float64, shape (dim,)."""
        if self.indices is None:
            return self.values
        x = np.zeros(dim)
        x[self.indices] = self.values
        return x


def entries(codec: Codec, src: BitReader, dim: int, key: Key | None) -> Entries:
    """Read one vector off the bit stream, without the zeros where the codec does not send them."""
    if isinstance(codec, SparseCompressor):
        return Entries(*codec.read_entries(src, dim, key))
    if isinstance(codec, Wrapper):
        return codec.read_parts(src, dim, key)
    return Entries(None, codec.read(src, dim, key))


def require_memoryless(**parts: Codec | None) -> None:
    """Refuse parts, by key, whose memory would be lost inside another codec.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    for key, codec in parts.items():
        if codec is not None and codec.is_outermost:
            allowed = f"a code without memory; {codec.name} goes outside, with this one as its part"
            raise ConfigError([Fault((key,), allowed, codec.name)])


class Wrapper(Codec):
    """A codec made of others: what it adds to a vector costs O(T) where theirs does."""

    @abstractmethod
    def read_parts(self, src: BitReader, dim: int, key: Key | None = None) -> Entries:
        """Read the parts off the bit stream.

        Raises
        ------
        DecodeError
            If the bits are not of this codec; before anything larger than `dim` allows is allocated.
        """

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        return self.read_parts(src, dim, key).vector(dim)

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Array:
        """Return the vector that `data` stands for; the whole vector exists only once all of `data` is accepted."""
        src = BitReader(data)
        found = self.read_parts(src, dim, key)
        src.finish()
        return found.vector(dim)

    def entries(self, data: bytes, dim: int, key: Key | None = None) -> tuple[Indices | None, Array]:
        """Return the entries that `data` stands for; see `netsim.interfaces.SparseCode`."""
        src = BitReader(data)
        found = self.read_parts(src, dim, key)
        src.finish()
        return found

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Add `scale * decode(data, acc.size)` to `acc`, touching only the entries that were sent."""
        indices, values = self.entries(data, acc.size, key)
        acc[... if indices is None else indices] += scale * values

    def write_part(
        self, part: Codec, x: Array, key: Key, out: BitWriter, memory: Any = None, where: str = ""
    ) -> PaperBits:
        """Write `x` by a part, whose refusals then name this codec, too."""
        try:
            return part.write(x, key, out, memory)
        except EncodeError as error:
            raise EncodeError(f"{self.name}: {where}{error}") from None


@dataclass(frozen=True)
class Around(Wrapper):
    """A codec around another one, which codes vectors of the same dimension."""

    part: Part

    @property
    def shares_randomness(self) -> bool:  # type: ignore[override]  # depends on a key
        """Where the part does."""
        return self.part.shares_randomness

    def bind(self, layout: Sequence[tuple[int, ...]]) -> Self:
        """Return it around the part for those tensors."""
        return replace(self, part=self.part.bind(layout))

    def max_size_bytes(self, dim: int) -> int | None:
        """Return the part's."""
        return self.part.max_size_bytes(dim)
