"""A power of the round: a step size that falls, or a threshold that grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from netsim.fields import PositiveFloat
from netsim.registry import Examples, component


@component("step")
@dataclass(frozen=True)
class Power:
    """a (k + offset)^exponent.

    With the exponent -0.5 it is the step size of convex stochastic problems, with 1 - eps the threshold of SPARQ-SGD.

    Parameters
    ----------
    a
        The factor.
    exponent
        Of either sign.
    offset
        What k begins at; 1 gives a at round 0.
    per
        Whether k counts rounds or epochs, which then may be fractions.

    References
    ----------
    Singh, Data, George, Diggavi, "SPARQ-SGD", arXiv 1910.14280: c_t <= c_0 t^(1 - eps) (strongly convex).

    Examples
    --------
    >>> Power(a=2.0, exponent=0.5).at(3)
    4.0
    """

    a: PositiveFloat
    exponent: float
    offset: PositiveFloat = 1.0
    per: Literal["round", "epoch"] = "round"

    examples: ClassVar[Examples] = ({"a": 1.0, "exponent": -0.5}, {"a": 5.0, "exponent": 0.9})

    def at(self, count: float) -> float:
        """Return the value after `count` rounds or epochs."""
        return float(self.a * (count + self.offset) ** self.exponent)
