"""Quantities: a number in the key's own unit, or a number with a unit out of the lists below."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from decimal import Decimal, DecimalException
from functools import cache

from netsim.errors import SimulationError

NS_PER_S = 1_000_000_000
S_PER_DAY = 86_400
# The clock ends here, so that a sum of two times is still an integer of 64 bits; 146 years.
MAX_NS = 1 << 62

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
# What a quantity may be: a time is nothing or a nanosecond that the clock can count, and a few in a row fit in the
# clock; with these sizes and rates, so does what they make together in all but extreme cases, which are checked.
BOUNDS = {
    "s": (1e-9, 1e9),
    "ns": (1.0, 1e18),
    "bit/s": (1e-3, 1e15),
    "bit": (0.0, 2.0**43),
    "byte": (0.0, 2.0**40),
    "flop": (0.0, 1e24),
    "flop/s": (1e-6, 1e21),
    "Hz": (1e-3, 1e15),
    "m": (0.0, 1e9),
}
# Of every other number: its square, its inverse and a product with another one are floats, too.
ORDINARY = (1e-100, 1e100)
# Ends like a size, and is a cost per bit.
_NO_QUANTITIES = ("c_bit",)

# Digits are ASCII's, without underscores between them; both would pass `float`.
_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,6})?"
_QUANTITY = re.compile(rf"({_NUMBER})(?:\s*([^\W\d_][^\s\d_]*))?")
# `Mb` and `kb/s` may be meant as bits or as bytes.
_LOWER_B = re.compile(r"([kKmMgGtT]?)b(ps|/[a-z]+)?")

# What a quantity may be written in: names, case counting, and their factor. No prefixes that make no sense and differ
# from common ones by case alone: `mbit` is no thousandth of a bit, and `MA` is not written for a radio's current.
_TIMES = """
    s sec second seconds = 1; ms millisecond milliseconds = 1e-3; ns nanosecond nanoseconds = 1e-9; ps = 1e-12
    us \u00b5s \u03bcs microsecond microseconds = 1e-6
    min minute minutes = 60; h hr hour hours = 3600; d day days = 86400
"""
_SIZES = """
    bit bits = 1; kbit kbits kilobit kilobits = 1e3; Mbit Mbits megabit megabits = 1e6
    Gbit Gbits gigabit gigabits = 1e9; Tbit Tbits terabit terabits = 1e12
    Kibit = 1024; Mibit = 1048576; Gibit = 1073741824; Tibit = 1099511627776
    B byte bytes octet octets = 8; kB kbyte kbytes kilobyte kilobytes = 8e3; MB Mbyte Mbytes megabyte megabytes = 8e6
    GB Gbyte Gbytes gigabyte gigabytes = 8e9; TB Tbyte Tbytes terabyte terabytes = 8e12
    KiB = 8192; MiB = 8388608; GiB = 8589934592; TiB = 8796093022208
"""
_BITS_PER_S = "bps = 1; kbps = 1e3; Mbps = 1e6; Gbps = 1e9; Tbps = 1e12"
_WORK = """
    flop = 1; kflop = 1e3; Mflop megaflop = 1e6; Gflop gigaflop = 1e9; Tflop teraflop = 1e12; Pflop petaflop = 1e15
"""
_POWERS = """
    W watt watts = 1; mW milliwatt milliwatts = 1e-3; uW \u00b5W \u03bcW microwatt microwatts = 1e-6; nW = 1e-9
    pW = 1e-12; kW kilowatt kilowatts = 1e3
