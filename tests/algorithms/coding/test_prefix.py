"""Prefix codes, trits and index sections: tables of the literature, round trips, lengths, twins, damage."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.coding import bits, prefix
from algorithms.coding import indices as indices_module
from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.prefix import (
    golomb_bit,
    omega_bit,
    read_golomb,
    read_omega,
    read_rice,
    read_unary,
    write_golomb,
    write_omega,
    write_rice,
    write_unary,
)
from algorithms.coding.sizes import lg
from algorithms.coding.trits import read_trits, trits_bit, write_trits
from netsim.errors import DecodeError, EncodeError

MOST = 2**32 - 1


def written(write: Callable[..., object], *arguments: Any) -> str:
    """The bits in the order in which they were written."""
    out = BitWriter()
    write(out, *arguments)
    return "".join(f"{octet:08b}"[::-1] for octet in out.getvalue())[: out.bit_length]


def test_codewords_of_the_literature() -> None:
    """Elias 1975: omega of 1, 2, 3, 4, 8, 16. Unary of 3. Golomb with m = 5: 0 to 9 by hand."""
    words = {1: "0", 2: "100", 3: "110", 4: "101000", 8: "1110000", 16: "10100100000", 100: "1011011001000"}
    for value, word in words.items():
        assert written(write_omega, [value]) == word
    assert written(write_unary, [3, 1]) == "1100"
    rests = {0: "00", 1: "01", 2: "10", 3: "110", 4: "111"}
    for value in range(10):
        assert written(write_golomb, [value], 5) == "1" * (value // 5) + "0" + rests[value % 5]


def test_omega_lengths() -> None:
    """The table of lengths: 1:1, 2-3:3, 4-7:6, 8-15:7, 16-31:11, 32-63:12, 64-127:13, 128-255:14, 256-511:16, ..."""
    steps = [(1, 1), (2, 3), (4, 6), (8, 7), (16, 11), (32, 12), (64, 13), (128, 14), (256, 16), (512, 17), (1024, 18)]
    for (low, length), (high, _) in zip(steps, [*steps[1:], (1025, 0)], strict=True):
        assert set(omega_bit(np.arange(low, high)).tolist()) == {length}


CODES: dict[str, tuple[Any, Any, Any, int]] = {
    "unary": (write_unary, read_unary, lambda v: np.asarray(v, np.int64), 1),
    "omega": (write_omega, read_omega, omega_bit, 1),
    **{
        f"rice {w}": (
            lambda out, v, w=w: write_rice(out, v, w),
            lambda src, n, most, w=w: read_rice(src, n, w, most),
            lambda v, w=w: (np.asarray(v, np.int64) >> w) + 1 + w,
            0,
        )
        for w in (0, 3, 11)
    },
    **{
        f"golomb {m}": (
            lambda out, v, m=m: write_golomb(out, v, m),
            lambda src, n, most, m=m: read_golomb(src, n, m, most),
            lambda v, m=m: golomb_bit(v, m),
            0,
        )
        for m in (1, 2, 5, 8, 1000)
    },
}


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("compiled", [False, True])
def test_every_number_to_ten_thousand(name: str, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Round trip and length of each number alone in a sum, with both paths, after 3 bits and before 5 others."""
    write, read, length, least = CODES[name]
    for module in (bits, prefix):
        monkeypatch.setattr(module, "COMPILED_FROM", 1 if compiled else 10**9)
    numbers = np.arange(least, 2000 if name == "unary" else 10_001)
    out = BitWriter()
    out.uint(5, 3)
    write(out, numbers)
    assert out.bit_length == 3 + int(length(numbers).sum())
    out.uint(21, 5)
    src = BitReader(out.getvalue())
    assert src.uint(3) == 5
    assert (read(src, numbers.size, 10_000) == numbers).all()
    assert src.uint(5) == 21
    src.finish()
    for value in (least, 7, 4095, 10_000):
        if name != "unary" or value < 2000:
            out = BitWriter()
            write(out, [value])
            assert out.bit_length == int(length([value])[0])


