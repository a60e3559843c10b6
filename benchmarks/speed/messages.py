"""What the engine itself takes for a message: two nodes that answer each other, and nothing else."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import simpy

from benchmarks.speed.case import Case, Rival
from netsim.interfaces import Context, Payload, Receive, Report, Send
from netsim.registry import build
from netsim.simulation.engine import Engine
from netsim.testing.worlds import ToyProblem, world

WORK = "a message"
NOTES = (
    "the engine's own cost: a server and a worker answer each other on an ideal link with 40 bytes (d = 10), and",
    "nothing is computed, coded or recorded; at most 6 us a message are wanted; beside it two SimPy processes with a",
    "Store each, without links, rounds, mailboxes and counters",
)
_DIM = 10
_PAYLOAD = Payload(bytes(4 * _DIM), 32.0 * _DIM)


@dataclass(frozen=True)
class _Echo:
    """A server and a worker that send each other a payload, and report after the last round alone."""

    rounds: int
    tolerates: ClassVar[frozenset[str]] = frozenset()

    def server(self, ctx: Context) -> _Node:
        return _Node(0, self.rounds, is_first=True)

    def worker(self, ctx: Context) -> _Node:
        return _Node(ctx.server, self.rounds, is_first=False)


@dataclass(frozen=True)
class _Node:
    other: int
    rounds: int
    is_first: bool

    async def run(self) -> None:
        for round in range(self.rounds):
            if self.is_first:
                await Send(self.other, _PAYLOAD, round)
            await Receive(kind="update", round=round)
            if not self.is_first:
                await Send(self.other, _PAYLOAD, round)
        if self.is_first:
            await Report(self.rounds, np.zeros(_DIM))


def cases(small: bool = False) -> Iterator[Case]:
    """As many messages in either direction."""
    rounds = 20 if small else 5000
    scenario, problem = world(_Echo(rounds), build("channel", "ideal"), rounds), ToyProblem(1, _DIM)

    def ours() -> int:
        engine = Engine(scenario, scenario.algorithms[0], 0, problem)
        engine.run()
        return engine.recorder.tally.messages

    rival = Rival("two SimPy processes", lambda: _simpy_messages(rounds), None, lambda one, other: one == other)
    yield Case(f"2 nodes, {2 * rounds:,} messages", ours, (rival,), calls=2 * rounds)


def _simpy_messages(rounds: int) -> int:
    env = simpy.Environment()
    boxes, sent = [simpy.Store(env), simpy.Store(env)], [0]

    def node(own: simpy.Store, other: simpy.Store, is_first: bool) -> Generator[Any, Any, None]:
        for round in range(rounds):
            if is_first:
                sent[0] += 1
                yield other.put((round, _PAYLOAD))
            yield own.get()
            if not is_first:
                sent[0] += 1
                yield other.put((round, _PAYLOAD))

    env.process(node(boxes[0], boxes[1], True))
    env.process(node(boxes[1], boxes[0], False))
    env.run()
    return sent[0]
