"""Lower bounds on codes: their closed forms, no codec below them, and what `netsim describe` says of it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np
import pytest

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import Codec, PaperBits
from benchmarks.codecs import page
from netsim import registry
from netsim.interfaces import Array, Key
from netsim.tools import catalogue, codec_limits

LAYOUTS = {16: ((4, 4),), 256: ((16, 16),), 784: ((28, 28),)}


CODECS = [
    pytest.param(codec, id=f"{name}-{i}")
    for name in registry.names("compressor")
    for i, (_, codec) in enumerate(codec_limits.settings(name))
]


# --- the bounds themselves ---------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [1e-6, 0.1, 0.5, 0.9, 0.999999])
def test_caps_of_circle_and_sphere(error: float) -> None:
    """Half-angle t with cos t = sqrt(1 - a): share t / pi of the circle, (1 - cos t) / 2 of the sphere (Archimedes)."""
    cosine = math.sqrt(1 - error)
    assert 2 ** codec_limits.cap_log2(error, 2) == pytest.approx(math.acos(cosine) / math.pi, rel=1e-9)
    assert 2 ** codec_limits.cap_log2(error, 3) == pytest.approx((1 - cosine) / 2, rel=1e-9)
    assert codec_limits.cap_log2(error, 1) == -1


def test_a_cap_is_the_share_of_vectors_that_one_point_serves() -> None:
    """1e5 vectors uniform on the sphere of 8 dimensions; |z| > 5 has probability 6e-7."""
    x = np.random.default_rng(3).standard_normal((100_000, 8))
    x /= np.linalg.norm(x, axis=1)[:, None]
    error = 0.5
    y = math.sqrt(1 - error) * np.eye(8)[0]  # the best multiple of its direction
    hits = np.square(x - y).sum(axis=1) <= error
    share = 2 ** codec_limits.cap_log2(error, 8)
    assert 1 / share == pytest.approx(60.3, abs=0.05)  # a known value
    assert abs(hits.mean() - share) <= 5 * math.sqrt(share * (1 - share) / hits.size)
    for other in (0.8, 1.2):
        assert (np.square(x - other * y).sum(axis=1) <= error).mean() < hits.mean()


def test_caps_too_small_for_a_float() -> None:
    """Both formulas agree where both work, and the tail goes on as a^((d-1)/2)."""
    from scipy import special

    for dim in (8, 256, 5000):
        p = (dim - 1) / 2
        edge = 10 ** (-285 / p)  # just above what betainc can say
        near = [codec_limits.cap_log2(edge * (1 + s), dim) for s in (0.0, 1e-6)]
        assert near[1] > near[0]
        below = 10 ** (-295 / p)
        assert special.betainc(p, 0.5, below) < 1e-290
        slope = (near[0] - codec_limits.cap_log2(below, dim)) / (math.log2(edge) - math.log2(below))
        assert slope == pytest.approx(p, rel=0.01)
    assert codec_limits.cap_log2(1e-9, 3) == pytest.approx(math.log2(1e-9) - 2, rel=1e-6)
    assert codec_limits.covering_bit(1e-30, 1000) / 1000 == pytest.approx(15 * math.log2(10), rel=0.01)
    assert (codec_limits.covering_bit(1.0, 9), codec_limits.covering_bit(0.0, 9)) == (0.0, math.inf)


def test_both_bounds_meet_in_high_dimension() -> None:
    """a 4^(b/d) with b = log2(1/P): 1.39 at d = 8, 1.13 at 32, 1.009 at 784, where a = 0.5, 0.5, 0.5."""
    for dim, value in ((8, 1.39), (32, 1.13), (784, 1.009)):
        assert 0.5 * 4 ** (codec_limits.covering_bit(0.5, dim) / dim) == pytest.approx(value, abs=0.006)
    assert codec_limits.average_bit(0.5, 784) == 392.0


def test_vectors_fill_the_ball() -> None:
    """||x||^d is uniform: its mean 1/2 within 5 standard errors of 1/sqrt(12 n); every direction has mean 0."""
    x = codec_limits.ball(7, 20_000, seed=5)
    radius = np.linalg.norm(x, axis=1) ** 7
    assert radius.max() <= 1
    assert abs(radius.mean() - 0.5) <= 5 / math.sqrt(12 * 20_000)
    assert np.square(x).sum(axis=1).mean() == pytest.approx(7 / 9, abs=0.01)
    assert np.abs(x.mean(axis=0)).max() <= 5 / math.sqrt(9 * 20_000)


def test_entropy_of_known_bytes() -> None:
    rng = np.random.default_rng(6)
    p = np.array([0.5, 0.25, 0.125, 0.125])
    data = [rng.choice(4, 50, p=p).astype(np.uint8).tobytes() for _ in range(2000)]
    assert codec_limits.byte_entropy(data) == pytest.approx(1.75, abs=0.02)
    # Of 300 random bytes the plain estimate is near 7.3 bits; the correction adds half of what is missing.
    assert 7.6 <= codec_limits.byte_entropy([rng.bytes(300)]) <= 8.0
    assert codec_limits.byte_entropy([b"", b""]) == 0.0
    assert codec_limits.byte_entropy([b"aaaa"]) == 0.0


# --- no code is below them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [16, 256])
@pytest.mark.parametrize("codec", CODECS)
def test_no_codec_beats_the_bounds(codec: Any, dim: int) -> None:
    """O13: D 4^(b/d) >= 1 with all bits of the real payload, for Q and for its best multiple; below, bits are missing.

    And what a codec promises of its worst case is not less than its longest payload allows.
    """
    found = codec_limits.measure(codec.bind(LAYOUTS[dim]), dim, draws=4000 // (25 + dim))
    assert found.excess >= 1
    assert found.error >= found.best_error
    assert found.most_bit is None or found.payload_bit <= found.most_bit
    assert found.most_bit is None or found.most_bit >= found.least_bit
    assert 0 <= found.entropy_bit <= found.payload_bit


@dataclass(frozen=True)
class Uniform(Codec):
    """Each entry to the middle of one of `levels` intervals of width `step` / sqrt(d), no norm: a code for tests.

    With `hidden` it writes only every other entry and knows the rest from elsewhere.
    """

    levels: int
    step: float
    hidden: bool = False
    name = "uniform"

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        cells = np.floor(x * math.sqrt(x.size) / self.step + self.levels / 2)
        cells = np.clip(cells, 0, self.levels - 1).astype(np.int64)
        width = (self.levels - 1).bit_length()
        SECRET[:] = [cells]
        out.uints(cells[:: 2 if self.hidden else 1], width)
        return PaperBits(value_bit=width * x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        width = (self.levels - 1).bit_length()
        cells = src.uints(-(-dim // (2 if self.hidden else 1)), width).astype(np.float64)
        cells = SECRET[0] if self.hidden else cells
        return cast(Array, (cells + 0.5 - self.levels / 2) * self.step / math.sqrt(dim))

    def max_size_bytes(self, dim: int) -> int:
        return dim


SECRET: list[Any] = []


@pytest.mark.parametrize(
    ("levels", "step", "error"), [(4, 0.9957, 0.1188), (8, 0.5860, 0.03744), (16, 0.3352, 0.01154)]
)
def test_uniform_quantiser_has_its_known_distance(levels: int, step: float, error: float) -> None:
    """The best uniform quantisers of a normal variable (Max, "Quantizing for minimum distortion", 1960, table II).

    An entry of the ball is nearly normal of deviation 1/sqrt(d + 2). Half of the bits hidden is found out.
    """
    found = codec_limits.measure(Uniform(levels, step), 784, 200)
    assert found.error == pytest.approx(error, rel=0.02)
    assert found.excess == pytest.approx(error * levels**2, rel=0.02)
    assert codec_limits.measure(Uniform(levels, step, hidden=True), 784).excess < 1


@pytest.mark.parametrize(
    ("config", "dim", "low", "high"),
    [
        # Of a fixed scale: D = 1 - 2/pi at one bit, 1.4535 in the limit of many dimensions.
        ({"name": "sign"}, 256, 1.40, 1.46),
        # The norm's 32 bits of 784 are 0.04 a coordinate: 1.4535 * 4^(32/784) = 1.54.
        ({"name": "scaled_sign"}, 784, 1.51, 1.56),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else str(value),
)
def test_measured_distances(config: dict[str, Any], dim: int, low: float, high: float) -> None:
    found = codec_limits.measure(registry.build("compressor", config), dim)
    assert low <= found.excess <= high


def test_measuring_is_seeded_and_best_multiple_of_an_unbiased_code() -> None:
    """D / (1 + D) for an unbiased code: E||c Q - x||^2 is least at c = 1 / (1 + D)."""
    codec = registry.build("compressor", {"name": "stochastic_sparsification", "budget": 20})
    first, again, other = (codec_limits.measure(codec, 256, 400, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert first.best_error == pytest.approx(first.error / (1 + first.error), rel=0.01)
    w = codec.variance_bound(256)
    assert first.promise == pytest.approx(w / (1 + w))


def test_a_lossless_code_is_as_good_as_floats_are() -> None:
    """64-bit floats return x itself: the error is that of rounding real numbers to float64, 2^-53 of an entry."""
    found = codec_limits.measure(registry.build("compressor", {"name": "identity", "float_bit": 64}), 64)
    assert 2.0**-110 < found.error < 2.0**-106
    assert 1 < found.excess < math.inf


# --- netsim describe -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", registry.names("compressor"))
def test_describe_shows_bits_against_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MEASURED_VECTORS", 7)
    kinds = r"\n\n(?=(?:algorithm|compressor|cost|step|partition) \w+\n)"  # of one name
    text = next(t for t in re.split(kinds, catalogue.description(name)) if t.startswith("compressor "))
    head, _, table = text.partition("\nBits against error\n")
    assert "Keys" in head
    rows = [line for line in table.splitlines() if line.startswith("  {")]
    assert len(rows) == sum(1 for _ in codec_limits.settings(name))
    assert table.count("D 4^b") == 2
    for row in rows:
        excess = row.rpartition("}")[2].split()[3]
        assert float(excess) >= 1


def test_settings_are_examples_and_sweep_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cls: Any = registry.get("compressor", "top_k")
    monkeypatch.setattr(cls, "sweep", ({"k": 3}, {"k": 1}), raising=False)
    assert [keys for keys, _ in codec_limits.settings("top_k")] == [*cls.examples, {"k": 1}]


def test_a_codec_that_cannot_be_measured_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    from algorithms.compressors.identity import Identity
    from netsim.errors import EncodeError

    def refuse(*_: Any) -> None:
        raise EncodeError("identity: no vectors today")

    monkeypatch.setattr(Identity, "encode_keyed", refuse)
    text = catalogue.description("identity")
    assert "  {}: identity: no vectors today" in text
    assert "entropy" in text


# --- the page of the docs ------------------------------------------------------------------------------------


def test_every_compressor_has_its_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All cells filled, speeds aside, and every setting in the second table and in the picture."""
    monkeypatch.setattr(page, "VECTORS", 5)
    monkeypatch.setattr(page, "speed", lambda *_: page.Speed(0.5, 0.25, 0.125))
    assert page.main(["--out", str(tmp_path)]) == 0
    text = (tmp_path / "compressors.md").read_text()
    rows = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if line[:3] == "| `"]
    first, second = ([row for row in rows if len(row) == n] for n in (9, 10))
    assert [row[0] for row in first] == [f"`{name}`" for name in registry.names("compressor")]
    for row in first:
        assert all(row[:3]), row
        assert "see there" not in row, f"{row[0]}: no paragraph Payload"
        assert row[3] != "-" or row[0] == "`identity`", f"{row[0]}: no reference"
        assert row[7:] == ["0.25", "0.5"]
    # Counted now: a test before this one may have added a plugin.
    settings = [one for name in registry.names("compressor") for one in codec_limits.settings(name)]
    assert len(second) == len(settings)
    assert len(first) + len(second) == len(rows)
    picture = ElementTree.parse(tmp_path / "compressors.svg").getroot()
    texts = {node.text for node in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert texts >= set(registry.names("compressor"))


def test_a_codec_that_fails_keeps_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    from algorithms.compressors.identity import Identity

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(Identity, "encode_keyed", fail)
    entry = page.entry("identity")
    text = page.page([entry])
    assert "- `identity`: ZeroDivisionError: by zero" in text
    assert "ZeroDivisionError: by zero | - |" in text


def test_numbers_of_entries_keep_their_share() -> None:
    assert page.longer({"k": 32, "float_bit": 16, "inner": {"budget": 0.5}}) == {
        "k": 125_000, "float_bit": 16, "inner": {"budget": 1953.125}
    }  # fmt: skip
