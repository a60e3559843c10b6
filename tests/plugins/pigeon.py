"""IP over avian carriers (RFC 1149), as a user would add a link: every message takes one flight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from channels.costing.models import FunctionCost
from netsim.fields import PositiveFloat
from netsim.interfaces import STATES, CostModel, Delivery, Frame, FrameSink, Medium, Node, NodeId, TransferId, Usage
from netsim.registry import component
from netsim.units import NS_PER_S, seconds_to_ns


@component("channel")
@dataclass(frozen=True)
class Pigeon:
    """Every message is one pigeon; there is always another one.

    Parameters
    ----------
    flight_s
        From coop to coop.

    Notes
    -----
    Scope and limits: no loss but for a bird whose coop closes at either end, no queueing, no weight limit, no energy.

    Validation: none.

    References
    ----------
    D. Waitzman, "A standard for the transmission of IP datagrams on avian carriers", RFC 1149, 1990.
    """

    flight_s: PositiveFloat = 60.0

    reliable_delivery: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({"flight_s": 0.5},)

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        return Coop(nodes, self.flight_s, frames)


class Coop:
    """The birds under way."""

    def __init__(self, nodes: Sequence[Node], flight_s: float, frames: FrameSink | None) -> None:
        self.nodes = [node.id for node in nodes]
        self.flight_ns = seconds_to_ns(flight_s)
        self.frames = frames
        self.flying: list[Delivery] = []
        self.sent = 0
        self.tx_bytes = dict.fromkeys(self.nodes, 0)
        self.tx_frames = dict.fromkeys(self.nodes, 0)
        self.down: dict[NodeId, int] = {}
        self.slept_ns = dict.fromkeys(self.nodes, 0)

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        transfer, self.sent = self.sent, self.sent + 1
        for to in dst:
            leaves = src not in self.down and to not in self.down
            birds, air_ns = (1, self.flight_ns) if leaves else (0, 0)
            self.flying.append(
                Delivery(
                    transfer, to, now_ns + air_ns, leaves, birds, birds, birds * size_bytes, air_ns,
                    src, size_bytes, air_ns / NS_PER_S, 0.0,
                )
            )  # fmt: skip
            self.tx_bytes[src] += birds * size_bytes
            self.tx_frames[src] += birds
            if self.frames is not None and leaves:
                self.frames.add(Frame(now_ns, src, to, transfer, 0, size_bytes, 1, "bird"))
        return transfer

    def next_event_ns(self) -> int | None:
        return min((bird.at_ns for bird in self.flying), default=None)

    def advance(self, to_ns: int) -> Sequence[Delivery]:
        landed = [bird for bird in self.flying if bird.at_ns <= to_ns]
        self.flying = [bird for bird in self.flying if bird.at_ns > to_ns]
        return sorted(landed, key=lambda d: (d.at_ns, d.dst, d.src, d.transfer))

    def set_up(self, now_ns: int, node: NodeId, up: bool) -> None:
        if up and node in self.down:
            self.slept_ns[node] += now_ns - self.down.pop(node)
        elif not up and node not in self.down:
            self.down[node] = now_ns
            for i, bird in enumerate(self.flying):
                if node in (bird.src, bird.dst) and bird.at_ns > now_ns:
                    self.flying[i] = bird._replace(at_ns=now_ns, ok=False, service_s=0.0)

    def cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        per_message = {"packet": 1.0, "s": self.flight_ns / NS_PER_S, "j": 0.0}
        if quantity == "bit":
            return FunctionCost(lambda message_bit: message_bit, "bit")
        return FunctionCost(lambda message_bit: np.full_like(message_bit, per_message[quantity]), quantity)

    def usage(self, at_ns: int) -> Usage:
        state_ns = np.zeros((len(self.nodes), len(STATES)), np.int64)
        slept_ns = [self.slept_ns[n] + (at_ns - self.down[n] if n in self.down else 0) for n in self.nodes]
        state_ns[:, STATES.index("sleep")] = slept_ns
        state_ns[:, STATES.index("idle")] = at_ns - state_ns.sum(axis=1)
        return Usage(
            [(node, "coop") for node in self.nodes],
            state_ns,
            np.zeros(state_ns.shape),
            np.array([self.tx_bytes[n] for n in self.nodes], np.int64),
            np.array([self.tx_frames[n] for n in self.nodes], np.int64),
        )
