"""How long one TCP transfer takes: slow start in closed form, and the square-root law under loss."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Float64s = npt.NDArray[np.float64]

SEGMENT_BYTES = 1448  # 1500 - IPv4 20 - TCP 20 - timestamps 12
OVERHEAD_BYTES = 54  # IPv4 20, TCP with timestamps 32, PPP 2
FIRST_WINDOW = 10  # segments, RFC 6928
# Of a window in a round: one segment for each delayed acknowledgement of two, or one for each segment.
GROWTH = {"newreno": 1.5, "cubic": 2.0}
MAX_LOSS = 0.01
_ACKED = 2  # segments per acknowledgement, b of the square-root law


def mathis_window(loss: float) -> float:
    """Return the mean congestion window in segments, sqrt(3 / (2 b p)) with b = 2; without end where nothing is lost.

    Examples
    --------
    >>> round(mathis_window(0.001), 3)
    27.386
    """
    return math.sqrt(3.0 / (2.0 * _ACKED * loss)) if loss > 0 else math.inf


def mathis_bps(rtt_s: float, loss: float, segment_bytes: int = SEGMENT_BYTES) -> float:
    """Return the goodput of a long transfer under random loss: MSS / RTT * sqrt(3 / (2 b p)), for p up to 0.01.

    Examples
    --------
    >>> round(mathis_bps(0.01012016, 0.001) / 1e6, 1)
    31.3
    """
    return 8.0 * segment_bytes / rtt_s * mathis_window(loss)


def slow_start_segments(segments: npt.ArrayLike, loss: float) -> Float64s:
    """Return the segments of n in the first slow start on the mean: (1 - (1 - p)^n) (1 - p) / p + 1, rounded down.

    Cardwell, Savage and Anderson, equation 5: up to the first that is lost.

    Examples
    --------
    >>> slow_start_segments([1, 100, 3454], 0.001)
    array([  1.,  96., 968.])
    """
    n = np.asarray(segments, np.float64)
    if loss <= 0:
        return n
    is_any_lost = -np.expm1(n * math.log1p(-loss))
    return np.minimum(n, np.floor(is_any_lost * (1.0 - loss) / loss + 1.0))


def transfer_s(
    size_bytes: npt.ArrayLike,
    rate_bps: float,
    one_way_s: float,
    *,
    growth: float = GROWTH["newreno"],
    loss: float = 0.0,
    handshake: bool = True,
    reverse_bps: float | None = None,
    reverse_one_way_s: float | None = None,
    segment_bytes: int = SEGMENT_BYTES,
    overhead_bytes: int = OVERHEAD_BYTES,
) -> tuple[Float64s, Float64s]:
    """Return the seconds from the first SYN to the last byte of transfers that have the path for themselves.

    A transfer is n = ceil(B / MSS) segments of tx seconds each. In a round, RTT = there and back + tx, a window of
    floor(w) segments leaves without a gap; w is 10 at first and grows by `growth` every round. Once floor(w) tx >= RTT
    the path is full and the rest follows without a gap. Under loss all this lasts for `slow_start_segments`; then those
    that are left go at `mathis_window` per RTT. Where its slow start is a segment longer, a longer message may take up
    to a segment's time at that window less.

    Parameters
    ----------
    size_bytes
        Of the messages, >= 1, any shape.
    rate_bps, reverse_bps
        Of the path there and back; None: the same.
    one_way_s, reverse_one_way_s
        Propagation there and back; None: the same.
    growth
        1.5 for one MSS per delayed acknowledgement, 2 for one per segment.
    loss
        Probability that a segment is lost, 0 .. 0.01.
    handshake
        Whether SYN and SYN-ACK come first.

    Returns
    -------
    Seconds of the whole, and seconds of those in which segments leave.

    Examples
    --------
    >>> transfer_s([1448, 100_000], 1e9, 0.1)[0].round(6)
    array([0.300013, 0.900302])
    """
    size = np.asarray(size_bytes, np.float64)
    back_s = one_way_s if reverse_one_way_s is None else reverse_one_way_s
    n = np.maximum(np.ceil(size / segment_bytes), 1.0)
    full_s, header_s = 8.0 * (segment_bytes + overhead_bytes) / rate_bps, 8.0 * overhead_bytes / rate_bps
    rtt_s = one_way_s + back_s + full_s
    now_s, window, sent = 0.0, float(FIRST_WINDOW), 0
    if handshake:
        now_s = one_way_s + back_s + header_s + 8.0 * overhead_bytes / (reverse_bps or rate_bps)
    slow = slow_start_segments(n, loss)
    slower = max(1.0, rtt_s / (mathis_window(loss) * full_s))
    last_s = 8.0 * (size - (n - 1) * segment_bytes) / rate_bps + header_s
    late_s = np.where(slow < n, (n - slow - 1) * full_s + last_s, 0.0) * (slower - 1.0)
    out = np.full(size.shape, np.nan)
    while True:
        count = math.floor(window)
        rest_s = (n - sent - 1) * full_s + last_s + late_s
        is_last = np.isnan(out) & ((sent + count >= slow) | (count * full_s >= rtt_s))
        out = np.where(is_last, now_s + rest_s + one_way_s, out)
        if not np.isnan(out).any():
            return out, (n - 1) * full_s + last_s + late_s
        sent, now_s, window = sent + count, now_s + rtt_s, window * growth
