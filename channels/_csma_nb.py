"""The event loop of contending IEEE 802.15.4 nodes, compiled. `channels._csma` says what the rules are.

Every table is int64, one record a row. Times are nanoseconds. Frames that are on the air, or were until a moment ago,
stand in a ring in order of their start; both data and acknowledgements are entered before they start, so every question
(is the channel busy, did the frame survive) is asked about intervals and not about the order of events.
"""

# mypy: disable-error-code="no-untyped-def, assignment"

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from channels._reception import LOWEST_SINR, MANY, SLOPES, WEIGHTS

FOREVER = 1 << 62
UNIT, CCA, TURN, OCTET = 320_000, 128_000, 192_000, 32_000
ACK_OCTETS, ACK_AIR, ACK_WAIT = 11, 352_000, 864_000
LIFS, SIFS, SIFS_OCTETS = 640_000, 192_000, 24
LONGEST = 4_600_000  # longer than any frame and a clear channel assessment
MARGIN = 200_000  # longer than any propagation
BUCKET_BITS = 14  # of nanoseconds: 16.4 us, less than any delay between two events

# What happens next to a node, in the order in which events of one instant are handled.
TX_END, ACK_END, ACKED, FOREIGN, TIMEOUT, PAUSE, CCA_END, CCA2_END = range(8)

# g: scalars.
(NOW, LOW, HIGH, SEEN, OUTS, LOGS, EVENTS, PENDING, FIRST, FREE_MSG, FREE_BLOCK) = range(11)
G_SIZE = 16

# node: a row each; what a clear channel assessment touches first.
(
    KIND, NB, BE, CACHE, HEAD, N_CCA, N_BUSY, DUTY_UNTIL, RETRY, CURRENT, TAIL, FREE, DUTY, BEGAN, AWAKE, SINCE,
    AWAKE_NS, PARTS, DOWN, TX_NS, TX_BYTES, TX_FRAMES, DEBT_OCTETS, DEBT_AIR, DEBT_TX, FRAMES, N_ACKED, N_NOACK, N_CAF,
    N_DUP, N_TX, N_GOT, N_CCA2, N_BUSY2, SERVICE, SOJOURN, LAST_END, AGAIN, UNTIL,
) = range(39)  # fmt: skip
NODE_SIZE = 40

# radio: a column for each node.
RX_FROM, LOCK_START, LOCK_END, LOCK_ID, RX_NS = range(5)

# ring: a column for each frame.
START, END, SRC, DST, IS_ACK, TRANSFER, FRAGMENT, TXNO, TRY, DEAD, REF, MET = range(12)
RING_SIZE = 12

# msg: a row for each message.
(
    M_TRANSFER, M_SRC, M_SIZE, M_FRAMES, M_WHOLE, M_FIRST, M_MIDDLE, M_LAST, M_SUBMIT, M_START, M_FRAGMENT, M_DRAWS,
    M_TXNO, M_TRY, M_DST, M_DSTS, M_NEXT, M_REPAIR, M_SENT, M_TX, M_OCTETS, M_AIR, M_TX_NS, M_ACKS, M_LEFT, M_TOLD,
) = range(26)  # fmt: skip
MSG_SIZE = 28

# dst: node, what it has, whether it can be reached.
D_NODE, D_STATE, D_REACHED, D_LINK = range(4)
DST_SIZE = 4
GOT, LOST, DONE = 1, 2, 4

# out: a row for each delivery.
(O_TRANSFER, O_DST, O_AT, O_OK, O_PACKETS, O_TX, O_OCTETS, O_AIR, O_SRC, O_SIZE, O_SUBMIT, O_START, O_TX_NS, O_ACKS,
 O_CAST) = range(15)  # fmt: skip
OUT_SIZE = 16

# log: a row for each frame that begins.
LOG_SIZE = 8

# par: constants.
(P_NODES, P_STRICT, P_NS3, P_ALL, P_SLOTTED, P_RELIABLE, P_ACK, P_SLEEPS, P_MIN_BE, P_MAX_BE, P_MAX_NB, P_MAX_RETRY,
 P_KEY, P_LOSS, P_HIDDEN) = range(15)  # fmt: skip
PAR_SIZE = 16
F_PER, F_NOISE, F_TABLE = range(3)

# link: of every sender (row) at every other node (column).
L_POWER, L_HEARS, L_SENSES, L_DELAY, L_CLEAR = range(5)

_MASK = np.uint64(0xFFFFFFFF)
_DEBRUIJN = np.uint64(0x03F79D71B4CB0A89)
_PLACES = np.zeros(64, np.int64)
for _i in range(64):
    _PLACES[((1 << _i) * 0x03F79D71B4CB0A89 & (1 << 64) - 1) >> 58] = _i
