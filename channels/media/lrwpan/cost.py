"""What a lone message costs in an IEEE 802.15.4 cell, in expectation over its backoffs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from channels.costing.quantities import check_quantity
from channels.media.lrwpan.timing import (
    ACK_NS,
    ACK_OCTETS,
    BACKOFF_NS,
    BACKOFFS,
    CCA_NS,
    OCTET_NS,
    OVERHEAD_OCTETS,
    TURNAROUND_NS,
    spacing_ns,
)
from netsim.interfaces import CostModel, CostStructure
from netsim.units import NS_PER_S


def cell_cost(
    quantity: str,
    payload_bytes: int,
    power_w: Mapping[str, float],
    idle_w: float,
    lead_s: float = 0.0,
    lead_j: float = 0.0,
) -> CostModel:
    """The cost of a message of x bits in k = ceil(x / (8 payload_bytes)) acknowledged frames; exact constants.

    With n_i the frames' payloads, S the spacing behind a full frame (640, or 192 up to 18 octets of MPDU) and all times
    in us: from submit to the last byte it takes sum_i (2528 + 32 n_i) + (k - 1) S - 544, of which the sender sends
    32 (n_i + 17), receives 352 and listens for the rest, and 544 longer until the last acknowledgement ends.

    Parameters
    ----------
    quantity
        ``bit`` on the air with acknowledgements, ``packet``, ``s``, ``j`` of the sender beyond `idle_w`.
    payload_bytes
        Of a full frame.
    power_w
        Watts by state.
    idle_w
        Watts of the state that a message's joules are counted from.
    lead_s, lead_j
        What a message waits and spends before its first backoff.
    """
    from channels.costing.models import StructuredCost

    check_quantity(quantity)
    spacing = float(spacing_ns(np.array(payload_bytes)))
    # Mean nanoseconds of listening before and after an acknowledged frame.
    listen = BACKOFF_NS * (BACKOFFS - 1) / 2 + CCA_NS + 2 * TURNAROUND_NS
    tx, rx, wait = (power_w[state] - idle_w for state in ("tx", "rx", "listen"))
    overhead, per_bit = OVERHEAD_OCTETS * OCTET_NS, OCTET_NS / 8
    c0, c_packet, c_bit = {
        "bit": (0.0, 8.0 * (OVERHEAD_OCTETS + ACK_OCTETS), 1.0),
        "packet": (0.0, 1.0, 0.0),
        "s": (
            lead_s - (TURNAROUND_NS + ACK_NS + spacing) / NS_PER_S,
            (listen + ACK_NS + overhead + spacing) / NS_PER_S,
            per_bit / NS_PER_S,
        ),
        "j": (
            lead_j - spacing * wait / NS_PER_S,
            (tx * overhead + rx * ACK_NS + wait * (listen + spacing)) / NS_PER_S,
            tx * per_bit / NS_PER_S,
        ),
    }[quantity]
    structure = CostStructure(c0, c_packet, c_bit, 8.0 * payload_bytes, packing="stream")
    return StructuredCost(structure, "message", quantity)
