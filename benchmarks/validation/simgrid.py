"""The flow models of SimGrid, CM02 and LV08: a star whose messages follow them, and a lone transfer's formula."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from channels.energy.ethernet import Ethernet
from channels.media.flows.flows import Flows
from channels.media.flows.links import Links
from channels.media.flows.path import Transport
from channels.media.flows.tcp import SEGMENT_BYTES
from channels.media.roster import Members
from netsim.interfaces import Node

Float64s = npt.NDArray[np.float64]

# SimGrid's fitted constants: factors of latency and bandwidth, traffic of acknowledgements, the largest window in bits.
LATENCY_FACTOR = {"cm02": 1.0, "lv08": 13.01}
BANDWIDTH_FACTOR = {"cm02": 1.0, "lv08": 0.97}
CROSS_TRAFFIC = 1.05
# Flows at a bottleneck share it in inverse proportion to latency + this many bytes over each link's rate.
WEIGHT_BYTES = {"cm02": 0.0, "lv08": 20537.0}
GAMMA_BIT = 8.0 * 4194304


def transport(model: str) -> Transport:
    """Return how messages travel in a model: ``cm02`` or ``lv08``."""
    return Transport(
        SEGMENT_BYTES,
        0,
        latency_factor=LATENCY_FACTOR[model],
        rate_factor=BANDWIDTH_FACTOR[model] / CROSS_TRAFFIC,
        gamma_bit=BANDWIDTH_FACTOR[model] * GAMMA_BIT,
        weight_bytes=WEIGHT_BYTES[model],
    )


def star(model: str, rates_bps: Sequence[float], server_bps: float, rtt_s: float) -> Flows:
    """Return a medium of clients 0, 1, ... with these rates and of a server behind them."""
    nodes = [Node(i, i == len(rates_bps)) for i in range(len(rates_bps) + 1)]
    how = transport(model)
    links = Links(
        nodes, 0, np.random.default_rng(0), how, rate_bps=tuple(rates_bps), server_bps=server_bps, rtt_s=rtt_s
    )  # fmt: skip
    return Flows(Members(nodes, Ethernet()), links.path, links.rate, how, 0, 0)


def flow_s(
    size_bytes: npt.ArrayLike,
    rate_bps: float,
    latency_s: float,
    model: str = "cm02",
    *,
    cross_traffic: bool = True,
    gamma: bool = True,
) -> Float64s:
    """Return the seconds of a lone transfer in SimGrid's flow models CM02 and LV08.

    f_l lat + 8 B / min(f_b C / 1.05, f_b gamma / (2 lat)), with f_l = f_b = 1 in CM02 and 13.01 and 0.97 in LV08, and
    gamma the largest window, 4 MiB.

    Parameters
    ----------
    size_bytes
        Of the messages; no headers are added.
    cross_traffic
        Whether acknowledgements take 5 % of the rate.
    gamma
        Whether the window has a limit.

    Examples
    --------
    >>> flow_s(1_000_000, 1e6, 0.01, "lv08").round(6), flow_s(1_000_000, 1e6, 0.01, cross_traffic=False).round(6)
    (np.float64(8.789894), np.float64(8.01))
    """
    rate = BANDWIDTH_FACTOR[model] * rate_bps / (CROSS_TRAFFIC if cross_traffic else 1.0)
    if gamma and latency_s > 0:
        rate = min(rate, BANDWIDTH_FACTOR[model] * GAMMA_BIT / (2 * latency_s))
    return np.asarray(LATENCY_FACTOR[model] * latency_s + 8.0 * np.asarray(size_bytes, np.float64) / rate)
