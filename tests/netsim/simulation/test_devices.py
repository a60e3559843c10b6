"""Boards of a table, and speeds and powers per node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError, DataError
from netsim.scenario import check_data, parse_text
from netsim.scenario.compute import Devices
from netsim.scenario.devices import devices, read
from netsim.simulation.engine import Engine
from netsim.units import seconds_to_ns

TABLE = """name,flop_per_s,power_w,source
fast,7e6,3,made up
slow,1.1e6,0.5,made up
middle,3e6,1,made up
"""
SCENARIO = """
name: boards
problem: {{name: quadratic, dim: 30, nodes: 3}}
compute: {{{}}}
algorithms: [gd]
stop: {{rounds: 2}}
"""
BOARDS = "devices: {path: boards.csv, boards: [middle, slow, fast]}"


@pytest.fixture(autouse=True)
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boards.csv").write_text(TABLE)
    return tmp_path


def simulated(compute: str) -> Any:
    scenario = parse_text(SCENARIO.format(compute))
    engine = Engine(scenario, scenario.algorithms[0], 0, scenario.problem.open(0))
    return engine.run()


@pytest.mark.parametrize("compute", [BOARDS, "flop_per_s: [3e6, 1.1e6, 7e6], power_w: [1, 0.5, 3]"])
def test_a_round_takes_as_long_as_the_slowest(compute: str) -> None:
    """A gradient of 2 d^2 + d = 1830 operations takes 1830/1.1e6 s on the slow board, to the nanosecond.

    Each node spends its own time at its own power; the server, no board, spends nothing.
    """
    result = simulated(compute)
    assert result.sim_time_s == pytest.approx(2 * seconds_to_ns(1830 / 1.1e6) * 1e-9, abs=1e-15)
    rows = result.tables["energy"].to_pandas().query("state == 'compute'").set_index("node")
    for node, (speed, power) in enumerate([(3e6, 1), (1.1e6, 0.5), (7e6, 3)]):
        busy_s = 2 * seconds_to_ns(1830 / speed) * 1e-9
        assert rows.loc[node, "time_s"] == pytest.approx(busy_s, abs=1e-15)
        assert rows.loc[node, "energy_j"] == pytest.approx(busy_s * power, rel=1e-12)
    assert rows.loc[3, "energy_j"] == 0
    last = result.tables["rounds"].to_pandas().iloc[-1]
    assert last["energy_compute_j"] == pytest.approx(rows["energy_j"].sum(), rel=1e-12)


def test_boards_are_drawn_anew_in_every_replication() -> None:
    """20 nodes and 3 boards: two replications draw the same with probability 3^-20."""
    compute = parse_text(SCENARIO.format("devices: {path: boards.csv}")).compute
    one, two = (
        devices(compute, range(21), range(20), lambda _, seed=seed: np.random.default_rng(seed)) for seed in (0, 1)
    )
    assert one != two
    assert {device.flop_per_s for device in one.values()} == {7e6, 1.1e6, 3e6, None}
    assert one[20].flop_per_s is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name,flop_per_s\na,1\n", "boards.csv:1: the columns name, flop_per_s, power_w are needed. Got no power_w."),
        ("name,flop_per_s,power_w\na,0,1\n", "boards.csv:2: a name that no other line has, flop_per_s > 0 and"),
        ("name,flop_per_s,power_w\na,1,1\na,2,2\n", "boards.csv:3: a name that no other line has"),
        ("name,flop_per_s,power_w\na,1,inf\n", "Got a, 1, inf."),
        ("name,flop_per_s,power_w\n", "boards.csv: at least one board is needed. Got none."),
    ],
)
def test_tables_that_are_none(text: str, sentence: str, table: Path) -> None:
    (table / "boards.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        read(Devices("boards.csv"))
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("compute", "sentence"),
    [
        ("devices: {path: boards.csv, boards: [fast, fast]}", "devices.boards: a board for each of 3 nodes. Got 2."),
        ("flop_per_s: [1, 2]", "compute.flop_per_s: a speed for each of 3 nodes. Got 2."),
        ("power_w: [1, 2]", "compute.power_w: a power for each of 3 nodes. Got 2."),
        (f"{BOARDS}, power_w: 1", "compute.power_w: either devices or this. Got both."),
        ("devices: {path: boards.csv, boards: [fast, fats, slow]}", "no board 'fats'; there are fast, slow, middle."),
        ("devices: {path: none.csv}", "compute.devices: devices: the file none.csv is needed, with the columns"),
    ],
)  # fmt: skip
def test_what_does_not_fit(compute: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_data(parse_text(SCENARIO.format(compute)))
    assert sentence in str(caught.value)
