"""A channel without learning: what delivery, latency, airtime and energy a pattern of messages meets there.

A message of the probe is a message of the medium: no header is added unless asked for.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from netsim import text
from netsim.errors import SimulationError
from netsim.interfaces import STATES, Delivery, FrameSink, Medium, Node
from netsim.rng import stream
from netsim.scenario.parsing import build_component, dump
from netsim.tools.traffic import Offer, Traffic
from netsim.units import NS_PER_S

Floats = npt.NDArray[np.float64]

QUANTILES = (50, 95, 99)
RESAMPLES = 200
QUIET_NS = NS_PER_S  # acknowledgements and gaps behind the last delivery are over after a second
STALLED_EVENTS = 1_000_000
ROUNDING = 1e-12  # a smaller relative error is that of the arithmetic

# Counters of a contending MAC, per frame.
COUNTED = ("delivered", "acked", "no_ack", "caf", "dup", "tx")
# Means over messages or replications; each has a column of its standard error behind it.
METRICS = (
    "delivery", "latency_mean_s", *(f"latency_p{q}_s" for q in QUANTILES), "service_s", "makespan_s", "quiet_s",
    "goodput_bps", "airtime_s", "attempts", "packets", "wire_bytes", "message_j", "sender_j", "server_j", "bit_j",
    *(f"{who}_{state}_s" for who in ("sender", "server") for state in STATES),
    "done_s", *(f"frame_{name}" for name in COUNTED), "frame_service_s", "frame_sojourn_s", "cca_busy", "cca2_busy",
)  # fmt: skip
FACTS = ("channel", "pattern", "nodes", "message_bytes", "rate", "replications", "messages")
COLUMNS = (*FACTS, *itertools.chain.from_iterable((name, f"{name}_se") for name in METRICS))


@dataclass(frozen=True, eq=False)
class Sample:
    """What one replication came to.

    Parameters
    ----------
    sums
        Name to number: sums over messages, and times and joules of the whole.
    latencies_s
        From submit to the last byte, of every message (and destination) that arrived.
    """

    sums: dict[str, float]
    latencies_s: Floats


@dataclass(frozen=True, eq=False)
class Point:
    """One grid point: its traffic, and the means and standard errors over replications."""

    channel: str
    traffic: Traffic
    replications: int
    values: dict[str, tuple[float, float]]
    latencies_s: Floats = field(repr=False)
    messages: int = 0

    def row(self) -> dict[str, str]:
        """Return the point's row of the CSV."""
        traffic = self.traffic
        rate = "" if traffic.pattern in ("burst", "trace") else f"{traffic.rate:.9g}"
        size = "" if traffic.pattern == "trace" else str(traffic.size_bytes)
        facts = (self.channel, traffic.pattern, str(traffic.nodes), size, rate, str(self.replications))
        out = dict(zip(FACTS, (*facts, str(self.messages)), strict=True))
        for name, (mean, error) in self.values.items():
            out |= {name: _text(mean), f"{name}_se": _text(error)}
        return out


def replicate(medium: Medium, nodes: Sequence[Node], offers: Sequence[Offer]) -> Sample:
    """Offer the messages to a fresh medium and follow it until all have ended and the air is quiet; see `follow`.

    Parameters
    ----------
    medium
        At time 0.
    nodes
        Its nodes, the server last.
    offers
        By time, then sender.

    Raises
    ------
    SimulationError
        If the medium never says when the next message ends.
    """
    started, ended, now_ns = follow(medium, offers)
    last_ns = max((d.at_ns for d in ended), default=0)
    quiet_ns = _quiet_ns(medium, max(last_ns, now_ns))
    return _sample(medium, nodes, started, ended, last_ns, quiet_ns)


def follow(medium: Medium, offers: Sequence[Offer]) -> tuple[dict[int, Offer], list[Delivery], int]:
    """Offer the messages; return each by its transfer, their ends, and when the last one was noticed."""
    started: dict[int, Offer] = {}
    ended: list[Delivery] = []
    expected = sum(len(offer.dst) for offer in offers)
    position, now_ns, idle = 0, 0, 0
    while len(ended) < expected:
        times = [t for t in (medium.next_event_ns(),) if t is not None]
        if position < len(offers):
            times.append(offers[position].at_ns)
        if not times or idle > STALLED_EVENTS:
            raise SimulationError(f"the medium stalled: {expected - len(ended)} of {expected} deliveries never end")
        now_ns = max(min(times), now_ns)
        arrived = medium.advance(now_ns)
        ended += arrived
        begin = position
        while position < len(offers) and offers[position].at_ns == now_ns:
            offer = offers[position]
            started[medium.submit(now_ns, offer.src, offer.dst, offer.size_bytes)] = offer
            position += 1
        idle = 0 if arrived or position > begin else idle + 1
    return started, ended, now_ns


