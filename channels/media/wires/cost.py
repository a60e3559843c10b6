"""What a lone message costs on wires, exactly."""

from __future__ import annotations

from channels.costing.models import Int64s, StructuredCost, byte_cost, stream_cost
from channels.media.wires.framing import Framing, tandem_ns
from netsim.interfaces import CostModel, CostStructure
from netsim.units import NS_PER_S


def wire_cost(
    quantity: str, framing: Framing, rates_bps: tuple[float | None, ...], delay_ns: int, extra_w: float
) -> CostModel:
    """Return the cost model of one direction between two nodes.

    Parameters
    ----------
    quantity
        ``bit`` on the wire, ``packet``, ``s`` from submit to last byte delivered, ``j`` of the sender beyond idling.
    framing
        How messages become packets.
    rates_bps
        Of the links in the order in which they are crossed, one or two; None: packets take no time.
    delay_ns
        Propagation, all of it.
    extra_w
        Watts of the sender's interface while it sends, beyond idling.

    Returns
    -------
    Constants where they are exact, else a function: padding of a short last packet, rounding to whole nanoseconds
    and two links in tandem have no constants.
    """
    limit, first = framing.payload_max_bytes, rates_bps[0]

    def structured(c0: float, c_packet: float, c_bit: float) -> CostModel:
        if limit is None:
            return StructuredCost(CostStructure(c0 + c_packet, 0.0, c_bit), "message", quantity)
        return stream_cost(quantity, {quantity: (c0, c_packet, c_bit)}, limit)

    if quantity == "packet":
        return structured(0.0, 1.0, 0.0)
    if quantity == "bit":
        bit = framing.per_frame()
        return structured(0.0, *bit) if bit else byte_cost("bit", lambda n: 8 * framing.wire_bytes(n))
    if first is None:
        return structured(delay_ns / NS_PER_S if quantity == "s" else 0.0, 0.0, 0.0)
    exact = framing.per_frame(first)
    if quantity == "j":
        if exact:
            return structured(0.0, exact[0] * extra_w, exact[1] * extra_w)
        return byte_cost("j", lambda n: _path_ns(framing, n, (first,)) / NS_PER_S * extra_w)
    if exact and len(rates_bps) == 1:
        return structured(delay_ns / NS_PER_S, *exact)
    return byte_cost("s", lambda n: (_path_ns(framing, n, rates_bps) + delay_ns) / NS_PER_S)


def _path_ns(framing: Framing, size_bytes: Int64s, rates_bps: tuple[float | None, ...]) -> Int64s:
    hops = [framing.hop_ns(size_bytes, rate) for rate in rates_bps if rate is not None]
    (full_ns, packets, last_ns), *others = hops
    if not others:
        return (packets - 1) * full_ns + last_ns
    return tandem_ns(packets, (full_ns, last_ns), (others[0][0], others[0][2]))
