"""The bundled neural networks reach their accuracies inside the simulation; minutes each, with PyTorch and data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import networks
from netsim.scenario import load
from netsim.study import run

DATA = Path(os.environ.get("NETSIM_DATA", "/no/data"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder", "goal"),
    [("studies/lena_cnn", "mnist", 0.97), ("studies/resnet20_cifar10", "cifar10-jpg", 0.6)],
)
def test_a_network_reaches_its_accuracy(name: str, folder: str, goal: float, tmp_path: Path) -> None:
    """LENA's CNN 97 % of MNIST's test set, ResNet-20 60 % of CIFAR-10's, every algorithm of the scenario."""
    pytest.importorskip("torch")
    if not (DATA / folder).exists():
        pytest.skip(f"put {folder}/ into NETSIM_DATA")
    scenario = load(name)
    assert scenario.stop.target == {"test_accuracy": goal}
    results = run(scenario, tmp_path / "out")
    assert results.ok
    assert {record["status"] for record in results.runs} == {"reached"}
    networks.main([str(tmp_path / "out"), "-o", str(tmp_path / "drawn.svg")])
    assert (tmp_path / "drawn.svg").read_text(encoding="utf-8").count('class="y"') == len(scenario.algorithms)
