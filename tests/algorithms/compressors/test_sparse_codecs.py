"""Codes that send some entries: exact moments by enumeration, exact lengths, and what each paper says.

Statistical tests state their chance of a false alarm under another seed; with these seeds they pass always.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from algorithms.coding import bfloat16, drawn
from algorithms.coding import subset as subset_module
from algorithms.coding.draws import uniforms
from algorithms.coding.indices import CODES, index_bit
from algorithms.coding.subset import derived, subset
from algorithms.compressors import rand_k, rtop_k, sign_rand_k, threshold_v
from algorithms.compressors.sparse_ternary import golomb_width, mean_gap_bit
from algorithms.compressors.stochastic_sparsification import level_of_variance, omega, optimal_level, probabilities
from netsim.errors import ConfigError, DecodeError, EncodeError
from netsim.interfaces import Key
from netsim.registry import build

RNG = np.random.default_rng(60)
KEY = Key(2**63 + 5, 7)
VECTORS = [
    RNG.standard_normal(6),
    RNG.standard_t(2, 6),
    np.array([0.0, 3.0, 0.0, -1.0, 0.5, 0.0]),
    np.full(6, -0.25),
    np.array([0.0, 0.0, 0.0, 0.0, -2.0, 0.0]),
]


def lg(n: int) -> int:
    return math.ceil(math.log2(n))


def octets(bit: float) -> int:
    return math.ceil(bit / 8)


def make(name: str, **keys: Any) -> Any:
    return build("compressor", {"name": name, "float_bit": 64, **keys})


def keyed(codec: Any, x: Any, key: Key = KEY) -> Any:
    return codec.decode(codec.encode_keyed(x, key).data, x.size, key)


def squared(x: Any) -> float:
    return float(x @ x)


# --- subsets ---


def test_subset_is_the_first_different_draws() -> None:
    """Draw j is floor(w_j d / 2**64), w_j from the Philox block of counter 2**63 + j: in whole numbers of Python."""
    from netsim.rng import philox

    for d, k in ((10, 3), (1000, 40), (2**31 + 11, 20), (7, 3)):
        chosen: list[int] = []
        for j in itertools.count():
            w0, w1, _, _ = map(int, philox(KEY.key, KEY.counter, np.array([2**63 + j], np.uint64))[0])
            number = (w1 << 32 | w0) * d >> 64
            if number not in chosen:
                chosen.append(number)
            if len(chosen) == k:
                break
        assert subset(KEY, d, k).tolist() == sorted(chosen)


@pytest.mark.parametrize(("d", "k"), [(6, 3), (6, 2), (6, 4), (5, 1), (5, 4)])
def test_every_subset_is_equally_likely(d: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All d^n sequences of n draws, each equally likely: among those that hold enough different ones, a tie."""
    length = 5
    counts: dict[tuple[int, ...], int] = {}
    for draws in itertools.product(range(d), repeat=length):
        if len(set(draws)) < min(k, d - k):
            continue
        numbers = np.array([*draws, *range(d)])  # the rest is never reached
        monkeypatch.setattr(
            subset_module, "_numbers", lambda key, dim, start, count, n=numbers: n[start : start + count]
        )
        chosen = tuple(subset(KEY, d, k).tolist())
        counts[chosen] = counts.get(chosen, 0) + 1
    assert len(counts) == math.comb(d, k)
    assert len(set(counts.values())) == 1


def test_subsets_of_keys_are_uniform() -> None:
    """4000 keys, d = 6, k = 3: chi-squared of 20 cells, 19 degrees of freedom; 60 is exceeded once in 250,000."""
    counts: dict[tuple[int, ...], int] = {}
    for i in range(4000):
        chosen = tuple(subset(Key(i, 99), 6, 3).tolist())
        counts[chosen] = counts.get(chosen, 0) + 1
    assert len(counts) == 20
    assert sum((n - 200) ** 2 / 200 for n in counts.values()) < 60


