"""Messages as flows over a wide area: the medium of `channels.links.wan`."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping
from copy import copy

import numpy as np

from channels.media.background import Arrivals
from channels.media.flows.cost import flow_cost
from channels.media.flows.fifo_port import FifoPort
from channels.media.flows.path import Path, Transport
from channels.media.flows.rates import LinkRate
from channels.media.flows.sharing import BIT_WORK, FS_PER_NS, Fluid, Resource, rate_units, to_ns
from channels.media.flows.tcp import FIRST_RTO_S, Window, first_lost
from channels.media.purposes import JITTER, LOSS
from channels.media.roster import Members, Roster
from channels.media.states import RX, TX
from netsim.interfaces import STATES, CostModel, Delivery, Frame, NodeId, TransferId, Usage
from netsim.rng import uniforms
from netsim.units import NS_PER_S, seconds_to_ns

_WORK_PER_BYTE = 8 * BIT_WORK


class _Message:
    """One copy of a message on its way to one destination."""

    __slots__ = (
        "again", "at_port", "begun_fs", "cap", "damaged", "draws", "dst", "frames", "path", "repeated", "repeats",
        "segments", "sending_ns", "sent", "serial", "size_bytes", "src", "start_fs", "tail", "timer",
        "transfer", "trip_fs", "waits_fs", "window",
    )  # fmt: skip

    def __init__(
        self, transfer: TransferId, serial: int, src: NodeId, dst: NodeId, size_bytes: int, segments: int, path: Path
    ) -> None:
        self.transfer, self.serial, self.src, self.dst, self.path = transfer, serial, src, dst, path
        self.size_bytes, self.segments = size_bytes, segments
        # Start of service (-1: not yet) and of the present burst (-1: none).
        self.start_fs = self.begun_fs = -1
        # Segments released, segments given to the frame sink, number of the valid timer.
        self.sent = self.frames = self.timer = 0
        self.sending_ns = 0
        # A burst leaves once this time has come and the burst before it is through.
        self.waits_fs = 0
        self.window, self.trip_fs = Window(), 0
        # How much longer than a round trip the present burst's successor waits; segments of it that are sent again,
        # those of all bursts and their work; draws so far.
        self.tail = self.again = self.repeats = self.repeated = self.draws = 0
        self.cap: int | None = None
        self.damaged = False
        # Whether the last bit of a burst has left the sender, and waits at the receiver's port.
        self.at_port = False


class Flows(Roster):
    """See `channels.links.wan` for the rules.

    A message has one copy per destination, in the order given; a frame is a segment.

    Parameters
    ----------
    path, link
        From one node to another, and the rate of a resource over time.
    transport
        Segments and windows.
    key
        64-bit key of the draws.
    jitter_ns, is_fifo, queue_bytes
        The link's `jitter_s`, whether its `sharing` is ``fifo``, and its `queue_bytes`.
    others
        Messages of others that arrive at a resource.
    """

    def __init__(
        self, members: Members, path: Callable[[NodeId, NodeId], Path], link: Callable[[Resource], LinkRate],
        transport: Transport, jitter_ns: int, key: int, is_fifo: bool = False, queue_bytes: int | None = None,
        others: Mapping[Resource, Arrivals] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(members, "out", "in")
        self._path, self._link, self._transport, self._key = path, link, transport, key
        self._jitter_ns = jitter_ns
        self._full_bytes = transport.segment_bytes + transport.overhead_bytes
        self._extra_w = self._power_w["tx"] - self._power_w["idle"]
        self._room = None if queue_bytes is None else queue_bytes * _WORK_PER_BYTE
        self._ports: dict[NodeId, FifoPort] | None = {} if is_fifo else None
        # Bursts that wait for their sender's link, the first one being on it; since when connections stand.
        self._queues: dict[NodeId, deque[_Message]] = {}
        self._connected: dict[tuple[NodeId, NodeId], int] = {}
        # Of each way of a connection that stays: its window, and when its last segment left.
        self._windows: dict[tuple[NodeId, NodeId], tuple[Window, int]] = {}
        self._fluid = Fluid(lambda resource, at_fs: link(resource).at(at_fs))
        # Others' messages have serials below 0.
        self._others = dict(others or {})
        self._arriving = [(a.at_ns * FS_PER_NS, i, resource) for i, (resource, a) in enumerate(self._others.items())]
        heapq.heapify(self._arriving)
        self._serials = self._strangers = 0
        self._ran_ns = -1
        self._messages: dict[int, _Message] = {}
        self._lanes: dict[object, deque[_Message]] = {}
        self._timers: list[tuple[int, int, int]] = []
        self._bounds: list[tuple[int, int]] = []
        # The last answer of `_next_ns`, valid until it is reached or a message begins or ends.
        self._bound_ns: int | None = None
        rows = len(self._interfaces)
        # Of each interface: flows that it has, since when, and nanoseconds so far with at least one.
        self._active, self._since_ns, self._busy_ns = [0] * rows, [0] * rows, [0] * rows
        self._tx_bytes, self._tx_frames = np.zeros((2, rows), np.int64)

    # --- messages in ---------------------------------------------------------------------------------

    def _take(self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> None:
        if now_ns > self._ran_ns:
            self._run(now_ns)
        self._bound_ns = None
        segments = -(-size_bytes // self._transport.segment_bytes)
        for node in self._reachable(now_ns, transfer, src, dst, size_bytes):
            path = self._path(src, node)
            message = _Message(transfer, self._serials, src, node, size_bytes, segments, path)
            self._serials += 1
            self._messages[message.serial] = message
            lane = self._lanes.setdefault(self._lane(message), deque())
            lane.append(message)
            if len(lane) == 1:
                self._start(message, now_ns * FS_PER_NS)

    def _lane(self, message: _Message) -> object:
        """Return the key of messages that go one after the other: of one connection, or on one FIFO link."""
        return (message.src, message.dst) if self._ports is None or self._transport.growth else message.src

    def _start(self, message: _Message, at_fs: int) -> None:
        message.start_fs, path, transport = at_fs, message.path, self._transport
        if not transport.growth:
            if transport.gamma_bit is not None and path.one_way_ns:
                message.cap = rate_units(transport.gamma_bit * NS_PER_S / (2 * path.one_way_ns))
            message.sent = message.segments
            work = self._work(message, 0, message.segments)
            # Bits that a full queue loses take no time at the port.
            peak = path.peak if self._room is None else self._link(path.resources[0]).peak
            self._bound(message, at_fs + work // min(peak, message.cap or peak))
            self._burst(message, at_fs, work, message.cap)
            return
        back = self._path(message.dst, message.src)
        rate = self._rate_now(path, at_fs)
        there_and_back_fs = transport.one_way_fs(path) + transport.one_way_fs(back)
        message.trip_fs = there_and_back_fs - -self._full_bytes * _WORK_PER_BYTE // rate
        message.waits_fs = at_fs
        if kept := self._windows.pop((message.src, message.dst), None):
            message.window, left_fs = kept
            message.window.rest((at_fs - left_fs) // (message.trip_fs + transport.min_rto_ns * FS_PER_NS))
        if transport.handshake != "none":
            header = transport.overhead_bytes * _WORK_PER_BYTE
            lasts_fs = there_and_back_fs - -header // rate - -header // self._rate_now(back, at_fs)
            message.waits_fs = self._connect(message, at_fs, lasts_fs)
        self._bound(message, self._lone_fs(message))
        if message.waits_fs > at_fs:
            self._arm(message, message.waits_fs)
        else:
            self._next_burst(message, at_fs)

    def _connect(self, message: _Message, at_fs: int, lasts_fs: int) -> int:
        """Return when the message's connection stands; one that stays is made by its ends' first message."""
        ends = min(message.src, message.dst), max(message.src, message.dst)
        stays = self._transport.handshake == "first"
        if stays and ends in self._connected:
            return max(at_fs, self._connected[ends])
        ready_fs, loss, wait_ns = at_fs + lasts_fs, self._transport.loss, seconds_to_ns(FIRST_RTO_S)
        while loss and self._draw(message) >= (1.0 - loss) ** 2:
            ready_fs, wait_ns = ready_fs + wait_ns * FS_PER_NS, 2 * wait_ns
        if stays:
            self._connected[ends] = ready_fs
        return ready_fs

    def _rate_now(self, path: Path, at_fs: int) -> int:
        """Return the rate of the path alone; its highest rate while one of its links stands still."""
        return min(self._link(resource).at(at_fs)[0] for resource in path.resources) or path.peak

    def _work(self, message: _Message, first: int, last: int) -> int:
        """Return the work of the segments first .. last - 1."""
        segment, overhead = self._transport.segment_bytes, self._transport.overhead_bytes
        end_bytes = min(message.size_bytes, last * segment) + last * overhead
        return (end_bytes - first * (segment + overhead)) * _WORK_PER_BYTE

    # --- windows ---------------------------------------------------------------------------------------

    def _next_burst(self, message: _Message, at_fs: int) -> None:
        if self._ports is None:
            self._release_burst(message, at_fs)
            return
        queue = self._queues.setdefault(message.src, deque())
        queue.append(message)
        if len(queue) == 1:
            self._release_burst(message, at_fs)

    def _release_burst(self, message: _Message, at_fs: int) -> None:
        """Send the next window; draw whether a segment of it is lost, and how its sender finds out.

        Where nothing is lost and flows share fairly, a window that fills the path even alone lets all go that is left.
        """
        before, window, transport = message.sent, message.window, self._transport
        is_last = self._ports is None and self._fills(message, window.segments)
        message.sent = message.segments if is_last else min(before + window.segments, message.segments)
        message.timer += 1
        count, message.tail, message.again = message.sent - before, 0, 0
        lost = first_lost(self._draw(message), transport.loss) if transport.loss else count
        if lost < count:
            message.again = 1
            if window.lose(transport.congestion, count, lost, message.segments - message.sent):
                timeout_fs = message.trip_fs + transport.min_rto_ns * FS_PER_NS
                message.tail = timeout_fs * window.patience + (message.trip_fs if lost else 0)
        elif not self._fills(message, count):
            window.grow(transport.congestion, count)
        waits_fs = at_fs + message.trip_fs
        if self._ports is not None:
            port = self._port(self._ports, message.path.resources[-1])
            waits_fs += port.wait_fs(at_fs)
        message.waits_fs = waits_fs
        if self._ports is None and (message.sent < message.segments or message.again):
            self._arm(message, message.waits_fs)
        self._burst(message, at_fs, self._work(message, before, message.sent), None)

    def _fills(self, message: _Message, count: int) -> bool:
        """Return whether a window need not grow, as nothing is lost and it fills the path already."""
        work = count * self._full_bytes * _WORK_PER_BYTE
        return not self._transport.loss and work >= message.trip_fs * message.path.peak

    def _lone_fs(self, message: _Message) -> int:
        """Return when the last bit leaves if the path is free, at its best and loses nothing; that is the soonest."""
        at_fs, sent, window, peak = message.waits_fs, 0, message.window, message.path.peak
        while True:
            count = window.segments
            rest_fs = self._work(message, sent, message.segments) // peak
            if sent + count >= message.segments or count * self._full_bytes * _WORK_PER_BYTE >= message.trip_fs * peak:
                return at_fs + rest_fs
            if not sent:
                window = copy(window)
            at_fs, sent = at_fs + message.trip_fs, sent + count
            window.grow(self._transport.congestion, count)

    def _arm(self, message: _Message, at_fs: int) -> None:
        heapq.heappush(self._timers, (at_fs, message.serial, message.timer))

    def _bound(self, message: _Message, leaves_fs: int) -> None:
        heapq.heappush(self._bounds, (to_ns(leaves_fs + self._transport.one_way_fs(message.path)), message.serial))

    # --- bursts ------------------------------------------------------------------------------------------

    def _burst(self, message: _Message, at_fs: int, work: int, cap: int | None) -> None:
        message.begun_fs = at_fs
        row_out, row_in = self._row[message.src], self._row[message.dst] + 1
        self._occupy(row_out, at_fs)
        self._occupy(row_in, at_fs)
        if self._ports is None:
            self._fluid.add(at_fs, message.serial, message.path.resources, work, cap, message.path.weight)
            return
        out, into = message.path.resources
        self._fluid.add(at_fs, message.serial, (out,), work)
        self._port(self._ports, into).begin(at_fs, message.serial, self._link(out).peak)

    def _port(self, ports: dict[NodeId, FifoPort], resource: Resource) -> FifoPort:
        node = resource[1]
        if node not in ports:
            ports[node] = FifoPort(self._link(resource).peak, self._room)
        return ports[node]

    def _arrival(self, at_fs: int, port: int, resource: Resource) -> None:
        """Add a message of others to a resource."""
        arrivals = self._others[resource]
        work = arrivals.size_bytes * _WORK_PER_BYTE
        if self._ports is None:
            self._strangers -= 1
            self._fluid.add(at_fs, self._strangers, (resource,), work)
        else:
            self._port(self._ports, resource).jump(at_fs, work)
        arrivals.next()
        heapq.heapreplace(self._arriving, (arrivals.at_ns * FS_PER_NS, port, resource))

    def _drained(self, message: _Message, at_fs: int) -> None:
        """End a burst that has left its sender."""
        self._stop_sending(message, at_fs)
        if message.again:
            message.sent -= message.again
            message.frames -= message.again
            message.repeats += message.again
            message.repeated += self._work(message, message.sent, message.sent + message.again)
            message.again = 0
            message.waits_fs = max(message.waits_fs, at_fs + message.tail)
            if self._ports is None and message.tail:
                message.timer += 1
                self._arm(message, message.waits_fs)
        is_last = message.sent == message.segments
        if is_last:
            if self._transport.handshake != "every":
                self._windows[message.src, message.dst] = message.window, at_fs
            self._leave_lane(message, at_fs)
            row = self._row[message.src]
            self._tx_bytes[row] += self._wire_bytes(message, message.segments)
            self._tx_frames[row] += message.segments + message.repeats
        if self._ports is not None:
            leaves_fs, is_whole = self._ports[message.dst].end(at_fs, message.serial)
            message.damaged = not is_whole
            message.timer += 1
            message.at_port = True
            self._arm(message, leaves_fs)
            if queue := self._queues.get(message.src):
                queue.popleft()
                if queue:
                    self._release_burst(queue[0], at_fs)
        elif is_last:
            self._arrive(message, at_fs)
        else:
            self._release(self._row[message.dst] + 1, at_fs)
            if at_fs >= message.waits_fs:
                self._release_burst(message, at_fs)

    def _wire_bytes(self, message: _Message, segments: int) -> int:
        """Return the bytes of so many segments, and of those that were sent again."""
        return (self._work(message, 0, segments) + message.repeated) // _WORK_PER_BYTE

    def _stop_sending(self, message: _Message, at_fs: int) -> None:
        message.sending_ns += max(0, to_ns(at_fs) - to_ns(message.begun_fs))
        message.begun_fs = -1
        self._release(self._row[message.src], at_fs)

    def _leave_lane(self, message: _Message, at_fs: int) -> None:
        key = self._lane(message)
        lane = self._lanes[key]
        lane.popleft()
        if lane:
            self._start(lane[0], at_fs)
        else:
            del self._lanes[key]

    def _fire(self, message: _Message, at_fs: int) -> None:
        """Go on with a message whose timer ends: its burst's last bit leaves the port, or it may send on."""
        if message.at_port and message.sent == message.segments:
            self._arrive(message, at_fs)
        elif message.at_port:
            message.at_port = False
            self._release(self._row[message.dst] + 1, at_fs)
            message.timer += 1
            self._arm(message, max(at_fs, message.waits_fs))
        elif message.begun_fs < 0:
            self._next_burst(message, at_fs)

    def _arrive(self, message: _Message, at_fs: int) -> None:
        self._release(self._row[message.dst] + 1, at_fs)
        del self._messages[message.serial]
        at_ns, counter = to_ns(at_fs + self._transport.one_way_fs(message.path)), message.transfer
        if self._jitter_ns:
            at_ns += int(self._uniform(JITTER + counter, message.dst) * (self._jitter_ns + 1))
        is_ok, loss = not message.damaged, self._transport.loss
        if loss and not self._transport.growth and is_ok:
            is_ok = self._uniform(LOSS + counter, message.dst) < (1.0 - loss) ** message.segments
        wire_bytes = self._wire_bytes(message, message.segments)
        self._end_at(message, at_ns, is_ok, message.segments, wire_bytes, (at_ns - to_ns(message.start_fs)) / NS_PER_S)

    def _uniform(self, counter: int, node: int) -> float:
        return float(uniforms(self._key, counter, np.array([node], np.uint64))[0])

    def _draw(self, message: _Message) -> float:
        """Return the next uniform of a message on its way to one destination."""
        message.draws += 1
        return self._uniform(LOSS + message.transfer, message.draws << 32 | message.dst)

    def _end_at(
        self, message: _Message, at_ns: int, is_ok: bool, packets: int, wire_bytes: int, service_s: float = 0.0
    ) -> None:
        extra_j = message.sending_ns / NS_PER_S * self._extra_w
        self._end(Delivery(
            message.transfer, message.dst, at_ns, is_ok, packets, packets + message.repeats, wire_bytes,
            message.sending_ns, message.src, message.size_bytes, service_s, extra_j,
        ))  # fmt: skip

    def _occupy(self, row: int, at_fs: int) -> None:
        if not self._active[row]:
            self._since_ns[row] = to_ns(at_fs)
        self._active[row] += 1

    def _release(self, row: int, at_fs: int) -> None:
        self._active[row] -= 1
        if not self._active[row]:
            self._busy_ns[row] += max(0, to_ns(at_fs) - self._since_ns[row])

    # --- time ------------------------------------------------------------------------------------------

    def _next_ns(self) -> int | None:
        """Return when a message may be there: not before it would be alone, the next flow ends or a link changes."""
        if self._bound_ns is None and self._messages and (inside_fs := self._inside_fs()) is not None:
            while self._bounds and self._bounds[0][1] not in self._messages:
                heapq.heappop(self._bounds)
            self._bound_ns = max(to_ns(inside_fs), self._bounds[0][0] if self._bounds else 0)
        return self._bound_ns

    def _inside_fs(self) -> int | None:
        """Return when a flow changes next, or a message of others comes."""
        timers = self._timers
        while timers and (timers[0][1] not in self._messages or self._messages[timers[0][1]].timer != timers[0][2]):
            heapq.heappop(timers)
        flow_fs = self._fluid.next_fs()
        times = [heap[0][0] for heap in (timers, self._arriving) if heap]
        return min(times, default=None) if flow_fs is None else min([flow_fs, *times])

    def _run(self, now_ns: int) -> None:
        """Handle all events that round to `now_ns` or earlier."""
        self._ran_ns = now_ns
        limit_fs = now_ns * FS_PER_NS + (FS_PER_NS + 1) // 2 - 1
        while True:
            while self._frames is None and self._timers and self._timers[0][0] == self._fluid.pending_fs:
                # Timers of one instant come before rates are shared out.
                due_fs, number, timer = heapq.heappop(self._timers)
                message = self._messages.get(number)
                if message is not None and message.timer == timer:
                    self._fire(message, due_fs)
            inside_fs = self._inside_fs()
            if inside_fs is None or inside_fs > limit_fs:
                break
            at_fs = inside_fs
            if self._frames is not None:
                self._show_segments(at_fs)
            if self._fluid.next_fs() == at_fs:
                serial = self._fluid.step()
                if serial is not None and serial >= 0:
                    self._drained(self._messages[serial], at_fs)
            elif self._timers and self._timers[0][0] == at_fs:
                self._fire(self._messages[heapq.heappop(self._timers)[1]], at_fs)
            else:
                self._arrival(*self._arriving[0])
        if self._frames is not None:
            self._show_segments(limit_fs)
        if self._bound_ns is not None and self._bound_ns <= now_ns:
            self._bound_ns = None

    def _show_segments(self, to_fs: int) -> None:
        """Give the sink all segments that begin by then."""
        seen, length = list[tuple[int, int, int]](), self._transport.segment_bytes
        for message in self._messages.values():
            while message.begun_fs >= 0 and message.frames < message.sent:
                left = self._work(message, message.frames, message.sent)
                start_fs = self._fluid.reaches_fs(message.serial, left)
                if start_fs is None or start_fs > to_fs:
                    break
                seen.append((start_fs, message.serial, message.frames))
                message.frames += 1
        for start_fs, serial, frame in sorted(seen):
            message, offset = self._messages[serial], frame * length
            size = min(length, message.size_bytes - offset)
            if self._frames is not None:
                ends = message.src, message.dst
                self._frames.add(Frame(to_ns(start_fs), *ends, message.transfer, offset, size, 1, "data"))

    # --- nodes that go down ------------------------------------------------------------------------------

    def _go_down(self, now_ns: int, node: NodeId) -> None:
        """End what the node's connections carry, and what is on the way to it or from it as well."""
        self._bound_ns = None
        for entry in [e for e in self._due if node in e[1:3] and e[0] > now_ns]:
            self._due.remove(entry)
            self._due.append((now_ns, *entry[1:4], entry[4]._replace(at_ns=now_ns, ok=False, service_s=0.0)))
        heapq.heapify(self._due)
        self._connected = {ends: since for ends, since in self._connected.items() if node not in ends}
        self._windows = {ends: kept for ends, kept in self._windows.items() if node not in ends}
        lost = [message for message in self._messages.values() if node in (message.src, message.dst)]
        for message in lost:
            del self._messages[message.serial]
            self._give_up(message, now_ns)
        queues = self._queues.values()
        for queue in [queue for queue in queues if any(message in lost for message in queue)]:
            first = queue[0]
            for message in [message for message in queue if message in lost]:
                queue.remove(message)
            if queue and queue[0] is not first:
                self._release_burst(queue[0], now_ns * FS_PER_NS)
        for key in {self._lane(message): None for message in lost}:
            lane = deque(message for message in self._lanes.pop(key, ()) if message.serial in self._messages)
            if lane:
                self._lanes[key] = lane
                if lane[0].start_fs < 0:
                    self._start(lane[0], now_ns * FS_PER_NS)

    def _give_up(self, message: _Message, now_ns: int) -> None:
        """End a message where it stands; segments that have left count."""
        at_fs, done, row = now_ns * FS_PER_NS, message.sent, self._row[message.src]
        is_sending = message.begun_fs >= 0
        is_booked = not is_sending and done == message.segments
        if is_sending:
            gone = self._work(message, 0, done) - self._fluid.remove(at_fs, message.serial)
            done = min(gone // (self._full_bytes * _WORK_PER_BYTE), message.segments - 1)
            self._stop_sending(message, at_fs)
            if self._ports is not None:
                self._ports[message.dst].end(at_fs, message.serial)
        if is_sending or is_booked or message.at_port:
            self._release(self._row[message.dst] + 1, at_fs)
        wire_bytes = self._wire_bytes(message, done)
        if not is_booked:
            self._tx_bytes[row] += wire_bytes
            self._tx_frames[row] += done + message.repeats
        self._end_at(message, now_ns, False, done, wire_bytes)

    # --- what it costs and what it did ---------------------------------------------------------------------

    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the cost, exact to a nanosecond where rates do not change in time."""
        path, back = self._path(src, dst), self._path(dst, src)
        return flow_cost(quantity, self._transport, path, back, self._jitter_ns, self._extra_w)

    def _is_to_change(self, at_ns: int) -> bool:
        return at_ns > self._ran_ns

    def _used(self, at_ns: int) -> Usage:
        state_ns = np.zeros((len(self._interfaces), len(STATES)), np.int64)
        for row, busy_ns in enumerate(self._busy_ns):
            now_ns = max(0, at_ns - self._since_ns[row]) if self._active[row] else 0
            state_ns[row, RX if row % 2 else TX] = busy_ns + now_ns
        return self._usage(at_ns, state_ns, self._tx_bytes.copy(), self._tx_frames.copy())
