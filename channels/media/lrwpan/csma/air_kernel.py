"""Frames on the air and the radios that receive them, compiled: the side of the receivers in a contending cell.

Both data and acknowledgements are entered in the ring before they start, so every question (is the channel busy, did
the frame survive) is about intervals and not about the order of events. A radio locks onto the first frame that it can
make out of the noise, and keeps to it until that frame ends.
"""

# mypy: disable-error-code="no-untyped-def, assignment"

from __future__ import annotations

import math

import numpy as np

from channels.media.lrwpan.csma import tables as t
from channels.media.lrwpan.csma.compiling import inner
from channels.media.lrwpan.csma.ns3_reception_kernel import decide, is_before, log_right
from channels.media.lrwpan.csma.philox_kernel import words
from channels.media.lrwpan.reception import LOWEST_SINR, MANY

_LOSS_KEY = np.uint64(0x9E3779B97F4A7C15)


@inner
def enter(g, ring, now, start, end, src, dst, is_ack, transfer, fragment, txno, attempt, ref):
    """Enter a frame that is to come; return its number, which is that of its row modulo the ring's size."""
    mask = ring.shape[0] - 1
    # Nothing depends on a frame that ended before the oldest frame on the air began: its row is free.
    oldest = now - t.CCA
    for j in range(g[t.LOW], g[t.HIGH]):
        if ring[j & mask, t.END] > now - t.MARGIN:
            oldest = min(oldest, ring[j & mask, t.START])
    while g[t.LOW] < g[t.HIGH] and ring[g[t.LOW] & mask, t.END] < oldest - t.MARGIN:
        g[t.LOW] += 1
    # Without the number of another row the ring would overwrite a frame that is on the air.
    i = g[t.HIGH]
    if i - g[t.LOW] > mask:
        raise RuntimeError("more frames on the air than the ring holds")
    g[t.HIGH] = i + 1
    r = i & mask
    ring[r, t.START], ring[r, t.END], ring[r, t.SRC], ring[r, t.DST], ring[r, t.IS_ACK] = start, end, src, dst, is_ack
    ring[r, t.TRANSFER], ring[r, t.FRAGMENT], ring[r, t.TXNO], ring[r, t.TRY] = transfer, fragment, txno, attempt
    ring[r, t.DEAD], ring[r, t.REF], ring[r, t.MET] = 0, ref, 0
    return i


@inner
def loudness(g, ring, n, begun, at, link):
    """Add up the power of all signals that have arrived at node `n` up to `begun` and go on behind `at`."""
    mask, total = ring.shape[0] - 1, 0.0
    for j in range(g[t.LOW], g[t.HIGH]):
        r = j & mask
        src = ring[r, t.SRC]
        delay = np.int64(link[t.L_DELAY, src, n])
        if src != n and ring[r, t.START] + delay <= begun and at < ring[r, t.END] + delay:
            total += link[t.L_POWER, src, n]
    return total


@inner
def is_loud(g, ring, radio, n, now, par, real, link):
    """Return whether an assessment of node `n` that ends at `now` finds the channel busy, by power.

    It does if the node is receiving at the end, or if the sum of all signals was loud enough at some instant within.
    """
    mask, begun = ring.shape[0] - 1, now - t.CCA
    if radio[t.LOCK_ID, n] >= 0 and radio[t.LOCK_START, n] < now < radio[t.LOCK_END, n]:
        return True
    if radio[t.PREV_END, n] > now:
        return True
    # The sum changes only at the assessment's end (a signal that arrives at that very instant is not noticed), at its
    # beginning, and where a signal arrives in between.
    if loudness(g, ring, n, now - 1, now, link) >= real[t.F_CCA]:
        return True
    if not par[t.P_NS3] and loudness(g, ring, n, begun, begun, link) >= real[t.F_CCA]:
        return True
    for j in range(g[t.HIGH] - 1, g[t.LOW] - 1, -1):
        r = j & mask
        src = ring[r, t.SRC]
        if ring[r, t.START] < begun - t.LONGEST:
            break
        begins = ring[r, t.START] + np.int64(link[t.L_DELAY, src, n])
        if src == n or link[t.L_POWER, src, n] == 0.0 or ring[r, t.START] == ring[r, t.END]:
            continue
        if begun <= begins < now and loudness(g, ring, n, begins, begins, link) >= real[t.F_CCA]:
            return True
    return False


