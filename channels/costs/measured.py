"""A line through measured costs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from channels.costing.line import fit_line
from channels.costing.models import StructuredCost
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
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _fault("a CSV file that can be read", f"{path!r}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise _fault("a CSV file of UTF-8 text", f"{path!r}, which is none") from None
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip() for name in next(rows, [])]
        places = [_column(path, header, name) for name in COLUMNS]
        points = [_point(path, rows.line_num, row, places) for row in rows if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise _fault("comma-separated values", f"{path}:{rows.line_num}: {error}") from None
    if len(points) < MIN_POINTS:
        raise _fault(f"a file of at least {MIN_POINTS} measurements", f"{len(points)} in {path!r}")
    return [size for size, _ in points], [cost for _, cost in points]


def _column(path: str, header: list[str], name: str) -> int:
    if name not in header:
        allowed = f"a file whose first line names the columns {' and '.join(COLUMNS)}"
        raise _fault(allowed, f"{path}:1: {','.join(header)!r}, without {name}", nearest_name(name, header))
    return header.index(name)


def _point(path: str, line: int, row: list[str], places: list[int]) -> tuple[float, float]:
    try:
        size, cost = (float(row[place]) for place in places)
    except (ValueError, IndexError):
        size = cost = math.nan
    if not (0.0 <= size < math.inf and 0.0 < cost < math.inf):
        raise _fault("on each line a size >= 0 and a cost > 0", f"{path}:{line}: {','.join(row)!r}")
    return size, cost


def _fault(allowed: str, got: str, nearest: str = "") -> ConfigError:
    return ConfigError([Fault(("path",), allowed, got, nearest)])
