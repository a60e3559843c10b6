"""One figure of ours beside one of others, and the limit within which the two must agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

MET, MISSED, DOCUMENTED = "met", "MISSED", "documented"


@dataclass(frozen=True)
class Check:
    """A column of a row.

    Parameters
    ----------
    row, column
        What was compared.
    ours, theirs
        The figures.
    limit, unit
        Of the difference: in standard errors (``s.e.``), relative (``%`` or ``1``) or in nanoseconds (``ns``, of
        seconds), or of the last digit (``digit``); ``exact`` allows none.
    errors
        The difference in standard errors of both figures; NaN where nothing is random.
    noise_limit
        Of `errors`, where `unit` is another: beyond it chance is no explanation. NaN where nothing is random.
    digits
        With ``digit``: decimals that theirs is known with; the difference is that of the last one.
    note
        Known why this may differ by more: then it counts as documented and not as missed.
    """

    row: str
    column: str
    ours: float
    theirs: float
    limit: float
    unit: Literal["s.e.", "%", "1", "ns", "digit", "exact"]
    errors: float = math.nan
    noise_limit: float = math.nan
    note: str = ""
    digits: int = 0

    @property
    def per_cent(self) -> float:
        """The difference relative to theirs."""
        return 100 * (self.ours / self.theirs - 1) if self.theirs else (0.0 if self.ours == 0 else math.inf)

    @property
    def off(self) -> float:
        """The difference in the unit of the limit."""
        if self.unit == "ns":
            return float(round(1e9 * self.ours) - round(1e9 * self.theirs))
        if self.unit == "digit":
            return float(round((round(self.ours, self.digits) - self.theirs) * 10**self.digits))
        if self.unit == "s.e.":
            return self.errors
        return {"%": self.per_cent, "1": self.per_cent / 100, "exact": self.ours - self.theirs}[self.unit]

    @property
    def is_met(self) -> bool:
        """Whether the difference is within its limit."""
        return abs(self.off) <= self.limit

    @property
    def is_noise(self) -> bool:
        """Whether chance explains the difference."""
        return abs(self.errors) <= self.noise_limit

    @property
    def verdict(self) -> str:
        """``met``, ``MISSED`` or ``documented``."""
        return MET if self.is_met else DOCUMENTED if self.note else MISSED
