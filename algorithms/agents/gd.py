"""Distributed gradient descent without compression: the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.roles.star import Dense
from algorithms.roles.tolerant import Tolerant
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Gd(Dense, Tolerant):
    """x^{k+1} = x^k - (gamma_k / M) sum_m grad f_m(x^k), with dense gradients.

    With minibatches in the problem it is distributed SGD.
    """

    relays: ClassVar[bool] = True
    examples: ClassVar[Examples] = (
        {},
        {"step_size": 0.1},
        {"float_bit": 64, "model_bit": 64},
        {"quorum": 2},
    )
