"""A row's candidates, and the medians of their times measured in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Call = Callable[[], Any]

_SHORTEST_S = 0.02  # a measurement repeats a call until it takes that long
_MOST_ROUNDS, _LEAST_ROUNDS, _CASE_S = 9, 3, 4.0


@dataclass(frozen=True)
class Rival:
    """Another way to the same result.

    Parameters
    ----------
    name
        What it is.
    run
        The call that is timed.
    target
        The ratio of its time to ours that is wanted; None where it is only for information.
    agrees
        Whether our result and this one are the same; None where it computes something else.
    times
        How many such calls do our call's work: their time counts so often.
    """

    name: str
    run: Call
    target: float | None
    agrees: Callable[[Any, Any], bool] | None
    times: int = 1


@dataclass(frozen=True)
class Case:
    """One piece of work and all who do it.

    Parameters
    ----------
    setting
        Sizes and data, as the table names them.
    ours
        The call that is timed.
    rivals
        At least one.
    calls
        Divides the times: rounds in a call, say.
    """

    setting: str
    ours: Call
    rivals: tuple[Rival, ...]
    calls: int = 1


@dataclass(frozen=True)
class Row:
    """One line of the table; times in seconds."""

    work: str
    setting: str
    ours_s: float
    against: str
    theirs_s: float
    target: float | None
    is_equal: bool

    @property
    def ratio(self) -> float:
        """Their time over ours."""
        return self.theirs_s / self.ours_s

    @property
    def verdict(self) -> str:
        """``met``, ``MISSED``, ``WRONG`` where results differ, or nothing where there is no target."""
        if not self.is_equal:
            return "WRONG"
        if self.target is None:
            return ""
        return "met" if self.ratio >= self.target else "MISSED"


def measure(work: str, case: Case) -> Iterator[Row]:
    """Run every candidate once and compare, then time them in turn."""
    result = case.ours()
    equal = [rival.agrees is None or rival.agrees(result, rival.run()) for rival in case.rivals]
    ours_s, *theirs_s = medians_s([case.ours, *(rival.run for rival in case.rivals)])
    for rival, seconds, is_equal in zip(case.rivals, theirs_s, equal, strict=True):
        theirs = seconds * rival.times / case.calls
        yield Row(work, case.setting, ours_s / case.calls, rival.name, theirs, rival.target, is_equal)


def medians_s(calls: Sequence[Call]) -> list[float]:
    """Median processor seconds of each call over several rounds, each of which makes all calls in turn.

    Processor time, user and system, does not grow while other programs have the core. All threads count.
    """
    once_s = [_seconds(call, 1) for call in calls]
    repeats = [max(1, round(_SHORTEST_S / max(seconds, 1e-7))) for seconds in once_s]
    round_s = sum(seconds * n for seconds, n in zip(once_s, repeats, strict=True))
    rounds = min(max(int(_CASE_S / round_s), _LEAST_ROUNDS), _MOST_ROUNDS)
    times = [[_seconds(call, n) for call, n in zip(calls, repeats, strict=True)] for _ in range(rounds)]
    return [median(column) for column in zip(*times, strict=True)]


def _seconds(call: Call, repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats
