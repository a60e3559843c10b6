"""Contending IEEE 802.15.4 nodes against one simpy process a node; both with the same draws."""

from __future__ import annotations

from collections.abc import Iterator
from operator import eq
from typing import Any

import numpy as np

from benchmarks._case import Case, Rival
from channels import ieee802154
from netsim import registry
from netsim.interfaces import Node

WORK = "contention"
NOTES = ("nodes x frames of 100 bytes to one sink, all from the start; equal: every MAC counter and delivery",)

_FOREVER_NS = 10**15


def cases(small: bool = False) -> Iterator[Case]:
    """Saturated senders, with and without requeueing, and capture for information."""
    if small:
        yield _case(3, 4, 3.0)
        return
    for nodes in (2, 10, 50, 100):
        yield _case(nodes, 300, 100.0)
    yield _case(10, 100, None, reliable=True)
    yield _case(10, 100, None, collisions="capture")


def _case(nodes: int, frames: int, target: float | None, reliable: bool = False, collisions: str = "strict") -> Case:
    keys = {"mac": "csma_ca", "reliable": reliable, "collisions": collisions}
    channel: Any = registry.build("channel", {"name": "ieee802154", **keys})
    cell = [Node(n, n == nodes) for n in range(nodes + 1)]

    def play(medium: Any) -> tuple[Any, dict[str, list[int]]]:
        for src in range(nodes):
            medium.submit(0, src, (nodes,), 100 * frames)
        ended = list(medium.advance(_FOREVER_NS))
        return ended, {name: list(map(int, column)) for name, column in medium.counters().items()}

    def ours() -> Any:
        return play(channel.open(cell, np.random.default_rng(0)))

    def by_process() -> Any:
        from tests.csma_twin import Twin

        real = ieee802154.ContendingNodes
        ieee802154.ContendingNodes = Twin  # type: ignore[misc, assignment]
        try:
            return play(channel.open(cell, np.random.default_rng(0)))
        finally:
            ieee802154.ContendingNodes = real  # type: ignore[misc]

    name = f"{nodes} x {frames}, {collisions}{', requeued' if reliable else ''}"
    return Case(name, ours, (Rival("SimPy, a process a node", by_process, target, eq),))
