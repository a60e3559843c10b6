"""When interfaces were busy: trains of packets in, exact times of their union out."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import numpy as np

from channels.costing.models import Int64s

_SETTLE_AT = 1 << 12
_EXPANDED = 1 << 16  # packets of one row


class PacketTrain(NamedTuple):
    """Packets of one message on one interface.

    Parameters
    ----------
    row
        Which interface.
    start_ns, stride_ns, width_ns, packets
        `packets` packets of `width_ns` that begin `stride_ns` apart; the stride is at least the width, and 1.
    frame_bytes
        Of each packet, counted once it has ended; 0 counts time only.
    serial
        Whose packets they are, for `BusyLog.cut`.
    """

    row: int
    start_ns: int
    stride_ns: int
    width_ns: int
    packets: int
    frame_bytes: int
    serial: int


class Totals(NamedTuple):
    """What each row's interface did up to an instant; int64, shape (rows,) each."""

    busy_ns: Int64s
    frames: Int64s
    frame_bytes: Int64s


class BusyLog:
    """Packet trains of many interfaces, and how long each interface was busy.

    An interface with several wires is busy while any of them is: the union is exact, and a train that overlaps no
    other one is never expanded.

    Parameters
    ----------
    rows
        Number of interfaces.

    Examples
    --------
    >>> log = BusyLog(1)
    >>> log.add(PacketTrain(row=0, start_ns=0, stride_ns=10, width_ns=10, packets=3, frame_bytes=100, serial=0))
    >>> log.add((0, 25, 20, 20, 1, 0, 1))
    >>> [int(log.totals(at).busy_ns[0]) for at in (5, 30, 100)]
    [5, 30, 45]
    >>> int(log.totals(29).frames[0]), int(log.totals(30).frame_bytes[0])
    (2, 300)
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._new: list[tuple[int, int, int, int, int, int, int]] = []
        self._kept = np.empty((0, len(PacketTrain._fields)), np.int64)
        self._limit = _SETTLE_AT
        self._settled = Totals(*np.zeros((3, rows), np.int64))
        # A `PacketTrain`, or its values as a tuple; it does not begin before the last `settle`.
        self.add = self._new.append

    def __deepcopy__(self, memo: object) -> BusyLog:
        """Return another one that goes on from here."""
        other = BusyLog(self._rows)
        other._new.extend(self._new)
        other._kept, other._limit, other._settled = self._kept, self._limit, self._settled
        return other

    def totals(self, at_ns: int) -> Totals:
        """Return exact totals up to `at_ns`, which is not before the last `settle`."""
        counted = self._count(self._table(), at_ns)
        return Totals(*(a + b for a, b in zip(self._settled, counted, strict=True)))

    def settle(self, to_ns: int, limit: int | None = None) -> None:
        """Forget trains that ended before `to_ns` where there are more than `limit`; what they did stays counted."""
        if len(self._new) + len(self._kept) <= (self._limit if limit is None else limit):
            return
        table = self._table()
        kept = table[_end(table) > to_ns]
        before, still = self._count(table, to_ns), self._count(kept, to_ns)
        self._settled = Totals(*(a + b - c for a, b, c in zip(self._settled, before, still, strict=True)))
        self._store(kept)

    def cut(self, serials: frozenset[int], now_ns: int, spare_row: int = -1) -> None:
        """End the trains of these serials at `now_ns`, but those of `spare_row`.

        A packet that is cut counts in time, not in frames and bytes.
        """
        self.settle(now_ns, limit=-1)
        table = self._table()
        hit = np.isin(table[:, 6], np.fromiter(serials, np.int64)) & (table[:, 0] != spare_row)
        ended = table[hit & (table[:, 1] < now_ns)]
        whole, part_ns = _progress(ended, now_ns)
        full, part = ended.copy(), ended.copy()
        full[:, 4] = whole
        part[:, 1] += whole * part[:, 2]
        part[:, 2] = part[:, 3] = part_ns
        part[:, 4], part[:, 5] = 1, 0
        self._store(np.concatenate([table[~hit], full[whole > 0], part[part_ns > 0]]))

    def _table(self) -> Int64s:
        if self._new:
            values = np.fromiter(chain.from_iterable(self._new), np.int64, len(self._new) * self._kept.shape[1])
            self._kept = np.concatenate([self._kept, values.reshape(-1, self._kept.shape[1])])
            self._new.clear()
        return self._kept

    def _store(self, table: Int64s) -> None:
        self._kept = table
        # Twice, so that a look at all trains is paid for by as many new ones.
        self._limit = max(_SETTLE_AT, 2 * len(table))

    def _count(self, table: Int64s, at_ns: int) -> Totals:
        table = table[table[:, 1] <= at_ns]
        whole, part_ns = _progress(table, at_ns)
        row, width = table[:, 0], table[:, 3]
        frames, frame_bytes, busy = np.zeros((3, self._rows), np.int64)
        np.add.at(frames, row, np.where(table[:, 5] > 0, whole, 0))
        np.add.at(frame_bytes, row, whole * table[:, 5])
        np.add.at(busy, row, whole * width + part_ns)
        for shared in _overlapping(table, at_ns):
            busy[shared] = _union_ns(table[row == shared], at_ns)
        return Totals(busy, frames, frame_bytes)


def _end(table: Int64s) -> Int64s:
    return np.asarray(table[:, 1] + (table[:, 4] - 1) * table[:, 2] + table[:, 3])


def _progress(table: Int64s, at_ns: int) -> tuple[Int64s, Int64s]:
    """Return whole packets, and nanoseconds of the packet in progress, of each train at `at_ns`."""
    start, stride, width, count = table[:, 1:5].T
    whole = np.clip((at_ns - start - width) // stride + 1, 0, count)
    part_ns = np.where(whole < count, np.clip(at_ns - start - whole * stride, 0, width), 0)
    return whole, part_ns


def _overlapping(table: Int64s, at_ns: int) -> list[int]:
    """Return the rows where the hulls of two trains overlap before `at_ns`."""
    order = np.lexsort((table[:, 1], table[:, 0]))
    row, start = table[order, 0], table[order, 1]
    hull_end = np.minimum(_end(table)[order], at_ns)
    hit = (row[1:] == row[:-1]) & (start[1:] < hull_end[:-1])
    return [int(r) for r in np.unique(row[1:][hit])]


def _union_ns(table: Int64s, at_ns: int) -> int:
    """Return the length of the union of all packets of one row before `at_ns`."""
    alone_ns = 0
    if table[:, 4].sum() > _EXPANDED:
        table, alone_ns = _near_others(table, at_ns)
    return alone_ns + _expanded_ns(table, at_ns)


def _near_others(table: Int64s, at_ns: int) -> tuple[Int64s, int]:
    """Return the trains without the packets that no other train can overlap with, and the time of those packets."""
    begin, end, alone_ns, kept = table[:, 1], _end(table), 0, list[Int64s]()
    for i, train in enumerate(table):
        others = (begin < end[i]) & (end > begin[i])
        others[i] = False
        start, stride, width, count = train[1:5].tolist()
        first = last = 0
        if others.any():
            low, high = int(begin[others].min()), int(end[others].max())
            first = min(max((low - start - width) // stride + 1, 0), count)
            last = max(min(-((start - high) // stride), count), first)
        parts = np.repeat(train[None], 3, axis=0)
        parts[:, 1] += np.array([0, first, last]) * stride
        parts[:, 4] = first, last - first, count - last
        whole, part_ns = _progress(parts[::2], at_ns)
        alone_ns += int((whole * width + part_ns)[parts[::2, 4] > 0].sum())
        kept.append(parts[1:2] if last > first else parts[:0])
    return np.concatenate(kept), alone_ns


def _expanded_ns(table: Int64s, at_ns: int) -> int:
    """Return the length of the union of all packets, one by one."""
    solid = (table[:, 2] == table[:, 3]) | (table[:, 4] == 1)
    gapped = table[~solid]
    which = np.repeat(np.arange(len(gapped)), gapped[:, 4])
    first = np.cumsum(gapped[:, 4]) - gapped[:, 4]
    begin = gapped[which, 1] + (np.arange(which.size) - first[which]) * gapped[which, 2]
    begin, end = (
        np.concatenate([table[solid, 1], begin]),
        np.concatenate([_end(table)[solid], begin + gapped[which, 3]]),
    )
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.minimum(end[order], at_ns)
    covered = np.concatenate([begin[:1], np.maximum.accumulate(end)[:-1]])
    return int(np.maximum(end - np.maximum(begin, covered), 0).sum())