@inner
def is_busy(g, ring, radio, n, now, par, real, link):
    """Return whether a clear channel assessment of node `n` that ends at `now` finds the channel busy."""
    if not par[t.P_ALL]:
        return is_loud(g, ring, radio, n, now, par, real, link)
    mask, begun = ring.shape[0] - 1, now - t.CCA
    for j in range(g[t.HIGH] - 1, g[t.LOW] - 1, -1):
        r = j & mask
        start, end, src = ring[r, t.START], ring[r, t.END], ring[r, t.SRC]
        if start < begun - t.LONGEST:
            # Frames stand almost in order of their start: those before ended long ago.
            break
        if src == n or (ring[r, t.DEAD] and start == end):
            continue
        if start >= now:
            continue
        # ns-3 looks at the two ends of the assessment, the standard at all of it.
        if par[t.P_NS3]:
            if start >= begun or end >= now:
                return True
        elif end > begun:
            return True
    return False


@inner
def settle(g, node, radio, ring, mrg, limit, par, real, link, log):
    """Lock radios onto the frames that start before `limit`, frame by frame in order of start."""
    mask, nodes = ring.shape[0] - 1, par[t.P_NODES]
    while True:
        # With propagation an acknowledgement may stand before a frame that starts a little earlier.
        i, start = np.int64(-1), limit
        for j in range(g[t.SEEN], g[t.HIGH]):
            if ring[j & mask, t.START] < start and not ring[j & mask, t.MET]:
                i, start = j, ring[j & mask, t.START]
        if i < 0:
            break
        r = i & mask
        end, src = ring[r, t.END], ring[r, t.SRC]
        ring[r, t.MET] = 1
        while g[t.SEEN] < g[t.HIGH] and ring[g[t.SEEN] & mask, t.MET]:
            g[t.SEEN] += 1
        if ring[r, t.DEAD]:
            continue
        # Their senders' time on the air, and a row in the log where one is kept.
        node[src, t.TX_NS] += end - start
        if log.shape[0] > 0:
            row = g[t.LOGS]
            g[t.LOGS] = row + 1
            log[row, 0], log[row, 1], log[row, 2], log[row, 3] = start, src, ring[r, t.DST], ring[r, t.TRANSFER]
            log[row, 4], log[row, 5], log[row, 6] = ring[r, t.FRAGMENT], ring[r, t.TRY], ring[r, t.IS_ACK]
        # Where all nodes hear each other equally well, a count of signals decides for all radios at once.
        if par[t.P_ALL]:
            others = 0
            for j in range(g[t.LOW], g[t.HIGH]):
                q = j & mask
                if j != i and ring[q, t.MET] and ring[q, t.END] > start and not ring[q, t.DEAD]:
                    others += 1
            # Signals are equal: with three others this one is less than -5 dB above their sum, and no radio locks.
            if others * LOWEST_SINR < 1.0:
                for n in range(nodes):
                    if radio[t.RX_FROM, n] <= start and radio[t.LOCK_END, n] <= start:
                        radio[t.LOCK_START, n] = start
                        radio[t.LOCK_END, n] = end
                        radio[t.LOCK_ID, n] = i
                        radio[t.RX_NS, n] += end - start
            continue
        # Otherwise each radio that is free when the frame arrives compares its power with noise and all others.
        for n in range(nodes):
            late = start + np.int64(link[t.L_DELAY, src, n])
            if radio[t.RX_FROM, n] > late or not link[t.L_HEARS, src, n]:
                continue
            is_later = radio[t.LOCK_END, n] > late and radio[t.LOCK_START, n] > late
            if radio[t.LOCK_END, n] > late and not is_later:
                continue
            # Only signals that arrived before this one count.
            noise = real[t.F_NOISE]
            for j in range(g[t.LOW], g[t.HIGH]):
                q = j & mask
                other = ring[q, t.SRC]
                delay = np.int64(link[t.L_DELAY, other, n])
                if j == i or other == n or ring[q, t.DEAD] or ring[q, t.END] + delay <= late:
                    continue
                if is_before(ring, q, j, delay, r, i, late):
                    noise += link[t.L_POWER, other, n]
            if link[t.L_POWER, src, n] > LOWEST_SINR * noise:
                if is_later:
                    # The frame that the radio was to lock onto has the longer way and arrives behind this one.
                    q = radio[t.LOCK_ID, n] & mask
                    radio[t.RX_NS, n] -= ring[q, t.END] - ring[q, t.START]
                else:
                    if radio[t.OPEN, n]:
                        decide(g, ring, radio, mrg, n, t.FOREVER, par, real, link)
                    # At its sender the frame before may not have ended yet.
                    radio[t.PREV_ID, n], radio[t.PREV_END, n] = radio[t.LOCK_ID, n], radio[t.LOCK_END, n]
                    radio[t.PREV_BROKEN, n] = radio[t.BROKEN, n]
                radio[t.LOCK_START, n] = late
                radio[t.LOCK_END, n] = end + np.int64(link[t.L_DELAY, src, n])
                radio[t.LOCK_ID, n] = i
                radio[t.RX_NS, n] += end - start
                radio[t.OPEN, n] = mrg.shape[0] > 0


