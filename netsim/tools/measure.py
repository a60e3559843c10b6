"""Times real messages of many sizes over UDP, TCP and ZMQ, into the CSV that ``netsim fit-cost`` reads.

A message goes to the server, which answers with eight bytes once the last byte is there. ``seconds`` is the round trip
less half of the median round trip of the shortest message: the way there. No clock but the client's is read.

One UDP message of M bytes is ceil(M / 1472) datagrams, as in the channel ``ethernet_udp``; a TCP or ZMQ message is M
bytes on a connection that is there already. Every message begins with eight bytes that number it, and counts them.
"""

from __future__ import annotations

import math
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from netsim import text
from netsim.errors import ConfigError
from netsim.rng import stream
from netsim.tools.measure_server import (
    DATAGRAM_BYTES,
    HEAD_BYTES,
    MAX_BYTES,
    MAX_MESSAGES,
    MAX_S,
    MAX_TOTAL_BYTES,
    PORT,
    SOCKET_BYTES,
    Server,
    _zmq,
    check_port,
    has_zmq,
)

PROTOCOLS = ("udp", "tcp", "zmq")
COLUMNS = ("protocol", "bytes", "messages", "lost", "loss", "seconds", "seconds_se", "replications", "mean_s", "min_s",
           "p50_s", "p95_s", "p99_s", "round_trip_s")  # fmt: skip
QUANTILES = (0.5, 0.95, 0.99)


