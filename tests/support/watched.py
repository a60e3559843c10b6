"""A run whose agents a test looks at after every instant, when all that belongs to it has happened."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netsim.interfaces import Array, Gradient
from netsim.scenario import Scenario
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine, RunResult
from tests.support.toys import ToyProblem, scenario

SLOW = {"gradient_s": {"distribution": "exponential", "mean_s": 0.2}}
WIRES = {"link": {"name": "wan", "transport": "plain", "rate_bps": 2000.0, "rtt_s": 0.1}}


class Watched(Engine):
    """An engine that calls `look` with itself after every instant."""

    look: Callable[[Engine], None]

    def _settle(self) -> None:
        super()._settle()
        self.look(self)

    def agent(self, node: int) -> Any:
        """The agent of one node."""
        return self.actors[node].agent


def watch(
    base: Scenario, problem: Any, look: Callable[[Any], None], begin: Callable[[Any], None] = lambda _: None
) -> RunResult:
    """Run a scenario's first algorithm, look at it after every instant, and once before the first."""
    engine = Watched(base, base.algorithms[0], 0, problem)
    engine.look = look
    begin(engine)
    return engine.run()


def iterates(algorithm: Mapping[str, Any], problem: ToyProblem, rounds: int, **keys: Any) -> list[Array]:
    """What the server reports in lockstep, round by round."""
    base = scenario(algorithm, nodes=problem.num_nodes, **keys)
    return [estimate for _, _, estimate in lockstep.run(base, base.algorithms[0], problem, rounds).reports]


def reported(base: Scenario, problem: ToyProblem, server: int | None = None) -> list[Array]:
    """The server's model at each of its reports in the engine."""
    seen: list[Array] = []
    node = problem.num_nodes if server is None else server

    def look(engine: Any) -> None:
        if engine.recorder.rounds + 1 != len(seen):
            seen.append(engine.agent(node).x)

    watch(base, problem, look)
    return seen


class Books:
    """What should be at the server, from all gradients taken so far.

    Parameters
    ----------
    engine
        Of the run, watched from its first instant on.
    """

    def __init__(self, engine: Any, nodes: int) -> None:
        self.engine, self.nodes = engine, nodes
        self.start = engine.world.facts.start
        self.total = np.zeros((nodes, self.start.size))
        self.at: dict[int, Array] = {}
        inner = engine.world.request

        def request(node: int, command: Gradient) -> Any:
            self.at[node] = command.at
            return inner(node, command)

        engine.world.request = request
        for node in range(nodes):
            agent = engine.agent(node)
            agent.changed = self.counting(node, agent)

    def counting(self, node: int, agent: Any) -> Callable[[Array, Array], Array]:
        steps = itertools.count()

        def changed(x: Array, g: Array) -> Array:
            self.total[node] += agent.gamma(next(steps)) * g
            return g

        return changed

    def gap(self) -> float:
        """|X - mean e - sum (x_m - xh_m) / M - sum of what is under way / M - x^0 + mean sum_t gamma_t g_t|."""
        engine, dim, n = self.engine, self.start.size, self.nodes
        left = engine.agent(n).exact - self.start + self.total.mean(axis=0)
        for node in range(n):
            agent = engine.agent(node)
            left = left - (0 if agent.memory is None else agent.memory.error) / n
            if engine.actors[node].waiting is None:
                left = left - (agent.x - self.at[node]) / n
        flying = [f.message.data for f in engine.traffic.under_way() if f.message.kind == "update"]
        for data in [*flying, *(message.data for message in engine.actors[n].mailbox.messages)]:
            left = left - engine.agent(0).codec.decode(data, dim) / n
        return float(np.abs(left).max())
