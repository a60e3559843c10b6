"""What theory says of the first compressors, exactly or with a stated error probability.

Notation: a_i = x_i^2; A(T) and S(T) sum the T largest a_i and |x_i|; alpha(T) = A(T) / ||x||^2,
beta(T) = S(T)^2 / (T ||x||^2), omega(T) = ||x||^2 / E||Q||^2. All codes here send 64-bit floats unless said.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from algorithms.coding.draws import uniforms
from algorithms.compressors.stochastic_sparsification import omega, optimal_level, probabilities
from netsim.interfaces import Key
from netsim.registry import build

RNG = np.random.default_rng(50)
SHAPES: dict[str, Any] = {
    "normal": lambda d: RNG.standard_normal(d),
    "heavy": lambda d: RNG.standard_t(2, d),
    "equal": lambda d: np.full(d, 0.7),
    "one": lambda d: np.eye(1, d, d // 2)[0] * -3.0,
    "step": lambda d: np.where(np.arange(d) == 0, 1.0, 0.3),
    "geometric": lambda d: 0.8 ** np.arange(d) * RNG.choice([-1.0, 1.0], d),
    "half zero": lambda d: RNG.standard_normal(d) * (np.arange(d) % 2),
    "ties": lambda d: RNG.integers(-3, 4, d) + (np.arange(d) == 0) * 1.0,
}
CASES = [(f"{name} {d}", make(d)) for name, make in SHAPES.items() for d in (1, 2, 17, 100) for _ in range(3)]
CASES = [(name, x) for name, x in CASES if x.any()]


def q(name: str, x: Any, seed: int = 1, **keys: Any) -> Any:
    codec = build("compressor", {"name": name, "float_bit": 64, **keys})
    return codec.decode(codec.encode(x, np.random.default_rng(seed)).data, x.size)


def largest(x: Any) -> Any:
    return np.sort(np.abs(x))[::-1]


@pytest.mark.parametrize(("name", "x"), CASES, ids=[name for name, _ in CASES])
def test_top_k_identities(name: str, x: Any) -> None:
    """||Q - x||^2 = (1 - alpha) ||x||^2, <x, Q> = ||Q||^2 = alpha ||x||^2, alpha >= T/d."""
    norm2 = float(x @ x)
    for t in range(1, np.count_nonzero(x) + 1):
        y = q("top_k", x, k=t)
        alpha = float(np.sum(largest(x)[:t] ** 2)) / norm2
        assert np.count_nonzero(y) == t
        assert (y[y != 0] == x[y != 0]).all()
        assert math.isclose(float((y - x) @ (y - x)), (1 - alpha) * norm2, rel_tol=1e-12, abs_tol=1e-14 * norm2)
        assert math.isclose(float(x @ y), float(y @ y), rel_tol=1e-12)
        assert math.isclose(float(x @ y), alpha * norm2, rel_tol=1e-12)
        assert alpha >= t / x.size * (1 - 1e-12)


@pytest.mark.parametrize(("name", "x"), CASES, ids=[name for name, _ in CASES])
def test_sign_top_k_identities(name: str, x: Any) -> None:
    """||Q - x||^2 = (1 - beta) ||x||^2, <x, Q> = ||Q||^2 = beta ||x||^2; 1/d <= beta <= alpha, beta(1) = alpha(1).

    Of all multiples of the same signs on the same support Q is the nearest: others are tried.
    """
    norm2 = float(x @ x)
    for t in range(1, np.count_nonzero(x) + 1):
        y = q("sign_top_k", x, k=t)
        alpha = float(np.sum(largest(x)[:t] ** 2)) / norm2
        beta = float(np.sum(largest(x)[:t])) ** 2 / (t * norm2)
        error = float((y - x) @ (y - x))
        assert np.count_nonzero(y) == t
        assert (np.sign(y[y != 0]) == np.sign(x[y != 0])).all()
        assert math.isclose(error, (1 - beta) * norm2, rel_tol=1e-12, abs_tol=1e-14 * norm2)
        assert math.isclose(float(x @ y), float(y @ y), rel_tol=1e-12)
        assert math.isclose(float(x @ y), beta * norm2, rel_tol=1e-12)
        assert 1 / x.size * (1 - 1e-12) <= beta <= alpha * (1 + 1e-12)
        if t == 1:
            assert math.isclose(beta, alpha, rel_tol=1e-12)
        for factor in (0.0, 0.5, 0.99, 1.01, 2.0):
            other = factor * y - x
            assert float(other @ other) >= error * (1 - 1e-12)


def test_beta_falls_and_rises() -> None:
    """x = (1, .3 x 399): beta(1) = 1/36.91, beta(3) = 1.6^2/(3 * 36.91), beta(400) = 120.7^2/(400 * 36.91)."""
    x = np.where(np.arange(400) == 0, 1.0, 0.3)
    norm2 = 1 + 399 * 0.09
    for t, beta in ((1, 1 / norm2), (3, 1.6**2 / (3 * norm2)), (400, 120.7**2 / (400 * norm2))):
        y = q("sign_top_k", x, k=t)
        assert math.isclose(float(x @ y) / norm2, beta, rel_tol=1e-12)


@pytest.mark.parametrize(("name", "x"), CASES, ids=[name for name, _ in CASES])
def test_alistarh_takes_the_smallest_t(name: str, x: Any) -> None:
    """T_A is the first T with S(T) >= ||x||, at most ceil(sqrt d); its signs are those of sign_top_k at T_A."""
    y = q("alistarh", x)
    t = int(np.count_nonzero(y))
    norm = float(np.linalg.norm(x))
    sums = np.add.accumulate(largest(x))
    assert t <= math.ceil(math.sqrt(x.size))
    # Rounding decides where a sum equals the norm, as for one nonzero entry or d equal ones, d a square.
    assert sums[t - 1] >= norm * (1 - 1e-14)
    assert t == 1 or sums[t - 2] < norm * (1 + 1e-14)
    np.testing.assert_array_equal(y, q("sign_top_k", x, k=t))


def test_alistarh_by_hand() -> None:
    """(3, 2, 1): 3 < sqrt 14 <= 5, so two are kept, at 2.5. d equal entries, d = 16: S(4) = 4 c = ||x||, so four."""
    np.testing.assert_array_equal(q("alistarh", np.array([1.0, -3.0, 2.0])), [0, -2.5, 2.5])
    np.testing.assert_array_equal(q("alistarh", np.full(16, 0.7)), [0.7] * 4 + [0] * 12)
    np.testing.assert_array_equal(q("alistarh", np.array([1e200, 1e200, 1e-200])), [1e200, 1e200, 0])


def test_raw_alistarh_facts_on_many_vectors() -> None:
    """Raw Q_i = ||x|| sign(x_i) on the kept set: <x, Q> = ||x|| S(T_A) >= ||x||^2 and ||Q||^2 = T_A ||x||^2."""
    rng = np.random.default_rng(51)
    for i in range(1000):
        d = int(rng.integers(1, 90))
        x: Any = (rng.standard_normal, lambda n: rng.standard_t(1, n), lambda n: rng.exponential(size=n) ** 3)[i % 3](d)
        y = q("alistarh", x)
        norm2 = float(x @ x)
        raw = math.sqrt(norm2) * np.sign(y)
        assert np.count_nonzero(y) <= math.ceil(math.sqrt(d))
        assert float(x @ raw) >= norm2 * (1 - 1e-12)
        assert math.isclose(float(raw @ raw), np.count_nonzero(y) * norm2, rel_tol=1e-12)


def level_by_sort(x: Any, budget: float) -> float:
    """1/lambda from the definition: the smallest s >= 0 with (T - s) |x_(s+1)| <= R_s."""
    a = largest(x)[: np.count_nonzero(x)]
    for s in range(a.size):
        rest = math.fsum(a[s:])
        if (budget - s) * a[s] <= rest:
            return rest / (budget - s)
    raise AssertionError("a budget below the number of nonzeros has such an s")


def budgets(x: Any) -> list[float]:
    n = int(np.count_nonzero(x))
    return [t for t in (1e-3, 0.4, 1.0, 1.5, n / 3, n / 2 + 0.25, n - 1.0, n - 0.01, float(n), n + 2.0) if t > 0]


@pytest.mark.parametrize(("name", "x"), CASES, ids=[name for name, _ in CASES])
def test_optimal_probabilities(name: str, x: Any) -> None:
    """sum p = T; |x_i|/p_i is one number where p_i < 1 and not above |x_i| where p_i = 1; equal to the sorted scan."""
    n = int(np.count_nonzero(x))
    for t in budgets(x):
        level = optimal_level(x, t)
        p = probabilities(x, level)
        assert ((p > 0) == (x != 0)).all()
        assert math.isclose(math.fsum(p), min(t, n), rel_tol=1e-12)
        free = (p < 1) & (x != 0)
        np.testing.assert_allclose(np.abs(x[free]) / p[free], level, rtol=1e-14)
        assert (np.abs(x[p == 1]) >= level * (1 - 1e-14)).all()
        if t < n:
            assert math.isclose(level, level_by_sort(x, t), rel_tol=1e-12)


@pytest.mark.parametrize(("name", "x"), CASES[::2], ids=[name for name, _ in CASES[::2]])
def test_no_other_probabilities_are_better(name: str, x: Any) -> None:
    """Random feasible p with the same sum never has a smaller second moment sum x_i^2 / p_i."""
    rng = np.random.default_rng(52)
    x = x[x != 0]
    for t in (0.5, x.size / 3, x.size / 2 + 0.25):
        if t >= x.size:
            continue
        best = probabilities(x, optimal_level(x, t))
        moment = float(np.sum(x**2 / best))
        for near in (0.0, 0.5, 0.9, 0.99):
            for _ in range(10):
                other = near * best + (1 - near) * feasible(rng, x.size, t)
                assert math.isclose(float(other.sum()), t, rel_tol=1e-9)
                assert float(np.sum(x**2 / other)) >= moment * (1 - 1e-9)


def feasible(rng: np.random.Generator, n: int, t: float) -> Any:
    """Random p in (0, 1]^n with sum t: a random point scaled down, or its complement to 1 scaled down."""
    u = rng.uniform(0.05, 1.0, n)
    if u.sum() >= t:
        return u * (t / u.sum())
    return 1 - (1 - u) * ((n - t) / (1 - u).sum())


@pytest.mark.parametrize(("name", "x"), CASES, ids=[name for name, _ in CASES])
def test_omega_facts(name: str, x: Any) -> None:
    """||x||^2 / sum x^2/p: 0 at 0, 1 at nnz, increasing, concave, >= T/d, linear up to ||x||_1 / max|x|."""
    n = int(np.count_nonzero(x))
    t = np.linspace(0, n, 121)
    w = omega(x, t)
    assert w[0] == 0
    assert math.isclose(w[-1], 1, rel_tol=1e-12)
    assert omega(x, n + 5.0) == 1
    assert (np.diff(w) >= -1e-13).all()
    assert (np.diff(w, 2) <= 1e-12).all()
    assert (w >= t / x.size - 1e-13).all()
    norm2, norm1 = float(x @ x), float(np.abs(x).sum())
    linear = t <= norm1 / np.abs(x).max()
    np.testing.assert_allclose(w[linear], t[linear] * norm2 / norm1**2, rtol=1e-12)
    for i in (1, 40, 90, 119):
        p = probabilities(x, optimal_level(x, float(t[i])))
        moment = float(np.sum(x[x != 0] ** 2 / p[x != 0]))
        assert math.isclose(w[i], norm2 / moment, rel_tol=1e-11)


def test_omega_of_zero_is_one() -> None:
    assert omega(np.zeros(3), [1.0, 2.0]).tolist() == [1.0, 1.0]


def test_draws_follow_the_key_and_the_coordinate() -> None:
    """Entry i is hit where its own draw is below p_i, and decodes to x_i / p_i: recomputed from the seed.

    The two words of the stream are the key and the upper half of the counter.
    """
    x = np.random.default_rng(53).standard_t(2, 300) * (np.arange(300) % 3 > 0)
    for seed in range(20):
        high, low = np.random.default_rng(seed).integers(0, 2**64, 2, dtype=np.uint64)
        p = probabilities(x, optimal_level(x, 30.5))
        hit = uniforms(Key(int(high), int(low)), np.arange(300)) < p
        expected = np.zeros(300)
        expected[hit] = x[hit] / p[hit]
        for wire in ("plain", "hybrid"):
            y = q("stochastic_sparsification", x, seed=seed, budget=30.5, wire=wire)
            np.testing.assert_allclose(y, expected, rtol=1e-14)
            assert ((y != 0) == hit).all()


def test_drawn_moments() -> None:
    """4000 draws: each mean within 5 of its own standard errors, E||Q||^2 = ||x||^2 / omega and E N = T within 5.

    Var Q_i = x_i^2 (1/p_i - 1) exactly; budgets keep p_i * draws above 100. False alarm: 40 z-scores, below 3e-5.
    """
    x = np.random.default_rng(54).uniform(0.3, 2.0, 18) * np.tile([1.0, -1.0], 9)
    x[3] = 9.0
    draws = 4000
    for wire in ("plain", "hybrid"):
        y = np.stack([q("stochastic_sparsification", x, seed=s, budget=5.5, wire=wire) for s in range(draws)])
        p = probabilities(x, optimal_level(x, 5.5))
        error = np.sqrt(x**2 * (1 / p - 1) / draws)
        assert (np.abs(y.mean(axis=0) - x) <= 5 * error + 1e-12).all()
        moment = np.square(y).sum(axis=1)
        expected = float(x @ x) / float(omega(x, 5.5))
        assert abs(moment.mean() - expected) <= 5 * moment.std(ddof=1) / math.sqrt(draws)
        hits = np.count_nonzero(y, axis=1)
        assert abs(hits.mean() - 5.5) <= 5 * math.sqrt(float(np.sum(p * (1 - p))) / draws)


def test_scaled_to_a_contraction() -> None:
    """Q in U(w) makes Q/(1+w) in B(1/(1+w)): E||Q/(1+w) - x||^2 <= w/(1+w) ||x||^2, within 5 standard errors."""
    x = np.random.default_rng(55).standard_normal(30)
    w = build("compressor", {"name": "stochastic_sparsification", "budget": 6.0}).variance_bound(30)
    assert w == 30 / 6 - 1
    y = np.stack([q("stochastic_sparsification", x, seed=s, budget=6.0) for s in range(2000)]) / (1 + w)
    share = np.square(y - x).sum(axis=1) / float(x @ x)
    assert share.mean() <= w / (1 + w) + 5 * share.std(ddof=1) / math.sqrt(share.size)
    assert share.mean() >= 0.1  # the bound is not met by sending everything


@pytest.mark.parametrize("config", [{"name": "top_k", "k": 7}, {"name": "sign_top_k", "k": 7}, {"name": "alistarh"}])
def test_scale_and_sign_equivariance(config: dict[str, Any]) -> None:
    """Q(c x) = c Q(x) for c a power of 2, where no float rounds, and Q(-x) = -Q(x)."""
    x = np.random.default_rng(56).standard_normal(60)
    y = q(x=x, **config)
    np.testing.assert_array_equal(q(x=x * 2.0**40, **config), y * 2.0**40)
    np.testing.assert_array_equal(q(x=-x, **config), -y)


def test_float32_vectors_are_coded_as_they_are() -> None:
    """A float32 vector and the same numbers in float64 give the same bytes."""
    x = np.random.default_rng(57).standard_normal(5000).astype(np.float32)
    keys: dict[str, dict[str, Any]] = {
        "top_k": {"k": 50},
        "sign_top_k": {"k": 50},
        "stochastic_sparsification": {"budget": 50.0},
    }
    for name in ("identity", "alistarh", *keys):
        codec = build("compressor", {"name": name, **keys.get(name, {})})
        first = codec.encode(x, np.random.default_rng(1))
        assert first == codec.encode(x.astype(np.float64), np.random.default_rng(1))
