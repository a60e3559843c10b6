"""LoRa: airtimes of Semtech's calculator, the duty cycle, and collisions of ALOHA."""

from __future__ import annotations

import math
import tracemalloc
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from channels.media.frame_train import FrameTrain
from channels.media.purposes import SHADOWING
from netsim import registry
from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import STATES, Delivery, Medium, Node
from netsim.rng import uniforms
from tests.support.media import drain

# Semtech's LoRa calculator, preamble 8, explicit header, check sequence, CR 4/5: (SF, BW in kHz, bytes), ms.
AIRTIMES = (
    (7, 125, 64, 118.016), (7, 125, 20, 56.576), (7, 125, 235, 368.896), (8, 125, 64, 215.552), (9, 125, 20, 185.344),
    (10, 125, 20, 370.688), (10, 125, 64, 698.368), (11, 125, 20, 741.376), (12, 125, 20, 1318.912),
    (12, 125, 64, 2793.472), (7, 250, 20, 28.288), (12, 500, 20, 329.728),
)  # fmt: skip


def lora(**keys: Any) -> Any:
    return registry.build("channel", {"name": "lora", "start_window_s": 0, **keys})


def opened(channel: Any, workers: int = 4) -> Medium:
    nodes = [*map(Node, range(workers)), Node(workers, is_server=True)]
    medium: Medium = channel.open(nodes, np.random.default_rng(0))
    return medium


def test_airtimes() -> None:
    for sf, khz, size, ms in AIRTIMES:
        got = lora(spreading_factor=sf, bandwidth_hz=khz * 1e3).airtime_ns(size)
        assert got == round(ms * 1e6), (sf, khz, size)


def test_airtime_by_hand() -> None:
    """SF 9, 125 kHz: 4.096 ms a symbol. PL 10, no check sequence, no header, CR 4/8: ceil((80 - 36 + 28 - 20) / 36) = 2

    blocks of 8 symbols; 6 + 4.25 + 8 + 16 = 34.25 symbols.
    """
    channel = lora(spreading_factor=9, coding_rate=4, preamble_symbols=6, crc=False, implicit_header=True)
    assert channel.airtime_ns(10) == round(34.25 * 4.096e6)
    assert channel.airtime_ns(0) == round(18.25 * 4.096e6)  # nothing left to code


def test_the_duty_cycle_spaces_the_frames() -> None:
    """120 bytes are frames of 64, 64 and 31; each begins 100 airtimes after the one before, across messages."""
    channel = lora()
    full, last = channel.airtime_ns(64), channel.airtime_ns(31)
    medium = opened(channel)
    for _ in range(2):
        medium.submit(7, 0, (4,), 120)
    first, second = drain(medium)
    assert first.at_ns == 7 + 200 * full + last
    assert second.at_ns == 7 + 200 * full + 100 * last + 200 * full + last
    assert (first.packets, first.wire_bytes, first.airtime_ns) == (3, 120 + 39, 2 * full + last)
    for d in (first, second):
        assert d.service_s == pytest.approx((200 * full + last) / 1e9) == float(medium.cost("s", 0, 4)(960.0))
    other = opened(lora(duty_cycle=1))
    other.submit(0, 0, (4,), 120)
    assert drain(other)[0].at_ns == 2 * full + last


def test_collisions_by_hand() -> None:
    """Frames of 118.016 ms: those that begin within one of each other are lost, those end to end are not."""
    channel, free = lora(), lora(collisions=False)
    assert (channel.reliable_delivery, free.reliable_delivery) == (False, True)
    airtime = channel.airtime_ns(64)
    for gap, is_ok in ((0, False), (airtime - 1, False), (airtime, True)):
        medium = opened(channel)
        medium.submit(0, 0, (4,), 51)
        medium.submit(gap, 1, (4,), 51)
        assert [d.ok for d in drain(medium)] == [is_ok] * 2
    quiet = opened(free)
    for node in range(4):
        quiet.submit(0, node, (4,), 51)
    assert all(d.ok for d in drain(quiet))


