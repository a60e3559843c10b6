"""What every codec shares: `encode`, `decode`, `add_to` around one pair of methods on a bit stream.

A codec says in `write` how a vector becomes bits and in `read` how bits become a vector; nothing else knows sizes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from algorithms.coding.bits import FLOATS, SQUARES, BitReader, BitWriter, FloatBit, within
from netsim.errors import EncodeError
from netsim.interfaces import Array, Floats, Indices, Key, Payload

BLOCK = 65536  # entries of a temporary array that stays in cache


@dataclass(frozen=True, slots=True)
class PaperBits:
    """The papers' formula for one payload, split; adds up over the parts of a composed code.

    Parameters
    ----------
    index_bit
        Bits that name coordinates.
    value_bit
        Bits that carry values, scales and signs.
    """

    index_bit: float = 0.0
    value_bit: float = 0.0

    @property
    def paper_bit(self) -> float:
        """Both together."""
        return self.index_bit + self.value_bit

    def __add__(self, other: PaperBits) -> PaperBits:
        return PaperBits(self.index_bit + other.index_bit, self.value_bit + other.value_bit)


class Codec(ABC):
    """A frozen codec without state.

    A subclass states `is_unbiased` (E Q(x) = x) and one of the two constants that theory wants, and defines `write`,
    `read` and `max_size_bytes`. Each instance encodes any vector of any length.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    is_unbiased: ClassVar[bool] = False
    draws: ClassVar[bool] = True  # False: `write` takes no random number
    shares_randomness: ClassVar[bool] = False  # True: `read` needs the key that the sender drew with
    is_outermost: ClassVar[bool] = False  # True: no other codec can hold it, as none would keep its memory
    write_checks: ClassVar[bool] = False  # True: `write` comes upon every entry that is not finite, and refuses it

    def encode(self, x: Array, rng: np.random.Generator) -> Payload:
        """Return the payload of `x`.

        Takes two 64-bit words from `rng`, whether the codec draws or not, so that no later draw of the stream
        depends on which codec it is.

        Parameters
        ----------
        x
            Shape (d,), d >= 1; float32 and float64 are used as they are, other real numbers become float64.

        Raises
        ------
        EncodeError
            If `x` is no such vector, holds NaN or infinity, or a number beyond what the code's floats reach.
        """
        key = draw_key(rng)
        return self.encode_keyed(x, key)

    def encode_keyed(self, x: Array, key: Key) -> Payload:
        """Return the payload of `x`, drawn with that key; otherwise as `encode`."""
        vector = self.vector(x)
        self.check(vector)
        out = BitWriter()
        return sealed(out, self.write(vector, key, out))

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Array:
        """Return the vector that `data` stands for, float64, shape (dim,).

        `key` is the one that the sender drew with, needed where the code shares its randomness.

        Raises
        ------
        DecodeError
            If `data` is not a payload of this codec for that dimension.
        """
        src = BitReader(data)
        x = self.read(src, dim, key)
        src.finish()
        return x

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Add `scale * decode(data, acc.size)` to `acc`, which stays as it is where `data` is refused."""
        acc += scale * self.decode(data, acc.size, key)

    def bind(self, layout: Sequence[tuple[int, ...]]) -> Self:
        """Return this codec for a model of those tensor shapes; itself where it does not look at tensors."""
        return self

    def check(self, x: Array) -> None:
        """Refuse what no payload can carry, unless `write` does.

        Raises
        ------
        EncodeError
            Naming the first entry that is not finite.
        """
        if not self.write_checks:
            self.refuse_infinite(x)

    def refuse_infinite(self, x: Array) -> None:
        """Raise EncodeError for the first entry that is not finite."""
        for start in range(0, x.size, BLOCK):
            self.require_finite(x[start : start + BLOCK], first=start)

    @abstractmethod
    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append `x` to the bit stream.

        Parameters
        ----------
        x
            Finite, float32 or float64, shape (d,), C-contiguous.
        key
            Draws are ``philox(key.key, key.counter, coordinate)``.
        memory
            What the sender keeps for a codec with a warm start; None for all others.
        """

    @abstractmethod
    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Take one vector off the bit stream, float64, shape (dim,).

        `key` is what the sender drew with, for codes that share their randomness.

        Raises
        ------
        DecodeError
            If the bits are not of this codec; before anything larger than `dim` allows is allocated.
        """

    @abstractmethod
    def max_size_bytes(self, dim: int) -> int | None:
        """Return the longest payload of a vector of that dimension; None where there is no bound."""

    def variance_bound(self, dim: int) -> float | None:
        """Return w with E||Q(x) - x||^2 <= w ||x||^2, float rounding aside; None where no such promise is made."""
        return None

    def contraction(self, dim: int) -> float | None:
        """Return delta of ||Q(x) - x||^2 <= (1 - delta) ||x||^2 on every draw, but for rounding; None where none."""
        return None

    def encode_flop(self, dim: int) -> float:
        """Return the floating-point operations and comparisons of `encode`; here one per coordinate."""
        return dim

    def decode_flop(self, dim: int) -> float:
        """Return the floating-point operations of `decode`; here one per coordinate."""
        return dim

    def decode_flop_at(self, src: BitReader, dim: int) -> float:
        """Return the floating-point operations of `read` for what stands next on the bit stream."""
        return self.decode_flop(dim)

    def decode_flop_of(self, data: bytes, dim: int) -> float:
        """Return the floating-point operations of decoding this payload."""
        return self.decode_flop_at(BitReader(data), dim)

    def rounded(self, values: Array, float_bit: FloatBit, indices: Indices | None = None, what: str = "entry") -> Array:
        """Return `values` in the float type that goes on the wire.

        Parameters
        ----------
        indices
            The coordinates that the values belong to, for the error; None: 0, 1, 2, ...

        Raises
        ------
        EncodeError
            If one of them is not finite or beyond that type.
        """
        if within(values, SQUARES[float_bit]):
            return values.astype(FLOATS[float_bit], copy=False)
        with np.errstate(over="ignore", under="ignore"):
            floats: Array = values.astype(FLOATS[float_bit], copy=False)
        if np.count_nonzero(np.isfinite(floats)) < floats.size:
            self.require_finite(values, indices, what)
            i = int(np.argmax(np.isinf(floats)))
            limit = np.finfo(FLOATS[float_bit]).max
            place = f"{what} {i if indices is None else indices[i]}"
            raise EncodeError(
                f"{self.name}: {place} must lie within {limit:.4g}, the reach of float{float_bit}. Got {values[i]}."
            )
        return floats

    def require_finite(
        self, values: Array, indices: Indices | None = None, what: str = "entry", first: int = 0
    ) -> None:
        """Raise EncodeError for the first value that is NaN or infinite; `first` is the coordinate of values[0]."""
        finite = np.isfinite(values)
        if np.count_nonzero(finite) < finite.size:
            i = int(np.argmin(finite))
            place = first + i if indices is None else indices[i]
            raise EncodeError(f"{self.name}: {what} {place} must be finite. Got {values[i]}.")

    def vector(self, x: Array) -> Array:
        """Return `x` as `write` expects it; raise `EncodeError` where it is no such vector."""
        vector = np.asarray(x)
        if vector.ndim != 1 or vector.size == 0:
            raise EncodeError(f"{self.name}: a vector of one entry or more is needed. Got shape {vector.shape}.")
        if vector.dtype.char not in "fd" or not vector.dtype.isnative:
            if vector.dtype.kind not in "fiu":
                raise EncodeError(f"{self.name}: real numbers are needed. Got {vector.dtype}.")
            vector = vector.astype(np.float64)
        return np.ascontiguousarray(vector)


@dataclass(frozen=True)
class FloatCodec(Codec):
    """A codec with floats in its payload.

    Parameters
    ----------
    float_bit
        FPP, bits of one float, such as a value, a scale or a norm: 64, 32 or 16 (IEEE 754).
    """

    float_bit: FloatBit = field(default=32, kw_only=True)


class MessageCode(ABC):
    """A code, without draws, of something other than a vector of the model's dimension."""

    draws: ClassVar[bool] = False
    shares_randomness: ClassVar[bool] = False

    @abstractmethod
    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Any:
        """Return what `data` stands for; see `Codec.decode`."""

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Add what `data` stands for times `scale` to `acc`."""
        acc += scale * self.decode(data, acc.size)


def sealed(out: BitWriter, bits: PaperBits) -> Payload:
    """Return the payload of a finished bit stream."""
    return Payload(out.getvalue(), float(bits.paper_bit), float(bits.index_bit), float(bits.value_bit))


def draw_key(rng: np.random.Generator) -> Key:
    """Draw two 64-bit words of the stream, as a Philox key and upper half of the counter."""
    word = rng.bit_generator.random_raw
    return Key(word(), word())


def squared_norm(x: Array, scale: float = 1.0) -> float:
    """Return sum (x_i / scale)^2 in float64, summed in fixed blocks: the same number on every machine."""
    total = 0.0
    for start in range(0, x.size, BLOCK):
        block: Floats = x[start : start + BLOCK].astype(np.float64)
        total += float(np.add.reduce(np.square(block / scale)))
    return total
