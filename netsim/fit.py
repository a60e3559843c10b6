"""From measured (size, cost) to the cost model that CAT takes: ``netsim fit-cost``."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from netsim.errors import ConfigError, nearest_name
from netsim.interfaces import HEADER_BYTES

if TYPE_CHECKING:
    from channels.costs._families import Fit

Floats = npt.NDArray[np.float64]

# What a word of the command line may be called in a file, the first that is there.
SIZES = {
    "bytes": ("message_bytes", "size_bytes", "bytes", "payload_bytes", "size_bit"),
    "T": ("T", "budget", "entries"),
}
COSTS = {
    "seconds": ("service_s", "latency_mean_s", "seconds", "p50_s", "latency_s", "time_s"),
    "joules": ("message_j", "joules", "energy_j", "sender_j"),
}
SIZE_UNITS = {"bytes": 8.0, "bit": 1.0}
COST_UNITS = {"s": (1.0, "s"), "ms": (1e-3, "s"), "us": (1e-6, "s"), "ns": (1e-9, "s"),
              "j": (1.0, "J"), "mj": (1e-3, "J"), "uj": (1e-6, "J")}  # fmt: skip
# What no link does: bits per second, joules per bit.
RATES = {"s": (1e-3, 1e14), "J": (1e-16, 1e3)}
ONE_AT_A_TIME = ("channel", "pattern", "protocol", "rate")
MIN_ROWS = 3
MAX_ROWS = 2_000_000
UNLIKELY = 1e-3
SMALL = 0.15
LOOSE = 0.05  # a relative error of a line that is worth a word


@dataclass(frozen=True, eq=False)
class Points:
    """Measured costs.

    Parameters
    ----------
    size
        Bits, or kept coordinates T.
    cost
        Seconds or joules.
    error
        Standard errors; NaN where unknown.
    nodes
        Senders at the same time; 1 where the file says nothing.
    delivery
        Share of messages that arrived; 1 where the file says nothing.
    replications
        Behind each row's standard error; infinite where the file says nothing.
    is_count
        Whether sizes are T.
    unit
        Of the cost, ``s`` or ``J``.
    names
        Of the two columns.
    """

    size: Floats
    cost: Floats
    error: Floats
    nodes: Floats
    delivery: Floats
    replications: Floats
    is_count: bool
    unit: str
    names: tuple[str, str]
    blank: int = 0

    def of(self, nodes: float) -> Points:
        """The rows with this many senders."""
        keep = self.nodes == nodes
        arrays = ("size", "cost", "error", "nodes", "delivery", "replications")
        return replace(self, **{name: getattr(self, name)[keep] for name in arrays})

    def spread(self) -> tuple[Floats, float] | None:
        """A standard error of each row, smooth in the size, and its degrees of freedom; None where nothing tells it."""
        from scipy.special import digamma

        size, error, freedom = self.size, self.error, self.replications - 1.0
        if not np.isfinite(error).all():
            sizes, place, count = np.unique(size, return_inverse=True, return_counts=True)
            if count.min() < 3 or sizes.size < 2:
                return None
            error = np.array([float(self.cost[place == i].std(ddof=1)) for i in range(sizes.size)])
            size, freedom = sizes, np.asarray(count - 1.0, np.float64)
        if not (error > 0).all() or np.unique(size).size < 2:
            return None
        k = np.minimum(freedom, 1e6) / 2
        # The logarithm of an estimated deviation is too small on average.
        slope, start = np.polyfit(np.log(size), np.log(error) - (digamma(k) - np.log(k)) / 2, 1)
        return np.asarray(np.exp(start + slope * np.log(self.size)), np.float64), float(freedom.sum())


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

    Parameters
    ----------
    points
        Measured.
    header_bit
        Bits of a measured message that the papers' P(T) leaves out.
    entry_bit
        Bits of a kept coordinate, where sizes are T.

    Raises
    ------
    ConfigError
        If there are too few points.
    """
    from channels.costs._families import compare

    base = points.of(float(points.nodes.min()))
    _check_enough(base)
    spread = base.spread()
    weights = None if spread is None else 1.0 / spread[0] ** 2
    unit = 1.0 if points.is_count else 8.0
    fits = compare(base.size, base.cost, weights, unit=unit)
    warnings = [*_misfit(base, fits, spread), *_contention(points, fits)]
    if points.blank:
        warnings.append(f"{points.blank} rows have no {points.names[1]}: nothing arrived there")
    scale, header = (1.0, header_bit) if not points.is_count else (entry_bit or math.nan, 0.0)
    return Result(base, fits, warnings, cost_of(fits[0], header, scale), link_of(fits[0], points), points)


