"""What every channel promises: on a star of four nodes with random messages up, down, between nodes and to several."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from netsim.interfaces import STATES, Broadcasts, Delivery, NodeId, PowerBound, TransferId, Usage
from netsim.testing.contract import Check, on, on_smallest, require, require_methods
from netsim.testing.scripts import (
    MAX_STEPS,
    NODES,
    Call,
    Trace,
    drain,
    in_order,
    open_medium,
    pace_ns,
    play,
    script,
    show,
    usage_at,
)
from netsim.units import NS_PER_S


def on_scripts(*seeds: int, outages: bool = False) -> Callable[[Callable[[Any, Sequence[Call]], None]], Check]:
    """Make a check of a promise on a channel and a script: on random scripts; where broken, on beginnings of them."""

    def make(promise: Callable[[Any, Sequence[Call]], None]) -> Check:
        @functools.wraps(promise)
        def check(channel: Any) -> None:
            for seed in seeds:
                on_smallest(functools.partial(promise, channel), script(channel, seed=seed, outages=outages), show)

        return check

    return make


def repeats(channel: Any) -> bool:
    """Return whether a frame may be sent again after it has arrived: the channel says `contends`."""
    return bool(getattr(channel, "contends", False))


def difference(a: Usage, b: Usage) -> str:
    """Return where two usages differ in a bit; '' where they do not."""
    if list(a.interfaces) != list(b.interfaces):
        return f"interfaces {list(a.interfaces)} and {list(b.interfaces)}"
    for name in ("state_ns", "energy_j", "tx_bytes", "tx_frames"):
        x, y = getattr(a, name), getattr(b, name)
        if x.shape != y.shape:
            return f"{name} of shape {x.shape} and {y.shape}"
        places = np.argwhere(x != y)
        if places.size:
            place = tuple(places[0].tolist())
            state = f" in {STATES[place[1]]}" if len(place) > 1 else ""
            return f"{name} of {a.interfaces[place[0]]}{state}, {x[place]} and {y[place]}"
    return ""


def assert_equal_usage(a: Usage, b: Usage, sentence: str = "two usages differ") -> None:
    """Raise `ContractError` unless both are equal to the last bit."""
    found = difference(a, b)
    require(not found, f"{sentence}: {found}")


def check_interface(channel: Any) -> None:
    """Check that it opens a medium with every method, and says whether it delivers reliably."""
    require_methods(channel, "open")
    reliable = getattr(channel, "reliable_delivery", None)
    require(isinstance(reliable, bool), f"reliable_delivery must be True or False. Got {reliable!r}")
    require_methods(open_medium(channel), "submit", "next_event_ns", "advance", "set_up", "cost", "usage")


@on_scripts(7, outages=True)
def check_states(channel: Any, calls: Sequence[Call]) -> None:
    """Check that every interface's states add up to the instant, from the first nanosecond on, and never shrink."""
    with on("no message"):
        _check_fill(open_medium(channel).usage(1), 1)
    rng = np.random.default_rng(1)
    looks = sorted({0, 1, *(int(t) for t in rng.integers(0, calls[-1].at_ns + 1, 40))})
    before: Any = 0
    for at, usage in sorted(play(channel, calls, looks=looks).usages.items()):
        _check_fill(usage, at)
        require((usage.state_ns >= before).all(), f"state_ns is smaller at {at} ns than before")
        require((usage.energy_j >= 0).all(), f"energy_j is negative at {at} ns")
        require((usage.energy_j[usage.state_ns == 0] == 0).all(), "energy_j is not 0 where state_ns is")
        before = usage.state_ns
    here, rows = {node for node, _ in usage.interfaces}, len(usage.interfaces)
    require(here == {n.id for n in NODES}, f"every node has an interface, nodes 0 to 4. Got nodes {sorted(here)}")
    require(len(set(usage.interfaces)) == rows, f"an interface has two rows: {list(usage.interfaces)}")


