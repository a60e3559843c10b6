"""One-bit codes: exact bits, exact error identities, and the compiled kernels against numpy."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from algorithms.coding import norms, signs
from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.levels import rounded_up
from algorithms.coding.signs import column_sums, magnitude_means, read_signs, write_signs
from netsim.errors import DecodeError, EncodeError
from netsim.registry import build

RNG = np.random.default_rng(70)
SHAPES: dict[str, Any] = {
    "normal": lambda d: RNG.standard_normal(d),
    "heavy": lambda d: RNG.standard_t(2, d),
    "equal": lambda d: np.full(d, -0.7),
    "one": lambda d: np.eye(1, d, d // 2)[0] * -3.0,
    "positive": lambda d: RNG.exponential(size=d),
    "half zero": lambda d: RNG.standard_normal(d) * (np.arange(d) % 2),
    "ties": lambda d: RNG.integers(-3, 4, d) + (np.arange(d) == 0) * 1.0,
}
CASES = [(f"{name} {d}", make(d)) for name, make in SHAPES.items() for d in (1, 2, 17, 100, 1000)]
CASES = [(name, x) for name, x in CASES if x.any()]
EDGES = np.array([0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324, 1e308, -1e308])


def codec(name: str, **keys: Any) -> Any:
    return build("compressor", {"name": name, "float_bit": 64, **keys})


def q(name: str, x: Any, **keys: Any) -> Any:
    one = codec(name, **keys)
    return one.decode(one.encode(x, np.random.default_rng(1)).data, x.size)


# --- bits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lead", range(9))
def test_signs_at_every_place_of_the_stream(lead: int, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes about whole words behind 0 to 8 other bits: the integer of bits x_i < 0, and back, both paths."""
    for size in (0, 1, 5, 63, 64, 65, 127, 128, 200, 1000):
        with np.errstate(over="ignore", under="ignore"):
            x = np.where(np.arange(size) % 3, np.random.default_rng(size).standard_normal(size), np.resize(EDGES, size))
            x = x.astype(dtype)
        expected = sum(1 << i for i in range(size) if float(x[i]) < 0)
        for compiled_from in (1, 10**9):
            monkeypatch.setattr(signs, "COMPILED_FROM", compiled_from)
            out = BitWriter()
            out.uint((1 << lead) - 1, lead)
            write_signs(out, x)
            out.uint(5, 3)
            assert out.bit_length == lead + size + 3
            assert int.from_bytes(out.getvalue(), "little") == (1 << lead) - 1 | expected << lead | 5 << lead + size
            src = BitReader(out.getvalue())
            src.uint(lead)
            y = read_signs(src, size, 0.3)
            assert src.uint(3) == 5
            np.testing.assert_array_equal(y, np.where(x < 0, -0.3, 0.3))
            src = BitReader(out.getvalue())
            src.uint(lead)
            z = np.empty(size, np.float32)
            assert read_signs(src, size, 2.0, 7.0, z) is z
            np.testing.assert_array_equal(z, np.where(x < 0, np.float32(7), np.float32(2)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_signs_into_vectors_beyond_the_caches(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From any start in a cache line, and in memory where no float is whole on one; nothing else is touched."""
    monkeypatch.setattr(signs, "COMPILED_FROM", 1)
    monkeypatch.setattr(signs, "STREAMED_FROM_BYTES", 1)
    rng = np.random.default_rng(3)
    for size in (64, 65, 128, 1000):
        x = rng.standard_normal(size)
        out = BitWriter()
        write_signs(out, x)
        expected = np.where(x < 0, 7, 2).astype(dtype)
        octets = np.zeros(dtype().itemsize * (size + 20) + 1, np.uint8)
        for memory in (octets[:-1].view(dtype), octets[1:].view(dtype)):
            for start in range(17):
                memory[:] = -1
                y = read_signs(BitReader(out.getvalue()), size, 2.0, 7.0, memory[start : start + size])
                np.testing.assert_array_equal(y, expected)
                assert (memory[:start] == -1).all()
                assert (memory[start + size :] == -1).all()


@pytest.mark.parametrize("compiled_from", [1, 10**9])
def test_too_few_bits_are_refused_before_anything_is_allocated(
    compiled_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signs, "COMPILED_FROM", compiled_from)
    with pytest.raises(DecodeError):
        read_signs(BitReader(bytes(100)), 10**12, 1.0)


def test_sign_of_zero_is_plus() -> None:
    """Both zeros decode to +scale, the negative number nearest to 0 to -scale, in every dense code."""
    x = np.array([0.0, -0.0, -5e-324, 1.0])
    plus = [1.0, 1.0, -1.0, 1.0]
    assert build("compressor", "sign").decode(b"\x04", 4).tolist() == plus
    assert np.sign(q("scaled_sign", x)).tolist() == plus
    assert np.sign(q("block_sign", x, block=4)).tolist() == plus


def test_bytes_by_hand() -> None:
    """x = (0.5, -3.5, 0, -2): mean magnitude 1.5 = 0x3FC00000, signs 0101 from the last to the first entry = 0xA.

    Blocks of 2: means 2 = 0x40000000 and 1 = 0x3F800000. One column: 0.25 = 0x3E800000 of (0.5, 0), 2.75 = 0x40300000.
    """
    x = np.array([0.5, -3.5, 0.0, -2.0])
    rng = np.random.default_rng(1)
    for config, bits, size in (
        ({"name": "sign"}, 0xA, 1),
        ({"name": "scaled_sign"}, 0x3FC00000 | 0xA << 32, 5),
        ({"name": "block_sign", "block": 2}, 0x40000000 | 0x3F800000 << 32 | 0xA << 64, 9),
        ({"name": "one_bit"}, 0x3E800000 | 0x40300000 << 32 | 0xA << 64, 9),
    ):
        assert build("compressor", config).encode(x, rng).data == bits.to_bytes(size, "little")


@pytest.mark.parametrize("d", [1, 7, 8, 9, 255, 256, 257, 1000, 7850, 47_236])
@pytest.mark.parametrize("bit", [64, 32, 16])
def test_exact_lengths(d: int, bit: int) -> None:
    """Both counters from d, B, columns and FPP alone; the same for a zero vector."""
    rng = np.random.default_rng(1)
    for x in (rng.standard_normal(d), np.zeros(d)):
        matrix = codec("one_bit", float_bit=bit).bind([(d,)] if d % 2 else [(2, d // 2)])
        for one, paper in (
            (build("compressor", "sign"), d),
            (codec("scaled_sign", float_bit=bit), bit + d),
            (codec("block_sign", float_bit=bit, block=100), bit * math.ceil(d / 100) + d),
            (codec("one_bit", float_bit=bit), 2 * bit + d),
            (matrix, 2 * bit * (1 if d % 2 else d // 2) + d),
        ):
            p = one.encode(x, rng)
            assert (len(p.data), p.paper_bit, p.index_bit) == (math.ceil(paper / 8), paper, 0)
            assert one.max_size_bytes(d) == len(p.data)


def test_sizes_of_the_reference_table() -> None:
    """The column Sign: 7,882, 7,872, 47,268 and 272,506 bits."""
    for d, bits in ((7850, 7882), (7840, 7872), (47_236, 47_268), (272_474, 272_506)):
        one = build("compressor", "scaled_sign")
        assert one.encode(np.ones(d, np.float32), np.random.default_rng(1)).paper_bit == bits
        assert one.max_size_bytes(d) == math.ceil(bits / 8)


# --- identities ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "x"), CASES, ids=[name for name, _ in CASES])
def test_scaled_sign_identities(name: str, x: Any) -> None:
    """||Q - x||^2 = (1 - beta) ||x||^2, <x, Q> = ||Q||^2 = beta ||x||^2, beta = ||x||_1^2 / (d ||x||^2) >= 1/d.

    Other multiples of the same signs are farther away.
    """
    y = q("scaled_sign", x)
    norm2 = float(x @ x)
    beta = math.fsum(np.abs(x)) ** 2 / (x.size * norm2)
    error = float((y - x) @ (y - x))
    assert math.isclose(error, (1 - beta) * norm2, rel_tol=1e-12, abs_tol=1e-13 * norm2)
    assert math.isclose(float(x @ y), float(y @ y), rel_tol=1e-12)
    assert math.isclose(float(x @ y), beta * norm2, rel_tol=1e-12)
    assert 1 / x.size * (1 - 1e-12) <= beta <= 1 + 1e-12
    for factor in (0.0, 0.9, 0.999, 1.001, 1.1):
        assert float((factor * y - x) @ (factor * y - x)) >= error * (1 - 1e-12)
    np.testing.assert_allclose(q("fractional", x, bits=1), y, rtol=1e-13)


@pytest.mark.parametrize(("name", "x"), CASES, ids=[name for name, _ in CASES])
def test_block_sign_is_scaled_sign_of_each_block(name: str, x: Any) -> None:
    for block in (1, 3, 16, 50, 10**6):
        y = q("block_sign", x, block=block)
        parts = [q("scaled_sign", x[i : i + block]) for i in range(0, x.size, block)]
        np.testing.assert_array_equal(y, np.concatenate(parts))
    np.testing.assert_array_equal(np.abs(q("block_sign", x, block=1)), np.abs(x))


@pytest.mark.parametrize("block", [1, 4, 100])
def test_block_contraction_is_met(block: int) -> None:
    """One nonzero entry in each whole block: the error is exactly (1 - 1/B) ||x||^2."""
    x = np.zeros(300)
    x[::block] = np.random.default_rng(71).standard_normal(x[::block].size)
    y = q("block_sign", x, block=block)
    assert codec("block_sign", block=block).contraction(300) == 1 / block
    assert math.isclose(float((y - x) @ (y - x)), (1 - 1 / block) * float(x @ x), rel_tol=1e-12, abs_tol=1e-14)


def by_definition(x: Any, layout: Any) -> Any:
    """The 1-bit code with column means, column by column."""
    y, start = np.empty_like(x), 0
    for shape in layout:
        size = math.prod(shape)
        tensor = x[start : start + size].reshape(shape)
        matrix = tensor.reshape(shape[0], -1) if len(shape) > 1 else tensor.reshape(-1, 1)
        out = np.empty_like(matrix)
        for j in range(matrix.shape[1]):
            column = matrix[:, j]
            below = column < 0
            if below.any():
                out[below, j] = math.fsum(column[below]) / below.sum()
            if not below.all():
                out[~below, j] = math.fsum(column[~below]) / (~below).sum()
        y[start : start + size] = out.ravel()
        start += size
    return y


@pytest.mark.parametrize("layout", [[(60,)], [(6, 10)], [(20, 1), (1, 20), (20,)], [(5, 2, 3), (10, 3)], [(), (59, 1)]])
def test_one_bit_is_its_definition(layout: Any) -> None:
    """And ||Q - x||^2 = ||x||^2 - ||Q||^2, at most (1 - 1/longest column) ||x||^2."""
    rng = np.random.default_rng(72)
    longest = max((shape[0] if shape else 1) for shape in layout)
    for x in (
        rng.standard_normal(60),
        rng.exponential(size=60),
        np.zeros(60),
        -np.ones(60),
        rng.integers(-1, 2, 60) * 1.0,
    ):
        one = codec("one_bit").bind(layout)
        y = one.decode(one.encode(x, rng).data, 60)
        np.testing.assert_allclose(y, by_definition(x, layout), rtol=1e-14)
        error, norm2 = float((y - x) @ (y - x)), float(x @ x)
        assert math.isclose(error, norm2 - float(y @ y), rel_tol=1e-11, abs_tol=1e-12)
        assert error <= (1 - 1 / longest) * norm2 + 1e-12
        assert one.contraction(60) == 1 / longest


def test_one_bit_of_another_layout_is_refused() -> None:
    one = codec("one_bit").bind([(3, 2)])
    with pytest.raises(EncodeError, match=r"one_bit: a vector of the 6 entries of its 1 tensors is needed. Got 7."):
        one.encode(np.ones(7), np.random.default_rng(1))
    with pytest.raises(DecodeError, match=r"6 entries of its 1 tensors is needed. Got 7."):
        one.decode(bytes(99), 7)
    assert one != codec("one_bit")
    assert one == codec("one_bit").bind([[3, 2]])
    assert one == codec("one_bit", layout=[[3, 2]]).bind([(7,)])


# --- numbers at the edge --------------------------------------------------------------------------


def test_sums_beyond_float64_do_not_matter() -> None:
    peak = np.finfo(np.float64).max
    x = np.where(np.arange(100) % 2, peak, -peak)
    for name in ("scaled_sign", "block_sign", "one_bit"):
        np.testing.assert_allclose(q(name, x), x, rtol=1e-15)
    mixed = np.concatenate([x, np.full(100, 1e-300)])
    np.testing.assert_allclose(q("block_sign", mixed, block=100), mixed, rtol=1e-15)
    with pytest.raises(EncodeError, match=r"scaled_sign: scale 0 must lie within 3.403e\+38"):
        q("scaled_sign", x, float_bit=32)


def test_rounding_up_never_falls_below() -> None:
    one = codec("scaled_sign")
    for value in (0.0, 5e-324, 1e-46, 0.1, 1 / 3, 1.0, 65504.0, 3e38):
        for bit in (64, 32, 16):
            if value > 65504 and bit == 16:
                continue
            rounded = float(rounded_up(one, np.array([value]), bit)[0])  # type: ignore[arg-type]
            assert value <= rounded <= value * (1 + 2.0**-10) + 6e-8
    with pytest.raises(EncodeError):
        rounded_up(one, np.array([65505.0]), 16)


# --- compiled against numpy -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_are_the_same_on_both_paths(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit by bit, whatever the size against 16 lanes; and right to 1e-14 against exact sums."""
    for size, width in itertools.product((1, 15, 16, 17, 100, 1000, 5000), (1, 2, 5, 16, 17, 100, 10**6)):
        x = np.random.default_rng(size).standard_t(3, size).astype(dtype)
        columns = width if width <= size and size % width == 0 else 1
        found = []
        for compiled_from in (1, 10**9):
            monkeypatch.setattr(signs, "COMPILED_FROM", compiled_from)
            monkeypatch.setattr(norms, "COMPILED_FROM", compiled_from)
            found.append([magnitude_means(x, width), *column_sums(x, columns)])
        for a, b in zip(*found, strict=True):
            np.testing.assert_array_equal(a, b)
        exact = [math.fsum(np.abs(x[i : i + width])) / x[i : i + width].size for i in range(0, size, width)]
        np.testing.assert_allclose(found[0][0], exact, rtol=1e-14)
        matrix = x.reshape(-1, columns).astype(np.float64)
        for j in range(columns):
            column = matrix[:, j]
            np.testing.assert_allclose(found[0][1][j], math.fsum(column[column >= 0]), rtol=1e-14)
            np.testing.assert_allclose(found[0][2][j], -math.fsum(column[column < 0]), rtol=1e-14)
            assert found[0][3][j] == np.count_nonzero(column < 0)


@pytest.mark.parametrize(
    "config", [{"name": "sign"}, {"name": "scaled_sign"}, {"name": "block_sign"}, {"name": "one_bit"}]
)
def test_long_matrices_take_the_same_bytes_on_both_paths(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """d = 60,000 in float32 and float64, equal numbers, bound to a layout: four times the same payload."""
    x = np.random.default_rng(73).standard_t(3, 60_000).astype(np.float32)
    one = build("compressor", config).bind([(200, 200), (20_000,)])
    found = set()
    for compiled_from, dtype in itertools.product((1, 10**9), (np.float32, np.float64)):
        monkeypatch.setattr(signs, "COMPILED_FROM", compiled_from)
        monkeypatch.setattr(norms, "COMPILED_FROM", compiled_from)
        data = one.encode(x.astype(dtype), np.random.default_rng(1)).data
        found.add((data, one.decode(data, x.size).tobytes()))
    assert len(found) == 1


# --- bounds -----------------------------------------------------------------------------------------


def test_no_code_beats_the_uncertainty_principle() -> None:
    """x uniform in the unit ball: D 4^(b/d) >= 1 with all bits counted.

    At d = 784 the scaled sign has 1.54 with its 32-bit scale; signs of a scale fixed beforehand 4 (1 - 2/pi) = 1.45.
    """
    rng = np.random.default_rng(74)
    d, draws = 784, 300
    x = rng.standard_normal((draws, d))
    x *= (rng.random(draws) ** (1 / d) / np.linalg.norm(x, axis=1))[:, None]
    for name, low, high in (("scaled_sign", 1.52, 1.56), ("block_sign", 1.6, 2.5), ("one_bit", 1.5, 1.7)):
        one = codec(name, float_bit=32)
        payloads = [one.encode(row, rng).data for row in x]
        y = np.stack([one.decode(data, d) for data in payloads])
        bits = 8 * np.mean([len(data) for data in payloads])
        distortion = np.square(y - x).sum() / np.square(x).sum()
        assert low < distortion * 4 ** (bits / d) < high, name
    sign = build("compressor", "sign")
    y = np.stack([sign.decode(sign.encode(row, rng).data, d) for row in x])
    y *= np.abs(x).mean()
    assert 1.40 < np.square(y - x).sum() / np.square(x).sum() * 4 < 1.46
