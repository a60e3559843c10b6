"""Flows that share links by max-min fairness: rates change when a flow comes or goes or a link does, exactly.

Whole numbers all through: time in femtoseconds, rates in nanobits per second (rounded down), work in their product. So
where a flow stands at an instant does not depend on when anybody looked.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from netsim.units import NS_PER_S

FS_PER_NS = 10**6
NANOBIT = 10**9
BIT_WORK = NANOBIT * NS_PER_S * FS_PER_NS  # work of one bit

Resource = tuple[Any, ...]


def rate_units(rate_bps: float) -> int:
    """Return the rate in nanobits per second."""
    return int(rate_bps) * NANOBIT if float(rate_bps).is_integer() else round(Fraction(rate_bps) * NANOBIT)


def to_ns(at_fs: int) -> int:
    """Return the time in whole nanoseconds, rounded half up."""
    return (at_fs + FS_PER_NS // 2) // FS_PER_NS


def max_min(
    paths: Sequence[Sequence[Hashable]],
    capacity: Mapping[Any, int],
    caps: Sequence[int | None],
    counts: Sequence[int] | None = None,
    weights: Sequence[int] | None = None,
) -> list[int]:
    """Return max-min fair rates: a flow gets more for its weight only at the cost of one with no more for its own.

    Parameters
    ----------
    paths
        The resources that each flow crosses.
    capacity
        Of every resource.
    caps
        What a flow takes at most; None: no limit of its own. Each flow has a cap or a resource.
    counts
        How many flows like this there are; None: one of each.
    weights
        >= 1, to which rates at a common bottleneck are proportional; None: equal.

    Returns
    -------
    Rates in units of the capacities, rounded down.

    Examples
    --------
    >>> max_min([("a", "server"), ("b", "server")], {"a": 30, "b": 200, "server": 100}, [None, None])
    [30, 70]
    """
    return share(paths, capacity, caps, counts, weights)[0]


def share(
    paths: Sequence[Sequence[Hashable]],
    capacity: Mapping[Any, int],
    caps: Sequence[int | None],
    counts: Sequence[int] | None = None,
    weights: Sequence[int] | None = None,
) -> tuple[list[int], list[Hashable | None]]:
    """Return the rates of `max_min`, and the resource at which each flow has no more: None where its cap limits it."""
    many = [1] * len(paths) if counts is None else counts
    weight = [1] * len(paths) if weights is None else weights
    users: dict[Hashable, list[int]] = {}
    for flow, path in enumerate(paths):
        for resource in path:
            users.setdefault(resource, []).append(flow)
    shared = {
        resource: [capacity[resource], sum(many[flow] * weight[flow] for flow in who)]
        for resource, who in users.items()
    }
    limited = sorted((_level(most, weight[flow]), flow) for flow, most in enumerate(caps) if most is not None)
    rates, tight, place = [-1] * len(paths), list[Hashable | None]([None] * len(paths)), 0
    if len(shared) == 1 and weights is None:
        ((only, (left, total)),) = shared.items()
        rates = _fill(paths, left, total, [(caps[flow] or 0, flow) for _, flow in limited], many)
        return rates, [None if rate == cap else only for rate, cap in zip(rates, caps, strict=True)]
    # Levels only rise while flows are settled: an entry that is too low is put back with the level that holds.
    names = list(shared)
    levels = [(_level(*shared[name]), n) for n, name in enumerate(names)]
    heapq.heapify(levels)

    def settle(flow: int, rate: int) -> None:
        rates[flow] = rate
        for resource in paths[flow]:
            rest = shared[resource]
            rest[0] -= rate * many[flow]
            rest[1] -= many[flow] * weight[flow]

    while True:
        while place < len(limited) and rates[limited[place][1]] >= 0:
            place += 1
        while levels:
            left, total = shared[names[levels[0][1]]]
            if not total:
                heapq.heappop(levels)
            elif levels[0][0] != (level := _level(left, total)):
                heapq.heapreplace(levels, (level, levels[0][1]))
            else:
                break
        if place < len(limited) and (not levels or limited[place][0] <= levels[0][0]):
            flow = limited[place][1]
            settle(flow, caps[flow] or 0)
        elif levels:
            name = names[heapq.heappop(levels)[1]]
            left, total = shared[name]
            for flow in users[name]:
                if rates[flow] < 0:
                    tight[flow] = name
                    settle(flow, left * weight[flow] // total)
        else:
            return rates, tight


def _level(room: int, weight: int) -> int:
    """Return the rate of weight 1, to 2**-64 of a unit."""
    return (room << 64) // weight


def _fill(
    paths: Sequence[Sequence[Hashable]], left: int, total: int, limited: Sequence[tuple[int, int]], many: Sequence[int]
) -> list[int]:
    """Return the max-min fair rates of flows that share one resource: raise the smallest wish first."""
    rates = [-1] * len(paths)
    for most, flow in limited:
        if paths[flow]:
            if most * total > left:
                continue
            left -= most * many[flow]
            total -= many[flow]
        rates[flow] = most
    level = left // total if total else 0
    return [level if rate < 0 else rate for rate in rates]


_SLACK = 1 << 12  # nanobits per second that rounding may move a rate without moving others


_Key = tuple[tuple[Resource, ...], int | None, int]


class _Kind:
    """Flows that have the same rate at all times: they share the same links and have the same limit of their own.

    `done` is the work that one of them would have done so far; a flow ends when it reaches the flow's target. `tight`
    is the link that keeps them from having more; None where their own limit does.
    """

    __slots__ = ("done", "key", "limit", "members", "path", "rate", "since_fs", "targets", "tight", "version", "weight")

    def __init__(self, key: _Key, at_fs: int) -> None:
        self.key, self.since_fs = key, at_fs
        self.path, self.limit, self.weight = key
        self.done = self.rate = self.version = self.members = 0
        self.targets: list[tuple[int, int]] = []
        self.tight: Resource | None = None

    def settle(self, at_fs: int) -> None:
        if at_fs > self.since_fs:
            self.done += self.rate * (at_fs - self.since_fs)
            self.since_fs = at_fs

    def reaches_fs(self, done: int) -> int | None:
        if done <= self.done:
            return self.since_fs
        return self.since_fs - (self.done - done) // self.rate if self.rate else None


def _order(kind: _Kind) -> tuple[Any, ...]:
    return kind.path, -1 if kind.limit is None else kind.limit, kind.weight


class _Flow:
    """Of which kind it is, and the kind's `done` at which it ends; `left` is its work while it has no kind."""

    __slots__ = ("at_fs", "cap", "kind", "left", "path", "target", "weight")

    def __init__(self, at_fs: int, path: tuple[Resource, ...], work: int, cap: int | None, weight: int) -> None:
        self.at_fs, self.path, self.left, self.cap, self.weight = at_fs, path, work, cap, weight
        self.kind: _Kind | None = None
        self.target = 0


