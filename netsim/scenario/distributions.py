"""Laws of random times and speeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, PositiveFloat

MAX_CV = 1000.0
_MOMENTS = {"exponential": ("mean",), "uniform": ("low", "high"), "lognormal": ("mean", "cv")}


@dataclass(frozen=True)
class Times:
    """A random time.

    Parameters
    ----------
    distribution
        ``exponential`` of mean `mean_s`; ``uniform`` on [low_s, high_s); ``lognormal`` of mean `mean_s` and
        coefficient of variation `cv` (standard deviation over mean).
    mean_s, low_s, high_s, cv
        Exactly those that the distribution needs.

    Examples
    --------
    >>> Times("uniform", low_s=0.1, high_s=0.3).expected_s
    0.2
    """

    distribution: Literal["exponential", "uniform", "lognormal"]
    mean_s: PositiveFloat | None = None
    low_s: NonNegativeFloat | None = None
    high_s: PositiveFloat | None = None
    cv: PositiveFloat | None = None

    def __post_init__(self) -> None:
        given = {"mean": self.mean_s, "low": self.low_s, "high": self.high_s, "cv": self.cv}
        _check(self.distribution, given, "_s", "a time after low_s", "s")

    @property
    def expected_s(self) -> float:
        """The mean, in seconds."""
        if self.distribution == "uniform":
            return (_given(self.low_s) + _given(self.high_s)) / 2
        return _given(self.mean_s)

    def sample(self, rng: np.random.Generator) -> float:
        """Draw one value, in seconds."""
        return _sample(self.distribution, self.mean_s, self.low_s, self.high_s, self.cv, rng)


@dataclass(frozen=True)
class Distribution(Times):
    """A random time of computing.

    Parameters
    ----------
    distribution, mean_s, low_s, high_s, cv
        See `Times`.
    per
        ``gradient``: drawn anew for each gradient. ``node``: drawn for each node, anew in every replication; all
        gradients of the node then take this long.
    """

    per: Literal["gradient", "node"] = "gradient"


@dataclass(frozen=True)
class Speeds:
    """A random speed of a node, drawn for each node that learns, anew in every replication.

    There is no exponential law: the time of a gradient, one over the speed, would have no mean.

    Parameters
    ----------
    distribution
        ``uniform`` on [low_flop_per_s, high_flop_per_s); ``lognormal`` of mean `mean_flop_per_s` and coefficient of
        variation `cv` (standard deviation over mean).
    mean_flop_per_s, low_flop_per_s, high_flop_per_s, cv
        Exactly those that the distribution needs.
    """

    distribution: Literal["uniform", "lognormal"]
    mean_flop_per_s: PositiveFloat | None = None
    low_flop_per_s: PositiveFloat | None = None
    high_flop_per_s: PositiveFloat | None = None
    cv: PositiveFloat | None = None

    def __post_init__(self) -> None:
        given = {"mean": self.mean_flop_per_s, "low": self.low_flop_per_s, "high": self.high_flop_per_s, "cv": self.cv}
        _check(self.distribution, given, "_flop_per_s", "a speed above low_flop_per_s", "flop/s")

    def sample(self, rng: np.random.Generator) -> float:
        """Draw one value, in flop/s."""
        mean, low, high = self.mean_flop_per_s, self.low_flop_per_s, self.high_flop_per_s
        return _sample(self.distribution, mean, low, high, self.cv, rng)


def _check(law: str, given: Mapping[str, float | None], ending: str, above: str, unit: str) -> None:
    """Raise `ConfigError` where other keys are given than the law needs, or the interval is empty."""
    needs, faults = _MOMENTS[law], []
    names = {key: key if key == "cv" else key + ending for key in given}
    for key, value in given.items():
        if (value is not None) != (key in needs):
            got = "nothing" if key in needs else repr(names[key])
            allowed = f"the {law} distribution takes {' and '.join(names[need] for need in needs)}"
            faults.append(Fault((names[key],), allowed, got))
    cv = given["cv"]
    if cv is not None and cv > MAX_CV:
        faults.append(Fault(("cv",), f"at most {MAX_CV:g}, beyond which draws leave the clock", f"{cv:g}"))
    if not faults and law == "uniform" and not _given(given["low"]) < _given(given["high"]):
        allowed = f"{above}, {given['low']:g} {unit}"
        faults.append(Fault((names["high"],), allowed, f"{given['high']:g}"))
    if faults:
        raise ConfigError(faults)


def _sample(
    law: str, mean: float | None, low: float | None, high: float | None, cv: float | None, rng: np.random.Generator
) -> float:
    if law == "exponential":
        return float(rng.exponential(_given(mean)))
    if law == "uniform":
        return float(rng.uniform(_given(low), _given(high)))
    # Mean m and coefficient of variation c: variance of the logarithm ln(1 + c^2), its mean ln m - half of that.
    variance = math.log1p(_given(cv) ** 2)
    return float(rng.lognormal(math.log(_given(mean)) - variance / 2, math.sqrt(variance)))


def _given(number: float | None) -> float:
    return math.nan if number is None else number
