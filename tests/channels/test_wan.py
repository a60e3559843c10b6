"""Wide area links: fair shares against slow twins, queues and outages by hand, measured files, draws."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from channels.links.wan import PRESETS
from channels.media.background import Arrivals, Background
from channels.media.flows.fifo_port import FifoPort
from channels.media.flows.sharing import BIT_WORK, FS_PER_NS, Fluid, rate_units, to_ns
from channels.media.flows.tables import read_table
from netsim import registry, testing
from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import STATES, Medium, Node
from netsim.scenario import parse_text
from tests.support.media import drain
from tests.support.shares import max_min

NODES = (*(Node(i) for i in range(4)), Node(4, True))
LENA = {"values_bps": [1e6, 5e6, 1e7, 1e8, 1e9], "probabilities": [0.7, 0.2, 0.06, 0.03, 0.01]}


def wan(**keys: Any) -> Any:
    return registry.build("channel", {"name": "wan", "transport": "plain", **keys})


def opened(channel: Any, nodes: Sequence[Node] = NODES, seed: int = 0) -> Medium:
    medium: Medium = channel.open(nodes, np.random.default_rng(seed))
    return medium


# --- fair shares -----------------------------------------------------------------------------------------


def random_shares(rng: np.random.Generator, weighted: bool) -> tuple[list[Any], dict[Any, int], list[Any], Any]:
    capacity = {name: int(rng.integers(1, 10**9)) for name in "abcdef"}
    flows = int(rng.integers(1, 12))
    paths = [tuple(rng.permutation(list("abcdef"))[: int(rng.integers(1, 4))].tolist()) for _ in range(flows)]
    caps = [int(rng.integers(1, 10**9)) if rng.random() < 0.4 else None for _ in range(flows)]
    return paths, capacity, caps, [int(w) for w in rng.integers(1, 9, flows)] if weighted else None


@pytest.mark.parametrize("weighted", [False, True])
def test_shares_are_feasible_and_everybody_has_a_bottleneck(weighted: bool) -> None:
    """What defines max-min fairness: at a full link of one's own nobody has more for his weight."""
    rng = np.random.default_rng(1)
    for _ in range(300):
        paths, capacity, caps, weights = random_shares(rng, weighted)
        rates = max_min(paths, capacity, caps, None, weights)
        level = [Fraction(rate, w) for rate, w in zip(rates, weights or [1] * len(rates), strict=True)]
        used = {name: sum(r for r, p in zip(rates, paths, strict=True) if name in p) for name in capacity}
        assert all(used[name] <= capacity[name] for name in capacity)
        for i, path in enumerate(paths):
            if rates[i] == caps[i]:
                continue
            # Rounded down: a full link lacks less than a unit for each flow.
            full = [name for name in path if capacity[name] - used[name] < len(paths)]
            peers = {name: [level[j] for j, other in enumerate(paths) if name in other] for name in full}
            assert any(max(levels) <= level[i] + 1 for levels in peers.values()), (paths, capacity, caps, rates)


def test_many_alike_are_one_entry() -> None:
    rng = np.random.default_rng(2)
    for _ in range(100):
        paths, capacity, caps, weights = random_shares(rng, True)
        counts = [int(n) for n in rng.integers(1, 4, len(paths))]
        apart = [i for i, n in enumerate(counts) for _ in range(n)]
        whole = max_min(paths, capacity, caps, counts, weights)
        single = max_min(
            [paths[i] for i in apart], capacity, [caps[i] for i in apart], None, [weights[i] for i in apart]
        )
        assert all(abs(whole[i] - rate) <= 3 for i, rate in zip(apart, single, strict=True))


def test_one_link_is_filled_as_many_are() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        flows = int(rng.integers(1, 10))
        caps = [int(rng.integers(1, 100)) if rng.random() < 0.6 else None for _ in range(flows)]
        paths = [("port",) if cap is None or rng.random() < 0.8 else () for cap in caps]
        counts = [int(n) for n in rng.integers(1, 4, flows)]
        room = {"port": int(rng.integers(1, 500))}
        assert max_min(paths, room, caps, counts) == max_min(paths, room, caps, counts, [1] * flows)


def by_fractions(flows: Sequence[tuple[int, tuple[Any, ...], int, int | None]], room: dict[Any, int]) -> list[Fraction]:
    """When each (start, path, bits, cap) ends, in ns: every flow for itself, time in exact fractions."""
    left = [Fraction(bits) for _, _, bits, _ in flows]
    ends: list[Fraction | None] = [None] * len(flows)
    now = Fraction(0)
    while any(end is None for end in ends):
        active = [i for i, f in enumerate(flows) if ends[i] is None and f[0] <= now]
        coming = [Fraction(f[0]) for f in flows if f[0] > now]
        # A billion times finer than the rates are known.
        fine = {name: value * 10**9 for name, value in room.items()}
        caps = [None if flows[i][3] is None else flows[i][3] * 10**9 for i in active]
        rates = [Fraction(r, 10**18) for r in max_min([flows[i][1] for i in active], fine, caps)]
        until = min([now + left[i] / rate for i, rate in zip(active, rates, strict=True)] + coming)
        for i, rate in zip(active, rates, strict=True):
            left[i] -= rate * (until - now)
            if left[i] <= 0:
                ends[i] = until
        now = until
    return [end for end in ends if end is not None]


def test_flows_in_time_against_exact_fractions() -> None:
    """Within a nanosecond, however many have come and gone; ends are asked for in between at random."""
    rng = np.random.default_rng(3)
    for _ in range(40):
        room = {name: int(rng.integers(10**5, 10**8)) for name in "abcd"}
        flows = []
        for _ in range(12):
            path = tuple(sorted(rng.permutation(list("abcd"))[: int(rng.integers(1, 3))].tolist()))
            cap = int(rng.integers(10**5, 10**8)) if rng.random() < 0.3 else None
            flows.append((int(rng.integers(0, 10**8)), path, int(rng.integers(1, 10**6)), cap))
        flows.sort(key=lambda f: f[0])
        fluid = Fluid(lambda resource, at_fs, room=room: (rate_units(room[resource[0]]), None))
        ends: dict[int, int] = {}

        def run(to_fs: int, fluid: Fluid = fluid, ends: dict[int, int] = ends) -> None:
            while (at_fs := fluid.next_fs()) is not None and at_fs <= to_fs:
                serial = fluid.step()
                assert serial is not None
                ends[serial] = to_ns(at_fs)

        for i, (start, path, bits, cap) in enumerate(flows):
            run(start * FS_PER_NS)
            cap_units = None if cap is None else rate_units(cap)
            fluid.add(start * FS_PER_NS, i, tuple((name,) for name in path), bits * BIT_WORK, cap_units)
            if rng.random() < 0.5:
                fluid.next_fs()
        run(1 << 90)
        for i, exact in enumerate(by_fractions(flows, room)):
            assert abs(ends[i] - exact) <= 1