# Nothing is allocated here: numba's run time would count references to all tables at every call, half of the time.
_njit: Any = numba.njit
_outer = _njit(cache=True, _nrt=False)
_inner = _njit(cache=True, _nrt=False, no_cpython_wrapper=True)

_LOSS_KEY = np.uint64(0x9E3779B97F4A7C15)
_PAUSE_KEY = np.uint64(0xD1B54A32D192ED03)
FIRST_PAUSE, LAST_PAUSE = 5, 12  # exponents of the pause before a frame is tried once more, among hidden nodes
_HOP = 10_000_000  # less than the wheel spans


@_inner
def lowest_bit(x):
    """Index of the lowest bit that is set."""
    return _PLACES[((x & (~x + np.uint64(1))) * _DEBRUIJN) >> np.uint64(58)]


@_inner
def words(key, high, low):
    """`netsim.rng.philox` for one counter."""
    c0, c1 = low & _MASK, low >> np.uint64(32)
    c2, c3 = high & _MASK, high >> np.uint64(32)
    k0, k1 = key & _MASK, key >> np.uint64(32)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c2 = (p1 >> np.uint64(32)) ^ c1 ^ k0, (p0 >> np.uint64(32)) ^ c3 ^ k1
        c1, c3 = p1 & _MASK, p0 & _MASK
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & _MASK, (k1 + np.uint64(0xBB67AE85)) & _MASK
    return c0, c1, c2, c3


@_inner
def push(wheel, timer, entity, at):
    """Let something happen to an entity."""
    size = wheel.size // 2
    bucket = (at >> BUCKET_BITS) & (size - 1)
    timer[0, entity], timer[1, entity] = at, wheel[bucket]
    wheel[bucket] = entity
    wheel[size + (bucket >> 6)] |= np.int64(np.uint64(1) << np.uint64(bucket & 63))


@_inner
def remove(wheel, timer, entity):
    """Let it not happen."""
    size = wheel.size // 2
    bucket = (timer[0, entity] >> BUCKET_BITS) & (size - 1)
    if wheel[bucket] == entity:
        wheel[bucket] = timer[1, entity]
    else:
        before = wheel[bucket]
        while timer[1, before] != entity:
            before = timer[1, before]
        timer[1, before] = timer[1, entity]
    if wheel[bucket] < 0:
        wheel[size + (bucket >> 6)] &= ~np.int64(np.uint64(1) << np.uint64(bucket & 63))
    timer[0, entity] = FOREVER


@_inner
def next_bucket(wheel, now):
    """The first bucket from that of `now` on where something happens; -1 where nothing does."""
    size = wheel.size // 2
    first = (now >> BUCKET_BITS) & (size - 1)
    many = size >> 6
    word = first >> 6
    bits = np.uint64(wheel[size + word]) >> np.uint64(first & 63)
    if bits != np.uint64(0):
        return first + lowest_bit(bits)
    for k in range(1, many + 1):
        there = (word + k) & (many - 1)
        bits = np.uint64(wheel[size + there])
        if bits != np.uint64(0):
            return 64 * there + lowest_bit(bits)
    return np.int64(-1)


@_inner
def frame_octets(msg, m, cycle):
    """On the air, of the message's current frame."""
    f, whole = msg[m, M_FRAGMENT], msg[m, M_WHOLE]
    if f < whole:
        return cycle[f % cycle.size]
    if f == msg[m, M_FRAMES] - 1:
        return msg[m, M_LAST]
    return msg[m, M_FIRST] if f == whole else msg[m, M_MIDDLE]


@_inner
def backoff(node, msg, n, par):
    """The node's next draw: word c mod 4 of Philox under (key, transfer, c div 4), c counting its message's draws."""
    m = node[n, HEAD]
    c = msg[m, M_DRAWS]
    msg[m, M_DRAWS] = c + 1
    if c & 3 == 0:
        w0, w1, w2, w3 = words(np.uint64(par[P_KEY]), np.uint64(msg[m, M_TRANSFER]), np.uint64(c >> 2))
        low = np.uint64(255)
        packed = (w0 & low) | (w1 & low) << np.uint64(8) | (w2 & low) << np.uint64(16) | (w3 & low) << np.uint64(24)
        node[n, CACHE] = np.int64(packed)
    return (node[n, CACHE] >> (8 * (c & 3))) & ((1 << node[n, BE]) - 1)


@_inner
def begin(node, msg, wheel, timer, n, base, par):
    """Channel access for the node's current frame, from `base` on."""
    node[n, NB], node[n, BE] = 0, par[P_MIN_BE]
    wait_for(node, msg, wheel, timer, n, base, par)


@_inner
def wait_for(node, msg, wheel, timer, n, base, par):
    """A backoff from `base` on, then a clear channel assessment."""
    if par[P_SLOTTED]:
        base = (base + UNIT - 1) // UNIT * UNIT
    node[n, KIND] = CCA_END
    push(wheel, timer, n, base + backoff(node, msg, n, par) * UNIT + CCA)


