"""Messages of contending nodes: their rows, their frames in turn, and their deliveries, compiled.

A message has a row in `msg` and a row in `dst` for each destination. A message to one node has the row of `dst` with
its own number; behind these stand blocks of as many rows as there are nodes, for messages to several.
"""

# mypy: disable-error-code="no-untyped-def, assignment"

from __future__ import annotations

import numpy as np

from channels.media.lrwpan.csma import tables as t
from channels.media.lrwpan.csma.air_kernel import rest
from channels.media.lrwpan.csma.compiling import inner
from channels.media.lrwpan.csma.wheel_kernel import lowest_bit


@inner
def take(g, msg, dst, targets, nodes):
    """Take free rows for a message to `targets`; return its row in `msg`, or -1 if the tables are full."""
    # Rows that were freed come first, then rows never used.
    m, many = g[t.FREE_MSG], targets.shape[0]
    first = g[t.FREE_BLOCK]
    if first < 0:
        first = msg.shape[0] + g[t.BLOCKS] * nodes
    if (m < 0 and g[t.MSGS] == msg.shape[0]) or (many > 1 and first == dst.shape[0]):
        return np.int64(-1)
    if m >= 0:
        g[t.FREE_MSG] = msg[m, t.M_NEXT]
    else:
        m = g[t.MSGS]
        g[t.MSGS] += 1
    if many == 1:
        first = m
    elif g[t.FREE_BLOCK] >= 0:
        g[t.FREE_BLOCK] = dst[first, t.D_LINK]
    else:
        g[t.BLOCKS] += 1
    # Both kinds of rows begin empty.
    for k in range(many):
        dst[first + k, t.D_NODE], dst[first + k, t.D_REACHED] = targets[k, 0], targets[k, 1]
        dst[first + k, t.D_STATE] = dst[first + k, t.D_COUNT] = 0
    for column in range(t.MSG_SIZE):
        msg[m, column] = 0
    msg[m, t.M_DST], msg[m, t.M_DSTS], msg[m, t.M_LEFT] = first, many, many
    msg[m, t.M_START] = msg[m, t.M_NEXT] = msg[m, t.M_REPAIR] = -1
    g[t.PENDING] += many
    return m


@inner
def free(g, msg, dst, m):
    """Put a message's rows in front of the lists of free ones."""
    if msg[m, t.M_DSTS] > 1:
        dst[msg[m, t.M_DST], t.D_LINK] = g[t.FREE_BLOCK]
        g[t.FREE_BLOCK] = msg[m, t.M_DST]
    msg[m, t.M_NEXT] = g[t.FREE_MSG]
    g[t.FREE_MSG] = m


@inner
def frame_octets(msg, m, cycle):
    """Return the octets on the air of the message's current frame."""
    # Whole packets, whose frames repeat a cycle, come first; then the frames of the last packet.
    f, whole = msg[m, t.M_FRAGMENT], msg[m, t.M_WHOLE]
    if f < whole:
        return cycle[f % cycle.size if cycle.size > 1 else 0]
    if f == msg[m, t.M_FRAMES] - 1:
        return msg[m, t.M_LAST]
    return msg[m, t.M_FIRST] if f == whole else msg[m, t.M_MIDDLE]


