"""Output that cannot be written as usual: closed, full, without a reader, or going where no regular file is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from netsim import study
from netsim.cli import main
from tests.support import ROOT

TINY = """
name: tiny
problem: {name: quadratic, dim: 2, nodes: 2}
network: {uplink: {name: ideal}, downlink: {name: ideal}}
algorithms: [{name: gd, step_size: 0.1}, {name: gd, label: gd 2, step_size: 0.2}]
stop: {rounds: 2}
compute: {gradient_s: 1.0}
"""
PROBE = ["probe", "{name: packet, rate_bps: 1e6}", "--replications", "1"]
LEAVES = """
import sys
from dataclasses import dataclass
from typing import ClassVar
from algorithms.agents.gd import Gd
from netsim.registry import component

@component("algorithm")
@dataclass(frozen=True)
class Leaves(Gd):
    how: str = "sys.exit(0)"
    examples: ClassVar = ({"step_size": 0.1},)

    def worker(self, ctx):
        exec(self.how)
        return super().worker(ctx)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "points.csv").write_text("bytes,seconds\n" + "".join(f"{n},{n * 1e-3}\n" for n in range(1, 40)))
    return tmp_path


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which ``netsim`` is the command; its exit code is that of netsim."""
    text = f'set -o pipefail; netsim() {{ "{sys.executable}" -m netsim "$@"; }}; {line}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True, env=environment, timeout=60)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("netsim run tiny.yaml -j 1 2>&-", 0, "tiny"),
        pytest.param("netsim run tiny.yaml -j 2 2>/dev/full", 0, "tiny", marks=pytest.mark.slow),
        pytest.param("netsim run tiny.yaml -j 1 2> >(true)", 0, "tiny", marks=pytest.mark.slow),
        pytest.param("netsim run tiny.yaml -j 1 >/dev/full", 1, "No space left on device.", marks=pytest.mark.slow),
        pytest.param("netsim run tiny.yaml -j 1 <&- >&-", 0, "2/2", marks=pytest.mark.slow),
        ("netsim list >/dev/full", 1, "No space left on device."),
        pytest.param("(netsim describe gd; echo code $? >&2) | true", 0, "code 0", marks=pytest.mark.slow),
        pytest.param("netsim nothing 2>/dev/full", 2, "", marks=pytest.mark.slow),
        pytest.param("netsim list nothing 2>&-", 2, "", marks=pytest.mark.slow),
    ],
)
def test_streams(folder: Path, line: str, code: int, said: str) -> None:
    done = shell(line)
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if "tiny" in line:
        assert study.Results(folder / "results" / "tiny").ok


WAYS = ("sys.exit(0)", "sys.exit('enough')", "raise SystemExit", "raise GeneratorExit", "sys.exit(None)", "exit()",
        "raise BaseException(1)", "raise KeyError('x')")  # fmt: skip


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_component_that_leaves_fails_its_run(folder: Path, jobs: str, capsys: pytest.CaptureFixture[str]) -> None:
    plugin = folder / f"leaves_{jobs}.py"
    plugin.write_text(LEAVES.replace('"algorithm"', f'"algorithm", name="leaves_{jobs}"'))
    bad = "".join(
        f'{{name: leaves_{jobs}, label: bad {i}, step_size: 0.1, how: "{how}"}}, ' for i, how in enumerate(WAYS)
    )
    (folder / "tiny.yaml").write_text(TINY.replace("algorithms: [", f"algorithms: [{bad}"))
    assert main(["run", "tiny.yaml", "--plugin", str(plugin), "-j", jobs]) == 1
    runs = study.Results(folder / "results" / "tiny").runs
    assert [run["status"] for run in runs] == ["failed"] * len(WAYS) + ["done"] * 2
    for run in runs[: len(WAYS)]:
        assert plugin.name in run["sentence"]
    assert runs[0]["sentence"].startswith("sys.exit(0) was called")


def test_a_plugin_that_leaves_while_it_is_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "early.py").write_text("import sys\nsys.exit(0)\n")
    assert main(["run", "tiny.yaml", "--plugin", "early.py"]) == 2
    assert capsys.readouterr().err.startswith("--plugin early.py: ")


# --- where files go ---------------------------------------------------------------------------------------

COMMANDS: dict[str, list[str]] = {
    "probe": [*PROBE, "-o"],
    "deliveries": [*PROBE, "--deliveries"],
    "pcap": ["probe", "{name: ethernet_udp, rate_bps: 1e6}", "--message-bytes", "100", "--replications", "1", "--pcap"],
    "fit-cost": ["fit-cost", "points.csv", "-o"],
}
COMMANDS["deliveries"][2:2] = ["--message-bytes", "100"]


@pytest.mark.parametrize("command", COMMANDS)
def test_devices_and_pipes_and_links_are_written_to(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = COMMANDS[command]
    assert main([*words, "plain"]) == 0
    wanted = (folder / "plain").read_bytes()
    assert wanted
    assert main([*words, "/dev/null"]) == 0
    assert Path("/dev/null").is_char_device()
    (folder / "old").write_text("old")
    (folder / "link").symlink_to("old")
    assert main([*words, "link"]) == 0
    assert ((folder / "link").is_symlink(), (folder / "old").read_bytes()) == (True, wanted)
    (folder / "ahead").symlink_to("not yet")
    assert main([*words, "ahead"]) == 0
    assert (folder / "not yet").read_bytes() == wanted
    os.mkfifo(folder / "fifo")
    read = list[bytes]()
    reader = threading.Thread(target=lambda: read.append((folder / "fifo").read_bytes()))
    reader.start()
    assert main([*words, "fifo"]) == 0
    reader.join(10)
    assert read == [wanted]
    assert (folder / "fifo").is_fifo()
    long = "n" * 250
    assert main([*words, long]) == 0
    assert (folder / long).read_bytes() == wanted


def refused(folder: Path) -> dict[str, str]:
    (folder / "circle").symlink_to("circle")
    return {
        "nowhere/x": "a folder that exists is needed", "points.csv/x": "", ".": "the folder",
        "n" * 260: "File name too long", "/proc/x": "No such file or directory", "circle": "", "": "the folder",
        "/dev/full": "No space left on device"
    }  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_impossible_paths_are_refused_before_the_work(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, why in refused(folder).items():
        with monkeypatch.context() as patch:
            if path != "/dev/full":
                never: Callable[..., None] = lambda *_: pytest.fail("it has worked")  # noqa: E731
                patch.setattr("netsim.tools.probe_command.run", never)
                patch.setattr("netsim.tools.fit.fit_cost", never)
            assert main([*COMMANDS[command], path]) == (1 if path == "/dev/full" else 2), path
        said = capsys.readouterr().err
        assert why in said, (path, said)
        assert "Traceback" not in said


@pytest.mark.slow
def test_the_standard_output_as_a_file(folder: Path) -> None:
    """It is appended to, not replaced, and gets the table alone."""
    words = " ".join(f"'{word}'" for word in PROBE)
    done = shell(f"echo first > x; netsim {words} -o /dev/stdout >> x; netsim {words} > y; cat y >> first; head -1 x")
    assert done.stdout == "first\n"
    assert (folder / "x").read_text() == "first\n" + (folder / "y").read_text()


@pytest.mark.parametrize(
    "out", ["/dev/null", "points.csv", "points.csv/x", "/proc/x", "n" * 260, "circle", "/dev/full"]
)
def test_folders_that_cannot_be(folder: Path, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "circle").symlink_to("circle")
    assert main(["run", "tiny.yaml", "--find-step", "-o", out]) == 2
    said = capsys.readouterr().err
    assert out in said
    assert "trials" not in said, "it has worked before"
