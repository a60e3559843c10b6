"""IP over avian carriers (RFC 1149), as a user would add a link: every message takes one flight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from channels.costs._model import FunctionCost
from netsim.fields import PositiveFloat
from netsim.interfaces import STATES, CostModel, Delivery, FrameSink, Medium, Node, NodeId, TransferId, Usage
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
    Scope and limits: no loss, no queueing, no weight limit. Validation: none.
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
        self.down: set[NodeId] = set()

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        for to in dst:
            ok = not {src, to} & self.down
            at_ns = now_ns + (self.flight_ns if ok else 0)
            self.flying.append(
                Delivery(
                    self.sent,
                    to,
                    at_ns,
                    ok,
                    1,
                    1,
                    size_bytes,
                    self.flight_ns,
                    src,
                    size_bytes,
                    self.flight_ns / NS_PER_S,
                    0.0,
                )
            )
            self.tx_bytes[src] += size_bytes
            self.tx_frames[src] += 1
            if self.frames is not None:
                self.frames.add(now_ns, src, to, self.sent, 0, size_bytes, 1, "bird")
        self.sent += 1
        return self.sent - 1

    def next_event_ns(self) -> int | None:
        return min((bird.at_ns for bird in self.flying), default=None)

    def advance(self, to_ns: int) -> Sequence[Delivery]:
        landed = [bird for bird in self.flying if bird.at_ns <= to_ns]
        self.flying = [bird for bird in self.flying if bird.at_ns > to_ns]
        return sorted(landed, key=lambda d: (d.at_ns, d.dst, d.src, d.transfer))

    def set_up(self, now_ns: int, node: NodeId, up: bool) -> None:
        self.down = self.down - {node} if up else self.down | {node}

    def cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        per_message = {"packet": 1.0, "s": self.flight_ns / NS_PER_S, "j": 0.0}
        if quantity == "bit":
            return FunctionCost(lambda message_bit: message_bit, "bit")
        return FunctionCost(lambda message_bit: np.full_like(message_bit, per_message[quantity]), quantity)

    def usage(self, at_ns: int) -> Usage:
        state_ns = np.zeros((len(self.nodes), len(STATES)), np.int64)
        state_ns[:, STATES.index("idle")] = at_ns
        return Usage(
            [(node, "coop") for node in self.nodes],
            state_ns,
            np.zeros(state_ns.shape),
            np.array([self.tx_bytes[n] for n in self.nodes], np.int64),
            np.array([self.tx_frames[n] for n in self.nodes], np.int64),
        )
