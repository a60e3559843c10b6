"""Every entry as a float: no compression but the rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from algorithms.coding import bfloat16
from algorithms.coding.bits import LITTLE, SQUARES, BitReader, BitWriter, FloatBit, within
from algorithms.coding.codec import BLOCK, Codec, PaperBits
from netsim.errors import ConfigError, DecodeError, EncodeError, Fault
from netsim.interfaces import Array, Key, Payload
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class Identity(Codec):
    """Q(x) = x, each entry rounded to `float_bit` bits, to nearest with ties to even.

    Payload: FPP d bits, which is also the papers' figure. Unbiased with w = 0 and a contraction with delta = 1,
    rounding aside, which is a share of 2**-53, 2**-24, 2**-11 and, of bfloat16, 2**-8 at most.

    Parameters
    ----------
    float_bit
        FPP, bits of one float: 64, 32 or 16.
    format
        ``ieee`` (IEEE 754), or with 16 bits ``bfloat16``: float32's range, 8 bits of precision.

    References
    ----------
    Kalamkar et al., "A study of BFLOAT16 for deep learning training", arXiv 1905.12322, 2019 (bfloat16).

    Examples
    --------
    >>> payload = Identity().encode(np.array([1.5, -2.0]), np.random.default_rng(1))
    >>> len(payload.data), payload.paper_bit, Identity().decode(payload.data, 2).tolist()
    (8, 64.0, [1.5, -2.0])
    """

    float_bit: FloatBit = 32
    format: Literal["ieee", "bfloat16"] = "ieee"

    draws: ClassVar[bool] = False
    is_unbiased: ClassVar[bool] = True
    write_checks: ClassVar[bool] = True  # it looks at every entry
    examples: ClassVar[Examples] = (
        {},
        {"float_bit": 64},
        {"float_bit": 16},
        {"float_bit": 16, "format": "bfloat16"},
    )

    def __post_init__(self) -> None:
        if self.format == "bfloat16" and self.float_bit != 16:
            raise ConfigError([Fault(("float_bit",), "16, as the format is bfloat16", str(self.float_bit))])

    def encode_keyed(self, x: Array, key: Key) -> Payload:
        """Return the payload of `x`: at once where all entries are far within the type's reach."""
        is_plain = self.format == "ieee" and isinstance(x, np.ndarray) and x.dtype.char in "fd" and x.dtype.isnative
        if not is_plain or x.ndim != 1 or not x.size or not within(x, SQUARES[self.float_bit]):
            return super().encode_keyed(x, key)
        bits = float(self.float_bit * x.size)
        return Payload(x.astype(LITTLE[self.float_bit], copy=False).tobytes(), bits, 0.0, bits)

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append all entries."""
        if self.format == "ieee":
            out.floats(self.rounded(x, self.float_bit), self.float_bit)
        else:
            words = np.empty(x.size, np.uint16)
            for start in range(0, x.size, BLOCK):
                block = x[start : start + BLOCK]
                self.require_finite(block, first=start)
                words[start : start + BLOCK] = bfloat16.to_bfloat16(block)
            self._require_reach(x, words)
            out.floats(words.view(np.float16), 16)
        return PaperBits(value_bit=self.float_bit * x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        if self.format == "ieee":
            return src.floats(dim, self.float_bit)
        numbers = bfloat16.from_bfloat16(src.uints(dim, 16).astype(np.uint16))
        finite = np.isfinite(numbers)
        if not finite.all():
            raise DecodeError(f"payload: every number must be finite. Got {numbers[~finite][0]}.")
        return numbers.astype(np.float64)

    def decode_as(self, data: bytes, dim: int, dtype: np.dtype[Any]) -> Array:
        """Return the decoded vector in another type of float; see `netsim.interfaces.DecodesAs`."""
        if self.format != "ieee":
            return self.decode(data, dim).astype(dtype)
        src = BitReader(data)
        floats = src.raw_floats(dim, self.float_bit)
        src.finish()
        return floats.astype(dtype, copy=False)

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Add `scale * decode(data, acc.size)` to `acc` block by block, without the whole vector in between."""
        if self.format != "ieee":
            super().add_to(data, acc, scale, key)
            return
        src = BitReader(data)
        floats = src.raw_floats(acc.size, self.float_bit)
        src.finish()
        # A factor of 1 changes no bit, and neither does a sum of two floats of 32 bits that skips those of 64.
        for start in range(0, acc.size, BLOCK):
            part = floats[start : start + BLOCK]
            acc[start : start + BLOCK] += part if scale == 1.0 else scale * part.astype(np.float64)

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return self.float_bit * dim // 8

    def variance_bound(self, dim: int) -> float:
        """Return w = 0."""
        return 0.0

    def contraction(self, dim: int) -> float:
        """Return delta = 1."""
        return 1.0

    def _require_reach(self, x: Array, words: Any) -> None:
        infinite = words & 0x7FFF == 0x7F80
        if infinite.any():
            i = int(np.argmax(infinite))
            reach = f"{bfloat16.LARGEST:.4g}, the reach of bfloat16"
            raise EncodeError(f"{self.name}: entry {i} must lie within {reach}. Got {x[i]}.")
