"""Flows that share no link with another one, in many draws at once: the replays of `channels.links.wan`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from channels.costing.models import Int64s
from channels.media.flows.links import Links
from channels.media.flows.path import Transport
from channels.media.flows.sharing import BIT_WORK, to_ns
from channels.media.states import RX, TX
from netsim.interfaces import STATES, Carried, Node, NodeId, PowerProfile


class LoneFlows:
    """Messages that leave at once at the rate of their path, as `channels.media.flows.flows.Flows` lets them alone.

    Parameters
    ----------
    nodes
        Of the medium; every link has one way through it, so that no two messages share one.
    links
        Of each draw; their rates do not change in time.
    transport
        Without windows and without loss.
    power
        Of a node's interface out and interface in.
    """

    def __init__(
        self, nodes: Sequence[Node], links: Sequence[Links], transport: Transport, power: PowerProfile
    ) -> None:
        self.interfaces = [(node.id, name) for node in nodes for name in ("out", "in")]
        self.power_w = np.array([power.power_w(state) for state in STATES])
        self._row = {node.id: 2 * i for i, node in enumerate(nodes)}
        self._links, self._transport = links, transport
        self._ways: dict[tuple[NodeId, NodeId], tuple[list[tuple[int, int]], Int64s]] = {}
        self._free_ns: dict[tuple[NodeId, NodeId], Int64s] = {}
        self._times_ns: dict[tuple[int, int, int], tuple[int, int]] = {}

    def carry(self, at_ns: Int64s, src: NodeId, dst: NodeId, size_bytes: int) -> Carried | None:
        """See `netsim.interfaces.DrawnMedia`; None where a message would have to wait for the one before."""
        way = src, dst
        if way in self._free_ns and (at_ns < self._free_ns[way]).any():
            return None
        kinds, which = self._way(src, dst)
        segments = -(-size_bytes // self._transport.segment_bytes)
        wire_bytes = size_bytes + segments * self._transport.overhead_bytes
        times = np.array([self._time_ns(wire_bytes, *kind) for kind in kinds], np.int64)[which]
        left_ns, there_ns = at_ns + times[:, 0], at_ns + times[:, 1]
        self._free_ns[way] = left_ns
        busy = [(self._row[src], TX, at_ns, left_ns), (self._row[dst] + 1, RX, at_ns, left_ns)]
        return Carried(there_ns, segments, segments, wire_bytes, busy)

    def _way(self, src: NodeId, dst: NodeId) -> tuple[list[tuple[int, int]], Int64s]:
        """Return the (rate, propagation) that a way has in any draw, and which of them in each."""
        if (src, dst) not in self._ways:
            paths = [links.path(src, dst) for links in self._links]
            places = dict[tuple[int, int], int]()
            found = [places.setdefault((path.peak, self._transport.one_way_fs(path)), len(places)) for path in paths]
            self._ways[src, dst] = list(places), np.array(found, np.int64)
        return self._ways[src, dst]

    def _time_ns(self, wire_bytes: int, rate: int, one_way_fs: int) -> tuple[int, int]:
        """Return after how many nanoseconds the last bit has left, and is there; Python's integers hold the work."""
        key = wire_bytes, rate, one_way_fs
        if key not in self._times_ns:
            leaves_fs = -(-8 * wire_bytes * BIT_WORK // rate)
            self._times_ns[key] = to_ns(leaves_fs), to_ns(leaves_fs + one_way_fs)
        return self._times_ns[key]
