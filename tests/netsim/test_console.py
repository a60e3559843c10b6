"""Names, characters, streams and plugins that would end a study after its work, or in its middle."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netsim import console, files
from netsim.results import summary
from netsim.study.names import MAX_FILE_NAME, file_name

LONG = "x" * 260
WORDS = (LONG, LONG + "y", "\u2603" * 300, "", "a/b")
SMALL = """\
name: small
problem: {{name: logistic_regression, dataset: breast_cancer, nodes: 2}}
network: {{link: {{name: ethernet_udp, rate_bps: 1e6}}}}
algorithms: [gd, {{name: {name}, label: "{label}"}}]
stop: {{rounds: 2}}
record: {{pcap: true}}
"""
PLUGIN = """\
import os, sys
from dataclasses import dataclass
from typing import ClassVar
from netsim.registry import component

class Agent:
    def __init__(self, ctx):
        self.ctx = ctx

    async def run(self):
        {body}

@component("algorithm")
@dataclass(frozen=True)
class Rude:
    tolerates: ClassVar[frozenset] = frozenset()

    def server(self, ctx):
        return Agent(ctx)

    worker = server
"""


def run(folder: Path, *words: str, shell: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process of its own; `shell` is what follows it on a shell's line."""
    variables = {**os.environ, "PYTHONPATH": str(Path.cwd()), **environment}
    command: Any = [sys.executable, "-m", "netsim", *words]
    if shell:
        command = ["sh", "-c", f'"$@" {shell}', "sh", *command]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, check=False)


def small(folder: Path, label: str = "other", name: str = "gd, step_size: 0.1") -> None:
    (folder / "small.yaml").write_text(SMALL.format(label=label, name=name), encoding="utf-8")


def is_complete(folder: Path) -> bool:
    return bool(json.loads((folder / "out" / "manifest.json").read_text("utf-8"))["complete"])


@pytest.mark.parametrize(
    ("shell", "environment"),
    [
        ("2>&-", {}),
        pytest.param("2>/dev/full", {}, marks=pytest.mark.slow),
        (">&- 2>&- <&-", {}),
        ("| true", {}),
        ("", {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}),
        pytest.param("", {"PYTHONIOENCODING": "cp1252"}, marks=pytest.mark.slow),
        ("", {"PYTHONIOENCODING": "ascii:strict"}),
    ],
)
def test_a_study_is_done_whatever_becomes_of_its_streams(
    shell: str, environment: dict[str, str], tmp_path: Path
) -> None:
    small(tmp_path, label=f"größe \u2603 {LONG}")
    done = run(tmp_path, "run", "small.yaml", "-o", "out", "-j", "1", shell=shell, **environment)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert is_complete(tmp_path)
    names = [file.name for file in (tmp_path / "out" / "pcap").iterdir()]
    assert len(names) == 2
    assert max(map(len, names)) <= 100
    assert LONG in (tmp_path / "out" / "summary.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("jobs", "body", "sentence"),
    [
        ("1", "sys.exit(0)", "sys.exit(0) was called"),
        ("2", "input()", "EOFError: EOF when reading a line"),
        ("1", "breakpoint()", "BdbQuit"),
        pytest.param(
            "1", "sys.stdin.close(); input()", "ValueError: I/O operation on closed file", marks=pytest.mark.slow
        ),
        ("2", "raise ValueError('\\udcff')", "ValueError: "),
    ],
)
def test_a_rude_plugin_fails_its_own_run(jobs: str, body: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "rude.py").write_text(PLUGIN.format(body=body), encoding="utf-8")
    small(tmp_path, name="rude")
    done = run(tmp_path, "run", "small.yaml", "-o", "out", "-j", jobs, "--plugin", "rude.py")
    assert done.returncode == 1
    assert sentence in done.stderr.decode() + done.stdout.decode()
    assert b"Traceback" not in done.stderr
    assert b"never awaited" not in done.stderr
    ends = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))["runs"]
    assert [one["status"] for one in ends] == ["done", "failed"]


def test_a_worker_that_leaves_fails_its_own_run(tmp_path: Path) -> None:
    (tmp_path / "rude.py").write_text(PLUGIN.format(body="os._exit(0)"), encoding="utf-8")
    small(tmp_path, name="rude")
    done = run(tmp_path, "run", "small.yaml", "-o", "out", "-j", "2", "--plugin", "rude.py")
    assert done.returncode == 1
    assert b"its process ended with exit code 0" in done.stderr + done.stdout


def test_workers_import_nothing_of_the_working_folder(tmp_path: Path) -> None:
    small(tmp_path)
    for name in ("pickle", "signal", "queue"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('mine')\n", encoding="utf-8")
    code = "import sys; from netsim.cli import main; sys.exit(main())"
    command = [sys.executable, "-P", "-c", code, "run", "small.yaml", "-o", "out", "-j", "2"]
    variables = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, check=False)
    assert (done.returncode, b"mine" in done.stderr) == (0, False)


def test_names_of_files() -> None:
    names = [file_name(words, hash) for words in WORDS for hash in ("1" * 64, "2" * 64)]
    assert all(0 < len(name) <= MAX_FILE_NAME and name.isascii() and "/" not in name for name in names)
    assert names[0] != names[1]


def test_halves_of_characters_are_written_as_escapes(tmp_path: Path) -> None:
    files.write(tmp_path / "x.json", json.dumps({"a": "\udcff"}, ensure_ascii=False))
    assert json.loads((tmp_path / "x.json").read_text("utf-8")) == {"a": "\udcff"}


def test_streams_are_put_back() -> None:
    before = sys.stdout, sys.stderr
    with console.kept():
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize("label", ["=cmd()", "+1+1", "-x", "@sum(a)", "=1,2", "'=x", "'s", "-5", "1e3"])
def test_formulas_are_neutral_in_csv_and_read_as_they_were(label: str) -> None:
    made = summary.to_csv([{"label": label, "point": "", "status": "done", "x": 1.5}])
    cell = next(csv.DictReader(made.splitlines()))["label"]
    assert cell[0] not in "=@"
    assert cell[0] not in "+-" or float(cell)
    assert summary.from_csv(made)[0]["label"] == label
