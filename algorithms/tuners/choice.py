"""What every solver returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from netsim.interfaces import Indices


@dataclass(frozen=True, slots=True)
class Choice:
    """A budget and what it promises.

    Parameters
    ----------
    budget
        T: kept coordinates, a whole number; for the stochastic variant the expected number, a real one.
    efficiency
        progress / C(T), per unit of the cost model.
    progress
        alpha(T), beta(T) or omega(T), in [0, 1].
    kept
        The T coordinates, ascending, where the solver has met them: what `top_k` would find again.
    """

    budget: float
    efficiency: float
    progress: float
    kept: Indices | None = field(default=None, repr=False, compare=False)


NOTHING = Choice(0.0, 0.0, 0.0)
