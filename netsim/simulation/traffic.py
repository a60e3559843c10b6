"""Messages on their way: from an agent's hand over the media into mailboxes, and who is told of their ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter

from netsim.errors import SimulationError
from netsim.interfaces import (
    HEADER_BYTES,
    CostModel,
    Delivery,
    Medium,
    Message,
    NodeId,
    PacketObserver,
    Payload,
    Send,
    TransferId,
)
from netsim.simulation import capture
from netsim.simulation.actors import Actor
from netsim.simulation.clock import Clock
from netsim.simulation.flight import Ends, Flight
from netsim.simulation.phases import Phase, Phases
from netsim.simulation.tally import Tally
from netsim.simulation.world import World

SILENCE = Payload(b"", 0.0)
_new = tuple.__new__  # a third of the time of a named tuple's own
_in_order = attrgetter("dst", "src", "transfer")


class _Carrier:
    """A medium, its messages that are under way, and when its next delivery may be as far as it has been asked."""

    __slots__ = ("due_ns", "flights", "is_asked", "medium", "name")

    def __init__(self, medium: Medium, name: str) -> None:
        self.medium, self.name = medium, name
        self.flights: dict[TransferId, Flight] = {}
        self.due_ns, self.is_asked = math.inf, False


class _Way:
    """What is the same for all messages from one node to another."""

    __slots__ = ("carrier", "direction", "phase", "to")

    def __init__(self, to: tuple[NodeId], direction: str, phase: Phase | None, carrier: _Carrier) -> None:
        self.to, self.direction, self.phase, self.carrier = to, direction, phase, carrier


class Traffic:
    """The messages of one run.

    Parameters
    ----------
    tally, phases
        Count what a message came to, and how long nodes sent and received.
    tell
        Called with a node that waits for the end of its message, and the nodes that got it.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        actors: Mapping[NodeId, Actor],
        tally: Tally,
        phases: Phases,
        tell: Callable[[NodeId, object], None],
    ) -> None:
        self._world, self._clock, self._actors, self._tell = world, clock, actors, tell
        self._tally, self._phases = tally, phases
        self._captures, self._live_costs = world.captures, world.live_costs
        self._ways: dict[tuple[NodeId, NodeId], _Way] = {}
        self._carriers = [_Carrier(*named) for named in zip(world.media, world.media_names, strict=True)]
        self._due_ns, self._are_asked = math.inf, False
        self._keeps_ends = "known_loss" in world.entry.algorithm.tolerates
        self._last: dict[NodeId, Flight] = {}  # of each node, where agents ask what became of it

    def under_way(self) -> Iterator[Flight]:
        """Return the messages that have not ended everywhere."""
        return chain.from_iterable(carrier.flights.values() for carrier in self._carriers)

    def next_ns(self) -> float:
        """Return a lower bound on the next delivery; infinite where nothing comes."""
        if not self._are_asked:
            self._ask()
        return self._due_ns

    def _ask(self) -> None:
        """Ask the media that something has happened to for their next event."""
        first_ns = math.inf
        for carrier in self._carriers:
            if not carrier.is_asked:
                due_ns = carrier.medium.next_event_ns()
                carrier.due_ns, carrier.is_asked = math.inf if due_ns is None else due_ns, True
            if carrier.due_ns < first_ns:
                first_ns = carrier.due_ns
        self._due_ns, self._are_asked = first_ns, True

    def send(self, actor: Actor, send: Send, is_silence: bool = False) -> None:
        """Hand a node's message over, or a notice that none comes.

        Raises
        ------
        SimulationError
            If it is for the sender itself.
        """
        src, to, payload = actor.node, send.to, send.payload
        ways, now_ns = self._ways, self._clock.now_ns
        if not isinstance(to, tuple):
            way = ways.get((src, to)) or self._way(src, to)
            to = way.to
        elif to:
            way = ways.get((src, to[0])) or self._way(src, to[0])
        else:
            return
        if src in to:
            raise SimulationError(f"node {src}: a message to another node is sent, not one to itself")
        carrier, data = way.carrier, payload.data
        transfer = carrier.medium.submit(now_ns, src, to, HEADER_BYTES + len(data))
        carrier.is_asked = self._are_asked = False
        message = _new(Message, (src, send.round, send.kind, data, payload.flags))
        flight = carrier.flights[transfer] = Flight(message, payload, now_ns, is_silence, len(to))
        if self._keeps_ends:
            flight.ends, self._last[src] = Ends(), flight
        if self._captures:
            said = capture.message(payload, "silence" if is_silence else send.kind, src, send.round)
            taken = self._captures[carrier.name]
            taken.put(transfer, said)
            taken.settle(now_ns)
        for node in to:
            phase = (way if len(to) == 1 else ways.get((src, node)) or self._way(src, node)).phase
            if phase is not None:
                if not phase.transfers:
                    phase.since_ns = now_ns
                phase.transfers += 1

    def deliver(self) -> Sequence[NodeId]:
        """Put what arrives at this instant into mailboxes, in (dst, src, transfer) order; return whose, in id order."""
        if not self._are_asked:
            self._ask()
        now_ns = self._clock.now_ns
        if self._due_ns > now_ns:
            return ()
        arrived: Sequence[Delivery] = ()
        for carrier in self._carriers:
            if carrier.due_ns <= now_ns:
                carrier.is_asked = self._are_asked = False
                found = carrier.medium.advance(now_ns)  # in order
                arrived = sorted([*arrived, *found], key=_in_order) if arrived else found
        nodes: list[NodeId] = []
        for delivery in arrived:
            src, dst = delivery.src, delivery.dst
            way = self._ways[src, dst]
            flights = way.carrier.flights
            flight = flights[delivery.transfer]
            self._tally.book(way.direction, flight, delivery)
            phase = way.phase
            if phase is not None:
                phase.transfers -= 1
                if not phase.transfers:
                    phase.total_ns += now_ns - phase.since_ns
            flight.destinations -= 1
            if not flight.destinations:
                del flights[delivery.transfer]
            if delivery.ok:
                if self._live_costs:
                    _observe(self._live_costs.get((src, dst), ()), delivery)
                message, mailbox = flight.message, self._actors[dst].mailbox
                if flight.is_silence:
                    mailbox.put_silence(src, message.round, message.kind)
                else:
                    mailbox.messages.append(message)
            if flight.ends is not None:
                self._note(flight.ends, flight, delivery)
            nodes.append(dst)
        return list(dict.fromkeys(nodes)) if len(nodes) > 1 else nodes

    def _note(self, ends: Ends, flight: Flight, delivery: Delivery) -> None:
        """Keep whom a message reached, and answer its sender if that waits for the message's end."""
        if delivery.ok:
            ends.arrived.append(delivery.dst)
        if ends.is_awaited and not flight.destinations:
            self._tell(delivery.src, frozenset(ends.arrived))

    def acknowledged(self, src: NodeId) -> frozenset[NodeId] | None:
        """Return where a node's last message arrived; None while it is under way: the node is told then.

        Raises
        ------
        SimulationError
            If it has sent none, or its algorithm tolerates no such loss.
        """
        flight = self._last.get(src)
        if flight is None or flight.ends is None:
            raise SimulationError(f"node {src}: Delivered needs a message before it and known_loss in tolerates")
        if not flight.destinations:
            return frozenset(flight.ends.arrived)
        flight.ends.is_awaited = True
        return None

    def catch_up(self) -> None:
        """Move all media to an instant at which everything is delivered."""
        for carrier in self._carriers:
            carrier.medium.advance(self._clock.now_ns)

    def set_up(self, node: NodeId, up: bool) -> None:
        """Take a node down or bring it up in all its media."""
        for index in self._world.media_of[node]:
            carrier = self._carriers[index]
            carrier.medium.set_up(self._clock.now_ns, node, up)
            carrier.is_asked = self._are_asked = False

    def _way(self, src: NodeId, dst: NodeId) -> _Way:
        direction, (kind, node) = self._world.way(src, dst)
        carrier = self._carriers[self._world.medium_of(src, dst)]
        way = self._ways[src, dst] = _Way((dst,), direction, self._phases.of(kind, node), carrier)
        return way


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
