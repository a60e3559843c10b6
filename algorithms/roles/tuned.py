"""What CAT tunes beside the budget of one message: one T for all, memories, who takes part, and local steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from algorithms.roles.budget_code import Budgeted, BudgetServer
from algorithms.roles.compensation import Memory
from algorithms.roles.participation import Sampled, SamplingServer
from algorithms.roles.star import Updates
from algorithms.roles.tolerant import Tolerant
from algorithms.roles.tuned_broadcast import TunedBroadcast
from netsim.errors import ConfigError, Fault
from netsim.fields import PositiveInt, Ref
from netsim.interfaces import Agent, Array, Context, Cost, Report


@dataclass(frozen=True, kw_only=True)
class Tuned(Sampled, Budgeted, Tolerant):
    """Keys of compression with a tuned budget, with memories, a sample of the workers, and local steps.

    Parameters
    ----------
    tune
        ``local`` or ``shared``, one T for all.
    memory
        ``none``, ``ef`` or ``ef21``, for the biased variants S and S+Q.
    local_steps
        Steps between a model and the upload.
    down
        What the server's message costs; given, T of the broadcast is tuned, too (`TunedBroadcast`).
    """

    tune: Literal["local", "shared"] = "local"
    memory: Memory = "none"
    local_steps: PositiveInt = 1
    down: Annotated[Cost, Ref("cost")] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.memory != "none" and self.variant == "stochastic":
            allowed = "none, as the stochastic variant is unbiased; sparsify and sign have memories"
            raise ConfigError([Fault(("memory",), allowed, self.memory)])
        is_whole = self.quorum or self.deadline_s or self.participation < 1 or self.broadcast == "dense"
        if self.down is not None and is_whole:
            allowed = "nothing with quorum, deadline_s, participation below 1 or broadcast: dense: models travel whole"
            raise ConfigError([Fault(("down",), allowed, getattr(self.down, "name", "a cost"))])

    @property
    def keeps_memory(self) -> bool:
        """Whether workers have a memory."""
        return self.memory != "none"

    def upload_notes(self) -> int:
        """Return the preferred T with each upload where all share one."""
        return super().upload_notes() + self.model_notes()

    def model_notes(self) -> int:
        """Return the shared T with the model."""
        return int(self.tune == "shared")

    @property
    def relays(self) -> bool:  # type: ignore[override]  # depends on a key
        """Whether workers can repeat the server's step: not where that has a memory."""
        return self.memory != "ef21" and self.down is None

    def server(self, ctx: Context) -> Agent:
        """Return a server that shares T where it is shared."""
        return TunedServer(ctx, self)


class TunedServer(SamplingServer, BudgetServer):
    """Asks some workers, and steps along their mean upload, or with ``ef21`` along the mean of all estimates.

    Attributes
    ----------
    h : the mean of the h_m, shape (dim,).
    tuned : what chooses the changes to send, None where all are sent.
    """

    def __init__(self, ctx: Context, algorithm: Tuned) -> None:
        super().__init__(ctx, algorithm)
        self.estimates = algorithm.memory == "ef21"
        self.h = np.zeros_like(self.x)
        self.tuned: TunedBroadcast | None = None
        if algorithm.down is not None:
            cost, notes = ctx.cost(algorithm.down, ctx.workers[0]), algorithm.model_notes()
            self.tuned = TunedBroadcast(cost, self.x.size, algorithm.model_bit, notes)

    async def direction(self, updates: Updates) -> Array:
        """Return the mean upload, or the mean estimate."""
        if not self.estimates:
            return await super().direction(updates)
        self.h = self.h + (await updates.sum()) / len(self.ctx.workers)
        return self.h

    async def step(self, round: int, updates: Updates) -> None:
        """Step, as far as that is sent, and share the mean of the preferred T."""
        before = self.x
        await super().step(round, updates)
        if self.tuned is not None:
            step = self.x - before
            self.x = self.rounded(before + self.tuned.part(step))
            self.tuned.e = self.tuned.e + step - (self.x - before)
            await Report(round + 1, metrics={"down_budget": float(np.count_nonzero(self.x - before))})
        if self.notes and len(updates):
            preferred = [float(notes[-1]) for notes in (await updates.notes()).values()]
            self.notes = (float(np.rint(sum(preferred) / len(preferred))),)
