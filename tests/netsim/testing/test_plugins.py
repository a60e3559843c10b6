"""A compressor, an agent and a channel as a user would write them: contract tests, and runs with ``--plugin``."""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from netsim import testing
from netsim.errors import DecodeError, EncodeError
from netsim.interfaces import Agent, Array, Context, Payload, Receive, Report, Send, Silent
from netsim.testing import agents
from tests.plugins import dgd_like, pigeon, power_of_two
from tests.support import PLUGINS, ROOT

FILES = ("manifest.json", "scenario.yaml", "rounds.parquet", "energy.parquet", "summary.csv", "report.html")

# --- the contracts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "check"),
    [
        pytest.param(cls(**example), check, id=f"{cls.name}-{check.__name__}")
        for cls in (power_of_two.PowerOfTwo, dgd_like.DgdLike, pigeon.Pigeon)
        for example in cls.examples
        for check in testing.checks(cls.kind)
    ],
)
def test_the_plugin_keeps_its_contract(made: Any, check: Any) -> None:
    check(made)


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(power_of_two).attempted > 0
    assert sum(doctest.testmod(module).failed for module in (dgd_like, pigeon, power_of_two)) == 0


# --- the compressor by hand -------------------------------------------------------------------------------


def test_powers_of_two_by_hand() -> None:
    """Codes are exponent + 128, with 256 added for a minus; 9 bits each, lowest bit first.

    5 -> 2^2, code 130; -0.75 -> -2^-1, code 127 + 256 = 383; 0 -> 0. As one integer 130 + 383 * 2^9 = 196226, 27 bits.
    """
    codec = power_of_two.PowerOfTwo()
    payload = codec.encode(np.array([5.0, -0.75, 0.0]), np.random.default_rng(0))
    assert int.from_bytes(payload.data, "little") == 130 + 383 * 2**9
    assert (len(payload.data), payload.paper_bit, payload.index_bit) == (4, 27.0, 0.0)
    # A power of two stays, all just below the next one goes down to it, what is below 2^-127 vanishes.
    x = np.array([8.0, np.nextafter(8.0, 0.0), 2.0**-127, -(2.0**-128), np.nextafter(2.0**128, 0.0)])
    expected = [8.0, 4.0, 2.0**-127, 0.0, 2.0**127]
    assert codec.decode(codec.encode(x, np.random.default_rng(0)).data, 5).tolist() == expected


def test_the_contraction_is_nearly_met_just_below_a_power_of_two() -> None:
    """x = 2 - 2^-52 goes to 1: an error of (1 - 2^-52) / (2 - 2^-52) of it, 1/2 but for 1.2e-16."""
    x = np.full(7, np.nextafter(2.0, 0.0))
    codec = power_of_two.PowerOfTwo()
    error = codec.decode(codec.encode(x, np.random.default_rng(0)).data, 7) - x
    share = float(error @ error) / float(x @ x)
    assert share == pytest.approx(1 - codec.contraction(7), rel=1e-14)


def test_the_compressor_names_what_it_refuses() -> None:
    codec = power_of_two.PowerOfTwo()
    with pytest.raises(EncodeError, match=r"^power_of_two: entry 1 must lie within 2\^128. Got -3.4028"):
        codec.encode(np.array([1.0, -(2.0**128)]), np.random.default_rng(0))
    with pytest.raises(DecodeError, match="zero has no sign"):
        codec.decode((256).to_bytes(2, "little"), 1)


# --- the contract of agents notices ------------------------------------------------------------------------


@dataclass(frozen=True)
class Broken(dgd_like.DgdLike):
    """A way to do it wrong."""

    how: str = ""
    name: ClassVar[str] = "broken"

    def peer(self, ctx: Context) -> Agent:
        return BrokenPeer(ctx, self)


class BrokenPeer(dgd_like.DgdLikePeer):
    """Breaks one promise."""

    turns: ClassVar[int] = 0
    noise: ClassVar[np.random.Generator] = np.random.default_rng(1)

    def __init__(self, ctx: Context, algorithm: Broken) -> None:
        super().__init__(ctx, algorithm)
        self.how = algorithm.how

    async def run(self) -> None:
        program = super().run()
        answer: Any = None
        while True:
            try:
                command = program.send(answer)
            except StopIteration:
                return
            if isinstance(command, Report) and command.estimate is not None:
                command = Report(command.round, self.spoil(command.estimate))
                if self.how == "skips round 2" and command.round == 2:
                    answer = None
                    continue
            answer = await command

    def spoil(self, estimate: Array) -> Array:
        BrokenPeer.turns += 1
        if self.how == "looks at who came first":
            return estimate + 1e-9 * (BrokenPeer.turns % 5)
        if self.how == "draws from a stream of its own":
            return estimate + BrokenPeer.noise.normal(size=estimate.size)
        if self.how == "reports a matrix":
            return estimate[None]
        if self.how == "reports float32":
            return estimate.astype(np.float32)
        if self.how == "reports NaN":
            return estimate * np.nan
        return estimate


