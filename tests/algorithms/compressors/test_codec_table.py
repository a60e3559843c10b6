"""One table: every registered compressor on vectors of every kind, with the exact bytes or the error's text.

A row has a configuration and the bits of a payload as the class's docstring has them, written down once more from d,
the entries of x and, for codes that draw, the entries of the decoded y: what was hit is what is not 0 there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import special

from algorithms.coding.bits import BitReader
from algorithms.coding.prefix import read_golomb
from netsim import registry
from netsim.errors import EncodeError
from netsim.interfaces import Key

KEY = Key(0x243F6A8885A308D3, 0x13198A2E03707344)
Refusal = tuple[str, float | None]
LIMITS = (
    "3.39e+38, the reach of bfloat16.",
    "3.403e+38, the reach of float32.",
    "3.403e+38, the reach of float32 exponents.",
)
TINY = {64: 2.0**-1074, 32: 2.0**-149}  # the smallest denormals


@dataclass(frozen=True)
class Sent:
    """A vector x, its payload `data`, what that decodes to, y, and FPP, the bits of a float."""

    x: Any
    y: Any
    data: bytes
    f: int

    @property
    def d(self) -> int:
        return int(self.x.size)

    @property
    def nonzeros(self) -> int:
        return int(np.count_nonzero(self.x))

    @property
    def hits(self) -> int:
        return int(np.count_nonzero(self.y))


@dataclass(frozen=True)
class Row:
    """A configuration, in which F stands for FPP, the bits of its payloads, and what it says where they cannot be.

    Parameters
    ----------
    beyond
        Of a vector with an entry 7 of 1e300, beyond float32: what is too large then, and its value there (None: LAPACK
        decides); nothing where all fits.
    huge
        The same of an entry of 3e38, which float32 holds.
    always
        Whether `beyond` holds whatever FPP is.
    long
        Whether 1e7 entries take seconds: singular values take minutes.
    """

    keys: Mapping[str, Any]
    bits: Callable[[Sent], float]
    beyond: Refusal | None = ("entry 7", 1e300)
    huge: Refusal | None = None
    always: bool = False
    long: bool = True


def lg(n: int) -> int:
    return math.ceil(math.log2(n))


def omega(values: Any) -> int:
    """Bits of Elias omega codes: 1, and lg(v + 1) of v, of lg(v + 1) - 1, ... as long as they exceed 1."""
    left, total = np.asarray(values, np.int64), len(values)
    while (left := left[left > 1]).size:
        width = np.frexp(left.astype(np.float64))[1].astype(np.int64)
        total += int(width.sum())
        left = width - 1
    return total


def entries(s: Sent, kept: int, value: float, scale: float = 0.0) -> float:
    """T, and unless it is 0 the scale, T indices of lg d and T values."""
    return lg(s.d + 1) + (scale + kept * (lg(s.d) + value) if kept else 0)


def gaps(y: Any) -> Any:
    return np.diff(np.flatnonzero(y), prepend=-1)


def unit(x: Any) -> Any:
    """In units of the largest entry, float64, so that squares neither overflow nor vanish."""
    return np.abs(x.astype(np.float64)) / (float(np.abs(x).max()) or 1.0)


def alistarh(s: Sent) -> float:
    """T_A: how many of the largest entries have a sum that reaches the norm."""
    magnitudes = np.sort(unit(s.x))[::-1]
    enough = np.add.accumulate(magnitudes) >= np.linalg.norm(magnitudes) * (1 - 1e-13)
    return entries(s, int(np.argmax(enough)) + 1 if s.nonzeros else 0, value=1, scale=s.f)


def hybrid(s: Sent) -> float:
    """Two counts; entries with p = 1 travel as they are, all others have the same magnitude, which is no entry's."""
    sure = s.nonzeros if s.nonzeros <= 40 else int(np.count_nonzero((s.y == s.x) & (s.y != 0)))
    rest = s.f + s.hits * lg(s.d) + sure * s.f + (s.hits - sure) if s.hits else 0
    return 2 * lg(s.d + 1) + rest


def ternary(s: Sent) -> float:
    """Golomb codes of the gaps with the parameter 2^b, b = 1 + floor(log2(log(phi - 1) / log(1 - T/d)))."""
    t, phi = s.hits, (1 + math.sqrt(5)) / 2
    ratio = math.log(phi - 1) / math.log(1 - t / s.d) if 0 < t < s.d else 0.5
    b = max(0, 1 + math.floor(math.log2(ratio)))
    return lg(s.d + 1) + (s.f + t * (2 + b) + int((gaps(s.y) - 1 >> b).sum()) if t else 0)


