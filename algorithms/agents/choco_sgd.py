"""CHOCO-SGD: gossip with compressed differences to public copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from algorithms.roles.gossip import CompressedGossip, PublicCopyPeer
from netsim.interfaces import Agent, Context, Gradient
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class ChocoSgd(CompressedGossip):
    """x+ = x_i - eta_t g_i(x_i); q_i = C(x+ - xh_i); xh_j <- xh_j + q_j; x_i <- x+ + gamma sum_j w_ij (xh_j - xh_i).

    Each node keeps a public copy xh_j of each neighbour's model, which all who hear it move alike. Here
    s_i = sum_j w_ij xh_j stands for the copies: three vectors a node, whatever its degree.

    Parameters
    ----------
    order
        ``grad_compress_mix``: as above. ``mix_compress_grad``, which is another algorithm: x <- x_i + gamma sum_j w_ij
        (xh_j - xh_i) with the copies that are there, send C(x - xh_i), x_i <- x - eta_t g_i(x); the message travels
        while the gradient is computed.

    References
    ----------
    Koloskova, Stich, Jaggi, "Decentralized stochastic optimization and gossip algorithms with compressed
    communication", ICML 2019, algorithm 2. Koloskova, Lin, Stich, Jaggi, "Decentralized deep learning with arbitrary
    communication compression", ICLR 2020, algorithm 1 (``mix_compress_grad``).
    """

    order: Literal["grad_compress_mix", "mix_compress_grad"] = "grad_compress_mix"

    examples: ClassVar[Examples] = (
        {"compressor": {"name": "top_k", "k": 3}, "gamma": 0.3, "step_size": 0.1},
        {"compressor": "scaled_sign", "gamma": 0.3, "momentum": 0.5, "step_size": 0.05, "order": "mix_compress_grad"},
        {"compressor": {"name": "sign_top_k", "k": 4}, "gamma": "sparq", "hat_init": "x0"},
    )

    def peer(self, ctx: Context) -> Agent:
        """Return one peer's agent."""
        return GradCompressMix(ctx, self) if self.order == "grad_compress_mix" else MixCompressGrad(ctx, self)


class GradCompressMix(PublicCopyPeer):
    """Steps, sends, mixes."""

    async def step(self, round: int) -> None:
        """Run one round."""
        g = await Gradient(at=self.x)  # line 2
        x = self.x - self.eta(round) * self.momentum.direction(g)  # line 3
        await self.publish(x, round)  # lines 4 to 6
        await self.listen(round)  # lines 6 and 7
        self.x = x + self.pull()  # line 9


class MixCompressGrad(PublicCopyPeer):
    """Mixes, sends, steps."""

    async def step(self, round: int) -> None:
        """Run one round."""
        x = self.x + self.pull()  # line 2
        await self.publish(x, round)  # lines 3 to 5
        g = await Gradient(at=x)  # line 8
        await self.listen(round)  # lines 5 and 6
        self.x = x - self.eta(round) * self.momentum.direction(g)  # line 9
