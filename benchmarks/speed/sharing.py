"""Uploads that share the server's port by max-min fairness, against every flow for itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.speed.case import Case, Rival
from netsim import registry
from netsim.interfaces import Node

WORK = "max-min shares"
NOTES = ("uploads of 10 kB .. 1 MB that begin at once, links of 1 .. 1000 Mbit/s, a port of 1 Gbit/s; for information",)

_PORT_BPS = 10**9
_RATES_BPS = (10**6, 5 * 10**6, 10**7, 10**8, 10**9)


def cases(small: bool = False) -> Iterator[Case]:
    """Five rates, as in studies with drawn rates, and a rate of its own for every node."""
    for uploads in (20,) if small else (50, 200, 1000):
        yield _case(uploads, False)
    yield _case(20 if small else 200, True)


def _case(uploads: int, all_differ: bool) -> Case:
    rng = np.random.default_rng(3)
    sizes = rng.integers(10**4, 10**6, uploads).tolist()
    rates = rng.integers(10**6, 10**9, uploads) if all_differ else rng.choice(_RATES_BPS, uploads)
    keys = {"transport": "plain", "rate_bps": rates.tolist(), "server_bps": _PORT_BPS}
    channel: Any = registry.build("channel", {"name": "wan", **keys})
    nodes = [Node(n, n == uploads) for n in range(uploads + 1)]

    def ours() -> list[int]:
        medium = channel.open(nodes, np.random.default_rng(0))
        for node, size in enumerate(sizes):
            medium.submit(0, node, (uploads,), size)
        ends = [0] * uploads
        while (next_ns := medium.next_event_ns()) is not None:
            for delivery in medium.advance(next_ns):
                ends[delivery.src] = delivery.at_ns
        return ends

    def by_flow() -> list[float]:
        return _every_flow(sizes, rates.tolist())

    what = "a rate each" if all_differ else "5 rates"
    return Case(f"{uploads} uploads, {what}", ours, (Rival("every flow, float64", by_flow, None, _agree),))


def _every_flow(sizes: Sequence[int], rates: Sequence[int]) -> list[float]:
    """Fill the port again at each end: whoever wants least first."""
    left = {i: 8.0 * size for i, size in enumerate(sizes)}
    ends, now = [0.0] * len(sizes), 0.0
    while left:
        room, share = float(_PORT_BPS), dict[int, float]()
        for place, i in enumerate(sorted(left, key=lambda i: rates[i])):
            share[i] = min(float(rates[i]), room / (len(left) - place))
            room -= share[i]
        step = min(bits / share[i] for i, bits in left.items())
        now += step
        for i in list(left):
            left[i] -= share[i] * step
            if left[i] <= 1e-6:
                ends[i] = now * 1e9
                del left[i]
    return ends


def _agree(ours: Sequence[int], theirs: Sequence[float]) -> bool:
    """To a nanosecond."""
    return all(abs(a - b) <= 1 for a, b in zip(ours, theirs, strict=True))
