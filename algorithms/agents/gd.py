"""Distributed gradient descent without compression: the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.compressors.identity import Identity
from algorithms.roles.parts import FloatBit
from algorithms.roles.tolerant import Tolerant
from netsim.interfaces import Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Gd(Tolerant):
    """x^{k+1} = x^k - (gamma_k / M) sum_m grad f_m(x^k), with dense gradients.

    With minibatches in the problem it is distributed SGD.

    Parameters
    ----------
    step_size
        ``auto`` is 1/L of F; a number; or a step rule such as ``{name: inverse_round, a: 1}``.
    float_bit, model_bit
        Bits of a float in the upload and in the broadcast.
    quorum, deadline_s
        The server goes on after so many uploads, or so many seconds after its broadcast.
    """

    float_bit: FloatBit = 32

    relays: ClassVar[bool] = True
    examples: ClassVar[Examples] = (
        {},
        {"step_size": 0.1},
        {"float_bit": 64, "model_bit": 64},
        {"quorum": 2},
    )

    def codec(self, ctx: Context) -> Identity:
        """Return the codec of dense gradients."""
        return Identity(self.float_bit)
