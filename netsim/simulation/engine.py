"""Agents and channels on one clock.

Time is integer nanoseconds. At each instant every delivery enters its mailbox in (dst, src, transfer) order, woken
agents run in id order with the server last, what they submit is handed over in that order, and this repeats until
nothing is runnable; only then is a ``Receive(take="all")`` answered and time goes on.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from typing import IO, Any, Literal

import numpy as np
import pyarrow as pa

from netsim.errors import EncodeError, SimulationError, words_of
from netsim.interfaces import (
    Array,
    Compute,
    Decode,
    Delivered,
    Encode,
    Gradient,
    Mark,
    NodeId,
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
from netsim.simulation import capture, graph_tables
from netsim.simulation.actors import BLOCKED, Actor
from netsim.simulation.batteries import Batteries
from netsim.simulation.clock import Clock
from netsim.simulation.computing import Computing
from netsim.simulation.ending import RunResult, deaths_in_words, divergence_in_words, own_tables, waiting_in_words
from netsim.simulation.energy_table import energy_table
from netsim.simulation.garbage import old_objects_left_alone
from netsim.simulation.lockstep import nodes_of
from netsim.simulation.phases import Phases
from netsim.simulation.processors import Processors
from netsim.simulation.recorder import Divergence, Recorder, norm
from netsim.simulation.snapshot import Snapshot, look
from netsim.simulation.standstill import Standstill
from netsim.simulation.switches import Switches
from netsim.simulation.traffic import SILENCE, Traffic
from netsim.simulation.world import World
from netsim.units import MAX_NS, NS_PER_S, seconds_to_ns

Progress = Callable[[int, float, float], None]
_LARGEST = 1e30  # 8 decades below the largest float of 32 bits
# Whoever watches is told how the clock moves inside a round after so many instants, or so many seconds of this host.
INSTANTS, TOLD_S = 64, 1.0


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
    scenario: Scenario, entry: Entry, replication: int, problem: Problem, progress: Progress | None = None
) -> RunResult:
    """Run one algorithm once, as `simulate` does; an error in the middle ends the run and is part of the result."""
    return Engine(scenario, entry, replication, problem, progress).attempt()


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
        self._clock = Clock()
        self.stopped = False
        self._steps = 0  # commands and instants since `_stands` was asked
        self._standstill = Standstill(self._clock, self.recorder, len(self.world.nodes))
        self._patience, self._stuck = self._standstill.patience, ""
        self._coder = self.world.coder()
        self._answers: dict[NodeId, object] = {}
        self._tokens: list[int] = []
        self._interval_ns = seconds_to_ns(scenario.compute.interval_s)
        self._ticks: dict[NodeId, int] = {}  # multiple of the interval at which a node's round began
        self._takes_all: set[NodeId] = set()
        self._running = set(self._last())
        self._switches = Switches(self.world.changes)
        self._held: dict[NodeId, object] = {}  # answers to nodes that are off
        self._phases = Phases(len(self.world.workers))
        self._processors = processors = Processors(self.world.devices, self._switches)
        self.computing = Computing(self.world, self._clock, processors, self._phases, self._tell, self._check)
        self._batteries = self._open_batteries()
        self.traffic = Traffic(self.world, self._clock, self.actors, self.recorder.tally, self._phases, self._tell)
        self._charges_codecs = scenario.compute.codec_flop
        self._handlers: dict[type, Callable[[Actor, Any], object]] = {
            Send: self.traffic.send, Silent: self._silent, Receive: self._receive, Gradient: self._gradient,
            Value: self.computing.value, Compute: self.computing.compute, Wait: self._wait, Mark: self._mark,
            Report: self._report, Encode: self._code, Decode: self._code, Sum: self._code, Delivered: self._delivered,
        }  # fmt: skip

    @property
    def now_ns(self) -> int:
        """The instant that the run is at."""
        return self._clock.now_ns

    def attempt(self) -> RunResult:
        """Run; an error in the middle ends the run and is part of the result."""
        try:
            return self.run()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return self.failure(error)

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
        instants, told_s = 0, time.monotonic()
        try:
            self._settle()
            while not self.stopped:
                at_ns = self._next_ns()
                if at_ns is None or not self._running:
                    break
                if self._batteries is not None and self._lose_nodes(self._batteries, at_ns, limit_ns):
                    continue
                if limit_ns is not None and at_ns > limit_ns:
                    self._clock.now_ns = limit_ns
                    break
                if at_ns > MAX_NS:
                    self._stuck = "the clock ends at 2^62 ns (146 years)"
                    break
                self._clock.now_ns = at_ns
                self._settle()
                instants += 1
                if instants % INSTANTS == 0 or time.monotonic() - told_s > TOLD_S:
                    self.recorder.tick(at_ns)
                    told_s = time.monotonic()
        finally:
            for actor in self.actors.values():
                actor.close()

    def failure(self, error: BaseException) -> RunResult:
        """Return what a run that ended in an error has left, as far as it can still be had."""
        recorder = self.recorder
        tables, files = dict[str, pa.Table](), dict[str, IO[bytes]]()
        with contextlib.suppress(Exception):
            recorder.finish()
        if recorder.has_rows:
            tables = recorder.tables()
            with contextlib.suppress(Exception):
                tables["energy"] = self._energy_table()
            with contextlib.suppress(OSError):  # of a full disk
                files |= recorder.files()
        at_s, rounds, starts = self._clock.now_ns / NS_PER_S, max(recorder.rounds, 0), recorder.met_at_start
        said = words_of(error)
        return RunResult("failed", said, tables, at_s, rounds, files=files, met_at_start=starts, error=error)

    def make_actors(self) -> dict[NodeId, Actor]:
        """Make the nodes' agents, in id order."""
        return self.world.make_actors()

    def make_recorder(self, progress: Progress | None) -> Recorder:
        """Make what collects the run."""
        return Recorder(**self.world.recorder_keys(), progress=progress)

    def _last(self) -> tuple[NodeId, ...]:
        """Return the nodes that must stay alive for the run to go on."""
        return (self.world.server,) if self.world.is_star else self.world.workers

    # --- time ------------------------------------------------------------------------------------

    def _next_ns(self) -> int | None:
        at_ns = min(self._clock.next_ns, self.traffic.next_ns())
        # Where nothing else is to come, a node that comes back changes something only if it was about to do something.
        if at_ns < math.inf or self._held or self.computing.paused:
            at_ns = min(at_ns, self._switches.next_ns)
        return None if at_ns == math.inf else max(int(at_ns), self._clock.now_ns)

    def _settle(self) -> None:
        """Handle everything that belongs to this instant."""
        clock, actors, switches = self._clock, self.actors, self._switches
        now_ns, run = clock.now_ns, self._run
        if switches.next_ns <= now_ns:
            self._switch()
        while not self.stopped:
            self._steps += 1
            if self._steps > self._patience and self._stands():
                return
            if clock.next_ns == now_ns:
                clock.ring()
            self._deliver()
            if not self._answers and clock.next_ns != now_ns:
                if self._takes_all:
                    self._answer_all()
                if not self._answers:
                    return
            woken, self._answers = self._answers, {}
            for node in sorted(woken) if len(woken) > 1 else woken:
                actor = actors[node]
                if node in switches.off:
                    self._held[node] = woken[node]
                elif not actor.finished:
                    run(actor, woken[node])
                if self.stopped:
                    return

    def _stands(self) -> bool:
        """Stop the run where its clock stands, and forget the steps."""
        self._stuck, self._steps = self._standstill.of_clock(self._steps), 0
        self.stopped = self.stopped or bool(self._stuck)
        return bool(self._stuck)

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
        death = batteries.first_death(self._clock.now_ns, at_ns if limit_ns is None else min(at_ns, limit_ns))
        if death is None:
            return False
        self._clock.now_ns, nodes = death
        # Messages that arrive at this instant have arrived; those under way are lost.
        self._deliver()
        self.traffic.catch_up()
        for node in nodes:
            self._die(batteries, self.actors[node])
        self._settle()
        return True

    def _die(self, batteries: Batteries, actor: Actor) -> None:
        node = actor.node
        self.computing.die(node)
        batteries.mark_dead(node, self._clock.now_ns)
        self._switches.drop(node)
        self.traffic.set_up(node, False)
        actor.close()
        actor.finished, actor.waiting = True, None
        self._running.discard(node)
        for waiting in (self._held, self._answers):
            waiting.pop(node, None)
        if not self.world.is_star:
            self.stopped = self.recorder.leave(node, self._clock.now_ns, self._look) or self.stopped

    # --- nodes that are off ------------------------------------------------------------------------

    def _switch(self) -> None:
        """Let nodes go off and come back; messages that arrive at this instant have arrived."""
        self._deliver()
        self.traffic.catch_up()
        for node in self._switches.take(self._clock.now_ns):
            is_on = node not in self._switches.off
            self.traffic.set_up(node, is_on)
            if is_on:
                if node in self._held:
                    self._answers[node] = self._held.pop(node)
                self.computing.go_on(node)
            else:
                self.computing.pause(node)

    # --- deliveries --------------------------------------------------------------------------------

    def _deliver(self) -> None:
        """Put what arrives now into mailboxes, and answer who waits for it."""
        for node in self.traffic.deliver():
            self._try(self.actors[node])

    def _try(self, actor: Actor, timed_out: bool = False, is_settled: bool = False) -> None:
        """Answer an agent that waits for what is in its mailbox; with ``take="all"`` once the instant is settled."""
        wanted = actor.waiting
        if wanted is None or (wanted.take == "all" and not timed_out and not is_settled):
            return
        inbox = actor.mailbox.take(wanted, timed_out)
        if inbox is not None:
            actor.waiting, self._answers[actor.node] = None, inbox

    def _answer_all(self) -> None:
        for node in sorted(self._takes_all):
            actor = self.actors[node]
            if actor.waiting is not None and actor.waiting.take == "all":
                self._try(actor, is_settled=True)

    # --- commands ------------------------------------------------------------------------------------

    def _run(self, actor: Actor, answer: object) -> None:
        """Run one agent until it has to wait."""
        resume, handlers, steps = actor.resume, self._handlers, self._steps
        while True:
            steps += 1
            if steps > self._patience:
                self._steps = steps
                if self._stands():
                    return
                steps = self._steps
            command = resume(answer)
            handler = handlers.get(type(command))
            if handler is None:
                if not actor.finished:
                    raise actor.refusal(command, "the engine")
                self._running.discard(actor.node)
                break
            answer = handler(actor, command)
            if answer is BLOCKED or self.stopped:
                break
        self._steps = steps

    def _silent(self, actor: Actor, silent: Silent) -> None:
        src, how = actor.node, self.world.scenario.network.silence
        if how == "flag":
            self.traffic.send(actor, Send(silent.to, SILENCE, silent.round, silent.kind), is_silence=True)
        elif how == "free":
            for dst in (node for node in nodes_of(silent.to) if node not in self._switches.off):
                if dst == src:
                    raise SimulationError(f"node {dst}: a silence is for another node, not for itself")
                self.actors[dst].mailbox.put_silence(src, silent.round, silent.kind)
                self._try(self.actors[dst])

    def _delivered(self, actor: Actor, command: Delivered) -> object:
        """Answer at once where the node's last message has ended, or when it does."""
        arrived = self.traffic.acknowledged(actor.node)
        return BLOCKED if arrived is None else arrived

    def _tell(self, node: NodeId, answer: object) -> None:
        self._answers[node] = answer

    def _receive(self, actor: Actor, receive: Receive) -> object:
        actor.waiting = receive
        actor.waits += 1
        if receive.take == "all":
            self._takes_all.add(actor.node)
        elif actor.mailbox.messages or actor.mailbox.silent or not receive.count:
            inbox = actor.mailbox.take(receive)
            if inbox is not None:
                actor.waiting = None
                return inbox
        if receive.deadline_s is not None:
            wait = actor.waits
            self._clock.after(seconds_to_ns(receive.deadline_s), lambda: self._expire(actor, wait))
        return BLOCKED

    def _expire(self, actor: Actor, wait: int) -> None:
        if actor.waits == wait:
            self._deliver()  # messages that arrive at this instant are still in time
            self._try(actor, timed_out=True)

    def _gradient(self, actor: Actor, command: Gradient) -> object:
        self.recorder.gradients += 1
        return self.computing.gradient(actor, command)

    def _code(self, actor: Actor, command: Encode | Decode | Sum) -> object:
        """Answer at once, or after the time that the work of the codec takes."""
        answer = self._coder.answer(actor.node, command)
        if not self._charges_codecs and not isinstance(answer, Exception):
            return answer
        if isinstance(answer, EncodeError) and isinstance(command, Encode):
            for part in command.x if isinstance(command.x, tuple) else (command.x,):
                if isinstance(part, np.ndarray):
                    self._check(actor, "the vector to send", part)
        device = self.world.devices[actor.node]
        if not self._charges_codecs or device.flop_per_s is None or isinstance(answer, Exception):
            return answer
        self.computing.begin(actor.node, device.time_ns(self._coder.flop(command)), lambda: answer)
        return BLOCKED

    def _check(self, actor: Actor, what: str, x: Array) -> None:
        """Stop the run where a vector is beyond what floats of 32 bits can carry: it has diverged."""
        size = norm(x)
        if not size <= _LARGEST and self.recorder.divergence is None:
            round = max(self.recorder.rounds, 0) if actor.round is None else actor.round
            self.recorder.divergence = Divergence(round, actor.node, what, size)
            self.stopped = True

    def _wait(self, actor: Actor, command: Wait) -> object:
        self._clock.after(seconds_to_ns(command.duration_s), lambda: self._answers.update({actor.node: None}))
        return BLOCKED

    def _mark(self, actor: Actor, command: Mark) -> Token:
        self._tokens.append(self._clock.now_ns)
        return Token(len(self._tokens) - 1)

    def _report(self, actor: Actor, report: Report) -> object:
        since_ns = None if report.since is None else self._tokens[report.since.id]
        self.stopped = self.recorder.report(actor.node, report, self._clock.now_ns, since_ns, self._look)
        if not self.stopped and (stuck := self._standstill.of_counts()):
            self._stuck, self.stopped = stuck, True
            return None
        if report.estimate is None or not self._interval_ns:
            return None
        # A node that reports a round begins the next one at the next free multiple of the interval.
        tick = max(-(-self._clock.now_ns // self._interval_ns), self._ticks.get(actor.node, -1) + 1)
        self._ticks[actor.node] = tick
        if tick * self._interval_ns == self._clock.now_ns:
            return None
        self._clock.after(
            tick * self._interval_ns - self._clock.now_ns, lambda: self._answers.update({actor.node: None})
        )
        return BLOCKED

    # --- the end ---------------------------------------------------------------------------------------

    def _look(self) -> Snapshot:
        return look(self.world, self._processors, self._batteries, self._phases, self._clock.now_ns)

    def _result(self, limit_ns: int | None) -> RunResult:
        recorder, server = self.recorder, self.world.server
        deaths = {} if self._batteries is None else self._batteries.died_ns
        recorder.finish()
        at = f"at {self._clock.now_ns / NS_PER_S:.6g} s in round {max(recorder.rounds, 0)}"
        status: Literal["reached", "done", "stalled", "diverged"] = "done"
        if recorder.divergence is not None:
            status, sentence = "diverged", divergence_in_words(recorder.divergence, self._clock.now_ns, server)
        elif recorder.reached:
            status, sentence = "reached", f"reached its target {at}"
            if recorder.rounds == 0:
                sentence = "met its target at the start, before anything was sent"
        elif self._stuck:
            status, sentence = "stalled", f"stalled {at}: {self._stuck}"
        elif self.stopped:
            sentence = f"ended {at}: all rounds done"
        elif limit_ns is not None and self._clock.now_ns >= limit_ns:
            sentence = f"ended {at}: simulated time is up"
        elif not self._running and not set(self._last()) <= deaths.keys():
            sentence = f"ended {at}: the agents returned"
        else:
            off = self._switches.off.keys() - deaths.keys()
            status, sentence = "stalled", f"stalled {at}: {waiting_in_words(self.actors.values(), off, server)}"
        sentence += deaths_in_words(deaths, server)
        tables = {**recorder.tables(), "energy": self._energy_table()}
        if status != "diverged":
            tables |= own_tables(self.world, recorder)
        deaths_s = {node: at_ns / NS_PER_S for node, at_ns in deaths.items()}
        for medium in self.world.media if self.world.captures else ():
            medium.advance(self._clock.now_ns)  # frames since its last delivery
        rounds, files = max(recorder.rounds, 0), recorder.files() | capture.files(self.world.captures)
        graph = dict[str, float]()
        if not self.world.is_star:
            tables |= graph_tables.tables(self.world, recorder)
            graph = graph_tables.facts(self.world)
        at_s, starts = self._clock.now_ns / NS_PER_S, recorder.met_at_start
        return RunResult(status, sentence, tables, at_s, rounds, deaths_s, files, graph, starts, recorder.divergence)

    def _energy_table(self) -> pa.Table:
        return energy_table(self.world, self._look().usages, self._processors, self._batteries, self._clock.now_ns)
