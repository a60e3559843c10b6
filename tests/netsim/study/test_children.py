"""Processes of a study: what a component does to its own ends one run, in a sentence, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netsim import study
from netsim.cli import main
from netsim.study.children import Died, import_path
from tests.netsim.test_streams import LEAVES, TINY
from tests.support import ROOT

WAYS = {
    "input()": "EOFError: EOF when reading a line",
    "breakpoint()": "BdbQuit",
    "sys.stdin.close()\ninput()": "ValueError: I/O operation on closed file",
    "sys.stdin.buffer.read(1)[0]": "",
    "exit()": "sys.exit(None) was called",
    "import os; os._exit(0)": "its process ended with exit code 0",
    "import os; os._exit(7)": "its process ended with exit code 7",
    "import os; os.abort()": "its process was killed by SIGABRT",
    "import os; os.kill(os.getpid(), 9)": "its process was killed by SIGKILL (out of memory?)",
    "raise ValueError('\\\\udcff')": "ValueError",
    "print('x'); raise KeyError(1)": "KeyError: 1",
}


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_component_ends_its_own_run_alone(
    tmp_path: Path, jobs: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The working folder has modules with names of the standard library's, which no process imports."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # where it names the working folder, that is what is asked for
    for name in ("pickle", "secrets", "fractions", "numpy", "pandas", "queue"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(99)\n")
    aside = tmp_path / "plugins"
    aside.mkdir()
    plugin = aside / f"ends_{jobs}.py"
    plugin.write_text(LEAVES.replace('"algorithm"', f'"algorithm", name="ends_{jobs}"'))
    bad = "".join(f'{{name: ends_{jobs}, label: "{i}", step_size: 0.1, how: "{how}"}}, '.replace("\n", "\\n")
                  for i, how in enumerate(WAYS))  # fmt: skip
    (tmp_path / "tiny.yaml").write_text(TINY.replace("algorithms: [", f"algorithms: [{bad}"))
    out = os.fsdecode(b"r\xff")
    assert main(["run", "tiny.yaml", "--plugin", str(plugin), "-j", jobs, "-o", out]) == 1
    runs = study.Results(tmp_path / out).runs
    assert [run["status"] for run in runs] == ["failed"] * len(WAYS) + ["done"] * 2
    for run, sentence in zip(runs, WAYS.values(), strict=False):
        assert sentence in run["sentence"]


def test_the_working_folder_comes_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/a", str(tmp_path), "/b"])
    assert import_path() == ["/a", "/b", ""]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", ["", "/a"])
    assert import_path() == ["", "/a"], "netsim itself is in the working folder"


def test_a_script_that_comes_through_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    script = "from netsim import study\nfrom netsim.scenario import load\n"
    script += "print(study.run(load('tiny.yaml'), 'out', jobs=2).ok)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for words in (["-"], ["script.py"]):
        (tmp_path / "script.py").write_text(script)
        command = [sys.executable, *words]
        done = subprocess.run(
            command, input=script, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60
        )
        assert done.stdout == "True\n", done


def test_died_is_an_error_of_the_simulation() -> None:
    assert str(Died("its process ended")) == "its process ended"
