"""Write docs/validation.md and docs/validation.csv: our figures beside those of ns-3, SimGrid and of theory.

``python -m benchmarks.validation [--out FOLDER]``; takes some minutes and says on stderr how far it is.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import inspect
import io
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import sqrt
from pathlib import Path

import numpy as np

from benchmarks import ns3, validation_links
from benchmarks.validation_check import DOCUMENTED, MET, MISSED, Check
from netsim import _files

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESAMPLES = 1000
HEAD = ("source", "row", "column", "ours", "theirs", "per_cent", "errors", "off", "limit", "unit", "verdict", "chance")
Say = Callable[[str], None]


# Each says in its text whose figures it compares, of which version, and how; those marked have every row on the page.
LINKS: tuple[tuple[Callable[[], Iterator[Check]], bool], ...] = (
    (validation_links.wired, False),
    (validation_links.tcp, False),
    (validation_links.tcp_loss, True),
    (validation_links.simgrid, False),
    (validation_links.two_frames, True),
    (validation_links.park, True),
    (validation_links.tsch, False),
    (validation_links.sixlowpan, True),
)
LRWPAN = "802.15.4 with contention, ns-3"


def main() -> int:
    """0; a missed limit is no failure of the command, and stands on the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validation", description=__doc__)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for validation.md and validation.csv")
    out = parser.parse_args().out
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - start:6.0f} s  {text}", file=sys.stderr, flush=True)

    found = {}
    for source, _ in LINKS:
        say(title_of(source))
        found[title_of(source)] = list(source())
    results = lrwpan(say)
    found[LRWPAN] = [check for result in results for check in result.checks]
    out.mkdir(parents=True, exist_ok=True)
    _files.write(out / "validation.csv", to_csv(found))
    _files.write(out / "validation.md", page(found, results))
    say(f"{out / 'validation.md'}, validation.csv")
    missed = [check for checks in found.values() for check in checks if check.verdict == MISSED]
    print(f"{sum(map(len, found.values()))} figures, {len(missed)} missed")
    return 0


def lrwpan(say: Say) -> list[ns3.Result]:
    """All rows of ns-3's lr-wpan."""
    results, rows = [], ns3.rows()
    for i, row in enumerate(rows, 1):
        say(f"{LRWPAN} [{i}/{len(rows)}] {row.name}, {row.our_runs} runs")
        results.append(ns3.validate(row, row.our_runs))
    return results


