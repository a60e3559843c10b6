"""What must fit together in a scenario, beyond what each part checks by itself.

Each function `_check_...` takes the parts that it names, so that it runs where those are right even if others are not.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from netsim import registry
from netsim.errors import Fault, SimulationError, nearest_name
from netsim.interfaces import HasBatches, HasOptimum, HasSmoothness, Problem, ShowsFrames, is_between_peers
from netsim.scenario.compute import ComputeModel
from netsim.scenario.parts import MEASURES, METRICS, VARIED, Claim, Entry, Network, Record, Stop, meets, rises
from netsim.units import MAX_NS, NS_PER_S

MAX_NAME = 100
MAX_SENDERS = 1 << 24
MAX_PASSES = 100
FLAT = 1e-9  # of the largest curvature
MAX_STEPS = 20_000  # as many as the engine waits for at one instant
MAX_RUNS = 1_000_000


def cross_faults(parts: Mapping[str, Any]) -> list[Fault]:
    """Return all faults between those parts of a scenario that are right by themselves."""
    found: list[Fault] = []
    for check, names in _checks().items():
        if all(name in parts for name in names):
            found += check(**{name: parts[name] for name in names})
    return found


def _check_name(name: str) -> Iterator[Fault]:
    # The name becomes the name of a folder.
    if not name.strip() or len(name) > MAX_NAME or name[0] == "." or not name.isprintable() or set(name) & set("/\\"):
        yield Fault(("name",), f"1 to {MAX_NAME} printable characters, no slash and no dot first", repr(name))


def _check_labels(algorithms: Sequence[Entry]) -> Iterator[Fault]:
    if not algorithms:
        yield Fault(("algorithms",), "at least one algorithm is needed", "an empty list")
    first: dict[str, int] = {}
    for i, entry in enumerate(algorithms):
        if not entry.label.strip() or not entry.label.isprintable():
            yield Fault(("algorithms", i, "label"), "a label of printable characters", repr(entry.label))
        elif entry.label in first:
            allowed = f"each label once; algorithms[{first[entry.label]}] has this one already"
            yield Fault(("algorithms", i, "label"), allowed, repr(entry.label))
        first.setdefault(entry.label, i)


def _check_topology(problem: Any, network: Network) -> Iterator[Fault]:
    for fault in network.topology.faults(problem.nodes):
        yield Fault(("network", "topology", *fault.path), fault.allowed, fault.got, fault.nearest)


def _check_shape(network: Network, algorithms: Sequence[Entry]) -> Iterator[Fault]:
    for i, algorithm in _each(algorithms):
        is_between = is_between_peers(algorithm)
        has_star = not is_between and hasattr(algorithm, "worker")
        has_peers = is_between and hasattr(algorithm, "peer")
        if network.topology.is_star and not has_star:
            allowed = "topology star needs an algorithm of a server and workers"
            yield Fault(("algorithms", i, "name"), allowed, f"{algorithm.name!r}, which is one between peers")
        if network.topology.aggregators and not hasattr(algorithm, "aggregator"):
            allowed = "aggregators need an algorithm of two tiers"
            yield Fault(("algorithms", i, "name"), allowed, f"{algorithm.name!r}, which has one")
        if not network.topology.is_star and not has_peers:
            allowed = f"topology {network.topology.name} needs an algorithm between peers"
            yield Fault(("algorithms", i, "name"), allowed, f"{algorithm.name!r}, which is one of a server and workers")


def _check_graphs(problem: Any, network: Network, algorithms: Sequence[Entry]) -> Iterator[Fault]:
    topology = network.topology
    if topology.is_star or topology.faults(problem.nodes):
        return
    needs = topology.needs(problem.nodes)
    for i, algorithm in _each(algorithms):
        lacking = [word for word in needs if word not in getattr(algorithm, "graphs", ())]
        if lacking and is_between_peers(algorithm):
            allowed = f"network.topology is {needs[lacking[0]]}, and this algorithm needs one where that is not so"
            yield Fault(("algorithms", i, "name"), allowed, repr(algorithm.name))


_OFF = "network.availability takes nodes off, and what is under way then is lost"


def _check_tolerance(network: Network, algorithms: Sequence[Entry]) -> Iterator[Fault]:
    lossy = [key for key, channel in network.channels.items() if not getattr(channel, "reliable_delivery", True)]
    untold = [key for key in lossy if not getattr(network.channels[key], "tells_failure", False)]
    without = [key for key, channel in network.channels.items() if not getattr(channel, "has_slots", False)]
    for i, algorithm in _each(algorithms):
        if getattr(algorithm, "needs_slots", False) and (without or network.silence != "free"):
            allowed = "silent needs network.silence: free and a link with slots, whose end says that nothing came"
            got = f"network.{without[0]} without slots" if without else f"network.silence: {network.silence}"
            yield Fault(("algorithms", i, "no_update"), allowed, got)
        tolerates: frozenset[str] = getattr(algorithm, "tolerates", frozenset())
        needs: list[str] = []
        if untold and "known_loss" in tolerates:
            allowed = f"network.{untold[0]} can lose messages, and their senders do not learn it"
            allowed += "; an algorithm that keeps no memory of what it sent is needed"
            yield Fault(("algorithms", i, "name"), f"{allowed}{_tolerant('loss', network)}", repr(algorithm.name))
        elif lossy and not tolerates & {"loss", "known_loss"}:
            allowed = f"network.{lossy[0]} can lose messages; an algorithm that tolerates loss is needed"
            named = _tolerant("loss" if untold else "known_loss", network)
            yield Fault(("algorithms", i, "name"), f"{allowed}{named}", repr(algorithm.name))
        elif network.availability is not None and "loss" not in tolerates:
            allowed = f"{_OFF}; an algorithm that tolerates loss is needed{_tolerant('loss', network)}"
            yield Fault(("algorithms", i, "name"), allowed, repr(algorithm.name))
        else:
            needs += [f"network.{key} can lose messages" for key in lossy[:1]]
            needs += [_OFF] if network.availability is not None else []
        if network.silence == "deadline" and "late" not in tolerates:
            allowed = "silence: deadline needs an algorithm that tolerates late messages"
            yield Fault(("algorithms", i, "name"), f"{allowed}{_tolerant('late', network)}", repr(algorithm.name))
        elif network.silence == "deadline":
            needs.append("silence: deadline says nothing of who stays silent")
        if needs and getattr(algorithm, "deadline_s", 0.0) is None:
            yield Fault(("algorithms", i, "deadline_s"), f"a number of seconds, as {' and '.join(needs)}", "nothing")


def _tolerant(what: str, network: Network) -> str:
    """Name the algorithms for such a network that tolerate late messages or losses, as the end of a sentence."""
    enough = {"loss", "known_loss"} if what == "known_loss" else {what}
    made = (
        registry.build("algorithm", {"name": name, **example})
        for name in registry.names("algorithm")
        for example in getattr(registry.get("algorithm", name), "examples", ())
    )
    fitting = (one for one in made if is_between_peers(one) != network.topology.is_star)
    found = dict.fromkeys(one.name for one in fitting if one.tolerates & enough)
    return f", such as {', '.join(found)}" if found else ""


def _check_battery(problem: Any, network: Network) -> Iterator[Fault]:
    battery, path = network.battery, ("network", "battery")
    if battery is None or problem.nodes >= MAX_SENDERS:
        return
    server = problem.nodes if network.topology.is_star else -1
    nodes = battery.nodes_of(range(problem.nodes), server)
    last = max(server, problem.nodes - 1)
    if not nodes:
        yield Fault((*path, "nodes"), "at least one node", "an empty list")
    for i, node in enumerate(nodes):
        if node > last:
            yield Fault((*path, "nodes", i), f"a node of 0 .. {last}", f"{node}")
        elif node in nodes[:i]:
            yield Fault((*path, "nodes", i), "each node once", f"{node}")
    energy_j, key = battery.energy_j, "capacity" if battery.capacity_j is None else "capacity_j"
    if isinstance(energy_j, tuple) and len(energy_j) != len(nodes):
        yield Fault((*path, key), f"a capacity for each of {len(nodes)} nodes", f"{len(energy_j)}")


def _check_availability(problem: Any, network: Network) -> Iterator[Fault]:
    availability = network.availability
    for i, node in enumerate(availability.nodes if availability and isinstance(availability.nodes, tuple) else ()):
        if node >= problem.nodes:
            allowed = f"a node of 0 .. {problem.nodes - 1}, which learn; a server is always on"
            yield Fault(("network", "availability", "nodes", i), allowed, f"{node}")


def _check_nodes(problem: Any, network: Network) -> Iterator[Fault]:
    """Yield faults of the number of nodes: above the header's 24 bits, or unfit for a channel (`node_faults`)."""
    if problem.nodes >= MAX_SENDERS:
        allowed = f"at most {MAX_SENDERS - 1} nodes and a server, as many as the header's 24 bits can name"
        yield Fault(("problem", "nodes"), allowed, f"{problem.nodes}")
    for key, channel in network.channels.items():
        yield from _own_faults(channel, problem.nodes, ("network", key))


