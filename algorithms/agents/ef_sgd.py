"""Distributed SGD with error feedback: what the compressor leaves out of one step is part of the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from algorithms.coding.codec import Codec
from algorithms.compressors.error_feedback import ErrorFeedback
from algorithms.roles.compressed import Compressed
from algorithms.roles.star import Server, Worker, step_of
from algorithms.roles.tolerant import Mindful
from netsim.interfaces import Agent, Array, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class EfSgd(Compressed, Mindful):
    """p_m = e_m + gamma_k g_m, e_m <- p_m - C(p_m) at each worker; x^{k+1} = x^k - (1/M) sum_m C(p_m).

    The virtual iterate x^k - mean e_m moves by -gamma_k mean g_m as SGD does, so that biased compressors converge, too.
    For C a contraction with delta and E||g||^2 <= G^2, E||e||^2 <= 4 (1 - delta) gamma^2 G^2 / delta^2. With the
    identity it is gradient descent. `dcgd` with the compressor `error_feedback` has e in units of gradients.

    Parameters
    ----------
    compressor
        C, of the workers' steps; one that works per tensor gets the problem's layout. An unbiased one of large w makes
        e grow: take `to_contraction` of it.
    step_size
        ``auto`` is 1/L of F; what theory admits shrinks with delta. A number, or a step rule.

    References
    ----------
    Stich, Karimireddy, "The error-feedback framework", JMLR 21, 2020. Karimireddy, Rebjock, Stich, Jaggi, "Error
    feedback fixes SignSGD and other gradient compression schemes", ICML 2019, algorithm 2.
    """

    relays: ClassVar[bool] = True
    examples: ClassVar[Examples] = (
        {"compressor": {"name": "top_k", "k": 3}, "step_size": 0.1},
        {"compressor": "scaled_sign"},
        {"compressor": {"name": "sign_rand_k", "fraction": 0.5, "shared_seed": True}, "step_size": 0.1},
    )

    def codec(self, ctx: Context) -> Codec:
        """Return C with its error memory, for the problem's tensors."""
        return ErrorFeedback(super().codec(ctx))

    def server(self, ctx: Context) -> Agent:
        """Return a server whose step is 1, as the workers' steps are in what they send."""
        return Server(ctx, replace(self, step_size=1.0))

    def worker(self, ctx: Context) -> Agent:
        """Return a worker with an error memory."""
        return EfSgdWorker(ctx, self)


class EfSgdWorker(Worker):
    """Sends C(p) and keeps e and the compressor's own memory in `memory`."""

    def __init__(self, ctx: Context, algorithm: EfSgd) -> None:
        super().__init__(ctx, algorithm)
        self.gamma = step_of(algorithm, ctx)

    async def upload(self, round: int, g: Array) -> None:
        """Send C(e + gamma g) and keep what it leaves out."""
        await super().upload(round, self.gamma(round) * g)
