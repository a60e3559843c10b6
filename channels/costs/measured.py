"""A line through measured costs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from channels.costs._fit import fit_line
from channels.costs._model import StructuredCost
from netsim.errors import ConfigError, Fault, nearest_name
from netsim.interfaces import CostModel, CostStructure, Link
from netsim.registry import component

COLUMNS = ("size_bit", "cost")
MIN_POINTS = 3


@component("cost")
@dataclass(frozen=True)
class Measured:
    """C(T) = c0 + c_bit P(T), fitted by least squares to measured messages, with P the papers' bits.

    The file is read when the configuration is made, and only then. c0 is never negative: a line that starts below 0
    is replaced by the best one through 0.

    Parameters
    ----------
    path
        A CSV file, from the working folder. Its first line names the columns; ``size_bit`` (the message's payload
        in bits, >= 0) and ``cost`` (what it took, in any unit, > 0) are read, others are left alone. At least
        three lines follow, of at least two sizes.

    References
    ----------
    S. Khirirat, S. Magnusson, A. Aytekin, M. Johansson, "A Flexible Framework for Communication-Efficient Machine
    Learning", AAAI 2021, which fits seconds per message.

    Examples
    --------
    >>> model = Measured(**Measured.examples[0]).open(None)
    >>> model([0, 8000]).round(6)
    array([0.0025, 0.0033])
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"path": str(Path(__file__).with_name("measured_example.csv"))},
    )

    path: str
    _line: CostStructure = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        size, cost = _read(self.path)
        try:
            line = fit_line(size, cost)
        except ValueError as error:
            raise _fault(f"{self.path}: {error}") from None
        object.__setattr__(self, "_line", line)

    def open(self, link: Link | None) -> CostModel:
        """The model; it is the same on every link."""
        return StructuredCost(self._line, "paper", "cost")


