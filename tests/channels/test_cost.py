"""What wired links say a message costs, against what a lone message really does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from netsim import registry
from netsim.interfaces import Medium, Node
from tests.support.media import drain

NODES = (*(Node(i) for i in range(4)), Node(4, True))
SIZES = (1, 8, 17, 18, 19, 100, 1471, 1472, 1473, 1490, 1491, 2944, 2945, 10**3, 10**4, 10**5)


def ethernet(**keys: Any) -> Any:
    return registry.build("channel", {"name": "ethernet_udp", **keys})


def opened(channel: Any) -> Medium:
    medium: Medium = channel.open(NODES, np.random.default_rng(0))
    return medium


@pytest.mark.parametrize("keys", [
    {"rate_bps": 1e9}, {"rate_bps": 1e9, "accounting": "cat"}, {"rate_bps": 3e6, "accounting": "cat"},
    {"rate_bps": 1e7, "server_rate_bps": 2e6, "delay_s": 0.001, "power": {"name": "ethernet", "idle_w": 0.05}},
    {"name": "packet", "rate_bps": 1e6, "power": {"name": "ethernet", "idle_w": 0.05}}, {"name": "ideal"},
    {"name": "packet", "rate_bps": 3e6, "fixed_size": False}, {"name": "ideal", "delay_s": 0.01},
])  # fmt: skip
def test_costs_are_what_a_lone_message_costs(keys: Mapping[str, Any]) -> None:
    channel = registry.build("channel", {"name": "ethernet_udp", **keys})
    for src, dst in ((0, 4), (4, 0), (1, 2)):
        for size in SIZES:
            medium = opened(channel)
            medium.submit(0, src, (dst,), size)
            (d,) = drain(medium)
            facts = {"bit": 8 * d.wire_bytes, "packet": d.packets, "s": d.at_ns / 1e9, "j": d.energy_j}
            for quantity, value in facts.items():
                # Constants are summed in another order than nanoseconds.
                assert float(medium.cost(quantity, src, dst)(8.0 * size)) == pytest.approx(value, rel=1e-12, abs=0)
            # What the sender's cost models learn from: the joules of its own interface, beyond idling.
            usage = medium.usage(d.at_ns)
            power = channel.power if hasattr(channel, "power") else None
            row = [*usage.interfaces].index((src, "out"))
            beyond = power.power_w("tx") - power.power_w("idle") if power else 0.0
            assert d.energy_j == pytest.approx(usage.state_ns[row, 0] / 1e9 * beyond, rel=1e-12, abs=0)


def test_constants_are_given_where_they_are_exact() -> None:
    """CAT's tuners are fast with constants: c_packet = 54 bytes and c_bit = 1 for `cat`, 576 bytes for `packet`."""
    cat = opened(ethernet(rate_bps=1e9, accounting="cat"))
    bit = cat.cost("bit", 0, 4).structure
    assert bit is not None
    assert (bit.c0, bit.c_packet, bit.c_bit, bit.payload_max_bit, bit.packing) == (0, 432, 1, 11776, "stream")
    seconds = cat.cost("s", 0, 4).structure
    assert seconds is not None
    assert (seconds.c_packet, seconds.c_bit) == (432e-9, 1e-9)
    slides = opened(registry.build("channel", {"name": "packet", "rate_bps": 1e6}))
    structure = slides.cost("bit", 0, 4).structure
    assert structure is not None
    assert (structure.c0, structure.c_packet, structure.c_bit, structure.payload_max_bit) == (0, 4608, 0, 4096)
    # Padding of a short last packet has no constants.
    assert opened(ethernet(rate_bps=1e9)).cost("bit", 0, 4).structure is None


def test_packets_of_a_fixed_and_of_their_own_size() -> None:
    fixed = registry.build("channel", {"name": "packet", "rate_bps": 1e6, "delay_s": 0.5})
    filled = registry.build("channel", {"name": "packet", "rate_bps": 1e6, "fixed_size": False})
    for size, k in ((1, 1), (512, 1), (513, 2), (10_000, 20)):
        for channel, wire in ((fixed, 576 * k), (filled, size + 64 * k)):
            medium = opened(channel)
            medium.submit(0, 1, (4,), size)
            (d,) = drain(medium)
            assert (d.packets, d.wire_bytes, d.airtime_ns) == (k, wire, 8000 * wire)
            assert d.at_ns == 8000 * wire + (500_000_000 if channel is fixed else 0)
