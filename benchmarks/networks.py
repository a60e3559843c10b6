"""Draw the accuracy of the bundled neural networks, from the folders of their finished studies.

The studies take minutes each and need PyTorch and data in NETSIM_DATA, so they are run by hand::

    netsim run scenarios/studies/lena_cnn.yaml -o results/lena_cnn
    netsim run scenarios/studies/resnet20_cifar10.yaml -o results/resnet20_cifar10
    python -m benchmarks.networks results/lena_cnn results/resnet20_cifar10 -o docs/networks.svg
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from netsim.report.axes import linear_axis
from netsim.report.sheet import sheet
from netsim.report.svg import Curve, lines
from netsim.scenario import load


def panel(folder: Path) -> str:
    """Draw test accuracy over rounds of every algorithm of a study, one replication each."""
    scenario = load(str(folder / "scenario.yaml"))
    rounds = pd.read_parquet(folder / "rounds.parquet").query("replication == 0")
    curves = []
    for style, (label, run) in enumerate(rounds.groupby("label", sort=False)):
        x, y = (run[column].to_numpy(np.float64) for column in ("round", "test_accuracy"))
        curves.append(Curve(str(label), style, x, y, is_step=False, marks_data=True))
    x_axis, y_axis = linear_axis([c.x for c in curves], is_count=True), linear_axis([c.y for c in curves])
    if x_axis is None or y_axis is None:
        raise SystemExit(f"{folder}: test accuracies are needed, as torch modules with a test set have. Got none.")
    goal = scenario.stop.target["test_accuracy"]
    y_title = f"{scenario.name}: test accuracy"
    legend = ", ".join(c.label for c in curves)
    return lines(scenario.name, legend, curves, x_axis, y_axis, "rounds", y_title, (goal, f"target {goal:g}"))


def main(argv: Sequence[str] | None = None) -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("-o", dest="out", type=Path, default=Path("docs/networks.svg"))
    arguments = parser.parse_args(argv)
    panels = [panel(folder) for folder in arguments.folders]
    legend = [(0, "SGD, dense gradients"), (1, "compressed uploads")]
    arguments.out.write_text(sheet("Networks that learn inside the simulation", panels, legend), encoding="utf-8")


if __name__ == "__main__":
    main()
