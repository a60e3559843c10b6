"""What CAT tunes beside the budget of one message: one T for all, memories, who takes part, and local steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from algorithms.roles.budget_code import Budgeted, BudgetServer
from algorithms.roles.compensation import Memory
from algorithms.roles.parts import sampled, share
from algorithms.roles.star import Updates
from algorithms.roles.tolerant import Tolerant
from netsim.errors import ConfigError, Fault
from netsim.fields import Fraction, PositiveInt
from netsim.interfaces import Agent, Array, Context


@dataclass(frozen=True, kw_only=True)
class Tuned(Budgeted, Tolerant):
    """Keys of compression with a tuned budget, with memories, a sample of the workers, and local steps.

    Parameters
    ----------
    tune
        ``local`` or ``shared``, one T for all.
    memory
        ``none``, ``ef`` or ``ef21``, for the biased variants S and S+Q.
    participation
        max(floor(participation * M), 1) workers, drawn anew in every round, get the model and upload.
    local_steps
        Steps between a model and the upload.
    """

    tune: Literal["local", "shared"] = "local"
    memory: Memory = "none"
    participation: Fraction = 1.0
    local_steps: PositiveInt = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.memory != "none" and self.variant == "stochastic":
            allowed = "none, as the stochastic variant is unbiased; sparsify and sign have memories"
            raise ConfigError([Fault(("memory",), allowed, self.memory)])

    @property
    def keeps_memory(self) -> bool:
        """Whether workers have a memory."""
        return self.memory != "none"

    def num_asked(self, nodes: int) -> int:
        """Return how many workers take part in a round."""
        return share(self.participation, nodes)

    def upload_notes(self) -> int:
        """Return the preferred T with each upload where all share one."""
        return super().upload_notes() + self.model_notes()

    def model_notes(self) -> int:
        """Return the shared T with the model."""
        return int(self.tune == "shared")

    @property
    def relays(self) -> bool:  # type: ignore[override]  # depends on a key
        """Whether workers can repeat the server's step: not where that has a memory."""
        return self.memory != "ef21"

    def server(self, ctx: Context) -> Agent:
        """Return a server that shares T where it is shared."""
        return TunedServer(ctx, self)


class TunedServer(BudgetServer):
    """Asks some workers, and steps along their mean upload, or with ``ef21`` along the mean of all estimates.

    Attributes
    ----------
    h : the mean of the h_m, shape (dim,).
    """

    def __init__(self, ctx: Context, algorithm: Tuned) -> None:
        super().__init__(ctx, algorithm)
        self.participation, self.estimates = algorithm.participation, algorithm.memory == "ef21"
        self.h = np.zeros_like(self.x)

    async def broadcast(self, round: int, kind: str = "model") -> None:
        """Choose the workers of the round and send them the model."""
        self.asked = sampled(self.ctx, self.participation)
        await super().broadcast(round, kind)

    async def direction(self, updates: Updates) -> Array:
        """Return the mean upload, or the mean estimate."""
        if not self.estimates:
            return await super().direction(updates)
        self.h = self.h + (await updates.sum()) / len(self.ctx.workers)
        return self.h

    async def step(self, round: int, updates: Updates) -> None:
        """Step, and share the mean of the preferred T."""
        await super().step(round, updates)
        if self.notes and len(updates):
            preferred = [float(notes[-1]) for notes in (await updates.notes()).values()]
            self.notes = (float(np.rint(sum(preferred) / len(preferred))),)
