"""Abstract packets on wires: what a study of cost models needs of a link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np

from channels.energy.ethernet import Ethernet
from channels.media.roster import Members
from channels.media.wires.frames import Datagrams
from channels.media.wires.framing import Framing
from channels.media.wires.wires import Wires
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, NonNegativeInt, Range, Ref
from netsim.interfaces import FrameSink, Medium, Node, PowerProfile
from netsim.registry import component
from netsim.units import seconds_to_ns, serialisation_ns


@component("channel")
@dataclass(frozen=True)
class Packet:
    """Packets of header_bytes + payload_max_bytes; every message is ceil(size / payload_max_bytes) of them.

    A message of P bits costs c0 + c1 ceil(P / P_max): with the defaults c1 = 576 bytes a packet and P_max = 512 bytes,
    and c0 = 0. Every pair of nodes has a FIFO wire of its own in each direction, as in `channels.links.ethernet_udp`.

    Parameters
    ----------
    rate_bps
        Of every wire, bit/s, > 0.
    payload_max_bytes
        What one packet holds of the message, 1 .. 2**24.
    header_bytes
        What every packet adds, >= 0.
    fixed_size
        True: every packet has the same size, the last one is filled up, and cost is a staircase. False: the last
        packet carries only what is left, and cost is c1 ceil(P / P_max) + P with c1 the header.
    delay_s
        Propagation one way, seconds, >= 0.
    power
        Of a node's interface out and interface in.

    Notes
    -----
    Scope and limits: no loss, no contention, no shared port, buffers without end. Each packet's serialisation is
    rounded to a nanosecond, half up.

    Validation: packet by packet against a recursion in the tests; nothing measured.

    Examples
    --------
    >>> import numpy as np
    >>> from netsim.interfaces import Node
    >>> medium = Packet(rate_bps=1e6).open([Node(0), Node(1, is_server=True)], np.random.default_rng(0))
    >>> medium.cost("bit", 0, 1)([1, 4096, 4097])
    array([4608., 4608., 9216.])
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"rate_bps": 250e3},
        {"rate_bps": 3e6, "fixed_size": False, "payload_max_bytes": 100, "header_bytes": 20, "delay_s": 0.001},
    )
    frames: ClassVar[type[Datagrams]] = Datagrams
    reliable_delivery: ClassVar[bool] = True

    rate_bps: Annotated[float, Range(gt=0, le=1e12)]
    payload_max_bytes: Annotated[int, Range(ge=1, le=2**24)] = 512
    header_bytes: NonNegativeInt = 64
    fixed_size: bool = True
    delay_s: NonNegativeFloat = 0.0
    power: Annotated[PowerProfile, Ref("energy")] = field(default_factory=Ethernet)

    def __post_init__(self) -> None:
        if serialisation_ns(self._framing().frame_bytes(1), self.rate_bps) < 1:
            raise ConfigError(
                [Fault(("rate_bps",), "a rate at which a packet takes a nanosecond", f"{self.rate_bps:g}")]
            )

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """Return a medium at time 0; draws nothing from `rng`."""
        members = Members(nodes, self.power, frames)
        return Wires(members, self._framing(), self.rate_bps, seconds_to_ns(self.delay_s))

    def _framing(self) -> Framing:
        packet_bytes = self.header_bytes + self.payload_max_bytes
        return Framing(self.payload_max_bytes, self.header_bytes, packet_bytes if self.fixed_size else 0)
