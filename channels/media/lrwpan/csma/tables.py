"""Tables of the contending cell: their columns, their sizes, and the times of the standard in nanoseconds.

All are int64. Kernels take these names as constants when they are compiled.
"""

from __future__ import annotations

from channels.media.lrwpan import timing

FOREVER = 1 << 62
UNIT, CCA, TURN, OCTET = timing.BACKOFF_NS, timing.CCA_NS, timing.TURNAROUND_NS, timing.OCTET_NS
ACK_OCTETS, ACK_AIR, ACK_WAIT = timing.ACK_OCTETS, timing.ACK_NS, 864_000
LIFS, SIFS, SIFS_OCTETS = timing.LIFS_NS, timing.SIFS_NS, timing.MAX_SIFS_MPDU + timing.PHY_OCTETS
LONGEST = 4_600_000  # longer than any frame and a clear channel assessment
MARGIN = 200_000  # longer than any propagation
FIRST_PAUSE, LAST_PAUSE = 5, 12  # exponents of the pause before a frame is tried once more, among hidden nodes
HOP = 10_000_000  # less than the wheel spans
BUCKET_BITS = 16  # of nanoseconds: a bucket of the wheel is 65.5 us

# A node's next event, in the order in which events of one instant are handled.
TX_END, ACK_END, ACKED, FOREIGN, TIMEOUT, PAUSE, CCA_END, CCA2_END = range(8)

# g: scalars. Rows of messages and blocks of destinations: the first that is free again, and how many were ever used;
# how many events were scheduled.
NOW, LOW, HIGH, SEEN, OUTS, LOGS, EVENTS, PENDING, FIRST, FREE_MSG, FREE_BLOCK, MSGS, BLOCKS, TURNS = range(14)
G_SIZE = 16

# node: a row each; what a clear channel assessment touches first.
(
    KIND, NB, CACHE, HEAD, N_CCA, N_BUSY, DUTY_UNTIL, RETRY, CURRENT, AIR, TAIL, FREE, DUTY, BEGAN,
    AWAKE, SINCE, AWAKE_NS, PARTS, DOWN, TX_NS, TX_BYTES, TX_FRAMES, DEBT_OCTETS, DEBT_AIR, DEBT_TX, FRAMES, N_ACKED,
    N_NOACK, N_CAF, N_DUP, N_TX, N_GOT, N_CCA2, N_BUSY2, SERVICE, SOJOURN, LAST_END, AGAIN, UNTIL, NAME,
    WAITS, TURN_NO, DSN,
) = range(43)  # fmt: skip
NODE_SIZE = 43

# radio: a column for each node. OPEN: reception of the locked frame is undecided (ns-3's draws); BROKEN: its outcome.
# PREV: the frame that it was locked onto just before.
RX_FROM, LOCK_START, LOCK_END, LOCK_ID, RX_NS, OPEN, BROKEN, PREV_ID, PREV_END, PREV_BROKEN = range(10)
RADIO_SIZE = 10

# timer: a column for each node, and behind them for each acknowledgement: when, and who else is in that bucket.
AT, NEXT = range(2)

# ring: a row for each frame that is on the air, was until a moment ago, or is about to be, almost in order of start.
START, END, SRC, DEAD, MET, DST, IS_ACK, TRANSFER, FRAGMENT, TXNO, TRY, REF, SEQUENCE = range(13)
RING_SIZE = 13

# msg: a row for each message.
(
    M_TRANSFER, M_SRC, M_SIZE, M_FRAMES, M_WHOLE, M_FIRST, M_MIDDLE, M_LAST, M_SUBMIT, M_START, M_FRAGMENT, M_DRAWS,
    M_TXNO, M_TRY, M_DST, M_DSTS, M_NEXT, M_REPAIR, M_SENT, M_TX, M_OCTETS, M_AIR, M_TX_NS, M_ACKS, M_LEFT, M_TOLD,
    M_LATE, M_ROUND,
) = range(28)  # fmt: skip
MSG_SIZE = 28

# dst: a row for each destination of a message: node, how things stand there, whether it can be reached, the next free
# block, how many frames have arrived. GOT and SENT are of the current frame, SENT in the message's first row.
D_NODE, D_STATE, D_REACHED, D_LINK, D_COUNT = range(5)
DST_SIZE = 5
GOT, SENT, DONE = 1, 2, 4

# late: a row for each node: of its message's frames that were given up and wait, bits in three words for 64 frames.
LATE_WAITS, LATE_SENT, LATE_GOT = range(3)
LATE_SIZE = 3

# out: a row for each delivery, the fields of `netsim.interfaces.Delivery` in their order; the last two are float64.
(
    O_TRANSFER, O_DST, O_AT, O_OK, O_PACKETS, O_TX, O_OCTETS, O_AIR, O_SRC, O_SIZE, O_SERVICE_S, O_ENERGY_J,
) = range(12)  # fmt: skip
OUT_SIZE = 12

# log: a row for each frame that begins.
LOG_SIZE = 8

# par: constants.
(
    P_NODES, P_STRICT, P_NS3, P_ALL, P_SLOTTED, P_RELIABLE, P_ACK, P_SLEEPS, P_MIN_BE, P_MAX_BE, P_MAX_NB, P_MAX_RETRY,
    P_KEY, P_LOSS, P_HIDDEN,
) = range(15)  # fmt: skip
PAR_SIZE = 16

# real: float64 constants: error rate, noise, watts, the least power that an assessment notices, and behind them
# the table of equal interferers.
F_PER, F_NOISE, F_TX_W, F_RX_W, F_LISTEN_W, F_IDLE_W, F_CCA, F_TABLE = range(8)

# link: of every sender (row) at every other node (column).
L_POWER, L_HEARS, L_DELAY, L_CLEAR = range(4)
