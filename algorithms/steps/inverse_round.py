"""A step size that falls as one over the round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from netsim.fields import PositiveFloat
from netsim.registry import Examples, component


@component("step")
@dataclass(frozen=True)
class InverseRound:
    """gamma_k = a / (k + offset).

    Parameters
    ----------
    a
        The step of round 0 times `offset`.
    offset
        How slowly it falls at first; 1 gives a / (k + 1).
    per
        Whether k counts rounds or epochs, which then may be fractions.

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
    offset: PositiveFloat = 1.0
    per: Literal["round", "epoch"] = "round"

    examples: ClassVar[Examples] = ({"a": 1.0}, {"a": 2.0, "offset": 100, "per": "epoch"})

    def at(self, count: float) -> float:
        """Return the step after `count` rounds or epochs."""
        return self.a / (count + self.offset)
