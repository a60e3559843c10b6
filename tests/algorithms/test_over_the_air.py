"""Sums over the air: digital where there is no noise, noise, fading, time and energy by their laws."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from netsim.errors import ConfigError
from netsim.interfaces import Node, Receive
from netsim.registry import build
from netsim.scenario import parse_text
from netsim.simulation.engine import Engine
from tests.support.toys import ToyProblem, scenario
from tests.support.watch import LoggedProblem
from tests.support.watched import reported, watch

Floats = npt.NDArray[np.float64]
NODES, DIM, W = 5, 40, 1e5


def of(algorithm: dict[str, Any], rounds: int = 20, **air: Any) -> Any:
    link = {"name": "over_the_air", "bandwidth_hz": W, **air}
    return scenario(algorithm, nodes=NODES, stop={"rounds": rounds}, network={"link": link, "silence": "free"})


def analog(**keys: Any) -> dict[str, Any]:
    return {"name": "over_the_air_sgd", "step_size": 0.1, "broadcast": "dense", **keys}


def models(base: Any, dim: int = DIM) -> list[Floats]:
    return reported(base, ToyProblem(NODES, dim), NODES)


@pytest.mark.parametrize("bits", [32, 64])
def test_without_noise_it_is_gradient_descent_bit_for_bit(bits: int) -> None:
    air = {"sample_bytes": bits // 8}
    digital = of({"name": "gd", "step_size": 0.1, "float_bit": bits, "broadcast": "dense"}, **air)
    for a, b in zip(models(of(analog(float_bit=bits), **air)), models(digital), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("amplitude", [1.0, 4.0])
def test_noise_has_the_variance_of_its_closed_form(amplitude: float) -> None:
    """What is left of a step is -gamma z / (a M): variance (gamma sigma / (a M))^2 a coordinate, by a chi-square test.

    200 rounds of 40 coordinates, two-sided at 1e-6.
    """
    noise_w, gamma, rounds = 0.3, 0.1, 200
    problem = ToyProblem(NODES, DIM)
    xs = models(of(analog(float_bit=64, model_bit=64, analog={"amplitude": amplitude}), rounds, noise_w=noise_w,
                   sample_bytes=8))  # fmt: skip
    left = np.stack([b - (a - gamma * problem.full_gradient(a)) for a, b in itertools.pairwise(xs)])
    sigma = gamma * np.sqrt(noise_w) / (amplitude * NODES)
    square = float(((left / sigma) ** 2).sum())
    low, high = stats.chi2.ppf([5e-7, 1 - 5e-7], left.size)
    assert low < square < high
    assert abs(np.corrcoef(left[:-1].ravel(), left[1:].ravel())[0, 1]) < 5 / np.sqrt(left.size)


def test_inversion_undoes_fading_and_without_it_gains_stay() -> None:
    problem, keys = ToyProblem(NODES, DIM), {"float_bit": 64, "model_bit": 64}
    faded = {"fading": "rayleigh", "sample_bytes": 8}
    plain = models(of({"name": "gd", "step_size": 0.1, "broadcast": "dense", **keys}, sample_bytes=8))
    for a, b in zip(models(of(analog(**keys), **faded)), plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    base = of(analog(**keys, analog={"inversion": False}), **faded)
    engine = Engine(base, base.algorithms[0], 0, problem)
    medium: Any = engine.world.media[0]
    engine.run()
    xs = models(base)
    for round, (a, b) in enumerate(itertools.pairwise(xs)):
        gains = medium.gains(round, range(NODES))
        slopes = [problem.curvature[m] * (a - problem.centres[m]) for m in range(NODES)]
        heard = sum(h * g for h, g in zip(gains, slopes, strict=True)) / NODES
        np.testing.assert_allclose(b, a - 0.1 * heard, rtol=1e-9, atol=1e-12)


def medium_of(**keys: Any) -> Any:
    channel: Any = build("channel", {"name": "over_the_air", "bandwidth_hz": W, **keys})
    return channel.open([*map(Node, range(NODES)), Node(NODES, is_server=True)], np.random.default_rng(3))


def test_gains_are_rayleighs_and_drawn_by_node_and_round() -> None:
    """|h|^2 is exponential with mean 1: a Kolmogorov-Smirnov test of 5000 gains at 1e-6."""
    air = medium_of(fading="rayleigh")
    gains = np.concatenate([air.gains(round, range(NODES)) for round in range(1000)])
    assert stats.kstest(gains**2, "expon").pvalue > 1e-6
    assert len(set(gains.tolist())) == gains.size
    np.testing.assert_array_equal(air.gains(7, [3, 1]), air.gains(7, range(NODES))[[3, 1]])


def test_who_has_too_small_a_gain_is_silent() -> None:
    """The server's mean is over those who send; their number is that of gains above the threshold."""
    base = of(analog(analog={"least_gain": 0.8}), 50, fading="rayleigh")
    engine = Engine(base, base.algorithms[0], 0, ToyProblem(NODES, DIM))
    air: Any = engine.world.media[0]
    rows = engine.run().tables["rounds"].to_pydict()
    sent = sum(int((air.gains(round, range(NODES)) >= 0.8).sum()) for round in range(50))
    assert rows["uplink_messages"][-1] == sent
    assert 0 < sent < 50 * NODES
    assert rows["loss"][-1] < rows["loss"][0]


