"""Contending IEEE 802.15.4 nodes: the medium of ``mac: csma_ca`` and ``mac: slotted``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from channels._contention_cost import contention_cost
from channels._lrwpan import ACK_NS, TURNAROUND_NS
from channels._reach import Reach
from channels._reception import equal_interferers
from channels._sixlowpan import Framing
from netsim.errors import SimulationError
from netsim.interfaces import STATES, CostModel, Delivery, FrameSink, Node, NodeId, PowerProfile, TransferId, Usage
from netsim.units import NS_PER_S

_TX, _RX, _LISTEN, _SLEEP = (STATES.index(state) for state in ("tx", "rx", "listen", "sleep"))
_FIRST_BUDGET, _LAST_BUDGET = 256, 1 << 16
_NEVER = 1 << 62
_LOG_ROWS = 1024

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rules:
    """What contending nodes do; see `channels.ieee802154` for each."""

    slotted: bool = False
    strict: bool = True
    ns3_cca: bool = True
    reliable: bool = True
    acknowledge: bool = True
    sleeps: bool = False
    per: float = 0.0
    min_be: int = 3
    max_be: int = 5
    max_backoffs: int = 4
    max_retries: int = 3


class _State:
    """All that changes, as tables over one buffer, so that it is copied in one go."""

    SECTIONS = ("g", "node", "radio", "timer", "wheel", "ring", "msg", "dst")

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        sizes = [int(np.prod(shapes[name])) for name in self.SECTIONS]
        self.buffer = np.zeros(sum(sizes), np.int64)
        self.shapes = dict(shapes)
        parts = np.split(self.buffer, np.cumsum(sizes)[:-1])
        self.tables: tuple[Int64s, ...] = tuple(
            part.reshape(shapes[name]) for name, part in zip(self.SECTIONS, parts, strict=True)
        )
        self.g, self.node, self.radio, self.timer, self.wheel, self.ring, self.msg, self.dst = self.tables

    def copy(self, into: _State | None = None) -> _State:
        """The same, in `into` where that has the same shapes."""
        other = into if into is not None and into.shapes == self.shapes else _State(self.shapes)
        np.copyto(other.buffer, self.buffer)
        return other


class ContendingNodes:
    """Nodes that contend for one channel with CSMA/CA; see `channels.ieee802154` for the rules.

    Parameters
    ----------
    nodes
        All that may send or receive.
    framing
        How messages become frames.
    rules
        What the nodes do.
    reach
        Who hears whom, and how loud.
    radio
        Power of every node's radio.
    key
        64-bit key of all draws.
    frames
        Gets every frame when it begins.

    Notes
    -----
    The tables hold everything up to some instant. To answer `next_event_ns` a copy of them runs ahead to the first
    delivery, or for some number of events; it takes their place when time gets there, and is thrown away when a message
    comes before.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        framing: Framing,
        rules: Rules,
        reach: Reach,
        radio: PowerProfile,
        key: int,
        frames: FrameSink | None = None,
    ) -> None:
        from channels import _csma_nb as nb

        self._nb: Any = nb
        self._nodes = tuple(node.id for node in nodes)
        self._row = {node: i for i, node in enumerate(self._nodes)}
        self._framing, self._rules, self._reach, self._frames = framing, rules, reach, frames
        self._power_w = {state: radio.power_w(state) for state in STATES}
        self._transfers = 0
        self._clock_ns = 0
        self._ended: list[Delivery] = []
        self._sizes: dict[TransferId, int] = {}
        n = len(self._nodes)
        buckets = 1 << max(10, (((1 << rules.max_be) * nb.UNIT) >> nb.BUCKET_BITS).bit_length() + 1)
        self._now = _State({
            "g": (nb.G_SIZE,), "node": (n, nb.NODE_SIZE), "radio": (5, n), "timer": (2, 2 * n), "wheel": (2 * buckets,),
            "ring": (nb.RING_SIZE, 64 if n < 20 else 256), "msg": (0, nb.MSG_SIZE), "dst": (0, nb.DST_SIZE),
        })  # fmt: skip
        state = self._now
        state.g[[nb.FREE_MSG, nb.FREE_BLOCK]] = -1
        state.wheel[:buckets] = -1
        state.timer[0] = _NEVER
        state.node[:, [nb.HEAD, nb.TAIL, nb.DUTY]] = -1
        state.node[:, nb.AWAKE] = not rules.sleeps
        state.radio[nb.RX_FROM] = _NEVER if rules.sleeps else 0
        state.radio[nb.LOCK_ID] = -1
        self._par = np.zeros(nb.PAR_SIZE, np.int64)
        for place, value in (
            (nb.P_NODES, n), (nb.P_STRICT, rules.strict), (nb.P_NS3, rules.ns3_cca), (nb.P_ALL, reach.is_everyone),
            (nb.P_SLOTTED, rules.slotted), (nb.P_RELIABLE, rules.reliable), (nb.P_ACK, rules.acknowledge),
            (nb.P_SLEEPS, rules.sleeps), (nb.P_MIN_BE, rules.min_be), (nb.P_MAX_BE, rules.max_be),
            (nb.P_MAX_NB, rules.max_backoffs), (nb.P_MAX_RETRY, rules.max_retries),
            (nb.P_LOSS, rules.per > 0 or reach.is_noisy), (nb.P_HIDDEN, reach.has_hidden),
        ):  # fmt: skip
            self._par[place] = value
        self._par[nb.P_KEY] = int(np.array(key, np.uint64).view(np.int64))
        real = np.array([rules.per, reach.noise_mw, *equal_interferers()])
        self._fixed = (self._par, real, reach.table(), framing.cycle)
        self._out = np.zeros((64, nb.OUT_SIZE), np.int64)
        self._log = np.zeros((_LOG_ROWS + 4 * n if frames is not None else 0, nb.LOG_SIZE), np.int64)
        self._no_log = np.zeros((0, nb.LOG_SIZE), np.int64)
        self._ahead: _State | None = None
        self._spare: _State | None = None
        self._budget = _FIRST_BUDGET
        self._blocks = self._most = 0
        self._blank = (0,) * (nb.MSG_SIZE - nb.M_REPAIR - 1)
        self._down: set[NodeId] = set()

    # --- messages ----------------------------------------------------------------------------------------

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        """See `netsim.interfaces.Medium`; several destinations are one broadcast.

        Raises
        ------
        SimulationError
            If a node is not of this medium.
        ValueError
            If the message has no byte.
        """
        if size_bytes < 1:
            raise ValueError(f"size_bytes: a message has at least one byte. Got {size_bytes}")
        for node in (src, *dst):
            self._check(node)
        self._go_to(now_ns)
        nb, row = self._nb, self._row
        transfer = self._transfers
        self._transfers += 1
        if self._frames is not None:
            self._sizes[transfer] = size_bytes
        targets = sorted(dst)
        if self._down:
            lost = [node for node in targets if src in self._down or node in self._down]
            self._ended += [
                Delivery(transfer, node, now_ns, False, 0, 0, 0, 0, src, size_bytes, 0.0, 0.0) for node in lost
            ]
            targets = [node for node in targets if node not in lost]
            if not targets:
                return transfer
        m, first = self._rows(len(targets))
        state = self._now
        state.msg[m] = (
            transfer, row[src], size_bytes, *self._framing.plan(size_bytes), now_ns, -1, 0, 0, 0, 0, first,
            len(targets), -1, -1, *self._blank,
        )  # fmt: skip
        for place, node in enumerate(targets, first):
            heard = self._reach.is_everyone or self._reach.hears[row[src], row[node]]
            state.dst[place, : nb.D_LINK] = (row[node], 0, heard)
        *tables, _, messages, destinations = state.tables
        nb.submit(*tables, messages, destinations, self._par, m, now_ns)
        self._most += len(targets)
        while self._out.shape[0] < self._most:
            self._out = np.concatenate([self._out, np.zeros_like(self._out)])
        return transfer

    def next_event_ns(self) -> int | None:
        """See `netsim.interfaces.Medium`."""
        times = [delivery.at_ns for delivery in self._ended]
        if self._now.g[self._nb.PENDING] > 0:
            times.append(self._look_ahead())
        return min(times, default=None)

    def advance(self, to_ns: int) -> Sequence[Delivery]:
        """See `netsim.interfaces.Medium`."""
        if self._ahead is None or to_ns >= self._look_ahead() or self._frames is not None:
            self._go_to(to_ns)
        self._clock_ns = max(self._clock_ns, to_ns)
        if not self._ended:
            return []
        due = sorted((d for d in self._ended if d.at_ns <= to_ns), key=lambda d: (d.at_ns, d.dst, d.src, d.transfer))
        self._ended = [d for d in self._ended if d.at_ns > to_ns]
        return due

    def _look_ahead(self) -> int:
        """When the first delivery is, or an instant before which there is none."""
        nb = self._nb
        if self._ahead is None:
            self._ahead = self._now.copy(self._spare)
            self._spare = None
            nb.run(*self._ahead.tables, *self._fixed, self._out, self._no_log, _NEVER, self._budget, True)
        g = self._ahead.g
        return int(g[nb.FIRST] if g[nb.OUTS] else g[nb.NOW] + 1)

    def _go_to(self, to_ns: int) -> None:
        """Let everything up to and at `to_ns` happen."""
        nb, ahead = self._nb, self._ahead
        if ahead is not None:
            self._ahead = None
            if ahead.g[nb.NOW] <= to_ns and self._frames is None:
                self._now, self._spare = ahead, self._now
                self._budget = min(2 * self._budget, _LAST_BUDGET) if not ahead.g[nb.OUTS] else self._budget
                self._collect()
            else:
                self._spare = ahead
                self._budget = _FIRST_BUDGET
        g = self._now.g
        while g[nb.NOW] < to_ns:
            nb.run(*self._now.tables, *self._fixed, self._out, self._log, to_ns, _NEVER, False)
            self._collect()

    def _collect(self) -> None:
        """Take the deliveries and the frames that the kernel found."""
        nb, g = self._nb, self._now.g
        if g[nb.OUTS]:
            self._ended += [self._delivery(row) for row in self._out[: g[nb.OUTS]].tolist()]
            self._most -= int(g[nb.OUTS])
            g[nb.OUTS] = 0
        if g[nb.LOGS]:
            for start_ns, src, dst, transfer, frame, attempt, is_ack, _ in self._log[: g[nb.LOGS]].tolist():
                self._show(start_ns, src, dst, transfer, frame, attempt, is_ack)
            g[nb.LOGS] = 0

    def _show(self, start_ns: int, src: int, dst: int, transfer: int, frame: int, attempt: int, is_ack: int) -> None:
        assert self._frames is not None
        to = self._nodes[dst] if dst >= 0 else -1
        offset, length = (0, 0) if is_ack else self._framing.part(self._sizes[transfer], frame)
        kind = "ack" if is_ack else "data"
        self._frames.add(start_ns, self._nodes[src], to, transfer, offset, length, attempt, kind)

    def _delivery(self, row: list[int]) -> Delivery:
        (transfer, dst, at_ns, ok, packets, attempts, wire_bytes, airtime_ns, src, size_bytes, submit_ns, start_ns,
         tx_ns, acks, destinations, _) = row  # fmt: skip
        is_acked = self._rules.acknowledge and destinations == 1
        service_s = (at_ns - max(submit_ns, start_ns)) / NS_PER_S if ok else 0.0
        tail_ns = TURNAROUND_NS + ACK_NS if ok and is_acked else 0
        elapsed_ns = at_ns + tail_ns - start_ns if 0 <= start_ns <= at_ns else 0
        return Delivery(
            transfer, self._nodes[dst], at_ns, bool(ok), packets, attempts, wire_bytes, airtime_ns,
            self._nodes[src], size_bytes, service_s, self._extra_j(tx_ns, acks * ACK_NS, elapsed_ns),
        )  # fmt: skip

    def _extra_j(self, tx_ns: int, ack_ns: int, elapsed_ns: int) -> float:
        power, idle = self._power_w, self._power_w["sleep" if self._rules.sleeps else "idle"]
        listen_ns = max(elapsed_ns - tx_ns - ack_ns, 0)
        spent = power["tx"] * tx_ns + power["rx"] * ack_ns + power["listen"] * listen_ns
        return (spent - idle * elapsed_ns) / NS_PER_S

    def _check(self, node: NodeId) -> None:
        if node not in self._row:
            raise SimulationError(f"no node {node}; there are {', '.join(map(str, self._row))}")

    def _rows(self, destinations: int) -> tuple[int, int]:
        """Free rows for a message and for its destinations."""
        nb = self._nb
        if self._now.g[nb.FREE_MSG] < 0 or (destinations > 1 and self._now.g[nb.FREE_BLOCK] < 0):
            self._grow(destinations > 1)
        g, msg, dst = self._now.g, self._now.msg, self._now.dst
        m = int(g[nb.FREE_MSG])
        g[nb.FREE_MSG] = msg[m, nb.M_NEXT]
        if destinations == 1:
            return m, m
        first = int(g[nb.FREE_BLOCK])
        g[nb.FREE_BLOCK] = dst[first, nb.D_LINK]
        return m, first

    def _grow(self, blocks: bool) -> None:
        """Twice the messages, or twice the blocks of destinations."""
        nb, old, n = self._nb, self._now, len(self._nodes)
        many = old.msg.shape[0]
        more = max(2 * many, 2 * n, 16) if old.g[nb.FREE_MSG] < 0 else many
        more_blocks = max(2 * self._blocks, 2) if blocks and old.g[nb.FREE_BLOCK] < 0 else self._blocks
        new = _State(old.shapes | {"msg": (more, nb.MSG_SIZE), "dst": (more + more_blocks * n, nb.DST_SIZE)})
        for a, b in zip(new.tables[:6], old.tables[:6], strict=True):
            a[:] = b
        new.msg[:many], new.dst[:many] = old.msg, old.dst[:many]
        new.dst[more : more + self._blocks * n] = old.dst[many:]
        shift = more - many
        for column in (nb.M_DST, nb.M_REPAIR):
            new.msg[:many, column] += shift * (new.msg[:many, column] >= many)
        links = new.dst[more : more + self._blocks * n, nb.D_LINK]
        links += shift * (links >= many)
        if new.g[nb.FREE_BLOCK] >= 0:
            new.g[nb.FREE_BLOCK] += shift
        for m in range(more - 1, many - 1, -1):
            new.msg[m, nb.M_NEXT], new.g[nb.FREE_MSG] = new.g[nb.FREE_MSG], m
        for block in range(more_blocks - 1, self._blocks - 1, -1):
            first = more + block * n
            new.dst[first, nb.D_LINK], new.g[nb.FREE_BLOCK] = new.g[nb.FREE_BLOCK], first
        self._now, self._ahead, self._spare, self._blocks = new, None, None, more_blocks

    # --- nodes that go down --------------------------------------------------------------------------------

    def set_up(self, now_ns: int, node: NodeId, up: bool) -> None:
        """See `netsim.interfaces.Medium`.

        A message whose sender or last destination goes down ends there, and its frame on the air is cut.
        """
        self._check(node)
        self._go_to(now_ns)
        nb, n = self._nb, self._row[node]
        if up == (node not in self._down):
            return
        if up:
            self._down.remove(node)
            nb.up(self._now.node, self._now.radio, n, now_ns, self._par)
        else:
            self._down.add(node)
            nb.down(*self._now.tables, self._par, self._out, n, now_ns)
            self._collect()

    # --- what it costs and what it did -----------------------------------------------------------------------

    def cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """See `netsim.interfaces.Medium`; without contention and loss, the same for all pairs."""
        idle_w = self._power_w["sleep" if self._rules.sleeps else "idle"]
        return contention_cost(
            quantity, self._framing, self._power_w, idle_w, self._rules.acknowledge, self._rules.slotted,
            ((1 << self._rules.min_be) - 1) / 2,
        )  # fmt: skip

    def max_power_w(self, node: NodeId) -> float:
        """See `netsim.interfaces.PowerBound`."""
        return max(self._power_w.values())

    def usage(self, at_ns: int) -> Usage:
        """See `netsim.interfaces.Medium`; each node has the interface ``radio``."""
        nb = self._nb
        state = self._at(at_ns)
        node, radio, ring, g = state.node, state.radio, state.ring, state.g
        tx_ns = node[:, nb.TX_NS].copy()
        for i in range(int(g[nb.LOW]), int(g[nb.HIGH])):
            start, end, src, is_met = ring[[nb.START, nb.END, nb.SRC, nb.MET], i & (ring.shape[1] - 1)]
            if is_met and start <= at_ns < end:
                tx_ns[src] -= end - at_ns
        rx_ns = radio[nb.RX_NS] - np.maximum(radio[nb.LOCK_END] - np.maximum(radio[nb.LOCK_START], at_ns), 0)
        awake_ns = node[:, nb.AWAKE_NS] + np.where(node[:, nb.AWAKE] == 1, at_ns - node[:, nb.SINCE], 0)
        state_ns = np.zeros((len(self._nodes), len(STATES)), np.int64)
        state_ns[:, _TX], state_ns[:, _RX] = tx_ns, rx_ns
        state_ns[:, _LISTEN], state_ns[:, _SLEEP] = awake_ns - tx_ns - rx_ns, at_ns - awake_ns
        energy_j = state_ns / NS_PER_S * np.array([self._power_w[state] for state in STATES])
        interfaces = [(name, "radio") for name in self._nodes]
        return Usage(interfaces, state_ns, energy_j, node[:, nb.TX_BYTES].copy(), node[:, nb.TX_FRAMES].copy())

    def _at(self, at_ns: int) -> _State:
        """The tables at an instant not before the last `advance`."""
        nb = self._nb
        if self._now.g[nb.NOW] < self._clock_ns and self._ahead is None:
            self._go_to(self._clock_ns)
        state = self._now
        if state.g[nb.NOW] < at_ns:
            state = state.copy()
            out = np.zeros_like(self._out)
            nb.run(*state.tables, *self._fixed, out, self._no_log, at_ns, _NEVER, False)
        return state

    def copy(self) -> ContendingNodes:
        """Another one that goes on by itself and shows no frames."""
        other = copy(self)
        other._now, other._ahead, other._spare = self._now.copy(), None, None
        other._out, other._log, other._frames = np.zeros_like(self._out), self._no_log, None
        other._ended, other._down = self._ended.copy(), self._down.copy()
        return other

    def counters(self) -> Mapping[str, Int64s]:
        """What each node's MAC counted so far, by name; for probes and tests.

        ``frames`` that it is through with, ``delivered`` of them (at a destination), ``acked``, ``no_ack``, ``caf``
        (channel access failures), ``dup`` (frames that arrived again), ``tx`` (transmissions), ``cca`` and ``busy``,
        ``cca2`` and ``busy2`` (the second assessment of slotted access), ``service_ns`` (of acknowledged frames),
        ``sojourn_ns`` (from submission to the end of each frame), ``last_end_ns`` (of the last message).
        """
        nb, node = self._nb, self._now.node
        names = {
            "frames": nb.FRAMES, "delivered": nb.N_GOT, "acked": nb.N_ACKED, "no_ack": nb.N_NOACK, "caf": nb.N_CAF,
            "dup": nb.N_DUP, "tx": nb.N_TX, "cca": nb.N_CCA, "busy": nb.N_BUSY, "cca2": nb.N_CCA2,
            "busy2": nb.N_BUSY2, "service_ns": nb.SERVICE, "sojourn_ns": nb.SOJOURN, "last_end_ns": nb.LAST_END,
        }  # fmt: skip
        return {name: node[:, column].copy() for name, column in names.items()}
