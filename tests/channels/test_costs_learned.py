"""The learned cost: what it knows after a few transfers, that it notices a new link, and what learning costs CAT."""

from __future__ import annotations

import dataclasses
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from algorithms.agents import cat
from algorithms.tuners.tune import efficiency, tune
from channels.costing.models import StructuredCost
from channels.costs.learned import EARLY, EVERY, FIRST, LATER, NARROW, REACH, Learned, LearnedCost
from netsim import report
from netsim.errors import ConfigError
from netsim.interfaces import CostStructure, Node
from netsim.registry import build
from netsim.scenario import load, points
from netsim.simulation.engine import simulate
from netsim.study import run as study_run

SIZES = np.array([400.0, 1600.0, 6400.0])


def learned(**keys: Any) -> LearnedCost:
    model = build("cost", {"name": "learned", **keys}).open(None)
    assert isinstance(model, LearnedCost)
    return model


def transfer(model: LearnedCost, best_bit: float, cost: Any, payload_bit: float = np.inf) -> float:
    """One message of whole bytes, of the size that the model asks for."""
    size = 8.0 * np.ceil(model.explore(best_bit) / 8)
    model.observe_packets(size, float(cost(size)), max(int(np.ceil(size / payload_bit)), 1))
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
    assert [i for i, a in enumerate(asked) if a != 1] == [1, EARLY, *range(EVERY, 6 * EVERY, EVERY)]
    assert {a for a in rest if a != 1} == set(LATER)


def test_it_never_asks_for_more_than_half_as_much_again_as_it_saw() -> None:
    model = learned()
    model.observe(100.0, 1.0)
    assert [model.explore(10_000.0) for _ in range(8)] == [REACH * 100.0] * 8


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


@pytest.mark.parametrize("payload_bit", [1024.0, 1280.0, 1760.0])
def test_it_sees_packets_and_how_much_they_hold(payload_bit: float) -> None:
    """Wherever the best message fills a packet it learns, from what it asks for, to 12 % what one holds; never more."""

    def cost(x: float) -> float:
        return float(0.001 + 0.005 * np.ceil(x / payload_bit) + 1e-7 * x)

    sizes = np.array([400.0, 1.5 * payload_bit, 7.5 * payload_bit])  # none on the edge of a packet
    model = learned()
    for _ in range(4 * EVERY):
        packet_bit = model.structure.payload_max_bit
        transfer(model, 2000.0 if packet_bit is None else packet_bit, cost, payload_bit)
    packet_bit = model.structure.payload_max_bit
    assert packet_bit is not None
    assert payload_bit / NARROW <= packet_bit <= payload_bit
    assert model.structure.c_packet == pytest.approx(0.005, rel=1e-3)
    structure = dataclasses.replace(model.structure, payload_max_bit=payload_bit)
    assert np.allclose(StructuredCost(structure)(sizes), [cost(x) for x in sizes], rtol=1e-3)


def test_what_a_packet_holds_is_asked_in_the_same_messages() -> None:
    """4, 8, 16 ... where the best fills it; else never: a packet more is dear, for all who wait for it, too."""
    for share, expected in ((1.0, [4, 8]), (0.6, [])):
        model, asked = learned(), []
        for i in range(32):
            known = model.structure.payload_max_bit
            best = share * (known or 1500.0)
            size = transfer(model, best, lambda x: 0.005 * np.ceil(x / 1024), 1024.0)
            if known is not None and size > best + 8:
                asked.append(i)
        assert asked[: len(expected)] == expected
        assert all(i & (i - 1) == 0 for i in asked)
        assert bool(asked) == bool(expected)


def test_three_sizes_tell_packets_from_bits() -> None:
    """Of one packet a small and a large message, and one of two: all constants of an 802.15.4 frame to 0.1 %."""
    model = learned()
    for size, packets in ((800.0, 1), (480.0, 1), (1200.0, 2)):
        model.observe_packets(size, -0.001184 + 0.003168 * packets + 4e-6 * size, packets)
    found = model.structure
    assert (found.c0, found.c_packet, found.c_bit) == pytest.approx((-0.001184, 0.003168, 4e-6), rel=1e-3)
    assert found.payload_max_bit == 800.0