def _check_workers(problem: Any, network: Network, algorithms: Sequence[Entry]) -> Iterator[Fault]:
    """Yield faults of algorithms that do not fit the number of workers or aggregators (`node_faults`)."""
    for i, algorithm in _each(algorithms):
        yield from _own_faults(algorithm, network.topology.aggregators or problem.nodes, ("algorithms", i))


def _own_faults(component: Any, nodes: int, where: tuple[str | int, ...]) -> Iterator[Fault]:
    if nodes >= MAX_SENDERS:
        return
    find: Callable[[int], Sequence[Fault]] = getattr(component, "node_faults", lambda _: ())
    for fault in find(nodes):
        yield Fault((*where, *fault.path), fault.allowed, fault.got, fault.nearest)


def _check_captures(network: Network, record: Record) -> Iterator[Fault]:
    for key, channel in network.channels.items() if record.pcap else ():
        if not isinstance(channel, ShowsFrames):
            allowed = (
                f"false, as the channel of network.{key} does not say how its frames look: it has no method `frames`"
            )
            yield Fault(("record", "pcap"), allowed, "True")


def _check_compute(problem: Any, compute: ComputeModel) -> Iterator[Fault]:
    for key, what in {"gradient_s": "time", "flop_per_s": "speed", "power_w": "power", "idle_w": "power"}.items():
        each = getattr(compute, key)
        if isinstance(each, tuple) and len(each) != problem.nodes:
            yield Fault(("compute", key), f"a {what} for each of {problem.nodes} nodes", f"{len(each)}")
    boards = compute.boards.boards if compute.boards is not None else ()
    if isinstance(boards, tuple) and boards and len(boards) != problem.nodes:
        yield Fault(("compute", "devices", "boards"), f"a board for each of {problem.nodes} nodes", f"{len(boards)}")


