"""The IEEE 802.15.4 cell without contention against its closed forms and against timelines written down by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from channels.media.lrwpan.backoff import backoffs
from netsim import registry, rng
from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import STATES, Medium, Node
from netsim.testing.scripts import FrameLog
from tests.support.media import drain

NODES = (*(Node(i) for i in range(3)), Node(3, True))
US = 1000
CHI2_63 = 113.5  # quantile of chi-square at 1 - 1e-4
TX, RX, LISTEN, IDLE, SLEEP = range(5)


def cell(**keys: Any) -> Any:
    return registry.build("channel", {"name": "ieee802154", **keys})


def opened(channel: Any, seed: int = 0, frames: FrameLog | None = None) -> Medium:
    medium: Medium = channel.open(NODES, np.random.default_rng(seed), frames=frames)
    return medium


def key_of(seed: int = 0) -> int:
    """The key that a medium draws from that stream."""
    return int(np.random.default_rng(seed).integers(1 << 64, dtype=np.uint64))


def timeline(sizes: Sequence[int], periods: Sequence[int], ack: bool = True) -> list[tuple[str, int]]:
    """Phases of a message in us, from the standard: what the sender does, frame after frame."""
    out: list[tuple[str, int]] = []
    for n, b in zip(sizes, periods, strict=True):
        octets = 6 + 9 + n + 2  # PHY header; MAC header, payload, check sequence
        out += [("backoff", 320 * b), ("cca", 128), ("turn", 192), ("data", 32 * octets)]
        out += [("turn", 192), ("ack", 32 * (6 + 5))] if ack else []
        out += [("spacing", 640 if n + 11 > 18 else 192)]
    return out


def delivered_us(phases: Sequence[tuple[str, int]]) -> int:
    """When the last data frame has ended."""
    last = max(i for i, (what, _) in enumerate(phases) if what == "data")
    return sum(us for _, us in phases[: last + 1])


def fragments(size: int, payload: int) -> list[int]:
    return [payload] * (size // payload) + ([size % payload] if size % payload else [])


@pytest.mark.parametrize("n", [1, 7, 8, 20, 100, 116])
def test_one_frame_takes_one_of_eight_times(n: int) -> None:
    """864 + 320 b + 32 (n + 17) us to the end of the acknowledgement, data 544 us earlier: all eight, nothing else."""
    medium, seen, now = opened(cell(payload_bytes=116)), set[int](), 0
    for _ in range(200):
        medium.submit(now, 0, (3,), n)
        (d,) = drain(medium)
        seen.add(d.at_ns - now)
        assert (d.packets, d.attempts, d.wire_bytes, d.airtime_ns) == (1, 1, n + 17 + 11, (32 * (n + 17) + 352) * US)
        assert d.service_s == (d.at_ns - now) / 1e9
        now = d.at_ns + 10_000 * US
    assert seen == {(864 + 320 * b + 32 * (n + 17) - 544) * US for b in range(8)}
    # n = 100: 4608 + 320 b to the end of the acknowledgement; its mean of 5728 less 544 us is the cost in seconds.
    assert n != 100 or min(seen) == (4608 - 544) * US
    assert float(medium.cost("s", 0, 3)(8.0 * n)) == pytest.approx(sum(seen) / 8e9, rel=1e-14)


def test_backoffs_are_uniform() -> None:
    """Chi-square of 80 000 draws on 8 values below 29.88: a false alarm has probability 1e-4 (7 degrees of freedom)."""
    counts = np.bincount(np.concatenate([backoffs(key_of(1), t, 100) for t in range(800)]), minlength=8)
    assert counts.size == 8
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 29.88
    # Neighbouring frames, and equal frames of neighbouring transfers: 63 degrees of freedom, 1e-4 each.
    draws = np.stack([backoffs(key_of(1), t, 100) for t in range(800)])
    for a, b in ((draws[:, :-1], draws[:, 1:]), (draws[:-1], draws[1:])):
        table = np.histogram2d(a.ravel(), b.ravel(), bins=8)[0]
        expected = a.size / 64
        assert ((table - expected) ** 2 / expected).sum() < CHI2_63


def test_backoffs_are_philox_words() -> None:
    """Frame f has word f mod 4 of Philox under (key, transfer, f div 4), in plain Python and in numpy."""
    for key, transfer in ((0, 0), (key_of(5), 7), ((1 << 64) - 1, (1 << 40) + 3)):
        words = rng.philox(key, transfer, np.arange(75, dtype=np.uint64)).ravel()
        for frames in (1, 2, 4, 5, 64, 65, 300):
            assert backoffs(key, transfer, frames).tolist() == (words[:frames] & 7).tolist()


def test_a_backoff_depends_on_transfer_and_frame_alone() -> None:
    """Other sizes, other senders, other times: the third transfer's frames draw the same."""
    waits = list[int]()
    for sizes, srcs, gap in (((10, 10), (0, 1), 0), ((5000, 900), (2, 2), 10**10), ((7, 100), (1, 3), 77)):
        medium = opened(cell())
        for size, src in zip(sizes, srcs, strict=True):
            medium.submit(0, src, ((src + 1) % 3,), size)
        drain(medium)
        now = 10**11 + gap
        medium.submit(now, 0, (3,), 450)
        (d,) = drain(medium)
        waits.append(d.at_ns - now)
    assert len(set(waits)) == 1
    assert waits[0] == US * delivered_us(timeline(fragments(450, 100), backoffs(key_of(), 2, 5).tolist()))


