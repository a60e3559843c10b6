"""`PortQueue` compiled: the same nanoseconds as `channels._port.HeapQueue`, packet by packet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numba
import numpy as np

from channels._port import Done, Stream

_ARRIVAL, _SRC, _SERIAL, _LEFT, _GAP, _SERVICE = range(6)


def _is_before(table: Any, a: int, b: int) -> bool:
    if table[_ARRIVAL, a] != table[_ARRIVAL, b]:
        return bool(table[_ARRIVAL, a] < table[_ARRIVAL, b])
    if table[_SRC, a] != table[_SRC, b]:
        return bool(table[_SRC, a] < table[_SRC, b])
    return bool(table[_SERIAL, a] < table[_SERIAL, b])


_before: Callable[..., bool] = numba.njit(inline="always")(_is_before)


def _sift_down(table: Any, heap: Any, size: int, slot: int) -> None:
    """Put `slot` at the root's place of a heap of `size` whose root is free."""
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and _before(table, heap[child + 1], heap[child]):
            child += 1
        if not _before(table, heap[child], slot):
            break
        heap[i] = heap[child]
        i = child
    heap[i] = slot


_down: Callable[..., None] = numba.njit(inline="always")(_sift_down)


def _process(
    table: Any, heap: Any, state: Any, stride_ns: int, service_ns: int, limit_ns: int, done_ns: Any, done: Any
) -> int:
    """Serve packets in order of arrival until `limit_ns` or until `done` is full; how many messages are done."""
    size, free_ns, work_ns, reach_ns, packets = state[0], state[1], state[2], state[3], state[4]
    found = 0
    while size > 0 and found < done.size:
        slot = heap[0]
        arrival_ns = table[_ARRIVAL, slot]
        if arrival_ns > limit_ns:
            break
        left = table[_LEFT, slot] - 1
        spent_ns = service_ns if left else table[_SERVICE, slot]
        free_ns = max(free_ns, arrival_ns) + spent_ns
        work_ns += spent_ns
        reach_ns = arrival_ns
        packets -= 1
        if left:
            table[_LEFT, slot] = left
            table[_ARRIVAL, slot] = arrival_ns + (stride_ns if left > 1 else table[_GAP, slot])
        else:
            done_ns[found], done[found] = free_ns, table[_SERIAL, slot]
            found += 1
            size -= 1
            slot = heap[size]
        if size:
            _down(table, heap, size, slot)
    state[0], state[1], state[2], state[3], state[4] = size, free_ns, work_ns, reach_ns, packets
    return found


_run: Callable[..., int] = numba.njit(cache=True)(_process)


class CompiledQueue:
    """`PortQueue` for many packets; see `channels._port.HeapQueue`.

    Columns of `_table` are slots, one a message; the first `_count` of `_heap` are those under way.
    """

    def __init__(self, stride_ns: int, service_ns: int) -> None:
        self._stride_ns, self._service_ns = stride_ns, service_ns
        self._table = np.empty((6, 64), np.int64)
        self._heap = np.empty(64, np.int64)
        self._slots = self._count = 0
        self.free_ns = self.work_ns = self.left = 0
        self.reach_ns = -1

    def push(self, stream: Stream) -> None:
        if self._slots == self._heap.size:
            self._make_room()
        slot, self._slots = self._slots, self._slots + 1
        self._table[:, slot] = stream
        self.left += stream.left
        i, self._count = self._count, self._count + 1
        while i and _is_before(self._table, slot, self._heap[(i - 1) // 2]):
            self._heap[i] = self._heap[(i - 1) // 2]
            i = (i - 1) // 2
        self._heap[i] = slot

    def run(self, limit_ns: int, most: int) -> list[Done]:
        most = min(most, self._count)
        done_ns, done = np.empty((2, most), np.int64)
        state = np.array((self._count, self.free_ns, self.work_ns, self.reach_ns, self.left), np.int64)
        found = _run(self._table, self._heap, state, self._stride_ns, self._service_ns, limit_ns, done_ns, done)
        self._count, self.free_ns, self.work_ns, self.reach_ns, self.left = state.tolist()
        return [Done(*pair) for pair in zip(done_ns[:found].tolist(), done[:found].tolist(), strict=True)]

    def streams(self) -> list[Stream]:
        return [Stream(*row) for row in self._table[:, self._heap[: self._count]].T.tolist()]

    def copy(self) -> Self:
        new = type(self)(self._stride_ns, self._service_ns)
        new._table, new._heap = self._table.copy(), self._heap.copy()
        new._slots, new._count = self._slots, self._count
        new.free_ns, new.work_ns, new.reach_ns, new.left = self.free_ns, self.work_ns, self.reach_ns, self.left
        return new

    def _make_room(self) -> None:
        """Close the gaps that finished messages left, in a table of twice what is needed."""
        size, live = max(64, 2 * self._count), self._heap[: self._count]
        table, heap = np.empty((6, size), np.int64), np.empty(size, np.int64)
        table[:, : self._count] = self._table[:, live]
        heap[: self._count] = np.arange(self._count)
        self._table, self._heap, self._slots = table, heap, self._count
