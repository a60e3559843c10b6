"""Wires, and a server's port, that carry messages of others too."""

from __future__ import annotations

from collections import deque
from copy import deepcopy
from typing import Self

import numpy.typing as npt

from channels.costing.models import Int64s, byte_cost
from channels.media.background import Arrivals, Background
from channels.media.roster import Members
from channels.media.wires.cost import wire_cost
from channels.media.wires.framing import Framing, Train, tandem_ns
from channels.media.wires.port import FOREVER_NS, Done, PortQueue, Stream
from channels.media.wires.wires import Wires
from netsim.interfaces import CostModel, NodeId, TransferId
from netsim.units import NS_PER_S, serialisation_ns

# Others go first at equal instants, and their serials are above all of the nodes' own.
_NOBODY, _OTHERS = -1, 1 << 39
_BATCH = 64
_OUT, _IN = 0, 1


class CrossedQueue(PortQueue):
    """A port's queue into which messages of others come, each as one packet; `run` returns the nodes' own alone.

    Parameters
    ----------
    stride_ns, service_ns
        See `channels.media.wires.port.PortQueue`.
    arrivals
        Of others.
    rate_bps
        Of the port.
    """

    def __init__(self, stride_ns: int, service_ns: int, arrivals: Arrivals, rate_bps: float) -> None:
        super().__init__(stride_ns, service_ns)
        self._arrivals, self._rate_bps = arrivals, rate_bps
        # Others' messages to come (time, service, serial), and those that may not have left at `reach_ns`.
        self._coming = deque[tuple[int, int, int]]()
        self._leaving = deque[tuple[int, int]]()
        self._others = self._others_ns = 0

    def __bool__(self) -> bool:
        """Return whether packets of the nodes' own are to come."""
        return self._live > len(self._coming)

    def run(self, limit_ns: int, budget: int = FOREVER_NS) -> list[Done]:
        """See `port.PortQueue.run`; without a limit it ends when no message of the nodes' own is left."""
        out = list[Done]()
        while True:
            edge_ns, before = min(limit_ns, self._fetch(limit_ns)), self.steps
            for done in super().run(edge_ns, budget):
                if done.serial < _OTHERS:
                    out.append(done)
                else:
                    service_ns = self._coming.popleft()[1]
                    self._others_ns += service_ns
                    self._leaving.append((done.at_ns, service_ns))
            while self._leaving and self._leaving[0][0] <= self.reach_ns:
                self._leaving.popleft()
            budget -= self.steps - before
            if edge_ns == limit_ns or budget <= 0 or (limit_ns == FOREVER_NS and not self):
                return out

    def _fetch(self, limit_ns: int) -> int:
        """Read a batch of others' messages; return the time up to which all of them have been read."""
        arrivals, coming = self._arrivals, self._coming
        while arrivals.at_ns <= limit_ns and (len(coming) < _BATCH or arrivals.at_ns == coming[-1][0]):
            service_ns = serialisation_ns(arrivals.size_bytes, self._rate_bps)
            coming.append((arrivals.at_ns, service_ns, _OTHERS | self._others % _OTHERS))
            self._let_in(*coming[-1])
            self._others += 1
            arrivals.next()
        return arrivals.at_ns - 1

    def _let_in(self, at_ns: int, service_ns: int, serial: int) -> None:
        self.push(Stream(at_ns, _NOBODY, serial, 1, 0, service_ns))

    def busy_ns(self, at_ns: int) -> int:
        """Return how long the port was sending the nodes' own up to `at_ns`, up to which it was run."""
        return super().busy_ns(at_ns) - self._others_ns + self._left_ns(at_ns)

    def _left_ns(self, at_ns: int) -> int:
        """Return the service after `at_ns` of others' messages that have come."""
        return sum(min(service_ns, max(0, leaves_ns - at_ns)) for leaves_ns, service_ns in self._leaving)

    def copy(self) -> Self:
        """Return an independent copy."""
        new = super().copy()
        new._arrivals = deepcopy(self._arrivals)
        new._coming, new._leaving = self._coming.copy(), self._leaving.copy()
        return new

    def cut(self, now_ns: int) -> None:
        """Forget all messages that have come; the port is free from `now_ns` on, and later messages of others come."""
        self._others_ns -= self._left_ns(now_ns)
        self._leaving.clear()
        super().cut(now_ns)
        for coming in self._coming:
            self._let_in(*coming)


