"""Round robin against its closed forms, and against a twin that walks through every turn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from netsim import registry
from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import STATES, Delivery, Medium, Node
from netsim.units import serialisation_ns
from tests.support.media import drain


def tdma(**keys: Any) -> Any:
    return registry.build("channel", {"name": "tdma", **keys})


def opened(channel: Any, workers: int = 4) -> Medium:
    nodes = [*map(Node, range(workers)), Node(workers, is_server=True)]
    medium: Medium = channel.open(nodes, np.random.default_rng(0))
    return medium


@pytest.mark.parametrize(("workers", "slots"), [(1, 1), (4, 7), (10, 30)])
def test_fixed_schedule_in_closed_form(workers: int, slots: int) -> None:
    """N nodes with k full slots from 0: node i ends slot k at ((k - 1) (N + 1) + i) slot_s; the server has a turn."""
    channel = tdma(rate_bps=1e6, slot_s=0.01, guard_s=0.002, overhead_bytes=20, poll_s=None)
    assert channel.slot_bytes == 980
    medium = opened(channel, workers)
    for node in range(workers):
        medium.submit(0, node, (workers,), 980 * slots)
    for d in drain(medium):
        assert d.at_ns == ((slots - 1) * (workers + 1) + d.src) * 10_000_000 + 8_000_000
        assert (d.packets, d.wire_bytes, d.airtime_ns) == (slots, slots * 1000, slots * 8_000_000)


def test_polling_needs_the_bits_and_nothing_else() -> None:
    """LENA's latency: sum over the nodes of their bits over the rate, whatever the sizes; one has nothing."""
    medium, sizes = opened(tdma(rate_bps=250e3, slot_s=0.004)), (1000, 37, 0, 412)
    for node, size in enumerate(sizes):
        if size:
            medium.submit(0, node, (4,), size)
    got = drain(medium)
    assert max(d.at_ns for d in got) == sum(8 * size for size in sizes) * 4000


def test_a_message_takes_the_slots_that_it_needs() -> None:
    """c = 125 - 25 bytes; alone, polling for nothing: ceil(M / c) packets, back to back with the guard between."""
    channel = tdma(rate_bps=1e6, slot_s=0.0011, guard_s=0.0001, overhead_bytes=25)
    for size, slots in ((1, 1), (100, 1), (101, 2), (200, 2), (1000, 10), (1001, 11)):
        medium = opened(channel)
        medium.submit(5, 2, (4,), size)
        (d,) = drain(medium)
        last = size - (slots - 1) * 100
        assert (d.packets, d.wire_bytes) == (slots, size + 25 * slots)
        assert d.at_ns == 5 + (slots - 1) * 1_100_000 + (25 + last) * 8000
        assert d.service_s == pytest.approx(float(medium.cost("s", 2, 4)(8.0 * size)), rel=1e-12)


def test_the_schedule_waits_for_its_node() -> None:
    """Turns of 10 ms for 0 .. 4; submitted at 25 ms node 1's next begins at 60 ms, node 3's at 30, node 4's at 40."""
    for node, start_ms in ((1, 60), (3, 30), (4, 40), (2, 70)):
        medium = opened(tdma(rate_bps=1e6, poll_s=None))
        medium.advance(25_000_000)
        medium.submit(25_000_000, node, ((node + 1) % 5,), 100)
        assert drain(medium)[0].at_ns == start_ms * 1_000_000 + 800_000
    medium = opened(tdma(rate_bps=1e6, poll_s=None))
    medium.submit(60_000_000, 1, (4,), 100)
    assert drain(medium)[0].at_ns == 60_800_000


Slot = tuple[int, int, int]  # begin, end, message


