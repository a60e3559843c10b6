"""Studies that are ended from outside, and disks that fill up: what is finished is kept, and the exit code says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netsim.files import ASIDE
from tests.support import ROOT

TEXT = """\
name: ended
problem: {name: quadratic, nodes: 3, dim: 40}
network: {uplink: {name: ethernet_udp, rate_bps: 1 Mbit/s}}
algorithms: [{name: gd, step_size: 1.0e-4}, {name: gd, label: b, step_size: 2.0e-4}]
stop: {rounds: ROUNDS}
replications: 3
vary: all
record: {messages: true}
"""
TABLES = ("rounds.parquet", "messages.parquet", "energy.parquet", "summary.csv")


def started(folder: Path, out: Path, jobs: int, rounds: int) -> subprocess.Popen[str]:
    (folder / "ended.yaml").write_text(TEXT.replace("ROUNDS", str(rounds)), encoding="utf-8")
    words = [sys.executable, "-P", "-m", "netsim", "run", "ended.yaml", "-o", str(out), "-j", str(jobs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        words, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=120)
    assert "Traceback" not in said
    return process.returncode, said


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study without an end from outside."""
    folder = tmp_path_factory.mktemp("whole")
    assert ended(started(folder, folder / "out", 1, 300))[0] == 0
    return folder / "out"


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9), (signal.SIGHUP, -1)]
)
def test_a_signal(number: signal.Signals, code: int, jobs: int, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(tmp_path, out, jobs, 300)
    while len(list(out.glob("runs/*/run.json"))) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    got, said = ended(process)
    assert got == code
    if code > 0:
        assert "of 6 runs are finished, and the same command goes on from there" in said
    assert not list(out.glob("*.parquet"))
    assert ended(started(tmp_path, out, jobs, 300))[0] == 0
    for name in TABLES:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    assert not list(out.rglob(f"{ASIDE}*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 150 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150k", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("only root may mount a file system")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_disk_that_fills_up(jobs: int, whole: Path, small_disk: Path, tmp_path: Path) -> None:
    out = small_disk / "out"
    code, said = ended(started(tmp_path, out, jobs, 300))
    assert code == 1
    assert "cannot be written: No space left on device. What is finished stays" in said.splitlines()[-1]
    assert not list(out.glob("*.parquet"))
    subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)
    assert ended(started(tmp_path, out, jobs, 300))[0] == 0
    for name in TABLES:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
