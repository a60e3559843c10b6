"""What a run is made of before its clock starts: media, contexts and agents of one algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim import registry, rng
from netsim.errors import SimulationError
from netsim.interfaces import (
    HEADER_BYTES,
    AfterRun,
    Answer,
    Broadcasts,
    CostModel,
    DrawnMedia,
    DrawsInGradients,
    Gradient,
    GradientRequest,
    HasGradients,
    HasPairs,
    Medium,
    Node,
    NodeId,
    Problem,
    Replays,
    ShowsFrames,
    Value,
    is_between_peers,
)
from netsim.scenario import Entry, Scenario
from netsim.scenario.availability import changes
from netsim.scenario.devices import devices, gradient_times
from netsim.scenario.distributions import Times
from netsim.simulation.actors import Actor
from netsim.simulation.capture import Capture
from netsim.simulation.coding import Coder
from netsim.simulation.context import AgentContext, MediumLink, ProblemFacts
from netsim.units import seconds_to_ns

if TYPE_CHECKING:
    from netsim.scenario.mixing import Peers

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


class World:
    """One algorithm's nodes on one network, before the clock starts.

    A replication redraws the streams that ``vary`` says; the opened problem is shared by runs.

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
        redraw = self._replication_of(_PARTS.get(purpose, "codec"), replication)
        return rng.stream(self.scenario.seed, redraw, node, purpose)

    def _replication_of(self, part: str, replication: int) -> int:
        return replication if part in self.scenario.varied else 0

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

    def request(self, node: NodeId, command: Gradient | Value) -> GradientRequest:
        """Return what a node asks of the problem, with its next minibatch and key."""
        owner = node if not isinstance(command, Gradient) or command.of is None else command.of
        context = self.contexts[owner]
        batch = context.next_batch() if command.batch is None else command.batch
        return GradientRequest(owner, command.at, batch.rows, context.next_key())

    def coder(self) -> Coder:
        """Return the object that encodes and decodes for the agents."""
        replication = self._replication_of("codec", self.replication)
        return Coder(self.problem.dim, self.facts.dtype, partial(rng.shared_key, self.scenario.seed, replication))

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
        link, receivers = MediumLink(self, dst, src), len(self.children[dst])
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
        from netsim.scenario.mixing import Peers

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

    def recorder_keys(self) -> dict[str, Any]:
        """Return the keys of a `netsim.simulation.recorder.Recorder`."""
        scenario, learners = self.scenario, len(self.workers)
        return {
            "problem": self.problem, "stop": scenario.stop, "record": scenario.record,
            "reporters": 1 if self.is_star else learners, "learners": learners,
            "free_ways": scenario.network.free_ways,
            "keep_estimates": scenario.record.efficiency and isinstance(self.entry.algorithm, AfterRun),
        }  # fmt: skip

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
        places = network.topology.positions(len(self.nodes), self.stream(-1, "topology"))
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
