"""A trace on many networks at once: arrays over draws in place of a clock.

On links where a message waits for none but those before it on its own way (`netsim.interfaces.Replays`), a node goes on
at the latest of the instants at which what it waits for is there. So each command of a trace has one array of instants,
one for each draw, and nothing has to be put in order of time but the rows' sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from netsim.arrow import column
from netsim.errors import SimulationError
from netsim.interfaces import (
    HEADER_BYTES,
    STATES,
    Compute,
    Mark,
    Message,
    NodeId,
    Payload,
    Receive,
    Report,
    Send,
    Silent,
    Wait,
)
from netsim.scenario.distributions import Times
from netsim.scenario.parts import COUNTERS, DIRECTIONS
from netsim.simulation.ending import RunResult
from netsim.simulation.lockstep import nodes_of
from netsim.simulation.mailbox import Mailbox
from netsim.simulation.sums_of_draws import Int64s, Sums, count_before, covered_ns
from netsim.simulation.trace import Evaluated, Trace
from netsim.simulation.traffic import SILENCE
from netsim.units import NS_PER_S, seconds_to_ns

_COMMANDS, _CELLS = 20_000_000, 4_000_000  # of all draws at once, about 1 GB
_IDLE = STATES.index("idle")
_NO_ROW = 1 << 62
_Open = tuple[list[int], list[int]]  # cells: the first row behind what a worker did, how many rows are before it
_Heard = tuple[Int64s, list[int], list[_Open]]  # when a message is there, rows before it, what its sender did before


class Entangled(SimulationError):
    """A trace that arrays over draws cannot follow: the engine can."""


class _Metric(NamedTuple):
    """A value that a node reports: when, after how many rows, and after how many times awake at that instant."""

    node: NodeId
    at_ns: Int64s
    after: int
    steps: int | None
    value: Any


def most_draws(trace: Trace, sample: RunResult) -> int:
    """Return how many draws fit into memory at once, at least 2: arrays have a number for each command and draw."""
    commands = sum(map(len, trace.commands.values()))
    cells = sample.tables["rounds"].num_rows * sum(len(medium.usage(0).interfaces) for medium in trace.world.media)
    return int(max(2, min(_COMMANDS // max(commands, 1), _CELLS // max(cells, 1))))


class ManyReplays:
    """The replays of a trace in several replications.

    Parameters
    ----------
    trace
        Of a star; it is run to its end.
    sample
        The result of one replay in the engine: its tables are those of all draws but for times, bytes and joules.

    Raises
    ------
    Entangled
        If the network or the trace is not of a kind that arrays can follow.
    """

    def __init__(self, trace: Trace, replications: Sequence[int], sample: RunResult) -> None:
        world, scenario = trace.world, trace.scenario
        media = None if not world.is_star or world.aggregators else world.drawn_media(replications)
        if media is None or scenario.record.messages or scenario.compute.interval_s:
            raise Entangled("the channel or the scenario asks for the engine")
        compute = scenario.compute
        is_mixed = compute.is_drawn_per_node or compute.counts_waiting or len(set(world.devices.values())) != 1
        if is_mixed:
            raise Entangled("nodes are different devices")
        (self._device,) = set(world.devices.values())
        while not trace.is_over:
            trace.step()
        if not trace.drain():
            raise Entangled("workers go on without their server")
        self._trace, self._world, self._media, self._sample = trace, world, media, sample
        self._replications, self._draws = replications, len(replications)
        nodes = world.nodes
        self._now: dict[NodeId, Int64s] = {node: np.zeros(self._draws, np.int64) for node in nodes}
        self._known = dict.fromkeys(nodes, 0)  # rows that a node knows to be past
        self._mailboxes = {node: Mailbox() for node in nodes}
        self._notices: dict[tuple[NodeId, int, str, NodeId], _Heard] = {}
        self._marks: dict[NodeId, list[Int64s]] = {node: [] for node in nodes}
        self._streams: dict[NodeId, list[np.random.Generator]] = {}
        self._rows: list[Int64s] = []
        self._row_rounds = {int(r) for r in sample.tables["rounds"]["round"].to_pylist()}
        self._metrics: dict[str, dict[int, list[_Metric]]] = {}
        self._steps: dict[NodeId, int | None] = dict.fromkeys(nodes, 0)
        self._fresh = set(nodes)
        self._at_once: dict[NodeId, dict[int, list[int]]] = {node: {} for node in nodes}
        self._moved = {direction: Sums() for direction in DIRECTIONS}
        self._requests, self._uploads, self._delivered = Sums(), Sums(), Sums()
        self._timeless = list[tuple[Int64s, list[int], list[int]]]()  # when, rows before it, first row behind it
        self._open: dict[NodeId, list[_Open]] = {node: [] for node in nodes}  # what a worker does until it answers
        self._spans: dict[tuple[Any, ...], list[tuple[Int64s, Int64s]]] = {}
        self._walk()
        self._rows_ns = np.array(self._rows)

    # --- commands ----------------------------------------------------------------------------------------

    def _walk(self) -> None:
        """Let every node do its commands as soon as what they wait for has been sent."""
        places, ready = dict.fromkeys(self._world.nodes, 0), list(reversed(self._world.nodes))
        waiting: dict[NodeId, Receive] = {}
        while ready:
            node = ready.pop()
            commands = self._trace.commands[node]
            while places[node] < len(commands):
                command = commands[places[node]]
                if isinstance(command, Receive):
                    if not self._receive(node, command):
                        waiting[node] = command
                        break
                else:
                    for other in self._do(node, command):
                        if other in waiting and self._mailboxes[other].has(waiting[other]):
                            del waiting[other]
                            ready.append(other)
                places[node] += 1

    def _do(self, node: NodeId, command: Any) -> tuple[NodeId, ...]:
        """Do a command; return the nodes to which it sends."""
        now_ns = self._now[node]
        if isinstance(command, Send):
            return self._send(node, command.to, command.payload, command.round, command.kind)
        if isinstance(command, Silent):
            if self._world.scenario.network.silence == "flag":
                return self._send(node, command.to, SILENCE, command.round, command.kind, is_silence=True)
            for dst in nodes_of(command.to):
                self._notice(node, dst, command.round, command.kind, now_ns, [self._known[node]])
            return nodes_of(command.to)
        if isinstance(command, Evaluated | Compute):
            self._work(node, command)
        elif isinstance(command, Wait):
            self._now[node] = now_ns + seconds_to_ns(command.duration_s)
            self._pass(node, self._now[node] > now_ns, is_work=True)
        elif isinstance(command, Mark):
            self._marks[node].append(now_ns)
        elif isinstance(command, Report):
            self._report(node, command)
        else:
            raise Entangled(f"no arrays for {type(command).__name__}")
        return ()

    def _send(
        self,
        src: NodeId,
        to: NodeId | tuple[NodeId, ...],
        payload: Payload,
        round: int,
        kind: str,
        is_silence: bool = False,
    ) -> tuple[NodeId, ...]:
        sent_ns, size = self._now[src], len(payload.data)
        for dst in nodes_of(to):
            index = self._world.medium_of(src, dst)
            carried = self._media[index].carry(sent_ns, src, dst, HEADER_BYTES + size)
            if carried is None:
                raise Entangled("a message waits for another one")
            (direction, phase), after = self._world.way(src, dst), [self._known[src]]
            if not (carried.at_ns > sent_ns).all():
                if direction != "downlink":
                    raise Entangled("a message takes no time")
                self._timeless.append((carried.at_ns, after, self._until_answer(dst, after)))
                self._at_once[src][id(after)] = after
            if not float(payload.paper_bit).is_integer():
                raise Entangled("sums of parts of bits depend on their order")
            self._moved[direction].add(
                carried.at_ns, after, payload.paper_bit, size, HEADER_BYTES + size, carried.wire_bytes,
                carried.packets, carried.attempts, 1,
            )  # fmt: skip
            if direction != "downlink" and not is_silence:
                self._uploads.add(carried.at_ns, after, 1)
            self._delivered.add(carried.at_ns, after, size)
            if self._world.is_learner(phase[1]):
                self._spans.setdefault(("phase", *phase), []).append((sent_ns, carried.at_ns))
            for row, state, begin_ns, end_ns in carried.busy:
                self._spans.setdefault(("busy", index, row, state), []).append((begin_ns, end_ns))
            if is_silence:
                self._notice(src, dst, round, kind, carried.at_ns, after)
            else:
                data = cast(bytes, (carried.at_ns, after, self._answered(src)))
                self._mailboxes[dst].put(Message(src, round, kind, data))
        return nodes_of(to)

    def _until_answer(self, node: NodeId, after: list[int]) -> list[int]:
        """Return the first row that comes behind what a node does now: the next one when the server has its answer."""
        until = [_NO_ROW]
        self._open[node].append((until, after))
        return until

    def _answered(self, node: NodeId) -> list[_Open]:
        """Return what a worker's message tells the server to be past."""
        if node == self._world.server:
            return []
        answered, self._open[node] = self._open[node], []
        return answered

    def _notice(self, src: NodeId, dst: NodeId, round: int, kind: str, at_ns: Int64s, after: list[int]) -> None:
        self._mailboxes[dst].put_silence(src, round, kind)
        self._notices[dst, round, kind, src] = at_ns, after, self._answered(src)

    def _receive(self, node: NodeId, wanted: Receive) -> bool:
        """Take what a node waits for, if all of it has been sent; it goes on when the last of it is there."""
        mailbox = self._mailboxes[node]
        if wanted.take == "all" or wanted.deadline_s is not None:
            raise Entangled("what is received depends on the clock")
        if not mailbox.has(wanted):
            return False
        fits = sum(mailbox.fits(message, wanted) for message in mailbox.messages)
        inbox = mailbox.take(wanted)
        if inbox is None or inbox.late or fits != len(inbox.messages) or fits + len(inbox.silent) != wanted.count:
            raise Entangled("more is there than is received")
        heard = [cast(_Heard, message.data) for message in inbox.messages]
        for src in inbox.silent:
            kinds = [key for key in self._notices if key[:2] == (node, wanted.round) and key[3] == src]
            kinds = [key for key in kinds if wanted.kind in (None, key[2])]
            if len(kinds) != 1:
                raise Entangled("a node is silent twice")
            heard.append(self._notices.pop(kinds[0]))
        before_ns = self._now[node]
        self._now[node] = np.maximum.reduce([before_ns, *(at_ns for at_ns, _, _ in heard)])
        self._known[node] = max(self._known[node], *(after[0] for _, after, _ in heard))
        for until, after in (cells for _, _, answered in heard for cells in answered):
            until[0] = self._known[node]
            self._at_once[node].pop(id(after), None)
        self._pass(node, self._now[node] > before_ns)
        return True

    def _work(self, node: NodeId, command: Evaluated | Compute) -> None:
        begin_ns = self._now[node]
        if isinstance(command, Compute):
            duration: Int64s | int = self._device.time_ns(command.flop)
        else:
            if command.share == 1.0:
                after = [self._known[node]]
                self._requests.add(begin_ns, after, 1)
                # In the first instant workers act before the server.
                if node not in self._fresh or node == self._world.server:
                    until = [after[0]] if node == self._world.server else self._until_answer(node, after)
                    self._timeless.append((begin_ns, after, until))
            time = self._world.evaluation_ns(node, command.share, lambda: command.flop)
            if isinstance(time, Times):
                if node not in self._streams:
                    make: Callable[..., np.random.Generator] = self._world.stream_of
                    self._streams[node] = [make(r, node, "compute") for r in self._replications]
                duration = np.array([seconds_to_ns(time.sample(rng)) for rng in self._streams[node]], np.int64)
            else:
                duration = time
        end_ns = self._now[node] = begin_ns + duration
        self._pass(node, np.asarray(end_ns > begin_ns), is_work=True)
        if not isinstance(duration, int) or duration:
            self._spans.setdefault(("work", node), []).append((begin_ns, end_ns))

    def _report(self, node: NodeId, report: Report) -> None:
        is_row = report.round in self._row_rounds
        if report.since is not None and is_row:
            since_ns = self._marks[node][report.since.id]
            self._add_metric(node, report.round, "elapsed_s", (self._now[node] - since_ns) / NS_PER_S)
        for name, value in report.metrics.items() if is_row else ():
            self._add_metric(node, report.round, name, cast(float, value))
        if report.estimate is not None and is_row:
            self._rows.append(self._now[node])
            self._known[node] += 1
            # What this node has handed over without waiting since is delivered behind the row.
            for after in self._at_once[node].values():
                after[0] = self._known[node]

    def _add_metric(self, node: NodeId, round: int, name: str, value: Any) -> None:
        entry = _Metric(node, self._now[node], self._known[node], self._steps[node], value)
        self._metrics.setdefault(name, {}).setdefault(round, []).append(entry)

    def _pass(self, node: NodeId, is_later: npt.NDArray[np.bool_], is_work: bool = False) -> None:
        """Note how many times a node was woken at the instant at which it now is; None: not known."""
        self._fresh.discard(node)
        if is_later.all():
            self._steps[node] = 0
        elif is_later.any():
            self._steps[node] = None
        elif is_work:
            self._steps[node] = None if (steps := self._steps[node]) is None else steps + 1
        if is_work or is_later.all():
            self._at_once[node].clear()
        elif is_later.any() and self._at_once[node]:
            raise Entangled("a node waits in some draws")

    # --- tables ------------------------------------------------------------------------------------------

    def results(self) -> list[RunResult]:
        """Return the result of each replication.

        Raises
        ------
        Entangled
            If two things happen at one instant whose order the engine alone knows.
        """
        columns = {name: np.ascontiguousarray(values.T) for name, values in self._columns().items()}
        energy = self._energy()
        return [self._result(draw, columns, energy) for draw in range(self._draws)]

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns of the table ``rounds`` that differ between draws; shape (rows, draws)."""
        rows_ns, world = self._rows_ns, self._world
        self._check_ties()
        found: dict[str, npt.NDArray[Any]] = {"sim_time_s": rows_ns / NS_PER_S}
        free = world.scenario.network.free_ways
        for direction, sums in self._moved.items():
            counters = sums.until(rows_ns, len(COUNTERS)) if direction not in free else None
            for i, counter in enumerate(COUNTERS):
                found[f"{direction}_{counter}"] = np.zeros(rows_ns.shape) if counters is None else counters[i]
        for name, sums in (
            ("uploads", self._uploads),
            ("gradients", self._requests),
            ("delivered_bytes", self._delivered),
        ):
            found[name] = sums.until(rows_ns, 1)[0]
        found |= self._joules(rows_ns)
        learners = len(world.workers)
        phases = {"compute": self._worked_ns(rows_ns, whole=True), "uplink": 0 * rows_ns, "downlink": 0 * rows_ns}
        for key, spans in self._spans.items():
            if key[0] == "phase":
                phases[key[1]] += covered_ns(*_ends(spans), rows_ns)
        busy_ns = phases["compute"] + phases["uplink"] + phases["downlink"]
        phases["waiting"] = np.maximum(rows_ns * learners - busy_ns, 0)
        found |= {f"time_{phase}_s": total / learners / NS_PER_S for phase, total in phases.items()}
        return found | self._reported()

    def _check_ties(self) -> None:
        """Raise `Entangled` where a request, or a message that took no time, falls on the instant of a row.

        A message that took time is there before anybody acts at its instant; what a worker has done before the server
        had its answer comes before the next row, also at that row's instant.
        """
        rows, draws = self._rows_ns.shape
        if self._timeless:
            at_ns, after, until = (np.array(cells) for cells in zip(*self._timeless, strict=True))
            place = count_before(self._rows_ns, at_ns)
            is_tie = (place < rows) & (place >= after) & (place < until)
            if (is_tie & (self._rows_ns[np.minimum(place, rows - 1), np.arange(draws)] == at_ns)).any():
                raise Entangled("two things happen at one instant")

    def _worked_ns(self, rows_ns: Int64s, whole: bool, nodes: Sequence[NodeId] | None = None) -> Int64s:
        """Return the time that nodes have computed, by default the learning ones; `whole`: only what has ended."""
        who, total = self._world.workers if nodes is None else nodes, np.zeros_like(rows_ns)
        for node in who:
            spans = self._spans.get(("work", node), [])
            if not spans:
                continue
            begin, end = _ends(spans)
            if whole:
                # A node does one thing after the other: of what has begun only the last may not have ended.
                ended = np.vstack([np.zeros_like(end[:1]), np.cumsum(end - begin, axis=0)])
                total += np.take_along_axis(ended, count_before(end, rows_ns + 1), 0)
            else:
                total += covered_ns(begin, end, rows_ns)
        return total

    def _state_ns(self, index: int, rows_ns: Int64s) -> Int64s:
        """Return a medium's times in each state; int64, shape (rows, draws, interfaces, 5)."""
        state_ns = np.zeros((*rows_ns.shape, len(self._media[index].interfaces), len(STATES)), np.int64)
        for key, spans in self._spans.items():
            if key[:2] == ("busy", index):
                state_ns[:, :, key[2], key[3]] = covered_ns(*_ends(spans), rows_ns)
        state_ns[..., _IDLE] = rows_ns[..., None] - state_ns.sum(axis=-1)
        return state_ns

    def _joules(self, rows_ns: Int64s) -> Mapping[str, npt.NDArray[np.float64]]:
        """Return the columns of joules, in the recorder's order of sums."""
        world, power_w = self._world, self._device.power_w
        states, server_j = list[npt.NDArray[np.float64]](), list[npt.NDArray[np.float64]]()
        for index, medium in enumerate(self._media):
            if not medium.power_w.any():
                continue
            energy_j = self._state_ns(index, rows_ns) / NS_PER_S * medium.power_w
            states.append(energy_j.sum(axis=2))
            others = np.array([node >= len(world.workers) for node, _ in medium.interfaces])
            server_j.append(energy_j[:, :, others].reshape(*rows_ns.shape, -1).sum(axis=-1))
        joules = np.sum(states, axis=0) if states else np.zeros((*rows_ns.shape, len(STATES)))
        busy_ns = self._worked_ns(rows_ns, whole=False, nodes=world.nodes)
        others_ns = self._worked_ns(rows_ns, whole=False, nodes=world.nodes[len(world.workers) :])
        compute_j, others_j = busy_ns / NS_PER_S * power_w, others_ns / NS_PER_S * power_w
        found = {f"energy_{state}_j": joules[..., i] for i, state in enumerate(STATES)}
        total_j, of_server_j = joules.sum(axis=-1) + compute_j, sum(server_j) + others_j
        return found | {
            "energy_compute_j": compute_j, "energy_j": total_j,
            "worker_energy_j": total_j - of_server_j, "server_energy_j": of_server_j,
        }  # fmt: skip

    def _reported(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the columns that agents report, where they differ between draws: times, and means in order of time."""
        rounds, found = self._sample.tables["rounds"]["round"].to_pylist(), dict[str, npt.NDArray[np.float64]]()
        for name, of_rounds in self._metrics.items():
            if name != "elapsed_s" and all(len(entries) == 1 for entries in of_rounds.values()):
                continue
            found[name] = np.full((len(rounds), self._draws), np.nan)
            for row, round in enumerate(rounds):
                if round in of_rounds:
                    found[name][row] = self._means(of_rounds[round], row)
        return found

    def _means(self, entries: list[_Metric], row: int) -> list[float]:
        """Return the mean in each draw: its bits depend on who reports first, at one instant the lowest id."""
        entries = sorted(entries, key=lambda entry: entry.node)
        at_ns = np.array([entry.at_ns for entry in entries])
        values = np.array([np.broadcast_to(entry.value, self._draws) for entry in entries], np.float64)
        # The server's own reports come before its row; those of others, at its very instant, may not.
        until_ns = self._rows_ns[row] - np.array([entry.node != self._world.server for entry in entries])[:, None]
        is_before = np.array([entry.after <= row for entry in entries])[:, None] & (at_ns <= until_ns)
        if not is_before.all():
            raise Entangled("a report comes after its row")
        order = np.argsort(at_ns, axis=0, kind="stable")
        ordered_ns = np.take_along_axis(at_ns, order, 0)
        steps = {entry.steps for entry in entries}
        if (None in steps or len(steps) > 1) and (ordered_ns[1:] == ordered_ns[:-1]).any():
            raise Entangled("two reports come at one instant")
        of_draws = np.take_along_axis(values, order, 0).T.tolist()
        return [sum(each) / len(each) for each in of_draws]

    def _energy(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return times and joules of the table ``energy``; shape (draws, rows of that table)."""
        end_ns, power_w = self._rows_ns[-1:], self._device.power_w
        times_s, joules = list[npt.NDArray[np.float64]](), list[npt.NDArray[np.float64]]()
        for index, medium in enumerate(self._media):
            state_ns = self._state_ns(index, end_ns)[0]
            times_s.append((state_ns / NS_PER_S).reshape(self._draws, -1))
            joules.append((state_ns / NS_PER_S * medium.power_w).reshape(self._draws, -1))
        for node in self._world.nodes:
            busy_s = self._worked_ns(end_ns, whole=False, nodes=[node])[0][:, None] / NS_PER_S
            times_s.append(busy_s)
            joules.append(busy_s * power_w)
        return np.hstack(times_s), np.hstack(joules)

    def _result(
        self,
        draw: int,
        columns: Mapping[str, npt.NDArray[Any]],
        energy: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    ) -> RunResult:
        sample = self._sample
        rounds, at_s = sample.tables["rounds"], int(self._rows_ns[-1, draw]) / NS_PER_S
        tables = {**sample.tables, "rounds": _replaced(rounds, {n: values[draw] for n, values in columns.items()})}
        own = {"time_s": energy[0][draw], "energy_j": energy[1][draw]}
        tables["energy"] = _replaced(sample.tables["energy"], own)
        sentence = sample.sentence.replace(f"at {sample.sim_time_s:.6g} s", f"at {at_s:.6g} s", 1)
        return replace(sample, tables=tables, sim_time_s=at_s, sentence=sentence)


def _ends(spans: Sequence[tuple[Int64s, Int64s]]) -> tuple[Int64s, Int64s]:
    return np.array([begin for begin, _ in spans]), np.array([end for _, end in spans])


def _replaced(given: pa.Table, columns: Mapping[str, npt.NDArray[Any]]) -> pa.Table:
    """Return a table with other values in some of its columns; names that it lacks are left out."""
    arrays = []
    for name, kind in zip(given.column_names, given.schema.types, strict=True):
        if name in columns:
            arrays.append(column(columns[name].astype(np.int64 if pa.types.is_integer(kind) else np.float64)))
        else:
            arrays.append(given[name])
    return pa.Table.from_arrays(arrays, schema=given.schema)
