"""Channels as small files whose commands run, and our figures beside those of others."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import math
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.validation import links, ns3_lrwpan, page, real_link
from benchmarks.validation.check import DOCUMENTED, MET, MISSED, Check
from netsim.cli import main
from netsim.scenario import bundled, channels
from tests.support import ROOT

DOCS = ROOT / "docs"
COMMANDS = [
    (name, line)
    for name, file in channels().items()
    for line in re.findall(r"^# netsim (probe .*)$", file.read_text(), re.M)
]
# Less of each, as the last of two options counts.
LESS = {"--replications": "2", "--duration": "2 s", "--messages": "20"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@functools.cache
def checked(source: Callable[..., Iterator[Check]]) -> list[Check]:
    """Every row of a table of others, by what ``netsim probe`` gives for its channel files."""
    few: dict[Any, dict[str, int]] = {links.two_frames: {"pairs": 3000}, links.park: {"frames": 500}}
    return list(source(**few.get(source, {})))


def rows(*words: str) -> list[dict[str, str]]:
    assert main(["probe", *words, "-o", "out.csv"]) == 0
    with Path("out.csv").open() as file:
        return list(csv.DictReader(file))


# --- channels to probe ----------------------------------------------------------------------------------------


def test_channels_to_probe_are_no_scenarios() -> None:
    assert len(channels()) == 9
    assert not set(channels()) & set(bundled())


@pytest.mark.parametrize("name", channels())
def test_every_file_says_what_it_is_and_how_to_probe_it(name: str) -> None:
    first, second, *_ = channels()[name].read_text().splitlines()
    assert re.fullmatch(r"# [A-Z].*\.", first)
    assert second.startswith(f"# netsim probe {name} ")


@pytest.mark.parametrize(("name", "line"), COMMANDS, ids=[line for _, line in COMMANDS])
def test_the_commands_run(name: str, line: str) -> None:
    words = shlex.split(line)
    if "--nodes" in words:
        words[words.index("--nodes") + 1] = words[words.index("--nodes") + 1].split(",")[0]
    if "slotted" in name:
        words += ["--message-bytes", "20000"]
    less = [word for option, value in LESS.items() if option in words for word in (option, value)]
    found = rows(*words[1:], *less)
    assert found
    assert all(float(row["makespan_s"]) > 0 for row in found)


def test_what_a_contending_mac_counts() -> None:
    """Frames are through by an acknowledgement, without one, or without access; tx and dup count repeats."""
    (row,) = rows("probe/lrwpan", "--nodes", "10", "--message-bytes", "1000", "--replications", "20")
    share = {name: float(row[f"frame_{name}"]) for name in ("delivered", "acked", "no_ack", "caf", "dup", "tx")}
    assert share["acked"] + share["no_ack"] + share["caf"] == pytest.approx(1, abs=1e-8)
    assert share["acked"] <= share["delivered"] < 1
    assert share["delivered"] + share["dup"] <= share["tx"]
    assert 0.7 < float(row["cca_busy"]) < 0.9
    assert row["cca2_busy"] == row["cca2_busy_se"] == ""
    assert float(row["makespan_s"]) <= float(row["done_s"]) <= float(row["quiet_s"]) + 1e-3
    assert 1.984e-3 < float(row["frame_service_s"]) < float(row["frame_sojourn_s"])
    (lone,) = rows("probe/lrwpan", "--message-bytes", "100", "--replications", "2")
    assert lone["frame_acked"] == lone["frame_tx"] == "1"
    assert lone["frame_service_s"] == lone["done_s"]
    (wire,) = rows("probe/point_to_point", "--message-bytes", "100", "--replications", "2")
    assert wire["frame_delivered"] == wire["done_s"] == wire["done_s_se"] == ""


def test_every_message_in_whole_nanoseconds() -> None:
    """Of five clients that share a port; the sum of their latencies is that of the CSV."""
    (row,) = rows("probe/star", "--nodes", "5", "--message-bytes", "1000000", "--replications", "2",
                  "--deliveries", "each.csv")  # fmt: skip
    with Path("each.csv").open() as file:
        each = list(csv.DictReader(file))
    assert {(int(d["src"]), int(d["dst"]), int(d["bytes"]), int(d["ok"])) for d in each} == {
        (n, 5, 1_000_000, 1) for n in range(5)
    }
    ends = [int(d["end_ns"]) - int(d["submit_ns"]) for d in each]
    assert sum(ends) / 5e9 == pytest.approx(float(row["latency_mean_s"]), rel=1e-8)
    assert max(ends) == 8_010_000_000


def test_a_run_of_ns3_from_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    """The Python of docs/probe.md: ten senders of ten frames each, in run 1 of ns-3."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/probe.md").read_text(), re.S)
    names: dict[str, Any] = {}
    exec(code, names)
    assert capsys.readouterr().out
    assert len(names["deliveries"]) == 10
    assert names["medium"].counters()["frames"].sum() == 100


