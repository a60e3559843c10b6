"""The answer, computed from the summary: who wins where, by how much, and where CAT does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netsim._page.data import Estimate, Results, Row
from netsim._page.html import table
from netsim._page.pairs import against_first, quotient
from netsim._page.quantities import METRICS, Quantity, judged
from netsim._page.words import NONE, escape, listing, plain, times

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
    place = f"<b>{escape(case.point)}</b>, {escape(case.goal)}: " if case.point else f"<b>{_first_up(case.goal)}</b>: "
    if not case.target:
        return f"{place}no target was set, so nothing is ranked; the table says what each spent to the end of its run."
    found = wins(results, case)
    if not found:
        best = max(case.rows, key=lambda row: row.reached)
        often = f"; most often {escape(best.label)}, in {_how_often(best)}" if best.reached > 0 else ""
        return f"{place}nobody gets there in every replication{often}."
    sentences = []
    for label, won in _by(found, lambda win: win.best.label).items():
        told = [_won(win, case.rows[0], is_first=i == 0) for i, win in enumerate(won)]
        sentences.append(f"<b>{escape(label)}</b> needs the fewest {listing(told)}.")
    for how, among in _by([win for win in found if win.runner is not None], _overlap).items():
        runners = _by(among, lambda win: win.runner.label if win.runner else "")
        told = [f"{escape(name)} in {listing([_behind(win) for win in won])}" for name, won in runners.items()]
        sentences.append(f"Runner-up, {how}: {'; '.join(told)}.")
    partial = [f"{escape(r.label)} ({_how_often(r)})" for r in case.rows if not r.is_complete]
    left_out = f" Left out, as not every replication gets there: {listing(partial)}." if partial else ""
    return place + " ".join(sentences) + left_out


def ledger(results: Results) -> str:
    """The same in numbers: a row for each point, target and quantity."""
    rows = []
    for case in cases(results):
        for win in wins(results, case) if case.target else ():
            gain = against_first(win.best, win.quantity) if win.best.label != case.rows[0].label else Estimate(1.0)
            rows.append([
                escape(f"{case.point}, {case.goal}" if case.point else case.goal), win.quantity.noun,
                f"<b>{escape(win.best.label)}</b>", win.quantity.show(win.best.estimate(win.quantity.stem).mean),
                with_interval(gain), escape(win.runner.label) if win.runner else NONE, with_interval(win.lead),
                _overlap(win) if win.runner else NONE,
            ])  # fmt: skip
    first = list(dict.fromkeys(case.rows[0].label for case in cases(results)))
    header = ["Where", "In", "Fewest", "Spends", f"{escape(first[0]) if len(first) == 1 else 'First'} spends"]
    return table("Who spends least", [*header, "Runner-up", "spends", "95 % intervals"], rows, "ledger") if rows else ""


def notes(results: Results) -> tuple[list[str], bool]:
    """Where a fixed or grid-searched T beats the best CAT by more than the confidence interval, as HTML.

    A rival does where the difference of the means exceeds half the interval of either, or where the interval of their
    ratio, paired by replication, lies beyond 1; it errs on the side of saying so.

    Returns
    -------
    Sentences, and whether there was anything to compare.
    """
    found, is_compared = [], False
    for case in cases(results):
        ours = [row for row in case.rows if row.algorithm == "cat"]
        rivals = [row for row in case.rows if row.algorithm in FIXED and row.is_complete]
        if not case.target or not rivals or not ours:
            continue
        is_compared = True
        place = f"{escape(case.point)}, {escape(case.goal)}: " if case.point else f"{_first_up(case.goal)}: "
        if not any(row.is_complete for row in ours):
            names = listing([escape(row.label) for row in rivals])
            found.append(f"{place}{names} reached it in every replication, and no CAT did.")
        for quantity in judged(results):
            best = ranking(ours, quantity)[:1]
            beaten = [_beats(results, rival, best[0], quantity) for rival in ranking(rivals, quantity)] if best else []
            if any(beaten):
                spends = quantity.show(best[0].estimate(quantity.stem).mean)
                who = f"{escape(best[0].label)} needs {spends}"
                found.append(f"{place}in {quantity.noun} {who}; {listing([text for text in beaten if text])}.")
    return found, is_compared


def with_interval(found: Estimate) -> str:
    """A ratio and its interval, where there is one: ``6.0× [5.1–6.6]``."""
    if not found.has_interval or found.low == found.high:
        return times(found.mean)
    return f"{times(found.mean)} [{times(found.low)[:-1]}–{times(found.high)[:-1]}]"


def _beats(results: Results, rival: Row, best: Row, quantity: Quantity) -> str:
    """What a rival needs less than the best CAT; '' where it does not beat it."""
    theirs, ours = (row.estimate(quantity.stem) for row in (rival, best))
    lead = quotient(results, best, rival, quantity)
    gap = ours.mean - theirs.mean
    if gap <= 1e-9 * ours.mean or not (gap > min(ours.half_width, theirs.half_width) or lead.low > 1):
        return ""
    unsure = "" if lead.has_interval else ", one replication and so no interval"
    return f"<b>{escape(rival.label)}</b> {quantity.show(theirs.mean)} ({with_interval(lead)} fewer{unsure})"


def _won(win: Win, first: Row, is_first: bool) -> str:
    spends = win.quantity.show(win.best.estimate(win.quantity.stem).mean)
    gain = against_first(win.best, win.quantity).mean
    if win.best.label == first.label:
        return f"{win.quantity.noun} ({spends})"
    if not math.isfinite(gain):
        return f"{win.quantity.noun} ({spends}; {escape(first.label)} does not get there)"
    return f"{win.quantity.noun} ({spends}, {times(gain)}{f' fewer than {escape(first.label)}' if is_first else ''})"


def _behind(win: Win) -> str:
    return f"{win.quantity.noun} ({'level' if win.lead.mean == 1 else times(win.lead.mean)})"


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
    return f"{row.reached} of {row.replications}" if is_known else escape(row.status) or "not reached"


def _first_up(text: str) -> str:
    return escape(text[:1].upper() + text[1:])
