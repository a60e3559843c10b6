"""Messages without learning: who sends what to whom, and when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from netsim import cells
from netsim.errors import ConfigError, Fault
from netsim.interfaces import NodeId
from netsim.rng import stream
from netsim.units import BOUNDS, seconds_to_ns

Pattern = Literal["burst", "periodic", "poisson", "trace"]
TRACE_COLUMNS = ("time_s", "src", "dst", "bytes")
MAX_MESSAGES = 10_000_000
MAX_BYTES = 1 << 30
MAX_NODES = 100_000


class Offer(NamedTuple):
    """One message that a node wants to send."""

    at_ns: int
    src: NodeId
    dst: tuple[NodeId, ...]
    size_bytes: int


@dataclass(frozen=True)
class Traffic:
    """What `nodes` senders 0 .. nodes - 1 offer; the server is node `nodes`.

    Parameters
    ----------
    pattern
        ``burst``: each sender offers `messages` at time 0. ``periodic``: one every 1 / `rate` seconds, with a phase of
        each sender's own, uniform over a period. ``poisson``: independent exponential gaps of that mean. ``trace``:
        what `offers` say.
    size_bytes
        Of every message as the medium gets it.
    rate
        Messages per second of each sender; not for ``burst`` and ``trace``.
    messages
        Of each sender.
    duration_s
        In place of `messages`: as many as begin before.
    to
        ``server``, or ``all``: one broadcast to everybody else.
    """

    pattern: Pattern
    nodes: int
    size_bytes: int = 0
    rate: float = 0.0
    messages: int = 1
    duration_s: float | None = None
    to: Literal["server", "all"] = "server"
    offers: tuple[Offer, ...] = ()

    def schedule(self, seed: int, replication: int) -> list[Offer]:
        """Return all messages of one replication, by (time, sender, order); bursts and traces are the same in each.

        Examples
        --------
        >>> Traffic("burst", 2, 100).schedule(7, 0)
        [Offer(at_ns=0, src=0, dst=(2,), size_bytes=100), Offer(at_ns=0, src=1, dst=(2,), size_bytes=100)]
        """
        if self.pattern == "trace":
            return list(self.offers)
        out: list[Offer] = []
        for src in range(self.nodes):
            dst = (self.nodes,) if self.to == "server" else tuple(n for n in range(self.nodes + 1) if n != src)
            out += [Offer(at, src, dst, self.size_bytes) for at in self._times_ns(src, seed, replication)]
        return sorted(out, key=lambda offer: offer[:2])

    def _times_ns(self, src: NodeId, seed: int, replication: int) -> list[int]:
        if self.pattern == "burst":
            return [0] * self.messages
        rng = stream(seed, replication, src, "traffic")
        count = self.messages if self.duration_s is None else math.inf
        end_s = math.inf if self.duration_s is None else self.duration_s
        if self.pattern == "periodic":
            phase_s = float(rng.random()) / self.rate
            last = min(count, math.ceil((end_s - phase_s) * self.rate) if end_s < math.inf else math.inf)
            return [seconds_to_ns(phase_s + i / self.rate) for i in range(max(int(last), 0))]
        times: list[int] = []
        now_s = 0.0
        while len(times) < count:
            now_s += float(rng.exponential(1.0 / self.rate))
            if now_s >= end_s:
                break
            times.append(seconds_to_ns(now_s))
        return times


def read_trace(path: str, extra_bytes: int = 0) -> Traffic:
    """Read a user's own messages: CSV with the columns ``time_s, src, dst, bytes``.

    `src` is a node's number or ``server``; `dst` may also be ``all`` (a broadcast). Nodes are numbered from 0, and the
    server is the one after the largest number. `extra_bytes`, such as a header, come on top of every message.

    Raises
    ------
    ConfigError
        Naming file, line and what is wrong.
    """
    rows = _rows(path)
    largest = max(n for _, src, dst, _ in rows for n in (src, dst if isinstance(dst, int) else 0) if n >= 0)
    server = largest + 1
    if server > MAX_NODES:
        raise _fault(path, f"node numbers below {MAX_NODES}", str(largest))
    offers = []
    for time_s, src, dst, size in rows:
        source = server if src < 0 else src
        to = tuple(n for n in range(server + 1) if n != source) if dst == "all" else (server if dst < 0 else int(dst),)
        offers.append(Offer(seconds_to_ns(time_s), source, to, size + extra_bytes))
    return Traffic("trace", server, offers=tuple(sorted(offers, key=lambda offer: offer[:2])))


def _rows(path: str) -> list[tuple[float, int, int | Literal["all"], int]]:
    try:
        file = cells.read(Path(path).expanduser(), path)
        places = file.places(TRACE_COLUMNS)
        rows = [_row(file, line, [row[place] for place in places]) for line, row in file.rows]
    except cells.CellError as error:
        raise _fault(error.place, error.allowed, error.got, error.nearest) from None
    if not 1 <= len(rows) <= MAX_MESSAGES:
        raise _fault(path, f"1 to {MAX_MESSAGES} messages", str(len(rows)))
    return rows


def _row(file: cells.Cells, line: int, row: list[str]) -> tuple[float, int, int | Literal["all"], int]:
    time_s, size = file.number(line, "time_s", row[0]), file.number(line, "bytes", row[3])
    where, said = f"{file.file}:{line}", repr(",".join(row))
    if time_s > BOUNDS["s"][1]:
        raise _fault(where, f"time_s: at most {BOUNDS['s'][1]:g} s", said)
    if not (1 <= size <= MAX_BYTES and size == int(size)):
        raise _fault(where, f"bytes: a whole number, 1 to {MAX_BYTES}", said)
    src = _node(row[1])
    dst: int | Literal["all"] | None = "all" if row[2] == "all" else _node(row[2])
    if src is None or dst is None or src == dst:
        raise _fault(where, "two different nodes, numbered from 0, or server, or all as dst", said)
    return time_s, src, dst, int(size)


def _node(text: str) -> int | None:
    """Return a node's number, -1 for the server; None where the text is neither."""
    if text == "server":
        return -1
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _fault(where: str, allowed: str, got: str, nearest: str = "") -> ConfigError:
    return ConfigError([Fault(("trace",), allowed, got, nearest, origin=where)])
