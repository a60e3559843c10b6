"""Axes: where a value goes, and which ticks a reader expects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from unicodedata import east_asian_width

import numpy as np
import numpy.typing as npt

from netsim.report.words import NBSP, plain, scale, si, ten_to

Array = npt.NDArray[np.float64]
# Widths in em of characters far from the mean.
_EM = dict.fromkeys("mwMW@%…—", 1.05) | dict.fromkeys("iljtfr.,:;|!'()[] \N{NO-BREAK SPACE}⁻", 0.45)
TINY = 1e-290  # below, the arithmetic of ticks underflows


@dataclass(frozen=True)
class Axis:
    """A range of values, linear or logarithmic.

    Parameters
    ----------
    low, high
        Ends, low < high; both positive where `is_log`.
    is_log
        Whether equal distances are equal ratios.
    unit
        Written with an SI prefix at each tick; '' for plain numbers.
    is_count
        Plain whole numbers with an SI prefix (packets, rounds).
    """

    low: float
    high: float
    is_log: bool = False
    unit: str = ""
    is_count: bool = False

    def at(self, values: Array | float, length: float) -> Array:
        """Return distances from the low end, where the whole axis is `length`; not beyond it by more than its length.

        Examples
        --------
        >>> Axis(1, 100, is_log=True).at(10.0, 200.0).tolist()
        100.0
        """
        v = np.asarray(values, np.float64)
        if self.is_log:
            share = np.log(np.maximum(v, 1e-300) / self.low) / math.log(self.high / self.low)
        else:
            share = (v - self.low) / (self.high - self.low)
        return np.asarray(np.clip(share, -1.0, 2.0) * length)

    def ticks(self, length: float, vertical: bool = False) -> list[tuple[float, str]]:
        r"""Return values and labels, as many as fit along `length` without touching.

        Examples
        --------
        >>> [label for _, label in Axis(100, 3e6, is_log=True, unit="bit").ticks(320)]
        ['100\xa0bit', '1\xa0kbit', '10\xa0kbit', '100\xa0kbit', '1\xa0Mbit']
        >>> [label for _, label in Axis(0, 0.8).ticks(320)]
        ['0', '0.2', '0.4', '0.6', '0.8']
        """
        best: list[tuple[float, str]] = []
        for values in self._candidates(max(3, int(length / (28 if vertical else 60)))):
            ticks = [(v, self.label(v)) for v in values]
            if vertical or _are_apart([float(self.at(v, length)) for v in values], [label for _, label in ticks]):
                return ticks
            best = ticks[:1]
        return best

    def minor(self) -> list[float]:
        """Return unlabelled ticks between decades, where there are few decades."""
        if not self.is_log or self.high / self.low > 1e5:
            return []
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        return [k * 10.0**e for e in decades for k in range(2, 10) if self.low <= k * 10.0**e <= self.high]

    def label(self, value: float) -> str:
        """Return the text of a tick."""
        if not self.unit and not self.is_log and value and max(abs(self.low), abs(self.high)) < 0.01:
            power = math.floor(math.log10(max(abs(self.low), abs(self.high))))
            return f"{plain(float(f'{value / 10.0**power:.6g}'))}×{ten_to(power)}"
        if not self.unit and (not self.is_count or self.high < 1e5):
            return plain(float(f"{value:.6g}"))
        if self.unit == "s" and value >= 1:
            return f"{plain(float(f'{value:.6g}'))}{NBSP}s"
        power = scale(value if self.is_log or value == 0 else max(abs(self.low), abs(self.high)))
        if self.unit == "s":
            power = min(power, 0)
        number = plain(float(f"{value / 10.0**power:.6g}"), 4)
        suffix = si(10.0**power, self.unit, power).partition(NBSP)[2]
        return f"{number}{NBSP}{suffix}" if suffix and value else number

    def _candidates(self, most: int) -> list[list[float]]:
        """Return lists of tick values, the densest first."""
        out = []
        span = self.high - self.low
        if self.is_log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            if last - first <= 3:
                out += [[k * 10.0**e for e in range(first, last + 1) for k in ks] for ks in ((1, 2, 5), (1, 3))]
            for stride in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 50, 100):
                out.append([10.0**e for e in range(first // stride * stride, last + 1, stride)])
        if not self.is_log or self.high / self.low < 10:
            exponent = math.floor(math.log10(span / most))
            for step in (k * 10.0**e for e in range(exponent, exponent + 3) for k in (1, 2, 5)):
                ends = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
                out.append([i * step for i in range(ends[0], ends[1] + 1)])
        slack = 1e-9 * (self.low if self.is_log else span)
        inside = [[v for v in values if self.low - slack <= v <= self.high * (1 + 1e-9) + slack] for values in out]
        return [values for values in inside if 2 <= len(values) <= most + 1] or [max(inside, key=len)[:most]]


def log_axis(values: Sequence[Array], unit: str = "", is_count: bool = False) -> Axis | None:
    """Return a logarithmic axis around the positive values; None where there are none."""
    positive = [v[(v > TINY) & np.isfinite(v)] for v in values]
    positive = [v for v in positive if v.size]
    if not positive:
        return None
    low, high = min(float(v.min()) for v in positive), max(float(v.max()) for v in positive)
    if high / low < 1.5:
        low, high = low / 1.5, high * 1.5
    margin = (high / low) ** 0.02
    return Axis(low / margin, high * margin, True, unit, is_count)


def linear_axis(values: Sequence[Array], unit: str = "", is_count: bool = False, from_zero: bool = True) -> Axis | None:
    """Return a linear axis around the finite values; None where there are none."""
    finite = [v[np.isfinite(v)] for v in values]
    finite = [v for v in finite if v.size]
    if not finite:
        return None
    low, high = min(float(v.min()) for v in finite), max(float(v.max()) for v in finite)
    low = min(low, 0.0) if from_zero else low
    if not high - low > TINY:
        low, high = low - max(abs(low), 1.0) / 2, high + max(abs(high), 1.0) / 2
    margin = (high - low) * 0.03
    return Axis(low if from_zero and low == 0 else low - margin, high + margin, False, unit, is_count)


def axis(values: Sequence[Array], unit: str = "", is_count: bool = False, log_above: float = 30.0) -> Axis | None:
    """Return a logarithmic axis where the positive values span more than `log_above`, else linear from zero."""
    found = log_axis(values, unit, is_count)
    if found and found.high / found.low > log_above and not any((v < 0).any() for v in values):
        return found
    return linear_axis(values, unit, is_count)


def text_px(text: str, size: float = 12.0) -> float:
    """Return an upper estimate of a text's width in pixels for any font, so that texts never touch.

    Examples
    --------
    >>> text_px("10 kbit") < text_px("MMMMMMM")
    True
    """
    return size * sum(_EM.get(c, 1.05 if east_asian_width(c) in "WF" else 0.8 if c.isupper() else 0.68) for c in text)


def fit(text: str, width: float, size: float = 12.0) -> str:
    """Return as much of a text as fits, with an ellipsis where something is left out.

    Examples
    --------
    >>> fit("stochastic sparsification", 80)
    'stochasti…'
    """
    if text_px(text, size) <= width:
        return text
    kept = 0
    while kept < len(text) and text_px(text[: kept + 1] + "…", size) <= width:
        kept += 1
    return text[:kept].rstrip() + "…"


def _are_apart(positions: Sequence[float], labels: Sequence[str]) -> bool:
    ends = [(p - text_px(t) / 2, p + text_px(t) / 2) for p, t in zip(positions, labels, strict=True)]
    return all(a[1] + 6 < b[0] for a, b in pairwise(ends))