@pytest.mark.parametrize("payload", [100, 116, 64, 7])
def test_messages_of_many_frames_equal_the_timeline(payload: int) -> None:
    medium, now = opened(cell(payload_bytes=payload)), 0
    for transfer, size in enumerate((1, payload, payload + 1, 5 * payload, 10_000, 10_003)):
        sizes = fragments(size, payload)
        phases = timeline(sizes, backoffs(key_of(), transfer, len(sizes)).tolist())
        medium.submit(now, 1, (3,), size)
        (d,) = drain(medium)
        assert d.at_ns - now == delivered_us(phases) * US
        assert d.packets == d.attempts == len(sizes)
        assert d.wire_bytes == size + 28 * len(sizes)
        assert d.airtime_ns == (32 * (size + 17 * len(sizes)) + 352 * len(sizes)) * US
        assert float(medium.cost("bit", 1, 3)(8.0 * size)) == 8 * d.wire_bytes
        assert float(medium.cost("packet", 1, 3)(8.0 * size)) == len(sizes)
        now = d.at_ns + 2_000 * US


@pytest.mark.parametrize(("size", "payload", "milliseconds"), [
    (1000, 100, 63.04),  # 10 (2528 + 3200) + 9 640 us, to the end of the last acknowledgement
    (512, 116, 31.584),  # 4 of 116 and one of 48: 5 x 2528 + 32 x 512 + 4 x 640
    (70, 7, 29.248),     # 10 (2528 + 224) + 9 192 us: short spacing up to 18 octets of MPDU
])  # fmt: skip
def test_mean_of_k_frames(size: int, payload: int, milliseconds: float) -> None:
    """Seconds and joules of 3000 messages within 4 standard errors of their expectation; false alarm 7e-5 each."""
    channel = cell(payload_bytes=payload)
    medium, now, seconds, joules = opened(channel), 0, list[float](), list[float]()
    for _ in range(3000):
        medium.submit(now, 0, (3,), size)
        (d,) = drain(medium)
        seconds.append((d.at_ns - now) / 1e9)
        joules.append(d.energy_j)
        now = d.at_ns + 2_000 * US
    mean_s, mean_j = (float(medium.cost(q, 0, 3)(8.0 * size)) for q in ("s", "j"))
    assert mean_s == pytest.approx(milliseconds / 1e3 - 544e-6, rel=1e-12)
    for values, mean in ((seconds, mean_s), (joules, mean_j)):
        assert abs(np.mean(values) - mean) <= 4 * np.std(values, ddof=1) / np.sqrt(3000)


def test_messages_are_served_one_at_a_time_in_order() -> None:
    """By submit time, then sender, then submission; the spacing holds before anybody's next frame."""
    medium = opened(cell())
    calls = [(0, 2, 3, 150), (0, 0, 3, 30), (0, 2, 1, 5), (5 * US, 1, 3, 200), (6 * US, 0, 2, 7)]
    for now, src, dst, size in calls:
        medium.submit(now, src, (dst,), size)
    served = [1, 0, 2, 3, 4]
    at, expected = 0, dict[int, int]()
    for transfer in served:
        now, _, _, size = calls[transfer]
        sizes = fragments(size, 100)
        phases = timeline(sizes, backoffs(key_of(), transfer, len(sizes)).tolist())
        at = max(at, now)
        expected[transfer] = at + delivered_us(phases) * US
        at += sum(us for _, us in phases) * US
    deliveries = drain(medium)
    assert [d.transfer for d in deliveries] == served
    assert {d.transfer: d.at_ns for d in deliveries} == expected
    # The last frame carried 7 bytes, MPDU 18: after 192 us of spacing, not 640, the medium is free for the next.
    medium.advance(at)
    late = at - 400 * US
    medium = opened(cell())
    for now, src, dst, size in calls:
        medium.submit(now, src, (dst,), size)
    drain(medium)
    medium.submit(late, 0, (3,), 20)
    (d,) = drain(medium)
    assert d.at_ns == at + delivered_us(timeline([20], backoffs(key_of(), 5, 1).tolist())) * US


