"""Whole rounds of logistic regression in the engine, against numpy, scipy and packets in simpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.speed import resources
from benchmarks.speed.case import Case, Rival
from benchmarks.speed.plain_rounds import Outcome, PlainRounds, from_the_end, from_the_start
from netsim.rng import stream
from netsim.scenario import parse_text
from netsim.simulation.engine import Engine
from netsim.units import NS_PER_S, seconds_to_ns

WORK = "a whole round"
NOTES = (
    "logistic regression, 100 workers with minibatches of 32 of 203 rows, about 75 nonzeros each; each uploads its 472",
    "largest entries and downloads the model by UDP, wires of 100 Mbit/s, a server's port of 1 Gbit/s, 1 ms; against a",
    "script with scipy.sparse, np.argpartition(|g|, -k)[-k:] and SimPy: plain, a Resource a link, a process a packet;",
    "lean, two timeouts a packet and nothing else; and lean with (-|g|, k)[:k], which is quick on zeros",
)

_SCENARIO = """
name: whole-rounds
seed: 1
problem:
  name: logistic_regression
  dataset: {{name: synthetic_sparse, num_rows: {rows}, num_features: {dim}, nonzeros_per_row: {nonzeros}}}
  l2: 0.0
  nodes: {workers}
  partition: contiguous
  batch: {batch}
network:
  uplink: {{name: ethernet_udp, rate_bps: {rate}, server_rate_bps: {port}, delay_s: {delay_s}}}
  downlink: {{name: ethernet_udp, rate_bps: {rate}, server_rate_bps: {port}, delay_s: {delay_s}}}
compute: {{gradient_s: {gradient_s}}}
algorithms:
  - {{name: fixed_budget, variant: sparsify, budget: {budget}, step_size: {step}, broadcast: dense}}
stop: {{rounds: {rounds}}}
record: {{every: {rounds}}}
"""
_RATE_BPS, _PORT_BPS, _DELAY_S, _GRADIENT_S, _STEP = 10**8, 10**9, 0.001, 0.01, 40.0
_FULL = {"rows": 20_242, "dim": 47_236, "nonzeros": 79, "workers": 100, "batch": 32, "budget": 472, "rounds": 10}
_SMALL = {"rows": 200, "dim": 3000, "nonzeros": 40, "workers": 5, "batch": 8, "budget": 30, "rounds": 3}


def cases(small: bool = False) -> Iterator[Case]:
    """One scenario, beside a script with either spelling of the selection."""
    size = _SMALL if small else _FULL
    scenario = parse_text(_text(size))
    problem = scenario.problem.open(scenario.seed)
    problem_config: Any = scenario.problem
    data = problem_config.dataset.load(stream(scenario.seed, 0, -1, "dataset"))

    def ours() -> Outcome:
        engine = Engine(scenario, scenario.algorithms[0], 0, problem)
        result = engine.run()
        server: Any = engine.actors[problem.num_nodes].agent
        losses = result.tables["rounds"].column("loss").to_pylist()
        return Outcome(server.x, losses, round(result.sim_time_s * NS_PER_S))

    plain = PlainRounds(
        features=data.features,
        labels=data.labels,
        workers=size["workers"],
        batch=size["batch"],
        budget=size["budget"],
        step=_STEP,
        rounds=size["rounds"],
        every=size["rounds"],
        seed=scenario.seed,
        rate_bps=_RATE_BPS,
        port_bps=_PORT_BPS,
        delay_ns=seconds_to_ns(_DELAY_S),
        gradient_ns=seconds_to_ns(_GRADIENT_S),
        largest=from_the_start,
    )
    usual = dataclasses.replace(plain, largest=from_the_end)
    textbook = dataclasses.replace(usual, network=resources)
    yield Case(
        f"M = {size['workers']}, d = {size['dim']:,}, top 1 %",
        ours,
        (
            Rival("numpy + SimPy, plain", textbook.run, 20.0, _agree),
            Rival("numpy + SimPy, lean", usual.run, 20.0, _agree),
            Rival("numpy, lean, best on zeros", plain.run, 20.0, _agree),
        ),
        size["rounds"],
    )


def _text(size: dict[str, int]) -> str:
    links = {"rate": _RATE_BPS, "port": _PORT_BPS, "delay_s": _DELAY_S, "gradient_s": _GRADIENT_S}
    return _SCENARIO.format(**size, **links, step=_STEP)


def _agree(one: Outcome, other: Outcome) -> bool:
    """The same simulated nanosecond; iterates and losses to 1e-9."""
    same_x = np.allclose(one.x, other.x, rtol=0.0, atol=1e-9 * float(np.abs(other.x).max()))
    return one.end_ns == other.end_ns and same_x and np.allclose(one.losses, other.losses, rtol=1e-9, atol=0.0)
