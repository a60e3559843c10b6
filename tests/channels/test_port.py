"""The shared port's queue against a recursion over all packets, on lists and compiled; the log of busy times."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from channels.media.busy import BusyLog
from channels.media.wires import port as port_module
from channels.media.wires.port import Done, PortQueue, SharedPort, Stream
from netsim import registry
from netsim.interfaces import Node

STRIDE, SERVICE = 100, 37


@pytest.fixture(params=["lists", "compiled"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same loop in Python and compiled, whatever the size."""
    for name in ("_LOAD_AT", "_USE_AT"):
        monkeypatch.setattr(port_module, name, -1 if request.param == "compiled" else 1 << 60)
    return str(request.param)


def random_streams(rng: np.random.Generator, count: int, spread: int, most: int) -> list[Stream]:
    """Messages of seven senders, none of which sends two at once, many of them at equal instants."""
    out, free = list[Stream](), dict[int, int]()
    for serial in range(count):
        src, packets = int(rng.integers(7)), int(rng.integers(1, most + 1))
        start = max(free.get(src, 0), STRIDE // 4 * int(rng.integers(4 * spread + 1)))
        gap = int(rng.choice([1, 25, 50, 99, STRIDE]))
        first = STRIDE if packets > 1 else gap
        free[src] = start + (packets - 1) * STRIDE + gap
        out.append(Stream(start + first, src, serial, packets, gap, int(rng.integers(1, SERVICE + 1))))
    return out


def expand(streams: list[Stream], service: int = SERVICE) -> list[tuple[int, int, int, int, bool]]:
    """Every packet in order of service: arrival, sender, serial, service, whether it is its message's last."""
    packets = list[tuple[int, int, int, int, bool]]()
    for s in streams:
        arrivals = [s.arrival_ns + j * STRIDE for j in range(s.packets)]
        if s.packets > 1:
            arrivals[-1] = arrivals[-2] + s.last_gap_ns
        packets += [(arrival, s.src, s.serial, service, False) for arrival in arrivals[:-1]]
        packets.append((arrivals[-1], s.src, s.serial, s.last_service_ns, True))
    return sorted(packets)


def recursion(streams: list[Stream], service: int = SERVICE) -> tuple[list[Done], list[tuple[int, int, int]]]:
    """Ends of all messages, and (arrival, departure, service) of every packet, in order of service."""
    done, served, free = list[Done](), list[tuple[int, int, int]](), 0
    for arrival, _, serial, spent, is_last in expand(streams, service):
        free = max(free, arrival) + spent
        served.append((arrival, free, spent))
        if is_last:
            done.append(Done(free, serial))
    return done, served


@pytest.mark.parametrize("service", [3, 12, 37, 180])
@pytest.mark.parametrize(("count", "spread", "most"), [(1, 0, 900), (12, 0, 1), (12, 3, 40), (80, 60, 90), (150, 4, 3)])
def test_the_queue_equals_the_recursion(loop: str, service: int, count: int, spread: int, most: int) -> None:
    """In one go, in steps of time, and in steps of a small budget: the same ends, clock, work and reach."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        streams = random_streams(rng, count, spread, most)
        done, served = recursion(streams, service)
        queue = PortQueue(STRIDE, service)
        for i in rng.permutation(count):
            queue.push(streams[i])
        whole, small = queue.copy(), queue.copy()
        assert whole.run(1 << 60) == done
        assert not whole
        got, calls = list[Done](), 0
        while small:
            got += small.run(1 << 60, budget=5)
            calls += 1
        assert got == done
        assert calls <= len(served)
        got = []
        for limit in [*np.cumsum(rng.integers(1, served[-1][0] // 8 + 2, 20)).tolist(), 1 << 60]:
            got += queue.run(limit)
            past = [p for p in served if p[0] <= limit]
            if past:
                assert queue.reach_ns == past[-1][0]
                assert queue.free_ns == past[-1][1]
            assert queue.work_ns == sum(p[2] for p in past)
        assert got == done


@pytest.mark.parametrize("service", [3, 37, 180])
def test_messages_one_by_one_equal_the_recursion(service: int) -> None:
    """Each is alone when it comes, behind what the port still has to send: that is the closed form."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        streams, arrival = list[Stream](), 0
        for serial in range(6):
            packets = int(rng.integers(1, 9))
            arrival += int(rng.integers(1, 400))
            streams.append(Stream(arrival, 0, serial, packets, int(rng.integers(1, 60)), int(rng.integers(0, 60))))
            arrival += packets * STRIDE + 60
        done, served = recursion(streams, service)
        queue, got = PortQueue(STRIDE, service), list[Done]()
        for stream in streams:
            queue.push(stream)
            got += queue.run(1 << 60)
            assert (queue.reach_ns, queue.free_ns, queue.work_ns) == _after(
                served, sum(s.packets for s in streams[: len(got)])
            )
        assert got == done
        assert queue.steps == 0


def _after(served: list[tuple[int, int, int]], packets: int) -> tuple[int, int, int]:
    arrival, departure, _ = served[packets - 1]
    return arrival, departure, sum(p[2] for p in served[:packets])


def test_a_long_message_alone_is_a_few_steps() -> None:
    """Also many long ones: their packets interleave in rounds, and a round is not run through."""
    queue = PortQueue(STRIDE, SERVICE)
    for src in range(5):
        queue.push(Stream(STRIDE + 11 * src, src, src, 1_000_000 + src, 40, 9))
    done, calls = list[Done](), 0
    while queue and calls < 200:
        done += queue.run(1 << 60, budget=20)
        calls += 1
    assert [d.serial for d in done] == [0, 1, 2, 3, 4]
    assert calls < 20
    # 5 packets a stride want 185 of 100 ns: the port never rests once the first packet is there.
    assert done[-1].at_ns == STRIDE + queue.work_ns


def test_a_message_that_comes_meanwhile_only_delays(loop: str) -> None:
    """Looking ahead, a later message that invalidates it, and one that does not: the recursion's ends in every case."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        streams = random_streams(rng, 25, 40, 60)
        streams.sort(key=lambda s: s.arrival_ns)
        port, got, bounds = SharedPort(PortQueue(STRIDE, SERVICE)), list[Done](), list[int]()
        for stream in streams:
            now = stream.arrival_ns - 1
            while (next_ns := port.next_ns()) is not None and next_ns <= now:
                ended = port.advance(next_ns)
                assert all(d.at_ns == next_ns for d in ended)
                got += ended
            got += port.advance(now)
            port.push(now, stream)
            bounds.append(port.next_ns() or 0)
        got += port.advance(1 << 60)
        done, _ = recursion(streams)
        assert got == done
        for i, bound in enumerate(bounds):
            known = {s.serial for s in streams[: i + 1]}
            assert bound <= min(d.at_ns for d in done if d.serial in known and d.at_ns >= streams[i].arrival_ns)


def test_the_bound_holds_while_no_end_is_in_sight() -> None:
    """600 messages of three packets: the budget is spent on first packets, and the bound goes on step by step."""
    streams = [Stream(STRIDE + src % 7, src, src, 3, 50, 20) for src in range(600)]
    port, got, asked = SharedPort(PortQueue(STRIDE, SERVICE)), list[Done](), 0
    for stream in streams:
        port.push(0, stream)
    done, _ = recursion(streams)
    assert (port.next_ns() or 0) < done[0].at_ns
    while (next_ns := port.next_ns()) is not None:
        assert next_ns <= done[len(got)].at_ns
        assert not port.advance(next_ns - 1)
        got += port.advance(next_ns)
        asked += 1
    assert got == done
    assert asked < 610


def test_a_late_message_before_what_was_looked_at_twice() -> None:
    """900 messages of nine packets have no end in sight; being asked again moves neither the bound nor the present.

    Nor does a message that is looked at behind them: one comes that is at the port before what was looked at first.
    """
    streams = [Stream(STRIDE + src % 7, src, src, 9, 50, 20) for src in range(900)]
    far, late = Stream(10**6, 1001, 1001, 1, 50, 20), Stream(STRIDE + 1, 1000, 1000, 1, 50, 20)
    port = SharedPort(PortQueue(STRIDE, SERVICE))
    for stream in streams:
        port.push(0, stream)
    bound = port.next_ns()
    assert port.next_ns() == bound
    assert not port.advance(1)
    assert port.next_ns() == bound
    port.push(1, far)
    port.next_ns()
    port.push(1, late)
    done, _ = recursion([*streams, far, late])
    assert port.advance(1 << 60) == done


def test_dropped_messages_keep_the_place_of_what_has_arrived(loop: str) -> None:
    """Packets that have reached the port pass it; the others never come."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        streams = random_streams(rng, 20, 10, 50)
        now = int(rng.integers(0, 3000))
        gone = frozenset(int(i) for i in rng.permutation(20)[:7])
        port = SharedPort(PortQueue(STRIDE, SERVICE))
        for stream in streams:
            port.push(0, stream)
        got = port.advance(now)
        port.drop(now, gone)
        got += port.advance(1 << 60)
        done, free = list[Done](), 0
        for arrival, _, serial, spent, is_last in expand(streams):
            if serial not in gone or arrival <= now:
                free = max(free, arrival) + spent
                if is_last and (serial not in gone or free <= now):
                    done.append(Done(free, serial))
        assert got == done


def test_small_work_compiles_nothing() -> None:
    """A tiny run must not pay for numba: a fresh interpreter sends a round of 20 messages and has not imported it."""
    import subprocess

    code = (
        "import sys, numpy as np\n"
        "from netsim.interfaces import Node\n"
        "from netsim.registry import build\n"
        "c = build('channel', {'name': 'ethernet_udp', 'rate_bps': 1e7, 'server_rate_bps': 1e7})\n"
        "m = c.open([Node(i, i == 20) for i in range(21)], np.random.default_rng(0))\n"
        "[m.submit(0, i, (20,), 100_000) for i in range(20)]\n"
        "assert len(m.advance(10**12)) == 20\n"
        "print([n for n in ('numba', 'scipy', 'pandas', 'simpy', 'networkx') if n in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_much_work_is_compiled_with_equal_nanoseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The medium goes over to the compiled loop in the middle of its messages."""
    calls = [(40_000 * i % 7_000_000 + i, i % 30, 3000 + 517 * i % 40_000) for i in range(400)]
    calls.sort()
    nodes = [Node(i, i == 30) for i in range(31)]
    channel: Any = registry.build("channel", {"name": "ethernet_udp", "rate_bps": 1e8, "server_rate_bps": 3e8})

    def ends(load_at: int) -> tuple[list[int], bool]:
        monkeypatch.setattr(port_module, "_LOAD_AT", load_at)
        monkeypatch.setattr(port_module, "_USE_AT", load_at)
        medium = channel.open(nodes, np.random.default_rng(0))
        got = dict[int, int]()
        for now, src, size in calls:
            got |= {d.transfer: d.at_ns for d in medium.advance(now)}
            medium.next_event_ns()
            medium.submit(now, src, (30,), size)
        got |= {d.transfer: d.at_ns for d in medium.advance(1 << 60)}
        return [got[i] for i in range(len(calls))], not isinstance(medium._port._now._table, list)

    slow, fast = ends(1 << 60), ends(1000)
    assert (slow[1], fast[1]) == (False, True)
    assert slow[0] == fast[0]


def test_busy_times_equal_brute_force() -> None:
    """Trains of packets, settled and cut at random, against the union nanosecond by nanosecond."""
    for seed in range(80):
        rng = np.random.default_rng(seed)
        log, rows, horizon, now = BusyLog(3), 3, 500, 0
        packets: list[tuple[int, int, int, int, int]] = []  # row, begin, end, bytes, serial
        for serial in range(int(rng.integers(1, 25))):
            now += int(rng.integers(0, 12))
            row, width, count = int(rng.integers(rows)), int(rng.integers(0, 9)), int(rng.integers(1, 6))
            count = count if width else 1
            stride = max(width + int(rng.choice([0, 0, 3, 10])), 1)
            start, size = now + int(rng.integers(0, 15)), int(rng.integers(0, 3))
            log.add((row, start, stride, width, count, size, serial))
            begins = [start + i * stride for i in range(count)]
            packets += [(row, begin, begin + width, size, serial) for begin in begins]
            if rng.random() < 0.3:
                log.settle(now, limit=-1)
            if rng.random() < 0.2:
                gone = frozenset(int(i) for i in rng.permutation(serial + 1)[: serial // 3 + 1])
                spare = int(rng.integers(-1, rows))
                log.cut(gone, now, spare)
                packets = [
                    p if p[4] not in gone or p[0] == spare or p[2] <= now else (p[0], p[1], now, 0, p[4])
                    for p in packets if p[4] not in gone or p[0] == spare or p[1] < now or p[2] <= now
                ]  # fmt: skip
        for at in sorted(int(t) for t in rng.integers(now, horizon, 6)):
            busy, frames, sent = np.zeros((rows, at), bool), [0] * rows, [0] * rows
            for row, begin, end, size, _ in packets:
                busy[row, begin:end] = True
                frames[row] += size > 0 and end <= at
                sent[row] += size * (end <= at)
            totals = log.totals(at)
            assert [x.tolist() for x in totals] == [busy.sum(axis=1).tolist(), frames, sent]
            if rng.random() < 0.5:
                log.settle(at, limit=-1)
