"""The learned cost: what it knows after a few transfers, that it notices a new link, and what learning costs CAT."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from channels.costs.learned import EVERY, FIRST, Learned, LearnedCost
from netsim.engine import simulate
from netsim.errors import ConfigError
from netsim.interfaces import CostStructure
from netsim.registry import build
from netsim.scenario import load, points

SIZES = np.array([400.0, 1600.0, 6400.0])


def learned(**keys: Any) -> LearnedCost:
    model = build("cost", {"name": "learned", **keys}).open(None)
    assert isinstance(model, LearnedCost)
    return model


def transfer(model: LearnedCost, best_bit: float, cost: Any) -> float:
    """One message of whole bytes, of the size that the model asks for."""
    size = 8.0 * np.ceil(model.explore(best_bit) / 8)
    model.observe(size, float(cost(size)))
    return float(size)


# --- before, and while, it learns ------------------------------------------------------------------------------


def test_before_anything_is_known_bits_count() -> None:
    assert learned()([0, 1000]).tolist() == [512, 1512]
    assert learned(prior_bit=0).structure == CostStructure(c_bit=1.0)
    model = learned()
    model.observe(488.0, 0.001)
    assert model([488, 1488]).tolist() == pytest.approx([0.001, 0.002])
    assert (model.basis, model.quantity, learned(quantity="j").quantity) == ("message", "s", "j")


def test_it_asks_for_other_sizes_first_and_now_and_then() -> None:
    model = learned()
    asked = [transfer(model, 800.0, lambda size: 1 + size) / 800 for _ in range(EVERY * 6)]
    assert asked[: len(FIRST)] == list(FIRST)
    rest = asked[len(FIRST) :]
    assert sum(a != 1 for a in rest) == 5
    assert {a for a in rest if a != 1} == {0.5, 1.5, 0.75, 2.0}


def test_it_never_asks_for_more_than_four_times_what_it_saw() -> None:
    model = learned()
    model.observe(100.0, 1.0)
    assert [model.explore(10_000.0) for _ in range(8)] == [400.0] * 8


@pytest.mark.parametrize(
    "cost",
    [lambda x: 0.002 + 1e-6 * x, lambda x: 1e-6 * x, lambda x: 0.3 + 0 * x],
    ids=["affine", "proportional", "constant"],
)
def test_it_knows_a_line_after_the_first_sizes(cost: Any) -> None:
    model = learned()
    for _ in range(len(FIRST)):
        transfer(model, 1000.0, cost)
    assert np.allclose(model(SIZES), cost(SIZES), rtol=1e-6)
    structure = model.structure
    assert structure.c0 >= 0
    assert structure.c_bit >= 0
    assert structure.c_packet == 0


def test_it_sees_packets_and_how_much_they_hold() -> None:
    """Packets of 160 bytes; the best message of 1000 bits leaves room, and it finds how much to a byte or two."""

    def cost(x: float) -> float:
        return 0.001 + 0.005 * np.ceil(x / 1280) + 1e-7 * x

    model = learned()
    for _ in range(20 * EVERY):
        packet_bit = model.structure.payload_max_bit
        transfer(model, packet_bit if packet_bit is not None and packet_bit <= 1280 else 1000.0, cost)
    assert 1264 <= model.structure.payload_max_bit <= 1280  # type: ignore[operator]
    assert model.structure.c_packet == pytest.approx(0.005, rel=0.02)
    assert np.allclose(model(SIZES), cost(SIZES), rtol=0.02)


def test_single_slow_messages_count_little() -> None:
    rng = np.random.default_rng(2)
    model = learned()
    for i in range(200):
        slow = 30 if i % 10 == 9 else 1
        transfer(model, 2000.0, lambda x, s=slow: s * (0.002 + 1e-6 * x) * (1 + 0.02 * rng.standard_normal()))
    assert model.changes == 0
    assert np.allclose(model(SIZES), 0.002 + 1e-6 * SIZES, rtol=0.08)


def test_what_teaches_nothing_is_left_out() -> None:
    model = learned()
    for value in (0.0, -1.0, float("inf"), float("nan")):
        model.observe(100.0, value)
    model.observe(0.0, 1.0)
    assert model.structure == CostStructure(512.0, 0.0, 1.0)


def test_memory_keeps_rare_sizes_and_is_bounded() -> None:
    model = learned(window=16)
    model.observe(800.0, 1.0)
    for _ in range(100):
        model.observe(8000.0, 2.0)
    assert len(model._seen) == 16
    assert 800.0 in {seen[0] for seen in model._seen}
    for _ in range(100):
        model.observe(8000.0, 2.0)
    assert {seen[0] for seen in model._seen} == {8000.0}


def test_costs_stay_costs_whatever_comes() -> None:
    """Positive, never falling, and the same after a copy."""
    sizes = np.arange(64.0, 50_000.0, 56.0)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        model = learned(window=8)
        for _ in range(60):
            model.observe(8.0 * rng.integers(9, 900), float(rng.lognormal(0, 2)))
            costs = model(sizes)
            assert (costs > 0).all()
            assert (np.diff(costs) >= 0).all()
        assert np.array_equal(pickle.loads(pickle.dumps(model))(sizes), model(sizes))


# --- a link that changes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_it_learns_anew_when_the_rate_drops_tenfold(noise: float) -> None:
    """Four transfers tell that the link is another one; after twelve the cost is right to 10 %, slope and constant."""
    for seed in range(10):
        rng, model = np.random.default_rng(seed), learned()

        def cost(x: float, rate: float, rng: np.random.Generator = rng) -> float:
            return (0.002 + (528 + x) / rate) * (1 + noise * rng.standard_normal())

        for _ in range(100):
            transfer(model, 3000.0, lambda x: cost(x, 1e6))
        assert model.changes == 0
        off = []
        for _ in range(12):
            transfer(model, 1500.0, lambda x: cost(x, 1e5))
            off.append(float(np.abs(model([1500.0, 3000.0]) / (0.002 + np.array([2028, 3528]) / 1e5) - 1).max()))
        assert model.changes == 1
        assert off[2] > 0.5
        assert max(off[3:]) < 0.4
        assert off[-1] < (0.1 if noise else 1e-6)


def test_three_slow_messages_are_no_new_link() -> None:
    model = learned()
    for _ in range(50):
        transfer(model, 1000.0, lambda x: 1e-6 * x)
    for _ in range(3):
        model.observe(1000.0, 0.1)
    model.observe(1000.0, 0.001)
    model.observe(1000.0, 1e-5)
    model.observe(1000.0, 0.1)
    assert model.changes == 0


# --- in a run --------------------------------------------------------------------------------------------------


def test_cat_follows_what_the_cost_asks() -> None:
    """On a wire the first T are those of the first sizes, and the model is the link's own in the end."""
    scenario = load("studies/learned_cost", ["replications=1", "stop.rounds=40", "record.messages=true"])
    point = points(scenario)[0].scenario
    problem = point.problem.open(point.seed)
    result = simulate(point, point.algorithms[1], 0, problem)
    messages = result.tables["messages"].to_pydict()
    sizes = [s for s, src, k in zip(messages["payload_bytes"], messages["src"], messages["kind"], strict=True)
             if src == 0 and k == "update"]  # fmt: skip
    assert sizes[1] > 1.5 * sizes[0]
    assert len(set(sizes[:6])) >= 4


def ratios(scenario_point: Any, seeds: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = []
    for seed in range(seeds):
        problem = scenario_point.problem.open(seed)
        own, other = (
            simulate(dataclasses.replace(scenario_point, seed=seed), entry, 0, problem)
            for entry in scenario_point.algorithms
        )
        assert (own.status, other.status) == ("reached", "reached")
        found.append(other.sim_time_s / own.sim_time_s)
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(points(load("studies/learned_cost")))))
def test_learning_costs_at_most_a_tenth(index: int) -> None:
    """Seconds to target over those with the link's own cost: upper 97.5 % limit of the mean of 20 seeds <= 1.10."""
    from scipy.stats import t

    point = points(load("studies/learned_cost"))[index]
    values = ratios(point.scenario, 20)
    upper = values.mean() + t.ppf(0.975, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
    print(f"{point.name}: {values.mean():.3f}, upper limit {upper:.3f}")
    assert upper <= 1.10


def test_bad_keys() -> None:
    for keys in ({"quantity": "bits"}, {"window": 4}, {"prior_bit": -1}):
        with pytest.raises(ConfigError, match=f"{next(iter(keys))}: "):
            build("cost", {"name": "learned", **keys})
    assert Learned().open(None) is not None
