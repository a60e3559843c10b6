"""Radios that send without listening first to a gateway that acknowledges: the medium of an acknowledged LoRa."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from channels.costing.models import Int64s, byte_cost, stream_cost
from channels.media.aloha import Air, Message
from channels.media.purposes import REPEAT
from channels.media.radio_books import RadioPolicy
from channels.media.roster import Members
from netsim.interfaces import CostModel, Delivery, Frame, NodeId, TransferId
from netsim.units import NS_PER_S

# LoRaWAN's RECEIVE_DELAY1, and the least and the most of its ACK_TIMEOUT; recalled.
ACK_DELAY_NS = NS_PER_S
BACKOFF_NS = (NS_PER_S, 3 * NS_PER_S)

_Unsent = tuple[TransferId, tuple[NodeId, ...], int]  # its destinations, and its bytes


@dataclass
class _Exchange:
    """A confirmed message: its frames one by one, each sent until it is acknowledged.

    Parameters
    ----------
    transfer, src, gateway, size_bytes
        As submitted.
    begun_ns
        When the sender began to serve it.
    acknowledged
        How many frames are.
    repeats, all_repeats
        Of the present frame, and of all frames.
    serial, first_ns, end_ns
        Of the present attempt: the mark of its bytes, and when it is on the air.
    has_ended, is_heard, is_confirmed
        Whether the present frame was sent whole at least once; of the present attempt, whether the gateway has it and
        whether its sender has the acknowledgement.
    attempts, wire_bytes
        So far, acknowledgements among the bytes.
    sent_ns, air_ns, window_ns, woken_ns
        So far: the sender's frames, all frames, and the sender's receive windows and waking.
    """

    transfer: TransferId
    src: NodeId
    gateway: NodeId
    size_bytes: int
    begun_ns: int
    acknowledged: int = 0
    repeats: int = 0
    all_repeats: int = 0
    serial: int = -1
    first_ns: int = 0
    end_ns: int = 0
    has_ended: bool = False
    is_heard: bool = False
    is_confirmed: bool = False
    attempts: int = 0
    wire_bytes: int = 0
    sent_ns: int = 0
    air_ns: int = 0
    window_ns: int = 0
    woken_ns: int = 0

    @property
    def opens_ns(self) -> int:
        """When the receive window of the present attempt opens."""
        return self.end_ns + ACK_DELAY_NS


class ConfirmedAir(Air):
    """See `channels.links.lora` for the rules: the medium of ``acknowledged: true``.

    A message of a node to a gateway alone is confirmed, every other one is sent as `channels.media.aloha.Air` does. A
    sender finishes one message before it plans the next.

    Parameters
    ----------
    max_transmissions
        Of one frame.
    members, policy, air
        See `channels.media.aloha.Air`; frames collide.
    """

    def __init__(self, max_transmissions: int, members: Members, policy: RadioPolicy, **air: Any) -> None:
        super().__init__(members, policy=policy, **air)
        self._max_transmissions = max_transmissions
        self._gateways = {node.id for node in members.nodes if node.is_server}
        self._ack_ns = self._airtime_ns[self._overhead_bytes]
        # An acknowledgement's window costs a radio that sleeps otherwise.
        self._listen_w = self._power_w["rx"] - self._power_w[policy.base_state]
        self._window_lead_ns = min(self._lead_ns, ACK_DELAY_NS)
        self._exchanges: dict[NodeId, _Exchange] = {}
        # Of each sender: messages behind one that it has to finish first.
        self._waiting: dict[NodeId, deque[_Unsent]] = {node: deque() for node in self._row}
        # By the serial of an attempt that goes on, or of its acknowledgement on the air.
        self._of: dict[int, _Exchange] = {}
        # When windows of attempts open and close: (at_ns, serial).
        self._windows: list[tuple[int, int]] = []

    # --- messages ------------------------------------------------------------------------------------

    def _send(self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> None:
        if there := self._reachable(now_ns, transfer, src, dst, size_bytes):
            self._waiting[src].append((transfer, there, size_bytes))
            self._serve(now_ns, src)

    def _serve(self, now_ns: int, src: NodeId) -> None:
        """Begin the messages that wait at a node, up to one that has to be confirmed first."""
        waiting = self._waiting[src]
        while waiting and src not in self._exchanges:
            transfer, dst, size_bytes = waiting.popleft()
            if src in self._gateways or len(dst) > 1 or dst[0] not in self._gateways:
                super()._send(now_ns, transfer, src, dst, size_bytes)
                continue
            ready_ns, waited_ns = max(now_ns + self._lead_ns, self._free_ns[src]), self._wait_ns(transfer, src)
            exchange = _Exchange(transfer, src, dst[0], size_bytes, ready_ns - self._lead_ns)
            self._exchanges[src] = exchange
            self._transmit(exchange, ready_ns + waited_ns)

    def _transmit(self, exchange: _Exchange, first_ns: int) -> None:
        """Plan an attempt at the first frame that is not acknowledged."""
        size_bytes = min(self._payload_bytes, exchange.size_bytes - exchange.acknowledged * self._payload_bytes)
        exchange.is_heard = exchange.is_confirmed = False
        message = self._frame(exchange, exchange.src, exchange.gateway, size_bytes, first_ns)
        exchange.serial, exchange.first_ns, exchange.end_ns = message.serial, first_ns, message.end_ns
        self._serials += 1  # of the window
        self._put_on_air(message, [exchange.gateway])

    def _acknowledge(self, exchange: _Exchange, now_ns: int) -> None:
        """Send an acknowledgement, unless the gateway sends, is about to, or has to be silent."""
        if not exchange.is_heard or now_ns < self._free_ns[exchange.gateway]:
            return
        self._put_on_air(self._frame(exchange, exchange.gateway, exchange.src, 0, now_ns), [exchange.src])

    def _frame(self, exchange: _Exchange, src: NodeId, dst: NodeId, size_bytes: int, first_ns: int) -> Message:
        """Return one frame of an exchange; its sender is silent after it as the duty cycle says."""
        message = self._planned(exchange.transfer, src, (dst,), size_bytes, first_ns)
        self._of[message.serial] = exchange
        return message

    def _shown(self, message: Message) -> Iterator[Frame]:
        exchange = self._of.get(message.serial)
        if exchange is None:
            yield from super()._shown(message)
            return
        offset = exchange.acknowledged * self._payload_bytes if message.size_bytes else 0
        part, kind = (offset, message.size_bytes), "data" if message.size_bytes else "ack"
        ends = message.src, message.dst[0], message.transfer
        yield Frame(message.first_ns, *ends, *part, exchange.repeats + 1, kind)

    def _wake(self, message: Message, rows: Sequence[tuple[int, int]]) -> None:
        # The receiver of an acknowledgement is awake for its window.
        if message.serial not in self._of or message.size_bytes:
            super()._wake(message, rows)

    # --- time ------------------------------------------------------------------------------------------

    def _next_ns(self) -> int | None:
        """Return when the next frame ends, or a window opens or closes."""
        for heap, known in ((self._ends, self._open), (self._windows, self._of)):
            while heap and heap[0][1] not in known:
                heapq.heappop(heap)
        return min([heap[0][0] for heap in (self._ends, self._windows) if heap], default=None)

    def _run(self, to_ns: int) -> None:
        while (at_ns := self._next_ns()) is not None and at_ns <= to_ns:
            super()._run(at_ns)
            while self._windows and self._windows[0][0] == at_ns:
                _, serial = heapq.heappop(self._windows)
                if (exchange := self._of.get(serial)) is None:
                    continue
                if at_ns == exchange.opens_ns:
                    self._acknowledge(exchange, at_ns)
                else:
                    self._close_window(exchange, at_ns)
        super()._run(to_ns)

    def _end_at(
        self, message: Message, node: NodeId, at_ns: int, is_ok: bool, frames: int, is_counted: bool, part_ns: int = 0
    ) -> None:
        exchange = self._of.get(message.serial)
        if exchange is None:
            super()._end_at(message, node, at_ns, is_ok, frames, is_counted, part_ns)
            return
        sent_ns = message.end_ns - message.first_ns if frames else part_ns
        exchange.air_ns += sent_ns
        exchange.wire_bytes += frames * (message.size_bytes + self._overhead_bytes)
        if not message.size_bytes:
            del self._of[message.serial]
            exchange.is_confirmed = is_ok
            return
        exchange.sent_ns += sent_ns
        if frames:
            exchange.attempts += 1
            exchange.has_ended, exchange.is_heard = True, is_ok
            self._open_window(exchange)

    def _open_window(self, exchange: _Exchange) -> None:
        """Let the sender of a frame that has just ended listen for an acknowledgement."""
        row, opens_ns, serial = 3 * self._row[exchange.src], exchange.opens_ns, exchange.serial
        for at_ns in (opens_ns, opens_ns + self._ack_ns):
            heapq.heappush(self._windows, (at_ns, serial))
        if self._does_sleep(exchange.src):
            lead_ns, window_ns = self._window_lead_ns, self._ack_ns
            self._log.add((row + 1, opens_ns, window_ns, window_ns, 1, 0, serial + 2))
            if lead_ns:
                width_ns = lead_ns + window_ns
                self._log.add((row + 2, opens_ns - lead_ns, width_ns, width_ns, 1, 0, serial + 2))

    def _close_window(self, exchange: _Exchange, now_ns: int) -> None:
        """Go on to the next frame or the next attempt, or end the message."""
        self._count_attempt(exchange, now_ns)
        ready_ns = max(now_ns + self._lead_ns, self._free_ns[exchange.src])
        if exchange.is_confirmed:
            exchange.acknowledged += 1
            exchange.repeats, exchange.has_ended = 0, False
            if exchange.acknowledged * self._payload_bytes < exchange.size_bytes:
                self._transmit(exchange, ready_ns)
                return
        elif exchange.repeats + 1 < self._max_transmissions:
            least_ns, most_ns = BACKOFF_NS
            drawn = self._uniform(REPEAT + exchange.transfer, exchange.all_repeats)
            exchange.repeats += 1
            exchange.all_repeats += 1
            self._transmit(exchange, ready_ns + least_ns + int(drawn * (most_ns - least_ns)))
            return
        self._end_exchange(exchange, now_ns, exchange.is_confirmed)
        self._serve(now_ns, exchange.src)

    def _count_attempt(self, exchange: _Exchange, now_ns: int) -> None:
        """Count what the present attempt had the sender's radio do by now beside sending; the attempt is over."""
        del self._of[exchange.serial]
        if self._does_sleep(exchange.src):
            opens_ns, lead_ns, again_ns = exchange.opens_ns, self._lead_ns, self._window_lead_ns
            exchange.woken_ns += min(max(now_ns - exchange.first_ns + lead_ns, 0), lead_ns)
            exchange.woken_ns += min(max(now_ns - opens_ns + again_ns, 0), again_ns)
            exchange.window_ns += min(max(now_ns - opens_ns, 0), self._ack_ns)

    # --- ends ------------------------------------------------------------------------------------------

    def _end_exchange(self, exchange: _Exchange, at_ns: int, is_ok: bool) -> None:
        del self._exchanges[exchange.src]
        extra_j = exchange.sent_ns * self._extra_w + exchange.window_ns * self._listen_w
        extra_j = (extra_j + exchange.woken_ns * self._wake_w) / NS_PER_S
        packets = exchange.acknowledged + exchange.has_ended
        counts = packets, exchange.attempts, exchange.wire_bytes, exchange.air_ns
        service_s = max(at_ns - exchange.begun_ns, 0) / NS_PER_S
        ends = exchange.src, exchange.size_bytes
        self._end(Delivery(exchange.transfer, exchange.gateway, at_ns, is_ok, *counts, *ends, service_s, extra_j))

    def _go_down(self, now_ns: int, node: NodeId) -> None:
        super()._go_down(now_ns, node)
        ended = [exchange for exchange in self._exchanges.values() if node in (exchange.src, exchange.gateway)]
        if ended:
            self._log.cut(frozenset(exchange.serial + 2 for exchange in ended), now_ns)
        for exchange in ended:
            self._count_attempt(exchange, now_ns)
            self._end_exchange(exchange, now_ns, False)
        for src, waiting in self._waiting.items():
            kept = deque[_Unsent]()
            for transfer, dst, size_bytes in waiting:
                if there := self._reachable(now_ns, transfer, src, dst, size_bytes):
                    kept.append((transfer, there, size_bytes))
            self._waiting[src] = kept
        for exchange in ended:
            self._serve(now_ns, exchange.src)

    # --- what it costs and what it did -------------------------------------------------------------------

    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the cost; of a confirmed message, that of one whose frames and acknowledgements all arrive."""
        if src in self._gateways or dst not in self._gateways:
            return super()._cost(quantity, src, dst)
        if quantity in ("bit", "packet"):
            constants = {"bit": (0.0, 16.0 * self._overhead_bytes, 1.0), "packet": (0.0, 1.0, 0.0)}
            return stream_cost(quantity, constants, self._payload_bytes)
        airtime_ns = np.array(self._airtime_ns, np.float64)
        if quantity == "s":
            each = self._lead_ns + float(ACK_DELAY_NS + self._ack_ns)
            stride, once, scale = max(self._airtime_ns[-1] + each, self._pause_ns[-1]), self._windows_ns[src] / 2, 1.0
        else:
            is_paid, scale = self._does_sleep(src), self._extra_w
            each = is_paid * (self._ack_ns * self._listen_w + (self._lead_ns + self._window_lead_ns) * self._wake_w)
            stride, once = self._airtime_ns[-1] * scale + each, 0.0

        def lone(size: Int64s) -> npt.ArrayLike:
            more = (size - 1) // self._payload_bytes
            last_ns = airtime_ns[size - more * self._payload_bytes + self._overhead_bytes]
            return np.asarray((more * stride + last_ns * scale + each + once) / NS_PER_S)

        return byte_cost(quantity, lone)

    def _is_to_change(self, at_ns: int) -> bool:
        # Repeats may follow.
        next_ns = self._next_ns()
        return next_ns is not None and next_ns <= at_ns
