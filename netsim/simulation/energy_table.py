"""The table ``energy`` of a run: time and joules of every interface and processor in each state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from netsim.arrow import table
from netsim.interfaces import STATES, Usage
from netsim.simulation.batteries import Batteries
from netsim.simulation.processors import Processors
from netsim.simulation.world import World
from netsim.units import NS_PER_S, S_PER_DAY


def energy_table(
    world: World, usages: Sequence[Usage], processors: Processors, batteries: Batteries | None, now_ns: int
) -> pa.Table:
    """Make the table: node, interface, state, seconds, joules, and with batteries the days that the node's lasts.

    The usages are those of its media up to `now_ns`, where the run ended, without those of dead nodes since.
    """
    rows: list[tuple[int, str, str, float, float]] = []
    for name, usage in zip(world.media_names, usages, strict=True):
        times_s, energies_j = (usage.state_ns / NS_PER_S).tolist(), usage.energy_j.tolist()
        for (node, interface), *of_states in zip(usage.interfaces, times_s, energies_j, strict=True):
            where = f"{name}.{interface}"
            rows += [(node, where, *row) for row in zip(STATES, *of_states, strict=True)]
    waits = world.scenario.compute.counts_waiting
    for node in world.nodes:
        rows += [(node, "processor", *row) for row in processors.rows(node, now_ns, waits)]
    node_ids, interfaces, states, times_s, energies_j = zip(*rows, strict=True)
    columns: dict[str, Any] = {
        "node": np.array(node_ids, np.int64),
        "interface": interfaces,
        "state": states,
        "time_s": np.array(times_s),
        "energy_j": np.array(energies_j),
    }
    if batteries is not None:
        lifetimes_s = batteries.lifetimes_s(usages, now_ns)
        columns["lifetime_days"] = np.array([lifetimes_s.get(node, math.nan) / S_PER_DAY for node in node_ids])
    return table(columns)
