"""The answer, computed from the summary: who wins where, by how much, and where CAT does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netsim.report.folder import Estimate, Results, Row
from netsim.report.html import table
from netsim.report.pairs import against_first, quotient
from netsim.report.quantities import METRICS, Quantity, judged
from netsim.report.words import NONE, escape, listing, plain, times
from netsim.results.summary import BAD

FIXED = ("fixed_budget", "grid_search")


@dataclass(frozen=True)
class Win:
    """The label that spends least of one quantity.

    Parameters
    ----------
    quantity, best, runner
        Of what, which row, and the next one (None where only one reached the target).
    lead
        How many times as much the runner-up spends.
    """

    quantity: Quantity
    best: Row
    runner: Row | None
    lead: Estimate


@dataclass(frozen=True)
class Case:
    """All rows of one point and one target."""

    point: str
    target: str
    target_value: float
    rows: tuple[Row, ...]

    @property
    def goal(self) -> str:
        """Where to, in words."""
        if not self.target:
            return "to the end of the run"
        sign = "≥" if self.target == "accuracy" else "≤"
        value = f" {sign} {plain(self.target_value)}" if math.isfinite(self.target_value) else ""
        return f"to {METRICS.get(self.target, self.target)}{value}"

    def first(self, row: Row) -> Row:
        """The first algorithm of the row's run: what its ratios are to."""
        return next(r for r in self.rows if r.run == row.run)

    @property
    def where(self) -> str:
        """Point and goal, as HTML."""
        if not self.point:
            return f"<b>{escape(self.goal[0].upper() + self.goal[1:])}</b>"
        return f"<b>{escape(self.point)}</b>, {escape(self.goal)}"


