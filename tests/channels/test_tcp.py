"""TCP's transfer times: the engine against the closed forms; against ns-3 and SimGrid they are in test_validation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.validation.simgrid import flow_s
from channels.media.flows.tcp import (
    GROWTH,
    Window,
    first_lost,
    lossy_window,
    mathis_window,
    slow_start_segments,
    transfer_s,
)
from netsim import registry
from netsim.interfaces import Node


def lone_ns(size: int, **keys: Any) -> int:
    """Nanoseconds of a message alone, from the medium."""
    medium = registry.build("channel", {"name": "wan", **keys}).open(
        [Node(0), Node(1, is_server=True)], np.random.default_rng(0)
    )
    medium.submit(0, 0, (1,), size)
    while not (got := medium.advance(medium.next_event_ns())):
        pass
    return int(got[0].at_ns)


def by_rounds_s(size: int, rate: float, one_way: float, growth: float) -> float:
    """The closed form once more, one transfer at a time."""
    n = math.ceil(size / 1448)
    last = size - (n - 1) * 1448
    tx = 8 * 1502 / rate
    rtt = 2 * one_way + tx
    t, w, sent = 2 * one_way + 2 * 8 * 54 / rate, 10.0, 0
    while True:
        k = min(math.floor(w), n - sent)
        if math.floor(w) * tx >= rtt or sent + k >= n:
            return t + (n - sent - 1) * tx + 8 * (last + 54) / rate + one_way
        sent, t, w = sent + k, t + rtt, w * growth


@pytest.mark.parametrize("congestion", ["newreno", "cubic"])
@pytest.mark.parametrize(("rate", "one_way"), [(1e6, 0.005), (33e6, 0.02), (1e9, 0.1), (123456.789, 0.3)])
def test_engine_closed_form_and_rounds_are_one(rate: float, one_way: float, congestion: str) -> None:
    """To a nanosecond; the closed form for many sizes at once and by rounds to 1e-12."""
    sizes = [1, 65, 1448, 1449, 14480, 14481, 100_000, 123_457, 10**6, 5 * 10**6]
    many = transfer_s(sizes, rate, one_way, growth=GROWTH[congestion])[0]
    for size, ours in zip(sizes, many.tolist(), strict=True):
        assert ours == pytest.approx(by_rounds_s(size, rate, one_way, GROWTH[congestion]), rel=1e-12)
        got = lone_ns(size, rate_bps=rate, rtt_s=2 * one_way, congestion=congestion)
        assert abs(got - ours * 1e9) <= 1


@pytest.mark.parametrize("sharing", ["max_min", "fifo"])
@pytest.mark.parametrize("handshake", [True, False, "per_connection"])
def test_engine_equals_closed_form_with_unequal_ways(sharing: str, handshake: Any) -> None:
    """Alone nobody waits, so queues and fair shares are one, also where nothing happens to be lost."""
    for size in (1, 30_000, 777_777, 4 * 10**6):
        keys = {"rate_bps": 20e6, "down_bps": 50e6, "server_bps": 1e7, "handshake": handshake, "sharing": sharing}
        ours = transfer_s(size, 1e7, 0.015, handshake=bool(handshake))[0]
        for loss in (0.0, 1e-18):
            assert abs(lone_ns(size, rtt_s=0.03, loss=loss, **keys) - float(ours) * 1e9) <= 1


def test_the_handshake_takes_both_ways() -> None:
    """SYN up at 1 Mbit/s, SYN-ACK down at 8 Mbit/s, then one segment of 154 bytes; three times 20 ms."""
    assert lone_ns(100, rate_bps=1e6, down_bps=8e6, rtt_s=0.04) == 432_000 + 54_000 + 1_232_000 + 60_000_000


def test_a_connection_is_made_once() -> None:
    """Two messages up, one down: the first is later by SYN and SYN-ACK (RTT + 2 * 54 bytes), as all are with true."""
    made_ns = 40_000_000 + 2 * 8 * 54 * 1000
    for handshake, late in (("per_connection", (1, 0, 0)), (True, (1, 1, 1)), (False, (0, 0, 0))):
        keys = {"name": "wan", "rate_bps": 1e6, "rtt_s": 0.04, "handshake": handshake}
        medium = registry.build("channel", keys).open([Node(0), Node(1, is_server=True)], np.random.default_rng(0))
        ends = []
        for start, src in ((0, 0), (10**9, 0), (2 * 10**9, 1)):
            medium.advance(start)
            medium.submit(start, src, (1 - src,), 100)
            ends += medium.advance(start + 9 * 10**8)
        assert [d.at_ns - 10**9 * i - 21_232_000 for i, d in enumerate(ends)] == [made_ns * k for k in late]
        assert medium.cost("s", 0, 1)(800.0) == pytest.approx(21.232e-3 + (made_ns / 1e9 if handshake is True else 0))


def test_a_connection_is_made_again_after_its_end_was_down() -> None:
    keys = {"name": "wan", "rate_bps": 1e6, "rtt_s": 0.04}
    medium = registry.build("channel", keys).open([Node(0), Node(1, is_server=True)], np.random.default_rng(0))
    times = []
    for start in (0, 10**9, 2 * 10**9):
        medium.submit(start, 0, (1,), 100)
        times += [d.at_ns - start for d in medium.advance(start + 9 * 10**8)]
        if start:
            medium.set_up(start + 9 * 10**8, 0, False)
            medium.set_up(start + 9 * 10**8 + 1, 0, True)
        medium.advance(start + 10**9)
    assert times[0] == times[2] == times[1] + 40_864_000


@pytest.mark.parametrize("sharing", ["fifo", "max_min"])
def test_handshakes_stand_in_no_queue(sharing: str) -> None:
    """Four SYNs of 54 bytes at one port of 1 Mbit/s: each has 54 * 8 us there and back; then 4 * 154 bytes queue."""
    nodes = [*(Node(i) for i in range(4)), Node(4, is_server=True)]
    keys = {"name": "wan", "rate_bps": 1e6, "server_bps": 1e6, "handshake": True, "sharing": sharing}
    medium = registry.build("channel", keys).open(nodes, np.random.default_rng(0))
    for node in range(4):
        medium.submit(0, node, (4,), 100)
    ended = medium.advance(10**9)
    assert {d.at_ns for d in ended} == {2 * 54 * 8000 + 4 * 154 * 8000}
    assert {d.wire_bytes for d in ended} == {154}


@pytest.mark.parametrize(
    ("handshake", "idle_s", "bursts"),
    [
        ("per_connection", 0.2, (30,)),
        (False, 0.2, (30,)),
        (False, 0.29, (30,)),
        (False, 0.31, (20, 10)),
        (False, 0.61, (10, 20)),
        (False, 100.0, (10, 20)),
        (True, 0.2, (10, 20)),
    ],
)
def test_a_connection_keeps_its_window(handshake: Any, idle_s: float, bursts: tuple[int, ...]) -> None:
    """30 segments of 12.016 us at first in 10 + 20, which leaves a window of 40: then at once, and without a timeout's
    silence (round trip and 0.2 s; counted from the last segment that left) so; halved once after one of them, to 10
    after more, and anew with a connection for each message.
    """
    keys = {"name": "wan", "rate_bps": 1e9, "rtt_s": 0.1, "congestion": "cubic", "handshake": handshake}
    medium = registry.build("channel", keys).open([Node(0), Node(1, is_server=True)], np.random.default_rng(0))
    left_ns = 0
    for sizes in ((10, 20), bursts):
        start_ns = left_ns + round(idle_s * 1e9) if left_ns else 0
        medium.advance(start_ns)
        medium.submit(start_ns, 0, (1,), 30 * 1448)
        while not (got := medium.advance(medium.next_event_ns())):
            pass
        makes = handshake is True or (handshake == "per_connection" and not left_ns)
        hello_ns = 100_000_000 + 2 * 432 if makes else 0
        wanted_ns = hello_ns + 100_012_016 * (len(sizes) - 1) + 12_016 * sizes[-1] + 50_000_000
        assert got[0].at_ns - start_ns == wanted_ns
        left_ns = got[0].at_ns - 50_000_000
    other = registry.build("channel", keys).open([Node(0), Node(1, is_server=True)], np.random.default_rng(0))
    other.submit(0, 0, (1,), 30 * 1448)
    other.advance(10**9)
    other.submit(10**9, 1, (0,), 30 * 1448)  # the way back has a window of its own
    first = 100_012_016 + 12_016 * 20 + 50_000_000 + (100_000_864 if handshake is True else 0)
    assert [d.at_ns - 10**9 for d in other.advance(2 * 10**9)] == [first]


def test_a_window_that_is_not_used_does_not_grow() -> None:
    """Six segments of a window of 10 make it 16, six of 16 leave it; beyond the threshold only full windows count."""
    window = Window()
    window.grow("cubic", 6)
    assert window.size == 16.0
    window.grow("cubic", 6)
    assert window.size == 16.0
    assert not window.lose("newreno", 16, 0, 9)
    assert window.size == 7.0
    window.grow("newreno", 6)
    assert window.size == 7.0
    window.grow("newreno", 7)
    assert window.size == 7.5
    window.rest(9)
    assert window.size == 7.5


def a_round_s(sharing: str | None, workers: int = 3, size: int = 8600) -> float:
    """Seconds of a round: the server sends to all, each answers as soon as it has the model."""
    channel = registry.build("channel", {
        "name": "wan", "rate_bps": 1e9, "server_bps": 3e6, "rtt_s": 0.04, "handshake": False, "sharing": sharing,
    })  # fmt: skip
    medium = channel.open([*map(Node, range(workers)), Node(workers, is_server=True)], np.random.default_rng(0))
    medium.submit(0, workers, tuple(range(workers)), size)
    end_ns = 0
    while (at := medium.next_event_ns()) is not None:
        for d in medium.advance(at):
            end_ns = d.at_ns
            if d.src == workers:
                medium.submit(d.at_ns, d.dst, (workers,), size)
    return end_ns / 1e9


def test_bursts_cross_a_bottleneck_in_turn() -> None:
    """8600 bytes are 6 segments, 8924 bytes, 23.80 ms at 3 Mbit/s, and the links of 1 Gbit/s take 71 us.

    In turn the models are there after one, two and three of them, and the last answer follows the last model: 4 * 23.80
    + 40 ms. In fair shares all models are there after three, and all answers after three more. A real link's
    rounds took 1.77 s where fair shares give 2.31 s.
    """
    one = 8 * 8924 / 3e6
    assert a_round_s("fifo") == pytest.approx(4 * one + 0.04, rel=2e-3)
    assert a_round_s("max_min") == pytest.approx(6 * one + 0.04, rel=2e-3)
    assert a_round_s(None) == a_round_s("fifo")
    assert a_round_s("fifo") / a_round_s("max_min") == pytest.approx(1.77 / 2.31, abs=0.03)


def test_long_messages_take_turns_by_windows() -> None:
    """Two of 1.5 MB from two nodes through 10 Mbit/s end within a window of each other, and the port is never idle."""
    channel = registry.build("channel", {
        "name": "wan", "rate_bps": 1e9, "server_bps": 1e7, "rtt_s": 0.002, "handshake": False, "sharing": "fifo",
    })  # fmt: skip
    medium = channel.open([Node(0), Node(1), Node(2, is_server=True)], np.random.default_rng(0))
    for node in (0, 1):
        medium.submit(0, node, (2,), 1_500_000)
    ends = []
    while (at := medium.next_event_ns()) is not None:
        ends += medium.advance(at)
    work_s = 8 * (1_500_000 + 54 * 1036) / 1e7
    assert ends[1].at_ns / 1e9 == pytest.approx(2 * work_s + 0.001, rel=1e-3)
    assert 0 <= ends[1].at_ns - ends[0].at_ns <= 10 * 8 * 1502 * 100


# --- loss, transfer by transfer ----------------------------------------------------------------------------------


def many_s(size: int, runs: int, **keys: Any) -> Any:
    """Seconds of so many transfers, each alone on a connection that nobody used before."""
    channel, times = registry.build("channel", {"name": "wan", **keys}), np.empty(runs)
    for run in range(runs):
        medium = channel.open([Node(0), Node(1, is_server=True)], np.random.default_rng(run))
        medium.submit(0, 0, (1,), size)
        while not (got := medium.advance(medium.next_event_ns())):
            pass
        times[run] = got[0].at_ns / 1e9
    return times


def test_short_transfers_by_hand() -> None:
    """Two segments, p = 0.05: nothing lost 0.9025; the first, of which the second tells, is sent again after RTT, the
    last after RTT + 0.2 s, and RTT more, as the first had arrived; what is sent again arrives with 0.95.
    """
    keys = {"rate_bps": 1e9, "rtt_s": 0.1, "loss": 0.05, "handshake": False}
    times = many_s(2 * 1448, 1000, **keys)
    first = lone_ns(2 * 1448, **{**keys, "loss": 0.0}) / 1e9
    late = times - first
    for low, high, p in ((-1, 1e-3, 0.95**2), (0.099, 0.101, 0.05 * 0.95), (0.399, 0.401, 0.95 * 0.05 * 0.95)):
        share = float(np.mean((late > low) & (late < high)))
        assert abs(share - p) < 4.5 * math.sqrt(p * (1 - p) / 1000)  # 7e-6


def test_a_loss_in_the_middle_costs_a_round() -> None:
    """Ten segments: one of the first nine is sent again after a round trip, the last one by a timeout."""
    keys = {"rate_bps": 1e9, "rtt_s": 0.1, "loss": 0.01, "handshake": False}
    times = many_s(14_480, 1000, **keys)
    first = lone_ns(14_480, **{**keys, "loss": 0.0}) / 1e9
    late = times - first
    for low, high, p in ((-1, 0.01, 0.99**10), (0.09, 0.11, (1 - 0.99**9) * 0.99), (0.28, 9, None)):
        share = float(np.mean((late > low) & (late < high)))
        p = 1 - 0.99**10 - (1 - 0.99**9) * 0.99 if p is None else p
        assert abs(share - p) < 4.5 * math.sqrt(p * (1 - p) / 1000)


def test_a_window_that_shrank_is_kept() -> None:
    """Messages of six segments, of which the first loses number 1 of 6 in a window of 10: (10 - 2) / 2 = 4 are left.

    So the next one, where nothing is lost, goes in 4 + 2: a round trip longer than the same on a new connection.
    """
    keys = {"name": "wan", "rate_bps": 1e9, "rtt_s": 0.1, "handshake": False, "loss": 0.01}
    channel, trip_s = registry.build("channel", keys), 0.1 + 12.016e-6
    found = []
    for seed in range(300):
        medium = channel.open([Node(0), Node(1, is_server=True)], np.random.default_rng(seed))
        times, now = [], 0
        for _ in range(2):
            medium.submit(now, 0, (1,), 6 * 1448)
            while not (got := medium.advance(medium.next_event_ns())):
                pass
            times.append((got[0].at_ns - now) / 1e9)
            now = got[0].at_ns
        alone = 0.05 + 6 * 12.016e-6
        if abs(times[0] - alone - trip_s) < 1e-3 and times[1] < 0.25:
            found.append(times[1])
    assert len(found) > 5
    assert found == [pytest.approx(0.05 + trip_s + 2 * 12.016e-6, rel=1e-9)] * len(found)


def test_window_by_hand() -> None:
    """10, 15, then a loss at number 4 of 15 with enough behind it: (15 - 2) / 2; lost repeats: 1, 2, 4 timeouts."""
    window = Window()
    window.grow("newreno", 10)
    assert not window.lose("newreno", 15, 4, 0)
    assert window.size == 6.5
    window.grow("newreno", 6)
    assert window.size == 7.0
    assert [window.lose("newreno", 6, 5, 0), window.patience, window.size] == [True, 1, 1.0]
    assert [window.lose("newreno", 1, 0, 9), window.patience] == [True, 2]
    assert [window.lose("newreno", 1, 0, 9), window.patience] == [True, 4]
    window.grow("newreno", 1)
    assert (window.patience, window.size) == (0, 1.5)
    cubic = Window()
    assert not cubic.lose("cubic", 10, 0, 5)
    assert cubic.size == pytest.approx(5.6)


def test_first_lost_is_geometric() -> None:
    """P(at least k arrive) = (1 - p)^k, for k from 0 to 200, of equally spaced uniforms."""
    uniforms = (np.arange(4096) / 4096).tolist()
    found = np.array([first_lost(u, 0.02) for u in uniforms])
    for k in (0, 1, 10, 100, 200):
        assert abs(np.mean(found >= k) - 0.98**k) <= 2 / 4096
    assert first_lost(0.0, 5e-324) > 10**9


def test_transfers_beside_many_runs_of_ns3() -> None:
    """Means of 5 MB (400 runs of ns-3, min RTO 1 s) at 100 Mbit/s; ours of 12, whose standard errors are 4 to 8 %."""
    keys = {"rate_bps": 1e8, "min_rto_s": 1.0, "handshake": True}
    for one_way, loss, theirs, off in ((0.05, 0.01, 45.84, 0.2), (0.005, 0.01, 4.98, 0.35)):
        assert many_s(5_000_000, 12, rtt_s=2 * one_way, loss=loss, **keys).mean() == pytest.approx(theirs, rel=off)


def test_retransmissions_are_sent_and_counted() -> None:
    medium = registry.build("channel", {"name": "wan", "rate_bps": 1e8, "rtt_s": 0.01, "loss": 0.02}).open(
        [Node(0), Node(1, is_server=True)], np.random.default_rng(1)
    )
    medium.submit(0, 0, (1,), 1448 * 1000)
    while not (got := medium.advance(medium.next_event_ns())):
        pass
    (d,) = got
    assert d.ok
    assert d.packets == 1000
    again = d.attempts - 1000
    assert 2 <= again <= 45  # one a round in which something is lost
    assert d.wire_bytes == (1000 + again) * 1502
    usage = medium.usage(d.at_ns)
    assert (usage.tx_bytes.sum(), usage.tx_frames.sum()) == (d.wire_bytes, d.attempts)


def test_long_transfers_go_at_the_law() -> None:
    """1 GB: within 1 % of the window of Mathis per round trip."""
    for loss in (0.001, 0.01):
        bps = 8e9 / float(transfer_s(1e9, 1e8, 0.05, loss=loss)[0])
        assert bps == pytest.approx(11_584 / 0.10012016 * mathis_window(loss), rel=0.01)


@pytest.mark.parametrize("loss", [1e-18, 1e-4, 0.003, 0.01])
def test_slow_start_ends_with_the_first_loss(loss: float) -> None:
    """Segments before the first loss, term by term, and the lost one."""
    for n in (1, 7, 100, 1500):
        before = sum(k * loss * (1 - loss) ** k for k in range(n)) + n * (1 - loss) ** n
        assert slow_start_segments(n, loss) == min(n, math.floor(before + 1))


def test_a_larger_message_is_earlier_by_a_segment_at_most() -> None:
    """Where slow start ends a segment later; without loss never."""
    sizes = np.arange(1, 600_000, 97)
    for loss in (0.0, 0.001, 0.01):
        steps = np.diff(transfer_s(sizes, 1e8, 0.05, loss=loss)[0])
        assert steps.min() >= (-0.10012016 / mathis_window(loss) if loss else 0.0)


def test_mathis_by_hand() -> None:
    """The law's window sqrt(3 / (2 b p)), b = 2 segments for each acknowledgement: sqrt(3 / (4 * 0.01))."""
    assert mathis_window(0.01) == pytest.approx(math.sqrt(75), rel=1e-14)


def test_timeouts_take_from_the_window_of_mathis() -> None:
    """p = 0.03: 1 / (sqrt(4 p / 3) + RTO / RTT (p + 2 p^2 + 4 p^3 + ...) p) segments, b = 2."""
    p = 0.03
    share = p * sum(p * (2 * p) ** k for k in range(40))
    assert lossy_window(0.1, p, 0.3) == pytest.approx(1 / (math.sqrt(4 * p / 3) + 3 * share), rel=1e-12)
    assert lossy_window(0.1, p, 0.0) == pytest.approx(mathis_window(p), rel=1e-12)
    assert lossy_window(0.1, 0.0, 1.0) == math.inf


def test_flow_models_have_a_largest_window() -> None:
    """SimGrid 4.1, the fastest of five clients: 100 MB at 50 ms, 4 MiB per 100 ms, in LV08 times 0.97."""
    for model, theirs in (("cm02", 2.434185791015625), ("lv08", 3.108423495892397)):
        assert float(flow_s(100_000_000, 1e9, 0.05, model)) == pytest.approx(theirs, rel=1e-9)
