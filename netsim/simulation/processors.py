"""What nodes compute, for how long, and with how many joules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from netsim.interfaces import NodeId
from netsim.scenario.devices import Device
from netsim.simulation.switches import Switches
from netsim.units import NS_PER_S


@dataclass(slots=True, eq=False)
class Job:
    """A computation of a node under way; `result` is called at its end and makes the answer to the agent."""

    node: NodeId
    start_ns: int
    duration_ns: int
    result: Callable[[], object]


class Processors:
    """The processor of every node: it computes, waits, or is off; each node does one thing after the other."""

    def __init__(self, devices: Mapping[NodeId, Device], switches: Switches) -> None:
        self._devices, self._switches = devices, switches
        self._worked_ns = dict.fromkeys(devices, 0)
        self._jobs: dict[NodeId, Job] = {}
        self._died_ns: dict[NodeId, int] = {}

    def begin(self, node: NodeId, now_ns: int, duration_ns: int, result: Callable[[], object]) -> Job:
        """Begin a computation."""
        job = self._jobs[node] = Job(node, now_ns, duration_ns, result)
        return job

    def end(self, job: Job) -> bool:
        """Book a computation whose time is over; False where it was stopped before."""
        if self._jobs.get(job.node) is not job:
            return False
        del self._jobs[job.node]
        self._worked_ns[job.node] += job.duration_ns
        return True

    def stop(self, node: NodeId, now_ns: int) -> tuple[Job | None, int]:
        """Stop what a node computes; return it, None where it computes nothing, and how much of it was done, in ns."""
        job = self._jobs.pop(node, None)
        done_ns = 0 if job is None else min(now_ns - job.start_ns, job.duration_ns)
        self._worked_ns[node] += done_ns
        return job, done_ns

    def die(self, node: NodeId, now_ns: int) -> int:
        """Stop a node for good; return how much of its last computation was done, in ns."""
        self._died_ns[node] = now_ns
        return self.stop(node, now_ns)[1]

    def computing_ns(self, node: NodeId, at_ns: int) -> int:
        """Return how long a node has computed up to `at_ns`, including the computation under way."""
        job = self._jobs.get(node)
        return self._worked_ns[node] + (0 if job is None else min(at_ns - job.start_ns, job.duration_ns))

    def waiting_ns(self, node: NodeId, at_ns: int) -> int:
        """Return how long a node has been on up to `at_ns` and computed nothing."""
        end_ns = self._died_ns.get(node, at_ns)
        return end_ns - self._switches.off_ns(node, end_ns) - self.computing_ns(node, at_ns)

    def joules(self, node: NodeId, at_ns: int) -> float:
        """Return what a node's processor has spent up to `at_ns`."""
        return self.compute_j([node], at_ns) + self.waiting_j([node], at_ns)

    def compute_j(self, nodes: Sequence[NodeId], at_ns: int) -> float:
        """Return the joules that nodes have computed with; times of nodes with one power are added up first."""
        return _joules([(self._devices[node].power_w, self.computing_ns(node, at_ns)) for node in nodes])

    def waiting_j(self, nodes: Sequence[NodeId], at_ns: int) -> float:
        """Return the joules that nodes have waited with, while they were on."""
        powers = [(node, self._devices[node].idle_w) for node in nodes]
        return _joules([(power_w, self.waiting_ns(node, at_ns)) for node, power_w in powers if power_w])

    def max_power_w(self, node: NodeId) -> float:
        """Return a node's highest power."""
        return max(self._devices[node].power_w, self._devices[node].idle_w)

    def rows(self, node: NodeId, at_ns: int, waits: bool) -> list[tuple[str, float, float]]:
        """Return (state, seconds, joules) of a node's processor; ``waiting`` where asked, ``off`` where it goes off."""
        device, busy_s = self._devices[node], self.computing_ns(node, at_ns) / NS_PER_S
        found = [("compute", busy_s, busy_s * device.power_w)]
        if waits:
            waited_s = self.waiting_ns(node, at_ns) / NS_PER_S
            found.append(("waiting", waited_s, waited_s * device.idle_w))
        if node in self._switches.nodes:
            found.append(("off", self._switches.off_ns(node, self._died_ns.get(node, at_ns)) / NS_PER_S, 0.0))
        return found


def _joules(spans: Sequence[tuple[float, int]]) -> float:
    by_power: dict[float, int] = {}
    for power_w, busy_ns in spans:
        by_power[power_w] = by_power.get(power_w, 0) + busy_ns
    return math.fsum(ns / NS_PER_S * power_w for power_w, ns in by_power.items())
