"""The bit stream against one big integer, its bounds, and the compiled kernels against numpy."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.coding import bits as bits_module
from algorithms.coding import draws as draws_module
from algorithms.coding.bits import BitReader, BitWriter
from netsim.errors import DecodeError
from netsim.interfaces import Key
from netsim.rng import philox, uniforms

WIDTHS = (1, 2, 7, 8, 13, 31, 32, 33, 56, 57, 58, 63, 64)


def numbers(width: int, count: int, seed: int = 0) -> Any:
    high = np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)
    return high >> np.uint64(64 - width)


@st.composite
def parts(draw: st.DrawFn) -> tuple[str, Any, int]:
    kind = draw(st.sampled_from(["uint", "uints", "signs", "floats"]))
    if kind == "floats":
        bit: Any = draw(st.sampled_from([16, 32, 64]))
        floats = st.floats(width=bit, allow_nan=False, allow_infinity=False)
        return kind, draw(st.lists(floats, max_size=9)), bit
    if kind == "signs":
        return kind, draw(st.lists(st.booleans(), max_size=40)), 1
    width = draw(st.integers(0, 64))
    if kind == "uint":
        return kind, draw(st.integers(0, 2**width - 1)), width
    return kind, draw(st.lists(st.integers(0, 2**width - 1), max_size=20)), width


@given(st.lists(parts(), max_size=8))
@settings(max_examples=300, deadline=None)
def test_stream_is_one_integer(stream: list[tuple[str, Any, int]]) -> None:
    """Whatever is written in whatever order equals sum value_i * 2**offset_i, low bits first, and reads back."""
    out, total, position = BitWriter(), 0, 0
    for kind, value, width in stream:
        if kind == "uint":
            out.uint(value, width)
        elif kind == "uints":
            out.uints(np.array(value, np.uint64), width)
        elif kind == "signs":
            out.signs(np.array(value, np.bool_))
        else:
            out.floats(np.array(value), width)  # type: ignore[arg-type]
        if kind == "floats":
            dtype: Any = {16: np.float16, 32: np.float32, 64: np.float64}[width]
            value = [int.from_bytes(dtype(v).tobytes(), "little") for v in value]
        for item in value if isinstance(value, list) else [value]:
            total |= int(item) << position
            position += width
    assert out.bit_length == position
    assert out.getvalue() == total.to_bytes((position + 7) // 8, "little")
    src = BitReader(out.getvalue())
    for kind, value, width in stream:
        if kind == "uint":
            assert src.uint(width) == value
        elif kind == "uints":
            assert src.uints(len(value), width).tolist() == value
        elif kind == "signs":
            assert src.signs(len(value)).tolist() == value
        else:
            assert src.floats(len(value), width).tolist() == value  # type: ignore[arg-type]
    src.finish()


@pytest.mark.parametrize("width", WIDTHS)
def test_compiled_path_gives_the_same_bits(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All start offsets 0 to 7 and lengths around a word: packed and unpacked by numpy and by the kernel."""
    for head_bit in range(8):
        for count in (1, 2, 3, 17, 64):
            values = numbers(width, count, seed=head_bit)
            packed = []
            for compiled_from in (1, 10**9):
                monkeypatch.setattr(bits_module, "COMPILED_FROM", compiled_from)
                out = BitWriter()
                out.uint((1 << head_bit) - 1, head_bit)
                out.uints(values, width)
                out.uint(1, 1)
                packed.append(out.getvalue())
            assert packed[0] == packed[1]
            for compiled_from in (1, 10**9):
                monkeypatch.setattr(bits_module, "COMPILED_FROM", compiled_from)
                src = BitReader(packed[0])
                src.uint(head_bit)
                np.testing.assert_array_equal(src.uints(count, width), values)
                assert src.uint(1) == 1
                src.finish()