def test_own_queueing_is_not_service() -> None:
    """Behind an own message it does not count, behind another's it does."""
    medium = opened(cell())
    for src in (0, 0, 1):
        medium.submit(0, src, (3,), 500)
    first, second, third = drain(medium)
    assert first.service_s == first.at_ns / 1e9
    lone = [delivered_us(timeline([100] * 5, backoffs(key_of(), t, 5).tolist())) * US / 1e9 for t in range(3)]
    assert second.service_s == pytest.approx(lone[1], rel=1e-12)
    assert third.service_s == third.at_ns / 1e9
    assert first.service_s == lone[0]


def test_part_of_the_wait_is_own_queueing() -> None:
    """Submitted in the middle of an own message, after which a stranger's comes first."""
    medium = opened(cell())
    medium.submit(0, 1, (3,), 100)
    half = 1000 * US
    medium.advance(half)
    medium.submit(half, 0, (3,), 100)
    medium.submit(half, 1, (3,), 100)
    spans = [timeline([100], backoffs(key_of(), t, 1).tolist()) for t in range(3)]
    own, other = (sum(us for _, us in spans[t]) * US for t in range(2))
    last = drain(medium)[-1]
    assert (last.transfer, last.at_ns) == (2, own + other + delivered_us(spans[2]) * US)
    assert last.service_s == pytest.approx((last.at_ns - half - (own - half)) / 1e9, rel=1e-12)


def test_at_its_own_instant_a_message_may_be_overtaken() -> None:
    """Agents of one instant act one after the other: the smaller sender goes first although it came later."""
    medium = opened(cell())
    medium.submit(77, 2, (3,), 50)
    assert not medium.advance(77)
    medium.submit(77, 0, (3,), 50)
    assert [d.transfer for d in drain(medium)] == [1, 0]


def test_a_broadcast_is_one_transmission_without_acknowledgement() -> None:
    """It arrives everywhere at once, counts once, and leaves the same spacing behind it."""
    log = FrameLog()
    medium = opened(cell(), frames=log)
    medium.submit(0, 3, (2, 0, 1), 250)
    medium.submit(0, 3, (1,), 10)
    deliveries = medium.advance(10**9)
    phases = timeline([100, 100, 50], backoffs(key_of(), 0, 3).tolist(), ack=False)
    at = delivered_us(phases) * US
    assert [(d.transfer, d.dst, d.at_ns, d.ok) for d in deliveries[:3]] == [(0, n, at, True) for n in range(3)]
    assert [(d.packets, d.wire_bytes) for d in deliveries[:3]] == [(3, 250 + 3 * 17), (0, 0), (0, 0)]
    assert [d.airtime_ns for d in deliveries[:3]] == [32 * US * (250 + 3 * 17), 0, 0]
    assert len({d.service_s for d in deliveries[:3]}) == len({d.energy_j for d in deliveries[:3]}) == 1
    after = timeline([10], backoffs(key_of(), 1, 1).tolist())
    assert deliveries[3].at_ns == (sum(us for _, us in phases) + delivered_us(after)) * US
    assert [f[1:3] + f[4:6] + f[7:] for f in log.frames] == [
        (3, -1, 0, 100, "data"), (3, -1, 100, 100, "data"), (3, -1, 200, 50, "data"), (3, 1, 0, 10, "data"),
        (1, 3, 0, 0, "ack"),
    ]  # fmt: skip
    assert log.frames[0][0] == US * sum(us for _, us in phases[:3])
    assert log.frames[-1][0] == deliveries[3].at_ns + 192 * US
    usage = medium.usage(10**9)
    assert usage.tx_bytes.tolist() == [0, 11, 0, 250 + 51 + 27]
    assert usage.tx_frames.tolist() == [0, 1, 0, 4]


