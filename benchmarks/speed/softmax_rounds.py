"""Whole rounds of softmax regression: the share of the products, and QSGD against numpy and packets in simpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from algorithms.problems.softmax_regression import SoftmaxProblem, SoftmaxRegression
from benchmarks.speed import packet_level, resources
from benchmarks.speed.case import Case, Rival
from benchmarks.speed.plain_rounds import Outcome
from benchmarks.speed.plain_softmax import PlainSoftmax
from netsim.interfaces import Data, DataFile, GradientRequest, Problem
from netsim.rng import stream
from netsim.scenario import Scenario, parse_text
from netsim.simulation.engine import Engine
from netsim.units import NS_PER_S, seconds_to_ns

WORK = "a softmax round"
NOTES = (
    "softmax regression, 200 workers with minibatches of 3 of 30 samples of 784 features and 10 classes, as MNIST has;",
    "first gradient descent on ideal links beside its calls of the problem alone: the ratio is the share of a round",
    "that is spent in products, at least 0.6 is wanted; then QSGD of 4 bits over UDP, wires of 100 Mbit/s, a server's",
    "port of 1 Gbit/s, 1 ms, against the same in numpy and SimPy: plain and lean as above; equal clocks, own draws",
)

_SCENARIO = """
name: softmax-rounds
seed: 1
problem: {{name: quadratic, dim: 2, nodes: {workers}}}
network: {{uplink: {link}, downlink: {link}}}
compute: {{gradient_s: {gradient_s}}}
algorithms:
  - {algorithm}
stop: {{rounds: {rounds}}}
record: {{every: {rounds}}}
"""
_RATE_BPS, _PORT_BPS, _DELAY_S, _GRADIENT_S, _STEP, _LEVELS = 10**8, 10**9, 0.001, 0.01, 0.05, 7
_ETHERNET = f"{{name: ethernet_udp, rate_bps: {_RATE_BPS}, server_rate_bps: {_PORT_BPS}, delay_s: {_DELAY_S}}}"
_GD = f"{{name: gd, step_size: {_STEP}}}"
_QSGD = f"{{name: dcgd, step_size: {_STEP}, compressor: {{name: qsgd, levels: {_LEVELS}}}, broadcast: dense}}"
_FULL = {"workers": 200, "rounds": 20, "samples": 30, "features": 784, "classes": 10, "batch": 3}
_SMALL = {"workers": 4, "rounds": 3, "samples": 6, "features": 20, "classes": 3, "batch": 2}


@dataclass(frozen=True)
class _Clouds:
    """Samples around one point a class; four of five features are zero in all of them, as at a picture's edge."""

    samples: int
    features: int
    classes: int

    def load(self, rng: np.random.Generator) -> Data:
        """Draw the samples."""
        labels = rng.integers(self.classes, size=self.samples)
        labels[: self.classes] = np.arange(self.classes)
        inside = rng.random(self.features) < 0.8
        centres = rng.random((self.classes, self.features))
        features = np.clip(centres[labels] + 0.3 * rng.standard_normal((self.samples, self.features)), 0, 1) * inside
        return Data(features, labels.astype(np.float64), "clouds")

    def wants(self) -> tuple[DataFile, ...]:
        """Return no file."""
        return ()


def cases(small: bool = False) -> Iterator[Case]:
    """Gradient descent beside its products, and QSGD beside scripts."""
    size = _SMALL if small else _FULL
    clouds = _Clouds(size["workers"] * size["samples"], size["features"], size["classes"])
    config = SoftmaxRegression(dataset=clouds, l2=0.0, nodes=size["workers"], batch=size["batch"])
    problem, setting = config.open(1), f"M = {size['workers']}, d = {size['features'] * size['classes']:,}"
    gd, qsgd = _scenario(size, "ideal", _GD, 0.0), _scenario(size, _ETHERNET, _QSGD, _GRADIENT_S)
    products = Rival("its products alone", _Products(problem, size["rounds"]), 0.6, None)
    yield Case(f"{setting}, gd", lambda: _ours(gd, problem), (products,), size["rounds"])
    plain = PlainSoftmax(
        problem=problem,
        batch=size["batch"],
        levels=_LEVELS,
        step=_STEP,
        rounds=size["rounds"],
        seed=1,
        rate_bps=_RATE_BPS,
        port_bps=_PORT_BPS,
        delay_ns=seconds_to_ns(_DELAY_S),
        gradient_ns=seconds_to_ns(_GRADIENT_S),
        network=packet_level,
    )
    textbook = dataclasses.replace(plain, network=resources)
    yield Case(
        f"{setting}, QSGD of 4 bits",
        lambda: _ours(qsgd, problem),
        (
            Rival("numpy + SimPy, plain", textbook.run, 15.0, _agree),
            Rival("numpy + SimPy, lean", plain.run, None, _agree),
        ),
        size["rounds"],
    )


class _Products:
    """All gradients of a run, at the start, on minibatches drawn before."""

    def __init__(self, problem: SoftmaxProblem, rounds: int) -> None:
        rngs, start = [stream(1, 0, m, "data") for m in range(problem.num_nodes)], problem.start()
        self._problem, self._rounds = problem, list[Sequence[GradientRequest]]()
        for _ in range(rounds):
            self._rounds.append([GradientRequest(m, start, problem.draw_batch(m, rng)) for m, rng in enumerate(rngs)])

    def __call__(self) -> None:
        for requests in self._rounds:
            for _gradient in self._problem.gradients(requests):
                pass


def _scenario(size: dict[str, int], link: str, algorithm: str, gradient_s: float) -> Scenario:
    keys = {"workers": size["workers"], "rounds": size["rounds"]}
    return parse_text(_SCENARIO.format(link=link, algorithm=algorithm, gradient_s=gradient_s, **keys))


def _ours(scenario: Scenario, problem: Problem) -> Outcome:
    engine = Engine(scenario, scenario.algorithms[0], 0, problem)
    result = engine.run()
    server: Any = engine.actors[problem.num_nodes].agent
    losses = result.tables["rounds"].column("loss").to_pylist()
    return Outcome(server.x, losses, round(result.sim_time_s * NS_PER_S))


def _agree(one: Outcome, other: Outcome) -> bool:
    """The same simulated nanosecond; losses to a hundredth, as the levels are drawn independently."""
    return one.end_ns == other.end_ns and bool(np.allclose(one.losses, other.losses, rtol=1e-2, atol=0.0))
