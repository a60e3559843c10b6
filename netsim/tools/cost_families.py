"""Families of cost models, fitted to (size, cost) by weighted least squares and compared.

========= =====================================================
constant  C(x) = c0
affine    C(x) = c0 + c_bit x
packets   C(x) = c0 + c_packet ceil(x / payload_max) + c_bit x
piecewise C(x) = c0 + c_bit x + c_bend max(x - x0, 0)
========= =====================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FAMILIES = ("constant", "affine", "packets", "piecewise")
# Numbers fitted, the noise's scale not counted.
PARAMETERS = {"constant": 1, "affine": 2, "packets": 4, "piecewise": 4}
LEVEL = 0.95
# The coefficient that a family adds to the one before it: its interval must not hold 0.
OWN = {"affine": "c_bit", "packets": "c_packet", "piecewise": "c_bend"}
# Error probability of the F test, divided by the number of steps or kinks that were tried.
CHANCE = 0.02
FOLDS = 10
MAX_STEPS = 200
FEW = 12  # sizes
MAX_CANDIDATES = 20_000
MOST_CELLS = 4_000_000  # of a table of candidates and sizes
EXACT = 1e-7  # a relative residual that is rounding


@dataclass(frozen=True, eq=False)
class Fit:
    """One family at its best.

    Parameters
    ----------
    values
        Name to number: c0, and where the family has them c_bit, c_packet, payload_max, c_bend, bend.
    intervals
        The same names to 95 % confidence intervals: Student's, of steps and bends the likelihood's.
    aic
        n ln(RSS / n) + 2 k n / (n - k - 1), the Akaike criterion of small samples up to a constant; infinite where
        there are too few points for it.
    rms
        Root mean square residual.
    cross
        Root mean square error at sizes that were left out of the fit; NaN where there are too few sizes.
    tried
        How many steps or kinks were looked at: each is a chance for noise to look like one.
    """

    family: str
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    aic: float
    rms: float
    cross: float = math.nan
    tried: int = 1
    rows: int = 0
    is_exact: bool = False

    def __call__(self, x: npt.ArrayLike) -> Floats:
        """Return the cost at these sizes."""
        size, v = np.asarray(x, np.float64), self.values
        out = v["c0"] + v.get("c_bit", 0.0) * size
        if "c_packet" in v:
            out = out + v["c_packet"] * np.maximum(steps(size, v["payload_max"]), 1.0)
        if "bend" in v:
            out = out + v["c_bend"] * np.maximum(size - v["bend"], 0.0)
        return np.asarray(out, np.float64)


def steps(size: Floats, payload_max: float | Floats) -> Floats:
    """Return ceil(size / payload_max), forgiving the rounding of a quotient."""
    return np.ceil(size / payload_max - 1e-9)


def fit(
    x: npt.ArrayLike, y: npt.ArrayLike, family: str, weights: npt.ArrayLike | None = None, unit: float = 1.0
) -> Fit | None:
    """Fit the best member of a family; return None where the points do not determine one.

    Parameters
    ----------
    x, y
        Shape (n,): sizes >= 0 and their costs.
    family
        One of `FAMILIES`.
    weights
        Inverse variances up to a factor; None: all equal.
    unit
        Of ``packets``: the payload is a whole number of these, such as 8 for bits in bytes.
    """
    data = _Data.of(x, y, weights)
    few = _plain_steps(data, unit) if family == "packets" and 3 <= data.sizes <= FEW else None
    if few is not None:
        return few
    if data.sizes <= PARAMETERS[family] - (family in ("constant", "affine")) or data.n <= PARAMETERS[family]:
        return None
    if family == "constant":
        return data.solved(family, {}, [])
    if family == "affine":
        return data.solved(family, {}, [data.x], ["c_bit"])
    if family == "piecewise":
        return _kink(data)
    return _packets(data, unit)


def compare(x: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike | None = None, unit: float = 1.0) -> list[Fit]:
    """Fit all families that the points determine; return the chosen one first, then by AIC.

    Chosen is the simplest that `beats` leaves. An affine or packet model with a negative slope, and a piecewise one
    whose slope is, are no cost models and never chosen.
    """
    found = [f for f in (fit(x, y, name, weights, unit) for name in FAMILIES) if f]
    found = [_crossed(f, np.asarray(x, float), np.asarray(y, float), weights, unit) for f in found]
    best: Fit | None = None
    for one in sorted(found, key=lambda f: PARAMETERS[f.family]):
        if best is None or (_is_cost(one) and beats(one, best)):
            best = one
    rest = sorted((f for f in found if f is not best), key=lambda f: f.aic)
    return [best, *rest] if best else []


def beats(one: Fit, best: Fit) -> bool:
    """Return whether a fit replaces a simpler one, or another one with as many numbers.

    One that is exact is never replaced by a fit with more numbers, and replaces any that is not. Else the interval
    of what the family adds (`OWN`) must not hold 0: that alone decides between constant and affine, where it is the
    F test. Searched steps and kinks must pass an F test at `CHANCE` over the number of places that were looked at;
    of two with as many numbers the one with the smaller residual is chosen.
    """
    if one.is_exact != best.is_exact:
        return one.is_exact
    if one.is_exact or _holds_zero(one):
        return False
    if one.family == "affine":
        return True
    more = PARAMETERS[one.family] - PARAMETERS[best.family]
    if more == 0:
        return one.rows * math.log(one.rms / best.rms) < math.log(best.tried / one.tried)
    from scipy.special import fdtrc

    free = one.rows - PARAMETERS[one.family]
    gain = ((best.rms / one.rms) ** 2 - 1.0) * free / more
    return gain > 0.0 and float(fdtrc(more, free, gain)) < CHANCE / one.tried


def _holds_zero(one: Fit) -> bool:
    """Return whether the interval of the family's additional coefficient holds 0, so that it is not needed."""
    low, high = one.intervals[OWN[one.family]]
    return low <= 0.0 <= high


