"""Sparse dithering, spherical compression, LAQ's quantiser and the fractional one against what theory says of them."""

from __future__ import annotations

import importlib
import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import draw_key
from algorithms.coding.draws import uniforms
from algorithms.coding.prefix import read_golomb
from algorithms.coding.sphere import cap, points
from netsim.errors import ConfigError, DecodeError, EncodeError
from netsim.interfaces import Key
from netsim.registry import build

RNG = np.random.default_rng(80)
SHAPES: dict[str, Any] = {
    "normal": lambda d: RNG.standard_normal(d),
    "heavy": lambda d: RNG.standard_t(2, d),
    "equal": lambda d: np.full(d, -0.7),
    "one": lambda d: np.eye(1, d, d // 2)[0] * -3.0,
    "geometric": lambda d: 0.8 ** np.arange(d) * RNG.choice([-1.0, 1.0], d),
    "half zero": lambda d: RNG.standard_normal(d) * (np.arange(d) % 2),
}
CASES = [(f"{name} {d}", make(d)) for name, make in SHAPES.items() for d in (1, 2, 17, 100, 784)]
CASES = [(name, x) for name, x in CASES if x.any()]
HUGE, TINY = np.finfo(np.float64).max, 5e-324


def codec(name: str, **keys: Any) -> Any:
    return build("compressor", {"name": name, "float_bit": 64, **keys})


def q(name: str, x: Any, seed: int = 1, **keys: Any) -> Any:
    one = codec(name, **keys)
    return one.decode(one.encode(x, np.random.default_rng(seed)).data, x.size)


def ball(rng: np.random.Generator, draws: int, d: int) -> Any:
    """Points uniform in the unit ball."""
    x = rng.standard_normal((draws, d))
    return x * (rng.random(draws) ** (1 / d) / np.linalg.norm(x, axis=1))[:, None]


# --- sparse dithering ---------------------------------------------------------------------------


def grid(x: Any, nu: float) -> tuple[Any, float]:
    """y_i and the step 2 h ||x||, by the definition."""
    step = 2 * math.sqrt(nu / x.size) * math.sqrt(math.fsum(x**2))
    return np.abs(x) / step, step


def test_sparse_dithering_by_hand() -> None:
    """x = (2, -9, 0.5, 4), nu = 1/2: step 2 sqrt(1/8) sqrt(101.25) = 7.12, so k = (0, 1, 0, 1), c = 13/2 = 0x40D00000.

    Trits 0, 2, 0, 1 are 2 * 3 + 27 = 33; unary 1 and 1 two zeros.
    """
    x = np.array([2.0, -9.0, 0.5, 4.0])
    p = build("compressor", "sparse_dithering").encode(x, np.random.default_rng(1))
    assert p.data == (0x40D00000 | 33 << 32).to_bytes(6, "little")
    assert p.paper_bit == 32 + 8 + 2


@pytest.mark.parametrize("nu", [0.01, 0.1, 0.5, 0.99, 1.0, 4.0])
@pytest.mark.parametrize(("name", "x"), CASES, ids=[name for name, _ in CASES])
def test_nearest_levels(name: str, x: Any, nu: float) -> None:
    """k_i = floor(y_i + 1/2); c is the best multiple; ||Q - x||^2 <= min(nu, 1) ||x||^2; K and the bytes as stated."""
    one = codec("sparse_dithering", nu=nu)
    p = one.encode(x, np.random.default_rng(1))
    z = one.decode(p.data, x.size)
    y, step = grid(x, nu)
    k = np.floor(y + 0.5)
    c = math.fsum(k * np.abs(x)) / math.fsum(k * k) if k.any() else 0.0
    np.testing.assert_allclose(z, c * k * np.sign(x), rtol=1e-13)
    norm2, error = float(x @ x), float((z - x) @ (z - x))
    assert error <= min(nu, 1.0) * norm2 * (1 + 1e-12)
    plain = step * k * np.sign(x) - x
    assert error <= float(plain @ plain) + 1e-14 * norm2
    assert np.abs(plain).max() <= step / 2 * (1 + 1e-12)
    n, total = int(np.count_nonzero(k)), int(k.sum())
    assert n > 0 or nu >= 1
    assert total <= (math.sqrt(n * x.size / nu) + n) / 2 * (1 + 1e-12)
    assert n <= x.size / nu * (1 + 1e-12)
    assert p.paper_bit == 64 + 8 * math.ceil(x.size / 5) + total
    assert len(p.data) == math.ceil(p.paper_bit / 8) <= one.max_size_bytes(x.size)
    assert one.contraction(x.size) == (1 - nu if nu < 1 else None)
    assert not one.is_unbiased


@pytest.mark.parametrize("nu", [0.05, 0.5, 1.0, 4.0])
@pytest.mark.parametrize(("name", "x"), CASES, ids=[name for name, _ in CASES])
def test_drawn_levels(name: str, x: Any, nu: float) -> None:
    """k_i is one above floor(y_i) where coordinate i's own draw is below the fraction: recomputed from the seed.

    Exactly: sum step^2 f (1 - f) <= nu ||x||^2, and K <= sqrt(n d / nu) / 2 + n.
    """
    one = codec("sparse_dithering", nu=nu, randomised=True)
    y, step = grid(x, nu)
    low = np.floor(y)
    f = y - low
    clear = np.minimum(np.minimum(f, 1 - f), 1.0) > 1e-9  # elsewhere rounding decides
    assert step**2 * math.fsum(f * (1 - f)) <= nu * float(x @ x) * (1 + 1e-12)
    for seed in range(5):
        p = one.encode(x, np.random.default_rng(seed))
        key = draw_key(np.random.default_rng(seed))
        k = low + (uniforms(key, np.arange(x.size)) < f)
        z = one.decode(p.data, x.size)
        np.testing.assert_allclose(z[clear], (step * k * np.sign(x))[clear], rtol=1e-12)
        levels = np.rint(np.abs(z) / step)
        n, total = int(np.count_nonzero(levels)), int(levels.sum())
        assert total <= math.sqrt(n * x.size / nu) / 2 + n + 1e-9
        assert p.paper_bit == 64 + 8 * math.ceil(x.size / 5) + total
        assert len(p.data) == math.ceil(p.paper_bit / 8) <= one.max_size_bytes(x.size)
    assert one.is_unbiased
    assert one.variance_bound(x.size) == nu


def test_drawn_moments() -> None:
    """1200 draws: every mean within 5 of its own standard errors, the error's mean within 5 of sum step^2 f (1 - f).

    False alarm: 21 z-scores, below 2e-5.
    """
    x = np.random.default_rng(81).standard_normal(20)
    draws = 1200
    y, step = grid(x, 0.7)
    f = y - np.floor(y)
    z = np.stack([q("sparse_dithering", x, seed, nu=0.7, randomised=True) for seed in range(draws)])
    assert (np.abs(z.mean(axis=0) - x) <= 5 * step * np.sqrt(f * (1 - f) / draws) + 1e-12).all()
    error = np.square(z - x).sum(axis=1)
    assert abs(error.mean() - step**2 * float(np.sum(f * (1 - f)))) <= 5 * error.std(ddof=1) / math.sqrt(draws)


def ranked_bit(y: Any, paper_bit: float) -> float:
    """Bits of a decoded vector where the support is ranked: FPP + log2(d+1) + log2 C(d,n) + n + K."""
    d, n = y.size, int(np.count_nonzero(y))
    choices = (math.lgamma(d + 1) - math.lgamma(n + 1) - math.lgamma(d - n + 1)) / math.log(2)
    return paper_bit - 8 * math.ceil(d / 5) + math.log2(d + 1) + choices + n


@pytest.mark.parametrize(
    ("nu", "randomised", "ideal", "trits"),
    [(0.1, False, 3.05, 3.64), (0.5, False, 2.05, 2.64), (1.0, True, 2.03, 2.13), (4.0, True, 1.36, 1.89)],
)
def test_bits_of_the_worst_of_six_shapes(nu: float, randomised: bool, ideal: float, trits: float) -> None:
    """Bits per coordinate at d = 784, of the code and of one that ranks the support; sampled: within 0.03."""
    one = codec("sparse_dithering", nu=nu, randomised=randomised, float_bit=32)
    d = 784
    found = []
    for make in SHAPES.values():
        x, of_shape = make(d), []
        for seed in range(20 if randomised else 1):
            p = one.encode(x, np.random.default_rng(seed))
            of_shape.append([ranked_bit(one.decode(p.data, d), p.paper_bit) / d, p.paper_bit / d])
        found.append(np.mean(of_shape, axis=0))
    np.testing.assert_allclose(np.max(found, axis=0), [ideal, trits], atol=0.03)


def test_bound_on_the_length_is_met() -> None:
    """Equal entries, nu = 1/9: y = 3/2, so k = 2 and K = 2 d, which is (sqrt(9) + 1) d / 2."""
    for d in (1, 4, 99, 784):
        one = codec("sparse_dithering", nu=1 / 9)
        p = one.encode(np.full(d, 2.0), np.random.default_rng(1))
        assert p.paper_bit == 64 + 8 * math.ceil(d / 5) + 2 * d
        assert len(p.data) <= one.max_size_bytes(d) <= len(p.data) + 1


@pytest.mark.parametrize("randomised", [False, True])
def test_dithering_at_the_ends_of_float64(randomised: bool) -> None:
    """A power of two comes out again where no float rounds; what the grid cannot hold is refused."""
    x = np.random.default_rng(82).standard_normal(50)
    y = q("sparse_dithering", x, nu=0.3, randomised=randomised)
    for power in (-900, -960, 960, 1000):
        np.testing.assert_array_equal(
            q("sparse_dithering", x * 2.0**power, nu=0.3, randomised=randomised), y * 2.0**power
        )
    z = q("sparse_dithering", np.full(9, TINY * 1000), nu=0.3, randomised=randomised)
    assert np.abs(z - TINY * 1000).max() <= TINY * 1000
    if randomised:
        with pytest.raises(EncodeError, match="sparse_dithering"):
            q("sparse_dithering", np.full(9, HUGE), nu=4.0, randomised=True)
    else:
        with pytest.raises(EncodeError, match="entries must lie within float64 on the grid"):
            q("sparse_dithering", np.full(9, HUGE), nu=0.3)
    out = BitWriter()
    out.floats([1e308], 64)
    out.uint(0, 16)
    with pytest.raises(DecodeError, match="within float64 on the grid"):
        codec("sparse_dithering", nu=0.01, randomised=randomised).decode(out.getvalue(), 9)


def test_levels_beyond_what_the_norm_allows_are_refused() -> None:
    """d = 5, nu = 0.5: y <= sqrt(10) / 2 = 1.58, so k <= 2; three in unary is 110."""
    one = build("compressor", "sparse_dithering")
    for code, size, good in ((0b0, 1, True), (0b01, 2, True), (0b011, 3, False)):
        data = (0x3F800000 | 1 << 32 | code << 40).to_bytes(6, "little")
        if good:
            assert one.decode(data, 5).tolist() == [size, 0, 0, 0, 0]
        else:
            with pytest.raises(DecodeError):
                one.decode(data, 5)


# --- spherical ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [4, 6, 8, 10, 12, 14, 16, 32])
@pytest.mark.parametrize("error", [0.01, 0.2, 0.5, 0.7, 0.99])
def test_cap_against_the_incomplete_beta_function(dim: int, error: float) -> None:
    """P = I_a((d-1)/2, 1/2) / 2; kappa = integral of t over the cap's density (1 - t^2)^((d-3)/2), t from sqrt(1-a)."""
    found = cap(dim, error)
    assert math.isclose(found.share, special.betainc((dim - 1) / 2, 0.5, error) / 2, rel_tol=1e-11)
    c = math.sqrt(1 - error)

    def density(t: float) -> float:
        return float((1 - t * t) / error) ** ((dim - 3) / 2)

    whole = integrate.quad(density, c, 1, epsabs=0, epsrel=1e-11, limit=500)[0]
    mean = integrate.quad(lambda t: t * density(t), c, 1, epsabs=0, epsrel=1e-11, limit=500)[0]
    assert math.isclose(found.mean, mean / whole, rel_tol=1e-9)
    assert c < found.mean < 1
    assert 1 / found.mean**2 - 1 <= error / (1 - error)


def test_cap_numbers() -> None:
    """1/P = 60.3 at d = 8, a = .5, and 87.5 at d = 16, a = .7; a 4^(b/d), b = log2(1/P): 1.39, 1.13 and 1.009."""
    assert math.isclose(1 / cap(8, 0.5).share, 60.3, abs_tol=0.05)
    assert math.isclose(1 / cap(16, 0.7).share, 87.5, abs_tol=0.05)
    for dim, known, digits in ((8, 1.39, 0.005), (32, 1.13, 0.005), (784, 1.009, 0.0005)):
        assert math.isclose(0.5 * 4 ** (-math.log2(cap(dim, 0.5).share) / dim), known, abs_tol=digits)


@pytest.mark.parametrize("dim", [4, 8, 16])
def test_points_are_uniform_on_the_sphere(dim: int) -> None:
    """20,000 points: norm 1, E z = E z_i z_j = 0, E z^2 = 1/d, E z^4 = 3/(d(d+2)) and E z_i^2 z_j^2 = 1/(d(d+2)).

    And the share of points in a cap is P for five directions. Each within 5 standard errors: below 3e-4 in all.
    """
    n = 20_000
    z = points(9, dim, np.arange(n, dtype=np.uint64))
    np.testing.assert_allclose(np.square(z).sum(axis=1), 1, rtol=1e-14)

    def near(values: Any, mean: float) -> None:
        assert (np.abs(values.mean(axis=0) - mean) <= 5 * values.std(axis=0) / math.sqrt(n)).all()

    i, j = np.triu_indices(dim, 1)
    near(z, 0.0)
    near(z**2, 1 / dim)
    near(z**4, 3 / (dim * (dim + 2)))
    near(z[:, i] * z[:, j], 0.0)
    near(z[:, i] ** 2 * z[:, j] ** 2, 1 / (dim * (dim + 2)))
    for row in np.random.default_rng(83).standard_normal((5, dim)):
        near((z @ (row / np.linalg.norm(row)) >= math.sqrt(1 - 0.6)).astype(float), cap(dim, 0.6).share)


def test_points_depend_on_their_place_alone() -> None:
    places = np.array([5, 0, 2**40, 5, 2**60], np.uint64)
    z = points(9, 8, places)
    for i, place in enumerate(places):
        np.testing.assert_array_equal(points(9, 8, np.array([place], np.uint64))[0], z[i])
    assert np.unique(z, axis=0).shape[0] == 4
    assert not np.array_equal(points(10, 8, places), z)
    assert points(9, 8, np.zeros(0, np.uint64)).shape == (0, 8)


def by_search(x: Any, key: int, block: int, error: float) -> Any:
    """The first point near enough to each block, and its place, by the definition."""
    z = points(key, block, np.arange(3000, dtype=np.uint64))
    padded = np.zeros((-(-x.size // block), block))
    padded.ravel()[: x.size] = x
    near = padded @ z.T >= math.sqrt(1 - error) * np.linalg.norm(padded, axis=1)[:, None]
    first = np.argmax(near, axis=1)
    assert near[np.arange(first.size), first].all()
    return padded, z[first], first


@pytest.mark.parametrize(("block", "error"), [(4, 0.2), (8, 0.5), (16, 0.8)])
def test_biased_spherical(block: int, error: float) -> None:
    """The first near point, scaled to the projection: ||Q - x||^2 = ||x||^2 - <z, x>^2 <= a ||x||^2 in each block."""
    x = np.random.default_rng(84).standard_t(3, 403)
    one = codec("spherical", error=error, block=block)
    y = one.decode(one.encode(x, np.random.default_rng(1)).data, x.size)
    padded, z, _ = by_search(x, 0x7370686572696361, block, error)
    s = (padded * z).sum(axis=1)
    np.testing.assert_allclose(y, (z * s[:, None]).ravel()[: x.size], rtol=1e-12)
    for i in range(0, x.size, block):
        part, image = x[i : i + block], y[i : i + block]
        assert float((part - image) @ (part - image)) <= error * float(part @ part) * (1 + 1e-12)
    assert one.contraction(x.size) == 1 - error
    assert not one.is_unbiased


@pytest.mark.parametrize(("block", "error"), [(4, 0.3), (8, 0.5), (16, 0.8)])
def test_unbiased_spherical(block: int, error: float) -> None:
    """The first near point of the message's own stream, scaled by ||x|| / kappa: ||Q||^2 = ||x||^2 / kappa^2 exactly.

    With E <Q, x> = ||x||^2 that makes E||Q - x||^2 = (1 / kappa^2 - 1) ||x||^2.
    """
    x = np.random.default_rng(85).standard_t(3, 160)
    one = codec("spherical", error=error, block=block, unbiased=True)
    kappa = cap(block, error).mean
    key = Key(2**63 + 12345, 7)
    data = one.encode_keyed(x, key).data
    y = one.decode(data, x.size)
    padded, z, _ = by_search(x, key.key, block, error)
    s = np.linalg.norm(padded, axis=1) / kappa
    np.testing.assert_allclose(y, (z * s[:, None]).ravel(), rtol=1e-12)
    assert math.isclose(float(y @ y), float(x @ x) / kappa**2, rel_tol=1e-12)
    assert math.isclose(one.variance_bound(160), 1 / kappa**2 - 1)
    assert one.is_unbiased
    assert not one.shares_randomness
    assert int.from_bytes(data[:8], "little") == key.key


def test_unbiased_spherical_mean() -> None:
    """1000 draws: the mean of every coordinate within 5 of its standard errors, and E||Q - x||^2 = w ||x||^2 within 5.

    False alarm: 13 z-scores, below 1e-5.
    """
    x = np.array([3.0, -1.0, 0.5, 0.0, 2.0, 2.0, 2.0, -2.0, 0.1, 0.0, 0.0, 0.0])
    draws = 1000
    one = codec("spherical", error=0.8, block=4, unbiased=True)
    rng = np.random.default_rng(86)
    y = np.stack([one.decode(one.encode(x, rng).data, x.size) for _ in range(draws)])
    assert (np.abs(y.mean(axis=0) - x) <= 5 * y.std(axis=0, ddof=1) / math.sqrt(draws)).all()
    error = np.square(y - x).sum(axis=1)
    assert abs(error.mean() - one.variance_bound(12) * float(x @ x)) <= 5 * error.std(ddof=1) / math.sqrt(draws)


@pytest.mark.parametrize(("block", "error"), [(4, 0.2), (8, 0.5)])
def test_places_are_geometric_and_cost_their_entropy(block: int, error: float) -> None:
    """Mean J = 1/P within 5 standard errors, and a mean code length within 0.05 bit of the entropy of J.

    Blocks of a message share its stream, so the errors are those of 200 messages' means.
    """
    one = codec("spherical", error=error, block=block, unbiased=True)
    share = cap(block, error).share
    entropy = (-share * math.log2(share) - (1 - share) * math.log2(1 - share)) / share
    rng = np.random.default_rng(87)
    places, bits = [], []
    for _ in range(200):
        p = one.encode(rng.standard_normal(50 * block), rng)
        bits.append((p.paper_bit - 50 * 64) / 50)
        src = BitReader(p.data)
        src.uint(64)
        src.floats(50, 64)
        places.append(float(read_golomb(src, 50, one._golomb, 2**32 - 1).mean()) + 1)
        assert len(p.data) == math.ceil((64 + p.paper_bit) / 8)
    assert abs(np.mean(places) - 1 / share) <= 5 * np.std(places) / math.sqrt(200)
    assert abs(np.mean(bits) - entropy) <= 0.05 + 5 * np.std(bits) / math.sqrt(200)
    assert np.std(bits) / math.sqrt(200) < 0.02


def test_zero_blocks_send_no_place() -> None:
    """FPP for each block, and a place for those that are not zero; three blocks of 8 here, one of them nonzero."""
    one = codec("spherical", float_bit=32)
    x = np.zeros(20)
    assert one.encode(x, np.random.default_rng(1)).paper_bit == 96
    x[9] = 1.0
    p = one.encode(x, np.random.default_rng(1))
    assert p.paper_bit > 96
    y = one.decode(p.data, 20)
    assert not y[:8].any()
    assert not y[16:].any()
    np.testing.assert_array_equal(y[8:16], q("spherical", x[8:16], float_bit=32))


def test_a_codec_that_would_never_end_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"error: an error for which a block takes 16384 draws or less, or a smaller"):
        codec("spherical", error=0.1, block=16)
    with pytest.raises(ConfigError, match="block: one of 4, 6, 8"):
        codec("spherical", block=5)
    assert codec("spherical", error=0.2, block=8).contraction(8) == 0.8


def test_spherical_at_the_ends_of_float64() -> None:
    x = np.random.default_rng(88).standard_normal(24)
    for unbiased in (False, True):
        y = q("spherical", x, unbiased=unbiased)
        for power in (-900, 900, 1000):
            np.testing.assert_allclose(q("spherical", x * 2.0**power, unbiased=unbiased), y * 2.0**power, rtol=1e-14)
    with pytest.raises(EncodeError, match=r"spherical: scale \d must be finite"):
        q("spherical", np.full(24, HUGE))


# --- LAQ ------------------------------------------------------------------------------------------


def test_laq_by_hand() -> None:
    """(3, -0.5, 0.75), two bits: levels -3, -1, 1, 3, so q = 3, 1, 2; R = 3 is 0x40400000."""
    x = np.array([3.0, -0.5, 0.75])
    p = build("compressor", {"name": "laq", "bits": 2}).encode(x, np.random.default_rng(1))
    assert p.data == (0x40400000 | (3 | 1 << 2 | 2 << 4) << 32).to_bytes(5, "little")


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8, 16, 24])
@pytest.mark.parametrize(("name", "x"), CASES, ids=[name for name, _ in CASES])
def test_laq_is_its_definition(name: str, x: Any, bits: int) -> None:
    """q_i = floor((x_i + R) / (2 tau R) + 1/2), Q_i = 2 tau R q_i - R, |Q_i - x_i| <= tau R, 32 + b d bits."""
    for float_bit in (64, 32):
        one = codec("laq", bits=bits, float_bit=float_bit)
        p = one.encode(x, np.random.default_rng(1))
        y = one.decode(p.data, x.size)
        radius = float(np.abs(x).max())
        if float_bit == 32:
            wire = float(np.float32(radius))
            radius = wire if wire >= radius else float(np.nextafter(np.float32(radius), np.float32(np.inf)))
        tau = 1 / (2**bits - 1)
        raw = (x + radius) / (2 * tau * radius) + 0.5
        clear = np.abs(raw - np.rint(raw)) > 1e-9 * 2**bits
        np.testing.assert_allclose(y[clear], (2 * tau * radius * np.floor(raw) - radius)[clear], rtol=1e-7, atol=1e-9)
        assert np.abs(y - x).max() <= (tau + 1e-15) * radius
        assert np.abs(y).max() <= radius
        assert p.paper_bit == float_bit + bits * x.size
        assert len(p.data) == one.max_size_bytes(x.size) == math.ceil(p.paper_bit / 8)


def test_laq_of_a_reference() -> None:
    """`write` subtracts the reference, so that reference + decoded is the new one, off by tau R at most."""
    rng = np.random.default_rng(89)
    g, r = rng.standard_normal(30), rng.standard_normal(30)
    one = codec("laq", bits=3)
    out = BitWriter()
    one.write(g, Key(0, 0), out, r)
    new = r + one.decode(out.getvalue(), 30)
    assert np.abs(new - g).max() <= np.abs(g - r).max() / 7 * (1 + 1e-12)
    plain = one.encode(g - r, rng)
    assert out.getvalue() == plain.data
    same = BitWriter()
    one.write(g, Key(0, 0), same, g)
    np.testing.assert_array_equal(one.decode(same.getvalue(), 30), np.zeros(30))
    for name in ("nan", "inf"):
        with pytest.raises(EncodeError, match=f"laq: entry 4 must be finite. Got -?{name}"):
            one.write(g, Key(0, 0), BitWriter(), np.where(np.arange(30) == 4, float(name), r))


def test_laq_at_the_ends_of_float64() -> None:
    for x in (np.array([HUGE, -HUGE, HUGE / 3, 0.0]), TINY * np.array([7.0, -7.0, 3.0, 0.0])):
        y = q("laq", x, bits=8)
        assert np.abs(y / np.abs(x).max() - x / np.abs(x).max()).max() <= 1 / 255 + (0.1 if x[0] < 1 else 1e-12)


# --- fractional -------------------------------------------------------------------------------------


def test_fractional_by_hand() -> None:
    """v = (16, -10, 7, -3, 1.5, 1), q = 3: a = 2, levels 1, 1, 2, 3, 4, 4, means 13, 7, 3, 1.25: 18 + 128 bits."""
    v = np.array([16.0, -10.0, 7.0, -3.0, 1.5, 1.0])
    p = build("compressor", {"name": "fractional", "bits": 3}).encode(v, np.random.default_rng(1))
    assert p.paper_bit == 146
    codes = [0, 1, 2, 5, 6, 6]  # 2 (l - 1) + sign
    bits = sum(code << 3 * i for i, code in enumerate(codes))
    for i, mean in enumerate((13.0, 7.0, 3.0, 1.25)):
        bits |= int(np.float32(mean).view(np.uint32)) << (18 + 32 * i)
    assert p.data == bits.to_bytes(19, "little")
    assert q("fractional", v, bits=3).tolist() == [13, -13, 7, -3, 1.25, 1.25]


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8, 12])
@pytest.mark.parametrize(("name", "x"), CASES, ids=[name for name, _ in CASES])
def test_fractional_identities(name: str, x: Any, bits: int) -> None:
    """sum |Q| = sum |x|, <x - Q, Q> = 0, |Q_i / x_i| in [1/a, a], 2^(q-1) magnitudes at most; levels by logarithms."""
    one = codec("fractional", bits=bits)
    p = one.encode(x, np.random.default_rng(1))
    y = one.decode(p.data, x.size)
    levels = 1 << (bits - 1)
    magnitudes = np.abs(x)
    high, low = magnitudes.max(), magnitudes[magnitudes > 0].min()
    a = (high / low) ** (1 / levels)
    assert math.isclose(math.fsum(np.abs(y)), math.fsum(magnitudes), rel_tol=1e-12)
    norm2 = float(x @ x)
    assert abs(float((x - y) @ y)) <= 1e-12 * norm2
    assert math.isclose(float((x - y) @ (x - y)), norm2 - float(y @ y), rel_tol=1e-9, abs_tol=1e-12 * norm2)
    assert float((x - y) @ (x - y)) <= (1 - one.contraction(x.size)) * norm2 * (1 + 1e-12) + 1e-12 * norm2
    assert np.unique(np.abs(y)).size <= levels
    if (x != 0).all():
        ratio = np.abs(y / x)
        assert ratio.max() <= a * (1 + 1e-9)
        assert ratio.min() >= 1 / a * (1 - 1e-9)
    assert p.paper_bit == bits * x.size + 64 * levels
    assert len(p.data) == one.max_size_bytes(x.size) == math.ceil(p.paper_bit / 8)
    level = np.ones(x.size)
    if high > low:
        raw = np.log(high / np.where(x == 0, low, magnitudes)) / np.log(a)
        level = np.clip(np.ceil(raw), 1, levels)
        level[np.abs(raw - np.rint(raw)) < 1e-6] = -1  # on an end rounding decides
    level[x == 0] = levels
    if (level > 0).all():
        expected = np.zeros(x.size)
        for one_level in np.unique(level):
            expected[level == one_level] = magnitudes[level == one_level].mean()
        np.testing.assert_allclose(y, np.where(x < 0, -expected, expected), rtol=1e-12)


