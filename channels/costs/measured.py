"""A line through measured costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from channels.costing.line import fit_line
from channels.costing.models import StructuredCost
from netsim import cells
from netsim.errors import ConfigError, Fault
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
    array([0.002507, 0.003301])
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"path": str(Path(__file__).with_name("measured_example.csv"))},
    )

    path: str
    _line: CostStructure = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        size, cost = _read(self.path)
        try:
            line = fit_line(size, cost)
        except ConfigError as error:
            raise ConfigError(
                [replace(f, path=("path",), got=f"{f.got} in {self.path!r}") for f in error.faults]
            ) from None
        object.__setattr__(self, "_line", line)

    def files(self) -> list[Path]:
        """Return the file that `path` names."""
        return [Path(self.path).expanduser()]

    def open(self, link: Link | None) -> CostModel:
        """Return the model, which is the same on every link."""
        return StructuredCost(self._line, "paper", "cost")


def _read(path: str) -> tuple[list[float], list[float]]:
    try:
        file = cells.read(Path(path).expanduser(), path)
        places = file.places(COLUMNS)
        points = [
            (file.number(line, "size_bit", row[places[0]]), file.number(line, "cost", row[places[1]], positive=True))
            for line, row in file.rows
        ]
    except cells.CellError as error:
        raise _fault(error.allowed, f"{error.place}: {error.got}", error.nearest) from None
    if len(points) < MIN_POINTS:
        raise _fault(f"a file of at least {MIN_POINTS} measurements", f"{len(points)} in {path!r}")
    return [size for size, _ in points], [cost for _, cost in points]


def _fault(allowed: str, got: str, nearest: str = "") -> ConfigError:
    return ConfigError([Fault(("path",), allowed, got, nearest)])
