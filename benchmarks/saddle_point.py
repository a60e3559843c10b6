"""How violation and cost gap of `saddle_point` fall with T: ``python -m benchmarks.saddle_point`` writes a page.

Two nodes with f_i = ||x - a_i||^2 / 2, a = (+-1, 0, 0, 0), held within 1; noise of 0.1 in every entry of a
gradient, delta = 4, eta = 1 / sqrt(T). docs/saddle_point.md has means over seeds and the fitted exponents.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from algorithms.problems.multitask import Multitask, MultitaskProblem
from algorithms.problems.quadratic import Quadratic, QuadraticProblem
from netsim import files
from netsim.scenario import parse_text
from netsim.simulation.engine import simulate

DOCS = Path(__file__).parents[1] / "docs" / "saddle_point.md"
CENTRES = np.array([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]])
ROUNDS = {1000: 8, 4000: 4, 16_000: 2, 64_000: 1}  # and seeds
CODES: Mapping[str, Mapping[str, Any]] = {
    "identity": {"name": "identity", "float_bit": 64},
    "top_1": {"name": "top_k", "k": 1},
    "sign_top_2": {"name": "sign_top_k", "k": 2},
}


def run(rounds: int, code: str, seed: int) -> tuple[float, float]:
    """Return violation and cost gap of the averaged models after so many rounds."""
    algorithm = {"name": "saddle_point", "compressor": dict(CODES[code]), "eta": rounds**-0.5}
    text = yaml.safe_dump({
        "name": "saddle", "seed": seed, "problem": {"name": "quadratic", "dim": 4, "nodes": 2},
        "network": {"topology": "ring", "link": "ideal"}, "algorithms": [algorithm], "stop": {"rounds": rounds},
        "record": {"every": rounds},
    })  # fmt: skip
    base = parse_text(text, "saddle.yaml")
    costs = QuadraticProblem(np.ones((2, 1, 1)), CENTRES)
    problem = MultitaskProblem(costs, Multitask(costs=Quadratic(nodes=2), noise=0.1))
    rows = simulate(base, base.algorithms[0], 0, problem).tables["rounds"].to_pydict()
    return rows["violation"][-1], rows["cost_gap"][-1]


def exponent(values: Mapping[int, float]) -> float:
    """Return the slope of the line through the logarithms of T and of a measure."""
    return float(np.polyfit(np.log(list(values)), np.log(np.abs(list(values.values()))), 1)[0])


def rows() -> Iterator[str]:
    """Yield the table: two lines for each code."""
    yield f"| messages | measure | {' | '.join(f'T = {t}' for t in ROUNDS)} | exponent |"
    yield f"|---|---|{'---|' * len(ROUNDS)}---|"
    for code in CODES:
        found = {t: np.mean([run(t, code, seed) for seed in range(n)], axis=0) for t, n in ROUNDS.items()}
        for i, measure in enumerate(("violation", "cost gap")):
            values = {t: float(both[i]) for t, both in found.items()}
            cells = " | ".join(f"{value:.4f}" for value in values.values())
            line = f"| `{code}` | {measure} | {cells} | {exponent(values):.2f} |"
            print(line, flush=True)
            yield line


def main() -> int:
    """Write the page."""
    table = "\n".join(rows())
    files.write(DOCS, f"""# The saddle-point method's orders

Written by `python -m benchmarks.saddle_point`. Two nodes in R^4 with f_i = ||x - a_i||^2 / 2, a = (+-1, 0, 0, 0), held
within a distance of 1; Gaussian noise of 0.1 in every entry of a gradient, delta = 4, eta = 1 / sqrt(T); means over 8,
4, 2 and 1 seeds. The paper's bounds are T^(-1/4) for the violation and T^(-1/2) for the cost gap, of the same order
with compressed messages and with two values in place of a gradient. Here the violation falls faster than its bound,
about as T^(-1/2): what stays is delta eta lam, which is proportional to eta.

{table}
""")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
