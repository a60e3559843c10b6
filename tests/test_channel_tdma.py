"""Round robin against its closed forms, and against a twin that walks through every turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from netsim import registry
from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import STATES, Delivery, Medium, Node
from netsim.units import serialisation_ns


def tdma(**keys: Any) -> Any:
    return registry.build("channel", {"name": "tdma", **keys})


def opened(channel: Any, workers: int = 4) -> Medium:
    nodes = [*map(Node, range(workers)), Node(workers, is_server=True)]
    medium: Medium = channel.open(nodes, np.random.default_rng(0))
    return medium


def drain(medium: Medium) -> list[Delivery]:
    out = list[Delivery]()
    while (next_ns := medium.next_event_ns()) is not None:
        out.extend(medium.advance(next_ns))
    return out


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


def by_turns(calls: Sequence[tuple[int, int, int]], nodes: int, slot: int, guard: int, poll: int, fixed: bool,
             room: int, overhead: int, rate: float) -> list[int]:  # fmt: skip
    """When each (submit, node, bytes) ends: one turn after the other, from time 0."""
    left, ends, now, turn = [size for *_, size in calls], [0] * len(calls), 0, 0
    while not all(ends):
        mine = [i for i, (at, node, _) in enumerate(calls) if not ends[i] and node == turn and at <= now]
        if mine:
            i = mine[0]
            sent = min(room, left[i])
            width = serialisation_ns(sent + overhead, rate)
            left[i] -= sent
            ends[i] = 0 if left[i] else now + width
            now += slot if fixed else width + guard
        elif poll:
            now += poll
        elif not any(at <= now and not ends[i] for i, (at, *_) in enumerate(calls)):
            # Without a cost of polling the turn stays where it is until somebody has something.
            now = min(at for i, (at, *_) in enumerate(calls) if not ends[i])
            continue
        turn = (turn + 1) % nodes
    return ends


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
        assert [d.at_ns for d in sorted(got, key=lambda d: d.transfer)] == by_turns(calls, *args)


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
