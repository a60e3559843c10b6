"""Distributed SGD with error feedback: what the compressor leaves out of one step is part of the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from algorithms.coding.codec import Codec
from algorithms.compressors.error_feedback import ErrorFeedback, Memory
from algorithms.compressors.identity import Identity
from algorithms.roles.star import FloatBit, KeyedServer, StepSize, codec_work, receive_model, step_rule
from netsim.errors import ConfigError, Fault
from netsim.fields import Ref
from netsim.interfaces import Agent, Context, Gradient, Send
from netsim.registry import component


@component("algorithm")
@dataclass(frozen=True)
class EfSgd:
    """p_m = e_m + gamma_k g_m, e_m <- p_m - C(p_m) at each worker; x^{k+1} = x^k - (1/M) sum_m C(p_m).

    The virtual iterate x^k - mean e_m moves as SGD does, by gamma_k mean g_m, so that biased compressors converge, too.
    For C a contraction with delta and E||g||^2 <= G^2, E||e||^2 <= 4 (1 - delta) gamma^2 G^2 / delta^2. With the
    identity it is gradient descent, with minibatches in the problem SGD. Every error is of decoded values, so the
    rounding of floats on the wire is made up for as well.

    `dcgd` with the compressor `error_feedback` has e in units of gradients: the same for a constant step where C scales
    with its vector, not where the step changes.

    Parameters
    ----------
    compressor
        C, of the workers' steps; one that works per tensor gets the problem's layout. An unbiased one of large w makes
        e grow: take `to_contraction` of it.
    step_size
        ``auto`` is 1/L of F, as for `gd`; what theory admits shrinks with delta, so a compressor that keeps little may
        need less. A number, or a step rule.
    model_bit
        Bits of a float in the broadcast.

    References
    ----------
    Stich, Karimireddy, "The error-feedback framework: better rates for SGD with delayed gradients and compressed
    updates", Journal of Machine Learning Research 21, 2020. Karimireddy, Rebjock, Stich, Jaggi, "Error feedback fixes
    SignSGD and other gradient compression schemes", ICML 2019, algorithm 2.

    Examples
    --------
    >>> from netsim.registry import build
    >>> build("algorithm", {"name": "ef_sgd", "compressor": {"name": "top_k", "k": 3}}).compressor
    TopK(k=3, fraction=None, float_bit=32, index='fixed')
    """

    compressor: Annotated[Codec, Ref("compressor")]
    step_size: StepSize = "auto"
    model_bit: FloatBit = 32

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"compressor": {"name": "top_k", "k": 3}, "step_size": 0.1},
        {"compressor": "scaled_sign"},
        {"compressor": {"name": "sign_rand_k", "fraction": 0.5, "shared_seed": True}, "step_size": 0.1},
    )

    def __post_init__(self) -> None:
        if self.compressor.is_outermost:
            got = self.compressor.name
            raise ConfigError([Fault(("compressor",), "the code inside, as the algorithm is the feedback", got)])

    def server(self, ctx: Context) -> Agent:
        return KeyedServer(ctx, self.compressor.bind(ctx.facts.layout), lambda _: 1.0, Identity(self.model_bit))

    def worker(self, ctx: Context) -> Agent:
        return EfSgdWorker(ctx, self)


class EfSgdWorker:
    """Sends C(p) and keeps e.

    Attributes
    ----------
    memory : e and the compressor's own memory; None before the first message.
    """

    def __init__(self, ctx: Context, algorithm: EfSgd) -> None:
        self.ctx = ctx
        self.codec = ErrorFeedback(algorithm.compressor.bind(ctx.facts.layout))
        self.step = step_rule(algorithm.step_size, ctx.facts.smoothness)
        self.model = Identity(algorithm.model_bit)
        self.memory: Memory | None = None

    async def run(self) -> None:
        dim = self.ctx.facts.dim
        while True:
            round, x = await receive_model(self.model, dim)
            await codec_work(self.ctx, self.model.decode_flop, dim)
            g = await Gradient(at=x)
            await codec_work(self.ctx, self.codec.encode_flop, dim)
            key = self.ctx.shared_key(round, self.ctx.node)
            sent = self.codec.step(self.memory, self.step(round) * g, key)
            self.memory = sent.memory
            await Send(self.ctx.server, sent.payload, round)
