"""What a run is made of before its clock starts: media, contexts and agents of one algorithm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from netsim import registry, rng
from netsim.interfaces import (
    Array,
    Cost,
    CostModel,
    Indices,
    Key,
    Link,
    Medium,
    Node,
    NodeId,
    PeerAlgorithm,
    Problem,
    ShowsFrames,
    StarAlgorithm,
)
from netsim.scenario import Entry, Scenario
from netsim.scenario.topology import Mixing, mixing, positions
from netsim.simulation.actors import Actor
from netsim.simulation.capture import Capture

_BATCHES = 10  # drawn at a time, unless the run has fewer rounds


class ProblemFacts:
    """The facts of a problem that agents may read; expensive ones are computed once and kept."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.dim = problem.dim
        self.layout: Sequence[tuple[int, ...]] = problem.layout

    @property
    def start(self) -> Array:
        """w^0, shape (dim,); a fresh copy."""
        return self._problem.start().copy()

    @cached_property
    def smoothness(self) -> float:
        """L of F."""
        return self._problem.smoothness()

    @cached_property
    def strong_convexity(self) -> float:
        """mu of F."""
        return self._problem.strong_convexity()

    def num_samples(self, node: NodeId) -> int:
        """Samples of one node."""
        return self._problem.num_samples(node)

    def node_smoothness(self, node: NodeId) -> float:
        """L_m of one node."""
        return self._problem.smoothness(node)


@dataclass(frozen=True, slots=True)
class _MediumLink:
    """A node's view of its link to one destination."""

    medium: Medium
    src: NodeId
    dst: NodeId

    def cost(self, quantity: str) -> CostModel:
        return self.medium.cost(quantity, self.src, self.dst)


@dataclass(eq=False)
class AgentContext:
    """All that one agent knows of the world; see `netsim.interfaces.Context`."""

    node: NodeId
    world: World
    facts: ProblemFacts
    _streams: dict[str, np.random.Generator] = field(default_factory=dict)
    _batches: list[Indices | None] = field(default_factory=list)
    _costs: dict[tuple[Cost, NodeId], CostModel] = field(default_factory=dict)
    _live: dict[NodeId, list[CostModel]] = field(default_factory=dict)

    @property
    def server(self) -> NodeId:
        return self.world.server

    @property
    def workers(self) -> tuple[NodeId, ...]:
        return self.world.workers

    def rng(self, purpose: str = "compressor") -> np.random.Generator:
        if purpose not in self._streams:
            self._streams[purpose] = self.world.stream(self.node, purpose)
        return self._streams[purpose]

    def shared_key(self, round: int, sender: NodeId) -> Key:
        return self.world.shared_key(round, sender)

    @cached_property
    def charges_codec(self) -> bool:
        return self.world.scenario.compute.codec_flop

    def link(self, dst: NodeId, src: NodeId | None = None) -> Link:
        start = self.node if src is None else src
        return _MediumLink(self.world.media[self.world.medium_of(start)], start, dst)

    def cost(self, cost: Cost, dst: NodeId) -> CostModel:
        if (cost, dst) not in self._costs:
            self._costs[cost, dst] = cost.open(self.link(dst))
            self._live.setdefault(dst, []).append(self._costs[cost, dst])
        return self._costs[cost, dst]

    def neighbours(self, round: int) -> Mapping[NodeId, float]:
        return self.world.mixing.neighbours(self.node)

    def next_batch(self) -> Indices | None:
        """The node's next minibatch from its stream ``data``, of which some are drawn at a time: that is quicker."""
        if not self._batches:
            stream, draw = self.rng("data"), self.world.problem.draw_batch
            count = min(_BATCHES, self.world.scenario.stop.rounds or _BATCHES)
            self._batches = [draw(self.node, stream) for _ in range(count)][::-1]
        return self._batches.pop()

    def live_costs(self, dst: NodeId) -> Sequence[CostModel]:
        """The open cost models for one destination, for the engine to feed."""
        return self._live.get(dst, ())