def test_deliveries_of_several_points_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "ideal", "--deliveries", "a.csv"]) == 2
    allowed = "one value each for --nodes, --message-bytes and --rate"
    assert capsys.readouterr().err.strip().endswith(f"--deliveries: {allowed}. Got 2 points.")


# --- beside others' figures -------------------------------------------------------------------------------------


DRAWN = (links.tcp_loss, links.tcp_loss_long)
SLOW = (*DRAWN, real_link.real_link)  # half a minute each


@pytest.mark.parametrize(
    "source",
    [pytest.param(source, marks=pytest.mark.slow) if source in SLOW else source for source, _ in page.LINKS],
    ids=lambda source: source.__name__,
)
def test_links_agree(source: Callable[..., Iterator[Check]]) -> None:
    checks = checked(source)
    assert len(checks) >= 10
    assert [check for check in checks if check.verdict == MISSED] == []


def test_documented_exceptions_are_those_that_are_known() -> None:
    """Cubic with 100 kB between 28 % below and 5 % above."""
    cubic = [check for check in checked(links.tcp) if check.note]
    assert len(cubic) == 10
    assert all("cubic" in c.row and c.row.endswith(" 100000 B") and -28 < c.per_cent < 5 for c in cubic)


@pytest.mark.slow
def test_documented_exceptions_under_loss_are_within_chance() -> None:
    """What five runs of ns-3 leave to chance, and nothing else."""
    lossy = [check for check in checked(links.tcp_loss) if not check.is_met]
    assert all(c.note == "within chance" and c.row.startswith("loss 0.0") for c in lossy)


@pytest.mark.parametrize(
    ("unit", "ours", "theirs", "limit", "errors", "met"),
    [
        ("ns", 1.0000000004, 1.0, 0, math.nan, True),
        ("ns", 1.0000000006, 1.0, 0, math.nan, False),
        ("ns", 1.000000001, 1.0, 1, math.nan, True),
        ("%", 1.0199, 1.0, 2, 50.0, True),
        ("%", 1.0201, 1.0, 2, 0.1, False),
        ("%", 0.0, 0.0, 2, 0.0, True),
        ("%", math.nan, 1.0, 2, math.nan, False),
        ("1", 1 + 2e-9, 1.0, 1e-9, math.nan, False),
        ("s.e.", 2.0, 1.0, 4, -3.9, True),
        ("s.e.", 2.0, 1.0, 4, -4.1, False),
        ("digit", 1.0004, 1.0, 0, math.nan, True),
        ("digit", 1.0006, 1.0, 0, math.nan, False),
        ("digit", 1.0006, 1.0, 1, math.nan, True),
        ("digit", 0.9984, 1.0, 1, math.nan, False),
        ("exact", 5.0, 5.0, 0, math.nan, True),
        ("exact", 5.0, 6.0, 0, math.nan, False),
    ],
)
def test_limits(unit: Any, ours: float, theirs: float, limit: float, errors: float, met: bool) -> None:
    check = Check("row", "column", ours, theirs, limit, unit, errors, digits=3)
    assert (check.is_met, check.verdict) == (met, MET if met else MISSED)
    assert dataclasses.replace(check, note="known").verdict == (MET if met else DOCUMENTED)