@_inner
def settle(g, node, radio, ring, limit, par, real, link, log):
    """Frames that start before `limit`: who begins to receive them."""
    mask, nodes = ring.shape[1] - 1, par[P_NODES]
    while True:
        # With propagation an acknowledgement may stand before a frame that starts a little earlier.
        i, start = np.int64(-1), limit
        for j in range(g[SEEN], g[HIGH]):
            if ring[START, j & mask] < start and not ring[MET, j & mask]:
                i, start = j, ring[START, j & mask]
        if i < 0:
            break
        r = i & mask
        end, src = ring[END, r], ring[SRC, r]
        ring[MET, r] = 1
        while g[SEEN] < g[HIGH] and ring[MET, g[SEEN] & mask]:
            g[SEEN] += 1
        if ring[DEAD, r]:
            continue
        node[src, TX_NS] += end - start
        if log.shape[0] > 0:
            row = g[LOGS]
            g[LOGS] = row + 1
            log[row, 0], log[row, 1], log[row, 2], log[row, 3] = start, src, ring[DST, r], ring[TRANSFER, r]
            log[row, 4], log[row, 5], log[row, 6] = ring[FRAGMENT, r], ring[TRY, r], ring[IS_ACK, r]
        if par[P_ALL]:
            others = 0
            for j in range(g[LOW], g[HIGH]):
                q = j & mask
                if j != i and ring[MET, q] and ring[END, q] > start and not ring[DEAD, q]:
                    others += 1
            # Four equal signals, and none of them is 5 dB below the other three.
            if others * LOWEST_SINR < 1.0:
                for n in range(nodes):
                    if radio[RX_FROM, n] <= start and radio[LOCK_END, n] <= start:
                        radio[LOCK_START, n] = start
                        radio[LOCK_END, n] = end
                        radio[LOCK_ID, n] = i
                        radio[RX_NS, n] += end - start
            continue
        for n in range(nodes):
            late = start + np.int64(link[L_DELAY, src, n])
            if radio[RX_FROM, n] <= late and radio[LOCK_END, n] <= late and link[L_HEARS, src, n]:
                noise = real[F_NOISE]
                for j in range(g[LOW], g[HIGH]):
                    q = j & mask
                    other = ring[SRC, q]
                    if j == i or other == n or not ring[MET, q] or ring[DEAD, q]:
                        continue
                    if ring[END, q] + np.int64(link[L_DELAY, other, n]) > late:
                        noise += link[L_POWER, other, n]
                if link[L_POWER, src, n] > LOWEST_SINR * noise:
                    radio[LOCK_START, n] = late
                    radio[LOCK_END, n] = end + np.int64(link[L_DELAY, src, n])
                    radio[LOCK_ID, n] = i
                    radio[RX_NS, n] += end - start


@_inner
def log_right(sinr):
    """`channels._reception.log_success`."""
    total = 0.0
    for k in range(WEIGHTS.size):
        total += WEIGHTS[k] * math.exp(SLOPES[k] * sinr)
    return math.log1p(-min(max(total, 0.0), 1.0))


