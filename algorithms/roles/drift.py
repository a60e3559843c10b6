"""A server that goes on without its silent workers: each one's drift stands for what it does not send."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from algorithms.roles.star import Server, Star, Updates
from netsim.interfaces import Array, Context, NodeId

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
    drift
        How a drift follows from an upload (``g`` and ``m``: sent).

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
        heard = {i: sent for i, sent in (await updates.vectors()).items() if sent is not None}
        late = np.zeros_like(self.x)
        for i, made, sent in await updates.late_vectors():
            before = self.q[i].copy()
            v = self.learn(i, made, sent)
            # The drift before was applied from that round on; now as if the upload had been there in time.
            late = late + (v - before) + (round - 1 - made) * (self.q[i] - before)
        is_silent = np.ones(len(self.q), self.q.dtype)
        is_silent[list(heard)] = 0.0
        total = is_silent @ self.q + late
        for i, sent in heard.items():
            total = total + self.learn(i, round, sent)
        self.x = self.x - total / len(self.q)

    def learn(self, worker: NodeId, round: int, sent: Any) -> Array:
        """Take over the drift that an upload of some round gives; return its v."""
        v: Array
        v, q = sent if isinstance(sent, tuple) else (sent, None)
        if q is None:
            q = known_drift(self.drift, v, self.q[worker], round - self.last[worker])
        self.q[worker], self.last[worker] = q, round
        return v