class Client(Protocol):
    """One way to send a message and wait for its answer."""

    def exchange(self, number: int, size_bytes: int, timeout_s: float) -> float | None:
        """Return the seconds until the answer came; None where it came too late or not at all."""

    def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Parameters
    ----------
    sizes_bytes
        Of messages, from 8 bytes; see `feasible`.
    messages
        Of each size and protocol.
    warm_up
        Before, of the smallest and the largest size, not counted.
    timeout_s
        After which a message is lost.
    limit_s
        Of the whole measurement.
    """

    host: str
    port: int = PORT
    protocols: tuple[str, ...] = ("udp", "tcp")
    sizes_bytes: tuple[int, ...] = (64, 1024, 16384)
    messages: int = 20
    warm_up: int = 5
    timeout_s: float = 1.0
    limit_s: float = 60.0

    def __post_init__(self) -> None:
        unknown = [p for p in self.protocols if p not in PROTOCOLS]
        if unknown or not self.protocols:
            raise ConfigError(f"--protocols: some of {', '.join(PROTOCOLS)}. Got {', '.join(unknown) or 'none'}")
        count = len(self.protocols) * (len(self.sizes_bytes) + 1) * (self.messages + self.warm_up)
        if self.messages < 1 or self.warm_up < 0 or count > MAX_MESSAGES:
            raise ConfigError(f"--messages, --warm-up: 1 to {MAX_MESSAGES} messages in all. Got {count}")
        whole = len(self.protocols) * sum(self.sizes_bytes) * (self.messages + self.warm_up)
        if whole > MAX_TOTAL_BYTES:
            raise ConfigError(f"--messages, --message-bytes: at most {MAX_TOTAL_BYTES >> 30} GiB in all. Got "
                              f"{whole / 2**30:.3g} GiB")  # fmt: skip
        check_port(self.port)


def feasible(size_bytes: int) -> int:
    """Return the least size from here on whose last datagram has room for the number.

    Examples
    --------
    >>> feasible(1472), feasible(1473), feasible(3000)
    (1472, 1480, 3000)
    """
    rest = size_bytes % DATAGRAM_BYTES
    return size_bytes - rest + HEAD_BYTES if 0 < rest < HEAD_BYTES else size_bytes


def run(plan: Plan, tell: Callable[[str], None] | None = None) -> list[dict[str, str]]:
    """Measure; a row for each protocol and size. `tell` gets lines of progress.

    Raises
    ------
    ConfigError
        If no server answers, or time is up before every size was measured.
    """
    end_s = time.monotonic() + plan.limit_s
    rows = []
    for protocol in plan.protocols:
        sizes = [feasible(s) if protocol == "udp" else s for s in plan.sizes_bytes]
        client = _open(protocol, plan)
        try:
            rows += _measure(protocol, client, sizes, plan, end_s, tell)
        finally:
            client.close()
    return rows


def _measure(
    protocol: str, client: Client, sizes: Sequence[int], plan: Plan, end_s: float,
    tell: Callable[[str], None] | None,
) -> list[dict[str, str]]:  # fmt: skip
    answers = []

    def exchange(number: int, size: int) -> float | None:
        left_s = end_s - time.monotonic()
        return client.exchange(number, size, min(plan.timeout_s, left_s)) if left_s > 0 else None

    number = 0
    for size in (HEAD_BYTES, max(sizes)):
        for _ in range(plan.warm_up):
            number += 1
            answers.append(exchange(number, size))
    if answers and all(answer is None for answer in answers) and time.monotonic() < end_s:
        raise ConfigError(f"measure: nobody answers at {plan.host}:{plan.port} over {protocol}; run netsim measure "
                          "serve there")  # fmt: skip
    # The order is mixed, so that a drift hits all sizes alike; 8 bytes tell how long an answer takes.
    order = np.repeat([HEAD_BYTES, *sizes], plan.messages)
    which = np.repeat(np.arange(len(sizes) + 1), plan.messages)
    mixed = stream(len(order), 0, -1, protocol).permutation(order.size)
    times: list[list[float]] = [[] for _ in range(len(sizes) + 1)]
    said_s = time.monotonic()
    for done, i in enumerate(mixed.tolist(), 1):
        if time.monotonic() > end_s:
            raise ConfigError(f"measure: {plan.limit_s:g} s were not enough: {done - 1} of {order.size} messages over "
                              f"{protocol}; raise --limit, or ask for less")  # fmt: skip
        number += 1
        seconds = exchange(number, int(order[i]))
        if seconds is not None:
            times[which[i]].append(seconds)
        if tell and time.monotonic() - said_s > 2.0:
            said_s = time.monotonic()
            tell(f"{protocol}: {done} of {order.size} messages")
    back_s = float(np.median(times[0])) / 2 if times[0] else 0.0
    rows = [_row(protocol, size, np.array(t), plan.messages, back_s) for size, t in zip(sizes, times[1:], strict=True)]
    if tell:
        lost = plan.messages * len(sizes) - sum(map(len, times[1:]))
        tell(f"{protocol}: {plan.messages * len(sizes)} messages of {len(sizes)} sizes, {lost} lost")
    return rows


def _row(protocol: str, size: int, times_s: Any, messages: int, back_s: float) -> dict[str, str]:
    n = times_s.size
    row = dict.fromkeys(COLUMNS, "")
    row |= {"protocol": protocol, "bytes": str(size), "messages": str(messages), "lost": str(messages - n)}
    row |= {"loss": f"{1 - n / messages:.6g}", "replications": str(n)}
    if n:
        one_way = np.maximum(times_s - back_s, 1e-9)
        quantiles = np.quantile(one_way, QUANTILES, method="inverted_cdf")
        median = float(np.median(one_way))
        spread = 1.4826 * float(np.median(np.abs(one_way - median)))
        # The median of n normal values scatters sqrt(pi / 2) times as much as their mean.
        error = math.sqrt(math.pi / 2) * spread / math.sqrt(n) if n > 1 else math.nan
        values = {"seconds": median, "seconds_se": error, "mean_s": one_way.mean(), "min_s": one_way.min()}
        values |= dict(zip(("p50_s", "p95_s", "p99_s"), quantiles, strict=True))
        values["round_trip_s"] = float(np.median(times_s))
        row |= {name: f"{value:.9g}" for name, value in values.items() if math.isfinite(value)}
    return row


def to_csv(rows: Sequence[dict[str, str]]) -> str:
    """Return a row per protocol and size, with `COLUMNS`."""
    return text.to_csv([COLUMNS, *([row.get(name, "") for name in COLUMNS] for row in rows)])


# --- clients ---------------------------------------------------------------------------------------------


def _open(protocol: str, plan: Plan) -> Client:
    try:
        return _CLIENTS[protocol](plan)
    except OSError as error:
        raise ConfigError(
            f"measure: nobody answers at {plan.host}:{plan.port} over {protocol} ({error.strerror or error}); run "
            "netsim measure serve there"
        ) from None


class _Udp:
    """A message is datagrams of 1472 bytes and a rest, each with the message's number, its own, and how many."""

    def __init__(self, plan: Plan) -> None:
        family, _, _, _, address = socket.getaddrinfo(plan.host, plan.port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, SOCKET_BYTES)
        self._socket.connect(address)

    def exchange(self, number: int, size_bytes: int, timeout_s: float) -> float | None:
        parts = [min(DATAGRAM_BYTES, size_bytes - i) for i in range(0, size_bytes, DATAGRAM_BYTES)]
        datagrams = [struct.pack(">IHH", number, i, len(parts)).ljust(part, b"\xa5") for i, part in enumerate(parts)]
        begin_s = time.perf_counter()
        try:
            for datagram in datagrams:
                self._socket.send(datagram)
            while (left_s := begin_s + timeout_s - time.perf_counter()) > 0:
                self._socket.settimeout(left_s)
                answer = self._socket.recv(64)
                if answer[:4] == datagrams[0][:4]:
                    return time.perf_counter() - begin_s
        except OSError:
            return None  # too late, or no server
        return None

    def close(self) -> None:
        self._socket.close()