def test_frames_of_trains_meet_as_their_frames_do() -> None:
    """Against all pairs of frames, one by one, before and after a sender stops."""
    rng = np.random.default_rng(5)
    for _ in range(500):
        stride = int(rng.integers(20, 30))
        trains = [
            FrameTrain(int(rng.integers(0, 200)), stride, int(rng.integers(1, 20)), int(rng.integers(1, 6)), i)
            for i in range(2)
        ]
        stop = int(rng.integers(0, 300))
        cut = trains[0].cut(stop)
        for own in (trains[:1], cut):
            frames, others = (
                [(t.start_ns + i * stride, t.start_ns + i * stride + t.width_ns) for t in some for i in range(t.frames)]
                for some in (own, trains[1:])
            )
            overlaps = any(a < d and c < b for a, b in frames for c, d in others)
            assert any(t.meets(trains[1]) for t in own) == overlaps
        begun = [start for i in range(trains[0].frames) if (start := trains[0].start_ns + i * stride) < stop]
        kept = [(t.start_ns + i * stride, t.width_ns) for t in cut for i in range(t.frames)]
        assert kept == [(start, min(trains[0].width_ns, stop - start)) for start in begun]


def test_a_gigabyte_has_no_object_for_each_frame() -> None:
    """19,607,844 frames, the last of 7 bytes, each 100 airtimes after the one before, in less than a byte each.

    A message of one frame is lost where it overlaps with one of them, the ten millionth, and not right behind it.
    """
    channel = lora()
    full, last = channel.airtime_ns(64), channel.airtime_ns(20)
    tracemalloc.start()
    for begin, is_ok in ((10**7 * 100 * full + full - 1, False), (10**7 * 100 * full + full, True)):
        medium = opened(channel)
        medium.submit(0, 0, (4,), 10**9)
        assert medium.advance(begin) == []
        medium.submit(begin, 1, (4,), 51)
        short, long = drain(medium)
        assert (short.ok, long.ok) == (is_ok, is_ok)
        assert long.at_ns == 19_607_843 * 100 * full + last
        assert (long.packets, long.airtime_ns) == (19_607_844, 19_607_843 * full + last)
        assert medium.usage(long.at_ns).state_ns[0, 0] == long.airtime_ns
    assert tracemalloc.get_traced_memory()[1] < 19_607_844
    tracemalloc.stop()


def test_aloha_loses_as_poisson_traffic_does() -> None:
    """Delivery exp(-2 G) at G = 0.2 offered frames an airtime; 200 senders, 4000 frames, within 5 standard deviations.

    Losses come in pairs, which makes the deviation at most 1.5 times the binomial one.
    """
    rng, channel = np.random.default_rng(11), lora(collisions=True, duty_cycle=1)
    airtime = channel.airtime_ns(64)
    medium, now, got = opened(channel, 200), 0.0, list[Delivery]()
    for i in range(4000):
        now += rng.exponential(airtime / 0.2)
        got += medium.advance(int(now))
        medium.submit(int(now), i % 200, (200,), 51)
    got += drain(medium)
    share, expected = sum(d.ok for d in got) / 4000, math.exp(-0.4)
    assert abs(share - expected) < 5 * 1.5 * math.sqrt(expected * (1 - expected) / 4000)


def test_energy_and_states() -> None:
    """The server listens, others sleep; sender and receivers are busy for the airtime."""
    channel = lora()
    airtime = channel.airtime_ns(64)
    medium = opened(channel)
    medium.submit(0, 0, (4,), 51)
    (d,) = drain(medium)
    usage = medium.usage(airtime + 1000)
    tx, rx, listen, sleep = (STATES.index(s) for s in ("tx", "rx", "listen", "sleep"))
    assert (usage.state_ns[0, tx], usage.state_ns[0, sleep]) == (airtime, 1000)
    assert (usage.state_ns[4, rx], usage.state_ns[4, listen]) == (airtime, 1000)
    assert usage.state_ns[1, sleep] == airtime + 1000
    extra_w = 3.3 * (29e-3 - 0.2e-6)
    assert d.energy_j == pytest.approx(airtime / 1e9 * extra_w) == float(medium.cost("j", 0, 4)(408.0))


