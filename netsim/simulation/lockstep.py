"""The same agents without a network: messages arrive at once, gradients come in rounds, nothing takes time.

A deadline passes only where nothing else can happen.

For tests (the engine with an ideal channel and equal compute times gives the same bits) and for the traces of
`netsim.simulation.trace`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netsim.errors import SimulationError
from netsim.interfaces import (
    Array,
    Command,
    Compute,
    Decode,
    Delivered,
    Encode,
    Gradient,
    GradientRequest,
    Mark,
    Message,
    NodeId,
    Payload,
    Problem,
    Receive,
    Report,
    Send,
    Silent,
    Sum,
    Token,
    Value,
    Wait,
)
from netsim.scenario import Entry, Scenario
from netsim.simulation.actors import Actor
from netsim.simulation.world import World

See = Callable[[NodeId, Command[Any], GradientRequest | None], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """One message of a trace."""

    src: NodeId
    dst: NodeId
    round: int
    kind: str
    payload: Payload


@dataclass(slots=True, eq=False)
class Trace:
    """What a lockstep run leaves: every report with an estimate, and every message, in order."""

    reports: list[tuple[NodeId, int, Array]] = field(default_factory=list)
    messages: list[Sent] = field(default_factory=list)


def run(scenario: Scenario, entry: Entry, problem: Problem, rounds: int, replication: int = 0) -> Trace:
    """Run one algorithm for `rounds` rounds of whoever reports estimates.

    Parameters
    ----------
    scenario, entry, problem, replication
        As for `netsim.simulation.engine.simulate`; the network only prices messages.
    rounds
        Ends when every reporter has reported this round.

    Raises
    ------
    SimulationError
        If the agents wait for each other, one asks for something that only the engine has, or nodes go off at times,
        which lockstep has not.
    """
    if scenario.network.availability is not None:
        raise SimulationError(f"{entry.label}: network.availability is in seconds, and lockstep has no clock")
    world = World(scenario, entry, replication, problem)
    reporters = {world.server} if world.is_star else set(world.workers)
    trace = Trace()

    def see(node: NodeId, command: Command[Any], request: GradientRequest | None) -> bool:
        if isinstance(command, Send):
            for dst in nodes_of(command.to):
                trace.messages.append(Sent(node, dst, command.round, command.kind, command.payload))
        elif isinstance(command, Report) and command.estimate is not None:
            trace.reports.append((node, command.round, command.estimate.copy()))
            if command.round >= rounds:
                reporters.discard(node)
                return False
        return True

    driver = Lockstep(world, see)
    try:
        while reporters:
            if not driver.step():
                raise SimulationError(f"{entry.label}: nothing can go on: {driver.says()}")
    finally:
        driver.close()
    return trace


class Lockstep:
    """All agents of a world, driven without a clock; nodes that can go on do so one after the other.

    Parameters
    ----------
    world
        Its contexts and agents; of its media nothing but prices is used.
    see
        Called with the node, each of its commands before that is answered, and the request of a gradient or a value;
        False: the node stops there.

    Attributes
    ----------
    actors : by node, in id order.
    """

    def __init__(self, world: World, see: See) -> None:
        self.actors = world.make_actors()
        self._world, self._see, self._coder = world, see, world.coder()
        self._answers: dict[NodeId, object] = dict.fromkeys(world.nodes)
        self._gradients: dict[NodeId, GradientRequest] = {}
        self._ready = deque(sorted(world.nodes))
        self._marks = dict.fromkeys(world.nodes, 0)  # tokens are numbered at each node
        self._last_to: dict[NodeId, frozenset[NodeId]] = {}

    def step(self) -> bool:
        """Let the next node go on until it waits; False where no node can.

        Raises
        ------
        SimulationError
            If an agent fails, or asks for something that only the engine has.
        """
        if not self._ready:
            self._answer_all()
        if not self._ready:
            self._answer_gradients()
        if not self._ready:
            self._expire()
        if not self._ready:
            return False
        node = self._ready.popleft()
        touched = self._advance(self.actors[node], self._answers.pop(node))
        for other in sorted(touched):
            actor = self.actors[other]
            if other not in self._answers and _can_go_on(actor):
                self._answer(other, _take(actor))
        return True

    def says(self) -> str:
        """Say in words what the nodes wait for."""
        waiting = "; ".join(a.says(self._world.server) for a in self.actors.values() if a.waiting is not None)
        return waiting or "every agent has returned"

    def close(self) -> None:
        """End all agents where they stand."""
        for actor in self.actors.values():
            actor.close()

    def _answer(self, node: NodeId, answer: object) -> None:
        self._answers[node] = answer
        self._ready.append(node)

    def _advance(self, actor: Actor, answer: object) -> set[NodeId]:
        """Run one agent until it waits; return the nodes whose mailboxes may now have what they wait for."""
        touched = {actor.node}
        while True:
            command = actor.resume(answer)
            answer = None
            request = self._world.request(actor.node, command) if isinstance(command, Gradient | Value) else None
            if actor.finished:
                return touched
            if command is None:
                raise actor.refusal(command, "lockstep")
            if not self._see(actor.node, command, request):
                return touched
            if request is not None and isinstance(command, Gradient):
                self._gradients[actor.node] = request
                return touched
            if isinstance(command, Receive):
                actor.waiting = command
                return touched
            if isinstance(command, Send):
                data, flags = command.payload.data, command.payload.flags
                self._last_to[actor.node] = frozenset(nodes_of(command.to))
                for dst in nodes_of(command.to):
                    self.actors[dst].mailbox.put(Message(actor.node, command.round, command.kind, data, flags))
                    touched.add(dst)
            elif isinstance(command, Silent):
                for dst in nodes_of(command.to):
                    self.actors[dst].mailbox.put_silence(actor.node, command.round, command.kind)
                    touched.add(dst)
            elif isinstance(command, Encode | Decode | Sum):
                answer = self._coder.answer(actor.node, command)
            elif request is not None:
                (answer,) = self._world.learning.values([request])
            elif isinstance(command, Delivered):
                answer = self._last_to[actor.node]
            elif isinstance(command, Mark):
                answer = Token(self._marks[actor.node])
                self._marks[actor.node] += 1
            elif not isinstance(command, Report | Wait | Compute):
                raise actor.refusal(command, "lockstep")

    def _answer_all(self) -> None:
        """Answer those that take whatever has come."""
        for node, actor in self.actors.items():
            if actor.waiting is not None and actor.waiting.take == "all" and actor.mailbox.messages:
                self._answer(node, _take(actor))

    def _answer_gradients(self) -> None:
        nodes = sorted(self._gradients)
        if nodes:
            dtype = self._world.facts.dtype
            found = self._world.learning.gradients([self._gradients[node] for node in nodes])
            self._gradients.clear()
            for node, g in zip(nodes, found, strict=True):
                if not np.isfinite(g).all():
                    raise SimulationError(f"node {node}: the gradient is not finite")
                self._answer(node, g.astype(dtype, copy=False))

    def _expire(self) -> None:
        """End the wait with the earliest deadline, then the lowest id."""
        limits = {node: actor.waiting.deadline_s for node, actor in self.actors.items() if actor.waiting is not None}
        waiting = [(limit_s, node) for node, limit_s in limits.items() if limit_s is not None]
        if waiting:
            _, node = min(waiting)
            self._answer(node, _take(self.actors[node], timed_out=True))


def nodes_of(to: NodeId | tuple[NodeId, ...]) -> tuple[NodeId, ...]:
    """Return the destinations of a message as a tuple."""
    return to if isinstance(to, tuple) else (to,)


def _can_go_on(actor: Actor) -> bool:
    wanted = actor.waiting
    return wanted is not None and wanted.take != "all" and actor.mailbox.has(wanted)


def _take(actor: Actor, timed_out: bool = False) -> object:
    wanted, actor.waiting = actor.waiting, None
    return actor.mailbox.take(wanted, timed_out) if wanted is not None else None