@pytest.mark.parametrize("policy", ["always_on", "sleep_when_idle"])
def test_states_follow_the_timeline_at_every_instant(policy: str) -> None:
    """A message of three frames from 0 to 3, then a broadcast from 3 to 0 and 1, integrated phase by phase."""
    medium = opened(cell(radio_policy=policy, payload_bytes=20))
    medium.submit(500 * US, 0, (3,), 45)
    medium.submit(500 * US, 3, (0, 1), 30)
    spans: list[tuple[int, int, dict[int, int]]] = [(0, 500 * US, {})]
    for src, dst, sizes, transfer in ((0, (3,), [20, 20, 5], 0), (3, (0, 1), [20, 10], 1)):
        ack = len(dst) == 1
        phases = timeline(sizes, backoffs(key_of(), transfer, len(sizes)).tolist(), ack)
        for i, (what, us) in enumerate(phases):
            begin = spans[-1][1]
            part = dict.fromkeys((src, *dst), LISTEN)
            if what == "data":
                part = {src: TX} | dict.fromkeys(dst, RX)
            elif what == "ack":
                part = {src: RX, dst[0]: TX}
            elif i == len(phases) - 1:
                part = {}  # the spacing behind the last frame is nobody's
            spans.append((begin, begin + us * US, part))
    end = spans[-1][1] + 300 * US
    spans.append((spans[-1][1], end, {}))
    rest = LISTEN if policy == "always_on" else SLEEP
    random = np.random.default_rng(3)
    for at in sorted({*(int(t) for t in random.integers(0, end, 300)), *(b for _, b, _ in spans), 0, 1}):
        expected = np.zeros((4, 5), np.int64)
        for begin, stop, part in spans:
            for node in range(4):
                expected[node, part.get(node, rest)] += max(0, min(stop, at) - begin)
        usage = medium.usage(at)
        np.testing.assert_array_equal(usage.state_ns, expected)
        power = [cell().radio.power_w(s) for s in STATES]
        np.testing.assert_allclose(usage.energy_j, expected / 1e9 * power, rtol=1e-15)
        if random.random() < 0.3:
            medium.advance(at)
    assert usage.interfaces == [(n, "radio") for n in range(4)]


def test_outages_by_hand() -> None:
    """The sender goes down in its second frame: it counts one frame, and the medium is free at once."""
    medium = opened(cell())
    medium.submit(0, 0, (3,), 250)
    medium.submit(0, 1, (3,), 40)
    medium.submit(0, 1, (0, 2), 40)
    b = backoffs(key_of(), 0, 3).tolist()
    frame = 864 + 320 * b[0] + 32 * 117 + 640
    cut = (frame + 320 * b[1] + 320 + 1000) * US  # one millisecond into its data
    assert not medium.advance(cut)
    medium.set_up(cut, 0, False)
    first, second = medium.advance(cut)
    assert (first.transfer, first.dst, first.at_ns, first.ok) == (2, 0, cut, False)
    assert (first.packets, first.wire_bytes) == (0, 0)
    assert (second.transfer, second.dst, second.ok, second.packets) == (0, 3, False, 1)
    assert second.wire_bytes == 100 + 17 + 11
    assert second.airtime_ns == (32 * 117 + 352 + 1000) * US
    usage = medium.usage(cut)
    assert usage.state_ns[0, TX] == (32 * 117 + 1000) * US
    assert usage.state_ns[3, RX] == (32 * 117 + 1000) * US
    rest = drain(medium)
    alone = delivered_us(timeline([40], backoffs(key_of(), 1, 1).tolist())) * US
    assert [(d.transfer, d.dst, d.ok) for d in rest] == [(1, 3, True), (2, 2, True)]
    assert rest[0].at_ns == cut + alone
    assert rest[1].wire_bytes == 57  # still a broadcast, now to one
    medium.advance(10**9)
    assert medium.usage(10**9).state_ns[0, SLEEP] == 10**9 - cut


def test_a_receiver_that_leaves_a_broadcast_does_not_end_it() -> None:
    medium = opened(cell(radio_policy="sleep_when_idle"))
    medium.submit(0, 3, (0, 1), 100)
    b = int(backoffs(key_of(), 0, 1)[0])
    cut = (320 * b + 320 + 500) * US
    medium.advance(cut)
    medium.set_up(cut, 1, False)
    medium.set_up(cut + 1, 1, True)
    (lost,) = medium.advance(cut + 1)
    (arrived,) = drain(medium)
    assert (lost.dst, lost.ok, lost.packets) == (1, False, 0)
    assert (arrived.dst, arrived.ok, arrived.packets, arrived.wire_bytes) == (0, True, 1, 117)
    state_ns = medium.usage(10**8).state_ns
    assert state_ns[1].tolist() == [0, 500 * US, (320 * b + 320) * US, 0, 10**8 - cut]
    assert state_ns[0].tolist() == [0, 3744 * US, (320 * b + 320) * US, 0, 10**8 - arrived.at_ns]


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="payload_bytes: a whole number >= 1 and <= 116"):
        cell(payload_bytes=117)
    with pytest.raises(ConfigError, match="no radio_policy of that name; there are always_on, duty_cycle"):
        cell(radio_policy="sleepy")
    with pytest.raises(ConfigError, match="no energy of that name"):
        cell(radio="cc2421")
    medium = opened(cell())
    with pytest.raises(ValueError, match=r"at least one byte\. Got 0"):
        medium.submit(0, 0, (3,), 0)
    with pytest.raises(SimulationError, match="no node 4"):
        medium.submit(0, 4, (3,), 5)
    with pytest.raises(SimulationError, match="no node 7"):
        medium.set_up(0, 7, False)
    with pytest.raises(ConfigError, match=r"one of bit, packet, s, j\. Got 'J'"):
        medium.cost("J", 0, 3)
