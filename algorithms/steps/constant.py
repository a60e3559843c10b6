"""A step size that never changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from netsim.fields import PositiveFloat
from netsim.registry import Examples, component


@component("step")
@dataclass(frozen=True)
class Constant:
    """gamma_k = value.

    Parameters
    ----------
    value
        The step size.
    """

    value: PositiveFloat

    per: ClassVar[str] = "round"
    examples: ClassVar[Examples] = ({"value": 0.1},)

    def at(self, count: float) -> float:
        """Return the step."""
        return self.value
