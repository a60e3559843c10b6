"""Distributed SGD over the air: gradients are sent as amplitudes at one time, and the server hears their sum."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from algorithms.roles.analog import Analog, Antenna
from algorithms.roles.star import Dense, Server, Updates, Worker
from netsim.interfaces import Agent, Array, Context, Silent
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class OverTheAirSgd(Dense):
    """x^{k+1} = x^k - gamma_k y^k / (a M_k), with y^k = sum_m h_m s_m + z and amplitudes s_m = a grad f_m(x^k) / h_m.

    M_k is how many send in round k: a worker whose gain h_m is below `least_gain` is silent. Where the air has a power
    limit P, amplitudes of a larger mean square are scaled down to it. On a link on which messages arrive one by one the
    server adds them up itself; with neither noise nor fading nor a limit both are the same, bit for bit.

    Parameters
    ----------
    analog
        The amplitude a (``amplitude``), whether senders divide by their gain (``inversion``; without it h_m a g_m
        arrives), and ``least_gain``.
    float_bit
        Of a sample in a payload: 8 times the channel's `sample_bytes`.

    References
    ----------
    Amiri, Gunduz, "Machine learning at the wireless edge: distributed stochastic gradient descent over-the-air", IEEE
    TSP 2020. Zhu, Wang, Huang, "Broadband analog aggregation for low-latency federated edge learning", IEEE TWC 2020
    (inversion cut off at a gain). Sery, Cohen, "On analog gradient descent learning over multiple access fading
    channels", IEEE TSP 2020 (without inversion).
    """

    analog: Analog = field(default_factory=Analog)

    examples: ClassVar[Examples] = (
        {},
        {"analog": {"amplitude": 2.0, "inversion": False}, "step_size": 0.1, "float_bit": 64},
    )

    def timing_free(self, network: Any) -> bool:
        """Return False: what is heard hangs on the channel's draws."""
        return False

    def server(self, ctx: Context) -> Agent:
        """Return a server that hears sums."""
        return OverTheAirServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that sends amplitudes."""
        return OverTheAirWorker(ctx, self)


class OverTheAirServer(Server):
    """Steps along what it hears."""

    def __init__(self, ctx: Context, algorithm: OverTheAirSgd) -> None:
        super().__init__(ctx, algorithm)
        self.antenna = Antenna(ctx, algorithm.analog)

    async def step(self, round: int, updates: Updates) -> None:
        """Step along the mean of those who sent."""
        if len(updates):
            heard = self.antenna.heard(await updates.sum(self.antenna.weights(updates.senders, round)), round)
            self.x = self.x - self.gamma(round) * (heard / len(updates))


class OverTheAirWorker(Worker):
    """Sends its gradient as amplitudes."""

    def __init__(self, ctx: Context, algorithm: OverTheAirSgd) -> None:
        super().__init__(ctx, algorithm)
        self.antenna = Antenna(ctx, algorithm.analog)

    async def upload(self, round: int, g: Array) -> None:
        """Send, or stay silent where the gain is too small."""
        s = self.antenna.amplitudes(g, round)
        if s is None:
            await Silent(self.ctx.server, round)
        else:
            await self.send(round, self.codec, s)