def test_long_arrays_take_the_compiled_path() -> None:
    values = numbers(23, bits_module.COMPILED_FROM + 5)
    out = BitWriter()
    out.uint(5, 3)
    out.uints(values, 23)
    total = sum(int(v) << 23 * i for i, v in enumerate(values)) << 3 | 5
    assert out.getvalue() == total.to_bytes((3 + 23 * values.size + 7) // 8, "little")


def test_floats_are_ieee_754_little_endian() -> None:
    """1.5 is 0x3FF8000000000000, 0x3FC00000 and 0x3E00."""
    for bit, text in ((64, "000000000000f83f"), (32, "0000c03f"), (16, "003e")):
        out = BitWriter()
        out.floats(np.array([1.5]), bit)  # type: ignore[arg-type]
        assert out.getvalue().hex() == text


def test_one_is_negative_and_zero_is_not() -> None:
    out = BitWriter()
    out.signs(np.array([-1.0, 0.0, -0.0, 2.0]) < 0)
    assert out.getvalue() == b"\x01"


@pytest.mark.parametrize("width", [0, 1, 5, 63])
def test_values_that_do_not_fit_are_refused(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of them is written, by either path."""
    with pytest.raises(ValueError, match=f"a value of {width} bits"):
        BitWriter().uint(1 << width, width)
    for compiled_from in (1, 10**9):
        monkeypatch.setattr(bits_module, "COMPILED_FROM", compiled_from)
        for values in ([0, 1 << width], [1 << width, 0, 0]):
            out = BitWriter()
            out.uint(1, 3)
            with pytest.raises(ValueError, match=rf"a value of {width} bits .* Got {1 << width}\."):
                out.uints(np.array(values, np.uint64), width)
            assert out.bit_length == 3
            assert out.getvalue() == b"\x01"
    with pytest.raises(ValueError, match="Got -1"):
        BitWriter().uint(-1, width)


def test_every_read_is_checked_before_memory_is_taken() -> None:
    """Eleven bits are left of two bytes; a count of 1e9 would be 8 GB."""
    reads: dict[str, Callable[[BitReader], Any]] = {
        "12 bits more at bit 5. Got 11": lambda s: s.uint(12),
        "1000000000 x 1 bits more at bit 5": lambda s: s.uints(10**9, 1),
        "1000000000 x 32 bits more": lambda s: s.floats(10**9, 32),
        "1000000000 x 1 bits": lambda s: s.signs(10**9),
        "16 bits more": lambda s: s.floats(1, 16),
    }
    tracemalloc.start()
    for text, read in reads.items():
        src = BitReader(b"\xff\xff")
        src.uint(5)
        with pytest.raises(DecodeError, match=text):
            read(src)
        assert src.remaining_bit == 11
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("bit", [64, 32, 16])
@pytest.mark.parametrize("offset", [0, 3])
def test_numbers_that_are_not_finite_are_refused(value: float, bit: Any, offset: int) -> None:
    out = BitWriter()
    out.uint(0, offset)
    out.floats(np.array([1.0, value]), bit)
    src = BitReader(out.getvalue())
    src.uint(offset)
    with pytest.raises(DecodeError, match="every number must be finite"):
        src.floats(2, bit)


def test_finish_wants_zero_padding_below_a_byte() -> None:
    for used in range(1, 9):
        src = BitReader(b"\x00")
        src.uint(used)
        src.finish()
    for used in range(8):
        src = BitReader(bytes([1 << used, 0]))
        src.uint(used)
        with pytest.raises(DecodeError, match="it must end after"):
            src.finish()
        src = BitReader(bytes([1 << used]))
        if used:
            src.uint(used)
            with pytest.raises(DecodeError, match="must be zero"):
                src.finish()
    BitReader(b"").finish()
    with pytest.raises(DecodeError, match=r"after 0 bytes\. Got 1"):
        BitReader(b"\x00").finish()


def test_philox_kernel_equals_numpy() -> None:
    """Random123's known answers for zeros and for ones, and 1000 random keys and counters."""
    from algorithms.coding.kernels import draws as draws_kernels

    ones = 2**64 - 1
    for key, high, low, answer in (
        (0, 0, 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (ones, ones, ones, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ):
        words = np.empty((1, 4), np.uint32)
        draws_kernels.words(np.uint64(key), np.uint64(high), np.array([low], np.uint64), words)
        assert tuple(words[0].tolist()) == answer
    rng = np.random.default_rng(3)
    for _ in range(10):
        key, high = (int(w) for w in rng.integers(0, 2**64, 2, dtype=np.uint64))
        counters = rng.integers(0, 2**64, 100, dtype=np.uint64)
        words = np.empty((100, 4), np.uint32)
        draws_kernels.words(np.uint64(key), np.uint64(high), counters, words)
        np.testing.assert_array_equal(words, philox(key, high, counters))


def test_draws_are_the_same_compiled_or_not_and_by_coordinate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A draw depends on key and coordinate, not on which others are drawn; its upper 32 bits are `rng.uniforms`."""
    key = Key(123456789, 987654321)
    places = np.array([0, 5, 70_000, 2**40])
    draws = []
    for compiled_from in (1, 10**9):
        monkeypatch.setattr(draws_module, "COMPILED_FROM", compiled_from)
        draws.append(draws_module.uniforms(key, places))
        np.testing.assert_array_equal(draws[-1][1:2], draws_module.uniforms(key, places[1:2]))
    np.testing.assert_array_equal(draws[0], draws[1])
    coarse = uniforms(key.key, key.counter, places.astype(np.uint64))
    assert ((draws[0] >= coarse) & (draws[0] < coarse + 2.0**-32)).all()


def test_draws_are_uniform() -> None:
    """Mean and variance of 1e5 draws within 5 standard errors: 1/2 and 1/12; false alarm below 2e-6."""
    u = draws_module.uniforms(Key(1, 2), np.arange(100_000))
    assert abs(u.mean() - 1 / 2) < 5 * math.sqrt(1 / 12 / u.size)
    assert abs(u.var() - 1 / 12) < 5 * math.sqrt(1 / 180 / u.size)


@pytest.mark.parametrize("compiled", [False, True])
def test_codewords_of_any_length(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codewords of 0 to 64 bits equal the same numbers written one by one."""
    monkeypatch.setattr(bits_module, "COMPILED_FROM", 1 if compiled else 10**9)
    rng = np.random.default_rng(74)
    for size in (0, 1, 5, 300):
        lengths = rng.choice([0, 1, 3, 31, 33, 63, 64], size)
        codes = rng.integers(0, 2**64, size, dtype=np.uint64)
        codes = np.where(lengths == 0, np.uint64(0), codes >> (64 - np.maximum(lengths, 1)).astype(np.uint64))
        out, plain = BitWriter(), BitWriter()
        for writer in (out, plain):
            writer.uint(3, 5)
        out.codes(codes, lengths)
        for code, length in zip(codes.tolist(), lengths.tolist(), strict=True):
            plain.uint(code, length)
        assert (out.getvalue(), out.bit_length) == (plain.getvalue(), plain.bit_length)


def test_packed_bits_move_as_they_are() -> None:
    """Octets written at any bit and read from there equal signs bit by bit."""
    rng = np.random.default_rng(75)
    for before in range(9):
        for count in (0, 1, 7, 8, 9, 64, 65):
            bits = rng.random(count) < 0.5
            out, plain = BitWriter(), BitWriter()
            out.uint(0, before)
            plain.uint(0, before)
            out.packed(np.packbits(bits, bitorder="little"), count)
            for bit in bits.tolist():
                plain.uint(int(bit), 1)
            for writer in (out, plain):
                writer.uint(5, 3)
            assert out.getvalue() == plain.getvalue()
            src = BitReader(out.getvalue())
            src.skip(before)
            assert src.packed(count).tolist() == np.packbits(bits, bitorder="little").tolist()
            assert src.uint(3) == 5
    with pytest.raises(DecodeError, match="9 x 1 bits more at bit 0"):
        BitReader(b"\xff").packed(9)
