"""Arrays of your own: `python examples/own_arrays.py [FOLDER]` writes FOLDER (results/own-arrays) and prints the table.

The guard is needed where runs go to several processes, as each imports this file.
"""

import sys

import numpy as np

from algorithms.datasets.arrays import Arrays
from netsim.scenario import parse_text
from netsim.study import run

SCENARIO = """
name: own-arrays
problem:
  name: softmax_regression
  dataset: {name: arrays, sha256: SHA256, test_fraction: 0.25}
  nodes: 5
  partition: {name: by_label, labels_per_node: 2}
algorithms:
  - gd
  - {name: dcgd, label: QSGD, compressor: {name: qsgd, levels: 4}}
stop: {rounds: 500, target: {loss_gap: 1.0e-2}}
"""


def main() -> None:
    """Three clouds of points in the plane, on five nodes of two classes each."""
    rng = np.random.default_rng(0)
    classes = np.arange(300) % 3
    points = 2 * np.array([[1, 0], [-0.5, 0.9], [-0.5, -0.9]])[classes] + rng.standard_normal((300, 2))
    data = Arrays.of(points, classes)  # numpy, pandas, scipy.sparse or torch
    scenario = parse_text(SCENARIO.replace("SHA256", data.sha256))
    results = run(scenario, sys.argv[1] if len(sys.argv) > 1 else "results/own-arrays", jobs=2)
    print(results.summary_text())


if __name__ == "__main__":
    main()
