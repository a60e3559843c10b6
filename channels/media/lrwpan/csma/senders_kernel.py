"""What contending IEEE 802.15.4 nodes do, compiled: the side of the senders. `nodes` says what the rules are.

Every table is int64, `tables` says what is in it; times are nanoseconds. `buffer` holds them all, one
behind the other: first what a copy of the state needs as a whole, then ring and wheel.
"""

# mypy: disable-error-code="no-untyped-def, assignment"

from __future__ import annotations

import numpy as np

from channels.media.lrwpan.csma import tables as t
from channels.media.lrwpan.csma.air_kernel import cut, deafen, enter, is_busy, received, rest, settle, wake
from channels.media.lrwpan.csma.compiling import inner, outer
from channels.media.lrwpan.csma.messages_kernel import (
    emit,
    finish,
    frame_octets,
    free,
    got,
    is_over,
    is_wanted,
    put_behind,
    take,
)
from channels.media.lrwpan.csma.ns3_reception_kernel import decide, uniform
from channels.media.lrwpan.csma.philox_kernel import words
from channels.media.lrwpan.csma.wheel_kernel import empty, next_bucket, push, remove

_PAUSE_KEY = np.uint64(0xD1B54A32D192ED03)


@inner
def backoff(node, msg, mrg, n, par):
    """Draw the node's next backoff: word c mod 4 of Philox under (key, transfer, c div 4), c counting its message's."""
    exponent = min(par[t.P_MIN_BE] + node[n, t.NB], par[t.P_MAX_BE])
    if mrg.shape[0] > 0:
        return np.int64(uniform(mrg, n) * (1 << exponent))
    m = node[n, t.HEAD]
    c = msg[m, t.M_DRAWS]
    msg[m, t.M_DRAWS] = c + 1
    if c & 3 == 0:
        w0, w1, w2, w3 = words(np.uint64(par[t.P_KEY]), np.uint64(msg[m, t.M_TRANSFER]), np.uint64(c >> 2))
        low = np.uint64(255)
        packed = (w0 & low) | (w1 & low) << np.uint64(8) | (w2 & low) << np.uint64(16) | (w3 & low) << np.uint64(24)
        node[n, t.CACHE] = np.int64(packed)
    return (node[n, t.CACHE] >> (8 * (c & 3))) & ((1 << exponent) - 1)


@inner
def await_next(g, node, wheel, timer, n, kind, since, at):
    """Schedule the node's next event of this kind at `at`; `since` is when it began to wait for it."""
    node[n, t.KIND], node[n, t.WAITS], node[n, t.TURN_NO] = kind, 2 * since, g[t.TURNS]
    g[t.TURNS] += 1
    push(wheel, timer, n, at)


@inner
def wait_for(g, node, msg, wheel, timer, mrg, n, base, par):
    """Schedule a backoff from `base` on, and the clear channel assessment after it."""
    if par[t.P_SLOTTED]:
        base = (base + t.UNIT - 1) // t.UNIT * t.UNIT
    at = base + backoff(node, msg, mrg, n, par) * t.UNIT + t.CCA
    await_next(g, node, wheel, timer, n, t.CCA_END, base, at)
    # A node that begins to contend comes after nodes that continue at the same instant.
    node[n, t.WAITS] += node[n, t.NB] == 0


@inner
def go_on(g, node, radio, msg, dst, late, par, real, out, out_real, n, now, base):
    """Choose what follows a finished frame: another receiver of it, the next frame, or the next message.

    Returns
    -------
    From when on to access the channel for that; -1 where there is nothing left.
    """
    m = node[n, t.HEAD]
    if is_over(node, msg, dst, late, m, par) and msg[m, t.M_FRAGMENT] == msg[m, t.M_FRAMES]:
        node[n, t.LAST_END] = now
        if not finish(g, node, radio, msg, dst, late, n, now, base, par, real, out, out_real):
            return np.int64(-1)
        base = msg[node[n, t.HEAD], t.M_START]
    # The next frame is handed to the MAC at once, before the spacing.
    node[n, t.NB] = node[n, t.RETRY] = node[n, t.AGAIN] = 0
    node[n, t.BEGAN] = max(now, msg[node[n, t.HEAD], t.M_SUBMIT])
    return base


