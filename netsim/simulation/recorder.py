"""The recorder of one run: rows at reports, and the stop rule.

Everything is kept in columns and handed over as pyarrow tables; the study puts the run's name in front.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

import numpy as np
import pyarrow as pa

from netsim.arrow import table
from netsim.interfaces import (
    STATES,
    Array,
    GradientRequest,
    HasGradients,
    HasJointMetrics,
    HasOptimum,
    NodeId,
    Problem,
    Report,
    Usage,
)
from netsim.scenario import Record, Stop
from netsim.scenario.parts import COUNTERS, DIRECTIONS, meets
from netsim.simulation.snapshot import Snapshot
from netsim.simulation.tally import Tally
from netsim.units import NS_PER_S, S_PER_DAY

PHASES = ("compute", "uplink", "downlink", "waiting")
MAX_SNAPSHOTS = 16
MAX_KEPT = 64


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a run left the numbers that can be computed or sent.

    Parameters
    ----------
    round
        The round under way.
    node
        Whose vector it was.
    what
        That vector or value, in words.
    norm
        The vector's Euclidean norm; not finite where an entry is not.
    """

    round: int
    node: NodeId
    what: str
    norm: float


@dataclass(slots=True)
class Round:
    """A round that has been reported, before it becomes a row: it is measured only if it does."""

    round: int
    now_ns: int
    models: Mapping[NodeId, Array]
    spent: dict[str, float]
    extra: dict[str, list[float]]
    row: dict[str, float] = field(default_factory=dict)


