"""Messages of nodes that have turns, and which of the first ones ends first: in log M steps for each, not in M."""

from __future__ import annotations

import heapq

from netsim.interfaces import NodeId, TransferId


class Message:
    """A message in its sender's queue; `serial` marks its bytes on the sender's side, serial + 1 + i at receiver i."""

    __slots__ = ("airtime_ns", "all_dst", "dst", "first_ns", "last_turn", "ready_ns", "sent_bytes", "serial",
                 "size_bytes", "slots", "src", "staying_ns", "transfer", "waking_ns")  # fmt: skip

    def __init__(
        self, transfer: TransferId, serial: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int, submit_ns: int,
        ready_ns: int,
    ) -> None:  # fmt: skip
        self.transfer, self.serial, self.src, self.dst, self.all_dst = transfer, serial, src, dst, dst
        self.size_bytes, self.first_ns = size_bytes, submit_ns
        # The first instant at which it may have a slot; its sender's time waking and staying awake before its slots.
        self.ready_ns, self.waking_ns, self.staying_ns = ready_ns, 0, 0
        self.sent_bytes = self.slots = self.airtime_ns = 0
        self.last_turn = -1  # the turn, counted from the first of all, in which it ends; -1 while it is not known


class Heads:
    """The first message of every node, by its place.

    A message that has a slot in every round ends in a turn that is known when it becomes the first of its node,
    whatever others come and go meanwhile; the first to end is that of the earliest such turn.

    Parameters
    ----------
    places
        How many nodes have turns.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._is_busy = bytearray(places)  # 1 where a node has a message
        self._ends: list[tuple[int, int, Message]] = []  # a heap: last turn, serial, message

    def set(self, place: int, head: Message | None, last_turn: int) -> None:
        """Note a node's first message, or that it has none; a `last_turn` of -1 says that its end is not known."""
        self._is_busy[place] = head is not None
        if head is not None and last_turn >= 0:
            head.last_turn = last_turn
            heapq.heappush(self._ends, (last_turn, head.serial, head))

    def first_to_end(self) -> tuple[int, Message]:
        """Return the turn in which the first message ends, and the message."""
        # Messages that have ended or were given up have another last turn by now.
        while self._ends[0][2].last_turn != self._ends[0][0]:
            heapq.heappop(self._ends)
        return self._ends[0][0], self._ends[0][2]

    def among(self, turn: int, count: int) -> int:
        """Return how many of `count` turns, up to a round, from that place on are of nodes that have a message."""
        beyond = turn + count - self._places
        return self._is_busy.count(1, turn, turn + count) + (self._is_busy.count(1, 0, beyond) if beyond > 0 else 0)

    def idle_from(self, turn: int) -> int:
        """Return how many turns from that place on are of nodes that have nothing, where one has a message."""
        busy = self._is_busy.find(1, turn)
        return busy - turn if busy >= 0 else self._is_busy.find(1) + self._places - turn
