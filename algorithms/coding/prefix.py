"""Prefix codes over arrays of whole numbers: unary, Elias omega, Golomb and Golomb-Rice.

A codeword's bits follow each other as in the literature, first bit first. Golomb codes write all quotients, then all
remainders: as many bits as in turn, and both halves are read without a step per value. Values lie below 2**32.

A function that reads raises `DecodeError` where a number exceeds `most`, or too few bits are left.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from algorithms.coding import kernels
from algorithms.coding.bits import COMPILED_FROM, BitReader, BitWriter, Words, padded_words, windows
from netsim.compiling import pays
from netsim.errors import DecodeError

Lengths = npt.NDArray[np.int64]
Decoder = Callable[[Words], tuple[Words, Lengths]]

_OCTETS = 65536  # of a unary section that are looked at together
_LEAST_OCTETS = 64


def _omega_bit(width: int) -> int:
    """Return the bits of Elias omega of a number of `width` bits."""
    return 1 if width < 2 else width + _omega_bit((width - 1).bit_length())


_OMEGA_BIT = np.array([_omega_bit(width) for width in range(65)])


def write_unary(out: BitWriter, values: npt.ArrayLike) -> None:
    """Write k >= 1 as k - 1 ones and a zero."""
    numbers = _words(values)
    if pays(numbers.size, COMPILED_FROM):
        total_bit = int(numbers.sum())
        words = np.empty((total_bit + 63) >> 6, np.uint64)
        kernels.prefix.unary(numbers, words)
        out.packed(words.astype("<u8", copy=False).view(np.uint8)[: (total_bit + 7) >> 3], total_bit)
        return
    ends = np.add.accumulate(numbers.astype(np.int64))
    bits = np.ones(ends[-1] if ends.size else 0, np.bool_)
    bits[ends - 1] = False
    out.signs(bits)


def read_unary(src: BitReader, count: int, most: int) -> Words:
    """Read the numbers of `write_unary`, shape (count,)."""
    if count == 0:
        return np.zeros(0, np.uint64)
    _require(src, count)
    octets, first = src.rest()
    if pays(count, COMPILED_FROM):
        octets = octets[: (first + count * most + 7) >> 3]
        values = np.empty(count, np.uint64)
        used = int(kernels.prefix.read_unary(padded_words(octets), first, 8 * octets.size, values))
        if used < 0:
            raise DecodeError(f"payload: it needs {count} numbers in unary, {most} at most. Got other bits.")
        src.skip(used)
        return _at_most(values, most)
    zeros: list[Lengths] = []
    found = 0
    for start in range(0, octets.size, _OCTETS):
        bits = np.unpackbits(octets[start : start + _OCTETS], bitorder="little")
        here = np.flatnonzero(bits == 0) + 8 * start
        here = here[here >= first]
        zeros.append(here)
        found += here.size
        if found >= count:
            break
    ends = np.concatenate(zeros)[:count]
    if ends.size < count:
        raise DecodeError(f"payload: it needs {count} numbers in unary. Got {ends.size}.")
    src.skip(int(ends[-1]) + 1 - first)
    return _at_most(np.diff(ends, prepend=first - 1).astype(np.uint64), most)


def write_rice(out: BitWriter, values: npt.ArrayLike, width: int) -> None:
    """Write k >= 0 as floor(k / 2**width) + 1 in unary and its `width` low bits."""
    numbers = _words(values)
    write_unary(out, (numbers >> np.uint64(width)) + np.uint64(1))
    out.uints(numbers & np.uint64((1 << width) - 1), width)


def read_rice(src: BitReader, count: int, width: int, most: int) -> Words:
    """Read the numbers of `write_rice`, shape (count,)."""
    quotients = read_unary(src, count, (most >> width) + 1) - np.uint64(1)
    return _at_most((quotients << np.uint64(width)) | src.uints(count, width), most)


def write_golomb(out: BitWriter, values: npt.ArrayLike, m: int) -> None:
    """Write k = q m + r, k >= 0, m >= 1, as q + 1 in unary and r in truncated binary."""
    numbers = _words(values)
    quotients = numbers // np.uint64(m)
    write_unary(out, quotients + np.uint64(1))
    rests, short = _truncated(numbers - quotients * np.uint64(m), m)
    width = (m - 1).bit_length()
    codes = _reversed(rests, np.where(short, width - 1, width))
    out.codes(codes, np.where(short, width - 1, width))


def read_golomb(src: BitReader, count: int, m: int, most: int) -> Words:
    """Read the numbers of `write_golomb`, shape (count,)."""
    quotients = read_unary(src, count, most // m + 1) - np.uint64(1)
    width = (m - 1).bit_length()
    cut = np.uint64((1 << width) - m)

    def decoder(words: Words) -> tuple[Words, Lengths]:
        long = _reversed(words & np.uint64((1 << width) - 1), np.full(words.size, width))
        short = long >> np.uint64(1)
        is_short = short < cut
        return np.where(is_short, short, long - cut), np.where(is_short, width - 1, width)

    if width and pays(count, COMPILED_FROM):
        octets, first = src.rest()
        rests = np.empty(count, np.uint64)
        used = int(kernels.prefix.read_truncated(padded_words(octets), first, m, rests))
        src.skip(used if used >= 0 else src.remaining_bit + 1)
    else:
        rests = _read(src, count, decoder) if width else np.zeros(count, np.uint64)
    return _at_most(quotients * np.uint64(m) + rests, most)


def golomb_bit(values: npt.ArrayLike, m: int) -> Lengths:
    """Return the bits of each number in `write_golomb`."""
    numbers = _words(values)
    quotients = numbers // np.uint64(m)
    _, short = _truncated(numbers - quotients * np.uint64(m), m)
    return quotients.astype(np.int64) + 1 + (m - 1).bit_length() - short


def write_omega(out: BitWriter, values: npt.ArrayLike) -> None:
    """Write Elias omega of k >= 1: groups, each the length of the next less one, then a zero.

    Examples
    --------
    >>> out = BitWriter()
    >>> write_omega(out, [4, 1])
    >>> f"{out.getvalue()[0]:08b}"[::-1][: out.bit_length]
    '1010000'
    """
    numbers = _words(values)
    if pays(numbers.size, COMPILED_FROM):
        codes, lengths = np.empty(numbers.size, np.uint64), np.empty(numbers.size, np.int64)
        kernels.prefix.omega_codes(numbers, codes, lengths)
    else:
        codes, lengths = np.zeros(numbers.size, np.uint64), np.ones(numbers.size, np.int64)
        group = numbers.copy()
        while (more := group > 1).any():
            widths = np.where(more, _widths(group), 0)
            codes = codes << widths.astype(np.uint64) | np.where(more, _reversed(group, widths), np.uint64(0))
            lengths += widths
            group = np.where(more, widths - 1, 1).astype(np.uint64)
    out.codes(codes, lengths)


def read_omega(src: BitReader, count: int, most: int) -> Words:
    """Read the numbers of `write_omega`, shape (count,)."""
    if not pays(count, COMPILED_FROM):
        return _at_most(_read(src, count, _omega), most, least=1)
    _require(src, count)
    octets, first = src.rest()
    values = np.empty(count, np.uint64)
    used = kernels.prefix.read_omega(padded_words(octets), first, values)
    src.skip(int(used))
    return _at_most(values, most, least=1)


def omega_bit(values: npt.ArrayLike) -> Lengths:
    """Return the bits of each number in `write_omega`.

    Examples
    --------
    >>> omega_bit([1, 2, 3, 4, 8, 16, 32, 1024]).tolist()
    [1, 3, 3, 6, 7, 11, 12, 18]
    """
    return _OMEGA_BIT[_widths(_words(values))]


def omega_sum_bit(values: npt.ArrayLike) -> int:
    """Return the bits of all numbers in `write_omega` together: quick where they are small.

    Examples
    --------
    >>> omega_sum_bit([1, 2, 3, 4, 8, 16, 32, 1024])
    61
    """
    left, total, width = np.asarray(values), np.size(values), 1
    while left.size:
        # Of numbers with more than `width` bits the codeword is longer by the same, whatever else they are.
        left = left[left >= 1 << width]
        total += left.size * int(_OMEGA_BIT[width + 1] - _OMEGA_BIT[width])
        width += 1
    return total


def _omega(words: Words) -> tuple[Words, Lengths]:
    """Return the number that starts at bit 0 of each word, and its bits; 0 where there is none below 2**32."""
    values, used = np.ones(words.size, np.uint64), np.zeros(words.size, np.int64)
    left = words
    while (more := (left & np.uint64(1) == 1) & (values > 0)).any():
        widths = np.where(more, values.astype(np.int64) + 1, 0)
        good = widths <= 32
        widths = np.where(good, widths, 0)
        group = _reversed(left & _ones(widths), widths)
        values = np.where(good, np.where(more, group, values), np.uint64(0))
        left = left >> widths.astype(np.uint64)
        used += widths
    return values, used + 1


def _read(src: BitReader, count: int, decoder: Decoder) -> Words:
    """Decode at every bit, then go from codeword to codeword."""
    if count == 0:
        return np.zeros(0, np.uint64)
    _require(src, count)
    octets, first = src.rest()
    places, found = np.empty(count, np.int64), np.empty(count, np.uint64)
    done, at, start = 0, first, 0
    while done < count:
        # No codeword is longer than 64 bits; most are much shorter, so that few bits are looked at together.
        part = octets[start : start + max(_LEAST_OCTETS, (count - done) >> 2)]
        if part.size == 0:
            raise DecodeError(f"payload: it needs {count} codewords. Got {done}.")
        # The codewords that begin in this part may end in the eight octets behind it.
        words = padded_words(octets[start : start + part.size + 8])
        values, lengths = decoder(windows(words, np.arange(8 * part.size), 64))
        steps, before, end = lengths.tolist(), done, 8 * part.size
        at -= 8 * start
        while done < count and at < end:
            places[done] = at
            at += steps[at]
            done += 1
        found[before:done] = values[places[before:done]]
        at += 8 * start
        start += part.size
    src.skip(at - first)
    return found


def _require(src: BitReader, count: int) -> None:
    if count > src.remaining_bit:
        raise DecodeError(f"payload: {count} codewords need as many bits or more. Got {src.remaining_bit}.")


def _at_most(values: Words, most: int, least: int = 0) -> Words:
    if values.size and not (int(values.max()) <= most and int(values.min()) >= least):
        bad = values[(values > most) | (values < least)][0]
        raise DecodeError(f"payload: a number from {least} to {most} is needed. Got {bad}.")
    return values


def _words(values: npt.ArrayLike) -> Words:
    return np.ascontiguousarray(values).astype(np.uint64, copy=False)


def _widths(numbers: Words) -> Lengths:
    """Return the bits of each number below 2**53, or of a power of two; 0 of 0."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)


def _ones(widths: Lengths) -> Words:
    """Return as many ones, 0 to 63."""
    ones: Words = (np.uint64(1) << widths.astype(np.uint64)) - np.uint64(1)
    return ones


def _truncated(rests: Words, m: int) -> tuple[Words, npt.NDArray[np.bool_]]:
    """Return truncated binary of numbers below m: its value, and whether it takes one bit less than lg m."""
    cut = np.uint64((1 << (m - 1).bit_length()) - m)
    short = rests < cut
    return np.where(short, rests, rests + cut), short


def _reversed(numbers: Words, widths: Lengths) -> Words:
    """Return the lowest `widths` (0 to 32) bits of numbers below 2**widths, in opposite order."""
    bits = numbers
    for step, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0x0000FFFF)):
        bits = (bits >> np.uint64(step)) & np.uint64(mask) | (bits & np.uint64(mask)) << np.uint64(step)
    flipped: Words = bits >> (32 - np.asarray(widths)).astype(np.uint64)
    return flipped
