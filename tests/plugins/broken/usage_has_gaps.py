"""A channel that forgets the time in which its nodes idle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from channels.costing.models import FunctionCost
from netsim.interfaces import STATES, CostModel, Delivery, FrameSink, Medium, Node, NodeId, TransferId, Usage
from netsim.registry import component

DELAY_NS = 1_000_000


@component("channel")
@dataclass(frozen=True)
class UsageHasGaps:
    """Every message takes a millisecond, and so much time its sender spends in tx."""

    reliable_delivery: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        return Gaps(nodes, frames)


class Gaps:
    """Messages under way."""

    def __init__(self, nodes: Sequence[Node], frames: FrameSink | None) -> None:
        self.nodes = [node.id for node in nodes]
        self.frames = frames
        self.under_way: list[Delivery] = []
        self.sent = 0
        self.tx_bytes = dict.fromkeys(self.nodes, 0)
        self.tx_frames = dict.fromkeys(self.nodes, 0)

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        transfer, self.sent = self.sent, self.sent + 1
        for to in dst:
            end, sizes = (transfer, to, now_ns + DELAY_NS, True, 1, 1), (size_bytes, DELAY_NS, src, size_bytes)
            self.under_way.append(Delivery(*end, *sizes, 1e-3, 0.0))
            self.tx_bytes[src] += size_bytes
            self.tx_frames[src] += 1
            if self.frames is not None:
                self.frames.add(now_ns, src, to, transfer, 0, size_bytes, 1, "data")
        return transfer

    def next_event_ns(self) -> int | None:
        return min((d.at_ns for d in self.under_way), default=None)

    def advance(self, to_ns: int) -> Sequence[Delivery]:
        here = [d for d in self.under_way if d.at_ns <= to_ns]
        self.under_way = [d for d in self.under_way if d.at_ns > to_ns]
        return sorted(here, key=lambda d: (d.at_ns, d.dst, d.src, d.transfer))

    def set_up(self, now_ns: int, node: NodeId, up: bool) -> None:
        for i, d in enumerate(self.under_way):
            if not up and node in (d.src, d.dst):
                self.under_way[i] = d._replace(at_ns=now_ns, ok=False, service_s=0.0)

    def cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        constant = {"packet": 1.0, "s": 1e-3, "j": 0.0}
        if quantity == "bit":
            return FunctionCost(lambda message_bit: message_bit, "bit")
        return FunctionCost(lambda message_bit: np.full_like(message_bit, constant[quantity]), quantity)

    def usage(self, at_ns: int) -> Usage:
        state_ns = np.zeros((len(self.nodes), len(STATES)), np.int64)
        state_ns[:, STATES.index("tx")] = [DELAY_NS * self.tx_frames[n] for n in self.nodes]
        sent = (np.array([counts[n] for n in self.nodes], np.int64) for counts in (self.tx_bytes, self.tx_frames))
        return Usage([(n, "port") for n in self.nodes], state_ns, np.zeros(state_ns.shape), *sent)
