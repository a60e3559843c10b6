"""Quantisers: exact lengths, exact rounding probabilities, exact variances, equal laws.

Statistical tests use fixed seeds; the stated probability is that of a false alarm under other seeds. Sampled moments
come from one long vector of equal pieces, each its own bucket or under one scale, whose coordinates draw independently.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from algorithms.coding import draws as draws_module
from algorithms.coding import levels as levels_module
from algorithms.coding import norms as norms_module
from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.draws import dense_words, uniforms, words_at
from algorithms.coding.levels import dither_variance, draw_codes, read_codes, rounded_up, split, write_codes
from algorithms.compressors.natural import Natural, _short_codes
from algorithms.compressors.natural_dithering import NaturalDithering
from netsim.errors import ConfigError, DecodeError, EncodeError
from netsim.interfaces import Key
from netsim.registry import build as build_component
from netsim.rng import philox

KEY = Key(0x0123456789ABCDEF, 0xFEDCBA9876543210)
OMEGA = [(1, 1), (3, 3), (7, 6), (15, 7), (31, 11), (63, 12), (127, 13), (255, 14), (511, 16), (1023, 17), (2047, 18)]


def build(name: str, **keys: Any) -> Any:
    return build_component("compressor", {"name": name, **keys})


def q(codec: Any, x: Any, key: Key = KEY) -> Any:
    return codec.decode(codec.encode_keyed(x, key).data, x.size)


def lg(n: int) -> int:
    return math.ceil(math.log2(n))


def octets(bit: float) -> int:
    return math.ceil(bit / 8)


def omega(number: int) -> int:
    """Length by the table of the literature, for numbers up to 2047."""
    return next(length for most, length in OMEGA if number <= most)


def up32(value: float) -> float:
    """The smallest float32 that is not below."""
    rounded = np.float32(value)
    return float(rounded if float(rounded) >= value else np.nextafter(rounded, np.float32(np.inf)))


def fraction_part(y: Any) -> Any:
    return y - np.floor(y)


RNG = np.random.default_rng(70)
CASES: dict[str, Any] = {
    "d = 1": np.array([2.5]),
    "d = 2": np.array([2.5, -1.0]),
    "all equal": np.full(1000, -0.5),
    "all zero": np.zeros(1000),
    "one nonzero": np.where(np.arange(1000) == 999, 1.0, 0.0),
    "one huge": np.where(np.arange(1000) == 7, 3e38, 1.0),
    "denormals": np.full(1000, 5e-324),
    "normal": np.random.default_rng(30).standard_normal(1000),
    "heavy": np.random.default_rng(31).standard_t(2, 999),
}


# --- lengths ---


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bit", [64, 32])
def test_exact_lengths_of_fixed_codes(case: str, bit: int) -> None:
    """Payload, paper and bound from d alone."""
    x = CASES[case]
    d = x.size
    for s in (1, 2, 3, 4, 7, 8, 127, 128, 300):
        width = 1 + lg(s + 1)
        for bucket in (None, 1, 7, 999, 5000):
            for norm in ("two", "max"):
                codec = build("qsgd", levels=s, bucket=bucket, norm=norm, float_bit=bit)
                p = codec.encode_keyed(x, KEY)
                total = bit * math.ceil(d / (bucket or d)) + d * width
                assert (len(p.data), p.paper_bit, p.index_bit) == (octets(total), total, 0)
                assert codec.max_size_bytes(d) == len(p.data)
        p = build("dithering", levels=s, p=1, float_bit=bit).encode_keyed(x, KEY)
        assert (len(p.data), p.paper_bit) == (octets(bit + d * width), bit + d * width)
        if s < 128:
            p = build("natural_dithering", levels=s, float_bit=bit).encode_keyed(x, KEY)
            assert (len(p.data), p.paper_bit) == (octets(bit + d * width), bit + d * width)
        codec = build("k_level", levels=s + 1, float_bit=bit)
        p = codec.encode_keyed(x, KEY)
        assert (len(p.data), p.paper_bit) == (octets(2 * bit + d * lg(s + 1)), 2 * bit + d * lg(s + 1))
        assert codec.max_size_bytes(d) == len(p.data)
    for clip in (None, 2.5):
        codec = build("terngrad", clip=clip, float_bit=bit)
        p = codec.encode_keyed(x, KEY)
        assert len(p.data) == codec.max_size_bytes(d) == octets(bit + 8 * math.ceil(d / 5))
        assert p.paper_bit == pytest.approx(bit + d * math.log2(3), rel=1e-15)
    codec = build("natural", float_bit=bit)
    entry = 12 if bit == 64 else 9
    assert len(codec.encode_keyed(x, KEY).data) == codec.max_size_bytes(d) == octets(entry * d)
    assert codec.encode_keyed(x, KEY).paper_bit == entry * d


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("s", [1, 2, 5, 28, 200])
def test_exact_lengths_of_variable_codes(case: str, s: int) -> None:
    """Sparse: FPP N, T in lg(d+1), then gap, sign and level; dense: level + 1 and a sign; best: a bit and the shorter.

    The levels are read off the vector that the fixed code, with the same draws, decodes to.
    """
    x = CASES[case] * (2.0**1000 if case == "denormals" else 1.0)  # as a denormal n z / s would lose z
    d = x.size
    for bucket, norm in itertools.product((None, 50), ("two", "max")):
        keys: dict[str, Any] = {"levels": s, "bucket": bucket, "norm": norm, "float_bit": 64}
        y = q(build("qsgd", **keys), x)
        size = bucket or d
        order = 2 if norm == "two" else np.inf
        norms = [np.linalg.norm(x[i : i + size] / np.abs(x).max(initial=1e-300), order) for i in range(0, d, size)]
        scale = np.repeat(norms, size)[:d] * np.abs(x).max(initial=1e-300)
        z = np.rint(np.divide(np.abs(y), scale, out=np.zeros(d), where=scale > 0) * s).astype(int)
        places = np.flatnonzero(y)
        gaps = np.diff(places, prepend=-1)
        norm_bit = 64 * math.ceil(d / size)
        gap_bit = sum(map(omega, gaps.tolist()))
        sparse = norm_bit + gap_bit + places.size + sum(map(omega, z[places].tolist()))
        dense = norm_bit + places.size + sum(map(omega, (z + 1).tolist()))
        count = lg(d + 1)
        short = "sparse" if sparse + count <= dense else "dense"
        for code, used, bit in (
            ("sparse", "sparse", sparse + count),
            ("dense", "dense", dense),
            ("best", short, 1 + min(sparse + count, dense)),
        ):
            codec = build("qsgd", code=code, **keys)
            p = codec.encode_keyed(x, KEY)
            assert len(p.data) == octets(bit)
            assert (p.paper_bit, p.index_bit) == ((sparse, gap_bit) if used == "sparse" else (dense, 0))
            assert len(p.data) <= codec.max_size_bytes(d)
            np.testing.assert_array_equal(codec.decode(p.data, d), y)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("k", [1, 10, 999, 5000])
def test_exact_lengths_of_qtop_k(case: str, k: int) -> None:
    x = CASES[case]
    d, t = x.size, min(k, int(np.count_nonzero(x)))
    for s in (1, 7, 200):
        codec = build("qtop_k", k=k, levels=s, float_bit=64)
        p = codec.encode_keyed(x, KEY)
        paper = 64 + t * (lg(d) + 1 + lg(s + 1)) if t else 0
        assert len(p.data) == octets(lg(d + 1) + paper)
        assert (p.paper_bit, p.index_bit) == (paper, t * lg(d))
        assert 8 * len(p.data) == codec.size(d).message_bit(t) - 64
        assert len(p.data) <= codec.max_size_bytes(d)


def test_reference_sizes() -> None:
    """4-bit QTop_k of published models: 32 + k (lg d + 4); s = 7."""
    for d, k, bit in ((7850, 40, 712), (7840, 10, 202), (47_236, 472, 9_472), (272_474, 2_724, 62_684)):
        x = np.random.default_rng(71).standard_normal(d)
        assert build("qtop_k", k=k, levels=7).encode_keyed(x, KEY).paper_bit == bit


@pytest.mark.parametrize(
    ("d", "s", "code", "measured"),
    [
        (784, 1, "sparse", 260),
        (784, 2, "sparse", 470),
        (784, 4, "sparse", 730),
        (784, 28, "sparse", 2160),
        (784, 28, "dense", 2320),
        (47_236, 1, "sparse", 2840),
    ],
)
def test_measured_sizes(d: int, s: int, code: str, measured: int) -> None:
    """Gaussian vectors: figures measured elsewhere on a few draws lie within 2 deviations of one draw (5 % each)."""
    codec = build("qsgd", levels=s, code=code)
    rng = np.random.default_rng(72)
    bits = np.array([codec.encode(rng.standard_normal(d), rng).paper_bit for _ in range(40 if d < 1000 else 8)])
    assert abs(bits.mean() - measured) <= 2 * bits.std()


def test_expected_length_of_the_dense_code() -> None:
    """From the rounding probabilities; the mean of 400 draws lies within 5 standard errors (6e-7)."""
    x = np.random.default_rng(73).standard_t(3, 100)
    for s in (2, 9):
        y = s * np.abs(x) / up32(float(np.linalg.norm(x)))
        low, share = np.floor(y).astype(int), fraction_part(y)
        bit = [(1 - f) * (omega(z + 1) + (z > 0)) + f * (omega(z + 2) + 1) for z, f in zip(low, share, strict=True)]
        codec = build("qsgd", levels=s, code="dense")
        bits = np.array([codec.encode_keyed(x, Key(5, i)).paper_bit for i in range(400)])
        assert abs(bits.mean() - 32 - sum(bit)) <= 5 * bits.std() / 20


def test_bytes_by_hand() -> None:
    """x = (3, 0, -4), s = 1: n = 5; words from the generator say which of 3/5 and 4/5 become 1. d = 3.

    fixed: 0x40A00000, then level | sign << 1 in 2 bits; sparse with all levels 1: T = 2 in 2 bits, n, gaps 1 (0) and
    2 (100), signs 0 and 1, levels 1 (0) twice; dense: n, levels + 1 as 100, 0, 100, signs, which is one bit shorter.
    """
    x = np.array([3.0, 0.0, -4.0])
    key = next(Key(1, i) for i in range(100) if all(q(build("qsgd", levels=1), x, Key(1, i))[[0, 2]]))
    words = dense_words(key, 0, 3)
    assert words[0] >= 0.4 * 2**32 - 1
    assert words[2] >= 0.2 * 2**32 - 1
    fixed = 0x40A00000 | (0b01 | 0b00 << 2 | 0b11 << 4) << 32
    assert build("qsgd", levels=1).encode_keyed(x, key).data == fixed.to_bytes(5, "little")
    sparse = 2 | 0x40A00000 << 2 | (0b0 | 0b001 << 1 | 0b10 << 4) << 34
    assert build("qsgd", levels=1, code="sparse").encode_keyed(x, key).data == sparse.to_bytes(6, "little")
    dense = 0x40A00000 | (0b001 | 0b0 << 3 | 0b001 << 4 | 0b10 << 7) << 32
    assert build("qsgd", levels=1, code="dense").encode_keyed(x, key).data == dense.to_bytes(6, "little")
    assert build("qsgd", levels=1, code="best").encode_keyed(x, key).data == (1 | dense << 1).to_bytes(6, "little")


# --- draws ---


def test_dense_words_by_definition() -> None:
    """Coordinate c has word (c >> 8) & 3 of the block at 2^63 + 256 (c >> 10) + (c & 255); on every path."""
    for count in (1, 2, 255, 256, 257, 1023, 1024, 1025, 5000, 8192, 9001):
        for first in (0, 1024, 7 << 10):
            c = np.arange(first, first + count)
            counters = np.uint64(2**63) + (c >> 10 << 8 | c & 255).astype(np.uint64)
            expected = philox(KEY.key, KEY.counter, counters)[np.arange(count), c >> 8 & 3]
            np.testing.assert_array_equal(dense_words(KEY, first, count), expected)
            np.testing.assert_array_equal(words_at(KEY, c), expected)
            lower = philox(KEY.key, KEY.counter, counters + np.uint64(2**62))[np.arange(count), c >> 8 & 3]
            np.testing.assert_array_equal(dense_words(KEY, first, count, lower=True), lower)


def test_words_are_uniform_and_unrelated_to_uniforms() -> None:
    """2^18 words: each bit is one in half of them and each pair agrees in half, within 5.5 deviations (4e-8 each)."""
    n = 1 << 18
    words = dense_words(KEY, 0, n)
    shared = (uniforms(KEY, np.arange(n)) * 2**32).astype(np.uint32)
    for other in (np.zeros(n, np.uint32), np.roll(words, 1), np.roll(words, 256), np.roll(words, 1024), shared):
        bits = np.unpackbits((words ^ other).view(np.uint8)).reshape(n, 32).sum(axis=0)
        assert (np.abs(bits - n / 2) <= 5.5 * math.sqrt(n) / 2).all()


# --- rounding ---


def grid(bits: int) -> Any:
    """Words whose upper bits take every value once."""
    return (np.arange(1 << bits, dtype=np.uint64) << np.uint64(32 - bits)).astype(np.uint32)


@pytest.mark.parametrize("s", [1, 2, 3, 7, 100, 127, 128, 5000, 65_535])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_probability_is_exact(s: int, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All 1024 values of the upper bits of a word: y = j + m/1024 goes up in m cases, whatever the path.

    The complementary probability, 1 - m/1024, would fail for every m but 512.
    """
    words = grid(10)
    for compiled_from in (1, 10**9):
        monkeypatch.setattr(levels_module, "COMPILED_FROM", compiled_from)
        for j, m in itertools.product({0, s // 2, s - 1}, (0, 1, 300, 512, 1023)):
            y = j + m / 1024
            x = np.full(1024, -y, dtype)
            if float(x[0]) != -y:  # beyond the bits of float32
                continue
            codes = np.empty(1024, np.uint8 if s <= 127 else np.uint32)
            levels_module._Rounding(x, np.array([float(s)]), 1024, s).fill(0, 1024, words, codes)
            levels, negative = split(codes, s)
            assert (levels == j + 1).sum() == m
            assert (levels == j).sum() == 1024 - m
            assert negative.all() == (y > 0)


@pytest.mark.parametrize("s", [1, 3, 7, 60, 127, 300, 65_535])
def test_paths_agree_on_every_code(s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled and plain, both float types, buckets that divide nothing, places, and all bits written and read."""
    rng = np.random.default_rng(74)
    for d, bucket in ((1, 1), (15, 4), (1025, 1025), (30_001, 999), (30_001, 1), (30_001, 30_001)):
        for dtype in (np.float32, np.float64):
            x = rng.standard_t(2, d).astype(dtype)
            places = np.sort(rng.choice(10 * d, d, replace=False))
            found = []
            for compiled_from in (1, 10**9):
                for module in (levels_module, norms_module, draws_module):
                    monkeypatch.setattr(module, "COMPILED_FROM", compiled_from)
                scales = rounded_up(build("qsgd", levels=s), norms_module.norms(x, bucket), 32)
                codes = draw_codes(x, scales, bucket, s, KEY)
                at = draw_codes(x, scales, bucket, s, KEY, places)
                out = BitWriter()
                out.uint(1, 3)
                write_codes(out, codes, 1 + lg(s + 1))
                data = out.getvalue()
                src = BitReader(data)
                src.uint(3)
                parts = [part.copy() for _, part in read_codes(src, d, 1 + lg(s + 1))]
                np.testing.assert_array_equal(np.concatenate(parts), codes)
                fixed = build("qsgd", levels=s, bucket=bucket).encode_keyed(x, KEY).data
                assert fixed == build("qsgd", levels=s, bucket=bucket).encode_keyed(x.astype(np.float64), KEY).data
                found.append((codes.tolist(), at.tolist(), data, fixed))
            assert found[0] == found[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_paths_agree_for_what_is_subtracted(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels above the smallest entry, compiled and plain."""
    x = (np.random.default_rng(76).standard_t(3, 9001) + 2).astype(dtype)
    for k in (2, 8, 100):
        found = []
        for compiled_from in (1, 10**9):
            for module in (levels_module, draws_module):
                monkeypatch.setattr(module, "COMPILED_FROM", compiled_from)
            found.append(build("k_level", levels=k).encode_keyed(x, KEY).data)
        assert found[0] == found[1]


def test_writers_do_not_share_memory() -> None:
    """Two vectors in one stream, and a stream that is read late, are not overwritten by those after them."""
    codec = build("qsgd", levels=7)
    x = np.random.default_rng(91).standard_normal((3, 20_000))
    alone = [codec.encode_keyed(row, KEY).data for row in x]
    first, second = BitWriter(), BitWriter()
    codec.write(x[0], KEY, first)
    codec.write(x[1], KEY, first)
    codec.write(x[2], KEY, second)
    codec.encode_keyed(x[1], KEY)
    assert first.getvalue() == alone[0] + alone[1]
    assert second.getvalue() == alone[2]
    kept = [levels_module._octets(100).ctypes.data for _ in range(3)]
    assert kept[0] == kept[1] == kept[2]  # and where nobody holds it, it is used again


def test_no_level_exceeds_s() -> None:
    """The norm is rounded up: a vector with one entry just below or above a float32 has level s or s - 1 there."""
    rng = np.random.default_rng(75)
    for s in (1, 7, 127, 65_535):
        for bit in (16, 32, 64):
            codec = build("qsgd", levels=s, float_bit=bit, norm="max")
            x = rng.uniform(0.1, 6e4, 300) * rng.choice([-1, 1], 300)
            for i in range(100):
                y = q(codec, x[i : i + 1], Key(9, i))[0] / x[i]
                assert 1 - 1 / s - 1e-15 <= y <= (1 + 2.0**-10 if bit == 16 else 1 + 2.0**-23)


@pytest.mark.parametrize("bit", [16, 32, 64])
def test_scales_are_rounded_up(bit: int) -> None:
    codec = build("qsgd", levels=1)
    kind: Any = {16: np.float16, 32: np.float32, 64: np.float64}[bit]
    values = np.concatenate([np.random.default_rng(76).uniform(0, 6e4, 500), [0.0, 5e-324, 1e-30, 65504.0]])
    up, down = rounded_up(codec, values, bit), rounded_up(codec, values, bit, down=True)  # type: ignore[arg-type]
    assert (up >= values).all()
    assert (down <= values).all()
    for near in (up, down):
        np.testing.assert_array_equal(near.astype(kind).astype(np.float64), near)
    inside = np.nextafter(up.astype(kind), kind(0)).astype(np.float64)
    assert (inside < values)[values > 0].all()
    with pytest.raises(EncodeError, match=rf"qsgd: norm 1 must lie within .*, the reach of float{bit}. Got inf."):
        rounded_up(codec, np.array([1.0, np.inf]), bit)  # type: ignore[arg-type]


# --- norms ---


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norms_of_both_paths(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits compiled and plain, and numpy's norm to rounding; also where squares overflow or vanish."""
    rng = np.random.default_rng(77)
    for d in (1, 17, 300, 9001):
        for scale in (1.0, 0.0, *((1e200, 1e-200, 1e-318, 1e307) if dtype is np.float64 else (1e37, 1e-42))):
            x = (np.clip(rng.standard_t(3, d), -9, 9) * scale).astype(dtype)
            peak = float(np.abs(x).max()) or 1.0
            unit = x.astype(np.float64) / peak
            for bucket in {1, 7, 16, d} if d < 9001 else {500, d}:
                few = -(-d // bucket) < 30  # any other power is searched for, bucket by bucket
                for p in (1.0, 2.0, math.inf, *((1.5,) if few else ()), *((3.0, 2.3) if few and d == 300 else ())):
                    found = []
                    for compiled_from in (1, 10**9):
                        monkeypatch.setattr(norms_module, "COMPILED_FROM", compiled_from)
                        found.append(
                            norms_module.norms(x, bucket, p).tobytes() + np.float64(norms_module.deviation(x)).tobytes()
                        )
                    assert found[0] == found[1]
                    with np.errstate(over="ignore"):
                        ours = np.frombuffer(found[0])[:-1]
                        theirs = [np.linalg.norm(unit[i : i + bucket], p) * peak for i in range(0, d, bucket)]
                    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-323)
            assert norms_module.deviation(x) == pytest.approx(unit.std() * peak, rel=1e-9, abs=1e-9 * peak)
            if x.any():
                assert norms_module.norm2(x, peak) == pytest.approx(np.linalg.norm(unit), rel=1e-12)
                assert norms_module.norm1(x, peak) == pytest.approx(np.abs(unit).sum(), rel=1e-12)


# --- moments ---


def pieces(codec: Any, x: Any, draws: int, key: Key = KEY) -> Any:
    """`draws` independent decoded vectors of x: one vector of as many equal pieces."""
    return q(codec, np.tile(x, draws), key).reshape(draws, x.size)


def check_moments(y: Any, x: Any, variance: Any) -> None:
    """Each mean within 5 of its exact standard errors, the mean squared error within 5 of its own (6e-7 each)."""
    draws = y.shape[0]
    assert (np.abs(y.mean(axis=0) - x) <= 5 * np.sqrt(variance / draws) + 1e-9 * np.abs(y).max()).all()
    errors = np.square(y - x).sum(axis=1)
    slack = 5 * errors.std(ddof=1) / math.sqrt(draws) + 1e-9 * float(np.square(y).max())
    assert abs(errors.mean() - float(np.sum(variance))) <= slack


def level_variance(x: Any, scale: float, s: int) -> Any:
    """Of each entry, from its rounding probability: (n/s)^2 f (1 - f)."""
    f = fraction_part(s * np.abs(x) / scale)
    return (scale / s) ** 2 * f * (1 - f)


X = np.random.default_rng(78).standard_t(3, 30)
X[4] = 0.0


@pytest.mark.parametrize("s", [1, 4, 7, 127, 300])
@pytest.mark.parametrize("norm", ["two", "max"])
def test_moments_of_qsgd(s: int, norm: str) -> None:
    """4000 buckets with the same entries; 31 z-scores a case."""
    codec = build("qsgd", levels=s, bucket=30, norm=norm)
    scale = up32(float(np.linalg.norm(X, 2 if norm == "two" else np.inf)))
    variance = level_variance(X, scale, s)
    check_moments(pieces(codec, X, 4000), X, variance)
    assert variance.sum() <= codec.variance_bound(30) * float(X @ X) * (1 + 1e-6)


@pytest.mark.parametrize("code", ["sparse", "dense", "best"])
def test_codes_decode_to_the_same(code: str) -> None:
    """A code does not change the law: the draws are the same."""
    for s, bucket, norm, d in ((1, None, "two", 300), (5, 40, "max", 301), (300, 7, "two", 50), (3, None, "max", 9000)):
        x = np.random.default_rng(79).standard_t(2, d)
        keys: dict[str, Any] = {"levels": s, "bucket": bucket, "norm": norm}
        np.testing.assert_array_equal(q(build("qsgd", code=code, **keys), x), q(build("qsgd", **keys), x))


@pytest.mark.parametrize("order", [1, 1.5, 2, 3, "inf"])
@pytest.mark.parametrize("s", [1, 3])
def test_moments_of_dithering(order: Any, s: int) -> None:
    """400 payloads; 31 z-scores a case. For s = 1, E||Q||^2 = ||x||_1 ||x||_p."""
    codec = build("dithering", levels=s, p=order)
    scale = up32(float(np.linalg.norm(X, np.inf if order == "inf" else order)))
    variance = level_variance(X, scale, s)
    check_moments(np.stack([q(codec, X, Key(3, i)) for i in range(400)]), X, variance)
    if s == 1:
        assert float(variance.sum() + X @ X) == pytest.approx(float(np.abs(X).sum()) * scale, rel=1e-12)


def test_moments_of_terngrad() -> None:
    """4000 pieces; E||Q||^2 = max|x| ||x||_1 exactly, from the probabilities |x_i| / s."""
    scale = up32(float(np.abs(X).max()))
    variance = np.abs(X) * (scale - np.abs(X))
    assert float(variance.sum() + X @ X) == pytest.approx(scale * float(np.abs(X).sum()), rel=1e-12)
    y = pieces(build("terngrad"), X, 4000)
    check_moments(y, X, variance)
    assert set(np.unique(np.abs(y))) == {0.0, scale}


def test_clipping_of_terngrad() -> None:
    """Entries beyond clip sigma are cut: the mean is that of the cut vector; 30 z-scores."""
    x = np.where(np.arange(30) == 3, 8.0, np.random.default_rng(80).standard_normal(30))
    limit = up32(float(x.std()) * 2.0)
    codec = build("terngrad", clip=2.0)
    y = pieces(codec, x, 4000)
    cut = np.clip(x, -limit, limit)
    assert np.abs(y).max() == limit < 8.0
    check_moments(y, cut, np.abs(cut) * (limit - np.abs(cut)))
    assert not codec.is_unbiased
    assert codec.variance_bound(30) is None
    assert build("terngrad").is_unbiased
    np.testing.assert_array_equal(q(build("terngrad", clip=100.0), x), q(build("terngrad"), x))


@pytest.mark.parametrize("k", [2, 3, 16, 300])
def test_moments_of_k_level(k: int) -> None:
    """4000 pieces; variance ((max - min) / (k-1))^2 f (1-f), at most d / (2 (k-1)^2) ||x||^2."""
    low, high = -up32(float(-X.min())), up32(float(X.max()))
    step = (high - low) / (k - 1)
    f = fraction_part((X - low) / step)
    variance = step**2 * f * (1 - f)
    codec = build("k_level", levels=k)
    y = pieces(codec, X, 4000)
    check_moments(y, X, variance)
    assert (y.min(), y.max()) == (low, high)  # rounded away from the entries
    assert variance.sum() <= codec.variance_bound(30) * float(X @ X)


@pytest.mark.parametrize("bit", [32, 64])
def test_moments_of_natural(bit: int) -> None:
    """4000 pieces; variance (|x| - 2^k)(2^(k+1) - |x|), 1/8 of the square at 4/3 2^k and nowhere more."""
    x = np.concatenate([X, 2.0 ** np.arange(-5, 5) * 4 / 3, [-1.0, 0.5]])
    below = 2.0 ** np.floor(np.log2(np.abs(x), out=np.zeros(x.size), where=x != 0))
    variance = np.where(x != 0, (np.abs(x) - below) * (2 * below - np.abs(x)), 0)
    y = pieces(build("natural", float_bit=bit), x, 4000)
    check_moments(y, x, variance)
    assert set(np.abs(y[y != 0])) <= set(2.0 ** np.arange(-20, 20))
    share = variance[x != 0] / x[x != 0] ** 2
    assert share.max() == pytest.approx(1 / 8, rel=1e-12)
    assert build("natural").variance_bound(30) == 1 / 8


@pytest.mark.parametrize("order", [1, 2, "inf"])
@pytest.mark.parametrize("s", [1, 3, 8])
def test_moments_of_natural_dithering(order: Any, s: int) -> None:
    """400 payloads; variance n^2 (y - a)(b - y) between the levels a <= y < b; only levels are decoded."""
    codec = build("natural_dithering", levels=s, p=order)
    scale = up32(float(np.linalg.norm(X, np.inf if order == "inf" else order)))
    levels = np.concatenate([[0.0], 2.0 ** np.arange(1 - s, 1)])
    share = np.abs(X) / scale
    j = np.minimum(np.searchsorted(levels, share, side="right") - 1, s - 1)
    variance = scale**2 * (share - levels[j]) * (levels[j + 1] - share)
    y = np.stack([q(codec, X, Key(4, i)) for i in range(400)])
    check_moments(y, X, variance)
    assert set(np.unique(np.abs(y))) <= set(levels * scale)


def test_natural_dithering_bound() -> None:
    """Exact variance of many vectors against w = 1/8 + c min(1, c), c = d^(1/r) 2^(1-s)."""
    rng = np.random.default_rng(81)
    for i in range(300):
        d = int(rng.integers(1, 60))
        x: Any = (rng.standard_normal(d), rng.standard_t(1, d), np.eye(1, d)[0] + 1e-3)[i % 3]
        for s, order in itertools.product((1, 2, 5), (1.0, 2.0, math.inf)):
            levels = np.concatenate([[0.0], 2.0 ** np.arange(1 - s, 1)])
            share = np.abs(x) / np.linalg.norm(x, order)
            j = np.minimum(np.searchsorted(levels, share, side="right") - 1, s - 1)
            variance = float(np.sum((share - levels[j]) * (levels[j + 1] - share))) * np.linalg.norm(x, order) ** 2
            codec = NaturalDithering(levels=s, p="inf" if order == math.inf else order)
            assert variance <= codec.variance_bound(d) * float(x @ x) * (1 + 1e-12)


def test_dither_variance_holds_and_is_met() -> None:
    """Exact variances of many vectors stay below w; for s = 1 the vectors that meet it are known.

    p <= 2: all entries equal; p = inf: (1, c, ..., c) with c = 1 / (1 + sqrt d).
    """
    rng = np.random.default_rng(82)
    for i in range(400):
        d = int(rng.integers(1, 80))
        x: Any = (rng.standard_normal(d), rng.standard_t(1, d), np.full(d, 0.3), rng.exponential(size=d) ** 3)[i % 4]
        for s, order in itertools.product((1, 2, 3, 7, 20), (1.0, 1.5, 2.0, 4.0, math.inf)):
            scale = float(np.linalg.norm(x, order)) * (1 + 1e-15)
            w = dither_variance(d, s, order)
            assert level_variance(x, scale, s).sum() <= w * float(x @ x) * (1 + 1e-9) + 1e-12 * float(x @ x)
    for d in (4, 49, 100):
        flat, spiked = np.ones(d), np.full(d, 1 / (1 + math.sqrt(d)))
        spiked[0] = 1.0
        for x, order in ((flat, 1.0), (flat, 1.5), (flat, 2.0), (spiked, math.inf)):
            scale = float(np.linalg.norm(x, order)) * (1 + 1e-15)
            w = dither_variance(d, 1, order)
            assert level_variance(x, scale, 1).sum() == pytest.approx(w * float(x @ x), rel=1e-9)
    assert dither_variance(100, 1, 1) == pytest.approx(99)
    assert dither_variance(100, 1, 2) == pytest.approx(9)
    assert dither_variance(100, 1, math.inf) == pytest.approx(4.5)
    assert dither_variance(784, 28, 2) == pytest.approx(0.25)
    assert dither_variance(784, 4, 2) == pytest.approx(7)


def test_nonzeros_of_qsgd() -> None:
    """E T = sum min(1, y_i) where y < 1, <= s (s + sqrt d); the mean of 400 draws within 5 standard errors (6e-7)."""
    x = np.random.default_rng(83).standard_normal(784)
    for s in (1, 4, 28):
        y = s * np.abs(x) / up32(float(np.linalg.norm(x)))
        p = np.minimum(y, 1.0)
        assert p.sum() <= s * (s + 28)
        codec = build("qsgd", levels=s)
        counts = np.array([np.count_nonzero(q(codec, x, Key(6, i))) for i in range(400)])
        assert abs(counts.mean() - p.sum()) <= 5 * math.sqrt(float(np.sum(p * (1 - p))) / 400)


def test_second_moment_of_qsgd() -> None:
    """(n^2/s^2) sum (1-p) f^2 + p (f+1)^2, and at most (1 + min(d/s^2, sqrt(d)/s)) ||x||^2; d = 40, s = 4."""
    x = np.random.default_rng(84).standard_normal(40)
    n = up32(float(np.linalg.norm(x)))
    a = 4 * np.abs(x) / n
    f, p = np.floor(a), fraction_part(a)
    moment = n**2 / 16 * float(np.sum((1 - p) * f**2 + p * (f + 1) ** 2))
    squares = np.square(pieces(build("qsgd", levels=4, bucket=40), x, 10_000)).sum(axis=1)
    assert abs(squares.mean() - moment) <= 5 * squares.std() / 100
    assert moment <= (1 + min(40 / 16, math.sqrt(40) / 4)) * float(x @ x)


# --- equal laws ---


def test_dithering_with_two_is_qsgd_with_inf_is_terngrad() -> None:
    """p = 2: the same bytes; p = inf, s = 1: the same vectors; draws and scales are the same, so equality is exact."""
    for d in (1, 30, 1000, 20_000):
        x = np.random.default_rng(85).standard_t(3, d)
        for s in (1, 7, 300):
            ours = build("dithering", levels=s, p=2).encode_keyed(x, KEY)
            assert ours == build("qsgd", levels=s).encode_keyed(x, KEY)
            infinite = build("dithering", levels=s, p="inf")
            assert infinite.encode_keyed(x, KEY) == build("qsgd", levels=s, norm="max").encode_keyed(x, KEY)
        np.testing.assert_array_equal(q(build("dithering", levels=1, p="inf"), x), q(build("terngrad"), x))


def test_qtop_k_of_all_entries_is_qsgd() -> None:
    """k = d, unscaled: qsgd's vector; scaled: that over 1 + min(d/s^2, sqrt(d)/s). k < d: qsgd of the kept entries."""
    x = np.random.default_rng(86).standard_t(3, 500)
    for s in (1, 7, 300):
        y = q(build("qsgd", levels=s), x)
        np.testing.assert_array_equal(q(build("qtop_k", k=500, levels=s, scaled=False), x), y)
        beta = min(500 / s**2, math.sqrt(500) / s)
        np.testing.assert_allclose(q(build("qtop_k", k=900, levels=s), x), y / (1 + beta), rtol=1e-15)
        kept = np.sort(np.argsort(-np.abs(x), kind="stable")[:60])
        v = np.zeros(500)
        v[kept] = x[kept]
        np.testing.assert_array_equal(
            q(build("qtop_k", k=60, levels=s, scaled=False), x), q(build("qsgd", levels=s), v)
        )


@pytest.mark.parametrize(("k", "s"), [(10, 16), (20, 8), (40, 7)])
@pytest.mark.parametrize("scaled", [True, False])
def test_error_of_qtop_k(k: int, s: int, scaled: bool) -> None:
    """E||Q - x||^2 from the probabilities: tail + (beta^2 ||v||^2 + var) / (1+beta)^2; below 1 - delta; 500 draws."""
    x = np.random.default_rng(87).standard_normal(40)
    kept = np.sort(np.argsort(-np.abs(x), kind="stable")[:k])
    v = x[kept]
    variance = float(level_variance(v, up32(float(np.linalg.norm(v))), s).sum())
    beta = min(k / s**2, math.sqrt(k) / s)
    shrink = 1 + beta if scaled else 1.0
    exact = float(x @ x - v @ v) + (variance + (1 - shrink) ** 2 * float(v @ v)) / shrink**2
    codec = build("qtop_k", k=k, levels=s, scaled=scaled)
    errors = np.array([float(np.sum((q(codec, x, Key(8, i)) - x) ** 2)) for i in range(500)])
    assert abs(errors.mean() - exact) <= 5 * errors.std() / math.sqrt(500)
    delta = k / (40 * (1 + beta)) if scaled else (1 - beta) * k / 40
    assert exact <= (1 - delta) * float(x @ x)
    assert exact <= codec.variance_bound(40) * float(x @ x)
    assert codec.variance_bound(40) <= (1 - delta) * (1 + 1e-15)
    assert codec.contraction(40) is None


def test_composition_and_scaling() -> None:
    """Natural after qsgd: w12 = w1 + w2 + w1 w2; Q/(1+w) loses at most w/(1+w); 700 draws, 5 errors (3e-7)."""
    x = np.random.default_rng(88).standard_normal(36)
    outer, inner = build("natural"), build("qsgd", levels=3)
    y = np.stack([q(outer, q(inner, x, Key(10, i)), Key(11, i)) for i in range(700)])
    w1, w2 = outer.variance_bound(36), inner.variance_bound(36)
    w = w1 + w2 + w1 * w2
    norm2 = float(x @ x)
    share = np.square(y - x).sum(axis=1) / norm2
    assert share.mean() <= w + 5 * share.std() / math.sqrt(700)
    assert (np.abs(y.mean(axis=0) - x) <= 5 * y.std(axis=0) / math.sqrt(700)).all()
    scaled = np.square(y / (1 + w) - x).sum(axis=1) / norm2
    assert scaled.mean() <= w / (1 + w) + 5 * scaled.std() / math.sqrt(700)


CODECS: list[dict[str, Any]] = [
    {"name": "qsgd", "levels": 7},
    {"name": "qsgd", "levels": 3, "code": "best", "bucket": 11},
    {"name": "qtop_k", "k": 20, "levels": 5},
    {"name": "terngrad"},
    {"name": "terngrad", "clip": 2.0},
    {"name": "dithering", "levels": 3, "p": 1},
    {"name": "dithering", "levels": 3, "p": 1.7},
    {"name": "natural"},
    {"name": "natural", "float_bit": 64},
    {"name": "natural_dithering", "levels": 4},
]


@pytest.mark.parametrize("config", CODECS, ids=lambda c: "-".join(map(str, c.values())))
def test_scale_and_sign(config: dict[str, Any]) -> None:
    """Q(c x) = c Q(x) for c a power of 2, Q(-x) = -Q(x), and float32 vectors are coded as the same float64 numbers."""
    codec = build_component("compressor", config)
    for d in (60, 9000):
        x = np.random.default_rng(89).standard_t(3, d).astype(np.float32)
        y = q(codec, x)
        for c in (2.0**40, 2.0**-30):
            np.testing.assert_array_equal(q(codec, x * np.float32(c)), y * c)
        np.testing.assert_array_equal(q(codec, -x), -y)
        assert codec.encode_keyed(x, KEY) == codec.encode_keyed(x.astype(np.float64), KEY)


def test_k_level_shifts() -> None:
    """Q(x + c) = Q(x) + c and Q(2^m x) = 2^m Q(x) where nothing rounds; constants decode to themselves."""
    x = np.random.default_rng(90).integers(-40, 40, 500).astype(np.float32)
    codec = build("k_level", levels=17)
    np.testing.assert_allclose(q(codec, x + np.float32(64)), q(codec, x) + 64, rtol=1e-14)
    np.testing.assert_array_equal(q(codec, x * np.float32(2**20)), q(codec, x) * 2**20)
    assert codec.encode_keyed(x, KEY) == codec.encode_keyed(x.astype(np.float64), KEY)
    np.testing.assert_array_equal(q(codec, np.full(9, -2.5)), np.full(9, -2.5))
    np.testing.assert_array_equal(q(codec, np.zeros(9)), np.zeros(9))


# --- ends of the numbers ---


def test_natural_is_exactly_unbiased_from_end_to_end() -> None:
    """Adding every fraction of 2^10 random bits once: P(up) is the entry's fraction, also for denormals and at the top.

    Entries have 10 fraction bits or fewer, so counts are exact.
    """
    words = grid(10)
    for exponent, m in itertools.product((-127, -126, 0, 127), (0, 1, 511, 1000)):
        base = 2.0**exponent if exponent > -127 else 0.0  # below 2^-126 the neighbours are 0 and 2^-126
        above = 2.0 ** (exponent + 1)
        x = base + (above - base) * (m / 1024)
        codes = _short_codes(np.full(1024, x, np.float32), words)
        decoded = np.where(codes > 0, np.ldexp(1.0, codes.astype(int) - 127), 0.0)
        assert (decoded == above).sum() == m
        assert (decoded == base).sum() == 1024 - m
        long = Natural()._codes(np.full(1024, x), words.astype(np.uint64) << np.uint64(20), 0)
        np.testing.assert_array_equal(long, codes)
    for exponent, m in itertools.product((-1023, -1022, 0, 1022), (0, 1, 511, 1000)):
        base = 2.0**exponent if exponent > -1023 else 0.0
        above = 2.0 ** (exponent + 1)
        x = base + (above - base) * (m / 1024)
        codes = Natural(float_bit=64)._codes(np.full(1024, x), words.astype(np.uint64) << np.uint64(20), 0)
        decoded = np.where(codes > 0, np.ldexp(1.0, codes.astype(int) - 1023), 0.0)
        assert (decoded == above).sum() == m
        assert (decoded == base).sum() == 1024 - m


def test_natural_dithering_rounding_is_exact() -> None:
    """The same between 0, 1/4, 1/2 and 1."""
    codec = NaturalDithering(levels=3)
    levels = np.array([0.0, 0.25, 0.5, 1.0])
    for j, m in itertools.product((0, 1, 2), (0, 1, 511, 1000)):
        y = np.full(1024, levels[j] + (levels[j + 1] - levels[j]) * m / 1024)
        found = codec._levels(y, grid(10))
        assert (found == j + 1).sum() == m
        assert (found == j).sum() == 1024 - m
    assert (codec._levels(np.ones(1024), grid(10)) == 3).all()


def test_ends_of_natural() -> None:
    """2^128 and 2^1023 pass, numbers above are refused; what is far below the smallest power becomes zero."""
    y = q(build("natural"), np.array([2.0**128, -(2.0**128), 3.4e38, 1e-300, -0.0]))
    assert y[:2].tolist() == [2.0**128, -(2.0**128)]
    assert y[2] in (2.0**127, 2.0**128)
    assert y[3:].tolist() == [0, 0]
    assert q(build("natural", float_bit=64), np.array([2.0**1023]))[0] == 2.0**1023
    for bit, value in ((32, 3.5e38), (64, 1.0e308)):
        with pytest.raises(EncodeError, match=f"natural: entry 1 must lie within .* float{bit} exponents. Got [13]"):
            build("natural", float_bit=bit).encode_keyed(np.array([1.0, value]), KEY)


@pytest.mark.parametrize("name", ["qsgd", "dithering", "natural_dithering", "k_level", "qtop_k", "terngrad"])
def test_ends_of_float64(name: str) -> None:
    """Norms that are beyond the wire are refused; tiny and huge vectors keep their law with 64-bit scales."""
    keys: dict[str, Any] = {"terngrad": {}, "qtop_k": {"k": 4, "levels": 3, "scaled": False}}.get(name, {"levels": 3})
    codec = build(name, float_bit=64, **keys)
    x = np.array([1.0, -0.25, 0.5, 0.0])
    y = q(codec, x)
    for exponent in (-1000, -950, -500, 500, 1022):
        np.testing.assert_array_equal(q(codec, np.ldexp(x, exponent)), np.ldexp(y, exponent))
    assert (np.abs(q(codec, np.ldexp(x, -1060))) <= 2.0**-1059).all()
    what = {"k_level": "maximum", "terngrad": "scale"}.get(name, "norm")
    for bit, value in ((32, 1e300), (16, 1e6)):
        with pytest.raises(EncodeError, match=f"{name}: {what} 0 must lie within .*, the reach of float{bit}. Got"):
            build(name, float_bit=bit, **keys).encode_keyed(np.array([1.0, value, 1.0]), KEY)


def test_k_level_between_the_largest_numbers() -> None:
    """max - min beyond float64 is halved before it is formed."""
    top = np.finfo(np.float64).max
    y = q(build("k_level", levels=3, float_bit=64), np.array([top, -top, 0.0, top / 2]))
    assert y[:3].tolist() == [top, -top, 0]
    assert y[3] in (0, top)


# --- damage ---


def test_damage_is_named() -> None:
    """Levels above s, negative scales, extremes in the wrong order, codes of no number."""
    one = 0x3C00  # 1 as float16
    cases: list[tuple[Any, int, int, str]] = [
        (build("qsgd", levels=5, float_bit=16), one | 6 << 16, 4, "levels are at most 5. Got 6"),
        (build("qsgd", levels=300, float_bit=16), one | 301 << 16, 6, "levels are at most 300. Got 301"),
        (build("qsgd", levels=5, float_bit=16), one | 1 << 15, 4, "a scale is 0 or more. Got -1.0"),
        (build("qsgd", levels=2, float_bit=16, code="sparse"), 1 | one << 2 | 0b11 << 20, 4, "from 1 to 2 is needed"),
        (build("dithering", levels=2, float_bit=16), one | 3 << 16, 4, "levels are at most 2. Got 3"),
        (build("natural_dithering", levels=2, float_bit=16), one | 3 << 16, 4, "levels are at most 2. Got 3"),
        (build("terngrad", float_bit=16), one | 243 << 16, 3, "at most 242"),
        (build("natural", float_bit=64), 0x7FF, 5, "exponent codes are at most 2046"),
        (build("k_level", levels=3, float_bit=16), one, 6, "the minimum is at most the maximum. Got 1.0 and 0.0"),
        (build("k_level", levels=3, float_bit=16), one << 16 | 3 << 32, 5, "levels are at most 2. Got 3"),
        (build("qtop_k", k=2, levels=5, float_bit=16), 1 | one << 2 | 6 << 20, 4, "levels are at most 5. Got 6"),
    ]
    for codec, bits, size, text in cases:
        with pytest.raises(DecodeError) as caught:
            codec.decode(bits.to_bytes(size, "little"), 3)
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"name": "qsgd"}, "levels: a value is needed, a whole number >= 1 and <= 65535. Got nothing."),
        ({"name": "qsgd", "levels": 0}, "levels: a whole number >= 1"),
        ({"name": "qsgd", "levels": 7, "norm": "one"}, "norm: one of two, max"),
        ({"name": "qsgd", "levels": 7, "code": "fixd"}, "Nearest: fixed."),
        ({"name": "dithering", "levels": 7, "p": 0.5}, "p: "),
        ({"name": "natural_dithering", "levels": 128}, "levels: a whole number >= 1 and <= 127"),
        ({"name": "k_level", "levels": 1}, "levels: a whole number >= 2"),
        ({"name": "qtop_k", "levels": 7}, "k: either k or fraction is needed. Got neither."),
    ],
)
def test_wrong_configurations(config: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_component("compressor", config)
    assert text in str(caught.value)
