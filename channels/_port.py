"""The server's shared port: packets of many senders through one FIFO queue, message-level events outside."""

from __future__ import annotations

import heapq
from collections import deque
from typing import NamedTuple, Protocol, Self

FOREVER_NS = 1 << 62
_COMPILE_AT = 100_000
_MOST_AHEAD = 4096


class Stream(NamedTuple):
    """The packets of one message on their way to the port.

    Parameters
    ----------
    arrival_ns
        When its next packet is at the port, whole.
    src, serial
        At equal arrivals the smaller sender, then the smaller serial number goes first.
    left
        Packets to come, the last one included.
    last_gap_ns, last_service_ns
        From the last full packet's arrival to the last one's, and what the last one takes on the port.
    """

    arrival_ns: int
    src: int
    serial: int
    left: int
    last_gap_ns: int
    last_service_ns: int


class Done(NamedTuple):
    """A message whose last packet left the port."""

    at_ns: int
    serial: int


class PortQueue(Protocol):
    """Lindley's recursion over merged streams: dep_i = max(arr_i, dep_{i-1}) + s_i in order of arrival.

    `free_ns` is when the last processed packet leaves, `work_ns` the service of all processed ones, `reach_ns` the
    arrival of the last one, `left` the packets to come.
    """

    free_ns: int
    work_ns: int
    reach_ns: int
    left: int

    def push(self, stream: Stream) -> None:
        """Add a message; none of its packets arrives before `reach_ns`."""

    def run(self, limit_ns: int, most: int) -> list[Done]:
        """Process packets that arrive up to `limit_ns`, until `most` messages are done; in order of time."""

    def streams(self) -> list[Stream]:
        """What is left to process."""

    def copy(self) -> Self: ...