# --- what chance makes of it ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chance:
    """Columns without a standard error where anything is random: what was found, and what chance alone would give.

    Parameters
    ----------
    missed, mean, sd, largest
        Columns off by more than 2 %; mean and standard deviation of all differences in standard errors, and the largest
        one. Each: what was found, and the 2.5, 50 and 97.5 % points over resamples.
    columns
        How many there are.
    """

    columns: int
    missed: tuple[float, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    largest: tuple[float, ...]


def chance(results: Sequence[ns3.Result]) -> Chance:
    """Both ends resampled from our runs, all columns of a run together, as they depend on each other."""
    rng = np.random.default_rng(0)
    found, missed, errors = [], np.zeros(RESAMPLES), []
    for result in results:
        values, row = result.runs, result.row
        count = len(values["delivery"])
        ours_of, theirs_of = (rng.integers(count, size=(RESAMPLES, n)) for n in (count, row.runs))
        for check in result.checks:
            error = ns3.spread(values, check.column) * sqrt(1 / count + 1 / row.runs)
            if check.unit != "%" or error < 1e-9 * check.theirs:
                continue
            found.append(check)
            ours, theirs = (ns3.mean(values, check.column, of) for of in (ours_of, theirs_of))
            missed += np.abs(ours / theirs - 1) > check.limit / 100
            errors.append((ours - theirs) / error)
    drawn = np.array(errors)
    real = np.array([check.errors for check in found])
    return Chance(
        len(found),
        _points(sum(not check.is_met for check in found), missed),
        _points(real.mean(), drawn.mean(axis=0)),
        _points(real.std(), drawn.std(axis=0)),
        _points(np.abs(real).max(), np.abs(drawn).max(axis=0)),
    )


def _points(found: float, drawn: ns3.Floats) -> tuple[float, ...]:
    return (float(found), *np.percentile(drawn, [2.5, 50, 97.5]).tolist())


# --- the page ---------------------------------------------------------------------------------------------------


def to_csv(found: dict[str, list[Check]]) -> str:
    """Every figure."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for source, checks in found.items():
        for c in checks:
            numbers = [f"{x:.9g}" for x in (c.ours, c.theirs)] + [f"{x:.4g}" for x in (c.per_cent, c.errors, c.off)]
            within = "" if c.is_met or np.isnan(c.noise_limit) else "within" if c.is_noise else "beyond"
            writer.writerow((source, c.row, c.column, *numbers, f"{c.limit:.4g}", c.unit, c.verdict, within))
    return out.getvalue()


def page(found: dict[str, list[Check]], results: Sequence[ns3.Result]) -> str:
    """The whole of docs/validation.md."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "numba"))
    lines = [
        "# Validation",
        "",
        "Our figures beside those of programs and papers that nobody here wrote. Made by",
        f"`make validation` on {datetime.date.today()} (Python {platform.python_version()}, {versions}); do not edit.",
        "Every figure, ours, theirs, the difference in per cent and in standard errors, its limit and whether it was",
        "met, is a row of [validation.csv](validation.csv). The channels are the files of",
        "[scenarios/probe](../scenarios/probe).",
        "",
        f"| source | figures | {MET} | {DOCUMENTED} | {MISSED} |",
        "|---|---|---|---|---|",
    ]
    titles = (LRWPAN, *(title_of(source) for source, _ in LINKS))
    lines += [f"| {title} | {len(found[title])} | {' | '.join(map(str, _counts(found[title])))} |" for title in titles]
    lines += ["", "`documented`: beyond the limit for a reason that was known before, and said in the section.", ""]
    lines += _lrwpan_section(found[LRWPAN], results)
    for source, has_all in LINKS:
        lines += _section(source, found[title_of(source)], has_all)
    return "\n".join(lines).rstrip() + "\n"


def _counts(checks: Sequence[Check]) -> list[int]:
    return [sum(check.verdict == verdict for check in checks) for verdict in (MET, DOCUMENTED, MISSED)]


def title_of(source: object) -> str:
    """The first line of its text."""
    return str(inspect.getdoc(source)).splitlines()[0].rstrip(".")


def _section(source: object, checks: Sequence[Check], has_all: bool) -> list[str]:
    met, documented, missed = _counts(checks)
    shown = [check for check in checks if has_all or not check.is_met]
    said = f"{len(checks)} figures: {met} {MET}, {documented} {DOCUMENTED}, {missed} {MISSED}."
    worst = max(checks, key=lambda check: abs(check.off) / check.limit if check.limit else abs(check.off))
    if worst.limit:
        said += f" The farthest: {worst.row}, {worst.column}, {_off(worst)} (limit {_limit(worst)})."
    _, _, about = str(inspect.getdoc(source)).partition("\n\n")
    return [f"## {title_of(source)}", "", about, "", said, "", *(_table(shown) if shown else [])]


def _table(checks: Sequence[Check]) -> list[str]:
    lines = ["| row | column | ours | theirs | difference | s.e. | limit | |", "|---|---|---|---|---|---|---|---|"]
    for c in checks:
        errors = "" if np.isnan(c.errors) else f"{c.errors:+.2f}"
        verdict = f"{c.verdict}: {c.note}" if c.verdict == DOCUMENTED else c.verdict
        cells = (
            c.row,
            c.column,
            f"{c.ours:.6g}",
            f"{c.theirs:.6g}",
            f"{c.per_cent:+.2f} %",
            errors,
            _limit(c),
            verdict,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _limit(check: Check) -> str:
    return "none" if check.limit == 0 else f"{check.limit:.3g}{'' if check.unit == '1' else f' {check.unit}'}"


def _off(check: Check) -> str:
    return f"{check.off:+.3g}{'' if check.unit == '1' else f' {check.unit}'}"


_LRWPAN = """
ns-3 3.44, module lr-wpan, MAC defaults: N senders on a ring of 10 m around the sink, log-distance loss, 0 dBm, frames
of 100 bytes with short addresses. `burst`: all start together; `burst_reliable`: what was given up is queued again
behind its message's other frames until it is acknowledged; `poisson`: messages per second of each node, for 100 s.
`strict`: its error model replaced, frames below 14.8 dB are lost; `capture`: its default. `netsim probe probe/lrwpan`.
As many runs as ns-3's; where those are few, ten times as many, up to 200.

Two kinds of columns, two rules:

- **{with_error} columns with a standard error of ns-3's** (shares of frames, transmissions, makespan): within
  Student's quantile at 6e-5 for ns-3's number of runs, times the standard error of both; a share's is at least the
  binomial one at our value. **{with_met} met, {with_missed} missed.**
- **{without} columns without one** (latencies, service, state times, energy of a CC2420): within 2 %. **{without_met}
  met, {off} missed.**

2 % is less than chance does to means of as few runs as ns-3's were. So, beside the rule and not in its place: how
many standard errors a difference is, where ns-3's runs are taken to spread as ours do, which is all that is known of
them. Of the {off} that missed 2 %, **{within} are within chance** (Student's quantile at 6e-5 for our number of runs)
**and {beyond} beyond.**
"""
_CHANCE = """
Are the differences those of chance? What would be found if ns-3 drew from our distribution: both ends resampled from
our runs {resamples} times, all columns of a run together, since they depend on each other (median, and 95 % of the
resamples); columns that are the same in every run are left out.
"""


def _lrwpan_section(checks: Sequence[Check], results: Sequence[ns3.Result]) -> list[str]:
    with_error = [c for c in checks if c.unit == "s.e."]
    without = [c for c in checks if c.unit == "%"]
    off = [c for c in without if not c.is_met]
    beyond = [c for c in off if not c.is_noise]
    met = sum(c.is_met for c in with_error)
    text = _LRWPAN.format(
        with_error=len(with_error), with_met=met, with_missed=len(with_error) - met, without=len(without),
        without_met=len(without) - len(off), off=len(off), within=len(off) - len(beyond), beyond=len(beyond),
    )  # fmt: skip
    lines = [f"## {LRWPAN}", text]
    lines += _chance_lines(results)
    lines += [
        "Every row, and its farthest column of each kind:",
        "",
        "| row | runs, theirs and ours | met, with s.e. | farthest | met, without | farthest |",
        "|---|---|---|---|---|---|",
        *(_row_line(result) for result in results),
        "",
        "All columns that missed:",
        "",
        "| row | column | ours | ns-3 | difference | s.e. | |",
        "|---|---|---|---|---|---|---|",
    ]
    for c in checks:
        if not c.is_met:
            why = "" if c.unit != "%" else "within chance" if c.is_noise else "**beyond chance**"
            numbers = (f"{c.ours:.5g}", f"{c.theirs:.5g}", f"{c.per_cent:+.2f} %", f"{c.errors:+.2f}")
            lines.append(f"| {c.row} | {c.column} | {' | '.join(numbers)} | {why} |")
    return [*lines, ""]


def _chance_lines(results: Sequence[ns3.Result]) -> list[str]:
    every = chance(results)
    lines = [
        _CHANCE.format(resamples=RESAMPLES).lstrip("\n"),
        f"| {every.columns} columns without s.e. | found | expected |",
        "|---|---|---|",
    ]
    for title, name, digits in (
        ("missed 2 %", "missed", 0),
        ("mean of the differences, s.e.", "mean", 2),
        ("standard deviation, s.e.", "sd", 2),
        ("largest, s.e.", "largest", 2),
    ):
        real, low, median, high = getattr(every, name)
        expected = f"{median:.{digits}f} ({low:.{digits}f} .. {high:.{digits}f})"
        lines.append(f"| {title} | {real:.{digits}f} | {expected} |")
    return [*lines, ""]


def _row_line(result: ns3.Result) -> str:
    row, cells = result.row, []
    for unit in ("s.e.", "%"):
        checks = [c for c in result.checks if c.unit == unit]
        worst = max(checks, key=lambda c: abs(c.off) / c.limit)
        off = f"{worst.errors:+.2f} of {worst.limit:.2f}"
        if unit == "%":
            off = f"{worst.per_cent:+.2f} %, {worst.errors:+.2f} s.e."
        cells += [f"{sum(c.is_met for c in checks)} of {len(checks)}", f"{worst.column} {off}"]
    runs = len(result.runs["delivery"])
    return f"| {row.name} | {row.runs}, {runs} | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
