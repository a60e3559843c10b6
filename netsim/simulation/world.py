"""What a run is made of before its clock starts: media, contexts and agents of one algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from netsim import registry, rng
from netsim.errors import SimulationError
from netsim.interfaces import (
    HEADER_BYTES,
    Answer,
    Array,
    Batch,
    Broadcasts,
    Cost,
    CostModel,
    DrawnMedia,
    DrawsInGradients,
    DrawsMany,
    HasBatches,
    HasGradients,
    HasPairs,
    HasSamples,
    HasSmoothness,
    Key,
    Link,
    Medium,
    Node,
    NodeId,
    Pairwise,
    Problem,
    Replays,
    ShowsFrames,
    Spectrum,
    Superposes,
    is_between_peers,
)
from netsim.scenario import Entry, Scenario
from netsim.scenario.availability import changes
from netsim.scenario.devices import devices, gradient_times
from netsim.scenario.distributions import Times
from netsim.scenario.graphs import positions
from netsim.scenario.mixing import Peers
from netsim.simulation.actors import Actor
from netsim.simulation.capture import Capture
from netsim.simulation.coding import Coder
from netsim.units import seconds_to_ns

# Which part of a replication a stream's purpose belongs to; the others are the codecs' and the agents'.
_PARTS = {
    "data": "batch",
    "gradient": "batch",
    "topology": "partition",
    "compute": "channel",
    "devices": "channel",
    "gradient_time": "channel",
    "availability": "channel",
    "channel": "channel",
}
_BATCHES = 10  # drawn at a time, unless the run has fewer rounds


class ProblemFacts:
    """The facts of a problem that agents may read; expensive ones are computed once and kept."""

    def __init__(self, problem: Problem, dtype: str = "float64") -> None:
        self._problem = problem
        self.dtype = np.dtype(dtype)
        self.dim = problem.dim
        self.layout: Sequence[tuple[int, ...]] = problem.layout

    @property
    def start(self) -> Array:
        """w^0, shape (dim,); a fresh copy."""
        return self._problem.start().astype(self.dtype)

    @cached_property
    def smoothness(self) -> float:
        """L of F."""
        return self._constants.smoothness()

    @cached_property
    def strong_convexity(self) -> float:
        """Strong convexity mu of F; 0 where the problem states none."""
        return self._constants.strong_convexity()

    @cached_property
    def rounds_per_epoch(self) -> float:
        """n_m / minibatch, on the mean over nodes; 1 where there are no minibatches."""
        problem = self._problem
        if not isinstance(problem, HasBatches):
            return 1.0
        nodes = range(problem.num_nodes)
        return sum(problem.num_samples(node) / problem.batch_size(node) for node in nodes) / problem.num_nodes

    def num_samples(self, node: NodeId) -> int:
        """Return the samples of one node."""
        return self._problem.num_samples(node)

    def batch_size(self, node: NodeId) -> int:
        """Return the size of a node's minibatch; all its samples where the problem knows no minibatches."""
        problem = self._problem
        return problem.batch_size(node) if isinstance(problem, HasBatches) else problem.num_samples(node)

    def node_smoothness(self, node: NodeId) -> float:
        """Return L_m of one node."""
        return self._constants.smoothness(node)

    @property
    def _constants(self) -> HasSmoothness:
        if not isinstance(self._problem, HasSmoothness):
            raise SimulationError("the smoothness of this problem is not known: give step_size as a number or a rule")
        return self._problem


@dataclass(frozen=True, slots=True)
class _MediumLink:
    """A node's view of its link to one destination."""

    world: World
    src: NodeId
    dst: NodeId

    @property
    def medium(self) -> Medium:
        return self.world.media[self.world.medium_of(self.src, self.dst)]

    def cost(self, quantity: str) -> CostModel:
        self.world.is_asked = True
        return self.medium.cost(quantity, self.src, self.dst)

    def answer(self) -> Answer | None:
        return self.world.answer(self.src, self.dst)


