"""Stochastic sparsification at E[C(N)]: the number N of entries is drawn, and a message pays for what was drawn."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from algorithms.tuners.budget_cost import BudgetCost
from algorithms.tuners.choice import Choice
from algorithms.tuners.magnitudes import Magnitudes
from algorithms.tuners.ranked import Ranked
from netsim.interfaces import Floats

TOLERANCE = 5e-3  # no T is better than the answer by more than this share
HILL = 0.4  # of N's standard deviation: no hill is narrower
NARROW = 0.25  # entries: nor is one narrower than that
POLISHED = 5e-4  # how close, as a share of T, the answer is to the top of its hill
RARE = 0.28  # entries with p |z| below it count by the powers of their p
ORDERS = 20  # of those powers; what is left out changes the law by less than 1e-13
BLOCK = 64  # entries whose powers are summed together
ROWS = 1 << 12  # factors multiplied at once
NEGLIGIBLE = 37.0  # exp(-37) = 1e-16


@dataclass(frozen=True, eq=False)
class DrawnCount:
    """The distribution of N, the sum of independent Bernoulli(p_i) with p_i = min(1, lambda |x_i|) and mean T.

    Its characteristic function is the product of 1 + p_i z with z = exp(i theta) - 1. Entries that are certain shift
    it, likely ones are multiplied, and of rare ones the logarithm is summed: sum_k (-1)^(k+1) z^k / k sum_i p_i^k.
    |1 + p z|^2 = 1 - 4 p (1 - p) sin^2(theta/2), so that with the variance v its magnitude is at most
    exp(-2 v sin^2(theta/2)): some thirty frequencies are enough for any v.

    Parameters
    ----------
    ranked
        All nonzero magnitudes.
    """

    ranked: Ranked

    def expectation(self, budget: float, cost: BudgetCost) -> float:
        """Return E[C(N)] at E N = `budget`, 0 < T <= n, as exact as float64."""
        first, weights = self.distribution(budget)
        return float(weights @ cost.of_entries(first + np.arange(float(weights.size))))

    def distribution(self, budget: float) -> tuple[int, Floats]:
        """Return a number of entries, and the probabilities of N from that number on; < 1e-15 is left out."""
        ranked = self.ranked
        certain = self._certain(budget)
        uncertain = ranked.size - certain
        if not uncertain:
            return certain, np.ones(1)
        scale = self._scale(budget, certain)
        mean, variance = budget - certain, self.variance(budget)
        # Bernstein: N is farther from its mean than this with a probability below 2 exp(-NEGLIGIBLE).
        reach = NEGLIGIBLE / 3 + math.sqrt((NEGLIGIBLE / 3) ** 2 + 2 * NEGLIGIBLE * variance)
        low = max(math.floor(mean - reach), 0)
        width = min(math.ceil(mean + reach), uncertain) - low + 1
        angles = 2 * np.pi / width * np.arange(width // 2 + 1)
        angles = angles[2 * variance * np.sin(angles / 2) ** 2 <= NEGLIGIBLE]
        z = np.expm1(1j * angles)
        bound = -RARE / (scale * max(abs(z[-1]), 1e-9))
        likely = certain + int(np.searchsorted(-ranked.magnitudes[certain:], bound, side="left"))
        likely = min(-(-likely // BLOCK) * BLOCK, ranked.size)
        p, powers = scale * ranked.magnitudes[certain:likely], self._powers(scale, likely)
        rare = np.zeros_like(z)
        for k in range(powers.size, 0, -1):  # Horner
            rare = z * (rare + (-1) ** (k + 1) / k * powers[k - 1])
        transform = np.exp(rare - 1j * angles * low)
        for start in range(0, p.size, ROWS):
            transform *= np.multiply.reduce(1 + p[start : start + ROWS, np.newaxis] * z, axis=0)
        weights = np.fft.irfft(transform.conj(), width)
        return certain + low, np.maximum(weights, 0.0)

    def variance(self, budget: float) -> float:
        """Return var N = sum p_i (1 - p_i)."""
        energy = self.ranked.energy
        certain = self._certain(budget)
        if certain == self.ranked.size:
            return 0.0
        rest = float(energy[-1] - energy[certain])
        scale = self._scale(budget, certain)
        return max(budget - certain - scale * rest * scale, 0.0)  # the square alone may be beyond all floats

    def _certain(self, budget: float) -> int:
        """Return entries with p_i = 1."""
        size = self.ranked.size
        return int(np.searchsorted(self.ranked.reach, budget)) if budget < size else size

    def _scale(self, budget: float, certain: int) -> float:
        """Return lambda."""
        ranked = self.ranked
        return min((budget - certain) / float(ranked.rest[certain]), 1.0 / float(ranked.magnitudes[certain]))

    def _powers(self, scale: float, start: int) -> Floats:
        """Return sum_i p_i^k over the entries from a block's start on, for k = 1 .. ORDERS."""
        tops, sums = self._blocks
        first = start // BLOCK
        if start >= self.ranked.size:
            return np.zeros(2)
        powers = np.multiply.accumulate(np.broadcast_to(scale * tops[first:], sums[:, first:].shape))
        return np.asarray(np.einsum("ki,ki->k", powers, sums[:, first:]))

    @cached_property
    def _blocks(self) -> tuple[Floats, Floats]:
        """The largest magnitude of each block, and sum (m_i / largest)^k in it for k = 1 .. ORDERS."""
        magnitudes = self.ranked.magnitudes
        starts = np.arange(0, magnitudes.size, BLOCK)
        tops = magnitudes[starts]
        shares = magnitudes / np.repeat(tops, BLOCK)[: magnitudes.size]
        sums, power = [], np.ones_like(shares)
        for _ in range(ORDERS):
            power = power * shares
            sums.append(np.add.reduceat(power, starts))
        return tops, np.array(sums)


