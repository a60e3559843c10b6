"""Agents seen at work: their states after every round, on links that delay every message at random."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netsim.interfaces import Array, GradientRequest, NodeId, Report
from netsim.scenario import ComputeModel, Distribution, Network
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine
from tests.support.toys import Jitter, ToyProblem, scenario

Look = Callable[[int, Any, list[Any]], None]


class LoggedProblem(ToyProblem):
    """A toy problem that keeps every gradient it hands out.

    Attributes
    ----------
    log : gradients by node, in order.
    """

    def __init__(self, *args: Any, **keys: Any) -> None:
        super().__init__(*args, **keys)
        self.log: dict[NodeId, list[Array]] = {node: [] for node in range(self.num_nodes)}

    def gradients(self, requests: Sequence[GradientRequest]) -> list[Array]:
        found = super().gradients(requests)
        for request, g in zip(requests, found, strict=True):
            self.log[request.node].append(g)
        return found


def watch(algorithm: Mapping[str, Any], problem: ToyProblem, rounds: int, look: Look) -> None:
    """Run an algorithm with random delays and speeds; `look` gets round, server and workers at every report.

    A report of round r comes when the server has made its r-th step; the workers have then sent their uploads of round
    r - 1 and wait for the next model.
    """
    base = scenario(algorithm, nodes=problem.num_nodes, stop={"rounds": rounds})
    slow = ComputeModel(gradient_s=Distribution("exponential", mean_s=0.2))
    base = dataclasses.replace(base, network=Network(link=Jitter(), silence="flag"), compute=slow)
    engine = Engine(base, base.algorithms[0], 0, problem)
    inner = engine.recorder.report

    def report(node: NodeId, told: Report, *rest: Any) -> bool:
        if told.estimate is not None:
            agents = [engine.actors[m].agent for m in range(problem.num_nodes)]
            look(told.round, engine.actors[node].agent, agents)
        return inner(node, told, *rest)

    engine.recorder.report = report  # type: ignore[assignment, method-assign]
    result = engine.run()
    assert result.status == "done", result.sentence


def trace(algorithm: Mapping[str, Any], problem: ToyProblem, rounds: int, **keys: Any) -> lockstep.Trace:
    """Run an algorithm without a network."""
    base = scenario(algorithm, nodes=problem.num_nodes, **keys)
    return lockstep.run(base, base.algorithms[0], problem, rounds)


def iterates(algorithm: Mapping[str, Any], problem: ToyProblem, rounds: int, **keys: Any) -> Array:
    """Return what the server reports, shape (rounds + 1, dim)."""
    return np.array([x for _, _, x in trace(algorithm, problem, rounds, **keys).reports])


def uploaders(seen: lockstep.Trace, rounds: int) -> list[set[NodeId]]:
    """Return who uploaded in each round."""
    found: list[set[NodeId]] = [set() for _ in range(rounds)]
    for message in seen.messages:
        if message.kind == "update" and message.round < rounds:
            found[message.round].add(message.src)
    return found