@pytest.mark.parametrize(("d", "k"), [(1, 1), (5, 0), (64, 64), (65, 32), (1000, 499), (1000, 501), (30_000, 12_000)])
def test_compiled_subsets_are_the_same(d: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for compiled_from in (0, 10**9):
        monkeypatch.setattr(subset_module, "COMPILED_FROM", compiled_from)
        found.append(subset(KEY, d, k))
    np.testing.assert_array_equal(*found)
    assert found[0].size == k
    assert found[0].dtype == np.int64
    assert (np.diff(found[0]) > 0).all()
    assert k == 0 or (found[0][0] >= 0 and found[0][-1] < d)


def test_derived_keys_differ() -> None:
    keys = [KEY, *derived(KEY, 100), *derived(Key(KEY.key, KEY.counter + 1), 100)]
    assert len(set(keys)) == 201
    assert derived(KEY, 3) == derived(KEY, 100)[:3]  # by hand, and by the library
    assert derived(Key(0, 2**64 - 1), 8) == derived(Key(0, 2**64 - 1), 9)[:8]


# --- rand_k, sign_rand_k, rtop_k: every subset of six entries ---


def over_subsets(monkeypatch: pytest.MonkeyPatch, module: Any, codec: Any, x: Any) -> list[Any]:
    """What the codec makes of x for each set that it may draw, all equally likely."""
    found, sets = [], [()]

    def chosen(key: Key, dim: int, count: int) -> Any:
        sets[:] = list(itertools.combinations(range(dim), count))
        return np.array(sets[key.key], np.int64)

    monkeypatch.setattr(module, "subset", chosen)
    i = 0
    while i < len(sets):
        key = Key(i, 0)
        found.append(codec.decode(codec.encode_keyed(x, key).data, x.size, key))
        i += 1
    return found


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 5, 6])
def test_rand_k_over_all_subsets(k: int, scaled: bool, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean is x (or k/d x), the mean squared error (d/k - 1) ||x||^2 (or 1 - k/d), and w says just that."""
    codec = make("rand_k", k=k, scaled=scaled, shared_seed=shared)
    for x in VECTORS:
        y = np.stack(over_subsets(monkeypatch, rand_k, codec, x))
        assert len(y) == math.comb(6, k)
        np.testing.assert_allclose(y.mean(axis=0), x if scaled else k / 6 * x, atol=1e-15)
        error = np.square(y - x).sum(axis=1).mean()
        w = 6 / k - 1 if scaled else 1 - k / 6
        assert math.isclose(codec.variance_bound(6), w, abs_tol=1e-15)
        assert math.isclose(error, w * squared(x), rel_tol=1e-13, abs_tol=1e-28)
    assert codec.is_unbiased == scaled


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_sign_rand_k_over_all_subsets(k: int, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """||x - Q||^2 = ||x||^2 - ||x_S||_1^2/T on each set, T its nonzeros or, seed shared, k; 1 - 1/d on average."""
    codec = make("sign_rand_k", k=k, shared_seed=shared)
    for x in VECTORS:
        y = over_subsets(monkeypatch, sign_rand_k, codec, x)
        errors = []
        for chosen, one in zip(itertools.combinations(range(6), k), y, strict=True):
            kept = x[list(chosen)]
            t = k if shared else max(np.count_nonzero(kept), 1)
            errors.append(squared(one - x))
            expected = squared(x) - float(np.abs(kept).sum()) ** 2 / t
            assert math.isclose(errors[-1], expected, rel_tol=1e-12, abs_tol=1e-14 * squared(x))
            if shared:
                assert (np.sign(one[list(chosen)]) == np.where(kept < 0, -1, np.any(kept != 0))).all()
        assert math.fsum(errors) / len(errors) <= codec.variance_bound(6) * squared(x) * (1 + 1e-12)
        assert codec.variance_bound(6) == 1 - 1 / 6


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("k", "r"), [(1, 1), (1, 3), (2, 3), (3, 6), (2, 9), (7, 9)])
def test_rtop_k_over_all_subsets(k: int, r: int, scaled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scaled, the mean is the top-r vector; both second moments are the closed forms, and w bounds them."""
    codec = make("rtop_k", k=k, r=r, scaled=scaled)
    for x in VECTORS:
        y = np.stack(over_subsets(monkeypatch, rtop_k, codec, x))
        many = min(r, np.count_nonzero(x))
        few = min(k, many)
        assert len(y) == math.comb(many, few)
        top = keyed(make("top_k", k=r), x)
        np.testing.assert_allclose(y.mean(axis=0), top if scaled else few / many * top, atol=1e-15)
        error = np.square(y - x).sum(axis=1).mean()
        factor = many / few - 2 if scaled else -few / many
        assert math.isclose(error, squared(x) + factor * squared(top), rel_tol=1e-12, abs_tol=1e-14 * squared(x))
        assert error <= codec.variance_bound(6) * squared(x) * (1 + 1e-12) + 1e-28


def test_rtop_k_meets_its_bound() -> None:
    """w = R/K - 1 for a vector of r entries, 1 + (R/K - 2) r/d for equal ones, whichever is larger."""
    codec = make("rtop_k", k=2, r=3, scaled=True)
    assert codec.variance_bound(100) == pytest.approx(1 + (1.5 - 2) * 3 / 100)
    codec = make("rtop_k", k=1, r=50, scaled=True)
    assert codec.variance_bound(100) == 49
    assert make("rtop_k", k=3, r=9).variance_bound(12) == 0.75


def test_rtop_k_is_between_top_k_and_rand_k() -> None:
    x = np.random.default_rng(61).standard_normal(50)
    np.testing.assert_array_equal(keyed(make("rtop_k", k=7, r=7), x), keyed(make("top_k", k=7), x))
    np.testing.assert_array_equal(keyed(make("rtop_k", k=7, r=99, scaled=True), x), keyed(make("rand_k", k=7), x))
    with pytest.raises(ConfigError, match=r"r: a whole number >= k = 3. Got 2"):
        make("rtop_k", k=3, r=2)


@pytest.mark.parametrize("name", ["rand_k", "sign_rand_k"])
def test_shared_seed_draws_the_same_set(name: str) -> None:
    """The reader of either form gets the same vector; only what travels differs."""
    x = np.random.default_rng(62).standard_normal(100)
    private, shared = make(name, k=9), make(name, k=9, shared_seed=True)
    np.testing.assert_array_equal(keyed(private, x), keyed(shared, x))
    assert (keyed(shared, x, Key(1, 1)) != keyed(shared, x)).any()
    with pytest.raises(DecodeError, match=f"{name}: the key that the sender drew with is needed"):
        shared.decode(shared.encode_keyed(x, KEY).data, 100)


@pytest.mark.parametrize("bit", [64, 32])
@pytest.mark.parametrize("k", [1, 10, 999, 5000])
def test_exact_lengths_of_random_sets(k: int, bit: int) -> None:
    """Private: T, the nonzeros of the set, read off the vector; shared: k floats, or k signs and a scale, always."""
    rng = np.random.default_rng(63)
    for x in (rng.standard_normal(1000), rng.standard_normal(1000) * (rng.random(1000) < 0.1), np.zeros(1000)):
        kept = min(k, 1000)
        t = int(np.count_nonzero(x[subset(KEY, 1000, kept)]))
        codec = make("rand_k", k=k, float_bit=bit)
        p = codec.encode_keyed(x, KEY)
        assert (len(p.data), p.index_bit, p.value_bit) == (octets(10 + t * (10 + bit)), 10 * t, bit * t)
        assert codec.max_size_bytes(1000) == octets(10 + kept * (10 + bit))
        codec = make("rand_k", k=k, float_bit=bit, shared_seed=True)
        p = codec.encode_keyed(x, KEY)
        assert (len(p.data), p.index_bit, p.value_bit) == (bit * kept // 8, 0, bit * kept)
        assert codec.max_size_bytes(1000) == len(p.data)
        assert codec.size(1000).paper_bit(kept) == p.paper_bit
        codec = make("sign_rand_k", k=k, float_bit=bit)
        p = codec.encode_keyed(x, KEY)
        paper = bit + t * 11 if t else 0
        assert (len(p.data), p.index_bit, p.paper_bit) == (octets(10 + paper), 10 * t, paper)
        codec = make("sign_rand_k", k=k, float_bit=bit, shared_seed=True)
        p = codec.encode_keyed(x, KEY)
        assert (len(p.data), p.paper_bit) == (octets(bit + kept), bit + kept)
        assert codec.max_size_bytes(1000) == len(p.data)
        assert codec.size(1000).paper_bit(kept) == p.paper_bit


def test_drawn_codes_check_what_they_do_not_send() -> None:
    x = np.ones(1000)
    x[999] = math.nan
    for codec in (make("rand_k", k=1), make("sign_rand_k", k=1), make("bernoulli", p=1e-9), make("rtop_k", k=1, r=5)):
        for key in (Key(0, 0), Key(1, 0)):
            with pytest.raises(EncodeError, match=f"{codec.name}: entry 999 must be finite"):
                codec.encode_keyed(x, key)


def test_scaled_values_beyond_the_wire_are_refused() -> None:
    for name, keys in (("rand_k", {"k": 1}), ("bernoulli", {"p": 0.1}), ("rtop_k", {"k": 1, "r": 3, "scaled": True})):
        codec = make(name, float_bit=32, **keys)
        key = Key(4, 0)
        assert codec.encode_keyed(np.ones(10), key).paper_bit > 0
        with pytest.raises(EncodeError, match=rf"{name}: entry \d+ must lie within .* float32"):
            codec.encode_keyed(np.full(10, 3e38), key)


# --- bernoulli ---


@pytest.mark.parametrize("p", [0.3, 0.75, 1.0])
def test_bernoulli_over_all_outcomes(p: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """All 2^6 outcomes with their probabilities: mean x, mean squared error (1/p - 1) ||x||^2, exactly."""
    from algorithms.compressors import bernoulli

    codec = make("bernoulli", p=p)
    for x in VECTORS:
        mean, error = np.zeros(6), 0.0
        for outcome in itertools.product([False, True], repeat=6):
            draws = np.where(outcome, 0.0, 1.0)
            monkeypatch.setattr(bernoulli, "uniforms", lambda key, places, draws=draws: draws[places])
            share = math.prod(p if hit else 1 - p for hit in outcome)
            y = keyed(codec, x)
            mean += share * y
            error += share * squared(y - x)
        np.testing.assert_allclose(mean, x, atol=1e-14)
        assert math.isclose(error, (1 / p - 1) * squared(x), rel_tol=1e-12, abs_tol=1e-28)
    assert math.isclose(codec.variance_bound(6), 1 / p - 1)


def test_bernoulli_draws_by_coordinate() -> None:
    """Entry i is there where its own draw is below p, whatever the others are."""
    x = np.random.default_rng(64).standard_normal(70_000) * (np.arange(70_000) % 3 > 0)
    hit = uniforms(KEY, np.arange(x.size)) < 0.2
    expected = np.where(hit, x / 0.2, 0.0)
    np.testing.assert_array_equal(keyed(make("bernoulli", p=0.2), x), expected)
    p = make("bernoulli", p=0.2).encode_keyed(x, KEY)
    t = int(np.count_nonzero(expected))
    assert (len(p.data), p.paper_bit) == (octets(17 + t * (17 + 64)), t * (17 + 64))
    assert abs(t - 0.2 * np.count_nonzero(x)) <= 5 * math.sqrt(0.16 * np.count_nonzero(x))  # 6e-7


def test_lazy_sends_all_or_a_bit() -> None:
    """A share p of 2000 keys sends 1 + 32 d bits, the others one: within 5 standard deviations, 6e-7."""
    codec = make("bernoulli", p=0.3, lazy=True, float_bit=32)
    x = np.array([1.5, 0.0, -3.0])
    sizes = []
    for i in range(2000):
        p = codec.encode_keyed(x, Key(i, 3))
        y = codec.decode(p.data, 3)
        sent = bool(y.any())
        assert (len(p.data), p.paper_bit) == ((octets(1 + 96), 96) if sent else (1, 0))
        np.testing.assert_array_equal(y, (x / 0.3).astype(np.float32) if sent else np.zeros(3))
        sizes.append(p.paper_bit)
    assert abs(np.mean(sizes) / 96 - 0.3) <= 5 * math.sqrt(0.21 / 2000)
    assert codec.encode_keyed(np.zeros(3), Key(0, 3)).data == b"\0"
    assert codec.variance_bound(3) == 1 / 0.3 - 1
    assert codec.max_size_bytes(3) == 13
    assert codec.size(3).paper_bit(3) == 96


# --- threshold_v ---


@pytest.mark.parametrize("compiled_from", [0, 10**9])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_threshold_keeps_what_reaches_it(dtype: Any, compiled_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threshold_v, "COMPILED_FROM", compiled_from)
    x = np.random.default_rng(65).standard_t(2, 5000).astype(dtype)
    x[::7] = 0
    x[3], x[4], x[5] = dtype(0.1), np.nextafter(dtype(0.1), dtype(0)), -dtype(0.1)
    for v in (0.1, 1.0, 30.0, 1e-100, 1e100, float(np.abs(x[10]))):
        y = keyed(make("threshold_v", v=v), x)
        np.testing.assert_array_equal(y, np.where(np.abs(x.astype(np.float64)) >= v, x.astype(np.float64), 0.0))
        assert np.abs(y - x).max() < v
    x[4000] = math.nan
    for v in (1.0, 1e100):
        with pytest.raises(EncodeError, match="threshold_v: entry 4000 must be finite"):
            make("threshold_v", v=v).encode(x, RNG)


def test_threshold_of_a_magnitude_is_top_k() -> None:
    """v = |x_(k)| without ties keeps the k largest: the same bytes."""
    x = np.random.default_rng(66).standard_normal(300)
    for k in (1, 17, 300):
        v = float(np.sort(np.abs(x))[-k])
        assert make("threshold_v", v=v).encode_keyed(x, KEY) == make("top_k", k=k).encode_keyed(x, KEY)
    assert make("threshold_v", v=1.0).variance_bound(5) is None
    assert make("threshold_v", v=1.0).contraction(5) is None


# --- stochastic sparsification, variance form ---


@pytest.mark.parametrize("eps", [1e-3, 0.1, 1.0, 4.0, 30.0])
def test_variance_form_meets_its_variance(eps: float) -> None:
    """sum x^2/p = (1 + eps) ||x||^2 to 1e-12, the smallest s of Wangni's algorithm 2, and the budget form's level."""
    rng = np.random.default_rng(67)
    for d in (1, 2, 17, 400):
        for x in (rng.standard_normal(d), rng.standard_t(2, d), np.full(d, 0.7), 1e200 * rng.exponential(size=d) ** 3):
            level = level_of_variance(x, eps)
            p = probabilities(x, level)
            moment = math.fsum(np.square(x / np.abs(x).max()) / p)
            norm2 = math.fsum(np.square(x / np.abs(x).max()))
            assert math.isclose(moment, (1 + eps) * norm2, rel_tol=1e-12)
            a = np.sort(np.abs(x / np.abs(x).max()))[::-1]
            for s in range(d):
                left = eps * norm2 + math.fsum(a[s:] ** 2)
                if a[s] * math.fsum(a[s:]) <= left:
                    break
            assert math.isclose(level, left / math.fsum(a[s:]) * np.abs(x).max(), rel_tol=1e-12)
            budget = math.fsum(p)
            if budget < d * (1 - 1e-9):
                assert math.isclose(level, optimal_level(x, budget), rel_tol=1e-9)
                assert math.isclose(float(omega(x, budget)), 1 / (1 + eps), rel_tol=1e-9)
    assert make("stochastic_sparsification", variance=eps).variance_bound(10) == eps


def test_variance_lost_in_rounding_sends_everything() -> None:
    x = np.random.default_rng(68).standard_normal(50)
    np.testing.assert_allclose(keyed(make("stochastic_sparsification", variance=1e-100), x), x, rtol=1e-15)


def test_variance_form_sampled() -> None:
    """600 draws: mean squared error within 5 standard errors of eps ||x||^2 (6e-7)."""
    x = np.random.default_rng(69).uniform(0.3, 2.0, 18) * np.tile([1.0, -1.0], 9)
    for wire in ("plain", "hybrid"):
        codec = make("stochastic_sparsification", variance=1.5, wire=wire)
        share = [squared(keyed(codec, x, Key(i, 1)) - x) / squared(x) for i in range(600)]
        assert abs(np.mean(share) - 1.5) <= 5 * np.std(share) / math.sqrt(600)


def test_one_of_budget_and_variance() -> None:
    for keys in ({}, {"budget": 1.0, "variance": 1.0}):
        with pytest.raises(ConfigError, match="either budget or variance is needed"):
            make("stochastic_sparsification", **keys)


# --- sparse ternary ---


def test_golomb_width_is_the_papers() -> None:
    """b* = 1 + floor(log2(log(phi - 1)/log(1 - p))), phi the golden ratio, where the quotient is 1 or more."""
    phi = (1 + math.sqrt(5)) / 2
    for d in (10, 1000, 47_236, 10**7):
        for count in {1, 2, d // 1000, d // 100, d // 10, d // 3, d // 2, d} - {0}:
            ratio = math.log(phi - 1) / math.log(1 - count / d) if count < d else 0.0
            expected = 1 + math.floor(math.log2(ratio)) if ratio >= 1 else 0
            assert golomb_width(count, d) == expected
    # p = 0.01: b* = 6 and 6 + 1/(1 - 0.99^64) = 8.108 bits a position, the entropy being 8.079.
    assert golomb_width(10, 1000) == 6
    assert mean_gap_bit(10, 1000) == pytest.approx(8.108, abs=0.0005)


@pytest.mark.parametrize("bit", [64, 32])
@pytest.mark.parametrize("k", [1, 10, 300, 700, 5000])
def test_sparse_ternary_is_sign_top_k_in_fewer_bits(k: int, bit: int) -> None:
    """The vector of sign_top_k; length from d, T, the gaps and b* alone."""
    rng = np.random.default_rng(70)
    for x in (rng.standard_normal(1000), rng.standard_normal(1000) * (rng.random(1000) < 0.05), np.zeros(1000)):
        codec = make("sparse_ternary", k=k, float_bit=bit)
        p = codec.encode_keyed(x, KEY)
        y = codec.decode(p.data, 1000)
        np.testing.assert_array_equal(y, keyed(make("sign_top_k", k=k, float_bit=bit), x))
        places = np.flatnonzero(y)
        t = places.size
        if t == 0:
            assert (len(p.data), p.paper_bit) == (2, 0)
            continue
        b = golomb_width(t, 1000)
        gaps = np.diff(places, prepend=-1) - 1
        length = sum(int(g) // 2**b + 1 + b for g in gaps)
        assert len(p.data) == octets(10 + bit + length + t) <= codec.max_size_bytes(1000)
        q = 1 - t / 1000
        assert p.index_bit == pytest.approx(t * (b + 1 / (1 - q ** (2**b))))
        assert p.value_bit == bit + t
    assert codec.size(1000).paper_bit(min(k, 1000)) == pytest.approx(
        bit + min(k, 1000) * (1 + mean_gap_bit(min(k, 1000), 1000))
    )


def test_mean_position_of_a_random_set() -> None:
    """The paper's mean against 200 random vectors, d = 10,000, T = 100: within 1 % (a standard error is 0.05 %)."""
    codec = make("sparse_ternary", k=100, float_bit=32)
    rng = np.random.default_rng(71)
    lengths = [8 * len(codec.encode(rng.standard_normal(10_000), rng).data) for _ in range(200)]
    assert (np.mean(lengths) - 14 - 32 - 100 - 3.5) / 100 == pytest.approx(mean_gap_bit(100, 10_000), rel=0.01)


def test_longest_sparse_ternary_payload() -> None:
    """Every T of small vectors: no set of positions is longer than the bound, and one is as long."""
    for d in (1, 2, 7, 12):
        for k in range(1, d + 1):
            longest = 0
            for t in range(1, k + 1):
                b = golomb_width(t, d)
                for places in itertools.combinations(range(d), t):
                    gaps = np.diff(places, prepend=-1) - 1
                    longest = max(longest, int(((gaps >> b) + 1 + b).sum()) + t)
            assert make("sparse_ternary", k=k).max_size_bytes(d) == octets(lg(d + 1) + 64 + longest)


# --- index codes and bfloat16 ---


@pytest.mark.parametrize("index", [*CODES, "auto"])
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("top_k", {"k": 40}),
        ("sign_top_k", {"k": 40}),
        ("alistarh", {}),
        ("threshold_v", {"v": 1.0}),
        ("rand_k", {"k": 40}),
        ("sign_rand_k", {"k": 40}),
        ("rtop_k", {"k": 40, "r": 90}),
        ("bernoulli", {"p": 0.2}),
        ("stochastic_sparsification", {"budget": 30.0}),
        ("stochastic_sparsification", {"budget": 30.0, "wire": "hybrid"}),
    ],
)
def test_index_codes_change_the_index_section_only(name: str, keys: dict[str, Any], index: str) -> None:
    """The same vector; the length differs by what the index code takes more or less, and the bits say so."""
    x = np.random.default_rng(72).standard_t(3, 800)
    plain, coded = make(name, **keys), make(name, index=index, **keys)
    p, q = plain.encode_keyed(x, KEY), coded.encode_keyed(x, KEY)
    y = coded.decode(q.data, 800)
    np.testing.assert_array_equal(y, plain.decode(p.data, 800))
    assert q.value_bit == p.value_bit
    if "wire" not in keys:
        assert q.index_bit == index_bit(np.flatnonzero(y), 800, index)  # type: ignore[arg-type]
    count_bit = 20 if "wire" in keys else 10
    assert len(q.data) == octets(count_bit + q.paper_bit) <= coded.max_size_bytes(800)
    if index == "auto" and "wire" not in keys:
        assert q.index_bit <= p.index_bit + 3


BFLOAT16 = [  # number, bits: exact, ties to even either way, just beside a tie, denormals, zero, the largest
    (1.0, 0x3F80),
    (-2.0, 0xC000),
    (1 + 2**-7, 0x3F81),
    (1 + 2**-8, 0x3F80),
    (1 + 3 * 2**-8, 0x3F82),
    (1 + 2**-8 + 2**-52, 0x3F81),
    (1 + 3 * 2**-8 - 2**-51, 0x3F81),
    (-(1 + 2**-8 + 2**-40), 0xBF81),
    (1 + 2**-8 + 2**-31, 0x3F81),
    (1 + 2**-8 - 2**-31, 0x3F80),
    (0.1, 0x3DCD),
    (math.pi, 0x4049),
    (0.0, 0x0000),
    (-0.0, 0x8000),
    (2.0**-126, 0x0080),
    (2.0**-133, 0x0001),
    (2.0**-134, 0x0000),
    (2.0**-134 * (1 + 2**-52), 0x0001),
    (3 * 2.0**-134, 0x0002),
    (1e-300, 0x0000),
    ((2 - 2**-7) * 2.0**127, 0x7F7F),
    ((2 - 2**-8) * 2.0**127 * (1 - 2**-53), 0x7F7F),
]


@pytest.mark.parametrize(("number", "bits"), BFLOAT16)
def test_bfloat16_table(number: float, bits: int) -> None:
    codec = make("identity", float_bit=16, format="bfloat16")
    data = codec.encode(np.array([number]), np.random.default_rng(1)).data
    assert int.from_bytes(data, "little") == bits
    single = np.uint32(bits << 16).view(np.float32)
    assert codec.decode(data, 1)[0] == single
    assert codec.encode(np.array([single]), np.random.default_rng(1)).data == data


def test_bfloat16_rounds_to_the_nearest() -> None:
    """All float32 next to each of many bfloat16 numbers, and float64 between: the nearest wins, ties to even."""
    words = np.random.default_rng(73).integers(0, 0x7F7F, 2000).astype(np.uint16)
    low, high = (bfloat16.from_bfloat16(w).astype(np.float64) for w in (words, words + np.uint16(1)))
    even = np.where(words % 2 == 0, words, words + 1)
    middle = (low + high) / 2  # exact: 9 bits
    for sign, bit in ((1.0, 0), (-1.0, 0x8000)):
        np.testing.assert_array_equal(bfloat16.to_bfloat16(sign * middle), even | bit)
        np.testing.assert_array_equal(bfloat16.to_bfloat16(sign * np.nextafter(middle, 0)), words | bit)
        np.testing.assert_array_equal(bfloat16.to_bfloat16(sign * np.nextafter(middle, np.inf)), (words + 1) | bit)
        single = middle.astype(np.float32)
        np.testing.assert_array_equal(bfloat16.to_bfloat16(sign * single), even | bit)
        up = np.nextafter(single, np.float32(np.inf))
        np.testing.assert_array_equal(bfloat16.to_bfloat16(np.float32(sign) * up), (words + 1) | bit)


def test_bfloat16_refuses() -> None:
    codec = make("identity", float_bit=16, format="bfloat16")
    for beyond in ((2 - 2**-8) * 2.0**127, 1e300, -3.4e38):
        with pytest.raises(EncodeError, match=r"identity: entry 1 must lie within 3.39e\+38, the reach of bfloat16"):
            codec.encode(np.array([1.0, beyond]), np.random.default_rng(1))
    for bits in (0x7F80, 0xFF80, 0x7FC1):
        with pytest.raises(DecodeError, match="every number must be finite"):
            codec.decode(bits.to_bytes(2, "little"), 1)
    with pytest.raises(ConfigError, match=r"float_bit: 16, as the format is bfloat16. Got 32"):
        make("identity", float_bit=32, format="bfloat16")
    x = np.ones(70_000)
    x[68_000] = math.nan
    with pytest.raises(EncodeError, match="entry 68000"):
        codec.encode(x, np.random.default_rng(1))


def test_a_reader_without_key_is_told() -> None:
    assert drawn.senders(KEY, "rand_k") == KEY
    with pytest.raises(DecodeError, match="rand_k: the key"):
        drawn.senders(None, "rand_k")


@pytest.mark.parametrize(
    ("make_codec", "d"),
    [
        (lambda: make("rand_k", fraction=0.6), 30_000),
        (lambda: make("sign_rand_k", fraction=0.4, shared_seed=True), 30_000),
        (lambda: make("rtop_k", k=9000, r=20_000), 30_000),
    ],
)
def test_float32_and_float64_draw_alike(make_codec: Callable[[], Any], d: int) -> None:
    x = np.random.default_rng(74).standard_normal(d).astype(np.float32)
    assert make_codec().encode_keyed(x, KEY) == make_codec().encode_keyed(x.astype(np.float64), KEY)