@dataclass(eq=False)
class Recorder:
    """Collects one run.

    Targets are looked for in one of every ``stop.every`` rounds. A round has a row if it is the first, the last or one
    of every ``record.every``, and if it is the first to meet a target.

    Parameters
    ----------
    problem
        Measures the estimates.
    stop, record
        Of the scenario.
    reporters
        How many nodes report an estimate each round: 1 (a server) or all peers, whose mean is measured.
    learners
        Number of workers or peers, over which times are averaged.
    free_ways
        Directions that cost nothing: nothing of them is counted.
    keep_estimates
        Keep up to 16 evenly spaced estimates for curves drawn after the run.
    """

    problem: Problem
    stop: Stop
    record: Record
    reporters: int
    learners: int
    free_ways: Sequence[str] = ()
    keep_estimates: bool = False
    progress: Callable[[int, float, float], None] | None = None
    rounds: int = -1
    reached: bool = False
    met_at_start: tuple[str, ...] = ()
    divergence: Divergence | None = None
    snapshots: list[tuple[int, Array]] = field(default_factory=list)
    last_estimate: tuple[int, Array] | None = None
    last_models: Mapping[NodeId, Array] = field(default_factory=dict)
    gradients: int = 0
    _columns: dict[str, list[float]] = field(default_factory=dict)
    _pending: dict[int, dict[NodeId, Array]] = field(default_factory=dict)
    _metrics: dict[int, dict[str, list[float]]] = field(default_factory=dict)
    _gone: set[NodeId] = field(default_factory=set)
    _interfaces: dict[int, tuple[object, Sequence[bool]]] = field(default_factory=dict)
    _met: set[str] = field(default_factory=set)
    _unwritten: Round | None = None  # the last round, where it has no row
    _loss: float = math.nan  # as last measured
    _stride: int = 1

    def __post_init__(self) -> None:
        self.tally = Tally(self.free_ways, self.record.messages)
        optimum = self.problem.optimum() if isinstance(self.problem, HasOptimum) else None
        self._best = optimum.value if optimum else math.nan
        self._measures = {*self.record.measures, *self.stop.target}

    def report(
        self, node: NodeId, report: Report, now_ns: int, since_ns: int | None, look: Callable[[], Snapshot]
    ) -> bool:
        """Take one report; True where the run is to stop.

        Parameters
        ----------
        node, report
            Without an estimate its metrics wait for the row of that round.
        now_ns, since_ns
            The instant, and the one that the report's token names.
        look
            Called at the end of a round.
        """
        is_due = self.has_row(report.round)
        if is_due and since_ns is not None:
            self._add_metric(report.round, "elapsed_s", (now_ns - since_ns) / NS_PER_S)
        for name, value in report.metrics.items():
            # What costs something to compute is computed for rows and targets alone.
            if is_due or name in self.stop.target or not callable(value):
                self._add_metric(report.round, name, value() if callable(value) else value)
        if report.estimate is None:
            return False
        waiting = self._pending.setdefault(report.round, {})
        # An agent may change its model in place while the row waits for the others.
        waiting[node] = report.estimate if self.reporters == 1 else report.estimate.copy()
        return self._complete(report.round, now_ns, look)

    def leave(self, node: NodeId, now_ns: int, look: Callable[[], Snapshot]) -> bool:
        """Stop waiting for the estimates of a node; return True where the run stops."""
        self._gone.add(node)
        return any(self._complete(round, now_ns, look) for round in sorted(self._pending))

    def _complete(self, round: int, now_ns: int, look: Callable[[], Snapshot]) -> bool:
        """End a round if all who are left have reported it, with a row where it is to have one."""
        waiting = self._pending[round]
        if len(waiting.keys() - self._gone) < self.reporters - len(self._gone):
            return False
        # In id order, not in order of arrival: the mean's bits must not depend on delays.
        models = {node: waiting[node] for node in sorted(waiting)}
        del self._pending[round]
        self.rounds = max(self.rounds, round)
        ended = Round(round, now_ns, models, self._spent(now_ns, look()), self._metrics.pop(round, {}))
        is_due = self.has_row(round)
        if is_due or (self.stop.target and round % self.stop.every == 0):
            self._measure_round(ended)
            met = {m for m, goal in self.stop.target.items() if meets(m, ended.row.get(m, math.nan), goal)}
            self.reached = bool(met) and met == self.stop.target.keys()
            is_due |= self.reached or self.divergence is not None or not met <= self._met
            self._met |= met
            if round == 0:
                self.met_at_start = tuple(m for m in self.stop.target if m in met)
        self.tick(now_ns)
        if is_due:
            self._write(ended)
        elif self.reporters == 1:
            ended.models = {node: model.copy() for node, model in models.items()}
        self._unwritten = None if is_due else ended
        return self._is_last(round) or self.reached or self.divergence is not None

    def tick(self, now_ns: int) -> None:
        """Tell whoever watches how far the run has come."""
        if self.progress is not None:
            self.progress(max(self.rounds, 0), now_ns / NS_PER_S, self._loss)

    def finish(self) -> None:
        """Give the last round its row, if it has none."""
        last, self._unwritten = self._unwritten, None
        if last is not None:
            if not last.row:
                self._measure_round(last)
            self._write(last)

    def counted(self) -> tuple[float, ...]:
        """Return the counts that would end the run: of rounds, uploads, gradients, messages those that are limited."""
        counts = {"rounds": self.rounds, "gradients": self.gradients}
        counts |= {"uploads": self.tally.uploads, "messages": self.tally.messages}
        return tuple(int(counts[key]) for key in self.stop.limits if key in counts)

    def _is_last(self, round: int) -> bool:
        stop, tally = self.stop, self.tally
        spent = (stop.uploads, tally.uploads), (stop.gradients, self.gradients), (stop.messages, tally.messages)
        if any(limit is not None and count >= limit for limit, count in spent):
            return True
        return self.stop.rounds is not None and round >= self.stop.rounds

    def has_row(self, round: int) -> bool:
        """Return whether a row of that round is recorded."""
        return round % self.record.every == 0 or self._is_last(round)

    @property
    def has_rows(self) -> bool:
        """Whether any round has a row."""
        return bool(self._columns)

    def tables(self) -> dict[str, pa.Table]:
        """Return ``rounds``."""
        whole = {"round", "uploads", "gradients", "delivered_bytes", "nodes_alive"}
        whole |= {f"{d}_{c}" for d in DIRECTIONS for c in COUNTERS if c != "paper_bit"}
        size = len(self._columns.get("round", ()))
        columns = {
            name: np.array(values + [math.nan] * (size - len(values)), np.int64 if name in whole else np.float64)
            for name, values in self._columns.items()
        }
        return {"rounds": table(columns)}

    def files(self) -> dict[str, IO[bytes]]:
        """Return ``messages.arrow`` where messages are recorded."""
        return {} if self.tally.rows is None else {"messages.arrow": self.tally.rows.file()}

    def _add_metric(self, round: int, name: str, value: float) -> None:
        self._metrics.setdefault(round, {}).setdefault(name, []).append(float(value))

    def _measure(self, models: Mapping[NodeId, Array], mean: Array) -> dict[str, float]:
        """Measure the mean model, and where there are several how they differ."""
        metrics = self.problem.metrics(mean)
        # Every run has the column accuracy, of the training samples.
        accuracy = metrics.get("train_accuracy", math.nan)
        measured = {"grad_norm": math.nan, "accuracy": accuracy, **metrics}
        measured["loss_gap"] = measured["loss"] - self._best
        if self.reporters > 1:
            squares = sum(float(np.dot(x - mean, x - mean)) for x in models.values())
            measured["consensus_distance"] = math.sqrt(squares / len(models))
            worst = [key for key in ("worst_loss", "worst_accuracy") if key in self._measures]
            of_nodes = [self.problem.metrics(x) for x in models.values()] if worst else []
            if "worst_loss" in worst:
                measured["worst_loss"] = max(metrics["loss"] for metrics in of_nodes)
            if "worst_accuracy" in worst:
                measured["worst_accuracy"] = min(_accuracy(metrics) for metrics in of_nodes)
            if "local_loss" in self._measures and isinstance(self.problem, HasGradients):
                values = self.problem.values([GradientRequest(node, x) for node, x in models.items()])
                measured["local_loss"] = sum(values) / len(values)
        if isinstance(self.problem, HasJointMetrics):
            measured |= self.problem.joint_metrics(models)
        return measured

    def _look_at(self, ended: Round) -> dict[str, float]:
        self.last_models = ended.models if self.reporters > 1 else {}
        with np.errstate(over="ignore", invalid="ignore"):
            return self._measure(ended.models, _mean(ended.models))

    def _measure_round(self, ended: Round) -> None:
        """Make a round's row; note where its loss is no number any more."""
        measured = self._look_at(ended)
        row: dict[str, float] = {"round": ended.round, "sim_time_s": ended.now_ns / NS_PER_S}
        row |= {name: measured.pop(name) for name in ("loss", "loss_gap", "grad_norm", "accuracy")}
        row |= ended.spent | measured
        row["budget"] = math.nan
        row |= {name: sum(values) / len(values) for name, values in ended.extra.items()}
        ended.row = row
        if not math.isfinite(row["loss"]) and self.divergence is None:
            norms = {node: norm(model) for node, model in ended.models.items()}
            node = max(norms, key=lambda n: math.inf if math.isnan(norms[n]) else norms[n])
            self.divergence = Divergence(ended.round, node, f"where the loss is {row['loss']}, the model", norms[node])
        self._loss = row["loss"]

    def _write(self, ended: Round) -> None:
        for name, value in ended.row.items():
            column = self._columns.setdefault(name, [])
            column += [math.nan] * (len(self._columns["round"]) - (name != "round") - len(column))
            column.append(value)
        if self.keep_estimates:
            self._keep(ended.round, _mean(ended.models))

    def _spent(self, now_ns: int, seen: Snapshot) -> dict[str, float]:
        """Return what the run has spent up to an instant."""
        tally, counters = self.tally, self.tally.counters
        row: dict[str, float] = {f"{d}_{c}": getattr(counters[d], c) for d in DIRECTIONS for c in COUNTERS}
        row |= {"uploads": tally.uploads, "gradients": self.gradients, "delivered_bytes": tally.delivered_bytes}
        joules = np.sum([usage.energy_j.sum(axis=0) for usage in seen.usages], axis=0)
        row |= {f"energy_{state}_j": float(j) for state, j in zip(STATES, joules, strict=True)}
        row |= {"energy_compute_j": seen.compute_j, "energy_j": float(joules.sum()) + seen.compute_j}
        if seen.waiting_j is not None:
            row |= {"energy_waiting_j": seen.waiting_j, "energy_j": row["energy_j"] + seen.waiting_j}
        server_j = sum(float(u.energy_j[self._not_learning(u)].sum()) for u in seen.usages) + seen.server_j
        row |= {"worker_energy_j": row["energy_j"] - server_j, "server_energy_j": server_j}
        if seen.alive >= 0:
            row |= {"lifetime_days": seen.lifetime_s / S_PER_DAY, "nodes_alive": seen.alive}
        busy_ns = sum(seen.phase_ns.values())
        # Computing and transfers may overlap where a node does not wait for them.
        phases = {**seen.phase_ns, "waiting": max(now_ns * self.learners - busy_ns, 0)}
        return row | {f"time_{phase}_s": phases[phase] / self.learners / NS_PER_S for phase in PHASES}

    def _not_learning(self, usage: Usage) -> Sequence[bool]:
        """Return for each interface whether its node is no worker and no peer; those have the ids 0 .. learners - 1."""
        key = id(usage.interfaces)
        if key not in self._interfaces:
            # A medium always returns the same sequence; keeping it keeps its id unique.
            self._interfaces[key] = usage.interfaces, [node >= self.learners for node, _ in usage.interfaces]
            if len(self._interfaces) > MAX_KEPT:
                del self._interfaces[next(iter(self._interfaces))]
        return self._interfaces[key][1]

    def _keep(self, round: int, estimate: Array) -> None:
        self.last_estimate = (round, estimate.copy())
        if round % self._stride == 0:
            self.snapshots.append(self.last_estimate)
        if len(self.snapshots) > MAX_SNAPSHOTS:
            self._stride *= 2
            self.snapshots = [s for s in self.snapshots if s[0] % self._stride == 0]


def _accuracy(metrics: Mapping[str, float]) -> float:
    """Return the accuracy on the test set where there is one, else on the training samples."""
    return metrics.get("test_accuracy", metrics.get("train_accuracy", metrics.get("accuracy", math.nan)))


def norm(x: Array) -> float:
    """Return the Euclidean norm, also where its square is beyond a float; not finite where an entry is not.

    Examples
    --------
    >>> norm(np.array([3 * 2.0**700, 4 * 2.0**700])) == 5 * 2.0**700, norm(np.array([1.0, np.nan]))
    (True, nan)
    """
    largest = float(np.abs(x).max(initial=0.0))
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(x / largest))


def _mean(models: Mapping[NodeId, Array]) -> Array:
    estimates = list(models.values())
    return np.asarray(np.mean(estimates, axis=0)) if len(estimates) > 1 else estimates[0]