@inner
def emit(g, node, msg, dst, m, row, now, is_ok, par, real, out, out_real):
    """End a message at one destination: write a delivery, with what its sender used since the delivery before."""
    n, o = msg[m, t.M_SRC], g[t.OUTS]
    g[t.OUTS] = o + 1
    g[t.FIRST] = now if o == 0 else min(g[t.FIRST], now)
    g[t.PENDING] -= 1
    dst[row, t.D_STATE] |= t.DONE
    msg[m, t.M_LEFT] -= 1
    # Frames, octets and airtime: those of the message so far, and its sender's debt, which is what earlier deliveries
    # counted too much (below 0) or what was sent after the last of them (above). What would be below 0 stays owed.
    out[o, t.O_TRANSFER], out[o, t.O_DST] = msg[m, t.M_TRANSFER], node[dst[row, t.D_NODE], t.NAME]
    out[o, t.O_AT], out[o, t.O_OK] = now, is_ok
    out[o, t.O_PACKETS] = 0 if msg[m, t.M_TOLD] else msg[m, t.M_SENT]
    msg[m, t.M_TOLD] = 1
    out[o, t.O_TX] = max(msg[m, t.M_TX] + node[n, t.DEBT_TX], out[o, t.O_PACKETS])
    out[o, t.O_OCTETS] = max(msg[m, t.M_OCTETS] + node[n, t.DEBT_OCTETS], 0)
    out[o, t.O_AIR] = max(msg[m, t.M_AIR] + node[n, t.DEBT_AIR], 0)
    node[n, t.DEBT_TX] += msg[m, t.M_TX] - out[o, t.O_TX]
    node[n, t.DEBT_OCTETS] += msg[m, t.M_OCTETS] - out[o, t.O_OCTETS]
    node[n, t.DEBT_AIR] += msg[m, t.M_AIR] - out[o, t.O_AIR]
    msg[m, t.M_TX] = msg[m, t.M_OCTETS] = msg[m, t.M_AIR] = 0
    # Time from the first access to the channel; energy above idling: sending, hearing acknowledgements, listening.
    out[o, t.O_SRC], out[o, t.O_SIZE] = node[n, t.NAME], msg[m, t.M_SIZE]
    begun = msg[m, t.M_START]
    out_real[o, t.O_SERVICE_S] = (now - max(msg[m, t.M_SUBMIT], begun)) / 1e9 if is_ok else 0.0
    tail = t.TURN + t.ACK_AIR if is_ok and par[t.P_ACK] and msg[m, t.M_DSTS] == 1 else 0
    elapsed = now + tail - begun if 0 <= begun <= now else np.int64(0)
    tx, ack = msg[m, t.M_TX_NS], msg[m, t.M_ACKS] * t.ACK_AIR
    listen = max(elapsed - tx - ack, 0)
    spent = real[t.F_TX_W] * tx + real[t.F_RX_W] * ack + real[t.F_LISTEN_W] * listen
    out_real[o, t.O_ENERGY_J] = (spent - real[t.F_IDLE_W] * elapsed) / 1e9


@inner
def got(g, node, msg, dst, m, row, now, par, real, out, out_real):
    """Note that a destination has the current frame; with its last one the message is delivered there."""
    n = msg[m, t.M_SRC]
    if dst[row, t.D_STATE] & t.GOT:
        node[n, t.N_DUP] += 1
        return
    dst[row, t.D_STATE] |= t.GOT
    node[n, t.N_GOT] += 1
    dst[row, t.D_COUNT] += 1
    if dst[row, t.D_COUNT] == msg[m, t.M_FRAMES] and not dst[row, t.D_STATE] & t.DONE:
        emit(g, node, msg, dst, m, row, now, 1, par, real, out, out_real)


@inner
def finish(g, node, radio, msg, dst, late, n, now, base, par, real, out, out_real):
    """End the node's message and begin the next one; return whether there is one."""
    m = node[n, t.HEAD]
    # Destinations without the whole message get a delivery that failed; their radios may rest.
    for row in range(msg[m, t.M_DST], msg[m, t.M_DST] + msg[m, t.M_DSTS]):
        if not dst[row, t.D_STATE] & t.DONE:
            emit(g, node, msg, dst, m, row, now, 0, par, real, out, out_real)
        d = dst[row, t.D_NODE]
        node[d, t.PARTS] -= 1
        rest(node, radio, d, now, par)
    node[n, t.DEBT_TX] += msg[m, t.M_TX]
    node[n, t.DEBT_OCTETS] += msg[m, t.M_OCTETS]
    node[n, t.DEBT_AIR] += msg[m, t.M_AIR]
    # What was sent since the last delivery is owed to the next one.
    if msg[m, t.M_LATE] > 0:
        late[n] = 0
    node[n, t.HEAD] = msg[m, t.M_NEXT]
    node[n, t.FREE] = base
    free(g, msg, dst, m)
    node[n, t.PARTS] -= 1
    if node[n, t.HEAD] < 0:
        node[n, t.TAIL] = -1
        rest(node, radio, n, now, par)
        return False
    m = node[n, t.HEAD]
    msg[m, t.M_START] = max(base, msg[m, t.M_SUBMIT])
    return True