def _quiet_ns(medium: Medium, since_ns: int) -> int:
    """Return when the last acknowledgement has ended: from then on no interface sends."""
    tx = STATES.index("tx")
    whole_ns = medium.usage(since_ns + QUIET_NS).state_ns[:, tx]
    now_ns = since_ns
    # An interface that has this much left to send cannot finish earlier.
    while left_ns := int((whole_ns - medium.usage(now_ns).state_ns[:, tx]).max(initial=0)):
        now_ns += left_ns
    return now_ns


def _sample(
    medium: Medium, nodes: Sequence[Node], started: dict[int, Offer], ended: Sequence[Delivery], last_ns: int,
    quiet_ns: int,
) -> Sample:  # fmt: skip
    ok = [d for d in ended if d.ok]
    latencies_s = np.array([(d.at_ns - started[d.transfer].at_ns) / NS_PER_S for d in ok], np.float64)
    medium.advance(quiet_ns)
    usage = medium.usage(quiet_ns)
    server = nodes[-1].id
    is_server = np.array([node == server for node, _ in usage.interfaces])
    senders = max(len(nodes) - 1, 1)
    sums = {
        "destinations": float(len(ended)), "messages": float(len(started)), "delivered": float(len(ok)),
        "delivered_bit": 8.0 * sum(d.size_bytes for d in ok), "latency_s": float(latencies_s.sum()),
        "service_s": math.fsum(d.service_s for d in ok), "message_j": math.fsum(d.energy_j for d in ok),
        "attempts": float(sum(d.attempts for d in ended)), "packets": float(sum(d.packets for d in ended)),
        "wire_bytes": float(sum(d.wire_bytes for d in ended)), "makespan_s": last_ns / NS_PER_S,
        "airtime_s": sum(d.airtime_ns for d in ended) / NS_PER_S, "quiet_s": quiet_ns / NS_PER_S,
        "sender_j": float(usage.energy_j[~is_server].sum()) / senders, "all_j": float(usage.energy_j.sum()),
        "server_j": float(usage.energy_j[is_server].sum()),
    }  # fmt: skip
    for i, state in enumerate(STATES):
        sums[f"sender_{state}_s"] = int(usage.state_ns[~is_server, i].sum()) / NS_PER_S / senders
        sums[f"server_{state}_s"] = int(usage.state_ns[is_server, i].sum()) / NS_PER_S
    return Sample(sums | _counted(medium, quiet_ns), latencies_s)


def _counted(medium: Medium, quiet_ns: int) -> dict[str, float]:
    """Return the counters of a MAC that contends; empty for others."""
    if not hasattr(medium, "counters"):
        return {}
    # The last frames may be given up after the last one that was sent.
    medium.advance(quiet_ns + QUIET_NS)
    counters = medium.counters()
    sums = {f"mac_{name}": float(counters[name].sum()) for name in (*COUNTED, "frames", "cca", "busy", "cca2", "busy2")}
    sums |= {f"mac_{name}_s": int(counters[f"{name}_ns"].sum()) / NS_PER_S for name in ("service", "sojourn")}
    return sums | {"done_s": int(counters["last_end_ns"].max()) / NS_PER_S}


# --- from replications to a grid point --------------------------------------------------------------


def summarise(channel: str, traffic: Traffic, samples: Sequence[Sample], seed: int = 0) -> Point:
    """Return means with standard errors over replications.

    A mean over messages is a ratio of sums, with the standard error of a ratio estimate; quantiles are those of all
    latencies together, with a bootstrap over whole replications.
    """
    columns = {name: np.array([s.sums[name] for s in samples]) for name in samples[0].sums}
    ones = np.ones(len(samples))

    def per(top: str, bottom: str = "") -> tuple[float, float]:
        if top not in columns:
            return math.nan, math.nan
        return ratio(columns[top], columns[bottom] if bottom else ones)

    values = {"delivery": per("delivered", "destinations"), "latency_mean_s": per("latency_s", "delivered")}
    for q, pair in zip(QUANTILES, quantiles([s.latencies_s for s in samples], seed), strict=True):
        values[f"latency_p{q}_s"] = pair
    values |= {name: per(name, "delivered") for name in ("service_s", "message_j")}
    values |= {name: per(name, "messages") for name in ("airtime_s", "attempts", "packets", "wire_bytes")}
    values |= {"goodput_bps": per("delivered_bit", "makespan_s"), "bit_j": per("all_j", "delivered_bit")}
    values |= {f"frame_{name}": per(f"mac_{name}", "mac_frames") for name in COUNTED}
    values |= {f"frame_{name}_s": per(f"mac_{name}_s", "mac_acked") for name in ("service", "sojourn")}
    values |= {"cca_busy": per("mac_busy", "mac_cca"), "cca2_busy": per("mac_busy2", "mac_cca2")}
    values |= {name: per(name) for name in METRICS if name not in values}
    pooled = np.sort(np.concatenate([s.latencies_s for s in samples]))
    messages = int(columns["messages"].sum())
    return Point(channel, traffic, len(samples), {n: values[n] for n in METRICS}, pooled, messages)


