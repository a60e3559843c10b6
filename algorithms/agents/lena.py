"""Self-triggered uploads: silent workers contribute a drift that the server knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.coding.several import pair
from algorithms.compressors.identity import Identity
from algorithms.roles.compressed import Compressed
from algorithms.roles.drift import Drift, DriftServer, known_drift
from algorithms.roles.parts import Trigger, squared
from algorithms.roles.star import Worker, step_of
from algorithms.roles.tolerant import Mindful
from netsim.fields import Fraction, NonNegativeFloat, PositiveInt, Ref
from netsim.interfaces import Agent, Array, Context, Silent
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Lena(Compressed, Mindful):
    """A worker uploads v = e + alpha g where that is far from what it told last; else the server applies its drift q.

    With p = e_m + alpha g_m, worker m uploads v_m = p where ||p - v_m^{t-1}||^2 >= limit has held `times` times since
    its last upload, and is silent with v_m = q_m otherwise; then e_m <- p - v_m and x^{t+1} = x^t - (1/M) sum_m v_m.
    The virtual iterate x^t - mean e_m moves by -alpha mean g_m, whatever drift and limit. With beta = 0 all upload in
    every round, which is gradient descent.

    Parameters
    ----------
    beta
        The limit is beta alpha^2 ||g||^2 (``scale: alpha2``), beta ||g||^2 (``literal``, line 8 as printed, whose units
        do not agree) or beta^2 alpha^2 ||g||^2 (``alpha2beta2``).
    scale
        Which of the three.
    drift
        q after an upload at round t: 0; ``g``, alpha g^t; ``v``, v^t; ``m``, the momentum
        m^t = (1 - gamma) m^{t-1} + gamma alpha g^t with m^0 = alpha g^0; ``avg``, the mean of the steps since the
        upload before, (v + (n - 1) q) / n for an upload n rounds after that one. ``g`` and ``m`` upload q beside v.
    gamma
        Of the momentum and of the gradient's average.
    times
        K, how often the condition must hold.
    gradient_reference
        g in the limit: ``current``, ``previous`` (equation 4), or ``window``, the average that equation 6 makes of g.
    reference
        What p is compared with: ``v``, what was applied last, or ``q``, the drift. They differ in the round after an
        upload; with ``q``, `times` 1 and the current gradient, a silent worker's ||e||^2 is below the limit.
    force_first
        Whether all upload in round 0; without it the model stands still until the first ones trigger.
    compressor
        Of v and q, both of which are then what their uploads decode to; e keeps what is lost of v.
    step_size
        alpha; ``auto`` is 1/L of F. A number, or a step rule.

    References
    ----------
    Shokri Ghadikolaei, Stich, Jaggi, "LENA: communication-efficient distributed learning with self-triggered gradient
    uploads", AISTATS 2021, algorithm 1, equations 3 to 7. Deviations: alpha^2 in the limit; equation 7 has a sign and
    a factor 1/n wrong; q is set with an upload (line 9) and not while silent (text after equation 5); the forced start.
    """

    beta: NonNegativeFloat = 40.0
    scale: Literal["alpha2", "literal", "alpha2beta2"] = "alpha2"
    drift: Drift = "m"
    gamma: Fraction = 0.1
    times: PositiveInt = 1
    gradient_reference: Literal["current", "previous", "window"] = "current"
    reference: Literal["v", "q"] = "v"
    force_first: bool = True
    compressor: Annotated[Codec, Ref("compressor")] = Identity()  # noqa: RUF009  # frozen

    examples: ClassVar[Examples] = (
        {},
        {"beta": 2.0, "drift": "avg", "step_size": 0.1, "times": 3, "gradient_reference": "window"},
        {"beta": 5.0, "drift": "v", "compressor": {"name": "qsgd", "levels": 8}, "gradient_reference": "previous"},
        {"drift": 0, "scale": "literal", "reference": "q", "force_first": False, "model_bit": 64},
    )

    def codec(self, ctx: Context) -> Any:
        """Return the codec of v, and of q where that goes with it."""
        code = super().codec(ctx)
        return pair(code) if self.drift in ("g", "m") else code

    def server(self, ctx: Context) -> Agent:
        """Return a server that knows every drift."""
        return DriftServer(ctx, self, self.drift)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker with an error memory."""
        return LenaWorker(ctx, self)


class LenaWorker(Worker):
    """Uploads where its memory is far from what it told, and accumulates what it does not tell.

    Attributes
    ----------
    e, q, v : error memory, drift, and what was applied last; shape (dim,).
    m, average, previous : running averages of the steps and of the gradients, and the gradient before.
    last, next : round of the last upload, -1 before the first, and the round that the next model should have.
    """

    def __init__(self, ctx: Context, algorithm: Lena) -> None:
        super().__init__(ctx, algorithm)
        self.algorithm, self.alpha = algorithm, step_of(algorithm, ctx)
        self.e = self.q = self.v = self.previous = np.zeros_like(ctx.facts.start)
        self.m: Array | None = None
        self.average: Array | None = None
        self.trigger, self.last, self.next = Trigger(algorithm.times), -1, 0

    async def upload(self, round: int, g: Array) -> None:
        """Do lines 8 to 14."""
        keys, step = self.algorithm, self.alpha(round) * g
        self.m = step if self.m is None else (1.0 - keys.gamma) * self.m + keys.gamma * step  # (6)
        self.average = g if self.average is None else (1.0 - keys.gamma) * self.average + keys.gamma * g
        if missed := round - self.next:  # rounds whose model did not come, in which it was silent
            self.e, self.v = self.e - missed * self.q, self.q
        p, self.next = self.e + step, round + 1
        holds = squared(p - (self.v if keys.reference == "v" else self.q)) >= self.limit(round, g)  # line 8
        self.previous = g
        self.v = self.q  # line 12
        if self.trigger.fires(holds) or (keys.force_first and self.last < 0):
            await self.upload_both(round, p, step)  # lines 9 and 10
        else:
            await Silent(self.ctx.server, round)
        self.e = p - self.v  # line 14

    def limit(self, round: int, g: Array) -> float:
        """Return the right side of line 8."""
        keys, alpha = self.algorithm, self.alpha(round)
        reference: Any = {"current": g, "previous": self.previous, "window": self.average}[keys.gradient_reference]
        scale = {"alpha2": alpha**2, "literal": 1.0, "alpha2beta2": keys.beta * alpha**2}[keys.scale]
        return keys.beta * scale * squared(reference)

    async def upload_both(self, round: int, p: Array, step: Array) -> None:
        """Send v = p with its drift, and keep what they decode to; an upload that was lost is due again."""
        drift, fresh = self.algorithm.drift, {"g": step, "m": self.m}
        sent = await self.send(round, self.codec, (p, fresh[drift]) if drift in fresh else p)
        if not sent.arrived:
            self.trigger.count = self.trigger.times
            return
        if drift in fresh:
            self.v, self.q = sent.value
        else:
            self.v, self.q = sent.value, known_drift(drift, sent.value, self.q, round - self.last)
        self.last, self.trigger.count = round, 0