@inner
def is_wanted(msg, dst, m):
    """Return whether any node that the current frame is for can be reached."""
    # A frame that is repeated for one destination is for that one alone.
    first, last = msg[m, t.M_DST], msg[m, t.M_DST] + msg[m, t.M_DSTS]
    if msg[m, t.M_REPAIR] >= 0:
        first = msg[m, t.M_REPAIR]
        last = first + 1
    wanted = 0
    for row in range(first, last):
        wanted += dst[row, t.D_REACHED]
    return wanted > 0


@inner
def next_late(late, n, first, words):
    """Return the first waiting frame from `first` on, then from the beginning; -1 if none waits."""
    # The rest of the word of `first`, then word after word once around.
    w = first >> 6
    bits = np.uint64(late[n, t.LATE_SIZE * w + t.LATE_WAITS]) >> np.uint64(first & 63)
    if bits != np.uint64(0):
        return first + lowest_bit(bits)
    for _ in range(words):
        w = w + 1 if w + 1 < words else 0
        bits = np.uint64(late[n, t.LATE_SIZE * w + t.LATE_WAITS])
        if bits != np.uint64(0):
            return 64 * w + lowest_bit(bits)
    return np.int64(-1)


@inner
def follow(msg, dst, late, m):
    """Go on to the next frame: all in turn, then those that wait, round and round; `M_FRAMES`: none is left."""
    n, row, frames, f = msg[m, t.M_SRC], msg[m, t.M_DST], msg[m, t.M_FRAMES], msg[m, t.M_FRAGMENT] + 1
    msg[m, t.M_TRY] = 0
    if f == frames or msg[m, t.M_ROUND]:
        msg[m, t.M_ROUND] = 1
        start, f = f if f < frames else 0, frames
        if msg[m, t.M_LATE] > 0:
            f = next_late(late, n, start, (frames + 63) >> 6)
            # The frame waits no more: whether it was sent and received before comes back from its bits.
            first, place = t.LATE_SIZE * (f >> 6), f & 63
            is_sent = (late[n, first + t.LATE_SENT] >> place) & 1
            has_got = (late[n, first + t.LATE_GOT] >> place) & 1
            dst[row, t.D_STATE] |= is_sent * t.SENT + has_got * t.GOT
            for k in range(first, first + t.LATE_SIZE):
                late[n, k] &= ~(np.int64(1) << place)
            msg[m, t.M_LATE] -= 1
    msg[m, t.M_FRAGMENT] = f


@inner
def put_behind(msg, dst, late, m):
    """Defer the current frame of a message to one node behind the message's others; note its state in bits."""
    n, row, f = msg[m, t.M_SRC], msg[m, t.M_DST], msg[m, t.M_FRAGMENT]
    first, place, state = t.LATE_SIZE * (f >> 6), f & 63, dst[row, t.D_STATE]
    late[n, first + t.LATE_WAITS] |= np.int64(1) << place
    late[n, first + t.LATE_SENT] |= np.int64(state & t.SENT > 0) << place
    late[n, first + t.LATE_GOT] |= np.int64(state & t.GOT > 0) << place
    dst[row, t.D_STATE] &= t.DONE
    msg[m, t.M_LATE] += 1
    follow(msg, dst, late, m)


@inner
def is_over(node, msg, dst, late, m, par):
    """Return whether no other destination needs the current frame; if so, go on to the next frame."""
    first, last = msg[m, t.M_DST], msg[m, t.M_DST] + msg[m, t.M_DSTS]
    # A reliable message to several nodes is sent to all at once, then again to each that has not got it, in turn.
    following = np.int64(-1)
    if msg[m, t.M_DSTS] > 1 and par[t.P_RELIABLE]:
        for row in range(msg[m, t.M_REPAIR] + 1 if msg[m, t.M_REPAIR] >= 0 else first, last):
            if dst[row, t.D_REACHED] and not dst[row, t.D_STATE] & (t.GOT | t.DONE):
                following = row
                break
    msg[m, t.M_REPAIR] = following
    if following >= 0:
        return False
    node[msg[m, t.M_SRC], t.FRAMES] += 1
    for row in range(first, last):
        dst[row, t.D_STATE] &= t.DONE
    follow(msg, dst, late, m)
    return True