def _check_enough(points: Points) -> None:
    sizes = np.unique(points.size).size
    if points.size.size < MIN_ROWS or sizes < 2:
        got = f"{points.size.size} row{'s' * (points.size.size != 1)} of {sizes} size{'s' * (sizes != 1)}"
        raise ConfigError(f"fit-cost: a fit needs at least {MIN_ROWS} rows of at least 2 sizes. Got {got}")


def _misfit(points: Points, fits: Sequence[Fit], spread: tuple[Floats, float] | None) -> list[str]:
    """Whether a line holds for the fitted rows themselves, and by how much not."""
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
    """Of each row, relative to its cost."""
    return np.asarray(np.abs(points.cost - line(points.size)) / points.cost)


def _worst(points: Points, line: Fit) -> str:
    """By how much a line misses the row that it misses most."""
    off = _off(points, line)
    worst = int(np.argmax(off))
    return f"by up to {off[worst]:.0%} (at {_size(points, worst)})"


def _contention(points: Points, fits: Sequence[Fit]) -> list[str]:
    """What other senders do to the cost."""
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
        if part.size.size >= MIN_ROWS and np.unique(part.size).size >= 2:
            from channels.costs._families import fit

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
    """The component that CAT takes, as a function of the papers' bits P: a measured size is (P + header_bit) / scale.

    Parameters
    ----------
    one
        Fitted in bits, or in T with `scale` bits each.
    """
    v = dict(one.values)
    c_bit = max(v.get("c_bit", 0.0), 0.0) / scale
    c0 = v["c0"] + c_bit * header_bit
    if one.family == "packets":
        payload, inside = v["payload_max"] * scale, header_bit + one.header * scale
        out: dict[str, Any] = {"name": "packets", "c0": _round(c0), "c_packet": _round(v["c_packet"])}
        out |= {"c_bit": _round(c_bit), "payload_max_bit": _round(payload), "header_bit": _round(inside)}
        return {**out, "packing": "stream"}
    if one.family == "piecewise":
        bend = max(v["bend"] * scale - header_bit, 1.0)
        sizes = [0.0, bend, 2 * bend]
        costs = one((np.array(sizes) + header_bit) / scale)
        if costs[0] > 0:
            return {"name": "piecewise", "size_bit": [_round(s) for s in sizes], "cost": [_round(c) for c in costs]}
    return {"name": "affine", "c0": _round(max(c0, 0.0)), "c_bit": _round(c_bit)}


def link_of(one: Fit, points: Points) -> dict[str, Any] | None:
    """A channel whose lone messages take that long; None for joules, T, and what no channel of ours does."""
    v = one.values
    if points.is_count or points.unit != "s" or one.family not in ("affine", "packets"):
        return None
    # A little less than nothing, such as a shaper's burst, is no delay.
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


# --- reading ----------------------------------------------------------------------------------------------


