"""Numbers of data that no problem can use, or that are at an end of what it can: a sentence, or a finite loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from netsim.scenario import parse_text
from netsim.simulation.engine import simulate
from tests.kinds.conftest import Command

TEXT = """\
name: kind
problem: {name: logistic_regression, dataset: {name: csv, path: own.csv}, nodes: 2, l2: 0.1}
algorithms: [gd]
stop: {rounds: 2}
"""
GOOD = "x,y,label\n" + "".join(f"{i % 3},{i % 5},{i % 2}\n" for i in range(12))


@pytest.fixture
def own(netsim: Command, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    def command(content: str, **changes: str) -> tuple[int, str, str]:
        (tmp_path / "own.csv").write_text(content, encoding="utf-8")
        return netsim("validate", "kind.yaml", text=TEXT, **changes)

    return command


FILES = {
    "squares overflow": GOOD + "1e200,1,0\n",
    "the largest float": GOOD + "1.7e308,-1.7e308,0\n",
    "one class": "x,label\n1,0\n2,0\n3,0\n",
    "three classes": "x,label\n1,0\n2,1\n3,2\n",
    "one sample": "x,label\n1,0\n",
    "no number": GOOD + "nan,1,0\n",
    "infinite": GOOD + "inf,1,0\n",
    "no label": GOOD + "1,1,\n",
    "no feature": "label\n0\n1\n",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_data_that_are_refused(content: str, own: Callable[..., tuple[int, str, str]]) -> None:
    code, _, said = own(content)
    assert code == 2, said
    assert len(said.splitlines()) == 1
    assert "own.csv" in said or "kind.yaml:2" in said


CHANGES = [
    {"l2: 0.1": "l2: 1e-50"}, {"l2: 0.1": "l2: 1e-300"}, {"l2: 0.1": "l2: -0.1"}, {"nodes: 2": "nodes: 13"},
    {"l2: 0.1": "batch: 0"}, {"l2: 0.1": "partition: {name: dirichlet, alpha: 0}"},
    {"l2: 0.1": "partition: {name: dirichlet, alpha: -1}"}, {"l2: 0.1": "partition: {name: dirichlet, alpha: 1e300}"},
    {"path: own.csv": "path: own.csv, subsample: 13"}, {"path: own.csv": "path: own.csv, test_fraction: 0.99"},
    {"path: own.csv": "path: own.csv, positive_class: 7"}, {"path: own.csv": "path: own.csv, target: z"},
]  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES)
def test_keys_that_these_data_cannot_have(changes: dict[str, str], own: Callable[..., tuple[int, str, str]]) -> None:
    code, _, said = own(GOOD, **changes)
    assert code == 2, said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "content",
    [GOOD, GOOD + "5e-324,1,0\n", GOOD.replace("x,", "c,x,", 1).replace("\n", "\n1,").rstrip("1,") + "\n",
     "x,label\n1,0\n1,0\n2,1\n2,1\n", "x,label\n1,a\n2,b\n3,a\n", "x,label\n1e100,0\n-1e100,1\n1,0\n"],
)  # fmt: skip
def test_data_that_are_used(content: str, own: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, _, said = own(content)
    if code == 2:  # numbers of 1e100 may be too large for a problem, and it says so
        assert "1e100" in content
        return
    assert code == 0, said
    scenario = parse_text(TEXT.replace("own.csv", str(tmp_path / "own.csv")))
    result = simulate(scenario, scenario.algorithms[0], 0, scenario.open_problem())
    assert result.status in ("done", "diverged")
    assert math.isfinite(result.tables["rounds"].to_pydict()["loss"][0])


@pytest.mark.parametrize("alpha", ["1e-100", "1e-9", "1e100"])
def test_shares_at_the_ends_of_dirichlet(alpha: str, own: Callable[..., tuple[int, str, str]]) -> None:
    """Every sample goes to some node, whatever alpha: none is lost, and none is dealt twice."""
    code, _, said = own(GOOD, **{"l2: 0.1": f"partition: {{name: dirichlet, alpha: {alpha}}}"})
    assert code in (0, 2), said
    assert code == 0 or len(said.splitlines()) == 1
