"""Runs whose training is known already: a trace on a network, on its clock and with its bytes.

Where results depend on no delay, replications that differ in the network alone train alike. They are trained once, in
`netsim.simulation.trace`, and every replication then is the trace on its own network, equal to the run that trains
beside it (the coupled run) to the nanosecond and byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from netsim.errors import SimulationError
from netsim.interfaces import Command, Mark, NodeId, Problem, Report, Token
from netsim.scenario import Entry, Network, Scenario
from netsim.simulation.actors import Actor
from netsim.simulation.ending import RunResult
from netsim.simulation.engine import Engine, Progress
from netsim.simulation.many import Entangled, ManyReplays, most_draws
from netsim.simulation.trace import Evaluated, ReplayingRecorder, Trace

LIMITS = frozenset({"rounds"})


def is_timing_free(algorithm: Any, network: Network) -> bool:
    """Return whether no delay changes what an algorithm computes on a network that delivers every message.

    An algorithm may say so in ``timing_free(network)`` (`netsim.interfaces.TimingFree`). One that does not is free
    where it tolerates no late message: servers that wait for all whom they asked, and peers that wait for the round of
    every neighbour. `netsim.testing` holds both to it: their models on random delays are those without a clock.
    """
    if network.availability is not None:
        return False
    says = getattr(algorithm, "timing_free", None)
    if says is not None:
        return bool(says(network))
    return "late" not in algorithm.tolerates


def train_alike(scenario: Scenario) -> bool:
    """Return whether replications differ in their networks and times of computing alone."""
    return set(scenario.varied) <= {"channel"}


def can_replay(scenario: Scenario, entry: Entry) -> bool:
    """Return whether all replications of an algorithm may be replays of one trace.

    They may where nothing but the part ``channel`` is drawn anew, no delay changes what is computed, every message is
    delivered, silence is said rather than waited for, no battery ends a node, and rounds or a target of measured models
    end the run: limits in seconds, messages, uploads or gradients depend on the clock. Captures need real payloads.
    An algorithm that sends nothing has nothing to replay.
    """
    network = scenario.network
    return (
        train_alike(scenario)
        and set(scenario.stop.limits) <= LIMITS
        and scenario.stop.rounds is not None
        and network.battery is None
        and not getattr(entry.algorithm, "is_alone", False)
        and network.silence != "deadline"
        and not scenario.record.pcap
        and all(getattr(channel, "reliable_delivery", True) for channel in network.channels.values())
        and is_timing_free(entry.algorithm, network)
    )


class Replications:
    """The replications of one algorithm of a scenario in which nothing but the network is drawn anew.

    Parameters
    ----------
    scenario, entry, problem
        See `netsim.simulation.engine.simulate`; of the scenario `train_alike` holds.

    Notes
    -----
    An agent that asks what its link costs, or learns it, may compute something else on every network; such runs are
    coupled. Where a run has drawn nothing from its network (and no random time of computing), it is the run of all
    replications.
    """

    def __init__(self, scenario: Scenario, entry: Entry, problem: Problem) -> None:
        self._scenario, self._entry, self._problem = scenario, entry, problem
        self._trace: Trace | None = None
        self._is_coupled = not can_replay(scenario, entry)
        self._same: RunResult | None = None
        self._sample: tuple[int, RunResult] | None = None
        self._ready: dict[int, RunResult] = {}
        self._is_one_by_one = self._has_arrays = False

    def attempt(self, replication: int, progress: Progress | None = None) -> RunResult:
        """Run one replication; see `netsim.simulation.engine.attempt`."""
        if self._same is not None:
            return self._same
        if self._sample is not None and not self._is_one_by_one:
            found = self._from_arrays(replication)
            if found is not None:
                return found
        found = None if self._is_coupled else self._replay(replication, progress)
        if found is None:
            self._is_coupled, self._trace = True, None
            engine = Engine(self._scenario, self._entry, replication, self._problem, progress)
            found = engine.attempt()
            if found.error is not None:
                return found
            is_drawn = engine.world.has_drawn_channel
        else:
            is_drawn = self._is_drawn
        if not is_drawn:
            self._same = found
        elif not self._is_coupled and self._sample is None:
            self._sample = replication, found
        return found

    def _from_arrays(self, replication: int) -> RunResult | None:
        """Return a replay made with others at once; None where the engine has to make it.

        The first time the sample, which the engine made, is among them and has to be the same in every cell.
        """
        if replication not in self._ready and self._trace is not None and self._sample is not None:
            of_sample, sample = self._sample
            first = [] if self._has_arrays else [of_sample]
            rest = [r for r in range(replication, self._scenario.replications) if r != of_sample]
            chunk = (first + rest)[: most_draws(self._trace, sample)]
            try:
                results = ManyReplays(self._trace, chunk, sample).results()
            except Entangled:
                self._is_one_by_one = True
                return None
            self._ready = dict(zip(chunk, results, strict=True))
            if first and not _are_equal(self._ready.pop(of_sample), sample):
                self._is_one_by_one, self._ready = True, {}
                return None
            self._has_arrays = True
        return self._ready.pop(replication, None)

    def _replay(self, replication: int, progress: Progress | None) -> RunResult | None:
        """Return the replayed run; None where there has to be a coupled one, which then says what is wrong."""
        try:
            if self._trace is None:
                self._trace = Trace(self._scenario, self._entry, self._problem)
            replay = Replay(self._trace, replication, progress)
            result = replay.run()
        except KeyboardInterrupt:
            raise
        except BaseException:
            return None
        self._is_drawn = replay.world.has_drawn_channel
        return None if self._trace.world.is_asked else result


def _are_equal(one: RunResult, other: RunResult) -> bool:
    """Whether two results have the same cells."""
    facts = [(result.status, result.sentence, result.sim_time_s, result.rounds) for result in (one, other)]
    if facts[0] != facts[1] or one.tables.keys() != other.tables.keys():
        return False
    return all(_same_cells(one.tables[name], other.tables[name]) for name in ("rounds", "energy"))


def _same_cells(one: pa.Table, other: pa.Table) -> bool:
    if one.schema != other.schema or one.num_rows != other.num_rows:
        return False
    pairs = ((one[name].to_pylist(), other[name].to_pylist()) for name in one.column_names)
    return all(x == y or (x != x and y != y) for a, b in pairs for x, y in zip(a, b, strict=True))


class Replay(Engine):
    """A trace on the network of one replication, in the engine.

    Parameters
    ----------
    trace
        Grows as far as the replay needs it.
    replication, progress
        See `netsim.simulation.engine.simulate`.
    """

    recorder: ReplayingRecorder

    def __init__(self, trace: Trace, replication: int, progress: Progress | None = None) -> None:
        self.trace = trace
        super().__init__(trace.scenario, trace.entry, replication, trace.problem, progress)
        self._handlers[Evaluated] = self._evaluated

    def make_actors(self) -> dict[NodeId, Actor]:
        """Make nodes that repeat their commands."""
        return {node: Actor(node, _Repeats(self.trace, node)) for node in self.world.nodes}

    def make_recorder(self, progress: Progress | None) -> ReplayingRecorder:
        """Make a recorder that knows what was measured."""
        recorder = ReplayingRecorder(**self.world.recorder_keys(), progress=progress)
        recorder.trace = self.trace
        return recorder

    def run(self) -> RunResult:
        """Run to the end of the trace.

        Raises
        ------
        SimulationError
            If the run ends otherwise.
        """
        result = super().run()
        if result.status == "stalled":
            raise SimulationError(result.sentence)
        return result

    def _evaluated(self, actor: Actor, command: Evaluated) -> object:
        if command.share == 1.0:
            self.recorder.gradients += 1
        duration_ns = self.computing.evaluation_ns(actor.node, command.share, lambda: command.flop)
        return self.computing.take_time(actor, duration_ns)

    def _result(self, limit_ns: int | None) -> RunResult:
        self.recorder.take_models()
        return super()._result(limit_ns)


class _Repeats:
    """Awaits the commands of one node of a trace, whatever the answers."""

    def __init__(self, trace: Trace, node: NodeId) -> None:
        self._trace, self._node = trace, node

    async def run(self) -> None:
        commands: Sequence[Command[Any]] = self._trace.commands[self._node]
        tokens, place = list[Token](), 0
        while place < len(commands) or self._trace.more(self._node):
            command = commands[place]
            place += 1
            if isinstance(command, Mark):
                tokens.append(await command)
            elif isinstance(command, Report) and command.since is not None:
                await replace(command, since=tokens[command.since.id])
            else:
                await command