def test_a_sender_that_goes_down_gives_its_place_back() -> None:
    """Down in the second frame: what has begun counts for the duty cycle, what has not does not."""
    channel = lora(collisions=True)
    full = channel.airtime_ns(64)
    medium = opened(channel)
    medium.submit(0, 0, (4,), 51 * 5)
    medium.submit(0, 0, (4,), 51 * 5)
    down = 100 * full + 10
    medium.set_up(down, 0, False)
    one, two = drain(medium)
    assert (one.ok, one.at_ns, one.packets, one.wire_bytes, one.airtime_ns) == (False, down, 1, 64, full + 10)
    assert (two.ok, two.at_ns, two.packets, two.airtime_ns) == (False, down, 0, 0)
    medium.set_up(down + 5, 0, True)
    medium.submit(down + 5, 0, (4,), 51)
    assert drain(medium)[0].at_ns == 201 * full
    medium.submit(400 * full, 1, (4,), 51)
    assert drain(medium)[0].ok


def test_a_gateway_that_sends_does_not_hear() -> None:
    """The gateway's frame and a node's overlap by a nanosecond: the node's is lost, whoever is stronger; end to end
    both arrive. The node that sends does not hear the gateway either, another one hears neither.
    """
    for keys in ({}, {"capture_db": 0.001, "shadowing_db": 50.0}):
        channel = lora(**keys)
        airtime = channel.airtime_ns(64)
        for gap, is_ok in ((airtime - 1, False), (airtime, True)):
            medium = opened(channel)
            medium.submit(0, 4, (0,), 51)
            medium.submit(gap, 0, (4,), 51)
            assert [d.ok for d in drain(medium)] == [is_ok] * 2


def test_capture_is_a_normal_difference() -> None:
    """Two frames at once, powers normal with 7 dB each: one is 6 dB ahead with Q(6 / (7 sqrt 2)) = 0.2723, never both.

    2000 pairs, within 4.5 standard deviations (7e-6) for each of the two.
    """
    channel = lora(capture_db=6, shadowing_db=7, duty_cycle=1)
    medium, got = opened(channel), list[Delivery]()
    for pair in range(2000):
        at = pair * 10**9
        got += medium.advance(at)
        for node in (0, 1):
            medium.submit(at, node, (4,), 51)
    got += drain(medium)
    share = 0.5 * math.erfc(6 / (7 * math.sqrt(2)) / math.sqrt(2))
    heard = [sum(d.ok for d in got if d.src == node) / 2000 for node in (0, 1)]
    for ours in heard:
        assert abs(ours - share) < 4.5 * math.sqrt(share * (1 - share) / 2000)
    assert not any(a.ok and b.ok for a, b in zip(got[::2], got[1::2], strict=True))
    equal = opened(lora(capture_db=6))
    for node in (0, 1):
        equal.submit(0, node, (4,), 51)
    assert [d.ok for d in drain(equal)] == [False, False]


def test_the_stronger_message_is_heard_where_it_is_stronger() -> None:
    """Powers from the draws, uniform in the message and the receiver: 50 pairs at once to three nodes each."""
    medium = opened(lora(capture_db=6, shadowing_db=7, duty_cycle=1))
    key, found = int(np.random.default_rng(0).integers(1 << 64, dtype=np.uint64)), set[tuple[bool, ...]]()
    for pair in range(50):
        at, there = pair * 10**9, (2, 3, 4)
        medium.advance(at)
        for node in (0, 1):
            medium.submit(at, node, there, 51)
        heard = {(d.transfer, d.dst): d.ok for d in drain(medium)}
        draws = [uniforms(key, SHADOWING + 2 * pair + i, np.array(there, np.uint64)) + 2.0**-33 for i in (0, 1)]
        one, two = (7 * np.array([NormalDist().inv_cdf(u) for u in of_message]) for of_message in draws)
        assert [heard[2 * pair, node] for node in there] == (one - two >= 6).tolist()
        assert [heard[2 * pair + 1, node] for node in there] == (two - one >= 6).tolist()
        found.add(tuple(one - two >= 6))
    assert len(found) > 3


