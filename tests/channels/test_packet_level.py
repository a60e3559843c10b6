"""The media against simpy packet by packet: the twins that the benchmarks measure are the same links."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.speed import packet_level
from benchmarks.speed.packet_level import PacketMessage
from netsim import registry
from netsim.interfaces import Node
from netsim.units import serialisation_ns


def packets_ns(size: int, rate: float) -> list[int]:
    """Nanoseconds of each UDP datagram, max(84, L + 66) bytes."""
    full, rest = divmod(size, 1472)
    return [serialisation_ns(max(84, n + 66), rate) for n in [1472] * full + [rest] * (rest > 0)]


def test_a_fifo_transfer() -> None:
    channel: Any = registry.build("channel", {"name": "ethernet_udp", "rate_bps": 1e9})
    for size in (1, 1473, 10**6, 10**7):
        medium = channel.open([Node(0), Node(1, True)], np.random.default_rng(0))
        medium.submit(0, 0, (1,), size)
        assert medium.next_event_ns() == packet_level.fifo_transfer(packets_ns(size, 1e9))


@pytest.mark.parametrize("spread", [0, 20_000_000])
def test_many_senders_into_one_port(spread: int) -> None:
    rate, port, senders = 5e7, 2e8, 12
    rng = np.random.default_rng(9)
    calls = sorted(
        (int(rng.integers(10 * spread + 1)), src, int(rng.integers(1, 60_000)))
        for src in range(senders) for _ in range(8)
    )  # fmt: skip
    channel: Any = registry.build(
        "channel", {"name": "ethernet_udp", "rate_bps": rate, "server_rate_bps": port, "delay_s": 1e-4}
    )
    medium = channel.open([Node(i, i == senders) for i in range(senders + 1)], np.random.default_rng(0))
    got = dict[int, int]()
    for now, src, size in calls:
        got |= {d.transfer: d.at_ns for d in medium.advance(now)}
        medium.submit(now, src, (senders,), size)
    got |= {d.transfer: d.at_ns for d in medium.advance(1 << 60)}
    messages = [PacketMessage(now, src, packets_ns(size, rate), packets_ns(size, port)) for now, src, size in calls]
    assert [got[i] for i in range(len(calls))] == packet_level.shared_port(messages, 100_000)