class HeapQueue:
    """`PortQueue` in plain Python; packets of a sender that is alone are one step.

    Parameters
    ----------
    stride_ns, service_ns
        Between full packets of one sender, and on the port; each >= 1.
    """

    def __init__(self, stride_ns: int, service_ns: int) -> None:
        self._stride_ns, self._service_ns = stride_ns, service_ns
        self._heap: list[Stream] = []
        self._steps = 0
        self.free_ns = self.work_ns = self.left = 0
        self.reach_ns = -1

    def effort(self) -> int:
        """Steps that were taken, and that the queued packets may take."""
        return self._steps + (self.left if len(self._heap) > 1 else 0)

    def push(self, stream: Stream) -> None:
        heapq.heappush(self._heap, stream)
        self.left += stream.left

    def run(self, limit_ns: int, most: int) -> list[Done]:
        heap, done = self._heap, list[Done]()
        while heap and heap[0].arrival_ns <= limit_ns and len(done) < most:
            head = heap[0]
            self._steps += 1
            if head.left == 1:
                heapq.heappop(heap)
                self._serve(head.arrival_ns, 1, head.last_service_ns)
                done.append(Done(self.free_ns, head.serial))
                continue
            full = min(head.left - 1, self._alone(head, limit_ns))
            self._serve(head.arrival_ns, full, self._service_ns)
            left = head.left - full
            arrival_ns = head.arrival_ns + full * self._stride_ns
            if left == 1:
                arrival_ns += head.last_gap_ns - self._stride_ns
            heapq.heapreplace(heap, head._replace(arrival_ns=arrival_ns, left=left))
        return done

    def streams(self) -> list[Stream]:
        return list(self._heap)

    def copy(self) -> Self:
        new = type(self)(self._stride_ns, self._service_ns)
        new._heap, new._steps = self._heap.copy(), self._steps
        new.free_ns, new.work_ns, new.reach_ns, new.left = self.free_ns, self.work_ns, self.reach_ns, self.left
        return new

    def _alone(self, head: Stream, limit_ns: int) -> int:
        """Full packets of `head` that arrive before any other stream's packet and by `limit_ns`; at least one."""
        if len(self._heap) > 1:
            second = min(self._heap[1:3])
            before = second[1:3] > head[1:3]
            limit_ns = min(limit_ns, second.arrival_ns if before else second.arrival_ns - 1)
        return max((limit_ns - head.arrival_ns) // self._stride_ns + 1, 1)

    def _serve(self, arrival_ns: int, packets: int, service_ns: int) -> None:
        last_ns = arrival_ns + (packets - 1) * self._stride_ns
        work_ns = packets * service_ns
        self.free_ns = max(self.free_ns + work_ns, arrival_ns + work_ns, last_ns + service_ns)
        self.work_ns += work_ns
        self.reach_ns = last_ns
        self.left -= packets


class SharedPort:
    """One FIFO port that many senders' packets meet, driven by messages.

    It looks ahead: packets are processed beyond the present until the next message is done, on a copy of the queue.
    A message whose packets arrive behind the last processed one leaves that valid; any other one makes it
    start again from the present. A later message can only delay others, so `next_ns` is a lower bound.

    Parameters
    ----------
    stride_ns, service_ns
        A full packet's time on a sender's wire and on the port; each >= 1.
    """

    def __init__(self, stride_ns: int, service_ns: int) -> None:
        self._now: PortQueue = HeapQueue(stride_ns, service_ns)
        self._ahead: PortQueue | None = None
        self._done: deque[Done] = deque()
        self._emitted_ns = -1
        self._most = 1
        self._compile = False
        self._stride_ns, self._service_ns = stride_ns, service_ns

    def push(self, now_ns: int, stream: Stream) -> None:
        """A message comes whose packets arrive after `now_ns`."""
        if self._ahead is not None and stream.arrival_ns > self._ahead.reach_ns:
            self._ahead.push(stream)
        else:
            self._rewind(now_ns)
        self._now.push(stream)
        if isinstance(self._now, HeapQueue) and self._now.effort() > _COMPILE_AT:
            self._rewind(now_ns)
            self._compile = True
            self._now = self._refill(self._now.streams())

    def next_ns(self) -> int | None:
        """When the next message leaves, if nothing comes between; None where nothing is under way."""
        if not self._done:
            self._look_ahead()
        return self._done[0].at_ns if self._done else None

    def advance(self, to_ns: int) -> list[Done]:
        """Messages that leave up to and at `to_ns`."""
        out = list[Done]()
        while (next_ns := self.next_ns()) is not None and next_ns <= to_ns:
            out.append(self._done.popleft())
        self._emitted_ns = max(self._emitted_ns, to_ns)
        return out

    def busy_ns(self, at_ns: int) -> int:
        """How long the port was sending up to `at_ns`, not before the last `advance`."""
        queue = self._now.copy()
        while queue.run(at_ns, _MOST_AHEAD):
            pass
        # Whoever has arrived by then keeps the port busy until `free_ns`.
        return queue.work_ns - max(0, queue.free_ns - at_ns)

    def drop(self, now_ns: int, serials: frozenset[int]) -> None:
        """Forget messages; their packets that have reached the port still pass it."""
        self._rewind(now_ns)
        self._done = deque(d for d in self._done if d.serial not in serials)
        self._now = self._refill([s for s in self._now.streams() if s.serial not in serials])

    def clear(self, now_ns: int) -> None:
        """Forget everything; the packet on the port is cut."""
        self._rewind(now_ns)
        self._done.clear()
        self._now.work_ns -= max(0, self._now.free_ns - now_ns)
        self._now.free_ns = min(self._now.free_ns, now_ns)
        self._now = self._refill([])

    def _look_ahead(self) -> None:
        if self._ahead is not None:
            self._now = self._ahead
            self._most = min(2 * self._most, _MOST_AHEAD)
            self._ahead = None
        if self._now.left:
            self._ahead = self._now.copy()
            self._done.extend(self._ahead.run(FOREVER_NS, self._most))

    def _rewind(self, now_ns: int) -> None:
        """Take back what was looked at beyond `now_ns`."""
        if self._ahead is not None:
            self._ahead = None
            self._done.clear()
        while done := self._now.run(now_ns, _MOST_AHEAD):
            self._done.extend(d for d in done if d.at_ns > self._emitted_ns)
        self._most = 1

    def _refill(self, streams: list[Stream]) -> PortQueue:
        queue: PortQueue
        if self._compile:
            from channels._port_nb import CompiledQueue

            queue = CompiledQueue(self._stride_ns, self._service_ns)
        else:
            queue = HeapQueue(self._stride_ns, self._service_ns)
        for stream in sorted(streams):
            queue.push(stream)
        old = self._now
        queue.free_ns, queue.work_ns, queue.reach_ns = old.free_ns, old.work_ns, old.reach_ns
        return queue