def test_messages_begin_within_a_window() -> None:
    """400 starts in 10 s, mean 5 s and range; the server's begins at once. 20 nodes that answer at one instant: a
    node's neighbours in time are 118 ms away with (1 - 2 * 0.118 / 10)^19 = 0.64, within 4.5 standard deviations of
    0.024 (losses come in pairs: 1.5 times).
    """
    channel = lora(start_window_s=10, duty_cycle=1)
    airtime = channel.airtime_ns(64)
    medium, ok = opened(channel, 20), list[bool]()
    waits = list[int]()
    for round_ in range(20):
        at = round_ * 20 * 10**9
        medium.advance(at)
        for node in range(20):
            medium.submit(at, node, (20,), 51)
        ends = drain(medium)
        waits += [d.at_ns - at - airtime for d in ends]
        ok += [d.ok for d in ends]
    assert 0 <= min(waits) < 10**8
    assert 9.9e9 < max(waits) < 1e10
    assert abs(np.mean(waits) - 5e9) < 4.5 * 1e10 / math.sqrt(12 * 400)
    share = (1 - 2 * airtime / 1e10) ** 19
    assert abs(np.mean(ok) - share) < 4.5 * 1.5 * math.sqrt(share * (1 - share) / 400)
    medium.submit(10**12, 20, (3,), 51)
    (d,) = drain(medium)
    assert (d.at_ns, d.ok) == (10**12 + airtime, True)
    assert float(medium.cost("s", 0, 20)(408.0)) == pytest.approx(5 + airtime / 1e9)
    assert float(medium.cost("s", 20, 0)(408.0)) == pytest.approx(airtime / 1e9)


def test_payloads_by_data_rate() -> None:
    for sf, limit in ((7, 222), (8, 222), (9, 115), (10, 51), (12, 51)):
        lora(spreading_factor=sf, payload_bytes=limit)
        with pytest.raises(
            ConfigError, match=rf"payload_bytes: at most {limit} with SF {sf} at 125 kHz\. Got {limit + 1}\."
        ):
            lora(spreading_factor=sf, payload_bytes=limit + 1)
        lora(spreading_factor=sf, payload_bytes=230, bandwidth_hz=500e3)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"spreading_factor": 13}, r"spreading_factor: a whole number >= 7 and <= 12\. Got 13\."),
        ({"payload_bytes": 250}, r"payload_bytes: payload_bytes \+ overhead_bytes is at most 255\. Got 250 \+ 13\."),
        ({"start_window_s": -1}, r"start_window_s: a number >= 0 and <= 86400"),
        ({"start_window_s": "10 m"}, r"start_window_s: .*Got '10 m'"),
        ({"start_window_s": 1e9}, r"start_window_s: a number >= 0 and <= 86400"),
        ({"capture_db": 0}, r"capture_db: a number > 0 and <= 100"),
        ({"capture_db": "6 dBm"}, r"capture_db: .*Got '6 dBm'"),
        ({"capture_db": True}, r"capture_db: .*Got True"),
        ({"shadowing_db": -7}, r"shadowing_db: a number >= 0 and <= 50"),
        ({"collisions": False, "capture_db": 6}, r"collisions: true with capture_db or shadowing_db\. Got False"),
        ({"collisions": "no"}, r"collisions: .*Got 'no'"),
        ({"duty_cycle": 0}, r"duty_cycle: a number > 0 and <= 1\. Got 0\."),
        ({"bandwidth_hz": 125}, r"bandwidth_hz: a number >= 7800 and <= 1\.6e\+06 in Hz, or a string with a unit\."),
    ],
)
def test_refused(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        lora(**keys)


def test_unknown_nodes_and_empty_messages() -> None:
    medium = opened(lora())
    with pytest.raises(SimulationError, match="no node 9; there are 0, 1, 2, 3, 4"):
        medium.submit(0, 0, (9,), 10)
    with pytest.raises(ValueError, match="at least one byte"):
        medium.submit(0, 0, (4,), 0)