def test_packets_that_hold_unlike_much_never_seem_to_hold_more() -> None:
    """A first fragment with 30 bytes of headers: what is known to fit the fewest packets is taken."""
    model = learned()
    for _ in range(60):
        size = 8.0 * np.ceil(model.explore(model.structure.payload_max_bit or 700.0) / 8)
        packets = int(np.ceil((240 + size) / 800))
        model.observe_packets(size, 0.003 * packets + 4e-6 * size, packets)
    for size in (1360.0, 2160.0):
        model.observe_packets(size, 0.003 * (240 + size) / 800 + 4e-6 * size, int((240 + size) / 800))
    model._learn()
    assert 560.0 / NARROW <= model.structure.payload_max_bit <= 560.0  # type: ignore[operator]


def test_the_engine_says_how_many_packets_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    observe = LearnedCost.observe_packets

    def watched(self: LearnedCost, message_bit: float, value: float, packets: int) -> None:
        seen.append((message_bit, packets))
        observe(self, message_bit, value, packets)

    monkeypatch.setattr(LearnedCost, "observe_packets", watched)
    point = study("stop.rounds=6")["packets"]
    simulate(point, point.algorithms[1], 0, point.problem.open(point.seed))
    assert {packets for _, packets in seen} == {1, 2}
    assert all(packets == np.ceil(size / 1024) for size, packets in seen)


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
            size, value = 8.0 * rng.integers(9, 900), float(rng.lognormal(0, 2))
            model.observe_packets(size, value, int(rng.integers(1, 5)) if seed % 2 else 1)
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


def test_a_new_rate_is_noticed_behind_a_large_constant() -> None:
    """Half as dear again is no factor of two, but more than the model is ever off."""
    model = learned()
    for _ in range(40):
        transfer(model, 3000.0, lambda x: 0.05 + x / 1e6)
    for _ in range(8):
        transfer(model, 3000.0, lambda x: 0.05 + x / 1e5)
    assert model.changes == 1
    assert np.allclose(model(SIZES), 0.05 + SIZES / 1e5, rtol=1e-6)


def test_noise_is_no_new_link() -> None:
    for seed in range(4):
        rng, model = np.random.default_rng(seed), learned()
        for _ in range(300):
            transfer(model, 2000.0, lambda x, rng=rng: (0.002 + 1e-6 * x) * rng.uniform(0.6, 1.4))
        assert model.changes == 0


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
    messages = result.messages().to_pydict()
    sizes = [s for s, src, k in zip(messages["payload_bytes"], messages["src"], messages["kind"], strict=True)
             if src == 0 and k == "update"]  # fmt: skip
    assert 0.5 * sizes[0] < sizes[1] < 0.7 * sizes[0]
    assert sizes[2] > sizes[0]  # what a constant makes dear is sent in fewer messages


LINKS = ("ethernet", "packets", "ieee802154", "tdma", "wan", "tcp")
RETUNED = 6  # transfers that began after the rate dropped
NEAR = 0.01  # of the progress per second that the link's own cost would give


def study(*overrides: str) -> dict[str, Any]:
    """Points of the study by the label of the uplink."""
    return {point.name.partition("=")[2]: point.scenario for point in points(load("studies/learned_cost", overrides))}


def seconds_to_target(scenario: Any, seeds: range) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Shape (2, seeds): with the link's own cost, and with the learned one."""
    found = []
    for seed in seeds:
        problem = scenario.problem.open(seed)
        runs = [simulate(dataclasses.replace(scenario, seed=seed), a, 0, problem) for a in scenario.algorithms]
        assert [run.status for run in runs] == ["reached", "reached"]
        found.append([run.sim_time_s for run in runs])
    return np.array(found).T


