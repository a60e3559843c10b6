"""Contract tests of every registered compressor, by its `examples`, and the exact length of every payload."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from algorithms import coding, compressors
from netsim import registry
from netsim.errors import ConfigError, DecodeError, EncodeError, UnknownNameError
from netsim.testing import compressors as contract
from tests.support.contracts import checks, components

CODECS = components("compressor")


@pytest.mark.parametrize("check", checks("compressor"))
@pytest.mark.parametrize("codec", CODECS)
def test_contract(codec: Any, check: Any) -> None:
    check(codec)


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
def test_many_hostile_payloads(codec: Any) -> None:
    contract.check_hostile(codec, cases=33_334, seed=27)


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
def test_means_of_many_draws(codec: Any) -> None:
    contract.check_unbiased(codec, draws=20_000)


@pytest.mark.parametrize("codec", CODECS)
def test_refused_payloads_allocate_nothing(codec: Any) -> None:
    """A short payload that claims a lot is refused before memory for 1e8 entries (800 MB) is asked for."""
    dim = 10**8
    tracemalloc.start()
    for data in (b"", b"\xff", b"\xff\xff\xff\x05" + bytes(60), b"\x00\x00\x00\x04" + bytes(60)):
        try:
            codec.decode(data, dim, contract.key_of(1))
        except DecodeError:
            continue
        finally:
            peak = tracemalloc.get_traced_memory()[1]
        pytest.fail(f"{data!r} was accepted")
    tracemalloc.stop()
    assert peak < 100_000


def lg(n: int) -> int:
    return math.ceil(math.log2(n))


def octets(bit: float) -> int:
    return math.ceil(bit / 8)


def build(name: str, **keys: Any) -> Any:
    return registry.build("compressor", {"name": name, **keys})


CASES: dict[str, tuple[npt.NDArray[np.float64], int]] = {
    "d = 1": (np.array([2.5]), 1),
    "d = 2": (np.array([2.5, -1.0]), 2),
    "all equal": (np.full(1000, -0.5), 1000),
    "all zero": (np.zeros(1000), 0),
    "one nonzero": (np.where(np.arange(1000) == 999, 1.0, 0.0), 1),
    "one huge": (np.where(np.arange(1000) == 7, 3e38, 1.0), 1000),
    "denormals": (np.full(1000, 5e-324), 1000),
    "normal": (np.random.default_rng(30).standard_normal(1000), 1000),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("k", [1, 10, 999, 5000])
@pytest.mark.parametrize("bit", [64, 32])
def test_exact_lengths(case: str, k: int, bit: int) -> None:
    """Both counters of every code, from d, T = min(k, nonzeros) and FPP alone."""
    x, nonzeros = CASES[case]
    d, t = x.size, min(k, nonzeros)
    rng = np.random.default_rng(1)

    p = build("identity", float_bit=bit).encode(x, rng)
    assert (len(p.data), p.paper_bit, p.index_bit, p.value_bit) == (octets(bit * d), bit * d, 0, bit * d)

    codec = build("top_k", k=k, float_bit=bit)
    p = codec.encode(x, rng)
    assert len(p.data) == octets(lg(d + 1) + t * (lg(d) + bit))
    assert (p.paper_bit, p.index_bit, p.value_bit) == (t * (lg(d) + bit), t * lg(d), t * bit)
    assert 8 * len(p.data) == codec.size(d).message_bit(t) - 64
    assert codec.size(d).paper_bit(t) == p.paper_bit
    assert codec.max_size_bytes(d) == octets(lg(d + 1) + min(k, d) * (lg(d) + bit))

    codec = build("sign_top_k", k=k, float_bit=bit)
    p = codec.encode(x, rng)
    paper = bit + t * (lg(d) + 1) if t else 0
    assert len(p.data) == octets(lg(d + 1) + paper)
    assert (p.paper_bit, p.index_bit, p.value_bit) == (paper, t * lg(d), paper - t * lg(d))
    assert 8 * len(p.data) == codec.size(d).message_bit(t) - 64
    assert codec.size(d).paper_bit(t) == p.paper_bit
    assert codec.max_size_bytes(d) == octets(lg(d + 1) + bit + min(k, d) * (lg(d) + 1))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("budget", [0.5, 3.7, 999.0, 2000.0])
def test_exact_lengths_of_drawn_codes(case: str, budget: float) -> None:
    """The number of hits is read off the decoded vector; entries with p = 1 are those above 1/lambda."""
    x, nonzeros = CASES[case]
    d = x.size
    for seed in range(5):
        plain = build("stochastic_sparsification", budget=budget, float_bit=64)
        p = plain.encode(x, np.random.default_rng(seed))
        n = int(np.count_nonzero(plain.decode(p.data, d)))
        assert len(p.data) == octets(lg(d + 1) + n * (lg(d) + 64))
        assert (p.paper_bit, p.index_bit, p.value_bit) == (n * (lg(d) + 64), n * lg(d), n * 64)
        assert 8 * len(p.data) == plain.size(d).message_bit(n) - 64

        hybrid = build("stochastic_sparsification", budget=budget, wire="hybrid", float_bit=64)
        h = hybrid.encode(x, np.random.default_rng(seed))
        y = hybrid.decode(h.data, d)
        np.testing.assert_array_equal(y, plain.decode(p.data, d))
        n1 = nonzeros if budget >= nonzeros else int(np.count_nonzero((y == x) & (y != 0)))
        paper = 64 + n1 * (lg(d) + 64) + (n - n1) * (lg(d) + 1) if n else 0
        assert (len(h.data), h.paper_bit) == (octets(2 * lg(d + 1) + paper), paper)
        assert h.index_bit == n * lg(d)
        assert len(h.data) <= hybrid.max_size_bytes(d)


@pytest.mark.parametrize(
    ("d", "k", "top_k", "sign_top_k"),
    [
        (7850, 40, 1_800, 592),
        (7840, 10, 450, 172),
        (47_236, 472, 22_656, 8_056),
        (272_474, 2_724, 138_924, 54_512),
    ],
)
def test_reference_sizes(d: int, k: int, top_k: int, sign_top_k: int) -> None:
    """Published models' sizes: k (32 + lg d) and 32 + k (lg d + 1); lg d = 13, 13, 16, 19 in the rows."""
    x = np.random.default_rng(31).standard_normal(d)
    rng = np.random.default_rng(1)
    assert build("top_k", k=k).encode(x, rng).paper_bit == top_k
    assert build("sign_top_k", k=k).encode(x, rng).paper_bit == sign_top_k
    assert build("identity").encode(x, rng).paper_bit == 32 * d