def test_fractional_levels_by_the_logarithm() -> None:
    """Where only x_max and x_min lie on an end."""
    rng = np.random.default_rng(90)
    for bits in (2, 4, 6):
        inner = rng.uniform(1.01, 99.0, 500)
        x = np.concatenate([[100.0], inner, [1.0]])
        levels = 1 << (bits - 1)
        raw = np.log(100 / inner) / np.log(100) * levels
        level = np.concatenate([[1], np.clip(np.ceil(raw), 1, levels), [levels]])
        assert (np.abs(raw - np.rint(raw)) > 1e-6).all()
        means = {one: x[level == one].mean() for one in np.unique(level)}
        np.testing.assert_allclose(q("fractional", x, bits=bits), [means[one] for one in level], rtol=1e-12)


def test_fractional_at_the_ends_of_float64() -> None:
    """Sums and ratios beyond float64: 2^3 levels over the whole range keep |Q / x| within a = (max / min)^(1/8)."""
    x = np.concatenate([np.full(40, HUGE), np.full(40, 1.0), np.full(40, 1e-300), [TINY]])
    y = q("fractional", x, bits=4)
    np.testing.assert_allclose(y[:80], x[:80], rtol=1e-12)
    assert y[-1] < 1e-230
    assert np.isfinite(y).all()