@inner
def received(g, ring, radio, mrg, i, d, par, real, link):
    """Return whether node `d` has received the frame that ends now."""
    mask = ring.shape[0] - 1
    r = i & mask
    if (radio[t.LOCK_ID, d] != i and radio[t.PREV_ID, d] != i) or ring[r, t.DEAD]:
        return False
    # With ns-3's draws `decide` has decided already.
    if mrg.shape[0] > 0:
        return not radio[t.BROKEN if radio[t.LOCK_ID, d] == i else t.PREV_BROKEN, d]
    start, end, src = ring[r, t.START], ring[r, t.END], ring[r, t.SRC]
    is_all, logp, is_alone = par[t.P_ALL], 0.0, True
    if not is_all:
        start += np.int64(link[t.L_DELAY, src, d])
        end += np.int64(link[t.L_DELAY, src, d])
    # Any other frame at the same time? A strict receiver has lost both then.
    for j in range(g[t.LOW], g[t.HIGH]):
        q = j & mask
        other = ring[q, t.SRC]
        late = 0 if is_all else np.int64(link[t.L_DELAY, other, d])
        if j == i or other == d or ring[q, t.START] + late >= end or ring[q, t.END] + late <= start:
            continue
        if is_all or link[t.L_HEARS, other, d]:
            if par[t.P_STRICT]:
                return False
            is_alone = False
    # The logarithm of the chance that all bits are right: bits (of 4 us) times that of one bit, stretch by stretch
    # where interference changes. `now` is where a stretch begins, `then` where a signal next comes or goes.
    if is_alone:
        logp = 0.0 if is_all else link[t.L_CLEAR, src, d] * ((end - start) // 4000)
        if par[t.P_LOSS] == 0 or (logp == 0.0 and real[t.F_PER] == 0.0):
            return True
    elif is_all:
        now = start
        while now < end:
            then, others = end, 0
            for j in range(g[t.LOW], g[t.HIGH]):
                q = j & mask
                if j != i and ring[q, t.END] > now and ring[q, t.START] < end:
                    if ring[q, t.START] > now:
                        then = min(then, ring[q, t.START])
                    else:
                        then = min(then, ring[q, t.END])
                        others += 1
            logp += ((then - now + 3999) // 4000) * real[t.F_TABLE + min(others, MANY - 1)]
            now = then
    else:
        now = start
        while now < end:
            then, noise = end, 0.0
            for j in range(g[t.LOW], g[t.HIGH]):
                q = j & mask
                other = ring[q, t.SRC]
                delay = np.int64(link[t.L_DELAY, other, d])
                begins, ends = ring[q, t.START] + delay, ring[q, t.END] + delay
                if j != i and other != d and ends > now and begins < end:
                    if begins > now:
                        then = min(then, begins)
                    else:
                        then = min(then, ends)
                        noise += link[t.L_POWER, other, d]
            right = link[t.L_CLEAR, src, d]
            if noise > 0.0:
                right = log_right(link[t.L_POWER, src, d] / (noise + real[t.F_NOISE]))
            logp += ((then - now + 3999) // 4000) * right
            now = then
    # One draw decides, keyed by transfer, transmission and receiver; losses for other reasons meet data alone.
    p = math.exp(logp)
    if not ring[r, t.IS_ACK]:
        p *= 1.0 - real[t.F_PER]
    if p >= 1.0:
        return True
    low = ring[r, t.TXNO] << 32 | d << 1 | ring[r, t.IS_ACK]
    word, _, _, _ = words(np.uint64(par[t.P_KEY]) ^ _LOSS_KEY, np.uint64(ring[r, t.TRANSFER]), np.uint64(low))
    return word * 2.0**-32 < p


@inner
def unlock(radio, n, now):
    """Cancel the frame that the node receives or is about to receive, and take back its time in state rx."""
    if radio[t.LOCK_END, n] > now:
        radio[t.RX_NS, n] -= radio[t.LOCK_END, n] - max(now, radio[t.LOCK_START, n])
        radio[t.LOCK_END, n] = now
    radio[t.LOCK_ID, n] = -1
    radio[t.OPEN, n] = 0


@inner
def unlock_previous(radio, n, now):
    """Cancel the frame that the node still receives while the next one is already chosen."""
    if radio[t.PREV_END, n] > now:
        radio[t.RX_NS, n] -= radio[t.PREV_END, n] - now
        radio[t.PREV_END, n] = now
    radio[t.PREV_ID, n] = -1


@inner
def deafen(radio, n, now):
    """Stop the node's receiver, until it is told from when on it receives again."""
    unlock(radio, n, now)
    unlock_previous(radio, n, now)
    radio[t.RX_FROM, n] = t.FOREVER


@inner
def wake(node, radio, n, now):
    """Count one message more that the node takes part in, and switch its radio on if that is off."""
    node[n, t.PARTS] += 1
    if not node[n, t.AWAKE] and not node[n, t.DOWN]:
        node[n, t.AWAKE] = 1
        node[n, t.SINCE] = now
        radio[t.RX_FROM, n] = now


@inner
def rest(node, radio, n, now, par):
    """Put a radio to sleep whose node takes part in no message and owes no acknowledgement."""
    if par[t.P_SLEEPS] and node[n, t.AWAKE] and node[n, t.PARTS] == 0 and node[n, t.DUTY] < 0:
        node[n, t.AWAKE] = 0
        node[n, t.AWAKE_NS] += now - node[n, t.SINCE]
        deafen(radio, n, now)


@inner
def cut(node, radio, ring, i, now):
    """Stop a frame; return how long it was on the air."""
    r = i & (ring.shape[0] - 1)
    start, end = ring[r, t.START], ring[r, t.END]
    if end <= now:
        return np.int64(0)
    # A frame that has not begun never does; of another one the sender gets the rest of its time back, and no radio
    # keeps it.
    ring[r, t.DEAD] = 1
    if start > now:
        ring[r, t.END] = start
        return np.int64(0)
    ring[r, t.END] = now
    node[ring[r, t.SRC], t.TX_NS] -= end - now
    for n in range(radio.shape[1]):
        if radio[t.LOCK_ID, n] == i:
            unlock(radio, n, now)
        elif radio[t.PREV_ID, n] == i:
            unlock_previous(radio, n, now)
    return now - start
