"""Data whose numbers no loss can take, or whose size no machine holds, are refused at load with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from algorithms.datasets.arrays import Arrays
from algorithms.learning.eigen import round_up
from algorithms.partitions.dirichlet import Dirichlet
from algorithms.reading.sizes import check_sizes
from netsim import memory
from netsim.cli import main
from netsim.errors import DataError
from netsim.registry import build

GOOD = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(memory.VARIABLE, raising=False)


def opened(features: Any, labels: Any = (0, 1, 1), **keys: Any) -> Any:
    problem = {"name": "linear_regression", "nodes": 1, "l2": 0.0, **keys}
    return build("problem", {**problem, "dataset": Arrays.of(features, labels)}).open(0)


@pytest.mark.parametrize(
    ("features", "labels", "sentence"),
    [
        ([[1e200, 0], [0, 1], [1, 1]], (0, 1, 1), r"numbers of at most .* squares can be summed.*Got 1e\+200"),
        ([[-1e160, 0], [0, 1], [1, 1]], (0, 1, 1), r"numbers of at most .*Got 1e\+160"),
        (np.zeros((3, 2)), (0, 1, 1), r"a number of at least .* among the features.*Got 0 as the largest"),
        (np.full((3, 2), 1e-200), (0, 1, 1), r"a number of at least .*Got 1e-200 as the largest"),
        ([[np.nan, 0], [0, 1], [1, 1]], (0, 1, 1), r"row 0, column 0 .*: a finite number is needed. Got nan"),
        ([[np.inf, 0], [0, 1], [1, 1]], (0, 1, 1), r"a finite number is needed. Got inf"),
        (GOOD, (0, np.nan, 1), r"row 1 .*: a finite label is needed. Got nan"),
        (GOOD, (0, 1e200, 1), r"labels of at most 1e\+100.*Got 1e\+200"),
        (np.ma.masked_array(GOOD, mask=np.eye(3, 2)), (0, 1, 1), r"fill what is masked. Got 2 masked"),
        (GOOD, np.ma.masked_array([0, 1, 1], mask=[0, 0, 1]), r"labels: .*fill what is masked. Got 1 masked"),
        (np.array(GOOD) * 1j, (0, 1, 1), r"numbers are needed. Got complex128"),
    ],
)  # fmt: skip
def test_numbers_that_no_loss_can_take(features: Any, labels: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        opened(features, labels)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("normalise", ["standard", "unit"])
def test_scaling_that_squares_does_not_hide_an_overflow(normalise: str) -> None:
    dataset = Arrays.of([[1e200, 0], [0, 1], [1, 1]], (0, 1, 1), normalise=normalise)
    with pytest.raises(DataError, match="squares can be summed"):
        dataset.load(np.random.default_rng(0))


def test_large_and_small_numbers_that_can_be_squared() -> None:
    for scale in (1e120, 1e-120):
        problem = opened(np.array(GOOD) * scale)
        # [[2, 1], [1, 2]] / 3 has the eigenvalue 1, times the curvature of half a square.
        assert problem.smoothness() == pytest.approx(scale**2, rel=1e-8)


def test_a_mask_that_masks_nothing() -> None:
    assert opened(np.ma.masked_array(GOOD, mask=False)).dim == opened(GOOD).dim


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_eigenvalue_that_is_no_number(value: float) -> None:
    with pytest.raises(DataError, match="largest eigenvalue"):
        round_up(value)


def test_the_bound_is_one_below_which_sums_of_squares_are_finite() -> None:
    for dtype in (np.float32, np.float64):
        most = np.sqrt(float(np.finfo(dtype).max) / 1e8 / 1000)
        check_sizes("x", np.full(1000, 0.99 * most, dtype))
        assert np.isfinite(np.square(np.full(1000, most, dtype)).sum(dtype=dtype))
        with pytest.raises(DataError):
            check_sizes("x", np.full(1000, 1.01 * most, dtype))


@pytest.mark.parametrize("alpha", [1e12, 5e307, 1.7e308])
def test_a_huge_alpha_is_the_limit_of_equal_shares(alpha: float) -> None:
    parts = Dirichlet(alpha).split(np.repeat([0.0, 1.0], 50), 5, np.random.default_rng(0))
    assert [part.size for part in parts] == [20] * 5


SCENARIO = """\
name: wide
problem: {{name: logistic_regression, dataset: {{name: libsvm, path: wide.svm{more}}}, nodes: {nodes}}}
network: {{link: ideal}}
algorithms: [gd]
stop: {{rounds: 2}}
"""


@pytest.mark.parametrize(
    ("index", "nodes", "limit", "sentence"),
    [
        (2**31 - 1, 1, "8 GB", "d = 2147483647 numbers: 32 GiB of memory are needed, and the limit is 7.45 GiB"),
        (1_000_000, 2, "10 MB", "d = 1000000 numbers: 0.0149 GiB"),
        (1_000_000, 2, "40 MB", "models and gradients of d = 1000000 numbers at 2 nodes: 0.0447 GiB"),
    ],
)
def test_more_memory_than_allowed(
    index: int, nodes: int, limit: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(memory.VARIABLE, "1")
    (tmp_path / "wide.svm").write_text(f"1 1:0.5\n-1 2:1 {index}:1\n1 1:1\n", encoding="utf-8")
    (tmp_path / "wide.yaml").write_text(SCENARIO.format(nodes=nodes, more=""), encoding="utf-8")
    for words in (["validate", "wide.yaml"], ["run", "wide.yaml", "-o", "out"]):
        assert main([*words, "--memory", limit]) == 2
        said = capsys.readouterr().err
        assert sentence in said
        assert "--memory sets another one" in said
        assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_dense_quadratic_that_no_machine_holds() -> None:
    with pytest.raises(DataError, match=r"matrices of d = 10000000"):
        build("problem", {"name": "quadratic", "dim": 10_000_000}).open(0)


@pytest.mark.parametrize("size", ["8", "8 gb", "8 kg", "much", "1_000 MB", "-1 GB"])
def test_a_limit_that_is_no_size(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory.VARIABLE, "1")
    # 8 bytes are a size, and too few.
    assert main(["validate", "own_data", "--memory", size]) == 2
