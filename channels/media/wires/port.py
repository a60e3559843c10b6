"""The server's shared port: packets of many senders through one FIFO queue, message-level events outside."""

from __future__ import annotations

import sys
from collections import deque
from typing import Any, NamedTuple, Self

import numpy as np

from channels.media.wires import port_loop

FOREVER_NS = 1 << 62
# Steps in Python after which loading the kernel pays, and using it once it is loaded.
_KERNEL, _LOAD_AT, _USE_AT = "channels.media.wires.port_kernel", 30_000, 500
_FIRST_BUDGET, _LAST_BUDGET = 512, 1 << 20
_SERIAL_BITS = 40
_SERIAL_MASK = (1 << _SERIAL_BITS) - 1


class Stream(NamedTuple):
    """The packets of one message on their way to the port.

    Parameters
    ----------
    arrival_ns
        When its first packet is at the port, whole.
    src, serial
        At equal arrivals the smaller sender, then the smaller serial number goes first.
    packets
        The last one included.
    last_gap_ns, last_service_ns
        From the last full packet's arrival to the last one's, and what the last one takes on the port.
    """

    arrival_ns: int
    src: int
    serial: int
    packets: int
    last_gap_ns: int
    last_service_ns: int


class Done(NamedTuple):
    """A message whose last packet left the port."""

    at_ns: int
    serial: int


