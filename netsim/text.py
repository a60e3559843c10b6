"""Numbers and tables as people read them on a terminal."""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so may be calculated
PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))


def short(number: float) -> str:
    """Return three significant digits, without an exponent where that is readable.

    Examples
    --------
    >>> short(999.6), short(0.01234), short(3.0)
    ('1000', '0.0123', '3')
    """
    return f"{float(f'{number:.3g}'):g}"


def quantity(value: float, unit: str) -> str:
    """Return a value with a metric prefix; '-' for NaN.

    Examples
    --------
    >>> quantity(12345.0, "bit"), quantity(0.0021, "J"), quantity(42.0, ""), quantity(0.0, "J")
    ('12.3 kbit', '2.1 mJ', '42', '0 J')
    """
    if math.isnan(value):
        return "-"
    factor, prefix = next(((f, p) for f, p in PREFIXES if abs(value) >= 0.9995 * f), (1.0, ""))
    return f"{short(value / factor)} {prefix}{unit}".rstrip()


def seconds(time_s: float) -> str:
    """Return a duration in a readable unit; '-' for NaN.

    Examples
    --------
    >>> seconds(0.0123), seconds(75.0), seconds(5400.0), seconds(86400.0)
    ('12.3 ms', '75 s', '90 min', '24 h')
    """
    if math.isnan(time_s) or time_s < 600:
        return quantity(time_s, "s")
    return f"{short(time_s / 60)} min" if time_s < 7200 else f"{short(time_s / 3600)} h"


def count(number: int, noun: str) -> str:
    """Return a number with its noun in the singular or plural.

    Examples
    --------
    >>> count(1, "run"), count(3, "run")
    ('1 run', '3 runs')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns, the first to the left, the others to the right.

    Examples
    --------
    >>> print(table(["name", "time"], [["CAT", "1 s"], ["GD", "12 s"]]))
    name  time
    CAT    1 s
    GD    12 s
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in (header, *rows)
    ]
    return "\n".join(lines)


def to_cell(value: object) -> object:
    """Return what to write into a cell of a CSV file: a text that a spreadsheet would calculate gets an apostrophe.

    Examples
    --------
    >>> to_cell("=cmd()"), to_cell("-5"), to_cell("CAT"), to_cell(1.5)
    ("'=cmd()", '-5', 'CAT', 1.5)
    """
    if not isinstance(value, str) or value.lstrip("'")[:1] not in _FORMULA:
        return value
    with contextlib.suppress(ValueError):
        float(value)
        return value
    return f"'{value}"


def to_csv(lines: Iterable[Iterable[object]]) -> str:
    r"""Return the text of a CSV file; see `to_cell`.

    Examples
    --------
    >>> to_csv([("label", "loss"), ("a, b", 0.5)])
    'label,loss\n"a, b",0.5\n'
    """
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(map(to_cell, line) for line in lines)
    return out.getvalue()


def from_cell(text: str) -> str:
    """Return the text of which `to_cell` made a cell.

    Examples
    --------
    >>> from_cell("'=cmd()"), from_cell("'s")
    ('=cmd()', "'s")
    """
    return text[1:] if text[:1] == "'" and text.lstrip("'")[:1] in _FORMULA else text
