"""Write docs/validation.md and docs/validation.csv: our figures beside those of ns-3, SimGrid, Linux and of theory.

``python -m benchmarks.validation.page [--out FOLDER]``; takes some minutes and says on stderr how far it is.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.validation import links, ns3_lrwpan, real_link
from benchmarks.validation.check import DOCUMENTED, MET, MISSED, Check
from netsim import files

DOCS = Path(__file__).resolve().parents[2] / "docs"
HEAD = ("source", "row", "column", "ours", "theirs", "per_cent", "errors", "off", "limit", "unit", "verdict", "chance")
Say = Callable[[str], None]


# Each says in its text whose figures it compares, of which version, and how; those marked have every row on the page.
LINKS: tuple[tuple[Callable[[], Iterator[Check]], bool], ...] = (
    (ns3_lrwpan.scattered, False),
    (links.wired, False),
    (links.tcp, False),
    (links.tcp_loss, True),
    (links.tcp_loss_long, True),
    (links.simgrid, False),
    (links.two_frames, True),
    (links.park, True),
    (links.tsch, False),
    (links.sixlowpan, True),
    (real_link.real_link, True),
)
# What a section says beyond its text and its figures.
MORE: Mapping[object, Callable[[], list[str]]] = {real_link.real_link: real_link.conditions}
REPLAYED = "802.15.4 with contention, ns-3's own runs"
DRAWN = "802.15.4 with contention, draws of our own against ns-3"


def main() -> int:
    """0; a missed limit is no failure of the command, and stands on the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validation.page", description=__doc__)
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
    found[REPLAYED] = [check for result in results for check in result.replayed]
    found[DRAWN] = [check for result in results for check in result.drawn]
    out.mkdir(parents=True, exist_ok=True)
    files.write(out / "validation.csv", to_csv(found))
    files.write(out / "validation.md", page(found, results))
    say(f"{out / 'validation.md'}, validation.csv")
    missed = [check for checks in found.values() for check in checks if check.verdict == MISSED]
    print(f"{sum(map(len, found.values()))} figures, {len(missed)} missed")
    return 0


def lrwpan(say: Say) -> list[ns3_lrwpan.Result]:
    """All rows of ns-3's lr-wpan."""
    results, rows = [], ns3_lrwpan.rows()
    for i, row in enumerate(rows, 1):
        say(f"802.15.4 with contention [{i}/{len(rows)}] {row.name}, {row.runs} and {row.our_runs} runs")
        results.append(ns3_lrwpan.validate(row))
    return results


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


def page(found: dict[str, list[Check]], results: Sequence[ns3_lrwpan.Result]) -> str:
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
    titles = (REPLAYED, DRAWN, *(title_of(source) for source, _ in LINKS))
    lines += [f"| {title} | {len(found[title])} | {' | '.join(map(str, _counts(found[title])))} |" for title in titles]
    lines += ["", "`documented`: beyond the limit for a reason that is known, and said in the section.", ""]
    lines += _lrwpan_section(found, results)
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
    more = MORE[source]() if source in MORE else []
    return [f"## {title_of(source)}", "", about, "", said, "", *(_table(shown) if shown else []), *more]


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

**Its own runs again**: given ns-3's draws (`benchmarks/validation/ns3_draws.py`) it repeats ns-3's runs (seed 1, runs
1, 2, ...). Of {replayed} figures (every column, and every standard error) **{same} are the same to the last digit
of the table, and {digit} off by one in it**, as means of rounded nanoseconds may be; {sums} is off by {sum} in the
ninth decimal of {sum_s:.0f} s (limit: 1e-10, of sums of as many floats). {sink} are the time in which the sink
receives: ns-3's is known only up to the sink's last change of state, so it need not agree, and does within
{farthest:.2g} %. {replay_missed} figures missed their limit.

**Draws of our own**: the {drawn} columns with a standard error of ns-3's (shares of frames, transmissions, makespan)
must be within Student's quantile at 6e-5 for ns-3's number of runs, times the standard error of both; a share's is at
least the binomial one at our value. As many runs as ns-3's; where those are few, ten times as many, up to 200.
**{met} met, {missed} missed.** The {without} columns without a standard error (latencies, service, state times, energy)
have no such limit: {near} of them are within 2 %, and chance takes the others farther, as they are means of few runs;
under ns-3's draws all of them agree.
"""


def _lrwpan_section(found: dict[str, list[Check]], results: Sequence[ns3_lrwpan.Result]) -> list[str]:
    replayed, drawn = found[REPLAYED], found[DRAWN]
    digits = [abs(check.off) for check in replayed if check.unit == "digit"]
    sink = [abs(check.per_cent) for check in replayed if check.unit != "digit"]
    met = sum(check.is_met for check in drawn)
    more = [check for check in replayed if check.unit == "digit" and abs(check.off) > 1]
    text = _LRWPAN.format(
        replayed=len(replayed), same=digits.count(0), digit=digits.count(1), sink=len(sink),
        sums=len(more), sum=max((abs(c.off) for c in more), default=0),
        sum_s=max((c.theirs for c in more), default=0),
        farthest=max(sink, default=0), replay_missed=sum(not check.is_met for check in replayed), drawn=len(drawn),
        met=met, missed=len(drawn) - met, without=sum(r.without for r in results), near=sum(r.near for r in results),
    )  # fmt: skip
    return [
        "## 802.15.4 with contention, ns-3",
        text,
        "| row | runs | the same | runs of our own | met | farthest |",
        "|---|---|---|---|---|---|",
        *(_row_line(result) for result in results),
        "",
        *(["All that missed:", "", *_table(off)] if (off := [c for c in (*replayed, *drawn) if not c.is_met]) else []),
    ]


def _row_line(result: ns3_lrwpan.Result) -> str:
    row = result.row
    same = sum(check.off == 0 for check in result.replayed if check.unit == "digit")
    worst = max(result.drawn, key=lambda check: abs(check.off))
    cells = (
        row.name,
        str(row.runs),
        f"{same} of {sum(check.unit == 'digit' for check in result.replayed)}",
        str(row.our_runs),
        f"{sum(check.is_met for check in result.drawn)} of {len(result.drawn)}",
        f"{worst.column} {worst.errors:+.2f} of {worst.limit:.2f} s.e.",
    )
    return f"| {' | '.join(cells)} |"