@dataclass(eq=False)
class AgentContext:
    """All that one agent knows of the world; see `netsim.interfaces.Context`."""

    node: NodeId
    world: World
    facts: ProblemFacts
    _streams: dict[str, np.random.Generator] = field(default_factory=dict)
    _shared: dict[str, np.random.Generator] = field(default_factory=dict)
    _batches: list[Batch] = field(default_factory=list)
    _costs: dict[tuple[Cost, NodeId], CostModel] = field(default_factory=dict)

    @property
    def server(self) -> NodeId:
        return self.world.parent.get(self.node, self.world.server)

    @property
    def workers(self) -> tuple[NodeId, ...]:
        world = self.world
        return world.children.get(self.node) or world.children.get(self.server, world.workers)

    @property
    def is_reliable(self) -> bool:
        return self.world.is_reliable

    def rng(self, purpose: str = "compressor") -> np.random.Generator:
        """See `netsim.interfaces.Context`."""
        if purpose not in self._streams:
            self._streams[purpose] = self.world.stream(self.node, purpose)
        return self._streams[purpose]

    def shared_rng(self, purpose: str) -> np.random.Generator:
        """See `netsim.interfaces.Context`."""
        if purpose not in self._shared:
            self._shared[purpose] = self.world.stream(-1, purpose)
        return self._shared[purpose]

    def link(self, dst: NodeId, src: NodeId | None = None) -> Link:
        """See `netsim.interfaces.Context`."""
        start = self.node if src is None else src
        return _MediumLink(self.world, start, dst)

    def air(self, dst: NodeId, src: NodeId | None = None) -> Superposes | None:
        """See `netsim.interfaces.Context`."""
        medium = self.world.media[self.world.medium_of(self.node if src is None else src, dst)]
        return medium if isinstance(medium, Superposes) else None

    def cost(self, cost: Cost, dst: NodeId) -> CostModel:
        """See `netsim.interfaces.Context`."""
        if (cost, dst) not in self._costs:
            model = self._costs[cost, dst] = cost.open(self.link(dst))
            self.world.live_costs.setdefault((self.node, dst), []).append(model)
            self.world.is_asked |= not _is_fixed(model)
        return self._costs[cost, dst]

    def neighbours(self, round: int) -> Mapping[NodeId, float]:
        """See `netsim.interfaces.Context`."""
        return self.world.peers.mixing(round).neighbours(self.node)

    def hearers(self, round: int) -> tuple[NodeId, ...]:
        """See `netsim.interfaces.Context`."""
        return self.world.peers.mixing(round).hearers[self.node]

    @property
    def spectrum(self) -> Spectrum:
        return self.world.peers.spectrum

    def next_batch(self) -> Batch:
        """Draw the node's next minibatch from its stream ``data``; some are drawn at a time, which is quicker."""
        if not self._batches:
            stream, problem = self.rng("data"), self.world.learning
            count = min(_BATCHES, self.world.scenario.stop.rounds or _BATCHES)
            if isinstance(problem, DrawsMany):
                drawn = problem.draw_batches(self.node, stream, count)
            else:
                drawn = [problem.draw_batch(self.node, stream) for _ in range(count)]
            self._batches = [Batch(rows) for rows in drawn][::-1]
        return self._batches.pop()

    def next_key(self) -> Key | None:
        """Draw the key of the node's next gradient from its stream ``gradient``; None where gradients draw nothing."""
        if not self.world.draws_in_gradients:
            return None
        words = self.rng("gradient").integers(0, 1 << 64, 2, np.uint64)
        return Key(int(words[0]), int(words[1]))

    def samples(self) -> Any:
        """See `netsim.interfaces.Context`."""
        problem = self.world.problem
        if not isinstance(problem, HasSamples):
            raise SimulationError(f"{self.world.entry.label} needs a problem that shows nodes their samples")
        return problem.samples(self.node)

    @property
    def pairwise(self) -> Pairwise:
        problem = self.world.problem
        if not isinstance(problem, HasPairs):
            raise SimulationError(f"{self.world.entry.label} needs a problem with constraints between nodes")
        return problem


