"""A sample of the workers in every round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from algorithms.roles.parts import sampled, share
from algorithms.roles.star import Server, Star
from netsim.fields import Fraction
from netsim.interfaces import Context


@dataclass(frozen=True, kw_only=True)
class Sampled(Star):
    """Keys of a star in which some workers take part in a round.

    Parameters
    ----------
    participation
        max(floor(participation * M), 1) workers, drawn uniformly and anew in every round, get the model and upload.
    """

    participation: Fraction = 1.0

    def num_asked(self, nodes: int) -> int:
        """Return how many workers take part in a round."""
        return share(self.participation, nodes)


class SamplingServer(Server):
    """Asks a sample of the workers."""

    def __init__(self, ctx: Context, algorithm: Any) -> None:
        super().__init__(ctx, algorithm)
        self.participation: float = algorithm.participation

    async def broadcast(self, round: int, kind: str = "model") -> None:
        """Draw the workers of the round and send them the model."""
        self.asked = sampled(self.ctx, self.participation)
        await self.send_model(round, kind)

    async def send_model(self, round: int, kind: str) -> None:
        """Send the model to the workers of the round."""
        await super().broadcast(round, kind)
