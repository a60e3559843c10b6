"""What CAT's solvers rest on: literal cases worked by hand, edges, and the theorems behind the short cuts."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from algorithms.coding.sizes import CodeSize
from algorithms.tuners import affine
from algorithms.tuners.budget_cost import BudgetCost, Line
from algorithms.tuners.tune import Choice, efficiency, progress, tune
from channels.costing.models import FunctionCost, StructuredCost
from netsim.errors import ConfigError, EncodeError
from netsim.interfaces import CostStructure
from tests.support.tuner_twins import omega, paper, random_vector

RCV1 = {"sparsify": CodeSize(0, 48, 16), "sign": CodeSize(32, 17, 16)}  # d = 47236: lg d = 16
URL = {"sparsify": CodeSize(0, 54, 22), "sign": CodeSize(32, 23, 22)}  # d = 3231961: lg d = 22


def test_a_bit_stream_has_several_peaks() -> None:
    """12 equal entries of 2 bits, packets of 5 bits: T_j = 2, 5, 7, 10, 12 and R_j = 2, 2.5, 2.333, 2.5, 2.4."""
    size, cost = CodeSize(0, 2, 0), paper(c_packet=1, room=5, packing="stream")
    budget_cost = BudgetCost(size, cost)
    assert np.floor(budget_cost.last_in(np.arange(1, 5))).tolist() == [2, 5, 7, 10]
    curve = 12 * efficiency(np.ones(12), "sparsify", size, cost, [2, 5, 7, 10, 12])
    assert curve == pytest.approx([2, 2.5, 7 / 3, 2.5, 2.4], rel=1e-12)
    assert tune(np.ones(12), "sparsify", size, cost).budget == 5


def test_sign_may_be_best_inside_a_packet() -> None:
    """|g| = (1, .05 x 30), one packet for all: beta(1) = 1 / 1.075 = .930, beta(31) = 2.5^2 / (31 * 1.075) = .188."""
    g = np.array([1.0] + [0.05] * 30)
    assert progress(g, "sign", [1, 31]) == pytest.approx([0.9302325581, 0.1875468867], rel=1e-9)
    assert tune(g, "sign", CodeSize(32, 6, 5), paper(c0=10, c_packet=100, room=32 + 40 * 6)).budget == 1


def test_sign_has_two_peaks_on_a_line() -> None:
    """|g| = (1, .3 x 399), ||g||^2 = 36.91, S(400) = 120.7, C = 464 + 10 T: 5.7e-5 at T = 1 and 2.2e-4 at T = 400."""
    g = np.array([1.0] + [0.3] * 399)
    size, cost = CodeSize(32, 10, 9), paper(c0=432, c_bit=1)
    curve = efficiency(g, "sign", size, cost, np.arange(1, 401))
    assert curve[[0, 399]] == pytest.approx([1 / 36.91 / 474, 120.7**2 / (400 * 36.91) / 4464], rel=1e-12)
    assert curve[1] < curve[0]
    choice = tune(g, "sign", size, cost)
    assert choice.budget == 400
    assert choice.efficiency == pytest.approx(curve[399], rel=1e-12)


@pytest.mark.parametrize("packing", ["whole", "stream"])
@pytest.mark.parametrize(
    ("size", "room_bytes", "ends"),
    [
        (RCV1["sparsify"], 512, [85, 170, 255]),  # floor(4096 / 48) = 85
        (RCV1["sign"], 512, [239, 479, 719]),  # floor(4064 / 17) = 239, floor(4096 / 17) = 240
        (URL["sparsify"], 1472, [218, 436, 654]),  # floor(11776 / 54) = 218
        (URL["sign"], 1472, [510, 1022, 1534]),  # floor(11744 / 23) = 510, floor(11776 / 23) = 512
    ],
)
def test_entries_of_a_packet(size: CodeSize, room_bytes: int, ends: list[int], packing: Any) -> None:
    cost = BudgetCost(size, paper(c_packet=1, room=8.0 * room_bytes, packing=packing))
    if packing == "stream":  # whole packing wastes bits: floor(2 * 4096 / 48) is 170, but 3 * 4096 / 48 is 256
        ends = [(8 * room_bytes * n - int(size.paper0_bit)) // int(size.entry_bit) for n in (1, 2, 3)]
    assert np.floor(cost.last_in([1, 2, 3])).tolist() == ends
    for n, end in enumerate(ends, start=1):
        assert cost([end, end + 1]).tolist() == [n, n + 1]


def test_the_smallest_of_equals_is_taken() -> None:
    """Counted entries: (9 + k) / (8 + 1 + k) is 1 for squares 9, 1, 1, 1; both paths of the fixed point."""
    x = np.array([1.0, -3.0, 1.0, 1.0])
    cost = StructuredCost(CostStructure(c0=8, c_bit=1), "count")
    assert tune(x, "sparsify", CodeSize(0, 34, 3), cost) == Choice(1.0, 1 / 12, 0.75)
    for compiled in (False, True):
        _, kept, energy = affine.fixed_point(np.arange(x.size), np.abs(x), Line(8.0, 1.0), compiled=compiled)
        assert (kept.tolist(), energy) == ([3.0], 9.0)
    assert tune(np.ones(9), "sparsify", CodeSize(0, 34, 3), StructuredCost(CostStructure(c_bit=1), "count")).budget == 1


def test_packets_of_any_width_hold_what_they_say() -> None:
    """Rooms, headers and widths that float64 cannot hold exactly: never a packet too many, never one too few."""
    rng = np.random.default_rng(23)
    for _ in range(2000):
        room, header, width = rng.integers(1, 500) * 0.1, rng.integers(0, 90) * 0.1, rng.integers(1, 40) * 0.1
        cost = BudgetCost(CodeSize(0, width, 0), paper(c_packet=1, room=room, header_bit=header, packing="stream"))
        first = float(cost.packets(1.0))
        n = np.arange(first, first + 20)
        last = cost.last_in(n)
        assert (cost.packets(last) <= n).all()
        assert (cost.packets(last + 1e-9 * n) > n).all()
        assert (np.diff(cost.packets(np.linspace(last[0], last[-1], 200))) >= 0).all()
        exact = header + width * np.arange(1.0, 60)
        assert (cost.packets(np.arange(1.0, 60)) * room >= exact).all()
        assert ((cost.packets(np.arange(1.0, 60)) - 1) * room < exact).all()


def test_the_last_packet_need_not_be_full() -> None:
    """5 equal entries, 2 a packet: R = 2/11, 4/12, 5/13 for c0 = 10, and T = 5 is no multiple of 2."""
    assert tune(np.ones(5), "sparsify", CodeSize(0, 8, 0), paper(c0=10, c_packet=1, room=16)).budget == 5


def test_header_bits_are_inside_the_packets() -> None:
    """64 + 4032 = 4096 bits: 84 entries of 48 bits fill the first packet to the bit, later ones hold 85."""
    size = RCV1["sparsify"]
    whole = BudgetCost(size, paper(c_packet=1, room=4096, header_bit=64))
    assert np.floor(whole.last_in([1, 2, 3])).tolist() == [84, 169, 254]
    stream = BudgetCost(size, paper(c_packet=1, room=4096, header_bit=64, packing="stream"))
    assert np.floor(stream.last_in([1, 2, 3])).tolist() == [84, 169, 254]  # floor((3 * 4096 - 64) / 48) = 254
    assert stream.last_in(3) == pytest.approx((3 * 4096 - 64) / 48, rel=1e-15)
    filled = BudgetCost(size, paper(c_packet=1, room=4096, header_bit=4096 + 4090))
    assert np.floor(filled.last_in([1, 2, 3])).tolist() == [-85, 0, 85]
    assert filled([1, 85, 86]).tolist() == [3, 3, 4]


def test_an_entry_wider_than_a_packet_is_cut() -> None:
    cost = BudgetCost(RCV1["sparsify"], paper(c_packet=1, room=40))
    assert cost([1, 2, 5]).tolist() == [2, 3, 6]  # ceil(48 T / 40)


def test_message_sizes_round_to_bytes_but_not_in_expectation() -> None:
    """T = 3 of 13 bits and 5 of count: 44 bits are 6 bytes; with the 8 of the header 112 bits, 108 in expectation."""
    size, cost = CodeSize(0, 13, 5), StructuredCost(CostStructure(c_bit=1), "message")
    assert float(BudgetCost(size, cost)(3)) == 112
    assert float(BudgetCost(size, cost, expected=True)(3)) == 108


def test_free_entries_are_all_sent_and_free_messages_send_one() -> None:
    x = np.array([3.0, 0.0, -1.0, 2.0, 2.0])
    size = CodeSize(0, 35, 3)
    assert tune(x, "sparsify", size, paper(c0=5)) == Choice(4.0, 0.2, 1.0)
    assert tune(x, "stochastic", size, paper(c0=5)) == Choice(4.0, 0.2, 1.0)
    for variant in ("sparsify", "sign", "stochastic"):
        assert tune(x, variant, size, paper(c_bit=1)).budget == 1


def test_next_to_no_constant_is_as_good_as_none() -> None:
    """rho = 1e-18: every T of equal entries is as good, to rounding; the stochastic T stays in range."""
    for d in (1, 10, 1000):
        x = np.full(d, 0.1)
        for variant in ("sparsify", "stochastic"):
            choice = tune(x, variant, CodeSize(0, 40, 8), paper(c0=4e-17, c_bit=1))
            assert 1 <= choice.budget <= d
            assert choice.efficiency == pytest.approx(1 / (40 * d), rel=1e-12)


@pytest.mark.parametrize("variant", ["sparsify", "sign", "stochastic"])
def test_edges(variant: Any) -> None:
    size, cost = CodeSize(32, 33, 3), paper(c0=432, c_bit=1)
    assert tune(np.zeros(7), variant, size, cost) == Choice(0.0, 0.0, 0.0)
    assert tune(np.zeros(0), variant, size, cost) == Choice(0.0, 0.0, 0.0)
    assert tune([-2], variant, size, cost) == Choice(1.0, 1 / 497, 1.0)
    assert progress(np.zeros(3), variant, [0, 1]).tolist() == [0, 0]
    x = np.array([1.0, -5.0, 0.0, 2.0])
    expected = tune(x, variant, size, cost)
    for factor in (1e-300, 5e-324 * 2**52, 1e300, -1.0):
        assert tune(x * factor, variant, size, cost).budget == pytest.approx(expected.budget, rel=1e-12)
    assert tune((x * 1e-45).astype(np.float32), variant, size, cost).budget > 0
    assert tune(x[::-1], variant, size, cost) == expected
    assert tune(np.array([1, -5, 0, 2]), variant, size, cost) == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("d", [3, 20_000])
def test_what_is_not_finite_is_refused(bad: float, d: int) -> None:
    x = np.ones(d)
    x[1] = bad
    with pytest.raises(EncodeError, match="must be finite"):
        tune(x, "sparsify", CodeSize(0, 40, 8), paper(c_bit=1))


def test_a_message_must_cost_something() -> None:
    text = r"cost: a cost > 0 for every message. Got 0 s for one entry."
    with pytest.raises(ConfigError, match=text):
        tune([1.0], "sign", CodeSize(0, 40, 8), FunctionCost(lambda bit: 0 * bit, "s"))
    with pytest.raises(ConfigError, match="Got -3 bit for one entry"):
        efficiency([1.0], "sign", CodeSize(0, 40, 8), paper(c0=-3), [1])


def test_budgets_beyond_the_nonzeros_and_fractions() -> None:
    x = [0.0, 3.0, 4.0]
    assert progress(x, "sparsify", [1.9, 2, 9]).tolist() == [0.64, 1, 1]
    assert progress(x, "sign", [[2], [3]]).tolist() == [[49 / 50], [49 / 50]]
    assert progress(x, "stochastic", [0.5, 7]) == pytest.approx([0.5 * 25 / 49, 1])


# --- the facts behind the solvers --------------------------------------------------------------------


def ratios(squares: list[int], ends: list[int], prices: list[int]) -> list[Fraction]:
    """A(T) / C at these T, exactly."""
    return [Fraction(sum(squares[:t]), c) for t, c in zip(ends, prices, strict=True)]


def assert_one_peak(values: list[Fraction]) -> None:
    """Strictly up, level only at the top, strictly down."""
    top = max(values)
    first, last = values.index(top), len(values) - values[::-1].index(top)
    assert all(a < b for a, b in pairwise(values[: first + 1]))
    assert all(v == top for v in values[first:last])
    assert all(a > b for a, b in pairwise(values[last - 1 :]))


def test_sparsification_has_one_peak_on_a_line_and_with_whole_entries() -> None:
    """Exact fractions: small whole entries with ties, c0 = 0 and a short first packet included."""
    rng = np.random.default_rng(19)
    for _ in range(1500):
        squares = sorted((rng.integers(0, rng.integers(2, 30), rng.integers(1, 30)) ** 2).tolist(), reverse=True)
        squares = [a for a in squares if a] or [1]
        n, c0, first, later = len(squares), int(rng.integers(0, 60)), int(rng.integers(1, 6)), int(rng.integers(1, 6))
        budgets = list(range(1, n + 1))
        if c0:  # for c0 = 0 the ratio falls from the start, and may stay level on the way
            assert_one_peak(ratios(squares, budgets, [c0 + 3 * t for t in budgets]))
        first = min(first, later)
        ends = [min(t, n) for t in range(first, n + later, later)]
        if c0 or first < later:
            assert_one_peak(ratios(squares, ends, [c0 + j for j in range(1, len(ends) + 1)]))


def test_sparsification_and_stochastic_share_a_threshold() -> None:
    """tau* = A_I / (|I| + rho) from the kept set, and 1 / lambda^2 from T = s + R_s lambda, agree."""
    rng = np.random.default_rng(20)
    for _ in range(500):
        x = rng.standard_t(2, int(rng.integers(2, 300)))
        rho = float(rng.choice([0.3, 3, 30, 300]))
        size, cost = CodeSize(0, 40, 8), paper(c0=40 * rho, c_bit=1)
        kept = int(tune(x, "sparsify", size, cost).budget)
        m = np.sort(np.abs(x))[::-1]
        tau = (m[:kept] ** 2).sum() / (kept + rho)
        budget = tune(x, "stochastic", size, cost).budget
        assert (m[:kept] ** 2 > tau).all()
        assert (m[kept:] ** 2 <= tau).all()
        if kept < x.size:
            root = m[kept:].sum() / (budget - kept)
            assert root**2 == pytest.approx(tau, rel=1e-10)


def test_omega_is_concave_and_linear_at_first() -> None:
    rng = np.random.default_rng(21)
    for _ in range(200):
        x = random_vector(rng, 60)
        most = np.count_nonzero(x)
        curve = progress(x, "stochastic", np.linspace(0, most, 101))
        assert (np.diff(curve, 2) <= 1e-12).all()
        assert curve[-1] == pytest.approx(1)
        m = np.abs(x).astype(float)
        first = np.linspace(0, m.sum() / m.max(), 7)
        assert progress(x, "stochastic", first) == pytest.approx(first * (m**2).sum() / m.sum() ** 2, rel=1e-11)


def test_no_other_probabilities_have_less_variance() -> None:
    """The twin itself: random feasible p with the same sum never beat omega."""
    rng = np.random.default_rng(22)
    for _ in range(300):
        x = rng.standard_t(2, 12)
        p = rng.random(12) ** rng.uniform(0.2, 3)
        assert (x**2).sum() / (x**2 / p).sum() <= omega(x, p.sum())[0] * (1 + 1e-12)
