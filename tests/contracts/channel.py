"""What every channel promises, as functions of one channel; plugin authors can call them too.

`check_all` runs the lot, on a star of four nodes with random messages up, down, between nodes and to several of them.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netsim import registry
from netsim.interfaces import STATES, Delivery, Frame, Medium, Node, NodeId, TransferId, Usage
from netsim.scenario import parsing
from netsim.units import NS_PER_S

NODES = tuple(Node(i, i == 4, (float(i), 0.0)) for i in range(5))


@dataclass(frozen=True)
class Call:
    """Something that happens to a medium: a message, or a node that goes down or comes up."""

    at_ns: int
    src: NodeId
    dst: tuple[NodeId, ...] = ()
    size_bytes: int = 0
    up: bool | None = None


@dataclass
class FrameLog:
    """Every frame that a medium shows, in order."""

    frames: list[Frame] = field(default_factory=list)

    def add(self, frame: Frame) -> None:
        self.frames.append(frame)


@dataclass
class Trace:
    """What a medium answered to a script."""

    calls: dict[TransferId, Call]
    deliveries: list[Delivery]
    usages: dict[int, Usage]
    frames: list[Frame]


def open_medium(channel: Any, frames: FrameLog | None = None, seed: int = 3) -> Medium:
    """The channel's medium for `NODES`."""
    medium: Medium = channel.open(NODES, np.random.default_rng(seed), frames=frames)
    return medium


def pace_ns(channel: Any) -> int:
    """About what a kilobyte takes, the scale on which a script puts its messages."""
    seconds = float(open_medium(channel).cost("s", 0, 4)(8000.0))
    return max(int(seconds * NS_PER_S), 1000)


def script(channel: Any, messages: int = 60, seed: int = 0, outages: bool = False) -> list[Call]:
    """Random messages, many at one instant, some to several nodes; with `outages` nodes come and go."""
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
    # As the engine does: what happens at one instant is handed over in order of the sender.
    return [c for at in sorted(at_once) for c in sorted(at_once[at], key=lambda c: (c.up is None, c.src))]


def play(channel: Any, calls: Sequence[Call], cuts: Sequence[int] = (), looks: Sequence[int] = ()) -> Trace:
    """Run a script, with extra advances at `cuts` and a look at the usage at `looks`, until all has ended."""
    log = FrameLog()
    medium = open_medium(channel, log)
    trace = Trace({}, [], {}, log.frames)

    def advance(to_ns: int) -> None:
        got = list(medium.advance(to_ns))
        keys = [(d.at_ns, d.dst, d.src, d.transfer) for d in got]
        assert keys == sorted(keys), "deliveries come in order of (at_ns, dst, src, transfer)"
        assert all(d.at_ns <= to_ns for d in got), "nothing comes from the future"
        trace.deliveries.extend(got)

    times = sorted({c.at_ns for c in calls} | set(cuts) | set(looks))
    for now in times:
        # What lies between is advanced to only where a cut says so.
        advance(now)
        if now in looks:
            trace.usages[now] = medium.usage(now)
        for call in (c for c in calls if c.at_ns == now):
            if call.up is not None:
                medium.set_up(now, call.src, call.up)
            else:
                trace.calls[medium.submit(now, call.src, call.dst, call.size_bytes)] = call
    end = times[-1]
    while (next_ns := medium.next_event_ns()) is not None:
        end = max(end, next_ns)
        advance(end)
    end += NS_PER_S
    advance(end)
    trace.usages[end] = medium.usage(end)
    return trace


