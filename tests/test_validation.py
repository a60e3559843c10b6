"""Channels as small files whose commands run, and our figures beside those of others."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import pytest

from netsim.cli import main
from netsim.scenario import bundled, channels

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
    assert max(ends) == 8_789_893_814


def test_deliveries_of_several_points_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "ideal", "--deliveries", "a.csv"]) == 2
    allowed = "one value each for --nodes, --message-bytes and --rate"
    assert capsys.readouterr().err.strip().endswith(f"--deliveries: {allowed}. Got 2 points.")
