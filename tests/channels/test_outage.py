"""Nodes that go down on wires, by hand.

Packets of 576 bytes take 1 ms at 4.608 Mb/s, and a message of 1000 bytes is two of them. A full datagram of 1538 bytes
takes 2 670 138.9 ns there, and 5 340 277.8 ns on a port of half the rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netsim import registry
from netsim.interfaces import Delivery, Medium, Node
from netsim.testing.scripts import FrameLog

NODES = (*(Node(i) for i in range(3)), Node(3, True))
MS = 1_000_000
TX, RX, SLEEP = 0, 1, 4
ON_WIRE, AT_PORT = 2_670_139, 5_340_278


def packets(frames: FrameLog | None = None) -> Medium:
    channel: Any = registry.build("channel", {"name": "packet", "rate_bps": 4.608e6, "delay_s": 0.0002})
    medium: Medium = channel.open(NODES, np.random.default_rng(0), frames=frames)
    return medium


def ported() -> Medium:
    channel: Any = registry.build("channel", {"name": "ethernet_udp", "rate_bps": 4.608e6, "server_rate_bps": 2.304e6})
    medium: Medium = channel.open(NODES, np.random.default_rng(0))
    return medium


def told(deliveries: Sequence[Delivery]) -> list[tuple[int, int, int, bool, int, int, float]]:
    return [(d.at_ns, d.dst, d.src, d.ok, d.packets, d.wire_bytes, d.airtime_ns / MS) for d in deliveries]


def state_ms(medium: Medium, at_ns: int, node: int, name: str) -> list[float]:
    usage = medium.usage(at_ns)
    return [float(x) / MS for x in usage.state_ns[[*usage.interfaces].index((node, name))]]


def test_a_sender_that_goes_down_cuts_its_packet_and_drops_the_rest() -> None:
    log = FrameLog()
    medium = packets(log)
    medium.submit(0, 0, (3,), 1000)
    medium.submit(0, 0, (3,), 500)
    medium.submit(0, 1, (3,), 1000)
    assert not medium.advance(MS + MS // 2)
    medium.set_up(MS + MS // 2, 0, False)
    medium.submit(MS + MS // 2, 0, (1, 3), 10)
    cut = MS + MS // 2
    assert told(medium.advance(cut)) == [
        (cut, 1, 0, False, 0, 0, 0.0),
        (cut, 3, 0, False, 1, 576, 1.5),
        (cut, 3, 0, False, 0, 0, 0.0),
        (cut, 3, 0, False, 0, 0, 0.0),
    ]
    assert state_ms(medium, cut, 0, "out") == [1.5, 0, 0, 0, 0]
    medium.set_up(4 * MS, 0, True)
    medium.submit(4 * MS, 0, (3,), 1)
    assert told(medium.advance(10 * MS)) == [
        (2 * MS + MS // 5, 3, 1, True, 2, 1152, 2.0),
        (5 * MS + MS // 5, 3, 0, True, 1, 576, 1.0),
    ]
    assert state_ms(medium, 10 * MS, 0, "out") == [2.5, 0, 0, 5, 2.5]
    # The first bit of node 0 came 0.2 ms late and the last 1.3 ms of what was cut never did; node 1 was heard longer.
    assert state_ms(medium, 10 * MS, 3, "in") == [0, 3.0, 0, 7, 0]
    usage = medium.usage(10 * MS)
    assert usage.tx_frames.sum() == 1 + 2 + 1
    assert usage.tx_bytes.sum() == 4 * 576
    assert [f[0] for f in log.frames] == [0, 0, MS, MS, 4 * MS]


def test_a_receiver_that_goes_down_frees_the_wires_to_it() -> None:
    medium = packets()
    medium.submit(0, 3, (0, 1), 1000)
    medium.submit(0, 3, (0,), 1000)
    medium.set_up(MS // 2, 0, False)
    medium.set_up(MS, 0, True)
    medium.submit(MS, 3, (0,), 512)
    assert told(medium.advance(10 * MS)) == [
        (MS // 2, 0, 3, False, 0, 0, 0.5),
        (MS // 2, 0, 3, False, 0, 0, 0.0),
        (2 * MS + MS // 5, 0, 3, True, 1, 576, 1.0),
        (2 * MS + MS // 5, 1, 3, True, 2, 1152, 2.0),
    ]
    # 0.3 of the 0.5 ms that were sent had come to node 0.
    assert state_ms(medium, 10 * MS, 0, "in") == [0, 1.3, 0, 8.2, 0.5]


def test_a_worker_that_goes_down_leaves_what_has_reached_the_port() -> None:
    """Of node 0's three packets two have reached the port, and node 1 waits for one of them."""
    medium = ported()
    medium.submit(0, 0, (3,), 3 * 1472)
    medium.submit(10, 1, (3,), 1472)
    down = 2 * ON_WIRE + 5
    assert not medium.advance(down)
    medium.set_up(down, 0, False)
    (lost,) = medium.advance(down)
    assert (lost.src, lost.ok, lost.packets, lost.wire_bytes, lost.airtime_ns) == (0, False, 2, 2 * 1538, down)
    # Arrivals at the port: node 0 at ON_WIRE, node 1 ten ns later, node 0 again at 2 ON_WIRE, and no third one.
    (arrived,) = medium.advance(1 << 50)
    assert arrived.at_ns == ON_WIRE + 2 * AT_PORT
    usage = medium.usage(1 << 50)
    found = dict(zip(usage.interfaces, usage.state_ns, strict=True))
    assert found[3, "in"][RX] == 3 * AT_PORT
    assert found[0, "out"][TX] == down
    assert usage.tx_bytes.sum() == 3 * 1538


