"""A server that goes on without its silent workers: each one's drift stands for what it does not send."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from algorithms.roles.star import Server, Star, Updates
from netsim.interfaces import Array, Context

Drift: TypeAlias = Literal[0, "g", "v", "m", "avg"]


def known_drift(drift: Drift, v: Array, q: Array, rounds: int) -> Array:
    """Return the new drift where both ends can compute it.

    Parameters
    ----------
    drift
        0 (no drift), ``v`` (the upload itself) or ``avg`` (the mean step since the upload before).
    v, q
        What was uploaded, and the drift before; shape (dim,).
    rounds
        Between the upload before and this one.
    """
    if drift == "avg":
        return (v + (rounds - 1) * q) / rounds
    return v if drift == "v" else np.zeros_like(v)


class DriftServer(Server):
    """x <- x - (1/M) sum_m v_m, v_m what worker m uploaded or else its drift.

    Parameters
    ----------
    ctx, algorithm, drift
        The server's context, the algorithm's keys, and how a drift follows from an upload (``g`` and ``m``: sent).

    Attributes
    ----------
    q : drifts, shape (M, dim).
    last : round of each worker's last upload, -1 before the first.
    """

    def __init__(self, ctx: Context, algorithm: Star, drift: Drift) -> None:
        super().__init__(ctx, algorithm)
        self.drift = drift
        self.q = np.zeros((len(ctx.workers), ctx.facts.dim), ctx.facts.dtype)
        self.last = np.full(len(ctx.workers), -1)

    async def step(self, round: int, updates: Updates) -> None:
        """Step, then take over the drifts of the nodes that uploaded."""
        heard = {i: sent for i, sent in enumerate((await updates.vectors()).values()) if sent is not None}
        is_silent = np.ones(len(self.q), self.q.dtype)
        is_silent[list(heard)] = 0.0
        total = is_silent @ self.q
        for i, sent in heard.items():
            v, q = sent if isinstance(sent, tuple) else (sent, None)
            total = total + v
            self.q[i] = known_drift(self.drift, v, self.q[i], round - self.last[i]) if q is None else q
            self.last[i] = round
        self.x = self.x - total / len(self.q)
