"""Wired links against a recursion packet by packet, written down again here from the rules alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import pytest

from netsim import registry
from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import Delivery, Medium, Node
from tests.support.media import drain

NODES = (*(Node(i) for i in range(4)), Node(4, True))
SIZES = (1, 8, 17, 18, 19, 100, 1471, 1472, 1473, 1490, 1491, 2944, 2945, 10**3, 10**4, 10**5, 10**6, 10**7)
# (node, interface) to the times in which it is busy.
Spans: TypeAlias = dict[tuple[int, str], list[tuple[int, int]]]
RATES = (1e9, 1e8, 3e6, 1e10, 250e3, 123456.789)


def ethernet(**keys: Any) -> Any:
    return registry.build("channel", {"name": "ethernet_udp", **keys})


def opened(channel: Any, nodes: Sequence[Node] = NODES) -> Medium:
    medium: Medium = channel.open(nodes, np.random.default_rng(0))
    return medium


def wire_bytes(payload: int, accounting: str) -> int:
    """802.3: preamble 8, header 14, IPv4 20, UDP 8, FCS 4, gap 12; payload of the frame padded to 46."""
    if accounting == "cat":
        return 8 + 14 + 20 + 8 + payload + 4
    return 8 + 14 + max(46, 20 + 8 + payload) + 4 + 12


def packet_ns(size_bytes: int, rate_bps: float) -> int:
    """Half up, in exact fractions."""
    return math.floor(Fraction(8 * size_bytes * 10**9) / Fraction(rate_bps) + Fraction(1, 2))


def packets(message: int, accounting: str = "real") -> list[int]:
    """Wire bytes of each packet."""
    full, rest = divmod(message, 1472)
    return [wire_bytes(n, accounting) for n in [1472] * full + [rest] * (rest > 0)]


def lindley(arrivals: Sequence[int], services: Sequence[int]) -> list[int]:
    out = list[int]()
    for arrival, service in zip(arrivals, services, strict=True):
        out.append(max(arrival, out[-1] if out else 0) + service)
    return out


@pytest.mark.parametrize("accounting", ["real", "cat"])
@pytest.mark.parametrize("rate", RATES)
def test_a_lone_message_equals_the_recursion_over_its_packets(rate: float, accounting: str) -> None:
    medium, start = opened(ethernet(rate_bps=rate, accounting=accounting, delay_s=0.0025)), 0
    for size in SIZES:
        sizes = packets(size, accounting)
        services = [packet_ns(n, rate) for n in sizes]
        end = lindley([start] * len(sizes), services)[-1] + 2_500_000
        medium.submit(start, 0, (4,), size)
        assert medium.next_event_ns() == end
        assert not medium.advance(end - 1)
        (d,) = medium.advance(end)
        assert (d.at_ns, d.ok, d.packets, d.attempts) == (end, True, len(sizes), len(sizes))
        assert (d.wire_bytes, d.airtime_ns, d.size_bytes) == (sum(sizes), sum(services), size)
        start = end


@pytest.mark.parametrize(
    ("accounting", "size", "microseconds"),
    [
        # sum_i 8 wire(L_i) / 1 Gb/s; real: max(84, L + 66), CAT: L + 54.
        ("real", 10**3, "8.528"), ("real", 10**4, "83.696"), ("real", 10**5, "835.904"),
        ("real", 10**6, "8359.04"), ("real", 10**7, "83587.232"), ("real", 1, "0.672"), ("real", 18, "0.672"),
        ("real", 1473, "12.976"), ("cat", 10**3, "8.432"), ("cat", 10**4, "83.024"), ("cat", 10**5, "829.376"),
        ("cat", 1, "0.44"),
    ],
)  # fmt: skip
def test_known_times_at_a_gigabit(accounting: str, size: int, microseconds: str) -> None:
    medium = opened(ethernet(rate_bps=1e9, accounting=accounting))
    medium.submit(0, 0, (4,), size)
    assert medium.next_event_ns() == int(Fraction(microseconds) * 1000)


@pytest.mark.parametrize("rate", [1e6, 7.7e6])
def test_messages_queue_on_their_own_wire_only(rate: float) -> None:
    rng = np.random.default_rng(4)
    medium, calls, now = opened(ethernet(rate_bps=rate, delay_s=1e-4)), [], 0
    for _ in range(300):
        now += int(rng.integers(0, 2_000_000))
        src, dst = (int(n) for n in rng.permutation(5)[:2])
        size = int(rng.integers(1, 6000))
        calls.append((now, src, dst, size, medium.submit(now, src, (dst,), size)))
    got = {d.transfer: d for d in drain(medium)}
    waited = 0
    for pair in {(c[1], c[2]) for c in calls}:
        own = [c for c in calls if (c[1], c[2]) == pair]
        arrivals = [c[0] for c in own for _ in packets(c[3])]
        services = [packet_ns(n, rate) for c in own for n in packets(c[3])]
        ends, i = lindley(arrivals, services), -1
        for at, _, _, size, transfer in own:
            i += len(packets(size))
            assert got[transfer].at_ns == ends[i] + 100_000
            service = sum(packet_ns(n, rate) for n in packets(size)) + 100_000
            assert got[transfer].service_s == pytest.approx(service / 1e9, rel=1e-15)
            waited += ends[i] + 100_000 - at > service
    assert waited > 30


def test_several_destinations_are_copies() -> None:
    """Three wires at once; through one port one after the other, in the order given."""
    one = packet_ns(wire_bytes(100, "real"), 1e6)
    medium = opened(ethernet(rate_bps=1e6))
    medium.submit(0, 4, (2, 0, 1), 100)
    assert [(d.at_ns, d.dst, d.transfer, d.wire_bytes) for d in drain(medium)] == [(one, n, 0, 166) for n in range(3)]
    medium = opened(ethernet(rate_bps=1e6, server_rate_bps=1e6))
    medium.submit(0, 4, (2, 0, 1), 100)
    assert [(d.at_ns, d.dst) for d in drain(medium)] == [(2 * one, 2), (3 * one, 0), (4 * one, 1)]


@pytest.mark.parametrize(("rate", "port"), [(1e7, 3e7), (3e7, 1e7), (1e7, 1e7), (8.1e6, 7.9e6)])
def test_a_lone_message_through_the_port_is_two_links_in_tandem(rate: float, port: float) -> None:
    """Also the closed form max_h [sum_{j<=h} t_j + (n-2) max_{j<=h} t_j + sum_{j>=h} u_j] + delay."""
    channel = ethernet(rate_bps=rate, server_rate_bps=port, delay_s=0.001)
    for size in SIZES[:-1]:
        sizes = packets(size)
        on_wire, at_port = [packet_ns(n, rate) for n in sizes], [packet_ns(n, port) for n in sizes]
        for src, dst, first, then in ((0, 4, on_wire, at_port), (4, 0, at_port, on_wire)):
            end = lindley(lindley([0] * len(sizes), first), then)[-1]
            if len(sizes) > 1:
                (t1, *_, u1), (t2, *_, u2) = first, then
                n = len(sizes)
                assert end == max(t1 + (n - 2) * t1 + u1 + u2, t1 + t2 + (n - 2) * max(t1, t2) + u2)
            medium = opened(channel)
            medium.submit(0, src, (dst,), size)
            (d,) = drain(medium)
            assert d.at_ns == end + 1_000_000
            assert d.service_s == d.at_ns / 1e9
            assert d.service_s == float(medium.cost("s", src, dst)(8.0 * size))
            assert (d.wire_bytes, d.airtime_ns) == (sum(sizes), sum(on_wire))


def through_port(calls: Sequence[tuple[int, int, int]], rate: float, port: float, delay: int) -> list[int]:
    """Every packet of every (submitted at, sender, size): first all wires, then the port in order of arrival and id."""
    free, at_port = dict[int, int](), list[tuple[int, int, int, int, int]]()
    for i, (now, src, size) in enumerate(calls):
        for j, n in enumerate(packets(size)):
            free[src] = max(now, free.get(src, 0)) + packet_ns(n, rate)
            at_port.append((free[src] + delay, src, i, j, packet_ns(n, port)))
    at_port.sort()
    ends = lindley([p[0] for p in at_port], [p[4] for p in at_port])
    done = [0] * len(calls)
    for packet, end in zip(at_port, ends, strict=True):
        done[packet[2]] = end
    return done


def engine_like(medium: Medium, calls: Sequence[tuple[int, int, int]], server: int) -> tuple[list[int], int]:
    """Go from event to event, as the engine does; arrival of each message, and how often the medium was asked."""
    got, i, asked = [0] * len(calls), 0, 0
    while True:
        next_ns, asked = medium.next_event_ns(), asked + 1
        if i < len(calls) and (next_ns is None or calls[i][0] <= next_ns):
            for d in medium.advance(calls[i][0]):
                got[d.transfer] = d.at_ns
            medium.submit(calls[i][0], calls[i][1], (server,), calls[i][2])
            i += 1
        elif next_ns is None:
            return got, asked
        else:
            for d in medium.advance(next_ns):
                got[d.transfer] = d.at_ns


@pytest.mark.parametrize(("rate", "port", "spread", "size"), [
    (1e7, 3e7, 40_000_000, 40_000),  # the port a little too slow for all
    (1e7, 9e7, 40_000_000, 60_000),  # hardly any queue
    (1e7, 2e6, 0, 9000),             # all at once: ties at every packet
    (1e8, 1e8, 300_000, 2000),       # short messages
    (3.3e6, 1.7e6, 9_000_000, 30_000),
])  # fmt: skip
def test_random_senders_through_the_port_equal_a_packet_level_simulation(
    rate: float, port: float, spread: int, size: int
) -> None:
    rng = np.random.default_rng(11)
    for senders in (1, 2, 7):
        calls = sorted(
            (int(rng.integers(0, 40 * spread + 1)), src, int(rng.integers(1, size)))
            for src in range(senders) for _ in range(40)
        )  # fmt: skip
        nodes = [Node(i, i == senders) for i in range(senders + 1)]
        channel = ethernet(rate_bps=rate, server_rate_bps=port, delay_s=2e-5)
        got, asked = engine_like(opened(channel, nodes), calls, senders)
        assert got == through_port(calls, rate, port, 20_000)
        assert asked <= 4 * len(calls)  # deliveries and submissions, not packets


@pytest.mark.parametrize(("rate", "port"), [(3e7, 1e7), (1e7, 3e7)])
def test_from_the_server_through_the_port_equals_a_packet_level_simulation(rate: float, port: float) -> None:
    """Arrivals, and at random instants how long each worker's interface and the server's were busy."""
    rng = np.random.default_rng(12)
    medium, calls, now = opened(ethernet(rate_bps=rate, server_rate_bps=port, delay_s=1e-4)), [], 0
    for _ in range(200):
        now += int(rng.integers(0, 6_000_000))
        dst = tuple(int(n) for n in rng.permutation(4)[: int(rng.integers(1, 4))])
        calls.append((now, 4, dst, int(rng.integers(1, 8000))))
    spans: Spans = {key: [] for key in [*((n, "in") for n in range(4)), (4, "out")]}
    ends, free, port_free = dict[tuple[int, int], int](), dict[int, int](), 0
    for i, (at, _, dst, size) in enumerate(calls):
        for to in dst:
            for n in packets(size):
                begin = max(at, port_free)
                port_free = begin + packet_ns(n, port)
                spans[4, "out"].append((begin, port_free))
                begin = max(port_free, free.get(to, 0))
                ends[i, to] = free[to] = begin + packet_ns(n, rate)
                spans[to, "in"].append((begin + 100_000, free[to] + 100_000))
    deliveries = check_busy(medium, calls, spans, rng)
    assert {(d.transfer, d.dst): d.at_ns - 100_000 for d in deliveries} == ends


@pytest.mark.parametrize(("rate", "port"), [(3e7, 1e7), (1e7, 3e7)])
def test_towards_the_server_its_interface_is_busy_while_the_port_is(rate: float, port: float) -> None:
    rng = np.random.default_rng(13)
    medium, calls, now = opened(ethernet(rate_bps=rate, server_rate_bps=port)), [], 0
    at_port = list[tuple[int, int, int]]()
    spans: Spans = {key: [] for key in [*((n, "out") for n in range(4)), (4, "in")]}
    for _ in range(100):
        now += int(rng.integers(0, 3_000_000))
        src, size, begin = int(rng.integers(4)), int(rng.integers(1, 8000)), now
        calls.append((now, src, (4,), size))
        for n in packets(size):
            begin = max(begin, spans[src, "out"][-1][1] if spans[src, "out"] else 0)
            spans[src, "out"].append((begin, begin + packet_ns(n, rate)))
            at_port.append((begin + packet_ns(n, rate), src, packet_ns(n, port)))
    at_port.sort()
    ends = lindley([p[0] for p in at_port], [p[2] for p in at_port])
    spans[4, "in"] = [(end - p[2], end) for p, end in zip(at_port, ends, strict=True)]
    check_busy(medium, calls, spans, rng)


def test_a_node_with_several_wires_is_busy_while_any_of_them_is() -> None:
    rng = np.random.default_rng(14)
    medium, calls, now = opened(ethernet(rate_bps=5e6, delay_s=3e-4)), [], 0
    free = dict[tuple[int, int], int]()
    spans: Spans = {(n, i): [] for n in range(5) for i in ("out", "in")}
    for _ in range(200):
        now += int(rng.integers(0, 3_000_000))
        src, dst = (int(n) for n in rng.permutation(5)[:2])
        size = int(rng.integers(1, 4000))
        calls.append((now, src, (dst,), size))
        begin = max(now, free.get((src, dst), 0))
        free[src, dst] = begin + sum(packet_ns(n, 5e6) for n in packets(size))
        spans[src, "out"].append((begin, free[src, dst]))
        spans[dst, "in"].append((begin + 300_000, free[src, dst] + 300_000))
    check_busy(medium, calls, spans, rng)


def check_busy(
    medium: Medium,
    calls: Sequence[tuple[int, int, tuple[int, ...], int]],
    spans: Spans,
    rng: np.random.Generator,
) -> list[Delivery]:
    """Submit (at, src, dst, size), and compare the busy time of these interfaces at random instants with `spans`."""
    last, deliveries, waiting = max(end for own in spans.values() for _, end in own), list[Delivery](), list(calls)
    for at in sorted({*(int(t) for t in rng.integers(0, last, 60)), last}):
        while waiting and waiting[0][0] <= at:
            deliveries.extend(medium.advance(waiting[0][0]))
            medium.submit(*waiting.pop(0))
        if rng.random() < 0.5:
            deliveries.extend(medium.advance(at))
        usage = medium.usage(at)
        found = dict(zip(usage.interfaces, usage.state_ns, strict=True))
        for (node, name), own in spans.items():
            busy, covered = 0, 0
            for begin, end in sorted(own):
                busy += max(0, min(end, at) - max(begin, covered))
                covered = max(covered, min(end, at))
            assert found[node, name].tolist() == [busy * (name == "out"), busy * (name == "in"), 0, at - busy, 0]
    return [*deliveries, *medium.advance(last)]


def test_own_queueing_at_the_port_is_not_service() -> None:
    """Twice the same message at once: the second waits for the first, on the wire and at the slow port."""
    medium = opened(ethernet(rate_bps=1e7, server_rate_bps=2e6))
    for _ in range(3):
        medium.submit(0, 0, (4,), 5000)
    deliveries = drain(medium)
    assert len({d.at_ns for d in deliveries}) == 3
    assert {d.service_s for d in deliveries} == {deliveries[0].at_ns / 1e9}
    # What others put in the way is service: the port is shared, and a cost model learns from what it was like.
    medium.submit(10**9, 0, (4,), 5000)
    medium.submit(10**9, 1, (4,), 5000)
    assert max(d.service_s for d in drain(medium)) > 1.5 * deliveries[0].service_s


@pytest.mark.parametrize(
    "rho", [pytest.param(0.3, marks=pytest.mark.slow), 0.6, pytest.param(0.9, marks=pytest.mark.slow)]
)
def test_poisson_packets_wait_as_in_an_md1_queue(rho: float) -> None:
    """Mean waiting rho S / (2 (1 - rho)) over 1e6 packets on a wire, within 4 standard errors of 100 batch means.

    A false alarm has probability 1e-4 (Student, 99 degrees of freedom). The fixed seed also keeps to 1 % at rho = 0.3
    and 3 % at 0.6.
    """
    count, service = 1_000_000, 12_304  # 1472 bytes: 1538 on the wire at 1 Gb/s
    rng = np.random.default_rng(int(10 * rho))
    arrivals = np.cumsum(rng.exponential(service / rho, count)).astype(np.int64).tolist()
    medium, waits = opened(ethernet(rate_bps=1e9)), list[int]()
    for first in range(0, count, 200):
        for now in arrivals[first : first + 200]:
            medium.submit(now, 0, (4,), 1472)
        waits.extend([d.at_ns for d in medium.advance(now)])
    waits.extend([d.at_ns for d in medium.advance(1 << 60)])
    wait = np.array(waits) - np.array(arrivals) - service
    assert wait.min() == 0
    mean, theory = wait.mean(), rho * service / (2 * (1 - rho))
    batches = wait.reshape(100, -1).mean(axis=1)
    assert abs(mean - theory) <= 4 * batches.std(ddof=1) / 10
    if rho < 0.9:
        assert abs(mean / theory - 1) <= {0.3: 0.01, 0.6: 0.03}[rho]


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="a rate at which a packet takes a nanosecond"):
        ethernet(rate_bps=1e12, overhead_bytes=0, min_frame_bytes=0)
    with pytest.raises(ConfigError, match=r"server_rate_bps: a rate .* Got 1e\+12"):
        ethernet(rate_bps=1e9, server_rate_bps=1e12, overhead_bytes=0, min_frame_bytes=0)
    with pytest.raises(ConfigError, match="rate_bps: a number > 0"):
        ethernet(rate_bps=-1)
    with pytest.raises(ConfigError, match="a nanosecond"):
        registry.build("channel", {"name": "packet", "rate_bps": 1e12, "header_bytes": 0, "payload_max_bytes": 1})
    medium = opened(ethernet(rate_bps=1e9))
    with pytest.raises(ValueError, match=r"at least one byte\. Got 0"):
        medium.submit(0, 0, (4,), 0)
    with pytest.raises(SimulationError, match="no node 9"):
        medium.submit(0, 0, (9,), 10)
    with pytest.raises(SimulationError, match="no node 9"):
        medium.set_up(0, 9, False)
    with pytest.raises(ConfigError, match=r"one of bit, packet, s, j\. Got 'ms'"):
        medium.cost("ms", 0, 4)


# --- rates of each node, and the MTU ----------------------------------------------------------------------------------


def test_every_wire_has_the_rate_of_its_slower_end() -> None:
    """1000 bytes are 1066 on the wire: to and from the server at each node's rate, between two nodes at the slower."""
    rates = [1e6, 4e6, 2.5e5]
    nodes = [*map(Node, range(3)), Node(3, is_server=True)]
    medium = opened(ethernet(rate_bps=rates), nodes)
    for src, dst in ((0, 3), (3, 1), (2, 3), (0, 1), (1, 2)):
        medium.submit(0, src, (dst,), 1000)
    found = {(d.src, d.dst): d.at_ns for d in drain(medium)}
    slower = {(0, 3): 1e6, (3, 1): 4e6, (2, 3): 2.5e5, (0, 1): 1e6, (1, 2): 2.5e5}
    assert found == {pair: packet_ns(1066, rate) for pair, rate in slower.items()}
    for (src, dst), rate in slower.items():
        assert float(medium.cost("s", src, dst)(8000.0)) == pytest.approx(8 * 1066 / rate, rel=1e-12)


