"""Random messages and outages for a channel, and what its medium answers to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netsim.interfaces import Delivery, Frame, Medium, Node, NodeId, TransferId, Usage
from netsim.testing.contract import ContractError, require
from netsim.units import NS_PER_S

NODES = tuple(Node(i, i == 4, (float(i), 0.0)) for i in range(5))
MAX_STEPS = 100_000


@dataclass(frozen=True)
class Call:
    """Something that happens to a medium: a message, or a node that goes down or comes up."""

    at_ns: int
    src: NodeId
    dst: tuple[NodeId, ...] = ()
    size_bytes: int = 0
    up: bool | None = None

    def __str__(self) -> str:
        if self.up is not None:
            return f"node {self.src} goes {'up' if self.up else 'down'} at {self.at_ns} ns"
        return f"{self.src} sends {self.size_bytes} B to {', '.join(map(str, self.dst))} at {self.at_ns} ns"


@dataclass
class FrameLog:
    """Every frame that a medium shows, in order."""

    frames: list[Frame] = field(default_factory=list)

    def add(self, frame: Frame) -> None:
        """Keep one frame."""
        self.frames.append(frame)


@dataclass
class Trace:
    """What a medium answered to a script."""

    calls: dict[TransferId, Call]
    deliveries: list[Delivery]
    usages: dict[int, Usage]
    frames: list[Frame]


def show(calls: Sequence[Call]) -> str:
    """Return a script as text, the first calls where it is long."""
    more = f"; and {len(calls) - 4} more" if len(calls) > 5 else ""
    return "; ".join(map(str, calls[: 4 if more else 5])) + more


def open_medium(channel: Any, frames: FrameLog | None = None) -> Medium:
    """Return the channel's medium for `NODES`, the last of which is the server."""
    medium: Medium = channel.open(NODES, np.random.default_rng(3), frames=frames)
    return medium


def pace_ns(channel: Any) -> int:
    """Return about what a kilobyte takes, the scale on which a script puts its messages."""
    seconds = float(open_medium(channel).cost("s", 0, 4)(8000.0))
    return max(int(seconds * NS_PER_S), 1000)


def script(channel: Any, messages: int = 60, seed: int = 0, outages: bool = False) -> list[Call]:
    """Return random messages, many at one instant, some to several nodes; with `outages` nodes come and go."""
    rng = np.random.default_rng(seed)
    pace, now, calls, down = pace_ns(channel), 0, list[Call](), set[NodeId]()
    for _ in range(messages):
        now += int(rng.choice([0, 0, pace // 7, pace, 3 * pace]))
        src = int(rng.integers(5))
        others = [n for n in range(5) if n != src]
        how = int(rng.integers(4))
        dst = tuple(rng.permutation(others)[: int(rng.integers(2, 5))].tolist()) if how == 0 else (4 if src < 4 else 2,)
        dst = (int(rng.choice(others)),) if how == 1 else dst
        calls.append(Call(now, src, dst, int(rng.choice([1, 8, 18, 100, 117, 1473, int(rng.integers(1, 6000))]))))
        if outages and rng.random() < 0.2:
            now += int(rng.integers(pace))
            node = int(rng.integers(5))
            calls.append(Call(now, node, up=node in down))
            down ^= {node}
    at_once: dict[int, list[Call]] = {}
    for call in calls:
        at_once.setdefault(call.at_ns, []).append(call)
    # Like the engine: messages of one instant are submitted in order of the sender.
    return [c for at in sorted(at_once) for c in sorted(at_once[at], key=lambda c: (c.up is None, c.src))]


def play(channel: Any, calls: Sequence[Call], cuts: Sequence[int] = (), looks: Sequence[int] = ()) -> Trace:
    """Run a script, with extra advances at `cuts` and a look at the usage at `looks`, until all has ended."""
    log = FrameLog()
    medium = open_medium(channel, log)
    trace = Trace({}, [], {}, log.frames)

    def advance(to_ns: int) -> None:
        got = list(medium.advance(to_ns))
        keys = [(d.at_ns, d.dst, d.src, d.transfer) for d in got]
        require(keys == sorted(keys), f"deliveries come in order of (at_ns, dst, src, transfer). Got {keys[:5]}")
        late = [d.at_ns for d in got if d.at_ns > to_ns]
        require(not late, f"advance({to_ns}) gives a delivery of the future, at {late[0] if late else 0} ns")
        trace.deliveries.extend(got)

    times = sorted({c.at_ns for c in calls} | set(cuts) | set(looks))
    for now in times:
        # Advance to instants in between only where a cut asks for it.
        advance(now)
        if now in looks:
            trace.usages[now] = medium.usage(now)
        for call in (c for c in calls if c.at_ns == now):
            if call.up is not None:
                medium.set_up(now, call.src, call.up)
            else:
                trace.calls[medium.submit(now, call.src, call.dst, call.size_bytes)] = call
    end = times[-1]
    for next_ns in coming(medium):
        end = max(end, next_ns)
        advance(end)
    end += NS_PER_S
    advance(end)
    trace.usages[end] = medium.usage(end)
    return trace


def coming(medium: Medium) -> Iterator[int]:
    """Yield `next_event_ns` until nothing is under way; whoever takes it advances to it.

    Raises
    ------
    ContractError
        Where that never happens.
    """
    for _ in range(MAX_STEPS):
        next_ns = medium.next_event_ns()
        if next_ns is None:
            return
        yield next_ns
    raise ContractError(f"next_event_ns does not get on: after {MAX_STEPS} advances to it something is under way still")


def drain(medium: Medium, now_ns: int = 0) -> list[Delivery]:
    """Return every delivery from now on."""
    out = list[Delivery]()
    for next_ns in coming(medium):
        out.extend(medium.advance(max(next_ns, now_ns)))
    return out


def usage_at(channel: Any, calls: Sequence[Call], at_ns: int) -> Usage:
    """Return the usage at one instant after a script, looked at only then."""
    medium = open_medium(channel)
    for call in calls:
        if call.up is None:
            medium.submit(call.at_ns, call.src, call.dst, call.size_bytes)
        else:
            medium.advance(call.at_ns)
            medium.set_up(call.at_ns, call.src, call.up)
    medium.advance(at_ns)
    return medium.usage(at_ns)


def in_order(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return deliveries by (at_ns, dst, src, transfer)."""
    return sorted(deliveries, key=lambda d: (d.at_ns, d.dst, d.src, d.transfer))
