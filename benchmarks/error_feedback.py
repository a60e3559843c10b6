"""Where error feedback stops: ``python -m benchmarks.error_feedback DIR`` writes docs/error_feedback.md and its figure.

DIR is the folder of ``netsim run papers/error_feedback_floor``: four nodes with samples of one label each, full
batches, three steps. A floor is the median gap over the last tenth of a run's rows.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from netsim import files

DOCS = Path(__file__).parents[1] / "docs"
COLOURS = ("#1b5e9b", "#b3541e", "#2f7d4f", "#7a4b94")
LEAST, MOST = 1e-8, 1e-5  # gaps of the figure
Floors = Mapping[str, Mapping[float, float]]


def floors(rows: pd.DataFrame) -> Floors:
    """Return the floor of every algorithm by step."""
    found: dict[str, dict[float, float]] = {}
    for label, run in rows.groupby("label", sort=False):
        name, _, step = str(label).partition(", step ")
        gaps = run.sort_values("round")["loss_gap"].to_numpy()
        found.setdefault(name, {})[float(step)] = float(np.median(gaps[-max(len(gaps) // 10, 1) :]))
    return found


def exponent(of: Mapping[float, float]) -> float:
    """Return the slope of the line through the logarithms of step and floor."""
    return float(np.polyfit(np.log(list(of)), np.log(list(of.values())), 1)[0])


def picture(found: Floors) -> str:
    """Return the SVG: floors against steps, both axes logarithmic, a line for each algorithm with several steps."""
    steps = sorted({step for of in found.values() for step in of})

    def place(step: float, gap: float) -> tuple[float, float]:
        x = 70 + 300 * (np.log(step / steps[0]) / np.log(steps[-1] / steps[0]))
        return float(x), float(230 - 190 * np.log(gap / LEAST) / np.log(MOST / LEAST))

    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 290" font-family="sans-serif" font-size="12">',
        "<title>Floor of error feedback against the step size</title>",
        '<rect width="680" height="290" fill="#fff"/>',
        '<rect x="70" y="40" width="300" height="190" fill="none" stroke="#7b828a"/>',
        '<text x="70" y="26">gap to the minimum at which a run stays</text>',
        '<text x="220" y="272" text-anchor="middle">step size</text>',
    ]
    for power in range(round(np.log10(LEAST)), round(np.log10(MOST)) + 1):
        _, y = place(steps[0], 10.0**power)
        out.append(f'<path d="M70 {y:.1f}h300" stroke="#e3e6ea"/>')
        out.append(f'<text x="64" y="{y + 4:.1f}" text-anchor="end">1e{power}</text>')
    out += [f'<text x="{place(s, LEAST)[0]:.1f}" y="248" text-anchor="middle">{s:g}</text>' for s in steps]
    lines = [(name, of) for name, of in found.items() if len(of) > 1]
    for i, ((name, of), colour) in enumerate(zip(lines, COLOURS, strict=False)):
        points = [place(step, gap) for step, gap in sorted(of.items())]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
        out.append(f'<path d="M390 {60 + 22 * i}h20" stroke="{colour}"/>')
        out.append(f'<text x="416" y="{64 + 22 * i}">{name}: step to the {exponent(of):.2f}</text>')
    return "\n".join([*out, "</svg>\n"])


def table(rows: pd.DataFrame, found: Floors) -> str:
    """Return the floors by step with their exponents, and where an algorithm without a floor came to."""
    steps = sorted({step for of in found.values() for step in of}, reverse=True)
    out = [
        f"| algorithm | {' | '.join(f'step {step:g}' for step in steps)} | exponent |",
        f"|---|{'---|' * len(steps)}---|",
    ]
    for name, of in found.items():
        if len(of) > 1:
            cells = [f"{of[step]:.1e}" if step in of else "" for step in steps]
            out.append(f"| {name} | {' | '.join(cells)} | {exponent(of):.2f} |")
        else:
            last = rows[rows["label"].str.startswith(f"{name}, ")].sort_values("round").iloc[-1]
            said = f"{last['loss_gap']:.1e} after {last['round']} rounds"
            out.append(f"| {name} | {said} | {' | '.join('' for _ in steps[1:])} | none |")
    return "\n".join(out)


def main() -> int:
    """Write the picture and the page."""
    rows = pd.read_parquet(Path(sys.argv[1]) / "rounds.parquet", columns=["label", "round", "loss_gap"])
    found = floors(rows)
    files.write(DOCS / "error_feedback.svg", picture(found))
    files.write(DOCS / "error_feedback.md", f"""# Where error feedback stops

Written by `netsim run papers/error_feedback_floor -o DIR` and `python -m benchmarks.error_feedback DIR`. Logistic
regression on breast_cancer with l2 = 0.01, four nodes with samples of one label each, full batches; 1/L = 0.26. A
memory of what was not sent (`memory: ef` of `cat`, `ef_sgd`) keeps a gap to the minimum that no number of rounds takes
away: at the minimiser a node's own gradient is not 0, and its memory goes on to fill and to empty. Theory bounds
E||e||^2 by 4 (1 - delta) gamma^2 G^2 / delta^2, a floor of the step's square. Compressed differences (`memory: ef21`)
vanish at the minimiser, and there is no floor.

![Floor against the step size](error_feedback.svg)

Median gap over the last tenth of 8000 rounds; a run ends where its gap is 1e-8, as those with EF21 do and CAT S with EF
at the least step after 7660 rounds, where its gap comes and goes.

{table(rows, found)}
""")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
