"""The answer, computed from the summary: who wins where, by how much, and where CAT does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from netsim.report.curves import last_rows
from netsim.report.folder import Estimate, Results, Row, mapping
from netsim.report.html import Cell, Heading, render
from netsim.report.pairs import against_first, quotient
from netsim.report.quantities import judged, named, of, shown
from netsim.report.words import NONE, listing, plain, times
from netsim.results.glossary import WIRE_DOWN, WIRE_UP, Quantity
from netsim.results.summary import BAD
from netsim.scenario.parts import rises

FIXED = ("fixed_budget", "grid_search")
UNSURE = ", without an interval"


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
        sign = "≥" if rises(self.target) else "≤"
        value = f" {sign} {plain(self.target_value)}" if math.isfinite(self.target_value) else ""
        return f"to {named(self.target)}{value}"

    def first(self, row: Row) -> Row:
        """Return the first algorithm of the row's run, the base of its ratios."""
        return next(r for r in self.rows if r.run == row.run)

    @property
    def is_met_at_once(self) -> bool:
        """Whether every row met the target before anything was sent."""
        return bool(self.target) and all(row.numbers.get("rounds_mean", math.nan) == 0 for row in self.rows)

    @property
    def where(self) -> Heading:
        """Point and goal."""
        return Heading(self.point, f", {self.goal}") if self.point else Heading(self.goal[0].upper() + self.goal[1:])


def section(results: Results) -> str:
    """Return the answer: words for each point and target, whether a fixed T beats CAT, what is missing, and numbers."""
    told, all_cases = [], cases(results)
    for case, after in zip(all_cases, [*all_cases[1:], None], strict=False):
        is_last = after is None or after.point != case.point
        told.append((paragraph(results, case), beside(results, case.point) if is_last else []))
    first = list(dict.fromkeys(case.rows[0].label for case in all_cases))
    header = ["In", "Best", "Spends", f"{first[0] if len(first) == 1 else 'The first algorithm'} over it"]
    header += ["Runner-up", "Runner-up over it", "Intervals"]
    return render(
        "answer.html", answers=told, beaten=beaten(results) if told else Beaten(), gaps=results.gaps,
        replicated=replicated(results) if told else "", header=header, rows=ledger(results),
    )  # fmt: skip


