"""Full-duplex point-to-point wires, with or without a server's shared port: the medium of the wired channels."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from channels.media.busy import BusyLog
from channels.media.wires.cost import wire_cost
from channels.media.wires.framing import Framing, Hop, Train
from channels.media.wires.port import FOREVER_NS, PortQueue, SharedPort, Stream
from netsim.errors import SimulationError
from netsim.interfaces import (
    STATES,
    CostModel,
    Delivery,
    Frame,
    FrameSink,
    Node,
    NodeId,
    PowerProfile,
    TransferId,
    Usage,
)
from netsim.units import NS_PER_S

_TX, _RX, _IDLE, _SLEEP = (STATES.index(state) for state in ("tx", "rx", "idle", "sleep"))
_NOWHERE = -1
_SETTLE_EVERY = 1024
_SIZES_KEPT = 4096


class _Copy(NamedTuple):
    """One message on its way to one destination.

    Its first bit leaves the sender on `hop` at `start_ns`; its first packet is at the server's port at
    `arrival_ns`; `service_ns` is from submit to last byte without own queueing, 0 while unknown.
    """

    transfer: TransferId
    src: NodeId
    dst: NodeId
    serial: int
    train: Train
    hop: Hop
    start_ns: int
    service_ns: int = 0
    arrival_ns: int = 0


class Wires:
    """Every ordered pair of nodes is a FIFO wire of its own; see `channels.links.ethernet_udp` for the rules.

    Parameters
    ----------
    nodes
        All that may send or receive.
    framing
        How messages become packets.
    rate_bps
        Of every wire; None: packets take no time.
    delay_ns
        Propagation, on every wire.
    power
        Of the two interfaces of each node; None: no energy.
    server_rate_bps
        Of the server's one port in each direction; None: it has a wire of its own to every node.
    frames
        Gets every packet when it begins.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        framing: Framing,
        rate_bps: float | None,
        delay_ns: int,
        power: PowerProfile | None = None,
        server_rate_bps: float | None = None,
        frames: FrameSink | None = None,
    ) -> None:
        self._framing, self._rate_bps, self._delay_ns, self._power = framing, rate_bps, delay_ns, power
        self._nodes = tuple(node.id for node in nodes)
        self._row = {node: 2 * i for i, node in enumerate(self._nodes)}
        self._interfaces = [(node, name) for node in self._nodes for name in ("out", "in")]
        self._port_bps = server_rate_bps
        server = [node.id for node in nodes if node.is_server and server_rate_bps is not None]
        self._server = server[0] if server else _NOWHERE
        self._trains: dict[int, Train] = {}
        self._extra_w = power.power_w("tx") - power.power_w("idle") if power else 0.0
        self._log = BusyLog(2 * len(self._nodes))
        self._free_ns: dict[tuple[NodeId, NodeId], int] = {}
        self._due: list[tuple[int, NodeId, NodeId, TransferId, int, _Copy | Delivery]] = []
        self._now_ns = self._transfers = self._serials = 0
        self._port_free_ns = 0
        self._to_port: dict[int, _Copy] = {}
        self._left_port_ns: dict[NodeId, int] = {}
        self._port: SharedPort | None = None
        if server and server_rate_bps is not None:
            full = framing.train(framing.payload_max_bytes or 1, rate_bps, server_rate_bps)
            self._port = SharedPort(self._port_queue(full.wire.full_ns, full.port.full_ns if full.port else 1))
        self._down: dict[NodeId, int] = {}
        self._slept_ns = np.zeros(len(self._nodes), np.int64)
        self._frames = frames
        self._coming: list[tuple[int, NodeId, NodeId, TransferId, int, int, int]] = []

    def _port_queue(self, stride_ns: int, service_ns: int) -> PortQueue:
        return PortQueue(stride_ns, service_ns)

    # --- messages in ---------------------------------------------------------------------------------

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        """See `netsim.interfaces.Medium`; one copy per destination, in the order given.

        Raises
        ------
        SimulationError
            If a node is not of this medium.
        ValueError
            If the message has no byte.
        """
        train = self._trains.get(size_bytes) or self._train(size_bytes)
        transfer, row = self._transfers, self._row
        self._transfers += 1
        for node in dst:
            serial = self._serials
            self._serials += 1
            if node not in row or src not in row:
                raise SimulationError(f"no node {node} or {src}; there are {', '.join(map(str, row))}")
            if self._down and (src in self._down or node in self._down):
                self._give_up(now_ns, _Copy(transfer, src, node, serial, train, train.wire, now_ns), (0, 0, 0))
                continue
            if src == self._server:
                start_ns = self._from_server(now_ns, node, transfer, serial, train)
            else:
                start_ns = self._on_wire(now_ns, src, node, transfer, serial, train)
            if self._frames is not None:
                hop = train.port if src == self._server and train.port else train.wire
                self._announce(_Copy(transfer, src, node, serial, train, hop, start_ns))
        if not transfer % _SETTLE_EVERY:
            self._log.settle(self._now_ns)
        return transfer

    def _train(self, size_bytes: int) -> Train:
        if len(self._trains) >= _SIZES_KEPT:
            self._trains.clear()
        train = self._trains[size_bytes] = self._framing.train(size_bytes, self._rate_bps, self._port_bps)
        return train

    def _on_wire(
        self, now_ns: int, src: NodeId, dst: NodeId, transfer: TransferId, serial: int, train: Train, behind_ns: int = 0
    ) -> int:
        """All packets queue at once, so the wire is busy without a gap until the last one has left.

        `behind_ns` of its wait were behind messages of others.
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
            self._to_port[serial] = _Copy(transfer, src, dst, serial, train, wire, start_ns, 0, arrival_ns)
            last_service_ns = train.port.last_ns if train.port else 0
            self._port.push(now_ns, Stream(arrival_ns, src, serial, full + 1, wire.last_ns, last_service_ns))
            return start_ns
        add((self._row[dst] + 1, start_ns + self._delay_ns, width_ns or 1, width_ns, 1, 0, serial))
        at_ns = end_ns + self._delay_ns
        delivery = Delivery(
            transfer, dst, at_ns, True, full + 1, full + 1, train.wire_bytes, width_ns, src, train.size_bytes,
            (behind_ns + width_ns + self._delay_ns) / NS_PER_S, width_ns / NS_PER_S * self._extra_w,
        )  # fmt: skip
        heapq.heappush(self._due, (at_ns, dst, src, transfer, serial, delivery))
        return start_ns

    def _from_server(
        self, now_ns: int, dst: NodeId, transfer: TransferId, serial: int, train: Train, behind_ns: int = 0
    ) -> int:
        """Through the server's port, then through the node's own wire: two links in tandem, in closed form.

        `behind_ns` of its wait were behind messages of others.
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
        service_ns = behind_ns + train.from_port_ns + self._delay_ns
        copy = _Copy(transfer, self._server, dst, serial, train, port, start_ns, service_ns)
        heapq.heappush(self._due, (end_ns + self._delay_ns, dst, self._server, transfer, serial, copy))
        return start_ns

    def _log_receiving(self, row: int, port_start_ns: int, free_ns: int, train: Train, serial: int) -> int:
        """Log a node's wire that the server's port feeds, and return when its last packet has left.

        Packet i is at the wire after i port times and leaves after max(that, the one before) + its own time.
        """
        port, wire, full = train.port or train.wire, train.wire, train.packets - 1
        delay_ns = self._delay_ns
        if full and wire.full_ns < port.full_ns:
            # Whatever the slower port sent before, a full packet behind it finds the wire free.
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

    def next_event_ns(self) -> int | None:
        """See `netsim.interfaces.Medium`: exact where no shared port is in use, else what holds if nothing comes."""
        due_ns = self._due[0][0] if self._due else None
        port_ns = self._port.next_ns() if self._to_port and self._port is not None else None
        if due_ns is None or port_ns is None:
            return port_ns if due_ns is None else due_ns
        return min(due_ns, port_ns)

    def advance(self, to_ns: int) -> Sequence[Delivery]:
        """See `netsim.interfaces.Medium`."""
        if self._to_port and self._port is not None:
            for at_ns, serial in self._port.advance(to_ns):
                self._leave_port(at_ns, self._to_port.pop(serial))
        self._now_ns = max(self._now_ns, to_ns)
        if self._frames is not None:
            self._emit_frames(to_ns)
        out = list[Delivery]()
        due = self._due
        while due and due[0][0] <= to_ns:
            entry = heapq.heappop(due)
            copy = entry[5]
            out.append(copy if isinstance(copy, Delivery) else self._delivery(copy, entry[0], copy.service_ns))
        return out

    def _leave_port(self, at_ns: int, copy: _Copy) -> None:
        # Waiting at the port behind own earlier packets is own queueing; they left before this one's first began.
        own_ns = max(0, self._left_port_ns.get(copy.src, 0) - copy.arrival_ns)
        self._left_port_ns[copy.src] = at_ns
        delivery = self._delivery(copy, at_ns, at_ns - copy.start_ns - own_ns)
        heapq.heappush(self._due, (at_ns, copy.dst, copy.src, copy.transfer, copy.serial, delivery))

    def _delivery(self, copy: _Copy, at_ns: int, service_ns: int) -> Delivery:
        train = copy.train
        sending_ns = train.wire_ns if copy.hop is train.wire else copy.hop.total_ns(train.packets)
        return Delivery(
            copy.transfer, copy.dst, at_ns, True, train.packets, train.packets, train.wire_bytes, train.wire_ns,
            copy.src, train.size_bytes, service_ns / NS_PER_S, sending_ns / NS_PER_S * self._extra_w,
        )  # fmt: skip

    # --- nodes that go down ------------------------------------------------------------------------------

    def set_up(self, now_ns: int, node: NodeId, up: bool) -> None:
        """See `netsim.interfaces.Medium`.

        What waits on the node's wires is dropped and the packet on them is cut. Packets that have reached the
        server's port still pass it, and the server still sends what it has for a node that is down.
        """
        if node not in self._row:
            raise SimulationError(f"no node {node}; there are {', '.join(map(str, self._row))}")
        if up == (node not in self._down):
            return
        if up:
            self._slept_ns[self._row[node] // 2] += now_ns - self._down.pop(node)
            return
        self._down[node] = now_ns
        if self._frames is not None:
            self._emit_frames(now_ns)
        lost = [self._copy_of(e[5], e[4]) for e in self._due if node in e[1:3] and e[0] > now_ns]
        lost += [copy for copy in self._to_port.values() if node in (copy.src, copy.dst)]
        serials = frozenset(copy.serial for copy in lost)
        self._due = [entry for entry in self._due if entry[4] not in serials]
        heapq.heapify(self._due)
        for copy in lost:
            self._to_port.pop(copy.serial, None)
            is_sent = copy.src == self._server != node
            self._give_up(now_ns, copy, copy.train.sent(FOREVER_NS if is_sent else now_ns - copy.start_ns, copy.hop))
        still_sends = node != self._server != _NOWHERE
        self._log.cut(serials, now_ns, self._row[self._server] if still_sends else -1)
        self._coming = [f for f in self._coming if f[4] not in serials or (still_sends and f[1] == self._server)]
        for wire, free_ns in self._free_ns.items():
            if node in wire:
                self._free_ns[wire] = min(free_ns, now_ns)
        if self._port is not None and still_sends:
            self._port.drop(now_ns, serials)
        elif self._port is not None:
            self._port.cut(now_ns)
            self._port_free_ns = min(self._port_free_ns, now_ns)

    def _copy_of(self, copy: _Copy | Delivery, serial: int) -> _Copy:
        if isinstance(copy, _Copy):
            return copy
        train, start_ns = self._train(copy.size_bytes), copy.at_ns - self._delay_ns - copy.airtime_ns
        return _Copy(copy.transfer, copy.src, copy.dst, serial, train, train.wire, start_ns)

    def _give_up(self, now_ns: int, copy: _Copy, sent: tuple[int, int, int]) -> None:
        packets, wire_bytes, airtime_ns = sent
        delivery = Delivery(
            copy.transfer, copy.dst, now_ns, False, packets, packets, wire_bytes, airtime_ns,
            copy.src, copy.train.size_bytes, 0.0, airtime_ns / NS_PER_S * self._extra_w,
        )  # fmt: skip
        heapq.heappush(self._due, (now_ns, copy.dst, copy.src, copy.transfer, copy.serial, delivery))

    # --- what it costs and what it did ---------------------------------------------------------------------

    def cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """See `netsim.interfaces.Medium`; exact."""
        rates: tuple[float | None, ...] = (self._rate_bps,)
        if self._server in (src, dst):
            rates = (self._port_bps, self._rate_bps) if src == self._server else (self._rate_bps, self._port_bps)
        return wire_cost(quantity, self._framing, rates, self._delay_ns, self._extra_w)

    def usage(self, at_ns: int) -> Usage:
        """See `netsim.interfaces.Medium`; each node has the interfaces ``out`` and ``in``."""
        self._log.settle(self._now_ns, limit=64)
        totals = self._log.totals(at_ns)
        busy_ns = totals.busy_ns
        if self._port is not None:
            busy_ns[self._row[self._server] + 1] += self._port.busy_ns(at_ns)
        slept_ns = self._slept_ns.copy()
        for node, since_ns in self._down.items():
            slept_ns[self._row[node] // 2] += at_ns - since_ns
        state_ns = np.zeros((busy_ns.size, len(STATES)), np.int64)
        state_ns[0::2, _TX], state_ns[1::2, _RX] = busy_ns[0::2], busy_ns[1::2]
        state_ns[:, _SLEEP] = np.repeat(slept_ns, 2)
        state_ns[:, _IDLE] = at_ns - state_ns.sum(axis=1)
        power_w = [self._power.power_w(state) if self._power else 0.0 for state in STATES]
        energy_j = state_ns / NS_PER_S * np.array(power_w)
        return Usage(self._interfaces, state_ns, energy_j, totals.frame_bytes, totals.frames)

    def max_power_w(self, node: NodeId) -> float:
        """See `netsim.interfaces.PowerBound`."""
        return 2 * max(self._power.power_w(state) for state in STATES) if self._power else 0.0

    # --- frames ------------------------------------------------------------------------------------------------

    def _announce(self, copy: _Copy) -> None:
        limit = self._framing.payload_max_bytes or copy.train.size_bytes
        for i in range(copy.train.packets):
            length = min(limit, copy.train.size_bytes - i * limit)
            start_ns = copy.start_ns + i * copy.hop.full_ns
            frame = (start_ns, copy.src, copy.dst, copy.transfer, copy.serial, i * limit, length)
            heapq.heappush(self._coming, frame)

    def _emit_frames(self, to_ns: int) -> None:
        while self._frames is not None and self._coming and self._coming[0][0] <= to_ns:
            start_ns, src, dst, transfer, _, offset, length = heapq.heappop(self._coming)
            self._frames.add(Frame(start_ns, src, dst, transfer, offset, length, 1, "data"))
