"""Natural compression: every entry rounded at random to one of the two nearest powers of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from algorithms.coding.bits import BitReader, BitWriter, Words
from algorithms.coding.codec import Codec, PaperBits
from algorithms.coding.draws import dense_words
from algorithms.coding.levels import Codes, chunks
from netsim.errors import DecodeError, EncodeError
from netsim.interfaces import Array, Floats, Key
from netsim.registry import Examples, component

_MAGNITUDE = np.uint64(0x7FFFFFFFFFFFFFFF)
_SHIFT = 1023 - 127  # between the exponent codes of float64 and float32


@component("compressor")
@dataclass(frozen=True)
class Natural(Codec):
    """Q_i = sign(x_i) 2^(k+1) with probability |x_i| / 2^k - 1, else sign(x_i) 2^k, where 2^k <= |x_i| < 2^(k+1).

    Unbiased with w = 1/8, met by |x_i| = (4/3) 2^k: the exact variance is (|x_i| - 2^k) (2^(k+1) - |x_i|) an entry.
    The probability is the entry's binary fraction and drawn with as many bits, so E Q = x exactly. With `float_bit` 32
    there are codes for 0 and 2^-126 to 2^128, with 64 for 0 and 2^-1022 to 2^1023. Below the smallest power t, zero and
    denormals among them, Q_i is sign(x_i) t with probability |x_i| / t and else 0: unbiased (to within 2^-52 t), at a
    variance of at most t^2 / 4, which w does not cover. An entry above the largest power is refused.

    Payload: 9 d bits, or 12 d with `float_bit` 64: all exponents, 0 for zero, then all signs; the paper counts the
    same. Draws by coordinate.

    Parameters
    ----------
    float_bit
        The float type whose exponents are sent: 32 (8 bits) or 64 (11 bits).

    References
    ----------
    Horvath, Ho, Horvath, Sahu, Canini, Richtarik, "Natural compression for distributed deep learning", MSML 2022,
    Definition 1, Theorem 1.

    Examples
    --------
    >>> payload = Natural().encode(np.array([3.0, 0.0, -4.0]), np.random.default_rng(2))
    >>> Natural().decode(payload.data, 3).tolist(), payload.paper_bit
    ([2.0, 0.0, -4.0], 27.0)
    """

    float_bit: Literal[32, 64] = 32

    is_unbiased: ClassVar[bool] = True
    examples: ClassVar[Examples] = ({}, {"float_bit": 64})

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append exponents and signs."""
        codes: Codes = np.empty(x.size, np.uint8) if self.float_bit == 32 else np.empty(x.size, np.uint16)
        for start, stop in chunks(x.size):
            words = dense_words(key, start, stop - start)
            if x.dtype == np.float32 and self.float_bit == 32:
                codes[start:stop] = _short_codes(x[start:stop], words)
            else:
                lower = dense_words(key, start, stop - start, lower=True)
                draws = words.astype(np.uint64) << np.uint64(20) | lower >> np.uint32(12)
                codes[start:stop] = self._codes(x[start:stop].astype(np.float64), draws, start)
        if self.float_bit == 32:
            out.packed(codes.view(np.uint8), 8 * x.size)
        else:
            for start, stop in chunks(x.size):
                out.uints(codes[start:stop], 11)
        out.signs(x < 0)
        return PaperBits(value_bit=self._entry_bit * x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        if self.float_bit == 32:
            exponents: Codes = src.packed(8 * dim)
            powers = np.ldexp(1.0, np.arange(256) - 127)
        else:
            exponents = src.uints(dim, 11)
            powers = np.ldexp(1.0, np.minimum(np.arange(2048), 2046) - 1023)
            if int(exponents.max()) == 2047:
                raise DecodeError("payload: exponent codes are at most 2046. Got 2047.")
        negative = src.signs(dim)
        powers[0] = 0.0
        x = np.empty(dim)
        for start, stop in chunks(dim):
            part = powers.take(exponents[start:stop])
            x[start:stop] = np.where(negative[start:stop], 0.0 - part, part)
        return x

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return (self._entry_bit * dim + 7) // 8

    def variance_bound(self, dim: int) -> float:
        """Return w = 1/8."""
        return 1 / 8

    def encode_flop(self, dim: int) -> float:
        """Return 3 per coordinate: finite, rounded, sign."""
        return 3 * dim

    @property
    def _entry_bit(self) -> int:
        return 9 if self.float_bit == 32 else 12

    def _codes(self, x: Floats, draws: Words, first: int) -> Words:
        """Return the codes: a fraction's worth of random bits, added, carries into the exponent with probability t."""
        bits = x.view(np.uint64) & _MAGNITUDE
        top = 2046 if self.float_bit == 64 else 128 + 1023
        beyond = bits > np.uint64(top << 52)
        if beyond.any():
            i = int(np.argmax(beyond))
            limit = 2.0 ** (top - 1023)
            raise EncodeError(
                f"{self.name}: entry {first + i} must lie within {limit:.4g}, the reach of float{self.float_bit} "
                f"exponents. Got {x[i]}."
            )
        codes: Words = (bits + draws) >> np.uint64(52)
        if self.float_bit == 64:
            return codes
        small = bits < np.uint64((_SHIFT + 1) << 52)
        with np.errstate(under="ignore"):
            shares = np.ldexp(np.where(small, np.abs(x), 0.0), 126 + 52).astype(np.uint64)
        return np.where(small, (shares + draws) >> np.uint64(52), codes - np.uint64(_SHIFT))


def _short_codes(x: npt.NDArray[Any], words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the codes of float32 numbers, whose fractions need only 23 of the random bits."""
    return ((x.view(np.uint32) & np.uint32(0x7FFFFFFF)) + (words >> np.uint32(9))) >> np.uint32(23)
