"""Vectors as amplitudes: what a sender puts on the air, and what its receiver makes of the sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.interfaces import Array, Context, NodeId


@dataclass(frozen=True)
class Analog:
    """How vectors become amplitudes.

    Parameters
    ----------
    amplitude
        a: a sender of v sends a v. What is received is divided by it, so the noise's variance by a^2.
    inversion
        Whether senders divide by their gain h, so that all arrive alike; else v arrives as h a v.
    least_gain
        With inversion, a sender whose h is below sends nothing.
    """

    amplitude: PositiveFloat = 1.0
    inversion: bool = True
    least_gain: NonNegativeFloat = 0.0

    def __post_init__(self) -> None:
        if self.least_gain and not self.inversion:
            allowed = "0 without inversion, where nothing is divided by a gain"
            raise ConfigError([Fault(("least_gain",), allowed, f"{self.least_gain:g}")])


class Antenna:
    """A sender's or the server's end of the air to a server.

    Parameters
    ----------
    ctx
        Of the node.
    analog
        How vectors become amplitudes.

    Attributes
    ----------
    air : None where messages arrive one by one, without gains and noise.
    """

    def __init__(self, ctx: Context, analog: Analog) -> None:
        self.node, self.analog = ctx.node, analog
        self.air = ctx.air(ctx.node, ctx.workers[0]) if ctx.node == ctx.server else ctx.air(ctx.server)

    def amplitudes(self, v: Array, round: int) -> Array | None:
        """Return what to send of v, scaled down to the power limit; None: nothing, as the gain is too small."""
        s = self.analog.amplitude * v
        if self.air is None:
            return s
        (gain,) = self.air.gains(round, (self.node,)) if self.analog.inversion else (1.0,)
        if gain < self.analog.least_gain or not gain:
            return None
        s = s / gain
        power, limit = float(s @ s) / s.size, self.air.power_limit_w
        return s if limit is None or power <= limit else s * np.sqrt(limit / power)

    def arriving(self, s: Array, round: int) -> Array:
        """Return how a sender's amplitudes count at the receiver, over a and without noise."""
        (gain,) = self.weights((self.node,), round)
        return s * (gain / self.analog.amplitude)

    def weights(self, senders: Sequence[NodeId], round: int) -> list[float]:
        """Return the gain at which each sender's amplitudes arrive."""
        return [1.0] * len(senders) if self.air is None else self.air.gains(round, senders).tolist()

    def heard(self, total: Array, round: int, part: int = 0) -> Array:
        """Return what the receiver reads, over a, where amplitudes add up to `total`."""
        if self.air is not None:
            total = total + self.air.noise(round, self.node, total.size, part).astype(total.dtype)
        return total / self.analog.amplitude
