"""NUMBA_DISABLE_JIT=1: slow, and equal, on every kind of channel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netsim.scenario import parse_text
from netsim.simulation.engine import simulate
from tests.support import ROOT

TEXT = """\
name: b
problem: {name: quadratic, nodes: 3, dim: 8}
algorithms: [{name: dcgd, compressor: {name: qsgd, levels: 4}, deadline_s: 100}]
network: {link: LINK}
stop: {rounds: 3}
"""
LINKS = (
    "{name: ideal, delay_s: 1 ms}",
    "{name: ethernet_udp, rate_bps: 1e6}",
    "{name: wan, rate_bps: 1e6, rtt_s: 20 ms}",
    "lora",
    "ieee802154",
    "{name: ieee802154, mac: csma_ca}",
    "{name: ieee802154, mac: slotted}",
    "{name: ieee802154, mac: {name: tsch, server_cells: 1}}",
)


def times() -> list[tuple[str, float, float]]:
    """Each link's status, simulated time and loss after three rounds."""
    found = []
    for link in LINKS:
        scenario = parse_text(TEXT.replace("LINK", link))
        result = simulate(scenario, scenario.algorithms[0], 0, scenario.open_problem())
        found.append((result.status, result.sim_time_s, result.tables["rounds"].to_pydict()["loss"][-1]))
    return found


@pytest.mark.slow
def test_the_same_without_the_compiler(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    code = "from tests.kinds.test_without_compiler import times; print(times())"
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == str(times())
    assert all(status == "done" for status, _, _ in times())
