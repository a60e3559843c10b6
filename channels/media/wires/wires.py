"""Full-duplex point-to-point wires, with or without a server's shared port: the medium of the wired channels."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from channels.media.busy import BusyLog
from channels.media.roster import Members, Roster
from channels.media.states import RX, TX
from channels.media.wires.cost import wire_cost
from channels.media.wires.framing import Framing, Hop, Train
from channels.media.wires.port import FOREVER_NS, PortQueue, SharedPort, Stream
from netsim.interfaces import STATES, CostModel, Delivery, Frame, NodeId, TransferId, Usage
from netsim.units import NS_PER_S

_NOWHERE = -1
_SETTLE_EVERY = 1024
_SIZES_KEPT = 4096
_new = tuple.__new__


class _Copy(NamedTuple):
    """One message on its way to one destination.

    Its first bit leaves the sender at `start_ns`, on the server's port where the server sends; its first packet is at
    the server's port at `arrival_ns`.
    """

    transfer: TransferId
    src: NodeId
    dst: NodeId
    serial: int
    train: Train
    start_ns: int
    arrival_ns: int = 0


class Wires(Roster):
    """Every ordered pair of nodes is a FIFO wire of its own; see `channels.links.ethernet_udp` for the rules.

    A message has one copy per destination, in the order given; a frame is a packet.

    Parameters
    ----------
    framing
        How messages become packets.
    rate_bps, delay_ns, server_rate_bps
        The link's keys; `rate_bps` of None: packets take no time.
    rates_bps
        Of nodes whose wires are slower or faster than `rate_bps`, without a port; a wire has that of its slower end.
    """

    def __init__(
        self, members: Members, framing: Framing, rate_bps: float | None, delay_ns: int,
        server_rate_bps: float | None = None, rates_bps: Mapping[NodeId, float] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(members, "out", "in")
        self._framing, self._rate_bps, self._delay_ns = framing, rate_bps, delay_ns
        self._port_bps = server_rate_bps
        server = [node.id for node in members.nodes if node.is_server and server_rate_bps is not None]
        self._server = server[0] if server else _NOWHERE
        self._rates_bps = rates_bps
        # Of messages of a size on a wire of a rate.
        self._train = lru_cache(_SIZES_KEPT)(partial(framing.train, port_bps=server_rate_bps))
        self._extra_w = self._power_w["tx"] - self._power_w["idle"]
        self._log = BusyLog(len(self._interfaces))
        self._free_ns: dict[tuple[NodeId, NodeId], int] = {}
        self._serials = self._port_free_ns = 0
        self._to_port: dict[int, _Copy] = {}
        self._left_port_ns: dict[NodeId, int] = {}
        self._port: SharedPort | None = None
        if server and server_rate_bps is not None:
            full = framing.train(framing.payload_max_bytes or 1, rate_bps, server_rate_bps)
            self._port = SharedPort(self._port_queue(full.wire.full_ns, full.port.full_ns if full.port else 1))

    def _port_queue(self, stride_ns: int, service_ns: int) -> PortQueue:
        return PortQueue(stride_ns, service_ns)

    # --- messages in ---------------------------------------------------------------------------------

    def _take(self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> None:
        for node in dst:
            rate_bps = self._rate_bps if self._rates_bps is None else self._wire_bps(src, node)
            train = self._train(size_bytes, rate_bps)
            serial = self._serials
            self._serials += 1
            if self._down and (src in self._down or node in self._down):
                self._end_copy(now_ns, _Copy(transfer, src, node, serial, train, now_ns), (0, 0, 0), is_ok=False)
                continue
            if src == self._server:
                start_ns = self._from_server(now_ns, node, transfer, serial, train)
            else:
                start_ns = self._on_wire(now_ns, src, node, transfer, serial, train)
            if self._frames is not None:
                self._announce(_Copy(transfer, src, node, serial, train, start_ns))
        if not transfer % _SETTLE_EVERY:
            self._log.settle(self._now_ns)

    def _wire_bps(self, src: NodeId, dst: NodeId) -> float | None:
        """Return the rate of a wire: that of its slower end; the server has none of its own."""
        if self._rates_bps is None:
            return self._rate_bps
        return min(self._rates_bps[node] for node in (src, dst) if node in self._rates_bps)

    def _on_wire(
        self, now_ns: int, src: NodeId, dst: NodeId, transfer: TransferId, serial: int, train: Train, behind_ns: int = 0
    ) -> int:
        """Put all packets into a wire's queue at once: it is busy without a gap until the last one has left.

        `behind_ns` of the first packet's wait were behind messages of others. Returns when its first bit leaves.
        """
        wire, width_ns, full, add = train.wire, train.wire_ns, train.packets - 1, self._log.add
        free_ns = self._free_ns.get((src, dst), 0)
        start_ns = free_ns if free_ns > now_ns else now_ns
        end_ns = self._free_ns[src, dst] = start_ns + width_ns
        row = self._row[src]
        if full:
            add((row, start_ns, wire.full_ns, wire.full_ns, full, train.full_bytes, serial))
        add((row, end_ns - wire.last_ns, wire.last_ns or 1, wire.last_ns, 1, train.last_bytes, serial))
        if self._port is not None and dst == self._server:
            arrival_ns = start_ns + (wire.full_ns if full else wire.last_ns) + self._delay_ns
            self._to_port[serial] = _Copy(transfer, src, dst, serial, train, start_ns, arrival_ns)
            last_service_ns = train.port.last_ns if train.port else 0
            self._port.push(now_ns, Stream(arrival_ns, src, serial, full + 1, wire.last_ns, last_service_ns))
            return start_ns
        delay_ns = self._delay_ns
        if width_ns:
            add((self._row[dst] + 1, start_ns + delay_ns, width_ns, width_ns, 1, 0, serial))
        at_ns = end_ns + self._delay_ns
        # `Delivery` itself takes twice as long, and this is done for every message.
        delivery = _new(Delivery, (
            transfer, dst, at_ns, True, full + 1, full + 1, train.wire_bytes, width_ns, src, train.size_bytes,
            (behind_ns + width_ns + delay_ns) / NS_PER_S, width_ns / NS_PER_S * self._extra_w,
        ))  # fmt: skip
        heapq.heappush(self._due, (at_ns, dst, src, transfer, serial, start_ns, delivery))
        return start_ns

    def _from_server(
        self, now_ns: int, dst: NodeId, transfer: TransferId, serial: int, train: Train, behind_ns: int = 0
    ) -> int:
        """Send through the server's port, then through the node's own wire: two links in tandem, in closed form.

        `behind_ns` of the wait were behind messages of others. Returns when the first bit leaves the port.
        """
        port, k = train.port or train.wire, train.packets
        start_ns = max(now_ns, self._port_free_ns)
        self._port_free_ns = start_ns + port.total_ns(k)
        row, last_ns = self._row[self._server], self._port_free_ns - port.last_ns
        if k > 1:
            self._log.add((row, start_ns, port.full_ns, port.full_ns, k - 1, train.full_bytes, serial))
        self._log.add((row, last_ns, port.last_ns, port.last_ns, 1, train.last_bytes, serial))
        free_ns = self._free_ns.get((self._server, dst), 0)
        end_ns = self._log_receiving(self._row[dst] + 1, start_ns, free_ns, train, serial)
        self._free_ns[self._server, dst] = end_ns
        copy, sent = _Copy(transfer, self._server, dst, serial, train, start_ns), (k, train.wire_bytes, train.wire_ns)
        service_ns = behind_ns + train.from_port_ns + self._delay_ns
        self._end_copy(end_ns + self._delay_ns, copy, sent, service_ns, port.total_ns(k))
        return start_ns

    def _log_receiving(self, row: int, port_start_ns: int, free_ns: int, train: Train, serial: int) -> int:
        """Log a node's wire that the server's port feeds, and return when its last packet has left.

        Packet i is at the wire after i port times and leaves after max(that, the one before) + its own time.
        """
        port, wire, full = train.port or train.wire, train.wire, train.packets - 1
        delay_ns = self._delay_ns
        if full and wire.full_ns < port.full_ns:
            # A full packet behind the slower port always finds the wire free.
            free_ns = port_start_ns + full * port.full_ns + wire.full_ns
            first_ns = port_start_ns + port.full_ns
            self._log.add((row, first_ns + delay_ns, port.full_ns, wire.full_ns, full, 0, serial))
        elif full:
            first_ns = max(free_ns, port_start_ns + port.full_ns)
            self._log.add((row, first_ns + delay_ns, wire.full_ns, wire.full_ns, full, 0, serial))
            free_ns = first_ns + full * wire.full_ns
        begin_ns = max(free_ns, port_start_ns + port.total_ns(train.packets))
        self._log.add((row, begin_ns + delay_ns, wire.last_ns or 1, wire.last_ns, 1, 0, serial))
        return begin_ns + wire.last_ns

    # --- time ------------------------------------------------------------------------------------------

    def _next_ns(self) -> int | None:
        return self._port.next_ns() if self._to_port and self._port is not None else None

    def _run(self, to_ns: int) -> None:
        if self._to_port and self._port is not None:
            for at_ns, serial in self._port.advance(to_ns):
                self._leave_port(at_ns, self._to_port.pop(serial))
        if self._coming:
            self._show_coming(to_ns)

    def _leave_port(self, at_ns: int, copy: _Copy) -> None:
        # Waiting behind one's own earlier packets is queueing; they left before this message's first packet began.
        own_ns = max(0, self._left_port_ns.get(copy.src, 0) - copy.arrival_ns)
        self._left_port_ns[copy.src] = at_ns
        train = copy.train
        sent = train.packets, train.wire_bytes, train.wire_ns
        self._end_copy(at_ns, copy, sent, at_ns - copy.start_ns - own_ns, train.wire_ns)

    def _end_copy(
        self, at_ns: int, copy: _Copy, sent: tuple[int, int, int], service_ns: int = 0, sending_ns: int | None = None,
        is_ok: bool = True,
    ) -> None:  # fmt: skip
        """End a copy of which so many packets, bytes and nanoseconds were sent; `sending_ns`: at the sender."""
        packets, wire_bytes, airtime_ns = sent
        extra_j = (airtime_ns if sending_ns is None else sending_ns) / NS_PER_S * self._extra_w
        delivery = Delivery(
            copy.transfer, copy.dst, at_ns, is_ok, packets, packets, wire_bytes, airtime_ns, copy.src,
            copy.train.size_bytes, service_ns / NS_PER_S, extra_j,
        )  # fmt: skip
        entry = (at_ns, copy.dst, copy.src, copy.transfer, copy.serial, copy.start_ns, delivery)
        heapq.heappush(self._due, entry)

    # --- nodes that go down ------------------------------------------------------------------------------

    def _go_down(self, now_ns: int, node: NodeId) -> None:
        """Drop what waits on the node's wires, and cut the packet on them.

        Packets that have reached the server's port still pass it, and the server still sends what it has for the node.
        """
        lost = [copy for copy in self._to_port.values() if node in (copy.src, copy.dst)]
        for at_ns, dst, src, transfer, serial, start_ns, delivery in self._due:
            if node in (src, dst) and at_ns > now_ns:
                train = self._train(delivery.size_bytes, self._wire_bps(src, dst))
                lost.append(_Copy(transfer, src, dst, serial, train, start_ns))
        serials = frozenset(copy.serial for copy in lost)
        self._due = [entry for entry in self._due if entry[4] not in serials]
        heapq.heapify(self._due)
        for copy in lost:
            self._to_port.pop(copy.serial, None)
            elapsed_ns = FOREVER_NS if copy.src == self._server != node else now_ns - copy.start_ns
            self._end_copy(now_ns, copy, copy.train.sent(elapsed_ns, self._first_hop(copy)), is_ok=False)
        still_sends = node != self._server != _NOWHERE
        self._log.cut(serials, now_ns, self._row[self._server] if still_sends else -1)
        gone = {(copy.transfer, copy.dst) for copy in lost if not (still_sends and copy.src == self._server)}
        self._coming = [frame for frame in self._coming if (frame.transfer, frame.dst) not in gone]
        heapq.heapify(self._coming)
        for wire, free_ns in self._free_ns.items():
            if node in wire:
                self._free_ns[wire] = min(free_ns, now_ns)
        if self._port is not None and still_sends:
            self._port.drop(now_ns, serials)
        elif self._port is not None:
            self._port.cut(now_ns)
            self._port_free_ns = min(self._port_free_ns, now_ns)

    # --- what it costs and what it did ---------------------------------------------------------------------

    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the exact cost."""
        rates: tuple[float | None, ...] = (self._wire_bps(src, dst),)
        if self._server in (src, dst):
            rates = (self._port_bps, self._rate_bps) if src == self._server else (self._rate_bps, self._port_bps)
        return wire_cost(quantity, self._framing, rates, self._delay_ns, self._extra_w)

    def _used(self, at_ns: int) -> Usage:
        self._log.settle(self._now_ns, limit=64)
        totals = self._log.totals(at_ns)
        if self._port is not None:
            totals.busy_ns[self._row[self._server] + 1] += self._port.busy_ns(at_ns)
        state_ns = np.zeros((len(self._interfaces), len(STATES)), np.int64)
        state_ns[0::2, TX], state_ns[1::2, RX] = totals.busy_ns[0::2], totals.busy_ns[1::2]
        return self._usage(at_ns, state_ns, totals.frame_bytes, totals.frames)

    # --- frames ------------------------------------------------------------------------------------------------

    def _first_hop(self, copy: _Copy) -> Hop:
        return copy.train.port if copy.src == self._server and copy.train.port else copy.train.wire

    def _announce(self, copy: _Copy) -> None:
        limit, gap_ns = self._framing.payload_max_bytes or copy.train.size_bytes, self._first_hop(copy).full_ns
        for i in range(copy.train.packets):
            length, start_ns = min(limit, copy.train.size_bytes - i * limit), copy.start_ns + i * gap_ns
            frame = Frame(start_ns, copy.src, copy.dst, copy.transfer, i * limit, length, 1, "data")
            heapq.heappush(self._coming, frame)
