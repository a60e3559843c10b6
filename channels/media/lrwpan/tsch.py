"""Time slots that nodes own in turn: the medium of ``mac: tsch``."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from channels.media.lrwpan import timing as t
from channels.media.lrwpan.backoff import words
from channels.media.lrwpan.cost import slot_cost
from channels.media.lrwpan.framing import Framing, frames_of
from channels.media.lrwpan.reach import Reach
from channels.media.radio_books import RadioPolicy, wake_power_w
from channels.media.roster import Members, Roster
from channels.media.states import IDLE, LISTEN, RX, SLEEP, TX
from netsim.errors import SimulationError
from netsim.interfaces import BROADCAST, STATES, CostModel, Delivery, Frame, NodeId, TransferId, Usage
from netsim.units import NS_PER_S

_LOSS_KEY = 0x9E3779B97F4A7C15


class Span(NamedTuple):
    """A node is in a state for some time; `sign` -1 takes back what was counted otherwise."""

    node: NodeId
    state: int
    start_ns: int
    end_ns: int
    sign: int = 1


class Shot(NamedTuple):
    """One transmission: in which slot, which frame, to whom (None: to all), and who got it."""

    start_ns: int
    frame: int
    target: NodeId | None
    number: int
    attempt: int
    got: tuple[NodeId, ...]


@dataclass(eq=False)
class Parcel:
    """One message, its transmissions so far and the planned ones."""

    transfer: TransferId
    src: NodeId
    dst: tuple[NodeId, ...]
    size_bytes: int
    octets: list[int]
    submit_ns: int
    start_ns: int = 0
    shots: list[Shot] = field(default_factory=list)
    frame: int = 0
    attempt: int = 0
    target: NodeId | None = None
    missing: list[NodeId] = field(default_factory=list)
    lost: set[NodeId] = field(default_factory=set)
    arrived: dict[NodeId, int] = field(default_factory=dict)
    told: set[NodeId] = field(default_factory=set)
    counted: int = 0
    reported: int = 0
    shown: set[tuple[int, int]] = field(default_factory=set)


class SlottedCell(Roster):
    """A cell whose nodes own the slots of a slotframe in turn; see `channels.links.ieee802154` for the rules.

    Parameters
    ----------
    members
        Those that are not servers own one slot each, in the order given.
    server_cells
        Slots behind them that belong to the servers, in turn.
    slot_ns
        Length of a slot.
    framing, reach, key
        As of `channels.media.lrwpan.csma.nodes.ContendingNodes`.
    per, reliable
        The link's keys.
    retries
        How often a frame is sent again without `reliable`.
    policy
        Whether a radio sleeps where its slots leave it nothing to do, and what waking it takes: once in every slot in
        which it does anything, before the first of it.
    """

    broadcasts = True

    def __init__(
        self, members: Members, server_cells: int, slot_ns: int, framing: Framing, reach: Reach, key: int, per: float,
        reliable: bool, retries: int, policy: RadioPolicy,
    ) -> None:  # fmt: skip
        super().__init__(members, "radio")
        self._servers = tuple(node.id for node in members.nodes if node.is_server)
        owners = [node.id for node in members.nodes if not node.is_server]
        owners += [self._servers[i % len(self._servers)] for i in range(server_cells)] if self._servers else []
        self._owners, self._slot_ns = tuple(owners), slot_ns
        self._cells = {node: [i for i, owner in enumerate(owners) if owner == node] for node in self._row}
        self._framing, self._reach, self._key = framing, reach, key
        self._per, self._reliable, self._tries = per, reliable, retries + 1
        self._sleeps, self._lead_ns = policy.sleeps, policy.lead_ns
        self._clear = reach.clear()
        if self._sleeps:
            self._power_w["idle"] = wake_power_w(policy, self._power_w)  # the state idle occurs only while it wakes
        self._queues: dict[NodeId, deque[Parcel]] = {node: deque() for node in self._row}
        self._free_ns = dict.fromkeys(self._row, 0)
        self._state_ns = np.zeros((len(self._row), len(STATES)), np.int64)
        self._sent = np.zeros((2, len(self._row)), np.int64)
        # Since when each node is up.
        self._since = dict.fromkeys(self._row, 0)
        servers = self._servers
        self._listens = {
            node: [i for i, o in enumerate(owners) if o != node and (not servers or node in servers or o in servers)]
            for node in self._row
        }

    # --- messages --------------------------------------------------------------------------------------

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        """See `channels.media.roster.Roster.submit`; a SimulationError where the sender owns no slot, too."""
        if src in self._row and not self._cells[src]:
            raise SimulationError(f"node {src} is a server that owns no slot; server_cells of at least 1 gives it one")
        return super().submit(now_ns, src, dst, size_bytes)

    def _take(self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> None:
        self._run(now_ns)
        targets = tuple(sorted(dst))
        parcel = Parcel(transfer, src, targets, size_bytes, frames_of(self._framing, size_bytes), now_ns)
        parcel.told.update(set(dst).difference(self._reachable(now_ns, transfer, src, dst, size_bytes)))
        if len(parcel.told) < len(targets):
            queue = self._queues[src]
            free_ns = self._end_ns(queue[-1]) if queue else max(self._free_ns[src], now_ns)
            queue.append(parcel)
            self._schedule(parcel, free_ns, now_ns)

    def _next_ns(self) -> int | None:
        times = list[int]()
        for queue in self._queues.values():
            parcel = next((p for p in queue if len(p.told) < len(p.dst)), None)
            if parcel is not None:
                times += [at for node, at in parcel.arrived.items() if node not in parcel.told]
                if len(parcel.told | parcel.arrived.keys()) < len(parcel.dst):
                    times.append(self._end_ns(parcel))
        return min(times, default=None)

    def _run(self, to_ns: int) -> None:
        shown = list[Frame]()
        for src, queue in self._queues.items():
            while queue:
                parcel = queue[0]
                ready = [
                    s for s in parcel.shots[parcel.counted :] if self._frame_end(parcel, s) + self._tail(s) <= to_ns
                ]
                for node, at_ns in parcel.arrived.items():
                    if at_ns <= to_ns and node not in parcel.told:
                        self._tell(parcel, node, at_ns, True)
                if self._frames is not None:
                    shown += self._frames_until(parcel, to_ns)
                parcel.counted += len(ready)
                for shot in ready:
                    self._book(self._state_ns, self._sent, parcel, shot, to_ns)
                if self._end_ns(parcel) > to_ns:
                    break
                for node in parcel.dst:
                    if node not in parcel.told:
                        self._tell(parcel, node, self._end_ns(parcel), False)
                self._free_ns[src] = self._end_ns(parcel)
                queue.popleft()
        if self._frames is not None:
            for frame in sorted(shown):
                self._frames.add(frame)

    def _plan(self, src: NodeId, now_ns: int) -> None:
        """Give the queue's messages the slots from `now_ns` on; what has begun stays."""
        free_ns = max(self._free_ns[src], now_ns)
        for place, parcel in enumerate(self._queues[src]):
            if place and any(shot.start_ns < free_ns for shot in parcel.shots):
                self._cut(parcel, now_ns)  # the message before it has these slots now
            if parcel.shots:
                free_ns = max(self._free_ns[src], self._slot_end(parcel.shots[-1]))
            self._schedule(parcel, free_ns, now_ns)
            free_ns = self._end_ns(parcel)

    def _schedule(self, parcel: Parcel, free_ns: int, now_ns: int) -> None:
        """Give a message its sender's slots from `free_ns` on, when those before it are through, and from now on."""
        if not parcel.shots:
            parcel.start_ns = max(free_ns, parcel.submit_ns)
        cell_ns = self._next_cell(parcel.src, max(free_ns, now_ns, parcel.submit_ns))
        while parcel.frame < len(parcel.octets) and any(n not in self._down for n in parcel.dst):
            self._apply(parcel, self._shoot(parcel, cell_ns))
            cell_ns = self._next_cell(parcel.src, cell_ns + 1)

    def _next_cell(self, src: NodeId, from_ns: int) -> int:
        """Return the start of the node's first slot from `from_ns` on."""
        length = len(self._owners)
        first = -(-from_ns // self._slot_ns)
        return min(first + (cell - first) % length for cell in self._cells[src]) * self._slot_ns

    def _shoot(self, parcel: Parcel, cell_ns: int) -> Shot:
        number, target = len(parcel.shots), parcel.dst[0] if len(parcel.dst) == 1 else parcel.target
        targets = parcel.dst if target is None else (target,)
        got = tuple(node for node in targets if node not in self._down and self._arrives(parcel, node, number))
        return Shot(cell_ns, parcel.frame, target, number, parcel.attempt + 1, got)

    def _arrives(self, parcel: Parcel, node: NodeId, number: int) -> bool:
        p = 1.0 - self._per
        if not self._reach.is_everyone:
            a, b = self._row[parcel.src], self._row[node]
            if not self._reach.hears[a, b]:
                return False
            p *= math.exp(8 * parcel.octets[parcel.frame] * float(self._clear[a, b]))
        if p >= 1.0:
            return True
        word = words(self._key ^ _LOSS_KEY, parcel.transfer, number << 32 | self._row[node])[0]
        return word * 2.0**-32 < p

    def _apply(self, parcel: Parcel, shot: Shot) -> None:
        """Apply what a transmission changes: the frame, the target, the nodes that lost a frame."""
        parcel.shots.append(shot)
        parcel.attempt += 1
        parcel.target = shot.target
        if shot.frame == len(parcel.octets) - 1:
            at_ns = self._frame_end(parcel, shot)
            parcel.arrived.update({node: at_ns for node in shot.got if node not in parcel.lost})
        if shot.target is None:
            parcel.missing = [node for node in parcel.dst if node not in shot.got]
            if not self._reliable:
                parcel.lost.update(parcel.missing)
            parcel.missing = [node for node in parcel.missing if self._reliable and self._can_reach(parcel, node)]
        else:
            reliable = self._reliable and self._can_reach(parcel, shot.target)
            if not shot.got and (reliable or parcel.attempt < self._tries):
                return
            if not shot.got:
                parcel.lost.add(shot.target)
            parcel.missing = [node for node in parcel.missing if node != shot.target]
        parcel.attempt = 0
        parcel.target = parcel.missing[0] if parcel.missing else None
        if parcel.target is None:
            has = {node for s in parcel.shots if s.frame == parcel.frame for node in s.got}
            parcel.lost.update(node for node in parcel.dst if node not in has)
            parcel.frame += 1

    def _can_reach(self, parcel: Parcel, node: NodeId) -> bool:
        is_near = self._reach.is_everyone or bool(self._reach.hears[self._row[parcel.src], self._row[node]])
        return is_near and node not in self._down

    # --- instants -------------------------------------------------------------------------------------------

    def _frame_end(self, parcel: Parcel, shot: Shot) -> int:
        return shot.start_ns + t.FRAME_NS + parcel.octets[shot.frame] * t.OCTET_NS

    def _tail(self, shot: Shot) -> int:
        """Return the time from the end of a frame to the end of its acknowledgement, or of waiting for it."""
        if shot.target is None:
            return 0
        return t.TX_ACK_DELAY_NS - t.SHR_NS + t.ACK_NS if shot.got else t.RX_ACK_DELAY_NS + t.ACK_WAIT_NS

    def _slot_end(self, shot: Shot) -> int:
        return shot.start_ns + self._slot_ns

    def _end_ns(self, parcel: Parcel) -> int:
        """Return when the message's last slot ends."""
        return self._slot_end(parcel.shots[-1]) if parcel.shots else parcel.start_ns

    # --- what is told ------------------------------------------------------------------------------------------

    def _tell(self, parcel: Parcel, node: NodeId, at_ns: int, is_ok: bool) -> None:
        """End one destination; the first one tells all that was sent by then, a later one what came since."""
        done = [s for s in parcel.shots if self._frame_end(parcel, s) <= at_ns]
        fresh = done[parcel.reported :]
        parcel.reported = len(done)
        acks = sum(1 for s in fresh if s.target is not None and s.got)
        octets = sum(parcel.octets[s.frame] for s in fresh)
        packets = len({s.frame for s in done}) if not parcel.told else 0
        parcel.told.add(node)
        self._end(Delivery(
            parcel.transfer, node, at_ns, is_ok, packets, max(len(fresh), packets), octets + acks * t.ACK_OCTETS,
            octets * t.OCTET_NS + acks * t.ACK_NS, parcel.src, parcel.size_bytes,
            (at_ns - parcel.start_ns) / NS_PER_S if is_ok else 0.0, self._extra_j(parcel, done),
        ))  # fmt: skip

    def _extra_j(self, parcel: Parcel, shots: Sequence[Shot]) -> float:
        """Return the sender's joules beyond those of the state in which it would have spent the time."""
        idle = self._power_w["sleep" if self._sleeps else "idle"]
        joules = 0.0
        for shot in shots:
            for span in self._spans(parcel, shot):
                if span.node == parcel.src and span.sign > 0:
                    joules += (self._power_w[STATES[span.state]] - idle) * (span.end_ns - span.start_ns) / NS_PER_S
        return joules

    def _spans(self, parcel: Parcel, shot: Shot) -> Iterator[Span]:
        """Yield what the radios do for a transmission."""
        start_ns, end_ns = shot.start_ns + t.FRAME_NS, self._frame_end(parcel, shot)
        yield Span(parcel.src, IDLE, start_ns - self._lead_ns, start_ns)
        yield Span(parcel.src, TX, start_ns, end_ns)
        window_ns = shot.start_ns + t.WINDOW_NS
        cell = shot.start_ns // self._slot_ns % len(self._owners)
        for node in parcel.dst if shot.target is None else (shot.target,):
            if node in self._down:
                continue
            if cell in self._listens[node]:
                yield Span(node, LISTEN, window_ns, window_ns + t.RX_WAIT_NS, -1)
            else:
                yield Span(node, IDLE, window_ns - self._lead_ns, window_ns)
            yield Span(node, LISTEN, window_ns, start_ns)
            yield Span(node, RX, start_ns, end_ns)
        if shot.target is None:
            return
        ack_ns = end_ns + t.TX_ACK_DELAY_NS - t.SHR_NS
        yield Span(parcel.src, LISTEN, end_ns + t.RX_ACK_DELAY_NS, ack_ns if shot.got else end_ns + t.RX_ACK_DELAY_NS
                   + t.ACK_WAIT_NS)  # fmt: skip
        if shot.got:
            yield Span(parcel.src, RX, ack_ns, ack_ns + t.ACK_NS)
            yield Span(shot.target, TX, ack_ns, ack_ns + t.ACK_NS)

    def _book(
        self, state_ns: npt.NDArray[np.int64], sent: npt.NDArray[np.int64], parcel: Parcel, shot: Shot, at_ns: int
    ) -> None:
        for span in self._spans(parcel, shot):
            state_ns[self._row[span.node], span.state] += span.sign * max(min(span.end_ns, at_ns) - span.start_ns, 0)
        if self._frame_end(parcel, shot) <= at_ns:
            sent[:, self._row[parcel.src]] += (parcel.octets[shot.frame], 1)
        if shot.target is not None and shot.got and self._frame_end(parcel, shot) + self._tail(shot) <= at_ns:
            sent[:, self._row[shot.target]] += (t.ACK_OCTETS, 1)

    def _frames_until(self, parcel: Parcel, to_ns: int) -> Iterator[Frame]:
        """Yield the frames that begin by `to_ns` and were not shown before."""
        shown = parcel.shown
        for shot in parcel.shots:
            start_ns, end_ns = shot.start_ns + t.FRAME_NS, self._frame_end(parcel, shot)
            if start_ns <= to_ns and (shot.number, 0) not in shown:
                shown.add((shot.number, 0))
                offset, length = self._framing.part(parcel.size_bytes, shot.frame)
                to = BROADCAST if shot.target is None else shot.target
                yield Frame(start_ns, parcel.src, to, parcel.transfer, offset, length, shot.attempt, "data")
            ack_ns = end_ns + t.TX_ACK_DELAY_NS - t.SHR_NS
            if shot.target is not None and shot.got and ack_ns <= to_ns and (shot.number, 1) not in shown:
                shown.add((shot.number, 1))
                yield Frame(ack_ns, shot.target, parcel.src, parcel.transfer, 0, 0, shot.attempt, "ack")

    # --- nodes that go down ----------------------------------------------------------------------------------------

    def _come_up(self, now_ns: int, node: NodeId, since_ns: int) -> None:
        super()._come_up(now_ns, node, since_ns)
        self._since[node] = now_ns

    def _go_down(self, now_ns: int, node: NodeId) -> None:
        """End messages from and for the node; what it sends in the slot that is cut counts for nothing."""
        del self._down[node]  # it is up in the slot that is cut, and down in all that are planned below
        for src, queue in self._queues.items():
            for parcel in list(queue):
                if src != node and node not in parcel.dst:
                    continue
                self._cut(parcel, now_ns)
                for lost in parcel.dst if src == node else (node,):
                    if lost not in parcel.told:
                        parcel.arrived.pop(lost, None)
                        self._tell(parcel, lost, now_ns, False)
                parcel.missing = [n for n in parcel.missing if n != node]
                if parcel.target == node:
                    parcel.target, parcel.attempt = (parcel.missing[0] if parcel.missing else None), 0
                    if parcel.target is None and len(parcel.dst) > 1 and parcel.shots:
                        parcel.frame += 1
                if src == node or all(n == node or n in self._down for n in parcel.dst):
                    queue.remove(parcel)
        self._listen(self._state_ns, node, now_ns)
        self._down[node] = now_ns
        for src in self._queues:
            self._plan(src, now_ns)

    def _cut(self, parcel: Parcel, now_ns: int) -> None:
        """Take back what is not over yet."""
        for shot in parcel.shots[parcel.counted :]:
            if shot.start_ns < now_ns:
                self._book(self._state_ns, self._sent, parcel, shot, now_ns)
        kept = parcel.shots[: parcel.counted]
        parcel.shots, parcel.frame, parcel.attempt, parcel.target, parcel.missing = [], 0, 0, None, []
        parcel.lost, parcel.arrived = set(), {}
        for shot in kept:
            self._apply(parcel, shot)

    # --- what it costs and what it did ---------------------------------------------------------------------

    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the cost: submitted at any instant of a slotframe, without loss."""
        cycle_ns = len(self._owners) * self._slot_ns / max(len(self._cells[src]), 1)
        base_w = self._power_w["sleep" if self._sleeps else "idle"]
        return slot_cost(quantity, self._framing, self._power_w, base_w, self._lead_ns, cycle_ns)

    def _used(self, at_ns: int) -> Usage:
        state_ns, sent = self._state_ns.copy(), self._sent.copy()
        for queue in self._queues.values():
            for parcel in queue:
                for shot in parcel.shots[parcel.counted :]:
                    if shot.start_ns < at_ns:
                        self._book(state_ns, sent, parcel, shot, at_ns)
        for node in self._row:
            if node not in self._down:
                self._listen(state_ns, node, at_ns)
        return self._usage(at_ns, state_ns, sent[0], sent[1], SLEEP if self._sleeps else LISTEN)

    def _listen(self, state_ns: npt.NDArray[np.int64], node: NodeId, at_ns: int) -> None:
        """Add what a node that is up listened and woke in other nodes' slots as if nobody sent to it."""
        if self._sleeps:
            for state, begin_ns, length_ns in (
                (LISTEN, t.WINDOW_NS, t.RX_WAIT_NS), (IDLE, t.WINDOW_NS - self._lead_ns, self._lead_ns),
            ):  # fmt: skip
                before_ns = self._windows_ns(node, self._since[node], begin_ns, length_ns)
                state_ns[self._row[node], state] += self._windows_ns(node, at_ns, begin_ns, length_ns) - before_ns

    def _windows_ns(self, node: NodeId, at_ns: int, begin_ns: int, length_ns: int) -> int:
        """Return how much of such windows, one in each slot in which the node listens, lies before an instant."""
        cells, length = self._listens[node], len(self._owners)
        turns, rest_ns = divmod(at_ns, length * self._slot_ns)
        total_ns = turns * len(cells) * length_ns
        for cell in cells:
            total_ns += min(max(rest_ns - cell * self._slot_ns - begin_ns, 0), length_ns)
        return total_ns