class PortQueue:
    """Lindley's recursion over merged streams: dep_i = max(arr_i, dep_{i-1}) + s_i in order of arrival.

    A table and a state of lists with a loop in Python, which become arrays with the same loop compiled where that pays.

    Parameters
    ----------
    stride_ns, service_ns
        A full packet's time on a sender's wire and on the port; each >= 1.

    Attributes
    ----------
    free_ns, work_ns
        When the last processed packet leaves, and the service of all processed ones.
    reach_ns
        Arrival of the last processed packet.
    steps
        Of the loop so far, which decide whether compiling it pays.
    """

    def __init__(self, stride_ns: int, service_ns: int) -> None:
        self._stride_ns, self._service_ns = stride_ns, service_ns
        # See `_port_steps.process`.
        self._table: Any = [[] for _ in range(7)]
        self._state: Any = [0, 0, -1, 0, 0, 0, 0, 0, 0, 0]
        self._slots = self._live = self.steps = 0
        self._fresh: list[tuple[int, int, int, int, int]] = []
        self._loop: Any = port_loop.process
        self.free_ns = self.work_ns = 0
        self.reach_ns = -1

    def __bool__(self) -> bool:
        """Return whether packets are to come."""
        return self._live > 0

    def push(self, stream: Stream) -> None:
        """Add a message; none of its packets arrives before `reach_ns`."""
        arrival_ns, src, serial, packets, gap_ns, last_ns = stream
        self._fresh.append((arrival_ns, src << _SERIAL_BITS | serial, packets, gap_ns, last_ns))
        self._live += 1

    def run(self, limit_ns: int, budget: int = FOREVER_NS) -> list[Done]:
        """Process packets that arrive up to `limit_ns`, in about `budget` steps; messages that end, in order."""
        if self._live == 1 and self._fresh and (alone := self._run_alone(limit_ns)):
            return [alone]
        if self._fresh:
            self._take_in()
        out = list[Done]()
        while isinstance(self._table, list):
            few = min(budget, self._pays_at() - self.steps)
            if few > 0:
                before = self.steps
                out += self._call(limit_ns, few)
                budget -= self.steps - before
                if self.steps - before < few or budget <= 0:
                    return out
            self._compile()
        return out + self._call(limit_ns, budget)

    def _run_alone(self, limit_ns: int) -> Done | None:
        """Return the end of the only message if all its packets are still to come and do so by `limit_ns`; else None.

        Of m full packets from a on, the last one leaves at m s + max(free, a + max(0, (m - 1)(stride - s))).
        """
        arrival_ns, rank, packets, gap_ns, last_ns = self._fresh[0]
        full, free_ns, reach_ns = packets - 1, self.free_ns, arrival_ns
        if full:
            reach_ns += (full - 1) * self._stride_ns + gap_ns
            spread_ns = (full - 1) * (self._stride_ns - self._service_ns)
            free_ns = full * self._service_ns + max(free_ns, arrival_ns + max(0, spread_ns))
        if reach_ns > limit_ns:
            return None
        self.free_ns = max(free_ns, reach_ns) + last_ns
        self.work_ns += full * self._service_ns + last_ns
        self.reach_ns = reach_ns
        self._state[:3] = self.free_ns, self.work_ns, reach_ns
        self._fresh.clear()
        self._live = 0
        return Done(self.free_ns, rank & _SERIAL_MASK)

    def _call(self, limit_ns: int, budget: int) -> list[Done]:
        is_list = isinstance(self._table, list)
        done: Any = [[0] * self._live, [0] * self._live] if is_list else np.empty((2, self._live), np.int64)
        found = self._loop(self._table, self._state, self._stride_ns, self._service_ns, limit_ns, budget, done)
        state = self._state if is_list else self._state.tolist()
        self.free_ns, self.work_ns, self.reach_ns = state[:3]
        self.steps += state[7]
        self._live -= found
        ended = done if is_list else done[:, :found].tolist()
        return [Done(ended[0][i], ended[1][i] & _SERIAL_MASK) for i in range(found)]

    def copy(self) -> Self:
        """Return an independent copy."""
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        is_list = isinstance(self._table, list)
        new._table = [row.copy() for row in self._table] if is_list else self._table.copy()
        new._state, new._fresh = self._state.copy(), self._fresh.copy()
        return new

    def drop(self, serials: frozenset[int]) -> None:
        """Forget messages, after a `run` up to the present."""
        kept = [self._row(slot) for slot in self._under_way()]
        kept = [row for row in kept + self._fresh if row[1] & _SERIAL_MASK not in serials]
        self._live, self._fresh = len(kept), kept
        self._slots = 0
        for i in (3, 4, 5, 6, 8, 9):
            self._state[i] = 0

    def busy_ns(self, at_ns: int) -> int:
        """Return how long the port was sending up to `at_ns`, up to which it was run."""
        # The messages that have arrived by then keep the port busy until `free_ns`.
        return self.work_ns - max(0, self.free_ns - at_ns)

    def cut(self, now_ns: int) -> None:
        """Forget everything; the port is free from `now_ns` on."""
        self.drop(frozenset(row[1] & _SERIAL_MASK for row in map(self._row, self._under_way())))
        self._fresh.clear()
        self._live = 0
        self.work_ns -= max(0, self.free_ns - now_ns)
        self.free_ns = min(self.free_ns, now_ns)
        self._state[0], self._state[1] = self.free_ns, self.work_ns

    def _take_in(self) -> None:
        """Give the new messages slots; the loop puts them into its heap."""
        first, self._slots = self._slots, self._slots + len(self._fresh)
        if self._slots > len(self._table[0]):
            first = self._make_room(first)
        if isinstance(self._table, list):
            for row, values in zip(self._table, zip(*self._fresh, strict=True), strict=False):
                row[first : self._slots] = values
        else:
            self._table[:5, first : self._slots] = np.array(self._fresh, np.int64).T
        self._state[9] = self._slots
        self._fresh.clear()

    @staticmethod
    def _pays_at() -> int:
        """Return the number of steps in Python after which the compiled loop pays."""
        return _USE_AT if _KERNEL in sys.modules else _LOAD_AT

    def _compile(self) -> None:
        from channels.media.wires import port_kernel

        self._loop = port_kernel.process
        self._table, self._state = np.array(self._table, np.int64), np.array(self._state, np.int64)

    def _row(self, slot: int) -> tuple[int, int, int, int, int]:
        arrival_ns, rank, left, gap_ns, last_ns = (int(self._table[i][slot]) for i in range(5))
        return arrival_ns, rank, left, gap_ns, last_ns

    def _under_way(self) -> list[int]:
        size, head, count = (int(x) for x in self._state[4:7])
        heap, ring = self._table[5], self._table[6]
        return [int(slot) for slot in heap[:size]] + [int(ring[(head + i) % len(ring)]) for i in range(count)]

    def _make_room(self, used: int) -> int:
        """Close the gaps that ended messages left, in a table of twice what is needed; the first free slot."""
        live, size = self._under_way(), int(self._state[4])
        count, width = len(live), max(64, 2 * self._live)
        order = list(range(size)), list(range(size, count))
        rows = [[row[slot] for slot in live] for row in self._table[:5]] + [order[0], order[1]]
        if isinstance(self._table, list):
            self._table = [row + [0] * (width - len(row)) for row in rows]
        else:
            self._table = np.zeros((7, width), np.int64)
            for row, values in zip(self._table, rows, strict=True):
                row[: len(values)] = values
        self._state[5], self._state[8] = 0, count
        self._slots += count - used
        return count