@pytest.mark.parametrize(
    ("how", "check", "sentence"),
    [
        ("looks at who came first", agents.check_delays, "reports another estimate of round"),
        ("draws from a stream of its own", agents.check_lockstep, "reports another estimate of round"),
        ("draws from a stream of its own", agents.check_seed, "two runs of one seed differ in column loss of rounds"),
        (
            "reports a matrix",
            agents.check_reports,
            r"node 0, round 0: an estimate is .* Got shape \(1, 12\); breaks on a",
        ),
        ("reports float32", agents.check_reports, "of 12 finite entries. Got float32; breaks on a ring of 5 peers"),
        ("reports NaN", agents.check_reports, r"of 12 finite entries. Got \[nan nan"),
        ("skips round 2", agents.check_reports, r"once each, in order. Got \[0, 1, 3\]; breaks on .*, 2 rounds"),
    ],
)
def test_a_broken_agent_is_noticed(how: str, check: Any, sentence: str) -> None:
    check(Broken(0.1))
    with pytest.raises(testing.ContractError, match=sentence):
        check(Broken(0.1, how))


@dataclass(frozen=True)
class Mute:
    """A server that moves by itself, and workers that say nothing but that they are silent."""

    tolerates: ClassVar[frozenset[str]] = frozenset()

    def server(self, ctx: Context) -> Agent:
        return Scripted(self.lead(ctx))

    def worker(self, ctx: Context) -> Agent:
        return Scripted(self.follow(ctx))

    async def lead(self, ctx: Context) -> None:
        for round in count():
            await Report(round, ctx.facts.start + round)
            await Send(ctx.workers, Payload(b"", 0.0), round, "model")
            await Receive(len(ctx.workers), "update", round)

    async def follow(self, ctx: Context) -> None:
        for round in count():
            await Receive(1, "model", round)
            await Silent(ctx.server, round)


@dataclass
class Scripted:
    """An agent of one coroutine."""

    program: Any

    def run(self) -> Any:
        return self.program


