"""Radios that send without listening first: the medium of `channels.links.lora`."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from channels.costing.models import Int64s, byte_cost, stream_cost
from channels.media.busy import BusyLog
from channels.media.purposes import SHADOWING, WINDOW
from channels.media.radio_books import RadioPolicy, wake_power_w
from channels.media.roster import Roster
from netsim.interfaces import (
    BROADCAST,
    STATES,
    CostModel,
    Delivery,
    Frame,
    FrameSink,
    Node,
    NodeId,
    PowerProfile,
    TransferId,
    Usage,
)
from netsim.rng import uniforms
from netsim.units import NS_PER_S

_TX, _RX, _LISTEN, _IDLE, _SLEEP = range(len(STATES))
_SETTLE_EVERY = 256


class _Message(NamedTuple):
    """A message with the times of its frames; `serial` marks its bytes at the sender, serial + 1 + i at receiver i.

    `first_ns` is when its first frame begins, `waited_ns` how much of the time before that was its random wait.
    """

    transfer: TransferId
    serial: int
    src: NodeId
    dst: tuple[NodeId, ...]
    size_bytes: int
    first_ns: int
    waited_ns: int
    start_ns: list[int]
    end_ns: list[int]
    length: list[int]


class Air(Roster):
    """See `channels.links.lora` for the rules: all times of a message are known when it is submitted.

    Each node has the interface ``radio``; several destinations are one transmission.

    Parameters
    ----------
    nodes, radio, frames
        See `channels.media.roster.Roster`.
    policy
        What a radio does between frames; that of the server listens.
    payload_bytes
        Of a message in a frame.
    airtime_ns, pause_ns
        Of a frame by its size, headers included: how long it lasts, and when its sender's next one may begin.
    collides
        Whether frames that overlap are lost, and a node that sends hears nothing.
    key
        64-bit key of the draws.
    window_ns
        A message of a node other than the server begins that much later at most, drawn uniformly.
    capture_db, shadowing_db
        By how much a frame has to be stronger than each that overlaps with it at a receiver to be heard all the same,
        and the standard deviation of a message's power there; None: overlapping frames are lost.
    """

    broadcasts = True

    def __init__(
        self, nodes: Sequence[Node], payload_bytes: int, airtime_ns: Sequence[int], pause_ns: Sequence[int],
        collides: bool, radio: PowerProfile, policy: RadioPolicy, frames: FrameSink | None = None, key: int = 0,
        window_ns: int = 0, capture_db: float | None = None, shadowing_db: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(nodes, ("radio",), radio, frames)
        self._key, self._capture_db, self._shadowing_db = key, capture_db, shadowing_db
        self._windows_ns = {node.id: 0 if node.is_server else window_ns for node in nodes}
        self._payload_bytes, self._overhead_bytes = payload_bytes, len(airtime_ns) - 1 - payload_bytes
        self._airtime_ns, self._pause_ns, self._does_collide = airtime_ns, pause_ns, collides
        rest = [_LISTEN if node.is_server or not policy.sleeps else _SLEEP for node in nodes]
        self._rest = np.array(rest, np.int64)
        base_w = self._power_w[policy.base_state]
        self._extra_w = self._power_w["tx"] - base_w
        if policy.sleeps:
            self._power_w["idle"] = wake_power_w(policy, radio)  # the state idle occurs only while it wakes
        # Time to wake before a message, and before each further frame, which may follow closely.
        self._lead_ns = policy.lead_ns
        self._again_ns = min(policy.lead_ns, pause_ns[-1] - airtime_ns[-1])
        self._wake_w = self._power_w["idle"] - base_w
        # Of each node: time sending; sending or receiving; sending, receiving or waking.
        self._log = BusyLog(3 * len(nodes))
        self._free_ns = dict.fromkeys(self._row, 0)
        # Of each sender: start and end of its frames, and the message that they belong to.
        self._on_air: dict[NodeId, list[tuple[int, int, TransferId]]] = {node: [] for node in self._row}
        self._open: dict[int, tuple[_Message, list[NodeId]]] = {}
        self._ends: list[tuple[int, int]] = []
        self._serials = 0

    # --- messages ------------------------------------------------------------------------------------

    def _take(self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> None:
        self._run(now_ns)
        serial = self._serials
        self._serials += 1 + len(dst)
        lost = self._lost(src, dst)
        there = [node for node in dst if node not in lost]
        waited_ns = self._wait_ns(transfer, src)
        first_ns = max(now_ns + self._lead_ns, self._free_ns[src]) + waited_ns
        more, full, stride_ns = (size_bytes - 1) // self._payload_bytes, len(self._airtime_ns) - 1, self._pause_ns[-1]
        last = size_bytes - more * self._payload_bytes
        starts = [first_ns + i * stride_ns for i in range(more + 1)]
        lengths = [self._payload_bytes] * more + [last]
        ends = [start + self._airtime_ns[full] for start in starts[:-1]]
        ends.append(starts[-1] + self._airtime_ns[last + self._overhead_bytes])
        message = _Message(transfer, serial, src, dst, size_bytes, first_ns, waited_ns, starts, ends, lengths)
        for node in lost:
            self._end_at(message, node, now_ns, False, 0, is_counted=False)
        if there:
            self._free_ns[src] = starts[-1] + self._pause_ns[last + self._overhead_bytes]
            self._open[serial] = (message, there)
            heapq.heappush(self._ends, (ends[-1], serial))
            if self._does_collide:
                self._on_air[src] += zip(starts, ends, [transfer] * len(starts), strict=True)
            self._record(message, there)
        if not transfer % _SETTLE_EVERY:
            self._forget()

    def _wait_ns(self, transfer: TransferId, src: NodeId) -> int:
        window_ns = self._windows_ns[src]
        return int(self._uniform(WINDOW + transfer, src) * window_ns) if window_ns else 0

    def _uniform(self, counter: int, node: NodeId) -> float:
        return float(uniforms(self._key, counter, np.array([node], np.uint64))[0])

    def _forget(self) -> None:
        """Drop what can no longer be asked for."""
        self._log.settle(self._now_ns)
        oldest_ns = min([self._now_ns, *(message.start_ns[0] for message, _ in self._open.values())])
        for node, spans in self._on_air.items():
            self._on_air[node] = [span for span in spans if span[1] > oldest_ns]

    def _record(self, message: _Message, there: Sequence[NodeId]) -> None:
        rows = [(3 * self._row[message.src], message.serial), (3 * self._row[message.src] + 1, message.serial)]
        for i, node in enumerate(message.dst, 1):
            if node in there:
                rows.append((3 * self._row[node] + 1, message.serial + i))
        more, start_ns = len(message.length) - 1, message.start_ns[-1]
        width_ns = message.end_ns[-1] - start_ns
        full, last = len(self._airtime_ns) - 1, message.length[-1] + self._overhead_bytes
        for i, (row, serial) in enumerate(rows):
            # Bytes count where they are sent.
            if more:
                full_ns, stride_ns = self._airtime_ns[full], self._pause_ns[full]
                self._log.add((row, message.first_ns, stride_ns, full_ns, more, 0 if i else full, serial))
            self._log.add((row, start_ns, width_ns, width_ns, 1, 0 if i else last, serial))
        if self._lead_ns:
            self._wake(message, rows[1:])
        if self._frames is not None:
            dst = message.dst[0] if len(message.dst) == 1 else BROADCAST
            for i, start_ns in enumerate(message.start_ns):
                offset, length = i * self._payload_bytes, message.length[i]
                frame = Frame(start_ns, message.src, dst, message.transfer, offset, length, 1, "data")
                heapq.heappush(self._coming, frame)

    def _wake(self, message: _Message, rows: Sequence[tuple[int, int]]) -> None:
        """Wake the sender and the receivers before each frame; a server listens anyway."""
        start_ns, end_ns = message.start_ns, message.end_ns
        spans = [(start_ns[0] - self._lead_ns, end_ns[0] - start_ns[0] + self._lead_ns, 1)]
        if len(start_ns) > 1:
            spans.append((start_ns[-1] - self._again_ns, end_ns[-1] - start_ns[-1] + self._again_ns, 1))
        if len(start_ns) > 2:
            spans.append((start_ns[1] - self._again_ns, end_ns[1] - start_ns[1] + self._again_ns, len(start_ns) - 2))
        for row, serial in rows:
            if self._rest[row // 3] == _SLEEP:
                for first_ns, width_ns, frames in spans:
                    stride_ns = max(self._pause_ns[-1], width_ns)
                    self._log.add((row + 1, first_ns, stride_ns, width_ns, frames, 0, serial))

    # --- time ------------------------------------------------------------------------------------------

    def next_event_ns(self) -> int | None:
        """See `netsim.interfaces.Medium`; exact."""
        while self._ends and self._ends[0][1] not in self._open:
            heapq.heappop(self._ends)
        return min([heap[0][0] for heap in (self._ends, self._due) if heap], default=None)

    def _run(self, to_ns: int) -> None:
        self._show_coming(to_ns)
        while self._ends and self._ends[0][0] <= to_ns:
            at_ns, serial = heapq.heappop(self._ends)
            if serial not in self._open:
                continue
            message, there = self._open.pop(serial)
            for node in there:
                is_ok = not (self._does_collide and self._collides(message, node))
                self._end_at(message, node, at_ns, is_ok, len(message.start_ns), is_counted=node == min(there))

    def _collides(self, message: _Message, receiver: NodeId) -> bool:
        """Return whether the receiver was sending during one of these frames, or another's was too strong there."""
        for start_ns, end_ns in zip(message.start_ns, message.end_ns, strict=True):
            for node, spans in self._on_air.items():
                if node == message.src:
                    continue
                for _, _, other in _near(spans, start_ns, end_ns):
                    if node == receiver or not self._captures(message.transfer, other, receiver):
                        return True
        return False

    def _captures(self, transfer: TransferId, other: TransferId, receiver: NodeId) -> bool:
        """Return whether a message's frames are heard although those of another overlap with them."""
        if self._capture_db is None:
            return False
        ahead_db = self._power_db(transfer, receiver) - self._power_db(other, receiver)
        return ahead_db >= self._capture_db

    def _power_db(self, transfer: TransferId, receiver: NodeId) -> float:
        """Return how far a message's power at a receiver is from the mean: normal in decibels."""
        if not self._shadowing_db:
            return 0.0
        return self._shadowing_db * NormalDist().inv_cdf(self._uniform(SHADOWING + transfer, receiver) + 2.0**-33)

    def _end_at(
        self, message: _Message, node: NodeId, at_ns: int, is_ok: bool, frames: int, is_counted: bool,
        part_ns: int = 0,
    ) -> None:  # fmt: skip
        """End one destination after so many whole frames and `part_ns` of the next."""
        sent_ns = sum(message.end_ns[:frames]) - sum(message.start_ns[:frames]) + part_ns
        wire_bytes = sum(message.length[:frames]) + frames * self._overhead_bytes
        extra_j = sent_ns / NS_PER_S * self._extra_w + self._woken_ns(message, at_ns) / NS_PER_S * self._wake_w
        begun_ns = message.first_ns - self._lead_ns - message.waited_ns
        service_s = (at_ns - begun_ns) / NS_PER_S if frames == len(message.start_ns) else 0.0
        counts = (frames, frames, wire_bytes, sent_ns) if is_counted else (0, 0, 0, 0)
        ends = message.src, message.size_bytes
        self._end(Delivery(message.transfer, node, at_ns, is_ok, *counts, *ends, service_s, extra_j))

    def _woken_ns(self, message: _Message, at_ns: int) -> int:
        """Return how long the sender of a message woke for it."""
        leads_ns = [self._lead_ns, *[self._again_ns] * (len(message.start_ns) - 1)]
        if not self._lead_ns or self._rest[self._row[message.src]] != _SLEEP:
            return 0
        starts = zip(message.start_ns, leads_ns, strict=True)
        return sum(min(max(at_ns - start_ns + lead_ns, 0), lead_ns) for start_ns, lead_ns in starts)

    # --- nodes that go down ------------------------------------------------------------------------------

    def _go_down(self, now_ns: int, node: NodeId) -> None:
        """End messages whose sender or last receiver this is, and cut their frames.

        What a sender has waiting for others keeps its times.
        """
        waiting_ns = list[int]()
        for serial, (message, there) in list(self._open.items()):
            lost = list(there) if node == message.src else [n for n in there if n == node]
            for n in lost:
                there.remove(n)
            gone = {serial + i for i, n in enumerate(message.dst, 1) if n in lost}
            if not there:
                gone.add(serial)
                self._retract(message, now_ns)
                waiting_ns += [start for start in message.start_ns if start >= now_ns and message.src == node]
            if gone:
                self._log.cut(frozenset(gone), now_ns)
            frames = sum(end_ns <= now_ns for end_ns in message.end_ns)
            part_ns = max(0, now_ns - message.start_ns[frames])
            for n in lost:
                self._end_at(message, n, now_ns, False, frames, not there and n == max(lost), part_ns)
        # The first frame that was not sent leaves its place to the next one.
        self._free_ns[node] = min([self._free_ns[node], *waiting_ns])

    def _retract(self, message: _Message, now_ns: int) -> None:
        """Take what has not been sent of a message off the air."""
        del self._open[message.serial]
        self._coming = [frame for frame in self._coming if frame.transfer != message.transfer]
        heapq.heapify(self._coming)
        first, last = message.start_ns[0], message.start_ns[-1]
        spans = self._on_air[message.src]
        kept = [(a, b, t) for a, b, t in spans if not (first <= a <= last and a >= now_ns)]
        self._on_air[message.src] = [(a, min(b, now_ns) if first <= a <= last else b, t) for a, b, t in kept]

    # --- what it costs and what it did ---------------------------------------------------------------------

    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the cost, exact for a sender whose duty cycle is not exhausted but for half of the random wait."""
        if quantity in ("bit", "packet"):
            constants = {"bit": (0.0, 8.0 * self._overhead_bytes, 1.0), "packet": (0.0, 1.0, 0.0)}
            return stream_cost(quantity, constants, self._payload_bytes)
        airtime_ns = np.array(self._airtime_ns, np.float64)
        stride_ns, scale = (self._pause_ns[-1], 1.0) if quantity == "s" else (self._airtime_ns[-1], self._extra_w)
        wakes = self._lead_ns if self._rest[self._row[src]] == _SLEEP else 0
        lead = wakes * self._wake_w, (self._again_ns if wakes else 0) * self._wake_w
        first, other = (self._lead_ns + self._windows_ns[src] / 2, 0.0) if quantity == "s" else lead

        def lone(size: Int64s) -> npt.ArrayLike:
            more = (size - 1) // self._payload_bytes
            last_ns = airtime_ns[size - more * self._payload_bytes + self._overhead_bytes]
            return np.asarray(((more * stride_ns + last_ns) * scale + first + more * other) / NS_PER_S)

        return byte_cost(quantity, lone)

    def usage(self, at_ns: int) -> Usage:
        """See `netsim.interfaces.Medium`."""
        totals = self._log.totals(at_ns)
        state_ns = np.zeros((len(self._interfaces), len(STATES)), np.int64)
        sending_ns, using_ns, awake_ns = totals.busy_ns.reshape(-1, 3).T
        state_ns[:, _TX], state_ns[:, _RX] = sending_ns, using_ns - sending_ns
        state_ns[:, _IDLE] = np.maximum(awake_ns, using_ns) - using_ns
        return self._usage(at_ns, state_ns, totals.frame_bytes[0::3], totals.frames[0::3], self._rest)


def _near(
    spans: Sequence[tuple[int, int, TransferId]], start_ns: int, end_ns: int
) -> Iterator[tuple[int, int, TransferId]]:
    """Yield the frames of a sender, which do not overlap each other, that reach into a span."""
    low, high = 0, len(spans)
    while low < high:
        middle = (low + high) // 2
        if spans[middle][0] < end_ns:
            low = middle + 1
        else:
            high = middle
    while low and spans[low - 1][1] > start_ns:
        low -= 1
        yield spans[low]
