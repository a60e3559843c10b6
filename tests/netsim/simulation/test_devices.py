"""Boards of a table, speeds and powers per node, and what is drawn for each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim import rng
from netsim.errors import ConfigError, DataError
from netsim.scenario import check_data, parse_text
from netsim.scenario.compute import Devices
from netsim.scenario.devices import Device, devices, known, read
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine
from netsim.tools import catalogue
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
        (
            "name,flop_per_s\na,1\n",
            "boards.csv:1: a first line with the columns name, flop_per_s, power_w. Got 'name,flop_per_s', without",
        ),
        ("name,flop_per_s,power_w\na,0,1\n", "boards.csv:2: flop_per_s: a number > 0. Got '0'."),
        ("name,flop_per_s,power_w\na,1,1\na,2,2\n", "boards.csv:3: a name that no other line has"),
        ("name,flop_per_s,power_w\na,1,inf\n", "boards.csv:2: power_w: a number >= 0, finite. Got 'inf'."),
        ("name,flop_per_s,power_w,idle_w\na,1,1,2\n", "boards.csv:2: power_w >= idle_w is needed. Got 1 and 2."),
        ("name,flop_per_s,power_w,idle_w\na,1,1\n", "boards.csv:2: "),
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


# --- powers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "compute", [BOARDS, "flop_per_s: [3e6, 1.1e6, 7e6], power_w: [1, 0.5, 3], idle_w: [0.25, 0, 2]"]
)
def test_a_node_that_waits_spends_its_idle_power(compute: str, table: Path) -> None:
    """Each node computes for its own time and waits for the rest of the round, which the slow board makes.

    A server that is no board spends nothing. The joules of waiting are a column and a state of their own.
    """
    (table / "boards.csv").write_text(
        "name,flop_per_s,power_w,idle_w\nfast,7e6,3,2\nslow,1.1e6,0.5,0\nmiddle,3e6,1,0.25\n"
    )
    result = simulated(compute)
    end_s = 2 * seconds_to_ns(1830 / 1.1e6) * 1e-9
    rows = result.tables["energy"].to_pandas().query("state == 'waiting'").set_index("node")
    computing_j, waiting_j = [], []
    for node, (speed, power, idle) in enumerate([(3e6, 1, 0.25), (1.1e6, 0.5, 0), (7e6, 3, 2)]):
        busy_s = 2 * seconds_to_ns(1830 / speed) * 1e-9
        computing_j.append(busy_s * power)
        waiting_j.append((end_s - busy_s) * idle)
        assert rows.loc[node, "time_s"] == pytest.approx(end_s - busy_s, abs=1e-15)
        assert rows.loc[node, "energy_j"] == pytest.approx(waiting_j[-1], rel=1e-12)
        assert rows.loc[node, "interface"] == "processor"
    last = result.tables["rounds"].to_pandas().iloc[-1]
    assert last["energy_waiting_j"] == pytest.approx(sum(waiting_j), rel=1e-12)
    assert last["energy_compute_j"] == pytest.approx(sum(computing_j), rel=1e-12)
    assert last["worker_energy_j"] == pytest.approx(sum(waiting_j) + sum(computing_j), rel=1e-12)
    assert last["server_energy_j"] == 0


def test_one_idle_power_is_the_servers_too() -> None:
    """Power for all nodes is also the server's, which waits all the time of two rounds of 1 s: 2 s at 0.5 W."""
    result = simulated("gradient_s: 1, power_w: 2, idle_w: 0.5")
    last = result.tables["rounds"].to_pandas().iloc[-1]
    assert (last["server_energy_j"], last["worker_energy_j"]) == (1.0, 3 * 2 * 2.0)


def test_without_idle_power_there_is_no_word_of_it() -> None:
    tables = simulated("gradient_s: 1, power_w: 2").tables
    assert "energy_waiting_j" not in tables["rounds"].column_names
    assert set(tables["energy"].to_pandas().query("interface == 'processor'").state) == {"compute"}