def by_turns(calls: Sequence[tuple[int, int, int]], nodes: int, slot: int, guard: int, poll: int, fixed: bool,
             room: int, overhead: int, rate: float, wake: int = 0) -> tuple[list[int], list[Slot]]:  # fmt: skip
    """When each (submit, node, bytes) ends, and all slots: one turn after the other, from time 0."""
    left, ends, now, turn, slots = [size for *_, size in calls], [0] * len(calls), 0, 0, list[Slot]()
    while not all(ends):
        mine = [i for i, (at, node, _) in enumerate(calls) if not ends[i] and node == turn and at + wake <= now]
        if mine:
            i = mine[0]
            sent = min(room, left[i])
            width = serialisation_ns(sent + overhead, rate)
            slots.append((now, now + width, i))
            left[i] -= sent
            ends[i] = 0 if left[i] else now + width
            now += slot if fixed else width + guard
        elif poll:
            now += poll
        elif not any(at + wake <= now and not ends[i] for i, (at, *_) in enumerate(calls)):
            # Without a cost of polling the turn stays where it is until somebody has something.
            now = min(at + wake for i, (at, *_) in enumerate(calls) if not ends[i])
            continue
        turn = (turn + 1) % nodes
    return ends, slots


@pytest.mark.parametrize("poll_s", [None, 0.0, 0.0003])
def test_random_traffic_against_every_turn(poll_s: float | None) -> None:
    rng = np.random.default_rng(7)
    for _ in range(10):
        calls, now = [], 0
        for _ in range(40):
            now += int(rng.choice([0, 0, 1_000_000, 7_654_321, 60_000_000]))
            calls.append((now, int(rng.integers(5)), int(rng.integers(1, 1500))))
        calls.sort(key=lambda c: c[:2])
        channel = tdma(rate_bps=1e6, slot_s=0.002, guard_s=0.0001, overhead_bytes=30, poll_s=poll_s)
        medium, got = opened(channel), list[Delivery]()
        for at, node, size in calls:
            got += medium.advance(at)
            medium.submit(at, node, ((node + 1) % 5,), size)
        got += drain(medium)
        poll = 2_000_000 if poll_s is None else round(poll_s * 1e9)
        args = (5, 2_000_000, 100_000, poll, poll_s is None, channel.slot_bytes, 30, 1e6)
        assert [d.at_ns for d in sorted(got, key=lambda d: d.transfer)] == by_turns(calls, *args)[0]


def before_slots(slots: Sequence[tuple[int, int]], wake: int, at: int) -> tuple[int, int]:
    """How long a radio with these slots woke, and how long it stayed awake between two, before an instant."""
    waking, staying, last = 0, 0, -wake
    for begin, end in slots:
        if begin - last < wake:
            staying += max(0, min(at, begin) - last)
        else:
            waking += max(0, min(at, begin) - (begin - wake))
        last = end
    return waking, staying


@pytest.mark.parametrize("poll_s", [None, 0.0, 0.0003])
@pytest.mark.parametrize("wake_s", [0.0004, 0.003, 0.03])
def test_waking_against_every_turn(poll_s: float | None, wake_s: float) -> None:
    """Who takes part wakes before the slot or stays awake since the last one; looked at anywhere, also ahead."""
    rng, wake = np.random.default_rng(11), round(wake_s * 1e9)
    policy = {"name": "sleep_when_idle", "wake_s": wake_s, "wake_j": 4e-5}
    keys = {"rate_bps": 1e6, "slot_s": 0.002, "guard_s": 0.0001, "overhead_bytes": 30, "poll_s": poll_s}
    channel = tdma(**keys, power="cc2420", radio_policy=policy)
    poll, seen = 2_000_000 if poll_s is None else round(poll_s * 1e9), np.zeros(2, np.int64)
    for _ in range(6):
        calls, now = [], 0
        for _ in range(25):
            now += int(rng.choice([0, 0, 1_000_000, 7_654_321, 60_000_000]))
            calls.append((now, int(rng.integers(5)), int(rng.integers(1, 1500))))
        calls.sort(key=lambda c: c[:2])
        args = (5, 2_000_000, 100_000, poll, poll_s is None, channel.slot_bytes, 30, 1e6, wake)
        ends, slots = by_turns(calls, *args)
        medium, got, looks = opened(channel), list[Delivery](), sorted(rng.integers(0, max(ends) + 10**7, 60).tolist())
        queue = sorted([(at, 1, i) for i, (at, *_) in enumerate(calls)] + [(at, 0, -1) for at in looks])
        for k, (at, _, i) in enumerate(queue):
            got += medium.advance(at)
            if i >= 0:
                medium.submit(at, calls[i][1], ((calls[i][1] + 1) % 5,), calls[i][2])
            ahead = at + int(rng.integers(1 + (queue[k + 1][0] if k + 1 < len(queue) else at + 1000) - at))
            usage = medium.usage(ahead)
            for node in range(5):
                ways = [[(b, e) for b, e, m in slots if (calls[m][1] + way) % 5 == node] for way in (0, 1)]
                tx, rx = (sum(max(0, min(e, ahead) - b) for b, e in way if b < ahead) for way in ways)
                waking, staying = before_slots(sorted(ways[0] + ways[1]), wake, ahead)
                idle = waking + staying
                assert usage.state_ns[node].tolist() == [tx, rx, 0, idle, ahead - tx - rx - idle]
                joules = waking * 4e-5 / wake + staying * 1.278e-12
                assert usage.energy_j[node, STATES.index("idle")] == pytest.approx(joules, rel=1e-9)
                seen += (waking, staying)
        got += drain(medium)
        assert [d.at_ns for d in sorted(got, key=lambda d: d.transfer)] == ends
    assert seen.all()