def _check_fill(usage: Usage, at_ns: int) -> None:
    shape = (len(usage.interfaces), len(STATES))
    got = usage.state_ns.shape, usage.energy_j.shape
    require(got == (shape, shape), f"state_ns and energy_j have a row an interface, shape {shape}. Got {got}")
    require(usage.state_ns.dtype == np.int64, f"state_ns is int64. Got {usage.state_ns.dtype}")
    for interface, filled in zip(usage.interfaces, usage.state_ns.sum(axis=1).tolist(), strict=True):
        sentence = f"the states of {interface} add up to {filled} ns at {at_ns} ns; they must fill the time"
        require(filled == at_ns, sentence)


@on_scripts(0, 1, 2, 3)
def check_next_event(channel: Any, calls: Sequence[Call]) -> None:
    """Check that nothing is delivered before `next_event_ns`, and that advancing to it makes progress."""
    medium, left, steps = open_medium(channel), list(calls), 0
    while True:
        next_ns = medium.next_event_ns()
        if left and (next_ns is None or left[0].at_ns <= next_ns):
            now = left[0].at_ns
            early = [d.at_ns for d in medium.advance(now) if not d.at_ns == now == next_ns]
            require(not early, f"next_event_ns says {next_ns}, and deliveries come at {early}")
            while left and left[0].at_ns == now:
                call = left.pop(0)
                medium.submit(now, call.src, call.dst, call.size_bytes)
        elif next_ns is None:
            return
        else:
            early = [d.at_ns for d in medium.advance(next_ns - 1)]
            require(not early, f"next_event_ns says {next_ns}, and deliveries come at {early}")
            same = medium.next_event_ns()
            require(same == next_ns, f"next_event_ns says {next_ns}, and a nanosecond before that {same}")
            medium.advance(next_ns)
            later = medium.next_event_ns()
            require(later is None or later > next_ns, f"after advance({next_ns}) next_event_ns says {later}")
        steps += 1
        require(steps < MAX_STEPS, "next_event_ns does not get on")


@on_scripts(5)
def check_ends(channel: Any, calls: Sequence[Call]) -> None:
    """Check that every transfer ends once at each destination, with what was submitted, after its service time."""
    trace = play(channel, calls)
    ends = Counter((d.transfer, d.dst) for d in trace.deliveries)
    wanted = Counter((t, n) for t, call in trace.calls.items() for n in call.dst)
    missing, surplus = list((wanted - ends).elements()), list((ends - wanted).elements())
    require(not missing, f"transfers never end, as (transfer, dst): {missing[:5]}")
    require(not surplus, f"transfers end that should not, as (transfer, dst): {surplus[:5]}")
    known = sorted(trace.calls)
    require(known == list(range(len(known))), f"submit numbers transfers 0, 1, 2, ... Got {known[:5]}")
    for d in trace.deliveries:
        call = trace.calls[d.transfer]
        got = f"{d.size_bytes} B of node {d.src}"
        require((d.src, d.size_bytes) == (call.src, call.size_bytes), f"a delivery is of {got}; submitted was: {call}")
        require(d.ok or not channel.reliable_delivery, f"reliable_delivery is True, and a transfer is lost: {call}")
        require(d.service_s >= 0, f"service_s is a number >= 0. Got {d.service_s}")
        # One nanosecond of tolerance for the float.
        slow = d.at_ns - call.at_ns >= d.service_s * NS_PER_S - 1
        require(not d.ok or slow, f"service_s is {d.service_s} s, and the transfer took {d.at_ns - call.at_ns} ns")


@on_scripts(11)
def check_broadcasts(channel: Any, calls: Sequence[Call]) -> None:
    """Check that a medium with `broadcasts` counts a message to several nodes once, any other one once for each."""
    medium = open_medium(channel)
    is_one = isinstance(medium, Broadcasts) and medium.broadcasts
    trace = play(channel, calls)
    several = {t for t, call in trace.calls.items() if len(call.dst) > 1}
    ends = [d for d in trace.deliveries if d.ok and d.transfer in several]
    free = [d for d in ends if d.packets == 0]
    require(is_one or not free, "broadcasts is not True, and a node gets a message to several without packets")
    alone = Counter(d.transfer for d in ends if d.packets)
    if is_one and not repeats(channel):
        most = max(alone.values(), default=1)
        require(most <= 1, f"broadcasts is True, and the packets of one message count at {most} nodes")


