"""What a lone message costs in an IEEE 802.15.4 cell on the mean: one at a time, contending, in slots."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from channels.costing.models import Int64s, byte_cost, stream_cost
from channels.media.lrwpan import timing as t
from channels.media.lrwpan.framing import Framing, RawFraming
from netsim.interfaces import CostModel
from netsim.units import NS_PER_S


def cell_cost(
    quantity: str, payload_bytes: int, power_w: Mapping[str, float], idle_w: float, lead_s: float = 0.0,
    lead_j: float = 0.0,
) -> CostModel:  # fmt: skip
    """Return the cost of a message of x bits in k = ceil(x / (8 payload_bytes)) acknowledged frames; exact constants.

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
    spacing = float(t.spacing_ns(np.array(payload_bytes)))
    # Mean nanoseconds of listening before and after an acknowledged frame.
    listen = t.BACKOFF_NS * (t.BACKOFFS - 1) / 2 + t.CCA_NS + 2 * t.TURNAROUND_NS
    tx, rx, wait = (power_w[state] - idle_w for state in ("tx", "rx", "listen"))
    overhead, per_bit = t.OVERHEAD_OCTETS * t.OCTET_NS, t.OCTET_NS / 8
    constants = {
        "bit": (0.0, 8.0 * (t.OVERHEAD_OCTETS + t.ACK_OCTETS), 1.0),
        "packet": (0.0, 1.0, 0.0),
        "s": (
            lead_s - (t.TURNAROUND_NS + t.ACK_NS + spacing) / NS_PER_S,
            (listen + t.ACK_NS + overhead + spacing) / NS_PER_S,
            per_bit / NS_PER_S,
        ),
        "j": (
            lead_j - spacing * wait / NS_PER_S,
            (tx * overhead + rx * t.ACK_NS + wait * (listen + spacing)) / NS_PER_S,
            tx * per_bit / NS_PER_S,
        ),
    }
    return stream_cost(quantity, constants, payload_bytes)


def contention_cost(
    quantity: str, framing: Framing, power_w: Mapping[str, float], idle_w: float, acknowledge: bool, slotted: bool,
    periods: float,
) -> CostModel:  # fmt: skip
    """Return the cost of a message of some bits that meets no other and is not lost.

    Parameters
    ----------
    quantity, power_w, idle_w
        See `cell_cost`; ``s`` is to the last byte.
    framing
        How messages become frames.
    acknowledge, slotted
        Whether frames are acknowledged, whether everything begins at the boundary of a slot.
    periods
        Mean of the backoff periods before a frame.

    Returns
    -------
    Constants where there are any: raw fragments, acknowledged, not slotted.
    """
    if isinstance(framing, RawFraming) and acknowledge and not slotted and periods == (t.BACKOFFS - 1) / 2:
        return cell_cost(quantity, framing.payload_bytes, power_w, idle_w)
    ack_ns = t.ACK_NS if acknowledge else 0
    access_ns = t.BACKOFF_NS * periods + (2 * t.BACKOFF_NS if slotted else t.CCA_NS + t.TURNAROUND_NS)
    tail_ns = t.TURNAROUND_NS + t.ACK_NS if acknowledge else 0
    full_ns = int(framing.cycle[0]) * t.OCTET_NS
    spacing_ns = t.LIFS_NS if int(framing.cycle[0]) > 24 else t.TURNAROUND_NS
    if slotted:
        # From a frame's start, which is a boundary, to the boundary from which the next one's backoff counts.
        end_ns = full_ns + (_up(full_ns + t.TURNAROUND_NS) - full_ns + ack_ns if acknowledge else 0)
        tail_ns = _up(end_ns + spacing_ns) - full_ns - spacing_ns

    def cost(size: Int64s) -> npt.ArrayLike:
        frames, octets = framing.totals(size)
        acks = frames if acknowledge else 0 * frames
        if quantity == "packet":
            return frames
        if quantity == "bit":
            return 8 * (octets + t.ACK_OCTETS * acks)
        lead_ns = t.BACKOFF_NS / 2 if slotted else 0.0
        air_ns = octets * t.OCTET_NS
        time_ns = lead_ns + frames * access_ns + air_ns + (frames - 1) * (tail_ns + spacing_ns)
        if quantity == "s":
            return time_ns / NS_PER_S
        end_ns = time_ns + (t.TURNAROUND_NS + t.ACK_NS if acknowledge else 0)
        listen_ns = end_ns - air_ns - acks * t.ACK_NS
        spent = power_w["tx"] * air_ns + power_w["rx"] * acks * t.ACK_NS + power_w["listen"] * listen_ns
        return np.asarray((spent - idle_w * end_ns) / NS_PER_S)

    return byte_cost(quantity, cost)


def slot_cost(
    quantity: str, framing: Framing, power_w: Mapping[str, float], idle_w: float, lead_ns: int, cycle_ns: float
) -> CostModel:
    """Return the cost of a message of some bits that is submitted at any instant of a slotframe and is not lost.

    Parameters
    ----------
    quantity, framing, power_w, idle_w
        See `contention_cost`.
    lead_ns
        What waking a radio takes, once in every slot.
    cycle_ns
        From one of the sender's slots to the next on the mean.
    """
    power = {state: watts - idle_w for state, watts in power_w.items()}

    def cost(size: Int64s) -> npt.ArrayLike:
        frames, octets = framing.totals(size)
        if quantity == "packet":
            return frames
        if quantity == "bit":
            return 8 * (octets + t.ACK_OCTETS * frames)
        if quantity == "j":
            guard_ns = t.TX_ACK_DELAY_NS - t.SHR_NS - t.RX_ACK_DELAY_NS
            per_frame = power["rx"] * t.ACK_NS + power["listen"] * guard_ns + power["idle"] * lead_ns
            return (power["tx"] * octets * t.OCTET_NS + per_frame * frames) / NS_PER_S
        different, places = np.unique(size, return_inverse=True)
        last = np.array([framing.plan(int(n)).last for n in different])[places].reshape(size.shape)
        return np.asarray((frames - 0.5) * cycle_ns + t.FRAME_NS + last * t.OCTET_NS) / NS_PER_S

    return byte_cost(quantity, cost)


def _up(at_ns: int) -> int:
    return -(-at_ns // t.BACKOFF_NS) * t.BACKOFF_NS
