"""Slots that nodes own in turn: makespans, loss, energy, by their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim import registry
from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import STATES, Frame, Medium, Node
from tests.support.lrwpan import cell
from tests.support.media import drain

US = 1000
TX, RX, LISTEN, IDLE, SLEEP = range(5)


class Frames:
    """Takes frames into a list."""

    def __init__(self, frames: list[Frame]) -> None:
        self.add = frames.append


def opened(nodes: int, seed: int = 0, **keys: Any) -> Medium:
    channel = cell(mac="tsch", **keys)
    medium: Medium = channel.open([Node(i, i == nodes) for i in range(nodes + 1)], np.random.default_rng(seed))
    return medium


def test_a_new_message_leaves_the_plan_of_those_before_it() -> None:
    """A message behind 1000 others of its sender costs the slots of its own frames."""
    medium: Any = opened(2)
    looks, real = list[int](), medium._next_cell
    medium._next_cell = lambda src, from_ns: looks.append(from_ns) or real(src, from_ns)
    for _ in range(1000):
        medium.submit(0, 0, (2,), 100)
    assert len(looks) == 2 * 1000
    assert [d.at_ns for d in drain(medium)] == [(20_000 * i + 2120 + 32 * 112) * US for i in range(1000)]


@pytest.mark.parametrize(
    ("nodes", "frames", "slot_us"), [(1, 1, 10_000), (5, 3, 10_000), (50, 10, 10_000), (7, 4, 15_000)]
)
def test_makespan(nodes: int, frames: int, slot_us: int) -> None:
    """Node i has finished frame k at ((k - 1) N + i) s + TxOffset + 32 (MPDU + 1); all slots end at N k s."""
    medium = opened(nodes, slot_s=slot_us * 1e-6)
    for node in range(nodes):
        medium.submit(0, node, (nodes,), 100 * frames)
    deliveries = drain(medium)
    assert [d.src for d in deliveries] == list(range(nodes))
    for d in deliveries:
        assert d.at_ns == (((frames - 1) * nodes + d.src) * slot_us + 2120 + 32 * 112) * US
        assert (d.packets, d.attempts, d.wire_bytes) == (frames, frames, frames * 128)
    makespan = nodes * frames * slot_us * US
    assert deliveries[-1].at_ns < makespan < deliveries[-1].at_ns + slot_us * US
    # 50 nodes with 1 kB each: 5 s.
    assert nodes != 50 or makespan == 5 * 10**9


def test_a_slot_that_has_begun_is_not_used() -> None:
    medium = opened(3)
    medium.submit(0, 1, (3,), 20)
    medium.submit(10_000 * US, 1, (3,), 20)  # at the very start of node 1's slot, which the first message takes
    medium.submit(10_000 * US + 1, 0, (3,), 20)
    late = [(d.transfer, d.at_ns // (10_000 * US)) for d in drain(medium)]
    assert late == [(0, 1), (2, 3), (1, 4)]
    medium = opened(3)
    medium.submit(10_000 * US + 1, 1, (3,), 20)
    assert drain(medium)[0].at_ns // (10_000 * US) == 4


def test_mean_cost_from_a_random_instant() -> None:
    """From a uniform instant: N s / 2 + (k - 1) N s + TxOffset + 32 (MPDU + 1), within 4 standard errors."""
    medium, rng, waits = opened(4), np.random.default_rng(1), []
    now = 0
    for _ in range(2000):
        now += int(rng.integers(40_000 * US)) + 200_000 * US
        medium.advance(now)
        medium.submit(now, 2, (4,), 250)
        (d,) = drain(medium)
        waits.append((d.at_ns - now) / 1e9)
        now = d.at_ns
    mean = float(medium.cost("s", 2, 4)(2000.0))
    assert mean == pytest.approx(0.04 * 2.5 + (2120 + 32 * 62) * 1e-6, rel=1e-12)
    assert abs(np.mean(waits) - mean) <= 4 * np.std(waits) / np.sqrt(2000)


def test_loss_takes_more_slots() -> None:
    """Slots of k frames: mean k / (1 - p), variance k p / (1 - p)^2; 4 standard errors, false alarm 7e-5."""
    p, frames = 0.3, 10
    slots = []
    medium = opened(1, seed=1, per=p)
    for i in range(1000):
        medium.submit(i * 10**9, 0, (1,), 100 * frames)
        (d,) = medium.advance((i + 1) * 10**9 - 1)
        assert d.ok
        assert d.attempts == (d.at_ns - i * 10**9) // (10_000 * US) + 1
        slots.append(d.attempts)
    error = np.sqrt(frames * p / (1 - p) ** 2 / 1000)
    assert abs(np.mean(slots) - frames / (1 - p)) <= 4 * error


def test_without_reliability_a_frame_is_given_up() -> None:
    """One retry, loss 0.5: a quarter of the lone frames is lost, within 4 standard errors."""
    medium = opened(1, per=0.5, reliable=False, max_retries=1)
    ok = []
    for i in range(1000):
        medium.submit(i * 10**9, 0, (1,), 10)
        (d,) = medium.advance((i + 1) * 10**9 - 1)
        assert d.attempts in (1, 2)
        assert d.ok or d.attempts == 2
        ok.append(d.ok)
    assert abs(np.mean(ok) - 0.75) <= 4 * np.sqrt(0.75 * 0.25 / 1000)


def test_radio_on_in_each_kind_of_slot() -> None:
    """A sending slot, a receiving one, an idle one: 32 (MPDU + 6) and 352 us on the air, 1100 and 2200 us listening."""
    medium = opened(2, radio_policy="sleep_when_idle")
    medium.submit(0, 0, (2,), 100)
    medium.advance(20_000 * US)
    states = medium.usage(20_000 * US).state_ns
    air, ack = 32 * 123 * US - 32 * 6 * US, 352 * US
    assert air == 32 * (117) * US
    assert states[0, [TX, RX]].tolist() == [32 * 117 * US, ack]
    assert states[2, [TX, RX, LISTEN]].tolist() == [ack, 32 * 117 * US, (1100 + 2200) * US]
    assert states[1, SLEEP] == 20_000 * US
    assert (states.sum(axis=1) == 20_000 * US).all()
    power = [registry.build("energy", "cc2420").power_w(s) for s in STATES]
    np.testing.assert_allclose(medium.usage(20_000 * US).energy_j, states / 1e9 * power)


def test_broadcast_in_the_servers_slot() -> None:
    """One slot without acknowledgement; a reliable one repeats to those that missed it."""
    medium = opened(3, server_cells=1)
    medium.submit(0, 3, (0, 1, 2), 100)
    first = drain(medium)
    assert [(d.dst, d.at_ns) for d in first] == [(n, (30_000 + 2120 + 32 * 112) * US) for n in range(3)]
    assert [d.wire_bytes for d in first] == [117, 0, 0]
    medium = opened(3, server_cells=1, per=0.4, seed=2)
    total = 0
    for _ in range(50):
        medium.submit(total, 3, (0, 1, 2), 250)
        deliveries = drain(medium)
        assert all(d.ok for d in deliveries)
        assert len(deliveries) == 3
        total = deliveries[-1].at_ns + 10**7
        medium.advance(total)
    assert medium.usage(total).tx_frames[3] > 3 * 50


def test_refusals() -> None:
    with pytest.raises(SimulationError, match=r"node 2 is a server that owns no slot; server_cells of at least 1"):
        opened(2).submit(0, 2, (0,), 10)
    with pytest.raises(ConfigError, match="slot_s: a number >= "):
        opened(2, slot_s=0.001)


def test_what_waits_behind_a_broadcast_that_a_node_leaves_moves_with_it() -> None:
    """Nodes 0 to 3 and a server; node 1 comes back while the broadcast waits, node 0 leaves in the midst of it.

    The broadcast then takes slots that were the next message's: no slot may have two frames, and both messages end.
    """
    frames = list[Frame]()
    channel = registry.build("channel", {"name": "ieee802154", "mac": {"name": "tsch", "server_cells": 1}})
    medium = channel.open([Node(i, i == 4) for i in range(5)], np.random.default_rng(0), frames=Frames(frames))
    medium.set_up(1_940_000_000, 1, False)
    medium.submit(2_416_000_000, 4, (2, 0, 1), 2961)
    medium.set_up(2_416_000_000, 1, True)
    medium.submit(2_900_000_000, 4, (1,), 1135)
    ended = [*medium.advance(3_131_000_000)]
    medium.set_up(3_131_000_000, 0, False)
    ended += medium.advance(10**10)
    assert medium.next_event_ns() is None
    assert [(d.transfer, d.dst, d.ok) for d in ended] == [(0, 1, False), (0, 0, False), (0, 2, True), (1, 1, True)]
    slots = [frame.start_ns // 10_000_000 for frame in frames if frame.kind == "data"]
    assert len(set(slots)) == len(slots) > 30 + 12
