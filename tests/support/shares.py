"""Max-min fair rates by one call of the levels that `channels.media.flows.sharing.Fluid` raises, for any flows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from channels.media.flows.shares import level_of, raise_levels


def max_min(
    paths: Sequence[Sequence[Hashable]],
    capacity: Mapping[Any, int],
    caps: Sequence[int | None],
    counts: Sequence[int] | None = None,
    weights: Sequence[int] | None = None,
) -> list[int]:
    """Return max-min fair rates: a flow gets more for its weight only at the cost of one with no more for its own.

    Parameters
    ----------
    paths
        The resources that each flow crosses.
    capacity
        Of every resource.
    caps
        What a flow takes at most; None: no limit of its own. Each flow has a cap or a resource.
    counts
        How many flows like this there are; None: one of each.
    weights
        >= 1, to which rates at a common bottleneck are proportional; None: equal.

    Returns
    -------
    Rates in units of the capacities, rounded down.

    Examples
    --------
    >>> max_min([("a", "server"), ("b", "server")], {"a": 30, "b": 200, "server": 100}, [None, None])
    [30, 70]
    """
    many = [1] * len(paths) if counts is None else counts
    weight = [1] * len(paths) if weights is None else weights
    names = list({resource: None for path in paths for resource in path})
    place_of = {name: n for n, name in enumerate(names)}
    ways = [[place_of[resource] for resource in path] for path in paths]
    users = list[list[int]]([] for _ in names)
    for flow, way in enumerate(ways):
        for link in way:
            users[link].append(flow)
    total = [sum(many[flow] * weight[flow] for flow in mine) for mine in users]
    limited = sorted((level_of(cap, weight[flow]), flow, cap) for flow, cap in enumerate(caps) if cap is not None)
    return raise_levels(ways, users, [capacity[name] for name in names], total, limited, many, weight)[0]