def read(path: str, x: str = "bytes", y: str = "seconds", where: Sequence[str] = ()) -> Points:
    """A CSV of ``netsim probe``, ``netsim measure`` or a user's own.

    Parameters
    ----------
    path
        The file; its first line names the columns.
    x
        ``bytes`` or ``T``, or a column whose name ends in _bytes or _bit, or is T.
    y
        ``seconds`` or ``joules``, or a column whose name ends in _s, _ms, _us, _ns, _j, _mj or _uj.
    where
        ``column=value``: only these rows.

    Raises
    ------
    ConfigError
        If the file cannot be read, a column is missing, values are none, or units cannot be right.
    """
    header, rows = _table(path)
    for condition in where:
        name, equals, value = condition.partition("=")
        if not equals or name not in header:
            allowed = f"column=value, with a column of {path}: {', '.join(header)}"
            raise ConfigError(f"--where: {allowed}. Got {condition!r}{_nearest(name, header)}")
        rows = [row for row in rows if _equal(row.get(name, ""), value)]
    if not rows:
        raise ConfigError(f"{path}: no rows{' where ' + ' and '.join(where) if where else ''}")
    for name in ONE_AT_A_TIME:
        values = sorted({row.get(name, "") for row in rows})
        if len(values) > 1:
            raise ConfigError(f"{path}: one {name} at a time; choose with --where {name}={values[0]}. "
                              f"Got {', '.join(values[:8])}")  # fmt: skip
    size_name, size_unit = _size_column(path, x, header)
    cost_name, (factor, unit) = _cost_column(path, y, header)
    kept, numbers = [], []
    for line, row in enumerate(rows, 2):
        if row.get(cost_name, "").strip() == "":
            continue
        size, cost = _positive(path, row, size_name, line), _positive(path, row, cost_name, line)
        kept.append(row)
        numbers.append((size * size_unit, cost * factor))
    if not numbers:
        raise ConfigError(f"{path}: no row has a number in {cost_name}")
    sizes, costs = (np.array(column) for column in zip(*numbers, strict=True))
    errors = _optional(kept, f"{cost_name}_se", math.nan) * factor
    nodes, delivery = _optional(kept, "nodes", 1.0), _optional(kept, "delivery", 1.0)
    replications, names = _optional(kept, "replications", math.inf), (size_name, cost_name)
    is_count, blank = size_name in SIZES["T"], len(rows) - len(kept)
    points = Points(sizes, costs, errors, nodes, delivery, replications, is_count, unit, names, blank)
    _check_units(path, points)
    return points