@inner
def keep(buffer, kept, g, ring, wheel):
    """Copy everything that cannot be computed from the rest."""
    top = buffer.size - ring.size - wheel.size
    for k in range(top):
        kept[k] = buffer[k]
    for i in range(g[t.LOW], g[t.HIGH]):
        first = top + (i & (ring.shape[0] - 1)) * t.RING_SIZE
        for k in range(first, first + t.RING_SIZE):
            kept[k] = buffer[k]


@outer
def back(buffer, kept, g, timer, ring, wheel):
    """Restore the state that `keep` copied."""
    empty(wheel, timer)
    keep(kept, buffer, kept[: t.G_SIZE], ring, wheel)
    for entity in range(timer.shape[1]):
        if timer[t.AT, entity] != t.FOREVER:
            push(wheel, timer, entity, timer[t.AT, entity])


@inner
def first_of(wheel, timer, node, bucket, nodes):
    """Return the first entity of a bucket: earliest, then by kind, then the longest wait; receivers by number."""
    entity = wheel[bucket]
    other = timer[t.NEXT, entity]
    while other >= 0:
        a, b = timer[t.AT, other], timer[t.AT, entity]
        if a <= b:
            ka = t.ACK_END if other >= nodes else node[other, t.KIND]
            kb = t.ACK_END if entity >= nodes else node[entity, t.KIND]
            is_first = other < entity
            if other < nodes and entity < nodes:
                is_first = node[other, t.WAITS] < node[entity, t.WAITS] or (
                    node[other, t.WAITS] == node[entity, t.WAITS] and node[other, t.TURN_NO] < node[entity, t.TURN_NO]
                )
            if a < b or ka < kb or (ka == kb and is_first):
                entity = other
        other = timer[t.NEXT, other]
    return entity


@inner
def ended(g, ring, radio, mrg, i, par, real, link):
    """End a frame: with ns-3's draws every radio that is locked onto it decides."""
    if mrg.shape[0] > 0:
        for n in range(par[t.P_NODES]):
            if radio[t.LOCK_ID, n] == i and radio[t.OPEN, n]:
                decide(g, ring, radio, mrg, n, t.FOREVER, par, real, link)


@inner
def is_own(node, ring, mrg, i, b):
    """Return whether acknowledgement `i` is for node `b`; with ns-3's draws, whether it has its frame's number."""
    r = i & (ring.shape[0] - 1)
    if mrg.shape[0] > 0:
        return ring[r, t.SEQUENCE] == node[b, t.DSN] & 255
    return ring[r, t.REF] == node[b, t.CURRENT]


@inner
def acknowledged(g, node, radio, timer, wheel, ring, mrg, par, real, link, d, now):
    """End the acknowledgement that `d` sends: a waiting node that receives it takes it for its own or for a failure."""
    i = node[d, t.DUTY]
    ended(g, ring, radio, mrg, i, par, real, link)
    node[d, t.DUTY] = -1
    node[d, t.TX_BYTES] += t.ACK_OCTETS
    node[d, t.TX_FRAMES] += 1
    for b in range(par[t.P_NODES]):
        if node[b, t.KIND] != t.TIMEOUT or timer[t.AT, b] == t.FOREVER:
            continue
        if received(g, ring, radio, mrg, i, b, par, real, link):
            remove(wheel, timer, b)
            kind = t.ACKED if is_own(node, ring, mrg, i, b) else t.FOREIGN
            there = now if par[t.P_ALL] else now + np.int64(link[t.L_DELAY, d, b])
            await_next(g, node, wheel, timer, b, kind, now, there)
    if node[d, t.AWAKE]:
        radio[t.RX_FROM, d] = now + t.TURN
    rest(node, radio, d, now, par)


