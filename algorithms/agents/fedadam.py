"""FedAvg with an adaptive optimiser at the server: FedAdam, FedYogi, FedAdagrad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from algorithms.roles.federated import FederatedServer, Patient
from algorithms.roles.star import Updates
from netsim.fields import PositiveFloat, Range
from netsim.interfaces import Agent, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Fedadam(Patient):
    """x^{k+1} = x^k + eta m / (sqrt(v) + tau), m and v running means of Delta = sum_m (n_m / n_S) (x_m - x^k), Delta^2.

    Where no client was heard the server does not step.

    Parameters
    ----------
    server_step
        eta.
    optimiser
        ``adam``: v <- beta2 v + (1 - beta2) Delta^2. ``yogi``: v <- v - (1 - beta2) Delta^2 sign(v - Delta^2).
        ``adagrad``: v <- v + Delta^2.
    beta1, beta2, tau
        m <- beta1 m + (1 - beta1) Delta; tau is the degree of adaptivity, and v starts at tau^2.

    References
    ----------
    Reddi, Charles, Zaheer, Garrett, Rush, Konecny, Kumar, McMahan, "Adaptive federated optimization", ICLR 2021,
    algorithm 2. Deviation: clients are weighted by samples, as in `fedavg`; the paper's box averages them plainly.
    """

    server_step: PositiveFloat = 0.1
    optimiser: Literal["adam", "yogi", "adagrad"] = "adam"
    beta1: Annotated[float, Range(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Range(ge=0, lt=1)] = 0.99
    tau: PositiveFloat = 1e-3

    examples: ClassVar[Examples] = (
        {"local_steps": 3, "server_step": 0.05},
        {"local_steps": 2, "optimiser": "yogi", "participation": 0.67},
        {"epochs": 1, "optimiser": "adagrad", "tau": 0.1, "quorum": 2, "deadline_s": 5.0},
    )

    def server(self, ctx: Context) -> Agent:
        """Return a server with its optimiser."""
        return FedadamServer(ctx, self)


class FedadamServer(FederatedServer):
    """Steps by m and v.

    Attributes
    ----------
    m, v : shape (dim,).
    """

    def __init__(self, ctx: Context, algorithm: Fedadam) -> None:
        super().__init__(ctx, algorithm.at_server())
        self.algorithm = algorithm
        self.m = np.zeros_like(self.x)
        self.v = np.full_like(self.x, algorithm.tau**2)

    async def step(self, round: int, updates: Updates) -> None:
        """Step along the mean of the clients' updates."""
        a = self.algorithm
        if not updates.senders:
            return
        delta = -await self.mean(updates)  # line 10
        self.m = a.beta1 * self.m + (1 - a.beta1) * delta  # line 11
        square = delta**2
        if a.optimiser == "adagrad":
            self.v = self.v + square  # line 12
        elif a.optimiser == "yogi":
            self.v = self.v - (1 - a.beta2) * square * np.sign(self.v - square)  # line 13
        else:
            self.v = a.beta2 * self.v + (1 - a.beta2) * square  # line 14
        self.x = self.x + a.server_step * self.m / (np.sqrt(self.v) + a.tau)  # line 15