def _table(path: str) -> tuple[list[str], list[dict[str, str]]]:
    try:
        text = Path(path).expanduser().read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: a CSV file that can be read is needed. Got {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: a CSV file of UTF-8 text is needed. Got something else") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(reader, [])]
    rows = [dict(zip(header, row, strict=False)) for row in reader if any(cell.strip() for cell in row)]
    if len(rows) > MAX_ROWS:
        raise ConfigError(f"{path}: at most {MAX_ROWS} rows. Got {len(rows)}")
    return header, rows


def _size_column(path: str, x: str, header: Sequence[str]) -> tuple[str, float]:
    name = _column(path, "--x", x, SIZES, header)
    if name in SIZES["T"]:
        return name, 1.0
    unit = name if name in SIZE_UNITS else name.rpartition("_")[2]
    if unit not in SIZE_UNITS:
        raise ConfigError(f"--x: bytes, T, or a column whose name ends in _bytes or _bit. Got {name!r}")
    return name, SIZE_UNITS[unit]


def _cost_column(path: str, y: str, header: Sequence[str]) -> tuple[str, tuple[float, str]]:
    name = _column(path, "--y", y, COSTS, header)
    unit = {"seconds": "s", "joules": "j"}.get(name, name.rpartition("_")[2])
    if unit not in COST_UNITS:
        ends = ", ".join(f"_{u}" for u in COST_UNITS)
        raise ConfigError(f"--y: seconds, joules, or a column whose name ends in one of {ends}. Got {name!r}")
    return name, COST_UNITS[unit]


def _column(path: str, option: str, word: str, known: Mapping[str, Sequence[str]], header: Sequence[str]) -> str:
    if word in known:
        name = next((n for n in known[word] if n in header), None)
        if name is not None:
            return name
        allowed = f"a column for {word} ({', '.join(known[word])}), or its name with {option}"
        raise ConfigError(f"{path}: {allowed}. Got the columns {', '.join(header) or '(none)'}")
    if word in header:
        return word
    raise ConfigError(f"{option}: one of {', '.join(known)}, or a column of {path}: {', '.join(header)}. "
                      f"Got {word!r}{_nearest(word, header)}")  # fmt: skip


def _positive(path: str, row: Mapping[str, str], name: str, line: int) -> float:
    try:
        value = float(row.get(name, ""))
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise ConfigError(f"{path}: {name}: numbers > 0 in every row. Got {row.get(name, '')!r} in row {line - 1}")
    return value


def _optional(rows: Sequence[Mapping[str, str]], name: str, default: float) -> Floats:
    def number(row: Mapping[str, str]) -> float:
        try:
            return float(row.get(name, "") or default)
        except ValueError:
            return default

    return np.array([number(row) for row in rows])


def _check_units(path: str, points: Points) -> None:
    low, high = RATES[points.unit]
    ratio = points.size / points.cost if points.unit == "s" else points.cost / points.size
    factor = 1.0 if not points.is_count else 32.0
    ratio = ratio * factor if points.unit == "s" else ratio / factor
    wrong = (ratio < low) | (ratio > high)
    if wrong.any():
        i = int(np.argmax(wrong))
        of = "bit/s" if points.unit == "s" else "J/bit"
        raise ConfigError(
            f"{path}: the units cannot be right: {_size(points, i)} for {points.cost[i]:.3g} {points.unit} would be "
            f"{ratio[i]:.3g} {of}; {points.names[0]} and {points.names[1]} are not in the units that their names say"
        )


def _size(points: Points, i: int) -> str:
    return f"T = {points.size[i]:g}" if points.is_count else f"{points.size[i] / 8:g} B"


def _equal(text: str, value: str) -> bool:
    try:
        return float(text) == float(value)
    except ValueError:
        return text.strip() == value.strip()


def _nearest(name: str, names: Sequence[str]) -> str:
    nearest = nearest_name(name, names)
    return f". Nearest: {nearest}" if nearest else ""


# --- the command -----------------------------------------------------------------------------------------------


def command(
    path: str, x: str, y: str, where: Sequence[str], header_bit: float, entry_bit: float | None, out: str | None,
    plot: str | None,
) -> str:  # fmt: skip
    """Fit, write what was asked for, and what the command prints."""
    from netsim import _files, _plots, _yaml

    _plots.check(plot)
    points = read(path, x, y, where)
    if points.is_count and not (entry_bit and entry_bit > 0):
        raise ConfigError("--entry-bit: the bits of a kept coordinate are needed where sizes are T, such as 32 for "
                          "a float and ceil(log2 d) for its place")  # fmt: skip
    result = fit_cost(points, header_bit, entry_bit)
    scenario = f"cost: {_yaml.write_line(dict(result.cost))}\n"
    if out is not None:
        _files.write(Path(out), scenario)
    if plot is not None:
        _files.write(Path(plot), _plots.fits(f"netsim fit-cost {Path(path).name}", result))
    return f"{text(result)}\n{scenario}"


def text(result: Result) -> str:
    """Families, the chosen one's numbers, warnings, and a channel that behaves so."""
    from netsim import _yaml
    from netsim._text import quantity, table

    points, best = result.points, result.fits[0]
    least = min(f.aic for f in result.fits)
    rows = []
    for one in result.fits:
        cross = "-" if math.isnan(one.cross) else quantity(one.cross, points.unit)
        mark = " <-" if one is best else ""
        rows.append([one.family, f"{one.aic - least:.1f}", quantity(one.rms, points.unit), f"{cross}{mark}"])
    sizes = np.unique(points.size).size
    head = f"{points.size.size} rows of {sizes} sizes, {points.names[1]} over {points.names[0]}"
    nodes = f", {points.nodes[0]:g} senders" if points.nodes[0] > 1 or result.everything.nodes.max() > 1 else ""
    lines = [head + nodes, "", table(["family", "AIC - least", "rms", "rms at left-out sizes"], rows), ""]
    lines.append(f"{best.family}, with 95 % confidence intervals:")
    per = "entry" if points.is_count else "bit"
    units = {"c0": points.unit, "c_packet": f"{points.unit}/packet", "c_bit": f"{points.unit}/{per}",
             "c_bend": f"{points.unit}/{per}", "payload_max": per, "bend": per}  # fmt: skip
    for name, value in best.values.items():
        low, high = best.intervals.get(name, (value, value))
        lines.append(f"  {name} = {value:.6g} {units[name]}  ({low:.6g} to {high:.6g})")
    if not points.is_count and points.unit == "s" and best.values.get("c_bit", 0.0) > 0.0:
        lines.append(f"  rate = {quantity(1.0 / best.values['c_bit'], 'bit/s')}")
    lines += [f"warning: {warning}." for warning in result.warnings]
    if result.link is not None:
        lines += ["", f"# a link that behaves so: {_yaml.write_line(dict(result.link))}"]
    return "\n".join(lines)
