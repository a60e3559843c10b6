"""Rounds of which only some workers are part."""

from __future__ import annotations

import math
from dataclasses import dataclass

from netsim.interfaces import Context, NodeId


def sample_size(participation: float, workers: int) -> int:
    """Return max(1, floor(participation * workers))."""
    return max(1, math.floor(participation * workers + 1e-9))


@dataclass(frozen=True, slots=True)
class Sampling:
    """Draws the workers of each round from the server's stream ``participation``.

    Parameters
    ----------
    ctx
        The server's.
    participation
        The part of the workers that takes part, above 0, at most 1.
    """

    ctx: Context
    participation: float

    def draw(self) -> list[NodeId]:
        """Return the workers of the next round in increasing id, each set equally likely."""
        workers = self.ctx.workers
        size = sample_size(self.participation, len(workers))
        if size == len(workers):
            return list(workers)
        return sorted(map(int, self.ctx.rng("participation").choice(workers, size, replace=False)))