def cases(results: Results) -> list[Case]:
    """Return points and targets in the order of the summary."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in results.summary:
        found.setdefault((row.point, row.target, str(row.target_value)), []).append(row)
    return [Case(point, target, rows[0].target_value, tuple(rows)) for (point, target, _), rows in found.items()]


def wins(results: Results, case: Case) -> list[Win]:
    """Return the winners of a case, for each quantity of which some algorithm spends anything."""
    found = []
    for quantity in judged(results):
        ranked = ranking(case.rows, quantity)
        if ranked and of(ranked[-1], quantity).mean > 0:
            runner = ranked[1] if len(ranked) > 1 else None
            lead = quotient(results, runner, ranked[0], quantity) if runner else Estimate()
            found.append(Win(quantity, ranked[0], runner, lead))
    return found


def ranking(rows: Sequence[Row], quantity: Quantity) -> list[Row]:
    """Return rows that met the target in every replication and have a number, the best first."""
    able = [row for row in rows if row.is_complete and math.isfinite(of(row, quantity).mean)]
    return sorted(able, key=lambda row: of(row, quantity).mean, reverse=quantity.is_gain)


def paragraph(results: Results, case: Case) -> Markup:
    """Return the answer at one point, as HTML without its paragraph tags."""
    won = wins(results, case) if case.target and not case.is_met_at_once else []
    best = max(case.rows, key=lambda row: row.reached)
    costs = [win for win in won if not win.quantity.is_gain]
    fewest = [
        (label, [_won(win, case.first(win.best), is_first=i == 0) for i, win in enumerate(of_label)])
        for label, of_label in _by(costs, lambda win: win.best.label).items()
    ]
    behind = []
    for how, among in _by([win for win in costs if win.runner is not None], _overlap).items():
        runners = _by(among, lambda win: win.runner.label if win.runner else "")
        behind.append((how, [f"{name} in {listing([_behind(win) for win in won])}" for name, won in runners.items()]))
    return render(
        "sentences.html", case=case, won=won, fewest=fewest, behind=behind,
        longest=[(w.best.label, shown(w.quantity, of(w.best, w.quantity).mean)) for w in won if w.quantity.is_gain],
        most_often=f"{best.label}, in {_how_often(best)}" if best.reached > 0 else "",
        partial=[f"{row.label} ({_how_often(row)})" for row in case.rows if not row.is_complete],
    )  # fmt: skip


def ledger(results: Results) -> list[Heading | list[str | Cell]]:
    """Return the winners in numbers: a row for each quantity, by point and target."""
    rows: list[Heading | list[str | Cell]] = []
    for case in cases(results):
        found = wins(results, case) if case.target else []
        rows += [case.where] if found else []
        for win in found:
            gain = (
                against_first(win.best, win.quantity) if win.best.label != case.first(win.best).label else Estimate(1.0)
            )
            rows.append([
                win.quantity.noun, Cell(win.best.label, kind="bold"),
                shown(win.quantity, of(win.best, win.quantity).mean), with_interval(gain),
                win.runner.label if win.runner else NONE, with_interval(win.lead),
                _overlap(win) if win.runner else NONE,
            ])  # fmt: skip
    return rows


@dataclass(frozen=True)
class Beaten:
    """Where a fixed or grid-searched T needs less than the best CAT: a place and the rest of its sentence.

    Parameters
    ----------
    beyond, within
        By more than the confidence interval, and by less.
    is_compared
        Whether there was anything to compare.
    """

    beyond: Sequence[tuple[Heading, str]] = ()
    within: Sequence[tuple[Heading, str]] = ()
    is_compared: bool = False

    @property
    def is_unsure(self) -> bool:
        """Whether some lead is that of one replication."""
        return any(UNSURE in text for _, text in self.beyond)


def beaten(results: Results) -> Beaten:
    """Return every point, target and quantity in which the best CAT is not the best.

    Beyond the confidence interval: the interval of the ratio, paired by replication, lies above 1, or the two
    intervals are apart, or the means differ by more than half of either, or one replication leaves no interval.
    """
    beyond, within, is_compared = list[tuple[Heading, str]](), list[tuple[Heading, str]](), False
    for case in cases(results):
        ours = [row for row in case.rows if row.algorithm == "cat"]
        rivals = [row for row in case.rows if row.algorithm in FIXED and row.is_complete]
        if not case.target or not rivals or not ours:
            continue
        is_compared = True
        if not any(row.is_complete for row in ours):
            names = listing([row.label for row in rivals])
            beyond.append((case.where, f": {names} reached it in every replication, and no CAT did."))
        for quantity in judged(results):
            best = next(iter(ranking(ours, quantity)), None)
            if best is None or quantity.is_gain:
                continue
            tail = f"against {shown(quantity, of(best, quantity).mean)} of the best CAT, {best.label}."
            ahead = [(r, quotient(results, best, r, quantity)) for r in ranking(rivals, quantity)]
            ahead = [(r, lead) for r, lead in ahead if lead.mean > 1 + 1e-9]
            for among, is_wanted in ((beyond, True), (within, False)):
                told = [
                    _less(r, lead, quantity) for r, lead in ahead if _is_apart(r, best, lead, quantity) is is_wanted
                ]
                among += [(case.where, f", in {quantity.noun}: {listing(told)}, {tail}")] if told else []
    return Beaten(beyond, within, is_compared)


def beside(results: Results, point: str) -> list[str]:
    """Return the notes to a point's figures: what is free, how models went down, what the intervals cover."""
    notes = mapping(results.manifest.get("notes"))
    told = [str(note) for note in notes.get(point, ()) if isinstance(note, str)]
    return [*told, *_ways_down(results, point)]


def replicated(results: Results) -> str:
    """Return a sentence on what the intervals cover; '' where there is one replication."""
    n, redrawn = max((row.replications for row in results.summary), default=0), results.manifest.get("redrawn")
    if n < 2 or not isinstance(redrawn, list):
        return ""
    parts = listing([_PARTS.get(str(part), str(part)) for part in redrawn])
    if not parts:
        return f"The {n} replications redraw nothing, so they are equal, and no interval says anything."
    return f"Intervals are 95 % confidence intervals of the mean over {n} replications, which redraw {parts}."


_PARTS = {
    "data": "the data",
    "partition": "the partition",
    "start": "the starting point",
    "batch": "the minibatches",
    "codec": "the codecs' draws",
    "channel": "the channel",
}


