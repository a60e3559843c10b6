"""Messages of others on wires and at the server's port: a recursion over all packets, and the theory of queues."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from channels.media.background import Arrivals, Background
from channels.media.wires import port as port_module
from netsim import registry
from netsim.errors import ConfigError
from netsim.interfaces import STATES, Delivery, Medium, Node
from netsim.testing.channels import assert_equal_usage
from netsim.testing.scripts import play, script
from netsim.units import serialisation_ns

NODES = (*(Node(i) for i in range(4)), Node(4, True))
TX, RX, IDLE = (STATES.index(state) for state in ("tx", "rx", "idle"))
# (submitted at, sender, destinations, bytes)
Call = tuple[int, int, tuple[int, ...], int]
Spans = dict[tuple[int, str], list[tuple[int, int]]]
Crowd = Sequence[tuple[int, int]]
US, S = 1_000, 10**9


def ethernet(**keys: Any) -> Any:
    return registry.build("channel", {"name": "ethernet_udp", **keys})


def opened(channel: Any, seed: int = 0) -> Medium:
    medium: Medium = channel.open(NODES, np.random.default_rng(seed))
    return medium


def others(background: Background, number: int, rate: float, to_ns: int, seed: int = 0) -> list[tuple[int, int]]:
    """(instant, service) of what comes to one link by then; draws are tested where `Arrivals` is."""
    key = int(np.random.default_rng(seed).integers(1 << 64, dtype=np.uint64))
    arrivals, out = Arrivals(background, key, number), list[tuple[int, int]]()
    while arrivals.at_ns <= to_ns:
        out.append((arrivals.at_ns, serialisation_ns(arrivals.size_bytes, rate)))
        arrivals.next()
    return out


def packets(message: int) -> list[int]:
    """Wire bytes of each packet."""
    full, rest = divmod(message, 1472)
    return [max(84, n + 66) for n in [1472] * full + [rest] * (rest > 0)]


def lindley(queue: Sequence[tuple[int, int, int, int, Any]]) -> list[tuple[int, int, int, Any]]:
    """Serve (arrival, sender or -1, number, service, what) in order; (begin, end, sender, what)."""
    out, free = list[tuple[int, int, int, Any]](), 0
    for arrival, src, _, service, what in sorted(queue, key=lambda p: p[:3]):
        begin = max(free, arrival)
        free = begin + service
        out.append((begin, free, src, what))
    return out


def random_calls(rng: np.random.Generator, count: int, spread: int, size: int) -> list[Call]:
    """Messages up, down, to several and between nodes, some of them at equal instants."""
    out, now = list[Call](), 0
    for _ in range(count):
        now += int(rng.choice([0, int(rng.integers(spread)), spread]))
        src = int(rng.choice([0, 1, 2, 3, 4, 4]))
        dst = (4,) if src < 4 and rng.random() < 0.8 else tuple(n for n in rng.permutation(4).tolist()[:2] if n != src)
        out.append((now, src, dst, int(rng.integers(1, size))))
    return sorted(out, key=lambda c: c[:2])


def through_port(
    calls: Sequence[Call], rate: float, port: float, delay: int, coming: Crowd, going: Crowd
) -> tuple[dict[tuple[int, int], int], Spans]:
    """When each copy is there, and when interfaces are busy: every packet over its wire and through a crossed port."""
    spans: Spans = {(n, way): [] for n in range(5) for way in ("out", "in")}
    ends, free, at_port, to_go, count = dict[tuple[int, int], int](), dict[tuple[int, int], int](), [], [], 0
    for i, (now, src, dst, size) in enumerate(calls):
        for to in dst:
            for n in packets(size):
                count += 1
                if src == 4:
                    to_go.append((now, count, count, serialisation_ns(n, port), (i, to, serialisation_ns(n, rate))))
                    continue
                begin = max(now, free.get((src, to), 0))
                free[src, to] = begin + serialisation_ns(n, rate)
                spans[src, "out"].append((begin, free[src, to]))
                if to == 4:
                    at_port.append((free[src, to] + delay, src, count, serialisation_ns(n, port), i))
                else:
                    spans[to, "in"].append((begin + delay, free[src, to] + delay))
                    ends[i, to] = free[src, to] + delay
    crowd = [(at, -1, k, service, None) for k, (at, service) in enumerate(coming)]
    for begin, end, src, i in lindley([*at_port, *crowd]):
        if src >= 0:
            spans[4, "in"].append((begin, end))
            ends[i, 4] = end
    crowd = [(at, -1, k, service, None) for k, (at, service) in enumerate(going)]
    for begin, end, src, what in lindley([*to_go, *crowd]):
        if src >= 0:
            i, to, on_wire = what
            spans[4, "out"].append((begin, end))
            begin = max(end, free.get((4, to), 0))
            free[4, to] = begin + on_wire
            spans[to, "in"].append((begin + delay, free[4, to] + delay))
            ends[i, to] = free[4, to] + delay
    return ends, spans


def run(medium: Medium, calls: Sequence[Call], cuts: Sequence[int], spans: Spans) -> list[Delivery]:
    """As the engine does, which goes where something is delivered; at `cuts` the states must be those of the spans."""
    got, left = list[Delivery](), [(at, None) for at in cuts] + [(call[0], call) for call in calls]
    left.sort(key=lambda entry: (entry[0], entry[1] is not None))
    while True:
        next_ns = medium.next_event_ns()
        if left and (next_ns is None or left[0][0] <= next_ns):
            now, call = left.pop(0)
            if call is None or next_ns == now:
                got += medium.advance(now)
            if call is not None:
                medium.submit(call[0], call[1], call[2], call[3])
                continue
            usage = medium.usage(now)
            assert usage.state_ns.sum(axis=1).tolist() == [now] * len(usage.interfaces)
            for row, (node, way) in enumerate(usage.interfaces):
                busy = union(spans[node, way], now)
                assert usage.state_ns[row, RX if way == "in" else TX] == busy
                assert usage.state_ns[row, IDLE] == now - busy
        elif next_ns is None:
            return got
        else:
            ended = medium.advance(next_ns)
            got += ended
            later = medium.next_event_ns()
            assert later is None or later > next_ns


def union(spans: Sequence[tuple[int, int]], at: int) -> int:
    """How much of [0, at) they cover."""
    total, covered = 0, 0
    for begin, end in sorted(spans):
        total += max(0, min(end, at) - max(begin, covered))
        covered = max(covered, min(end, at))
    return total


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("rate", "port", "rate_hz", "mean_bytes"), [
    (1e7, 3e7, 1200, 1500),     # about half of the port
    (3e7, 1e7, 400, 2000),      # a port slower than the wires, 0.64
    (1e7, 1e8, 50_000, 100),    # many small ones: dozens between two packets
    (8.1e6, 7.9e6, 3, 30_000),  # few large ones
])  # fmt: skip
def test_a_crossed_port_equals_the_recursion_over_all_packets(
    rate: float, port: float, rate_hz: float, mean_bytes: float, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrivals to the nanosecond, and at random instants how long every interface was busy with the nodes' own."""
    for name in ("_LOAD_AT", "_USE_AT"):
        monkeypatch.setattr(port_module, name, -1 if compiled else 1 << 60)
    background = Background(rate_hz, mean_bytes)
    channel = ethernet(
        rate_bps=rate, server_rate_bps=port, delay_s=2e-5, background={"rate_hz": rate_hz, "mean_bytes": mean_bytes}
    )
    for seed, (spread, size) in enumerate([(3_000_000, 9000), (200_000, 2000), (9_000_000, 20_000)]):
        rng = np.random.default_rng(seed)
        calls = random_calls(rng, 60, spread, size)
        horizon = calls[-1][0] + (S if rate_hz < 10_000 else S // 20)
        coming, going = (others(background, number, port, horizon, seed) for number in (1, 0))
        ends, spans = through_port(calls, rate, port, 20_000, coming, going)
        assert max(ends.values()) < horizon
        cuts = sorted(int(t) for t in rng.integers(0, max(ends.values()) + 1_000_000, 40))
        for these in ([], cuts):
            got = run(opened(channel, seed), calls, these, spans)
            assert {(d.transfer, d.dst): d.at_ns for d in got} == ends


def test_crossed_wires_equal_the_recursion_and_know_their_own_queueing() -> None:
    """Every wire has others of its own; what a message waits behind its sender's earlier ones is not its service."""
    keys = {"rate_hz": 300, "mean_bytes": 1500, "sizes": "fixed", "at": "nodes"}
    background, rate, delay = Background(**keys), 6e6, 30_000
    rng, waited = np.random.default_rng(3), 0
    calls = random_calls(rng, 300, 2_000_000, 6000)
    medium = opened(ethernet(rate_bps=rate, delay_s=delay / S, background=keys))
    spans: Spans = {(n, way): [] for n in range(5) for way in ("out", "in")}
    ends, service = dict[tuple[int, int], int](), dict[tuple[int, int], int]()
    for pair in [(a, b) for a in range(5) for b in range(5) if a != b]:
        crowd = others(background, 5 * pair[0] + pair[1], rate, calls[-1][0] + S)
        own = [(i, *call) for i, call in enumerate(calls) if call[1] == pair[0] and pair[1] in call[2]]
        queue = [
            (at, i, j, serialisation_ns(n, rate), i) for i, at, *_, size in own for j, n in enumerate(packets(size))
        ]
        begun, last = dict[int, int](), 0
        for begin, end, src, i in lindley([*queue, *((at, -1, k, need, None) for k, (at, need) in enumerate(crowd))]):
            if src >= 0:
                begun.setdefault(i, max(calls[i][0], last))
                ends[i, pair[1]], last = end + delay, end
                service[i, pair[1]] = end + delay - begun[i]
                waited += end - begun[i] > sum(serialisation_ns(n, rate) for n in packets(calls[i][3]))
                spans[pair[0], "out"].append((begin, end))
                spans[pair[1], "in"].append((begin + delay, end + delay))
    got = run(medium, calls, sorted(int(t) for t in rng.integers(0, calls[-1][0] + 10**7, 60)), spans)
    assert {(d.transfer, d.dst): d.at_ns for d in got} == ends
    assert waited > 50
    for d in got:
        assert d.service_s == pytest.approx(service[d.transfer, d.dst] / S, rel=1e-15)


def test_waits_at_a_crossed_port_count_as_service_unless_one_waits_for_oneself() -> None:
    """Three messages at once, both ways: each behind the sender's last one, and others behind their senders."""
    keys = {"rate_hz": 500, "mean_bytes": 1500}
    background, rate, port = Background(**keys), 1e9, 1e7
    medium = opened(ethernet(rate_bps=rate, server_rate_bps=port, background=keys))
    calls: list[Call] = [(S, 0, (4,), 900), (S, 0, (4,), 900), (S, 4, (1,), 900), (S, 4, (2,), 900), (S, 4, (2,), 900)]
    crowds = [others(background, number, port, 2 * S) for number in (1, 0)]
    ends, _ = through_port(calls, rate, port, 0, *crowds)
    wire, own = serialisation_ns(966, rate), serialisation_ns(966, port)
    for d in run(medium, calls, [], {}):
        if d.transfer in (1, 3, 4):
            # The port is the slower one: whoever was there before is one's own, apart from others on the way in.
            assert d.service_s <= (own + wire + ends[1, 4] - ends[0, 4] - own) / S + 1e-12
        else:
            assert d.service_s == pytest.approx((d.at_ns - S) / S, rel=1e-12)
            assert d.at_ns - S > wire + own or d.transfer == 0


def test_others_that_hardly_come_change_nothing() -> None:
    """Deliveries, frames and usage of a script with outages are those of the plain medium, to the last bit."""
    for keys, at in (({"server_rate_bps": 1.1e7}, "server"), ({}, "nodes")):
        plain = ethernet(rate_bps=1e7, delay_s=1e-4, **keys)
        crossed = ethernet(
            rate_bps=1e7, delay_s=1e-4, **keys, background={"rate_hz": 1e-3, "mean_bytes": 1000, "at": at}
        )
        calls = script(plain, outages=True)
        a, b = (play(channel, calls, looks=[calls[30].at_ns]) for channel in (plain, crossed))
        assert (a.deliveries, a.frames) == (b.deliveries, b.frames)
        for instant, usage in a.usages.items():
            assert_equal_usage(usage, b.usages[instant])


def wait_of(keys: dict[str, Any], src: int, dst: int, count: int) -> tuple[float, float, float]:
    """Mean wait of `count` lone messages of a packet in seconds, its standard error, and the wait in the cost.

    Gaps of 0.5 to 1 s.
    """
    channel, rng, now, took = ethernet(**keys), np.random.default_rng(2), 0, list[int]()
    medium, plain = opened(channel, 9), opened(ethernet(**{k: v for k, v in keys.items() if k != "background"}))
    lone_s = float(plain.cost("s", src, dst)(8000.0))
    for _ in range(count):
        now += S // 2 + int(rng.integers(S // 2))
        assert not medium.advance(now)
        assert medium.next_event_ns() is None
        medium.submit(now, src, (dst,), 1000)
        while not (got := medium.advance(medium.next_event_ns() or 0)):
            pass
        took.append(got[0].at_ns - now)
        assert got[0].service_s == pytest.approx(took[-1] / S, rel=1e-12)
        now = got[0].at_ns
    waits = np.array(took) / S - lone_s
    assert min(waits) > -1e-12
    return float(waits.mean()), float(waits.std(ddof=1) / math.sqrt(count)), float(
        medium.cost("s", src, dst)(8000.0) - lone_s
    )  # fmt: skip


@pytest.mark.parametrize(("keys", "src", "dst"), [
    ({"rate_bps": 1e9, "server_rate_bps": 1e6}, 0, 4),
    ({"rate_bps": 1e9, "server_rate_bps": 1e6}, 4, 0),
    ({"rate_bps": 1e6}, 0, 4),
])  # fmt: skip
@pytest.mark.parametrize(("sizes", "mean_s"), [("exponential", 0.012), ("fixed", 0.006)])
def test_the_mean_wait_is_that_of_pollaczek_and_khinchine(
    keys: dict[str, Any], src: int, dst: int, sizes: str, mean_s: float
) -> None:
    """S = 8 ms, load 0.6: rho S / (1 - rho) = 12 ms in M/M/1, half of it in M/D/1, at the port both ways and on a wire.

    Gaps of at least 0.5 s, three relaxation times S / (1 - sqrt(rho))^2; 4 standard errors, 7e-5 a case.
    """
    at = "server" if "server_rate_bps" in keys else "nodes"
    background = {"rate_hz": 75, "mean_bytes": 1000, "sizes": sizes, "at": at}
    mean, error, cost = wait_of({**keys, "background": background}, src, dst, 1000)
    assert abs(mean - mean_s) < 4 * error < mean_s / 4
    assert cost == pytest.approx(mean_s, rel=1e-6)


@pytest.mark.parametrize("rate", [3e5, 1e6, 4e6])
def test_others_come_between_the_packets_of_a_long_message(rate: float) -> None:
    """0.5 MB into a port of 1 Mbit/s with a load of 0.6: the cost is its time within 2 %; down it waits once."""
    background = {"rate_hz": 7500, "mean_bytes": 10, "sizes": "fixed"}
    channel = ethernet(rate_bps=rate, server_rate_bps=1e6, background=background)
    medium = opened(channel)
    medium.submit(0, 0, (4,), 500_000)
    while not (got := medium.advance(medium.next_event_ns() or 0)):
        pass
    assert got[0].at_ns / S == pytest.approx(float(medium.cost("s", 0, 4)(4e6)), rel=0.02)
    lone = opened(ethernet(rate_bps=rate, server_rate_bps=1e6)).cost("s", 4, 0)(4e6)
    assert float(medium.cost("s", 4, 0)(4e6) - lone) == pytest.approx(0.6 * 8e-5 / 0.8, rel=1e-3)


def test_a_long_idle_time_is_behind_when_a_message_comes() -> None:
    """20 000 others in 20 s without a message: the next event is not in the past, and the states are the nodes' own."""
    keys = {"rate_hz": 1000, "mean_bytes": 500}
    medium = opened(ethernet(rate_bps=1e8, server_rate_bps=1e7, background=keys))
    now = 0
    for i in range(3):
        now += 20 * S
        assert not medium.advance(now)
        sent = i * sum(serialisation_ns(n, 1e7) for n in packets(5000))
        assert medium.usage(now).state_ns[9].tolist() == [0, sent, 0, now - sent, 0]
        medium.submit(now, 0, (4,), 5000)
        assert (medium.next_event_ns() or 0) > now
        while not (got := medium.advance(medium.next_event_ns() or 0)):
            pass
        now = got[0].at_ns


@pytest.mark.parametrize(("rate", "rate_hz", "mean_bytes", "size", "ahead_ns"), [
    (1e9, 90, 1250, 1000, 1),            # others wait 0.4 s on the mean
    (3e5, 2000, 30, 1_000_000, S // 3),  # a long message; others have been let in beyond what was looked at
])  # fmt: skip
def test_a_server_that_goes_down_empties_its_port_and_others_come_all_the_same(
    rate: float, rate_hz: float, mean_bytes: float, size: int, ahead_ns: int
) -> None:
    """The port is free then, and a while later only those are in front that came since; twelve messages, both ways."""
    background = Background(rate_hz, mean_bytes)
    keys = {"rate_hz": rate_hz, "mean_bytes": mean_bytes}
    medium = opened(ethernet(rate_bps=rate, server_rate_bps=1e6, background=keys), seed=5)
    down = 10 * S
    medium.submit(down - ahead_ns, 0, (4,), size)
    while (next_ns := medium.next_event_ns() or 0) < down:
        assert not medium.advance(next_ns)
    down = down if rate_hz == 90 else next_ns
    assert not medium.advance(down)
    medium.set_up(down, 4, False)
    (lost,) = medium.advance(down)
    assert not lost.ok
    gap = 50_000_000 if rate_hz == 90 else 1_000_000
    medium.advance(down + gap)
    medium.set_up(down + gap, 4, True)
    wire, need = serialisation_ns(84, rate), serialisation_ns(84, 1e6)
    calls = [(down + (k + 1) * gap, k % 4, 4) for k in range(12)] + [(down + 13 * gap, 4, k % 4) for k in range(12)]
    ends = dict[int, int]()
    for number in (1, 0):
        crowd = others(background, number, 1e6, down + 20 * gap, seed=5)
        before = lindley([(at, -1, k, service, None) for k, (at, service) in enumerate(crowd) if at <= down])
        assert rate_hz > 90 or before[-1][1] > down + gap
        since = [(at, -1, k, service, None) for k, (at, service) in enumerate(crowd) if at > down]
        own = [(at + wire * number, src, i, need, i) for i, (at, src, _) in enumerate(calls) if (src == 4) != number]
        ends |= {i: end for *_, end, src, i in lindley([*since, *own]) if src >= 0}
    got = run(medium, [(at, src, (dst,), 1) for at, src, dst in calls], [], {})
    free = dict[int, int]()
    for d in sorted(got, key=lambda d: d.transfer):
        i = d.transfer - 1
        if d.src == 4:
            free[d.dst] = ends[i] = max(ends[i], free.get(d.dst, 0)) + wire
        assert d.at_ns == ends[i]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"background": {"rate_hz": 10, "mean_bytes": 9}},
         r"background\.at: for at: server server_rate_bps is needed\. Got server\."),
        ({"server_rate_bps": 1e6, "background": {"rate_hz": 10, "mean_bytes": 9, "at": "nodes"}},
         r"background\.at: with server_rate_bps the server's port alone\. Got nodes\."),
        ({"server_rate_bps": 1e6, "background": {"rate_hz": 125, "mean_bytes": 1000}},
         r"background\.rate_hz: a load below the port's rate, 1e\+06 bit/s\. Got 1e\+06 bit/s, 125 Hz of 1000 B\."),
        ({"background": {"rate_hz": 1250, "mean_bytes": 1000, "at": "nodes"}},
         r"background\.rate_hz: a load below the port's rate, 1e\+07 bit/s\. Got 1e\+07 bit/s, 1250 Hz of 1000 B\."),
        ({"server_rate_bps": 1e6, "background": 0.5}, r"background: a mapping with rate_hz, mean_bytes, sizes, at"),
    ],
)  # fmt: skip
def test_refused(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        ethernet(rate_bps=1e7, **keys)
