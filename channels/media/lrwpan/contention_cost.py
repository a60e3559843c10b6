"""What a lone message costs where IEEE 802.15.4 nodes contend, in expectation over its backoffs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from channels.costing.quantities import check_quantity
from channels.media.lrwpan.cost import cell_cost
from channels.media.lrwpan.framing import Framing, RawFraming
from channels.media.lrwpan.timing import (
    ACK_NS,
    ACK_OCTETS,
    BACKOFF_NS,
    BACKOFFS,
    CCA_NS,
    LIFS_NS,
    OCTET_NS,
    TURNAROUND_NS,
)
from netsim.interfaces import CostModel
from netsim.units import NS_PER_S


def contention_cost(
    quantity: str,
    framing: Framing,
    power_w: Mapping[str, float],
    idle_w: float,
    acknowledge: bool,
    slotted: bool,
    periods: float,
) -> CostModel:
    """The cost of a message of some bits that meets no other and is not lost.

    Parameters
    ----------
    quantity
        ``bit`` on the air, ``packet``, ``s`` to the last byte, ``j`` of the sender beyond `idle_w`.
    framing
        How messages become frames.
    power_w
        Watts by state.
    idle_w
        Watts of the state that a message's joules are counted from.
    acknowledge, slotted
        Whether frames are acknowledged, whether everything begins at the boundary of a slot.
    periods
        Mean of the backoff periods before a frame.

    Returns
    -------
    Constants where there are any: raw fragments, acknowledged, not slotted.
    """
    from channels.costing.models import FunctionCost

    check_quantity(quantity)
    if isinstance(framing, RawFraming) and acknowledge and not slotted and periods == (BACKOFFS - 1) / 2:
        return cell_cost(quantity, framing.payload_bytes, power_w, idle_w)
    ack_ns = ACK_NS if acknowledge else 0
    access_ns = BACKOFF_NS * periods + (2 * BACKOFF_NS if slotted else CCA_NS + TURNAROUND_NS)
    tail_ns = TURNAROUND_NS + ACK_NS if acknowledge else 0
    full_ns = int(framing.cycle[0]) * OCTET_NS
    spacing_ns = LIFS_NS if int(framing.cycle[0]) > 24 else TURNAROUND_NS
    if slotted:
        # From a frame's start, which is a boundary, to the boundary from which the next one's backoff counts.
        end_ns = full_ns + (_up(full_ns + TURNAROUND_NS) - full_ns + ack_ns if acknowledge else 0)
        tail_ns = _up(end_ns + spacing_ns) - full_ns - spacing_ns

    def cost(message_bit: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        size = np.maximum(np.ceil(message_bit / 8), 1).astype(np.int64)
        frames, octets = framing.totals(size)
        acks = frames if acknowledge else 0 * frames
        if quantity == "packet":
            return frames
        if quantity == "bit":
            return 8 * (octets + ACK_OCTETS * acks)
        lead_ns = BACKOFF_NS / 2 if slotted else 0.0
        air_ns = octets * OCTET_NS
        time_ns = lead_ns + frames * access_ns + air_ns + (frames - 1) * (tail_ns + spacing_ns)
        if quantity == "s":
            return time_ns / NS_PER_S
        end_ns = time_ns + (TURNAROUND_NS + ACK_NS if acknowledge else 0)
        listen_ns = end_ns - air_ns - acks * ACK_NS
        spent = power_w["tx"] * air_ns + power_w["rx"] * acks * ACK_NS + power_w["listen"] * listen_ns
        return np.asarray((spent - idle_w * end_ns) / NS_PER_S)

    return FunctionCost(cost, quantity)


def _up(at_ns: int) -> int:
    return -(-at_ns // BACKOFF_NS) * BACKOFF_NS
