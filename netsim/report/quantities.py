"""What an algorithm is judged by: bits, packets, seconds, joules."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from netsim.report.columns import numbers
from netsim.report.folder import Results, Row, mapping
from netsim.report.words import si

METRICS = {
    "loss": "loss",
    "loss_gap": "loss gap F − F*",
    "grad_norm": "gradient norm",
    "accuracy": "accuracy",
    "train_accuracy": "training accuracy",
    "test_accuracy": "test accuracy",
    "test_loss": "test loss",
}


@dataclass(frozen=True)
class Quantity:
    """One cost.

    Parameters
    ----------
    stem, column
        Its name in summary.csv, without ``_mean``, and in rounds.parquet.
    unit
        '' for a count.
    noun, title
        As in "the fewest bits"; as the title of an axis or column.
    """

    stem: str
    column: str
    unit: str
    noun: str
    title: str

    def show(self, value: float) -> str:
        """A value with its unit."""
        return si(value, self.unit)

    def of(self, row: Row) -> str:
        """The mean of a row with its unit."""
        return self.show(row.estimate(self.stem).mean)


def judged(results: Results) -> list[Quantity]:
    """Bits, packets, seconds and joules of what the nodes send: up to the server, or to their peers."""
    way, to = direction(results)
    return [
        Quantity(f"{way}_paper_bit", f"{way}_paper_bit", "bit", "bits", f"bits {to}"),
        Quantity(f"{way}_packets", f"{way}_packets", "", "packets", f"packets {to}"),
        Quantity("time_s", "sim_time_s", "s", "seconds", "simulated time"),
        Quantity("energy_j", "energy_j", "J", "joules", "energy of all nodes"),
    ]


def tabled(results: Results) -> list[Quantity]:
    """The columns of the summary table: those judged, and the bytes that all directions put on the wire."""
    bits, packets, *others = judged(results)
    wire = Quantity("total_wire_bytes", "total_wire_bytes", "B", "wire bytes", "bytes on the wire, all ways")
    return [q for q in (bits, packets, wire, *others) if any(_is_number(row, q) for row in results.summary)]


def direction(results: Results) -> tuple[str, str]:
    """``uplink`` where anything goes up to a server, else ``peer``; and the same in words."""
    sent = {way: _sends(results, way) for way in ("uplink", "peer")}
    return ("peer", "to peers") if sent["peer"] and not sent["uplink"] else ("uplink", "sent up")


def metric(results: Results, point: str) -> str:
    """What is plotted: the target's metric, else the loss gap where there is one, else the loss."""
    wanted = [*targets(results, point), "loss_gap", "loss"]
    return next((name for name in wanted if np.isfinite(numbers(results.rounds, name)).any()), "loss")


def targets(results: Results, point: str) -> dict[str, float]:
    """Metric to value of the targets at a point: the summary's, else the scenario's."""
    told = {row.target: row.target_value for row in results.summary if row.point == point and row.target}
    target = mapping(mapping(results.scenario.get("stop")).get("target"))
    pairs = told.items() if told else target.items()
    return {str(k): float(v) for k, v in pairs if isinstance(v, int | float) and math.isfinite(v)}


def _sends(results: Results, way: str) -> bool:
    stems = [f"{way}_{name}_mean" for name in ("paper_bit", "packets", "wire_bytes")]
    in_summary = any(row.numbers.get(stem, 0.0) > 0 for row in results.summary for stem in stems)
    return in_summary or bool((numbers(results.rounds, f"{way}_packets") > 0).any())


def _is_number(row: Row, quantity: Quantity) -> bool:
    return bool(np.isfinite(row.estimate(quantity.stem).mean))
