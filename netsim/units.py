"""Quantities: a number in the key's own unit, or a string that carries a unit."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

NS_PER_S = 1_000_000_000
S_PER_DAY = 86_400

# Longest suffix first: `flop_per_s` also ends in `_s`.
UNITS = {
    "flop_per_s": "flop/s",
    "_bytes": "byte",
    "_flop": "flop",
    "_bit": "bit",
    "_bps": "bit/s",
    "_dbm": "dBm",
    "_ns": "ns",
    "_hz": "Hz",
    "_s": "s",
    "_j": "J",
    "_w": "W",
    "_a": "A",
    "_v": "V",
    "_m": "m",
}

# A number and a unit, no expression that pint would evaluate.
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\W\d_]+(?:/[^\W\d_]+)?)\s*")


def unit_of(key: str) -> str | None:
    """Return the unit that a key's suffix names, or None.

    Examples
    --------
    >>> unit_of("rate_bps"), unit_of("levels")
    ('bit/s', None)
    """
    return next((unit for suffix, unit in UNITS.items() if key.endswith(suffix)), None)


@cache
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    registry.define("flop = [operations]")
    return registry


def to_number(text: str, unit: str | None) -> float:
    """Return the number of `unit` that `text` says.

    Parameters
    ----------
    text
        A number (``"1e-3"``), taken to be in `unit` already, or a number with a unit (``"10 Mbit/s"``).
    unit
        The unit wanted; None where only a plain number will do.

    Raises
    ------
    ValueError
        If `text` is no quantity, or of another dimension than `unit`.

    Examples
    --------
    >>> to_number("10 Mbit/s", "bit/s"), to_number("54 B", "bit"), to_number("2 ms", "s")
    (10000000.0, 432.0, 0.002)
    """
    try:
        return float(text)
    except ValueError:
        if unit is None:
            raise ValueError(f"{text!r} is not a number") from None
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity in {unit}")
    import pint

    try:
        quantity = _registry().Quantity(float(match[1]), match[2])
        # Rounded to 15 digits: 2 ms is then the float 0.002, whatever pint's order of factors.
        return float(f"{quantity.to(unit).magnitude:.15g}")
    except (pint.PintError, ValueError, TypeError, AttributeError, AssertionError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a quantity in {unit}") from error


def seconds_to_ns(time_s: float) -> int:
    """Return the whole nanoseconds nearest to `time_s`, half up."""
    return int(time_s * NS_PER_S + 0.5)


def serialisation_ns(size_bytes: int, rate_bps: float) -> int:
    """Return the nanoseconds to put `size_bytes` on a link of `rate_bps`, half up.

    Exact in integers where the rate is a whole number of bits per second.

    Examples
    --------
    >>> serialisation_ns(1538, 1e9)
    12304
    """
    bits_ns = 8 * size_bytes * NS_PER_S
    if float(rate_bps).is_integer():
        rate = int(rate_bps)
        return (2 * bits_ns + rate) // (2 * rate)
    return int(bits_ns / rate_bps + 0.5)