class SharedPort:
    """One FIFO port that many senders' packets meet, driven by messages.

    It looks ahead: packets are processed beyond the present, on a copy of the queue, until a message ends or a budget
    of steps is spent. A message whose packets arrive behind the last processed one leaves that valid; any other one
    makes it start again from the present. A later message can only delay others, so `next_ns` is a lower bound.

    Parameters
    ----------
    queue
        An empty one.
    """

    def __init__(self, queue: PortQueue) -> None:
        self._now = queue
        self._ahead: PortQueue | None = None
        self._done: deque[Done] = deque()
        self._emitted_ns = -1
        self._budget = _FIRST_BUDGET
        # Whether a message came since the last look ahead.
        self._is_new = False

    def catch_up(self, now_ns: int) -> None:
        """Serve messages of others, which are not announced, up to `now_ns` where no message of a node is under way."""
        self._go_on(now_ns)
        if self._ahead is None and not self._now:
            self._now.run(now_ns)

    def push(self, now_ns: int, stream: Stream) -> None:
        """Add a message whose packets arrive after `now_ns`."""
        self._is_new = True
        if self._ahead is None:
            self._budget = _FIRST_BUDGET
        elif stream.arrival_ns > self._ahead.reach_ns:
            self._ahead.push(stream)
        else:
            self._rewind(now_ns)
        self._now.push(stream)

    def next_ns(self) -> int | None:
        """Return a time before which no message leaves unless another one comes; None where nothing is under way."""
        if not self._done and (self._is_new or self._ahead is None):
            self._look_ahead(self._emitted_ns)
        if self._done:
            return self._done[0].at_ns
        # The packets to come leave after the last one that was looked at.
        return self._ahead.free_ns + 1 if self._ahead else None

    def advance(self, to_ns: int) -> list[Done]:
        """Return the messages that leave up to and at `to_ns`."""
        out = list[Done]()
        if self._ahead is None and self._now and self._now.free_ns < to_ns:
            # There is no look-ahead, so the present itself advances; later messages leave later.
            self._done.extend(self._now.run(to_ns))
        done = self._done
        while True:
            while done and done[0].at_ns <= to_ns:
                out.append(done.popleft())
            if done or self._ahead is None:
                break
            if not self._ahead:
                self._go_on(to_ns)
                break
            if self._ahead.free_ns >= to_ns:
                break
            self._look_ahead(to_ns)
        self._emitted_ns = max(self._emitted_ns, to_ns)
        return out

    def busy_ns(self, at_ns: int) -> int:
        """Return how long the port was sending up to `at_ns`, not before the last `advance`."""
        if not self._now:
            return self._now.busy_ns(at_ns)
        queue = self._now.copy()
        queue.run(at_ns)
        return queue.busy_ns(at_ns)

    def drop(self, now_ns: int, serials: frozenset[int]) -> None:
        """Forget messages; their packets that have reached the port still pass it."""
        self._rewind(now_ns)
        self._done = deque(d for d in self._done if d.serial not in serials)
        self._now.drop(serials)

    def cut(self, now_ns: int) -> None:
        """Forget everything; the packet on the port is cut."""
        self._rewind(now_ns)
        self._done.clear()
        self._now.cut(now_ns)

    def _look_ahead(self, now_ns: int) -> None:
        if self._ahead is not None:
            self._budget = min(2 * self._budget, _LAST_BUDGET)
            self._go_on(now_ns)
        if self._ahead is None and self._now:
            self._ahead = self._now.copy()
        if self._ahead is not None:
            self._done.extend(self._ahead.run(FOREVER_NS, self._budget))
        self._is_new = False

    def _go_on(self, now_ns: int) -> None:
        """Make the look-ahead the present once all messages that it served have arrived."""
        if self._ahead is not None and self._ahead.reach_ns <= now_ns:
            self._now, self._ahead = self._ahead, None

    def _rewind(self, now_ns: int) -> None:
        """Take back what was looked at beyond `now_ns`."""
        if self._ahead is not None:
            self._now.steps = self._ahead.steps
            self._ahead = None
            self._done.clear()
        self._done.extend(d for d in self._now.run(now_ns) if d.at_ns > self._emitted_ns)
        self._budget = _FIRST_BUDGET