def test_waking_by_hand() -> None:
    """Turns of 10 ms for 0 .. 4 and 3 ms to wake: a message that comes 3 ms before its turn has it, else the next one.

    CC2420 at 3 V, 1 Mbit/s: sending 52.2 mW, oscillator on 1.278 mW, power down 60 uW; a wake-up of 20 uJ.
    """
    policy = {"name": "sleep_when_idle", "wake_s": 3e-3, "wake_j": 2e-5}
    channel, ms = tdma(rate_bps=1e6, poll_s=None, power="cc2420", radio_policy=policy), 1_000_000
    idle, sleep = STATES.index("idle"), STATES.index("sleep")
    for submit, begin in ((7 * ms, 10), (7 * ms + 1, 60), (0, 10), (57 * ms, 60)):
        medium = opened(channel)
        medium.advance(submit)
        medium.submit(submit, 1, (4,), 100)
        for at in (begin * ms - 3 * ms, begin * ms - 2 * ms, begin * ms, begin * ms + 100_000):
            woken = min(at - (begin - 3) * ms, 3 * ms)
            for one in (medium.usage(at).state_ns, medium.usage(at).state_ns):
                assert one[:, idle].tolist() == [0, woken, 0, 0, woken]
        (d,) = drain(medium)
        assert d.at_ns == begin * ms + 800_000
        assert d.energy_j == pytest.approx(8e-4 * (52.2e-3 - 6e-5) + 2e-5 - 3e-3 * 6e-5)
        assert d.energy_j == pytest.approx(float(medium.cost("j", 1, 4)(800.0)))
    # Two slots a round apart are two wake-ups; full slots of two nodes to one, 0 ms apart, are one for who hears both.
    medium = opened(channel)
    medium.submit(0, 1, (3,), 2500)
    medium.submit(0, 2, (3,), 1250)
    first, second = sorted(drain(medium), key=lambda d: d.transfer)
    assert (first.at_ns, second.at_ns) == (70 * ms, 30 * ms)
    assert first.energy_j == pytest.approx(float(medium.cost("j", 1, 3)(20_000.0)))
    usage = medium.usage(80 * ms)
    assert usage.state_ns[:, idle].tolist() == [0, 6 * ms, 3 * ms, 6 * ms, 0]
    assert usage.state_ns[:, sleep].tolist() == [80 * ms, 54 * ms, 67 * ms, 44 * ms, 80 * ms]
    assert usage.energy_j[:, idle] == pytest.approx([0.0, 4e-5, 2e-5, 4e-5, 0.0])


