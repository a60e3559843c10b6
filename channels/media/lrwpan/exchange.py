"""One message on an IEEE 802.15.4 medium that it has for itself: frame after frame, backoff to acknowledgement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from channels.costing.models import Int64s
from channels.media.lrwpan import timing as t
from netsim.interfaces import BROADCAST, Frame, NodeId, TransferId


class Progress(NamedTuple):
    """A message up to an instant: data and acknowledgements on the air, and frames and acknowledgements that ended."""

    data_ns: int
    ack_ns: int
    frames: int
    data_octets: int
    acks: int


class Exchange:
    """The timeline of one message, in nanoseconds from its start.

    A frame is backoff, clear channel assessment, turnaround, data, and to a single destination turnaround and
    acknowledgement; then the spacing before the next frame.

    Parameters
    ----------
    transfer, src, dst, size_bytes, submit_ns
        As submitted; `dst` loses those that go down.
    payload_bytes
        Of a full frame.
    backoffs
        Backoff periods of each frame, shape (k,).
    lead_ns
        Before the first backoff, while the radios of all who take part wake.

    Attributes
    ----------
    start_ns
        Absolute; -1 while it waits.
    deliver_ns, end_ns, free_ns
        The last data frame's end, the last acknowledgement's end, and the end of the spacing behind it.
    whole
        `Progress` at the end.
    """

    def __init__(
        self, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int, payload_bytes: int,
        submit_ns: int, backoffs: Int64s, lead_ns: int = 0,
    ) -> None:  # fmt: skip
        self.transfer, self.src, self.dst, self.size_bytes, self.submit_ns = transfer, src, dst, size_bytes, submit_ns
        self.start_ns, self.is_delivered, self.lead_ns = -1, False, lead_ns
        self._ack_ns = t.ACK_NS if len(dst) == 1 else 0
        self._payload = np.full(backoffs.size, payload_bytes, np.int64)
        self._payload[-1] = size_bytes - (backoffs.size - 1) * payload_bytes
        self._wait_ns = backoffs * t.BACKOFF_NS + (t.CCA_NS + t.TURNAROUND_NS)
        self._data_ns = t.OCTET_NS * (self._payload + t.OVERHEAD_OCTETS)
        tail_ns = t.TURNAROUND_NS + t.ACK_NS if self._ack_ns else 0
        ends = lead_ns + np.cumsum(self._wait_ns + self._data_ns + tail_ns + t.spacing_ns(self._payload))
        self._begin_ns = np.concatenate([[lead_ns], ends[:-1]])
        self.deliver_ns = int(self._begin_ns[-1] + self._wait_ns[-1] + self._data_ns[-1])
        self.end_ns, self.free_ns = self.deliver_ns + tail_ns, int(ends[-1])
        self._announced = 0
        octets, self._frames = size_bytes + t.OVERHEAD_OCTETS * self._payload.size, self._payload.size
        acks = self._frames if self._ack_ns else 0
        self.whole = Progress(octets * t.OCTET_NS, acks * t.ACK_NS, self._frames, octets, acks)

    def progress(self, elapsed_ns: int) -> Progress:
        """Return the progress `elapsed_ns` after the start; none before it."""
        if elapsed_ns >= self.end_ns:
            return self.whole
        data = elapsed_ns - self._begin_ns - self._wait_ns
        ack = data - self._data_ns - t.TURNAROUND_NS
        ended, acked = data >= self._data_ns, (ack >= self._ack_ns) & (self._ack_ns > 0)
        return Progress(
            int(np.minimum(np.maximum(data, 0), self._data_ns).sum()),
            int(np.minimum(np.maximum(ack, 0), self._ack_ns).sum()),
            int(ended.sum()),
            int((self._payload + t.OVERHEAD_OCTETS)[ended].sum()),
            int(acked.sum()),
        )

    def frames_until(self, to_ns: int) -> Iterator[Frame]:
        """Yield every frame that begins by `to_ns` and was not given before."""
        offset = int(self._payload[0])
        while self._announced < 2 * self._frames:
            frame, is_ack = divmod(self._announced, 2)
            start_ns = int(self.start_ns + self._begin_ns[frame] + self._wait_ns[frame])
            if is_ack:
                start_ns += int(self._data_ns[frame]) + t.TURNAROUND_NS
            if start_ns > to_ns:
                return
            self._announced += 1
            if not is_ack:
                dst = self.dst[0] if self._ack_ns else BROADCAST
                length = int(self._payload[frame])
                yield Frame(start_ns, self.src, dst, self.transfer, frame * offset, length, 1, "data")
            elif self._ack_ns:
                yield Frame(start_ns, self.dst[0], self.src, self.transfer, 0, 0, 1, "ack")
