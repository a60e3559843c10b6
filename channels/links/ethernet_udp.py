"""UDP datagrams over switched full-duplex Ethernet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from channels.energy.ethernet import Ethernet
from channels.media.background import Background
from channels.media.roster import Members
from channels.media.wires.crossed import CrossedWires
from channels.media.wires.frames import Datagrams
from channels.media.wires.framing import Framing
from channels.media.wires.wires import Wires
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, NonNegativeInt, Range, Ref
from netsim.interfaces import FrameSink, Medium, Node, PowerProfile
from netsim.registry import component
from netsim.units import seconds_to_ns, serialisation_ns

IPV4_UDP_BYTES = 20 + 8
HEADERS_BYTES = 14 + 20 + 8 + 4  # Ethernet, IPv4, UDP, frame check sequence
PREAMBLE_BYTES, GAP_BYTES, MIN_FRAME_BYTES = 8, 12, 64

# Overhead of a packet, and the least that one occupies.
ACCOUNTING = {
    "real": (HEADERS_BYTES + PREAMBLE_BYTES + GAP_BYTES, MIN_FRAME_BYTES + PREAMBLE_BYTES + GAP_BYTES),
    "cat": (HEADERS_BYTES + PREAMBLE_BYTES, 0),
}


Rate = Annotated[float, Range(gt=0, le=1e12)]


@component("channel")
@dataclass(frozen=True)
class EthernetUdp:
    """A message of M bytes is ceil(M / (mtu_bytes - 28)) datagrams of max(min_frame, L + overhead) bytes on the wire.

    Every ordered pair of nodes has a full-duplex FIFO wire of its own: dep_i = max(arr_i, dep_{i-1}) + s_i,
    rx_i = dep_i + delay_s, with s_i the packet's bits over `rate_bps`, rounded to a nanosecond, half up.

    With `server_rate_bps` the server has one port in each direction instead. Towards it a packet crosses the worker's
    wire, propagates, and once it is whole queues at the port: FIFO in order of arrival, at equal instants the smaller
    node id first. From it, messages leave through the port in order of submission (copies of one message in order of
    destination as given), and each packet, once whole, queues at the worker's own wire, after which it propagates.
    So propagation sits on the workers' wires and the port has none; a lone message takes
    max_h [sum_{j<=h} t_j + (n-2) max_{j<=h} t_j + sum_{j>=h} u_j] + delay_s for n >= 2 packets, t_j and u_j the
    nanoseconds of a full and of the last one on link j, and sum_j u_j + delay_s for a single packet.

    Parameters
    ----------
    rate_bps
        Of every wire, bit/s, > 0; or a list with one per node, the server left out: a wire between two nodes has the
        rate of the slower. A list goes without `server_rate_bps` and `background` (`wan` with ``transport: plain`` has
        both).
    delay_s
        Propagation one way, seconds, >= 0.
    mtu_bytes
        Of an IPv4 packet, 20 bytes of its header and 8 of UDP's included: 1500, or up to 9000 where frames are jumbo.
    accounting
        ``real``: preamble 8, header 14, IPv4 20, UDP 8, FCS 4, gap 12 and padding, so max(84, L + 66) bytes.
        ``cat``: the CAT paper's L + 54, without gap and padding.
    overhead_bytes, min_frame_bytes
        Replace the one or the other number of `accounting`, >= 0.
    server_rate_bps
        Of the server's one port, bit/s, > 0; None: the server has a wire of its own to each node.
    background
        ``{rate_hz, mean_bytes, sizes, at}``: messages of others, ``exponential`` or ``fixed`` in size (bytes on the
        wire), that arrive as a Poisson process and queue as the nodes' own packets do, each at once with all its bits,
        at equal instants before the nodes' own. At the ``server``: one process for its port in each direction, which
        needs `server_rate_bps`; a message towards it meets them between its packets. At the ``nodes``: one for every
        wire, where there is no `server_rate_bps`. None: none.
    power
        Of a node's interface out and interface in. A node with several wires is busy while any of them is. With an
        uplink and a downlink that are two channels every node has both interfaces twice; use `link` for one set.

    Notes
    -----
    Scope and limits: no loss, buffers without end, no ARP, no fragments of IP, a switch without delay of its own
    between wire and port. The gap behind a frame counts as part of it, and the last one as well. `wire_bytes` and
    `airtime_ns` are those of the worker's wire, counted once where there is a port too. Messages of others count in no
    node's bytes, frames, states and joules, as in `wan`: the nodes' own wait for them. A node that goes down empties
    its wires, and the server its port, of others' messages as well; later ones come all the same. The cost in seconds
    has the mean wait (Pollaczek-Khinchine) and, between packets towards the server, the mean of what comes meanwhile.

    Validation: to the nanosecond against a recursion packet by packet, with messages of others and without. With
    `overhead_bytes` 30 and `min_frame_bytes` 0 equal to ns-3's point-to-point link with UDP; with 46 and 64 to a single
    frame of ns-3's CSMA. Waiting of Poisson packets against M/D/1, behind others' messages against M/D/1 and M/M/1.

    References
    ----------
    IEEE 802.3 clauses 3 and 4; RFC 768, 791, 894. D. V. Lindley, "The theory of queues with a single server", 1952.

    Examples
    --------
    >>> import numpy as np
    >>> from netsim.interfaces import Node
    >>> medium = EthernetUdp(rate_bps=1e9).open([Node(0), Node(1, is_server=True)], np.random.default_rng(0))
    >>> medium.submit(0, 0, (1,), 10_000)
    0
    >>> medium.next_event_ns()
    83696
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"rate_bps": 1e9},
        {"rate_bps": 10e6, "accounting": "cat", "delay_s": 0.0025},
        {"rate_bps": 7e6, "server_rate_bps": 11e6, "delay_s": 1e-4, "power": {"name": "ethernet", "idle_w": 0.05}},
        {"rate_bps": 1e8, "server_rate_bps": 3e7, "overhead_bytes": 30, "min_frame_bytes": 0},
        {"rate_bps": 1e7, "server_rate_bps": 1.3e7, "background": {"rate_hz": 700, "mean_bytes": 1500}},
        {"rate_bps": [1e7, 2e6, 1e9, 5e5], "mtu_bytes": 576, "delay_s": 1e-3},
        {"rate_bps": 5e6, "background": {"rate_hz": 200, "mean_bytes": "1.5 kB", "sizes": "fixed", "at": "nodes"}},
    )
    frames: ClassVar[type[Datagrams]] = Datagrams
    reliable_delivery: ClassVar[bool] = True

    rate_bps: Rate | tuple[Rate, ...]
    delay_s: NonNegativeFloat = 0.0
    mtu_bytes: Annotated[int, Range(ge=68, le=65535)] = 1500
    accounting: Literal["real", "cat"] = "real"
    overhead_bytes: NonNegativeInt | None = None
    min_frame_bytes: NonNegativeInt | None = None
    server_rate_bps: Rate | None = None
    background: Background | None = None
    power: Annotated[PowerProfile, Ref("energy")] = field(default_factory=Ethernet)

    def __post_init__(self) -> None:
        faults = [
            Fault((key,), "a rate at which a packet takes a nanosecond", f"{rate:g}")
            for key, rate in (("rate_bps", max(self._rates, default=1.0)), ("server_rate_bps", self.server_rate_bps))
            if rate is not None and serialisation_ns(self._framing().frame_bytes(1), rate) < 1
        ]
        if self.rate_bps == ():
            faults.append(Fault(("rate_bps",), "a rate for each node", "none"))
        elif isinstance(self.rate_bps, tuple) and (self.server_rate_bps is not None or self.background is not None):
            other = "server_rate_bps" if self.server_rate_bps is not None else "background"
            faults.append(
                Fault(("rate_bps",), f"one number with {other}; wan with transport: plain has both", "a list")
            )
        elif self.background is not None:
            faults += self._background_faults(self.background)
        if faults:
            raise ConfigError(faults)

    @property
    def _rates(self) -> tuple[float, ...]:
        return self.rate_bps if isinstance(self.rate_bps, tuple) else (self.rate_bps,)

    def node_faults(self, nodes: int) -> list[Fault]:
        """Return what does not fit that many nodes, the server not counted."""
        if not isinstance(self.rate_bps, tuple) or len(self.rate_bps) == nodes:
            return []
        return [Fault(("rate_bps",), f"a value for each of {nodes} nodes", str(len(self.rate_bps)))]

    def _background_faults(self, background: Background) -> list[Fault]:
        port_bps = self.server_rate_bps
        if background.at == "server" and port_bps is None:
            return [Fault(("background", "at"), "for at: server server_rate_bps is needed", "server")]
        if background.at == "nodes" and port_bps is not None:
            return [Fault(("background", "at"), "with server_rate_bps the server's port alone", "nodes")]
        return background.load_faults(port_bps or min(self._rates))

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """Return a medium at time 0; draws nothing from `rng` but the key of others' messages.

        Raises
        ------
        ConfigError
            If there is not one rate per node.
        """
        workers = [node.id for node in nodes if not node.is_server]
        if faults := self.node_faults(len(workers)):
            raise ConfigError(faults)
        rates = dict(zip(workers, self.rate_bps, strict=True)) if isinstance(self.rate_bps, tuple) else None
        delay_ns = seconds_to_ns(self.delay_s)
        members = Members(nodes, self.power, frames)
        link = (members, self._framing(), min(self._rates), delay_ns, self.server_rate_bps)
        if self.background is None:
            return Wires(*link, rates)
        return CrossedWires(*link, self.background, int(rng.integers(1 << 64, dtype=np.uint64)))

    def _framing(self) -> Framing:
        overhead, least = ACCOUNTING[self.accounting]
        return Framing(
            self.mtu_bytes - IPV4_UDP_BYTES,
            overhead if self.overhead_bytes is None else self.overhead_bytes,
            least if self.min_frame_bytes is None else self.min_frame_bytes,
        )