class World:
    """One algorithm's nodes on one network, before the clock starts.

    Parameters
    ----------
    scenario
        A sweep point's scenario.
    entry
        The algorithm to run.
    replication
        Redraws every stream, or with ``vary: channel`` only the links'.
    problem
        The opened problem; shared by runs.
    """

    def __init__(self, scenario: Scenario, entry: Entry, replication: int, problem: Problem) -> None:
        self.scenario = scenario
        self.entry = entry
        self.replication = replication
        self.problem = problem
        self.workers: tuple[NodeId, ...] = tuple(range(problem.num_nodes))
        self.is_star = hasattr(entry.algorithm, "server")
        self.server: NodeId = len(self.workers) if self.is_star else -1
        self.nodes = (*self.workers, self.server) if self.is_star else self.workers
        self.captures: dict[str, Capture] = {}
        self.media_names, self.media = self._open_media()
        facts = ProblemFacts(problem)
        self.contexts = {node: AgentContext(node, self, facts) for node in self.nodes}

    def stream(self, node: NodeId, purpose: str) -> np.random.Generator:
        """The stream of one purpose at one node in this replication."""
        replication = self.replication if purpose == "channel" else self._learning_replication
        return rng.stream(self.scenario.seed, replication, node, purpose)

    def shared_key(self, round: int, sender: NodeId) -> Key:
        """The key of one message's draws, the same at both ends."""
        return rng.shared_key(self.scenario.seed, self._learning_replication, round, sender)

    @property
    def _learning_replication(self) -> int:
        return 0 if self.scenario.vary == "channel" else self.replication

    def medium_of(self, src: NodeId) -> int:
        """The index of the medium on which `src` sends."""
        return 1 if src == self.server and len(self.media) > 1 else 0

    def direction_of(self, src: NodeId, dst: NodeId) -> str:
        """``uplink``, ``downlink`` or ``peer``."""
        return self.way(src, dst)[0]

    def way(self, src: NodeId, dst: NodeId) -> tuple[str, tuple[str, NodeId]]:
        """The direction, and whose time in ``uplink`` or ``downlink`` a transfer takes."""
        if dst == self.server:
            return "uplink", ("uplink", src)
        return ("downlink", ("downlink", dst)) if src == self.server else ("peer", ("uplink", src))

    @cached_property
    def mixing(self) -> Mixing:
        """The peers' mixing weights."""
        return mixing(self.scenario.network.topology, len(self.workers), self.stream(-1, "topology"))

    def make_actors(self) -> dict[NodeId, Actor]:
        """The agents, started but not yet run, in id order."""
        if self.is_star:
            star: StarAlgorithm = self.entry.algorithm
            agents = {n: star.worker(self.contexts[n]) for n in self.workers}
            agents[self.server] = star.server(self.contexts[self.server])
        else:
            peers: PeerAlgorithm = self.entry.algorithm
            agents = {n: peers.peer(self.contexts[n]) for n in self.workers}
        return {node: Actor(node, agent) for node, agent in agents.items()}

    def _open_media(self) -> tuple[tuple[str, ...], tuple[Medium, ...]]:
        network = self.scenario.network
        places = positions(network.topology, len(self.nodes), self.stream(-1, "topology"))
        nodes = [Node(n, n == self.server, places[i] if places else None) for i, n in enumerate(self.nodes)]
        if network.link is not None:
            named = {"link": network.link}
        else:
            ideal = registry.build("channel", "ideal")
            named = {"uplink": network.uplink or ideal, "downlink": network.downlink or ideal}
        streams = {name: self.stream(i, "channel") for i, name in enumerate(named)}
        if self.scenario.record.pcap:
            self.captures = {n: Capture(channel) for n, channel in named.items() if isinstance(channel, ShowsFrames)}
        media = (channel.open(nodes, streams[n], frames=self.captures.get(n)) for n, channel in named.items())
        return tuple(named), tuple(media)
