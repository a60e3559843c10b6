"""What nodes compute: gradients, values and other work, which takes time and is answered at its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from netsim.interfaces import Array, Compute, Gradient, GradientRequest, NodeId, Value
from netsim.scenario.distributions import Times
from netsim.simulation.actors import BLOCKED, Actor
from netsim.simulation.clock import Clock
from netsim.simulation.phases import Phases
from netsim.simulation.processors import Job, Processors
from netsim.simulation.world import World
from netsim.units import seconds_to_ns


class Computing:
    """The computations of all nodes of a run.

    Parameters
    ----------
    world, clock, processors, phases
        Of the run; what learning nodes compute is a phase.
    tell
        Called with a node and the answer to its command.
    check
        Called with an agent, words and a vector that is not finite.

    Attributes
    ----------
    paused : of nodes that are off, what is left of a computation in ns, and what makes its answer.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        processors: Processors,
        phases: Phases,
        tell: Callable[[NodeId, object], None],
        check: Callable[[Actor, str, Array], None],
    ) -> None:
        self._world, self._clock, self._processors, self._phases = world, clock, processors, phases
        self._tell, self._check = tell, check
        self.paused: dict[NodeId, tuple[int, Callable[[], object]]] = {}
        self._requests: dict[NodeId, GradientRequest] = {}
        self._gradients: dict[NodeId, tuple[Sequence[Array], int]] = {}

    # --- commands ------------------------------------------------------------------------------------

    def gradient(self, actor: Actor, command: Gradient) -> object:
        """Begin a gradient."""
        request = self._requests[actor.node] = self._world.request(actor.node, command)
        self.begin(actor.node, self._duration_ns(request), lambda: self._due(actor))
        return BLOCKED

    def value(self, actor: Actor, command: Value) -> object:
        """Begin a value, which costs the forward half of a gradient."""
        request = self._world.request(actor.node, command)
        duration_ns = self._duration_ns(request, share=0.5)
        self.begin(actor.node, duration_ns, lambda: self._world.learning.values([request])[0])
        return BLOCKED

    def compute(self, actor: Actor, command: Compute) -> object:
        """Begin work without a result."""
        return self.take_time(actor, self._world.devices[actor.node].time_ns(command.flop))

    def take_time(self, actor: Actor, duration_ns: int) -> object:
        """Let a node compute for that long; its answer is nothing."""
        self.begin(actor.node, duration_ns, lambda: None)
        return BLOCKED

    def evaluation_ns(self, node: NodeId, share: float, flop: Callable[[], float]) -> int:
        """Return the time of a gradient, or of a share of its operations, drawn where it has a law."""
        time = self._world.evaluation_ns(node, share, flop)
        if isinstance(time, Times):
            return seconds_to_ns(time.sample(self._world.contexts[node].rng("compute")))
        return time

    # --- time ----------------------------------------------------------------------------------------

    def begin(self, node: NodeId, duration_ns: int, result: Callable[[], object]) -> None:
        """Let a node compute for that long; `result` then makes its answer."""
        job = self._processors.begin(node, self._clock.now_ns, duration_ns, result)
        self._clock.after(duration_ns, lambda: self._finish(job))

    def pause(self, node: NodeId) -> None:
        """Stop what a node computes until it goes on."""
        job, done_ns = self._processors.stop(node, self._clock.now_ns)
        if job is not None:
            self._book(node, done_ns)
            self.paused[node] = job.duration_ns - done_ns, job.result

    def go_on(self, node: NodeId) -> None:
        """Go on with what was paused, if anything was."""
        if node in self.paused:
            self.begin(node, *self.paused.pop(node))

    def die(self, node: NodeId) -> None:
        """Stop a node for good."""
        self._book(node, self._processors.die(node, self._clock.now_ns))
        for kept in (self.paused, self._requests, self._gradients):
            kept.pop(node, None)

    def _finish(self, job: Job) -> None:
        if self._processors.end(job):
            self._book(job.node, job.duration_ns)
            self._tell(job.node, job.result())

    def _book(self, node: NodeId, duration_ns: int) -> None:
        if self._world.is_learner(node):
            self._phases.compute_ns += duration_ns

    def _due(self, actor: Actor) -> Array:
        """Return a gradient whose time is over."""
        node = actor.node
        if node not in self._gradients:
            # Evaluate all pending requests in one call: their inputs are fixed.
            pending = sorted(self._requests)
            gradients = self._world.learning.gradients([self._requests[n] for n in pending])
            self._gradients |= {n: (gradients, i) for i, n in enumerate(pending)}
            self._requests.clear()
        gradients, i = self._gradients.pop(node)
        gradient = gradients[i].astype(self._world.facts.dtype, copy=False)
        # A sum of squares that is finite is one of finite numbers; of others the size is looked at.
        if not math.isfinite(np.vdot(gradient, gradient)) and not np.isfinite(gradient).all():
            self._check(actor, "the gradient", gradient)
        return gradient

    def _duration_ns(self, request: GradientRequest, share: float = 1.0) -> int:
        return self.evaluation_ns(request.node, share, lambda: self._world.learning.gradient_flop(request))
