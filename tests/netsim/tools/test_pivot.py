"""``netsim table``: cells against the summary's own rows, and what is refused."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from netsim.cli import main
from netsim.results import summary
from tests.support.page import folder

SWEEP = {"network.link.rate_bps": [1e6, 1e5], "problem.nodes": [2, 4], "network.link.mac": ["single", "a|b"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder.make(
        tmp_path_factory.mktemp("table"), kinds=folder.KINDS[:2], replications=2, rounds=200, sweep=SWEEP
    )


def table(made: Path, *words: str, capsys: Any) -> str:
    assert main(["table", str(made), *words]) == 0
    return str(capsys.readouterr().out)


def test_the_summary_reads_as_it_was_written(made: Path) -> None:
    rows = summary.from_csv((made / "summary.csv").read_text())
    assert summary.swept_keys(rows) == list(SWEEP)
    assert [type(rows[0][key]) for key in SWEEP] == [float, int, str]
    assert [tuple(row[key] for key in SWEEP) for row in rows[::2]] == list(itertools.product(*SWEEP.values()))


def test_every_cell_is_the_summarys_number(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = made / "t.csv"
    table(made, "--rows", "label,nodes", "--columns", "rate_bps,mac", "--values", "energy_j,time_s_low",
          "-o", str(out), capsys=capsys)  # fmt: skip
    lines = list(csv.reader(out.read_text().splitlines()))
    frame = pd.DataFrame(summary.from_csv((made / "summary.csv").read_text()))
    columns = list(itertools.product(("energy_j_mean", "time_s_low"), (1e6, 1e5), ("single", "a|b")))
    # In the order in which values come in the scenario, not sorted.
    assert lines[0] == ["label", "nodes", *(", ".join(map(str, column)) for column in columns)]
    assert [line[:2] for line in lines[1:]] == [["GD", "2"], ["GD", "4"], ["CAT S", "2"], ["CAT S", "4"]]
    for line, (label, nodes) in zip(lines[1:], itertools.product(("GD", "CAT S"), (2, 4)), strict=True):
        for cell, (value, rate, mac) in zip(line[2:], columns, strict=True):
            here = frame[(frame["label"] == label) & (frame["problem.nodes"] == nodes)]
            here = here[(here["network.link.rate_bps"] == rate) & (here["network.link.mac"] == mac)]
            assert float(cell) == here[value].item()


def test_people_read_units_and_programs_plain_numbers(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--rows", "rate_bps", "--columns", "label", "--where", "nodes=4", "--where", "mac=single")
    told = table(made, *words, capsys=capsys).splitlines()
    assert told[0] == "time_s_mean by rate_bps and label, to loss_gap <= 0.01"
    assert [line.split("  ")[0] for line in told[1:]] == ["rate_bps", "1 Mbit/s", "100 kbit/s"]
    assert all(line.endswith((" s", " ms")) for line in told[2:])
    assert table(made, *words, "--format", "csv", capsys=capsys).splitlines()[1].startswith("1000000.0,")
    latex = table(made, *words, "--format", "latex", capsys=capsys)
    assert "\\begin{tabular}{lrr}" in latex
    assert "rate\\_bps & GD & CAT S \\\\" in latex
    markdown = table(made, "--rows", "mac", "--where", "nodes=4", "--where", "rate_bps=100 kbit/s",
                     "--columns", "label", "--format", "markdown", capsys=capsys)  # fmt: skip
    assert "| mac | GD | CAT S |\n| --- | ---: | ---: |\n" in markdown
    assert "| a\\|b | " in markdown


def test_without_columns_all_other_swept_keys_are(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = table(made, "--values", "uplink_wire_bytes,ratio_energy_j,j_per_bit", capsys=capsys).splitlines()[1]
    assert head.count("uplink_wire_bytes_mean, ") == 8
    assert "uplink_wire_bytes_mean, 1 Mbit/s, 2, single" in head


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--rows", "rate"], "a key is one of label, algorithm, point, target, network.link.rate_bps, problem.nodes, "
                             "network.link.mac. Got 'rate'"),
        (["--rows", "nodes", "--columns", "mac"], "4 rows of the summary share a cell; name label and "
                                                  "network.link.rate_bps in --rows or --columns"),
        (["--values", "energy"], "--values: numeric columns of summary.csv. Got 'energy'. Nearest: energy_j"),
        (["--where", "nodes=7"], "--where problem.nodes: one of 2, 4. Got '7'"),
        (["--where", "nodes"], "--where: KEY=VALUE is needed. Got 'nodes'"),
        (["--format", "latx"], "--format: one of terminal, csv, markdown, latex. Got 'latx'. Nearest: latex"),
        (["--rows", "label", "--columns", "label"], "--columns: keys that are no rows. Got 'label' in both"),
    ],
)  # fmt: skip
def test_what_is_refused(made: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(made), *words]) == 2
    assert sentence in capsys.readouterr().err


def test_a_folder_without_summary_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(tmp_path)]) == 2
    assert "There is no summary.csv" in capsys.readouterr().err
