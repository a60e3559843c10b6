"""Contending IEEE 802.15.4 nodes: the medium of the MACs ``csma_ca`` and ``slotted``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from channels.costing.models import Int64s
from channels.media.lrwpan.cost import contention_cost
from channels.media.lrwpan.csma import tables as t
from channels.media.lrwpan.framing import Framing
from channels.media.lrwpan.reach import Reach
from channels.media.lrwpan.reception import equal_interferers
from channels.media.roster import Members, Roster
from netsim.interfaces import BROADCAST, STATES, CostModel, Delivery, Frame, NodeId, TransferId, Usage
from netsim.units import NS_PER_S

_FIRST_BUDGET, _LAST_BUDGET = 256, 1 << 16
_LOG_ROWS = 1024
_MOST_KINDS = 1024  # of messages, by size or by sender and destinations, that are remembered

_NO_LOG = np.zeros((0, t.LOG_SIZE), np.int64)
_EQUAL_INTERFERERS = equal_interferers()
# The fields of `Delivery` as the kernel writes them, eight bytes each.
_FORMATS = {"ok": "?", "service_s": "f8", "energy_j": "f8"}
_DELIVERY = np.dtype({
    "names": Delivery._fields,
    "formats": [_FORMATS.get(name, "i8") for name in Delivery._fields],
    "offsets": list(range(0, 8 * t.OUT_SIZE, 8)),
    "itemsize": 8 * t.OUT_SIZE,
})  # fmt: skip
_COUNTERS = {
    "frames": t.FRAMES, "delivered": t.N_GOT, "acked": t.N_ACKED, "no_ack": t.N_NOACK, "caf": t.N_CAF, "dup": t.N_DUP,
    "tx": t.N_TX, "cca": t.N_CCA, "busy": t.N_BUSY, "cca2": t.N_CCA2, "busy2": t.N_BUSY2, "service_ns": t.SERVICE,
    "sojourn_ns": t.SOJOURN, "last_end_ns": t.LAST_END,
}  # fmt: skip
_COLUMNS = np.array([*_COUNTERS.values()])


@dataclass(frozen=True)
class Rules:
    """What contending nodes do; see `channels.macs.csma_ca` and `channels.links.ieee802154` for each."""

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


@dataclass(frozen=True, eq=False)
class Streams:
    """Random streams in place of the draws under a key: the validation gives those of ns-3.

    Parameters
    ----------
    states
        Of MRG32k3a, int64, (2 nodes, 6): for the backoffs of each node, then for its receptions.
    first_numbers
        Sequence number of each node's first frame, int64, 0 .. 255.
    """

    states: Int64s
    first_numbers: Int64s


class _Tables:
    """All that changes, in one buffer: the tables that a copy needs whole, then the frames on the air, then the wheel.

    Parameters
    ----------
    nodes, frames, buckets
        How many nodes, frames on the air and buckets of the wheel.
    messages, blocks
        Room for so many messages under way, and for so many of them that go to several nodes.
    words
        Room for 64 times so many frames of a message that can be put behind each other.
    streams
        How many streams of draws.
    """

    def __init__(
        self, nodes: int, frames: int, buckets: int, messages: int, blocks: int, words: int, streams: int
    ) -> None:
        self.nodes, self.frames, self.buckets, self.streams = nodes, frames, buckets, streams
        self.messages, self.blocks, self.words = messages, blocks, words
        shapes: tuple[tuple[int, int], ...] = (
            (1, t.G_SIZE), (nodes, t.NODE_SIZE), (t.RADIO_SIZE, nodes), (2, 2 * nodes), (messages, t.MSG_SIZE),
            (messages + blocks * nodes, t.DST_SIZE), (nodes, t.LATE_SIZE * words), (streams, 6), (frames, t.RING_SIZE),
            (1, buckets // 64 * 65),
        )  # fmt: skip
        self.buffer = np.zeros(sum(rows * columns for rows, columns in shapes), np.int64)
        self.kept = np.empty_like(self.buffer)
        parts, first = list[Int64s](), 0
        for rows, columns in shapes:
            last = first + rows * columns
            parts.append(self.buffer[first:last].reshape(rows, columns))
            first = last
        g, self.node, self.radio, self.timer, self.msg, self.dst, self.late, self.mrg, self.ring, wheel = parts
        self.g, self.wheel = g[0], wheel[0]
        self.scalars = memoryview(self.g)
        # In the order in which kernels take them.
        self.all = (
            self.g, self.node, self.radio, self.timer, self.wheel, self.ring, self.msg, self.dst, self.late, self.mrg,
        )  # fmt: skip

    def start(self, names: Sequence[NodeId], sleeps: bool) -> None:
        """Set the tables to a time at which nothing has happened yet."""
        self.g[t.FREE_MSG] = self.g[t.FREE_BLOCK] = -1
        self.wheel[: self.buckets] = -1
        self.timer[t.AT] = t.FOREVER
        node, radio = self.node, self.radio
        node[:, t.NAME] = names
        node[:, t.HEAD] = node[:, t.TAIL] = node[:, t.DUTY] = radio[t.LOCK_ID] = radio[t.PREV_ID] = -1
        node[:, t.AWAKE] = not sleeps
        radio[t.RX_FROM] = t.FOREVER if sleeps else 0

    def copy(self) -> _Tables:
        """Return another one that goes on by itself."""
        new = _Tables(self.nodes, self.frames, self.buckets, self.messages, self.blocks, self.words, self.streams)
        new.buffer[:], new.kept[:] = self.buffer, self.kept
        return new

    def grown(self, messages: int, blocks: int, words: int) -> _Tables:
        """Return the same tables with room for more."""
        new = _Tables(self.nodes, self.frames, self.buckets, messages, blocks, words, self.streams)
        many, n = self.messages, self.nodes
        for a, b in zip(new.all[:6], self.all[:6], strict=True):
            a[:] = b
        new.mrg[:] = self.mrg
        new.msg[:many], new.dst[:many] = self.msg, self.dst[:many]
        new.late[:, : t.LATE_SIZE * self.words] = self.late
        new.dst[messages : messages + self.blocks * n] = self.dst[many:]
        shift = messages - many
        for column in (t.M_DST, t.M_REPAIR):
            new.msg[:many, column] += shift * (new.msg[:many, column] >= many)
        links = new.dst[messages : messages + self.blocks * n, t.D_LINK]
        links += shift * (links >= many)
        if new.g[t.FREE_BLOCK] >= 0:
            new.g[t.FREE_BLOCK] += shift
        return new


class ContendingNodes(Roster):
    """Nodes that contend for one channel with CSMA/CA; see `channels.macs.csma_ca` for the rules.

    Parameters
    ----------
    framing
        How messages become frames.
    rules
        What the nodes do.
    reach
        Who hears whom, and how loud.
    key
        64-bit key of all draws.
    draws
        Streams in place of the draws under `key`, with which receivers and hidden senders do what ns-3's do.

    Notes
    -----
    To answer `next_event_ns` the kernel runs ahead to the first delivery, or for some number of events, and keeps a
    copy of how things stood. When time gets there, nothing is left to do; when a message comes before, it goes back.
    """

    broadcasts = True

    def __init__(
        self, members: Members, framing: Framing, rules: Rules, reach: Reach, key: int, draws: Streams | None = None
    ) -> None:
        from channels.media.lrwpan.csma import senders_kernel as nb

        super().__init__(members, "radio")
        self._nb: Any = nb
        self._nodes = tuple(self._row)
        self._framing, self._rules, self._reach = framing, rules, reach
        n = len(self._nodes)
        # Longer than any delay: the longest backoff and a frame.
        buckets = 1 << max(8, (((1 << rules.max_be) * t.UNIT) >> t.BUCKET_BITS).bit_length() + 1)
        # Rows for frames on the air and those that ended while one of them began; more where backoffs are short.
        most = 64 if n < 20 else max(256, n if rules.min_be >= 2 else 8 * n)
        self._tables = _Tables(
            n, 1 << (most - 1).bit_length(), buckets, max(2 * n, 16), 2, 1, 0 if draws is None else 2 * n
        )
        self._tables.start(self._nodes, rules.sleeps)
        if draws is not None:
            self._tables.node[:, t.DSN] = draws.first_numbers
            self._tables.mrg[:] = draws.states
        par = [0] * t.PAR_SIZE
        for place, value in (
            (t.P_NODES, n), (t.P_STRICT, rules.strict), (t.P_NS3, rules.ns3_cca), (t.P_ALL, reach.is_everyone),
            (t.P_SLOTTED, rules.slotted), (t.P_RELIABLE, rules.reliable), (t.P_ACK, rules.acknowledge),
            (t.P_SLEEPS, rules.sleeps), (t.P_MIN_BE, rules.min_be), (t.P_MAX_BE, rules.max_be),
            (t.P_MAX_NB, rules.max_backoffs), (t.P_MAX_RETRY, rules.max_retries),
            (t.P_KEY, key - (key >> 63 << 64)), (t.P_LOSS, rules.per > 0 or reach.is_noisy),
            (t.P_HIDDEN, reach.has_hidden and draws is None),
        ):  # fmt: skip
            par[place] = value
        power = self._power_w
        idle_w = power["sleep" if rules.sleeps else "idle"]
        self._par = np.array(par, np.int64)
        self._real = np.empty(t.F_TABLE + len(_EQUAL_INTERFERERS))
        watts = (power["tx"], power["rx"], power["listen"], idle_w)
        self._real[: t.F_TABLE] = (rules.per, reach.noise_mw, *watts, reach.cca_mw)
        self._real[t.F_TABLE :] = _EQUAL_INTERFERERS
        self._link = reach.table
        self._log = np.zeros((_LOG_ROWS + 4 * n if members.frames is not None else 0, t.LOG_SIZE), np.int64)
        self._make_room(64)
        self._bind()
        self._sizes: dict[TransferId, int] = {}
        self._bound_ns: int | None = None  # the last answer of `next_event_ns`; None: not known
        self._is_exact = self._is_ahead = False
        self._budget = _FIRST_BUDGET
        self._plan, self._ends = lru_cache(_MOST_KINDS)(framing.plan), lru_cache(_MOST_KINDS)(self._look_up)

    def _make_room(self, deliveries: int) -> None:
        self._out = np.zeros((deliveries, t.OUT_SIZE), np.int64)
        self._out_real = self._out.view(np.float64)
        self._records = self._out.ravel().view(_DELIVERY)

    def _make_room_for(self, frames: int) -> None:
        """Remember what became of each frame of a reliable message."""
        if frames > 64 * self._tables.words:
            self._tables = self._tables.grown(self._tables.messages, self._tables.blocks, -(-frames // 64))
            self._bind()

    def _bind(self) -> None:
        """Hold the arguments of every call of the kernel."""
        tables, outs = self._tables, (self._out, self._out_real)
        self._scalars = tables.scalars
        g, node, radio, timer, wheel, _, msg, dst, _, mrg = tables.all
        self._for_submit = (g, node, radio, timer, wheel, msg, dst, mrg, self._par)
        self._for_down = (*tables.all, self._par, self._real, *outs)
        fixed = (self._par, self._real, self._link, self._framing.cycle)
        self._for_run = (*tables.all, tables.buffer, tables.kept, *fixed, *outs)

    # --- messages ----------------------------------------------------------------------------------------

    def _take(self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> None:
        self._forget(now_ns)
        if self._frames is not None:
            self._sizes[transfer] = size_bytes
        if not (there := self._reachable(now_ns, transfer, src, dst, size_bytes)):
            return
        row, targets = self._ends(src, there)
        plan = self._plan(size_bytes)
        if self._rules.reliable and len(targets) == 1:
            self._make_room_for(plan.frames)
        while not self._nb.submit(*self._for_submit, targets, transfer, row, size_bytes, *plan, now_ns):
            self._grow(len(targets) > 1)
        if self._scalars[t.PENDING] > len(self._out):
            self._make_room(2 * len(self._out) + len(targets))
            self._bind()

    def _next_ns(self) -> int | None:
        if not self._scalars[t.PENDING] and not self._is_ahead:
            return None
        return self._look_ahead() if self._bound_ns is None else self._bound_ns

    def _run(self, to_ns: int) -> None:
        bound = self._bound_ns
        if bound is None:
            if self._scalars[t.NOW] < to_ns:
                self._go_to(to_ns)
        elif to_ns >= bound:
            if not self._is_exact:
                self._budget = min(2 * self._budget, _LAST_BUDGET)
            self._bound_ns = None
            self._go_to(to_ns)
        elif self._frames is not None:
            self._go_to(to_ns)

    def _look_ahead(self) -> int:
        """Return the time of the first delivery, or an instant before which there is none."""
        now_ns: int = self._nb.run(*self._for_run, _NO_LOG, t.FOREVER, self._budget)
        self._is_ahead, self._is_exact = True, self._scalars[t.OUTS] > 0
        bound: int = self._scalars[t.FIRST] if self._is_exact else now_ns + 1
        self._bound_ns = bound
        return bound

    def _forget(self, now_ns: int) -> None:
        """Advance to now and discard the look-ahead: a new message may change it."""
        if self._bound_ns is not None:
            self._bound_ns, self._budget = None, _FIRST_BUDGET
        if self._is_ahead or self._scalars[t.NOW] < now_ns:
            self._go_to(now_ns)

    def _go_to(self, to_ns: int) -> None:
        """Handle all events up to and at `to_ns`."""
        scalars = self._scalars
        if self._is_ahead:
            self._is_ahead = False
            if scalars[t.NOW] > to_ns or self._frames is not None:
                self._go_back()
            elif scalars[t.OUTS]:
                self._collect()
        while scalars[t.NOW] < to_ns:
            self._nb.run(*self._for_run, self._log, to_ns, 0)
            self._collect()

    def _go_back(self) -> None:
        tables = self._tables
        self._nb.back(tables.buffer, tables.kept, tables.g, tables.timer, tables.ring, tables.wheel)

    def _collect(self) -> None:
        """Take the deliveries and the frames that the kernel found."""
        scalars = self._scalars
        if many := scalars[t.OUTS]:
            for record in self._records[:many].tolist():
                self._end(Delivery._make(record))
            scalars[t.OUTS] = 0
        if (many := scalars[t.LOGS]) and self._frames is not None:
            for row in self._log[:many].tolist():
                self._frames.add(self._frame(*row))
            scalars[t.LOGS] = 0

    def _frame(
        self, start_ns: int, src: int, dst: int, transfer: int, number: int, attempt: int, is_ack: int, _: int
    ) -> Frame:
        offset, length = (0, 0) if is_ack else self._framing.part(self._sizes[transfer], number)
        to = self._nodes[dst] if dst >= 0 else BROADCAST
        return Frame(start_ns, self._nodes[src], to, transfer, offset, length, attempt, "ack" if is_ack else "data")

    def _look_up(self, src: NodeId, dst: tuple[NodeId, ...]) -> tuple[int, Int64s]:
        """Return the sender's row, and of each destination in order its row and whether it hears the sender."""
        row, reach = self._row[src], self._reach
        rows = [self._row[node] for node in sorted(dst)]
        targets = [(other, reach.is_everyone or reach.hears[row, other]) for other in rows]
        return row, np.array(targets, np.int64)

    def _grow(self, several: bool) -> None:
        """Make room for twice the messages, or twice the blocks of destinations."""
        old, scalars = self._tables, self._scalars
        is_full = scalars[t.FREE_MSG] < 0 and scalars[t.MSGS] == old.messages
        has_none = several and scalars[t.FREE_BLOCK] < 0 and scalars[t.BLOCKS] == old.blocks
        messages, blocks = old.messages << is_full, old.blocks << has_none
        self._tables = old.grown(messages, blocks, old.words)
        self._bind()

    # --- nodes that go down --------------------------------------------------------------------------------

    def _come_up(self, now_ns: int, node: NodeId, since_ns: int) -> None:
        self._forget(now_ns)
        self._nb.up(self._tables.node, self._tables.radio, self._row[node], now_ns, self._par)

    def _go_down(self, now_ns: int, node: NodeId) -> None:
        """End messages whose sender or last destination this is, and cut their frame on the air."""
        self._forget(now_ns)
        self._nb.down(*self._for_down, self._row[node], now_ns)
        self._collect()

    # --- what it costs and what it did -----------------------------------------------------------------------

    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the cost: without contention and loss, the same for all pairs."""
        idle_w = self._power_w["sleep" if self._rules.sleeps else "idle"]
        return contention_cost(
            quantity, self._framing, self._power_w, idle_w, self._rules.acknowledge, self._rules.slotted,
            ((1 << self._rules.min_be) - 1) / 2,
        )  # fmt: skip

    def offered_load(self) -> float:
        """Return how many full frames a receiver would hear at once, with the longest backoff between two."""
        reach = self._reach
        heard = len(self._nodes) if reach.is_everyone else int(reach.hears.sum(axis=0).max())  # with itself
        backoff_ns = ((1 << self._rules.max_be) - 1) / 2 * t.UNIT
        return (heard - 1) * t.LONGEST / (t.LONGEST + backoff_ns)

    def _used(self, at_ns: int) -> Usage:
        tables = self._tables
        self._go_to(self._now_ns)
        if is_later := self._scalars[t.NOW] < at_ns:
            self._nb.run(*self._for_run, _NO_LOG, at_ns, -1)
        state_ns = np.zeros((len(self._nodes), len(STATES)), np.int64)
        self._nb.used(tables.g, tables.node, tables.radio, tables.ring, at_ns, state_ns)
        energy_j = state_ns / NS_PER_S * np.array([*self._power_w.values()])
        sent = tables.node[:, t.TX_BYTES].copy(), tables.node[:, t.TX_FRAMES].copy()
        usage = Usage(self._interfaces, state_ns, energy_j, *sent)
        if is_later:
            self._go_back()
        return usage

    def _copy(self) -> ContendingNodes:
        other = copy(self)
        other._tables, other._frames, other._log = self._tables.copy(), None, np.zeros_like(self._log[:0])
        other._make_room(len(self._out))
        other._out[:] = self._out
        other._bind()
        other._due, other._down = self._due.copy(), self._down.copy()
        return other

    def counters(self) -> Mapping[str, Int64s]:
        """Return what each node's MAC counted up to the last `advance`, by name; for probes and tests.

        ``frames`` that it is through with, ``delivered`` of them (at a destination), ``acked``, ``no_ack``, ``caf``
        (channel access failures), ``dup`` (frames that arrived again), ``tx`` (transmissions), ``cca`` and ``busy``,
        ``cca2`` and ``busy2`` (the second assessment of slotted access), ``service_ns`` (of acknowledged frames),
        ``sojourn_ns`` (from submission to the end of each frame), ``last_end_ns`` (of the last message).
        """
        self._go_to(self._now_ns)
        return dict(zip(_COUNTERS, self._tables.node.T[_COLUMNS], strict=True))
