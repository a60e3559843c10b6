"""The shell of every medium: its nodes, transfers in order, outages, and the sums of a usage."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, NamedTuple, Self

import numpy as np

from channels.costing.models import Int64s
from channels.costing.quantities import check_quantity
from channels.media.states import IDLE, SLEEP
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


class Members(NamedTuple):
    """Who takes part in a medium.

    Parameters
    ----------
    nodes
        All that may send or receive; their interfaces have the rows of a usage, in this order.
    power
        Of every interface.
    frames
        Gets every frame when it begins; None: nobody looks.
    """

    nodes: Sequence[Node]
    power: PowerProfile
    frames: FrameSink | None = None


class Roster(ABC):
    """Does what `netsim.interfaces.Medium` asks of all media alike; a medium adds messages, time and costs.

    Parameters
    ----------
    members
        Who takes part.
    interfaces
        Names of the interfaces of each node.

    Attributes
    ----------
    broadcasts : whether a message to several nodes is one transmission.
    """

    broadcasts: bool = False

    def __init__(self, members: Members, *interfaces: str) -> None:
        self._interfaces = [(node.id, name) for node in members.nodes for name in interfaces]
        self._each, self._frames = len(interfaces), members.frames
        # The first row of each node.
        self._row = {node.id: i * self._each for i, node in enumerate(members.nodes)}
        self._power_w = {state: members.power.power_w(state) for state in STATES}
        self._transfers = self._now_ns = 0
        # Heaps: (at_ns, dst, src, transfer, anything, delivery), and frames that will begin.
        self._due: list[tuple[Any, ...]] = []
        self._coming: list[Frame] = []
        # Nodes that are down, since when; and how long interfaces slept in earlier outages.
        self._down: dict[NodeId, int] = {}
        self._slept_ns = np.zeros(len(self._interfaces), np.int64)

    # --- what a medium adds ----------------------------------------------------------------------------

    @abstractmethod
    def _take(self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> None:
        """Take a message whose nodes exist."""

    @abstractmethod
    def _run(self, to_ns: int) -> None:
        """Handle all events up to and at `to_ns`; pass every delivery to `_end`."""

    @abstractmethod
    def _next_ns(self) -> int | None:
        """Return a lower bound on the time of the next delivery that is not known yet; None: nothing is under way."""

    @abstractmethod
    def _go_down(self, now_ns: int, node: NodeId) -> None:
        """End what a node that goes down sends and receives; it is in `_down` already."""

    @abstractmethod
    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the cost of a lone message; `quantity` is one of `channels.costing.quantities.QUANTITIES`."""

    @abstractmethod
    def _used(self, at_ns: int) -> Usage:
        """Return the usage up to `at_ns`, by when nothing of what `_is_to_change` asks for happens."""

    def _is_to_change(self, at_ns: int) -> bool:
        """Return whether anything may happen by `at_ns` that a usage up to then has to know."""
        return False

    def _come_up(self, now_ns: int, node: NodeId, since_ns: int) -> None:
        """Bring a node up that was down since `since_ns`."""
        row = self._row[node]
        self._slept_ns[row : row + self._each] += now_ns - since_ns

    # --- what all do -------------------------------------------------------------------------------------

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        """See `netsim.interfaces.Medium`.

        Raises
        ------
        SimulationError
            If a node is not of this medium.
        ValueError
            If the message has no byte.
        """
        if size_bytes < 1:
            raise ValueError(f"size_bytes: a message has at least one byte. Got {size_bytes}")
        rows, transfer = self._row, self._transfers
        if src not in rows:
            self._refuse(src)
        for node in dst:
            if node not in rows:
                self._refuse(node)
        self._transfers = transfer + 1
        self._take(now_ns, transfer, src, dst, size_bytes)
        return transfer

    def next_event_ns(self) -> int | None:
        """See `netsim.interfaces.Medium`."""
        next_ns = self._next_ns()
        due_ns: int | None = self._due[0][0] if self._due else None
        if due_ns is None or next_ns is None:
            return next_ns if due_ns is None else due_ns
        return min(due_ns, next_ns)

    def advance(self, to_ns: int) -> Sequence[Delivery]:
        """See `netsim.interfaces.Medium`."""
        self._run(to_ns)
        if to_ns > self._now_ns:
            self._now_ns = to_ns
        out: list[Delivery] = []
        due = self._due
        while due and due[0][0] <= to_ns:
            out.append(heapq.heappop(due)[-1])
        return out

    def set_up(self, now_ns: int, node: NodeId, up: bool) -> None:
        """See `netsim.interfaces.Medium`."""
        if node not in self._row:
            self._refuse(node)
        if up == (node not in self._down):
            return
        self._run(now_ns)
        if up:
            self._come_up(now_ns, node, self._down.pop(node))
        else:
            self._down[node] = now_ns
            self._go_down(now_ns, node)

    def cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """See `netsim.interfaces.Medium`."""
        check_quantity(quantity)
        return self._cost(quantity, src, dst)

    def usage(self, at_ns: int) -> Usage:
        """See `netsim.interfaces.Medium`: what is to come happens to a copy."""
        if not self._is_to_change(at_ns):
            return self._used(at_ns)
        ahead = self._copy()
        ahead._run(at_ns)
        return ahead._used(at_ns)

    def max_power_w(self, node: NodeId) -> float:
        """See `netsim.interfaces.PowerBound`."""
        return self._each * max(self._power_w.values())

    def _refuse(self, node: NodeId) -> None:
        raise SimulationError(f"no node {node}; there are {', '.join(map(str, self._row))}")

    def _lost(self, src: NodeId, dst: Sequence[NodeId]) -> list[NodeId]:
        """Return the destinations that a message cannot reach as they or the sender are down."""
        return [node for node in dst if src in self._down or node in self._down] if self._down else []

    def _reachable(
        self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int
    ) -> tuple[NodeId, ...]:
        """Return the destinations that are up where the sender is; end a new message at the others."""
        if not self._down:
            return dst
        lost = self._lost(src, dst)
        for node in lost:
            self._end(Delivery(transfer, node, now_ns, False, 0, 0, 0, 0, src, size_bytes, 0.0, 0.0))
        return tuple(node for node in dst if node not in lost)

    def _end(self, delivery: Delivery) -> None:
        """Queue a delivery for `advance` to return at its time."""
        heapq.heappush(self._due, (delivery.at_ns, delivery.dst, delivery.src, delivery.transfer, delivery))

    def _show_coming(self, to_ns: int) -> None:
        """Give the sink the coming frames that begin by `to_ns`."""
        while self._coming and self._coming[0].start_ns <= to_ns:
            frame = heapq.heappop(self._coming)
            if self._frames is not None:
                self._frames.add(frame)

    def _usage(
        self, at_ns: int, state_ns: Int64s, tx_bytes: Int64s, tx_frames: Int64s, rest: int | Int64s = IDLE
    ) -> Usage:
        """Return the usage: interfaces sleep while their node is down, and do nothing else in the state `rest`."""
        slept_ns = self._slept_ns.copy()
        for node, since_ns in self._down.items():
            slept_ns[self._row[node] : self._row[node] + self._each] += at_ns - since_ns
        state_ns[:, SLEEP] += slept_ns
        state_ns[np.arange(len(state_ns)), rest] += at_ns - state_ns.sum(axis=1)
        energy_j = state_ns / NS_PER_S * np.array([*self._power_w.values()])
        return Usage(self._interfaces, state_ns, energy_j, tx_bytes, tx_frames)

    def _copy(self) -> Self:
        """Return another medium that goes on by itself and shows no frames."""
        frames, self._frames = self._frames, None
        other, self._frames = deepcopy(self), frames
        return other
