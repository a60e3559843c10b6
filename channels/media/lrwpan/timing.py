"""IEEE 802.15.4 at 2.4 GHz (O-QPSK): times and sizes of frames, shared by its medium access schemes."""

from __future__ import annotations

import numpy as np

from channels.costing.models import Int64s

OCTET_NS = 32_000  # 250 kbit/s
PHY_OCTETS = 6  # preamble 4, start of frame 1, length 1
MAC_OCTETS = 11  # short addresses in one PAN: header 9, check sequence 2
OVERHEAD_OCTETS = PHY_OCTETS + MAC_OCTETS
MAX_PAYLOAD = 127 - MAC_OCTETS
ACK_OCTETS = PHY_OCTETS + 5
ACK_NS = OCTET_NS * ACK_OCTETS
BACKOFF_NS = 320_000  # aUnitBackoffPeriod, 20 symbols of 16 us
BACKOFFS = 8  # 2 ** macMinBE
CCA_NS = 128_000
TURNAROUND_NS = 192_000
LIFS_NS, SIFS_NS = 640_000, 192_000
MAX_SIFS_MPDU = 18

# Slots of TSCH.
SHR_NS = 160_000  # preamble and start-of-frame delimiter
TX_OFFSET_NS = 2_120_000  # from the slot's start to the end of the delimiter
RX_WAIT_NS = 2_200_000
TX_ACK_DELAY_NS = 1_000_000  # from the end of the frame to the end of the acknowledgement's delimiter
RX_ACK_DELAY_NS, ACK_WAIT_NS = 800_000, 400_000
FRAME_NS = TX_OFFSET_NS - SHR_NS  # from the slot's start to the frame's
WINDOW_NS = FRAME_NS - RX_WAIT_NS // 2
SHORTEST_SLOT_NS = TX_OFFSET_NS + 128 * OCTET_NS + TX_ACK_DELAY_NS + ACK_NS


def spacing_ns(payload_bytes: Int64s) -> Int64s:
    """Return the interframe spacing behind a frame: short up to 18 octets of MPDU, else long."""
    return np.where(payload_bytes + MAC_OCTETS <= MAX_SIFS_MPDU, SIFS_NS, LIFS_NS)