@on_scripts(0)
def check_bytes(channel: Any, calls: Sequence[Call]) -> None:
    """Check that wire bytes hold the message, and that deliveries count what the interfaces sent."""
    trace = play(channel, calls)
    wire = Counter[TransferId]()
    for d in trace.deliveries:
        wire[d.transfer] += d.wire_bytes
        require(d.attempts >= d.packets >= 0, f"{d.attempts} attempts of {d.packets} packets")
        require(d.airtime_ns >= 0, f"airtime_ns is a number >= 0. Got {d.airtime_ns}")
    arrived = {d.transfer for d in trace.deliveries if d.ok}
    for transfer, call in trace.calls.items():
        full = wire[transfer] >= call.size_bytes or (repeats(channel) and transfer not in arrived)
        require(full, f"{wire[transfer]} wire bytes are less than the message: {call}")
    sent = int(trace.usages[max(trace.usages)].tx_bytes.sum())
    # No delivery counts repetitions after a sender's last delivery.
    same = wire.total() == sent or (repeats(channel) and wire.total() < sent)
    require(same, f"deliveries count {wire.total()} wire bytes, and the interfaces sent {sent}")


@on_scripts(6)
def check_frames(channel: Any, calls: Sequence[Call]) -> None:
    """Check that a transfer's frames carry each of its bytes, after it was submitted and before it arrived."""
    trace = play(channel, calls)
    carried: dict[tuple[TransferId, NodeId], set[tuple[int, int]]] = {}
    for start_ns, src, dst, transfer, offset, length, attempt, _ in trace.frames:
        if length:
            call = trace.calls[transfer]
            ends = [d.at_ns for d in trace.deliveries if d.transfer == transfer]
            require(call.at_ns <= start_ns, f"a frame starts at {start_ns} ns, before its message: {call}")
            late = start_ns > max(ends) and not repeats(channel)
            require(not late, f"a frame starts at {start_ns} ns, after its transfer has ended at {max(ends)} ns")
            require(src == call.src, f"a frame is from node {src}; submitted was: {call}")
            require(dst in (*call.dst, -1), f"a frame is for node {dst}; submitted was: {call}")
            require(attempt >= 1, f"attempts count from 1. Got {attempt}")
            carried.setdefault((transfer, dst), set()).add((offset, length))
    if repeats(channel):
        _check_parts(trace, carried)
        return
    for transfer, call in trace.calls.items():
        for dst in [d for d in (*call.dst, -1) if (transfer, d) in carried]:
            end = 0
            for offset, length in sorted(carried[transfer, dst]):
                require(offset == end, f"frames carry bytes up to {end} and then from {offset} on, of: {call}")
                end += length
            require(end == call.size_bytes, f"frames carry {end} bytes of: {call}")
        shown = (transfer, -1) in carried or all((transfer, d) in carried for d in call.dst)
        require(shown, f"no frame is shown of: {call}")


def _check_parts(trace: Trace, carried: dict[tuple[TransferId, NodeId], set[tuple[int, int]]]) -> None:
    """Raise unless the parts that reached a node, by broadcast or alone, make up the message where it arrived."""
    for d in trace.deliveries:
        parts = carried.get((d.transfer, d.dst), set()) | carried.get((d.transfer, -1), set())
        whole = _covers(parts, trace.calls[d.transfer].size_bytes)
        require(not d.ok or whole, f"frames carry parts only of a message that arrived: {trace.calls[d.transfer]}")


@on_scripts(8)
def check_seed(channel: Any, calls: Sequence[Call]) -> None:
    """Check that the same stream gives the same clock."""
    first, second = play(channel, calls).deliveries, play(channel, calls).deliveries
    require(first == second, f"two media of one stream differ: {_first(first, second)}")


