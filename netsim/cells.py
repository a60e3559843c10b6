"""Text files of cells, read strictly: every line has the cells that the first line names, and a number is one.

A comma for a decimal point makes two cells of one, a semicolon one of all, a unit no number; whatever reads on past
such a thing reads something else than what was written.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netsim.errors import ConfigError, nearest_name
from netsim.units import QuantityError, to_number

_COMMA = re.compile(r"[-+]?\d{1,3}(?:[. ]?\d{3})*,\d+(?:[eE][-+]?\d+)?|[-+]?\d*,\d+")
_WITH_UNIT = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?\s*[^\W\d_%]?[^\d\s]{1,9}")
_MAX_SHOWN = 60


class CellError(ConfigError):
    """Something in a file that is not as it has to be.

    Parameters
    ----------
    place
        ``FILE:LINE``, or the file alone.
    allowed, got, nearest
        As of a `netsim.errors.Fault`.
    """

    def __init__(self, place: str, allowed: str, got: str, nearest: str = "") -> None:
        self.place, self.allowed, self.got, self.nearest = place, allowed, got, nearest
        more = f" Nearest: {nearest}." if nearest else ""
        super().__init__(f"{place}: {allowed}. Got {got}.{more}".removesuffix("."))


@dataclass(frozen=True, slots=True)
class Cells:
    """A file's cells, spaces around them stripped.

    Parameters
    ----------
    file
        Its name, for errors.
    columns
        Of the first line, each once.
    rows
        Line number and cells of each line that is not blank; as many cells as columns.
    """

    file: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[int, tuple[str, ...]]]

    def places(self, names: Sequence[str]) -> list[int]:
        """Return where the columns of these names stand.

        Raises
        ------
        CellError
            If the first line lacks one.
        """
        for name in names:
            if name not in self.columns:
                allowed = f"a first line with the columns {', '.join(names)}"
                got = f"{','.join(self.columns)[:_MAX_SHOWN]!r}, without {name}"
                known = [column for column in self.columns if column.isprintable()]
                raise CellError(f"{self.file}:1", allowed, got, nearest_name(name, known))
        return [self.columns.index(name) for name in names]

    def number(self, line: int, name: str, text: str, positive: bool = False) -> float:
        """Return the number in a cell: at least 0, or above 0 where it has to be positive.

        Its line and its column's name are for the error.

        Raises
        ------
        CellError
            If it is no finite number in plain digits with a decimal point, or out of range.
        """
        what = f"{name}: a number {'>' if positive else '>='} 0"
        try:
            number = to_number(text, None)
        except QuantityError:
            raise CellError(f"{self.file}:{line}", what + _why(text), repr(text[:_MAX_SHOWN])) from None
        if not math.isfinite(number) or number < 0.0 or (positive and number == 0.0):
            raise CellError(f"{self.file}:{line}", what, repr(text[:_MAX_SHOWN]))
        return number


def read(path: Path, file: str, comments: bool = False) -> Cells:
    """Read a file of comma-separated cells whose first line names the columns; errors call it `file`.

    With `comments`, lines that begin with ``#`` are left out.

    Raises
    ------
    CellError
        If it cannot be read, is not UTF-8, has other separators, a column twice or without a name, or a line with more
        or fewer cells than the first.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CellError(file, "a CSV file that can be read", str(error.strerror or error)) from None
    except UnicodeDecodeError as error:
        raise CellError(file, "a CSV file of UTF-8 text", f"the byte 0x{error.object[error.start]:02x}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = list[tuple[int, tuple[str, ...]]]()
    try:
        for row in reader:
            cells = tuple(cell.strip() for cell in row)
            if (len(cells) > 1 or cells[:1] > ("",)) and not (comments and cells[0].startswith("#")):
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise CellError(f"{file}:{reader.line_num}", "comma-separated values", str(error)) from None
    if not rows:
        raise CellError(file, "a CSV file with a first line of column names", "an empty file")
    (first, columns), body = rows[0], rows[1:]
    check_header(file, first, columns)
    for line, cells in body:
        if len(cells) != len(columns):
            raise CellError(f"{file}:{line}", _count(len(columns), cells), f"{len(cells)}: {_shown(cells)}")
    return Cells(file, columns, body)


def check_header(file: str, line: int, columns: Sequence[str], separator: str = ",") -> None:
    """Check the first line of a file.

    Raises
    ------
    CellError
        If it has another separator, or a column twice or without a name.
    """
    place = f"{file}:{line}"
    foreign = next((sign for sign in (";", "\t", "|", ",") if sign in columns[0]), "") if len(columns) == 1 else ""
    if foreign and foreign != separator:
        names = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
        raise CellError(place, f"{names.get(separator, repr(separator))} between cells", names[foreign])
    if any("\0" in name for name in columns):
        raise CellError(place, "a text", "the character U+0000")
    if not all(columns):
        raise CellError(place, "a name for each column", f"none for column {columns.index('') + 1}")
    twice = next((name for i, name in enumerate(columns) if name in columns[:i]), None)
    if twice is not None:
        raise CellError(place, "each column once", f"{twice!r} twice")


def _count(wanted: int, cells: Sequence[str]) -> str:
    allowed = f"{wanted} cells, as in the first line"
    return f"{allowed}, and a decimal point in numbers, not a comma" if len(cells) > wanted else allowed


def _shown(cells: Sequence[str]) -> str:
    text = ",".join(cells)
    return repr(text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "...")


def _why(text: str) -> str:
    text = text[:_MAX_SHOWN]
    if _COMMA.fullmatch(text):
        return " with a decimal point, not a comma"
    if text.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return ", finite"
    return " without its unit, which the column's name says" if _WITH_UNIT.fullmatch(text) else ""