@inner
def transmit(g, node, radio, timer, wheel, ring, msg, dst, mrg, par, real, link, cycle, n, now):
    """Turn the node's radio round and send: the channel is free."""
    m = node[n, t.HEAD]
    start = now + t.TURN
    node[n, t.AIR] = frame_octets(msg, m, cycle) * t.OCTET
    to_node = np.int64(-1)
    if msg[m, t.M_DSTS] == 1:
        to_node = dst[msg[m, t.M_DST], t.D_NODE]
    elif msg[m, t.M_REPAIR] >= 0:
        to_node = dst[msg[m, t.M_REPAIR], t.D_NODE]
    msg[m, t.M_TXNO] += 1
    msg[m, t.M_TRY] += 1
    node[n, t.CURRENT] = enter(g, ring, now, start, start + node[n, t.AIR], n, to_node, 0, msg[m, t.M_TRANSFER],
                               msg[m, t.M_FRAGMENT], msg[m, t.M_TXNO], msg[m, t.M_TRY], -1)  # fmt: skip
    ring[node[n, t.CURRENT] & (ring.shape[0] - 1), t.SEQUENCE] = node[n, t.DSN] & 255
    if radio[t.OPEN, n]:
        decide(g, ring, radio, mrg, n, now, par, real, link)
    deafen(radio, n, now)
    await_next(g, node, wheel, timer, n, t.TX_END, now, start + node[n, t.AIR])


@inner
def transmitted(g, node, radio, timer, wheel, ring, msg, dst, mrg, par, real, link, out, out_real, n, now):
    """End the node's frame; return whether nobody is to acknowledge it."""
    m, i, air = node[n, t.HEAD], node[n, t.CURRENT], node[n, t.AIR]
    r = i & (ring.shape[0] - 1)
    ended(g, ring, radio, mrg, i, par, real, link)
    node[n, t.TX_BYTES] += air // t.OCTET
    node[n, t.TX_FRAMES] += 1
    node[n, t.N_TX] += 1
    msg[m, t.M_TX] += 1
    msg[m, t.M_OCTETS] += air // t.OCTET
    msg[m, t.M_AIR] += air
    msg[m, t.M_TX_NS] += air
    radio[t.RX_FROM, n] = now + t.TURN
    first, last = msg[m, t.M_DST], msg[m, t.M_DST] + msg[m, t.M_DSTS]
    if not dst[first, t.D_STATE] & t.SENT:
        dst[first, t.D_STATE] |= t.SENT
        msg[m, t.M_SENT] += 1
    is_cast = msg[m, t.M_DSTS] > 1 and msg[m, t.M_REPAIR] < 0
    if msg[m, t.M_REPAIR] >= 0:
        first = msg[m, t.M_REPAIR]
        last = first + 1
    is_answered = par[t.P_ACK] and not is_cast
    for row in range(first, last):
        d = dst[row, t.D_NODE]
        if not received(g, ring, radio, mrg, i, d, par, real, link):
            continue
        there = now if par[t.P_ALL] else now + np.int64(link[t.L_DELAY, n, d])
        if is_answered:
            # The acknowledgement is certain: the message counts it at once.
            msg[m, t.M_OCTETS] += t.ACK_OCTETS
            msg[m, t.M_AIR] += t.ACK_AIR
            msg[m, t.M_ACKS] += 1
            start = there + t.TURN
            if par[t.P_SLOTTED]:
                start = (start + t.UNIT - 1) // t.UNIT * t.UNIT
            node[d, t.DUTY] = enter(g, ring, now, start, start + t.ACK_AIR, d, n, 1, ring[r, t.TRANSFER],
                                    ring[r, t.FRAGMENT], ring[r, t.TXNO], ring[r, t.TRY], i)  # fmt: skip
            ring[node[d, t.DUTY] & (ring.shape[0] - 1), t.SEQUENCE] = ring[r, t.SEQUENCE]
            deafen(radio, d, there)
            node[d, t.DUTY_UNTIL] = start + t.ACK_AIR + t.TURN
            push(wheel, timer, par[t.P_NODES] + d, start + t.ACK_AIR)
        got(g, node, msg, dst, m, row, there, par, real, out, out_real)
    if is_answered:
        await_next(g, node, wheel, timer, n, t.TIMEOUT, now, now + t.ACK_WAIT)
    return not is_answered


