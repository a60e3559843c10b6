"""What a lone message costs as a flow."""

from __future__ import annotations

import numpy.typing as npt

from channels.costing.models import Int64s, byte_cost, stream_cost
from channels.media.flows.path import Path, Transport
from channels.media.flows.sharing import FS_PER_NS
from channels.media.flows.tcp import transfer_s
from netsim.interfaces import CostModel
from netsim.units import NS_PER_S


def flow_cost(quantity: str, transport: Transport, path: Path, back: Path, jitter_ns: int, extra_w: float) -> CostModel:
    """Return the cost model of one direction between two nodes, exact where rates do not change in time.

    Parameters
    ----------
    quantity
        ``bit`` with overhead, ``packet`` (segments), ``s`` from submit to last byte, ``j`` of the sender beyond idling.
    transport, path, back
        Segments and windows, and the links there and back.
    jitter_ns
        A message comes up to that much later; half of it counts.
    extra_w
        Watts of the sender's interface while it sends, beyond idling.
    """
    overhead_bit = 8.0 * transport.overhead_bytes

    def structured(c0: float, c_packet: float, c_bit: float) -> CostModel:
        return stream_cost(quantity, {quantity: (c0, c_packet, c_bit)}, transport.segment_bytes)

    if quantity == "packet":
        return structured(0.0, 1.0, 0.0)
    if quantity == "bit":
        return structured(0.0, overhead_bit, 1.0)
    one_way_s = transport.one_way_fs(path) / (FS_PER_NS * NS_PER_S)
    wait_s, rate_bps = jitter_ns / NS_PER_S / 2 + path.wait_s, path.rate_bps
    if not transport.growth:
        if transport.gamma_bit is not None and path.one_way_ns:
            rate_bps = min(rate_bps, transport.gamma_bit * NS_PER_S / (2 * path.one_way_ns))
        if quantity == "s":
            return structured(one_way_s + wait_s, overhead_bit / rate_bps, 1.0 / rate_bps)
    elif quantity == "s" or transport.loss:
        back_s = transport.one_way_fs(back) / (FS_PER_NS * NS_PER_S)

        def lone(size_bytes: Int64s) -> npt.ArrayLike:
            total_s, sending_s = transfer_s(
                size_bytes, rate_bps, one_way_s, growth=transport.growth, loss=transport.loss,
                handshake=transport.handshake == "every",
                min_rto_s=transport.min_rto_ns / NS_PER_S, reverse_bps=back.rate_bps, reverse_one_way_s=back_s,
                segment_bytes=transport.segment_bytes, overhead_bytes=transport.overhead_bytes,
            )  # fmt: skip
            return total_s + wait_s if quantity == "s" else sending_s * extra_w

        return byte_cost(quantity, lone)
    return structured(0.0, overhead_bit / rate_bps * extra_w, extra_w / rate_bps)
