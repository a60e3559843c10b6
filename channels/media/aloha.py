"""Radios that send without listening first: the medium of `channels.links.lora` without acknowledgements."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import attrgetter
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from channels.costing.models import Int64s, byte_cost, stream_cost
from channels.media.busy import BusyLog
from channels.media.frame_train import FrameTrain
from channels.media.purposes import SHADOWING, WINDOW
from channels.media.radio_books import RadioPolicy, wake_power_w
from channels.media.roster import Members, Roster
from channels.media.states import IDLE, LISTEN, RX, SLEEP, TX
from netsim.interfaces import BROADCAST, STATES, CostModel, Delivery, Frame, NodeId, TransferId, Usage
from netsim.rng import uniforms
from netsim.units import NS_PER_S

_SETTLE_EVERY = 256


class Message(NamedTuple):
    """A message; `serial` marks its bytes at the sender, serial + 1 + i at receiver i.

    Its first frame begins at `first_ns`, `waited_ns` of the time before that was its random wait. All its frames but
    the last one carry the same, `stride_ns` apart; the last one carries `last_bytes` of the message until `end_ns`.
    """

    transfer: TransferId
    serial: int
    src: NodeId
    dst: tuple[NodeId, ...]
    size_bytes: int
    first_ns: int
    waited_ns: int
    frames: int
    stride_ns: int
    last_bytes: int
    end_ns: int

    @property
    def last_ns(self) -> int:
        """When the last frame begins."""
        return self.first_ns + (self.frames - 1) * self.stride_ns

    def begun(self, now_ns: int) -> int:
        """Return how many frames have begun before an instant."""
        return min(max(-((self.first_ns - now_ns) // self.stride_ns), 0), self.frames)


class Air(Roster):
    """See `channels.links.lora` for the rules: all times of a message are known when it is submitted.

    Parameters
    ----------
    policy
        What a radio does between frames; that of the server listens.
    airtime_ns, pause_ns
        Of a frame by its size, headers included: how long it lasts, and when its sender's next one may begin.
    key
        64-bit key of the draws.
    payload_bytes, collides, window_ns, capture_db, shadowing_db
        The link's `payload_bytes`, `collisions`, `start_window_s`, `capture_db` and `shadowing_db`.
    """

    broadcasts = True

    def __init__(
        self, members: Members, payload_bytes: int, airtime_ns: Sequence[int], pause_ns: Sequence[int], collides: bool,
        policy: RadioPolicy, key: int = 0, window_ns: int = 0, capture_db: float | None = None,
        shadowing_db: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(members, "radio")
        nodes = members.nodes
        self._key, self._capture_db, self._shadowing_db = key, capture_db, shadowing_db
        self._windows_ns = {node.id: 0 if node.is_server else window_ns for node in nodes}
        self._payload_bytes, self._overhead_bytes = payload_bytes, len(airtime_ns) - 1 - payload_bytes
        self._airtime_ns, self._pause_ns, self._does_collide = airtime_ns, pause_ns, collides
        rest = [LISTEN if node.is_server or not policy.sleeps else SLEEP for node in nodes]
        self._rest = np.array(rest, np.int64)
        base_w = self._power_w[policy.base_state]
        self._extra_w = self._power_w["tx"] - base_w
        if policy.sleeps:
            self._power_w["idle"] = wake_power_w(policy, self._power_w)  # the state idle occurs only while it wakes
        # Time to wake before a message, and before each further frame, which may follow closely.
        self._lead_ns = policy.lead_ns
        self._again_ns = min(policy.lead_ns, pause_ns[-1] - airtime_ns[-1])
        self._wake_w = self._power_w["idle"] - base_w
        # Of each node: time sending; sending or receiving; sending, receiving or waking.
        self._log = BusyLog(3 * len(nodes))
        self._free_ns = dict.fromkeys(self._row, 0)
        # Of each sender, in order of time: its frames.
        self._on_air: dict[NodeId, list[FrameTrain]] = {node: [] for node in self._row}
        self._open: dict[int, tuple[Message, list[NodeId]]] = {}
        self._ends: list[tuple[int, int]] = []
        self._serials = 0

    # --- messages ------------------------------------------------------------------------------------

    def _take(self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> None:
        self._run(now_ns)
        self._send(now_ns, transfer, src, dst, size_bytes)
        if not transfer % _SETTLE_EVERY:
            self._forget()

    def _send(self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> None:
        """Plan all frames of a message, as soon as its sender may send."""
        if there := self._reachable(now_ns, transfer, src, dst, size_bytes):
            waited_ns = self._wait_ns(transfer, src)
            first_ns = max(now_ns + self._lead_ns, self._free_ns[src]) + waited_ns
            self._put_on_air(self._planned(transfer, src, dst, size_bytes, first_ns, waited_ns), list(there))

    def _planned(
        self, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int, first_ns: int,
        waited_ns: int = 0,
    ) -> Message:  # fmt: skip
        """Return a message whose first frame begins at `first_ns`; its sender is busy or silent until after it."""
        serial = self._serials
        self._serials += 1 + len(dst)
        more, stride_ns = max(size_bytes - 1, 0) // self._payload_bytes, self._pause_ns[-1]
        last = size_bytes - more * self._payload_bytes
        last_ns = first_ns + more * stride_ns
        self._free_ns[src] = last_ns + self._pause_ns[last + self._overhead_bytes]
        end_ns = last_ns + self._airtime_ns[last + self._overhead_bytes]
        return Message(transfer, serial, src, dst, size_bytes, first_ns, waited_ns, more + 1, stride_ns, last, end_ns)

    def _put_on_air(self, message: Message, there: list[NodeId]) -> None:
        """Let a message's frames be sent at their times to those of its destinations that are up."""
        self._open[message.serial] = (message, there)
        heapq.heappush(self._ends, (message.end_ns, message.serial))
        if self._does_collide:
            self._on_air[message.src] += self._trains(message)
        self._record(message, there)
        if self._frames is not None:
            for frame in self._shown(message):
                heapq.heappush(self._coming, frame)

    def _wait_ns(self, transfer: TransferId, src: NodeId) -> int:
        window_ns = self._windows_ns[src]
        return int(self._uniform(WINDOW + transfer, src) * window_ns) if window_ns else 0

    def _does_sleep(self, node: NodeId) -> bool:
        """Return whether a node sleeps between frames."""
        return bool(self._rest[self._row[node]] == SLEEP)

    def _uniform(self, counter: int, low: int) -> float:
        return float(uniforms(self._key, counter, np.array([low], np.uint64))[0])

    def _forget(self) -> None:
        """Drop what can no longer be asked for."""
        self._log.settle(self._now_ns)
        oldest_ns = min([self._now_ns, *(message.first_ns for message, _ in self._open.values())])
        for node, trains in self._on_air.items():
            self._on_air[node] = [train for train in trains if train.end_ns > oldest_ns]

    def _trains(self, message: Message) -> list[FrameTrain]:
        """Return the frames of a message: the full ones, and the last one."""
        more, last_ns, full_ns = message.frames - 1, message.last_ns, self._airtime_ns[-1]
        last = FrameTrain(last_ns, message.stride_ns, message.end_ns - last_ns, 1, message.transfer)
        return [FrameTrain(message.first_ns, message.stride_ns, full_ns, more, message.transfer), last][not more :]

    def _record(self, message: Message, there: Sequence[NodeId]) -> None:
        rows = [(3 * self._row[message.src], message.serial), (3 * self._row[message.src] + 1, message.serial)]
        for i, node in enumerate(message.dst, 1):
            if node in there:
                rows.append((3 * self._row[node] + 1, message.serial + i))
        more, start_ns = message.frames - 1, message.last_ns
        width_ns = message.end_ns - start_ns
        full, last = len(self._airtime_ns) - 1, message.last_bytes + self._overhead_bytes
        for i, (row, serial) in enumerate(rows):
            # Bytes count where they are sent.
            if more:
                full_ns, stride_ns = self._airtime_ns[full], self._pause_ns[full]
                self._log.add((row, message.first_ns, stride_ns, full_ns, more, 0 if i else full, serial))
            self._log.add((row, start_ns, width_ns, width_ns, 1, 0 if i else last, serial))
        if self._lead_ns:
            self._wake(message, rows[1:])

    def _shown(self, message: Message) -> Iterator[Frame]:
        """Yield the frames of a message."""
        dst = message.dst[0] if len(message.dst) == 1 else BROADCAST
        for i in range(message.frames):
            offset, start_ns = i * self._payload_bytes, message.first_ns + i * message.stride_ns
            length = self._payload_bytes if i < message.frames - 1 else message.last_bytes
            yield Frame(start_ns, message.src, dst, message.transfer, offset, length, 1, "data")

    def _wake(self, message: Message, rows: Sequence[tuple[int, int]]) -> None:
        """Wake the sender and the receivers before each frame; a server listens anyway."""
        frames, lead_ns, again_ns = message.frames, self._lead_ns, self._again_ns
        spans, full_ns, last_ns = list[tuple[int, int, int]](), self._airtime_ns[-1], message.end_ns - message.last_ns
        spans.append((message.first_ns - lead_ns, (full_ns if frames > 1 else last_ns) + lead_ns, 1))
        if frames > 1:
            spans.append((message.last_ns - again_ns, last_ns + again_ns, 1))
        if frames > 2:
            spans.append((message.first_ns + message.stride_ns - again_ns, full_ns + again_ns, frames - 2))
        for row, serial in rows:
            if self._rest[row // 3] == SLEEP:
                for first_ns, width_ns, many in spans:
                    stride_ns = max(self._pause_ns[-1], width_ns)
                    self._log.add((row + 1, first_ns, stride_ns, width_ns, many, 0, serial))

    # --- time ------------------------------------------------------------------------------------------

    def _next_ns(self) -> int | None:
        while self._ends and self._ends[0][1] not in self._open:
            heapq.heappop(self._ends)
        return self._ends[0][0] if self._ends else None

    def _run(self, to_ns: int) -> None:
        self._show_coming(to_ns)
        while self._ends and self._ends[0][0] <= to_ns:
            at_ns, serial = heapq.heappop(self._ends)
            if serial not in self._open:
                continue
            message, there = self._open.pop(serial)
            for node in there:
                is_ok = not (self._does_collide and self._collides(message, node))
                self._end_at(message, node, at_ns, is_ok, message.frames, is_counted=node == min(there))

    def _collides(self, message: Message, receiver: NodeId) -> bool:
        """Return whether the receiver was sending during one of these frames, or another's was too strong there."""
        mine = self._trains(message)
        for node, trains in self._on_air.items():
            if node == message.src:
                continue
            for train in _near(trains, message.first_ns, message.end_ns):
                if any(own.meets(train) for own in mine) and (
                    node == receiver or not self._captures(message.transfer, train.transfer, receiver)
                ):
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
        self, message: Message, node: NodeId, at_ns: int, is_ok: bool, frames: int, is_counted: bool,
        part_ns: int = 0,
    ) -> None:  # fmt: skip
        """End one destination after so many whole frames and `part_ns` of the next."""
        full, is_whole = min(frames, message.frames - 1), frames == message.frames
        last_ns, last_bytes = (message.end_ns - message.last_ns, message.last_bytes) if is_whole else (0, 0)
        sent_ns = full * self._airtime_ns[-1] + last_ns + part_ns
        wire_bytes = full * self._payload_bytes + last_bytes + frames * self._overhead_bytes
        extra_j = sent_ns / NS_PER_S * self._extra_w + self._woken_ns(message, at_ns) / NS_PER_S * self._wake_w
        begun_ns = message.first_ns - self._lead_ns - message.waited_ns
        service_s = (at_ns - begun_ns) / NS_PER_S if is_whole else 0.0
        counts = (frames, frames, wire_bytes, sent_ns) if is_counted else (0, 0, 0, 0)
        ends = message.src, message.size_bytes
        self._end(Delivery(message.transfer, node, at_ns, is_ok, *counts, *ends, service_s, extra_j))

    def _woken_ns(self, message: Message, at_ns: int) -> int:
        """Return how long the sender of a message woke for it."""
        if not self._lead_ns or not self._does_sleep(message.src):
            return 0
        begun = message.begun(at_ns + 1)
        whole_ns = self._lead_ns + (begun - 1) * self._again_ns if begun else 0
        if begun == message.frames:
            return whole_ns
        lead_ns = self._again_ns if begun else self._lead_ns
        return whole_ns + max(at_ns - message.first_ns - begun * message.stride_ns + lead_ns, 0)

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
                begun = message.begun(now_ns)
                if message.src == node and begun < message.frames:
                    waiting_ns.append(message.first_ns + begun * message.stride_ns)
            if gone:
                self._log.cut(frozenset(gone), now_ns)
            # Its last frame has not ended.
            frames = min(message.begun(now_ns - self._airtime_ns[-1] + 1), message.frames - 1)
            part_ns = max(0, now_ns - message.first_ns - frames * message.stride_ns)
            for n in lost:
                self._end_at(message, n, now_ns, False, frames, not there and n == max(lost), part_ns)
        # The first frame that was not sent leaves its place to the next one.
        self._free_ns[node] = min([self._free_ns[node], *waiting_ns])

    def _retract(self, message: Message, now_ns: int) -> None:
        """Take what has not been sent of a message off the air."""
        del self._open[message.serial]
        self._coming = [frame for frame in self._coming if frame.transfer != message.transfer]
        heapq.heapify(self._coming)
        trains = self._on_air[message.src]
        self._on_air[message.src] = [
            part for train in trains for part in (train.cut(now_ns) if train.transfer == message.transfer else [train])
        ]

    # --- what it costs and what it did ---------------------------------------------------------------------

    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the cost, exact for a sender whose duty cycle is not exhausted but for half of the random wait."""
        if quantity in ("bit", "packet"):
            constants = {"bit": (0.0, 8.0 * self._overhead_bytes, 1.0), "packet": (0.0, 1.0, 0.0)}
            return stream_cost(quantity, constants, self._payload_bytes)
        airtime_ns = np.array(self._airtime_ns, np.float64)
        stride_ns, scale = (self._pause_ns[-1], 1.0) if quantity == "s" else (self._airtime_ns[-1], self._extra_w)
        wakes = self._lead_ns if self._does_sleep(src) else 0
        lead = wakes * self._wake_w, (self._again_ns if wakes else 0) * self._wake_w
        first, other = (self._lead_ns + self._windows_ns[src] / 2, 0.0) if quantity == "s" else lead

        def lone(size: Int64s) -> npt.ArrayLike:
            more = (size - 1) // self._payload_bytes
            last_ns = airtime_ns[size - more * self._payload_bytes + self._overhead_bytes]
            return np.asarray(((more * stride_ns + last_ns) * scale + first + more * other) / NS_PER_S)

        return byte_cost(quantity, lone)

    def _used(self, at_ns: int) -> Usage:
        totals = self._log.totals(at_ns)
        state_ns = np.zeros((len(self._interfaces), len(STATES)), np.int64)
        sending_ns, using_ns, awake_ns = totals.busy_ns.reshape(-1, 3).T
        state_ns[:, TX], state_ns[:, RX] = sending_ns, using_ns - sending_ns
        state_ns[:, IDLE] = np.maximum(awake_ns, using_ns) - using_ns
        return self._usage(at_ns, state_ns, totals.frame_bytes[0::3], totals.frames[0::3], self._rest)


def _near(trains: Sequence[FrameTrain], start_ns: int, end_ns: int) -> Iterator[FrameTrain]:
    """Yield the trains of a sender, which do not overlap each other, that reach into a span."""
    low = bisect_left(trains, end_ns, key=attrgetter("start_ns"))
    while low and trains[low - 1].end_ns > start_ns:
        low -= 1
        yield trains[low]
