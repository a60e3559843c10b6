"""What a link carries at an instant: choices of rates, slow nodes, outages, and rates that change in time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np

from channels.media.flows.sharing import FS_PER_NS, rate_units
from channels.media.purposes import OUTAGE
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, PositiveFloat, Range
from netsim.rng import uniforms
from netsim.units import seconds_to_ns

RateBps = Annotated[float, Range(ge=1, le=1e12)]
Probability = Annotated[float, Range(ge=0, le=1)]

_BATCH = 64


@dataclass(frozen=True)
class RateChoice:
    """Each node's rate is drawn once per medium, so anew in every replication.

    Parameters
    ----------
    values_bps
        The rates.
    probabilities
        One for each rate; they sum to 1.
    """

    values_bps: tuple[RateBps, ...]
    probabilities: tuple[Probability, ...]

    def __post_init__(self) -> None:
        faults = []
        if not self.values_bps:
            faults.append(Fault(("values_bps",), "at least one rate", "an empty list"))
        if len(self.probabilities) != len(self.values_bps):
            allowed = f"a probability for each of {len(self.values_bps)} rates"
            faults.append(Fault(("probabilities",), allowed, str(len(self.probabilities))))
        elif self.values_bps and abs(sum(self.probabilities) - 1.0) > 1e-9:
            allowed = "probabilities that sum to 1"
            faults.append(Fault(("probabilities",), allowed, f"a sum of {sum(self.probabilities):.10g}"))
        if faults:
            raise ConfigError(faults)

    def draw(self, uniform: float) -> float:
        """Return the rate that a uniform number on [0, 1) selects."""
        edges = np.cumsum(self.probabilities)
        place = int(np.searchsorted(edges, uniform, side="right"))
        while place >= len(edges) or not self.probabilities[place]:
            place -= 1
        return self.values_bps[place]


@dataclass(frozen=True)
class Step:
    """A rate from an instant on: 0 where the link stands still."""

    from_s: NonNegativeFloat
    rate_bps: Annotated[float, Range(ge=0, le=1e12)]


@dataclass(frozen=True)
class Stragglers:
    """Some nodes are slow for a whole replication: with `probability`, a node's rates are divided by `factor`."""

    probability: Probability
    factor: Annotated[float, Range(ge=1, le=1e6)] = 10.0


@dataclass(frozen=True)
class Outages:
    """Each node's link works and stands still in turn, for exponential times with these means; it begins working."""

    mean_up_s: PositiveFloat
    mean_down_s: PositiveFloat

    @property
    def availability(self) -> float:
        """Long-run share of the time that a link works."""
        return self.mean_up_s / (self.mean_up_s + self.mean_down_s)


class UpDown:
    """One node's outages, drawn as far as they are needed."""

    def __init__(self, outages: Outages, key: int, node: int) -> None:
        self._means_s = (outages.mean_up_s, outages.mean_down_s)
        self._key, self._counter = key, OUTAGE + node
        self._ends_fs: list[int] = []

    def at(self, at_fs: int) -> tuple[bool, int]:
        """Return whether the link works, and until when."""
        while not self._ends_fs or self._ends_fs[-1] <= at_fs:
            first = len(self._ends_fs)
            draws = uniforms(self._key, self._counter, np.arange(first, first + _BATCH, dtype=np.uint64))
            now_fs = self._ends_fs[-1] if self._ends_fs else 0
            for i, length in enumerate((-np.log1p(-draws)).tolist(), first):
                now_fs += max(1, seconds_to_ns(length * self._means_s[i % 2])) * FS_PER_NS
                self._ends_fs.append(now_fs)
        place = bisect_right(self._ends_fs, at_fs)
        return place % 2 == 0, self._ends_fs[place]


class LinkRate:
    """One link's rate over time.

    Parameters
    ----------
    steps
        (from when in seconds, bit/s), the first from 0; the last one holds from there on.
    scale
        Multiplies them.
    up_down
        The node's outages; None: it always works.
    """

    def __init__(self, steps: Sequence[tuple[float, float]], scale: float = 1.0, up_down: UpDown | None = None) -> None:
        self._from_fs = [seconds_to_ns(at_s) * FS_PER_NS for at_s, _ in steps]
        self._units = [rate_units(rate * scale) if rate else 0 for _, rate in steps]
        self._up_down = up_down
        self.peak = max(self._units)
        # Over the span of the steps; the last one's length is not known.
        spans = [(b[0] - a[0], a[1]) for a, b in pairwise(steps)] or [(1.0, steps[0][1])]
        self.mean_bps = scale * sum(span * rate for span, rate in spans) / sum(span for span, _ in spans)

    def at(self, at_fs: int) -> tuple[int, int | None]:
        """Return the rate in nanobits per second, and until when it holds (None: for good)."""
        place = bisect_right(self._from_fs, at_fs) - 1
        units = self._units[place]
        until_fs = self._from_fs[place + 1] if place + 1 < len(self._from_fs) else None
        if self._up_down is None:
            return units, until_fs
        works, until = self._up_down.at(at_fs)
        return units if works else 0, until if until_fs is None else min(until, until_fs)
