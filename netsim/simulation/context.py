"""What agents know of their world: its facts, their links, costs, neighbours, minibatches and random streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.errors import SimulationError
from netsim.interfaces import (
    Answer,
    Array,
    Batch,
    Cost,
    CostModel,
    DrawsMany,
    HasBatches,
    HasPairs,
    HasSamples,
    HasSmoothness,
    Key,
    Link,
    Medium,
    NodeId,
    Pairwise,
    Problem,
    Spectrum,
    Superposes,
)

if TYPE_CHECKING:
    from netsim.simulation.world import World

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
class MediumLink:
    """A node's view of its link to one destination."""

    world: World
    src: NodeId
    dst: NodeId

    @property
    def medium(self) -> Medium:
        return self.world.media[self.world.medium_of(self.src, self.dst)]

    def cost(self, quantity: str) -> CostModel:
        """See `netsim.interfaces.Link`."""
        self.world.is_asked = True
        return self.medium.cost(quantity, self.src, self.dst)

    def answer(self) -> Answer | None:
        """See `netsim.interfaces.Link`."""
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
        return MediumLink(self.world, start, dst)

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


def _is_fixed(model: CostModel) -> bool:
    """Whether a cost model can learn nothing: a frozen dataclass."""
    return is_dataclass(model) and bool(model.__dataclass_params__.frozen)