@_inner
def received(g, ring, radio, i, d, par, real, link):
    """Whether node `d` has the frame that ends now."""
    mask = ring.shape[1] - 1
    r = i & mask
    if radio[LOCK_ID, d] != i or ring[DEAD, r]:
        return False
    start, end, src = ring[START, r], ring[END, r], ring[SRC, r]
    is_all, logp, is_alone = par[P_ALL], 0.0, True
    if not is_all:
        start += np.int64(link[L_DELAY, src, d])
        end += np.int64(link[L_DELAY, src, d])
    for j in range(g[LOW], g[HIGH]):
        q = j & mask
        other = ring[SRC, q]
        late = 0 if is_all else np.int64(link[L_DELAY, other, d])
        if j == i or other == d or ring[START, q] + late >= end or ring[END, q] + late <= start:
            continue
        if is_all or link[L_HEARS, other, d]:
            if par[P_STRICT]:
                return False
            is_alone = False
    if is_alone:
        logp = 0.0 if is_all else link[L_CLEAR, src, d] * ((end - start) // 4000)
        if par[P_LOSS] == 0 or (logp == 0.0 and real[F_PER] == 0.0):
            return True
    elif is_all:
        now = start
        while now < end:
            then, others = end, 0
            for j in range(g[LOW], g[HIGH]):
                q = j & mask
                if j != i and ring[END, q] > now and ring[START, q] < end:
                    if ring[START, q] > now:
                        then = min(then, ring[START, q])
                    else:
                        then = min(then, ring[END, q])
                        others += 1
            logp += ((then - now + 3999) // 4000) * real[F_TABLE + min(others, MANY - 1)]
            now = then
    else:
        now = start
        while now < end:
            then, noise = end, 0.0
            for j in range(g[LOW], g[HIGH]):
                q = j & mask
                other = ring[SRC, q]
                begins, ends = (
                    ring[START, q] + np.int64(link[L_DELAY, other, d]),
                    ring[END, q] + np.int64(link[L_DELAY, other, d]),
                )
                if j != i and other != d and ends > now and begins < end:
                    if begins > now:
                        then = min(then, begins)
                    else:
                        then = min(then, ends)
                        noise += link[L_POWER, other, d]
            right = (
                link[L_CLEAR, src, d] if noise == 0.0 else log_right(link[L_POWER, src, d] / (noise + real[F_NOISE]))
            )
            logp += ((then - now + 3999) // 4000) * right
            now = then
    p = math.exp(logp)
    if not ring[IS_ACK, r]:
        p *= 1.0 - real[F_PER]
    if p >= 1.0:
        return True
    low = ring[TXNO, r] << 32 | d << 1 | ring[IS_ACK, r]
    word, _, _, _ = words(np.uint64(par[P_KEY]) ^ _LOSS_KEY, np.uint64(ring[TRANSFER, r]), np.uint64(low))
    return word * 2.0**-32 < p


@_inner
def is_busy(g, ring, n, now, par, link):
    """Whether a clear channel assessment of node `n` that ends now finds the channel busy."""
    mask, begun = ring.shape[1] - 1, now - CCA
    j = g[HIGH] - 1
    low = g[LOW]
    while j >= low:
        r = j & mask
        j -= 1
        start, end, src = ring[START, r], ring[END, r], ring[SRC, r]
        if start < begun - LONGEST:
            # Frames stand almost in order of their start: those before ended long ago.
            break
        if src == n or (ring[DEAD, r] and start == end):
            continue
        if not par[P_ALL]:
            if not link[L_SENSES, src, n]:
                continue
            start += np.int64(link[L_DELAY, src, n])
            end += np.int64(link[L_DELAY, src, n])
        if start >= now:
            continue
        if par[P_NS3]:
            if start >= begun or end >= now:
                return True
        elif end > begun:
            return True
    return False


@_inner
def deafen(radio, n, now):
    """The node's radio stops receiving."""
    if radio[LOCK_END, n] > now:
        radio[RX_NS, n] -= radio[LOCK_END, n] - max(now, radio[LOCK_START, n])
        radio[LOCK_END, n] = now
    radio[LOCK_ID, n] = -1
    radio[RX_FROM, n] = FOREVER


@_inner
def enter(g, ring, now, start, end, src, dst, is_ack, transfer, fragment, txno, attempt, ref):
    """A frame to come; its number."""
    mask = ring.shape[1] - 1
    # Nobody asks any more about a frame that ended before all those began that have not ended.
    oldest = now - CCA
    for j in range(g[LOW], g[HIGH]):
        if ring[END, j & mask] > now - MARGIN:
            oldest = min(oldest, ring[START, j & mask])
    while g[LOW] < g[HIGH] and ring[END, g[LOW] & mask] < oldest - MARGIN:
        g[LOW] += 1
    i = g[HIGH]
    if i - g[LOW] > mask:
        raise RuntimeError("more frames on the air than the ring holds")
    g[HIGH] = i + 1
    r = i & mask
    ring[START, r], ring[END, r], ring[SRC, r], ring[DST, r], ring[IS_ACK, r] = start, end, src, dst, is_ack
    ring[TRANSFER, r], ring[FRAGMENT, r], ring[TXNO, r], ring[TRY, r] = transfer, fragment, txno, attempt
    ring[DEAD, r], ring[REF, r], ring[MET, r] = 0, ref, 0
    return i


@_inner
def emit(g, node, msg, dst, m, row, now, is_ok, out):
    """End a message at one destination; it tells what its sender used since it last told."""
    n, o = msg[m, M_SRC], g[OUTS]
    g[OUTS] = o + 1
    g[FIRST] = now if o == 0 else min(g[FIRST], now)
    g[PENDING] -= 1
    dst[row, D_STATE] |= DONE
    msg[m, M_LEFT] -= 1
    out[o, O_TRANSFER], out[o, O_DST], out[o, O_AT], out[o, O_OK] = msg[m, M_TRANSFER], dst[row, D_NODE], now, is_ok
    out[o, O_PACKETS] = 0 if msg[m, M_TOLD] else msg[m, M_SENT]
    msg[m, M_TOLD] = 1
    out[o, O_TX] = max(msg[m, M_TX] + node[n, DEBT_TX], out[o, O_PACKETS])
    out[o, O_OCTETS] = max(msg[m, M_OCTETS] + node[n, DEBT_OCTETS], 0)
    out[o, O_AIR] = max(msg[m, M_AIR] + node[n, DEBT_AIR], 0)
    node[n, DEBT_TX] += msg[m, M_TX] - out[o, O_TX]
    node[n, DEBT_OCTETS] += msg[m, M_OCTETS] - out[o, O_OCTETS]
    node[n, DEBT_AIR] += msg[m, M_AIR] - out[o, O_AIR]
    msg[m, M_TX] = msg[m, M_OCTETS] = msg[m, M_AIR] = 0
    out[o, O_SRC], out[o, O_SIZE], out[o, O_SUBMIT] = n, msg[m, M_SIZE], msg[m, M_SUBMIT]
    out[o, O_START], out[o, O_TX_NS], out[o, O_ACKS] = msg[m, M_START], msg[m, M_TX_NS], msg[m, M_ACKS]
    out[o, O_CAST] = msg[m, M_DSTS]


@_inner
def rest(node, radio, n, now, par):
    """Let a radio sleep that takes part in nothing any more."""
    if par[P_SLEEPS] and node[n, AWAKE] and node[n, PARTS] == 0 and node[n, DUTY] < 0:
        node[n, AWAKE] = 0
        node[n, AWAKE_NS] += now - node[n, SINCE]
        deafen(radio, n, now)


@_inner
def free(g, msg, dst, m):
    """Put a message's rows back."""
    if msg[m, M_DSTS] > 1:
        dst[msg[m, M_DST], D_LINK] = g[FREE_BLOCK]
        g[FREE_BLOCK] = msg[m, M_DST]
    msg[m, M_NEXT] = g[FREE_MSG]
    g[FREE_MSG] = m


@_inner
def finish(g, node, radio, msg, dst, n, now, base, par, out):
    """The node's message is through; whether there is another."""
    m = node[n, HEAD]
    for row in range(msg[m, M_DST], msg[m, M_DST] + msg[m, M_DSTS]):
        if not dst[row, D_STATE] & DONE:
            emit(g, node, msg, dst, m, row, now, 0, out)
        d = dst[row, D_NODE]
        node[d, PARTS] -= 1
        rest(node, radio, d, now, par)
    node[n, DEBT_TX] += msg[m, M_TX]
    node[n, DEBT_OCTETS] += msg[m, M_OCTETS]
    node[n, DEBT_AIR] += msg[m, M_AIR]
    node[n, HEAD] = msg[m, M_NEXT]
    node[n, FREE] = base
    free(g, msg, dst, m)
    node[n, PARTS] -= 1
    if node[n, HEAD] < 0:
        node[n, TAIL] = -1
        rest(node, radio, n, now, par)
        return False
    m = node[n, HEAD]
    msg[m, M_START] = max(base, msg[m, M_SUBMIT])
    return True


@_inner
def is_wanted(msg, dst, m):
    """Whether anybody whom the current frame is for can be reached."""
    first, last = msg[m, M_DST], msg[m, M_DST] + msg[m, M_DSTS]
    if msg[m, M_REPAIR] >= 0:
        first = msg[m, M_REPAIR]
        last = first + 1
    wanted = 0
    for row in range(first, last):
        wanted += dst[row, D_REACHED]
    return wanted > 0


@_inner
def go_on(g, node, radio, timer, wheel, msg, dst, par, out, n, now, base):
    """Through with the current frame to whom it was for: whoever else needs it, the next frame, the next message."""
    m = node[n, HEAD]
    first, last = msg[m, M_DST], msg[m, M_DST] + msg[m, M_DSTS]
    following = np.int64(-1)
    if msg[m, M_DSTS] > 1 and par[P_RELIABLE]:
        for row in range(msg[m, M_REPAIR] + 1 if msg[m, M_REPAIR] >= 0 else first, last):
            if dst[row, D_REACHED] and not dst[row, D_STATE] & (GOT | DONE):
                following = row
                break
    msg[m, M_REPAIR] = following
    if following < 0:
        node[n, FRAMES] += 1
        for row in range(first, last):
            if not dst[row, D_STATE] & GOT:
                dst[row, D_STATE] |= LOST
            dst[row, D_STATE] &= ~GOT
        msg[m, M_TRY] = 0
        msg[m, M_FRAGMENT] += 1
        if msg[m, M_FRAGMENT] == msg[m, M_FRAMES]:
            node[n, LAST_END] = now
            if not finish(g, node, radio, msg, dst, n, now, base, par, out):
                return
            base = msg[node[n, HEAD], M_START]
    # The next frame is handed to the MAC at once, before the spacing.
    node[n, RETRY] = node[n, AGAIN] = 0
    node[n, BEGAN] = max(now, msg[node[n, HEAD], M_SUBMIT])
    begin(node, msg, wheel, timer, n, base, par)


@_inner
def got(g, node, msg, dst, m, row, now, out):
    """A destination has the current frame: again, or for the first time, and then perhaps the whole message."""
    n = msg[m, M_SRC]
    if dst[row, D_STATE] & GOT:
        node[n, N_DUP] += 1
        return
    dst[row, D_STATE] |= GOT
    node[n, N_GOT] += 1
    if msg[m, M_FRAGMENT] == msg[m, M_FRAMES] - 1 and not dst[row, D_STATE] & (LOST | DONE):
        emit(g, node, msg, dst, m, row, now, 1, out)


@_outer
def run(g, node, radio, timer, wheel, ring, msg, dst, par, real, link, cycle, out, log, to, budget, stops):
    """Handle events up to and at `to`.

    Parameters
    ----------
    budget
        Stop at the end of the instant in which that many events were handled.
    stops
        Stop at the end of the instant of the first delivery, `g[FIRST]`.

    Returns
    -------
    Up to and at which instant everything has happened.
    """
    nodes, mask = par[P_NODES], ring.shape[1] - 1
    now, events = g[NOW], 0
    while True:
        bucket = next_bucket(wheel, now)
        if bucket < 0:
            if not (stops and g[OUTS] > 0):
                now = to
            break
        entity = wheel[bucket]
        if timer[1, entity] >= 0:
            # Several in one bucket: the earliest, then by kind, then by number.
            other = timer[1, entity]
            while other >= 0:
                a, b = timer[0, other], timer[0, entity]
                if a <= b:
                    ka = ACK_END if other >= nodes else node[other, KIND]
                    kb = ACK_END if entity >= nodes else node[entity, KIND]
                    if a < b or ka < kb or (ka == kb and other < entity):
                        entity = other
                other = timer[1, other]
        at = timer[0, entity]
        if at > to:
            now = to
            break
        if at > now and (
            events >= budget
            or (stops and g[OUTS] > 0 and at > g[FIRST])
            or (log.shape[0] > 0 and g[LOGS] + 2 * nodes > log.shape[0])
        ):
            break
        events += 1
        now = at
        remove(wheel, timer, entity)
        if g[SEEN] < g[HIGH]:
            settle(g, node, radio, ring, now, par, real, link, log)

        if entity >= nodes:  # an acknowledgement ends
            d = entity - nodes
            i = node[d, DUTY]
            node[d, DUTY] = -1
            node[d, TX_BYTES] += ACK_OCTETS
            node[d, TX_FRAMES] += 1
            for b in range(nodes):
                if radio[LOCK_ID, b] != i or node[b, KIND] != TIMEOUT or timer[0, b] == FOREVER:
                    continue
                if received(g, ring, radio, i, b, par, real, link):
                    remove(wheel, timer, b)
                    node[b, KIND] = ACKED if node[b, CURRENT] == ring[REF, i & mask] else FOREIGN
                    push(wheel, timer, b, now if par[P_ALL] else now + np.int64(link[L_DELAY, d, b]))
            if node[d, AWAKE]:
                radio[RX_FROM, d] = now + TURN
            rest(node, radio, d, now, par)
            continue

        n = entity
        kind = node[n, KIND]
        m = node[n, HEAD]
        base = now
        # What has become of the frame: 0 nothing yet, 1 through with it, 2 once more, 3 given up.
        fate = 0
        if kind in (CCA_END, CCA2_END):
            node[n, N_CCA if kind == CCA_END else N_CCA2] += 1
            if node[n, DUTY_UNTIL] > now - CCA or is_busy(g, ring, n, now, par, link):
                node[n, N_BUSY if kind == CCA_END else N_BUSY2] += 1
                node[n, NB] += 1
                node[n, BE] = min(node[n, BE] + 1, par[P_MAX_BE])
                if node[n, NB] > par[P_MAX_NB]:
                    node[n, N_CAF] += 1
                    fate = 3
                else:
                    wait_for(node, msg, wheel, timer, n, now, par)
            elif par[P_SLOTTED] and kind == CCA_END:
                node[n, KIND] = CCA2_END
                push(wheel, timer, n, now + UNIT)
            else:
                octets = frame_octets(msg, m, cycle)
                start = now + TURN
                end = start + octets * OCTET
                to_node = np.int64(-1)
                if msg[m, M_DSTS] == 1:
                    to_node = dst[msg[m, M_DST], D_NODE]
                elif msg[m, M_REPAIR] >= 0:
                    to_node = dst[msg[m, M_REPAIR], D_NODE]
                msg[m, M_TXNO] += 1
                msg[m, M_TRY] += 1
                node[n, CURRENT] = enter(g, ring, now, start, end, n, to_node, 0, msg[m, M_TRANSFER],
                                         msg[m, M_FRAGMENT], msg[m, M_TXNO], msg[m, M_TRY], -1)  # fmt: skip
                deafen(radio, n, now)
                node[n, KIND] = TX_END
                push(wheel, timer, n, end)
        elif kind == TX_END:
            i = node[n, CURRENT]
            r = i & mask
            air = ring[END, r] - ring[START, r]
            node[n, TX_BYTES] += air // OCTET
            node[n, TX_FRAMES] += 1
            node[n, N_TX] += 1
            msg[m, M_TX] += 1
            msg[m, M_OCTETS] += air // OCTET
            msg[m, M_AIR] += air
            msg[m, M_TX_NS] += air
            if msg[m, M_TRY] == 1:
                msg[m, M_SENT] += 1
            radio[RX_FROM, n] = now + TURN
            row = msg[m, M_DST]
            if msg[m, M_DSTS] > 1 and msg[m, M_REPAIR] < 0:
                for row in range(msg[m, M_DST], msg[m, M_DST] + msg[m, M_DSTS]):
                    d = dst[row, D_NODE]
                    if received(g, ring, radio, i, d, par, real, link):
                        got(g, node, msg, dst, m, row, now if par[P_ALL] else now + np.int64(link[L_DELAY, n, d]), out)
                fate = 1
            else:
                if msg[m, M_REPAIR] >= 0:
                    row = msg[m, M_REPAIR]
                d = dst[row, D_NODE]
                is_there = received(g, ring, radio, i, d, par, real, link)
                there = now if par[P_ALL] else now + np.int64(link[L_DELAY, n, d])
                if not par[P_ACK]:
                    if is_there:
                        got(g, node, msg, dst, m, row, there, out)
                    fate = 1
                else:
                    if is_there:
                        # Its acknowledgement is sure to come: the message counts it at once.
                        msg[m, M_OCTETS] += ACK_OCTETS
                        msg[m, M_AIR] += ACK_AIR
                        msg[m, M_ACKS] += 1
                        got(g, node, msg, dst, m, row, there, out)
                        start = there + TURN
                        if par[P_SLOTTED]:
                            start = (start + UNIT - 1) // UNIT * UNIT
                        node[d, DUTY] = enter(g, ring, now, start, start + ACK_AIR, d, n, 1, ring[TRANSFER, r],
                                              ring[FRAGMENT, r], ring[TXNO, r], ring[TRY, r], i)  # fmt: skip
                        deafen(radio, d, there)
                        node[d, DUTY_UNTIL] = start + ACK_AIR + TURN
                        push(wheel, timer, nodes + d, start + ACK_AIR)
                    node[n, KIND] = TIMEOUT
                    push(wheel, timer, n, now + ACK_WAIT)
        elif kind == ACKED:
            node[n, N_ACKED] += 1
            fate = 1
        elif kind == PAUSE:
            if now < node[n, UNTIL]:
                push(wheel, timer, n, min(node[n, UNTIL], now + _HOP))
            else:
                begin(node, msg, wheel, timer, n, now, par)
        else:  # no acknowledgement, or that of another frame
            node[n, RETRY] += 1
            if node[n, RETRY] > par[P_MAX_RETRY]:
                node[n, N_NOACK] += 1
                fate = 3
            else:
                begin(node, msg, wheel, timer, n, now, par)

        if fate == 0:
            continue
        if fate == 1:
            r = node[n, CURRENT] & mask
            base = now + (SIFS if ring[END, r] - ring[START, r] <= SIFS_OCTETS * OCTET else LIFS)
            if kind == ACKED or ring[DST, r] >= 0:
                node[n, SERVICE] += now - node[n, BEGAN]
                node[n, SOJOURN] += now - msg[m, M_SUBMIT]
        elif par[P_RELIABLE] and is_wanted(msg, dst, m):
            node[n, RETRY] = 0
            node[n, BEGAN] = base
            if par[P_HIDDEN] and kind != CCA_END and kind != CCA2_END:
                node[n, AGAIN] += 1
                high, low = np.uint64(msg[m, M_TRANSFER]), np.uint64(msg[m, M_TXNO])
                word, _, _, _ = words(np.uint64(par[P_KEY]) ^ _PAUSE_KEY, high, low)
                periods = np.int64(word) & ((1 << min(FIRST_PAUSE + node[n, AGAIN], LAST_PAUSE)) - 1)
                node[n, UNTIL] = now + periods * UNIT
                node[n, KIND] = PAUSE
                push(wheel, timer, n, min(node[n, UNTIL], now + _HOP))
            else:
                begin(node, msg, wheel, timer, n, base, par)
            continue
        go_on(g, node, radio, timer, wheel, msg, dst, par, out, n, now, base)
    if g[SEEN] < g[HIGH]:
        settle(g, node, radio, ring, now + 1, par, real, link, log)
    g[NOW] = now
    g[EVENTS] += events
    return now


@_outer
def submit(g, node, radio, timer, wheel, msg, dst, par, m, now):
    """A message whose row is filled in; everything up to `now` has happened."""
    n = msg[m, M_SRC]
    g[PENDING] += msg[m, M_DSTS]
    msg[m, M_LEFT] = msg[m, M_DSTS]
    wake(node, radio, n, now)
    for row in range(msg[m, M_DST], msg[m, M_DST] + msg[m, M_DSTS]):
        wake(node, radio, dst[row, D_NODE], now)
    if node[n, TAIL] >= 0:
        msg[node[n, TAIL], M_NEXT] = m
        node[n, TAIL] = m
        return
    node[n, HEAD] = node[n, TAIL] = m
    msg[m, M_START] = max(now, node[n, FREE])
    node[n, RETRY] = 0
    node[n, BEGAN] = now
    begin(node, msg, wheel, timer, n, msg[m, M_START], par)


@_inner
def wake(node, radio, n, now):
    """The node takes part in one message more."""
    node[n, PARTS] += 1
    if not node[n, AWAKE] and not node[n, DOWN]:
        node[n, AWAKE] = 1
        node[n, SINCE] = now
        radio[RX_FROM, n] = now


@_inner
def cut(g, node, radio, ring, i, now):
    """A frame stops; how long it was on the air."""
    r = i & (ring.shape[1] - 1)
    start, end = ring[START, r], ring[END, r]
    if end <= now:
        return np.int64(0)
    ring[DEAD, r] = 1
    if start > now:
        ring[END, r] = start
        return np.int64(0)
    ring[END, r] = now
    node[ring[SRC, r], TX_NS] -= end - now
    for n in range(radio.shape[1]):
        if radio[LOCK_ID, n] == i:
            heard_from = radio[RX_FROM, n]
            deafen(radio, n, now)
            radio[RX_FROM, n] = heard_from
    return now - start


@_inner
def stop(g, node, radio, timer, wheel, ring, msg, n, now):
    """End what the node does for its current message; its frame on the air is cut."""
    m = node[n, HEAD]
    if node[n, KIND] == TX_END:
        air = cut(g, node, radio, ring, node[n, CURRENT], now)
        msg[m, M_AIR] += air
        msg[m, M_TX_NS] += air
        radio[RX_FROM, n] = now + TURN
    remove(wheel, timer, n)


@_outer
def down(g, node, radio, timer, wheel, ring, msg, dst, par, out, n, now):
    """A node goes down; everything up to `now` has happened."""
    node[n, DOWN] = 1
    if node[n, DUTY] >= 0:
        i = node[n, DUTY]
        heard = ring[DST, i & (ring.shape[1] - 1)]
        air = cut(g, node, radio, ring, i, now)
        node[heard, DEBT_OCTETS] -= ACK_OCTETS
        node[heard, DEBT_AIR] -= ACK_AIR - air
        node[n, DUTY] = -1
        node[n, DUTY_UNTIL] = now
        remove(wheel, timer, par[P_NODES] + n)
    more = node[n, HEAD] >= 0
    if more:
        stop(g, node, radio, timer, wheel, ring, msg, n, now)
    while more:
        more = finish(g, node, radio, msg, dst, n, now, now, par, out)
    for src in range(par[P_NODES]):
        before, m = np.int64(-1), node[src, HEAD]
        while m >= 0:
            then, first, last = msg[m, M_NEXT], msg[m, M_DST], msg[m, M_DST] + msg[m, M_DSTS]
            left = 0
            for row in range(first, last):
                if dst[row, D_NODE] == n:
                    dst[row, D_REACHED] = 0
                    if not dst[row, D_STATE] & DONE:
                        emit(g, node, msg, dst, m, row, now, 0, out)
                left += 1 - node[dst[row, D_NODE], DOWN]
            is_first = m == node[src, HEAD]
            if is_first and left == 0:
                stop(g, node, radio, timer, wheel, ring, msg, src, now)
                if finish(g, node, radio, msg, dst, src, now, now, par, out):
                    node[src, RETRY] = 0
                    node[src, BEGAN] = now
                    begin(node, msg, wheel, timer, src, now, par)
            elif left == 0:
                msg[before, M_NEXT] = then
                if then < 0:
                    node[src, TAIL] = before
                for row in range(first, last):
                    node[dst[row, D_NODE], PARTS] -= 1
                node[src, PARTS] -= 1
                free(g, msg, dst, m)
            else:
                if is_first and msg[m, M_REPAIR] >= 0 and dst[msg[m, M_REPAIR], D_NODE] == n:
                    stop(g, node, radio, timer, wheel, ring, msg, src, now)
                    go_on(g, node, radio, timer, wheel, msg, dst, par, out, src, now, now)
                before = m
            m = then
    if node[n, AWAKE]:
        node[n, AWAKE] = 0
        node[n, AWAKE_NS] += now - node[n, SINCE]
    deafen(radio, n, now)


@_outer
def up(node, radio, n, now, par):
    """A node comes up again."""
    node[n, DOWN] = 0
    if not par[P_SLEEPS] or node[n, PARTS] > 0:
        node[n, AWAKE] = 1
        node[n, SINCE] = now
        radio[RX_FROM, n] = now