class _Tcp:
    """A message is its number, its length and as many bytes."""

    def __init__(self, plan: Plan) -> None:
        self._socket = socket.create_connection((plan.host, plan.port), timeout=plan.timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(self, number: int, size_bytes: int, timeout_s: float) -> float | None:
        message = struct.pack(">II", number, size_bytes).ljust(size_bytes, b"\xa5")
        begin_s = time.perf_counter()
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(message)
            answer = b""
            while (left_s := begin_s + timeout_s - time.perf_counter()) > 0:
                self._socket.settimeout(left_s)
                part = self._socket.recv(HEAD_BYTES - len(answer))
                if not part:
                    return None  # the connection is closed
                answer += part
                if answer == message[:HEAD_BYTES]:
                    return time.perf_counter() - begin_s
                answer = answer[: len(answer) % HEAD_BYTES]
        except OSError:
            return None
        return None

    def close(self) -> None:
        self._socket.close()


class _Zmq:
    """A message is one frame."""

    def __init__(self, plan: Plan) -> None:
        zmq = _zmq()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        for option, value in ((zmq.MAXMSGSIZE, 1024), (zmq.RCVHWM, 64)):
            self._socket.setsockopt(option, value)
        self._socket.connect(f"tcp://{plan.host}:{plan.port + 1}")
        self._not_sent = zmq.ZMQError

    def exchange(self, number: int, size_bytes: int, timeout_s: float) -> float | None:
        message = struct.pack(">II", number, size_bytes).ljust(size_bytes, b"\xa5")
        begin_s = time.perf_counter()
        try:
            self._socket.send(message, 1)  # 1: do not wait where the queue is full
        except self._not_sent:
            return None
        while (left_s := begin_s + timeout_s - time.perf_counter()) > 0:
            if self._socket.poll(max(left_s * 1000, 1)) and self._socket.recv() == message[:HEAD_BYTES]:
                return time.perf_counter() - begin_s
        return None

    def close(self) -> None:
        self._context.destroy(linger=0)


_CLIENTS: Mapping[str, Callable[[Plan], Client]] = {"udp": _Udp, "tcp": _Tcp, "zmq": _Zmq}


# --- the command --------------------------------------------------------------------------------------------------


def command(
    target: str | None, serve: bool, bind: str, port: int, protocols: str | None, sizes: str, messages: int,
    warm_up: int, timeout: str, limit: str, out: str | None, tell: Callable[[str], None],
) -> str:  # fmt: skip
    """Serve or measure; what the command prints."""
    from netsim import files
    from netsim.tools.probe_command import numbers

    if target is None:
        raise ConfigError("measure: a host to measure to, or serve, is needed; 127.0.0.1 --serve does both here")
    (limit_s,) = numbers("--limit", limit, "s", 1e-3, MAX_S, whole=False)[:1]
    if target == "serve":
        server = Server(bind, port, limit_s)
        tell(f"serving at {bind}:{port} for {limit_s:g} s; Ctrl-C ends it")
        server.serve()
        return f"{server.answered} messages answered"
    files.check_out("--out", out)
    (timeout_s,) = numbers("--timeout", timeout, "s", 1e-3, 60.0, whole=False)[:1]
    lengths = tuple(int(n) for n in numbers("--message-bytes", sizes, "byte", HEAD_BYTES, MAX_BYTES))
    words = PROTOCOLS[: 3 if has_zmq() else 2] if protocols is None else tuple(protocols.split(","))
    plan = Plan(target, port, words, lengths, messages, warm_up, timeout_s, limit_s)
    if serve:
        if target not in ("localhost", "::1") and not target.startswith("127."):
            raise ConfigError(f"--serve: only on this host, such as 127.0.0.1. Got {target!r}")
        with Server(target, port, limit_s):
            rows = run(plan, tell)
    else:
        rows = run(plan, tell)
    if out is None or files.is_stdout(out):
        return to_csv(rows)
    files.write(Path(out), to_csv(rows))
    return out