def test_the_port_sends_on_what_it_has_for_a_worker_that_is_down() -> None:
    medium = ported()
    medium.submit(0, 3, (0, 1), 2 * 1472)
    medium.set_up(AT_PORT + 7, 0, False)
    (lost,) = medium.advance(AT_PORT + 7)
    assert (lost.dst, lost.ok, lost.packets, lost.wire_bytes) == (0, False, 2, 2 * 1538)
    (arrived,) = medium.advance(1 << 50)
    assert arrived.at_ns == 4 * AT_PORT + ON_WIRE
    usage = medium.usage(1 << 50)
    found = dict(zip(usage.interfaces, usage.state_ns, strict=True))
    assert found[3, "out"][TX] == 4 * AT_PORT
    assert found[0, "in"][RX] == 7  # its first packet had just reached its wire
    assert usage.tx_bytes.sum() == 4 * 1538


def test_a_server_that_goes_down_ends_everything_through_its_port() -> None:
    medium = ported()
    medium.submit(0, 0, (3,), 3 * 1472)
    medium.submit(0, 3, (2,), 3 * 1472)
    medium.submit(0, 1, (2,), 1472)
    down = 3 * ON_WIRE
    (between,) = medium.advance(down)
    assert (between.src, between.dst, between.ok) == (1, 2, True)
    medium.set_up(down, 3, False)
    assert told(medium.advance(down)) == [
        (down, 2, 3, False, 1, 1538, down / MS),
        (down, 3, 0, False, 3, 3 * 1538, down / MS),
    ]
    medium.set_up(down + 1000, 3, True)
    medium.submit(down + 1000, 1, (3,), 1472)
    medium.submit(down + 1000, 3, (1,), 1472)
    assert [d.at_ns for d in medium.advance(1 << 50)] == [down + 1000 + AT_PORT + ON_WIRE] * 2
    usage = medium.usage(1 << 50)
    found = dict(zip(usage.interfaces, usage.state_ns, strict=True))
    assert found[3, "in"][RX] == 2 * ON_WIRE + AT_PORT  # from ON_WIRE to 3 ON_WIRE, then the new one
    assert found[3, "out"][TX] == down + AT_PORT
    assert found[3, "in"][SLEEP] == found[3, "out"][SLEEP] == 1000
