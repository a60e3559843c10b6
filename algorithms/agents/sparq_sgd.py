"""SPARQ-SGD: CHOCO-SGD with local steps, and messages only where the model has moved far enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from algorithms.roles.gossip import CompressedGossip, PublicCopyPeer
from algorithms.roles.parts import Step, local_steps, step_rule
from netsim.fields import NonNegativeFloat, PositiveInt, Ref
from netsim.interfaces import Agent, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class SparqSgd(CompressedGossip):
    """x+ after H local steps; q_i = C(x+ - xh_i) where ||x+ - xh_i||^2 > c_t eta_t^2, else nothing; then as CHOCO-SGD.

    A node mixes whether it has sent or not. With c = 0 and H = 1 it is `choco_sgd` in the order grad_compress_mix. Step
    sizes and thresholds count local steps; the row of a round has the share of nodes that sent as ``triggered``.

    Parameters
    ----------
    threshold
        c_t: a number, or a rule such as ``{name: power, ...}`` or ``{name: staircase, ...}``.
    local_steps
        H.
    no_update
        What a node that does not send does: ``flag`` says so, at what `network.silence` says that costs; ``silent``
        sends nothing, which needs slots whose end tells, and `network.silence: free`.

    References
    ----------
    Singh, Data, George, Diggavi, "SPARQ-SGD: event-triggered and compressed communication in decentralized stochastic
    optimization", arXiv 1910.14280, algorithm 1.
    """

    threshold: NonNegativeFloat | Annotated[Step, Ref("step")] = 0.0
    local_steps: PositiveInt = 1
    no_update: Literal["flag", "silent"] = "flag"

    examples: ClassVar[Examples] = (
        {"compressor": {"name": "sign_top_k", "k": 3}, "gamma": 0.3, "threshold": 30, "local_steps": 5},
        {"compressor": "scaled_sign", "gamma": 0.3, "threshold": {"name": "power", "a": 2.0, "exponent": 0.5}},
    )

    @property
    def needs_slots(self) -> bool:
        """Whether silence must show by itself."""
        return self.no_update == "silent"

    def peer(self, ctx: Context) -> Agent:
        """Return one peer's agent."""
        return SparqSgdPeer(ctx, self)


class SparqSgdPeer(PublicCopyPeer):
    """Steps, sends where it is worth it, mixes."""

    def __init__(self, ctx: Context, algorithm: SparqSgd) -> None:
        super().__init__(ctx, algorithm)
        self.count = algorithm.local_steps
        self.threshold = step_rule(algorithm.threshold, ctx, lambda: 0.0)

    async def step(self, round: int) -> Mapping[str, float]:
        """Run one round."""
        first, last = round * self.count, (round + 1) * self.count - 1
        x = await local_steps(self.x, self.count, self.eta, first, self.momentum)  # lines 3 to 5
        difference = x - self.hat
        fires = float(difference @ difference) > self.threshold(last) * self.eta(last) ** 2  # line 7
        await (self.publish(x, round) if fires else self.keep_silent(round))  # lines 8 to 11
        await self.listen(round)  # lines 11 to 13
        self.x = x + self.pull()  # line 15
        return {"triggered": float(fires)}
