"""Distributed gradient descent with compressed gradients, by any compressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from algorithms.coding.codec import Codec
from algorithms.roles.parts import max_smoothness
from algorithms.roles.tolerant import Tolerant
from netsim.fields import Ref
from netsim.interfaces import Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Dcgd(Tolerant):
    """x^{k+1} = x^k - (gamma_k / M) sum_m Q(g_m), with nothing kept of what Q left out.

    With an unbiased Q of E||Q(g) - g||^2 <= w ||g||^2 the expected step is that of gradient descent and
    E||mean Q(g_m) - mean g_m||^2 = (1/M^2) sum_m E||Q(g_m) - g_m||^2, so full batches converge linearly up to a floor,
    which vanishes only where every grad f_m(x*) = 0. With minibatches it is quantised SGD: QSGD, TernGrad, natural
    compression and sparsified SGD are this algorithm with the compressor of that name.

    Each worker keeps the memory of a compressor that has one: with `error_feedback` what Q left out of one gradient is
    added to the next, and `low_rank` starts from the factors before. `ef_sgd` has the step inside the memory.

    Parameters
    ----------
    compressor
        Of the workers' gradients; one that works per tensor gets the problem's layout.
    step_size
        ``auto`` is 1 / ((1 + 2 w / M) max_m L_m), where a compressor that is biased or states no w counts as w = 0; a
        number; or a step rule.

    References
    ----------
    Alistarh, Grubic, Li, Tomioka, Vojnovic, "QSGD: Communication-efficient SGD via gradient quantization and encoding",
    NeurIPS 2017, algorithm 1. Khirirat, Feyzmahdavian, Johansson, "Distributed learning with compressed gradients",
    arXiv 1806.06573, 2018.

    Examples
    --------
    >>> from netsim.registry import build
    >>> build("algorithm", {"name": "dcgd", "compressor": {"name": "top_k", "k": 3}}).compressor
    TopK(float_bit=32, index='fixed', k=3, fraction=None)
    """

    compressor: Annotated[Codec, Ref("compressor")]

    relays: ClassVar[bool] = True
    examples: ClassVar[Examples] = (
        {"compressor": {"name": "stochastic_sparsification", "budget": 3}},
        {"compressor": {"name": "sign_top_k", "k": 3}, "step_size": 0.1},
        {"compressor": "identity", "model_bit": 64},
        {"compressor": {"name": "error_feedback", "part": {"name": "top_k", "k": 3}}, "step_size": 0.1},
    )

    @property
    def keeps_memory(self) -> bool:
        """Whether the compressor keeps an error memory."""
        return self.compressor.is_outermost

    def codec(self, ctx: Context) -> Codec:
        """Return Q for the problem's tensors."""
        return self.compressor.bind(ctx.facts.layout)

    def auto_step(self, ctx: Context) -> float:
        """Return 1 / ((1 + 2 w / M) max_m L_m)."""
        codec = self.codec(ctx)
        w = (codec.variance_bound(ctx.facts.dim) or 0.0) if codec.is_unbiased else 0.0
        return 1.0 / ((1.0 + 2.0 * w / len(ctx.workers)) * max_smoothness(ctx))
