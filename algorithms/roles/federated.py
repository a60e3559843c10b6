"""Clients that a server samples, and that train on their own data for some steps or epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.compressors.identity import Identity
from algorithms.roles.local import Local
from algorithms.roles.participation import Sampled, SamplingServer
from algorithms.roles.star import Updates
from algorithms.roles.tolerant import Tolerant
from netsim.errors import ConfigError, Fault
from netsim.fields import PositiveInt, Range, Ref
from netsim.interfaces import ALL, Agent, Array, Batch, Context

IDENTITY = Identity()


@dataclass(frozen=True, kw_only=True)
class Trained(Local):
    """Keys of clients that train for some steps or epochs and send what came of it through any compressor.

    Parameters
    ----------
    local_steps
        Steps of a round on minibatches drawn anew.
    epochs
        In place of `local_steps`: passes over the client's samples, shuffled and cut into minibatches of the problem's
        size, the last one shorter.
    compressor
        Of x - x_H; a memory that it has stays with the client.
    """

    local_steps: PositiveInt | None = None
    epochs: Annotated[int, Range(ge=1, le=100)] | None = None
    compressor: Annotated[Codec, Ref("compressor")] = IDENTITY

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [key for key in ("local_steps", "epochs") if getattr(self, key) is not None]
        if len(given) != 1:
            got = "both" if given else "neither"
            raise ConfigError([Fault(("local_steps",), "either local_steps or epochs", got)])

    def codec(self, ctx: Context) -> Codec:
        """Return the compressor for the problem's tensors."""
        return self.compressor.bind(ctx.facts.layout)

    def batches(self, ctx: Context) -> Sequence[Batch | None]:
        """Return the minibatches of one round."""
        if self.local_steps is not None:
            return (None,) * self.local_steps
        return [batch for _ in range(self.epochs or 1) for batch in epoch(ctx)]


@dataclass(frozen=True, kw_only=True)
class Federated(Sampled, Trained):
    """Keys of federated averaging and its kin."""

    def server(self, ctx: Context) -> Agent:
        """Return a server that samples clients and averages."""
        return FederatedServer(ctx, self.at_server())


@dataclass(frozen=True, kw_only=True)
class Patient(Federated, Tolerant):
    """Keys of federated averaging whose server may go on without some clients."""

    @property
    def keeps_memory(self) -> bool:
        """Whether the compressor keeps an error memory."""
        return self.compressor.is_outermost


class FederatedServer(SamplingServer):
    """Asks a sample of the clients, and steps along the mean of their updates, weighted by samples."""

    async def step(self, round: int, updates: Updates) -> None:
        """Average."""
        self.x = self.x - await self.mean(updates)

    async def mean(self, updates: Updates) -> Array:
        """Return sum_k (n_k / n) u_k over the clients heard, n the sum of their n_k; zeros where there are none."""
        counts = [float(self.ctx.facts.num_samples(node)) for node in updates.senders]
        total = sum(counts)
        return await updates.sum([count / total for count in counts])


def epoch(ctx: Context) -> list[Batch | None]:
    """Cut a node's samples, shuffled, into minibatches; one of all samples where the problem has none."""
    size, samples = ctx.facts.batch_size(ctx.node), ctx.facts.num_samples(ctx.node)
    if size >= samples:
        return [ALL]
    order = ctx.rng("data").permutation(samples).astype(np.int64)
    return [Batch(np.sort(order[i : i + size])) for i in range(0, samples, size)]