@dataclass(frozen=True, eq=False)
class Drawn:
    """omega(T) / E[C(N)] of one vector.

    Parameters
    ----------
    x
        At least one entry is not 0.
    cost
        C of whole numbers of entries.
    """

    x: Magnitudes
    cost: BudgetCost

    @cached_property
    def ranked(self) -> Ranked:
        """All nonzero magnitudes in order."""
        return Ranked.of(self.x, self.x.above(0.0), True)

    @cached_property
    def count(self) -> DrawnCount:
        """The law of N."""
        return DrawnCount(self.ranked)

    def progress(self, budget: float) -> float:
        """Return omega(T)."""
        return float(self.ranked.progress("stochastic", np.array([budget]))[0])

    def price(self, budget: float) -> float:
        """Return E[C(N)]."""
        return self.count.expectation(budget, self.cost)

    def choice(self, budget: float) -> Choice:
        """Return T and its progress and price."""
        progress = self.progress(budget)
        return Choice(budget, progress / self.price(budget), progress)


def solve(x: Magnitudes, cost: BudgetCost) -> Choice:
    """Return a real T in [1, nonzeros] that maximises omega(T) / E[C(N)].

    omega and E[C(N)] never fall in T (all p_i grow with it), so between a and b no ratio is over omega(b) / E[C(N_a)]:
    intervals are halved, the most promising first, until none promises more than `TOLERANCE` over the best
    T found, or is narrower than a hill can be; the best T is then moved to the top of its hill. N smooths the steps of
    C over its standard deviation s: within `HILL` s the ratio bends by less than the tolerance, which is HILL^2 / 8
    times 0.24, the largest curvature of a normal distribution function.

    Parameters
    ----------
    x
        At least one entry is not 0.
    cost
        C of whole numbers of entries, never falling; any model.
    """
    drawn = Drawn(x, cost)
    tried: dict[float, tuple[float, float]] = {}

    def at(budget: float) -> tuple[float, float]:
        if budget not in tried:
            tried[budget] = drawn.progress(budget), drawn.price(budget)
        return tried[budget]

    def ratio(budget: float) -> float:
        progress, price = at(budget)
        return progress / price

    low, high = 1.0, float(drawn.ranked.size)
    best = max((low, high), key=ratio)
    open_intervals = [(-at(high)[0] / at(low)[1], low, high)]
    while open_intervals and -open_intervals[0][0] > (1.0 + TOLERANCE) * ratio(best):
        _, low, high = heapq.heappop(open_intervals)
        if high - low <= max(HILL * math.sqrt(drawn.count.variance(low)), NARROW):
            continue
        middle = math.sqrt(low * high) if high > 2 * low else (low + high) / 2
        if ratio(middle) > ratio(best):
            best = middle
        for a, b in ((low, middle), (middle, high)):
            heapq.heappush(open_intervals, (-at(b)[0] / at(a)[1], a, b))
    budgets = sorted(tried)
    place = budgets.index(best)
    low, high = budgets[max(place - 1, 0)], budgets[min(place + 1, len(budgets) - 1)]
    return drawn.choice(max((best, climbed(ratio, low, high)), key=ratio))


def climbed(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where the function is largest between two budgets with one hill between them, by golden sections."""
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    left, right = high - golden * (high - low), low + golden * (high - low)
    while high - low > POLISHED * high:
        if function(left) < function(right):
            low, left, right = left, right, left + golden * (high - left)
        else:
            high, right, left = right, left, right - golden * (right - low)
    return max((left, right), key=function)
