"""Uploads left out while a gradient changes less than the model moves: what LAG, LAQ and LASG share."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from algorithms.roles.parts import squared
from algorithms.roles.shared_state import StateServer, StateWorker
from algorithms.roles.star import Dense, Updates, step_of
from algorithms.roles.tolerant import Mindful
from netsim.fields import NonNegativeFloat, PositiveInt
from netsim.interfaces import Array, Context, NodeId, Silent


@dataclass(frozen=True, kw_only=True)
class Lazy(Dense, Mindful):
    """Keys of lazily aggregated gradients.

    Parameters
    ----------
    xi
        Weight of each of the last moves in the limit (xi / gamma^2) sum_{j=1}^{D} ||w^{t+1-j} - w^{t-j}||^2; 0 sends
        every change.
    window
        D, how many moves count.
    max_age
        Rounds after its last upload at which a worker uploads whatever the limit; None: never.
    """

    xi: Literal["auto"] | NonNegativeFloat = "auto"
    window: PositiveInt = 10
    max_age: PositiveInt | None = None

    def weight(self) -> float:
        """Return xi."""
        return 1.0 / self.window if self.xi == "auto" else self.xi


class Limit:
    """The squared change of a gradient that is left unsent: (xi / gamma^2) times the last squared moves."""

    def __init__(self, ctx: Context, algorithm: Lazy) -> None:
        self.xi, self.gamma = algorithm.weight(), step_of(algorithm, ctx)
        self._moves: deque[float] = deque(maxlen=algorithm.window)
        self._last: Array | None = None

    def see(self, x: Array) -> None:
        """Take note of the newest model."""
        if self._last is not None:
            self._moves.append(squared(x - self._last))
        self._last = x

    def at(self, round: int) -> float:
        """Return the limit; moves before the first model count as 0."""
        return self.xi / self.gamma(round) ** 2 * sum(self._moves)


def is_overdue(round: int, last: int | None, max_age: int | None) -> bool:
    """Return whether there was no upload yet, or the last one is `max_age` rounds old."""
    return last is None or (max_age is not None and round - last >= max_age)


class LazyWorker(StateWorker):
    """Uploads its change where it is above the limit; a subclass says what it compares.

    Attributes
    ----------
    limit : what a change is compared with.
    last : the round of the last upload; None before the first.
    """

    def __init__(self, ctx: Context, algorithm: Lazy) -> None:
        super().__init__(ctx, algorithm)
        self.limit, self.max_age = Limit(ctx, algorithm), algorithm.max_age
        self.last: int | None = None

    async def gradient(self, round: int, x: Array) -> Array:
        """Take note of the model, and return the gradient at it."""
        self.limit.see(x)
        return await super().gradient(round, x)

    async def upload(self, round: int, g: Array) -> None:
        """Send the change, or be silent."""
        if not is_overdue(round, self.last, self.max_age) and self.change(g) <= self.limit.at(round):
            await Silent(self.ctx.server, round)
        elif (await self.tell(round, await self.encode_change(round, g))).arrived:
            self.last = round
            self.note_upload()

    def note_upload(self) -> None:
        """Keep what later changes are compared with; here h_m is all."""

    def change(self, g: Array) -> float:
        """Return the squared change since the last upload."""
        return squared(g - self.h)


class AskingServer(StateServer):
    """Asks only those workers whose gradient may have changed: L_m^2 ||w^t - w_m||^2 > limit, w_m where m uploaded.

    Attributes
    ----------
    asked_at : w_m by worker; those never heard are missing.
    offered : models by worker and round that were sent since, for which no upload came.
    """

    def __init__(self, ctx: Context, algorithm: Lazy) -> None:
        super().__init__(ctx, algorithm)
        self.limit, self.max_age = Limit(ctx, algorithm), algorithm.max_age
        self.last = dict[NodeId, int | None].fromkeys(ctx.workers)
        self.asked_at: dict[NodeId, Array] = {}
        self.offered: dict[NodeId, dict[int, Array]] = {worker: {} for worker in ctx.workers}

    async def broadcast(self, round: int, kind: str = "model") -> None:
        """Choose whom to ask, and send them the model."""
        self.limit.see(self.x)
        limit = self.limit.at(round)
        due = [is_overdue(round, last, self.max_age) for last in self.last.values()]
        self.asked = [m for m, is_due in zip(self.last, due, strict=True) if is_due or self.bound(m) > limit]
        for worker in self.asked:
            self.offered[worker][round] = self.x
        await super().broadcast(round, kind)

    async def step(self, round: int, updates: Updates) -> None:
        """Step, and note the models at which the uploads were made."""
        await super().step(round, updates)
        for upload in updates.sent:
            worker, made = upload.src, upload.round
            self.last[worker], self.asked_at[worker] = made, self.offered[worker][made]
            self.offered[worker] = {other: x for other, x in self.offered[worker].items() if other > made}

    def bound(self, worker: NodeId) -> float:
        """Return L_m^2 ||w^t - w_m||^2, which no change of a full gradient exceeds."""
        moved: Array = self.x - self.asked_at[worker]
        return float(self.ctx.facts.node_smoothness(worker) ** 2 * (moved @ moved))
