"""Everything that can be said about a study before it runs: its data, its clock, what it will take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from netsim import scenario as scenarios
from netsim import text
from netsim.errors import ConfigError, Fault
from netsim.study.execute import open_problem

if TYPE_CHECKING:
    from netsim.interfaces import Problem
    from netsim.scenario import Scenario
    from netsim.simulation.outlook import Outlook

REPLAY = 0.02  # of a run's time, with a hundred of them at once
MAX_LOOKED_AT = 200  # points; more of them differ in little that decides


def check(scenario: Scenario, opener: Callable[[Scenario], Problem] = open_problem) -> list[Outlook]:
    """Find what is wrong with a scenario's data and with its clock; return a guess at the runs of each sweep point.

    `opener` opens a point's problem.

    Raises
    ------
    ConfigError
        Listing all that is wrong.
    """
    from netsim.simulation.outlook import look_ahead

    scenarios.check_data(scenario, opener)
    found, faults = list["Outlook"](), list[Fault]()
    for point in scenarios.points(scenario)[:MAX_LOOKED_AT]:
        problem = opener(point.scenario)
        if hasattr(problem, "num_nodes"):  # a stand-in of another program has no world
            outlook, more = look_ahead(point.scenario, problem)
            found.append(outlook)
            faults += point.scenario._places.locate(more)
    if faults:
        raise ConfigError(list(dict.fromkeys(faults)))
    return found


def in_words(scenario: Scenario, outlooks: Sequence[Outlook]) -> str:
    """Return the number of runs and what they will take, in two lines."""
    points, algorithms = len(scenarios.points(scenario)), len(scenario.algorithms)
    runs = points * algorithms * scenario.replications
    counts = {"point": points, "algorithm": algorithms, "replication": scenario.replications}
    sizes = ", ".join(text.count(number, what) for what, number in counts.items())
    if not outlooks:
        return f"{text.count(runs, 'run')} ({sizes})"
    messages = runs * sum(outlook.messages for outlook in outlooks) / len(outlooks)
    host_s = _whole_runs(scenario) * sum(outlook.host_s for outlook in outlooks) / len(outlooks)
    memory = text.quantity(max(outlook.memory_bytes for outlook in outlooks), "B")
    dims = sorted({outlook.dim for outlook in outlooks})
    size = f"d = {dims[0]}" + (f" to {dims[-1]}" if len(dims) > 1 else "")
    guess = (
        f"{size}, up to {text.quantity(messages, '')} messages, {memory} of memory, {text.seconds(host_s)} of one core"
    )
    sooner = ", less where runs reach their target" if scenario.stop.target else ""
    said = f"{text.count(runs, 'run')} ({sizes})\nestimate, within a factor of some: {guess}{sooner}"
    return "\n".join([said, *(f"warning: {warning}" for warning in warnings(outlooks))])


def _whole_runs(scenario: Scenario) -> float:
    """Return how many runs the study takes as long as: replications that draw the network alone are replays of one."""
    from netsim.simulation.replay import can_replay

    draws = scenario.replications
    return sum(
        1.0 + REPLAY * (draws - 1) if can_replay(point.scenario, entry) else draws
        for point in scenarios.points(scenario)
        for entry in point.scenario.algorithms
    )


def warnings(outlooks: Sequence[Outlook]) -> list[str]:
    """Return what the points' runs are warned of, each once."""
    return list(dict.fromkeys(warning for outlook in outlooks for warning in outlook.warnings))
