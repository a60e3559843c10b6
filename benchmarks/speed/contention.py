"""Contending IEEE 802.15.4 nodes against one simpy process a node, and a learning run against its kernel alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import eq
from typing import Any

import numpy as np

from benchmarks.speed.case import Case, Rival
from channels.macs import csma_ca
from netsim import registry
from netsim.interfaces import GradientRequest, Node
from netsim.rng import stream
from netsim.scenario import parse_text
from netsim.simulation.engine import Engine

WORK = "contention"
NOTES = (
    "nodes x frames of 100 bytes to one sink, all from the start; equal: every MAC counter and delivery",
    "learn: 50 rounds of gradient descent, against twice the kernel alone, with the same messages at the same instants",
    "in one compiled call, and once the gradients alone; equal: every MAC counter",
)

_FOREVER_NS = 10**15


def cases(small: bool = False) -> Iterator[Case]:
    """Saturated senders, with and without requeueing, and capture for information."""
    if small:
        yield _case(3, 4, 3.0)
        yield _learning("one frame a message", _PROBLEMS["one frame a message"], 4, 3)
        return
    for nodes in (2, 10, 50, 100):
        yield _case(nodes, 300, 100.0)
    yield _case(10, 100, None, reliable=True)
    yield _case(10, 100, None, collisions="capture")
    for name, problem in _PROBLEMS.items():
        yield _learning(name, problem, 20, 50)


_PROBLEMS = {
    "one frame a message": "{name: quadratic, dim: 12, nodes: NODES}",
    "the quick start's digits": (
        "{name: logistic_regression, dataset: {name: digits, positive_class: 0, interactions: true}, l2: 1.0e-3,"
        " nodes: NODES, partition: iid}"
    ),
}
_LEARNING = """
name: contention
seed: 1
problem: PROBLEM
network:
  link: {name: ieee802154, mac: csma_ca}
compute: {gradient_s: 3 ms}
algorithms:
  - {name: gd}
stop: {rounds: ROUNDS}
"""


def _learning(name: str, problem_text: str, nodes: int, rounds: int) -> Case:
    from benchmarks.speed.contention_alone import Alone, Recorded, counters

    text = _LEARNING.replace("PROBLEM", problem_text).replace("NODES", str(nodes)).replace("ROUNDS", str(rounds))
    scenario = parse_text(text)
    problem = scenario.problem.open(scenario.seed)

    def engine() -> Engine:
        return Engine(scenario, scenario.algorithms[0], 0, problem)

    def ours() -> dict[str, list[int]]:
        one = engine()
        one.run()
        return counters(one.world.media[0])

    first, requests, real = engine(), list[Sequence[GradientRequest]](), problem.gradients
    noted = Recorded(first.world.media[0])  # type: ignore[arg-type]

    def gradients(asked: Sequence[GradientRequest]) -> Sequence[Any]:
        requests.append(asked)
        return real(asked)

    problem.gradients = gradients  # type: ignore[method-assign]
    first.run()
    del problem.gradients
    channel: Any = scenario.network.link
    cell = [Node(n, n == nodes) for n in range(nodes + 1)]
    alone = Alone(lambda: channel.open(cell, stream(scenario.seed, 0, 0, "channel")), noted.calls, first.now_ns)

    def wanted() -> dict[str, list[int]]:
        alone()
        for asked in requests:
            list(problem.gradients(asked))
        return alone()

    rivals = (
        Rival("twice kernel, gradients", wanted, 1.0, eq),
        Rival("the kernel alone", alone, None, eq),
    )
    return Case(f"{nodes} learn: {name}", ours, rivals)


def _case(nodes: int, frames: int, target: float | None, reliable: bool = False, collisions: str = "strict") -> Case:
    keys = {"mac": "csma_ca", "reliable": reliable, "collisions": collisions}
    channel: Any = registry.build("channel", {"name": "ieee802154", **keys})
    cell = [Node(n, n == nodes) for n in range(nodes + 1)]

    def play(medium: Any) -> tuple[Any, dict[str, list[int]]]:
        for src in range(nodes):
            medium.submit(0, src, (nodes,), 100 * frames)
        ended = list(medium.advance(_FOREVER_NS))
        return ended, {name: list(map(int, column)) for name, column in medium.counters().items()}

    def ours() -> Any:
        return play(channel.open(cell, np.random.default_rng(0)))

    def by_process() -> Any:
        from tests.support.csma_twin import Twin

        real = csma_ca.ContendingNodes
        csma_ca.ContendingNodes = Twin  # type: ignore[misc, assignment]
        try:
            return play(channel.open(cell, np.random.default_rng(0)))
        finally:
            csma_ca.ContendingNodes = real  # type: ignore[misc]

    name = f"{nodes} x {frames}, {collisions}{', requeued' if reliable else ''}"
    return Case(name, ours, (Rival("SimPy, a process a node", by_process, target, eq),))