@outer
def run(
    g, node, radio, timer, wheel, ring, msg, dst, late, mrg, buffer, kept, par, real, link, cycle, out, out_real, log,
    to, budget,
):  # fmt: skip
    """Handle events up to and at `to`.

    Parameters
    ----------
    budget
        Not 0: keep a copy of everything. Positive: stop at the end of the instant in which that many events were
        handled, or of that of the first delivery, `g[FIRST]`.

    Returns
    -------
    Up to and at which instant everything has happened.
    """
    nodes = par[t.P_NODES]
    if budget:
        keep(buffer, kept, g, ring, wheel)
    now, events = g[t.NOW], 0
    while True:
        is_last, entity, at = True, np.int64(-1), now
        bucket = next_bucket(wheel, now)
        if bucket >= 0:
            entity = wheel[bucket]
            if timer[t.NEXT, entity] >= 0:
                entity = first_of(wheel, timer, node, bucket, nodes)
            at = timer[t.AT, entity]
            is_last = at > to
        if is_last:
            if bucket >= 0 or budget <= 0 or g[t.OUTS] == 0:
                now = to
        elif at > now:
            is_last = (budget > 0 and (events >= budget or (g[t.OUTS] > 0 and at > g[t.FIRST]))) or (
                log.shape[0] > 0 and g[t.LOGS] + 2 * nodes > log.shape[0]
            )
        if g[t.SEEN] < g[t.HIGH]:
            settle(g, node, radio, ring, mrg, now + 1 if is_last else at, par, real, link, log)
        if is_last:
            break
        events += 1
        now = at
        remove(wheel, timer, entity)
        if entity >= nodes:
            acknowledged(g, node, radio, timer, wheel, ring, mrg, par, real, link, entity - nodes, now)
            continue

        # The frame waits for the channel from `base` on (again), is through, or is given up.
        n, base = entity, now
        waits = is_through = is_given_up = False
        kind = node[n, t.KIND]
        if kind == t.CCA_END or kind == t.CCA2_END:
            node[n, t.N_CCA if kind == t.CCA_END else t.N_CCA2] += 1
            if node[n, t.DUTY_UNTIL] > now - t.CCA or is_busy(g, ring, radio, n, now, par, real, link):
                node[n, t.N_BUSY if kind == t.CCA_END else t.N_BUSY2] += 1
                node[n, t.NB] += 1
                waits = node[n, t.NB] <= par[t.P_MAX_NB]
                if not waits:
                    node[n, t.N_CAF] += 1
                    is_given_up = True
            elif par[t.P_SLOTTED] and kind == t.CCA_END:
                await_next(g, node, wheel, timer, n, t.CCA2_END, now, now + t.UNIT)
            else:
                transmit(g, node, radio, timer, wheel, ring, msg, dst, mrg, par, real, link, cycle, n, now)
        elif kind == t.TX_END:
            is_through = transmitted(
                g, node, radio, timer, wheel, ring, msg, dst, mrg, par, real, link, out, out_real, n, now
            )
        elif kind == t.ACKED:
            node[n, t.N_ACKED] += 1
            is_through = True
        elif kind == t.PAUSE:
            waits = now >= node[n, t.UNTIL]
            if not waits:
                push(wheel, timer, n, min(node[n, t.UNTIL], now + t.HOP))
        else:  # no acknowledgement, or that of another frame
            node[n, t.NB] = 0
            node[n, t.RETRY] += 1
            waits = node[n, t.RETRY] <= par[t.P_MAX_RETRY]
            if not waits:
                node[n, t.N_NOACK] += 1
                is_given_up = True

        node[n, t.DSN] += is_through or is_given_up
        m = node[n, t.HEAD]
        if is_given_up and par[t.P_RELIABLE] and is_wanted(msg, dst, m):
            is_given_up = False
            if msg[m, t.M_DSTS] == 1:
                put_behind(msg, dst, late, m)
            node[n, t.NB] = node[n, t.RETRY] = 0
            node[n, t.BEGAN] = now
            if par[t.P_HIDDEN] and kind != t.CCA_END and kind != t.CCA2_END:
                node[n, t.AGAIN] += 1
                high, low = np.uint64(msg[m, t.M_TRANSFER]), np.uint64(msg[m, t.M_TXNO])
                word, _, _, _ = words(np.uint64(par[t.P_KEY]) ^ _PAUSE_KEY, high, low)
                periods = np.int64(word) & ((1 << min(t.FIRST_PAUSE + node[n, t.AGAIN], t.LAST_PAUSE)) - 1)
                node[n, t.UNTIL] = now + periods * t.UNIT
                await_next(g, node, wheel, timer, n, t.PAUSE, now, min(node[n, t.UNTIL], now + t.HOP))
            else:
                waits = True
        if is_through:
            base = now + (t.SIFS if node[n, t.AIR] <= t.SIFS_OCTETS * t.OCTET else t.LIFS)
            if kind == t.ACKED or msg[m, t.M_DSTS] == 1 or msg[m, t.M_REPAIR] >= 0:
                node[n, t.SERVICE] += now - node[n, t.BEGAN]
                node[n, t.SOJOURN] += now - msg[m, t.M_SUBMIT]
        if is_through or is_given_up:
            base = go_on(g, node, radio, msg, dst, late, par, real, out, out_real, n, now, base)
            waits = base >= 0
        if waits:
            wait_for(g, node, msg, wheel, timer, mrg, n, base, par)
    g[t.NOW] = now
    g[t.EVENTS] += events
    return now


