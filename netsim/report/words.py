"""Numbers and texts as a reader wants them: SI prefixes, ratios, lists."""

from __future__ import annotations

import math
from collections.abc import Sequence

NBSP = "\N{NO-BREAK SPACE}"
NONE = "–"
_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def plain(value: float, digits: int = 3) -> str:
    """Return a number without unit, with a power of ten where it is very small or large.

    Examples
    --------
    >>> plain(0.01234), plain(4.2e-7), plain(1500), plain(float("nan"))
    ('0.0123', '4.2×10⁻⁷', '1500', '–')
    """
    if not math.isfinite(value):
        return NONE if math.isnan(value) else "∞" if value > 0 else "-∞"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        text = f"{value:.{digits}g}"
        return f"{value:.0f}" if "e" in text else text
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return ten_to(int(exponent)) if mantissa == "1" else f"{mantissa}×{ten_to(int(exponent))}"


def ten_to(power: int) -> str:
    """Return a power of ten, with a raised exponent.

    Examples
    --------
    >>> ten_to(-3)
    '10⁻³'
    """
    return f"10{str(power).translate(_SUPERSCRIPT)}"


def scale(value: float) -> int:
    """Return the power of ten, a multiple of 3, whose SI prefix suits `value`.

    Examples
    --------
    >>> scale(1234.0), scale(999.7), scale(0.012)
    (3, 3, -3)
    """
    if value == 0 or not math.isfinite(value):
        return 0
    exponent = math.floor(math.log10(abs(float(f"{value:.2e}"))))
    return max(-15, min(15, exponent // 3 * 3))


def si(value: float, unit: str, power: int | None = None, show_unit: bool = True) -> str:
    r"""Return three significant digits with an SI prefix; seconds above ten thousand in hours.

    Parameters
    ----------
    value, unit
        The number, and its unit without prefix ('' for a count).
    power
        The power of ten of the prefix; by default the one that suits `value`.
    show_unit
        False for the number alone, as in an interval.

    Examples
    --------
    >>> si(1234567, "bit"), si(0.0123, "J"), si(0, "s"), si(36000, "s"), si(1500, "s"), si(2484.3, "")
    ('1.23\xa0Mbit', '12.3\xa0mJ', '0\xa0s', '10.0\xa0h', '1500\xa0s', '2484')
    """
    if not math.isfinite(value):
        return NONE
    if unit == "s" and power is None and abs(value) >= 1e4:
        return f"{_three_digits(value / 3600)}{NBSP}h"
    if unit == "" and power is None and 100 <= abs(value) < 99_999.5:
        return f"{value:.0f}"
    if power is None:
        power = min(scale(value), 0) if unit == "s" else scale(value)
    if abs(value) >= 1e18 or 0 < abs(value) < 1e-15:
        return f"{plain(value)}{NBSP}{unit}" if unit and show_unit else plain(value)
    number = value / 10.0**power
    if unit == "" and power == 0 and float(number).is_integer():
        text = f"{number:.0f}"
    else:
        text = "0" if number == 0 else _three_digits(number)
    suffix = _PREFIXES[power] + unit
    return f"{text}{NBSP}{suffix}" if suffix and show_unit else text


def _three_digits(number: float) -> str:
    size = abs(float(f"{number:.2e}"))
    return f"{number:.{0 if size >= 100 else 1 if size >= 10 else 2}f}"


def interval(low: float, high: float, unit: str) -> str:
    r"""Return two ends with the prefix of the upper one: ``401–423 kbit``.

    Examples
    --------
    >>> interval(401000, 423000, "bit")
    '401–423\xa0kbit'
    """
    if unit == "s" and abs(high) >= 1e4:
        return f"{si(low, unit)}–{si(high, unit)}"
    if unit == "" and 100 <= high < 99_999.5:
        return f"{low:.0f}–{high:.0f}"
    power = min(scale(high), 0) if unit == "s" else scale(high)
    return f"{si(low, unit, power, show_unit=False)}–{si(high, unit, power)}"


def times(ratio: float) -> str:
    """Return a ratio with two digits, three near one.

    Examples
    --------
    >>> times(6.312), times(1.042), times(99.7), times(0.25)
    ('6.3×', '1.04×', '100×', '0.25×')
    """
    if not math.isfinite(ratio):
        return NONE
    if ratio >= 1e4 or 0 < ratio < 0.01:
        return f"{plain(ratio, 2)}×"
    if ratio >= 1000:
        return f"{float(f'{ratio:.3g}'):.0f}×"
    return f"{ratio:.0f}×" if ratio >= 9.95 else f"{ratio:.2f}×" if ratio < 1.995 else f"{ratio:.1f}×"


def listing(items: Sequence[str]) -> str:
    """Return a list in words: ``a, b and c``.

    Examples
    --------
    >>> listing(["a", "b", "c"])
    'a, b and c'
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