def ratio_of_means(own: Any, other: Any) -> tuple[float, float]:
    """sum(other) / sum(own) of pairs, and the upper end of its 95 % confidence interval.

    Its variance is that of other - ratio * own over n mean(own)^2 (Cochran, Sampling Techniques, section 6.4), the
    quantile Student's with n - 1 degrees of freedom.
    """
    from scipy.stats import t

    ratio, n = other.sum() / own.sum(), own.size
    error = (other - ratio * own).std(ddof=1) / own.mean() / np.sqrt(n)
    return float(ratio), float(ratio + t.ppf(0.975, n - 1) * error)


def test_the_upper_limit_covers() -> None:
    """The true ratio 1.05 is above the upper end in 2.5 % of 2000 samples of 20: more than 4 % has probability 3e-5."""
    rng = np.random.default_rng(6)
    own = rng.normal(1.0, 0.1, (2000, 20))
    other = 1.05 * own + rng.normal(0.0, 0.05, own.shape)
    found = [ratio_of_means(a, b) for a, b in zip(own, other, strict=True)]
    assert 0.01 < np.mean([upper < 1.05 for _, upper in found]) < 0.04
    assert np.mean([ratio for ratio, _ in found]) == pytest.approx(1.05, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize("label", LINKS)
def test_learning_costs_at_most_a_tenth(label: str) -> None:
    """Seconds to target over those with the link's own cost, 20 seeds: upper 95 % limit <= 1.10.

    The seeds are others than those on which the sizes to try out were chosen (0 to 19).
    """
    ratio, upper = ratio_of_means(*seconds_to_target(study()[label], range(100, 120)))
    print(f"{label}: {ratio:.3f}, upper limit {upper:.3f}")
    assert upper <= 1.10


def budgets_after_the_drop(
    monkeypatch: pytest.MonkeyPatch, seed: int, transport: str = "plain", drop_s: float | None = None
) -> list[npt.NDArray[np.float64]]:
    """Of each worker's messages that began after the rate dropped: T, that of the link's own cost, and what T loses.

    T is what the learned cost gives, before another size is tried out. Lost is a share of the progress per second, by
    the link's own cost at the new rate and the same gradient: near its highest point the curve is flat, and T may be
    off by some coordinates for nothing.
    """
    scenario = study("record.messages=true", "stop.rounds=90", "stop.target.loss_gap=1e-9")["drop"]
    first, last = scenario.network.uplink.trace
    last = dataclasses.replace(last, from_s=drop_s or last.from_s)
    uplink = dataclasses.replace(scenario.network.uplink, transport=transport, trace=(first, last))
    scenario = dataclasses.replace(scenario, seed=seed, network=dataclasses.replace(scenario.network, uplink=uplink))
    after = dataclasses.replace(uplink, trace=None, rate_bps=(last.rate_bps,) * 4)
    nodes = [Node(i, i == 4) for i in range(5)]
    own = after.open(nodes, np.random.default_rng(0)).cost("s", 0, 4)
    seen: dict[int, list[tuple[float, float, float]]] = {}

    def watched(g: Any, variant: Any, size: Any, cost: Any, **how: Any) -> Any:
        choice = tune(g, variant, size, cost, **how)
        budgets = np.array([choice.budget, tune(g, variant, size, own).budget])
        ours, best = efficiency(g, variant, size, own, budgets)
        seen.setdefault(id(cost), []).append((budgets[0], budgets[1], 1.0 - ours / best))
        return choice

    with monkeypatch.context() as patch:
        patch.setattr(cat, "tune", watched)
        result = simulate(scenario, scenario.algorithms[1], 0, scenario.problem.open(seed))
    messages = result.messages().to_pydict()
    columns = zip(messages["src"], messages["kind"], messages["sent_s"], strict=True)
    updates = [(src, sent_s) for src, kind, sent_s in columns if kind == "update"]
    before = [sum(src == worker and sent_s < last.from_s for src, sent_s in updates) for worker in range(4)]
    return [np.array(budgets[skip:]) for budgets, skip in zip(seen.values(), before, strict=True)]


def transfers_to_retune(found: npt.NDArray[np.float64]) -> int:
    """After how many transfers T stays as good as that of the link's own cost."""
    return int(np.flatnonzero(found[:, 2] > NEAR)[-1]) + 1


def test_cat_is_tuned_again_soon_after_the_rate_drops_tenfold(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a run: from the seventh transfer on T is as good as that of the link's own cost at the new rate."""
    for found in budgets_after_the_drop(monkeypatch, 11):
        ours, own, lost = found.T
        assert len(found) > 2 * RETUNED
        assert ours[0] > 1.5 * own[0]  # a dear bit wants smaller messages
        assert lost[:3].min() > 0.05
        assert 3 <= transfers_to_retune(found) <= RETUNED
        assert np.median(np.abs(ours / own - 1)[RETUNED:]) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("transport", "drop_s"), [("plain", 0.15), ("plain", 0.4), ("tcp", 0.5)])
def test_every_node_is_tuned_again_soon(monkeypatch: pytest.MonkeyPatch, transport: str, drop_s: float) -> None:
    """The same for 20 seeds with four nodes each."""
    found = [f for seed in range(100, 120) for f in budgets_after_the_drop(monkeypatch, seed, transport, drop_s)]
    transfers = sorted(map(transfers_to_retune, found))
    before, after = (np.concatenate([f[part, 2] for f in found]) for part in (slice(3), slice(RETUNED, None)))
    print(f"{transport}, after {drop_s} s: {transfers}, lost {before.mean():.3f}, then at most {after.max():.4f}")
    assert len(transfers) == 80
    assert transfers[-1] <= RETUNED


# --- a wrong cost ----------------------------------------------------------------------------------------------


def test_a_wrong_slope_is_the_inverse_wrong_constant() -> None:
    """c_bit off by 10 gives the same run as c0 off by 1/10, so that the study's one axis is for both."""
    scenario = points(load("studies/wrong_cost", ["stop.rounds=10"]))[1].scenario
    constant = scenario.algorithms[1]
    slope = dataclasses.replace(
        constant.algorithm, cost=build("cost", {"name": "affine", "c0": 1.592e-3, "c_bit": 1e-5})
    )
    assert constant.algorithm.cost.c0 == pytest.approx(1.592e-4)
    problem = scenario.problem.open(scenario.seed)
    runs = [
        simulate(scenario, entry, 0, problem).tables["rounds"]
        for entry in (constant, dataclasses.replace(constant, algorithm=slope))
    ]
    for column in ("budget", "sim_time_s", "loss"):
        assert runs[0][column].to_pylist()[1:] == runs[1][column].to_pylist()[1:]


def test_the_regret_of_a_wrong_cost_is_a_figure(tmp_path: Path) -> None:
    """The page draws the time to the target over c0: a line of the right model and one of the wrong ones."""
    overrides = ["stop.target.loss_gap=0.2", "sweep={'algorithms[1].cost.c0': [1.592e-5, 1.592e-3, 1.592e-1]}"]
    study_run(load("studies/wrong_cost", overrides), tmp_path)
    page = report.write(tmp_path).read_text("utf-8")
    start = page.index("To the target, over the sweep")
    figures = re.findall(r"<figure.*?</figure>", page[start : page.index("</section>", start)], re.DOTALL)
    (time,) = [figure for figure in figures if ">seconds to the target over c0</title>" in figure]
    assert re.findall(r'<g class="c"[^>]* data-s="([^"]*)"', time) == ["right", "wrong c0", "learned"]
    assert ">c0</text>" in time


@pytest.mark.slow
def test_the_regret_of_a_wrong_cost() -> None:
    """What the study's finding says: time over that with the right constant, by factor."""
    found = []
    for point in points(load("studies/wrong_cost")):
        problem = point.scenario.problem.open(point.scenario.seed)
        right, wrong = (simulate(point.scenario, a, 0, problem).sim_time_s for a in point.scenario.algorithms[:2])
        found.append(wrong / right)
    assert found == pytest.approx([1.84, 1.19, 1.02, 1.0, 1.0, 1.13, 1.23], abs=0.005)


def test_bad_keys() -> None:
    for keys in ({"quantity": "bits"}, {"window": 4}, {"prior_bit": -1}):
        with pytest.raises(ConfigError, match=f"{next(iter(keys))}: "):
            build("cost", {"name": "learned", **keys})
    assert Learned().open(None) is not None
