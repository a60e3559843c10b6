"""Nodes far apart: unequal rates, round trips, TCP, shared server ports, slow nodes and outages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path as File
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from channels.energy.ethernet import Ethernet
from channels.media.background import Background
from channels.media.flows.flows import Flows
from channels.media.flows.links import Links, Regions, Rtt
from channels.media.flows.lone import LoneFlows
from channels.media.flows.path import Transport
from channels.media.flows.rates import LinkRate, Outages, Probability, RateBps, RateChoice, Step, Stragglers
from channels.media.flows.tables import located, read_trace
from channels.media.flows.tcp import GROWTH, MAX_LOSS, OVERHEAD_BYTES, SEGMENT_BYTES
from channels.media.roster import Members
from channels.media.wires.frames import Datagrams
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, NonNegativeInt, Range, Ref
from netsim.interfaces import FrameSink, Medium, Node, PowerProfile
from netsim.registry import component
from netsim.units import seconds_to_ns

_LENA_RATES = RateChoice((1e6, 5e6, 10e6, 100e6, 1000e6), (0.2, 0.2, 0.2, 0.2, 0.2))
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "kista_lund": {"rate_bps": 1e9, "rtt_s": 0.005, "transport": "tcp", "congestion": "cubic"},
    "wan_270ms": {"rate_bps": _LENA_RATES, "rtt_s": 0.54, "transport": "plain"},
    "cluster_2us": {"rate_bps": 10e9, "rtt_s": 4e-6, "transport": "plain"},
}
HANDSHAKES: Mapping[bool | str, Literal["every", "first", "none"]] = {
    True: "every", "per_connection": "first", False: "none",
}  # fmt: skip
_DEFAULTS: Mapping[str, Any] = {
    "rtt_s": 0.0, "transport": "tcp", "congestion": "newreno", "handshake": "per_connection",
}  # fmt: skip


@component("channel")
@dataclass(frozen=True)
class Wan:
    """Every node has a link up and a link down, the server a port in each direction; messages are flows through them.

    A message from a to b crosses a's link up and b's link down. All that crosses a link at one time shares it by
    max-min fairness: nobody can have more without taking from one that has no more. Rates change when a flow begins or
    ends, or a link does, and nothing is drawn out between those instants. Its last bit is there one way, RTT / 2, after
    it left.

    TCP (``transport: tcp``): n = ceil(M / 1448) segments of 54 bytes more; SYN and SYN-ACK before the first message
    between two nodes; then bursts of floor(w) segments, w = 10 at first and times 1.5 (NewReno with delayed
    acknowledgements) or 2 (Cubic) each round. A burst leaves when the one before is gone and a round trip (RTT + one
    segment's time on the free path) is over since that one began. Alone this is the closed form of
    `channels.media.flows.tcp.transfer_s`. A connection that stays keeps the window of each direction for the next
    message. It is halved, down to 10, for every RTT + `min_rto_s` without a segment, and does not grow by a burst that
    leaves half of it unused. Under `loss` each transfer draws which segments are lost. With a segment behind it a lost
    one is sent again in the next round, whose window is half of the one before (Cubic: 0.7) and then grows by half a
    segment a round; otherwise, or if it is lost again, the sender waits for a round trip and `min_rto_s`, twice as long
    each time, and begins with one segment. A lost SYN costs 1 s, then 2, 4, ...
    ``plain`` sends M bytes at the rate; there a message of which a segment is lost is lost.

    Parameters
    ----------
    preset
        Fills keys that are not given. ``kista_lund``: 1 Gbit/s, 500 km (RTT 5 ms), TCP on connections that stay, as
        in the paper's experiment over ZMQ. ``wan_270ms``: {1, 5, 10, 100, 1000} Mbit/s with equal probability and
        270 ms one way; ``cluster_2us``: 2 us one way, at 10 Gbit/s (the rate is ours): both plain, the figures that
        the LENA paper quotes for uploads of a few bytes.
    rate_bps
        Of each node's link up, and down unless `down_bps` says otherwise: one for all, a list with one per node (the
        server left out), or ``{values_bps: [...], probabilities: [...]}``, drawn per node and medium.
    down_bps
        Of each node's link down: one for all, or a list.
    server_bps
        Of the server's port in each direction; None: never a bottleneck.
    rtt_s
        Round trip of every pair, or a list of each node's to the server: between two nodes half of each.
    table
        Regions with measured round trips and rates. A measured rate belongs to the ordered pair; with it `rate_bps` may
        be left out.
    trace
        Rates over time in place of `rate_bps`, the last one for ever: a list of ``{from_s, rate_bps}``, or a CSV file
        ``time_s, rate_bps[, node]``.
    jitter_s
        A message is late by a uniform time up to this; it may overtake.
    loss
        Of a segment; with tcp at most 0.05.
    transport, congestion
        See above.
    handshake
        ``per_connection``: connections stay, and the first message between two nodes, in either direction, makes theirs
        (again after one of them was down); true: each message makes one; false: they stand from the start.
    min_rto_s
        Of tcp: what a timeout takes beyond a round trip; Linux has 0.2 s, ns-3 1 s.
    sharing
        ``max_min``, or ``fifo``, with `server_bps` and rates that do not change: links serve first come, first served,
        as a fluid. ``plain``: each node sends one message after the other, and links down have `queue_bytes` of buffer.
        Bits that find it full are lost, of all that are sending at the time, and a message that lost any ends ok False
        when its last bit has passed. ``tcp``: the bursts of all messages queue at the sender's link and at the
        receiver's, whole. A window that fills the path alone does not grow, so long messages take turns by such
        windows: over many of them that is a fair share, within one it is first come, first served. A burst's round
        trip counts from when its first bit leaves the queue. With either, SYN and SYN-ACK (40 to 60 bytes each, here
        54) take their time on a free path and nobody else's: they stand in no queue and count in no bytes, so where
        many connections are made at once a port is up to 60 bytes a handshake and direction less busy than a real one.
        None: ``fifo`` for tcp where it is possible (a message within the first window, as many are, crosses a
        bottleneck behind those that came before it), otherwise ``max_min``.
    background
        Share of every link and port that other traffic takes, 0 <= share < 1; or ``{rate_hz, mean_bytes, sizes, at}``:
        messages of others, ``exponential`` or ``fixed`` in size, that arrive as a Poisson process at the ``server``'s
        port in each direction or at every link of the other ``nodes``, and share it as the nodes' own messages do. With
        ``fifo`` they come to the server's port in alone, each at once with all its bits. A message of the nodes' own
        then waits as in M/M/1 (``exponential``) or M/D/1 (``fixed``); with ``max_min`` it takes 1 / (1 - load) times as
        long on the mean, whatever the sizes, where that port alone limits it.
    stragglers
        ``{probability, factor}``: nodes that are slow for a whole replication.
    outages
        ``{mean_up_s, mean_down_s}``: times in which a node's links stand still. What is under way waits and goes on.
    power
        Of a node's interface out and interface in.

    Notes
    -----
    Scope and limits: acknowledgements take no bytes and no rate (54 bytes for two segments), and none is lost; further
    losses of one round are repaired with the first; no tail loss probes; what is sent again is the last segment of the
    burst in place of the lost one; the messages from one node to another go one after the other. In slow start Linux
    doubles Reno's window, too, as it counts what is acknowledged and not the acknowledgements. Costs under loss are
    approximate means, by Cardwell up to the first loss and from there on by Mathis and timeouts, up to 1.6 times too
    long where the window of the first loss is far above the law's (5 MB at p = 0.001). Interfaces are ``tx`` and ``rx``
    while a burst is on the link, without the propagation between them. Costs are those of a lone message, with TCP the
    first one of its connection: with a trace, outages or others' messages at the mean rate, with ``fifo`` behind the
    mean that waits; jitter counts half. Others' messages count in no node's bytes and frames; each costs the simulation
    a step, also while nobody learns.

    Validation: TCP without loss against ns-3.44: NewReno within 2 %, Cubic within 5 % but for 100 kB (70 = 10 + 20 + 40
    segments exactly, where ns-3 is a segment short of a round: up to 28 %); with loss, means of 40 transfers of 5 MB
    are within 9 % of means of 400 by ns-3, at p = 0.001 and 0.01. Rounds of three workers through the sockets of Linux
    (Reno): within 1 % without loss, means within 3 % at a loss of 1 % (`make validation`). Max-min fairness against
    SimGrid 4.1 to a nanosecond, for one and five clients of 1 Mbit/s to 1 Gbit/s and a server link of 1 Gbit/s (and
    with values for its flow models CM02 and LV08, which are no keys). Others' messages: the mean wait of M/M/1 and
    M/D/1 (``fifo``) and the mean time of M/G/1 with processor sharing (``max_min``).

    References
    ----------
    N. Cardwell, S. Savage, T. Anderson, "Modeling TCP latency", INFOCOM 2000. M. Mathis, J. Semke, J. Mahdavi, T. Ott,
    "The macroscopic behavior of the TCP congestion avoidance algorithm", CCR 27(3), 1997. RFC 6928,
    5681, 6298, 2861, 8985.

    Examples
    --------
    >>> import numpy as np
    >>> from netsim.interfaces import Node
    >>> wan = Wan(rate_bps=10e6, rtt_s=0.1, transport="plain")
    >>> medium = wan.open([Node(0), Node(1, is_server=True)], np.random.default_rng(0))
    >>> medium.submit(0, 0, (1,), 10_000)
    0
    >>> medium.next_event_ns()
    58000000
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"rate_bps": 10e6, "rtt_s": 0.05},
        {"preset": "kista_lund", "server_bps": 1.5e9},
        {"preset": "wan_270ms", "jitter_s": 0.1, "stragglers": {"probability": 0.3}},
        {"preset": "cluster_2us"},
        {"trace": [{"from_s": 0, "rate_bps": 10e6}, {"from_s": 0.05, "rate_bps": 1e6}], "transport": "plain"},
        {"rate_bps": [1e6, 2e6, 5e6, 10e6], "down_bps": 20e6, "server_bps": 8e6, "transport": "plain",
         "rtt_s": [0.01, 0.02, 0.03, 0.04], "loss": 0.02, "background": 0.2},
        {"table": {"path": str(File(__file__).with_name("wan_example.csv"))}, "congestion": "cubic", "loss": 0.01},
        {"trace": str(File(__file__).with_name("wan_trace_example.csv")), "rtt_s": 0.02, "server_bps": 30e6,
         "outages": {"mean_up_s": 0.1, "mean_down_s": 0.02}, "power": {"name": "ethernet", "idle_w": 0.05}},
        {"rate_bps": 3e6, "server_bps": 7e6, "transport": "plain", "sharing": "fifo", "queue_bytes": 4000},
        {"rate_bps": 10e6, "rtt_s": 0.02, "server_bps": 15e6, "background": {"rate_hz": 100, "mean_bytes": "12 kB"}},
        {"rate_bps": 4e6, "transport": "plain", "rtt_s": 0.01, "stragglers": {"probability": 0.3, "factor": 2},
         "background": {"rate_hz": 20, "mean_bytes": "5 kB", "sizes": "fixed", "at": "nodes"}},
        {"rate_bps": 20e6, "server_bps": 5e6, "transport": "plain", "sharing": "fifo", "queue_bytes": 20_000,
         "background": {"rate_hz": 300, "mean_bytes": 1500}},
    )  # fmt: skip
    frames: ClassVar[type[Datagrams]] = Datagrams

    preset: Literal["kista_lund", "wan_270ms", "cluster_2us"] | None = None
    rate_bps: RateBps | tuple[RateBps, ...] | RateChoice | None = None
    down_bps: RateBps | tuple[RateBps, ...] | None = None
    server_bps: RateBps | None = None
    rtt_s: Rtt | tuple[Rtt, ...] | None = None
    table: Regions | None = None
    trace: str | tuple[Step, ...] | None = None
    jitter_s: NonNegativeFloat = 0.0
    loss: Probability = 0.0
    transport: Literal["tcp", "plain"] | None = None
    congestion: Literal["newreno", "cubic"] | None = None
    handshake: bool | Literal["per_connection"] | None = None
    min_rto_s: Annotated[float, Range(gt=0, le=60)] = 0.2
    sharing: Literal["max_min", "fifo"] | None = None
    queue_bytes: NonNegativeInt | None = None
    background: Annotated[float, Range(ge=0, lt=1)] | Background = 0.0
    stragglers: Stragglers | None = None
    outages: Outages | None = None
    power: Annotated[PowerProfile, Ref("energy")] = field(default_factory=Ethernet)
    _steps: Mapping[str, tuple[tuple[float, float], ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._fill()
        faults = list(self._faults())
        steps: Mapping[str, tuple[tuple[float, float], ...]] = {}
        if isinstance(self.trace, str) and self.rate_bps is None:
            try:
                steps = read_trace(self.trace)
            except ConfigError as error:
                faults += [Fault(("trace",), f.allowed, f.got, f.nearest) for f in error.faults]
        elif self.trace is not None and not isinstance(self.trace, str):
            steps = {"": tuple((step.from_s, step.rate_bps) for step in self.trace)}
            times, rates = [step.from_s for step in self.trace], [step.rate_bps for step in self.trace]
            if not times or times[0] != 0 or any(a >= b for a, b in pairwise(times)):
                faults.append(
                    Fault(("trace",), "steps from 0 on, at times that rise", ", ".join(map(str, times)) or "none")
                )
            elif not rates[-1]:
                faults.append(Fault(("trace",), "a last rate above 0", "0"))
        object.__setattr__(self, "_steps", steps)
        if not faults and isinstance(self.background, Background):
            faults += self._background_faults(self.background)
        if faults:
            raise ConfigError(faults)

    @property
    def reliable_delivery(self) -> bool:
        """False where a transfer can end with ok False: plain messages under loss, and queues that end."""
        return not (self.transport == "plain" and (self.loss > 0 or self.queue_bytes is not None))

    def files(self) -> list[File]:
        """Return the file of a trace; a table names its own."""
        return [located(self.trace)] if isinstance(self.trace, str) else []

    def _fill(self) -> None:
        known = dict(PRESETS[self.preset]) if self.preset else {}
        if self.trace is not None or (self.table is not None and self.table.has_rates):
            known.pop("rate_bps", None)
        if self.table is not None:
            known.pop("rtt_s", None)
        for key, value in {**_DEFAULTS, **known}.items():
            if getattr(self, key) is None and not (key == "rtt_s" and self.table is not None):
                object.__setattr__(self, key, value)
        if self.sharing is None:
            is_steady = self.trace is None and self.outages is None and self.table is None and not self.background
            can_queue = self.transport == "tcp" and self.server_bps is not None and is_steady
            object.__setattr__(self, "sharing", "fifo" if can_queue else "max_min")

    def _faults(self) -> list[Fault]:
        out = list[Fault]()
        has_pairs = self.table is not None and self.table.has_rates
        sources = [self.rate_bps is not None, self.trace is not None, has_pairs]
        if sum(sources[:2]) > 1:
            out.append(Fault(("trace",), "either rate_bps or a trace", "both"))
        elif not any(sources):
            got = "a table without rates" if self.table is not None else "nothing"
            out.append(Fault(("rate_bps",), "rate_bps, a trace, a preset, or a table with rates", got))
        if self.table is not None and self.rtt_s is not None:
            out.append(Fault(("rtt_s",), "either rtt_s or a table, which has the round trips", "both"))
        if self.loss > MAX_LOSS and self.transport == "tcp":
            allowed = f"with transport tcp at most {MAX_LOSS:g}"
            out.append(Fault(("loss",), allowed, f"{self.loss:g}"))
        elif self.loss >= 1:
            out.append(Fault(("loss",), "a probability below 1", f"{self.loss:g}"))
        if self.queue_bytes is not None and (self.sharing != "fifo" or self.transport != "plain"):
            allowed = "with sharing: fifo and transport: plain only; what shares fairly has no queue, tcp loses by loss"
            out.append(Fault(("queue_bytes",), allowed, f"sharing: {self.sharing}, transport: {self.transport}"))
        if self.sharing == "fifo":
            reasons = {
                "server_bps is needed": self.server_bps is None,
                "rates of nodes are needed, not of pairs": has_pairs and not any(sources[:2]),
                "rates that do not change are needed, no trace": self.trace is not None,
                "rates that do not change are needed, no outages": self.outages is not None,
            }
            out += [Fault(("sharing",), f"for fifo {reason}", "fifo") for reason, holds in reasons.items() if holds]
        return out

    def _background_faults(self, background: Background) -> list[Fault]:
        if background.at == "server":
            allowed, rates = "for at: server server_bps is needed", [self.server_bps] if self.server_bps else []
        elif self.sharing == "fifo":
            return [Fault(("background", "at"), "with sharing: fifo the server's port alone", background.at)]
        else:
            allowed, rates = "for at: nodes rate_bps or a trace is needed", self._slowest_bps()
        if not rates:
            return [Fault(("background", "at"), allowed, background.at)]
        return background.load_faults(min(rates))

    def _slowest_bps(self) -> list[float]:
        """Return the rates that a node's link may have for long, slow nodes and outages counted."""
        rates = list[float]()
        for given in (self.rate_bps, self.down_bps):
            if isinstance(given, RateChoice):
                rates += [rate for rate, p in zip(given.values_bps, given.probabilities, strict=True) if p]
            elif given is not None:
                rates += given if isinstance(given, tuple) else [given]
        for steps in self._steps.values():
            rates += [steps[-1][1], LinkRate(steps).mean_bps]
        scale = self.outages.availability if self.outages else 1.0
        if self.stragglers and self.stragglers.probability:
            scale /= self.stragglers.factor
        return [rate * scale for rate in rates]

    def node_faults(self, nodes: int) -> list[Fault]:
        """Return what does not fit that many nodes, the server not counted."""
        lists: dict[tuple[str, ...], Any] = {(key,): getattr(self, key) for key in ("rate_bps", "down_bps", "rtt_s")}
        if self.table is not None and self.table.regions:
            lists["table", "regions"] = self.table.regions
        faults = [
            Fault(path, f"a value for each of {nodes} nodes", str(len(given)))
            for path, given in lists.items()
            if isinstance(given, tuple) and len(given) != nodes
        ]
        if self._steps and "" not in self._steps:
            missing = [node for node in range(nodes) if str(node) not in self._steps]
            faults += [Fault(("trace",), f"steps for each of {nodes} nodes", f"none for {n}") for n in missing[:1]]
        return faults

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """Return a medium at time 0; rates, regions and slow nodes are drawn from `rng`.

        Raises
        ------
        ConfigError
            If a list has another length than there are nodes, or a trace misses one.
        """
        faults = self.node_faults(sum(not node.is_server for node in nodes))
        if faults:
            raise ConfigError(faults)
        transport, is_fifo = self._transport(), self.sharing == "fifo"
        key, links = self._links(nodes, rng, transport)
        return Flows(
            Members(nodes, self.power, frames), links.path, links.rate, transport, seconds_to_ns(self.jitter_s), key,
            is_fifo, self.queue_bytes, links.others(key),
        )  # fmt: skip

    def replay(self, nodes: Sequence[Node], rngs: Sequence[np.random.Generator]) -> LoneFlows | None:
        """Return what `netsim.interfaces.Replays` says, of ``plain`` messages on links of their own.

        Not where the server has a port, where rates change in time, or where messages are late, lost or behind others':
        those are simulated one draw after the other.
        """
        is_alone = self.server_bps is None and self.sharing == "max_min" and self.background == 0.0
        is_steady = self.outages is None and len(self._steps) <= 1 and all(len(s) == 1 for s in self._steps.values())
        is_sure = self.transport == "plain" and not self.loss and not self.jitter_s
        if not (is_alone and is_steady and is_sure) or not any(node.is_server for node in nodes):
            return None
        transport = self._transport()
        return LoneFlows(nodes, [self._links(nodes, rng, transport)[1] for rng in rngs], transport, self.power)

    def _transport(self) -> Transport:
        if self.transport == "plain":
            return Transport(SEGMENT_BYTES, 0, loss=self.loss)
        congestion = self.congestion or "newreno"
        return Transport(
            SEGMENT_BYTES, OVERHEAD_BYTES, GROWTH[congestion], HANDSHAKES[self.handshake or False], self.loss,
            congestion=congestion, min_rto_ns=seconds_to_ns(self.min_rto_s),
        )  # fmt: skip

    def _links(self, nodes: Sequence[Node], rng: np.random.Generator, transport: Transport) -> tuple[int, Links]:
        """Return the key of a medium's draws, and its links."""
        key = int(rng.integers(1 << 64, dtype=np.uint64))
        links = Links(
            nodes, key, rng, transport, rate_bps=self.rate_bps, down_bps=self.down_bps, server_bps=self.server_bps,
            rtt_s=self.rtt_s, table=self.table, steps=self._steps, background=self.background,
            stragglers=self.stragglers, outages=self.outages, is_fifo=self.sharing == "fifo",
        )  # fmt: skip
        return key, links
