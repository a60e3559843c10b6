"""SS at E[C(N)]: the law of N against all its convolutions, and the best T against a fine grid of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from algorithms.coding.sizes import CodeSize
from algorithms.compressors.stochastic_sparsification import StochasticSparsification
from algorithms.tuners.budget_cost import BudgetCost
from algorithms.tuners.drawn import TOLERANCE, DrawnCount
from algorithms.tuners.magnitudes import measure
from algorithms.tuners.ranked import Ranked
from algorithms.tuners.tune import efficiency, tune
from channels.costing.models import FunctionCost, StructuredCost
from netsim.interfaces import CostStructure, Key
from tests.support.tuner_twins import omega, paper, price, random_case, random_vector


def probabilities(x: Any, budget: float) -> Any:
    """p_i = min(1, lambda |x_i|) with sum `budget`, lambda by bisection."""
    m = np.abs(np.asarray(x, float))
    m = m[m > 0]
    low, high = 0.0, 1 / m.min()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if np.minimum(1, middle * m).sum() >= budget else (middle, high)
    return np.minimum(1, high * m)


def convolved(p: Any) -> Any:
    """P(N = n) for n = 0 .. len(p): one entry after the other."""
    law = np.ones(1)
    for q in p:
        law = np.convolve(law, [1 - q, q])
    return law


def law(x: Any, budget: float) -> Any:
    """What `DrawnCount` says, from n = 0 on."""
    found = measure(x)
    first, weights = DrawnCount(Ranked.of(found, found.above(0.0), True)).distribution(budget)
    out = np.zeros(np.count_nonzero(x) + 1)
    out[first : first + weights.size] = weights[: out.size - first]
    return out


@pytest.mark.parametrize("most", [40, 700])
def test_the_law_of_the_count_equals_the_convolution(most: int) -> None:
    """To 1e-12, entry by entry, for every shape of vector; 700 entries need blocks of rare ones."""
    rng = np.random.default_rng(31)
    for _ in range(60):
        x = random_vector(rng, most)
        n = int(np.count_nonzero(x))
        for budget in (1.0, float(n), rng.uniform(1, n), min(1.0 + rng.random(), n), rng.uniform(1, 1 + n / 20)):
            np.testing.assert_allclose(law(x, budget), convolved(probabilities(x, budget)), rtol=0, atol=1e-12)


def test_equal_entries_are_a_binomial() -> None:
    """9000 of them with p = 5/9, multiplied in several pieces; with p = 1/9000 all are rare."""
    from scipy.stats import binom

    n = np.arange(9001)
    for budget in (5000.0, 1.0):
        np.testing.assert_allclose(law(np.ones(9000), budget), binom.pmf(n, 9000, budget / 9000), rtol=0, atol=1e-13)


def test_two_fair_coins() -> None:
    """x = (1, 1), T = 1: p = 1/2 each and N = 0, 1, 2 with 1/4, 1/2, 1/4. One entry a packet: E C = 1/4 + 1/2 + 2/4."""
    assert law(np.ones(2), 1.0) == pytest.approx([0.25, 0.5, 0.25], abs=1e-15)
    cost = paper(c_packet=1.0, room=10.0)
    curve = efficiency(np.ones(2), "stochastic", CodeSize(0, 10, 0), cost, [1.0, 2.0])
    assert curve == pytest.approx([0.5 / 1.25, 1.0 / 2.0], rel=1e-14)  # omega = T/2
    flat = efficiency(np.ones(2), "stochastic", CodeSize(0, 10, 0), cost, [1.0, 2.0], drawn=False)
    assert flat == pytest.approx([0.5, 0.5], rel=1e-14)


def expected_price(case: Any, budgets: Any) -> Any:
    """E[C(N)] from the convolution and the literal packets of the twin; N = 0 is a message, too."""
    n = np.arange(np.count_nonzero(case.x) + 1.0)
    if case.cost.basis == "message":
        case = case.__class__(case.x, "sparsify", case.size, case.cost)  # whole bytes
    prices = price(case, n)
    return np.array([convolved(probabilities(case.x, t)) @ prices for t in budgets])


def test_no_budget_is_better_than_the_one_found() -> None:
    """On a grid of 60 T of random cases, by the tolerance; the choice's own figures to 1e-9. Whole packets as well."""
    rng = np.random.default_rng(32)
    better = 0
    for _ in range(60):
        case = random_case(rng, "stochastic", most=30)
        if case.cost.structure.payload_max_bit is None:
            continue
        most = int(np.count_nonzero(case.x))
        choice = tune(case.x, "stochastic", case.size, case.cost)
        assert 1.0 <= choice.budget <= most
        assert choice.progress == pytest.approx(omega(case.x, choice.budget)[0], rel=1e-9)
        assert choice.progress / choice.efficiency == pytest.approx(expected_price(case, [choice.budget])[0], rel=1e-9)
        grid = np.unique(np.append(np.linspace(1, most, 60), np.arange(1.0, most + 1)))
        best = (omega(case.x, grid) / expected_price(case, grid)).max()
        assert best <= choice.efficiency * (1 + TOLERANCE)
        paper_choice = tune(case.x, "stochastic", case.size, case.cost, drawn=False)
        better += expected_efficiency(case, paper_choice.budget) < 0.99 * choice.efficiency
    assert better > 2  # C(E N) is really another thing