def cases(results: Results) -> list[Case]:
    """Points and targets in the order of the summary."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in results.summary:
        found.setdefault((row.point, row.target, str(row.target_value)), []).append(row)
    return [Case(point, target, rows[0].target_value, tuple(rows)) for (point, target, _), rows in found.items()]


def wins(results: Results, case: Case) -> list[Win]:
    """The winners of a case, for each quantity in which somebody spends anything."""
    found = []
    for quantity in judged(results):
        ranked = ranking(case.rows, quantity)
        if ranked and ranked[-1].estimate(quantity.stem).mean > 0:
            runner = ranked[1] if len(ranked) > 1 else None
            lead = quotient(results, runner, ranked[0], quantity) if runner else Estimate()
            found.append(Win(quantity, ranked[0], runner, lead))
    return found


def ranking(rows: Sequence[Row], quantity: Quantity) -> list[Row]:
    """Rows that met the target in every replication and have a number, the thriftiest first."""
    able = [row for row in rows if row.is_complete and math.isfinite(row.estimate(quantity.stem).mean)]
    return sorted(able, key=lambda row: row.estimate(quantity.stem).mean)


def paragraph(results: Results, case: Case) -> str:
    """The answer at one point, as HTML without its paragraph tags."""
    place = f"{case.where}: "
    if not case.target:
        return f"{place}no target was set, so nothing is ranked; the table says what each spent to the end of its run."
    found = wins(results, case)
    if not found:
        best = max(case.rows, key=lambda row: row.reached)
        often = f"; most often {escape(best.label)}, in {_how_often(best)}" if best.reached > 0 else ""
        return f"{place}nobody gets there in every replication{often}."
    sentences = []
    for label, won in _by(found, lambda win: win.best.label).items():
        told = [_won(win, case.first(win.best), is_first=i == 0) for i, win in enumerate(won)]
        sentences.append(f"<b>{escape(label)}</b> needs the fewest {listing(told)}.")
    for how, among in _by([win for win in found if win.runner is not None], _overlap).items():
        runners = _by(among, lambda win: win.runner.label if win.runner else "")
        told = [f"{escape(name)} in {listing([_behind(win) for win in won])}" for name, won in runners.items()]
        sentences.append(f"Runner-up ({how}): {'; '.join(told)}.")
    partial = [f"{escape(r.label)} ({_how_often(r)})" for r in case.rows if not r.is_complete]
    left_out = f" Left out, as not every replication gets there: {listing(partial)}." if partial else ""
    return place + " ".join(sentences) + left_out


def ledger(results: Results) -> str:
    """The same in numbers: a row for each quantity, by point and target."""
    rows: list[list[str] | str] = []
    for case in cases(results):
        found = wins(results, case) if case.target else []
        rows += [case.where] if found else []
        for win in found:
            gain = (
                against_first(win.best, win.quantity) if win.best.label != case.first(win.best).label else Estimate(1.0)
            )
            rows.append([
                win.quantity.noun, f"<b>{escape(win.best.label)}</b>",
                win.quantity.of(win.best), with_interval(gain),
                escape(win.runner.label) if win.runner else NONE, with_interval(win.lead),
                _overlap(win).removeprefix("intervals ") if win.runner else NONE,
            ])  # fmt: skip
    first = list(dict.fromkeys(case.rows[0].label for case in cases(results)))
    header = ["In", "Fewest", "Spends", f"{escape(first[0]) if len(first) == 1 else 'The first algorithm'} over it"]
    header += ["Runner-up", "Runner-up over it", "Intervals"]
    return table("Who spends least, with 95 % confidence intervals", header, rows, "ledger") if rows else ""


@dataclass(frozen=True)
class Beaten:
    """Where a fixed or grid-searched T needs less than the best CAT, as HTML sentences.

    Parameters
    ----------
    beyond, within
        By more than the confidence interval, and by less.
    is_compared
        Whether there was anything to compare.
    """

    beyond: tuple[str, ...]
    within: tuple[str, ...]
    is_compared: bool


def beaten(results: Results) -> Beaten:
    """Every point, target and quantity in which the best CAT is not the best.

    Beyond the confidence interval: the interval of the ratio, paired by replication, lies above 1, or the two
    intervals are apart, or the means differ by more than half of either, or one replication leaves no interval.
    """
    beyond, within, is_compared = list[str](), list[str](), False
    for case in cases(results):
        ours = [row for row in case.rows if row.algorithm == "cat"]
        rivals = [row for row in case.rows if row.algorithm in FIXED and row.is_complete]
        if not case.target or not rivals or not ours:
            continue
        is_compared = True
        if not any(row.is_complete for row in ours):
            names = listing([escape(row.label) for row in rivals])
            beyond.append(f"{case.where}: {names} reached it in every replication, and no CAT did.")
        for quantity in judged(results):
            best = next(iter(ranking(ours, quantity)), None)
            if best is None:
                continue
            tail = f"against {quantity.of(best)} of the best CAT, {escape(best.label)}."
            ahead = [(r, quotient(results, best, r, quantity)) for r in ranking(rivals, quantity)]
            ahead = [(r, lead) for r, lead in ahead if lead.mean > 1 + 1e-9]
            for among, is_wanted in ((beyond, True), (within, False)):
                told = [
                    _less(r, lead, quantity) for r, lead in ahead if _is_apart(r, best, lead, quantity) is is_wanted
                ]
                among += [f"{case.where}, in {quantity.noun}: {listing(told)}, {tail}"] if told else []
    return Beaten(tuple(beyond), tuple(within), is_compared)


def _is_apart(rival: Row, best: Row, lead: Estimate, quantity: Quantity) -> bool:
    theirs, ours = (row.estimate(quantity.stem) for row in (rival, best))
    if not (theirs.has_interval and ours.has_interval):
        return True
    gap = ours.mean - theirs.mean
    return lead.low > 1 or theirs.high < ours.low or gap > max(theirs.half_width, ours.half_width)


def _less(rival: Row, lead: Estimate, quantity: Quantity) -> str:
    unsure = "" if lead.has_interval else ", without an interval"
    return f"<b>{escape(rival.label)}</b> needs {quantity.of(rival)} ({with_interval(lead)} fewer{unsure})"


def with_interval(found: Estimate) -> str:
    """A ratio and its interval, where there is one: ``6.0× [5.1–6.6]``."""
    if not found.has_interval or found.low == found.high:
        return times(found.mean)
    return f"{times(found.mean)} [{times(found.low)[:-1]}–{times(found.high)[:-1]}]"


def _won(win: Win, first: Row, is_first: bool) -> str:
    spends, noun = win.quantity.of(win.best), win.quantity.noun
    gain = against_first(win.best, win.quantity).mean
    if win.best.label == first.label:
        return f"{noun} ({spends})"
    if not math.isfinite(gain):
        return f"{noun} ({spends}; {escape(first.label)} does not get there)"
    if _is_level(gain):
        return f"{noun} ({spends}, level with {escape(first.label)})"
    return f"{noun} ({spends}, {times(gain)}{f' fewer than {escape(first.label)}' if is_first else ''})"


def _behind(win: Win) -> str:
    return f"{win.quantity.noun} ({'level' if _is_level(win.lead.mean) else times(win.lead.mean)})"


def _is_level(ratio: float) -> bool:
    return abs(ratio - 1) < 0.005


def _overlap(win: Win) -> str:
    best, other = (row.estimate(win.quantity.stem) for row in (win.best, win.runner or win.best))
    if not (best.has_interval and other.has_interval):
        return "no intervals"
    return "intervals overlap" if best.high >= other.low else "intervals apart"


def _by(found: Sequence[Win], key: Callable[[Win], str]) -> dict[str, list[Win]]:
    grouped: dict[str, list[Win]] = {}
    for win in found:
        grouped.setdefault(key(win), []).append(win)
    return grouped


def _how_often(row: Row) -> str:
    is_known = row.reached >= 0 and row.replications >= 0
    status = row.status if row.status in BAD or not is_known else ""
    return ", ".join(filter(None, (f"{row.reached} of {row.replications}" if is_known else "", escape(status))))