def test_an_algorithm_without_messages_is_noticed() -> None:
    agents.check_lockstep(Mute())
    with pytest.raises(testing.ContractError, match=r"^no node ever sends a payload; breaks on a star of 3 workers"):
        agents.check_counters(Mute())


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"tolerates": {"late"}}, "tolerates is a frozenset of 'late', 'loss' and 'known_loss'. Got {'late'}"),
        (
            {"tolerates": frozenset({"pain"})},
            "tolerates is a frozenset of 'late', 'loss' and 'known_loss'. Got frozenset",
        ),
        ({"peer": None}, "methods server(ctx) and worker(ctx), or peer(ctx), make the agents. Got none of them"),
        ({"server": dgd_like.DgdLike.peer}, "make the agents. Got server, peer"),
    ],
)
def test_an_algorithm_of_another_shape_is_noticed(facts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(testing.ContractError, match=re.escape(sentence)):
        agents.check_interface(type("Odd", (Broken,), facts)(0.1))


# --- the command line --------------------------------------------------------------------------------------

RING = """
name: ring
seed: 3
replications: 2
problem: {name: quadratic, dim: 6, nodes: 5, heterogeneity: 0.5}
network: {topology: ring, link: {name: ethernet_udp, rate_bps: 1e6}}
algorithms: [{name: dgd_like, step_size: 0.1}]
stop: {rounds: 5}
"""
BIRDS = """
name: birds
seed: 3
replications: 2
problem: {name: quadratic, dim: 6, nodes: 3}
network: {uplink: {name: pigeon, flight_s: 2 min}}
algorithms: [gd]
stop: {rounds: 5}
"""
POWERS = """
name: powers
seed: 3
replications: 2
problem: {name: quadratic, dim: 6, nodes: 3, heterogeneity: 0.5}
algorithms:
  - {name: gd, step_size: 0.5}
  - {name: dcgd, compressor: power_of_two, step_size: 0.5}
stop: {rounds: 5}
"""


def netsim(folder: Path, *words: str, code: int = 0) -> str:
    """What the command says on stdout, in a process of its own that starts in `folder`."""
    root = str(ROOT)
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-c", "import sys; from netsim.cli import main; sys.exit(main())", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def run(folder: Path, scenario: str, *plugins: Path, jobs: int, out: str = "out") -> Any:
    """Run a scenario with plugins; its rounds as columns."""
    (folder / "scenario.yaml").write_text(scenario)
    words = [word for plugin in plugins for word in ("--plugin", str(plugin))]
    said = netsim(folder, "run", "scenario.yaml", "-o", out, "-j", str(jobs), *words)
    assert said.rstrip().endswith(f"{out}/report.html")
    for name in FILES:
        assert (folder / out / name).stat().st_size > 0
    manifest = json.loads((folder / out / "manifest.json").read_text())
    assert {record["status"] for record in manifest["runs"]} == {"done"}
    return pq.read_table(folder / out / "rounds.parquet").to_pydict()


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_agent_of_a_plugin_runs(jobs: int, tmp_path: Path) -> None:
    rows = run(tmp_path, RING, PLUGINS / "dgd_like.py", jobs=jobs)
    assert rows["round"] == [*range(6)] * 2
    assert set(rows["label"]) == {"dgd_like"}
    # Five peers send 6 floats of 64 bits to two neighbours each in every round.
    assert rows["peer_payload_bytes"][5] >= 5 * 5 * 2 * 48
    assert rows["loss"][5] < rows["loss"][0]


def test_a_channel_of_a_plugin_runs_in_children(tmp_path: Path) -> None:
    rows = run(tmp_path, BIRDS, PLUGINS / "pigeon.py", jobs=2)
    # Down nothing takes time, up every round waits for one flight of 120 s.
    assert rows["sim_time_s"] == [120.0 * r for r in range(6)] * 2
    assert rows["uplink_packets"] == [3 * r for r in range(6)] * 2


def test_a_compressor_of_a_plugin_runs_in_children(tmp_path: Path) -> None:
    rows = run(tmp_path, POWERS, PLUGINS / "power_of_two.py", jobs=2)
    ours = [i for i, label in enumerate(rows["label"]) if label == "dcgd"]
    # Three workers, 6 entries of 9 bits: 54 bits in 7 bytes.
    assert [rows["uplink_paper_bit"][i] for i in ours] == [3 * 54.0 * r for r in range(6)] * 2
    assert [rows["uplink_payload_bytes"][i] for i in ours] == [3 * 7 * r for r in range(6)] * 2
    assert rows["loss"][ours[5]] < rows["loss"][ours[0]]
    assert rows["loss"][ours[5]] != rows["loss"][rows["label"].index("gd") + 5]


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        ("compressor", "power_of_two", "a contraction with\ndelta = 3/4"),
        ("algorithm", "dgd_like", "step_size: a number > 0"),
        ("channel", "pigeon", "there is always another one"),
    ],
)
def test_plugins_are_listed_and_described(kind: str, name: str, sentence: str, tmp_path: Path) -> None:
    file = str(PLUGINS / f"{name}.py")
    assert name in [line.split()[0] for line in netsim(tmp_path, "list", kind, "--plugin", file).splitlines()]
    assert sentence in netsim(tmp_path, "describe", name, "--plugin", file)


def test_the_name_of_a_plugin_is_unknown_without_it(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(BIRDS)
    netsim(tmp_path, "validate", "scenario.yaml", code=2)
    said = netsim(tmp_path, "validate", "scenario.yaml", "--plugin", str(PLUGINS / "pigeon.py"))
    assert said.startswith("scenario.yaml: valid; 2 runs (1 point, 1 algorithm, 2 replications)\n")


CHANNEL_FAILS = ("pigeon.py", "        landed = [bird", "        self.flying[99999]\n        landed = [bird", BIRDS)
CODEC_FAILS = (
    "power_of_two.py",
    "        codes = np.where(x",
    "        {}[x.size]\n        codes = np.where(x",
    POWERS,
)


@pytest.mark.parametrize(
    ("file", "old", "new", "scenario", "sentence"),
    [
        (*CODEC_FAILS, "node 0, round 0: KeyError: 6 (power_of_two.py:LINE)"),
        (*CHANNEL_FAILS, "IndexError: list index out of range (pigeon.py:LINE)"),
    ],
)
def test_a_plugin_that_fails_is_found_by_file_and_line(
    file: str, old: str, new: str, scenario: str, sentence: str, tmp_path: Path
) -> None:
    text = (PLUGINS / file).read_text().replace(old, new)
    (tmp_path / file).write_text(text)
    (tmp_path / "scenario.yaml").write_text(scenario)
    netsim(tmp_path, "run", "scenario.yaml", "-o", "out", "-j", "2", "--plugin", file, code=1)
    runs = json.loads((tmp_path / "out" / "manifest.json").read_text())["runs"]
    line = text[: text.index(new)].count("\n") + 1
    assert {run["sentence"] for run in runs if run["status"] == "failed"} == {sentence.replace("LINE", str(line))}
    assert all(f'{file}", line {line}' in run["traceback"] for run in runs if run["status"] == "failed")
