"""DIANA with variance reduction: minibatch gradients corrected by a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from algorithms.roles.compressed import Learning
from algorithms.roles.parts import max_smoothness
from algorithms.roles.shared_state import StateServer, StateWorker
from algorithms.roles.tolerant import Mindful
from netsim.fields import Fraction
from netsim.interfaces import ALL, Agent, Array, Context, Gradient
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class VrDiana(Learning, Mindful):
    """DIANA on g_m = grad f_m(x^k; B) - grad f_m(s; B) + grad f_m(s), with a snapshot s renewed at random (L-SVRG).

    c_m = Q(g_m - h_m), h_m <- h_m + a c_m; x^{k+1} = x^k - gamma (h + mean c_m), h <- h + a mean c_m. In round 0, and
    with probability p in others, s is x^k; the server draws that and tells it with the model. As the noise of the
    minibatches B vanishes at the minimiser like that of Q, it converges there linearly, where `diana` on minibatches
    stalls. With full batches it is `diana`.

    Parameters
    ----------
    snapshot_probability
        p; ``auto`` is minibatch / samples, once an epoch on the mean.
    step_size
        gamma; ``auto`` is 1 / ((1 + 36 (w + 1) / M) max_m L_m). A number, or a step rule.

    References
    ----------
    Horvath, Kovalev, Mishchenko, Richtarik, Stich, "Stochastic distributed learning with gradient quantization and
    variance reduction", arXiv 1904.05115, 2019, VR-DIANA with L-SVRG. Deviations: no proximal step; the coin travels
    as a float of 32 bits; a round that renews the snapshot sends its full gradient.
    """

    snapshot_probability: Literal["auto"] | Fraction = "auto"

    examples: ClassVar[Examples] = (
        {"compressor": {"name": "qsgd", "levels": 2}, "snapshot_probability": 0.2},
        {"compressor": {"name": "rand_k", "k": 4}, "memory_rate": 0.2, "step_size": 0.05},
    )

    def auto_step(self, ctx: Context) -> float:
        """Return 1 / ((1 + 36 (w + 1) / M) max_m L_m)."""
        return 1.0 / ((1.0 + 36.0 * (self.variance(ctx) + 1.0) / len(ctx.workers)) * max_smoothness(ctx))

    def model_notes(self) -> int:
        """Return the coin with the model."""
        return 1

    def server(self, ctx: Context) -> Agent:
        """Return a server that draws the coin."""
        return VrDianaServer(ctx, self, self.rate(ctx))

    def worker(self, ctx: Context) -> Agent:
        """Return a worker with a snapshot."""
        return VrDianaWorker(ctx, self, self.rate(ctx))


class VrDianaServer(StateServer):
    """DIANA's server with a coin."""

    def __init__(self, ctx: Context, algorithm: VrDiana, rate: float) -> None:
        super().__init__(ctx, algorithm, rate)
        p = algorithm.snapshot_probability
        self.probability = 1.0 / ctx.facts.rounds_per_epoch if p == "auto" else p

    async def broadcast(self, round: int, kind: str = "model") -> None:
        """Draw the coin and send it with the model."""
        renews = round == 0 or self.ctx.rng("snapshot").random() < self.probability
        self.notes = (float(renews),)
        await super().broadcast(round, kind)


class VrDianaWorker(StateWorker):
    """DIANA's worker on corrected gradients.

    Attributes
    ----------
    snapshot, full : s and the full gradient there.
    """

    def __init__(self, ctx: Context, algorithm: VrDiana, rate: float) -> None:
        super().__init__(ctx, algorithm, rate)
        self.snapshot = ctx.facts.start
        self.full: Array | None = None

    async def gradient(self, round: int, x: Array) -> Array:
        """Return the corrected gradient, the full one where the snapshot is renewed."""
        batch = self.ctx.next_batch()
        if self.notes[0] or self.full is None:
            self.snapshot, self.full = x, await Gradient(x, ALL)
            return self.full
        return await Gradient(x, batch) - await Gradient(self.snapshot, batch) + self.full
