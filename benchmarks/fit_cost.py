"""How often fit-cost finds the true family: ``python -m benchmarks.fit_cost`` writes the table into docs/probe.md."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netsim import files
from netsim.tools.cost_families import Fit, compare, steps

Floats = npt.NDArray[np.float64]

DOCS = Path(__file__).parents[1] / "docs" / "probe.md"
SIZES = (3, 4, 5, 6, 10)
TRIALS = 200
NOISES = (0.0, 0.001, 0.01, 0.05)  # standard deviation of a cost, over the mean cost
UNIT = 8.0  # sizes are whole bytes, in bits
TRUTHS = {
    "line": Fit("affine", {"c0": 432.0, "c_bit": 1.0}, {}, 0.0, 0.0),
    "constant": Fit("constant", {"c0": 5000.0}, {}, 0.0, 0.0),
    "packet step": Fit("packets", {"c0": 500.0, "c_packet": 4000.0, "c_bit": 0.0}, {}, 0.0, 0.0),
}
MARKS = ("<!-- fit-cost table -->\n", "<!-- end of the table -->\n")


def sizes(count: int) -> Floats:
    """Sizes in bits, evenly from 100 to 1500 bytes."""
    return UNIT * np.rint(np.linspace(100, 1500, count))


def trials(truth: str, count: int, noise: float, repeats: int) -> Iterator[tuple[Floats, Floats]]:
    """Sizes and their noisy costs, seeded; packets hold 200 to 700 bytes and are no line at these sizes."""
    for seed in range(TRIALS):
        rng = np.random.default_rng([seed, list(TRUTHS).index(truth), count])
        known, x = TRUTHS[truth], np.repeat(sizes(count), repeats)
        payload = {"payload_max": _payload(rng, sizes(count))} if known.family == "packets" else {}
        cost = Fit(known.family, {**known.values, **payload}, {}, 0.0, 0.0)(x)
        yield x, cost + rng.normal(0.0, noise * cost.mean(), x.size)


def _payload(rng: np.random.Generator, x: Floats) -> float:
    while True:
        payload = UNIT * float(rng.integers(200, 701))
        packets = steps(x, payload)
        if np.ptp(np.diff(packets) / np.diff(x)) > 1e-9:
            return payload


def found(truth: str, count: int, noise: float, repeats: int = 1) -> Counter[str]:
    """How often each family is chosen."""
    return Counter(compare(x, y, unit=UNIT)[0].family for x, y in trials(truth, count, noise, repeats))


def table() -> str:
    """The table in Markdown: per cent of the trials in which the true family is chosen."""
    head = ["rows of each size", "noise", "truth", *(f"{n} sizes" for n in SIZES)]
    lines = [head, ["---:", "---:", "---", *("---:" for _ in SIZES)]]
    for repeats in (1, 5):
        for noise in NOISES:
            for truth, known in TRUTHS.items():
                cells = [_share(found(truth, n, noise, repeats), known.family) for n in SIZES]
                lines.append([str(repeats), f"{noise:.1%}" if noise else "exact", truth, *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _share(chosen: Counter[str], family: str) -> str:
    return f"{100 * chosen[family] / chosen.total():.3g}"


def main() -> int:
    """Write the table between its marks."""
    new, (start, end) = table(), MARKS
    text = DOCS.read_text("utf-8")
    files.write(DOCS, re.sub(f"{start}.*?{end}", lambda _: f"{start}\n{new}\n{end}", text, flags=re.DOTALL))
    return 0


if __name__ == "__main__":
    sys.exit(main())