def _is_cost(one: Fit) -> bool:
    v = one.values
    slopes = [v.get("c_bit", 0.0), v.get("c_bit", 0.0) + v.get("c_bend", 0.0)]
    return min(slopes) >= 0.0 and v.get("c_packet", 1.0) > 0.0


@dataclass(frozen=True, eq=False)
class _Data:
    """Points, and what all fits share."""

    x: Floats
    y: Floats
    root: Floats  # square roots of the weights, of mean square 1

    @staticmethod
    def of(x: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike | None) -> _Data:
        xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
        w = np.ones(xs.size) if weights is None else np.asarray(weights, np.float64)
        return _Data(xs, ys, np.sqrt(w / w.mean()))

    @property
    def n(self) -> int:
        return self.x.size

    @property
    def sizes(self) -> int:
        return np.unique(self.x).size

    @cached_property
    def grouped(self) -> tuple[_Data, float]:
        """Rows of one size as one, at their mean and with the sum of their weights, and the RSS around the means."""
        sizes, places = np.unique(self.x, return_inverse=True)
        weights = np.bincount(places, self.root**2)
        means = np.bincount(places, self.root**2 * self.y) / weights
        apart = self.root * (self.y - means[places])
        return _Data(sizes, means, np.sqrt(weights)), float(apart @ apart)

    def solved(
        self, family: str, fixed: dict[str, float], columns: Sequence[Floats], names: Sequence[str] = (),
    ) -> Fit:  # fmt: skip
        """Return the least squares for c0 and the columns' coefficients."""
        from scipy.special import stdtrit

        design = np.column_stack([np.ones(self.n), *columns]) * self.root[:, None]
        target = self.y * self.root
        scale = np.sqrt((design**2).sum(axis=0))
        scale[scale == 0.0] = 1.0
        coefficients, *_ = np.linalg.lstsq(design / scale, target, rcond=None)
        rest = target - design / scale @ coefficients
        rss = float(rest @ rest)
        k = PARAMETERS[family]
        free = max(self.n - k, 1)
        covariance = np.linalg.pinv((design / scale).T @ (design / scale)) * rss / free
        half = float(stdtrit(free, 0.5 + LEVEL / 2)) * np.sqrt(np.diag(covariance)) / scale
        estimate = coefficients / scale
        values, intervals = {}, {}
        for name, value, width in zip(("c0", *names), estimate.tolist(), half.tolist(), strict=True):
            values[name], intervals[name] = value, (value - width, value + width)
        rms, is_exact = math.sqrt(rss / self.n), rss <= self.n * self.floor
        aic, found = self.aic(rss, k), {**values, **fixed}
        return Fit(family, found, intervals, aic, rms, rows=self.n, is_exact=is_exact)

    def aic(self, rss: float, k: int) -> float:
        numbers = k + 1  # the noise's scale, too
        free = self.n - numbers - 1
        if free <= 0:
            return math.inf
        return self.n * math.log(max(rss / self.n, self.floor)) + 2 * numbers * self.n / free

    @property
    def floor(self) -> float:
        """A mean square residual that is rounding."""
        return float((EXACT * self.y * self.root) @ (EXACT * self.y * self.root)) / self.n or 1e-300

    def searched(self, found: Callable[[Floats], Floats], candidates: Floats) -> Floats:
        """Return what `found` says of each candidate, a part of them after the other so that memory stays small."""
        parts = np.array_split(candidates, -(-candidates.size * self.n // MOST_CELLS))
        return np.concatenate([found(part) for part in parts])

    def reductions(self, shapes: Floats, base: Sequence[Floats]) -> Floats:
        """Return how much each row of `shapes` (m, n) lowers the RSS of the fit by `base`: shape (m,)."""
        basis, _ = np.linalg.qr(np.column_stack([np.ones(self.n), *base]) * self.root[:, None])
        target = self.y * self.root
        rest = target - basis @ (basis.T @ target)
        rows = shapes * self.root
        whole = (rows**2).sum(axis=1)
        rows = rows - (rows @ basis) @ basis.T
        square = (rows**2).sum(axis=1)
        # Skip rows that the basis spans up to rounding.
        return np.where(square > 1e-12 * whole, (rows @ rest) ** 2 / np.maximum(square, 1e-300), 0.0)

    def staircases(self, counts: Floats) -> Floats:
        """Return the RSS of c0 + c_packet counts + c_bit x, c_packet > 0, c_bit >= 0, for each row of counts (m, n).

        Infinite where c_packet would not be positive, or counts cannot be told from x.
        """
        one = self.root / np.sqrt(self.root @ self.root)
        x, y, rows = self.x * self.root, self.y * self.root, counts * self.root
        whole = (rows**2).sum(axis=1)
        x, y = x - one * (one @ x), y - one * (one @ y)
        rows = rows - (rows @ one)[:, None] * one
        xx, xy, yy = float(x @ x), float(x @ y), float(y @ y)
        ss, sx, sy = (rows**2).sum(axis=1), rows @ x, rows @ y
        determinant = xx * ss - sx**2
        is_apart = (determinant > 1e-10 * xx * ss) & (ss > 1e-12 * whole)
        safe = np.where(is_apart, determinant, 1.0)
        c_packet, c_bit = (sy * xx - sx * xy) / safe, (xy * ss - sx * sy) / safe
        both = np.where(is_apart & (c_packet > 0.0) & (c_bit >= 0.0), yy - c_packet * sy - c_bit * xy, math.inf)
        alone = np.where(is_apart & (c_bit < 0.0) & (sy > 0.0), yy - sy**2 / np.maximum(ss, 1e-300), math.inf)
        return np.minimum(both, alone)

    def rss(self, base: Sequence[Floats]) -> float:
        """Return the residual sum of squares of the fit by `base`."""
        basis, _ = np.linalg.qr(np.column_stack([np.ones(self.n), *base]) * self.root[:, None])
        target = self.y * self.root
        rest = target - basis @ (basis.T @ target)
        return float(rest @ rest)


def _threshold(rss: float, data: _Data, k: int) -> float:
    """Return the RSS up to which a searched number stays in its 95 % interval."""
    from scipy.stats import f

    free = max(data.n - k, 1)
    return (rss + data.floor * data.n) * (1.0 + float(f.ppf(LEVEL, 1, free)) / free)


def _kink(data: _Data) -> Fit | None:
    sizes = np.unique(data.x)
    # At least two sizes on each side; between two sizes the best place is looked for on a line of eight,
    # of fewer where sizes are many.
    many = 1 + max(1, min(8, MAX_CANDIDATES // 4 // sizes.size))
    inner = np.concatenate([np.linspace(a, b, many)[:-1] for a, b in pairwise(sizes[1:-1])])
    places = np.append(inner, sizes[-2])
    few, _ = data.grouped
    gains = few.searched(lambda at: few.reductions(np.maximum(few.x[None, :] - at[:, None], 0.0), [few.x]), places)
    best = int(np.argmax(gains))
    whole = data.rss([data.x])
    within = places[(whole - gains <= _threshold(max(whole - gains[best], 0.0), data, 4)) | (gains == gains[best])]
    column, bend = np.maximum(data.x - places[best], 0.0), float(places[best])
    found = data.solved("piecewise", {"bend": bend}, [data.x, column], ["c_bit", "c_bend"])
    # The bend's place is uncertain, too: its derivative as a column widens the coefficients' intervals.
    moved = np.where(data.x > bend, -found.values["c_bend"], 0.0)
    wide = data.solved("piecewise", {}, [data.x, column, moved], ["c_bit", "c_bend", "bend"])
    for name, (low, high) in wide.intervals.items():
        half, at = (high - low) / 2, found.values[name]
        found.intervals[name] = at - half, at + half
    gap = float(np.diff(places).max()) if places.size > 1 else 0.0
    low, high = found.intervals["bend"]
    found.intervals["bend"] = min(low, float(within.min()) - gap), max(high, float(within.max()) + gap)
    return replace(found, tried=sizes.size)


def _packets(data: _Data, unit: float) -> Fit | None:
    candidates = _payloads(data, unit)
    if not candidates.size:
        return None
    few, apart = data.grouped
    rss = apart + few.searched(lambda part: few.staircases(np.maximum(steps(few.x, part[:, None]), 1.0)), candidates)
    least = float(rss.min())
    if not least < math.inf:
        return None
    # Among fits that are equal up to rounding take the one with the fewest packets.
    best = float(candidates[rss <= least + data.n * data.floor].max())
    within = candidates[(rss <= _threshold(max(least, 0.0), data, 4)) | (candidates == best)]
    # All payloads with the same counts fit equally well: take the smallest, which is certain to fit.
    counts = np.maximum(steps(data.x, best), 1.0)
    payload, high = _alike(data.x, counts, unit)
    found = data.solved("packets", {"payload_max": payload}, [counts, data.x], ["c_packet", "c_bit"])
    if found.values["c_bit"] < 0.0:
        c_bit = found.intervals["c_bit"]
        found = data.solved("packets", {"payload_max": payload}, [counts], ["c_packet"])
        found.values["c_bit"], found.intervals["c_bit"] = 0.0, (0.0, max(c_bit[1], 0.0))
    # A coefficient's interval holds those of every payload that the likelihood leaves open.
    for other in {float(within.min()), float(within.max())} - {best}:
        one = data.solved("packets", {}, [np.maximum(steps(data.x, other), 1.0), data.x], ["c_packet", "c_bit"])
        for name, (a, b) in one.intervals.items():
            found.intervals[name] = min(a, found.intervals[name][0]), max(b, found.intervals[name][1])
    found.intervals["payload_max"] = min(payload, float(within.min())), max(high, float(within.max()))
    return replace(found, tried=candidates.size)


def _plain_steps(data: _Data, unit: float) -> Fit | None:
    """Return steps without a cost per bit that meet few sizes exactly, however many they are; None where none do.

    Only rounding is forgiven: with more steps than sizes every noise has a staircase that comes near it.
    """
    size, candidates = data.x, _payloads(data, unit, MAX_STEPS)
    if not candidates.size:
        return None
    left = data.rss([]) - data.reductions(np.maximum(steps(size[None, :], candidates[:, None]), 1.0), [])
    for payload in candidates[left <= 4 * data.n * data.floor][::-1].tolist():
        counts = np.maximum(steps(size, payload), 1.0)
        least, high = _alike(size, counts, unit)
        found = data.solved("packets", {"payload_max": least, "c_bit": 0.0}, [counts], ["c_packet"])
        if found.is_exact and found.values["c_packet"] > 0.0:
            found.intervals.update({"payload_max": (least, high), "c_bit": (0.0, 0.0)})
            return found
    return None


def _payloads(data: _Data, unit: float, most: int = 0) -> Floats:
    """Return one payload for each way to count the packets of these sizes: one at which a size just fits k packets."""
    size = np.unique(data.x)
    # With more steps than sizes some staircase fits any noise.
    most = most or min(size.size, MAX_STEPS)
    found: Floats = np.unique(np.ceil(size[:, None] / np.arange(1, most + 1) / unit - 1e-9)) * unit
    # A payload that holds every size makes no step.
    found = found[(found < size[-1]) & (found >= max(unit, size[-1] / most))]
    if found.size > MAX_CANDIDATES:
        found = found[np.linspace(0, found.size - 1, MAX_CANDIDATES).astype(int)]
    return found


def _alike(size: Floats, counts: Floats, unit: float) -> tuple[float, float]:
    """Return the smallest and the largest payload, in whole units, that give these counts."""
    low = float((size / counts).max())
    several = counts > 1
    below = float((size[several] / (counts[several] - 1)).min()) if several.any() else math.inf
    low = unit * math.ceil(low / unit - 1e-9)
    return low, max(low, unit * (math.ceil(below / unit - 1e-9) - 1))


def _crossed(one: Fit, x: Floats, y: Floats, weights: npt.ArrayLike | None, unit: float) -> Fit:
    """Add the error at sizes left out of the fit (cross-validation); the smallest and the largest always take part."""
    sizes = np.unique(x)
    inner = sizes[1:-1]
    folds = min(FOLDS, inner.size)
    w = np.ones(x.size) if weights is None else np.asarray(weights, np.float64)
    total = count = 0.0
    for i in range(folds):
        out = np.isin(x, inner[i::folds])
        part = fit(x[~out], y[~out], one.family, w[~out], unit)
        if part is None:
            return one
        total += float((w[out] * (y[out] - part(x[out])) ** 2).sum())
        count += float(w[out].sum())
    return replace(one, cross=math.sqrt(total / count)) if count else one
