"""A message costs along a line that bends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import numpy as np

from channels.costing.models import Float64s, FunctionCost
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, Range
from netsim.interfaces import CostModel, Link
from netsim.registry import component

Size = Annotated[float, Range(ge=0)]


@component("cost")
@dataclass(frozen=True)
class Piecewise:
    """C(T) goes straight from knot to knot (size_bit, cost) in P(T), the papers' bits, and on along the last piece.

    Parameters
    ----------
    size_bit
        Of each knot, increasing; at least two. Below the first one the first piece goes on, but never under its
        cost at 0, which must be > 0.
    cost
        At each knot, in any unit; never falling.

    Examples
    --------
    >>> model = Piecewise(size_bit=(0.0, 1000.0, 3000.0), cost=(1.0, 2.0, 6.0)).open(None)
    >>> model([500, 2000, 4000])
    array([1.5, 4. , 8. ])
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"size_bit": [0, 4096, 8192], "cost": [0.01, 0.02, 0.05]},
        {"size_bit": [100, 200], "cost": [7, 7]},
    )

    size_bit: tuple[Size, ...]
    cost: tuple[NonNegativeFloat, ...]

    def __post_init__(self) -> None:
        if len(self.size_bit) < 2 or any(not a < b for a, b in pairwise(self.size_bit)):
            raise ConfigError([Fault(("size_bit",), "at least two sizes, increasing", repr(list(self.size_bit)))])
        if len(self.cost) != len(self.size_bit) or any(a > b for a, b in pairwise(self.cost)):
            allowed = f"a cost for each of {len(self.size_bit)} sizes, never falling"
            raise ConfigError([Fault(("cost",), allowed, repr(list(self.cost)))])
        if not self._at(np.zeros(1))[0] > 0.0:
            allowed = "a line that is > 0 at size 0, as every message must cost something"
            raise ConfigError([Fault(("cost",), allowed, f"{self._at(np.zeros(1))[0]:g}")])

    def open(self, link: Link | None) -> CostModel:
        """Return the model, which is the same on every link."""
        return FunctionCost(self._at, "cost", "paper")

    def _at(self, size: Float64s) -> Float64s:
        x, y = np.array(self.size_bit), np.array(self.cost)
        slopes = np.diff(y) / np.diff(x)
        piece = np.clip(np.searchsorted(x, size, side="right") - 1, 0, slopes.size - 1)
        return np.asarray(y[piece] + slopes[piece] * (size - x[piece]), np.float64)