class CrossedWires(Wires):
    """`channels.media.wires.wires.Wires` with messages of others; see `channels.links.ethernet_udp` for the rules.

    All packets of a message queue at once at its first link, so others can only be before it there; between its packets
    they come where those arrive one by one, at the server's port.

    Parameters
    ----------
    members, framing, rate_bps, delay_ns, server_rate_bps
        See `channels.media.wires.wires.Wires`; `rate_bps` is a number.
    background
        At the ``server``, where it has one port, or at the ``nodes``, where it has none.
    key
        64-bit key of the draws.
    """

    def __init__(
        self, members: Members, framing: Framing, rate_bps: float, delay_ns: int, server_rate_bps: float | None,
        background: Background, key: int,
    ) -> None:  # fmt: skip
        self._background, self._key = background, key
        self._link_bps, self._queue_bps = rate_bps, server_rate_bps or rate_bps
        # Messages of others to come on a wire, or at the server's port out (its two ends are the server).
        self._lines: dict[tuple[NodeId, NodeId], Arrivals] = {}
        super().__init__(members, framing, rate_bps, delay_ns, server_rate_bps)

    def _arrivals(self, number: int) -> Arrivals:
        return Arrivals(self._background, self._key, number)

    def _port_queue(self, stride_ns: int, service_ns: int) -> PortQueue:
        return CrossedQueue(stride_ns, service_ns, self._arrivals(_IN), self._queue_bps)

    def _free(self, src: NodeId, dst: NodeId, free_ns: int, now_ns: int) -> int:
        """Return when a link has served every message up to `now_ns`; `free_ns` is the answer of the last call."""
        if (src, dst) not in self._lines:
            number = _OUT if src == dst else self._row[src] // 2 * len(self._row) + self._row[dst] // 2
            self._lines[src, dst] = self._arrivals(number)
        arrivals = self._lines[src, dst]
        while arrivals.at_ns <= now_ns:
            free_ns = max(free_ns, arrivals.at_ns) + serialisation_ns(arrivals.size_bytes, self._queue_bps)
            arrivals.next()
        return free_ns

    # --- messages in ---------------------------------------------------------------------------------

    def _on_wire(
        self, now_ns: int, src: NodeId, dst: NodeId, transfer: TransferId, serial: int, train: Train, behind_ns: int = 0
    ) -> int:
        if self._background.at == "server":
            if self._port is not None and dst == self._server:
                self._port.catch_up(now_ns)
            return super()._on_wire(now_ns, src, dst, transfer, serial, train)
        # What came last on the wire was a message of the nodes' own; others have come since.
        own_ns = self._free_ns.get((src, dst), 0)
        free_ns = self._free_ns[src, dst] = self._free(src, dst, own_ns, now_ns)
        behind_ns = max(0, free_ns - max(now_ns, own_ns))
        return super()._on_wire(now_ns, src, dst, transfer, serial, train, behind_ns)

    def _from_server(
        self, now_ns: int, dst: NodeId, transfer: TransferId, serial: int, train: Train, behind_ns: int = 0
    ) -> int:
        own_ns = self._port_free_ns
        self._port_free_ns = self._free(self._server, self._server, own_ns, now_ns)
        behind_ns = max(0, self._port_free_ns - max(now_ns, own_ns))
        return super()._from_server(now_ns, dst, transfer, serial, train, behind_ns)

    def _go_down(self, now_ns: int, node: NodeId) -> None:
        """Drop what others have on the node's wires as well."""
        if self._background.at == "nodes":
            for other in self._row:
                for wire in ((node, other), (other, node)) if other != node else ():
                    self._free_ns[wire] = self._free(*wire, self._free_ns.get(wire, 0), now_ns)
        elif node == self._server:
            self._port_free_ns = self._free(node, node, self._port_free_ns, now_ns)
        super()._go_down(now_ns, node)

    # --- what it costs ---------------------------------------------------------------------------------

    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the cost; in seconds behind the mean that waits, else exact."""
        background, framing, rate_bps, port_bps = self._background, self._framing, self._link_bps, self._queue_bps
        if quantity != "s" or (background.at == "server" and self._server not in (src, dst)):
            return super()._cost(quantity, src, dst)
        delay_ns = self._delay_ns + round(background.mean_wait_s(port_bps) * NS_PER_S)
        if dst != self._server:
            rates = (port_bps, rate_bps) if src == self._server else (rate_bps,)
            return wire_cost(quantity, framing, rates, delay_ns, self._extra_w)

        def towards_server(size_bytes: Int64s) -> npt.ArrayLike:
            full_ns, packets, last_ns = framing.hop_ns(size_bytes, rate_bps)
            at_port_ns, _, last_at_port_ns = framing.hop_ns(size_bytes, port_bps)
            # While a packet is on the wire the load of that time comes to the port.
            at_port_ns += round(full_ns * background.load_bps / port_bps)
            total_ns = tandem_ns(packets, (full_ns, last_ns), (at_port_ns, last_at_port_ns))
            return (total_ns + delay_ns) / NS_PER_S

        return byte_cost("s", towards_server)
