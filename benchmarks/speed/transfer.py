"""One message over links in a row, against an event for each packet and link."""

from __future__ import annotations

from collections.abc import Iterator
from operator import eq
from typing import Any

import numpy as np

from benchmarks.speed import packet_level
from benchmarks.speed.case import Case, Rival
from benchmarks.speed.packet_level import datagrams_ns
from netsim import registry
from netsim.interfaces import Node

WORK = "one message"
NOTES = ()

_RATE_BPS, _PORT_BPS = 10**8, 10**9


def cases(small: bool = False) -> Iterator[Case]:
    """One FIFO wire; the server's port and then a wire."""
    size = 20_000 if small else 10**7
    text = f"{size // 1000} kB" if small else f"{size // 10**6} MB"
    wire, port = datagrams_ns(size, _RATE_BPS), datagrams_ns(size, _PORT_BPS)
    yield Case(
        f"{text}, 1 FIFO link, {len(wire):,} packets",
        _Transfer({"rate_bps": _RATE_BPS}, 0, 1, size),
        (Rival("SimPy, an event a packet", lambda: packet_level.fifo_transfer(wire), 1000.0, eq),),
    )
    yield Case(
        f"{text}, 2 FIFO links, {len(wire):,} packets",
        _Transfer({"rate_bps": _RATE_BPS, "server_rate_bps": _PORT_BPS}, 1, 0, size),
        (Rival("SimPy, an event a packet", lambda: packet_level.from_port(port, wire, 1, 0)[0], 1000.0, eq),),
    )


class _Transfer:
    """Sends a message over one medium again and again; a call gives the nanoseconds that it took."""

    def __init__(self, keys: dict[str, Any], src: int, dst: int, size: int) -> None:
        channel: Any = registry.build("channel", {"name": "ethernet_udp", **keys})
        self.medium = channel.open([Node(0), Node(1, is_server=True)], np.random.default_rng(0))
        self.src, self.dst, self.size, self.now_ns = src, dst, size, 0

    def __call__(self) -> int:
        self.medium.submit(self.now_ns, self.src, (self.dst,), self.size)
        then_ns = self.now_ns
        self.now_ns = self.medium.next_event_ns()
        (delivery,) = self.medium.advance(self.now_ns)
        return int(delivery.at_ns) - then_ns
