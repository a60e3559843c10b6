"""Lazily aggregated gradients: uploads whose change is small are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from algorithms.roles.lazy import AskingServer, Lazy, LazyWorker
from algorithms.roles.shared_state import StateServer, StateWorker
from netsim.interfaces import Agent, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Lag(Lazy):
    """x^{k+1} = x^k - (gamma/M) sum_m h_m, h_m the gradient that worker m sent last.

    With ``rule: worker`` (LAG-WK) a worker sends g_m - h_m where
    ||g_m - h_m||^2 > (xi/gamma^2) sum_{j=1}^{D} ||x^{k+1-j} - x^{k-j}||^2, and is silent otherwise. With
    ``rule: server`` (LAG-PS) the server sends its model only to the workers with L_m^2 ||x^k - x_m||^2 above the same
    limit, x_m the model that it sent them last, and only these compute and upload. LAG-PS never leaves out an upload
    that LAG-WK would make at the same xi, as ||g_m - h_m|| <= L_m ||x^k - x_m||. With xi = 0 both are gradient descent.

    Parameters
    ----------
    rule
        ``worker`` or ``server``; the latter needs full batches and a problem that knows its L_m.
    xi
        ``auto`` is 1/D for the worker's rule and 10/D for the server's, as in the paper's experiments.

    References
    ----------
    Chen, Giannakis, Sun, Yin, "LAG: lazily aggregated gradient for communication-efficient distributed learning",
    NeurIPS 2018, LAG-WK and LAG-PS; there F is the sum of the f_m, so that its alpha M is gamma. Deviations:
    all upload in round 0; h_m is the sum of what the uploads decoded to, at both ends.
    """

    rule: Literal["worker", "server"] = "worker"

    examples: ClassVar[Examples] = (
        {},
        {"rule": "server", "step_size": 0.1, "float_bit": 64, "model_bit": 64},
        {"xi": 1.0, "window": 3, "max_age": 5, "step_size": 0.1},
    )

    def weight(self) -> float:
        """Return xi."""
        return super().weight() * (10 if self.rule == "server" and self.xi == "auto" else 1)

    def server(self, ctx: Context) -> Agent:
        """Return a server that adds up changes, and asks where it decides."""
        return AskingServer(ctx, self) if self.rule == "server" else StateServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that decides, or sends whenever it is asked."""
        return StateWorker(ctx, self) if self.rule == "server" else LazyWorker(ctx, self)
