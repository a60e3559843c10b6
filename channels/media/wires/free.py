"""Wires on which messages take no time but the delay, in many draws at once: the replays of `channels.links.ideal`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from netsim.interfaces import STATES, Carried, Node, NodeId


class FreeWires:
    """Messages that are one packet without overhead and there after the delay; all draws are alike.

    Parameters
    ----------
    nodes
        Of the medium.
    delay_ns
        Of every message.
    """

    def __init__(self, nodes: Sequence[Node], delay_ns: int) -> None:
        self.interfaces = [(node.id, name) for node in nodes for name in ("out", "in")]
        self.power_w = np.zeros(len(STATES))
        self._delay_ns = delay_ns

    def carry(self, at_ns: npt.NDArray[np.int64], src: NodeId, dst: NodeId, size_bytes: int) -> Carried:
        """See `netsim.interfaces.DrawnMedia`."""
        return Carried(at_ns + self._delay_ns, 1, 1, size_bytes, ())
