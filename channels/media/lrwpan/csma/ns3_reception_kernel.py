"""Draws as ns-3 makes them in its lr-wpan module, compiled: one stream for a node's backoffs, one for its receptions.

Each row of `mrg` is the state of a generator MRG32k3a: first those of all nodes' backoffs, then those of all nodes'
receptions. It has no row where draws are Philox words.
"""

# mypy: disable-error-code="no-untyped-def, assignment"

from __future__ import annotations

import math

import numpy as np

from channels.media.lrwpan.csma import tables as t
from channels.media.lrwpan.csma.compiling import inner, outer
from channels.media.lrwpan.reception import SLOPES, STRICT_SINR, WEIGHTS

_M1, _M2 = 4294967087, 4294944443


@inner
def uniform(mrg, row):
    """Return the stream's next number, in (0, 1)."""
    # Two linear recursions of order three, modulo their primes; numba's % is Python's, so that both are 0 or more.
    p1 = (1403580 * mrg[row, 1] - 810728 * mrg[row, 0]) % _M1
    p2 = (527612 * mrg[row, 5] - 1370589 * mrg[row, 3]) % _M2
    mrg[row, 0], mrg[row, 1], mrg[row, 2] = mrg[row, 1], mrg[row, 2], p1
    mrg[row, 3], mrg[row, 4], mrg[row, 5] = mrg[row, 4], mrg[row, 5], p2
    return (p1 - p2 if p1 > p2 else p1 - p2 + _M1) * 2.328306549295727688e-10


@inner
def log_right(sinr):
    """Return `channels.media.lrwpan.reception.log_success`: the logarithm of the chance that one bit is right."""
    total = 0.0
    for k in range(WEIGHTS.size):
        total += WEIGHTS[k] * math.exp(SLOPES[k] * sinr)
    return math.log1p(-min(max(total, 0.0), 1.0))


@inner
def is_before(ring, q, j, delay, r, i, late):
    """Return whether frame `j` (row `q`) arrives before `i` (row `r`), which arrives at `late`.

    Of frames that arrive together the one that was sent first is before, then the one with the lower number.
    """
    begins, start = ring[q, t.START] + delay, ring[q, t.START]
    if begins != late:
        return begins < late
    return start < ring[r, t.START] or (start == ring[r, t.START] and j < i)


@outer
def decide(g, ring, radio, mrg, n, until, par, real, link):
    """Decide whether the frame that node `n` is locked onto survives what arrived before `until`.

    ns-3 3.44 draws whenever another signal arrives, and at the frame's end. It takes the interference at that instant
    for that of the whole stretch since the draw before, so it forgets what ended in between.
    """
    mask, nodes = ring.shape[0] - 1, par[t.P_NODES]
    i = radio[t.LOCK_ID, n]
    r = i & mask
    src = ring[r, t.SRC]
    last, end = radio[t.LOCK_START, n], ring[r, t.END] + np.int64(link[t.L_DELAY, src, n])
    radio[t.OPEN, n] = radio[t.BROKEN, n] = 0
    drawn_r, drawn = r, i
    while True:
        # Find the next arrival behind the last one that was drawn for.
        next_r, upcoming, at = np.int64(-1), np.int64(-1), np.int64(t.FOREVER)
        for j in range(g[t.LOW], g[t.HIGH]):
            q = j & mask
            other = ring[q, t.SRC]
            if j == i or other == n or ring[q, t.START] == ring[q, t.END]:
                continue
            delay = np.int64(link[t.L_DELAY, other, n])
            begins = ring[q, t.START] + delay
            if begins < last or begins >= end or begins >= until or j == drawn:
                continue
            if begins == last and is_before(ring, q, j, delay, drawn_r, drawn, last):
                continue
            if upcoming < 0 or is_before(ring, q, j, delay, next_r, upcoming, at):
                next_r, upcoming, at = q, j, begins
        # None: the frame's end is next, if it is not behind `until`.
        if upcoming < 0:
            if until < end:
                return
            at = end
        # Add up the signals that are there at that instant.
        noise = real[t.F_NOISE]
        for j in range(g[t.LOW], g[t.HIGH]):
            q = j & mask
            other = ring[q, t.SRC]
            delay = np.int64(link[t.L_DELAY, other, n])
            begins, ends = ring[q, t.START] + delay, ring[q, t.END] + delay
            if j == i or other == n or begins > at or ends < at or ring[q, t.START] == ring[q, t.END]:
                continue
            # At an arrival: signals that came before it. At the end: those that came before the end, except one that
            # ends with the frame and was there before it.
            if upcoming >= 0:
                is_there = ends > at and j != upcoming and is_before(ring, q, j, delay, next_r, upcoming, at)
            else:
                start = radio[t.LOCK_START, n]
                is_there = begins < at and (ends > at or not is_before(ring, q, j, delay, r, i, start))
            if is_there:
                noise += link[t.L_POWER, other, n]
        # Draw for the bits, of 4 us each, since the draw before.
        sinr = link[t.L_POWER, src, n] / noise
        if par[t.P_STRICT]:
            right = 1.0 if sinr >= STRICT_SINR else 0.0
        else:
            right = math.exp(((at - last + 3999) // 4000) * log_right(sinr))
        if uniform(mrg, nodes + n) < 1.0 - right:
            radio[t.BROKEN, n] = 1
        if upcoming < 0:
            return
        drawn_r, drawn, last = next_r, upcoming, at
