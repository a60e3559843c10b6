"""--find-step: the search, what it costs, and where its result goes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim import cli
from netsim.errors import ConfigError
from netsim.scenario import load, parse_text
from netsim.study.find_step import find_steps, golden

SCENARIO = """
name: steps
problem: {name: quadratic, dim: 4, nodes: 2, isotropic: true, smoothness: 2}
algorithms:
  - gd
  - {name: gd, label: ruled, step_size: {name: inverse_round, a: 1}}
stop: {rounds: 3, target: {loss_gap: 1e-9}}
"""


@settings(max_examples=200, deadline=None)
@given(best=st.integers(-40, 40), low=st.integers(-30, 10), width=st.integers(1, 30))
def test_golden_finds_the_bottom_and_asks_little(best: int, low: int, width: int) -> None:
    """Of |k - best|; each whole number at most once, and no more than 3 + log(width)/log(1.6) + 3 of them."""
    asked: dict[int, int] = {}

    def score(k: int) -> float:
        asked[k] = abs(k - best)
        return asked[k]

    found = golden(score, low, low + width)
    assert found == min(max(best, low), low + width)
    assert len(asked) <= min(width + 1, 16)
    assert all(low <= k <= low + width for k in asked)


def test_the_step_of_a_quadratic() -> None:
    """F shrinks by (1 - 2 step)^2 a round: of 10^(k/8), 10^(-2/8) = 0.5623 is best (0.125 against 0.157 at 0.4217)."""
    scenario = parse_text(SCENARIO)
    said: list[str] = []
    changed, (found,) = find_steps(scenario, said.append)
    assert found.step_size == 0.5623
    assert changed.algorithms[0].algorithm.step_size == 0.5623
    assert changed.algorithms[1] == scenario.algorithms[1]
    assert changed.seed == scenario.seed
    assert found.trials >= 7
    assert found.gradients == 2 * found.rounds
    assert said == [f"gd: step_size 0.5623 after {found.trials} trials of 3 rounds"]


def test_the_command_writes_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "steps.yaml").write_text(SCENARIO)
    out = tmp_path / "out"
    assert cli.main(["run", str(tmp_path / "steps.yaml"), "--find-step", "-o", str(out), "-j", "1"]) == 0
    assert load(out / "scenario.yaml").algorithms[0].algorithm.step_size == 0.5623
    head, row = (out / "steps.csv").read_text().splitlines()
    assert head == "label,step_size,score,trials,rounds,gradients,host_s"
    assert row.startswith("gd,0.5623,")
    assert cli.main(["run", str(tmp_path / "steps.yaml"), "-o", str(out), "-j", "1"]) == 0
    assert not (out / "steps.csv").exists()
    capsys.readouterr()


def test_nothing_to_search() -> None:
    text = SCENARIO.replace("  - gd\n", "")
    with pytest.raises(ConfigError, match="--find-step: an algorithm with step_size, auto or a number, is needed"):
        find_steps(parse_text(text))


def test_no_step_is_good() -> None:
    """With L = 1e100 every step of the grid blows up within 3 rounds."""
    text = SCENARIO.replace("smoothness: 2", "smoothness: 1.0e+100")
    with pytest.raises(ConfigError, match=r"--find-step: no step from 1e-4 to 1e2 ends with a finite loss for gd"):
        find_steps(parse_text(text))
