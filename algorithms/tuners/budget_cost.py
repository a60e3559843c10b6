"""C(T): what it costs to keep T coordinates, from a cost model of sizes and a code's sizes of budgets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from algorithms.coding.sizes import CodeSize
from netsim.errors import ConfigError, Fault
from netsim.interfaces import HEADER_BYTES, CostModel, CostStructure, Floats


class Line(NamedTuple):
    """c0 + c1 T."""

    c0: float
    c1: float


@dataclass(frozen=True, eq=False)
class BudgetCost:
    """The cost as a function of the budget.

    The size is x(T) = base + slope * T in the unit of the model's basis, but for whole-byte messages. Where
    packets hold whole entries (``packing: whole``, bases ``count`` and ``paper``), the first has room for tau_1
    entries beside what stands before them, and each later one for tau. An entry wider than a packet
    leaves no such packing, and a message's bytes know no entries: both count as ``stream``.

    Parameters
    ----------
    code
        Sizes of the code.
    model
        The cost of sizes.
    expected
        True where T is an expectation: a structured model is then taken at the expected number of bits,
        without rounding to bytes.
    """

    code: CodeSize
    model: CostModel
    expected: bool = False

    @property
    def is_exact(self) -> bool:
        """True where C(T) = c0 + c_packet * packets(T) + c1 T, for real T too."""
        return self.model.structure is not None and (self.model.basis != "message" or self.expected)

    @property
    def is_line(self) -> bool:
        """True where that is C(T) = c0 + c1 T."""
        return self.is_exact and self.c_packet == 0.0

    @property
    def is_over_line(self) -> bool:
        """True where C(T) is at least `line`, which is never negative and grows."""
        return self.model.structure is not None and self.line.c0 >= 0.0 and self.line.c1 > 0.0

    @cached_property
    def base(self) -> float:
        """x(0+)."""
        if self.model.basis == "count":
            return 0.0
        header = 8.0 * HEADER_BYTES + self.code.count_bit if self.model.basis == "message" else 0.0
        return header + self.code.paper0_bit

    @cached_property
    def slope(self) -> float:
        """Size of one entry."""
        return 1.0 if self.model.basis == "count" else float(self.code.entry_bit)

    @cached_property
    def c0(self) -> float:
        """What does not depend on T, without packets."""
        return self._constants.c0 + self._constants.c_bit * self.base

    @cached_property
    def c1(self) -> float:
        """What one more entry costs, without packets."""
        return self._constants.c_bit * self.slope

    @cached_property
    def c_packet(self) -> float:
        """What a packet costs; 0 where there are none."""
        return self._constants.c_packet if self.packet_bit < math.inf else 0.0

    @cached_property
    def packet_bit(self) -> float:
        """What a packet holds; infinite where there are none."""
        return self._constants.payload_max_bit or math.inf

    @cached_property
    def line(self) -> Line:
        """The largest line that C(T) is never below, T >= 1; equal to it wherever a packet is just full."""
        if not self.c_packet:
            return Line(self.c0, self.c1)
        if self._whole is not None:
            before, first, later = self._whole
            packet, start = 1.0 / later, before + 1.0 - first / later
        else:
            packet, start = self.slope / self.packet_bit, (self._constants.header_bit + self.base) / self.packet_bit
        return Line(self.c0 + self.c_packet * start, self.c1 + self.c_packet * packet)

    def __call__(self, budget: npt.ArrayLike) -> Floats:
        """Return C(T), elementwise, T > 0; T whole unless `expected`."""
        t = np.asarray(budget, np.float64)
        if self.is_exact:
            price = self.c0 + self.c1 * t
            return price + self.c_packet * self.packets(t) if self.c_packet else price
        linear = self.model.basis != "message"
        return self.model(self.base + self.slope * t if linear else self.code.message_bit(t))

    def of_entries(self, entries: npt.ArrayLike) -> Floats:
        """Return C of messages of whole numbers of drawn entries, elementwise; 0 entries are a message, too."""
        n = np.asarray(entries, np.float64)
        if self.model.basis != "message":
            return self(n)
        payload_bit = self.code.paper0_bit + self.code.entry_bit * n + self.code.count_bit
        return self.model(8.0 * (HEADER_BYTES + np.ceil(payload_bit / 8.0)))

    def packets(self, budget: npt.ArrayLike) -> Floats:
        """Return the packets of a message of T entries, elementwise, T > 0."""
        t = np.asarray(budget, np.float64)
        if self._whole is not None:
            before, first, later = self._whole
            return before + 1.0 + np.maximum(np.ceil((t - first) / later), 0.0)
        if self.packet_bit == math.inf:
            return np.ones_like(t)
        size, room = self._constants.header_bit + (self.base + self.slope * t), self.packet_bit
        n = np.ceil(size / room)
        # The quotient is rounded: n is the least whole number whose product reaches the size.
        n = np.where((n - 1.0) * room >= size, n - 1.0, n)
        return np.maximum(np.where(n * room < size, n + 1.0, n), 1.0)

    def last_in(self, packets: npt.ArrayLike) -> Floats:
        """Return the largest T, a real number, whose message has no more than this many packets."""
        n = np.asarray(packets, np.float64)
        if self._whole is not None:
            before, first, later = self._whole
            return first + (n - 1.0 - before) * later
        if self.packet_bit == math.inf:
            return np.full_like(n, math.inf)
        full = n * self.packet_bit
        t = (full - self._constants.header_bit - self.base) / self.slope
        # Rounding may lift the size of this T over the brim.
        for _ in range(3):
            t = np.where(self.packets(t) > n, t - np.spacing(full) / self.slope, t)
        return t

    def limit(self, efficiency: float, most: int) -> int:
        """Return the largest whole T <= most that could still be as efficient, as progress is at most 1."""
        bound = (1.0 + 1e-9) / efficiency
        low, high = 0, most + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if float(self(middle)) <= bound else (low, middle)
        return low

    def check(self) -> None:
        """Refuse a cost that no ratio can have below it.

        Raises
        ------
        ConfigError
            If one entry costs nothing, less, or no finite number.
        """
        first = float(self(1.0))
        if not (math.isfinite(first) and first > 0.0):
            got = f"{first:g} {self.model.quantity} for one entry"
            raise ConfigError([Fault(("cost",), "a cost > 0 for every message", got)])

    @property
    def _constants(self) -> CostStructure:
        return self.model.structure or CostStructure()

    @cached_property
    def _whole(self) -> tuple[float, float, float] | None:
        """Packets filled before the entries, entries in the next (tau_1), entries in each later one (tau)."""
        later = math.floor(self.packet_bit / self.slope) if math.isfinite(self.packet_bit) else 0
        if self._constants.packing != "whole" or self.model.basis == "message" or later == 0:
            return None
        lead = self._constants.header_bit + self.base
        before = math.floor(lead / self.packet_bit)
        first = math.floor((self.packet_bit * (before + 1) - lead) / self.slope)
        return float(before), float(first), float(later)
