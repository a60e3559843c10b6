"""FedAvg whose clients are pulled towards the model they started from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.roles.federated import Patient
from algorithms.roles.local import LocalWorker
from netsim.fields import NonNegativeFloat
from netsim.interfaces import Agent, Array, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Fedprox(Patient):
    """FedAvg with local steps on h_m(x; x^k) = f_m(x) + (mu / 2) ||x - x^k||^2.

    With mu = 0 it is `fedavg`. The larger mu, the less clients with unlike data drift apart in their local steps.

    Parameters
    ----------
    mu
        0 or more.
    step_size
        ``auto`` is 1 / (max_m L_m + mu), h_m's; a number; or a step rule, which counts a client's own steps.

    References
    ----------
    Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith, "Federated optimization in heterogeneous networks", MLSys 2020,
    algorithm 2. Deviations: the inexact solver is the given number of gradient steps; clients are drawn uniformly and
    weighted by samples, as in `fedavg`, not drawn by samples and averaged plainly.
    """

    mu: NonNegativeFloat

    examples: ClassVar[Examples] = (
        {"mu": 0.5, "local_steps": 4},
        {"mu": 0.1, "epochs": 1, "participation": 0.67, "step_size": 0.1},
    )

    def auto_step(self, ctx: Context) -> float:
        """Return 1 / (max_m L_m + mu)."""
        return 1.0 / (1.0 / super().auto_step(ctx) + self.mu)

    def worker(self, ctx: Context) -> Agent:
        """Return a client with the proximal term."""
        return FedproxClient(ctx, self)


class FedproxClient(LocalWorker):
    """Takes local steps on f_m plus the proximal term."""

    def __init__(self, ctx: Context, algorithm: Fedprox) -> None:
        super().__init__(ctx, algorithm)
        self.mu = algorithm.mu

    def changed(self, x: Array, g: Array) -> Array:
        """Return the gradient of h_m."""
        return g + self.mu * (x - self.x)