def _check_stop(stop: Stop) -> Iterator[Fault]:
    if not stop.limits and not stop.target:
        allowed = "at least one of rounds, sim_time_s, uploads, gradients, messages and target is needed"
        yield Fault(("stop",), allowed, "none")


def _check_clock(stop: Stop, compute: ComputeModel, network: Network) -> Iterator[Fault]:
    links = network.channels.values()
    instant = all(getattr(link, "name", "") == "ideal" and not getattr(link, "delay_s", 0.0) for link in links)
    if list(stop.limits) == ["sim_time_s"] and instant and not compute.takes_time:
        allowed = "rounds is needed where neither links nor computing take time"
        yield Fault(("stop", "sim_time_s"), allowed, f"{stop.sim_time_s:g} s alone")
    fixed = compute.gradient_s if isinstance(compute.gradient_s, float) else 0.0
    for key, time_s in {"interval_s": compute.interval_s, "gradient_s": fixed}.items():
        if stop.rounds and stop.sim_time_s is None and stop.rounds * time_s * NS_PER_S > MAX_NS:
            allowed = f"at most {MAX_NS / NS_PER_S / time_s:.4g} rounds of compute.{key}, as the clock ends at 2^62 ns"
            yield Fault(("stop", "rounds"), f"{allowed} (146 years)", f"{stop.rounds}")


def _check_runs(algorithms: Sequence[Entry], replications: int, sweep: Mapping[str, Sequence[Any]]) -> Iterator[Fault]:
    count = len(algorithms) * replications * math.prod(map(len, sweep.values()))
    if count > MAX_RUNS:
        yield Fault(("replications",), f"at most {MAX_RUNS} runs, points x algorithms x replications", f"{count}")


def _check_target(problem: Any, network: Network, algorithms: Sequence[Entry], stop: Stop) -> Iterator[Fault]:
    known = [*getattr(problem, "metric_names", METRICS), *getattr(problem, "joint_metric_names", ())]
    yield from metric_faults(stop, [*known, *more_metrics(network, algorithms)])


def more_metrics(network: Network, algorithms: Sequence[Entry]) -> list[str]:
    """Return metrics beside the problem's: measures of all peers' models, and columns that every algorithm reports."""
    reported = [set(getattr(entry.algorithm, "reports", ())) for entry in algorithms]
    return [*(() if network.topology.is_star else MEASURES), *sorted(set.intersection(*reported) if reported else ())]


def metric_faults(stop: Stop, known: Sequence[str]) -> Iterator[Fault]:
    """Find target metrics that are not among those known."""
    if "accuracy" not in known:
        known = [metric for metric in known if metric != "worst_accuracy"]
    for metric in stop.target:
        if metric not in known:
            allowed = f"no metric of this problem; there are {', '.join(known)}"
            yield Fault(("stop", "target", metric), allowed, repr(metric), nearest_name(metric, known))


def start_metrics(problem: Problem, targets: Collection[str]) -> dict[str, float]:
    """Return what a problem's metrics are at its start, as far as they are targets; F - F* where it has an optimum."""
    if not targets or not hasattr(problem, "start"):
        return {}
    found = dict(problem.metrics(problem.start()))
    if "train_accuracy" in found:
        found["accuracy"] = found["train_accuracy"]
    if "loss_gap" in targets and isinstance(problem, HasOptimum) and (best := problem.optimum()) is not None:
        found["loss_gap"] = found["loss"] - best.value
    return {metric: value for metric, value in found.items() if metric in targets}