class Fluid:
    """Flows through resources, from one change to the next.

    Parameters
    ----------
    capacity
        Of a resource at an instant: nanobits per second, and until when; None: from then on.

    Notes
    -----
    Flows that share the same links with others and have the same limit of their own are one kind with one rate, so an
    event costs a step per kind that it touches, not per flow. Changes of one instant are taken together, from the rates
    before it. A flow whose work ends between two femtoseconds ends at the later one.

    Only rates that an event changes are computed. The kinds at the links that it touches are shared out anew, all
    others keeping their rates; where this moves a rate, those that the same link keeps from having more come in, too,
    and so do those who have more at a link that now keeps another one from having as much; until nobody comes in. Then
    every kind has a full link at which nobody has more, which is what defines the max-min fair shares.
    """

    def __init__(self, capacity: Callable[[Resource, int], tuple[int, int | None]]) -> None:
        self._capacity = capacity
        self._flows: dict[int, _Flow] = {}
        self._users: dict[Resource, dict[int, None]] = {}
        self._room: dict[Resource, tuple[int, int | None]] = {}
        self._kinds: dict[_Key, _Kind] = {}
        self._kinds_at: dict[Resource, dict[_Kind, None]] = {}
        self._ends: list[tuple[int, int, int, _Kind]] = []
        self._changes: list[tuple[int, Resource]] = []
        self._changed = dict[int, None]()
        self._touched, self._dirty = dict[_Kind, None](), dict[Resource, None]()
        self._changed_fs = self._versions = 0
        # Of the last instant: what was touched, and the rates before it of the kinds that were shared out anew.
        self._instant_fs, self._before = -1, dict[_Kind, tuple[int, Resource | None]]()
        self._touched_then, self._dirty_then = dict[_Kind, None](), dict[Resource, None]()

    def add(
        self, at_fs: int, serial: int, path: tuple[Resource, ...], work: int, cap: int | None = None, weight: int = 1
    ) -> None:
        """Begin a flow; `at_fs` is not before the last event by more than half a nanosecond."""
        self._mark(at_fs)
        self._flows[serial] = _Flow(at_fs, path, work, cap, weight)
        for resource in path:
            users = self._users.setdefault(resource, {})
            if not users:
                self._look(resource, at_fs)
            elif len(users) == 1:
                self._changed.update(users)  # this link had one user and now has two
            users[serial] = None
        self._changed[serial] = None

    def remove(self, at_fs: int, serial: int) -> int:
        """End a flow; return the work that was left."""
        self._mark(at_fs)
        flow = self._flows.pop(serial)
        self._leave(flow, at_fs)
        self._changed.pop(serial, None)
        for resource in flow.path:
            users = self._users[resource]
            del users[serial]
            if len(users) == 1:
                self._changed.update(users)
            if not users:
                del self._users[resource], self._room[resource]
        return flow.left

    def reaches_fs(self, serial: int, left: int) -> int | None:
        """Return when only `left` of a flow's work is left if nothing changes; None: never."""
        self._flush()
        flow = self._flows[serial]
        assert flow.kind is not None
        return flow.kind.reaches_fs(flow.target - left)

    @property
    def pending_fs(self) -> int | None:
        """The instant of changes after which rates have not been shared out yet; None where there are none."""
        return self._changed_fs if self._changed or self._touched or self._dirty else None

    def next_fs(self) -> int | None:
        """Return when the next flow ends or the next link changes; None: never."""
        # A flow at its end ends now, whatever the rates will be: they are shared out once for all of an instant.
        self._drop_ends()
        if self._ends and self._ends[0][0] == self.pending_fs:
            return self._ends[0][0]
        self._flush()
        self._drop_ends()
        while self._changes and self._room.get(self._changes[0][1], (0, None))[1] != self._changes[0][0]:
            heapq.heappop(self._changes)
        if not self._changes:
            return self._ends[0][0] if self._ends else None
        return min(self._ends[0][0], self._changes[0][0]) if self._ends else self._changes[0][0]

    def _drop_ends(self) -> None:
        """Take ends that hold no more from the heap."""
        while self._ends:
            _, serial, version, kind = self._ends[0]
            flow = self._flows.get(serial)
            if version == kind.version and flow is not None and flow.kind is kind:
                return
            heapq.heappop(self._ends)
            if version == kind.version and kind.members:
                self._expect(kind)

    def step(self) -> int | None:
        """Handle the event at `next_fs`; return the flow that ended, None where a link changed."""
        at_fs = self.next_fs()
        if self._changes and self._changes[0][0] == at_fs:
            resource = heapq.heappop(self._changes)[1]
            self._mark(at_fs)
            self._look(resource, at_fs)
            users = self._users[resource]
            if len(users) == 1:
                self._changed.update(users)
            self._touched.update(self._kinds_at.get(resource, {}))
            return None
        at_fs, serial = self._ends[0][:2]
        self.remove(at_fs, serial)
        return serial

    def _look(self, resource: Resource, at_fs: int) -> None:
        self._room[resource] = self._capacity(resource, at_fs)
        until_fs = self._room[resource][1]
        if until_fs is not None:
            heapq.heappush(self._changes, (until_fs, resource))

    def _mark(self, at_fs: int) -> None:
        if at_fs != self._changed_fs:
            self._flush()
            self._changed_fs = at_fs

    # --- kinds -----------------------------------------------------------------------------------------

    def _leave(self, flow: _Flow, at_fs: int) -> None:
        kind = flow.kind
        if kind is None:
            return
        kind.settle(at_fs)
        flow.left, flow.kind = max(0, flow.target - kind.done), None
        kind.members -= 1
        self._touched[kind] = None
        if not kind.members:
            self._forget(kind)

    def _forget(self, kind: _Kind) -> None:
        """Delete a kind without flows; its neighbours get its share."""
        del self._kinds[kind.key]
        kind.version = -1
        for resource in kind.path:
            at = self._kinds_at[resource]
            del at[kind]
            self._dirty[resource] = None
            if not at:
                del self._kinds_at[resource]

    def _join(self, serial: int, flow: _Flow) -> None:
        shared = tuple(resource for resource in flow.path if len(self._users[resource]) > 1)
        own = [self._room[resource][0] for resource in flow.path if len(self._users[resource]) == 1]
        limit = min(own if flow.cap is None else [*own, flow.cap], default=None)
        kind, key = flow.kind, (shared, limit, flow.weight)
        if kind is not None and kind.key == key:
            return
        self._leave(flow, self._changed_fs)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = _Kind(key, flow.at_fs)
            for resource in shared:
                self._kinds_at.setdefault(resource, {})[kind] = None
        kind.settle(self._changed_fs)
        flow.kind, flow.target = kind, kind.done + flow.left
        if limit is not None and not shared:
            # The end of another flow that rounds to this instant may already have advanced the kind.
            flow.target -= limit * max(0, kind.since_fs - self._changed_fs)
        kind.members += 1
        heapq.heappush(kind.targets, (flow.target, serial))
        self._touched[kind] = None

    def _flush(self) -> None:
        """Recompute the rates of all kinds that are joined by links to one that changed."""
        if self._changed:
            for serial in sorted(self._changed):
                self._join(serial, self._flows[serial])
            self._changed.clear()
        if not self._touched and not self._dirty:
            return
        if self._changed_fs != self._instant_fs:
            self._instant_fs = self._changed_fs
            for then in (self._before, self._touched_then, self._dirty_then):
                then.clear()
        self._touched_then.update(self._touched)
        self._dirty_then.update(self._dirty)
        self._touched.clear()
        self._dirty.clear()
        # An earlier look at this instant leaves no trace.
        moved = dict.fromkeys(kind for kind in self._before if kind.members)
        for kind in moved:
            kind.rate, kind.tight = self._before[kind]
        chosen = [kind for kind in self._touched_then if kind.members]
        dirty = {**self._dirty_then, **dict.fromkeys(resource for kind in chosen for resource in kind.path)}
        found = self._share_out(dict.fromkeys(chosen), dirty)
        for kind, (rate, tight) in found.items():
            self._before.setdefault(kind, (kind.rate, kind.tight))
            kind.settle(self._changed_fs)
            kind.rate, kind.tight = rate, tight
        for kind in {**moved, **found}:
            self._expect(kind)

    def _share_out(
        self, chosen: dict[_Kind, None], dirty: dict[Resource, None]
    ) -> dict[_Kind, tuple[int, Resource | None]]:
        """Find new rates of the kinds chosen and of all that these move, with what keeps each from having more."""
        self._choose(chosen, dirty, {})
        while True:
            kinds = sorted(chosen, key=_order)
            seen = dict.fromkeys(resource for kind in kinds for resource in kind.path)
            room = {resource: self._room_for(resource, chosen) for resource in seen}
            counts, weights = [kind.members for kind in kinds], [kind.weight for kind in kinds]
            is_even = len(set(weights)) <= 1
            limits = [kind.limit for kind in kinds]
            paths: list[tuple[Resource, ...]] = [kind.path for kind in kinds]
            rates, tight = share(paths, room, limits, counts, None if is_even else weights)
            levels = dict[Resource, Fraction | int]()
            for kind, rate, where in zip(kinds, rates, tight, strict=True):
                if abs(rate - kind.rate) > _SLACK:
                    dirty.update(dict.fromkeys(kind.path))
                if isinstance(where, tuple):
                    levels[where] = max(levels.get(where, 0), -(-rate // kind.weight))
            size = len(chosen)
            self._choose(chosen, dirty, levels)
            if len(chosen) == size:
                where_tight = [where if isinstance(where, tuple) else None for where in tight]
                return dict(zip(kinds, zip(rates, where_tight, strict=True), strict=True))

    def _choose(self, chosen: dict[_Kind, None], dirty: dict[Resource, None], levels: Mapping[Resource, Any]) -> None:
        """Add who is kept from more by a dirty link, and who has more at a link that keeps others from it."""
        for resource in {**dirty, **levels}:
            level = levels.get(resource)
            for kind in self._kinds_at.get(resource, ()):
                if kind not in chosen:
                    keeps = kind.tight == resource and resource in dirty
                    if keeps or (level is not None and kind.rate > (level + 1) * kind.weight + _SLACK):
                        chosen[kind] = None

    def _room_for(self, resource: Resource, chosen: Mapping[_Kind, None]) -> int:
        """Return what is left at a link beside the kinds that keep their rates."""
        others = sum(kind.rate * kind.members for kind in self._kinds_at[resource] if kind not in chosen)
        return max(0, self._room[resource][0] - others)

    def _expect(self, kind: _Kind) -> None:
        """Put the kind's next end into the heap, in place of the one that is there."""
        targets = kind.targets
        while targets and self._is_gone(kind, *targets[0]):
            heapq.heappop(targets)
        self._versions += 1
        kind.version = self._versions
        end_fs = kind.reaches_fs(targets[0][0]) if targets else None
        if end_fs is not None:
            heapq.heappush(self._ends, (end_fs, targets[0][1], kind.version, kind))

    def _is_gone(self, kind: _Kind, target: int, serial: int) -> bool:
        flow = self._flows.get(serial)
        return flow is None or flow.kind is not kind or flow.target != target
