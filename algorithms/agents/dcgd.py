"""Distributed compressed gradient descent: any compressor on the way up, no memory on either side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from algorithms.coding.codec import Codec
from algorithms.coding.memory import encode
from algorithms.compressors.identity import Identity
from algorithms.roles.star import FloatBit, KeyedServer, StepSize, codec_work, receive_model, step_rule
from netsim.fields import Ref
from netsim.interfaces import Agent, Context, Gradient, Send
from netsim.registry import component


@component("algorithm")
@dataclass(frozen=True)
class Dcgd:
    """x^{k+1} = x^k - (gamma_k / M) sum_m Q(g_m), with nothing kept of what Q left out.

    With an unbiased Q of E||Q(g) - g||^2 <= w ||g||^2 the expected step is that of gradient descent and
    E||mean Q(g_m) - mean g_m||^2 = (1/M^2) sum_m E||Q(g_m) - g_m||^2, so full batches converge linearly up to a floor,
    which vanishes only where every grad f_m(x*) = 0. With minibatches it is quantised SGD: QSGD, TernGrad, natural
    compression and sparsified SGD are this algorithm with the compressor of that name.

    Each worker keeps the memory of a compressor that has one: with `error_feedback` what Q left out of one gradient is
    added to the next, and `low_rank` starts from the factors before. `ef_sgd` has the step inside the memory.

    The draws of a message depend on seed, replication, round and sender alone, so that the server can repeat those of
    a compressor whose ends share their randomness.

    Parameters
    ----------
    compressor
        Of the workers' gradients; one that works per tensor gets the problem's layout.
    step_size
        ``auto`` is 1 / ((1 + 2 w / M) max_m L_m), where a compressor that is biased or states no w counts as w = 0; a
        number; or a step rule.
    model_bit
        Bits of a float in the broadcast.

    References
    ----------
    Alistarh, Grubic, Li, Tomioka, Vojnovic, "QSGD: Communication-efficient SGD via gradient quantization and encoding",
    NeurIPS 2017, algorithm 1. Khirirat, Feyzmahdavian, Johansson, "Distributed learning with compressed gradients",
    arXiv 1806.06573, 2018.

    Examples
    --------
    >>> from netsim.registry import build
    >>> build("algorithm", {"name": "dcgd", "compressor": {"name": "top_k", "k": 3}}).compressor
    TopK(k=3, fraction=None, float_bit=32, index='fixed')
    """

    compressor: Annotated[Codec, Ref("compressor")]
    step_size: StepSize = "auto"
    model_bit: FloatBit = 32

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"compressor": {"name": "stochastic_sparsification", "budget": 3}},
        {"compressor": {"name": "sign_top_k", "k": 3}, "step_size": 0.1},
        {"compressor": "identity", "model_bit": 64},
        {"compressor": {"name": "error_feedback", "part": {"name": "top_k", "k": 3}}, "step_size": 0.1},
    )

    def server(self, ctx: Context) -> Agent:
        step = step_rule(self.step_size, self.smoothness(ctx) if self.step_size == "auto" else 1.0)
        return KeyedServer(ctx, self.compressor.bind(ctx.facts.layout), step, Identity(self.model_bit))

    def worker(self, ctx: Context) -> Agent:
        return DcgdWorker(ctx, self)

    def smoothness(self, ctx: Context) -> float:
        """What ``auto`` divides by: (1 + 2 w / M) max_m L_m."""
        workers, codec = ctx.workers, self.compressor.bind(ctx.facts.layout)
        w = (codec.variance_bound(ctx.facts.dim) or 0.0) if codec.is_unbiased else 0.0
        return (1.0 + 2.0 * w / len(workers)) * max(ctx.facts.node_smoothness(m) for m in workers)


class DcgdWorker:
    """Sends Q of its gradient.

    Attributes
    ----------
    memory : the compressor's, None where it has none.
    """

    def __init__(self, ctx: Context, algorithm: Dcgd) -> None:
        self.ctx = ctx
        self.codec = algorithm.compressor.bind(ctx.facts.layout)
        self.model = Identity(algorithm.model_bit)
        self.memory: Any = None

    async def run(self) -> None:
        dim = self.ctx.facts.dim
        while True:
            round, x = await receive_model(self.model, dim)
            await codec_work(self.ctx, self.model.decode_flop, dim)
            g = await Gradient(at=x)
            await codec_work(self.ctx, self.codec.encode_flop, dim)
            upload, self.memory = encode(self.codec, self.memory, g, self.ctx.shared_key(round, self.ctx.node))
            await Send(self.ctx.server, upload, round)