"""
_OTHERS = {
    "Hz": "Hz hertz = 1; kHz kilohertz = 1e3; MHz megahertz = 1e6; GHz gigahertz = 1e9; THz terahertz = 1e12",
    "J": """
        J joule joules = 1; mJ millijoule millijoules = 1e-3; uJ \u00b5J \u03bcJ microjoule microjoules = 1e-6
        nJ = 1e-9; pJ = 1e-12; kJ kilojoule kilojoules = 1e3; MJ megajoule megajoules = 1e6
        Wh = 3600; mWh = 3.6; kWh = 3.6e6
    """,
    "A": """
        A amp amps ampere amperes = 1; mA milliamp milliamps milliampere milliamperes = 1e-3
        uA \u00b5A \u03bcA microamp microamps microampere microamperes = 1e-6; nA = 1e-9; pA = 1e-12
    """,
    "V": "V volt volts = 1; mV millivolt millivolts = 1e-3; uV \u00b5V \u03bcV = 1e-6; kV kilovolt kilovolts = 1e3",
    "m": """
        m metre metres meter meters = 1; mm = 1e-3; cm = 1e-2; km kilometre kilometres kilometer kilometers = 1e3
        um \u00b5m \u03bcm = 1e-6; nm = 1e-9
    """,
    "A*s": "C coulomb coulombs = 1; kC = 1e3; mC = 1e-3; Ah = 3600; mAh = 3.6; uAh \u00b5Ah \u03bcAh = 3.6e-3",
}


class QuantityError(ValueError):
    """A text that is no quantity of the unit wanted; `nearest` is a unit that may be meant, or ''."""

    def __init__(self, sentence: str, nearest: str = "") -> None:
        super().__init__(sentence)
        self.nearest = nearest


def unit_of(key: str) -> str | None:
    """Return the unit that a key's suffix names, or None.

    Examples
    --------
    >>> unit_of("rate_bps"), unit_of("levels")
    ('bit/s', None)
    """
    if key in _NO_QUANTITIES:
        return None
    return next((unit for suffix, unit in UNITS.items() if key.endswith(suffix)), None)


@cache
def units_of(unit: str) -> Mapping[str, Decimal]:
    """Return each unit that a quantity in `unit` may be written in, and its factor; dBm is no factor and is 0.

    Examples
    --------
    >>> units_of("byte")["kbit"]
    Decimal('125')
    """
    if unit in ("s", "ns"):
        return _table(_TIMES, 1 if unit == "s" else NS_PER_S)
    if unit in ("bit", "byte"):
        return _table(_SIZES, 1 if unit == "bit" else Decimal("0.125"))
    if unit == "bit/s":
        times = {name: 1 / factor for name, factor in _table("s = 1; ms = 1e-3; us = 1e-6; min = 60; h = 3600").items()}
        sizes = _table(_SIZES)
        return {f"{size}/{time}": sizes[size] * times[time] for time in times for size in sizes} | _table(_BITS_PER_S)
    if unit in ("flop", "flop/s"):
        return {name + unit.removeprefix("flop"): factor for name, factor in _table(_WORK).items()}
    if unit in ("W", "dBm"):
        return _table(_POWERS) | {"dBm": Decimal(0)}
    return _table(_OTHERS[unit])


def to_number(text: str, unit: str | None) -> float:
    """Return the number of `unit` that `text` says.

    Parameters
    ----------
    text
        A number (``"1e-3"``), taken to be in `unit` already, or a number with a unit (``"10 Mbit/s"``).
    unit
        The unit wanted, one of those of `UNITS` or ``A*s``; None where only a plain number will do.

    Raises
    ------
    QuantityError
        If `text` is no quantity, or is one in a unit that is not in the list of `unit`.

    Examples
    --------
    >>> to_number("10 Mbit/s", "bit/s"), to_number("54 B", "bit"), to_number("2 ms", "s")
    (10000000.0, 432.0, 0.002)
    """
    match = _QUANTITY.fullmatch(text.strip())
    if unit is None:
        if match is None or match[2]:
            raise QuantityError(f"{text!r} is not a number")
        if vanishes(match[1], number := float(match[1])):
            raise QuantityError(f"{text!r} is not a number of 64 bits")
        return number
    if match is None:
        raise QuantityError(f"{text!r} is not a quantity in {unit}")
    digits, name = match[1], match[2]
    if name is None:
        if vanishes(digits, number := float(digits)):
            raise QuantityError(f"{text!r} is not a quantity in {unit} that 64 bits hold")
        return number
    known = units_of(unit)
    if name not in known:
        nearest = nearest_unit(name, unit)
        raise QuantityError(f"{text!r} is not a quantity in {unit}; meant {nearest}?", nearest)
    try:
        if "dBm" in (unit, name):
            return _power(float(digits), name, unit)
        if not vanishes(digits, number := float(Decimal(digits) * known[name])):
            return number
    except (DecimalException, OverflowError, ValueError) as error:
        raise QuantityError(f"{text!r} is not a quantity in {unit}") from error
    raise QuantityError(f"{text!r} is not a quantity in {unit} that 64 bits hold")


def vanishes(digits: str, number: float) -> bool:
    """Return whether what `digits` says is too small or too large for the float that it became.

    Examples
    --------
    >>> vanishes("1e-400", float("1e-400")), vanishes("0e-400", 0.0), vanishes("1e400", float("1e400"))
    (True, False, True)
    """
    mantissa = re.split("[eE]", digits)[0]
    return math.isinf(number) or (number == 0.0 and any(sign in "123456789" for sign in mantissa))


def nearest_unit(name: str, unit: str) -> str:
    """Return the unit of the list of `unit` that is most probably meant by `name`; `unit` itself in doubt.

    Examples
    --------
    >>> nearest_unit("mbps", "bit/s"), nearest_unit("Mb", "bit"), nearest_unit("MHz", "bit/s"), nearest_unit("kg", "s")
    ('Mbps', 'Mbit', 'Mbit/s', 's')
    """
    known = list(units_of(unit))
    if size := _LOWER_B.fullmatch(name):
        letter = size[1].lower() if size[1] in "kK" else size[1].upper()
        word = "B" if unit == "byte" else "bit"
        name = f"{letter}bps" if size[2] == "ps" else f"{letter}{word}{size[2] or ''}"
    folded = {other.casefold(): other for other in reversed(known)}
    same = [folded[name.casefold()]] if name.casefold() in folded else []
    # A unit of something else keeps its prefix: `10 MHz` in place of a rate may be 10 Mbit/s.
    foreign = any(name in units_of(other) for other in (*UNITS.values(), "A*s"))
    prefixed = [other for other in (f"{name}/s", f"{name[:1]}{unit}") if foreign and len(name) > 1 and other in known]
    close = [folded[other] for other in difflib.get_close_matches(name.casefold(), folded, 1, 0.75)]
    return next(iter((*same, *prefixed, *close, *(other for other in (unit, *known) if other in known))))


def _power(number: float, name: str, unit: str) -> float:
    """Return a power in W or dBm, one of which `name` or `unit` is logarithmic: 0 dBm is 1 mW."""
    if name == unit:
        return number
    if name == "dBm":
        return float(f"{10 ** (number / 10) * 1e-3:.15g}")
    watts = number * float(units_of("W")[name])
    return float(f"{10 * math.log10(watts / 1e-3):.15g}") if watts else -math.inf


def _table(text: str, scale: int | Decimal = 1) -> dict[str, Decimal]:
    """Read a list of units: names, their factor; a semicolon or a line break between two."""
    found: dict[str, Decimal] = {}
    for entry in re.split(r"[;\n]", text):
        names, _, factor = entry.partition("=")
        found |= dict.fromkeys(names.split(), Decimal(factor.strip()) * scale) if factor else {}
    return found


def outside(value: object, key: str) -> str:
    """Return the bounds of a key where a number, or one of a tuple, is beyond them; else ''.

    Examples
    --------
    >>> outside(1e-10, "delay_s"), outside(0.0, "delay_s")
    ('0, or from 1e-09 to 1e+09 s', '')
    """
    unit = unit_of(key) or ""
    least, most = BOUNDS.get(unit, ORDINARY)
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int | float) and number and not least <= abs(number) <= most:
            return (f"0, or from {least:g} to {most:g} {unit}" if least else f"at most {most:g} {unit}").strip()
    return ""


class ClockError(SimulationError, OverflowError):
    """A time beyond the clock's end, such as one that a distribution drew."""


def seconds_to_ns(time_s: float) -> int:
    """Return the whole nanoseconds nearest to `time_s`, half up.

    Raises
    ------
    ClockError
        For a time that is beyond the clock's end, or not a number.
    """
    time_ns = time_s * NS_PER_S + 0.5
    if not time_ns < MAX_NS:
        raise ClockError(f"a time of {time_s:.4g} s is beyond the clock's end, 2^62 ns (146 years)")
    return int(time_ns)


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
