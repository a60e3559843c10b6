"""Wired channels against ns-3: every transfer over a point-to-point link, and single frames of its CSMA."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim import registry
from netsim.interfaces import Node

SIZES = (1, 18, 100, 1472, 1473, 10_000, 100_000, 1_000_000)
# ns-3.44, point-to-point of this rate with UDP datagrams of up to 1472 bytes: ns from the first bit to the last one of
# a message of `SIZES`, without the propagation, which adds to each.
POINT_TO_POINT = {
    1e6: (248_000, 384_000, 1_040_000, 12_016_000, 12_264_000, 81_680_000, 816_320_000, 8_163_200_000),
    1e8: (2480, 3840, 10_400, 120_160, 122_640, 816_800, 8_163_200, 81_632_000),
}
# ns-3.44, CSMA at 100 Mbit/s and 6.56 us: single frames.
CSMA = ((1, 11_680), (18, 11_680), (100, 18_240), (1472, 128_000))


def lone_ns(size: int, **keys: Any) -> int:
    channel: Any = registry.build("channel", {"name": "ethernet_udp", **keys})
    medium = channel.open([Node(0), Node(1, True)], np.random.default_rng(0))
    medium.submit(0, 0, (1,), size)
    (delivery,) = medium.advance(10**12)
    return int(delivery.at_ns)


@pytest.mark.parametrize("delay_ms", [0, 1, 25])
@pytest.mark.parametrize("rate", POINT_TO_POINT)
def test_ns3_point_to_point(rate: float, delay_ms: int) -> None:
    """PPP 2, IPv4 20, UDP 8: 30 bytes a packet, no gap, no padding."""
    keys = {"rate_bps": rate, "delay_s": delay_ms / 1e3, "overhead_bytes": 30, "min_frame_bytes": 0}
    for size, ns in zip(SIZES, POINT_TO_POINT[rate], strict=True):
        assert lone_ns(size, **keys) == ns + delay_ms * 1_000_000


def test_ns3_csma_single_frames() -> None:
    """Header 14, check sequence 4, payload padded to 46; no preamble and no gap."""
    for size, ns in CSMA:
        assert lone_ns(size, rate_bps=1e8, delay_s=6.56e-6, overhead_bytes=46, min_frame_bytes=64) == ns
