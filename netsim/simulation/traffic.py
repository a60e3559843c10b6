"""Messages on their way: from an agent's hand over the media into mailboxes, and who is told of their ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from netsim.errors import SimulationError
from netsim.interfaces import HEADER_BYTES, CostModel, Delivery, Message, NodeId, PacketObserver, Payload, TransferId
from netsim.simulation import capture
from netsim.simulation.actors import Actor
from netsim.simulation.flight import Flight
from netsim.simulation.phases import Phase, Phases
from netsim.simulation.recorder import Recorder
from netsim.simulation.world import World

_new = tuple.__new__  # a third of the time of a named tuple's own


class _Way:
    """What is the same for all messages from one node to another."""

    __slots__ = ("direction", "medium", "phase")

    def __init__(self, direction: str, phase: Phase | None, medium: int) -> None:
        self.direction, self.phase, self.medium = direction, phase, medium


class Traffic:
    """The messages of one run.

    Parameters
    ----------
    world
        Its media, and which node sends over which of them.
    actors
        Their mailboxes.
    recorder, phases
        Count what a message came to, and how long nodes sent and received.
    tell
        Called with a node that waits for the end of its message, and the nodes that got it.

    Attributes
    ----------
    due_ns : a lower bound on the next delivery, as far as the media have been asked; infinite where nothing comes.
    is_stale : whether media are still to be asked.
    """

    def __init__(
        self,
        world: World,
        actors: Mapping[NodeId, Actor],
        recorder: Recorder,
        phases: Phases,
        tell: Callable[[NodeId, object], None],
    ) -> None:
        self._world, self._actors, self._recorder, self._phases, self._tell = world, actors, recorder, phases, tell
        self._media, self._captures, self._live_costs = world.media, world.captures, world.live_costs
        self._ways: dict[tuple[NodeId, NodeId], _Way] = {}
        self._flights: list[dict[TransferId, Flight]] = [{} for _ in world.media]
        self._of_medium_ns: list[float] = [math.inf] * len(world.media)
        self._changed = set(range(len(world.media)))  # media whose next event is to be asked for
        self.due_ns = math.inf
        self._keeps_ends = "known_loss" in world.entry.algorithm.tolerates
        self._last: dict[NodeId, Flight] = {}  # of each node, where agents ask what became of it

    def under_way(self) -> Iterator[Flight]:
        """Return the messages that have not ended everywhere."""
        return chain.from_iterable(flights.values() for flights in self._flights)

    def next_ns(self) -> float:
        """Return a lower bound on the next delivery; infinite where nothing comes."""
        if self._changed:
            for i in self._changed:
                due_ns = self._media[i].next_event_ns()
                self._of_medium_ns[i] = math.inf if due_ns is None else due_ns
            self._changed.clear()
            self.due_ns = min(self._of_medium_ns)
        return self.due_ns

    def send(
        self, now_ns: int, src: NodeId, to: NodeId | tuple[NodeId, ...], round: int, kind: str, payload: Payload,
        is_silence: bool = False,
    ) -> None:  # fmt: skip
        """Hand a message over.

        Raises
        ------
        SimulationError
            If it is for the sender itself.
        """
        nodes = to if isinstance(to, tuple) else (to,)
        if not nodes:
            return
        if src in nodes:
            raise SimulationError(f"node {src}: a message to another node is sent, not one to itself")
        data, ways = payload.data, self._ways
        index = (ways.get((src, nodes[0])) or self._way(src, nodes[0])).medium
        transfer = self._media[index].submit(now_ns, src, nodes, HEADER_BYTES + len(data))
        self._changed.add(index)
        message = _new(Message, (src, round, kind, data, payload.flags))
        flight = self._flights[index][transfer] = Flight(message, payload, now_ns, is_silence, len(nodes))
        if self._keeps_ends:
            flight.arrived, self._last[src] = [], flight
        if self._captures:
            said = capture.message(payload, "silence" if is_silence else kind, src, round)
            self._captures[self._world.media_names[index]].put(transfer, said)
        for node in nodes:
            phase = (ways.get((src, node)) or self._way(src, node)).phase
            if phase is not None:
                phase.begin(now_ns)

    def deliver(self, now_ns: int) -> Sequence[NodeId]:
        """Put what arrives at this instant into mailboxes, in (dst, src, transfer) order; return whose, in id order."""
        if self.next_ns() > now_ns:
            return ()
        ends, media = list[tuple[Delivery, int]](), 0
        for index, due_ns in enumerate(self._of_medium_ns):
            if due_ns <= now_ns:
                media += 1
                self._changed.add(index)
                for delivery in self._media[index].advance(now_ns):
                    ends.append((delivery, index))
        if media > 1:  # one medium has them in order
            ends.sort(key=_in_order)
        for delivery, index in ends:
            self._end(delivery, index, now_ns)
        if len(ends) == 1:
            return (ends[0][0].dst,)
        return list(dict.fromkeys([delivery.dst for delivery, _ in ends]))

    def _end(self, delivery: Delivery, index: int, now_ns: int) -> None:
        """Book the end of a message at one destination, and put it into the mailbox if it has arrived."""
        transfer, dst = delivery.transfer, delivery.dst
        flight = self._flights[index][transfer]
        message = flight.message
        way = self._ways[message.src, dst]
        self._recorder.book(way.direction, flight, delivery)
        if way.phase is not None:
            way.phase.end(now_ns)
        flight.destinations -= 1
        if not flight.destinations:
            del self._flights[index][transfer]
        if delivery.ok:
            if self._live_costs:
                _observe(self._live_costs.get((message.src, dst), ()), delivery)
            if flight.arrived is not None:
                flight.arrived.append(dst)
            mailbox = self._actors[dst].mailbox
            if flight.is_silence:
                mailbox.put_silence(message.src, message.round, message.kind)
            else:
                mailbox.messages.append(message)
        if flight.is_awaited and not flight.destinations:
            self._tell(message.src, frozenset(flight.arrived or ()))

    def acknowledged(self, src: NodeId) -> frozenset[NodeId] | None:
        """Return where a node's last message arrived; None while it is under way: the node is told then.

        Raises
        ------
        SimulationError
            If it has sent none, or its algorithm tolerates no such loss.
        """
        flight = self._last.get(src)
        if flight is None:
            raise SimulationError(f"node {src}: Delivered needs a message before it and known_loss in tolerates")
        if not flight.destinations:
            return frozenset(flight.arrived or ())
        flight.is_awaited = True
        return None

    def catch_up(self, now_ns: int) -> None:
        """Move all media to an instant at which everything is delivered."""
        for medium in self._media:
            medium.advance(now_ns)

    def set_up(self, now_ns: int, node: NodeId, up: bool) -> None:
        """Take a node down or bring it up in all its media."""
        for index in self._world.media_of[node]:
            self._media[index].set_up(now_ns, node, up)
            self._changed.add(index)

    def _way(self, src: NodeId, dst: NodeId) -> _Way:
        direction, (kind, node) = self._world.way(src, dst)
        way = self._ways[src, dst] = _Way(direction, self._phases.of(kind, node), self._world.medium_of(src, dst))
        return way


def _in_order(end: tuple[Delivery, int]) -> tuple[NodeId, NodeId, TransferId, int]:
    delivery, index = end
    return delivery.dst, delivery.src, delivery.transfer, index


def _observe(models: Sequence[CostModel], delivery: Delivery) -> None:
    """Show a transfer to its sender's cost models."""
    facts = {"s": delivery.service_s, "j": delivery.energy_j, "bit": 8.0 * delivery.wire_bytes}
    facts["packet"] = float(delivery.packets)
    for model in models:
        if model.quantity in facts:
            size_bit, value = 8.0 * delivery.size_bytes, facts[model.quantity]
            if isinstance(model, PacketObserver):
                model.observe_packets(size_bit, value, delivery.packets)
            else:
                model.observe(size_bit, value)
