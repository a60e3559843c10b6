"""Random streams and counter-based draws."""

from __future__ import annotations

import itertools
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.rng import philox, stream, uniforms

WORD = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # known answers of Random123 1.14, examples/kat_vectors, philox4x32 10
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_known_answers(counter: str, key: str, words: str) -> None:
    c, k = [int(w, 16) for w in counter.split()], [int(w, 16) for w in key.split()]
    got = philox(k[0] | k[1] << 32, c[2] | c[3] << 32, np.array([c[0] | c[1] << 32], np.uint64))
    assert [f"{word:08x}" for word in got[0]] == words.split()


def _plain_philox(key: int, counter: int) -> list[int]:
    """Philox4x32-10 on Python's integers, as in Salmon et al., section 3.3 (the S-box of figure 2)."""
    c = [counter >> 32 * i & 0xFFFFFFFF for i in range(4)]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & 0xFFFFFFFF, a >> 32 ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


@given(WORD, WORD, st.lists(WORD, min_size=1, max_size=4))
def test_philox_equals_its_plain_twin_for_every_counter(key: int, high: int, low: list[int]) -> None:
    got = philox(key, high, np.array(low, np.uint64))
    assert got.tolist() == [_plain_philox(key, high << 64 | one) for one in low]


def test_uniforms_are_the_first_word_and_below_one() -> None:
    counters = np.arange(1000, dtype=np.uint64)
    u = uniforms(3, 4, counters)
    assert (u * 2**32 == philox(3, 4, counters)[:, 0]).all()
    assert u.min() >= 0.0
    assert u.max() < 1.0


def test_uniforms_fill_the_interval_evenly() -> None:
    """Chi-square of 1e5 draws in 64 bins; 63 degrees of freedom exceed 126.1 with probability 4e-6."""
    counts = np.bincount((uniforms(11, 0, np.arange(100_000, dtype=np.uint64)) * 64).astype(int), minlength=64)
    expected = 100_000 / 64
    assert ((counts - expected) ** 2 / expected).sum() < 126.1


def test_a_stream_is_the_seed_sequence_of_its_four_names() -> None:
    sequence = np.random.SeedSequence(7, spawn_key=(2, 4, zlib.crc32(b"data")))
    twin = np.random.Generator(np.random.PCG64(sequence))
    assert (stream(7, 2, 3, "data").integers(2**63, size=9) == twin.integers(2**63, size=9)).all()


def test_streams_differ_in_every_argument() -> None:
    names = list(itertools.product((0, 1, 2**40), (0, 1), (-1, 0, 1, 5), ("data", "compressor", "compute", "channel")))
    first = [tuple(stream(*name).integers(2**63, size=2).tolist()) for name in names]
    assert len(set(first)) == len(names)


def test_neighbouring_streams_are_uncorrelated() -> None:
    """200 pairs of streams of 4000 uniforms: each correlation is normal with deviation 1/sqrt(4000); the largest
    of 200 exceeds 5.2 deviations with probability below 5e-5."""
    a = np.stack([stream(1, r, 0, "data").random(4000) for r in range(200)])
    b = np.stack([stream(1, r, 1, "data").random(4000) for r in range(200)])
    r = ((a - a.mean(1, keepdims=True)) * (b - b.mean(1, keepdims=True))).mean(1) / (a.std(1) * b.std(1))
    assert np.abs(r).max() < 5.2 / np.sqrt(4000)


@pytest.mark.parametrize("bad", [(-1, 0, 0), (0, -1, 0), (0, 0, -2)])
def test_negative_names_are_refused(bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError):
        stream(*bad, "data")