@outer
def submit(
    g, node, radio, timer, wheel, msg, dst, mrg, par, targets, transfer, n, size, frames, whole, first, middle, last,
    now,
):  # fmt: skip
    """Add a message from node `n`, once everything up to `now` has happened; return False where the tables are full.

    Parameters
    ----------
    targets
        Node and whether it can be reached, a row for each destination.
    frames, whole, first, middle, last
        `channels.media.lrwpan.framing.Plan`.
    """
    m = take(g, msg, dst, targets, par[t.P_NODES])
    if m < 0:
        return False
    msg[m, t.M_TRANSFER], msg[m, t.M_SRC], msg[m, t.M_SIZE], msg[m, t.M_SUBMIT] = transfer, n, size, now
    msg[m, t.M_FRAMES], msg[m, t.M_WHOLE], msg[m, t.M_FIRST] = frames, whole, first
    msg[m, t.M_MIDDLE], msg[m, t.M_LAST] = middle, last
    wake(node, radio, n, now)
    for k in range(targets.shape[0]):
        wake(node, radio, targets[k, 0], now)
    if node[n, t.TAIL] >= 0:
        msg[node[n, t.TAIL], t.M_NEXT] = m
        node[n, t.TAIL] = m
        return True
    node[n, t.HEAD] = node[n, t.TAIL] = m
    msg[m, t.M_START] = max(now, node[n, t.FREE])
    node[n, t.NB] = node[n, t.RETRY] = node[n, t.AGAIN] = 0
    node[n, t.BEGAN] = now
    wait_for(g, node, msg, wheel, timer, mrg, n, msg[m, t.M_START], par)
    return True


@inner
def stop(node, radio, timer, wheel, ring, msg, n, now):
    """End what the node does for its current message; its frame on the air is cut."""
    m = node[n, t.HEAD]
    if node[n, t.KIND] == t.TX_END:
        air = cut(node, radio, ring, node[n, t.CURRENT], now)
        msg[m, t.M_AIR] += air
        msg[m, t.M_TX_NS] += air
        radio[t.RX_FROM, n] = now + t.TURN
    remove(wheel, timer, n)