# --- what is drawn for each node -------------------------------------------------------------------------------------

SPEEDS = {
    "{distribution: uniform, low_flop_per_s: 1e6, high_flop_per_s: 3 Mflop/s}": lambda draw: draw.uniform(1e6, 3e6),
    "{distribution: lognormal, mean_flop_per_s: 1e6, cv: 0.5}": lambda draw: draw.lognormal(
        np.log(1e6) - np.log1p(0.25) / 2, np.sqrt(np.log1p(0.25))
    ),
}


@pytest.mark.parametrize("law", SPEEDS)
@pytest.mark.parametrize("replication", [0, 1])
def test_speeds_are_drawn_once_for_each_node_and_replication(law: str, replication: int) -> None:
    """From the node's stream ``devices``; both rounds take 1830 operations over the least speed."""
    scenario = parse_text(SCENARIO.format(f"flop_per_s: {law}") + "replications: 2\n")
    engine = Engine(scenario, scenario.algorithms[0], replication, scenario.problem.open(0))
    drawn = [SPEEDS[law](rng.stream(0, replication, node, "devices")) for node in range(3)]
    assert [engine.world.devices[node].flop_per_s for node in range(4)] == [*drawn, None]
    result = engine.run()
    slowest_ns = max(seconds_to_ns(1830 / speed) for speed in drawn)
    assert result.tables["rounds"]["sim_time_s"].to_pylist() == pytest.approx(
        [0, slowest_ns * 1e-9, 2 * slowest_ns * 1e-9], abs=1e-15
    )


def test_a_list_may_have_laws_in_it() -> None:
    compute = parse_text(
        SCENARIO.format("flop_per_s: [5, {distribution: uniform, low_flop_per_s: 1, high_flop_per_s: 2}, 7]")
    ).compute
    found = devices(compute, range(4), range(3), lambda node: np.random.default_rng(node))
    assert [found[n].flop_per_s for n in range(4)] == [5, np.random.default_rng(1).uniform(1, 2), 7, None]


@pytest.mark.parametrize("per", ["gradient", "node"])
def test_a_time_is_drawn_for_each_gradient_or_each_node(per: str) -> None:
    """Three rounds: as long as the largest of three draws of the nodes' streams ``compute``, or ``gradient_time``."""
    law = f"{{distribution: exponential, mean_s: 1, per: {per}}}"
    scenario = parse_text(SCENARIO.format(f"gradient_s: {law}").replace("rounds: 2", "rounds: 3"))
    engine = Engine(scenario, scenario.algorithms[0], 0, scenario.problem.open(0))
    times = engine.run().tables["rounds"]["sim_time_s"].to_pylist()
    purpose = {"gradient": "compute", "node": "gradient_time"}[per]
    draws = [rng.stream(0, 0, node, purpose).exponential(1, 3) for node in range(3)]
    longest = [max(draw[0 if per == "node" else round] for draw in draws) for round in range(3)]
    assert np.diff(times) == pytest.approx(longest, abs=1e-9)


def test_lockstep_equals_the_engine_whatever_the_devices() -> None:
    """Speeds, drawn or not, change when a synchronous round ends and nothing of what it computes."""
    for compute in (BOARDS, f"flop_per_s: {next(iter(SPEEDS))}, idle_w: 0.1, power_w: 1", "devices: boards"):
        scenario = parse_text(SCENARIO.format(compute))
        problem = scenario.problem.open(0)
        trace = lockstep.run(scenario, scenario.algorithms[0], problem, rounds=2)
        losses = [problem.metrics(x)["loss"] for _, _, x in trace.reports]
        assert simulated(compute).tables["rounds"]["loss"].to_pylist() == losses


# --- known boards ----------------------------------------------------------------------------------------------------