@pytest.mark.parametrize("name", ["omega", "rice 11", "golomb 1000"])
@pytest.mark.parametrize("compiled", [False, True])
def test_numbers_up_to_32_bits(name: str, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    write, read, length, least = CODES[name]
    for module in (bits, prefix):
        monkeypatch.setattr(module, "COMPILED_FROM", 1 if compiled else 10**9)
    top = MOST if name == "omega" else 2**22
    numbers = np.array([least, *(top >> s for s in range(20)), top], np.uint64)
    out = BitWriter()
    write(out, numbers)
    assert out.bit_length == int(length(numbers).sum())
    assert (read(BitReader(out.getvalue()), numbers.size, top) == numbers).all()


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("compiled", [False, True])
def test_damaged_sections(name: str, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random bits give numbers in range or DecodeError, never a read beyond the payload; both paths say the same."""
    _, read, _, least = CODES[name]
    rng = np.random.default_rng(70)
    outcomes = []
    for compiled_from in (1, 10**9) if compiled else (10**9, 10**9):
        for module in (bits, prefix):
            monkeypatch.setattr(module, "COMPILED_FROM", compiled_from)
        rng = np.random.default_rng(70)
        results: list[Any] = []
        for _ in range(300):
            src = BitReader(rng.bytes(int(rng.integers(0, 40))))
            src.skip(min(3, src.remaining_bit))
            try:
                values = read(src, int(rng.integers(0, 30)), 60)
            except DecodeError:
                results.append("refused")
                continue
            assert values.size == 0 or (values.max() <= 60 and values.min() >= least)
            results.append((values.tolist(), src.remaining_bit))
        outcomes.append(results)
    assert outcomes[0] == outcomes[1]
    assert 0 < outcomes[0].count("refused") < 300
    with pytest.raises(DecodeError):
        read(BitReader(b"\xff" * 40), 10**9, MOST)


def test_golomb_is_as_short_as_a_geometric_law_allows() -> None:
    """With m = ceil(-log2(2 - P) / log2(1 - P)) the mean length is within 0.05 bit of the entropy.

    Exact: the law's tail beyond 1e-18 is cut off.
    """
    for p in (0.5, 0.2, 1 / 60.3, 1 / 400):
        m = math.ceil(-math.log2(2 - p) / math.log2(1 - p))
        k = np.arange(math.ceil(math.log(1e-18) / math.log(1 - p)))
        law = p * (1 - p) ** k
        entropy = (-p * math.log2(p) - (1 - p) * math.log2(1 - p)) / p
        mean = float((law * golomb_bit(k, m)).sum())
        assert entropy <= mean + 1e-9
        assert mean <= entropy + 0.05


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(0, 7))
@settings(max_examples=200, deadline=None)
def test_trits(trits: list[int], before: int) -> None:
    """An octet is one number in base 3, low trit first: an integer twin."""
    out = BitWriter()
    out.uint(0, before)
    write_trits(out, trits)
    assert out.bit_length == before + trits_bit(len(trits)) == before + 8 * math.ceil(len(trits) / 5)
    src = BitReader(out.getvalue())
    src.skip(before)
    groups = [trits[i : i + 5] for i in range(0, len(trits), 5)]
    octets = [sum(t * 3**j for j, t in enumerate(group)) for group in groups]
    assert src.packed(8 * len(groups)).tolist() == octets
    src = BitReader(out.getvalue())
    src.skip(before)
    assert read_trits(src, len(trits)).tolist() == trits


def test_damaged_trits() -> None:
    with pytest.raises(DecodeError, match=r"at most 242\. Got 243"):
        read_trits(BitReader(b"\xf3"), 5)
    with pytest.raises(DecodeError, match="must be zero"):
        read_trits(BitReader(b"\x03"), 1)
    with pytest.raises(DecodeError, match="needs"):
        read_trits(BitReader(b""), 1)


# --- index sections ---------------------------------------------------------------------------------------------------

SETS = [
    (d, np.flatnonzero(np.random.default_rng(seed).random(d) < share))
    for seed, (d, share) in enumerate(
        (d, share) for d in (1, 2, 5, 16, 63, 64, 65, 1000) for share in (0.0, 0.01, 0.2, 0.7, 1.0)
    )
]
INDEX_CODES = [*indices_module.CODES, "auto"]


@pytest.mark.parametrize("code", INDEX_CODES)
def test_index_sets_come_back(code: Any) -> None:
    for dim, indices in SETS:
        out = BitWriter()
        out.uint(1, 1)
        bit = indices_module.write_indices(out, indices, dim, code)
        assert bit == out.bit_length - 1 == indices_module.index_bit(indices, dim, code)
        for more in (0, 1, dim):
            assert bit <= indices_module.most_index_bit(min(indices.size + more, dim), dim, code)
        src = BitReader(out.getvalue())
        src.skip(1)
        assert indices_module.read_indices(src, indices.size, dim, code).tolist() == indices.tolist()
        src.finish()


def test_lengths_by_formula() -> None:
    """Each code's bits from d and T, or the gaps, alone; big-integer and rational twins."""
    for dim, indices in SETS:
        count = indices.size
        gaps = np.diff(indices, prepend=-1).tolist()
        bit = {code: indices_module.index_bit(indices, dim, code) for code in indices_module.CODES}
        assert bit["fixed"] == count * (math.ceil(math.log2(dim)))
        assert bit["bitmap"] == dim
        assert bit["gap"] == sum(len(written(write_omega, [gap])) for gap in gaps)
        blocks = [2**w for w in range(lg(dim) + 1)]
        assert bit["block"] == min(count * (1 + lg(b)) + math.ceil(Fraction(dim, b)) for b in blocks)
        block = max(1, math.floor(Fraction(dim, count) + Fraction(1, 2))) if count else dim
        assert bit["block_paper"] == count * (1 + lg(block)) + math.ceil(Fraction(dim, block))
        assert bit["enumerative"] == (math.comb(dim, count) - 1).bit_length()
        width = next(b for b in range(40) if 2 ** (b + 1) * max(count, 1) * 10_000 > 6931 * dim)
        assert bit["rice"] == sum(((gap - 1) >> width) + 1 + width for gap in gaps)
        assert indices_module.index_bit(indices, dim, "auto") == 3 + min(bit.values())


def test_block_code_by_hand() -> None:
    """d = 16, blocks of 4, {1, 2, 9, 15}: 4 * 3 + 4 bits. Counts 2, 0, 1, 1 in unary, then offsets, low bit first."""
    assert (
        written(indices_module.write_indices, np.array([1, 2, 9, 15]), 16, "block_paper")
        == "1100" + "1010" + "10011011"
    )


def test_bits_per_position_of_the_block_code() -> None:
    """phi = 1e-2: B = 100, 9 bits or 64, 8.5625; 1e-3: B = 1000, 12 or 512, 11.953. Below: the entropy's 8.079, 11.408.

    d is a multiple of both blocks, so nothing is rounded.
    """
    for dim, count, paper, best, entropy in ((64_000, 640, 9.0, 8.5625, 8.079), (512_000, 512, 12.0, 11.953, 11.408)):
        indices = np.sort(np.random.default_rng(71).choice(dim, count, replace=False))
        assert indices_module.index_bit(indices, dim, "block_paper") / count == pytest.approx(paper, abs=2e-3)
        assert indices_module.index_bit(indices, dim, "block") / count == pytest.approx(best, abs=5e-4)
        phi = count / dim
        ideal = (-phi * math.log2(phi) - (1 - phi) * math.log2(1 - phi)) / phi
        assert ideal == pytest.approx(entropy, abs=2e-3)
        assert indices_module.index_bit(indices, dim, "rice") / count <= 1.015 * ideal


def test_reference_costs_of_index_sets() -> None:
    """d = 47236: T = 100: 1600 bits fixed, gaps about 1510; T = 5000: 80000 and 30900; random sets within 3 %."""
    for count, fixed, gap in ((100, 1600, 1510), (5000, 80_000, 30_900)):
        indices = np.sort(np.random.default_rng(72).choice(47_236, count, replace=False))
        assert indices_module.index_bit(indices, 47_236, "fixed") == fixed
        assert indices_module.index_bit(indices, 47_236, "gap") == pytest.approx(gap, rel=0.03)


def test_enumeration_is_a_bijection() -> None:
    """All C(7, T) sets of each size have the ranks 0 .. C(7, T) - 1."""
    sets = [[i for i in range(7) if mask >> i & 1] for mask in range(128)]
    for count in range(8):
        ranks = sorted(indices_module._rank(one) for one in sets if len(one) == count)
        assert ranks == list(range(math.comb(7, count)))
        for one in sets:
            if len(one) == count:
                assert indices_module._unrank(indices_module._rank(one), 7, count).tolist() == one


@pytest.mark.parametrize("code", INDEX_CODES)
def test_damaged_index_sections(code: Any) -> None:
    """Ascending indices below d or DecodeError, whatever the bytes."""
    rng = np.random.default_rng(73)
    refused = 0
    for _ in range(500):
        dim = int(rng.choice([1, 5, 64, 300]))
        count = int(rng.integers(0, dim + 1))
        try:
            indices = indices_module.read_indices(BitReader(rng.bytes(int(rng.integers(0, 60)))), count, dim, code)
        except DecodeError:
            refused += 1
            continue
        assert indices.shape == (count,)
        assert (np.diff(indices) > 0).all()
        assert count == 0 or (indices[0] >= 0 and indices[-1] < dim)
    assert refused > 50


def test_what_the_damage_is() -> None:
    for code, data, count, dim, text in (
        ("auto", b"\x07", 1, 9, "an index code is one of fixed"),
        ("auto", b"\x06" + bytes(300), 1, 2000, "an index code is one of fixed"),
        ("bitmap", b"\x01", 2, 8, "must hold 2 entries. Got 1"),
        ("block_paper", b"\x00", 2, 4, "must hold 2 entries. Got 0"),
        ("block_paper", b"\x0d", 1, 3, "a place in a block lies below 3. Got 3."),
        ("enumerative", b"\x07", 1, 5, "has a number below their count"),
        ("gap", b"\x09", 2, 3, "indices lie below 3. Got 3."),
    ):
        with pytest.raises(DecodeError, match=re.escape(text)):
            indices_module.read_indices(BitReader(data), count, dim, code)  # type: ignore[arg-type]
    with pytest.raises(EncodeError, match=r"at most 1024 is needed\. Got 1025"):
        indices_module.write_indices(BitWriter(), np.array([3]), 1025, "enumerative")


@given(st.lists(st.integers(1, MOST), max_size=60))
def test_lengths_add_up(values: list[int]) -> None:
    assert prefix.omega_sum_bit(values) == int(omega_bit(values).sum())


@given(st.integers(1, 3000), st.floats(0, 1), st.integers(0, 99))
def test_no_set_is_shorter_than_the_bound(dim: int, share: float, seed: int) -> None:
    """So that a server that finds the bound too long need not look for the shortest code."""
    indices = np.flatnonzero(np.random.default_rng(seed).random(dim) < share)
    assert indices_module.least_index_bit(indices.size, dim) <= indices_module.index_bit(indices, dim, "auto")
