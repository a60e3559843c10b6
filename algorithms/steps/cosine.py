"""A step size that falls along half a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.registry import Examples, component


@component("step")
@dataclass(frozen=True)
class Cosine:
    """gamma_k = end + (start - end) (1 + cos(pi k / length)) / 2, and `end` from `length` on.

    Parameters
    ----------
    start, end
        The first and the last step.
    length
        Rounds or epochs from one to the other.
    per
        Whether k counts rounds or epochs, which then may be fractions.

    References
    ----------
    Loshchilov, Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017, equation 5, one cycle.

    Examples
    --------
    >>> rule = Cosine(start=1.0, length=4)
    >>> [round(rule.at(k), 6) for k in (0, 2, 4, 9)]
    [1.0, 0.5, 0.0, 0.0]
    """

    start: PositiveFloat
    length: PositiveFloat
    end: NonNegativeFloat = 0.0
    per: Literal["round", "epoch"] = "round"

    examples: ClassVar[Examples] = (
        {"start": 0.1, "length": 10, "end": 0.01},
        {"start": 0.1, "length": 3, "per": "epoch"},
    )

    def at(self, count: float) -> float:
        """Return the step after `count` rounds or epochs."""
        share = min(count / self.length, 1.0)
        return self.end + (self.start - self.end) * (1.0 + math.cos(math.pi * share)) / 2
