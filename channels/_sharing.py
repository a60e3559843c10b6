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
    """Nanobits per second."""
    return int(rate_bps) * NANOBIT if float(rate_bps).is_integer() else round(Fraction(rate_bps) * NANOBIT)


def to_ns(at_fs: int) -> int:
    """Whole nanoseconds, half up."""
    return (at_fs + FS_PER_NS // 2) // FS_PER_NS


def max_min(
    paths: Sequence[Sequence[Hashable]],
    capacity: Mapping[Any, int],
    caps: Sequence[int | None],
) -> list[int]:
    """Max-min fair rates: no flow can have more without taking from one that has no more.

    Parameters
    ----------
    paths
        The resources that each flow crosses.
    capacity
        Of every resource.
    caps
        What a flow takes at most; None: no limit of its own. Each flow has a cap or a resource.
    Returns
    -------
    Rates in units of the capacities, rounded down.

    Examples
    --------
    >>> max_min([("a", "server"), ("b", "server")], {"a": 30, "b": 200, "server": 100}, [None, None])
    [30, 70]
    """
    users: dict[Hashable, list[int]] = {}
    for flow, path in enumerate(paths):
        for resource in path:
            users.setdefault(resource, []).append(flow)
    limit, shared = list(caps), dict[Hashable, list[int]]()
    for resource, who in users.items():
        if len(who) == 1:
            own = limit[who[0]]
            limit[who[0]] = capacity[resource] if own is None else min(own, capacity[resource])
        else:
            shared[resource] = [capacity[resource], len(who)]
    limited = sorted((most, flow) for flow, most in enumerate(limit) if most is not None)
    rates, place = [-1] * len(paths), 0

    def settle(flow: int, rate: int) -> None:
        rates[flow] = rate
        for resource in paths[flow]:
            if resource in shared:
                shared[resource][0] = max(0, shared[resource][0] - rate)
                shared[resource][1] -= 1

    while True:
        while place < len(limited) and rates[limited[place][1]] >= 0:
            place += 1
        tightest: Hashable = None
        level = -1
        for resource, (left, total) in shared.items():
            if total and (level < 0 or left // total < level):
                tightest, level = resource, left // total
        if place < len(limited) and (level < 0 or limited[place][0] <= level):
            most, flow = limited[place]
            settle(flow, most)
        elif level >= 0:
            for flow in users[tightest]:
                if rates[flow] < 0:
                    settle(flow, level)
        else:
            return rates


class _Flow:
    """Work left at `since_fs` and the rate from there on."""

    __slots__ = ("cap", "path", "rate", "serial", "since_fs", "version", "work")

    def __init__(self, serial: int, at_fs: int, path: tuple[Resource, ...], work: int, cap: int | None) -> None:
        self.serial, self.path, self.work, self.cap = serial, path, work, cap
        self.since_fs, self.rate, self.version = at_fs, 0, 0

    def settle(self, at_fs: int) -> None:
        if at_fs > self.since_fs:
            self.work = max(0, self.work - self.rate * (at_fs - self.since_fs))
            self.since_fs = at_fs

    def reaches_fs(self, left: int) -> int | None:
        """When only `left` of the work is left at the present rate."""
        if self.work <= left:
            return self.since_fs
        return self.since_fs - (left - self.work) // self.rate if self.rate else None


class Fluid:
    """Flows through resources, from one change to the next.

    Parameters
    ----------
    capacity
        Of a resource at an instant: nanobits per second, and until when; None: from then on.

    Notes
    -----
    Only flows that are joined by resources to one that changed get new rates, and only those whose rate did change are
    touched at all. Changes of one instant are taken together. A flow whose work ends between two femtoseconds ends at
    the later one.
    """

    def __init__(self, capacity: Callable[[Resource, int], tuple[int, int | None]]) -> None:
        self._capacity = capacity
        self._flows: dict[int, _Flow] = {}
        self._users: dict[Resource, dict[int, None]] = {}
        self._room: dict[Resource, tuple[int, int | None]] = {}
        self._ends: list[tuple[int, int, int]] = []
        self._changes: list[tuple[int, Resource]] = []
        self._changed = dict[int, None]()
        self._changed_fs = self._versions = 0

    def __contains__(self, serial: int) -> bool:
        return serial in self._flows

    def add(self, at_fs: int, serial: int, path: tuple[Resource, ...], work: int, cap: int | None = None) -> None:
        """A flow begins; `at_fs` is not before the last event by more than half a nanosecond."""
        self._mark(at_fs)
        self._flows[serial] = _Flow(serial, at_fs, path, work, cap)
        for resource in path:
            if resource not in self._users:
                self._users[resource] = {}
                self._look(resource, at_fs)
            self._users[resource][serial] = None
        self._changed[serial] = None

    def remove(self, at_fs: int, serial: int) -> int:
        """A flow ends; the work that was left."""
        self._mark(at_fs)
        flow = self._flows.pop(serial)
        flow.settle(at_fs)
        self._changed.pop(serial, None)
        for resource in flow.path:
            users = self._users[resource]
            del users[serial]
            self._changed.update(users)
            if not users:
                del self._users[resource], self._room[resource]
        return flow.work

    def left(self, serial: int, at_fs: int) -> int:
        """Work left at an instant up to which nothing changes."""
        self._flush()
        flow = self._flows[serial]
        return max(0, flow.work - flow.rate * max(0, at_fs - flow.since_fs))

    def reaches_fs(self, serial: int, left: int) -> int | None:
        """When only `left` of a flow's work is left if nothing changes; None: never."""
        self._flush()
        return self._flows[serial].reaches_fs(left)

    def next_fs(self) -> int | None:
        """When the next flow ends or the next link changes; None: never."""
        self._flush()
        while self._ends and self._is_stale(self._ends[0]):
            heapq.heappop(self._ends)
        while self._changes and self._room.get(self._changes[0][1], (0, None))[1] != self._changes[0][0]:
            heapq.heappop(self._changes)
        times = [heap[0][0] for heap in (self._ends, self._changes) if heap]
        return min(times, default=None)

    def step(self) -> int | None:
        """Let the event of `next_fs` happen; the flow that ended, None where a link changed."""
        at_fs = self.next_fs()
        if self._changes and self._changes[0][0] == at_fs:
            resource = heapq.heappop(self._changes)[1]
            self._mark(at_fs)
            self._look(resource, at_fs)
            self._changed.update(self._users[resource])
            return None
        at_fs, serial, _ = self._ends[0]
        self.remove(at_fs, serial)
        return serial

    def _look(self, resource: Resource, at_fs: int) -> None:
        self._room[resource] = self._capacity(resource, at_fs)
        until_fs = self._room[resource][1]
        if until_fs is not None:
            heapq.heappush(self._changes, (until_fs, resource))

    def _is_stale(self, end: tuple[int, int, int]) -> bool:
        flow = self._flows.get(end[1])
        return flow is None or flow.version != end[2]

    def _mark(self, at_fs: int) -> None:
        if at_fs != self._changed_fs:
            self._flush()
            self._changed_fs = at_fs

    def _flush(self) -> None:
        """New rates for all that are joined to what changed."""
        if not self._changed:
            return
        todo, flows, seen = list(self._changed), self._flows, set[Resource]()
        joined = set(todo)
        while todo:
            for resource in flows[todo.pop()].path:
                if resource not in seen:
                    seen.add(resource)
                    fresh = [serial for serial in self._users[resource] if serial not in joined]
                    joined.update(fresh)
                    todo.extend(fresh)
        self._changed.clear()
        touched = [flows[serial] for serial in sorted(joined)]
        room = {resource: self._room[resource][0] for resource in seen}
        rates = max_min([flow.path for flow in touched], room, [flow.cap for flow in touched])
        for flow, rate in zip(touched, rates, strict=True):
            if rate != flow.rate or not flow.version:
                flow.settle(self._changed_fs)
                self._versions += 1
                flow.rate, flow.version = rate, self._versions
                end_fs = flow.reaches_fs(0)
                if end_fs is not None:
                    heapq.heappush(self._ends, (end_fs, flow.serial, flow.version))