def test_within_2_percent_is_said_apart_from_chance() -> None:
    """Two runs of a noisy row miss 2 % within chance; what chance cannot explain is said so."""
    check = Check("row", "column", 1.03, 1.0, 2, "%", 1.0, 4.0)
    assert (check.is_met, check.is_noise) == (False, True)
    assert not dataclasses.replace(check, errors=5.0).is_noise


def named(name: str) -> ns3_lrwpan.Row:
    return next(row for row in ns3_lrwpan.rows() if row.name == name)


def test_means_over_messages() -> None:
    """Ratios of sums: 2 messages of 1 s and 6 of 3 s have mean 2.5 s."""
    values = {"msg_latency_s": np.array([1.0, 3.0, np.nan]), "_complete": np.array([2.0, 6.0, 0.0])}
    assert ns3_lrwpan.mean(values, "msg_latency_s") == 2.5
    assert ns3_lrwpan.mean({"makespan_s": np.array([1.0, 3.0])}, "makespan_s") == 2.0
    assert math.isnan(
        ns3_lrwpan.mean({"msg_latency_s": np.array([np.nan]), "_complete": np.array([0.0])}, "msg_latency_s")
    )


def test_the_page_and_its_table() -> None:
    """What was missed stands on the page; the counts are those of the table."""
    row = named("burst_reliable strict N=2 100 B")
    wrong = dataclasses.replace(row, runs=10)  # the means of 100 runs beside those of 10
    results = [ns3_lrwpan.validate(named("burst strict N=1 1000 B")), ns3_lrwpan.validate(wrong)]
    found = {page.title_of(source): list(checked(source)) for source, _ in page.LINKS[:3]}
    found |= {page.title_of(source): found["UDP over wires, ns-3"] for source, _ in page.LINKS[3:]}
    found[page.REPLAYED] = [check for result in results for check in result.replayed]
    found[page.DRAWN] = [check for result in results for check in result.drawn]
    text = page.page(found, results)
    table = list(csv.DictReader(io.StringIO(page.to_csv(found))))
    missed = [row for row in table if row["verdict"] == MISSED]
    assert len(missed) > 2
    for line in missed:
        assert f"| {line['row']} | {line['column']} |" in text
    of = [line for line in table if line["source"] == page.REPLAYED]
    count = sum(line["verdict"] == MET for line in of)
    assert f"| {page.REPLAYED} | {len(of)} | {count} | 0 | {len(of) - count} |" in text
    assert "| burst strict N=1 1000 B | 100 | 25 of 25 | 200 | 8 of 8 |" in text


def test_the_documents_are_of_these_tables() -> None:
    """docs/validation.csv has every row of every table, and docs/validation.md its counts."""
    with (DOCS / "validation.csv").open() as file:
        table = list(csv.DictReader(file))
    for source, _ in page.LINKS[:4]:
        title = page.title_of(source)
        found = source(transfers=2) if source in DRAWN else checked(source)  # type: ignore[call-arg]
        wanted = {(c.row, c.column) for c in found}
        assert {(r["row"], r["column"]) for r in table if r["source"] == title} == wanted
    for source, columns in {
        page.DRAWN: ns3_lrwpan.WITH_ERROR,
        page.REPLAYED: (*ns3_lrwpan.WITH_ERROR, *(f"{c}_se" for c in ns3_lrwpan.WITH_ERROR), *ns3_lrwpan.WITHOUT),
    }.items():
        wanted = {(r.name, c) for r in ns3_lrwpan.rows() for c in columns if c in r.values}
        assert {(r["row"], r["column"]) for r in table if r["source"] == source} == wanted
    text = (DOCS / "validation.md").read_text()
    for title in {row["source"] for row in table}:
        of = [row["verdict"] for row in table if row["source"] == title]
        counts = " | ".join(str(of.count(verdict)) for verdict in (MET, DOCUMENTED, MISSED))
        assert f"| {title} | {len(of)} | {counts} |" in text