def test_a_gap_shorter_than_waking_is_spent_awake() -> None:
    """Slots of 2 ms with 0.5 ms of guard between: 0.5 ms at the power of idle, 1.278 mW, and one wake-up in all."""
    policy = {"name": "sleep_when_idle", "wake_s": 1e-3, "wake_j": 2e-5}
    medium = opened(tdma(rate_bps=1e6, slot_s=2.5e-3, guard_s=5e-4, power="cc2420", radio_policy=policy))
    medium.submit(0, 0, (4,), 1000)
    (d,) = drain(medium)
    assert d.at_ns == 1_000_000 + 4 * 2_000_000 + 3 * 500_000
    usage = medium.usage(20_000_000)
    assert usage.state_ns[0].tolist() == [8_000_000, 0, 0, 2_500_000, 9_500_000]
    assert usage.state_ns[4].tolist() == [0, 8_000_000, 0, 2_500_000, 9_500_000]
    assert usage.energy_j[0, STATES.index("idle")] == pytest.approx(2e-5 + 1.5e-3 * 1.278e-3)
    beyond_sleep = 8e-3 * (52.2e-3 - 6e-5) + 2e-5 - 1e-3 * 6e-5 + 1.5e-3 * (1.278e-3 - 6e-5)
    assert d.energy_j == pytest.approx(beyond_sleep) == pytest.approx(float(medium.cost("j", 0, 4)(8000.0)))


