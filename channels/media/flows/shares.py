"""Max-min fair rates of flows that share links, in whole numbers."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Mapping, Sequence
from typing import Any


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


def raise_levels(
    ways: Sequence[Sequence[int]], users: Sequence[Sequence[int]], left: list[int], total: list[int],
    limited: Sequence[tuple[int, int, int]], many: Sequence[int], weight: Sequence[int],
) -> tuple[list[int], list[int]]:  # fmt: skip
    """Return each flow's rate and the link that limits it, -1 for its cap: settle the lowest level first.

    Parameters
    ----------
    ways, many, weight
        Of each flow: the links that it crosses, how many there are of it, and its weight.
    users, left, total
        Of each link: its flows, its room, and the sum of its flows' weights; the last two change.
    limited
        (level, flow, rate) of flows with a cap, lowest level first.
    """
    rates, tight, place = [-1] * len(ways), [-1] * len(ways), 0
    # Levels only rise while flows are settled: an entry that is too low is put back with the level that holds.
    levels = [(level_of(room, weights), link) for link, (room, weights) in enumerate(zip(left, total, strict=True))]
    heapq.heapify(levels)
    while True:
        while place < len(limited) and rates[limited[place][1]] >= 0:
            place += 1
        while levels:
            level, link = levels[0]
            if not total[link]:
                heapq.heappop(levels)
            elif level != (now := (left[link] << 64) // total[link]):
                heapq.heapreplace(levels, (now, link))
            else:
                break
        if place < len(limited) and (not levels or limited[place][0] <= levels[0][0]):
            _, flow, rate = limited[place]
            rates[flow] = rate
            for link in ways[flow]:
                left[link] -= rate * many[flow]
                total[link] -= many[flow] * weight[flow]
        elif levels:
            full = heapq.heappop(levels)[1]
            room, weights = left[full], total[full]
            for flow in users[full]:
                if rates[flow] < 0:
                    tight[flow] = full
                    rates[flow] = rate = room * weight[flow] // weights
                    count = many[flow]
                    for link in ways[flow]:
                        left[link] -= rate * count
                        total[link] -= count * weight[flow]
        else:
            return rates, tight


def level_of(room: int, weight: int) -> int:
    """Return the rate of weight 1, to 2**-64 of a unit."""
    return (room << 64) // weight
