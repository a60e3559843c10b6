"""Agents and channels on one clock: the only file that knows simpy.

Time is integer nanoseconds. At each instant every delivery enters its mailbox in (dst, src, transfer) order, woken
agents run in id order with the server last, what they submit is handed over in that order, and this repeats until
nothing is runnable; only then is a ``Receive(take="all")`` answered and time goes on.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import simpy

from netsim.arrow import table
from netsim.errors import EncodeError, SimulationError, words_of
from netsim.interfaces import (
    HEADER_BYTES,
    AfterRun,
    Array,
    Compute,
    Decode,
    Delivered,
    Delivery,
    Encode,
    Gradient,
    GradientRequest,
    Mark,
    Message,
    NodeId,
    PacketObserver,
    Payload,
    Problem,
    Receive,
    Report,
    Send,
    Silent,
    Sum,
    Token,
    Value,
    Wait,
)
from netsim.scenario import Entry, Scenario
from netsim.scenario.distributions import Times
from netsim.simulation import capture, graph_tables
from netsim.simulation.actors import Actor
from netsim.simulation.batteries import Batteries
from netsim.simulation.energy_table import energy_table
from netsim.simulation.garbage import old_objects_left_alone
from netsim.simulation.phases import Phases
from netsim.simulation.processors import Job, Processors
from netsim.simulation.recorder import Divergence, Recorder, Snapshot, Transfer, norm
from netsim.simulation.switches import Switches
from netsim.simulation.world import World
from netsim.units import MAX_NS, NS_PER_S, seconds_to_ns

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[int, float, float], None]
SILENCE = Payload(b"", 0.0)
_LARGEST = 1e30  # 8 decades below the largest float of 32 bits
_FIRST_FOUR = itemgetter(0, 1, 2, 3)
PATIENCE = (100_000, 20_000)  # steps that may pass at one instant before a run is stalled, and more for each node
QUIET_ROUNDS = 5_000  # in which nothing is counted that alone would end the run, before it is stalled
_BLOCKED = object()  # the answer of a handler where the agent has to wait


@dataclass(frozen=True, slots=True, eq=False)
class RunResult:
    """How one run ended and what it left.

    Parameters
    ----------
    status
        ``reached`` its target, ``done`` at a limit or because the agents returned, ``stalled``, ``diverged``, or
        ``failed`` with an error.
    sentence
        The same in words, with who waits for whom where it stalled.
    tables
        ``rounds``, ``energy``, between peers ``edges`` and ``peers``, where asked for ``messages``, and the algorithm's
        own; pyarrow, without the run's name.
    sim_time_s, rounds
        Where it ended.
    deaths_s
        When batteries were empty, by node.
    captures
        With ``record.pcap`` a capture file by its name; see `netsim.simulation.capture.files`.
    graph
        Between peers: ``edges``, ``spectral_gap`` and ``mixing_norm``.
    met_at_start
        The targets that were met before anything was sent.
    divergence
        Where a run that diverged did so.
    error
        What a failed run ended in; the tables hold the rows up to there.
    """

    status: Literal["reached", "done", "stalled", "diverged", "failed"]
    sentence: str
    tables: Mapping[str, pa.Table]
    sim_time_s: float
    rounds: int
    deaths_s: Mapping[NodeId, float] = field(default_factory=dict)
    captures: Mapping[str, bytes] = field(default_factory=dict)
    graph: Mapping[str, float] = field(default_factory=dict)
    met_at_start: tuple[str, ...] = ()
    divergence: Divergence | None = None
    error: BaseException | None = None


def simulate(
    scenario: Scenario,
    entry: Entry,
    replication: int,
    problem: Problem,
    progress: Progress | None = None,
) -> RunResult:
    """Run one algorithm once.

    Parameters
    ----------
    scenario
        A sweep point's scenario.
    entry
        One of its algorithms.
    replication
        Which redraw of the random streams.
    problem
        Opened from ``scenario.problem``.
    progress
        Called with (round, simulated seconds, loss) at each recorded row.

    Raises
    ------
    SimulationError
        If an agent breaks its contract.
    """
    return Engine(scenario, entry, replication, problem, progress).run()


def attempt(
    scenario: Scenario,
    entry: Entry,
    replication: int,
    problem: Problem,
    progress: Progress | None = None,
) -> RunResult:
    """Run one algorithm once, as `simulate` does; an error in the middle ends the run and is part of the result."""
    engine = Engine(scenario, entry, replication, problem, progress)
    try:
        return engine.run()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return engine.failure(error)


class Engine:
    """One run in progress; tests look at its public attributes ``world``, ``actors``, ``recorder``, ``now_ns``."""

    def __init__(
        self,
        scenario: Scenario,
        entry: Entry,
        replication: int,
        problem: Problem,
        progress: Progress | None = None,
    ) -> None:
        self.world = World(scenario, entry, replication, problem)
        self.actors = self.make_actors()
        self.recorder = self.make_recorder(progress)
        self.now_ns = 0
        self.stopped = False
        self._steps = 0  # commands and instants since `_stands` was asked
        self._patience = PATIENCE[0] + PATIENCE[1] * len(self.world.nodes)
        self._seen: tuple[float, ...] = ()
        self._stuck = ""
        self._counts = tuple(self.recorder.counted())
        self._counted_round = 0
        self._coder = self.world.coder()
        self._env = simpy.Environment()
        self._timers: dict[int, list[Callable[[], None]]] = {}
        self._answers: dict[NodeId, object] = {}
        self._requests: dict[NodeId, GradientRequest] = {}
        self._gradients: dict[NodeId, tuple[Sequence[Array], int]] = {}
        self._transfers: dict[tuple[int, int], _Flight] = {}
        self._flights: dict[NodeId, _Flight] = {}  # the last one of each node, where agents ask what became of it
        self._tells = "known_loss" in self.world.entry.algorithm.tolerates
        self._tokens: list[int] = []
        self._deadlines: dict[NodeId, int] = {}
        self._interval_ns = seconds_to_ns(scenario.compute.interval_s)
        self._ticks: dict[NodeId, int] = {}  # multiple of the interval at which a node's round began
        self._deadline_ids = count()
        self._takes_all: set[NodeId] = set()
        self._running = set(self._last())
        self._due_ns: list[float] = [math.inf] * len(self.world.media)
        self._delivery_ns = math.inf  # the least of them
        self._changed = set(range(len(self.world.media)))  # media whose next event is to be asked for
        self._switches = Switches(self.world.changes)
        self._processors = Processors(self.world.devices, self._switches)
        self._held: dict[NodeId, object] = {}  # answers to nodes that are off
        self._paused: dict[NodeId, tuple[int, Callable[[], object]]] = {}  # what is left of their computations, in ns
        self._batteries = self._open_batteries()
        self._phases = Phases(len(self.world.workers))
        self._ways = _Ways(self.world)
        self._charges_codecs = scenario.compute.codec_flop
        self._handlers: dict[type, Callable[[Actor, Any], object]] = {
            Send: self._send, Silent: self._silent, Receive: self._receive, Gradient: self._gradient,
            Value: self._value, Compute: self._compute, Wait: self._wait, Mark: self._mark, Report: self._report,
            Encode: self._code, Decode: self._code, Sum: self._code, Delivered: self._delivered,
        }  # fmt: skip

    def run(self) -> RunResult:
        """Run to a stop, to the end of all agents, or to a stall."""
        limit_s = self.world.scenario.stop.sim_time_s
        limit_ns = None if limit_s is None else seconds_to_ns(limit_s)
        self._answers = dict.fromkeys(self.world.nodes)
        # Numbers beyond all floats need no warning: the run ends as diverged, and says where.
        with np.errstate(over="ignore", invalid="ignore"), old_objects_left_alone():
            self._go(limit_ns)
            return self._result(limit_ns)

    def _go(self, limit_ns: int | None) -> None:
        try:
            self._settle()
            while not self.stopped:
                at_ns = self._next_ns()
                if at_ns is None or not self._running:
                    break
                if self._batteries is not None and self._lose_nodes(self._batteries, at_ns, limit_ns):
                    continue
                if limit_ns is not None and at_ns > limit_ns:
                    self.now_ns = limit_ns
                    break
                if at_ns > MAX_NS:
                    self._stuck = "the clock ends at 2^62 ns (146 years)"
                    break
                self.now_ns = at_ns
                self._settle()
        finally:
            for actor in self.actors.values():
                actor.close()

    def failure(self, error: BaseException) -> RunResult:
        """Return what a run that ended in an error has left, as far as it can still be had."""
        recorder = self.recorder
        tables: dict[str, pa.Table] = {}
        with contextlib.suppress(Exception):
            recorder.finish()
        if recorder.has_rows:
            tables = recorder.tables()
            with contextlib.suppress(Exception):
                tables["energy"] = self._energy_table()
        at_s, rounds = self.now_ns / NS_PER_S, max(recorder.rounds, 0)
        return RunResult(
            "failed", words_of(error), tables, at_s, rounds, met_at_start=recorder.met_at_start, error=error
        )

    def make_actors(self) -> dict[NodeId, Actor]:
        """Make the nodes' agents, in id order."""
        return self.world.make_actors()

    def make_recorder(self, progress: Progress | None) -> Recorder:
        """Make what collects the run."""
        return Recorder(**recorder_keys(self.world), progress=progress)

    def _last(self) -> tuple[NodeId, ...]:
        """Return the nodes that must stay alive for the run to go on."""
        return (self.world.server,) if self.world.is_star else self.world.workers

    # --- time ------------------------------------------------------------------------------------

    def _next_ns(self) -> int | None:
        if self._changed:
            self._ask()
        at_ns = min(self._env.peek(), self._delivery_ns)
        # Where nothing else is to come, a node that comes back changes something only if it was about to do something.
        if at_ns < math.inf or self._held or self._paused:
            at_ns = min(at_ns, self._switches.next_ns)
        return None if at_ns == math.inf else max(int(at_ns), self.now_ns)

    def _ask(self) -> None:
        for i in self._changed:
            due_ns = self.world.media[i].next_event_ns()
            self._due_ns[i] = math.inf if due_ns is None else due_ns
        self._changed.clear()
        self._delivery_ns = min(self._due_ns)

    def _after(self, delay_ns: int, then: Callable[[], None]) -> None:
        """Call `then` after a delay; calls that fall on one instant are one event and keep their order."""
        at_ns = self.now_ns + delay_ns
        if at_ns in self._timers:
            self._timers[at_ns].append(then)
            return
        self._timers[at_ns] = [then]
        self._env.timeout(at_ns - self._env.now).callbacks.append(lambda _: self._ring(at_ns))

    def _ring(self, at_ns: int) -> None:
        for then in self._timers.pop(at_ns):
            then()

    def _settle(self) -> None:
        """Handle everything that belongs to this instant."""
        env, actors, run = self._env, self.actors, self._run
        if self._switches.next_ns <= self.now_ns:
            self._switch()
        while not self.stopped:
            self._steps += 1
            if self._steps > self._patience and self._stands():
                return
            while env.peek() == self.now_ns:
                env.step()
            if self._changed or self._delivery_ns <= self.now_ns:
                self._deliver()
            if not self._answers and env.peek() != self.now_ns:
                if self._takes_all:
                    self._answer_all()
                if not self._answers:
                    return
            woken, self._answers = self._answers, {}
            for node in sorted(woken):
                if node in self._switches.off:
                    self._held[node] = woken[node]
                elif not actors[node].finished:
                    run(actors[node], woken[node])
                if self.stopped:
                    return

    def _stands(self) -> bool:
        """Stop the run where a great many steps have moved neither the clock nor a count that would end the run."""
        before, self._seen = self._seen, (self.now_ns, *self.recorder.counted())
        steps, self._steps = self._steps, 0
        if before != self._seen:
            return False
        self._stuck = f"its clock does not move: {steps} steps at one instant, and nothing that would end the run"
        self.stopped = True
        return True

    def _is_quiet(self) -> bool:
        """Stop the run where a great many rounds have moved no count, and nothing but a count would end it."""
        limits = self.world.scenario.stop.limits
        before, self._counts = self._counts, tuple(self.recorder.counted())
        self._counted_round = self.recorder.rounds
        if limits.keys() & {"rounds", "sim_time_s"} or before != self._counts:
            return False
        counted = " and ".join(f"stop.{key}" for key in limits)
        self._stuck = f"{QUIET_ROUNDS} rounds in which nothing was counted of {counted}, which alone would end the run"
        self.stopped = True
        return True

    # --- batteries ---------------------------------------------------------------------------------

    def _open_batteries(self) -> Batteries | None:
        world = self.world
        battery = world.scenario.network.battery
        if battery is None:
            return None
        capacity_j = battery.capacities(world.workers, world.server)
        return Batteries(capacity_j, world.media, self._processors.joules, self._processors.max_power_w)

    def _lose_nodes(self, batteries: Batteries, at_ns: int, limit_ns: int | None) -> bool:
        """Go to the first instant by `at_ns` at which batteries are empty, if there is one."""
        death = batteries.first_death(self.now_ns, at_ns if limit_ns is None else min(at_ns, limit_ns))
        if death is None:
            return False
        self.now_ns, nodes = death
        # Messages that arrive at this instant have arrived; those under way are lost.
        self._deliver()
        for medium in self.world.media:
            medium.advance(self.now_ns)
        for node in nodes:
            self._die(batteries, self.actors[node])
        self._settle()
        return True

    def _die(self, batteries: Batteries, actor: Actor) -> None:
        node = actor.node
        self._book_work(node, self._processors.die(node, self.now_ns))
        batteries.mark_dead(node, self.now_ns)
        self._switches.drop(node)
        self._set_up(node, False)
        actor.close()
        actor.finished, actor.waiting = True, None
        self._running.discard(node)
        for waiting in (self._held, self._paused, self._requests, self._gradients, self._answers, self._deadlines):
            waiting.pop(node, None)
        if not self.world.is_star:
            self.stopped = self.recorder.leave(node, self.now_ns, self._look) or self.stopped

    # --- nodes that are off ------------------------------------------------------------------------

    def _switch(self) -> None:
        """Let nodes go off and come back; messages that arrive at this instant have arrived."""
        self._deliver()
        for medium in self.world.media:
            medium.advance(self.now_ns)
        for node in self._switches.take(self.now_ns):
            is_on = node not in self._switches.off
            self._set_up(node, is_on)
            if is_on:
                if node in self._held:
                    self._answers[node] = self._held.pop(node)
                if node in self._paused:
                    self._work(self.actors[node], *self._paused.pop(node))
                continue
            job, done_ns = self._processors.stop(node, self.now_ns)
            if job is not None:
                self._book_work(node, done_ns)
                self._paused[node] = job.duration_ns - done_ns, job.result

    def _set_up(self, node: NodeId, up: bool) -> None:
        for index in self.world.media_of[node]:
            self.world.media[index].set_up(self.now_ns, node, up)
            self._changed.add(index)

    # --- deliveries --------------------------------------------------------------------------------

    def _deliver(self) -> None:
        if self._changed:
            self._ask()
        if self._delivery_ns > self.now_ns:
            return
        now_ns, actors = self.now_ns, self.actors
        arrived = list[tuple[NodeId, NodeId, int, int, Delivery]]()
        for index, due_ns in enumerate(self._due_ns):
            if due_ns <= now_ns:
                self._changed.add(index)
                for d in self.world.media[index].advance(now_ns):
                    arrived.append((d.dst, d.src, d.transfer, index, d))
        if len(arrived) > 1:
            arrived.sort(key=_FIRST_FOUR)
        for dst, _, handle, index, delivery in arrived:
            flight = self._transfers[index, handle]
            self._book(flight.transfer, delivery)
            flight.destinations -= 1
            if not flight.destinations:
                del self._transfers[index, handle]
            if self._tells:
                self._note(flight, delivery)
            if delivery.ok:
                src, round, kind, payload, _, is_silence = flight.transfer
                mailbox = actors[dst].mailbox
                if is_silence:
                    mailbox.put_silence(src, round, kind)
                else:
                    mailbox.put(Message(src, round, kind, payload.data, payload.flags))
        for node in sorted({a[0] for a in arrived}) if len(arrived) > 1 else [a[0] for a in arrived]:
            self._try_receive(actors[node])

    def _book(self, transfer: Transfer, delivery: Delivery) -> None:
        src, dst = transfer.src, delivery.dst
        direction, phase, _ = self._ways[src, dst]
        self.recorder.book(direction, transfer, delivery)
        self._phases.end(phase, self.now_ns)
        models = self.world.contexts[src].live_costs(dst)
        if models and delivery.ok:
            facts = {"s": delivery.service_s, "j": delivery.energy_j, "bit": 8.0 * delivery.wire_bytes}
            facts["packet"] = float(delivery.packets)
            for model in models:
                if model.quantity in facts:
                    size_bit, value = 8.0 * delivery.size_bytes, facts[model.quantity]
                    if isinstance(model, PacketObserver):
                        model.observe_packets(size_bit, value, delivery.packets)
                    else:
                        model.observe(size_bit, value)

    def _note(self, flight: _Flight, delivery: Delivery) -> None:
        """Keep who got a message, and answer its sender if that waits for the message's end."""
        if delivery.ok:
            flight.arrived.append(delivery.dst)
        if flight.is_awaited and not flight.destinations:
            self._answers[delivery.src] = frozenset(flight.arrived)

    def _try_receive(self, actor: Actor, timed_out: bool = False) -> None:
        if actor.waiting is None or (actor.waiting.take == "all" and not timed_out):
            return
        inbox = actor.mailbox.take(actor.waiting, timed_out)
        if inbox is not None:
            actor.waiting = None
            self._deadlines.pop(actor.node, None)
            self._answers[actor.node] = inbox

    def _answer_all(self) -> None:
        for node in sorted(self._takes_all):
            actor = self.actors[node]
            if actor.waiting is not None and actor.waiting.take == "all":
                inbox = actor.mailbox.take(actor.waiting)
                if inbox is not None:
                    actor.waiting = None
                    self._deadlines.pop(node, None)
                    self._answers[node] = inbox

    # --- commands ------------------------------------------------------------------------------------

    def _run(self, actor: Actor, answer: object) -> None:
        """Run one agent until it has to wait."""
        resume, handlers = actor.resume, self._handlers
        while True:
            self._steps += 1
            if self._steps > self._patience and self._stands():
                return
            command = resume(answer)
            if command is None:
                self._running.discard(actor.node)
                return
            handler = handlers.get(type(command))
            if handler is None:
                raise SimulationError(f"node {actor.node}: the engine knows no command {type(command).__name__}")
            answer = handler(actor, command)
            if answer is _BLOCKED or self.stopped:
                return

    def _send(self, actor: Actor, send: Send) -> None:
        transfer = Transfer(actor.node, send.round, send.kind, send.payload, self.now_ns)
        self._submit(transfer, send.to, HEADER_BYTES + len(send.payload.data))

    def _silent(self, actor: Actor, silent: Silent) -> None:
        how = self.world.scenario.network.silence
        if how == "flag":
            transfer = Transfer(actor.node, silent.round, silent.kind, SILENCE, self.now_ns, is_silence=True)
            self._submit(transfer, silent.to, HEADER_BYTES)
        elif how == "free":
            for dst in (node for node in _nodes(silent.to) if node not in self._switches.off):
                if dst == actor.node:
                    raise SimulationError(f"node {dst}: a silence is for another node, not for itself")
                self.actors[dst].mailbox.put_silence(actor.node, silent.round, silent.kind)
                self._try_receive(self.actors[dst])

    def _submit(self, transfer: Transfer, to: NodeId | tuple[NodeId, ...], size_bytes: int) -> None:
        world, nodes = self.world, to if isinstance(to, tuple) else (to,)
        if not nodes:
            return
        src, now_ns, ways = transfer.src, self.now_ns, self._ways
        if src in nodes:
            raise SimulationError(f"node {src}: a message to another node is sent, not one to itself")
        index = ways[src, nodes[0]][2]
        handle = world.media[index].submit(now_ns, src, nodes, size_bytes)
        self._changed.add(index)
        flight = self._transfers[index, handle] = _Flight(transfer, len(nodes))
        if self._tells:
            self._flights[transfer.src] = flight
        if world.captures:
            kind = "silence" if transfer.is_silence else transfer.kind
            data = capture.message(transfer.payload, kind, transfer.src, transfer.round)
            world.captures[world.media_names[index]].put(handle, data)
        begin = self._phases.begin
        for node in nodes:
            begin(ways[src, node][1], now_ns)

    def _delivered(self, actor: Actor, command: Delivered) -> object:
        """Answer at once where the node's last message has ended, or when it does."""
        flight = self._flights.get(actor.node)
        if flight is None:
            raise SimulationError(f"node {actor.node}: Delivered needs a message before it and known_loss in tolerates")
        if not flight.destinations:
            return frozenset(flight.arrived)
        flight.is_awaited = True
        return _BLOCKED

    def _receive(self, actor: Actor, receive: Receive) -> object:
        actor.waiting = receive
        if receive.take == "all":
            self._takes_all.add(actor.node)
        elif actor.mailbox.messages or actor.mailbox.silent or not receive.count:
            self._try_receive(actor)
            if actor.node in self._answers:
                return self._answers.pop(actor.node)
        if receive.deadline_s is not None:
            deadline = self._deadlines[actor.node] = next(self._deadline_ids)
            self._after(seconds_to_ns(receive.deadline_s), lambda: self._expire(actor, deadline))
        return _BLOCKED

    def _expire(self, actor: Actor, deadline: int) -> None:
        if self._deadlines.get(actor.node) == deadline:
            # Messages that arrive at this instant are still in time.
            self._deliver()
            if self._deadlines.get(actor.node) == deadline:
                self._try_receive(actor, timed_out=True)

    def _gradient(self, actor: Actor, command: Gradient) -> object:
        request = self._requests[actor.node] = self._request(actor.node, command)
        self.recorder.gradients += 1
        self._work(actor, self._duration_ns(request), lambda: self._gradient_due(actor.node))
        return _BLOCKED

    def _gradient_due(self, node: NodeId) -> object:
        if node not in self._gradients:
            # Evaluate all pending requests in one call: their inputs are fixed.
            pending = sorted(self._requests)
            gradients = self.world.learning.gradients([self._requests[n] for n in pending])
            self._gradients |= {n: (gradients, i) for i, n in enumerate(pending)}
            self._requests.clear()
        gradients, i = self._gradients.pop(node)
        gradient = gradients[i].astype(self.world.facts.dtype, copy=False)
        # A sum of squares that is finite is one of finite numbers; of others the size is looked at.
        if not math.isfinite(np.vdot(gradient, gradient)) and not np.isfinite(gradient).all():
            self._check_size(self.actors[node], "the gradient", gradient)
        return gradient

    def _request(self, node: NodeId, command: Gradient | Value) -> GradientRequest:
        owner = node if not isinstance(command, Gradient) or command.of is None else command.of
        context = self.world.contexts[owner]
        batch = context.next_batch() if command.batch is None else command.batch
        return GradientRequest(owner, command.at, batch.rows, context.next_key())

    def _value(self, actor: Actor, command: Value) -> object:
        request = self._request(actor.node, command)
        # A value costs the forward half of a gradient.
        duration_ns = self._duration_ns(request, share=0.5)
        self._work(actor, duration_ns, lambda: self.world.learning.values([request])[0])
        return _BLOCKED

    def _code(self, actor: Actor, command: Encode | Decode | Sum) -> object:
        """Answer at once, or after the time that the work of the codec takes."""
        answer = self._coder.answer(actor.node, command)
        if not self._charges_codecs and not isinstance(answer, Exception):
            return answer
        if isinstance(answer, EncodeError) and isinstance(command, Encode):
            for part in command.x if isinstance(command.x, tuple) else (command.x,):
                if isinstance(part, np.ndarray):
                    self._check_size(actor, "the vector to send", part)
        device = self.world.devices[actor.node]
        if not self._charges_codecs or device.flop_per_s is None or isinstance(answer, Exception):
            return answer
        self._work(actor, device.time_ns(self._coder.flop(command)), lambda: answer)
        return _BLOCKED

    def _check_size(self, actor: Actor, what: str, x: Array) -> None:
        """Stop the run where a vector is beyond what floats of 32 bits can carry: it has diverged."""
        size = norm(x)
        if not size <= _LARGEST and self.recorder.divergence is None:
            round = max(self.recorder.rounds, 0) if actor.round is None else actor.round
            self.recorder.divergence = Divergence(round, actor.node, what, size)
            self.stopped = True

    def _compute(self, actor: Actor, command: Compute) -> object:
        return self.take_time(actor, self.world.devices[actor.node].time_ns(command.flop))

    def _wait(self, actor: Actor, command: Wait) -> object:
        self._after(seconds_to_ns(command.duration_s), lambda: self._answers.update({actor.node: None}))
        return _BLOCKED

    def _mark(self, actor: Actor, command: Mark) -> Token:
        self._tokens.append(self.now_ns)
        return Token(len(self._tokens) - 1)

    def _report(self, actor: Actor, report: Report) -> object:
        since_ns = None if report.since is None else self._tokens[report.since.id]
        self.stopped = self.recorder.report(actor.node, report, self.now_ns, since_ns, self._look)
        if self.recorder.rounds >= self._counted_round + QUIET_ROUNDS and self._is_quiet():
            return None
        if report.estimate is None or not self._interval_ns:
            return None
        # A node that reports a round begins the next one at the next free multiple of the interval.
        tick = max(-(-self.now_ns // self._interval_ns), self._ticks.get(actor.node, -1) + 1)
        self._ticks[actor.node] = tick
        if tick * self._interval_ns == self.now_ns:
            return None
        self._after(tick * self._interval_ns - self.now_ns, lambda: self._answers.update({actor.node: None}))
        return _BLOCKED

    def take_time(self, actor: Actor, duration_ns: int) -> object:
        """Let a node compute for that long; its answer is nothing."""
        self._work(actor, duration_ns, lambda: None)
        return _BLOCKED

    def _work(self, actor: Actor, duration_ns: int, result: Callable[[], object]) -> None:
        job = self._processors.begin(actor.node, self.now_ns, duration_ns, result)
        self._after(duration_ns, lambda: self._finish(job))

    def _finish(self, job: Job) -> None:
        if self._processors.end(job):
            self._book_work(job.node, job.duration_ns)
            self._answers[job.node] = job.result()

    def _book_work(self, node: NodeId, duration_ns: int) -> None:
        if self.world.is_learner(node):
            self._phases.total_ns["compute"] += duration_ns

    def _duration_ns(self, request: GradientRequest, share: float = 1.0) -> int:
        return self.evaluation_ns(request.node, share, lambda: self.world.learning.gradient_flop(request))

    def evaluation_ns(self, node: NodeId, share: float, flop: Callable[[], float]) -> int:
        """Return the time of a gradient, or of a share of its operations, drawn where it has a law."""
        time = self.world.evaluation_ns(node, share, flop)
        if isinstance(time, Times):
            return seconds_to_ns(time.sample(self.world.contexts[node].rng("compute")))
        return time

    # --- the end ---------------------------------------------------------------------------------------

    def _look(self) -> Snapshot:
        now_ns, batteries = self.now_ns, self._batteries
        usages = [medium.usage(now_ns) for medium in self.world.media]
        nodes, others = self.world.nodes, self.world.nodes[len(self.world.workers) :]
        compute_j, others_j = (self._processors.compute_j(which, now_ns) for which in (nodes, others))
        waiting_j = None
        if self.world.scenario.compute.counts_waiting:
            waiting_j = self._processors.waiting_j(nodes, now_ns)
            others_j += self._processors.waiting_j(others, now_ns)
        phases_ns = self._phases.at(now_ns)
        if batteries is None:
            return Snapshot(usages, compute_j, others_j, phases_ns, waiting_j)
        usages = batteries.without_dead(usages)
        lifetime_s = min(batteries.lifetimes_s(usages, now_ns).values(), default=math.nan)
        alive = len(self.world.nodes) - len(batteries.died_ns)
        return Snapshot(usages, compute_j, others_j, phases_ns, waiting_j, lifetime_s, alive)

    def _result(self, limit_ns: int | None) -> RunResult:
        recorder, server = self.recorder, self.world.server
        deaths = {} if self._batteries is None else self._batteries.died_ns
        recorder.finish()
        at = f"at {self.now_ns / NS_PER_S:.6g} s in round {max(recorder.rounds, 0)}"
        status: Literal["reached", "done", "stalled", "diverged"] = "done"
        if recorder.divergence is not None:
            status, sentence = "diverged", self._says(recorder.divergence)
        elif recorder.reached:
            status, sentence = "reached", f"reached its target {at}"
            if recorder.rounds == 0:
                sentence = "met its target at the start, before anything was sent"
        elif self._stuck:
            status, sentence = "stalled", f"stalled {at}: {self._stuck}"
        elif self.stopped:
            sentence = f"ended {at}: all rounds done"
        elif limit_ns is not None and self.now_ns >= limit_ns:
            sentence = f"ended {at}: simulated time is up"
        elif not self._running and not set(self._last()) <= deaths.keys():
            sentence = f"ended {at}: the agents returned"
        else:
            waiting = [a.says(server) for a in self.actors.values() if a.waiting is not None]
            more = f", and {len(waiting) - 4} more wait" if len(waiting) > 4 else ""
            who = "; ".join(waiting[-4:]) or "nobody is left"
            off = sorted(self._switches.off.keys() - deaths.keys())
            are_off = f"; {', '.join(map(str, off))} {'is' if len(off) == 1 else 'are'} off" if off else ""
            status, sentence = "stalled", f"stalled {at}: {who}{more}{are_off}"
        sentence += _deaths_in_words(deaths, server)
        tables = {**recorder.tables(), "energy": self._energy_table()}
        if recorder.last_estimate is not None and status != "diverged":
            tables |= self._own_tables(recorder.last_estimate)
        deaths_s = {node: at_ns / NS_PER_S for node, at_ns in deaths.items()}
        for medium in self.world.media if self.world.captures else ():
            medium.advance(self.now_ns)  # frames since its last delivery
        rounds, captures = max(recorder.rounds, 0), capture.files(self.world.captures)
        graph = dict[str, float]()
        if not self.world.is_star:
            tables |= graph_tables.tables(self.world, recorder)
            graph = graph_tables.facts(self.world)
        at_s, starts = self.now_ns / NS_PER_S, recorder.met_at_start
        return RunResult(status, sentence, tables, at_s, rounds, deaths_s, captures, graph, starts, recorder.divergence)

    def _says(self, found: Divergence) -> str:
        who = "the server" if found.node == self.world.server else f"node {found.node}"
        at = f"at {self.now_ns / NS_PER_S:.6g} s in round {found.round}"
        return f"diverged {at}: {found.what} of {who} has the norm {found.norm:.3g}"

    def _energy_table(self) -> pa.Table:
        return energy_table(self.world, self._look().usages, self._processors, self._batteries, self.now_ns)

    def _own_tables(self, last: tuple[int, Array]) -> dict[str, pa.Table]:
        """Return the tables that the algorithm makes of the first, a middle and the last model."""
        kept = self.recorder.snapshots
        middle = min(kept, key=lambda s: abs(s[0] - last[0] / 2))
        models = sorted(dict((kept[0], middle, last)).items())
        node = self.world.workers[0]

        def gradient(at: Array) -> Array:
            return self.world.learning.gradients([GradientRequest(node, at)])[0]

        made = self.world.entry.algorithm.tables(self.world.contexts[node], gradient, models)
        return {name: table(columns) for name, columns in made.items()}


def recorder_keys(world: World) -> dict[str, Any]:
    """Return the keys of a world's `netsim.simulation.recorder.Recorder`."""
    scenario, learners = world.scenario, len(world.workers)
    has_tables = scenario.record.efficiency and isinstance(world.entry.algorithm, AfterRun)
    return {
        "problem": world.problem, "stop": scenario.stop, "record": scenario.record,
        "reporters": 1 if world.is_star else learners, "learners": learners,
        "free_ways": scenario.network.free_ways, "keep_estimates": has_tables,
    }  # fmt: skip


class _Ways(dict[tuple[NodeId, NodeId], tuple[str, tuple[str, NodeId], int]]):
    """The direction, the phase and the medium's index of what a node sends to another, found once for each pair."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def __missing__(self, pair: tuple[NodeId, NodeId]) -> tuple[str, tuple[str, NodeId], int]:
        found = self[pair] = (*self._world.way(*pair), self._world.medium_of(*pair))
        return found


@dataclass(slots=True)
class _Flight:
    """A transfer, at how many destinations it has not ended yet, and where it arrived if it could be lost."""

    transfer: Transfer
    destinations: int
    arrived: list[NodeId] = field(default_factory=list)
    is_awaited: bool = False


def _deaths_in_words(deaths_ns: Mapping[NodeId, int], server: NodeId) -> str:
    """Return the deaths and their times, as the end of a sentence."""
    said = [
        f"; {'the server' if node == server else f'node {node}'} had an empty battery at {at_ns / NS_PER_S:.6g} s"
        for node, at_ns in deaths_ns.items()
    ]
    return "".join(said[:4]) + (f"; and {len(said) - 4} more" if len(said) > 4 else "")


def _nodes(to: NodeId | tuple[NodeId, ...]) -> tuple[NodeId, ...]:
    return to if isinstance(to, tuple) else (to,)
