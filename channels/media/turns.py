"""One medium that nodes have in turn: the medium of `channels.links.tdma`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from channels.costing.models import stream_cost
from channels.media.busy import BusyLog
from channels.media.radio_books import RadioPolicy, wake_power_w
from channels.media.roster import Members, Roster
from channels.media.states import IDLE, RX, SLEEP, TX
from channels.media.turn_heads import Heads, Message
from netsim.interfaces import BROADCAST, STATES, CostModel, Delivery, Frame, NodeId, TransferId, Usage
from netsim.units import NS_PER_S, serialisation_ns

_SETTLE_EVERY = 256


class _Slot(NamedTuple):
    """The slot in progress."""

    message: Message
    start_ns: int
    end_ns: int


class _Rise(NamedTuple):
    """A radio before a slot: it wakes, or stays awake since its last slot."""

    start_ns: int
    waking_ns: int
    staying_ns: int
    is_sender: bool

    @property
    def begin_ns(self) -> int:
        return self.start_ns - self.waking_ns - self.staying_ns

    def until(self, at_ns: int) -> tuple[int, int]:
        """Return the nanoseconds of waking and of staying awake up to an instant."""
        awake_ns = max(at_ns - self.begin_ns, 0)
        return min(awake_ns, self.waking_ns), min(awake_ns, self.staying_ns)


class Rounds(Roster):
    """See `channels.links.tdma` for the rules.

    Parameters
    ----------
    members
        Turns are in order of the nodes' ids, and a frame is a slot.
    rate_bps, slot_ns, guard_ns, poll_ns, overhead_bytes, policy
        The link's keys; `poll_ns` is `slot_ns` where turns are fixed.
    is_fixed
        Whether every slot lasts `slot_ns`, however little is sent in it.
    slot_bytes
        Of a message in a slot.
    """

    broadcasts = True

    def __init__(
        self, members: Members, rate_bps: float, slot_ns: int, guard_ns: int, poll_ns: int, is_fixed: bool,
        slot_bytes: int, overhead_bytes: int, policy: RadioPolicy,
    ) -> None:  # fmt: skip
        super().__init__(members._replace(nodes=sorted(members.nodes, key=lambda node: node.id)), "port")
        self._rate_bps, self._guard_ns, self._poll_ns, self._is_fixed = rate_bps, guard_ns, poll_ns, is_fixed
        self._slot_bytes, self._overhead_bytes = slot_bytes, overhead_bytes
        self._full_ns = serialisation_ns(slot_bytes + overhead_bytes, rate_bps)
        self._turn_ns = slot_ns if is_fixed else self._full_ns + guard_ns
        sleeps, self._lead_ns = policy.sleeps, policy.lead_ns
        self._rest = SLEEP if sleeps else IDLE
        self._wake_w, base_w = wake_power_w(policy, self._power_w), self._power_w[STATES[self._rest]]
        self._extra_w = self._power_w["tx"] - base_w
        # Beyond resting, of a radio that wakes and of one that stays awake.
        self._waking_w, self._staying_w = self._wake_w - base_w, self._power_w["idle"] - base_w
        self._log = BusyLog(2 * len(self._row))
        self._queues: list[deque[Message]] = [deque() for _ in self._row]
        self._waiting = self._serials = self._ran_ns = 0
        # The next turn's node, when it begins, and how many turns were before it.
        self._turn, self._turn_at_ns, self._turns = 0, 0, 0
        self._heads = Heads(len(self._row))
        self._slot: _Slot | None = None
        # Of each radio: the end of its last slot, how long it woke and stayed awake, and (in a copy) its next slot.
        self._used_ns = [-self._lead_ns] * len(self._row)
        self._woke_ns, self._stayed_ns = np.zeros((2, len(self._row)), np.int64)
        self._rises: dict[int, _Rise] | None = None

    # --- messages ------------------------------------------------------------------------------------

    def _take(self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> None:
        self._run(now_ns)
        message = Message(transfer, self._serials, src, dst, size_bytes, now_ns, now_ns + self._lead_ns)
        self._serials += 1 + len(dst)
        message.dst = self._reachable(now_ns, transfer, src, dst, size_bytes)
        if message.dst:
            if not self._waiting:
                self._skip_idle(message.ready_ns)
            place = self._row[src]
            self._queues[place].append(message)
            self._waiting += 1
            if len(self._queues[place]) == 1:
                self._plan(place)
        if not transfer % _SETTLE_EVERY:
            self._log.settle(self._ran_ns)

    def _skip_idle(self, ready_ns: int) -> None:
        """Pass over the turns before `ready_ns`, at which the first message may be sent."""
        if self._turn_at_ns < ready_ns:
            before = self._turn
            self._turn, self._turn_at_ns = self._passed_over(before, self._turn_at_ns, ready_ns)
            self._turns += (self._turn - before) % len(self._row)

    def _plan(self, place: int) -> None:
        """Note that a node has a new first message or none, and where nobody sleeps in which turn that one ends."""
        queue, last_turn = self._queues[place], -1
        if queue and not self._lead_ns:
            more = (queue[0].size_bytes - queue[0].sent_bytes - 1) // self._slot_bytes
            last_turn = self._turns + (place - self._turn) % len(self._row) + more * len(self._row)
        self._heads.set(place, queue[0] if queue else None, last_turn)

    def _passed_over(self, turn: int, at_ns: int, ready_ns: int) -> tuple[int, int]:
        """Return the first turn from `ready_ns` on, and when it begins; at the earlier `at_ns` it is `turn`."""
        if not self._poll_ns:
            return turn, ready_ns
        passed = -((at_ns - ready_ns) // self._poll_ns)
        return (turn + passed) % len(self._row), at_ns + passed * self._poll_ns

    # --- time ------------------------------------------------------------------------------------------

    def _next_ns(self) -> int | None:
        """Return when the next message ends if none comes."""
        if self._slot is not None and self._slot.message.sent_bytes == self._slot.message.size_bytes:
            return self._slot.end_ns
        return self._first_end_ns() if self._waiting else None

    def _first_end_ns(self) -> int:
        """Return when the first message ends; until then nodes keep their places, and all slots before are full."""
        if not self._lead_ns:
            return self._end_of_turn_ns(*self._heads.first_to_end())
        heads = [queue[0] if queue else None for queue in self._queues]
        turn, reach_ns, best_ns = self._turn, self._turn_at_ns, -1
        ahead: dict[Message, int] = {}
        while any(head and head.ready_ns > reach_ns for head in heads):
            # Turn by turn until everybody is awake; `ahead` has the bytes that are sent by then.
            ready_ns, head = min(head.ready_ns for head in heads if head), heads[turn]
            if ready_ns > reach_ns:
                turn, reach_ns = self._passed_over(turn, reach_ns, ready_ns)
                continue
            if head is None or head.ready_ns > reach_ns:
                reach_ns += self._poll_ns
            else:
                left = head.size_bytes - head.sent_bytes - ahead.get(head, 0)
                if left <= self._slot_bytes:
                    return reach_ns + serialisation_ns(left + self._overhead_bytes, self._rate_bps)
                ahead[head] = ahead.get(head, 0) + self._slot_bytes
                reach_ns += self._turn_ns
            turn = (turn + 1) % len(heads)
        cycle_ns = self._cycle_ns()
        for head in heads[turn:] + heads[:turn]:
            if head is None:
                reach_ns += self._poll_ns
                continue
            left = head.size_bytes - head.sent_bytes - ahead.get(head, 0)
            more = (left - 1) // self._slot_bytes
            last_ns = serialisation_ns(left - more * self._slot_bytes + self._overhead_bytes, self._rate_bps)
            end_ns = reach_ns + more * cycle_ns + last_ns
            best_ns = end_ns if best_ns < 0 else min(best_ns, end_ns)
            reach_ns += self._turn_ns
        return best_ns

    def _end_of_turn_ns(self, last_turn: int, message: Message) -> int:
        """Return when the bytes of a message's last turn end, if all messages before it have full slots."""
        cycles, ahead = divmod(last_turn - self._turns, len(self._row))
        busy = self._heads.among(self._turn, ahead)
        left = message.size_bytes - message.sent_bytes - cycles * self._slot_bytes
        reach_ns = self._turn_at_ns + cycles * self._cycle_ns() + busy * self._turn_ns + (ahead - busy) * self._poll_ns
        return reach_ns + serialisation_ns(left + self._overhead_bytes, self._rate_bps)

    def _cycle_ns(self) -> int:
        """Return how long a round is in which every message has a full slot."""
        busy = self._heads.among(0, len(self._row))
        return busy * self._turn_ns + (len(self._row) - busy) * self._poll_ns

    def _run(self, to_ns: int) -> None:
        """Take the turns that begin before `to_ns`: at `to_ns` itself a message may still come."""
        self._ran_ns = max(self._ran_ns, to_ns)
        while True:
            if self._slot is not None:
                if self._slot.end_ns > to_ns:
                    return
                self._complete(self._slot)
            if not self._waiting or self._turn_at_ns >= to_ns:
                return
            if self._lead_ns:
                self._skip_idle(min(queue[0].ready_ns for queue in self._queues if queue))
                if self._turn_at_ns >= to_ns:
                    return
            if self._run_cycles(to_ns):
                continue
            queue, passed = self._queues[self._turn], 1
            if queue and queue[0].ready_ns <= self._turn_at_ns:
                self._begin(queue[0])
            else:
                if not queue:
                    # Turns of nodes that have nothing, one after the other, as far as they begin before `to_ns`.
                    passed = self._heads.idle_from(self._turn)
                    if self._poll_ns:
                        passed = min(passed, -((self._turn_at_ns - to_ns) // self._poll_ns))
                self._turn_at_ns += passed * self._poll_ns
            self._turn = (self._turn + passed) % len(self._row)
            self._turns += passed

    def _begin(self, message: Message) -> None:
        start_ns = self._turn_at_ns
        length = min(self._slot_bytes, message.size_bytes - message.sent_bytes)
        wire_bytes = length + self._overhead_bytes
        width_ns = serialisation_ns(wire_bytes, self._rate_bps)
        self._record(message, start_ns, width_ns, width_ns, 1, wire_bytes)
        if self._lead_ns:
            self._rise(message, start_ns, start_ns + width_ns)
        if self._frames is not None:
            self._show_slot(message, start_ns, message.sent_bytes, length)
        message.sent_bytes += length
        self._turn_at_ns += self._turn_ns if self._is_fixed else width_ns + self._guard_ns
        self._slot = _Slot(message, start_ns, start_ns + width_ns)

    def _record(
        self, message: Message, start_ns: int, stride_ns: int, width_ns: int, slots: int, wire_bytes: int
    ) -> None:
        row = 2 * self._row[message.src]
        self._log.add((row, start_ns, stride_ns, width_ns, slots, wire_bytes, message.serial))
        for i, node in enumerate(message.all_dst, 1):
            if node in message.dst:
                row = 2 * self._row[node] + 1
                self._log.add((row, start_ns, stride_ns, width_ns, slots, 0, message.serial + i))

    def _run_cycles(self, to_ns: int) -> bool:
        """Take whole rounds in which every message has more than a slot to send; return False where there is none."""
        if not self._lead_ns and self._heads.first_to_end()[0] - self._turns < len(self._row):
            return False
        cycle_ns = self._cycle_ns()
        cycles = (to_ns - 1 - self._turn_at_ns) // cycle_ns
        if cycles < 1:
            return False
        heads = [queue[0] if queue else None for queue in self._queues]
        if self._lead_ns and any(head is not None and head.ready_ns > self._turn_at_ns for head in heads):
            return False
        for head in heads:
            if head is not None:
                cycles = min(cycles, (head.size_bytes - head.sent_bytes - 1) // self._slot_bytes)
        if cycles < 1:
            return False
        at_ns = self._turn_at_ns
        if self._lead_ns:
            self._rise_cycles(heads, cycle_ns, cycles)
        for i in range(len(heads)):
            head = heads[(self._turn + i) % len(heads)]
            if head is None:
                at_ns += self._poll_ns
                continue
            wire_bytes = self._slot_bytes + self._overhead_bytes
            self._record(head, at_ns, cycle_ns, self._full_ns, cycles, wire_bytes)
            for cycle in range(cycles if self._frames is not None else 0):
                offset = head.sent_bytes + cycle * self._slot_bytes
                self._show_slot(head, at_ns + cycle * cycle_ns, offset, self._slot_bytes)
            head.sent_bytes += cycles * self._slot_bytes
            head.slots += cycles
            head.airtime_ns += cycles * self._full_ns
            at_ns += self._turn_ns
        self._turn_at_ns += cycles * cycle_ns
        self._turns += cycles * len(heads)
        return True

    def _rise(self, message: Message, start_ns: int, end_ns: int, times: int = 1) -> None:
        """Wake the nodes that take part in a slot before it begins; `times` slots that have the same before them."""
        for node in (message.src, *message.dst):
            place = self._row[node]
            gap_ns, self._used_ns[place] = start_ns - self._used_ns[place], end_ns
            waking_ns, staying_ns = (self._lead_ns, 0) if gap_ns >= self._lead_ns else (0, gap_ns)
            self._woke_ns[place] += times * waking_ns
            self._stayed_ns[place] += times * staying_ns
            is_sender = node == message.src
            if is_sender:
                message.waking_ns += times * waking_ns
                message.staying_ns += times * staying_ns
            if self._rises is not None:
                self._rises.setdefault(place, _Rise(start_ns, waking_ns, staying_ns, is_sender))

    def _rise_cycles(self, heads: Sequence[Message | None], cycle_ns: int, cycles: int) -> None:
        """Wake nodes for whole rounds: for the first one, and for the second, which all others equal."""
        at_ns = self._turn_at_ns
        for times in (1, cycles - 1) if cycles > 1 else (1,):
            for i in range(len(heads)):
                head = heads[(self._turn + i) % len(heads)]
                if head is not None:
                    self._rise(head, at_ns, at_ns + self._full_ns, times)
                at_ns += self._poll_ns if head is None else self._turn_ns
        users = {self._row[node] for head in heads if head is not None for node in (head.src, *head.dst)}
        for place in users if cycles > 2 else ():
            self._used_ns[place] += (cycles - 2) * cycle_ns

    def _rising(self, at_ns: int) -> dict[int, _Rise]:
        """Return what each radio does before the slots from `at_ns` on for which it may be awake already."""
        if not (self._lead_ns and self._waiting):
            return {}
        ahead = self._copy()
        rises = ahead._rises = dict[int, _Rise]()
        ahead._run(at_ns + self._lead_ns)
        return rises

    def _show_slot(self, message: Message, start_ns: int, offset: int, length: int) -> None:
        dst = message.dst[0] if len(message.all_dst) == 1 else BROADCAST
        if self._frames is not None:
            self._frames.add(Frame(start_ns, message.src, dst, message.transfer, offset, length, 1, "data"))

    def _complete(self, slot: _Slot) -> None:
        message, self._slot = slot.message, None
        message.slots += 1
        message.airtime_ns += slot.end_ns - slot.start_ns
        if message.sent_bytes < message.size_bytes:
            return
        first = min(message.dst)
        service_s = (slot.end_ns - message.first_ns) / NS_PER_S
        for node in message.dst:
            self._end_at(message, node, slot.end_ns, True, node == first, service_s)
        self._drop(message, slot.end_ns)

    def _drop(self, message: Message, at_ns: int) -> None:
        """Take a message out of its queue; the next one's service begins."""
        queue = self._queues[self._row[message.src]]
        is_head = queue[0] is message
        queue.remove(message)
        message.last_turn = -1
        self._waiting -= 1
        if is_head:
            self._plan(self._row[message.src])
        if queue and is_head:
            queue[0].first_ns = max(queue[0].first_ns, at_ns)

    def _end_at(
        self, message: Message, node: NodeId, at_ns: int, is_ok: bool, is_counted: bool, service_s: float = 0.0
    ) -> None:
        slots, airtime_ns = (message.slots, message.airtime_ns) if is_counted else (0, 0)
        sent_bytes = min(message.slots * self._slot_bytes, message.size_bytes) + message.slots * self._overhead_bytes
        self._end(Delivery(
            message.transfer, node, at_ns, is_ok, slots, slots, sent_bytes if is_counted else 0, airtime_ns,
            message.src, message.size_bytes, service_s, self._extra_j(message),
        ))  # fmt: skip

    def _extra_j(self, message: Message) -> float:
        sending_j = message.airtime_ns / NS_PER_S * self._extra_w
        if not self._lead_ns:
            return sending_j
        return sending_j + (message.waking_ns * self._waking_w + message.staying_ns * self._staying_w) / NS_PER_S

    def _give_up(self, message: Message, node: NodeId, now_ns: int) -> None:
        """End one destination of a message; what was sent counts at the last one to end so."""
        message.dst = tuple(n for n in message.dst if n != node)
        self._end_at(message, node, now_ns, False, not message.dst)

    # --- nodes that go down ------------------------------------------------------------------------------

    def _go_down(self, now_ns: int, node: NodeId) -> None:
        """End messages whose sender or last destination this is; a slot that they have is cut.

        Where turns are not fixed the next one begins at once. Where a slot would now come before its nodes can be
        awake, everybody sleeps, and no slot begins before all can have woken anew.
        """
        heads, before = [queue[0] if queue else None for queue in self._queues], self._rising(now_ns)
        over, used = list[tuple[Message, tuple[NodeId, ...]]](), {node}
        for message in [message for queue in self._queues for message in queue]:
            lost = message.dst if message.src == node else tuple(n for n in message.dst if n == node)
            if not lost:
                continue
            is_over = len(lost) == len(message.dst)
            receivers = {message.serial + 1 + i for i, n in enumerate(message.all_dst) if n in lost}
            self._log.cut(frozenset(receivers | ({message.serial} if is_over else set())), now_ns)
            if is_over and self._slot is not None and self._slot.message is message:
                message.airtime_ns += now_ns - self._slot.start_ns
                self._slot = None
                used |= {message.src, *message.dst}
                if not self._is_fixed:
                    self._turn_at_ns = now_ns
            if is_over:
                over.append((message, lost))
                self._drop(message, now_ns)
            else:
                self._give_up(message, node, now_ns)
        for place in map(self._row.__getitem__, used):
            self._used_ns[place] = min(self._used_ns[place], now_ns)
        self._plan_anew(now_ns, before, heads)
        for message, lost in over:
            for n in lost:
                self._give_up(message, n, now_ns)

    def _plan_anew(self, now_ns: int, before: Mapping[int, _Rise], heads: Sequence[Message | None]) -> None:
        """Charge radios that woke for a slot that is now cancelled for having been awake."""
        after = self._rising(now_ns)
        kept = {place for place, rise in after.items() if place in before and before[place].begin_ns == rise.begin_ns}
        if any(rise.begin_ns < now_ns and place not in kept for place, rise in after.items()):
            kept.clear()
            for message in (message for queue in self._queues for message in queue):
                message.ready_ns = max(message.ready_ns, now_ns + self._lead_ns)
        for place, rise in before.items():
            if place not in kept:
                waking_ns, staying_ns = rise.until(now_ns)
                self._woke_ns[place] += waking_ns
                self._stayed_ns[place] += staying_ns
                if rise.is_sender and (head := heads[place]) is not None:
                    head.waking_ns += waking_ns
                    head.staying_ns += staying_ns

    # --- what it costs and what it did ---------------------------------------------------------------------

    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the mean over the instant of a round at which a lone message comes."""
        limit_bit, overhead_bit = 8.0 * self._slot_bytes, 8.0 * self._overhead_bytes
        others = len(self._row) - 1
        # Mean wait for the next turn: half of a round in which nobody sends.
        wait_ns = (others + 1) * self._poll_ns / 2
        cycle_ns = self._turn_ns + others * self._poll_ns
        per_bit, lead_ns = 1.0 / self._rate_bps, self._lead_ns
        # Before the first slot, and before each other one.
        first_j = lead_ns / NS_PER_S * self._waking_w
        gap_ns = cycle_ns - self._full_ns
        other_j = first_j if gap_ns >= lead_ns else gap_ns / NS_PER_S * self._staying_w
        constants = {
            "packet": (0.0, 1.0, 0.0),
            "bit": (0.0, overhead_bit, 1.0),
            # All but the last slot last a cycle, the last one its bytes.
            "s": (
                (lead_ns + wait_ns - cycle_ns) / NS_PER_S + (limit_bit + overhead_bit) * per_bit,
                cycle_ns / NS_PER_S - limit_bit * per_bit,
                per_bit,
            ),
            "j": (
                first_j - other_j if lead_ns else 0.0,
                overhead_bit * per_bit * self._extra_w + (other_j if lead_ns else 0.0),
                per_bit * self._extra_w,
            ),
        }
        return stream_cost(quantity, constants, self._slot_bytes)

    def max_power_w(self, node: NodeId) -> float:
        """See `netsim.interfaces.PowerBound`."""
        return max(super().max_power_w(node), self._wake_w)

    def _is_to_change(self, at_ns: int) -> bool:
        return at_ns > self._ran_ns and (self._waiting > 0 or self._slot is not None)

    def _used(self, at_ns: int) -> Usage:
        totals = self._log.totals(at_ns)
        woke_ns, stayed_ns = self._woke_ns.copy(), self._stayed_ns.copy()
        for place, rise in self._rising(at_ns).items():
            waking_ns, staying_ns = rise.until(at_ns)
            woke_ns[place] += waking_ns
            stayed_ns[place] += staying_ns
        state_ns = np.zeros((len(self._row), len(STATES)), np.int64)
        state_ns[:, TX], state_ns[:, RX] = totals.busy_ns[0::2], totals.busy_ns[1::2]
        state_ns[:, IDLE] = woke_ns + stayed_ns
        usage = self._usage(at_ns, state_ns, totals.frame_bytes[0::2], totals.frames[0::2], self._rest)
        usage.energy_j[:, IDLE] += woke_ns / NS_PER_S * (self._wake_w - self._power_w["idle"])
        return usage
