"""Max-min fair rates of flows that share links, in whole numbers."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def raise_levels(
    ways: Sequence[Sequence[int]], users: Sequence[Sequence[int]], left: list[int], total: list[int],
    limited: Sequence[tuple[int, int, int]], many: Sequence[int], weight: Sequence[int],
) -> tuple[list[int], list[int]]:  # fmt: skip
    """Return each flow's max-min fair rate, rounded down, and the link that limits it, -1 for its cap.

    A flow gets more for its weight only at the cost of one with no more for its own: the lowest level is settled first.

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
