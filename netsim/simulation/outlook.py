"""What a run will come to, before it: whether its clock moves and stays within its range, and what it takes."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from netsim import memory
from netsim.errors import ConfigError, DataError, Fault, SimulationError
from netsim.interfaces import HEADER_BYTES, Batch, Contends, GradientRequest, HasGradients, Problem
from netsim.scenario import Distribution, Scenario
from netsim.simulation.world import World
from netsim.units import BOUNDS, MAX_NS, NS_PER_S, seconds_to_ns

LONGEST_S = BOUNDS["s"][1]
# Seconds of one core that the engine takes for a message and around a gradient, for a guess within a factor of some.
_MESSAGE_S, _GRADIENT_S = 1e-4, 3e-5
# Frames offered at once; of 802.15.4 with 43 nodes. A message of 600 bytes from each of 50 takes 95 s, of 80 16 min.
MOST_LOAD = 20.0
_VECTORS = 6  # of the model's size that a node keeps: model, gradient, memories, messages under way


@dataclass(frozen=True, slots=True)
class Outlook:
    """A guess at one run.

    Parameters
    ----------
    messages
        To its limit, at most; NaN where its limits do not say.
    memory_bytes
        Of the process, data included.
    host_s
        Of one core; NaN where its limits do not say.
    dim
        Of the model.
    warnings
        What can be run, but hardly as it was meant.
    """

    messages: float
    memory_bytes: float
    host_s: float
    dim: int
    warnings: tuple[str, ...] = ()


def look_ahead(scenario: Scenario, problem: Problem) -> tuple[Outlook, list[Fault]]:
    """Return a guess at the runs of a sweep point, and the faults that its links and opened problem have together."""
    try:
        what = f"models and gradients of d = {problem.dim} numbers at {problem.num_nodes} nodes"
        memory.require(8.0 * problem.dim * (2 * problem.num_nodes + 2), what)
    except DataError as error:
        return Outlook(math.nan, math.nan, math.nan, problem.dim), [Fault(("problem",), str(error))]
    try:
        world = World(scenario, scenario.algorithms[0], 0, problem)
        flop, gradient_s = _gradient(world)
        carried = list(_carried(world))
    except ConfigError as error:
        return Outlook(math.nan, math.nan, math.nan, problem.dim), list(error.faults)
    except (OverflowError, ValueError, ZeroDivisionError, SimulationError, MemoryError) as error:
        fault = Fault(("network",), f"links and devices that can be opened; this one fails with: {error}")
        return Outlook(math.nan, math.nan, math.nan, problem.dim), [fault]
    faults = [*_slow_links(world, carried), *_slow_devices(world, flop), *_standing(world, flop, carried)]
    faults += _too_many_rounds(world, carried)
    return _guess(world, flop, gradient_s, carried), faults


@dataclass(frozen=True, slots=True)
class _Way:
    """One direction of a medium: its name, its channel, seconds for an empty message and for a dense model."""

    name: str
    channel: Any
    empty_s: float
    dense_s: float


def _carried(world: World) -> Iterator[_Way]:
    dense_bit = 8.0 * (HEADER_BYTES + world.facts.dtype.itemsize * world.facts.dim)
    for name, medium, (channel, nodes) in zip(world.media_names, world.media, world._places.values(), strict=True):
        first, last = nodes[0].id, nodes[-1].id
        for src, dst in ((first, last), (last, first)) if first != last else ():
            try:
                empty_s, dense_s = medium.cost("s", src, dst)(np.array([8.0 * HEADER_BYTES, dense_bit]))
            except (ConfigError, SimulationError):  # two nodes out of reach, or a link that does not say
                continue
            yield _Way(name, channel, float(empty_s), float(dense_s))


def _slow_links(world: World, carried: list[_Way]) -> Iterator[Fault]:
    size_bytes = HEADER_BYTES + world.facts.dtype.itemsize * world.facts.dim
    for way in carried:
        if way.dense_s <= LONGEST_S:
            continue
        key = way.name.partition(".")[0]
        rates = {k: v for k, v in vars(way.channel).items() if k.endswith("_bps") and isinstance(v, int | float)}
        what = f"with which a model of {size_bytes} bytes arrives within {LONGEST_S:g} s"
        if rates:
            slowest = min(rates, key=lambda k: rates[k])
            least = rates[slowest] * way.dense_s / LONGEST_S
            yield Fault(("network", key, slowest), f"at least {least:.3g} bit/s, {what}", f"{rates[slowest]:g}")
        else:
            yield Fault(("network", key), f"a link {what}", f"{way.dense_s:.3g} s")


def _gradient(world: World) -> tuple[float, float]:
    """Operations of a gradient of the first node, and seconds that this host takes for it; 0 where there is none."""
    if not isinstance(world.problem, HasGradients):
        return 0.0, 0.0
    node = world.workers[0]
    rows = Batch(world.problem.draw_batch(node, np.random.default_rng(0))).rows
    request, taken_s = GradientRequest(node, world.facts.start, rows), list[float]()
    for _ in range(2):  # what the first one loads counts once in a run
        begin_s = time.perf_counter()
        world.problem.gradients([request])
        taken_s.append(time.perf_counter() - begin_s)
    return world.problem.gradient_flop(request), min(taken_s)


def _slow_devices(world: World, flop: float) -> Iterator[Fault]:
    rates = [device.flop_per_s for device in world.devices.values() if device.flop_per_s is not None]
    slowest = min(rates, default=math.inf)
    if flop / slowest > LONGEST_S:
        allowed = f"at least {flop / LONGEST_S:.3g} flop/s, with which a gradient of {flop:.3g} flop takes a time that "
        yield Fault(("compute", "flop_per_s"), f"{allowed}the clock can count, {LONGEST_S:g} s", f"{slowest:g}")


def _too_many_rounds(world: World, carried: list[_Way]) -> Iterator[Fault]:
    """Yield a fault where the messages of all rounds, each empty and one after another, end after the clock."""
    stop = world.scenario.stop
    slowest = max(carried, key=lambda way: way.empty_s, default=None)
    if slowest is None or stop.rounds is None or stop.sim_time_s is not None:
        return
    if stop.rounds * slowest.empty_s * NS_PER_S > MAX_NS:
        most = MAX_NS / NS_PER_S / slowest.empty_s
        way = f"of which a message over network.{slowest.name.partition('.')[0]} takes {slowest.empty_s:.3g} s"
        allowed = f"at most {most:.4g} rounds, {way}, as the clock ends at 2^62 ns (146 years)"
        yield Fault(("stop", "rounds"), allowed, f"{stop.rounds}")


def _standing(world: World, flop: float, carried: list[_Way]) -> Iterator[Fault]:
    """Yield a fault where only time ends the run, and no message and no gradient takes a nanosecond."""
    stop, compute = world.scenario.stop, world.scenario.compute
    if list(stop.limits) != ["sim_time_s"] or compute.interval_s > 0 or any(way.dense_s >= 0.5e-9 for way in carried):
        return
    times = compute.gradient_s if isinstance(compute.gradient_s, tuple) else (compute.gradient_s,)
    if any(isinstance(each, Distribution) or each > 0.0 for each in times):
        return
    rates = [device.flop_per_s for device in world.devices.values() if device.flop_per_s is not None]
    if not any(seconds_to_ns(flop / rate) for rate in rates):
        allowed = "rounds is needed where neither a message nor a gradient takes a nanosecond: the clock does not move"
        yield Fault(("stop", "sim_time_s"), allowed, f"{stop.sim_time_s:g} s alone")


def _guess(world: World, flop: float, gradient_s: float, carried: list[_Way]) -> Outlook:
    stop, compute, nodes = world.scenario.stop, world.scenario.compute, len(world.workers)
    round_s = max(compute.interval_s, max((way.dense_s for way in carried), default=0.0) + _gradient_s(world, flop))
    counts = [math.inf if stop.rounds is None else float(stop.rounds)]
    if stop.sim_time_s is not None and round_s > 0.0:
        counts.append(stop.sim_time_s / round_s)
    a_round = 2.0 * nodes if world.is_star else float(max(2 * world.peers.graph.number_of_edges(), 1))
    counts += [limit / a_round for limit in (stop.uploads, stop.messages) if limit is not None]
    counts += [stop.gradients / nodes] if stop.gradients is not None else []
    rounds = min(counts)
    messages = rounds * a_round
    vector_bytes = 8.0 * world.facts.dim
    memory_bytes = 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + _VECTORS * vector_bytes * nodes
    steps = max(1, getattr(world.entry.algorithm, "local_steps", None) or 1)
    host_s = rounds * nodes * steps * (gradient_s + _GRADIENT_S) + messages * (_MESSAGE_S + vector_bytes / 1e9)
    if not math.isfinite(rounds):
        messages = host_s = math.nan
    return Outlook(messages, memory_bytes, host_s, world.facts.dim, tuple(_saturated(world)))


def _saturated(world: World) -> Iterator[str]:
    for name, medium in zip(world.media_names, world.media, strict=True):
        load = medium.offered_load() if isinstance(medium, Contends) else 0.0
        if load > MOST_LOAD:
            yield (
                f"{name}: nodes that all send at once offer {load:.0f} times what the link carries, so that hardly a "
                "frame gets through and a round may take hours of simulated time"
            )


def _gradient_s(world: World, flop: float) -> float:
    given = world.scenario.compute.gradient_s
    each = given if isinstance(given, tuple) else (given,)
    times = [t.expected_s if isinstance(t, Distribution) else t for t in each]
    rates = [device.flop_per_s for device in world.devices.values() if device.flop_per_s is not None]
    return max([*times, *(flop / rate for rate in rates)])
