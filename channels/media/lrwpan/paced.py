"""Contending nodes whose radios follow a schedule or take time to wake: messages wait before they contend."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping
from copy import copy

import numpy as np

from channels.costing.models import FunctionCost, Int64s, StructuredCost
from channels.media.lrwpan.csma.nodes import ContendingNodes
from channels.media.radio_books import RadioPolicy, wake_power_w
from channels.media.roster import Members, Roster
from channels.media.states import IDLE, LISTEN, SLEEP
from netsim.interfaces import CostModel, Delivery, Frame, FrameSink, NodeId, TransferId, Usage
from netsim.units import NS_PER_S


@dataclasses.dataclass(eq=False)
class _Waiting:
    """A message that is not in its sender's queue yet: its radios wake, or its window is to come."""

    transfer: TransferId
    src: NodeId
    dst: tuple[NodeId, ...]
    size_bytes: int
    submit_ns: int
    begin_ns: int


class Renamed:
    """A frame sink that gives transfers of the inner medium the numbers under which they were submitted."""

    def __init__(self, frames: FrameSink) -> None:
        self.frames: FrameSink | None = frames
        self.names: dict[TransferId, TransferId] = {}

    def add(self, frame: Frame) -> None:
        """See `netsim.interfaces.FrameSink`."""
        if self.frames is not None:
            self.frames.add(frame._replace(transfer=self.names[frame.transfer]))


