"""Synchronous rounds of messages of given lengths over real sockets, through `benchmarks.validation.relay`."""

from __future__ import annotations

import gc
import select
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from benchmarks.validation import relay

PORT = 5000
COUNTERS = ("TCPFastRetrans", "TCPLossProbes", "TCPTimeouts", "RetransSegs")
SETTINGS = {"tcp_congestion_control": "reno", "tcp_no_metrics_save": "1"}  # and nothing else is changed


@dataclass(frozen=True)
class Round:
    """Bytes of a round's messages, that of each worker: the model down and the update up."""

    down: Sequence[int]
    up: Sequence[int]


@dataclass(frozen=True)
class Way:
    """How messages travel.

    Parameters
    ----------
    transport
        ``tcp``, on connections that stand, or ``udp``.
    link
        What the relay does.
    compute_s
        From a model's last byte to the update's first.
    datagram_bytes
        Of udp, at most.
    deadline_s
        When a round ends at the latest; None: when all updates are there.
    """

    transport: Literal["tcp", "udp"]
    link: relay.Link
    compute_s: float
    datagram_bytes: int = 1472
    deadline_s: float | None = None


@dataclass(frozen=True)
class Measured:
    """What rounds took.

    Parameters
    ----------
    seconds
        Of each.
    relay
        What the relay did.
    counters
        Of TCP, by `COUNTERS`, of all nodes together.
    """

    seconds: Sequence[float]
    relay: relay.Record
    counters: dict[str, int]


def measure(way: Way, rounds: Sequence[Round]) -> Measured:
    """Measure rounds, each beginning where the one before ended.

    The server and all workers are one thread that waits for all their sockets, so what is measured is the network's.

    Raises
    ------
    TimeoutError
        If a round without a deadline takes longer than a minute.
    """
    workers = len(rounds[0].down)
    with relay.in_namespaces(1 + workers, SETTINGS) as (devices, spaces):
        relaying = relay.Relay(devices, way.link)
        try:
            pairs = _pairs(spaces, way.transport)
            relay.hurry()
            gc.disable()
            seconds = [_round(way, pairs, number, one) for number, one in enumerate(rounds)]
            found = [relay.counters(space, COUNTERS) for space in spaces]
        finally:
            gc.enable()
            relay.dawdle()
            record = relaying.stop()
        for pair in pairs:
            for end in pair:
                end.close()
    return Measured(seconds, record, {name: sum(one[name] for one in found) for name in COUNTERS})


def _pairs(spaces: Sequence[int], transport: str) -> list[tuple[socket.socket, socket.socket]]:
    """Return the server's and the worker's end of what connects them, for each worker."""
    pairs = list[tuple[socket.socket, socket.socket]]()
    for worker in range(1, len(spaces)):
        ends = (relay.address(0), PORT + worker), (relay.address(worker), PORT)
        if transport == "udp":
            made = list[socket.socket]()
            for space, own, other in zip((spaces[0], spaces[worker]), ends, reversed(ends), strict=True):
                with relay.inside(space):
                    made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                made[-1].bind(own)
                made[-1].connect(other)
            pair = made[0], made[1]
        else:
            with relay.inside(spaces[0]):
                listening = socket.create_server(ends[0])
            with closing(listening), relay.inside(spaces[worker]):
                there = socket.create_connection(ends[0], timeout=60)
                pair = listening.accept()[0], there
            for end in pair:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for end in pair:
            end.setblocking(False)
        pairs.append(pair)
    return pairs


def _send(way: Way, end: socket.socket, number: int, size_bytes: int) -> None:
    """Send a message, every byte of which is the round's number; a datagram of another round is told by that."""
    message = bytes([number % 256]) * size_bytes
    step = way.datagram_bytes if way.transport == "udp" else size_bytes
    for first in range(0, size_bytes, step):
        part = message[first : first + step]
        if end.send(part) != len(part):
            raise OSError(f"a message of {size_bytes} bytes does not fit into the socket's buffer")


def _round(way: Way, pairs: Sequence[tuple[socket.socket, socket.socket]], number: int, sizes: Round) -> float:
    """Do one round; return its seconds."""
    workers = len(pairs)
    ends = {end: (worker, is_worker) for worker, pair in enumerate(pairs) for is_worker, end in enumerate(pair)}
    missing = {(worker, True): sizes.down[worker] for worker in range(workers)}
    missing |= {(worker, False): sizes.up[worker] for worker in range(workers)}
    begun_ns = time.monotonic_ns()
    end_ns = begun_ns + round(1e9 * (way.deadline_s or 60.0))
    for worker, (end, _) in enumerate(pairs):
        _send(way, end, number, sizes.down[worker])
    ready = list[tuple[int, int]]()  # when a worker has its update, and which one; in order
    while any(missing[worker, False] for worker in range(workers)):
        now_ns = time.monotonic_ns()
        if now_ns >= end_ns:
            if way.deadline_s is None:
                raise TimeoutError(f"round {number} takes longer than a minute")
            break
        while ready and ready[0][0] <= now_ns:
            _, worker = ready.pop(0)
            _send(way, pairs[worker][1], number, sizes.up[worker])
        wait_ns = min(ready[0][0] if ready else end_ns, end_ns) - now_ns
        for end in select.select(list(ends), [], [], wait_ns / 1e9)[0]:
            data = end.recv(1 << 16)
            worker, is_worker = ends[end]
            if data[0] == number % 256:
                missing[worker, bool(is_worker)] -= len(data)
                if is_worker and not missing[worker, True]:
                    ready.append((time.monotonic_ns() + round(1e9 * way.compute_s), worker))
    return (time.monotonic_ns() - begun_ns) / 1e9
