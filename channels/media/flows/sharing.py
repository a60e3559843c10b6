"""Flows that share links by max-min fairness: rates change when a flow comes or goes or a link does, exactly.

Whole numbers all through: time in femtoseconds, rates in nanobits per second (rounded down), work in their product. So
where a flow stands at an instant does not depend on when anybody looked.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from copy import deepcopy
from fractions import Fraction
from operator import attrgetter
from typing import Any, Self

from channels.media.flows.shares import level_of, raise_levels
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


_SLACK = 1 << 12  # nanobits per second that rounding may move a rate without moving others


_Key = tuple[tuple[Resource, ...], int | None, int]


class _Link:
    """A resource: how much it carries until when, the serials of its flows, and the kinds that share it.

    `load` is the sum of its kinds' rates; `place` is where it stands while rates are shared out.
    """

    __slots__ = ("kinds", "load", "place", "resource", "room", "until_fs", "users")

    def __init__(self, resource: Resource) -> None:
        self.resource, self.place = resource, -1
        self.room = self.load = 0
        self.until_fs: int | None = None
        self.users: dict[int, None] = {}
        self.kinds: dict[_Kind, None] = {}


class _Kind:
    """Flows that have the same rate at all times: they share the same links and have the same limit of their own.

    `done` is the work that one of them would have done so far; a flow ends when it reaches the flow's target. `tight`
    is the link that keeps them from having more; None where their own limit does.
    """

    __slots__ = (
        "done", "key", "limit", "links", "members", "order", "rate", "since_fs", "targets", "tight",
        "version", "weight",
    )  # fmt: skip

    def __init__(self, key: _Key, links: tuple[_Link, ...], at_fs: int) -> None:
        self.key, self.links, self.since_fs = key, links, at_fs
        path, self.limit, self.weight = key
        self.order = path, -1 if self.limit is None else self.limit, self.weight
        self.done = self.rate = self.version = self.members = 0
        self.targets: list[tuple[int, int]] = []
        self.tight: _Link | None = None

    def settle(self, at_fs: int) -> None:
        if at_fs > self.since_fs:
            self.done += self.rate * (at_fs - self.since_fs)
            self.since_fs = at_fs

    def change_rate(self, rate: int) -> None:
        more = (rate - self.rate) * self.members
        if rate != self.rate:
            self.rate = rate
            for link in self.links:
                link.load += more

    def add_members(self, count: int) -> None:
        self.members += count
        if self.rate:
            for link in self.links:
                link.load += count * self.rate

    def reaches_fs(self, done: int) -> int | None:
        if done <= self.done:
            return self.since_fs
        return self.since_fs - (self.done - done) // self.rate if self.rate else None


class _Flow:
    """Of which kind it is, and the kind's `done` at which it ends; `left` is its work while it has no kind."""

    __slots__ = ("at_fs", "cap", "kind", "left", "links", "target", "weight")

    def __init__(self, at_fs: int, links: tuple[_Link, ...], work: int, cap: int | None, weight: int) -> None:
        self.at_fs, self.links, self.left, self.cap, self.weight = at_fs, links, work, cap, weight
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
        self._links: dict[Resource, _Link] = {}
        self._kinds: dict[_Key, _Kind] = {}
        self._ends: list[tuple[int, int, int, _Kind]] = []
        self._changes: list[tuple[int, Resource]] = []
        self._changed = dict[int, None]()
        self._touched, self._dirty = dict[_Kind, None](), dict[_Link, None]()
        self._changed_fs = self._versions = 0
        # Of the last instant: what was touched, and the rates before it of the kinds that were shared out anew.
        self._instant_fs, self._before = -1, dict[_Kind, tuple[int, _Link | None]]()
        self._touched_then, self._dirty_then = dict[_Kind, None](), dict[_Link, None]()

    def add(
        self, at_fs: int, serial: int, path: tuple[Resource, ...], work: int, cap: int | None = None, weight: int = 1
    ) -> None:
        """Begin a flow; `at_fs` is not before the last event by more than half a nanosecond."""
        self._mark(at_fs)
        links = list[_Link]()
        for resource in path:
            link = self._links.get(resource)
            if link is None:
                link = self._links[resource] = _Link(resource)
                self._look(link, at_fs)
            elif len(link.users) == 1:
                self._changed.update(link.users)  # this link had one user and now has two
            link.users[serial] = None
            links.append(link)
        self._flows[serial] = _Flow(at_fs, tuple(links), work, cap, weight)
        self._changed[serial] = None

    def remove(self, at_fs: int, serial: int) -> int:
        """End a flow; return the work that was left."""
        self._mark(at_fs)
        flow = self._flows.pop(serial)
        self._leave(flow, at_fs)
        self._changed.pop(serial, None)
        for link in flow.links:
            del link.users[serial]
            if len(link.users) == 1:
                self._changed.update(link.users)
            if not link.users:
                del self._links[link.resource]
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
        while self._changes and not self._holds(*self._changes[0]):
            heapq.heappop(self._changes)
        if not self._changes:
            return self._ends[0][0] if self._ends else None
        return min(self._ends[0][0], self._changes[0][0]) if self._ends else self._changes[0][0]

    def _holds(self, until_fs: int, resource: Resource) -> bool:
        """Return whether a link that is used still changes then."""
        link = self._links.get(resource)
        return link is not None and link.until_fs == until_fs

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
            link = self._links[heapq.heappop(self._changes)[1]]
            self._mark(at_fs)
            self._look(link, at_fs)
            if len(link.users) == 1:
                self._changed.update(link.users)
            self._touched.update(link.kinds)
            return None
        at_fs, serial = self._ends[0][:2]
        self.remove(at_fs, serial)
        return serial

    def _look(self, link: _Link, at_fs: int) -> None:
        link.room, link.until_fs = self._capacity(link.resource, at_fs)
        if link.until_fs is not None:
            heapq.heappush(self._changes, (link.until_fs, link.resource))

    def _mark(self, at_fs: int) -> None:
        if at_fs != self._changed_fs:
            self._flush()
            self._changed_fs = at_fs

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Links come first and without their kinds: from link to kind to link, copying would go too deep.
        other = object.__new__(type(self))
        for link in self._links.values():
            twin = memo[id(link)] = _Link(link.resource)
            twin.room, twin.load, twin.until_fs, twin.users = link.room, link.load, link.until_fs, dict(link.users)
        for name, value in vars(self).items():
            setattr(other, name, deepcopy(value, memo))
        for link in self._links.values():
            memo[id(link)].kinds.update((memo[id(kind)], None) for kind in link.kinds)
        return other

    # --- kinds -----------------------------------------------------------------------------------------

    def _leave(self, flow: _Flow, at_fs: int) -> None:
        kind = flow.kind
        if kind is None:
            return
        kind.settle(at_fs)
        flow.left, flow.kind = max(0, flow.target - kind.done), None
        kind.add_members(-1)
        self._touched[kind] = None
        if not kind.members:
            self._forget(kind)

    def _forget(self, kind: _Kind) -> None:
        """Delete a kind without flows; its neighbours get its share."""
        del self._kinds[kind.key]
        kind.version = -1
        for link in kind.links:
            del link.kinds[kind]
            self._dirty[link] = None

    def _join(self, serial: int, flow: _Flow) -> None:
        shared, limit = list[_Link](), flow.cap
        for link in flow.links:
            if len(link.users) > 1:
                shared.append(link)
            elif limit is None or link.room < limit:
                limit = link.room
        kind, key = flow.kind, (tuple([link.resource for link in shared]), limit, flow.weight)
        if kind is not None and kind.key == key:
            return
        self._leave(flow, self._changed_fs)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = _Kind(key, tuple(shared), flow.at_fs)
            for link in shared:
                link.kinds[kind] = None
        kind.settle(self._changed_fs)
        flow.kind, flow.target = kind, kind.done + flow.left
        if limit is not None and not shared:
            # The end of another flow that rounds to this instant may already have advanced the kind.
            flow.target -= limit * max(0, kind.since_fs - self._changed_fs)
        kind.add_members(1)
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
            rate, kind.tight = self._before[kind]
            kind.change_rate(rate)
        chosen = [kind for kind in self._touched_then if kind.members]
        dirty = {**self._dirty_then, **dict.fromkeys(link for kind in chosen for link in kind.links)}
        found = self._share_out(dict.fromkeys(chosen), dirty)
        for kind, (rate, tight) in found.items():
            self._before.setdefault(kind, (kind.rate, kind.tight))
            kind.settle(self._changed_fs)
            kind.change_rate(rate)
            kind.tight = tight
        for kind in {**moved, **found}:
            self._expect(kind)

    def _share_out(self, chosen: dict[_Kind, None], dirty: dict[_Link, None]) -> dict[_Kind, tuple[int, _Link | None]]:
        """Find new rates of the kinds chosen and of all that these move, with what keeps each from having more."""
        for link in dirty:
            for kind in link.kinds:
                if kind.tight is link:
                    chosen[kind] = None
        while True:
            kinds = sorted(chosen, key=attrgetter("order"))
            rates, tight = self._share(kinds)
            size, levels = len(chosen), dict[_Link, int]()
            for kind, rate, full in zip(kinds, rates, tight, strict=True):
                if abs(rate - kind.rate) > _SLACK:
                    # Those that a link with more or less room than before keeps from having more come in.
                    for link in kind.links:
                        if link not in dirty:
                            dirty[link] = None
                            for other in link.kinds:
                                if other.tight is link:
                                    chosen[other] = None
                if full is not None:
                    level = -(-rate // kind.weight)
                    if level > levels.get(full, -1):
                        levels[full] = level
            for full, level in levels.items():
                # So do those who have more at a link than the kinds that it limits.
                for other in full.kinds:
                    if other.rate > (level + 1) * other.weight + _SLACK and other not in chosen:
                        chosen[other] = None
            if len(chosen) == size:
                return dict(zip(kinds, zip(rates, tight, strict=True), strict=True))

    def _share(self, kinds: Sequence[_Kind]) -> tuple[list[int], list[_Link | None]]:
        """Return the max-min fair rates of the kinds, all others keeping theirs, and the links that limit them."""
        links, ways = list[_Link](), list[list[int]]()
        users, left, total = list[list[int]](), list[int](), list[int]()
        for place, kind in enumerate(kinds):
            rate, weight, way = kind.rate * kind.members, kind.weight * kind.members, list[int]()
            for link in kind.links:
                at = link.place
                if at < 0:
                    at = link.place = len(links)
                    links.append(link)
                    users.append([place])
                    left.append(link.room - link.load + rate)
                    total.append(weight)
                else:
                    users[at].append(place)
                    left[at] += rate
                    total[at] += weight
                way.append(at)
            ways.append(way)
        left = [max(0, room) for room in left]
        limited = [
            (level_of(k.limit, k.weight), place, k.limit) for place, k in enumerate(kinds) if k.limit is not None
        ]
        limited.sort()
        for link in links:
            link.place = -1
        rates, tight = raise_levels(
            ways, users, left, total, limited, [k.members for k in kinds], [k.weight for k in kinds]
        )
        return rates, [None if full < 0 else links[full] for full in tight]

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