def test_a_power_limit_scales_amplitudes_down() -> None:
    """No message's mean square exceeds P; a limit that binds shortens the step by as much, another is none."""
    problem = ToyProblem(NODES, DIM)
    free, loose, tight = (models(of(analog(float_bit=64), 1, sample_bytes=8, **keys))
                          for keys in ({}, {"power_limit_w": 1e6}, {"power_limit_w": 1e-4}))  # fmt: skip
    np.testing.assert_array_equal(free[1], loose[1])
    slopes = [problem.curvature[m] * (tight[0] - problem.centres[m]) for m in range(NODES)]
    scaled = [g * min(1.0, np.sqrt(1e-4 / np.mean(g**2))) for g in slopes]
    np.testing.assert_allclose(tight[1], tight[0] - 0.1 * np.mean(scaled, axis=0), rtol=1e-6)


@pytest.mark.parametrize("nodes", [1, 5])
def test_time_and_energy_of_a_round_do_not_grow_with_the_senders(nodes: int) -> None:
    """d + 2 channel uses down and d + 2 up, the two being the header; a sender's tx power for as long as it sends."""
    link = {"name": "over_the_air", "bandwidth_hz": W}
    base = scenario(analog(), nodes=nodes, stop={"rounds": 3}, network={"link": link})
    rows = Engine(base, base.algorithms[0], 0, ToyProblem(nodes, DIM)).run().tables["rounds"].to_pydict()
    one_s = (DIM + 2) / W
    assert rows["sim_time_s"] == pytest.approx([2 * r * one_s for r in range(4)], abs=1e-9)
    # The server sends once a round, and each node for one_s as well; the last row is before the next broadcast.
    assert rows["energy_tx_j"][-1] == pytest.approx(3 * (nodes + 1) * one_s * 3.0 * 0.38, rel=1e-6)


def test_votes_over_the_air_are_the_servers_without_noise() -> None:
    keys = {"name": "ssgd_mv", "fraction": 0.25, "local_steps": 2, "step_size": 0.1, "tie_break": "low_index"}
    wide = {"quantiser": {"name": "identity", "float_bit": 64}, "model_bit": 64}
    for own in ({}, {"aggregate": "sum", "step_size": 0.02}, {"warm_up_rounds": 3}):
        digital = models(of({**keys, **wide, **own}, sample_bytes=8))
        air = models(of({**keys, **wide, **own, "collective": "over_the_air"}, sample_bytes=8))
        for a, b in zip(digital, air, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("keys", "sent", "air"),
    [
        ({}, {"amplitude": 2.0}, {"power_limit_w": 1e-4}),
        ({}, {"amplitude": 2.0, "inversion": False}, {"fading": "rayleigh"}),
        ({}, {"amplitude": 2.0, "least_gain": 0.8}, {"fading": "rayleigh"}),
        ({"quantiser": {"name": "identity", "float_bit": 32}}, {}, {"fading": "rayleigh"}),
    ],
    ids=["limit", "faded", "silent", "rounded"],
)
def test_values_that_do_not_arrive_stay_in_the_memory(
    keys: dict[str, Any], sent: dict[str, Any], air: dict[str, Any]
) -> None:
    """Without noise, x + sum e = x^0 - gamma sum_m sum g_m while all wait for a mask, whatever arrived before."""
    own = {"name": "ssgd_mv", "fraction": 0.25, "local_steps": 1, "step_size": 0.02, "aggregate": "sum"}
    own |= {"collective": "over_the_air", "model_bit": 64, "quantiser": {"name": "identity", "float_bit": 64}}
    problem, seen = LoggedProblem(NODES, DIM), set[int]()

    def look(engine: Any) -> None:
        waiting = [engine.actors[m].waiting for m in range(NODES)]
        if not all(isinstance(one, Receive) and one.kind == "mask" for one in waiting):
            return
        (round,) = {one.round for one in waiting}
        left = engine.agent(NODES).x - problem.start()
        for m in range(NODES):
            left = left + engine.agent(m).e + 0.02 * np.sum(problem.log[m][: round + 1], axis=0)
        assert np.abs(left).max() < 1e-11
        seen.add(round)

    watch(of({**own, **keys, "analog": sent}, sample_bytes=8, **air), problem, look)
    assert seen >= set(range(1, 20))


def test_where_all_are_silent_the_model_stays() -> None:
    votes = {"name": "ssgd_mv", "fraction": 0.25, "local_steps": 1, "step_size": 0.1, "collective": "over_the_air"}
    for keys in (votes, analog()):
        base = of({**keys, "analog": {"least_gain": 1e9}}, 5, fading="rayleigh", noise_w=0.1)
        for x in models(base)[1:]:
            np.testing.assert_array_equal(x, models(base)[0])


def test_votes_in_noise_still_learn() -> None:
    keys = {"name": "ssgd_mv", "fraction": 0.25, "local_steps": 2, "step_size": 0.1, "collective": "over_the_air"}
    base = of({**keys, "analog": {"amplitude": 10.0}}, 60, noise_w=0.01, fading="rayleigh", power_limit_w=1e4)
    rows = Engine(base, base.algorithms[0], 0, ToyProblem(NODES, DIM)).run().tables["rounds"].to_pydict()
    assert rows["loss"][-1] < 0.2 * rows["loss"][0]


def test_replications_draw_another_air_and_bad_input_is_said() -> None:
    base = of(analog(), 5, noise_w=0.1)
    first, second, again = (
        Engine(base, base.algorithms[0], r, ToyProblem(NODES, DIM)).run().tables["rounds"].to_pydict()["loss"]
        for r in (0, 1, 0)
    )
    assert first == again
    assert first != second
    with pytest.raises(ConfigError, match="least_gain: 0 without inversion"):
        of(analog(analog={"inversion": False, "least_gain": 0.1}))
    with pytest.raises(ConfigError, match="bandwidth_hz"):
        parse_text("name: x\nproblem: quadratic\nnetwork: {link: over_the_air}\nalgorithms: [gd]\nstop: {rounds: 1}")
