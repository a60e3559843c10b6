"""Lazily aggregated quantised gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from algorithms.compressors.laq import Laq as LaqCode
from algorithms.roles.lazy import Lazy, LazyWorker, is_overdue
from algorithms.roles.parts import squared
from algorithms.roles.shared_state import StateServer
from netsim.fields import NonNegativeFloat, PositiveInt, Range
from netsim.interfaces import Agent, Array, Context, Silent
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Laq(Lazy):
    """x^{k+1} = x^k - (gamma/M) sum_m h_m, h_m the gradient that worker m sent last, quantised to b bits an entry.

    Worker m quantises its innovation, q_m = Q(g_m - h_m), and sends it (h_m <- h_m + q_m at both ends) where
    ||q_m||^2 >= (xi/gamma^2) sum_{j=1}^{D} ||x^{k+1-j} - x^{k-j}||^2 + 3 (||e_m||^2 + ||e'_m||^2), with the errors
    e_m = g_m - h_m - q_m now and e'_m at its last upload; or where that was `max_age` rounds ago. With minibatches in
    the problem it is stochastic LAQ.

    Parameters
    ----------
    bits
        b, bits of an entry.
    xi
        ``auto`` is 0.8/D.
    float_bit
        Bits of the quantiser's range.

    References
    ----------
    Sun, Chen, Giannakis, Yang, "Communication-efficient distributed learning via lazily aggregated quantized
    gradients", NeurIPS 2019, LAQ and its stochastic form; there F is the sum of the f_m, so that its alpha M is
    gamma. Deviations: all upload in round 0; xi is the same from the first round on.
    """

    bits: Annotated[int, Range(ge=1, le=24)] = 4
    xi: Literal["auto"] | NonNegativeFloat = "auto"
    max_age: PositiveInt | None = 100

    examples: ClassVar[Examples] = (
        {},
        {"bits": 3, "xi": 0.02, "step_size": 0.1},
        {"bits": 12, "max_age": 4, "model_bit": 64, "float_bit": 64},
    )

    def codec(self, ctx: Context) -> LaqCode:  # type: ignore[override]
        """Return the quantiser of innovations."""
        return LaqCode(self.bits, float_bit=self.float_bit)

    def weight(self) -> float:
        """Return xi."""
        return super().weight() * (0.8 if self.xi == "auto" else 1.0)

    def server(self, ctx: Context) -> Agent:
        """Return a server that adds up innovations."""
        return StateServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that quantises, then decides."""
        return LaqWorker(ctx, self)


class LaqWorker(LazyWorker):
    """Sends its quantised innovation where that is large beside the model's moves and the errors.

    Attributes
    ----------
    error : ||e'||^2, the squared error of the last upload.
    """

    def __init__(self, ctx: Context, algorithm: Laq) -> None:
        super().__init__(ctx, algorithm)
        self.error = 0.0

    async def upload(self, round: int, g: Array) -> None:
        """Quantise, then send or be silent."""
        innovation = await self.encode_change(round, g)
        size = squared(innovation.value)
        error = squared(g - self.h - innovation.value)
        if is_overdue(round, self.last, self.max_age) or size >= self.limit.at(round) + 3.0 * (error + self.error):
            if (await self.tell(round, innovation)).arrived:
                self.last, self.error = round, error
        else:
            await Silent(self.ctx.server, round)