def test_bytes_by_hand() -> None:
    """d = 4, x = (0.5, -3, 0, 2), two kept: T = 2 in 3 bits, indices 1 and 3 in 2 bits, then values; low bits first.

    float32: -3 is 0xC0400000, 2 is 0x40000000, 2.5 (the mean of 3 and 2) is 0x40200000.
    """
    x = np.array([0.5, -3.0, 0.0, 2.0])
    rng = np.random.default_rng(1)
    head, indices = 2, 1 | 3 << 2
    bits = head | indices << 3 | 0xC0400000 << 7 | 0x40000000 << 39
    assert build("top_k", k=2).encode(x, rng).data == bits.to_bytes(9, "little")
    bits = head | 0x40200000 << 3 | indices << 35 | 0b01 << 39
    assert build("sign_top_k", k=2).encode(x, rng).data == bits.to_bytes(6, "little")
    assert build("identity").encode(x[1:2], rng).data == bytes.fromhex("000040c0")


NEEDED: dict[str, dict[str, Any]] = {
    "top_k": {"k": 1},
    "sign_top_k": {"k": 1},
    "stochastic_sparsification": {"budget": 3.0},
}


@pytest.mark.parametrize("name", ["identity", "alistarh", *NEEDED])
@pytest.mark.parametrize(("bit", "value"), [(32, 1e300), (16, 1e6)])
def test_numbers_beyond_the_wire_are_refused(name: str, bit: int, value: float) -> None:
    keys = NEEDED.get(name, {})
    x = np.array([1.0, value, 1.0])
    with pytest.raises(EncodeError, match=rf"{name}: \w+ [01] must lie within .*, the reach of float{bit}. Got"):
        build(name, float_bit=bit, **keys).encode(x, np.random.default_rng(1))
    assert np.isfinite(build(name, float_bit=64, **keys).encode(x, np.random.default_rng(1)).paper_bit)


def test_largest_number_that_rounds_into_float32_passes() -> None:
    """float32's largest is (2 - 2**-23) 2**127; a little above it still rounds down, half a unit above does not."""
    rng = np.random.default_rng(1)
    limit = (2 - 2**-23) * 2.0**127
    assert build("identity").decode(build("identity").encode(np.array([limit * (1 + 1e-9)]), rng).data, 1)[0] == limit
    with pytest.raises(EncodeError):
        build("identity").encode(np.array([(2 - 2**-24) * 2.0**127]), rng)


