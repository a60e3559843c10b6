"""What every node of a run does, without time: the trace that `netsim.simulation.replay` puts on networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from netsim.errors import SimulationError
from netsim.interfaces import (
    Command,
    Compute,
    Decode,
    Encode,
    Gradient,
    GradientRequest,
    NodeId,
    Payload,
    Problem,
    Report,
    Send,
    Sum,
)
from netsim.scenario import Entry, Scenario
from netsim.simulation.lockstep import Lockstep
from netsim.simulation.recorder import Recorder, Round
from netsim.simulation.snapshot import Snapshot
from netsim.simulation.world import World

MOST_STEPS = 16  # of a worker without its server, before it is taken for one that never waits
MEASURED = np.zeros(0)  # stands for an estimate that was measured when the trace was made
_NOTHING = Snapshot([], 0.0, 0.0, {})


@dataclass(slots=True)
class Evaluated(Command[None]):
    """A gradient, or a share of one's operations, that was computed when the trace was made.

    Parameters
    ----------
    flop
        Operations of the whole gradient; 0 where the scenario does not ask for them.
    share
        1 for a gradient, 1/2 for a value.
    """

    flop: float
    share: float


class Trace:
    """The commands of every node: sizes of payloads, operations, what is waited for; and what each round measured.

    The agents run in `netsim.simulation.lockstep`, once, and no further than somebody asks. Payloads keep their size
    and lose their content, gradients and estimates are dropped once they are used.

    Parameters
    ----------
    scenario, entry
        See `netsim.simulation.engine.simulate`; its replications may differ in the network alone.
    problem
        Opened, of replication 0.

    Attributes
    ----------
    commands : of each node, in its order; a `Report` names tokens by their place among the node's own `Mark`s.
    recorder : with the measured rows, and what is kept of the estimates.
    """

    def __init__(self, scenario: Scenario, entry: Entry, problem: Problem) -> None:
        self.scenario, self.entry, self.problem = scenario, entry, problem
        self.world = World(scenario, entry, 0, problem)
        self.commands: dict[NodeId, list[Command[Any]]] = {node: [] for node in self.world.nodes}
        self.recorder = MeasuringRecorder(**self.world.recorder_keys())
        compute = scenario.compute
        self._rated = frozenset(n for n, device in self.world.devices.items() if device.flop_per_s is not None)
        self._counts_gradients, self._counts_codecs = compute.gradient_s == 0.0, compute.codec_flop
        self._coder = self.world.coder()
        self._driver = Lockstep(self.world, self._see)
        self._zeros = memoryview(b"")
        # Equal ones are one object: a long run has millions.
        self._payloads: dict[tuple[Any, ...], Payload] = {}
        self._evaluations: dict[tuple[float, float], Evaluated] = {}

    @property
    def is_over(self) -> bool:
        """Whether the last round is measured."""
        return self.recorder.is_over

    def more(self, node: NodeId) -> bool:
        """Go on until there is another command of the node; False where its agent has returned."""
        commands, actor = self.commands[node], self._driver.actors[node]
        before = len(commands)
        while len(commands) == before:
            if actor.finished:
                return False
            self.step()
        return True

    def step(self) -> None:
        """Let one node go on.

        Raises
        ------
        SimulationError
            If no node can.
        """
        if not self._driver.step():
            raise SimulationError(f"{self.entry.label}: nothing can go on: {self._driver.says()}")

    def drain(self) -> bool:
        """Let workers go on until all wait for the server of a star, which stands still after the last round.

        Returns
        -------
        False where they go on and on.
        """
        return any(not self._driver.step() for _ in range(MOST_STEPS * len(self.world.nodes)))

    def _see(self, node: NodeId, command: Command[Any], request: GradientRequest | None) -> bool:
        kept: Command[Any] = command
        if isinstance(command, Send):
            kept = replace(command, payload=self._emptied(command.payload))
        elif request is not None:
            flop = self.world.learning.gradient_flop(request) if self._counts_gradients and node in self._rated else 0.0
            key = flop, 1.0 if isinstance(command, Gradient) else 0.5
            kept = self._evaluations.setdefault(key, Evaluated(*key))
        elif isinstance(command, Encode | Decode | Sum):
            if not self._counts_codecs or node not in self._rated:
                return True
            kept = Compute(self._coder.flop(command))
        elif isinstance(command, Report):
            return self._report(node, command)
        self.commands[node].append(kept)
        return True

    def _report(self, node: NodeId, report: Report) -> bool:
        is_due, targets = self.recorder.has_row(report.round), self.scenario.stop.target
        metrics: dict[str, float | Callable[[], float]] = {
            name: float(value() if callable(value) else value)
            for name, value in report.metrics.items()
            if is_due or name in targets or not callable(value)
        }
        kept = replace(report, estimate=None if report.estimate is None else MEASURED, metrics=metrics)
        self.commands[node].append(kept)
        self.recorder.report(node, replace(report, metrics=metrics, since=None), 0, None, lambda: _NOTHING)
        if self.recorder.divergence is not None:
            raise SimulationError(f"{self.entry.label}: diverged")
        return not (self.is_over and self.world.is_star)

    def _emptied(self, payload: Payload) -> Payload:
        """Return a payload of the same sizes, whose bytes are a part of those that all share."""
        size = len(payload.data)
        if size > len(self._zeros):
            self._zeros = memoryview(bytes(2 * size))
        key = size, payload.paper_bit, payload.index_bit, payload.value_bit, payload.flags
        if key not in self._payloads:
            self._payloads[key] = replace(payload, data=cast(bytes, self._zeros[:size]))
        return self._payloads[key]


class MeasuringRecorder(Recorder):
    """Measures the rounds of a run that has no time.

    Attributes
    ----------
    measured : what the models of each round with a row or a target came to.
    is_over : whether the last round is there; later ones are not measured.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.measured: dict[int, Mapping[str, float]] = {}
        self.is_over = False

    def _complete(self, *arguments: Any) -> bool:
        self.is_over = self.is_over or super()._complete(*arguments)
        return self.is_over

    def _look_at(self, ended: Round) -> dict[str, float]:
        measured = super()._look_at(ended)
        self.measured[ended.round] = dict(measured)
        return measured

    def _spent(self, *_: Any) -> dict[str, float]:
        return {}


class ReplayingRecorder(Recorder):
    """Records a run whose rows were measured when its trace was made."""

    trace: Trace

    def _look_at(self, ended: Round) -> dict[str, float]:
        return dict(self.trace.recorder.measured[ended.round])

    def take_models(self) -> None:
        """Take what the trace keeps of the models.

        Raises
        ------
        SimulationError
            If the trace ended in another round.
        """
        of_trace = self.trace.recorder
        if not of_trace.is_over or self.rounds != of_trace.rounds:
            raise SimulationError(f"a replay ended in round {self.rounds}, its trace in round {of_trace.rounds}")
        self.snapshots, self.last_estimate = of_trace.snapshots, of_trace.last_estimate
        self.last_models = of_trace.last_models
