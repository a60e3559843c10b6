"""The same agents without a network: messages arrive at once, gradients come in rounds, nothing takes time.

A deadline passes only where nothing else can happen.

For tests (the engine with an ideal channel and equal compute times gives the same bits) and for payload traces.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from netsim.errors import SimulationError
from netsim.interfaces import (
    Array,
    Compute,
    Decode,
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
from netsim.simulation.coding import Coder
from netsim.simulation.world import World


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
        If the agents wait for each other, or one asks for something that only the engine has.
    """
    world = World(scenario, entry, replication, problem)
    actors, coder = world.make_actors(), world.coder()
    reporters = {world.server} if world.is_star else set(world.workers)
    trace = Trace()
    answers: dict[NodeId, object] = dict.fromkeys(world.nodes)
    gradients: dict[NodeId, Gradient] = {}
    while True:
        ready = deque(sorted(answers))
        while ready:
            node = ready.popleft()
            command = _advance(world, coder, actors, actors[node], answers.pop(node), trace, reporters, rounds)
            if isinstance(command, Gradient):
                gradients[node] = command
            for other in sorted(actors):
                if other not in answers and _receive(actors[other]):
                    answers[other] = _take(actors[other])
                    ready.append(other)
            if not reporters:
                _close(actors)
                return trace
        for node, actor in actors.items():
            if actor.waiting is not None and actor.waiting.take == "all" and actor.mailbox.messages:
                answers[node] = _take(actor)
        if answers:
            continue
        if not gradients and _expire(actors, answers):
            continue
        if not gradients:
            waiting = "; ".join(a.says(world.server) for a in actors.values() if a.waiting is not None)
            _close(actors)
            raise SimulationError(f"{entry.label}: nothing can go on: {waiting or 'every agent has returned'}")
        requests = [_request(world, node, gradients[node]) for node in sorted(gradients)]
        dtype, found = world.facts.dtype, world.learning.gradients(requests)
        answers |= {node: g.astype(dtype, copy=False) for node, g in zip(sorted(gradients), found, strict=True)}
        gradients.clear()


def _advance(
    world: World,
    coder: Coder,
    actors: dict[NodeId, Actor],
    actor: Actor,
    answer: object,
    trace: Trace,
    reporters: set[NodeId],
    rounds: int,
) -> Gradient | None:
    """Run one agent until it waits; the gradient it waits for, if it is that."""
    while True:
        command = actor.resume(answer)
        answer = None
        if command is None:
            return None
        if isinstance(command, Gradient):
            return command
        if isinstance(command, Receive):
            actor.waiting = command
            return None
        if isinstance(command, Send):
            for dst in command.to if isinstance(command.to, tuple) else (command.to,):
                trace.messages.append(Sent(actor.node, dst, command.round, command.kind, command.payload))
                data, flags = command.payload.data, command.payload.flags
                actors[dst].mailbox.put(Message(actor.node, command.round, command.kind, data, flags))
        elif isinstance(command, Silent):
            for dst in command.to if isinstance(command.to, tuple) else (command.to,):
                actors[dst].mailbox.put_silence(actor.node, command.round, command.kind)
        elif isinstance(command, Report):
            if command.estimate is not None:
                trace.reports.append((actor.node, command.round, command.estimate.copy()))
                if command.round >= rounds:
                    reporters.discard(actor.node)
                    return None
        elif isinstance(command, Encode | Decode | Sum):
            answer = coder.answer(actor.node, command)
        elif isinstance(command, Value):
            (answer,) = world.learning.values([_request(world, actor.node, command)])
        elif isinstance(command, Mark):
            answer = Token(0)
        elif not isinstance(command, Wait | Compute):
            raise SimulationError(f"node {actor.node}: lockstep knows no command {type(command).__name__}")


def _receive(actor: Actor) -> bool:
    wanted = actor.waiting
    if wanted is None or wanted.take == "all":
        return False
    return actor.mailbox.has(wanted)


def _take(actor: Actor) -> object:
    wanted = actor.waiting
    actor.waiting = None
    return actor.mailbox.take(wanted) if wanted is not None else None


def _expire(actors: dict[NodeId, Actor], answers: dict[NodeId, object]) -> bool:
    """End the wait with the earliest deadline, then the lowest id; return False where nobody waits for a deadline."""
    waiting = [(a.waiting.deadline_s, n) for n, a in actors.items() if a.waiting and a.waiting.deadline_s is not None]
    if not waiting:
        return False
    _, node = min(waiting)
    actor = actors[node]
    wanted, actor.waiting = actor.waiting, None
    assert wanted is not None
    answers[node] = actor.mailbox.take(wanted, timed_out=True)
    return True


def _request(world: World, node: NodeId, command: Gradient | Value) -> GradientRequest:
    batch = world.contexts[node].next_batch() if command.batch is None else command.batch
    return GradientRequest(node, command.at, batch.rows, world.contexts[node].next_key())


def _close(actors: dict[NodeId, Actor]) -> None:
    for actor in actors.values():
        actor.close()
