"""The command line: what it prints, where, its exit codes, and how soon."""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from netsim import __version__, registry, study
from netsim import report as pages
from netsim.cli import main
from netsim.errors import SimulationError
from netsim.scenario import bundled, load, parse_text, yaml_lines
from netsim.tools import revision
from tests.support import ROOT
from tests.support.with_parts import parts

TINY = """
name: tiny
problem: {name: logistic_regression, dataset: breast_cancer, nodes: 2}
network: {uplink: {name: ethernet_udp, rate_bps: 1e6}}
algorithms: [gd]
stop: {rounds: 2}
"""
HEAVY = ("numpy", "yaml", "pandas", "pyarrow", "numba", "scipy", "simpy", "networkx", "sklearn", "rich")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NETSIM_DATA", raising=False)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def python(code: str) -> str:
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return out.stdout


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out + captured.err


# --- start ------------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from netsim.cli import main; main(['--help']); main(['run', '--help']); print(*sys.modules)"
    loaded = python(code).splitlines()[-1].split()
    assert "typer" in loaded
    assert not set(HEAVY) & set(loaded)


def test_help_answers_at_once() -> None:
    """0.3 s, or where the machine is slow or busy three times what it needs to import numpy."""

    def seconds(code: str) -> float:
        start = time.perf_counter()
        python(code)
        return time.perf_counter() - start

    ours = statistics.median(seconds("from netsim.cli import main; main(['--help'])") for _ in range(3))
    assert ours < 0.3 or ours < 3 * statistics.median(seconds("import numpy") for _ in range(3))


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    first = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == first
    assert main(["-h"]) == 0
    assert capsys.readouterr().out == first
    for command in (
        "run", "validate", "list", "describe", "report", "compare", "schema", "data", "probe", "fit-cost", "measure",
        "check",
    ):  # fmt: skip
        assert f"\n  {command} " in first
        assert main([command, "--help"]) == 0
        text = capsys.readouterr().out
        assert "Usage: netsim " + command in text
        assert main([command, "-h"]) == 0
        assert capsys.readouterr().out == text


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git_folder(root: Path, how: str) -> None:
    """Lays out what git leaves in a checkout at `COMMIT`."""
    git = root / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    if how == "detached":
        (git / "HEAD").write_text(f"{COMMIT}\n")
    elif how == "packed":
        (git / "packed-refs").write_text(f"# pack-refs\n{'f' * 40} refs/heads/other\n{COMMIT} refs/heads/main\n")
    elif how != "empty":
        (git / "refs" / "heads").mkdir(parents=True)
        (git / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    if how == "worktree":
        own = git / "worktrees" / "tree"
        own.mkdir(parents=True)
        (own / "HEAD").write_text("ref: refs/heads/main\n")
        (own / "commondir").write_text("../..\n")
        (root / "tree").mkdir()
        (root / "tree" / ".git").write_text("gitdir: ../.git/worktrees/tree\n")


@pytest.mark.parametrize("how", ["branch", "detached", "packed", "worktree"])
def test_the_commit_is_read_from_a_checkout(how: str, folder: Path) -> None:
    git_folder(folder, how)
    assert revision.commit(folder / "tree" if how == "worktree" else folder) == COMMIT[:12]


def test_without_a_checkout_there_is_no_commit(folder: Path) -> None:
    assert revision.commit(folder) == ""
    git_folder(folder, "empty")
    assert revision.commit(folder) == ""


@pytest.mark.parametrize(("commit", "text"), [("", ""), ("0123456789ab", " (0123456789ab)")])
def test_version(commit: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(revision, "commit", lambda: commit)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"netsim {__version__}{text}\n"


def test_python_m_netsim_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "netsim", "list", "nothing"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("kind: no such kind of component")
    help_text = subprocess.run([sys.executable, "-m", "netsim", "-h"], capture_output=True, text=True, cwd=ROOT)
    assert (help_text.returncode, help_text.stdout.split()[:2]) == (0, ["Usage:", "netsim"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rnu"], "No such command 'rnu'. Did you mean 'run'? See netsim --help."),
        (["run"], "Missing argument 'SCENARIO'. See netsim --help."),
        (["run", "tiny.yaml", "--fast"], "No such option: --fast"),
        (["run", "tiny.yaml", "-j", "-1"], "Invalid value for '-j' / '--jobs': "),
        (["list", "chanels"], "kind: no such kind of component; there are "),
        (["describe", "ethernet"], None),
        (
            ["describe", "etherned"],
            "describe: no component of that name; netsim list shows all. Got 'etherned'. Nearest: ethernet.",
        ),
        (["compare", "one"], "compare: at least two folders that netsim run wrote are needed."),
        (["report", "nowhere"], "nowhere: a folder that netsim run wrote is needed. There is no such folder."),
        (["validate", "tiny.yaml", "--plugin", "nowhere.py"], "--plugin: a Python file is needed. Got 'nowhere.py'."),
        (["data", "--fetch"], "data --fetch: the name of a dataset is needed."),
        (["data", "minst"], "dataset: no dataset of that name; there are "),
    ],
)
def test_wrong_use_is_one_sentence_on_stderr(
    words: list[str], sentence: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(words)
    said = capsys.readouterr()
    if sentence is None:
        assert code == 0
        return
    assert code == 2
    assert said.out == ""
    assert said.err.startswith(sentence)
    assert said.err.count("\n") == 1


# --- run ----------------------------------------------------------------------------------------------------


def test_run_writes_the_folder_and_prints_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny.yaml", "-j", "1", "-s", "algorithms[0].label=dense"]) == 0
    said = capsys.readouterr()
    assert "dense" in said.out
    assert said.out.rstrip().endswith("results/tiny/report.html")
    assert "dense" in said.err, "progress is shown"
    out = folder / "results" / "tiny"
    assert load(out / "scenario.yaml") == load("tiny.yaml", ["algorithms[0].label=dense"])
    for name in ("manifest.json", "rounds.parquet", "summary.csv", "report.html"):
        assert (out / name).stat().st_size > 0
    before = (out / "rounds.parquet").read_bytes()
    assert main(["run", str(out / "scenario.yaml"), "-o", "again", "-j", "1"]) == 0
    assert (folder / "again" / "rounds.parquet").read_bytes() == before
    assert main(["report", "again"]) == 0
    assert main(["compare", "again", "results/tiny", "-o", "both.html"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "both.html"
    assert (folder / "both.html").stat().st_size > 0


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_run_hands_its_options_on(ok: bool, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def run(scenario: Any, out: str, jobs: int, fresh: bool, plugins: Any, dask: Any, command: Any, show: bool) -> Any:
        seen.update(locals())
        return SimpleNamespace(ok=ok, summary_text=lambda: "the table")

    monkeypatch.setattr(study, "run", run)
    monkeypatch.setattr(registry, "load_plugin", lambda file: seen.update(loaded=file))
    words = [
        "run",
        "tiny.yaml",
        "-o",
        "here",
        "-j",
        "3",
        "--fresh",
        "--plugin",
        "a.py",
        "--dask",
        "tcp://x",
        "-s",
        "seed=4",
    ]
    assert main(words) == code
    assert (seen["out"], seen["jobs"], seen["fresh"], seen["plugins"], seen["dask"]) == (
        "here",
        3,
        True,
        ["a.py"],
        "tcp://x",
    )
    assert seen["loaded"] == "a.py"
    assert seen["scenario"] == parse_text(TINY, overrides=["seed=4"])
    assert seen["command"][0] == "netsim"


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (SimulationError("node 3 has lost its mind"), 1, "node 3 has lost its mind (--debug shows where)"),
        (ZeroDivisionError("by zero"), 1, "ZeroDivisionError: by zero (test_cli.py:LINE; --debug shows more)"),
        (OSError(28, "No space left on device", "out/x"), 2, "out/x: No space left on device."),
        (study.Interrupted("out: interrupted"), 130, "out: interrupted."),
        (KeyboardInterrupt(), 130, "interrupted."),
    ],
)
def test_an_error_is_one_sentence_unless_debug_is_asked_for(
    error: BaseException, code: int, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object, **__: object) -> Any:
        raise error

    monkeypatch.setattr(study, "run", run)
    assert main(["run", "tiny.yaml"]) == code
    assert capsys.readouterr().err == sentence.replace("LINE", str(run.__code__.co_firstlineno + 1)) + "\n"
    if code in (1, 2):
        with pytest.raises(type(error)):
            main(["run", "tiny.yaml", "--debug"])


BROKEN_AGENT = """
from dataclasses import dataclass
from typing import ClassVar
from netsim.interfaces import Receive, Report, Send, Payload
from netsim.registry import component

@component("algorithm")
@dataclass(frozen=True)
class Third:
    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar = ({},)
    def server(self, ctx):
        return Server(ctx)
    def worker(self, ctx):
        return Worker(ctx)

class Server:
    def __init__(self, ctx):
        self.ctx = ctx
    async def run(self):
        await Report(0, self.ctx.facts.start)
        for round in range(9):
            await Send(self.ctx.workers, Payload(b"", 0.0), round, "model")
            await Receive(len(self.ctx.workers), "update", round)
            await Report(round + 1, self.ctx.facts.start)

class Worker:
    def __init__(self, ctx):
        self.ctx = ctx
    async def run(self):
        while True:
            (model,) = (await Receive(kind="model")).messages
            if model.round == 4 and self.ctx.node == 1:
                {}["temperature"]
            await Send(self.ctx.server, Payload(b"", 0.0), model.round)
"""


@pytest.mark.parametrize(("words", "is_shown"), [([], False), pytest.param(["--debug"], True, marks=pytest.mark.slow)])
def test_a_failed_run_says_where_and_debug_shows_its_traceback(
    words: list[str], is_shown: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "third.py").write_text(BROKEN_AGENT)
    (folder / "third.yaml").write_text(TINY.replace("[gd]", "[third]"))
    line = 1 + BROKEN_AGENT.splitlines().index('                {}["temperature"]')
    sentence = f"failed: node 1, round 4: KeyError: 'temperature' (third.py:{line}) (simulated "
    for first, last in ((words, []), ([], words)):
        command = [
            sys.executable,
            "-m",
            "netsim",
            *first,
            "run",
            "third.yaml",
            "--plugin",
            "third.py",
            "-j",
            "2",
            *last,
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([*command, "-s", "stop.rounds=8"], env=environment, capture_output=True, text=True)
        assert done.returncode == 1
        assert sentence in done.stderr
        assert ("Traceback" in done.stderr) == is_shown
        assert (f'third.py", line {line}, in run' in done.stderr) == is_shown


def test_a_reader_that_leaves_is_no_error() -> None:
    code = "import sys; from netsim.cli import main; sys.exit(main(['list']))"
    root = ROOT
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")


def test_validate_counts_the_runs(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["validate", "tiny.yaml", "-s", "sweep={problem.nodes: [1, 2, 3]}", "-s", "replications=4"]
    assert main(words) == 0
    valid, estimate = capsys.readouterr().out.splitlines()
    assert valid == "tiny.yaml: valid; 12 runs (3 points, 1 algorithm, 4 replications)"
    assert estimate.startswith("estimate, within a factor of some: d = 31, up to 96 messages, ")


def test_saturation_is_warned_of_and_its_clock_is_seen_to_move(capsys: pytest.CaptureFixture[str]) -> None:
    """44 nodes offer 43 x 4.6 / (4.6 + 15.5 x 0.32) = 20.7 frames at once, 40 nodes 18.8: the limit is 20."""
    link = "network={link: {name: ieee802154, mac: csma_ca, reliable: true}, silence: free}"
    for nodes, is_warned in ((44, True), (40, False)):
        assert main(["validate", "tiny.yaml", "-s", f"problem.nodes={nodes}", "-s", link]) == 0
        said = capsys.readouterr().out
        assert ("warning: link: nodes that all send at once offer 21 times what the link carries" in said) == is_warned


@pytest.mark.parametrize("name", bundled())
def test_bundled_scenarios_are_found_by_name(name: str) -> None:
    assert load(name).name


# --- what there is ----------------------------------------------------------------------------------------------


def test_list_shows_every_component_of_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for kind in registry.PACKAGES:
        assert kind in lines
        for name in registry.names(kind):
            assert any(line.split()[:1] == [name] and len(line.split()) > 3 for line in lines), f"{name} has no text"
    assert main(["list", "step"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["step", *registry.names("step")]


def test_describe_shows_text_keys_defaults_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "ethernet_udp"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("channel ethernet_udp\n")
    rate = "a number > 0 and <= 1e+12 in bit/s, or a string with a unit"
    assert f"  rate_bps: {rate}, or a list, each {rate}; required\n" in text
    assert "  delay_s: a number >= 0 in s, or a string with a unit; default 0.0\n" in text
    assert "\nExamples in YAML\n  {name: ethernet_udp, rate_bps: " in text


def test_a_name_of_two_kinds_is_described_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "alistarh"]) == 0
    text = capsys.readouterr().out
    assert "compressor alistarh\n" in text
    assert "algorithm alistarh\n" in text


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k in registry.PACKAGES for n in registry.names(k)])
def test_everything_can_be_described_and_its_examples_are_yaml(
    kind: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["describe", name]) == 0
    text = capsys.readouterr().out
    for line in text.partition(f"{kind} {name}\n")[2].partition("\nExamples in YAML\n")[2].splitlines():
        if not line.startswith("  "):
            break
        assert registry.build(kind, yaml_lines.read(line, "x").data).name == name


# --- schema ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema() -> Any:
    out, sys.stdout = sys.stdout, io.StringIO()
    try:
        assert main(["schema"]) == 0
        return json.loads(sys.stdout.getvalue())
    finally:
        sys.stdout = out


def test_the_schema_has_every_component_and_every_reference_leads_somewhere(schema: Any) -> None:
    Draft202012Validator.check_schema(schema)
    text = json.dumps(schema)
    for part in text.split('"$ref": "#/$defs/')[1:]:
        assert part.partition('"')[0] in schema["$defs"]
    for kind in registry.PACKAGES:
        known = {
            option["properties"]["name"]["const"] for option in schema["$defs"][kind]["anyOf"] if "properties" in option
        }
        assert known == set(registry.names(kind))


def test_the_schema_says_what_each_key_means(schema: Any) -> None:
    """What the documentation of the dataclass says, on one line."""
    keys = [("scenario", key, value) for key, value in schema["properties"].items()]
    keys += [("network", key, value) for key, value in schema["properties"]["network"]["properties"].items()]
    for kind in [*registry.PACKAGES, "entry"]:
        for option in schema["$defs"][kind]["anyOf"]:
            own = option.get("properties", {})
            made = "name" in own and registry.get(kind.replace("entry", "algorithm"), own["name"]["const"])
            if not made or not made.__module__.startswith(("algorithms.", "channels.", "netsim.")):
                continue
            keys += [(f"{kind} {own['name']['const']}", key, own[key]) for key in own if key != "name"]
    said = {(where, key): value.get("description", "") for where, key, value in keys}
    # The link tells this key's meaning together with that of another.
    assert {place for place, text in said.items() if not text} <= {("channel wan", "queue_bytes")}
    assert said["compressor top_k", "float_bit"] == said["compressor rand_k", "float_bit"]
    assert "\n" not in "".join(said.values())


@pytest.mark.parametrize("name", [*bundled(), "tiny.yaml"])
def test_the_schema_allows_scenarios_as_written_and_resolved(name: str, schema: Any, folder: Path) -> None:
    written = TINY if name == "tiny.yaml" else Path(load(name)._places.file).read_text()
    assert Draft202012Validator(schema).is_valid(yaml_lines.read(written, name).data)
    assert Draft202012Validator(schema).is_valid(yaml_lines.read(load(name).to_yaml(), name).data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("stop", "stpo"),
        ("nodes: 2", "nodes: 0"),
        ("nodes: 2", "node: 2"),
        ("[gd]", "[dg]"),
        ("[gd]", "[{name: gd, lable: A}]"),
        ("ethernet_udp", "ethernet"),
        ("rate_bps: 1e6", "rate_bps: 0"),
        ("rate_bps: 1e6", ""),
        ("algorithms: [gd]", ""),
        ("network: {", "network: {topology: circle, "),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(old: str, new: str, schema: Any) -> None:
    text = TINY.replace(old, new)
    assert not Draft202012Validator(schema).is_valid(yaml_lines.read(text, "x").data)
    with pytest.raises(ValueError):
        parse_text(text)


@pytest.mark.parametrize("shape", ["ring", "{name: ring}", "{edges: [[0, 1]]}", "{name: torus, rows: 2}"])
def test_the_schema_knows_the_short_forms_of_topologies(shape: str, schema: Any) -> None:
    text = TINY.replace("network: {uplink:", f"network: {{topology: {shape}, link:")
    assert Draft202012Validator(schema).is_valid(yaml_lines.read(text, "x").data)


def test_plugins_are_described_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with parts():
        assert "parts" in said(["list", "channel"], capsys)[1]
        assert "A channel that loses messages." in said(["describe", "parts"], capsys)[1]


def test_pages_are_written_by_report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(pages, "compare", lambda folders, out: Path(f"{'+'.join(folders)} to {out}"))
    assert said(["compare", "a", "b", "c"], capsys) == (0, "a+b+c to compare.html\n")
