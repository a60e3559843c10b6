"""Signs by blocks in both directions, with error feedback that knows how the step changes, and Nesterov's momentum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from algorithms.coding.codec import Codec
from algorithms.compressors.block_sign import BlockSign
from algorithms.compressors.error_feedback import ErrorFeedback
from algorithms.roles.compressed import Compressed
from algorithms.roles.parts import Momentum
from algorithms.roles.replicas import ReplicaServer, Replicated, ReplicaWorker
from algorithms.roles.star import step_of
from algorithms.roles.tolerant import Mindful
from netsim.fields import Range, Ref
from netsim.interfaces import Agent, Array, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class DistEfBlockwise(Compressed, Replicated, Mindful):
    """p_m = e_m + gamma_k (b v_m + g_m), e_m <- p_m - C(p_m); P = E + mean C(p_m), E <- P - C(P), x^{k+1} = x^k - C(P).

    v_m <- b v_m + g_m is the worker's momentum, and E the server's error memory. The errors are in units of steps,
    which for a C that scales with its argument is the paper's correction (gamma_{k-1} / gamma_k) e. The virtual iterate
    x^k - mean e_m - E moves by -gamma_k mean (b v_m + g_m) for every step rule.

    Parameters
    ----------
    compressor
        C of both directions, signs by blocks in the paper.
    momentum
        b, 0 for none; Nesterov's.
    step_size
        ``auto`` is 1/L of F; what theory admits shrinks with the contraction of C. A number, or a step rule.

    References
    ----------
    Zheng, Huang, Kwok, "Communication-efficient distributed blockwise momentum SGD with error-feedback", NeurIPS 2019;
    there a block is a tensor.
    """

    compressor: Annotated[Codec, Ref("compressor")] = BlockSign()  # noqa: RUF009  # frozen
    momentum: Annotated[float, Range(ge=0, lt=1)] = 0.0

    examples: ClassVar[Examples] = (
        {"step_size": 0.05},
        {
            "compressor": {"name": "block_sign", "block": 4},
            "momentum": 0.5,
            "step_size": {"name": "inverse_round", "a": 1},
        },
    )

    def codec(self, ctx: Context) -> Codec:
        """Return C with an error memory."""
        return ErrorFeedback(super().codec(ctx))

    def server(self, ctx: Context) -> Agent:
        """Return a server whose step is 1, as the workers' steps are in what they send."""
        return ReplicaServer(ctx, replace(self, step_size=1.0))

    def worker(self, ctx: Context) -> Agent:
        """Return a worker with momentum."""
        return DistEfWorker(ctx, self)


class DistEfWorker(ReplicaWorker):
    """Uploads its compressed step, and takes the server's as it is."""

    def __init__(self, ctx: Context, algorithm: DistEfBlockwise) -> None:
        super().__init__(ctx, replace(algorithm, step_size=1.0))
        self.local = step_of(algorithm, ctx)
        self.momentum = Momentum(algorithm.momentum, nesterov=True)

    async def upload(self, round: int, g: Array) -> None:
        """Send C(e + gamma (b v + g)) and keep what it leaves out."""
        await super().upload(round, self.local(round) * self.momentum.direction(g))
