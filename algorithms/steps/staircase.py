"""A value that rises by a constant each so many rounds or epochs: the threshold of event-triggered methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.registry import Examples, component


@component("step")
@dataclass(frozen=True)
class Staircase:
    """start + rise floor(min(k, last) / every).

    Parameters
    ----------
    start, rise
        The first value and what is added each time.
    every
        Rounds or epochs from one value to the next.
    last
        After so many it stays; None: never.
    per
        Whether k counts rounds or epochs.

    References
    ----------
    Singh, Data, George, Diggavi, "SQuARM-SGD", arXiv 2005.07041, experiments: the threshold rises by a constant each
    20 epochs up to epoch 350.

    Examples
    --------
    >>> rule = Staircase(start=2.0, rise=1.0, every=10, last=25)
    >>> [rule.at(k) for k in (0, 9, 10, 29, 100)]
    [2.0, 2.0, 3.0, 4.0, 4.0]
    """

    start: NonNegativeFloat
    rise: PositiveFloat
    every: PositiveFloat
    last: PositiveFloat | None = None
    per: Literal["round", "epoch"] = "epoch"

    examples: ClassVar[Examples] = (
        {"start": 2.0, "rise": 1.0, "every": 10},
        {"start": 2.5, "rise": 1.5, "every": 20, "last": 350},
    )

    def at(self, count: float) -> float:
        """Return the value after `count` rounds or epochs."""
        reached = count if self.last is None else min(count, self.last)
        return self.start + self.rise * (reached // self.every)
