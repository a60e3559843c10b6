"""Progress of every budget, from magnitudes in decreasing order: alpha, beta and omega."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from algorithms.tuners.magnitudes import Magnitudes
from netsim.interfaces import Floats

Variant = Literal["sparsify", "sign", "stochastic"]


@dataclass(frozen=True, eq=False)
class Ranked:
    """The n largest magnitudes m_(1) >= ... >= m_(n) > 0 of a vector, ties with m_(n) included.

    Parameters
    ----------
    magnitudes
        Decreasing, float64, shape (n,), n >= 1.
    x
        The vector, for the norms of what is not among them.
    complete
        True where these are all nonzero entries.
    """

    magnitudes: Floats
    x: Magnitudes
    complete: bool

    @classmethod
    def of(cls, x: Magnitudes, values: npt.NDArray[Any], complete: bool) -> Ranked:
        """Return the ranking of magnitudes in any order."""
        return cls(np.sort(values)[::-1].astype(np.float64), x, complete)

    @property
    def size(self) -> int:
        """n."""
        return self.magnitudes.size

    @cached_property
    def squares(self) -> Floats:
        """m_(i)^2."""
        return self.magnitudes * self.magnitudes

    @cached_property
    def energy(self) -> Floats:
        """A(T) for T = 0 .. n."""
        return _prefix(self.squares)

    @cached_property
    def mass(self) -> Floats:
        """S(T) for T = 0 .. n."""
        return _prefix(self.magnitudes)

    @cached_property
    def rest(self) -> Floats:
        """R_s, the sum of all magnitudes behind the s largest, for s = 0 .. n."""
        outside = 0.0 if self.complete else self.x.mass_below(float(self.magnitudes[-1]))
        return outside + _prefix(self.magnitudes[::-1])[::-1]

    @cached_property
    def reach(self) -> Floats:
        """Values s + R_s / m_(s+1), s = 0 .. n-1: the largest T at which entry s+1 is not yet certain."""
        return np.maximum.accumulate(np.arange(self.size) + self.rest[:-1] / self.magnitudes)

    @property
    def total(self) -> float:
        """||x||^2."""
        return float(self.energy[-1]) if self.complete else self.x.l2_squared

    def progress(self, variant: Variant, budget: Floats) -> Floats:
        """Return alpha, beta (whole T) or omega (real T), elementwise, 0 < T <= n."""
        above, below = self.fraction(variant, budget)
        return np.minimum(above / below / self.total, 1.0)

    def fraction(self, variant: Variant, budget: Floats) -> tuple[Floats, Floats]:
        """Return ||x||^2 times the progress as a fraction; its parts are exact for entries that are small integers.

        alpha = A(T) / ||x||^2, beta = S(T)^2 / (T ||x||^2) and omega = ||x||^2 / E||Q||^2, the last at the best
        probabilities for an expected count of T.
        """
        if variant == "sparsify":
            return self.energy[budget.astype(np.int64)], np.ones_like(budget)
        if variant == "sign":
            mass = self.mass[budget.astype(np.int64)]
            return mass * mass, budget
        certain = np.minimum(np.searchsorted(self.reach, budget), self.size - 1)
        rest = self.rest[certain]
        moment = self.energy[certain] + rest * rest / (budget - certain)
        return np.full_like(budget, self.total * self.total), moment


def _prefix(values: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values)))
