"""One bit stream for all codecs: the first bit written is the lowest bit of the first byte.

Parts follow each other without padding, so codecs compose; only the end is filled with zeros to a byte.
Long arrays are packed by compiled kernels, short ones by numpy, to the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from algorithms.coding import kernels
from netsim.compiling import pays
from netsim.errors import DecodeError
from netsim.interfaces import Floats

if TYPE_CHECKING:
    from typing_extensions import Buffer

FloatBit: TypeAlias = Literal[64, 32, 16]
Words: TypeAlias = npt.NDArray[np.uint64]

FLOATS: dict[int, type[np.floating[Any]]] = {64: np.float64, 32: np.float32, 16: np.float16}
COMPILED_FROM = 8192  # values; below, compiling or loading a kernel costs more than it saves

LITTLE = {bits: np.dtype(kind).newbyteorder("<") for bits, kind in FLOATS.items()}
_LARGEST = float(np.finfo(np.float64).max)
SQUARES = {64: _LARGEST, 32: float(np.finfo(np.float32).max) ** 2, 16: float(np.finfo(np.float16).max) ** 2}
_WHOLE = {8 * size: np.dtype(f"<u{size}") for size in (1, 2, 4, 8)}  # widths that take no shifts to read
_UINTS: dict[int, type[np.unsignedinteger[Any]]] = {64: np.uint64, 32: np.uint32, 16: np.uint16}


class BitWriter:
    """Bits in, bytes out.

    Examples
    --------
    >>> out = BitWriter()
    >>> out.uint(2, 3)
    >>> out.uints(np.array([1, 0, 3]), 2)
    >>> out.bit_length, out.getvalue().hex()
    (9, '8a01')
    """

    __slots__ = ("_chunks", "_tail", "_tail_bit", "_whole_bytes")

    def __init__(self) -> None:
        self._chunks: list[Buffer] = []
        self._whole_bytes = 0
        self._tail, self._tail_bit = 0, 0  # bits that do not fill a byte yet

    @property
    def bit_length(self) -> int:
        """Bits written so far."""
        return 8 * self._whole_bytes + self._tail_bit

    def uint(self, value: int, width: int) -> None:
        """Append one unsigned integer of `width` bits.

        Raises
        ------
        ValueError
            If it does not fit.
        """
        if value < 0 or value >> width:
            raise ValueError(f"a value of {width} bits lies in 0 .. 2**{width} - 1. Got {value}.")
        self._tail |= value << self._tail_bit
        self._tail_bit += width
        size = self._tail_bit >> 3
        if size:
            self._append((self._tail & ((1 << 8 * size) - 1)).to_bytes(size, "little"), size)
            self._tail >>= 8 * size
            self._tail_bit &= 7

    def uints(self, values: npt.ArrayLike, width: int) -> None:
        """Append unsigned integers, each of `width` bits (0 to 64).

        Raises
        ------
        ValueError
            If one does not fit.
        """
        words = np.ascontiguousarray(values)
        words = words.view(np.uint64) if words.dtype == np.int64 else words.astype(np.uint64, copy=False)
        if words.size == 0:
            return
        if width and pays(words.size, COMPILED_FROM):
            self._put_compiled(words, width)
            return
        _check_width(int(words.max()), width)
        if width:
            octets = words.astype("<u8", copy=False).view(np.uint8).reshape(-1, 8)
            self._put_bits(np.unpackbits(octets, axis=1, count=width, bitorder="little").ravel())

    def floats(self, values: npt.ArrayLike, float_bit: FloatBit) -> None:
        """Append floating-point numbers rounded to IEEE 754 of 64, 32 or 16 bits."""
        floats = np.ascontiguousarray(values, FLOATS[float_bit])
        if self._tail_bit:
            self.uints(floats.view(_UINTS[float_bit]), float_bit)
        else:
            self._append(floats.astype(LITTLE[float_bit], copy=False).tobytes(), floats.nbytes)

    def signs(self, negative: npt.NDArray[np.bool_]) -> None:
        """Append one bit each: 1 where negative, 0 elsewhere, zero included."""
        self._put_bits(np.ascontiguousarray(negative, np.bool_).view(np.uint8))

    def codes(self, codes: Words, lengths: npt.NDArray[np.int64]) -> None:
        """Append codewords one after the other; a codeword's first bit is its lowest one.

        Parameters
        ----------
        codes
            uint64, shape (n,), zero above their lengths.
        lengths
            int64, shape (n,), bits of each codeword, 0 to 64.
        """
        if pays(codes.size, COMPILED_FROM):
            total_bit = self._tail_bit + int(lengths.sum())
            packed = np.zeros((total_bit + 63) >> 6, np.uint64)
            kernels.bits.pack_codes(codes, lengths, np.uint64(self._tail), self._tail_bit, packed)
            self._keep(packed.astype("<u8", copy=False).view(np.uint8)[: (total_bit + 7) >> 3], total_bit)
        else:
            ends = np.add.accumulate(lengths)
            places = np.arange(ends[-1] if ends.size else 0) - np.repeat(ends - lengths, lengths)
            bits = np.repeat(codes, lengths) >> places.astype(np.uint64) & np.uint64(1)
            self._put_bits(bits.astype(np.uint8))

    def packed(self, octets: npt.NDArray[np.uint8], count: int) -> None:
        """Append `count` bits that are packed already, low bits first; other bits of the last octet are zero.

        The array is kept, not copied, until `getvalue`.
        """
        shift = self._tail_bit
        if shift:
            shifted = np.zeros(octets.size + 1, np.uint8)
            np.left_shift(octets, shift, out=shifted[:-1])
            shifted[1:] |= octets >> (8 - shift)
            shifted[0] |= self._tail
            octets = shifted
        self._keep(octets, shift + count)

    def getvalue(self) -> bytes:
        """Return all that was written, filled with zero bits to a whole byte."""
        if self._tail_bit:
            return b"".join([*self._chunks, bytes([self._tail])])
        return b"".join(self._chunks)

    def _append(self, chunk: Buffer, size_bytes: int) -> None:
        self._chunks.append(chunk)
        self._whole_bytes += size_bytes

    def _put_bits(self, bits: npt.NDArray[np.uint8]) -> None:
        self.packed(np.packbits(bits, bitorder="little"), bits.size)

    def _put_compiled(self, words: Words, width: int) -> None:
        total_bit = self._tail_bit + words.size * width
        packed = np.empty((total_bit + 63) >> 6, np.uint64)
        seen = kernels.bits.pack(words, width, self._tail, self._tail_bit, packed)
        if width < 64 and seen >> width:
            _check_width(int(words.max()), width)
        self._keep(packed.astype("<u8", copy=False).view(np.uint8)[: (total_bit + 7) >> 3], total_bit)

    def _keep(self, packed: npt.NDArray[np.uint8], total_bit: int) -> None:
        whole, self._tail_bit = total_bit >> 3, total_bit & 7
        self._tail = int(packed[whole]) if self._tail_bit else 0
        self._append(packed[:whole].data, whole)


class BitReader:
    """Bytes in, values out; every read is checked against what is left before anything is allocated.

    Where fewer bits are left, every method that reads raises `DecodeError`.

    Examples
    --------
    >>> src = BitReader(bytes.fromhex("8a01"))
    >>> src.uint(3), src.uints(3, 2).tolist()
    (2, [1, 0, 3])
    >>> src.finish()
    """

    __slots__ = ("_data", "_position", "_words")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._words: Words | None = None  # all of `data`, once whole arrays are read

    @property
    def remaining_bit(self) -> int:
        """Bits not read yet, padding included."""
        return 8 * len(self._data) - self._position

    def uint(self, width: int) -> int:
        """Return one unsigned integer of `width` bits."""
        start = self._advance(1, width)
        end = self._position
        value = int.from_bytes(self._data[start >> 3 : (end + 7) >> 3], "little")
        return value >> (start & 7) & ((1 << width) - 1)

    def uints(self, count: int, width: int) -> Words:
        """Return `count` unsigned integers of `width` bits each (0 to 64), shape (count,).

        With ``width=0`` nothing bounds `count` but the caller.
        """
        start = self._advance(count, width)
        if width == 0 or count == 0:
            return np.zeros(count, np.uint64)
        if width in _WHOLE and not start & 7:
            return np.frombuffer(self._data, _WHOLE[width], count, start >> 3).astype(np.uint64)
        if self._words is None:
            self._words = padded_words(np.frombuffer(self._data, np.uint8))
        if pays(count, COMPILED_FROM):
            values = np.empty(count, np.uint64)
            kernels.bits.unpack(self._words, start, width, values)
            return values
        return windows(self._words, start + width * np.arange(count), width)

    def floats(self, count: int, float_bit: FloatBit) -> Floats:
        """Return `count` finite numbers, shape (count,), float64.

        Raises
        ------
        DecodeError
            If fewer bits are left, or one of them is NaN or infinite.
        """
        return self.raw_floats(count, float_bit).astype(np.float64)

    def raw_floats(self, count: int, float_bit: FloatBit) -> npt.NDArray[np.floating[Any]]:
        """Return `count` finite numbers in the type that they have in the stream, shape (count,), perhaps read-only.

        Raises
        ------
        DecodeError
            If fewer bits are left, or one of them is NaN or infinite.
        """
        if self._position & 7:
            words = self.uints(count, float_bit).astype(_UINTS[float_bit], copy=False)
            raw: npt.NDArray[np.floating[Any]] = words.view(FLOATS[float_bit])
        else:
            start = self._advance(count, float_bit)
            raw = np.frombuffer(self._data, LITTLE[float_bit], count, start >> 3)
        if not within(raw) and not np.isfinite(raw).all():
            raise DecodeError(f"payload: every number must be finite. Got {raw[~np.isfinite(raw)][0]}.")
        return raw

    def signs(self, count: int) -> npt.NDArray[np.bool_]:
        """Return `count` bits as truth values, shape (count,): True is negative."""
        return np.unpackbits(self.packed(count), count=count, bitorder="little").view(np.bool_)

    def packed(self, count: int) -> npt.NDArray[np.uint8]:
        """Return `count` bits as they are, low bits first, shape (ceil(count / 8),); zeros fill the last octet."""
        start = self._advance(count, 1)
        shift, size = start & 7, (count + 7) >> 3
        source = np.frombuffer(self._data, np.uint8)[start >> 3 : (self._position + 7) >> 3]
        octets = np.right_shift(source[:size], shift)
        if shift:
            octets[: source.size - 1] |= source[1:] << (8 - shift)
        if count & 7:
            octets[-1] &= (1 << (count & 7)) - 1
        return octets

    def rest(self) -> tuple[npt.NDArray[np.uint8], int]:
        """Return all octets from that of the next bit on, and which of its bits (0 to 7) comes next; read nothing."""
        return np.frombuffer(self._data, np.uint8)[self._position >> 3 :], self._position & 7

    def skip(self, count: int) -> None:
        """Pass over `count` bits."""
        self._advance(count, 1)

    def finish(self) -> None:
        """Check that nothing is left.

        Raises
        ------
        DecodeError
            If more is left than zero bits up to the end of the byte.
        """
        left_bit = self.remaining_bit
        if left_bit >= 8:
            raise DecodeError(f"payload: it must end after {(self._position + 7) >> 3} bytes. Got {len(self._data)}.")
        if left_bit and self._data[-1] >> (8 - left_bit):
            raise DecodeError("payload: the bits that fill its last byte must be zero. Got ones.")

    def _advance(self, count: int, width: int) -> int:
        start = self._position
        if count * width > self.remaining_bit:
            wanted = f"{count} x {width} bits" if count != 1 else f"{width} bits"
            raise DecodeError(f"payload: it needs {wanted} more at bit {start}. Got {self.remaining_bit}.")
        self._position = start + count * width
        return start


def within(values: npt.NDArray[np.floating[Any]], square: float = _LARGEST) -> bool:
    """Return True only if all v_i^2 are finite and at most `square` times 1 + 6e-8; False may mean unknown.

    A sum of squares is quick, and no less than any of them, however it is rounded.
    """
    # vdot, unlike dot, says nothing of an overflow.
    return float(np.vdot(values, values)) <= square


def _check_width(largest: int, width: int) -> None:
    if largest >> width:
        raise ValueError(f"a value of {width} bits lies in 0 .. 2**{width} - 1. Got {largest}.")


def padded_words(octets: npt.NDArray[np.uint8]) -> Words:
    """Return the octets as 64-bit words, low octets first, with more than a word of zeros behind them."""
    padded = np.zeros((octets.size + 23) & ~7, np.uint8)
    padded[: octets.size] = octets
    return padded.view("<u8").astype(np.uint64, copy=False)


def windows(words: Words, offsets: npt.NDArray[np.int64], width: int) -> Words:
    """Return the `width` bits (1 to 64) at each bit offset, read through an 8-byte window that slides by bytes."""
    padded = words.astype("<u8", copy=False).view(np.uint8)
    window: npt.NDArray[np.uint64] = np.ndarray((padded.size - 7,), "<u8", padded, strides=(1,))
    place, shift = offsets >> 3, (offsets & 7).astype(np.uint64)
    values: Words = window[place].astype(np.uint64, copy=False) >> shift
    if width > 57:
        # Two shifts instead of one by 64, which is undefined where `shift` is 0.
        high = padded[place + 8].astype(np.uint64)
        values |= high << np.uint64(63) - shift << np.uint64(1)
    values &= np.uint64((1 << width) - 1)
    return values
