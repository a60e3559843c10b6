"""A hundred networks for one training: replays of a trace, against runs that train beside each network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.speed.case import Case, Rival
from netsim.arrow import numbers
from netsim.scenario import parse_text
from netsim.simulation.engine import RunResult, simulate
from netsim.simulation.replay import Replications

WORK = "replays"
NOTES = (
    "softmax regression on the digits, 200 workers with minibatches of 3, QSGD with 4 levels up a WAN of 270 ms; each",
    "draw gives every node one of five rates; one training and all draws, against the same draws as coupled runs, of",
    "which one is timed",
)

_SCENARIO = """
name: replays
seed: 1
replications: {draws}
vary: [channel]
problem: {{name: softmax_regression, dataset: {{name: digits}}, nodes: {workers}, batch: 3}}
network: {{uplink: {{name: wan, preset: wan_270ms}}, silence: free}}
algorithms: [{{name: dcgd, step_size: 0.1, compressor: {{name: qsgd, levels: 4}}}}]
stop: {{rounds: {rounds}}}
"""
_FULL = {"workers": 200, "draws": 100, "rounds": 40}
_SMALL = {"workers": 5, "draws": 4, "rounds": 3}


def cases(small: bool = False) -> Iterator[Case]:
    """One scenario."""
    size = _SMALL if small else _FULL
    scenario = parse_text(_SCENARIO.format(**size))
    entry, problem = scenario.algorithms[0], scenario.open_problem(0)
    draws, last = size["draws"], size["draws"] - 1

    def replays() -> RunResult:
        replications = Replications(scenario, entry, problem)
        return [replications.attempt(replication) for replication in range(draws)][last]

    coupled = Rival("coupled runs", lambda: simulate(scenario, entry, last, problem), 50.0, _agree, times=draws)
    yield Case(f"M = {size['workers']}, {draws} draws, {size['rounds']} rounds", replays, (coupled,))


def _agree(one: RunResult, other: RunResult) -> bool:
    """Every cell of the last draw's rows."""
    rows, others = one.tables["rounds"], other.tables["rounds"]
    return rows.schema == others.schema and all(_same(rows[name], others[name]) for name in rows.column_names)


def _same(one: Any, other: Any) -> bool:
    return numbers(one).tobytes() == numbers(other).tobytes()
