"""From measured (size, cost) to the cost model that CAT takes: ``netsim fit-cost``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim import files
from netsim import text as words
from netsim.errors import ConfigError
from netsim.interfaces import HEADER_BYTES
from netsim.scenario import yaml_lines
from netsim.tools.measurements import Floats, Points, read, size_text

if TYPE_CHECKING:
    from netsim.tools.cost_families import Fit

MIN_SIZES = 3
STEP_SIZES = 5  # of a step or a bend
LOST = 0.01  # share of lost messages from which a note is given
UNLIKELY = 1e-3
SMALL = 0.15
LOOSE = 0.05  # relative error of a line from which a note is given


@dataclass(frozen=True, eq=False)
class Result:
    """What `fit_cost` found.

    Parameters
    ----------
    points
        Those that were fitted: of the fewest senders.
    fits
        The chosen family first.
    warnings
        What a reader should know, a sentence each.
    cost
        The configuration of a cost component for a scenario.
    link
        The configuration of a channel that behaves so; None where none does.
    """

    points: Points
    fits: Sequence[Fit]
    warnings: Sequence[str]
    cost: Mapping[str, Any]
    link: Mapping[str, Any] | None
    everything: Points


def fit_cost(points: Points, header_bit: float = 8.0 * HEADER_BYTES, entry_bit: float | None = None) -> Result:
    """Fit all families, choose one, say what does not fit, and write it as a scenario's cost.

    `header_bit` are bits of a measured message that the papers' P(T) leaves out, `entry_bit` those of a kept
    coordinate, where sizes are T.

    Raises
    ------
    ConfigError
        If there are too few points.
    """
    from netsim.tools.cost_families import compare

    base = points.of(float(points.nodes.min()))
    sizes = np.unique(base.size).size
    if sizes < MIN_SIZES:
        got = f"{words.count(base.size.size, 'row')} of {words.count(sizes, 'size')}"
        raise ConfigError(f"fit-cost: a fit needs at least {MIN_SIZES} sizes. Got {got}")
    spread = base.spread()
    weights = None if spread is None else 1.0 / spread[0] ** 2
    unit = 1.0 if points.is_count else 8.0
    fits = compare(base.size, base.cost, weights, unit=unit)
    warnings = [*_few(base, fits[0]), *_misfit(base, fits, spread), *_losses(base), *_contention(points, fits)]
    if points.blank:
        warnings.append(f"{points.blank} rows have no {points.names[1]}: nothing arrived there")
    scale, header = (1.0, header_bit) if not points.is_count else (entry_bit or math.nan, 0.0)
    return Result(base, fits, warnings, cost_of(fits[0], header, scale), link_of(fits[0], points), points)


def _few(points: Points, best: Fit) -> list[str]:
    """Return a note where the sizes are too few to show a step or a bend."""
    sizes = np.unique(points.size).size
    if sizes >= STEP_SIZES:
        return []
    if best.family == "packets":
        return [
            f"{sizes} sizes meet these steps exactly, and leave nothing to test them by; measure {STEP_SIZES} or more"
        ]
    return [f"with {sizes} sizes a step of packets or a bend cannot be told from a line; measure {STEP_SIZES} or more"]


def _losses(points: Points) -> list[str]:
    """Return a note on lost messages, and what it would cost to send them again."""
    share = 1.0 - points.delivery
    worst = int(np.argmax(share))
    if share[worst] < LOST:
        return []
    said = f"up to {share[worst]:.0%} of the messages got lost (at {size_text(points, worst)})"
    again = f"sent until it arrives, one costs up to {1.0 / points.delivery[worst]:.3g} times as much"
    return [f"{said}; the cost is of those that arrived: {again if points.delivery[worst] > 0 else 'none did there'}"]


def _misfit(points: Points, fits: Sequence[Fit], spread: tuple[Floats, float] | None) -> list[str]:
    """Return a note where a line does not hold for the fitted rows, and by how much it misses them."""
    line = next((f for f in fits if f.family == "affine"), None)
    if line is None or points.size.size < 4:
        return []
    by = _worst(points, line)
    if spread is None:
        is_far = _off(points, line).max() > LOOSE
        return [f"affine misses the points {by}"] if is_far and fits[0] is not line else []
    from scipy.stats import f

    errors, freedom = spread
    degrees = points.size.size - 2
    square = float((((points.cost - line(points.size)) / errors) ** 2).sum())
    if float(f.sf(square / degrees, degrees, min(freedom, 1e9))) >= UNLIKELY:
        return []
    return [f"affine does not hold: it misses {by}, chi2 = {square:.3g} on {degrees} degrees of freedom"]


def _off(points: Points, line: Fit) -> Floats:
    """Return the line's error in each row, relative to the row's cost."""
    return np.asarray(np.abs(points.cost - line(points.size)) / points.cost)


def _worst(points: Points, line: Fit) -> str:
    """Return the largest relative error of a line, in words."""
    off = _off(points, line)
    worst = int(np.argmax(off))
    return f"by up to {off[worst]:.0%} (at {size_text(points, worst)})"


def _contention(points: Points, fits: Sequence[Fit]) -> list[str]:
    """Return a note on the effect of other senders on the cost."""
    counts = np.unique(points.nodes)
    if counts.size == 1:
        if counts[0] > 1:
            return [f"all rows are of {counts[0]:g} senders: the cost contains the others' load; probe --nodes "
                    f"1,{counts[0]:g} says how much"]  # fmt: skip
        return []
    out = []
    for count in counts[1:]:
        part = points.of(float(count))
        times = part.cost / np.maximum(fits[0](part.size), 1e-300)
        low, high = float(times.min()), float(times.max())
        error = np.nan_to_num(part.error) / part.cost
        if not (max(abs(np.log(times))) > 0.02 and (np.abs(times - 1) > 4 * error * times).any()):
            continue
        what = {"s": "takes", "J": "needs"}[points.unit]
        said = (
            f"with {count:g} senders a message {what} {low:.2g} to {high:.2g} times what the {fits[0].family} model "
            f"of {counts[0]:g} says"
        )
        if np.unique(part.size).size >= MIN_SIZES:
            from netsim.tools.cost_families import fit

            spread = part.spread()
            own = fit(part.size, part.cost, "affine", None if spread is None else 1.0 / spread[0] ** 2)
            if own is not None:
                said += f", and a line of its own misses {_worst(part, own)}"
        if part.delivery.min() < 1.0:
            said += f"; only {part.delivery.min():.0%} to {part.delivery.max():.0%} of the messages arrive"
        out.append(f"affine does not hold under contention: {said}. The cost depends on the others' load, which no "
                   "model of the size knows")  # fmt: skip
    return out


# --- into YAML ----------------------------------------------------------------------------------------------


def cost_of(one: Fit, header_bit: float, scale: float = 1.0) -> dict[str, Any]:
    """Return the component for CAT, as a function of the papers' bits P: a measured size is (P + header_bit) / scale.

    The fit is in bits, or in T with `scale` bits each.
    """
    v = dict(one.values)
    c_bit = max(v.get("c_bit", 0.0), 0.0) / scale
    c0 = v["c0"] + c_bit * header_bit
    if one.family == "packets":
        payload = v["payload_max"] * scale
        out: dict[str, Any] = {"name": "packets", "c0": _round(c0), "c_packet": _round(v["c_packet"])}
        out |= {"c_bit": _round(c_bit), "payload_max_bit": _round(payload), "header_bit": _round(header_bit)}
        return {**out, "packing": "stream"}
    if one.family == "piecewise":
        bend = max(v["bend"] * scale - header_bit, 1.0)
        sizes = [0.0, bend, 2 * bend]
        costs = one((np.array(sizes) + header_bit) / scale)
        if costs[0] > 0:
            return {"name": "piecewise", "size_bit": [_round(s) for s in sizes], "cost": [_round(c) for c in costs]}
    return {"name": "affine", "c0": _round(max(c0, 0.0)), "c_bit": _round(c_bit)}


def link_of(one: Fit, points: Points) -> dict[str, Any] | None:
    """Return a channel whose lone messages take that long; None for joules, T, and fits that no channel reproduces."""
    v = one.values
    if points.is_count or points.unit != "s" or one.family not in ("affine", "packets"):
        return None
    # A slightly negative constant, such as a shaper's burst, is no delay.
    if not v["c_bit"] > 0.0 or -v["c0"] > SMALL * float(points.cost.min()):
        return None
    delay_s = _round(max(v["c0"], 0.0))
    rate = _round(1.0 / v["c_bit"])
    if one.family == "affine":
        return {"name": "ethernet_udp", "rate_bps": rate, "delay_s": delay_s, "overhead_bytes": 0,
                "min_frame_bytes": 0}  # fmt: skip
    return {"name": "packet", "rate_bps": rate, "delay_s": delay_s, "fixed_size": False,
            "payload_max_bytes": round(v["payload_max"] / 8),
            "header_bytes": round(v["c_packet"] / v["c_bit"] / 8)}  # fmt: skip


def _round(value: float) -> float:
    return float(f"{value:.6g}")


# --- the command -----------------------------------------------------------------------------------------------


def command(
    path: str, x: str, y: str, where: Sequence[str], header_bit: float, entry_bit: float | None, out: str | None,
    plot: str | None,
) -> str:  # fmt: skip
    """Fit, write what was asked for, and what the command prints."""
    from netsim.tools import plots

    plots.check(plot)
    files.check_out("--out", out)
    files.check_out("--plot", plot)
    points = read(path, x, y, where)
    if points.is_count and not (entry_bit and entry_bit > 0):
        raise ConfigError("--entry-bit: the bits of a kept coordinate are needed where sizes are T, such as 32 for "
                          "a float and ceil(log2 d) for its place")  # fmt: skip
    result = fit_cost(points, header_bit, entry_bit)
    scenario = f"cost: {yaml_lines.write_line(dict(result.cost))}\n"
    if out is not None:
        files.write(Path(out), scenario)
    if plot is not None:
        files.write(Path(plot), plots.fits(f"netsim fit-cost {Path(path).name}", result))
    return f"{text(result)}\n{scenario}"


def text(result: Result) -> str:
    """Return the families, the chosen one's numbers, warnings, and a channel that behaves so."""
    points, best = result.points, result.fits[0]
    least = min(f.aic for f in result.fits)
    rows = []
    for one in result.fits:
        cross = "-" if math.isnan(one.cross) else words.quantity(one.cross, points.unit)
        mark = " <-" if one is best else ""
        more = f"{one.aic - least:.1f}" if math.isfinite(one.aic) else "-"
        rows.append([one.family, more, words.quantity(one.rms, points.unit), f"{cross}{mark}"])
    sizes = np.unique(points.size).size
    head = f"{points.size.size} rows of {sizes} sizes, {points.names[1]} over {points.names[0]}"
    nodes = f", {points.nodes[0]:g} senders" if points.nodes[0] > 1 or result.everything.nodes.max() > 1 else ""
    lines = [head + nodes, "", words.table(["family", "AIC - least", "rms", "rms at left-out sizes"], rows), ""]
    lines.append(f"{best.family}, with 95 % confidence intervals:")
    per = "entry" if points.is_count else "bit"
    units = {"c0": points.unit, "c_packet": f"{points.unit}/packet", "c_bit": f"{points.unit}/{per}",
             "c_bend": f"{points.unit}/{per}", "payload_max": per, "bend": per}  # fmt: skip
    for name, value in best.values.items():
        low, high = best.intervals.get(name, (value, value))
        lines.append(f"  {name} = {value:.6g} {units[name]}  ({low:.6g} to {high:.6g})")
    if not points.is_count and points.unit == "s" and best.values.get("c_bit", 0.0) > 0.0:
        lines.append(f"  rate = {words.quantity(1.0 / best.values['c_bit'], 'bit/s')}")
    lines += [f"warning: {warning}." for warning in result.warnings]
    if result.link is not None:
        lines += ["", f"# a link that behaves so: {yaml_lines.write_line(dict(result.link))}"]
    return "\n".join(lines)
