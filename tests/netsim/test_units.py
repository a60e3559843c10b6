"""Quantities and integer nanoseconds."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.units import UNITS, QuantityError, seconds_to_ns, serialisation_ns, to_number, unit_of, units_of


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("10 Mbit/s", "bit/s", 1e7),
        ("10 Mbps", "bit/s", 1e7),
        ("1 kB/s", "bit/s", 8000.0),
        ("54 B", "bit", 432.0),
        ("1 KiB", "byte", 1024.0),
        ("2 ms", "s", 0.002),
        ("2ms", "s", 0.002),
        ("1e-3 ms", "s", 1e-6),
        (".5 s", "ns", 5e8),
        ("5 µs", "s", 5e-6),
        ("2.4 GHz", "Hz", 2.4e9),
        ("0 dBm", "W", 1e-3),  # 10^(0/10) mW
        ("-3 dBm", "dBm", -3.0),
        ("1 mW", "dBm", 0.0),
        ("20 mA", "A", 0.02),
        ("2 Gflop/s", "flop/s", 2e9),
        ("3 Mflop", "flop", 3e6),
        ("1e-3", "s", 1e-3),
        (" 7 ", None, 7.0),
        ("10 Mbits/s", "bit/s", 1e7),
        ("600 kbit/min", "bit/s", 1e4),
        ("2 hours", "s", 7200.0),
        ("5 \u03bcs", "s", 5e-6),  # the Greek letter
        ("1.5 kilobytes", "bit", 12000.0),
        ("100 mW", "W", 0.1),
        ("2400 mAh", "A*s", 8640.0),
        ("1e-3 W", "dBm", 0.0),
        ("+5 m", "m", 5.0),
    ],
)
def test_a_quantity_becomes_a_number_of_the_unit(text: str, unit: str | None, number: float) -> None:
    assert to_number(text, unit) == number


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("1 m", "s"),
        ("3 bit/s", "bit"),
        ("5 parsnips", "s"),
        ("", "s"),
        ("s", "s"),
        ("1 s", None),
        ("1 s 2", "s"),
        ("9**9**9 s", "s"),
        ("2*3 s", "s"),
        ("1 __class__", "s"),
        ("20 °C", "s"),
        ("1_000_000", "bit/s"),
        ("1_0", None),
        ("\u0661\u0662 s", "s"),  # Arabic digits
        ("\uff15", None),  # a full-width digit
        ("1,5 s", "s"),
        ("inf", "s"),
        ("nan", None),
        ("0x10", None),
        ("1 000", None),
        ("1e99999999999 s", "s"),
    ],
)
def test_what_is_no_quantity_of_the_unit_is_refused(text: str, unit: str | None) -> None:
    with pytest.raises(ValueError, match="is not a"):
        to_number(text, unit)


@pytest.mark.parametrize(
    ("text", "unit", "nearest"),
    [
        ("10 mbit/s", "bit/s", "Mbit/s"),  # a thousandth of a bit
        ("10 mbps", "bit/s", "Mbps"),
        ("10 MBPS", "bit/s", "Mbps"),
        ("10 Mb/s", "bit/s", "Mbit/s"),  # bits or bytes
        ("10 Kbit/s", "bit/s", "kbit/s"),
        ("10 MHz", "bit/s", "Mbit/s"),  # a bit is no pure number
        ("1 Mbit", "bit/s", "Mbit/s"),
        ("3 rad", "bit/s", "bit/s"),
        ("5 kg", "bit/s", "bit/s"),
        ("5 Bq", "Hz", "Hz"),
        ("868 mHz", "Hz", "MHz"),
        ("2 Mbit/s", "bit", "Mbit"),
        ("54 KB", "byte", "kB"),
        ("54 b", "byte", "B"),
        ("3 degree", "s", "s"),
        ("2 MS", "s", "ms"),
        ("20 MA", "A", "mA"),
        ("5 mw", "W", "mW"),
        ("5 dB", "dBm", "dBm"),
        ("5 GFLOPS", "flop/s", "Gflop/s"),
        ("5 Gflop", "flop/s", "Gflop/s"),
        ("1 MAh", "A*s", "mAh"),
        ("3 \N{KELVIN SIGN}m", "m", "km"),  # folds to k
    ],
)
def test_another_unit_is_refused_with_the_nearest(text: str, unit: str, nearest: str) -> None:
    with pytest.raises(QuantityError, match=f"meant {re.escape(nearest)}[?]") as caught:
        to_number(text, unit)
    assert caught.value.nearest == nearest
    assert nearest in units_of(unit)


def test_units_of_one_dimension_agree() -> None:
    """A unit of two lists has one size: byte is 8 bit in both, and a rate in either is a size by a time."""
    assert units_of("bit")["kB"] / units_of("byte")["kB"] == 8
    assert all(units_of("ns")[name] == 10**9 * factor for name, factor in units_of("s").items())
    assert float(units_of("bit/s")["KiB/min"] * 60) == float(units_of("bit")["KiB"])


def test_a_cost_per_bit_is_no_size() -> None:
    assert unit_of("c_bit") is None


@given(st.floats(1e-6, 1e6), st.sampled_from([("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("min", 60.0), ("h", 3600.0)]))
def test_prefixes_multiply(number: float, unit: tuple[str, float]) -> None:
    # One rounding of the decimal product, one of the expected one.
    assert to_number(f"{number!r} {unit[0]}", "s") == pytest.approx(number * unit[1], rel=1e-14, abs=0)


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("rate_bps", "bit/s"), ("delay_s", "s"), ("flop_per_s", "flop/s"), ("payload_max_bit", "bit"),
        ("size_bytes", "byte"), ("tx_w", "W"), ("tx_dbm", "dBm"), ("side_m", "m"),
        ("levels", None), ("nodes", None), ("a", None), ("cv", None),
    ],
)  # fmt: skip
def test_the_suffix_of_a_key_is_its_unit(key: str, unit: str | None) -> None:
    assert unit_of(key) == unit


def test_no_suffix_hides_a_longer_one() -> None:
    suffixes = list(UNITS)
    assert all(not longer.endswith(s) for i, s in enumerate(suffixes) for longer in suffixes[i + 1 :])


@given(st.integers(0, 10**9), st.one_of(st.integers(1, 10**12), st.floats(0.5, 1e12)))
def test_serialisation_is_the_exact_quotient_rounded_half_up(size_bytes: int, rate_bps: float) -> None:
    exact = Fraction(8 * size_bytes * 10**9) / Fraction(rate_bps)
    got = serialisation_ns(size_bytes, rate_bps)
    if float(rate_bps).is_integer():
        assert got == math.floor(exact + Fraction(1, 2))
    else:  # one rounding of the quotient and one of the sum
        assert abs(got - exact) <= Fraction(1, 2) + exact * Fraction(3, 2**53)


@pytest.mark.parametrize(
    ("time_s", "ns"), [(0.0, 0), (1e-9, 1), (1.4e-9, 1), (1.5e-9, 2), (2.5e-9, 3), (0.002, 2_000_000)]
)
def test_seconds_to_nanoseconds_half_up(time_s: float, ns: int) -> None:
    assert seconds_to_ns(time_s) == ns
