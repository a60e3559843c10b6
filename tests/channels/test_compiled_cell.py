"""The contending cell's kernels where nothing can be kept, with damaged files, and without numba's run time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from channels.media.lrwpan.csma.compiling import WITHOUT_COUNTING

pytestmark = pytest.mark.compiled

PROBE = ["probe", "probe/two_frames", "--nodes", "2", "--message-bytes", "20,100", "--replications", "20"]
NETSIM = [sys.executable, "-c", "import sys; from netsim.cli import main; sys.exit(main(sys.argv[1:]))"]
NOTE = "netsim: no folder to keep compiled code in (tried "


def probe(**variables: str) -> tuple[str, list[str]]:
    """The table, and what is said on stderr of compiled code."""
    done = subprocess.run([*NETSIM, *PROBE], env={**os.environ, **variables}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, [line for line in done.stderr.splitlines() if line.startswith("netsim: ")]


@pytest.mark.slow
def test_a_probe_without_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    table, notes = probe(NETSIM_CACHE=str(tmp_path / "file"))
    assert (table, len(notes)) == (probe()[0], 1)
    assert notes[0].startswith(NOTE)


@pytest.mark.slow
def test_a_probe_with_truncated_files(tmp_path: Path) -> None:
    kept = {"NETSIM_CACHE": str(tmp_path)}
    first = probe(**kept)
    files = list(tmp_path.rglob("*.nb[ic]"))
    assert files
    for path in files:
        path.write_bytes(b"")
    assert probe(**kept) == first
    assert all(path.stat().st_size > 0 for path in files)


@pytest.mark.slow
def test_one_note_for_several_processes(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = str(tmp_path / "file")
    scenario = tmp_path / "contention.yaml"
    scenario.write_text(
        "name: contention\nseed: 1\nreplications: 4\nproblem: {name: quadratic, dim: 20, nodes: 3}\n"
        "network: {link: {name: ieee802154, mac: csma_ca}}\nalgorithms: [{name: gd}]\nstop: {rounds: 2}\n"
    )
    command = [*NETSIM, "run", str(scenario), "-j", "2", "-o", str(tmp_path / "results")]
    done = subprocess.run(command, env={**os.environ, "NETSIM_CACHE": folder}, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count(NOTE)) == (0, 1), done.stderr[-2000:]


def test_numba_still_knows_the_option_without_which_it_counts_references() -> None:
    """Nothing public leaves the counting out; see `channels.media.lrwpan.csma.compiling` for what it costs."""
    import numba

    def rows(table: Any) -> Any:
        row = table[0]
        for i in range(table.shape[0]):
            if table[i, 0] > row[0]:
                row = table[i]
        return row[0]

    counted, uncounted = numba.njit(rows), numba.njit(**WITHOUT_COUNTING)(rows)
    table = np.arange(6.0).reshape(3, 2)
    assert counted(table) == uncounted(table) == 4.0
    # NRT is the run time, which counts references.
    assert ["NRT_" in "".join(kernel.inspect_llvm().values()) for kernel in (counted, uncounted)] == [True, False]
