"""Which nodes are off, and when that changes."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping

from netsim.interfaces import NodeId


class Switches:
    """The nodes' being on and off as far as time has come.

    `changes` are the instants in ns at which each node that goes off does so, and comes back, in turn.

    Attributes
    ----------
    off : the nodes that are off, with the instant since when.
    """

    def __init__(self, changes: Mapping[NodeId, Iterator[int]]) -> None:
        self.off: dict[NodeId, int] = {}
        self.nodes = tuple(changes)
        self._changes = changes
        self._off_ns = dict.fromkeys(changes, 0)  # of earlier times off
        self._due = [
            (at_ns, node) for node, edges in changes.items() for at_ns in [next(edges, None)] if at_ns is not None
        ]
        heapq.heapify(self._due)

    @property
    def next_ns(self) -> float:
        """The next instant at which a node changes; infinite where none does."""
        return self._due[0][0] if self._due else math.inf

    def take(self, now_ns: int) -> list[NodeId]:
        """Let the nodes change that do so at `now_ns`, which is not after `next_ns`; return them in id order."""
        changed = list[NodeId]()
        while self._due and self._due[0][0] <= now_ns:
            _, node = heapq.heappop(self._due)
            changed.append(node)
            if node in self.off:
                self._off_ns[node] += now_ns - self.off.pop(node)
            else:
                self.off[node] = now_ns
            following = next(self._changes[node], None)
            if following is not None:
                heapq.heappush(self._due, (following, node))
        return changed

    def drop(self, node: NodeId) -> None:
        """Let a node change no more: it is dead."""
        self._due = [(at_ns, other) for at_ns, other in self._due if other != node]
        heapq.heapify(self._due)

    def off_ns(self, node: NodeId, at_ns: int) -> int:
        """Return how long a node was off up to `at_ns`, which is not before the last change."""
        since_ns = self.off.get(node)
        return self._off_ns.get(node, 0) + (0 if since_ns is None else at_ns - since_ns)
