"""Packets of many senders into the server's one port, against two events for each packet."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from operator import eq
from typing import Any

import numpy as np

from benchmarks.speed import packet_level
from benchmarks.speed.case import Case, Rival
from benchmarks.speed.packet_level import PacketMessage, datagrams_ns
from netsim import registry
from netsim.interfaces import Node
from netsim.units import seconds_to_ns

WORK = "shared port"
NOTES = ("senders x messages of each, on wires of 100 Mbit/s into a port of 1 Gbit/s; short messages for information",)

_RATE_BPS, _PORT_BPS, _DELAY_S = 10**8, 10**9, 1e-4
_FOREVER_NS = 1 << 60


def cases(small: bool = False) -> Iterator[Case]:
    """Few large messages, more and smaller ones, and short ones, where a message's own cost shows."""
    # A queue goes over to its kernel early only where that is loaded already, as it is in a process of many runs.
    importlib.import_module("channels.media.wires.port_kernel")
    if small:
        yield _case(3, 4, 20_000, 0.001, 100.0)
        return
    for senders in (10, 50, 100):
        yield _case(senders, 1, 10**7, 0.01, 100.0)
    for senders in (10, 50, 100):
        yield _case(senders, 10, 10**6, 1.0, 100.0)
    yield _case(100, 8, 190_000, 0.2, None)


def _case(senders: int, messages: int, size: int, within_s: float, target: float | None) -> Case:
    """Each sender submits its messages at random instants of the first `within_s`."""
    rng = np.random.default_rng(2)
    instants = rng.integers(seconds_to_ns(within_s), size=(senders, messages)).tolist()
    calls = sorted((at_ns, src) for src in range(senders) for at_ns in instants[src])
    keys = {"rate_bps": _RATE_BPS, "server_rate_bps": _PORT_BPS, "delay_s": _DELAY_S}
    channel: Any = registry.build("channel", {"name": "ethernet_udp", **keys})
    nodes = [Node(n, n == senders) for n in range(senders + 1)]
    wire, port = datagrams_ns(size, _RATE_BPS), datagrams_ns(size, _PORT_BPS)
    packets = [PacketMessage(at_ns, src, wire, port) for at_ns, src in calls]

    def ours() -> list[int]:
        medium = channel.open(nodes, np.random.default_rng(0))
        ended = []
        for at_ns, src in calls:
            ended += medium.advance(at_ns)
            medium.submit(at_ns, src, (senders,), size)
        ended += medium.advance(_FOREVER_NS)
        return [delivery.at_ns for delivery in sorted(ended, key=lambda delivery: delivery.transfer)]

    def by_packet() -> list[int]:
        return packet_level.shared_port(packets, seconds_to_ns(_DELAY_S))

    text = f"{size // 10**6} MB" if size >= 10**6 else f"{size // 1000} kB"
    setting = f"{senders} x {messages} x {text}, {len(calls) * len(wire):,} packets"
    return Case(setting, ours, (Rival("SimPy, 2 events a packet", by_packet, target, eq),))