def check_cuts(channel: Any, outages: bool = False) -> None:
    """Check that deliveries, frames and usage do not depend on when `advance` or `usage` is called."""
    for seed in range(2):
        calls = script(channel, seed=seed, outages=outages)
        on_smallest(functools.partial(_cuts, channel, seed), calls, show)


def _cuts(channel: Any, seed: int, calls: Sequence[Call]) -> None:
    span = calls[-1].at_ns + 20 * pace_ns(channel)
    rng = np.random.default_rng(seed)
    looks = sorted({int(t) for t in rng.integers(0, calls[-1].at_ns + 1, 8)})
    plain = play(channel, calls, looks=looks)
    cuts = sorted({int(t) for t in rng.integers(0, span, 200)})
    for many in (cuts, [c.at_ns + d for c in calls for d in (-1, 1) if c.at_ns + d >= 0]):
        other = play(channel, calls, many, [*looks, *many[::5]])
        a, b = in_order(other.deliveries), in_order(plain.deliveries)
        require(a == b, f"deliveries depend on how time is cut: {_first(a, b)}")
        require(sorted(other.frames) == sorted(plain.frames), "frames depend on how time is cut")
        for at in looks:
            assert_equal_usage(other.usages[at], plain.usages[at], f"the usage at {at} ns depends on how time is cut")
        end = max(other.usages)
        alone = usage_at(channel, calls, end)
        assert_equal_usage(other.usages[end], alone, f"the usage at {end} ns depends on looking at it before")


def check_looking_ahead(channel: Any) -> None:
    """Check that answers about a later instant hold if nothing is submitted before, and that asking changes nothing."""
    for seed in range(2):
        calls = script(channel, seed=seed, outages=True)
        on_smallest(functools.partial(_looking_ahead, channel, seed), calls, show)


def _looking_ahead(channel: Any, seed: int, calls: Sequence[Call]) -> None:
    medium, quiet, rng = open_medium(channel), open_medium(channel), np.random.default_rng(seed)
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
        same = medium.next_event_ns() == quiet.next_event_ns()
        require(same, f"asking for the usage at {between[0]} ns changes next_event_ns")
        for at in between:
            a, b = list(medium.advance(at)), list(quiet.advance(at))
            require(a == b, f"asking for the usage at {at} ns changes deliveries: {_first(a, b)}")
            assert_equal_usage(ahead[at], medium.usage(at), f"the usage said ahead of {at} ns does not hold")
    usage = medium.usage(next_ns)
    mean_w = Counter[NodeId]()
    for row, (node, _) in enumerate(usage.interfaces):
        mean_w[node] += usage.energy_j[row].sum() / next_ns * NS_PER_S
    bounds = {node: medium.max_power_w(node) for node in mean_w} if isinstance(medium, PowerBound) else {}
    for node, bound in bounds.items():
        text = f"max_power_w({node}) says {bound:.6g} W; the mean power is {mean_w[node]:.6g} W"
        require(mean_w[node] <= bound * (1 + 1e-12), text)


def check_lone_messages(channel: Any) -> None:
    """Check that a message alone on the link counts what the link's cost says in bits and packets."""
    for size in (1, 8, 100, 1472, 1473, 5000):
        for src, dst in ((0, 4), (4, 0), (1, 2)):
            call = Call(5, src, (dst,), size)
            with on(show([call])):
                _lone_message(channel, call)


def _lone_message(channel: Any, call: Call) -> None:
    medium, (dst,) = open_medium(channel), call.dst
    medium.submit(call.at_ns, call.src, call.dst, call.size_bytes)
    deliveries = drain(medium)
    require(len(deliveries) == 1, f"it ends {len(deliveries)} times")
    for quantity, counted in (("bit", 8 * deliveries[0].wire_bytes), ("packet", deliveries[0].packets)):
        cost = float(medium.cost(quantity, call.src, dst)(8.0 * call.size_bytes))
        is_more = quantity == "bit" and deliveries[0].attempts > deliveries[0].packets and counted > cost
        require(
            counted == cost or is_more,
            f"it counts {counted} {quantity}; cost({quantity!r}, {call.src}, {dst}) says {cost:g}",
        )