def test_rates_that_an_event_does_not_touch_stay_and_are_still_fair() -> None:
    """Peers that send to each other over links up and down: after each of 400 events the rates are max_min's of all.

    To 1e-9 of them, as rates are whole nanobits per second; some links change, some flows have limits and weights.
    """
    for seed in range(3):
        rng = np.random.default_rng(seed)
        room = {(way, i): int(rng.integers(1, 30)) * 10**6 for way in ("up", "down") for i in range(15)}
        steps = {name: (value, value // 2 or 1) for name, value in room.items()}
        turn_fs = 10**15

        def capacity(resource: Any, at_fs: int, steps: Any = steps, turn_fs: int = turn_fs) -> tuple[int, int | None]:
            before, after = steps[resource]
            if resource[1] % 5:
                return rate_units(before), None
            return (rate_units(before), turn_fs) if at_fs < turn_fs else (rate_units(after), None)

        fluid, now_fs, serial = Fluid(capacity), 0, 0
        for _ in range(400):
            now_fs += int(rng.integers(0, 10**13)) * int(rng.random() < 0.8)
            while (at_fs := fluid.next_fs()) is not None and at_fs <= now_fs:
                fluid.step()
            if rng.random() < 0.6 or not fluid._flows:
                a, b = rng.permutation(15)[:2].tolist()
                cap = rate_units(int(rng.integers(1, 9)) * 10**5) if rng.random() < 0.2 else None
                weight = int(rng.integers(1, 3))
                fluid.add(now_fs, serial, (("up", a), ("down", b)), int(rng.integers(1, 10**6)) * BIT_WORK, cap, weight)
                serial += 1
            elif rng.random() < 0.5:
                fluid.remove(now_fs, int(rng.choice(list(fluid._flows))))
            if rng.random() < 0.5:
                continue
            fluid.next_fs()
            flows = list(fluid._flows.values())
            now = {resource: capacity(resource, now_fs)[0] for resource in room}
            whole = max_min(
                [[link.resource for link in f.links] for f in flows],
                now,
                [f.cap for f in flows],
                None,
                [f.weight for f in flows],
            )
            for flow, rate in zip(flows, whole, strict=True):
                assert flow.kind is not None
                assert abs(flow.kind.rate - rate) <= 1e-9 * rate + 1e5


def test_a_copy_of_many_flows_goes_on_alike() -> None:
    """Two thousand flows, each of which shares a link with the next one: a copy does not follow them one by one."""
    fluid, rng = Fluid(lambda resource, at_fs: (rate_units(7e6), None)), np.random.default_rng(2)
    for i in range(2000):
        fluid.add(0, i, (("up", i), ("up", (i + 1) % 2000)), int(rng.integers(1, 10**4)) * BIT_WORK)
    fluid.next_fs()
    other = deepcopy(fluid)
    assert [(f.next_fs(), f.step()) for f in [other] * 300] == [(f.next_fs(), f.step()) for f in [fluid] * 300]


def test_a_rest_of_work_takes_a_femtosecond_more() -> None:
    """3 bits at 7 Mbit/s: 428.571428571 ns and a bit."""
    fluid = Fluid(lambda resource, at_fs: (rate_units(7e6), None))
    fluid.add(0, 0, (("link",),), 3 * BIT_WORK)
    assert fluid.next_fs() == 428_571_429


def test_two_uploads_share_the_port_and_the_rest_goes_faster() -> None:
    """Port 2 Mbit/s; 1000 and 3000 bytes at once: 8 ms at 1 Mbit/s each, then 2000 bytes at 2 Mbit/s; 5 ms one way."""
    medium = opened(wan(rate_bps=10e6, server_bps=2e6, rtt_s=0.01))
    medium.submit(0, 0, (4,), 1000)
    medium.submit(0, 1, (4,), 3000)
    assert [(d.src, d.at_ns) for d in drain(medium)] == [(0, 13_000_000), (1, 21_000_000)]


def test_a_late_one_slows_the_first() -> None:
    """2000 bytes alone for 4 ms at 2 Mbit/s leave 1000; with another 1000 both take 8 ms more."""
    medium = opened(wan(rate_bps=10e6, server_bps=2e6))
    medium.submit(0, 0, (4,), 2000)
    medium.submit(4_000_000, 1, (4,), 1000)
    assert [d.at_ns for d in drain(medium)] == [12_000_000, 12_000_000]


def test_up_and_down_do_not_disturb_each_other() -> None:
    medium = opened(wan(rate_bps=1e6, down_bps=4e6, server_bps=1e7))
    medium.submit(0, 0, (4,), 1000)
    medium.submit(0, 4, (0,), 1000)
    assert {(d.src, d.at_ns) for d in drain(medium)} == {(0, 8_000_000), (4, 2_000_000)}


def test_one_connection_carries_one_message_after_the_other() -> None:
    """And the wait behind the own one is not in the service time."""
    medium = opened(wan(rate_bps=1e6, rtt_s=0.02))
    for _ in range(3):
        medium.submit(0, 0, (4,), 1000)
    got = drain(medium)
    assert [d.at_ns for d in got] == [18_000_000, 26_000_000, 34_000_000]
    assert [d.service_s for d in got] == [0.018] * 3


def test_round_trips_per_node() -> None:
    """To the server half of a node's own, between two nodes half of each."""
    medium = opened(wan(rate_bps=1e9, rtt_s=[0.01, 0.02, 0.03, 0.04]))
    for src, dst, one_way_ms in ((0, 4, 5), (4, 3, 20), (1, 2, 25)):
        now = 10**9 * (src + 1)
        medium.submit(now, src, (dst,), 125)
        assert drain(medium)[0].at_ns == now + 1000 + one_way_ms * 1_000_000


def test_many_uploads_cost_few_wake_ups() -> None:
    """A bound is told that few things can prove too early."""
    nodes = (*map(Node, range(50)), Node(50, True))
    for keys in ({"transport": "tcp"}, {}):
        medium = opened(wan(rate_bps=20e6, server_bps=1e8, rtt_s=0.04, **keys), nodes)
        for node in range(50):
            medium.submit(0, node, (50,), 100_000 + node)
        wakes = ended = 0
        while (next_ns := medium.next_event_ns()) is not None:
            ended += len(medium.advance(next_ns))
            wakes += 1
        assert (ended, wakes < 200) == (50, True)


# --- FIFO ------------------------------------------------------------------------------------------------


def test_fifo_by_hand() -> None:
    """3 Mbit/s each into 2 Mbit/s: 3000 and 1500 bytes.

    At 4 ms the second has come and 4 * 4 kbit wait, 8 ms of the port: out at 12 ms. The first comes alone from then on,
    at 8 ms 16 + 4 * 1 kbit wait, 10 ms: out at 18 ms.
    """
    medium = opened(wan(rate_bps=3e6, server_bps=2e6, sharing="fifo"))
    medium.submit(0, 0, (4,), 3000)
    medium.submit(0, 1, (4,), 1500)
    assert [(d.src, d.at_ns, d.ok) for d in drain(medium)] == [(1, 12_000_000, True), (0, 18_000_000, True)]


@pytest.mark.parametrize(("room", "oks"), [(2500, (True, True)), (2499, (False, True)), (1999, (False, False))])
def test_fifo_that_is_full_loses_whoever_sends(room: int, oks: tuple[bool, bool]) -> None:
    """As above: 2000 bytes wait when the second has come, 2500 when the first has."""
    medium = opened(wan(rate_bps=3e6, server_bps=2e6, sharing="fifo", queue_bytes=room))
    medium.submit(0, 0, (4,), 3000)
    medium.submit(0, 1, (4,), 1500)
    got = {d.src: d for d in drain(medium)}
    assert (got[0].ok, got[1].ok) == oks
    assert not wan(rate_bps=3e6, server_bps=2e6, sharing="fifo", queue_bytes=room).reliable_delivery
    assert [got[n].wire_bytes for n in (0, 1)] == [3000, 1500]
    late = 10**9
    medium.submit(late, 0, (4,), 3000)
    assert drain(medium)[0].ok == (room >= 1000)


def test_fifo_that_was_full_while_two_sent_loses_both() -> None:
    """3 Mbit/s each into 4 Mbit/s: 1000 bytes wait when the second has come, fewer from then on."""
    for room, is_ok in ((1000, True), (999, False)):
        medium = opened(wan(rate_bps=3e6, server_bps=4e6, sharing="fifo", queue_bytes=room))
        medium.submit(0, 0, (4,), 3000)
        medium.submit(0, 1, (4,), 1500)
        assert [d.ok for d in drain(medium)] == [is_ok] * 2


def test_fifo_keeps_the_port_busy() -> None:
    """All that came in leaves at the port's rate, in order of last bits; against a recursion over the arrivals.

    With nodes much faster than the port a message arrives at once, so the ends are Lindley's.
    """
    rng, nodes = np.random.default_rng(5), (*map(Node, range(6)), Node(6, True))
    medium, calls, now = opened(wan(rate_bps=1e10, server_bps=1e6, sharing="fifo"), nodes), [], 0
    for _ in range(200):
        now += int(rng.integers(2000, 12_000_000))  # longer than an input
        calls.append((now, int(rng.integers(6)), int(rng.integers(1, 2000))))
    got = []
    for at, src, size in calls:
        got += medium.advance(at)
        medium.submit(at, src, (6,), size)
    got += drain(medium)
    ends = {d.transfer: d.at_ns for d in got}
    free, waited = 0.0, 0
    for i, (at, _, size) in enumerate(calls):
        waited += free > at
        free = max(free, at) + 8000 * size
        assert abs(ends[i] - free) <= 8 * size / 10 + 2  # the time of its own input
    assert waited > 50


def test_fifo_sends_one_message_after_the_other() -> None:
    """Two copies on one link up of 1 Mbit/s, to two fast links down."""
    medium = opened(wan(rate_bps=1e6, down_bps=1e9, server_bps=1e9, sharing="fifo"))
    medium.submit(0, 0, (1, 2), 1000)
    assert [(d.dst, d.at_ns) for d in drain(medium)] == [(1, 8_000_000), (2, 16_000_000)]


# --- draws -----------------------------------------------------------------------------------------------


def peaks(channel: Any, count: int, seed: int) -> list[float]:
    """Each node's rate up, from the time of 10**6 bits."""
    medium = opened(channel, (*map(Node, range(count)), Node(count, True)), seed)
    return [1e9 * 1e6 / float(medium.cost("s", n, count)(1e6) * 1e9) for n in range(count)]


def test_rates_are_drawn_per_medium() -> None:
    """Chi-square of 5 cells, 2000 nodes: below its quantile at 1e-6, 33.4."""
    channel = wan(rate_bps=LENA)
    rates = peaks(channel, 2000, 1)
    counts = [sum(abs(r / v - 1) < 1e-6 for r in rates) for v in LENA["values_bps"]]
    expected = [2000 * p for p in LENA["probabilities"]]
    assert sum(counts) == 2000
    assert sum((c - e) ** 2 / e for c, e in zip(counts, expected, strict=True)) < 33.4
    assert peaks(channel, 2000, 1) == rates != peaks(channel, 2000, 2)
    assert peaks(channel, 10, 1) == rates[:10]


def test_rates_of_probability_0_are_never_drawn() -> None:
    choice = registry.build(
        "channel", {"name": "wan", "rate_bps": {"values_bps": [1, 2, 3], "probabilities": [0, 1, 0]}}
    ).rate_bps
    assert {choice.draw(u) for u in (0.0, 0.5, 1 - 2.0**-32)} == {2.0}


def test_stragglers_are_slow_in_both_directions() -> None:
    """1000 nodes at probability 0.3: 242 .. 358 slow at 4 standard deviations (6e-5)."""
    channel = wan(rate_bps=8e6, stragglers={"probability": 0.3, "factor": 4})
    rates = peaks(channel, 1000, 3)
    slow = [n for n, r in enumerate(rates) if r < 3e6]
    assert 242 < len(slow) < 358
    assert {round(r) for r in rates} == {2_000_000, 8_000_000}
    medium = opened(channel, (*map(Node, range(1000)), Node(1000, True)), 3)
    assert float(medium.cost("s", 1000, slow[0])(8e6)) == pytest.approx(4.0)


def test_jitter_is_uniform_and_depends_on_the_transfer_alone() -> None:
    """Kolmogorov-Smirnov of 2000 draws: below 0.0545 at 1e-5."""
    channel = wan(rate_bps=1e9, jitter_s=0.5, rtt_s=0.1)
    medium, late = opened(channel), []
    for i in range(2000):
        medium.submit(i * 10**9, i % 4, (4,), 125)
        (d,) = drain(medium)
        late.append((d.at_ns - i * 10**9 - 50_001_000) / 5e8)
    grid = np.sort(late)
    assert np.max(np.abs(grid - (np.arange(2000) + 0.5) / 2000)) < 0.0545
    assert (grid[0] >= 0, grid[-1] <= 1) == (True, True)
    again = opened(channel)
    for i in range(20):
        again.submit(0, i % 4, (4,), 125)
    assert {d.transfer: d.at_ns for d in drain(again)}[0] == 50_001_000 + round(late[0] * 5e8)
    cost = float(opened(channel).cost("s", 0, 4)(1000.0))
    assert cost == pytest.approx(0.05 + 1e-6 + 0.25)


def test_plain_messages_are_lost_as_their_segments_are() -> None:
    """5 segments at p = 0.1: 0.59049 arrive; 2000 messages within 4.5 standard deviations (7e-6)."""
    channel = wan(rate_bps=1e9, loss=0.1)
    assert not channel.reliable_delivery
    assert registry.build("channel", {"name": "wan", "rate_bps": 1e6, "loss": 0.01}).reliable_delivery
    medium = opened(channel)
    for i in range(2000):
        medium.submit(0, i % 4, (4,), 5 * 1448)
    got = sum(d.ok for d in drain(medium))
    assert abs(got - 2000 * 0.9**5) < 4.5 * math.sqrt(2000 * 0.9**5 * (1 - 0.9**5))


def test_outages_hold_up_what_is_under_way() -> None:
    """Nothing is lost, nothing is sent while a link stands still, and half of the time works here.

    100 cycles of up and down: the share's standard deviation is 0.035, so within 0.16 at 4.5 of them (7e-6).
    """
    channel = wan(rate_bps=1e6, outages={"mean_up_s": 1.0, "mean_down_s": 1.0})
    assert channel.reliable_delivery
    medium = opened(channel)
    medium.submit(0, 0, (4,), 12_500_000)  # 100 s alone
    (d,) = drain(medium)
    assert d.ok
    assert abs(100 / (d.at_ns / 1e9) - 0.5) < 0.16
    assert float(medium.cost("s", 0, 4)(1e8)) == pytest.approx(200.0)
    other = opened(channel, seed=1)
    other.submit(0, 0, (4,), 12_500_000)
    assert drain(other)[0].at_ns != d.at_ns


def waits(keys: dict[str, Any], size: int, count: int, gap_ns: int) -> tuple[float, float, float, Any]:
    """Mean time of `count` messages to the server's port of 1 Mbit/s, its standard error, the cost, the medium.

    Gaps of one to two `gap_ns`.
    """
    medium, took, now, rng = opened(wan(rate_bps=1e12, server_bps=1e6, **keys), seed=9), [], 0, np.random.default_rng(2)
    for _ in range(count):
        now += gap_ns + int(rng.integers(gap_ns))
        medium.advance(now)
        medium.submit(now, 0, (4,), size)
        (d,) = drain(medium)
        took.append((d.at_ns - now) / 1e9)
        now = d.at_ns
    error, cost = float(np.std(took, ddof=1) / np.sqrt(count)), float(medium.cost("s", 0, 4)(8.0 * size))
    return float(np.mean(took)), error, cost, medium


@pytest.mark.parametrize(("sizes", "mean_s", "size"), [("exponential", 0.012, 1), ("fixed", 0.006, 1000)])
def test_a_message_waits_behind_those_of_others(sizes: str, mean_s: float, size: int) -> None:
    """S = 8 ms, load 0.6: M/M/1 waits load S / (1 - load) = 12 ms, M/D/1 half of it; and a byte takes 8 us.

    Gaps of at least 0.5 s, three relaxation times S / (1 - sqrt(load))^2; 4 standard errors, 7e-5 a case.
    """
    background = {"rate_hz": 75, "mean_bytes": 1000, "sizes": sizes}
    mean, error, cost, medium = waits({"sharing": "fifo", "background": background}, size, 2000, 500_000_000)
    assert abs(mean - mean_s - 8e-6 * size) < 4 * error < mean_s / 4
    assert cost == pytest.approx(mean_s + 8e-6 * size, rel=1e-6)
    # No node's usage has what others sent, and the port has no second process.
    usage, (port,), others = medium.usage(10**12), medium._others.values(), list[int]()
    assert (usage.tx_bytes.sum(), usage.tx_frames.sum(), {*medium._others}) == (2000 * size, 2000, {("in", 4)})
    again = Arrivals(Background(**background), medium._key, 0)
    while again.at_ns <= medium._ran_ns:
        others.append(again.size_bytes)
        again.next()
    assert again.at_ns == port.at_ns
    messages, size_bytes = len(others), sum(others)
    expected = 75 * medium._ran_ns / 1e9
    assert abs(messages - expected) < 4.5 * math.sqrt(expected)
    spread = math.sqrt(expected) * 1000 * (1 if sizes == "exponential" else 1e-3)
    assert abs(size_bytes - 1000 * messages) < 4.5 * spread


@pytest.mark.parametrize("sizes", ["exponential", pytest.param("fixed", marks=pytest.mark.slow)])
def test_fair_shares_stretch_a_message_by_the_load_alone(sizes: str) -> None:
    """M/G/1 with processor sharing: 1000 bytes take 8 ms / (1 - load) = 16 ms, whatever the sizes of others.

    Gaps of three relaxation times as above; 4 standard errors, 7e-5 a case. A node's link does the same.
    """
    background = {"rate_hz": 62.5, "mean_bytes": 1000, "sizes": sizes}
    mean, error, cost, _ = waits({"background": background}, 1000, 800, 280_000_000)
    assert abs(mean - 0.016) < 4 * error < 0.003
    assert cost == pytest.approx(0.016)
    channel = wan(rate_bps=1e6, background={**background, "at": "nodes"})
    medium = opened(channel)
    assert set(medium._others) == {(way, node) for way in ("in", "out") for node in range(4)}  # type: ignore[attr-defined]
    assert [float(medium.cost("s", *pair)(8000.0)) for pair in ((0, 4), (4, 0), (0, 1))] == pytest.approx([0.016] * 3)


@pytest.mark.parametrize("sender_bps", [3e5, 1e6, 4e6])
def test_bits_of_others_come_between_those_of_a_long_message(sender_bps: float) -> None:
    """0.5 MB into a FIFO port of 1 Mbit/s with a load of 0.6: the cost is its time within 2 %."""
    background = {"rate_hz": 7500, "mean_bytes": 10, "sizes": "fixed"}
    medium = opened(wan(rate_bps=sender_bps, server_bps=1e6, sharing="fifo", background=background))
    medium.submit(0, 0, (4,), 500_000)
    (d,) = drain(medium)
    assert d.at_ns / 1e9 == pytest.approx(float(medium.cost("s", 0, 4)(4e6)), rel=0.02)


def test_arrivals_are_poisson() -> None:
    """Kolmogorov-Smirnov of 4000 gaps and sizes against the exponential: below 0.0385 at 1e-5; no lag-1 correlation."""
    arrivals, got = Arrivals(Background(rate_hz=50.0, mean_bytes=1e6), 12345, 3), []
    for _ in range(4001):
        got.append((arrivals.at_ns, arrivals.size_bytes))
        arrivals.next()
    gaps, sizes = np.diff([at for at, _ in got]) / 2e7, np.array([size for _, size in got[1:]]) / 1e6
    for values in (gaps, sizes):
        places = 1 - np.exp(-np.sort(values))
        assert np.max(np.abs(places - (np.arange(4000) + 0.5) / 4000)) < 0.0385
        assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 4.5 / math.sqrt(4000)
    assert abs(np.corrcoef(gaps, sizes)[0, 1]) < 4.5 / math.sqrt(4000)
    other = Arrivals(Background(rate_hz=50.0, mean_bytes=1e6), 12345, 4)
    assert other.at_ns != got[0][0]


def test_a_medium_with_others_alone_has_nothing_to_deliver() -> None:
    """Else a run that waits for nobody would never end; and where one is under way, its time comes."""
    medium = opened(wan(rate_bps=1e6, server_bps=1e6, background={"rate_hz": 50, "mean_bytes": 1000}))
    assert medium.next_event_ns() is None
    assert list(medium.advance(10**10)) == []
    assert medium.next_event_ns() is None
    medium.submit(10**10, 0, (4,), 1000)
    (d,) = drain(medium)
    assert d.ok
    assert medium.next_event_ns() is None


def test_a_full_queue_loses_what_others_bring_too() -> None:
    """Room for 2000 bytes at 1 Mbit/s and a load of 0.96: a byte waits for at most 16 ms; else for longer."""
    keys = {"sharing": "fifo", "queue_bytes": 2000, "background": {"rate_hz": 100, "mean_bytes": 1200}}
    medium, now, longest = opened(wan(rate_bps=1e12, server_bps=1e6, **keys)), 0, 0
    for _ in range(500):
        now += 30_000_000
        medium.advance(now)
        medium.submit(now, 0, (4,), 1)
        (d,) = drain(medium)
        longest = max(longest, d.at_ns - now)
    assert 15_000_000 < longest <= 16_000_008


def test_what_finds_no_room_does_not_delay_even_who_comes_at_once() -> None:
    """100 units come to a port of 2 with room for 10: what comes at the same instant leaves 5 later."""
    port = FifoPort(rate=2, room=10)
    port.begin(0, 1, 3)
    port.jump(0, 100)
    assert port.end(0, 1) == (5, True)


def test_a_message_whose_bits_are_lost_is_not_late() -> None:
    """20 Mbit/s into 5: 100 kB come in 40 ms, and the 4000 bytes that wait then leave 6.4 ms later."""
    medium = opened(wan(rate_bps=20e6, server_bps=5e6, sharing="fifo", queue_bytes=4000))
    medium.submit(0, 0, (4,), 100_000)
    bound = medium.next_event_ns()
    (d,) = drain(medium)
    assert (d.at_ns, d.ok) == (46_400_000, False)
    assert bound is not None
    assert bound <= d.at_ns


def test_background_takes_its_share() -> None:
    medium = opened(wan(rate_bps=1e6, background=0.75))
    medium.submit(0, 0, (4,), 1000)
    assert drain(medium)[0].at_ns == 32_000_000


# --- files -------------------------------------------------------------------------------------------------


def written(folder: Path, text: str) -> str:
    file = folder / "links.csv"
    file.write_text(text)
    return str(file)


CLOUDS = "timestamp,from_cloud,from_region,to_cloud,to_region,bitrate_Bps,avgrtt\n"


def test_measurements_between_clouds_hold_bytes_of_ten_seconds(tmp_path: Path) -> None:
    """125 MB in 10 s are 100 Mbit/s; medians over a pair's rows; the way back has numbers of its own."""
    rows = "t,A,x,G,y,125000000.0,40\nt,A,x,G,y,1250000.0,60\nt,A,x,G,y,250000000.0,50\nt,G,y,A,x,12500000.0,50\n"
    path = written(tmp_path, CLOUDS + rows)
    medium = opened(wan(table={"path": path, "regions": ["A:x"], "server": "G:y"}), (Node(0), Node(1, True)))
    assert float(medium.cost("s", 0, 1)(1e6)) == pytest.approx(0.025 + 0.01)
    assert float(medium.cost("s", 1, 0)(1e6)) == pytest.approx(0.025 + 0.1)


def test_a_square_of_round_trips_in_ms_takes_rates_from_elsewhere(tmp_path: Path) -> None:
    path = written(tmp_path, "Source,Here,There\nHere,,80\nThere,84,\n")
    table = {"path": path, "regions": ["Here"], "server": "There"}
    medium = opened(wan(rate_bps=1e6, table=table), (Node(0), Node(1, True)))
    assert float(medium.cost("s", 0, 1)(1e3)) == pytest.approx(0.041)
    with pytest.raises(ConfigError, match=r"rate_bps: .*, or a table with rates. Got a table w"):
        wan(table=table)


def test_regions_are_drawn_without_repeats() -> None:
    channel = registry.build("channel", contract_example("table"))
    places = {tuple(sorted(channel.table.place(range(4), 4, np.random.default_rng(s)).items())) for s in range(30)}
    assert len(places) > 20
    assert all(len({region for _, region in place}) == 5 for place in places)


def contract_example(key: str) -> dict[str, Any]:
    cls: Any = registry.get("channel", "wan")
    return {"name": "wan", **next(example for example in cls.examples if key in example)}


def test_a_trace_in_time(tmp_path: Path) -> None:
    """1 Mbit/s for 4 ms, nothing for 6 ms, then 2 Mbit/s: 1000 bytes are there at 12 ms; from 20 ms on 4 ms."""
    path = written(tmp_path, "time_s,rate_bps\n0,1e6\n0.004,0\n0.010,2e6\n")
    medium = opened(wan(trace=path))
    medium.submit(0, 0, (4,), 1000)
    assert drain(medium)[0].at_ns == 12_000_000
    medium.submit(20_000_000, 0, (4,), 1000)
    assert drain(medium)[0].at_ns == 24_000_000
    for check in testing.checks("channel"):
        check(wan(trace=path, rtt_s=0.01, server_bps=3e6))


def test_a_trace_in_the_scenario() -> None:
    """10 Mbit/s until 3 ms, then a tenth: 5000 bytes need 10 ms more."""
    steps = [{"from_s": 0, "rate_bps": "10 Mbit/s"}, {"from_s": "3 ms", "rate_bps": "1 Mbit/s"}]
    medium = opened(wan(trace=steps))
    medium.submit(0, 0, (4,), 5000)
    assert drain(medium)[0].at_ns == 13_000_000


MEASURED = Path(os.environ.get("NETSIM_DATA", "/no/data")) / "wan"


@pytest.mark.skipif(
    not MEASURED.exists(), reason="put intercloud_results.csv and azure_latency_ms.csv into NETSIM_DATA/wan"
)
def test_the_measured_tables() -> None:
    """45 regions, 5, 50 and 95 % at 26, 100 and 959 Mbit/s and at 13, 147 and 285 ms."""
    table = read_table("wan/intercloud_results.csv")
    assert (len(table.regions), len(table.rtt_s)) == (45, 1556)
    rates = np.percentile(list(table.rate_bps.values()), [5, 50, 95]) / 1e6
    np.testing.assert_allclose(rates, [26, 100, 959], rtol=0.02)
    np.testing.assert_allclose(np.percentile(list(table.rtt_s.values()), [5, 50, 95]), [0.013, 0.147, 0.285], rtol=0.06)
    assert len(read_table("wan/azure_latency_ms.csv").rtt_s) == 2350
    for seed in range(20):
        medium = opened(
            wan(table={"path": "wan/intercloud_results.csv"}), (*map(Node, range(10)), Node(10, True)), seed
        )
        assert all(float(medium.cost("s", n, 10)(8e6)) > 0.001 for n in range(10))


def test_a_trace_of_every_node(tmp_path: Path) -> None:
    path = written(tmp_path, "node,time_s,rate_bps\n0,0,1e6\n1,0,2e6\n")
    medium = opened(wan(trace=path), (Node(0), Node(1), Node(2, True)))
    assert [float(medium.cost("s", n, 2)(1e6)) for n in (0, 1)] == [1.0, 0.5]
    with pytest.raises(ConfigError, match=r"trace: steps for each of 3 nodes\. Got none for 2"):
        opened(wan(trace=path), (*map(Node, range(3)), Node(3, True)))


# --- presets, energy, nodes that go down ---------------------------------------------------------------


def test_presets() -> None:
    """500 km of fibre at 2e8 m/s and back; 270 ms and 2 us of an upload of a few bytes."""
    assert set(PRESETS) == {"kista_lund", "wan_270ms", "cluster_2us"}
    kista = registry.build("channel", {"name": "wan", "preset": "kista_lund"})
    assert (kista.rate_bps, kista.rtt_s, kista.transport) == (1e9, 2 * 500e3 / 2e8, "tcp")
    assert kista.handshake == "per_connection"
    for preset, one_way_ns, most_ns in (("wan_270ms", 270_000_000, 64_000), ("cluster_2us", 2000, 7)):
        medium = opened(registry.build("channel", {"name": "wan", "preset": preset}))
        medium.submit(0, 0, (4,), 8)
        at = drain(medium)[0].at_ns
        assert 0 < at - one_way_ns <= most_ns
    ours = registry.build("channel", {"name": "wan", "preset": "wan_270ms", "rate_bps": 1e6, "transport": "tcp"})
    assert (ours.rate_bps, ours.rtt_s, ours.transport) == (1e6, 0.54, "tcp")


def test_energy_is_that_of_sending() -> None:
    """1000 bytes at 1 Mbit/s are 8 ms of tx and rx; joules beyond idle as the cost model says."""
    power = {"name": "ethernet", "active_w": 2.0, "idle_w": 0.5}
    medium = opened(wan(rate_bps=1e6, rtt_s=0.02, power=power))
    medium.submit(0, 0, (4,), 1000)
    (d,) = drain(medium)
    assert d.energy_j == pytest.approx(0.008 * 1.5) == float(medium.cost("j", 0, 4)(8000.0))
    usage = medium.usage(d.at_ns)
    states = {name: usage.state_ns[usage.interfaces.index(name)].tolist() for name in ((0, "out"), (4, "in"))}
    tx, rx, idle = (STATES.index(s) for s in ("tx", "rx", "idle"))
    assert (states[0, "out"][tx], states[4, "in"][rx], states[0, "out"][idle]) == (8_000_000, 8_000_000, 10_000_000)
    tcp = opened(registry.build("channel", {"name": "wan", "rate_bps": 1e6, "rtt_s": 0.5, "power": power}))
    tcp.submit(0, 0, (4,), 60_000)
    (d,) = drain(tcp)
    assert d.energy_j == pytest.approx(float(tcp.cost("j", 0, 4)(480_000.0)), rel=1e-6)


def test_a_node_that_goes_down_frees_the_port() -> None:
    """Two share 2 Mbit/s for 4 ms, then one of them alone: 2000 bytes left take 8 ms; its segments that left count."""
    medium = opened(wan(rate_bps=10e6, server_bps=2e6))
    medium.submit(0, 0, (4,), 2500)
    medium.submit(0, 1, (4,), 2500)
    medium.set_up(4_000_000, 0, False)
    first, second = drain(medium)
    assert (first.src, first.at_ns, first.ok, first.packets, first.wire_bytes) == (0, 4_000_000, False, 0, 0)
    assert (second.src, second.at_ns, second.ok) == (1, 12_000_000, True)
    medium.set_up(20_000_000, 0, True)
    medium.submit(20_000_000, 0, (4,), 2500)
    medium.set_up(28_000_000, 4, False)
    (third,) = drain(medium)
    assert (third.at_ns, third.packets, third.wire_bytes) == (28_000_000, 1, 1448)


# --- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({}, r"rate_bps: rate_bps, a trace, a preset, or a table with rates\. Got nothing\."),
        ({"rate_bps": 0}, r"rate_bps: a number >= 1 and <= 1e\+12 in bit/s, or a string with a unit"),
        ({"rate_bps": [1e6, -5]}, r"rate_bps\[1\]: a number >= 1 and <= 1e\+12 in bit/s, .*\. Got -5"),
        ({"rate_bps": {"values_bps": [1e6, 2e6], "probabilities": [0.5, 0.4]}},
         r"rate_bps\.probabilities: probabilities that sum to 1\. Got a sum of 0\.9\."),
        ({"rate_bps": {"values_bps": [1e6, 2e6], "probabilities": [1.0]}},
         r"rate_bps\.probabilities: a probability for each of 2 rates\. Got 1\."),
        ({"rate_bps": {"values_bps": [], "probabilities": []}}, r"rate_bps\.values_bps: at least one rate"),
        ({"rate_bps": {"values_bps": [1e6], "probabilities": [1.5]}}, r"rate_bps\.probabilities\[0\]: a number >= 0 a"),
        ({"rate_bps": 1e6, "rtt_s": 270}, r"rtt_s: a number >= 0 and <= 5 in s, or a string with a unit"),
        ({"rate_bps": 1e6, "loss": 1.0}, r"loss: a probability below 1\. Got 1\."),
        ({"rate_bps": 1e6, "transport": "lv08"}, r"transport: one of tcp, plain, or nothing\. Got 'lv08'\."),
        ({"rate_bps": 1e6, "background": 1},
         r"background: a number >= 0 and < 1, or a mapping with rate_hz, mean_bytes, sizes, at\. Got 1\."),
        ({"rate_bps": 1e6, "background": {"rate_hz": 10, "mean_bytes": 0.5}}, r"background\.mean_bytes: a number >= 1"),
        ({"rate_bps": 1e6, "background": {"rate_hz": 10, "mean_bytes": 9}},
         r"background\.at: for at: server server_bps is needed\. Got server\."),
        ({"rate_bps": 1e6, "server_bps": 1e6, "background": {"rate_hz": 125, "mean_bytes": 1000}},
         r"background\.rate_hz: a load below the port's rate, 1e\+06 bit/s\. Got 1e\+06 bit/s, 125 Hz of 1000 B\."),
        ({"rate_bps": [1e6, 5e5], "stragglers": {"probability": 0.1, "factor": 5},
          "background": {"rate_hz": 12.5, "mean_bytes": 1000, "at": "nodes"}},
         r"background\.rate_hz: a load below the port's rate, 100000 bit/s\. Got 100000 bit/s, 12\.5 Hz of 1000 B\."),
        ({"rate_bps": 1e6, "server_bps": 1e6, "sharing": "fifo",
          "background": {"rate_hz": 1, "mean_bytes": 1000, "at": "nodes"}},
         r"background\.at: with sharing: fifo the server's port alone\. Got nodes\."),
        ({"rate_bps": 1e6, "queue_bytes": 5}, r"queue_bytes: with sharing: fifo and tr.* Got sharing: max_min"),
        ({"rate_bps": 1e6, "sharing": "fifo"}, r"sharing: for fifo server_bps is needed\. Got fifo\."),
        ({"rate_bps": 1e6, "sharing": "fifo", "server_bps": 1e6, "transport": "tcp", "queue_bytes": 9},
         r"queue_bytes: .* Got sharing: fifo, transport: tcp\."),
        ({"rate_bps": 1e6, "sharing": "fifo", "transport": "tcp"}, r"sharing: for fifo server_bps is needed\."),
        ({"rate_bps": 1e6, "sharing": "fair"}, r"sharing: one of max_min, fifo, or nothing\. Got 'fair'\."),
        ({"rate_bps": 1e6, "transport": "tcp", "loss": 0.06}, r"loss: with transport tcp at most 0\.05\. Got 0\.06\."),
        ({"rate_bps": 1e6, "transport": "tcp", "loss": -0.01}, r"loss: a number >= 0"),
        ({"rate_bps": 1e6, "handshake": "once"}, r"handshake: .*per_connection.* Got 'once'\."),
        ({"rate_bps": 1e6, "handshake": 1}, r"handshake: .*Got 1\."),
        ({"rate_bps": 1e6, "min_rto_s": 0}, r"min_rto_s: a number > 0 and <= 60"),
        ({"rate_bps": 1e6, "min_rto_s": "200"}, r"min_rto_s: .*Got '200'"),
        ({"rate_bps": 1e6, "min_rto_s": "200 m"}, r"min_rto_s: .*Got '200 m'"),
        ({"rate_bps": 1e6, "preset": "kista"}, r"preset: one of kista_lund.* Got 'kista'\."),
        ({"rate_bps": 1e6, "trace": "x.csv"}, r"trace: either rate_bps or a trace\. Got both\."),
        ({"trace": "/no/such.csv"}, r"trace: a CSV file that can be read, .* Got /no/such.csv: No such file"),
        ({"table": {"path": "/no/such.csv"}}, r"table\.path: a CSV file that can be read, .* Got /no/such.csv: "),
        ({"trace": [{"from_s": 0, "rate_bps": 1e6}, {"from_s": 0, "rate_bps": 2e6}]}, r"trace: steps from 0 on"),
        ({"trace": [{"from_s": 0, "rate_bps": 0}]}, r"trace: a last rate above 0\. Got 0\."),
        ({"trace": []}, r"trace: steps from 0 on, at times that rise\. Got none\."),
        ({"trace": [{"from_s": 0, "rate_bps": -1}]}, r"trace\[0\]\.rate_bps: a number >= 0"),
        ({"rate_bps": 1e6, "outages": {"mean_up_s": 0, "mean_down_s": 1}}, r"outages\.mean_up_s: a number > 0 in s"),
        ({"rate_bps": 1e6, "stragglers": {"probability": 2}}, r"stragglers\.probability: a number >= 0 and <= 1"),
    ],
)  # fmt: skip
def test_refused(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        wan(**keys)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (CLOUDS.replace("avgrtt", "rtt"), r"columns .*avgrtt\. Got .*:1: .* without avgrtt\. Nearest: rtt\."),
        (CLOUDS + "t,A,x,G,y,fast,40\n", r"bitrate_Bps: a number >= 0\. Got .*links.csv:2: 'fast'\."),
        (CLOUDS + "t,A,x,G,y,1e8,40000\n", r"round trips between 0 and 5 s; the unit .* Got 40 s from A:x to"),
        (CLOUDS + "t,A,x,G,y,100,40\n", r"rates between 1000 and 1e\+12 bit/s; the unit .* Got 80 bit/s fr"),
        (CLOUDS + "t,A,x\n", r"7 cells, as in the first line\. Got .*links.csv:2: 3: 't,A,x'"),
        (CLOUDS, r"at least one pair of regions"),
        ("from,to,rate_bps\na,b,1e6\n", r"columns from, to, rtt_s, rate_bps\. Got .*without rtt_s"),
        ("", r"a first line of column names\. Got .*: an empty file"),
        ("from,to,rtt_s,rate_bps\na,b,0.1,1e6\n", r"table\.regions\[0\]: no region .* are a, b\. Got 'c'"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_right(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        wan(table={"path": written(tmp_path, text), "regions": ["c"]})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("time,rate_bps\n0,1\n", r"trace: a first line with the columns time_s, rate_bps\. .*without time_s"),
        ("time_s,rate_bps\n1,1e6\n", r"trace: times that begin at 0 and rise\. Got .*:2: 1\."),
        ("time_s,rate_bps\n0,1e6\n0,2e6\n", r"trace: times that begin at 0 and rise\. Got .*:3: 0\."),
        ("time_s,rate_bps\n0,10\n", r"trace: rates of 0 or 1000 \.\. 1e\+12 in bit/s; .* Got .*: 10"),
        ("time_s,rate_bps\n0,1e6\n1,0\n", r"trace: a last rate above 0\. Got 0 at 1 s"),
        ("time_s,rate_bps\n", r"trace: a trace of at least one step"),
    ],
)  # fmt: skip
def test_traces_that_cannot_be_right(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        wan(trace=written(tmp_path, text))


def test_lists_fit_the_nodes() -> None:
    for key, value in (("rate_bps", [1e6] * 3), ("down_bps", [1e6] * 5), ("rtt_s", [0.1])):
        with pytest.raises(ConfigError, match=rf"{key}: a value for each of 4 nodes\. Got {len(value)}\."):
            opened(wan(**{"rate_bps": 1e6, key: value}))


def test_a_scenario_says_so_before_anything_runs() -> None:
    text = """
name: small
problem: {name: quadratic, nodes: 4}
network: {uplink: {name: wan, rate_bps: [1 Mbit/s, 2 Mbit/s]}}
algorithms: [gd]
stop: {rounds: 5}
"""
    with pytest.raises(ConfigError, match=r"network\.uplink\.rate_bps: a value for each of 4 nodes\. Got 2\."):
        parse_text(text, "s.yaml")


def test_unknown_nodes_and_empty_messages() -> None:
    medium = opened(wan(rate_bps=1e6))
    with pytest.raises(SimulationError, match="no node 7; there are 0, 1, 2, 3, 4"):
        medium.submit(0, 0, (7,), 10)
    with pytest.raises(SimulationError, match=r"no node 7; there are"):
        medium.set_up(0, 7, False)
    with pytest.raises(ValueError, match=r"at least one byte\. Got 0"):
        medium.submit(0, 0, (4,), 0)
    with pytest.raises(ConfigError, match="quantity: a link's cost is in one of"):
        medium.cost("meters", 0, 4)


def test_pairs_that_nobody_measured(tmp_path: Path) -> None:
    path = written(tmp_path, "from,to,rtt_s,rate_bps\na,b,0.1,1e6\nb,a,0.1,1e6\nc,b,0.2,1e6\nb,c,0.2,1e6\n")
    medium = opened(wan(table={"path": path, "regions": ["a", "c"], "server": "b"}), (Node(0), Node(1), Node(2, True)))
    medium.submit(0, 0, (2,), 10)
    with pytest.raises(SimulationError, match="nothing was measured between a and c in"):
        medium.submit(0, 0, (1,), 10)
