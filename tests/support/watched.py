"""A run whose agents a test looks at after every instant, when all that belongs to it has happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netsim.interfaces import Array
from netsim.scenario import Scenario
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine, RunResult
from tests.support.toys import ToyProblem, scenario


class Watched(Engine):
    """An engine that calls `look` with itself after every instant."""

    look: Callable[[Engine], None]

    def _settle(self) -> None:
        super()._settle()
        self.look(self)

    def agent(self, node: int) -> Any:
        """The agent of one node."""
        return self.actors[node].agent


def watch(base: Scenario, problem: Any, look: Callable[[Any], None], replication: int = 0) -> RunResult:
    """Run a scenario's first algorithm and look at it after every instant."""
    engine = Watched(base, base.algorithms[0], replication, problem)
    engine.look = look
    return engine.run()


def iterates(algorithm: Mapping[str, Any], problem: ToyProblem, rounds: int, **keys: Any) -> list[Array]:
    """What the server reports in lockstep, round by round."""
    base = scenario(algorithm, nodes=problem.num_nodes, **keys)
    return [estimate for _, _, estimate in lockstep.run(base, base.algorithms[0], problem, rounds).reports]
