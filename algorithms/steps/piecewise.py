"""A step size that is multiplied at some rounds."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.registry import Examples, component


@component("step")
@dataclass(frozen=True)
class Piecewise:
    """gamma_k = start * factor^j, j being how many of `boundaries` k has reached.

    Parameters
    ----------
    start
        The step before the first boundary.
    boundaries
        Rounds or epochs, rising.
    factor
        What every boundary multiplies the step by.
    per
        Whether k counts rounds or epochs, which then may be fractions.

    Examples
    --------
    >>> rule = Piecewise(start=0.5, boundaries=(150, 225))
    >>> [round(rule.at(k), 6) for k in (0, 149, 150, 225)]
    [0.5, 0.5, 0.05, 0.005]
    """

    start: PositiveFloat
    boundaries: tuple[NonNegativeFloat, ...]
    factor: PositiveFloat = 0.1
    per: Literal["round", "epoch"] = "round"

    examples: ClassVar[Examples] = (
        {"start": 0.1, "boundaries": [2, 4], "factor": 0.5},
        {"start": 0.1, "boundaries": [30, 60], "per": "epoch"},
    )

    def __post_init__(self) -> None:
        if any(a >= b for a, b in pairwise(self.boundaries)):
            raise ConfigError([Fault(("boundaries",), "numbers that rise", ", ".join(map(str, self.boundaries)))])

    def at(self, count: float) -> float:
        """Return the step after `count` rounds or epochs."""
        return self.start * self.factor ** bisect_right(self.boundaries, count)
