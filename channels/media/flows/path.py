"""How a message goes from one node to another: over which links, and in which segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from channels.media.flows.sharing import FS_PER_NS, Resource


@dataclass(frozen=True)
class Path:
    """How messages go from one node to another.

    Parameters
    ----------
    resources
        What they share with others.
    rate_bps, peak
        Mean rate alone (bit/s), and the highest one (nanobits per second).
    one_way_ns
        Propagation.
    weight
        At a bottleneck that it shares.
    wait_s
        Mean time behind others' messages in a queue.
    """

    resources: tuple[Resource, ...]
    rate_bps: float
    peak: int
    one_way_ns: int
    weight: int = 1
    wait_s: float = 0.0


@dataclass(frozen=True)
class Transport:
    """How a message becomes segments, and when they may leave.

    Parameters
    ----------
    segment_bytes, overhead_bytes
        Of the message in a segment, and beside it.
    growth
        Of a window per round; 0: all segments may leave at once.
    handshake
        Whether a connection is made for ``every`` message, for the ``first`` one between two nodes, or for ``none``.
    loss
        Of a segment: sent again with `congestion`, and loses the whole message otherwise.
    latency_factor, rate_factor
        Multiply the propagation of a message and the rates of links; other flow models have them.
    gamma_bit
        The largest window of a flow, in bits per round trip; None: without end.
    weight_bytes
        Flows share a bottleneck in inverse proportion to their latency and this many bytes over each link's rate; None:
        equally.
    congestion, min_rto_ns
        How a window grows and shrinks, and what a timeout takes beyond a round trip.
    """

    segment_bytes: int
    overhead_bytes: int
    growth: float = 0.0
    handshake: Literal["every", "first", "none"] = "none"
    loss: float = 0.0
    latency_factor: float = 1.0
    rate_factor: float = 1.0
    gamma_bit: float | None = None
    weight_bytes: float | None = None
    congestion: Literal["newreno", "cubic"] = "newreno"
    min_rto_ns: int = 0

    def one_way_fs(self, path: Path) -> int:
        """Return the femtoseconds of propagation."""
        return int(path.one_way_ns * FS_PER_NS * self.latency_factor + 0.5)