class World:
    """One algorithm's nodes on one network, before the clock starts.

    Parameters
    ----------
    scenario
        A sweep point's scenario.
    entry
        The algorithm to run.
    replication
        Redraws the streams that ``vary`` says.
    problem
        The opened problem; shared by runs.

    Attributes
    ----------
    is_asked : whether an agent has asked what its link costs, or opened a cost model that learns from its transfers.
    live_costs : the open cost models of a node for a destination, which are shown every transfer.
    """

    def __init__(self, scenario: Scenario, entry: Entry, replication: int, problem: Problem) -> None:
        self.is_asked = False
        self.live_costs: dict[tuple[NodeId, NodeId], list[CostModel]] = {}
        self._channel_streams: list[tuple[np.random.Generator, str]] = []
        self.scenario = scenario
        self.entry = entry
        self.replication = replication
        self.problem = problem.fresh() if isinstance(problem, DrawsInGradients) else problem
        self.draws_in_gradients = isinstance(problem, DrawsInGradients) and problem.wants_keys
        self.workers: tuple[NodeId, ...] = tuple(range(problem.num_nodes))
        self.is_star = not is_between_peers(entry.algorithm)
        clusters = scenario.network.topology.clusters(len(self.workers)) if self.is_star else ()
        self.aggregators = tuple(len(self.workers) + i for i in range(len(clusters)))
        self.server: NodeId = len(self.workers) + len(clusters) if self.is_star else -1
        self.nodes = (*self.workers, *self.aggregators, *((self.server,) if self.is_star else ()))
        self.children = dict(zip(self.aggregators, clusters, strict=True))
        if self.is_star:
            self.children[self.server] = self.aggregators or self.workers
        self.parent = {node: above for above, below in self.children.items() for node in below}
        if isinstance(problem, HasPairs) and not self.is_star:
            self.problem = problem.coupled(sorted((min(edge), max(edge)) for edge in self.peers.graph.edges))
        self.captures: dict[str, Capture] = {}
        self._places = self._place_media()
        self.media_names, self.media = self._open_media()
        places = scenario.compute, self.nodes, self.workers
        self.devices = devices(*places, partial(self.stream, purpose="devices"))
        self.gradient_s = gradient_times(*places, partial(self.stream, purpose="gradient_time"))
        availability, stream = scenario.network.availability, partial(self.stream, purpose="availability")
        self.changes = {} if availability is None else changes(availability, len(self.workers), stream)
        self.facts = ProblemFacts(self.problem, scenario.dtype)
        self.contexts = {node: AgentContext(node, self, self.facts) for node in self.nodes}

    def stream(self, node: NodeId, purpose: str) -> np.random.Generator:
        """Return the stream of one purpose at one node in this replication."""
        stream = self.stream_of(self.replication, node, purpose)
        if _PARTS.get(purpose) == "channel":
            self._channel_streams.append((stream, str(stream.bit_generator.state)))
        return stream

    def stream_of(self, replication: int, node: NodeId, purpose: str) -> np.random.Generator:
        """Return the same stream of another replication."""
        part = _PARTS.get(purpose, "codec")
        return rng.stream(self.scenario.seed, replication if part in self.scenario.varied else 0, node, purpose)

    @property
    def is_reliable(self) -> bool:
        """Whether every message is delivered."""
        network = self.scenario.network
        is_lossy = any(not getattr(channel, "reliable_delivery", True) for channel in network.channels.values())
        return not is_lossy and network.availability is None

    @property
    def has_drawn_channel(self) -> bool:
        """Whether anything was drawn so far that belongs to the part ``channel`` of a replication."""
        return any(str(stream.bit_generator.state) != before for stream, before in self._channel_streams)

    def evaluation_ns(self, node: NodeId, share: float, flop: Callable[[], float]) -> int | Times:
        """Return the time of a gradient, or of a share of its operations, in ns; its law where each draws its own.

        A time that the scenario gives is the same for both.
        """
        device = self.devices[node]
        if device.flop_per_s is not None and self.scenario.compute.gradient_s == 0.0:
            return device.time_ns(share * flop())
        time = self.gradient_s.get(node, 0.0)
        return time if isinstance(time, Times) else seconds_to_ns(time)

    def coder(self) -> Coder:
        """Return the object that encodes and decodes for the agents."""
        seed, replication = self.scenario.seed, self._replication_of("codec")
        return Coder(self.problem.dim, self.facts.dtype, partial(rng.shared_key, seed, replication))

    @cached_property
    def learning(self) -> HasGradients:
        """The problem, where it has gradients.

        Raises
        ------
        SimulationError
            If it has none.
        """
        if not isinstance(self.problem, HasGradients):
            raise SimulationError(f"{self.entry.label} needs a problem with gradients")
        return self.problem

    def _replication_of(self, part: str) -> int:
        return self.replication if part in self.scenario.varied else 0

    def medium_of(self, src: NodeId, dst: NodeId) -> int:
        """Return the index of the medium on which `src` sends to `dst`."""
        if not self.aggregators:
            return 1 if src == self.server and len(self.media) > 1 else 0
        if self.server in (src, dst):
            return len(self.media) - 1
        above = max(src, dst)
        channels = (len(self.media) - 1) // len(self.aggregators)
        return (above - len(self.workers)) * channels + (src == above and channels > 1)

    @cached_property
    def media_of(self) -> Mapping[NodeId, Sequence[int]]:
        """The indices of the media that each node belongs to."""
        found: dict[NodeId, list[int]] = {node: [] for node in self.nodes}
        for index, (_, members) in enumerate(self._places.values()):
            for member in members:
                found[member.id].append(index)
        return found

    def answer(self, src: NodeId, dst: NodeId) -> Answer | None:
        """Return the broadcast to all nodes below `dst`, where `src` is one of them."""
        if self.parent.get(src) != dst:
            return None
        link, receivers = _MediumLink(self, dst, src), len(self.children[dst])
        is_one = isinstance(link.medium, Broadcasts) and link.medium.broadcasts
        return Answer(link, receivers, 1 if is_one else receivers, 8.0 * HEADER_BYTES + 32.0 * self.facts.dim)

    def way(self, src: NodeId, dst: NodeId) -> tuple[str, tuple[str, NodeId]]:
        """Return a transfer's direction, and the phase (``uplink`` or ``downlink`` of a node) that it belongs to."""
        if self.parent.get(src) == dst:
            return "uplink", ("uplink", src)
        return ("downlink", ("downlink", dst)) if self.parent.get(dst) == src else ("peer", ("uplink", src))

    def is_learner(self, node: NodeId) -> bool:
        """Return whether a node is a worker or a peer."""
        return 0 <= node < len(self.workers)

    @cached_property
    def peers(self) -> Peers:
        """Who hears whom, round by round."""
        return Peers(self.scenario.network.topology, len(self.workers), partial(self.stream, -1))

    def make_actors(self) -> dict[NodeId, Actor]:
        """Return the agents, started but not yet run, in id order."""
        algorithm: Any = self.entry.algorithm
        make = algorithm.worker if self.is_star else algorithm.peer
        agents = {node: make(self.contexts[node]) for node in self.workers}
        agents |= {node: algorithm.aggregator(self.contexts[node]) for node in self.aggregators}
        if self.is_star:
            agents[self.server] = algorithm.server(self.contexts[self.server])
        return {node: Actor(node, agent) for node, agent in agents.items()}

    def drawn_media(self, replications: Sequence[int]) -> list[DrawnMedia] | None:
        """Open the media in several replications at once; None where a channel does not offer that."""
        found = list[DrawnMedia]()
        for i, (channel, nodes) in enumerate(self._places.values()):
            if not isinstance(channel, Replays):
                return None
            media = channel.replay(nodes, [self.stream_of(r, i, "channel") for r in replications])
            if media is None:
                return None
            found.append(media)
        return found

    def _place_media(self) -> dict[str, tuple[Any, list[Node]]]:
        """Each medium's channel and nodes, by its name."""
        network = self.scenario.network
        places = positions(network.topology, len(self.nodes), self.stream(-1, "topology"))
        ideal = registry.build("channel", "ideal")
        pair = {"uplink": network.uplink or ideal, "downlink": network.downlink or ideal}
        lower = {"link": network.link} if network.link is not None else pair
        named: dict[str, tuple[Any, NodeId, tuple[NodeId, ...]]] = {}
        for i, (above, below) in enumerate(self.children.items()):
            if above == self.server and self.aggregators:
                named["backbone"] = (network.backbone or ideal, above, (*below, above))
            else:
                part = f".{i}" if self.aggregators else ""
                named |= {f"{key}{part}": (channel, above, (*below, above)) for key, channel in lower.items()}
        named = named or {"link": (network.link, -1, self.nodes)}
        return {
            name: (channel, [Node(n, n == above, places[self.nodes.index(n)] if places else None) for n in members])
            for name, (channel, above, members) in named.items()
        }

    def _open_media(self) -> tuple[tuple[str, ...], tuple[Medium, ...]]:
        media = list[Medium]()
        for i, (name, (channel, nodes)) in enumerate(self._places.items()):
            if self.scenario.record.pcap and isinstance(channel, ShowsFrames):
                self.captures[name] = Capture(channel)
            media.append(channel.open(nodes, self.stream(i, "channel"), frames=self.captures.get(name)))
        return tuple(self._places), tuple(media)


def _is_fixed(model: CostModel) -> bool:
    """Whether a cost model can learn nothing: a frozen dataclass."""
    return is_dataclass(model) and bool(model.__dataclass_params__.frozen)