@outer
def down(g, node, radio, timer, wheel, ring, msg, dst, late, mrg, par, real, out, out_real, n, now):
    """Take a node down, once everything up to `now` has happened."""
    node[n, t.DOWN] = 1
    if node[n, t.DUTY] >= 0:
        i = node[n, t.DUTY]
        heard = ring[i & (ring.shape[0] - 1), t.DST]
        air = cut(node, radio, ring, i, now)
        node[heard, t.DEBT_OCTETS] -= t.ACK_OCTETS
        node[heard, t.DEBT_AIR] -= t.ACK_AIR - air
        node[n, t.DUTY] = -1
        node[n, t.DUTY_UNTIL] = now
        remove(wheel, timer, par[t.P_NODES] + n)
    more = node[n, t.HEAD] >= 0
    if more:
        stop(node, radio, timer, wheel, ring, msg, n, now)
    while more:
        more = finish(g, node, radio, msg, dst, late, n, now, now, par, real, out, out_real)
    for src in range(par[t.P_NODES]):
        before, m = np.int64(-1), node[src, t.HEAD]
        while m >= 0:
            then, first, last = msg[m, t.M_NEXT], msg[m, t.M_DST], msg[m, t.M_DST] + msg[m, t.M_DSTS]
            left = 0
            for row in range(first, last):
                if dst[row, t.D_NODE] == n:
                    dst[row, t.D_REACHED] = 0
                    if not dst[row, t.D_STATE] & t.DONE:
                        emit(g, node, msg, dst, m, row, now, 0, par, real, out, out_real)
                left += 1 - node[dst[row, t.D_NODE], t.DOWN]
            is_first = m == node[src, t.HEAD]
            if is_first and left == 0:
                stop(node, radio, timer, wheel, ring, msg, src, now)
                if finish(g, node, radio, msg, dst, late, src, now, now, par, real, out, out_real):
                    node[src, t.NB] = node[src, t.RETRY] = node[src, t.AGAIN] = 0
                    node[src, t.BEGAN] = now
                    wait_for(g, node, msg, wheel, timer, mrg, src, now, par)
            elif left == 0:
                msg[before, t.M_NEXT] = then
                if then < 0:
                    node[src, t.TAIL] = before
                for row in range(first, last):
                    node[dst[row, t.D_NODE], t.PARTS] -= 1
                node[src, t.PARTS] -= 1
                free(g, msg, dst, m)
            else:
                if is_first and msg[m, t.M_REPAIR] >= 0 and dst[msg[m, t.M_REPAIR], t.D_NODE] == n:
                    stop(node, radio, timer, wheel, ring, msg, src, now)
                    base = go_on(g, node, radio, msg, dst, late, par, real, out, out_real, src, now, now)
                    if base >= 0:
                        wait_for(g, node, msg, wheel, timer, mrg, src, base, par)
                before = m
            m = then
    if node[n, t.AWAKE]:
        node[n, t.AWAKE] = 0
        node[n, t.AWAKE_NS] += now - node[n, t.SINCE]
    deafen(radio, n, now)


@outer
def up(node, radio, n, now, par):
    """Bring a node up again."""
    node[n, t.DOWN] = 0
    if not par[t.P_SLEEPS] or node[n, t.PARTS] > 0:
        node[n, t.AWAKE] = 1
        node[n, t.SINCE] = now
        radio[t.RX_FROM, n] = now


@outer
def used(g, node, radio, ring, now, state):
    """Write the nanoseconds of every node (row) in each of `netsim.interfaces.STATES` up to `now` to `state`."""
    tx, rx, listen, sleep = 0, 1, 2, 4
    for n in range(node.shape[0]):
        awake = node[n, t.AWAKE_NS] + (now - node[n, t.SINCE] if node[n, t.AWAKE] else 0)
        state[n, tx] = node[n, t.TX_NS]
        state[n, rx] = radio[t.RX_NS, n] - max(radio[t.LOCK_END, n] - max(radio[t.LOCK_START, n], now), 0)
        state[n, rx] -= max(radio[t.PREV_END, n] - now, 0)
        state[n, listen], state[n, sleep] = awake, now - awake
    for i in range(g[t.LOW], g[t.HIGH]):
        r = i & (ring.shape[0] - 1)
        if ring[r, t.MET] and ring[r, t.START] <= now < ring[r, t.END]:
            state[ring[r, t.SRC], tx] -= ring[r, t.END] - now
    for n in range(node.shape[0]):
        state[n, listen] -= state[n, tx] + state[n, rx]