def ratio(top: Floats, bottom: Floats) -> tuple[float, float]:
    """Return sum(top) / sum(bottom) over replications and its standard error; NaN where there is none.

    Examples
    --------
    >>> ratio(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    (2.0, 1.0)
    """
    k, whole = top.size, float(bottom.sum())
    if not whole > 0.0:
        return math.nan, math.nan
    mean = float(top.sum()) / whole
    if k < 2:
        return mean, math.nan
    rest = top - mean * bottom
    error = math.sqrt(float(rest @ rest) / (k * (k - 1))) / (whole / k)
    return mean, error if error > ROUNDING * abs(mean) else 0.0


def quantiles(latencies_s: Sequence[Floats], seed: int) -> list[tuple[float, float]]:
    """Return nearest-rank quantiles of all values together, and their standard errors by bootstrapping replications."""
    values = np.concatenate(latencies_s)
    if not values.size:
        return [(math.nan, math.nan)] * len(QUANTILES)
    order = np.argsort(values, kind="stable")
    owner = np.repeat(np.arange(len(latencies_s)), [v.size for v in latencies_s])[order]
    values = values[order]
    exact = _ranked(values, np.ones(values.size))
    if len(latencies_s) < 2:
        return [(value, math.nan) for value in exact]
    rng, k = stream(seed, 0, -1, "bootstrap"), len(latencies_s)
    draws = [_ranked(values, np.bincount(rng.integers(k, size=k), minlength=k)[owner]) for _ in range(RESAMPLES)]
    errors = np.nanstd(np.array(draws), axis=0, ddof=1).tolist()
    return [(v, error if error > ROUNDING * abs(v) else 0.0) for v, error in zip(exact, errors, strict=True)]


def _ranked(values: Floats, weights: npt.NDArray[Any]) -> list[float]:
    reached = np.cumsum(weights)
    if not reached[-1] > 0:
        return [math.nan] * len(QUANTILES)
    places = [int(np.searchsorted(reached, q / 100 * reached[-1] - 1e-9)) for q in QUANTILES]
    return [float(values[place]) for place in places]


# --- the grid -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """One replication, as another process can do it."""

    channel: dict[str, Any]
    nodes: tuple[Node, ...]
    traffic: Traffic
    seed: int
    replication: int

    def opened(self, frames: FrameSink | None = None) -> Medium:
        """Open the channel; `frames` gets every frame."""
        channel = _channel(json.dumps(self.channel))
        medium: Medium = channel.open(self.nodes, stream(self.seed, self.replication, 0, "channel"), frames=frames)
        return medium

    def offers(self) -> list[Offer]:
        """Return the messages."""
        return self.traffic.schedule(self.seed, self.replication)


def do(task: Task) -> Sample:
    """Open the channel and run the traffic of one replication."""
    return replicate(task.opened(), task.nodes, task.offers())


@lru_cache(maxsize=16)
def _channel(config: str) -> Any:
    return build_component("channel", json.loads(config))


def run(
    setup: Any,
    grid: Sequence[Traffic],
    replications: int,
    seed: int = 0,
    jobs: int = 1,
    plugins: Sequence[str] = (),
    tell: Callable[[int, int, Point | None], None] | None = None,
) -> list[Point]:
    """Simulate every grid point, each with its replications; the result does not depend on `jobs`.

    Parameters
    ----------
    setup
        A `netsim.tools.probe_setup.Setup`.
    replications
        Of each point, >= 1.
    jobs
        Processes; 0: one per core.
    plugins
        Files of components, loaded already.
    tell
        Called with (replications done, of how many, a point that is complete now or None).

    Raises
    ------
    ConfigError
        If positions do not fit the number of nodes.
    SimulationError
        If a medium stalls.
    """
    from netsim.study import children

    config = dump(setup.channel)
    places = [tuple(setup.nodes(traffic.nodes)) for traffic in grid]
    tasks = [Task(config, places[i], t, seed, r) for i, t in enumerate(grid) for r in range(replications)]
    found: dict[int, dict[int, Sample]] = {i: {} for i in range(len(grid))}
    points: dict[int, Point] = {}
    for done, (index, sample) in enumerate(children.each("netsim.tools.probe:do", tasks, jobs, plugins), 1):
        i, r = divmod(index, replications)
        found[i][r] = sample
        complete = None
        if len(found[i]) == replications:
            samples = found.pop(i)
            complete = points[i] = summarise(setup.name, grid[i], [samples[r] for r in range(replications)], seed)
        if tell:
            tell(done, len(tasks), complete)
    return [points[i] for i in range(len(grid))]


def to_csv(points: Sequence[Point]) -> str:
    """Return a row per point, with the columns of `COLUMNS`."""
    return text.to_csv([COLUMNS, *([row.get(name, "") for name in COLUMNS] for row in map(Point.row, points))])


def _text(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.9g}"