def dithered(s: Sent, randomised: bool) -> float:
    """Trits, and the levels in unary: nu = 0.3, y_i = |x_i| / (2 ||x|| sqrt(nu/d))."""
    x, scale = unit(s.x), float(np.abs(s.x).max()) or 1.0
    step = 2 * math.sqrt(0.3 / s.d) * np.linalg.norm(x)
    levels = (np.abs(s.y) / scale if randomised else x) / (step or 1.0) + (0.0 if randomised else 0.5)
    return s.f + 8 * math.ceil(s.d / 5) + (np.rint(levels) if randomised else np.floor(levels)).sum()


def spherical(s: Sent, block: int, error: float, key_bit: int = 0) -> float:
    """A key, scales, and Golomb codes of m = ceil(-log2(2 - P) / log2(1 - P)), P the share of the sphere."""
    share = special.betainc((block - 1) / 2, 0.5, error) / 2
    m = math.ceil(-math.log2(2 - share) / math.log2(1 - share))
    src, n = BitReader(s.data), math.ceil(s.d / block)
    src.uint(key_bit)
    places = read_golomb(src, int(np.count_nonzero(src.floats(n, s.f))), m, 2**32 - 1)
    width = lg(m)
    return key_bit + s.f * n + int((places // m + 1 + width - (places % m < 2**width - m)).sum())


def layout(d: int) -> tuple[tuple[int, ...], ...]:
    """Matrices and a vector, of d entries in all."""
    return ((d,),) if d < 4 else ((d // 8, 2), (d - d // 8 * 2 - 3,), (3, 1))


def tensors(s: Sent) -> list[Sent]:
    ends = np.add.accumulate([math.prod(shape) for shape in layout(s.d)])
    return [Sent(x, y, b"", s.f) for x, y in zip(np.split(s.x, ends[:-1]), np.split(s.y, ends[:-1]), strict=True)]


def matrices(s: Sent) -> list[tuple[int, int]]:
    """Rows and columns of each tensor; one axis is folded into ceil(sqrt(d)) columns."""
    sides = [(shape[0], shape[1]) if len(shape) > 1 else (0, math.isqrt(shape[0] - 1) + 1) for shape in layout(s.d)]
    return [(n or -(-t.d // m), m) for t, (n, m) in zip(tensors(s), sides, strict=True)]


def low_rank(s: Sent) -> float:
    """Two factors of rank 2 at most, or the matrix where that is not longer."""
    ranks = [min(2, n, m) for n, m in matrices(s)]
    shapes = zip(ranks, matrices(s), tensors(s), strict=True)
    return s.f * sum(r * (n + m) if r * (n + m) < n * m else t.d for r, (n, m), t in shapes)


def atomo(s: Sent) -> float:
    """Of each matrix the number of singular vectors, which stands before them, and n + m floats for each."""
    src, bits = BitReader(s.data), 0
    for (n, m), t in zip(matrices(s), tensors(s), strict=True):
        width = lg(min(n, m) + 1) if min(n, m) > 1 else 0
        floats = src.uint(width) * (n + m) if width else t.d
        bits += width + floats * s.f
        src.floats(floats, s.f)
    return bits


def columns(s: Sent) -> int:
    return sum(shape[1] if len(shape) > 1 else 1 for shape in layout(s.d))


def kept_signs(s: Sent) -> float:
    """T of x and its indices, then `sign_top_k` of the T values."""
    t = min(10, s.nonzeros)
    return lg(s.d + 1) + (t * lg(s.d) + lg(t + 1) + s.f + t * (lg(t) + 1) if t else 0)


F = object()
PIECE: Refusal = ("tensor 0, from entry 0 on: top_k: entry 7", 1e300)


def qsgd(code: str) -> Row:
    """One level, so that entries that are not 0 have level 1, of which the code is one bit, and that of 2 three."""

    def bits(s: Sent) -> float:
        sparse = lg(s.d + 1) + s.f + omega(gaps(s.y)) + 2 * s.hits
        dense = s.f + s.d + 3 * s.hits
        return {"sparse": sparse, "dense": dense, "best": 1 + min(sparse, dense)}[code]

    return Row({"levels": 1, "code": code, "float_bit": F}, bits, beyond=("norm 0", 1e300))


TABLE: dict[str, list[Row]] = {
    "identity": [
        Row({"float_bit": F}, lambda s: s.f * s.d),
        Row({"float_bit": 16, "format": "bfloat16"}, lambda s: 16 * s.d, always=True),
    ],
    "top_k": [
        Row({"k": 10, "float_bit": F}, lambda s: entries(s, min(10, s.nonzeros), s.f)),
        Row(
            {"fraction": 0.01, "index": "gap", "float_bit": F},
            lambda s: lg(s.d + 1) + omega(gaps(s.y)) + min(max(s.d // 100, 1), s.nonzeros) * s.f,
        ),
    ],
    "threshold_v": [Row({"v": 0.5, "float_bit": F}, lambda s: entries(s, int((abs(s.x) >= 0.5).sum()), s.f))],
    "rand_k": [
        Row({"k": 10, "float_bit": F}, lambda s: entries(s, s.hits, s.f), beyond=None),  # entry 7 is not drawn
        Row({"k": 10, "shared_seed": True, "float_bit": F}, lambda s: s.f * min(10, s.d), beyond=None),
    ],
    "rtop_k": [Row({"k": 5, "r": 10, "float_bit": F}, lambda s: entries(s, min(5, s.nonzeros), s.f))],
    "bernoulli": [
        Row(
            {"p": 0.5, "float_bit": F},
            lambda s: entries(s, s.hits, s.f),
            beyond=("entry 7", 2e300),
            huge=("entry 7", 6e38),
        ),
        Row(
            {"p": 0.9, "lazy": True, "float_bit": F},
            lambda s: 1 + s.f * s.d * bool(s.hits),
            beyond=("entry 7", 1e300 / 0.9),
        ),
    ],
    "stochastic_sparsification": [
        Row({"budget": 40.0, "float_bit": F}, lambda s: entries(s, s.hits, s.f)),
        Row(
            {"variance": 2.0, "float_bit": F},
            lambda s: entries(s, s.hits, s.f),
            beyond=("entry 7", 3e300),
            huge=("entry 7", 9e38),
        ),
        Row({"budget": 40.0, "wire": "hybrid", "float_bit": F}, hybrid),
    ],
    "sparse_ternary": [Row({"k": 10, "float_bit": F}, ternary, beyond=("mean 0", 1e299))],
    "sign_top_k": [
        Row({"k": 10, "float_bit": F}, lambda s: entries(s, min(10, s.nonzeros), 1, s.f), beyond=("scale 0", 1e299))
    ],
    "sign_rand_k": [
        Row({"k": 10, "float_bit": F}, lambda s: entries(s, s.hits, 1, s.f), beyond=None),
        Row({"k": 10, "shared_seed": True, "float_bit": F}, lambda s: s.f + min(10, s.d), beyond=None),
    ],
    "alistarh": [Row({"float_bit": F}, alistarh, beyond=("scale 0", 1e300))],
    "qsgd": [
        Row({"levels": 7, "float_bit": F}, lambda s: s.f + 4 * s.d, beyond=("norm 0", 1e300)),
        Row(
            {"levels": 4, "bucket": 64, "float_bit": F},
            lambda s: s.f * -(-s.d // 64) + 4 * s.d,
            beyond=("norm 0", 1e300),
        ),
        qsgd("sparse"),
        qsgd("dense"),
        qsgd("best"),
    ],
    "qtop_k": [
        Row(
            {"k": 10, "levels": 7, "float_bit": F},
            lambda s: entries(s, min(10, s.nonzeros), 4, s.f),
            beyond=("norm 0", 1e300),
        )
    ],
    "terngrad": [
        Row({"float_bit": F}, lambda s: s.f + 8 * math.ceil(s.d / 5), beyond=("scale 0", 1e300)),
        Row(
            {"clip": 2.5, "float_bit": F},
            lambda s: s.f + 8 * math.ceil(s.d / 5),
            beyond=("scale 0", 2.5 * 1e300 * math.sqrt(0.999e-3)),
        ),
    ],
    "dithering": [
        Row({"levels": 4, "p": 1, "float_bit": F}, lambda s: s.f + 4 * s.d, beyond=("norm 0", 1e300)),
        Row({"levels": 127, "p": "inf", "float_bit": F}, lambda s: s.f + 8 * s.d, beyond=("norm 0", 1e300)),
    ],
    "natural": [Row({"float_bit": F}, lambda s: (12 if s.f == 64 else 9) * s.d)],
    "natural_dithering": [Row({"levels": 3, "float_bit": F}, lambda s: s.f + 3 * s.d, beyond=("norm 0", 1e300))],
    "k_level": [Row({"levels": 16, "float_bit": F}, lambda s: 2 * s.f + 4 * s.d, beyond=("maximum 0", 1e300))],
    "sign": [Row({}, lambda s: s.d, beyond=None)],
    "scaled_sign": [Row({"float_bit": F}, lambda s: s.f + s.d, beyond=("scale 0", 1e297))],
    "block_sign": [
        Row({"block": 64, "float_bit": F}, lambda s: s.f * math.ceil(s.d / 64) + s.d, beyond=("scale 0", 1e300 / 64))
    ],
    "one_bit": [Row({"float_bit": F}, lambda s: 2 * s.f * columns(s) + s.d, beyond=("mean 2", 8e297))],
    "laq": [Row({"bits": 4, "float_bit": F}, lambda s: s.f + 4 * s.d, beyond=("range 0", 1e300))],
    "fractional": [Row({"bits": 4, "float_bit": F}, lambda s: 4 * s.d + 8 * s.f, beyond=("mean of level 0", 1e300))],
    "sparse_dithering": [
        Row({"nu": 0.3, "float_bit": F}, lambda s: dithered(s, False), beyond=("scale 0", 1e300 / 29)),
        Row(
            {"nu": 0.3, "randomised": True, "float_bit": F},
            lambda s: dithered(s, True),
            beyond=("scale 0", 2e300 * math.sqrt(0.3e-3)),
        ),
    ],
    "spherical": [
        Row(
            {"error": 0.5, "block": 8, "float_bit": F},
            lambda s: spherical(s, 8, 0.5),
            beyond=("scale 0", 7.58645903340693e299),
        ),
        Row(
            {"error": 0.8, "block": 4, "unbiased": True, "float_bit": F},
            lambda s: spherical(s, 4, 0.8, 64),
            beyond=("scale 1", 1.4824055654900647e300),
            huge=("scale 1", 4.4472166964701936e38),
        ),
    ],
    "low_rank": [
        Row({"rank": 2, "float_bit": F}, lambda s: s.f * s.d),
        Row({"rank": 2, "fold": True, "float_bit": F}, low_rank),
    ],
    "atomo": [Row({"budget": 3.0, "fold": True, "float_bit": F}, atomo, beyond=("factor entry", None), long=False)],
    "hadamard": [
        Row(
            {"part": {"name": "identity", "float_bit": F}},
            lambda s: 32 + s.f * 2 ** lg(s.d),
            beyond=("after rotation, identity: entry 0", 1e300 / 32),
        ),
        Row({"part": {"name": "sign"}, "shared_seed": True}, lambda s: 2 ** lg(s.d), beyond=None),
    ],
    "piecewise": [
        Row(
            {"part": {"name": "top_k", "k": 10, "float_bit": F}},
            lambda s: sum(entries(t, min(10, t.nonzeros), t.f) for t in tensors(s)),
            beyond=PIECE,
        ),
        Row(
            {"part": {"name": "top_k", "k": 10, "float_bit": F}, "vectors": {"name": "sign"}},
            lambda s: sum(
                t.d if len(shape) == 1 else entries(t, min(10, t.nonzeros), t.f)
                for t, shape in zip(tensors(s), layout(s.d), strict=True)
            ),
            beyond=PIECE,
        ),
    ],
    "compose": [
        Row(
            {"outer": {"name": "identity", "float_bit": F}, "inner": {"name": "top_k", "k": 10, "float_bit": 64}},
            lambda s: s.f * s.d,
            beyond=("identity: entry 7", 1e300),
        ),
        Row(
            {
                "outer": {"name": "sign_top_k", "fraction": 1.0, "float_bit": F},
                "inner": {"name": "top_k", "k": 10, "float_bit": 64},
                "form": "kept",
            },
            kept_signs,
            beyond=("of the 10 entries kept, sign_top_k: scale 0", 1e299),
        ),
    ],
    "to_contraction": [
        Row(
            {"part": {"name": "bernoulli", "p": 0.5, "float_bit": F}},
            lambda s: entries(s, s.hits, s.f),
            beyond=("bernoulli: entry 7", 2e300),
            huge=("bernoulli: entry 7", 6e38),
        )
    ],
    "error_feedback": [
        Row(
            {"part": {"name": "top_k", "k": 10, "float_bit": F}},
            lambda s: entries(s, min(10, s.nonzeros), s.f),
            beyond=("top_k: entry 7", 1e300),
        )
    ],
}
ROWS = [pytest.param(name, row, id=f"{name}-{i}") for name, rows in TABLE.items() for i, row in enumerate(rows)]


def filled(keys: Any, f: int) -> Any:
    """The configuration with FPP in it."""
    if isinstance(keys, dict):
        return {key: filled(value, f) for key, value in keys.items()}
    return f if keys is F else keys


def build(name: str, row: Row, f: int, d: int) -> Any:
    return registry.build("compressor", {"name": name, **filled(row.keys, f)}).bind(layout(d))


def at_seven(value: float) -> Any:
    return np.where(np.arange(1000) == 7, value, 1.0)


def vectors(f: int) -> dict[str, Any]:
    """All with entries that float32 holds, but for the last."""
    normal = np.random.default_rng(30).standard_normal(1000).astype(np.float32).astype(np.float64)
    return {
        "d = 1": np.array([2.5]),
        "all equal": np.full(1000, -0.5),
        "all zero": np.zeros(1000),
        "one nonzero": np.where(np.arange(1000) == 999, 1.0, 0.0),
        "normal": normal,
        "denormals": TINY[f] * (2.0 + np.arange(1000) % 3),
        "one huge": at_seven(float(np.float32(3e38))),
        "beyond float32": at_seven(1e300),
    }


def test_every_compressor_has_a_row() -> None:
    names = registry.names("compressor")  # with plugins that a test before this one has loaded
    ours = [name for name in names if registry.get("compressor", name).__module__.startswith("algorithms.")]
    assert sorted(TABLE) == sorted(ours)


@pytest.mark.parametrize("f", [64, 32])
@pytest.mark.parametrize(("name", "row"), ROWS)
def test_table(name: str, row: Row, f: int) -> None:
    for case, x in vectors(f).items():
        codec = build(name, row, f, x.size)
        too_large = {"one huge": row.huge, "beyond float32": row.beyond}.get(case) if f == 32 or row.always else None
        if too_large is not None:
            with pytest.raises(EncodeError) as caught:
                codec.encode_keyed(x, KEY)
            place, value = too_large
            text, _, got = str(caught.value).partition(" must lie within ")
            assert text.startswith(f"{name}: {place}"), case
            assert value is None or text == f"{name}: {place}", case
            limits, _, got = got.partition(" Got ")
            assert limits in LIMITS, case
            assert value is None or float(got[:-1]) == pytest.approx(value, rel=1e-7), case
            continue
        data = codec.encode_keyed(x, KEY).data
        bits = row.bits(Sent(x, codec.decode(data, x.size, KEY), data, f))
        assert len(data) == math.ceil(bits / 8), case


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_numbers_that_are_not_finite_are_refused(name: str, row: Row) -> None:
    """By the codec's name and the entry's index, whatever its place."""
    for value, word in ((math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")):
        for d, i in ((1, 0), (1000, 7), (1000, 999)):
            x = np.linspace(0.5, 1.5, d)
            x[i] = value
            with pytest.raises(EncodeError) as caught:
                build(name, row, 32, d).encode_keyed(x, KEY)
            assert str(caught.value) == f"{name}: entry {i} must be finite. Got {word}."


@pytest.mark.parametrize("name", ["error_feedback", "hadamard", "identity", "sign", "terngrad", "top_k"])
def test_places_count_from_the_vectors_start(name: str) -> None:
    """Not from that of the block in which it is looked at."""
    x = np.zeros(200_000, np.float32)
    x[150_000] = math.nan
    with pytest.raises(EncodeError, match=f"{name}: entry 150000 must be finite"):
        build(name, TABLE[name][0], 32, x.size).encode_keyed(x, KEY)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "row"), [row for row in ROWS if row.values[1].long])
def test_ten_million_entries(name: str, row: Row) -> None:
    """float32, one in eight of them not 0."""
    x = np.zeros(10_000_000, np.float32)
    x[::8] = np.random.default_rng(31).standard_normal(1_250_000, np.float32)
    codec = build(name, row, 32, x.size)
    data = codec.encode_keyed(x, KEY).data
    bits = row.bits(Sent(x, codec.decode(data, x.size, KEY), data, 32))
    assert len(data) == math.ceil(bits / 8)
