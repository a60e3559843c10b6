"""Every example of the README runs."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from netsim import cli, registry
from netsim.report import in_words
from netsim.scenario import check_data, load, parse_text
from tests.support import PLUGINS, ROOT
from tests.support.page.reader import visible

README = (ROOT / "README.md").read_text()


# The commands as they stand there, with less work.
SHORTER = {
    "run": ["-s", "stop.rounds=8", "-s", "replications=1"],
    "probe": ["--replications", "2"],
    "measure": ["--messages", "2", "--warm-up", "1", "--message-bytes", "64,256,1024", "--protocols", "udp"],
}


def block(after: str) -> str:
    """The first fenced block after a marker."""
    found = re.search(re.escape(after) + r"\n```\w+\n(.*?)```", README, re.S)
    assert found, after
    return found.group(1)


def test_the_keys_of_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block beside a problem is a scenario, and so is it with each key that is commented out in its part."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-boards.csv").write_text("name,flop_per_s,power_w\nmine,1e9,2\n")
    (tmp_path / "trace.csv").write_text("node,from_s,to_s\n0,0,9\n")
    text = block("<!-- devices -->")
    others = [yaml.safe_load(line.strip()[2:]) for line in text.splitlines() if line.startswith("  # ")]
    assert len(others) == 5
    for other in [{}, *others]:
        keys = yaml.safe_load(text)
        part = "network" if "availability" in other else "compute"
        keys[part] = other if part == "compute" and other else keys[part] | other
        problem = {"name": "quadratic", "dim": 3, "nodes": 4}
        check_data(parse_text(yaml.safe_dump({"name": "x", "problem": problem, "stop": {"rounds": 1}, **keys})))


def test_the_scenario_and_its_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-link.yaml").write_text(block("<!-- scenario -->"))
    (tmp_path / "cell.yaml").write_text(block("<!-- probe -->"))
    (tmp_path / "my_codec.py").write_text((PLUGINS / "power_of_two.py").read_text())
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    monkeypatch.setattr(sys, "path", list(sys.path))
    commands = [
        shlex.split(line, comments=True)
        for line in re.findall(r"^(netsim .*)$", README, re.M)
        if not line.startswith(("netsim run papers", "netsim run examples"))
    ]
    assert len(commands) == 17
    assert cli.main(["run", "my-link.yaml", "-s", "stop.rounds=3", "-o", "results/quickstart"]) == 0
    for _, *arguments in commands:
        short = SHORTER.get(arguments[0], [])
        if ">" in arguments:
            arguments = arguments[: arguments.index(">")]
        assert cli.main([*arguments, *short]) == 0, arguments
    del sys.modules["netsim_plugins.my_codec"]
    assert (tmp_path / "results/my-link/report.html").stat().st_size > 10_000


def test_the_python_example_prints_what_it_says() -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(block("<!-- python -->"), "README.md", "exec"), {})
    said = re.search(r"```text\n(.*?)```", README, re.S)
    assert said
    assert out.getvalue() == said.group(1)


@pytest.mark.slow
def test_readme_page_and_terminal_name_the_same_winners(tmp_path: Path) -> None:
    """Label, figure and ratio of every cell of the first table are those of the terminal and the page."""
    assert cli.main(["run", "quickstart", "-o", str(tmp_path / "out")]) == 0
    page = visible((tmp_path / "out/report.html").read_text("utf-8"))
    page = page.replace("\N{NO-BREAK SPACE}", " ").replace("×", "x")
    table = README[README.index("<!-- answer -->") :].split("\n\n")[0].splitlines()[1:]
    nouns = [cell.strip().removeprefix("fewest ") for cell in table[0].split("|")[2:-1]]
    assert nouns == ["wire bits", "packets", "seconds", "workers' joules"]
    for line in table[2:]:
        network, *cells = (cell.strip() for cell in line.split("|")[1:-1])
        for text in (in_words(tmp_path / "out"), page):
            assert dict(zip(nouns, cells, strict=True)) == winners(
                text[text.index(f"network={network}, to loss gap") :]
            )


def winners(answer: str) -> dict[str, str]:
    """Noun to "label: figure (ratio)" of the answer that begins the text."""
    found = {}
    for clause in re.split(r"(?<=\))\. |0\.05: ", answer.split(" Runner-up")[0]):
        label, _, told = clause.partition(" needs the fewest ")
        for noun, figure, ratio in re.findall(r"([a-z' ]+?) \((.+?), (.+?)(?: fewer than GD)?\)", told):
            found[noun.removeprefix(" and ").strip()] = f"{label}: {figure} ({ratio})"
    return found


def test_every_link_leads_somewhere() -> None:
    for text in (README, (ROOT / "CONTRIBUTING.md").read_text()):
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_quick_start_is_what_the_readme_says() -> None:
    assert len(load("quickstart").algorithms) == 11
    assert load("quickstart").replications == 3


def test_the_readme_counts_right() -> None:
    folders = {"agents": "{} of them, each as its paper's box", "compressors": "{} compressors as real bytes"}
    for folder, words in folders.items():
        files = [path for path in (ROOT / "algorithms" / folder).glob("*.py") if path.stem != "__init__"]
        assert words.format(len(files)) in README
