"""How messages become IEEE 802.15.4 frames: raw, and compressed IPv6 with fragments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.validation.links import SIXLOWPAN
from channels.media.lrwpan.framing import RawFraming, SixLowpan, frames_of
from netsim import registry
from netsim.errors import ConfigError
from netsim.interfaces import Node
from netsim.testing.scripts import FrameLog


@pytest.mark.parametrize(("size", "mpdu", "milliseconds"), SIXLOWPAN)
def test_sixlowpan_frames_and_their_mean_time(size: int, mpdu: tuple[int, ...], milliseconds: float) -> None:
    assert [octets - 6 for octets in frames_of(SixLowpan(), size)] == list(mpdu)
    channel: Any = registry.build("channel", {"name": "ieee802154", "mac": "csma_ca", "framing": "sixlowpan"})
    medium = channel.open([Node(0), Node(1, True)], np.random.default_rng(0))
    assert float(medium.cost("s", 0, 1)(8.0 * size)) == pytest.approx(milliseconds / 1e3 - 544e-6, rel=1e-12)
    # Each backoff is 0 .. 7 periods with mean 3.5: by the mean and the draws the instant is known to the nanosecond.
    rng, now = np.random.default_rng(0), 0
    key = int(rng.integers(1 << 64, dtype=np.uint64))
    from channels.media.lrwpan.backoff import backoffs

    for transfer in range(5):
        medium.submit(now, 0, (1,), size)
        (d,) = medium.advance(now + 10**9)
        periods = int(backoffs(key, transfer, len(mpdu)).sum())
        exact = round(milliseconds * 1e6) - 544_000 + 320_000 * periods - 1_120_000 * len(mpdu)
        assert d.at_ns - now == exact
        assert d.wire_bytes == sum(mpdu) + (6 + 11) * len(mpdu)
        now += 10**9


def test_longer_messages_are_several_datagrams() -> None:
    """1232 bytes are one datagram in the MTU of 1280; what is beyond begins another one."""
    assert frames_of(SixLowpan(), 1233) == [*frames_of(SixLowpan(), 1232), 6 + 11 + 6 + 1]
    assert frames_of(SixLowpan(), 3 * 1232) == 3 * frames_of(SixLowpan(), 1232)
    assert frames_of(SixLowpan(), 2 * 1232 + 512)[24:] == frames_of(SixLowpan(), 512)


@pytest.mark.parametrize("framing", [RawFraming(1), RawFraming(100), RawFraming(116), SixLowpan(), SixLowpan(True)])
def test_parts_cover_the_message_and_totals_are_sums(framing: Any) -> None:
    sizes = np.array([*range(1, 700), *range(1200, 1400), 2463, 2464, 2465, 10_000])
    frames, octets = framing.totals(sizes)
    for size, k, total in zip(sizes.tolist(), frames.tolist(), octets.tolist(), strict=True):
        each = frames_of(framing, size)
        assert (len(each), sum(each), framing.plan(size).frames) == (k, total, k)
        assert max(each) <= 133
        end = 0
        for frame in range(k):
            offset, length = framing.part(size, frame)
            assert offset == end
            end += length
        assert end == size


def test_raw_512_bytes_are_five_frames() -> None:
    """Four of 116 bytes and one of 48: 5 x 1984 + 32 (512 + 85) + 4 x 640 us."""
    channel: Any = registry.build("channel", {"name": "ieee802154", "mac": "csma_ca", "payload_bytes": 116})
    medium = channel.open([Node(0), Node(1, True)], np.random.default_rng(0))
    assert float(medium.cost("s", 0, 1)(4096.0)) == pytest.approx(31.584e-3 - 544e-6, rel=1e-12)
    assert float(medium.cost("packet", 0, 1)(4096.0)) == 5


def test_frames_are_shown_with_their_part_of_the_message() -> None:
    log = FrameLog()
    channel: Any = registry.build("channel", {"name": "ieee802154", "mac": "csma_ca", "framing": "sixlowpan"})
    medium = channel.open([Node(0), Node(1, True)], np.random.default_rng(0), frames=log)
    medium.submit(0, 0, (1,), 111)
    medium.advance(10**9)
    assert [f[1:] for f in log.frames] == [
        (0, 1, 0, 0, 104, 1, "data"),
        (1, 0, 0, 0, 0, 1, "ack"),
        (0, 1, 0, 104, 7, 1, "data"),
        (1, 0, 0, 0, 0, 1, "ack"),
    ]


@pytest.mark.parametrize(
    ("size", "mpdu"),
    [
        (78, [127]),
        (79, [9 + 2 + 4 + 38 + 72, 9 + 2 + 5 + 7]),
        (100, [125, 44]),
        (176, [125, 120]),
        (177, [125, 120, 17]),
    ],
)
def test_global_addresses_are_carried_whole(size: int, mpdu: list[int]) -> None:
    """38 octets of headers: 116 - 38 in a lone frame; 8 floor((116 - 4 - 38 + 48) / 8) - 48 = 72 in a fragment."""
    assert [octets - 6 for octets in frames_of(SixLowpan(has_global=True), size)] == mpdu
    keys = {"name": "ieee802154", "mac": "csma_ca", "framing": "sixlowpan_global"}
    channel: Any = registry.build("channel", keys)
    medium = channel.open([Node(0), Node(1, True)], np.random.default_rng(0))
    assert float(medium.cost("packet", 0, 1)(8.0 * size)) == len(mpdu)
    medium.submit(0, 0, (1,), size)
    (d,) = medium.advance(10**9)
    assert (d.ok, d.wire_bytes) == (True, sum(mpdu) + (6 + 11) * len(mpdu))  # preamble; acknowledgement


def test_longer_global_messages_are_several_datagrams() -> None:
    framing = SixLowpan(has_global=True)
    assert frames_of(framing, 1233) == [*frames_of(framing, 1232), 6 + 11 + 38 + 1]
    assert frames_of(framing, 2 * 1232 + 512)[26:] == frames_of(framing, 512)


@pytest.mark.parametrize("name", ["sixlowpan-global", "6lowpan", "global", "SIXLOWPAN", "sixlowpan_globl", 6, True, ""])
def test_other_framings_are_refused(name: object) -> None:
    with pytest.raises(ConfigError, match=r"framing: one of raw, sixlowpan, sixlowpan_global\. Got"):
        registry.build("channel", {"name": "ieee802154", "mac": "csma_ca", "framing": name})