def test_equal_rates_of_nodes_are_one_rate() -> None:
    nodes = [*map(Node, range(4)), Node(4, is_server=True)]
    found = []
    for channel in (ethernet(rate_bps=7e6), ethernet(rate_bps=[7e6] * 4)):
        medium = opened(channel, nodes)
        for i in range(40):
            medium.submit(0, 4 if i % 3 else i % 4, (i % 4,) if i % 3 else (4,), 100 + 77 * i)
        found.append([(d.at_ns, d.src, d.dst, d.wire_bytes) for d in drain(medium)])
    assert found[0] == found[1]


@pytest.mark.parametrize(("mtu", "limit"), [(1500, 1472), (576, 548), (9000, 8972), (68, 40)])
def test_a_datagram_holds_the_mtu_without_its_headers(mtu: int, limit: int) -> None:
    """One packet up to MTU - 28 bytes, two with one byte more; the cost model counts the same."""
    medium = opened(ethernet(rate_bps=1e9, mtu_bytes=mtu))
    for size, count in ((limit, 1), (limit + 1, 2), (3 * limit, 3)):
        medium.submit(0, 0, (1,), size)
        (d,) = drain(medium)
        assert d.packets == count == int(medium.cost("packet", 0, 1)(8.0 * size))
        assert d.wire_bytes == sum(max(84, 66 + n) for n in [limit] * (count - 1) + [size - (count - 1) * limit])
        medium = opened(ethernet(rate_bps=1e9, mtu_bytes=mtu))


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"mtu_bytes": 67}, r"mtu_bytes: a whole number >= 68 and <= 65535"),
        ({"mtu_bytes": 70_000}, r"mtu_bytes: a whole number >= 68 and <= 65535"),
        ({"mtu_bytes": 1500.5}, r"mtu_bytes: .*Got 1500\.5"),
        ({"mtu_bytes": "1500 bit"}, r"mtu_bytes: .*Got '1500 bit'"),
        ({"rate_bps": [1e6, 0]}, r"rate_bps\[1\]: a number > 0"),
        ({"rate_bps": [1e6, "2 mbit/s"]}, r"rate_bps\[1\]: .*Got '2 mbit/s'"),
        ({"rate_bps": []}, r"rate_bps: "),
        ({"rate_bps": [1e6, 2e6], "server_rate_bps": 1e7}, r"rate_bps: one number with server_rate_bps; .*Got a list"),
        (
            {"rate_bps": [1e6], "background": {"rate_hz": 1, "mean_bytes": 9, "at": "nodes"}},
            r"rate_bps: one number with ba",
        ),
    ],
)
def test_refused_rates_and_mtus(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        ethernet(**{"rate_bps": 1e6, **keys})


def test_a_list_of_rates_fits_the_nodes() -> None:
    with pytest.raises(ConfigError, match=r"rate_bps: a value for each of 2 nodes\. Got 3\."):
        opened(ethernet(rate_bps=[1e6] * 3), [Node(0), Node(1), Node(2, is_server=True)])