class PacedNodes(Roster):
    """Lets messages into `csma.nodes.ContendingNodes` when a policy says so, and keeps the radios' books.

    Parameters
    ----------
    inner
        The same ones, whose radios sleep while they take part in nothing; nothing was submitted yet.
    policy
        Of every node.
    sink
        The frames of `inner`; None where nobody looks.

    Notes
    -----
    From one change of the schedule, submission or hand-over to the next a radio outside of `inner` does one thing:
    it sleeps, listens or wakes. So its time in that state is what `inner` leaves of the interval.
    """

    broadcasts = True

    def __init__(
        self, members: Members, inner: ContendingNodes, policy: RadioPolicy, sink: Renamed | None = None
    ) -> None:
        super().__init__(members, "radio")
        self._inner, self._policy, self._sink = inner, policy, sink
        self._wake_w = self._power_w["idle"] = wake_power_w(policy, self._power_w)
        self._base_w = self._power_w["sleep"]
        self._waiting = deque[_Waiting]()
        self._under_way: dict[TransferId, _Waiting] = {}
        self._left: dict[TransferId, int] = {}
        self._at_ns = 0
        self._is_up = np.ones(len(self._row), np.bool_)
        # Of each radio: time awake in `inner` (None: not computed), and listening and waking outside of it.
        self._awake_ns: Int64s | None = None
        self._listen_ns, self._wake_ns = np.zeros((2, len(self._row)), np.int64)

    # --- messages ------------------------------------------------------------------------------------

    def _take(self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> None:
        self._run(now_ns)
        if there := self._reachable(now_ns, transfer, src, dst, size_bytes):
            begin_ns = self._policy.next_start_ns(now_ns) + self._policy.lead_ns
            self._waiting.append(_Waiting(transfer, src, there, size_bytes, now_ns, begin_ns))
        self._run(now_ns)

    def _give_up(self, message: _Waiting, node: NodeId, now_ns: int) -> None:
        """End one destination of a message that has not begun."""
        waking_ns = now_ns - message.begin_ns + self._policy.lead_ns
        energy_j = max(waking_ns, 0) / NS_PER_S * (self._wake_w - self._base_w)
        ends = message.src, message.size_bytes
        self._end(Delivery(message.transfer, node, now_ns, False, 0, 0, 0, 0, *ends, 0.0, energy_j))
        message.dst = tuple(n for n in message.dst if n != node)
        if not message.dst:
            self._waiting.remove(message)

    # --- time ------------------------------------------------------------------------------------------

    def _next_ns(self) -> int | None:
        inner_ns = self._inner.next_event_ns()
        if not self._waiting or inner_ns is None:
            return self._waiting[0].begin_ns if self._waiting else inner_ns
        return min(self._waiting[0].begin_ns, inner_ns)

    def _run(self, to_ns: int) -> None:
        """Handle all events up to and at `to_ns`."""
        inner, policy = self._inner, self._policy
        while True:
            while self._waiting and self._waiting[0].begin_ns <= self._at_ns:
                message = self._waiting.popleft()
                transfer = inner.submit(message.begin_ns, message.src, message.dst, message.size_bytes)
                self._under_way[transfer], self._left[transfer] = message, len(message.dst)
                if self._sink is not None:
                    self._sink.names[transfer] = message.transfer
            if self._at_ns >= to_ns:
                # A node that goes down ends messages at that very instant.
                self._go_on(self._at_ns)
                return
            start_ns, end_ns = self._at_ns, min([to_ns, *(message.begin_ns for message in self._waiting)])
            change_ns = policy.next_change_ns(start_ns)
            if change_ns is None and not self._waiting:
                # Outside of `inner` everybody sleeps.
                self._go_on(end_ns)
                self._awake_ns, self._at_ns = None, end_ns
                continue
            was_awake_ns = self._awake_at(start_ns) if self._awake_ns is None else self._awake_ns
            is_quiet = (
                change_ns is not None
                and inner.next_event_ns() is None
                and np.array_equal(self._awake_at(end_ns), was_awake_ns)
            )
            if change_ns is not None and not is_quiet:
                end_ns = min(end_ns, change_ns)
            self._go_on(end_ns)
            awake_ns = self._awake_at(end_ns)
            rest_ns = (end_ns - start_ns - (awake_ns - was_awake_ns)) * self._is_up
            self._awake_ns, self._at_ns = awake_ns, end_ns
            before, after = policy.rest_ns(start_ns), policy.rest_ns(end_ns)
            for total_ns, scheduled_ns in zip(
                (self._listen_ns, self._wake_ns), (after[0] - before[0], after[1] - before[1]), strict=True
            ):
                # Where nobody takes part in anything the schedule may change in between.
                total_ns += scheduled_ns * self._is_up if is_quiet else rest_ns * (scheduled_ns > 0)
            if policy.lead_ns:
                waking = {self._row[node] for message in self._waiting for node in (message.src, *message.dst)}
                for row in waking:
                    self._wake_ns[row] += rest_ns[row]

    def _go_on(self, to_ns: int) -> None:
        for delivery in self._inner.advance(to_ns):
            self._end(self._told(delivery))

    def _awake_at(self, at_ns: int) -> Int64s:
        return np.asarray(at_ns - self._inner.usage(at_ns).state_ns[:, SLEEP])

    def _told(self, delivery: Delivery) -> Delivery:
        """Return a delivery of `inner` as its sender sees it."""
        message = self._under_way[delivery.transfer]
        self._left[delivery.transfer] -= 1
        if not self._left[delivery.transfer]:
            del self._under_way[delivery.transfer], self._left[delivery.transfer]
        waited_s = (message.begin_ns - message.submit_ns) / NS_PER_S if delivery.ok else 0.0
        lead_j = self._policy.lead_ns / NS_PER_S * (self._wake_w - self._base_w)
        return delivery._replace(
            transfer=message.transfer, service_s=delivery.service_s + waited_s, energy_j=delivery.energy_j + lead_j
        )

    # --- nodes that go down ------------------------------------------------------------------------------

    def _come_up(self, now_ns: int, node: NodeId, since_ns: int) -> None:
        self._inner.set_up(now_ns, node, True)
        self._is_up[self._row[node]] = True

    def _go_down(self, now_ns: int, node: NodeId) -> None:
        self._inner.set_up(now_ns, node, False)
        self._is_up[self._row[node]] = False
        for message in list(self._waiting):
            for lost in self._lost(message.src, message.dst):
                self._give_up(message, lost, now_ns)

    # --- what it costs and what it did ---------------------------------------------------------------------

    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the cost: without contention and loss, submitted at any instant of a period."""
        lone, lead_s = self._inner.cost(quantity, src, dst), self._policy.lead_ns / NS_PER_S
        more = {"s": lead_s + self._policy.mean_wait_s, "j": lead_s * (self._wake_w - self._base_w)}.get(quantity, 0.0)
        if lone.structure is not None:
            structure = dataclasses.replace(lone.structure, c0=lone.structure.c0 + more)
            return StructuredCost(structure, "message", quantity)
        return FunctionCost(lambda message_bit: lone(message_bit) + more, quantity)

    def offered_load(self) -> float:
        """See `netsim.interfaces.Contends`: once awake, nodes contend as those that are always on."""
        return self._inner.offered_load()

    def _is_to_change(self, at_ns: int) -> bool:
        return at_ns > self._at_ns

    def _used(self, at_ns: int) -> Usage:
        usage = self._inner.usage(at_ns)
        state_ns = usage.state_ns.copy()
        state_ns[:, LISTEN] += self._listen_ns
        state_ns[:, IDLE] += self._wake_ns
        state_ns[:, SLEEP] -= self._listen_ns + self._wake_ns
        return dataclasses.replace(usage, state_ns=state_ns, energy_j=state_ns / NS_PER_S * [*self._power_w.values()])

    def _copy(self) -> PacedNodes:
        """Return another one that goes on by itself, shows no frames and tells no delivery."""
        other = copy(self)
        other._inner, other._sink = self._inner._copy(), None
        other._waiting = deque(dataclasses.replace(message) for message in self._waiting)
        other._under_way, other._left = self._under_way.copy(), self._left.copy()
        other._due, other._listen_ns, other._wake_ns = [], self._listen_ns.copy(), self._wake_ns.copy()
        return other

    def counters(self) -> Mapping[str, Int64s]:
        """See `channels.media.lrwpan.csma.nodes.ContendingNodes.counters`."""
        return self._inner.counters()