def check_costs(channel: Any) -> None:
    """Check that costs never decrease, are positive where a message needs anything, and know their unit."""
    medium = open_medium(channel)
    sizes = 8.0 * np.arange(0, 6000, 7)
    for quantity in ("bit", "packet", "s", "j"):
        for src, dst in ((0, 4), (4, 0)):
            model, what = medium.cost(quantity, src, dst), f"cost({quantity!r}, {src}, {dst})"
            got = (model.quantity, model.basis)
            require(got == (quantity, "message"), f"{what} has quantity and basis {(quantity, 'message')}. Got {got}")
            costs = model(sizes)
            require(costs.shape == sizes.shape, f"{what} of {sizes.shape} sizes has shape {costs.shape}")
            less = np.flatnonzero(~(np.diff(costs) >= -1e-12 * np.abs(costs[1:])))
            at = sizes[less[0] + 1] if less.size else 0.0
            require(not less.size, f"{what} decreases at {at:g} bits")
            require((costs >= 0).all(), f"{what} is negative")
            positive = quantity not in ("bit", "packet") or (costs[1:] > 0).all()
            require(positive, f"{what} is 0 for a message of some bits")


def check_outages(channel: Any) -> None:
    """Check that transfers end with a node that they need, others go on, and a node that is down sleeps."""
    for node in (1, 4):
        with on(f"node {node} goes down while it sends and receives"):
            _outage(channel, node)
    check_cuts(channel, outages=True)


def _outage(channel: Any, node: NodeId) -> None:
    pace, medium = pace_ns(channel) // 3, open_medium(channel)
    for src, dst in ((1, 4), (4, 1), (0, 2), (1, 4), (0, 4)):
        medium.submit(0, src, (dst,), 5000)
    early = list(medium.advance(pace))
    medium.set_up(pace, node, False)
    medium.set_up(pace, node, False)
    medium.submit(pace, node, (0,), 40)
    medium.submit(pace, 0, (node, 3), 40)
    rest = drain(medium, pace)
    require(len(early) + len(rest) == 8, f"8 transfers end in all. Got {len(early) + len(rest)}")
    for d in rest:
        way = f"the transfer from {d.src} to {d.dst}"
        needs = node in (d.src, d.dst)
        require(d.ok or not channel.reliable_delivery or needs, f"{way} is lost, and both nodes are up")
        require(not (d.ok and needs), f"{way} arrives, and node {node} is down")
        require(d.at_ns == pace or not needs, f"{way} ends at {d.at_ns} ns; node {node} went down at {pace} ns")
    late = max(d.at_ns for d in rest) + 10 * pace
    medium.advance(late)
    medium.set_up(late, node, True)
    medium.submit(late, node, (0,), 40)
    back = drain(medium, late)
    require(len(back) == 1, f"once node {node} is up again, its message ends once. Got {len(back)} ends")
    require(back[0].ok or not channel.reliable_delivery, f"node {node} is up again, and its message is lost")
    usage = medium.usage(late)
    rows = [i for i, (n, _) in enumerate(usage.interfaces) if n == node]
    # The radio may have slept before as well.
    slept_ns = int(usage.state_ns[rows, STATES.index("sleep")].min())
    require(slept_ns >= late - pace, f"node {node} was down for {late - pace} ns and slept for {slept_ns} ns")
    _check_fill(usage, late)


def _covers(parts: set[tuple[int, int]], size_bytes: int) -> bool:
    end = 0
    for offset, length in sorted(parts):
        if offset > end:
            return False
        end = max(end, offset + length)
    return end == size_bytes


def _first(a: Sequence[Delivery], b: Sequence[Delivery]) -> str:
    """Return the first place in which two lists of deliveries differ."""
    for one, two in zip(a, b, strict=False):
        if one != two:
            return f"{one} and {two}"
    return f"{len(a)} and {len(b)} of them"
