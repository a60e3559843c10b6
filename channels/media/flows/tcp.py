"""TCP: windows that grow and shrink, and how long one transfer takes, in closed form and under loss on the mean."""

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
# Of a window that is left when a segment was lost, and segments that it grows by in a round from then on: by 1 / b with
# delayed acknowledgements; Cubic in the region in which it is as fast as Reno, 3 (1 - 0.7) / (1 + 0.7).
AFTER_LOSS = {"newreno": 0.5, "cubic": 0.7}
PER_ROUND = {"newreno": 0.5, "cubic": 0.53}
FIRST_RTO_S = 1.0  # before any round trip was measured, RFC 6298
MAX_LOSS = 0.05
_ACKED = 2  # segments per acknowledgement, b of the square-root law


class Window:
    """The congestion window of one way of a connection, round by round.

    `lose` is what a sender does when the first lost segment of a round is number `first` of `count`: with a segment
    behind it (or released by acknowledgements) that is acknowledged selectively it sends the segment again at once and
    goes on with a smaller window (RFC 8985); otherwise, or where the lost one had been sent again already, it waits for
    a timeout and begins with one segment.

    Examples
    --------
    >>> window = Window()
    >>> window.grow("newreno", 10), window.segments
    (None, 15)
    >>> window.lose("newreno", 15, 4, 100), window.segments
    (False, 6)
    >>> window.lose("newreno", 6, 0, 100), window.segments
    (True, 1)

    A window that grew to 37 segments and was not used for two timeouts:

    >>> window = Window()
    >>> window.grow("cubic", 10), window.grow("cubic", 17), window.rest(2), window.segments
    (None, None, None, 10)
    """

    __slots__ = ("_is_resent", "_threshold", "patience", "size")

    def __init__(self) -> None:
        self.size, self._threshold, self._is_resent = float(FIRST_WINDOW), math.inf, False
        self.patience = 0  # in timeouts: 1, 2, 4, ... in a row

    @property
    def segments(self) -> int:
        """Whole ones."""
        return int(self.size)

    def grow(self, congestion: str, count: int) -> None:
        """End a round of `count` segments in which nothing was lost.

        A window that the sender did not use does not grow; in slow start it does up to twice what was sent.
        """
        is_used = count >= self.segments
        if self.size >= self._threshold:
            self.size += PER_ROUND[congestion] if is_used else 0.0
        elif is_used:
            self.size *= GROWTH[congestion]
        elif 2 * count > self.size:
            self.size += (GROWTH[congestion] - 1.0) * count
        self.patience, self._is_resent = 0, False

    def rest(self, timeouts: int) -> None:
        """Halve the window for each timeout without a segment, down to the first window (RFC 2861)."""
        if timeouts and self.size > FIRST_WINDOW:
            self._threshold = max(self._threshold, 0.75 * self.size)
            self.size = max(self.size / 2.0 ** min(timeouts, 64), float(FIRST_WINDOW))

    def lose(self, congestion: str, count: int, first: int, rest: int) -> bool:
        """End a round in which a segment was lost and `rest` more are left; return if it takes a timeout."""
        is_told = count - 1 - first + min(first, rest) > 0
        is_timeout = not is_told or (self._is_resent and first == 0)
        # What was acknowledged selectively and what is lost are not in flight when the window shrinks.
        self._threshold = max(2.0, (max(count, self.segments) - _ACKED) * AFTER_LOSS[congestion])
        self.size = 1.0 if is_timeout else self._threshold
        self.patience = max(1, 2 * self.patience) if is_timeout else 0
        self._is_resent = True
        return is_timeout


def first_lost(uniform: float, loss: float) -> int:
    """Return how many segments arrive before one is lost, geometric; `uniform` is a multiple of 2**-32 below 1.

    Examples
    --------
    >>> first_lost(0.5, 0.01), first_lost(0.0, 0.5)
    (68, 0)
    """
    return int(min(math.log1p(-(uniform + 2.0**-33)) / math.log1p(-loss), 2.0**62))


def lossy_window(rtt_s: float, loss: float, rto_s: float) -> float:
    """Return the mean window in segments: that of Mathis, and a timeout where a segment is lost that was sent again.

    Each loss is behind 1 / p segments, which take 1 / (p W) round trips, and its repeat is lost with p, which takes
    `rto_s`, then twice as long, ...: 1 / (1 / W + p^2 / (1 - 2 p) RTO / RTT).
    """
    if loss <= 0:
        return math.inf
    return 1.0 / (1.0 / mathis_window(loss) + rto_s / rtt_s * loss**2 / (1.0 - 2.0 * loss))


def mathis_window(loss: float) -> float:
    """Return the mean congestion window in segments, sqrt(3 / (2 b p)) with b = 2; without end where nothing is lost.

    Examples
    --------
    >>> round(mathis_window(0.001), 3)
    27.386
    """
    return math.sqrt(3.0 / (2.0 * _ACKED * loss)) if loss > 0 else math.inf


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
    min_rto_s: float | None = None,
    reverse_bps: float | None = None,
    reverse_one_way_s: float | None = None,
    segment_bytes: int = SEGMENT_BYTES,
    overhead_bytes: int = OVERHEAD_BYTES,
) -> tuple[Float64s, Float64s]:
    """Return the seconds from the first SYN to the last byte of transfers that have the path for themselves.

    A transfer is n = ceil(B / MSS) segments of tx seconds each. In a round, RTT = there and back + tx, a window of
    floor(w) segments leaves without a gap; w is 10 at first and grows by `growth` every round. Once floor(w) tx >= RTT
    the path is full and the rest follows without a gap. Under loss all this lasts for `slow_start_segments`; then those
    that are left go at `lossy_window` per RTT. Where its slow start is a segment longer, a longer message may take up
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
        Probability that a segment is lost, 0 .. 0.05.
    handshake
        Whether SYN and SYN-ACK come first.
    min_rto_s
        What a timeout takes beyond a round trip; None: none ever happens.

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
    most = mathis_window(loss) if min_rto_s is None else lossy_window(rtt_s, loss, rtt_s + min_rto_s)
    slower = max(1.0, rtt_s / (most * full_s))
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
