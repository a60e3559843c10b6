"""A step size that falls as one over the round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from netsim.fields import PositiveFloat
from netsim.registry import component


@component("step")
@dataclass(frozen=True)
class InverseRound:
    """gamma_k = a / (k + 1).

    Parameters
    ----------
    a
        The step of round 0.

    References
    ----------
    Khirirat, Magnusson, Aytekin, Johansson, "A flexible framework for communication-efficient machine learning",
    AAAI 2021, the step of the stochastic sparsification lemma.

    Examples
    --------
    >>> InverseRound(a=2.0).at(3)
    0.5
    """

    a: PositiveFloat

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({"a": 1.0},)

    def at(self, round: int) -> float:
        """The step of round k = 0, 1, ..."""
        return self.a / (round + 1)