def expected_efficiency(case: Any, budget: float) -> float:
    """omega(T) / E[C(N)]."""
    return float(omega(case.x, budget)[0] / expected_price(case, [budget])[0])


def test_of_two_hills_the_higher_one_is_found() -> None:
    """20 entries of 1 and 200 of 0.05, 30 a packet: the hill of one packet is 16 % higher than that of two."""
    x, size, cost = np.repeat([1.0, 0.05], [20, 200]), CodeSize(0, 10, 0), paper(c0=0.2, c_packet=1.0, room=300.0)
    grid = np.linspace(1, 80, 159)
    prices = 1.2 + np.maximum(np.ceil((np.arange(221) - 30) / 30), 0)
    ratio = omega(x, grid) / [convolved(probabilities(x, t)) @ prices for t in grid]
    first, second = ratio[grid < 35], ratio[grid >= 35]
    assert first.max() > 1.1 * second.max()
    assert second[0] < second.max()
    choice = tune(x, "stochastic", size, cost)
    assert choice.budget < 35
    assert choice.efficiency >= ratio.max() * (1 - 1e-9)


def test_the_answer_is_the_top_of_its_hill() -> None:
    """Nothing within 1 % of T is better by more than 1e-6."""
    rng = np.random.default_rng(33)
    for d in (50, 3000):
        x = rng.standard_t(2, d)
        cost = paper(c_packet=1.0, room=1024.0, packing="stream")
        choice = tune(x, "stochastic", CodeSize(0, 41, 0), cost)
        near = choice.budget * np.linspace(0.99, 1.01, 41)
        near = near[(near >= 1) & (near <= d)]
        assert efficiency(x, "stochastic", CodeSize(0, 41, 0), cost, near).max() <= choice.efficiency * (1 + 1e-6)


def test_a_cost_without_structure_is_averaged_too() -> None:
    """Real T, and the model is asked for the whole bytes of whole messages, N = 0 included."""
    x, size = np.random.default_rng(34).standard_t(2, 40), CodeSize(32, 9, 8)
    cost = FunctionCost(lambda bit: 7 + np.maximum(bit, 200) // 64, "unit")
    choice = tune(x, "stochastic", size, cost)
    n = np.arange(41.0)
    prices = 7 + np.maximum(64 + 8 * np.ceil((40 + 9 * n) / 8), 200) // 64
    grid = np.append(np.linspace(1, 40, 200), choice.budget)
    ratio = omega(x, grid) / [convolved(probabilities(x, t)) @ prices for t in grid]
    assert choice.efficiency == pytest.approx(ratio[-1], rel=1e-10)
    assert ratio.max() <= choice.efficiency * (1 + TOLERANCE)


def test_a_packets_messages_cost_what_the_tuner_says() -> None:
    """400 real payloads at the T found: their mean packets are within 5 standard errors of E[C(N)] (error < 1e-6).

    At the T of C(E N), packets that are just full, about half of the messages need one more.
    """
    x, room = np.random.default_rng(35).standard_t(2, 2000), 1024
    size = StochasticSparsification(budget=1.0).size(2000)
    cost = StructuredCost(CostStructure(c_packet=1.0, payload_max_bit=room, packing="stream"), "message", "packet")

    def packets(budget: float) -> Any:
        codec = StochasticSparsification(budget=budget)
        sent = (codec.encode_keyed(x, Key(7, trial)) for trial in range(400))
        return np.array([math.ceil((8 * len(payload.data) + 64) / room) for payload in sent])

    choice = tune(x, "stochastic", size, cost)
    counted = packets(choice.budget)
    standard_error = counted.std() / 20
    assert abs(counted.mean() - choice.progress / choice.efficiency) <= 5 * standard_error
    full = tune(x, "stochastic", size, cost, drawn=False)
    just = round(full.progress / full.efficiency)
    assert just + 0.3 < packets(full.budget).mean() < just + 0.7
    assert BudgetCost(size, cost).of_entries(0.0) == 1.0


def test_a_line_is_the_same_either_way() -> None:
    rng = np.random.default_rng(36)
    for _ in range(50):
        x = random_vector(rng)
        cost = paper(c0=432, c_bit=1)
        assert tune(x, "stochastic", CodeSize(0, 40, 8), cost) == tune(
            x, "stochastic", CodeSize(0, 40, 8), cost, drawn=False
        )