@pytest.mark.parametrize(("wake_s", "gaps"), [
    (0.5e-3, "wakes"), (1.5e-3, "stays"), (1e-3, "wakes"), (9e-3, "wakes for the first alone"),
])  # fmt: skip
def test_whole_rounds_wake_as_their_slots_do(wake_s: float, gaps: str) -> None:
    """Slots of 1 ms and 1 ms of polling between the two that send: rounds of 4 ms taken together, and step by step."""
    policy = {"name": "sleep_when_idle", "wake_s": wake_s, "wake_j": 1e-5}
    keys = {"rate_bps": 8e6, "slot_s": 1e-3, "poll_s": 1e-3, "power": "cc2420", "radio_policy": policy}
    whole, steps = opened(tdma(**keys), 3), opened(tdma(**keys), 3)
    for one in (whole, steps):
        one.submit(0, 0, (3,), 40_000)
        one.submit(0, 2, (3,), 31_000)
    end, idle = 300_000_000, STATES.index("idle")
    got, wake = list(whole.advance(end)), round(wake_s * 1e9)
    assert got == [d for at in range(0, end + 1, 700_000) for d in steps.advance(at)] + list(steps.advance(end))
    a, b = whole.usage(end), steps.usage(end)
    assert a.state_ns.tolist() == b.state_ns.tolist()
    assert a.energy_j.tolist() == b.energy_j.tolist()
    # Node 0 has 40 slots, node 2 31, from the first turn on that they are awake for; the server's gaps are 1 or 3 ms.
    for node, slots in ((0, 40), (2, 31)):
        assert a.state_ns[node, idle] == wake + (slots - 1) * min(wake, 3_000_000)
    turns = range(-(-wake // 1_000_000), 200)
    ours = sorted([t for t in turns if t % 4 == 0][:40] + [t for t in turns if t % 4 == 2][:31])
    waits = [min(wake, (later - earlier - 1) * 1_000_000) for earlier, later in pairwise(ours)]
    assert a.state_ns[3, idle] == wake + sum(waits)
    assert {(w == wake) for w in waits} == {"wakes": {True}, "stays": {True, False}}.get(gaps, {False})
    woken = 1e-5 * (1 + sum(w == wake for w in waits)) + 1.278e-12 * sum(w for w in waits if w != wake)
    assert a.energy_j[3, idle] == pytest.approx(woken)


@pytest.mark.parametrize("policy", ["always_on", {"name": "sleep_when_idle", "wake_s": 3e-3}], ids=["on", "sleeps"])
@pytest.mark.parametrize("poll_s", [None, 0.0, 0.0003, 0.004])
def test_the_next_delivery_is_exact_while_some_wake(poll_s: float | None, policy: Any) -> None:
    """After every submission, some of which are of nodes that are not awake yet, it is when something is delivered."""
    rng = np.random.default_rng(5)
    channel = tdma(rate_bps=1e6, slot_s=2e-3, guard_s=1e-4, overhead_bytes=30, poll_s=poll_s, power="cc2420",
                   radio_policy=policy)  # fmt: skip
    for _ in range(30):
        medium, now = opened(channel), 0
        for _ in range(8):
            now += int(rng.choice([0, 500_000, 1_500_000, 4_000_000]))
            medium.advance(now)
            src = int(rng.integers(5))
            medium.submit(now, src, ((src + 1) % 5,), int(rng.integers(1, 900)))
        while (next_ns := medium.next_event_ns()) is not None:
            assert not medium.advance(next_ns - 1)
            assert [d.at_ns for d in medium.advance(next_ns)] == [next_ns]


@pytest.mark.parametrize(("poll_s", "tolerance_s"), [(None, 1e-9), (0.001, 1e-9), (0.0, 1e-9)])
def test_the_cost_in_seconds_has_the_wait_for_waking(poll_s: float | None, tolerance_s: float) -> None:
    """Its mean over the instants of a round, 2000 of them in equal distances, half a distance before each end."""
    policy = {"name": "sleep_when_idle", "wake_s": 3e-3}
    channel = tdma(rate_bps=1e6, poll_s=poll_s, power="cc2420", radio_policy=policy)
    round_ns, took = 50_000_000 if poll_s is None else 5_000_000, []
    for k in range(200):
        medium, at = opened(channel), k * round_ns // 200 + round_ns // 400
        medium.advance(at)
        medium.submit(at, 2, (4,), 3000)
        (d,) = drain(medium)
        took.append((d.at_ns - at) / 1e9)
        assert d.service_s == pytest.approx(took[-1])
    assert np.mean(took) == pytest.approx(float(medium.cost("s", 2, 4)(24_000.0)), abs=tolerance_s)


@pytest.mark.parametrize(("poll_s", "down", "submits", "arrives_us", "woken_ms"), [
    # Node 1's slot at 10 ms is off, node 2's stays at 20: 4 wakes for both.
    (None, 1, [(1, 4), (2, 4)], [20_800], (0, 3, 6, 0, 9)),
    # The same where 2 sends to 3, and 4 goes down: 1's slot is off all the same.
    (None, 4, [(1, 4), (2, 3)], [20_800], (0, 3, 6, 6, 3)),
    # Node 1's next message has the slot that it woke for, but 3 did not: in vain, and once more a round later.
    (None, 4, [(1, 4), (1, 3)], [60_800], (0, 9, 0, 6, 3)),
    # A broadcast that lost one of its two receivers has its slot.
    (None, 4, [(1, 43)], [10_800], (0, 6, 0, 6, 3)),
    # Turns at need: at 6 ms and at 6.8; at 3 ms the first is off, so the second would come at 6 ms, too early for 2 and
    # 3 that wake since 0.8 ms. In vain for 2.2 ms, and once more.
    (0.0, 4, [(1, 4), (2, 3)], [9_800], (0, 3, 8.2, 8.2, 3)),
])  # fmt: skip
def test_a_wake_up_for_a_message_that_is_lost_is_spent(
    poll_s: float | None, down: int, submits: list[tuple[int, int]], arrives_us: list[int], woken_ms: tuple[float, ...]
) -> None:
    """Turns of 10 ms, 6 ms to wake, and a node goes down 3 ms into the first waking; 100 bytes take 0.8 ms."""
    policy, ms = {"name": "sleep_when_idle", "wake_s": 6e-3, "wake_j": 0.0}, 1_000_000
    medium = opened(tdma(rate_bps=1e6, poll_s=poll_s, power="cc2420", radio_policy=policy))
    for src, dst in submits:
        medium.submit(0, src, tuple(int(n) for n in str(dst)), 100)
    at = 7 * ms if poll_s is None else 3 * ms
    assert not medium.advance(at)
    medium.set_up(at, down, False)
    lost, *others = [*medium.advance(at), *drain(medium)]
    assert (lost.ok, lost.at_ns, lost.packets) == (False, at, 0)
    assert lost.energy_j == pytest.approx(-3e-3 * 6e-5 if len(str(submits[0][1])) == 1 else 0)
    assert [d.at_ns for d in others] == [us * 1000 for us in arrives_us]
    usage = medium.usage(100 * ms)
    assert usage.state_ns[:, STATES.index("idle")].tolist() == [round(ms * woken) for woken in woken_ms]
    assert usage.state_ns.sum(axis=1).tolist() == [100 * ms] * 5


def test_a_broadcast_is_sent_once() -> None:
    power = {"name": "ethernet", "active_w": 1.0, "idle_w": 0.25}
    medium = opened(tdma(rate_bps=1e6, power=power))
    medium.submit(0, 4, (3, 1), 1000)
    got = drain(medium)
    assert [(d.dst, d.at_ns, d.wire_bytes) for d in got] == [(1, 8_000_000, 1000), (3, 8_000_000, 0)]
    assert got[0].energy_j == pytest.approx(0.008 * 0.75) == float(medium.cost("j", 4, 1)(8000.0))
    usage = medium.usage(10_000_000)
    tx, rx = STATES.index("tx"), STATES.index("rx")
    assert usage.state_ns[:, tx].tolist() == [0, 0, 0, 0, 8_000_000]
    assert usage.state_ns[:, rx].tolist() == [0, 8_000_000, 0, 8_000_000, 0]


def test_a_slot_that_is_cut_frees_the_medium_unless_the_schedule_is_fixed() -> None:
    for poll_s, end_ms in ((0.0, 3 + 8), (None, 10 + 8)):
        medium = opened(tdma(rate_bps=1e6, poll_s=poll_s))
        medium.submit(0, 0, (4,), 1000)
        medium.submit(0, 1, (4,), 1000)
        medium.advance(3_000_000)
        medium.set_up(3_000_000, 0, False)
        lost, other = drain(medium)
        assert (lost.ok, lost.at_ns, lost.packets, lost.airtime_ns) == (False, 3_000_000, 0, 3_000_000)
        assert (other.ok, other.at_ns) == (True, end_ms * 1_000_000)


def test_large_messages_cost_few_steps() -> None:
    """10 MB in slots of 125 bytes: rounds are taken together."""
    medium = opened(tdma(rate_bps=1e9, slot_s=1e-6))
    for node in range(4):
        medium.submit(0, node, (4,), 10**7)
    got = medium.advance(10**12)
    assert [d.at_ns for d in got] == [320_000_000 - (3 - i) * 1000 for i in range(4)]
    assert {d.packets for d in got} == {80_000}


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"rate_bps": 0}, r"rate_bps: a number > 0"),
        ({"rate_bps": 1e6, "guard_s": 0.01}, r"guard_s: a time shorter than the slot, 0\.01 s\. Got 0\.01\."),
        ({"rate_bps": 1e6, "slot_s": 1e-3, "overhead_bytes": 125},
         r"slot_s: a slot that holds 125 bytes of overhead and at least one .* Got 0\.001 s, which holds 125 at"),
        ({"rate_bps": 1e11}, r"rate_bps: a rate at which a byte takes a nanosecond\. Got 1e\+11\."),
        ({"rate_bps": 1e6, "poll_s": -1}, r"poll_s: a number >= 0 in s"),
    ],
)  # fmt: skip
def test_refused(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        tdma(**keys)


def test_unknown_nodes_and_empty_messages() -> None:
    medium = opened(tdma(rate_bps=1e6))
    with pytest.raises(SimulationError, match="no node 9; there are 0, 1, 2, 3, 4"):
        medium.submit(0, 0, (9,), 10)
    with pytest.raises(ValueError, match="at least one byte"):
        medium.submit(0, 0, (4,), 0)