def test_known_boards_have_figures_and_sources() -> None:
    """Watts at rest are below those under load, and no board does more than 10 Gflop/s a watt, as none of 2026 does."""
    boards = known()
    assert len(boards) >= 20
    for name, (device, title, source) in boards.items():
        assert name.replace("_", "").isalnum()
        assert name == name.lower()
        assert title
        assert source.startswith("https://github.com/geerlingguy/sbc-reviews/issues/")
        assert device.flop_per_s is not None
        assert 1e8 < device.flop_per_s < 10e9 * device.power_w
        assert 0 < device.idle_w < device.power_w


def test_boards_by_one_name_by_list_and_drawn() -> None:
    boards = {name: device for name, (device, *_) in known().items()}

    def found(text: str) -> list[Device]:
        compute = parse_text(SCENARIO.format(f"devices: {text}")).compute
        return list(devices(compute, range(4), range(3), lambda _: np.random.default_rng(0)).values())

    assert found("{boards: raspberry_pi_4}") == [boards["raspberry_pi_4"]] * 3 + [Device()]
    assert found("{boards: [raspberry_pi_5, orange_pi_5, raspberry_pi_5]}")[:2] == [
        boards["raspberry_pi_5"], boards["orange_pi_5"],
    ]  # fmt: skip
    assert found("boards") == found("{boards: []}") == found("{}")
    assert set(found("boards")[:3]) <= set(boards.values())


def test_the_list_names_them_and_describe_says_where_figures_are_from() -> None:
    for text in (catalogue.overview(), catalogue.overview("board")):
        assert "raspberry_pi_4 " in text
    assert "7.2 W computing, 1.6 W waiting" in catalogue.overview("board")
    said = catalogue.description("raspberry_pi_4")
    for words in ("Raspberry Pi 4 model B", "11.774 Gflop/s", "Linpack", "issues/4", "boards: raspberry_pi_4"):
        assert words in said


@pytest.mark.parametrize(
    ("compute", "sentence"),
    [
        ("devices: bords", "compute.devices: a mapping with path, boards, or one of boards, or nothing. Got 'bords'."),
        ("devices: {boards: raspberry_pi}", "known boards: no board 'raspberry_pi'; there are arduino_uno_q, "),
        ("devices: {boards: raspberry_pi}", "Nearest: raspberry_pi_"),
        ("devices: boards, idle_w: 1, power_w: 2", "compute.idle_w: either devices or this. Got both."),
        ("power_w: [1, 2, 3], idle_w: [1, 2.5, 3]",
         "compute.idle_w[1]: at most power_w, 2 W, which is all of a node's power while it computes. Got 2.5."),
        ("idle_w: 1", "compute.idle_w: at most power_w, 0 W"),
        ("power_w: 3, idle_w: [1, 2]", "compute.idle_w: a power for each of 3 nodes. Got 2."),
        ("flop_per_s: {distribution: exponential, mean_flop_per_s: 1}",
         "one of uniform, lognormal. Got 'exponential'."),
        ("flop_per_s: {distribution: uniform, low_flop_per_s: 2, high_flop_per_s: 1}",
         "compute.flop_per_s.high_flop_per_s: a speed above low_flop_per_s, 2 flop/s. Got 1."),
        ("flop_per_s: {distribution: lognormal, mean_flop_per_s: 2}",
         "compute.flop_per_s.cv: the lognormal distribution takes mean_flop_per_s and cv. Got nothing."),
        ("flop_per_s: {distribution: uniform, low_flop_per_s: 0, high_flop_per_s: 1}",
         "compute.flop_per_s.low_flop_per_s: a number > 0 in flop/s"),
        ("gradient_s: {distribution: exponential, mean_s: 1, per: round}",
         "compute.gradient_s.per: one of gradient, node. Got 'round'."),
    ],
)  # fmt: skip
def test_more_that_does_not_fit(compute: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_data(parse_text(SCENARIO.format(compute)))
    assert sentence in str(caught.value)