def assert_equal_usage(a: Usage, b: Usage) -> None:
    """Equal to the last bit."""
    assert list(a.interfaces) == list(b.interfaces)
    for name in ("state_ns", "energy_j", "tx_bytes", "tx_frames"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def check_cuts(channel: Any, outages: bool = False) -> None:
    """Deliveries, frames and usage do not depend on when `advance` is called, nor on looking at the usage."""
    for seed in range(2):
        calls = script(channel, seed=seed, outages=outages)
        span = calls[-1].at_ns + 20 * pace_ns(channel)
        rng = np.random.default_rng(seed)
        looks = sorted({int(t) for t in rng.integers(0, calls[-1].at_ns + 1, 8)})
        plain = play(channel, calls, looks=looks)
        cuts = sorted({int(t) for t in rng.integers(0, span, 200)})
        for many in (cuts, [c.at_ns + d for c in calls for d in (-1, 1) if c.at_ns + d >= 0]):
            other = play(channel, calls, many, [*looks, *many[::5]])
            assert _sorted(other.deliveries) == _sorted(plain.deliveries)
            assert sorted(other.frames) == sorted(plain.frames)
            for at in looks:
                assert_equal_usage(other.usages[at], plain.usages[at])
            assert_equal_usage(other.usages[max(other.usages)], _at(channel, calls, max(other.usages)))


def check_next_event(channel: Any) -> None:
    """Nothing is delivered before `next_event_ns`, and going there always gets on."""
    for seed in range(4):
        medium = open_medium(channel)
        calls, steps = script(channel, seed=seed), 0
        while True:
            next_ns = medium.next_event_ns()
            if calls and (next_ns is None or calls[0].at_ns <= next_ns):
                now = calls[0].at_ns
                assert all(d.at_ns == now == next_ns for d in medium.advance(now))
                while calls and calls[0].at_ns == now:
                    call = calls.pop(0)
                    medium.submit(now, call.src, call.dst, call.size_bytes)
            elif next_ns is None:
                break
            else:
                assert not medium.advance(next_ns - 1), "a delivery came before the bound"
                assert medium.next_event_ns() == next_ns
                medium.advance(next_ns)
                later = medium.next_event_ns()
                assert later is None or later > next_ns
            steps += 1
            assert steps < 100_000, "next_event_ns does not get on"


def check_states(channel: Any) -> None:
    """Every interface's states add up to the instant, from the first nanosecond on, and never shrink."""
    calls = script(channel, outages=True, seed=7)
    rng = np.random.default_rng(1)
    looks = sorted({0, 1, *(int(t) for t in rng.integers(0, calls[-1].at_ns, 40))})
    before: Any = 0
    for at, usage in sorted(play(channel, calls, looks=looks).usages.items()):
        assert usage.state_ns.shape == usage.energy_j.shape == (len(usage.interfaces), len(STATES))
        assert usage.state_ns.dtype == np.int64
        np.testing.assert_array_equal(usage.state_ns.sum(axis=1), at)
        assert (usage.state_ns >= before).all()
        assert (usage.energy_j >= 0).all()
        assert (usage.energy_j[usage.state_ns == 0] == 0).all()
        before = usage.state_ns
    assert {node for node, _ in usage.interfaces} == {n.id for n in NODES}
    assert len(set(usage.interfaces)) == len(usage.interfaces)


def check_looking_ahead(channel: Any) -> None:
    """What a medium says of an instant to come holds if nothing is submitted before it, and asking changes nothing."""
    for seed in range(2):
        calls, medium = script(channel, seed=seed, outages=True), open_medium(channel)
        quiet, rng = open_medium(channel), np.random.default_rng(seed)
        for i, call in enumerate(calls):
            next_ns = calls[i + 1].at_ns if i + 1 < len(calls) else call.at_ns + 3 * pace_ns(channel)
            for one in (medium, quiet):
                one.advance(call.at_ns)
                if call.up is None:
                    one.submit(call.at_ns, call.src, call.dst, call.size_bytes)
                else:
                    one.set_up(call.at_ns, call.src, call.up)
            if next_ns == call.at_ns:
                continue
            between = sorted({*(int(t) for t in rng.integers(call.at_ns, next_ns + 1, 3)), next_ns})
            ahead = {at: medium.usage(at) for at in reversed(between)}
            assert medium.next_event_ns() == quiet.next_event_ns()
            for at in between:
                assert list(medium.advance(at)) == list(quiet.advance(at))
                assert_equal_usage(ahead[at], medium.usage(at))
        usage, bound = medium.usage(next_ns), getattr(medium, "max_power_w", None)
        mean_w = Counter[NodeId]()
        for row, (node, _) in enumerate(usage.interfaces):
            mean_w[node] += usage.energy_j[row].sum() / next_ns * NS_PER_S
        assert bound is None or all(mean_w[node] <= bound(node) * (1 + 1e-12) for node in mean_w)


def check_bytes(channel: Any) -> None:
    """Wire bytes hold the message, and what deliveries count is what the interfaces sent."""
    trace = play(channel, script(channel))
    wire = Counter[TransferId]()
    for d in trace.deliveries:
        wire[d.transfer] += d.wire_bytes
        assert d.attempts >= d.packets >= 0
        assert d.airtime_ns >= 0
    arrived = {d.transfer for d in trace.deliveries if d.ok}
    for transfer, call in trace.calls.items():
        assert wire[transfer] >= call.size_bytes or (repeats(channel) and transfer not in arrived)
    usage = trace.usages[max(trace.usages)]
    # What is repeated behind a sender's last delivery is told by no delivery.
    assert wire.total() == usage.tx_bytes.sum() or (repeats(channel) and wire.total() < usage.tx_bytes.sum())


def repeats(channel: Any) -> bool:
    """Whether a frame may be sent again after it has arrived, or never: the channel says `contends`."""
    return bool(getattr(channel, "contends", False))


def check_ends(channel: Any) -> None:
    """Every transfer ends once at each destination, with what was submitted, after its service time."""
    trace = play(channel, script(channel, seed=5))
    ends = Counter((d.transfer, d.dst) for d in trace.deliveries)
    assert ends == Counter((t, n) for t, call in trace.calls.items() for n in call.dst)
    assert sorted(trace.calls) == list(range(len(trace.calls)))
    for d in trace.deliveries:
        call = trace.calls[d.transfer]
        assert (d.src, d.size_bytes) == (call.src, call.size_bytes)
        assert d.ok or not channel.reliable_delivery
        assert d.service_s >= 0
        if d.ok:
            # One nanosecond for the float.
            assert d.at_ns - call.at_ns >= d.service_s * NS_PER_S - 1


def check_frames(channel: Any) -> None:
    """The frames of every transfer carry each of its bytes, none before it was submitted or after it arrived."""
    trace = play(channel, script(channel, seed=6))
    carried: dict[tuple[TransferId, NodeId], set[tuple[int, int]]] = {}
    for start_ns, src, dst, transfer, offset, length, attempt, _ in trace.frames:
        if length:
            call = trace.calls[transfer]
            ends = [d.at_ns for d in trace.deliveries if d.transfer == transfer]
            assert call.at_ns <= start_ns
            assert start_ns <= max(ends) or repeats(channel)
            assert src == call.src
            assert dst in (*call.dst, -1)
            assert attempt >= 1
            carried.setdefault((transfer, dst), set()).add((offset, length))
    if repeats(channel):
        # Parts may come by broadcast and parts again to one node: together they are the message, where it arrived.
        for d in trace.deliveries:
            parts = carried.get((d.transfer, d.dst), set()) | carried.get((d.transfer, -1), set())
            assert not d.ok or _covers(parts, trace.calls[d.transfer].size_bytes)
        return
    for transfer, call in trace.calls.items():
        for dst in [d for d in (*call.dst, -1) if (transfer, d) in carried]:
            end = 0
            for offset, length in sorted(carried[transfer, dst]):
                assert offset == end
                end += length
            assert end == call.size_bytes
        assert (transfer, -1) in carried or all((transfer, d) in carried for d in call.dst)


def check_seed(channel: Any) -> None:
    """The same stream gives the same clock."""
    calls = script(channel, seed=8)
    assert play(channel, calls).deliveries == play(channel, calls).deliveries


def check_lone_messages(channel: Any) -> None:
    """A message that has the link for itself counts what the link's own cost says in bits and packets."""
    for size in (1, 8, 100, 1472, 1473, 5000):
        for src, dst in ((0, 4), (4, 0), (1, 2)):
            medium = open_medium(channel)
            medium.submit(5, src, (dst,), size)
            (d,) = _drain(medium)
            assert 8 * d.wire_bytes == float(medium.cost("bit", src, dst)(8.0 * size))
            assert d.packets == float(medium.cost("packet", src, dst)(8.0 * size))


def check_costs(channel: Any) -> None:
    """Costs never decrease, are positive where a message needs anything, and know their unit."""
    medium = open_medium(channel)
    sizes = 8.0 * np.arange(0, 6000, 7)
    for quantity in ("bit", "packet", "s", "j"):
        for src, dst in ((0, 4), (4, 0)):
            model = medium.cost(quantity, src, dst)
            assert (model.quantity, model.basis) == (quantity, "message")
            costs = model(sizes)
            assert costs.shape == sizes.shape
            assert (np.diff(costs) >= -1e-12 * np.abs(costs[1:])).all()
            assert (costs >= 0).all()
            assert quantity not in ("bit", "packet") or (costs[1:] > 0).all()


def check_outages(channel: Any) -> None:
    """Transfers that need a node end with it, later ones at once, others go on; a node that is down sleeps."""
    pace = pace_ns(channel) // 3
    for node in (1, 4):
        medium = open_medium(channel)
        for src, dst in ((1, 4), (4, 1), (0, 2), (1, 4), (0, 4)):
            medium.submit(0, src, (dst,), 5000)
        early = list(medium.advance(pace))
        medium.set_up(pace, node, False)
        medium.set_up(pace, node, False)
        medium.submit(pace, node, (0,), 40)
        medium.submit(pace, 0, (node, 3), 40)
        rest = _drain(medium, pace)
        assert len(early) + len(rest) == 8
        for d in rest:
            assert d.ok or not channel.reliable_delivery or node in (d.src, d.dst)
            assert not (d.ok and node in (d.src, d.dst))
            assert d.at_ns == pace or node not in (d.src, d.dst)
        late = max(d.at_ns for d in rest) + 10 * pace
        medium.advance(late)
        medium.set_up(late, node, True)
        medium.submit(late, node, (0,), 40)
        (back,) = _drain(medium, late)
        assert back.ok or not channel.reliable_delivery
        usage = medium.usage(late)
        rows = [i for i, (n, _) in enumerate(usage.interfaces) if n == node]
        # Whether it slept before as well is the radio's business.
        assert (usage.state_ns[rows, STATES.index("sleep")] >= late - pace).all()
        np.testing.assert_array_equal(usage.state_ns.sum(axis=1), late)
    check_cuts(channel, outages=True)


def check_configuration(channel: Any) -> None:
    """Plain data and pickle give the same channel."""
    plain = parsing.dump(channel)
    assert registry.build("channel", plain) == channel
    assert pickle.loads(pickle.dumps(channel)) == channel
    assert isinstance(channel.reliable_delivery, bool)


def check_all(channel: Any) -> None:
    """Every check of this module."""
    for check in CHECKS:
        check(channel)


CHECKS: tuple[Callable[[Any], None], ...] = (
    check_cuts,
    check_next_event,
    check_states,
    check_looking_ahead,
    check_bytes,
    check_ends,
    check_frames,
    check_seed,
    check_lone_messages,
    check_costs,
    check_outages,
    check_configuration,
)


def _covers(parts: set[tuple[int, int]], size_bytes: int) -> bool:
    end = 0
    for offset, length in sorted(parts):
        if offset > end:
            return False
        end = max(end, offset + length)
    return end == size_bytes


def _sorted(deliveries: Sequence[Delivery]) -> list[Delivery]:
    return sorted(deliveries, key=lambda d: (d.at_ns, d.dst, d.src, d.transfer))


def _drain(medium: Medium, now_ns: int = 0) -> list[Delivery]:
    out = list[Delivery]()
    while (next_ns := medium.next_event_ns()) is not None:
        out.extend(medium.advance(max(next_ns, now_ns)))
    return out


def _at(channel: Any, calls: Sequence[Call], at_ns: int) -> Usage:
    """The usage at one instant, looked at only then."""
    medium = open_medium(channel)
    for call in calls:
        if call.up is None:
            medium.submit(call.at_ns, call.src, call.dst, call.size_bytes)
        else:
            medium.advance(call.at_ns)
            medium.set_up(call.at_ns, call.src, call.up)
    medium.advance(at_ns)
    return medium.usage(at_ns)
