"""What a run has spent up to an instant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from netsim.interfaces import Usage
from netsim.simulation.batteries import Batteries
from netsim.simulation.phases import Phases
from netsim.simulation.processors import Processors
from netsim.simulation.world import World


@dataclass(slots=True)
class Snapshot:
    """What the engine knows at an instant and a row needs.

    Parameters
    ----------
    usages
        One per medium.
    compute_j
        Joules of computation of all nodes.
    server_j
        Joules of the processors of the server and its aggregators.
    phase_ns
        Nanoseconds spent computing, in own uploads, in own downloads: summed over the learning nodes.
    waiting_j
        Joules of processors that wait, of all nodes; None where they are not counted.
    lifetime_s
        The shortest of all nodes with a battery, at the mean power so far; NaN where there is none.
    alive
        Nodes whose battery is not empty or that have none; -1 where there are no batteries.
    """

    usages: list[Usage]
    compute_j: float
    server_j: float
    phase_ns: Mapping[str, int]
    waiting_j: float | None = None
    lifetime_s: float = math.nan
    alive: int = -1


def look(world: World, processors: Processors, batteries: Batteries | None, phases: Phases, now_ns: int) -> Snapshot:
    """Return what a run has spent up to now."""
    usages = [medium.usage(now_ns) for medium in world.media]
    nodes, others = world.nodes, world.nodes[len(world.workers) :]
    compute_j, others_j = (processors.compute_j(which, now_ns) for which in (nodes, others))
    waiting_j = None
    if world.scenario.compute.counts_waiting:
        waiting_j = processors.waiting_j(nodes, now_ns)
        others_j += processors.waiting_j(others, now_ns)
    phases_ns = phases.at(now_ns)
    if batteries is None:
        return Snapshot(usages, compute_j, others_j, phases_ns, waiting_j)
    usages = batteries.without_dead(usages)
    lifetime_s = min(batteries.lifetimes_s(usages, now_ns).values(), default=math.nan)
    alive = len(nodes) - len(batteries.died_ns)
    return Snapshot(usages, compute_j, others_j, phases_ns, waiting_j, lifetime_s, alive)