def start_faults(stop: Stop, at_start: Mapping[str, float]) -> Iterator[Fault]:
    """Find targets that are met before anything is done."""
    for metric, goal in stop.target.items():
        value = at_start.get(metric, math.nan)
        if meets(metric, value, goal):
            allowed = f"a target {'above' if rises(metric) else 'below'} {value:.6g}, which is met at the start already"
            yield Fault(("stop", "target", metric), allowed, f"{goal:g}")


def problem_faults(problem: Problem, algorithms: Sequence[Entry]) -> Iterator[Fault]:
    """Find algorithms that need what this problem lacks, or ask for more than it has."""
    for i, algorithm in _each(algorithms):
        yield from _entry_faults(algorithm, problem, ("algorithms", i))
        yield from _step_faults(problem, algorithm, ("algorithms", i))
    if not isinstance(problem, HasSmoothness):
        for i, algorithm in _each(algorithms):
            if getattr(algorithm, "step_size", None) == "auto":
                allowed = (
                    "a number or a step rule, as the smoothness of this problem is not known; netsim run --find-step "
                    "searches one"
                )
                yield Fault(("algorithms", i, "step_size"), allowed, "auto")


def optimum_faults(problem: Problem) -> Iterator[Fault]:
    """Find a minimum that cannot be computed, where so little curvature makes that possible."""
    if not isinstance(problem, HasOptimum) or not isinstance(problem, HasSmoothness):
        return
    if 0.0 < problem.strong_convexity() < FLAT * problem.smoothness():
        try:
            problem.optimum()
        except SimulationError as error:
            yield Fault(("problem",), str(error).rstrip("."))


def _entry_faults(component: Any, problem: Problem, path: tuple[str | int, ...]) -> Iterator[Fault]:
    """Find numbers of coordinates above d, in a component or those inside: keys that it names in `counts_entries`."""
    for key in getattr(component, "counts_entries", ()):
        value = getattr(component, key)
        if isinstance(value, int | float) and value > problem.dim:
            yield Fault((*path, key), f"at most d, the coordinates of a model, {problem.dim} here", f"{value:g}")
    for field in dataclasses.fields(component):
        inner = getattr(component, field.name)
        if dataclasses.is_dataclass(inner):
            yield from _entry_faults(inner, problem, (*path, field.name))


def _step_faults(problem: Problem, algorithm: Any, path: tuple[str | int, ...]) -> Iterator[Fault]:
    """Find more local steps in a round than `MAX_STEPS`, or than `MAX_PASSES` times a node's samples in minibatches."""
    steps = getattr(algorithm, "local_steps", None)
    if steps is None:
        return
    if steps > MAX_STEPS:
        yield Fault((*path, "local_steps"), f"at most {MAX_STEPS} steps in a round", f"{steps}")
        return
    if not isinstance(problem, HasBatches):
        return
    for node in range(problem.num_nodes):
        batch, samples = problem.batch_size(node), problem.num_samples(node)
        if batch < samples and steps * batch > MAX_PASSES * samples:
            most = MAX_PASSES * samples // batch
            allowed = f"at most {most}, in which node {node} draws as many as {MAX_PASSES} times its {samples} samples"
            yield Fault((*path, "local_steps"), allowed, f"{steps}")
            return


def _check_vary(vary: str | Sequence[str]) -> Iterator[Fault]:
    if not vary:
        yield Fault(("vary",), f"all, or a list of at least one of {', '.join(VARIED)}", "an empty list")
    for i, what in enumerate(vary if not isinstance(vary, str) else ()):
        if what in vary[:i]:
            yield Fault(("vary", i), "each once", what)


def _check_claims(algorithms: Sequence[Entry], claims: Sequence[Claim]) -> Iterator[Fault]:
    labels = [entry.label for entry in algorithms]
    for i, claim in enumerate(claims):
        for key in ("label", "against") if claim.against else ("label",):
            label = getattr(claim, key)
            if label not in labels:
                allowed = f"no algorithm has this label; there are {', '.join(labels)}"
                yield Fault(("claims", i, key), allowed, repr(label), nearest_name(label, labels))


@functools.cache
def _checks() -> Mapping[Callable[..., Iterator[Fault]], Sequence[str]]:
    """Return the checks and the parts that each takes."""
    found = [check for name, check in globals().items() if name.startswith("_check_")]
    return {check: tuple(inspect.signature(check).parameters) for check in found}


def _each(algorithms: Sequence[Entry]) -> Iterator[tuple[int, Any]]:
    return ((i, entry.algorithm) for i, entry in enumerate(algorithms) if entry.algorithm is not None)