def _ways_down(results: Results, point: str) -> list[str]:
    """Return a sentence on how models went down, where any went another way than dense."""
    dense, totals, relayed = list[int](), list[int](), list[str]()
    if WIRE_DOWN.noun in free_ways(results, point):
        return []
    for label in results.labels:
        track = results.tracks.get((point, label), {})
        means = last_rows(track, WAYS) if WAYS[0] in track else {}
        total = math.fsum(means.values())
        if total > means.get(WAYS[0], math.inf):
            dense.append(round(means[WAYS[0]]))
            totals.append(round(total))
            relayed += [f"{label} ({round(means[WAYS[2]])} of {round(total)})"] if means[WAYS[2]] > 0 else []
    if not dense:
        return []
    relays = f", or as the relayed uploads: {listing(relayed)}" if relayed else ""
    return [f"Models go down dense in {_span(dense)} of {_span(totals)} rounds, else as their changes{relays}."]


def free_ways(results: Results, point: str) -> list[str]:
    """Return the nouns of the directions that are free at a point."""
    ways = mapping(results.manifest.get("free_ways")).get(point, ())
    nouns = {"downlink": WIRE_DOWN.noun, "uplink": WIRE_UP.noun}
    return [noun for way, noun in nouns.items() if way in ways]


WAYS = ("dense_broadcasts", "changes_broadcasts", "relay_broadcasts")


def _span(values: Sequence[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)}–{max(values)}"


def _is_apart(rival: Row, best: Row, lead: Estimate, quantity: Quantity) -> bool:
    theirs, ours = (of(row, quantity) for row in (rival, best))
    if not (theirs.has_interval and ours.has_interval):
        return True
    gap = ours.mean - theirs.mean
    return lead.low > 1 or theirs.high < ours.low or gap > max(theirs.half_width, ours.half_width)


def _less(rival: Row, lead: Estimate, quantity: Quantity) -> str:
    unsure = "" if lead.has_interval else UNSURE
    needs = shown(quantity, of(rival, quantity).mean)
    return f"{rival.label} needs {needs} ({with_interval(lead)} fewer{unsure})"


def with_interval(found: Estimate) -> str:
    """Return a ratio and its interval, where there is one: ``6.0× [5.1–6.6]``."""
    if not found.has_interval or found.low == found.high:
        return times(found.mean)
    return f"{times(found.mean)} [{times(found.low)[:-1]}–{times(found.high)[:-1]}]"


def _won(win: Win, first: Row, is_first: bool) -> str:
    spends, noun = shown(win.quantity, of(win.best, win.quantity).mean), win.quantity.noun
    gain = against_first(win.best, win.quantity).mean
    if win.best.label == first.label or of(win.best, win.quantity).mean == 0.0:
        return f"{noun} ({spends})"
    if not math.isfinite(gain):
        return f"{noun} ({spends}; {first.label} does not get there)"
    if _is_level(gain):
        return f"{noun} ({spends}, level with {first.label})"
    return f"{noun} ({spends}, {times(gain)}{f' fewer than {first.label}' if is_first else ''})"


def _behind(win: Win) -> str:
    if not math.isfinite(win.lead.mean):
        return win.quantity.noun  # the best spends nothing
    return f"{win.quantity.noun} ({'level' if _is_level(win.lead.mean) else times(win.lead.mean)})"


def _is_level(ratio: float) -> bool:
    return abs(ratio - 1) < 0.005


def _overlap(win: Win) -> str:
    best, other = (of(row, win.quantity) for row in (win.best, win.runner or win.best))
    if not (best.has_interval and other.has_interval):
        return "no intervals"
    if best.low == best.high and other.low == other.high:
        return f"the same in all {win.best.replications} replications"
    return "intervals overlap" if best.high >= other.low and other.high >= best.low else "intervals apart"


def _by(found: Sequence[Win], key: Callable[[Win], str]) -> dict[str, list[Win]]:
    grouped: dict[str, list[Win]] = {}
    for win in found:
        grouped.setdefault(key(win), []).append(win)
    return grouped


def _how_often(row: Row) -> str:
    is_known = row.reached >= 0 and row.replications >= 0
    status = row.status if row.status in BAD or not is_known else ""
    return ", ".join(filter(None, (f"{row.reached} of {row.replications}" if is_known else "", status)))