@pytest.mark.parametrize("bit", [64, 32])
def test_sums_beyond_float64_do_not_matter(bit: int) -> None:
    x = np.full(9, np.finfo(np.float64 if bit == 64 else np.float32).max)
    for codec in (
        build("sign_top_k", k=9, float_bit=bit),
        build("alistarh", float_bit=bit),
        build("stochastic_sparsification", budget=9.0, float_bit=bit),
    ):
        y = codec.decode(codec.encode(x, np.random.default_rng(1)).data, 9)
        kept = y != 0
        np.testing.assert_allclose(y[kept], x[kept], rtol=1e-15)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"name": "top_k"}, "k: either k or fraction is needed. Got neither."),
        ({"name": "sign_top_k", "k": 2, "fraction": 0.5}, "k: either k or fraction is needed. Got both."),
        ({"name": "top_k", "k": 0}, "k: a whole number >= 1"),
        ({"name": "top_k", "fraction": 1.5}, "fraction: a number > 0 and <= 1"),
        ({"name": "top_k", "k": 2, "float_bit": 31}, "float_bit: one of 64, 32, 16. Got 31."),
        ({"name": "stochastic_sparsification"}, "budget: either budget or variance is needed. Got neither."),
        ({"name": "stochastic_sparsification", "budget": 1, "wire": "hybrd"}, "Nearest: hybrid."),
        ({"name": "identity", "k": 3}, "k: no key of identity; there are float_bit, format. Got 'k'."),
    ],
)
def test_wrong_configurations(config: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.build("compressor", config)
    assert text in str(caught.value)


def test_unknown_compressor_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Nearest: sign_top_k"):
        build("sign_topk", k=3)


def test_damage_is_named() -> None:
    """One sentence for each way in which bytes are not a payload; d = 6: a count of 3 bits, indices of 3 bits."""
    codec = build("top_k", k=2, float_bit=16)
    for bits, size, text in (
        (7, 1, "at most 6 entries fit. Got a count of 7."),
        (2 | 3 << 3 | 3 << 6, 6, "indices must ascend. Got 3 before 3."),
        (1 | 6 << 3, 3, "indices lie below 6. Got 6."),
        (1 | 2 << 3, 2, "it needs 16 bits more at bit 6. Got 10."),
        (0, 2, "it must end after 1 bytes. Got 2."),
        (1 << 6, 1, "the bits that fill its last byte must be zero"),
        (1 | 2 << 3 | 0x7C00 << 6, 3, "every number must be finite. Got inf."),
    ):
        with pytest.raises(DecodeError) as caught:
            codec.decode(bits.to_bytes(size, "little"), 6)
        assert text in str(caught.value)
    with pytest.raises(DecodeError, match="a scale is 0 or more"):
        build("sign_top_k", k=2, float_bit=16).decode((1 | 0xBC00 << 3 | 2 << 19).to_bytes(3, "little"), 6)
    hybrid = build("stochastic_sparsification", budget=2.0, wire="hybrid", float_bit=16)
    with pytest.raises(DecodeError, match="Got counts of 4 and 3"):
        hybrid.decode((4 | 3 << 3).to_bytes(1, "little"), 6)
    with pytest.raises(DecodeError, match="an index stands for one entry"):
        hybrid.decode((1 | 1 << 3 | 0x3C00 << 6 | 5 << 22 | 5 << 25).to_bytes(6, "little"), 6)


@pytest.mark.parametrize("codec", CODECS)
def test_adding_to_float32_rounds_once(codec: Any) -> None:
    """A float32 accumulator gets the float64 sum, rounded at the end."""
    x = np.random.default_rng(33).standard_normal(60)
    data = codec.encode(x, np.random.default_rng(1)).data
    start = np.linspace(-1, 1, 60, dtype=np.float32)
    acc = start.copy()
    codec.add_to(data, acc, 0.3, contract.key_of(1))
    np.testing.assert_array_equal(acc, (start + 0.3 * codec.decode(data, 60, contract.key_of(1))).astype(np.float32))


def test_fraction_is_a_share_rounded_down() -> None:
    for fraction, d, kept in ((0.29, 100, 29), (0.1, 65, 6), (0.01, 50, 1), (1.0, 7, 7), (0.07, 100, 7)):
        assert build("top_k", fraction=fraction).encode(np.ones(d), np.random.default_rng(1)).value_bit == 32 * kept


def test_small_vectors_load_no_compiler() -> None:
    """All codecs on 4000 entries, in a fresh interpreter."""
    code = """
import sys, numpy as np
from algorithms.coding.codec import draw_key
from netsim import registry
for name in registry.names("compressor"):
    for example in registry.get("compressor", name).examples:
        c = registry.build("compressor", {"name": name, **example})
        x = np.arange(1.0, 4001.0)
        key = draw_key(np.random.default_rng(1))
        c.add_to(c.encode_keyed(x, key).data, x, 1.0, key)
print(sorted(m for m in ("numba", "scipy", "pandas") if m in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("codec", CODECS)
def test_long_vectors_decode_to_the_same_as_short_ones(codec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """d = 80,000 with compiled kernels and without: the same bytes and vectors; 8000 for singular values."""
    names = [
        f"{package.__name__}.{file.stem}"
        for package in (compressors, coding)
        for file in Path(package.__file__ or "").parent.glob("[a-z]*.py")
    ]
    modules = [module for module in map(importlib.import_module, names) if hasattr(module, "COMPILED_FROM")]
    assert {"bits", "prefix", "draws", "select"} <= {module.__name__.rpartition(".")[2] for module in modules}
    x = np.random.default_rng(32).standard_t(3, 8_000 if codec.name == "atomo" else 80_000)
    results = []
    for compiled_from in (1, 10**9):
        for module in modules:
            monkeypatch.setattr(module, "COMPILED_FROM", compiled_from)
        data = codec.encode(x, np.random.default_rng(1)).data
        results.append((data, codec.decode(data, x.size, contract.key_of(1))))
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])
