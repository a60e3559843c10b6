"""The files in examples/ run from another folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netsim.scenario import load
from netsim.study import run
from tests.support import ROOT


def test_own_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = [sys.executable, str(ROOT / "examples" / "own_arrays.py"), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert "QSGD" in done.stdout
    assert (tmp_path / "out" / "report.html").is_file()


def test_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve rows, six from each island."""
    monkeypatch.chdir(tmp_path)
    scenario = load("own_data", ["stop.rounds=2"])
    problem = scenario.problem.open(scenario.seed)
    assert [problem.num_samples(node) for node in (0, 1)] == [6, 6]
    assert run(scenario, tmp_path / "out").ok