def test_negative_means_are_refused() -> None:
    out = BitWriter()
    out.uints(np.zeros(6, np.uint64), 2)
    out.floats([1.0, -1.0], 32)
    with pytest.raises(DecodeError, match="a scale is 0 or more"):
        build("compressor", {"name": "fractional", "bits": 2}).decode(out.getvalue(), 6)


# --- all ----------------------------------------------------------------------------------------------

CONFIGS: list[dict[str, Any]] = [
    {"name": "sparse_dithering"},
    {"name": "sparse_dithering", "nu": 1.0, "randomised": True},
    {"name": "laq"},
    {"name": "fractional"},
    {"name": "fractional", "bits": 9},
    {"name": "spherical", "error": 0.6},
    {"name": "spherical", "error": 0.6, "unbiased": True},
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_float32_and_float64_take_the_same_bytes_on_both_paths(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several stages, equal numbers in two types, with kernels and without: four times the same payload."""
    names = [f"coding.{name}" for name in ("bits", "draws", "norms", "prefix")]
    names += [f"compressors.{name}" for name in ("sparse_dithering", "fractional", "spherical")]
    modules = [importlib.import_module(f"algorithms.{name}") for name in names]
    one = build("compressor", config)
    x = np.random.default_rng(91).standard_t(3, 100_003).astype(np.float32)
    found = set()
    for compiled_from, dtype in itertools.product((1, 10**9), (np.float32, np.float64)):
        for module in modules:
            monkeypatch.setattr(module, "COMPILED_FROM", compiled_from)
        data = one.encode(x.astype(dtype), np.random.default_rng(1)).data
        found.add((data, one.decode(data, x.size).tobytes()))
    assert len(found) == 1


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_no_code_beats_the_uncertainty_principle(config: dict[str, Any]) -> None:
    """x uniform in the unit ball: D 4^(b/d) >= 1 with all bits counted; D = w / (1 + w) of unbiased codes."""
    rng = np.random.default_rng(92)
    one = build("compressor", config)
    for d in (16, 256):
        x = ball(rng, 60, d)
        payloads = [one.encode(row, rng).data for row in x]
        y = np.stack([one.decode(data, d) for data in payloads])
        w = np.square(y - x).sum() / np.square(x).sum()
        bits = 8 * np.mean([len(data) for data in payloads])
        assert math.log2(w / (1 + w) if one.is_unbiased else w) + 2 * bits / d >= 0


def test_distance_of_sparse_dithering_from_the_bound() -> None:
    """With a ranked support D 4^(b/d) is 28 at d = 16 and 2.0 at d = 256 for nu = 0.1; sampled, and within a tenth."""
    rng = np.random.default_rng(93)
    one = build("compressor", {"name": "sparse_dithering", "nu": 0.1})
    for d, known in ((16, 28.0), (256, 2.0)):
        x = ball(rng, 400, d)
        payloads = [one.encode(row, rng) for row in x]
        y = np.stack([one.decode(p.data, d) for p in payloads])
        share = np.square(y - x).sum() / np.square(x).sum()
        bits = np.mean([ranked_bit(row, p.paper_bit) for row, p in zip(y, payloads, strict=True)])
        found = share * 4 ** (bits / d)
        assert abs(found / known - 1) < 0.1, found
